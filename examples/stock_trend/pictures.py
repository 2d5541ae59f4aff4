"""The pictures, each drawn on a light and on a dark background.

The page shows the one that matches the reader's color scheme.
"""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.metrics import ConfusionMatrixDisplay

from skdeep.inspection import LossCurveDisplay
from skdeep.metrics import CostCurveDisplay

from .names import ALWAYS, DENSE, HOLD, LABELS, LOGISTIC, LSTM, MAJORITY, NEVER
from .wording import IN_TEXT, find_rules, percent

DPI = 150
THEMES = {
    "light": {"ground": "#ffffff", "ink": "#1c2430", "faint": "#d9dee5"},
    "dark": {"ground": "#161b22", "ink": "#dde4ec", "faint": "#39424e"},
}
COLORS = {
    "light": ["#1f6fd1", "#d2691e", "#2b8a5f", "#7b8794", "#a64ca6"],
    "dark": ["#6cb0ff", "#f2a364", "#5fd09a", "#96a3b3", "#d68ad6"],
}
ON_BLUE = {"fontsize": 14, "color": "#0b2545"}  # numbers on the blues of a matrix
GRAY = {"color": "gray", "linewidth": 1.2}


def make_style(theme):
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
        with mpl.rc_context(make_style(theme)):
            figure = Figure(figsize=size, layout="constrained")
            picture(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
        images[theme] = buffer.getvalue()
    return images


def draw_prices(figure, results, days):
    """Draw the price on a logarithmic scale, with the three periods."""
    ax = figure.subplots()
    ax.plot(days["close"], linewidth=1.1)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("adjusted close (log scale)")
    for number, (name, part) in enumerate(results["periods"].items()):
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


def draw_matrix(ax, confusion):
    """Draw a confusion matrix."""
    counts = np.array(confusion)
    display = ConfusionMatrixDisplay(counts, display_labels=LABELS)
    display.plot(ax=ax, cmap="Blues", colorbar=False, text_kw=ON_BLUE)
    display.im_.set_clim(0, 0.8 * counts.sum())
    ax.grid(visible=False)


def draw_confusion(figure, results):
    """Draw the confusion matrices of all models but the majority class."""
    models = {n: m for n, m in results["models"].items() if n != MAJORITY}
    axes = figure.subplots(1, len(models), sharey=True)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        draw_matrix(ax, model["confusion"])
        ax.set(xlabel="predicted", ylabel="actual", title=name)
        ax.label_outer()


def draw_backtest(figure, results, days):
    """Draw what a capital of 1 grows to, after costs."""
    ax = figure.subplots()
    wealth = days["wealth"]
    styles = {
        DENSE: {"color": "C0", "linewidth": 2.0},
        LSTM: {"color": "C4", "linewidth": 2.0},
        LOGISTIC: {"color": "C1", "linewidth": 1.2},
        HOLD: {"color": "C3", "linewidth": 1.6},
    }
    for name in wealth.columns:
        look = styles.get(name, {"color": "C2", "linewidth": 1.2})
        gain = percent(results["backtest"][name]["total_return"], sign=True)
        ax.plot(wealth[name], label=f"{name} {gain}", **look)
    ax.axhline(1.0, color="C3", linewidth=0.8, linestyle=":")
    ax.set_ylabel("value of 1 invested")
    ax.legend(loc="upper left")
    ax.margins(x=0.01)


def draw_losses(figure, networks):
    """Draw the training of each network, one above the other."""
    axes = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    for ax, (name, network) in zip(axes, networks.items(), strict=True):
        title = f"{name}: loss and accuracy by epoch"
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


# -------------------------------------------------------------------- what --alpha adds


def draw_curves(figure, results, days):
    """Draw the cost by threshold and by alpha, for each network's probabilities."""
    alpha = results["costs"]["alpha"]
    prices = np.geomspace(min(0.1, alpha / 3), max(10, 3 * alpha), 101)
    left, right = figure.subplots(1, 2)
    for ax, against, at in ((left, "threshold", alpha), (right, "alpha", prices)):
        for number, name in enumerate(results["networks"]):
            CostCurveDisplay.from_predictions(
                days["target"],
                days["p_increase"][name],
                against=against,
                alpha=at,
                pos_label="increase",
                name=name,
                ax=ax,
                plot_constants=number == 0,
                curve_kwargs={"color": "C0" if number == 0 else "C4"},
            )
    right.axvline(alpha, linestyle=":", **GRAY)
    label_axes(left, right, results["costs"])
    draw_legend(figure, left, results["costs"])


def label_axes(left, right, costs):
    """Write what the two axes show."""
    left.set(title=f"At α = {costs['alpha']:g}", ylabel="cost per day")
    left.set_xlabel("threshold for “increase”")
    right.set(title="At the threshold α/(1+α)", ylabel="cost per day / (1+α)")
    right.set_xlabel("α: cost of a wrong “increase”")
    first, last = right.get_xlim()
    is_short = last < 1000 * first
    right.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5] if is_short else [1]))
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter(NullFormatter())


def draw_legend(figure, ax, costs):
    """Draw one legend for both axes below them, the networks first."""
    handles, labels = ax.get_legend_handles_labels()
    lines = dict(zip(labels, handles, strict=True))
    names = {f'"{name} positive"': f"{name} “increase”" for name in (NEVER, ALWAYS)}
    marks = [label for label in labels if label not in names and label not in IN_TEXT]
    names |= {
        m: f"α = {costs['alpha']:g}, α/(1+α) = {costs['threshold']:.3g}" for m in marks
    }
    order = [*(label for label in labels if label in IN_TEXT), *names]
    for axes in figure.axes:
        axes.get_legend().remove()
    figure.legend(
        [lines[label] for label in order],
        [names.get(label, label) for label in order],
        loc="outside lower center",
        ncols=3 if len(order) == 5 else 4,  # the networks above one another
    )


def draw_decisions(figure, results):
    """Draw the decisions against the labels: a row per network, strategies across."""
    rules = find_rules(results["costs"])
    n_rows = len(results["networks"])
    axes = figure.subplots(n_rows, len(rules) // n_rows, sharex=True, sharey=True)
    for ax, rule in zip(axes.flat, rules.values(), strict=True):
        draw_matrix(ax, rule["confusion"])
        ax.tick_params(labelsize=7.5)
        is_first = rule["network"] == results["networks"][0]
        ax.set(xlabel="predicted", ylabel=f"{rule['network']}\nactual")
        ax.set_title(rule["strategy"] if is_first else "")
        ax.label_outer()


def draw_costs(results, days):
    """Return the pictures of costs in both themes, by the name of the file."""
    tall = 1.45 * len(results["networks"]) + 0.55
    return {
        "cost_curves": draw(lambda f: draw_curves(f, results, days), (8.6, 4.0)),
        "cost_decisions": draw(lambda f: draw_decisions(f, results), (8.6, tall)),
    }
