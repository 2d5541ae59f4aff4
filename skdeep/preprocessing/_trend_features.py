"""TrendFeatures: turns prices into technical indicators."""

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

from skdeep._optional_dependencies import import_optional
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

# Roles of columns by the letters of their names: "Adj Close", "adj_close" and
# "adjClose" are the same.
ROLES = {name: name for name in ("open", "high", "low", "close", "volume")}
ROLES |= {"adjclose": "adj_close", "adjustedclose": "adj_close"}

# Columns of yfinance, Alpha Vantage and Tiingo that are not prices.
EVENTS = frozenset(
    ["dividends", "stocksplits", "capitalgains", "repaired"]
    + ["dividendamount", "splitcoefficient", "divcash", "splitfactor"]
)

# The slowest averages (Wilder's over 14 rows, applied twice for the ADX) discount a row
# by 13/14 per step: after 512 steps, nothing of it is left in a float64.
N_SETTLING_ROWS = 512

# The first rows of a series, over the longest span, have no indicators.
LONGEST_SPAN = 60

# Adjusted prices are products: equal ones may differ in the last bits.
ROUNDING = 1e-9


def _import_talib():
    return import_optional("talib", extra="stocks", user="TrendFeatures")


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; 0 where the denominator is 0 or too small to divide by."""
    quotient = np.zeros_like(numerator)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    quotient[np.isinf(quotient)] = 0.0
    return quotient


def _volatility(ta, close, days):
    returns = ta.ROCP(close, 1)
    if np.isnan(returns).all():  # TA-Lib raises for a series of NaN alone
        return returns
    return ta.STDDEV(returns, days)


def _distance_to_average(ta, close, days):
    average = ta.SMA(close, days)
    return _ratio(close - average, average)


def _bollinger(ta, close, days):
    """Return where the price is in its Bollinger band, from -1 (lower edge) to 1."""
    upper, middle, _ = ta.BBANDS(close, days)
    return _ratio(close - middle, upper - middle)


def _channel(ta, close, days):
    """Return where the price is between the lowest (0) and the highest (1) of days."""
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
    """Return the share of volume on rising days minus that on falling days."""
    change = ta.ROCP(close, 1)
    change[np.abs(change) < ROUNDING] = 0.0  # or equal prices would count as a rise
    signed = np.sign(change) * volume
    if np.isnan(signed).all():  # TA-Lib raises, as above
        return signed
    return _ratio(ta.SMA(signed, days), ta.SMA(volume, days))


class _Indicator(NamedTuple):
    """The columns that an indicator reads, and `compute(talib, *columns)`."""

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


class _PriceSeries(NamedTuple):
    """One security: the prefix of its feature names and the column of each role."""

    prefix: str
    columns: dict[str, int]

    def indicators(self) -> dict[str, _Indicator]:
        """Return the indicators that the columns suffice for, by feature name."""
        return {
            self.prefix + name: indicator
            for name, indicator in _INDICATORS.items()
            if set(indicator.reads) <= self.columns.keys()
        }

    def read(self, columns: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Return prices and volume by role, adjusted if there is an adjusted close."""
        values = {role: columns[column] for role, column in self.columns.items()}
        # In shares of the first day, since those of the last depend on later splits.
        return adjust(values, volume_in="first") if "adj_close" in values else values


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _find_roles(names: Iterable[str]) -> dict[str, int]:
    """Return the columns of open, high, low, close, volume and the adjusted close."""
    roles: dict[str, int] = {}
    for column, name in enumerate(names):
        role = ROLES.get(_letters(name))
        if role in roles:
            raise ValueError(
                f"X must have one column named {role!r} (in any spelling); {name!r} "
                "repeats it."
            )
        if role:
            roles[role] = column
    if roles.keys() == {"adj_close"}:  # on its own, a price like any other
        return {}
    if roles and "close" not in roles:
        raise ValueError(
            f"X has the columns {', '.join(roles)} but no 'close', which the "
            "indicators of a day's prices need."
        )
    return roles


def _find_series(names: list[str], are_real: bool) -> list[_PriceSeries]:
    """Split the columns into the prices of one security and other, single prices."""
    roles = _find_roles(names) if are_real else {}
    if not roles:
        return [_PriceSeries(f"{name}_", {"close": i}) for i, name in enumerate(names)]
    return [_PriceSeries("", roles)] + [
        _PriceSeries(f"{name}_", {"close": column})
        for column, name in enumerate(names)
        if column not in roles.values() and _letters(name) not in EVENTS
    ]


def _drop_tickers(X):
    """Return a table of ``yfinance.download`` with the names of prices as columns.

    Its columns have two levels, (price, ticker) or (ticker, price).
    """
    if not isinstance(X, pd.DataFrame) or not len(X.columns):
        return X
    columns = X.columns
    if all(isinstance(name, tuple) for name in columns):  # of to_flat_index, too
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
            f"{found[1]}. Pass those of one, "
            f"X.xs({found[0]!r}, axis=1, level={1 - level}), or only the closing "
            "prices, one column per ticker."
        )


class TrendFeatures(
    ObservedFit, TransformerMixin, ExplainedParameters, VersionedPickle, BaseEstimator
):
    """Turn prices into technical indicators of their trend.

    Each row becomes returns over several spans, volatilities, distances to moving
    averages, oscillators (RSI, MACD, stochastic, ...), and, if high, low, open and
    volume are known, indicators of the day's range and of the volume. TA-Lib computes
    them. They are ratios and so independent of scale: doubling every price changes
    none, and they are comparable across decades. A row is computed from itself and
    earlier rows, never from later ones.

    Parameters
    ----------
    context : {"auto", "train", "pad"}, default="auto"
        Which rows `transform` puts before the first row of X. Indicators look back, and
        exponential averages depend on where a series starts, so `fit` stores the last
        training rows (512, more than any indicator remembers).

        - "auto": the stored rows, if the index of X (dates or numbers) continues that
          of the training rows, without a longer gap than the training rows have;
          otherwise none as with "pad", with a warning the first time. Arrays have no
          index, so they have no context.
        - "train": the stored rows, unless the index of X starts within or before
          the training rows.
        - "pad": none. The first rows are NaN.

        X that begins with the first training rows is treated as the training data, and
        never has a context.

    freq : str or pandas offset, default=None
        The frequency of the index of X, such as ``"B"``, ``"MS"`` or
        ``pd.offsets.CustomBusinessDay(holidays=...)``; every date must conform to it.
        None takes the ``freq`` of the index, or infers it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if they are all strings.

    See Also
    --------
    skdeep.datasets.load_stock_trend : Indicators and labels of real stocks.

    Notes
    -----
    Columns are found by their names: "open", "high", "low", "close", "volume" and
    "adj close", in upper or lower case, with or without blanks and underscores. In a
    table of ``yfinance.download``, whose columns have two levels, they are found by the
    names of the prices; it must hold a single ticker. If there is an adjusted close,
    prices are adjusted by it for splits and dividends, and volumes for splits, as in
    `load_stock_prices`. Columns of dividends and splits, which yfinance adds to the
    prices, are ignored.

    Any other column, and each column of an array, is a price of its own. It gets the
    indicators that need only a closing price, their names prefixed with that of the
    column. Any finite number is accepted as a price; a ratio whose denominator is 0 is
    0.

    The first 60 rows of a series, the longest span, are NaN. Wilder's averages (RSI,
    ATR, ADX) and the MACD take longer to settle: for Apple's prices, the start of the
    series changes no indicator by more than 1e-4 of its standard deviation at row 200,
    and by no more than rounding at row 500.

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
        """Learn the columns, and store the first and last training rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Prices in time order, oldest first. Dates in the index must be unique; gaps
            raise a warning.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : TrendFeatures
            The fitted transformer.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdeep.preprocessing import TrendFeatures
        >>> prices = pd.DataFrame({"close": [1.0, 1.1, 1.2]})
        >>> TrendFeatures().fit(prices).n_features_in_
        1
        """
        with self._observed(X, y):
            _import_talib()
            # Before the checks, which read the column names.
            X = _drop_tickers(X)
            times = times_of(X)
            prices = check_rows(self, X, dtype=np.float64)
            axis = learn_time_axis(times, self.freq)
            self._series()  # raises here, not in transform, if names are invalid
            self._context = RowContext(prices, axis, N_SETTLING_ROWS)
        return self

    def transform(self, X):
        """Compute the indicators of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Prices in time order, oldest first.

        Returns
        -------
        indicators : ndarray of shape (n_rows, n_indicators)
            Indicators in float64; NaN in the first rows of a series, for which they
            have too few earlier rows. A DataFrame after
            ``set_output(transform="pandas")``.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.preprocessing import TrendFeatures
        >>> prices = 1.01 ** np.arange(100).reshape(-1, 1)
        >>> indicators = TrendFeatures().fit(prices).transform(prices)
        >>> indicators.shape
        (100, 15)
        >>> f"{indicators[-1, 0]:.2f}"  # the return over one row
        '0.01'
        """
        check_is_fitted(self)
        self._validate_params()  # context may have changed since fit
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
            Names of the columns, if X had none in `fit`: the prefixes of the names of
            the indicators. Otherwise the same names.

        Returns
        -------
        names : ndarray of shape (n_indicators,)
            The names, in the order of the columns of `transform`.

        Examples
        --------
        >>> from skdeep.preprocessing import TrendFeatures
        >>> features = TrendFeatures().fit([[1.0], [1.1]])
        >>> features.get_feature_names_out(["gold"])[0]
        'gold_return_1'
        """
        check_is_fitted(self)
        with naming("input_features"):
            names = _check_feature_names_in(self, input_features)
        series = self._series(names)
        return np.asarray([n for s in series for n in s.indicators()], dtype=object)

    def _series(self, names=None) -> list[_PriceSeries]:
        """Return the series in X; roles are found only by names that came with X."""
        real = getattr(self, "feature_names_in_", None)
        if names is None:
            names = range(self.n_features_in_) if real is None else real
        return _find_series([str(name) for name in names], real is not None)

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
