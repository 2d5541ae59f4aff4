"""The joblib backend with several processes: same results, errors and clean-up."""

import multiprocessing
import os
import threading
import time
import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate

# Private: its thresholds are lowered, so that few jobs are shared.
import skdeep.training._backend as backend
import skdeep.training._processes as processes
from tests.training.backend_cases import (
    X,
    assert_close,
    assert_same_models,
    fit_all,
    fit_one_by_one,
    grid,
    nested_scores,
    network,
    pipeline,
    searched,
    y,
)
from tests.training.populations import run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]


def run_in_processes(function, n_processes=2, **options):
    options = {"seconds": 120, **options}
    return run_in_backend(function, cores=2, n_processes=n_processes, **options)


def process_ids(count=8, **options):
    return set(Parallel(**options)(delayed(os.getpid)() for _ in range(count)))


@pytest.fixture(scope="module", autouse=True)
def started():
    """Start the worker processes, so that they take all jobs of the tests."""
    start_workers()


def start_workers():
    for _ in range(1000):
        if os.getpid() not in run_in_processes(process_ids):
            return
        time.sleep(0.05)
    pytest.fail("the worker processes do not start")


def test_same_models():
    models = run_in_processes(lambda: fit_all(9))
    assert_same_models(models, fit_one_by_one(9))


def test_search_gives_the_same_results():
    assert_close(run_in_processes(lambda: searched(grid())), searched(grid()))


def test_nested_calls_in_a_process():
    found = run_in_processes(lambda: cross_val_score(grid(cv=2), X, y, cv=2))
    np.testing.assert_allclose(found, nested_scores())


def count_fits_trained_together():
    """Return the sizes of the populations of a call within a job."""
    from skdeep.training import _scheduler

    sizes, run = [], _scheduler.run_population

    def record(fits, *arguments):
        sizes.append(len(fits))
        return run(fits, *arguments)

    _scheduler.run_population = record
    try:
        cross_val_score(network(), X, y, cv=3)
    finally:
        _scheduler.run_population = run
    return sizes


def test_fits_of_a_process_are_trained_together():
    """The jobs of a process, and their nested calls, form one population."""

    def run():
        jobs = (delayed(count_fits_trained_together)() for _ in range(2))
        return Parallel()(jobs)

    assert run_in_processes(run) == [[3], [3]]


def test_one_process():
    assert run_in_processes(process_ids, 1) == {os.getpid()}


def test_many_jobs_are_shared(monkeypatch):
    """Without ``n_processes``, the work of the first job decides."""
    monkeypatch.setattr(processes, "_LEAST_SAVING", 0.0)
    monkeypatch.setattr(backend, "JOBS_PER_PROCESS", 2)

    def run():
        parallel = Parallel()
        return parallel(delayed(fit_and_tell)(alpha) for alpha in np.geomspace(1, 9, 4))

    _, *ids = zip(*run_in_processes(run, None), strict=True)
    assert len(set(*ids) - {os.getpid()}) >= 1
    monkeypatch.setattr(processes, "_LEAST_SAVING", 1.0)
    assert set(list(zip(*run_in_processes(run, None), strict=True))[1]) == {os.getpid()}


def fit_and_tell(alpha):
    return network(alpha=alpha).fit(X, y), os.getpid()


@pytest.mark.parametrize(
    "options",
    [
        {"n_jobs": 4},
        {"prefer": "threads"},
        {"require": "sharedmem"},
        {"return_as": "generator"},
    ],
    ids=str,
)
def test_calls_that_stay_in_this_process(options):
    assert run_in_processes(lambda: process_ids(**options)) == {os.getpid()}


def test_a_process_that_may_not_have_children(monkeypatch):
    """As in the worker of a cluster, or of a ``multiprocessing.Pool``."""
    process = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)
    with pytest.warns(UserWarning, match="n_processes=2 is ignored.*daemonic"):
        assert run_in_processes(process_ids) == {os.getpid()}
    assert run_in_processes(process_ids, None) == {os.getpid()}


def test_jobs_that_cannot_be_pickled_run_here():
    lock, ids = threading.Lock(), []

    def run():
        with lock:
            ids.append(os.getpid())

    run_in_processes(lambda: Parallel()(delayed(run)() for _ in range(6)))
    assert ids == [os.getpid()] * 6


def lock_of_job():
    return threading.Lock()


def test_results_that_cannot_be_pickled():
    found = run_in_processes(lambda: Parallel()(delayed(lock_of_job)() for _ in "ab"))
    assert [lock.acquire() for lock in found] == [True, True]


def echo(value):
    return value


@pytest.mark.parametrize("where", ["everywhere", "in the first job", "in the last job"])
@pytest.mark.parametrize("pre_dispatch", ["all", 8])
def test_some_of_many_jobs_cannot_be_pickled(where, pre_dispatch, monkeypatch):
    monkeypatch.setattr(backend, "_MAX_ACTIVE_JOBS", 8)
    values = list(range(64))
    places = {"everywhere": slice(64), "in the first job": 0, "in the last job": -1}
    values[places[where]] = [threading.Lock()] * 64

    def run():
        jobs = (delayed(echo)(value) for value in values)
        return Parallel(pre_dispatch=pre_dispatch)(jobs)

    assert run_in_processes(run) == values


def is_memmap(rows):
    return isinstance(rows, np.memmap)


def test_large_arrays_are_shared_by_memory_map():
    large = np.zeros((1000, 200))
    found = run_in_processes(
        lambda: Parallel()(delayed(is_memmap)(rows) for rows in (large, X) * 2)
    )
    assert found == [True, False] * 2


def test_more_jobs_than_are_dispatched_at_once(monkeypatch):
    monkeypatch.setattr(backend, "_MAX_ACTIVE_JOBS", 8)
    found = run_in_processes(
        lambda: Parallel(pre_dispatch=8)(delayed(divmod)(i, 3) for i in range(50))
    )
    assert found == [divmod(i, 3) for i in range(50)]


def test_one_parallel_makes_two_calls():
    def run():
        with Parallel() as parallel:
            return fit_all(3, parallel), fit_all(3, parallel)

    first, second = run_in_processes(run)
    assert_same_models(first, second)


def test_failed_fits_have_an_error_score():
    bad = {"hidden_layer_sizes": [(4,), (0,)]}
    search = GridSearchCV(network(), bad, cv=2, error_score=np.nan)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        run_in_processes(lambda: search.fit(X, y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


def count_failed_fits(action):
    """Search 20 fits while a filter applies to convergence; count those that fail."""
    search = GridSearchCV(network(), {"alpha": np.logspace(-4, 0, 10)}, cv=2)
    search.set_params(refit=False, error_score=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter(action, ConvergenceWarning)
        try:
            run_in_processes(lambda: search.fit(X, y))
        except ValueError as error:
            assert "All the 20 fits failed" in str(error)
            return 20
    return sum((search.cv_results_[f"split{i}_test_score"] == 0).sum() for i in (0, 1))


def test_the_filters_of_warnings_are_those_of_the_caller():
    for action, expected in {"ignore": 0, "error": 20}.items():
        assert count_failed_fits(action) == expected
    assert count_failed_fits("ignore") == 0


def test_estimators_return_fitted():
    found = run_in_processes(
        lambda: cross_validate(pipeline(), X, y, cv=2, return_estimator=True)
    )
    expected = cross_validate(pipeline(), X, y, cv=2, return_estimator=True)
    assert_same_models(found["estimator"], expected["estimator"])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_bad_number_of_processes(value):
    with pytest.raises(ValueError, match="n_processes must be a positive integer"):
        run_in_backend(lambda: None, n_processes=value)


# -- tests that end the worker processes: the last of this module ----------------------


def fail(i):
    if i == 5:
        raise OSError(f"error {i} of the test")
    return network(max_iter=10**8, tol=0.0, n_iter_no_change=10**8).fit(X, y)


def test_an_error_ends_the_call():
    """The fits of the other jobs, which would take hours, are given up."""
    with pytest.raises(OSError, match="error 5 of the test") as caught:
        run_in_processes(lambda: Parallel()(delayed(fail)(i) for i in range(6)))
    assert "in fail" in "".join(caught.value.__notes__)
    # joblib has killed the worker processes; until they run again, jobs run here.
    assert run_in_processes(process_ids)


class Fragile:
    """Cannot be unpickled."""

    def __reduce__(self):
        return divmod, (1, 0)


@pytest.mark.nightly  # starts worker processes again
def test_many_results_that_cannot_be_unpickled():
    start_workers()
    found = run_in_processes(
        lambda: Parallel()(delayed(Fragile)() for _ in range(64)), seconds=20
    )
    assert len(found) == 64


@pytest.mark.nightly  # starts worker processes again
def test_a_killed_process():
    start_workers()
    with pytest.raises(TerminatedWorkerError):
        run_in_processes(lambda: Parallel()(delayed(os._exit)(1) for _ in range(2)))
