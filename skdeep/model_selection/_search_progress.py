"""Display of the progress of a search, if ``verbose`` is set."""

from __future__ import annotations

from skdeep._live_bar import LiveBar, make_live_bar


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
            # Flushed: trials take long, and output to a file is buffered.
            print(f"Trial {n_done} of {self.n_trials}, {best}", flush=True)
        self._last = n_done


class SearchBar(SearchProgress):
    """Displays the best score next to a live bar.

    Parameters
    ----------
    bar : LiveBar
        Counts the trials.
    """

    def __init__(self, bar: LiveBar):
        self._bar = bar
        self._is_first = True

    def update(self, n_done, best):
        """Update the bar."""
        if self._is_first:
            self._bar.skip(n_done)  # the trials of a resumed study
            self._is_first = False
        self._bar.update(n_done, best)

    def close(self):
        """Leave the last state on the screen."""
        self._bar.close()


def make_progress(verbose, n_trials: int) -> SearchProgress:
    """Return a bar in a notebook or on a terminal, otherwise lines.

    If ``verbose`` is 0, nothing is displayed.
    """
    if not verbose:
        return SearchProgress()
    bar = make_live_bar("trial", n_trials)
    return PrintedLines(n_trials) if bar is None else SearchBar(bar)
