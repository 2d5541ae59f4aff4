"""Tables and images as tensors that a network reads and reconstructs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skdeep.encoding._images import ImageEncoder, ImageLayout, ImageRows, Images
from skdeep.encoding._inputs import InputEncoder, Table
from skdeep.encoding._rows import DenseRows, SparseMatrixRows, as_tensor
from skdeep.encoding._table_format import TableFormat, cast_numbers

# Rounding gives constant columns a spread of about this share of their values.
_TINY = 1e-7


class ColumnEncoder:
    """Turns checked columns into numbers, NaN where missing, and codes of categories.

    A column without any value in the training rows carries no information: its values
    in later rows are treated as missing, and it is decoded as missing.

    Parameters
    ----------
    layout : TableFormat
        The format of the table.
    scaling : {"standard"} or None
        Whether the numbers of each column are divided by its standard deviation over
        the training rows. The mean is subtracted in any case.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_numbers,)
        Subtracted from the numbers, which are then divided by the scale.
    indicated_ : ndarray of int
        Positions of the numeric columns with gaps in the training rows.
    known_ : list of ndarray
        The categories of each categorical column.
    """

    def __init__(self, layout: TableFormat, scaling: str | None):
        self.layout = layout
        self.scaling = scaling

    def fit(self, table: Table, weight: np.ndarray | None = None) -> ColumnEncoder:
        """Learn from training rows with optional weights."""
        numbers = table.numeric
        if sparse.issparse(numbers):
            self.indicated_ = np.arange(0)
            mean, spread = _sparse_moments(numbers, weight)
        else:
            is_missing = np.isnan(numbers)
            self.indicated_ = np.flatnonzero(is_missing.any(0) & ~is_missing.all(0))
            mean, spread = moments(numbers, is_missing, weight)
        self.mean_, self.scale_ = mean, spread
        if self.scaling is None:
            # Numbers are centered still: gaps are read as 0, which must be the mean.
            self.scale_ = np.ones_like(spread)
        self._categories = None
        if table.categories is not None:
            no_numbers = Table(numbers[:, :0], table.categories)
            self._categories = InputEncoder().fit(no_numbers)
        return self

    @property
    def n_numbers_(self) -> int:
        """Number of numeric columns."""
        return len(self.mean_)

    @property
    def n_inputs_(self) -> int:
        """Number of numeric columns, by the name that other encoders use."""
        return self.n_numbers_

    @property
    def known_(self) -> list[np.ndarray]:
        """The categories of each categorical column."""
        encoder: Any = self._categories
        return [] if encoder is None else encoder.known_

    def network_sizes(self) -> dict[str, Any]:
        """Return what a network has to know of the columns."""
        return {
            "n_numbers": self.n_numbers_,
            "n_known": [len(known) for known in self.known_],
            "indicated": self.indicated_.tolist(),
        }

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the rows as tensors of the given type on the given device."""
        if sparse.issparse(table.numeric):
            return ScaledSparseRows(
                table.numeric, dtype, device, self.mean_, self.scale_
            )
        with np.errstate(over="ignore"):
            numbers = ((table.numeric - self.mean_) / self.scale_).astype(
                table.dtype, copy=False
            )
        tensor = as_tensor(numbers).to(device, dtype)
        if self._categories is None:
            return DenseRows(tensor)
        no_numbers = Table(table.numeric[:, :0], table.categories)
        _, codes = self._categories.encode(no_numbers, dtype, device).tensors
        return DenseRows(tensor, codes)

    def restore(
        self,
        values: np.ndarray,
        chosen: list[np.ndarray],
        dtype: Any,
        index: Any = None,
    ):
        """Return a table like that of the training rows.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_values)
            Scaled numbers; columns after them are ignored.
        chosen : list of ndarray of int of shape (n_samples,)
            For each categorical column, positions in its ``known_`` categories. A
            column without any is missing.
        dtype : dtype
            Type of the floats of an array.
        index : pandas.Index, optional
            Index of a data frame of pandas.
        """
        numbers = values[:, : self.n_numbers_] * self.scale_ + self.mean_
        if self.layout.backend is None:
            numbers = numbers.astype(dtype)
        columns = [
            known[codes] if len(known) else np.full(len(codes), None)
            for known, codes in zip(self.known_, chosen, strict=True)
        ]
        return self.layout.restore(numbers, columns, index)

    def log_volume(self, rows: DenseRows | SparseMatrixRows) -> np.ndarray:
        """Return the logarithms of the units of the observed numbers of each row.

        They are subtracted from log-densities of scaled rows to get those of rows in
        the unit of X.
        """
        if isinstance(rows, SparseMatrixRows):
            return np.full(len(rows), np.log(self.scale_).sum())
        is_observed = ~rows.tensors[0].isnan().cpu().numpy()
        return is_observed @ np.log(self.scale_)


class ScaledSparseRows(SparseMatrixRows):
    """Rows of a sparse matrix, made dense and scaled one batch at a time.

    Parameters
    ----------
    matrix : sparse matrix of shape (n_samples, n_numbers)
        The rows.
    dtype : torch.dtype
        Type of the batches.
    device : torch.device
        Where the batches are.
    mean, scale : ndarray of shape (n_numbers,)
        Subtracted from the numbers, which are then divided by the scale.
    """

    def __init__(self, matrix, dtype, device, mean: np.ndarray, scale: np.ndarray):
        # In double precision, as dense rows are scaled.
        super().__init__(matrix, torch.float64, torch.device("cpu"))
        self.final = {"dtype": dtype, "device": device}
        self.mean, self.scale = as_tensor(mean), as_tensor(scale)

    def take(self, index, out=None):
        """Return some rows as a dense tensor."""
        (dense,) = super().take(index)
        return (((dense - self.mean) / self.scale).to(**self.final),)


def _sparse_moments(numbers, weight) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column of a sparse matrix."""
    matrix = sparse.csr_matrix(numbers, dtype=np.float64)
    largest = abs(matrix).max(axis=0).toarray().ravel()
    largest = np.where(largest > 0, largest, 1.0)
    scaled = sparse.csr_matrix(matrix.multiply(1 / largest))
    mean, variance = mean_variance_axis(scaled, axis=0, weights=weight)
    return mean * largest, _spread(np.sqrt(variance), largest, numbers.dtype)


def _spread(spread: np.ndarray, largest: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return spreads that are relative to the largest values; 1 for constant ones."""
    tiny = _TINY if dtype == np.float32 else _TINY**2
    return np.where(spread > tiny, spread * largest, 1.0)


def moments(
    numbers: np.ndarray, is_missing: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column; the spread of a constant one is 1.

    The mean of a column without values is NaN. ``weight`` are those of the rows.
    """
    filled = np.where(is_missing, 0.0, numbers).astype(np.float64, copy=False)
    each = np.ones(len(filled)) if weight is None else weight / weight.mean()
    counts = each @ ~is_missing
    largest = np.abs(filled).max(axis=0, initial=0)
    largest = np.where(largest > 0, largest, 1.0)
    filled = filled / largest  # sums of large numbers would overflow
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = each @ filled / counts
        deviations = np.where(is_missing, 0.0, filled - mean)
        spread = np.sqrt(each @ np.square(deviations) / counts)
    return mean * largest, _spread(spread, largest, numbers.dtype)


class PixelEncoder(ImageEncoder):
    """Turns images into scaled tensors, and reconstructions into images.

    Parameters
    ----------
    layout : ImageLayout
        The layout of the images.
    scaling : {"standard", "range"} or None
        "standard" standardizes each channel by its mean and standard deviation; "range"
        maps the lowest and the highest value of all to -1 and 1.
    """

    #: There are no categories.
    known_: tuple = ()

    def __init__(self, layout: ImageLayout, scaling: str | None):
        super().__init__(layout, "channel" if scaling == "standard" else scaling)

    def fit(self, table: Images, weight: np.ndarray | None = None) -> PixelEncoder:
        """Learn the scaling from training rows with optional weights."""
        super().fit(table)
        self.learn_scale(table, weight)
        pixels = table.pixels
        self.dtype_ = getattr(pixels, "dtype", np.dtype(np.uint8)).str
        return self

    @property
    def n_values_(self) -> int:
        """Number of values of an image."""
        return self.layout.n_values

    def network_sizes(self) -> dict[str, Any]:
        """Return what a network has to know of the images."""
        return {"shape": self.layout.shape}

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return images as in X: (n, channels, *sizes) -> (n, ...)."""
        shape = (1, -1, *[1] * (values.ndim - 2))
        images = (values - self.offset_.reshape(shape)) / self.factor_.reshape(shape)
        if self.layout.channel_axis is None:
            images = images[:, 0]
        elif self.layout.channel_axis == -1:
            images = np.moveaxis(images, 1, -1)
        if self.layout.is_flat:
            images = images.reshape(len(images), -1)
        return cast_numbers(images, np.dtype(self.dtype_))

    def log_volume(self, rows: ImageRows) -> np.ndarray:
        """Return the logarithms of the unit of the values, for each image."""
        n_positions = self.layout.n_values / self.layout.shape[0]
        return np.full(len(rows), -n_positions * np.log(self.factor_).sum())
