"""OptunaSearchCV has scikit-learn's search API, and raises on invalid input."""

import json
import pickle
import warnings

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    clone,
    is_classifier,
    is_clusterer,
    is_outlier_detector,
    is_regressor,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import MLPClassifier, OptunaSearchCV

X, y = make_classification(90, 5, n_informative=3, class_sep=0.6, random_state=0)
C = {"C": loguniform(1e-3, 1e2)}


def search(estimator=None, space=C, **params):
    """A small search, by default of LogisticRegression."""
    estimator = LogisticRegression() if estimator is None else estimator
    params = {"n_trials": 3, "cv": 3, "random_state": 0, **params}
    return OptunaSearchCV(estimator, space, **params)


class FailsForParameters(ClassifierMixin, BaseEstimator):
    """Predicts the first class, and fails for some of its parameters."""

    def __init__(self, bad=0, nan=0):
        self.bad = bad
        self.nan = nan

    def fit(self, X, y, sample_weight=None):
        if self.bad > 4:
            raise ValueError(f"bad is {self.bad}")
        self.classes_ = np.unique(y)
        self.sum_of_weights_ = None if sample_weight is None else sample_weight.sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return np.nan if self.nan > 4 else 0.25 + self.bad / 100


# -- the API of scikit-learn's searches ------------------------------------------------


def test_is_a_scikit_learn_search():
    fitted = search().fit(X, y)
    assert isinstance(fitted, BaseSearchCV)
    assert fitted.fit(X, y) is fitted
    assert fitted.n_splits_ == 3
    assert fitted.refit_time_ >= 0
    assert fitted.n_features_in_ == 5
    assert fitted.classes_.tolist() == [0, 1]
    assert not fitted.multimetric_
    assert callable(fitted.scorer_)
    assert fitted.predict(X).shape == (90,)
    assert fitted.predict_proba(X).shape == (90, 2)
    assert fitted.score(X, y) == fitted.best_estimator_.score(X, y)


def test_results_have_the_form_of_randomized_search():
    theirs = RandomizedSearchCV(
        LogisticRegression(), C, n_iter=3, cv=3, return_train_score=True, random_state=0
    ).fit(X, y)
    ours = search(return_train_score=True).fit(X, y)
    assert set(theirs.cv_results_) | {"state", "n_epochs"} == set(ours.cv_results_)
    for name, column in theirs.cv_results_.items():
        assert type(ours.cv_results_[name]) is type(column), name
        assert len(ours.cv_results_[name]) == 3
        if name != "params":
            assert ours.cv_results_[name].dtype.kind == column.dtype.kind, name


def test_results_are_consistent():
    found = search(return_train_score=True).fit(X, y)
    results = pd.DataFrame(found.cv_results_)
    splits = results[[f"split{i}_test_score" for i in range(3)]]
    np.testing.assert_allclose(results["mean_test_score"], splits.mean(axis=1))
    np.testing.assert_allclose(results["std_test_score"], splits.std(axis=1, ddof=0))
    assert found.best_score_ == results["mean_test_score"].max()
    assert results["rank_test_score"][found.best_index_] == 1
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert [p["C"] for p in found.cv_results_["params"]] == list(results["param_C"])


def test_scores_are_those_of_cross_validation():
    found = search(pruner=None).fit(X, y)
    for i, params in enumerate(found.cv_results_["params"]):
        expected = cross_val_score(LogisticRegression(**params), X, y, cv=3)
        for fold, score in enumerate(expected):
            assert found.cv_results_[f"split{fold}_test_score"][i] == score


def test_first_trial_uses_current_parameters():
    found = search(LogisticRegression(C=0.123)).fit(X, y)
    assert found.cv_results_["params"][0] == {"C": 0.123}


def test_estimator_is_not_modified():
    model = LogisticRegression()
    found = search(model).fit(X, y)
    assert not hasattr(model, "coef_")
    assert model.C == 1.0
    assert found.best_estimator_ is not model


def test_clone_set_params_and_repr():
    first = search(scoring="roc_auc", n_jobs=2, pruner=None)
    twin = clone(first)
    assert twin is not first
    assert twin.get_params(deep=False).keys() == first.get_params(deep=False).keys()
    assert twin.estimator is not first.estimator
    twin.set_params(n_trials=3, estimator__tol=1e-3, n_jobs=None)
    assert twin.fit(X, y).best_estimator_.tol == 1e-3
    assert len(twin.cv_results_["params"]) == 3
    assert not hasattr(clone(twin), "best_score_")
    assert "OptunaSearchCV(" in repr(twin)
    assert "OptunaSearchCV" in twin._repr_html_()


def test_refit_forgets_the_earlier_fit():
    model = search(scoring=["accuracy", "roc_auc"], refit="roc_auc").fit(X, y)
    model.set_params(scoring=None, refit=True, n_trials=2).fit(X, y)
    assert "mean_test_score" in model.cv_results_
    assert len(model.cv_results_["params"]) == 2
    assert len(model.study_.trials) == 2


def test_random_state_makes_searches_reproducible():
    one, two = (search().fit(X, y) for _ in range(2))
    assert one.cv_results_["params"] == two.cv_results_["params"]
    other = search(random_state=1).fit(X, y)
    assert one.cv_results_["params"] != other.cv_results_["params"]


def test_random_state_can_be_a_generator():
    rng = np.random.RandomState(3)
    one = search(random_state=np.random.RandomState(3)).fit(X, y)
    two = search(random_state=rng).fit(X, y)
    three = search(random_state=rng).fit(X, y)
    assert one.cv_results_["params"] == two.cv_results_["params"]
    assert one.cv_results_["params"] != three.cv_results_["params"]


@pytest.mark.parametrize("dump", ["pickle", "joblib"])
def test_fitted_search_can_be_pickled(dump, tmp_path):
    fitted = search(storage=str(tmp_path / "trials.log")).fit(X, y)
    if dump == "pickle":
        loaded = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "search.joblib")
        loaded = joblib.load(tmp_path / "search.joblib")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.best_params_ == fitted.best_params_
    assert loaded.study_.best_value == fitted.study_.best_value
    assert [t.params for t in loaded.study_.trials] == [
        t.params for t in fitted.study_.trials
    ]


def test_unfitted_search_can_be_pickled():
    loaded = pickle.loads(pickle.dumps(search()))
    with pytest.raises(NotFittedError):
        loaded.predict(X)
    assert loaded.fit(X, y).best_score_ > 0.5


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), Ridge(), IsolationForest(), KMeans()]
)
def test_tags_are_those_of_the_estimator(estimator):
    made = search(estimator, {"random_state": [0, 1]})
    for asks in (is_classifier, is_regressor, is_outlier_detector, is_clusterer):
        assert asks(made) == asks(estimator)
    ours, theirs = get_tags(made), get_tags(RandomizedSearchCV(estimator, {}))
    theirs.input_tags.allow_nan = get_tags(estimator).input_tags.allow_nan
    assert ours == theirs


def test_tags_of_a_pairwise_estimator():
    kernel = X @ X.T
    found = search(SVC(kernel="precomputed"), {"C": [0.1, 1.0]}, n_trials=2)
    assert get_tags(found).input_tags.pairwise
    assert found.fit(kernel, y).score(kernel, y) > 0.5


def test_methods_are_those_of_the_estimator():
    assert not hasattr(search(SVC(), {"C": [1, 2]}).fit(X, y), "predict_proba")
    fitted = search(make_pipeline(StandardScaler()), {"standardscaler__with_mean": [1]})
    assert hasattr(fitted, "transform")
    assert not hasattr(fitted, "predict")
    found = search().fit(X, y)
    for method in ("decision_function", "predict_log_proba"):
        assert len(getattr(found, method)(X)) == 90


def test_feature_names_are_kept():
    frame = pd.DataFrame(X, columns=list("abcde"))
    fitted = search().fit(frame, y)
    assert fitted.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[list("edcba")])


def test_string_labels():
    labels = np.array(["no", "yes"])[y]
    fitted = search().fit(X, labels)
    assert set(fitted.predict(X)) <= {"no", "yes"}
    assert fitted.classes_.tolist() == ["no", "yes"]


def test_lists_and_text_columns():
    found = search().fit(X.tolist(), y.tolist())
    np.testing.assert_array_equal(found.predict(X), search().fit(X, y).predict(X))
    frame = pd.DataFrame(
        {"colour": np.array(["red", "blue", "green"])[y + X.argmax(1) % 2]}
    )
    model = make_pipeline(OneHotEncoder(), LogisticRegression())
    space = {"logisticregression__C": [0.1, 1.0]}
    assert search(model, space, n_trials=2).fit(frame, y).score(frame, y) > 0.5


def test_an_estimator_without_targets():
    found = search(KMeans(random_state=0, n_init=1), {"n_clusters": [2, 3, 4]}).fit(X)
    assert found.best_params_["n_clusters"] == 4 or found.best_score_ < 0
    assert found.predict(X).shape == (90,)


def test_targets_of_several_columns():
    rows, targets = make_regression(60, 4, n_targets=2, random_state=0)
    found = search(Ridge(), {"alpha": loguniform(1e-3, 1e3)}).fit(rows, targets)
    assert found.predict(rows).shape == targets.shape


# -- inside other estimators -----------------------------------------------------------


def test_nested_cross_validation():
    scores = cross_val_score(search(n_trials=3), X, y, cv=3)
    assert scores.shape == (3,)
    assert (scores > 0.4).all()
    found = cross_validate(search(n_trials=3), X, y, cv=2, return_estimator=True)
    assert all(len(s.cv_results_["params"]) == 3 for s in found["estimator"])


def test_nested_searches():
    inner = search(SVC(), {"C": loguniform(1e-2, 1e2)}, n_trials=2)
    outer = search(inner, {"estimator__kernel": ["linear", "rbf"]}, n_trials=2, cv=2)
    found = outer.fit(X, y)
    assert "C" in found.best_estimator_.best_params_
    assert (
        found.best_estimator_.best_estimator_.kernel
        == (found.best_params_["estimator__kernel"])
    )


def test_grid_search_over_a_parameter_of_the_search():
    grid = {"n_trials": [1, 4], "estimator__fit_intercept": [True, False]}
    found = GridSearchCV(search(), grid, cv=2).fit(X, y)
    assert len(found.cv_results_["params"]) == 4
    n_trials = len(found.best_estimator_.cv_results_["params"])
    assert n_trials == found.best_params_["n_trials"]


def test_inside_a_pipeline_and_a_calibrator():
    model = Pipeline([("scale", StandardScaler()), ("search", search(n_trials=3))])
    assert cross_val_score(model, X, y, cv=2).mean() > 0.5
    calibrated = CalibratedClassifierCV(search(n_trials=2), cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (90, 2)


def test_steps_of_a_pipeline_can_be_searched():
    model = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    space = {
        "scale": [StandardScaler(), "passthrough"],
        "model__C": loguniform(0.1, 10),
    }
    found = search(model, space, n_trials=6).fit(X, y)
    first = found.cv_results_["params"][0]
    assert isinstance(first["scale"], StandardScaler)
    assert {type(p["scale"]) for p in found.cv_results_["params"]} == {
        StandardScaler,
        str,
    }
    assert not hasattr(space["scale"][0], "mean_")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        (1, 2, 3),
        np.array([1, 2, 3]),
        randint(1, 4),
        optuna.distributions.IntDistribution(1, 3),
        optuna.distributions.CategoricalDistribution([1, 2, 3]),
    ],
    ids=["list", "tuple", "array", "scipy", "Optuna's", "Optuna's choices"],
)
def test_kinds_of_search_space(values):
    found = search(DecisionTreeClassifier(random_state=0), {"max_depth": values})
    params = found.fit(X, y).cv_results_["params"][1:]
    assert all(p["max_depth"] in (1, 2, 3) for p in params)
    assert all(isinstance(p["max_depth"], int) for p in params)


# -- scores ----------------------------------------------------------------------------


def custom_score(estimator, X, y):
    """A custom scorer."""
    return -abs(np.log10(estimator.C) - 1)


def two_scores(estimator, X, y):
    """A custom scorer that returns two metrics."""
    right = accuracy_score(y, estimator.predict(X))
    return {"right": right, "wrong": right - 1}


@pytest.mark.parametrize("scoring", ["roc_auc", make_scorer(accuracy_score)])
def test_metric_by_name_or_scorer(scoring):
    found = search(scoring=scoring).fit(X, y)
    mean = cross_val_score(found.best_estimator_, X, y, cv=3, scoring=scoring).mean()
    assert found.best_score_ == pytest.approx(mean)


def test_custom_scorer():
    found = search(scoring=custom_score, n_trials=12).fit(X, y)
    assert abs(np.log10(found.best_params_["C"]) - 1) < 0.5
    assert found.score(X, y) == pytest.approx(found.best_score_)


@pytest.mark.parametrize("scoring", [["accuracy", "roc_auc"], two_scores])
def test_several_metrics(scoring):
    chosen = "right" if callable(scoring) else "roc_auc"
    found = search(scoring=scoring, refit=chosen).fit(X, y)
    assert found.multimetric_
    results = found.cv_results_
    assert results[f"rank_test_{chosen}"][found.best_index_] == 1
    assert found.best_score_ == np.nanmax(results[f"mean_test_{chosen}"])
    other = "mean_test_wrong" if callable(scoring) else "mean_test_accuracy"
    assert np.isfinite(results[other][found.best_index_])
    assert np.isfinite(found.score(X, y))


def test_several_metrics_without_refit():
    found = search(scoring=["accuracy", "roc_auc"], refit=False).fit(X, y)
    assert not hasattr(found, "best_params_")
    assert not hasattr(found, "best_estimator_")
    assert "rank_test_roc_auc" in found.cv_results_


def test_one_metric_without_refit():
    found = search(refit=False).fit(X, y)
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert not hasattr(found, "predict")
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        found.predict(X)


def test_refit_can_be_a_function():
    found = search(refit=lambda results: 2).fit(X, y)
    assert found.best_index_ == 2
    assert found.best_params_ == found.cv_results_["params"][2]
    assert found.best_estimator_.C == found.best_params_["C"]
    assert not hasattr(found, "best_score_")


@pytest.mark.parametrize(
    ("chosen", "error"), [(-1, IndexError), (5, IndexError), ("best", TypeError)]
)
def test_invalid_index_from_refit(chosen, error):
    with pytest.raises(error, match="best_index_"):
        search(refit=lambda results: chosen).fit(X, y)


def test_objectives_have_directions():
    found = search(
        scoring={"auc": "roc_auc", "loss": make_scorer(log_loss_of_labels)},
        directions=["maximize", "minimize"],
        refit="auc",
    ).fit(X, y)
    assert [d.name for d in found.study_.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert found.study_.best_trials
    losses = found.cv_results_["mean_test_loss"]
    assert found.cv_results_["rank_test_loss"][losses.argmin()] == 1
    assert found.cv_results_["rank_test_auc"][found.best_index_] == 1


def log_loss_of_labels(truth, predicted):
    """Return the error rate."""
    return np.mean(truth != predicted)


def test_a_metric_can_be_minimised():
    error = make_scorer(log_loss_of_labels)
    found = search(scoring=error, directions=["minimize"]).fit(X, y)
    means = found.cv_results_["mean_test_score"]
    assert found.best_score_ == np.nanmin(means)
    assert found.best_index_ == np.nanargmin(means)


# -- metadata --------------------------------------------------------------------------


def test_fit_parameters_reach_the_estimator():
    weights = np.arange(90.0)
    found = search(
        FailsForParameters(), {"bad": [0, 1]}, n_trials=2, scoring="accuracy"
    )
    found.fit(X, y, sample_weight=weights)
    assert found.best_estimator_.sum_of_weights_ == weights.sum()


def test_groups_reach_the_splitter():
    groups = np.arange(90) % 9
    found = search(cv=GroupKFold(3), n_trials=2).fit(X, y, groups=groups)
    assert found.n_splits_ == 3
    with pytest.raises(ValueError, match="groups"):
        search(cv=GroupKFold(3)).fit(X, y)


class RecordsWeights(LogisticRegression):
    """Records the number of weights of each fit."""

    seen: list = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(None if sample_weight is None else len(sample_weight))
        return super().fit(X, y, sample_weight)


def test_metadata_is_routed():
    RecordsWeights.seen.clear()
    weights, groups = np.ones(90), np.arange(90) % 9
    given = []

    def weighted(truth, predicted, sample_weight=None):
        given.append(None if sample_weight is None else len(sample_weight))
        return accuracy_score(truth, predicted, sample_weight=sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        model = RecordsWeights().set_fit_request(sample_weight=True)
        scorer = make_scorer(weighted).set_score_request(sample_weight=True)
        found = search(model, scoring=scorer, cv=GroupKFold(3), n_trials=1)
        found.fit(X, y, sample_weight=weights, groups=groups)
    assert RecordsWeights.seen == [60, 60, 60, 90]
    assert given == [30, 30, 30]


def test_unrequested_metadata_raises():
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(TypeError, match="unexpected"):
            search().fit(X, y, colour=np.ones(90))
        with pytest.raises(ValueError, match="sample_weight"):
            search().fit(X, y, sample_weight=np.ones(90))


def test_metadata_is_routed_through_nested_searches():
    weights = np.ones(90)
    RecordsWeights.seen.clear()
    with sklearn.config_context(enable_metadata_routing=True):
        model = RecordsWeights().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=False)
        cross_validate(
            search(model, scoring=scorer, n_trials=1, cv=2),
            X,
            y,
            cv=2,
            params={"sample_weight": weights},
            scoring=scorer,
        )
    assert None not in RecordsWeights.seen


# -- failing fits ----------------------------------------------------------------------

BAD = {"bad": randint(0, 10)}


def test_failed_fits_warn_and_rank_last():
    with pytest.warns(FitFailedWarning, match=r"bad is \d"):
        found = search(FailsForParameters(), BAD, n_trials=12, pruner=None).fit(X, y)
    results = found.cv_results_
    failed = results["state"] == "failed"
    assert 0 < failed.sum() < 12
    np.testing.assert_array_equal(failed, results["param_bad"] > 4)
    assert np.isnan(results["mean_test_score"][failed]).all()
    assert np.isfinite(results["mean_test_score"][~failed]).all()
    assert (results["rank_test_score"][failed] == 12 - failed.sum() + 1).all()
    assert found.best_params_["bad"] <= 4


def test_error_score_of_failed_fits():
    with pytest.warns(FitFailedWarning):
        found = search(
            FailsForParameters(), BAD, n_trials=12, pruner=None, error_score=-3.0
        ).fit(X, y)
    results = found.cv_results_
    failed = results["state"] == "failed"
    assert (results["mean_test_score"][failed] == -3).all()
    assert (results["split0_test_score"][failed] == -3).all()
    assert (results["std_test_score"][failed] == 0).all()
    assert (results["rank_test_score"][failed] == 12 - failed.sum() + 1).all()


def test_error_score_raise():
    with pytest.raises(ValueError, match=r"^bad is \d"):
        search(FailsForParameters(), BAD, n_trials=12, error_score="raise").fit(X, y)


def test_all_fits_failing_raises_the_reason():
    with pytest.raises(ValueError, match="bad is 7"):
        search(FailsForParameters(bad=7), {"bad": [7]}, n_trials=3).fit(X, y)


def test_nan_scores_are_failures():
    with pytest.warns(FitFailedWarning, match="not a number"):
        found = search(
            FailsForParameters(), {"nan": randint(0, 10)}, n_trials=12, pruner=None
        ).fit(X, y)
    failed = found.cv_results_["state"] == "failed"
    np.testing.assert_array_equal(failed, found.cv_results_["param_nan"] > 4)
    assert found.best_params_["nan"] <= 4


def test_nan_metric_raises():
    with pytest.raises(ValueError, match="not a number"):
        search(scoring=lambda *rows: np.nan).fit(X, y)


def broken(estimator, X, y):
    """A scorer that fails."""
    raise RuntimeError("no such metric today")


def test_failing_scorer():
    with pytest.raises(RuntimeError, match="no such metric today"):
        search(scoring=broken, error_score="raise").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns for each scoring
        with pytest.raises(ValueError, match="not a number|no such metric"):
            search(scoring=broken).fit(X, y)


def test_error_in_refit_is_raised():
    rows = X.copy()
    rows[0] = np.nan  # in no fold
    folds = [(np.arange(1, 60), np.arange(60, 90))]
    with pytest.raises(ValueError, match="NaN"):
        search(cv=folds).fit(rows, y)


# -- invalid input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"n_trials": -3}, "n_trials"),
        ({"n_trials": 2.5}, "n_trials"),
        ({"n_trials": None}, "n_trials"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": "1h"}, "timeout"),
        ({"sampler": "tpee"}, "sampler"),
        ({"pruner": "medium"}, "pruner"),
        ({"pruner": optuna.samplers.RandomSampler()}, "pruner"),
        ({"storage": 3}, "storage"),
        ({"study_name": 3}, "study_name"),
        ({"directions": "maximize"}, "directions"),
        ({"random_state": "zero"}, "random_state"),
        ({"error_score": "ignore"}, "error_score"),
        ({"return_train_score": "yes"}, "return_train_score"),
        ({"verbose": -1}, "verbose"),
        ({"callbacks": print}, "callbacks"),
        ({"n_jobs": "all"}, "n_jobs"),
        ({"cv": "three"}, "cv"),
        ({"scoring": "precisely"}, "scoring"),
        ({"space": "all"}, "param_distributions"),
        ({"space": [C]}, "param_distributions"),
        ({"estimator": "MLP"}, "estimator"),
        ({"pruner": optuna.pruners.NopPruner}, "pruner"),
        ({"storage": optuna.storages.InMemoryStorage}, "storage"),
    ],
)
def test_invalid_parameters(params, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of Optuna"):
        search(**params).fit(X, y)


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({}, ValueError, "is empty"),
        ({"C": []}, ValueError, r"\['C'\] has no values"),
        (
            {"D": [1.0]},
            ValueError,
            "'D', which is not a parameter of Logistic",
        ),
        ({**C, "model__C": [1]}, ValueError, "'model__C', which is not a parameter"),
        ({3: [1]}, ValueError, "3, which is not a parameter"),
        ({"C": 1.0}, TypeError, r"\['C'\] must be a list .* got 1\.0"),
        ({"C": "abc"}, TypeError, r"\['C'\] must be a list .* got 'abc'"),
        ({"C": {1, 2}}, TypeError, "must be a list"),
        ({"C": None}, TypeError, "must be a list .* got None"),
        ("auto", ValueError, "needs a default search space, which LogisticRegression"),
        (dict, TypeError, "must be 'auto', a dict or a function, got the class dict"),
        (lambda trial: [1], TypeError, r"must return a dict .* got \[1\]"),
        (lambda trial: {"D": 1.0}, ValueError, "Invalid parameter 'D'"),
    ],
)
def test_invalid_search_spaces(space, error, message):
    with pytest.raises(error, match=message):
        search(space=space).fit(X, y)


def test_unknown_pipeline_parameters_raise_before_any_fit():
    model = make_pipeline(StandardScaler(), FailsForParameters())
    space = {"stubborn__bad": [1], "mlp__alpha": uniform(0, 1)}
    with pytest.raises(ValueError, match="'mlp__alpha', which is not a parameter"):
        search(model, space).fit(X, y)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlp__alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifer__alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifier__alfa", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifier_alpha", "Did you mean 'mlpclassifier__alpha' or"),
        ("hidden_layers", "Did you mean 'mlpclassifier__hidden_layer_sizes'?"),
        ("zzz", "['memory', 'mlpclassifier', 'standardscaler', 'steps'"),
    ],
)
def test_misspelt_parameters_get_a_suggestion(name, meant):
    model = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2))
    with pytest.raises(ValueError, match="is not a parameter of Pipeline") as caught:
        search(model, {name: [1.0]}).fit(X, y)
    assert meant in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "values",
    [
        uniform(0, -1),
        uniform(0, np.inf),
        loguniform(1, 0.1),
        randint(5, 5),
        norm(0, -1),
    ],
    ids=["negative scale", "infinite", "ends exchanged", "empty", "not uniform"],
)
def test_distributions_without_a_range(values):
    with pytest.raises(ValueError, match=r"\['C'\] has no finite range"):
        search(space={"C": values}).fit(X, y)


def test_huge_n_trials_and_timeout():
    found = search(n_trials=10**15, timeout=1e-9).fit(X, y)
    assert len(found.cv_results_["params"]) == 1
    found = search(n_trials=2, timeout=10**400).fit(X, y)
    assert len(found.cv_results_["params"]) == 2


@pytest.mark.parametrize("callback", [1, "print", print.__class__])
def test_invalid_callbacks(callback):
    with pytest.raises(
        TypeError,
        match="callbacks must be functions .* got",
    ):
        search(callbacks=[callback]).fit(X, y)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ([], "'maximize' or 'minimize'"),
        (["up"], r"\['up'\]"),
        (["roc_auc"], r"for each metric of scoring, .* got \['roc_auc'\]"),
        ([["maximize"]], r"got \[\['maximize'\]\]"),
        (["maximize", "minimize"], r"2 entries, .* \['score'\]"),
    ],
)
def test_invalid_directions(directions, message):
    with pytest.raises(ValueError, match=message):
        search(directions=directions).fit(X, y)


@pytest.mark.parametrize("refit", [True, "precision"])
def test_several_metrics_need_a_valid_refit(refit):
    with pytest.raises(ValueError, match="refit"):
        search(scoring=["accuracy", "roc_auc"], refit=refit).fit(X, y)


def test_refit_name_with_a_single_metric():
    """As in scikit-learn's searches, which ignore the name."""
    expected = search(scoring="accuracy").fit(X, y)
    for scoring in ("accuracy", make_scorer(accuracy_score)):
        for refit in ("accuracy", "roc_auc"):
            found = search(scoring=scoring, refit=refit).fit(X, y)
            assert found.best_score_ == expected.best_score_
            assert not found.multimetric_


def changing_metric(estimator, X, y):
    """A scorer that returns a different metric each time."""
    changing_metric.n += 1
    return {f"metric {changing_metric.n % 3}": 1.0}


changing_metric.n = 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"refit": True}, "refit must be set to a scorer key .*True was passed"),
        (
            {"refit": "up"},
            r"'up' was passed, and scoring returned \['right', 'wrong'\]",
        ),
        ({"directions": ["maximize"] * 3}, "directions has 3 entries"),
        ({"refit": False, "scoring": changing_metric}, "same metrics each time"),
        ({"refit": False, "scoring": lambda *args: {}}, "at least one metric"),
        ({"scoring": lambda *args: 1j}, "must return real numbers, got score=1j"),
    ],
    ids=["True", "unknown", "directions", "others", "none", "complex"],
)
def test_invalid_metrics_of_a_callable(params, message):
    n_scored = 0

    def scoring(estimator, X, y):
        nonlocal n_scored
        n_scored += 1
        return two_scores(estimator, X, y)

    with pytest.raises(ValueError, match=message):
        search(**{"scoring": scoring, **params}).fit(X, y)
    assert n_scored <= 3  # raised at once, not after all trials


def test_directions_with_a_callable_of_several_metrics():
    found = search(scoring=two_scores, directions=["maximize"] * 2, refit="wrong")
    found.fit(X, y)
    assert len(found.study_.directions) == 2
    assert found.plot_history("wrong").get_ylabel() == "wrong"
    found = search(scoring=two_scores, directions=["minimize"], refit="right").fit(X, y)
    assert found.best_score_ == found.cv_results_["mean_test_right"].min()


def test_failing_callable_gets_the_error_score_for_all_metrics():
    n_scored = 0

    def scoring(estimator, X, y):
        nonlocal n_scored
        n_scored += 1
        if n_scored == 4:
            raise RuntimeError("no such metric today")
        return two_scores(estimator, X, y)

    with pytest.warns(UserWarning, match="Scoring failed"):
        found = search(scoring=scoring, refit="right", error_score=0.0).fit(X, y)
    results = found.cv_results_
    assert results["split0_test_right"][1] == results["split0_test_wrong"][1] == 0
    assert results["split1_test_right"][1] > 0


@pytest.mark.parametrize("refit", [1.5, None, "1", np.nan, 99, -1, 2])
def test_refit_index_errors_match_scikit_learn(refit):
    params = {"n_iter": 2, "cv": 2, "random_state": 0, "refit": lambda results: refit}
    with pytest.raises((TypeError, IndexError)) as theirs:
        RandomizedSearchCV(LogisticRegression(), C, **params).fit(X, y)
    found = search(n_trials=2, cv=2, refit=params["refit"])
    with pytest.raises(theirs.type, match=str(theirs.value)) as ours:
        found.fit(X, y)
    assert repr(refit) in str(ours.value)
    assert not hasattr(found, "cv_results_")


@pytest.mark.parametrize("refit", [1, np.int64(1), True])
def test_refit_index_of_any_integer_type(refit):
    found = search(refit=lambda results: refit).fit(X, y)
    assert found.best_index_ == 1
    assert found.best_params_ == found.cv_results_["params"][1]


def test_train_scores_can_be_requested_later(tmp_path):
    path = tmp_path / "trials.log"
    search(storage=path, n_trials=2).fit(X, y)
    found = search(storage=path, n_trials=3, return_train_score=True).fit(X, y)
    known = np.isfinite(found.cv_results_["mean_train_score"])
    assert known.tolist() == [False, False, True]
    found = search(storage=path, n_trials=4).fit(X, y)
    assert "mean_train_score" not in found.cv_results_


def test_invalid_samplers():
    with pytest.raises(TypeError, match="must return an Optuna sampler, got"):
        search(sampler=lambda seed: seed).fit(X, y)


NONE = np.array([], dtype=int)


class FewerSplits(KFold):
    """Yields fewer splits than get_n_splits returns."""

    def split(self, X, y=None, groups=None):
        return list(super().split(X, y, groups))[:2]


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "empty"),
        ([(np.arange(60), np.arange(50, 90))], "Fold 0 .* 10 rows in both .* row 50"),
        ([(np.arange(60), np.arange(60, 90)), (np.arange(60), NONE)], "1 .* no test"),
        ([(NONE, np.arange(60, 90))], "Fold 0 of cv has no training rows"),
        ([(y == 0, y >= 0)], "rows in both the training and the test set"),
        (FewerSplits(3), "inconsistent"),
        (KFold(91), "n_splits=91"),
        (1, "k-fold|n_splits"),
        ([1, 2], "must be an iterable of pairs .* fold 0 is 1"),
        ([(y == 0, y == 1, y == 1)], "must be an iterable of pairs"),
        ([(np.arange(60.0), np.arange(60, 90))], "hold row positions .* float64"),
    ],
    ids=[
        *["none", "shared", "no test", "no train", "masks", "fewer", "more", "one"],
        *["no pairs", "triples", "floats"],
    ],
)
def test_invalid_folds(cv, message):
    with pytest.raises(ValueError, match=message):
        search(cv=cv).fit(X, y)


def test_negative_row_positions():
    with pytest.raises(ValueError, match="1 rows in both .* such as row 89"):
        search(cv=[(np.arange(60), [89]), ([89, 3], [-1])]).fit(X, y)


def test_row_position_out_of_range():
    with pytest.raises((IndexError, ValueError), match="90"):
        search(cv=[(np.arange(60), np.arange(60, 91))]).fit(X, y)


@pytest.mark.parametrize(
    ("rows", "targets", "message"),
    [(X, y[:80], "inconsistent"), (np.empty((0, 5)), [], "n_splits|empty|0 sample")],
)
def test_invalid_rows(rows, targets, message):
    with pytest.raises(ValueError, match=message):
        search().fit(rows, targets)


def test_data_that_no_trial_can_fit():
    with pytest.raises(ValueError, match="NaN"):
        search().fit(np.where(X > 1, np.nan, X), y)


# -- invalid storages ------------------------------------------------------------------


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="cannot be opened as a journal file"):
        search(storage=str(tmp_path / "nowhere" / "trials.log")).fit(X, y)


def test_folder_instead_of_a_journal(tmp_path):
    with pytest.raises(ValueError, match="cannot be opened as a journal file"):
        search(storage=tmp_path).fit(X, y)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuchbase://here", "cannot be opened"),
        ("sqlite:////nowhere/trials.db", "cannot be opened"),
        ("oracle://me:secret@localhost/trials", r"me:\*\*\*@.*not installed"),
    ],
)
def test_unavailable_databases(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        search(storage=url).fit(X, y)
    assert "secret" not in str(caught.value)


def test_journal_damaged_in_the_middle(tmp_path):
    path = tmp_path / "trials.log"
    search(storage=path).fit(X, y)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], lines[5][:9] + "\n", *lines[6:]]))
    with pytest.raises(ValueError, match="corrupted"):
        search(storage=path).fit(X, y)


def test_journal_with_an_incomplete_last_line(tmp_path):
    path = tmp_path / "trials.log"
    whole = search(n_trials=6).fit(X, y)
    search(storage=path, n_trials=3).fit(X, y)
    with open(path, "a") as file:
        file.write('{"op_code":5,"worker_')
    found = search(storage=path, n_trials=6).fit(X, y)
    assert found.cv_results_["params"] == whole.cv_results_["params"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.slow
def test_journal_locked_by_a_dead_process(tmp_path, monkeypatch):
    from skdeep.model_selection import _storage

    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 3)
    path = tmp_path / "trials.log"
    search(storage=path, n_trials=2).fit(X, y)
    (tmp_path / "trials.log.lock").symlink_to(path)
    found = search(storage=path, n_trials=3).fit(X, y)
    assert len(found.cv_results_["params"]) == 3
    assert not (tmp_path / "trials.log.lock").is_symlink()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The bytes of a journal with two studies, one with the default name."""
    path = tmp_path_factory.mktemp("started") / "trials.log"
    search(storage=path, study_name="mine", n_trials=1).fit(X, y)
    search(storage=path, n_trials=1).fit(X, y)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"space": {"C": loguniform(1e-3, 1e3)}}, "search space"),
        ({"cv": 4}, "set of folds"),
        ({"scoring": "roc_auc"}, "scoring"),
        ({"estimator": LogisticRegression(tol=1e-3)}, "estimator"),
        ({"rows": X + 1}, "X"),
        ({"targets": 1 - y}, "y"),
        ({"weights": np.ones(90)}, "set of fit parameters"),
    ],
)
def test_storage_of_another_search(tmp_path, started, change, what):
    path = tmp_path / "trials.log"
    path.write_bytes(started)
    change = {"n_trials": 1, **change}
    rows, targets = change.pop("rows", X), change.pop("targets", y)
    weights = change.pop("weights", None)
    given = {} if weights is None else {"sample_weight": weights}
    with pytest.raises(ValueError, match=f"started with another (.* )?{what}(,|:)"):
        search(storage=path, study_name="mine", **change).fit(rows, targets, **given)
    other = search(storage=path, study_name="another", **change)
    assert len(other.fit(rows, targets, **given).cv_results_["params"]) == 1
    # Without a name each search has its own study.
    other = search(storage=path, **change).fit(rows, targets, **given)
    assert other.study_.study_name.startswith("OptunaSearchCV-")
    assert len(other.study_.trials) == 1


def test_study_of_another_program(tmp_path):
    path = str(tmp_path / "trials.log")
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(path)
    )
    study = optuna.create_study(
        storage=storage, study_name="OptunaSearchCV", direction="maximize"
    )
    study.optimize(lambda trial: trial.suggest_float("C", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="not made by OptunaSearchCV"):
        search(storage=path).fit(X, y)


# -- networks --------------------------------------------------------------------------


def test_search_of_a_network():
    model = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=3))
    model.set_params(mlpclassifier__random_state=0)
    space = {"mlpclassifier__learning_rate_init": loguniform(1e-3, 1e-1)}
    made = search(model, space, n_trials=2, scoring=["accuracy", "roc_auc"])
    made.set_params(refit="roc_auc", return_train_score=True)
    found = made.fit(X, y)
    assert found.best_estimator_[-1].n_iter_ == found.best_n_epochs_
    assert np.isfinite(found.cv_results_["mean_train_accuracy"]).any()
    loaded = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(loaded.predict(X), found.predict(X))
    assert clone(found).fit(X, y).best_params_ == found.best_params_


def test_refitted_network_can_be_fitted_again():
    space = {"learning_rate_init": [0.01, 0.1]}
    model = MLPClassifier((4,), max_iter=6, n_iter_no_change=6, random_state=0)
    found = search(model, space, n_trials=2).fit(X, y)
    again = clone(found.best_estimator_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert again.fit(X, y).n_iter_ == 6


def test_r2_of_a_regressor():
    rows, targets = make_regression(60, 4, noise=5, random_state=0)
    found = search(Ridge(), {"alpha": loguniform(1e-3, 1e3)}).fit(rows, targets)
    assert is_regressor(found)
    assert found.score(rows, targets) == r2_score(targets, found.predict(rows))


# -- failing searches ------------------------------------------------------------------


class OnceOnly(LogisticRegression):
    """Fails if it is fitted to all rows."""

    def fit(self, X, y):
        if len(X) == 90:
            raise ValueError("too many rows")
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        (dict(param_distributions={}), X),
        (dict(estimator=OnceOnly()), X),
        (dict(error_score="raise"), np.where(X > 9, X, np.nan)),
    ],
    ids=["space", "refit", "fit"],
)
def test_failed_search_keeps_the_earlier_fit(changed, rows):
    found = search(n_trials=1).set_params(**changed)
    before = set(vars(found))
    with pytest.raises(ValueError):
        found.fit(rows, y)
    assert set(vars(found)) == before
    found = search(n_trials=1).fit(X, y)
    before = dict(vars(found))
    with pytest.raises(ValueError):
        found.set_params(**changed).fit(rows, y)
    assert {k: v for k, v in vars(found).items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


def test_errors_name_the_trial():
    found = search(FailsForParameters(), {"bad": [7]}, n_trials=2, error_score="raise")
    with pytest.raises(ValueError, match="bad is 7") as caught:
        found.fit(X, y)
    (note,) = caught.value.__notes__
    assert (
        "estimator=FailsForParameters" in note
        and "{'bad': 7}" in note
        and "fold 0" in note
    )


@pytest.mark.parametrize(
    ("rows", "labels", "name"), [(None, y, "X"), ({1.0, 2.0}, y, "X"), (X, 3.0, "y")]
)
def test_invalid_rows_are_named(rows, labels, name):
    with pytest.raises(TypeError, match=f"Invalid {name}"):
        search().fit(rows, labels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(sampler="TPE"), r"'cmaes', 'gp', .* Did you mean 'tpe'\?"),
        (dict(pruner="medain"), r"Did you mean 'median'\?"),
        (dict(scoring={}), "Invalid scoring: An empty dict"),
    ],
)
def test_error_messages_list_valid_options(changed, message):
    with pytest.raises(ValueError, match=message):
        search(**changed).fit(X, y)


def test_errors_of_a_sampler_callable_are_noted():
    with pytest.raises(ZeroDivisionError) as caught:
        search(sampler=lambda seed: 1 / 0).fit(X, y)
    assert "Raised by sampler" in caught.value.__notes__[0]


def test_huge_n_jobs():
    with joblib.parallel_config("threading"):
        found = search(n_trials=1, n_jobs=2**40).fit(X, y)
    assert found.best_score_ == search(n_trials=1).fit(X, y).best_score_
