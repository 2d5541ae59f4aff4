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

from skdeep.datasets import load_stock_prices

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = ["prices", "loss_curve", "confusion_matrix", "backtest", "explanations"]
MODELS = ["Neural network", "Logistic regression", "As yesterday", "Majority class"]


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


def test_three_days_are_explained(metrics, days):
    explained = metrics["explanations"]
    p = days["p_increase: Neural network"]
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
        # The straight line, at the day itself, leans the way the network leans.
        effect = sum(e["effect"] for e in day["effects"])
        if day["why"] != "least sure":
            assert np.sign(effect) == np.sign(day["p_increase"] - 0.5)


def test_the_words_fit_the_numbers(made, metrics):
    network = metrics["models"]["Neural network"]
    majority = metrics["models"]["Majority class"]
    verdict = metrics["verdict"]
    beats = network["accuracy"] > majority["accuracy"]
    assert ("does not beat" in verdict[0]) == (not beats)
    assert f"{100 * network['accuracy']:.1f}" in verdict[1]
    assert f"{100 * majority['accuracy']:.1f}" in verdict[1]
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
    other_metrics = run(demo, other, "--ticker", "FB", "--seed", "8")
    assert other_metrics["models"] != metrics["models"]


def test_the_test_years_teach_nothing(demo, tmp_path):
    prices = load_stock_prices("IBM")
    changed = prices.copy()
    border = prices.index.get_loc("2011-01-03")
    generator = np.random.default_rng(0)
    changed.iloc[border:] = generator.permutation(prices.to_numpy()[border:], axis=0)
    one = run(demo, tmp_path / "1", "--csv", save(prices, tmp_path / "p.csv"))
    two = run(demo, tmp_path / "2", "--csv", save(changed, tmp_path / "q.csv"))
    assert one["years"]["test"]["first"] == "2011-01-03"
    assert one["training"] == two["training"]
    assert one["models"] != two["models"]


def test_several_days_ahead(demo, tmp_path):
    metrics = run(demo, tmp_path, "--horizon", "5", "--ticker", "GOOG")
    days = pd.read_csv(tmp_path / "predictions.csv", index_col="date", parse_dates=True)
    close = load_stock_prices("GOOG")["close"]
    date = days.index[10]
    rose = close.iloc[close.index.get_loc(date) + 5] > close[date]
    assert days["label"].iloc[10] == ("increase" if rose else "decrease")
    assert list(metrics["models"])[2] == "As the last 5 days"
    p = days["p_increase: Neural network"].to_numpy()
    hits = ((p > 0.5) == (days["label"] == "increase"))[::5]
    share = days["label"][::5].value_counts(normalize=True).max()
    chance = binom.sf(hits.sum() - 1, len(hits), share)
    assert metrics["models"]["Neural network"]["p_value"] == pytest.approx(chance)
    # A fifth of the money follows each of the last five answers.
    money, before = 1.0, 0.0
    for row, day in enumerate(days.index):
        held = (p[max(row - 4, 0) : row + 1] > 0.5).sum() / 5
        place = close.index.get_loc(day)
        gain = close.iloc[place + 1] / close.iloc[place] - 1
        money *= 1 + held * gain - 0.0005 * abs(held - before)
        before = held
    assert metrics["backtest"]["Neural network"]["total_return"] == pytest.approx(
        money - 1
    )


def test_it_finds_a_trend_that_is_there_and_says_so(demo, tmp_path):
    # Prices that alternate by a rule: up after two falls, down after two rises.
    generator = np.random.default_rng(0)
    up = np.tile([True, True, False, False], 300) ^ (generator.random(1200) < 0.05)
    size = 0.01 * generator.random(1200) + 0.005
    close = 100 * np.cumprod(np.where(up, 1 + size, 1 / (1 + size)))
    days = pd.bdate_range("2015-01-01", periods=1200, name="date")
    prices = pd.DataFrame({"open": close, "close": close}, index=days)
    prices = prices.assign(high=close * 1.001, low=close * 0.999, volume=1000)
    metrics = run(demo, tmp_path, "--csv", save(prices, tmp_path / "p.csv"))
    assert metrics["models"]["Neural network"]["accuracy"] > 0.8
    assert metrics["models"]["Neural network"]["p_value"] < 1e-6
    assert metrics["verdict"][0] == "The network beats the majority class."


@pytest.mark.parametrize(
    ("hits", "chance", "words"),
    [
        (0.50, 0.600, "does not beat the majority class"),
        (0.51, 0.600, "does not beat the majority class"),
        (0.53, 0.200, "by no more than luck explains"),
        (0.60, 0.001, "The network beats the majority class"),
    ],
)
def test_the_verdict_is_the_truth(demo, hits, chance, words):
    results = {
        "models": {
            "Neural network": {"accuracy": hits, "p_value": chance},
            "Majority class": {"accuracy": 0.51, "p_value": 0.5},
        }
    }
    module = sys.modules["stock_report"]
    assert words in module.judge_direction(results)


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
        (["--model"], "unrecognized arguments"),
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
