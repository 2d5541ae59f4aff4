"""Ctrl-C: a user's own fit keeps what is trained, a fit inside of another goes up."""

import signal
import threading

import joblib
import numpy as np
import optuna
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import (
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    LSTMClassifier,
    MLPClassifier,
    MLPRegressor,
    OptunaSearchCV,
)
from skdeep.callbacks import Checkpoint
from skdeep.training._epochs import Fit

X, y = make_classification(40, 4, random_state=0)
RATES = {"learning_rate_init": [0.01, 0.1]}


class CtrlC:
    """A callback: the signal that a terminal sends comes after the second epoch."""

    n_epochs = 0

    def setup(self, estimator, context):
        CtrlC.n_epochs = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            CtrlC.n_epochs += 1
            if context.task_id == 1:
                signal.raise_signal(signal.SIGINT)


def network(kind=MLPClassifier, **options):
    options = {"max_iter": 9, "random_state": 0, **options}
    return kind(hidden_layer_sizes=(3,), **options).set_callbacks(CtrlC())


class Wrapped(ClassifierMixin, BaseEstimator):
    """A user's own estimator around another one."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self


class Scaled(MLPClassifier):
    """A user's own kind of network."""

    def fit(self, X, y):
        return super().fit(X / 2, y)


# -- a user's own fit ------------------------------------------------------------------

OWN = {
    "alone": network,
    "lbfgs": lambda: network(solver="lbfgs"),
    "subclass": lambda: network(Scaled),
    "at the end of pipelines": lambda: make_pipeline(
        StandardScaler(), make_pipeline(StandardScaler(), network())
    ),
    "with a transformed target": lambda: TransformedTargetRegressor(
        network(MLPRegressor), transformer=StandardScaler()
    ),
}


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_what_is_trained_is_kept(make):
    model = make()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert np.isfinite(model.score(X, y))
    inner = getattr(model, "regressor_", model)
    while hasattr(inner, "steps"):
        inner = inner[-1]
    assert inner.n_iter_ in (1, 2)  # lbfgs counts an iteration once it has ended


def test_a_users_own_loop_goes_on():
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        assert [network().fit(X, y).n_iter_ for _ in range(2)] == [2, 2]


# -- a fit inside of another -----------------------------------------------------------

INSIDE = {
    "cross_validate": lambda model: cross_validate(model, X, y, cv=2),
    "cross_val_predict": lambda model: cross_val_predict(model, X, y, cv=2),
    "learning_curve": lambda model: learning_curve(model, X, y, cv=2),
    "permutation_test_score": lambda model: permutation_test_score(
        model, X, y, cv=2, n_permutations=2
    ),
    "GridSearchCV": lambda model: GridSearchCV(model, RATES, cv=2).fit(X, y),
    "OptunaSearchCV": lambda model: OptunaSearchCV(model, RATES, cv=2).fit(X, y),
    "BaggingClassifier": lambda model: BaggingClassifier(model, 2).fit(X, y),
    "StackingClassifier": lambda model: StackingClassifier([("a", model)]).fit(X, y),
    "VotingClassifier": lambda model: VotingClassifier([("a", model)]).fit(X, y),
    "CalibratedClassifierCV": lambda model: CalibratedClassifierCV(model).fit(X, y),
    "OneVsRestClassifier": lambda model: OneVsRestClassifier(model).fit(X, y),
    "a step that is not the last": lambda model: Pipeline(
        [
            ("a", SelectFromModel(model, importance_getter="coefs_")),
            ("b", "passthrough"),
        ]
    ).fit(X, y),
    "FeatureUnion": lambda model: FeatureUnion([("a", SelectFromModel(model))]).fit(
        X, y
    ),
    "CostSensitiveClassifier": lambda model: CostSensitiveClassifier(model).fit(X, y),
    "CostSensitiveClassifier, one network": lambda model: CostSensitiveClassifier(
        model, 2.0, strategy="direct"
    ).fit(X, y),
    "a user's own estimator": lambda model: Wrapped(model).fit(X, y),
    "a user's own jobs": lambda model: joblib.Parallel(2, backend="threading")(
        joblib.delayed(clone(model).fit)(X, y) for _ in range(2)
    ),
    "a study of Optuna": lambda model: optuna.create_study().optimize(
        lambda trial: clone(model).fit(X, y).score(X, y), n_trials=2
    ),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("fit", INSIDE.values(), ids=INSIDE)
def test_an_interrupt_inside_of_another_fit_goes_up(fit, solver):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with pytest.raises(KeyboardInterrupt):
        fit(network(solver=solver))


@pytest.mark.slow
def test_in_a_process_of_joblib_it_goes_up_too():
    with pytest.raises(KeyboardInterrupt):
        cross_validate(network(), X, y, cv=2, n_jobs=2)


def test_an_ensemble_is_not_kept_in_part(monkeypatch):
    ends = []

    def end_epoch(fit, losses, real=Fit.end_epoch):
        ends.append(real(fit, losses))
        if len(ends) == 3:
            signal.raise_signal(signal.SIGINT)

    model = DeepEnsembleClassifier(4, max_iter=9, random_state=0)
    monkeypatch.setattr(Fit, "end_epoch", end_epoch)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    ends.clear()
    # Nor if its networks are trained one by one.
    monkeypatch.setattr("skdeep.training._loop.can_join", lambda task: False)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(ends) == 3


def test_a_checkpoint_stays_and_is_resumed(tmp_path):
    def cross_validated(*callbacks):
        model = MLPClassifier((3,), learning_rate="cosine", max_iter=9, random_state=0)
        model.set_callbacks(Checkpoint(tmp_path / "fit.checkpoint"), *callbacks)
        return cross_validate(model, X, y, cv=2)["test_score"]

    with pytest.raises(KeyboardInterrupt):
        cross_validated(CtrlC())
    assert len(list(tmp_path.iterdir())) == 1
    assert cross_validated().tolist() == _scores_of_unbroken()
    assert len(list(tmp_path.iterdir())) == 2


def _scores_of_unbroken():
    model = MLPClassifier((3,), learning_rate="cosine", max_iter=9, random_state=0)
    return cross_validate(model, X, y, cv=2)["test_score"].tolist()


# -- under the backend -----------------------------------------------------------------

LONG = {"max_iter": 2000, "n_iter_no_change": 2000}
TOGETHER = {
    "networks that train alone": lambda: GridSearchCV(
        LSTMClassifier(2, **LONG).set_callbacks(CtrlC()), RATES, cv=2
    ).fit(X[:, :, None], y),
    "a search in lockstep": lambda: OptunaSearchCV(network(**LONG), RATES, cv=2).fit(
        X, y
    ),
}


@pytest.mark.parametrize("fit", TOGETHER.values(), ids=TOGETHER)
def test_under_the_backend_all_fits_end(fit):
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        with joblib.parallel_config(backend="skdeep"):
            fit()
    assert set(threading.enumerate()) <= before
    assert CtrlC.n_epochs < 1000
