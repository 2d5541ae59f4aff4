"""The header of a price file: the names that vendors use for the columns."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from skdeep.datasets._csv import CsvRow, TextFile
from skdeep.datasets._number_format import is_missing, looks_like_number

SEPARATORS = (",", ";", "\t", "|")
N_SEARCHED = 50  # number of lines at the start of a file that may be the header
REQUIRED = ("date", "open", "high", "low", "close")
PRICES = ("open", "high", "low", "close")

NEEDED = (
    "Date, Open, High, Low and Close are required; Volume and Adj Close are optional."
)

# In order of preference: if a file has "Close" and "Last", its close is "Close". Case,
# accents, blanks and punctuation are ignored. The names in German, French, Spanish,
# Italian, Portuguese, Dutch, Polish, Russian, Japanese and Chinese are those of
# investing.com, Stooq, ariva.de and Boursorama.
NAMES = {
    "date": (
        *("Date", "Datetime", "Trade date", "Trading day", "Day", "Open time"),
        # The start of a day comes before its end ("timestamp" of CoinMarketCap).
        *("Time open", "Timestamp", "Time", "Gmt time", "Local time", "Unix"),
        *("Datum", "Fecha", "Data", "Дата", "日付け", "日付", "日期"),
    ),
    "open": (
        *("Open", "Open price", "Opening price", "Price open"),
        *("Eröffn.", "Eröffnung", "Erster", "Ouv.", "Ouverture", "Apertura"),
        *("Abertura", "Otwarcie", "Откр.", "始値", "开盘"),
    ),
    "high": (
        *("High", "High price", "Highest price", "Price high", "Hoch", "Plus haut"),
        *("Haut", "Máximo", "Máxima", "Massimo", "Hoog", "Najwyższy", "Max.", "Макс."),
        *("高値", "高"),
    ),
    "low": (
        *("Low", "Low price", "Lowest price", "Price low", "Tief", "Plus bas", "Bas"),
        *("Mínimo", "Mínima", "Laag", "Najniższy", "Min.", "Мин.", "安値", "低"),
    ),
    "close": (
        *("Close", "Close/Last", "Close price", "Closing price", "Price close"),
        "Close Close price adjusted for splits.",  # a copy of Yahoo's page
        *("Last", "Last price", "Latest", "LTP", "Price", "Schlusskurs", "Schluss"),
        *("Zuletzt", "Dernier", "Clôture", "Clôt", "Último", "Laatste", "Zamknięcie"),
        *("Ostatnio", "Цена", "終値", "收盘"),
    ),
    "volume": (
        # In files of ariva.de, "Stücke" is in shares and "Volumen" in money.
        *("Volume", "Vol.", "Stücke", "Stuecke", "Volumen", "Wolumen", "Wol."),
        *("Объём", "出来高", "交易量"),
        *("Total volume", "Share volume", "Shares volume", "Volume from"),
        *("Total traded quantity", "Number of shares", "Tick volume", "Tickvol"),
    ),
    "adj_close": (
        *("Adj Close", "Adjusted close", "Close adj", "Adj close price", "Adj price"),
        *("Adjusted close price", "Adjusted closing price", "Adjusted price"),
        *("Adj", "Adjusted", "Adj. Schlusskurs"),
        "Adj Close Adjusted close price adjusted for splits and dividend and/or "
        "capital gain distributions.",
    ),
    "symbol": ("Ticker", "Symbol", "Name", "Stock code", "Stock", "Code"),
}

# "Volume BTC" and "Volume USDT" of cryptocurrencies: the first is in coins.
_VOLUME_OF = re.compile(r"(?i)volume[ _][a-z]{2,6}")

# Other names that may mean the adjusted close, which must not be ignored silently.
_ADJUSTED = re.compile(r"(?<!un)adj|ajust|bereinigt")
_NOT_CLOSE = re.compile(r"open|high|low|vol|factor|ratio")

# Headers of an index without a name.
_NO_NAMES = ("", "unnamed0", "index", "price", "ticker")


def _key(name: str) -> str:
    """Reduce a name to its letters and digits, without accents, in lowercase."""
    name = re.sub(r"^\d+\. |\(.*?\)", "", name)  # "1. open", "Close (USD)"
    letters = unicodedata.normalize("NFKD", name.replace("ł", "l").casefold())
    return "".join(letter for letter in letters if letter.isalnum())


_COLUMN_KEYS = {role: [_key(name) for name in names] for role, names in NAMES.items()}


class PriceTable(NamedTuple):
    """The rows of a price file, and the columns that its header names.

    Attributes
    ----------
    sep : str
        The separator.
    names : dict of str to str
        Name in the file of the column of each role.
    columns : dict of str to int
        Position of the column of each role.
    ignored : list of str
        The names of the other columns.
    n_columns : int
        Number of columns in the header.
    rows : list of CsvRow
        The rows below the header.
    symbol : str
        The stock of the columns if the header names it, otherwise empty.
    """

    sep: str
    names: dict[str, str]
    columns: dict[str, int]
    ignored: list[str]
    n_columns: int
    rows: list[CsvRow]
    symbol: str


def find_table(file: TextFile, sep: str | None, symbol: str | None) -> PriceTable:
    """Find the separator, the header and the columns of one stock.

    Parameters
    ----------
    file : TextFile
        The file.
    sep : str or None
        The separator; None takes the one with which the header names the most columns.
    symbol : str or None
        Which stock to take if the header names several, as in files of yfinance.
    """
    sep, header_line = _find_header(file, sep)
    rows = file.split(sep)
    at = next(i for i, row in enumerate(rows) if row.line == header_line)
    names, symbols, below = _read_levels(rows, at)
    chosen = ""
    if symbols:
        chosen = choose_symbol(file, list(dict.fromkeys(filter(None, symbols))), symbol)
        names = [
            n if s in ("", chosen) else "" for n, s in zip(names, symbols, strict=True)
        ]
    columns = _find_columns(names)
    _check_columns(file, names, columns)
    spelled = {role: names[column] for role, column in columns.items()}
    ignored = [name for name in names if name and name not in spelled.values()]
    return PriceTable(sep, spelled, columns, ignored, len(names), rows[below:], chosen)


def choose_symbol(file: TextFile, symbols: list[str], symbol: str | None) -> str:
    """Return the symbol as the file spells it."""
    listed = ", ".join(symbols[:5]) + (", ..." if len(symbols) > 5 else "")
    if symbol is None:
        if len(symbols) == 1:
            return symbols[0]
        raise ValueError(
            f"{file.name} holds the prices of {len(symbols)} stocks: {listed}. Select "
            f"one of them, such as symbol={symbols[0]!r}."
        )
    for found in symbols:
        if found.casefold() == symbol.strip().casefold():
            return found
    raise ValueError(f"symbol={symbol!r} is not in {file.name}, which has {listed}.")


def _find_header(file: TextFile, sep: str | None) -> tuple[str, int]:
    """Return the separator and the line whose cells name the most columns."""
    n_found, best = 0, (",", 1)
    for candidate in SEPARATORS if sep is None else [sep]:
        for row in file.split(candidate, N_SEARCHED):
            found = len(_find_columns(row.cells))
            if found > n_found:
                n_found, best = found, (candidate, row.line)
    if n_found < 2:
        hint = f", split at sep={sep!r}," if sep else ""
        raise ValueError(
            f"{file.name} is not a CSV file of prices with a header: none of its first "
            f"{N_SEARCHED} lines{hint} names the columns. {NEEDED} The file begins "
            f"with {''.join(file.lines).strip()[:60]!r}."
        )
    return best


def _find_columns(names: list[str]) -> dict[str, int]:
    """Return the position of the column of each role, by the first matching name."""
    keys = [_key(name) for name in names]
    columns = {}
    for role, known in _COLUMN_KEYS.items():
        fitting = [key for key in known if key in keys]
        if fitting:
            columns[role] = keys.index(fitting[0])
    volumes = [i for i, name in enumerate(names) if _VOLUME_OF.fullmatch(name)]
    if volumes:
        columns.setdefault("volume", volumes[0])
    # pandas writes an index without a name as an empty first name.
    if columns.get("close", 0) > 0 and keys[0] in _NO_NAMES:
        columns.setdefault("date", 0)
    return columns


def _check_columns(file: TextFile, names: list[str], columns: dict[str, int]) -> None:
    missing = [role for role in REQUIRED if role not in columns]
    if missing:
        raise ValueError(
            f"{file.name} lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(name for name in names if name)}. {NEEDED}"
        )
    keys = [_key(name) for name in names]
    for role, column in columns.items():
        if keys[column] and keys.count(keys[column]) > 1:
            raise ValueError(f"{file.name} has several columns named {role!r}.")
    for name, key in zip(names, keys, strict=True):
        is_adjusted = _ADJUSTED.search(key) and not _NOT_CLOSE.search(key)
        if is_adjusted and "adj_close" not in columns:
            raise ValueError(
                f"{file.name} has a column {name!r}. If it is the adjusted close, "
                "rename it to Adj Close in the file; otherwise give it another name."
            )


def _read_levels(rows: list[CsvRow], at: int) -> tuple[list[str], list[str], int]:
    """Return the names in the header, the stock of each column, and the first data row.

    pandas writes the columns of ``yfinance.download`` as three lines: the names of the
    prices, the tickers, and the name of the index. The first two may come in either
    order, and the third is missing after ``reset_index``.
    """
    names, symbols, below = list(rows[at].cells), [], at + 1
    columns = _find_columns(names)
    if at > 0 and _is_symbol_line(rows[at - 1].cells, columns, len(names)):
        symbols = rows[at - 1].cells
    elif below < len(rows) and _is_symbol_line(rows[below].cells, columns, len(names)):
        symbols = rows[below].cells
        below += 1
    if below < len(rows) and _is_index_line(rows[below].cells):
        names[0] = rows[below].cells[0]
        below += 1
    # The first cell is the name of the level, not a symbol.
    return names, symbols and ["", *symbols[1:]], below


def _is_symbol_line(cells: list[str], columns: dict[str, int], n_columns: int) -> bool:
    """Return whether a line holds a symbol for each price, as in files of yfinance."""
    if len(cells) != n_columns or _key(cells[0]) not in _NO_NAMES:
        return False
    symbols = [cells[columns[role]] for role in PRICES if role in columns]
    return not any(is_missing(s) or looks_like_number(s) for s in symbols)


def _is_index_line(cells: list[str]) -> bool:
    return _key(cells[0]) in _COLUMN_KEYS["date"] and not any(cells[1:])
