"""Calibration, cross-validated costs and combined options."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import (
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skdeep import CostSensitiveClassifier, MLPClassifier
from tests.estimators.cost_data import COSTS, FOLDS, X3, X, cheapest, y, y3

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)


class LogOdds(GaussianNB):
    """Naive Bayes with a decision_function, for scikit-learn to calibrate."""

    def decision_function(self, X):
        logs = self.predict_log_proba(X)
        return logs[:, 1] - logs[:, 0]


# -- calibration -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_agrees_with_scikit_learn(method):
    # Naive Bayes counts each column twice.
    columns = np.repeat(X, 2, axis=1)
    model = CostSensitiveClassifier(
        LogOdds(), 2, strategy="threshold", calibration=method, cv=FOLDS
    ).fit(columns, y)
    reference = CalibratedClassifierCV(
        LogOdds(), method=method, cv=FOLDS, ensemble=False
    ).fit(columns, y)
    # skdeep averages the models of the folds instead of refitting, and scikit-learn
    # smooths the targets.
    error = model.predict_proba(columns) - reference.predict_proba(columns)
    assert np.abs(error).mean() < 0.01
    p = model.predict_proba(columns)[:, 1]
    np.testing.assert_array_equal(model.predict(columns), p >= cheapest(2))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_is_monotonic_and_lowers_the_brier_score(method):
    columns = np.repeat(X, 2, axis=1)
    train, test = slice(0, 250), slice(250, 400)
    model = CostSensitiveClassifier(
        GaussianNB(), 2, strategy="threshold", calibration=method, random_state=0
    ).fit(columns[train], y[train])
    p = model.predict_proba(columns[test])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    # The averaged log-odds of the models of the folds.
    plain = [m.predict_log_proba(columns[test]) for m in model.estimators_]
    odds = np.mean([logs[:, 1] - logs[:, 0] for logs in plain], axis=0)
    assert (np.diff(p[np.argsort(odds, kind="stable"), 1]) >= -1e-12).all()
    raw = brier_score_loss(y[test], expit(odds))
    assert brier_score_loss(y[test], p[:, 1]) < 0.9 * raw


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_of_several_classes(method):
    columns = np.repeat(X3, 4, axis=1)
    model = CostSensitiveClassifier(
        GaussianNB(),
        strategy="threshold",
        cost_matrix=COSTS,
        calibration=method,
        random_state=0,
    ).fit(columns, y3)
    p = model.predict_proba(columns)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(columns), (p @ COSTS).argmin(axis=1))
    raw = GaussianNB().fit(columns, y3).predict_proba(columns)
    assert brier_score_loss(y3, p) < brier_score_loss(y3, raw)


@pytest.mark.parametrize(
    ("strategy", "calibration"),
    [
        ("threshold", "sigmoid"),
        ("tuned", "isotonic"),
        ("weighted", "isotonic"),
        ("auto", "sigmoid"),
    ],
)
def test_rows_of_weight_zero_are_ignored(strategy, calibration):
    weight = np.tile([1.0, 0.0, 2.0, 1.0], 100)
    labels = np.where(weight > 0, y, 1 - y)
    counts, position = weight > 0, np.cumsum(weight > 0) - 1
    model = CostSensitiveClassifier(
        LogisticRegression(tol=1e-10), 3, strategy=strategy, calibration=calibration
    )
    model.set_params(cv=FOLDS).fit(X, labels, sample_weight=weight)
    kept = [tuple(position[i[counts[i]]] for i in fold) for fold in FOLDS]
    without = clone(model).set_params(cv=kept)
    without.fit(X[counts], y[counts], sample_weight=weight[counts])
    np.testing.assert_allclose(
        model.predict_proba(X), without.predict_proba(X), atol=1e-4
    )
    assert model.threshold_ == pytest.approx(without.threshold_, abs=1e-3)
    np.testing.assert_allclose(model.cv_costs_, without.cv_costs_)


# -- cross-validated costs -------------------------------------------------------------


def test_cv_costs_match_manual_costs():
    alpha = 3
    model = CostSensitiveClassifier(LogisticRegression(), alpha, cv=FOLDS).fit(X, y)
    p = cross_val_predict(LogisticRegression(), X, y, cv=FOLDS, method="predict_proba")[
        :, 1
    ]
    decisions = {
        "threshold": p >= cheapest(alpha),
        "never": np.zeros(len(y), dtype=bool),
        "always": np.ones(len(y), dtype=bool),
    }
    table = model.cv_costs_
    assert table.index.name == "strategy"
    assert set(table.index) == {*decisions, "tuned", "weighted"}
    assert table.columns.tolist() == ["mean", "std"]
    for name, positive in decisions.items():
        cost = np.where(y == 1, ~positive, alpha * positive)
        folds = [cost[test].mean() for _, test in FOLDS]
        assert table.loc[name, "mean"] == pytest.approx(np.mean(folds))
        assert table.loc[name, "std"] == pytest.approx(np.std(folds))
    assert model.strategy_ in table.index


def test_cv_costs_respect_pos_label():
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy="tuned", pos_label=0, cv=FOLDS
    )
    costs = model.fit(X, y).cv_costs_["mean"]
    assert costs["never"] == pytest.approx(
        np.mean([(y[i] == 0).mean() for _, i in FOLDS])
    )
    assert costs["always"] == pytest.approx(3 * (1 - costs["never"]))


def test_cv_costs_need_cross_validation():
    model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
    assert not hasattr(model, "cv_costs_")
    assert not hasattr(model.fit(X, y), "cv_costs_")
    model.set_params(strategy="tuned").fit(X, y)
    assert list(model.cv_costs_.index) == ["tuned", "never", "always"]


@pytest.mark.parametrize("alpha", [0.5, 20, pytest.param(2, marks=pytest.mark.nightly)])
def test_auto_on_noise_costs_no_more_than_a_constant_decision(alpha):
    paid = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noise, labels = rng.normal(size=(400, 4)), rng.integers(2, size=400)
        model = CostSensitiveClassifier(GaussianNB(), alpha, random_state=seed)
        decided = model.fit(noise, labels).predict(rng.normal(size=(2000, 4)))
        # Half of the rows are positive, whatever the decision.
        paid.append(np.where(decided == 1, alpha, 1).mean() / 2)
    assert np.mean(paid) <= 1.02 * min(alpha, 1) / 2


def test_auto_may_always_predict_one_class():
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(200, 4)), np.array(["a", "b", "c"])
    truth = labels[rng.integers(3, size=200)]
    model = CostSensitiveClassifier(
        DecisionTreeClassifier(random_state=0),
        cost_matrix=[[0, 1, 5], [5, 0, 5], [5, 1, 0]],
        random_state=0,
    ).fit(noise, truth)
    assert model.strategy_ == "always b"
    assert set(model.predict(noise)) == {"b"}
    assert {"always a", "always b", "always c"} < set(model.cv_costs_.index)
    assert model.predict_proba(noise).argmax(axis=1).std() > 0


def test_auto_may_always_abstain():
    rng = np.random.default_rng(0)
    noise, truth = rng.normal(size=(200, 4)), rng.integers(2, size=200)
    model = CostSensitiveClassifier(
        DecisionTreeClassifier(random_state=0), 2, abstain_cost=0.1, random_state=0
    ).fit(noise, truth)
    assert model.strategy_ == "abstain"
    assert (model.predict(noise) == -1).all()
    with pytest.raises(
        ValueError, match=r"alpha has changed to 3 since fit.*'abstain'"
    ):
        model.set_params(alpha=3).predict(noise)


@pytest.mark.parametrize(
    "strategy",
    [
        "direct",
        pytest.param("auc", marks=pytest.mark.nightly),
        pytest.param("auto", marks=pytest.mark.nightly),
    ],
)
def test_default_estimator_is_a_network(strategy):
    model = CostSensitiveClassifier(alpha=2, strategy=strategy, cv=2, random_state=0)
    model.fit(X, y)
    assert all(isinstance(m, MLPClassifier) for m in model.estimators_)
    if strategy == "auto":
        expected = {"threshold", "tuned", "weighted", "direct", "auc"}
        assert set(model.cv_costs_.index) == {*expected, "never", "always"}
    positive = model.predict(X) == 1
    assert np.where(y == 1, ~positive, 2 * positive).mean() < 0.6 * np.mean(y)


# -- interactions ----------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "auto"])
def test_abstains_with_a_rare_class(strategy):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    p = expit(0.5 * x[:, 0] - 1.5)
    labels = (rng.uniform(size=4000) < p).astype(int)
    model = CostSensitiveClassifier(
        LogisticRegression(), 20, strategy=strategy, abstain_cost=0.02, random_state=0
    ).fit(x, labels)
    # Abstaining costs 0.02, a negative decision costs p, which is usually more.
    assert np.mean(model.predict(x) == -1) > 0.99


def test_sample_weights_that_cancel_the_costs_are_used():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    labels = (rng.uniform(size=600) < expit(x[:, 0])).astype(int)
    weight = np.where(labels == 1, 3.0, 1.0)  # times the costs: 3 in every row
    nearly = np.where(np.arange(600) == 0, 1.0001, 1.0) * weight
    p, p_nearly = (
        CostSensitiveClassifier(LogisticRegression(), 3, strategy="weighted")
        .fit(x, labels, sample_weight=w)
        .predict_proba(x)
        for w in (weight, nearly)
    )
    np.testing.assert_allclose(p, p_nearly, atol=1e-3)


@pytest.mark.parametrize(
    ("strategy", "unit"),
    [
        ("threshold", 1e8),
        ("tuned", 1e-8),
        ("weighted", 1e-8),
        ("auto", 1e-8),
        ("auto", 1e8),
    ],
)
def test_unit_of_costs_has_no_effect(strategy, unit):
    matrix = np.array([[0, 5], [1, 0]])
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy=strategy, cost_matrix=matrix, random_state=0
    ).fit(X, y)
    other = clone(model).set_params(cost_matrix=unit * matrix).fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X), model.predict_proba(X))
    assert other.threshold_ == pytest.approx(model.threshold_)


@pytest.mark.parametrize("seed", [None, 0, np.random.RandomState(0)])
def test_averaged_networks_differ(seed):
    network = MLPClassifier((4,), solver="lbfgs", max_iter=20, random_state=seed)
    model = CostSensitiveClassifier(network, strategy="tuned", cv=2, random_state=0)
    answers = [each.predict_proba(X) for each in model.fit(X, y).estimators_]
    assert len(answers) == 3
    assert all((a != b).any() for a, b in combinations(answers, 2))


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted"])
@pytest.mark.parametrize(
    "new", [{"cost_matrix": [[0, 9], [1, 0]]}, {"abstain_cost": 0.1}]
)
def test_changed_costs_equal_a_new_fit(strategy, new):
    model = CostSensitiveClassifier(
        GaussianNB(), strategy=strategy, cost_matrix=[[0, 2], [1, 0]], cv=3
    ).fit(X, y)
    again = clone(model).set_params(**new).fit(X, y)
    model.set_params(**new)
    if strategy == "weighted":  # trained with other weights, which are removed
        assert model.threshold_ == again.threshold_
    else:
        np.testing.assert_array_equal(model.predict(X), again.predict(X))


@pytest.mark.parametrize("name", ["cost_matrix", "abstain_cost"])
def test_direct_raises_after_a_change_of_costs(name):
    network = MLPClassifier((4,), solver="lbfgs", max_iter=20, random_state=0)
    model = CostSensitiveClassifier(network, strategy="direct", abstain_cost=0.05)
    model.fit(X, y)
    model.set_params(**{name: {"cost_matrix": [[0, 2], [1, 0]]}.get(name)})
    with pytest.raises(ValueError, match=f"{name} has changed to .* since fit"):
        model.predict(X)


def test_cost_matrix_of_the_network_is_ignored():
    network = MLPClassifier((4,), solver="lbfgs", max_iter=20, random_state=0)
    model = CostSensitiveClassifier(network, 5, strategy="direct").fit(X, y)
    with_matrix = clone(network).set_params(cost_matrix=[[0, 5], [1, 0]])
    twice = CostSensitiveClassifier(with_matrix, 5, strategy="direct").fit(X, y)
    np.testing.assert_array_equal(twice.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("direct", {"class_weight": {0: 1, 1: 20}}),
        ("threshold", {"class_weight": "balanced"}),
        ("threshold", {"loss": "expected_cost"}),
    ],
)
def test_distorted_probabilities_warn(strategy, parameters):
    network = MLPClassifier((4,), solver="lbfgs", max_iter=20, **parameters)
    (name,) = parameters
    with pytest.warns(UserWarning, match=f"{name}=.* distorts") as caught:
        CostSensitiveClassifier(network, 3, strategy=strategy).fit(X, y)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "strategy",
    ["threshold", "weighted", pytest.param("auto", marks=pytest.mark.nightly)],
)
def test_default_network_uses_last_validation_rows_in_time_order(strategy):
    model = CostSensitiveClassifier(
        strategy=strategy, cv=TimeSeriesSplit(2), random_state=0
    )
    networks = model.fit(X[:150], y[:150]).estimators_
    assert {each.validation_split for each in networks} == {"last"}


def test_class_without_costs_cannot_be_weighted():
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy="weighted", cost_matrix=[[0, 0], [1, 0]]
    )
    with pytest.raises(ValueError, match="errors on class 0 cost nothing"):
        model.fit(X, y)
    model.set_params(strategy="auto").fit(X, y)
    assert "weighted" not in model.cv_costs_.index
    assert (model.predict(X) == 1).all()
