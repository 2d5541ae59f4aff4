"""Sequences of numbers as tensors that a network reads and reconstructs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skdeep.encoding._columns import moments
from skdeep.encoding._rows import DenseRows, as_tensor
from skdeep.encoding._sequences import Sequences
from skdeep.encoding._table_format import cast_numbers


@dataclass(frozen=True)
class SequenceFormat:
    """What sequences looked like, so that reconstructed ones look the same.

    Parameters
    ----------
    axes : {"2-D", "3-D"}
        Whether the number of columns of X is fixed ("2-D"), or only that of features.
    dtype : str
        Type of the numbers.
    is_list : bool
        Whether X is a list of arrays.
    is_flat : bool
        Whether a sequence is one-dimensional.
    """

    axes: str
    dtype: str
    is_list: bool
    is_flat: bool

    @classmethod
    def of(cls, X, axes: str) -> SequenceFormat:
        """Return the format of the user's sequences."""
        if _is_list(X):
            parts = [np.asarray(sequence) for sequence in X]
            kind = np.result_type(*{part.dtype for part in parts})
            is_array = isinstance(X[0], np.ndarray)
            # Nested lists of one length are an array, as everywhere else.
            is_list = is_array or len({len(part) for part in parts}) > 1
            return cls(axes, kind.str, is_list, parts[0].ndim == 1)
        X = np.asarray(X)
        return cls(axes, X.dtype.str, False, X.ndim == 2)

    def restore(self, values: np.ndarray, lengths: np.ndarray | None):
        """Return sequences in this format.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_steps, n_features)
            The numbers of all steps.
        lengths : ndarray of int of shape (n_samples,), or None
            Number of steps of each sequence; None if it is ``n_steps``.

        Returns
        -------
        sequences : list of ndarray, or ndarray
            An array has NaN after the end of shorter sequences.
        """
        values = values[:, :, 0] if self.is_flat else values
        dtype = np.dtype(self.dtype)
        if self.is_list:
            if lengths is None:
                lengths = np.full(len(values), values.shape[1])
            return [
                cast_numbers(row[:length], dtype)
                for row, length in zip(values, lengths, strict=True)
            ]
        if lengths is not None:
            values = values.copy()
            for row, length in zip(values, lengths, strict=True):
                row[length:] = np.nan
        return cast_numbers(values, dtype)


def _is_list(X) -> bool:
    holds_objects = getattr(X, "dtype", None) == np.dtype(object) and np.ndim(X) == 1
    return isinstance(X, (list, tuple)) or holds_objects


class StepEncoder:
    """Scales the numbers of sequences, and turns reconstructions into sequences.

    Parameters
    ----------
    layout : SequenceFormat
        The format of the sequences.
    scaling : {"standard"} or None
        Whether the numbers of each feature are divided by their standard deviation over
        all steps of the training rows. The mean is subtracted in any case.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        Subtracted from the numbers, which are then divided by the scale.
    longest_ : int
        Number of steps of the longest training sequence.
    length_moments_ : tuple of float, or None
        Mean and standard deviation of the numbers of steps, if they differ.
    """

    #: There are no categories.
    known_: tuple = ()

    def __init__(self, layout: SequenceFormat, scaling: str | None):
        self.layout = layout
        self.scaling = scaling

    def fit(self, table: Sequences, weight: np.ndarray | None = None) -> StepEncoder:
        """Learn from training rows with optional weights."""
        numbers, lengths = table.numeric, table.lengths
        is_step = ~table.is_padding
        flat = numbers.reshape(-1, numbers.shape[-1])
        if lengths is not None:
            flat = numbers[is_step]
        by_step = None
        if weight is not None:
            by_step = np.broadcast_to(weight[:, np.newaxis], is_step.shape)[is_step]
        no_gaps = np.zeros(flat.shape, dtype=bool)
        self.mean_, self.scale_ = moments(flat, no_gaps, by_step)
        if self.scaling is None:
            self.scale_ = np.ones_like(self.scale_)
        self.longest_ = table.numeric.shape[1]
        self.length_moments_ = None
        if lengths is not None:
            self.longest_ = int(lengths.max())
            mean = np.average(lengths, weights=weight)
            variance = np.average((lengths - mean) ** 2, weights=weight)
            self.length_moments_ = float(mean), float(np.sqrt(variance) or 1.0)
        return self

    @property
    def n_inputs_(self) -> int:
        """Number of features."""
        return len(self.mean_)

    def network_sizes(self) -> dict[str, Any]:
        """Return what a network has to know of the sequences."""
        return {
            "n_numbers": self.n_inputs_,
            "n_steps": self.longest_,
            "has_length": self.length_moments_ is not None,
        }

    def encode(self, table: Sequences, dtype: torch.dtype, device: torch.device):
        """Return the sequences, and their lengths if they differ, as tensors."""
        with np.errstate(over="ignore"):
            numbers = ((table.numeric - self.mean_) / self.scale_).astype(
                table.dtype, copy=False
            )
        x = as_tensor(numbers).to(device, dtype)
        if table.lengths is None:
            return DenseRows(x)
        # The network ignores padding, but 0 * NaN would spread in its gradient.
        lengths = torch.from_numpy(np.asarray(table.lengths)).to(device)
        return DenseRows(x.nan_to_num(nan=0.0), lengths)

    def decode(self, values: np.ndarray, lengths: np.ndarray | None, dtype: Any):
        """Return sequences as in X.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_steps, n_scores)
            Scaled numbers, then the scaled length if the lengths differ in training.
        lengths : ndarray of int of shape (n_samples,), optional
            Known lengths. Without them, those that the network gives.
        dtype : dtype
            Type of floats.
        """
        numbers = values[:, :, : self.n_inputs_] * self.scale_ + self.mean_
        if lengths is None and self.length_moments_ is not None:
            mean, spread = self.length_moments_
            found = np.rint(values[:, 0, -1] * spread + mean)
            lengths = found.clip(1, values.shape[1]).astype(int)
        return self.layout.restore(numbers.astype(dtype), lengths)

    def log_volume(self, rows: DenseRows) -> np.ndarray:
        """Return the logarithms of the units of the numbers of each sequence."""
        x = rows.tensors[0]
        n_steps = np.full(len(x), x.shape[1])
        if len(rows.tensors) > 1:
            n_steps = rows.tensors[1].cpu().numpy()
        volume = n_steps * np.log(self.scale_).sum()
        if self.length_moments_ is not None:
            volume = volume + np.log(self.length_moments_[1])
        return volume
