"""What do mistakes cost? (--alpha)

A wrongly predicted increase may cost `alpha` times as much as a missed one. Then
"increase" pays off at probabilities of at least alpha / (1 + alpha). A rule is a
network wrapped in a `CostSensitiveClassifier` with one strategy. Strategies choose
their thresholds by cross-validation on the days before the test period; early stopping
uses the last block of a network's days, as usual.
"""

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from skdeep import CostSensitiveClassifier
from skdeep.metrics import expected_cost, savings_score

from .backtest import hold, trade
from .data import plan_folds
from .models import MAKERS, get_development, plan_training
from .names import CONSTANTS, LABELS
from .progress import show_progress
from .wording import judge_costs

STRATEGIES = ["threshold", "tuned", "weighted", "direct", "auc", "auto"]


def fit_rules(names, stock, periods, options):
    """Fit each network with each strategy; return the fitted rules by name."""
    X, y = get_development(stock, periods)
    training = plan_training(periods, len(X), options)
    folds, rules = plan_folds(y, options.horizon), {}
    n_rules = len(names) * len(STRATEGIES)
    with show_progress("Cost-sensitive rules", n_rules) as progress:
        for name in names:
            for strategy in STRATEGIES:
                rules[name, strategy] = CostSensitiveClassifier(
                    MAKERS[name](training),
                    options.alpha,
                    strategy=strategy,
                    pos_label="increase",
                    cv=folds,
                    random_state=options.seed,
                ).fit(X, y)
                progress.advance(f"{name}, {strategy}")
    return rules


def decide(rules, stock, periods):
    """Return the decision of each rule on each test day, with "never" and "always"."""
    decisions = dict(CONSTANTS)
    for (name, strategy), rule in rules.items():
        decisions[f"{name}, {strategy}"] = rule.predict(stock.indicators)
    return pd.DataFrame(decisions, index=stock.indicators.index).loc[periods.test]


def compute_p_value(constant, decided, y, alpha, horizon):
    """Return the chance of beating a constant decision by luck.

    Only days on which the two differ count. A rule that is right on a certain share of
    them costs the same as the constant; the p-value is the chance of being right at
    least as often as observed, by an exact test on every `horizon`-th day. None if
    they never differ.
    """
    differs = (decided != constant).to_numpy()[::horizon]
    right = (decided == y).to_numpy()[::horizon] & differs
    share = alpha / (1 + alpha) if constant == "decrease" else 1 / (1 + alpha)
    n, hits = int(differs.sum()), int(right.sum())
    return binomtest(hits, n, share, alternative="greater").pvalue if n else None


def evaluate_rule(decided, y, close, options):
    """Return what the decisions of one rule cost per day, and what they would earn.

    A missed increase costs 1. `savings` is relative to the cheaper of "never" and
    "always".
    """
    terms = {"alpha": options.alpha, "pos_label": "increase"}
    long = (decided == "increase").astype(float)
    wealth = trade(hold(long, options.horizon), close)
    return {
        "cost": expected_cost(y, decided, **terms),
        "savings": savings_score(y, decided, **terms),
        "days_increase": int(long.sum()),
        "days_increase_right": int(long[y == "increase"].sum()),
        "confusion": confusion_matrix(y, decided, labels=LABELS).tolist(),
        "total_return": wealth.iloc[-1] - 1,
    }


def describe_rules(rules):
    """Return the strategy, threshold and cost in the folds of each rule."""
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


def summarize_probabilities(p_increase, y, alpha):
    """Return the range of the probabilities, and how many reach the threshold."""
    reached = p_increase >= alpha / (1 + alpha)
    return {
        "lowest": float(p_increase.min()),
        "highest": float(p_increase.max()),
        "days": int(reached.sum()),
        "increases": int((y[reached] == "increase").sum()),
    }


def evaluate_rules(names, stock, periods, days, options):
    """Return what every rule costs on the test days, and its decisions."""
    rules = fit_rules(names, stock, periods, options)
    decisions, y = decide(rules, stock, periods), days["target"]
    learned = describe_rules(rules)
    priced = {
        rule: learned[rule] | evaluate_rule(decisions[rule], y, days["close"], options)
        for rule in decisions
    }
    cheapest = min(CONSTANTS, key=lambda rule: priced[rule]["cost"])
    for rule, decided in decisions.items():
        priced[rule]["p_value"] = compute_p_value(
            CONSTANTS[cheapest], decided, y, options.alpha, options.horizon
        )
    costs = {
        "alpha": options.alpha,
        "threshold": options.alpha / (1 + options.alpha),
        "n_folds": next(iter(rules.values())).cv.n_splits,
        "cheapest_constant": cheapest,
        "probabilities": {
            name: summarize_probabilities(days["p_increase"][name], y, options.alpha)
            for name in names
        },
        "rules": priced,
    }
    return costs, decisions


def compute_day_costs(decisions, y, alpha):
    """Return what each decision cost on each day."""
    false = decisions.eq("increase").mul(y == "decrease", axis=0)
    missed = decisions.eq("decrease").mul(y == "increase", axis=0)
    return alpha * false + missed


def add_costs(results, days, stock, periods, options):
    """Add the cost analysis to the results, the days and the verdict."""
    names = results["networks"]
    results["costs"], decisions = evaluate_rules(names, stock, periods, days, options)
    results["costs"]["verdict"] = judge_costs(results)
    results["verdict"] += results["costs"]["verdict"][:1]
    days["decisions"] = decisions
    days["costs"] = compute_day_costs(decisions, days["target"], options.alpha)
