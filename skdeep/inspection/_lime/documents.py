"""Documents, whose words are kept or left out."""

from __future__ import annotations

import re
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from skdeep.inspection._lime.cells import PartRows
from skdeep.inspection._lime.user_input import equals_string

_WORD = re.compile(r"\w+")
_GROUPS = ("word", "position")


class DocumentRows(PartRows):
    """Documents, and their perturbations, in which some words are left out.

    Parameters
    ----------
    X : list, ndarray or Series of str
        The documents.
    groups : {"word", "position"}
        Whether all occurrences of a word are one unit, or each is a unit of its own.
    ignores_case : bool
        Whether words that differ only in case are the same unit.
    """

    kind = "document"

    def __init__(self, X, groups: str, ignores_case: bool):
        self._texts = list(X)
        self._pieces = [_split_words(text) for text in self._texts]
        names: dict[str, int] = {}
        self._of_pieces = [
            _number(pieces, names, groups == "position", ignores_case)
            for pieces in self._pieces
        ]
        units = [pd.unique(numbers[1::2]) for numbers in self._of_pieces]
        super().__init__(X, units, list(names), [])
        both = zip(self._pieces, self._of_pieces, strict=True)
        drawn = [
            list(zip(pieces, numbers.tolist(), strict=True)) for pieces, numbers in both
        ]
        self.drawing = {"documents": drawn}

    def draw_size(self) -> int:
        """Return the size of a draw in memory; eight letters count as one number."""
        both = zip(self._texts, self._units, strict=True)
        return max(len(text) // 8 + len(units) + 1 for text, units in both)

    def values(self, row: int) -> list:
        """Return how often each word occurs in a document, None for other words."""
        values = np.full(len(self.unit_names), None, dtype=object)
        units, counts = np.unique(self._of_pieces[row][1::2], return_counts=True)
        values[units] = counts
        return list(values)

    def content(self, row: int) -> bytes:
        """Return a document as bytes."""
        # Texts read with errors="surrogateescape" hold lone surrogates.
        return self._texts[row].encode("utf-8", "surrogatepass")

    def keep(self, row: int, is_on: np.ndarray) -> list[str]:
        """Return a document without the words that are off, for each draw."""
        pieces, numbers = self._pieces[row], self._of_pieces[row]
        kept = np.ones((len(is_on), len(pieces)), dtype=bool)
        kept[:, 1::2] = is_on[:, pd.factorize(numbers[1::2])[0]]
        # Iterating over bytes is several times faster than over a bool array.
        return ["".join(compress(pieces, draw.tobytes())) for draw in kept]

    def contents(self, rows: np.ndarray) -> list[str]:
        """Return the content of unchanged documents."""
        return [self._texts[row] for row in rows]

    def join(self, parts: list[list[str]]) -> Any:
        """Return documents in the type of X."""
        texts = [text for part in parts for text in part]
        if isinstance(self.X, np.ndarray):
            return np.array(texts, dtype=self.X.dtype)
        if isinstance(self.X, pd.Series):
            # Perturbed documents are not among the categories of X.
            is_category = isinstance(self.X.dtype, pd.CategoricalDtype)
            dtype = None if is_category else self.X.dtype
            return pd.Series(texts, dtype=dtype, name=self.X.name)
        return (
            type(self.X)(texts)
            if isinstance(self.X, (list, tuple))
            else (
                type(self.X)(self.X.name, texts)  # a Series of polars
            )
        )


def document_rows(estimator, X, options: dict) -> DocumentRows:
    """Return documents as rows to explain."""
    for place, document in enumerate(X):
        if not isinstance(document, str):
            raise ValueError(
                "X must contain nothing but text if it holds documents, got "
                f"{document!r} at position {place}."
            )
    for name in ("discretize", "categorical_features", "feature_names"):
        if options[name] is not None:
            raise ValueError(f"{name} is for tables, but X contains documents.")
    groups = options["groups"]
    if groups is not None and not any(equals_string(groups, name) for name in _GROUPS):
        raise ValueError(
            f"groups={groups!r} must be one of {list(_GROUPS)} for documents."
        )
    return DocumentRows(X, groups or "word", _ignores_case(estimator))


def _ignores_case(estimator) -> bool:
    """Return whether a vectorizer in the estimator converts text to lower case."""
    # A function has no parameters: dict() is empty.
    get_params = getattr(estimator, "get_params", dict)
    return any(
        name.split("__")[-1] == "lowercase" and value is True
        for name, value in get_params().items()
    )


def _split_words(text: str) -> list[str]:
    """Return the pieces of a text: separators at even positions, words at odd ones."""
    pieces, end = [], 0
    for match in _WORD.finditer(text):
        pieces += [text[end : match.start()], match.group()]
        end = match.end()
    return [*pieces, text[end:]]


def _number(pieces, names: dict, by_position: bool, ignores_case: bool) -> np.ndarray:
    """Return the unit of each piece, -1 for separators; add new units to ``names``."""
    numbers, counts = np.full(len(pieces), -1), dict[str, int]()
    for place, word in enumerate(pieces[1::2]):
        name = word.lower() if ignores_case else word
        counts[name] = counts.get(name, 0) + 1
        if by_position and counts[name] > 1:
            name = f"{name} ({counts[name]})"
        numbers[2 * place + 1] = names.setdefault(name, len(names))
    return numbers
