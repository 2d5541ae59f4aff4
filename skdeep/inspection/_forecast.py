"""Plots of forecasts with the history before them and their prediction intervals."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skdeep._axes import import_pyplot, to_axes_array
from skdeep._input_checks import (
    check_count,
    check_name,
    is_integer,
    naming,
    tensor_to_numpy,
)

# Narrower axes, in inches, get fewer dates than matplotlib's locator prefers.
_ROOM_FOR_DATES = 6


class ForecastDisplay:
    """Plot of forecasts, the history before them, and their prediction intervals.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    tables : dict of DataFrame
        One table for each axes, by the label of its y axis. The index holds dates, or
        steps (0 is the last known row). The columns are "history", "forecast" and, if
        they are known, "lower" and "upper" (the ends of the prediction interval) and
        "truth" (the actual values), with NaN in the rows that they do not cover.
    coverage : float, default=None
        Coverage of the prediction intervals, for the legend.
    estimator_name : str, default=None
        The title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each table.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curves. Those of the future start at the last known row.
    bands_ : list of matplotlib PolyCollection
        The prediction intervals.

    See Also
    --------
    skdeep.LSTMForecaster : The forecaster.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdeep import LSTMForecaster
    >>> from skdeep.inspection import ForecastDisplay
    >>> hours = pd.date_range("2024-01-01", periods=600, freq="h")
    >>> day = np.sin(2 * np.pi * np.arange(600) / 24)
    >>> load = pd.DataFrame({"load": 10 + 3 * day}, index=hours)
    >>> model = LSTMForecaster(window=24, horizon=6, hidden_size=8, random_state=0)
    >>> model = model.set_params(max_iter=5).fit(load[:500])
    >>> display = ForecastDisplay.from_estimator(
    ...     model, load[:550], future=load[550:]
    ... )
    >>> plt.show()
    """

    def __init__(self, *, tables, coverage=None, estimator_name=None):
        self.tables = tables
        self.coverage = coverage
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        steps=None,
        future=None,
        n_history=None,
        coverage=0.9,
        target=None,
        group=None,
        ax=None,
        name=None,
    ):
        """Draw the forecast of the rows that follow X, after the last rows of X.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`~skdeep.LSTMForecaster`.
        X : array-like of shape (n_rows, n_features)
            The known rows, in order of time.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            The targets of these rows; needed if y was passed to ``fit``.
        steps : int, default=None
            Number of rows to forecast; None means the ``horizon``.
        future : array-like of shape (n_future, n_features), default=None
            The rows that follow. The forecaster reads ``known_columns`` from them;
            other columns may be left out. Targets in these rows are drawn as actual
            values; the forecast does not use them.
        n_history : int, default=None
            Number of rows of X to draw; None means the ``window``, or twice the number
            of steps if that is more.
        coverage : float, default=0.9
            Coverage of the prediction interval of each step; None draws no interval.
            Without validation rows in ``fit``, none is drawn either.
        target : str or int, default=None
            The target to draw, by name or position; None draws each target on axes of
            its own.
        group : object, default=None
            The series to draw, by its name in the column ``groups``; None draws all.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: one for each series and target; a new figure if None.
        name : str, default=None
            The title; the name of the class if None.

        Returns
        -------
        display : ForecastDisplay
            With the forecasts drawn.

        Raises
        ------
        TypeError
            If the estimator is not a forecaster.
        ValueError
            If there is no such target or series, if y is needed, or if the number of
            axes is wrong.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> from skdeep.inspection import ForecastDisplay
        >>> X = np.sin(np.arange(80.0))[:, np.newaxis]
        >>> model = LSTMForecaster(window=8, horizon=2, hidden_size=4, max_iter=2)
        >>> display = ForecastDisplay.from_estimator(model.fit(X), X)
        >>> [line.get_label() for line in display.lines_]
        ['history', 'forecast']
        """
        _check_forecaster(estimator)
        if n_history is not None:
            check_count(n_history, "n_history")
        check_name(name)
        shows_truth = future is not None and y is None
        later = _align_columns(X, future, estimator) if shows_truth else None
        arguments = (steps, X, future)
        paths = _split_by_series(estimator.forecast(*arguments), estimator.groups)
        ends: dict = {}
        if coverage is not None and _has_intervals(estimator):
            intervals = estimator.forecast_interval(*arguments, coverage)
            ends = _split_by_series(intervals, estimator.groups)
        past = _targets(estimator, X, y)
        actual = None if later is None else _targets(estimator, later, None, "future")
        targets = _select_targets(target, list(past.columns))
        tables = {}
        for key in _select_series(group, list(paths)):
            path = paths[key]
            n_rows = int(n_history or 0) or max(estimator.window, 2 * len(path))
            rows = past[_series_mask(key, X, estimator)][-n_rows:]
            truth = (
                None if actual is None else actual[_series_mask(key, later, estimator)]
            )
            for place in targets:
                forecast = _forecast_table(path, ends.get(key), truth, place)
                label = _axes_label(key, past.columns[place])
                tables[label] = _append_forecast(rows.iloc[:, place], forecast)
        display = cls(
            tables=tables,
            coverage=coverage,
            estimator_name=name or type(estimator).__name__,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the tables.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: one for each table; a new figure if None.

        Returns
        -------
        display : ForecastDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If ``ax`` does not hold one matplotlib Axes for each table.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from skdeep.inspection import ForecastDisplay
        >>> table = pd.DataFrame(
        ...     {"history": [1.0, 2.0, np.nan], "forecast": [np.nan, np.nan, 3.0]},
        ...     index=[-1, 0, 1],
        ... )
        >>> display = ForecastDisplay(tables={"load": table}).plot()
        >>> display.ax_.get_ylabel()
        'load'
        """
        self.axes_ = self._get_axes(ax)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.lines_, self.bands_ = [], []
        for axes, (label, table) in zip(self.axes_, self.tables.items(), strict=True):
            self._draw(axes, table)
            axes.set_ylabel(label)
            _label_times(axes, table.index)
        self.figure_.align_ylabels(self.axes_)
        self.ax_.set_title(self.estimator_name or "")
        self.ax_.legend(loc="best")
        return self

    def _get_axes(self, ax):
        """Return an axes for each table."""
        plt, n = import_pyplot(self), len(self.tables)
        if ax is None:
            # Forecasts that end at different times cannot share an axis.
            shared = len({table.index[-1] for table in self.tables.values()}) == 1
            size = (8, 1 + 2.4 * n)
            _, ax = plt.subplots(n, figsize=size, sharex=shared, layout="constrained")
        axes = to_axes_array(ax)
        if len(axes) != n:
            raise ValueError(
                f"ax must hold {n} axes, one for each of {list(self.tables)}, got "
                f"{len(axes)}. target= and group= choose one of them."
            )
        return axes

    def _draw(self, ax, table):
        """Draw a table. The curves of the future start at the last known value."""
        n_known = len(table) - int(table["forecast"].count())
        times, history = (
            _to_plot_times(table.index),
            table["history"].to_numpy()[:n_known],
        )
        self.lines_ += ax.plot(times[:n_known], history, "C0", label="history")
        times = times[n_known - 1 :]

        def from_last_known(column):
            return np.r_[history[-1], table[column].to_numpy()[n_known:]]

        if "truth" in table:
            truth = from_last_known("truth")
            self.lines_ += ax.plot(times, truth, "C0", alpha=0.5, label="actual")
        self.lines_ += ax.plot(
            times, from_last_known("forecast"), "C1", label="forecast"
        )
        if "lower" in table:
            lower, upper = from_last_known("lower"), from_last_known("upper")
            style = dict(color="C1", alpha=0.2, linewidth=0)
            band = ax.fill_between(times, lower, upper, **style)
            band.set_label(_interval_label(self.coverage))
            self.bands_.append(band)


def _check_forecaster(estimator) -> None:
    if not hasattr(estimator, "forecast_interval"):
        raise TypeError(
            f"{type(estimator).__name__} is not a forecaster. Pass a fitted "
            "LSTMForecaster; for a Pipeline, pass pipeline[-1] and "
            "pipeline[:-1].transform(X)."
        )
    check_is_fitted(estimator)


def _has_intervals(estimator) -> bool:
    """Return whether the last fit had validation rows, whose errors make intervals."""
    return "valid_loss" in estimator.history_[-1]


def _split_by_series(forecasts, groups) -> dict:
    """Return the forecasts by series; a single series has the key None."""
    if groups is None:
        return {None: forecasts}
    keys = forecasts.index.unique(level=0)
    return {key: forecasts.xs(key, level=0) for key in keys}


def _to_frame(rows, name: str = "X") -> pd.DataFrame:
    """Return rows as a DataFrame that keeps their names and their index."""
    if hasattr(rows, "iloc"):
        return pd.DataFrame(rows)
    if hasattr(rows, "columns"):
        return pd.DataFrame({name: np.asarray(rows[name]) for name in rows.columns})
    with naming(name):
        values = np.asarray(tensor_to_numpy(rows, name))
        if np.iscomplexobj(values):
            raise ValueError(f"Complex data not supported in {name}.")
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} must be a table of rows, got shape {values.shape}.")
    return pd.DataFrame(values)


def _align_columns(X, future, estimator) -> pd.DataFrame:
    """Return the future rows with the columns of X, NaN in columns that they lack.

    They may consist of the known columns only.
    """
    rows, columns = _to_frame(future, "future"), _to_frame(X).columns
    if list(rows.columns) == list(columns):
        return rows
    is_part = estimator.known_columns is not None
    if hasattr(future, "columns"):
        targets = columns[estimator.target_columns_]
        if is_part or targets.isin(rows.columns).any():
            return rows.reindex(columns=columns)
    elif is_part and rows.shape[1] < len(columns):
        return pd.DataFrame(np.nan, rows.index, columns)
    raise ValueError(
        f"future must have X's columns, {list(columns)}, got {list(rows.columns)}."
    )


def _targets(estimator, X, y, name: str = "X") -> pd.DataFrame:
    """Return the target columns of X, or y, with the index of X."""
    rows = _to_frame(X)
    if y is None and not estimator.target_columns_:
        raise ValueError("y is needed: the fitted target is not a column of X.")
    if y is None:
        targets = rows.iloc[:, estimator.target_columns_]
    else:
        targets = _to_frame(y, "y")
        if targets.shape != (len(rows), estimator.n_outputs_):
            raise ValueError(
                f"y must have {len(rows)} rows, like X, and {estimator.n_outputs_} "
                f"target(s), as in fit; got shape {targets.shape}."
            )
        targets = targets.set_axis(rows.index)
    if estimator.date_column is not None:
        targets = targets.set_axis(pd.Index(_column(rows, estimator.date_column)))
    with naming(name if y is None else "y"):
        values = targets.astype(float)
    return values.set_axis(_target_labels(targets), axis=1)


def _target_labels(targets: pd.DataFrame) -> list[str]:
    """Return labels of targets: their names, or numbers if these are not strings."""
    if all(isinstance(name, str) for name in targets.columns):
        return list(targets.columns)
    n = targets.shape[1]
    return [""] if n == 1 else [f"target {i}" for i in range(n)]


def _series_mask(key, X, estimator) -> np.ndarray:
    """Return a mask of the rows of X that belong to a series."""
    rows = _to_frame(X)
    if key is None:
        return np.ones(len(rows), bool)
    return (_column(rows, estimator.groups) == key).to_numpy()


def _column(rows: pd.DataFrame, column) -> pd.Series:
    """Return a column by its name or position."""
    return rows.iloc[:, column] if isinstance(column, Integral) else rows[column]


def _select_targets(target, names: list) -> list[int]:
    """Return the positions of the targets to draw."""
    if target is None:
        return list(range(len(names)))
    if isinstance(target, str) and target in names:
        return [names.index(target)]
    if is_integer(target) and 0 <= target < len(names):
        return [int(target)]
    raise ValueError(
        f"target must be one of {names} or a position below {len(names)}, got "
        f"{target!r}."
    )


def _select_series(group, keys: list) -> list:
    """Return the names of the series to draw."""
    if group is None:
        return keys
    if keys == [None]:
        raise ValueError(f"group={group!r} was given, but X has one series only.")
    if group not in keys:
        raise ValueError(f"group must be one of {keys}, got {group!r}.")
    return [group]


def _axes_label(key, target: str) -> str:
    """Return the names of a series and a target, if they have one."""
    return ": ".join(str(part) for part in (key, target) if part not in (None, ""))


def _forecast_table(
    path, ends, actual: pd.DataFrame | None, place: int
) -> pd.DataFrame:
    """Return the forecast of a target with its interval and the actual values."""
    steps = len(path)
    index = getattr(path, "index", None)
    if index is None or not _has_dates(index):
        index = pd.RangeIndex(1, steps + 1)
    values = np.asarray(path).reshape(steps, -1)[:, place]
    forecast = pd.DataFrame({"forecast": values}, index=index)
    if ends is not None:
        sides = np.asarray(ends).reshape(steps, -1, 2)[:, place]
        forecast["lower"], forecast["upper"] = sides.T
    if actual is not None and actual.iloc[:steps, place].notna().any():
        # By position: forecast has checked that the future rows follow X.
        truth = actual.iloc[:, place].reset_index(drop=True)
        forecast["truth"] = truth.reindex(range(steps)).to_numpy()
    return forecast


def _append_forecast(past: pd.Series, forecast: pd.DataFrame) -> pd.DataFrame:
    """Return the history, with the rows of the forecast below."""
    history = past.to_frame("history")
    if _has_dates(forecast.index):
        history.index = _to_dates(history.index)
    else:
        history.index = pd.RangeIndex(1 - len(past), 1)
    return pd.concat([history, forecast])


def _to_dates(index: pd.Index) -> pd.Index:
    """Return the dates of an index that holds them as text or in one of its levels.

    The forecast has dates only if this index holds some.
    """
    if isinstance(index, pd.MultiIndex):
        is_dates = [_has_dates(level) for level in index.levels]
        index = index.get_level_values(is_dates.index(True))
    return index if _has_dates(index) else pd.DatetimeIndex(pd.to_datetime(index))


def _has_dates(index: pd.Index) -> bool:
    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))


def _to_plot_times(index: pd.Index) -> np.ndarray:
    """Return the times of rows for matplotlib: dates in UTC, or steps."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    # NumPy has no time zones; the formatter converts the labels back.
    if getattr(index, "tz", None) is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return index.to_numpy()


def _label_times(ax, index: pd.Index) -> None:
    """Label the time axis with dates or steps."""
    import matplotlib.dates as mdates
    from matplotlib.ticker import MaxNLocator

    if _has_dates(index):
        zone = getattr(index, "tz", None)
        inches = ax.get_window_extent().width / ax.figure.dpi
        # Up to five dates fit into narrow axes; fewer are not always possible.
        few = {"minticks": 2, "maxticks": 5} if inches < _ROOM_FOR_DATES else {}
        # ConciseDateFormatter does not repeat the year in each label, which overlaps.
        locator = mdates.AutoDateLocator(tz=zone, **few)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=zone))
        return
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ax.xaxis.get_tick_params().get("labelbottom", True):
        ax.set_xlabel("steps after the last known row")


def _interval_label(coverage) -> str:
    return "interval" if coverage is None else f"{100 * float(coverage):.4g} % interval"
