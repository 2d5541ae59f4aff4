"""Deep ensembles: the length of training, time limits, callbacks and threads."""

import pickle
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_friedman1
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    TrainEndCheckpoint,
)

from skdeep import DeepEnsembleClassifier, DeepEnsembleRegressor

# Private: a clock is replaced, and rows are counted.
from skdeep.estimators import _ensemble, _ensemble_training
from skdeep.estimators._ensemble import TableEncoder

SMALL = {"n_members": 8, "n_folds": 2, "max_iter": 6, "random_state": 0}


def classifier(**params):
    return DeepEnsembleClassifier(**{**SMALL, **params})


def regressor(**params):
    return DeepEnsembleRegressor(**{**SMALL, **params})


def classes(n_samples=120, flip_y=0.01):
    return make_classification(
        n_samples, n_features=6, n_informative=4, flip_y=flip_y, random_state=0
    )


def waves(n_samples=600, noise=0.0):
    """Return a smooth function of two columns, plus noise."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(n_samples, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    return X, y + noise * rng.normal(size=n_samples)


# -- how long, and how many ------------------------------------------------------------


def test_little_noise_is_trained_longer_than_much_noise():
    exact = regressor(n_members=4, max_iter=100).fit(*waves())
    noisy = regressor(n_members=4, max_iter=100).fit(*waves(noise=1.0))
    assert exact.n_iter_ == 100
    assert noisy.n_iter_ <= 36
    # The longer rounds train the two best sets, and lower the loss.
    losses = [r["average_loss"] for r in exact.history_ if "average_loss" in r]
    assert len(losses) == 2
    assert losses[1] < 0.7 * losses[0]
    assert losses[1] == pytest.approx(exact.validation_loss_)


def test_sets_are_added_only_if_the_average_needs_the_first_ones():
    X, y = classes(200)
    simple = classifier(n_members=16, max_iter=10).fit(X, (X[:, 0] > 0).astype(int))
    assert len(simple.members_) == 8
    X, y = make_friedman1(300, noise=3.0, random_state=0)
    assert len(regressor(n_members=16, max_iter=10).fit(X, y).members_) > 8
    assert len(regressor(n_members=10, max_iter=10).fit(X, y).members_) == 10


def test_sets_that_are_far_worse_end_after_half_of_the_epochs():
    X, y = waves()
    model = regressor(max_iter=30, n_members=8).fit(X, np.sign(X[:, 0]) * 5 + y)
    epochs = [member.n_iter for member in model.members_]
    assert min(epochs) == 15
    assert max(epochs) == 30


def test_max_iter_limits_the_epochs_of_all_rounds():
    model = regressor(n_members=4, max_iter=60).fit(*waves(200))
    assert model.n_iter_ == 60


# -- time ------------------------------------------------------------------------------


@pytest.fixture
def cpu_clock(monkeypatch):
    """Let the time of the process count, which other processes do not prolong."""
    clock = SimpleNamespace(perf_counter=time.process_time)
    monkeypatch.setattr(_ensemble_training, "time", clock)


def test_time_limit_is_kept(cpu_clock):
    X, y = classes(3000, flip_y=0.3)
    model = classifier(n_members=64, n_folds=4, max_iter=500, time_limit=1.2, n_jobs=1)
    start = time.process_time()
    model.fit(X, y)
    # More than a tenth above the limit: on a busy machine the same work takes longer.
    assert time.process_time() - start < 1.3 * model.time_limit
    assert model.score(X, y) > 0.6
    # The schedule was planned to end in time, not cut off: the last rate is small.
    last = model.history_[-1]
    assert last["learning_rate"] < 0.3 * max(r["learning_rate"] for r in model.history_)


def test_a_longer_limit_trains_more(cpu_clock):
    X, y = classes(2000, flip_y=0.3)
    work = []
    for limit in (0.2, 2.0):
        model = classifier(n_folds=4, n_members=16, max_iter=40, time_limit=limit)
        work.append(sum(member.n_iter for member in model.fit(X, y).members_))
    assert work[1] > 1.5 * work[0]


def test_with_no_time_one_set_is_trained_for_one_epoch():
    X, y = classes()
    model = classifier(time_limit=1e-9).fit(X, y)
    assert [member.n_iter for member in model.members_] == [1, 1]
    assert np.isfinite(model.predict_proba(X)).all()


def test_with_little_time_some_rows_of_each_class_are_trained_on(cpu_clock):
    X, y = classes(40_000, flip_y=0.0)
    order = np.argsort(y, kind="stable")
    model = classifier(n_folds=4, n_members=4, time_limit=0.01, n_jobs=1)
    start = time.process_time()
    model.fit(X[order], y[order])
    limited = time.process_time() - start
    assert model.predict(X).mean() == pytest.approx(0.5, abs=0.3)
    unlimited = classifier(n_folds=4, n_members=4, max_iter=1, n_jobs=1)
    start = time.process_time()
    unlimited.fit(X[order], y[order])
    assert limited < 0.6 * (time.process_time() - start)


def test_with_no_time_few_rows_are_encoded_and_trained_on(monkeypatch):
    encoded, trained = [], []
    real_fit, real_set = TableEncoder.fit, _ensemble.DeepEnsemble._make_set

    def fit(self, table):
        encoded.append(len(table))
        return real_fit(self, table)

    def make_set(self, number, rows, *arguments):
        trained.append(len(np.unique(rows.target)))
        trained.append(rows.n_samples)
        return real_set(self, number, rows, *arguments)

    monkeypatch.setattr(TableEncoder, "fit", fit)
    monkeypatch.setattr(_ensemble.DeepEnsemble, "_make_set", make_set)
    X, y = classes(5000)
    y[:3] = 2  # a rare class
    classifier(time_limit=1e-9).fit(X, y)
    # A trial of the speed, then the fit: the second trains on eight batches of 32 rows.
    assert encoded == [pytest.approx(1000, abs=5)] * 2
    assert trained == [3, pytest.approx(256, abs=5)] * 2


@pytest.mark.parametrize("limit", [1e-300, 1e304])
def test_extreme_limits(limit):
    X, y = classes(1200)
    model = classifier(time_limit=limit, max_iter=1, n_members=2).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_plenty_of_time_changes_nothing_but_the_seeds():
    X, y = classes()
    model = classifier(time_limit=1000).fit(X, y)
    assert len(model.members_) >= 8
    assert model.n_iter_ == 6


@pytest.mark.parametrize("limit", [0, -1.0, np.nan, "1 s", [1]])
def test_invalid_time_limits(limit):
    with pytest.raises(ValueError, match="'time_limit' parameter"):
        classifier(time_limit=limit).fit(*classes())


# -- history, callbacks and display ----------------------------------------------------


class Recorder(Callback):
    """Keeps the names of the hooks and what the net shows."""

    def initialize(self):
        self.called_, self.lengths_, self.n_threads_ = [], [], set()
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.called_.append("begin")

    def on_epoch_begin(self, net, **kwargs):
        self.called_.append("epoch")

    def on_epoch_end(self, net, **kwargs):
        self.lengths_.append(len(net.history))
        self.n_threads_.add(threading.active_count())
        net.history.record("double", 2 * net.history[-1, "valid_loss"])

    def on_train_end(self, net, **kwargs):
        self.called_.append("end")


def test_history_has_the_means_over_the_networks_in_training():
    model = regressor(n_members=8, n_folds=4, n_iter_no_change=100)
    history = model.fit(*waves(200, noise=2.0)).history_
    assert [r["epoch"] for r in history] == list(range(1, len(history) + 1))
    assert [r["n_active"] for r in history[:6]] == [8] * 6
    assert all(r["duration"] > 0 and r["round"] >= 1 for r in history)
    assert history[-1]["average_loss"] == pytest.approx(model.validation_loss_)


def test_callbacks_are_called_for_each_epoch():
    recorder = Recorder()
    model = classifier(callbacks=[("mine", recorder)]).fit(*classes())
    (copied,) = model.callbacks_
    n_epochs = len(model.history_)
    assert not hasattr(recorder, "called_")
    assert copied.called_ == ["begin", *["epoch"] * n_epochs, "end"]
    assert copied.lengths_ == list(range(1, n_epochs + 1))
    assert model.history_[2]["double"] == 2 * model.history_[2]["valid_loss"]
    assert not hasattr(pickle.loads(pickle.dumps(model)), "callbacks_")


class WithRows(Callback):
    """Has hooks that need all arguments that skorch passes."""

    def on_train_begin(self, net, X, y):
        self.called_ = ["begin"]

    def on_epoch_begin(self, net, dataset_train, dataset_valid):
        self.called_ += [dataset_train, dataset_valid]

    def on_epoch_end(self, net, dataset_train, dataset_valid):
        raise KeyboardInterrupt  # the way in which callbacks end training

    def on_train_end(self, net, X, y):
        self.called_ += ["end"]


def test_hooks_get_the_arguments_of_skorch():
    model = classifier(callbacks=[WithRows()]).fit(*classes())
    assert model.callbacks_[0].called_ == ["begin", None, None, "end"]


def test_early_stopping_ends_all_rounds():
    stopper = EarlyStopping(monitor="train_loss", threshold=1e9, patience=2)
    model = classifier(callbacks=[stopper], max_iter=30).fit(*classes())
    assert len(model.history_) == 3
    assert model.n_iter_ == 3
    assert model.score(*classes()) > 0.5


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (LRScheduler(), "the skorch callback 'LRScheduler'"),
        (EpochScoring("accuracy"), "the skorch callback 'EpochScoring'"),
    ],
)
def test_callbacks_that_need_a_module_raise(callback, message):
    model = classifier(callbacks=[callback])
    with pytest.raises((AttributeError, TypeError)) as caught:
        model.fit(*classes())
    assert any(message in note for note in caught.value.__notes__)
    assert not hasattr(model, "members_")


@pytest.mark.parametrize("callback", [Checkpoint(), TrainEndCheckpoint()])
def test_callbacks_that_save_a_module_raise(callback):
    with pytest.raises(TypeError, match="Checkpoint, which saves or loads a module"):
        classifier(callbacks=[callback]).fit(*classes())


@pytest.mark.parametrize("callbacks", [3, "EarlyStopping"])
def test_callbacks_must_be_a_list(callbacks):
    with pytest.raises(ValueError, match="'callbacks' parameter"):
        classifier(callbacks=callbacks).fit(*classes())


@pytest.mark.parametrize("item", [EarlyStopping, print, ("name", 3), None])
def test_callbacks_must_be_instances(item):
    with pytest.raises(TypeError, match="must be instances of skorch callbacks, got"):
        classifier(callbacks=[item]).fit(*classes())


def test_verbose_prints_the_time_left(capsys):
    model = regressor(verbose=True).fit(*waves(100))
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if line.startswith("Iteration ")]
    assert len(epochs) == len(model.history_)
    assert all(line.endswith(" s left") for line in epochs)
    assert "Iteration 1, 8 networks, loss = " in epochs[0]
    n_rounds = model.history_[-1]["round"]
    assert sum(line.startswith("Average of ") for line in lines) == n_rounds
    regressor().fit(*waves(100))
    assert capsys.readouterr().out == ""


# -- threads ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2, -1, -100])
def test_n_jobs_changes_nothing_but_the_threads(n_jobs):
    X, y = classes()
    n_before = threading.active_count()
    model = classifier(n_jobs=n_jobs, callbacks=[Recorder()])
    expected = clone(model).set_params(n_jobs=None).fit(X, y).predict_proba(X)
    got = model.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert threading.active_count() == n_before
    if n_jobs in (1, -100):
        (recorder,) = model.callbacks_
        assert recorder.n_threads_ == {n_before}


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all"])
def test_invalid_n_jobs(n_jobs):
    with pytest.raises(ValueError, match="'n_jobs' parameter"):
        classifier(n_jobs=n_jobs).fit(*classes())
