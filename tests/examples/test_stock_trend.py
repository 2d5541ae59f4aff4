"""The stock demo: one small run from the command line, its numbers computed again."""

import contextlib
import io
import itertools
import json
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm, rankdata
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from stock_trend import (
    analysis,
    cli,
    costs,
    data,
    explanations,
    models,
    pictures,
    progress,
    report,
    tuning,
    wording,
)

from skdeep import TrendFeatures
from skdeep.datasets import load_stock_prices

SCRIPT = Path(__file__).parents[2] / "examples" / "stock_trend.py"
NETWORKS = ["Dense network", "LSTM"]
PICTURES = ["prices", "loss_curve", "confusion_matrix", "backtest"]
COST_PICTURES = ["cost_curves", "cost_decisions"]
MODELS = [*NETWORKS, "Logistic regression", "Same as yesterday", "Majority class"]
STRATEGIES = ["threshold", "tuned", "weighted", "direct", "auc", "auto"]
RULES = [f"{name}, {strategy}" for name in NETWORKS for strategy in STRATEGIES]
# Two years that end in a fall: enough for the folds, and quickly done.
SHORT = load_stock_prices("AAPL").iloc[-500:]
BORDER = SHORT.index.get_loc("2013-01-02")  # the first test day
PNG = {"light": b"\x89PNG light", "dark": b"\x89PNG dark"}

# A quick run trains for four epochs.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}"
)


def save(prices, path):
    prices.rename_axis("Date").to_csv(path)
    return str(path)


@pytest.fixture(scope="session", autouse=True)
def small():
    """A small LSTM and small pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "LSTM_UNITS", 8)
        patch.setattr(pictures, "DPI", 30)
        yield


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """The path of the two years of prices."""
    return save(SHORT, tmp_path_factory.mktemp("prices") / "p.csv")


@pytest.fixture(scope="session")
def changed(tmp_path_factory):
    """The path of the same prices, those of the test days shuffled."""
    prices = SHORT.copy()
    generator = np.random.default_rng(0)
    prices.iloc[BORDER:] = generator.permutation(SHORT.to_numpy()[BORDER:], axis=0)
    return save(prices, tmp_path_factory.mktemp("prices") / "q.csv")


def prepare(*arguments):
    """Return the stock, its periods and the options of a command line."""
    _, options = cli.read_options(arguments)
    stock, periods = analysis.prepare(options)
    return stock, periods, options


def run(folder, *arguments):
    cli.main(["--out", str(folder), *arguments])
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def no_pictures(monkeypatch):
    """Replace each picture by a few bytes."""
    monkeypatch.setattr(pictures, "draw", lambda picture, size: PNG)


@pytest.fixture(scope="session")
def made(short, tmp_path_factory):
    """The folder that a user finds after a run with everything, and the output."""
    folder = tmp_path_factory.mktemp("demo") / "a" / "b"
    arguments = ["--csv", short, "--quick", "--alpha", "1.2", "--tune", "3"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(folder, *arguments)
    return folder, printed.getvalue()


@pytest.fixture(scope="session")
def metrics(made):
    return json.loads((made[0] / "metrics.json").read_text())


@pytest.fixture(scope="session")
def days(made):
    return pd.read_csv(made[0] / "predictions.csv", index_col="date", parse_dates=True)


@pytest.fixture(scope="session")
def page(made):
    return (made[0] / "report.html").read_text()


def run_in_process(*arguments):
    """Return the results, days and networks of a run without a report."""
    stock, periods, options = prepare(*arguments)
    with contextlib.redirect_stdout(io.StringIO()), analysis.handle_warnings(options):
        return analysis.run(stock, periods, options)


@pytest.fixture(scope="session")
def mlp_run(short):
    """A run of the dense network alone."""
    return run_in_process("--csv", short, "--quick", "--model", "mlp")


@pytest.fixture(scope="session")
def five_days(short):
    """A run five days ahead."""
    arguments = ["--csv", short, "--quick", "--model", "mlp", "--horizon", "5"]
    return run_in_process(*arguments)


# --- what is written ------------------------------------------------------------------


@pytest.mark.slow
def test_all_files_are_written(made):
    names = {path.name for path in made[0].iterdir()}
    images = {f"{name}.png" for name in [*PICTURES, *COST_PICTURES]}
    assert names == images | {"metrics.json", "report.html", "predictions.csv"}
    for name in images:
        content = (made[0] / name).read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) > 1000


def test_the_periods_are_in_order_with_a_gap(metrics):
    dates = SHORT.index
    parts = [metrics["periods"][p] for p in ("training", "validation", "test")]
    for before, after in itertools.pairwise(parts):
        gap = dates.get_loc(after["first"]) - dates.get_loc(before["last"])
        assert gap == 2  # the day between has a label that reaches across the border
    n_features_start = 60
    assert sum(part["days"] for part in parts) == 500 - n_features_start - 1 - 2


def test_the_periods_start_at_new_years_if_near():
    stock = data.load_stock("AAPL", 1)
    periods = data.split_days(stock.target, 1)
    assert [str(part[0].year) for part in periods] == ["2000", "2009", "2011"]
    assert len(stock.indicators) == len(stock.target) + 1


def test_labels_are_those_of_the_prices(days, metrics):
    close = SHORT["close"]
    for date in days.index:
        rose = close.iloc[close.index.get_loc(date) + 1] > close[date]
        assert days["label"][date] == ("increase" if rose else "decrease")
    assert len(days) == metrics["periods"]["test"]["days"]
    np.testing.assert_allclose(days["close"], close[days.index])


def matthews(tp, fp, fn, tn):
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / np.sqrt(below) if below else 0.0


def wilson_ends(share, n):
    """Return the shares from which the observed one is 1.96 standard errors away."""
    z = norm.ppf(0.975)
    # (share - p)² = z² p (1 - p) / n, a quadratic equation in p.
    return sorted(np.roots([1 + z**2 / n, -2 * share - z**2 / n, share**2]))


@pytest.mark.parametrize("model", MODELS)
def test_scores_computed_again(metrics, days, model):
    scores = metrics["models"][model]
    up, p = days["label"] == "increase", days[f"p_increase: {model}"]
    predicted = p > 0.5
    tp, fp = (predicted & up).sum(), (predicted & ~up).sum()
    fn, tn = (~predicted & up).sum(), (~predicted & ~up).sum()
    assert scores["confusion"] == [[tn, fp], [fn, tp]]
    accuracy = (tp + tn) / len(days)
    assert scores["accuracy"] == pytest.approx(accuracy)
    ends = wilson_ends(accuracy, len(days))
    assert scores["accuracy_interval"] == pytest.approx(ends)
    recalls = tp / up.sum() + tn / (~up).sum()
    assert scores["balanced_accuracy"] == pytest.approx(recalls / 2)
    assert scores["mcc"] == pytest.approx(matthews(tp, fp, fn, tn), abs=1e-12)
    ranks = rankdata(p)[up].sum() - up.sum() * (up.sum() + 1) / 2
    assert scores["auc"] == pytest.approx(ranks / up.sum() / (~up).sum())
    chance = binom.sf(tp + tn - 1, len(days), max(up.mean(), 1 - up.mean()))
    assert scores["p_value"] == pytest.approx(chance)
    assert scores["predicted_increase"] == pytest.approx(predicted.mean())


def test_baselines_predict_what_their_names_say(days, metrics):
    rose = (SHORT["close"].diff() > 1e-9).astype(float)[days.index]
    np.testing.assert_array_equal(days["p_increase: Same as yesterday"], rose)
    assert metrics["periods"]["training"]["increases"] > 0.5
    assert (days["p_increase: Majority class"] == 1).all()
    assert metrics["models"]["Majority class"]["accuracy"] == pytest.approx(
        metrics["periods"]["test"]["increases"]
    )


@pytest.mark.parametrize("rule", [*MODELS[:-1], "Buy and hold"])
def test_backtest_computed_again_by_a_loop(metrics, days, rule):
    close = SHORT["close"]
    money, held, path = 1.0, False, []
    for date in days.index:
        wanted = rule == "Buy and hold" or days.loc[date, f"p_increase: {rule}"] > 0.5
        row = close.index.get_loc(date)
        gain = close.iloc[row + 1] / close.iloc[row] - 1 if wanted else 0.0
        money *= 1 + gain - (0.0005 if wanted != held else 0.0)
        held = wanted
        path.append(money)
    np.testing.assert_allclose(days[f"wealth: {rule}"], path)
    figures = metrics["backtest"][rule]
    assert figures["total_return"] == pytest.approx(money - 1)
    deepest = max(1 - path[i] / max([1.0, *path[: i + 1]]) for i in range(len(path)))
    assert figures["max_drawdown"] == pytest.approx(deepest)
    assert figures["annual_return"] == pytest.approx(money ** (252 / len(days)) - 1)


def test_no_baseline_is_traded_twice(metrics, made):
    assert list(metrics["backtest"]) == [*MODELS[:-1], "Buy and hold"]
    assert made[1].count("\nMajority class ") == made[1].count("\nBuy and hold ") == 1


def test_the_networks_are_compared_day_by_day(metrics, days):
    right = {
        name: (days[f"p_increase: {name}"] > 0.5) == (days["label"] == "increase")
        for name in NETWORKS
    }
    dense, lstm = right.values()
    alone = {NETWORKS[0]: sum(dense & ~lstm), NETWORKS[1]: sum(lstm & ~dense)}
    assert metrics["comparison"]["alone_right"] == alone
    fewer, n = min(alone.values()), sum(alone.values())
    chance = min(2 * binom.cdf(fewer, n, 0.5), 1.0)
    assert metrics["comparison"]["p_value"] == pytest.approx(chance)
    assert metrics["networks"] == NETWORKS == list(metrics["training"])


# --- the prediction -------------------------------------------------------------------


def test_the_last_day_of_the_file_is_predicted(mlp_run):
    results, _, networks = mlp_run
    assert results["prediction"]["day"] == str(SHORT.index[-1].date())
    indicators = TrendFeatures(context="pad").set_output(transform="pandas")
    last = indicators.fit_transform(SHORT).iloc[-1:]
    p = networks["Dense network"].predict_proba(last)[0, 1]
    assert results["prediction"]["p_increase"]["Dense network"] == pytest.approx(p)


def test_the_prediction_comes_first(metrics, made, page):
    sentence = metrics["verdict"][0]
    assert sentence.startswith("Prediction for the next trading day after 2013-03-01: ")
    for p in (metrics["prediction"]["p_increase"][name] for name in NETWORKS):
        assert f"{100 * max(p, 1 - p):.1f}\u00a0%" in sentence
        assert f"{100 * max(p, 1 - p):.0f}\u00a0%" in page
    assert sentence in made[1]
    assert f'<div class="verdict"><p>{sentence}</p>' in page


@pytest.mark.parametrize(
    ("p_increase", "words"),
    [
        ([0.6, 0.7], "increase, with a probability of 60.0\u00a0% (dense network) and"),
        ([0.4, 0.3], "decrease, with a probability of 60.0\u00a0% (dense network) and"),
        (
            [0.4, 0.7],
            "the networks disagree. The dense network predicts decrease (60.0",
        ),
        ([0.7], "increase, with a probability of 70.0\u00a0% (dense network)."),
    ],
)
def test_the_prediction_in_words(p_increase, words):
    names = NETWORKS[: len(p_increase)]
    prediction = {
        "day": "2013-03-01",
        "p_increase": dict(zip(names, p_increase, strict=True)),
    }
    results = {
        "networks": names,
        "horizon": 5,
        "step": "trading day",
        "prediction": prediction,
    }
    sentence = wording.judge_prediction(results)
    assert sentence.startswith(
        "Prediction for the next 5 trading days after 2013-03-01"
    )
    assert words in sentence


# --- cautions -------------------------------------------------------------------------


def test_weekly_prices_and_few_rows_get_a_caution():
    weekly = SHORT.iloc[::5].copy()
    weekly.index = pd.date_range("2010-01-01", periods=len(weekly), freq="W-FRI")
    spacing, few = data.list_cautions(weekly)
    assert spacing.startswith("The prices are 7 days apart.")
    assert few.startswith("The file has only 100 rows. With fewer than 250,")
    assert data.count_rows_per_year(weekly) == pytest.approx(52.18, abs=0.01)
    assert data.name_step(weekly) == "week"
    results = {"horizon": 2, "step": "week"}
    assert wording.describe_horizon(results) == "the next 2 weeks"
    assert data.list_cautions(SHORT) == []
    assert data.count_rows_per_year(SHORT) == 252
    assert data.name_step(SHORT) == "trading day"


def test_cautions_are_printed_and_in_the_report(metrics, made, page):
    (caution,) = metrics["cautions"]
    assert caution.startswith("This was a quick run")
    assert f"Caution: {caution}\n" in made[1]
    assert f'<div class="caution"><p>{caution}</p></div>' in page


# --- explanations ---------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_three_days_are_explained(metrics, days, network):
    explained = metrics["explanations"][network]["days"]
    p = days[f"p_increase: {network}"]
    right = (p > 0.5) == (days["label"] == "increase")
    confidence = (p - 0.5).abs()
    assert {day["why"]: day["day"] for day in explained} == {
        "most confident correct prediction": str(confidence[right].idxmax().date()),
        "most confident wrong prediction": str(confidence[~right].idxmax().date()),
        "least confident prediction": str(confidence.idxmin().date()),
    }
    for day in explained:
        assert day["p_increase"] == pytest.approx(p[day["day"]])
        assert day["actual"] == days["label"][day["day"]]
        assert day["r2"] <= 1 and day["stability"] <= 1
        assert day["local_prediction"] == pytest.approx(day["p_increase"], abs=0.05)
        sizes = [abs(effect["effect"]) for effect in day["effects"]]
        assert len(sizes) == 10 and sizes == sorted(sizes, reverse=True)


def test_effects_are_those_of_what_the_networks_read(metrics, short):
    stock, periods, _ = prepare("--csv", short)
    indicators = stock.indicators
    past = indicators.loc[periods.development]
    dense, lstm = (metrics["explanations"][name]["days"] for name in NETWORKS)
    for day in dense:
        row = indicators.loc[day["day"]]
        for effect in day["effects"]:
            name = effect["indicator"]
            assert effect["value"] == pytest.approx(row[name])
            unusual = (row[name] - past[name].mean()) / past[name].std(ddof=0)
            assert effect["effect"] == pytest.approx(
                effect["weight"] * unusual, rel=0.01, abs=1e-5
            )
    for day in lstm:
        place = indicators.index.get_loc(day["day"])
        for effect in day["effects"]:
            name, time = effect["indicator"].split(" ")
            value = indicators[name].iloc[place + int(time[1:] or 0)]
            scaled = (value - past[name].mean()) / past[name].std(ddof=0)
            assert effect["value"] == pytest.approx(scaled, abs=1e-5)
            assert effect["effect"] == effect["weight"]


def test_the_test_days_are_summed_up(metrics, page, short):
    stock, _, _ = prepare("--csv", short)
    for network in NETWORKS:
        summaries = metrics["explanations"][network]["summaries"]
        assert list(summaries["by indicator"]["mean_size"]) == [*stock.indicators]
        assert ("by day" in summaries) == (network == "LSTM")
    sizes = summaries["by day"]["mean_size"]
    assert list(sizes) == [*(f"t-{k}" for k in range(19, 0, -1)), "t"]
    sizes = np.array(list(sizes.values()))
    last = sizes[-1] / sizes.sum()
    assert f"read, the last day has {100 * last:.0f}\u00a0%" in page


def test_the_page_says_how_good_explanations_are(page, metrics):
    for name in NETWORKS:
        for day in metrics["explanations"][name]["days"]:
            label = "increase" if day["p_increase"] > 0.5 else "decrease"
            start = page.index(f"{day['why'].capitalize()}, {day['day']}: {label}, ")
            part = page[start : page.index("</details>", start)]
            assert f"<dd>{day['r2']:.2f}</dd>" in part
            assert f"<dd>{day['stability']:.2f}</dd>" in part
            assert f"<dd>{day['local_prediction']:.3f}</dd>" in part
        n_days = metrics["periods"]["test"]["days"]
        assert page.count(f"<summary>All {n_days} test days, by indicator") == 2


class Checkers(ClassifierMixin, BaseEstimator):
    """Predictions that no linear model describes: the squares of a chessboard."""

    def fit(self, X, y):
        self.classes_ = np.array(["decrease", "increase"])
        return self

    def predict_proba(self, X):
        p = 0.5 + 0.3 * np.sign(np.sin(5 * np.asarray(X)).prod(axis=1))
        return np.stack([1 - p, p], axis=1)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def make_days(seed=0):
    """Return a stock of 140 random days and its periods."""
    generator = np.random.default_rng(seed)
    dates = pd.bdate_range("2015-01-01", periods=140)
    rows = pd.DataFrame({"close": generator.random(140) + 1}, index=dates)
    rows["b"] = generator.normal(size=140)
    target = pd.Series(["increase", "decrease"] * 70, index=dates)
    periods = data.Periods(dates[:80], dates[81:100], dates[101:])
    return data.Stock(rows, rows, target), periods


def test_the_report_warns_of_explanations_that_do_not_fit():
    stock, periods = make_days()
    rows = np.random.default_rng(0).normal(size=(140, 2))
    rows = pd.DataFrame(rows, stock.target.index, ["a", "b"])
    stock = stock._replace(indicators=rows)
    network = Checkers().fit(stock.indicators, stock.target)
    p = network.predict_proba(stock.indicators)[:, 1]
    p = pd.Series(p, stock.target.index).loc[periods.test]
    name = "Dense network"
    _, options = cli.read_options([])
    options.effort = models.FULL
    found, numbers = explanations.explain(name, network, stock, periods, p, options)
    assert numbers["days"][0]["r2"] < 0.5
    assert numbers["summaries"]["by indicator"]["days_below_half"] > 0
    results = {"training": {name: {"days_read": 1}}, "explanations": {name: numbers}}
    page = report.make_explanation(results, name, found)
    shown, summary = page.split("<summary>All 39 test days, by indicator")
    assert shown.count("do not trust these effects") == len(numbers["days"])
    assert "do not trust their effects" in summary


# --- the page -------------------------------------------------------------------------


class Tags(HTMLParser):
    """The text of a page and what it refers to; tags have to be closed in order."""

    def __init__(self, page):
        super().__init__()
        self.sources, self.text, self.open = [], "", []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.sources += [found[k] for k in ("src", "srcset", "href") if k in found]
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_no_other_file(page, metrics, made):
    tags = Tags(page)
    images = [*PICTURES, *COST_PICTURES]
    assert len(tags.sources) == 2 * len(images)
    assert all(s.startswith("data:image/png;base64,") for s in tags.sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert page.count("prefers-color-scheme: dark") == len(images) + 1
    assert not re.search(r"\b(nan|None|inf)\b", tags.text)
    for sentence in [*metrics["verdict"], *metrics["costs"]["verdict"]]:
        assert sentence in tags.text
        assert sentence in made[1]


def test_accuracies_and_intervals_are_stated(metrics):
    direction, hits, difference = metrics["verdict"][1:4]
    for name in NETWORKS:
        scores = metrics["models"][name]
        low, high = scores["accuracy_interval"]
        assert f"{100 * scores['accuracy']:.1f}\u00a0% (95\u00a0% confidence" in hits
        assert f"interval {100 * low:.1f}–{100 * high:.1f}\u00a0%" in hits
        assert f"{metrics['comparison']['alone_right'][name]}" in difference
    majority = metrics["models"]["Majority class"]["accuracy"]
    assert f"frequent label in training, {100 * majority:.1f}\u00a0%" in hits
    assert direction.endswith("Treat the prediction as a guess.")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("hits", "chance", "words"),
    [
        (0.50, 0.600, "does not beat the baseline. Treat the prediction as a guess."),
        (0.51, 0.600, "does not beat the baseline. Treat the prediction as a guess."),
        (0.53, 0.200, "difference could be luck. Treat the prediction as a guess."),
        (0.60, 0.001, "beats the baseline."),
    ],
)
def test_the_verdict_follows_from_the_numbers(network, hits, chance, words):
    results = {
        "networks": [network],
        "models": {
            network: {"accuracy": hits, "p_value": chance},
            "Majority class": {"accuracy": 0.51, "p_value": 0.5},
        },
    }
    verdict = wording.judge_direction(results)
    assert verdict.endswith(words)
    assert verdict.startswith({"LSTM": "The LSTM"}.get(network, "The dense network"))


def test_the_verdict_on_two_networks():
    accuracy = {"Dense network": 0.5, "LSTM": 0.6, "Majority class": 0.55}
    scores = {n: {"accuracy": a, "p_value": 0.01} for n, a in accuracy.items()}
    results = {"networks": NETWORKS, "models": scores}
    assert wording.judge_direction(results) == (
        "The dense network does not beat the baseline. The LSTM beats the baseline."
    )
    scores["LSTM"]["accuracy"] = 0.5
    assert wording.judge_direction(results) == (
        "Neither network beats the baseline. Treat the prediction as a guess."
    )


@pytest.mark.parametrize(
    ("chance", "words"), [(0.2, "could be luck"), (0.01, "a significant difference")]
)
def test_a_difference_is_called_luck_unless_significant(chance, words):
    alone = {"Dense network": 7, "LSTM": 9}
    results = {"comparison": {"alone_right": alone, "p_value": chance}, "horizon": 1}
    (sentence,) = wording.judge_comparison(results)
    assert words in sentence


@pytest.mark.parametrize(
    ("yesterday", "words"),
    [
        (0.53, "Of the other baselines, “same as yesterday” (53.0\u00a0%) was right"),
        (0.51, "No other baseline was right more often. AUC: 0.500 for the LSTM"),
    ],
)
def test_better_baselines_are_named(yesterday, words):
    hits = {"LSTM": 0.52, "Same as yesterday": yesterday, "Majority class": 0.6}
    scores = {name: {"accuracy": hit, "auc": 0.5} for name, hit in hits.items()}
    sentence = wording.judge_baselines({"networks": ["LSTM"], "models": scores})
    assert sentence.startswith(words)


# --- several days ahead, one network, seeds -------------------------------------------


def test_five_days_ahead(five_days):
    results, days, _ = five_days
    close, label = SHORT["close"], days["target"]
    date = label.index[10]
    rose = close.iloc[close.index.get_loc(date) + 5] > close[date]
    assert label.iloc[10] == ("increase" if rose else "decrease")
    assert list(results["models"])[2] == "Same as the last 5 days"
    p = days["p_increase"]["Dense network"].to_numpy()
    hits = (p > 0.5) == (label == "increase").to_numpy()
    share = label[::5].value_counts(normalize=True).max()
    chance = binom.sf(hits[::5].sum() - 1, len(hits[::5]), share)
    scores = results["models"]["Dense network"]
    assert scores["p_value"] == pytest.approx(chance)
    ends = wilson_ends(hits.mean(), len(hits) / 5)
    assert scores["accuracy_interval"] == pytest.approx(ends)
    assert "counts one day in 5" in results["verdict"][2]
    # A fifth of the capital follows each of the last five predictions.
    money, before = 1.0, 0.0
    for row, day in enumerate(label.index):
        held = (p[max(row - 4, 0) : row + 1] > 0.5).sum() / 5
        place = close.index.get_loc(day)
        gain = close.iloc[place + 1] / close.iloc[place] - 1
        money *= 1 + held * gain - 0.0005 * abs(held - before)
        before = held
    figures = results["backtest"]["Dense network"]
    assert figures["total_return"] == pytest.approx(money - 1)


def test_one_network_alone_is_that_of_both(mlp_run, metrics):
    alone = json.loads(json.dumps(mlp_run[0]))
    assert list(alone["models"]) == [m for m in MODELS if m != "LSTM"]
    for part in ("training", "models", "backtest", "explanations"):
        assert alone[part]["Dense network"] == metrics[part]["Dense network"]
    assert alone["networks"] == ["Dense network"] and "comparison" not in alone
    assert "lstm" not in "".join(alone["verdict"]).lower()


def test_the_seed_decides(mlp_run, short):
    quick = ["--csv", short, "--quick", "--model", "mlp"]
    p = mlp_run[1]["p_increase"]["Dense network"]
    again = run_in_process(*quick)[1]["p_increase"]["Dense network"]
    pd.testing.assert_series_equal(p, again, check_exact=True)
    other = run_in_process(*quick, "--seed", "8")[1]["p_increase"]["Dense network"]
    assert (other != p).all()


def train_both(path):
    """Return the periods and the predictions of both networks for all days."""
    stock, periods, options = prepare("--csv", path, "--quick")
    with contextlib.redirect_stdout(io.StringIO()):
        networks, _ = models.train(NETWORKS, stock, periods, options)
    X = stock.indicators
    p = {name: model.predict_proba(X)[:, 1] for name, model in networks.items()}
    return periods, pd.DataFrame(p, X.index)


def test_the_networks_learn_nothing_from_the_test_days(short, changed):
    (periods, before), (_, after) = train_both(short), train_both(changed)
    assert periods.test[0] == SHORT.index[BORDER]
    past = periods.development
    pd.testing.assert_frame_equal(before.loc[past], after.loc[past], check_exact=True)
    assert (before.loc[periods.test[1:]] != after.loc[periods.test[1:]]).all(axis=None)


def predict_lstm(rows):
    """Return the predictions for the test days of an LSTM trained on random labels."""
    stock, periods = make_days()
    stock = stock._replace(prices=rows, indicators=rows)
    _, options = cli.read_options([])
    options.effort = models.QUICK
    with contextlib.redirect_stdout(io.StringIO()):
        networks, logistic = models.train(["LSTM"], stock, periods, options)
    found, _ = models.predict_increase(stock, periods, networks, logistic, 1)
    return found["LSTM"]


def test_windows_reach_back_across_the_border_and_never_forward():
    rows = make_days()[0].indicators
    before = predict_lstm(rows)
    # The day before the first test day is in neither period.
    changed = rows.copy()
    changed.iloc[100] += 1.0
    assert abs(predict_lstm(changed).iloc[0] - before.iloc[0]) > 1e-6
    later = rows.copy()
    later.iloc[120:] += 1.0
    after = predict_lstm(later)
    np.testing.assert_array_equal(after.iloc[:19], before.iloc[:19])
    assert (after.iloc[19:] != before.iloc[19:]).all()


# --- the command line -----------------------------------------------------------------


def test_help_does_not_load_torch():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['stock_trend.py', '--help']\n"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "try:\n"
        f"    runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "finally:\n"
        "    print({'torch', 'numpy', 'sklearn'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--ticker" in done.stdout and done.stdout.endswith("set()\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--horizon", "0"], "must be a whole number of days, at least 1, got '0'"),
        (["--horizon", "1.5"], "at least 1, got '1.5'"),
        (["--horizon", "500"], "days are left for validation, but at least 15"),
        (["--horizon", "100000"], "horizon=100000"),
        (["--alpha", "0"], "must be a number from 0.001 to 1000, got '0'"),
        (["--alpha", "-1"], "from 0.001 to 1000, got '-1'"),
        (["--alpha", "nan"], "from 0.001 to 1000, got 'nan'"),
        (["--alpha", "inf"], "from 0.001 to 1000, got 'inf'"),
        (["--alpha", "three"], "from 0.001 to 1000, got 'three'"),
        (["--alpha"], "expected one argument"),
        (["--alpha", "3", "--ticker", "FB"], "at least 309 days before the test"),
        (["--tune", "3", "--ticker", "FB"], "at least 309 days before the test"),
        (["--tune", "-1"], "must be a whole number of trials, 0 or more, got '-1'"),
        (["--tune", "all"], "0 or more, got 'all'"),
        (["--tune"], "expected one argument"),
        (["--tune", "3", "--model", "lstm"], "use --model mlp or both"),
        (["--seed", "-1"], "must be a whole number from 0 to 2^32 - 1, got '-1'"),
        (["--ticker", "NOPE"], "AAPL, FB, GOOG, IBM, MSFT"),
        (["--csv", "nowhere.csv"], "nowhere.csv"),
        (["--symbol", "FB"], "symbol='FB'"),
        (["--csv", "a.csv", "--ticker", "FB"], "not allowed with argument"),
        (["--model", "rnn"], "invalid choice: 'rnn'"),
        (["--model"], "expected one argument"),
        (["--layers", "3"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_named(capsys, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--out", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_format_of_a_file_is_passed_on():
    arguments = ["--csv", "p.csv", "--no-dayfirst", "--decimal", ",", "--symbol", "FB"]
    _, options = cli.read_options(arguments)
    named = {"dayfirst": False, "decimal": ",", "symbol": "FB"}
    rest = dict.fromkeys(["sep", "thousands", "tz"])
    assert options.file_format == named | rest
    assert options.source == Path("p.csv")


def test_prices_that_only_rise(capsys, tmp_path):
    days = pd.bdate_range("2015-01-01", periods=400, name="date")
    close = 1.01 ** np.arange(400.0)
    prices = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close"], close), days)
    path = save(prices.assign(volume=1), tmp_path / "rise.csv")
    with pytest.raises(SystemExit):
        cli.main(["--csv", path])
    assert "have the label 'increase'; both labels are" in capsys.readouterr().err


# --- progress -------------------------------------------------------------------------


def test_progress_is_printed_with_the_time_left(capsys, monkeypatch):
    now = iter([0.0, 10.0, 400.0, 500.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.show_progress("Trials", 3) as shown:
        shown.advance()
        shown.advance("the second")
        shown.advance()
    assert capsys.readouterr().out.splitlines() == [
        "Trials: 3 to do",
        "Trials: 1 of 3, about 20 s left",
        "Trials: 2 of 3 (the second), about 3 min left",
        "Trials: 3 of 3",
    ]


def test_progress_is_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress.show_progress("Trials", 2) as shown:
        shown.advance()
        shown.advance("ignored")
    printed = capsys.readouterr().out
    assert "Trials" in printed and "2/2" in printed and "left" in printed


def test_tuning_and_costs_show_their_progress(made):
    assert "Trials of the dense network: 3 of 3\n" in made[1]
    assert re.search(r"network: 1 of 3, about \d+ s left\n", made[1])
    for number, rule in enumerate(RULES, start=1):
        assert f"Cost-sensitive rules: {number} of 12 ({rule})" in made[1]


# --- what mistakes cost ---------------------------------------------------------------


def test_without_options_no_section_is_added(mlp_run):
    results, days, _ = mlp_run
    assert not {"costs", "tuning", "interrupted"} & {*results}
    images = dict.fromkeys(PICTURES, PNG)
    page = report.make_page(results, images, days["explained"])
    assert "mistakes cost" not in page and "other parameters" not in page


def test_the_additions_change_nothing_else(mlp_run, metrics):
    results = json.loads(json.dumps(mlp_run[0]))
    p = {
        name: r["prediction"]["p_increase"]
        for name, r in {"alone": results, "all": metrics}.items()
    }
    assert p["alone"].items() <= p["all"].items()
    for part in ("training", "models", "explanations", "backtest"):
        for name, value in results[part].items():
            assert metrics[part][name] == value


def test_the_rules_are_in_order(metrics):
    costs = metrics["costs"]
    assert list(costs["rules"]) == ["never", "always", *RULES]
    assert costs["alpha"] == 1.2
    assert costs["threshold"] == pytest.approx(1.2 / 2.2)
    for rule in RULES:
        name, strategy = rule.split(", ")
        assert costs["rules"][rule]["strategy"] == strategy
        assert costs["rules"][rule]["network"] == name


@pytest.mark.parametrize("rule", ["never", "always", *RULES])
def test_costs_computed_again_from_the_days(metrics, days, rule):
    found, up = metrics["costs"]["rules"][rule], days["label"] == "increase"
    decided = days[f"decision: {rule}"] == "increase"
    fp, fn = (decided & ~up).sum(), (~decided & up).sum()
    tp, n = (decided & up).sum(), decided.sum()
    assert found["confusion"] == [[(~decided & ~up).sum(), fp], [fn, tp]]
    assert (found["days_increase"], found["days_increase_right"]) == (n, tp)
    assert found["cost"] == pytest.approx((1.2 * fp + fn) / len(up))
    assert found["savings"] == pytest.approx(1 - (1.2 * fp + fn) / up.sum())
    assert days[f"cost: {rule}"].sum() == pytest.approx(1.2 * fp + fn)
    assert set(days[f"cost: {rule}"]) <= {0.0, 1.0, 1.2}
    chance = binom.sf(tp - 1, n, 1.2 / 2.2) if n else None
    assert found["p_value"] == pytest.approx(chance)


def test_the_rules_differ(metrics):
    found = {metrics["costs"]["rules"][rule]["days_increase"] for rule in RULES}
    assert len(found) > 3


@pytest.mark.parametrize("rule", ["always", "LSTM, threshold"])
def test_the_return_of_a_rule_computed_again_by_a_loop(metrics, days, rule):
    close = SHORT["close"]
    money, held = 1.0, False
    for date, decided in days[f"decision: {rule}"].items():
        row, wanted = close.index.get_loc(date), decided == "increase"
        gain = close.iloc[row + 1] / close.iloc[row] - 1 if wanted else 0.0
        money *= 1 + gain - (0.0005 if wanted != held else 0.0)
        held = wanted
    found = metrics["costs"]["rules"][rule]["total_return"]
    assert found == pytest.approx(money - 1)


def test_never_and_always_are_constant(metrics, days):
    assert (days["decision: never"] == "decrease").all()
    assert (days["decision: always"] == "increase").all()
    assert metrics["costs"]["cheapest_constant"] == "never"
    assert metrics["costs"]["rules"]["never"]["total_return"] == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_the_threshold_applies_to_the_probabilities(metrics, days, network):
    p = days[f"p_increase: {network}"]
    decided = days[f"decision: {network}, threshold"] == "increase"
    reached = p >= 1.2 / 2.2
    assert 0 < reached.sum() < len(p)
    np.testing.assert_array_equal(decided, reached)
    found = metrics["costs"]["probabilities"][network]
    assert (found["lowest"], found["highest"]) == pytest.approx((p.min(), p.max()))
    assert found["days"] == reached.sum()
    rose = reached & (days["label"] == "increase")
    assert found["increases"] == rose.sum()


def test_auto_decides_by_the_strategy_that_it_chose(metrics, days):
    network = "Dense network"
    chosen = metrics["costs"]["rules"][f"{network}, auto"]["chosen"]
    same = chosen if chosen in ("never", "always") else f"{network}, {chosen}"
    np.testing.assert_array_equal(
        days[f"decision: {network}, auto"], days[f"decision: {same}"]
    )


def test_the_cost_section_is_in_the_page(page, metrics):
    assert "What mistakes cost" in Tags(page).text
    for rule in ["never", "always", *RULES]:
        cost = metrics["costs"]["rules"][rule]["cost"]
        assert f"<td>{rule}</td><td>{cost:.3f}</td>" in page


@pytest.mark.parametrize(
    "name", ["Dense network", pytest.param("LSTM", marks=pytest.mark.nightly)]
)
def test_rules_learn_nothing_from_the_test_days(changed, metrics, name):
    stock, periods, options = prepare("--csv", changed, "--quick", "--alpha", "1.2")
    with contextlib.redirect_stdout(io.StringIO()):
        rules = costs.fit_rules([name], stock, periods, options)
    learned = json.loads(json.dumps(costs.describe_rules(rules)))
    assert [*learned] == ["never", "always", *(r for r in RULES if r.startswith(name))]
    for rule, values in learned.items():
        for key, value in values.items():
            assert metrics["costs"]["rules"][rule][key] == value


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_label_reaches_from_training_into_its_fold(horizon):
    target = pd.Series(["increase", "decrease"] * 400)
    folds = list(data.plan_folds(target, horizon).split(target))
    assert len(folds) == 4
    for train, test in folds:
        assert train.max() + horizon < test.min()


def test_few_days_make_few_folds():
    target = pd.Series(["increase", "decrease"] * 160)
    assert data.plan_folds(target, 1).n_splits == 2
    with pytest.raises(ValueError, match="at least 309 days before the test period"):
        data.plan_folds(target[:308], 1)
    with pytest.raises(ValueError, match="in a fold have the label 'decrease'"):
        data.plan_folds(pd.Series(["decrease"] * 320), 1)


@pytest.mark.parametrize(
    ("cheapest", "alpha", "horizon"),
    [("never", 0.2, 1), ("never", 3, 3), ("always", 0.2, 3), ("always", 3, 1)],
)
def test_the_p_value_counts_days_that_differ(cheapest, alpha, horizon):
    generator = np.random.default_rng(0)
    labels = np.array(["decrease", "increase"])
    y, decided = (pd.Series(labels[generator.integers(0, 2, 90)]) for _ in range(2))
    constant = {"never": "decrease", "always": "increase"}[cheapest]
    rows = range(0, 90, horizon)
    n = sum(decided[row] != constant for row in rows)
    k = sum(decided[row] != constant and decided[row] == y[row] for row in rows)
    # Right on this share of them, the rule pays as much as it saves.
    won, lost = (1, alpha) if cheapest == "never" else (alpha, 1)
    chance = binom.sf(k - 1, n, lost / (won + lost))
    assert costs.compute_p_value(constant, decided, y, alpha, horizon) == (
        pytest.approx(chance)
    )
    alike = pd.Series([constant] * 90)
    assert costs.compute_p_value(constant, alike, y, alpha, horizon) is None


def make_costs(constant, prices, chances=None):
    """Results with a rule of the LSTM for each price, the constant costing 0.5."""
    chances = chances or [0.5] * len(prices)
    rules = {
        f"LSTM, {strategy}": {
            "network": "LSTM",
            "strategy": strategy,
            "cost": price,
            "p_value": chance,
        }
        for strategy, price, chance in zip(STRATEGIES, prices, chances, strict=False)
    }
    rules = {constant: {"cost": 0.5}, **rules}
    return {"costs": {"alpha": 3.0, "cheapest_constant": constant, "rules": rules}}


@pytest.mark.parametrize("constant", ["never", "always"])
@pytest.mark.parametrize(
    ("prices", "chances", "words"),
    [
        (
            [0.5, 0.6],
            None,
            "none of 2 rules costs less than {} predicting “increase”",
        ),
        ([0.5 - 1e-12, 0.6], [None, 1.0], "none of 2 rules costs less"),
        ([0.4, 0.6], [0.01, 1.0], "1 of 2 rules costs less than {} predicting"),
        ([0.4, 0.6], [0.01, 1.0], "is significant (lowest p-value of 2 rules, "),
        ([0.4, 0.6], [0.01, 1.0], "corrected: 0.020)."),
        ([0.4, 0.3, 0.6], [0.02, 0.5, 1.0], "difference could be luck ("),
        ([0.4, 0.3, 0.6], [0.02, 0.5, 1.0], "corrected: 0.060)."),
        ([0.4, 0.3, 0.6], [0.02, 0.5, 1.0], "the LSTM with “tuned”, costs 0.300."),
    ],
)
def test_the_verdict_on_costs_follows_from_the_numbers(
    constant, prices, chances, words
):
    verdict = wording.judge_cheapest(make_costs(constant, prices, chances))
    assert words.format(constant) in verdict
    assert verdict.startswith(
        "If a wrongly predicted increase costs 3 and a missed one"
    )


@pytest.mark.parametrize(
    ("reached", "words"),
    [
        ((0, 0), "never reached it (66.0\xa0% at most)"),
        ((90, 50), "always reached it (30.0\xa0% at least)"),
        ((1, 1), "reached it on 1 day, of which 1 was an increase"),
        ((20, 3), "reached it on 20 days, of which 3 were increases"),
    ],
)
def test_the_report_says_how_often_the_threshold_is_reached(reached, words):
    found = dict(lowest=0.3, highest=0.66, days=reached[0], increases=reached[1])
    assert wording.describe_reach(found, 90) == words


# --- other parameters -----------------------------------------------------------------


def test_the_default_parameters_in_the_folds_computed_again(short, metrics):
    stock, periods, options = prepare("--csv", short, "--quick")
    X, y = models.get_development(stock, periods)
    network = models.make_dense(models.plan_training(periods, len(X), options))
    folds = data.plan_folds(y, 1)
    scores = cross_val_score(network, X, y, scoring="neg_log_loss", cv=folds)
    found = metrics["tuning"]
    assert found["log_loss_in_folds"]["default"] == pytest.approx(-scores.mean())
    assert found["log_loss_in_folds"]["tuned"] <= -scores.mean()
    assert (found["trials"], found["n_folds"]) == (3, folds.n_splits)
    defaults = {name: tried["default"] for name, tried in found["parameters"].items()}
    assert defaults["network__hidden_layer_sizes"] == [64, 32, 16]
    assert defaults["network__dropout"] == 0.1


def test_the_tuned_network_is_scored_on_the_test_days(days, metrics):
    predicted = days["p_increase: Dense network, tuned"] > 0.5
    hits = (predicted == (days["label"] == "increase")).mean()
    found = metrics["tuning"]["test"]
    assert found["accuracy"] == pytest.approx(hits)
    assert found["predicted_increase"] == pytest.approx(predicted.mean())


def test_the_search_is_in_the_verdict_and_the_page(page, metrics):
    found = metrics["tuning"]
    sentence = metrics["verdict"][-2]
    assert f"log loss of {found['log_loss_in_folds']['tuned']:.4f} in cross" in sentence
    assert f"the default, {found['log_loss_in_folds']['default']:.4f}." in sentence
    assert f"accuracy of {100 * found['test']['accuracy']:.1f}" in sentence
    assert "Would other parameters do better?" in page
    assert "<td>hidden_layer_sizes</td><td>64 – 32 – 16</td>" in page
    assert wording.count_pruned(found["pruned"]) in page
    assert wording.count_pruned(1) == "1 was stopped early"


def test_the_search_learns_nothing_from_the_test_days(changed, metrics):
    stock, periods, options = prepare("--csv", changed, "--quick", "--tune", "3")
    with contextlib.redirect_stdout(io.StringIO()):
        search, _ = tuning.tune(stock, periods, options)
    found = json.loads(json.dumps(tuning.describe_search(search)))
    assert found == {key: metrics["tuning"][key] for key in found}


# --- Ctrl-C ---------------------------------------------------------------------------


class CtrlC:
    """A callback, also of the network in a Pipeline: Ctrl-C comes after an epoch."""

    max_propagation_depth = None

    def __init__(self, epoch=None, when="end"):
        self.epoch, self.when = epoch, when

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self._interrupt(context, "begin")

    def on_fit_task_end(self, estimator, context):
        self._interrupt(context, "end")

    def _interrupt(self, context, when):
        here = (context.task_name, context.task_id, when)
        if here == ("epoch", self.epoch, self.when):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ctrl_c():
    """Have SIGINT raise KeyboardInterrupt; background jobs of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(*args, **kwargs):
    signal.raise_signal(signal.SIGINT)


def test_the_report_says_that_training_was_interrupted(
    short, tmp_path, monkeypatch, capsys, no_pictures, ctrl_c
):
    monkeypatch.setattr(models, "ProgressBar", lambda: CtrlC(2))
    metrics = run(tmp_path, "--csv", short, "--quick", "--model", "mlp")
    (sentence,) = metrics["interrupted"]
    assert sentence.startswith(
        "Dense network: training was interrupted by Ctrl-C after"
    )
    assert "after epoch 3 " in sentence
    assert metrics["training"]["Dense network"]["epochs"] == 3
    assert sentence in Tags((tmp_path / "report.html").read_text()).text
    assert sentence in capsys.readouterr().out


@contextlib.contextmanager
def stopped_progress(title, total):
    """Send Ctrl-C after the second part."""
    shown = progress.PrintedLines(title, total)
    advance = shown.advance

    def stop(*args):
        advance(*args)
        if shown.done == 2:
            interrupt()

    shown.advance = stop
    yield shown


def test_the_report_says_what_was_interrupted_after_the_training(
    short, tmp_path, monkeypatch, no_pictures, ctrl_c
):
    monkeypatch.setattr(costs.CostSensitiveClassifier, "fit", interrupt)
    monkeypatch.setattr(tuning, "show_progress", stopped_progress)
    arguments = ["--csv", short, "--quick", "--model", "mlp", "--tune", "5"]
    metrics = run(tmp_path, *arguments, "--alpha", "1.2")
    assert metrics["tuning"]["trials"] == 2 and "costs" not in metrics
    search, alpha = metrics["interrupted"]
    assert "after 2 of 5 trials" in search and "results of --alpha are missing" in alpha
    text = Tags((tmp_path / "report.html").read_text()).text
    assert search in text and alpha in text


@pytest.mark.parametrize("when", ["in the first epoch", "in an explanation"])
def test_without_a_trained_network_there_is_no_report(
    short, tmp_path, monkeypatch, capsys, ctrl_c, when
):
    if when == "in an explanation":
        monkeypatch.setattr(analysis, "explain", interrupt)
        monkeypatch.setattr(models, "ProgressBar", lambda: CtrlC(1))
    else:
        monkeypatch.setattr(models, "ProgressBar", lambda: CtrlC(0, "begin"))
    arguments = ["--csv", short, "--quick", "--model", "mlp"]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*arguments, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 130
    assert "Interrupted by Ctrl-C: no report was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- with networks trained to the end -------------------------------------------------


@pytest.fixture(scope="session")
def alternating(tmp_path_factory):
    """Prices that alternate by a rule: up after two falls, down after two rises."""
    generator = np.random.default_rng(0)
    up = np.tile([True, True, False, False], 300) ^ (generator.random(1200) < 0.05)
    size = 0.01 * generator.random(1200) + 0.005
    close = 100 * np.cumprod(np.where(up, 1 + size, 1 / (1 + size)))
    days = pd.bdate_range("2015-01-01", periods=1200, name="date")
    prices = pd.DataFrame({"open": close, "close": close}, index=days)
    prices = prices.assign(high=close * 1.001, low=close * 0.999, volume=1000)
    return save(prices, tmp_path_factory.mktemp("prices") / "p.csv")


@pytest.mark.slow
def test_a_trend_that_is_there_is_found(alternating):
    results, _, _ = run_in_process("--csv", alternating, "--model", "mlp")
    scores = results["models"]["Dense network"]
    assert scores["accuracy"] > 0.8
    assert scores["p_value"] < 1e-6
    assert results["verdict"][1] == "The dense network beats the baseline."


@pytest.mark.nightly
def test_both_networks_find_a_trend_and_rules_pay(alternating, tmp_path):
    metrics = run(tmp_path, "--csv", alternating, "--alpha", "3")
    for name in NETWORKS:
        assert metrics["models"][name]["accuracy"] > 0.8
        assert metrics["models"][name]["p_value"] < 1e-6
    assert metrics["verdict"][1] == (
        "The dense network beats the baseline. The LSTM beats the baseline."
    )
    rules = metrics["costs"]["rules"]
    assert rules["Dense network, auto"]["cost"] < 0.7 * rules["never"]["cost"]
    assert rules["Dense network, auto"]["p_value"] < 1e-3
    sentence = metrics["verdict"][-1]
    assert "less than never predicting “increase”" in sentence
    assert "The difference is significant" in sentence


@pytest.mark.nightly
def test_the_same_command_writes_the_same_files(tmp_path):
    script = [sys.executable, str(SCRIPT)]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        subprocess.run([*script, "--out", folder], check=True, capture_output=True)
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name
    metrics = json.loads((folders[0] / "metrics.json").read_text())
    for network in NETWORKS:
        explained = metrics["explanations"][network]
        for day in explained["days"]:
            assert 0.5 < day["r2"] <= 1 and 0.8 < day["stability"] <= 1
        summary = explained["summaries"]["by indicator"]
        assert 0.5 < summary["median_r2"] < 1
        days = metrics["periods"]["test"]["days"]
        assert summary["days_below_half"] < 0.05 * days
    sizes = [*explained["summaries"]["by day"]["mean_size"].values()]
    assert np.argmax(sizes) == 19 and sum(sizes[-5:]) > sum(sizes[:-5])
