"""The example of similar stocks, its numbers computed again by other means."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from skdeep.datasets import load_stock_prices

EXAMPLES = Path(__file__).parents[2] / "examples"
TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("similar_tickers")
        sys.modules.pop("similar_tickers")


@pytest.fixture(scope="module")
def made(example, tmp_path_factory):
    """The folder that a user finds after running the script."""
    folder = tmp_path_factory.mktemp("similar") / "a" / "b"
    example.main(["--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def results(made):
    return json.loads((made / "similarity.json").read_text())


def test_a_picture_and_the_numbers_land_in_the_folder(made, results):
    assert {path.name for path in made.iterdir()} == {
        "similarity.json",
        "similarity.png",
    }
    assert (made / "similarity.png").read_bytes().startswith(b"\x89PNG")
    assert np.isfinite(list(results["goes_on_alike"].values())).all()


@pytest.mark.parametrize("kind", ["by_returns", "by_states"])
def test_the_tables_are_similarities(results, kind):
    table = pd.DataFrame(results[kind]).loc[TICKERS, TICKERS].to_numpy()
    np.testing.assert_allclose(np.diag(table), 1, rtol=1e-5)
    np.testing.assert_allclose(table, table.T, rtol=1e-5)
    assert np.abs(table).max() < 1 + 1e-5


def test_similarity_by_returns_is_the_mean_correlation(results):
    close = pd.DataFrame({t: load_stock_prices(t)["close"] for t in ("IBM", "MSFT")})
    returns = close.pct_change()
    by_day = returns["IBM"].rolling(30).corr(returns["MSFT"]).loc["2012":].iloc[:-5]
    assert results["by_returns"]["IBM"]["MSFT"] == pytest.approx(by_day.mean())


def test_windows_are_cut_stock_by_stock_and_split_by_time(example):
    windows = example.load_windows()
    for row in (0, 5000, -1):
        ticker, day = windows.about.loc[windows.about.index[row], ["ticker", "day"]]
        returns = 100 * load_stock_prices(ticker)["close"].pct_change()
        place = returns.index.get_loc(day)
        expected = returns.iloc[place - 29 : place + 1]
        np.testing.assert_allclose(windows.returns[row, :, 0], expected)
        after = returns.iloc[place + 1 : place + 6].abs().mean()
        assert windows.movement[row] == pytest.approx(np.log(after + 0.01))
    training, validation, later = example.split(windows)
    days = load_stock_prices("IBM").index
    for before, border in [(training, "2011-01-01"), (validation, "2012-01-01")]:
        last = days.get_loc(before.about["day"].max())
        assert days[last + 5] < pd.Timestamp(border)
    assert "FB" not in {*training.about["ticker"], *validation.about["ticker"]}
    assert {*later.about["ticker"]} == set(TICKERS)
    assert later.about["day"].min() >= pd.Timestamp("2012")


def test_states_say_more_of_what_follows_than_chance(example, results):
    # The network was fitted to earlier years only, so this is no matter of memory.
    assert results["goes_on_alike"]["similar states"] > 0.2
    assert results["r2_later"] > 0.1
    _, _, later = example.split(example.load_windows())
    recent = np.abs(later.returns[:, -5:, 0]).mean(axis=1)
    ranks = np.corrcoef(rankdata(recent), rankdata(later.movement))[0, 1]
    simple = results["goes_on_alike"]["same window's last days"]
    assert simple == pytest.approx(ranks, abs=1e-4)


def test_the_most_similar_is_looked_up(example):
    past = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    rows = example.directions(np.array([[-3.0, 1.0], [0.5, 2.0]]))
    np.testing.assert_array_equal(example.look_up(rows, past), [2, 1])


@pytest.mark.parametrize(("states", "verb"), [(0.5, "less"), (0.3, "more")])
def test_the_words_fit_the_numbers(example, results, states, verb):
    alike = results["goes_on_alike"] | {
        "similar states": states,
        "same window's last days": 0.4,
    }
    lines = example.describe(results | {"goes_on_alike": alike})
    assert f"{states:.2f} by states" in lines[1]
    assert f"foretells {verb} than that: 0.40" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "'-1' is not a number from 0"),
        (["--seed", "x"], "'x' is not a number from 0"),
        (["--model", "mlp"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_named(example, capsys, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        example.main(["--out", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
