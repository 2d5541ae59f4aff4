"""Sequences of token ids, and documents vectorized into them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.nn import functional as F

from skdeep import LSTMClassifier, LSTMRegressor, SequenceVectorizer

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N, T, E, H = 8, 5, 3, 4
LENGTHS = np.array([5, 2, 4, 1, 5, 3, 3, 2])
IS_THERE = np.arange(T) < LENGTHS[:, np.newaxis]
X = np.where(IS_THERE, np.random.default_rng(0).integers(1, 9, (N, T)), 0)
X[0, 0] = 8
LISTED = [row[:length].tolist() for row, length in zip(X, LENGTHS, strict=True)]
y = np.arange(N) % 2


def classifier(**params):
    few = {"embedding_dim": E, "max_iter": 2, "random_state": 0}
    return LSTMClassifier(H, **{**few, **params})


class Reference(nn.Module):
    """torch's own embedding, LSTM and linear layer, with an estimator's weights."""

    def __init__(self, model):
        super().__init__()
        weights = {k: v.detach().clone() for k, v in model.module_.state_dict().items()}
        dtype = weights["head.weight"].dtype
        self.embedding = nn.Embedding(*weights["embedding.weight"].shape, dtype=dtype)
        self.layer = nn.LSTM(E, H, batch_first=True, dtype=dtype)
        self.head = nn.Linear(H, 1, dtype=dtype)
        self.load_state_dict(
            {name.replace("forwards.0", "layer"): w for name, w in weights.items()}
        )

    def forward(self, sequences):
        """Return a raw score for each of the sequences, read one by one."""
        read = [self.embedding(torch.tensor(ids)[None]) for ids in sequences]
        return torch.stack([self.head(self.layer(x)[0][0, -1])[0] for x in read])


def test_scores_and_step_equal_torch():
    params = dict(solver="sgd", momentum=0, nesterovs_momentum=False, alpha=0.0)
    model = classifier(
        dtype="float64", batch_size=N, learning_rate_init=0.1, **params
    ).fit(X, y)
    reference = Reference(model)
    raw = reference(LISTED)
    np.testing.assert_allclose(model.decision_function(X), raw.detach(), atol=1e-12)
    target = torch.as_tensor(y, dtype=torch.float64)
    F.binary_cross_entropy_with_logits(raw, target).backward()
    model.partial_fit(X, y)
    for (name, before), after in zip(
        reference.named_parameters(), Reference(model).parameters(), strict=True
    ):
        expected = before - 0.1 * before.grad
        torch.testing.assert_close(after, expected, msg=name, rtol=1e-9, atol=1e-12)


FORMS = {
    "list": LISTED,
    "arrays": [np.array(ids, dtype="int32") for ids in LISTED],
    "series": pd.Series(LISTED),
    "objects": np.array([*LISTED, None], dtype=object)[:-1],
    "frame": pd.DataFrame(X),
    "more padding": np.pad(X, [(0, 0), (0, 3)]),
    "small": X.astype("uint8"),
    "floats": X.astype(float),
    "fortran": np.asfortranarray(X),
}


@pytest.mark.parametrize("form", FORMS)
def test_containers_and_padding_do_not_change_predictions(form):
    expected = classifier().fit(X, y).predict_proba(X)
    model = classifier().fit(FORMS[form], y)
    np.testing.assert_allclose(model.predict_proba(FORMS[form]), expected, rtol=1e-6)
    assert model.n_features_in_ == 1
    assert next(model.module_.parameters()).dtype == torch.float32
    for ids, p in zip(LISTED, expected, strict=True):
        np.testing.assert_allclose(model.predict_proba([ids])[0], p, rtol=1e-5)


def test_type_of_predictions():
    """Integer ids give float32; float ids and ``dtype`` decide otherwise."""
    assert classifier().fit(X, y).predict_proba(X).dtype == np.float32
    assert classifier(dtype="float64").fit(X, y).predict_proba(X).dtype == np.float64
    assert classifier().fit(X.astype(float), y).predict_proba(X).dtype == np.float64


def test_vocabulary_size_and_unseen_tokens():
    model = classifier().fit(X, y)
    assert model.module_.embedding.num_embeddings == 9
    model = classifier(vocabulary_size=20).fit(X, y)
    assert model.module_.embedding.num_embeddings == 20
    assert np.isfinite(model.predict_proba([[1, 19]])).all()
    # An unseen token is neutral, like an unknown one.
    model.partial_fit([[2, 19]], [0])


def test_unknown_token_is_neutral_unless_trained():
    seen = np.where(X == 1, 2, X)
    table = classifier(alpha=0.0).fit(seen, y).module_.embedding.weight.detach()
    assert (table[:2] == 0).all()
    assert (table[2:] != 0).all()


def test_dropout_of_tokens_only_in_training():
    first, second = (classifier(dropout=0.5, max_iter=4).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    with torch.no_grad():
        expected = Reference(first)(LISTED)
    np.testing.assert_allclose(first.decision_function(X), expected, atol=1e-6)


# -- documents -------------------------------------------------------------------------

GOOD, BAD = ["good", "great", "fine", "lovely"], ["bad", "awful", "poor", "dull"]
REST = "the a film plot actor scene was and it this that one".split()


def reviews(n, seed):
    """Sentences of common words with one informative word."""
    rng = np.random.default_rng(seed)
    is_good = rng.integers(0, 2, n)
    texts = []
    for label in is_good:
        words = rng.choice(REST, rng.integers(2, 9)).tolist()
        words.insert(rng.integers(len(words) + 1), rng.choice(GOOD if label else BAD))
        texts.append(" ".join(words))
    return texts, np.where(is_good, "good", "bad")


def text_classifier(**params):
    few = dict(learning_rate_init=0.02, max_iter=25, random_state=0)
    return make_pipeline(
        SequenceVectorizer(), LSTMClassifier(16, embedding_dim=8, **{**few, **params})
    )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_learns_from_documents(cell):
    texts, labels = reviews(300, seed=0)
    model = text_classifier(cell=cell).fit(texts[:200], labels[:200])
    assert model.score(texts[200:], labels[200:]) > 0.9
    # Unseen words and lengths.
    assert model.predict(["good", "it was good " + "unheard " * 40]).shape == (2,)
    states = model.transform(texts[:3])
    assert states.shape == (3, 16)


def test_order_of_words_is_learned():
    """The classes differ only in the order of two words."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 120)
    pair = np.array([["not", "so"], ["so", "not"]])[label]
    texts = [" ".join([*rng.choice(REST, 3), *words]) for words in pair]
    model = text_classifier(max_iter=40).fit(texts[:80], label[:80])
    assert model.score(texts[80:], label[80:]) > 0.95


def test_cross_validation_and_search_over_documents():
    texts, labels = reviews(90, seed=1)
    for documents in (texts, np.array(texts), pd.Series(texts)):
        scores = cross_val_score(
            text_classifier(max_iter=2), documents, labels, cv=3, error_score="raise"
        )
        assert scores.shape == (3,)
    search = GridSearchCV(
        text_classifier(max_iter=2),
        {
            "lstmclassifier__bidirectional": [False, True],
            "sequencevectorizer__min_df": [1, 2],
        },
        cv=3,
        error_score="raise",
    ).fit(texts, labels)
    assert search.predict(texts).shape == (90,)


def test_regressor_of_documents():
    texts, labels = reviews(200, seed=2)
    number = np.where(labels == "good", 2.0, -1.0)
    model = make_pipeline(
        SequenceVectorizer(),
        LSTMRegressor(
            hidden_size=16,
            embedding_dim=8,
            learning_rate_init=0.02,
            max_iter=25,
            random_state=0,
        ),
    ).fit(texts[:150], number[:150])
    assert model.score(texts[150:], number[150:]) > 0.7


# -- bad input -------------------------------------------------------------------------


def with_id(token, where=(1, 0)):
    ids = X.astype(type(token)) if not isinstance(token, int) else X.copy()
    ids[where] = token
    return ids


BAD_IDS = {
    "negative": (with_id(-3), r"token ids \(integers >= 0\), got -3"),
    "fraction": (with_id(1.5), r"token ids .* got 1\.5 \(float64\)"),
    "numbers": (np.linspace(0.5, 2, N * T).reshape(N, T), r"token ids .* got 0\.5"),
    "huge": (with_id(10**18), "token ids .* got 10+"),
    "huge float": (with_id(1e30), r"token ids .* got 1e\+30"),
    "no sign": (X.astype("uint64") + np.uint64(2**63), "token ids .* got 922"),
    "true": (X > 0, r"token ids .* got True \(bool\)"),
    "text": (X.astype(str), "token ids .* got '8'"),
    "NaN": (with_id(np.nan), "Input X contains NaN"),
    "infinity": (with_id(np.inf), "Input X contains infinity"),
    "inside": (with_id(0), "Token id 0 is padding, .* sample 1 .* at step 0"),
    "inside a list": ([[1, 0, 2], *LISTED[1:]], "sample 0 .* at step 1"),
    "no tokens": (np.where(np.arange(N)[:, None] == 2, 0, X), "Sequence 2 of X has le"),
    "empty": ([*LISTED[:7], []], "Sequence 7 of X has length 0"),
    "three axes": (X[:, :, np.newaxis], "dim 3"),
    "one axis": (X[0], "Expected 2D array, got 1D"),
    "documents": (["a b"] * N, "Expected 2D array, got 1D"),
    "numbers in lists": ([[1.5, 2.0], *LISTED[1:]], r"token ids .* got 1\.5"),
}


@pytest.mark.parametrize("kind", BAD_IDS)
def test_invalid_token_ids(kind):
    ids, message = BAD_IDS[kind]
    with pytest.raises(ValueError, match=message):
        classifier().fit(ids, y)
    model = classifier().fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.predict(ids)


def test_tokens_outside_the_vocabulary():
    message = r"token id 9, outside the vocabulary: the ids are 0 to 8\. Use 1 for"
    model = classifier().fit(X, y)
    for use in (model.predict, model.transform, lambda x: model.score(x, y)):
        with pytest.raises(ValueError, match=message):
            use(with_id(9))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(with_id(9), y)
    with pytest.raises(ValueError, match="X_val and y_val do not fit: .* token id 9"):
        model.fit(X, y, X_val=with_id(9)[:3], y_val=y[:3])
    with pytest.raises(ValueError, match="token id 8, .* the ids are 0 to 4"):
        classifier(vocabulary_size=5).fit(X, y)


def test_vocabulary_too_large_for_the_memory():
    message = r"Not enough memory for .*embedding_dim\)=\(1000000000000, 3\)"
    with pytest.raises(MemoryError, match=message):
        classifier(vocabulary_size=10**12).fit(X, y)
