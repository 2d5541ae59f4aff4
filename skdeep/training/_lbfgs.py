"""L-BFGS over all rows at once: scipy's, in float64."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.optimize
import torch
from sklearn.utils.optimize import _check_optimize_result
from torch import Tensor

from skdeep.training._batches import batch_bounds, make_batches
from skdeep.training._progress import Printer
from skdeep.training._task import Task
from skdeep.training._trainer import Trainer

# Rows whose gradient is computed together; bounds the memory of hidden layers.
_CHUNK = 4096


class _Objective:
    """Loss and gradient over all rows as a function of all parameters."""

    def __init__(self, trainer: Trainer, task: Task):
        self.trainer = trainer
        self.alpha = task.options.alpha
        train = task.train
        n_samples = len(train.rows)
        bounds = batch_bounds(n_samples, _CHUNK, merge_single=trainer.needs_two_rows)
        self.batches = make_batches(
            np.arange(n_samples), bounds, train.target, train.weight
        )
        self.total = sum(self.batches.weight_sums)
        # Kept where it is small enough to be one chunk.
        self._inputs = (
            train.rows.take(self.batches.rows[0]) if len(bounds) == 1 else None
        )

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean loss with its penalty, and the gradient."""
        flat = self.trainer.flat
        flat.values.data.copy_(torch.from_numpy(values))
        gradient = torch.zeros_like(flat.gradient)
        loss = flat.values.new_zeros((), dtype=torch.float64)
        for i, share in enumerate(self.batches.weight_sums):
            inputs = self._inputs or self.trainer.task.train.rows.take(
                self.batches.rows[i]
            )
            scale = self.batches.scales[i] * (share / self.total)
            losses = self.trainer.gradient(inputs, self.batches.targets[i], scale)
            loss += (losses * scale).sum()
            gradient += flat.gradient
        loss += self._add_penalty(gradient)
        return loss.item(), gradient.cpu().numpy().astype(np.float64)

    def _add_penalty(self, gradient: Tensor) -> Tensor:
        weights = self.trainer.flat.weights
        factor = self.alpha / self.total
        gradient[: len(weights)].add_(weights, alpha=factor)
        return 0.5 * factor * torch.dot(weights, weights)


def minimise(trainer: Trainer, task: Task, printer: Printer) -> None:
    """Run L-BFGS on the trainer's network, with the options of the task.

    Each iteration leaves a record in the history. Ctrl-C keeps the last iteration.
    """
    task.network.train()
    options, flat = task.options, trainer.flat
    objective = _Objective(trainer, task)
    start = flat.values.detach().double().cpu().numpy()
    latest = start

    def keep(intermediate_result):
        nonlocal latest
        latest = intermediate_result.x.copy()
        loss = float(intermediate_result.fun)
        record = {"epoch": len(task.state.history) + 1, "train_loss": loss}
        task.state.history.append(record)
        printer.epoch(record)

    trainer.begin()
    try:
        result = scipy.optimize.minimize(
            objective,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=keep,
            options={
                "maxfun": options.max_fun,
                "maxiter": options.max_iter,
                "gtol": options.tol,
            },
        )
        latest = result.x
        task.state.best = -float(result.fun)
        _check_optimize_result("lbfgs", result, options.max_iter)
        task.state.n_samples_seen += len(task.train.rows) * int(result.nit)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    finally:
        trainer.end()
    flat.values.data.copy_(torch.from_numpy(latest))
