"""Dense feed-forward networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from skdeep.networks._activations import make_activation
from skdeep.networks._initialization import (
    initialize_embeddings,
    initialize_linear,
    make_embedding,
    make_linear,
)

# Bytes of the widest hidden layer for the rows of one chunk, to fit the cache.
_CACHE_BYTES = 2**20


def embedding_dim(n_codes: int) -> int:
    """Return the width of the embedding of a column of ``n_codes`` codes."""
    return min(50, (n_codes + 1) // 2)


# With fewer values, the overhead of several calls outweighs faster draws.
_FEW_VALUES = 2**16


class RandomLayer(nn.Module):
    """A layer that draws from ``generator``, which training sets."""

    generator: torch.Generator | None = None


class Dropout(RandomLayer):
    """Dropout that draws its masks from ``generator``, which training sets.

    Kept values are scaled by 1 / (1 - p) in training, and values are not changed in
    prediction (Srivastava et al., 2014).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def mask(self, like: Tensor) -> Tensor:
        """Draw the factors, 0 or 1 / (1 - p), in the shape of ``like``."""
        keep = 1.0 - self.p
        factors = torch.empty_like(like)
        n_values = factors.numel()
        if like.device.type != "cpu" or n_values < _FEW_VALUES:
            return factors.bernoulli_(keep, generator=self.generator).div_(keep)
        # Comparing random bits takes a third of the time of ``bernoulli_``, which is
        # a tenth of that of a convolutional network. 16 bits round p to 1 / 65536.
        bits = torch.empty(-(-n_values // 4), dtype=torch.int64)
        bits.random_(-(2**63), None, generator=self.generator)
        threshold = min(round(self.p * 2**16), 2**16 - 1) - 2**15
        is_kept = bits.view(torch.int16)[:n_values] >= threshold
        # In the order of the memory, which need not be that of the axes.
        factors.as_strided((n_values,), (1,)).copy_(is_kept)
        return factors.div_(keep)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * self.mask(x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DenseNetwork(nn.Module):
    """Linear layers with activations between them.

    All layers and activations are torch modules, and the forward pass calls each of
    them once, so that tools for modules work as with an ``nn.Sequential``. The
    exception is ``maxout``, which torch does not have.

    Parameters
    ----------
    n_inputs : int
        Number of numeric inputs.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers; empty for a linear model.
    n_outputs : int
        Number of raw scores.
    activation : str, default="relu"
        A name in ``ACTIVATIONS``.
    maxout_pieces : int, default=2
        Number of linear pieces of each maxout unit.
    dropout : float, default=0.0
        Share of hidden values set to zero in training.
    batch_norm : bool, default=False
        Whether to normalize hidden layers over the batch, before the activation.
    n_codes : sequence of int, default=()
        Number of codes of each categorical column. The embeddings of the codes are
        concatenated with the numeric inputs.
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
        #: The activation with its hand-written derivative; not a module.
        self.activation = make_activation(activation, maxout_pieces)
        n_joined = n_inputs + sum(embedding_dim(n) for n in n_codes)
        sizes = [n_joined, *hidden_layer_sizes]
        pieces = self.activation.pieces
        hidden = [make_linear(i, o * pieces) for i, o in pairwise(sizes)]
        self.embeddings = nn.ModuleList(
            make_embedding(n, embedding_dim(n)) for n in n_codes
        )
        self.layers = nn.ModuleList([*hidden, make_linear(sizes[-1], n_outputs)])
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(layer.out_features) for layer in hidden if batch_norm
        )
        # One module for each layer, because tools store values in the modules.
        self.activations = nn.ModuleList(self.activation.make_module() for _ in hidden)
        self.dropout = Dropout(dropout)

    def initialize(self, method: str, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``: layers first to last, then embeddings."""
        initialize_linear(self.layers, method, self.activation_name, rng)
        if len(self.embeddings):
            initialize_embeddings(self.embeddings, rng)

    @property
    def is_plain(self) -> bool:
        """Whether there is no batch normalization and no embedding."""
        return len(self.norms) == 0 and len(self.embeddings) == 0

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds for a row."""
        return sum(p.numel() for p in self._layer_parameters() if p.ndim == 2)

    def _layer_parameters(self) -> list[Tensor]:
        # ``parameters()`` also looks for repeated ones, which takes as long as to
        # predict a few rows.
        layers = self.layers.modules()
        parameters = [p for layer in layers for p in layer._parameters.values()]
        return [p for p in parameters if p is not None]

    def rows_per_chunk(self, x: Tensor, codes: Tensor | None = None) -> int:
        """Return for how many rows the hidden values fit the cache."""
        widths = [parameter.shape[0] for parameter in self._layer_parameters()]
        n_bytes = max([x.shape[1], *widths]) * x.element_size()
        return max(1, _CACHE_BYTES // n_bytes)

    def make_scorer(self, n_rows: int) -> Callable[..., Tensor]:
        """Return a function that computes the raw scores of up to ``n_rows`` rows.

        The function returns the same as the network in evaluation mode, without a
        gradient. It may be called until the network is changed. For a plain network
        without hooks it allocates memory for the hidden values once, because allocating
        in every call takes as long as the arithmetic. For other networks it is the
        network itself.
        """
        parameters = self.plain_parameters()
        if parameters is None:
            return self
        *hidden, (last_weight, last_bias) = parameters
        buffers = [weight.new_empty(n_rows, len(weight)) for weight, _ in hidden]

        def score(x: Tensor) -> Tensor:
            for (weight, bias), buffer in zip(hidden, buffers, strict=True):
                z = torch.addmm(bias, x, weight.t(), out=buffer[: len(x)])
                x = self.activation.activate(z)
            return torch.addmm(last_bias, x, last_weight.t())

        return score

    def plain_parameters(self) -> list[tuple[Tensor, Tensor]] | None:
        """Return the weight and the bias of each layer, or None.

        The result is None if the forward pass does more than apply them and the
        activation: if a subclass has overridden it, if it calls hooks, draws dropout or
        calls a module that a user has replaced.
        """
        modules = [self, self.dropout, *self.layers]
        parameters: list[tuple[Tensor, Tensor]] = [
            (layer.weight, layer.bias)
            for layer in cast(Iterable, self.layers)
            if type(layer) is nn.Linear
        ]
        suffices = (
            self.is_plain
            and type(self).forward is DenseNetwork.forward
            and type(self.dropout) is Dropout
            and len(parameters) == len(self.layers)
            # Neither None nor a subclass of Tensor.
            and all(type(p) is nn.Parameter for pair in parameters for p in pair)
            and all(map(self.activation.equals, self.activations))
            and not any(module.training or _is_altered(module) for module in modules)
            and not (_global_forward_hooks or _global_forward_pre_hooks)
        )
        return parameters if suffices else None

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """Return raw scores.

        ``x`` is (n_samples, n_inputs), ``codes`` (n_samples, n_categorical) integers;
        the result is (n_samples, n_outputs).
        """
        if codes is not None:
            tables = [e(codes[:, j]) for j, e in enumerate(self.embeddings)]
            x = torch.cat([x, *tables], dim=1)
        # Without nn.Module.__getattr__ the prediction of one row takes 5 % less time.
        modules: dict[str, Any] = self._modules
        *hidden, last = modules["layers"]
        norms = list(modules["norms"]) or [None] * len(hidden)
        dropout = modules["dropout"]
        drops = getattr(dropout, "p", None) != 0
        for layer, norm, activation in zip(
            hidden, norms, modules["activations"], strict=True
        ):
            x = layer(x)
            if norm is not None:
                x = norm(x)
            x = activation(x)
            if drops:
                x = dropout(x)
        return last(x)


def _is_altered(module: nn.Module) -> bool:
    """Return whether a call of the module runs more than the forward of its class."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    )
