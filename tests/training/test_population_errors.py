"""Errors and warnings in a population, its chunks, and tasks trained together."""

import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Private: patched to fail, and to change the size of chunks.
import skdeep.training._grouping as grouping
import skdeep.training._population as population
from skdeep import MLPRegressor
from skdeep.training import train
from tests.training.population_data import (
    N_FOLDS,
    X,
    X_numbers,
    classifier,
    jobs_of,
    regressor,
    y,
    y_numbers,
)
from tests.training.populations import (
    assert_same_as_separate_fits,
    assert_same_fit,
    fit_in_backend,
    fit_once,
    mark_others_nightly,
    run_in_backend,
    train_together,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

# -- errors and warnings ---------------------------------------------------------------


def fit_or_error(job):
    """Fit; return the error if there is one."""
    try:
        return fit_once(job)
    except ValueError as error:
        return error


def test_divergence_does_not_affect_other_fits(chunks):
    params = {"solver": "sgd", "max_iter": 20}
    rates = [0.01, 1e6, 0.001, 1e7]
    models = [regressor(**params, learning_rate_init=rate) for rate in rates]
    jobs = jobs_of(models, [(X_numbers, y_numbers)])
    expected, found = (
        [fit_or_error(job) for job in jobs],
        fit_in_backend(jobs, fit_or_error),
    )
    assert chunks == [4]
    for i in (0, 2):
        assert_same_fit(found[i], expected[i], X_numbers)
    for i in (1, 3):
        assert isinstance(found[i], ValueError)
        assert str(found[i]) == str(expected[i])
        assert "Solver produced non-finite" in str(found[i])


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_search_keeps_the_candidates_that_do_not_diverge(chunks):
    def search():
        grid = {"learning_rate_init": [0.01, 1e6, 0.001]}
        model = regressor(solver="sgd", max_iter=20)
        return GridSearchCV(model, grid, cv=3).fit(X_numbers, y_numbers)

    failed = "3 fits failed out of a total of 9"
    with pytest.warns(FitFailedWarning, match=failed):
        expected = search()
    with pytest.warns(FitFailedWarning, match=failed):
        found = run_in_backend(search)
    for name in ("mean_test_score", "std_test_score"):
        one, two = (s.cv_results_[name] for s in (found, expected))
        assert np.isnan(one).tolist() == [False, True, False]
        np.testing.assert_allclose(one, two, rtol=1e-9)
    assert max(chunks) >= 3


@pytest.mark.parametrize("early_stopping", mark_others_nightly([True, "loss"], True))
@pytest.mark.filterwarnings("ignore:Training diverged:UserWarning")
def test_divergence_after_good_epochs(chunks, early_stopping):
    """The best epoch is kept, and the other members continue."""
    params = {"solver": "sgd", "early_stopping": early_stopping, "max_iter": 25}
    rates = [0.01, 2.0, 0.001]
    models = [
        regressor(**params, learning_rate_init=rate, momentum=0.999) for rate in rates
    ]
    jobs = jobs_of(models, [(X_numbers, y_numbers)])
    expected, found = (
        [fit_or_error(job) for job in jobs],
        fit_in_backend(jobs, fit_or_error),
    )
    for one, two in zip(found, expected, strict=True):
        assert type(one) is type(two)
        if isinstance(two, MLPRegressor):
            assert one.n_iter_ == two.n_iter_
            for a, b in zip(one.coefs_, two.coefs_, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)
    assert max(chunks) == 3


@pytest.mark.filterwarnings("default")
def test_number_of_warnings_equals_that_of_separate_fits(chunks):
    jobs = [
        *jobs_of([classifier(max_iter=3), classifier(max_iter=4)]),
        *jobs_of([classifier(learning_rate="cosine"), classifier(tol=10.0)]),
        *jobs_of([classifier(solver="lbfgs", max_iter=3)]),
    ]

    def warned(fit_all):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit_all(jobs)
        return Counter((w.category, str(w.message)) for w in caught)

    expected = warned(lambda jobs: [fit_once(job) for job in jobs])
    assert sum(n for (kind, _), n in expected.items() if kind is ConvergenceWarning) > 4
    assert warned(fit_in_backend) == expected


@pytest.mark.parametrize("filters", ["always", "error"])
def test_search_raises_the_same_number_of_warnings(chunks, filters):
    """As errors, the warnings make fits fail."""
    # Stops after the fifth epoch.
    model = classifier(max_iter=3, tol=10.0, n_iter_no_change=3)
    model = make_pipeline(StandardScaler(), model)
    grid = {"mlpclassifier__alpha": [0.1, 1.0], "mlpclassifier__max_iter": [3, 9]}

    def search():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings(filters, category=ConvergenceWarning)
            options = {"cv": 3, "refit": False}
            found = GridSearchCV(model, grid, **options).fit(X, y)
        kinds = Counter(w.category for w in caught)
        return found.cv_results_["mean_test_score"], kinds

    (expected, kinds), (found, found_kinds) = search(), run_in_backend(search)
    assert found_kinds == kinds
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_error_in_one_chunk_does_not_affect_others(monkeypatch):
    real = population._Chunk._run_epoch

    def run_epoch(self):
        if self.members[0].fit.task.options.alpha == 7.0:
            raise RuntimeError("error of the test")
        return real(self)

    def run(job):
        try:
            return fit_once(job)
        except RuntimeError as error:
            return error

    monkeypatch.setattr(population._Chunk, "_run_epoch", run_epoch)
    sizes = [(6, 5), (4,)]
    models = [
        classifier(hidden_layer_sizes=size, alpha=alpha)
        for size, alpha in zip(sizes, (1.0, 7.0), strict=True)
    ]
    jobs = jobs_of(models)
    found = fit_in_backend(jobs, run)
    expected = [fit_once(job) for job in jobs[:N_FOLDS]]
    for one, two, job in zip(found, expected, jobs, strict=False):
        assert_same_fit(one, two, job.X)
    assert ["error of the test" in str(error) for error in found[N_FOLDS:]] == [
        True
    ] * N_FOLDS


def test_an_error_before_any_chunk_leaves_no_fit_untrained(monkeypatch):
    """No fit returns an untrained network."""

    def fails(*args):
        raise MemoryError("error of the test, too large")

    def run(job):
        try:
            return fit_once(job)
        except MemoryError as error:
            return error

    monkeypatch.setattr(population, "make_chunks", fails)
    jobs = jobs_of([classifier()])
    expected = [fit_once(job) for job in jobs]
    for one, two, job in zip(fit_in_backend(jobs, run), expected, jobs, strict=True):
        if isinstance(one, MemoryError):
            assert "too large" in str(one)
        else:
            assert_same_fit(one, two, job.X)


# -- how a population is split into chunks ---------------------------------------------


@pytest.mark.parametrize(("cache", "cores"), [(1, 1), (1, 2), (2**15, 1), (2**40, 2)])
def test_chunks_do_not_change_results(chunks, monkeypatch, cache, cores):
    monkeypatch.setattr(grouping, "_CACHE_BYTES", cache)
    models = [
        classifier(alpha=alpha, dropout=dropout, early_stopping=bool(dropout))
        for alpha in (0.0, 1.0)
        for dropout in (0.0, 0.2)
    ]
    assert_same_as_separate_fits(jobs_of(models), cores=cores)
    assert sum(chunks) == N_FOLDS * len(models)
    assert max(chunks) <= {1: cores, 2**15: 4, 2**40: 4}[cache]
    assert len(chunks) >= min(cores, 2)


def test_more_cores_than_fits(chunks):
    assert_same_as_separate_fits(jobs_of([classifier()], [(X, y)]), cores=2)
    assert chunks == [1]


def test_many_fits(chunks):
    models = [classifier(alpha=a, max_iter=2) for a in np.geomspace(1e-4, 1, 12)]
    assert_same_as_separate_fits(jobs_of(models), cores=2)
    assert sum(chunks) == 24
    assert len(chunks) < 12


# -- tasks -----------------------------------------------------------------------------


def task_of(model, X=X, y=y):
    """Return the task that a fit of the model would train."""
    model = clone(model)
    plan, task = model._prepare(X, y, None, None, None, False, None)
    return SimpleNamespace(task=task, plan=plan, model=model)


def weights_of(task):
    return [p.detach().numpy() for p in task.learner.module.parameters()]


def assert_same_training(found, expected):
    for one, two in zip(weights_of(found), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11)
    assert len(found.state.history) == len(expected.state.history)
    assert found.state.n_samples_seen == expected.state.n_samples_seen
    one, two = (t.state.optimizers["network"]["state"] for t in (found, expected))
    assert one.keys() == two.keys()
    for position, values in two.items():
        assert one[position].keys() == values.keys()
        for name, value in values.items():
            np.testing.assert_allclose(
                one[position][name], value, rtol=1e-9, atol=1e-15
            )


def test_tasks_together(chunks):
    models = [
        classifier(),
        classifier(alpha=1.0, early_stopping=True),
        classifier(solver="sgd"),
        classifier(hidden_layer_sizes=(3,)),
        classifier(batch_norm=True),
        classifier(dropout=0.3, random_state=4),
        classifier(dropout=0.1, solver="adamw"),
        classifier(solver="nadam"),
    ]
    found, expected = ([task_of(m).task for m in models] for _ in range(2))
    assert train_together(found) == [None] * len(models)
    for task in expected:
        train(task)
    for one, two in zip(found, expected, strict=True):
        assert len(one.state.history) == 3
        for a, b in zip(weights_of(one), weights_of(two), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert sum(chunks) == 6


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_tasks_that_share_their_data(chunks, solver):
    models = [classifier(solver=solver, random_state=seed) for seed in (0, 1, 1)]
    found, expected = ([task_of(m).task for m in models] for _ in range(2))
    for task in found[1:]:
        task.train = found[0].train
    assert train_together(found) == [None] * 3
    for one, two in zip(found, expected, strict=True):
        train(two)
        assert_same_training(one, two)
    assert chunks == [3] or sum(chunks) == 3


def test_errors_of_tasks():
    rates = [0.01, 1e6, 0.001]
    models = [
        regressor(solver="sgd", max_iter=20, learning_rate_init=rate) for rate in rates
    ]
    tasks = [task_of(m, X_numbers, y_numbers).task for m in models]
    errors = train_together(tasks)
    assert [type(error) for error in errors] == [type(None), ValueError, type(None)]
    fit_one_by_one = task_of(models[0], X_numbers, y_numbers).task
    train(fit_one_by_one)
    assert_same_training(tasks[0], fit_one_by_one)


def test_no_tasks():
    assert train_together([]) == []
