"""The same parameters and random_state give scikit-learn's own network, in float64."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)

import skdeep

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

# 97 rows leave a short last batch. Classes that overlap and small inputs: long first
# steps of lbfgs may otherwise saturate scores, and scikit-learn clips the log loss.
HARD = {"n_samples": 97, "n_features": 7, "flip_y": 0.4, "class_sep": 0.3}
BINARY = make_classification(**HARD, random_state=0)
MULTICLASS = make_classification(**HARD, n_informative=5, n_classes=4, random_state=1)
MULTILABEL = make_multilabel_classification(
    n_samples=97, n_features=7, n_classes=3, random_state=2
)
ONE_TARGET = make_regression(n_samples=97, n_features=7, noise=3.0, random_state=3)
TWO_TARGETS = make_regression(n_samples=97, n_features=7, n_targets=2, random_state=4)
DATA = {
    "binary": ("MLPClassifier", BINARY[0] / 5, BINARY[1]),
    "multiclass": ("MLPClassifier", MULTICLASS[0] / 5, MULTICLASS[1]),
    "multilabel": ("MLPClassifier", MULTILABEL[0] / 40, MULTILABEL[1]),
    "one target": ("MLPRegressor", ONE_TARGET[0], ONE_TARGET[1] / 100),
    "two targets": ("MLPRegressor", TWO_TARGETS[0], TWO_TARGETS[1] / 100),
}


@pytest.fixture(params=DATA)
def task(request):
    """The name of the class, X and y."""
    return DATA[request.param]


def pair(name, **params):
    """Return our estimator and scikit-learn's with the same parameters."""
    params = {
        "hidden_layer_sizes": (6, 5),
        "random_state": 7,
        "max_iter": 8,
        "batch_size": 20,
        **params,
    }
    ours, theirs = getattr(skdeep, name), getattr(neural_network, name)
    return ours(**params), theirs(**params)


def output(estimator, X):
    """Return probabilities of a classifier, predictions of a regressor."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def skip_if_sklearn_is_inconsistent(y, solver):
    """Skip lbfgs on several targets.

    There scikit-learn combines the mean of the losses over targets with the gradient of
    their sum, so its line search gets a wrong derivative.
    """
    if y.ndim == 2 and y.dtype.kind == "f" and solver == "lbfgs":
        pytest.skip("scikit-learn's loss and gradient differ by a factor")


def assert_same(ours, theirs, X, rtol=1e-7):
    """Compare all fitted attributes of scikit-learn's estimator."""
    for mine, its in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, its, rtol=rtol, atol=1e-10)
    for mine, its in zip(ours.intercepts_, theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, its, rtol=rtol, atol=1e-10)
    np.testing.assert_allclose(output(ours, X), output(theirs, X), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X).shape, theirs.predict(X).shape)
    # Ours counts one iteration if lbfgs starts at the minimum.
    assert ours.n_iter_ == max(1, theirs.n_iter_)
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    # For several targets ours is the sum of the losses, theirs the mean.
    n_targets = 1 if np.ndim(theirs.predict(X)) == 1 else theirs.n_outputs_
    if "Regressor" not in type(ours).__name__:
        n_targets = 1
    if n_targets == 1:
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    if theirs.solver == "lbfgs":
        return
    assert ours.t_ == theirs.t_
    if n_targets == 1:
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_solvers(task, solver):
    name, X, y = task
    skip_if_sklearn_is_inconsistent(y, solver)
    ours, theirs = pair(name, solver=solver)
    assert_same(ours.fit(X, y), theirs.fit(X, y), X, rtol=1e-5)


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterovs_momentum", [True, False])
def test_sgd(learning_rate, momentum, nesterovs_momentum):
    name, X, y = DATA["multiclass"]
    ours, theirs = pair(
        name,
        solver="sgd",
        learning_rate=learning_rate,
        learning_rate_init=0.05,
        momentum=momentum,
        nesterovs_momentum=nesterovs_momentum,
        max_iter=30,
        tol=1e-2,
        n_iter_no_change=2,
        power_t=0.4,
    )
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["multiclass", "two targets"])
def test_activations(kind, activation):
    name, X, y = DATA[kind]
    ours, theirs = pair(name, activation=activation, alpha=0.5)
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "multilabel", "one target"])
def test_sample_weight(kind, solver):
    name, X, y = DATA[kind]
    weight = np.random.default_rng(0).uniform(0.1, 5, len(X))
    ours, theirs = pair(name, solver=solver, alpha=0.1)
    ours.fit(X, y, sample_weight=weight)
    theirs.fit(X, y, sample_weight=weight)
    assert_same(ours, theirs, X, rtol=1e-5)


@pytest.mark.parametrize("batch_size", ["auto", 1, 50, 97])
def test_batch_size(batch_size):
    name, X, y = DATA["binary"]
    ours, theirs = pair(name, batch_size=batch_size, max_iter=3)
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)


def test_without_shuffling(task):
    name, X, y = task
    ours, theirs = pair(name, shuffle=False)
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array]
)
def test_sparse(form, solver):
    name, X, y = DATA["multiclass"]
    X = np.where(np.abs(X) < 0.1, 0, X)
    ours, theirs = pair(name, solver=solver)
    assert_same(ours.fit(form(X), y), theirs.fit(form(X), y), form(X), rtol=1e-5)
    np.testing.assert_allclose(output(ours, form(X)), output(ours, X))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warm_start(task, solver):
    name, X, y = task
    skip_if_sklearn_is_inconsistent(y, solver)
    ours, theirs = pair(name, solver=solver, warm_start=True, max_iter=3)
    for _ in range(3):
        ours.fit(X, y)
        theirs.fit(X, y)
    assert_same(ours, theirs, X, rtol=1e-4)


def test_warm_start_with_fewer_classes():
    _, X, y = DATA["multiclass"]
    for estimator in pair("MLPClassifier", warm_start=True, max_iter=2):
        estimator.fit(X, y)
        with pytest.raises(ValueError, match="the same classes as in the previous"):
            estimator.fit(X[y > 0], y[y > 0])


def test_setting_coefficients():
    _, X, y = DATA["multiclass"]
    ours, theirs = (each.fit(X, y) for each in pair("MLPClassifier"))
    theirs.fit(X, np.roll(y, 10))
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit(task, solver):
    name, X, y = task
    ours, theirs = pair(name, solver=solver)
    labels = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
    known = {"classes": labels} if name == "MLPClassifier" else {}
    for start in (0, 30, 60):
        rows = slice(start, start + 37)
        ours.partial_fit(X[rows], y[rows], **known)
        theirs.partial_fit(X[rows], y[rows], **known)
    assert_same(ours, theirs, X)


def test_fit_then_partial_fit(task):
    name, X, y = task
    ours, theirs = pair(name)
    for estimator in (ours, theirs):
        estimator.fit(X, y).partial_fit(X[:40], y[:40]).partial_fit(X[40:], y[40:])
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_stops_in_the_same_epoch(solver):
    name, X, y = DATA["one target"]
    ours, theirs = pair(
        name,
        solver=solver,
        max_iter=300,
        n_iter_no_change=3,
        tol=1e-3,
        learning_rate_init=0.02,
    )
    assert_same(ours.fit(X, y), theirs.fit(X, y), X, rtol=1e-5)
    assert ours.n_iter_ < 300


@pytest.mark.parametrize("labels", [["no", "yes"], [-1, 1], [3.0, 7.0], [False, True]])
def test_labels(labels):
    name, X, y = DATA["binary"]
    ours, theirs = pair(name)
    y = np.array(labels)[y]
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.classes_.dtype == theirs.classes_.dtype


def test_one_class():
    _, X, _ = DATA["binary"]
    y = np.full(len(X), "only")
    ours, theirs = pair("MLPClassifier")
    np.testing.assert_array_equal(
        ours.fit(X, y).predict(X), theirs.fit(X, y).predict(X)
    )
    np.testing.assert_array_equal(ours.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regression_losses(loss):
    _, X, y = DATA["one target"]
    ours, theirs = pair("MLPRegressor", loss=loss)
    y = np.abs(y)
    ours.fit(X, y)
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-7)


def test_random_state_instance_ends_in_the_same_state():
    name, X, y = DATA["binary"]
    ours, theirs = pair(name)
    one, other = np.random.RandomState(3), np.random.RandomState(3)
    ours.set_params(random_state=one).fit(X, y)
    theirs.set_params(random_state=other).fit(X, y)
    assert_same(ours, theirs, X)
    assert one.uniform() == other.uniform()
