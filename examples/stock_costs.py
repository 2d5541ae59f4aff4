"""What the mistakes of stock_trend.py cost: the words, the pictures, and the section.

An "increase" that turns out a decrease costs alpha, an increase that was missed costs
1. A rule is a network with a strategy that turns its answers into decisions.
"""

import html

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.metrics import ConfusionMatrixDisplay
from stock_report import (
    IN_TEXT,
    LABELS,
    ON_BLUE,
    draw,
    make_figure,
    make_table,
    percent,
    write_p_value,
)

from skdeep.metrics import CostCurveDisplay

NEVER, ALWAYS = "never", "always"  # to say "increase"

# ----------------------------------------------------------------------------- words


def find_rules(costs):
    """Return the rules that a network is behind, by name."""
    return {name: r for name, r in costs["rules"].items() if "network" in r}


def find_cheaper(costs):
    """Return the rules that cost less than the cheaper one of "never" and "always"."""
    constant = costs["rules"][costs["cheapest_constant"]]["cost"]
    rules = find_rules(costs)
    return {n: rule for n, rule in rules.items() if rule["cost"] < constant - 1e-9}


def judge_cheapest(results):
    """Say whether any rule costs less than never, or always, saying "increase"."""
    costs, cheaper = results["costs"], find_cheaper(results["costs"])
    n_rules, constant = len(find_rules(costs)), costs["cheapest_constant"]
    price = costs["rules"][constant]["cost"]
    terms = f"Where a false “increase” costs {costs['alpha']:g} and a missed one 1, "
    against = f"less than {constant} saying “increase” ({price:.3f} a day)"
    if not cheaper:
        return f"{terms}none of {n_rules} rules costs {against}."
    costs_less = "costs" if len(cheaper) == 1 else "cost"
    return (
        f"{terms}{len(cheaper)} of {n_rules} rules {costs_less} {against}, by "
        f"{judge_best(cheaper, n_rules)}."
    )


def judge_best(cheaper, n_rules):
    """Name the cheapest rule, and say whether luck explains that one is so cheap.

    The best of many rules looks better than it is: the least p-value counts as many
    times as there are rules (Bonferroni's correction).
    """
    best = min(cheaper.values(), key=lambda rule: rule["cost"])
    chance = min(1.0, n_rules * min(rule["p_value"] for rule in cheaper.values()))
    amount = "more than luck explains" if chance < 0.05 else "no more than luck brings"
    return (
        f"{amount} (p-value {write_p_value(chance)} for the luckiest of {n_rules}): "
        f"the cheapest, {IN_TEXT[best['network']]} with “{best['strategy']}”, costs "
        f"{best['cost']:.3f}"
    )


def judge_threshold(results):
    """Say from which probability on "increase" pays, and who gives as much."""
    costs, n_days = results["costs"], results["years"]["test"]["days"]
    given = [
        f"{IN_TEXT[name]} {describe_given(probabilities, n_days)}"
        for name, probabilities in costs["probabilities"].items()
    ]
    text = (
        f"“Increase” pays from a probability of α/(1+α) = {percent(costs['threshold'])}"
        f" on. On the test days {'; '.join(given)}."
    )
    if not find_cheaper(costs):
        share = percent(results["years"]["training"]["increases"])
        text += (
            f" In the training years {share} of the days were increases, and indicators"
            " that tell little of tomorrow leave an honest probability near that share."
        )
    return text


def describe_given(probabilities, n_days):
    """Say on how many days a network gives an increase the probability it needs."""
    n, rose = probabilities["days"], probabilities["increases"]
    if n == 0:
        return f"never gave as much ({percent(probabilities['highest'])} at most)"
    if n == n_days:
        return f"always gave as much ({percent(probabilities['lowest'])} at least)"
    days = "1 day" if n == 1 else f"{n:,} days"
    were = "was an increase" if rose == 1 else "were increases"
    return f"gave as much on {days}, of which {rose:,} {were}"


def judge_choice(results):
    """Say what "auto" chose in the development years, and what came of it."""
    chosen = [
        f"“{rule['chosen']}” for {IN_TEXT[rule['network']]} ({rule['cost']:.3f} a day "
        "on the test days)"
        for rule in find_rules(results["costs"]).values()
        if rule["strategy"] == "auto"
    ]
    return f"By the cost in the development years, “auto” chose {' and '.join(chosen)}."


def judge_costs(results):
    """Return the verdict on costs in plain sentences, the most important first."""
    return [judge_cheapest(results), judge_threshold(results), judge_choice(results)]


# -------------------------------------------------------------------------- pictures

GREY = {"color": "grey", "linewidth": 1.2}


def draw_curves(figure, results, days):
    """What the networks' probabilities cost by threshold, and by the price alpha."""
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
    right.axvline(alpha, linestyle=":", **GREY)
    name_axes(left, right, results["costs"])
    name_lines(figure, left, results["costs"])


def name_axes(left, right, costs):
    """Write what the two axes show."""
    left.set(title=f"At α = {costs['alpha']:g}", ylabel="cost of a day")
    left.set_xlabel("“increase” from this probability on")
    right.set(title="Decided at α/(1+α)", ylabel="cost of a day / (1+α)")
    right.set_xlabel("α: cost of a false “increase”")
    first, last = right.get_xlim()
    is_short = last < 1000 * first
    right.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5] if is_short else [1]))
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter(NullFormatter())


def name_lines(figure, ax, costs):
    """Write one legend for both axes, below them, the networks first."""
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
    """What was said against what happened: a row a network, a column a strategy."""
    rules = find_rules(results["costs"])
    n_rows = len(results["networks"])
    axes = figure.subplots(n_rows, len(rules) // n_rows, sharex=True, sharey=True)
    for ax, rule in zip(axes.flat, rules.values(), strict=True):
        counts = np.array(rule["confusion"])
        display = ConfusionMatrixDisplay(counts, display_labels=LABELS)
        display.plot(ax=ax, cmap="Blues", colorbar=False, text_kw=ON_BLUE)
        display.im_.set_clim(0, 0.8 * counts.sum())
        ax.grid(visible=False)
        ax.tick_params(labelsize=7.5)
        is_first = rule["network"] == results["networks"][0]
        ax.set(xlabel="it said", ylabel=f"{rule['network']}\nit was")
        ax.set_title(rule["strategy"] if is_first else "")
        ax.label_outer()


def draw_costs(results, days):
    """Return the pictures of costs in both themes, by the name of the file."""
    tall = 1.45 * len(results["networks"]) + 0.55
    return {
        "cost_curves": draw(lambda f: draw_curves(f, results, days), (8.6, 4.0)),
        "cost_decisions": draw(lambda f: draw_decisions(f, results), (8.6, tall)),
    }


# --------------------------------------------------------------------------- section


def write_number(value):
    """Write a cost; nothing where there is none."""
    return "" if value is None else f"{value:.3f}"


def write_share(share):
    """Write a share with its sign, zero without."""
    share = round(share, 3) + 0.0  # no minus zero
    return percent(share, sign=share != 0)


COLUMNS = {
    "Cost a day": ("cost", write_number),
    "Saved": ("savings", write_share),
    "p\u2011value": ("p_value", lambda p: "" if p is None else write_p_value(p)),
    "Said “increase”": ("days_increase", "{:,}".format),
    "Right then": ("days_increase_right", "{:,}".format),
    "Return": ("total_return", write_share),
    "Cost in the folds": ("cost_in_folds", write_number),
}
MEANINGS = {
    "threshold": "the network as it is; “increase” from α/(1+α) on",
    "tuned": "the network as it is; “increase” from where it cost least in the folds",
    "weighted": "trained with decreases that weigh α times as much as increases",
    "direct": "trained on the expected cost itself",
    "auc": "trained to rank the days; “increase” from where it cost least in the folds",
    "auto": "“tuned”, unless another, never or always cost clearly less in the folds",
}


def make_section(results, images):
    """Return the section of the page on what the mistakes cost."""
    costs = results["costs"]
    verdict = "".join(f"<p>{html.escape(text)}</p>" for text in costs["verdict"])
    terms = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in MEANINGS.items())
    constant, apart = costs["cheapest_constant"], results["horizon"]
    counted = "" if apart == 1 else f" It counts one day in {apart}: labels overlap."
    return f"""

<h2>What mistakes cost</h2>
<p>An increase that was missed costs 1, an “increase” that turned out a decrease costs
{costs["alpha"]:g}. Six strategies make a rule of each network. They learn from the
development years alone, thresholds from {
        costs["n_folds"]
    } folds of them, in time order;
the test years only tell what the decisions cost.</p>
<div class="verdict">{verdict}</div>
{make_table(costs["rules"], COLUMNS, "On the test days")}
<p class="soft">Saved is a share of what it costs {constant} to say “increase”, the
cheaper of the two. Only days on which a rule says something else count for its p-value:
the probability of being right on so many of them, were it right just often enough to
cost the same.{
        counted
    } The return is that of following the rule, net of 5 basis points.</p>
<details><summary>What the strategies are</summary><dl>{terms}</dl></details>
{
        make_figure(
            images["cost_curves"],
            "Cost of a day by threshold, and by alpha",
            "The networks as they are, on the test days. Left: what each threshold "
            "would have cost. Right: every α with the threshold that belongs to it. A "
            "network is worth something where its line is below both grey ones.",
        )
    }
{make_figure(images["cost_decisions"], "Confusion matrices of all rules")}"""
