"""load_stock_prices: real stocks compared with known facts, and invalid files."""

import sys

import numpy as np
import pandas as pd
import pytest
from bokeh_sampledata import stocks
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.datasets import load_stock_prices

TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def read_raw(ticker):
    raw = pd.DataFrame(getattr(stocks, ticker))
    return raw.set_index(pd.to_datetime(raw.pop("date")))


@pytest.mark.parametrize("ticker", TICKERS)
def test_columns_and_index(ticker):
    prices = load_stock_prices(ticker)
    assert list(prices.columns) == ["open", "high", "low", "close", "volume"]
    assert isinstance(prices.index, pd.DatetimeIndex) and prices.index.name == "date"
    assert prices.index.is_monotonic_increasing and prices.index.is_unique
    assert (prices.dtypes == np.float64).all()
    assert np.isfinite(prices.to_numpy()).all() and (prices > 0).all(axis=None)


@pytest.mark.parametrize("ticker", TICKERS)
def test_adjustment_keeps_the_ratios_within_a_day(ticker):
    prices, raw = load_stock_prices(ticker), read_raw(ticker)
    assert_array_equal(prices["close"], raw["adj_close"])
    for column in ("open", "high", "low"):
        assert_allclose(prices[column] / prices["close"], raw[column] / raw["close"])
    slack = 1e-9 * prices["close"]
    assert (prices["high"] + slack >= prices[["open", "close"]].max(axis=1)).all()
    assert (prices["low"] - slack <= prices[["open", "close"]].min(axis=1)).all()


def test_splits_are_adjusted_but_crashes_are_not():
    raw = read_raw("AAPL")["close"].pct_change()
    moves = load_stock_prices("AAPL")["close"].pct_change()
    for day in ("2000-06-21", "2005-02-28"):
        assert raw[day] < -0.45 and 0 < moves[day] < 0.1
    assert moves["2000-09-29"] == pytest.approx(-0.5187, abs=1e-4)
    assert (moves.abs() > 0.25).sum() == 1
    others = [
        load_stock_prices(t)["close"].pct_change().abs().max() for t in TICKERS[1:]
    ]
    assert max(others) < 0.25


@pytest.mark.parametrize(
    ("ticker", "ex_day", "dollars"),
    [
        ("AAPL", "2012-08-09", 2.65),
        ("MSFT", "2013-02-19", 0.23),
        ("IBM", "2013-02-06", 0.85),
    ],
)
def test_adjusted_returns_include_dividends(ticker, ex_day, dollars):
    raw, prices = read_raw(ticker)["close"], load_stock_prices(ticker)["close"]
    day = raw.index.get_loc(ex_day)
    before = raw.iloc[day - 1]
    gain = raw.iloc[day] / (before - dollars) - 1
    assert prices.pct_change().iloc[day] == pytest.approx(gain, abs=1e-4)


def test_volumes_are_adjusted_for_splits():
    # Yahoo's figures, adjusted, before Apple's next split (bokeh's 2025.0 release).
    volume = load_stock_prices("AAPL")["volume"]
    assert volume["2000-06-20"] == pytest.approx(17_922_000, rel=1e-2)
    assert volume["2000-06-21"] == pytest.approx(17_500_000, rel=1e-2)
    assert volume["2000-06-22"] == pytest.approx(16_706_200, rel=1e-2)
    assert volume["2005-02-25"] == pytest.approx(32_696_800, rel=1e-2)
    assert volume["2005-02-28"] == pytest.approx(23_271_800, rel=1e-2)
    assert volume["2013-03-01"] == read_raw("AAPL")["volume"].iloc[-1]
    microsoft = load_stock_prices("MSFT")["volume"]
    assert microsoft["2003-02-14"] == pytest.approx(90_446_400, rel=1e-2)
    assert microsoft["2003-02-18"] == pytest.approx(57_415_500, rel=1e-2)
    assert microsoft["2004-11-12"] == 162_269_000  # a dividend moves no volume


def test_ticker_case_is_ignored_and_apple_is_the_default():
    pd.testing.assert_frame_equal(load_stock_prices(), load_stock_prices("aapl"))


def test_calls_return_independent_frames():
    prices = load_stock_prices("FB")
    prices["close"] = 0.0
    assert (load_stock_prices("FB")["close"] > 0).all()


def test_invalid_tickers_raise():
    with pytest.raises(ValueError, match=r"'TSLA' is not among .*AAPL, FB.*\.csv"):
        load_stock_prices("TSLA")
    with pytest.raises(ValueError, match="'ticker' parameter of load_stock_prices"):
        load_stock_prices(5)


def test_missing_package_is_named(monkeypatch):
    for module in ["bokeh_sampledata", "bokeh_sampledata.stocks"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'scikit-deep\[stocks\]'"):
        load_stock_prices("AAPL")


# --- files -----------------------------------------------------------------------

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
ROWS = [
    "2020-01-01,10,12,9,11,5.5,1000",
    "2020-01-02,11,13,10,12,6.0,2000",
    "2020-01-03,6,7,5,6.5,6.5,3000",
]


def write(folder, lines, name="prices.csv", **how):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", **how)
    return path


def test_file_with_a_split(tmp_path):
    prices = load_stock_prices(write(tmp_path, [HEADER, *ROWS]))
    assert_allclose(prices["close"], [5.5, 6.0, 6.5])
    assert_allclose(prices["open"], [5.0, 5.5, 6.0])
    assert_allclose(prices["high"], [6.0, 6.5, 7.0])
    assert_allclose(prices["volume"], [2000, 4000, 3000])
    assert list(prices.index.strftime("%F")) == [
        "2020-01-01",
        "2020-01-02",
        "2020-01-03",
    ]


def test_adjusted_close_is_optional_and_may_be_spelled_in_any_way(tmp_path):
    lines = ["VOLUME, close ,Low,hIgh,open,DATE", "5,11,9,12,10,2020-01-01"]
    prices = load_stock_prices(write(tmp_path, lines, encoding="utf-8-sig"))
    assert prices.iloc[0].tolist() == [10, 12, 9, 11, 5]


def test_path_as_str_and_zip_archive(tmp_path):
    path = write(tmp_path, [HEADER, *ROWS])
    expected = load_stock_prices(path)
    pd.testing.assert_frame_equal(load_stock_prices(str(path)), expected)
    zipped = tmp_path / "prices.csv.gz"
    pd.read_csv(path).to_csv(zipped, index=False)
    pd.testing.assert_frame_equal(load_stock_prices(str(zipped)), expected)


def test_time_of_day_is_dropped(tmp_path):
    stamped = [ROWS[0].replace("01-01", "01-01 00:00:00-05:00"), ROWS[1]]
    prices = load_stock_prices(write(tmp_path, [HEADER, *stamped]))
    assert prices.index[0] == pd.Timestamp("2020-01-01")


def test_bundled_stock_equals_its_csv_file(tmp_path):
    raw = read_raw("IBM").rename(columns=str.title).rename_axis("Date")
    path = tmp_path / "ibm.csv"
    raw.rename(columns={"Adj_Close": "Adj Close"}).to_csv(path)
    pd.testing.assert_frame_equal(
        load_stock_prices(path), load_stock_prices("IBM"), check_index_type=False
    )


def replace(row, old, new):
    changed = [HEADER, *ROWS]
    assert old in changed[row]
    changed[row] = changed[row].replace(old, new)
    return changed


FAULTS = {
    "missing column": (replace(0, "Low,", "Lowest,"), "lacks the column.* low; it has"),
    "repeated column": (replace(0, "Adj Close", "close"), "several columns named 'clo"),
    "no rows": ([HEADER], "has a header but no rows"),
    "unsorted": (
        [HEADER, ROWS[1], ROWS[0], ROWS[2]],
        "line 3: .*not sorted by date: 2020-01-01 comes after 2020-01-02",
    ),
    "repeated date": (
        [HEADER, ROWS[0], *ROWS],
        "line 3: the date 2020-01-01 occurs more than once, first in line 2",
    ),
    "no date": (
        replace(2, "2020-01-02", "yesterday"),
        "line 3: 'yesterday' is not a date",
    ),
    "impossible date": (
        replace(1, "01-01", "02-30"),
        "line 2: '2020-02-30' is not a date",
    ),
    "dates of two kinds": (
        replace(1, "2020-01-01", "01/02/2020"),
        "line 2: '01/02/2020' is not a date written as in line 3",
    ),
    "empty date": (replace(3, "2020-01-03", ""), "line 4: '' is not a date"),
    "no number": (
        replace(2, "13", "1x3"),
        "line 3: column 'High' holds '1x3', which is not a number.*'2020-01-02,11,1x3",
    ),
    "one price missing": (
        replace(2, "13", "null"),
        "line 3: column 'High' has no number, but other columns of the day do",
    ),
    "empty cell": (replace(2, "2000", ""), "line 3: column 'Volume' has no number"),
    "infinite": (replace(2, "6.0", "inf"), "line 3: column 'Adj Close' holds 'inf'"),
    "zero price": (
        replace(1, ",9,", ",0,"),
        "line 2, 2020-01-01: low is 0; it must be above 0",
    ),
    "negative price": (
        replace(3, "6.5,6.5", "-6.5,6.5"),
        "line 4, 2020-01-03: close is -6.5",
    ),
    "zero adjusted": (replace(3, "6.5,6.5", "6.5,0"), "adj_close is 0"),
    "negative volume": (replace(3, "3000", "-1"), "volume is -1; it must be 0 or more"),
    "crossed": (
        replace(1, "12,9", "9,12"),
        "line 2, 2020-01-01: the high is below the low",
    ),
    "ragged": ([HEADER, ROWS[0] + ",1,2,3"], "prices.csv"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_invalid_files_raise(tmp_path, fault):
    lines, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message) as caught:
        load_stock_prices(write(tmp_path, lines))
    assert "prices.csv" in str(caught.value)


def test_unreadable_paths_raise(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file 'nowhere.csv'"):
        load_stock_prices("nowhere.csv")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(ValueError, match="empty.csv' is empty"):
        load_stock_prices(empty)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"binary.csv' (is not|lacks)"):
        load_stock_prices(binary)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_stock_prices(tmp_path)


def test_zero_volume_is_valid(tmp_path):
    prices = load_stock_prices(write(tmp_path, replace(2, "2000", "0")))
    assert prices["volume"].iloc[1] == 0


def test_a_zero_among_prices_without_marks(tmp_path):
    # Whether the ratio of prices to 0 overflows must not matter for the error.
    lines = ["Date,Open,High,Low,Close", "2020-01-01,100,120,0,110"]
    with pytest.raises(ValueError, match="line 2, 2020-01-01: low is 0; it must be"):
        load_stock_prices(write(tmp_path, lines))
