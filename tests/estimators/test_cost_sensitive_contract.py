"""CostSensitiveClassifier in pipelines and scikit-learn's tools, and persistence."""

import copy
import functools
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdeep import (
    CostSensitiveClassifier,
    LSTMClassifier,
    MLPClassifier,
    ModuleClassifier,
    SlidingWindow,
)
from skdeep.metrics import make_cost_scorer
from tests.estimators.row_cost_data import FOLDS, FP, X, logistic, network, y
from tests.round_trips import WAYS

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)


def two_layers(n_features, n_outputs):
    hidden = nn.Linear(n_features, 8)
    return nn.Sequential(hidden, nn.ReLU(), nn.Linear(8, n_outputs))


# -- pipelines -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "nested"),
    [("threshold", True), ("weighted", False), ("direct", True), ("auc", False)],
)
def test_network_inside_a_pipeline(strategy, nested):
    scaled = StandardScaler().fit_transform(X)
    last = make_pipeline(network()) if nested else network()
    model = CostSensitiveClassifier(
        make_pipeline(StandardScaler(), last),
        2,
        strategy=strategy,
        cv=[(np.arange(300), np.arange(300))],
        random_state=0,
    ).fit(X, y)
    alone = clone(model).set_params(estimator=network()).fit(scaled, y)
    np.testing.assert_allclose(
        model.decision_function(X), alone.decision_function(scaled), atol=1e-9
    )
    end = model.estimators_[0][-1][-1] if nested else model.estimators_[0][-1]
    losses = {"direct": {"expected_cost", "log_loss"}, "auc": {"pairwise_auc"}}
    assert end.loss in losses.get(strategy, {"log_loss"})
    assert not end.warm_start


def test_weights_reach_the_last_step_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make_pipeline(LogisticRegression()))
    model = CostSensitiveClassifier(pipeline, 3, strategy="threshold")
    model.fit(X, y, sample_weight=FP)
    expected = pipeline.fit(X, y, pipeline__logisticregression__sample_weight=FP)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    "strategy",
    [
        "threshold",
        "direct",
        *(
            pytest.param(s, marks=pytest.mark.nightly)
            for s in ("tuned", "weighted", "auc")
        ),
    ],
)
def test_sliding_windows_and_lstm(strategy):
    pipeline = make_pipeline(
        StandardScaler(),
        SlidingWindow(4, context="train"),
        LSTMClassifier(4, max_iter=3, learning_rate_init=0.05),
    )
    model = CostSensitiveClassifier(
        pipeline, 2, strategy=strategy, cv=TimeSeriesSplit(2), random_state=0
    ).fit(X, y)
    assert set(model.predict(X)) <= {0, 1}
    p = model.predict_proba(X)
    assert p.shape == (300, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("strategy", ["threshold", "direct", "auc"])
def test_sequences(strategy):
    sequences = X.reshape(300, 6, 1)
    model = CostSensitiveClassifier(
        LSTMClassifier(4, max_iter=2), 2, strategy=strategy, cv=2, random_state=0
    ).fit(sequences, y)
    assert model.decision_function(sequences).shape == (300,)


@pytest.mark.parametrize(
    "strategy", ["weighted", "direct", pytest.param("auc", marks=pytest.mark.nightly)]
)
def test_module(strategy):
    model = CostSensitiveClassifier(
        ModuleClassifier(two_layers, max_iter=40, learning_rate_init=0.02),
        2,
        strategy=strategy,
        cv=2,
        random_state=0,
    ).fit(X, y)
    positive = model.predict(X) == 1
    cost = np.where(y == 1, ~positive, 2 * positive).mean()
    assert cost < 0.7 * min(np.mean(y == 1), 2 * np.mean(y == 0))


@pytest.mark.parametrize("strategy", ["direct", "auc"])
def test_loss_of_the_network_is_replaced(strategy):
    model = CostSensitiveClassifier(
        network(loss="hinge"), 2, strategy=strategy, cv=2, random_state=0
    ).fit(X, y)
    same = clone(model).set_params(estimator=network()).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), same.predict(X))


def test_weights_count_in_costs_without_sample_weight_support():
    model = CostSensitiveClassifier(
        KNeighborsClassifier(15), 3, strategy="tuned", cv=FOLDS
    )
    with pytest.warns(UserWarning, match="KNeighborsClassifier takes no sample_weight"):
        model.fit(X, y, sample_weight=FP)
    folds = [np.average(y[i] == 1, weights=FP[i]) for _, i in FOLDS]
    assert model.cv_costs_.loc["never", "mean"] == pytest.approx(np.mean(folds))


def test_frozen_estimator():
    frozen = FrozenEstimator(GaussianNB().fit(X[:100], y[:100]))
    expected = frozen.predict_proba(X)
    model = CostSensitiveClassifier(frozen, 3, strategy="threshold").fit(X, y)
    fixed = FixedThresholdClassifier(
        frozen, threshold=0.75, response_method="predict_proba"
    ).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), fixed.predict(X))
    model.set_params(strategy="tuned", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    np.testing.assert_array_equal(model.predict(X), expected[:, 1] >= model.threshold_)
    np.testing.assert_array_equal(frozen.predict_proba(X), expected)


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "auto"])
def test_frames_with_categories_and_missing_values(strategy):
    frame = pd.DataFrame(X, columns=list("abcdef")).where(lambda f: f < 2)
    frame["kind"] = pd.Categorical(np.where(X[:, 0] > 0, "up", "down"))
    trees = HistGradientBoostingClassifier(max_iter=10, random_state=0)
    model = CostSensitiveClassifier(
        trees, 3, strategy=strategy, cv=2, random_state=0
    ).fit(frame, pd.Series(y, index=range(1000, 1300)))
    assert frame.isna().any(axis=None)
    assert model.n_features_in_ == 7
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    if strategy == "threshold":
        p = clone(trees).fit(frame, y).predict_proba(frame)[:, 1]
        np.testing.assert_array_equal(model.predict(frame), p >= 0.75)
    assert model.predict(frame[:5]).shape == (5,)


@pytest.mark.parametrize(
    "strategy",
    [
        "threshold",
        *(pytest.param(s, marks=pytest.mark.nightly) for s in ("tuned", "auto")),
    ],
)
def test_search_over_parameters_of_the_classifier(strategy):
    search = GridSearchCV(
        logistic(3, strategy, random_state=0),
        {"estimator__C": [1e-4, 1.0], "alpha": [3]},
        scoring=make_cost_scorer(3),
        cv=FOLDS,
        error_score="raise",
    ).fit(X, y)
    expected = []
    for C in (1e-4, 1.0):
        model = logistic(3, strategy, random_state=0).set_params(estimator__C=C)
        paid = []
        for train, test in FOLDS:
            positive = clone(model).fit(X[train], y[train]).predict(X[test]) == 1
            paid.append(np.where(y[test] == 1, ~positive, 3 * positive).mean())
        expected.append(-np.mean(paid))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected)


# -- estimator conventions -------------------------------------------------------------


MODELS = {
    "threshold": lambda: logistic(3).fit(X, y),
    "tuned": lambda: logistic(3, "tuned", cv=3, random_state=0).fit(X, y),
    "weighted": lambda: logistic(3, "weighted").fit(X, y),
    "auto": lambda: logistic(3, "auto", cv=3, random_state=0).fit(X, y),
    "sigmoid": lambda: logistic(3, calibration="sigmoid", cv=3).fit(X, y),
    "isotonic": lambda: logistic(3, calibration="isotonic", cv=3).fit(X, y),
    "direct": lambda: CostSensitiveClassifier(network(), 3, strategy="direct").fit(
        X, y
    ),
    "auc": lambda: CostSensitiveClassifier(
        network(), 3, strategy="auc", cv=2, random_state=0
    ).fit(X, y),
    "abstain": lambda: logistic(abstain_cost=0.3, abstain_label="?").fit(
        X, y.astype(str)
    ),
    "matrix": lambda: logistic(
        1, cost_matrix=[[0, 1, 4], [2, 0, 1], [1, 5, 0]], calibration="isotonic"
    ).fit(X, (X[:, 0] > 0) + y),
    "constant": lambda: CostSensitiveClassifier(
        KNeighborsClassifier(1, algorithm="brute"), abstain_cost=0.05, random_state=0
    ).fit(X[:, :1], y),
}


@functools.cache
def fitted(name):
    """Return a fitted model; tests must not change it."""
    return MODELS[name]()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_serialization_round_trip(name, way):
    model = fitted(name)
    rows = X[:, : model.n_features_in_]
    loaded = WAYS[way](model)
    for method in ("predict", "predict_proba", "decision_function"):
        got, expected = (getattr(m, method)(rows) for m in (loaded, model))
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype
    assert loaded.strategy_ == model.strategy_
    if hasattr(model, "cv_costs_"):
        pd.testing.assert_frame_equal(loaded.cv_costs_, model.cv_costs_)
    if name in ("threshold", "tuned", "sigmoid"):
        again = copy.copy(model).set_params(alpha=7)
        assert loaded.set_params(alpha=7).threshold_ == again.threshold_


@pytest.mark.parametrize("name", ["direct", "auc"])
def test_pickle_names_no_torch(name):
    assert b"torch" not in pickle.dumps(fitted(name))


@pytest.mark.parametrize("strategy", ["weighted", "direct", "auc", "auto"])
def test_random_state_determines_the_result(strategy):
    quick = MLPClassifier((6,), max_iter=4, learning_rate_init=0.05)
    found = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        model = CostSensitiveClassifier(
            quick, 2, strategy=strategy, cv=2, random_state=3
        ).fit(X, y)
        found.append((model.predict_proba(X), model.threshold_))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert (other.predict_proba(X) != found[0][0]).any()


def test_without_random_state_numpys_global_seed_determines_the_result():
    quick = MLPClassifier((6,), max_iter=2)
    model = CostSensitiveClassifier(quick, 2, strategy="tuned", cv=2)
    found = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        found.append(model.fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(*found)
    assert (model.fit(X, y).predict_proba(X) != found[0]).any()


def test_number_of_threads_has_no_effect():
    model = CostSensitiveClassifier(network(), 2, cv=2, random_state=0)
    expected = clone(model).fit(X, y).predict_proba(X)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = model.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "direct", "auto"])
def test_estimator_is_not_modified(strategy):
    estimator = network()
    before = str(estimator.get_params())
    model = CostSensitiveClassifier(estimator, 2, strategy=strategy, cv=2).fit(X, y)
    assert str(estimator.get_params()) == before
    assert not hasattr(estimator, "coefs_")
    assert model.estimator is estimator


@pytest.mark.parametrize(
    "changed",
    [
        {"pos_label": 0},
        {"cost_matrix": [[0, 9], [1, 0]], "alpha": 1},
        {"strategy": "threshold"},
        {"calibration": "sigmoid"},
        {"estimator": GaussianNB()},
        {"random_state": 5},
    ],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("strategy", ["weighted", "tuned"])
def test_changed_parameters_keep_probabilities(strategy, changed):
    model = logistic(3, strategy, cv=FOLDS).fit(X, y)
    before = model.predict_proba(X)
    model.set_params(**changed)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_failed_fit_keeps_the_earlier_fit():
    model = logistic(3, "tuned", cv=FOLDS).fit(X, y)
    expected = model.predict(X), model.threshold_, model.cv_costs_.loc["tuned", "mean"]
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 2, np.nan, X), y)
    np.testing.assert_array_equal(model.predict(X), expected[0])
    found = model.threshold_, model.cv_costs_.loc["tuned", "mean"]
    assert found == expected[1:]


def test_refit_forgets_the_earlier_fit():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = logistic(3, "auto", cv=3, random_state=0).fit(frame, y, fp_cost=FP)
    model.set_params(strategy="threshold").fit(X[:, :3], y)
    refitted = logistic(3).fit(X[:, :3], y)
    np.testing.assert_array_equal(model.predict(X[:, :3]), refitted.predict(X[:, :3]))
    assert model.n_features_in_ == 3
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "cv_costs_")
