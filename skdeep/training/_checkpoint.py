"""Checkpoints, from which an interrupted training is resumed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import weakref
import zlib
from pathlib import Path
from types import CodeType
from typing import Any

import joblib
import numpy as np
from torch import nn

from skdeep._input_checks import check_file_name
from skdeep.training._module_state import ModuleState

_MAGIC = b"skdeep checkpoint 1\n"
# Parameters that do not change the result.
_IRRELEVANT = {"verbose"}


class Checkpoint:
    """Save the state of a training to disk, and resume it from there.

    After an epoch everything that is needed to resume training is written to a file:
    the weights, the optimizer, the random states, the history, the best epoch and the
    averaged weights. If the process is killed, calling the same ``fit`` on the same
    data again resumes it, and the result is bit-identical.

    It follows scikit-learn's callback protocol: pass it to ``set_callbacks``.

    Parameters
    ----------
    path : str or path-like
        The file. Clones of the estimator, as made by cross-validation and searches,
        write separate files to the same folder, named after their data and parameters.
    every : int, default=1
        Number of epochs between two checkpoints. The last epoch is always saved.

    Raises
    ------
    ValueError
        In ``fit``, if the file belongs to other data or parameters, or if it is not a
        checkpoint.
    OSError
        In ``fit``, if the file cannot be written. An earlier checkpoint is unchanged.

    Notes
    -----
    A file is replaced only when the new one is complete. It is not deleted at the end,
    so that the same ``fit`` then returns at once. Loading a checkpoint unpickles it,
    which can run arbitrary code: only use files that you trust.

    The states of torch's generators are restored. If a module draws from the global
    generators of numpy or Python during training, their state is not. Two processes
    must not use the same file.

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

    def __init__(self, path: str | os.PathLike[str], every: int = 1):
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be an int >= 1, got {every!r}.")
        check_file_name(path, "path")
        self.path = os.fspath(path)
        self.every = every
        self._owner: Any = None

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, every={self.every})"

    def __getstate__(self) -> dict[str, Any]:
        # An unpickled estimator is a copy: it must not write to the same file.
        return {"path": self.path, "every": self.every, "_owner": None}

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing: ``fit`` opens the file."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing: the training loop writes the file."""

    def set_owner(self, estimator: Any) -> None:
        """Set the estimator that uses ``path`` itself; clones use other files."""
        self._owner = weakref.ref(estimator)

    def open(self, estimator: Any, sample: Any, valid: Any) -> CheckpointFile:
        """Return the file of one fit.

        Parameters
        ----------
        estimator : estimator
            The estimator to fit.
        sample, valid : Sample or None
            The checked training rows and the validation rows passed to ``fit``.
        """
        identity = {
            "X": joblib.hash(sample.table),
            "y": joblib.hash(sample.codes),
            "sample_weight": joblib.hash(sample.weight),
            "X_val": joblib.hash(None if valid is None else valid.table),
            "y_val": joblib.hash(None if valid is None else valid.codes),
        }
        parameters = {
            name: stable_repr(value)
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
        Path of the file.
    every : int
        Number of epochs between two writes.
    identity : dict of str to str
        Hashes and descriptions of the data and parameters of the fit.

    Attributes
    ----------
    seed : int or None
        The seed that was drawn for ``random_state=None``.
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

    def check_start(self, task: Any) -> None:
        """Raise if the network starts from other weights than the saved one."""
        # The initial weights also depend on the code of the module, which the
        # parameters do not show.
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
        # Hashes, and long values, would tell a reader nothing.
        changes = [
            f"{name}={saved[name]} (now {identity[name]})"
            for name in other
            if name in saved and len(saved[name]) < 30 and name not in _HASHED
        ]
        found = f" It has {', '.join(changes)}." if changes else ""
        verb = "differs" if len(other) == 1 else "differ"
        raise ValueError(
            f"{str(self.path)!r} is the checkpoint of another fit: "
            f"{_join_names(other)} {verb}.{found} Pass "
            "the same data and parameters to resume it; otherwise "
            "delete the file or use another path."
        )

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None."""
        return None if self._saved is None else self._saved["fit"]

    def after_epoch(self, fit: Any) -> None:
        """Write the state of a fit, every ``every`` epochs and at the end."""
        if fit.state.n_iter % self.every and not fit.is_over:
            return
        saved = {"seed": self.seed, "identity": self.identity, "fit": fit.checkpoint()}
        payload = pickle.dumps(saved, protocol=pickle.HIGHEST_PROTOCOL)
        # A damaged pickle may load without an error.
        checksum = zlib.crc32(payload).to_bytes(4, "big")
        _write(self.path, _MAGIC + checksum + payload)


_START = "the initial state of the network"
_HASHED = {"X", "y", "sample_weight", "X_val", "y_val", _START}


def _join_names(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def stable_repr(value: Any) -> str:
    """Return a text that is the same for equal parameters, in any process."""
    if isinstance(value, nn.Module):
        return f"{type(value).__name__} {joblib.hash(ModuleState.of(value))}"
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return "partial" + stable_repr(list(parts))
    if isinstance(value, dict):
        return str({key: stable_repr(v) for key, v in value.items()})
    if isinstance(value, (list, tuple)):
        return str([stable_repr(v) for v in value])
    if isinstance(value, np.random.RandomState):
        return str(joblib.hash(value.get_state(legacy=False)))
    if hasattr(value, "__code__"):
        # The name alone does not identify a lambda, or a function that was edited.
        return f"{value.__qualname__} {joblib.hash(_describe_code(value.__code__))}"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # a memory address, which differs between processes
        return type(value).__qualname__
    return text if len(text) < 200 else joblib.hash(text)


def _describe_code(code: CodeType) -> tuple[bytes, str]:
    """Return the instructions and constants of a function."""
    # The text of the code of an inner function has its memory address.
    constants = [
        _describe_code(item) if isinstance(item, CodeType) else item
        for item in code.co_consts
    ]
    return code.co_code, str(constants)


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of a file, or None if it does not exist."""
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
            f"{str(path)!r} exists and is not a checkpoint of skdeep. It was not "
            "changed; use another path."
        )
    start = len(_MAGIC) + 4
    payload = data[start:]
    if zlib.crc32(payload).to_bytes(4, "big") != data[len(_MAGIC) : start]:
        raise ValueError(
            f"The checkpoint {str(path)!r} is damaged and cannot be resumed. Delete it "
            "to train from the beginning."
        )
    saved: dict[str, Any] = pickle.loads(payload)
    return saved


def _check_writable(path: Path) -> None:
    """Raise before training if the file cannot be written."""
    part = _partial_path(path)
    try:
        # Every write makes this second file: a writable file in a read-only folder is
        # not enough.
        path.parent.mkdir(parents=True, exist_ok=True)
        part.open("wb").close()
        part.unlink()
    except OSError as error:
        raise _write_error(path, error) from error


def _partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _write_error(path: Path, error: OSError) -> OSError:
    return OSError(
        error.errno,
        f"The checkpoint {str(path)!r} cannot be written: {error.strerror}. An earlier "
        "one is unchanged.",
    )


def _write(path: Path, data: bytes) -> None:
    """Replace a file atomically; on an error it is unchanged."""
    part = _partial_path(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            # Otherwise the file may be empty if power fails after the renaming.
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise _write_error(path, error) from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming of a file survive a power loss, if the system allows it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
