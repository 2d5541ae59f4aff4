"""Image files: arrays of their pixels, decoded by Pillow in worker threads."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from skdeep._input_checks import is_integer
from skdeep.encoding._image_decoding import (
    FileFormat,
    Header,
    decode,
    pillow,
    read_header,
)
from skdeep.encoding._image_tasks import Tasks, cancel, finish, start, strict_warnings

__all__ = [
    "FileFormat",
    "ImageFiles",
    "check_image_size",
    "find_format",
    "image_column",
    "is_paths",
]


def is_paths(X) -> np.ndarray | None:
    """Return the paths in X, or None if X holds anything else.

    Parameters
    ----------
    X : object
        The user's data. A list, tuple, array, Series or data frame of one column may
        hold paths: str or path-like. A column of a categorical type holds categories.

    Returns
    -------
    paths : ndarray of shape (n_samples,) or None
        The paths as str, of type object.
    """
    values = X if isinstance(X, (list, tuple)) else image_column(X)
    if values is None or len(values) == 0 or not isinstance(values[0], _PATH):
        return None
    if not all(isinstance(value, _PATH) for value in values):
        return None
    paths = np.empty(len(values), dtype=object)
    paths[:] = [str(os.fsdecode(value)) for value in values]
    return paths


_PATH = (str, os.PathLike)
_CATEGORIES = (nw.Categorical, nw.Enum)


def image_column(X) -> np.ndarray | None:
    """Return the items of a column that may hold paths or images, else None.

    A column is an array of objects or text, a Series, or a data frame of one column
    that is not of a categorical type.
    """
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) not in (1, 2):
        return None
    if len(shape) == 2 and shape[1] != 1:
        return None
    if not isinstance(X, np.ndarray):
        if not hasattr(X, "to_numpy"):
            return None
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame) and frame.schema.dtypes()[0] in _CATEGORIES:
            return None
        X = X.to_numpy()
    return X.ravel() if X.dtype.kind in "OUT" else None


def find_format(paths: Sequence[str], image_size) -> FileFormat:
    """Return the format that fits image files, from their headers.

    Parameters
    ----------
    paths : sequence of str
        The files.
    image_size : None, int or tuple of int
        Height and width to resize the images to; an int for both. None takes the size
        of the files, which must all have it.

    Returns
    -------
    format : FileFormat
        RGB if a file has colors, else grayscale; of 16 bits if all files are grayscale
        of 16 bits.

    Raises
    ------
    ValueError
        If ``image_size`` is invalid, files cannot be read, or sizes differ.
    ImportError
        If Pillow is not installed.
    """
    if len(paths) == 0:
        raise ValueError("There are no image files to read.")
    size = check_image_size(image_size)
    pillow()
    read = functools.partial(read_header, with_size=size is None)
    with strict_warnings():
        headers: list[Header] = finish(start(lambda row: read(paths[row]), paths))
    if size is None:
        size = _common_size(paths, headers)
    n_channels = 3 if any(header.is_color for header in headers) else 1
    is_deep = all(header.is_deep for header in headers)
    return FileFormat(size, n_channels, "uint16" if is_deep else "uint8")


def check_image_size(image_size) -> tuple[int, int] | None:
    """Return ``image_size`` as (height, width), or None.

    Raises
    ------
    ValueError
        If it is neither None, a positive integer nor two of them.
    """
    if image_size is None:
        return None
    is_pair = isinstance(image_size, (list, tuple, np.ndarray))
    lengths = image_size if is_pair else [image_size] * 2
    if len(lengths) != 2 or not all(is_integer(n) and n > 0 for n in lengths):
        raise ValueError(
            "image_size must be None, a positive integer, or (height, width), got "
            f"{image_size!r}."
        )
    return int(lengths[0]), int(lengths[1])


def _common_size(paths: Sequence[str], headers: list[Header]) -> tuple[int, int]:
    """Return the size of all images; raise if they differ."""
    first = headers[0].size
    for path, header in zip(paths, headers, strict=True):
        if header.size != first:
            raise ValueError(
                f"The images have different sizes (height, width): {paths[0]!r} has "
                f"{first} and {path!r} has {header.size}. Set image_size, such as "
                f"image_size={first}, to resize them."
            )
    return first


@dataclass
class _Store:
    """Pixels that several selections share; None if they are not kept."""

    pixels: np.ndarray | None = None
    is_checked: bool = False


class _Ahead(NamedTuple):
    """A batch that is decoded in the background."""

    numbers: np.ndarray
    pixels: np.ndarray
    tasks: Tasks


class ImageFiles:
    """Rows of images in files, decoded when they are taken.

    Parameters
    ----------
    paths : sequence of str
        The files.
    format : FileFormat
        Size, channels and type of the images.
    memory_budget : int
        `load` keeps the images if they need at most this number of bytes.

    Notes
    -----
    A pickle, and thus ``joblib.hash``, holds the paths, sizes and modification times
    of the files, but no pixels. What is unpickled decodes the files again.
    """

    def __init__(self, paths: Sequence[str], format: FileFormat, memory_budget: int):
        self.format = format
        self.memory_budget = memory_budget
        self._paths = [str(path) for path in paths]
        self._numbers = np.arange(len(self._paths))  # of the rows, in _paths
        self._store = _Store()
        self._ahead: _Ahead | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"ImageFiles(shape={self.shape}, dtype={self.format.dtype!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width) or (n, height, width, 3)."""
        return (len(self), *self.format.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of the arrays that `take` returns."""
        return np.dtype(self.format.dtype)

    @property
    def paths(self) -> list[str]:
        """The file of each row."""
        return [self._paths[number] for number in self._numbers]

    @property
    def nbytes(self) -> int:
        """The number of bytes of all rows, decoded."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    @property
    def is_kept(self) -> bool:
        """Whether the pixels are in memory."""
        return self._store.pixels is not None

    def load(self) -> None:
        """Decode every file once, and keep the pixels if they fit the budget.

        Raises
        ------
        ValueError
            If files cannot be decoded; it names them.
        """
        if self.is_kept:
            return
        fits = self.nbytes <= self.memory_budget
        pixels = np.empty(self.shape, self.dtype) if fits else None
        with strict_warnings():
            finish(self._decode_into(pixels, self._numbers))
        if len(self) < len(self._paths):  # a selection: others lack what it has loaded
            self._paths, self._store = self.paths, _Store()
            self._numbers, self._ahead = np.arange(len(self)), None
        self._store.pixels, self._store.is_checked = pixels, True

    def take(self, index) -> np.ndarray:
        """Return the images of some rows.

        Parameters
        ----------
        index : ndarray or slice
            Numbers of rows.

        Returns
        -------
        pixels : ndarray of shape (n, height, width) or (n, height, width, 3)
            In the format's type.

        Raises
        ------
        ValueError
            If files cannot be decoded; it names them.
        """
        numbers = self._numbers[index]
        if self._store.pixels is not None:
            return self._store.pixels[numbers]
        ahead = self._ahead
        if ahead is not None and np.array_equal(ahead.numbers, numbers):
            self._ahead = None
            finish(ahead.tasks)
            return ahead.pixels
        return self._decode(numbers)

    def prefetch(self, index) -> None:
        """Start to decode some rows, for the next `take` of the same index.

        One batch is decoded ahead; another one replaces it.
        """
        if self.is_kept:
            return
        numbers = self._numbers[index].copy()
        if self._ahead is not None:
            if np.array_equal(self._ahead.numbers, numbers):
                return
            cancel(self._ahead.tasks)
        pixels = np.empty((len(numbers), *self.format.shape), self.dtype)
        self._ahead = _Ahead(numbers, pixels, self._decode_into(pixels, numbers))

    def rows(self, index) -> ImageFiles:
        """Return a selection of rows, which shares the pixels in memory."""
        selected = object.__new__(type(self))
        selected.__dict__.update(self.__dict__)
        selected._numbers = self._numbers[index]
        selected._ahead = None
        return selected

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        pixels = np.empty((len(numbers), *self.format.shape), self.dtype)
        # Files that are checked do not warn. (The filters of warnings are global, and
        # a change makes Python repeat warnings that it shows once.)
        quiet = contextlib.nullcontext() if self._store.is_checked else None
        with quiet or strict_warnings():
            finish(self._decode_into(pixels, numbers))
        return pixels

    def _decode_into(self, out: np.ndarray | None, numbers: np.ndarray) -> Tasks:
        """Start to decode files into the rows of an array, or only to check them."""
        pillow()
        paths = [self._paths[number] for number in numbers]

        def decode_row(row: int) -> None:
            pixels = decode(paths[row], self.format)
            if out is not None:
                out[row] = pixels

        return start(decode_row, paths)

    def __getstate__(self) -> dict[str, Any]:
        paths = self.paths
        return {
            "paths": paths,
            "format": self.format,
            "memory_budget": self.memory_budget,
            "stamps": [_stamp(path) for path in paths],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["paths"], state["format"], state["memory_budget"]
        )


def _stamp(path: str) -> list[int]:
    """Return what changes with a file: its size and its modification time."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return []
    return [status.st_size, status.st_mtime_ns]
