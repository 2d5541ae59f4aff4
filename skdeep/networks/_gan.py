"""The networks of a GAN: a generator of rows, and a discriminator of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._activations import make_activation
from skdeep.networks._autoencoder import (
    Corruption,
    DenseFunnel,
    ImageReader,
    ImageWriter,
)
from skdeep.networks._convolutional._weights import draw, initialize_layers
from skdeep.networks._initialization import make_linear

# Temperature of the softmax of choices (Jang, Gu & Poole, 2017).
_TEMPERATURE = 0.2
# Bytes of the widest values of the rows of one chunk, to fit the cache.
_CHUNK_BYTES = 2**21


class StackedLayers(nn.Module):
    """Dense layers, of which each one reads the inputs and outputs of the one before.

    Outputs are normalized within each row (layer normalization), which batches do not
    change: unlike batch normalization, it suits averaged weights.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, widths of the layers, number of outputs.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    """

    def __init__(self, sizes: Sequence[int], activation: str):
        super().__init__()
        n_inputs, *widths, n_outputs = sizes
        made = make_activation(activation)
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        self.activations = nn.ModuleList(made.make_module() for _ in widths)
        for width in widths:
            self.layers.append(make_linear(n_inputs, width))
            self.norms.append(nn.LayerNorm(width))
            n_inputs += width
        self.last = make_linear(n_inputs, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs: (n_samples, sizes[0]) -> (n_samples, sizes[-1])."""
        for layer, norm, activation in zip(
            self.layers, self.norms, self.activations, strict=True
        ):
            x = torch.cat([activation(norm(layer(x))), x], 1)
        return self.last(x)


class GeneratorNetwork(nn.Module):
    """Makes rows of a table, or images, of random codes.

    Parameters
    ----------
    blocks : sequence of (str, int), default=()
        The values of a row, in order: ("linear", 1), a number; ("number", 1), a number
        between -1 and 1; ("choice", n), the indicators of n values.
    shape : sequence of int, optional
        Number of channels of images, then one to three sizes. None for tables.
    filters : sequence of int, default=()
        Number of filters of the convolutions, in the order of a discriminator.
    scaled : sequence of (int, sequence of float) or None, default=()
        For each number, the choice that it depends on and the factor of the number for
        each value of this choice; None for none.
    n_labels : int, default=0
        Number of labels, of which a condition asks for one.
    asks_choices : bool, default=False
        Whether a condition asks for one value of one choice, too.
    code_size : int
        Number of values of a code.
    hidden_layer_sizes : sequence of int
        Widths of the dense layers.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".
    """

    def __init__(
        self,
        blocks: Sequence[tuple[str, int]] = (),
        *,
        shape: Sequence[int] | None = None,
        filters: Sequence[int] = (),
        scaled: Sequence[Any] = (),
        n_labels: int = 0,
        asks_choices: bool = False,
        code_size: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
    ):
        super().__init__()
        self.blocks = [(kind, size) for kind, size in blocks]
        self.scaled = list(scaled)
        self.shape = shape
        self.code_size = code_size
        self.asks_choices = asks_choices
        self.writer = None
        #: Number of values of a generated row.
        self.n_values = n_values = sum(size for _, size in blocks)
        #: Number of values of a condition.
        self.n_conditions = n_labels + asks_choices * sum(self._choice_sizes)
        for number, depends in enumerate(self.scaled):
            if depends is not None:
                factors = torch.tensor(depends[1])
                self.register_buffer(f"factors_{number}", factors, persistent=False)
        if shape is not None:
            shapes = halved_shapes(shape, filters)
            self.writer = ImageWriter(shapes, activation)
            n_values = math.prod(shapes[-1])
        sizes = [code_size + self.n_conditions, *hidden_layer_sizes, n_values]
        self.dense = StackedLayers(sizes, activation)
        self._widest = max(*sizes, math.prod(shape or (1,)))

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        initialize_layers(self, "he", generator)

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds for a row."""
        n = sum(p.numel() for p in self.dense.parameters() if p.ndim == 2)
        return n if self.writer is None else n + self.writer.work

    def rows_per_chunk(self, code: Tensor, condition: Tensor | None = None) -> int:
        """Return for how many rows the widest values fit the cache."""
        return max(1, _CHUNK_BYTES // (self._widest * code.element_size()))

    def forward(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return raw values, (n_samples, n_values) or (n_samples, *shape).

        ``code`` is (n_samples, code_size), ``condition`` (n_samples, n_conditions).
        """
        x = code if condition is None else torch.cat([code, condition], 1)
        x = self.dense(x)
        return x if self.writer is None else self.writer(x)

    def rows(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows as the discriminator reads them, in the shape of ``raw``.

        Choices are nearly indicators: draws with a gradient (Jang, Gu & Poole, 2017).
        """
        if self.writer is not None:
            return raw.tanh()
        uniform = torch.empty_like(raw).uniform_(1e-6, 1, generator=generator)
        drawn = (raw - (-uniform.log()).log()) / _TEMPERATURE
        parts, choices = [], []
        n_numbers = 0
        for kind, value, noisy in zip(
            self._kinds,
            raw.split(self._sizes, 1),
            drawn.split(self._sizes, 1),
            strict=True,
        ):
            if kind == "choice":
                parts.append(noisy.softmax(1))
                choices.append(parts[-1])
                continue
            parts.append(value.tanh() if kind == "number" else value)
            if self.scaled and self.scaled[n_numbers] is not None:
                choice = choices[self.scaled[n_numbers][0]]
                factors = getattr(self, f"factors_{n_numbers}").to(choice)
                parts[-1] = parts[-1] * (choice @ factors).unsqueeze(1)
            n_numbers += 1
        return torch.cat(parts, 1)

    @property
    def _kinds(self) -> list[str]:
        return [kind for kind, _ in self.blocks]

    @property
    def _sizes(self) -> list[int]:
        return [size for _, size in self.blocks]

    @property
    def _choice_sizes(self) -> list[int]:
        return [size for kind, size in self.blocks if kind == "choice"]

    def choice_losses(self, raw: Tensor, asked: Tensor) -> Tensor:
        """Return the cross entropy of the choice that the condition of a row asks for.

        ``asked`` are its indicators among the values of all choices, (n_samples,
        n_values).
        """
        scores = [
            part.log_softmax(1)
            for kind, part in zip(self._kinds, raw.split(self._sizes, 1), strict=True)
            if kind == "choice"
        ]
        return -(torch.cat(scores, 1) * asked).sum(1)


class DiscriminatorNetwork(nn.Module):
    """Gives high scores to real rows and low scores to generated ones.

    Parameters
    ----------
    n_values : int, default=0
        Number of values of a row of a table.
    shape : sequence of int, optional
        Number of channels of images, then one to three sizes. None for tables.
    filters : sequence of int, default=()
        Number of filters of the convolutions that read images.
    n_conditions : int, default=0
        Number of values of a condition.
    pack_size : int, default=1
        Number of rows that are judged together (Lin et al., 2018).
    hidden_layer_sizes : sequence of int
        Widths of the dense layers; there are none for images.
    activation : str
        A name in ``ACTIVATIONS`` except "maxout".

    References
    ----------
    Miyato & Koyama (2018). "cGANs with projection discriminator." ICLR. (How images are
    compared with their conditions.)
    """

    def __init__(
        self,
        n_values: int = 0,
        *,
        shape: Sequence[int] | None = None,
        filters: Sequence[int] = (),
        n_conditions: int = 0,
        pack_size: int = 1,
        hidden_layer_sizes: Sequence[int],
        activation: str,
    ):
        super().__init__()
        self.pack_size = pack_size
        n_asked = n_conditions * pack_size
        self.reader: Any = None
        self.projection: Any = None
        if shape is None:
            sizes = [n_values * pack_size + n_asked, *hidden_layer_sizes]
        else:
            packed = (shape[0] * pack_size, *shape[1:])
            nothing = Corruption(0.0, 0.0)
            self.reader = ImageReader(packed, filters, activation, nothing)
            sizes = [self.reader.n_outputs]
            if n_asked:
                self.projection = make_linear(n_asked, sizes[0], bias=False)
        self.dense = DenseFunnel([*sizes, 1], activation, dropout=0.0)

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        initialize_layers(self, "he", generator)
        if self.projection is not None:
            scale = len(self.projection.weight) ** -0.5
            draw(self.projection.weight, scale, generator, normal=True)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return a score of each pack: rows (n_samples, ...) -> (n_packs,).

        ``condition`` is (n_samples, n_conditions). The number of rows must be a
        multiple of ``pack_size``.
        """
        n_packs = len(x) // self.pack_size
        if condition is not None:
            condition = condition.reshape(n_packs, -1)
        if self.reader is None:
            parts = [x.reshape(n_packs, -1)]
            if condition is not None:
                parts.append(condition)
            return self.dense(torch.cat(parts, 1))[:, 0]
        x = self.reader(x.reshape(n_packs, -1, *x.shape[2:]))
        scores = self.dense(x)[:, 0]
        if condition is None:
            return scores
        return scores + (self.projection(condition) * x).sum(1)


def halved_shapes(
    shape: Sequence[int], filters: Sequence[int]
) -> list[tuple[int, ...]]:
    """Return the shapes before each convolution that halves sizes, and after all."""
    shapes: list[tuple[int, ...]] = [tuple(shape)]
    for n_filters in filters:
        sizes = (-(-size // 2) for size in shapes[-1][1:])
        shapes.append((n_filters, *sizes))
    return shapes
