"""TrendFeatures compared with formulas in pandas; no row depends on later ones."""

import copy
import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from bokeh_sampledata import stocks
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep.datasets import load_stock_prices
from skdeep.preprocessing import TrendFeatures

PANDAS = int(pd.__version__.partition(".")[0])

ORDER = "rows are in time order: an indicator of a row reads the rows before it"
CUT = 2000  # rows of training
EXEMPT = {
    "check_methods_sample_order_invariance": ORDER,
    "check_methods_subset_invariance": ORDER,
}


@parametrize_with_checks(
    [TrendFeatures(context="train")],
    expected_failed_checks=lambda estimator: EXEMPT,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def prices():
    return load_stock_prices("AAPL")


def make_features(**params):
    return TrendFeatures(**params).set_output(transform="pandas")


@pytest.fixture(scope="module")
def indicators(prices):
    return make_features().fit_transform(prices)


def wilder_average(values, n):
    """Return Wilder's average: a mean of n values, then exponential with weight 1/n."""
    averages = pd.Series(np.nan, index=values.index)
    start = values.index.get_loc(values.first_valid_index()) + n - 1
    averages.iloc[start] = values.iloc[start - n + 1 : start + 1].mean()
    for row in range(start + 1, len(values)):
        averages.iloc[row] = (averages.iloc[row - 1] * (n - 1) + values.iloc[row]) / n
    return averages


def reference(prices):
    """Compute the indicators again, from their definitions, in pandas alone."""
    open_, high, low, close, volume = (prices[c] for c in prices.columns)
    change = close.diff()
    before = close.shift()
    returns = close.pct_change()
    out = {f"return_{n}": close.pct_change(n) for n in (1, 2, 5, 10, 20, 60)}
    for n in (10, 60):
        out[f"volatility_{n}"] = returns.rolling(n).std(ddof=0)
    for n in (10, 20, 50):
        out[f"sma_distance_{n}"] = close / close.rolling(n).mean() - 1
    lowest, highest = close.rolling(60).min(), close.rolling(60).max()
    out["channel_60"] = (close - lowest) / (highest - lowest)
    out["bollinger_20"] = (close - close.rolling(20).mean()) / (
        2 * close.rolling(20).std(ddof=0)
    )
    gain, loss = (
        wilder_average(change.clip(lower=0), 14),
        wilder_average(-change.clip(upper=0), 14),
    )
    out["rsi_14"] = 100 * gain / (gain + loss)
    out["gap"] = open_ / before - 1
    out["open_to_close"] = close / open_ - 1
    out["day_position"] = (close - low) / (high - low)
    true_range = pd.concat([high, before], axis=1).max(axis=1) - pd.concat(
        [low, before], axis=1
    ).min(axis=1)
    out["atr_14"] = wilder_average(true_range.iloc[1:], 14) / close
    lowest, highest = low.rolling(14).min(), high.rolling(14).max()
    fast = 100 * (close - lowest) / (highest - lowest)
    out["stochastic_k"] = fast.rolling(3).mean()
    out["stochastic_d"] = out["stochastic_k"].rolling(3).mean()
    out["volume_ratio_20"] = volume / volume.rolling(20).mean()
    out["volume_balance_20"] = (
        np.sign(change.where(returns.abs() > 1e-9, 0.0)) * volume
    ).rolling(20).sum() / volume.rolling(20).sum()
    return pd.DataFrame(out)


def test_indicators_equal_their_definitions(prices, indicators):
    expected = reference(prices)
    for name in expected:
        # In the first rows a definition may already have a value where TA-Lib waits.
        assert_allclose(indicators[name].iloc[60:], expected[name].iloc[60:], atol=1e-8)


def test_exponential_averages_equal_their_definitions_once_settled(prices, indicators):
    close = prices["close"]
    slow, fast = (close.ewm(span=n, adjust=False).mean() for n in (26, 12))
    macd = fast - slow
    histogram = (macd - macd.ewm(span=9, adjust=False).mean()) / close
    assert_allclose(
        indicators["macd_histogram"].iloc[400:], histogram.iloc[400:], atol=1e-9
    )
    assert indicators["adx_14"].iloc[60:].between(0, 100).all()
    up, down = prices["high"].diff(), -prices["low"].diff()
    strength = (
        up.where((up > down) & (up > 0), 0.0).ewm(alpha=1 / 14, adjust=False).mean()
        - down.where((down > up) & (down > 0), 0.0)
        .ewm(alpha=1 / 14, adjust=False)
        .mean()
    )
    before = prices["close"].shift()
    true_range = pd.concat([prices["high"], before], axis=1).max(axis=1) - pd.concat(
        [prices["low"], before], axis=1
    ).min(axis=1)
    expected = 100 * strength / true_range.ewm(alpha=1 / 14, adjust=False).mean()
    assert_allclose(
        indicators["direction_14"].iloc[500:], expected.iloc[500:], atol=1e-8
    )


def test_only_the_first_rows_are_nan(indicators):
    assert indicators.iloc[59].isna().any()
    assert not indicators.iloc[60:].isna().any(axis=None)
    assert np.isfinite(indicators.iloc[60:].to_numpy()).all()


@pytest.mark.parametrize("cut", [1, 61, 3000])
def test_no_row_reads_a_later_one(prices, indicators, cut):
    changed = prices.copy()
    generator = np.random.default_rng(cut)
    changed.iloc[cut:] = generator.permutation(changed.to_numpy()[cut:], axis=0)
    result = make_features().fit_transform(changed)
    assert_array_equal(result.iloc[:cut], indicators.iloc[:cut])
    assert not np.array_equal(result.iloc[cut:], indicators.iloc[cut:], equal_nan=True)


def test_indicators_do_not_depend_on_the_scale_of_prices_and_volumes(
    prices, indicators
):
    scaled = prices * [1000.0, 1000.0, 1000.0, 1000.0, 0.01]
    assert_allclose(make_features().fit_transform(scaled), indicators, atol=1e-8)


# --- columns ---------------------------------------------------------------------


def test_column_names_in_any_case_and_order(prices, indicators):
    shuffled = prices[["volume", "low", "close", "open", "high"]]
    shuffled = shuffled.rename(columns=str.title)
    assert_array_equal(make_features().fit_transform(shuffled), indicators)


def test_close_only_gives_the_indicators_of_closing_prices(prices, indicators):
    result = make_features().fit_transform(prices[["close"]])
    assert 10 < result.shape[1] < indicators.shape[1]
    pd.testing.assert_frame_equal(result, indicators[result.columns])


def test_each_column_of_an_array_is_a_price(prices, indicators):
    array = prices[["close", "open"]].to_numpy()
    features = TrendFeatures().fit(array)
    result = features.transform(array)
    names = list(features.get_feature_names_out())
    assert names[0] == "x0_return_1" and names[len(names) // 2] == "x1_return_1"
    expected = make_features().fit_transform(prices[["close"]])
    assert_array_equal(result[:, : expected.shape[1]], expected)
    renamed = features.get_feature_names_out(["apple", "pear"])
    assert renamed[0] == "apple_return_1" and len(renamed) == result.shape[1]


def test_unnamed_columns_are_separate_prices(prices):
    both = prices.assign(gold=np.linspace(100, 200, len(prices)))
    result = make_features().fit_transform(both)
    assert_allclose(result["gold_return_1"], both["gold"].pct_change())
    assert "gold_adx_14" not in result and "adx_14" in result


def test_polars_and_numpy_integers(prices, indicators):
    frame = pl.from_pandas(prices)
    assert_array_equal(TrendFeatures().fit_transform(frame), indicators)
    steps = np.arange(1, 100).reshape(-1, 1)
    assert_array_equal(
        TrendFeatures().fit_transform(steps),
        TrendFeatures().fit_transform(steps.astype(float)),
    )


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((100, 1)),
        np.full((100, 2), 7.0),
        -np.arange(1.0, 101.0).reshape(-1, 1),
        np.random.default_rng(0).normal(size=(100, 3)) * 1e100,
        np.full((100, 1), 5e-324) * np.arange(100).reshape(-1, 1),
    ],
    ids=["zero", "constant", "negative", "huge", "tiny"],
)
def test_finite_prices_of_any_size(values):
    result = TrendFeatures().fit_transform(values)
    assert np.isfinite(result[60:]).all()


def test_one_row_has_no_indicators_yet():
    result = TrendFeatures().fit_transform([[1.0]])
    assert np.isnan(result).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["open", "high"], "columns open, high but no 'close'"),
        (["Close", "close"], "must have one column named 'close'"),
    ],
)
def test_invalid_column_names(columns, message):
    frame = pd.DataFrame(np.ones((5, 2)), columns=columns)
    with pytest.raises(ValueError, match=message):
        TrendFeatures().fit(frame)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite(bad):
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        TrendFeatures().fit([[1.0], [bad]])


def test_wrong_parameter_and_missing_library(monkeypatch):
    with pytest.raises(ValueError, match="'context' parameter of TrendFeatures"):
        TrendFeatures(context="future").fit([[1.0]])
    monkeypatch.setitem(sys.modules, "talib", None)
    with pytest.raises(ImportError, match=r"pip install 'scikit-deep\[stocks\]'"):
        TrendFeatures().fit([[1.0]])


# --- names -----------------------------------------------------------------------


def as_downloaded(prices, tickers=("AAPL",), by="price"):
    """Return prices with the columns of ``yfinance.download``."""
    parts = {ticker: prices.rename(columns=str.title) for ticker in tickers}
    frame = pd.concat(parts, axis=1, names=["Ticker", "Price"])
    return frame.swaplevel(axis=1).sort_index(axis=1) if by == "price" else frame


@pytest.mark.parametrize("by", ["price", "ticker"])
def test_columns_of_yfinance_download(prices, indicators, by):
    frame = as_downloaded(prices, by=by)
    before = frame.columns
    features = make_features().fit(frame[:CUT])
    assert_array_equal(features.transform(frame[:CUT]), indicators[:CUT])
    assert_allclose(features.transform(frame[CUT:]), indicators[CUT:], atol=1e-9)
    plain = prices.rename(columns=str.title)[features.feature_names_in_]
    assert_array_equal(features.transform(plain[:CUT]), indicators[:CUT])
    assert list(features.get_feature_names_out()) == list(indicators.columns)
    assert frame.columns is before
    flat = frame.set_axis(frame.columns.to_flat_index(), axis=1)
    assert_array_equal(features.transform(flat[:CUT]), indicators[:CUT])


@pytest.mark.parametrize("by", ["price", "ticker"])
def test_several_tickers_raise(prices, by):
    frame = as_downloaded(prices, ["AAPL", "MSFT"], by)
    message = "prices of 2 tickers, such as AAPL and MSFT.*X.xs.'AAPL', axis=1, level="
    with pytest.raises(ValueError, match=message) as caught:
        TrendFeatures().fit(frame)
    one = eval(
        str(caught.value).partition("one, ")[2].partition(", or")[0], {"X": frame}
    )
    assert len(TrendFeatures().fit(one).get_feature_names_out()) == 25
    with pytest.raises(ValueError, match="prices of 2 tickers"):
        TrendFeatures().fit(one).transform(frame)
    closes = make_features().fit(frame.xs("Close", axis=1, level="Price"))
    assert closes.get_feature_names_out()[0] == "AAPL_return_1"


def test_two_column_levels_without_a_close_are_separate_prices():
    columns = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    features = TrendFeatures().fit(pd.DataFrame(np.ones((5, 4)), columns=columns))
    assert len(features.get_feature_names_out()) == 4 * 15


@pytest.mark.parametrize("name", ["Adj Close", "adj_close", "adjClose", "Adj. Close"])
def test_adjusted_close_adjusts_all_prices_of_the_day(prices, indicators, name):
    raw = pd.DataFrame(stocks.AAPL)
    raw = raw.set_index(pd.to_datetime(raw.pop("date")))
    for day in ("2000-06-21", "2005-02-28"):  # counted in old shares
        raw.loc[day, "volume"] *= 2
    raw = raw.astype(float).rename(columns={"adj_close": name})
    features = make_features().fit(raw[:CUT])
    assert list(features.get_feature_names_out()) == list(indicators.columns)
    assert_allclose(features.transform(raw[:CUT]), indicators[:CUT], atol=1e-9)
    assert_allclose(features.transform(raw[CUT:]), indicators[CUT:], atol=1e-9)


def test_adjusted_close_only_is_a_price_and_zeros_are_valid(prices):
    alone = prices[["close"]].set_axis(["Adj Close"], axis=1)
    assert TrendFeatures().fit(alone).get_feature_names_out()[0] == "Adj Close_return_1"
    zeros = pd.DataFrame(np.zeros((70, 3)), columns=["close", "adj close", "volume"])
    assert np.isfinite(TrendFeatures().fit_transform(zeros)[60:]).all()


def test_columns_of_yfinance_history(prices, indicators):
    frame = prices.rename(columns=str.title)
    frame = frame.assign(Dividends=0.0, **{"Stock Splits": 0.0, "Capital Gains": 0.0})
    assert_array_equal(make_features().fit_transform(frame), indicators)
    # Without the prices of a day, they are columns like any other.
    assert TrendFeatures().fit_transform(frame[["Dividends"]]).shape[1] == 15


# --- dates -----------------------------------------------------------------------


def test_dates_out_of_order_repeated_or_missing(prices):
    with pytest.raises(ValueError, match="comes after 2000-03-03"):
        TrendFeatures().fit(prices.iloc[[0, 2, 1]])
    with pytest.raises(ValueError, match="2000-03-02.* is repeated"):
        TrendFeatures().fit(prices.iloc[[0, 1, 1]])
    no_date = prices.iloc[:3].set_axis(pd.DatetimeIndex(["2020-01-01", None, None]))
    with pytest.raises(ValueError, match="missing for row 1"):
        TrendFeatures().fit(no_date)
    features = TrendFeatures().fit(prices)
    with pytest.raises(ValueError, match="comes after"):
        features.transform(prices[::-1])


# --- context ---------------------------------------------------------------------


@pytest.mark.parametrize("context", ["auto", "train"])
def test_rows_that_continue_use_the_training_rows_as_context(
    prices, indicators, context
):
    features = make_features(context=context).fit(prices[:CUT])
    result = features.transform(prices[CUT:])
    assert_allclose(result, indicators[CUT:], atol=1e-9)
    assert result.index.equals(prices.index[CUT:])
    one_day = features.transform(prices[CUT : CUT + 1])
    assert_array_equal(one_day, result[:1])


@pytest.mark.parametrize(
    "reindex",
    [
        lambda frame: frame.reset_index(drop=True),
        lambda frame: frame.tz_localize("America/New_York"),
        lambda frame: frame.to_period("D"),
        lambda frame: frame.set_axis(frame.index - frame.index[0]),
        lambda frame: frame.set_axis(np.arange(len(frame)) / 4),
    ],
    ids=["numbers", "time zone", "periods", "differences", "fractions"],
)
def test_index_of_any_type_shows_that_rows_continue(prices, indicators, reindex):
    frame = reindex(prices)
    result = make_features().fit(frame.iloc[:CUT]).transform(frame.iloc[CUT:])
    assert_allclose(result, indicators[CUT:], atol=1e-9)


def test_training_rows_are_never_preceded_by_the_last_training_rows(prices, indicators):
    for context in ("auto", "train", "pad"):
        features = TrendFeatures(context=context)
        for rows in (prices, prices.to_numpy()):
            whole = features.fit(rows).transform(rows)
            columns = indicators.shape[1] if rows is prices else None
            if columns:
                assert_array_equal(whole, indicators)
            assert np.isnan(whole[:59]).any(axis=1).all()
            assert_array_equal(features.transform(rows[:100]), whole[:100])


@pytest.mark.parametrize("context", ["auto", "train"])
@pytest.mark.parametrize("start", [1, 1000, CUT - 1])
def test_rows_from_within_training_never_see_its_end(prices, context, start):
    features = TrendFeatures(context=context).fit(prices[:CUT])
    alone = TrendFeatures(context="pad").fit_transform(prices[start:])
    with pytest.warns(UserWarning, match="start before the training rows end"):
        assert_array_equal(features.transform(prices[start:]), alone)


def test_gaps_are_bridged_with_context_train_only(prices, indicators):
    later = prices[CUT + 10 :]  # more days than between any two training rows
    alone = TrendFeatures(context="pad").fit_transform(later)
    with pytest.warns(UserWarning, match="do not start right after"):
        result = TrendFeatures().fit(prices[:CUT]).transform(later)
    assert_array_equal(result, alone)
    bridged = TrendFeatures(context="train").fit(prices[:CUT]).transform(later)
    assert not np.isnan(bridged).any()
    # After the longest span only the exponential averages still know of the gap.
    assert_allclose(bridged[400:], indicators[CUT + 10 + 400 :], atol=1e-8)


def test_arrays_cannot_show_that_rows_continue(prices, indicators):
    array = prices[["close"]].to_numpy()
    whole = TrendFeatures().fit_transform(array)
    with pytest.warns(UserWarning, match="context='train'"):
        padded = TrendFeatures().fit(array[:CUT]).transform(array[CUT:])
    assert np.isnan(padded[:10]).any()
    joined = TrendFeatures(context="train").fit(array[:CUT]).transform(array[CUT:])
    assert_allclose(joined, whole[CUT:], atol=1e-9)


def test_text_labels_and_labels_of_another_type_are_ignored(prices):
    train = prices[:CUT].reset_index(drop=True)
    with pytest.warns(UserWarning, match="cannot tell whether"):
        TrendFeatures().fit(train).transform(prices[CUT:])
    named = prices.set_axis([f"day {i}" for i in range(len(prices))])
    with pytest.warns(UserWarning, match="cannot tell whether"):
        TrendFeatures().fit(named[:CUT]).transform(named[CUT:])


def test_dates_as_text_are_parsed_or_reported(prices, indicators):
    text = prices.set_axis(prices.index.strftime("%Y-%m-%d"))
    result = make_features().fit(text[:CUT]).transform(text[CUT:])
    assert_allclose(result, indicators[CUT:], atol=1e-9)
    assert result.index.equals(text.index[CUT:])
    with pytest.raises(ValueError, match="2013-02-28.* comes after 2013-03-01"):
        TrendFeatures().fit(text[::-1])
    other = prices.set_axis(prices.index.strftime("%d %b %Y"))
    with pytest.raises(ValueError, match=r"such as '01 Mar 2000'.*to_datetime"):
        TrendFeatures().fit(other)


def test_pad_is_silent_and_auto_warns_once(prices):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TrendFeatures(context="pad").fit(prices[:CUT]).transform(prices[CUT + 50 :])
        assert not caught
        features = TrendFeatures().fit(prices[:CUT])
        for _ in range(3):
            features.transform(prices[CUT + 50 :])
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the warning points at the caller's line


def test_fewer_training_rows_than_are_kept(prices, indicators):
    result = make_features().fit(prices[:20]).transform(prices[20:])
    assert_allclose(result, indicators[20:], atol=1e-12)


def test_single_training_row_has_no_time_step(prices):
    with pytest.warns(UserWarning, match="do not start right after"):
        TrendFeatures().fit(prices[:1]).transform(prices[1:])


def test_training_rows_are_copied(prices):
    array = prices[["close"]].to_numpy().copy()
    features = TrendFeatures(context="train").fit(array[:CUT])
    before = features.transform(array[CUT:])
    array[:CUT] = 1.0
    assert_array_equal(features.transform(array[CUT:]), before)


# --- persistence and pipelines ---------------------------------------------------


def test_copies_give_the_same_features(prices):
    features = TrendFeatures().fit(prices[:CUT])
    expected = features.transform(prices[CUT:])
    dumped = skops.io.dumps(features)
    names = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("skdeep.") for name in names)
    for other in (
        pickle.loads(pickle.dumps(features)),
        copy.deepcopy(features),
        skops.io.loads(dumped, trusted=names),
    ):
        assert_array_equal(other.transform(prices[CUT:]), expected)
    assert not hasattr(clone(features), "n_features_in_")


def test_pipeline_keeps_feature_names(prices):
    steps = make_pipeline(TrendFeatures(), StandardScaler())
    steps.set_output(transform="pandas")
    result = steps.fit_transform(prices)
    assert list(result.columns) == list(steps.get_feature_names_out())
    assert result.index.equals(prices.index)


@pytest.mark.parametrize("axis", [0, 1])
def test_multiindex_is_not_modified(prices, axis):
    X = prices[:100]
    keys = pd.MultiIndex.from_product([["x"], X.axes[axis]], names=["id", None])
    X = X.set_axis(keys, axis=axis)
    before, bytes_before = copy.deepcopy(X), pickle.dumps(X)
    make_features(context="pad").fit(X).transform(X)
    if PANDAS >= 3:  # before, pickles of an index hold its caches
        assert pickle.dumps(X) == bytes_before
    pd.testing.assert_frame_equal(X, before)
