"""LeNet-5."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._layers import LayerBuilder, sequence
from skdeep.networks._convolutional._weights import draw, initialize_layers

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

# The paper's Table I: the maps of S2 that each of the 16 maps of C3 reads. Three
# adjacent maps, four adjacent maps, two adjacent pairs, and all of them.
C3_INPUTS: list[tuple[int, ...]] = [
    *[tuple(sorted((i + j) % 6 for j in range(3))) for i in range(6)],
    *[tuple(sorted((i + j) % 6 for j in range(4))) for i in range(6)],
    *[tuple(sorted((i + j) % 6 for j in (0, 1, 3, 4))) for i in range(3)],
    tuple(range(6)),
]


class Squash(nn.Module):
    """The paper's activation, 1.7159 tanh(2/3 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of x."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """The average of 2 × 2 values, times a coefficient of the channel, plus a bias."""

    def __init__(self, layers: LayerBuilder):
        super().__init__()
        self.pool = layers.average_pool(2)
        # Vectors, because a penalty is for parameters with more axes.
        self.coefficient = nn.Parameter(torch.empty(layers.channels))
        self.bias = nn.Parameter(torch.empty(layers.channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shrink x, (n, channels, *sizes)."""
        ones = [1] * (x.ndim - 2)
        coefficient, bias = (p.view(-1, *ones) for p in (self.coefficient, self.bias))
        return torch.addcmul(bias, self.pool(x), coefficient)


class TableConvolution(nn.Module):
    """The convolution C3, whose maps read some of the six channels each.

    ``weight`` has only the 60 kernels of the table, (60, *kernel).
    """

    places: Tensor

    def __init__(self, layers: LayerBuilder):
        super().__init__()
        n_dims = len(layers.sizes)
        n_kernels = sum(map(len, C3_INPUTS))
        kernel = (5,) * n_dims
        self.weight = nn.Parameter(torch.empty(n_kernels, *kernel))
        self.bias = nn.Parameter(torch.empty(len(C3_INPUTS)))
        places = [6 * i + j for i, inputs in enumerate(C3_INPUTS) for j in inputs]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        layers.channels = len(C3_INPUTS)
        layers.sizes = tuple(size - 4 for size in layers.sizes)
        # The kernels that are zero are multiplied too.
        layers.count(6 * len(C3_INPUTS) * 5**n_dims)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw the weights; the deviation follows from the number of channels read."""
        n_values = math.prod(self.weight.shape[1:])
        fans = [n_values * len(inputs) for inputs in C3_INPUTS for _ in inputs]
        deviation = torch.tensor(fans, dtype=torch.float32, device="cpu").rsqrt()
        ones = [1] * (self.weight.ndim - 1)
        draw(self.weight, deviation.view(-1, *ones), generator, normal=True)
        nn.init.zeros_(self.bias)

    def full_weight(self) -> Tensor:
        """Return the weight with zeros where nothing is read: (16, 6, *kernel)."""
        kernel = self.weight.shape[1:]
        full = self.weight.new_zeros(len(C3_INPUTS) * 6, *kernel)
        return full.index_copy(0, self.places, self.weight).unflatten(0, (-1, 6))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of x, (n, 6, *sizes)."""
        return _CONVOLVE[x.ndim - 2](x, self.full_weight(), self.bias)


class LeNet5Body(Body):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner, 1998), up to layer F6.

    As in the paper: the connection table of C3, subsampling with a trained coefficient
    and bias, the activation 1.7159 tanh(2/3 x) after every layer, and the padding of
    28 × 28 images to 32 × 32.

    Departures: scores come from a linear layer instead of Euclidean radial basis
    functions. C1 reads all input channels. An axis shorter than 32 is padded with up to
    four zeros, and C5 covers whatever size is left. Initial weights are normal with
    variance 1 / fan_in, which fits the activation (LeCun et al., "Efficient BackProp",
    1998), instead of uniform within 2.4 / fan_in.
    """

    min_size = 12

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__(layers, options)
        zeros = [min(4, max(0, 32 - size)) for size in layers.sizes]
        before = [n // 2 for n in zeros]
        after = [n - b for n, b in zip(zeros, before, strict=True)]
        self.pad = layers.pad(before, after) if max(zeros) else nn.Identity()
        self.c1 = sequence(conv=layers.conv(6, 5), squash=Squash())
        self.s2 = sequence(pool=Subsampling(layers), squash=Squash())
        self.c3 = sequence(conv=TableConvolution(layers), squash=Squash())
        self.s4 = sequence(pool=Subsampling(layers), squash=Squash())
        self.c5 = sequence(
            conv=layers.conv(120, layers.sizes),
            squash=Squash(),
            flatten=layers.flatten(),
        )
        self.f6 = sequence(linear=layers.linear(84), squash=Squash())

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        initialize_layers(self, "lecun", generator, normal=True)
        for layer in self.modules():
            if isinstance(layer, TableConvolution):
                layer.initialize(generator)
            elif isinstance(layer, Subsampling):
                nn.init.ones_(layer.coefficient)
                nn.init.zeros_(layer.bias)

    def maps(self) -> dict[str, nn.Module]:
        """Return the layers by their names in the paper."""
        return {"C1": self.c1, "S2": self.s2, "C3": self.c3, "S4": self.s4}

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of F6, (n, 84)."""
        x = self.s2(self.c1(self.pad(x)))
        x = self.s4(self.c3(x))
        return self.f6(self.c5(x))
