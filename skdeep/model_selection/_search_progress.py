"""Display of the progress of a search."""

from __future__ import annotations

import sys
from importlib.util import find_spec


class SearchProgress:
    """Displays nothing; base class of the displays."""

    def update(self, n_done: int, best: str) -> None:
        """Display the number of finished trials and the best score."""

    def close(self) -> None:
        """End the display."""


class PrintedLines(SearchProgress):
    """Prints a line when a trial is finished."""

    def __init__(self, n_trials: int):
        self.n_trials = n_trials
        self._last = -1

    def update(self, n_done, best):
        """Print the number of finished trials."""
        if n_done != self._last:
            print(f"Trial {n_done} of {self.n_trials}, {best}", flush=True)
        self._last = n_done


class ProgressBar(SearchProgress):
    """Displays a progress bar with the best score and the remaining time."""

    def __init__(self, n_trials: int):
        # rich is optional and slow to import.
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("trial"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar_id = self._bar.add_task("", total=n_trials)
        self._bar.start()

    def update(self, n_done, best):
        """Update the bar."""
        self._bar.update(self._bar_id, completed=n_done, description=best)

    def close(self):
        """Stop the bar and keep it on the terminal."""
        self._bar.stop()


def make_progress(verbose, n_trials: int) -> SearchProgress:
    """Return a bar on a terminal, otherwise lines; nothing if not `verbose`."""
    if not verbose:
        return SearchProgress()
    has_bar = sys.stdout.isatty() and find_spec("rich") is not None
    return ProgressBar(n_trials) if has_bar else PrintedLines(n_trials)
