"""Missing numbers: replaced by the mean of the column, with an indicator."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import make_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from skdeep import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


@pytest.fixture
def holes():
    """Numbers, some of them missing in columns 1 and 3."""
    rng = np.random.default_rng(0)
    X, y = make_regression(n_samples=80, n_features=4, random_state=0)
    X[rng.random(80) < 0.3, 1] = np.nan
    X[rng.random(80) < 0.1, 3] = np.nan
    return X, y / y.std()


def small(**params):
    return MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0, **params)


def test_same_as_scikit_learns_imputer(holes):
    X, y = holes
    inside = small().fit(X, y)
    before = make_pipeline(SimpleImputer(add_indicator=True), small()).fit(X, y)
    np.testing.assert_allclose(inside.loss_curve_, before[-1].loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(inside.predict(X), before.predict(X), rtol=1e-10)
    assert inside.coefs_[0].shape == (6, 5)
    assert inside.n_features_in_ == 4


def test_missing_in_prediction_only_are_imputed(holes):
    X, y = holes
    X_full = np.nan_to_num(X)
    model = small().fit(X_full, y)
    assert model.coefs_[0].shape == (4, 5)
    X_mean = np.where(np.isnan(X), X_full.mean(axis=0), X)
    np.testing.assert_allclose(model.predict(X), model.predict(X_mean))


def test_means_are_computed_from_training_rows_only(holes):
    """Held-out rows must not influence the means that replace missing numbers."""
    X, y = holes
    X_other = X.copy()
    X_other[-8:] *= 1000
    params = dict(early_stopping=True, validation_split="last")
    first, other = (small(**params).fit(rows, y) for rows in (X, X_other))
    np.testing.assert_array_equal(first.coefs_[0], other.coefs_[0])


def test_entirely_missing_column(holes):
    X, y = holes
    X[:, 0] = np.nan
    assert np.isfinite(small().fit(X, y).predict(X)).all()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame,
        lambda X: pd.DataFrame(X).convert_dtypes(),
        lambda X: pd.DataFrame(X).astype("Float64"),
        lambda X: pl.DataFrame(X, nan_to_null=True),
    ],
    ids=["pandas", "nullable", "Float64", "polars"],
)
def test_missing_in_data_frames(holes, frame):
    X, y = holes
    model = small().fit(frame(X), y)
    np.testing.assert_allclose(model.predict(frame(X)), small().fit(X, y).predict(X))


def test_float32(holes):
    X, y = holes
    model = small().fit(X.astype("float32"), y)
    assert model.predict(X.astype("float32")).dtype == np.float32
    np.testing.assert_allclose(
        model.predict(X.astype("float32")), small().fit(X, y).predict(X), rtol=1e-4
    )


def test_partial_fit_and_warm_start_keep_the_first_means(holes):
    X, y = holes
    model = small().partial_fit(X, y)
    one, other = X[:40], X[40:]
    model.partial_fit(one, y[:40]).partial_fit(other, y[40:])
    model.set_params(warm_start=True).fit(other, y[40:])
    means = np.nanmean(X, axis=0)
    full = np.where(np.isnan(X), means, X)
    expected = np.column_stack([full, np.isnan(X[:, [1, 3]])])
    hidden = np.maximum(expected @ model.coefs_[0] + model.intercepts_[0], 0)
    output = hidden @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.predict(X), output.ravel())


def test_missing_in_sparse_rows_raise(holes):
    X, y = holes
    with pytest.raises(ValueError, match="NaN.*sparse"):
        small().fit(sparse.csr_array(X), y)
    model = small().fit(sparse.csr_array(np.nan_to_num(X)), y)
    with pytest.raises(ValueError, match="NaN.*sparse"):
        model.predict(sparse.csr_array(X))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_raises(holes, value):
    X, y = holes
    X[2, 2] = value
    with pytest.raises(ValueError, match="Input X contains infinity"):
        small().fit(X, y)
    model = small().fit(holes[0][3:], y[3:])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.predict(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_targets_raise(holes, bad):
    X, y = holes
    y[3] = bad
    with pytest.raises(ValueError, match="Input y contains"):
        small().fit(X, y)
    with pytest.raises(ValueError, match="Input y contains"):
        MLPClassifier().fit(X, np.where(np.isfinite(y), 1.0, bad))


def test_tags_allow_nan():
    assert MLPClassifier().__sklearn_tags__().input_tags.allow_nan
    assert MLPRegressor().__sklearn_tags__().input_tags.allow_nan
