"""The network of the forecaster, recurrent over segments of a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._dense import Dropout
from skdeep.networks._initialization import make_linear
from skdeep.networks._recurrent import make_layer, run_layer

# Maximum number of hidden values in a chunk of windows.
_MAX_HIDDEN_VALUES = 2**24
# Scale of the lag parameters: their weights must grow to about 1 in few steps.
_LAG_SCALE = 10.0
# Lower bound of the spread by which windows are divided, for constant windows.
_SMALLEST_SPREAD = 1e-5


def _lstm_step(gates: Tensor, carried: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    i, f, g, o = (gates + carried).chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell)


def _gru_step(gates: Tensor, carried: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    r, z, n = gates.chunk(3, -1)
    r_carried, z_carried, n_carried = carried.chunk(3, -1)
    candidate = torch.tanh(n + torch.sigmoid(r + r_carried) * n_carried)
    return torch.lerp(candidate, state[0], torch.sigmoid(z + z_carried))


def _rnn_step(gates: Tensor, carried: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    return torch.tanh(gates + carried)


# One step of a cell, from the projections of its input and of its hidden state. They
# are broadcast, so that many inputs can continue from one state.
_STEPS: dict[str, Callable[..., Tensor]] = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "rnn": _rnn_step,
}


class SegmentNetwork(nn.Module):
    """Forecasts all steps at once, from a window that is cut into segments.

    Based on SegRNN (Lin et al., 2023): a recurrent layer reads the window segment by
    segment. Then it takes one step for each segment of the forecast, all from the same
    state, with learned embeddings of the position and the target as input. The targets
    pass through the same layers separately, each relative to its last value.
    Differences from the paper: the input of the recurrent layer is divided by the
    spread of the window and its output multiplied by it; a linear path between
    segments, shared by the steps of a segment (after SparseTSF, Lin et al., 2024), is
    added, like the autoregressive part of LSTNet (Lai et al., 2018); other series also
    enter by distributed lags, which are the same for every step of the forecast; and
    the network can be made symmetric.

    Parameters
    ----------
    n_targets : int
        Number of target series.
    n_own : int
        Number of target series in the window, all or none. They come first.
    n_others : int
        Number of other series in the window.
    known : sequence of int
        Indices of the other series that are known in advance.
    window, horizon, segment : int
        Numbers of steps.
    hidden_size : int
        Width of the recurrent layer.
    cell : {"lstm", "gru", "rnn"}
        Kind of the recurrent layer.
    dropout : float
        Share of hidden values set to zero in training.
    symmetric : bool
        Whether the forecast of a mirrored window is the mirrored forecast. In training,
        windows are mirrored at random; in prediction, the forecasts of both are
        averaged. The network then does not learn a trend of the training rows.
    """

    def __init__(
        self,
        n_targets: int,
        n_own: int,
        n_others: int,
        known: Sequence[int],
        window: int,
        horizon: int,
        segment: int,
        *,
        hidden_size: int = 128,
        cell: str = "lstm",
        dropout: float = 0.5,
        symmetric: bool = False,
    ):
        super().__init__()
        self.symmetric = symmetric
        self.n_targets = n_targets
        self.n_own = n_own
        self.horizon = horizon
        self.segment = segment
        self.n_read = window // segment
        self.n_written = math.ceil(horizon / segment)
        width = segment * (bool(n_own) + n_others)
        self.embed = make_linear(width, hidden_size)
        self.recurrent: Any = make_layer(cell, hidden_size, hidden_size)
        self._step = _STEPS[cell]
        n_position = hidden_size // 2
        self.position_embedding = nn.Parameter(torch.empty(self.n_written, n_position))
        self.channel_embedding = nn.Parameter(
            torch.empty(n_targets, hidden_size - n_position)
        )
        self.known = list(known)
        self.ahead: nn.Linear | None = None
        if self.known:
            width = segment * len(self.known)
            self.ahead = make_linear(width, hidden_size)
        self.dropout = Dropout(dropout)
        self.head = make_linear(hidden_size, segment)
        self.linear: Any = None
        self.smooth: Any = None
        if n_own:
            self.linear = nn.Parameter(torch.empty(self.n_written, self.n_read))
            self.smooth = nn.Parameter(torch.empty(1, 1, 2 * (segment // 2) + 1))
        self.lags: Any = None
        self.level: Any = None
        if n_others:
            n_lags = self.n_read * segment
            self.lags = nn.Parameter(torch.empty(n_targets, n_others, n_lags))
            self.level = nn.Parameter(torch.empty(n_targets, 1))

    @torch.no_grad()
    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``; the linear parts start at zero."""
        modules: tuple[Any, ...] = (self.embed, self.head, self.ahead, self.recurrent)
        for module in [m for m in modules if m is not None]:
            # torch's default range: larger weights need more steps of training.
            width = getattr(module, "in_features", None) or module.hidden_size
            bound = width**-0.5
            for weight in module.parameters():
                draws = rng.uniform(-bound, bound, tuple(weight.shape))
                weight.copy_(torch.from_numpy(draws))
        for table in (self.position_embedding, self.channel_embedding):
            table.copy_(torch.from_numpy(rng.normal(size=tuple(table.shape))))
        for weight in (self.linear, self.smooth, self.lags, self.level):
            if weight is not None:
                weight.zero_()

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds of a recurrent step for one window."""
        return self.n_targets * sum(w.numel() for w in self.recurrent.parameters())

    def rows_per_chunk(self, past: Tensor, known: Tensor | None = None) -> int:
        """Return how many windows to pass to the network together."""
        width = self.recurrent.weight_hh_l0.numel() // self.recurrent.hidden_size
        kept = self.n_targets * width * (self.n_read + self.n_written)
        return max(1, _MAX_HIDDEN_VALUES // kept)

    def _read(self, own: Tensor, others: Tensor) -> tuple[Tensor, ...]:
        """Return the state after the window, each part (B * C, hidden).

        ``own`` is (B, C or 0, L), ``others`` (B, E, L).
        """
        B, C = len(others), self.n_targets
        columns = [others.unsqueeze(1).expand(B, C, -1, -1)]
        if self.n_own:
            columns.insert(0, own.unsqueeze(2))
        joined = torch.cat(columns, 2)  # (B, C, own + E, L)
        parts = joined.unflatten(-1, (self.n_read, self.segment)).transpose(2, 3)
        x = F.relu(self.embed(parts.flatten(3).flatten(0, 1)))  # (B * C, n, hidden)
        state = run_layer(self.recurrent, x)[1]
        return tuple(s[0] for s in (state if isinstance(state, tuple) else (state,)))

    def _write(self, state: tuple[Tensor, ...], known: Tensor | None) -> Tensor:
        """Take one step for each segment of the forecast: -> (B, C, m * segment)."""
        layer, C, m = self.recurrent, self.n_targets, self.n_written
        position = self.position_embedding.unsqueeze(1).expand(m, C, -1)
        channel = self.channel_embedding.unsqueeze(0).expand(m, C, -1)
        inputs = torch.cat([position, channel], -1).unsqueeze(0)  # (1, m, C, hidden)
        if self.ahead is not None and known is not None:
            short = self.n_written * self.segment - self.horizon
            filled = F.pad(known, (0, 0, 0, short))  # (B, m * segment, K)
            parts = filled.unflatten(1, (self.n_written, self.segment)).flatten(2)
            inputs = inputs + self.ahead(parts).unsqueeze(2)
        gates = F.linear(inputs, layer.weight_ih_l0, layer.bias_ih_l0)
        carried = F.linear(state[0], layer.weight_hh_l0, layer.bias_hh_l0)
        # (B * C, ...) -> (B, 1, C, ...), to broadcast with the m inputs
        carried = carried.unflatten(0, (-1, C)).unsqueeze(1)
        state = tuple(s.unflatten(0, (-1, C)).unsqueeze(1) for s in state)
        hidden = self._step(gates, carried, state)  # (B, m, C, hidden)
        return self.head(self.dropout(hidden)).transpose(1, 2).flatten(2)

    def _extend(self, own: Tensor) -> Tensor:
        """Apply the linear path between segments: (B, C, n * s) -> (B, C, m * s)."""
        flat = own.flatten(0, 1).unsqueeze(1)
        smooth = F.conv1d(flat, self.smooth, padding=self.segment // 2)
        smooth = (flat + smooth).view_as(own)
        parts = smooth.unflatten(-1, (self.n_read, self.segment))
        return (self.linear @ parts).flatten(2)

    def forward(self, past: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the forecasts.

        ``past`` is (B, window, own + E), ``known`` (B, horizon, K); the result is
        (B, horizon * C, 1), step by step.
        """
        # The last segment ends with the window; remaining steps are the oldest.
        past = past[:, past.shape[1] - self.n_read * self.segment :].transpose(1, 2)
        own, others = past[:, : self.n_own], past[:, self.n_own :]
        if not self.n_own:
            paths = self._write(self._read(own, others), known)[:, :, : self.horizon]
            last = paths.new_zeros(1)
        else:
            last = own[:, :, -1:]
            change = self._change(own - last, others, known)
            paths = last + change[:, :, : self.horizon]
        if self.lags is not None:
            # The effect of other series may replace the last value.
            paths = paths + self._lagged(others, known) + _LAG_SCALE * self.level * last
        # (B, C, horizon) -> (B, horizon * C, 1)
        return paths.transpose(1, 2).flatten(1).unsqueeze(-1)

    def _lagged(self, others: Tensor, known: Tensor | None) -> Tensor:
        """Sum the other series up to each forecast row: (B, E, L) -> (B, C, horizon).

        Unknown future values count as their mean, 0.
        """
        future = others.new_zeros(*others.shape[:2], self.horizon)
        if known is not None:
            future[:, self.known] = known.transpose(1, 2)
        series = torch.cat([others, future], -1)
        return F.conv1d(series, _LAG_SCALE * self.lags)[:, :, 1:]

    def _change(self, own: Tensor, others: Tensor, known: Tensor | None) -> Tensor:
        """Forecast relative to the last value, (B, C, L) -> (B, C, m * segment)."""
        if not self.symmetric:
            return self._forecast_change(own, others, known)
        if not self.training:
            mirrored = self._forecast_change(-own, others, known)
            return (self._forecast_change(own, others, known) - mirrored) / 2
        coins = own.new_empty((*own.shape[:2], 1)).bernoulli_(
            0.5, generator=self.dropout.generator
        )
        sign = 1 - 2 * coins
        return sign * self._forecast_change(sign * own, others, known)

    def _forecast_change(
        self, own: Tensor, others: Tensor, known: Tensor | None
    ) -> Tensor:
        spread = own.square().mean(-1, keepdim=True).add(_SMALLEST_SPREAD).sqrt()
        change = self._write(self._read(own / spread, others), known)
        return change * spread + self._extend(own)
