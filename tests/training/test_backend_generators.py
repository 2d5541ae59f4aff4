"""Calls of the joblib backend that return generators."""

import threading

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import (
    cross_val_score,
)

from tests.training.backend_cases import (
    X,
    assert_same_models,
    fit_all,
    fit_one_by_one,
    jobs,
    network,
    y,
)
from tests.training.populations import Job, fit_once, run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]


def generator_of(n=4, how="generator", **options):
    return fit_all(n, Parallel(return_as=how, **options))


@pytest.mark.parametrize("how", ["generator", "generator_unordered"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_one_by_one(how, n_jobs):
    found = run_in_backend(lambda: list(generator_of(6, how, n_jobs=n_jobs)))
    found.sort(key=lambda model: model.alpha)
    assert_same_models(found, fit_one_by_one(6))


@pytest.mark.parametrize("n_used", [0, 1, 3])
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.filterwarnings("ignore:.*tasks have been successfully executed")
@pytest.mark.filterwarnings("ignore:.*tasks which were still being processed")
def test_results_abandoned(n_used, n_jobs):
    def run():
        results = generator_of(6, n_jobs=n_jobs)
        used = [next(results) for _ in range(n_used)]
        results.close()
        del results
        return [*used, *fit_all()]

    found = run_in_backend(run)
    assert_same_models(found, [*fit_one_by_one(6)[:n_used], *fit_one_by_one()])


def test_a_call_before_the_results_of_another_are_used():
    def run():
        results = generator_of()
        scores = cross_val_score(network(), X, y, cv=3)
        return list(results), scores

    found, scores = run_in_backend(run)
    assert_same_models(found, fit_one_by_one())
    np.testing.assert_allclose(scores, cross_val_score(network(), X, y, cv=3))


def test_calls_between_the_results_of_another():
    def run():
        return [(model, fit_all(2)) for model in generator_of(3)]

    for (model, others), expected in zip(
        run_in_backend(run), fit_one_by_one(3), strict=True
    ):
        assert_same_models([model], [expected])
        assert_same_models(others, fit_one_by_one(2))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_of_two_calls_in_turns(n_jobs):
    def run():
        return list(
            zip(
                generator_of(5, n_jobs=n_jobs),
                generator_of(5, n_jobs=n_jobs),
                strict=True,
            )
        )

    first, second = zip(*run_in_backend(run), strict=True)
    assert_same_models(first, fit_one_by_one(5))
    assert_same_models(second, fit_one_by_one(5))


def test_job_that_fits_while_it_consumes_a_generator():
    def run(i):
        return [(model, fit_once(jobs()[i])) for model in generator_of(3)]

    found = run_in_backend(lambda: Parallel()(delayed(run)(i) for i in range(3)))
    for i, pairs in enumerate(found):
        models, own = zip(*pairs, strict=True)
        assert_same_models(models, fit_one_by_one(3))
        assert_same_models(own, [fit_one_by_one()[i]] * 3)


def test_job_with_calls_while_it_consumes_a_generator():
    def run(i):
        return [(model, fit_all(2)) for model in generator_of(3)]

    for pairs in run_in_backend(lambda: Parallel()(delayed(run)(i) for i in range(3))):
        models, others = zip(*pairs, strict=True)
        assert_same_models(models, fit_one_by_one(3))
        for few in others:
            assert_same_models(few, fit_one_by_one(2))


def test_a_job_with_results_of_two_calls_in_turns():
    def run(i):
        return list(zip(generator_of(3), generator_of(3, n_jobs=2), strict=True))

    for pairs in run_in_backend(lambda: Parallel()(delayed(run)(i) for i in range(3))):
        first, second = zip(*pairs, strict=True)
        assert_same_models(first, fit_one_by_one(3))
        assert_same_models(second, fit_one_by_one(3))


@pytest.mark.filterwarnings("ignore:.*tasks")
def test_results_used_in_another_thread():
    def run():
        results, found = generator_of(), []
        thread = threading.Thread(target=lambda: found.extend(results), daemon=True)
        thread.start()
        thread.join()
        return found

    assert_same_models(run_in_backend(run), fit_one_by_one())


def test_jobs_whose_arguments_are_computed_in_parallel():
    def run():
        return Parallel()(
            delayed(fit_once)(Job(network(alpha=model.alpha), X, y))
            for job in jobs()
            for model in Parallel()([delayed(fit_once)(job)])
        )

    assert_same_models(run_in_backend(run), fit_one_by_one())
