"""The page `report.html`: one file with all pictures and styles inside."""

import base64
import html
import math
from pathlib import Path

import numpy as np

from .names import BY_DAY, DENSE, HOLD, LSTM, MAJORITY
from .wording import (
    IN_TEXT,
    count_pruned,
    describe_horizon,
    percent,
    split_probability,
    start_sentence,
    write_interval,
    write_p_value,
)

STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")

SCORES = {
    "Accuracy": ("accuracy", percent),
    "95\u00a0% interval": ("accuracy_interval", lambda v: write_interval(v, 0)),
    "Balanced accuracy": ("balanced_accuracy", percent),
    "AUC": ("auc", "{:.3f}".format),
    "MCC": ("mcc", lambda v: f"{v:+.3f}".replace("-", "−")),
    "p\u2011value": ("p_value", write_p_value),
    "Predicted “increase”": ("predicted_increase", lambda v: percent(v, 0)),
}
TRADES = {
    "Return": ("total_return", lambda v: percent(v, sign=True)),
    "Annual return": ("annual_return", lambda v: percent(v, sign=True)),
    "Annual volatility": ("annual_volatility", percent),
    "Maximum drawdown": ("max_drawdown", percent),
    "Turnover (× capital)": ("turnover", "{:.0f}".format),
    "Invested": ("invested", lambda v: percent(v, 0)),
}
GLOSSARY = {
    "return_n": "change of the price over n days",
    "volatility_n": "standard deviation of the daily returns of n days",
    "sma_distance_n": "distance of the price from its n-day moving average",
    "channel_60": "0 at the lowest close of 60 days, 1 at the highest",
    "bollinger_20": "−1 at the lower edge of the Bollinger band, 1 at the upper",
    "rsi_14": "relative strength index: share of gains in the moves, 0 to 100",
    "macd_histogram": "whether a fast moving average draws away from a slow one",
    "gap, open_to_close": "change from the last close to the open, and from the open "
    "to the close",
    "day_position": "0 if the day closed at its low, 1 at its high",
    "atr_14": "average true range of a day, as a share of the price",
    "stochastic_k, stochastic_d": "close within the range of 14 days; its 3-day "
    "average",
    "adx_14, direction_14": "strength of a trend, 0 to 100, and its direction",
    "volume_ratio_20": "volume relative to its 20-day average",
    "volume_balance_20": "volume on rising days minus that on falling days, as a share",
}


# ------------------------------------------------------------------------------- pieces


def make_table(rows, columns, first):
    """Return an HTML table of a dict of dicts, with the networks' rows in bold."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in [first, *columns])
    body = []
    for name, values in rows.items():
        cells = "".join(
            f"<td>{form(values[key])}</td>" for key, form in columns.values()
        )
        mark = ' class="main"' if name in IN_TEXT else ""
        body.append(f"<tr{mark}><td>{html.escape(name)}</td>{cells}</tr>")
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{table}</table></div>'


def make_figure(images, alt, caption=""):
    """Return an HTML figure that holds a picture in both themes."""
    light, dark = (
        f"data:image/png;base64,{base64.b64encode(images[theme]).decode()}"
        for theme in ("light", "dark")
    )
    note = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        "<figure><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{html.escape(alt)}"></picture>{note}</figure>'
    )


def make_terms(terms):
    """Return an HTML list of terms and what they mean."""
    return "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in terms.items())


def make_paragraphs(sentences):
    """Return a paragraph for each sentence."""
    return "".join(f"<p>{html.escape(text)}</p>" for text in sentences)


def make_facts(results):
    """Return the headline numbers."""
    networks, models = results["networks"], results["models"]
    facts = []
    for name in networks:
        label, p = split_probability(results["prediction"]["p_increase"][name])
        facts.append((f"{percent(p, 0)} {label}", f"prediction of {IN_TEXT[name]}"))
    for name in networks:
        interval = write_interval(models[name]["accuracy_interval"], 0)
        facts.append(
            (
                percent(models[name]["accuracy"]),
                f"accuracy of {IN_TEXT[name]}; confidence interval {interval}",
            )
        )
    facts.append((percent(models[MAJORITY]["accuracy"]), "accuracy of the baseline"))
    earned = {
        name: percent(trades["total_return"], sign=True)
        for name, trades in results["backtest"].items()
    }
    facts += [
        (earned[n], f"return with {IN_TEXT[n]} after costs; {earned[HOLD]} by holding")
        for n in networks
    ]
    items = "".join(
        f"<li><b>{value}</b><span>{name}</span></li>" for value, name in facts
    )
    return f'<ul class="facts">{items}</ul>'


def make_cautions(results):
    """Return the box of cautions, or nothing."""
    cautions = [*results.get("interrupted", []), *results["cautions"]]
    if not cautions:
        return ""
    return f'<div class="caution">{make_paragraphs(cautions)}</div>'


# ------------------------------------------------------------------------- descriptions


def describe_periods(results):
    """Return a sentence on the three periods."""
    parts = [
        f"{name}: {part['first']} to {part['last']}, {part['days']:,} days, "
        f"{percent(part['increases'], 0)} of them increases"
        for name, part in results["periods"].items()
    ]
    return "; ".join(parts)


def describe_network(name, training):
    """Return sentences on the shape of a network and its best epoch."""
    days = training["days_read"]
    what = "the day" if days == 1 else f"the last {days} days in order"
    layers = ", ".join(map(str, training["layers"]))
    return (
        f"{start_sentence(IN_TEXT[name])}: {layers} units, dropout "
        f"{training['dropout']:g}, reads {what}. Epoch {training['best_epoch']} of "
        f"{training['epochs']} was the best on the validation days, with an accuracy "
        f"of {percent(training['best_validation_accuracy'])}; its weights were kept."
    )


def describe_training(results):
    """Return sentences on the training of each network."""
    sentences = [describe_network(*item) for item in results["training"].items()]
    return " ".join(
        [
            *sentences,
            "The best of many epochs looks better than it is, so the test days decide.",
        ]
    )


def describe_readers(results):
    """Return sentences on what each network reads."""
    reads = {
        DENSE: "A neural network of three dense layers reads technical indicators at "
        "the close of each day.",
        LSTM: "An LSTM reads technical indicators of each day and the days before it.",
    }
    return " ".join(reads[name] for name in results["networks"])


def describe_day(day):
    """Return the prediction for a day, its probability, and what happened."""
    label, p = split_probability(day["p_increase"])
    result = "correct" if label == day["actual"] else f"wrong: {day['actual']}"
    return f"{day['day']}: {label}, {percent(p, 0)} ({result})"


def describe_units(results, name):
    """Return a sentence on what an effect is."""
    if results["training"][name]["days_read"] == 1:
        return (
            "An effect is how far an indicator, compared with an average day, moved "
            "the probability of an increase."
        )
    return (
        "An effect is how far one indicator on one of the days read, compared with its "
        "average, moved the probability of an increase: t is the day of the "
        "prediction, t−1 the day before. Values are in standard deviations."
    )


def describe_recent_share(results, name):
    """Return the share of the last days in the effects, if several days are read."""
    summary = results["explanations"][name]["summaries"].get(BY_DAY)
    if not summary:
        return ""
    sizes = np.array(list(summary["mean_size"].values()))
    shares = sizes / sizes.sum() if sizes.any() else sizes
    return (
        f"Of the effects of the {len(sizes)} days read, the last day has "
        f"{percent(shares[-1], 0)}, and the last five days "
        f"{percent(shares[-5:].sum(), 0)}."
    )


def make_explanation(results, name, explained):
    """Return what moved a network's predictions: on three days and on all of them."""
    explanation, summaries = explained
    days = results["explanations"][name]["days"]
    parts = {
        f"{start_sentence(day['why'])}, {describe_day(day)}": explanation.to_html(
            row=row, full_page=False
        )
        for row, day in enumerate(days)
    }
    for by, summary in summaries.items():
        title = f"All {len(summary)} test days, {by}"
        parts[title] = summary.to_html(n_rows=0, full_page=False)
    folded = [
        f"<details{'' if 0 < number < len(days) else ' open'}>"
        f"<summary>{title}</summary>{part}</details>"
        for number, (title, part) in enumerate(parts.items())
    ]
    return (
        f"<h3>{start_sentence(IN_TEXT[name])}</h3><p>{describe_units(results, name)} "
        f"{describe_recent_share(results, name)}</p>{''.join(folded)}"
    )


# --------------------------------------------------------------------- what --tune adds


def write_parameter(value):
    """Write the value of a parameter."""
    if isinstance(value, tuple | list):
        return " – ".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else html.escape(str(value))


def make_tuning_section(results):
    """Return the part of the page on the parameter search."""
    tuning, default = results["tuning"], results["models"][DENSE]
    in_folds = tuning["log_loss_in_folds"]
    scores = {
        DENSE: default | {"log_loss": in_folds["default"]},
        f"{DENSE}, tuned": tuning["test"] | {"log_loss": in_folds["tuned"]},
    }
    columns = {"Log loss in folds": ("log_loss", "{:.4f}".format)} | SCORES
    rows = {n.split("__")[-1]: tried for n, tried in tuning["parameters"].items()}
    values = {n: (n, write_parameter) for n in ("default", "tuned")}
    return f"""

<h2>Would other parameters do better?</h2>
<p>{tuning["trials"]} sets of parameters were tried by cross-validation in
{tuning["n_folds"]} folds of the days before the test period;
{count_pruned(tuning["pruned"])}. A constant probability of 50\u00a0% has a log loss of
{math.log(2):.4f}. The best of many sets looks better than it is; the other columns are
computed on the test days.</p>
{make_table(scores, columns, "Model")}
{make_table(rows, values, "Parameter")}"""


# -------------------------------------------------------------------- what --alpha adds


def write_cost(value):
    """Write a cost; nothing if it is None."""
    return "" if value is None else f"{value:.3f}"


def write_share(share):
    """Write a share with its sign, zero without."""
    share = round(share, 3) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return percent(share, sign=share != 0)


COSTS = {
    "Cost per day": ("cost", write_cost),
    "Savings": ("savings", write_share),
    "p\u2011value": ("p_value", lambda p: "" if p is None else write_p_value(p)),
    "Predicted “increase”": ("days_increase", "{:,}".format),
    "Of these right": ("days_increase_right", "{:,}".format),
    "Return": ("total_return", write_share),
    "Cost in folds": ("cost_in_folds", write_cost),
}
STRATEGY_MEANINGS = {
    "threshold": "the network as trained; threshold α/(1+α)",
    "tuned": "the network as trained; the threshold with the lowest cost in the folds",
    "weighted": "trained with decreases weighted α times as much as increases",
    "direct": "trained on the expected cost itself",
    "auc": "trained to rank the days; the threshold with the lowest cost in the folds",
    "auto": "“tuned”, unless another strategy, never or always cost clearly less in "
    "the folds",
}


def make_cost_section(results, images):
    """Return the section of the page on what the mistakes cost."""
    costs = results["costs"]
    constant, apart = costs["cheapest_constant"], results["horizon"]
    counted = "" if apart == 1 else f" It counts one day in {apart}: labels overlap."
    curves = make_figure(
        images["cost_curves"],
        "Cost per day by threshold, and by alpha",
        "The networks as trained, on the test days. Left: the cost of every threshold. "
        "Right: every α, each at its own threshold. A network is worth using where its "
        "line is below both gray ones.",
    )
    return f"""

<h2>What mistakes cost</h2>
<p>A missed increase costs 1, a wrongly predicted increase {costs["alpha"]:g}. Six
strategies turn each network into a decision rule. They learn from the days before the
test period only, thresholds by cross-validation in {costs["n_folds"]} folds.</p>
<div class="verdict">{make_paragraphs(costs["verdict"])}</div>
{make_table(costs["rules"], COSTS, "On the test days")}
<p class="soft">Savings are relative to {constant} predicting “increase”, the cheaper
constant decision. The p-value is the chance of beating it by luck; only days on which
the rule differs from it count.{counted} The return is that of trading on the rule,
after costs of 5 basis points.</p>
<details><summary>What the strategies are</summary>
<dl>{make_terms(STRATEGY_MEANINGS)}</dl></details>
{curves}
{make_figure(images["cost_decisions"], "Confusion matrices of all rules")}"""


# --------------------------------------------------------------------------------- page


def make_page(results, images, explained, sections=""):
    """Return the whole page; `sections` come before the explanations."""
    stock = html.escape(results["stock"])
    horizon, test = results["horizon"], results["periods"]["test"]
    overlap = (
        ""
        if horizon == 1
        else f" Labels of neighboring days overlap, so the p-value counts one day in "
        f"{horizon}, the interval takes n/{horizon} days as independent, and the "
        f"capital follows {horizon} predictions at a time."
    )
    prices = make_figure(
        images["prices"], "Adjusted price and the periods", describe_periods(results)
    )
    losses = make_figure(
        images["loss_curve"], "Loss and accuracy by epoch", describe_training(results)
    )
    explanations = "".join(
        make_explanation(results, *item) for item in explained.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{stock}: will it rise?</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{stock}: will it rise over {describe_horizon(results)}?</h1>
<p class="soft">{describe_readers(results)} Tested on {test["first"]} to {test["last"]},
days never used in training.</p>
<div class="verdict">{make_paragraphs(results["verdict"])}</div>
{make_cautions(results)}
{make_facts(results)}

<h2>Three periods in order</h2>
<p>The days are not split at random: the networks learn from the first period, use the
second for early stopping, and are tested on the last. Prices are adjusted for splits
and dividends.</p>
{prices}

<h2>Training</h2>
{losses}

<h2>Accuracy</h2>
{make_table(results["models"], SCORES, "On the test days")}
<p class="soft">The interval is Wilson’s 95\u00a0% confidence interval of the accuracy.
AUC 0.5 and MCC 0 are guessing. The p-value is the chance of doing at least this well
by luck, if each day is a hit with the frequency of the more frequent label.{
        overlap
    }</p>
{make_figure(images["confusion_matrix"], "Confusion matrices on the test days")}

<h2>Back-test</h2>
{make_figure(images["backtest"], "Value of 1 invested over the test period")}
{make_table(results["backtest"], TRADES, "After costs of 5 basis points")}
<p class="soft">“Increase” holds the stock, “decrease” holds cash that earns nothing.
Orders are filled at the close that the prediction is made from, which flatters every
rule except always-holding.</p>{sections}

<h2>Why these predictions?</h2>
<p>LIME samples points around a day, gets the network’s predictions for them, and fits a
weighted linear model. R² says how well that model fits the network there; below 0.5, do
not trust the effects. Stability says how well two halves of the samples agree; 1 is
full agreement. Effects explain how the network decides, not why the price moved.</p>
{explanations}
<details><summary>What the indicators mean</summary><dl>{make_terms(GLOSSARY)}</dl>
</details>

<footer>Seed {results["seed"]}: the same command gives the same page. All numbers are
in <code>metrics.json</code>, all test days in <code>predictions.csv</code>. Not
investment advice.</footer>
</main>
</body>
</html>
"""


def write_report(folder, results, images, explained, sections=""):
    """Write the pictures and the page into a folder."""
    for name, both in images.items():
        (folder / f"{name}.png").write_bytes(both["light"])
    page = make_page(results, images, explained, sections)
    (folder / "report.html").write_text(page, encoding="utf-8")
