"""From tasks to trained networks."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch

from skdeep.training._dense import DenseTrainer
from skdeep.training._device import GlobalGenerators, own_generators, threads_for
from skdeep.training._epochs import NON_FINITE, Fit
from skdeep.training._grouping import can_join
from skdeep.training._lbfgs import minimise
from skdeep.training._meeting import Meeting, current_meeting
from skdeep.training._net import NetTrainer
from skdeep.training._population import run_population
from skdeep.training._progress import make_printer
from skdeep.training._task import Task, TrainingState
from skdeep.training._trainer import Trainer


def train(task: Task) -> TrainingState:
    """Train the task's network in place.

    Returns the task's state as it is after training.

    Raises
    ------
    ValueError
        If training diverges and there is no earlier epoch to fall back on.
    """
    device = task.train.target.device
    meeting = current_meeting()
    with contextlib.ExitStack() as stack:
        stack.enter_context(threads_for(task.work, device))
        if device.type == "cuda" and not task.closed_form:
            # Recurrent layers copy weights that lie in one buffer with the others'.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "RNN module weights are not part")
        if task.draws_globally:
            seed = task.generator.initial_seed()
            generators = stack.enter_context(own_generators(seed, device))
            task = _lending(task, generators)
        stack.enter_context(torch.no_grad())
        trainer = (DenseTrainer if task.closed_form else NetTrainer)(task)
        printer = make_printer(task.options.verbose, task.n_epochs)
        stack.callback(printer.close)
        if task.options.solver == "lbfgs":
            minimise(trainer, task, printer)
        elif meeting is not None and can_join(task):
            _run_with_others(Fit(trainer, task, printer), meeting)
        else:
            Fit(trainer, task, printer).run()
        _check_usable(trainer)
    return task.state


def train_together(tasks: Sequence[Task]) -> list[Exception | None]:
    """Train the networks of many tasks in place, as ``train`` does one after another.

    Those of one kind are stepped together.

    Returns
    -------
    errors : list of Exception or None
        For each task what ``train`` would have raised.
    """
    errors: list[Exception | None] = [None] * len(tasks)
    n_workers = torch.get_num_threads()
    with torch.no_grad():
        fits: dict[int, Fit] = {}
        for i, task in enumerate(tasks):
            if can_join(task):
                silent = make_printer(False, task.n_epochs)
                fits[i] = Fit(DenseTrainer(task), task, silent)
                fits[i].start()
        run_population(list(fits.values()), n_workers)
        for i, task in enumerate(tasks):
            try:
                if i in fits:
                    _finish(fits[i])
                    _check_usable(fits[i].trainer)
                else:
                    train(task)
            except Exception as error:
                errors[i] = error
    return errors


def _run_with_others(fit: Fit, meeting: Meeting) -> None:
    fit.start()
    meeting.train(fit)
    _finish(fit)


def _finish(fit: Fit) -> None:
    """End a fit whose epochs a population has run."""
    if fit.error is not None:
        raise fit.error
    assert fit.is_over
    fit.finish()


def _check_usable(trainer: Trainer) -> None:
    if not trainer.is_usable:
        rate = trainer.options.learning_rate_init
        raise ValueError(NON_FINITE.format(rate=rate))


def _lending(task: Task, generators: GlobalGenerators) -> Task:
    """Return the task with hooks that are called without the global generators.

    Several fits in threads can then take turns, an epoch each.
    """

    def begin_epoch() -> None:
        with generators.lent():
            task.begin_epoch()

    def end_epoch() -> bool:
        with generators.lent():
            return task.end_epoch()

    return replace(task, begin_epoch=begin_epoch, end_epoch=end_epoch)
