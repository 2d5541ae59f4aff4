"""Layers for inputs with one to three axes, made for the shape that reaches them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._initialization import make_linear

# The longest axis that counts as small: a stem does not shrink it.
SMALL = 64

_CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
# Subclasses whose constructors do not draw weights from torch's global generator.
_EMPTY_CONVOLUTIONS: dict[int, Any] = {
    n_axes: type("_Empty", (layer_type,), {"reset_parameters": lambda layer: None})
    for n_axes, layer_type in _CONVOLUTIONS.items()
}
_NORMS: dict[int, Any] = {
    0: nn.BatchNorm1d,
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}
_MAX_POOLS: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE_POOLS: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_PADS: dict[int, Any] = {
    1: nn.ConstantPad1d,
    2: nn.ConstantPad2d,
    3: nn.ConstantPad3d,
}

#: An integer for all axes, or one integer for each.
PerAxis = int | Sequence[int]


def sequence(**layers: nn.Module | None) -> nn.Sequential:
    """Return an ``nn.Sequential`` of the named layers that are not None."""
    sequential = nn.Sequential()
    for name, layer in layers.items():
        if layer is not None:
            sequential.add_module(name, layer)
    return sequential


class GlobalAveragePool(nn.Module):
    """The mean of each feature map: (n, channels, *sizes) -> (n, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the means."""
        return x.mean(dim=tuple(range(2, x.ndim)))


class LocalResponseNorm(nn.Module):
    """Normalization by adjacent channels (Krizhevsky et al., 2012, section 3.3).

    Each value is divided by (2 + 1e-4 s)^0.75, where s is the sum of squares at the
    same position over five channels: its own and two on each side. ``nn``'s own module
    computes the same, but with a pooling that is slow on a CPU.
    """

    k, alpha, reach = 2.0, 1e-4, 2

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, (n, channels, *sizes)."""
        n_channels = x.shape[1]
        # Pads the channels: F.pad begins with the last axis.
        around = [0, 0] * (x.ndim - 2) + [self.reach, self.reach]
        squares = F.pad(x.square(), around)
        total = squares[:, :n_channels]
        for shift in range(1, 2 * self.reach + 1):
            total = total + squares[:, shift : shift + n_channels]
        root = (self.k + self.alpha * total).rsqrt()
        return x * root * root.sqrt()  # y^-0.75 without the slow pow


class LayerBuilder:
    """Makes layers one after the other and follows the shape of their outputs.

    The weights of the layers are undefined; no layer draws from torch's global
    generator.

    Parameters
    ----------
    shape : tuple of int
        Number of channels, then one to three sizes.

    Attributes
    ----------
    channels : int
        Number of channels that the next layer gets.
    sizes : tuple of int
        Sizes that the next layer gets; empty after flattening.
    work : int
        Number of multiply-adds of the layers made so far, for a row.
    """

    def __init__(self, shape: Sequence[int]):
        self.channels = shape[0]
        self.sizes = tuple(shape[1:])
        self.work = 0

    def spread(self, value: PerAxis) -> tuple[int, ...]:
        """Return one integer for each axis."""
        if isinstance(value, int):
            return (value,) * len(self.sizes)
        return tuple(value)

    def _slide(self, kernel, stride, padding):
        """Set the sizes that are left after a kernel has moved over the input."""
        self.sizes = tuple(
            (size + 2 * p - k) // s + 1
            for size, k, s, p in zip(self.sizes, kernel, stride, padding, strict=True)
        )

    def count(self, n_weights: int) -> None:
        """Count the work of a layer that uses each weight once for each output."""
        self.work += n_weights * math.prod(self.sizes)

    def conv(
        self,
        n_filters: int,
        kernel: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> nn.Module:
        """Return a convolution."""
        settings = [self.spread(value) for value in (kernel, stride, padding)]
        layer: nn.Module = _EMPTY_CONVOLUTIONS[len(self.sizes)](
            self.channels, n_filters, *settings, groups=groups, bias=bias
        )
        # Tools find layers by their exact type.
        layer.__class__ = _CONVOLUTIONS[len(self.sizes)]
        self._slide(*settings)
        self.channels = n_filters
        self.count(layer.get_parameter("weight").numel())
        return layer

    def norm(self) -> nn.Module:
        """Return a batch normalization."""
        return _NORMS[len(self.sizes)](self.channels)

    def pad(self, before: PerAxis, after: PerAxis) -> nn.Module:
        """Return a layer that adds zeros before and after each axis."""
        pairs = list(zip(self.spread(before), self.spread(after), strict=True))
        self.sizes = tuple(
            size + sum(pair) for size, pair in zip(self.sizes, pairs, strict=True)
        )
        # torch begins with the last axis.
        flat = tuple(n for pair in reversed(pairs) for n in pair)
        return _PADS[len(self.sizes)](flat, 0.0)

    def max_pool(
        self, kernel: PerAxis, stride: PerAxis, padding: PerAxis = 0
    ) -> nn.Module:
        """Return a max pooling."""
        settings = [self.spread(value) for value in (kernel, stride, padding)]
        self._slide(*settings)
        return _MAX_POOLS[len(self.sizes)](*settings)

    def average_pool(self, kernel: PerAxis) -> nn.Module:
        """Return an average pooling without overlap."""
        kernel = self.spread(kernel)
        self._slide(kernel, kernel, self.spread(0))
        return _AVERAGE_POOLS[len(self.sizes)](kernel)

    def global_average_pool(self) -> nn.Module:
        """Return a layer that averages over all positions."""
        self.sizes = ()
        return GlobalAveragePool()

    def flatten(self) -> nn.Module:
        """Return a layer that makes one vector of a row."""
        self.channels, self.sizes = self.channels * math.prod(self.sizes), ()
        return nn.Flatten()

    def linear(self, n_outputs: int, *, bias: bool = True) -> nn.Linear:
        """Return a linear layer; its inputs have been flattened."""
        layer = make_linear(self.channels, n_outputs)
        if not bias:
            layer.register_parameter("bias", None)
        self.channels = n_outputs
        self.count(layer.weight.numel())
        return layer

    def fork(self) -> LayerBuilder:
        """Return a builder for a branch that gets the same input as the next layer."""
        return LayerBuilder((self.channels, *self.sizes))

    def join(self, branches: Sequence[LayerBuilder]) -> None:
        """Continue with the concatenated channels of branches."""
        self.channels = sum(branch.channels for branch in branches)
        self.sizes = branches[0].sizes
        self.work += sum(branch.work for branch in branches)

    def conv_norm_relu(
        self,
        n_filters: int,
        kernel: PerAxis,
        *,
        stride: PerAxis = 1,
        pool: PerAxis | None = None,
    ) -> nn.Sequential:
        """Return a convolution with batch normalization, pooling if asked, and ReLU.

        Padding keeps the sizes if the stride is 1. ``pool`` is the stride of a max
        pooling; it precedes the ReLU, which gives the same result at less cost.
        """
        padding = [k // 2 for k in self.spread(kernel)]
        return sequence(
            conv=self.conv(
                n_filters, kernel, stride=stride, padding=padding, bias=False
            ),
            norm=self.norm(),
            pool=None if pool is None else self.shrink(pool),
            relu=nn.ReLU(inplace=True),
        )

    def shrink(self, stride: PerAxis = 2) -> nn.Module:
        """Return an overlapping max pooling, of kernel 3 along axes of stride 2."""
        kernel = [3 if s == 2 else 1 for s in self.spread(stride)]
        return self.max_pool(kernel, stride, [k // 2 for k in kernel])
