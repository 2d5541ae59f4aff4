"""Fitting and predicting of forecasters: windows of series in time order."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skdeep._input_checks import check_count
from skdeep._messages import warn
from skdeep.encoding import (
    UNSEEN,
    ForecastTargets,
    RowContext,
    TimeAxis,
    WindowEncoder,
    Windows,
)
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._forecaster_validation import (
    ENOUGH_TO_WARN,
    KeptScores,
    compare,
    network_errors,
    thinned,
)
from skdeep.estimators._plan import Sample
from skdeep.estimators._series import (
    Group,
    Series,
    check_series,
    check_series_target,
    split_future,
)
from skdeep.estimators._series_columns import as_rows, complete_future, find_layout
from skdeep.estimators._series_windows import (
    KnownRows,
    SeriesPast,
    adapt_intervals,
    borrow_calendar,
    check_times,
    select_long_series,
    target_spreads,
    targets_of,
    windows_after,
    windows_inside,
)
from skdeep.estimators._validation import Checked
from skdeep.losses import StepLoss, make_loss
from skdeep.training import resolve_device

# Number of windows predicted at a time, and of rows if windows are copied. Both limit
# the memory.
_WINDOWS_PER_CHUNK, _COPIED_ROWS = 4000, 2**20
# Rows keep float64 until they are scaled: with a large offset, differences between them
# would be lost in float32.
_KEPT_TYPES = (np.float64, np.float32)


def _filled_context(rows: np.ndarray, axis: TimeAxis | None, n_kept: int) -> RowContext:
    """Return the context of a series in whose last rows gaps are filled.

    The value before a gap may be older than the rows that are kept.
    """
    context = RowContext(rows, axis, n_kept)
    if np.isnan(context.tail).any():
        filled = pd.DataFrame(rows).ffill().to_numpy()
        context.tail = filled[len(rows) - len(context.tail) :].copy()
    return context


class ForecasterNetwork(RegressorMixin, BaseNetwork):
    """Base class of forecasters, whose rows are in time order.

    A subclass builds the network (see `BaseNetwork`) and has the parameters of
    `LSTMForecaster`.
    """

    # -- fit ---------------------------------------------------------------------------

    def _has_validation_rows(self, X, y, X_val, y_val):
        if X_val is None and y_val is not None:
            raise ValueError("y_val was given without X_val.")
        if X_val is None and self.early_stopping and not self.validation_fraction:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} needs validation rows: set "
                "validation_fraction above 0, or pass X_val."
            )
        if X_val is None and self.include_baselines and not self.validation_fraction:
            raise ValueError(
                "include_baselines=True compares forecasts on validation rows: set "
                "validation_fraction above 0, or pass X_val."
            )
        if X_val is not None and (y is None) != (y_val is None):
            raise ValueError(
                "Pass y_val with X_val if y was passed with X, and only then."
            )
        return X_val is not None

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        is_first = schema is None
        is_alone = y is None or isinstance(y, str)
        rows = as_rows(X, is_alone and (is_first or schema.n_features == 1))
        series, schema = check_series(self, rows, dtype=_KEPT_TYPES, schema=schema)
        if isinstance(y, str) and y == "no_validation":
            return Checked(series, None, schema)
        target = None if y is None else check_series_target(self, y, series)
        if is_first:
            layout = find_layout(self, rows, y, target, schema.n_features)
            if target is None and getattr(X, "name", "unnamed") is None:
                layout.names = None  # a Series without a name
            schema = replace(schema, layout=layout)
        targets = targets_of(series, target, schema.layout)
        if is_first:
            past = series.numeric[:, layout.own]
            layout.holds_targets = np.array_equal(past, targets, equal_nan=True)
        return Checked(series, targets, schema)

    @property
    def _layout(self):
        return self._schema.layout

    def _float_type(self, X, table):
        return table.float_type  # that of the user's X, which may hold names too

    def _make_targets(self, y, classes):
        return ForecastTargets(int(self.window), int(self.horizon))

    def _known_targets(self, y):
        for name in ("window", "horizon"):
            asked, fitted = getattr(self, name), getattr(self._targets, name)
            if asked != fitted:
                raise ValueError(
                    f"With warm_start=True, {name} cannot change from {fitted} to "
                    f"{asked}."
                )
        return self._targets

    def _sample(self, series, y, sample_weight, plan, incremental):
        targets, layout = plan.targets, plan.schema.layout
        needed = targets.window + targets.horizon
        groups = select_long_series(series.groups, targets.window, targets.horizon)
        codes = self._codes(groups, targets)
        # Also of series too short to train on: their next rows can be forecast.
        axes = [group.time_axis(self.freq, targets.horizon) for group in series.groups]
        plan.fitted["_pasts"] = [
            SeriesPast(
                group.key,
                _filled_context(series.numeric[group.rows], axis, needed - 1),
                codes.get(group.key, UNSEEN),
            )
            for group, own in zip(series.groups, axes, strict=True)
            for axis in [borrow_calendar(own, group, axes)]
        ]
        windows = windows_inside(series, y, groups, codes, layout.own, targets)
        windows = windows.with_targets(targets.horizon)
        return Sample(windows, windows)

    def _codes(self, groups: list[Group], targets: ForecastTargets) -> dict:
        """Return the code of each series: the index of its scale."""
        if targets.is_fitted:  # a warm start keeps the scales, so the codes too
            return {past.key: past.code for past in self._pasts}
        return {group.key: code for code, group in enumerate(groups)}

    def _hold_out(self, sample, targets, rng):
        """Hold out the last rows of each series, a horizon after the training rows.

        If only some series are long enough to be split, the others are used for
        training only.
        """
        windows = sample.table
        starts, stops = np.array(windows.spans).T
        n_rows = stops - starts
        n_valid = np.ceil(self.validation_fraction * n_rows).astype(int)
        is_split = (n_valid >= self.horizon) & (
            n_rows - n_valid >= self.window + 2 * self.horizon
        )
        if not is_split.any():
            self._raise_split_error(n_rows.max(), n_valid.max())
        # The series that each window lies in.
        which = np.searchsorted(starts, windows.starts, side="right") - 1
        first_valid, is_held_out = (stops - n_valid)[which], is_split[which]
        # A horizon lies between the last training and the first validation target, as
        # between the last known row and a forecast.
        is_before = windows.futures + 2 * self.horizon <= first_valid
        train = ~is_held_out | is_before
        valid = is_held_out & (windows.futures >= first_valid)
        for part, name in ((train, "training"), (valid, "validation")):
            if not part.any():
                raise ValueError(
                    f"The {name} rows of X hold no target values, only NaN. Drop rows "
                    "without targets, or change validation_fraction="
                    f"{self.validation_fraction}."
                )
        train, valid = (windows.select(np.flatnonzero(p)) for p in (train, valid))
        valid = thinned(valid, self.horizon)
        return Sample(train, train), Sample(valid, valid)

    def _raise_split_error(self, n_rows: int, n_valid: int) -> None:
        if n_valid < self.horizon:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n_rows} rows "
                f"leaves {n_valid} validation rows; horizon={self.horizon} needs at "
                f"least {self.horizon}. Increase validation_fraction, set it to 0, or "
                "pass X_val."
            )
        raise ValueError(
            f"validation_fraction={self.validation_fraction} of {n_rows} rows leaves "
            f"{n_rows - n_valid} training rows; window={self.window} and "
            f"horizon={self.horizon} need at least {self.window + 2 * self.horizon}. "
            "Decrease validation_fraction, or pass X_val."
        )

    def _validation_sample(self, X_val, y_val, plan, dtype):
        pasts = {past.key: past for past in plan.fitted["_pasts"]}
        try:
            series, y, _ = self._check(X_val, y_val, dtype=dtype, schema=plan.schema)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error
        check_times(pasts, series)
        contexts = [self._rows_before(pasts, series, g) for g in series.groups]
        codes = [self._code(group.key, pasts) for group in series.groups]
        own = plan.schema.layout.own
        windows = windows_after(series, y, contexts, codes, own, plan.targets)
        if not len(windows):
            raise ValueError(
                f"X_val has {len(series.numeric)} rows, too few for a forecast with "
                f"window={self.window} and horizon={self.horizon}. (Windows reach back "
                "into the training rows only if the index shows that X_val follows "
                "them.)"
            )
        windows = windows.with_targets(self.horizon)
        if not len(windows):
            raise ValueError("X_val holds no target values, only NaN.")
        windows = thinned(windows, self.horizon)
        return Sample(windows, windows)

    def _plan_network(self, plan, sample, first):
        if first:
            plan.targets.fit(sample.table)
        super()._plan_network(plan, sample, first)
        accepted = self._accepted_dtypes(resolve_device(self.device))
        rows_type = sample.table.dtype.type
        kept = rows_type if rows_type in accepted else accepted[0]
        plan.dtype = getattr(torch, np.dtype(kept).name)

    def _make_inputs(self, schema):
        layout = schema.layout
        window, horizon = int(self.window), int(self.horizon)  # scikit-learn takes True
        return WindowEncoder(layout.own, layout.known, window, horizon)

    def _make_loss(self, targets):
        return StepLoss(make_loss(self, "values"))

    def _n_scores(self, targets, loss):
        return 1

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

    def _task(self, plan, sample, *how):
        task = super()._task(plan, sample, *how)
        if task.valid is not None:
            task.score = KeptScores(task.score, task.learner)  # type: ignore[arg-type]
        return task

    def _warn_of_outcome(self, task, plan):
        """Compare the network with the baselines; warn if one of them is better."""
        plan.fitted |= {"baseline_scores_": None, "_answer": None}
        if task.valid is None:
            return
        verdict = compare(task, plan, include_baselines=self.include_baselines)
        plan.fitted |= {
            "baseline_scores_": verdict.scores,
            "_answer": verdict.answer,
            "_error_quantiles": verdict.errors,
        }
        is_beaten = verdict.best != "network" and len(task.valid) >= ENOUGH_TO_WARN
        if is_beaten and not self.include_baselines:
            warn(f"{type(self).__name__}: {verdict.describe()}")

    def _fitted_attributes(self, task, plan, *, is_final):
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        layout = plan.schema.layout
        attributes["n_outputs_"] = layout.n_targets
        attributes["target_columns_"] = [] if layout.has_y else layout.columns
        if not is_final:
            # A callback asks for the network as it is; the baselines are not ready.
            errors = None if task.valid is None else network_errors(task, plan)
            attributes["_error_quantiles"], attributes["_answer"] = errors, None
            attributes["baseline_scores_"] = None
        return {"_error_quantiles": None, **attributes}

    # -- predict -----------------------------------------------------------------------

    def _encoded(self, table):
        if self._answer is None:
            return super()._encoded(table)
        dtype = getattr(torch, table.dtype.name)
        return self._answer, self._inputs.encode(table, dtype, torch.device("cpu"))

    def _forecast_rows(self, X, coverage=None) -> tuple[Series, np.ndarray]:
        """Return the checked rows and their forecasts, (n_rows, n_targets[, 2])."""
        check_is_fitted(self)
        series = self._series_of(X)
        pasts, parts = self._pasts_by_key(), []
        for group in series.groups:
            before = self._rows_before(pasts, series, group)
            rows = series.numeric[group.rows]
            windows = self._windows_before(before, rows, self._code(group.key, pasts))
            # Keep the last step of each path only: whole paths may fill the memory.
            last = [part[:, -1] for part in self._in_chunks(windows, coverage)]
            part = np.concatenate(last)
            if coverage is not None and self._layout.holds_targets:
                part = self._adapted(part, windows, rows, group, coverage)
            parts.append(part)
        # Back to the order of X, in which the rows of several series may alternate.
        order = np.concatenate([group.rows for group in series.groups])
        forecasts = np.empty((len(order), *parts[0].shape[1:]), parts[0].dtype)
        forecasts[order] = np.concatenate(parts)
        self._check_finite(forecasts, X=series)
        return series, forecasts

    def _adapted(self, ends, windows: Windows, rows, group: Group, coverage):
        """Adapt the intervals of the rows of a series to the errors before them."""
        past = self._pasts_by_key().get(group.key)
        # Default row numbers in a table of several series are no times.
        has_times = self.groups is None or group.has_dates or group.has_own_numbers
        times = group.times if has_times else None
        n_old = 0 if past is None else past.context.n_training_rows(rows, times)
        truth = rows[:, self._layout.own].astype(np.float64)
        truth[:n_old] = np.nan  # training rows have smaller errors
        return adapt_intervals(ends, truth, windows, coverage, self._inputs.horizon)

    def _series_of(self, X) -> Series:
        """Return the checked rows of X, on the calendar of the training rows."""
        series: Any = self._checked_rows(X)
        check_times(self._pasts_by_key(), series)
        return series

    def _in_chunks(self, windows: Windows, coverage=None):
        """Yield the paths from windows, a chunk at a time."""
        size = _WINDOWS_PER_CHUNK
        if windows.series == UNSEEN:
            size = max(1, _COPIED_ROWS // (self._inputs.window + self._inputs.horizon))
        for start in range(0, len(windows), size):
            yield self._paths(windows.select(slice(start, start + size)), coverage)

    def _backtest(self, X, stride: int) -> np.ndarray:
        """Return the paths from every ``stride``-th full window of X."""
        check_is_fitted(self)
        check_count(stride, "stride")
        series = self._series_of(X)
        pasts, paths = self._pasts_by_key(), []
        inputs, targets, nothing = self._inputs, self._targets, series.numeric[:, :0]
        for group in select_long_series(
            series.groups, inputs.window, inputs.horizon, True
        ):
            codes = {group.key: self._code(group.key, pasts)}
            windows = windows_inside(
                series, nothing, [group], codes, inputs.own, targets
            )
            step = min(stride, max(len(windows), 1))
            thinned = windows.select(np.arange(0, len(windows), step))
            paths += self._in_chunks(thinned)
        joined = np.concatenate(paths)
        self._check_finite(joined, X=series)
        return joined

    def _windows_before(
        self, before: np.ndarray, rows: np.ndarray, code: int
    ) -> Windows:
        """Return a window for each row, which ends a horizon before it."""
        inputs = self._inputs
        unknown = inputs.scaling_.for_series(code)[0]
        return Windows.before_each(
            before, rows, unknown, inputs.window, inputs.horizon, inputs.own, code
        )

    def _pasts_by_key(self) -> dict[Any, SeriesPast]:
        return {past.key: past for past in self._pasts}

    def _code(self, key, pasts: dict[Any, SeriesPast]) -> int:
        """Return the code of a series."""
        return pasts[key].code if key in pasts else UNSEEN

    def _rows_before(
        self, pasts: dict[Any, SeriesPast], series: Series, group: Group
    ) -> np.ndarray:
        """Return the training rows to put before the first row of a series."""
        rows = series.numeric[group.rows]
        if group.key not in pasts:
            return rows[:0]
        # Warn once, not once for each series.
        context = pasts[group.key].context
        context.has_warned = any(p.context.has_warned for p in pasts.values())
        name = type(self).__name__
        return context.rows_before(rows, group.times, self.context, name)

    def _paths(self, windows: Windows, coverage=None) -> np.ndarray:
        """Return forecasts from windows of one series, (n_windows, horizon, n_targets).

        With ``coverage``, return the ends of intervals on one more axis.
        """
        if windows.series == UNSEEN:
            windows = windows.separate(self._inputs.window, self._inputs.horizon)
        mean, scale = self._target_scaling(windows)
        scores = self._targets.as_paths(self._scores_of(windows).numpy())
        # The caller checks that the forecasts are finite.
        with np.errstate(over="ignore", invalid="ignore"):
            paths = scores * scale + mean
            is_unknown = windows.is_unknown
            if is_unknown is not None and is_unknown.shape[1]:
                paths = np.where(is_unknown[:, np.newaxis], mean, paths)
            if coverage is not None:
                radius = self._radius(windows, coverage) * scale
                paths = np.stack([paths - radius, paths + radius], axis=-1)
            return paths.astype(self._dtype, copy=False)

    def _target_scaling(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of the targets, which broadcast to paths."""
        mean, scale = self._targets.scaling_.for_series(windows.series)
        own = self._layout.own
        if not windows.is_separate or not own:
            return mean, scale
        # A target and its past may be on different scales (y, and a column of X). The
        # relation between them in training is applied to the scale of the window.
        usual_mean, usual_scale = (
            p[own] for p in self._inputs.scaling_.for_series(UNSEEN)
        )
        ratio = scale / usual_scale
        own_mean, own_scale = self._inputs.own_scaling(windows)
        mean = own_mean * ratio + (mean - usual_mean * ratio)
        return mean[:, np.newaxis], (own_scale * ratio)[:, np.newaxis]

    def _radius(self, windows: Windows, coverage: float) -> np.ndarray:
        """Return half the widths of intervals, in units of the scaled targets."""
        rows = self._inputs.encode(windows, torch.float64, torch.device("cpu"))
        spreads = target_spreads(rows, self._layout)
        for is_padding in (windows.is_padded, windows.is_unknown):
            if is_padding is not None and is_padding.size:
                # Padding is constant, which must not make the interval narrow.
                spreads[is_padding] = spreads[is_padding].clip(min=1)
        return self._error_quantiles.radius(coverage, spreads, windows.series)

    def _predictions_are_finite(self, raw):
        return True  # `_check_finite` checks the forecasts, and names the row

    def _check_finite(self, forecasts: np.ndarray, **inputs: Series) -> None:
        """Raise if forecasts are not finite, naming the value that caused it."""
        if np.isfinite(forecasts).all():
            return
        found = [self._most_distant(series, name) for name, series in inputs.items()]
        where = max(found)[1] if found else "The last rows of fit hold values that are"
        raise ValueError(
            f"{where} too far from the training rows: the forecasts would not be "
            "finite."
        )

    def _most_distant(self, series: Series, name: str) -> tuple[float, str]:
        """Return the distance of the value farthest from the training rows, and where.

        The distance is in units of the spread of the training rows.
        """
        pasts, found = self._pasts_by_key(), []
        for group in series.groups:
            mean, scale = self._inputs.scaling_.for_series(self._code(group.key, pasts))
            rows = series.numeric[group.rows]
            # Halves: the difference of two large numbers would overflow.
            with np.errstate(over="ignore"):
                distance = np.nan_to_num(np.abs(rows / 2 - mean / 2) / scale, nan=-1)
            row, column = np.unravel_index(distance.argmax(), distance.shape)
            where = (
                f"{name} holds the value {rows[row, column]:.6g} (row "
                f"{group.rows[row]}, column {self._layout.name_of(column)!r}), which is"
            )
            found.append((float(distance[row, column]), where))
        return max(found)

    def _forecast_paths(self, steps, X, future, coverage=None) -> list[tuple]:
        """Return the name, the path and the next dates of each series."""
        check_is_fitted(self)
        horizon = self._inputs.horizon
        steps = horizon if steps is None else steps
        check_count(steps, "steps")
        if steps > horizon:
            raise ValueError(
                f"steps={steps} is more than horizon={horizon}, the number of rows "
                "that the network forecasts."
            )
        known, given = self._known_rows(X)
        ahead, planned = self._read_future(future, steps, known)
        paths = []
        for past, (rows, dates) in zip(known, ahead, strict=True):
            windows = self._windows_before(past.rows, rows, past.code).select([-1])
            path = self._paths(windows, coverage)[0, :steps]
            self._check_finite(path, **given, **planned)
            paths.append((past.key, path, dates))
        return paths

    def _known_rows(self, X) -> tuple[list[KnownRows], dict[str, Series]]:
        """Return the last known rows of each series, and the checked X if given.

        They are those of X, or those of ``fit``.
        """
        if X is None:
            pasts = [
                KnownRows(p.key, p.context.tail, p.axis, p.code) for p in self._pasts
            ]
            return pasts, {}
        series = self._series_of(X)
        by_key, known = self._pasts_by_key(), []
        for group in series.groups:
            rows = series.numeric[group.rows]
            if len(rows) < self._inputs.window:
                before = self._rows_before(by_key, series, group)
                rows = np.concatenate([before, rows])
            axis = self._axis_of(group, by_key.get(group.key))
            code = self._code(group.key, by_key)
            known.append(KnownRows(group.key, rows, axis, code))
        return known, {"X": series}

    def _axis_of(self, group: Group, past: SeriesPast | None) -> TimeAxis | None:
        """Return the axis of a series, on the training rows' calendar if it fits."""
        if group.times is None:
            return None
        fitted = None if past is None else past.axis
        moved = None if fitted is None else fitted.moved_to(group.times)
        own = moved or group.time_axis(self.freq, self._inputs.horizon)
        return borrow_calendar(own, group, [past.axis for past in self._pasts])

    def _read_future(
        self, future, steps: int, known: list[KnownRows]
    ) -> tuple[list[tuple], dict[str, Series]]:
        """Return the next ``horizon`` rows of each series and ``steps`` dates or None.

        Only the columns known in advance are read; the others are 0. If future has
        fewer rows than the horizon, the last one is repeated: the network forecasts all
        steps at once, of which the later ones are dropped. The second result is the
        checked future, if its numbers were read.
        """
        if future is None and self._layout.known:
            raise ValueError(
                f"known_columns={self.known_columns!r} are read up to the forecast "
                f"row: pass the next {steps} rows as future."
            )
        series, groups = (None, {}) if future is None else self._future_rows(future)
        dtype = known[0].rows.dtype if series is None else series.dtype
        shape = (self._inputs.horizon, known[0].rows.shape[1])
        ahead = []
        for past in known:
            rows, group = np.zeros(shape, dtype), groups.get(past.key)
            n_rows = 0 if group is None else len(group.rows)
            which = "" if past.key is None else f" of the series {past.key!r}"
            if self._layout.known and n_rows < steps:
                raise ValueError(f"future must hold {steps} rows{which}, got {n_rows}.")
            dates = self._index_of(group, past.axis, steps, f"future{which}")
            if series is not None and group is not None:
                given = series.numeric[group.rows[: len(rows)]]
                rows[: len(given)], rows[len(given) :] = given, given[-1]
            ahead.append((rows, dates))
        return ahead, {} if series is None else {"future": series}

    def _future_rows(self, future) -> tuple[Series | None, dict[Any, Group]]:
        """Return the checked rows, None if no column is read, and their series."""
        future = complete_future(future, self, self._layout)
        if not self._layout.known:
            groups = split_future(self, future, self._schema)
            return None, {group.key: group for group in groups}
        series, _ = check_series(
            self,
            future,
            dtype=_KEPT_TYPES,
            schema=self._schema,
            name="future",
            known=self._layout.known,
        )
        return series, {group.key: group for group in series.groups}

    def _index_of(self, group: Group | None, axis: TimeAxis | None, steps, name: str):
        """Return the index of a path: the dates of future, or the next dates."""
        if group is None or group.times is None or not len(group.times) or axis is None:
            return self._index_after(axis, steps)
        # Default row numbers, or an index of another kind, are not the next dates.
        is_default = not group.has_dates and not group.has_own_numbers
        is_other = self.date_column is None and axis.has_dates != group.has_dates
        if is_default or is_other:
            return self._index_after(axis, steps)
        dates = axis.check_future(group.times, steps, name)
        return dates if axis.has_dates else self._index_after(axis, steps)

    def _index_after(self, axis: TimeAxis | None, steps: int) -> pd.Index | None:
        """Return the next dates, or the numbers of the steps."""
        dates = axis.after(steps) if axis is not None and axis.has_dates else None
        if dates is None and self.groups is not None:
            return pd.RangeIndex(1, steps + 1, name="step")
        return dates

    def _check_coverage(self, coverage) -> None:
        check_is_fitted(self)
        if not isinstance(coverage, Real) or not 0 < coverage < 1:  # type: ignore[operator]
            raise ValueError(f"coverage must be between 0 and 1, got {coverage!r}.")
        if self._error_quantiles is None:
            raise ValueError(
                "Intervals are computed from the errors on validation rows: fit with "
                "validation_fraction above 0, or pass X_val."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        # A row is forecast from the rows before it; in scikit-learn's checks these are
        # unrelated to it.
        tags.regressor_tags.poor_score = True
        return tags
