"""What `verbose` shows."""

from __future__ import annotations

import sys


class Printer:
    """Prints a line an epoch, worded as scikit-learn's."""

    def epoch(self, record: dict) -> None:
        """Show an epoch's losses and score."""
        print(f"Iteration {record['epoch']}, loss = {record['train_loss']:.8f}")
        if "valid_score" in record:
            print(f"Validation score: {record['valid_score']:f}")

    def message(self, text: str) -> None:
        """Show a remark."""
        print(text)

    def close(self) -> None:
        """Leave the output tidy."""


class Silent(Printer):
    """Shows nothing."""

    def epoch(self, record):
        """Show nothing."""

    def message(self, text):
        """Show nothing."""


class LiveBar(Printer):
    """A live bar on a terminal, with the last losses beside it."""

    def __init__(self, n_epochs: int):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        self._bar = Progress(
            TextColumn("epoch"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeLeft(),
            TextColumn("{task.description}"),
        )
        self._task = self._bar.add_task("", total=n_epochs)
        self._bar.start()

    def epoch(self, record):
        """Move the bar on."""
        text = f"loss {record['train_loss']:.4g}"
        if "valid_score" in record:
            text += f"  validation score {record['valid_score']:.4f}"
        self._bar.update(self._task, advance=1, description=text)

    def message(self, text):
        """Show a remark above the bar."""
        self._bar.console.print(text)

    def close(self):
        """Leave the bar as it stands."""
        self._bar.stop()


def make_printer(verbose, n_epochs: int) -> Printer:
    """Return a live bar on a terminal, lines elsewhere, nothing unless asked."""
    if not verbose:
        return Silent()
    return LiveBar(n_epochs) if sys.stdout.isatty() else Printer()
