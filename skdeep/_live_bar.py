"""A progress bar that is updated in place, on a terminal or in a notebook."""

from __future__ import annotations

import html
import sys
import time
from abc import ABC, abstractmethod

# Seconds between two updates of a notebook: each is a message to the browser.
_SECONDS_PER_UPDATE = 0.1


class LiveBar(ABC):
    """A progress bar with a text."""

    @abstractmethod
    def skip(self, n_done: int) -> None:
        """Count units that were done earlier, by a process that was interrupted.

        They took no time now, so the estimate of the time left ignores them.
        """

    @abstractmethod
    def update(self, n_done: int, text: str) -> None:
        """Show how many units are done, and a text."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show a message that stays."""

    @abstractmethod
    def close(self) -> None:
        """Show the last state, and leave it on the screen."""


class TerminalBar(LiveBar):
    """A bar on a terminal, drawn by rich."""

    def __init__(self, unit: str, total: int):
        # rich is optional and slow to import.
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn(unit),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar_id = self._bar.add_task("", total=total)
        self._bar.start()

    def skip(self, n_done: int) -> None:
        """Start the clock after some units."""
        self._bar.reset(self._bar_id, completed=n_done)

    def update(self, n_done: int, text: str) -> None:
        """Show how many units are done, and a text."""
        self._bar.update(self._bar_id, completed=n_done, description=text)

    def message(self, text: str) -> None:
        """Print a message above the bar."""
        self._bar.console.print(text)

    def close(self) -> None:
        """Stop the bar and leave it on the terminal."""
        self._bar.stop()


class NotebookBar(LiveBar):
    """A bar in a Jupyter notebook: one output of the cell, updated in place."""

    def __init__(self, unit: str, total: int):
        from IPython.display import display

        self._unit, self._total = unit, total
        self._n_done = self._n_skipped = 0
        self._text = ""
        self._messages: list[str] = []
        self._start = self._last_update = time.monotonic()
        self._handle = display(self._content(), raw=True, display_id=True)

    def skip(self, n_done: int) -> None:
        """Count units that are not part of the estimate of the time left."""
        self._n_done = self._n_skipped = n_done

    def update(self, n_done: int, text: str) -> None:
        """Update the bar, at most ten times a second."""
        self._n_done, self._text = n_done, text
        if time.monotonic() - self._last_update >= _SECONDS_PER_UPDATE:
            self._redraw()

    def message(self, text: str) -> None:
        """Add a message below the bar."""
        self._messages.append(text)
        self._redraw()

    def close(self) -> None:
        """Leave the last state and the time taken in the output of the cell."""
        self._redraw(is_over=True)

    def _redraw(self, *, is_over: bool = False) -> None:
        self._last_update = time.monotonic()
        self._handle.update(self._content(is_over=is_over), raw=True)

    def _content(self, *, is_over: bool = False) -> dict[str, str]:
        """Return the display as text and as HTML."""
        parts = [f"{self._unit} {self._n_done}/{self._total}"]
        parts += [self._text] * bool(self._text) + [self._format_time(is_over)]
        line = "  ".join(parts)
        bar = f'<progress max="{self._total}" value="{self._n_done}"></progress> '
        # Escaped: messages and texts may hold < and &.
        lines = [bar + html.escape(line), *map(html.escape, self._messages)]
        return {
            "text/plain": "\n".join([line, *self._messages]),
            "text/html": f"<div>{'<br>'.join(lines)}</div>",
        }

    def _format_time(self, is_over: bool) -> str:
        """Return the time taken at the end, and an estimate of the time left before."""
        elapsed = time.monotonic() - self._start
        if is_over:
            return f"time {_format_seconds(elapsed)}"
        n_now = self._n_done - self._n_skipped
        if n_now == 0:
            return "time left -:--:--"
        n_left = self._total - self._n_done
        return f"time left {_format_seconds(elapsed / n_now * n_left)}"


def _format_seconds(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _is_notebook() -> bool:
    """Return whether standard output goes to a cell of a Jupyter notebook.

    It does not if a user has redirected it, to a file for example.
    """
    return type(sys.stdout).__module__.partition(".")[0] == "ipykernel"


def make_live_bar(unit: str, total: int) -> LiveBar | None:
    """Return a bar for standard output, or None if lines must be printed instead.

    Parameters
    ----------
    unit : str
        What is counted, such as "epoch".
    total : int
        The count at the end.
    """
    if _is_notebook():
        return NotebookBar(unit, total)
    # Standard output is None in a program without a console, and users may replace it
    # with an object that can only write.
    isatty = getattr(sys.stdout, "isatty", None)
    if isatty is None or not isatty():
        return None
    try:
        from rich.errors import LiveError
    except ImportError:  # rich is optional
        return None
    try:
        return TerminalBar(unit, total)
    except LiveError:  # before rich 14.1, only one bar at a time can be live
        return None
