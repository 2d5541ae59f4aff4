"""Errors of lime_explain name the argument and the value."""

import traceback
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skdeep import LSTMForecaster, MLPClassifier
from skdeep.inspection import LimeDisplay, lime_explain

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
)

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

X = rng.normal(size=(60, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))
LINEAR = LinearRegression().fit(X, X @ [1, 2, 3, 4])
OF_FRAME = LinearRegression().fit(FRAME, X @ [1, 2, 3, 4])
CLASSES = np.where(X[:, 0] > 0, "up", "down")
LOGISTIC = LogisticRegression().fit(X, CLASSES)
MULTI_TARGET = LinearRegression().fit(X, X[:, :3])
MULTI_OUTPUT = DecisionTreeClassifier().fit(X, np.c_[CLASSES, CLASSES])
FOUR = np.digitize(X[:, 0], [-0.7, 0, 0.7])

S = rng.normal(size=(30, 5, 2))
IMAGES = rng.random((3, 1, 8, 8))


def assert_raises(error, match, *arguments, **parameters):
    """Check that lime_explain raises the error itself, not a library that it calls."""
    with pytest.raises(error, match=match) as caught:
        explain(*arguments, **parameters)
    last = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert "skdeep" in last or "_param_validation" in last, last


# -- estimators ------------------------------------------------------------------------


class NoPredict(BaseEstimator):
    """Has no method predict."""

    def fit(self, X, y=None):
        return self


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression,
        MLPClassifier,
        None,
        "model",
        3,
        StandardScaler(),
    ]
    + [NoPredict(), [LINEAR]],
    ids=str,
)
def test_invalid_estimator(estimator):
    assert_raises(
        TypeError, "^estimator must be a fitted", estimator, X[:1], background=X
    )


def test_torch_module():
    words = "^estimator is a Linear, a torch module.* or in a function"
    assert_raises(TypeError, words, nn.Linear(4, 1), X[:1], background=X)


def test_estimator_without_fit():
    class Predicts:
        def predict(self, X):
            return np.zeros(len(X))

    with pytest.raises(TypeError, match="estimator"):
        explain(Predicts(), X[:1], background=X)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        MLPClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LSTMForecaster(),
    ],
    ids=["regressor", "network", "pipeline", "forecaster"],
)
def test_unfitted_estimator(estimator):
    with pytest.raises(NotFittedError):
        explain(estimator, X[:1], background=X)


def test_no_predict_proba():
    model = LinearSVC().fit(X, CLASSES)
    words = "^LinearSVC has no predict_proba to explain. Use target='margin'"
    assert_raises(TypeError, words, model, X[:1], background=X)
    assert_raises(TypeError, words, model, X[:1], background=X, target="up")
    assert_raises(TypeError, words, model, X[:1], background=X, link="logit")
    assert explain(model, X[:1], background=X, target="margin").r2_[0] > 0.99


def test_no_decision_function():
    model = DecisionTreeClassifier().fit(X, CLASSES)
    words = "target='margin' explains decision_function, which DecisionTreeClassifier"
    assert_raises(TypeError, words, model, X[:1], background=X, target="margin")


@pytest.mark.parametrize("n_classes", [3, 4])
def test_one_vs_one_margins(n_classes):
    model = SVC(decision_function_shape="ovo").fit(X, np.minimum(FOUR, n_classes - 1))
    assert_raises(
        (TypeError, ValueError), "decision_function", model, X, target="margin"
    )


@pytest.mark.parametrize("target", [None, "up", 1, "margin"])
def test_multi_output_classifier(target):
    assert_raises(
        (TypeError, ValueError),
        "DecisionTreeClassifier",
        MULTI_OUTPUT,
        X[:1],
        background=X,
        target=target,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["row", "near"])
def test_predictions_that_are_not_finite(regressor, value, where):
    def predict(X):
        is_row = np.isclose(X[:, 0], 0.5)
        return np.where(is_row == (where == "row"), value, 0.0)

    rows = np.full((1, 4), 0.5)
    words = f"^estimator predicts {value} for rows of X or rows near"
    assert_raises(ValueError, words, regressor(predict), rows, background=X)


def test_predictions_that_depend_on_other_rows(regressor):
    words = "^estimator predicts differently for a row of X if other rows are next"
    for function in [
        lambda X: X[:, 0] - X[:, 0].mean(),
        lambda X: np.cumsum(X[:, 0]),
        lambda X: np.arange(len(X)) * 1.0,
    ]:
        assert_raises(ValueError, words, regressor(function), X[:3], background=X)
        assert_raises(ValueError, words, regressor(function), X[:1], background=X)


# -- targets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["sideways", "Up", 0, 1.5, np.nan, pd.NA, ["up"], ("up", 1), np.array(["up"]), {}],
    ids=repr,
)
@pytest.mark.parametrize("link", ["identity", "logit"])
def test_unknown_classes(target, link):
    assert_raises(
        ValueError,
        "^target=.* is not one of the classes .*'down'.*'up'",
        LOGISTIC,
        X[:1],
        background=X,
        target=target,
        link=link,
    )


@pytest.mark.parametrize(
    "target",
    [3, 99, -1, 0.0, True, "margin", "first", [0], (0, 1), np.nan, pd.NA],
    ids=repr,
)
def test_unknown_targets_of_a_regressor(target):
    assert_raises(
        ValueError, "^target", MULTI_TARGET, X[:1], background=X, target=target
    )


def test_several_targets_need_a_target():
    words = "predicts 3 targets: set target"
    assert_raises(ValueError, words, MULTI_TARGET, X[:1], background=X)


def test_invalid_links():
    for link in ["log", "Logit", None, 1]:
        assert_raises(
            ValueError, "'link' parameter", LOGISTIC, X[:1], background=X, link=link
        )
    assert_raises(ValueError, "link='logit'", LINEAR, X[:1], background=X, link="logit")
    options = {"target": "margin", "link": "logit", "background": X}
    assert_raises(ValueError, "link='logit'", LOGISTIC, X[:1], **options)


# -- rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X", "background"])
@pytest.mark.parametrize(
    "rows",
    [
        X[0],
        FRAME["a"],
        X[:0],
        X[:, :0],
        FRAME[:0],
        [],
        3.0,
        None,
        "rows",
        np.zeros((2, 2, 2, 2, 2)),
        [[1, 2, 3, 4], [1]],
        {"a": [1]},
    ],
    ids=[
        "1-D",
        "series",
        "no rows",
        "no columns",
        "empty frame",
        "[]",
        "number",
        "None",
    ]
    + ["string", "5-D", "ragged", "dict"],
)
def test_invalid_rows(name, rows):
    given = {"X": X[:1], "background": X, name: rows}
    if name == "background" and rows is None:
        pytest.skip("None means X")
    assert_raises((TypeError, ValueError), f"^{name} ", LINEAR, given.pop("X"), **given)


def test_sparse_background_of_dense_rows():
    words = "^background is sparse, but X is not"
    assert_raises(TypeError, words, LINEAR, X[:1], background=sparse.csr_array(X))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (sparse.csr_array((0, 4)), {}, r"^X must hold rows .* got shape \(0, 4\)"),
        (sparse.coo_array([1.0, 2.0]), {}, r"^X must hold rows .* got shape \(2,\)"),
        (sparse.csr_array(X[:1] * 1j), {}, "^X must hold real numbers, got complex"),
        (sparse.csr_array(X[:1]), {"groups": {"a": [0]}}, "^groups is for dense"),
        (sparse.csr_array(X[:1]), {"discretize": "decile"}, "^discretize is for dense"),
        (sparse.csr_array(X[:1]), {"feature_names": ["a"]}, "^feature_names must"),
    ],
    ids=["no rows", "1-D", "complex", "groups", "bins", "names"],
)
def test_sparse_rows(rows, options, words):
    assert_raises(ValueError, words, LINEAR, rows, **options)


@pytest.mark.parametrize(
    ("documents", "options", "words"),
    [
        (["good", None], {}, "^X must contain nothing but text .* got None at posi"),
        ([b"good"], {}, "^X must contain nothing .* got b'good' at position 0"),
        ("good", {}, "^X must hold rows, got 'good': pass a single document"),
        (["good"], {"groups": "cell"}, "^groups='cell' must be one of .*'position'"),
        (["good"], {"groups": [0]}, r"^groups=\[0\] must be one of"),
        (["good"], {"discretize": "decile"}, "^discretize is for tables"),
        (["good"], {"feature_names": ["a"]}, "^feature_names is for tables"),
        (["good bad"], {"num_samples": 5}, "^num_samples=5 .* 2 units"),
        (["good"], {"row_names": ["a", "b"]}, "^row_names must be a list of 1"),
    ],
)
def test_invalid_documents(regressor, documents, options, words):
    model = regressor(lambda X: np.array([1.0 * len(text) for text in X]))
    assert_raises(ValueError, words, model, documents, **options)


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (lambda X: X.sum(), {}, r"^estimator must return .* 1 rows, got \(\) from the"),
        (lambda X: X[:0], {}, r"^estimator must return .* 1 rows, got \(0, 4\)"),
        (lambda X: X[..., None], {}, r"^estimator must return .* got \(1, 4, 1\)"),
        (lambda X: ["up"] * len(X), {}, "^estimator must return numbers, got"),
        (lambda X: X, {"class_names": ["a"]}, "^class_names must name the 4 outputs"),
        (lambda X: X, {"class_names": 3}, "^class_names must be a list"),
        (lambda X: X, {"target": 4}, "^target=4 must be one of the outputs"),
        (lambda X: X, {"target": True}, "^target=True must be one of the outputs"),
        (lambda X: X, {"target": "up"}, "^target='up' must be one of the outputs"),
        (lambda X: X, {"link": "logit"}, "^link='logit' needs probabilities"),
        (lambda X: X, {"step": 1}, "^step=1 is for"),
        (lambda X: X[:, 0] / 0, {}, "^estimator predicts"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_invalid_functions(function, options, words):
    assert_raises(ValueError, words, function, X[:1], background=X, **options)


def test_class_names_of_an_estimator():
    words = r"^class_names=\['a'\] is for functions only"
    assert_raises(ValueError, words, LOGISTIC, X[:1], background=X, class_names=["a"])


@pytest.mark.parametrize("params", [{"fp_cost": [1.0]}, {"fp_cost": 3}])
def test_invalid_metadata(params):
    words = r"^params\['fp_cost'\] must have one value for each of the 2 rows"
    assert_raises(ValueError, words, LOGISTIC, X[:2], background=X, params=params)


def test_lazy_frames_raise():
    lazy = pl.DataFrame(X).lazy()
    assert_raises((TypeError, ValueError), "^X ", LINEAR, lazy, background=X)


def test_infinite_numbers(regressor):
    rows = X[:2].copy()
    rows[0, 0] = np.inf
    model = regressor(lambda X: np.clip(X, -5, 5).sum(axis=1))
    assert_raises(ValueError, "^X ", model, rows, background=X)


@pytest.mark.parametrize(
    ("model", "rows", "background", "words"),
    [
        (LINEAR, X[:1, :3], X[:, :3], "X has 3 features"),
        (LINEAR, np.c_[X, X][:1], np.c_[X, X], "X has 8 features"),
        (OF_FRAME, FRAME[["a", "b", "c"]][:1], FRAME, "feature names.*\n?.*\n?- d"),
        (OF_FRAME, FRAME.rename(columns={"a": "z"})[:1], FRAME, "background.*'z'"),
        (OF_FRAME, FRAME.assign(z=1)[:1], FRAME, "background lacks the columns .'z'."),
        (OF_FRAME, FRAME[:1], FRAME[["a", "b"]], r"background .*\['c', 'd'\]"),
        (LINEAR, X[:1], X[:, :3], r"background .* of those of X, \(4,\), got \(3,\)"),
        (LINEAR, X[:1], X[:, :, np.newaxis], r"background .*\(4,\), got \(4, 1\)"),
        (LINEAR, X[:1], FRAME, "background must have the type of X, ndarray"),
        (OF_FRAME, FRAME[:1], X, "background must have the type of X, DataFrame"),
    ],
    ids=["fewer", "more", "missing", "renamed", "extra", "background fewer"]
    + ["background fewer numbers", "background 3-D", "frame beside array"]
    + ["array beside frame"],
)
def test_columns_that_differ_from_training(model, rows, background, words):
    with pytest.raises((TypeError, ValueError), match=words):
        explain(model, rows, background=background)


def test_background_of_one_row():
    assert_raises(
        ValueError,
        "^background must have several rows, got 1",
        LINEAR,
        X[:1],
        background=X[1:2],
    )
    assert_raises(ValueError, "^background is needed if X has one row", LINEAR, X[:1])
    assert_raises(ValueError, "^background", LINEAR, S[:1], background=S[:1])


# -- options ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("num_samples", [0, 1, -5, 100.0, "many", None, np.nan]),
        ("num_features", [0, -1, 2.5, "all", None]),
        ("spread", [0, -1, np.inf, np.nan, "wide", None]),
        ("kernel_width", [0, -0.1, np.inf, np.nan, "narrow"]),
        ("discretize", ["quartiles", 4, True]),
        ("replacement", ["zero", None, 0]),
        ("n_segments", [0, -1, 2.5, "ten"]),
        ("feature_selection", ["auto", "none", True, 3]),
        ("random_state", [-1, "seed", 1.5, np.random.default_rng(0)]),
    ],
)
def test_invalid_options(name, values):
    for value in values:
        assert_raises(
            (TypeError, ValueError), f"'{name}' parameter", LINEAR, X, **{name: value}
        )


@pytest.mark.parametrize("num_samples", [2, 5])
def test_too_few_draws(num_samples):
    words = f"^num_samples={num_samples} .* 4 units; use at least"
    assert_raises(ValueError, words, LINEAR, X, num_samples=num_samples)


@pytest.mark.parametrize("name", ["feature_names", "row_names"])
@pytest.mark.parametrize(
    "names", ["abcd", ["a"], list("abcde"), [], 4, True, {"a": 1}], ids=repr
)
def test_invalid_names(name, names):
    assert_raises((TypeError, ValueError), f"^{name} ", LINEAR, X, **{name: names})


@pytest.mark.parametrize(
    "chosen",
    ["e", ["e"], [4], [-1], [1.0], [None], [["a"]], 2, 2.5]
    + [[True, False], [True, False, True]],
    ids=repr,
)
def test_invalid_categorical_features(chosen):
    assert_raises(
        (TypeError, ValueError),
        "^categorical_features ",
        OF_FRAME,
        FRAME,
        categorical_features=chosen,
    )


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"u": ["a", "b"]}, r"must cover all features; \['c', 'd'\]"),
        ({}, "must cover all features"),
        ({"u": ["a", "b"], "v": ["b", "c", "d"]}, r"must not overlap; \['b'\]"),
        ({"u": ["a", "a"], "v": ["b", "c", "d"]}, r"must not overlap; \['a'\]"),
        ({"u": ["a", 0], "v": ["b", "c", "d"]}, r"must not overlap; \['a'\]"),
        ({"u": list("abcd"), "v": []}, r"must not be empty; \['v'\]"),
        ({"u": list("abcde")}, r"\['u'\] names 'e'"),
        ({"u": [0, 1, 2, 4]}, r"\['u'\] names 4"),
        ({"u": [-1, 0, 1, 2]}, r"\['u'\] names -1"),
        ({"u": 0, "v": [1, 2, 3]}, "'u'"),
        ({"u": None, "v": list("abcd")}, "'u'"),
        ({"u": [True], "v": [0, 2, 3]}, "'u'"),
        ({"u": [["a"]], "v": list("bcd")}, "'u'"),
        ([0, 1, 1], r"one integer for each .* shape \(4,\), got"),
        ([[0, 1], [1, 1]], r"one integer for each .* shape \(4,\), got"),
        ([0.0, 1, 1, 1], "one integer for each"),
        ([True, False, True, True], "one integer for each"),
        (["a", "b", "c", "d"], "one integer for each"),
        ([0, 1, 1, -1], "must cover all .* 1 "),
        ([[0, 1, 2], [3]], ""),
        ([], "one integer"),
        (3, "one integer"),
        ({1, 2}, "one integer"),
        ("feature", "'feature' is for sequences"),
        ("cell", "'cell' is for sequences"),
        ("superpixel", "'superpixel' is for"),
        ("color", "'color'"),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, str) else "",
)
def test_invalid_groups_of_columns(groups, words):
    assert_raises(
        (TypeError, ValueError), f"^groups.*{words}", OF_FRAME, FRAME, groups=groups
    )


# -- sequences and images --------------------------------------------------------------


def total(X):
    return X.reshape(len(X), -1).sum(axis=1)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("Cell", "must be one of .*'cell', 'feature', 'time'"),
        ("superpixels", "must be one of"),
        (("cell",), "one integer for each"),
        (
            np.zeros((2, 5), int),
            r"one integer for each .* shape \(5, 2\), got",
        ),
        (np.zeros((30, 5, 2), int), r"one integer for each .* shape \(5, 2\)"),
        (np.zeros((5, 2)), "one integer for each"),
        (np.full((5, 2), -1), "10 have"),
        ({"u": [0]}, r"must cover all features; \['x1'\]"),
        ({"u": [0, 1], "v": [1]}, "must not overlap"),
        ({"u": ["load"], "v": [0, 1]}, "names 'load'"),
        (7, "one integer"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value[:10],
)
def test_invalid_groups_of_cells(regressor, groups, words):
    model = regressor(total)
    assert_raises((TypeError, ValueError), f"^groups.*{words}", model, S, groups=groups)


@pytest.mark.parametrize(
    ("rows", "background", "words"),
    [
        (S[:1], None, "^background"),
        (S[:1], S[:, :3], r"^background .*\(5, 2\), got \(3, 2\)"),
        (S[:1], S[:, :, :1], r"^background .*\(5, 2\), got \(5, 1\)"),
        (S[:1], S[0], "^background"),
        (S[:1], pd.DataFrame(S[0]), "^background"),
        (np.full((2, 5, 2), "a"), S, "^X "),
        (S[:2].astype(complex), S, "^X "),
    ],
    ids=["alone", "steps", "features", "2-D", "frame", "text", "complex"],
)
def test_invalid_sequences(regressor, rows, background, words):
    assert_raises(
        (TypeError, ValueError), words, regressor(total), rows, background=background
    )


@pytest.mark.parametrize(
    "groups",
    [
        "cell",
        "time",
        "pixel",
        {"u": [0]},
        np.zeros((8, 9), int),
        5,
        -np.eye(8, dtype=int),
    ],
)
def test_invalid_groups_of_pixels(regressor, groups):
    model = regressor(total)
    assert_raises((TypeError, ValueError), "^groups", model, IMAGES, groups=groups)


def test_invalid_images(regressor):
    model = regressor(lambda X: np.nan_to_num(total(X)))
    holes = IMAGES.copy()
    holes[0, 0, 2, 2] = np.nan
    assert_raises(ValueError, "^X ", model, holes)
    assert_raises((TypeError, ValueError), "^X ", model, np.full((1, 1, 4, 4), "a"))
    assert_raises(ValueError, "^num_samples=5 ", model, IMAGES, num_samples=5)


# -- forecasters -----------------------------------------------------------------------

LOAD = pd.DataFrame(10 + rng.normal(size=(60, 2)), columns=["load", "temp"])


@pytest.fixture(scope="module")
def forecaster():
    return LSTMForecaster(
        window=6, horizon=3, hidden_size=2, max_iter=1, context="pad", random_state=0
    ).fit(LOAD)


@pytest.mark.parametrize(
    "target",
    [None, "wind", 0, 5, ("wind", 1), ("load", 0), ("load", 4), ("load", 1.0)]
    + [("load", True), ("load", "1"), ("load", None), ("load",), ("load", 1, 2), ()]
    + [["load", 1], (None, 1), "margin", pd.NA, ("load", -1)],
    ids=repr,
)
def test_invalid_targets_of_a_forecast(forecaster, target):
    assert_raises((TypeError, ValueError), "^target=", forecaster, LOAD, target=target)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (LOAD[:5], "X must have at least 6 rows, or be windows of 6 rows"),
        (LOAD[["temp"]], "X "),
        (LOAD.rename(columns={"temp": "wind"}), "X "),
        (LOAD.assign(load="a"), "X "),
        (LOAD.to_numpy()[:, :1], "X "),
        (np.zeros((2, 5, 2)), "X must have at least 6 rows"),
        (np.zeros((2, 6, 3)), "X "),
        (np.zeros((2, 6, 2, 1)), "X must have"),
        (np.full((2, 6, 2), "a"), "X "),
        (LOAD[:0], "X "),
        (LOAD["load"], "X "),
        (LOAD.where(LOAD["load"] > 99), "X must not have missing values"),
        (LOAD.mask(LOAD == LOAD.iloc[-6]), "X must not have missing values"),
    ],
    ids=[
        "short",
        "missing",
        "renamed",
        "text",
        "array of 1",
        "steps",
        "features",
        "4-D",
    ]
    + ["text in 3-D", "empty", "series", "all missing", "one missing"],
)
def test_invalid_rows_of_a_forecast(forecaster, rows, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        explain(forecaster, rows, target="load")
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert not any("pandas" in frame.filename for frame in frames)


@pytest.mark.parametrize(
    "background",
    [
        LOAD[:6],
        LOAD[["temp"]],
        LOAD.rename(columns={"temp": "wind"}),
        np.zeros((1, 6, 2)),
    ]
    + [np.zeros((9, 5, 2)), LOAD.assign(load="a"), "rows", LOAD["load"]],
    ids=[
        "short",
        "missing",
        "renamed",
        "one window",
        "steps",
        "text",
        "string",
        "series",
    ],
)
def test_invalid_backgrounds_of_a_forecast(forecaster, background):
    assert_raises(
        (TypeError, ValueError),
        "^background",
        forecaster,
        LOAD,
        target="load",
        background=background,
    )


def test_noise_for_a_forecast_needs_a_background(forecaster):
    options = {"target": "load", "replacement": "noise"}
    assert_raises(
        ValueError, "^background .* replacement='noise'", forecaster, LOAD, **options
    )


def test_forecasters_with_groups_raise():
    model = LSTMForecaster(
        window=6, horizon=3, hidden_size=2, max_iter=1, groups="k", random_state=0
    ).fit(LOAD.assign(k=0))
    assert_raises(ValueError, "several series", model, LOAD.assign(k=0), target="load")


def test_forecasters_with_a_date_column_raise():
    model = LSTMForecaster(
        window=6, horizon=3, hidden_size=2, max_iter=1, date_column="t", random_state=0
    )
    rows = LOAD.assign(t=range(len(LOAD)))
    words = "with date_column='t' cannot be explained"
    assert_raises(ValueError, words, model.fit(rows), rows, target="load")


def test_invalid_links_of_a_forecast(forecaster):
    assert_raises(
        ValueError, "link='logit'", forecaster, LOAD, target="load", link="logit"
    )


def test_infinity_in_sequences(regressor):
    rows = S[:2].copy()
    rows[1, 2, 1] = np.inf
    for words, X, background in [("^X .*inf", rows, S), ("^background .*inf", S, rows)]:
        assert_raises(ValueError, words, regressor(total), X, background=background)


@pytest.mark.parametrize("make", [KMeans, IsolationForest])
def test_clusterers_and_outlier_detectors_raise(make):
    words = f"^estimator must be a classifier, .* got {make.__name__}"
    assert_raises(TypeError, words, make().fit(X), X[:1], background=X)


# -- numbers and options ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(num_samples=10**30), r"'num_samples' .* range \[2, 10000000\]"),
        (dict(spread=Fraction(1, 2)), r"'spread' .* Got Fraction\(1, 2\)"),
        (dict(kernel_width=10**400), "'kernel_width' .* an int of more than 64 bits"),
        (dict(link="Logit"), r"\{'identity', 'logit'\}.* Did you mean 'logit'\?"),
        (dict(categorical_features=np.array(3)), "categorical_features must be a list"),
    ],
)
def test_invalid_numbers(given, message):
    with pytest.raises(ValueError, match=message):
        explain(LOGISTIC, X[:2], background=X, **given)


def test_kernel_widths_whose_squares_overflow():
    wide = explain(LINEAR, X[:1], background=X, kernel_width=1e300)
    wider = explain(LINEAR, X[:1], background=X, kernel_width=1e6)
    np.testing.assert_allclose(wide.weights_, wider.weights_, rtol=1e-6)
    with pytest.raises(ValueError, match="kernel_width=1e-320 leaves"):
        explain(LINEAR, X[:1], background=X, kernel_width=1e-320)


def test_tensors():
    tensor = torch.tensor(X, requires_grad=True)
    found = explain(LINEAR, tensor[:2], background=tensor)
    np.testing.assert_array_equal(
        found.effects_, explain(LINEAR, X[:2], background=X).effects_
    )
    with pytest.raises(ValueError, match="background must be a dense tensor"):
        explain(LINEAR, X[:2], background=torch.tensor(X).to_sparse())


def test_invalid_arguments_of_plots():
    found = explain(LINEAR, X[:1], background=X)
    with pytest.raises(TypeError, match="full_page must be True or False"):
        found.to_html(full_page=pd.Series([1, 2]))
    with pytest.raises(TypeError, match="name must be a str or None"):
        LimeDisplay.from_estimator(LINEAR, X[:1], background=X, name=np.ones(2))


def test_background_of_unhashable_objects():
    background = X.astype(object)
    background[0, 0] = {}
    with pytest.raises(TypeError, match="background must contain numbers or labels"):
        explain(LINEAR, X[:2], background=background)
