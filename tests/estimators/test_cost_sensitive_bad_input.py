"""Invalid input of CostSensitiveClassifier: errors name the argument and the value."""

from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupKFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn

from skdeep import (
    CostSensitiveClassifier,
    LSTMClassifier,
    MLPClassifier,
    ModuleClassifier,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)

X, y = make_classification(60, 4, n_informative=3, n_redundant=0, random_state=0)
y3 = np.where(X[:, 0] > 1, 2, y)
STRATEGIES = ["threshold", "tuned", "weighted", "direct", "auc", "auto"]
ONES = np.ones(60)
WEIGHT = np.linspace(0.5, 2, 60)


def replaced(at, value):
    """Return row costs of 1 with one other value."""
    costs = np.ones(60)
    costs[at] = value
    return costs


def network(**parameters):
    return MLPClassifier((4,), solver="lbfgs", max_iter=5, **parameters)


def logistic(**parameters):
    defaults = {"estimator": LogisticRegression(), "strategy": "threshold"}
    return CostSensitiveClassifier(**{**defaults, **parameters})


# -- alpha -----------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("alpha", "shown"),
    [
        (0, "0"),
        (0.0, "0.0"),
        (-1, "-1"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        ("3", "'3'"),
        (None, "None"),
        ([1, 2], r"\[1, 2\]"),
        (1j, "1j"),
    ],
    ids=str,
)
def test_invalid_alpha(strategy, alpha, shown):
    model = CostSensitiveClassifier(network(), alpha, strategy=strategy, cv=2)
    with pytest.raises(ValueError, match=f"alpha.*[Gg]ot {shown}"):
        model.fit(X, y)


@pytest.mark.parametrize("alpha", [0, -1, np.nan, np.inf, "3"])
@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted"])
def test_invalid_alpha_after_fit(strategy, alpha):
    model = logistic(strategy=strategy, cv=2).fit(X, y)
    model.set_params(alpha=alpha)
    for method in (model.predict, model.decision_function):
        with pytest.raises(ValueError, match=f"alpha.*got {alpha!r}"):
            method(X)


# -- classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("label", [0, "up", True])
def test_single_class(strategy, label):
    model = CostSensitiveClassifier(network(), strategy=strategy)
    with pytest.raises(ValueError, match=rf"two classes.*one class.*\[{label!r}\]"):
        model.fit(X, [label] * 60)


def test_alpha_with_several_classes():
    with pytest.raises(ValueError, match="alpha=3 .*two classes.* 3: 0, 1, 2.*matrix"):
        logistic(alpha=3).fit(X, y3)


@pytest.mark.parametrize("given", [{"fp_cost": ONES}, {"fn_cost": ONES}])
def test_row_costs_with_several_classes(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} .*two classes.* 3"):
        logistic().fit(X, y3, **given)


def test_pos_label_with_several_classes():
    with pytest.raises(ValueError, match="pos_label can only be given for two classes"):
        logistic(pos_label=1).fit(X, y3)


@pytest.mark.parametrize("strategy", ["tuned", "auc"])
def test_tuned_with_several_classes(strategy):
    model = CostSensitiveClassifier(network(), strategy=strategy)
    error = f"Only binary classification is supported by strategy='{strategy}'.* 3 "
    with pytest.raises(ValueError, match=error):
        model.fit(X, y3)


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
        (np.eye(2, dtype=int)[y], "y should be a 1d array"),
        (np.where(y == 1, np.nan, 0.0), "Input y contains NaN"),
        (None, "requires y to be passed, but the target y is None"),
        (y[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
        ([], "inconsistent numbers of samples"),
    ],
    ids=["numbers", "2d", "nan", "none", "short", "empty"],
)
def test_invalid_labels(labels, error):
    with pytest.raises(ValueError, match=error):
        logistic().fit(X, labels)


@pytest.mark.parametrize("pos_label", [2, "1", -1])
def test_pos_label(pos_label):
    error = f"pos_label={pos_label!r} is not a class: y holds 0, 1"
    with pytest.raises(ValueError, match=error):
        logistic(pos_label=pos_label).fit(X, y)


@pytest.mark.parametrize("pos_label", [[0], np.array([0, 1]), {}])
def test_invalid_pos_label(pos_label):
    with pytest.raises(ValueError, match="'pos_label' parameter .* Got "):
        logistic(pos_label=pos_label).fit(X, y)


# -- costs of rows ---------------------------------------------------------------------

BAD_COSTS = [
    (np.ones(59), "a cost for each of the 60 rows, got 59"),
    (np.ones(61), "a cost for each of the 60 rows, got 61"),
    ([], "a cost for each of the 60 rows, got 0"),
    (replaced(7, -1), r"numbers >= 0.*got -1\.0 at position 7"),
    (replaced(3, np.nan), "finite.*got nan at position 3"),
    (replaced(3, np.inf), "finite.*got inf at position 3"),
    (5.0, "a number for each row"),
    (np.ones((60, 2)), r"a number for each row.*\(60, 2\)"),
    (np.ones((60, 1)), r"a number for each row.*\(60, 1\)"),
    (["1"] * 60, "a number for each row.*'1'"),
    (np.full(60, 1j), "a number for each row.*complex128"),
    (replaced(5, 1.7e308), r"at most.*got 1.7e\+308 at position 5"),
    (["dear"] * 60, "a number for each row.*'dear'"),
    ([None, *ONES[1:]], "(number for each row|finite)"),
]
BAD_IDS = [
    *"short long none negative nan inf scalar 2d".split(),
    *"column digits complex large text missing".split(),
]


@pytest.mark.parametrize(("costs", "error"), BAD_COSTS, ids=BAD_IDS)
@pytest.mark.parametrize("name", ["fp_cost", "fn_cost"])
@pytest.mark.parametrize("strategy", ["threshold", "auto"])
def test_invalid_row_costs_in_fit(strategy, name, costs, error):
    with pytest.raises(ValueError, match=f"{name} must hold .*{error}"):
        logistic(strategy=strategy).fit(X, y, **{name: costs})


@pytest.mark.parametrize(("costs", "error"), BAD_COSTS, ids=BAD_IDS)
@pytest.mark.parametrize("name", ["fp_cost", "fn_cost"])
@pytest.mark.parametrize("method", ["predict", "decision_function"])
def test_invalid_row_costs_in_predict(method, name, costs, error):
    model = logistic().fit(X, y, **{name: ONES})
    with pytest.raises(ValueError, match=f"{name} must hold .*{error}"):
        getattr(model, method)(X, **{name: costs})


@pytest.mark.parametrize("name", ["fp_cost", "fn_cost"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_missing_row_costs_in_predict(strategy, name):
    model = CostSensitiveClassifier(network(), strategy=strategy, cv=2)
    model.fit(X, y, **{name: replaced(0, 2)})
    if model.strategy_ in ("direct", "never", "always"):
        # Decisions at 1/2, and constant ones, need no costs.
        np.testing.assert_array_equal(
            model.predict(X), model.predict(X, fp_cost=ONES, fn_cost=5 * ONES)
        )
        return
    for method in (model.predict, model.decision_function):
        with pytest.raises(ValueError, match=f"{name} is missing"):
            method(X)
    with pytest.raises(ValueError, match=f"{name} is missing"):
        model.score(X, y)
    other = {"fp_cost": "fn_cost", "fn_cost": "fp_cost"}[name]
    with pytest.raises(ValueError, match=f"{name} is missing"):
        model.predict(X, **{other: ONES})


def test_row_costs_are_optional_after_refitting_without():
    model = logistic().fit(X, y, fp_cost=ONES)
    assert model.fit(X, y).predict(X).shape == (60,)


# -- matrices of costs -----------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "direct", "auto"])
@pytest.mark.parametrize(
    ("costs", "error"),
    [
        (np.eye(2), r"shape \(3, 3\).*got shape \(2, 2\)"),
        (np.ones((3, 2)), r"shape \(3, 3\).*got shape \(3, 2\)"),
        (np.ones(3), r"shape \(3, 3\).*got shape \(3,\)"),
        ([[0, 1, 1], [1, 0, -2], [1, 1, 0]], r"got -2\.0 at position 5"),
        ([[0, np.nan, 1], [1, 0, 1], [1, 1, 0]], "got nan at position 1"),
        ([[0, 1, 1], [np.inf, 0, 1], [1, 1, 0]], "got inf at position 3"),
        ([[0, "a", 1], [1, 0, 1], [1, 1, 0]], "hold numbers, got .*'a'"),
        ([[0, 1], [1, 0, 1]], "hold numbers, got"),
        ([[0, 1, 1], [1, 2, 1], [1, 1, 0]], r"row 1 is \[1\.0, 2\.0, 1\.0\]"),
    ],
    ids="small oblong flat negative nan inf text ragged right".split(),
)
def test_invalid_cost_matrix(strategy, costs, error):
    model = CostSensitiveClassifier(network(), strategy=strategy, cost_matrix=costs)
    with pytest.raises(ValueError, match=f"cost_matrix.*{error}"):
        model.fit(X, y3)


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "direct", "auto"])
@pytest.mark.parametrize("axis", ["index", "columns"])
def test_invalid_labels_of_a_cost_matrix(strategy, axis):
    costs = pd.DataFrame(1 - np.eye(3), columns=["a", "b", "c"], index=["a", "b", "c"])
    costs = costs.rename(**{axis: {"b": "bee"}})
    model = CostSensitiveClassifier(network(), strategy=strategy, cost_matrix=costs)
    error = f"cost_matrix must .* {axis} .* missing: 'b', unknown: 'bee'"
    with pytest.raises(ValueError, match=error):
        model.fit(X, np.array(["a", "b", "c"])[y3])


@pytest.mark.parametrize("loss", ["expected_cost", "log_loss", "focal"])
@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (network, X),
        (partial(LSTMClassifier, 2, max_iter=1), X.reshape(60, 4, 1)),
        (partial(ModuleClassifier, partial(nn.Linear, 4), max_iter=1), X),
    ],
    ids=["dense", "recurrent", "module"],
)
def test_invalid_cost_matrix_of_a_network(make, rows, loss):
    for costs, error in [
        ([[0, -1], [1, 0]], "got -1.0 at position 1"),
        ([[1]], r"have shape \(2, 2\), .* got shape \(1, 1\)"),
        ([[0, 1], [1, np.nan]], "got nan at position 3"),
        (pd.DataFrame(1 - np.eye(2), index=[0, 2], columns=[0, 1]), "missing: 1"),
    ]:
        with pytest.raises(ValueError, match=f"cost_matrix.*{error}"):
            make(loss=loss, cost_matrix=costs).fit(rows, y)


def test_scalar_cost_matrix():
    with pytest.raises(ValueError, match=r"'cost_matrix' parameter .* Got 3\.0"):
        logistic(cost_matrix=3.0).fit(X, y)


def test_cost_matrix_excludes_alpha():
    with pytest.raises(ValueError, match="cost_matrix .*alpha=2 cannot be given too"):
        logistic(cost_matrix=1 - np.eye(2), alpha=2).fit(X, y)


@pytest.mark.parametrize("name", ["fp_cost", "fn_cost"])
def test_cost_matrix_excludes_row_costs(name):
    model = logistic(cost_matrix=1 - np.eye(2))
    with pytest.raises(ValueError, match=f"cost_matrix .*{name} cannot be given too"):
        model.fit(X, y, **{name: ONES})
    with pytest.raises(ValueError, match=f"cost_matrix .*{name} cannot be given too"):
        model.fit(X, y).predict(X, **{name: ONES})


def test_cost_matrix_of_zeros():
    model = CostSensitiveClassifier(
        network(), strategy="direct", cost_matrix=np.zeros((3, 3)), random_state=0
    ).fit(X, y3)
    np.testing.assert_array_equal(model.decision_function(X), np.zeros((60, 3)))


# -- abstaining ------------------------------------------------------------------------


@pytest.mark.parametrize("cost", [-0.1, np.nan, np.inf, "1", [1]])
def test_invalid_abstain_cost(cost):
    with pytest.raises(ValueError, match="'abstain_cost' parameter .* Got "):
        logistic(abstain_cost=cost).fit(X, y)


@pytest.mark.parametrize(
    ("labels", "label", "error"),
    [
        ([0, 1], 1, "abstain_label=1 is one of the classes"),
        ([-1, 1], -1, "abstain_label=-1 is one of the classes"),
        (["no", "yes"], "no", "abstain_label='no' is one of the classes"),
        (["no", "yes"], -1, r"abstain_label=-1 .* \['no', 'yes'\]"),
        ([0, 1], "none", r"abstain_label='none' .* \[0, 1\]"),
        ([False, True], -1, r"abstain_label=-1 .* \[False, True\]"),
    ],
)
def test_abstain_label_that_is_a_class(labels, label, error):
    classes = np.array(labels)[y]
    model = logistic(abstain_cost=0.3, abstain_label=label)
    with pytest.raises(ValueError, match=error):
        model.fit(X, classes)
    # Without abstain_cost the label is ignored.
    model.set_params(abstain_cost=None).fit(X, classes)
    with pytest.raises(ValueError, match=error):
        model.set_params(abstain_cost=0.3).predict(X)


@pytest.mark.parametrize("label", [None, [1], {}])
def test_invalid_abstain_label(label):
    with pytest.raises(ValueError, match="'abstain_label' parameter .* Got "):
        logistic(abstain_cost=0.3, abstain_label=label).fit(X, y)


# -- the classifier --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "auto"])
@pytest.mark.parametrize("calibration", [None, "sigmoid"])
@pytest.mark.parametrize(
    "estimator",
    [LinearSVC(), SVC(), LinearRegression(), network(loss="hinge")],
    ids=["LinearSVC", "SVC", "LinearRegression", "MLPClassifier"],
)
@pytest.mark.parametrize("piped", [False, True])
def test_estimator_without_probabilities(estimator, strategy, calibration, piped):
    name = type(estimator).__name__
    if piped:
        estimator = make_pipeline(StandardScaler(), estimator)
    model = CostSensitiveClassifier(
        estimator, strategy=strategy, calibration=calibration
    )
    error = f"estimator={name} has no predict_proba.*strategy='{strategy}'.*Calib"
    with pytest.raises(ValueError, match=error):
        model.fit(X, y)


@pytest.mark.parametrize("strategy", ["direct", "auc"])
@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["line", "pipeline"],
)
def test_strategy_needs_a_skdeep_classifier(estimator, strategy):
    model = CostSensitiveClassifier(estimator, strategy=strategy)
    error = f"strategy='{strategy}' needs a classifier of skdeep.*LogisticRegression"
    with pytest.raises(ValueError, match=error):
        model.fit(X, y)


class FixedFirstRow(GaussianNB):
    """Predicts given values as the probabilities of the first row."""

    def __init__(self, first_row=None):
        super().__init__()
        self.first_row = first_row

    def predict_proba(self, X):
        p = super().predict_proba(X)
        p[0] = self.first_row
        return p


@pytest.mark.parametrize("strategy", ["threshold", "tuned", "weighted", "auto"])
@pytest.mark.parametrize(
    ("first_row", "shown"),
    [(np.nan, "nan, nan"), (np.inf, "inf"), ([-1, 2], "-1.0, 2.0"), (0, "0.0, 0.0")],
)
def test_invalid_probabilities(strategy, first_row, shown):
    model = logistic(estimator=FixedFirstRow(first_row), strategy=strategy)
    error = rf"=FixedFirstRow must return probabilities, got .*\[{shown}.* in row 0"
    with pytest.raises(ValueError, match=error):
        model.fit(X, y).predict(X)


def test_estimator_without_sample_weight():
    model = logistic(estimator=KNeighborsClassifier(), alpha=3, strategy="weighted")
    error = "strategy='weighted' .* KNeighborsClassifier takes no sample_weight"
    with pytest.raises(ValueError, match=error):
        model.fit(X, y)


@pytest.mark.parametrize("estimator", ["line", 3, StandardScaler()])
def test_invalid_estimator(estimator):
    with pytest.raises(ValueError, match="'estimator' parameter .* Got "):
        logistic(estimator=estimator).fit(X, y)


def test_class_weight_warns():
    model = logistic(estimator=LogisticRegression(class_weight="balanced"))
    error = "class_weight='balanced' of LogisticRegression distorts"
    with pytest.warns(UserWarning, match=error):
        model.fit(X, y)
    model.set_params(calibration="sigmoid").fit(X, y)  # no warning


@pytest.mark.parametrize("strategy", ["best", None, 3])
def test_invalid_strategy(strategy):
    with pytest.raises(ValueError, match="'strategy' parameter .* Got "):
        logistic(strategy=strategy).fit(X, y)


@pytest.mark.parametrize("calibration", ["platt", True, 3])
def test_invalid_calibration(calibration):
    with pytest.raises(ValueError, match="'calibration' parameter .* Got "):
        logistic(calibration=calibration).fit(X, y)


@pytest.mark.parametrize("random_state", ["a", -1, 1.5])
def test_invalid_random_state(random_state):
    with pytest.raises(ValueError, match="'random_state' parameter .* Got "):
        logistic(random_state=random_state).fit(X, y)


# -- folds -----------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [1, 0, -3, "time", 2.5])
def test_invalid_cv(cv):
    with pytest.raises(ValueError, match="'cv' parameter .* Got "):
        logistic(strategy="tuned", cv=cv).fit(X, y)


@pytest.mark.parametrize(
    ("cv", "error"),
    [
        ([], r"cv=\[\] yields no folds"),
        ([(np.arange(50), [])], r"(?s)cv=\[.* without test rows"),
        ([([], np.arange(50))], r"fold 0 of cv .* got \[\]"),
        (
            [(np.flatnonzero(y == 1), np.flatnonzero(y == 0))],
            r"fold 0 of cv .* got \[1\]",
        ),
        (100, "n_splits=100 .* n_samples=60|n_splits=100"),
        (TimeSeriesSplit(100), "number of folds=101 .* number of samples=60"),
    ],
    ids=["none", "no test", "no train", "one class", "many", "time"],
)
@pytest.mark.parametrize("strategy", ["tuned", "auto"])
def test_invalid_folds(cv, error, strategy):
    with pytest.raises(ValueError, match=error):
        logistic(strategy=strategy, cv=cv).fit(X, y)


@pytest.mark.parametrize("strategy", ["tuned", "auto"])
def test_one_row_of_a_class(strategy):
    with pytest.raises(ValueError, match=f"strategy='{strategy}' .*one row only"):
        logistic(strategy=strategy).fit(X, np.arange(60) == 0)
    logistic(strategy="threshold").fit(X, np.arange(60) == 0)


def test_training_rows_of_one_class():
    error = r"training rows of fold 0 of cv .* got \[False\]"
    with pytest.raises(ValueError, match=error):
        logistic(strategy="tuned", cv=TimeSeriesSplit(3)).fit(X, np.arange(60) > 40)


# -- weights and metadata --------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "weighted", "auto"])
@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (replaced(0, -1), "[Nn]egative values.*weight"),
        (np.ones(59), r"sample_weight\.shape == \(59,\)|inconsistent"),
        (replaced(0, np.nan), "sample_weight contains NaN"),
        (np.zeros(60), "[Ss]ample.weight.*zero"),
    ],
    ids=["negative", "short", "nan", "zero"],
)
def test_invalid_sample_weight(strategy, weight, error):
    with pytest.raises(ValueError, match=error):
        logistic(strategy=strategy, alpha=2).fit(X, y, sample_weight=weight)


def test_sample_weight_overflow():
    with pytest.raises(ValueError, match=r"sample_weight .* got 1.7e\+308 at pos"):
        logistic().fit(X, y, sample_weight=np.full(60, 1.7e308))


def test_metadata_need_routing():
    with pytest.raises(ValueError, match=r"enable_metadata_routing.*\{'groups'\}"):
        logistic(strategy="tuned", cv=GroupKFold(2)).fit(X, y, groups=y)


@pytest.mark.parametrize("name", ["groups", "color"])
def test_unrequested_metadata(name):
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match=f"fit got unexpected.*{name}"),
    ):
        logistic().fit(X, y, **{name: y})


# -- rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["threshold", "tuned"])
@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (X[:0], "inconsistent numbers of samples"),
        (np.where(X > 2, np.nan, X), "Input X contains NaN"),
        (X[:, 0], "Expected 2D array, got 1D array"),
        (np.full((60, 4), "a"), "could not convert string to float"),
    ],
    ids=["none", "nan", "1d", "text"],
)
def test_invalid_rows(strategy, rows, error):
    with pytest.raises(ValueError, match=error):
        logistic(strategy=strategy).fit(rows, y)


@pytest.mark.parametrize("strategy", ["threshold", "tuned"])
def test_wrong_number_of_features(strategy):
    model = logistic(strategy=strategy).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but .* expecting 4"):
        model.predict(X[:, :3])


def test_wrong_feature_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = logistic().fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("dcba")])


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match="CostSensitiveClassifier.* not fitted"):
        getattr(logistic(), method)(X)


@pytest.mark.parametrize("name", ["threshold_", "cv_costs_", "classes_", "estimator_"])
def test_no_attributes_before_fit(name):
    assert not hasattr(logistic(), name)
    with pytest.raises(AttributeError):
        getattr(logistic(), name)


# -- failing fits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "rows", "given"),
    [
        ({"alpha": -1}, X, {}),
        ({"strategy": "direct"}, X, {}),
        ({"cost_matrix": np.eye(3), "alpha": 1}, X, {}),
        ({}, np.where(X > 2, np.nan, X), {}),
        ({"strategy": "weighted"}, np.where(X > 2, np.nan, X), {}),
        ({"strategy": "auto"}, np.where(X > 2, np.nan, X), {}),
        ({}, X, {"fp_cost": -ONES}),
        ({"cv": []}, X, {}),
    ],
    ids="alpha direct matrix nan weighted auto costs folds".split(),
)
def test_failed_fit_keeps_the_earlier_fit(changed, rows, given):
    model = logistic(alpha=3, strategy="tuned", cv=3)
    parameters = model.get_params()
    model.fit(X, y)
    before = model.predict(X), model.predict_proba(X), model.cv_costs_
    fitted = model.threshold_, model.strategy_, model.classes_.tolist()
    with pytest.raises(ValueError):
        model.set_params(**changed).fit(rows, y, **given)
    model.set_params(**{name: parameters[name] for name in changed})
    np.testing.assert_array_equal(model.predict(X), before[0])
    np.testing.assert_array_equal(model.predict_proba(X), before[1])
    pd.testing.assert_frame_equal(model.cv_costs_, before[2])
    assert (model.threshold_, model.strategy_, model.classes_.tolist()) == fitted


# -- labels, weights and options -------------------------------------------------------


@pytest.mark.parametrize(
    "missing",
    [
        np.where(np.arange(60) == 3, np.nan, y),
        np.array([None, *y[1:]], dtype=object),
        pd.Series(y.astype(str), dtype="string").where(np.arange(60) != 3),
        pd.Series(y, dtype="Int64").where(np.arange(60) != 3),
    ],
    ids=["NaN", "None", "text", "Int64"],
)
def test_missing_labels(missing):
    model = logistic()
    with pytest.raises(
        ValueError, match="y (must not hold missing values, got 1|contains NaN)"
    ):
        model.fit(X, missing)
    assert not hasattr(model, "classes_")
    with pytest.raises(
        ValueError, match="y (must not hold missing values, got 1|contains NaN)"
    ):
        logistic().fit(X, y).score(X, missing)


@pytest.mark.parametrize(
    "weight",
    [
        y.astype(complex),
        y.astype(str),
        np.array([{}] * 60),
        np.array([10**400] * 60, dtype=object),
        torch.ones(60, device="meta"),
    ],
    ids=["complex", "text", "dicts", "huge", "meta"],
)
def test_invalid_weights(weight):
    for method in (logistic().fit, logistic().fit(X, y).score):
        with pytest.raises((TypeError, ValueError), match="sample_weight"):
            method(X, y, sample_weight=weight)


def test_tensors_as_input():
    rows, labels, weight = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True)
        for values in (X, y, WEIGHT)
    )
    model = logistic().fit(rows, labels, sample_weight=weight)
    same = logistic().fit(X, y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(model.predict(rows), same.predict(X))
    assert model.score(rows, labels, weight) == same.score(X, y, WEIGHT)


def test_misspelled_options():
    with pytest.raises(ValueError, match=r"'auc', 'auto', .* Did you mean 'tuned'\?"):
        logistic(strategy="tunned").fit(X, y)
    with pytest.raises(ValueError, match=r"'alpha' parameter .* Got Fraction\(1, 2\)"):
        logistic(alpha=Fraction(1, 2)).fit(X, y)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(alpha=pd.NA), "alpha must be a finite number .* got <NA>"),
        (dict(alpha=np.ones(2)), "alpha must be a finite number .* got array"),
        (dict(abstain_cost=0.1, abstain_label=[1]), r"abstain_label .* got \[1\]"),
    ],
)
def test_invalid_costs_after_fit(changed, message):
    model = logistic().fit(X, y).set_params(**changed)
    with pytest.raises((TypeError, ValueError), match=message):
        model.predict(X)
