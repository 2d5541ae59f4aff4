"""Expected cost as a scorer in cross-validation and searches, with row costs."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skdeep import CostSensitiveClassifier
from skdeep.metrics import expected_cost, make_cost_scorer, savings_score

X, y = make_classification(150, weights=[0.7], flip_y=0.1, random_state=0)
ROW_COSTS = {
    "fp_cost": np.random.default_rng(1).lognormal(size=150),
    "fn_cost": np.random.default_rng(2).lognormal(size=150),
}
LOGISTIC = LogisticRegression()


# -- the scorer ------------------------------------------------------------------------


def by_hand(model, cv, *, alpha=1.0, fit_costs=False, predict_costs=False, costs=None):
    """Return the negative cost in each fold, without using a scorer."""
    costs, scores = costs or {}, []
    for train, test in cv.split(X, y):
        here = {name: values[train] for name, values in costs.items()}
        there = {name: values[test] for name, values in costs.items()}
        fitted = clone(model).fit(X[train], y[train], **(here if fit_costs else {}))
        decided = fitted.predict(X[test], **(there if predict_costs else {}))
        scores.append(-expected_cost(y[test], decided, alpha=alpha, **there))
    return scores


@pytest.fixture
def metadata_routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("cv", [KFold(3), TimeSeriesSplit(3)], ids=["kfold", "series"])
def test_in_cross_validation(cv):
    scores = cross_val_score(LOGISTIC, X, y, scoring=make_cost_scorer(3), cv=cv)
    np.testing.assert_allclose(scores, by_hand(LOGISTIC, cv, alpha=3))


def test_agrees_with_make_scorer():
    model = LogisticRegression().fit(X, y)
    plain = make_scorer(expected_cost, greater_is_better=False, alpha=3)
    assert make_cost_scorer(3)(model, X, y) == plain(model, X, y)
    weight = ROW_COSTS["fp_cost"]
    weighted = make_cost_scorer(3)(model, X, y, sample_weight=weight)
    assert weighted == plain(model, X, y, sample_weight=weight)


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_in_searches(search):
    trees, grid = DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 8]}
    more = {"n_iter": 3} if search is RandomizedSearchCV else {}
    found = search(trees, grid, scoring=make_cost_scorer(5), cv=KFold(3), **more)
    found.fit(X, y)
    by_depth = {
        depth: np.mean(
            by_hand(clone(trees).set_params(max_depth=depth), KFold(3), alpha=5)
        )
        for depth in grid["max_depth"]
    }
    assert found.best_params_["max_depth"] == max(by_depth, key=by_depth.get)
    assert found.best_score_ == pytest.approx(max(by_depth.values()))
    cost = expected_cost(y, found.predict(X), alpha=5)
    assert found.score(X, y) == pytest.approx(-cost)


def test_in_a_halving_search():
    trees = DecisionTreeClassifier(random_state=0)
    search = HalvingGridSearchCV(
        trees, {"max_depth": [1, 8]}, scoring=make_cost_scorer(5), cv=3, random_state=0
    )
    search.fit(X, y)
    assert search.score(X, y) == -expected_cost(y, search.predict(X), alpha=5)


def test_with_other_metrics():
    scoring = {
        "expensive": make_cost_scorer(9),
        "plain": make_cost_scorer(),
        "a": "accuracy",
    }
    found = cross_validate(LOGISTIC, X, y, scoring=scoring, cv=KFold(3))
    np.testing.assert_allclose(
        found["test_expensive"], by_hand(LOGISTIC, KFold(3), alpha=9)
    )
    np.testing.assert_allclose(found["test_plain"], found["test_a"] - 1)


def test_in_tuned_threshold_classifier():
    tuned = TunedThresholdClassifierCV(
        LOGISTIC, scoring=make_cost_scorer(5), cv=KFold(3), store_cv_results=True
    )
    tuned.fit(X, y)
    plain = make_scorer(expected_cost, greater_is_better=False, alpha=5)
    other = clone(tuned).set_params(scoring=plain).fit(X, y)
    assert tuned.best_threshold_ == other.best_threshold_
    np.testing.assert_array_equal(
        tuned.cv_results_["scores"], other.cv_results_["scores"]
    )
    assert tuned.best_threshold_ > 0.5


def test_fold_without_a_class():
    X, y = load_iris(return_X_y=True)
    matrix = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
    scorer = make_cost_scorer(cost_matrix=matrix)
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    rows = y == 1
    decided = tree.predict(X[rows])
    assert scorer(tree, X[rows], y[rows]) == -matrix[1, decided].mean()


def test_class_unseen_in_training():
    model = DummyClassifier(strategy="most_frequent").fit([[0], [1]], ["a", "a"])
    assert make_cost_scorer(3)(model, [[0], [1]], ["a", "b"]) == -0.5
    assert make_cost_scorer(3)(model, [[0], [1]], ["a", "a"]) == 0


def test_estimator_without_classes():
    class Constant:
        def predict(self, X):
            return np.ones(len(X), dtype=int)

    assert make_cost_scorer(3)(Constant(), X[:2], [0, 1]) == -1.5


def test_abstaining_estimator():
    model = CostSensitiveClassifier(
        LOGISTIC, 3, strategy="threshold", abstain_cost=0.05, abstain_label=9
    ).fit(X, y)
    decided = model.predict(X)
    assert 0 < (decided == 9).mean() < 1
    settings = dict(abstain_cost=0.05, abstain_label=9)
    expected = -expected_cost(y, decided, alpha=3, **settings)
    assert make_cost_scorer(3, **settings)(model, X, y) == expected
    with pytest.raises(ValueError, match="y_pred holds 9, but the classes are 0, 1"):
        make_cost_scorer(3)(model, X, y)


# -- costs of rows through the scorer --------------------------------------------------


def cost_sensitive(**params):
    return CostSensitiveClassifier(LOGISTIC, strategy="threshold", **params)


def test_row_costs_are_requested_by_default(metadata_routing):
    """They follow the folds, enter the cost, and reach fit and predict."""
    model = cost_sensitive()
    found = cross_validate(
        model, X, y, scoring=make_cost_scorer(), cv=KFold(3), params=ROW_COSTS
    )
    expected = by_hand(
        model, KFold(3), fit_costs=True, predict_costs=True, costs=ROW_COSTS
    )
    np.testing.assert_allclose(found["test_score"], expected)
    # Without passing them on, other decisions would be scored.
    without = by_hand(clone(LOGISTIC), KFold(3), costs=ROW_COSTS)
    assert np.abs(np.subtract(found["test_score"], without)).min() > 1e-3


def test_row_costs_reach_the_last_step_of_a_pipeline(metadata_routing):
    model = make_pipeline(StandardScaler(), cost_sensitive())
    found = cross_validate(
        model,
        X,
        y,
        scoring={"cost": make_cost_scorer(2), "again": make_cost_scorer(5)},
        cv=KFold(3),
        params=ROW_COSTS,
    )
    for name, alpha in {"cost": 2, "again": 5}.items():
        expected = by_hand(
            model,
            KFold(3),
            alpha=alpha,
            fit_costs=True,
            predict_costs=True,
            costs=ROW_COSTS,
        )
        np.testing.assert_allclose(found[f"test_{name}"], expected)


def test_row_costs_score_estimators_that_ignore_them(metadata_routing):
    found = cross_validate(
        LOGISTIC, X, y, scoring=make_cost_scorer(2), cv=KFold(3), params=ROW_COSTS
    )
    expected = by_hand(LOGISTIC, KFold(3), alpha=2, costs=ROW_COSTS)
    np.testing.assert_allclose(found["test_score"], expected)


def test_row_costs_in_a_search(metadata_routing):
    model = make_pipeline(StandardScaler(), cost_sensitive())
    grid = {"costsensitiveclassifier__estimator__C": [0.01, 1.0]}
    search = GridSearchCV(model, grid, scoring=make_cost_scorer(), cv=KFold(3))
    search.fit(X, y, **ROW_COSTS)
    by_c = [
        np.mean(
            by_hand(
                clone(model).set_params(costsensitiveclassifier__estimator__C=c),
                KFold(3),
                fit_costs=True,
                predict_costs=True,
                costs=ROW_COSTS,
            )
        )
        for c in (0.01, 1.0)
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_c)


def test_tuned_threshold_classifier_with_row_costs(metadata_routing):
    tuned = TunedThresholdClassifierCV(
        LOGISTIC, scoring=make_cost_scorer(), cv=KFold(3), store_cv_results=True
    )
    tuned.fit(X, y, **ROW_COSTS)
    plain = make_scorer(expected_cost, greater_is_better=False)
    plain.set_score_request(fp_cost=True, fn_cost=True)
    other = clone(tuned).set_params(scoring=plain).fit(X, y, **ROW_COSTS)
    np.testing.assert_array_equal(
        tuned.cv_results_["scores"], other.cv_results_["scores"]
    )
    assert tuned.best_threshold_ == other.best_threshold_


def test_row_costs_without_routing():
    model = cost_sensitive().fit(X, y, **ROW_COSTS)
    decided = model.predict(X, **ROW_COSTS)
    expected = -expected_cost(y, decided, alpha=2, **ROW_COSTS)
    assert make_cost_scorer(2)(model, X, y, **ROW_COSTS) == expected
    pipeline = make_pipeline(StandardScaler(), cost_sensitive())
    Z = StandardScaler().fit_transform(X)
    pipeline.fit(
        X, y, **{f"costsensitiveclassifier__{k}": v for k, v in ROW_COSTS.items()}
    )
    decided = pipeline[-1].predict(Z, **ROW_COSTS)
    expected = -expected_cost(y, decided, alpha=2, **ROW_COSTS)
    assert make_cost_scorer(2)(pipeline, X, y, **ROW_COSTS) == expected


def test_missing_row_costs_raise():
    model = cost_sensitive().fit(X, y, **ROW_COSTS)
    with pytest.raises(ValueError, match="fp_cost"):
        make_cost_scorer(2)(model, X, y)


def test_sample_weight_requests_work_as_in_scikit_learn(metadata_routing):
    scorer = make_cost_scorer(3)
    weight = {"sample_weight": ROW_COSTS["fp_cost"]}
    model = LogisticRegression().set_fit_request(sample_weight=False)
    with pytest.raises(UnsetMetadataPassedError):
        cross_validate(model, X, y, scoring=scorer, params=weight)
    assert scorer.set_score_request(sample_weight=True) is scorer
    found = cross_validate(
        model, X, y, scoring=scorer, cv=KFold(3), params={**weight, **ROW_COSTS}
    )
    for score, (train, test) in zip(
        found["test_score"], KFold(3).split(X), strict=True
    ):
        decided = clone(model).fit(X[train], y[train]).predict(X[test])
        expected = -expected_cost(
            y[test],
            decided,
            alpha=3,
            sample_weight=weight["sample_weight"][test],
            fp_cost=ROW_COSTS["fp_cost"][test],
            fn_cost=ROW_COSTS["fn_cost"][test],
        )
        assert score == pytest.approx(expected)


def test_row_costs_by_alias(metadata_routing):
    scorer = make_cost_scorer().set_score_request(fp_cost="interest", fn_cost=False)
    found = cross_validate(
        LOGISTIC,
        X,
        y,
        scoring=scorer,
        cv=KFold(3),
        params={"interest": ROW_COSTS["fp_cost"]},
    )
    costs = {"fp_cost": ROW_COSTS["fp_cost"]}
    expected = by_hand(LOGISTIC, KFold(3), costs=costs)
    np.testing.assert_allclose(found["test_score"], expected)


def test_requests_need_routing():
    with pytest.raises(RuntimeError, match="metadata routing"):
        make_cost_scorer().set_score_request(sample_weight=True)


# -- the scorer as an object -----------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"alpha": 3}, "make_cost_scorer(alpha=3)"),
        ({"pos_label": "bad"}, "make_cost_scorer(alpha=1.0, pos_label='bad')"),
        (
            {"cost_matrix": [[0, 1], [2, 0]], "labels": ["x", "a"]},
            "make_cost_scorer(alpha=1.0, cost_matrix=[[0, 1], [2, 0]], "
            "labels=['x', 'a'])",
        ),
    ],
    ids=["alpha", "pos_label", "matrix"],
)
def test_repr_recreates_the_scorer(settings, shown):
    assert repr(make_cost_scorer(**settings)) == shown
    assert repr(eval(shown)) == shown


def test_copies_give_the_same_score():
    model = LogisticRegression().fit(X, y)
    scorer = make_cost_scorer(3, pos_label=0)
    copies = [
        copy.deepcopy(scorer),
        pickle.loads(pickle.dumps(scorer)),
        clone(GridSearchCV(model, {}, scoring=scorer)).scoring,
    ]
    for other in copies:
        assert other(model, X, y) == scorer(model, X, y)


def test_requests_are_pickled(metadata_routing):
    scorer = make_cost_scorer(3).set_score_request(fn_cost="loss")
    again = pickle.loads(pickle.dumps(scorer))
    assert again.get_metadata_routing().score.requests == {
        "fp_cost": True,
        "fn_cost": "loss",
        "sample_weight": None,
    }


BAD_SETTINGS = {
    "alpha 0": (dict(alpha=0), "alpha must be .* got 0"),
    "alpha None": (dict(alpha=None), "alpha must be .* got None"),
    "matrix": (dict(cost_matrix=[[0, 1]]), r"cost_matrix .* \[\[0, 1\]\]"),
    "matrix and alpha": (
        dict(alpha=2, cost_matrix=1 - np.eye(2)),
        "alpha=2 cannot be given too",
    ),
    "negative cost": (dict(cost_matrix=[[0, -1], [1, 0]]), "cost_matrix .* got -1.0"),
    "labels": (dict(labels=[1, 1]), "labels must be distinct"),
    "three labels": (dict(alpha=2, labels=[0, 1, 2]), "alpha=2 .* holds 3"),
    "abstain_cost": (dict(abstain_cost="a"), "abstain_cost .* got 'a'"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_invalid_settings_raise_at_once(case):
    settings, message = BAD_SETTINGS[case]
    with pytest.raises(ValueError, match=message):
        make_cost_scorer(**settings)


def test_unhashable_labels():
    labels = np.array([0, {}], dtype=object)
    with pytest.raises(TypeError, match=r"y_true .* got \{\} at position 1"):
        expected_cost(labels, [0, 1])


@pytest.mark.parametrize(
    "make",
    [
        lambda y: torch.tensor(y, dtype=torch.float32, requires_grad=True),
        lambda y: torch.tensor(y, dtype=torch.bfloat16),
        lambda y: np.asarray(y, dtype=">f8"),
    ],
    ids=["gradient", "bfloat16", "big-endian"],
)
def test_labels_and_weights_of_any_type(make):
    y_true, y_pred, weight = [0, 1, 1, 0], [1, 1, 0, 0], [1.0, 1.0, 2.0, 4.0]
    expected = (3 * 1 + 1 * 2) / 8
    given = make(y_true), make(y_pred)
    found = expected_cost(*given, alpha=3, sample_weight=make(weight))
    assert found == pytest.approx(expected)


def test_weights_near_the_largest_float32():
    weight = np.array([3e38, 3e38, 1e38], dtype=np.float32)
    found = expected_cost([0, 1, 1], [1, 1, 0], alpha=2, sample_weight=weight)
    assert found == pytest.approx((2 * 3 + 1 * 1) / 7)


def test_savings_do_not_overflow():
    found = savings_score([0, 1], [1, 0], abstain_cost=1e-320)
    assert found == -np.finfo(float).max


@pytest.mark.parametrize("estimator", [LogisticRegression, pd.DataFrame([[1.0]])])
def test_scorer_with_an_invalid_estimator(estimator):
    with pytest.raises(TypeError, match="estimator must be a fitted classifier"):
        make_cost_scorer()(estimator, [[0.0], [1.0]], [0, 1])
