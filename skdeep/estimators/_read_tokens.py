"""Tokens or numbers: how the arguments of `fit` and `predict` are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from skdeep._input_checks import short
from skdeep.encoding import split, tensor_to_numpy

TEXT, LISTS = "text", "lists"
IN_WORDS = {TEXT: "strings", LISTS: "lists of tokens"}


class Given(NamedTuple):
    """What the user has passed: lists of tokens, or values to be read as numbers.

    ``kind`` is "text", "lists" or "numbers".
    """

    kind: str
    rows: Any

    @property
    def is_tokens(self) -> bool:
        """Whether the rows are lists of tokens."""
        return self.kind in (TEXT, LISTS)


def in_words(given: Given) -> str:
    """Return what the user has passed, for messages."""
    if given.is_tokens:
        return IN_WORDS[given.kind]
    rows = given.rows
    first = rows[0] if isinstance(rows, list) else rows
    if isinstance(first, np.ndarray):
        return f"an array of shape {first.shape} ({first.dtype})"
    if isinstance(first, (list, tuple)) and first:
        return f"lists of {type(first[0]).__name__}"
    return type(first).__name__


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
    rows = plain_rows(values, name)
    integers = integers or level == "token"
    if isinstance(rows, list):
        return _read_list(rows, name, level, integers)
    is_integer = isinstance(rows, np.ndarray) and rows.dtype.kind in "iu"
    if integers and is_integer and rows.ndim == 1:
        _raise_no_list(rows[0].item(), name, level)
    if integers and is_integer and rows.ndim == 2:
        return Given(LISTS, rows.tolist())
    return Given("numbers", rows)


def plain_rows(values, name: str):
    """Return texts and nested sequences as a list, anything else as it is."""
    values = tensor_to_numpy(values, name)
    if isinstance(values, str):
        raise ValueError(
            f"{name} must hold several sequences, got a single str. For one, pass "
            "[text]."
        )
    if isinstance(values, (bytes, bytearray)):
        raise TypeError(f"{name} must hold strings, got bytes. {_DECODE}")
    if isinstance(values, (list, tuple)):
        return list(values)
    if isinstance(values, np.ndarray):
        return _plain_array(values, name)
    if sparse.issparse(values):  # some formats are dicts
        raise TypeError(
            f"{name} must be dense, got a sparse array. Use {name}.toarray()."
        )
    if isinstance(values, (set, frozenset, dict, Iterator)):
        raise TypeError(
            f"{name} must be a list or an array, got {type(values).__name__}."
        )
    return _plain_column(values)


_DECODE = "Decode them, for example with .decode('utf-8')."


def _plain_array(values: np.ndarray, name: str):
    """Return an array of strings or objects as a list."""
    if values.ndim == 0 and values.dtype.kind in "US":
        return plain_rows(values.item(), name)
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
    if isinstance(values, (pd.Index, pd.api.extensions.ExtensionArray)):
        values = pd.Series(values)
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


def is_list(value) -> bool:
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
    kind = _kind_of(_first_value(rows))
    # Missing numbers are reported by the checks of numbers.
    _check_all(rows, kind, name)
    if kind == "strings":
        return _read_text(rows, name, level)
    if kind == "lists":
        return _read_lists(rows, name, integers)
    if integers and all(_is_integer(type(row)) for row in rows):
        _raise_no_list(rows[0], name, level)
    return Given("numbers", rows)


def _kind_of(row) -> str:
    """Return what a row is: "strings", "lists" or "numbers"."""
    if isinstance(row, (str, bytes, bytearray)):
        return "strings"
    return "lists" if is_list(row) else "numbers"


def _check_all(rows: list, kind: str, name: str) -> None:
    """Raise for the first row that is not of the kind of the others, or is bytes."""
    for i, row in enumerate(rows):
        if isinstance(row, (bytes, bytearray)):
            raise TypeError(f"Row {i} of {name} holds bytes. {_DECODE}")
        if _kind_of(row) == kind:
            continue
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
    if any(issubclass(kind, (list, tuple)) for kind in kinds):
        _check_depth(lists, name)
    holds_text = any(issubclass(kind, (str, bytes)) for kind in kinds)
    if not holds_text and not (integers and all(map(_is_integer, kinds))) and kinds:
        return Given("numbers", rows)
    is_token = _is_str_or_integer if integers else _is_str
    if not all(map(is_token, kinds)):
        _raise_wrong_token(lists, is_token, name)
    if kinds <= {str, int}:
        return Given(LISTS, [list(tokens) for tokens in lists])
    return Given(LISTS, [[_plain_token(t) for t in tokens] for tokens in lists])


def _is_integer(kind: type) -> bool:
    return issubclass(kind, (int, np.integer)) and not issubclass(kind, bool)


def _is_str(kind: type) -> bool:
    return issubclass(kind, str)


def _is_str_or_integer(kind: type) -> bool:
    return _is_str(kind) or _is_integer(kind)


def _plain_token(token):
    """Return a token without the types of numpy."""
    return str(token) if isinstance(token, str) else int(token)


def _as_list(row, name: str):
    """Return a row as a list, or as an array of numbers."""
    if isinstance(row, (list, tuple)):
        return row
    row = np.asarray(tensor_to_numpy(row, name))
    return row.tolist() if row.dtype.kind in "OUTS" else row


def _types(lists: list) -> set[type]:
    """Return the types of all items; those of arrays of several axes are arrays."""
    arrays = [row for row in lists if isinstance(row, np.ndarray)]
    others = [row for row in lists if not isinstance(row, np.ndarray)]
    kinds = {a.dtype.type if a.ndim == 1 else np.ndarray for a in arrays if a.size}
    return kinds | set(map(type, chain.from_iterable(others)))


# Levels of nested lists in which strings are looked for.
_DEEPEST = 8


def _check_depth(lists: list, name: str) -> None:
    """Raise if the items of the lists are lists of strings."""
    for i, row in enumerate(lists):
        for item in row:
            leaf = item
            for _ in range(_DEEPEST):  # a list may hold itself
                leaf = leaf[0] if isinstance(leaf, (list, tuple)) and leaf else leaf
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
