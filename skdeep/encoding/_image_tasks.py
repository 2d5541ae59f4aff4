"""Work on image files in threads, whose errors are collected."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from skdeep.encoding._image_decoding import attempt, pillow

N_NAMED = 10  # number of unreadable files that an error names

# Files per task of a thread, at most: small images are decoded faster than tasks are
# handed over.
_CHUNK = 64

# ``warnings.catch_warnings`` is not safe in several threads at a time.
_WARNINGS = threading.Lock()


class Tasks(NamedTuple):
    """Work on files in threads; each future holds the results of several files."""

    paths: Sequence[str]
    futures: list[Future]


def start(function: Callable[[int], Any], paths: Sequence[str]) -> Tasks:
    """Start to call a function with the number of each path, in threads."""
    n_threads = min(8, os.cpu_count() or 1)
    chunk = min(_CHUNK, max(1, len(paths) // (4 * n_threads)))

    def run(first: int) -> list[tuple[Any, str | None]]:
        rows = range(first, min(first + chunk, len(paths)))
        return [attempt(functools.partial(function, row)) for row in rows]

    executor = ThreadPoolExecutor(n_threads, thread_name_prefix="skdeep-images")
    try:
        firsts = range(0, len(paths), chunk)
        return Tasks(paths, [executor.submit(run, first) for first in firsts])
    finally:
        executor.shutdown(wait=False)  # its threads end with the last task


def finish(tasks: Tasks) -> list:
    """Return the results; raise an error that names the files without one."""
    try:
        results = [pair for future in tasks.futures for pair in future.result()]
    except BaseException:  # also Ctrl-C: the other files are not worth the wait
        cancel(tasks)
        raise
    reasons = {
        path: reason
        for path, (_, reason) in zip(tasks.paths, results, strict=True)
        if reason is not None
    }
    if reasons:
        raise ValueError(_describe(reasons, len(set(tasks.paths))))
    return [result for result, _ in results]


def cancel(tasks: Tasks) -> None:
    """Do not start what has not started yet."""
    for future in tasks.futures:
        future.cancel()


def _describe(reasons: dict[str, str], n_files: int) -> str:
    lines = [f"{path!r} {reason}" for path, reason in reasons.items()]
    if len(lines) > N_NAMED:
        lines[N_NAMED:] = [f"and {len(lines) - N_NAMED} more"]
    return "\n- ".join(
        [f"{len(reasons)} of {n_files} image files cannot be read:", *lines]
    )


@contextlib.contextmanager
def strict_warnings() -> Iterator[None]:
    """Turn Pillow's warnings about huge images into errors, and ignore its others."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", pillow().DecompressionBombWarning)
        yield
