"""The demo from its command line, its numbers computed again by other means."""

import importlib
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, rankdata
from sklearn.utils import Bunch

from skdeep.datasets import load_stock_prices

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = ["Dense network", "LSTM"]
EXPLAINED = ["explanations_dense_network", "explanations_lstm"]
PICTURES = ["prices", "loss_curve", "confusion_matrix", "backtest", *EXPLAINED]
MODELS = [*NETWORKS, "Logistic regression", "As yesterday", "Majority class"]


@pytest.fixture(scope="module")
def demo():
    """The example as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("stock_trend")
        for name in ("stock_trend", "stock_report"):
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
    explained = metrics["explanations"][network]
    p = days[f"p_increase: {network}"]
    right = (p > 0.5) == (days["label"] == "increase")
    sureness = (p - 0.5).abs()
    assert [day["why"] for day in explained] == [
        "surest right",
        "surest wrong",
        "least sure",
    ]
    assert [day["day"] for day in explained] == [
        str(date.date())
        for date in (
            sureness[right].idxmax(),
            sureness[~right].idxmax(),
            sureness.idxmin(),
        )
    ]
    for day in explained:
        assert len(day["effects"]) == 25 and 0 <= day["r2"] <= 1
        assert day["p_increase"] == pytest.approx(p[day["day"]])
        # The straight line, at the day itself, leans the way the network leans, if
        # it knows all that the network reads.
        effect = sum(e["effect"] for e in day["effects"])
        if day["why"] != "least sure" and network == "Dense network":
            assert np.sign(effect) == np.sign(day["p_increase"] - 0.5)


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
    for part in ("training", "models", "backtest"):
        assert alone[part][name] == metrics[part][name]
    assert alone["networks"] == [name] and "comparison" not in alone
    pictures = {path.stem for path in tmp_path.glob("explanations*.png")}
    assert pictures == {EXPLAINED[NETWORKS.index(name)]}
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
        (["--seed", "-1"], "'-1' is not a number from 0"),
        (["--ticker", "NOPE"], "AAPL, FB, GOOG, IBM, MSFT"),
        (["--csv", "nowhere.csv"], "no file 'nowhere.csv'"),
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


def test_prices_that_only_rise(demo, capsys, tmp_path):
    days = pd.bdate_range("2015-01-01", periods=400, name="date")
    close = 1.01 ** np.arange(400.0)
    prices = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close"], close), days)
    path = save(prices.assign(volume=1), tmp_path / "rise.csv")
    with pytest.raises(SystemExit):
        demo.main(["--csv", path])
    assert "labelled 'increase': there is nothing to tell" in capsys.readouterr().err
