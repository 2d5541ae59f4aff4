"""Dense feed-forward networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._activations import Maxout, make_activation
from skdeep.networks._initialization import (
    Embedding,
    Linear,
    initialize_embeddings,
    initialize_linear,
)


def embedding_dim(n_codes: int) -> int:
    """Return the width of the embedding of a column of ``n_codes`` codes."""
    return min(50, (n_codes + 1) // 2)


class Dropout(nn.Module):
    """Dropout whose masks come from a generator of its own, never the global one.

    ``generator`` is set by whoever trains the network. Kept values are scaled by
    1 / (1 - p), so that nothing changes in prediction (Srivastava et al., 2014).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def mask(self, like: Tensor) -> Tensor:
        """Draw the factors, 0 or 1 / (1 - p), for a tensor shaped as ``like``."""
        keep = 1.0 - self.p
        return (
            torch.empty_like(like).bernoulli_(keep, generator=self.generator).div_(keep)
        )

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * self.mask(x)


class DenseNetwork(nn.Module):
    """Layers of weights with an activation between them.

    Parameters
    ----------
    n_inputs : int
        Number of numeric inputs.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers; none makes a linear model.
    n_outputs : int
        Number of raw scores.
    activation : str, default="relu"
        A name in ``ACTIVATIONS``.
    maxout_pieces : int, default=2
        Number of linear pieces of each maxout unit.
    dropout : float, default=0.0
        Share of hidden values set to zero in training.
    batch_norm : bool, default=False
        Whether to normalise hidden layers over the batch, before the activation.
    n_codes : sequence of int, default=()
        Number of codes of each categorical column; each is embedded and joined to
        the numeric inputs.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str = "relu",
        maxout_pieces: int = 2,
        dropout: float = 0.0,
        batch_norm: bool = False,
        n_codes: Sequence[int] = (),
    ):
        super().__init__()
        self.activation_name = activation
        self.activation = make_activation(activation, maxout_pieces)
        pieces = maxout_pieces if isinstance(self.activation, Maxout) else 1
        self.embeddings = nn.ModuleList(Embedding(n, embedding_dim(n)) for n in n_codes)
        n_joined = n_inputs + sum(embedding_dim(n) for n in n_codes)
        sizes = [n_joined, *hidden_layer_sizes]
        layers = [Linear(i, o * pieces) for i, o in pairwise(sizes)]
        self.layers = nn.ModuleList([*layers, Linear(sizes[-1], n_outputs)])
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(layer.out_features) for layer in layers if batch_norm
        )
        self.dropout = Dropout(dropout)

    def initialize(self, method: str, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``: layers first to last, then embeddings."""
        initialize_linear(self.layers, method, self.activation_name, rng)
        initialize_embeddings(self.embeddings, rng)

    @property
    def is_plain(self) -> bool:
        """Whether there are only layers, activations and dropout."""
        return len(self.norms) == 0 and len(self.embeddings) == 0

    @property
    def work_per_row(self) -> int:
        """Multiply-adds that a row takes."""
        return sum(layer.weight.numel() for layer in cast(Iterable, self.layers))

    def make_scorer(self, n_rows: int) -> Callable[..., Tensor]:
        """Return what gives raw scores as ``forward`` does, not for training.

        For plain networks it works in memory of its own for up to ``n_rows`` rows at a
        time; asking for memory again and again costs as much as the arithmetic.
        """
        if not self.is_plain:
            return self
        *hidden, last = cast(Iterable[nn.Linear], self.layers)
        rooms = [layer.weight.new_empty(n_rows, layer.out_features) for layer in hidden]

        def score(x: Tensor) -> Tensor:
            for layer, room in zip(hidden, rooms, strict=True):
                z = torch.addmm(layer.bias, x, layer.weight.t(), out=room[: len(x)])
                x = self.activation.activate(z)
            return torch.addmm(last.bias, x, last.weight.t())

        return score

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """Return raw scores.

        ``x`` is (n_samples, n_inputs), ``codes`` (n_samples, n_categorical) integers;
        the result is (n_samples, n_outputs).
        """
        if codes is not None:
            tables = [e(codes[:, j]) for j, e in enumerate(self.embeddings)]
            x = torch.cat([x, *tables], dim=1)
        *hidden, last = cast(Iterable[nn.Linear], self.layers)
        norms: list[Any] = list(self.norms) or [None] * len(hidden)
        for layer, norm in zip(hidden, norms, strict=True):
            # Calling modules would cost a prediction of one row half its time.
            x = F.linear(x, layer.weight, layer.bias)
            if norm is not None:
                x = norm(x)
            x = self.activation.forward(x)
            if self.training and self.dropout.p:
                x = self.dropout(x)
        return F.linear(x, last.weight, last.bias)
