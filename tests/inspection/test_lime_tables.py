"""Explanations of tables with known effects, for columns of all types."""

import datetime
import re
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from lime.lime_tabular import LimeTabularExplainer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from skdeep import CostSensitiveClassifier, MLPClassifier, MLPRegressor
from skdeep.inspection import lime_explain

# Warnings are tested in test_lime_fidelity.py.
pytestmark = pytest.mark.filterwarnings("ignore:The local models of:UserWarning")

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

N = 300
X = rng.normal([0, 5, -3, 0.5], [1, 2, 0.1, 30], size=(N, 4))
MEAN, SD = X.mean(axis=0), X.std(axis=0)
COEFFICIENTS = np.array([1.0, -2.0, 30.0, 0.05])
LINEAR = LinearRegression().fit(X, X @ COEFFICIENTS + 7)

# Columns of each kind, with missing values.
FRAME = pd.DataFrame(
    {
        "age": rng.integers(18, 80, N),
        "pay": np.where(rng.random(N) < 0.1, np.nan, rng.lognormal(size=N)),
        "job": pd.Series(rng.choice(["cook", "smith", "none"], N), dtype=object),
        "town": pd.Categorical(rng.choice(["Ulm", "Bonn"], N)),
        "member": rng.random(N) < 0.5,
        "since": pd.Timestamp("2020") + pd.to_timedelta(rng.integers(0, 9, N), "D"),
    }
)
FRAME.loc[::9, "town"] = None
GOOD = np.where((FRAME["age"] > 50) ^ (FRAME["job"] == "cook"), "good", "bad")


def network(estimator=MLPClassifier, **parameters):
    """Return a small network that trains in milliseconds."""
    few = {"solver": "lbfgs", "max_iter": 1000, "alpha": 1.0, "random_state": 0}
    return estimator(hidden_layer_sizes=(4,), **{**few, **parameters})


def assert_same(first, second, rtol=1e-7):
    """Check that two explanations are equal."""
    assert first.unit_names_ == second.unit_names_
    assert list(first.outputs_) == list(second.outputs_)
    for name in ["weights_", "effects_", "intercept_", "r2_", "stability_"]:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=rtol, atol=1e-9
        )


# -- perturbed numbers -----------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.1, 0.5, 2])
@pytest.mark.parametrize("n_rows", [1, 3])
def test_linear_effects(spread, n_rows):
    explanation = explain(LINEAR, X[:n_rows], background=X, spread=spread)
    np.testing.assert_allclose(
        explanation.weights_, np.tile(COEFFICIENTS * SD, (n_rows, 1)), rtol=0.01
    )
    np.testing.assert_allclose(
        explanation.effects_, COEFFICIENTS * (X[:n_rows] - MEAN), rtol=0.01
    )
    np.testing.assert_allclose(explanation.intercept_, MEAN @ COEFFICIENTS + 7)
    np.testing.assert_allclose(explanation.prediction_, LINEAR.predict(X[:n_rows]))
    np.testing.assert_array_equal(np.vectorize(float)(explanation.values_), X[:n_rows])
    assert explanation.outputs_ == ["prediction"] * n_rows
    assert explanation.unit_names_ == ["x0", "x1", "x2", "x3"]


def test_matches_the_lime_package_at_spread_1(regressor):
    def smooth(X):
        z = (X - MEAN) / SD
        return np.tanh(z[:, 0]) + np.sin(z[:, 1]) * z[:, 2]

    row = MEAN + [0.3, 0.4, -0.05, 10] * np.sign(SD)
    ours = explain(
        regressor(smooth), row[np.newaxis], background=X, spread=1, num_samples=20_000
    )
    theirs = LimeTabularExplainer(
        X,
        mode="regression",
        discretize_continuous=False,
        sample_around_instance=True,
        feature_selection="none",
        random_state=0,
    ).explain_instance(row, smooth, num_samples=20_000)
    weights = [weight for _, weight in sorted(theirs.as_map()[1])]
    np.testing.assert_allclose(ours.weights_[0], weights, atol=0.04)
    assert ours.r2_[0] == pytest.approx(theirs.score, abs=0.03)
    assert ours.local_prediction_[0] == pytest.approx(
        float(np.ravel(theirs.local_pred)[0]), abs=0.04
    )


@pytest.mark.parametrize("spread", [0.1, 1, 10])
def test_draws_stay_in_the_range_of_the_background(regressor, spread):
    model = regressor(lambda X: X @ COEFFICIENTS)
    row = X[:1].copy()
    row[0, 1] = 99.0  # itself beyond
    explain(model, row, background=X, spread=spread)
    drawn = model.calls_[-1]
    assert (drawn >= X.min(axis=0)).all()
    assert (drawn <= np.maximum(X.max(axis=0), row)).all()
    if spread == 0.1:
        inside = np.delete(drawn, 1, axis=1)
        np.testing.assert_allclose(
            inside.std(axis=0), 0.1 * np.delete(SD, 1), rtol=0.15
        )


def test_row_far_from_the_background():
    far = MEAN + 100 * SD
    explanation = explain(LINEAR, far[np.newaxis], background=X)
    np.testing.assert_allclose(
        explanation.effects_[0], COEFFICIENTS * 100 * SD, rtol=0.01
    )


def test_integers_stay_integers(regressor):
    counts = np.random.default_rng(0).poisson(20, size=(100, 2))
    model = regressor(lambda X: X @ [1, 2])
    explanation = explain(model, counts[:2], background=counts)
    assert {rows.dtype for rows in model.calls_} == {counts.dtype}
    np.testing.assert_allclose(
        explanation.weights_, [counts.std(axis=0) * [1, 2]] * 2, rtol=0.01
    )


@pytest.mark.parametrize("own", [0, 1, 4])
def test_rare_counts(own):
    # Steps of half a standard deviation would all be rounded away.
    count = np.r_[[0] * 190, [1] * 8, [2] * 2]
    frame = pd.DataFrame({"x": X[:200, 0], "count": count})
    model = LinearRegression().fit(frame, frame["x"] + 5 * count)
    row = pd.DataFrame({"x": [0.5], "count": [own]})
    explanation = explain(model, row, background=frame)
    # A moved column is compared with the mean, a switched one with other values.
    others = count[count != own].mean()
    expected = 5 * (own - np.array([count.mean(), others]))
    assert np.isclose(explanation.effects_[0, 1], expected, atol=0.1).any()
    assert explanation.effects_[0, 0] == pytest.approx(0.5 - X[:200, 0].mean(), rel=0.2)


@pytest.mark.parametrize("scale", [1e-100, 1e-6, 1e6, 1e100])
def test_columns_of_any_scale(scale):
    model = LinearRegression().fit(X, X @ COEFFICIENTS)
    scaled = TransformedTargetRegressor(
        model, func=lambda y: y, inverse_func=lambda y: y
    )
    scaled = make_pipeline(StandardScaler(), scaled).fit(X * scale, X @ COEFFICIENTS)
    explanation = explain(scaled, X[:1] * scale, background=X * scale)
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, rtol=0.01)


# -- switched values -------------------------------------------------------------------


@pytest.mark.parametrize("own", [0, 1])
@pytest.mark.parametrize("dtype", [bool, int, float])
def test_columns_of_two_values_are_switched(regressor, own, dtype):
    flags = np.random.default_rng(0).integers(0, 2, size=(100, 2)).astype(dtype)
    row = np.full((1, 2), own, dtype=dtype)
    model = regressor(lambda X: X.astype(float) @ [3, -1])
    explanation = explain(model, row, background=flags)
    expected = [3, -1] if own else [-3, 1]
    np.testing.assert_allclose(explanation.effects_[0], expected, rtol=0.01)
    np.testing.assert_array_equal(explanation.effects_, explanation.weights_)
    assert all(set(np.unique(rows)) <= {0, 1} for rows in model.calls_)


def test_missing_values_do_not_count_as_a_third_value(regressor):
    flags = np.random.default_rng(0).choice([0.0, 1, np.nan], size=(100, 2))
    model = regressor(lambda X: np.nan_to_num(X) @ [3, -1])
    explanation = explain(model, np.ones((1, 2)), background=flags)
    drawn = model.calls_[-1]
    assert set(drawn[~np.isnan(drawn)]) == {0, 1}
    np.testing.assert_allclose(explanation.effects_[0], [3, -1], atol=1e-6)


def test_objects_keep_their_type():
    # Encoders distinguish None from NaN.
    frame = pd.DataFrame(
        {
            "text": pd.Series(["a", None, "b"] * 20, dtype=object),
            "number": pd.Series([1, 2, 3] * 20, dtype=object),
            "x": X[:60, 0],
        }
    )
    names = ["text", "number"]
    encoded = make_column_transformer((OneHotEncoder(), names), remainder="passthrough")
    model = make_pipeline(encoded, LinearRegression()).fit(frame, frame["x"])
    explanation = explain(model, frame[:3], background=frame)
    np.testing.assert_allclose(explanation.effects_[:, :2], 0, atol=1e-6)
    assert explanation.values_[1, 0] is None


@pytest.mark.parametrize("own", ["a", "b", "unseen", None])
@pytest.mark.parametrize("categories", [None, ["b", "a", "more", "unseen"]])
@pytest.mark.parametrize("ordered", [False, True])
def test_row_with_unseen_category(regressor, own, categories, ordered):
    dtype = pd.CategoricalDtype(["a", "b", "c"], ordered=ordered)
    frame = pd.DataFrame(
        {"c": pd.Series(rng.choice(["a", "b", "c"], N), dtype=dtype), "x": X[:, 0]}
    )
    row = pd.DataFrame({"c": pd.Categorical([own], categories), "x": [0.1]})
    model = regressor(lambda X: 2.0 * (X["c"] == "a").to_numpy() + X["x"])
    explanation = explain(model, row, background=frame, num_samples=10_000)
    for rows in model.calls_[1:]:
        assert isinstance(rows["c"].dtype, pd.CategoricalDtype)
    others = frame["c"][frame["c"] != own]
    assert explanation.effects_[0, 0] == pytest.approx(
        2 * (own == "a") - 2 * (others == "a").mean(), abs=0.1
    )


def test_categories_of_a_pipeline_are_switched():
    jobs = rng.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1])
    frame = pd.DataFrame({"job": jobs, "x": rng.normal(size=N)})
    encoded = make_column_transformer(
        (OneHotEncoder(), ["job"]), remainder="passthrough"
    )
    y = frame["job"].map({"a": 0.0, "b": 1.0, "c": 5.0}) + 2 * frame["x"]
    model = make_pipeline(encoded, LinearRegression()).fit(frame, y)
    rows = frame.groupby("job").head(1).sort_values("job")
    explanation = explain(model, rows, background=frame, num_samples=20_000)
    worth = np.array([0.0, 1, 5])
    shares = np.array([(jobs == job).mean() for job in "abc"])
    # Other values are drawn with their frequency in the background.
    others = [
        np.average(np.delete(worth, k), weights=np.delete(shares, k)) for k in range(3)
    ]
    np.testing.assert_allclose(explanation.effects_[:, 0], worth - others, atol=0.06)
    x = frame["x"]
    np.testing.assert_allclose(
        explanation.effects_[:, 1], 2 * (rows["x"] - x.mean()), atol=0.1
    )
    assert list(explanation.values_[:, 0]) == ["a", "b", "c"]
    assert list(explanation.rows_) == list(rows.index)


@pytest.mark.parametrize("given", [["code"], [1], np.array([1]), pd.Index(["code"])])
def test_numeric_categories(regressor, given):
    frame = pd.DataFrame({"x": X[:, 0], "code": rng.choice([1, 2, 9], N)})
    model = regressor(lambda X: np.where(X["code"] == 9, 4.0, 0.0) + X["x"])
    row = pd.DataFrame({"x": [0.5], "code": [9]})
    explanation = explain(model, row, background=frame, categorical_features=given)
    np.testing.assert_allclose(explanation.effects_[0, 1], 4)
    assert set(model.calls_[-1]["code"]) == {1, 2, 9}


def test_missing_number_is_switched(regressor):
    known = X[:, :2].copy()
    known[::3, 0] = np.nan
    model = regressor(lambda X: np.where(np.isnan(X[:, 0]), 5, 2 * X[:, 0]))
    explanation = explain(model, known[:2], background=known, num_samples=20_000)
    values = known[~np.isnan(known[:, 0]), 0]
    np.testing.assert_allclose(
        explanation.effects_[:, 0],
        [5 - 2 * values.mean(), 2 * (known[1, 0] - values.mean())],
        atol=0.03,
    )
    # A number is still moved, and its weight is a slope.
    assert not np.isnan(model.calls_[-1][20_000:]).any()


@pytest.mark.parametrize("bins", ["quartile", "decile"])
def test_bins(regressor, bins):
    n_bins = {"quartile": 4, "decile": 10}[bins]
    model = regressor(lambda X: 3 * X[:, 0] + X[:, 1])
    explanation = explain(
        model, X[:4], background=X, discretize=bins, num_samples=20_000
    )
    edges = np.quantile(X[:, 0], np.linspace(0, 1, n_bins + 1)[1:-1])
    of_background = np.searchsorted(edges, X[:, 0])
    for row in range(4):
        others = X[of_background != np.searchsorted(edges, X[row, 0]), 0]
        assert explanation.effects_[row, 0] == pytest.approx(
            3 * (X[row, 0] - others.mean()), abs=0.15
        )
        numbers = re.findall(r"-?[\d.]+", explanation.values_[row, 0])
        assert numbers == sorted(numbers, key=float)
        assert f"{X[row, 0]:.4g}" in numbers
    np.testing.assert_array_equal(explanation.effects_, explanation.weights_)


def test_bins_of_missing_numbers_and_integers(regressor):
    frame = pd.DataFrame({"n": pd.array([1, 2, 3, 4, None] * 12, dtype="Int64")})
    model = regressor(lambda X: X["n"].fillna(10).to_numpy(float))
    explanation = explain(
        model, frame[:5], background=frame, discretize="quartile", num_samples=20_000
    )
    # The quartiles are 1.75, 2.5 and 3.25: one bin per number, and one for missing.
    values = np.array([1.0, 2, 3, 4, 10])
    others = (values.sum() - values) / 4
    np.testing.assert_allclose(explanation.effects_[:, 0], values - others, atol=0.1)
    assert explanation.values_[1, 0] == "1.75 < 2 ≤ 2.5"
    assert explanation.values_[4, 0] is pd.NA


@pytest.mark.parametrize(
    "groups", [{"ab": [0, 1], "c": [2], "d": [3]}, [7, 7, 8, 9], np.array([0, 0, 1, 2])]
)
def test_groups_of_columns_are_switched_together(regressor, groups):
    model = regressor(lambda X: X @ COEFFICIENTS)
    explanation = explain(model, X[:2], background=X, groups=groups, num_samples=20_000)
    together = (X - MEAN)[:2, :2] @ COEFFICIENTS[:2]
    assert explanation.effects_[:, 0] == pytest.approx(together, abs=0.15)
    assert explanation.values_[0, 0] is None
    # A group of one column equals the column.
    np.testing.assert_allclose(
        explanation.weights_[:, 1:],
        [COEFFICIENTS[2:] * SD[2:]] * 2,
        atol=0.15,
    )
    # The values of a group come from one background row.
    pairs = {tuple(pair) for pair in X[:, :2]}
    assert {tuple(pair) for pair in model.calls_[-1][:, :2]} <= pairs


def test_groups_by_name(regressor):
    frame = pd.DataFrame(X, columns=list("abcd"))
    by_name, by_place = (
        explain(LINEAR, X[:2], background=X, groups=groups, feature_names=list("abcd"))
        for groups in ({"u": ["d", "a"], "v": ["b", "c"]}, {"u": [3, 0], "v": [1, 2]})
    )
    assert by_name.unit_names_ == ["u", "v"]
    assert_same(by_name, by_place)
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS + 7)
    of_frame = explain(
        model, frame[:2], background=frame, groups={"u": ["d", "a"], "v": ["b", "c"]}
    )
    assert_same(by_name, of_frame)


# -- reproducibility -------------------------------------------------------------------


@pytest.mark.parametrize("columns", [["age", "pay"], list(FRAME)])
def test_row_is_explained_independently_of_others(regressor, columns):
    frame = FRAME[columns]
    model = regressor(
        lambda X: X["age"] / 10 + (X["pay"].fillna(3) > 1) + (X.shape[1] * 0)
    )
    together = explain(model, frame[:6], background=frame)
    backwards = explain(model, frame[5::-1], background=frame)
    for row in range(6):
        alone = explain(model, frame[row : row + 1], background=frame)
        for other, place in [(together, row), (backwards, 5 - row)]:
            np.testing.assert_allclose(
                alone.effects_[0], other.effects_[place], atol=1e-9
            )
            assert alone.r2_[0] == pytest.approx(other.r2_[place])
            assert alone.num_samples_[0] == other.num_samples_[place]


def test_column_types_depend_on_the_background_only():
    flags = np.c_[X[:, 0], rng.integers(0, 2, N)]
    model = LinearRegression().fit(flags, flags @ [1, 2])
    rows = np.array([[0.3, 1], [0.2, 0.5]])
    alone = explain(model, rows[:1], background=flags)
    together = explain(model, rows, background=flags)
    np.testing.assert_allclose(alone.effects_[0], together.effects_[0])


def test_row_is_explained_independently_of_the_dtype_of_others(regressor):
    whole = pd.DataFrame({"n": np.arange(N) % 30})
    model = regressor(lambda X: X["n"].to_numpy() * 2.0)
    rows = pd.DataFrame({"n": [3, 2.5]})
    alone = explain(model, rows[:1].astype(int), background=whole)
    together = explain(model, rows, background=whole)
    np.testing.assert_allclose(alone.effects_[0], together.effects_[0], rtol=0.01)


def test_many_rows_are_explained_like_single_rows():
    wide = np.random.default_rng(1).normal(size=(60, 20))
    model = network(MLPRegressor).fit(wide, np.sin(wide[:, 0]) * wide[:, 1])
    together = explain(model, wide, background=wide)
    for row in [0, 31, 59]:
        alone = explain(model, wide[row : row + 1], background=wide)
        np.testing.assert_allclose(
            together.effects_[row], alone.effects_[0], rtol=1e-4, atol=1e-6
        )
    np.testing.assert_allclose(together.prediction_, model.predict(wide), rtol=1e-5)


def test_equal_rows_have_equal_explanations():
    twice = explain(LINEAR, X[[3, 8, 3]], background=X)
    np.testing.assert_allclose(twice.weights_[0], twice.weights_[2], rtol=1e-12)


class TestSeed:
    model = network().fit(X / SD, X @ COEFFICIENTS > LINEAR.predict(X).mean())
    explain = partial(lime_explain, model, X[:2] / SD, background=X / SD)

    @pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
    def test_repeats(self, seed):
        first = self.explain(random_state=seed)
        np.random.random(3)  # noqa: NPY002 - the test is about the global generator
        assert_same(first, self.explain(random_state=seed), rtol=0)

    def test_decides_the_draws(self):
        first, second = (self.explain(random_state=s, num_samples=99) for s in (0, 1))
        assert np.abs(first.weights_ - second.weights_).max() > 1e-6

    def test_of_a_generator_moves_on(self):
        generator = np.random.RandomState(3)
        first, second = (
            self.explain(random_state=generator, num_samples=99) for _ in range(2)
        )
        again = self.explain(random_state=np.random.RandomState(3), num_samples=99)
        assert_same(first, again, rtol=0)
        assert np.abs(first.weights_ - second.weights_).max() > 1e-6

    def test_of_none_comes_from_numpys_generator(self):
        found = []
        for _ in range(2):
            np.random.seed(5)  # noqa: NPY002 - the test is about the global generator
            found.append(self.explain(random_state=None, num_samples=99))
        assert_same(*found, rtol=0)
        again = self.explain(random_state=None, num_samples=99)
        assert np.abs(again.weights_ - found[0].weights_).max() > 1e-6

    def test_leaves_global_generators_alone(self):
        def states():
            numpy = np.random.get_state()  # noqa: NPY002
            return [*numpy[1], *numpy[2:], *torch.get_rng_state().tolist()]

        before = states()
        self.explain(random_state=0)
        assert states() == before


# -- input containers ------------------------------------------------------------------


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change",
    [
        read_only,
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1][::-1],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: X.astype(">f8"),
    ],
    ids=[
        "read-only",
        "Fortran",
        "strided",
        "negative strides",
        "list",
        "object",
        ">f8",
    ],
)
def test_memory_layouts_of_arrays(change):
    expected = explain(LINEAR, X[:2], background=X)
    assert_same(explain(LINEAR, change(X[:2]), background=change(X)), expected)


def test_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same(
        explain(LINEAR, mapped[:2], background=mapped),
        explain(LINEAR, X[:2], background=X),
    )


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame])
def test_frames_match_arrays(made):
    names = {"columns" if made is pd.DataFrame else "schema": list("abcd")}
    frame = made(X, **names)
    model = LinearRegression().fit(frame, X @ COEFFICIENTS + 7)
    explanation = explain(model, frame[:2], background=frame)
    assert explanation.unit_names_ == list("abcd")
    expected = explain(LINEAR, X[:2], background=X, feature_names=list("abcd"))
    assert_same(explanation, expected)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_input_is_not_modified(regressor, kind):
    given = FRAME if kind == "frame" else X
    before = given.copy()
    model = regressor(lambda X: np.asarray(X)[:, 0].astype(float))
    explain(model, given[:3], background=given)
    explain(model, given[:20])
    if kind == "frame":
        pd.testing.assert_frame_equal(given, before)
    else:
        np.testing.assert_array_equal(given, before)


DTYPES = ["int8", "uint8", "int64", "float16", "float32", "float64", "bool", "U3", "S3"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_keep_their_dtype(regressor, dtype):
    table = np.random.default_rng(0).integers(0, 9, size=(50, 3)).astype(dtype)
    model = regressor(lambda X: X[:, 0].astype(float))
    explain(model, table[:2], background=table)
    assert {rows.dtype for rows in model.calls_} == {np.dtype(dtype)}


def mixed_columns(n=60):
    """Return columns of all dtypes of pandas."""
    number = np.random.default_rng(0).integers(0, 50, n)
    return {
        "int64": number,
        "uint8": number.astype("uint8"),
        "float32": number.astype("float32"),
        "bool": number > 25,
        "Int64": pd.array([1, 2, None] * (n // 3), dtype="Int64"),
        "Float64": pd.array([1.5, 2, None] * (n // 3), dtype="Float64"),
        "boolean": pd.array([True, False, None] * (n // 3), dtype="boolean"),
        "string": pd.array(["a", "b", None] * (n // 3), dtype="string"),
        "str": ["a", "b", None] * (n // 3),
        "category": pd.Categorical(["a", None, "b"] * (n // 3)),
        "ordered": pd.Categorical([1, 2, 3] * (n // 3), ordered=True),
        "date": pd.date_range("2020", periods=n),
        "zone": pd.date_range("2020", periods=n, tz="Europe/Berlin"),
        "length": pd.to_timedelta(range(n), "h"),
        "period": pd.period_range("2020", periods=n, freq="D"),
        "missing": np.full(n, np.nan),
        "no date": [pd.NaT] * n,
        "constant": [3] * n,
    }


@pytest.mark.parametrize("name", mixed_columns())
def test_frames_keep_their_dtypes(regressor, name):
    frame = pd.DataFrame({name: mixed_columns()[name], "x": X[:60, 0]})
    model = regressor(lambda X: X["x"])
    for row in range(3):
        explanation = explain(model, frame[row : row + 1], background=frame)
        np.testing.assert_allclose(explanation.effects_[0, 0], 0, atol=1e-6)
        value = pd.Series([explanation.values_[0, 0]], dtype=object)
        pd.testing.assert_series_equal(
            value,
            frame[name][row : row + 1].astype(object).reset_index(drop=True),
            check_names=False,
        )
    for rows in model.calls_:
        pd.testing.assert_series_equal(rows.dtypes, frame.dtypes)


@pytest.mark.parametrize("name", mixed_columns())
def test_tables_of_one_column(regressor, name):
    frame = pd.DataFrame({name: mixed_columns()[name]})
    model = regressor(lambda X: X[name].isna().to_numpy() * 2.0)
    explanation = explain(model, frame[:3], background=frame)
    assert explanation.effects_.shape == (3, 1)
    is_missing = frame[name][:3].isna()
    if 0 < frame[name].isna().sum() < len(frame):
        np.testing.assert_allclose(explanation.effects_[is_missing, 0], 2, rtol=1e-6)


def test_columns_of_the_background_in_another_order(regressor):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = regressor(lambda X: X[list("abcd")].to_numpy() @ COEFFICIENTS)
    shuffled = frame[list("dbca")].assign(more=1)
    assert_same(
        explain(model, frame[:2], background=shuffled),
        explain(model, frame[:2], background=frame),
    )


@pytest.mark.parametrize(
    "names",
    [
        [3, 1, 0, 2],
        pd.MultiIndex.from_product([["a", "b"], ["x", "y"]]),
        pd.date_range("2020", periods=4),
    ],
    ids=["integers", "levels", "dates"],
)
def test_column_names_of_any_type(regressor, names):
    frame = pd.DataFrame(X, columns=names)
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    explanation = explain(model, frame[:2], background=frame)
    assert explanation.unit_names_ == [str(name) for name in names]
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, rtol=0.01)


@pytest.mark.parametrize("has_background", [False, True])
def test_duplicate_names(regressor, has_background):
    frame = pd.DataFrame(X, columns=list("aabc"))
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    explanation = explain(model, frame, background=frame if has_background else None)
    assert len(set(explanation.unit_names_)) == 4
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, rtol=0.01)


def test_constant_column(regressor):
    table = X.copy()
    table[:, 1] = 0.1
    model = regressor(lambda X: X @ COEFFICIENTS)
    other = table[:2].copy()
    other[1, 1] = 7
    explanation = explain(model, other, background=table)
    np.testing.assert_allclose(
        explanation.effects_[:, 1], [0, -2 * (7 - 0.1)], atol=1e-6
    )


def test_missing_values_in_the_background(regressor):
    holes = X.copy()
    holes[::4, 0] = np.nan
    model = regressor(lambda X: X @ COEFFICIENTS)
    explanation = explain(model, X[1:3], background=holes)
    np.testing.assert_allclose(
        explanation.weights_[0], COEFFICIENTS * np.nanstd(holes, axis=0), rtol=0.01
    )


def test_row_of_missing_values(regressor):
    model = regressor(lambda X: np.isnan(X) @ [1.0, 2, 3, 4])
    explanation = explain(model, np.full((1, 4), np.nan), background=X)
    np.testing.assert_allclose(explanation.effects_[0], [1, 2, 3, 4], rtol=1e-6)


@pytest.mark.parametrize(
    "names", [["Mon", "Tue"], pd.Index([5, 7]), np.array(["a", "b"])]
)
@pytest.mark.parametrize("made", [np.asarray, pd.DataFrame])
def test_row_names(regressor, made, names):
    model = regressor(lambda X: np.asarray(X) @ COEFFICIENTS)
    rows, background = made(X[:2]), made(X)
    explanation = explain(model, rows, background=background, row_names=names)
    assert list(explanation.rows_) == list(names)
    assert set(explanation.to_frame()["row"]) == set(names)


def test_rows_are_named_by_their_index(regressor):
    frame = pd.DataFrame(X, pd.date_range("2024", periods=N))
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    assert list(explain(model, frame[3:5], background=frame).rows_) == list(
        frame.index[3:5]
    )
    assert list(explain(LINEAR, X[3:5], background=X).rows_) == [0, 1]


def test_background_defaults_to_X():
    assert_same(explain(LINEAR, X[:20]), explain(LINEAR, X[:20], background=X[:20]))


def test_background_of_two_rows():
    explanation = explain(LINEAR, X[:1], background=X[1:3])
    assert np.isfinite(explanation.effects_).all()


# -- estimators ------------------------------------------------------------------------


def test_pipeline_of_strings_and_missing_numbers():
    encoded = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "pay"]),
        (OneHotEncoder(handle_unknown="ignore"), ["job", "town", "member"]),
    )
    model = make_pipeline(encoded, network()).fit(FRAME, GOOD)
    assert model.score(FRAME, GOOD) > 0.8
    rows = FRAME[:3]
    explanation = explain(model, rows, background=FRAME, link="logit", spread=0.2)
    assert explanation.unit_names_ == list(FRAME)
    assert explanation.outputs_ == ["log-odds of good"] * 3
    chances = model.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(
        explanation.prediction_, np.log(chances / (1 - chances)), rtol=1e-5
    )
    unread = explanation.effects_[:, list(FRAME).index("since")]
    assert np.abs(unread).max() < 0.1 * np.abs(explanation.effects_).max()
    assert list(explanation.values_[:, 2]) == list(rows["job"])


def test_histogram_boosting_with_categories():
    frame = FRAME[["age", "pay", "town"]].assign(job=FRAME["job"].astype("category"))
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=20, random_state=0
    ).fit(frame, frame["job"] == "cook")
    explanation = explain(model, frame[:4], background=frame)
    top = [explanation.unit_names_[explanation.top(row)[0]] for row in range(4)]
    assert top == ["job"] * 4
    is_cook = frame["job"][:4] == "cook"
    # Other jobs are replaced by "cook" in some draws only: one weight fits that poorly.
    assert (explanation.r2_[is_cook] > 0.9).all()
    np.testing.assert_array_equal(explanation.effects_[:, 3] > 0, is_cook)


IRIS = load_iris(as_frame=True)
SPECIES = IRIS.target_names[IRIS.target]


@pytest.mark.parametrize("species", ["setosa", "versicolor", "virginica"])
def test_class_by_name(species):
    model = LogisticRegression(C=0.1).fit(IRIS.data, SPECIES)
    explanation = explain(
        model, IRIS.data[48:52], background=IRIS.data, target=species, spread=0.1
    )
    assert explanation.outputs_ == [f"P({species})"] * 4
    place = list(model.classes_).index(species)
    np.testing.assert_allclose(
        explanation.prediction_, model.predict_proba(IRIS.data[48:52])[:, place]
    )


def test_default_target_of_several_classes_is_the_most_probable():
    model = LogisticRegression(C=0.1).fit(IRIS.data, SPECIES)
    rows = IRIS.data[::50]
    explanation = explain(model, rows, background=IRIS.data, spread=0.1)
    assert explanation.outputs_ == [f"P({label})" for label in model.predict(rows)]
    assert len(set(explanation.outputs_)) == 3
    np.testing.assert_allclose(
        explanation.prediction_, model.predict_proba(rows).max(axis=1)
    )


def test_default_target_of_two_classes_is_the_second():
    model = LogisticRegression().fit(X / SD, np.where(X[:, 0] > 0, "up", "down"))
    explanation = explain(model, X[:5] / SD, background=X / SD)
    assert explanation.outputs_ == ["P(up)"] * 5
    down = explain(model, X[:5] / SD, background=X / SD, target="down")
    np.testing.assert_allclose(down.weights_, -explanation.weights_, atol=1e-9)


@pytest.mark.parametrize("target", [0, np.int64(1), True])
def test_numeric_classes(target):
    model = LogisticRegression().fit(X / SD, (X[:, 0] > 0).astype(int))
    explanation = explain(model, X[:1] / SD, background=X / SD, target=target)
    np.testing.assert_allclose(
        explanation.prediction_, model.predict_proba(X[:1] / SD)[:, int(target)]
    )


def test_class_named_margin():
    model = LogisticRegression().fit(X / SD, np.where(X[:, 0] > 0, "margin", "other"))
    explanation = explain(model, X[:1] / SD, background=X / SD, target="margin")
    assert explanation.outputs_ == ["P(margin)"]


@pytest.mark.parametrize(
    "make",
    [
        LogisticRegression,
        LinearSVC,
        RidgeClassifier,
        lambda: SVC(kernel="linear"),
        lambda: make_pipeline(StandardScaler(), LinearSVC()),
        lambda: GridSearchCV(LinearSVC(), {"C": [0.1, 1]}, cv=2),
    ],
    ids=["logistic", "svm", "ridge", "libsvm", "pipeline", "search"],
)
def test_margins_of_linear_models(make):
    scaled = (X - MEAN) / SD
    model = make().fit(scaled, scaled @ [1, 2, -1, 0] > 0.3)
    explanation = explain(model, scaled[:2], background=scaled, target="margin")
    np.testing.assert_allclose(
        explanation.prediction_, model.decision_function(scaled[:2])
    )
    step = np.eye(4)
    slopes = model.decision_function(step) - model.decision_function(0 * step)
    np.testing.assert_allclose(explanation.weights_, [slopes] * 2, rtol=0.01, atol=1e-6)
    assert explanation.outputs_ == ["margin"] * 2


def test_margins_of_several_classes():
    model = LinearSVC().fit(IRIS.data, SPECIES)
    rows = IRIS.data[::50]
    explanation = explain(model, rows, background=IRIS.data, target="margin")
    assert explanation.outputs_ == [
        f"margin of {label}" for label in model.predict(rows)
    ]
    np.testing.assert_allclose(
        explanation.prediction_, model.decision_function(rows).max(axis=1)
    )


@pytest.mark.parametrize("strategy", ["threshold", "direct"])
def test_margin_of_a_cost_sensitive_classifier(strategy):
    scaled = (X - MEAN) / SD
    model = CostSensitiveClassifier(
        network(), alpha=3, strategy=strategy, random_state=0
    ).fit(scaled, scaled @ [1, 2, -1, 0] > 0.3)
    explanation = explain(
        model, scaled[:5], background=scaled, target="margin", spread=0.2
    )
    np.testing.assert_allclose(
        explanation.prediction_, model.decision_function(scaled[:5]), rtol=1e-6
    )
    # The decision changes where the margin is 0.
    np.testing.assert_array_equal(
        explanation.prediction_ > 0, model.predict(scaled[:5])
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(MLPRegressor),
        lambda: GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=2),
        lambda: TransformedTargetRegressor(
            Ridge(), func=np.arcsinh, inverse_func=np.sinh, check_inverse=False
        ),
    ],
    ids=["network", "search", "transformed target"],
)
def test_regressors(make):
    scaled = ((X - MEAN) / SD).astype(np.float32)
    model = make().fit(scaled, scaled @ np.array([1, 2, -1, 0], np.float32))
    explanation = explain(model, scaled[:3], background=scaled, spread=0.2)
    np.testing.assert_allclose(
        explanation.prediction_, model.predict(scaled[:3]), rtol=1e-5
    )
    assert (explanation.r2_ > 0.9).all()
    np.testing.assert_array_equal(np.argmax(np.abs(explanation.weights_), axis=1), 1)


def test_calibrated_classifier():
    scaled = (X - MEAN) / SD
    model = CalibratedClassifierCV(LinearSVC(), cv=2).fit(scaled, scaled[:, 1] > 0)
    explanation = explain(model, scaled[:3], background=scaled, spread=0.2)
    assert {explanation.top(row)[0] for row in range(3)} == {1}


@pytest.mark.parametrize("target", [0, 1, np.int64(2)])
def test_target_of_a_multi_output_regressor(target):
    answers = np.c_[X[:, 0], X[:, 1], X[:, 2] * 10]
    model = LinearRegression().fit(X, answers)
    explanation = explain(model, X[:2], background=X, target=target)
    expected = np.zeros(4)
    expected[target] = SD[target] * (10 if target == 2 else 1)
    np.testing.assert_allclose(explanation.weights_, [expected] * 2, atol=1e-6)
    assert explanation.outputs_ == [f"prediction of target {target}"] * 2


def test_classifier_of_one_class(classifier):
    model = classifier(lambda X: np.ones((len(X), 1)), classes=("only",))
    explanation = explain(model, X[:2], background=X)
    assert explanation.outputs_ == ["P(only)"] * 2
    np.testing.assert_allclose(explanation.effects_, 0, atol=1e-9)


def test_polars_frames_reach_the_estimator_unconverted(regressor):
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "single": rng.normal(size=60).astype(np.float32),
            "count": [None, *range(59)],
            "text": ["x", None, "y"] * 20,
            "flag": [True, False, None] * 20,
            "day": [datetime.date(2020, 1, 1 + k % 9) for k in range(60)],
        }
    )

    def record_frame(X):
        assert X.schema == table.schema
        is_x = (X["text"] == "x").fill_null(False).to_numpy()
        return X["single"].to_numpy() + 3.0 * is_x

    explanation = explain(regressor(record_frame), table[:6], background=table)
    frame = explanation.to_frame().set_index(["row", "unit"])
    assert frame.loc[(0, "text"), "effect"] == pytest.approx(3, rel=0.05)
    slopes = frame.xs("single", level="unit")["weight"]
    np.testing.assert_allclose(slopes, table["single"].std(ddof=0), rtol=0.1)
