"""Reading of a vendor's price file: the raw prices of one stock, oldest day first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from skdeep.datasets._csv import CsvRow, TextFile
from skdeep.datasets._date_format import looks_like_date, parse_days
from skdeep.datasets._header import PRICES, PriceTable, choose_symbol, find_table
from skdeep.datasets._number_format import (
    choose_style,
    looks_like_number,
    parse_numbers,
)

NUMBERS = (*PRICES, "volume", "adj_close")


def read_price_file(
    path: Path,
    sep: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    dayfirst: bool | None = None,
    tz: str | None = None,
    symbol: str | None = None,
) -> tuple[pd.DataFrame, dict]:
    """Read a file of daily prices, and infer the options that are None.

    Parameters
    ----------
    path : Path
        The file.
    sep, decimal, thousands, dayfirst, tz, symbol : optional
        See `load_stock_prices`.

    Returns
    -------
    raw : DataFrame of shape (n_days, n_columns)
        "open", "high", "low", "close" and, if the file has them, "volume" and
        "adj_close", indexed by "date".
    read_as : dict
        The format as passed or inferred, see `load_stock_prices`.
    """
    file = TextFile(path)
    table = find_table(file, sep, symbol)
    cells = _select_cells(file, table, symbol)
    columns = [name for name in NUMBERS if name in cells.columns]
    style = choose_style(file, cells[columns], decimal, thousands)
    raw = pd.DataFrame(
        {n: parse_numbers(file, cells[n], table.names[n], style) for n in columns},
        index=cells.index,
    )
    # Before the dates are parsed, which may be missing in lines without prices.
    raw, skipped = _drop_days_without_prices(file, raw, table.names)
    cells = cells.loc[raw.index]
    days, dates_read_as = parse_days(file, cells["date"], dayfirst, tz)
    _check_prices(file, raw, days)
    raw, order = _sort(file, raw, days)
    return raw, {
        "file": str(path),
        "encoding": file.encoding,
        "sep": table.sep,
        "columns": {name: table.names[name] for name in ("date", *raw.columns)},
        "ignored_columns": table.ignored,
        **style._asdict(),
        **dates_read_as,
        "order": order,
        "skipped_lines": skipped,
    }


def _select_cells(
    file: TextFile, table: PriceTable, symbol: str | None
) -> pd.DataFrame:
    """Return the text of the used columns, by line, in the rows of one stock."""
    rows = _drop_notes_at_the_end(table)
    if not rows:
        raise ValueError(f"{file.name} has a header but no rows.")
    for row in rows:
        if any(row.cells[table.n_columns :]):
            raise file.error(
                row.line,
                f"it has {len(row.cells)} fields, but the header has "
                f"{table.n_columns}. Quote fields that contain {table.sep!r}.",
            )
    index = pd.Index([row.line for row in rows], name="line")
    cells = pd.DataFrame(
        {
            role: pd.Series(
                [_cell_of(row, column) for row in rows], index, dtype=object
            )
            for role, column in table.columns.items()
        }
    )
    return _select_stock(file, cells, symbol, bool(table.symbol))


def _cell_of(row: CsvRow, column: int) -> str:
    """Return a cell, empty if the row is shorter."""
    return row.cells[column] if column < len(row.cells) else ""


def _drop_notes_at_the_end(table: PriceTable) -> list[CsvRow]:
    """Drop lines such as "Downloaded from ..." after the last day."""
    rows = list(table.rows)
    while rows and _is_note(rows[-1], table.columns):
        rows.pop()
    return rows


def _is_note(row: CsvRow, columns: dict[str, int]) -> bool:
    prices = [_cell_of(row, columns[role]) for role in PRICES]
    has_date = looks_like_date(_cell_of(row, columns["date"]))
    return not has_date and not any(looks_like_number(cell) for cell in prices)


def _select_stock(
    file: TextFile, cells: pd.DataFrame, symbol: str | None, is_selected: bool
) -> pd.DataFrame:
    """Return the rows of one stock if the file has a column of symbols."""
    found = list(dict.fromkeys(cells.get("symbol", [])))
    if not any(found):
        if symbol is not None and not is_selected:
            raise ValueError(
                f"symbol={symbol!r} requires a column of symbols, such as Ticker, "
                f"Symbol or Name, but {file.name} has none."
            )
        return cells
    if "" in found:
        line = cells.index[cells["symbol"] == ""][0]
        raise file.error(line, "the symbol of the stock is missing.")
    return cells[cells["symbol"] == choose_symbol(file, found, symbol)]


def _drop_days_without_prices(
    file: TextFile, raw: pd.DataFrame, names: dict[str, str]
) -> tuple[pd.DataFrame, list[int]]:
    """Drop rows without any price (holidays); raise if a row lacks some."""
    is_holiday = raw[list(PRICES)].isna().all(axis=1)
    skipped, raw = raw.index[is_holiday].tolist(), raw[~is_holiday]
    if raw.empty:
        raise ValueError(f"{file.name} has no rows with prices.")
    # Indexes have a column of volumes that is always empty.
    if "volume" in raw.columns and raw["volume"].isna().all():
        raw = raw.drop(columns="volume")
    for name, column in raw.items():
        if column.isna().any():
            remedy = "or remove the row"
            if name == "volume":
                remedy = "(0 if nothing was traded) or remove the column"
            raise file.error(
                column.isna().idxmax(),
                f"column {names[name]!r} has no number, but other columns of the day "
                f"do. Fill it in {remedy}.",
            )
    return raw, skipped


def _check_prices(file: TextFile, raw: pd.DataFrame, days: pd.DatetimeIndex) -> None:
    """Raise for impossible prices: 0 or less, or a high below the low."""
    dates = dict(zip(raw.index, days.strftime("%Y-%m-%d"), strict=True))
    for name, column in raw.items():
        is_bad = column < 0 if name == "volume" else column <= 0
        if is_bad.any():
            line, value = is_bad.idxmax(), column[is_bad].iloc[0]
            wanted = "0 or more" if name == "volume" else "above 0"
            raise file.error(
                line, f"{name} is {value:g}; it must be {wanted}.", dates[line]
            )
    crossed = raw["high"] < raw["low"]
    if crossed.any():
        line = crossed.idxmax()
        raise file.error(line, "the high is below the low.", dates[line])


def _sort(
    file: TextFile, raw: pd.DataFrame, days: pd.DatetimeIndex
) -> tuple[pd.DataFrame, str]:
    """Put the oldest day first; the file must be sorted in either direction."""
    # A new index, because normalize() may have given the days a frequency.
    index = pd.DatetimeIndex(days.to_numpy(), name="date").as_unit("us")
    lines, raw = raw.index, raw.set_index(index)
    if days.has_duplicates:
        again = int(np.flatnonzero(days.duplicated())[0])
        first = lines[days.get_indexer_for(days[[again]])[0]]
        raise file.error(
            lines[again],
            f"the date {days[again].date()} occurs more than once, first in line "
            f"{first}. Each day must have one row.",
        )
    if days.is_monotonic_increasing:
        return raw, "oldest first"
    if days.is_monotonic_decreasing:
        return raw[::-1], "newest first"
    late = _find_disorder(days)
    raise file.error(
        lines[late],
        f"the file is not sorted by date: {days[late].date()} comes after "
        f"{days[late - 1].date()}. Sort the file by date.",
    )


def _find_disorder(days: pd.DatetimeIndex) -> int:
    """Return the first row that breaks the order of most rows."""
    # Most steps determine the direction, whichever row comes first.
    rises = np.diff(days.to_numpy()) > np.timedelta64(0)
    is_rising = rises.sum() * 2 >= len(rises)
    return 1 + int(np.flatnonzero(rises != is_rising)[0])
