"""Killed trainings are resumed from their checkpoint, with bit-identical results."""

import os
import pickle
import signal
import time
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from torch import nn

from skdeep import (
    LSTMClassifier,
    LSTMForecaster,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)
from skdeep.callbacks import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X, y = make_classification(90, 6, random_state=0)
X_numbers, y_numbers = make_regression(90, 6, random_state=0)
y_numbers = y_numbers / y_numbers.std()
FEW = {"max_iter": 6, "batch_size": 16}


def needs_fork(test):
    """Mark a test that forks; torch has threads, which Python warns about."""
    ignored = "ignore:.*multi-threaded.*fork:DeprecationWarning"
    test = pytest.mark.filterwarnings(ignored)(test)
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")(test)


class Annealed(nn.Module):
    """A module with dropout, batch normalization and state in plain attributes."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.order = torch.randperm(n_features)
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(8, n_outputs)
        self.scale, self.seen = 0.5, []

    def forward(self, x):
        if self.training:
            self.scale = 0.5 + 0.5 * self.scale
            self.seen = [*self.seen, len(x)][-3:]
        return self.scale * self.head(self.layers(x[:, self.order]))


class ScaledLoss(nn.Module):
    """A loss with a trainable parameter."""

    def __init__(self):
        super().__init__()
        self.t = nn.Parameter(torch.tensor(1.0))

    def forward(self, raw, target):
        return nn.functional.cross_entropy(raw * self.t, target, reduction="none")


# All kinds of training, optimizers and states after an epoch.
MODELS = {
    "dense": lambda: MLPClassifier((8,), dropout=0.2, random_state=0, **FEW),
    "early stopping": lambda: MLPClassifier(
        (8,), early_stopping=True, n_iter_no_change=2, random_state=0, **FEW
    ),
    "sgd, adaptive": lambda: MLPRegressor(
        "squared_error",
        (8,),
        solver="sgd",
        learning_rate="adaptive",
        early_stopping="loss",
        validation_split="last",
        random_state=np.random.RandomState(3),
        **FEW,
    ),
    "no random_state": lambda: MLPClassifier((8,), early_stopping=True, **FEW),
    "averaged": lambda: MLPRegressor(
        hidden_layer_sizes=(8,), weight_averaging=0.9, random_state=0, **FEW
    ),
    "nadam": lambda: MLPRegressor(
        hidden_layer_sizes=(8,), solver="nadam", random_state=0, **FEW
    ),
    "recurrent": lambda: LSTMClassifier(
        4, dropout=0.2, learning_rate="one_cycle", random_state=0, **FEW
    ),
    "forecaster": lambda: LSTMForecaster(
        8, 2, hidden_size=8, max_iter=5, random_state=0
    ),
    "forecaster, a share of the windows": lambda: LSTMForecaster(
        8, 2, hidden_size=8, max_iter=5, subsample=0.5, random_state=0
    ),
    "module": lambda: ModuleClassifier(
        Annealed, early_stopping="loss", random_state=0, **FEW
    ),
    "module, own optimizer and loss": lambda: ModuleClassifier(
        Annealed,
        solver=partial(torch.optim.AdamW, weight_decay=0.1),
        loss=ScaledLoss(),
        accumulate=2,
        random_state=0,
        **FEW,
    ),
    "skorch callbacks": lambda: ModuleRegressor(
        Annealed,
        callbacks=[
            LRScheduler("StepLR", step_size=2, gamma=0.5),
            EpochScoring("r2", lower_is_better=False, on_train=True, name="r2"),
            EarlyStopping("train_loss", patience=4, sink=lambda text: None),
        ],
        random_state=0,
        **FEW,
    ),
}


def data_for(model):
    if isinstance(model, LSTMForecaster):
        return (np.sin(np.arange(120.0)).reshape(-1, 1),)
    is_regressor = type(model).__name__.endswith("Regressor")
    return (X_numbers, y_numbers) if is_regressor else (X, y)


class Killed(BaseException):
    """Ends a fit as if the process were killed."""


class KillsAfter:
    """A scikit-learn callback that kills a fit after some epochs."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            if self.n_left == 0:
                raise Killed
            self.n_left -= 1

    def on_fit_task_end(self, estimator, context):
        pass


def fit_with_kills(make, path, kills, every=1):
    """Fit, kill the fit several times, and resume it with a new estimator."""
    for n_epochs in kills:
        model = make().set_callbacks(Checkpoint(path, every), KillsAfter(n_epochs))
        with pytest.raises(Killed):
            model.fit(*data_for(model))
    model = make().set_callbacks(Checkpoint(path, every))
    return model.fit(*data_for(model))


def without_times(history):
    return [{k: v for k, v in r.items() if k != "duration"} for r in history]


def outcome(model):
    """Return the results of a fit in a form that can be compared."""
    arrays = [p.detach().numpy() for p in model.module_.parameters()]
    arrays += [b.numpy() for b in model.module_.buffers()]
    optimizer = pickle.dumps(model._state.optimizers)
    return without_times(model.history_), arrays, optimizer


def assert_equal_to_the_bit(found, expected):
    one, two = outcome(found), outcome(expected)
    assert one[0] == two[0]
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[2] == two[2]
    assert found.n_iter_ == expected.n_iter_
    rows = data_for(expected)[0]
    np.testing.assert_array_equal(found.predict(rows), expected.predict(rows))


@pytest.mark.parametrize("name", MODELS)
def test_a_killed_fit_is_resumed_bit_identically(name, tmp_path):
    make = MODELS[name]
    model = make()
    state = np.random.get_state()  # noqa: NPY002
    expected = model.fit(*data_for(model))
    np.random.set_state(state)  # noqa: NPY002
    # Without a random_state, the seed is stored in the first checkpoint.
    kills = [2] if name == "no random_state" else [0, 2]
    found = fit_with_kills(make, tmp_path / "fit.ckpt", kills)
    assert_equal_to_the_bit(found, expected)
    assert not list(tmp_path.glob("*.part"))


def test_a_checkpoint_every_second_epoch(tmp_path):
    make = MODELS["dense"]
    found = fit_with_kills(make, tmp_path / "fit.ckpt", [3, 1], every=2)
    assert_equal_to_the_bit(found, make().fit(X, y))


def test_a_finished_fit_returns_at_once(tmp_path):
    make, path = MODELS["early stopping"], tmp_path / "fit.ckpt"
    expected = make().set_callbacks(Checkpoint(path)).fit(X, y)
    found = make().set_callbacks(Checkpoint(path), KillsAfter(0)).fit(X, y)
    assert_equal_to_the_bit(found, expected)


def test_the_last_epoch_is_always_saved(tmp_path):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    expected = make().set_callbacks(Checkpoint(path, every=4)).fit(X, y)
    assert expected.n_iter_ == 6
    found = make().set_callbacks(Checkpoint(path, every=4), KillsAfter(0)).fit(X, y)
    assert_equal_to_the_bit(found, expected)


def test_resume_after_ctrl_c(tmp_path):
    class Interrupts(KillsAfter):
        def on_fit_task_begin(self, estimator, context):
            try:
                super().on_fit_task_begin(estimator, context)
            except Killed:
                raise KeyboardInterrupt from None

    make, path = MODELS["module"], tmp_path / "fit.ckpt"
    with pytest.warns(UserWarning, match="interrupted"):
        make().set_callbacks(Checkpoint(path), Interrupts(2)).fit(X, y)
    found = make().set_callbacks(Checkpoint(path)).fit(X, y)
    assert_equal_to_the_bit(found, make().fit(X, y))


# -- other data and parameters ---------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "data", "message"),
    [
        ({}, (X[::-1], y), "of another fit: X differs"),
        ({}, (X, 1 - y), "of another fit: y differs"),
        ({}, (X[:80], y[:80]), "of another fit: X and y differ"),
        ({"alpha": 0.5}, (X, y), r"alpha differs. It has alpha=0.0001 \(now 0.5\)"),
        ({"alpha": 0.5, "tol": 1.0}, (X, y), "alpha and tol differ"),
        ({"random_state": 1}, (X, y), "random_state"),
        ({"solver": torch.optim.Adam}, (X, y), "solver"),
    ],
)
def test_checkpoint_of_another_fit_raises(tmp_path, change, data, message):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    make().set_callbacks(Checkpoint(path)).fit(X, y)
    before = path.read_bytes()
    model = make().set_params(**change).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=message):
        model.fit(*data)
    assert path.read_bytes() == before
    assert not hasattr(model, "n_iter_")


def test_other_sample_weights_or_validation_rows_raise(tmp_path):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    weight = np.ones(90)
    make().set_callbacks(Checkpoint(path)).fit(X, y, weight, X[:9], y[:9])
    for arguments, name in [
        ((None, X[:9], y[:9]), "sample_weight"),
        ((weight, X[:8], y[:8]), "X_val and y_val"),
    ]:
        with pytest.raises(ValueError, match=f"another fit: {name}"):
            make().set_callbacks(Checkpoint(path)).fit(X, y, *arguments)


class OtherWidth(Annealed):
    width = 8

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.extra = nn.Linear(self.width, 2)


def test_module_with_changed_code_raises(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"

    def model():
        made = ModuleClassifier(OtherWidth, random_state=0, **FEW)
        return made.set_callbacks(Checkpoint(path))

    model().fit(X, y)
    monkeypatch.setattr(OtherWidth, "width", 5)
    with pytest.raises(ValueError, match="the initial state of the network"):
        model().fit(X, y)


def test_a_loss_with_an_inner_function_in_another_process(tmp_path):
    """Its code is the same, at another address."""
    text = "def loss(raw, target):\n return (lambda: (raw - target).square().mean(1))()"
    for callbacks in ([], [KillsAfter(0)]):
        names = {}
        exec(text, names)
        model = MLPRegressor(names["loss"], (4,), random_state=0, **FEW)
        model.set_callbacks(Checkpoint(tmp_path / "fit.ckpt"), *callbacks)
        model.fit(X_numbers, y_numbers)


def test_verbose_may_differ(tmp_path, capsys):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    make().set_callbacks(Checkpoint(path)).fit(X, y)
    make().set_params(verbose=True).set_callbacks(Checkpoint(path)).fit(X, y)


# -- in cross-validation and searches --------------------------------------------------


def test_clones_have_separate_files(tmp_path):
    path = tmp_path / "fit.ckpt"
    model = MODELS["dense"]().set_callbacks(Checkpoint(path))
    pipeline = make_pipeline(StandardScaler(), model)
    expected = cross_val_score(
        clone(pipeline).set_params(mlpclassifier__tol=1e-4), X, y
    )
    first = sorted(tmp_path.iterdir())
    assert len(first) == 5
    assert all(p.name.startswith("fit-") and p.suffix == ".ckpt" for p in first)
    again = cross_val_score(pipeline, X, y)
    np.testing.assert_array_equal(again, expected)
    assert sorted(tmp_path.iterdir()) == first


def test_killed_search_skips_finished_fits(tmp_path):
    path = tmp_path / "fit.ckpt"
    grid = {"alpha": [1e-4, 1.0]}

    def search(*callbacks):
        model = MODELS["dense"]().set_callbacks(Checkpoint(path), *callbacks)
        return GridSearchCV(model, grid, cv=2, error_score="raise")

    with pytest.raises(Killed):
        search(KillsAfter(10)).fit(X, y)
    found = search().fit(X, y)
    expected = GridSearchCV(MODELS["dense"](), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert_equal_to_the_bit(found.best_estimator_, expected.best_estimator_)


def test_unpickled_copies_have_separate_files(tmp_path):
    """They may be in other processes, which must not write to the same file."""
    model = MODELS["dense"]().set_callbacks(Checkpoint(tmp_path / "fit.ckpt"))
    pickle.loads(pickle.dumps(model)).fit(X, y)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("fit-")


@pytest.mark.nightly
def test_checkpoints_in_other_processes(tmp_path):
    model = MODELS["module"]().set_callbacks(Checkpoint(tmp_path / "fit.ckpt"))
    scores = cross_val_score(model, X, y, cv=2, n_jobs=2)
    assert len(list(tmp_path.glob("fit-*.ckpt"))) == 2
    np.testing.assert_array_equal(
        scores, cross_val_score(MODELS["module"](), X, y, cv=2)
    )


# -- files -----------------------------------------------------------------------------


def test_other_files_are_not_overwritten(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a checkpoint of skdeep"):
        MODELS["dense"]().set_callbacks(Checkpoint(path)).fit(X, y)
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("damage", ["cut", "byte"])
def test_damaged_file_raises(tmp_path, damage):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    make().set_callbacks(Checkpoint(path)).fit(X, y)
    data = bytearray(path.read_bytes())
    if damage == "byte":
        data[len(data) // 2] ^= 1
    else:
        del data[-10:]
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"fit.ckpt' is damaged .* Delete it"):
        make().set_callbacks(Checkpoint(path)).fit(X, y)


def test_folder_that_cannot_be_created(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="checkpoint .* cannot be written"):
        MODELS["dense"]().set_callbacks(Checkpoint(blocked / "x.ckpt")).fit(X, y)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "a folder"),
        ("/dev/null", "a device"),
        ("a" * 3000, "too long"),
        ("a\0b", "null byte"),
        ("", "must name a file"),
    ],
)
def test_invalid_paths(path, message):
    with pytest.raises(ValueError, match=f"path must name a file.*{message}|path must"):
        Checkpoint(path)
    with pytest.raises(TypeError, match="path must be a str or path-like, got 3"):
        Checkpoint(3)


def test_folder_created_after_the_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x")
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match="a folder"):
        MODELS["dense"]().set_callbacks(checkpoint).fit(X, y)


def in_a_fork(function):
    """Return the text that a function returns in a child process."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                os.write(writer, function().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(process, 0)
    with open(reader) as file:
        return file.read()


def fit_with_small_files(make, path):
    """Return the error of a fit that cannot write more than 1000 bytes to a file."""
    resource = pytest.importorskip("resource")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        make().set_callbacks(Checkpoint(path)).fit(X, y)
    except OSError as error:
        return str(error)
    return "no error"


@needs_fork
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    """The size of files is limited, so that the system raises the error."""
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    with pytest.raises(Killed):
        make().set_callbacks(Checkpoint(path), KillsAfter(2)).fit(X, y)
    before = path.read_bytes()
    message = in_a_fork(lambda: fit_with_small_files(make, path))
    assert "cannot be written: File too large. An earlier one is" in message
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    resumed = make().set_callbacks(Checkpoint(path)).fit(X, y)
    assert_equal_to_the_bit(resumed, make().fit(X, y))


# -- bad use ---------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_invalid_every(every):
    with pytest.raises(ValueError, match="every must be an int >= 1"):
        Checkpoint("x", every)


def test_lbfgs_cannot_be_resumed(tmp_path):
    model = MLPClassifier(solver="lbfgs").set_callbacks(Checkpoint(tmp_path / "x"))
    with pytest.raises(ValueError, match="needs a solver that trains in epochs"):
        model.fit(X, y)


def test_partial_fit_writes_nothing(tmp_path):
    model = MLPClassifier((4,), random_state=0).set_callbacks(
        Checkpoint(tmp_path / "x")
    )
    model.partial_fit(X, y, classes=[0, 1])
    assert list(tmp_path.iterdir()) == []


# -- kill -9 ---------------------------------------------------------------------------


def fit_in_a_fork(make, checkpoint, result):
    """Fit in a child process; return its id."""
    process = os.fork()
    if process:
        return process
    try:
        model = make()
        if checkpoint is not None:
            model.set_callbacks(Checkpoint(checkpoint))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        result.write_bytes(pickle.dumps(outcome(model)))
    finally:
        os._exit(0)


@needs_fork
@pytest.mark.parametrize(
    "name", [pytest.param("dense", marks=pytest.mark.nightly), "module"]
)
def test_fits_killed_by_sigkill_are_resumed(tmp_path, name):
    def make():
        return MODELS[name]().set_params(max_iter=60, n_iter_no_change=60, tol=0)

    path = tmp_path / "fit.ckpt"
    os.waitpid(fit_in_a_fork(make, None, tmp_path / "whole"), 0)
    for delay in np.random.default_rng(0).uniform(0.02, 0.1, 4):
        process = fit_in_a_fork(make, path, tmp_path / "killed")
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert not (tmp_path / "killed").exists()
    os.waitpid(fit_in_a_fork(make, path, tmp_path / "resumed"), 0)
    whole, resumed = (
        pickle.loads((tmp_path / name).read_bytes()) for name in ("whole", "resumed")
    )
    assert resumed[0] == whole[0]
    for one, two in zip(resumed[1], whole[1], strict=True):
        np.testing.assert_array_equal(one, two)
    assert resumed[2] == whole[2]
