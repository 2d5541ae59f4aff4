"""scikit-learn's own checks of every public estimator."""

import pytest
from sklearn.base import is_regressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skdeep import (
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    OptunaSearchCV,
    SlidingWindow,
    TrendFeatures,
)


class SmallNetwork(nn.Sequential):
    """A network that learns scikit-learn's small data in few epochs."""

    def __init__(self, n_features, n_outputs):
        hidden = nn.Linear(n_features, 100)
        super().__init__(hidden, nn.ReLU(), nn.Linear(100, n_outputs))


LINE = LogisticRegression()
SMALL = MLPClassifier((16,), solver="lbfgs", max_iter=30)
SEEDED = MLPClassifier((16,), solver="lbfgs", max_iter=30, random_state=0)


def searched(estimator, name):
    """Return a search as scikit-learn's checks set up its own."""
    steps = [("pca", PCA()), ("last", estimator)]
    options = {"n_trials": 2, "cv": 2, "error_score": "raise", "random_state": 0}
    return [
        OptunaSearchCV(estimator, {name: [0.1, 1.0]}, **options),
        OptunaSearchCV(Pipeline(steps), {f"last__{name}": [0.1, 1.0]}, **options),
    ]


# As many epochs as scikit-learn gives its own MLP in these checks; beside the defaults,
# one of each kind of training and of loss.
ESTIMATORS = [
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    MLPClassifier(solver="lbfgs", max_iter=20),
    MLPRegressor(solver="lbfgs"),
    MLPClassifier(loss="squared_hinge", max_iter=100),
    MLPClassifier(loss="kl_divergence", max_iter=100),
    MLPClassifier(loss="expected_cost", max_iter=100),
    MLPClassifier(loss="pairwise_auc", max_iter=100),
    MLPRegressor(loss="gaussian", max_iter=100),
    LSTMClassifier(32, learning_rate_init=0.01, max_iter=60),
    LSTMRegressor(learning_rate_init=0.02, max_iter=50),
    LSTMClassifier(16, cell="gru", bidirectional=True, learning_rate_init=0.02),
    LSTMRegressor(hidden_size=16, cell="rnn", num_layers=2, truncation=2, max_iter=50),
    LSTMForecaster(window=2, horizon=1),
    ModuleClassifier(SmallNetwork, max_iter=100),
    ModuleRegressor(SmallNetwork, max_iter=100),
    CostSensitiveClassifier(LINE, strategy="threshold"),
    CostSensitiveClassifier(LINE, 3, strategy="tuned", cv=3),
    CostSensitiveClassifier(LINE, strategy="weighted"),
    CostSensitiveClassifier(LINE, strategy="threshold", calibration="sigmoid", cv=3),
    CostSensitiveClassifier(LINE, cv=3),
    CostSensitiveClassifier(SMALL, strategy="direct"),
    CostSensitiveClassifier(SMALL, strategy="auc", cv=2),
    DeepEnsembleClassifier(4, n_folds=2, max_iter=20, n_iter_no_change=3),
    DeepEnsembleRegressor(4, n_folds=2, max_iter=20),
    SlidingWindow(),
    TrendFeatures(),
    *searched(Ridge(), "alpha"),
    *searched(LINE, "C"),
    *searched(SEEDED, "alpha")[:1],
]

_ORDERED_IN_TIME = "rows are ordered in time: each depends on those before it"

_CUTS_FOLDS = "folds are cut among the rows: a row of weight 2 is not two rows"

_NOT_AT_A_HALF = "the probability at which decisions turn is tuned, not 1/2"


def expected_failures(estimator):
    """Return the checks that cannot hold, each with its reason."""
    if isinstance(estimator, (LSTMForecaster, SlidingWindow, TrendFeatures)):
        return {
            "check_methods_sample_order_invariance": _ORDERED_IN_TIME,
            "check_methods_subset_invariance": _ORDERED_IN_TIME,
        }
    if isinstance(estimator, OptunaSearchCV) and is_regressor(estimator):
        # As scikit-learn has it for RandomizedSearchCV.
        return {"check_supervised_y_2d": "DataConversionWarning not caught"}
    if isinstance(estimator, (DeepEnsembleClassifier, DeepEnsembleRegressor)):
        return {"check_sample_weight_equivalence_on_dense_data": _CUTS_FOLDS}
    tunes = isinstance(estimator, CostSensitiveClassifier) and (
        estimator.strategy in ("tuned", "auto")
    )
    return {"check_classifiers_train": _NOT_AT_A_HALF} if tunes else {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# scikit-learn's splitter asks whether infinite labels are whole numbers.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
# The checks' arrays have no dates that tell whether they follow the training rows.
@pytest.mark.filterwarnings(
    "ignore:(LSTMForecaster|SlidingWindow|TrendFeatures):UserWarning"
)
# Nor have they many rows to learn a threshold from.
@pytest.mark.filterwarnings("ignore:strategy '.*' found it cheapest:UserWarning")
# The checks make data frames of any rows, and few of them.
@pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_check(estimator, check):
    check(estimator)
