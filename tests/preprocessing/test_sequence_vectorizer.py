"""SequenceVectorizer compared with scikit-learn's CountVectorizer.

Counting the ids of a row must give the row that CountVectorizer gives.
"""

import copy
import io
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skdeep import LSTMClassifier
from skdeep.preprocessing import SequenceVectorizer
from tests.round_trips import through_joblib


# scikit-learn warns that it has only a few checks for text estimators.
@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_scikit_learn_checks():
    results = check_estimator(SequenceVectorizer(), on_skip=None)
    assert {result["status"] for result in results} == {"passed"}


@pytest.fixture(scope="module")
def documents():
    """Real prose: the descriptions of scikit-learn's data, line by line."""
    texts = [load().DESCR for load in (load_iris, load_breast_cancer, load_diabetes)]
    return [line for text in texts for line in text.splitlines()]


def counts(ids, n_ids):
    """Count each id of each row."""
    return np.array([np.bincount(row, minlength=n_ids) for row in ids])


CUTS = [
    {},
    {"token_pattern": r"\w+|[^\w\s]"},
    {"lowercase": False, "ngram_range": (1, 2)},
    {"ngram_range": (2, 3), "stop_words": "english"},
    {"analyzer": "char_wb", "ngram_range": (2, 3)},
    {"analyzer": "char", "strip_accents": "unicode"},
    {"analyzer": str.split},
    {"tokenizer": str.split, "token_pattern": None, "preprocessor": str.upper},
    {"min_df": 2},
    {"min_df": 0.01, "max_df": 0.05},
    {"max_df": 20, "min_df": 3},
    {"max_features": 50},
    {"vocabulary": ["data", "iris", "the"]},
    {"vocabulary": {"the", "iris"}, "binary": False},
]


@pytest.mark.parametrize("params", CUTS)
def test_counts_are_those_of_count_vectorizer(documents, params):
    train, other = documents[:200], documents[200:]
    counter = CountVectorizer(**params).fit(train)
    params = {k: v for k, v in params.items() if k != "binary"}
    vectorizer = SequenceVectorizer(**params).fit(train)
    terms = list(vectorizer.vocabulary_)
    assert terms == list(counter.get_feature_names_out())
    assert list(vectorizer.vocabulary_.values()) == list(range(2, len(terms) + 2))
    for lines in (train, other):
        found = counts(vectorizer.transform(lines), len(terms) + 2)
        assert_array_equal(found[:, 2:], counter.transform(lines).toarray())


@pytest.mark.parametrize("params", CUTS[:9])
def test_tokens_keep_their_order(documents, params):
    vectorizer = SequenceVectorizer(**params)
    ids = vectorizer.fit_transform(documents)
    analyze = CountVectorizer(**params).build_analyzer()
    cut = [analyze(document) for document in documents]
    assert ids.shape == (len(documents), max(map(len, cut)))
    assert ids.dtype == np.int64
    known = vectorizer.vocabulary_
    for row, tokens in zip(ids, cut, strict=True):
        expected = [known.get(token, 1) for token in tokens] or [1]
        assert_array_equal(row[: len(expected)], expected)
        assert not row[len(expected) :].any()


def test_fit_transform_is_fit_then_transform(documents):
    for params in ({}, {"max_length": 5, "min_df": 2}):
        together = SequenceVectorizer(**params).fit_transform(documents)
        fitted = SequenceVectorizer(**params).fit(documents)
        assert_array_equal(together, fitted.transform(documents))
        assert_array_equal(together, fitted.transform(iter(documents)))


def test_documents_are_analyzed_once():
    seen = []

    def analyze(document):
        seen.append(document)
        return document.split()

    SequenceVectorizer(analyzer=analyze).fit_transform(["a b", "c"])
    assert seen == ["a b", "c"]


def test_inverse_transform_returns_the_tokens(documents):
    vectorizer = SequenceVectorizer(min_df=2)
    ids = vectorizer.fit_transform(documents)
    analyze = CountVectorizer().build_analyzer()
    known = vectorizer.vocabulary_
    expected = [
        [t if t in known else "[unknown]" for t in analyze(document)] or ["[unknown]"]
        for document in documents
    ]
    assert vectorizer.inverse_transform(ids) == expected


def test_document_without_a_known_token_is_one_unknown_token():
    vectorizer = SequenceVectorizer(stop_words=["the"]).fit(["the cat sat"])
    ids = vectorizer.transform(["", "the", "?!", "dog", "cat"])
    assert_array_equal(ids[:, 0], [1, 1, 1, 1, vectorizer.vocabulary_["cat"]])
    assert ids.shape == (5, 1)


def test_width_is_that_of_the_longest_document():
    vectorizer = SequenceVectorizer().fit(["one two three four", "one"])
    assert vectorizer.transform(["one"]).shape == (1, 1)
    assert vectorizer.transform(["two " * 9, "one"]).shape == (2, 9)


def test_max_length_cuts_and_pads_to_one_width():
    vectorizer = SequenceVectorizer(max_length=3)
    ids = vectorizer.fit_transform(["dd cc bb aa", "bb"])
    # "aa" comes after the limit, so no network sees its id in training.
    assert vectorizer.vocabulary_ == {"bb": 2, "cc": 3, "dd": 4}
    assert_array_equal(ids, [[4, 3, 2], [2, 0, 0]])
    assert_array_equal(vectorizer.transform(["aa"]), [[1, 0, 0]])
    assert_array_equal(vectorizer.transform(["", "cc " * 8]), [[1, 0, 0], [3, 3, 3]])


@pytest.mark.parametrize("params", [{}, {"max_length": 4}, {"min_df": 2}])
def test_largest_id_occurs_in_the_training_documents(documents, params):
    vectorizer = SequenceVectorizer(**params)
    largest = vectorizer.fit_transform(documents).max()
    assert largest == len(vectorizer.vocabulary_) + 1


def test_vocabulary_can_be_reused(documents):
    first = SequenceVectorizer(min_df=2).fit(documents)
    for vocabulary in (first.vocabulary_, list(first.vocabulary_)):
        second = SequenceVectorizer(vocabulary=vocabulary).fit(["anything"])
        assert second.fixed_vocabulary_ and not first.fixed_vocabulary_
        assert_array_equal(second.transform(documents), first.transform(documents))
    reverse = SequenceVectorizer(vocabulary={"cat": 3, "dog": 2})
    assert_array_equal(reverse.fit_transform(["cat dog"]), [[3, 2]])


def test_bytes_files_and_file_names(tmp_path):
    texts = ["café crème", "crème brûlée"]
    expected = SequenceVectorizer().fit_transform(texts)
    raw = [text.encode("latin-1") for text in texts]
    assert_array_equal(
        SequenceVectorizer(encoding="latin-1").fit_transform(raw), expected
    )
    with pytest.raises(UnicodeDecodeError) as caught:
        SequenceVectorizer().fit(raw)
    assert "X holds bytes" in caught.value.__notes__[0]
    paths = [tmp_path / f"{i}.txt" for i in range(2)]
    for path, data in zip(paths, raw, strict=True):
        path.write_bytes(data)
    by_name = SequenceVectorizer(input="filename", encoding="latin-1")
    assert_array_equal(by_name.fit_transform(paths), expected)
    files = [io.BytesIO(data) for data in raw]
    by_file = SequenceVectorizer(input="file", encoding="latin-1")
    assert_array_equal(by_file.fit_transform(files), expected)


def test_containers_of_documents(documents):
    expected = SequenceVectorizer().fit_transform(documents)
    for each in (
        tuple(documents),
        np.array(documents),
        np.array(documents, dtype=object),
        pd.Series(documents),
        pl.Series(documents),
        (line for line in documents),
    ):
        assert_array_equal(SequenceVectorizer().fit_transform(each), expected)


def test_tokenized_documents():
    vectorizer = SequenceVectorizer(analyzer=tuple)
    assert_array_equal(vectorizer.fit_transform([["b", "a"], ["a"]]), [[3, 2], [2, 0]])


# --- in scikit-learn ---------------------------------------------------------------


def test_pipeline_learns_the_source_of_a_line():
    texts = [load_iris().DESCR, load_breast_cancer().DESCR]
    lines = [[line for line in text.splitlines() if line.strip()] for text in texts]
    X = lines[0][:50] + lines[1][:50]
    y = ["iris"] * 50 + ["cancer"] * 50
    model = make_pipeline(
        SequenceVectorizer(max_features=400),
        LSTMClassifier(16, embedding_dim=8, learning_rate_init=0.02, random_state=0),
    )
    search = GridSearchCV(
        model,
        {"sequencevectorizer__min_df": [1, 2], "lstmclassifier__max_iter": [30]},
        cv=2,
    )
    with pytest.warns(ConvergenceWarning):
        search.fit(X, y)
    assert search.best_score_ > 0.65
    assert search.score(X, y) > 0.8


def test_columns_of_a_frame():
    frame = pd.DataFrame({"title": ["red cat", "blue dog"], "size": [1, 2]})
    columns = ColumnTransformer(
        [("title", SequenceVectorizer(), "title")], remainder="passthrough"
    )
    assert_array_equal(columns.fit_transform(frame), [[5, 3, 1], [2, 4, 2]])


@pytest.mark.parametrize("container", ["pandas", "polars", "default"])
def test_output_is_always_an_array(container, documents):
    vectorizer = SequenceVectorizer().set_output(transform=container).fit(documents)
    with sklearn.config_context(transform_output=container):
        assert type(vectorizer.transform(documents)) is np.ndarray
        assert type(SequenceVectorizer().fit_transform(documents)) is np.ndarray
    pipeline = make_pipeline(SequenceVectorizer()).set_output(transform=container)
    assert type(pipeline.fit_transform(documents)) is np.ndarray


def test_parameters_are_those_of_count_vectorizer():
    ours, theirs = SequenceVectorizer().get_params(), CountVectorizer().get_params()
    assert ours.pop("max_length") is None
    del theirs["binary"], theirs["dtype"]
    assert ours == theirs
    assert clone(SequenceVectorizer(max_length=9)).max_length == 9


# --- persistence -------------------------------------------------------------------


def through_skops(estimator):
    name = "skdeep.preprocessing._sequence_vectorizer.SequenceVectorizer"
    data = skops.io.dumps(estimator)
    assert skops.io.get_untrusted_types(data=data) == [name]
    return skops.io.loads(data, trusted=[name])


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda estimator: pickle.loads(pickle.dumps(estimator)),
        through_joblib,
        through_skops,
    ],
    ids=["deepcopy", "pickle", "joblib", "skops"],
)
def test_copies_give_the_same_ids(copied, documents):
    vectorizer = SequenceVectorizer(min_df=2, ngram_range=(1, 2)).fit(documents[:100])
    again = copied(vectorizer)
    assert again.vocabulary_ == vectorizer.vocabulary_
    assert_array_equal(again.transform(documents), vectorizer.transform(documents))


# --- bad input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one document", ValueError, "got a single string: pass .document."),
        (b"one document", ValueError, "got a single string"),
        (5, TypeError, "X must be an iterable of documents, got 5"),
        (None, TypeError, "X must be an iterable of documents, got None"),
        ([], ValueError, "at least one document, got none"),
        (["a", 3], ValueError, "Document 1 of X must be text .* got 3"),
        (["aa", None], ValueError, "Document 1 of X must be text .* got None"),
        (pd.Series(["aa", np.nan]), ValueError, "Document 1 of X must be text"),
        ([["aa", "bb"]], ValueError, "Document 0 of X must be text"),
        (pd.DataFrame({"text": ["aa"]}), ValueError, r"one column .* shape \(1, 1\)"),
        (pl.DataFrame({"text": ["aa"]}), ValueError, r"one column .* shape \(1, 1\)"),
        (np.array([["aa"]]), ValueError, r"one column .* shape \(1, 1\)"),
    ],
)
def test_invalid_documents(X, error, message):
    with pytest.raises(error, match=message):
        SequenceVectorizer().fit(X)
    vectorizer = SequenceVectorizer().fit(["some words"])
    with pytest.raises(error, match=message):
        vectorizer.transform(X)


@pytest.mark.parametrize(
    ("params", "documents", "message"),
    [
        ({}, ["?", "!"], "empty vocabulary"),
        ({"min_df": 2}, ["one", "two"], "no terms remain"),
        ({"max_df": 1, "min_df": 2}, ["aa", "bb"], "max_df corresponds to <"),
        ({"ngram_range": (2, 1)}, ["aa bb"], r"ngram_range=\(2, 1\)"),
        ({"vocabulary": []}, ["aa"], "vocabulary must hold at least one term"),
        ({"vocabulary": "words"}, ["aa"], "got a single string: 'words'"),
        ({"vocabulary": ["aa", "bb", "aa"]}, ["aa"], "'aa' more than once"),
        ({"vocabulary": {"aa": 0, "bb": 1}}, ["aa"], r"ids 2 to 3, .* ids from 0 to 1"),
        ({"vocabulary": {"aa": 2, "bb": 4}}, ["aa"], "ids 2 to 3, .* from 2 to 4"),
        ({"vocabulary": {"aa": 2, "bb": 2}}, ["aa"], "ids 2 to 3, each once"),
        ({"max_length": 0}, ["aa"], "'max_length' parameter of SequenceVectorizer"),
        ({"max_length": 2.5}, ["aa"], "'max_length' parameter of SequenceVectorizer"),
        ({"analyzer": "words"}, ["aa"], "'analyzer' parameter of SequenceVectorizer"),
        ({"min_df": -1}, ["aa"], "'min_df' parameter of SequenceVectorizer"),
        ({"input": "url"}, ["aa"], "'input' parameter of SequenceVectorizer"),
    ],
    ids=str,
)
def test_invalid_parameters(params, documents, message):
    with pytest.raises(ValueError, match=message):
        SequenceVectorizer(**params).fit(documents)


def test_parameters_without_effect_are_named():
    with pytest.warns(UserWarning, match="'ngram_range' will not be used"):
        SequenceVectorizer(analyzer=str.split, ngram_range=(1, 2)).fit(["aa"])
    with pytest.warns(UserWarning, match="capital letters") as caught:
        SequenceVectorizer(vocabulary=["Paris"]).fit_transform(["Paris"])
    assert len(caught) == 1 and caught[0].filename == __file__
    SequenceVectorizer(vocabulary=["Paris"], lowercase=False).fit(["Paris"])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[2, 4]], "from 0 to 3, got 4"),
        ([[-1]], "from 0 to 3, got -1"),
        ([[2, 1.5]], "integers from 0 to 3, got 1.5"),
        ([[2, np.nan]], "Input X contains NaN"),
        ([2, 3], "Expected 2D array"),
    ],
)
def test_invalid_ids(ids, message):
    vectorizer = SequenceVectorizer().fit(["aa bb"])
    with pytest.raises(ValueError, match=message):
        vectorizer.inverse_transform(ids)


def test_not_fitted():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(SequenceVectorizer(), method)(["aa"])


@pytest.mark.parametrize(
    ("kind", "documents", "message"),
    [
        ("filename", [1, 2], "Document 0 of X must be a filename, .* got 1"),
        ("file", ["a.txt"], "Document 0 of X must be a file, .* got 'a.txt'"),
    ],
)
def test_documents_that_cannot_be_read(kind, documents, message):
    with pytest.raises(ValueError, match=message):
        SequenceVectorizer(input=kind).fit(documents)


def test_an_analyzer_without_tokens():
    with pytest.raises(TypeError, match="analyzer .* must return .* got None"):
        SequenceVectorizer(analyzer=lambda text: None).fit(["a text"])


def test_errors_of_user_functions_are_not_changed():
    def tokenize(text):
        raise KeyError("of my own")

    vectorizer = SequenceVectorizer(tokenizer=tokenize, token_pattern=None)
    with pytest.raises(KeyError, match="of my own"):
        vectorizer.fit(["a text"])
