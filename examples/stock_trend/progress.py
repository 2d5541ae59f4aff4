"""Progress of the long steps: parts done and time left."""

import sys
import time
from contextlib import contextmanager


def describe_time(seconds):
    """Return "about 40 s" or "about 3 min"."""
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min"


class PrintedLines:
    """Prints a line when a part is done, where there is no terminal."""

    def __init__(self, title, total):
        self.title, self.total, self.done = title, total, 0
        self.started = time.monotonic()
        print(f"{title}: {total} to do", flush=True)

    def advance(self, part=""):
        """Count one part as done."""
        self.done += 1
        left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
        time_left = f", {describe_time(left)} left" if self.done < self.total else ""
        part = f" ({part})" if part else ""
        print(f"{self.title}: {self.done} of {self.total}{part}{time_left}", flush=True)


class Bar:
    """A bar on the terminal."""

    def __init__(self, bar, title, total):
        self.bar, self.task = bar, bar.add_task(title, total=total)

    def advance(self, part=""):
        """Count one part as done."""
        self.bar.advance(self.task)


@contextmanager
def show_progress(title, total):
    """Yield an object whose `advance` is called after each part."""
    if not sys.stdout.isatty():
        yield PrintedLines(title, total)
        return
    from rich import progress

    columns = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("left"),
    ]
    with progress.Progress(*columns) as bar:
        yield Bar(bar, title, total)
