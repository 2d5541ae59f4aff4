"""Sequences as targets: tokens, or numbers for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.encoding._targets import TargetScale, r2
from skdeep.encoding._tokens import Vocabulary, join

# What follows the last step of a target, which the loss ignores.
IGNORED = -1


def rows_of(sequences: Sequence) -> np.ndarray:
    """Return sequences as an array of objects, which takes any index of rows."""
    rows = np.empty(len(sequences), dtype=object)
    for i, sequence in enumerate(sequences):  # an assignment of all would broadcast
        rows[i] = sequence
    return rows


@dataclass
class SequenceTarget:
    """Checked target sequences, one for each row of X.

    Parameters
    ----------
    values : ndarray
        Lists of tokens, objects of shape (n_samples,); or numbers, (n_samples,
        n_timesteps, n_features), with NaN after the end of shorter sequences.
    kind : str
        How they were given, and are to be predicted: "text" or "lists" of tokens; or
        numbers as an array, "1-D", "2-D" or "3-D", or as a list of arrays, "list of
        1-D" or "list of 2-D".
    level : str
        The level of text, "char" or "word".
    """

    values: np.ndarray
    kind: str
    level: str = "char"

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index) -> SequenceTarget:
        return replace(self, values=self.values[index])

    @property
    def is_tokens(self) -> bool:
        """Whether the values are tokens."""
        return self.kind in _NAMES_OF_TOKENS


_NAMES_OF_TOKENS = {"text": "strings", "lists": "lists of tokens"}


def _name(kind: str) -> str:
    """Return a kind of target in words."""
    return _NAMES_OF_TOKENS.get(kind, f"numbers ({kind})")


def sequence_targets(y: SequenceTarget) -> TokenTargets | NumberTargets:
    """Return the encoder of checked targets.

    Parameters
    ----------
    y : SequenceTarget
        All checked targets; only their kind and shape are read.
    """
    if y.is_tokens:
        return TokenTargets(y.kind, y.level)
    lengths = _n_steps(y.values)
    return NumberTargets(
        y.kind,
        n_features=y.values.shape[2],
        n_steps=None if (lengths != lengths[0]).any() else int(lengths[0]),
    )


def _mean_length(lengths: np.ndarray, weight) -> float:
    return float(np.average(lengths, weights=weight))


# -- tokens ----------------------------------------------------------------------------


class TokenTargets:
    """Sequences of tokens.

    Parameters
    ----------
    kind : {"text", "lists"}
        Whether predictions are strings or lists of tokens.
    level : {"char", "word"}
        How the tokens of a string are joined.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens of the training targets, set by ``learn``.
    longest_ : int
        Number of tokens of the longest training target.
    mean_length_ : float
        Mean length of the training targets, the end token included.
    """

    is_tokens = True

    def __init__(self, kind: str, level: str = "char"):
        self.kind = kind
        self.level = level

    def encode(self, y: SequenceTarget) -> np.ndarray:
        """Return the lists of tokens, as objects of shape (n_samples,).

        Raises
        ------
        ValueError
            If the targets are of another kind than in training.
        """
        if y.kind != self.kind:
            raise ValueError(
                f"y must hold {_name(self.kind)}, as in fit, got {_name(y.kind)}."
            )
        return y.values

    def learn(self, codes: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Learn vocabulary and lengths of the encoded targets of the training rows."""
        lengths = np.array([len(tokens) for tokens in codes])
        self.vocabulary_ = Vocabulary.learn(codes)
        self.longest_ = int(lengths.max())
        self.mean_length_ = _mean_length(lengths + 1, weight)

    def as_tensor(self, codes: np.ndarray, kind: str, dtype: torch.dtype) -> Tensor:
        """Return ids, (n_samples, n_steps): tokens, the end token, then -1.

        A token that training has not seen, in validation rows, is 1.
        """
        return torch.from_numpy(self.vocabulary_.encode_rows(codes, IGNORED)[0])

    def tokens_of(self, ids) -> list[list]:
        """Return the tokens of generated ids, (n_samples, n_steps)."""
        return [self.vocabulary_.decode(row) for row in _array(ids)]

    def decode(self, ids):
        """Return generated ids, (n_samples, n_steps), in the kind of the target.

        Returns
        -------
        sequences : ndarray of object of shape (n_samples,)
            Strings, or lists of tokens.
        """
        found: list = self.tokens_of(ids)
        if self.kind == "text":
            found = [join(tokens, self.level) for tokens in found]
        return rows_of(found)

    def targets_vary(self, expected: np.ndarray) -> bool:
        """Return True: the share of right sequences is meaningful for any targets."""
        return True

    def score(self, ids, expected: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the share of generated sequences that have exactly the right tokens.

        Parameters
        ----------
        ids : tensor or ndarray of shape (n_samples, n_steps), or list of lists
            Generated ids, each sequence up to its end token; or lists of tokens.
        expected : ndarray of shape (n_samples,)
            Encoded targets.
        weight : ndarray of shape (n_samples,) or None
            Weights of the sequences.
        """
        found = ids if isinstance(ids, list) else self.tokens_of(ids)
        right = [a == list(b) for a, b in zip(found, expected, strict=True)]
        return float(np.average(right, weights=weight))


def _array(values) -> np.ndarray:
    """Return a tensor or an array as an array."""
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


# -- numbers ---------------------------------------------------------------------------


class NumberTargets:
    """Sequences of numbers, standardized for the network.

    Parameters
    ----------
    kind : str
        "1-D", "2-D", "3-D", "list of 1-D" or "list of 2-D": the form of predictions.
    n_features : int
        Number of values of a step.
    n_steps : int or None
        Number of steps of every sequence; None if it differs, so that the network has
        to learn when to stop.

    Attributes
    ----------
    scale : TargetScale or None
        Mean and standard deviation of each feature, set by ``learn``.
    longest_ : int
        Number of steps of the longest training target.
    mean_length_ : float
        Mean number of steps of the training targets.
    """

    is_tokens = False
    scale: TargetScale | None = None

    def __init__(self, kind: str, n_features: int, n_steps: int | None):
        self.kind = kind
        self.n_features = n_features
        self.n_steps = n_steps

    @property
    def lengths_differ(self) -> bool:
        """Whether the network has to learn when to stop."""
        return self.n_steps is None

    def encode(self, y: SequenceTarget) -> np.ndarray:
        """Return the numbers, (n_samples, n_steps, n_features), padded with NaN.

        Raises
        ------
        ValueError
            If kind, steps or features differ from those in training.
        """
        if y.is_tokens:
            raise ValueError(f"y must hold numbers, as in fit, got {_name(y.kind)}.")
        if y.values.shape[2] != self.n_features:
            raise ValueError(
                f"y must have {self.n_features} values for each step, as in fit, got "
                f"{y.values.shape[2]}."
            )
        self._check_lengths(_n_steps(y.values))
        return y.values

    def _check_lengths(self, lengths: np.ndarray) -> None:
        wrong = np.flatnonzero(lengths != self.n_steps)
        if self.n_steps is not None and len(wrong):
            raise ValueError(
                f"y must have {self.n_steps} steps in every sequence, as in fit; "
                f"sequence {wrong[0]} has {lengths[wrong[0]]}."
            )

    def learn(self, codes: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Learn scale and lengths of the encoded targets of the training rows."""
        lengths = _n_steps(codes)
        steps, step_weight = _steps(codes, weight)
        self.scale = TargetScale.of(codes[steps], step_weight)
        self.longest_ = int(lengths.max())
        self.mean_length_ = _mean_length(lengths, weight)

    def as_tensor(self, codes: np.ndarray, kind: str, dtype: torch.dtype) -> Tensor:
        """Return standardized numbers, (n_samples, n_steps, n_features), then NaN."""
        codes = codes[:, : _n_steps(codes).max()]
        # Scaled in float64: a large mean would cost float32 its precision.
        return torch.from_numpy(np.array(self._scaled(codes), np.float64)).to(dtype)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        return values if self.scale is None else self.scale.scaled(values)

    def restored(self, values, dtype=np.float64) -> np.ndarray:
        """Return predictions of the network in units of the target."""
        values = _array(values)
        if self.scale is None:
            return values.astype(dtype, copy=False)
        return self.scale.restored(values, dtype)

    def decode(self, values, lengths=None, dtype=np.float64) -> Any:
        """Return generated numbers in the units and the form of the target.

        Parameters
        ----------
        values : tensor or ndarray of shape (n_samples, n_steps, n_features)
            Standardized numbers.
        lengths : array-like of int of shape (n_samples,), default=None
            Number of steps of each sequence; None for all.
        dtype : type, default=numpy.float64
            Type of the result, if its precision and range suffice.

        Returns
        -------
        sequences : ndarray
            Numbers, of one to three axes; or, if the training targets were a list,
            objects of shape (n_samples,), each an array.
        """
        numbers = self.restored(values, dtype)
        if self.kind in ("1-D", "2-D", "list of 1-D"):
            numbers = numbers[..., 0]
        if self.kind == "1-D":
            return numbers[:, 0]
        if not self.kind.startswith("list"):
            return numbers
        ends = [None] * len(numbers) if lengths is None else _array(lengths).tolist()
        return rows_of([row[:end] for row, end in zip(numbers, ends, strict=True)])

    def targets_vary(self, expected: np.ndarray) -> bool:
        """Return whether the targets vary, so that R² on them is meaningful."""
        values = expected[~np.isnan(expected).all(axis=2)]
        return bool((values != values[:1]).any())

    def score(self, values, expected: np.ndarray, weight: np.ndarray | None) -> float:
        """Return R² over all steps of the targets, the mean over the features.

        Parameters
        ----------
        values : tensor or ndarray of shape (n_samples, n_steps, n_features)
            Standardized predictions of at least as many steps as the targets have.
        expected : ndarray of shape (n_samples, n_timesteps, n_features)
            Encoded targets.
        weight : ndarray of shape (n_samples,) or None
            Weights of the sequences.
        """
        # Some of many rows, such as validation rows, may all be shorter.
        expected = expected[:, : _n_steps(expected).max()]
        steps, step_weight = _steps(expected, weight)
        predicted = _array(values)[:, : expected.shape[1]].astype(np.float64)
        return r2(self._scaled(expected)[steps], predicted[steps], step_weight)


def _n_steps(values: np.ndarray) -> np.ndarray:
    """Return the number of steps of each sequence padded with NaN."""
    return (~np.isnan(values).all(axis=2)).sum(axis=1)


def _steps(values: np.ndarray, weight) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a mask of the steps, (n_samples, n_timesteps), and their weights."""
    steps = ~np.isnan(values).all(axis=2)
    if weight is not None:
        weight = np.broadcast_to(weight[:, np.newaxis], steps.shape)[steps]
    return steps, weight
