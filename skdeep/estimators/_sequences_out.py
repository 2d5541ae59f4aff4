"""Checks of rows and targets that are sequences of tokens, of numbers, or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from skdeep._input_checks import short
from skdeep._messages import warn
from skdeep.encoding import (
    SequenceTarget,
    Table,
    TokenTable,
    check_numeric_types,
    explaining_non_numeric,
    naming,
    rows_of,
    split,
    tensor_to_numpy,
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
TEXT, LISTS, STEPS, ROWS = "text", "lists", "3-D", "rows"
_IN_WORDS = {TEXT: "strings", LISTS: "lists of tokens"}


def levels_of(level) -> tuple[str, str]:
    """Return the levels of X and of y; ``level`` is one for both, or a pair."""
    return (level, level) if isinstance(level, str) else tuple(level)


def check_seq2seq(
    estimator, X, y="no_validation", *, dtype, schema: Schema | None = None
) -> Checked:
    """Check rows and target sequences of a network that writes sequences.

    Parameters
    ----------
    estimator : estimator
        Its ``level`` says how strings and integers are read.
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
    level, level_of_y = levels_of(estimator.level)
    given = read_sequences(X, "X", level)
    _check_same_kind(estimator, given, schema)
    if given.is_tokens:
        # Tokens imply no float type; float32 is torch's default and faster.
        table: Any = TokenTable(given.rows, np.dtype(estimator.dtype or np.float32))
        schema = schema or Schema(None, layout=given.kind)
    else:
        table, schema = _read_numeric(estimator, given.rows, dtype, schema)
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
) -> list[list]:
    """Return documents as lists of tokens.

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
        _raise_no_documents(given.rows, name)
    if not allow_empty:
        _check_no_empty(given, name)
    return given.rows


def is_text(X) -> bool:
    """Return whether documents, checked before, are strings and not lists of tokens."""
    rows = _plain(X, "X") if not isinstance(X, str) else [X]
    return isinstance(rows, list) and isinstance(rows[0], str)


def _raise_no_documents(values, name: str):
    first = values[0] if isinstance(values, list) else values
    kind = type(first).__name__
    if isinstance(first, np.ndarray):
        kind = f"an array of shape {first.shape} ({first.dtype})"
    raise TypeError(
        f"{name} must hold documents: strings, or lists of tokens that are strings or "
        f"integers; got {kind}."
    )


# -- tokens or numbers -----------------------------------------------------------------


class Given(NamedTuple):
    """What the user has passed: lists of tokens, or values to be read as numbers.

    ``kind`` is "text", "lists" or "numbers".
    """

    kind: str
    rows: Any

    @property
    def is_tokens(self) -> bool:
        """Whether the rows are lists of tokens."""
        return self.kind in _IN_WORDS


def read_sequences(values, name: str, level: str, *, integers: bool = False) -> Given:
    """Tell tokens from numbers, and return tokens as lists.

    Parameters
    ----------
    values : array-like
        The user's argument.
    name : str
        Its name, for messages.
    level : {"auto", "char", "word", "token"}
        How strings are split, "auto" by character; with "token", rows of integers are
        tokens.
    integers : bool, default=False
        Whether rows of integers are tokens at any level.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, and the row.
    """
    rows = _plain(values, name)
    integers = integers or level == "token"
    if isinstance(rows, list):
        return _read_list(rows, name, level, integers)
    is_integer = isinstance(rows, np.ndarray) and rows.dtype.kind in "iu"
    if integers and is_integer and rows.ndim == 1:
        _raise_no_list(rows[0].item(), name, level)
    if integers and is_integer and rows.ndim == 2:
        return Given(LISTS, rows.tolist())
    return Given("numbers", rows)


def _plain(values, name: str):
    """Return texts and nested sequences as a list, anything else as it is."""
    values = tensor_to_numpy(values, name)
    if isinstance(values, str):
        raise ValueError(
            f"{name} must hold several sequences, got a single str. Pass [text] for one."
        )
    if isinstance(values, (bytes, bytearray)):
        raise TypeError(f"{name} must hold strings, got bytes. {_DECODE}")
    if isinstance(values, (list, tuple)):
        return list(values)
    if isinstance(values, np.ndarray):
        return _plain_array(values, name)
    if isinstance(values, (set, frozenset, dict, Iterator)):
        raise TypeError(
            f"{name} must be a list or an array, got {type(values).__name__}."
        )
    return _plain_column(values)


_DECODE = "Decode them, for example with .decode('utf-8')."


def _plain_array(values: np.ndarray, name: str):
    """Return an array of strings or objects as a list."""
    if values.dtype.kind == "S":
        raise TypeError(f"{name} must hold strings, got bytes. {_DECODE}")
    if values.dtype.kind not in "OUT" or values.ndim == 0:
        return values
    if values.ndim == 1:
        return values.tolist()
    if values.dtype.kind != "O" or any(isinstance(v, str) for v in values.flat):
        raise ValueError(
            f"{name} is an array of strings of shape {values.shape}. Pass a 1-D array "
            f"of texts, such as {name}[:, 0], or lists of tokens: {name}.tolist()."
        )
    return values


def _plain_column(values):
    """Return a column that may hold text as a list, and anything else unchanged."""
    column = nw.from_native(
        values, eager_only=True, allow_series=True, pass_through=True
    )
    if isinstance(column, nw.DataFrame) and len(column.columns) == 1:
        column = column.get_column(column.columns[0])
        is_text = isinstance(_first_value(column.to_list()), (str, bytes))
        return column.to_list() if is_text else values
    if not isinstance(column, nw.Series):
        return values
    kind = column.dtype
    is_plain = kind.is_numeric() or kind.is_temporal() or kind == nw.Boolean
    return values if is_plain else column.to_list()


def _first_value(values: list):
    """Return the first value that is not missing."""
    return next((value for value in values if not _is_missing(value)), None)


def _is_missing(value) -> bool:
    return value is None or value is pd.NA or (value is pd.NaT) or _is_nan(value)


def _is_nan(value) -> bool:
    return isinstance(value, (float, np.floating)) and value != value


def _is_list(value) -> bool:
    """Return whether a row is a sequence of tokens or numbers."""
    if isinstance(value, (list, tuple, pd.Series)):
        return True
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim > 0
    # Data frames, and columns of other libraries.
    return hasattr(value, "__array__") and np.ndim(value) > 0


def _read_list(rows: list, name: str, level: str, integers: bool) -> Given:
    """Tell tokens from numbers in a list."""
    if not rows:
        raise ValueError(
            f"Found array with 0 sample(s): {name} is empty, while a minimum of 1 is "
            "required."
        )
    if any(isinstance(row, (str, bytes)) for row in rows):
        is_text = isinstance(_first_value(rows), (str, bytes))
        expected = _is_text if is_text else _is_list
        _check_all(rows, expected, name, "strings" if is_text else "lists")
        return _read_text(rows, name, level)
    if any(_is_list(row) for row in rows):
        if _is_list(_first_value(rows)):
            _check_all(rows, _is_list, name, "lists")
        return _read_lists(rows, name, integers)
    if integers and all(_is_integer(type(row)) for row in rows):
        _raise_no_list(rows[0], name, level)
    return Given("numbers", rows)


def _is_text(value) -> bool:
    return isinstance(value, str)


def _check_all(rows: list, is_right: Callable, name: str, kind: str) -> None:
    """Raise for the first row that is not of the kind of the others."""
    for i, row in enumerate(rows):
        if is_right(row):
            continue
        if isinstance(row, (bytes, bytearray)):
            raise TypeError(f"Row {i} of {name} holds bytes. {_DECODE}")
        if _is_missing(row):
            raise ValueError(
                f"Row {i} of {name} is missing: {row!r} among {kind}. Drop the row."
            )
        raise TypeError(
            f"{name} mixes kinds: row {i} is {short(row)} ({type(row).__name__}) "
            f"among {kind}."
        )


def _read_text(rows: list[str], name: str, level: str) -> Given:
    """Split strings into tokens."""
    if level == "token":
        raise ValueError(
            f"With level='token', {name} must hold lists of tokens, got the string "
            f"{short(str(rows[0]))}. Set level='char' or 'word', or split the strings."
        )
    level = "char" if level == "auto" else level
    return Given(TEXT, [split(str(text), level) for text in rows])


def _raise_no_list(value, name: str, level: str):
    advice = f"Set the level of {name} to 'auto' to read numbers."
    if level != "token":
        advice = "Pass [tokens] for one sequence."
    raise ValueError(
        f"Each row of {name} must be a list of tokens, got {value!r}. {advice}"
    )


def _read_lists(rows: list, name: str, integers: bool) -> Given:
    """Tell lists of tokens from lists of numbers."""
    lists = [_as_list(row, name) for row in rows]
    kinds = _types(lists)
    holds_text = any(issubclass(kind, (str, bytes)) for kind in kinds)
    if any(issubclass(kind, (list, tuple)) for kind in kinds):
        _check_depth(lists, name)
    are_tokens = integers and all(_is_integer(kind) for kind in kinds)
    if not (holds_text or are_tokens or not kinds):
        return Given("numbers", rows)
    allowed = (lambda kind: True) if not kinds else _is_token
    if not integers:
        allowed = _is_str
    if kinds and not all(allowed(kind) for kind in kinds):
        _raise_wrong_token(lists, allowed, name)
    if kinds <= {str, int}:
        return Given(LISTS, [list(tokens) for tokens in lists])
    return Given(LISTS, [[_plain_token(t) for t in tokens] for tokens in lists])


def _is_integer(kind: type) -> bool:
    return issubclass(kind, (int, np.integer)) and not issubclass(kind, bool)


def _is_str(kind: type) -> bool:
    return issubclass(kind, str)


def _is_token(kind: type) -> bool:
    return _is_str(kind) or _is_integer(kind)


def _plain_token(token):
    """Return a token without the types of numpy."""
    return str(token) if isinstance(token, str) else int(token)


def _as_list(row, name: str):
    """Return a row as a list, or as an array of numbers."""
    if isinstance(row, (list, tuple)):
        return row
    row = np.asarray(tensor_to_numpy(row, name))
    return row.tolist() if row.dtype.kind in "OUTS" or row.ndim == 1 else row


def _types(lists: list) -> set[type]:
    """Return the types of all items; arrays of several axes hold numbers."""
    kinds = set(
        map(type, chain.from_iterable(row for row in lists if not _is_array(row)))
    )
    return kinds | {row.dtype.type for row in lists if _is_array(row)}


def _is_array(row) -> bool:
    return isinstance(row, np.ndarray)


def _check_depth(lists: list, name: str) -> None:
    """Raise if the items of the lists are lists of strings."""
    for i, row in enumerate(lists):
        for item in row:
            leaf = item
            while isinstance(leaf, (list, tuple)) and leaf:
                leaf = leaf[0]
            if isinstance(item, (list, tuple)) and isinstance(leaf, (str, bytes)):
                raise ValueError(
                    f"Row {i} of {name} holds {short(item)} where a token is expected: "
                    f"{name} must be a list of strings, or of lists of tokens."
                )


def _raise_wrong_token(lists: list, is_right: Callable, name: str):
    """Raise for the first item that is not a token."""
    i, j, item = next(
        (i, j, item)
        for i, row in enumerate(lists)
        for j, item in enumerate(row)
        if not is_right(type(item))
    )
    place = f"Row {i} of {name} holds {short(item)} ({type(item).__name__})"
    if isinstance(item, (bytes, bytearray)):
        raise TypeError(f"{place} at position {j}. {_DECODE}")
    if _is_missing(item):
        raise ValueError(f"{place}, a missing value, at position {j}. Drop it.")
    text = f"{place} among tokens, at position {j}."
    if _is_integer(type(item)):
        raise TypeError(f"{text} With level='token', strings and integers are tokens.")
    raise TypeError(f"{text} Tokens must be strings or integers.")


def _check_no_empty(given: Given, name: str) -> None:
    """Raise if a training sequence of tokens is empty."""
    if not given.is_tokens:
        return
    empty = next((i for i, tokens in enumerate(given.rows) if not tokens), None)
    if empty is not None:
        raise ValueError(
            f"Row {empty} of {name} is empty: a training sequence needs at least one "
            "token. Drop the row."
        )


# -- X ---------------------------------------------------------------------------------


def _check_same_kind(estimator, given: Given, schema: Schema | None) -> None:
    """Raise if X is of another kind than in fit."""
    if schema is None:
        return
    expected: Any = schema.layout
    known = expected if expected in _IN_WORDS else "numbers"
    if given.kind != known:
        raise ValueError(
            f"X holds {_IN_WORDS.get(given.kind, 'numbers')}, but "
            f"{type(estimator).__name__} was fitted on "
            f"{_IN_WORDS.get(known, 'numbers')}."
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
            return _read_numbers(
                estimator, stacked, dtype, schema or _steps_of(stacked)
            )
        checked = stand_in(estimator, schema)
        numeric = validate_data(checked, stacked, reset=schema is None, dtype=dtype)
        return Table(numeric, is_finite=True), schema or Schema.of(checked, layout=ROWS)


def _steps_of(X) -> Schema:
    return Schema(X.shape[-1], layout=STEPS)


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
    numbers = check_array(
        y,
        dtype="numeric",
        ensure_2d=False,
        allow_nd=True,
        input_name="y",
        estimator=estimator,
    )
    return SequenceTarget(_three_axes(numbers), f"{numbers.ndim}-D")


def _three_axes(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as (n_samples, n_timesteps, n_features)."""
    if numbers.ndim > 3 or 0 in numbers.shape:
        raise ValueError(
            "y must be (n_samples,), (n_samples, n_timesteps) or (n_samples, "
            f"n_timesteps, n_features), none of them 0, got shape {numbers.shape}."
        )
    missing = (1,) * (3 - numbers.ndim)
    return numbers.reshape(*numbers.shape, *missing).astype(np.float64)


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


def _finite(sequence: np.ndarray) -> np.ndarray:
    """Return a sequence of finite numbers; raise if there are others."""
    return check_array(
        sequence, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="y"
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
