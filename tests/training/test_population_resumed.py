"""Warm starts, partial_fit and seeds in a population: the same as in separate fits."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import learning_curve

from tests.training.population_data import X, classifier, jobs_of, y
from tests.training.populations import (
    assert_same_as_separate_fits,
    assert_same_fit,
    fit_in_backend,
    fit_once,
    run_in_backend,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

# -- training that is continued --------------------------------------------------------


LABELS = np.unique(y)


def fit_again(job):
    """Fit with a warm start, on other rows the second time."""
    model = clone(job.model).set_params(warm_start=True).fit(job.X, job.y)
    return model.set_params(max_iter=2).fit(job.X[:60], job.y[:60])


def fit_by_parts(job):
    """Fit by three calls of partial_fit."""
    model = clone(job.model).partial_fit(job.X[:36], job.y[:36], classes=LABELS)
    return model.partial_fit(job.X[36:], job.y[36:]).partial_fit(job.X, job.y)


def fit_partly_then_whole(job):
    model = clone(job.model).partial_fit(job.X, job.y, classes=LABELS)
    return model.set_params(warm_start=True).fit(job.X, job.y)


@pytest.mark.parametrize(
    ("run", "params"),
    [
        (fit_again, {"solver": "adam", "learning_rate": "cosine"}),
        (fit_again, {"solver": "sgd"}),
        (fit_by_parts, {"solver": "adam"}),
        (fit_by_parts, {"solver": "sgd", "learning_rate": "invscaling"}),
        (fit_by_parts, {"dropout": 0.3}),
        (fit_partly_then_whole, {"solver": "sgd", "learning_rate": "invscaling"}),
        (fit_partly_then_whole, {"solver": "adam", "learning_rate": "cosine"}),
    ],
)
def test_training_that_is_continued(chunks, run, params):
    jobs = jobs_of([classifier(**params), classifier(**params, alpha=1.0)])
    assert_same_as_separate_fits(jobs, run)
    assert max(chunks) > 1


def test_trainings_after_different_numbers_of_steps(chunks):
    """Adam's bias corrections depend on the number of earlier steps."""

    def run(job):
        n_first = 32 if job.model.alpha == 1.0 else len(job.X)
        first = job.X[:n_first], job.y[:n_first]
        model = clone(job.model).partial_fit(*first, classes=LABELS)
        return model.partial_fit(job.X, job.y)

    models = [classifier(alpha=alpha) for alpha in (0.0, 1.0)]
    assert_same_as_separate_fits(jobs_of(models, [(X, y), (X[::-1], y[::-1])]), run)
    assert sum(chunks) == 8


def test_learning_curve_by_parts(chunks):
    def scores():
        return learning_curve(
            classifier(batch_size=10),
            X,
            y,
            train_sizes=[0.3, 0.6, 1.0],
            cv=3,
            exploit_incremental_learning=True,
        )

    expected, found = scores(), run_in_backend(scores)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)
    assert max(chunks) > 1


# -- seeds -----------------------------------------------------------------------------


def test_generators_as_seeds(chunks):
    """Each clone has its own generator, which ends in the same state."""

    def run(job):
        model = clone(job.model)
        return model.fit(job.X, job.y)

    models = [
        classifier(random_state=np.random.RandomState(seed), dropout=dropout)
        for seed, dropout in [(0, 0.0), (0, 0.2), (1, 0.0)]
    ]
    jobs = jobs_of(models)
    expected = [run(job) for job in jobs]
    found = fit_in_backend(jobs, run)
    for one, two, job in zip(found, expected, jobs, strict=True):
        assert_same_fit(one, two, job.X)
        state, other = one.random_state.get_state(), two.random_state.get_state()
        np.testing.assert_array_equal(state[1], other[1])
        assert state[2] == other[2]
    assert max(chunks) > 1


def test_generators_of_fits_that_end_early(chunks):
    """The members of one stream end after different numbers of epochs."""
    data = [(X, y)]
    models = [
        classifier(random_state=np.random.RandomState(0), max_iter=n, alpha=alpha)
        for n, alpha in [(4, 0.0), (2, 0.1), (6, 1.0), (2, 0.2)]
    ]
    jobs = jobs_of(models, data)
    expected, found = list(map(fit_once, jobs)), fit_in_backend(jobs)
    for one, two in zip(found, expected, strict=True):
        assert_same_fit(one, two, X)
        np.testing.assert_array_equal(
            one.random_state.get_state()[1], two.random_state.get_state()[1]
        )
        assert one.random_state.get_state()[2] == two.random_state.get_state()[2]
    assert chunks == [4]


def test_without_seeds(chunks):
    """Every fit draws one seed, in any order."""
    jobs = jobs_of([classifier(random_state=None)])
    states = []
    for fit_all in (lambda jobs: list(map(fit_once, jobs)), fit_in_backend):
        np.random.seed(5)  # noqa: NPY002
        found = fit_all(jobs)
        states.append(np.random.get_state())  # noqa: NPY002
        assert len({model.loss_curve_[0] for model in found}) == len(jobs)
    np.testing.assert_array_equal(states[0][1], states[1][1])
    assert states[0][2] == states[1][2]
    assert max(chunks) > 1
