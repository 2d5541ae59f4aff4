"""Encoders of labels, numbers and distributions, which also decode predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.metrics import r2_score
from sklearn.utils.multiclass import type_of_target
from torch import Tensor

from skdeep.encoding._rows import as_tensor


class ClassTargets:
    """Labels of one output, each one of the classes.

    Parameters
    ----------
    classes : array-like
        All classes, possibly repeated.
    """

    is_multilabel = False

    def __init__(self, classes):
        self.classes_ = np.unique(classes)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the index of each label, (n_samples,).

        Raises
        ------
        ValueError
            If a label is not among the classes.
        """
        if y.ndim != 1:
            raise ValueError(
                "y must have shape (n_samples,), one label per sample as in training, "
                f"got shape {y.shape}."
            )
        # searchsorted returns a valid index for unknown labels too, so compare below.
        codes = np.searchsorted(self.classes_, y)
        codes = np.minimum(codes, len(self.classes_) - 1)
        if np.any(self.classes_[codes] != y):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes_}. 'y' has {np.unique(y)}."
            )
        return codes

    def as_tensor(self, codes: np.ndarray, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets in the form that the loss expects.

        ``kind`` is "codes", "indicators" (of the second class), or "distributions",
        for one-hot rows.
        """
        if kind == "codes":
            return torch.from_numpy(codes.astype(np.int64))
        if kind == "indicators":
            return torch.from_numpy(codes[:, np.newaxis] == 1).to(dtype)
        onehot = codes[:, np.newaxis] == np.arange(len(self.classes_))
        return torch.from_numpy(onehot).to(dtype)

    def codes_from(self, raw: Tensor) -> Tensor:
        """Return the index of the class with the highest raw score.

        The classes are on the last axis.
        """
        if raw.shape[-1] > 1:
            # argmax takes ten times as long if the classes are not adjacent in memory.
            return raw.max(-1).indices
        # A single class is predicted for any score.
        return (raw[..., 0] > 0).long().clamp_max(len(self.classes_) - 1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the labels of the indices."""
        return self.classes_[codes]

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the probabilities of all classes from those of the loss."""
        if len(self.classes_) == 1:
            return np.ones((*values.shape[:-1], 1), dtype=values.dtype)
        if values.shape[-1] > 1:
            return values
        both = np.empty((*values.shape[:-1], 2), dtype=values.dtype)
        both[..., 1] = values[..., 0]
        np.subtract(1, both[..., 1], out=both[..., 0])
        return both

    def margins(self, raw: np.ndarray) -> np.ndarray:
        """Return raw scores in the shape of scikit-learn's decision functions."""
        if raw.shape[1] == 1:
            return raw[:, 0]
        if len(self.classes_) == 2:
            with np.errstate(over="ignore"):  # infinity has the right sign
                return raw[:, 1] - raw[:, 0]
        return raw

    @staticmethod
    def score(
        codes: Tensor, expected: np.ndarray, weight: np.ndarray | None
    ) -> float | np.ndarray:
        """Return the accuracy: one for each network if codes have an axis for them."""
        return np.average(codes.cpu().numpy() == expected, axis=-1, weights=weight)


class DistributionTargets(ClassTargets):
    """Rows of class probabilities; the classes are counted from 0.

    Parameters
    ----------
    n_classes : int
        Length of a row.
    """

    def __init__(self, n_classes: int):
        super().__init__(np.arange(n_classes))

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Check the rows and return them.

        Raises
        ------
        ValueError
            If a row is not a distribution over the classes.
        """
        if y.ndim != 2 or y.shape[1] != len(self.classes_):
            raise ValueError(
                f"y must be rows of {len(self.classes_)} class probabilities, got "
                f"shape {y.shape}."
            )
        if y.min() < 0 or not np.allclose(y.sum(axis=1), 1, atol=1e-3):
            worst = np.argmax(np.abs(y.sum(axis=1) - 1))
            raise ValueError(
                "Rows of y must be class probabilities, non-negative and summing to 1; "
                f"row {worst} is {y[worst]}."
            )
        return y

    def as_tensor(self, codes, kind, dtype):
        return as_tensor(np.ascontiguousarray(codes)).to(dtype)

    @staticmethod
    def score(codes, expected, weight):
        return ClassTargets.score(codes, expected.argmax(axis=1), weight)


class LabelTargets:
    """Several labels, each present or not, as rows of 0 and 1.

    Parameters
    ----------
    n_labels : int
        Length of a row.
    """

    is_multilabel = True

    def __init__(self, n_labels: int):
        self.classes_ = np.arange(n_labels)

    def encode(self, y) -> np.ndarray:
        """Return the rows as an array.

        Raises
        ------
        ValueError
            If they do not have as many columns as in training.
        """
        rows = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if rows.ndim != 2 or rows.shape[1] != len(self.classes_):
            raise ValueError(
                f"y must have {len(self.classes_)} columns of labels, as in training, "
                f"got shape {rows.shape}."
            )
        return rows

    def as_tensor(self, rows: np.ndarray, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets as numbers."""
        return as_tensor(np.ascontiguousarray(rows)).to(dtype)

    def codes_from(self, raw: Tensor) -> Tensor:
        """Return 1 for labels that are present, 0 for others."""
        return (raw > 0).long()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the rows unchanged."""
        return codes

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the probability of each label."""
        return values

    def margins(self, raw: np.ndarray) -> np.ndarray:
        """Return the raw score of each label."""
        return raw

    @staticmethod
    def score(
        codes: Tensor, expected: np.ndarray, weight: np.ndarray | None
    ) -> float | np.ndarray:
        """Return the subset accuracy: the share of rows with all labels correct.

        There is one for each network if codes have an axis for them.
        """
        right = (codes.cpu().numpy() == expected).all(axis=-1)
        return np.average(right, axis=-1, weights=weight)


class ValueTargets:
    """Numbers, one output or several.

    Parameters
    ----------
    n_outputs : int
        Number of values per row.
    flat : bool
        Whether predictions are (n_samples,).

    Attributes
    ----------
    scale : TargetScale or None
        Scale of the network's targets, set by ``learn_scale``; None leaves them
        unscaled.
    """

    scale: TargetScale | None = None

    def __init__(self, n_outputs: int, flat: bool):
        self.n_outputs = n_outputs
        self.flat = flat

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the values as (n_samples, n_outputs).

        Raises
        ------
        ValueError
            If y is not numeric, or has a different number of outputs than in training.
        """
        if y.dtype.kind not in "biuf":
            raise ValueError(f"y must hold numbers, got {y.ravel()[0]!r} ({y.dtype}).")
        values = y.reshape(len(y), -1)
        if values.shape[1] != self.n_outputs:
            raise ValueError(
                f"y must have {self.n_outputs} outputs, as in training, got "
                f"{values.shape[1]}."
            )
        return values

    def learn_scale(self, values: np.ndarray, weight: np.ndarray | None) -> None:
        """Learn the mean and the spread of the encoded targets of the training rows."""
        self.scale = TargetScale.of(values, weight)

    def as_tensor(self, values: np.ndarray, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets, scaled for the network."""
        # Scaled in float64: a large mean would cost float32 its precision. Copied:
        # y may be read-only, or hold integers.
        return torch.from_numpy(np.array(self._scaled(values), np.float64)).to(dtype)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        return values if self.scale is None else self.scale.scaled(values)

    def restored(self, values: np.ndarray, dtype) -> np.ndarray:
        """Return predictions of the network in units of the target."""
        if self.scale is None:
            return values.astype(dtype, copy=False)
        return self.scale.restored(values, dtype)

    def restored_std(self, std: np.ndarray, dtype) -> np.ndarray:
        """Return standard deviations of predictions in units of the target."""
        if self.scale is None:
            return std.astype(dtype, copy=False)
        return self.scale.restored_std(std, dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return predictions in the shape of the target."""
        return values[:, 0] if self.flat else values

    def targets_vary(self, expected: np.ndarray) -> bool:
        """Return whether the targets vary, so that R² on them is meaningful."""
        values = expected.reshape(len(expected), -1)
        return bool((values != values[:1]).any())

    def score(
        self, values: Tensor, expected: np.ndarray, weight: np.ndarray | None
    ) -> float | np.ndarray:
        """Return R² of scaled predictions; NaN for a single row.

        There is one for each network if the values have an axis for them.
        """
        expected, predicted = self._scaled(expected), values.cpu().double().numpy()
        if predicted.ndim == expected.ndim:
            return r2(expected, predicted, weight)
        return _mean_r2(expected, predicted, weight)


def r2(expected, predicted, weight, multioutput="uniform_average") -> float:
    """Return R²; NaN for a single row, minus infinity if a prediction is not finite."""
    if multioutput == "uniform_average":
        n_rows = len(expected)
        expected, predicted = (
            expected.reshape(n_rows, -1),
            predicted.reshape(n_rows, -1),
        )
        return float(_mean_r2(expected, predicted, weight))
    # scikit-learn would warn, or raise.
    if len(expected) < 2:
        return math.nan
    if not np.isfinite(predicted).all():
        return -math.inf
    with np.errstate(over="ignore"):
        return float(
            r2_score(expected, predicted, sample_weight=weight, multioutput=multioutput)
        )


def _mean_r2(expected, predicted, weight) -> np.ndarray:
    """Return the mean R² of columns, (n_samples, n) and (..., n_samples, n) -> (...).

    The same as ``r2_score``, whose checks take a millisecond.
    """
    expected = np.asarray(expected, np.float64)
    predicted = np.asarray(predicted, np.float64)
    if len(expected) < 2:
        return np.full(predicted.shape[:-2], math.nan)
    # The same sums as scikit-learn's, whose rounding decides if all targets are equal.
    mean = np.average(expected, axis=0, weights=weight)
    column = 1.0 if weight is None else np.asarray(weight)[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.sum(column * (expected - predicted) ** 2, axis=-2)
        variation = np.sum(column * (expected - mean) ** 2, axis=0)
        varies = variation != 0
        # As there, a constant is predicted exactly or not at all.
        scores = np.where(error == 0, 1.0, 0.0)
        scores[..., varies] = 1 - error[..., varies] / variation[varies]
    is_finite = np.isfinite(predicted).all(axis=(-2, -1))
    return np.where(is_finite, scores.mean(axis=-1), -math.inf)


class TargetScale:
    """Mean and spread of targets.

    The outputs of a network start near 0 and change by about the learning rate in each
    step, so that it learns targets of mean 0 and spread 1 best.

    Parameters
    ----------
    mean, spread : ndarray of shape (n_outputs,)
        Mean and standard deviation of each output.
    """

    def __init__(self, mean: np.ndarray, spread: np.ndarray):
        self.mean = mean
        self.spread = spread

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray | None = None) -> TargetScale:
        """Return the scale of values of any magnitude, (n_samples, n_outputs).

        Values are divided by a power of two before they are summed. This is exact, and
        keeps sums from overflowing or underflowing. If all values are equal up to
        rounding, the spread is a small share of them, so that errors are small too.

        Raises
        ------
        ValueError
            If the difference of two values overflows.
        """
        values = np.asarray(values, dtype=np.float64)
        unit = _exponent(values)
        near = np.ldexp(values, -unit)
        # Two passes: the mean of squares minus the square of the mean would lose the
        # spread of values far from 0.
        mean = np.average(near, axis=0, weights=weight)
        apart = near - mean
        step = _exponent(apart)
        square = np.ldexp(apart, -step) ** 2
        spread = np.ldexp(np.sqrt(np.average(square, axis=0, weights=weight)), step)
        is_constant = spread <= 4 * np.finfo(np.float64).eps * np.abs(mean)
        with np.errstate(over="ignore", under="ignore"):
            mean, spread = np.ldexp(mean, unit), np.ldexp(spread, unit)
            largest = np.abs(values - mean).max()
        if not np.isfinite(largest):
            raise ValueError(
                "y holds values too large to be scaled: "
                f"they range from {values.min():.3g} to {values.max():.3g}."
            )
        guess = _ASSUMED_SPREAD * np.where(mean == 0, 1.0, np.abs(mean))
        spread = np.where(is_constant | (spread == 0), guess, spread)
        return cls(mean, np.where(spread == 0, 1.0, spread))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values in standard deviations from the mean."""
        return (values - self.mean) / self.spread

    def restored(self, values: np.ndarray, dtype) -> np.ndarray:
        """Return scaled values in their unit, in a sufficiently precise float type."""
        with np.errstate(over="ignore"):
            restored = values.astype(np.float64) * self.spread + self.mean
        return _clip_to_finite(restored).astype(self._type_for(dtype), copy=False)

    def restored_std(self, std: np.ndarray, dtype) -> np.ndarray:
        """Return standard deviations in the unit of the values."""
        with np.errstate(over="ignore"):
            restored = std.astype(np.float64) * self.spread
        return _clip_to_finite(restored).astype(self._type_for(dtype), copy=False)

    def _type_for(self, dtype) -> np.dtype:
        """Return ``dtype``, or float64 if its precision or range is too small."""
        limits = np.finfo(dtype)
        with np.errstate(over="ignore"):
            largest = np.abs(self.mean) + 1e3 * self.spread
        suffices = (
            (np.abs(self.mean) * limits.eps < _RESOLUTION * self.spread)
            & (largest < limits.max)
            & (self.spread > limits.tiny / _RESOLUTION)
        )
        return np.dtype(dtype) if suffices.all() else np.dtype(np.float64)


# Assumed spread of values that are all equal, as a share of them.
_ASSUMED_SPREAD = 0.01
# Predictions must resolve differences of this share of a standard deviation.
_RESOLUTION = 1e-3


def _clip_to_finite(values: np.ndarray) -> np.ndarray:
    """Return values with infinities replaced by the largest float."""
    largest = np.finfo(values.dtype).max
    return np.clip(values, -largest, largest)


def _exponent(values: np.ndarray) -> np.ndarray:
    """Return the power of two that bounds the absolute values of each column."""
    return np.frexp(np.abs(values).max(axis=0))[1]


class NoTargets:
    """Stands for the targets of a network that learns from its rows alone.

    Parameters
    ----------
    inputs : object, default=None
        The fitted encoder of the rows, from which the loss and the number of raw scores
        follow. It may be set later.
    """

    def __init__(self, inputs: Any = None):
        self.inputs = inputs

    def encode(self, y):
        """Return y, which is empty."""
        return y


def check_no_missing_labels(y) -> None:
    """Raise if y holds missing values: None, NaN or pandas' NA."""
    missing = 0 if sparse.issparse(y) else np.sum(pd.isna(y))
    if missing:
        raise ValueError(f"y must not hold missing values, got {missing}.")


def kind_of_labels(y) -> str:
    """Return scikit-learn's type of a classifier's targets, such as "binary".

    Raises
    ------
    ValueError
        If y holds missing values, or is not a classification target.
    """
    check_no_missing_labels(y)
    with np.errstate(invalid="ignore"):  # numbers too large to convert to int
        return type_of_target(y, input_name="y", raise_unknown=True)


def are_plain_labels(y) -> bool:
    """Return whether y is an array of integers or text, one label per row.

    All of them are valid classes. scikit-learn's checks, which say the same, take
    longer than to find the distinct labels.
    """
    return (
        type(y) is np.ndarray and y.ndim == 1 and y.size > 0 and y.dtype.kind in "iuU"
    )


def class_targets(y, classes=None, *, distributions: bool):
    """Return the encoder for the targets of a classifier.

    Parameters
    ----------
    y : array-like or sparse matrix
        The target, checked for missing values.
    classes : array-like, optional
        All classes, if y may hold only some of them.
    distributions : bool
        Whether a 2-D y holds rows of probabilities.

    Raises
    ------
    ValueError
        If y is not a classification target.
    """
    if distributions and getattr(y, "ndim", 1) == 2:
        return DistributionTargets(y.shape[1])
    if are_plain_labels(y):
        return ClassTargets(y if classes is None else classes)
    kind = kind_of_labels(y)
    if kind == "multilabel-indicator":
        return LabelTargets(y.shape[1])
    if kind in ("binary", "multiclass"):
        return ClassTargets(y if classes is None else classes)
    raise ValueError(
        f"Unknown label type: {kind}. Maybe you are trying to fit a classifier, which "
        "expects discrete classes on a regression target with continuous values."
    )
