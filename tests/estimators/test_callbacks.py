"""Callbacks of skorch and of scikit-learn, progress, and Ctrl-C."""

import copy
import io
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)

from skdeep import MLPClassifier, MLPRegressor, Seq2Seq

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


class Recorder(Callback):
    """Records its calls; the notes are shared with the copy made for the fit."""

    notes = []

    def note(self, hook, net, **arguments):
        self.notes.append((hook, len(net.history), sorted(arguments)))

    def on_train_begin(self, net, **kwargs):
        self.note("on_train_begin", net, **kwargs)

    def on_train_end(self, net, **kwargs):
        self.note("on_train_end", net, **kwargs)

    def on_epoch_begin(self, net, **kwargs):
        self.note("on_epoch_begin", net, **kwargs)

    def on_epoch_end(self, net, **kwargs):
        self.note("on_epoch_end", net, **kwargs)
        assert net.history[-1, "train_loss"] > 0
        assert net.history[-1, "dur"] >= 0

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.note("on_batch_begin", net)
        assert len(batch) == 2

    def on_batch_end(self, net, batch, training, loss, y_pred, **kwargs):
        self.note("on_batch_end" if training else "on_batch_end of validation", net)
        X, y = batch
        X = next(iter(X.values())) if isinstance(X, dict) else X
        assert len(X) == len(y) == len(y_pred)
        assert loss.item() >= 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(p.grad is not None for _, p in named_parameters)


@pytest.fixture
def notes():
    """The notes of a Recorder, initially empty."""
    Recorder.notes.clear()
    return Recorder.notes


def test_every_hook_is_called(make, data, notes):
    X, y = data
    make(max_iter=2, callbacks=[Recorder()]).fit(X, y, X_val=X[:9], y_val=y[:9])
    batch = ["on_batch_begin", "on_batch_end"]
    valid = ["on_batch_begin", "on_batch_end of validation"]
    epoch = ["on_epoch_begin", *batch * 4, *valid, "on_epoch_end"]
    hooks = [hook for hook, _, _ in notes]
    assert hooks == ["on_train_begin", *epoch * 2, "on_train_end"]
    assert dict((h, a) for h, _, a in notes)["on_epoch_end"] == [
        "dataset_train",
        "dataset_valid",
    ]


class LeavesEvaluationMode(Callback):
    """Like callbacks that predict, such as scoring ones."""

    def on_epoch_end(self, net, **kwargs):
        net.module_.eval()


def test_callbacks_do_not_change_the_result(make, data):
    plain = make().fit(*data)
    callbacks = [Recorder(), ("named", LeavesEvaluationMode())]
    watched = make(callbacks=callbacks).fit(*data)
    np.testing.assert_allclose(watched.loss_curve_, plain.loss_curve_, rtol=1e-9)


def test_callbacks_are_copied_for_every_fit(make, data):
    given = EarlyStopping(monitor="train_loss", patience=2)
    model = make(callbacks=[given])
    before = copy.deepcopy(vars(given))
    model.fit(*data)
    assert vars(given) == before
    assert model.get_params()["callbacks"][0] is given
    clone(model).fit(*data)


def test_early_stopping_of_skorch(make, data):
    stopper = EarlyStopping(monitor="train_loss", patience=3, threshold=1e9)
    model = make(max_iter=50, callbacks=[stopper])
    with redirect_stdout(io.StringIO()):
        assert model.fit(*data).n_iter_ == 4


def test_lr_scheduler_of_skorch(make, data):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5)
    model = make(solver="sgd", momentum=0.0, callbacks=[scheduler], max_iter=3)
    rates = [record["learning_rate"] for record in model.fit(*data).history_]
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4])


def test_epoch_scoring_of_skorch_is_in_the_history(make, data):
    if isinstance(make(), Seq2Seq):
        pytest.skip("scikit-learn's metrics do not take sequences")
    X, y = data
    scoring = "accuracy" if is_classifier(make()) else "r2"
    if scoring == "accuracy":
        y = np.unique(y, return_inverse=True)[1]
    model = make(
        callbacks=[EpochScoring(scoring, name="mine", lower_is_better=False)]
    ).fit(X, y, X_val=X[:40], y_val=y[:40])
    mine = [record["mine"] for record in model.history_]
    assert mine == pytest.approx(model.validation_scores_, rel=1e-5)


def test_batch_scoring_and_checkpoint_of_skorch(make, data, tmp_path):
    checkpoint = Checkpoint(monitor=None, dirname=tmp_path / "kept")
    scoring = BatchScoring(lambda net, X, y: 7.0, name="seven", on_train=True)
    make(callbacks=[checkpoint, scoring]).fit(*data)
    assert (tmp_path / "kept" / "params.pt").exists()


# -- errors ----------------------------------------------------------------------------


class Fails(Callback):
    def __init__(self, hook="on_epoch_end", epoch=2, error=RuntimeError):
        self.hook, self.epoch, self.error = hook, epoch, error
        setattr(self, hook, self.fail)

    def __deepcopy__(self, memo):
        return type(self)(self.hook, self.epoch, self.error)

    def fail(self, net, *args, **kwargs):
        if len(net.history) >= self.epoch:
            raise self.error("the moon is in the wrong phase")


class FailsInBatch(Callback):
    """Fails in the middle of an epoch."""

    error, epoch = RuntimeError, 2

    def on_batch_end(self, net, **kwargs):
        if len(net.history) >= self.epoch and len(net.history[-1]["batches"]) == 2:
            raise self.error("the moon is in the wrong phase")


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_error_in_a_callback_names_it(make, data, hook):
    with pytest.raises(RuntimeError, match="the moon") as caught:
        make(callbacks=[("lunar", Fails(hook))]).fit(*data)
    assert caught.value.__notes__ == [
        f"Raised by {hook} of the skorch callback 'lunar'."
    ]


def test_failed_fit_keeps_the_previous_fit(make, data):
    X, y = data
    model = make().fit(X, y)
    expected, state = model.predict(X), set(vars(model))
    model.set_params(callbacks=[FailsInBatch()])
    for rows in (X, X[:, :3]):
        with pytest.raises(RuntimeError, match="the moon"):
            model.fit(rows, y[::-1])
        np.testing.assert_array_equal(model.predict(X), expected)
        assert set(vars(model)) == state
        assert model.n_features_in_ == 6


def test_failed_first_fit_leaves_the_estimator_unfitted(make, data):
    model = make(callbacks=[FailsInBatch()])
    with pytest.raises(RuntimeError, match="the moon"):
        model.fit(*data)
    assert not model.__sklearn_is_fitted__()
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("bad", [EarlyStopping, "stop", lambda net: None, 3])
def test_invalid_callbacks(make, data, bad):
    with pytest.raises(TypeError, match="instances of skorch callbacks, got"):
        make(callbacks=[bad]).fit(*data)


# -- Ctrl-C ----------------------------------------------------------------------------


class Interrupts(FailsInBatch):
    error = KeyboardInterrupt


class InterruptsAtOnce(Interrupts):
    epoch = 1


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupt_keeps_the_network_trained_so_far(make, data, early_stopping):
    X, y = data
    model = make(callbacks=[Interrupts()], early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 1
    assert np.isfinite(model.score(X, y))
    # Training can be continued.
    model.set_params(callbacks=None, warm_start=True).fit(X, y)
    assert len(model.loss_curve_) == 5


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupt_in_the_first_epoch(make, data, early_stopping):
    X, y = data
    model = make(callbacks=[InterruptsAtOnce()], early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 0
    assert model.loss_curve_ == []
    assert np.isfinite(model.score(X, y))


INTERRUPTED = """
import warnings
import numpy as np
from skdeep import MLPClassifier, MLPRegressor

class Begun:
    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            print("begun", flush=True)

X = np.random.default_rng(0).normal(size=(2000, 20))
y = (X[:, 0] > 0).astype(int)
for estimator, solver in [(MLPClassifier, "adam"), (MLPRegressor, "lbfgs")]:
    endless = {"max_iter": 10**6, "n_iter_no_change": 10**6, "max_fun": 10**9, "tol": 0}
    model = estimator(solver=solver, random_state=0, **endless)
    model.set_callbacks(Begun())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert "Training interrupted by user." in [str(w.message) for w in caught], caught
    assert 0 < model.n_iter_ < 10**6
    assert model.score(X, y) > 0.6
    print("kept", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_in_a_process():
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in ("adam", "lbfgs"):
            assert process.stdout.readline() == "begun\n"
            time.sleep(0.1)  # somewhere in an epoch
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "kept\n"
        assert process.wait(timeout=120) == 0


# -- scikit-learn's callbacks ----------------------------------------------------------


def metric(model):
    return "accuracy" if is_classifier(model) else "r2"


def test_scoring_monitor_sees_every_epoch(make, data):
    X, y = data
    monitor = ScoringMonitor(scoring=metric(make()))
    model = make().set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    scores = [row[metric(make())] for row in log if row["task_name"] == "epoch"]
    assert len(scores) == model.n_iter_ == 4
    assert scores[-1] == pytest.approx(model.score(X, y))


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_scoring_monitor_sees_every_iteration_of_lbfgs(make, data):
    X, y = data
    if "Module" in type(make()).__name__:
        pytest.skip("dropout: lbfgs needs the same loss each time it looks")
    monitor = ScoringMonitor(scoring=metric(make()))
    model = make(solver="lbfgs").set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    scores = [row[metric(make())] for row in log if row["task_name"] == "epoch"]
    assert len(scores) == model.n_iter_
    assert scores[-1] == pytest.approx(model.score(X, y))


def test_scoring_monitor_in_a_search_over_pipelines(make, data):
    monitor = ScoringMonitor(scoring=metric(make()))
    name = type(make()).__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), make(max_iter=2).set_callbacks(monitor)),
        {f"{name}__alpha": [1e-4, 1e-2]},
        cv=2,
    ).fit(*data)
    assert search.best_estimator_[-1].n_iter_ == 2
    runs = monitor.get_logs(select="all")
    epochs = [r for run in runs for r in run.data if r["task_name"] == "epoch"]
    # Two folds of two candidates and the refit, two epochs each.
    assert len(epochs) == 10


def test_progress_bar(make, data, capsys):
    model = make().set_callbacks(ProgressBar())
    model.fit(*data)
    assert f"{type(model).__name__} - fit" in (shown := capsys.readouterr().out)
    assert "100%" in shown
    # The bar also ends if the fit fails.
    failing = make(callbacks=[FailsInBatch()]).set_callbacks(ProgressBar())
    with pytest.raises(RuntimeError, match="the moon"):
        failing.fit(*data)
    failing.set_params(callbacks=None).fit(*data)


def test_progress_bar_around_a_search(data, capsys):
    X, _ = data
    search = GridSearchCV(
        MLPRegressor(max_iter=2, random_state=0), {"alpha": [1e-3, 1e-2]}, cv=2
    )
    search.set_callbacks(ProgressBar()).fit(X, X[:, 0])
    assert "MLPRegressor" in capsys.readouterr().out


# -- verbose ---------------------------------------------------------------------------


def test_verbose_prints_scikit_learns_lines(make, data, capsys):
    model = make(verbose=True, early_stopping=True, max_iter=2).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"Iteration 1, loss = {model.loss_curve_[0]:.8f}",
        f"Validation score: {model.validation_scores_[0]:f}",
    ]
    assert len(lines) == 4


def test_quiet_by_default(make, data, capfd):
    make().fit(*data)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_verbose_prints_the_reason_for_stopping(data, capsys):
    X, _ = data
    model = MLPClassifier(verbose=True, tol=1e9, n_iter_no_change=1, random_state=0)
    model.fit(X, X[:, 0] > 0)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "Training loss did not improve more than tol=1000000000.000000 for 1 "
        "consecutive epochs. Stopping."
    )


class Terminal(io.StringIO):
    """A stream whose ``isatty`` is true."""

    def isatty(self):
        return True


def test_verbose_is_a_live_bar_on_a_terminal(make, data):
    with redirect_stdout(Terminal()) as terminal:
        make(verbose=True, early_stopping=True).fit(*data)
    shown = terminal.getvalue()
    assert "Iteration" not in shown
    assert "4/4" in shown
    assert "validation score" in shown
