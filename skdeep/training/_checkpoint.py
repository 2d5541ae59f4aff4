"""Checkpoints: a training that is killed goes on where it was."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import weakref
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from torch import nn

from skdeep._input_checks import check_file_name
from skdeep.training._module_state import ModuleState

_MAGIC = b"skdeep checkpoint 1\n"
# Parameters that change nothing about the outcome.
_IRRELEVANT = {"verbose"}


class Checkpoint:
    """Keeps the state of a training on disk, and resumes it from there.

    After an epoch everything that training needs to go on is written to a file: the
    weights, the optimizer, the random states, the history, the best epoch and the
    averaged weights. If the process is killed, calling the same ``fit`` on the same
    data again resumes it, and the result is the same to the last bit.

    It is a callback of scikit-learn's protocol: pass it to ``set_callbacks``.

    Parameters
    ----------
    path : str or path-like
        The file. Clones of the estimator, as cross-validation and searches make them,
        have files of their own beside it, named by their data and parameters.
    every : int, default=1
        Number of epochs between two checkpoints. The last epoch always has one.

    Raises
    ------
    ValueError
        In ``fit``, if the file belongs to other data or parameters, or if it is no
        checkpoint.
    OSError
        In ``fit``, if the file cannot be written. An earlier checkpoint is unchanged.

    Notes
    -----
    A file is replaced only when the new one is complete. It is not deleted at the end:
    the same ``fit`` then returns at once. Loading a checkpoint unpickles it, which can
    run code: use files of your own.

    A module that draws from the generators of numpy or of Python in training is resumed
    without their state; torch's is restored. Two processes must not use one file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skdeep import MLPClassifier
    >>> from skdeep.callbacks import Checkpoint
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.checkpoint")
    >>> def make():
    ...     model = MLPClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    ...     return model.set_callbacks(Checkpoint(path))
    >>> model = make().fit(X, y)
    >>> again = make().fit(X, y)  # nothing is left to train
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """

    def __init__(self, path, every: int = 1):
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be an int from 1 on, got {every!r}.")
        check_file_name(path, "path")
        self.path = os.fspath(path)
        self.every = every
        self._owner: Any = None

    def __repr__(self):
        return f"Checkpoint({self.path!r}, every={self.every})"

    def __getstate__(self):
        # An estimator in another process is a copy.
        return {"path": self.path, "every": self.every, "_owner": None}

    def setup(self, estimator, context):
        """Do nothing: the file is opened by ``fit``."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        """Do nothing: training itself writes the file after an epoch."""

    def set_owner(self, estimator) -> None:
        """Note whose file ``path`` is."""
        self._owner = weakref.ref(estimator)

    def open(self, estimator, sample, valid) -> CheckpointFile:
        """Return the file of one fit.

        Parameters
        ----------
        estimator : estimator
            Is fitted.
        sample, valid : Sample or None
            The checked training rows and the user's validation rows.
        """
        identity = {
            "X": joblib.hash(sample.table),
            "y": joblib.hash(sample.codes),
            "sample_weight": joblib.hash(sample.weight),
            "X_val": joblib.hash(None if valid is None else valid.table),
            "y_val": joblib.hash(None if valid is None else valid.codes),
        }
        parameters = {
            name: described(value)
            for name, value in estimator.get_params(deep=False).items()
            if name not in _IRRELEVANT
        }
        identity |= {"estimator": type(estimator).__name__, **parameters}
        path = Path(self.path)
        if self._owner is None or self._owner() is not estimator:
            text = repr(sorted(identity.items())).encode()
            name = f"{path.stem}-{hashlib.sha256(text).hexdigest()[:16]}{path.suffix}"
            path = path.with_name(name)
        return CheckpointFile(path, self.every, identity)


class CheckpointFile:
    """The file of one fit.

    Parameters
    ----------
    path : Path
        Where it is.
    every : int
        Number of epochs between two writes.
    identity : dict of str to str
        Tells the fit's data and parameters from others.

    Attributes
    ----------
    seed : int or None
        What was drawn for ``random_state=None``.
    """

    def __init__(self, path: Path, every: int, identity: dict[str, str]):
        self.path = path
        self.every = every
        self.identity = identity
        check_file_name(path, "path")
        self._saved = _read(path)
        self.seed = None if self._saved is None else self._saved["seed"]
        self._check(identity)
        _check_writable(path)

    def check_start(self, task) -> None:
        """Refuse a network that starts from other weights than the saved one did."""
        states = [ModuleState.of(learner.module) for learner in task.learners]
        start = {_START: joblib.hash(states)}
        self._check(start)
        self.identity = self.identity | start

    def _check(self, identity: dict[str, str]) -> None:
        if self._saved is None:
            return
        saved = self._saved["identity"]
        other = [name for name in identity if saved.get(name) != identity[name]]
        if not other:
            return
        was = [
            f"{name}={saved[name]} (now {identity[name]})"
            for name in other
            if name in saved and len(saved[name]) < 30 and name not in _HASHED
        ]
        told = f" It has {', '.join(was)}." if was else ""
        verb = "differs" if len(other) == 1 else "differ"
        raise ValueError(
            f"{str(self.path)!r} is the checkpoint of another fit: {_listed(other)} "
            f"{verb}.{told} Pass the same data and parameters to resume it; otherwise "
            "delete the file or use another path."
        )

    def load(self) -> dict | None:
        """Return the state that was saved, if one was."""
        return None if self._saved is None else self._saved["fit"]

    def after_epoch(self, fit) -> None:
        """Write the state of a fit, if it is time for it."""
        if fit.state.n_iter % self.every and not fit.is_over:
            return
        saved = {"seed": self.seed, "identity": self.identity, "fit": fit.checkpoint()}
        payload = pickle.dumps(saved, protocol=pickle.HIGHEST_PROTOCOL)
        checksum = zlib.crc32(payload).to_bytes(4, "big")
        _write(self.path, _MAGIC + checksum + payload)


_START = "the initial state of the network"
_HASHED = {"X", "y", "sample_weight", "X_val", "y_val", _START}


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def described(value) -> str:
    """Return a text that two equal parameters share, also in different processes."""
    if isinstance(value, nn.Module):
        return f"{type(value).__name__} {joblib.hash(ModuleState.of(value))}"
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return "partial" + described(list(parts))
    if isinstance(value, dict):
        return str({key: described(v) for key, v in value.items()})
    if isinstance(value, (list, tuple)):
        return str([described(v) for v in value])
    if isinstance(value, np.random.RandomState):
        return joblib.hash(value.get_state(legacy=False))
    if hasattr(value, "__code__"):
        code = value.__code__
        return (
            f"{value.__qualname__} {joblib.hash((code.co_code, str(code.co_consts)))}"
        )
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # an address, which another process does not repeat
        return type(value).__qualname__
    return text if len(text) < 200 else joblib.hash(text)


def _read(path: Path) -> dict | None:
    """Return what a file holds, None if there is none."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OSError(
            error.errno,
            f"The checkpoint {str(path)!r} cannot be read: {error.strerror}",
        ) from error
    if not data.startswith(_MAGIC):
        raise ValueError(
            f"{str(path)!r} exists and is not a checkpoint of skdeep. Nothing was "
            "written to it; use another path."
        )
    start = len(_MAGIC) + 4
    payload = data[start:]
    if zlib.crc32(payload).to_bytes(4, "big") != data[len(_MAGIC) : start]:
        raise ValueError(
            f"The checkpoint {str(path)!r} is damaged and cannot be resumed. Delete it "
            "to train from the beginning."
        )
    return pickle.loads(payload)


def _check_writable(path: Path) -> None:
    """Fail before training if the file cannot be written after it."""
    part = _part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.open("wb").close()
        part.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _cannot_write(path: Path, error: OSError) -> OSError:
    return OSError(
        error.errno,
        f"The checkpoint {str(path)!r} cannot be written: {error.strerror}. An earlier "
        "one is unchanged.",
    )


def _write(path: Path, data: bytes) -> None:
    """Replace a file as a whole, or leave it as it was."""
    part = _part(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a renaming survive a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
