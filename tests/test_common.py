"""scikit-learn's own checks of every public estimator, and the project's contract.

One small instance of each estimator runs all checks. Its variants, such as another
solver or strategy, run those that depend on what varies.
"""

import functools

import pytest
from sklearn.base import is_regressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator
from torch import nn

import skdeep
from skdeep import (
    GAN,
    AutoEncoder,
    CNNClassifier,
    CNNRegressor,
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    EquilibriumNet,
    LanguageModel,
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    OptunaSearchCV,
    Seq2Seq,
    SequenceVectorizer,
    SlidingWindow,
    TrendFeatures,
    VariationalAutoEncoder,
)
from skdeep.testing import parametrize_with_contract
from tests.estimators.equilibrium_data import Linear


class SmallNetwork(nn.Sequential):
    """A network that learns scikit-learn's small data in few epochs."""

    def __init__(self, n_features, n_outputs):
        hidden = nn.Linear(n_features, 8)
        super().__init__(hidden, nn.ReLU(), nn.Linear(8, n_outputs))


# Few wide steps, which suffice for the checks that compare accuracies.
FAST = {"learning_rate_init": 0.1, "max_iter": 20}
# The checks compare models to the last digits, and have very few rows to normalize.
IMAGES = {
    "hidden_layer_sizes": 8,
    "dropout": 0.0,
    "batch_norm": False,
    "dtype": None,
    "batch_size": "auto",
    **FAST,
}
LINE = LogisticRegression()
SMALL = MLPClassifier((8,), solver="lbfgs", max_iter=15)
SEARCH = {"n_trials": 2, "cv": 2, "error_score": "raise", "random_state": 0}

# One small instance of each estimator, for all checks.
ESTIMATORS = [
    MLPClassifier((8,), **FAST),
    MLPRegressor(hidden_layer_sizes=(8,), **FAST),
    ModuleClassifier(SmallNetwork, **FAST),
    ModuleRegressor(SmallNetwork, **FAST),
    LSTMClassifier(8, learning_rate_init=0.05, max_iter=10),
    LSTMRegressor(hidden_size=8, learning_rate_init=0.05, max_iter=5),
    LSTMForecaster(window=2, horizon=1, hidden_size=8, max_iter=2),
    CNNClassifier(4, **IMAGES),
    CNNRegressor(16, **IMAGES | {"hidden_layer_sizes": 32}),
    Seq2Seq(4, learning_rate_init=0.05, max_iter=3),
    AutoEncoder(2, hidden_layer_sizes=8, max_iter=5),
    VariationalAutoEncoder(2, hidden_layer_sizes=8, max_iter=3),
    GAN(2, hidden_layer_sizes=8, max_iter=3),
    CostSensitiveClassifier(LINE, cv=2),
    DeepEnsembleClassifier(2, n_folds=2, max_iter=5),
    DeepEnsembleRegressor(2, n_folds=2, max_iter=10),
    OptunaSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, **SEARCH),
    SlidingWindow(),
    TrendFeatures(),
]

# One of each kind of training, of loss, of cell and of strategy.
VARIANTS = [
    MLPClassifier((8,), solver="lbfgs", max_iter=20),
    MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs"),
    MLPClassifier((8,), loss="squared_hinge", **FAST),
    MLPClassifier((8,), loss="kl_divergence", **FAST),
    MLPClassifier((8,), loss="expected_cost", **FAST),
    MLPClassifier((8,), loss="pairwise_auc", **FAST),
    MLPRegressor("gaussian", (8,), learning_rate_init=0.05, max_iter=50),
    LSTMClassifier(
        8, cell="gru", bidirectional=True, learning_rate_init=0.05, max_iter=20
    ),
    LSTMRegressor(hidden_size=16, cell="rnn", num_layers=2, truncation=2, max_iter=50),
    CostSensitiveClassifier(LINE, strategy="threshold"),
    CostSensitiveClassifier(LINE, 3, strategy="tuned", cv=2),
    CostSensitiveClassifier(LINE, strategy="weighted"),
    CostSensitiveClassifier(LINE, strategy="threshold", calibration="sigmoid", cv=2),
    CostSensitiveClassifier(SMALL, strategy="direct"),
    CostSensitiveClassifier(
        MLPClassifier((16,), solver="lbfgs", max_iter=30), strategy="auc", cv=2
    ),
    OptunaSearchCV(
        Pipeline([("pca", PCA()), ("last", LINE)]), {"last__C": [0.1, 1.0]}, **SEARCH
    ),
    OptunaSearchCV(
        MLPClassifier((8,), learning_rate_init=0.1, max_iter=10, random_state=0),
        {"alpha": [0.1, 1.0]},
        **SEARCH,
    ),
]

# The checks whose outcome depends on how a model is trained and how it decides.
OF_VARIANTS = {
    "check_classifiers_train",
    "check_classifiers_classes",
    "check_classifiers_one_label",
    "check_classifiers_one_label_sample_weights",
    "check_class_weight_classifiers",
    "check_decision_proba_consistency",
    "check_dict_unchanged",
    "check_estimators_dtypes",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_non_transformer_estimators_n_iter",
    "check_regressors_train",
    "check_sample_weight_equivalence_on_dense_data",
    "check_supervised_y_2d",
}

# Some checks need another instance of an estimator: those of how well a model has
# learned may need a larger network or more epochs; weights and repeated rows give the
# same model only if all rows are in one batch.
OF_LEARNING = {"check_regressors_train", "check_classifiers_train"}
OF_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
SECOND = {
    LSTMRegressor: (
        OF_LEARNING,
        LSTMRegressor(hidden_size=32, learning_rate_init=0.03, max_iter=50),
    ),
    AutoEncoder: (
        OF_WEIGHTS,
        AutoEncoder(2, hidden_layer_sizes=8, solver="lbfgs", max_iter=5),
    ),
    CNNClassifier: (OF_WEIGHTS, CNNClassifier(4, **IMAGES | {"solver": "lbfgs"})),
    CNNRegressor: (OF_WEIGHTS, CNNRegressor(4, **IMAGES | {"solver": "lbfgs"})),
}

_ORDERED_IN_TIME = "rows are ordered in time: each depends on those before it"

_CUTS_FOLDS = "rows are split into folds: a row of weight 2 is not two rows"

_DRAWS_CODES = "the code of a row is drawn: a row of weight 2 has one, two rows two"

_NOT_AT_A_HALF = "the threshold on the probability is tuned, not 1/2"


def expected_failures(estimator):
    """Return the checks that cannot hold, each with its reason."""
    if isinstance(estimator, (LSTMForecaster, SlidingWindow, TrendFeatures)):
        return {
            "check_methods_sample_order_invariance": _ORDERED_IN_TIME,
            "check_methods_subset_invariance": _ORDERED_IN_TIME,
        }
    if isinstance(estimator, OptunaSearchCV) and is_regressor(estimator):
        # The same exemption as scikit-learn has for RandomizedSearchCV.
        return {"check_supervised_y_2d": "DataConversionWarning not caught"}
    if isinstance(estimator, (DeepEnsembleClassifier, DeepEnsembleRegressor)):
        return {"check_sample_weight_equivalence_on_dense_data": _CUTS_FOLDS}
    if isinstance(estimator, VariationalAutoEncoder):
        return dict.fromkeys(OF_WEIGHTS, _DRAWS_CODES)
    tunes = isinstance(estimator, CostSensitiveClassifier) and (
        estimator.strategy in ("tuned", "auto")
    )
    return {"check_classifiers_train": _NOT_AT_A_HALF} if tunes else {}


# scikit-learn's check gives every ensemble 1000 epochs.
SLOW = {("DeepEnsembleClassifier", "check_class_weight_classifiers")}


def check_id(check):
    """Return the name of a check and the options that it is called with."""
    options = check.keywords if isinstance(check, functools.partial) else {}
    while isinstance(check, functools.partial):
        options, check = {**check.keywords, **options}, check.func
    return check.__name__, options


def checks_of(estimator, is_wanted):
    """Yield the checks of an estimator that are wanted, as parameters of a test."""
    failures = expected_failures(estimator)
    for _, check in estimator_checks_generator(estimator):
        name, options = check_id(check)
        if not is_wanted(name, options):
            continue
        marks = []
        if name in failures:
            marks.append(pytest.mark.xfail(reason=failures[name]))
        if (type(estimator).__name__, name) in SLOW:
            marks.append(pytest.mark.slow)
        told = ",".join(f"{key}={value}" for key, value in options.items())
        shown = " ".join(repr(estimator).split())
        yield pytest.param(estimator, check, marks=marks, id=f"{shown}-{name}({told})")


def all_checks():
    """Yield every check of every estimator."""
    for estimator in ESTIMATORS:
        names, other = SECOND.get(type(estimator), (set(), None))
        yield from checks_of(estimator, lambda name, _, out=names: name not in out)
        if other is not None:
            yield from checks_of(other, lambda name, _, wanted=names: name in wanted)


def checks_of_variants():
    """Yield the checks of the variants, on plain arrays."""
    for estimator in VARIANTS:
        yield from checks_of(
            estimator, lambda name, options: name in OF_VARIANTS and not options
        )


def test_every_estimator_is_checked():
    named = [getattr(skdeep, name) for name in skdeep.__all__]
    public = {each for each in named if hasattr(each, "fit")}
    checked = {type(estimator) for estimator in ESTIMATORS}
    # They take documents, or the states of a model: scikit-learn has hardly any checks
    # for them.
    left_out = {EquilibriumNet, LanguageModel, SequenceVectorizer}
    assert public - checked == left_out


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# scikit-learn's splitter asks whether infinite labels are whole numbers.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
# The arrays of the checks have no dates to compare with the training rows.
@pytest.mark.filterwarnings(
    "ignore:(LSTMForecaster|SlidingWindow|TrendFeatures):UserWarning"
)
# They also have few rows for tuning a threshold.
@pytest.mark.filterwarnings("ignore:strategy '.*' found it cheapest:UserWarning")
# The checks make data frames of any rows, and few of them.
@pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning")
@pytest.mark.parametrize("estimator, check", [*all_checks(), *checks_of_variants()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


def expected_breaches(estimator):
    """Return the checks of the contract that cannot hold, each with its reason."""
    if isinstance(estimator, (LSTMForecaster, SlidingWindow, TrendFeatures)):
        return {"check_one_row_answers_as_in_a_batch": _ORDERED_IN_TIME}
    return {}


# One of each estimator, and other kinds of training, alone and inside another one.
OF_CONTRACT = [
    *ESTIMATORS,
    SequenceVectorizer(),
    EquilibriumNet(Linear(), (4,), n_paths=5, n_periods=2, max_iter=3),
    LanguageModel(4, max_iter=3),
    LanguageModel(4, level="char", cell="gru", dropout=0.2, batch_size=3, max_iter=3),
    GAN(2, (8,), loss="wasserstein", pack_size=2, scaling="standard", max_iter=3),
    AutoEncoder(3, tied=True, noise=0.1, mask=0.1, sparsity=0.1, max_iter=3),
    VariationalAutoEncoder(1, beta=2.0, early_stopping=True, dropout=0.1, max_iter=3),
    AutoEncoder(
        1, solver="lbfgs", outlier_score="distance", early_stopping=True, max_iter=10
    ),
    MLPClassifier((8,), solver="lbfgs", max_iter=20),
    MLPClassifier((8,), early_stopping=True, dropout=0.2, batch_norm=True, **FAST),
    MLPRegressor("gaussian", (8,), scale_target=True, **FAST),
    CostSensitiveClassifier(MLPClassifier((8,), max_iter=3), strategy="direct"),
    OptunaSearchCV(MLPClassifier((8,), max_iter=3), {"alpha": [0.1, 1.0]}, **SEARCH),
]


@parametrize_with_contract(OF_CONTRACT, expected_failed_checks=expected_breaches)
def test_contract(estimator, check):
    check(estimator)
