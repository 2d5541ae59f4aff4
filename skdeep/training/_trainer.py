"""Epochs of gradient steps, whatever computes the gradient."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skdeep.training._batches import batch_bounds, make_batches
from skdeep.training._device import threads_for
from skdeep.training._optimizers import (
    FlatParameters,
    MovingAverage,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
)
from skdeep.training._schedules import LearningRate
from skdeep.training._task import Data, Rows, Task

# Rows that go through a network together where no gradient is wanted: few enough for
# the hidden values to stay in the cache.
_CHUNK = 2000
# Parameters larger than this may make scores that overflow.
_LARGE = 1e4


def apply(network: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
    """Call a network, which may be a user's, on a batch.

    Raises
    ------
    ValueError
        If its layers do not fit the batch, or it fails in torch in another way.
    """
    try:
        return network(*inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ValueError(
            f"The module failed on a batch of shape {shapes}: {error}"
        ) from error


def _rows_at_once(network: torch.nn.Module, rows: Rows) -> int:
    """Return how many rows to put through together; a network may want fewer."""
    limit = getattr(network, "rows_at_once", None)
    return _CHUNK if limit is None else min(_CHUNK, limit(*rows.take(slice(0, 1))))


@torch.inference_mode()
def raw_scores(network: torch.nn.Module, rows: Rows, method: str = "forward") -> Tensor:
    """Return the raw scores (n_samples, n_scores) of a network in evaluation mode.

    ``method``, if not "forward", is the network's method that gives them.
    """
    size = _rows_at_once(network, rows)
    score = network if method == "forward" else getattr(network, method)
    if len(rows) <= size:
        return apply(score, rows.take(slice(None)))
    # A network that knows how works in memory of its own, which is not asked for anew.
    make_scorer = getattr(network, "make_scorer", None)
    if make_scorer is not None and score is network:
        score = make_scorer(size)
    device = next(network.parameters()).device
    work = getattr(network, "work_per_row", None)
    if work is not None:
        work = work * size // 3  # going back, as in training, is twice the work
    chunks = [slice(s, s + size) for s in range(0, len(rows), size)]
    with threads_for(work, device):
        return torch.cat([apply(score, rows.take(chunk)) for chunk in chunks])


class Trainer(ABC):
    """Takes gradient steps on a network; a subclass computes the gradient."""

    #: Whether a batch may not be a single row.
    needs_two_rows = False

    def __init__(self, task: Task):
        self.task = task
        self.options = task.options
        self.flat = FlatParameters(task.network)
        self.average: MovingAverage | None = None
        self._weights = self.flat.weights
        self._weight_gradient = self.flat.weight_gradient

    @abstractmethod
    def gradient(
        self, inputs: tuple[Tensor, ...], target: Tensor, scale: Tensor | float
    ) -> Tensor:
        """Fill ``flat.gradient`` with that of the scaled sum of losses.

        Shapes are those of a batch; ``scale`` is each row's share, or one for all.
        Returns the loss of each row.
        """

    def take(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of a training batch."""
        return self.task.train.rows.take(rows)

    def start(self, learning_rate: LearningRate) -> None:
        """Get ready for epochs of the stochastic solver."""
        self.task.network.train()
        self.learning_rate = learning_rate
        self.optimizer = make_optimizer(self.options, self.flat)
        self._rate: float | None = None
        state = self.task.state
        if state.optimizer is not None and state.solver == str(self.options.solver):
            restore_optimizer(self.optimizer, state.optimizer)
        self.bounds = batch_bounds(
            len(self.task.train.rows),
            self.options.batch_size,
            merge_single=self.needs_two_rows,
        )
        self._take_step = self.optimizer.step
        if self.options.weight_averaging:
            self.average = MovingAverage(self.flat, self.options.weight_averaging)

    def run_epoch(self, order: np.ndarray) -> float:
        """Take a step for each batch of rows in ``order``; return the mean loss."""
        train, alpha = self.task.train, self.options.alpha
        batches = make_batches(order, self.bounds, train.target, train.weight)
        n_batches = len(batches.sizes)
        losses, norms = [], []
        for i, (rows, target, scale) in enumerate(
            zip(batches.rows, batches.targets, batches.scales, strict=True)
        ):
            if i == 0 or self.learning_rate.is_curve:
                self.move_to(i / n_batches)
            losses.append(self.gradient(self.take(rows), target, scale))
            if alpha:
                norms.append(torch.dot(self._weights, self._weights))
                self._penalise(alpha, batches.weight_sums[i])
            if self.options.max_grad_norm is not None:
                self._clip(self.options.max_grad_norm)
            self._take_step()
            if self.average is not None:
                self.average.update()
        loss = batches.mean_loss(losses)
        if alpha:
            loss += batches.mean_penalty(norms, alpha)
        return loss

    @property
    def rate(self) -> float:
        """The learning rate of the next step, whoever has set it."""
        return float(self.optimizer.param_groups[0]["lr"])

    def move_to(self, share: float) -> None:
        """Set the learning rate for when this share of the epoch is done.

        Only if ours has changed, lest a callback's be lost.
        """
        rate = self.learning_rate.within_epoch(share)
        if rate != self._rate:
            self._rate = rate
            for group in self.optimizer.param_groups:
                group["lr"] = rate

    def _penalise(self, alpha: float, weight_sum: float) -> None:
        """Add the L2 penalty, which scikit-learn divides by the sum of weights."""
        if self.options.solver == "adamw":
            self._weights.mul_(1 - self.rate * alpha)
        else:
            self._weight_gradient.add_(self._weights, alpha=alpha / weight_sum)

    def _clip(self, largest: float) -> None:
        """Shorten the gradient to a norm of ``largest`` (Pascanu et al., 2013)."""
        norm = torch.linalg.vector_norm(self.flat.gradient)
        self.flat.gradient.mul_((largest / (norm + 1e-6)).clamp_max(1.0))

    def evaluate(self, data: Data) -> tuple[float, float]:
        """Return the mean loss and the score on other rows."""
        self.task.network.eval()
        with self.averaged(), torch.inference_mode():
            raw = raw_scores(self.task.network, data.rows)
            losses = self.task.loss.per_sample_among(raw, data.target, data.weight)
        if not raw.isfinite().all():
            return math.nan, math.nan
        self.task.network.train()
        weight = None if data.weight is None else data.weight.cpu().numpy()
        loss = np.average(losses.cpu().double().numpy(), weights=weight)
        return float(loss), self.task.score(raw)

    def snapshot(self) -> dict[str, Tensor]:
        """Copy the network's parameters and buffers."""
        with self.averaged():
            state = self.task.network.state_dict()
            return {name: tensor.clone() for name, tensor in state.items()}

    def averaged(self) -> contextlib.AbstractContextManager:
        """Let the network have its averaged weights meanwhile, if there are such."""
        if self.average is None:
            return contextlib.nullcontext()
        return self.average.in_place()

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Put a copy back."""
        self.task.network.load_state_dict(snapshot)

    @property
    def is_finite(self) -> bool:
        """Whether every parameter is a finite number."""
        return bool(self.flat.values.isfinite().all())

    @property
    def is_usable(self) -> bool:
        """Whether the parameters are finite, and what they make of training rows."""
        if self.flat.values.abs().max() <= _LARGE:
            return True
        if not self.is_finite:
            return False
        self.task.network.eval()
        rows = self.task.train.rows.take(slice(0, _CHUNK))
        return bool(self.task.network(*rows).isfinite().all())

    def optimizer_state(self) -> dict:
        """Return what the optimizer remembers."""
        return optimizer_state(self.optimizer)

    def begin(self) -> None:
        """Take note that training begins."""

    def begin_epoch(self) -> None:
        """Take note that an epoch begins."""

    def end_epoch(self, record: dict) -> bool:
        """Take note that an epoch has ended; say whether to stop."""
        return False

    def end(self) -> None:
        """Take note that training has ended."""
