"""Checks of sequences that a user passes to `fit` and `predict`."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import _check_y, column_or_1d, validate_data

from skdeep.encoding import Sequences, StepClassTargets


def check_sequences(estimator, X, y="no_validation", *, dtype, reset: bool):
    """Check sequences, and y if it is given.

    Parameters
    ----------
    estimator : estimator
        Tells by ``embedding_dim`` and ``vocabulary_size`` whether X holds token ids, by
        ``return_sequences`` whether y has a value for each step; gets
        ``n_features_in_``.
    X : array-like of shape (n_samples, n_timesteps[, n_features]) or list of arrays
        The user's sequences.
    y : array-like
        Their targets.
    dtype : sequence of type
        Types that X may keep, the first being what it is converted to.
    reset : bool
        Whether these are the data to remember for later checks.

    Returns
    -------
    Sequences, or Sequences and ndarray
    """
    is_tokens = estimator.embedding_dim is not None
    X = _stacked(X, 0 if is_tokens else np.nan)
    read = _read_tokens if is_tokens else _read_numbers
    sequences = read(estimator, X, dtype, reset)
    if isinstance(y, str) and y == "no_validation":
        return sequences
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but "
            "the target y is None."
        )
    y = (
        _read_steps(estimator, y, sequences)
        if estimator.return_sequences
        else (_read_target(estimator, y))
    )
    check_consistent_length(sequences.numeric, y)
    return sequences, y


def is_classifier_like(estimator) -> bool:
    """Say whether the estimator's targets are classes."""
    return estimator.__sklearn_tags__().estimator_type == "classifier"


# -- X -------------------------------------------------------------------------------


def _stacked(X, filler):
    """Return X, a list of sequences padded into one array; other things as they are."""
    is_list = isinstance(X, (list, tuple)) or (
        isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    )
    if not is_list or not len(X) or any(np.ndim(_array(s)) == 0 for s in X):
        return X
    sequences = [_array(s) for s in X]
    lengths = [len(s) for s in sequences]
    if len({s.ndim for s in sequences}) > 1 or sequences[0].ndim > 2:
        raise ValueError(
            "The sequences in a list X must all be 2-D, (n_timesteps, n_features), or "
            f"all 1-D; got shapes {[s.shape for s in sequences[:5]]}."
        )
    if 0 in lengths:
        raise ValueError(f"Sequence {lengths.index(0)} of X has length 0.")
    widths = [s.shape[1:] for s in sequences]
    if len(set(widths)) > 1:
        odd = next(i for i, width in enumerate(widths) if width != widths[0])
        raise ValueError(
            f"Sequence {odd} of X has {widths[odd][0]} features, but sequence 0 has "
            f"{widths[0][0]}."
        )
    return _padded(sequences, filler)


def _array(sequence) -> np.ndarray:
    """Return one sequence as an array, which a ragged one cannot become."""
    try:
        return np.asarray(sequence)
    except ValueError as error:
        raise ValueError(
            "X holds a sequence whose steps differ in their number of features."
        ) from error


def _padded(sequences: list[np.ndarray], filler) -> np.ndarray:
    """Lay sequences out one below another, the shorter ones filled up."""
    longest = max(len(s) for s in sequences)
    kind = np.result_type(*[s.dtype for s in sequences], type(filler))
    shape = (len(sequences), longest, *sequences[0].shape[1:])
    padded = np.full(shape, filler, dtype=kind)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def _read_numbers(estimator, X, dtype, reset) -> Sequences:
    """Check sequences of numbers; rows of NaN at the end are padding."""
    arguments = dict(dtype=dtype, ensure_all_finite="allow-nan")
    if len(getattr(X, "shape", ())) > 2:
        X = check_array(X, allow_nd=True, input_name="X", **arguments)
        if X.ndim > 3:
            raise ValueError(
                "X must be (n_samples, n_timesteps, n_features) or 2-D of one feature, "
                f"got shape {X.shape}."
            )
        _check_width(estimator, X, reset)
    else:
        X = validate_data(estimator, X, reset=reset, **arguments)[:, :, np.newaxis]
    if reset:
        estimator._categorical = []
    return Sequences(X, lengths=_lengths(X))


def _check_width(estimator, X: np.ndarray, reset: bool) -> None:
    """Remember or compare the number of features, the last axis."""
    if min(X.shape) == 0:
        raise ValueError(f"X holds sequences of length 0: its shape is {X.shape}.")
    if reset:
        estimator.n_features_in_ = X.shape[-1]
        estimator.__dict__.pop("feature_names_in_", None)
    elif X.shape[-1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[-1]} features, but {type(estimator).__name__} is "
            f"expecting {estimator.n_features_in_} features as input."
        )


def _lengths(X: np.ndarray) -> np.ndarray | None:
    """Return how many steps of each sequence are there, None if all are."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return None
    missing = np.isnan(X)
    lengths = _without_trailing(missing.all(axis=2))
    inside = missing.any(axis=2) & (np.arange(X.shape[1]) < lengths[:, np.newaxis])
    if inside.any():
        sample, step = np.argwhere(inside)[0]
        raise ValueError(
            f"Input X contains NaN inside a sequence: sample {sample}, step {step}. "
            "Only rows of NaN at the end of a sequence are taken, as padding; impute "
            "missing values before."
        )
    return None if lengths.min() == X.shape[1] else lengths


def _without_trailing(is_empty: np.ndarray) -> np.ndarray:
    """Return how many steps there are before the empty ones at the end."""
    n_steps = is_empty.shape[1]
    trailing = np.logical_and.accumulate(is_empty[:, ::-1], axis=1).sum(axis=1)
    lengths = n_steps - trailing
    if not lengths.all():
        raise ValueError(
            f"Sequence {int(np.argmin(lengths))} of X has length 0: it holds nothing "
            "but padding (NaN; 0 where X holds token ids)."
        )
    return lengths


def _read_tokens(estimator, X, dtype, reset) -> Sequences:
    """Check sequences of token ids; zeros at the end are padding."""
    X = check_array(X, dtype=None, input_name="X")
    if X.dtype.kind not in "iuf" or (X.dtype.kind == "f" and (X % 1).any()):
        raise ValueError(
            f"With embedding_dim={estimator.embedding_dim!r} X must hold token ids, "
            "whole numbers from 0 on; it holds others."
        )
    if X.min() < 0:
        raise ValueError(f"X must hold token ids from 0 on, got {X.min():g}.")
    X = X.astype(np.int64, copy=False)
    lengths = _without_trailing(X == 0)
    inside = (X == 0) & (np.arange(X.shape[1]) < lengths[:, np.newaxis])
    if inside.any():
        sample, step = np.argwhere(inside)[0]
        raise ValueError(
            f"Token id 0 is padding, but sample {sample} has it inside the sequence, "
            f"at step {step}. Use 1 for unknown tokens."
        )
    if reset:
        estimator.n_features_in_ = 1
        estimator.__dict__.pop("feature_names_in_", None)
        estimator._categorical = []
        estimator._n_tokens = _vocabulary_size(estimator.vocabulary_size, X)
    if X.max() >= estimator._n_tokens:
        raise ValueError(
            f"X holds token id {X.max()}, outside the vocabulary: the ids are 0 to "
            f"{estimator._n_tokens - 1}. Use 1 for unknown tokens, or set "
            "vocabulary_size."
        )
    full = lengths.min() == X.shape[1]
    # Ids have no float type; float32 is torch's, and twice as fast as float64.
    asked = np.dtype(estimator.dtype or np.float32)
    return Sequences(
        X[:, :, np.newaxis], lengths=None if full else lengths, token_dtype=asked
    )


def _vocabulary_size(asked: Integral | None, X: np.ndarray) -> int:
    return int(X.max()) + 1 if asked is None else int(asked)


# -- y -------------------------------------------------------------------------------


def _read_target(estimator, y) -> np.ndarray:
    """Check targets of whole sequences."""
    y = _check_y(
        y,
        multi_output=True,
        y_numeric=not is_classifier_like(estimator),
        estimator=estimator,
    )
    if getattr(y, "ndim", 2) == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def _read_steps(estimator, y, sequences: Sequences) -> np.ndarray:
    """Check targets of steps, which are there where the sequences are."""
    is_classifier = is_classifier_like(estimator)
    if isinstance(y, (list, tuple)) and len(y) and np.ndim(y[0]) == 1:
        steps = [np.asarray(row) for row in y]
        y = _padded(
            steps, StepClassTargets.padding(steps[0]) if is_classifier else np.nan
        )
    y = check_array(
        y,
        dtype=None if is_classifier else np.float64,
        ensure_all_finite=False,
        allow_nd=True,
        input_name="y",
        ensure_2d=False,
    )
    expected = sequences.numeric.shape[:2]
    if y.shape != expected:
        raise ValueError(
            "With return_sequences=True y must have a value for each step, shape "
            f"{expected} as X, got {y.shape}."
        )
    if np.isinf(y.astype(float) if y.dtype.kind in "biuf" else 0).any():
        raise ValueError("Input y contains infinity.")
    missing = _missing_steps(y, is_classifier)
    odd = np.argwhere(missing != sequences.is_padding)
    if len(odd):
        sample, step = odd[0]
        raise ValueError(
            f"y must have a gap (-1 for classes, NaN for numbers) where X is padded "
            f"and nowhere else; sample {sample}, step {step} is otherwise."
        )
    return y


def _missing_steps(y: np.ndarray, is_classifier: bool) -> np.ndarray:
    if not is_classifier:
        return np.isnan(y)
    return y == StepClassTargets.padding(y)
