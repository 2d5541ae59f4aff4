"""L-BFGS over all rows at once: scipy's, in float64."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.optimize
import torch
from sklearn.utils.optimize import _check_optimize_result
from torch import Tensor, nn

from skdeep.training._batches import batch_bounds, make_batches
from skdeep.training._optimizers import FlatParameters
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
        size = n_samples if task.loss.couples_rows else _CHUNK
        bounds = batch_bounds(n_samples, size, merge_single=trainer.needs_two_rows)
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
        _set_values(flat, values)
        gradient = torch.zeros_like(flat.gradient)
        loss = 0.0
        for i, share in enumerate(self.batches.weight_sums):
            inputs = self._inputs or self.trainer.task.train.rows.take(
                self.batches.rows[i]
            )
            scale = self.batches.scales[i] * (share / self.total)
            losses = self.trainer.gradient(inputs, self.batches.targets[i], scale)
            loss += (losses * scale).sum().item()
            gradient += flat.gradient
        loss += self._add_penalty(gradient)
        return loss, gradient.cpu().numpy().astype(np.float64)

    def _add_penalty(self, gradient: Tensor) -> float:
        weights = self.trainer.flat.weights
        factor = self.alpha / self.total
        gradient[: len(weights)].add_(weights, alpha=factor)
        return 0.5 * factor * torch.dot(weights, weights).item()


def _set_values(flat: FlatParameters, values: np.ndarray) -> None:
    """Set all parameters, in their own precision."""
    flat.values.data.copy_(torch.from_numpy(values).to(flat.values.dtype))


def _check_repeatable(network: nn.Module) -> None:
    """Refuse layers that make the loss another one each time it is looked at."""
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise ValueError(
                "solver='lbfgs' needs the same loss each time it looks; the dropout "
                f"of the layer {name!r} makes it random. Use another solver."
            )


def minimise(trainer: Trainer, task: Task, printer: Printer) -> None:
    """Run L-BFGS on the trainer's network, with the options of the task.

    Each iteration leaves a record in the history. Ctrl-C keeps the last iteration.
    """
    _check_repeatable(task.network)
    task.network.train()
    options, flat, history = task.options, trainer.flat, task.state.history
    objective = _Objective(trainer, task)
    start = flat.values.detach().cpu().double().numpy()
    latest = start

    def record(loss: float) -> None:
        entry = {"epoch": len(history) + 1, "train_loss": float(loss)}
        if task.valid is not None:
            valid_loss, valid_score = trainer.evaluate(task.valid)
            entry |= {"valid_loss": valid_loss, "valid_score": valid_score}
        history.append(entry)
        printer.epoch(entry)

    def end_iteration(intermediate_result) -> None:
        nonlocal latest
        latest = intermediate_result.x.copy()
        _set_values(flat, latest)
        task.begin_epoch()
        trainer.begin_epoch()
        record(intermediate_result.fun)
        if trainer.end_epoch(history[-1]) | task.end_epoch():
            raise StopIteration

    trainer.begin()
    try:
        result = scipy.optimize.minimize(
            objective,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=end_iteration,
            options={
                "maxfun": options.max_fun,
                "maxiter": options.max_iter,
                "gtol": options.tol,
            },
        )
        latest = result.x
        if result.nit == 0:
            record(result.fun)
        task.state.n_samples_seen += len(task.train.rows) * int(result.nit)
        _check_optimize_result("lbfgs", result, options.max_iter)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    finally:
        trainer.end()
        _set_values(flat, latest)
