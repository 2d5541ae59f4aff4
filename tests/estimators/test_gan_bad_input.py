"""GAN: errors for invalid input name the argument, and unusual tables come back."""

import pickle
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import GAN
from tests.estimators.bad_input_data import assert_raises

FEW = {
    "hidden_layer_sizes": (4,),
    "discriminator_layer_sizes": (4,),
    "code_size": 2,
    "filters": (2,),
    "max_iter": 1,
    "random_state": 0,
}
N = 40
X = np.random.default_rng(0).normal(size=(N, 2))
labels = np.arange(N) % 3
words = np.array(["u", "v"] * (N // 2))


def fit(X, y=None, **parameters):
    return GAN(**FEW | parameters).fit(X, y)


def table(**columns):
    return pd.DataFrame({"a": X[:, 0]} | columns)


@pytest.fixture(scope="module")
def trained():
    return fit(X, labels)


with_gap = X.copy()
with_gap[0, 0] = np.nan
with_infinity = X.copy()
with_infinity[0, 0] = -np.inf
images = np.random.default_rng(0).random((N, 4, 4))
torn = images.copy()
torn[0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("X", "message", "error"),
    [
        (X[:1], "at least 2 rows of X, got n_samples=1", ValueError),
        (np.ones((N, 2)), "Each column of X has one value or none", ValueError),
        (np.full((N, 2), np.nan), "Each column of X has one value or none", ValueError),
        (2**62 + np.arange(N)[:, None], "none in double precision", ValueError),
        (with_infinity, "X contains infinity", ValueError),
        (X.astype(complex), "X must be numeric, got complex", ValueError),
        (sparse.csr_array(X), "Sparse data was passed for X", TypeError),
        (table(b=words), r"\['b'\] of X must be numeric", ValueError),
        (table(b=pd.Categorical([1, "u"] * 20)), "got int and str", TypeError),
        (table(b=pd.date_range("2020", periods=N)), "got dates", ValueError),
        (table(b=pd.to_timedelta(np.arange(N))), "got durations", ValueError),
        (pd.DataFrame(X, columns=["a", "a"]), "'a' 2 times", ValueError),
        ([[10**400, 1], [2, 3]], "Invalid X: int too large", ValueError),
        ([[1, 2], [3]], "Invalid X: .*inhomogeneous", ValueError),
        (X[:0], r"Invalid X: .*0 sample\(s\)", ValueError),
        (X[:, :0], r"Invalid X: .*0 feature\(s\)", ValueError),
        (None, "Invalid X: Expected 2D array", ValueError),
        (pl.LazyFrame({"a": [1.0, 2.0]}), "X is lazy", TypeError),
        (torn, "X contains NaN", ValueError),
        (np.ones((N, 4, 4)), "X has one value, 1", ValueError),
        (images[:, :0], "images without pixels", ValueError),
    ],
)
def test_rows_that_cannot_be_learned(X, message, error):
    assert_raises(lambda: fit(X), message, error)


@pytest.mark.parametrize(
    ("y", "message", "error"),
    [
        (np.where(labels > 0, labels, np.nan), "y contains NaN", ValueError),
        (np.array([None, *"ab" * 20][:N]), "y must not hold missing", ValueError),
        (np.c_[labels, labels], "y must hold one label for each row", ValueError),
        (X[:, 0], "y must hold one label .*got continuous", ValueError),
        (labels[:5], "inconsistent numbers of samples", ValueError),
        (sparse.csr_array(labels[:, None]), "y must be dense", TypeError),
        (np.array([1, "u"] * 20, dtype=object), "label type for y", ValueError),
        ("u", "Invalid y", TypeError),
    ],
)
def test_labels_that_cannot_be_learned(y, message, error):
    assert_raises(lambda: fit(X, y), message, error)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (labels, [], "classes must hold the labels, got none"),
        (labels, [0, 1], "y. has classes not in"),
        (labels, [0.5, 1], "classes"),
        (labels, 3, "classes"),
        (None, [0, 1], "classes needs y"),
    ],
)
def test_classes_that_do_not_fit(y, classes, message):
    model = GAN(**FEW)
    with pytest.raises((TypeError, ValueError), match=message):
        model.partial_fit(X, y, classes=classes)
    assert not hasattr(model, "classes_")


def test_classes_of_a_later_call(trained):
    model = pickle.loads(pickle.dumps(trained))
    model.partial_fit(X, labels, classes=[2, 1, 0])
    with pytest.raises(ValueError, match=r"those of the first call, \[0 1 2\]"):
        model.partial_fit(X, labels, classes=[0, 1])


def test_labels_of_later_calls_are_drawn_as_well():
    X = pd.DataFrame({"k": pd.Categorical(["u"] * 9 + ["v"] * 9)})
    y = np.repeat([0, 1], 9)
    model = GAN(**FEW | {"training_by_sampling": True})
    model.partial_fit(X[:10], y[:10], classes=[0, 1, 2])
    assert_array_equal(model._targets.counts_, [9, 1, 0])
    model.partial_fit(X, y)
    assert_array_equal(model._targets.counts_, [18, 10, 0])
    with pytest.raises(ValueError, match="y. has classes not in"):
        model.partial_fit(X, y + 2)
    assert_array_equal(model._targets.counts_, [18, 10, 0])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, None], "y must not hold missing values"),
        ([0, 1, np.nan], "y must not hold missing values"),
        (sparse.csr_array([[0, 1, 2]]), r"y must be one label .*got shape \(1, 3\)"),
        (pd.DataFrame({"y": [0, 1, 2]}), r"got shape \(3, 1\)"),
        (object(), "Invalid y"),
        ({"a": 1}, "Invalid y"),
        (7, "y. has classes not in"),
        ("0", "y. has classes not in"),
    ],
)
def test_labels_that_cannot_be_sampled(trained, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        trained.sample(3, y=y)


@pytest.mark.parametrize("n_samples", [0, -1, 2.0, None, "3"])
def test_numbers_of_samples(trained, n_samples):
    assert_raises(lambda: trained.sample(n_samples), "'n_samples' parameter of GAN")


@pytest.mark.parametrize("n_samples", [2**60, sys.maxsize, 2**70])
def test_more_samples_than_an_array_holds(trained, n_samples):
    with pytest.raises(MemoryError, match=r"n_samples|Unable to allocate"):
        trained.sample(n_samples)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pack_size": N + 1}, "pack_size=41 is more than the number of rows"),
        ({"pack_size": 3, "batch_size": 2}, "pack_size=3 is more .* batch, 2"),
        ({"discriminator_layer_sizes": (4, -1)}, "discriminator_layer_sizes must be"),
        ({"solver": "lbfgs"}, "'solver' parameter of GAN"),
        ({"learning_rate": "plateau"}, "'learning_rate' parameter of GAN"),
        ({"image_shape": (2, 2)}, r"image_shape=\(2, 2\) has 4 values"),
        ({"categorical_features": [5]}, r"categorical_features holds \[5\]"),
    ],
)
def test_parameters_that_do_not_fit(parameters, message):
    assert_raises(lambda: fit(X, **parameters), message)


@pytest.mark.parametrize(
    "changed",
    [
        {"code_size": 3},
        {"hidden_layer_sizes": (5,)},
        {"discriminator_layer_sizes": (5,)},
        {"pack_size": 2},
        {"training_by_sampling": True},
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sizes_that_change_after_the_first_call(changed, method):
    rows = table(b=pd.Categorical(words))
    model = fit(rows, warm_start=True)
    expected = model.sample(3, random_state=0)
    model.set_params(**changed)
    assert_raises(lambda: getattr(model, method)(rows), "layers have other sizes")
    pd.testing.assert_frame_equal(model.sample(3, random_state=0), expected)


def test_a_failing_fit_changes_nothing(trained):
    expected = trained.sample(3, random_state=0)
    for bad in [(with_infinity, labels), (X[:1], [0]), (X, labels[:4])]:
        with pytest.raises(ValueError, match=r"X|samples"):
            trained.fit(*bad)
        assert_array_equal(trained.sample(3, random_state=0), expected)
        assert_array_equal(trained.classes_, [0, 1, 2])


def test_rare_categories_depend_on_random_state():
    rows = pd.DataFrame({"k": pd.Categorical(np.arange(1000) % 500)})
    model = fit(rows)
    samples = [model.sample(3000, random_state=seed).astype(int) for seed in (0, 1, 0)]
    rare = [each["k"][each["k"] >= 250].tolist()[:5] for each in samples]
    assert len(rare[0]) == 5
    assert rare[0] != rare[1]
    assert rare[0] == rare[2]


@pytest.mark.parametrize("library", [pd, pl])
def test_one_column_of_categories_is_a_table(library):
    dtype = "category" if library is pd else pl.Categorical
    rows = library.DataFrame({"k": library.Series([*words], dtype=dtype)})
    samples = fit(rows).sample(9, random_state=0)
    assert samples.shape == (9, 1)
    assert set(samples["k"]) <= {"u", "v"}


def test_a_column_of_text_that_is_named_is_a_table():
    rows = pd.DataFrame({"k": words})
    samples = fit(rows, categorical_features=["k"]).sample(9, random_state=0)
    assert set(samples["k"]) <= {"u", "v"}


def test_nullable_columns_of_pandas_come_back_with_their_gaps():
    rows = table(
        yes=pd.array([True, None, False, True] * 10, dtype="boolean"),
        count=pd.array([1, None, 255, 4] * 10, dtype="UInt8"),
        part=pd.array([0.5, None, 1.5, 2.5] * 10, dtype="Float32"),
    )
    samples = fit(rows).sample(60, random_state=0)
    pd.testing.assert_series_equal(samples.dtypes, rows.dtypes)
    assert samples.iloc[:, 1:].isna().any().all()
    assert set(samples["yes"].dropna()) == {True, False}


def test_columns_of_polars_come_back_with_their_gaps():
    rows = pl.DataFrame(
        {
            "yes": [True, None] * 20,
            "count": [None, 255] * 20,
            "part": [1.5, None] * 20,
            "kind": [*words],
        },
        schema_overrides={"count": pl.UInt8, "kind": pl.Enum(["u", "v", "w"])},
    )
    samples = fit(rows).sample(60, random_state=0)
    assert samples.schema == rows.schema
    for name, only in (("yes", True), ("count", 255), ("part", 1.5)):
        assert 0 < samples[name].null_count() < 60
        assert set(samples[name].drop_nulls()) == {only}


@pytest.mark.parametrize("scaling", ["modes", "standard"])
def test_integers_stay_in_the_range_of_their_type(scaling):
    rng = np.random.default_rng(0)
    for dtype in ("int8", "uint8", "int64", "uint64"):
        limits = np.iinfo(dtype)
        rows = rng.integers(limits.min, limits.max, (N, 2), dtype=dtype, endpoint=True)
        samples = fit(rows, scaling=scaling).sample(50, random_state=0)
        assert samples.dtype == dtype
        # As doubles, in which the numbers are computed.
        assert float(samples.min()) >= float(rows.min())
        assert float(samples.max()) <= float(rows.max())


@pytest.mark.parametrize(
    "given",
    [np.asfortranarray(X), X[::-1, ::-1][::-1, ::-1], X.tolist(), X.astype(">f8")],
)
def test_layouts_in_memory_do_not_matter(given):
    expected = fit(X).sample(5, random_state=0)
    assert_array_equal(fit(given).sample(5, random_state=0), expected)


def test_rows_are_only_read():
    rows = table(k=pd.Categorical(words), n=pd.array([1, None] * 20, dtype="Int64"))
    before = rows.copy(deep=True)
    fit(rows, labels)
    pd.testing.assert_frame_equal(rows, before)
    frozen = X.copy()
    frozen.flags.writeable = False
    fit(frozen, labels)


def test_a_column_of_labels_is_flattened(trained):
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        model = fit(X, labels[:, None])
    assert_array_equal(
        model.sample(4, y=1, random_state=0), trained.sample(4, y=1, random_state=0)
    )


def test_searches_need_a_score():
    search = GridSearchCV(GAN(**FEW), {"code_size": [2, 3]}, cv=2)
    assert_raises(lambda: search.fit(X), "score", TypeError)


def test_the_last_step_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), GAN(**FEW)).fit(X)
    assert pipeline[-1].sample(3).shape == (3, 2)


def test_a_column_of_text_alone():
    cities = pd.DataFrame({"city": ["Rome", "Oslo"] * 20})
    with pytest.raises(ValueError, match="give it a categorical type"):
        GAN(2).fit(cities)
