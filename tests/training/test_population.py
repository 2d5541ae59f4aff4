"""The fits of a population have the same results as separate fits."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import (
    make_multilabel_classification,
    make_regression,
)
from skorch.callbacks import Callback

from skdeep.losses import BINARY_LOSSES, MULTICLASS_LOSSES, REGRESSION_LOSSES
from skdeep.networks import ACTIVATIONS
from skdeep.training import LEARNING_RATES
from tests.training.population_data import (
    N_FOLDS,
    X,
    X_numbers,
    classifier,
    folds,
    jobs_of,
    regressor,
    resampled,
    y,
    y_numbers,
)
from tests.training.populations import (
    Job,
    assert_same_as_separate_fits,
    assert_same_fit,
    fit_in_backend,
    fit_once,
    mark_others_nightly,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]


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
    assert_same_as_separate_fits(jobs)
    assert sum(chunks) == len(jobs)
    assert max(chunks) >= 4


@pytest.mark.parametrize(
    "solver",
    mark_others_nightly(
        ["lbfgs", "nadam", "rmsprop", "adagrad", "adadelta", torch.optim.Adamax],
        "rmsprop",
    ),
    ids=str,
)
def test_other_solvers_train_apart(chunks, solver):
    assert_same_as_separate_fits(jobs_of([classifier(solver=solver, alpha=1.0)]))
    assert chunks == []


def test_all_solvers_in_one_call(chunks):
    solvers = ["sgd", "adam", "adamw", "lbfgs", "nadam", torch.optim.Adamax]
    jobs = jobs_of([classifier(solver=solver, alpha=1.0) for solver in solvers])
    assert_same_as_separate_fits(jobs)
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
    found = assert_same_as_separate_fits(jobs_of(rates))
    assert sum(chunks) == len(found)
    assert max(chunks) >= 4


def test_decoupled_penalties_with_a_curve_of_rates(chunks):
    params = {"solver": "adamw", "learning_rate": "one_cycle", "max_iter": 4}
    models = [
        classifier(**params, alpha=alpha, learning_rate_init=rate)
        for alpha, rate in [(0.1, 0.01), (1.0, 0.05), (0.0, 0.02)]
    ]
    assert_same_as_separate_fits(jobs_of(models))
    assert max(chunks) == len(models) * N_FOLDS


def test_different_schedules_together(chunks):
    models = [classifier(learning_rate=name, max_iter=4) for name in LEARNING_RATES]
    assert_same_as_separate_fits(jobs_of(models))
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
    found = assert_same_as_separate_fits(jobs_of(models))
    assert max(chunks) > 2
    assert len({model.n_iter_ for model in found}) > 1


@pytest.mark.parametrize(
    "early_stopping", mark_others_nightly([False, True, "loss"], False, "loss")
)
def test_given_validation_rows(chunks, early_stopping):
    params = {"early_stopping": early_stopping, "n_iter_no_change": 2, "tol": 0.01}
    models = [
        classifier(**params, max_iter=30, learning_rate_init=rate)
        for rate in (0.002, 0.05)
    ]
    jobs = jobs_of(models, X_val=X[:20], y_val=y[:20])
    found = assert_same_as_separate_fits(jobs)
    assert max(chunks) > 1
    assert all(model.validation_scores_ for model in found)


def test_some_with_validation_rows_and_some_without(chunks):
    jobs = jobs_of([classifier(early_stopping=True), classifier()])
    found = assert_same_as_separate_fits(jobs)
    has_scores = [m.validation_scores_ is not None for m in found]
    assert has_scores == [True] * N_FOLDS + [False] * N_FOLDS


def test_different_numbers_of_epochs(chunks):
    models = [classifier(max_iter=n) for n in (1, 2, 7, 3)]
    found = assert_same_as_separate_fits(jobs_of(models))
    assert [model.n_iter_ for model in found[::N_FOLDS]] == [1, 2, 7, 3]
    assert max(chunks) >= 2 * N_FOLDS


def test_infinite_patience(chunks):
    jobs = jobs_of([classifier(n_iter_no_change=np.inf, tol=10.0), classifier()])
    assert_same_as_separate_fits(jobs)


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
    assert_same_as_separate_fits(jobs)
    assert max(chunks) == len(jobs)


@pytest.mark.parametrize("batch_size", ["auto", 147])
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_fewer_rows_than_a_batch(chunks, batch_size):
    data = [(X[:n], y[:n]) for n in (147, 60, 61, 90)]
    assert_same_as_separate_fits(jobs_of([classifier(batch_size=batch_size)], data))
    assert max(chunks) == 4


@pytest.mark.parametrize("batch_size", mark_others_nightly([1, 7, 73, 74], 1, 73))
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_sizes_of_batches(batch_size):
    jobs = jobs_of([classifier(batch_size=batch_size, max_iter=2)])
    assert_same_as_separate_fits(jobs)


def test_rows_in_other_numbers_of_batches(chunks):
    """Folds of 64 and 65 rows, of which the second has one more batch."""
    data = folds(X[:97], y[:97], n_splits=3)
    assert sorted(len(part[0]) for part in data) == [64, 65, 65]
    assert_same_as_separate_fits(jobs_of([classifier(), classifier(alpha=1.0)], data))
    assert sorted(chunks)[-1] >= 2


def test_bootstrap_samples(chunks):
    models = [classifier(random_state=seed) for seed in range(2)]
    assert_same_as_separate_fits(jobs_of(models, resampled(5)))
    assert max(chunks) > 1


def test_without_shuffling(chunks):
    models = [classifier(shuffle=False, random_state=seed) for seed in range(3)]
    assert_same_as_separate_fits(jobs_of([*models, classifier()]))
    assert max(chunks) > 2


@pytest.mark.parametrize(
    "class_weight", mark_others_nightly([None, "balanced"], "balanced")
)
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
    assert_same_as_separate_fits(jobs)
    assert max(chunks) > 1


def test_weighted_and_unweighted(chunks):
    balanced = classifier(class_weight="balanced")
    odd = classifier(class_weight={0: 0.0, 1: 1.0, 2: 5.0})
    assert_same_as_separate_fits(jobs_of([classifier(), balanced, odd]))
    assert sum(chunks) == 3 * N_FOLDS


def test_same_data_with_other_targets(chunks):
    """As in OneVsRestClassifier, the fits share their rows."""
    data = [(X, y == label) for label in range(3)]
    assert_same_as_separate_fits(jobs_of([classifier()], data))
    assert chunks == [3]


def test_missing_numbers(chunks):
    gaps = X.copy()
    gaps[::7, 2] = np.nan
    assert_same_as_separate_fits(
        jobs_of([classifier(), classifier(alpha=1.0)], folds(gaps))
    )
    assert max(chunks) > 1


@pytest.mark.parametrize(
    "dtype", mark_others_nightly(["float32", "float64"], "float32")
)
def test_float_types(chunks, dtype):
    data = folds(X.astype(dtype))
    found = assert_same_as_separate_fits(
        jobs_of([classifier(), classifier(alpha=1)], data)
    )
    assert {model.coefs_[0].dtype.name for model in found} == {dtype}
    assert max(chunks) > 1


def test_two_float_types_in_one_call(chunks):
    jobs = [*jobs_of([classifier(dtype="float32")]), *jobs_of([classifier()])]
    expected, found = list(map(fit_once, jobs)), fit_in_backend(jobs)
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
    assert_same_as_separate_fits(jobs_of([classifier()], data))


def test_read_only_data():
    data = folds()
    for part, target in data:
        part.flags.writeable = target.flags.writeable = False
    assert_same_as_separate_fits(jobs_of([classifier()], data))


def test_data_are_not_modified():
    data = folds()
    copies = [(part.copy(), target.copy()) for part, target in data]
    fit_in_backend(jobs_of([classifier(), classifier(solver="sgd")], data))
    for part, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(part[0], copy[0])
        np.testing.assert_array_equal(part[1], copy[1])


# -- networks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation", mark_others_nightly(ACTIVATIONS, "logistic", "gelu", "maxout")
)
def test_activations(chunks, activation):
    models = [classifier(activation=activation, random_state=seed) for seed in (0, 1)]
    assert_same_as_separate_fits(jobs_of([*models, classifier(activation="relu")]))
    assert max(chunks) > 1


def test_numbers_of_maxout_pieces(chunks):
    """Six units of two pieces and four of three have weights of the same shape."""
    params = {"activation": "maxout"}
    models = [
        classifier(**params, hidden_layer_sizes=(6,), maxout_pieces=2),
        classifier(**params, hidden_layer_sizes=(4,), maxout_pieces=3),
        classifier(**params, hidden_layer_sizes=(4,), maxout_pieces=2),
    ]
    assert_same_as_separate_fits(jobs_of(models))
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
    assert_same_as_separate_fits(jobs)
    assert max(chunks) == len(jobs)


def test_widths_and_depths(chunks):
    sizes = [(), (4,), (6,), (4, 4), (6, 5), (3, 3, 3)]
    models = [classifier(hidden_layer_sizes=size) for size in sizes]
    assert_same_as_separate_fits(jobs_of(models))
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
    assert_same_as_separate_fits(jobs_of(models, resampled(2)))
    assert max(chunks) > 1


@pytest.mark.parametrize(
    "solver", mark_others_nightly(["sgd", "adam", "adamw"], "sgd", "adamw")
)
def test_clipped_gradients(chunks, solver):
    norms = (1e-3, 0.05, 0.5, 1e3, None)
    models = [classifier(solver=solver, max_grad_norm=norm) for norm in norms]
    assert_same_as_separate_fits(jobs_of(models))
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
    expected, found = list(map(fit_once, jobs)), fit_in_backend(jobs)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-9)
    assert sum(chunks) == N_FOLDS


def test_verbose_fits_train_apart_and_show_it(chunks, capsys):
    jobs = jobs_of([classifier(verbose=True)])
    assert_same_as_separate_fits(jobs)
    assert chunks == []
    assert capsys.readouterr().out.count("Iteration 3, loss") == 2 * len(jobs)


@pytest.mark.parametrize(
    "make", mark_others_nightly([sparse.csr_array, sparse.csc_matrix], sparse.csr_array)
)
def test_sparse_inputs(make):
    data = [(make(np.where(part > 0.5, part, 0)), target) for part, target in folds()]
    expected, found = (
        f(jobs_of([classifier()], data))
        for f in (lambda jobs: list(map(fit_once, jobs)), fit_in_backend)
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
    assert_same_as_separate_fits(jobs)


# -- losses and targets ----------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", mark_others_nightly(MULTICLASS_LOSSES, "log_loss", "hinge", "pairwise_auc")
)
def test_losses_of_classes(chunks, loss):
    models = [classifier(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models))
    assert bool(chunks) is (loss != "pairwise_auc")


@pytest.mark.parametrize(
    "loss", mark_others_nightly(BINARY_LOSSES, "log_loss", "expected_cost")
)
def test_losses_of_two_classes(chunks, loss):
    models = [classifier(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models, folds(y=y == 1)))
    assert bool(chunks) is (loss != "pairwise_auc")


@pytest.mark.parametrize(
    "loss",
    mark_others_nightly(REGRESSION_LOSSES, "squared_error", "poisson", "gaussian"),
)
def test_losses_of_numbers(chunks, loss):
    models = [regressor(loss=loss, random_state=seed) for seed in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models, folds(X_numbers, y_numbers)))
    assert max(chunks) > 1


def test_losses_with_settings_of_their_own(chunks):
    models = [
        *(regressor(loss="quantile", quantile=q) for q in (0.1, 0.5, 0.9)),
        *(regressor(loss="huber", huber_delta=d) for d in (0.1, 1.0)),
    ]
    assert_same_as_separate_fits(jobs_of(models, folds(X_numbers, y_numbers)))
    assert sum(chunks) == 5 * N_FOLDS
    assert max(chunks) <= N_FOLDS


def test_classification_losses_with_settings_of_their_own(chunks):
    costs = np.array([[0, 1, 2], [3, 0, 1], [1, 5, 0.0]])
    models = [
        *(classifier(loss="focal", focal_gamma=g) for g in (0.5, 2.0)),
        *(classifier(label_smoothing=s) for s in (0.0, 0.2)),
        *(classifier(loss="expected_cost", cost_matrix=c) for c in (None, costs)),
    ]
    assert_same_as_separate_fits(jobs_of(models))
    assert chunks == [N_FOLDS] * len(models)


def test_distributions_as_targets(chunks):
    shares = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    models = [classifier(loss="kl_divergence", alpha=a) for a in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models, folds(y=shares)))
    assert max(chunks) > 1


def test_several_labels(chunks):
    rows, labels = make_multilabel_classification(147, 6, n_classes=4, random_state=0)
    models = [classifier(alpha=a, early_stopping=True) for a in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models, folds(rows / 5, labels)))
    assert max(chunks) > 1


@pytest.mark.parametrize("loss", ["squared_error", "gaussian"])
def test_several_targets(chunks, loss):
    rows, targets = make_regression(147, 6, n_targets=3, random_state=0)
    models = [regressor(loss=loss, alpha=a, early_stopping="loss") for a in (0, 1)]
    assert_same_as_separate_fits(jobs_of(models, folds(rows, targets / 100)))
    assert max(chunks) > 1


def test_names_of_classes(chunks):
    names = np.array(["low", "mid", "top"])[y]
    assert_same_as_separate_fits(
        jobs_of([classifier(), classifier(alpha=1)], folds(y=names))
    )
    assert max(chunks) > 1


def test_different_numbers_of_classes(chunks):
    data = [(X, y), (X, y == 1), (X, np.zeros(len(X), int)), (X, y % 2)]
    assert_same_as_separate_fits(jobs_of([classifier()], data))
    assert sum(chunks) == 4
