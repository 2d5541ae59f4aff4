"""Images, signals and volumes as inputs: their layout, their scaling, their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep._input_checks import naming
from skdeep.encoding._image_files import FileFormat, ImageFiles
from skdeep.encoding._rows import as_tensor

# With channels="auto", an axis of up to this size holds the channels.
_MOST_CHANNELS = 4
# Arrays (n, a, b) of a higher ratio of a to b may be signals with many channels.
_LARGEST_RATIO = 8
# Number of values in a chunk of images when moments are computed.
_CHUNK_VALUES = 2**22
# With a mean of more standard deviations than this, values are scaled in double
# precision: in single precision they would be rounded before the mean is subtracted.
_LARGE_OFFSET = 1e3

_DIRECTIONS = (
    "Set channels='last' if the last axis holds the channels, channels='first' if the "
    "first axis after the samples does, or channels=None if there is no such axis."
)
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True)
class ImageLayout:
    """How an array or files hold images.

    Parameters
    ----------
    shape : tuple of int
        Number of channels, then the sizes: (length,), (height, width) or (depth,
        height, width).
    channel_axis : {0, -1} or None
        Axis of one image in X that holds the channels; None if there is none.
    is_flat : bool
        Whether each row of X is a flattened image.
    files : FileFormat or None
        How files are read.
    """

    shape: tuple[int, ...]
    channel_axis: int | None = None
    is_flat: bool = False
    files: FileFormat | None = None

    @classmethod
    def of(
        cls, shape: tuple[int, ...], channel_axis: int | None, **kwargs: Any
    ) -> ImageLayout:
        """Return the layout of images of a shape that may include channels."""
        if channel_axis is None:
            return cls((1, *shape), **kwargs)
        sizes = shape[1:] if channel_axis == 0 else shape[:-1]
        return cls((shape[channel_axis], *sizes), channel_axis, **kwargs)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one image in X, before it is flattened."""
        channels, *sizes = self.shape
        if self.channel_axis is None:
            return tuple(sizes)
        return (channels, *sizes) if self.channel_axis == 0 else (*sizes, channels)

    @property
    def n_values(self) -> int:
        """Number of values of an image."""
        return int(np.prod(self.shape, dtype=np.int64))

    def channels_second(self, images: Tensor) -> Tensor:
        """Return a view of images as in X with the axes (n, channels, *sizes)."""
        if self.is_flat:
            images = images.reshape(len(images), *self.image_shape)
        if self.channel_axis is None:
            return images.unsqueeze(1)
        return images if self.channel_axis == 0 else images.movedim(-1, 1)


def find_channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of an image that holds its channels; None if there is none.

    Parameters
    ----------
    shape : tuple of int
        Shape of one image.

    Raises
    ------
    ValueError
        If the shape does not tell.
    """
    if len(shape) == 1:
        return None
    first, last = shape[0] <= _MOST_CHANNELS, shape[-1] <= _MOST_CHANNELS
    if first != last:
        return 0 if first else -1
    if len(shape) == 2 and (first or max(shape) <= _LARGEST_RATIO * min(shape)):
        return None
    found = ", ".join(map(str, ("n", *shape)))
    raise ValueError(
        f"Which axis of X, of shape ({found}), holds the channels cannot be told. "
        f"{_DIRECTIONS}"
    )


@dataclass
class Images:
    """Checked images.

    Parameters
    ----------
    pixels : ndarray or ImageFiles
        The images as in X.
    layout : ImageLayout
        Their layout.
    dtype : dtype
        The float type to compute in.
    index : ndarray of int, optional
        Numbers of the images of ``pixels`` that are meant; None means all.
    """

    pixels: Any
    layout: ImageLayout
    dtype: np.dtype
    index: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels if self.index is None else self.index)

    @property
    def numeric(self) -> np.ndarray:
        """An array with an entry for each image, for checks of lengths and messages."""
        if isinstance(self.pixels, ImageFiles):
            return np.arange(len(self))
        return self.pixels if self.index is None else self.pixels[self.index]

    def as_array(self) -> np.ndarray:
        """Return the images, (n, *layout.image_shape), with the values of X."""
        index = slice(None) if self.index is None else self.index
        is_file = isinstance(self.pixels, ImageFiles)
        pixels = self.pixels.take(index) if is_file else self.pixels[index]
        return np.asarray(pixels).reshape(len(self), *self.layout.image_shape)

    def rows(self, index: np.ndarray) -> Images:
        """Return some of the images; pixels are not copied."""
        rows = np.arange(len(self.pixels)) if self.index is None else self.index
        return replace(self, index=rows[index])


class ImageEncoder:
    """Turns checked images into scaled tensors (n_samples, channels, *sizes).

    Parameters
    ----------
    layout : ImageLayout
        The layout of the images.
    scaling : {"channel", "range", "dtype"} or None
        "channel" standardizes each channel by its mean and standard deviation over the
        training rows; "range" maps their lowest and highest values to -1 and 1; "dtype"
        divides integers by the largest value of their type; None does not change the
        values.

    Attributes
    ----------
    offset_, factor_ : ndarray of shape (channels,)
        Values are multiplied by the factor of their channel, then the offset is added.
    """

    def __init__(self, layout: ImageLayout, scaling: str | None):
        self.layout = layout
        self.scaling = scaling

    def fit(self, table: Images) -> ImageEncoder:
        """Learn nothing: see ``learn_scale``."""
        self.n_inputs_ = self.layout.shape[0]
        return self

    def learn_scale(self, table: Images, weight: np.ndarray | None) -> None:
        """Learn the scaling from training rows with optional weights."""
        n_channels = self.layout.shape[0]
        self.offset_, self.factor_ = np.zeros(n_channels), np.ones(n_channels)
        if self.scaling == "dtype":
            self.factor_ /= _largest_value(table.pixels.dtype)
        elif self.scaling == "channel":
            mean, spread = _moments(self.encode_raw(table), weight)
            # The reciprocal would be infinite in the type in which batches are scaled.
            spread[spread < 1 / np.finfo(table.dtype).max] = 1.0
            self.factor_ = 1 / spread
            self.offset_ = -mean / spread
        elif self.scaling == "range":
            low, high = _range(self.encode_raw(table))
            if low == high:
                raise ValueError(f"X has one value, {low:g}: nothing varies.")
            self.factor_ *= 2 / (high - low)
            self.offset_ = -self.factor_ * (low + high) / 2

    def encode_raw(self, table: Images) -> ImageRows:
        """Return the images without scaling, in double precision."""
        return ImageRows(table, torch.float64, torch.device("cpu"))

    def encode(
        self, table: Images, dtype: torch.dtype, device: torch.device
    ) -> ImageRows:
        """Return the images as rows that are scaled batch by batch."""
        shape = (1, -1, *[1] * (len(self.layout.shape) - 1))
        is_far = np.abs(self.offset_).max() > _LARGE_OFFSET
        scaling_type = torch.float64 if is_far and device.type != "mps" else dtype
        factor, offset = (
            as_tensor(values).to(device, scaling_type).reshape(shape)
            for values in (self.factor_, self.offset_)
        )
        return ImageRows(table, dtype, device, factor, offset)


def _largest_value(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def _moments(
    rows: ImageRows, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each channel; the spread of a constant one is 1."""
    weight = np.ones(len(rows)) if weight is None else weight
    total = weight.sum()
    # In two passes: sums of squares cancel if the mean is far from zero.
    means = [w @ x.flatten(2).mean(-1).numpy() for x, w in _chunks(rows, weight)]
    mean = np.sum(means, axis=0) / total
    center = torch.from_numpy(mean)[:, None]
    squares = [
        w @ (x.flatten(2) - center).square_().mean(-1).numpy()
        for x, w in _chunks(rows, weight)
    ]
    spread = np.sqrt(np.sum(squares, axis=0) / total)
    # Rounding gives constant channels a tiny spread.
    is_constant = spread <= 1e-12 * np.abs(mean)
    spread[is_constant | ~np.isfinite(spread)] = 1.0
    return mean, spread


def _range(rows: ImageRows) -> tuple[float, float]:
    """Return the lowest and the highest value of all images."""
    limits = [x.aminmax() for x, _ in _chunks(rows, np.ones(len(rows)))]
    return float(min(x.min for x in limits)), float(max(x.max for x in limits))


def _chunks(rows: ImageRows, weight: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Yield the images in chunks of a bounded size, with their weights."""
    size = max(1, _CHUNK_VALUES // rows.table.layout.n_values)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield rows.take(part)[0], weight[part]


class ImageRows:
    """Images that are converted to floats and scaled batch by batch.

    Until then they keep the type of X: eight-bit images take an eighth of the memory of
    floats in double precision. On a CPU they share the memory of X.

    Parameters
    ----------
    table : Images
        The images.
    dtype : torch.dtype
        Float type of the batches.
    device : torch.device
        Their device.
    factor, offset : Tensor of shape (1, channels, 1, ...), optional
        The scaling; None if there is none.
    """

    def __init__(
        self,
        table: Images,
        dtype: torch.dtype,
        device: torch.device,
        factor: Tensor | None = None,
        offset: Tensor | None = None,
    ):
        self.table = table
        self.dtype = dtype
        self.device = device
        self.factor = factor
        self.offset = offset
        self._index = None if table.index is None else torch.from_numpy(table.index)
        self._pixels: Tensor | None = None
        if not isinstance(table.pixels, ImageFiles):
            self._pixels = as_tensor(table.pixels)
            if device.type != "cpu":
                self._move_to_device()

    def _move_to_device(self) -> None:
        """Move the images that are meant, and only these, to the device."""
        pixels: Any = self._pixels
        if self._index is not None:
            pixels, self._index = pixels.index_select(0, self._index), None
        self._pixels = pixels.to(self.device)

    def __len__(self) -> int:
        return len(self.table)

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor]:
        """Return some images, (n, channels, *sizes), scaled."""
        x = self.table.layout.channels_second(self._select(index))
        # Convolutions on a CPU are fastest if the channels are last in memory.
        memory_format = _FORMATS.get(x.ndim, torch.contiguous_format)
        if self.factor is None or self.offset is None:
            return (x.to(self.device, self.dtype, memory_format=memory_format),)
        x = x.to(self.device, self.factor.dtype, memory_format=memory_format)
        return (torch.addcmul(self.offset, x, self.factor).to(self.dtype),)

    def _select(self, index: Tensor | slice) -> Tensor:
        """Return some images as in X."""
        if self._pixels is None:
            with naming("X"):  # files may have vanished since the check
                return as_tensor(self.table.pixels.take(self._numbers(index)))
        if self._index is not None:
            index = self._index[index]
        if isinstance(index, slice):
            return self._pixels[index]
        return self._pixels.index_select(0, index)

    def prefetch(self, index: Tensor) -> None:
        """Start to read some images from files, which ``take`` will ask for next."""
        if self._pixels is None:
            self.table.pixels.prefetch(self._numbers(index))

    def _numbers(self, index: Tensor | slice) -> np.ndarray:
        """Return the positions of rows in ``pixels``."""
        rows = self.table.index
        numbers = np.arange(len(self)) if rows is None else rows
        return numbers[index if isinstance(index, slice) else index.cpu().numpy()]
