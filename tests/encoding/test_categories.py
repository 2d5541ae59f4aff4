"""Columns of categories in every supported form."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.model_selection import KFold, cross_val_score

from skdeep import (
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N = 90
COLORS = np.array(["red", "green", "blue"])


@pytest.fixture(scope="module")
def columns():
    """Categories, numbers, categories, and a target that depends on the first ones."""
    rng = np.random.default_rng(0)
    color = COLORS[rng.integers(0, 3, N)]
    size = rng.integers(1, 5, N)
    number = rng.normal(size=N)
    return color, number, size, (color == "red").astype(int)


def small(**params):
    settings = dict(hidden_layer_sizes=(6,), max_iter=6, random_state=0)
    return MLPClassifier(**{**settings, **params})


def as_pandas(color, number, size):
    return pd.DataFrame(
        {"color": pd.Categorical(color), "n": number, "size": pd.Categorical(size)}
    )


def as_objects(color, number, size):
    rows = np.empty((len(color), 3), dtype=object)
    rows[:, 0], rows[:, 1], rows[:, 2] = color, number, size
    return rows


FORMS = {
    "pandas": (as_pandas, "from_dtype"),
    "pandas ordered": (
        lambda c, n, s: as_pandas(c, n, s).assign(
            size=pd.Categorical(s, categories=[1, 2, 3, 4], ordered=True)
        ),
        "from_dtype",
    ),
    "pandas by name": (
        lambda c, n, s: pd.DataFrame({"color": c, "n": n, "size": s}),
        ["color", "size"],
    ),
    "pandas by names in another order": (
        lambda c, n, s: pd.DataFrame({"color": c, "n": n, "size": s}),
        ["size", "color"],
    ),
    "pandas by position": (
        lambda c, n, s: pd.DataFrame({"color": c, "n": n, "size": s}),
        [0, 2],
    ),
    "pandas, numbers as names": (
        lambda c, n, s: pd.DataFrame({0: c, 1: n, 2: s}),
        [True, False, True],
    ),
    "polars categorical": (
        lambda c, n, s: pl.DataFrame(
            {
                "color": pl.Series(c.tolist(), dtype=pl.Categorical),
                "n": n,
                "size": pl.Series(s.astype(str).tolist(), dtype=pl.Categorical),
            }
        ),
        "from_dtype",
    ),
    "polars enum": (
        lambda c, n, s: pl.DataFrame(
            {
                "color": pl.Series(c.tolist(), dtype=pl.Enum(list(COLORS))),
                "n": n,
                "size": pl.Series(s.astype(str).tolist(), dtype=pl.Enum(list("4321"))),
            }
        ),
        "from_dtype",
    ),
    "polars by name": (
        lambda c, n, s: pl.DataFrame({"color": c.tolist(), "n": n, "size": s}),
        ["color", "size"],
    ),
    "objects by position": (as_objects, [0, 2]),
    "objects by mask": (as_objects, [True, False, True]),
    "objects by array": (as_objects, np.array([2, 0])),
    "lists": (lambda c, n, s: as_objects(c, n, s).tolist(), [0, 2]),
}


@pytest.fixture(scope="module")
def reference(columns):
    """A classifier fitted on the columns as a pandas data frame."""
    *parts, y = columns
    return small().fit(as_pandas(*parts), y)


@pytest.mark.parametrize("form", FORMS)
def test_all_containers_give_the_same_network(columns, reference, form):
    make, asked = FORMS[form]
    *parts, y = columns
    X = make(*parts)
    model = small(categorical_features=asked).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(X), reference.predict_proba(as_pandas(*parts))
    )
    assert model.n_features_in_ == 3
    assert model.loss_curve_ == reference.loss_curve_
    # One number, and embeddings of 3 + 2 and 4 + 2 codes.
    assert model.coefs_[0].shape[0] == 1 + 3 + 3


def test_order_of_pandas_categories_has_no_effect(columns):
    *parts, y = columns
    X = as_pandas(*parts)
    model = small().fit(X, y)
    turned = X.assign(
        color=pd.Categorical(X["color"], categories=["blue", "red", "mauve", "green"])
    )
    np.testing.assert_array_equal(model.predict_proba(turned), model.predict_proba(X))


def test_categories_are_learned(columns):
    *parts, y = columns
    model = small(max_iter=200, learning_rate_init=0.01).fit(as_pandas(*parts), y)
    assert model.score(as_pandas(*parts), y) == 1.0


def test_unknown_and_missing_categories_in_prediction(columns):
    *parts, y = columns
    X = as_pandas(*parts)
    model = small().fit(X, y)
    unknown = X.assign(color=pd.Categorical(["mauve"] * N))
    missing = X.assign(color=pd.Categorical([None] * N, categories=["red"]))
    p_unknown, p_missing = model.predict_proba(unknown), model.predict_proba(missing)
    assert np.isfinite(p_unknown).all()
    assert np.isfinite(p_missing).all()
    # Neither was seen in training, so neither may change the prediction.
    np.testing.assert_array_equal(p_unknown, p_missing)

    # The network treats all unknown categories alike.
    other = X.assign(color=pd.Categorical(["beige"] * N))
    np.testing.assert_array_equal(model.predict_proba(other), p_unknown)


def test_unknown_and_missing_categories_differ_if_missing_ones_were_seen(columns):
    color, number, size, y = columns
    some_missing = np.where(np.arange(N) % 3 == 0, None, color)
    X = as_pandas(some_missing, number, size)
    model = small().fit(X, y)
    unknown = X.assign(color=pd.Categorical(["mauve"] * N))
    missing = X.assign(color=pd.Categorical([None] * N, categories=["red"]))
    assert (model.predict_proba(unknown) != model.predict_proba(missing)).all()


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_missing_category_is_learned(columns, nothing):
    color, number, size, _ = columns
    X = as_objects(color, number, size)
    X[color == "red", 0] = nothing
    y = (color == "red").astype(int)
    model = small(categorical_features=[0, 2], max_iter=200, learning_rate_init=0.01)
    assert model.fit(X, y).score(X, y) == 1.0


def test_all_missing_values_are_the_same_category(columns):
    """None in polars and NaN in pandas are the same missing value."""
    *parts, y = columns
    X = as_pandas(*parts)
    model = small().fit(X, y)
    rows = as_objects(*parts)
    by_position = small(categorical_features=[0, 2]).fit(rows, y)
    answers = []
    for nothing in (None, np.nan):
        rows = as_objects(*parts)
        rows[:, 0] = nothing
        answers.append(by_position.predict_proba(rows))
    missing = X.assign(color=pd.Categorical([None] * N, categories=["red"]))
    answers.append(model.predict_proba(missing))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[1], answers[2])


@pytest.mark.parametrize("library", ["pandas", "polars", "objects"])
def test_only_categories(columns, library):
    color, _, size, y = columns
    X = {
        "pandas": lambda: as_pandas(color, color, size).drop(columns="n"),
        "polars": lambda: pl.DataFrame(
            {
                "a": pl.Series(color.tolist(), dtype=pl.Categorical),
                "b": pl.Series(size.astype(str).tolist(), dtype=pl.Categorical),
            }
        ),
        "objects": lambda: as_objects(color, color, size)[:, [0, 2]],
    }[library]()
    asked = [0, 1] if library == "objects" else "from_dtype"
    model = small(categorical_features=asked, max_iter=200, learning_rate_init=0.01)
    assert model.fit(X, y).score(X, y) == 1.0


def test_missing_numbers_next_to_categories(columns):
    color, number, size, y = columns
    number = np.where(number > 1, np.nan, number)
    model = small().fit(as_pandas(color, number, size), y)
    assert model.coefs_[0].shape[0] == 2 + 3 + 3
    assert np.isfinite(model.predict_proba(as_pandas(color, number, size))).all()


def test_categories_of_held_out_rows_only_are_unknown(columns):
    *parts, y = columns
    X = as_pandas(*parts)
    last = X["color"].astype(object).where(X.index < N - 9, "mauve")
    X["color"] = pd.Categorical(last)
    model = small(early_stopping=True, validation_split="last").fit(X, y)
    alone = small().fit(X[: N - 9], y[: N - 9])
    assert [w.shape for w in model.coefs_] == [w.shape for w in alone.coefs_]


def test_sample_weight_of_zero_drops_a_category(columns):
    *parts, y = columns
    X = as_pandas(*parts)
    weight = (parts[0] != "green").astype(float)
    model = small().fit(X, y, sample_weight=weight)
    alone = small().fit(X[weight > 0], y[weight > 0])
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_categorical_features_none_reads_all_columns_as_numbers(columns):
    _, number, size, y = columns
    X = pd.DataFrame({"n": number, "size": pd.Categorical(size)})
    model = small(categorical_features=None).fit(X, y)
    expected = small().fit(np.column_stack([number, size]), y)
    np.testing.assert_array_equal(
        model.predict_proba(X), expected.predict_proba(np.column_stack([number, size]))
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["color", "shape"], r"names \['shape'\].*'color', 'n', 'size'"),
        ([0, 3], r"holds \[3\].*columns of X are 0 to 2"),
        ([-1], r"holds \[-1\]"),
        ([True, False], r"boolean categorical_features must have 3 entries.*\(2,\)"),
    ],
)
def test_invalid_categorical_features_are_named(columns, asked, message):
    *parts, y = columns
    with pytest.raises(ValueError, match=message):
        small(categorical_features=asked).fit(as_pandas(*parts), y)


def test_column_names_for_an_array_raise(columns):
    *parts, y = columns
    with pytest.raises(ValueError, match="not named"):
        small(categorical_features=["color"]).fit(as_objects(*parts), y)


def test_categories_in_sparse_rows_raise():
    X = sparse.random_array((20, 3), density=0.5, format="csr", random_state=0)
    with pytest.raises(ValueError, match="categorical_features.*sparse"):
        small(categorical_features=[0]).fit(X, np.arange(20) % 2)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_columns_of_text_are_named(columns, library):
    color, number, size, y = columns
    X = library.DataFrame({"color": color.tolist(), "n": number, "size": size})
    with pytest.raises(
        ValueError, match=r"Columns \['color'\] of X must be numeric.*categor"
    ):
        small().fit(X, y)
    model = MLPRegressor(max_iter=1).fit(np.column_stack([size, number, size]), y)
    with pytest.raises(ValueError, match=r"Columns \['color'\] of X must be numeric"):
        with pytest.warns(UserWarning, match="feature names"):
            model.predict(X)


def test_text_in_an_array_raises(columns):
    *parts, y = columns
    with pytest.raises(ValueError, match="could not convert string to float: '"):
        small().fit(as_objects(*parts), y)


def test_text_and_numbers_in_one_column_of_categories(columns):
    color, number, size, y = columns
    X = as_objects(color, number, size)
    X[0, 0] = 7
    with pytest.raises(TypeError, match="strings or numbers"):
        small(categorical_features=[0]).fit(X, y)


@pytest.mark.parametrize(
    "make",
    [
        small,
        lambda: DeepEnsembleClassifier(2, n_folds=2, max_iter=2, random_state=0),
        lambda: CostSensitiveClassifier(small(), strategy="threshold"),
    ],
    ids=["MLP", "ensemble", "costs"],
)
@pytest.mark.parametrize("kind", ["category", "object", "number"])
def test_entirely_missing_column_is_ignored(columns, make, kind):
    _, number, _, y = columns
    nothing, later = {
        "category": (pd.Categorical([None] * N, categories=["u"]), pd.Categorical),
        "object": (pd.Categorical([None] * N), lambda v: np.array(v, dtype=object)),
        "number": (
            np.full(N, np.nan),
            lambda v: np.array([bool(x) * 3.0 for x in v]),
        ),
    }[kind]
    X = pd.DataFrame({"n": number, "gone": nothing})
    model = make().fit(X, y)
    expected = model.predict_proba(X)
    other = X.assign(gone=later(["u", "v", None] * (N // 3)))
    np.testing.assert_array_equal(model.predict_proba(other), expected)


def test_column_that_is_entirely_missing_in_one_fold(columns):
    _, number, _, y = columns
    few = pd.Categorical(["u"] * (N // 3) + [None] * (2 * N // 3))
    X = pd.DataFrame({"n": number, "few": few})
    scores = cross_val_score(small(), X, y, cv=KFold(3), error_score="raise")
    assert np.isfinite(scores).all()


def test_categories_of_another_type_in_prediction_are_unknown(columns):
    _, number, size, y = columns
    X = pd.DataFrame({"n": number, "size": pd.Categorical(size)})
    model = small().fit(X, y)
    others = [
        pd.Categorical([f"no {s}" for s in size]),
        pd.Categorical(size + 0.5),
        pd.Categorical(pd.date_range("2024", periods=N)),
    ]
    unknown = [model.predict_proba(X.assign(size=other)) for other in others]
    np.testing.assert_array_equal(unknown[1], unknown[0])
    np.testing.assert_array_equal(unknown[2], unknown[0])
    # The same numbers of another type are the same categories.
    expected = model.predict_proba(X)
    for same in (size.astype(float), size.astype(np.int8), size.astype(object)):
        got = model.predict_proba(X.assign(size=pd.Categorical(same)))
        np.testing.assert_array_equal(got, expected)


def test_thousands_of_categories():
    X = pd.DataFrame({"id": pd.Categorical(np.arange(3000).astype(str))})
    y = np.arange(3000) % 2
    assert small(max_iter=1).fit(X, y).predict(X[::-1]).shape == (3000,)
    ensemble = DeepEnsembleClassifier(2, n_folds=2, max_iter=1, random_state=0)
    p = ensemble.fit(X[:40], y[:40]).predict_proba(X)
    assert np.isfinite(p).all()


def test_values_that_cannot_be_categories_raise():
    X = np.array([[1.0, [1]], [2.0, [2]]] * 10, dtype=object)
    with pytest.raises(TypeError, match="values of one kind.*got list"):
        small(categorical_features=[1]).fit(X, np.arange(20) % 2)
