"""The parts of autoencoders that read and write sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skdeep.networks._dense import Dropout
from skdeep.networks._initialization import make_linear
from skdeep.networks._recurrent import make_layer, read_layers, run_layer


class SequenceReader(nn.Module):
    """Makes a vector of a sequence with recurrent layers that read it in both ways.

    Parameters
    ----------
    n_features : int
        Number of numbers of a step.
    hidden_size : int
        Width of the layer of each direction.
    cell : {"lstm", "gru", "rnn"}
        Kind of the layers.
    corruption : Corruption
        Changes the sequences in training.
    """

    def __init__(self, n_features: int, hidden_size: int, cell: str, corruption: Any):
        super().__init__()
        self.corruption = corruption
        self.forwards = nn.ModuleList([make_layer(cell, n_features, hidden_size)])
        self.backwards = nn.ModuleList([make_layer(cell, n_features, hidden_size)])
        self.dropout = Dropout(0.0)  # there is a single layer
        self.n_outputs = 2 * hidden_size

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the vectors: (n_samples, n_steps, n_features) -> (n_samples, n)."""
        x = self.corruption(x)
        hidden = self.corruption.hidden(x)
        if hidden is not None:
            x = x.masked_fill(hidden, 0.0)
        if lengths is not None:
            x = x[:, : int(lengths.max())]
        layers = self.forwards, self.backwards
        return read_layers(*layers, self.dropout, x, lengths)[1]


class SequenceWriter(nn.Module):
    """Makes a sequence of a vector with recurrent layers that write it in both ways.

    The vector is the first state of the layers and their input at each step.

    Parameters
    ----------
    n_features : int
        Number of numbers of a step.
    n_steps : int
        Number of steps that are written by default.
    has_length : bool
        Whether the sequence has a length, which a linear layer reads off the vector.
    hidden_size : int
        Width of the layer of each direction.
    cell : {"lstm", "gru", "rnn"}
        Kind of the layers.
    """

    def __init__(
        self,
        n_features: int,
        n_steps: int,
        has_length: bool,
        hidden_size: int,
        cell: str,
    ):
        super().__init__()
        self.n_steps = n_steps
        self.is_lstm = cell == "lstm"
        self.forwards = make_layer(cell, hidden_size, hidden_size)
        self.backwards = make_layer(cell, hidden_size, hidden_size)
        self.head = make_linear(2 * hidden_size, n_features)
        self.length = make_linear(hidden_size, 1) if has_length else None

    def forward(self, vector: Tensor, n_steps: int) -> Tensor:
        """Return numbers, and the length at each step, (n_samples, n_steps, n)."""
        x = vector.unsqueeze(1).expand(-1, n_steps, -1)
        state: Any = torch.tanh(vector).unsqueeze(0)
        if self.is_lstm:
            state = (state, vector.unsqueeze(0).contiguous())
        forwards, _ = run_layer(self.forwards, x, state)
        backwards, _ = run_layer(self.backwards, x, state)
        raw = self.head(torch.cat([forwards, backwards.flip(1)], -1))
        if self.length is None:
            return raw
        length = self.length(vector).unsqueeze(1).expand(-1, n_steps, -1)
        return torch.cat([raw, length], -1)
