"""Searches that are resumed, interrupted, or nested in other fits with a storage."""

import contextlib
import os
import signal
import sqlite3
import sys
import threading

import optuna
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import OptunaSearchCV

# Private: the time-out of SQLite is shortened.
from skdeep.model_selection import _storage
from tests.faults.helpers import start_fork
from tests.model_selection.optuna_data import (
    FOLDS,
    X,
    Y,
    assert_same_results,
    linear,
    network,
    search,
)

# -- storage ---------------------------------------------------------------------------


def test_resumes_from_a_journal(tmp_path, fitted):
    path = tmp_path / "search.log"
    search(storage=path, n_trials=3).fit(X, Y)
    resumed = search(storage=path).fit(X, Y)
    assert_same_results(fitted, resumed)
    assert len(resumed.study_.trials) == 8
    assert_same_results(fitted, search(storage=path, n_trials=1).fit(X, Y))


def test_resumes_from_a_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    linear(storage=url, n_trials=2).fit(X, Y)
    found = linear(storage=url, n_trials=5).fit(X, Y)
    assert_same_results(found, linear(n_trials=5).fit(X, Y))


class KillAt(optuna.pruners.MedianPruner):
    """Kills the process in the fourth epoch of the seventh trial."""

    def prune(self, study, trial):
        if trial.number == 6 and trial.last_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prune(study, trial)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_and_resumed_equals_uninterrupted(tmp_path, fitted):
    path = str(tmp_path / "search.log")
    killed = search(storage=path, pruner=KillAt())
    process = start_fork(lambda: killed.fit(X, Y), tmp_path / "outcome")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    with open(path, "ab") as file:
        file.write(b'{"op_code":8,"worker_id":"half a li')
    resumed = search(storage=path).fit(X, Y)
    assert_same_results(fitted, resumed)
    assert len(resumed.study_.trials) == 9  # with the trial that was killed


@pytest.mark.slow
def test_timeout_of_a_locked_database(tmp_path, monkeypatch):
    monkeypatch.setattr(_storage, "_SQLITE_TIMEOUT", 0.1)
    monkeypatch.setattr("random.random", lambda: 0.01)  # Optuna's pauses
    path = tmp_path / "search.db"
    url = f"sqlite:///{path}"
    linear(storage=url, n_trials=1).fit(X, Y)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ValueError, match="database is locked"):
            linear(storage=url, n_trials=2).fit(X, Y)


@pytest.mark.nightly
def test_locked_database_is_waited_for(tmp_path):
    path = tmp_path / "search.db"
    url = f"sqlite:///{path}"
    linear(storage=url, n_trials=1).fit(X, Y)
    other = sqlite3.connect(path, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    end = threading.Timer(6, other.rollback)  # sqlite3 itself waits for 5 seconds
    end.start()
    assert len(linear(storage=url, n_trials=2).fit(X, Y).study_.trials) == 2
    end.join()
    other.close()


def test_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ValueError, match="is not installed: psycopg2. .* can name"):
        linear(storage="postgresql+psycopg2://me@localhost/x").fit(X, Y)


def test_study_of_another_program(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    study = optuna.create_study(
        storage=url, study_name="OptunaSearchCV", direction="maximize"
    )
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(ValueError, match="was not made by OptunaSearchCV"):
        linear(storage=url).fit(X, Y)


# -- Ctrl-C ----------------------------------------------------------------------------


def interrupt(study, trial):
    signal.raise_signal(signal.SIGINT)


class InterruptedIn(LogisticRegression):
    """Raises SIGINT in the n-th of all fits, counted from 1."""

    n_fits = 0
    number = 0

    def fit(self, X, y):
        InterruptedIn.n_fits += 1
        if InterruptedIn.n_fits == InterruptedIn.number:
            signal.raise_signal(signal.SIGINT)
        return super().fit(X, y)


def interrupted_in(number, **options):
    InterruptedIn.n_fits, InterruptedIn.number = 0, number
    space = {"C": stats.loguniform(1e-3, 1e2)}
    return search(InterruptedIn(max_iter=500), space, **options)


@pytest.mark.parametrize("storage", [None, "search.log"])
def test_interrupted_search_keeps_complete_trials(tmp_path, storage):
    if storage is not None:
        storage = tmp_path / storage
    whole = linear(n_trials=5).fit(X, Y)
    found = interrupted_in(8, storage=storage, n_trials=5)  # in the third trial
    with pytest.warns(UserWarning, match="interrupted by user.* 2 of 5 trials"):
        found.fit(X, Y)
    scores = whole.cv_results_["mean_test_score"][:2]
    assert_array_equal(found.cv_results_["mean_test_score"], scores)
    assert found.best_score_ == scores.max()
    expected = LogisticRegression(max_iter=500, **found.best_params_).fit(X, Y)
    assert_array_equal(found.predict(X), expected.predict(X))
    if storage is not None:
        ran: list = []
        again = interrupted_in(0, storage=storage, n_trials=5)
        again.set_params(callbacks=[lambda study, trial: ran.append(trial)])
        assert_same_results(again.fit(X, Y), whole)
        assert len(ran) == 3


def test_interrupted_training_is_not_a_trial():
    """SIGINT arrives while the folds train in their threads."""

    def space(trial):
        return {"mlpclassifier__max_iter": 1 if trial.number < 2 else 10**6}

    class Interrupt(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            if trial.last_step == 5:
                interrupt(study, trial)
            return False

    before = set(threading.enumerate())
    found = search(network(max_iter=1), space, n_trials=4, pruner=Interrupt())
    with pytest.warns(UserWarning, match="interrupted by user.* 2 of 4 trials"):
        found.fit(X, Y)
    assert list(found.cv_results_["state"]) == ["complete", "complete"]
    assert found.best_n_epochs_ == found.best_estimator_[-1].n_iter_ == 1
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("number", [1, 3])
def test_interrupt_before_the_first_score_raises(number):
    found = interrupted_in(number)
    with pytest.raises(KeyboardInterrupt):
        found.fit(X, Y)
    assert not hasattr(found, "cv_results_")


def test_interrupted_refit_raises_and_keeps_results():
    found = interrupted_in(7, n_trials=2)
    with pytest.raises(KeyboardInterrupt):
        found.fit(X, Y)
    assert len(found.cv_results_["params"]) == 2
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]


@pytest.mark.parametrize("storage", [None, "search.log"])
def test_interrupted_nested_search_raises(tmp_path, storage):
    if storage is not None:
        storage = tmp_path / storage
    found = linear(n_trials=2, storage=storage, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(found, X, Y, cv=FOLDS)
    with pytest.raises(KeyboardInterrupt):
        OptunaSearchCV(found, {"n_trials": [2]}, cv=2).fit(X, Y)
    with pytest.warns(UserWarning, match="Search interrupted by user"):
        make_pipeline(StandardScaler(), found).fit(X, Y)


# -- searches with a storage inside other fits -----------------------------------------


def search_with_recorded_trials(**options):
    """Return a search, and a list to which the trials that it runs are added."""
    ran: list = []
    options = {"n_trials": 2, "cv": 2, **options}
    return linear(callbacks=[lambda _, trial: ran.append(trial)], **options), ran


@pytest.mark.parametrize(
    "kind, name",
    [
        ("{}", None),
        ("{}", "mine"),
        pytest.param("sqlite:///{}", None, marks=pytest.mark.nightly),
    ],
)
def test_cross_validation_gives_each_fold_a_study(tmp_path, kind, name):
    url = kind.format(tmp_path / "search")
    found, ran = search_with_recorded_trials(storage=url, study_name=name)
    expected = cross_val_score(search_with_recorded_trials()[0], X, Y, cv=FOLDS)
    assert_array_equal(cross_val_score(found, X, Y, cv=FOLDS), expected)
    assert len(ran) == 6
    # Again, nothing is left to run. With more trials, only the rest runs.
    assert_array_equal(cross_val_score(found, X, Y, cv=FOLDS), expected)
    assert len(ran) == 6
    cross_val_score(found.set_params(n_trials=3), X, Y, cv=FOLDS)
    assert len(ran) == 9


@pytest.mark.nightly
def test_cross_validation_in_processes(tmp_path):
    expected = cross_val_score(search_with_recorded_trials()[0], X, Y, cv=FOLDS)
    found, ran = search_with_recorded_trials(storage=tmp_path / "search.log")
    jobs = clone(found).set_params(callbacks=None)
    assert_array_equal(cross_val_score(jobs, X, Y, cv=FOLDS, n_jobs=2), expected)
    assert_array_equal(cross_val_score(found, X, Y, cv=FOLDS), expected)
    assert ran == []


def test_grid_search_gives_each_candidate_a_study(tmp_path):
    found, ran = search_with_recorded_trials(storage=tmp_path / "search.log")
    grid = {"estimator__fit_intercept": [True, False]}
    one, two = (GridSearchCV(found, grid, cv=2).fit(X, Y) for _ in range(2))
    assert len(ran) == 10
    plain = GridSearchCV(search_with_recorded_trials()[0], grid, cv=2).fit(X, Y)
    for other in (two, plain):
        scores = other.cv_results_["mean_test_score"]
        assert_array_equal(one.cv_results_["mean_test_score"], scores)


def test_study_of_an_earlier_release_is_resumed(tmp_path):
    """A search of an earlier release, which had only one name, is resumed."""
    path = tmp_path / "search.log"
    first = linear(storage=path, n_trials=2).fit(X, Y)
    other, ran = search_with_recorded_trials(storage=path)
    assert len(other.fit(X[1:], Y[1:]).study_.trials) == len(ran) == 2
    names = [first.study_.study_name, other.study_.study_name]
    assert names[0] == "OptunaSearchCV" and names[1].startswith("OptunaSearchCV-")
    again = linear(storage=path, n_trials=3).fit(X, Y)
    assert again.study_.study_name == names[0]
    assert_same_results(again, linear(n_trials=3).fit(X, Y))
    optuna.delete_study(study_name=names[0], storage=again.study_._storage)
    assert other.fit(X[1:], Y[1:]).study_.study_name == names[1]
    assert len(ran) == 2


def test_folds_that_vary_warn(tmp_path):
    found = linear(storage=tmp_path / "search.log", n_trials=1)
    found.set_params(cv=KFold(3, shuffle=True))
    with pytest.warns(UserWarning, match="random_state of cv.* cannot be resumed"):
        found.fit(X, Y)
