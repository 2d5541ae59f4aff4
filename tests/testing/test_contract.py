"""The contract suite finds broken estimators and names the check that failed."""

import pickle
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep import MLPClassifier
from skdeep.testing import (
    check_estimator_contract,
    estimator_contract_checks,
    parametrize_with_contract,
)


class Centroid(ClassifierMixin, BaseEstimator):
    """A classifier that keeps the contract; the classes below break it."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        before = dict(vars(self))
        try:
            X, y = validate_data(self, X, y)
            weight = self._weight(sample_weight, X)
        except (TypeError, ValueError):
            vars(self).clear()
            vars(self).update(before)
            raise
        self.classes_ = np.unique(y)
        rows = [y == label for label in self.classes_]
        self.means_ = [np.average(X[r], axis=0, weights=weight[r]) for r in rows]
        return self

    def _weight(self, sample_weight, X):
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
        if weight.shape != (len(X),) or not (weight >= 0).all():
            raise ValueError("sample_weight must hold a number from 0 on for each row.")
        return weight

    def predict(self, X):
        return self.classes_[self._distances(X).argmin(axis=1)]

    def predict_proba(self, X):
        p = np.exp(-self._distances(X))
        return p / p.sum(axis=1, keepdims=True)

    def _distances(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.stack([np.square(X - m).sum(axis=1) for m in self.means_], axis=1)


class GlobalDraws(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.means_[0] = self.means_[0] + torch.rand(1).item()
        return self


class KeepsPreviousMeans(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        old = getattr(self, "means_", None)
        super().fit(X, y, sample_weight)
        self.means_ = self.means_ if old is None else old
        return self


class LosesState(Centroid):
    def __getstate__(self):
        state = super().__getstate__()
        means = state.get("means_", [])
        return state | {"means_": [mean.round(1) for mean in means]}


class KeepsTensors(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.tensor_ = torch.ones(1)
        return self


class AcceptsWeights(Centroid):
    def _weight(self, sample_weight, X):
        return np.ones(len(X)) if sample_weight is None else abs(sample_weight)


class UnclearWeightError(Centroid):
    def _weight(self, sample_weight, X):
        try:
            return super()._weight(sample_weight, X)
        except ValueError as error:
            raise ValueError("shapes (39,) (40,) do not match") from error


class HalfFitted(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        self.classes_ = np.unique(y)
        return super().fit(X, y, sample_weight)


class OneThread(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        torch.set_num_threads(torch.get_num_threads() + 1)
        return self


class ChangesX(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        if isinstance(X, np.ndarray):
            X[0] = 0
        return self


class SilentFilters(Centroid):
    def predict(self, X):
        warnings.simplefilter("ignore", FutureWarning)
        return super().predict(X)


class PredictsNaN(Centroid):
    def __init__(self, random_state=None, learning_rate_init=0.1):
        super().__init__(random_state)
        self.learning_rate_init = learning_rate_init

    def predict_proba(self, X):
        return super().predict_proba(X) * (1 if self.learning_rate_init < 1 else np.nan)


class ScalesByBatch(Centroid):
    def predict_proba(self, X):
        p = super().predict_proba(X)
        return p / p.max()


class ForgetsNames(Centroid):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.__dict__.pop("feature_names_in_", None)
        return self


class IgnoresWeights(Centroid):
    def _weight(self, sample_weight, X):
        super()._weight(sample_weight, X)
        return np.ones(len(X))


class PartialFitIgnoresRows(Centroid):
    def partial_fit(self, X, y=None, classes=None):
        return self if hasattr(self, "means_") else self.fit(X, y)


class IgnoresWarmStart(Centroid):
    def __init__(self, random_state=None, warm_start=False):
        super().__init__(random_state)
        self.warm_start = warm_start


class WrongNames(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        before = dict(vars(self))
        try:
            validate_data(self, X)
        except (TypeError, ValueError):
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def transform(self, X):
        check_is_fitted(self)
        return validate_data(self, X, reset=False)

    def get_feature_names_out(self, input_features=None):
        calls = self.__dict__.setdefault("n_calls", 0)
        self.n_calls += 1
        return np.array([f"column {calls} {j}" for j in range(4)], dtype=object)


class ThreadLocal(Centroid):
    def predict_proba(self, X):
        is_main = threading.current_thread() is threading.main_thread()
        return super().predict_proba(X) * (1.0 if is_main else 1.001)


BROKEN = {
    GlobalDraws: "check_random_state_decides",
    KeepsPreviousMeans: "check_refit_forgets",
    LosesState: "check_copies_answer_equally",
    KeepsTensors: "check_pickle_holds_no_tensor",
    AcceptsWeights: "check_errors_name_the_argument",
    UnclearWeightError: "check_errors_name_the_argument",
    HalfFitted: "check_failed_fit_changes_nothing",
    OneThread: "check_global_state_is_kept",
    ChangesX: "check_global_state_is_kept",
    SilentFilters: "check_global_state_is_kept",
    PredictsNaN: "check_never_predicts_nan",
    ScalesByBatch: "check_one_row_answers_as_in_a_batch",
    ForgetsNames: "check_data_frames",
    IgnoresWeights: "check_sample_weight",
    PartialFitIgnoresRows: "check_partial_fit_goes_on",
    IgnoresWarmStart: "check_warm_start_goes_on",
    WrongNames: "check_set_output",
    ThreadLocal: "check_parallel_fits_are_equal",
}


def test_pure_scikit_learn_estimator_passes():
    check_estimator_contract(Centroid())


@pytest.mark.parametrize("kind, name", BROKEN.items())
def test_broken_estimator_is_found(kind, name):
    checks = {c.func.__name__: c for _, c in estimator_contract_checks(kind())}
    threads = torch.get_num_threads()
    try:
        with pytest.raises((AssertionError, AttributeError)):
            checks[name](kind())
    finally:
        torch.set_num_threads(threads)


def test_first_failure_is_named():
    with pytest.raises(AssertionError, match="^check_sample_weight: sample_weight has"):
        check_estimator_contract(IgnoresWeights())


def test_expected_failures_are_not_run():
    reason = "all rows count the same"
    check_estimator_contract(
        IgnoresWeights(), expected_failed_checks={"check_sample_weight": reason}
    )


def test_expected_failures_must_exist():
    with pytest.raises(ValueError, match=r"names \['check_luck'\], but the checks are"):
        check_estimator_contract(Centroid(), expected_failed_checks={"check_luck": ""})


def test_parametrize_with_contract():
    def expected(estimator):
        return {"check_sample_weight": "all rows count the same"}

    decorate = parametrize_with_contract(
        [IgnoresWeights()], expected_failed_checks=expected
    )
    names, parameters = decorate.args
    assert names == "estimator, check"
    assert "IgnoresWeights()-check_refit_forgets" in [p.id for p in parameters]
    marked = [
        p.id
        for p in parameters
        if any(mark.name == "xfail" and mark.kwargs for mark in p.marks)
    ]
    assert marked == ["IgnoresWeights()-check_sample_weight"]


def test_checks_depend_on_the_methods_of_the_estimator():
    names = {c.func.__name__ for _, c in estimator_contract_checks(MLPClassifier())}
    assert {"check_history", "check_warm_start_goes_on"} <= names
    assert "check_set_output" not in names


def test_pytest_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    check_estimator_contract(Centroid())


def test_estimators_of_the_tests_can_be_pickled():
    """Otherwise the tests above would fail for another reason."""
    assert pickle.loads(pickle.dumps(Centroid())).random_state is None
