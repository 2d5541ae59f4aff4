"""SlidingWindow compared with windows cut row by row; context and calendars."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import LSTMClassifier
from skdeep.preprocessing import SlidingWindow
from tests.round_trips import through_joblib

PANDAS = int(pd.__version__.partition(".")[0])

ORDER = "rows are in time order: a window holds the rows before it"
EXEMPT = {
    "check_methods_sample_order_invariance": ORDER,
    "check_methods_subset_invariance": ORDER,
}

# Some tests use windows longer than the rows.
pytestmark = pytest.mark.filterwarnings("ignore:SlidingWindow. window=:UserWarning")


@parametrize_with_checks(
    [SlidingWindow(window=1), SlidingWindow(3, context="train")],
    # A window of one row does not depend on the order of the rows.
    expected_failed_checks=lambda estimator: EXEMPT if estimator.window > 1 else {},
)
# Checks transform rows that do not follow the training rows, so "auto" warns.
@pytest.mark.filterwarnings("ignore:SlidingWindow. cannot tell:UserWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def reference(before, rows, window):
    """Cut the window of each row out of all rows, by hand."""
    everything = [*before, *rows]
    windows = []
    for end in range(len(before), len(everything)):
        steps = range(end - window + 1, end + 1)
        windows.append([everything[max(step, 0)] for step in steps])
    return np.array(windows)


def make_rows(n_rows=40, n_features=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_features))


def make_frame(n_rows=40, n_features=3):
    days = pd.date_range("2024-01-01", periods=n_rows)
    columns = [f"c{i}" for i in range(n_features)]
    return pd.DataFrame(make_rows(n_rows, n_features), days, columns)


# --- windows ---------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 7, 40, 60])
@pytest.mark.parametrize("n_features", [1, 3])
def test_window_holds_the_rows_up_to_its_row(window, n_features):
    X = make_rows(n_features=n_features)
    windows = SlidingWindow(window).fit_transform(X)
    assert windows.shape == (40, window, n_features)
    assert_array_equal(windows, reference([], X, window))
    assert_array_equal(windows[:, -1], X)


@pytest.mark.parametrize("seed", range(8))
def test_no_window_holds_a_later_row(seed):
    generator = np.random.default_rng(seed)
    n_rows, window = generator.integers(2, 50), generator.integers(1, 20)
    X = make_rows(n_rows, 2, seed)
    changed = X.copy()
    cut = generator.integers(1, n_rows)
    changed[cut:] += generator.uniform(1, 2, size=changed[cut:].shape)
    for context in ("auto", "pad"):
        transformer = SlidingWindow(window, context)
        before, after = transformer.fit_transform(X), transformer.fit_transform(changed)
        assert_array_equal(after[:cut], before[:cut])
        assert (after[cut:, -1] != before[cut:, -1]).all()


def test_windows_are_a_read_only_view_of_one_copy():
    X = make_rows(1000)
    original = X.copy()
    windows = SlidingWindow(100).fit_transform(X)
    assert not np.shares_memory(windows, X)
    low, high = np.lib.array_utils.byte_bounds(windows)
    assert high - low == (1000 + 99) * 3 * X.itemsize
    with pytest.raises(ValueError, match="read-only"):
        windows[0, 0, 0] = 1.0
    windows.copy()[:] = 0.0
    assert_array_equal(X, original)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_type_is_kept(dtype):
    X = make_rows().astype(dtype)
    transformer = SlidingWindow(5, context="train").fit(X[:20].astype(np.float64))
    assert transformer.transform(X[20:]).dtype == dtype
    assert SlidingWindow(5).fit_transform(X).dtype == dtype


def test_other_containers():
    X = np.arange(12).reshape(6, 2)
    expected = reference([], X.astype(float), 3)
    for each in (X, X.tolist(), X[:, ::-1][:, ::-1], pd.DataFrame(X), pl.DataFrame(X)):
        windows = SlidingWindow(3).fit_transform(each)
        assert windows.dtype == np.float64
        assert_array_equal(windows, expected)


def test_missing_values_pass_through():
    X = make_rows()
    X[:3, 0] = X[17, 1] = np.nan
    assert_array_equal(SlidingWindow(4).fit_transform(X), reference([], X, 4))


def test_one_row():
    assert_array_equal(SlidingWindow(3).fit_transform([[1.0, 2.0]]), [[[1.0, 2.0]] * 3])


# --- names and containers of the output --------------------------------------------


def test_feature_names_are_those_of_the_last_axis():
    frame = make_frame()
    transformer = SlidingWindow(5).fit(frame)
    assert transformer.n_features_in_ == 3
    assert_array_equal(transformer.feature_names_in_, frame.columns)
    assert_array_equal(transformer.get_feature_names_out(), frame.columns)
    unnamed = SlidingWindow(5).fit(frame.to_numpy())
    assert_array_equal(unnamed.get_feature_names_out(), ["x0", "x1", "x2"])
    assert_array_equal(unnamed.get_feature_names_out(frame.columns), frame.columns)
    with pytest.raises(ValueError, match="input_features"):
        transformer.get_feature_names_out(["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(5)).fit(frame)
    assert_array_equal(pipeline.get_feature_names_out(), frame.columns)


@pytest.mark.parametrize("container", ["pandas", "polars", "default"])
def test_output_is_always_an_array(container):
    frame = make_frame()
    expected = reference([], frame.to_numpy(), 4)
    set_here = SlidingWindow(4).set_output(transform=container)
    assert type(set_here.fit_transform(frame)) is np.ndarray
    with sklearn.config_context(transform_output=container):
        windows = SlidingWindow(4).fit(frame).transform(frame)
    assert type(windows) is np.ndarray
    assert_array_equal(windows, expected)


def test_pipeline_with_pandas_output_keeps_the_dates():
    frame = make_frame()
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(4))
    pipeline.set_output(transform="pandas").fit(frame[:30])
    scaled = pipeline[0].transform(frame).to_numpy()
    windows = pipeline.transform(frame[30:])  # warns where it sees no dates
    assert_array_equal(windows, reference(scaled[:30], scaled[30:], 4))


# --- context ---------------------------------------------------------------------


@pytest.mark.parametrize("context", ["auto", "train"])
@pytest.mark.parametrize("window", [1, 2, 6, 35])
def test_rows_that_continue_use_the_training_rows_as_context(context, window):
    frame = make_frame()
    transformer = SlidingWindow(window, context).fit(frame[:25])
    windows = transformer.transform(frame[25:])
    expected = reference(frame.to_numpy()[:25], frame.to_numpy()[25:], window)
    assert_array_equal(windows, expected)
    assert_array_equal(transformer.transform(frame[25:26]), expected[:1])


def test_pad_does_not_use_the_training_rows():
    frame = make_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = SlidingWindow(6, "pad").fit(frame[:25]).transform(frame[25:])
    assert_array_equal(windows, reference([], frame.to_numpy()[25:], 6))


def test_arrays_are_padded_with_one_warning_unless_context_is_train():
    X = make_rows()
    transformer = SlidingWindow(6).fit(X[:25])
    with pytest.warns(
        UserWarning, match=r"SlidingWindow: .* context='train'"
    ) as caught:
        windows = transformer.transform(X[25:])
        transformer.transform(X[26:])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_array_equal(windows, reference([], X[25:], 6))
    joined = SlidingWindow(6, "train").fit(X[:25]).transform(X[25:])
    assert_array_equal(joined, reference(X[:25], X[25:], 6))


def test_a_window_of_one_row_needs_no_context_and_never_warns():
    frame = make_frame()
    windows = SlidingWindow(1).fit(frame[:10]).transform(frame[30:])
    assert_array_equal(windows[:, 0], frame[30:])


def with_missing(X):
    X = X.copy()
    X[:2, 0] = np.nan
    return X


@pytest.mark.parametrize("change", [lambda X: X, with_missing, lambda X: X * 1e8])
@pytest.mark.parametrize("context", ["auto", "train", "pad"])
def test_training_rows_are_never_preceded_by_the_last_training_rows(context, change):
    X = change(make_rows())
    transformer = SlidingWindow(6, context).fit(X)
    for rows in (X, X[:3], X.astype(np.float32)):
        expected = reference([], rows, 6)
        assert_array_equal(transformer.transform(rows), expected)
        frame = pd.DataFrame(rows)
        assert_array_equal(
            SlidingWindow(6, context).fit(frame).transform(frame), expected
        )


def test_training_rows_are_recognized_despite_rounding():
    X = make_rows(300, 20)
    pca = PCA(8, svd_solver="full", random_state=0)
    fitted = pca.fit_transform(X)
    again = pca.transform(X)
    assert (fitted != again).any()  # otherwise the test would be meaningless
    windows = SlidingWindow(5, "train").fit(fitted).transform(again)
    assert_array_equal(windows, reference([], again, 5))


def test_gap_and_overlap_are_padded():
    frame = make_frame()
    for later, reason in (
        (frame[28:], "do not start right after .*Set context='train'"),
        (frame[20:], "start before the training rows end, so .*history. Set .*'pad'"),
    ):
        transformer = SlidingWindow(6).fit(frame[:25])
        with pytest.warns(UserWarning, match=reason):
            windows = transformer.transform(later)
        assert_array_equal(windows, reference([], later.to_numpy(), 6))


def test_window_may_be_changed_after_fit():
    frame = make_frame()
    transformer = SlidingWindow(6).fit(frame[:25]).set_params(window=3)
    expected = reference(frame.to_numpy()[:25], frame.to_numpy()[25:], 3)
    assert_array_equal(transformer.transform(frame[25:]), expected)


# --- calendars -----------------------------------------------------------------------

FLAT = FunctionTransformer(lambda windows: windows.reshape(len(windows), -1))
NEW_YORK = "America/New_York"
DAYS_THERE = pd.date_range("2024-04-01", periods=240, freq="D", tz=NEW_YORK)
TRADED = pd.bdate_range("2024-01-01", periods=60).delete([0, 14, 41])


@pytest.mark.parametrize(
    ("index", "cut"),
    [
        (DAYS_THERE, 217),  # the last training day has 25 hours
        (pd.date_range("2017-01-01", periods=9, freq="YS"), 4),
        (pd.date_range("2023-01-31", periods=9, freq="ME"), 2),
        (pd.date_range("2023-02-01", periods=9, freq="MS"), 2),
        (pd.date_range("2023-06-30", periods=9, freq="QE"), 3),
        (pd.bdate_range("2024-01-01", periods=19), 10),  # a weekend
        (pd.bdate_range("2024-02-05", periods=19).delete(10), 10),  # with a holiday
        (pd.bdate_range("2023-12-11", periods=19).delete([10, 11]), 10),  # with two
        (TRADED, 39),
        (TRADED.to_period("D"), 39),
        (pd.period_range("1500", periods=9, freq="Y"), 5),
        (pd.Index([0.0, 0.25, 0.5, 0.75, 1.0]), 3),
        (pd.RangeIndex(0, 45, 5), 4),
        (pd.date_range("2024-03-10", periods=9, freq="h", tz=NEW_YORK), 2),
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize("is_plain", [False, True])
def test_next_date_of_the_calendar_continues(index, cut, is_plain):
    if is_plain and isinstance(index, pd.DatetimeIndex):
        index = index[np.arange(len(index))]
    X = pd.DataFrame({"a": np.arange(len(index)) * 1.0}, index)
    windows = SlidingWindow(3).fit(X.iloc[:cut]).transform(X.iloc[cut:])
    assert_array_equal(windows[0, :, 0], [cut - 2, cut - 1, cut])


@pytest.mark.parametrize(
    ("index", "cut", "n_skipped"),
    [
        (DAYS_THERE, 217, 1),
        (pd.date_range("2017-01-01", periods=9, freq="YS"), 4, 1),
        (pd.date_range("2022-12-31", periods=9, freq="ME"), 2, 1),
        (pd.bdate_range("2024-01-01", periods=12), 4, 1),  # its freq knows no holidays
        (TRADED, 39, 4),
        (pd.RangeIndex(0, 45, 5), 4, 1),
        (pd.period_range("1500", periods=9, freq="Y"), 5, 1),
    ],
    ids=lambda value: str(value)[:60],
)
def test_rows_after_skipped_dates_are_padded(index, cut, n_skipped):
    X = pd.DataFrame({"a": np.arange(len(index)) * 1.0}, index)
    transformer = SlidingWindow(3).fit(X[:cut])
    with pytest.warns(UserWarning, match="do not start right after"):
        transformer.transform(X[cut + n_skipped :])


def test_freq_determines_the_next_date():
    closed = pd.offsets.CustomBusinessDay(holidays=["2024-01-09", "2024-01-10"])
    days = pd.date_range("2024-01-02", periods=9, freq=closed)
    X = pd.DataFrame({"a": np.arange(9.0)}, days[np.arange(9)])
    for freq in (closed, None):
        transformer = SlidingWindow(3, freq=freq).fit(X[:5])
        assert transformer.transform(X[5:])[0, 0, 0] == 3
    strict = SlidingWindow(3, freq="B").fit(X[:5])
    with pytest.warns(UserWarning, match="do not start right after"):
        strict.transform(X[5:])
    with pytest.raises(ValueError, match=r"calendar freq='W-MON': 2024-01-02.*row 0"):
        SlidingWindow(freq="W-MON").fit(X)
    with pytest.raises(ValueError, match=r"freq='B': 2024-01-13.*row 0"):
        strict.transform(X[:2].set_axis(pd.to_datetime(["2024-01-13", "2024-01-15"])))
    with pytest.raises(ValueError, match="freq='B'.*no index of dates"):
        SlidingWindow(freq="B").fit(X.to_numpy())
    with pytest.raises(ValueError, match="'freq' parameter of SlidingWindow"):
        SlidingWindow(freq=1).fit(X)


def test_an_irregular_index_raises_a_warning():
    days = pd.date_range("2024-01-01", periods=300)
    kept = np.sort(np.random.default_rng(0).choice(300, 150, replace=False))
    for index in (days[kept], pd.Index(kept)):
        X = pd.DataFrame({"a": np.arange(150.0)}, index)
        with pytest.warns(
            UserWarning, match="irregular: .* of its .* have no row"
        ) as caught:
            SlidingWindow(3).fit(X)
        assert caught[0].filename == __file__
        shuffled = X.sample(frac=1, random_state=0)
        if isinstance(index, pd.DatetimeIndex):
            with pytest.raises(ValueError, match="in time order"):
                SlidingWindow(3).fit(shuffled)
            continue
        with pytest.warns(UserWarning, match="out of order: row 1 has") as caught:
            windows = SlidingWindow(3).fit(shuffled).transform(shuffled)
        assert {warning.filename for warning in caught} == {__file__}
        assert_array_equal(windows[:, -1], shuffled)


def test_folds_of_numbered_rows_do_not_warn():
    X = pd.DataFrame(make_rows(90, 2))
    y = X[0] > 0
    pipeline = make_pipeline(SlidingWindow(3, "train"), FLAT, LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_val_score(pipeline, X, y, cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()
    with pytest.warns(UserWarning, match="out of order"):
        cross_val_score(pipeline, X, y, cv=ShuffleSplit(1, random_state=0))


# --- in a pipeline -----------------------------------------------------------------


def test_cross_validation_in_time_order():
    X = make_rows(400, 2)
    # Whether the sum of the last five rows is positive: one row is not enough.
    y = (np.convolve(X[:, 0], np.ones(5))[:400] > 0).astype(int)
    network = LSTMClassifier(8, learning_rate_init=0.03, max_iter=30, random_state=0)
    folds = TimeSeriesSplit(n_splits=3)

    def score(window):
        steps = StandardScaler(), SlidingWindow(window, context="train"), network
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
            return cross_val_score(make_pipeline(*steps), X, y, cv=folds).mean()

    assert score(5) > 0.85 > score(1)


# --- persistence -------------------------------------------------------------------


def through_skops(estimator):
    # Besides the transformer: its context, and the calendar of its dates.
    names = [
        "skdeep.preprocessing._sliding_window.SlidingWindow",
        "skdeep.encoding._context.RowContext",
        "skdeep.encoding._time_axis.TimeAxis",
        "skdeep.encoding._calendar.Calendar",
    ]
    data = skops.io.dumps(estimator)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(names)
    return skops.io.loads(data, trusted=names)


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda estimator: pickle.loads(pickle.dumps(estimator)),
        through_joblib,
        through_skops,
    ],
    ids=["deepcopy", "pickle", "joblib", "skops"],
)
def test_copies_keep_the_context(copied):
    frame = make_frame()
    transformer = SlidingWindow(6).fit(frame[:25])
    assert_array_equal(
        copied(transformer).transform(frame[25:]), transformer.transform(frame[25:])
    )


# --- bad input ---------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, -3, 2.5, "10", None])
def test_invalid_window(window):
    with pytest.raises(ValueError, match="'window' parameter of SlidingWindow"):
        SlidingWindow(window).fit(make_rows())


def test_invalid_context():
    with pytest.raises(ValueError, match="'context' parameter of SlidingWindow"):
        SlidingWindow(context="future").fit(make_rows())


@pytest.mark.parametrize(("name", "value"), [("window", 0), ("context", "future")])
def test_bad_parameters_after_fit(name, value):
    transformer = SlidingWindow(2).fit(make_rows()).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of SlidingWindow"):
        transformer.transform(make_rows())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(5), "Expected 2D array, got 1D"),
        (np.ones((2, 3, 4)), "dim 3"),
        (np.empty((0, 2)), "0 sample"),
        ([[1.0], [np.inf]], "infinity"),
        ([["a"], ["b"]], "could not convert string"),
    ],
)
def test_invalid_rows(X, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindow().fit(X)
    transformer = SlidingWindow().fit(make_rows(n_features=1))
    with pytest.raises(ValueError, match=message):
        transformer.transform(X)


def test_sparse_rows_raise():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        SlidingWindow().fit(sparse.csr_array(np.eye(4)))


def test_other_columns_and_unordered_dates_raise():
    frame = make_frame()
    transformer = SlidingWindow().fit(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(frame.rename(columns={"c0": "other"}))
    with pytest.raises(ValueError, match="X has 2 features"):
        SlidingWindow().fit(frame.to_numpy()).transform(np.ones((3, 2)))
    with pytest.raises(ValueError, match="comes after"):
        SlidingWindow().fit(frame[::-1])
    with pytest.raises(ValueError, match="is repeated"):
        transformer.transform(frame.iloc[[0, 1, 1]])


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SlidingWindow().transform(make_rows())
    assert clone(SlidingWindow(7, "pad")).get_params() == {
        "window": 7,
        "context": "pad",
        "freq": None,
    }


def test_pipeline_with_a_progress_bar():
    """Every step takes scikit-learn's callbacks: a warning would be an error here."""
    X = np.random.RandomState(0).normal(size=(60, 2))
    network = LSTMClassifier(4, max_iter=2, learning_rate="cosine")
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(3), network)
    pipeline.set_callbacks(ProgressBar()).fit(X, X[:, 0] > 0)


def test_gaps_in_later_rows_raise_a_warning():
    X = make_frame()
    transformer = SlidingWindow(3).fit(X[:25])
    with pytest.warns(
        UserWarning, match="has 1 gap.*2024-02-01.* 2024-02-03"
    ) as caught:
        transformer.transform(X[25:].drop(X.index[32]))
    assert caught[0].filename == __file__


def test_a_window_longer_than_the_rows_raises_a_warning():
    rows = np.arange(10.0).reshape(5, 2)
    with pytest.warns(UserWarning, match=r"window=6 is longer than the 5 row\(s\)"):
        windows = SlidingWindow(6, context="pad").fit_transform(rows)
    assert_array_equal(windows[0], np.repeat(rows[:1], 6, axis=0))
    SlidingWindow(5, context="pad").fit(rows).transform(rows[:2])  # warns in fit alone


@pytest.mark.parametrize("window", [2**45, 10**30])
def test_window_too_large_for_the_memory(window):
    rows = np.zeros((5, 2))
    with pytest.raises(MemoryError):
        SlidingWindow(window, context="pad").fit_transform(rows)


def test_failed_fit_keeps_the_previous_fit():
    rows = np.arange(10.0).reshape(5, 2)
    transformer = SlidingWindow(2, context="pad")
    with pytest.raises(ValueError, match="X"):
        transformer.fit(rows + 1j)
    assert vars(transformer) == {"window": 2, "context": "pad", "freq": None}
    before = transformer.fit(rows).transform(rows)
    with pytest.raises(ValueError, match="X"):
        transformer.fit(np.full((5, 3), "a"))
    assert_array_equal(transformer.transform(rows), before)


def test_window_true_is_one():
    """scikit-learn accepts True for the int 1."""
    rows = np.arange(10.0).reshape(5, 2)
    windows = SlidingWindow(True, context="pad").fit_transform(rows)
    assert_array_equal(windows, rows[:, np.newaxis])


@pytest.mark.parametrize("levels", ["dates", "numbers", "columns"])
def test_multiindex_is_not_modified(levels):
    X = make_frame()
    days = X.index if levels == "dates" else range(len(X))
    keys = pd.MultiIndex.from_arrays([["x"] * len(X), days])
    if levels == "columns":
        keys = pd.MultiIndex.from_product([["p"], X.columns])
    X = X.set_axis(keys, axis=int(levels == "columns"))
    before, bytes_before = copy.deepcopy(X), pickle.dumps(X)
    SlidingWindow(3, "pad").fit(X).transform(X)
    if PANDAS >= 3:  # before, pickles of an index hold its caches
        assert pickle.dumps(X) == bytes_before
    pd.testing.assert_frame_equal(X, before)
