"""Explanations of tables with known effects, for columns of all types."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from lime.lime_tabular import LimeTabularExplainer
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.linear_model import (
    LinearRegression,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeep import MLPRegressor
from skdeep.inspection import lime_explain
from tests.inspection.table_data import (
    COEFFICIENTS,
    FRAME,
    LINEAR,
    MEAN,
    SD,
    N,
    X,
    assert_same,
    explain,
    network,
)

# Warnings are tested in test_lime_fidelity.py.
pytestmark = pytest.mark.filterwarnings("ignore:The local models of:UserWarning")

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
    rng = np.random.default_rng(1)
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
    rng = np.random.default_rng(1)
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
    rng = np.random.default_rng(1)
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
    rng = np.random.default_rng(1)
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
    def test_equal_seeds_give_equal_explanations(self, seed):
        first = self.explain(random_state=seed)
        np.random.random(3)  # noqa: NPY002 - the test is about the global generator
        assert_same(first, self.explain(random_state=seed), rtol=0)

    def test_seeds_determine_the_draws(self):
        first, second = (self.explain(random_state=s, num_samples=99) for s in (0, 1))
        assert np.abs(first.weights_ - second.weights_).max() > 1e-6

    def test_generator_as_seed_advances(self):
        generator = np.random.RandomState(3)
        first, second = (
            self.explain(random_state=generator, num_samples=99) for _ in range(2)
        )
        again = self.explain(random_state=np.random.RandomState(3), num_samples=99)
        assert_same(first, again, rtol=0)
        assert np.abs(first.weights_ - second.weights_).max() > 1e-6

    def test_seed_none_uses_numpys_global_generator(self):
        found = []
        for _ in range(2):
            np.random.seed(5)  # noqa: NPY002 - the test is about the global generator
            found.append(self.explain(random_state=None, num_samples=99))
        assert_same(*found, rtol=0)
        again = self.explain(random_state=None, num_samples=99)
        assert np.abs(again.weights_ - found[0].weights_).max() > 1e-6

    def test_global_generators_are_not_changed(self):
        def states():
            numpy = np.random.get_state()  # noqa: NPY002
            return [*numpy[1], *numpy[2:], *torch.get_rng_state().tolist()]

        before = states()
        self.explain(random_state=0)
        assert states() == before
