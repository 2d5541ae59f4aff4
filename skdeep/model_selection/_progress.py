"""What a search shows while it runs."""

from __future__ import annotations

import sys


class Silent:
    """Shows nothing."""

    def update(self, n_done: int, best: str) -> None:
        """Take note of how many trials are done and of the best score."""

    def close(self) -> None:
        """Leave the output tidy."""


class Lines(Silent):
    """Prints a line when a trial is done."""

    def __init__(self, n_trials: int):
        self.n_trials = n_trials
        self._last = -1

    def update(self, n_done, best):
        """Print how many trials are done."""
        if n_done != self._last:
            print(f"Trial {n_done} of {self.n_trials}, {best}", flush=True)
        self._last = n_done


class LiveBar(Silent):
    """A live bar on a terminal, with the best score and the time left."""

    def __init__(self, n_trials: int):
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
        self._task = self._bar.add_task("", total=n_trials)
        self._bar.start()

    def update(self, n_done, best):
        """Move the bar on."""
        self._bar.update(self._task, completed=n_done, description=best)

    def close(self):
        """Leave the bar as it stands."""
        self._bar.stop()


def make_progress(verbose, n_trials: int) -> Silent:
    """Return a live bar on a terminal, lines elsewhere, nothing unless asked."""
    if not verbose:
        return Silent()
    return LiveBar(n_trials) if sys.stdout.isatty() else Lines(n_trials)
