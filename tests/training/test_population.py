"""The fits of a population have the same results as separate fits."""

import itertools
import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

import skdeep.training._grouping as grouping
import skdeep.training._population as population
from skdeep import MLPClassifier, MLPRegressor
from skdeep.losses import BINARY_LOSSES, MULTICLASS_LOSSES, REGRESSION_LOSSES
from skdeep.networks import ACTIVATIONS
from skdeep.training import LEARNING_RATES, train, train_together
from tests.training.populations import (
    Job,
    assert_same_fit,
    assert_together_as_apart,
    fit_once,
    fit_together,
    others_nightly,
    record_chunks,
    together,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

X, y = make_classification(
    n_samples=147, n_features=6, n_informative=4, n_classes=3, random_state=0
)
X_numbers, y_numbers = make_regression(
    n_samples=147, n_features=6, noise=5.0, random_state=0
)
y_numbers = np.abs(y_numbers) / 100
SMALL = {
    "hidden_layer_sizes": (6, 5),
    "max_iter": 3,
    "batch_size": 32,
    "learning_rate_init": 0.01,
    "random_state": 0,
}


def classifier(**params):
    return MLPClassifier(**{**SMALL, **params})


def regressor(**params):
    return MLPRegressor(**{**SMALL, **params})


N_FOLDS = 2


def folds(X=X, y=y, n_splits=N_FOLDS):
    """Return the training rows of folds: 73 and 74 of the 147."""
    cv = KFold(n_splits, shuffle=True, random_state=0)
    return [(X[train], y[train]) for train, _ in cv.split(X)]


def jobs_of(models, data=None, **params):
    """Return a job for every model and every part of the data."""
    parts = folds() if data is None else data
    return [Job(m, *part, params) for m, part in itertools.product(models, parts)]


def resampled(n_parts, n_rows=110):
    """Return bootstrap samples."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(X), (n_parts, n_rows))
    return [(X[r], y[r]) for r in rows]


@pytest.fixture
def chunks(monkeypatch):
    """The number of fits in each chunk."""
    return record_chunks(monkeypatch)


# -- solvers and schedules -------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "adam"},
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "adam", "alpha": 0.0},
        {"solver": "adamw", "alpha": 0.5},
        {"solver": "adamw", "alpha": 0.0},
    ],
    ids=str,
)
def test_solvers_that_are_stepped_together(chunks, params):
    jobs = jobs_of([classifier(**params), classifier(**params, random_state=1)])
    assert_together_as_apart(jobs)
    assert sum(chunks) == len(jobs)
    assert max(chunks) >= 4


@pytest.mark.parametrize(
    "solver",
    others_nightly(
        ["lbfgs", "nadam", "rmsprop", "adagrad", "adadelta", torch.optim.Adamax],
        "rmsprop",
    ),
    ids=str,
)
def test_other_solvers_train_apart(chunks, solver):
    assert_together_as_apart(jobs_of([classifier(solver=solver, alpha=1.0)]))
    assert chunks == []


def test_all_solvers_in_one_call(chunks):
    solvers = ["sgd", "adam", "adamw", "lbfgs", "nadam", torch.optim.Adamax]
    jobs = jobs_of([classifier(solver=solver, alpha=1.0) for solver in solvers])
    assert_together_as_apart(jobs)
    assert sum(chunks) == 3 * N_FOLDS


SCHEDULES = [
    pytest.param(
        solver,
        name,
        marks=[pytest.mark.nightly] * ((solver == "sgd") is not (i % 2 == 1 or i == 2)),
    )
    for i, name in enumerate(LEARNING_RATES)
    for solver in ("sgd", "adam")
]


@pytest.mark.parametrize(("solver", "learning_rate"), SCHEDULES)
def test_schedules(chunks, solver, learning_rate):
    params = {"solver": solver, "learning_rate": learning_rate, "max_iter": 12}
    rates = [
        classifier(**params, learning_rate_init=0.05, n_iter_no_change=2, tol=0.05),
        classifier(**params, learning_rate_init=0.001),
    ]
    found = assert_together_as_apart(jobs_of(rates))
    assert sum(chunks) == len(found)
    assert max(chunks) >= 4


def test_different_schedules_together(chunks):
    models = [classifier(learning_rate=name, max_iter=4) for name in LEARNING_RATES]
    assert_together_as_apart(jobs_of(models))
    assert max(chunks) > 4


# -- stopping --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("early_stopping", "validation_split"),
    [(False, "random"), (True, "last"), ("loss", "random")],
)
def test_stopping_at_different_epochs(chunks, early_stopping, validation_split):
    params = {
        "early_stopping": early_stopping,
        "validation_split": validation_split,
        "validation_fraction": 0.3,
        "max_iter": 25,
        "n_iter_no_change": 2,
        "tol": 0.01,
    }
    rates = (0.002, 0.01, 0.05)
    models = [classifier(**params, learning_rate_init=rate) for rate in rates]
    found = assert_together_as_apart(jobs_of(models))
    assert max(chunks) > 2
    assert len({model.n_iter_ for model in found}) > 1


@pytest.mark.parametrize(
    "early_stopping", others_nightly([False, True, "loss"], False, "loss")
)
def test_given_validation_rows(chunks, early_stopping):
    params = {"early_stopping": early_stopping, "n_iter_no_change": 2, "tol": 0.01}
    models = [
        classifier(**params, max_iter=30, learning_rate_init=rate)
        for rate in (0.002, 0.05)
    ]
    jobs = jobs_of(models, X_val=X[:20], y_val=y[:20])
    found = assert_together_as_apart(jobs)
    assert max(chunks) > 1
    assert all(model.validation_scores_ for model in found)


def test_some_with_validation_rows_and_some_without(chunks):
    jobs = jobs_of([classifier(early_stopping=True), classifier()])
    found = assert_together_as_apart(jobs)
    has_scores = [m.validation_scores_ is not None for m in found]
    assert has_scores == [True] * N_FOLDS + [False] * N_FOLDS


def test_different_numbers_of_epochs(chunks):
    models = [classifier(max_iter=n) for n in (1, 2, 7, 3)]
    found = assert_together_as_apart(jobs_of(models))
    assert [model.n_iter_ for model in found[::N_FOLDS]] == [1, 2, 7, 3]
    assert max(chunks) >= 2 * N_FOLDS


def test_infinite_patience(chunks):
    jobs = jobs_of([classifier(n_iter_no_change=np.inf, tol=10.0), classifier()])
    assert_together_as_apart(jobs)


# -- data ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "weighted"),
    [
        ((98, 110), False),
        ((97, 128), False),
        ((65, 96), False),
        ((98, 110), True),
        ((110, 111, 97), True),
    ],
)
def test_last_batches_of_different_sizes(chunks, n_rows, weighted):
    """All fits have the same number of batches, but last batches of different sizes."""
    weight = np.random.default_rng(1).uniform(0.2, 3, len(X))
    jobs = [
        Job(
            classifier(random_state=seed),
            X[:n],
            y[:n],
            {"sample_weight": weight[:n]} if weighted else {},
        )
        for n in n_rows
        for seed in range(2)
    ]
    assert_together_as_apart(jobs)
    assert max(chunks) == len(jobs)


@pytest.mark.parametrize("batch_size", ["auto", 147])
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_fewer_rows_than_a_batch(chunks, batch_size):
    data = [(X[:n], y[:n]) for n in (147, 60, 61, 90)]
    assert_together_as_apart(jobs_of([classifier(batch_size=batch_size)], data))
    assert max(chunks) == 4


@pytest.mark.parametrize("batch_size", others_nightly([1, 7, 73, 74], 1, 73))
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_sizes_of_batches(batch_size):
    jobs = jobs_of([classifier(batch_size=batch_size, max_iter=2)])
    assert_together_as_apart(jobs)


def test_rows_in_other_numbers_of_batches(chunks):
    """Folds of 64 and 65 rows, of which the second has one more batch."""
    data = folds(X[:97], y[:97], n_splits=3)
    assert sorted(len(part[0]) for part in data) == [64, 65, 65]
    assert_together_as_apart(jobs_of([classifier(), classifier(alpha=1.0)], data))
    assert sorted(chunks)[-1] >= 2


def test_bootstrap_samples(chunks):
    models = [classifier(random_state=seed) for seed in range(2)]
    assert_together_as_apart(jobs_of(models, resampled(5)))
    assert max(chunks) > 1


def test_without_shuffling(chunks):
    models = [classifier(shuffle=False, random_state=seed) for seed in range(3)]
    assert_together_as_apart(jobs_of([*models, classifier()]))
    assert max(chunks) > 2


@pytest.mark.parametrize("class_weight", others_nightly([None, "balanced"], "balanced"))
def test_weights_of_rows_and_classes(chunks, class_weight):
    rng = np.random.default_rng(0)
    jobs = [
        Job(
            classifier(class_weight=class_weight, random_state=seed),
            *part,
            {"sample_weight": rng.integers(0, 4, len(part[0]))},
        )
        for part in folds()
        for seed in range(2)
    ]
    assert_together_as_apart(jobs)
    assert max(chunks) > 1


def test_weighted_and_unweighted(chunks):
    balanced = classifier(class_weight="balanced")
    odd = classifier(class_weight={0: 0.0, 1: 1.0, 2: 5.0})
    assert_together_as_apart(jobs_of([classifier(), balanced, odd]))
    assert sum(chunks) == 3 * N_FOLDS


def test_same_data_with_other_targets(chunks):
    """As in OneVsRestClassifier, the fits share their rows."""
    data = [(X, y == label) for label in range(3)]
    assert_together_as_apart(jobs_of([classifier()], data))
    assert chunks == [3]


def test_missing_numbers(chunks):
    gaps = X.copy()
    gaps[::7, 2] = np.nan
    assert_together_as_apart(
        jobs_of([classifier(), classifier(alpha=1.0)], folds(gaps))
    )
    assert max(chunks) > 1


@pytest.mark.parametrize("dtype", others_nightly(["float32", "float64"], "float32"))
def test_float_types(chunks, dtype):
    data = folds(X.astype(dtype))
    found = assert_together_as_apart(jobs_of([classifier(), classifier(alpha=1)], data))
    assert {model.coefs_[0].dtype.name for model in found} == {dtype}
    assert max(chunks) > 1


def test_two_float_types_in_one_call(chunks):
    jobs = [*jobs_of([classifier(dtype="float32")]), *jobs_of([classifier()])]
    expected, found = list(map(fit_once, jobs)), fit_together(jobs)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-4)
    assert sum(chunks) == 2 * N_FOLDS
    assert max(chunks) <= N_FOLDS


@pytest.mark.parametrize(
    "change",
    [np.asfortranarray, lambda a: a[:, ::-1], lambda a: a[::-1]],
    ids=["columns", "reversed columns", "reversed rows"],
)
def test_layouts_in_memory(change):
    data = [(change(part), target) for part, target in folds()]
    assert_together_as_apart(jobs_of([classifier()], data))


def test_read_only_data():
    data = folds()
    for part, target in data:
        part.flags.writeable = target.flags.writeable = False
    assert_together_as_apart(jobs_of([classifier()], data))


def test_data_are_not_changed():
    data = folds()
    copies = [(part.copy(), target.copy()) for part, target in data]
    fit_together(jobs_of([classifier(), classifier(solver="sgd")], data))
    for part, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(part[0], copy[0])
        np.testing.assert_array_equal(part[1], copy[1])


# -- networks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation", others_nightly(ACTIVATIONS, "logistic", "gelu", "maxout")
)
def test_activations(chunks, activation):
    models = [classifier(activation=activation, random_state=seed) for seed in (0, 1)]
    assert_together_as_apart(jobs_of([*models, classifier(activation="relu")]))
    assert max(chunks) > 1


def test_numbers_of_maxout_pieces(chunks):
    """Six units of two pieces and four of three have weights of the same shape."""
    params = {"activation": "maxout"}
    models = [
        classifier(**params, hidden_layer_sizes=(6,), maxout_pieces=2),
        classifier(**params, hidden_layer_sizes=(4,), maxout_pieces=3),
        classifier(**params, hidden_layer_sizes=(4,), maxout_pieces=2),
    ]
    assert_together_as_apart(jobs_of(models))
    assert sum(chunks) == 3 * N_FOLDS
    assert max(chunks) <= N_FOLDS


@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [((110, 110), 32), ((98, 110), 32), ((60, 64), 200)]
)
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_dropout(chunks, n_rows, batch_size):
    """Masks depend on the seed of each fit, also if last batches are padded."""
    jobs = [
        Job(
            classifier(dropout=dropout, random_state=seed, batch_size=batch_size),
            X[:n],
            y[:n],
        )
        for n in n_rows
        for dropout, seed in [(0.2, 0), (0.5, 0), (0.2, 1)]
    ]
    assert_together_as_apart(jobs)
    assert max(chunks) == len(jobs)


def test_widths_and_depths(chunks):
    sizes = [(), (4,), (6,), (4, 4), (6, 5), (3, 3, 3)]
    models = [classifier(hidden_layer_sizes=size) for size in sizes]
    assert_together_as_apart(jobs_of(models))
    assert sum(chunks) == N_FOLDS * len(sizes)
    assert len(chunks) >= len(sizes)


def test_members_with_settings_of_their_own(chunks):
    rng = np.random.default_rng(0)
    models = [
        classifier(
            solver="sgd",
            alpha=10 ** rng.uniform(-5, 1),
            learning_rate_init=10 ** rng.uniform(-3, -1),
            momentum=rng.uniform(0.1, 1),
            max_grad_norm=10 ** rng.uniform(-2, 1),
            random_state=int(seed),
        )
        for seed in rng.integers(0, 3, 6)
    ]
    assert_together_as_apart(jobs_of(models, resampled(2)))
    assert max(chunks) > 1


@pytest.mark.parametrize(
    "solver", others_nightly(["sgd", "adam", "adamw"], "sgd", "adamw")
)
def test_clipped_gradients(chunks, solver):
    norms = (1e-3, 0.05, 0.5, 1e3, None)
    models = [classifier(solver=solver, max_grad_norm=norm) for norm in norms]
    assert_together_as_apart(jobs_of(models))
    assert max(chunks) > 1


@pytest.mark.parametrize(
    "params",
    [
        {"batch_norm": True},
        {"loss": lambda raw, target: torch.nn.functional.cross_entropy(raw, target)},
        {"callbacks": [Callback()]},
        {"loss": "pairwise_auc"},
    ],
    ids=["batch_norm", "callable", "callbacks", "pairs"],
)
def test_fits_that_a_population_cannot_train(chunks, params):
    jobs = [*jobs_of([classifier(**params)]), *jobs_of([classifier()])]
    expected, found = list(map(fit_once, jobs)), fit_together(jobs)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-9)
    assert sum(chunks) == N_FOLDS


def test_verbose_fits_train_apart_and_show_it(chunks, capsys):
    jobs = jobs_of([classifier(verbose=True)])
    assert_together_as_apart(jobs)
    assert chunks == []
    assert capsys.readouterr().out.count("Iteration 3, loss") == 2 * len(jobs)


@pytest.mark.parametrize(
    "make", others_nightly([sparse.csr_array, sparse.csc_matrix], sparse.csr_array)
)
def test_sparse_inputs(make):
    data = [(make(np.where(part > 0.5, part, 0)), target) for part, target in folds()]
    expected, found = (
        f(jobs_of([classifier()], data))
        for f in (lambda jobs: list(map(fit_once, jobs)), fit_together)
    )
    for one, two in zip(found, expected, strict=True):
        assert_same_fit(one, two, X)


def test_categories():
    frame = pd.DataFrame(X).assign(kind=pd.Categorical(np.array(list("abc"))[y]))
    frame.columns = frame.columns.astype(str)
    jobs = [
        Job(classifier(random_state=seed), frame[:n], y[:n])
        for n in (110, 120)
        for seed in (0, 1)
    ]
    assert_together_as_apart(jobs)


# -- losses and targets ----------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", others_nightly(MULTICLASS_LOSSES, "log_loss", "hinge", "pairwise_auc")
)
def test_losses_of_classes(chunks, loss):
    models = [classifier(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_together_as_apart(jobs_of(models))
    assert bool(chunks) is (loss != "pairwise_auc")


@pytest.mark.parametrize(
    "loss", others_nightly(BINARY_LOSSES, "log_loss", "expected_cost")
)
def test_losses_of_two_classes(chunks, loss):
    models = [classifier(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_together_as_apart(jobs_of(models, folds(y=y == 1)))
    assert bool(chunks) is (loss != "pairwise_auc")


@pytest.mark.parametrize(
    "loss", others_nightly(REGRESSION_LOSSES, "squared_error", "poisson", "gaussian")
)
def test_losses_of_numbers(chunks, loss):
    models = [regressor(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_together_as_apart(jobs_of(models, folds(X_numbers, y_numbers)))
    assert max(chunks) > 1


def test_losses_with_settings_of_their_own(chunks):
    models = [
        *(regressor(loss="quantile", quantile=q) for q in (0.1, 0.5, 0.9)),
        *(regressor(loss="huber", huber_delta=d) for d in (0.1, 1.0)),
    ]
    assert_together_as_apart(jobs_of(models, folds(X_numbers, y_numbers)))
    assert sum(chunks) == 5 * N_FOLDS
    assert max(chunks) <= N_FOLDS


def test_classification_losses_with_settings_of_their_own(chunks):
    costs = np.array([[0, 1, 2], [3, 0, 1], [1, 5, 0.0]])
    models = [
        *(classifier(loss="focal", focal_gamma=g) for g in (0.5, 2.0)),
        *(classifier(label_smoothing=s) for s in (0.0, 0.2)),
        *(classifier(loss="expected_cost", cost_matrix=c) for c in (None, costs)),
    ]
    assert_together_as_apart(jobs_of(models))
    assert chunks == [N_FOLDS] * len(models)


def test_distributions_as_targets(chunks):
    shares = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    models = [classifier(loss="kl_divergence", alpha=a) for a in (0, 1)]
    assert_together_as_apart(jobs_of(models, folds(y=shares)))
    assert max(chunks) > 1


def test_several_labels(chunks):
    rows, labels = make_multilabel_classification(147, 6, n_classes=4, random_state=0)
    models = [classifier(alpha=a, early_stopping=True) for a in (0, 1)]
    assert_together_as_apart(jobs_of(models, folds(rows / 5, labels)))
    assert max(chunks) > 1


@pytest.mark.parametrize("loss", ["squared_error", "gaussian"])
def test_several_targets(chunks, loss):
    rows, targets = make_regression(147, 6, n_targets=3, random_state=0)
    models = [regressor(loss=loss, alpha=a, early_stopping="loss") for a in (0, 1)]
    assert_together_as_apart(jobs_of(models, folds(rows, targets / 100)))
    assert max(chunks) > 1


def test_names_of_classes(chunks):
    names = np.array(["low", "mid", "top"])[y]
    assert_together_as_apart(
        jobs_of([classifier(), classifier(alpha=1)], folds(y=names))
    )
    assert max(chunks) > 1


def test_different_numbers_of_classes(chunks):
    data = [(X, y), (X, y == 1), (X, np.zeros(len(X), int)), (X, y % 2)]
    assert_together_as_apart(jobs_of([classifier()], data))
    assert sum(chunks) == 4


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
    assert_together_as_apart(jobs, run)
    assert max(chunks) > 1


def test_trainings_after_different_numbers_of_steps(chunks):
    """Adam's bias corrections depend on the number of earlier steps."""

    def run(job):
        n_first = 32 if job.model.alpha == 1.0 else len(job.X)
        first = job.X[:n_first], job.y[:n_first]
        model = clone(job.model).partial_fit(*first, classes=LABELS)
        return model.partial_fit(job.X, job.y)

    models = [classifier(alpha=alpha) for alpha in (0.0, 1.0)]
    assert_together_as_apart(jobs_of(models, [(X, y), (X[::-1], y[::-1])]), run)
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

    expected, found = scores(), together(scores)
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
    found = fit_together(jobs, run)
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
    expected, found = list(map(fit_once, jobs)), fit_together(jobs)
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
    for fit_all in (lambda jobs: list(map(fit_once, jobs)), fit_together):
        np.random.seed(5)  # noqa: NPY002
        found = fit_all(jobs)
        states.append(np.random.get_state())  # noqa: NPY002
        assert len({model.loss_curve_[0] for model in found}) == len(jobs)
    np.testing.assert_array_equal(states[0][1], states[1][1])
    assert states[0][2] == states[1][2]
    assert max(chunks) > 1


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
        fit_together(jobs, fit_or_error),
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
        found = together(search)
    for name in ("mean_test_score", "std_test_score"):
        one, two = (s.cv_results_[name] for s in (found, expected))
        assert np.isnan(one).tolist() == [False, True, False]
        np.testing.assert_allclose(one, two, rtol=1e-9)
    assert max(chunks) >= 3


@pytest.mark.parametrize("early_stopping", others_nightly([True, "loss"], True))
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
        fit_together(jobs, fit_or_error),
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
    assert warned(fit_together) == expected


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

    (expected, kinds), (found, found_kinds) = search(), together(search)
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
    found = fit_together(jobs, run)
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
    for one, two, job in zip(fit_together(jobs, run), expected, jobs, strict=True):
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
    assert_together_as_apart(jobs_of(models), cores=cores)
    assert sum(chunks) == N_FOLDS * len(models)
    assert max(chunks) <= {1: cores, 2**15: 4, 2**40: 4}[cache]
    assert len(chunks) >= min(cores, 2)


def test_more_cores_than_fits(chunks):
    assert_together_as_apart(jobs_of([classifier()], [(X, y)]), cores=2)
    assert chunks == [1]


def test_many_fits(chunks):
    models = [classifier(alpha=a, max_iter=2) for a in np.geomspace(1e-4, 1, 12)]
    assert_together_as_apart(jobs_of(models), cores=2)
    assert sum(chunks) == 24
    assert len(chunks) < 12


# -- train_together --------------------------------------------------------------------


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
    alone = task_of(models[0], X_numbers, y_numbers).task
    train(alone)
    assert_same_training(tasks[0], alone)


def test_no_tasks():
    assert train_together([]) == []
