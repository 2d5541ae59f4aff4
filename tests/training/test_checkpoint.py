"""Trainings that are killed go on from their checkpoint, to the last bit."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
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


class Annealed(nn.Module):
    """A module with dropout, batch normalisation and state in plain attributes."""

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
    """A loss with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.t = nn.Parameter(torch.tensor(1.0))

    def forward(self, raw, target):
        return nn.functional.cross_entropy(raw * self.t, target, reduction="none")


# One of each kind of training, of optimizer and of what an epoch leaves behind.
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
    """As far as a fit goes, the process is gone."""


class KillsAfter:
    """A callback of scikit-learn that ends the process' work in an epoch."""

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
    """Fit; of each run a new process makes the estimator again and goes on."""
    for n_epochs in kills:
        model = make().set_callbacks(Checkpoint(path, every), KillsAfter(n_epochs))
        with pytest.raises(Killed):
            model.fit(*data_for(model))
    model = make().set_callbacks(Checkpoint(path, every))
    return model.fit(*data_for(model))


def without_times(history):
    return [{k: v for k, v in r.items() if k != "duration"} for r in history]


def outcome(model):
    """Return all that a fit has come to, in a form that can be compared."""
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
def test_a_killed_fit_goes_on_to_the_bit(name, tmp_path):
    make = MODELS[name]
    model = make()
    state = np.random.get_state()  # noqa: NPY002
    expected = model.fit(*data_for(model))
    np.random.set_state(state)  # noqa: NPY002
    # Without a random_state the seed is known from the first checkpoint on.
    kills = [2, 1] if name == "no random_state" else [0, 2, 1]
    found = fit_with_kills(make, tmp_path / "fit.ckpt", kills)
    assert_equal_to_the_bit(found, expected)
    assert not list(tmp_path.glob("*.part"))


def test_every_second_epoch_is_enough(tmp_path):
    make = MODELS["dense"]
    found = fit_with_kills(make, tmp_path / "fit.ckpt", [3, 1], every=2)
    assert_equal_to_the_bit(found, make().fit(X, y))


def test_a_finished_fit_returns_at_once(tmp_path):
    make, path = MODELS["early stopping"], tmp_path / "fit.ckpt"
    expected = make().set_callbacks(Checkpoint(path)).fit(X, y)
    found = make().set_callbacks(Checkpoint(path), KillsAfter(0)).fit(X, y)
    assert_equal_to_the_bit(found, expected)


def test_interrupted_by_hand_it_can_go_on(tmp_path):
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


# -- other data and parameters -------------------------------------------------------


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
def test_another_fit_is_refused(tmp_path, change, data, message):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    make().set_callbacks(Checkpoint(path)).fit(X, y)
    before = path.read_bytes()
    model = make().set_params(**change).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=message):
        model.fit(*data)
    assert path.read_bytes() == before
    assert not hasattr(model, "n_iter_")


def test_weights_and_validation_rows_are_told_apart(tmp_path):
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


def test_a_module_whose_code_has_changed_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"

    def model():
        made = ModuleClassifier(OtherWidth, random_state=0, **FEW)
        return made.set_callbacks(Checkpoint(path))

    model().fit(X, y)
    monkeypatch.setattr(OtherWidth, "width", 5)
    with pytest.raises(ValueError, match="the initial state of the network"):
        model().fit(X, y)


def test_verbose_may_change(tmp_path, capsys):
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    make().set_callbacks(Checkpoint(path)).fit(X, y)
    make().set_params(verbose=True).set_callbacks(Checkpoint(path)).fit(X, y)


# -- inside of cross-validation and searches -----------------------------------------


def test_clones_have_files_of_their_own(tmp_path):
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


def test_a_killed_search_trains_only_what_is_left(tmp_path):
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


@pytest.mark.slow
def test_in_other_processes(tmp_path):
    model = MODELS["module"]().set_callbacks(Checkpoint(tmp_path / "fit.ckpt"))
    scores = cross_val_score(model, X, y, cv=2, n_jobs=2)
    assert len(list(tmp_path.glob("fit-*.ckpt"))) == 2
    np.testing.assert_array_equal(
        scores, cross_val_score(MODELS["module"](), X, y, cv=2)
    )


# -- files ---------------------------------------------------------------------------


def test_a_file_that_is_no_checkpoint_is_never_written_to(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a checkpoint of skdeep"):
        MODELS["dense"]().set_callbacks(Checkpoint(path)).fit(X, y)
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("damage", ["cut", "byte"])
def test_a_damaged_file_is_refused(tmp_path, damage):
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


def test_where_nothing_can_be_written(tmp_path):
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
def test_what_is_no_file(path, message):
    with pytest.raises(ValueError, match=f"path must name a file.*{message}|path must"):
        Checkpoint(path)
    with pytest.raises(TypeError, match="path must be a str or path-like, got 3"):
        Checkpoint(3)


def test_a_folder_made_after_the_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x")
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match="a folder"):
        MODELS["dense"]().set_callbacks(checkpoint).fit(X, y)


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    """The system's own error: a limit on the size of files."""
    make, path = MODELS["dense"], tmp_path / "fit.ckpt"
    with pytest.raises(Killed):
        make().set_callbacks(Checkpoint(path), KillsAfter(2)).fit(X, y)
    before = path.read_bytes()
    script = f"""
        import resource, signal
        import numpy as np
        from skdeep.callbacks import Checkpoint
        from test_checkpoint import MODELS, X, y
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            MODELS["dense"]().set_callbacks(Checkpoint({str(path)!r})).fit(X, y)
        except OSError as error:
            print(error)
    """
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)},
    )
    assert "cannot be written: File too large. An earlier one is" in found.stdout
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    resumed = make().set_callbacks(Checkpoint(path)).fit(X, y)
    assert_equal_to_the_bit(resumed, make().fit(X, y))


# -- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_bad_every(every):
    with pytest.raises(ValueError, match="every must be an int from 1 on"):
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
    """Fit in a process of its own; return its number."""
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["dense", "module"])
def test_kill_9(tmp_path, name):
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
