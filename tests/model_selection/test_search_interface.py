"""OptunaSearchCV has scikit-learn's search API."""

import pickle
import warnings

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform, randint
from sklearn.base import (
    clone,
    is_classifier,
    is_clusterer,
    is_outlier_detector,
    is_regressor,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import make_regression
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
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

from skdeep import MLPClassifier
from tests.model_selection.search_data import (
    C,
    FailsForParameters,
    X,
    search,
    two_scores,
    y,
)

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
        {"color": np.array(["red", "blue", "green"])[y + X.argmax(1) % 2]}
    )
    model = make_pipeline(OneHotEncoder(), LogisticRegression())
    space = {"logisticregression__C": [0.1, 1.0]}
    assert search(model, space, n_trials=2).fit(frame, y).score(frame, y) > 0.5


def test_estimator_without_targets():
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


def test_a_metric_can_be_minimized():
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
            search().fit(X, y, color=np.ones(90))
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
