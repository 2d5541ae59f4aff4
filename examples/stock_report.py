"""The report of stock_trend.py: its words, its pictures, and the page that holds them.

Every picture is drawn twice, on a light and on a dark ground; the page shows the one
its reader's screen asks for. The page is one file that needs nothing else.
"""

import base64
import html
import io

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.metrics import ConfusionMatrixDisplay

from skdeep.inspection import LossCurveDisplay

DENSE, LSTM = "Dense network", "LSTM"
LOGISTIC, MAJORITY, HOLD = "Logistic regression", "Majority class", "Buy and hold"
IN_TEXT = {DENSE: "the dense network", LSTM: "the LSTM"}
LABELS = ["decrease", "increase"]
BY_INDICATOR, BY_DAY = "by indicator", "by day"

# ----------------------------------------------------------------------------- words


def percent(share, digits=1, sign=False):
    """Write a share as a percentage, with a space that does not break."""
    return f"{100 * share:{'+' if sign else ''}.{digits}f}\u00a0%".replace("-", "−")


def write_p_value(p):
    """Write a probability, small ones as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def start_sentence(text):
    """Make the first letter a capital and leave the others."""
    return text[0].upper() + text[1:]


def judge_network(results, name):
    """Say whether a network tells the direction better than the commoner label."""
    network, majority = results["models"][name], results["models"][MAJORITY]
    subject = start_sentence(IN_TEXT[name])
    if network["accuracy"] <= majority["accuracy"]:
        return f"{subject} does not beat the majority class."
    if network["p_value"] > 0.05:
        return (
            f"{subject} is ahead of the majority class, but by no more than luck "
            "explains."
        )
    return f"{subject} beats the majority class."


def judge_direction(results):
    """Say of each network whether it beats the commoner label."""
    return " ".join(judge_network(results, name) for name in results["networks"])


def judge_hits(results):
    """Give the numbers behind the first sentences."""
    majority = results["models"][MAJORITY]
    always = LABELS[int(majority["said_increase"] > 0.5)]
    apart = results["horizon"]
    counted = "" if apart == 1 else f" (counted on one day in {apart}: labels overlap)"
    parts = []
    for name in results["networks"]:
        hits, p = (results["models"][name][key] for key in ("accuracy", "p_value"))
        parts.append(f"{IN_TEXT[name]} on {percent(hits)}, p-value {write_p_value(p)}")
    return (
        f"Right on the {results['years']['test']['days']} test days: "
        f"{'; '.join(parts)}; always saying “{always}”, the commoner label in the "
        f"years before, on {percent(majority['accuracy'])}. The p-value is how likely "
        f"luck alone brings as many hits, or more{counted}."
    )


def judge_memory(results):
    """Say what the LSTM gains by reading the days before; nothing if it is alone."""
    if "comparison" not in results:
        return []
    alone, p = results["comparison"]["alone_right"], results["comparison"]["p_value"]
    meaning = (
        "more than luck explains" if p < 0.05 else "a difference that luck explains"
    )
    apart = results["horizon"]
    counted = "" if apart == 1 else f", counting one day in {apart}"
    return [
        f"Where the two disagree{counted}, the LSTM is right on {alone[LSTM]} days and "
        f"the dense network on {alone[DENSE]} (p-value {write_p_value(p)}): {meaning}."
    ]


def judge_others(results):
    """Say which simpler rule, if any, is right more often than each network."""
    hits = {name: model["accuracy"] for name, model in results["models"].items()}
    networks = results["networks"]
    best = max(hits[name] for name in networks)
    rules = [name for name in hits if name not in (*networks, MAJORITY)]
    better = [f"“{n}” ({percent(hits[n])})" for n in rules if hits[n] > best]
    lead = "Of the rules that look at the day at all, "
    if better:
        lead += f"right more often: {' and '.join(better)}. "
    else:
        lead += "none is right more often. "
    areas = [f"{results['models'][n]['auc']:.3f} for {IN_TEXT[n]}" for n in networks]
    return f"{lead}AUC: {' and '.join(areas)}, where 0.5 is guessing."


def judge_money(results):
    """Say what following each network would have earned."""
    earned = {name: r["total_return"] for name, r in results["backtest"].items()}
    parts = [
        f"{percent(earned[name], sign=True)} with {IN_TEXT[name]}"
        for name in results["networks"]
    ]
    held = percent(earned[HOLD], sign=True)
    return (
        "Money that followed the answers over the test years would have returned, net "
        f"of costs, {' and '.join(parts)}; buying and holding, {held}."
    )


def judge(results):
    """Return the verdict in plain sentences, the most important first."""
    return [
        judge_direction(results),
        judge_hits(results),
        *judge_memory(results),
        judge_others(results),
        judge_money(results),
    ]


def judge_tuning(results):
    """Say what other parameters are worth, in the folds and on the test days."""
    tuning = results["tuning"]
    in_folds = {name: f"{v:.4f}" for name, v in tuning["log_loss_in_folds"].items()}
    hits, p = (tuning["test"][key] for key in ("accuracy", "p_value"))
    before = results["models"][DENSE]["accuracy"]
    return [
        f"Of {tuning['trials']} sets of parameters for the dense network the best has "
        f"a log loss of {in_folds['tuned']} in the development years, the own one "
        f"{in_folds['own']}. On the test days, which chose nothing, it is right on "
        f"{percent(hits)} (p-value {write_p_value(p)}), the own one on "
        f"{percent(before)}."
    ]


# -------------------------------------------------------------------------- pictures

THEMES = {
    "light": {"ground": "#ffffff", "ink": "#1c2430", "faint": "#d9dee5"},
    "dark": {"ground": "#161b22", "ink": "#dde4ec", "faint": "#39424e"},
}
COLORS = {
    "light": ["#1f6fd1", "#d2691e", "#2b8a5f", "#7b8794", "#a64ca6"],
    "dark": ["#6cb0ff", "#f2a364", "#5fd09a", "#96a3b3", "#d68ad6"],
}


ON_BLUE = {"fontsize": 14, "color": "#0b2545"}  # numbers on the blues of a matrix


def style(theme):
    """Return matplotlib's settings for a theme."""
    ground, ink, faint = THEMES[theme].values()
    colors = {"ground": ground, "ink": ink, "faint": faint}
    parts = {
        "ground": ["figure.facecolor", "axes.facecolor", "savefig.facecolor"],
        "ink": ["text.color", "axes.labelcolor", "xtick.color", "ytick.color"],
        "faint": ["axes.edgecolor", "grid.color", "legend.edgecolor"],
    }
    settings = {key: colors[part] for part, keys in parts.items() for key in keys}
    return settings | {
        "axes.prop_cycle": mpl.cycler(color=COLORS[theme]),
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "font.size": 10,
    }


def draw(picture, size):
    """Draw a picture in both themes: the bytes of two PNG files."""
    images = {}
    for theme in THEMES:
        with mpl.rc_context(style(theme)):
            figure = Figure(figsize=size, layout="constrained")
            picture(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=150)
        images[theme] = buffer.getvalue()
    return images


def draw_prices(figure, results, days):
    """The price on a logarithmic scale, with the three parts of the years."""
    ax = figure.subplots()
    ax.plot(days["close"], linewidth=1.1)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("adjusted close (log scale)")
    for number, (name, part) in enumerate(results["years"].items()):
        first, last = pd.Timestamp(part["first"]), pd.Timestamp(part["last"])
        ax.axvspan(first, last, color=f"C{number}", alpha=0.12, linewidth=0)
        middle = first + (last - first) / 2
        ax.text(
            middle,
            1.02,
            name,
            transform=ax.get_xaxis_transform(),
            ha="center",
            fontweight="bold",
            color=f"C{number}",
        )
    ax.margins(x=0.01)


def draw_confusion(figure, results):
    """What was said against what happened, for all that look at the day."""
    models = {n: m for n, m in results["models"].items() if n != MAJORITY}
    axes = figure.subplots(1, len(models), sharey=True)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        counts = np.array(model["confusion"])
        display = ConfusionMatrixDisplay(counts, display_labels=LABELS)
        display.plot(ax=ax, cmap="Blues", colorbar=False, text_kw=ON_BLUE)
        display.im_.set_clim(0, 0.8 * counts.sum())
        ax.grid(visible=False)
        ax.set(xlabel="it said", ylabel="it was", title=name)
        ax.label_outer()


def draw_backtest(figure, results, days):
    """What one unit of money grows to, net of costs."""
    ax = figure.subplots()
    wealth = days["wealth"]
    styles = {
        DENSE: {"color": "C0", "linewidth": 2.0},
        LSTM: {"color": "C4", "linewidth": 2.0},
        LOGISTIC: {"color": "C1", "linewidth": 1.2},
        HOLD: {"color": "C3", "linewidth": 1.6},
    }
    for name in wealth.columns.drop(MAJORITY):  # always all or nothing in the stock
        look = styles.get(name, {"color": "C2", "linewidth": 1.2})
        gain = percent(results["backtest"][name]["total_return"], sign=True)
        ax.plot(wealth[name], label=f"{name} {gain}", **look)
    ax.axhline(1.0, color="C3", linewidth=0.8, linestyle=":")
    ax.set_ylabel("value of 1 invested")
    ax.legend(loc="upper left")
    ax.margins(x=0.01)


def draw_losses(figure, networks):
    """How the training of each network went, one above the other."""
    axes = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    for ax, (name, network) in zip(axes, networks.items(), strict=True):
        title = f"{name}: loss and score by epoch"
        display = LossCurveDisplay.from_estimator(network, ax=ax, name=title)
        display.score_ax_.grid(visible=False)


def draw_all(results, days, networks):
    """Return every picture in both themes, by the name of its file."""
    tall = 3.2 * len(networks) + 0.4
    return {
        "prices": draw(lambda f: draw_prices(f, results, days), (8.6, 3.4)),
        "loss_curve": draw(lambda f: draw_losses(f, networks), (8.6, tall)),
        "confusion_matrix": draw(lambda f: draw_confusion(f, results), (8.6, 3.2)),
        "backtest": draw(lambda f: draw_backtest(f, results, days), (8.6, 3.6)),
    }


# ------------------------------------------------------------------------------ page

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --ink: #1c2430; --soft: #5a6675; --line: #d9dee5; --card: #f4f6f9;
  --accent: #1f6fd1; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #161b22; --ink: #dde4ec; --soft: #98a5b4; --line: #39424e; --card: #1f2630;
  --accent: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .6rem 0; }
.soft, figcaption, footer { color: var(--soft); }
.verdict { border-left: 4px solid var(--accent); background: var(--card);
  padding: .8rem 1.2rem; margin: 1.4rem 0; border-radius: 0 6px 6px 0; }
.verdict p:first-child { font-weight: 600; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: .8rem; margin: 1.4rem 0; padding: 0; list-style: none; }
.facts li { background: var(--card); border-radius: 6px; padding: .7rem .9rem; }
.facts b { display: block; font-size: 1.45rem; line-height: 1.25; }
.facts span { color: var(--soft); font-size: .86rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: right;
  border-bottom: 1px solid var(--line); }
th { font-size: .86rem; color: var(--soft); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
tr.main td { font-weight: 650; }
figure { margin: 1rem 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption, footer { font-size: .88rem; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 0 1.2rem; }
summary { cursor: pointer; color: var(--accent); margin: .8rem 0; }
code { font-size: .92em; }
main .skdeep-lime { max-width: none; padding: 0 0 .6rem; }
main .skdeep-lime .a { direction: rtl; } /* on small screens, the last days first */
main .skdeep-lime .a svg { direction: ltr; }
footer { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; }
"""

SCORES = {
    "Accuracy": ("accuracy", percent),
    "Balanced accuracy": ("balanced_accuracy", percent),
    "AUC": ("auc", "{:.3f}".format),
    "MCC": ("mcc", lambda v: f"{v:+.3f}".replace("-", "−")),
    "p-value": ("p_value", write_p_value),
    "Said “increase”": ("said_increase", lambda v: percent(v, 0)),
}
TRADES = {
    "Return": ("total_return", lambda v: percent(v, sign=True)),
    "Return a year": ("annual_return", lambda v: percent(v, sign=True)),
    "Volatility a year": ("annual_volatility", percent),
    "Deepest fall": ("max_drawdown", percent),
    "Turnover, in times the money": ("turnover", "{:.0f}".format),
    "Invested": ("invested", lambda v: percent(v, 0)),
}
GLOSSARY = {
    "return_n": "change of the price over n days",
    "volatility_n": "standard deviation of the daily returns of n days",
    "sma_distance_n": "how far the price is from its average of n days",
    "channel_60": "0 at the lowest close of 60 days, 1 at the highest",
    "bollinger_20": "−1 at the lower edge of the Bollinger band, 1 at the upper",
    "rsi_14": "relative strength index: the share of gains in the moves, 0 to 100",
    "macd_histogram": "whether a fast average draws away from a slow one",
    "gap, open_to_close": "change from the last close to the open, and on to the close",
    "day_position": "0 if the day closed at its low, 1 at its high",
    "atr_14": "average range of a day, as a share of the price",
    "stochastic_k, stochastic_d": "close within the range of 14 days, averaged over 3",
    "adx_14, direction_14": "strength of a trend, 0 to 100, and which way it goes",
    "volume_ratio_20": "volume against its average of 20 days",
    "volume_balance_20": "volume on rising days minus that on falling ones, as a share",
}


def make_table(rows, columns, first):
    """Return an HTML table of a dict of dicts, the networks' rows set off."""
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


def make_tuning_section(results):
    """Return the part of the page on the search of parameters."""
    tuning, own = results["tuning"], results["models"][DENSE]
    in_folds = tuning["log_loss_in_folds"]
    scores = {
        DENSE: own | {"log_loss": in_folds["own"]},
        "The same, tuned": tuning["test"] | {"log_loss": in_folds["tuned"]},
    }
    columns = {"Log loss in folds": ("log_loss", "{:.4f}".format)} | SCORES
    rows = {n.split("__")[-1]: tried for n, tried in tuning["parameters"].items()}
    values = {"own": ("own", write_value), "tuned": ("tuned", write_value)}
    return f"""

<h2>Would other parameters do better?</h2>
<p>{tuning["trials"]} sets of parameters were tried in {tuning["n_folds"]} folds of the
development years, each asked about days after those learned from; {tuning["pruned"]} of
them were given up early. Log loss {np.log(2):.4f} is that of always saying 50\u00a0%.
The least of many looks better than it is: the other columns are of the test days.</p>
{make_table(scores, columns, "Parameters")}
{make_table(rows, values, "Parameter")}"""


def write_value(value):
    """Write a parameter."""
    if isinstance(value, tuple | list):
        return " – ".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else html.escape(str(value))


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


def make_facts(results):
    """Return the few numbers that a hurried reader looks for."""
    networks, models = results["networks"], results["models"]
    earned = {
        name: percent(trades["total_return"], sign=True)
        for name, trades in results["backtest"].items()
    }
    facts = [
        *[
            (percent(models[n]["accuracy"]), f"of the test days right: {IN_TEXT[n]}")
            for n in networks
        ],
        (percent(models[MAJORITY]["accuracy"]), "right by always saying the same"),
        *[
            (
                earned[n],
                f"net return: {IN_TEXT[n]}; {earned[HOLD]} by holding the stock",
            )
            for n in networks
        ],
    ]
    items = "".join(
        f"<li><b>{value}</b><span>{name}</span></li>" for value, name in facts
    )
    return f'<ul class="facts">{items}</ul>'


def describe_horizon(results):
    """Return "the next trading day" or "the next n trading days"."""
    days = results["horizon"]
    return "the next trading day" if days == 1 else f"the next {days} trading days"


def describe_years(results):
    """Return a sentence on the three parts of the years."""
    parts = [
        f"{name}: {part['first']} to {part['last']}, {part['days']:,} days, "
        f"{percent(part['increases'], 0)} of them increases"
        for name, part in results["years"].items()
    ]
    return "; ".join(parts)


def describe_network(name, training):
    """Return sentences on the shape of a network, and on when its training stopped."""
    days = training["days_read"]
    what = "the day" if days == 1 else f"the last {days} days, in their order"
    layers = ", ".join(map(str, training["layers"]))
    return (
        f"{start_sentence(IN_TEXT[name])}: {layers} units, dropout "
        f"{training['dropout']:g}, reading {what}. The best of {training['epochs']} "
        f"epochs on the validation days was number {training['best_epoch']}, with "
        f"{percent(training['best_validation_accuracy'])} right; its weights were kept."
    )


def describe_training(results):
    """Return sentences on how long each network was trained and when it stopped."""
    sentences = [describe_network(*item) for item in results["training"].items()]
    return " ".join(
        [
            *sentences,
            "The best of many looks better than it is, so the test days decide and not "
            "these.",
        ]
    )


def describe_readers(results):
    """Say what each network reads."""
    reads = {
        DENSE: "A neural network of three dense layers reads technical indicators at "
        "the close of each day.",
        LSTM: "An LSTM reads technical indicators of each day and the days before.",
    }
    return " ".join(reads[name] for name in results["networks"])


def describe_day(day):
    """Say what was said of a day, how surely, and what came."""
    said = LABELS[int(day["p_increase"] > 0.5)]
    sureness = max(day["p_increase"], 1 - day["p_increase"])
    came = "right" if said == day["actual"] else f"wrong, it was {day['actual']}"
    return f"{day['day']}: {said}, {percent(sureness, 0)} sure ({came})"


def describe_units(results, name):
    """Say what an effect on an answer of a network is."""
    if results["training"][name]["days_read"] == 1:
        return (
            "An effect tells how far an indicator, compared with an average day, moved "
            "the probability of an increase."
        )
    return (
        "An effect tells how far one indicator on one of the days read moved the "
        "probability of an increase, compared with its average: t is the day of the "
        "answer, t−1 the day before. Values are in standard deviations."
    )


def describe_memory(results, name):
    """Say how much of what the network reads is recent; nothing if it reads a day."""
    summary = results["explanations"][name]["summaries"].get(BY_DAY)
    if not summary:
        return ""
    sizes = np.array(list(summary["mean_size"].values()))
    shares = sizes / sizes.sum() if sizes.any() else sizes
    return (
        f"Of the effects of the {len(sizes)} days read, {percent(shares[-1], 0)} are "
        f"those of the last day, and {percent(shares[-5:].sum(), 0)} those of the last "
        "five."
    )


def make_explanation(results, name, explained):
    """Return what moved a network's answers: on three days, and over all test days."""
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
        f"{describe_memory(results, name)}</p>{''.join(folded)}"
    )


def make_page(results, images, explained, section=""):
    """Return the whole page; `section` stands before the explanations."""
    stock = html.escape(results["stock"])
    horizon = results["horizon"]
    ahead = describe_horizon(results)
    verdict = "".join(
        f"<p><strong>{html.escape(text)}</strong></p>"
        for text in results.get("interrupted", [])
    )
    verdict += "".join(f"<p>{html.escape(text)}</p>" for text in results["verdict"])
    terms = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in GLOSSARY.items())
    overlap = (
        ""
        if horizon == 1
        else f" Labels of neighbouring days overlap, so the p-value counts "
        f"one day in {horizon} only, and the money follows {horizon} answers at a time."
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{stock}: the direction of the trend</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{stock}: will it rise over {ahead}?</h1>
<p class="soft">{describe_readers(results)} Tested on
{results["years"]["test"]["first"]} to {results["years"]["test"]["last"]}, days never
seen in training.</p>
<div class="verdict">{verdict}</div>
{make_facts(results)}

<h2>The years, in order</h2>
<p>Nothing is drawn at random: all learn from the first years, stop by the
next, and are judged on the last. Prices are adjusted for splits and dividends.</p>
{
        make_figure(
            images["prices"],
            "Adjusted price and the parts of the years",
            describe_years(results),
        )
    }

<h2>Training</h2>
{
        make_figure(
            images["loss_curve"],
            "Loss and validation score by epoch",
            describe_training(results),
        )
    }

<h2>How often it was right</h2>
{make_table(results["models"], SCORES, "On the test days")}
<p class="soft">AUC 0.5 and MCC 0 are guessing. The p-value is the probability of at
least so many hits if each came with the frequency of the commoner label.{overlap}</p>
{make_figure(images["confusion_matrix"], "Confusion matrices on the test days")}

<h2>What it would have earned</h2>
{make_figure(images["backtest"], "Value of one unit invested over the test days")}
{make_table(results["backtest"], TRADES, "Net of 5 basis points a trade")}
<p class="soft">“Increase” holds the stock, “decrease” holds cash that earns nothing;
orders are filled at the close that the answer is made from, which flatters every rule
but the last.</p>{section}

<h2>Why it said so</h2>
<p>LIME has the network judge many days near one and fits a linear model to its answers.
R² tells how well that describes the network there: below 0.5 the effects are not to be
trusted. Stability tells how far two halves of the draws agree: 1 is fully. Effects tell
how the network decides, not why the price moved.</p>
{"".join(make_explanation(results, *item) for item in explained.items())}
<details><summary>What the indicators mean</summary><dl>{terms}</dl></details>

<footer>Seed {results["seed"]}: the same command gives the same page. All numbers are
in <code>metrics.json</code>, each test day in <code>predictions.csv</code>. Past
prices; no advice.</footer>
</main>
</body>
</html>
"""


def write_report(folder, results, images, explained, section=""):
    """Write the pictures and the page into a folder."""
    for name, both in images.items():
        (folder / f"{name}.png").write_bytes(both["light"])
    page = make_page(results, images, explained, section)
    (folder / "report.html").write_text(page, encoding="utf-8")
