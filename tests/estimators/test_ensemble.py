"""Deep ensembles compared with references in NumPy; folds and selection of members."""

import pickle
import pickletools
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdeep import DeepEnsembleClassifier, DeepEnsembleRegressor

# Private: folds and the greedy selection are compared with their definitions.
from skdeep.estimators._ensemble_recipe import assign_folds, choose_greedily
from skdeep.training import _dense
from skdeep.training._products import TORCH
from tests.round_trips import WAYS

SMALL = {"n_members": 4, "n_folds": 2, "max_iter": 6, "random_state": 0}


def classifier(**params):
    return DeepEnsembleClassifier(**{**SMALL, **params})


def regressor(**params):
    return DeepEnsembleRegressor(**{**SMALL, **params})


def classes(n_classes=3, n_samples=100):
    X, y = make_classification(
        n_samples=n_samples,
        n_features=6,
        n_informative=4,
        n_classes=n_classes,
        random_state=0,
    )
    return X, y


def line(n_samples=400, noise=0.0, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, 3))
    return X, X @ [1.0, -2.0, 3.0] + 5 + noise * rng.normal(size=n_samples)


# -- a reference in numpy --------------------------------------------------------------


def silu(z):
    return z / (1 + np.exp(-z))


def expanded(member, x):
    """Compute a member's features, column by column."""
    features, kind = member.features, member.hyperparameters["embedding"]
    parts = [x * features.relevance]
    for i, column in enumerate(features.columns):
        if kind == "periodic":
            angles = 2 * np.pi * np.outer(x[:, column], features.frequencies[i])
            more = np.hstack([np.sin(angles), np.cos(angles)])
        else:
            bins = pairwise(features.edges[i])
            more = np.column_stack([np.interp(x[:, column], b, [0, 1]) for b in bins])
        parts.append(more * features.relevance[column])
    return np.hstack(parts)


def forward(member, x):
    """Compute the forward pass of a member from its weights and its features."""
    x, arrays = expanded(member, x), member.network.arrays
    n_layers = len(arrays) // 2
    for i in range(n_layers):
        weight = arrays[f"layers.{i}.weight"].T.astype(float)
        x = x @ weight + arrays[f"layers.{i}.bias"]
        if i < n_layers - 1:
            relu = member.hyperparameters["activation"] == "relu"
            x = np.maximum(x, 0) if relu else silu(x)
    return x


def scaled(X):
    """Scale the columns of X by their quartiles, and squash them."""
    low, middle, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    x = (X - middle) / (high - low)
    return x / np.sqrt(1 + (x / 3) ** 2)


def test_probabilities_are_the_weighted_mean_of_the_members():
    X, y = classes()
    model = classifier(n_members=8).fit(X, y)
    expected = 0
    for member, weight in zip(model.members_, model.member_weights_, strict=True):
        scores = np.exp(forward(member, scaled(X)))
        expected += weight * scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-10)
    kinds = {member.hyperparameters["embedding"] for member in model.members_}
    assert kinds >= {"raw", "piecewise", "periodic"}


def test_mean_and_std_are_those_of_the_members():
    X, y = line(100, noise=1.0)
    model = regressor().fit(X, y)
    members = [forward(m, scaled(X))[:, 0] * y.std() + y.mean() for m in model.members_]
    mean = np.average(members, axis=0, weights=model.member_weights_)
    variance = np.average((members - mean) ** 2, axis=0, weights=model.member_weights_)
    predicted, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(predicted, mean, rtol=1e-9)
    np.testing.assert_array_equal(predicted, model.predict(X))
    # The remaining variance is that of the noise, the same for all rows.
    noise = std**2 - variance
    np.testing.assert_allclose(noise, noise[0], rtol=1e-6)
    assert noise[0] > 0


def test_predictions_under_autocast(monkeypatch):
    # numpy's products would not notice autocast.
    monkeypatch.setattr(_dense, "choose_library", lambda device: TORCH)
    X, y = classes()
    X = X.astype(np.float32)  # autocast does not convert float64
    model = classifier(max_iter=1)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(half, model.predict_proba(X))


# -- folds and selection ---------------------------------------------------------------


def test_folds_are_stratified():
    y = np.repeat([0, 1, 2], [41, 8, 3])
    folds = assign_folds(y, 4, np.random.RandomState(0))
    table = pd.crosstab(y, folds).to_numpy()
    assert (np.ptp(table, axis=1) <= 2).all()
    assert np.ptp(np.bincount(folds)) <= 1
    # Numbers are stratified too: each fold has low and high values.
    values = np.arange(40.0)[:, np.newaxis]
    folds = assign_folds(values, 4, np.random.RandomState(0))
    assert all(abs(values[folds == f].mean() - 19.5) < 2 for f in range(4))


def test_greedy_selection_is_no_worse_than_the_best_model():
    rng = np.random.RandomState(0)
    target = rng.normal(size=200)
    models = target + rng.normal(size=(5, 200)) * np.array([[1.0, 1.1, 1.2, 3, 9]]).T
    models[4] += 4

    def loss(model):
        return np.mean((model - target) ** 2)

    weights = choose_greedily(models, loss, 40)
    assert weights.sum() == pytest.approx(1)
    assert loss(weights @ models) < min(map(loss, models))
    assert weights[4] == 0
    # If no other model helps, the best one is selected alone.
    alone = np.array([target, target + 1])
    np.testing.assert_array_equal(choose_greedily(alone, loss, 10), [1, 0])


def test_members_of_a_set_share_a_weight():
    model = classifier(n_members=9, n_folds=3).fit(*classes())
    weights = model.member_weights_.reshape(3, 3)
    assert (weights == weights[:, :1]).all()
    assert weights.sum() == pytest.approx(1)
    assert [m.fold for m in model.members_] == [0, 1, 2] * 3
    for first in model.members_[::3]:
        members = [
            m for m in model.members_ if m.hyperparameters == first.hyperparameters
        ]
        assert len(members) == 3


@pytest.mark.parametrize(("n_members", "expected"), [(1, 3), (3, 3), (4, 6)])
def test_number_of_members_is_rounded_up_to_whole_sets(n_members, expected):
    model = classifier(n_members=n_members, n_folds=3, max_iter=2).fit(*classes(2))
    assert len(model.members_) == expected


def test_validation_score_is_out_of_fold():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(300, 5)), rng.randint(2, size=300)
    model = classifier(max_iter=40, n_iter_no_change=40).fit(X, y)
    assert abs(model.validation_score_ - 0.5) < 0.1
    assert model.validation_loss_ > 0.65


def test_sets_have_different_hyperparameters():
    model = regressor(n_members=8).fit(*line(100))
    drawn = [m.hyperparameters for m in model.members_[::2]]
    assert len({t["learning_rate_init"] for t in drawn}) == 4
    assert len({t["embedding"] for t in drawn}) == 3
    assert all(1 <= m.n_iter <= 6 for m in model.members_)
    assert "learning_rate_init" in repr(model.members_[0])


# -- quality of fits -------------------------------------------------------------------


def test_linear_target_is_learned():
    X, y = line(250)
    model = regressor(max_iter=30).fit(X, y)
    X_new, y_new = line(seed=1)
    assert model.score(X_new, y_new) > 0.98
    assert model.validation_score_ > 0.98


def test_intervals_from_standard_deviations_have_nominal_coverage():
    X, y = line(400, noise=2.0)
    model = regressor(max_iter=30).fit(X, y)
    X_new, y_new = line(2000, noise=2.0, seed=1)
    mean, std = model.predict(X_new, return_std=True)
    assert np.median(std) == pytest.approx(2.0, rel=0.2)
    inside = np.abs(y_new - mean) < 1.96 * std
    assert 0.92 < inside.mean() < 0.98


def test_classifier_is_no_worse_than_a_single_network():
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = classifier(n_members=8, n_folds=4, max_iter=12).fit(X_train, y_train)
    # scikit-learn's MLPClassifier, on scaled columns: accuracy 0.972, log loss 0.108.
    assert model.score(X_test, y_test) > 0.962
    assert log_loss(y_test, model.predict_proba(X_test)) < 0.108


def test_regressor_is_no_worse_than_a_single_network():
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = regressor(max_iter=20).fit(X_train, y_train)
    # scikit-learn's MLPRegressor, on scaled columns with early stopping: R² of 0.29.
    assert model.score(X_test, y_test) > 0.3


def test_several_outputs():
    X, y = line(250)
    Y = np.column_stack([y, 1000 * X[:, 0]])
    model = regressor(max_iter=25).fit(X, Y)
    predicted, std = model.predict(X, return_std=True)
    assert predicted.shape == std.shape == Y.shape
    assert (model.score(X, Y)) > 0.97
    assert std[:, 1].mean() > 10 * std[:, 0].mean()


def test_one_class():
    X, _ = classes()
    model = classifier(max_iter=1).fit(X, np.full(len(X), "only"))
    assert (model.predict(X) == "only").all()
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))


def test_constant_target():
    X, y = line(50)
    predicted = regressor(max_iter=2).fit(X, np.full(len(y), 7.0)).predict(X)
    np.testing.assert_allclose(predicted, 7.0, atol=2.0)


# -- raw tables ------------------------------------------------------------------------


def mixed_table(n_samples=240):
    """A frame whose target depends on a category and on missing numbers."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "city": pd.Categorical(rng.choice(["Bonn", "Köln", "Ulm"], n_samples)),
            "size": rng.normal(size=n_samples),
            "noise": rng.normal(size=n_samples),
        }
    )
    frame.loc[rng.uniform(size=n_samples) < 0.3, "size"] = np.nan
    y = (frame["city"] == "Ulm") ^ frame["size"].isna()
    return frame, np.where(y, "yes", "no")


def test_categories_and_missing_values_are_read():
    frame, y = mixed_table()
    model = classifier(max_iter=30).fit(frame[:180], y[:180])
    assert model.score(frame[180:], y[180:]) > 0.95
    assert list(model.feature_names_in_) == ["city", "size", "noise"]
    assert list(model.classes_) == ["no", "yes"]


def test_unknown_and_missing_categories_are_predicted():
    frame, y = mixed_table()
    model = classifier().fit(frame, y)
    others = frame.assign(city=pd.Categorical(["Aachen", None] * (len(frame) // 2)))
    assert np.isfinite(model.predict_proba(others)).all()


def test_polars_is_read_as_pandas():
    frame, y = mixed_table()
    other = pl.DataFrame(
        {name: frame[name].astype(object).tolist() for name in frame}
    ).with_columns(pl.col("city").cast(pl.Categorical), pl.col("size").fill_nan(None))
    expected = classifier().fit(frame, y).predict_proba(frame)
    got = classifier().fit(other, y).predict_proba(other)
    np.testing.assert_array_equal(got, expected)


def test_only_categories():
    frame, y = mixed_table()
    cities = frame[["city"]]
    p = classifier(max_iter=20).fit(cities, y).predict_proba(cities)
    assert len(np.unique(p.round(6), axis=0)) == 3


def test_many_columns():
    X, y = make_classification(100, 300, random_state=0)
    model = classifier(max_iter=2).fit(X, y)
    widths = {m.network.config["n_inputs"] for m in model.members_}
    assert max(widths) <= 300 + 256


def test_predictions_have_the_float_type_of_X():
    X, y = classes()
    X = X.astype(np.float32)
    assert classifier(max_iter=1).fit(X, y).predict_proba(X).dtype == np.float32
    assert regressor(max_iter=1).fit(X, y).predict(X).dtype == np.float32


def test_huge_and_constant_columns():
    X, y = classes()
    X[:, 0] = 1e300 * np.sign(X[:, 0])
    X[:, 1] = 3.0
    X[0, 2] = -1e200
    assert np.isfinite(classifier(max_iter=2).fit(X, y).predict_proba(X)).all()


# -- weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor])
def test_rows_of_weight_zero_are_ignored(make):
    X, y = classes()
    weight = np.random.RandomState(0).randint(0, 3, len(y)).astype(float)
    kept = weight > 0
    with_zeros = make().fit(X, y, sample_weight=weight)
    without = make().fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_array_equal(with_zeros.predict(X), without.predict(X))


def test_weights_shift_predictions():
    X, y = classes(2)
    plain = classifier().fit(X, y).predict_proba(X)[:, 1].mean()
    weighted = classifier().fit(X, y, np.where(y == 1, 20.0, 1.0))
    by_class = classifier(class_weight={0: 1.0, 1: 20.0}).fit(X, y)
    assert weighted.predict_proba(X)[:, 1].mean() > plain + 0.1
    np.testing.assert_array_equal(by_class.predict_proba(X), weighted.predict_proba(X))


def test_balanced_classes():
    X, y = classes(2, 300)
    rows = np.flatnonzero((y == 0) | (np.arange(300) % 10 == 0))
    X, y = X[rows], y[rows]
    weight = len(y) / (2 * np.bincount(y))[y]
    balanced = classifier(class_weight="balanced").fit(X, y)
    expected = classifier().fit(X, y, weight)
    np.testing.assert_allclose(
        balanced.predict_proba(X), expected.predict_proba(X), atol=1e-6
    )


# -- the same on every run -------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor])
def test_random_state_determines_the_result(make):
    X, y = classes()
    fitted = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002 - the test is about the global generator
        torch.manual_seed(seed)
        fitted.append(make().fit(X, y).predict(X))
        assert torch.initial_seed() == seed
    np.testing.assert_array_equal(*fitted)


def test_other_seeds_give_other_ensembles():
    X, y = classes()
    first, second = (classifier(random_state=s).fit(X, y) for s in (0, 1))
    assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted classifier, which tests must not change, and its rows."""
    frame, y = mixed_table()
    return classifier(max_iter=2).fit(frame, y), frame


@pytest.mark.parametrize("way", WAYS)
def test_round_trip_keeps_predictions(way, fitted):
    model, frame = fitted
    expected = model.predict_proba(frame)
    loaded = WAYS[way](model)
    np.testing.assert_array_equal(loaded.predict_proba(frame), expected)
    assert loaded.members_[3].hyperparameters == model.members_[3].hyperparameters


@pytest.mark.parametrize("make", [classifier, regressor])
def test_pickle_names_no_torch(make):
    X, y = classes()
    model = make(max_iter=2).fit(X, y)
    model.predict(X)
    operations = pickletools.genops(pickle.dumps(model))
    names = {str(arg) for _, arg, _ in operations if isinstance(arg, str)}
    assert not {name for name in names if "torch" in name}


def test_clone_and_refit():
    X, y = classes()
    model = classifier(max_iter=2).fit(X, y)
    again = clone(model).fit(X[:, :4], y)
    assert again.n_features_in_ == 4
    np.testing.assert_array_equal(
        model.fit(X[:, :4], y).predict_proba(X[:, :4]), again.predict_proba(X[:, :4])
    )


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_members": 0}, "'n_members' parameter .* Got 0"),
        ({"n_folds": 1}, "'n_folds' parameter .* Got 1"),
        ({"max_iter": 2.5}, "'max_iter' parameter .* Got 2.5"),
        ({"class_weight": "some"}, "'class_weight' parameter .* Got 'some'"),
        ({"class_weight": {0: -1, 1: 1, 2: 1}}, "class_weight must hold finite"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "class_weight leaves no sample"),
        ({"categorical_features": ["color"]}, "categorical_features names .'color'"),
        ({"device": "abacus"}, "Unknown device='abacus'"),
    ],
    ids=str,
)
def test_invalid_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        classifier(**params).fit(*classes())


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0]], [0], "at least 2 samples, got n_samples=1"),
        ([[1.0], [np.inf]], [0, 1], "Input X contains infinity"),
        ([[1.0], [2.0]], [0.5, 1.7], "Unknown label type: continuous"),
        ([[1.0], [2.0]], [[0, 1], [1, 1]], "one label per sample"),
        ([["a"], ["b"]], [0, 1], "convert string to float"),
        ([[1.0], [2.0]], [0, 1, 2], "inconsistent numbers of samples"),
    ],
    ids=["one row", "infinity", "numbers", "labels", "text", "lengths"],
)
def test_invalid_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y)


def test_invalid_weights():
    X, y = classes()
    with pytest.raises(ValueError, match="at least one non-zero"):
        classifier().fit(X, y, np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative values"):
        regressor().fit(X, y, np.full(len(y), -1.0))


def test_weights_beyond_float32():
    X = np.arange(24.0).reshape(12, 2)
    weight = np.r_[1e154, np.ones(11)]
    model = DeepEnsembleRegressor(n_members=2, n_folds=2, max_iter=1)
    with pytest.raises(ValueError, match=r"sample_weight .* 1e\+154; .* float32"):
        model.fit(X, X[:, 0], sample_weight=weight)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_the_default_type_of_torch_changes_nothing(make):
    X, y = classes()
    expected = make().fit(X, y).predict(X)
    torch.set_default_dtype(torch.float64)
    try:
        found = make().fit(X, y).predict(X)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)
