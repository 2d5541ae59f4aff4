"""Row costs of CostSensitiveClassifier, metadata routing, and folds in time order."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import (
    CostSensitiveClassifier,
    PurgedTimeSeriesSplit,
)
from skdeep.metrics import expected_cost, make_cost_scorer
from tests.estimators.row_cost_data import FN, FOLDS, FP, X, logistic, network, y

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)


@pytest.fixture
def routing():
    """Enable scikit-learn's metadata routing."""
    with config_context(enable_metadata_routing=True):
        yield


# -- costs of rows ---------------------------------------------------------------------


@pytest.mark.parametrize("given", [("fp_cost",), ("fn_cost",), ("fp_cost", "fn_cost")])
@pytest.mark.parametrize("pos_label", ["no", "yes"])
def test_row_costs_match_manual_decisions(given, pos_label):
    labels = np.array(["no", "yes"])[y]
    costs = {name: {"fp_cost": FP, "fn_cost": FN}[name] for name in given}
    model = logistic(pos_label=pos_label).fit(X, labels, **costs)
    p = LogisticRegression().fit(X, labels).predict_proba(X)
    fp, fn = 2 * costs.get("fp_cost", np.ones(300)), costs.get("fn_cost", np.ones(300))
    if pos_label == "yes":
        no, yes = p[:, 1] * fn, p[:, 0] * fp
    else:
        no, yes = p[:, 1] * fp, p[:, 0] * fn
    np.testing.assert_allclose(
        model.decision_function(X, **costs), no - yes, atol=1e-12
    )
    expected = np.where(no > yes, "yes", "no")
    np.testing.assert_array_equal(model.predict(X, **costs), expected)
    right = np.mean(expected == labels)
    assert model.score(X, labels, **costs) == pytest.approx(right)
    assert model.threshold_ == pytest.approx(2 / 3)


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted"])
def test_unit_row_costs_have_no_effect(strategy):
    model = logistic(3, strategy, random_state=0)
    plain = clone(model).fit(X, y)
    ones = {"fp_cost": np.ones(300), "fn_cost": [1] * 300}
    model.fit(X, y, **ones)
    np.testing.assert_array_equal(model.predict(X, **ones), plain.predict(X))
    assert model.threshold_ == pytest.approx(plain.threshold_)


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "direct"])
def test_alpha_multiplies_false_positives(strategy):
    model = CostSensitiveClassifier(network(), strategy=strategy, cv=FOLDS)
    by_rows = clone(model).fit(X, y, fp_cost=np.full(300, 3.0))
    by_alpha = model.set_params(alpha=3).fit(X, y)
    np.testing.assert_array_equal(
        by_rows.predict(X, fp_cost=np.full(300, 3.0)), by_alpha.predict(X)
    )


@pytest.mark.parametrize(
    "kind", [list, pd.Series, lambda c: pd.Series(c, index=range(500, 800)), np.float32]
)
def test_row_costs_of_any_type(kind):
    expected = logistic().fit(X, y, fn_cost=FN).predict(X, fn_cost=FN)
    predicted = logistic().fit(X, y, fn_cost=kind(FN)).predict(X, fn_cost=kind(FN))
    np.testing.assert_array_equal(predicted, expected)


def independent(n, seed):
    """Return rows with true probabilities, and costs independent of X."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3))
    p = expit(1.5 * rows[:, 0] - 0.5)
    labels = (rng.uniform(size=n) < p).astype(int)
    costs = {name: rng.lognormal(size=n) for name in ("fp_cost", "fn_cost")}
    return rows, p, labels, costs


def predictable(n, seed):
    """Return the same with a cost that is a function of X."""
    rows, p, labels, _ = independent(n, seed)
    return rows, p, labels, {"fn_cost": np.exp(rows[:, 1])}


@pytest.mark.parametrize("data", [independent, predictable])
@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "auto"])
def test_row_costs_approach_the_lowest_cost(strategy, data):
    rows, _, labels, costs = data(2000, 0)
    model = logistic(2, strategy, random_state=0).fit(rows, labels, **costs)
    rows, p, _, costs = data(20000, 1)
    positive = model.predict(rows, **costs) == 1
    fp, fn = 2 * costs.get("fp_cost", np.ones(20000)), costs["fn_cost"]
    paid = np.where(positive, fp * (1 - p), fn * p).mean()
    assert paid < 1.02 * np.minimum(fp * (1 - p), fn * p).mean()
    # The probabilities do not depend on the row costs.
    assert np.abs(model.predict_proba(rows)[:, 1] - p).mean() < 0.025


@pytest.mark.parametrize(
    "strategy", ["direct", pytest.param("auc", marks=pytest.mark.nightly)]
)
def test_networks_learn_predictable_row_costs(strategy):
    rows, _, labels, costs = predictable(2000, 0)
    model = CostSensitiveClassifier(
        network(alpha=1.0), 2, strategy=strategy, cv=2, random_state=0
    ).fit(rows, labels, **costs)
    rows, p, _, costs = predictable(20000, 1)
    positive = model.predict(rows, **costs) == 1
    paid = np.where(positive, 2 * (1 - p), costs["fn_cost"] * p).mean()
    assert paid < 1.05 * np.minimum(2 * (1 - p), costs["fn_cost"] * p).mean()


def test_direct_ignores_row_costs_in_predict():
    rows, _, labels, costs = predictable(2000, 0)
    model = CostSensitiveClassifier(network(), 2, strategy="direct", random_state=0)
    model.fit(rows, labels, **costs)
    np.testing.assert_array_equal(
        model.predict(rows, **costs), model.predict(rows, fn_cost=np.ones(2000))
    )


def test_row_costs_with_abstaining():
    model = logistic(abstain_cost=0.3).fit(X, y, fp_cost=FP)
    p = LogisticRegression().fit(X, y).predict_proba(X)
    expected = np.column_stack([p[:, 1], 2 * FP * p[:, 0], np.full(300, 0.3)])
    answers = np.array([0, 1, -1])[expected.argmin(axis=1)]
    np.testing.assert_array_equal(model.predict(X, fp_cost=FP), answers)


@pytest.mark.parametrize("strategy", ["tuned", "auto"])
def test_row_costs_in_cv_costs(strategy):
    model = logistic(2, strategy, cv=FOLDS).fit(X, y, fp_cost=FP, fn_cost=FN)
    table = model.cv_costs_
    for name, positive in {"never": 0, "always": 1}.items():
        decided = np.full(300, positive)
        folds = [
            expected_cost(
                y[i], decided[i], alpha=2, fp_cost=FP[i], fn_cost=FN[i], labels=[0, 1]
            )
            for _, i in FOLDS
        ]
        assert table.loc[name, "mean"] == pytest.approx(np.mean(folds))
        assert table.loc[name, "std"] == pytest.approx(np.std(folds))
    assert table.loc[model.strategy_, "mean"] < 0.9 * table.loc["never", "mean"]


@pytest.mark.parametrize("strategy", ["threshold", "tuned"])
def test_alpha_after_fit_with_row_costs(strategy):
    costs = {"fp_cost": FP, "fn_cost": FN}
    model = logistic(1, strategy, cv=FOLDS).fit(X, y, **costs)
    refitted = clone(model).set_params(alpha=4).fit(X, y, **costs)
    model.set_params(alpha=4)
    np.testing.assert_array_equal(
        model.predict(X, **costs), refitted.predict(X, **costs)
    )
    assert model.threshold_ == refitted.threshold_


# -- metadata routing ------------------------------------------------------------------


def test_row_costs_through_a_pipeline_without_routing():
    model = make_pipeline(StandardScaler(), logistic())
    name = "costsensitiveclassifier__"
    model.fit(X, y, **{f"{name}fp_cost": FP})
    direct = logistic().fit(StandardScaler().fit_transform(X), y, fp_cost=FP)
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(
        model.predict(X, fp_cost=FP), direct.predict(scaled, fp_cost=FP)
    )


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted"])
def test_row_costs_through_a_pipeline(strategy):
    costs = {"fp_cost": FP, "fn_cost": FN}
    inner = logistic(2, strategy, cv=FOLDS)
    model = make_pipeline(StandardScaler(), inner).fit(X, y, **costs)
    scaled = StandardScaler().fit_transform(X)
    direct = clone(inner).fit(scaled, y, **costs)
    np.testing.assert_array_equal(
        model.predict(X, **costs), direct.predict(scaled, **costs)
    )
    np.testing.assert_array_equal(
        model.decision_function(X, **costs), direct.decision_function(scaled, **costs)
    )
    assert model.score(X, y, **costs) == direct.score(scaled, y, **costs)
    np.testing.assert_array_equal(model.predict_proba(X), direct.predict_proba(scaled))


def costs_by_hand(make, folds):
    """Return the mean cost of decisions in each fold, computed row by row."""
    paid = []
    for train, test in folds:
        model = make().fit(X[train], y[train], fp_cost=FP[train], fn_cost=FN[train])
        positive = model.predict(X[test], fp_cost=FP[test], fn_cost=FN[test]) == 1
        fp, fn = 2 * FP[test] * (y[test] == 0), FN[test] * (y[test] == 1)
        paid.append(np.where(positive, fp, fn).mean())
    return np.array(paid)


class Scaled:
    """A scaler and a classifier without a pipeline."""

    def __init__(self, model):
        self.scaler, self.model = StandardScaler(), model

    def fit(self, X, y, **costs):
        self.model.fit(self.scaler.fit_transform(X), y, **costs)
        return self

    def predict(self, X, **costs):
        return self.model.predict(self.scaler.transform(X), **costs)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("strategy", ["threshold", "weighted"])
def test_row_costs_through_cross_validation(strategy):
    found = cross_validate(
        make_pipeline(StandardScaler(), logistic(2, strategy)),
        X,
        y,
        cv=FOLDS,
        scoring=make_cost_scorer(2),
        params={"fp_cost": FP, "fn_cost": FN},
        error_score="raise",
    )
    expected = costs_by_hand(lambda: Scaled(logistic(2, strategy)), FOLDS)
    np.testing.assert_allclose(found["test_score"], -expected)


@pytest.mark.usefixtures("routing")
def test_row_costs_through_a_search():
    grid = {"estimator__C": [1e-4, 1e-2, 1.0]}
    search = GridSearchCV(
        logistic(), grid, cv=FOLDS, scoring=make_cost_scorer(2), error_score="raise"
    ).fit(X, y, fp_cost=FP, fn_cost=FN)
    means = [
        -costs_by_hand(lambda C=C: logistic().set_params(estimator__C=C), FOLDS).mean()
        for C in grid["estimator__C"]
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], means)
    assert search.best_params_["estimator__C"] == grid["estimator__C"][np.argmax(means)]
    best = (
        logistic().set_params(**search.best_params_).fit(X, y, fp_cost=FP, fn_cost=FN)
    )
    np.testing.assert_array_equal(
        search.best_estimator_.predict(X, fp_cost=FP, fn_cost=FN),
        best.predict(X, fp_cost=FP, fn_cost=FN),
    )


@pytest.mark.usefixtures("routing")
def test_groups_reach_the_folds():
    groups = np.arange(300) // 50
    folds = list(GroupKFold(3).split(X, y, groups))
    by_folds = logistic(3, "tuned", cv=folds).fit(X, y)
    by_groups = logistic(3, "tuned", cv=GroupKFold(3)).fit(X, y, groups=groups)
    pd.testing.assert_frame_equal(by_groups.cv_costs_, by_folds.cv_costs_)
    assert by_groups.threshold_ == by_folds.threshold_
    model = make_pipeline(StandardScaler(), logistic(3, "tuned", cv=GroupKFold(3)))
    scores = cross_val_score(
        model,
        X,
        y,
        cv=GroupKFold(2),
        params={"groups": groups, "fp_cost": FP},
        scoring=make_cost_scorer(3),
        error_score="raise",
    )
    assert len(scores) == 2


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("asks", [True, False])
def test_sample_weights_with_routing(asks):
    weight = FP
    with config_context(enable_metadata_routing=False):
        plain = logistic(3, "weighted").fit(X, y, sample_weight=weight)
    inner = LogisticRegression().set_fit_request(sample_weight=asks)
    model = CostSensitiveClassifier(inner, 3, strategy="weighted")
    model.set_fit_request(sample_weight=True)
    piped = make_pipeline(FrozenEstimator(StandardScaler().fit(X)), model)
    piped.fit(X, y, sample_weight=weight)
    model.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert piped.predict(X).shape == y.shape


@pytest.mark.usefixtures("routing")
def test_sample_weights_go_where_requested():
    plain = LogisticRegression()
    asks = LogisticRegression().set_fit_request(sample_weight=True)
    refuses = LogisticRegression().set_fit_request(sample_weight=False)

    def p_of(inner, **given):
        model = CostSensitiveClassifier(inner, 3, strategy="threshold")
        return model.fit(X, y, **given).predict_proba(X)

    weighted = plain.fit(X, y, FP).predict_proba(X)
    np.testing.assert_allclose(p_of(asks, sample_weight=FP), weighted)
    np.testing.assert_allclose(p_of(refuses, sample_weight=FP), p_of(plain))
    with pytest.raises(UnsetMetadataPassedError, match="LogisticRegression.fit"):
        p_of(LogisticRegression(), sample_weight=FP)


class RecordsMetadata(TransformerMixin, BaseEstimator):
    """A transformer that records the metadata it requests."""

    def fit(self, X, y=None, notes=None):
        self.n_notes_ = None if notes is None else len(notes)
        return self

    def transform(self, X):
        return X


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("strategy", ["threshold", "weighted", "direct", "auc"])
def test_metadata_reaches_other_pipeline_steps(strategy):
    noticing = RecordsMetadata().set_fit_request(notes=True)
    inner = make_pipeline(noticing, StandardScaler(), network())
    model = CostSensitiveClassifier(inner, 3, strategy=strategy, cv=2)
    model.fit(X, y, notes=np.ones(len(X)))
    assert all(each[0].n_notes_ == len(X) for each in model.estimators_)


# -- folds in time order ---------------------------------------------------------------


def drifting(n=300):
    """Return rows in time order whose last block has another class distribution."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 1))
    p = expit(2 * rows[:, 0] + np.where(np.arange(n) < 2 * n // 3, 0.0, 4.0))
    return rows, (rng.uniform(size=n) < p).astype(int)


def costs_of_two_folds(model):
    """Return the costs in two folds, the smaller first, from mean and deviation."""
    mean, std = model.cv_costs_.loc["tuned"]
    return mean - std, mean + std


@pytest.mark.parametrize(
    "cv",
    [
        TimeSeriesSplit(2),
        PurgedTimeSeriesSplit(2),
        list(TimeSeriesSplit(2).split(X))[::-1],
        [
            (train.tolist(), test.tolist())
            for train, test in TimeSeriesSplit(2).split(X)
        ],
    ],
    ids=["time", "purged", "backwards", "lists"],
)
def test_thresholds_use_earlier_folds_only(cv):
    rows, labels = drifting()
    model = CostSensitiveClassifier(LogisticRegression(), 4, strategy="tuned", cv=cv)
    model.fit(rows, labels)
    # For the first fold there are no earlier rows to tune a threshold on.
    past = LogisticRegression().fit(rows[:100], labels[:100])
    positive = past.predict_proba(rows[100:200])[:, 1] >= 0.8
    cost = np.where(labels[100:200] == 1, ~positive, 4 * positive).mean()
    found = costs_of_two_folds(model)
    assert np.isclose(found, cost).any()
    # With folds that are not in time order, later rows are used.
    other = clone(model).set_params(cv=[*FOLDS_OF_TWO]).fit(rows, labels)
    assert not np.isclose(costs_of_two_folds(other), cost).any()


# The same test rows, but one model is trained on a later row.
FOLDS_OF_TWO = [
    (np.arange(100), np.arange(100, 200)),
    (np.r_[0:200, 299], np.arange(200, 299)),
]


def test_time_series_folds_refit_on_all_rows():
    model = logistic(3, "tuned", cv=TimeSeriesSplit(3)).fit(X, y)
    plain = LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(
        model.predict(X), plain.predict_proba(X)[:, 1] >= model.threshold_
    )


def test_classes_missing_in_the_first_folds():
    labels = np.where(np.arange(300) < 250, y, 2)
    costs = [[0, 1, 2], [3, 0, 1], [1, 2, 0]]
    for strategy in ("weighted", "auto"):
        model = CostSensitiveClassifier(
            network(),
            strategy=strategy,
            cost_matrix=costs,
            calibration="sigmoid",
            cv=TimeSeriesSplit(3),
            random_state=0,
        ).fit(X, labels)
        assert model.predict_proba(X).shape == (300, 3)
        assert set(model.predict(X)) <= {0, 1, 2}


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "auto"])
def test_cross_validation_in_time_order(strategy):
    scores = cross_val_score(
        logistic(3, strategy, cv=TimeSeriesSplit(2)),
        X,
        y,
        cv=TimeSeriesSplit(3),
        scoring=make_cost_scorer(3),
        error_score="raise",
    )
    assert scores.shape == (3,)
    assert (scores > -1).all()
