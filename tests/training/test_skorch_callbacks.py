"""skorch's callbacks work in an estimator as in a skorch net."""

import copy
import json
import pickle
import sys
import types
from functools import partial

import numpy as np
import pytest
import skorch.callbacks as sc
import torch
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from skdeep import (
    ModuleClassifier,
    ModuleRegressor,
)
from tests.training.skorch_data import Net, X, accuracy

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X_VAL = np.random.default_rng(1).normal(size=(150, 6)).astype(np.float32)
LR = 0.1


def classes(X):
    return np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])


def values(X):
    return X[:, :2] - X[:, 1:3]


class KeepsNet(Callback):
    """Keeps the net that callbacks get, and the rows."""

    seen = []

    def on_train_begin(self, net, X, y, **kwargs):
        self.seen[:] = net, X, y


class LoggerClient:
    """A fake client of a logger that records its calls and is not copied."""

    def __init__(self, folder=None):
        self.calls, self.dir = [], folder
        self.info = types.SimpleNamespace(run_id="1")

    def __deepcopy__(self, memo):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(self._note, name)

    def _note(self, *call, **named):
        self.calls.append((*call, *named.values()))


class NeptuneRun(LoggerClient):
    """A neptune run, which is a tree of fields."""

    def __init__(self, calls=None, path=""):
        super().__init__()
        self.path, self.calls = path, [] if calls is None else calls

    def __getitem__(self, key):
        return NeptuneRun(self.calls, f"{self.path}/{key}")

    def __setitem__(self, key, value):
        self.calls.append((f"{self.path}/{key}", value))

    def append(self, value):
        self.calls.append((self.path, value))


def by_skorch(callbacks, module, *, y=classes, loss=nn.CrossEntropyLoss, **parameters):
    """Train with plain skorch; return the net and its callbacks."""
    make = NeuralNetClassifier if y is classes else NeuralNetRegressor
    torch.manual_seed(0)
    net = make(
        copy.deepcopy(module),
        criterion=loss,
        lr=LR,
        max_epochs=4,
        batch_size=32,
        train_split=predefined_split(Dataset(X_VAL, y(X_VAL))),
        callbacks=[*callbacks, KeepsNet()],
        verbose=0,
        **parameters,
    ).fit(X, y(X))
    return net, callbacks


def by_skdeep(callbacks, module, *, y=classes, **parameters):
    """Train the same module on the same rows; return its net and its callbacks."""
    make = ModuleClassifier if y is classes else ModuleRegressor
    settings = {
        "solver": torch.optim.SGD,
        "learning_rate_init": LR,
        "max_iter": 4,
        "batch_size": 32,
        "shuffle": False,
        "alpha": 0.0,
        "n_iter_no_change": 100,
        "random_state": 0,
    }
    model = make(
        module, callbacks=[*callbacks, KeepsNet()], **settings | parameters
    ).fit(X, y(X), X_val=X_VAL, y_val=y(X_VAL))
    return KeepsNet.seen[0], model.callbacks_[:-1]


def assert_same(mine, other):
    """Compare nested values: numbers up to rounding, other values exactly."""
    if isinstance(other, dict):
        assert mine.keys() == other.keys()
        mine, other = list(mine.values()), list(other.values())
    if isinstance(other, (list, tuple)):
        assert len(mine) == len(other)
        for one, two in zip(mine, other, strict=True):
            assert_same(one, two)
    elif isinstance(other, (float, np.ndarray, np.floating, torch.Tensor)):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    else:
        assert mine == other


def assert_same_history(mine, other, *, with_batches):
    """Compare the columns that skorch has; skdeep adds others."""
    ignored = {"batches", "dur"} | (set() if with_batches else {"valid_batch_count"})
    for row, expected in zip(mine, other, strict=True):
        columns = expected.keys() - ignored
        assert columns <= row.keys()
        assert_same({c: row[c] for c in columns}, {c: expected[c] for c in columns})
        assert row["dur"] >= 0
        batches, wanted = row["batches"], expected["batches"]
        if not with_batches:  # skdeep then scores all validation rows at once
            batches = [b for b in batches if "train_loss" in b]
            wanted = [b for b in wanted if "train_loss" in b]
        assert_same(batches, wanted)


# -- each callback ---------------------------------------------------------------------


# Each case has a function that makes the callbacks, and one that returns properties of
# the net, the callbacks and the folder, which must be equal for skorch and skdeep.


def files(net, callbacks, folder):
    """Read the files of a checkpoint."""
    found = {path.name: path for path in sorted(folder.iterdir())}
    tensors = [torch.load(p) for name, p in found.items() if name.endswith(".pt")]
    histories = [
        [row["valid_loss"] for row in json.loads(path.read_text())]
        for name, path in found.items()
        if name.endswith(".json")
    ]
    nets = [pickle.loads(p.read_bytes()) for n, p in found.items() if "pickle" in n]
    return list(found), tensors, histories, [n.predict_proba(X_VAL) for n in nets]


def state_of(*names):
    """Return a function that reads attributes of the first callback."""

    def look(net, callbacks, folder):
        first = callbacks[0]
        first = first[1] if isinstance(first, tuple) else first
        return [getattr(first, name) for name in names]

    return look


def rate(net, callbacks, folder):
    return net.optimizer_.param_groups[0]["lr"]


# Words in calls that only skdeep makes, or that contain durations.
OWN = ("learning_rate", "learning/", "score", "/criterion", "dur", "skorch_mlflow")


def logged(net, callbacks, folder):
    """Return the calls of a log that skorch makes, too."""
    logs = [v for v in vars(callbacks[0]).values() if isinstance(v, LoggerClient)]
    log = next(log for log in logs if log.calls)
    rows = []
    for call in log.calls:
        if isinstance(call[-1], dict):
            call = [x for key in sorted(call[-1]) for x in (key, call[-1][key])]
        elif any(word in str(part) for word in OWN for part in call):
            continue
        if "watch" not in call:
            rows.append([x if isinstance(x, (str, float)) else str(x) for x in call])
    return rows


def nothing(net, callbacks, folder):
    return None


def double_parameter(parameter):
    parameter.data *= 2


def every_seventh(net, X, y):
    return float(net.predict_proba(X)[:, 0].mean()) + len(y) / 7


CASES = {
    "BatchScoring": (
        lambda d: [
            sc.BatchScoring("accuracy", lower_is_better=False, name="valid_by_batch"),
            sc.BatchScoring(
                "accuracy", lower_is_better=False, name="train_by_batch", on_train=True
            ),
            sc.BatchScoring("neg_log_loss", name="uncached", use_caching=False),
        ],
        state_of("best_score_"),
    ),
    "Callback": (lambda d: [Callback()], nothing),
    "Checkpoint": (
        lambda d: [
            sc.Checkpoint(
                dirname=d, f_pickle="net_{last_epoch[epoch]}.pickle", load_best=True
            )
        ],
        files,
    ),
    "Checkpoint of accuracy": (
        lambda d: [
            sc.Checkpoint(
                "valid_acc_best", dirname=d, f_params="{last_epoch[epoch]}.pt"
            )
        ],
        files,
    ),
    "Checkpoint of every epoch": (
        lambda d: [sc.Checkpoint(None, dirname=d, fn_prefix="a_")],
        files,
    ),
    "EarlyStopping": (
        lambda d: [
            sc.EarlyStopping(
                "valid_acc", 1, lower_is_better=False, load_best=True, threshold=0.3
            )
        ],
        state_of("misses_", "best_epoch_", "dynamic_threshold_"),
    ),
    "EpochScoring": (
        lambda d: [
            EpochScoring("accuracy", lower_is_better=False, name="acc"),
            EpochScoring("roc_auc_ovr", lower_is_better=False),
            EpochScoring("neg_log_loss", lower_is_better=False, use_caching=False),
            EpochScoring("accuracy", lower_is_better=False, name="t", on_train=True),
            EpochScoring(accuracy_score, name="function"),
            EpochScoring(every_seventh, lower_is_better=None),
            EpochScoring(make_scorer(f1_score, average="macro"), name="f1"),
        ],
        state_of("best_score_"),
    ),
    "EpochTimer": (lambda d: [sc.EpochTimer()], nothing),
    "Freezer": (lambda d: [sc.Freezer("body.*", at=2)], nothing),
    "GradientNormClipping": (lambda d: [sc.GradientNormClipping(0.01)], nothing),
    "Initializer": (
        lambda d: [sc.Initializer("head.*", fn=partial(nn.init.constant_, val=0.1))],
        nothing,
    ),
    "InputShapeSetter": (lambda d: [sc.InputShapeSetter()], nothing),
    "LRScheduler": (
        lambda d: [
            sc.LRScheduler("StepLR", step_size=1, gamma=0.5),
            sc.LRScheduler(
                "ExponentialLR", gamma=0.9, step_every="batch", event_name="by_batch"
            ),
        ],
        rate,
    ),
    "LRScheduler on a plateau": (
        lambda d: [
            sc.LRScheduler(
                "ReduceLROnPlateau", monitor="valid_loss", patience=0, threshold=0.5
            )
        ],
        rate,
    ),
    "LRScheduler of torch": (
        lambda d: [
            sc.LRScheduler(
                torch.optim.lr_scheduler.LinearLR, start_factor=0.1, total_iters=3
            )
        ],
        rate,
    ),
    "LoadInitState": (
        lambda d: [
            sc.LoadInitState(saved_checkpoint(sc.TrainEndCheckpoint, d, "train_end_"))
        ],
        lambda net, callbacks, folder: len(net.history),
    ),
    "LoadInitState of a Checkpoint": (
        lambda d: [sc.LoadInitState(saved_checkpoint(sc.Checkpoint, d, ""))],
        lambda net, callbacks, folder: len(net.history),
    ),
    "MlflowLogger": (
        lambda d: [
            sc.MlflowLogger(LoggerClient(), LoggerClient(), log_on_batch_end=True)
        ],
        logged,
    ),
    "NeptuneLogger": (
        lambda d: [sc.NeptuneLogger(NeptuneRun(), log_on_batch_end=True)],
        logged,
    ),
    "ParamMapper": (
        lambda d: [sc.ParamMapper(["*.bias"], fn=double_parameter, at=2)],
        nothing,
    ),
    "PassthroughScoring": (
        lambda d: [sc.PassthroughScoring("train_loss", on_train=True)],
        state_of("best_score_"),
    ),
    "PrintLog": (
        lambda d: [
            sc.PrintLog(["learning_rate", "valid_score", "dur"], sink=LINES.append)
        ],
        lambda net, callbacks, folder: [LINES.pop() for _ in range(len(LINES))],
    ),
    "ProgressBar": (
        lambda d: [sc.ProgressBar(detect_notebook=False)],
        lambda net, callbacks, folder: [callbacks[0].pbar_.n, callbacks[0].pbar_.total],
    ),
    "SacredLogger": (
        lambda d: [sc.SacredLogger(LoggerClient(), log_on_batch_end=True)],
        logged,
    ),
    "TensorBoard": (lambda d: [sc.TensorBoard(LoggerClient())], logged),
    "TrainEndCheckpoint": (lambda d: [sc.TrainEndCheckpoint(dirname=d)], files),
    "Unfreezer": (
        lambda d: [sc.Freezer("body.*"), sc.Unfreezer("body.weight", at=3)],
        nothing,
    ),
    "WandbLogger": (
        lambda d: [
            sc.WandbLogger(
                LoggerClient(d), keys_ignored=["learning_rate", "valid_score", "dur"]
            )
        ],
        logged,
    ),
    "WarmRestartLR": (
        lambda d: [sc.LRScheduler("WarmRestartLR", max_lr=0.5, base_period=2)],
        rate,
    ),
    "named": (
        lambda d: [("mine", EpochScoring("accuracy", name="mine"))],
        state_of("best_score_"),
    ),
}
LINES = []


def saved_checkpoint(kind, folder, prefix):
    """Return a checkpoint, with the files of a training in its folder."""
    _, (saver, *_) = by_skorch([kind(dirname=folder)], Net())
    return saver


@pytest.fixture
def neptune(monkeypatch):
    """Provide the parts of neptune that NeptuneLogger imports."""
    file = types.SimpleNamespace(from_content=lambda text, extension: text)
    for name, content in {
        "neptune": {},
        "neptune.types": {"File": file},
        "neptune.handler": {"Handler": type("Handler", (), {})},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("name", CASES)
def test_same_as_skorch(name, tmp_path, neptune):
    make, look = CASES[name]
    seen = []
    for way in (by_skorch, by_skdeep):
        folder = tmp_path / way.__name__
        folder.mkdir()
        callbacks = make(str(folder))
        net, fitted = way(callbacks, Net())
        seen.append((net, look(net, fitted, folder), net.module_.state_dict()))
    (net, found, weights), (own_net, own_found, own_weights) = seen
    assert_same(own_weights, weights)
    hooks = ("on_batch_end", "on_batch_begin", "on_grad_computed")
    with_batches = any(
        getattr(type(c), h) is not getattr(Callback, h)
        for _, c in own_net.callbacks_
        for h in hooks
    )
    assert_same_history(own_net.history, net.history, with_batches=with_batches)
    assert_same(own_found, found)


def test_every_callback_of_skorch_has_a_case():
    assert set(sc.__all__) <= set(CASES)


def test_scores_of_a_regressor_are_the_same_as_skorchs():
    def scores():
        return [
            EpochScoring("r2", lower_is_better=False),
            EpochScoring("r2", name="train_r2", on_train=True),
            EpochScoring("neg_mean_absolute_error", use_caching=False),
            sc.BatchScoring("r2", name="by_batch"),
        ]

    net, _ = by_skorch(scores(), Net(2), y=values, loss=nn.MSELoss)
    own, _ = by_skdeep(scores(), Net(2), y=values, loss=nn.MSELoss())
    assert_same_history(own.history, net.history, with_batches=True)


# -- after training --------------------------------------------------------------------


def fitted(*callbacks, **parameters):
    """Fit a small classifier with validation rows."""
    settings = {"max_iter": 3, "random_state": 0, "n_iter_no_change": 100}
    model = ModuleClassifier(nn.Linear, callbacks=callbacks, **settings | parameters)
    return model.fit(X, classes(X), X_val=X_VAL, y_val=classes(X_VAL))


def test_callbacks_of_the_fit_are_kept_and_the_parameter_is_not_changed():
    given = [
        sc.EarlyStopping("valid_loss", threshold=0.5),
        sc.LRScheduler("StepLR", step_size=1, gamma=0.5),
        accuracy(),
    ]
    before = [dict(vars(callback)) for callback in given]
    model = fitted(*given)
    assert [vars(callback) for callback in given] == before
    stopping, scheduler, score = model.callbacks_
    assert stopping.misses_ == 2
    assert scheduler.lr_scheduler_.last_epoch == model.n_iter_ == 3
    assert score.best_score_ == max(record["mine"] for record in model.history_)
    assert not hasattr(pickle.loads(pickle.dumps(model)), "callbacks_")


def test_history_of_the_net():
    model = fitted(KeepsNet())
    net, rows, target = KeepsNet.seen
    assert isinstance(rows, torch.Tensor)
    assert len(rows) == len(target) == len(X)
    assert net.history[:, "epoch"] == [1, 2, 3]
    assert net.history[:, ("train_loss_best", "valid_loss_best")] == [(True, True)] * 3
    assert net.history[:, "train_batch_count"] == [1, 1, 1]
    assert net.history[:, "batches", 0, "train_batch_size"] == [90] * 3
    assert net.history[:, "valid_acc"] == model.validation_scores_
    assert (net.lr, net.max_epochs, net.batch_size) == (0.001, 3, 90)
    assert model.net_.history[:, ("epoch", "valid_acc_best")][0] == (1, True)
    assert set(model.history_[0]) == {
        *("epoch", "train_loss", "learning_rate"),
        *("valid_loss", "valid_score", "duration"),
    }


def test_load_init_state_continues_the_history(tmp_path):
    checkpoint = sc.TrainEndCheckpoint(dirname=str(tmp_path))
    model = fitted(checkpoint, sc.LoadInitState(checkpoint), accuracy())
    before = list(model.history_)
    model.fit(X, classes(X), X_val=X_VAL, y_val=classes(X_VAL))
    assert model.n_iter_ == 3
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4, 5, 6]
    assert_same(model.history_[:3], before)
    assert model.loss_curve_[3] < model.loss_curve_[2]


@pytest.mark.parametrize("incremental", [False, True])
def test_scheduler_continues_in_the_next_fit(incremental):
    scheduler = sc.LRScheduler("StepLR", step_size=1, gamma=0.5)
    model = ModuleClassifier(nn.Linear, callbacks=[scheduler], warm_start=True)
    model.set_params(solver="sgd", learning_rate_init=0.8, max_iter=2)
    for _ in range(4 if incremental else 2):
        if incremental:
            model.partial_fit(X, classes(X), classes=[0, 1, 2])
        else:
            model.fit(X, classes(X))
    rates = [record["learning_rate"] for record in model.history_]
    assert rates == pytest.approx([0.8, 0.4, 0.2, 0.1])


def test_best_values_are_kept_after_a_fit():
    monitor = sc.Checkpoint("train_loss_best", f_params=None, f_optimizer=None)
    monitor.set_params(f_history=None, f_criterion=None)
    model = fitted(monitor, warm_start=True, solver="sgd", learning_rate_init=0.1)
    model.fit(X, 2 - classes(X))
    assert [record["event_cp"] for record in model.history_] == [True] * 3 + [False] * 3


def test_pickled_net(tmp_path):
    model = fitted(sc.Checkpoint(None, dirname=str(tmp_path), f_pickle="net.pickle"))
    net = pickle.loads((tmp_path / "net.pickle").read_bytes())
    np.testing.assert_allclose(net.predict_proba(X), model.predict_proba(X), rtol=1e-5)
    assert (net.predict(X) == model.predict(X)).all()
    assert pickle.loads(pickle.dumps(model.net_)).history == model.net_.history


def test_print_log(capsys):
    fitted(sc.EarlyStopping(patience=1, threshold=1.0))
    assert capsys.readouterr().out == ""
    fitted(sc.PrintLog())
    assert capsys.readouterr().out.split()[:2] == ["epoch", "learning_rate"]


# -- steps -----------------------------------------------------------------------------


def test_outputs_of_accumulated_batches():
    scores = [
        accuracy(on_train=True),
        sc.BatchScoring("accuracy", name="by_batch", on_train=True),
    ]
    whole = fitted(*scores, batch_size=60, shuffle=False).history_
    parts = fitted(*scores, batch_size=30, accumulate=2, shuffle=False).history_
    for one, other in zip(whole, parts, strict=True):
        for name in ("mine", "by_batch"):
            assert one[name] == pytest.approx(other[name])


class UsesNet(Callback):
    """Predicts and computes gradients within an epoch, as skorch allows."""

    def on_batch_begin(self, net, batch, training, **kwargs):
        net.predict(batch[0])
        loss = net.criterion_(net.infer(batch[0]), batch[1])
        assert torch.autograd.grad(loss, list(net.module_.parameters()))[0].any()

    def on_batch_end(self, net, batch, **kwargs):
        net.predict(batch[0])

    def on_grad_computed(self, net, named_parameters, batch, training, **kwargs):
        assert training
        assert net.module_.training
        assert all(parameter.grad is not None for _, parameter in named_parameters)


def test_callbacks_may_use_the_net_within_an_epoch():
    model = fitted(UsesNet(), batch_size=30)
    plain = fitted(batch_size=30)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-6)


class Interrupts(Callback):
    def on_grad_computed(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_interrupt_within_a_step_leaves_no_hook():
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = fitted(Interrupts())
    assert not model.module_._forward_hooks
    assert model.n_iter_ == 1


# -- the loggers themselves, where they are installed ----------------------------------


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator
    from torch.utils.tensorboard import SummaryWriter

    model = fitted(sc.TensorBoard(SummaryWriter(tmp_path)))
    events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    written = [event.value for event in events.Scalars("Loss/valid_loss")]
    expected = [record["valid_loss"] for record in model.history_]
    assert written == pytest.approx(expected, rel=1e-6)


def test_mlflow(tmp_path, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = tracking.MlflowClient(f"file://{tmp_path}")
    run = client.create_run(client.create_experiment("fits"))
    model = fitted(sc.MlflowLogger(run, client))
    written = client.get_metric_history(run.info.run_id, "valid_loss")
    expected = [record["valid_loss"] for record in model.history_]
    assert [metric.value for metric in written] == pytest.approx(expected)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
