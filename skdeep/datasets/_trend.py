"""load_stock_trend: indicators of each day, and the direction of the next days."""

from __future__ import annotations

import os
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from skdeep.datasets._prices import FILE_OPTIONS, load_stock_prices
from skdeep.preprocessing import TrendFeatures
from skdeep.preprocessing._trend_features import LONGEST_SPAN, ROUNDING

DESCRIPTION = """\
Direction of the trend of {source}
{line}

Days          {n_days}, {first} to {last}
Features      {n_features} technical indicators (skdeep.preprocessing.TrendFeatures)
Target        "increase" if the adjusted close of {later} is above that
              of the day, else "decrease" (no change counts as "decrease")
Increases     {share:.1%} of the days

Each row holds what was known at the close of its day. The first {n_start} days are
left out, because their indicators need earlier days, and so are the last, because
their future is unknown. Prices are adjusted for splits and dividends.
"""

FILE_DESCRIPTION = """
The file was read with sep={sep!r}, decimal={decimal!r}, dates {dates} (the day
{day_of}), {order}; {n_skipped} lines without prices were left out.
"""


def _label_moves(close: pd.Series, horizon: int) -> pd.Series:
    """Return the direction of the next days, for all days whose future is known."""
    later = close.to_numpy()[horizon:]
    change = later / close.to_numpy()[:-horizon] - 1.0
    labels = np.where(change > ROUNDING, "increase", "decrease")
    return pd.Series(labels, index=close.index[:-horizon], name="trend", dtype=object)


def _describe_data(source: str, frame: pd.DataFrame, horizon: int, n_start: int) -> str:
    title = f"Direction of the trend of {source}"
    return DESCRIPTION.format(
        source=source,
        line="=" * len(title),
        n_days=len(frame),
        first=frame.index[0].date(),
        last=frame.index[-1].date(),
        n_features=frame.shape[1] - 1,
        later="the next trading day"
        if horizon == 1
        else f"{horizon} trading days later",
        share=(frame["trend"] == "increase").mean(),
        n_start=n_start,
    )


def _describe_file(prices: pd.DataFrame) -> str:
    """Describe how a file was read; empty for a bundled stock."""
    read_as = prices.attrs.get("read_as")
    if read_as is None:
        return ""
    n_skipped = len(read_as["skipped_lines"])
    return FILE_DESCRIPTION.format(n_skipped=n_skipped, **read_as)


@validate_params(
    {
        "ticker": [str, os.PathLike],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "return_X_y": ["boolean"],
        **FILE_OPTIONS,
    },
    prefer_skip_nested_validation=True,
)
def load_stock_trend(
    ticker="AAPL",
    horizon=1,
    *,
    return_X_y=False,
    sep=None,
    decimal=None,
    thousands=None,
    dayfirst=None,
    tz=None,
    symbol=None,
):
    """Load indicators of a stock's trend and the direction of its next days.

    Parameters
    ----------
    ticker : str or path-like, default="AAPL"
        A stock or the path of a CSV file, as `load_stock_prices` takes it.

    horizon : int, default=1
        Number of trading days ahead for which to give the direction.

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    sep, decimal, thousands, dayfirst, tz, symbol : default=None
        The format of a file, as in `load_stock_prices`; None infers it.

    Returns
    -------
    data : Bunch
        With the attributes

        - ``data``: DataFrame of shape (n_days, n_indicators), indexed by date: the
          indicators of `TrendFeatures`, computed from that day and earlier days only
          (25, or 23 for a file without volumes).
        - ``target``: Series of shape (n_days,): "increase" if the adjusted close is
          higher `horizon` trading days later, else "decrease". No change counts as
          "decrease", since there was no gain.
        - ``frame``: both, with the target in the last column, "trend".
        - ``feature_names``: list of str; ``target_names``: list of the two labels.
        - ``prices``: the adjusted prices of all days, including those without
          indicators or target.
        - ``DESCR``: a description of the data.

    (data, target) : tuple of DataFrame and Series, if `return_X_y`
        The first two of these.

    Raises
    ------
    ValueError
        If there are too few days for one row of indicators and one label, or if
        `load_stock_prices` raises an error.
    ImportError
        If TA-Lib or, for a ticker, bokeh_sampledata is not installed.

    See Also
    --------
    load_stock_prices : The prices.
    skdeep.preprocessing.TrendFeatures : The indicators.

    Notes
    -----
    The labels of the last `horizon` days before a test period depend on its prices.
    Leave these days out of the training rows (`validation_gap` does so for validation
    rows), and split by time, not at random: the indicators of neighboring rows are
    computed from mostly the same prices.

    Examples
    --------
    >>> from skdeep.datasets import load_stock_trend
    >>> trend = load_stock_trend("AAPL", horizon=5)
    >>> trend.data.shape
    (3205, 25)
    >>> trend.target.iloc[0]
    'increase'
    """
    prices = load_stock_prices(
        ticker,
        sep=sep,
        decimal=decimal,
        thousands=thousands,
        dayfirst=dayfirst,
        tz=tz,
        symbol=symbol,
    )
    # The whole series is transformed: there are no rows before it.
    features = TrendFeatures(context="pad").set_output(transform="pandas")
    indicators = features.fit_transform(prices)
    n_start = int(indicators.isna().any(axis=1).sum())
    horizon = int(horizon)  # numpy's unsigned integers cannot be negated
    if len(prices) <= n_start + horizon:
        raise ValueError(
            f"ticker={str(ticker)!r} has {len(prices)} days; the indicators and "
            f"horizon={horizon} need at least {LONGEST_SPAN + horizon + 1}."
        )
    target = _label_moves(prices["close"], horizon).iloc[n_start:]
    data = indicators.loc[target.index]
    if return_X_y:
        return data, target
    frame = data.assign(trend=target)
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=list(data.columns),
        target_names=["decrease", "increase"],
        prices=prices,
        DESCR=_describe_data(str(ticker), frame, horizon, n_start)
        + _describe_file(prices),
    )
