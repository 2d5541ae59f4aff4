"""Training of many networks together, some epochs of all of them at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from skdeep.training._epochs import Fit
from skdeep.training._grouping import can_join
from skdeep.training._population import SteppedPopulation
from skdeep.training._progress import SilentPrinter
from skdeep.training._scheduler import check_cancelled
from skdeep.training._task import Task


class SteppedTraining:
    """Trains the networks of many tasks in place, some epochs of all at a time.

    Networks of the same shape take their steps together. Use it in a ``with`` block;
    call ``run_epochs`` until ``active`` is empty, or as often as you like, and then
    ``finish``.

    Parameters
    ----------
    tasks : sequence of Task
        The tasks. Each has one learner, which draws from no global generator.
    n_threads : int
        Number of threads.
    """

    def __init__(self, tasks: Sequence[Task], n_threads: int):
        self._fits = [Fit(task, SilentPrinter()) for task in tasks]
        with torch.no_grad():
            for fit in self._fits:
                fit.start()
        joined = [fit for fit in self._fits if can_join(fit.task)]
        # Other devices than those of a population train one network after another.
        self._alone = [fit for fit in self._fits if not can_join(fit.task)]
        self._population = SteppedPopulation(joined, n_threads) if joined else None

    def __enter__(self) -> SteppedTraining:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._population is not None:
            self._population.close()

    @property
    def active(self) -> list[Task]:
        """The tasks whose training has not ended."""
        return [fit.task for fit in self._fits if _is_active(fit)]

    def run_epochs(self, n_epochs: int = 1) -> list[list[dict[str, Any]]]:
        """Train all active networks for up to ``n_epochs``; raise the first error.

        Returns
        -------
        epochs : list of list of dict
            For each epoch, the records of the networks that were active in it.
        """
        check_cancelled()
        active = [fit for fit in self._fits if _is_active(fit)]
        n_before = [len(fit.state.history) for fit in active]
        if self._population is not None:
            self._population.run_epochs(n_epochs)
        with torch.no_grad():
            for fit in self._alone:
                for _ in range(n_epochs):
                    if _is_active(fit):
                        fit.run_epoch()
        for fit in active:
            if fit.error is not None:
                raise fit.error
        new = [fit.state.history[n:] for fit, n in zip(active, n_before, strict=True)]
        return [
            [records[i] for records in new if i < len(records)]
            for i in range(max(map(len, new), default=0))
        ]

    def stop(self, tasks: Collection[Task]) -> None:
        """End the training of some of the tasks."""
        fits = [fit for fit in self._fits if any(fit.task is task for task in tasks)]
        for fit in fits:
            fit.is_over = True
        if self._population is not None:
            self._population.remove(fits)

    def set_length(self, n_epochs: int) -> None:
        """Train the active networks for ``n_epochs`` epochs in total."""
        for fit in filter(_is_active, self._fits):
            fit.set_length(n_epochs)

    def finish(self) -> None:
        """Give each network the weights of its best epoch."""
        with torch.no_grad():
            for fit in self._fits:
                fit.finish()


def _is_active(fit: Fit) -> bool:
    return not fit.is_over and fit.error is None
