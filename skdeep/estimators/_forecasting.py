"""How a forecaster fits and predicts: windows of series, in order of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import (
    ErrorQuantiles,
    ForecastTargets,
    RowContext,
    TimeAxis,
    WindowEncoder,
    Windows,
)
from skdeep.estimators._base import BaseNetwork, Plan, Sample
from skdeep.estimators._series import (
    Group,
    Layout,
    Series,
    check_series,
    check_series_target,
    find_layout,
    groups_of,
)
from skdeep.estimators._validation import Checked
from skdeep.losses import StepLoss, make_loss
from skdeep.training import raw_scores

# Windows whose paths are held at a time.
_CHUNK = 4000


@dataclass
class _Past:
    """What is remembered of a series: its last rows and their times."""

    key: Any
    context: RowContext

    @property
    def axis(self) -> TimeAxis | None:
        """How its times go on."""
        return self.context.axis


@dataclass
class _Known:
    """What is known of a series when its future is forecast."""

    key: Any
    rows: np.ndarray
    axis: TimeAxis | None


class ForecasterNetwork(RegressorMixin, BaseNetwork):
    """The part of a forecaster that knows of rows in order of time."""

    # -- fit ---------------------------------------------------------------------------

    def _has_validation_rows(self, X, y, X_val, y_val):
        if X_val is None and y_val is not None:
            raise ValueError("y_val was given without X_val.")
        if X_val is None and self.early_stopping and not self.validation_fraction:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} needs validation rows: set "
                "validation_fraction above 0, or pass X_val."
            )
        if X_val is not None and (y is None) != (y_val is None):
            raise ValueError(
                "y_val must be given with X_val if y is given with X, and only then."
            )
        return X_val is not None

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        is_first = schema is None
        series, schema = check_series(self, X, dtype=dtype, schema=schema)
        if isinstance(y, str) and y == "no_validation":
            return Checked(series, None, schema)
        target = None if y is None else check_series_target(self, y, series)
        if is_first:
            layout = find_layout(self, X, y, target, schema.n_features)
            schema = replace(schema, layout=layout)
        return Checked(series, targets_of(series, target, schema.layout), schema)

    @property
    def _layout(self):
        return self._schema.layout

    def _float_type(self, X, table):
        return table.float_type  # X may hold a column of names, too

    def _make_targets(self, y, classes):
        return ForecastTargets(int(self.window), int(self.horizon))

    def _known_targets(self, y):
        for name in ("window", "horizon"):
            asked, fitted = getattr(self, name), getattr(self._targets, name)
            if asked != fitted:
                raise ValueError(
                    f"warm_start goes on with {name}={fitted}, got {name}={asked}."
                )
        return self._targets

    def _sample(self, series, y, sample_weight, plan, incremental):
        targets = plan.targets
        n_kept = targets.window + targets.horizon - 1
        plan.fitted["_pasts"] = [
            _Past(group.key, RowContext(series.numeric[group.rows], axis, n_kept))
            for group in series.groups
            for axis in [group.time_axis(self.freq, targets.horizon)]
        ]
        windows = _windows_inside(series, y, targets.window, targets.horizon)
        return Sample(windows, windows)

    def _hold_out(self, sample, targets, rng):
        """Set the last rows of each series aside, a horizon after the training rows."""
        windows = sample.table
        train, valid = [], []
        for start, stop in windows.spans:
            n_valid = math.ceil(self.validation_fraction * (stop - start))
            if n_valid < self.horizon:
                raise ValueError(
                    f"horizon={self.horizon} is longer than the validation block of "
                    f"{n_valid} rows, validation_fraction={self.validation_fraction} "
                    f"of {stop - start}. Raise validation_fraction, or set it to 0, or "
                    "give X_val."
                )
            here = (windows.starts >= start) & (windows.futures < stop)
            ends = windows.futures + self.horizon
            train.append(here & (ends <= stop - n_valid - self.horizon))
            valid.append(here & (windows.futures >= stop - n_valid))
        train, valid = np.any(train, axis=0), np.any(valid, axis=0)
        if not train.any():
            raise ValueError(
                f"No window is left for training: window={self.window} and twice "
                f"horizon={self.horizon} must fit into the rows before the validation "
                f"block; n_samples={len(windows.numeric)}."
            )
        parts = [windows.some(np.flatnonzero(part)) for part in (train, valid)]
        return tuple(Sample(part, part) for part in parts)

    def _validation_sample(self, X_val, y_val, plan, dtype):
        pasts = plan.fitted["_pasts"]
        try:
            series, y, _ = self._check(X_val, y_val, dtype=dtype, schema=plan.schema)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error
        _check_times(pasts, series)
        rows, values, starts, n_rows = [], [], [], 0
        for group in series.groups:
            before = self._rows_before(pasts, series, group, stacklevel=7)
            first = n_rows + max(len(before) - self.window, 0)
            rows += [before, series.numeric[group.rows]]
            # Nothing is forecast for the rows before.
            values += [np.zeros((len(before), y.shape[1]), y.dtype), y[group.rows]]
            n_rows += len(before) + len(group.rows)
            starts.append(np.arange(first, n_rows - self.window - self.horizon + 1))
        joined = np.concatenate(starts)
        if not len(joined):
            raise ValueError(
                f"X_val has n_samples={len(series.numeric)}, too few for one forecast "
                f"with horizon={self.horizon} and window={self.window}: a window may "
                "reach back only into training rows that the index shows to come "
                "before."
            )
        windows = Windows(
            np.concatenate(rows), np.concatenate(values), joined, joined + self.window
        )
        return Sample(windows, windows)

    def _lay_out(self, plan, sample, first):
        if first:
            plan.targets.fit(sample.table)
        super()._lay_out(plan, sample, first)

    def _make_inputs(self, schema):
        layout = schema.layout
        return WindowEncoder(layout.own, layout.known, self.window, self.horizon)

    def _make_loss(self, targets):
        return StepLoss(make_loss(self, "values"))

    def _n_scores(self, targets, loss):
        return 1

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

    def _fitted_attributes(self, task, plan, *, is_final):
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        layout = plan.schema.layout
        attributes["n_outputs_"] = layout.n_targets
        attributes["target_columns_"] = [] if layout.has_y else layout.columns
        attributes["_error_quantiles"] = None
        if task.valid is not None:
            attributes["_error_quantiles"] = self._compare(task, plan)
        return attributes

    def _compare(self, task, plan: Plan) -> ErrorQuantiles:
        """Return how far from the truth forecasts of the validation rows are."""
        targets = plan.targets
        network, rows = task.learner.module.eval(), task.valid.rows
        raw = raw_scores(
            network, rows, plan.loss, plan.n_scores, precision=self.precision
        )
        errors = (raw - task.valid.target).abs().cpu().numpy()
        shape = (len(errors), targets.horizon, targets.n_targets)
        return ErrorQuantiles(errors.reshape(shape), _spreads(rows, plan.schema.layout))

    # -- predict -----------------------------------------------------------------------

    def _forecast_rows(self, X, coverage=None) -> tuple[Series, np.ndarray]:
        """Return the checked rows and their forecasts, (n_rows, n_targets[, 2])."""
        check_is_fitted(self)
        series = self._series_of(X)
        parts = []
        for group in series.groups:
            before = self._rows_before(self._pasts, series, group, stacklevel=4)
            rows = series.numeric[group.rows]
            windows = self._windows_before(before, rows)
            # Of each path the last step alone is wanted: whole, they may fill the
            # memory.
            parts += [
                self._paths(windows.some(slice(i, i + _CHUNK)), coverage)[:, -1]
                for i in range(0, len(windows), _CHUNK)
            ]
        order = np.concatenate([group.rows for group in series.groups])
        forecasts = np.empty((len(order), *parts[0].shape[1:]), parts[0].dtype)
        forecasts[order] = np.concatenate(parts)
        return series, forecasts

    def _series_of(self, X) -> Series:
        """Return the checked rows of series that go on as the training rows do."""
        series: Any = self._table(X)
        _check_times(self._pasts, series)
        return series

    def _backtest(self, X, stride: int) -> np.ndarray:
        """Return the paths from every so manyth full window of X."""
        check_is_fitted(self)
        check_count("stride", stride)
        series = self._series_of(X)
        nothing = series.numeric[:, :0]
        inputs = self._inputs
        windows = _windows_inside(series, nothing, inputs.window, inputs.horizon)
        kept = [
            np.flatnonzero((windows.starts >= start) & (windows.starts < stop))[
                ::stride
            ]
            for start, stop in windows.spans
        ]
        return self._paths(windows.some(np.concatenate(kept)))

    def _windows_before(self, before: np.ndarray, rows: np.ndarray) -> Windows:
        """Return a window for each row, a horizon before it."""
        inputs = self._inputs
        return Windows.before_each(
            before, rows, inputs.mean_, inputs.window, inputs.horizon
        )

    def _rows_before(
        self, pasts: list[_Past], series: Series, group: Group, stacklevel: int
    ) -> np.ndarray:
        """Return the training rows to put before the first row of a series."""
        rows = series.numeric[group.rows]
        past = _past_of(group.key, pasts)
        if past is None:
            return rows[:0]
        # One warning is enough for all series.
        context = past.context
        context.has_warned = any(p.context.has_warned for p in pasts)
        name = type(self).__name__
        return context.rows_before(rows, group.times, self.context, name, stacklevel)

    def _paths(self, windows: Windows, coverage=None) -> np.ndarray:
        """Return forecasts from windows, (n_windows, horizon, n_targets).

        With ``coverage`` these are the two ends of intervals, on one more axis.
        """
        paths = self._targets.decode(self._scores_of(windows).numpy())
        if coverage is not None:
            rows = self._inputs.encode(windows, torch.float64, torch.device("cpu"))
            spreads = _spreads(rows, self._layout)
            if windows.is_padded is not None:
                # Copies of a row do not move, which is no reason to be sure.
                spreads[windows.is_padded] = spreads[windows.is_padded].clip(min=1)
            radius = self._error_quantiles.radius(coverage, spreads)
            radius = radius * self._targets.scale_
            paths = np.stack([paths - radius, paths + radius], axis=-1)
        return paths.astype(self._dtype, copy=False)

    def _forecast_paths(self, steps, X, future, coverage=None) -> list[tuple]:
        """Return the name, the path and the following dates of each series."""
        check_is_fitted(self)
        horizon = self._inputs.horizon
        steps = horizon if steps is None else steps
        check_count("steps", steps)
        if steps > horizon:
            raise ValueError(
                f"steps={steps} is more than horizon={horizon}, which is what the "
                "network was trained to forecast."
            )
        known = self._known_rows(X)
        ahead = self._read_future(future, steps, known)
        paths = []
        for past, (rows, dates) in zip(known, ahead, strict=True):
            windows = self._windows_before(past.rows, rows).some([-1])
            path = self._paths(windows, coverage)[0, :steps]
            paths.append((past.key, path, dates))
        return paths

    def _known_rows(self, X) -> list[_Known]:
        """Return the rows known of each series: the last of X, or of those of fit."""
        if X is None:
            return [_Known(p.key, p.context.tail, p.axis) for p in self._pasts]
        series = self._series_of(X)
        known = []
        for group in series.groups:
            rows = series.numeric[group.rows]
            if len(rows) < self._inputs.window:
                before = self._rows_before(self._pasts, series, group, stacklevel=5)
                rows = np.concatenate([before, rows])
            past = _past_of(group.key, self._pasts)
            axis = self._axis_of(group, None if past is None else past.axis)
            known.append(_Known(group.key, rows, axis))
        return known

    def _axis_of(self, group: Group, fitted: TimeAxis | None) -> TimeAxis | None:
        """Return how the times of a series go on: as those of the training rows do."""
        if group.times is None:
            return None
        moved = None if fitted is None else fitted.moved_to(group.times)
        return moved or group.time_axis(self.freq, self._inputs.horizon)

    def _read_future(self, future, steps: int, known: list[_Known]) -> list[tuple]:
        """Return ``horizon`` rows of each series that follow those known, and dates.

        Only what is known in advance is read of the rows, all else is 0. What is known
        of fewer rows stays as it is in the last. There are ``steps`` dates, or None.
        """
        shape = (self._inputs.horizon, known[0].rows.shape[1])
        filled = [np.zeros(shape, known[0].rows.dtype) for _ in known]
        if future is None and self._layout.known:
            raise ValueError(
                f"known_columns={self.known_columns!r} are read up to the forecast "
                f"row: pass their next {steps} rows as future."
            )
        if future is None:
            indexes = [self._index_after(past.axis, steps) for past in known]
            return list(zip(filled, indexes, strict=True))
        numeric, groups = self._future_rows(future)
        ahead = []
        for past, rows in zip(known, filled, strict=True):
            group = groups.get(past.key)
            n_rows = 0 if group is None else len(group.rows)
            which = "" if past.key is None else f" of the series {past.key!r}"
            if self._layout.known and n_rows < steps:
                raise ValueError(f"future must hold {steps} rows{which}, got {n_rows}.")
            dates = self._index_of(group, past.axis, steps, f"future{which}")
            if numeric is not None and group is not None:
                given = numeric[group.rows[: len(rows)]]
                rows[: len(given)], rows[len(given) :] = given, given[-1]
            ahead.append((rows, dates))
        return ahead

    def _future_rows(self, future) -> tuple[np.ndarray | None, dict[Any, Group]]:
        """Return what is known in advance, if anything, and where each series is."""
        if not self._layout.known:
            groups = groups_of(self, future, self._schema)
            return None, {group.key: group for group in groups}
        series, _ = check_series(
            self,
            future,
            dtype=(np.float64, np.float32),
            schema=self._schema,
            name="future",
            known=self._layout.known,
        )
        return series.numeric, {group.key: group for group in series.groups}

    def _index_of(self, group: Group | None, axis: TimeAxis | None, steps, of: str):
        """Return the index of a path: the dates of the future, if they follow."""
        if group is None or group.times is None or axis is None:
            return self._index_after(axis, steps)
        if axis.has_dates and group.has_dates:
            return axis.check_future(group.times, steps, of)
        if not axis.has_dates and group.has_numbers_of_its_own:
            axis.check_future(group.times, steps, of)
        return self._index_after(axis, steps)

    def _index_after(self, axis: TimeAxis | None, steps: int) -> pd.Index | None:
        """Return the index of a path whose future has no dates."""
        dates = axis.after(steps) if axis is not None and axis.has_dates else None
        if dates is None and self.groups is not None:
            return pd.RangeIndex(1, steps + 1, name="step")
        return dates

    def _check_coverage(self, coverage) -> None:
        check_is_fitted(self)
        if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {coverage!r}.")
        if self._error_quantiles is None:
            raise ValueError(
                "Intervals need validation rows, whose errors they are made of: fit "
                "with validation_fraction above 0, or pass X_val."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        # A row is forecast from those before it, which in scikit-learn's checks say
        # nothing of it.
        tags.regressor_tags.poor_score = True
        return tags


def targets_of(series: Series, target, layout: Layout) -> np.ndarray:
    """Return what is forecast, (n_rows, n_targets)."""
    if target is None and layout.has_y:
        raise ValueError("y is needed, which was given when the network was fitted.")
    if target is None:
        return series.numeric[:, layout.own]
    target = target.reshape(len(target), -1)
    if target.shape[1] != layout.n_targets:
        raise ValueError(
            f"y must have {layout.n_targets} targets, as in training, got "
            f"{target.shape[1]}."
        )
    return target


def _past_of(key, pasts: list[_Past]) -> _Past | None:
    """Return what is remembered of a series, if it is known."""
    return next((past for past in pasts if past.key == key), None)


def _check_times(pasts: list[_Past], series: Series) -> None:
    """Check that each series is on the calendar of its training rows."""
    for group in series.groups:
        past = _past_of(group.key, pasts)
        if past is not None:
            past.context.check(group.times)


def _spreads(rows, layout: Layout) -> np.ndarray:
    """Return the spread of each target in each window, (n_windows, n_targets)."""
    n_own, n_targets = len(layout.own), layout.n_targets
    return rows.spreads(n_own) if n_own else np.ones((len(rows), n_targets))


def _windows_inside(series: Series, targets, window: int, horizon: int) -> Windows:
    """Return all windows that lie with their futures within one series."""
    needed = window + horizon
    for group in series.groups:
        if len(group.rows) < needed:
            which = "X" if group.key is None else f"The series {group.key!r}"
            raise ValueError(
                f"{which} is shorter than a window and what is to be forecast from it: "
                f"n_samples={len(group.rows)}, but window={window} and "
                f"horizon={horizon} need {needed} rows."
            )
    order = np.concatenate([group.rows for group in series.groups])
    spans = _spans(series.groups)
    return Windows.inside(series.numeric[order], targets[order], spans, window, horizon)


def check_count(name: str, value) -> None:
    """Refuse what is no whole number from 1 on."""
    if type(value) is bool or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 on, got {value!r}.")


def _spans(groups: list[Group]) -> list[tuple[int, int]]:
    """Return where the rows of each series begin and end, one after another."""
    ends = np.cumsum([len(group.rows) for group in groups]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))
