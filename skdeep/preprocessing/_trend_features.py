"""Technical indicators of prices, as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import (
    CONTEXTS,
    RowContext,
    learn_time_axis,
    naming,
    times_of,
)
from skdeep.preprocessing._adjustment import adjust
from skdeep.preprocessing._base import ObservedFit, check_rows

# By the letters of their names: "Adj Close", "adj_close" and "adjClose" are the same.
ROLES = {name: name for name in ("open", "high", "low", "close", "volume")}
ROLES |= {"adjclose": "adj_close", "adjustedclose": "adj_close"}

# What stands beside the prices of a day in the tables of yfinance, Alpha Vantage and
# Tiingo, and is no price.
EVENTS = frozenset(
    ["dividends", "stocksplits", "capitalgains", "repaired"]
    + ["dividendamount", "splitcoefficient", "divcash", "splitfactor"]
)

# The slowest averages (Wilder's, over 14 rows, twice in a row for the ADX) forget a row
# by a factor of 13/14 a step: after 512 steps nothing of it is left in a float64.
N_SETTLING_ROWS = 512

# Adjusted prices are products, and two equal ones may differ in the last bits.
ROUNDING = 1e-9


def _import_talib():
    try:
        import talib
    except ImportError as error:
        raise ImportError(
            "TrendFeatures computes its indicators with TA-Lib, which is not "
            "installed: pip install TA-Lib."
        ) from error
    return talib


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; 0 where the denominator is 0 or too small to divide by."""
    quotient = np.zeros_like(numerator)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    quotient[np.isinf(quotient)] = 0.0
    return quotient


def _volatility(ta, close, days):
    returns = ta.ROCP(close, 1)
    if np.isnan(returns).all():  # TA-Lib refuses a series without one number
        return returns
    return ta.STDDEV(returns, days)


def _distance_to_average(ta, close, days):
    average = ta.SMA(close, days)
    return _ratio(close - average, average)


def _bollinger(ta, close, days):
    """Tell where in its Bollinger band the price is: -1 lower edge, 1 upper edge."""
    upper, middle, _ = ta.BBANDS(close, days)
    return _ratio(close - middle, upper - middle)


def _channel(ta, close, days):
    """Tell where between the lowest and the highest of the last days the price is."""
    lowest, highest = ta.MIN(close, days), ta.MAX(close, days)
    return _ratio(close - lowest, highest - lowest)


def _macd_histogram(ta, close):
    return _ratio(ta.MACD(close)[2], close)


def _gap(ta, open_, close):
    yesterday = np.full_like(close, np.nan)
    yesterday[1:] = close[:-1]
    return _ratio(open_ - yesterday, yesterday)


def _direction(ta, high, low, close):
    return ta.PLUS_DI(high, low, close) - ta.MINUS_DI(high, low, close)


def _volume_balance(ta, close, volume, days):
    """Share of the volume traded on rising days minus that on falling days."""
    change = ta.ROCP(close, 1)
    change[np.abs(change) < ROUNDING] = 0.0
    signed = np.sign(change) * volume
    if np.isnan(signed).all():
        return signed
    return _ratio(ta.SMA(signed, days), ta.SMA(volume, days))


class _Indicator(NamedTuple):
    """What an indicator reads, and how it is computed by `compute(talib, *reads)`."""

    reads: tuple[str, ...]
    compute: Callable[..., np.ndarray]


_C, _OC, _CV = ("close",), ("open", "close"), ("close", "volume")
_HLC = ("high", "low", "close")

_INDICATORS = {
    "return_1": _Indicator(_C, lambda ta, c: ta.ROCP(c, 1)),
    "return_2": _Indicator(_C, lambda ta, c: ta.ROCP(c, 2)),
    "return_5": _Indicator(_C, lambda ta, c: ta.ROCP(c, 5)),
    "return_10": _Indicator(_C, lambda ta, c: ta.ROCP(c, 10)),
    "return_20": _Indicator(_C, lambda ta, c: ta.ROCP(c, 20)),
    "return_60": _Indicator(_C, lambda ta, c: ta.ROCP(c, 60)),
    "volatility_10": _Indicator(_C, lambda ta, c: _volatility(ta, c, 10)),
    "volatility_60": _Indicator(_C, lambda ta, c: _volatility(ta, c, 60)),
    "sma_distance_10": _Indicator(_C, lambda ta, c: _distance_to_average(ta, c, 10)),
    "sma_distance_20": _Indicator(_C, lambda ta, c: _distance_to_average(ta, c, 20)),
    "sma_distance_50": _Indicator(_C, lambda ta, c: _distance_to_average(ta, c, 50)),
    "channel_60": _Indicator(_C, lambda ta, c: _channel(ta, c, 60)),
    "bollinger_20": _Indicator(_C, lambda ta, c: _bollinger(ta, c, 20)),
    "rsi_14": _Indicator(_C, lambda ta, c: ta.RSI(c, 14)),
    "macd_histogram": _Indicator(_C, _macd_histogram),
    "gap": _Indicator(_OC, _gap),
    "open_to_close": _Indicator(_OC, lambda ta, o, c: _ratio(c - o, o)),
    "day_position": _Indicator(_HLC, lambda ta, h, lo, c: _ratio(c - lo, h - lo)),
    "atr_14": _Indicator(_HLC, lambda ta, h, lo, c: _ratio(ta.ATR(h, lo, c, 14), c)),
    "stochastic_k": _Indicator(_HLC, lambda ta, h, lo, c: ta.STOCH(h, lo, c, 14)[0]),
    "stochastic_d": _Indicator(_HLC, lambda ta, h, lo, c: ta.STOCH(h, lo, c, 14)[1]),
    "adx_14": _Indicator(_HLC, lambda ta, h, lo, c: ta.ADX(h, lo, c, 14)),
    "direction_14": _Indicator(_HLC, _direction),
    "volume_ratio_20": _Indicator(("volume",), lambda ta, v: _ratio(v, ta.SMA(v, 20))),
    "volume_balance_20": _Indicator(
        _CV, lambda ta, c, v: _volume_balance(ta, c, v, 20)
    ),
}


class _Series(NamedTuple):
    """One traded thing: the prefix of its features and the column of each role."""

    prefix: str
    columns: dict[str, int]

    def indicators(self) -> dict[str, _Indicator]:
        """Return the indicators whose columns are all there, by feature name."""
        return {
            self.prefix + name: indicator
            for name, indicator in _INDICATORS.items()
            if set(indicator.reads) <= self.columns.keys()
        }

    def read(self, columns: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the prices and the volume by role, adjusted if X tells how."""
        values = {role: columns[column] for role, column in self.columns.items()}
        return adjust(values, volume_in="first") if "adj_close" in values else values


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _find_roles(names: Iterable[str]) -> dict[str, int]:
    """Find open, high, low, close, volume and the adjusted close, in any spelling."""
    roles: dict[str, int] = {}
    for column, name in enumerate(names):
        role = ROLES.get(_letters(name))
        if role in roles:
            raise ValueError(
                f"X has two columns for the role {role!r}: {name!r} and another one."
            )
        if role:
            roles[role] = column
    if roles.keys() == {"adj_close"}:  # a price like any other
        return {}
    if roles and "close" not in roles:
        raise ValueError(
            f"X has a column for {', '.join(roles)} but none named 'close', which "
            "every indicator of a traded day needs."
        )
    return roles


def _split_series(names: list[str], are_real: bool) -> list[_Series]:
    """Sort the columns into the one traded day and other prices."""
    roles = _find_roles(names) if are_real else {}
    if not roles:
        return [_Series(f"{name}_", {"close": i}) for i, name in enumerate(names)]
    return [_Series("", roles)] + [
        _Series(f"{name}_", {"close": column})
        for column, name in enumerate(names)
        if column not in roles.values() and _letters(name) not in EVENTS
    ]


def _drop_tickers(X):
    """Return X with the names of its prices alone, of ``yfinance.download``.

    Its columns have two levels, (price, ticker) or (ticker, price).
    """
    if not isinstance(X, pd.DataFrame) or not len(X.columns):
        return X
    columns = X.columns
    if all(isinstance(name, tuple) for name in columns):  # also of to_flat_index
        columns = pd.MultiIndex.from_tuples(columns)
    if not isinstance(columns, pd.MultiIndex):
        return X
    for level in range(columns.nlevels):
        names = columns.get_level_values(level)
        if "close" in {_letters(str(name)) for name in names}:
            _check_one_ticker(columns.droplevel(level), level)
            return X.set_axis(names, axis=1)
    return X


def _check_one_ticker(tickers: pd.Index, level: int) -> None:
    found = tickers.unique()
    if len(found) > 1:
        raise ValueError(
            f"X has the prices of {len(found)} tickers, such as {found[0]} and "
            f"{found[1]}. Give those of one, "
            f"X.xs({found[0]!r}, axis=1, level={1 - level}), or the "
            "closing prices alone, a column each, named by the tickers."
        )


class TrendFeatures(
    ObservedFit, TransformerMixin, ExplainedParameters, VersionedPickle, BaseEstimator
):
    """Turn prices into indicators of their trend.

    Each row becomes returns over several spans, volatilities, distances to moving
    averages, oscillators (RSI, MACD, stochastic, ...), and, where high, low, open and
    volume are known, indicators of the day's range and of the volume. They are ratios
    and so free of scale: doubling every price changes none, and a network can read them
    across decades. TA-Lib computes them. A row reads itself and the rows before it,
    never a later one.

    Parameters
    ----------
    context : {"auto", "train", "pad"}, default="auto"
        What stands before the first row given to `transform`. Indicators look back,
        and exponential averages depend on where their series starts, so `fit` stores
        the last training rows (512: more than any indicator remembers).

        - "auto": the stored rows, if the index of X (dates or numbers) goes on where
          that of the training rows ended, with no more dates of their calendar left
          out than between two training rows; else as "pad", with a warning, once.
          Arrays have no index, so they are padded.
        - "train": the stored rows, unless the index of X starts within or before
          the training rows.
        - "pad": nothing. The first rows, which lack a past, are NaN.

        X that begins with the first training rows is the training data, and never has
        its own end put before it.

    freq : str or pandas offset, default=None
        The calendar of the index of X, such as ``"B"``, ``"MS"`` or
        ``pd.offsets.CustomBusinessDay(holidays=...)``; each date must be on it. None
        takes the ``freq`` of the index, or infers it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if X has names that are all text.

    See Also
    --------
    skdeep.datasets.load_stock_trend : Indicators and labels of real stocks.

    Notes
    -----
    Columns are found by their names: "open", "high", "low", "close", "volume" and
    "adj close", in upper or lower case, with or without blanks and underscores. The
    columns of ``yfinance.download``, which have two levels, are taken by the names of
    the prices, if they hold one ticker. If there is an adjusted close, prices are
    adjusted by it for splits and dividends, and volumes for splits, as in
    `load_stock_prices`. Columns of dividends and splits, as yfinance gives them beside
    the prices, are left out.

    Any other column, and each column of an array, is a price of its own and gets the
    indicators that need only a closing price, their names prefixed with that of the
    column. Any finite number is taken for a price; a ratio whose denominator is 0 is 0.

    The first 60 rows of a series are NaN: the longest span. Wilder's averages (RSI,
    ATR, ADX) and the MACD go on settling: at row 200 of Apple's prices the start of the
    series moves no indicator by more than 1e-4 of its standard deviation, at row 500 by
    no more than rounding does.

    References
    ----------
    .. [1] J. W. Wilder, "New Concepts in Technical Trading Systems", 1978 (RSI, ATR,
       ADX).
    .. [2] J. Bollinger, "Bollinger on Bollinger Bands", 2001.
    .. [3] TA-Lib, the technical analysis library, https://ta-lib.org.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdeep.preprocessing import TrendFeatures
    >>> days = pd.bdate_range("2024-01-01", periods=100, name="date")
    >>> prices = pd.DataFrame({"close": 1.01 ** np.arange(100)}, index=days)
    >>> features = TrendFeatures().set_output(transform="pandas")
    >>> indicators = features.fit_transform(prices)
    >>> indicators[["return_1", "return_5", "rsi_14"]].tail(2)
                return_1  return_5  rsi_14
    date
    2024-05-16      0.01  0.051010   100.0
    2024-05-17      0.01  0.051010   100.0
    """

    _parameter_constraints: dict = {
        "context": [StrOptions(set(CONTEXTS))],
        "freq": [None, str, timedelta, pd.offsets.BaseOffset],
    }

    def __init__(self, context="auto", freq=None):
        self.context = context
        self.freq = freq

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the columns, and keep the ends of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Prices, in time order, oldest first. An index of dates must not repeat one;
            gaps in it are a warning.

        y : Ignored
            Here so that the transformer can stand in a pipeline.

        Returns
        -------
        self : TrendFeatures
            The fitted transformer.
        """
        with self._observed(X, y):
            _import_talib()
            X = _drop_tickers(X)
            times = times_of(X)
            prices = check_rows(self, X, dtype=np.float64)
            axis = learn_time_axis(times, self.freq)
            self._series()  # refuse names that make no sense now, not in transform
            self._context = RowContext(prices, axis, N_SETTLING_ROWS)
        return self

    def transform(self, X):
        """Compute the indicators of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Prices, in time order, oldest first.

        Returns
        -------
        indicators : ndarray of shape (n_rows, n_indicators)
            In float64; NaN in the first rows of a series, where an indicator lacks a
            past. A DataFrame after ``set_output(transform="pandas")``.
        """
        check_is_fitted(self)
        X = _drop_tickers(X)
        times = times_of(X)
        prices = check_rows(self, X, dtype=np.float64, reset=False)
        self._context.check(times)
        name = type(self).__name__
        before = self._context.rows_before(prices, times, self.context, name)
        with np.errstate(over="ignore", invalid="ignore"):  # of prices like 1e308
            indicators = self._compute(np.concatenate([before, prices]))
        return indicators[len(before) :]

    def get_feature_names_out(self, input_features=None):
        """Return the names of the indicators.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X, if it had none in `fit`; each of them is then
            the prefix of an unnamed price. If it had, the same names.

        Returns
        -------
        names : ndarray of shape (n_indicators,)
            The names, in the order of the columns of `transform`.
        """
        check_is_fitted(self)
        with naming("input_features"):
            names = _check_feature_names_in(self, input_features)
        series = self._series(names)
        return np.asarray([n for s in series for n in s.indicators()], dtype=object)

    def _series(self, names=None) -> list[_Series]:
        """Return what X holds; only names that came with X tell the roles."""
        real = getattr(self, "feature_names_in_", None)
        if names is None:
            names = range(self.n_features_in_) if real is None else real
        return _split_series([str(name) for name in names], real is not None)

    def _compute(self, prices: np.ndarray) -> np.ndarray:
        """Compute all indicators of all series: (n_rows, n_indicators)."""
        talib = _import_talib()
        # TA-Lib reads contiguous columns.
        columns = [np.ascontiguousarray(column) for column in prices.T]
        indicators = []
        for series in self._series():
            values = series.read(columns)
            indicators += [
                indicator.compute(talib, *(values[role] for role in indicator.reads))
                for indicator in series.indicators().values()
            ]
        return np.column_stack(indicators)
