"""AlexNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._layers import (
    SMALL,
    LayerBuilder,
    LocalResponseNorm,
    sequence,
)
from skdeep.networks._convolutional._weights import initialize_layers
from skdeep.networks._dense import Dropout


class AlexNetBody(Body):
    """AlexNet (Krizhevsky, Sutskever & Hinton, 2012), up to the second dense layer.

    As in the paper: the filters, with two groups in the second, fourth and fifth
    convolution, overlapping pools, local response normalization, and dropout of 0.5 in
    the dense layers. 224 × 224 images are padded by 2, which gives the paper's maps of
    55 × 55.

    Departures: along axes of at most 64, the first kernel has size 5 instead of 11, and
    its stride is 1 (up to 32) or 2. Initial weights are those of He et al. (2015) and
    biases zero, instead of a deviation of 0.01 and some biases of 1.
    """

    min_size = 15
    head_dropout = 0.5

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__(layers, options)
        kernel = [5 if size <= SMALL else 11 for size in layers.sizes]
        stride = [_first_stride(size) for size in layers.sizes]
        self.conv1 = sequence(
            conv=layers.conv(96, kernel, stride=stride, padding=2),
            relu=nn.ReLU(inplace=True),
            norm=LocalResponseNorm(),
            pool=layers.max_pool(3, 2),
        )
        self.conv2 = sequence(
            conv=layers.conv(256, 5, padding=2, groups=2),
            relu=nn.ReLU(inplace=True),
            norm=LocalResponseNorm(),
            pool=layers.max_pool(3, 2),
        )
        self.conv3 = _make_conv(layers, 384)
        self.conv4 = _make_conv(layers, 384, groups=2)
        # Pooling before the ReLU gives the same values at less cost.
        self.conv5 = sequence(
            conv=layers.conv(256, 3, padding=1, groups=2),
            pool=layers.max_pool(3, 2),
            relu=nn.ReLU(inplace=True),
        )
        self.flatten = layers.flatten()
        self.dense = sequence(
            linear1=layers.linear(4096),
            relu1=nn.ReLU(inplace=True),
            dropout1=Dropout(self.head_dropout),
            linear2=layers.linear(4096),
            relu2=nn.ReLU(inplace=True),
        )

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        initialize_layers(self, "he", generator)

    def maps(self) -> dict[str, nn.Module]:
        """Return the convolutions, each with what follows it, such as pooling."""
        names = [f"conv{i}" for i in range(1, 6)]
        return {name: self.get_submodule(name) for name in names}

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the second dense layer, (n, 4096)."""
        x = self.conv2(self.conv1(x))
        x = self.conv5(self.conv4(self.conv3(x)))
        return self.dense(self.flatten(x))


def _first_stride(size: int) -> int:
    if size > SMALL:
        return 4
    return 2 if size > SMALL // 2 else 1


def _make_conv(layers: LayerBuilder, n_filters: int, groups: int = 1) -> nn.Sequential:
    return sequence(
        conv=layers.conv(n_filters, 3, padding=1, groups=groups),
        relu=nn.ReLU(inplace=True),
    )
