"""A recurrent network that predicts the next token at every step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skdeep.networks._dense import Dropout
from skdeep.networks._initialization import (
    initialize_linear,
    initialize_recurrent,
    make_embedding,
    make_linear,
)
from skdeep.networks._recurrent import make_layer, run_layer


class LanguageNetwork(nn.Module):
    """An embedding, stacked recurrent layers and scores of the next token.

    The state of all layers is one tensor, (n, num_layers, n_parts, hidden_size). An
    LSTM has two parts, the output and the cell; the other cells have one.

    Parameters
    ----------
    n_tokens : int
        Number of tokens; their ids are 0 to ``n_tokens - 1``.
    hidden_size : int
        Width of each layer.
    cell : {"lstm", "gru", "rnn"}
        Kind of the recurrent layers.
    num_layers : int
        Number of layers.
    dropout : float
        Share of values set to zero in training: of embedded tokens, between layers and
        before the scores.
    embedding_dim : int
        Length of the vector of a token.
    tie_weights : bool
        Whether the scores are products with the vectors of the embedding. If
        ``embedding_dim`` is not ``hidden_size``, a linear layer comes before them.
    """

    def __init__(
        self,
        n_tokens: int,
        hidden_size: int,
        *,
        cell: str,
        num_layers: int,
        dropout: float,
        embedding_dim: int,
        tie_weights: bool,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.n_parts = 2 if cell == "lstm" else 1
        self.embedding = make_embedding(n_tokens, embedding_dim)
        widths = [embedding_dim, *[hidden_size] * (num_layers - 1)]
        self.layers = nn.ModuleList(make_layer(cell, n, hidden_size) for n in widths)
        self.dropout = Dropout(dropout)
        self.projection = self.head = None
        if not tie_weights:
            self.head = make_linear(hidden_size, n_tokens)
            return
        # The matrix is not a second parameter under another name, which would be
        # saved twice and no longer be shared after loading.
        self.bias = nn.Parameter(torch.empty(n_tokens))
        if embedding_dim != hidden_size:
            self.projection = make_linear(hidden_size, embedding_dim)

    @torch.no_grad()
    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        initialize_recurrent(self.layers, rng)
        others = [x for x in (self.projection, self.head) if x is not None]
        initialize_linear(others, "glorot_uniform", "tanh", rng)
        table = self.embedding.weight
        draws = rng.normal(0.0, 1 / math.sqrt(table.shape[1]), tuple(table.shape))
        # The unknown token has no effect if it does not occur in training.
        draws[0] = 0.0
        table.copy_(torch.from_numpy(draws))
        if self.head is None:
            self.bias.zero_()

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds of a step: threads synchronize after each step."""
        layers: Any = self.layers
        return max(sum(w.numel() for w in layer.parameters()) for layer in layers)

    @property
    def values_per_step(self) -> int:
        """Number of values of the largest tensor for a step of a row."""
        return max(self.embedding.num_embeddings, 4 * self.hidden_size)

    def new_state(self, n_rows: int) -> Tensor:
        """Return the state before the first token, all zeros."""
        shape = (n_rows, len(self.layers), self.n_parts, self.hidden_size)
        return self.embedding.weight.new_zeros(shape)

    def read(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read tokens.

        Parameters
        ----------
        ids : Tensor of shape (n, T)
            Ids of the tokens.
        state : Tensor of shape (n, num_layers, n_parts, hidden_size), optional
            The state after the tokens before them; zeros by default.

        Returns
        -------
        outputs : Tensor of shape (n, T, hidden_size)
            Output of the last layer after each token.
        state : Tensor of shape (n, num_layers, n_parts, hidden_size)
            The state after the last token.
        """
        state = self.new_state(len(ids)) if state is None else state
        x = self.embedding(ids)
        ends = []
        for i, layer in enumerate(self.layers):
            # (n, n_parts, hidden_size) -> n_parts tensors (1, n, hidden_size)
            parts = [part.contiguous()[None] for part in state[:, i].unbind(1)]
            before = tuple(parts) if len(parts) == 2 else parts[0]
            x, after = run_layer(layer, self.dropout(x), before)
            ends.append(torch.cat(after) if len(parts) == 2 else after)
        # num_layers tensors (n_parts, n, hidden_size) -> the layout of ``state``
        return x, torch.stack(ends).permute(2, 0, 1, 3)

    def scores(self, outputs: Tensor) -> Tensor:
        """Return raw scores of the next token, (..., n_tokens), from outputs."""
        outputs = self.dropout(outputs)
        if self.head is not None:
            return self.head(outputs)
        if self.projection is not None:
            outputs = self.projection(outputs)
        return functional.linear(outputs, self.embedding.weight, self.bias)

    def forward(
        self, ids: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return raw scores of the next tokens, (n, T, n_tokens), and the new state.

        ``ids`` and ``state`` are those of ``read``.
        """
        outputs, state = self.read(ids, state)
        return self.scores(outputs), state
