"""Checks of rows and targets that are sequences of tokens, of numbers, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from skdeep._messages import warn
from skdeep.encoding import (
    SequenceTarget,
    Table,
    TokenTable,
    check_numeric_types,
    explaining_non_numeric,
    levels_of,
    naming,
    rows_of,
)
from skdeep.estimators._read_tokens import (
    IN_WORDS,
    Given,
    in_words,
    read_sequences,
)
from skdeep.estimators._sequences import (
    _first_other,
    _listed,
    _look_like_ids,
    _pad_sequences,
    _read_numbers,
    _stacked,
)
from skdeep.estimators._validation import Checked, Schema, require_target, stand_in

# Layouts of X in a schema: tokens from strings or from lists, numbers for each step, or
# rows of a table.
STEPS, ROWS = "3-D", "rows"


def check_seq2seq(
    estimator, X, y="no_validation", *, dtype, schema: Schema | None = None
) -> Checked:
    """Check rows and target sequences of a network that writes sequences.

    Parameters
    ----------
    estimator : estimator
        Its ``level`` says how strings and integers of the training rows are read.
    X : array-like
        Tokens: n_samples strings or lists of tokens. Numbers: (n_samples, n_timesteps,
        n_features), or a list of arrays of different lengths. Or rows of a table,
        (n_samples, n_features).
    y : array-like
        Tokens, or numbers: (n_samples,), (n_samples, n_timesteps), (n_samples,
        n_timesteps, n_features), or a list of arrays of different lengths.
    dtype : sequence of type
        Types that numbers of X may keep; others are converted to the first one.
    schema : Schema, optional
        The schema of the training rows, whose layout is "text", "lists", "3-D" or
        "rows". None if these are the training rows.

    Returns
    -------
    checked : Checked
        X as a TokenTable, Sequences or a Table, and y as a SequenceTarget.

    Raises
    ------
    TypeError, ValueError
        Naming X or y, and the row.
    """
    given_y = not (isinstance(y, str) and y == "no_validation")
    if given_y:
        require_target(estimator, y)
    is_first = schema is None
    # The parameter may have changed since fit, but not what the network can read.
    levels: Any = levels_of(estimator.level) if schema is None else schema.levels
    level, level_of_y = levels
    given = read_sequences(X, "X", level)
    _check_same_kind(estimator, given, schema)
    if given.is_tokens:
        # Tokens imply no float type; float32 is torch's default and faster.
        table: Any = TokenTable(given.rows, np.dtype(estimator.dtype or np.float32))
        schema = schema or Schema(None, layout=given.kind)
    else:
        table, schema = _read_numeric(estimator, given.rows, dtype, schema)
    if is_first:
        schema = replace(schema, levels=levels)
    if not given_y:
        return Checked(table, None, schema)
    if is_first:
        _check_no_empty(given, "X")
        _warn_of_ids("X", level, given, table.numeric, schema.feature_names)
    target = _read_target(estimator, y, level_of_y, is_first)
    check_consistent_length(np.empty(len(table)), target.values)
    return Checked(table, target, schema)


def check_documents(
    X, level: str, name: str = "X", *, allow_empty: bool = True
) -> Given:
    """Return documents as lists of tokens, and whether they were strings or lists.

    Parameters
    ----------
    X : str, or array-like of str or of lists of str or int
        A single str is one document.
    level : {"char", "word", "token"}
        How strings are split. Lists of tokens, and rows of an integer array, are read
        as they are.
    name : str, default="X"
        Name of the argument in messages.
    allow_empty : bool, default=True
        Whether a document may be empty.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, and the row.
    """
    X = [X] if isinstance(X, str) else X
    # There is nothing but tokens, so integers need no level="token".
    given = read_sequences(X, name, level, integers=True)
    if not given.is_tokens:
        raise TypeError(
            f"{name} must hold documents: strings, or lists of tokens that are strings "
            f"or integers; got {in_words(given)}."
        )
    if not allow_empty:
        _check_no_empty(given, name)
    return given


def _check_no_empty(given: Given, name: str) -> None:
    """Raise if a training sequence of tokens is empty."""
    if not given.is_tokens:
        return
    empty = next((i for i, tokens in enumerate(given.rows) if not tokens), None)
    if empty is not None:
        raise ValueError(
            f"Row {empty} of {name} is empty: it needs at least one token. Drop the "
            "row."
        )


# -- X ---------------------------------------------------------------------------------


def _check_same_kind(estimator, given: Given, schema: Schema | None) -> None:
    """Raise if X is of another kind than in fit."""
    if schema is None:
        return
    expected = IN_WORDS.get(schema.layout)
    if IN_WORDS.get(given.kind) != expected:
        raise ValueError(
            f"X must hold {expected or 'numbers'}, as in the fit of "
            f"{type(estimator).__name__}, got {in_words(given)}."
        )


_TEXT_AMONG_NUMBERS = (
    "For sequences of tokens, pass strings, or lists whose items are all strings."
)


def _read_numeric(estimator, X, dtype, schema: Schema | None):
    """Check numbers: rows of a table, or sequences of different lengths."""
    with (
        naming("X"),
        explaining_non_numeric(X, text=_TEXT_AMONG_NUMBERS),
        np.errstate(over="ignore"),
    ):
        stacked = _stacked(X, is_tokens=False)
        if schema is None:
            is_table = len(getattr(stacked, "shape", ())) < 3
        else:
            is_table = schema.layout == ROWS
        if not is_table:
            # Without a schema, 2-D X would be read as sequences of one feature.
            schema = schema or Schema(stacked.shape[-1], layout=STEPS)
            return _read_numbers(estimator, stacked, dtype, schema)
        checked = stand_in(estimator, schema)
        numeric = validate_data(checked, stacked, reset=schema is None, dtype=dtype)
        return Table(numeric, is_finite=True), schema or Schema.of(checked, layout=ROWS)


# -- y ---------------------------------------------------------------------------------


def _read_target(estimator, y, level: str, is_first: bool) -> SequenceTarget:
    """Check target sequences."""
    given = read_sequences(y, "y", level)
    if given.is_tokens:
        if is_first:
            _check_no_empty(given, "y")
        joined_by = "word" if level == "word" else "char"
        return SequenceTarget(rows_of(given.rows), given.kind, joined_by)
    check_numeric_types(given.rows, "y")
    with naming("y"):
        target = _number_target(estimator, given.rows)
    if is_first and target.kind != "1-D":
        _warn_of_ids("y", level, given, target.values)
    return target


def _number_target(estimator, y) -> SequenceTarget:
    """Check numbers for each step."""
    sequences = _listed(y, "y")
    if sequences is not None:
        _check_sequences_of_y(sequences)
        if _first_other([len(s) for s in sequences]):
            padded = _pad_sequences([_finite(s) for s in sequences], np.nan)
            kind = f"list of {padded.ndim - 1}-D"
            return SequenceTarget(_three_axes(padded), kind)
        y = np.stack(sequences)
    numbers = _finite(y, estimator)
    return SequenceTarget(_three_axes(numbers), f"{numbers.ndim}-D")


def _finite(y, estimator=None) -> np.ndarray:
    """Return finite numbers; raise if there are others."""
    numbers = check_array(
        y,
        dtype="numeric",
        ensure_2d=False,
        allow_nd=True,
        input_name="y",
        estimator=estimator,
    ).astype(np.float64)
    assert_all_finite(numbers, input_name="y")  # None in objects has become NaN
    return numbers


def _three_axes(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as (n_samples, n_timesteps, n_features)."""
    if numbers.ndim > 3 or 0 in numbers.shape:
        raise ValueError(
            "y must be (n_samples,), (n_samples, n_timesteps) or (n_samples, "
            f"n_timesteps, n_features), none of them 0, got shape {numbers.shape}."
        )
    missing = (1,) * (3 - numbers.ndim)
    return numbers.reshape(*numbers.shape, *missing)


def _check_sequences_of_y(sequences: list[np.ndarray]) -> None:
    """Check the shapes of a list of sequences."""
    axes = [s.ndim for s in sequences]
    odd = _first_other(axes)
    if odd or axes[0] > 2:
        raise ValueError(
            "The sequences in a list y must all be 1-D, (n_timesteps,), or all 2-D, "
            f"(n_timesteps, n_features); sequence {odd} has shape "
            f"{sequences[odd].shape}."
        )
    lengths = [len(s) for s in sequences]
    if 0 in lengths:
        raise ValueError(f"Sequence {lengths.index(0)} of y has length 0.")
    if odd := _first_other([s.shape[1:] for s in sequences]):
        raise ValueError(
            f"Sequence {odd} of y has {sequences[odd].shape[1]} values for each step, "
            f"but sequence 0 has {sequences[0].shape[1]}."
        )


# -- input that is probably a mistake --------------------------------------------------


def _warn_of_ids(name: str, level: str, given: Given, numbers, names=None) -> None:
    """Warn about token ids that are read as numbers."""
    if given.is_tokens or level != "auto" or names is not None:
        return
    numbers = numbers[:, :, np.newaxis] if numbers.ndim == 2 else numbers
    if _look_like_ids(given.rows, numbers):
        warn(
            f"{name} looks like token ids (integers up to {int(np.nanmax(numbers))}), "
            "but they are read as quantities. Set level='token' if they are tokens; if "
            f"they are quantities, pass {name} as floats."
        )
