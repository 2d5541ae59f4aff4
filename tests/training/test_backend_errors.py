"""Errors, timeouts and Ctrl-C in the joblib backend."""

import contextlib
import multiprocessing
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.ensemble import (
    VotingClassifier,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    cross_validate,
)

# Private: patched to fail, which no input makes it do.
import skdeep.training._population as population
import skdeep.training._scheduler as scheduler
from tests.training.backend_cases import (
    X,
    assert_close,
    assert_same_models,
    fit_all,
    fit_one_by_one,
    grid,
    jobs,
    network,
    pipeline,
    searched,
    y,
)
from tests.training.populations import fit_once, run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]


# -- errors ----------------------------------------------------------------------------

BAD = {"hidden_layer_sizes": [(4,), (0,), (5,)]}


def test_a_fit_that_raises_ends_the_search(cores):
    search = GridSearchCV(network(), BAD, cv=3, error_score="raise")
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[0\]"):
        run_in_backend(lambda: search.fit(X, y), cores=cores)


def test_a_fit_that_raises_has_an_error_score(cores, populations):
    def search():
        with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"):
            return searched(GridSearchCV(network(), BAD, cv=3, error_score=np.nan))

    assert_close(run_in_backend(search, cores=cores), search())
    assert sum(populations) == 6


def test_a_search_in_which_all_fail(cores):
    search = GridSearchCV(network(hidden_layer_sizes=(0,)), {"alpha": [0, 1]}, cv=3)
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        run_in_backend(lambda: search.fit(X, y), cores=cores)


def test_an_inner_search_that_fails(cores):
    """Its error reaches the outer fold, and the other folds continue."""
    search = GridSearchCV(network(), BAD, cv=2, error_score="raise")
    models = VotingClassifier([("bad", search), ("good", network())])
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        found = run_in_backend(
            lambda: cross_validate(
                GridSearchCV(
                    models, {"bad": [search, "drop"]}, cv=2, error_score=np.nan
                ),
                X,
                y,
                cv=2,
                error_score=np.nan,
            ),
            cores=cores,
        )
    assert np.isfinite(found["test_score"]).all()


def job_that_fails(job):
    raise OSError("error of the test")


def test_an_error_has_its_traceback():
    with pytest.raises(OSError, match="error of the test") as caught:
        run_in_backend(
            lambda: Parallel()(delayed(job_that_fails)(job) for job in jobs())
        )
    told = "".join(traceback.format_exception(caught.value))
    assert "in job_that_fails" in told


ENDLESS = {"max_iter": 10**8, "tol": 0.0, "n_iter_no_change": 10**8}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failed_job_cancels_waiting_fits(cores, error):
    """Waiting fits, which would take hours, are not started."""

    def run(i):
        if i == 2:
            time.sleep(0.1)
            raise error("error of the test")
        return network(**ENDLESS).fit(X, y)

    with pytest.raises(error, match="error of the test"):
        run_in_backend(
            lambda: Parallel()(delayed(run)(i) for i in range(6)), cores=cores
        )


def test_timeout_of_fits(cores):
    """Fits end after the current epoch, in nested calls too."""
    with pytest.raises(multiprocessing.TimeoutError):
        run_in_backend(
            lambda: fit_all(4, Parallel(timeout=0.2), **ENDLESS), cores=cores
        )
    search = grid(pipeline(**ENDLESS))
    with pytest.raises(multiprocessing.TimeoutError):
        run_in_backend(
            lambda: Parallel(timeout=0.2)(
                delayed(cross_val_score)(search, X, y, cv=2) for _ in range(2)
            ),
            cores=cores,
        )


def test_a_fit_after_its_call_has_failed(cores):
    """It must not wait for fits of other jobs, which were cancelled."""

    def outer(i):
        return Parallel()(delayed(inner)(k) for k in range(3))

    def inner(k):
        if k == 0:
            raise OSError("error of the test")
        time.sleep(0.2)
        return fit_once(jobs()[0])

    with pytest.raises(OSError, match="error of the test"):
        run_in_backend(
            lambda: Parallel()(delayed(outer)(i) for i in range(2)), cores=cores
        )


def test_backend_works_after_an_error(populations):
    def run():
        with contextlib.suppress(OSError):
            Parallel()(delayed(job_that_fails)(job) for job in jobs())
        with Parallel() as parallel:
            with contextlib.suppress(OSError):
                parallel(delayed(job_that_fails)(job) for job in jobs())
            return fit_all(4, parallel)

    assert_same_models(run_in_backend(run), fit_one_by_one())
    assert populations == [4]


def test_tasks_of_a_failed_call_are_not_run_in_the_next_one():
    """joblib prepares ``n_jobs`` tasks and dispatches one of them."""
    prepared = threading.Event()

    def old(i):
        if i == 1:
            assert prepared.wait(10)
            raise OSError("error of the test")
        if i in (2, 3):
            network(**ENDLESS).fit(X, y)
        time.sleep(0.2)  # the caller dispatches its first tasks meanwhile
        return "old"

    def tasks():
        for i in range(8):
            if i == 5:
                prepared.set()
            yield delayed(old)(i)

    def run():
        with Parallel(2) as parallel:
            with pytest.raises(OSError, match="error of the test"):
                parallel(tasks())
            return parallel(delayed(int)(i) for i in range(8))

    assert run_in_backend(run, cores=2) == list(range(8))


@pytest.mark.filterwarnings("ignore:.*tasks have been successfully executed")
@pytest.mark.filterwarnings("ignore:.*tasks which were still being processed")
def test_an_error_after_the_end_of_its_call():
    """The generator of tasks raises while a finished job requests the next task."""
    asked, closed = threading.Event(), threading.Event()

    def tasks():
        yield from (delayed(int)(i) for i in range(4))
        asked.set()
        assert closed.wait(10)
        raise OSError("error of the test")

    def run():
        with Parallel(2, return_as="generator") as parallel:
            results = parallel(tasks())
            assert asked.wait(10)
            threading.Timer(0.1, closed.set).start()
            results.close()
            return list(parallel(delayed(int)(i) for i in range(4)))

    assert run_in_backend(run) == list(range(4))


def test_an_error_in_the_generator_of_tasks():
    def tasks():
        yield delayed(fit_once)(jobs()[0])
        raise OSError("error of the test")

    for n_jobs in (None, 2):
        with pytest.raises(OSError, match="error of the test"):
            run_in_backend(lambda n_jobs=n_jobs: Parallel(n_jobs)(tasks()))


def test_timeout_of_jobs():
    with pytest.raises(multiprocessing.TimeoutError):
        run_in_backend(
            lambda: Parallel(timeout=0.1)(delayed(time.sleep)(0.5) for _ in range(3))
        )


def test_no_thread_can_be_started(monkeypatch):
    """If no thread can be started there is an error, or the job runs later."""
    real, started = threading.Thread.start, []

    def start(self):
        if self.name == "skdeep":
            started.append(self)
            if len(started) == 3:
                raise RuntimeError("can't start new thread")
        return real(self)

    monkeypatch.setattr(threading.Thread, "start", start)

    def run():
        with contextlib.suppress(RuntimeError):
            assert_same_models(fit_all(), fit_one_by_one())
        return fit_all()

    assert_same_models(run_in_backend(run), fit_one_by_one())


@pytest.mark.parametrize("is_started", [True, False])
def test_an_interrupt_while_a_thread_is_started(monkeypatch, is_started):
    """No thread outlives the call; later fits do not wait for unstarted threads."""
    real, names = threading.Thread.start, []
    second, begun, ended = threading.Event(), threading.Event(), []

    def start(self):
        names.append(self.name)
        if is_started or names.count("skdeep") < 2:
            real(self)
        if self.name == "skdeep" and names.count("skdeep") == 2:
            second.set()
            assert not is_started or begun.wait(10)
            raise KeyboardInterrupt

    def job(i):
        if i == 0:  # if it ended earlier, its thread would start the second one
            second.wait(10)
        if i == 1:
            begun.set()
            time.sleep(0.2)
            ended.append(i)

    def run():
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(threading.Thread, "start", start)
            Parallel()(delayed(job)(i) for i in range(3))
        assert ended == [1] * is_started
        return fit_all()

    assert_same_models(run_in_backend(run, cores=2), fit_one_by_one())


def test_error_in_training_a_whole_population(monkeypatch):
    """No fit returns untrained, and the backend still works."""

    def fails(*args):
        raise MemoryError("error of the test, too large")

    def run():
        with monkeypatch.context() as patch:
            patch.setattr(population, "make_chunks", fails)
            try:
                found = cross_val_score(network(), X, y, cv=4)
            except ValueError as error:
                assert "error of the test, too large" in str(error)
            else:
                np.testing.assert_allclose(found, expected)
        return fit_all()

    expected = cross_val_score(network(), X, y, cv=4)
    assert_same_models(run_in_backend(run), fit_one_by_one())


# -- Ctrl-C ----------------------------------------------------------------------------

INTERRUPTED = """
    import os, signal, threading, time, warnings
    import joblib, numpy as np
    from sklearn.datasets import load_iris
    from sklearn.ensemble import BaggingClassifier
    from sklearn.model_selection import GridSearchCV, cross_val_score
    import skdeep.training._population as population
    from skdeep import MLPClassifier

    X, y = load_iris(return_X_y=True)
    real, begun = population._Chunk._run_epoch, []

    def run_epoch(self):
        if not begun:
            begun.append(time.monotonic())
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        return real(self)

    population._Chunk._run_epoch = run_epoch
    model = MLPClassifier((5,), max_iter=10**8, n_iter_no_change=np.inf, random_state=0)
    search = GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=3)
    filters, n_done = list(warnings.filters), 0
    for call in (
        lambda: search.fit(X, y),
        lambda: cross_val_score(search, X, y, cv=2),
        lambda: cross_val_score(BaggingClassifier(model, 3), X, y, n_jobs=2, cv=3),
    ):
        begun.clear()
        try:
            with joblib.parallel_config(backend="skdeep"):
                call()
        except KeyboardInterrupt:
            n_done += 1
            threads = [t.name for t in threading.enumerate() if "Timer" not in str(t)]
            print(f"after {time.monotonic() - begun[0]:.1f} s", threads)
            assert time.monotonic() - begun[0] < 30
            assert threads == ["MainThread"], threads
            assert warnings.filters == filters
    print("interrupted", n_done)
    begun.clear()
    with joblib.parallel_config(backend="skdeep"):
        search.fit(X, y)
"""


@pytest.mark.slow
def test_interrupt():
    """Ctrl-C stops all threads soon; the fits would take days."""
    code = "import torch; torch.set_num_threads(2)\n"
    done = subprocess.run(
        [sys.executable, "-c", code + textwrap.dedent(INTERRUPTED)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = done.stdout + done.stderr
    assert "interrupted 3" in done.stdout, told
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), told
    assert done.returncode == -2, told


# -- jobs that wait for each other -----------------------------------------------------


def test_jobs_that_fit_while_they_hold_a_lock(cores, monkeypatch):
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.1)
    lock = threading.Lock()

    def fit(alpha):
        with lock:
            return network(alpha=alpha).fit(X, y)

    alphas = [0.01, 0.1, 1.0, 10.0]
    models = run_in_backend(
        lambda: Parallel()(delayed(fit)(alpha) for alpha in alphas),
        cores=cores,
        seconds=60,
        n_processes=1,
    )
    assert_same_models(models, [network(alpha=a).fit(X, y) for a in alphas])
