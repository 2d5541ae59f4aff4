"""Training and prediction of one network, alone or with those of other threads."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from skdeep.training._batches import InputRows
from skdeep.training._dense import DenseLearner
from skdeep.training._device import (
    seeded_generators,
    threads_for,
    worthwhile_threads,
)
from skdeep.training._epochs import Fit
from skdeep.training._grouping import can_join
from skdeep.training._inference import extract_scores, raw_scores
from skdeep.training._lbfgs import minimize
from skdeep.training._products import step_threads
from skdeep.training._progress import make_printer
from skdeep.training._protocols import SupervisedLoss
from skdeep.training._scheduler import (
    PopulationScheduler,
    check_cancelled,
    current_scheduler,
)
from skdeep.training._stacked_inference import Prediction
from skdeep.training._task import Task, TrainingState


def train(task: Task) -> TrainingState:
    """Train the networks of a task in place, and return the state of the task.

    Raises
    ------
    ValueError
        If training diverges and no earlier epoch can be restored.
    """
    scheduler = current_scheduler()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_threads(task))
        generators = None
        if task.draws_globally:
            seed = task.generator.initial_seed()
            generators = stack.enter_context(seeded_generators(seed, task.device))
        # The steps enable gradients where they are needed.
        stack.enter_context(torch.no_grad())
        kind = task.device.type
        if isinstance(task.learner, DenseLearner) and torch.is_autocast_enabled(kind):
            # Under a user's autocast, products could not write into ``out``.
            stack.enter_context(torch.autocast(kind, enabled=False))
        printer = make_printer(task.options.verbose, task.n_epochs)
        stack.callback(printer.close)
        fit = Fit(task, printer, generators, check_cancelled)
        if task.options.solver == "lbfgs":
            minimize(fit)
        elif scheduler is not None and can_join(task):
            _run_in_population(fit, scheduler)
        else:
            fit.run()
    return task.state


def _threads(task: Task) -> contextlib.AbstractContextManager[None]:
    """Compute with as many threads as are worthwhile for a batch of the task."""
    if not isinstance(task.learner, DenseLearner) or task.work is None:
        return threads_for(task.work, task.device)
    count = worthwhile_threads(task.work, torch.get_num_threads())
    return step_threads(count, task.device)


def _run_in_population(fit: Fit, scheduler: PopulationScheduler) -> None:
    fit.start()
    scheduler.train(fit)
    if fit.error is not None:
        raise fit.error
    assert fit.is_over
    fit.finish()


def predict_scores(
    network: nn.Module,
    rows: InputRows,
    loss: SupervisedLoss,
    n_scores: int,
    *,
    precision: str | None = None,
) -> Tensor:
    """Return the raw scores of encoded rows: see ``raw_scores``.

    Those of the test rows of a job may be computed with those of other jobs.
    """
    scheduler = current_scheduler()
    if scheduler is not None and precision is None:
        # While they wait, test rows must not take more memory than the training rows.
        fits = len(rows) <= scheduler.take_trained(network)
        prediction = Prediction.of(network, rows, loss) if fits else None
        if prediction is not None:
            scheduler.predict(prediction)
            if prediction.raw is not None:
                return extract_scores(prediction.raw, len(rows), n_scores, loss)
    return raw_scores(network, rows, loss, n_scores, precision=precision)
