"""Residual networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._layers import SMALL, LayerBuilder, sequence
from skdeep.networks._convolutional._weights import initialize_layers

# Depth: blocks of each stage. The first stage of the networks for small images has 16
# filters, that of the others 64; each further stage has twice as many.
_SMALL_NETWORKS = {d: [(d - 2) // 6] * 3 for d in (8, 14, 20, 32, 44, 56, 110)}
_LARGE_NETWORKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}
RESNET_DEPTHS = sorted([*_SMALL_NETWORKS, *_LARGE_NETWORKS])


class PaddedShortcut(nn.Module):
    """A shortcut without parameters: every second value, and channels of zeros."""

    def __init__(self, n_new: int):
        super().__init__()
        self.n_new = n_new

    def forward(self, x: Tensor) -> Tensor:
        """Shrink x, (n, channels, *sizes), and add channels."""
        every_second = (slice(None, None, 2),) * (x.ndim - 2)
        # F.pad begins with the last axis.
        around = [0, 0] * (x.ndim - 2) + [0, self.n_new]
        return F.pad(x[:, :, *every_second], around)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"n_new={self.n_new}"


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to the input."""

    def __init__(
        self, layers: LayerBuilder, n_filters: int, stride: int, projects: bool
    ):
        super().__init__()
        side, n_new = layers.fork(), n_filters - layers.channels
        self.conv1 = layers.conv_norm_relu(n_filters, 3, stride=stride)
        self.conv2 = layers.conv(n_filters, 3, padding=1, bias=False)
        self.norm2 = layers.norm()
        self.shortcut: nn.Module | None = None
        if n_new and projects:
            self.shortcut = sequence(
                conv=side.conv(n_filters, 1, stride=stride, bias=False),
                norm=side.norm(),
            )
            layers.work += side.work
        elif n_new:
            self.shortcut = PaddedShortcut(n_new)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of x."""
        change = self.norm2(self.conv2(self.conv1(x)))
        change += x if self.shortcut is None else self.shortcut(x)
        return change.relu_()


class ResNetBody(Body):
    """Residual networks of basic blocks (He, Zhang, Ren & Sun, 2016).

    Depths 8 to 56 and 110 (6 n + 2) are the paper's networks for CIFAR-10, with 16, 32
    and 64 filters and shortcuts without parameters (its option A). Depths 18 and 34
    are those for ImageNet, with 64 to 512 filters and projections where the shape
    changes (option B).

    Departure: at every depth, the stem depends on the axis. Along axes of at most 64,
    the first kernel has size 3 and stride 1. Along longer axes it has size 7 and
    stride 2 and a pooling of stride 2 follows.
    """

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__(layers, options)
        depth = options.depth
        if depth not in RESNET_DEPTHS:
            raise ValueError(
                f"depth={depth!r} is not available for architecture='resnet'. Use one "
                f"of {', '.join(map(str, RESNET_DEPTHS))}."
            )
        is_large = depth in _LARGE_NETWORKS
        n_filters = 64 if is_large else 16
        self.stem = _make_stem(layers, n_filters)
        self.blocks = nn.Sequential()
        for i, n_blocks in enumerate((_LARGE_NETWORKS | _SMALL_NETWORKS)[depth]):
            for j in range(n_blocks):
                stride = 2 if i > 0 and j == 0 else 1
                block = ResidualBlock(layers, n_filters * 2**i, stride, is_large)
                self.blocks.add_module(f"block{len(self.blocks) + 1}", block)
        self.pool = layers.global_average_pool()

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        initialize_layers(self, "he_fan_out", generator, normal=True)

    def maps(self) -> dict[str, nn.Module]:
        """Return the stem and the blocks."""
        return {"conv1": self.stem, **dict(self.blocks.named_children())}

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages of the last maps, (n, 64) or (n, 512)."""
        return self.pool(self.blocks(self.stem(x)))


def _make_stem(layers: LayerBuilder, n_filters: int) -> nn.Sequential:
    small = [size <= SMALL for size in layers.sizes]
    strides = [1 if s else 2 for s in small]
    kernel = [3 if s else 7 for s in small]
    pool = None if all(small) else strides
    return layers.conv_norm_relu(n_filters, kernel, stride=strides, pool=pool)
