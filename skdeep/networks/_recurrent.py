"""Recurrent networks: LSTM, GRU and plain RNN."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._dense import Dropout
from skdeep.networks._initialization import (
    initialize_embeddings,
    initialize_linear,
    initialize_recurrent,
    make_embedding,
    make_linear,
)

# Maximum number of hidden values, over all steps, in a chunk of sequences.
_MAX_HIDDEN_VALUES = 2**23

CELLS: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def make_layer(cell: str, n_inputs: int, hidden_size: int) -> nn.RNNBase:
    """Return a recurrent layer of one direction without drawing its weights."""
    # On the meta device, the constructor does not draw from the global generator.
    make: Any = CELLS[cell]
    layer: nn.RNNBase = make(n_inputs, hidden_size, batch_first=True, device="meta")
    # `to_empty` would import a part of torch's compiler, which takes a second.
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(torch.empty(parameter.shape, device="cpu")))
    return layer


@functools.cache
def _can_autocast_lstm(dtype: torch.dtype) -> bool:
    """Return whether torch computes an LSTM under autocast to this type on this CPU."""
    layer = make_layer("lstm", 1, 1)
    try:
        with torch.autocast("cpu", dtype):
            layer(torch.zeros(1, 1, 1, device="cpu"))
    except RuntimeError:
        return False
    return True


def run_layer(layer: Any, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """Call a recurrent layer, perhaps under autocast.

    On CPUs without instructions for half precision, some versions of torch raise an
    error for an LSTM under autocast. It then keeps the precision of its weights.
    """
    if (
        isinstance(layer, nn.LSTM)
        and x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and not _can_autocast_lstm(torch.get_autocast_dtype("cpu"))
    ):
        dtype = next(layer.parameters()).dtype
        before = None if state is None else tuple(part.to(dtype) for part in state)
        with torch.autocast("cpu", enabled=False):
            return layer(x.to(dtype), before)
    return layer(x, state)


def _detached(state):
    """Detach a state from the graph; the state of an LSTM is a tuple."""
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


def _unroll(layer: Any, x: Tensor, truncation: int | None) -> Tensor:
    """Read sequences step by step: (n, T, n_inputs) -> (n, T, hidden_size).

    ``truncation`` is the number of steps after which the gradient is cut, counted from
    the end of the sequence.
    """
    n_steps = x.shape[1]
    if truncation is None or truncation >= n_steps or not torch.is_grad_enabled():
        return run_layer(layer, x)[0]
    first = n_steps % truncation or truncation
    sizes = [first, *[truncation] * ((n_steps - first) // truncation)]
    outputs, state = [], None
    for part in x.split(sizes, dim=1):
        output, state = run_layer(layer, part, state)
        state = _detached(state)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


def _reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each sequence; the padding stays at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths[:, None] - 1
    source = torch.where(steps <= last, last - steps, steps)  # (n, T)
    return x.gather(1, source[:, :, None].expand_as(x))


def _last_step(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the output at the last step of each sequence: (n, T, h) -> (n, h)."""
    if lengths is None:
        return outputs[:, -1]
    return outputs[torch.arange(len(outputs), device=outputs.device), lengths - 1]


def read_layers(
    forwards: Any,
    backwards: Any,
    dropout: Dropout,
    x: Tensor,
    lengths: Tensor | None,
    truncation: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Read sequences with stacked layers, in one direction or in both.

    Parameters
    ----------
    forwards, backwards : nn.ModuleList
        The layers from the first to the last; ``backwards`` is empty if all layers read
        forwards.
    dropout : Dropout
        Applied between layers.
    x : Tensor of shape (n_samples, n_steps, n_inputs)
        The sequences.
    lengths : Tensor of shape (n_samples,), or None
        Number of steps before the padding.
    truncation : int or None, default=None
        Number of steps of backpropagation through time.

    Returns
    -------
    outputs : Tensor of shape (n_samples, n_steps, width)
        Outputs of the last layer; those of padding are undefined.
    ends : Tensor of shape (n_samples, width)
        Its outputs at the end of each sequence, which is the first step for layers
        that read backwards.
    """
    for i, forward in enumerate(forwards):
        x = x if i == 0 else dropout(x)
        outputs = _unroll(forward, x, truncation)
        ends = _last_step(outputs, lengths)
        if len(backwards):
            other = _unroll(backwards[i], _reverse(x, lengths), truncation)
            ends = torch.cat([ends, _last_step(other, lengths)], dim=-1)
            outputs = torch.cat([outputs, _reverse(other, lengths)], dim=-1)
        x = outputs
    return x, ends


class RecurrentNetwork(nn.Module):
    """Stacked recurrent layers, followed by a linear layer.

    Parameters
    ----------
    n_inputs : int
        Number of inputs of a step; ignored if there is an embedding.
    hidden_size : int
        Width of each layer, in each direction.
    n_outputs : int
        Number of raw scores of a sequence, or of each step.
    cell : {"lstm", "gru", "rnn"}
        Kind of the recurrent layers.
    num_layers : int
        Number of layers.
    bidirectional : bool
        Whether additional layers read from the end to the beginning.
    dropout : float
        Share of values set to zero in training, between layers, before the linear
        layer and after the embedding.
    truncation : int or None
        Number of steps of backpropagation through time.
    return_sequences : bool
        Whether to return raw scores for each step.
    embedding : tuple of int or None
        Number of tokens and width of their embedding if the inputs are token ids.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_size: int,
        n_outputs: int,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        truncation: int | None = None,
        return_sequences: bool = False,
        embedding: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.truncation = truncation
        self.return_sequences = return_sequences
        self.embedding = None
        if embedding is not None:
            self.embedding = make_embedding(*embedding)
            n_inputs = embedding[1]
        n_directions = 2 if bidirectional else 1
        widths = [n_inputs, *[hidden_size * n_directions] * (num_layers - 1)]
        self.forwards = nn.ModuleList(make_layer(cell, n, hidden_size) for n in widths)
        self.backwards = nn.ModuleList(
            make_layer(cell, n, hidden_size) for n in widths if bidirectional
        )
        self.dropout = Dropout(dropout)
        self.head = make_linear(hidden_size * n_directions, n_outputs)

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        initialize_recurrent([*self.forwards, *self.backwards], rng)
        initialize_linear([self.head], "glorot_uniform", "tanh", rng)
        initialize_embeddings([] if self.embedding is None else [self.embedding], rng)

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds of a step: threads synchronize after each step."""
        layers = [*self.forwards, *self.backwards]
        return max(sum(w.numel() for w in layer.parameters()) for layer in layers)

    def rows_per_chunk(self, x: Tensor, lengths: Tensor | None = None) -> int:
        """Return how many sequences of this length to pass to the network together."""
        kept = x.shape[1] * self.head.in_features
        return max(1, _MAX_HIDDEN_VALUES // kept)

    def _read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the outputs of the last layer at every step and at the end.

        ``x`` is (n, T, n_inputs); the results are (n, T, width) and (n, width). In the
        backward direction, the end is the first step.
        """
        return read_layers(
            self.forwards, self.backwards, self.dropout, x, lengths, self.truncation
        )

    def _inputs(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Cut off steps that are padding in all sequences, and embed tokens."""
        x = x.unsqueeze(-1) if x.ndim == 2 else x
        if lengths is not None:
            x = x[:, : int(lengths.max())]
        if self.embedding is None:
            return x
        return self.dropout(self.embedding(x[:, :, 0]))

    def states(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the hidden state at the end of each sequence, (n, width)."""
        return self._read(self._inputs(x, lengths), lengths)[1]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return raw scores.

        ``x`` has numbers or token ids, (n, T, n_inputs), or (n, T) with one input per
        step. ``lengths`` is (n,), or None if all lengths are T. The result is
        (n, n_outputs), or (n, T, n_outputs) for each step, with zeros after the end of
        a sequence.
        """
        n_steps = x.shape[1]
        outputs, ends = self._read(self._inputs(x, lengths), lengths)
        if not self.return_sequences:
            return self.head(self.dropout(ends))
        raw = self.head(self.dropout(outputs))
        if lengths is None:
            return raw
        steps = torch.arange(raw.shape[1], device=raw.device)
        raw = raw * (steps < lengths[:, None])[:, :, None]
        # (n, longest, n_outputs) -> (n, T, n_outputs)
        return nn.functional.pad(raw, (0, 0, 0, n_steps - raw.shape[1]))
