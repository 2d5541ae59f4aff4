"""The joblib backend with other settings, threads and generators."""

import functools
import gc
import threading
import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from joblib.parallel import BACKENDS
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
)
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    cross_validate,
)

from skdeep import MLPRegressor
from tests.training.backend_cases import (
    X,
    assert_close,
    assert_same_models,
    fit_all,
    fit_one_by_one,
    grid,
    jobs,
    nested_scores,
    network,
    pipeline,
    y,
)
from tests.training.populations import fit_once, run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]


def scores_of_fold(fold):
    return cross_val_score(grid(), X[fold::2], y[fold::2], cv=2)


@functools.cache
def scores_of_folds():
    return [scores_of_fold(fold) for fold in range(2)]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"backend": "skdeep"}, marks=pytest.mark.nightly),
        {"backend": "skdeep", "memory_budget": 1},
        {"backend": "threading", "n_jobs": 2},
        pytest.param({"n_jobs": 2}, marks=pytest.mark.nightly),
        {"n_jobs": 1},
    ],
    ids=str,
)
def test_another_configuration_in_a_job(cores, options):
    def run(fold):
        with parallel_config(**options):
            return scores_of_fold(fold)

    expected = scores_of_folds()
    found = run_in_backend(
        lambda: Parallel()(delayed(run)(fold) for fold in range(2)), cores=cores
    )
    np.testing.assert_allclose(found, expected)


def test_fits_outside_of_jobs_and_after_them():
    """Outside of parallel calls, the backend has no effect."""

    def run():
        before = [fit_once(job) for job in jobs()]
        fit_all()
        return before, [fit_once(job) for job in jobs()]

    for models in run_in_backend(run):
        assert_same_models(models, fit_one_by_one())


def test_any_bit_generator(populations):
    rng = np.random.RandomState(np.random.PCG64(0))
    expected = cross_val_score(network(random_state=rng), X, y, cv=4)
    found = run_in_backend(
        lambda: cross_val_score(network(random_state=rng), X, y, cv=4)
    )
    np.testing.assert_allclose(found, expected)
    assert populations == [4]


def test_no_reference_cycles(cores):
    """Networks and data are freed without cycles."""

    def n_freed_by_the_collector():
        gc.collect()
        gc.disable()
        try:
            run_in_backend(lambda: cross_val_score(network(), X, y, cv=12), cores=cores)
            return gc.collect()
        finally:
            gc.enable()

    # A fit has about 400 objects; joblib itself leaves a few for each call. The least
    # of three, because a thread of an earlier test may end in the meantime.
    assert min(n_freed_by_the_collector() for _ in range(3)) < 100


def test_two_schedulers_at_once(cores):
    """Each thread of a user has its own scheduler."""
    found = {}

    def run(i):
        with parallel_config(backend="skdeep"):
            for _ in range(2):
                found[i] = cross_val_score(grid(), X, y, cv=2)

    # scikit-learn sets warning filters in both threads, which do not restore them in
    # the order in which they were set.
    def both():
        saved = warnings.filters[:]
        threads = [threading.Thread(target=run, args=[i]) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        warnings.filters[:] = saved

    run_in_backend(both, cores=cores)
    assert len(found) == 2
    for scores in found.values():
        np.testing.assert_allclose(scores, nested_scores())


def test_one_backend_in_two_threads(cores):
    """One backend instance can be used in two threads at the same time."""
    backend, found = BACKENDS["skdeep"](), {}

    def run(i):
        with parallel_config(backend=backend):
            for _ in range(2):
                found[i] = cross_val_score(grid(), X, y, cv=2 + i)

    # scikit-learn sets warning filters in both threads, which do not restore them in
    # the order in which they were set.
    def both():
        saved = warnings.filters[:]
        threads = [threading.Thread(target=run, args=[i]) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        warnings.filters[:] = saved

    run_in_backend(both, cores=cores)
    for i in range(2):
        np.testing.assert_allclose(found[i], nested_scores(cv=2 + i))


def score_of_setting(model, X, y):
    return float(get_config()["assume_finite"]) + get_config()["working_memory"]


def test_scikit_learn_settings_apply_in_jobs():
    def scores(model):
        with config_context(assume_finite=True, working_memory=77):
            return cross_val_score(model, X, y, cv=3, scoring=score_of_setting)

    assert run_in_backend(lambda: scores(network())).tolist() == [78.0] * 3
    nested = BaggingClassifier(network(), 2, random_state=0)
    assert run_in_backend(lambda: scores(nested)).tolist() == [78.0] * 3


def test_metadata_routing():
    weight = np.random.default_rng(0).uniform(size=len(X))

    def call():
        with config_context(enable_metadata_routing=True):
            model = network().set_fit_request(sample_weight=True)
            model.set_score_request(sample_weight=True)
            scorer = make_scorer(weighted_accuracy)
            scorer.set_score_request(sample_weight=True)
            options = {"params": {"sample_weight": weight}, "return_estimator": True}
            return [
                cross_validate(model, X, y, cv=3, **options),
                cross_validate(
                    GridSearchCV(model, {"alpha": [0.0, 1.0]}, scoring=scorer, cv=2),
                    X,
                    y,
                    cv=2,
                    **options,
                ),
            ]

    assert_close(run_in_backend(call), call())


def weighted_accuracy(y, predicted, sample_weight):
    return np.average(y == predicted, weights=sample_weight)


def test_fit_parameters_of_scikit_learn():
    weight = np.random.default_rng(0).uniform(size=len(X))

    def call():
        params = {"mlpclassifier__sample_weight": weight}
        return [
            cross_validate(pipeline(), X, y, params=params)["test_score"],
            grid().fit(X, y, **params).cv_results_,
        ]

    assert_close(run_in_backend(call), call())


def test_regressors(populations):
    def call():
        model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0)
        search = GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=3)
        return search.fit(X, X[:, 0]).cv_results_["mean_test_score"]

    assert_close(run_in_backend(call), call())
    assert populations == [6]


def test_estimators_are_not_modified():
    model = pipeline()
    before = str(model.get_params())
    run_in_backend(lambda: cross_val_score(model, X, y))
    assert str(model.get_params()) == before
    assert str(clone(model)) == str(model)
    with pytest.raises(Exception, match="not fitted"):
        model.predict(X)
