"""Checks of the sequences passed to `fit` and `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdeep._messages import warn
from skdeep.encoding import (
    Sequences,
    StepClassTargets,
    explaining_non_numeric,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._validation import (
    Checked,
    Schema,
    check_numeric_target,
    check_target,
    is_regressor,
    require_target,
    stand_in,
)


def check_sequences(
    estimator, X, y="no_validation", *, dtype, schema: Schema | None = None
) -> Checked:
    """Check sequences, and y if it is given.

    Parameters
    ----------
    estimator : estimator
        X holds token ids if its ``embedding_dim`` is set; y has a value for each step
        if ``return_sequences`` is.
    X : array-like of shape (n_samples, n_timesteps[, n_features]) or list of arrays
        The user's sequences.
    y : array-like
        Their targets.
    dtype : sequence of type
        Types that X may keep; other types are converted to the first one.
    schema : Schema, optional
        The schema of the training rows; its layout is "2-D" or "3-D". None if these are
        the training rows.

    Returns
    -------
    Checked
    """
    is_tokens = estimator.embedding_dim is not None
    read = _read_tokens if is_tokens else _read_numbers
    X, is_first = tensor_to_numpy(X, "X"), schema is None
    with naming("X"), explaining_non_numeric(X, text=_TEXT), np.errstate(over="ignore"):
        sequences, schema = read(estimator, _stacked(X, is_tokens), dtype, schema)
    if is_first and not is_tokens:
        _warn_of_likely_mistakes(estimator, X, sequences.numeric, schema)
    if isinstance(y, str) and y == "no_validation":
        return Checked(sequences, None, schema)
    if not estimator.return_sequences:
        return Checked(sequences, check_target(estimator, y, len(sequences)), schema)
    require_target(estimator, y)
    y = tensor_to_numpy(y, "y")
    check_numeric_target(estimator, y)
    with naming("y"):
        y = _read_steps(estimator, y, sequences)
    return Checked(sequences, y, schema)


def check_numbers(
    estimator, X, *, dtype, schema: Schema | None = None
) -> tuple[Sequences, Schema]:
    """Check sequences of numbers; see ``check_sequences``."""
    X = tensor_to_numpy(X, "X")
    with naming("X"), explaining_non_numeric(X), np.errstate(over="ignore"):
        return _read_numbers(estimator, _stacked(X, False), dtype, schema)


def has_unequal_lengths(X) -> bool:
    """Return whether X is a list of sequences of numbers of different lengths.

    Arrays that differ in another axis, too, are no sequences but images.
    """
    holds_objects = getattr(X, "dtype", None) == np.dtype(object) and np.ndim(X) == 1
    if not (isinstance(X, (list, tuple)) or holds_objects) or len(X) == 0:
        return False
    try:
        shapes = [np.shape(sequence) for sequence in X]
    except ValueError:  # a list of lists of different lengths
        return False
    if any(len(shape) not in (1, 2) for shape in shapes):
        return False
    lengths, others = {s[0] for s in shapes}, {s[1:] for s in shapes}
    return len(lengths) > 1 and len(others) == 1


_TEXT = (
    "skdeep.preprocessing.SequenceVectorizer turns text into token ids; set "
    "embedding_dim to embed them."
)


# -- X ---------------------------------------------------------------------------------


def _listed(values, name: str) -> list[np.ndarray] | None:
    """Return the sequences of a list as arrays; None for anything else."""
    dtype = getattr(values, "dtype", None)
    holds_objects = dtype == np.dtype(object) and np.ndim(values) == 1
    if not (isinstance(values, (list, tuple)) or holds_objects):
        return None
    sequences = [_array(sequence, name) for sequence in values]
    return sequences if any(s.ndim for s in sequences) else None


def _array(sequence, name: str) -> np.ndarray:
    """Return one sequence as an array; raise if its steps differ in length."""
    sequence = tensor_to_numpy(sequence, name)
    try:
        return np.asarray(sequence)
    except ValueError as error:
        raise ValueError(
            f"{name} holds a sequence whose steps have different numbers of features."
        ) from error


def _stacked(X, is_tokens: bool):
    """Return X with a list of sequences padded into one array."""
    sequences = _listed(X, "X")
    if sequences is None:
        return X
    shapes = [s.shape for s in sequences]
    odd = _first_other([len(shape) for shape in shapes])
    if odd or len(shapes[0]) not in (1, 2):
        raise ValueError(
            "The sequences in a list X must all be 2-D, (n_timesteps, n_features), or "
            f"all 1-D; sequence {odd} has shape {shapes[odd]}."
        )
    lengths = [shape[0] for shape in shapes]
    if 0 in lengths:
        raise ValueError(f"Sequence {lengths.index(0)} of X has length 0.")
    if odd := _first_other([shape[1:] for shape in shapes]):
        raise ValueError(
            f"Sequence {odd} of X has {shapes[odd][1]} features, but sequence 0 has "
            f"{shapes[0][1]}."
        )
    if is_tokens:
        return _pad_sequences(sequences, 0)
    padded = _pad_sequences(sequences, np.nan)
    # Ragged 1-D sequences are 3-D: as a table, their number of columns would be fixed.
    is_ragged = padded.ndim == 2 and _first_other(lengths)
    return padded[:, :, np.newaxis] if is_ragged else padded


def _first_other(values: list) -> int:
    """Return the position of the first value that differs from values[0], or 0."""
    return next((i for i, value in enumerate(values) if value != values[0]), 0)


def _pad_sequences(sequences: list[np.ndarray], filler) -> np.ndarray:
    """Stack sequences into one array, the shorter ones padded at the end."""
    longest = max(len(s) for s in sequences)
    kind = np.result_type(*{s.dtype for s in sequences})
    if kind.kind != "f":  # floats can hold either filler
        kind = np.result_type(kind, type(filler))
    shape = (len(sequences), longest, *sequences[0].shape[1:])
    padded = np.full(shape, filler, dtype=kind)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def _read_numbers(estimator, X, dtype, schema) -> tuple[Sequences, Schema]:
    """Check numeric sequences; rows of NaN at the end are padding."""
    arguments = dict(dtype=dtype, ensure_all_finite="allow-nan")
    is_table = len(getattr(X, "shape", ())) < 3
    if is_table and (schema is None or schema.layout == "2-D"):
        checked = stand_in(estimator, schema)
        X = validate_data(checked, X, reset=schema is None, **arguments)
        X = X[:, :, np.newaxis]
        schema = schema or Schema.of(checked, layout="2-D")
    else:
        X = check_array(X, allow_nd=True, input_name="X", **arguments)
        X = X[:, :, np.newaxis] if X.ndim == 2 else X
        _check_shape(estimator, X, schema)
        schema = schema or Schema(X.shape[2], layout="3-D")
    return Sequences(X, lengths=_lengths(X)), schema


def _check_shape(estimator, X: np.ndarray, schema: Schema | None) -> None:
    """Check the shape of 3-D X and its number of features, the last axis."""
    if X.ndim > 3:
        raise ValueError(
            "X must be (n_samples, n_timesteps, n_features) or 2-D of one feature, "
            f"got shape {X.shape}."
        )
    if min(X.shape) == 0:
        raise ValueError(
            f"X holds sequences without steps or features: its shape is {X.shape}."
        )
    if schema is None:
        return
    name, n_features = type(estimator).__name__, schema.n_features
    if schema.layout == "2-D" and X.shape[1:] != (n_features, 1):
        raise ValueError(
            f"X has shape {X.shape}, but {name} is expecting 2-D X of {n_features} "
            "columns, as in fit."
        )
    if schema.layout == "3-D" and X.shape[2] != n_features:
        raise ValueError(
            f"X has {X.shape[2]} features, but {name} is expecting {n_features} "
            "features as input. (2-D X has one feature.)"
        )


def _lengths(X: np.ndarray) -> np.ndarray | None:
    """Return the lengths of the sequences without padding, None if all are full."""
    # The common case without any NaN costs a single pass.
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
            "Only rows of NaN at the end of a sequence are allowed, as padding; impute "
            "missing values first."
        )
    return None if lengths.min() == X.shape[1] else lengths


def _without_trailing(is_empty: np.ndarray) -> np.ndarray:
    """Return the number of steps before the padding at the end."""
    n_steps = is_empty.shape[1]
    trailing = np.logical_and.accumulate(is_empty[:, ::-1], axis=1).sum(axis=1)
    lengths = n_steps - trailing
    if not lengths.all():
        raise ValueError(
            f"Sequence {int(np.argmin(lengths))} of X has length 0: it holds only "
            "padding (NaN, or token id 0)."
        )
    return lengths


def _read_tokens(estimator, X, dtype, schema) -> tuple[Sequences, Schema]:
    """Check sequences of token ids; zeros at the end are padding."""
    # Without a conversion to int, which would turn 1.5 into a valid id.
    X = check_array(X, dtype=None, input_name="X")
    _check_ids(X, estimator.embedding_dim)
    lengths = _without_trailing(X == 0)
    inside = (X == 0) & (np.arange(X.shape[1]) < lengths[:, np.newaxis])
    if inside.any():
        sample, step = np.argwhere(inside)[0]
        raise ValueError(
            f"Token id 0 is padding, but sample {sample} has it inside the sequence, "
            f"at step {step}. Use 1 for unknown tokens."
        )
    if schema is None:
        asked = estimator.vocabulary_size
        schema = Schema(1, n_tokens=int(X.max()) + 1 if asked is None else int(asked))
    n_tokens: Any = schema.n_tokens
    if X.max() >= n_tokens:
        raise ValueError(
            f"X holds token id {int(X.max())}, outside the vocabulary: the ids are 0 "
            f"to {n_tokens - 1}. Use 1 for unknown tokens, or set vocabulary_size."
        )
    full = lengths.min() == X.shape[1]
    sequences = Sequences(
        X.astype(np.int64, copy=False)[:, :, np.newaxis],
        lengths=None if full else lengths,
        # Ids do not imply a float type; float32 is torch's default and faster.
        token_dtype=np.dtype(estimator.dtype or np.float32),
    )
    return sequences, schema


# Sanity bound: no vocabulary is larger, and none would fit into memory.
_MAX_TOKENS = 2**40


def _check_ids(X: np.ndarray, embedding_dim) -> None:
    """Raise if values cannot be token ids."""
    is_number = X.dtype.kind in "iuf"
    wrong = X[(X % 1 != 0) | (X < 0) | (X >= _MAX_TOKENS)] if is_number else X
    if wrong.size:
        raise ValueError(
            f"With embedding_dim={embedding_dim!r}, X must hold token ids (integers "
            f">= 0), got {wrong.ravel().tolist()[0]!r} ({X.dtype})."
        )


# -- input that is probably a mistake --------------------------------------------------


def _warn_of_likely_mistakes(estimator, given, X: np.ndarray, schema: Schema) -> None:
    """Warn about tables and token ids that are read as sequences of numbers."""
    name = type(estimator).__name__
    if schema.feature_names is not None:
        warn(
            f"{name} reads the {X.shape[1]} named columns of the data frame X as time "
            "steps of one feature. If the rows are a time series with several "
            "features, put skdeep.preprocessing.SlidingWindow before the estimator; if "
            "the columns are time steps, pass X.to_numpy()."
        )
    elif _look_like_ids(given, X):
        warn(
            f"X looks like token ids (integers up to {int(np.nanmax(X))}), but {name} "
            "reads them as quantities. Set embedding_dim=32, for example, to embed "
            "them; if they are quantities, pass X as floats."
        )


def _look_like_ids(given, X: np.ndarray) -> bool:
    """Return whether X holds integers like those of a text vectorizer.

    They use most of their range, and zeros occur only at the end of sequences. Pixels
    and counts have zeros elsewhere; volumes and prices leave most of their range empty.
    """
    first = given[0] if isinstance(given, (list, tuple)) and given else given
    if X.shape[2] != 1 or np.asarray(first).dtype.kind != "i" or np.nanmin(X) < 0:
        return False
    n_distinct = len(np.unique(X[~np.isnan(X)]))
    if n_distinct < _MIN_IDS or np.nanmax(X) > _MAX_GAPS * n_distinct:
        return False
    is_zero = (X[:, :, 0] == 0) | np.isnan(X[:, :, 0])
    return bool((is_zero[:, :-1] <= is_zero[:, 1:]).all())


# Distinct integers that look like a vocabulary, and its largest id per distinct id.
_MIN_IDS, _MAX_GAPS = 20, 10


# -- y ---------------------------------------------------------------------------------


def _read_steps(estimator, y, sequences: Sequences) -> np.ndarray:
    """Check targets of steps: they are missing exactly where X is padded."""
    is_classifier = not is_regressor(estimator)
    y = check_array(
        _stacked_steps(y, is_classifier),
        dtype=None if is_classifier else np.float64,
        ensure_all_finite=False,
        allow_nd=True,
        input_name="y",
        ensure_2d=False,
    )
    expected = sequences.numeric.shape[:2]
    if y.shape != expected:
        raise ValueError(
            "With return_sequences=True, y must have a value for each step, shape "
            f"{expected} like X, got {y.shape}."
        )
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError("Input y contains infinity.")
    # NaN does not equal itself, so the gaps of numbers need isnan.
    gap = StepClassTargets.padding(y) if is_classifier else np.nan
    missing = y == gap if is_classifier else np.isnan(y)
    wrong = missing != sequences.is_padding
    odd = np.argwhere(wrong | pd.isna(y) if is_classifier else wrong)
    if len(odd):
        sample, step = odd[0]
        raise ValueError(
            f"y must be {gap!r} exactly where X is padded; sample {sample}, step "
            f"{step} is {y[sample].tolist()[step]!r}."
        )
    return y


def _stacked_steps(y, is_classifier: bool):
    """Return y with a list of sequences padded into one array."""
    steps = _listed(y, "y")
    if steps is None:
        return y
    odd = [i for i, step in enumerate(steps) if step.ndim != 1]
    if odd:
        raise ValueError(
            "With return_sequences=True, y must have a value for each step; sample "
            f"{odd[0]} has shape {steps[odd[0]].shape}."
        )
    return _pad_sequences(
        steps, StepClassTargets.padding(steps[0]) if is_classifier else np.nan
    )
