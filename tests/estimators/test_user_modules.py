"""User-defined modules: the trained module is the one that predicts."""

import copy
import pickle
import warnings

import cloudpickle
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Freezer, Unfreezer
from torch import nn
from torch.nn import functional as F

import skdeep
from skdeep import (
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    LSTMForecaster,
    MLPClassifier,
    ModuleClassifier,
    ModuleRegressor,
    OptunaSearchCV,
    SequenceVectorizer,
    SlidingWindow,
    TrendFeatures,
)
from tests.estimators.module_data import FEW, X, y
from tests.round_trips import through_joblib

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

X_numbers, y_numbers = make_regression(80, 6, random_state=0)
y_numbers = y_numbers / y_numbers.std()


class Permuted(nn.Module):
    """Draws its structure at random; the state_dict does not contain it."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.order = torch.randperm(n_features)
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.linear(x[:, self.order])


class RandomDepth(nn.Module):
    """Draws its structure from numpy's generator, too."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        depth = np.random.randint(1, 5)  # noqa: NPY002
        hidden = [nn.Linear(n_features, n_features) for _ in range(depth)]
        self.layers = nn.Sequential(*hidden, nn.Linear(n_features, n_outputs))

    def forward(self, x):
        return self.layers(x)


class Transformed(nn.Module):
    """Has a non-persistent buffer."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        i = torch.arange(n_features, dtype=torch.float32)
        matrix = torch.cos(torch.pi / n_features * (i[:, None] + 0.5) * i)
        self.register_buffer("matrix", matrix, persistent=False)
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.linear(x @ self.matrix)


class Annealed(nn.Linear):
    """Changes plain attributes during training."""

    scale = 1.0

    def forward(self, x):
        if self.training:
            self.scale = self.scale + 0.02
            self.history = getattr(self, "history", [])
            self.history.append(self.scale)  # in place
            self.kept = x.mean() * self.weight.sum()  # part of a graph
        return self.scale * super().forward(x)


class WithExtraState(nn.Linear):
    version = 1

    def get_extra_state(self):
        return {"version": self.version}

    def set_extra_state(self, state):
        self.version = state["version"]


class Tied(nn.Module):
    """Shares a weight, and holds a function that pickle cannot store by name."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.encoder = nn.Linear(n_features, 4, bias=False)
        self.again = nn.Linear(n_features, 4, bias=False)
        self.again.weight = self.encoder.weight
        self.activation = lambda x: F.relu(x)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, n_outputs)

    def forward(self, x):
        return self.head(self.norm(self.activation(self.encoder(x) + self.again(x))))


class Recurrent(nn.Module):
    """Holds a recurrent layer of torch and a half-precision buffer."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.lstm = nn.LSTM(1, 4, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, n_outputs)
        self.factor = torch.tensor([0.5, 2.0], dtype=torch.bfloat16)

    def forward(self, x):
        states, _ = self.lstm(x.unsqueeze(-1))
        return self.head(states[:, -1]) * self.factor[1].to(x.dtype)


def local_class(n_features, n_outputs):
    """Make an instance of a class that cannot be imported."""

    class Local(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    return Local(n_features, n_outputs)


MODULES = {
    "draws its structure": Permuted,
    "draws its depth": RandomDepth,
    "buffer that is not persistent": Transformed,
    "plain attributes": Annealed,
    "extra state": WithExtraState,
    "tied weights and a lambda": Tied,
    "recurrent": Recurrent,
    "local class": local_class,
}


def through_skops(model):
    data = skops.io.dumps(model)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "joblib": through_joblib,
    "skops": through_skops,
    "deepcopy": copy.deepcopy,
}

# skops stores names, not code.
NOT_BY_NAME = {"tied weights and a lambda", "local class"}


@pytest.mark.parametrize("name", MODULES)
def test_score_after_fit_equals_the_last_validation_score(name):
    model = ModuleRegressor(MODULES[name], **FEW)
    model.fit(X_numbers, y_numbers, X_val=X_numbers[:79], y_val=y_numbers[:79])
    found = model.score(X_numbers[:79], y_numbers[:79])
    assert found == pytest.approx(model.validation_scores_[-1], rel=1e-9)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODULES)
def test_predictions_after_saving_and_loading(name, way):
    if way == "skops" and name in NOT_BY_NAME:
        pytest.skip("skops stores names, not code")
    model = ModuleRegressor(MODULES[name], **FEW).fit(X_numbers, y_numbers)
    expected = model.predict(X_numbers)
    loaded = WAYS[way](model)
    np.testing.assert_array_equal(loaded.predict(X_numbers), expected)
    np.testing.assert_array_equal(WAYS[way](loaded).predict(X_numbers), expected)
    np.testing.assert_array_equal(model.predict(X_numbers), expected)
    if hasattr(loaded.module_, "again"):
        assert loaded.module_.again.weight is loaded.module_.encoder.weight


@pytest.mark.parametrize("name", ["plain attributes", "draws its structure"])
def test_partial_fit_continues_after_loading(name):
    model = ModuleRegressor(MODULES[name], **FEW).partial_fit(X_numbers, y_numbers)
    loaded = pickle.loads(pickle.dumps(model))
    for each in (model, loaded):
        each.partial_fit(X_numbers, y_numbers)
    np.testing.assert_array_equal(loaded.predict(X_numbers), model.predict(X_numbers))


def test_early_stopping_restores_attributes_too():
    model = ModuleRegressor(
        Annealed, early_stopping="loss", n_iter_no_change=3, **{**FEW, "max_iter": 300}
    ).fit(X_numbers, y_numbers, X_val=X_numbers[:79], y_val=y_numbers[:79])
    best = min(model.history_, key=lambda record: record["valid_loss"])
    assert best["epoch"] < len(model.history_)
    found = model.score(X_numbers[:79], y_numbers[:79])
    assert found == pytest.approx(best["valid_score"], rel=1e-9)
    assert model.module_.history[-1] == model.module_.scale


def test_lbfgs_fits_a_permuted_linear_module():
    target = 2 * X_numbers[:, 0] + X_numbers[:, 1]
    model = ModuleRegressor(Permuted, solver="lbfgs", random_state=3)
    assert model.fit(X_numbers, target).score(X_numbers, target) > 0.999


# -- instances, and functions that return one ------------------------------------------


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))


@pytest.mark.parametrize("wrapped", [False, True], ids=["instance", "function"])
def test_folds_do_not_share_a_module(wrapped):
    net = network()
    before = copy.deepcopy(net.state_dict())
    module = (lambda n, k: net) if wrapped else net
    noise = np.random.RandomState(0).randint(0, 2, 80)
    model = ModuleClassifier(
        module, max_iter=60, learning_rate_init=0.01, tol=0, random_state=0
    )
    assert cross_val_score(model, X, noise).mean() < 0.68
    first = model.fit(X, y)
    expected = first.predict_proba(X)
    clone(model).fit(X, 1 - y)
    np.testing.assert_array_equal(first.predict_proba(X), expected)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_module_instance_keeps_its_initial_weights():
    net = network()
    model = ModuleClassifier(net, max_iter=1, learning_rate_init=1e-12, random_state=5)
    rows = torch.tensor(X, dtype=torch.float32)
    expected = torch.softmax(net(rows), 1).detach().numpy()
    np.testing.assert_allclose(model.fit(X, y).predict_proba(X), expected, atol=1e-6)
    assert model.get_params()["module"] is net


class Wide(nn.Module):
    def __init__(self, n_features, n_outputs, width=4, activation=nn.ReLU):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, width), activation(), nn.Linear(width, n_outputs)
        )

    def forward(self, x):
        return self.layers(x)


def test_arguments_of_a_module_and_of_an_optimizer_in_a_grid():
    model = ModuleClassifier(Wide, solver=torch.optim.AdamW, **FEW)
    grid = {"module__width": [3, 7], "solver__weight_decay": [0.0, 0.5]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_params_
    assert (
        search.best_estimator_.module_.layers[0].out_features == best["module__width"]
    )
    assert search.best_estimator_.solver_params == {
        "weight_decay": best["solver__weight_decay"]
    }
    assert model.module_params is model.solver_params is None


class HeadOnBody(nn.Module):
    def __init__(self, n_features, n_outputs, body):
        super().__init__()
        body = body[0] if isinstance(body, list) else body
        self.body, self.head = body, nn.Linear(2, n_outputs)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


@pytest.mark.parametrize("put", [lambda body: body, lambda body: [body]])
def test_module_passed_as_an_argument_is_copied(put):
    first = ModuleClassifier(nn.Linear, **FEW).fit(X, y)
    expected = first.predict_proba(X)
    model = ModuleClassifier(
        HeadOnBody, module_params={"body": put(first.module_)}, **FEW
    )
    one, two = (model.fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first.predict_proba(X), expected)


def test_nested_parameters():
    model = ModuleClassifier(Wide, module_params={"width": 5})
    assert model.get_params()["module__width"] == 5
    assert "module__width" not in model.get_params(deep=False)
    given = model.module_params
    model.set_params(module__activation=nn.Tanh, alpha=0.5)
    assert model.module_params == {"width": 5, "activation": nn.Tanh}
    assert given == {"width": 5}
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert isinstance(copied.fit(X, y).module_.layers[1], nn.Tanh)
    with pytest.raises(TypeError, match="height"):
        model.set_params(module__height=3).fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter 'modul'"):
        model.set_params(modul__width=3)


# -- frozen weights --------------------------------------------------------------------


class Body(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body, self.head = nn.Linear(n_features, 8), nn.Linear(8, n_outputs)
        nn.init.ones_(self.body.weight)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


class Frozen(Body):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.body.requires_grad_(False)


class Detached(Body):
    def forward(self, x):
        return self.head(torch.relu(self.body(x)).detach())


def changed_weights(module, **parameters):
    model = ModuleRegressor(module, **{**FEW, **parameters}).fit(X_numbers, y_numbers)
    return float((model.module_.body.weight.detach() - 1).abs().max())


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "lbfgs"])
def test_weights_without_gradient_do_not_change(solver):
    assert changed_weights(Frozen, solver=solver, alpha=0.1) == 0
    assert changed_weights(Detached, solver=solver, alpha=0.1) == 0


def test_freezer_and_unfreezer_of_skorch():
    assert changed_weights(Body, callbacks=[Freezer("body.*")]) == 0
    assert changed_weights(Frozen, callbacks=[Unfreezer("body.*", at=3)]) > 0


# -- losses ----------------------------------------------------------------------------


class Scaled(nn.Module):
    """A loss with a trainable parameter."""

    def __init__(self):
        super().__init__()
        self.t = nn.Parameter(torch.tensor(1.0))

    def forward(self, raw, target):
        return F.cross_entropy(raw * self.t, target, reduction="none")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weight_of_a_loss_is_cast_to_the_precision(solver):
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
    model = ModuleClassifier(nn.Linear, loss=loss, solver=solver, **FEW).fit(X, y)
    plain = ModuleClassifier(nn.Linear, solver=solver, **FEW).fit(X, y)
    assert model.predict(X).mean() >= plain.predict(X).mean()
    assert loss.weight.dtype == torch.float32


def test_parameters_of_a_loss_are_trained():
    own = Scaled()
    model = ModuleClassifier(nn.Linear, loss=own, **FEW).fit(X, y)
    assert own.t.item() == 1
    assert model.criterion_.t.item() != 1
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.criterion_.t.item() == model.criterion_.t.item()
    model.partial_fit(X, y)


def test_a_class_as_loss_raises():
    for loss in (nn.CrossEntropyLoss, Scaled):
        message = rf"got the class {loss.__name__}; pass loss={loss.__name__}\(\)"
        with pytest.raises(TypeError, match=message):
            ModuleClassifier(nn.Linear, loss=loss).fit(X, y)


# -- outputs ---------------------------------------------------------------------------


def one_logit(n_features, n_outputs):
    return nn.Linear(n_features, 1)


def flat_logit(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 1), nn.Flatten(0))


@pytest.mark.parametrize("module", [one_logit, flat_logit])
def test_one_logit_for_two_classes(module):
    labels = np.array(["no", "yes"])[y]
    model = ModuleClassifier(module, **FEW).fit(X, labels)
    rows = torch.tensor(X, dtype=torch.float64)
    with torch.no_grad():
        logit = model.module_(rows).flatten()
    expected = torch.sigmoid(logit).numpy()
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, rtol=1e-9)
    assert set(model.predict(X)) <= {"no", "yes"}
    np.testing.assert_array_equal(model.predict(X) == "yes", logit.numpy() > 0)
    # The losses of torch for one logit give the same network.
    other = ModuleClassifier(module, loss=nn.BCEWithLogitsLoss(), **FEW).fit(X, labels)
    np.testing.assert_allclose(
        other.predict_proba(X), model.predict_proba(X), rtol=1e-6
    )


def test_flat_outputs_of_a_regressor():
    flat = ModuleRegressor(flat_logit, **FEW).fit(X_numbers, y_numbers)
    column = ModuleRegressor(one_logit, **FEW).fit(X_numbers, y_numbers)
    np.testing.assert_array_equal(flat.predict(X_numbers), column.predict(X_numbers))
    own = ModuleRegressor(flat_logit, loss=nn.MSELoss(), **FEW)
    own.fit(X_numbers, y_numbers)
    assert own.predict(X_numbers).shape == (80,)
    assert own.score(X_numbers, y_numbers) == pytest.approx(
        flat.score(X_numbers, y_numbers), abs=0.1
    )


class Pair(nn.Module):
    """Returns scores and a reconstruction."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.code = nn.Linear(n_features, 3)
        self.back, self.head = nn.Linear(3, n_features), nn.Linear(3, n_outputs)

    def forward(self, x):
        code = torch.tanh(self.code(x))
        return self.head(code), self.back(code), x


def both(outputs, target):
    scores, back, x = outputs
    reconstruction = (back - x).square().mean(1)
    return F.cross_entropy(scores, target, reduction="none") + reconstruction


def test_several_outputs_and_a_loss_that_takes_them():
    model = ModuleClassifier(Pair, loss=both, **{**FEW, "max_iter": 150})
    model.fit(X, y, sample_weight=np.ones(80), X_val=X[:30], y_val=y[:30])
    assert model.score(X, y) > 0.75
    assert model.validation_scores_[-1] == pytest.approx(model.score(X[:30], y[:30]))
    with torch.no_grad():
        scores, back, x = model.module_(torch.tensor(X))
    assert float((back - x).square().mean()) < 0.9 * float(x.square().mean())
    np.testing.assert_allclose(
        model.predict_proba(X), torch.softmax(scores, 1).numpy(), rtol=1e-9
    )


def denoise(n_features, n_outputs):
    return nn.Conv2d(1, 1, 3, padding=1)


def test_targets_of_any_shape_for_a_callable_loss():
    images = load_digits().images[:60, None] / 16
    model = ModuleRegressor(
        denoise, loss=nn.MSELoss(), solver="lbfgs", alpha=0, random_state=0
    ).fit(images, 2 * images)
    assert model.predict(images).shape == images.shape
    np.testing.assert_allclose(model.predict(images), 2 * images, atol=0.02)
    assert model.score(images, 2 * images) > 0.99


def test_classes_of_pixels():
    images = load_digits().images[:60, None] / 16
    labels = np.where(images[:, 0] > 0.5, "ink", "paper")

    def scores(n_features, n_outputs):
        return nn.Conv2d(1, n_outputs, 1)

    model = ModuleClassifier(
        scores, loss=nn.CrossEntropyLoss(), solver="lbfgs", alpha=0, random_state=0
    ).fit(images, labels)
    assert model.predict(images).shape == labels.shape
    assert (model.predict(images) == labels).mean() > 0.99
    assert model.predict_proba(images).shape == (60, 2, 8, 8)


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_softmax_before_a_log_loss_warns(last):
    def module(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, n_outputs), last)

    with pytest.warns(UserWarning, match="ends in .*Softmax.*Remove the last layer"):
        ModuleClassifier(module, **FEW).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        ModuleClassifier(module, loss=nn.NLLLoss(), **FEW).fit(X, y)


# -- pickles of other releases ---------------------------------------------------------


def test_a_pickle_of_another_release_warns_and_loads(monkeypatch):
    model = MLPClassifier((4,), **FEW).fit(X, y)
    expected = model.predict_proba(X)
    monkeypatch.setattr("skdeep._versions.__version__", "0.9.9")
    data = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match=r"saved with skdeep 0.9.9 and is loaded with"):
        loaded = pickle.loads(data)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    # A parameter that the earlier release did not have.
    state = model.__getstate__()
    del state["accumulate"], state["precision"]
    older = MLPClassifier.__new__(MLPClassifier)
    older.__setstate__(state)
    assert older.accumulate == 1
    np.testing.assert_array_equal(older.predict_proba(X), expected)


def test_every_pickle_records_the_version():
    estimators = [
        CostSensitiveClassifier(),
        DeepEnsembleClassifier(),
        DeepEnsembleRegressor(),
        LSTMForecaster(),
        OptunaSearchCV(LogisticRegression(), {"C": [1.0]}),
        SequenceVectorizer(),
        SlidingWindow(),
        TrendFeatures(),
    ]
    for estimator in estimators:
        state = estimator.__getstate__()
        assert state["_skdeep_version"] == skdeep.__version__
        loaded = pickle.loads(pickle.dumps(estimator))
        assert not hasattr(loaded, "_skdeep_version")
        assert loaded.get_params().keys() == estimator.get_params().keys()


def test_coefs_can_be_set():
    first, second = (
        MLPClassifier((4,), **{**FEW, "random_state": s}).fit(X, y) for s in (0, 1)
    )
    first.predict(X)
    first.coefs_ = [
        (a + b) / 2 for a, b in zip(first.coefs_, second.coefs_, strict=True)
    ]
    first.intercepts_ = second.intercepts_
    hidden = np.maximum(X @ first.coefs_[0] + first.intercepts_[0], 0)
    logit = hidden @ first.coefs_[1] + first.intercepts_[1]
    np.testing.assert_allclose(first.decision_function(X), logit[:, 0])
    with pytest.raises(ValueError, match=r"coefs_ must be arrays of shapes"):
        first.coefs_ = first.coefs_[:1]


def test_training_loss_is_the_mean_over_many_rows():
    # More rows than the losses that training joins in one tensor.
    X = np.random.default_rng(0).normal(size=(150_001, 2)).astype(np.float32)
    y = (X[:, 0] * np.linspace(0, 2, len(X))).astype(np.float32)
    model = ModuleRegressor(
        nn.Linear, max_iter=1, learning_rate_init=1e-12, alpha=0, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(batch_size=1000).fit(X, y)
    expected = np.mean((model.predict(X) - y) ** 2, dtype=np.float64) / 2
    assert model.loss_ == pytest.approx(expected, rel=1e-5)


# -- modules that change their inputs in place -----------------------------------------


class InPlace(nn.Module):
    """Scales its inputs, in place or not."""

    def __init__(self, n_features, n_outputs, in_place=True):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.in_place = in_place

    def forward(self, x):
        return self.linear(x.div_(10) if self.in_place else x / 10)


@pytest.mark.parametrize(
    "training",
    [
        dict(solver="lbfgs"),
        dict(early_stopping="loss", validation_fraction=0.5),
        dict(batch_size=len(X)),
    ],
    ids=str,
)
def test_a_module_that_works_in_place_changes_neither_rows_nor_results(training):
    rows = X.astype(np.float32)
    models = [
        ModuleClassifier(
            InPlace,
            module_params={"in_place": in_place},
            max_iter=3,
            random_state=0,
            **training,
        ).fit(rows, y)
        for in_place in (True, False)
    ]
    in_place, other = models
    assert in_place.loss_curve_ == other.loss_curve_
    for part in (slice(None), slice(0, 1)):  # a single row is predicted by itself
        np.testing.assert_array_equal(
            in_place.predict_proba(rows[part]), other.predict_proba(rows[part])
        )
    np.testing.assert_array_equal(rows, X.astype(np.float32))


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_fit_needs_no_mode_of_the_caller(mode):
    def fitted():
        return ModuleClassifier(nn.Linear, max_iter=2, random_state=0).fit(X, y)

    with mode():
        inside = fitted()
    np.testing.assert_array_equal(inside.predict_proba(X), fitted().predict_proba(X))
