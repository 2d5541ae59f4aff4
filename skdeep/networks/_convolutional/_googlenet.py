"""GoogLeNet."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._layers import SMALL, LayerBuilder, sequence
from skdeep.networks._convolutional._weights import initialize_layers


class Widths(NamedTuple):
    """Numbers of filters of an inception module, as in a row of the paper's Table 1."""

    ones: int
    reduce3: int
    threes: int
    reduce5: int
    fives: int
    pool: int


# None: a max pooling.
_STAGES: dict[str, Widths | None] = {
    "inception_3a": Widths(64, 96, 128, 16, 32, 32),
    "inception_3b": Widths(128, 128, 192, 32, 96, 64),
    "pool3": None,
    "inception_4a": Widths(192, 96, 208, 16, 48, 64),
    "inception_4b": Widths(160, 112, 224, 24, 64, 64),
    "inception_4c": Widths(128, 128, 256, 24, 64, 64),
    "inception_4d": Widths(112, 144, 288, 32, 64, 64),
    "inception_4e": Widths(256, 160, 320, 32, 128, 128),
    "pool4": None,
    "inception_5a": Widths(256, 160, 320, 32, 128, 128),
    "inception_5b": Widths(384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Convolutions of sizes 1, 3 and 5 and a pooling, side by side."""

    def __init__(self, layers: LayerBuilder, widths: Widths):
        super().__init__()
        one, three, five, pool = forks = [layers.fork() for _ in range(4)]
        self.branch1 = one.conv_norm_relu(widths.ones, 1)
        self.branch3 = sequence(
            reduce=three.conv_norm_relu(widths.reduce3, 1),
            conv=three.conv_norm_relu(widths.threes, 3),
        )
        self.branch5 = sequence(
            reduce=five.conv_norm_relu(widths.reduce5, 1),
            conv=five.conv_norm_relu(widths.fives, 5),
        )
        self.branch_pool = sequence(
            pool=pool.max_pool(3, 1, 1),
            project=pool.conv_norm_relu(widths.pool, 1),
        )
        layers.join(forks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenated maps of the four branches."""
        branches = [self.branch1, self.branch3, self.branch5, self.branch_pool]
        return torch.cat([branch(x) for branch in branches], dim=1)


class GoogLeNetBody(Body):
    """GoogLeNet (Szegedy et al., 2015), up to the average pooling.

    As in the paper: the stem, nine inception modules with the widths of Table 1,
    average pooling, and dropout of 0.4.

    Departures: there are no auxiliary classifiers. Every convolution is followed by
    batch normalization (Ioffe & Szegedy, 2015) and has no bias; the local response
    normalization of the stem is left out. Along axes of at most 64, the first kernel
    has size 3 instead of 7, its stride is 1, and no pooling follows it.
    """

    head_dropout = 0.4

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__(layers, options)
        small = [size <= SMALL for size in layers.sizes]
        strides = [1 if s else 2 for s in small]
        kernel = [3 if s else 7 for s in small]
        self.conv1 = layers.conv_norm_relu(
            64, kernel, stride=strides, pool=None if all(small) else strides
        )
        self.reduce = layers.conv_norm_relu(64, 1)
        self.conv2 = layers.conv_norm_relu(192, 3, pool=2)
        self.stages = sequence(
            **{
                name: layers.shrink() if widths is None else Inception(layers, widths)
                for name, widths in _STAGES.items()
            }
        )
        self.pool = layers.global_average_pool()

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        initialize_layers(self, "he", generator)

    def maps(self) -> dict[str, nn.Module]:
        """Return the convolutions of the stem and the inception modules."""
        children = dict(self.stages.named_children())
        modules = {
            name: children[name]
            for name, widths in _STAGES.items()
            if widths is not None
        }
        return {"conv1": self.conv1, "conv2": self.conv2, **modules}

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages of the last maps, (n, 1024)."""
        x = self.conv2(self.reduce(self.conv1(x)))
        return self.pool(self.stages(x))
