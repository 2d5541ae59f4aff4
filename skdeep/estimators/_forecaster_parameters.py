"""The parameters of LSTMForecaster: documentation, valid and automatic values."""

from __future__ import annotations

import math
from datetime import timedelta
from numbers import Integral, Real

import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.encoding import CONTEXTS
from skdeep.estimators._parameters import (
    REGRESSOR_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
)
from skdeep.networks import CELLS

# Limits of batch_size="auto" if all windows are used: the largest batch, the fewest
# batches per epoch, and the smallest batch.
_LARGEST_BATCH, _FEWEST_BATCHES, _SMALLEST_BATCH = 64, 32, 8
# subsample="auto" uses about this many windows of each horizon of rows and epoch, at
# least this share of all windows, and all of a short series.
_WINDOWS_PER_HORIZON, _SMALLEST_SHARE = 32, 1 / 3
# max_iter="auto" trains for at least this many steps and epochs. Several series may
# behave differently: each adds as many steps, up to this number of series.
_FEWEST_STEPS, _FEWEST_EPOCHS, _MOST_SERIES = 200, 2, 4

_LOSSES = {"squared_error", "absolute_error", "huber", "quantile"}
# Not parameters of a forecaster: validation rows are always the last, after a horizon.
_FIXED = ("validation_split", "validation_gap")
# Parameters whose meaning differs from that in the other estimators.
_REDEFINED = (
    *_FIXED,
    "batch_size",
    "learning_rate_init",
    "max_iter",
    "validation_fraction",
)

FORECASTER_DOC = """\
window : int, default=30
    Number of rows that a forecast reads.
horizon : int, default=1
    Number of rows ahead to forecast, all at once.
target_columns : str, int or list of these, default=None
    Columns of X to forecast, by names or positions; None means all. If y is given, the
    columns that hold the past of y; None means those with y's names.
known_columns : str, int or list of these, default=None
    Columns of X that are known in advance, such as the hour or a holiday. They are
    read up to the forecast row.
groups : str or int, default=None
    The column of X that names the series of each row, if X holds several. Each series
    is forecast from its own rows, scaled by its own mean and spread.
date_column : str or int, default=None
    The column of X that holds the date of each row, if the index does not: dates,
    periods or text such as "2024-01-31".
context : {'auto', 'train', 'pad'}, default='auto'
    Which rows ``predict`` puts before the first row of X. 'auto': the last training
    rows if the index of X (dates or numbers) continues that of the training rows,
    otherwise padding, with a warning. 'train': the last training rows, unless the index
    shows that X starts earlier. 'pad': padding. X that begins with the first training
    rows is padded, except for a few rows of whole numbers without an index and with
    'train', since these may be equal by chance.
freq : str or pandas offset, default=None
    The frequency of the index or the ``date_column`` of X, such as ``"B"``, ``"MS"`` or
    ``pd.offsets.CustomBusinessDay(holidays=...)``; every date must conform to it. None
    takes the ``freq`` of the index, or infers it from the dates.
cell : {'lstm', 'gru', 'rnn'}, default='lstm'
    Type of the recurrent layer.
hidden_size : int, default=128
    Number of units of the recurrent layer.
segment_length : int or 'auto', default='auto'
    Number of rows that the recurrent layer reads, or forecasts, in one step. 'auto' is
    24, or a third of the window if that is less.
dropout : float, default=0.5
    Share of the recurrent layer's values set to zero in each training step.
symmetric : bool or 'auto', default='auto'
    Whether to make the forecast of a negated window the negated forecast, so that a
    drift in the training rows is not extrapolated. 'auto' does so if only targets are
    read and the loss weighs errors above and below equally.
include_baselines : bool, default=False
    Whether the best of the network and the baselines of ``baseline_scores_`` makes all
    forecasts and intervals; otherwise it is the network. Needs validation rows.
loss : {'squared_error', 'absolute_error', 'huber', 'quantile'} or callable, \
default='absolute_error'
    Loss to minimize, averaged over steps and targets, in units of the training rows'
    standard deviation. A callable takes forecasts and targets, both (n, 1), and returns
    a tensor with a value for each, or their mean.
quantile : float, default=0.5
    The quantile that the loss 'quantile' predicts.
huber_delta : float, default=1.0
    The error beyond which the loss 'huber' is linear.
batch_size : int or 'auto', default='auto'
    Number of windows in a batch. 'auto' is 64, or less if that would make fewer than 32
    batches, times ``subsample``.
subsample : float or 'auto', default='auto'
    Share of the training windows that an epoch uses, drawn anew for each epoch. Windows
    overlap, so that a part of them shows nearly the same rows in less time. 'auto' uses
    32 windows of every ``horizon`` consecutive ones, but at least a third of all and at
    least 2048. Without ``early_stopping``, training then stops after
    ``n_iter_no_change / subsample`` epochs without improvement, because the losses of
    parts vary. 'lbfgs' ignores it.
learning_rate_init : float or 'auto', default='auto'
    The highest learning rate. 'auto' is 0.001, and more for networks of fewer than 128
    units: 0.128 / ``hidden_size``, at most 0.032, unless the solver is 'sgd',
    'adagrad', 'adadelta' or a custom optimizer.
max_iter : int or 'auto', default='auto'
    Number of epochs. 'auto' is 2, or as many as make 200 steps (for several series, 200
    for each of up to four). With ``solver='lbfgs'`` it is the largest number of
    iterations, and 'auto' is 200.
validation_fraction : float, default=0.1
    Share of the rows of each series, from its end, that is held out unless ``X_val`` is
    given. Prediction intervals, ``baseline_scores_`` and ``early_stopping`` use the
    errors on these rows. 0 holds none out."""

_FORECASTER_CONSTRAINTS: dict = {
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
    "include_baselines": ["boolean"],
    "subsample": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="right")],
}

FORECASTER_TRAINING_DOC = adapted(
    TRAINING_DOC,
    without=_REDEFINED,
    alpha=0.0,
    learning_rate="one_cycle",
    weight_averaging=0.99,
)

CONSTRAINTS: dict = {
    **_FORECASTER_CONSTRAINTS,
    **{k: v for k, v in TRAINING_CONSTRAINTS.items() if k not in _FIXED},
    **REGRESSOR_CONSTRAINTS,
    "loss": [StrOptions(_LOSSES), callable],
    "learning_rate_init": [
        StrOptions({"auto"}),
        *TRAINING_CONSTRAINTS["learning_rate_init"],
    ],
    "max_iter": [StrOptions({"auto"}), *TRAINING_CONSTRAINTS["max_iter"]],
}


def auto_subsample(n_windows: int, horizon: int) -> float:
    """Return the share of the training windows that an epoch uses."""
    few = _FEWEST_BATCHES * _LARGEST_BATCH / n_windows
    return min(max(_WINDOWS_PER_HORIZON / horizon, _SMALLEST_SHARE, few), 1.0)


def auto_batch_size(n_windows: int, share: float) -> int:
    """Return the size of batches: an epoch of a share has as many as one of all."""
    size = min(max(n_windows // _FEWEST_BATCHES, _SMALLEST_BATCH), _LARGEST_BATCH)
    return min(max(round(size * share), _SMALLEST_BATCH), n_windows)


def auto_max_iter(n_windows: int, batch_size: int, n_series: int = 1) -> int:
    """Return the number of epochs of so many windows that makes enough steps."""
    steps = _FEWEST_STEPS * min(n_series, _MOST_SERIES)
    steps_per_epoch = max(n_windows / batch_size, 1)
    return max(math.ceil(steps / steps_per_epoch), _FEWEST_EPOCHS)
