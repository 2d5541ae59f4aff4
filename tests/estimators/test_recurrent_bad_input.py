"""Invalid sequences raise an error that names the problem."""

import traceback

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skdeep import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N, T, D = 12, 5, 2
X = np.random.default_rng(0).normal(size=(N, T, D))
y = np.arange(N) % 2
FLAT = X[:, :, 0]


@pytest.fixture(params=[LSTMClassifier, LSTMRegressor])
def make(request):
    """Make a small classifier, or regressor."""

    def build(**params):
        few = {"hidden_size": 3, "max_iter": 1, "random_state": 0}
        return request.param(**{**few, **params})

    return build


def assert_raises(function, message, error=ValueError):
    """Check the error, and that it was not raised inside torch."""
    with pytest.raises(error, match=message) as caught:
        function()
    last = traceback.extract_tb(caught.tb)[-1].filename
    assert "/torch/" not in last, f"raised in {last}"


def with_value(value, *where, of=X):
    changed = of.copy()
    changed[where] = value
    return changed


SEQUENCES = {
    "four axes": (X[..., None], r"X must be \(n_samples, .* got shape \(12, 5, 2, 1\)"),
    "four axes in a list": (list(X[..., None]), r"sequence 0 has shape \(5, 2, 1\)"),
    "one axis": (X[:, 0, 0], "Expected 2D array, got 1D array"),
    "numbers": (FLAT[:, 0].tolist(), "Expected 2D array, got 1D array"),
    "scalar": (3.0, "Expected 2D array, got scalar"),
    "nothing": (None, "Expected 2D array, got scalar|NoneType"),
    "axes that differ": ([*X[:11], X[0, 0]], r"sequence 11 has shape \(2,\)"),
    "a number among them": ([*X[:11], 3.0], r"sequence 11 has shape \(\)"),
    "ragged steps": ([*X[:11].tolist(), [[1.0], [1.0, 2.0]]], "steps have different"),
    "features": ([*X[:11], np.zeros((3, 4))], "Sequence 11 of X has 4 features, .* 2"),
    "no sequences": (X[:0], r"0 sample\(s\)"),
    "empty list": ([], "Expected 2D array, got 1D array"),
    "no steps": (X[:, :0], r"without steps or features: its shape is \(12, 0, 2\)"),
    "no features": (
        X[:, :, :0],
        r"without steps or features: its shape is \(12, 5, 0\)",
    ),
    "no columns": (FLAT[:, :0], r"0 feature\(s\)"),
    "length 0": (with_value(np.nan, 3), "Sequence 3 of X has length 0"),
    "length 0 in 2-D": (with_value(np.nan, 3, of=FLAT), "Sequence 3 of X has length"),
    "length 0 in a list": ([*X[:11], X[0, :0]], "Sequence 11 of X has length 0"),
    "flat length 0 in a list": ([*FLAT[:11], []], "Sequence 11 of X has length 0"),
    "NaN inside": (with_value(np.nan, 3, 2), "NaN inside a sequence: sample 3, step 2"),
    "NaN inside in 2-D": (with_value(np.nan, 3, 2, of=FLAT), "sample 3, step 2"),
    "NaN at the start": (with_value(np.nan, 3, 0), "sample 3, step 0"),
    "a NaN in the last step": (with_value(np.nan, 3, 4, 1), "sample 3, step 4"),
    "NaN in a list": (list(with_value(np.nan, 3, 2, 1)), "sample 3, step 2"),
    "None": (with_value(None, 3, 2, of=X.astype(object)), "sample 3, step 2"),
    "infinity": (with_value(np.inf, 3, 2, 1), "Input X contains infinity"),
    "infinity in 2-D": (with_value(-np.inf, 3, 2, of=FLAT), "Input X contains infin"),
    "infinity in a list": (list(with_value(np.inf, 3, 2)), "Input X contains infinity"),
    "text": (np.full((N, T, D), "a"), "could not convert string to float: .*'a'"),
    "text in 2-D": ([["a", "b"]] * N, "could not convert string to float: .*'a'"),
    "documents": (["a b", "c"] * 6, "could not convert string to float: 'a b'"),
    "complex": (X.astype(complex), "Complex data not supported"),
    "frame of text": (
        pd.DataFrame({"number": FLAT[:, 0], "name": "a"}),
        "could not convert string to float: 'a'",
    ),
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_invalid_sequences(make, kind):
    rows, message = SEQUENCES[kind]
    assert_raises(lambda: make().fit(rows, y), message)
    if kind not in ("no columns", "frame of text"):
        three_axes = make().fit(X, y)
        expected = message if "2-D" not in kind else f"{message}|X has . features"
        assert_raises(lambda: three_axes.predict(rows), expected)


def test_sparse_input(make):
    model = make().fit(X, y)
    for rows in (sparse.csr_array(FLAT), sparse.csc_matrix(FLAT)):
        for use in (model.predict, lambda x: make().fit(x, y)):
            assert_raises(lambda u=use, r=rows: u(r), "dense data is req", TypeError)


def test_invalid_targets(make):
    assert_raises(lambda: make().fit(X, None), "requires y to be passed")
    assert_raises(lambda: make().fit(X, y[:5]), r"inconsistent .* \[12, 5\]")
    assert_raises(lambda: make().fit(list(X), y[:5]), r"inconsistent .* \[12, 5\]")
    gone = np.where(y == 1, np.nan, 0.0)
    assert_raises(lambda: make().fit(X, gone), "Input y contains NaN")
    assert_raises(
        lambda: make().fit(X, y, sample_weight=np.ones(3)), r"sample_weight.shape"
    )
    deep = np.zeros((N, 2, 2))
    assert_raises(lambda: make().fit(X, deep), "dim 3|unknown")


def test_other_number_of_features_than_in_fit(make):
    model = make().fit(X, y)
    uses = [model.predict, model.transform, lambda x: model.partial_fit(x, y)]
    for use in uses:
        assert_raises(lambda u=use: u(X[:, :, :1]), "X has 1 features, .* expecting 2")
        assert_raises(
            lambda u=use: u(list(X[:, :, :1])), "X has 1 features, .* expecting 2"
        )
        # Two axes are not accepted even if the number of columns is right.
        for flat in (FLAT, FLAT[:, :2], FLAT[:, :2].tolist()):
            assert_raises(
                lambda u=use, f=flat: u(f), r"expecting 2 .* \(2-D X has one feature"
            )


def test_other_number_of_columns_than_in_fit(make):
    model = make().fit(FLAT, y)
    uses = [model.predict, model.transform, lambda x: model.partial_fit(x, y)]
    for use in uses:
        for flat in (FLAT[:, :4], FLAT[:, :4].tolist(), pd.DataFrame(FLAT[:, :4])):
            assert_raises(
                lambda u=use, f=flat: u(f), "X has 4 features, but LSTM.* expecting 5"
            )
        for deep in (X, np.zeros((N, 4, 5)), np.zeros((N, 4, 1))):
            message = r"X has shape \(12, ., .\), .* expecting 2-D X of 5 columns"
            assert_raises(lambda u=use, d=deep: u(d), message)


def test_invalid_validation_sequences(make):
    for rows, message in (
        (X[:4, :, :1], "X has 1 features"),
        (FLAT[:4], "2-D X has one feature"),
        (with_value(np.nan, 0)[:4], "length 0"),
    ):
        assert_raises(
            lambda r=rows: make().fit(X, y, X_val=r, y_val=y[:4]),
            f"X_val and y_val do not fit: .*{message}",
        )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hidden_size", [0, -1, 2.5, None, "8"]),
        ("cell", ["LSTM", "transformer", None]),
        ("num_layers", [0, 1.0]),
        ("bidirectional", ["yes", 2]),
        ("dropout", [-0.1, 1.0, 1, "a"]),
        ("truncation", [0, -3, 2.5]),
        ("return_sequences", [2, "all"]),
        ("embedding_dim", [0, 1.5]),
        ("vocabulary_size", [1, 0, 10.0]),
    ],
)
def test_invalid_parameters(make, name, values):
    for value in values:
        message = f"The '{name}' parameter of LSTM.*Got {value!r} instead"
        assert_raises(lambda v=value: make(**{name: v}).fit(X, y), message)


def test_contradictory_parameters(make):
    model = make(solver="lbfgs", dropout=0.5)
    assert_raises(lambda: model.fit(X, y), r"solver='lbfgs' .* dropout=0\.5")


def test_network_too_large_for_the_memory(make):
    assert_raises(
        lambda: make(hidden_size=10**9).fit(X, y), "hidden_size=10+, ", MemoryError
    )


def test_not_fitted(make):
    for name in ("predict", "transform", "get_feature_names_out"):
        method = getattr(make(), name)
        with pytest.raises(ValueError, match="is not fitted yet"):
            method(*[X][: name != "get_feature_names_out"])
    with pytest.raises(ValueError, match="is not fitted yet"):
        make(return_sequences=True).score(X, np.zeros((N, T)))


# -- likely mistakes -------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_named_columns_warn(make, frame):
    table = frame({"open": X[:, 0, 0], "close": X[:, 1, 0]})
    with pytest.warns(UserWarning, match=r"the 2 named columns .*SlidingWindow"):
        model = make(max_iter=1).fit(table, y)
    model.predict(table)  # warnings are errors: it warns in fit alone


def test_arrays_and_unnamed_columns_do_not_warn(make):
    rows = X[:, :, 0]
    for given in (rows, pd.DataFrame(rows), rows.tolist(), X):
        make(max_iter=1).fit(given, y)


IDS = np.arange(N * T).reshape(N, T) % 30 + 1


@pytest.mark.parametrize(
    "ids",
    [IDS, IDS.tolist(), IDS[:, :, None], [*IDS[1:], IDS[0, :2]], np.c_[IDS, 0 * IDS]],
    ids=["array", "list", "3-D", "ragged", "padded"],
)
def test_token_ids_without_an_embedding_warn(make, ids):
    with pytest.warns(UserWarning, match="looks like token ids .* embedding_dim"):
        make(max_iter=1).fit(ids, y)
    make(max_iter=1, embedding_dim=2).fit(np.asarray(IDS), y)


@pytest.mark.parametrize(
    "counts",
    [
        IDS.astype(float),
        IDS.astype(np.uint8),  # pixels
        IDS - 15,
        IDS % 5,
        IDS * 1000,
        np.where(IDS == 7, 0, IDS),  # a zero inside
    ],
    ids=["floats", "pixels", "negative", "few", "spread", "zeros"],
)
def test_other_integers_do_not_warn(make, counts):
    make(max_iter=1).fit(counts, y)
