"""What the architectures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skdeep.networks._convolutional._layers import LayerBuilder, PerAxis


@dataclass(frozen=True)
class Options:
    """Options of all architectures; each uses those that concern it."""

    depth: int
    filters: Sequence[int]
    kernel_size: PerAxis
    pool_size: PerAxis
    hidden_layer_sizes: Sequence[int]
    activation: str
    dropout: float
    batch_norm: bool


class Body(nn.Module, ABC):
    """All layers below the last linear one: (n, channels, *sizes) -> (n, n_hidden).

    A subclass is constructed with a ``LayerBuilder`` for the shape of the input, which
    afterwards has the shape of the output, and ``Options``.
    """

    #: Smallest size of an axis.
    min_size = 1
    #: Share of outputs set to zero in training.
    head_dropout = 0.0

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__()

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""

    @abstractmethod
    def maps(self) -> dict[str, nn.Module]:
        """Return the layers whose outputs are feature maps, in order."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden values."""
