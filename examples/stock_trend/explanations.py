"""Why the networks predicted what they did.

LIME samples many days near the one to explain, gets the network's predictions for them,
and fits a weighted linear model. R² says how well that model describes the network
there. The summaries of the LSTM over the test days perturb all days of an indicator
together, and then all indicators of a day: they show which indicators matter, and how
far back.
"""

import warnings
from functools import partial

import numpy as np

from skdeep.inspection import lime_explain

from .models import WINDOW
from .names import BY_DAY, BY_INDICATOR, DENSE, LSTM


def choose_days(y, p_increase):
    """Return the days of three predictions to explain, by what they are.

    They are the most confident correct one, the most confident wrong one, and the least
    confident one.
    """
    confidence = (p_increase - 0.5).abs()
    is_right = (p_increase > 0.5) == (y == "increase")
    chosen = {"least confident prediction": confidence.idxmin()}
    for name, days in {
        "most confident wrong prediction": ~is_right,
        "most confident correct prediction": is_right,
    }.items():
        if days.any():
            chosen[name] = confidence[days].idxmax()
    return dict(reversed(chosen.items()))


def explain_dense(network, X, periods, days, options):
    """Explain some days in detail, and all test days with fewer samples."""
    explain_rows = partial(
        lime_explain,
        network,
        background=X.loc[periods.development],
        target="increase",
        random_state=options.seed,
    )
    effort = options.effort
    summary = explain_rows(X.loc[periods.test], num_samples=effort.summary_draws)
    return explain_rows(X.loc[days], num_samples=effort.draws), {BY_INDICATOR: summary}


def explain_lstm(network, X, periods, days, options):
    """Explain some days in detail, and all test days by indicator and by day.

    Windows need all days in order, but LIME perturbs one row at a time. So the windows
    are made first, and LIME explains the network that reads them.
    """
    windows = network[:-1].transform(X)

    def get_windows(days):
        return windows[X.index.get_indexer(days)]

    explain_rows = partial(
        lime_explain,
        network[-1],
        background=get_windows(X.loc[periods.development].index),
        target="increase",
        feature_names=list(X.columns),
        random_state=options.seed,
    )
    effort = options.effort
    summarize = partial(
        explain_rows, get_windows(periods.test), num_samples=effort.summary_draws
    )
    return explain_rows(get_windows(days), row_names=days, num_samples=effort.draws), {
        BY_INDICATOR: summarize(groups="feature"),
        BY_DAY: summarize(groups="time", n_segments=WINDOW),
    }


EXPLAINERS = {DENSE: explain_dense, LSTM: explain_lstm}


def explain(name, network, stock, periods, p_increase, options):
    """Explain the chosen days and all test days; return explanations and numbers."""
    chosen = choose_days(stock.target.loc[periods.test], p_increase)
    days = list(chosen.values())
    with warnings.catch_warnings():
        # The report itself says which explanations cannot be trusted.
        warnings.filterwarnings("ignore", ".*local model", UserWarning)
        explained = EXPLAINERS[name](network, stock.indicators, periods, days, options)
    explanation, summaries = explained
    numbers = {
        "days": [
            {"day": str(day.date()), "why": why, "actual": stock.target[day]}
            | describe_row(explanation, row)
            for row, (why, day) in enumerate(chosen.items())
        ],
        "summaries": {
            by: summarize_effects(summary) for by, summary in summaries.items()
        },
    }
    return explained, numbers


def describe_row(explanation, row):
    """Return the largest effects on a row, and how good the local model is."""
    return {
        "p_increase": float(explanation.prediction_[row]),
        "local_prediction": float(explanation.local_prediction_[row]),
        "r2": float(explanation.r2_[row]),
        "stability": float(explanation.stability_[row]),
        "effects": [
            {
                "indicator": explanation.unit_names_[unit],
                "value": float(explanation.values_[row, unit]),
                "weight": float(explanation.weights_[row, unit]),
                "effect": float(explanation.effects_[row, unit]),
            }
            for unit in explanation.top(row)
        ],
    }


def summarize_effects(explanation):
    """Return the mean size of each effect, and how good the local models are."""
    sizes = np.abs(explanation.effects_).mean(axis=0)
    return {
        "mean_size": dict(zip(explanation.unit_names_, sizes.tolist(), strict=True)),
        "median_r2": float(np.median(explanation.r2_)),
        "days_below_half": int((explanation.r2_ < 0.5).sum()),
        "median_stability": float(np.median(explanation.stability_)),
    }
