"""Networks that encode rows as a few numbers and decode them again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.networks._activations import make_activation
from skdeep.networks._convolutional._layers import LayerBuilder
from skdeep.networks._convolutional._weights import initialize_layers
from skdeep.networks._dense import Dropout, RandomLayer
from skdeep.networks._initialization import (
    initialize_linear,
    initialize_recurrent,
    make_linear,
)
from skdeep.networks._sequence_autoencoder import SequenceReader, SequenceWriter

# Variances of codes and standard deviations of numbers stay in a range in which
# neither they nor their reciprocals overflow.
_LOG_VARIANCES = (-16.0, 10.0)
_LOG_SCALES = (-5.0, 5.0)
# Maximum number of hidden values, over all steps, in a chunk of sequences.
_MAX_HIDDEN_VALUES = 2**23
# Bytes of the widest values of the rows of one chunk, to fit the cache.
_CHUNK_BYTES = 2**21
# Half of the draws; the others are their negatives, so that their mean is 0.
_N_DRAWS = 8


class Corruption(RandomLayer):
    """Noise and gaps in the inputs of training, which the network has to undo.

    Parameters
    ----------
    noise : float
        Standard deviation of the normal noise that is added to numbers.
    mask : float
        Share of the entries that are hidden.
    """

    def __init__(self, noise: float, mask: float):
        super().__init__()
        self.noise = noise
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        """Add noise."""
        if not self.training or self.noise == 0:
            return x
        draws = torch.empty_like(x).normal_(generator=self.generator)
        return x + self.noise * draws

    def hidden(self, like: Tensor) -> Tensor | None:
        """Draw which entries are hidden, in the shape of ``like``; None if none are."""
        if not self.training or self.mask == 0:
            return None
        draws = torch.empty_like(like, dtype=torch.float32)
        return draws.uniform_(generator=self.generator) < self.mask

    def extra_repr(self) -> str:
        return f"noise={self.noise}, mask={self.mask}"


class TableReader(nn.Module):
    """Makes a vector of the numbers and the categories of a row.

    It has the numbers, 0 if missing; a column of 0 and 1 for each known category; and
    an indicator for each column that has gaps in training.

    Parameters
    ----------
    n_numbers : int
        Number of numeric columns.
    n_known : sequence of int
        Number of known categories of each categorical column.
    indicated : sequence of int
        Positions of the numeric columns with an indicator.
    corruption : Corruption
        Changes the rows in training.
    """

    def __init__(
        self,
        n_numbers: int,
        n_known: Sequence[int],
        indicated: Sequence[int],
        corruption: Corruption,
    ):
        super().__init__()
        self.n_known = list(n_known)
        self.indicated = list(indicated)
        self.corruption = corruption
        #: Number of values that the network reconstructs.
        self.n_values = n_numbers + sum(n_known)
        self.n_outputs = self.n_values + len(indicated)

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        """Return the vectors, (n_samples, n_outputs)."""
        missing = x.isnan()
        x = self.corruption(x)
        hidden = self.corruption.hidden(x)
        x = x.masked_fill(missing if hidden is None else missing | hidden, 0.0)
        parts = [x]
        if codes is not None:
            hidden = self.corruption.hidden(codes)
            if hidden is not None:
                codes = codes.masked_fill(hidden, 0)
            # Codes 0 and 1 are a missing and an unknown category.
            parts += [
                F.one_hot(codes[:, j], n + 2)[:, 2:].to(x)
                for j, n in enumerate(self.n_known)
            ]
        if self.indicated:
            parts.append(missing[:, self.indicated].to(x))
        return torch.cat(parts, 1) if len(parts) > 1 else x


class ImageReader(nn.Module):
    """Makes a vector of an image with convolutions that halve its sizes.

    Parameters
    ----------
    shape : sequence of int
        Number of channels, then one to three sizes.
    filters : sequence of int
        Number of filters of each convolution.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    corruption : Corruption
        Changes the images in training.
    """

    def __init__(
        self,
        shape: Sequence[int],
        filters: Sequence[int],
        activation: str,
        corruption: Corruption,
    ):
        super().__init__()
        self.corruption = corruption
        layers = LayerBuilder(shape)
        made = make_activation(activation)
        #: Shapes of the values before each convolution, and after the last one.
        self.shapes: list[tuple[int, ...]] = [tuple(shape)]
        self.convolutions = nn.ModuleList()
        for n_filters in filters:
            self.convolutions.append(layers.conv(n_filters, 3, stride=2, padding=1))
            self.shapes.append((layers.channels, *layers.sizes))
        self.activations = nn.ModuleList(made.make_module() for _ in filters)
        self.n_outputs = self.n_values = math.prod(self.shapes[-1])
        self.work = layers.work

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors: (n_samples, *shape) -> (n_samples, n_outputs)."""
        x = self.corruption(x)
        hidden = self.corruption.hidden(x)
        if hidden is not None:
            x = x.masked_fill(hidden, 0.0)
        for layer, activation in zip(self.convolutions, self.activations, strict=True):
            x = activation(layer(x))
        return x.flatten(1)


class ImageWriter(nn.Module):
    """Makes an image of a vector: enlarges it and convolves it, in turn.

    Repeated values before a convolution do not leave the grid of transposed
    convolutions (Odena, Dumoulin & Olah, 2016).

    Parameters
    ----------
    shapes : sequence of tuple of int
        Those of an `ImageReader`, which this is the mirror of.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], activation: str):
        super().__init__()
        self.shapes = list(shapes)
        made = make_activation(activation)
        self.convolutions = nn.ModuleList()
        self.work = 0
        for small, large in pairwise(reversed(self.shapes)):
            layers = LayerBuilder((small[0], *large[1:]))
            self.convolutions.append(layers.conv(large[0], 3, padding=1))
            self.work += layers.work
        self.activations = nn.ModuleList(made.make_module() for _ in self.convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """Return images: (n_samples, n) -> (n_samples, *shapes[0])."""
        x = x.view(len(x), *self.shapes[-1])
        larger = reversed(self.shapes[:-1])
        for layer, activation, shape in zip(
            self.convolutions, self.activations, larger, strict=True
        ):
            x = F.interpolate(activation(x), size=shape[1:])
            x = layer(x)
        return x


class DenseFunnel(nn.Module):
    """Dense layers, each followed by the activation, except for the last one.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, widths of the layers, number of outputs.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    dropout : float
        Share of the hidden values that are set to zero in training.
    """

    def __init__(self, sizes: Sequence[int], activation: str, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(make_linear(i, o) for i, o in pairwise(sizes))
        made = make_activation(activation)
        self.activations = nn.ModuleList(made.make_module() for _ in sizes[2:])
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs: (n_samples, sizes[0]) -> (n_samples, sizes[-1])."""
        *hidden, last = cast(Any, self.layers)
        for layer, activation in zip(hidden, self.activations, strict=True):
            x = self.dropout(activation(layer(x)))
        return last(x)


class TiedFunnel(nn.Module):
    """The mirror of a `DenseFunnel`, with its weights transposed and own biases.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, widths of the layers, number of outputs.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    dropout : float
        Share of the hidden values that are set to zero in training.
    """

    def __init__(self, sizes: Sequence[int], activation: str, dropout: float):
        super().__init__()
        self.biases = nn.ParameterList(torch.empty(n) for n in sizes[1:])
        made = make_activation(activation)
        self.activations = nn.ModuleList(made.make_module() for _ in sizes[2:])
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Return the outputs; ``weights`` are those of the encoder, first to last."""
        *hidden, last = zip(reversed(weights), self.biases, strict=True)
        for (weight, bias), activation in zip(hidden, self.activations, strict=True):
            x = self.dropout(activation(F.linear(x, weight.t(), bias)))
        weight, bias = last
        # The encoder reads indicators, too, which are not reconstructed.
        return F.linear(x, weight[:, : len(bias)].t(), bias)


class AutoEncoderNetwork(nn.Module):
    """An encoder to a code and a decoder from it, of tables, images or sequences.

    Parameters
    ----------
    n_numbers : int, default=0
        Number of numeric columns of a table, or of features of sequences.
    n_known : sequence of int, default=()
        Number of known categories of each categorical column.
    indicated : sequence of int, default=()
        Positions of the numeric columns with gaps.
    shape : sequence of int, optional
        Number of channels of images, then one to three sizes. None for tables.
    filters : sequence of int, default=()
        Number of filters of the convolutions that read images.
    n_steps : int, optional
        Number of steps of the sequences that codes are decoded to. None if the rows are
        not sequences.
    has_length : bool, default=False
        Whether sequences have different lengths, which are reconstructed, too.
    hidden_size : int, default=64
        Width of the recurrent layers, in each direction.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Kind of the recurrent layers.
    code_size : int
        Number of values of a code.
    hidden_layer_sizes : sequence of int
        Widths of the layers of the encoder; those of the decoder are the reverse.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    dropout, noise, mask : float
        Share of hidden values set to zero, standard deviation of the noise and share of
        hidden entries in training.
    tied : bool, default=False
        Whether the decoder has the weights of the encoder; not with ``filters``.
    is_variational : bool, default=False
        Whether the encoder gives the means and variances of normal distributions, from
        which the codes are drawn in training.
    """

    def __init__(
        self,
        n_numbers: int = 0,
        n_known: Sequence[int] = (),
        indicated: Sequence[int] = (),
        *,
        shape: Sequence[int] | None = None,
        filters: Sequence[int] = (),
        n_steps: int | None = None,
        has_length: bool = False,
        hidden_size: int = 64,
        cell: str = "lstm",
        code_size: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        dropout: float,
        noise: float,
        mask: float,
        tied: bool = False,
        is_variational: bool = False,
    ):
        super().__init__()
        self.activation_name = activation
        self.code_size = code_size
        corruption = Corruption(noise, mask)
        self.reader: Any
        self.writer: Any = None
        self.n_steps = n_steps
        n_scales = n_numbers + has_length
        if n_steps is not None:
            self.reader = SequenceReader(n_numbers, hidden_size, cell, corruption)
            self.writer = SequenceWriter(
                n_numbers, n_steps, has_length, hidden_size, cell
            )
        elif shape is None:
            self.reader = TableReader(n_numbers, n_known, indicated, corruption)
        else:
            self.reader = ImageReader(shape, filters, activation, corruption)
            self.writer = ImageWriter(self.reader.shapes, activation)
            n_scales = shape[0]
        n_values = getattr(self.reader, "n_values", hidden_size)
        widths = list(hidden_layer_sizes)
        n_coded = code_size * 2 if is_variational else code_size
        sizes = [self.reader.n_outputs, *widths, n_coded]
        self.encoder = DenseFunnel(sizes, activation, dropout)
        kind = TiedFunnel if tied else DenseFunnel
        sizes = [code_size, *reversed(widths), n_values]
        self.decoder = kind(sizes, activation, dropout)
        self.sampler = CodeSampler() if is_variational else None
        if is_variational:
            self.log_scale = nn.Parameter(torch.empty(n_scales))
        self._widest = max(*sizes, *map(math.prod, getattr(self.reader, "shapes", ())))

    @torch.no_grad()
    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        if self.n_steps is not None:
            initialize_recurrent(
                [layer for layer in self.modules() if isinstance(layer, nn.RNNBase)],
                rng,
            )
            linear = [self.writer.head, self.writer.length]
            found = [layer for layer in linear if layer is not None]
            initialize_linear(found, "glorot_uniform", "tanh", rng)
        elif self.writer is not None:
            generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
            for part in (self.reader, self.writer):
                initialize_layers(part, "he", generator)
        layers = [*self.encoder.layers, *getattr(self.decoder, "layers", ())]
        initialize_linear(layers, "glorot_uniform", self.activation_name, rng)
        for bias in getattr(self.decoder, "biases", ()):
            bias.zero_()
        if self.sampler is not None:
            # Codes that are drawn with small variances at first tell rows apart.
            last: Any = self.encoder.layers[-1]
            last.bias[self.code_size :] = -2.0
            self.log_scale.zero_()

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds for a row, or for a step of a sequence."""
        if self.n_steps is not None:
            layers = [m for m in self.modules() if isinstance(m, nn.RNNBase)]
            return max(sum(w.numel() for w in layer.parameters()) for layer in layers)
        parts = (self.encoder, self.decoder)
        n = sum(p.numel() for part in parts for p in part.parameters() if p.ndim == 2)
        if isinstance(self.decoder, TiedFunnel):
            n *= 2
        return n if self.writer is None else n + self.reader.work + self.writer.work

    def rows_per_chunk(self, x: Tensor, codes: Tensor | None = None) -> int:
        """Return for how many rows, or codes, the widest values fit the cache."""
        if self.n_steps is not None:
            n_steps = x.shape[1] if x.ndim == 3 else self.n_steps
            return max(1, _MAX_HIDDEN_VALUES // (n_steps * self.reader.n_outputs))
        return max(1, _CHUNK_BYTES // (self._widest * x.element_size()))

    def distribution(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes, each (n_samples, code_size)."""
        mean, log_variance = self.encoder(self.reader(*inputs)).chunk(2, 1)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def encode(self, *inputs: Tensor) -> Tensor:
        """Return the codes, or their means, (n_samples, code_size)."""
        if self.sampler is not None:
            return self.distribution(*inputs)[0]
        return self.encoder(self.reader(*inputs))

    def decode(self, code: Tensor, *inputs: Tensor) -> Tensor:
        """Return the raw scores of codes.

        They are (n_samples, n_values), images, or sequences, which have as many steps
        as the ``inputs`` that the codes are of.
        """
        if isinstance(self.decoder, TiedFunnel):
            layers: Any = self.encoder.layers
            raw = self.decoder(code, [layer.weight for layer in layers])
        else:
            raw = self.decoder(code)
        if self.n_steps is not None:
            return self._write_steps(raw, *inputs)
        return raw if self.writer is None else self.writer(raw)

    def _write_steps(self, vector: Tensor, *inputs: Tensor) -> Tensor:
        """Return sequences, with zeros after the end of the longest one."""
        n_steps: int = inputs[0].shape[1] if inputs else self.writer.n_steps
        longest = int(inputs[1].max()) if len(inputs) > 1 else n_steps
        raw = self.writer(vector, longest)
        return raw if longest == n_steps else F.pad(raw, (0, 0, 0, n_steps - longest))

    def forward(
        self, x: Tensor, codes: Tensor | None = None
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]:
        """Return raw scores and codes, or means and log-variances of the codes.

        ``x`` is (n_samples, n_numbers), NaN where missing; ``codes`` (n_samples,
        n_categorical): 0 for a missing category, 1 for an unknown one, then the known
        ones. Raw scores are (n_samples, n_values): the numbers, then a score of each
        known category of each column. Images and their raw scores are (n_samples,
        *shape). Sequences are (n_samples, n_steps, n_numbers), and ``codes`` are their
        lengths; the length is the last raw score of each step.
        """
        inputs = (x,) if codes is None else (x, codes)
        if self.sampler is None:
            code = self.encode(*inputs)
            return self.decode(code, *inputs), code
        mean, log_variance = self.distribution(*inputs)
        code = self.sampler(mean, log_variance)
        return self.decode(code, *inputs), mean, log_variance

    def scales(self) -> Tensor:
        """Return the logarithms of the standard deviations of numbers or channels."""
        return self.log_scale.clamp(*_LOG_SCALES)


class CodeSampler(RandomLayer):
    """Draws codes in training; in prediction it returns the means."""

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return codes, (n_samples, code_size)."""
        if not self.training:
            return mean
        draws = torch.empty_like(mean).normal_(generator=self.generator)
        return mean + (log_variance / 2).exp() * draws


def fixed_draws(code_size: int) -> np.ndarray:
    """Return draws of a standard normal code that are always the same.

    They are (n_draws, code_size). Their mean is 0, and if the code is short, their
    covariance is the identity matrix, so that means of quadratic functions are exact.
    """
    draws = np.random.RandomState(0).normal(size=(_N_DRAWS, code_size))
    if code_size <= _N_DRAWS:
        draws = np.linalg.qr(draws)[0]
    draws /= np.sqrt(np.mean(draws**2))
    return np.concatenate([draws, -draws])
