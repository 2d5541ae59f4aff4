"""Explanations of pipelines, classifiers and regressors of scikit-learn and skdeep."""

import datetime

import numpy as np
import polars as pl
import pytest
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

from skdeep import CostSensitiveClassifier, MLPRegressor
from tests.inspection.table_data import FRAME, MEAN, SD, X, explain, network

# Warnings are tested in test_lime_fidelity.py.
pytestmark = pytest.mark.filterwarnings("ignore:The local models of:UserWarning")

GOOD = np.where((FRAME["age"] > 50) ^ (FRAME["job"] == "cook"), "good", "bad")


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
