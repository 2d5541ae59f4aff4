"""Columns of real and of sampled rows, as they are compared in pictures."""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse

from skdeep._input_checks import is_integer, naming, tensor_to_numpy
from skdeep._messages import did_you_mean

_MOST_COLUMNS = 16  # that are drawn unless the user asks for others
_MOST_BARS = 10  # of one column
_N_BINS = 30
_MOST_UNIT_BINS = 40  # whole numbers have a bin each if there are not more
_TAILS = 0.005  # share of the values at each end that need not be in the range
_MARGIN = 0.1  # on both sides of the range, as a share of its width
_ROWS_FOR_CORRELATION = 5000
_ROUNDING = 1e-9  # a range so small, compared with its values, is that of a constant
_LARGEST = 1e300  # beyond it, ranges overflow


@dataclass
class Column:
    """One column of the real rows and of the samples.

    Parameters
    ----------
    name : object
        Its name, or its position in an array.
    real, samples : ndarray of shape (n_samples,)
        Numbers, NaN where missing; or the known categories, as text.
    missing : tuple of float
        The share of missing entries of both.
    is_numeric : bool
        Whether it holds numbers.
    order : list or None
        The categories in their order, if they have one.
    """

    name: Any
    real: np.ndarray
    samples: np.ndarray
    missing: tuple[float, float]
    is_numeric: bool
    order: list | None = None

    @property
    def label(self) -> str:
        """The name in the picture."""
        return f"column {self.name}" if is_integer(self.name) else str(self.name)


def compared_columns(
    real, samples, columns, real_name: str = "real"
) -> tuple[list[Column], int]:
    """Return the columns to draw, and the number of all columns.

    Parameters
    ----------
    real, samples : array-like or data frame of shape (n_samples, n_features)
        Rows with the same columns.
    columns : array-like of str or int, or None
        Names or positions of the columns to draw; None draws the first ones.
    real_name : str, default="real"
        Name of the user's argument with the real rows, for messages.

    Raises
    ------
    TypeError, ValueError
        If these are not tables with the same columns, or a column is unknown.
    """
    of_real, of_samples = _series(real, real_name), _series(samples, "samples")
    of_samples = _same_columns(of_real, of_samples, real_name)
    names = _chosen(columns, list(of_real))
    made = [_column(name, of_real[name], of_samples[name], real_name) for name in names]
    return made, len(of_real)


def _series(rows, argument: str) -> dict[Any, pd.Series]:
    """Return the columns of a table by name; those of an array by position."""
    rows = tensor_to_numpy(rows, argument)
    if sparse.issparse(rows):
        raise TypeError(f"{argument} must be dense. Pass {argument}.toarray().")
    if isinstance(rows, pd.DataFrame):
        names = list(rows.columns)
        columns = [rows.iloc[:, j] for j in range(len(names))]
    else:
        names, columns = _other_columns(rows, argument)
    if len(set(names)) < len(names):
        raise ValueError(f"{argument} must have different names of columns.")
    if not names or not len(columns[0]):
        raise ValueError(f"{argument} must have at least one row and one column.")
    for name, column in zip(names, columns, strict=True):
        if pd.api.types.is_complex_dtype(column.dtype):
            raise ValueError(
                f"{argument} must hold real numbers, got complex values in column "
                f"{name!r}."
            )
    return {
        name: column.infer_objects()
        for name, column in zip(names, columns, strict=True)
    }


def _other_columns(rows, argument: str) -> tuple[list, list[pd.Series]]:
    """Return the columns of an array, a list or a frame of another library."""
    frame = nw.from_native(rows, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        names = list(frame.columns)
        return names, [pd.Series(frame[name].to_list()) for name in names]
    with naming(argument):
        # As objects: numpy would turn numbers beside text into text.
        is_array = hasattr(rows, "dtype")
        array = np.asarray(rows) if is_array else np.array(rows, dtype=object)
    if array.dtype.names is not None:
        raise TypeError(
            f"{argument} must not be a structured array. Pass pandas.DataFrame("
            f"{argument})."
        )
    if array.ndim != 2:
        raise ValueError(
            f"{argument} must be a table of shape (n_samples, n_features), or images "
            f"with an axis for each of their dimensions, got shape {array.shape}."
        )
    return list(range(array.shape[1])), [pd.Series(column) for column in array.T]


def _same_columns(real: dict, samples: dict, real_name: str) -> dict:
    """Return the columns of the samples by the names of the real ones."""
    if len(real) == len(samples) and (_is_array(real) or _is_array(samples)):
        return dict(zip(real, samples.values(), strict=True))
    if set(real) == set(samples):
        return samples
    if _is_array(real) or _is_array(samples):
        difference = f"{len(real)} and {len(samples)} of them"
    else:
        lacking = [name for name in real if name not in samples]
        extra = [name for name in samples if name not in real]
        difference = f"samples lacks {short(lacking)}" if lacking else ""
        difference += " and " if lacking and extra else ""
        difference += f"{real_name} lacks {short(extra)}" if extra else ""
    raise ValueError(
        f"{real_name} and samples must have the same columns, got {difference}."
    )


def _is_array(columns: dict) -> bool:
    return list(columns) == list(range(len(columns)))


def _chosen(columns, names: list) -> list:
    """Return the names of the columns to draw."""
    if columns is None:
        return names[:_MOST_COLUMNS]
    columns = tensor_to_numpy(columns, "columns")
    try:
        wanted = None if isinstance(columns, (str, bytes)) else list(columns)
    except TypeError:
        wanted = None
    if wanted is None:
        raise TypeError(
            f"columns must be a list of names or positions, got {short(columns)}."
        )
    found = []
    for asked in wanted:
        if isinstance(asked, str) and asked in names:
            found.append(asked)
        elif is_integer(asked) and asked in names:
            found.append(names[names.index(asked)])
        elif is_integer(asked) and 0 <= asked < len(names):
            found.append(names[asked])
        else:
            raise ValueError(
                f"columns holds {short(asked)}, which is not among the {len(names)} "
                f"columns of the rows. {did_you_mean(asked, names)}".rstrip()
            )
    if not found:
        raise ValueError("columns must name at least one column.")
    return found


def _column(name, real: pd.Series, samples: pd.Series, real_name: str) -> Column:
    missing = (float(real.isna().mean()), float(samples.isna().mean()))
    if _holds_numbers(real):
        numbers = _numbers(real, name, real_name), _numbers(samples, name, "samples")
        return Column(name, *numbers, missing, True)
    order = None
    if isinstance(real.dtype, pd.CategoricalDtype) and real.dtype.ordered:
        order = list(map(_text, real.dtype.categories))
    texts = _texts(real), _texts(samples)
    return Column(name, *texts, missing, False, order)


def _texts(column: pd.Series) -> np.ndarray:
    """Return the known categories as text."""
    return np.array([_text(value) for value in column.dropna()], dtype=object)


def _holds_numbers(column: pd.Series) -> bool:
    is_bool = pd.api.types.is_bool_dtype(column.dtype)
    return pd.api.types.is_numeric_dtype(column.dtype) and not is_bool


def _numbers(column: pd.Series, name, argument: str) -> np.ndarray:
    """Return numbers, NaN for those that are missing or infinite."""
    try:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r} of {argument} must hold real numbers, as that of the "
            f"other rows, got {short(column.dropna().iloc[0])}."
        ) from error
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    largest = np.abs(_known(numbers)).max(initial=0.0)
    if largest > _LARGEST:
        raise ValueError(
            f"Column {name!r} of {argument} has values too large to draw, such as "
            f"{largest:.3g}."
        )
    return numbers


def _text(value) -> str:
    """Return a category as text: the same for 1 and 1.0."""
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if is_whole else str(value)


# -- shares ----------------------------------------------------------------------------


def bin_shares(column: Column) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the edges of common bins, and the share of both kinds of rows in each.

    The outermost bins also hold the values beyond them.
    """
    edges = _edges(column)
    shares = [
        np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / max(len(values), 1)
        for values in (_known(column.real), _known(column.samples))
    ]
    return edges, shares[0], shares[1]


def _edges(column: Column) -> np.ndarray:
    low, high = limits_of(column)
    both = _known(np.concatenate([column.real, column.samples]))
    if high - low <= _MOST_UNIT_BINS and (both == np.rint(both)).all():
        return np.arange(np.rint(low) - 0.5, np.rint(high) + 1)
    return np.linspace(low, high, _N_BINS + 1)


def limits_of(column: Column) -> tuple[float, float]:
    """Return the range of the real values, without the tails, and with a margin."""
    values = _known(column.real)
    values = values if len(values) else _known(column.samples)
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    if low == high:
        low, high = values.min(), values.max()
    size = max(abs(low), abs(high))
    margin = _MARGIN * (high - low)
    if margin <= _ROUNDING * size:  # a constant
        margin = max(0.5, _MARGIN * size)
    return float(low - margin), float(high + margin)


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def category_shares(column: Column) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return categories, and the share of both kinds of rows in each.

    The most frequent categories of the real rows come first, unless they have an order
    of their own. Of many, the others are taken together.
    """
    real, samples = (
        pd.Series(values, dtype=object).value_counts(normalize=True)
        for values in (column.real, column.samples)
    )
    known = real.index.union(samples.index, sort=True)
    by_share = sorted(known, key=lambda name: -real.get(name, 0.0))
    names = by_share
    if len(names) > _MOST_BARS:
        names = names[: _MOST_BARS - 1]
    if column.order is not None:
        names = [name for name in column.order if name in set(names)]
    shares = [counts.reindex(names).fillna(0.0) for counts in (real, samples)]
    if len(by_share) > len(names):
        rest = f"{len(by_share) - len(names)} others"
        names = [*names, rest]
        shares = [
            pd.concat([part, pd.Series([max(total.sum() - part.sum(), 0.0)])])
            for part, total in zip(shares, (real, samples), strict=True)
        ]
    return names, shares[0].to_numpy(), shares[1].to_numpy()


def missing_shares(columns: list[Column]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the columns with missing entries, and the share of these in both."""
    found = [column for column in columns if any(column.missing)]
    found = sorted(found, key=lambda column: -max(column.missing))[:_MOST_BARS]
    shares = np.array([column.missing for column in found]).reshape(-1, 2)
    return [column.label for column in found], shares[:, 0], shares[:, 1]


# -- pairs -----------------------------------------------------------------------------


def strongest_pairs(columns: list[Column], n: int) -> list[tuple[Column, Column]]:
    """Return the pairs of numeric columns that are correlated the most.

    By Spearman's correlation of the real rows.
    """
    numeric = [column for column in columns if column.is_numeric]
    some = {k: column.real[:_ROWS_FOR_CORRELATION] for k, column in enumerate(numeric)}
    strength = pd.DataFrame(some).rank().corr().abs()
    pairs = [(i, j) for j in range(len(numeric)) for i in range(j)]
    # NaN where a column is constant or empty.
    known = [pair for pair in pairs if not np.isnan(strength.at[pair])]
    best = sorted(known, key=lambda pair: -strength.at[pair])[:n]
    return [(numeric[i], numeric[j]) for i, j in best]
