"""skorch callbacks of a training that is not that of one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skorch.callbacks import (
    Callback,
    Checkpoint,
    LoadInitState,
    PrintLog,
    TrainEndCheckpoint,
)
from skorch.history import History

# What skorch passes to the hooks, as far as it is there: an ensemble has one table per
# network.
_ROWS: dict[str, dict[str, Any]] = {
    "on_train_begin": {"X": None, "y": None},
    "on_train_end": {"X": None, "y": None},
    "on_epoch_begin": {"dataset_train": None, "dataset_valid": None},
    "on_epoch_end": {"dataset_train": None, "dataset_valid": None},
}
# They would ignore that there is no module.
_SAVING = (Checkpoint, TrainEndCheckpoint, LoadInitState)


class _NetWithHistory:
    """What the callbacks see as the net: its history, but no module or optimizer."""

    def __init__(self, callbacks: Sequence[Callback], max_epochs: int, verbose: int):
        self.history = History()
        self.callbacks_ = [(type(c).__name__, c) for c in callbacks]
        self.max_epochs = max_epochs
        self.verbose = verbose

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"The net that callbacks get from a training of many networks has no "
            f"attribute {name!r}: it has a history, and no module or optimizer. Use "
            "callbacks that need no more, such as EarlyStopping and PrintLog."
        )


class HistoryCallbacks:
    """Calls skorch callbacks at the beginning and the end of training and of epochs.

    Parameters
    ----------
    callbacks : sequence of skorch.callbacks.Callback
        The callbacks, which are not copied. Their hooks of batches are not called.
    max_epochs : int
        Maximum number of epochs.
    verbose : bool or int
        Whether the training prints; callbacks may look at it.
    """

    def __init__(self, callbacks: Sequence[Callback], max_epochs: int, verbose):
        prints = any(isinstance(callback, PrintLog) for callback in callbacks)
        self._net = _NetWithHistory(callbacks, max_epochs, int(bool(verbose) or prints))
        for callback in callbacks:
            if isinstance(callback, _SAVING):
                raise TypeError(
                    f"callbacks has a {type(callback).__name__}, which saves or loads "
                    "a module; a training of many networks has none. Save the fitted "
                    "estimator instead."
                )
            callback.initialize()

    def begin(self) -> None:
        """Call the callbacks at the beginning of training."""
        self._notify("on_train_begin")

    def begin_epoch(self) -> None:
        """Call the callbacks at the beginning of an epoch."""
        self._net.history.new_epoch()
        self._notify("on_epoch_begin")

    def end_epoch(self, record: dict[str, Any]) -> bool:
        """Record an epoch and call the callbacks; return whether to stop."""
        history = self._net.history
        for key, value in record.items():
            history.record({"duration": "dur"}.get(key, key), value)
        for name in ("train_loss", "valid_loss"):
            values = [epoch[name] for epoch in history]
            history.record(f"{name}_best", values[-1] <= min(values))
        known = set(history[-1])
        try:
            self._notify("on_epoch_end")
        except KeyboardInterrupt:
            # skorch's EarlyStopping and similar callbacks stop training like this.
            return True
        finally:
            record.update({k: v for k, v in history[-1].items() if k not in known})
        return False

    def end(self) -> None:
        """Call the callbacks at the end of training."""
        self._notify("on_train_end")

    def _notify(self, hook: str) -> None:
        for name, callback in self._net.callbacks_:
            try:
                getattr(callback, hook)(self._net, **_ROWS[hook])
            except Exception as error:
                error.add_note(f"Raised by {hook} of the skorch callback {name!r}.")
                raise
