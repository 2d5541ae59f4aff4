"""load_stock_trend: labels computed by hand, and features without future values."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import load_stock_prices, load_stock_trend
from skdeep.preprocessing import TrendFeatures


def save(prices, path):
    prices.rename_axis("Date").to_csv(path)
    return path


@pytest.fixture(scope="module")
def prices():
    return load_stock_prices("AAPL")


@pytest.mark.parametrize("horizon", [1, np.uint8(20)])
def test_labels_match_a_loop(prices, horizon):
    target = load_stock_trend("AAPL", horizon=horizon).target
    close, horizon = prices["close"], int(horizon)
    for date, label in target.items():
        day = close.index.get_loc(date)
        rose = close.iloc[day + horizon] > close.iloc[day] * (1 + 1e-9)
        assert label == ("increase" if rose else "decrease")
    assert target.index[-1] == prices.index[-1 - horizon]


def test_no_change_is_labeled_decrease_despite_rounding_of_adjusted_prices(prices):
    target = load_stock_trend("AAPL").target
    # Equal as quoted; the adjusted prices differ in their last bits on some such days.
    from bokeh_sampledata.stocks import AAPL

    quoted = pd.Series(AAPL["close"], index=prices.index)
    flat = quoted.index[:-1][np.diff(quoted) == 0].intersection(target.index)
    assert len(flat) > 20
    assert (target[flat] == "decrease").all()


def test_contents_of_the_bunch(prices):
    trend = load_stock_trend("MSFT", horizon=5)
    assert list(trend.data.columns) == trend.feature_names
    assert list(trend.data.index) == list(trend.target.index)
    assert sorted(trend.target.unique()) == trend.target_names
    pd.testing.assert_frame_equal(trend.frame.drop(columns="trend"), trend.data)
    pd.testing.assert_series_equal(trend.frame["trend"], trend.target)
    pd.testing.assert_frame_equal(trend.prices, load_stock_prices("MSFT"))
    assert "MSFT" in trend.DESCR and "5 trading days later" in trend.DESCR
    X, y = load_stock_trend("MSFT", horizon=5, return_X_y=True)
    pd.testing.assert_frame_equal(X, trend.data)
    pd.testing.assert_series_equal(y, trend.target)


def test_all_rows_with_complete_indicators_are_kept(prices):
    data, _ = load_stock_trend("AAPL", horizon=3, return_X_y=True)
    assert np.isfinite(data.to_numpy()).all()
    features = TrendFeatures().set_output(transform="pandas").fit_transform(prices)
    expected = features.dropna().iloc[:-3]
    pd.testing.assert_frame_equal(data, expected)


@pytest.mark.parametrize("cut", [100, 450])
def test_features_do_not_depend_on_later_rows(prices, tmp_path, cut):
    generator, prices = np.random.default_rng(cut), prices[:500]
    shuffled = prices.copy()
    shuffled.iloc[cut:] = generator.permutation(prices.to_numpy()[cut:], axis=0)
    (before, _), (after, _) = (
        load_stock_trend(save(frame, tmp_path / f"{i}.csv"), return_X_y=True)
        for i, frame in enumerate([prices, shuffled])
    )
    past = prices.index[60:cut]
    assert_array_equal(before.loc[past], after.loc[past])
    assert not np.array_equal(
        before.loc[prices.index[cut] :], after.loc[prices.index[cut] :]
    )


def test_labels_do_not_depend_on_rows_beyond_their_horizon(prices, tmp_path):
    changed = prices[:600].copy()
    changed.iloc[500:] *= 0.01
    original = load_stock_trend("AAPL", horizon=5).target
    path = save(changed, tmp_path / "changed.csv")
    target = load_stock_trend(path, horizon=5).target
    safe = prices.index[60:495]
    assert_array_equal(target[safe], original[safe])
    assert (target[prices.index[495:500]] == "decrease").all()


def test_short_history_has_rows():
    assert len(load_stock_trend("FB").data) == 196 - 60 - 1


def test_too_few_days_raise(prices, tmp_path):
    path = save(prices[:61], tmp_path / "short.csv")
    with pytest.raises(ValueError, match=r"short.csv' has 61 days.* horizon=1 .* 62"):
        load_stock_trend(path)
    path = save(prices[:9], tmp_path / "shorter.csv")
    with pytest.raises(ValueError, match="has 9 days.* horizon=5 need at least 66"):
        load_stock_trend(path, horizon=5)
    path = save(prices[:62], tmp_path / "enough.csv")
    assert load_stock_trend(path).data.shape[0] == 1


@pytest.mark.parametrize("horizon", [0, -1, 1.5, "day", None])
def test_invalid_horizon(horizon):
    with pytest.raises(ValueError, match="'horizon' parameter of load_stock_trend"):
        load_stock_trend("AAPL", horizon=horizon)


def test_invalid_ticker_raises():
    with pytest.raises(ValueError, match="'NOPE' is not among"):
        load_stock_trend("NOPE")
