"""Blocks of convolution and pooling, then dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skdeep.networks._activations import make_activation
from skdeep.networks._convolutional._body import Body, Options
from skdeep.networks._convolutional._layers import LayerBuilder, PerAxis, sequence
from skdeep.networks._convolutional._weights import initialize_layers
from skdeep.networks._dense import Dropout

# Activations f for which max(f(a), f(b)) = f(max(a, b)).
_MONOTONE = {
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
}

# All others start with the weights of He et al.
_METHODS = {
    "identity": "glorot",
    "logistic": "glorot",
    "tanh": "glorot",
    "selu": "lecun",
}


class SimpleBody(Body):
    """Conv → pool → dropout blocks, then flattening and dense layers with dropout.

    A block is: convolution, which keeps the sizes; batch normalization if asked; max
    pooling and activation; dropout. Pooling precedes the activation if that gives the
    same values, because there are fewer of them then.
    """

    def __init__(self, layers: LayerBuilder, options: Options):
        super().__init__(layers, options)
        self.activation_name = options.activation
        self.blocks = sequence(
            **{
                f"conv{i}": _make_block(layers, n_filters, options)
                for i, n_filters in enumerate(options.filters, start=1)
            }
        )
        self.flatten = layers.flatten()
        n_layers = len(options.hidden_layer_sizes)
        self.dense = sequence(
            **{
                # The dropout of the last layer is that of the head.
                f"dense{i}": _make_dense(layers, n_units, options, i < n_layers)
                for i, n_units in enumerate(options.hidden_layer_sizes, start=1)
            }
        )
        # Without dense layers, the last block has dropped its outputs already.
        self.head_dropout = options.dropout if n_layers else 0.0

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        method = _METHODS.get(self.activation_name, "he")
        initialize_layers(self, method, generator, normal=method == "lecun")

    def maps(self) -> dict[str, nn.Module]:
        """Return the blocks; their outputs are pooled and activated."""
        return dict(self.blocks.named_children())

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden values."""
        return self.dense(self.flatten(self.blocks(x)))


def _make_block(
    layers: LayerBuilder, n_filters: int, options: Options
) -> nn.Sequential:
    pad, conv = _make_same_conv(
        layers, n_filters, options.kernel_size, bias=not options.batch_norm
    )
    norm = layers.norm() if options.batch_norm else None
    # A short axis is pooled as a whole.
    sizes = [
        min(pair)
        for pair in zip(layers.spread(options.pool_size), layers.sizes, strict=True)
    ]
    pool = layers.max_pool(sizes, sizes) if max(sizes) > 1 else None
    activation = make_activation(options.activation).make_module()
    dropout = Dropout(options.dropout) if options.dropout else None
    start = {"pad": pad, "conv": conv, "norm": norm}
    if options.activation in _MONOTONE:
        return sequence(**start, pool=pool, activation=activation, dropout=dropout)
    return sequence(**start, activation=activation, pool=pool, dropout=dropout)


def _make_same_conv(
    layers: LayerBuilder, n_filters: int, kernel: PerAxis, *, bias: bool
) -> tuple[nn.Module | None, nn.Module]:
    """Return a convolution that keeps the sizes, and the padding before it or None."""
    totals = [k - 1 for k in layers.spread(kernel)]
    before = [total // 2 for total in totals]
    if all(total % 2 == 0 for total in totals):
        return None, layers.conv(n_filters, kernel, padding=before, bias=bias)
    # An even kernel needs one more zero after the axis than before it; torch's
    # padding="same" warns in that case.
    pad = layers.pad(before, [t - b for t, b in zip(totals, before, strict=True)])
    return pad, layers.conv(n_filters, kernel, bias=bias)


def _make_dense(
    layers: LayerBuilder, n_units: int, options: Options, drops: bool
) -> nn.Sequential:
    return sequence(
        linear=layers.linear(n_units, bias=not options.batch_norm),
        norm=layers.norm() if options.batch_norm else None,
        activation=make_activation(options.activation).make_module(),
        dropout=Dropout(options.dropout) if drops and options.dropout else None,
    )
