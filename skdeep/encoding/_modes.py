"""Tables as rows that a generator can produce: scaled numbers and one-hot choices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from skdeep.encoding._inputs import Table
from skdeep.encoding._mode_columns import (
    category_column,
    number_column,
    standard_column,
)
from skdeep.encoding._rows import DenseRows
from skdeep.encoding._table_format import TableFormat


class ModeEncoder:
    """Turns checked columns into scaled numbers and one-hot choices, and back.

    A numeric column becomes the choice of a mode and a number from -1 to 1 within this
    mode (Xu et al. 2019). Modes are those of a mixture of Gaussians; frequently
    repeated numbers and missing ones are modes of their own without a number. Numeric
    columns of few distinct values are choices among these, like categories.

    Parameters
    ----------
    layout : TableFormat
        The format of the table.
    seed : int
        Seed of the draws among overlapping modes.
    scaling : {"modes", "standard"}, default="modes"
        "standard" standardizes numeric columns; they have no modes, then.

    Attributes
    ----------
    columns_ : list
        One encoder for each column of the table, numeric columns first.
    blocks_ : list of (str, int)
        The values of a row in their order: ``("number", 1)`` is a number from -1 to 1,
        ``("choice", k)`` a one-hot row of k values.
    counts_ : list of ndarray of int
        Of each choice, how often each of its values occurs in the training rows.
    """

    def __init__(self, layout: TableFormat, seed: int, scaling: str = "modes"):
        self.layout = layout
        self.seed = seed
        self.scaling = scaling

    def fit(self, table: Table) -> ModeEncoder:
        """Learn from training rows."""
        numeric = np.asarray(table.numeric)
        self.n_numbers_ = numeric.shape[1]
        self.columns_: list[Any] = [
            number_column(column, rng)
            if self.scaling == "modes"
            else standard_column(column)
            for column, rng in zip(numeric.T, self._generators(), strict=False)
        ]
        if table.categories is not None:
            self.columns_ += [category_column(c) for c in table.categories.T]
        self.blocks_ = [block for column in self.columns_ for block in column.blocks]
        self.counts_ = [c.counts for c in self.columns_ if c.n_choices]
        return self

    @property
    def n_values_(self) -> int:
        """Number of values of an encoded row."""
        return sum(size for _, size in self.blocks_)

    @property
    def n_inputs_(self) -> int:
        """Number of values of an encoded row, by the name that other encoders use."""
        return self.n_values_

    @property
    def choices_(self) -> list[tuple[int, int]]:
        """First position and number of values of each choice."""
        starts = np.cumsum([0, *(size for _, size in self.blocks_)])
        return [
            (int(start), size)
            for start, (kind, size) in zip(starts, self.blocks_, strict=False)
            if kind == "choice"
        ]

    def network_sizes(self) -> dict[str, Any]:
        """Return what a network has to know of the columns.

        Returns
        -------
        sizes : dict
            "blocks": ``blocks_``; "scaled": for each number, None or the choice that
            precedes it and the share of the number that each value of the choice
            leaves, 1 or 0: a mode without spread has no number.
        """
        scaled: list[Any] = []
        n_choices = 0
        for column in self.columns_:
            if column.n_numbers:
                shares = column.has_spread.astype(float).tolist()
                scaled.append([n_choices, shares] if column.n_choices else None)
            n_choices += column.n_choices
        return {"blocks": [list(block) for block in self.blocks_], "scaled": scaled}

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the rows as tensors.

        Values that training rows did not have, such as a category not seen there, are
        replaced by draws from the training rows' frequencies.

        Returns
        -------
        rows : DenseRows
            Values (n_samples, n_values) of the given type, and the codes of the choices
            (n_samples, n_choices).
        """
        n = len(table)
        values = np.zeros((n, self.n_values_), np.float32)
        codes = np.empty((n, len(self.counts_)), np.int64)
        start = choice = 0
        for column, given, rng in zip(
            self.columns_, self._columns(table), self._generators(), strict=False
        ):
            numbers, chosen = column.encode(given, rng)
            if column.n_choices:
                values[np.arange(n), start + chosen] = 1
                codes[:, choice] = chosen
                start, choice = start + len(column.counts), choice + 1
            if column.n_numbers:
                values[:, start] = numbers
                start += 1
        tensor = torch.from_numpy(values).to(device, dtype)
        return DenseRows(tensor, torch.from_numpy(codes).to(device))

    def _generators(self):
        """Yield a random generator for each column, the same ones at each call.

        So ``counts_`` holds what ``encode`` returns for the training rows.
        """
        return (np.random.default_rng([self.seed, j]) for j in itertools.count())

    def _columns(self, table: Table) -> list[np.ndarray]:
        numeric = list(np.asarray(table.numeric).T)
        categories = table.categories
        return numeric if categories is None else [*numeric, *categories.T]

    def restore(
        self, values: np.ndarray, dtype: Any, index: Any = None, rng: Any = None
    ):
        """Return a table like that of the training rows.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_values)
            Encoded rows; of each choice the largest value counts.
        dtype : dtype
            Type of the floats of an array.
        index : pandas.Index, optional
            Index of a data frame of pandas.
        rng : numpy.random.Generator, optional
            Draws one of the rare categories that share a choice; by default one with
            the seed of the encoder.
        """
        rng = np.random.default_rng(self.seed) if rng is None else rng
        n = len(values)
        columns = []
        start = 0
        for column in self.columns_:
            numbers, chosen = np.zeros(n), np.zeros(n, np.int64)
            if column.n_choices:
                stop = start + len(column.counts)
                chosen = values[:, start:stop].argmax(1)
                start = stop
            if column.n_numbers:
                numbers = values[:, start].astype(np.float64)
                start += 1
            columns.append(column.restore(numbers, chosen, rng))
        numeric = columns[: self.n_numbers_]
        numbers = np.column_stack(numeric) if numeric else np.empty((n, 0))
        if self.layout.backend is None:
            numbers = numbers.astype(dtype)
        return self.layout.restore(numbers, columns[self.n_numbers_ :], index)
