"""Explanations of documents, of sparse rows and of functions, with known effects."""

import re
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lime.lime_text import LimeTextExplainer
from scipy import sparse
from scipy.special import logit
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeep import CostSensitiveClassifier, LSTMClassifier, MLPClassifier
from skdeep.inspection import LimeDisplay, lime_explain
from skdeep.preprocessing import SequenceVectorizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:The local models of:UserWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

WORDS = "good great fine bad poor dull film plot actor scene".split()
WORTH = dict(zip(WORDS, [1, 2, 0.5, -1, -1, -2, 0, 0, 0, 0], strict=True))
DOCS = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(300)]
LIKED = np.array([sum(WORTH[w] for w in d.split()) > 0 for d in DOCS])
y = np.where(LIKED ^ (rng.uniform(size=300) < 0.1), "pos", "neg")


@pytest.fixture(scope="module")
def linear():
    """A classifier whose log-odds are a sum over words."""
    return make_pipeline(TfidfVectorizer(norm=None), LogisticRegression()).fit(DOCS, y)


def by_word(explanation, row=0):
    """Return the effects on a document by word."""
    has = ~np.isnan(explanation.effects_[row])
    names = np.array(explanation.unit_names_)[has]
    return dict(zip(names, explanation.effects_[row][has], strict=True))


def contributions(model, document):
    """Return what each word adds to the log-odds of a linear model."""
    terms, coefs = model[0].get_feature_names_out(), model[-1].coef_[0]
    values = model[0].transform([document]).toarray()[0]
    return {t: v * c for t, v, c in zip(terms, values, coefs, strict=True) if v}


# -- documents -------------------------------------------------------------------------


def test_words_of_a_linear_model(linear):
    explanation = explain(linear, DOCS[:3], link="logit")
    for row in range(3):
        expected = contributions(linear, DOCS[row])
        found = by_word(explanation, row)
        assert found == pytest.approx(expected, rel=1e-4)
        largest = max(expected, key=lambda word: abs(expected[word]))
        assert explanation.unit_names_[explanation.top(row)[0]] == largest
    np.testing.assert_allclose(explanation.r2_, 1)
    assert explanation.kind == "document"
    assert explanation.outputs_ == ["log-odds of pos"] * 3
    counts = explanation.values_[0, explanation.unit_names_.index("good")]
    assert counts == (DOCS[0].split().count("good") or None)


def test_word_order_matches_the_lime_package(linear):
    document = "good good great dull film"
    explanation = explain(linear, [document])
    package = LimeTextExplainer(random_state=0, feature_selection="none")
    reference = dict(package.explain_instance(document, linear.predict_proba).as_list())
    found = by_word(explanation)
    assert sorted(found, key=found.get) == sorted(reference, key=reference.get)


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        np.array,
        partial(np.array, dtype=object),
        pd.Series,
        partial(pd.Series, dtype="category"),
        pl.Series,
    ],
    ids="list tuple array object pandas category polars".split(),
)
def test_containers_of_documents(linear, container):
    explanation = explain(linear, container(DOCS[:2]), link="logit")
    assert by_word(explanation) == pytest.approx(
        contributions(linear, DOCS[0]), rel=1e-4
    )
    assert explanation.rows_ == [0, 1]


def test_documents_keep_their_type(regressor):
    def length(X):
        asked.append(X)
        return np.array([float(len(text)) for text in X])

    for X in (pd.Series(["a b", "c"], index=["x", "y"]), np.array(["a b", "c"])):
        asked = []
        explain(length, X)
        assert {type(rows) for rows in asked} == {type(X)}
        assert {rows.dtype for rows in asked} == {X.dtype}
    assert explain(length, pd.Series(["a"], index=["x"])).rows_ == ["x"]


@pytest.mark.parametrize("network", ["dense", "recurrent"])
def test_words_before_any_vectorizer(network):
    options = dict(max_iter=6, learning_rate_init=0.05, random_state=0)
    model = (
        make_pipeline(CountVectorizer(), MLPClassifier((8,), **options))
        if network == "dense"
        else make_pipeline(
            SequenceVectorizer(), LSTMClassifier(8, embedding_dim=8, **options)
        )
    ).fit(DOCS, y)
    explanation = explain(model, ["film great plot", "dull film", ""])
    first, second = by_word(explanation), by_word(explanation, 1)
    assert max(first, key=first.get) == "great" and first["great"] > 0.1
    assert min(second, key=second.get) == "dull" and second["dull"] < -0.1
    assert by_word(explanation, 2) == {}
    assert explanation.local_prediction_[2] == pytest.approx(
        model.predict_proba([""])[0, 1]
    )


def test_unknown_words_have_no_effect(linear):
    explanation = explain(linear, ["qqq zzz zzz", "qqq great"], link="logit")
    assert by_word(explanation) == {"qqq": 0, "zzz": 0}
    assert by_word(explanation, 1)["qqq"] == pytest.approx(0, abs=1e-9)


def test_case_is_ignored_like_in_the_vectorizer(linear):
    text = "Good, good: GOOD! Über größer"
    assert explain(linear, [text]).unit_names_ == ["good", "über", "größer"]
    minds = make_pipeline(CountVectorizer(lowercase=False), LogisticRegression())
    minds.fit(["Good", "good"], [0, 1])
    found = by_word(explain(minds, [text], link="logit"))
    assert list(found) == ["Good", "good", "GOOD", "Über", "größer"]
    assert found["Good"] < 0 < found["good"]


def test_words_by_position():
    def begins_well(documents):
        return np.array([1.0 * text.startswith("good") for text in documents])

    explanation = explain(begins_well, ["good bad good"], groups="position")
    assert explanation.unit_names_ == ["good", "bad", "good (2)"]
    np.testing.assert_allclose(explanation.values_[0].astype(int), 1)
    # Without the first word, the document does not begin with "good".
    assert by_word(explanation)["good"] == pytest.approx(1)
    assert by_word(explanation)["good (2)"] == pytest.approx(0, abs=1e-9)


def test_separators_are_kept():
    asked = []

    def predict(documents):
        asked.extend(documents)
        return np.zeros(len(documents))

    explain(predict, ["Yes — (no) <b>!"])
    assert set(asked) == {
        f"{a} — ({b}) <{c}>!"
        for a in ("Yes", "")
        for b in ("no", "")
        for c in ("b", "")
    }


def test_document_is_explained_independently_of_others(linear):
    together = explain(linear, DOCS[:4])
    for row in range(4):
        alone = by_word(explain(linear, DOCS[row : row + 1]))
        assert by_word(together, row) == pytest.approx(alone)


def test_documents_of_a_cost_sensitive_classifier(linear):
    model = CostSensitiveClassifier(linear, alpha=2, strategy="threshold").fit(DOCS, y)
    explanation = explain(model, ["great film"], target="margin")
    assert by_word(explanation)["great"] > 0.3


def test_plots_of_documents(linear):
    text = "The film was GOOD, very good — though dull & <poor>."
    explanation = explain(linear, [text, "bad film"], link="logit")
    display = explanation.plot()
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert "good ×2" in names and "dull" in names
    assert display.ax_.get_title(loc="left") == "log-odds of pos · document 0"
    summary = explanation.plot_summary()
    assert "dull" in [label.get_text() for label in summary.ax_.get_yticklabels()]
    page = explanation.to_html(row=0)
    (shown,) = re.findall(r'<p class="d"><bdi>(.*?)</bdi>', page)
    assert re.sub("<.*?>", "", shown) == text.replace("&", "&amp;").replace(
        "<", "&lt;"
    ).replace(">", "&gt;")
    assert '<mark class="p w3">GOOD</mark>' in shown
    assert 'class="n w' in shown and "very" not in re.findall(">(.*?)</mark>", shown)
    assert len(page.encode()) < 30_000
    display = LimeDisplay.from_estimator(linear.predict_proba, [text], random_state=0)
    assert display.ax_.get_title(loc="left").startswith("predict_proba: output 1")


def test_pages_of_long_documents_stay_small(linear):
    page = explain(linear, ["good film, " * 1000]).to_html()
    assert len(page.encode()) < 30_000 and "…" in page


# -- sparse rows -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok"])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_effects_of_sparse_entries(linear, kind, make):
    X = linear[0].transform(DOCS[:2])
    names = linear[0].get_feature_names_out().tolist()
    explanation = explain(
        linear[-1], make(X).asformat(kind), link="logit", feature_names=names
    )
    for row in range(2):
        expected = contributions(linear, DOCS[row])
        assert by_word(explanation, row) == pytest.approx(expected, rel=1e-4)
    assert set(explanation.unit_names_) == set(" ".join(DOCS[:2]).split())
    values = explanation.values_.astype(float)
    columns = [names.index(name) for name in explanation.unit_names_]
    np.testing.assert_array_equal(values, X.toarray()[:, columns])


def test_sparse_rows_stay_sparse_and_wide_ones_are_predicted_in_batches():
    asked = []

    def total(X):
        asked.append(X)
        return X.sum(axis=1)

    wide = sparse.csr_array(([1.0, 2.0], ([0, 0], [3, 99_999])), shape=(2, 100_000))
    explanation = explain(total, wide, num_samples=2001)
    np.testing.assert_allclose(explanation.effects_[0], [1, 2])
    assert np.isnan(explanation.effects_[1]).all()  # a row of zeros
    assert {type(X) for X in asked} == {sparse.csr_array}
    assert max(X.shape[0] for X in asked) * 100_000 <= 2**24


# -- functions -------------------------------------------------------------------------

X = rng.normal(size=(80, 3))


def test_predict_function():
    explanation = explain(lambda X: X @ [1.0, 2.0, -1.0], X[:2], background=X)
    np.testing.assert_allclose(
        explanation.effects_, (X[:2] - X.mean(axis=0)) * [1, 2, -1], rtol=1e-6
    )
    assert explanation.outputs_ == ["prediction"] * 2
    frame = pd.DataFrame(X, columns=list("abc"))
    model = LinearRegression().fit(frame, X[:, 0])
    of_frame = explain(model.predict, frame[:1], background=frame)
    assert of_frame.unit_names_ == ["a", "b", "c"]
    np.testing.assert_allclose(
        of_frame.effects_, explain(model, frame[:1], background=frame).effects_
    )


@pytest.mark.parametrize(
    ("options", "column", "name"),
    [
        ({}, 1, "output 1"),
        ({"target": 0}, 0, "output 0"),
        ({"class_names": ["no", "yes"]}, 1, "yes"),
        ({"class_names": ["no", "yes"], "target": "no"}, 0, "no"),
        ({"class_names": ["no", "yes"], "target": 0}, 0, "no"),
    ],
)
@pytest.mark.parametrize("link", ["identity", "logit"])
def test_predict_function_with_several_outputs(options, column, name, link):
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    explanation = explain(
        model.predict_proba, X[:2], background=X, link=link, **options
    )
    answers = model.predict_proba(X[:2])[:, column]
    expected = logit(answers) if link == "logit" else answers
    np.testing.assert_allclose(explanation.prediction_, expected)
    prefix = "log-odds of " if link == "logit" else ""
    assert explanation.outputs_ == [f"{prefix}{name}"] * 2


def test_default_of_many_outputs_is_the_largest_of_each_row():
    explanation = explain(lambda X: X, X[:5], background=X)
    assert explanation.outputs_ == [f"output {k}" for k in X[:5].argmax(axis=1)]


# -- metadata --------------------------------------------------------------------------


def test_margins_with_costs_per_row():
    rng = np.random.default_rng(1)
    labels = (X[:, 0] + rng.normal(size=80) > 0).astype(int)
    fp, fn = rng.lognormal(size=(2, 80))
    model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
    model.fit(X, labels, fp_cost=fp, fn_cost=fn)
    assert explain(model, X[:2], background=X).outputs_ == ["P(1)"] * 2
    explanation = explain(
        model,
        X[:3],
        background=X,
        target="margin",
        params={"fp_cost": fp[:3], "fn_cost": fn[:3]},
    )
    expected = model.decision_function(X[:3], fp_cost=fp[:3], fn_cost=fn[:3])
    np.testing.assert_allclose(explanation.prediction_, expected)
    # The margin is (fp + fn) times the probability, less fp.
    chances = explain(model, X[:3], background=X)
    scale = (fp[:3] + fn[:3])[:, np.newaxis]
    np.testing.assert_allclose(explanation.effects_, scale * chances.effects_)
    with pytest.raises(ValueError, match="fp_cost is missing"):
        explain(model, X[:3], background=X, target="margin")


# -- tools -----------------------------------------------------------------------------


def test_pipeline_of_a_series(linear):
    lowered = FunctionTransformer(lambda series: series.str.lower())
    model = make_pipeline(lowered, linear)
    explanation = explain(model, pd.Series(["GREAT film"]), link="logit")
    expected = contributions(linear, "great")["great"]
    assert by_word(explanation)["great"] == pytest.approx(expected, rel=1e-4)
