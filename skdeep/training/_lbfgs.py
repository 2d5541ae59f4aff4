"""scipy's L-BFGS over all rows, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from skdeep._failed_fits import is_outermost_fit
from skdeep._messages import warn
from skdeep.training._batches import Batch, batch_sizes
from skdeep.training._epochs import Fit

# Rows whose gradient is computed in one pass; bounds the memory of hidden layers.
_CHUNK = 4096


class _TotalLoss:
    """The loss over all rows and its gradient, as a function of all parameters."""

    def __init__(self, fit: Fit):
        task = fit.task
        self.learner = task.learner
        self.alpha = task.options.alpha
        n_samples = len(task.train)
        # A pairwise loss needs all rows at once.
        size = n_samples if self.learner.objective.couples_rows else _CHUNK
        self.sizes = batch_sizes(
            n_samples, size, merge_single=self.learner.needs_two_rows
        )
        self.source = task.train
        self.dtype = self.learner.vector().dtype
        self.order = torch.arange(n_samples, device=task.device)
        # If all rows fit one chunk, keep it.
        self._kept = list(self._batches()) if len(self.sizes) == 1 else None
        self.total = sum(batch.weight_sum for batch in self._kept or self._batches())

    def _batches(self):
        return self.source.batches(self.order, self.sizes)

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean loss, penalty included, and its gradient."""
        learner = self.learner
        learner.set_vector(self.tensor(values))
        gradient: Any = None
        loss = 0.0
        for i, batch in enumerate(self._kept or self._batches(), start=1):
            part = Batch(batch.inputs, batch.target, batch.weight, self.total)
            losses = learner.gradient(part)
            loss += (losses * part.scale).sum().item()
            # Once: the penalty does not depend on the rows.
            if self.alpha and i == len(self.sizes):
                loss += learner.add_penalty(self.alpha / self.total)
            new = learner.gradient_vector()
            gradient = new.clone() if gradient is None else gradient.add_(new)
        return loss, gradient.cpu().numpy().astype(np.float64)

    def tensor(self, values: np.ndarray) -> Tensor:
        """Return a vector of parameters as a tensor on their device."""
        return torch.from_numpy(values).to(self.dtype).to(self.order.device)


def _check_repeatable(network: nn.Module) -> None:
    """Raise if a layer makes the loss random."""
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise ValueError(
                "solver='lbfgs' needs a deterministic loss, but the layer "
                f"{name!r} draws dropout. Use another solver."
            )


def minimize(fit: Fit) -> None:
    """Run L-BFGS on the fit's network, with the options of the task.

    Each iteration is recorded in the history. Ctrl-C keeps the last iteration, unless
    the fit is part of a larger fit.
    """
    task, learner = fit.task, fit.task.learner
    if len(task.learners) > 1:
        names = [each.name for each in task.learners]
        raise ValueError(f"solver='lbfgs' trains one network, got {names}.")
    options, history = task.options, task.state.history
    _check_repeatable(learner.module)
    learner.module.train()
    function = _TotalLoss(fit)
    start = learner.vector().cpu().double().numpy().copy()
    latest = start

    def record(loss: float) -> None:
        entry = {"epoch": len(history) + 1, "train_loss": float(loss)}
        if task.valid is not None:
            valid_loss, valid_score = fit.evaluate(task.valid)
            entry |= {"valid_loss": valid_loss, "valid_score": valid_score}
        history.append(entry)
        task.state.n_iter += 1
        fit.printer.epoch(entry, task.state.n_iter)

    def end_iteration(intermediate_result) -> None:
        nonlocal latest
        # The line search has evaluated other points after this one.
        latest = intermediate_result.x.copy()
        learner.set_vector(function.tensor(latest))

        fit.notify_epoch_begin()
        if fit.observer is not None:
            fit.observer.run_batch_callbacks(task.train, training=True)
        record(intermediate_result.fun)
        if fit.notify_epoch_end(history[-1]):
            raise StopIteration  # scipy then stops
        fit.check_cancelled()

    if fit.observer is not None:
        fit.observer.begin()
    try:
        result = scipy.optimize.minimize(
            function,
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
        task.state.n_samples_seen += len(task.train) * int(result.nit)
        _warn_unless_converged(result, options.max_iter)
    except KeyboardInterrupt:
        if not is_outermost_fit():
            raise
        warn("Training interrupted by user.")
    finally:
        if fit.observer is not None:
            fit.observer.end()
        learner.set_vector(function.tensor(latest))
    fit.check_usable()


def _warn_unless_converged(result, max_iter: int) -> None:
    """Warn with scikit-learn's message, but at the user's line."""
    if result.status == 0:
        return
    is_last = result.nit >= max_iter
    remedy = f"Increase max_iter={max_iter} or s" if is_last else "S"
    warn(
        f"lbfgs failed to converge after {result.nit} iteration(s) "
        f"(status={result.status}): {result.message}. {remedy}cale the data.",
        ConvergenceWarning,
    )
