"""The prices, the indicators, and the split of the days into three periods.

Neighboring days share most of their past, so test days drawn at random would be almost
known from training. The networks learn from the first period, use the second for early
stopping, and are tested on the last. A label looks `horizon` days ahead: that many days
are dropped before each border, so that no label reaches across it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from skdeep import TrendFeatures
from skdeep.datasets import load_stock_trend
from skdeep.model_selection import PurgedTimeSeriesSplit

MIN_DAYS = 15  # in each period
FEW_ROWS = 250  # about a year of trading days
DAYS_PER_YEAR = 252  # of trading
MAX_FOLDS = 4
MIN_FOLD_DAYS = 100


class Stock(NamedTuple):
    """One stock: its prices, its labeled days, and the last day."""

    prices: pd.DataFrame  # adjusted, all rows of the file
    indicators: pd.DataFrame  # of each day that has all of them, up to the last one
    target: pd.Series  # labels; the last `horizon` days have none yet


class Periods(NamedTuple):
    """The days of training, validation and test."""

    training: pd.DatetimeIndex
    validation: pd.DatetimeIndex
    test: pd.DatetimeIndex

    @property
    def development(self):
        """All days before the test: what an estimator is fitted on."""
        return slice(self.training[0], self.validation[-1])


def load_stock(source, horizon, **file_format):
    """Load a bundled stock or a CSV file."""
    trend = load_stock_trend(source, horizon=horizon, **file_format)
    # The loader drops the days whose label is unknown, but the last of them is the day
    # to predict.
    features = TrendFeatures(context="pad").set_output(transform="pandas")
    indicators = features.fit_transform(trend.prices).loc[trend.data.index[0] :]
    return Stock(trend.prices, indicators, trend.target)


def find_border(days, share):
    """Return the row after `share` of the days, at a new year if one is near."""
    row = int(share * len(days))
    new_years = 1 + np.flatnonzero(np.diff(days.year))
    near = new_years[np.abs(new_years - row) < 0.06 * len(days)]
    return min(near, key=lambda start: abs(start - row), default=row)


def split_days(target, horizon):
    """Split the days in order: about 70 % training, 15 % validation, 15 % test."""
    days = target.index
    first, second = find_border(days, 0.70), find_border(days, 0.85)
    periods = Periods(
        training=days[: max(first - horizon, 0)],
        validation=days[first : max(second - horizon, first)],
        test=days[second:],
    )
    for name, part in periods._asdict().items():
        check_period(target[part], name, horizon)
    return periods


def check_period(target, name, horizon):
    """Raise if a period has too few days or only one label."""
    if len(target) < MIN_DAYS:
        raise ValueError(
            f"Only {len(target)} days are left for {name}, but at least {MIN_DAYS} "
            f"are needed: use more prices or a horizon shorter than {horizon} days."
        )
    if target.nunique() < 2:
        raise ValueError(
            f"All days for {name} have the label {target.iloc[0]!r}; both labels are "
            "needed."
        )


def plan_folds(target, horizon):
    """Return the cross-validation splitter for the days before the test period.

    With few days there are fewer folds: the first one must leave a network a whole
    batch after the gaps and the days for early stopping are taken out.
    """
    fold_days = MIN_FOLD_DAYS + 3 * horizon
    n_folds = min(MAX_FOLDS, len(target) // fold_days - 1)
    if n_folds < 2:
        raise ValueError(
            f"--alpha and --tune need at least {3 * fold_days} days before the test "
            f"period for two folds, got {len(target)}: use more prices or a horizon "
            f"shorter than {horizon} days."
        )
    folds = PurgedTimeSeriesSplit(n_folds, purge=horizon)
    for train, _ in folds.split(target):
        check_period(target.iloc[train], "training in a fold", horizon)
    return folds


def measure_spacing(prices):
    """Return the median number of calendar days between two rows."""
    return float(np.median(np.diff(prices.index) / pd.Timedelta(days=1)))


def count_rows_per_year(prices):
    """Return the number of rows in a year: 252 for daily prices, 52 for weekly ones."""
    spacing = measure_spacing(prices)
    return DAYS_PER_YEAR if spacing < 3 else 365.25 / spacing


def name_step(prices):
    """Return what the time between two rows is called."""
    spacing = measure_spacing(prices)
    if spacing < 3:
        return "trading day"
    return {7: "week", 30: "month", 31: "month"}.get(round(spacing), "row")


def list_cautions(prices):
    """Return sentences on what makes the results of a file less reliable."""
    cautions = []
    spacing = measure_spacing(prices)
    if spacing >= 3:
        cautions.append(
            f"The prices are {spacing:g} days apart. Wherever this report says day, "
            "read row; the indicators were designed for daily prices."
        )
    if len(prices) < FEW_ROWS:
        cautions.append(
            f"The file has only {len(prices)} rows. With fewer than {FEW_ROWS}, the "
            "networks learn little and the test period is too short to judge them."
        )
    return cautions
