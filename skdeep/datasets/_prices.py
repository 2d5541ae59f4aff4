"""Daily prices of stocks: those of bokeh_sampledata, or the user's own CSV file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import validate_params

from skdeep._compat import check_file_name

TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
PRICES = ["open", "high", "low", "close"]
COLUMNS = [*PRICES, "volume"]

# A step of the adjustment by more than this is a split; a dividend is less. (The
# smallest usual split is 5 for 4; the largest dividend here is Microsoft's of 2004:
# three of thirty dollars.)
SMALLEST_SPLIT = 1.2

# bokeh_sampledata 2026.1 counts the volume of the day of a split in the shares of the
# day before, though the price is in new ones: against the volumes of its release
# 2025.0, which are adjusted, these three days alone are off, each by the split's 2.
MISCOUNTED_DAYS = {"AAPL": ["2000-06-21", "2005-02-28"], "MSFT": ["2003-02-18"]}


def _read_bundled(ticker: str) -> pd.DataFrame:
    """Return the raw prices that bokeh_sampledata carries, with an adjusted close."""
    if ticker.upper() not in TICKERS:
        raise ValueError(
            f"ticker={ticker!r} is not among the stocks of bokeh_sampledata: "
            f"{', '.join(TICKERS)}. To read a file of your own give its path, ending "
            "in '.csv', or a pathlib.Path."
        )
    try:
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise ImportError(
            "load_stock_prices takes the prices of these stocks from bokeh_sampledata, "
            "which is not installed: pip install 'skdeep[stocks]' (or pip install "
            "bokeh_sampledata)."
        ) from error
    ticker = ticker.upper()
    frame = pd.DataFrame(getattr(stocks, ticker))
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.pop("date")), name="date")
    frame = frame.astype(np.float64)
    frame.loc[pd.to_datetime(MISCOUNTED_DAYS.get(ticker, [])), "volume"] *= 2.0
    return frame


def _read_text(path: Path) -> pd.DataFrame:
    """Return the cells of a CSV file as text, its column names in one spelling."""
    if not os.path.isdir(path):
        check_file_name(path, "ticker")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r} to read prices from.")
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, not a CSV file of prices.")
    try:
        frame = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{str(path)!r} is empty.") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} is not a CSV file: {error}") from error
    frame.columns = [name.strip().lower().replace(" ", "_") for name in frame.columns]
    return frame


def _check_columns(frame: pd.DataFrame, path: Path) -> None:
    missing = [name for name in ["date", *COLUMNS] if name not in frame.columns]
    if missing:
        raise ValueError(
            f"{str(path)!r} lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(frame.columns)}. Needed are Date, Open, High, Low, Close and "
            "Volume; Adj Close is optional."
        )
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"{str(path)!r} has two columns named {repeated[0]!r}.")
    if frame.empty:
        raise ValueError(f"{str(path)!r} has no rows, only column names.")


def _parse_dates(text: pd.Series, path: Path) -> pd.DatetimeIndex:
    """Parse dates such as 2001-12-31; a time of day after them is left out."""
    days = text.str.strip().str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[ T].*)?$")[0]
    dates = pd.to_datetime(days, format="%Y-%m-%d", errors="coerce")
    bad = np.flatnonzero(dates.isna())
    if bad.size:
        raise ValueError(
            f"{str(path)!r}, row {bad[0] + 1}: {text.iloc[bad[0]]!r} is not a date "
            "written as year-month-day, such as 2001-12-31."
        )
    return pd.DatetimeIndex(dates, name="date")


def _parse_numbers(text: pd.Series, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise ValueError(
            f"{str(path)!r}, column {text.name!r}, row {bad[0] + 1}: "
            f"{text.iloc[bad[0]]!r} is not a number."
        )
    return numbers


def _read_csv(path: Path) -> pd.DataFrame:
    """Return the raw prices of a Yahoo-style CSV file."""
    text = _read_text(path)
    _check_columns(text, path)
    names = [n for n in [*COLUMNS, "adj_close"] if n in text.columns]
    return pd.DataFrame(
        {name: _parse_numbers(text[name], path) for name in names},
        index=_parse_dates(text["date"], path),
    )


def _check_dates(dates: pd.DatetimeIndex, source: str) -> None:
    late = np.flatnonzero(dates[1:] <= dates[:-1])
    if not late.size:
        return
    before, after = dates[late[0]].date(), dates[late[0] + 1].date()
    if before == after:
        raise ValueError(f"{source} has the date {after} more than once.")
    raise ValueError(
        f"{source} is not sorted by date: {after} comes after {before}. Sort it with "
        "the oldest day first."
    )


def _check_prices(frame: pd.DataFrame, source: str) -> None:
    """Refuse what no market quotes: prices of 0 or less, a high below a low."""
    for name in frame.columns:
        is_bad = frame[name] < 0 if name == "volume" else frame[name] <= 0
        if is_bad.any():
            date, value = is_bad.idxmax(), frame.loc[is_bad, name].iloc[0]
            wanted = "0 or more" if name == "volume" else "above 0"
            raise ValueError(
                f"{source}, {date.date()}: {name} is {value:g}; it must be {wanted}."
            )
    crossed = frame["high"] < frame["low"]
    if crossed.any():
        raise ValueError(
            f"{source}, {crossed.idxmax().date()}: the high is below the low."
        )


def _adjust(raw: pd.DataFrame) -> pd.DataFrame:
    """Adjust prices for splits and dividends, and volumes for splits alone.

    The adjusted close over the close is the factor of a day, and open, high and low of
    that day are multiplied by it too. A split shows in it as a large step, and the
    volumes before it are in the old, larger shares.
    """
    if "adj_close" not in raw.columns:
        return raw[COLUMNS]
    factor = (raw["adj_close"] / raw["close"]).to_numpy()
    steps = factor[1:] / factor[:-1]
    is_split = np.abs(np.log(steps)) > np.log(SMALLEST_SPLIT)
    splits = np.append(np.where(is_split, steps, 1.0), 1.0)
    shares = np.cumprod(splits[::-1])[::-1]  # new shares for one of that day
    adjusted = raw[PRICES].mul(factor, axis=0)
    adjusted["close"] = raw["adj_close"]
    return adjusted.assign(volume=raw["volume"] * shares)[COLUMNS]


def _as_path(ticker: str | os.PathLike) -> Path | None:
    """Return the path that the argument is, or None if it is a ticker."""
    if not isinstance(ticker, str):
        return Path(ticker)
    is_path = ticker.lower().endswith((".csv", ".csv.gz")) or "/" in ticker
    return Path(ticker) if is_path or os.sep in ticker else None


@validate_params({"ticker": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def load_stock_prices(ticker="AAPL"):
    """Load daily prices of a stock, adjusted for splits and dividends.

    Parameters
    ----------
    ticker : str or path-like, default="AAPL"
        "AAPL", "FB", "GOOG", "IBM" or "MSFT": real prices that the package
        bokeh_sampledata carries (the extra "stocks"), from 2000-03-01, or the first
        day of trading (GOOG 2004-08-19, FB 2012-05-18), to 2013-03-01.

        Or the path of a CSV file of your own: a `pathlib.Path`, or text that ends in
        ".csv" or ".csv.gz" or has a "/" in it. Its columns are Yahoo's: Date, Open,
        High, Low, Close, Volume and, if the prices are yet to be adjusted, Adj Close;
        in any order, upper or lower case. Dates are written as 2001-12-31, sorted,
        each once.

    Returns
    -------
    prices : DataFrame of shape (n_days, 5)
        "open", "high", "low", "close" (in the stock's currency) and "volume" (in
        shares) as float64, by "date".

    Raises
    ------
    ValueError
        If the ticker is unknown, or a file lacks a column or has a cell that cannot be
        read, dates out of order or repeated, a price that is not above zero, a negative
        volume, or a high below the low.
    FileNotFoundError
        If there is no such file.
    ImportError
        If a ticker is asked for and bokeh_sampledata is not installed.

    See Also
    --------
    load_stock_trend : Indicators and the direction of the next days.

    Notes
    -----
    As quoted, Apple's price halves on 2000-06-21 and on 2005-02-28, when one share was
    made two; nobody lost anything. The adjusted close multiplies earlier days so that
    its changes are what an owner gained, dividends included. Open, high and low are
    multiplied by the same factor. Volumes count shares, so only splits change them: a
    step of the factor by more than 20 %. Splits and dividends after the last day scale
    all prices alike, which is why the last close is below the quoted one.

    Examples
    --------
    >>> from skdeep.datasets import load_stock_prices
    >>> prices = load_stock_prices("AAPL")
    >>> prices.shape
    (3270, 5)
    >>> prices["close"].pct_change().idxmin()  # a profit warning, not a split
    Timestamp('2000-09-29 00:00:00')
    """
    path = _as_path(ticker)
    raw = _read_bundled(ticker) if path is None else _read_csv(path)
    source = repr(ticker) if path is None else repr(str(path))
    _check_dates(raw.index, source)
    _check_prices(raw, source)
    return _adjust(raw)
