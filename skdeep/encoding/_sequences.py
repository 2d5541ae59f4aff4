"""Sequences of different lengths as inputs, and targets for each of their steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils.multiclass import type_of_target

from skdeep.encoding._inputs import Table
from skdeep.encoding._rows import DenseRows, as_tensor
from skdeep.encoding._targets import ClassTargets, ValueTargets, r2


@dataclass
class Sequences(Table):
    """Checked sequences: ``numeric`` is (n_samples, n_timesteps, n_features).

    ``lengths``, (n_samples,), is the number of steps before the padding; None if there
    is no padding. ``token_dtype`` is the float type to compute in for token ids.
    """

    lengths: np.ndarray | None = None
    token_dtype: np.dtype | None = None

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return self.token_dtype or self.numeric.dtype

    def rows(self, index) -> Sequences:
        """Return some of the sequences."""
        if np.array_equal(index, index[0] + np.arange(len(index))):
            # A slice does not copy windows that overlap in memory.
            index = slice(index[0], index[-1] + 1)
        lengths = None if self.lengths is None else self.lengths[index]
        return replace(self, numeric=self.numeric[index], lengths=lengths)

    @property
    def is_padding(self) -> np.ndarray:
        """Which steps are padding, (n_samples, n_timesteps)."""
        n_samples, n_steps = self.numeric.shape[:2]
        if self.lengths is None:
            return np.zeros((n_samples, n_steps), dtype=bool)
        return np.arange(n_steps) >= self.lengths[:, np.newaxis]


class SequenceEncoder:
    """Turns checked sequences into the inputs of a recurrent network.

    Parameters
    ----------
    n_tokens : int or None
        Size of the vocabulary for sequences of token ids; None for numbers.
    """

    def __init__(self, n_tokens: int | None = None):
        self.n_tokens = n_tokens

    def fit(self, table: Sequences) -> SequenceEncoder:
        """Learn the number of features and the length of the longest sequence."""
        self.n_inputs_ = table.numeric.shape[2]
        full = table.numeric.shape[1]
        self.longest_ = full if table.lengths is None else int(table.lengths.max())
        return self

    def encode(self, table: Sequences, dtype: torch.dtype, device: torch.device):
        """Return the sequences, and their lengths if they differ, as tensors."""
        x = as_tensor(table.numeric)
        x = x.to(device, dtype if self.n_tokens is None else torch.int64)
        if table.lengths is None:
            return DenseRows(x)
        # The network masks padding by length, but 0 * NaN would spread in its gradient.
        x = x.nan_to_num() if self.n_tokens is None else x
        return DenseRows(x, torch.from_numpy(table.lengths).to(device))


def _by_step(flat: np.ndarray, n_steps: int) -> np.ndarray:
    """Group rows of steps by sequence: (n * T, ...) -> (n, T, ...)."""
    return flat.reshape(-1, n_steps, *flat.shape[1:])


class StepClassTargets(ClassTargets):
    """A label for each step; padding is -1, or the empty string for text.

    Parameters
    ----------
    classes : array-like
        All classes, possibly with padding, which is left out.

    Attributes
    ----------
    class_weight : ndarray or None
        Weights of the classes, if the loss applies them.
    """

    class_weight: np.ndarray | None = None

    def __init__(self, classes):
        classes = np.asarray(classes)
        super().__init__(classes[classes != self.padding(classes)])

    @staticmethod
    def padding(labels: np.ndarray):
        """Return the label of padding."""
        return -1 if labels.dtype.kind in "biuf" else ""

    @classmethod
    def of(cls, y: np.ndarray, classes=None) -> StepClassTargets:
        """Return the encoder of y, (n_samples, n_timesteps).

        Raises
        ------
        ValueError
            If y does not hold labels, or ``classes`` holds the label of padding.
        """
        targets = cls(y if classes is None else classes)
        if classes is not None and len(targets.classes_) < len(np.unique(classes)):
            raise ValueError(
                f"classes={classes!r} must not hold {cls.padding(targets.classes_)!r}, "
                "which marks padding in y."
            )
        kind = type_of_target(targets.classes_, input_name="y")
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {kind}. A classifier with return_sequences=True "
                "expects a class for each step."
            )
        return targets

    def encode(self, y):
        """Return the index of each label, -1 for padding: (n_samples, n_timesteps)."""
        # The encoder of whole labels raises for the padding, which is not a class.
        is_step = y != self.padding(y)
        codes = np.full(y.shape, -1)
        codes[is_step] = super().encode(y[is_step])
        return codes

    def as_tensor(self, codes, kind, dtype):
        if kind == "codes":
            return torch.from_numpy(codes.astype(np.int64))
        flat = super().as_tensor(codes.ravel(), kind, dtype)
        # The loss ignores steps of NaN; a class of zeros would be learned.
        flat[torch.from_numpy(codes.ravel() < 0)] = torch.nan
        return flat.reshape(*codes.shape, -1)

    def codes_from(self, raw):
        """Return the index of each step's class, -1 for padding (raw scores of NaN)."""
        return super().codes_from(raw).masked_fill(raw.isnan().any(-1), -1)

    def decode(self, codes):
        labels, is_padding = self.classes_[codes], codes < 0
        if not is_padding.any():
            return labels
        if labels.dtype.kind in "bu":  # these types cannot hold -1
            labels = labels.astype(np.result_type(labels.dtype, np.int8))
        return np.where(is_padding, self.padding(labels), labels)

    def probabilities(self, values):
        flat = values.reshape(-1, values.shape[-1])
        p = super().probabilities(flat)
        p[np.isnan(flat).any(axis=1)] = np.nan
        return _by_step(p, values.shape[1])

    def margins(self, raw):
        flat = super().margins(raw.reshape(-1, raw.shape[-1]))
        return _by_step(flat, raw.shape[1])

    @staticmethod
    def score(codes, expected, weight):
        """Return the accuracy over all steps but padding."""
        is_step = expected >= 0
        right = codes.cpu().numpy() == expected
        if weight is not None:
            weight = np.broadcast_to(weight[:, np.newaxis], is_step.shape)[is_step]
        return float(np.average(right[is_step], weights=weight))


class StepValueTargets(ValueTargets):
    """A number for each step, NaN for padding."""

    def __init__(self):
        super().__init__(1, flat=True)

    def encode(self, y):
        """Return the values as (n_samples, n_timesteps, 1)."""
        return super().encode(y.ravel()).reshape(*y.shape, 1)

    def decode(self, values):
        return values[..., 0]

    def learn_scale(self, values, weight):
        """Learn mean and spread over all steps but padding."""
        is_step, weight = _mask_padding(values, weight)
        super().learn_scale(values[is_step][:, np.newaxis], weight)

    def targets_vary(self, expected):
        """Return whether the targets of the steps vary, so that R² is meaningful."""
        return super().targets_vary(expected[~np.isnan(expected)])

    def score(self, values, expected, weight):
        """Return R² over all steps but padding."""
        is_step, weight = _mask_padding(expected, weight)
        predicted = values.cpu().double().numpy()[is_step]
        return r2(self._scaled(expected)[is_step], predicted, weight)


def _mask_padding(values: np.ndarray, weight) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a mask of the steps (n_samples, n_timesteps, 1), and their weights."""
    is_step = ~np.isnan(values)
    if weight is not None:
        shape = is_step.shape
        weight = np.broadcast_to(weight[:, np.newaxis, np.newaxis], shape)[is_step]
    return is_step, weight
