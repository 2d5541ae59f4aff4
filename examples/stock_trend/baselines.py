"""The baselines: what a network has to beat.

"Same as yesterday" repeats the last move; the majority class always predicts the label
that was more frequent in training. Neither uses the indicators. The logistic regression
does, in a weighted sum.
"""

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .names import MAJORITY, name_persistence


def fit_logistic(X, y):
    """Fit a logistic regression to the indicators."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(X, y)


def predict_constants(stock, periods, horizon):
    """Return 0 or 1, by day, for the two baselines that do not use the indicators."""
    days = stock.indicators.index
    last_move = stock.prices["close"].pct_change(horizon).loc[days]
    majority = stock.target.loc[periods.development].mode()[0]
    return {
        name_persistence(horizon): (last_move > 0).astype(float),
        MAJORITY: pd.Series(float(majority == "increase"), days),
    }
