"""The demo from its command line, its numbers computed again by other means."""

import contextlib
import functools
import importlib
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
from scipy.stats import binom, rankdata
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import cross_val_score
from sklearn.utils import Bunch

from skdeep.datasets import load_stock_prices, load_stock_trend

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = ["Dense network", "LSTM"]
PICTURES = ["prices", "loss_curve", "confusion_matrix", "backtest"]
MODELS = [*NETWORKS, "Logistic regression", "As yesterday", "Majority class"]
STRATEGIES = ["threshold", "tuned", "weighted", "direct", "auc", "auto"]
RULES = [f"{name}, {strategy}" for name in NETWORKS for strategy in STRATEGIES]


@pytest.fixture(scope="module")
def demo():
    """The example as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("stock_trend")
        for name in ("stock_trend", "stock_costs", "stock_report"):
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder that a user finds after running the script, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "stock_trend.py"), "--out", folder / "a" / "b"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "a" / "b", done.stdout


@pytest.fixture(scope="module")
def metrics(made):
    return json.loads((made[0] / "metrics.json").read_text())


@pytest.fixture(scope="module")
def days(made):
    return pd.read_csv(made[0] / "predictions.csv", index_col="date", parse_dates=True)


def test_everything_lands_in_the_folder(made):
    names = {path.name for path in made[0].iterdir()}
    wanted = {f"{name}.png" for name in PICTURES}
    assert names == wanted | {"metrics.json", "report.html", "predictions.csv"}
    for name in PICTURES:
        data = (made[0] / f"{name}.png").read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 5000


def test_the_years_are_in_order_with_a_gap(metrics):
    dates = load_stock_prices("AAPL").index
    parts = [metrics["years"][p] for p in ("training", "validation", "test")]
    for before, after in itertools.pairwise(parts):
        gap = dates.get_loc(after["first"]) - dates.get_loc(before["last"])
        assert gap == 2  # one day, whose label reaches over the border, is left out
    assert [part["first"][:4] for part in parts] == ["2000", "2009", "2011"]
    assert sum(part["days"] for part in parts) == 3209 - 2


def test_labels_are_those_of_the_prices(days, metrics):
    close = load_stock_prices("AAPL")["close"]
    for date in days.index[::25]:
        rose = close.iloc[close.index.get_loc(date) + 1] > close[date]
        assert days["label"][date] == ("increase" if rose else "decrease")
    assert len(days) == metrics["years"]["test"]["days"]
    np.testing.assert_allclose(days["close"], close[days.index])


def matthews(tp, fp, fn, tn):
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / np.sqrt(below) if below else 0.0


@pytest.mark.parametrize("model", MODELS)
def test_scores_computed_again(metrics, days, model):
    scores = metrics["models"][model]
    up, p = days["label"] == "increase", days[f"p_increase: {model}"]
    said = p > 0.5
    tp, fp = (said & up).sum(), (said & ~up).sum()
    fn, tn = (~said & up).sum(), (~said & ~up).sum()
    assert scores["confusion"] == [[tn, fp], [fn, tp]]
    assert scores["accuracy"] == pytest.approx((tp + tn) / len(days))
    recalls = tp / up.sum() + tn / (~up).sum()
    assert scores["balanced_accuracy"] == pytest.approx(recalls / 2)
    assert scores["mcc"] == pytest.approx(matthews(tp, fp, fn, tn), abs=1e-12)
    ranks = rankdata(p)[up].sum() - up.sum() * (up.sum() + 1) / 2
    assert scores["auc"] == pytest.approx(ranks / up.sum() / (~up).sum())
    chance = binom.sf(tp + tn - 1, len(days), max(up.mean(), 1 - up.mean()))
    assert scores["p_value"] == pytest.approx(chance)


def test_simple_rules_are_what_they_say(days, metrics):
    close = load_stock_prices("AAPL")["close"]
    rose = (close.diff() > 1e-9).astype(float)[days.index]
    np.testing.assert_array_equal(days["p_increase: As yesterday"], rose)
    assert metrics["years"]["training"]["increases"] > 0.5
    assert (days["p_increase: Majority class"] == 1).all()
    assert metrics["models"]["Majority class"]["accuracy"] == pytest.approx(
        metrics["years"]["test"]["increases"]
    )


@pytest.mark.parametrize("rule", [*MODELS, "Buy and hold"])
def test_backtest_computed_again_by_a_loop(metrics, days, rule):
    close = load_stock_prices("AAPL")["close"]
    money, held, path = 1.0, False, []
    for date in days.index:
        wanted = rule == "Buy and hold" or days.loc[date, f"p_increase: {rule}"] > 0.5
        row = close.index.get_loc(date)
        gain = close.iloc[row + 1] / close.iloc[row] - 1 if wanted else 0.0
        money *= 1 + gain - (0.0005 if wanted != held else 0.0)
        held = wanted
        path.append(money)
    np.testing.assert_allclose(days[f"wealth: {rule}"], path)
    assert metrics["backtest"][rule]["total_return"] == pytest.approx(money - 1)
    deepest = max(1 - path[i] / max([1.0, *path[: i + 1]]) for i in range(len(path)))
    assert metrics["backtest"][rule]["max_drawdown"] == pytest.approx(deepest)


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


@pytest.mark.parametrize("network", NETWORKS)
def test_three_days_are_explained(metrics, days, network):
    explained = metrics["explanations"][network]["days"]
    p = days[f"p_increase: {network}"]
    right = (p > 0.5) == (days["label"] == "increase")
    sureness = (p - 0.5).abs()
    assert {day["why"]: day["day"] for day in explained} == {
        "surest right": str(sureness[right].idxmax().date()),
        "surest wrong": str(sureness[~right].idxmax().date()),
        "least sure": str(sureness.idxmin().date()),
    }
    for day in explained:
        assert day["p_increase"] == pytest.approx(p[day["day"]])
        assert day["actual"] == days["label"][day["day"]]
        assert 0.5 < day["r2"] <= 1 and 0.8 < day["stability"] <= 1
        assert day["local_prediction"] == pytest.approx(day["p_increase"], abs=0.05)
        sizes = [abs(effect["effect"]) for effect in day["effects"]]
        assert len(sizes) == 10 and sizes == sorted(sizes, reverse=True)


def test_effects_are_those_of_what_the_networks_read(metrics):
    indicators = load_stock_trend("AAPL").data
    past = indicators.loc[:"2010-12-30"]
    dense, lstm = (metrics["explanations"][name]["days"] for name in NETWORKS)
    for day in dense:
        row = indicators.loc[day["day"]]
        for effect in day["effects"]:
            name = effect["indicator"]
            assert effect["value"] == pytest.approx(row[name])
            unusual = (row[name] - past[name].mean()) / past[name].std()
            assert effect["effect"] == pytest.approx(
                effect["weight"] * unusual, rel=0.01, abs=1e-5
            )
    for day in lstm:
        place = indicators.index.get_loc(day["day"])
        for effect in day["effects"]:
            name, time = effect["indicator"].split(" ")
            value = indicators[name].iloc[place + int(time[1:] or 0)]
            scaled = (value - past[name].mean()) / past[name].std(ddof=0)
            assert effect["value"] == pytest.approx(scaled, abs=1e-6)
            assert effect["effect"] == effect["weight"]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_test_years_are_summed_up(metrics, network):
    summaries = metrics["explanations"][network]["summaries"]
    of_indicators = summaries["by indicator"]
    assert list(of_indicators["mean_size"]) == list(load_stock_trend("AAPL").data)
    assert 0.5 < of_indicators["median_r2"] < 1
    assert of_indicators["days_below_half"] < 0.05 * metrics["years"]["test"]["days"]
    assert ("by day" in summaries) == (network == "LSTM")


def test_what_the_lstm_reads_last_moves_it_most(made, metrics):
    sizes = metrics["explanations"]["LSTM"]["summaries"]["by day"]["mean_size"]
    assert list(sizes) == [*(f"t-{k}" for k in range(19, 0, -1)), "t"]
    sizes = np.array(list(sizes.values()))
    last = sizes[-1] / sizes.sum()
    assert sizes.argmax() == 19 and sizes[-5:].sum() > sizes[:-5].sum()
    page = (made[0] / "report.html").read_text()
    assert f"read, {100 * last:.0f}\u00a0% are those of the last day" in page


def test_the_page_says_how_good_explanations_are(made, metrics):
    page = (made[0] / "report.html").read_text()
    for name in NETWORKS:
        for day in metrics["explanations"][name]["days"]:
            said = "increase" if day["p_increase"] > 0.5 else "decrease"
            start = page.index(f"{day['why'].capitalize()}, {day['day']}: {said}, ")
            part = page[start : page.index("</details>", start)]
            assert f"<dd>{day['r2']:.2f}</dd>" in part
            assert f"<dd>{day['stability']:.2f}</dd>" in part
            assert f"<dd>{day['local_prediction']:.3f}</dd>" in part
            assert 'class="w"' not in part
        days = metrics["years"]["test"]["days"]
        assert page.count(f"<summary>All {days} test days, by indicator") == 2


@pytest.mark.parametrize("network", NETWORKS)
def test_the_words_fit_the_numbers(made, metrics, network):
    hits = metrics["models"][network]["accuracy"]
    majority = metrics["models"]["Majority class"]["accuracy"]
    verdict = metrics["verdict"]
    sentence = verdict[0].split(". ")[NETWORKS.index(network)]
    assert ("does not beat" in sentence) == (hits <= majority)
    assert f"{100 * hits:.1f}" in verdict[1] and f"{100 * majority:.1f}" in verdict[1]
    alone = metrics["comparison"]["alone_right"][network]
    assert f"{alone} " in verdict[2]
    for sentence in verdict:
        assert sentence in made[1]


class Tags(HTMLParser):
    """What a page shows and refers to."""

    def __init__(self):
        super().__init__()
        self.sources, self.text, self.open = [], "", []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.sources += [found[k] for k in ("src", "srcset", "href") if k in found]
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone(made, metrics):
    page = (made[0] / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.sources) == 2 * len(PICTURES)
    assert all(s.startswith("data:image/png;base64,") for s in tags.sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert page.count("prefers-color-scheme: dark") == len(PICTURES) + 1
    for sentence in metrics["verdict"]:
        assert sentence in tags.text
    assert not re.search(r"\bnan\b", tags.text)


# --- in this process ---------------------------------------------------------------


def run(demo, folder, *arguments):
    demo.main(["--out", str(folder), *arguments])
    return json.loads((folder / "metrics.json").read_text())


def save(prices, path):
    prices.rename_axis("Date").to_csv(path)
    return str(path)


def test_the_seed_decides(demo, tmp_path):
    first, second, other = (tmp_path / name for name in "abc")
    metrics = run(demo, first, "--ticker", "FB", "--seed", "7")
    run(demo, second, "--ticker", "FB", "--seed", "7")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    others = run(demo, other, "--ticker", "FB", "--seed", "8", "--model", "lstm")
    assert others["models"]["LSTM"] != metrics["models"]["LSTM"]


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_the_test_years_teach_nothing(demo, tmp_path, model):
    prices = load_stock_prices("IBM")
    changed = prices.copy()
    border = prices.index.get_loc("2011-01-03")
    generator = np.random.default_rng(0)
    changed.iloc[border:] = generator.permutation(prices.to_numpy()[border:], axis=0)
    files = [save(prices, tmp_path / "p.csv"), save(changed, tmp_path / "q.csv")]
    one = run(demo, tmp_path / "1", "--csv", files[0], "--model", model)
    two = run(demo, tmp_path / "2", "--csv", files[1], "--model", model)
    assert one["years"]["test"]["first"] == "2011-01-03"
    assert one["training"] == two["training"]
    assert one["models"] != two["models"]


def test_several_days_ahead(demo, tmp_path):
    arguments = ["--horizon", "5", "--ticker", "GOOG", "--model", "mlp"]
    metrics = run(demo, tmp_path, *arguments)
    days = pd.read_csv(tmp_path / "predictions.csv", index_col="date", parse_dates=True)
    close = load_stock_prices("GOOG")["close"]
    date = days.index[10]
    rose = close.iloc[close.index.get_loc(date) + 5] > close[date]
    assert days["label"].iloc[10] == ("increase" if rose else "decrease")
    assert list(metrics["models"])[2] == "As the last 5 days"
    assert "comparison" not in metrics
    p = days["p_increase: Dense network"].to_numpy()
    hits = ((p > 0.5) == (days["label"] == "increase"))[::5]
    share = days["label"][::5].value_counts(normalize=True).max()
    chance = binom.sf(hits.sum() - 1, len(hits), share)
    assert metrics["models"]["Dense network"]["p_value"] == pytest.approx(chance)
    # A fifth of the money follows each of the last five answers.
    money, before = 1.0, 0.0
    for row, day in enumerate(days.index):
        held = (p[max(row - 4, 0) : row + 1] > 0.5).sum() / 5
        place = close.index.get_loc(day)
        gain = close.iloc[place + 1] / close.iloc[place] - 1
        money *= 1 + held * gain - 0.0005 * abs(held - before)
        before = held
    assert metrics["backtest"]["Dense network"]["total_return"] == pytest.approx(
        money - 1
    )


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_one_network_alone_is_that_of_both(demo, made, metrics, tmp_path, model):
    name = {"mlp": "Dense network", "lstm": "LSTM"}[model]
    other = ({*NETWORKS} - {name}).pop()
    alone = run(demo, tmp_path, "--model", model)
    assert list(alone["models"]) == [m for m in MODELS if m != other]
    for part in ("training", "models", "backtest", "explanations"):
        assert alone[part][name] == metrics[part][name]
    assert alone["networks"] == [name] and "comparison" not in alone
    assert list(alone["explanations"]) == [name]
    assert other.lower() not in "".join(alone["verdict"]).lower()


@pytest.fixture(scope="module")
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


class Checkers(ClassifierMixin, BaseEstimator):
    """Answers that no linear model describes: the squares of a chessboard."""

    def fit(self, X, y):
        self.classes_ = np.array(["decrease", "increase"])
        return self

    def predict_proba(self, X):
        p = 0.5 + 0.3 * np.sign(np.sin(5 * np.asarray(X)).prod(axis=1))
        return np.stack([1 - p, p], axis=1)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_explanations_that_are_not_to_be_trusted_are_named(demo):
    generator = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-01", periods=140)
    rows = pd.DataFrame(generator.normal(size=(140, 2)), dates, ["a", "b"])
    target = pd.Series(["increase", "decrease"] * 70, index=dates)
    years = demo.Years(dates[:80], dates[81:100], dates[101:])
    trend = Bunch(data=rows, target=target)
    network = Checkers().fit(rows, target)
    p = pd.Series(network.predict_proba(rows)[:, 1], dates).loc[years.test]
    name = "Dense network"
    found, numbers = demo.explain(name, network, trend, years, p, 0)
    assert numbers["days"][0]["r2"] < 0.5
    assert numbers["summaries"]["by indicator"]["days_below_half"] > 0
    results = {"training": {name: {"days_read": 1}}, "explanations": {name: numbers}}
    page = sys.modules["stock_report"].make_explanation(results, name, found)
    days, summary = page.split("<summary>All 39 test days, by indicator")
    assert days.count("do not trust these effects") == len(numbers["days"])
    assert "do not trust their effects" in summary


def test_they_find_a_trend_that_is_there_and_say_so(demo, tmp_path, alternating):
    metrics = run(demo, tmp_path, "--csv", alternating)
    for name in NETWORKS:
        assert metrics["models"][name]["accuracy"] > 0.8
        assert metrics["models"][name]["p_value"] < 1e-6
    assert metrics["verdict"][0] == (
        "The dense network beats the majority class. The LSTM beats the majority class."
    )


def predict_lstm(demo, days):
    """What an LSTM that has learned the first 100 of these rows says of all."""
    target = pd.Series(["increase", "decrease"] * 70, index=days.index[:140])
    years = demo.Years(days.index[:80], days.index[81:100], days.index[101:])
    trend = Bunch(data=days, target=target.reindex(days.index), prices=days)
    networks, logistic = demo.train(["LSTM"], trend, years, 1, 0)
    return demo.predict_increase(trend, years, networks, logistic, 1)["LSTM"]


def test_windows_reach_back_across_the_border_and_never_forward(demo):
    generator = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-01", periods=140)
    rows = pd.DataFrame({"close": generator.random(140) + 1, "b": 0.0}, index=dates)
    rows["b"] = generator.normal(size=140)
    before = predict_lstm(demo, rows)
    # The day before the first test day is in neither part: its label is not known yet.
    changed = rows.copy()
    changed.iloc[100] += 1.0
    assert abs(predict_lstm(demo, changed).iloc[0] - before.iloc[0]) > 1e-6
    later = rows.copy()
    later.iloc[120:] += 1.0
    after = predict_lstm(demo, later)
    np.testing.assert_array_equal(after.iloc[:19], before.iloc[:19])
    assert (after.iloc[19:] != before.iloc[19:]).all()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("hits", "chance", "words"),
    [
        (0.50, 0.600, "does not beat the majority class."),
        (0.51, 0.600, "does not beat the majority class."),
        (0.53, 0.200, "by no more than luck explains."),
        (0.60, 0.001, "beats the majority class."),
    ],
)
def test_the_verdict_is_the_truth(demo, network, hits, chance, words):
    results = {
        "networks": [network],
        "models": {
            network: {"accuracy": hits, "p_value": chance},
            "Majority class": {"accuracy": 0.51, "p_value": 0.5},
        },
    }
    verdict = sys.modules["stock_report"].judge_direction(results)
    assert verdict.endswith(words)
    assert verdict.startswith({"LSTM": "The LSTM"}.get(network, "The dense network"))


@pytest.mark.parametrize(
    ("chance", "words"), [(0.2, "luck explains"), (0.01, "more than luck explains")]
)
def test_a_difference_is_called_luck_unless_it_is_not(demo, chance, words):
    alone = {"Dense network": 7, "LSTM": 9}
    results = {"comparison": {"alone_right": alone, "p_value": chance}, "horizon": 1}
    (sentence,) = sys.modules["stock_report"].judge_memory(results)
    assert words in sentence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--horizon", "0"], "'0' is not a number of days"),
        (["--horizon", "1.5"], "'1.5' is not a number of days"),
        (["--horizon", "500"], "days are left for validation"),
        (["--horizon", "100000"], "horizon=100000"),
        (["--alpha", "0"], "'0' is not a number from 0.001 to 1000"),
        (["--alpha", "-1"], "'-1' is not a number from 0.001 to 1000"),
        (["--alpha", "nan"], "'nan' is not a number from"),
        (["--alpha", "inf"], "'inf' is not a number from"),
        (["--alpha", "three"], "'three' is not a number from"),
        (["--alpha"], "expected one argument"),
        (["--alpha", "3", "--ticker", "FB"], "needs 309 days before the test years"),
        (["--tune", "3", "--ticker", "FB"], "needs 309 days before the test years"),
        (["--tune", "-1"], "'-1' is not a number of trials"),
        (["--tune", "all"], "'all' is not a number of trials"),
        (["--tune"], "expected one argument"),
        (["--tune", "3", "--model", "lstm"], "not with --model lstm"),
        (["--seed", "-1"], "'-1' is not a number from 0"),
        (["--ticker", "NOPE"], "AAPL, FB, GOOG, IBM, MSFT"),
        (["--csv", "nowhere.csv"], "no file 'nowhere.csv'"),
        (["--symbol", "FB"], "symbol='FB' is for files"),
        (["--csv", "a.csv", "--ticker", "FB"], "not allowed with argument"),
        (["--model", "rnn"], "invalid choice: 'rnn'"),
        (["--model"], "expected one argument"),
        (["--layers", "3"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_named(demo, capsys, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--out", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_how_a_file_is_written(demo):
    arguments = ["--csv", "p.csv", "--no-dayfirst", "--decimal", ",", "--symbol", "FB"]
    _, options = demo.read_arguments(arguments)
    given = {"dayfirst": False, "decimal": ",", "symbol": "FB"}
    rest = dict.fromkeys(["sep", "thousands", "tz"])
    assert demo.get_file_options(options) == given | rest


def test_prices_that_only_rise(demo, capsys, tmp_path):
    days = pd.bdate_range("2015-01-01", periods=400, name="date")
    close = 1.01 ** np.arange(400.0)
    prices = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close"], close), days)
    path = save(prices.assign(volume=1), tmp_path / "rise.csv")
    with pytest.raises(SystemExit):
        demo.main(["--csv", path])
    assert "labelled 'increase': there is nothing to tell" in capsys.readouterr().err


# --- what mistakes cost -------------------------------------------------------------

# A year and ten months that end in a fall: enough for the folds, and quickly done.
SHORT = load_stock_prices("AAPL").iloc[-500:]


@pytest.fixture(scope="module")
def priced(demo, tmp_path_factory):
    """The folder of a run with --alpha 1.2 on few prices, and what it printed."""
    folder = tmp_path_factory.mktemp("priced")
    arguments = ["--csv", save(SHORT, folder / "p.csv"), "--alpha", "1.2"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(demo, folder / "out", *arguments)
    return folder / "out", printed.getvalue()


@pytest.fixture(scope="module")
def costs(priced):
    return json.loads((priced[0] / "metrics.json").read_text())["costs"]


@pytest.fixture(scope="module")
def priced_days(priced):
    path = priced[0] / "predictions.csv"
    return pd.read_csv(path, index_col="date", parse_dates=True)


def test_without_alpha_nothing_is_said_of_costs(made, metrics, days):
    assert "costs" not in metrics
    assert not [name for name in days if "cost" in name or "decision" in name]
    assert "mistakes cost" not in (made[0] / "report.html").read_text()


def test_all_rules_are_there_and_named_as_they_train(priced, costs):
    assert list(costs["rules"]) == ["never", "always", *RULES]
    assert costs["alpha"] == 1.2
    assert costs["threshold"] == pytest.approx(1.2 / 2.2)
    for rule in RULES:
        name, strategy = rule.split(", ")
        assert f"{name}: strategy '{strategy}' at alpha=1.2\n" in priced[1]
        assert costs["rules"][rule]["strategy"] == strategy
        assert costs["rules"][rule]["network"] == name


@pytest.mark.parametrize("rule", ["never", "always", *RULES])
def test_costs_computed_again_from_the_days(costs, priced_days, rule):
    found, up = costs["rules"][rule], priced_days["label"] == "increase"
    said = priced_days[f"decision: {rule}"] == "increase"
    fp, fn = (said & ~up).sum(), (~said & up).sum()
    tp, n = (said & up).sum(), said.sum()
    assert found["confusion"] == [[(~said & ~up).sum(), fp], [fn, tp]]
    assert (found["days_increase"], found["days_increase_right"]) == (n, tp)
    assert found["cost"] == pytest.approx((1.2 * fp + fn) / len(up))
    assert found["savings"] == pytest.approx(1 - (1.2 * fp + fn) / up.sum())
    assert priced_days[f"cost: {rule}"].sum() == pytest.approx(1.2 * fp + fn)
    assert set(priced_days[f"cost: {rule}"]) <= {0.0, 1.0, 1.2}
    chance = binom.sf(tp - 1, n, 1.2 / 2.2) if n else None
    assert found["p_value"] == pytest.approx(chance)


def test_the_rules_do_not_all_say_the_same(costs):
    said = {costs["rules"][rule]["days_increase"] for rule in RULES}
    assert len(said) > 3


@pytest.mark.parametrize("rule", ["always", "LSTM, threshold"])
def test_what_a_rule_earned_computed_again_by_a_loop(costs, priced_days, rule):
    close = SHORT["close"]
    money, held = 1.0, False
    for date, said in priced_days[f"decision: {rule}"].items():
        row, wanted = close.index.get_loc(date), said == "increase"
        gain = close.iloc[row + 1] / close.iloc[row] - 1 if wanted else 0.0
        money *= 1 + gain - (0.0005 if wanted != held else 0.0)
        held = wanted
    assert costs["rules"][rule]["total_return"] == pytest.approx(money - 1)


def test_never_and_always_are_what_they_say(costs, priced_days):
    assert (priced_days["decision: never"] == "decrease").all()
    assert (priced_days["decision: always"] == "increase").all()
    assert costs["cheapest_constant"] == "never"
    assert costs["rules"]["never"]["total_return"] == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_the_threshold_is_put_to_the_network_of_the_demo(costs, priced_days, network):
    p = priced_days[f"p_increase: {network}"]
    said = priced_days[f"decision: {network}, threshold"] == "increase"
    enough = p >= 1.2 / 2.2
    assert 0 < enough.sum() < len(p)
    np.testing.assert_array_equal(said, enough)
    given = costs["probabilities"][network]
    assert (given["lowest"], given["highest"]) == pytest.approx((p.min(), p.max()))
    assert given["days"] == enough.sum()
    rose = enough & (priced_days["label"] == "increase")
    assert given["increases"] == rose.sum()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_rule_decides_by_the_strategy_that_auto_chose(costs, priced_days, network):
    auto = costs["rules"][f"{network}, auto"]
    chosen = auto["chosen"]
    same = chosen if chosen in ("never", "always") else f"{network}, {chosen}"
    np.testing.assert_array_equal(
        priced_days[f"decision: {network}, auto"], priced_days[f"decision: {same}"]
    )


def test_the_rest_stays_as_it_was(demo, priced, tmp_path):
    arguments = ["--csv", str(priced[0].parent / "p.csv")]
    plain = run(demo, tmp_path, *arguments)
    with_costs = json.loads((priced[0] / "metrics.json").read_text())
    del with_costs["costs"]
    verdict = with_costs.pop("verdict")
    assert verdict[:-1] == plain.pop("verdict")
    assert with_costs == plain


def test_the_section_stands_in_the_page(priced, costs):
    page = (priced[0] / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "What mistakes cost" in tags.text
    for sentence in costs["verdict"]:
        assert sentence in tags.text
        assert sentence in priced[1]
    for rule in ["never", "always", *RULES]:
        assert f"<td>{rule}</td><td>{costs['rules'][rule]['cost']:.3f}</td>" in page
    pictures = [*PICTURES, "cost_curves", "cost_decisions"]
    assert {path.stem for path in priced[0].glob("*.png")} == set(pictures)
    assert len(tags.sources) == 2 * len(pictures)
    assert all(s.startswith("data:image/png;base64,") for s in tags.sources)
    assert not re.search(r"\b(nan|None|inf)\b", tags.text)


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_rules_learn_nothing_from_the_test_years(demo, priced, costs, tmp_path, model):
    name = {"mlp": "Dense network", "lstm": "LSTM"}[model]
    changed, border = SHORT.copy(), SHORT.index.get_loc("2013-01-02")
    generator = np.random.default_rng(0)
    changed.iloc[border:] = generator.permutation(SHORT.to_numpy()[border:], axis=0)
    path = save(changed, tmp_path / "q.csv")
    other = run(demo, tmp_path, "--csv", path, "--alpha", "1.2", "--model", model)
    assert other["years"]["test"]["first"] == "2013-01-02"
    rules = [rule for rule in other["costs"]["rules"] if "," in rule]
    assert rules == [rule for rule in RULES if rule.startswith(name)]
    for rule in ["never", "always", *rules]:
        for key in {"cost_in_folds", "threshold", "chosen"} & {*costs["rules"][rule]}:
            assert other["costs"]["rules"][rule][key] == costs["rules"][rule][key]
    assert other["costs"]["rules"]["never"]["cost"] != costs["rules"]["never"]["cost"]


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_label_reaches_from_training_into_its_fold(demo, horizon):
    target = pd.Series(["increase", "decrease"] * 400)
    folds = list(demo.plan_folds(target, horizon).split(target))
    assert len(folds) == 4
    for train, test in folds:
        assert train.max() + horizon < test.min()


def test_few_days_make_few_folds(demo):
    target = pd.Series(["increase", "decrease"] * 160)
    assert demo.plan_folds(target, 1).n_splits == 2
    with pytest.raises(ValueError, match="needs 309 days before the test years"):
        demo.plan_folds(target[:308], 1)
    with pytest.raises(ValueError, match="training in a fold are labelled 'decrease'"):
        demo.plan_folds(pd.Series(["decrease"] * 320), 1)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("alpha", [0.2, 3])
@pytest.mark.parametrize("cheapest", ["never", "always"])
def test_luck_is_counted_where_a_rule_differs(demo, cheapest, alpha, horizon):
    generator = np.random.default_rng(0)
    labels = np.array(["decrease", "increase"])
    y, said = (pd.Series(labels[generator.integers(0, 2, 90)]) for _ in range(2))
    constant = demo.CONSTANTS[cheapest]
    rows = range(0, 90, horizon)
    n = sum(said[row] != constant for row in rows)
    k = sum(said[row] != constant and said[row] == y[row] for row in rows)
    # Right on this share of them, the rule pays as much as it saves.
    won, lost = (1, alpha) if cheapest == "never" else (alpha, 1)
    chance = binom.sf(k - 1, n, lost / (won + lost))
    assert demo.chance_against(constant, said, y, alpha, horizon) == (
        pytest.approx(chance)
    )
    alike = pd.Series([constant] * 90)
    assert demo.chance_against(constant, alike, y, alpha, horizon) is None


def test_a_rule_that_pays_is_said_to_pay(demo, tmp_path, alternating):
    arguments = ["--csv", alternating, "--alpha", "3", "--model", "mlp"]
    metrics = run(demo, tmp_path, *arguments)
    costs = metrics["costs"]["rules"]
    assert costs["Dense network, auto"]["cost"] < 0.7 * costs["never"]["cost"]
    assert costs["Dense network, auto"]["p_value"] < 1e-3
    sentence = metrics["verdict"][-1]
    assert "less than never saying “increase”" in sentence
    assert "by more than luck explains (p-value < 0.001 for the luckiest" in sentence


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
        ([0.5, 0.6], None, "none of 2 rules costs less than {} saying “increase” (0.5"),
        ([0.5 - 1e-12, 0.6], [None, 1.0], "none of 2 rules costs less"),
        ([0.4, 0.6], [0.01, 1.0], "1 of 2 rules costs less than {} saying"),
        ([0.4, 0.6], [0.01, 1.0], "more than luck explains (p-value 0.020"),
        ([0.4, 0.3, 0.6], [0.02, 0.5, 1.0], "no more than luck brings (p-value 0.060"),
        ([0.4, 0.3, 0.6], [0.02, 0.5, 1.0], "the LSTM with “tuned”, costs 0.300."),
    ],
)
def test_the_verdict_on_costs_is_the_truth(demo, constant, prices, chances, words):
    results = make_costs(constant, prices, chances)
    verdict = sys.modules["stock_costs"].judge_cheapest(results)
    assert words.format(constant) in verdict
    assert verdict.startswith("Where a false “increase” costs 3 and a missed one 1, ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((0, 0), "never gave as much (66.0\xa0% at most)"),
        ((90, 50), "always gave as much (30.0\xa0% at least)"),
        ((1, 1), "gave as much on 1 day, of which 1 was an increase"),
        ((20, 3), "gave as much on 20 days, of which 3 were increases"),
    ],
)
def test_it_is_told_who_gives_the_probability_it_takes(demo, given, words):
    probabilities = dict(lowest=0.3, highest=0.66, days=given[0], increases=given[1])
    found = sys.modules["stock_costs"].describe_given(probabilities, 90)
    assert found == words


# --- other parameters ---------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(demo, tmp_path_factory):
    """The folder of a run with --tune 5 on few prices, and what it printed."""
    folder = tmp_path_factory.mktemp("tuned")
    path = save(SHORT, folder / "p.csv")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(demo, folder / "out", "--csv", path, "--model", "mlp", "--tune", "5")
    return folder / "out", printed.getvalue()


@pytest.fixture(scope="module")
def tuning(tuned):
    return json.loads((tuned[0] / "metrics.json").read_text())["tuning"]


def test_the_own_parameters_in_the_folds_computed_again(demo, tuned, tuning):
    trend = load_stock_trend(str(tuned[0].parent / "p.csv"), horizon=1)
    years = demo.split_years(trend.target, 1)
    X, y = trend.data.loc[years.development], trend.target.loc[years.development]
    network = demo.make_dense(demo.plan_training(years, len(X), 1, 0))
    folds = demo.plan_folds(y, 1)
    scores = cross_val_score(network, X, y, scoring="neg_log_loss", cv=folds)
    assert tuning["log_loss_in_folds"]["own"] == pytest.approx(-scores.mean())
    assert tuning["log_loss_in_folds"]["tuned"] <= -scores.mean()
    assert (tuning["trials"], tuning["n_folds"]) == (5, folds.n_splits)
    own = {name: tried["own"] for name, tried in tuning["parameters"].items()}
    assert own["network__hidden_layer_sizes"] == [64, 32, 16]
    assert own["network__dropout"] == 0.1


def test_the_tuned_network_is_judged_on_the_test_days(tuned, tuning):
    days = pd.read_csv(tuned[0] / "predictions.csv")
    said = days["p_increase: Dense network, tuned"] > 0.5
    hits = (said == (days["label"] == "increase")).mean()
    assert tuning["test"]["accuracy"] == pytest.approx(hits)
    assert tuning["test"]["said_increase"] == pytest.approx(said.mean())


def test_the_search_is_told_of_and_the_rest_stays(demo, tuned, tuning, tmp_path):
    path = str(tuned[0].parent / "p.csv")
    plain = run(demo, tmp_path, "--csv", path, "--model", "mlp")
    with_search = json.loads((tuned[0] / "metrics.json").read_text())
    del with_search["tuning"]
    *verdict, sentence = with_search.pop("verdict")
    assert verdict == plain.pop("verdict") and with_search == plain
    assert f"log loss of {tuning['log_loss_in_folds']['tuned']:.4f}" in sentence
    assert f"{100 * tuning['test']['accuracy']:.1f}" in sentence
    page = (tuned[0] / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and sentence in tags.text and sentence in tuned[1]
    assert "Would other parameters do better?" in tags.text
    assert "<td>hidden_layer_sizes</td><td>64 – 32 – 16</td>" in page
    assert "other parameters" not in (tmp_path / "report.html").read_text()


def test_the_search_learns_nothing_from_the_test_years(demo, tuned, tuning, tmp_path):
    changed, border = SHORT.copy(), SHORT.index.get_loc("2013-01-02")
    generator = np.random.default_rng(0)
    changed.iloc[border:] = generator.permutation(SHORT.to_numpy()[border:], axis=0)
    path = save(changed, tmp_path / "q.csv")
    other = run(demo, tmp_path, "--csv", path, "--model", "mlp", "--tune", "5")
    for key in ("trials", "pruned", "log_loss_in_folds", "parameters"):
        assert other["tuning"][key] == tuning[key]
    assert other["tuning"]["test"] != tuning["test"]


# --- Ctrl-C ---------------------------------------------------------------------------


class CtrlC:
    """A callback, also of the network in a Pipeline: Ctrl-C comes after an epoch."""

    max_propagation_depth = None

    def __init__(self, epoch=None):
        self.epoch = epoch

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if (context.task_name, context.task_id) == ("epoch", self.epoch):
            signal.raise_signal(signal.SIGINT)


def read(folder):
    """What the report says, and the numbers."""
    tags = Tags()
    tags.feed((folder / "report.html").read_text())
    return tags.text, json.loads((folder / "metrics.json").read_text())


def test_the_report_says_that_a_training_was_interrupted(
    demo, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(demo, "ProgressBar", lambda: CtrlC(2))
    path = save(SHORT, tmp_path / "p.csv")
    metrics = run(demo, tmp_path, "--csv", path, "--model", "mlp")
    (sentence,) = metrics["interrupted"]
    assert "Dense network" in sentence and "after epoch 3," in sentence
    assert metrics["training"]["Dense network"]["epochs"] == 3
    assert sentence in read(tmp_path)[0]
    assert sentence in capsys.readouterr().out


def test_the_report_says_what_was_interrupted_after_the_training(
    demo, tmp_path, monkeypatch
):
    class Interrupted(demo.CostSensitiveClassifier):
        def fit(self, X, y):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(demo, "CostSensitiveClassifier", Interrupted)
    stop = [lambda study, trial: trial.number and signal.raise_signal(signal.SIGINT)]
    search = functools.partial(demo.OptunaSearchCV, callbacks=stop)
    monkeypatch.setattr(demo, "OptunaSearchCV", search)
    monkeypatch.setattr(demo, "ProgressBar", CtrlC)
    path = save(SHORT, tmp_path / "p.csv")
    arguments = ["--csv", path, "--model", "mlp", "--tune", "5", "--alpha", "1.2"]
    metrics = run(demo, tmp_path, *arguments)
    assert metrics["tuning"]["trials"] == 2 and "costs" not in metrics
    tuning, costs = metrics["interrupted"]
    assert "after 2 of 5 trials" in tuning and "--alpha adds is left out" in costs
    page, _ = read(tmp_path)
    assert tuning in page and costs in page


@pytest.mark.parametrize("when", ["in the first epoch", "in an explanation"])
def test_without_a_trained_network_there_is_no_report(
    demo, tmp_path, monkeypatch, capsys, when
):
    def interrupt(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)

    if when == "in an explanation":
        monkeypatch.setattr(demo, "explain", interrupt)
        monkeypatch.setattr(demo, "ProgressBar", lambda: CtrlC(1))
    else:
        monkeypatch.setattr("skdeep.training._dense.DenseLearner.step", interrupt)
    path = save(SHORT, tmp_path / "p.csv")
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--csv", path, "--model", "mlp", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 130
    assert "Interrupted by Ctrl-C: there is no report" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
