"""Networks from the states of an economic model to its policies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skdeep.networks._dense import DenseNetwork

Bound = float | None

# Standardized inputs are compressed to smaller absolute values.
_LARGEST = 5.0
# Factor of the initial weights of the last layer.
_SMALL = 0.1
# The softplus of this number is 1.
_ONE = math.log(math.e - 1)


class PolicyNetwork(nn.Module):
    """A dense network whose outputs lie between bounds.

    Inputs are standardized with ``center`` and ``scale``, and compressed such that the
    policies hardly change far away from there. An output between two bounds is a scaled
    sigmoid of the raw score, one with a single bound is the bound plus or minus
    ``size`` times its softplus, and one without bounds is the raw score. ``center``,
    ``scale`` and ``size`` are buffers.

    Parameters
    ----------
    n_states : int
        Number of inputs.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers.
    bounds : sequence of (float or None, float or None)
        The lower and the upper bound of each output; None means that there is none.
    activation : str, default="silu"
        A name in ``ACTIVATIONS``.
    """

    center: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    size: Tensor

    def __init__(
        self,
        n_states: int,
        hidden_layer_sizes: Sequence[int],
        bounds: Sequence[Sequence[Bound]],
        *,
        activation: str = "silu",
    ):
        super().__init__()
        self.register_buffer("center", torch.zeros(n_states))
        self.register_buffer("scale", torch.ones(n_states))
        # In double precision: a bound in float32 could differ from the given one.
        low = [-torch.inf if pair[0] is None else pair[0] for pair in bounds]
        high = [torch.inf if pair[1] is None else pair[1] for pair in bounds]
        self.register_buffer("low", torch.tensor(low, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float64))
        self.register_buffer("size", torch.ones(len(bounds), dtype=torch.float64))
        self.dense = DenseNetwork(
            n_states, hidden_layer_sizes, len(bounds), activation=activation
        )
        # Columns with the same kinds of bounds are computed together.
        kinds = [(pair[0] is not None, pair[1] is not None) for pair in bounds]
        self._runs, start = [], 0
        for kind, group in groupby(kinds):
            stop = start + len(list(group))
            self._runs.append((slice(start, stop), *kind))
            start = stop

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``.

        Those of the last layer are small, so that the first policies hardly depend on
        the states: otherwise the simulated states might grow without bound.
        """
        self.dense.initialize("glorot_uniform", rng)
        last: Any = self.dense.layers[-1]
        with torch.no_grad():
            last.weight.mul_(_SMALL)

    @property
    def _has_one(self) -> Tensor:
        """Which policies have a single bound."""
        return self.low.isfinite() ^ self.high.isfinite()

    def constants(self, numbers: Tensor) -> Tensor:
        """Return policies within the bounds from any real numbers, (n_policies,).

        The number of a policy with a single bound is the logarithm of its distance from
        the bound. Others are raw scores.
        """
        # Not the exponential of all: the gradient of an infinite one would be NaN.
        size = numbers.masked_fill(~self._has_one, 0.0).exp()
        raw = numbers.masked_fill(self._has_one, _ONE)
        return self._bounded(raw.unsqueeze(0), size).squeeze(0)

    @torch.no_grad()
    def start_at(self, policies: Tensor) -> None:
        """Set ``size`` and the last bias such that the policies are close to these."""
        tiny = torch.finfo(policies.dtype).eps
        low, high = self.low.to(policies), self.high.to(policies)
        distance = torch.where(low.isfinite(), policies - low, high - policies)
        self.size.copy_(distance.clamp_min(tiny).masked_fill(~self._has_one, 1.0))
        share = ((policies - low) / (high - low)).clamp(tiny, 1 - tiny)
        has_two = low.isfinite() & high.isfinite()
        raw = torch.where(has_two, share.logit(), policies)
        last: Any = self.dense.layers[-1]
        last.bias.copy_(raw.masked_fill(self._has_one, _ONE))

    @torch.no_grad()
    def restart(self, states: Tensor, rng: np.random.RandomState) -> None:
        """Draw new weights; standardize by these states, keep their mean policies."""
        policies = self(states).mean(0)
        self.initialize(rng)
        self.standardize(states)
        self.start_at(policies)

    def standardize(self, states: Tensor) -> None:
        """Set mean and standard deviation of the inputs to those of some states."""
        center, scale = _mean_and_spread(states)
        self.center.copy_(center)
        self.scale.copy_(scale)

    def is_standardized(self, states: Tensor) -> bool:
        """Return whether the standard deviations are right within a factor of two.

        The means must be within a standard deviation.
        """
        center, scale = _mean_and_spread(states)
        shift = (center - self.center.cpu()) / scale
        ratio = (self.scale.cpu() / scale).log2()
        return bool((shift.abs() <= 1).all() and (ratio.abs() <= 1).all())

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds for a row."""
        return self.dense.work_per_row

    def rows_per_chunk(self, x: Tensor) -> int:
        """Return for how many rows the hidden values fit the cache."""
        return self.dense.rows_per_chunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the policies, (n_samples, n_policies), of (n_samples, n_states)."""
        x = (x - self.center) / self.scale
        x = x * (1 + (x / _LARGEST).square()).rsqrt()
        return self._bounded(self.dense(x), self.size)

    def _bounded(self, raw: Tensor, size: Tensor) -> Tensor:
        """Return the policies of raw scores, (n_samples, n_policies)."""
        parts = [self._bounded_columns(raw, size, *run) for run in self._runs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _bounded_columns(
        self,
        raw: Tensor,
        size: Tensor,
        columns: slice,
        has_low: bool,
        has_high: bool,
    ) -> Tensor:
        raw, size = raw[:, columns], size[columns].to(raw)
        low, high = self.low[columns].to(raw), self.high[columns].to(raw)
        if has_low and has_high:
            # Not exactly at the bounds, where a model may divide by zero.
            eps = torch.finfo(raw.dtype).eps
            share = torch.sigmoid(raw).clamp(eps, 1 - eps)
            # Rounding may exceed the upper bound.
            return torch.minimum(low + (high - low) * share, high)
        if has_low:
            return low + size * functional.softplus(raw)
        return high - size * functional.softplus(raw) if has_high else raw


def _mean_and_spread(states: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of columns, 1 for a constant column."""
    values = states.cpu().double()  # 'mps' has no float64
    spread = values.std(0, correction=0)
    # Not exactly 0 for a constant column, because of rounding.
    is_constant = spread <= 1e-8 * values.abs().amax(0)
    return values.mean(0), spread.masked_fill(is_constant, 1.0)
