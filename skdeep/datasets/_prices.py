"""load_stock_prices: daily prices from bokeh_sampledata or from a CSV file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from skdeep._optional_dependencies import import_optional
from skdeep.datasets._price_file import read_price_file
from skdeep.preprocessing._adjustment import adjust

TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
COLUMNS = ["open", "high", "low", "close", "volume"]

# Endings of text files, compressed or not.
FILE_ENDINGS = tuple(
    text + packed
    for text in (".csv", ".tsv", ".txt")
    for packed in ("", ".gz", ".zip", ".bz2", ".xz")
)

# On these days of a split, bokeh_sampledata 2026.1 counts the volume in old shares,
# although the price is that of new ones. (They are the only days that differ from the
# adjusted volumes of its release 2025.0, by the split's factor of 2.)
MISCOUNTED_DAYS = {"AAPL": ["2000-06-21", "2005-02-28"], "MSFT": ["2003-02-18"]}


def _read_bundled(ticker: str) -> pd.DataFrame:
    """Return the raw prices in bokeh_sampledata, which include an adjusted close."""
    if ticker.upper() not in TICKERS:
        raise ValueError(
            f"ticker={ticker!r} is not among the stocks of bokeh_sampledata: "
            f"{', '.join(TICKERS)}. To read a file, pass a path that ends in '.csv', "
            "or a pathlib.Path."
        )
    user = f"load_stock_prices({ticker!r})"
    stocks = import_optional("bokeh_sampledata.stocks", extra="stocks", user=user)
    ticker = ticker.upper()
    frame = pd.DataFrame(getattr(stocks, ticker))
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.pop("date")), name="date")
    frame = frame.astype(np.float64)
    frame.loc[pd.to_datetime(MISCOUNTED_DAYS.get(ticker, [])), "volume"] *= 2.0
    return frame


def _adjust(raw: pd.DataFrame) -> pd.DataFrame:
    """Adjust prices for splits and dividends, and volumes for splits alone."""
    columns = [name for name in COLUMNS if name in raw.columns]
    if "adj_close" not in raw.columns:
        return raw[columns]
    values = {name: column.to_numpy() for name, column in raw.items()}
    return pd.DataFrame(adjust(values, volume_in="last"), raw.index, columns)


def _as_path(ticker: str | os.PathLike) -> Path | None:
    """Return the argument as a path, or None if it is a ticker."""
    if not isinstance(ticker, str):
        return Path(os.fsdecode(ticker))
    if "://" in ticker:
        raise ValueError(
            f"ticker={ticker!r} is a URL; download the file and pass its path."
        )
    is_path = ticker.lower().endswith(FILE_ENDINGS) or "/" in ticker or os.sep in ticker
    return Path(os.path.expanduser(ticker)) if is_path else None


def _check_options(ticker: str, options: dict) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"{given[0]}={options[given[0]]!r} applies to files, but ticker={ticker!r} "
            "is not a path. Pass a pathlib.Path, or a path that ends in '.csv'."
        )


# Parameters for the format of a file, in load_stock_prices and load_stock_trend.
FILE_OPTIONS = {
    "sep": [str, None],
    "decimal": [StrOptions({".", ","}), None],
    "thousands": [StrOptions({".", ",", " ", "'"}), None],
    "dayfirst": ["boolean", None],
    "tz": [str, None],
    "symbol": [str, None],
}


@validate_params(
    {"ticker": [str, os.PathLike], **FILE_OPTIONS}, prefer_skip_nested_validation=True
)
def load_stock_prices(
    ticker="AAPL",
    *,
    sep=None,
    decimal=None,
    thousands=None,
    dayfirst=None,
    tz=None,
    symbol=None,
):
    """Load daily prices of a stock, adjusted for splits and dividends.

    Parameters
    ----------
    ticker : str or path-like, default="AAPL"
        "AAPL", "FB", "GOOG", "IBM" or "MSFT": real prices from the package
        bokeh_sampledata (the extra "stocks"), from 2000-03-01, or the first trading
        day (GOOG 2004-08-19, FB 2012-05-18), to 2013-03-01.

        Or the path of a CSV file: a `pathlib.Path`, or text that ends in ".csv",
        ".tsv" or ".txt" (optionally followed by ".gz", ".zip", ".bz2" or ".xz") or
        contains a "/". See the notes for the supported formats.

    sep : str, default=None
        The field separator of the file. None infers it from the header: a comma, a
        semicolon, a tab or "|".

    decimal : {".", ","}, default=None
        The decimal mark. None infers it from numbers with a single reading, such as
        "1.5" and "1,234.5". It is an error if there are none and the prices have
        commas.

    thousands : {".", ",", " ", "'"}, default=None
        The thousands separator. None takes "," if the decimal mark is ".", and "."
        if it is ",". Blanks and apostrophes are always accepted.

    dayfirst : bool, default=None
        Whether 01/02/2024 is the first of February (True) or the second of January
        (False). None infers it: the dates must exist, be in order, and be weekdays
        other than New Year's Day. It is an error if both readings pass. Dates that
        begin with the year or name the month are not affected.

    tz : str, default=None
        The time zone of the exchange, such as "Asia/Tokyo", which determines the
        trading day of timestamps with a UTC offset. None takes the day as written. A
        timestamp after noon in UTC may belong to that day or to the next, depending on
        the time zone: None infers which, since trading days are weekdays other than New
        Year's Day. It is an error if both readings pass.

    symbol : str, default=None
        Which stock to take from a file of several stocks, such as "AAPL".

    Returns
    -------
    prices : DataFrame of shape (n_days, 5)
        "open", "high", "low", "close" (in the stock's currency) and "volume" (in
        shares) as float64, indexed by "date", oldest first. Without "volume" if the
        file has no volumes. For a file, ``prices.attrs["read_as"]`` is a dict of the
        inferred format: the encoding, the separator, the column of each price, the
        format of numbers and dates, the order, and the skipped lines without prices.

    Raises
    ------
    ValueError
        If the ticker is unknown; or if a file lacks a column, or has cells that are
        invalid or ambiguous, dates out of order or repeated, prices of zero or less,
        negative volumes, or a high below the low. The error names the line and quotes
        it.
    FileNotFoundError
        If there is no such file.
    ImportError
        If bokeh_sampledata is needed but not installed.

    See Also
    --------
    load_stock_trend : Indicators and the direction of the next days.

    Notes
    -----
    Quoted prices jump at splits: Apple's halves on 2000-06-21 and on 2005-02-28, when
    each share became two. The adjusted close multiplies earlier days so that its
    changes are the gains of an owner, including dividends. Open, high and low are
    multiplied by the same factor. Volumes count shares, so only splits change them
    (steps of the factor by more than 20 %). Splits and dividends after the last day
    scale all prices by the same factor, so the last close is below the quoted one.

    The reader supports the files of Yahoo, yfinance, Stooq, Alpha Vantage, Nasdaq,
    investing.com, Tiingo, EODHD, Quandl, MetaTrader, TradingView, Barchart and Binance,
    also if a spreadsheet has saved them:

    - The header names Date, Open, High, Low, Close and optionally Volume and Adj Close,
      in any order and case, and in other common spellings ("Close/Last", "<CLOSE>",
      "adjClose", "Schlusskurs"). Lines before the header and notes after the last day
      are skipped.
    - Numbers may have a currency sign, a thousands separator and a decimal comma;
      volumes may have a suffix ("1.2M").
    - Dates are 2024-12-31, 20241231, 31.12.2024, 12/31/2024, 31-Dec-2024 or
      "Dec 31, 2024", with or without a time, or Unix times in seconds, milliseconds,
      microseconds or nanoseconds. A file uses one format throughout.
    - The newest day may come first. Days without any price ("null", "N/A", "-", ...)
      are skipped.
    - If there is an adjusted close, all prices are adjusted by it.
    - The encoding is UTF-8, UTF-16, UTF-32 or Windows-1252, and the file may be
      compressed by gzip, zip, bzip2 or xz.

    Examples
    --------
    >>> from skdeep.datasets import load_stock_prices
    >>> prices = load_stock_prices("AAPL")
    >>> prices.shape
    (3270, 5)
    >>> prices["close"].pct_change().idxmin()  # a profit warning, not a split
    Timestamp('2000-09-29 00:00:00')
    """
    options = {
        "sep": sep,
        "decimal": decimal,
        "thousands": thousands,
        "dayfirst": dayfirst,
        "tz": tz,
        "symbol": symbol,
    }
    path = _as_path(ticker)
    if path is None:
        _check_options(ticker, options)
        return _adjust(_read_bundled(ticker))
    raw, read_as = read_price_file(path, **options)
    prices = _adjust(raw)
    prices.attrs["read_as"] = read_as
    return prices
