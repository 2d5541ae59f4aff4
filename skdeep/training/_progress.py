"""Display of the progress of training, as asked for by ``verbose``."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

# Seconds between two updates of a notebook: each is a message to the browser.
_SECONDS_PER_UPDATE = 0.1


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


class TerminalBar(Printer):
    """Displays a progress bar with the last losses on a terminal."""

    def __init__(self, n_epochs: int):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("epoch"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar_id = self._bar.add_task("", total=n_epochs)
        self._bar.start()

    def epoch(self, record: dict[str, Any], n_done: int) -> None:
        """Update the bar."""
        self._bar.update(self._bar_id, completed=n_done, description=_losses_of(record))

    def message(self, text: str) -> None:
        """Print a message above the bar."""
        self._bar.console.print(text)

    def close(self) -> None:
        """Stop the bar and leave it on the terminal."""
        self._bar.stop()


class NotebookBar(Printer):
    """Displays a progress bar with the last losses in a Jupyter notebook.

    One output of the cell is updated in place.
    """

    def __init__(self, n_epochs: int):
        from IPython.display import display

        self._n_epochs = n_epochs
        self._n_done = 0
        self._n_before: int | None = None
        self._losses = ""
        self._messages: list[str] = []
        self._start = self._last_update = time.monotonic()
        self._handle = display(self._content(), raw=True, display_id=True)

    def epoch(self, record: dict[str, Any], n_done: int) -> None:
        """Update the bar, at most ten times a second."""
        if self._n_before is None:
            # Epochs of a checkpoint took no time now.
            self._n_before = n_done - 1
        self._n_done, self._losses = n_done, _losses_of(record)
        if time.monotonic() - self._last_update >= _SECONDS_PER_UPDATE:
            self._update()

    def message(self, text: str) -> None:
        """Add a message below the bar."""
        self._messages.append(text)
        self._update()

    def close(self) -> None:
        """Leave the last epoch and the time in the output of the cell."""
        self._update(is_over=True)

    def _update(self, *, is_over: bool = False) -> None:
        self._last_update = time.monotonic()
        self._handle.update(self._content(is_over=is_over), raw=True)

    def _content(self, *, is_over: bool = False) -> dict[str, str]:
        """Return the display as text and as HTML."""
        parts = [f"epoch {self._n_done}/{self._n_epochs}"]
        parts += [self._losses] * bool(self._losses) + [self._time(is_over)]
        line = "  ".join(parts)
        bar = f'<progress max="{self._n_epochs}" value="{self._n_done}"></progress> '
        lines = [bar + html.escape(line), *map(html.escape, self._messages)]
        return {
            "text/plain": "\n".join([line, *self._messages]),
            "text/html": f"<div>{'<br>'.join(lines)}</div>",
        }

    def _time(self, is_over: bool) -> str:
        """Return the time that training has taken, or an estimate of what is left."""
        elapsed = time.monotonic() - self._start
        if is_over:
            return f"time {_clock(elapsed)}"
        n_now = self._n_done - (self._n_before or 0)
        if n_now == 0:
            return "time left -:--:--"
        n_left = self._n_epochs - self._n_done
        return f"time left {_clock(elapsed / n_now * n_left)}"


def _losses_of(record: dict[str, Any]) -> str:
    text = f"loss {record['train_loss']:.4g}"
    if "valid_score" in record:
        text += f"  validation score {record['valid_score']:.4f}"
    return text


def _clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _is_notebook() -> bool:
    """Return whether standard output goes to a cell of a Jupyter notebook.

    It does not where a user has redirected it, to a file for example.
    """
    return type(sys.stdout).__module__.partition(".")[0] == "ipykernel"


def _make_terminal_bar(n_epochs: int) -> Printer:
    try:
        from rich.errors import LiveError
    except ImportError:  # rich is optional
        return Printer()
    try:
        return TerminalBar(n_epochs)
    except LiveError:  # before rich 14.1, only one bar at a time can be live
        return Printer()


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
    if _is_notebook():
        return NotebookBar(n_epochs)
    return _make_terminal_bar(n_epochs) if sys.stdout.isatty() else Printer()
