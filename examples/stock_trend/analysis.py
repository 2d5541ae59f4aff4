"""The whole analysis: train, predict, score, trade, explain, and write the report."""

import copy
import json
import warnings
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from .backtest import hold, summarize_trades, trade
from .costs import add_costs
from .data import (
    count_rows_per_year,
    list_cautions,
    load_stock,
    name_step,
    plan_folds,
    split_days,
)
from .explanations import explain
from .models import FULL, QUICK, describe_training, predict_increase, train
from .names import DENSE, HOLD, LSTM, MAJORITY, MODELS
from .pictures import draw_all, draw_costs
from .report import make_cost_section, make_tuning_section, write_report
from .scores import compare, score
from .tuning import add_tuning
from .wording import judge

QUICK_CAUTION = (
    f"This was a quick run: the networks were trained for {QUICK.max_iter} epochs and "
    "explained roughly. Its figures show only what the report looks like."
)


def describe_period(target, days):
    """Return the first and last day, the number of days and the share of increases."""
    return {
        "first": str(days[0].date()),
        "last": str(days[-1].date()),
        "days": len(days),
        "increases": float((target[days] == "increase").mean()),
    }


@contextmanager
def handle_warnings(options):
    """Silence the warning that a quick run trains for too few epochs."""
    with warnings.catch_warnings():
        if options.quick:
            warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def prepare(options):
    """Load the prices and split the days; raise if they are too few."""
    options.effort = QUICK if options.quick else FULL
    stock = load_stock(options.source, options.horizon, **options.file_format)
    periods = split_days(stock.target, options.horizon)
    if options.alpha or options.tune:
        plan_folds(stock.target.loc[periods.development], options.horizon)
    return stock, periods


def run_backtest(stock, p_increase, horizon):
    """Return the wealth by day and the figures of each strategy.

    The majority class is left out: always in the stock, it is buy and hold; never, it
    is cash.
    """
    positions = p_increase.drop(columns=MAJORITY).apply(hold, horizon=horizon)
    positions[HOLD] = 1.0
    wealth = positions.apply(trade, close=stock.prices["close"])
    rows_per_year = count_rows_per_year(stock.prices)
    figures = {
        name: summarize_trades(positions[name], wealth[name], rows_per_year)
        for name in wealth
    }
    return wealth, figures


def run(stock, periods, options):
    """Train, score, trade and explain; return the numbers, the days, the networks."""
    names, horizon = MODELS[options.model], options.horizon
    interrupted: list = []
    networks, logistic = train(names, stock, periods, options, interrupted)
    p_increase, last = predict_increase(stock, periods, networks, logistic, horizon)
    explained = {
        name: explain(name, network, stock, periods, p_increase[name], options)
        for name, network in networks.items()
    }
    wealth, figures = run_backtest(stock, p_increase, horizon)
    y = stock.target.loc[periods.test]
    cautions = list_cautions(stock.prices) + ([QUICK_CAUTION] if options.quick else [])
    results = {
        "stock": Path(options.source).stem,
        "horizon": horizon,
        "step": name_step(stock.prices),
        "seed": options.seed,
        "networks": names,
        "cautions": cautions,
        "periods": {
            name: describe_period(stock.target, part)
            for name, part in periods._asdict().items()
        },
        "prediction": {"day": str(last.name.date()), "p_increase": last.to_dict()},
        "training": {
            n: describe_training(n, model[-1]) for n, model in networks.items()
        },
        "models": {name: score(y, p_increase[name], horizon) for name in p_increase},
        "explanations": {name: numbers for name, (_, numbers) in explained.items()},
        "backtest": figures,
    }
    if len(networks) > 1:
        results["comparison"] = compare(y, p_increase[[DENSE, LSTM]], horizon)
    if interrupted:
        results["interrupted"] = interrupted
    results["verdict"] = judge(results)
    days = {
        "close": stock.prices["close"],
        "target": y,
        "p_increase": p_increase,
        "wealth": wealth,
        "explained": {name: found for name, (found, _) in explained.items()},
    }
    return results, days, networks


ADDITIONS = {"tune": add_tuning, "alpha": add_costs}


def add_sections(results, days, stock, periods, options):
    """Add what the options ask for; Ctrl-C leaves out what is not done by then."""
    for option, add in ADDITIONS.items():
        if not getattr(options, option):
            continue
        # Ctrl-C may come halfway: work on copies, and keep them only when all is done.
        more_results, more_days = copy.deepcopy(results), dict(days)
        try:
            add(more_results, more_days, stock, periods, options)
        except KeyboardInterrupt:
            results.setdefault("interrupted", []).append(
                f"Interrupted by Ctrl-C: the results of --{option} are missing."
            )
        else:
            results |= more_results
            days |= more_days


def save_days(days, path):
    """Write the label, the predictions and the wealth of each test day."""
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


def save(folder, results, days, networks):
    """Write the pictures, the report, the numbers and the days into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fitted = {name: pipeline[-1] for name, pipeline in networks.items()}
    images, sections = draw_all(results, days, fitted), ""
    if "tuning" in results:
        sections = make_tuning_section(results)
    if "costs" in results:
        drawn = draw_costs(results, days)
        images, sections = images | drawn, sections + make_cost_section(results, drawn)
    write_report(folder, results, images, days["explained"], sections)
    save_days(days, folder / "predictions.csv")
    text = json.dumps(results, indent=2)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")


def make_score_table(results):
    """Return the table of scores, one row per model, with the back-test."""
    scores = pd.DataFrame(results["models"]).T
    columns = ["accuracy", "balanced_accuracy", "auc", "mcc", "p_value"]
    returns = {n: r["total_return"] for n, r in results["backtest"].items()}
    table = scores[columns].astype(float)
    names = [*table.index, HOLD]
    return table.reindex(names).assign(net_return=pd.Series(returns))


def make_cost_table(costs):
    """Return the table of what the rules cost, one row per rule."""
    columns = ["cost_in_folds", "cost", "savings", "days_increase", "p_value"]
    table = pd.DataFrame(costs["rules"]).T[[*columns, "total_return"]]
    # Adding 0.0 turns -0.0 into 0.0.
    table["savings"] = table["savings"].astype(float).round(9) + 0.0
    types = dict.fromkeys(table, float) | {"days_increase": int}
    return table.astype(types).rename(columns={"total_return": "net_return"})


def print_results(results):
    """Print the tables and the verdict."""
    form = {"float_format": "{:.3f}".format, "na_rep": ""}
    print(make_score_table(results).to_string(**form))
    if "costs" in results:
        print(make_cost_table(results["costs"]).to_string(**form))
    print()
    for text in [*results.get("interrupted", []), *results["cautions"]]:
        print(f"Caution: {text}")
    more = results.get("costs", {"verdict": []})["verdict"][1:]
    print(*results["verdict"], *more, sep="\n")
