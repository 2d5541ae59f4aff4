"""Forecasts of time series by a recurrent network."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.stats import uniform
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import CONTEXTS, known_r2
from skdeep.estimators._forecasting import ForecasterNetwork, targets_of
from skdeep.estimators._parameters import (
    FITTED_DOC,
    REGRESSOR_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
    documented,
)
from skdeep.estimators._series import check_series_target
from skdeep.networks import CELLS, SegmentNetwork

_LOSSES = {"squared_error", "absolute_error", "huber", "quantile"}
# Not parameters here: validation rows are always the last, a horizon apart.
_FIXED = ("validation_split", "validation_gap")
# Parameters with a meaning of their own here.
_OWN_MEANING = (
    *_FIXED,
    "batch_size",
    "learning_rate_init",
    "max_iter",
    "validation_fraction",
)
# A batch holds so many windows, but an epoch has so many batches if it can.
_LARGEST_BATCH, _FEWEST_BATCHES, _SMALLEST_BATCH = 64, 32, 8
# Training takes so many steps at least, and epochs; several series, which may behave
# in different ways, take so many times as many steps at most.
_FEWEST_STEPS, _FEWEST_EPOCHS, _MOST_TIMES = 200, 2, 4
# A narrow network takes longer steps: each weight is to change by as large a share of
# what a unit reads, whatever the number of units (Yang et al., 2021).
_RATE, _RATE_WIDTH, _SMALLEST_WIDTH = 0.001, 128, 4
_SCALE_FREE_SOLVERS = ("adam", "adamw", "nadam", "rmsprop")
# As many iterations as lbfgs has in the other estimators.
_MOST_ITERATIONS = 200


_OWN_DOC = """\
window : int, default=30
    Number of rows that a forecast is made from.
horizon : int, default=1
    Number of rows ahead that are forecast, all at once.
target_columns : str, int or list of these, default=None
    Columns of X that are forecast, by names or positions; None means all. If y is
    given, the columns that hold the past of y; None means those of y's names.
known_columns : str, int or list of these, default=None
    Columns of X that are known in advance, such as the hour or a holiday: they are
    read up to the forecast row.
groups : str or int, default=None
    The column of X that names the series of each row, where X holds several. Each is
    forecast from its own rows, relative to its own mean and spread.
date_column : str or int, default=None
    The column of X that holds the date of each row, where no index does: dates, periods
    or text such as "2024-01-31".
context : {'auto', 'train', 'pad'}, default='auto'
    What stands before the first row given to ``predict``: 'auto' takes the stored end
    of the training rows if the index of X (dates or numbers) goes on where that of the
    training rows ended, and else pads, with a warning; 'train' takes it unless the
    index says otherwise; 'pad' never does. X that begins as the training rows did is
    never given their end.
freq : str or pandas offset, default=None
    The calendar of the index or the ``date_column`` of X, such as ``"B"``, ``"MS"`` or
    ``pd.offsets.CustomBusinessDay(holidays=...)``; each date must be on it. None takes
    the ``freq`` of the index, or infers it from the dates.
cell : {'lstm', 'gru', 'rnn'}, default='lstm'
    Kind of the recurrent layer.
hidden_size : int, default=128
    Its width.
segment_length : int or 'auto', default='auto'
    Number of rows that the recurrent layer reads in one step, and writes in one. 'auto'
    is 24, or less where the window is shorter than 72: a third of it.
dropout : float, default=0.5
    Share of the recurrent layer's values set to zero in each training step.
symmetric : bool or 'auto', default='auto'
    Whether the forecast of a mirrored window is to be the mirrored forecast, so that no
    drift of the training rows is taken for a law. 'auto' asks for it where nothing but
    the targets is read, and for losses that count errors above as those below.
loss : {'squared_error', 'absolute_error', 'huber', 'quantile'} or callable, \
default='absolute_error'
    What training minimises: the mean over steps and targets, in units of the
    training rows' standard deviation. A callable takes forecasts and targets, both
    (n, 1), and returns a tensor with a value for each, or their mean.
quantile : float, default=0.5
    The quantile that the loss 'quantile' predicts.
huber_delta : float, default=1.0
    The error from which on the loss 'huber' is linear.
batch_size : int or 'auto', default='auto'
    Number of windows in a batch; 'auto' is 64, or less where that would make fewer than
    32 batches.
learning_rate_init : float or 'auto', default='auto'
    The highest learning rate. 'auto' is 0.001, and more for narrow networks, whose
    weights have further to go: 0.128 / ``hidden_size`` where that is below 128 (at most
    0.032), unless the solver is 'sgd', 'adagrad', 'adadelta' or one of your own.
max_iter : int or 'auto', default='auto'
    Number of epochs; 'auto' makes it 2, or as many as take 200 steps (of several series
    200 for each of up to four). Windows overlap, so that an epoch shows each row many
    times. Of ``solver='lbfgs'`` it is the largest
    number of iterations; 'auto' makes it 200.
validation_fraction : float, default=0.1
    Share of the rows of each series, the last, that is set aside unless ``X_val`` is
    given: their errors make the intervals, and ``early_stopping`` looks at them. 0 sets
    none aside."""

_OWN_CONSTRAINTS: dict = {
    "window": [Interval(Integral, 1, None, closed="left")],
    "horizon": [Interval(Integral, 1, None, closed="left")],
    "target_columns": [None, str, Integral, "array-like"],
    "known_columns": [None, str, Integral, "array-like"],
    "groups": [None, str, Integral],
    "date_column": [None, str, Integral],
    "context": [StrOptions(set(CONTEXTS))],
    "freq": [None, str, timedelta, pd.offsets.BaseOffset],
    "cell": [StrOptions(set(CELLS))],
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "segment_length": [
        StrOptions({"auto"}),
        Interval(Integral, 1, None, closed="left"),
    ],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "symmetric": [StrOptions({"auto"}), "boolean"],
}

_TRAINING_DOC = adapted(
    TRAINING_DOC,
    without=_OWN_MEANING,
    alpha=0.0,
    learning_rate="one_cycle",
    weight_averaging=0.99,
)


@documented(own=_OWN_DOC, training=_TRAINING_DOC, fitted=FITTED_DOC)
class LSTMForecaster(ForecasterNetwork):
    """Recurrent network that forecasts time series, several steps ahead at once.

    Rows are in order of time, oldest first. The network reads a window of rows and
    gives all ``horizon`` rows after it.

    Parameters
    ----------
    {own}
    {training}

    Attributes
    ----------
    target_columns_ : list of int
        Positions of the columns of X that are forecast; empty if y was given.
    {fitted}

    See Also
    --------
    LSTMRegressor : One number for each of many sequences.
    skdeep.model_selection.PurgedTimeSeriesSplit : Folds of rows in order of time.
    skdeep.inspection.ForecastDisplay : History, forecast and interval, drawn.

    Notes
    -----
    The window is cut in segments, which an LSTM reads one a step. It then takes one
    step for each segment of the forecast, and a linear layer makes the segment of its
    state. Targets that are columns of X are read relative to their last value, one
    after another by the same network, and a linear path from window to forecast is
    added. All other columns are read with each of them. Columns and targets are scaled
    by the mean and the standard deviation of the training rows; with ``groups`` targets
    by those of each series, and ``validation_scores_`` are in these units.

    Validation rows are the last of each series, ``horizon`` rows apart from the
    training rows; or X_val.

    References
    ----------
    Lin et al. (2023). "SegRNN: Segment recurrent neural network for long-term time
    series forecasting." arXiv:2308.11200.

    Lin et al. (2024). "SparseTSF: Modeling long-term time series forecasting with 1k
    parameters." ICML. (The linear path.)

    Yang et al. (2021). "Tuning large neural networks via zero-shot hyperparameter
    transfer." NeurIPS. (The learning rate of narrow networks.)

    Lai et al. (2018). "Modeling long- and short-term temporal patterns with deep neural
    networks." SIGIR. (Adding a linear path to a recurrent one.)

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdeep import LSTMForecaster
    >>> hours = pd.date_range("2024-01-01", periods=600, freq="h")
    >>> day = np.sin(2 * np.pi * np.arange(600) / 24)
    >>> load = pd.DataFrame({"load": 10 + 3 * day}, index=hours)
    >>> model = LSTMForecaster(
    ...     window=48,
    ...     horizon=3,
    ...     hidden_size=16,
    ...     learning_rate_init=0.003,
    ...     random_state=0,
    ... ).fit(load[:500])
    >>> model.forecast().round(1)
    2024-01-21 20:00:00    7.4
    2024-01-21 21:00:00    7.9
    2024-01-21 22:00:00    8.5
    Freq: h, Name: load, dtype: float64
    >>> round(model.score(load[500:]), 2)
    1.0
    """

    _parameter_constraints: dict = {
        **_OWN_CONSTRAINTS,
        **{k: v for k, v in TRAINING_CONSTRAINTS.items() if k not in _FIXED},
        **REGRESSOR_CONSTRAINTS,
        "loss": [StrOptions(_LOSSES), callable],
        "learning_rate_init": [
            StrOptions({"auto"}),
            *TRAINING_CONSTRAINTS["learning_rate_init"],
        ],
        "max_iter": [StrOptions({"auto"}), *TRAINING_CONSTRAINTS["max_iter"]],
    }

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
        loss="absolute_error",
        quantile=0.5,
        huber_delta=1.0,
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
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
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
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
            Rows in order of time, or a single series. The network reads nothing else.
            A missing value (NaN) is read as the value before it, and not learnt. An
            array given with y must have two axes.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            What is forecast; None means ``target_columns`` of X.
        X_val : array-like of shape (n_val_rows, n_features), default=None
            Validation rows, scored after every epoch; with ``early_stopping`` they
            decide, and no training rows are set aside. Windows reach back into X where
            the rows follow those of X (see ``context``).
        y_val : array-like, default=None
            Their targets, if y is given.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are too few rows, dates out of order or not on the calendar
            ``freq``, a column without any value, or training diverges.

        Warns
        -----
        UserWarning
            If the dates have gaps or are irregular, if numbers in the index are out of
            order, if values are missing inside a series, or if one of several series is
            too short to be learnt from.
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
        # Not the window: how long it may be, the number of rows decides.
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
        # Other losses ask for other errors above than below.
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

    def _auto_batch_size(self, n_samples):
        size = min(max(n_samples // _FEWEST_BATCHES, _SMALLEST_BATCH), _LARGEST_BATCH)
        return min(size, n_samples)

    def _training_options(self, n_samples):
        options = super()._training_options(n_samples)
        if self.learning_rate_init == "auto":
            options = replace(options, learning_rate_init=self._learning_rate())
        if self.max_iter != "auto":
            return options
        if self.solver == "lbfgs":
            return replace(options, max_iter=_MOST_ITERATIONS)
        return replace(options, max_iter=_epochs(n_samples, options.batch_size))

    def _task(self, plan, sample, *how):
        task = super()._task(plan, sample, *how)
        if self.max_iter == "auto" and self.solver != "lbfgs":
            n_series = plan.targets.scaling_.n_series
            epochs = _epochs(len(sample), task.options.batch_size, n_series)
            task.options = replace(task.options, max_iter=epochs)
        return task

    def _learning_rate(self) -> float:
        """Return the rate that suits the width of the network."""
        if self.solver not in _SCALE_FREE_SOLVERS:
            return _RATE
        return _RATE * max(1, _RATE_WIDTH / max(self.hidden_size, _SMALLEST_WIDTH))

    def _holds_out(self):
        return self.validation_fraction > 0

    # -- predict -----------------------------------------------------------------------

    def predict(self, X):
        """Forecast each row from what was known ``horizon`` rows before it.

        Row t is forecast from rows up to t - horizon and, of ``known_columns``, up to
        row t. The rows before the first of X are those that ``context`` tells; where
        nothing is known as long before, the forecast is made from mean values.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in order of time.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
            The forecasts; a Series or DataFrame if X has an index of dates. (Wrappers
            that expect arrays, such as scikit-learn's TransformedTargetRegressor, take
            X without one.)

        Raises
        ------
        ValueError
            If a value of X is so far from the training rows that the forecasts would
            not be finite.
        """
        series, forecasts = self._forecast_rows(X)
        return self._layout.shaped(forecasts, series.index)

    def predict_interval(self, X, coverage=0.9):
        """Forecast each row by an interval.

        The interval is that of split conformal prediction: the forecast plus and minus
        what the errors on the validation rows, at the same distance ahead and relative
        to how much the window moves, did not exceed in this share of cases.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in order of time.
        coverage : float, default=0.9
            Share of rows that the interval is to hold.

        Returns
        -------
        interval : ndarray of shape (n_rows, 2) or (n_rows, n_targets, 2)
            Lower and upper ends; for one target a DataFrame with columns "lower" and
            "upper" if X has an index of dates, for several with columns of two levels.

        Raises
        ------
        ValueError
            If the fit had no validation rows.
        """
        self._check_coverage(coverage)
        series, ends = self._forecast_rows(X, coverage)
        return self._layout.interval(ends, series.index)

    def forecast(self, steps=None, X=None, future=None):
        """Forecast the rows after the last row known.

        Parameters
        ----------
        steps : int, default=None
            Number of rows, ``horizon`` at most; None means ``horizon``.
        X : array-like of shape (n_rows, n_features), default=None
            The rows known; None means those of ``fit``.
        future : array-like of shape (n_future, n_features) or (n_future, n_known), \
default=None
            Rows that follow, ``steps`` at least, of which ``known_columns`` alone are
            read; needed if there are such columns. Other columns may hold NaN or be
            left out: the columns of a frame are found by name. Dates must be the next
            ones, and become the index of the forecasts.

        Returns
        -------
        path : ndarray of shape (steps,) or (steps, n_targets)
            The forecasts; a Series or DataFrame if the rows have an index of dates,
            which goes on. With ``groups`` the index has two levels, the series and the
            date or step.

        Raises
        ------
        ValueError
            If the dates of ``future`` are not the next ones; names the first.
        """
        parts = self._forecast_paths(steps, X, future)
        return self._joined(
            [(k, self._layout.shaped(p, dates)) for k, p, dates in parts]
        )

    def forecast_interval(self, steps=None, X=None, future=None, coverage=0.9):
        """Forecast the rows after the last row known by intervals.

        Parameters
        ----------
        steps : int, default=None
            Number of rows, ``horizon`` at most; None means ``horizon``.
        X : array-like of shape (n_rows, n_features), default=None
            The rows known; None means those of ``fit``.
        future : array-like of shape (n_future, n_features), default=None
            Rows that follow, as in ``forecast``.
        coverage : float, default=0.9
            Share of cases in which each interval is to hold the row.

        Returns
        -------
        interval : ndarray of shape (steps, 2) or (steps, n_targets, 2)
            Lower and upper ends, indexed as those of ``predict_interval`` are.

        Raises
        ------
        ValueError
            If the fit had no validation rows.
        """
        self._check_coverage(coverage)
        parts = self._forecast_paths(steps, X, future, coverage)
        return self._joined(
            [(k, self._layout.interval(e, dates)) for k, e, dates in parts]
        )

    def backtest(self, X, y=None, stride=1):
        """Forecast whole paths from rows of X, as if what follows were not known.

        Origin i is row ``window - 1 + i * stride`` of X (of each series): the last row
        that is read.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in order of time.
        y : Ignored
            Here for symmetry with ``score``.
        stride : int, default=1
            Rows from origin to origin.

        Returns
        -------
        paths : ndarray of shape (n_origins, horizon, n_targets)
            The forecasts. Every origin has a full window of X up to it and ``horizon``
            rows of X after it; of several series, those too short for that have none.
        """
        return self._backtest(X, stride)

    def score(self, X, y=None):
        """Return R² of ``predict``, the mean over the targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in order of time.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
            What was to be forecast; None means the targets among the columns of X.

        Returns
        -------
        score : float
            R², of the values that are not missing.
        """
        check_is_fitted(self)
        series, forecasts = self._forecast_rows(X)
        target = None if y is None else check_series_target(self, y, series)
        expected = targets_of(series, target, self._layout)
        if np.isnan(expected).all():
            raise ValueError("X has no value to compare forecasts with: all are NaN.")
        return known_r2(expected, np.reshape(forecasts, expected.shape))

    def _joined(self, parts: list):
        """Return the only part, or those of several series one below another."""
        if self.groups is None:
            return parts[0][1]
        return pd.concat(dict(parts), names=[str(self.groups)])


def _epochs(n_samples: int, batch_size: int, n_series: int = 1) -> int:
    """Return the number of epochs that takes enough steps."""
    steps = _FEWEST_STEPS * min(n_series, _MOST_TIMES)
    return max(math.ceil(steps * batch_size / n_samples), _FEWEST_EPOCHS)
