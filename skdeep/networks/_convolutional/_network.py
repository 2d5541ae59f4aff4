"""Convolutional networks of all architectures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._activations import ACTIVATIONS
from skdeep.networks._convolutional._alexnet import AlexNetBody
from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._googlenet import GoogLeNetBody
from skdeep.networks._convolutional._layers import LayerBuilder, PerAxis
from skdeep.networks._convolutional._lenet import LeNet5Body
from skdeep.networks._convolutional._resnet import ResNetBody
from skdeep.networks._convolutional._simple import SimpleBody
from skdeep.networks._convolutional._weights import initialize_layers
from skdeep.networks._dense import Dropout

CONVOLUTIONAL_ARCHITECTURES: dict[str, type[Body]] = {
    "simple": SimpleBody,
    "lenet5": LeNet5Body,
    "alexnet": AlexNetBody,
    "googlenet": GoogLeNetBody,
    "resnet": ResNetBody,
}


class ConvolutionalNetwork(nn.Module):
    """A network for signals, images or volumes: a body and a last linear layer.

    The weights are undefined until ``initialize`` is called or a state is loaded.

    Parameters
    ----------
    shape : tuple of int
        Number of channels, then one to three sizes.
    n_outputs : int
        Number of raw scores.
    architecture : str, default="simple"
        A name in ``CONVOLUTIONAL_ARCHITECTURES``; the classes there name their papers
        and their departures from them. ``depth`` concerns "resnet" alone, and all
        further parameters "simple" alone; the other architectures have the values of
        their papers.
    depth : int, default=20
        Number of layers with weights, counted as in the paper.
    filters : sequence of int, default=(32, 64)
        Number of filters of each convolution.
    kernel_size : int or sequence of int, default=3
        Size of the filters, for all axes or for each.
    pool_size : int or sequence of int, default=2
        Size of the pooling after each convolution, for all axes or for each. A shorter
        axis is pooled as a whole.
    hidden_layer_sizes : sequence of int, default=(128,)
        Widths of the dense layers before the last one.
    activation : str, default="relu"
        A name in ``ACTIVATIONS`` except "maxout".
    dropout : float, default=0.25
        Share of values set to zero in training, after each convolution and each dense
        layer.
    batch_norm : bool, default=False
        Whether to normalize over the batch, before each activation.

    Attributes
    ----------
    body : nn.Module
        All layers below ``head``.
    head : nn.Linear
        The last layer.
    work_per_row : int
        Number of multiply-adds of the forward pass of a row.

    Raises
    ------
    ValueError
        If an axis is too short for the architecture, or a parameter does not fit it.
    """

    def __init__(
        self,
        shape: Sequence[int],
        n_outputs: int,
        *,
        architecture: str = "simple",
        depth: int = 20,
        filters: Sequence[int] = (32, 64),
        kernel_size: PerAxis = 3,
        pool_size: PerAxis = 2,
        hidden_layer_sizes: Sequence[int] = (128,),
        activation: str = "relu",
        dropout: float = 0.25,
        batch_norm: bool = False,
    ):
        super().__init__()
        _check_name("architecture", architecture, CONVOLUTIONAL_ARCHITECTURES)
        _check_name("activation", activation, set(ACTIVATIONS) - {"maxout"})
        _check_sizes(shape[1:], architecture)
        for name, value in {"kernel_size": kernel_size, "pool_size": pool_size}.items():
            _check_per_axis(name, value, len(shape) - 1)
        layers = LayerBuilder(shape)
        self.body = CONVOLUTIONAL_ARCHITECTURES[architecture](
            layers,
            Options(
                depth=depth,
                filters=filters,
                kernel_size=kernel_size,
                pool_size=pool_size,
                hidden_layer_sizes=hidden_layer_sizes,
                activation=activation,
                dropout=dropout,
                batch_norm=batch_norm,
            ),
        )
        self.dropout = Dropout(self.body.head_dropout)
        self.head = layers.linear(n_outputs)
        self.work_per_row = layers.work

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights with a generator that is seeded from ``rng``."""
        seed = int(rng.randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        self.body.initialize(generator)
        initialize_layers(self.head, "glorot", generator)

    def maps(self) -> dict[str, nn.Module]:
        """Return the modules whose outputs are feature maps, in order, by name.

        Their outputs are (n, channels, *sizes), after activation, and after pooling if
        it follows the convolution directly.
        """
        return self.body.maps()

    def hidden(self, x: Tensor) -> Tensor:
        """Return the inputs of the last layer: (n, channels, *sizes) -> (n, width)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores: (n, channels, *sizes) -> (n, n_outputs)."""
        return self.head(self.dropout(self.hidden(x)))


def _check_name(parameter, name, available):
    if name not in available:
        raise ValueError(
            f"{parameter}={name!r} is not available for convolutional networks. Use "
            f"one of {', '.join(map(repr, sorted(available)))}."
        )


def _check_per_axis(parameter, value, n_axes):
    if not isinstance(value, int) and len(value) != n_axes:
        raise ValueError(
            f"{parameter}={value!r} has {len(value)} entries, but the inputs have "
            f"{n_axes} axes. Pass an integer, or one integer for each axis."
        )


def _check_sizes(sizes, architecture):
    smallest = CONVOLUTIONAL_ARCHITECTURES[architecture].min_size
    if min(sizes) >= smallest:
        return
    kinds = ["Signals of {} steps", "Images of {} pixels", "Volumes of {} voxels"]
    found = " × ".join(map(str, sizes))
    needed = " × ".join([str(smallest)] * len(sizes))
    raise ValueError(
        f"{kinds[len(sizes) - 1].format(found)} are too small for "
        f"architecture={architecture!r}, which needs at least {needed}."
    )
