"""Cost-sensitive decisions, against true probabilities and manual computations."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import (
    FixedThresholdClassifier,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skdeep import CostSensitiveClassifier, MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)

ALPHAS = [0.2, 1, 5, *(pytest.param(a, marks=pytest.mark.nightly) for a in (2, 10))]
FEW_ALPHAS = [0.2, 5, *(pytest.param(a, marks=pytest.mark.nightly) for a in (1, 2, 10))]
X, y = make_classification(400, 6, n_informative=4, flip_y=0.2, random_state=0)
X3, y3 = make_classification(
    400, 6, n_informative=4, n_classes=3, flip_y=0.2, random_state=0
)
COSTS = np.array([[0.0, 1, 4], [2, 0, 1], [1, 5, 0]])
RIGHT_COSTS = np.array([[1.0, 4, 2], [3, 0.5, 6], [2, 3, 1.5]])
FOLDS = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))


def network(**parameters):
    """A network that trains quickly."""
    few = {"solver": "lbfgs", "max_iter": 30, "random_state": 0}
    return MLPClassifier((8,), **{**few, **parameters})


class LogOdds(GaussianNB):
    """Naive Bayes with a decision_function, for scikit-learn to calibrate."""

    def decision_function(self, X):
        logs = self.predict_log_proba(X)
        return logs[:, 1] - logs[:, 0]


def cheapest(alpha):
    """Return the cheapest threshold on true probabilities."""
    return alpha / (1 + alpha)


# -- the Bayes decision ----------------------------------------------------------------
# One feature, uniform on (-3, 3), with a logistic probability.

SLOPE, INTERCEPT, WIDTH, N_ROWS = 1.5, -1.0, 6.0, 6000
FEWER = 1200  # rows for networks that are trained many times
GRID = np.linspace(-3, 3, 6001)[:, np.newaxis]


def true_probability(x):
    return expit(SLOPE * x[:, 0] + INTERCEPT)


@pytest.fixture(scope="module")
def known():
    """Rows with known probabilities."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, size=(N_ROWS, 1))
    return x, (rng.uniform(size=N_ROWS) < true_probability(x)).astype(int)


def boundary(model):
    """Return the only point on the grid where decisions change to positive."""
    positive = model.predict(GRID) == 1
    assert not positive[0]
    assert positive[-1]
    assert np.count_nonzero(np.diff(positive)) == 1
    return GRID[positive.argmax(), 0]


def error_of_a_line(at, weight):
    """Return the standard error of the boundary of a weighted logistic regression.

    It is that of an M-estimator, A⁻¹BA⁻¹, with expectations over a grid.
    """
    p = true_probability(GRID)
    q = p / (p + weight * (1 - p))
    design = np.column_stack([np.ones(len(GRID)), GRID[:, 0]])
    curvature = (p + weight * (1 - p)) * q * (1 - q)
    noise = p * (1 - q) ** 2 + (1 - p) * (weight * q) ** 2
    A = N_ROWS * (design.T * curvature) @ design / len(GRID)
    B = N_ROWS * (design.T * noise) @ design / len(GRID)
    row = np.linalg.solve(A, [1, at])
    return np.sqrt(row @ B @ row) / SLOPE


def error_of_a_network(alpha, n_parameters=25):
    """Return the standard error of the boundary of a model with many parameters.

    The number of parameters per row is the mean of p(1 - p) times the squared error of
    the log-odds.
    """
    t = cheapest(alpha)
    return np.sqrt(n_parameters / (N_ROWS * t * (1 - t))) / SLOPE


def error_of_the_least_cost(alpha, n_rows=N_ROWS, deviations=2):
    """Return how far the empirically cheapest boundary may be from the best one.

    At distance d the cost is higher by (1 + alpha) f p' d² / 2. This must be at most
    ``deviations`` standard deviations, (alpha f d / n)^(1/2), of the cost of the rows
    in between.
    """
    t = cheapest(alpha)
    rise, density = SLOPE * t * (1 - t), 1 / WIDTH
    noise = deviations * np.sqrt(alpha / (density * n_rows))
    return (2 * noise / ((1 + alpha) * rise)) ** (2 / 3)


def best_boundary(alpha):
    return (logit(cheapest(alpha)) - INTERCEPT) / SLOPE


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("strategy", ["threshold", "weighted"])
def test_logistic_regression_decides_at_the_cheapest_boundary(known, strategy, alpha):
    line = LogisticRegression(C=1e6)
    model = CostSensitiveClassifier(line, alpha, strategy=strategy).fit(*known)
    assert model.threshold_ == pytest.approx(cheapest(alpha))
    best = best_boundary(alpha)
    error = error_of_a_line(best, alpha if strategy == "weighted" else 1)
    assert boundary(model) == pytest.approx(best, abs=3 * error)


@pytest.mark.parametrize("alpha", FEW_ALPHAS)
@pytest.mark.parametrize("strategy", ["tuned", "auto"])
def test_tuned_threshold_is_near_the_cheapest_boundary(known, strategy, alpha):
    model = CostSensitiveClassifier(
        LogisticRegression(), alpha, strategy=strategy, random_state=0
    ).fit(*known)
    best, error = best_boundary(alpha), error_of_the_least_cost(alpha)
    assert boundary(model) == pytest.approx(best, abs=error)
    t = true_probability(np.array([[best - error], [best + error]]))
    assert t[0] <= model.threshold_ <= t[1]


@pytest.mark.parametrize("alpha", FEW_ALPHAS)
@pytest.mark.parametrize("strategy", ["threshold", "weighted"])
def test_network_decides_at_the_cheapest_boundary(known, strategy, alpha):
    model = CostSensitiveClassifier(network(), alpha, strategy=strategy).fit(*known)
    error = error_of_a_network(alpha)
    assert boundary(model) == pytest.approx(best_boundary(alpha), abs=3 * error)


@pytest.mark.parametrize("alpha", FEW_ALPHAS)
def test_direct_network_decides_at_the_cheapest_boundary(known, alpha):
    model = CostSensitiveClassifier(network(), alpha, strategy="direct").fit(*known)
    error = error_of_the_least_cost(alpha)
    assert boundary(model) == pytest.approx(best_boundary(alpha), abs=error)


@pytest.fixture(scope="module", params=["tuned", "auc"])
def tuned_network(request, known):
    """A network with a cross-validated threshold."""
    x, labels = known
    model = CostSensitiveClassifier(
        network(), strategy=request.param, cv=2, random_state=0
    )
    return model.fit(x[:FEWER], labels[:FEWER])


@pytest.mark.parametrize("alpha", ALPHAS)
def test_tuned_network_decides_at_the_cheapest_boundary(tuned_network, alpha):
    tuned_network.set_params(alpha=alpha)
    error = error_of_the_least_cost(alpha, FEWER)
    assert boundary(tuned_network) == pytest.approx(best_boundary(alpha), abs=error)


@pytest.mark.parametrize("alpha", [pytest.param(0.2, marks=pytest.mark.nightly), 5])
def test_auto_network_decides_at_the_cheapest_boundary(known, alpha):
    x, labels = known
    model = CostSensitiveClassifier(network(), alpha, cv=2, random_state=0)
    model.fit(x[:FEWER], labels[:FEWER])
    error = error_of_the_least_cost(alpha, FEWER)
    assert boundary(model) == pytest.approx(best_boundary(alpha), abs=error)
    names = {"threshold", "tuned", "weighted", "direct", "auc", "never", "always"}
    assert set(model.cv_costs_.index) == names


# -- costs count once ------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.2, 2, 5])
@pytest.mark.parametrize(
    "estimator", [LogisticRegression(C=1e6), network()], ids=["line", "network"]
)
def test_weighted_training_keeps_probabilities_calibrated(known, estimator, alpha):
    model = CostSensitiveClassifier(estimator, alpha, strategy="weighted").fit(*known)
    p, truth = model.predict_proba(GRID)[:, 1], true_probability(GRID)
    n_parameters = 2 if isinstance(estimator, LogisticRegression) else 25
    # The mean squared error of probabilities is (p(1 - p))² times that of log-odds; a
    # weight makes the largest of them alpha times as large.
    inflated = max(alpha, 1 / alpha)
    bound = 0.25 * 3 * np.sqrt(inflated * n_parameters / N_ROWS / 0.25)
    assert np.sqrt(np.mean((p - truth) ** 2)) < bound
    plain = LogisticRegression().fit(*known).predict_proba(GRID)[:, 1]
    assert np.abs(p - plain).mean() < 0.03


def true_cost(positive, alpha):
    p = true_probability(GRID)
    return np.where(positive, alpha * (1 - p), p).mean()


# With true probabilities the cost rises by 8 % at alpha = 2 and by 17 % at 3.
@pytest.mark.parametrize(("alpha", "more"), [(2, 1.08), (3, 1.17)])
def test_costs_are_counted_once(known, alpha, more):
    x, labels = known
    weight = np.where(labels == 1, 1.0, alpha)
    twice = LogisticRegression().fit(x, labels, sample_weight=weight)
    twice = twice.predict_proba(GRID)[:, 1] >= cheapest(alpha)
    model = CostSensitiveClassifier(LogisticRegression(), alpha, strategy="weighted")
    ours = true_cost(model.fit(x, labels).predict(GRID) == 1, alpha)
    least = true_cost(true_probability(GRID) >= cheapest(alpha), alpha)
    assert ours < 1.002 * least
    assert true_cost(twice, alpha) / ours == pytest.approx(more, abs=0.02)


@pytest.mark.parametrize("strategy", ["threshold", "weighted"])
def test_decisions_follow_the_probabilities(strategy):
    model = CostSensitiveClassifier(LogisticRegression(), 3, strategy=strategy)
    p = model.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), p[:, 1] >= 0.75)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(p))


# -- thresholds ------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.3, 1, 4])
@pytest.mark.parametrize("pos_label", [0, 1])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(9, max_depth=3, random_state=0),
        network(),
    ],
    ids=["line", "forest", "network"],
)
def test_threshold_strategy_equals_fixed_threshold_classifier(
    estimator, pos_label, alpha
):
    model = CostSensitiveClassifier(
        estimator, alpha, strategy="threshold", pos_label=pos_label
    ).fit(X, y)
    fixed = FixedThresholdClassifier(
        estimator,
        threshold=cheapest(alpha),
        pos_label=pos_label,
        response_method="predict_proba",
    ).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), fixed.predict(X))
    np.testing.assert_array_equal(model.predict_proba(X), fixed.predict_proba(X))
    assert model.threshold_ == cheapest(alpha)
    assert model.strategy_ == "threshold"


def by_threshold(p, labels, alpha, threshold):
    """Return the cost of each row at a threshold."""
    positive = p >= threshold
    return np.where(labels == 1, ~positive, alpha * positive)


@pytest.mark.parametrize("alpha", [0.3, 1, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_tuned_threshold_costs_least_out_of_fold(alpha, weighted):
    columns = np.repeat(X, 4, axis=1)  # naive Bayes counts each four times
    weight = np.where(X[:, 0] > 0, 3.0, 0.2) if weighted else np.ones(len(y))
    model = CostSensitiveClassifier(GaussianNB(), alpha, strategy="tuned", cv=FOLDS)
    model.fit(columns, y, sample_weight=weight)
    p = np.empty(len(y))
    for train, test in FOLDS:
        fold = GaussianNB().fit(columns[train], y[train], weight[train])
        p[test] = fold.predict_proba(columns[test])[:, 1]
    paid = by_threshold(p, y, alpha, model.threshold_) * weight
    others = [by_threshold(p, y, alpha, t) * weight for t in (*np.unique(p), 2)]
    least = min(others, key=np.mean)
    # Equal to the minimum up to noise.
    error = np.std(paid - least) / np.sqrt(len(y))
    assert np.mean(paid - least) <= 2 * error
    plain = np.mean(by_threshold(p, y, alpha, cheapest(alpha)) * weight)
    assert np.mean(paid) <= 1.02 * plain


def test_tuned_threshold_corrects_uncalibrated_probabilities():
    columns = np.repeat(X, 4, axis=1)  # naive Bayes counts each of them four times
    train, test = slice(0, 250), slice(250, 400)
    paid = {}
    for strategy in ("threshold", "tuned"):
        model = CostSensitiveClassifier(
            GaussianNB(), 8, strategy=strategy, random_state=0
        ).fit(columns[train], y[train])
        positive = model.predict(columns[test]) == 1
        paid[strategy] = np.where(y[test] == 1, ~positive, 8 * positive).mean()
    assert paid["tuned"] < 0.95 * paid["threshold"]


# -- alpha after fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "calibration"),
    [
        ("threshold", None),
        ("tuned", None),
        ("threshold", "isotonic"),
        ("tuned", "sigmoid"),
    ],
)
def test_alpha_after_fit(strategy, calibration):
    model = CostSensitiveClassifier(
        LogisticRegression(),
        strategy=strategy,
        calibration=calibration,
        random_state=0,
    ).fit(X, y)
    refitted = clone(model).set_params(alpha=5).fit(X, y)
    model.set_params(alpha=5)
    np.testing.assert_array_equal(model.predict(X), refitted.predict(X))
    np.testing.assert_array_equal(
        model.decision_function(X), refitted.decision_function(X)
    )
    assert model.threshold_ == refitted.threshold_
    assert model.set_params(alpha=1).fit(X, y).threshold_ != refitted.threshold_


def test_alpha_after_fit_retunes_auc():
    model = CostSensitiveClassifier(network(), strategy="auc", cv=2, random_state=0)
    model.fit(X, y)
    refitted = clone(model).set_params(alpha=5).fit(X, y)
    before = model.predict(X)
    model.set_params(alpha=5)
    np.testing.assert_array_equal(model.predict(X), refitted.predict(X))
    assert model.predict(X).sum() < before.sum()


def test_alpha_after_fit_moves_the_weighted_threshold():
    model = CostSensitiveClassifier(LogisticRegression(), 2, strategy="weighted")
    p = model.fit(X, y).predict_proba(X)
    model.set_params(alpha=5)
    np.testing.assert_array_equal(model.predict_proba(X), p)
    np.testing.assert_array_equal(model.predict(X), p[:, 1] >= cheapest(5))


def test_alpha_after_fit_raises_for_direct():
    model = CostSensitiveClassifier(network(), 2, strategy="direct").fit(X, y)
    before = model.predict(X)
    with pytest.raises(
        ValueError, match=r"alpha has changed to 5 since fit.*'direct'.*=2"
    ):
        model.set_params(alpha=5).predict(X)
    np.testing.assert_array_equal(model.set_params(alpha=2).predict(X), before)


# -- two classes by every name ---------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "strategy"),
    [
        (np.array(["fall", "rise"]), "threshold"),
        (np.array(["fall", "rise"], dtype=object), "tuned"),
        (np.array([False, True]), "weighted"),
        (np.array([-1, 1]), "auto"),
        (np.array([0.0, 1.0]), "tuned"),
        (np.array(["fall", "rise"]), "auto"),
    ],
    ids=["text", "object", "bool", "int", "float", "text auto"],
)
def test_binary_labels_of_any_type(labels, strategy):
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy=strategy, random_state=0
    )
    codes = clone(model).fit(X, y).predict(X)
    predicted = model.fit(X, labels[y]).predict(X)
    assert predicted.dtype == labels.dtype
    np.testing.assert_array_equal(predicted, labels[codes])
    np.testing.assert_array_equal(model.classes_, labels)


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "direct"])
def test_first_class_can_be_positive(strategy):
    model = CostSensitiveClassifier(network(), 3, strategy=strategy, cv=FOLDS)
    first = clone(model).set_params(pos_label=0).fit(X, y)
    # A false positive of class 0 is a false negative of class 1.
    second = model.set_params(alpha=1 / 3).fit(X, y)
    assert first.threshold_ == pytest.approx(1 - second.threshold_)
    assert (first.predict(X) == second.predict(X)).mean() > 0.97
    expected = 3 * second.decision_function(X)
    error = np.abs(first.decision_function(X) - expected)
    assert np.mean(error < 0.05) > 0.9


@pytest.mark.parametrize("pos_label", ["no", "yes"])
def test_decision_function_is_the_cost_saved(pos_label):
    labels = np.array(["no", "yes"])[y]
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy="threshold", pos_label=pos_label
    ).fit(X, labels)
    p = model.predict_proba(X)
    # The costs of "no" if the truth is "yes", and vice versa.
    no, yes = (p[:, 1], 3 * p[:, 0]) if pos_label == "yes" else (3 * p[:, 1], p[:, 0])
    margin = model.decision_function(X)
    np.testing.assert_allclose(margin, no - yes, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X) == "yes", margin > 0)


@pytest.mark.parametrize(
    ("strategy", "pos_label"),
    [("threshold", 0), ("tuned", 1), ("tuned", 0), ("weighted", 0), ("auto", 1)],
)
def test_decision_function_is_zero_at_the_boundary(strategy, pos_label):
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy=strategy, pos_label=pos_label, random_state=0
    ).fit(X, y)
    line = np.linspace(X.min(axis=0), X.max(axis=0), 20001)
    decided, margin = model.predict(line), model.decision_function(line)
    np.testing.assert_array_equal(decided, margin > 0)
    (turns,) = np.flatnonzero(np.diff(decided))
    assert np.abs(margin[[turns, turns + 1]]).max() < 1e-3 * np.abs(margin).max()


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
def test_abstains_where_cheapest(labels, abstain):
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
