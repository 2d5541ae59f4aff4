"""Any container of the same numbers gives the same network and is not changed."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import is_classifier
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from torch import nn

from skdeep import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    LSTMClassifier,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    # The meaning of the columns does not matter here.
    pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning"),
]

NAMES = list("abcdef")


def in_memory_map(X, tmp_path):
    mapped = np.memmap(tmp_path / "X.bin", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    return np.memmap(tmp_path / "X.bin", dtype=X.dtype, mode="r", shape=X.shape)


def read_only(X, tmp_path):
    X = X.copy()
    X.flags.writeable = False
    return X


# Functions that put the numbers of X into another container.
CONTAINERS = {
    "list": lambda X, p: X.tolist(),
    "nested tuple": lambda X, p: tuple(map(tuple, X)),
    "Fortran order": lambda X, p: np.asfortranarray(X),
    "every second row": lambda X, p: np.repeat(X, 2, axis=0)[::2],
    "some columns": lambda X, p: np.hstack([X, X])[:, :6],
    "backwards": lambda X, p: X[::-1].copy()[::-1],
    "backwards columns": lambda X, p: X[:, ::-1].copy()[:, ::-1],
    "read-only": read_only,
    "memory map": in_memory_map,
    "object": lambda X, p: X.astype(object),
    "big-endian": lambda X, p: X.astype(">f8"),
    "pandas": lambda X, p: pd.DataFrame(X, columns=NAMES),
    "pandas, by row numbers": lambda X, p: pd.DataFrame(X, index=range(len(X), 0, -1)),
    "pandas nullable": lambda X, p: pd.DataFrame(X, columns=NAMES).convert_dtypes(),
    "pandas arrow": lambda X, p: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "polars": lambda X, p: pl.DataFrame(X, schema=NAMES),
}


def alternating(containers):
    """Pair each container with the classifier or the regressor of each family.

    The two share the checks of X.
    """
    kinds = ["Classifier", "Regressor"]
    return [
        pytest.param(family + kinds[i % 2], container, id=f"{family}-{container}")
        for i, container in enumerate(containers)
        for family in ("LSTM", "MLP", "Module")
    ]


@pytest.mark.parametrize(
    ("make", "container"), alternating(CONTAINERS), indirect=["make"]
)
def test_containers_of_X(make, data, container, tmp_path):
    X, y = data
    expected = make(max_iter=2).fit(X, y)
    given = CONTAINERS[container](X, tmp_path)
    model = make(max_iter=2).fit(given, y)
    assert model.loss_curve_ == expected.loss_curve_
    # The order of a sum may depend on the order of memory.
    np.testing.assert_allclose(output(model, given), output(expected, X), rtol=1e-12)
    assert model.n_features_in_ == 6
    assert hasattr(model, "feature_names_in_") == (
        getattr(given, "columns", [0])[0] == "a"
    )


CONTAINERS_OF_Y = {
    "list": list,
    "pandas": pd.Series,
    "index": lambda y: pd.Series(y, index=np.arange(len(y)) + 7),
    "polars": pl.Series,
    "strided": lambda y: np.repeat(y, 2)[::2],
    "object": lambda y: y.astype(object),
    "backwards": lambda y: y[::-1].copy()[::-1],
}


# Not in pairs: classes and numbers are read in different ways.
@pytest.mark.parametrize("container", CONTAINERS_OF_Y)
@pytest.mark.parametrize("make", ["MLPClassifier", "LSTMRegressor"], indirect=True)
def test_containers_of_y(make, data, container):
    X, y = data
    wrapped = CONTAINERS_OF_Y[container](y)
    expected, model = make().fit(X, y), make().fit(X, wrapped)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("dtype", [">f8", "f4", "f2", "i8", "u2", "i1", ">i4", "?"])
def test_dtypes_of_regression_targets(dtype):
    X, labels = make_classification(n_samples=50, random_state=0)
    y = labels.astype(dtype)
    model = MLPRegressor(max_iter=2, random_state=0).fit(X, y)
    expected = MLPRegressor(max_iter=2, random_state=0).fit(X, labels.astype(float))
    np.testing.assert_allclose(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("dtype", [int, bool, "u1", "f2"])
def test_other_dtypes_compute_in_float64(make, data, dtype):
    X, y = data
    X = np.round(np.abs(X)).astype(dtype)
    model = make(max_iter=2).fit(X, y)
    expected = make(max_iter=2).fit(X.astype(float), y)
    assert model.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(model.predict(X), expected.predict(X.astype(float)))


def output(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


@pytest.mark.parametrize("given", ["float32", "float64"])
@pytest.mark.parametrize(
    ("container", "computed"),
    [
        (np.asarray, None),
        (np.asarray, "float32"),
        (np.asarray, "float64"),
        (pd.DataFrame, None),
    ],
)
def test_dtype_is_the_precision_of_training(make, data, given, computed, container):
    """``dtype`` is the precision of training; predictions have the dtype of X."""
    X, y = data
    X = container(X.astype(given))
    model = make(dtype=computed, device="cpu").fit(X, y)
    assert output(model, X).dtype == given
    parameter = next(model.module_.parameters())
    assert str(parameter.dtype) == f"torch.{computed or given}"
    for array in getattr(model, "coefs_", []) + getattr(model, "intercepts_", []):
        assert array.dtype == given


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_continues_in_another_precision(make, data, solver):
    X, y = data
    y = np.unique(y, return_inverse=True)[1]
    labels = {"classes": np.unique(y)} if is_classifier(make()) else {}
    model = make(solver=solver, dtype="float32").partial_fit(X, y, **labels)
    model.set_params(dtype="float64").partial_fit(X, y)
    assert next(model.module_.parameters()).dtype == torch.float64
    model.set_params(dtype="float32").partial_fit(X, y)
    assert np.isfinite(output(model, X)).all()


def test_half_precision_predicts_like_scikit_learn(data):
    X, y = data
    y = np.unique(y, return_inverse=True)[1]
    model = MLPRegressor(max_iter=1).fit(X.astype("f2"), y)
    assert model.predict(X.astype("f2")).dtype == np.float64


def test_arrays_are_not_modified(make, data):
    X, y = data
    X = X.copy()
    X[3, 2] = 1e3
    copies = X.copy(), y.copy()
    weight = np.ones(len(X))
    make(early_stopping=True).fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_array_equal(X, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(weight, 1)


def test_predictions_are_not_views_of_the_network(make, data):
    X, y = data
    model = make().fit(X, y)
    before = output(model, X).copy()
    output(model, X)[:] = 0
    np.testing.assert_array_equal(output(model, X), before)


def test_reordered_columns_raise(make, data):
    X, y = pd.DataFrame(data[0], columns=NAMES), data[1]
    model = make().fit(X, y)
    np.testing.assert_array_equal(model.feature_names_in_, NAMES)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[NAMES[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X.to_numpy())


def test_predictions_do_not_depend_on_the_number_of_rows(make, data):
    """A row has the same prediction alone, in a batch and in several chunks."""
    X, y = data
    model = make().fit(X, y)
    together = output(model, X)
    alone = np.concatenate([output(model, X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, together, rtol=1e-12)
    many = output(model, np.tile(X, (200, 1)))
    np.testing.assert_allclose(many, np.tile(together.T, 200).T, rtol=1e-12)


def test_not_fitted(make, data):
    model = make()
    for method in ("predict", "score"):
        arguments = data if method == "score" else data[:1]
        with pytest.raises(NotFittedError):
            getattr(model, method)(*arguments)
    for attribute in ("net_", "module_"):
        with pytest.raises(AttributeError, match=attribute):
            getattr(model, attribute)
    assert not hasattr(model, "coefs_")


def rows_of_network(model, X):
    """Return what the network of a fitted estimator takes."""
    if hasattr(model, "image_shape_"):  # signals: scaled, with an axis for channels
        X = ((X - X.mean()) / X.std())[:, np.newaxis]
    return X.astype("float32")


def test_net_and_module_give_the_same_scores(make, data):
    X, y = data
    model = make(dtype="float32").fit(X, y)
    rows = rows_of_network(model, X)
    raw = model.net_.predict_proba(rows)
    net_says = model.net_.predict(rows)
    expected = model.predict(X)
    if hasattr(model, "classes_"):
        net_says = model.classes_[net_says]
        assert raw.shape == (len(X), 3)
        np.testing.assert_array_equal(net_says, expected)
    else:
        np.testing.assert_allclose(net_says.ravel(), expected, rtol=1e-5)
    assert [r["train_loss"] for r in model.net_.history] == model.loss_curve_


def test_linear_model_without_hidden_layers():
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = X @ [1.0, -2.0, 0.5] + 4
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="lbfgs", alpha=0, max_iter=500, tol=1e-9
    ).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0].ravel(), [1, -2, 0.5], atol=1e-5)
    np.testing.assert_allclose(model.intercepts_[0], [4], atol=1e-5)
    assert model.n_layers_ == 2


@pytest.mark.parametrize(
    "sizes", [7, (7,), [7], np.array([7]), np.int64(7), (np.int32(7),)]
)
def test_forms_of_hidden_layer_sizes(sizes, data):
    X, _ = data
    model = MLPClassifier(sizes, max_iter=1).fit(X, X[:, 0] > 0)
    assert [w.shape for w in model.coefs_] == [(6, 7), (7, 1)]


@pytest.fixture
def always_warn():
    """Make torch warn about every read-only array, not only the first."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.fixture(params=["read-only", "joblib"])
def locked(request, tmp_path):
    """Make arrays and estimators read-only."""

    def lock(value):
        if request.param == "read-only" and isinstance(value, np.ndarray):
            return read_only(value, tmp_path)
        path = tmp_path / f"{id(value)}.joblib"
        joblib.dump(value, path)
        return joblib.load(path, mmap_mode="r")

    return lock


def test_read_only_memory_does_not_warn(make, data, locked, always_warn):
    X, y = data
    weight = np.ones(len(X))
    X, y, weight = map(locked, (X, y, weight))
    model = make().fit(X, y, sample_weight=weight, X_val=X[:30], y_val=y[:30])
    expected = output(model, X)
    loaded = locked(model)
    np.testing.assert_array_equal(output(loaded, X), expected)
    loaded.partial_fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("kind", ["labels", "rows", "costs", "ensembles", "items"])
def test_other_read_only_memory(kind, locked, always_warn):
    rng = np.random.default_rng(0)
    X, y = locked(rng.normal(size=(40, 3))), locked(rng.integers(0, 2, 40))
    few = {"max_iter": 1, "random_state": 0}
    if kind == "labels":
        MLPClassifier((4,), **few).fit(X, locked(rng.integers(0, 2, (40, 3))))
    if kind == "rows":
        rows = locked(rng.dirichlet([1, 1], 40))
        MLPClassifier((4,), loss="kl_divergence", **few).fit(X, rows)
    if kind == "costs":
        costs = locked(np.array([[0.0, 1.0], [2.0, 0.0]]))
        loss = {"loss": "expected_cost", "cost_matrix": costs}
        LSTMClassifier(2, **loss, **few).fit(X, y)
    if kind == "ensembles":
        for cls in (DeepEnsembleClassifier, DeepEnsembleRegressor):
            model = cls(2, n_folds=2, **few).fit(X, y, locked(np.ones(40)))
            locked(model).predict(X)
    if kind == "items":
        items = [(row, label) for row, label in zip(X, y, strict=True)]

        class IndexOnlySequence(torch.utils.data.Dataset):
            def __len__(self):
                return 40

            def __getitem__(self, i):
                return items[i]

        ModuleClassifier(nn.Linear, **few).fit(IndexOnlySequence(), None)


def test_coefs_of_a_memory_map_can_be_set(tmp_path):
    X, y = make_classification(n_samples=50, n_features=6, random_state=0)
    model = MLPClassifier((4,), max_iter=1, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    mapped.predict(X)
    mapped.coefs_ = [2 * weights for weights in model.coefs_]
    model.coefs_ = [2 * weights for weights in model.coefs_]
    np.testing.assert_array_equal(mapped.predict_proba(X), model.predict_proba(X))


def test_a_weight_from_a_data_frame(always_warn):
    """pandas 3 returns read-only arrays."""
    X, y = make_classification(n_samples=50, n_features=6, random_state=0)
    frame = pd.DataFrame(X, columns=NAMES).assign(y=y, weight=1.0)
    MLPClassifier((4,), max_iter=1).fit(frame[NAMES], frame.y, frame.weight)
