"""scikit-learn's searches in the joblib backend: same results, no side effects."""

import pickle
import threading

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from skorch.callbacks import Callback

# Private: the limit of active jobs is lowered, so that few jobs reach it.
import skdeep.training._backend as backend
from skdeep import ModuleClassifier, OptunaSearchCV
from tests.training.backend_cases import (
    GRID,
    X,
    assert_close,
    assert_same_models,
    fit_all,
    fit_one_by_one,
    fitted,
    grid,
    jobs,
    nested_scores,
    network,
    numbers_of,
    pipeline,
    searched,
    y,
)
from tests.training.populations import Job, fit_once, run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]

# Each call, and the minimum size of its largest population.
CALLS = {
    "GridSearchCV": (lambda: searched(grid()), 4),
    "RandomizedSearchCV": (
        lambda: searched(
            RandomizedSearchCV(pipeline(), GRID, n_iter=2, cv=3, random_state=0)
        ),
        6,
    ),
    "HalvingGridSearchCV": (
        lambda: searched(HalvingGridSearchCV(pipeline(), GRID, cv=3, random_state=0)),
        3,
    ),
    "OptunaSearchCV": (
        lambda: searched(
            OptunaSearchCV(
                pipeline(),
                {"mlpclassifier__alpha": [1e-3, 1e-2, 1.0]},
                n_trials=4,
                cv=2,
                random_state=0,
            )
        ),
        0,
    ),
    "OptunaSearchCV that stops early": (
        lambda: searched(
            OptunaSearchCV(
                pipeline(early_stopping=True),
                {"mlpclassifier__alpha": [1e-3, 1e-2, 1.0]},
                n_trials=4,
                cv=2,
                pruner=None,
                random_state=0,
            )
        ),
        0,
    ),
    "cross_validate": (
        lambda: cross_validate(
            pipeline(), X, y, return_estimator=True, return_train_score=True
        ),
        5,
    ),
    "cross_val_predict": (lambda: cross_val_predict(pipeline(), X, y), 5),
    "learning_curve": (
        lambda: learning_curve(pipeline(), X, y, cv=2, shuffle=True, random_state=0),
        10,
    ),
    "validation_curve": (
        lambda: validation_curve(
            pipeline(),
            X,
            y,
            param_name="mlpclassifier__alpha",
            param_range=[0.0, 0.1, 1.0],
            cv=2,
        ),
        6,
    ),
    "permutation_test_score": (
        lambda: permutation_test_score(
            pipeline(), X, y, cv=3, n_permutations=4, random_state=0
        ),
        4,
    ),
    "BaggingClassifier": (
        lambda: fitted(BaggingClassifier(pipeline(), 6, random_state=0)),
        6,
    ),
    "BaggingClassifier of some columns": (
        lambda: fitted(
            BaggingClassifier(
                pipeline(), 5, max_features=0.5, max_samples=0.7, random_state=0
            )
        ),
        5,
    ),
    "VotingClassifier": (
        lambda: fitted(
            VotingClassifier(
                [(str(a), pipeline(alpha=a)) for a in (0, 1, 2)], voting="soft"
            )
        ),
        3,
    ),
    "OneVsRestClassifier": (lambda: fitted(OneVsRestClassifier(pipeline())), 3),
    "OneVsOneClassifier": (lambda: fitted(OneVsOneClassifier(pipeline())), 3),
    "MultiOutputClassifier": (
        lambda: (
            MultiOutputClassifier(pipeline())
            .fit(X, np.stack([y, y == 1], 1))
            .predict_proba(X)
        ),
        2,
    ),
    "StackingClassifier": (
        lambda: fitted(
            StackingClassifier(
                [("a", pipeline()), ("b", pipeline(alpha=1))],
                network(solver="lbfgs", alpha=1),
                cv=3,
            )
        ),
        6,
    ),
    "CalibratedClassifierCV": (
        lambda: fitted(CalibratedClassifierCV(pipeline(), cv=3)),
        3,
    ),
    "a search in cross-validation": (lambda: cross_val_score(grid(), X, y, cv=3), 12),
    "bags in a search": (
        lambda: searched(
            GridSearchCV(
                BaggingClassifier(pipeline(), random_state=0),
                {"n_estimators": [2, 3], "estimator__mlpclassifier__alpha": [0.1, 1.0]},
                cv=2,
            )
        ),
        20,
    ),
    "searches that vote": (
        lambda: fitted(VotingClassifier([("a", grid()), ("b", grid(pipeline()))])),
        8,
    ),
    "a search of Optuna in cross-validation": (
        lambda: cross_val_score(
            OptunaSearchCV(
                network(),
                {"alpha": [1e-3, 1e-2, 1.0]},
                n_trials=3,
                cv=2,
                random_state=0,
            ),
            X,
            y,
            cv=2,
        ),
        0,
    ),
}

# They use joblib in much the same way as the others.
NIGHTLY = {
    "BaggingClassifier of some columns",
    "OneVsOneClassifier",
    "OptunaSearchCV that stops early",
    "RandomizedSearchCV",
    "learning_curve",
    "validation_curve",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.nightly] * (name in NIGHTLY))
        for name in CALLS
    ],
)
def test_same_results(name, cores, populations):
    call, n_together = CALLS[name]
    expected = call()
    assert populations == []
    found = run_in_backend(call, cores=cores)
    # Calibration and the like magnify rounding.
    assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert max(populations, default=0) >= n_together


@pytest.mark.parametrize(
    "name",
    ["GridSearchCV", "BaggingClassifier", "a search in cross-validation"],
)
def test_results_are_bit_identical_on_every_run(name, cores):
    call, _ = CALLS[name]
    first, second = (run_in_backend(call, cores=cores) for _ in range(2))
    for one, two in zip(numbers_of(first), numbers_of(second), strict=True):
        np.testing.assert_array_equal(one, two)


def test_refits_of_nested_searches_form_a_population(populations):
    """All refits start when the fits of all inner folds have ended."""

    def scores():
        return cross_val_score(grid(), X, y, cv=3)

    for _ in range(2):
        run_in_backend(scores)
        assert populations == [12, 3]
        populations.clear()


def test_fitted_searches_are_pickled():
    search = run_in_backend(lambda: grid().fit(X, y))
    copy = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(copy.predict_proba(X), search.predict_proba(X))
    assert "skdeep.training._backend" not in str(pickle.dumps(search))


def test_backend_by_name():
    found = Parallel(backend="skdeep")(delayed(fit_once)(job) for job in jobs())
    for one, job in zip(found, jobs(), strict=True):
        np.testing.assert_allclose(
            one.predict_proba(X), fit_once(job).predict_proba(X), rtol=1e-9
        )


# -- number of jobs --------------------------------------------------------------------


class Counted:
    """Records the largest number of jobs that run at the same time."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __call__(self, job):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return fit_once(job)
        finally:
            with self.lock:
                self.now -= 1


@pytest.mark.parametrize(
    ("n_jobs", "where"),
    [
        *((n_jobs, "Parallel") for n_jobs in (1, 2, 7, -1)),
        *((n_jobs, "parallel_config") for n_jobs in (3, 100, -2, None)),
    ],
)
def test_number_of_jobs_bounds_the_population(populations, n_jobs, where):
    counted = Counted()

    def run(**options):
        return Parallel(**options)(delayed(counted)(job) for job in jobs(10))

    if where == "Parallel":
        found = run_in_backend(lambda: run(n_jobs=n_jobs))
    else:
        found = run_in_backend(run, n_jobs=n_jobs)
    assert_same_models(found, fit_one_by_one(10))
    bound = n_jobs if n_jobs is not None and 0 < n_jobs < 10 else 10
    assert counted.most == bound
    assert max(populations, default=1) == bound


def test_number_of_jobs_of_a_search(populations):
    found = run_in_backend(lambda: searched(grid(cv=5, n_jobs=4)))
    assert_close(found, searched(grid(cv=5)))
    assert max(populations) == 4


def test_number_of_jobs_is_kept_after_another_call():
    """A Parallel in a with block keeps its bound when there is another one."""
    counted = Counted()

    def run():
        with Parallel(n_jobs=2) as parallel:
            first = parallel(delayed(counted)(job) for job in jobs())
            fit_all()
            return first + parallel(delayed(counted)(job) for job in jobs())

    assert_same_models(run_in_backend(run), fit_one_by_one() * 2)
    assert counted.most == 2


def test_number_of_outer_jobs_bounds_nested_calls(populations):
    found = run_in_backend(lambda: cross_val_score(grid(), X, y, cv=3, n_jobs=2))
    assert_close(found, nested_scores(cv=3))
    assert max(populations) == 8


@pytest.mark.parametrize(
    "call",
    [
        lambda: Parallel(n_jobs=0)(delayed(fit_once)(job) for job in jobs()),
        lambda: grid(n_jobs=0).fit(X, y),
        lambda: BaggingClassifier(network(), n_jobs=0).fit(X, y),
    ],
    ids=["Parallel", "GridSearchCV", "BaggingClassifier"],
)
def test_zero_jobs_raise(call):
    with pytest.raises(ValueError, match="n_jobs == 0 in Parallel has no meaning"):
        run_in_backend(call)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        run_in_backend(fit_all, n_jobs=0)


def test_number_of_active_jobs_is_limited(monkeypatch, populations):
    """The number of threads is bounded even for very many jobs."""
    monkeypatch.setattr(backend, "_MAX_ACTIVE_JOBS", 5)
    assert_same_models(run_in_backend(lambda: fit_all(23)), fit_one_by_one(23))
    assert max(populations) == 5


def test_huge_number_of_jobs():
    """scikit-learn divides its work by the number of jobs."""
    for n_jobs in (10**6, 10**30):
        with parallel_config(backend="skdeep", n_jobs=n_jobs):
            assert effective_n_jobs(n_jobs) <= 1024
            assert squares(3) == [0, 1, 4]


def squares(n):
    return Parallel()(delayed(pow)(i, 2) for i in range(n))


def test_no_tasks():
    assert run_in_backend(lambda: Parallel()([])) == []


def test_calls_in_one_block(populations):
    def run():
        first = fit_all()
        with Parallel() as parallel:
            return [*first, *fit_all(3, parallel), *fit_all(2, parallel)]

    assert_same_models(
        run_in_backend(run), [*fit_one_by_one(), *fit_one_by_one(3), *fit_one_by_one(2)]
    )
    assert populations == [4, 3, 2]


def test_jobs_in_batches():
    found = run_in_backend(lambda: fit_all(7, Parallel(batch_size=3)))
    assert_same_models(found, fit_one_by_one(7))


@pytest.mark.parametrize("pre_dispatch", ["all", 1, 2, "n_jobs"])
def test_dispatch_in_advance(pre_dispatch):
    found = run_in_backend(lambda: fit_all(6, Parallel(3, pre_dispatch=pre_dispatch)))
    assert_same_models(found, fit_one_by_one(6))


# -- memory ----------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, -1, "2GB", 1.5, float("inf"), True, [1]])
def test_invalid_memory_budget(budget):
    with pytest.raises(ValueError, match="memory_budget must be"):
        run_in_backend(fit_all, memory_budget=budget)


def test_unknown_option():
    with pytest.raises(TypeError, match="color"):
        run_in_backend(fit_all, color="blue")


@pytest.mark.parametrize("budget", [1, 60_000, 2**40, np.int64(10**9), None])
def test_memory_budget_splits_a_population(cores, populations, budget):
    found = run_in_backend(lambda: fit_all(12), memory_budget=budget, cores=cores)
    assert_same_models(found, fit_one_by_one(12))
    # While no fit waits, each core may start a job.
    least, most = {1: (1, cores), 60_000: (2, 6)}.get(budget, (12, 12))
    assert least <= max(populations) <= most
    assert sum(populations) == 12


@pytest.mark.parametrize("budget", [1, 60_000])
def test_memory_budget_and_nested_searches(cores, budget):
    found = run_in_backend(
        lambda: cross_val_score(grid(), X, y, cv=2), memory_budget=budget, cores=cores
    )
    np.testing.assert_allclose(found, nested_scores())


# -- other estimators ------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [pytest.param(None, marks=pytest.mark.nightly), 2])
def test_other_estimators(cores, n_jobs):
    def call(n_jobs):
        models = {
            "linear": LogisticRegression(),
            "forest": RandomForestClassifier(3, n_jobs=n_jobs, random_state=0),
            "network": pipeline(),
            "bags": BaggingClassifier(LogisticRegression(), 2, random_state=0),
        }
        voting = VotingClassifier(list(models.items()), n_jobs=n_jobs, voting="soft")
        options = {"cv": 2, "n_jobs": n_jobs}
        scores = [cross_val_score(m, X, y, **options) for m in models.values()]
        return scores + fitted(voting)

    assert_close(run_in_backend(lambda: call(n_jobs), cores=cores), call(1))


def test_forest_in_a_job_starts_no_threads(monkeypatch):
    started, start = [], threading.Thread.start

    def counted(thread):
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", counted)
    forest = RandomForestClassifier(20, random_state=0)
    run_in_backend(lambda: cross_val_score(forest, X, y, cv=3))
    assert started.count("skdeep") == 3


def draws(n_features, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_features, 4),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(4, n_outputs),
    )


def test_modules_that_draw_from_global_generators(cores):
    model = ModuleClassifier(draws, max_iter=3, random_state=0)

    def call():
        return cross_validate(
            VotingClassifier([("a", model), ("b", network())], voting="soft"),
            X,
            y,
            cv=3,
            return_estimator=True,
        )

    assert_close(run_in_backend(call, cores=cores), call())


class FitsAnother(Callback):
    """A skorch callback that fits another network."""

    def on_epoch_end(self, net, **kwargs):
        network().fit(X, y)


def test_a_fit_within_a_fit(cores):
    """Fits with callbacks take turns to use torch's generators, without a deadlock."""
    model = network(callbacks=[FitsAnother()])
    jobs = [Job(model, X[:n], y[:n]) for n in (120, 130, 140)]
    found = run_in_backend(
        lambda: Parallel()(
            delayed(fit_once)(job) for job in [*jobs, Job(network(), X, y)]
        ),
        cores=cores,
    )
    assert_same_models(found[:3], [fit_once(job) for job in jobs])


class CrossValidates(Callback):
    """A skorch callback that runs fits in parallel."""

    def on_train_end(self, net, **kwargs):
        cross_val_score(network(), X, y, cv=2)


def test_a_search_within_a_fit(cores):
    model = network(callbacks=[CrossValidates()])
    jobs = [Job(model, X[:n], y[:n]) for n in (120, 130, 140)]
    found = run_in_backend(
        lambda: Parallel()(delayed(fit_once)(job) for job in jobs), cores=cores
    )
    assert_same_models(found, [fit_once(job) for job in jobs])


class Hook:
    """A scikit-learn callback that fits another network after each epoch."""

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = lambda self, estimator, context, **kwargs: None

    def on_fit_task_end(self, estimator, context, **kwargs):
        if context.task_name == "epoch":
            network().fit(X, y)
        return False


def test_a_fit_within_a_scikit_learn_callback(cores):
    def run(n):
        return network().set_callbacks(Hook()).fit(X[:n], y[:n])

    sizes = (120, 130, 140)
    found = run_in_backend(
        lambda: Parallel()(delayed(run)(n) for n in sizes), cores=cores
    )
    assert_same_models(found, [run(n) for n in sizes])
