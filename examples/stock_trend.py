"""The direction of Apple's trend
==============================

Will the price be higher tomorrow than today? A network of three dense layers reads 25
technical indicators of each day and answers with a probability; an LSTM reads the same
indicators of the last 20 days, in their order. The script shows how such a question is
asked honestly: the years are split in order, nothing is learned from the years that the
networks are judged on, and their answers stand beside those of simpler rules.

Run it with ``make demo`` or ``python examples/stock_trend.py``; ``--model mlp`` and
``--model lstm`` train one network alone. ``--alpha 3`` asks what the mistakes cost if
an "increase" that turns out a decrease costs three times the opposite; ``--tune 20``
tries twenty sets of parameters for the dense network. Everything lands in
``out/stock_trend/``: the pictures, the numbers, and ``report.html``, a page to read.
"""

# %%
import argparse
import copy
import json
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.callback import ProgressBar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from stock_costs import ALWAYS, NEVER, draw_costs, judge_costs, make_section
from stock_report import (
    BY_DAY,
    BY_INDICATOR,
    DENSE,
    HOLD,
    LABELS,
    LOGISTIC,
    LSTM,
    MAJORITY,
    draw_all,
    judge,
    judge_tuning,
    make_tuning_section,
    write_report,
)

from skdeep import (
    CostSensitiveClassifier,
    LSTMClassifier,
    MLPClassifier,
    OptunaSearchCV,
    SlidingWindow,
)
from skdeep.datasets import load_stock_trend
from skdeep.inspection import lime_explain
from skdeep.metrics import expected_cost, savings_score
from skdeep.model_selection import PurgedTimeSeriesSplit

MODELS = {"mlp": [DENSE], "lstm": [LSTM], "both": [DENSE, LSTM]}
DENSE_LAYERS = (64, 32, 16)
LSTM_UNITS = 32
WINDOW = 20  # days that the LSTM reads: about a month of trading
COST = 0.0005  # of what is bought or sold: 5 basis points
DAYS_A_YEAR = 252  # of trading
FEWEST_DAYS = 15  # in each part of the years
STRATEGIES = ["threshold", "tuned", "weighted", "direct", "auc", "auto"]
CONSTANTS = {NEVER: "decrease", ALWAYS: "increase"}
N_FOLDS = 4  # of the development years, at most
FEWEST_IN_FOLD = 100  # days
FEW_DRAWS = 200  # by LIME, of a day where many days are summed up

# %%
# The years in order
# ------------------
# Neighbouring days share most of their past, so days drawn at random for testing would
# be half known from training. The network learns from the first years, stops by the
# next ones, and is judged on the last. A label looks ``horizon`` days ahead: as many
# days are dropped before each border, so that no label reaches across it.


class Years(NamedTuple):
    """The days of training, validation and test."""

    training: pd.DatetimeIndex
    validation: pd.DatetimeIndex
    test: pd.DatetimeIndex

    @property
    def development(self):
        """All days before the test: what an estimator is fitted on."""
        return slice(self.training[0], self.validation[-1])


def find_border(days, share):
    """Return the row after `share` of the days, at a new year if one is near."""
    row = int(share * len(days))
    new_years = 1 + np.flatnonzero(np.diff(days.year))
    near = new_years[np.abs(new_years - row) < 0.06 * len(days)]
    return min(near, key=lambda start: abs(start - row), default=row)


def split_years(target, horizon):
    """Split the days in order: about 70 % training, 15 % validation, 15 % test."""
    days = target.index
    first, second = find_border(days, 0.70), find_border(days, 0.85)
    years = Years(
        training=days[: max(first - horizon, 0)],
        validation=days[first : max(second - horizon, first)],
        test=days[second:],
    )
    for name, part in years._asdict().items():
        check_part(target[part], name, horizon)
    return years


def check_part(target, name, horizon):
    """Refuse a part of the years from which nothing can be learned or judged."""
    if len(target) < FEWEST_DAYS:
        raise ValueError(
            f"{len(target)} days are left for {name}, less than {FEWEST_DAYS}: take "
            f"more prices, or look less far ahead than horizon={horizon} days."
        )
    if target.nunique() < 2:
        raise ValueError(
            f"All days for {name} are labelled {target.iloc[0]!r}: there is nothing to "
            "tell apart."
        )


# %%
# The networks
# ------------
# Three hidden layers that read a day, or an LSTM that reads the days up to it, behind a
# scaler. Early stopping looks at the accuracy on the last block of the training years,
# keeps the best weights seen, and ends the training when twenty epochs brought no
# better ones.


def make_dense(training):
    """Return the untrained pipeline: scale the indicators, then three dense layers."""
    network = MLPClassifier(DENSE_LAYERS, alpha=1e-3, dropout=0.1, **training)
    return Pipeline([("scale", StandardScaler()), ("network", network)])


def make_lstm(training):
    """Return the untrained pipeline: scale, give each day the days before, read them.

    Single precision is enough for a network, and faster. Days that follow those of
    training, as in a fold, find the last of them in their windows.
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


def plan_training(years, n_development, horizon, seed):
    """Return the training parameters, which are the same for both networks."""
    return {
        "batch_size": 64,
        "max_iter": 200,
        "early_stopping": True,
        "n_iter_no_change": 20,
        "validation_split": "last",
        # A hair less: the number of rows is rounded up.
        "validation_fraction": (len(years.validation) - 0.25) / n_development,
        "validation_gap": horizon,
        "random_state": seed,
    }


def fit(model, X, y):
    """Fit a model; return whether Ctrl-C ended it, so that it has learned in part."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", ".*interrupted by user", UserWarning)
        model.fit(X, y)
    is_interrupted = False
    for found in caught:
        if "interrupted by user" in str(found.message):
            is_interrupted = True
        else:
            warnings.warn_explicit(
                found.message, found.category, found.filename, found.lineno
            )
    return is_interrupted


def train(names, trend, years, horizon, seed, interrupted=None):
    """Fit the networks and a logistic regression on the same days.

    Sentences on what Ctrl-C has ended are appended to the list `interrupted`.
    """
    interrupted = [] if interrupted is None else interrupted
    X, y = trend.data.loc[years.development], trend.target.loc[years.development]
    training = plan_training(years, len(X), horizon, seed)
    networks = {name: MAKERS[name](training) for name in names}
    for name, network in networks.items():
        network.set_callbacks(ProgressBar())
        if fit(network, X, y):
            interrupted.append(tell_of_interrupt(name, network[-1]))
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return networks, logistic.fit(X, y)


def tell_of_interrupt(name, network):
    """Return a sentence on a training that Ctrl-C has ended after some epochs."""
    if network.n_iter_ == 0:
        raise KeyboardInterrupt
    return (
        f"{name}: the training was interrupted by Ctrl-C after epoch "
        f"{network.n_iter_}, before it had come to its end."
    )


# %%
# The answers
# -----------
# "As yesterday" says that the last move goes on; the majority class says always what
# was more frequent in the training years. Neither learns anything from an indicator.


def name_persistence(horizon):
    """Return what the rule "the last move goes on" is called."""
    return "As yesterday" if horizon == 1 else f"As the last {horizon} days"


def predict_increase(trend, years, networks, logistic, horizon):
    """Return each model's probability (or 0 and 1) of an increase, by test day.

    They are asked about all days, since the LSTM's windows of the first test days hold
    the days before; a window never holds a later one.
    """
    learned = {**networks, LOGISTIC: logistic}
    answers = {n: model.predict_proba(trend.data)[:, 1] for n, model in learned.items()}
    last_move = trend.prices["close"].pct_change(horizon)
    answers[name_persistence(horizon)] = (last_move > 0).loc[trend.data.index]
    answers[MAJORITY] = trend.target.loc[years.development].mode()[0] == "increase"
    frame = pd.DataFrame(answers, index=trend.data.index).astype(float)
    return frame.loc[years.test]


def score(y, p_increase, horizon):
    """Score the answers of one model on the test days.

    The p-value is that of at least so many hits if each came with the frequency of the
    commoner label. Labels of neighbouring days overlap when they look several days
    ahead, so it counts every `horizon`-th day only.
    """
    said = np.where(p_increase > 0.5, "increase", "decrease")
    hits = (said == y.to_numpy())[::horizon]
    frequency = y[::horizon].value_counts(normalize=True).max()
    binomial = binomtest(int(hits.sum()), len(hits), frequency, alternative="greater")
    return {
        "accuracy": accuracy_score(y, said),
        "balanced_accuracy": balanced_accuracy_score(y, said),
        "auc": roc_auc_score(y == "increase", p_increase),
        "mcc": matthews_corrcoef(y, said),
        "p_value": binomial.pvalue,
        "said_increase": float(np.mean(said == "increase")),
        "confusion": confusion_matrix(y, said, labels=LABELS).tolist(),
    }


def compare(y, p_increase, horizon):
    """Count the days on which one network alone is right, and how likely that is.

    Were both equally good, either would be the one that is right on half of these
    days: an exact McNemar test, two-sided, on every `horizon`-th day.
    """
    said = np.where(p_increase[[DENSE, LSTM]] > 0.5, "increase", "decrease")
    dense, lstm = (said == y.to_numpy()[:, np.newaxis])[::horizon].T
    alone = {DENSE: int((dense & ~lstm).sum()), LSTM: int((lstm & ~dense).sum())}
    n = sum(alone.values())
    chance = binomtest(alone[LSTM], n).pvalue if n else 1.0
    return {"alone_right": alone, "p_value": chance}


# %%
# What would it have earned?
# --------------------------
# At each close the answer "increase" holds the stock for ``horizon`` days and
# "decrease" holds cash, which earns nothing. With a horizon of several days the money
# is split into as many parts, one following each day's answer. Whatever is bought or
# sold costs 5 basis points.


def hold(p_increase, horizon):
    """Return the share of the money in the stock after each day's close."""
    long = (p_increase > 0.5).astype(float)
    return long.rolling(horizon, min_periods=1).sum() / horizon


def trade(position, close):
    """Return what the money grows to, day by day, net of costs, starting from 1."""
    gains = close.pct_change().shift(-1).loc[position.index]
    traded = position.diff().abs().fillna(position.iloc[0])
    return (1 + position * gains - COST * traded).cumprod()


def summarize_trades(position, wealth):
    """Return the figures an investor asks for; drawdown and volatility as shares."""
    path = np.append(1.0, wealth)
    gains = path[1:] / path[:-1] - 1
    peaks = np.maximum.accumulate(path)
    return {
        "total_return": path[-1] - 1,
        "annual_return": path[-1] ** (DAYS_A_YEAR / len(gains)) - 1,
        "annual_volatility": gains.std() * np.sqrt(DAYS_A_YEAR),
        "max_drawdown": float(np.max(1 - path / peaks)),
        "turnover": float(position.diff().abs().fillna(position.iloc[0]).sum()),
        "invested": float(position.mean()),
    }


# %%
# Why did it say so?
# ------------------
# LIME draws many days near the one asked about, lets the network judge each, and fits a
# linear model to its answers. R² tells how well that describes the network there. For
# the dense network an effect tells how far an indicator moved the answer, compared with
# an average day; for the LSTM, how far the indicator on one of the days read did.
# Summed up over the test years, all days of an indicator are moved together, and then
# all indicators of a day: what the LSTM looks at, and how far back it looks.


def choose_days(y, p_increase):
    """Choose the surest answer that was right, the surest wrong, and the least sure."""
    sureness = (p_increase - 0.5).abs()
    is_right = (p_increase > 0.5) == (y == "increase")
    chosen = {"least sure": sureness.idxmin()}
    for name, days in {"surest wrong": ~is_right, "surest right": is_right}.items():
        if days.any():
            chosen[name] = sureness[days].idxmax()
    return dict(reversed(chosen.items()))


def explain_dense(network, X, years, days, seed):
    """Explain some days and, in short, all test days, by the indicators of the day."""
    ask = partial(
        lime_explain,
        network,
        background=X.loc[years.development],
        target="increase",
        random_state=seed,
    )
    summary = ask(X.loc[years.test], num_samples=FEW_DRAWS)
    return ask(X.loc[days]), {BY_INDICATOR: summary}


def explain_lstm(network, X, years, days, seed):
    """Explain some days and, in short, all test days, by the windows of days read.

    What is explained must answer each row by itself, so the windows are made first, of
    all days in their order.
    """
    windows = network[:-1].transform(X)

    def find(days):
        return windows[X.index.get_indexer(days)]

    ask = partial(
        lime_explain,
        network[-1],
        background=find(X.loc[years.development].index),
        target="increase",
        feature_names=list(X.columns),
        random_state=seed,
    )
    in_short = partial(ask, find(years.test), num_samples=FEW_DRAWS)
    return ask(find(days), row_names=days), {
        BY_INDICATOR: in_short(groups="feature"),
        BY_DAY: in_short(groups="time", n_segments=WINDOW),
    }


EXPLAINERS = {DENSE: explain_dense, LSTM: explain_lstm}


def explain(name, network, trend, years, p_increase, seed):
    """Explain the chosen days, and sum up the test days; return the numbers too."""
    chosen = choose_days(trend.target.loc[years.test], p_increase)
    with warnings.catch_warnings():
        # Of explanations that are not to be trusted: the report says which.
        warnings.filterwarnings("ignore", "The local models of", UserWarning)
        explained = EXPLAINERS[name](
            network, trend.data, years, list(chosen.values()), seed
        )
    explanation, summaries = explained
    numbers = {
        "days": [
            {"day": str(day.date()), "why": why, "actual": trend.target[day]}
            | describe_row(explanation, row)
            for row, (why, day) in enumerate(chosen.items())
        ],
        "summaries": {by: sum_up(summary) for by, summary in summaries.items()},
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


def sum_up(explanation):
    """Return the mean size of each effect, and how good the local models are."""
    sizes = np.abs(explanation.effects_).mean(axis=0)
    return {
        "mean_size": dict(zip(explanation.unit_names_, sizes.tolist(), strict=True)),
        "median_r2": float(np.median(explanation.r2_)),
        "days_below_half": int((explanation.r2_ < 0.5).sum()),
        "median_stability": float(np.median(explanation.stability_)),
    }


# %%
# What do the mistakes cost?
# --------------------------
# A broker may lose more by an "increase" that turns out a decrease than by an increase
# that was missed: ``alpha`` times as much. Then "increase" pays from a probability of
# alpha / (1 + alpha) on. Each network is wrapped in a ``CostSensitiveClassifier``, with
# one strategy after the other. What a strategy has to choose it chooses in folds of the
# development years, each asked about days after those it learned from; the network
# inside stops early by the last block of its days, as before. The test years only tell
# what the decisions cost.


def plan_folds(target, horizon):
    """Return the splitter of the development years, or refuse too few of them.

    Where there are few days there are fewer folds: the first is to leave a network a
    whole batch when the gaps and the days of its early stopping are taken.
    """
    fewest = FEWEST_IN_FOLD + 3 * horizon
    n_folds = min(N_FOLDS, len(target) // fewest - 1)
    if n_folds < 2:
        raise ValueError(
            f"--alpha, as --tune, learns from two folds or more and needs {3 * fewest} "
            f"days before the test years, got {len(target)}: take more prices, or look "
            f"less far ahead than horizon={horizon} days."
        )
    folds = PurgedTimeSeriesSplit(n_folds, purge=horizon)
    for train, _ in folds.split(target):
        check_part(target.iloc[train], "training in a fold", horizon)
    return folds


def fit_rules(names, trend, years, options):
    """Fit each network with each strategy; return the fitted rules by name."""
    X, y = trend.data.loc[years.development], trend.target.loc[years.development]
    training = plan_training(years, len(X), options.horizon, options.seed)
    folds, rules = plan_folds(y, options.horizon), {}
    for name in names:
        for strategy in STRATEGIES:
            print(
                f"{name}: strategy {strategy!r} at alpha={options.alpha:g}", flush=True
            )
            rules[name, strategy] = CostSensitiveClassifier(
                MAKERS[name](training),
                options.alpha,
                strategy=strategy,
                pos_label="increase",
                cv=folds,
                random_state=options.seed,
            ).fit(X, y)
    return rules


def decide(rules, trend, years):
    """Return what each rule says of each test day, with "never" and "always"."""
    days = trend.data.index
    said = dict(CONSTANTS)
    for (name, strategy), rule in rules.items():
        said[f"{name}, {strategy}"] = rule.predict(trend.data)
    return pd.DataFrame(said, index=days).loc[years.test]


def chance_against(cheapest, said, y, alpha, horizon):
    """Return how likely luck alone makes a rule win as often against a constant answer.

    Only days on which the two differ count. A rule must be right on a certain share of
    them to cost the same; the p-value is that of being right at least so often, by an
    exact test on every `horizon`-th day. None, if they never differ.
    """
    differs = (said != cheapest).to_numpy()[::horizon]
    right = (said == y).to_numpy()[::horizon] & differs
    share = alpha / (1 + alpha) if cheapest == "decrease" else 1 / (1 + alpha)
    n, hits = int(differs.sum()), int(right.sum())
    return binomtest(hits, n, share, alternative="greater").pvalue if n else None


def price(said, y, close, options):
    """Return what the answers of one rule cost a day, and what they would have earned.

    A missed increase costs 1. `savings` is the share that is saved of what the cheaper
    one of "never" and "always" costs.
    """
    terms = {"alpha": options.alpha, "pos_label": "increase"}
    long = (said == "increase").astype(float)
    wealth = trade(hold(long, options.horizon), close)
    return {
        "cost": expected_cost(y, said, **terms),
        "savings": savings_score(y, said, **terms),
        "days_increase": int(long.sum()),
        "days_increase_right": int(long[y == "increase"].sum()),
        "confusion": confusion_matrix(y, said, labels=LABELS).tolist(),
        "total_return": wealth.iloc[-1] - 1,
    }


def describe_rules(rules):
    """Return, by rule, what was learned in the development years."""
    in_folds = {name: rules[name, "auto"].cv_costs_["mean"] for name, _ in rules}
    constants = next(iter(in_folds.values()))
    learned = {rule: {"cost_in_folds": float(constants[rule])} for rule in CONSTANTS}
    for (name, strategy), rule in rules.items():
        cost = in_folds[name].get(strategy)
        threshold = rule.threshold_
        learned[f"{name}, {strategy}"] = {
            "network": name,
            "strategy": strategy,
            "chosen": rule.strategy_,
            "threshold": threshold if np.isfinite(threshold) else None,
            "cost_in_folds": None if cost is None else float(cost),
        }
    return learned


def weigh_mistakes(names, trend, years, days, options):
    """Return what every rule costs on the test days, and what it said."""
    rules = fit_rules(names, trend, years, options)
    decisions, y = decide(rules, trend, years), days["target"]
    learned = describe_rules(rules)
    priced = {
        rule: learned[rule] | price(decisions[rule], y, days["close"], options)
        for rule in decisions
    }
    cheapest = min(CONSTANTS, key=lambda rule: priced[rule]["cost"])
    for rule, said in decisions.items():
        priced[rule]["p_value"] = chance_against(
            CONSTANTS[cheapest], said, y, options.alpha, options.horizon
        )
    costs = {
        "alpha": options.alpha,
        "threshold": options.alpha / (1 + options.alpha),
        "n_folds": next(iter(rules.values())).cv.n_splits,
        "cheapest_constant": cheapest,
        "probabilities": {
            name: describe_given(days["p_increase"][name], y, options.alpha)
            for name in names
        },
        "rules": priced,
    }
    return costs, decisions


def describe_given(p_increase, y, alpha):
    """Return how far a network's probabilities reach, and what they are right for."""
    enough = p_increase >= alpha / (1 + alpha)
    return {
        "lowest": float(p_increase.min()),
        "highest": float(p_increase.max()),
        "days": int(enough.sum()),
        "increases": int((y[enough] == "increase").sum()),
    }


# %%
# Would other parameters do better?
# ---------------------------------
# Layers, learning rate, weight decay, dropout and batches of the dense network, tried
# by Optuna in the same folds of the development years, the network's own first. What
# counts is the log loss: near a coin toss the accuracy is mostly luck. Each network
# stops early by the last block of its days, as before. The best parameters are then
# fitted on all development years, and only now asked about the test years. (A trial of
# the LSTM takes several times as long, so it is left as it is.)


def tune(trend, years, options):
    """Search the parameters of the dense network in the development years."""
    X, y = trend.data.loc[years.development], trend.target.loc[years.development]
    training = plan_training(years, len(X), options.horizon, options.seed)
    print(f"{DENSE}: {options.tune} trials", flush=True)
    search = OptunaSearchCV(
        make_dense(training),
        n_trials=options.tune,
        scoring="neg_log_loss",
        cv=plan_folds(y, options.horizon),
        random_state=options.seed,
    )
    is_interrupted = fit(search, X, y)
    return search, is_interrupted


def describe_search(search):
    """Return what was tried, and how good the own and the best parameters are."""
    in_folds = search.cv_results_["mean_test_score"]
    states = search.cv_results_["state"].tolist()
    return {
        "trials": len(states),
        "pruned": states.count("pruned"),
        "n_folds": search.n_splits_,
        "log_loss_in_folds": {"own": -in_folds[0], "tuned": -search.best_score_},
        "parameters": {
            name: {"own": search.estimator.get_params()[name], "tuned": value}
            for name, value in search.best_params_.items()
        },
    }


def add_tuning(results, days, trend, years, options):
    """Add what a search has found to the results, the days and the verdict."""
    search, is_interrupted = tune(trend, years, options)
    if is_interrupted:
        n_done = len(search.cv_results_["params"])
        results.setdefault("interrupted", []).append(
            f"The search of parameters was interrupted by Ctrl-C after {n_done} of "
            f"{options.tune} trials."
        )
    p_increase = search.predict_proba(trend.data.loc[years.test])[:, 1]
    scores = score(days["target"], p_increase, options.horizon)
    results["tuning"] = describe_search(search) | {"test": scores}
    results["verdict"] += judge_tuning(results)
    days["tuned"] = pd.Series(p_increase, years.test)


# %%
# All together
# ------------


def describe_part(target, days):
    """Return the first and last day of a part, their number and share of increases."""
    return {
        "first": str(days[0].date()),
        "last": str(days[-1].date()),
        "days": len(days),
        "increases": float((target[days] == "increase").mean()),
    }


def describe_training(name, network):
    """Return the shape of the network and how its training went."""
    scores = network.validation_scores_
    return {
        **SHAPES[name],
        "dropout": network.dropout,
        "epochs": int(network.n_iter_),
        "best_epoch": int(np.nanargmax(scores)) + 1,
        "best_validation_accuracy": float(network.best_validation_score_),
    }


def judge_all(trend, years, networks, p_increase, horizon):
    """Return the numbers: those of the networks by name, and those of all models."""
    y, asked = trend.target.loc[years.test], networks.items()
    results = {
        "training": {name: describe_training(name, n[-1]) for name, n in asked},
        "models": {name: score(y, p_increase[name], horizon) for name in p_increase},
    }
    if len(networks) > 1:
        results["comparison"] = compare(y, p_increase, horizon)
    return results


def run(stock, trend, years, options):
    """Train, judge, trade and explain; return the numbers, the days, the networks."""
    horizon, seed = options.horizon, options.seed
    names = MODELS[options.model]
    interrupted: list = []
    networks, logistic = train(names, trend, years, horizon, seed, interrupted)
    p_increase = predict_increase(trend, years, networks, logistic, horizon)
    explained = {
        name: explain(name, network, trend, years, p_increase[name], seed)
        for name, network in networks.items()
    }

    close = trend.prices["close"]
    positions = p_increase.apply(hold, horizon=horizon)
    positions[HOLD] = 1.0
    wealth = positions.apply(trade, close=close)
    results = {
        "stock": Path(stock).stem,
        "horizon": horizon,
        "seed": seed,
        "networks": names,
        "years": {
            k: describe_part(trend.target, v) for k, v in years._asdict().items()
        },
        **judge_all(trend, years, networks, p_increase, horizon),
        "explanations": {name: numbers for name, (_, numbers) in explained.items()},
        "backtest": {n: summarize_trades(positions[n], wealth[n]) for n in wealth},
    }
    target = trend.target.loc[years.test]
    days = {
        "close": close,
        "target": target,
        "p_increase": p_increase,
        "wealth": wealth,
        "explained": {name: found for name, (found, _) in explained.items()},
    }
    results |= {"verdict": judge(results)}
    return (
        results | ({"interrupted": interrupted} if interrupted else {}),
        days,
        networks,
    )


def make_table(results):
    """Return the table of scores, one row a model, the back-test beside."""
    scores = pd.DataFrame(results["models"]).T
    columns = ["accuracy", "balanced_accuracy", "auc", "mcc", "p_value"]
    table = scores[columns].astype(float)
    returns = {n: r["total_return"] for n, r in results["backtest"].items()}
    return table.reindex(list(returns)).assign(net_return=pd.Series(returns))


def make_cost_table(costs):
    """Return the table of what the rules cost, one row a rule."""
    columns = ["cost_in_folds", "cost", "savings", "days_increase", "p_value"]
    table = pd.DataFrame(costs["rules"]).T[[*columns, "total_return"]]
    table["savings"] = table["savings"].astype(float).round(9) + 0.0  # no minus zero
    types = dict.fromkeys(table, float) | {"days_increase": int}
    return table.astype(types).rename(columns={"total_return": "net_return"})


def cost_days(decisions, y, alpha):
    """Return what each answer cost on each day."""
    false = decisions.eq("increase").mul(y == "decrease", axis=0)
    missed = decisions.eq("decrease").mul(y == "increase", axis=0)
    return alpha * false + missed


def save_days(days, path):
    """Write what was known and said of each test day."""
    frame = days["p_increase"].add_prefix("p_increase: ")
    if "tuned" in days:
        frame[f"p_increase: {DENSE}, tuned"] = days["tuned"]
    frame.insert(0, "label", days["target"])
    frame.insert(0, "close", days["close"].loc[frame.index])
    frame = frame.join(days["wealth"].add_prefix("wealth: "))
    if "decisions" in days:
        frame = frame.join(days["decisions"].add_prefix("decision: "))
        frame = frame.join(days["costs"].add_prefix("cost: "))
    frame.to_csv(path)


def check_seed(text):
    """Read a seed from the command line."""
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2^32 - 1")
    return int(text)


def check_horizon(text):
    """Read a number of days from the command line."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, 1 or more")
    return int(text)


def check_trials(text):
    """Read a number of trials from the command line."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of trials")
    return int(text)


def check_alpha(text):
    """Read what a false "increase" costs from the command line."""
    try:
        alpha = float(text)
    except ValueError:
        alpha = np.nan
    if not 0.001 <= alpha <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0.001 to 1000")
    return alpha


def add_file_options(parser):
    """Add the options of the format of a file, which the loader infers otherwise."""
    group = parser.add_argument_group("format of the file (default: inferred)")
    group.add_argument("--sep", help="the character between two fields")
    group.add_argument("--decimal", choices=[".", ","], help="the decimal mark")
    group.add_argument("--thousands", help="what groups the digits of large numbers")
    group.add_argument(
        "--dayfirst",
        action=argparse.BooleanOptionalAction,
        help="01/02/2024 is the first of February",
    )
    group.add_argument("--tz", help="the time zone of the exchange, as Asia/Tokyo")
    group.add_argument("--symbol", help="which stock of a file of several")


def get_file_options(options):
    """Return the options of `add_file_options` as `load_stock_trend` takes them."""
    names = ["sep", "decimal", "thousands", "dayfirst", "tz", "symbol"]
    return {name: getattr(options, name) for name in names}


def read_arguments(arguments=None):
    """Return the parser and the options."""
    parser = argparse.ArgumentParser(
        description="The direction of a stock's trend, forecast by neural networks."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--ticker", default="AAPL", help="AAPL, FB, GOOG, IBM or MSFT (default: AAPL)"
    )
    which.add_argument(
        "--csv",
        type=Path,
        help="your own prices: Date, Open, High, Low, Close[, Volume, Adj Close]",
    )
    add_file_options(parser)
    parser.add_argument(
        "--model",
        choices=list(MODELS),
        default="both",
        help="which networks: dense layers, an LSTM, or both (default: both)",
    )
    parser.add_argument(
        "--horizon",
        type=check_horizon,
        default=1,
        help="trading days to look ahead (default: 1)",
    )
    parser.add_argument(
        "--alpha",
        type=check_alpha,
        help="add what the mistakes cost, if an increase that turns out a decrease "
        "costs ALPHA times the opposite mistake",
    )
    parser.add_argument(
        "--tune",
        type=check_trials,
        default=0,
        metavar="N",
        help="try N sets of parameters for the dense network (default: 0, none)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/stock_trend"),
        help="folder for the report (default: out/stock_trend)",
    )
    parser.add_argument(
        "--seed", type=check_seed, default=0, help="same seed, same result (default: 0)"
    )
    return parser, parser.parse_args(arguments)


def add_costs(results, days, trend, years, options):
    """Add what the mistakes cost to the results, the days and the verdict."""
    names = results["networks"]
    results["costs"], decisions = weigh_mistakes(names, trend, years, days, options)
    results["costs"]["verdict"] = judge_costs(results)
    results["verdict"] += results["costs"]["verdict"][:1]
    days["decisions"] = decisions
    days["costs"] = cost_days(decisions, days["target"], options.alpha)


ADDITIONS = {"tune": add_tuning, "alpha": add_costs}


def add_sections(results, days, trend, years, options):
    """Add what the options ask for; Ctrl-C leaves out what is not done by then."""
    for option, add in ADDITIONS.items():
        if not getattr(options, option):
            continue
        more_results, more_days = copy.deepcopy(results), dict(days)
        try:
            add(more_results, more_days, trend, years, options)
        except KeyboardInterrupt:
            results.setdefault("interrupted", []).append(
                f"Interrupted by Ctrl-C: what --{option} adds is left out."
            )
        else:
            results |= more_results
            days |= more_days


def save(folder, results, days, networks):
    """Write the pictures, the report, the numbers and the days into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images, section = draw_all(results, days, networks), ""
    if "tuning" in results:
        section = make_tuning_section(results)
    if "costs" in results:
        found = draw_costs(results, days)
        images, section = images | found, section + make_section(results, found)
    write_report(folder, results, images, days["explained"], section)
    save_days(days, folder / "predictions.csv")
    text = json.dumps(results, indent=2)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")


def main(arguments=None):
    """Run from the command line."""
    parser, options = read_arguments(arguments)
    stock = options.csv or options.ticker
    try:
        written = get_file_options(options)
        trend = load_stock_trend(stock, horizon=options.horizon, **written)
        years = split_years(trend.target, options.horizon)
        if options.tune and DENSE not in MODELS[options.model]:
            raise ValueError("--tune tunes the dense network: not with --model lstm.")
        if options.alpha or options.tune:
            plan_folds(trend.target.loc[years.development], options.horizon)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    try:
        results, days, networks = run(stock, trend, years, options)
    except KeyboardInterrupt:
        parser.exit(130, "Interrupted by Ctrl-C: there is no report.\n")
    add_sections(results, days, trend, years, options)
    save(options.out, results, days, {n: p[-1] for n, p in networks.items()})
    write = {"float_format": "{:.3f}".format, "na_rep": ""}
    print(make_table(results).to_string(**write))
    if "costs" in results:
        print(make_cost_table(results["costs"]).to_string(**write))
    verdict = results["verdict"] + results.get("costs", {"verdict": []})["verdict"][1:]
    print(*results.get("interrupted", []), *verdict, sep="\n")
    print(f"The report: {options.out / 'report.html'}")


# %%
if __name__ == "__main__":
    main()
