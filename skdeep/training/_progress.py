"""Display of the progress of training, if ``verbose`` is set."""

from __future__ import annotations

from typing import Any

from skdeep._live_bar import LiveBar, make_live_bar


class Printer:
    """Prints a line for each epoch, in scikit-learn's words."""

    def epoch(self, record: dict[str, Any], n_done: int) -> None:
        """Display the losses and the score of an epoch.

        Parameters
        ----------
        record : dict
            The record of the epoch in the history.
        n_done : int
            Number of epochs done so far.
        """
        print(f"Iteration {record['epoch']}, loss = {record['train_loss']:.8f}")
        if "valid_score" in record:
            print(f"Validation score: {record['valid_score']:f}")

    def message(self, text: str) -> None:
        """Display a message."""
        print(text)

    def close(self) -> None:
        """End the display."""


class SilentPrinter(Printer):
    """Displays nothing."""

    def epoch(self, record: dict[str, Any], n_done: int) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""


class BarPrinter(Printer):
    """Displays the last losses next to a live bar.

    Parameters
    ----------
    bar : LiveBar
        Counts the epochs.
    """

    def __init__(self, bar: LiveBar):
        self._bar = bar
        self._is_first = True

    def epoch(self, record: dict[str, Any], n_done: int) -> None:
        """Update the bar."""
        if self._is_first:
            self._bar.skip(n_done - 1)  # the epochs of a checkpoint
            self._is_first = False
        self._bar.update(n_done, _format_losses(record))

    def message(self, text: str) -> None:
        """Display a message above or below the bar."""
        self._bar.message(text)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()


def _format_losses(record: dict[str, Any]) -> str:
    text = f"loss {record['train_loss']:.4g}"
    if "valid_score" in record:
        text += f"  validation score {record['valid_score']:.4f}"
    return text


def make_printer(verbose: bool | int, n_epochs: int) -> Printer:
    """Return the display of a training.

    It is a live bar in a notebook and on a terminal, and prints lines otherwise.

    Parameters
    ----------
    verbose : bool or int
        Whether to display anything.
    n_epochs : int
        Maximum number of epochs.
    """
    if not verbose:
        return SilentPrinter()
    bar = make_live_bar("epoch", n_epochs)
    return Printer() if bar is None else BarPrinter(bar)
