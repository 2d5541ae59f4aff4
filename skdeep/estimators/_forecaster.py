"""LSTMForecaster: forecasts of time series by a recurrent network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import uniform
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import known_r2
from skdeep.estimators._forecaster_base import ForecasterNetwork
from skdeep.estimators._forecaster_parameters import (
    CONSTRAINTS,
    FORECASTER_DOC,
    FORECASTER_TRAINING_DOC,
    auto_batch_size,
    auto_max_iter,
    auto_subsample,
)
from skdeep.estimators._parameters import FITTED_DOC, documented
from skdeep.estimators._seeds import peek_seed
from skdeep.estimators._series import check_series_target
from skdeep.estimators._series_windows import targets_of
from skdeep.networks import SegmentNetwork
from skdeep.training import SampledSource

# learning_rate_init="auto" is inversely proportional to the width below 128 units, so
# that a step changes the input of a unit by the same share (Yang et al., 2021).
_RATE, _RATE_WIDTH, _SMALLEST_WIDTH = 0.001, 128, 4
# That holds for solvers whose step does not depend on the scale of the gradient.
_SCALE_FREE_SOLVERS = ("adam", "adamw", "nadam", "rmsprop")
# max_iter of lbfgs, as in the other estimators.
_LBFGS_ITERATIONS = 200


@documented(
    forecaster=FORECASTER_DOC, training=FORECASTER_TRAINING_DOC, fitted=FITTED_DOC
)
class LSTMForecaster(ForecasterNetwork):
    """Recurrent network that forecasts time series several steps ahead.

    Rows are in time order, oldest first. The network reads a window of rows and
    forecasts the next ``horizon`` rows at once.

    Parameters
    ----------
    {forecaster}
    {training}

    Attributes
    ----------
    target_columns_ : list of int
        Positions of the target columns in X; empty if y was given.
    baseline_scores_ : dict of str to float, or None
        The negative loss on the validation rows (higher is better), in units of the
        training rows' standard deviation, of the trained "network" and of the
        baselines: "last_value"; "seasonal_naive", the value one season before, if the
        training rows have a season; and "ridge", a linear regression from the window
        to the forecast, both relative to the last value. If y is not a column of X:
        "mean", and "ridge" from all columns. None without validation rows.
    {fitted}

    See Also
    --------
    LSTMRegressor : Predicts a number for each of many sequences.
    skdeep.model_selection.PurgedTimeSeriesSplit : Folds of rows in time order.
    skdeep.inspection.ForecastDisplay : Plot of history, forecast and interval.

    Notes
    -----
    The window is cut into segments, of which an LSTM reads one per step. It then takes
    one step for each segment of the forecast, which a linear layer computes from its
    state. Targets that are columns of X are read relative to their last value, one
    after another by the same network, together with all other columns; a linear path
    from window to forecast is added. Columns and targets are scaled by the mean and
    the standard deviation of the training rows. With ``groups``, targets are scaled by
    series, and ``validation_scores_`` refers to the scaled targets.

    Validation rows are the last rows of each series, ``horizon`` rows after the
    training rows; or X_val. If they have many windows, a part is used, spread evenly:
    at least 300 for each series, and about 12 of every ``horizon`` consecutive ones.

    The penalty of the ridge of ``baseline_scores_`` is chosen on the last third of the
    training windows. It reads at most the last 1500 numbers of a window, but at least
    one row. Of many windows it uses some, evenly spread: as many as make 10,000 rows of
    the regression, or 20 for each number that it reads. A season longer than the window
    is not found.

    References
    ----------
    Lin et al. (2023). "SegRNN: Segment recurrent neural network for long-term time
    series forecasting." arXiv:2308.11200.

    Gibbs and Candès (2021). "Adaptive conformal inference under distribution shift."
    NeurIPS. (Intervals that adapt.)

    Angelopoulos, Candès and Tibshirani (2023). "Conformal PID control for time series
    prediction." NeurIPS. (The same for widths instead of quantiles.)

    Lin et al. (2024). "SparseTSF: Modeling long-term time series forecasting with 1k
    parameters." ICML. (The linear path.)

    Yang et al. (2021). "Tuning large neural networks via zero-shot hyperparameter
    transfer." NeurIPS. (The learning rate of narrow networks.)

    Lai et al. (2018). "Modeling long- and short-term temporal patterns with deep neural
    networks." SIGIR. (A linear path added to a recurrent one.)

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdeep import LSTMForecaster
    >>> hours = pd.date_range("2024-01-01", periods=200, freq="h")
    >>> day = np.sin(2 * np.pi * np.arange(200) / 24)
    >>> load = pd.DataFrame({"load": 10 + 3 * day}, index=hours)
    >>> model = LSTMForecaster(
    ...     window=24,
    ...     horizon=3,
    ...     hidden_size=8,
    ...     learning_rate_init=0.03,
    ...     max_iter=4,
    ...     random_state=0,
    ... ).fit(load[:152])
    >>> model.forecast().round(1)
    2024-01-07 08:00:00    12.5
    2024-01-07 09:00:00    12.1
    2024-01-07 10:00:00    11.6
    Freq: h, Name: load, dtype: float64
    >>> round(model.score(load[152:]), 1)
    1.0
    """

    _parameter_constraints: dict = CONSTRAINTS

    def __init__(
        self,
        window=30,
        horizon=1,
        *,
        target_columns=None,
        known_columns=None,
        groups=None,
        date_column=None,
        context="auto",
        freq=None,
        cell="lstm",
        hidden_size=128,
        segment_length="auto",
        dropout=0.5,
        symmetric="auto",
        include_baselines=False,
        loss="absolute_error",
        quantile=0.5,
        huber_delta=1.0,
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
        subsample="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.99,
        callbacks=None,
        device="auto",
        dtype=None,
        precision=None,
        compile=False,
    ):
        self.window = window
        self.horizon = horizon
        self.target_columns = target_columns
        self.known_columns = known_columns
        self.groups = groups
        self.date_column = date_column
        self.context = context
        self.freq = freq
        self.cell = cell
        self.hidden_size = hidden_size
        self.segment_length = segment_length
        self.dropout = dropout
        self.symmetric = symmetric
        self.include_baselines = include_baselines
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
        self.subsample = subsample
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.precision = precision
        self.compile = compile

    # -- fit ---------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features) or (n_rows,)
            Rows in time order, or a single series. The network reads nothing else. A
            missing value (NaN) is replaced by the value before it, and ignored as a
            target. With y, X must be two-dimensional.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            Targets; None takes ``target_columns`` of X.
        X_val : array-like of shape (n_val_rows, n_features), default=None
            Validation rows, scored after every epoch and used by ``early_stopping``; no
            training rows are held out. Windows reach back into X if the rows follow
            those of X (see ``context``).
        y_val : array-like, default=None
            Targets of X_val, if y is given.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are too few rows, if dates are out of order or not on the calendar
            ``freq``, if a column has no value, or if training diverges.

        Warns
        -----
        UserWarning
            If the dates have gaps or are irregular, if numbers in the index are out of
            order, if values are missing inside a series, if one of several series is
            too short, or if a baseline is better than the network on 50 or more of the
            validation windows that are used (see ``baseline_scores_`` and Notes).

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, hidden_size=4, max_iter=1)
        >>> model.fit(y).n_features_in_
        1
        """
        return self._fit(X, y, None, X_val, y_val)

    def _network_config(self, plan):
        inputs, layout = plan.inputs, plan.schema.layout
        return {
            "n_targets": layout.n_targets,
            "n_own": len(layout.own),
            "n_others": len(inputs.order_) - len(layout.own),
            "known": [inputs.order_.index(i) - len(layout.own) for i in layout.known],
            "window": int(self.window),
            "horizon": int(self.horizon),
            "segment": self._segment(),
            "hidden_size": int(self.hidden_size),
            "cell": self.cell,
            "dropout": float(self.dropout),
            "symmetric": self._is_symmetric(len(inputs.order_) == len(layout.own)),
        }

    def _search_space(self):
        # The window is not searched: its maximum depends on the number of rows.
        return {
            "hidden_size": [32, 64, 128, 256],
            "cell": ["lstm", "gru"],
            "dropout": uniform(0.0, 0.7),
            "learning_rate_init": ["auto", 0.0005, 0.001, 0.002, 0.005, 0.01],
            "batch_size": [16, 32, "auto"],
            "symmetric": ["auto", False],
        }

    def _is_symmetric(self, reads_targets_only: bool) -> bool:
        if self.symmetric != "auto":
            return bool(self.symmetric)
        # Other losses may weigh errors above and below differently.
        losses = ("squared_error", "absolute_error", "huber")
        return reads_targets_only and self.loss in losses

    def _segment(self) -> int:
        """Return the number of rows of a segment."""
        if self.segment_length == "auto":
            return max(1, min(24, self.window // 3))
        if self.segment_length > self.window:
            raise ValueError(
                f"segment_length={self.segment_length} is longer than "
                f"window={self.window}."
            )
        return int(self.segment_length)

    def _build(self, config, seed=0):
        return SegmentNetwork(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _work(self, network, batch_size):
        return batch_size * network.work_per_row

    def _share(self, n_windows: int) -> float:
        """Return the share of the windows that an epoch uses."""
        if self.solver == "lbfgs":
            return 1.0
        if self.subsample != "auto":
            return float(self.subsample)
        return auto_subsample(n_windows, self.horizon)

    def _n_drawn(self, n_windows: int) -> int:
        """Return the number of windows that an epoch uses."""
        return max(math.ceil(self._share(n_windows) * n_windows), 1)

    def _auto_batch_size(self, n_samples):
        return auto_batch_size(n_samples, self._share(n_samples))

    def _training_options(self, n_samples):
        options = super()._training_options(n_samples)
        if self.learning_rate_init == "auto":
            options = replace(options, learning_rate_init=self._learning_rate())
        if self.max_iter != "auto":
            return options
        if self.solver == "lbfgs":
            return replace(options, max_iter=_LBFGS_ITERATIONS)
        n_epochs = auto_max_iter(self._n_drawn(n_samples), options.batch_size)
        return replace(options, max_iter=n_epochs)

    def _task(self, plan, sample, valid, device, rng, *how):
        task = super()._task(plan, sample, valid, device, rng, *how)
        n_drawn = self._n_drawn(len(sample))
        if n_drawn < len(sample):
            task.train = SampledSource(task.train, n_drawn, peek_seed(rng))
            if not self.early_stopping:
                # The losses of small shares vary.
                patience = self.n_iter_no_change * (len(sample) / n_drawn)
                task.options = replace(task.options, n_iter_no_change=patience)
        if self.max_iter == "auto" and self.solver != "lbfgs":
            # Only here is the number of series known.
            n_series = plan.targets.scaling_.n_series
            n_epochs = auto_max_iter(n_drawn, task.options.batch_size, n_series)
            task.options = replace(task.options, max_iter=n_epochs)
        return task

    def _learning_rate(self) -> float:
        """Return the learning rate for the width of the network."""
        if self.solver not in _SCALE_FREE_SOLVERS:
            return _RATE
        return _RATE * max(1, _RATE_WIDTH / max(self.hidden_size, _SMALLEST_WIDTH))

    def _needs_holdout(self):
        return self.validation_fraction > 0

    # -- predict -----------------------------------------------------------------------

    def predict(self, X):
        """Forecast each row from what was known ``horizon`` rows before it.

        Row t is forecast from rows up to t - horizon, and from ``known_columns`` up to
        row t. The rows before the first row of X are set by ``context``. A row without
        any row ``horizon`` rows before it is forecast from mean values.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
            The forecasts; if X has dates, a Series or DataFrame with the index of X,
            or of the dates if X itself has no index. (For wrappers that expect arrays,
            such as scikit-learn's TransformedTargetRegressor, pass X without dates.)

        Raises
        ------
        ValueError
            If a value of X is so far from the training rows that the forecasts would
            not be finite.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, hidden_size=4, max_iter=1, context="train")
        >>> model.fit(y[:50]).predict(y[50:]).shape
        (10,)
        """
        series, forecasts = self._forecast_rows(X)
        return self._layout.shaped(forecasts, series.index)

    def predict_interval(self, X, coverage=0.9):
        """Forecast a prediction interval for each row.

        Intervals are computed by split conformal prediction: the forecast plus and
        minus a quantile of the errors on the validation rows, the same number of steps
        ahead and relative to the spread of the window. They then adapt to the errors of
        the rows of X before them that are known when the forecast is made: they become
        wider after values outside, and narrower after values inside, such that the
        share of values inside tends to the coverage even if the series changes. Rows of
        ``fit``, as far as the index shows them, rows without a full window and, if y is
        not a column of X, all rows do not count.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order.
        coverage : float, default=0.9
            Share of rows that the intervals should contain.

        Returns
        -------
        interval : ndarray of shape (n_rows, 2) or (n_rows, n_targets, 2)
            Lower and upper ends. If X has dates, a DataFrame with columns "lower" and
            "upper", for several targets with two levels of columns, and with the index
            of X, or of the dates if X itself has no index.

        Raises
        ------
        ValueError
            If ``fit`` had no validation rows.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, hidden_size=4, max_iter=1, context="train")
        >>> model.fit(y[:50]).predict_interval(y[50:], coverage=0.5).shape
        (10, 2)
        """
        self._check_coverage(coverage)
        series, ends = self._forecast_rows(X, coverage)
        return self._layout.interval(ends, series.index)

    def forecast(self, steps=None, X=None, future=None):
        """Forecast the rows after the last known row.

        Parameters
        ----------
        steps : int, default=None
            Number of rows to forecast, at most ``horizon``; None means ``horizon``.
        X : array-like of shape (n_rows, n_features), default=None
            The known rows; None means those of ``fit``.
        future : array-like of shape (n_future, n_features) or (n_future, n_known), \
default=None
            The next rows, at least ``steps``; required with ``known_columns``, the only
            columns that are read. Other columns may hold NaN or be left out: the
            columns of a data frame are found by name. Dates must be the next ones, and
            become the index of the forecasts.

        Returns
        -------
        path : ndarray of shape (steps,) or (steps, n_targets)
            The forecasts; a Series or DataFrame, indexed by the next dates, if the rows
            have an index of dates. With ``groups``, the index has two levels: the
            series, and the date or step.

        Raises
        ------
        ValueError
            If the dates of ``future`` are not the next ones.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, horizon=3, hidden_size=4, max_iter=1)
        >>> model.fit(y).forecast(steps=2).shape
        (2,)
        """
        parts = self._forecast_paths(steps, X, future)
        return self._stack_series(
            [(k, self._layout.shaped(p, dates)) for k, p, dates in parts]
        )

    def forecast_interval(self, steps=None, X=None, future=None, coverage=0.9):
        """Forecast prediction intervals for the rows after the last known row.

        They are those of ``predict_interval``, but do not adapt to the errors of X.

        Parameters
        ----------
        steps : int, default=None
            Number of rows to forecast, at most ``horizon``; None means ``horizon``.
        X : array-like of shape (n_rows, n_features), default=None
            The known rows; None means those of ``fit``.
        future : array-like of shape (n_future, n_features), default=None
            The next rows, as in ``forecast``.
        coverage : float, default=0.9
            Share of rows that the intervals should contain, at each step.

        Returns
        -------
        interval : ndarray of shape (steps, 2) or (steps, n_targets, 2)
            Lower and upper ends, with columns as in ``predict_interval`` and an index
            as in ``forecast``.

        Raises
        ------
        ValueError
            If ``fit`` had no validation rows.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, horizon=3, hidden_size=4, max_iter=1)
        >>> model.fit(y).forecast_interval(coverage=0.5).shape
        (3, 2)
        """
        self._check_coverage(coverage)
        parts = self._forecast_paths(steps, X, future, coverage)
        return self._stack_series(
            [(k, self._layout.interval(e, dates)) for k, e, dates in parts]
        )

    def backtest(self, X, y=None, stride=1):
        """Forecast whole paths from past origins, as if later rows were unknown.

        Origin i is row ``window - 1 + i * stride`` of X (of each series), the last row
        that is read.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order.
        y : Ignored
            Not used, present for API consistency with ``score``.
        stride : int, default=1
            Number of rows from one origin to the next.

        Returns
        -------
        paths : ndarray of shape (n_origins, horizon, n_targets)
            The forecasts. Every origin has a full window of X before it and ``horizon``
            rows of X after it. Series that are too short have no origin.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, horizon=3, hidden_size=4, max_iter=1)
        >>> model.fit(y[:50]).backtest(y[50:]).shape  # origins are rows 55 and 56
        (2, 3, 1)
        """
        return self._backtest(X, stride)

    def score(self, X, y=None):
        """Return R² of ``predict``, averaged over the targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            True targets; None takes the target columns of X.

        Returns
        -------
        score : float
            R²; missing targets are ignored.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import LSTMForecaster
        >>> y = np.sin(np.arange(60) / 3)
        >>> model = LSTMForecaster(window=6, hidden_size=4, max_iter=1, context="train")
        >>> model.fit(y[:50]).score(y[50:]) < 1
        True
        """
        check_is_fitted(self)
        series, forecasts = self._forecast_rows(X)
        target = None if y is None else check_series_target(self, y, series)
        expected = targets_of(series, target, self._layout)
        if np.isnan(expected).all():
            raise ValueError("X has no targets to score forecasts with: all are NaN.")
        return known_r2(expected, np.reshape(forecasts, expected.shape))

    def _stack_series(self, parts: list):
        """Return the only part, or those of several series stacked."""
        if self.groups is None:
            return parts[0][1]
        return pd.concat(dict(parts), names=[str(self.groups)])
