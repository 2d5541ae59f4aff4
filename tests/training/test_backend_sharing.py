"""What equal jobs of the backend share: checks of X, and predictions of a fold."""

import gc
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback

# Private: patched to record what is shared.
import skdeep.estimators._validation as validation
import skdeep.training._scheduler as scheduler
from skdeep import LSTMClassifier, MLPRegressor
from skdeep.training._backend import PopulationBackend
from tests.training.backend_cases import (
    GRID,
    X,
    assert_close,
    grid,
    network,
    pipeline,
    searched,
    y,
)
from tests.training.populations import Job, fit_in_backend, fit_once, run_in_backend

pytestmark = [
    pytest.mark.usefixtures("no_side_effects"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

SCALED = StandardScaler().fit_transform(X)
PARTS = np.array_split(np.arange(len(X)), 3)


@pytest.fixture
def passes(monkeypatch):
    """For each batch of predictions: the number of them, and how many were computed."""
    found, real = [], scheduler.predict_together

    def recorded(predictions, n_threads):
        real(predictions, n_threads)
        n_computed = sum(each.raw is not None for each in predictions)
        found.append((len(predictions), n_computed))

    monkeypatch.setattr(scheduler, "predict_together", recorded)
    return found


@pytest.fixture
def checks(monkeypatch):
    """The shapes of the arrays whose values were checked."""
    found, real = [], validation._sum_is_finite

    def recorded(array):
        found.append(array.shape)
        return real(array)

    monkeypatch.setattr(validation, "_sum_is_finite", recorded)
    return found


def run(function, inputs, **options):
    """Call a function with each input, in jobs that count as scikit-learn's."""
    function.__module__ = "sklearn.model_selection._validation"
    return run_in_backend(
        lambda: Parallel()(delayed(function)(each) for each in inputs), **options
    )


# -- predictions -----------------------------------------------------------------------


def test_test_rows_of_a_fold_are_predicted_in_one_pass(passes, cores):
    found = run_in_backend(lambda: searched(grid(cv=3, refit=True)), cores=cores)
    # Two candidates on three folds; the fit of the winner is not part of the call.
    assert passes == [(6, 6)]
    assert_close(found, searched(grid(cv=3, refit=True)))


def test_probabilities_of_all_networks_are_their_own(passes):
    alphas = np.geomspace(1e-3, 1, 9)
    shapes = [(5,), (5,), (5, 4)]
    models = [network(alpha=a, hidden_layer_sizes=s) for a in alphas for s in shapes]
    models.append(network(hidden_layer_sizes=(7,)))  # matches no other

    def probabilities(model):
        return model.fit(SCALED[::2], y[::2]).predict_proba(SCALED[1::2])

    found = run(probabilities, models)
    assert passes == [(28, 27)]
    for one, model in zip(found, models, strict=True):
        expected = probabilities(network(**model.get_params()))
        assert one.flags.c_contiguous == expected.flags.c_contiguous
        np.testing.assert_allclose(one, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0),
        network(dropout=0.2),
        network(activation="maxout"),
        network(hidden_layer_sizes=()),
        network(class_weight="balanced", early_stopping=True),
    ],
    ids=str,
)
def test_predictions_of_other_networks(model, passes):
    def predict():
        return cross_val_predict(model, SCALED, y, cv=[*_splits(), *_splits()][:3])

    found = run_in_backend(predict)
    assert [n for n, _ in passes] == [3]
    np.testing.assert_allclose(found, predict(), rtol=1e-8, atol=1e-10)


def _splits():
    return [(np.setdiff1d(np.arange(len(X)), test), test) for test in PARTS]


def test_only_the_first_prediction_waits(passes):
    def predict_often(model):
        model.fit(SCALED, y)
        rows = np.split(SCALED, 10)
        return np.concatenate([model.predict_proba(part) for part in rows])

    models = [network(alpha=a) for a in (0.01, 0.1)]
    found = run(predict_often, models)
    assert passes == [(2, 2)]
    for one, model in zip(found, models, strict=True):
        np.testing.assert_allclose(
            one, fit_once(Job(model, SCALED, y)).predict_proba(SCALED)
        )


def test_jobs_of_users_share_nothing(passes, checks):
    """They may hold a lock, or write into the rows, between fit and predict."""
    lock = threading.Lock()

    def clear(module, inputs):
        inputs[0].mul_(0)

    def job(number):
        model = network(alpha=0.1 * (number + 1)).fit(X, y)
        with lock:
            if number == 1:
                model.module_.layers[0].register_forward_pre_hook(clear)
            return model.predict_proba(X.copy())

    started = time.monotonic()
    found = run_in_backend(lambda: Parallel()(delayed(job)(i) for i in range(6)))
    assert time.monotonic() - started < 3
    assert passes == []
    assert len(checks) == 12
    for number, one in enumerate(found):
        expected = job(number)
        np.testing.assert_allclose(one, expected, rtol=1e-8, atol=1e-12)


def test_networks_of_earlier_fits_do_not_wait(passes):
    model = network().fit(SCALED, y)
    found = run(lambda part: model.predict(SCALED[part]), PARTS)
    assert passes == []
    np.testing.assert_array_equal(np.concatenate(found), model.predict(SCALED))


def test_hooks_of_a_job_are_called(passes):
    def predict(model):
        model.fit(SCALED, y)
        model.module_.register_forward_hook(lambda module, x, raw: 0 * raw)
        return model.predict_proba(SCALED)

    for each in run(predict, [network(), network()]):
        np.testing.assert_allclose(each, 1 / 3)
    assert passes == []


def test_more_test_rows_than_training_rows_do_not_wait(passes):
    splits = [(part, np.setdiff1d(np.arange(len(X)), part)) for part in PARTS]

    def validate():
        return cross_validate(network(), SCALED, y, cv=splits)

    assert_close(run_in_backend(validate), validate())
    assert passes == []


def test_networks_that_differ_only_in_their_activation(passes):
    models = [network(activation=name) for name in ("relu", "tanh", "relu", "tanh")]

    def predict(model):
        return model.fit(SCALED, y).predict_proba(SCALED)

    found = run(predict, models)
    assert passes == [(4, 4)]
    for one, model in zip(found, models, strict=True):
        np.testing.assert_allclose(one, predict(model), rtol=1e-8)


@pytest.mark.parametrize("change", ["precision", "type of a layer"])
def test_networks_that_a_job_has_changed(change, passes):
    def outcome(model):
        model.fit(SCALED, y)
        if change == "precision":
            model.set_params(precision="bf16")
        else:
            model.module_.layers[0].half()
        try:
            return model.predict_proba(SCALED)
        except ValueError as error:
            return str(error)

    found, expected = run(outcome, [network(), network()]), outcome(network())
    assert passes == []
    if isinstance(expected, str):
        assert found == [expected] * 2
    else:
        np.testing.assert_allclose(found, [expected] * 2, rtol=1e-12)


def test_a_prediction_does_not_keep_those_of_others():
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=2, random_state=0)

    def predict(model):
        return model.fit(SCALED, y).predict(SCALED)

    for one in run(predict, [model, clone(model), clone(model)]):
        memory = one
        while isinstance(memory, np.ndarray) and memory.base is not None:
            memory = memory.base
        is_tensor = isinstance(memory, torch.Tensor)
        n_bytes = memory.untyped_storage().nbytes() if is_tensor else memory.nbytes
        assert n_bytes == one.nbytes


def test_changed_weights_are_those_that_predict(passes):
    def predict(model):
        model.fit(SCALED, y)
        model.intercepts_ = [0 * b for b in model.intercepts_]
        model.coefs_ = [0 * w for w in model.coefs_]
        return model.predict_proba(SCALED)

    for each in run(predict, [network(), network()]):
        np.testing.assert_allclose(each, 1 / 3)
    assert passes == [(2, 2)]


def test_jobs_that_fit_again_or_never_predict(passes, populations, cores):
    def job(number):
        model = network(alpha=0.1 * (number + 1)).fit(SCALED, y)
        if number == 0:
            return model.coefs_[0]
        if number == 1:
            model.fit(SCALED[::-1], y[::-1])
        if number == 2:
            raise ValueError("before the prediction")
        found = model.predict_proba(SCALED)
        if number == 3:
            return model.fit(SCALED[::-1], y[::-1]).predict_proba(SCALED)
        return found

    def outcome(number):
        try:
            return job(number)
        except ValueError as error:
            return str(error)

    found = run(outcome, range(6), cores=cores)
    # Predictions come before fits, so that fits of their jobs join those that wait.
    assert populations == [6, 2]
    assert passes == [(3, 3), (2, 2)]
    for number in (0, 1, 3, 4, 5):
        np.testing.assert_allclose(found[number], job(number), rtol=1e-7, atol=1e-10)
    assert found[2] == "before the prediction"


@pytest.mark.parametrize("options", [{"n_jobs": 2}, {"memory_budget": 1}], ids=str)
def test_few_active_jobs(options, passes, cores):
    alphas = [0.01, 0.1, 0.3, 1.0]
    search = GridSearchCV(pipeline(), {"mlpclassifier__alpha": alphas}, cv=2)
    found = run_in_backend(lambda: searched(search), cores=cores, **options)
    assert sum(n for n, _ in passes) == 8
    assert_close(found, searched(search))


def test_other_kinds_of_estimators_do_not_hinder_predictions(passes):
    recurrent = LSTMClassifier(3, max_iter=1, random_state=0)

    def predict(model):
        return model.fit(X, y).predict(X)

    models = [network(alpha=0.1), recurrent, network(), network(solver="lbfgs")]
    with parallel_config("threading"):
        expected = [predict(model) for model in models]
    found = run(predict, models, cores=2)
    np.testing.assert_array_equal(found, expected)
    assert passes == [(2, 2)]


def test_error_of_one_prediction_is_its_own(passes):
    rows = [SCALED, np.full_like(SCALED, 1e308)]

    def predict(number):
        model = network(alpha=0.1).fit(SCALED, y)
        try:
            return model.predict_proba(rows[number])
        except ValueError as error:
            return str(error)

    found = run(predict, [0, 0, 1, 1])
    assert passes == [(4, 4)]
    np.testing.assert_allclose(found[:2], [predict(0)] * 2, rtol=1e-8)
    assert found[2:] == [predict(1)] * 2
    assert "The network returns non-finite numbers for these rows" in found[2]


def test_error_of_a_pass_leaves_the_predictions_to_their_jobs(monkeypatch):
    def fail(predictions, n_threads):
        raise MemoryError

    monkeypatch.setattr(scheduler, "predict_together", fail)
    found = run_in_backend(lambda: searched(grid()))
    assert_close(found, searched(grid()))


# -- checks ----------------------------------------------------------------------------


def test_equal_rows_are_checked_once(checks):
    run_in_backend(lambda: grid(cv=3, refit=False).fit(X, y))
    # The training and the test rows of each fold, for all candidates.
    assert sorted(checks) == [(50, 4)] * 3 + [(100, 4)] * 3


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: (10 * X).astype(int),
        lambda X: pd.DataFrame(X, columns=list("abcd")),
        lambda X: pd.DataFrame(X, columns=list("abcd")).assign(b=1, c=np.float32(2)),
    ],
    ids=["integers", "data frame", "data frame of several types"],
)
def test_equal_numbers_of_other_kinds_are_checked_once(convert, checks):
    table = convert(X)

    def validate():
        return cross_validate(network(), table, y, cv=[*_splits()] * 2)

    found = run_in_backend(validate)
    # The training and the test rows of three folds, each of them twice.
    assert sorted(checks) == [(50, 4)] * 3 + [(100, 4)] * 3
    assert_close(found, validate())


def test_rows_are_checked_in_each_fit_outside_of_jobs(checks):
    for _ in range(2):
        network().fit(X, y)
    assert checks == [X.shape] * 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("position", [(0, 0), (70, 2), (149, 3)])
def test_one_wrong_value_is_found(value, position):
    wrong = X.copy()
    wrong[position] = value
    data = [X, wrong, X, wrong]

    def outcome(X):
        try:
            return network().fit(X, y).predict_proba(X)
        except ValueError as error:
            return str(error)

    found = run(outcome, data)
    for one, each in zip(found, data, strict=True):
        expected = outcome(each)
        if each is wrong and value == np.inf:
            assert one == expected
        else:
            np.testing.assert_allclose(one, expected, rtol=1e-8)


def test_other_layouts_and_types_are_kept_apart():
    arrays = [
        X,
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X.astype(np.float32),
        X[::-1],
    ]
    models = [network().fit(each, y) for each in arrays]
    found = fit_in_backend([Job(network(), each, y) for each in arrays * 2])
    for one, expected, each in zip(found, models * 2, arrays * 2, strict=True):
        p = one.predict_proba(each)
        assert p.dtype == each.dtype
        np.testing.assert_allclose(p, expected.predict_proba(each), rtol=1e-4)


class Pause(Callback):
    """Pauses the training at its beginning until another job has done something."""

    def __init__(self):
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def on_train_begin(self, net, **data):
        self.has_begun.set()
        assert self.may_go_on.wait(30)


def test_rows_may_be_changed_after_a_fit():
    """A job may overwrite its rows while another one still trains on equal ones."""
    has_fitted, pause = threading.Event(), Pause()

    def job(number):
        rows = X.copy()
        if number == 1:
            assert has_fitted.wait(30)
            return network(callbacks=[pause]).fit(rows, y).predict_proba(X)
        network(solver="lbfgs").fit(rows, y)
        has_fitted.set()
        assert pause.has_begun.wait(30)
        rows[:] = 0
        pause.may_go_on.set()
        return None

    _, found = run(job, range(2), cores=2)
    np.testing.assert_allclose(found, network().fit(X, y).predict_proba(X), rtol=1e-8)


def test_rows_that_a_pipeline_scales_in_place():
    model = make_pipeline(StandardScaler(copy=False), network())

    def validate():
        search = GridSearchCV(model, GRID, cv=2, return_train_score=True, refit=False)
        return search.fit(X, y).cv_results_

    assert_close(run_in_backend(validate), validate())


def test_different_rows_are_rarely_compared(monkeypatch):
    """Rows of mostly zeros differ in few values."""
    compared, real = [], np.array_equal

    def recorded(one, other):
        compared.append(one.shape)
        return real(one, other)

    monkeypatch.setattr("skdeep.training._shared_arrays.np.array_equal", recorded)
    codes = np.random.default_rng(0).integers(50, size=(len(X), 2))
    table = OneHotEncoder(sparse_output=False).fit_transform(codes)
    splits = ShuffleSplit(40, train_size=0.8, random_state=0)
    run_in_backend(lambda: cross_validate(network(max_iter=1), table, y, cv=splits))
    assert len(compared) < 20


def test_no_rows_are_kept(monkeypatch, checks):
    backends, real = [], PopulationBackend.__init__

    def recorded(self, *args, **options):
        real(self, *args, **options)
        backends.append(self)

    monkeypatch.setattr(PopulationBackend, "__init__", recorded)
    run_in_backend(lambda: grid(cv=3, refit=False).fit(X, y))
    gc.collect()
    assert len(checks) == 6  # the jobs have shared their rows
    assert backends
    assert not any(len(each.scheduler.arrays._copies) for each in backends)
