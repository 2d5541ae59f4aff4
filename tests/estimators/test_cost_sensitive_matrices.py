"""Decisions with cost matrices and with an option to abstain."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CostSensitiveClassifier
from tests.estimators.cost_data import COSTS, FOLDS, X3, X, network, y, y3

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)

RIGHT_COSTS = np.array([[1.0, 4, 2], [3, 0.5, 6], [2, 3, 1.5]])


# -- matrices of costs -----------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "direct"])
def test_binary_cost_matrix_equals_alpha(strategy):
    model = CostSensitiveClassifier(network(), 3, strategy=strategy, cv=FOLDS)
    matrix = clone(model).set_params(alpha=1, cost_matrix=[[0, 3], [1, 0]]).fit(X, y)
    model.fit(X, y)
    np.testing.assert_array_equal(matrix.predict(X), model.predict(X))
    np.testing.assert_allclose(matrix.decision_function(X), model.decision_function(X))
    assert matrix.threshold_ == pytest.approx(model.threshold_)


@pytest.mark.parametrize("strategy", ["threshold", "weighted"])
def test_correct_decisions_can_have_costs(strategy):
    costs = np.array([[1.0, 5.0], [3.0, 0.5]])
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy=strategy, cost_matrix=costs
    ).fit(X, y)
    p = model.predict_proba(X)
    expected = p @ costs
    np.testing.assert_array_equal(model.predict(X), expected.argmin(axis=1))
    np.testing.assert_allclose(
        model.decision_function(X), expected[:, 0] - expected[:, 1], atol=1e-12
    )
    assert model.threshold_ == pytest.approx(4 / 6.5)
    # The training weights, 4 and 2.5, are removed from the probabilities.
    plain = LogisticRegression().fit(X, y).predict_proba(X)
    assert np.abs(p - plain).mean() < 0.02


@pytest.mark.parametrize("costs", [COSTS, RIGHT_COSTS, None], ids=["0", "right", "1"])
@pytest.mark.parametrize(
    "labels", [np.array([2, 5, 9]), np.array(["ant", "bee", "cow"])], ids=["int", "str"]
)
def test_multiclass_decisions_match_expected_costs(costs, labels):
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy="threshold", cost_matrix=costs
    ).fit(X3, labels[y3])
    p = LogisticRegression().fit(X3, y3).predict_proba(X3)
    expected = p @ (1 - np.eye(3) if costs is None else costs)
    np.testing.assert_array_equal(model.predict(X3), labels[expected.argmin(axis=1)])
    np.testing.assert_allclose(model.decision_function(X3), -expected)
    np.testing.assert_allclose(model.predict_proba(X3), p)
    assert not hasattr(model, "threshold_")


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "direct"])
def test_cost_matrix_frame_is_matched_by_label(strategy):
    names = np.array(["ant", "bee", "cow"])
    order = ["cow", "ant", "bee"]
    frame = pd.DataFrame(COSTS, index=names, columns=names).loc[order, names[::-1]]
    model = CostSensitiveClassifier(
        network(max_iter=5), strategy=strategy, cost_matrix=COSTS, random_state=0
    ).fit(X3, names[y3])
    expected = model.decision_function(X3)
    named = clone(model).set_params(cost_matrix=frame).fit(X3, names[y3])
    np.testing.assert_array_equal(named.decision_function(X3), expected)
    # Reordering the frame does not change the costs.
    named.set_params(cost_matrix=frame.loc[names, names])
    np.testing.assert_array_equal(named.decision_function(X3), expected)


@pytest.mark.parametrize("strategy", ["weighted", "direct"])
def test_multiclass_cost_training_lowers_the_cost(strategy):
    data = make_classification(
        3000, n_informative=6, n_classes=3, class_sep=0.5, random_state=0
    )
    costs = np.array([[0, 1, 1], [10, 0, 1], [1, 1, 0]])
    train, test = slice(0, 2000), slice(2000, 3000)
    plain = network(alpha=1.0).fit(data[0][train], data[1][train])
    model = CostSensitiveClassifier(
        network(alpha=1.0), strategy=strategy, cost_matrix=costs, random_state=0
    ).fit(data[0][train], data[1][train])
    paid = [
        costs[data[1][test], m.predict(data[0][test])].mean() for m in (plain, model)
    ]
    assert paid[1] < 0.8 * paid[0]


def test_multiclass_weighted_training_keeps_probabilities_calibrated():
    model = CostSensitiveClassifier(
        LogisticRegression(C=1e6), strategy="weighted", cost_matrix=COSTS
    ).fit(X3, y3)
    p = model.predict_proba(X3)
    plain = LogisticRegression(C=1e6).fit(X3, y3).predict_proba(X3)
    assert np.abs(p - plain).mean() < 0.03
    np.testing.assert_array_equal(model.predict(X3), (p @ COSTS).argmin(axis=1))


@pytest.mark.parametrize(
    "forest",
    [ExtraTreesClassifier(30, random_state=0), AdaBoostClassifier(n_estimators=20)],
    ids=["trees", "boosting"],
)
@pytest.mark.parametrize("alpha", [5, pytest.param(0.2, marks=pytest.mark.nightly)])
def test_weighted_forests_are_calibrated(forest, alpha):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 3))
    true = expit(1.5 * rows[:, 0] - rows[:, 1] - 1)
    truth = (rng.uniform(size=2000) < true).astype(int)
    train, test = slice(0, 1000), slice(1000, 2000)
    model = CostSensitiveClassifier(
        make_pipeline(StandardScaler(), forest), alpha, strategy="weighted", cv=3
    ).fit(rows[train], truth[train])
    p = model.predict_proba(rows[test])[:, 1]
    # A division by the weights would leave an error of 0.25.
    assert abs(p.mean() - true[test].mean()) < 0.03
    assert log_loss(truth[test], p) < log_loss(truth[test], true[test]) + 0.1


def test_forests_without_weights_are_not_calibrated():
    forest = ExtraTreesClassifier(5, random_state=0)
    model = CostSensitiveClassifier(forest, strategy="weighted").fit(X, y)
    p = forest.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), p)


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("strategy", ["tuned", "auto"])
def test_constant_decision_with_a_rare_class_warns(strategy, n):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    labels = np.where(np.arange(80) < n, "yes", "no")
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy=strategy, random_state=0
    )
    words = f"predict 'no' for every row, .* only {n} rows .* 'yes'"
    with pytest.warns(UserWarning, match=words) as caught:
        model.fit(rows, labels)
    assert caught[0].filename == __file__
    assert model.threshold_ == np.inf
    assert set(model.predict(rows)) == {"no"}


# -- abstaining ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "abstain"),
    [
        (np.array([0, 1]), -1),
        (np.array(["fall", "rise"]), "no trade"),
        (np.array(["fall", "rise"], dtype=object), "no trade"),
        (np.array([0.0, 1.0]), -1.0),
        (np.array([-1, 1]), 0),
    ],
    ids=["int", "text", "object", "float", "trade"],
)
def test_abstains_where_that_is_cheapest(labels, abstain):
    model = CostSensitiveClassifier(
        LogisticRegression(),
        3,
        strategy="threshold",
        abstain_cost=0.4,
        abstain_label=abstain,
    ).fit(X, labels[y])
    p = LogisticRegression().fit(X, y).predict_proba(X)
    expected = np.column_stack([p[:, 1], 3 * p[:, 0], np.full(len(p), 0.4)])
    answers = np.array([*labels.tolist(), abstain], dtype=object)
    cheapest_answers = answers[expected.argmin(axis=1)]
    assert 20 < (cheapest_answers == abstain).sum() < 300
    assert model.predict(X).tolist() == cheapest_answers.tolist()
    np.testing.assert_array_equal(model.classes_, labels)
    right = labels[y] == cheapest_answers
    assert model.score(X, labels[y]) == pytest.approx(right.mean())


def test_abstains_with_several_classes():
    model = CostSensitiveClassifier(
        LogisticRegression(), strategy="threshold", cost_matrix=COSTS, abstain_cost=0.6
    ).fit(X3, y3)
    p = LogisticRegression().fit(X3, y3).predict_proba(X3)
    expected = np.column_stack([p @ COSTS, np.full(len(p), 0.6)])
    answers = np.array([0, 1, 2, -1])[expected.argmin(axis=1)]
    assert set(answers) == {0, 1, 2, -1}
    np.testing.assert_array_equal(model.predict(X3), answers)


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted"])
def test_abstain_cost_sets_the_abstention_rate(strategy):
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy=strategy, random_state=0
    ).fit(X, y)
    decided = model.predict(X)
    shares = []
    for cost in (0, 0.1, 0.3, 100):
        answers = model.set_params(abstain_cost=cost).predict(X)
        shares.append(np.mean(answers == -1))
        acts = answers != -1
        np.testing.assert_array_equal(answers[acts], decided[acts])
    assert shares[0] == 1
    assert shares[3] == 0
    assert 1 > shares[1] > shares[2] > 0
