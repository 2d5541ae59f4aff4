"""Networks from the states of an economic model to its policies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skdeep.networks._dense import DenseNetwork

Bound = float | None


class PolicyNetwork(nn.Module):
    """A dense network whose outputs lie between bounds.

    Inputs are standardized with ``center`` and ``scale``, which are buffers. An output
    between two bounds is a scaled sigmoid of the raw score, one with a single bound is
    the bound plus or minus its softplus, and one without bounds is the raw score.

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
        """Draw all weights from ``rng``."""
        self.dense.initialize("glorot_uniform", rng)

    def standardize(self, states: Tensor) -> None:
        """Set mean and standard deviation of the inputs to those of some states."""
        values = states.cpu().double()  # 'mps' has no float64
        spread = values.std(0, correction=0)
        # Not exactly 0 for a constant column, because of rounding.
        is_constant = spread <= 1e-8 * values.abs().amax(0)
        self.center.copy_(values.mean(0))
        self.scale.copy_(spread.masked_fill(is_constant, 1.0))

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds for a row."""
        return self.dense.work_per_row

    def rows_per_chunk(self, x: Tensor) -> int:
        """Return for how many rows the hidden values fit the cache."""
        return self.dense.rows_per_chunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the policies, (n_samples, n_policies), of (n_samples, n_states)."""
        raw = self.dense((x - self.center) / self.scale)
        parts = [self._bounded(raw, *run) for run in self._runs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _bounded(
        self, raw: Tensor, columns: slice, has_low: bool, has_high: bool
    ) -> Tensor:
        raw = raw[:, columns]
        low, high = self.low[columns].to(raw), self.high[columns].to(raw)
        if has_low and has_high:
            # Not exactly at the bounds, where a model may divide by zero.
            eps = torch.finfo(raw.dtype).eps
            share = torch.sigmoid(raw).clamp(eps, 1 - eps)
            # Rounding may exceed the upper bound.
            return torch.minimum(low + (high - low) * share, high)
        if has_low:
            return low + functional.softplus(raw)
        return high - functional.softplus(raw) if has_high else raw
