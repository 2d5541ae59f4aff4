"""Ctrl-C: an outermost fit keeps the trained network; a nested fit is interrupted."""

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

# Private: an interrupt is sent while one of several networks ends its epoch.
from skdeep.training._epochs import Fit

X, y = make_classification(40, 4, random_state=0)
RATES = {"learning_rate_init": [0.01, 0.1]}


# Held once a thread has sent a signal. Python runs the handler of a signal in the main
# thread, and later: a second one, of another job, would arrive after the test.
_sent_by_a_thread = threading.Lock()


def interrupt():
    """Send SIGINT like Ctrl-C; threads send at most one in a test."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main or _sent_by_a_thread.acquire(blocking=False):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _end_all_jobs():
    """Wait for interrupted jobs, so that none sends a signal during the next test."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()
    if _sent_by_a_thread.locked():
        _sent_by_a_thread.release()


class CtrlC:
    """A callback that sends Ctrl-C at the end of the second epoch."""

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
                interrupt()


def network(kind=MLPClassifier, **options):
    options = {"max_iter": 9, "random_state": 0, **options}
    return kind(hidden_layer_sizes=(3,), **options).set_callbacks(CtrlC())


class Wrapped(ClassifierMixin, BaseEstimator):
    """A user-defined meta-estimator."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self


class Scaled(MLPClassifier):
    """A user-defined subclass."""

    def fit(self, X, y):
        return super().fit(X / 2, y)


# -- an outermost fit ------------------------------------------------------------------

OUTERMOST = {
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


@pytest.mark.parametrize("make", OUTERMOST.values(), ids=OUTERMOST)
def test_an_interrupted_fit_keeps_the_network(make):
    model = make()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert np.isfinite(model.score(X, y))
    inner = getattr(model, "regressor_", model)
    while hasattr(inner, "steps"):
        inner = inner[-1]
    assert inner.n_iter_ in (1, 2)  # lbfgs counts an iteration once it has ended


def test_a_loop_over_fits_continues_after_an_interrupt():
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        assert [network().fit(X, y).n_iter_ for _ in range(2)] == [2, 2]


# -- a fit within another --------------------------------------------------------------

NESTED = {
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
    "a user-defined meta-estimator": lambda model: Wrapped(model).fit(X, y),
    "joblib threads": lambda model: joblib.Parallel(2, backend="threading")(
        joblib.delayed(clone(model).fit)(X, y) for _ in range(2)
    ),
    "an Optuna study": lambda model: optuna.create_study().optimize(
        lambda trial: clone(model).fit(X, y).score(X, y), n_trials=2
    ),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("fit", NESTED.values(), ids=NESTED)
def test_an_interrupt_of_a_nested_fit_is_raised(fit, solver):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with pytest.raises(KeyboardInterrupt):
        fit(network(solver=solver))


@pytest.mark.nightly
def test_an_interrupt_in_a_joblib_process_is_raised():
    with pytest.raises(KeyboardInterrupt):
        cross_validate(network(), X, y, cv=2, n_jobs=2)


def test_an_interrupted_ensemble_is_not_kept(monkeypatch):
    ends, real = [], Fit.end_epoch

    def end_epoch(*arguments):
        ends.append(real(*arguments))
        if len(ends) == 3:
            interrupt()

    model = DeepEnsembleClassifier(4, max_iter=9, random_state=0)
    monkeypatch.setattr(Fit, "end_epoch", end_epoch)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    ends.clear()
    # The same if its networks are trained one by one.
    monkeypatch.setattr("skdeep.training._stepped.can_join", lambda task: False)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(ends) == 3


def test_the_checkpoint_of_an_interrupted_fit_is_resumed(tmp_path):
    def cross_validated(*callbacks):
        model = MLPClassifier((3,), learning_rate="cosine", max_iter=9, random_state=0)
        model.set_callbacks(Checkpoint(tmp_path / "fit.checkpoint"), *callbacks)
        return cross_validate(model, X, y, cv=2)["test_score"]

    with pytest.raises(KeyboardInterrupt):
        cross_validated(CtrlC())
    assert len(list(tmp_path.iterdir())) == 1
    assert cross_validated().tolist() == _uninterrupted_scores()
    assert len(list(tmp_path.iterdir())) == 2


def _uninterrupted_scores():
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
def test_under_the_backend_an_interrupt_ends_all_fits(fit):
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        with joblib.parallel_config(backend="skdeep"):
            fit()
    assert set(threading.enumerate()) <= before
    assert CtrlC.n_epochs < 1000
