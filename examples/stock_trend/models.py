"""The networks and their training.

Three hidden layers read one day, or an LSTM reads the days up to it, both behind a
scaler. Early stopping watches the accuracy on the validation days, keeps the best
weights, and ends the training after twenty epochs without improvement.
"""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.callback import ProgressBar
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import LSTMClassifier, MLPClassifier, SlidingWindow

from .baselines import fit_logistic, predict_constants
from .names import DENSE, LOGISTIC, LSTM

DENSE_LAYERS = (64, 32, 16)
LSTM_UNITS = 32
WINDOW = 20  # days that the LSTM reads: about a month of trading


class Effort(NamedTuple):
    """How much time a run may take: epochs, and draws of LIME per explanation."""

    max_iter: int
    draws: int | str  # for one day
    summary_draws: int  # for one of many days


FULL = Effort(max_iter=200, draws="auto", summary_draws=200)
QUICK = Effort(max_iter=4, draws=1100, summary_draws=60)


def make_dense(training):
    """Return the untrained pipeline: scale the indicators, then three dense layers."""
    network = MLPClassifier(DENSE_LAYERS, alpha=1e-3, dropout=0.1, **training)
    return Pipeline([("scale", StandardScaler()), ("network", network)])


def make_lstm(training):
    """Return the untrained pipeline: scale, make windows, then an LSTM.

    Single precision is enough for a network, and faster. With `context="train"` the
    first windows after the training days reach back into them.
    """
    network = LSTMClassifier(
        LSTM_UNITS, alpha=1e-3, dropout=0.2, dtype="float32", **training
    )
    window = SlidingWindow(WINDOW, context="train")
    steps = [("scale", StandardScaler()), ("window", window)]
    return Pipeline([*steps, ("network", network)])


MAKERS = {DENSE: make_dense, LSTM: make_lstm}
SHAPES = {
    DENSE: {"layers": list(DENSE_LAYERS), "days_read": 1},
    LSTM: {"layers": [LSTM_UNITS], "days_read": WINDOW},
}


def plan_training(periods, n_development, options):
    """Return the training parameters, which are the same for both networks."""
    return {
        "batch_size": 64,
        "max_iter": options.effort.max_iter,
        "early_stopping": True,
        "n_iter_no_change": 20,
        "validation_split": "last",
        # A little less than the share: the estimator rounds the number of rows up.
        "validation_fraction": (len(periods.validation) - 0.25) / n_development,
        "validation_gap": options.horizon,
        "random_state": options.seed,
    }


def get_development(stock, periods):
    """Return the indicators and labels of the days before the test period."""
    days = periods.development
    target = stock.target.loc[days]
    return stock.indicators.loc[target.index], target


def fit(model, X, y):
    """Fit a model; return whether Ctrl-C stopped it before it was done."""
    # On Ctrl-C an estimator keeps what it has learned and warns. All other warnings
    # are passed on.
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", ".*interrupted", UserWarning)
        model.fit(X, y)
    is_interrupted = False
    for found in caught:
        if "interrupted" in str(found.message):
            is_interrupted = True
        else:
            warnings.warn_explicit(
                found.message, found.category, found.filename, found.lineno
            )
    return is_interrupted


def train(names, stock, periods, options, interrupted=None):
    """Fit the networks and the logistic regression on the same days.

    A sentence about each training that Ctrl-C stopped is appended to `interrupted`.
    """
    interrupted = [] if interrupted is None else interrupted
    X, y = get_development(stock, periods)
    training = plan_training(periods, len(X), options)
    networks = {name: MAKERS[name](training) for name in names}
    for name, network in networks.items():
        network.set_callbacks(ProgressBar())
        if fit(network, X, y):
            interrupted.append(describe_interruption(name, network[-1]))
    return networks, fit_logistic(X, y)


def describe_interruption(name, network):
    """Describe a training that Ctrl-C stopped; raise if it has no complete epoch."""
    if network.n_iter_ == 0:
        raise KeyboardInterrupt
    return (
        f"{name}: training was interrupted by Ctrl-C after epoch {network.n_iter_} "
        "and is incomplete."
    )


def predict_increase(stock, periods, networks, logistic, horizon):
    """Return each model's probability (or 0 and 1) of an increase, by day.

    The days are the test days and the last day of the file. The models read all days,
    since the LSTM's windows of the first test days reach back; a window never reaches
    forward.
    """
    learned = {**networks, LOGISTIC: logistic}
    X = stock.indicators
    probabilities = {n: model.predict_proba(X)[:, 1] for n, model in learned.items()}
    probabilities |= predict_constants(stock, periods, horizon)
    frame = pd.DataFrame(probabilities, index=X.index).astype(float)
    return frame.loc[periods.test], frame.iloc[-1]


def describe_training(name, network):
    """Return the shape of a network and how its training went."""
    scores = network.validation_scores_
    return {
        **SHAPES[name],
        "dropout": network.dropout,
        "epochs": int(network.n_iter_),
        "best_epoch": int(np.nanargmax(scores)) + 1,
        "best_validation_accuracy": float(network.best_validation_score_),
    }
