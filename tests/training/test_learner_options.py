"""Options of learners: accumulation, averaging, clipping and precision."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skdeep import (
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

rng = np.random.RandomState(0)
X = rng.randn(96, 5)
y = np.tanh(X[:, 0]) - 0.5 * X[:, 1] + 0.1 * rng.randn(96)
labels = np.digitize(y, [-0.5, 0.5])
weight = rng.uniform(0.2, 3, 96)
series = rng.randn(96, 7)
y_series = series.mean(1)


def network():
    """A dense network in double precision, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1)).double()


class Watch(Callback):
    """Does nothing; any callback makes dense networks train by autograd."""


# An estimator, its rows and its target.
CASES = {
    "dense": (MLPRegressor, dict(hidden_layer_sizes=(6,)), X, y),
    "autograd": (
        MLPRegressor,
        dict(hidden_layer_sizes=(6,), callbacks=[Watch()]),
        X,
        y,
    ),
    "classes": (
        MLPClassifier,
        dict(hidden_layer_sizes=(6,), callbacks=[Watch()]),
        X,
        labels,
    ),
    "module": (ModuleRegressor, dict(module=network()), X, y),
    "lstm": (LSTMRegressor, dict(hidden_size=4), series, y_series),
}
COMMON = dict(
    random_state=0,
    max_iter=3,
    learning_rate_init=0.01,
    alpha=0.1,
    batch_size=24,
    n_iter_no_change=np.inf,
)


def weights_of(model):
    return [p.detach().double() for p in model.module_.parameters()]


def assert_same_weights(one, two, rtol=1e-9):
    for p, q in zip(weights_of(one), weights_of(two), strict=True):
        torch.testing.assert_close(p, q, rtol=rtol, atol=1e-11)


# -- sample weights --------------------------------------------------------------------


@pytest.mark.parametrize("case", ["dense", "autograd"])
def test_scale_of_sample_weights_has_no_effect(case):
    kind, params, rows, target = CASES[case]
    # The penalty is divided by the sum of the weights.
    one, ten = (
        kind(**{**COMMON, **params, "alpha": 0.0}).fit(
            rows, target, sample_weight=scale * weight
        )
        for scale in (1.0, 10.0)
    )
    assert_same_weights(one, ten)
    np.testing.assert_allclose(one.loss_curve_, ten.loss_curve_, rtol=1e-9)


# -- accumulate ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "weighted"),
    [
        ("dense", False),
        ("dense", True),
        ("autograd", True),
        ("classes", True),
        ("module", False),
        ("lstm", True),
    ],
)
def test_parts_of_a_batch_add_up(case, weighted):
    """Batches of 24 rows equal batches of 3 parts of 8, also with a remainder."""
    kind, params, rows, target = CASES[case]
    for n_rows in (96, 83):
        fit_params = {"sample_weight": weight[:n_rows]} if weighted else {}
        whole, parts = (
            kind(**{**COMMON, **params, "batch_size": size, "accumulate": k}).fit(
                rows[:n_rows], target[:n_rows], **fit_params
            )
            for size, k in ((24, 1), (8, 3))
        )
        assert_same_weights(whole, parts)
        np.testing.assert_allclose(whole.loss_curve_, parts.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("accumulate", [2, 5, 100])
def test_parts_of_uneven_size(accumulate):
    whole = ModuleRegressor(network(), **{**COMMON, "batch_size": 96}).fit(X, y)
    parts = ModuleRegressor(
        network(), **{**COMMON, "batch_size": 96}, accumulate=accumulate
    ).fit(X, y)
    assert_same_weights(whole, parts)


class RecordsBatchSizes(nn.Module):
    """A linear model that records the sizes of its batches."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.sizes = []

    def forward(self, x):
        if self.training:
            self.sizes.append(len(x))
        return self.linear(x)


def test_module_gets_one_part_at_a_time():
    model = ModuleRegressor(
        RecordsBatchSizes, **{**COMMON, "batch_size": 10, "max_iter": 1}, accumulate=3
    ).fit(X, y)
    assert max(model.module_.sizes) == 10
    assert sum(model.module_.sizes) == 96
    assert model.t_ == 96


def test_batch_normalization_gets_no_single_row_of_a_part():
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model = ModuleRegressor(module, **{**COMMON, "batch_size": 4}, accumulate=3)
    assert np.isfinite(model.fit(X[:13], y[:13]).predict(X)).all()


# -- weight averaging ------------------------------------------------------------------


class KeepWeights(Callback):
    """Keeps the weights after every step."""

    def __init__(self):
        self.first, self.steps = None, []

    def _weights(self, net):
        return [p.detach().clone() for p in net.module_.parameters()]

    def on_train_begin(self, net, **kwargs):
        self.first = self._weights(net)

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.steps.append(self._weights(net))


def averaged(first, steps, decay):
    """Return the average as ``MovingAverage`` defines it."""
    values = [tensor.clone() for tensor in first]
    for n, tensors in enumerate(steps, start=1):
        share = min(decay, (1 + n) / (10 + n))
        values = [
            share * old + (1 - share) * new
            for old, new in zip(values, tensors, strict=True)
        ]
    return values


AVERAGED = {
    "mlp": (MLPClassifier, dict(hidden_layer_sizes=(6,)), X, labels),
    "module": (ModuleRegressor, dict(module=network()), X, y),
    "lstm": (LSTMRegressor, dict(hidden_size=4), series, y_series),
}


@pytest.mark.parametrize("decay", [0.3, 0.99])
@pytest.mark.parametrize("case", AVERAGED)
def test_weights_are_averaged_over_the_steps(case, decay):
    kind, params, rows, target = AVERAGED[case]
    params = {**COMMON, "max_iter": 5, **params, "weight_averaging": decay}
    watched = kind(**params, callbacks=[("keep", KeepWeights())]).fit(rows, target)
    keep = watched.callbacks_[0]
    assert len(keep.steps) == 20
    expected = averaged(keep.first, keep.steps, decay)
    for found, mean in zip(weights_of(watched), expected, strict=True):
        torch.testing.assert_close(found, mean.double(), rtol=1e-7, atol=1e-9)
    latest = keep.steps[-1][0].double()
    assert not torch.allclose(weights_of(watched)[0], latest, rtol=1e-5, atol=0)
    # The same without callbacks, which may take the hand-written path.
    assert_same_weights(kind(**params).fit(rows, target), watched, rtol=1e-6)


def test_averaging_does_not_change_the_steps():
    model = ModuleRegressor(
        network(), **COMMON, weight_averaging=0.9, callbacks=[("keep", KeepWeights())]
    ).fit(X, y)
    plain = ModuleRegressor(network(), **COMMON).fit(X, y)
    last = model.callbacks_[0].steps[-1]
    for one, two in zip(last, weights_of(plain), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_validation_is_of_the_averaged_weights():
    model = ModuleRegressor(
        network(), **COMMON, weight_averaging=0.9, callbacks=[("keep", KeepWeights())]
    ).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    keep = model.callbacks_[0]
    for epoch, record in enumerate(model.history_):
        module = network()
        steps = keep.steps[: 3 * (epoch + 1)]
        with torch.no_grad():
            for p, mean in zip(
                module.parameters(), averaged(keep.first, steps, 0.9), strict=True
            ):
                p.copy_(mean)
            error = module(torch.from_numpy(X[60:]))[:, 0].numpy() - y[60:]
        assert record["valid_loss"] == pytest.approx(np.square(error).mean() / 2)


# -- clipping --------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [0.01, 0.3, 100.0])
def test_gradient_is_clipped_as_torch_does(largest):
    model = ModuleRegressor(
        network(),
        solver="sgd",
        momentum=0.0,
        shuffle=False,
        max_grad_norm=largest,
        **{**COMMON, "alpha": 0.5, "learning_rate_init": 0.2},
    ).fit(X, y)
    reference = network()
    optimizer = torch.optim.SGD(reference.parameters(), 0.2)
    rows, target = torch.from_numpy(X).split(24), torch.from_numpy(y).split(24)
    for _ in range(3):
        for a, b in zip(rows, target, strict=True):
            optimizer.zero_grad()
            loss = (reference(a)[:, 0] - b).square().mean() / 2
            norms = [layer.weight.square().sum() for layer in reference[::2]]
            (loss + 0.5 * 0.5 / 24 * sum(norms)).backward()
            nn.utils.clip_grad_norm_(reference.parameters(), largest)
            optimizer.step()
    for found, p in zip(weights_of(model), reference.parameters(), strict=True):
        torch.testing.assert_close(found, p.detach(), rtol=1e-9, atol=1e-12)


# -- precision -------------------------------------------------------------------------

waves = np.sin(np.arange(260) * 0.3)[:, None] + 0.05 * rng.randn(260, 1)


def make_classifier(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_outputs))


SCORED = dict(random_state=0, batch_size=24, learning_rate_init=0.02)
FOUR = {
    "mlp": (
        lambda **p: MLPClassifier(hidden_layer_sizes=(16,), max_iter=40, **SCORED, **p),
        X,
        labels,
    ),
    "lstm": (
        lambda **p: LSTMRegressor(hidden_size=8, max_iter=40, **SCORED, **p),
        series,
        y_series,
    ),
    "module": (
        lambda **p: ModuleClassifier(make_classifier, max_iter=40, **SCORED, **p),
        X,
        labels,
    ),
    "forecaster": (
        lambda **p: LSTMForecaster(
            window=12, hidden_size=8, dropout=0.0, max_iter=10, **SCORED, **p
        ),
        waves,
        None,
    ),
}


def to_float32(rows):
    """Return rows in float32, since autocast does not convert float64."""
    return rows.astype(np.float32)


def fit_and_score(model, rows, target):
    """Return the score on the training rows, and the predictions."""
    if target is None:
        model.fit(rows)
        predicted = model.predict(rows[:250])
        return model.score(rows), np.asarray(predicted)
    model.fit(rows, target)
    return model.score(rows, target), model.predict(rows)


@pytest.mark.parametrize("case", FOUR)
def test_half_precision_scores_as_full_precision_does(case):
    make, rows, target = FOUR[case]
    rows = to_float32(rows)
    full, _ = fit_and_score(make(), rows, target)
    half, predicted = fit_and_score(make(precision="bf16"), rows, target)
    assert full > 0.7
    assert half == pytest.approx(full, abs=0.05)
    if target is not labels:
        assert np.isfinite(predicted).all()


DTYPES = [
    ("mlp", np.float64),
    ("lstm", np.float32),
    ("module", np.float64),
    ("forecaster", np.float32),
]


@pytest.mark.parametrize(("case", "dtype"), DTYPES)
def test_half_precision_predicts_in_the_type_of_the_rows(case, dtype):
    make, rows, target = FOUR[case]
    model = make(precision="bf16").set_params(max_iter=2)
    rows = rows.astype(dtype)
    if target is labels:
        found = model.fit(rows, target).predict_proba(rows)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    else:
        found = fit_and_score(model, rows, target)[1]
    assert found.dtype == dtype
    assert np.isfinite(found).all()


@pytest.mark.parametrize("case", FOUR)
def test_half_precision_does_not_work_with_lbfgs(case):
    make, rows, target = FOUR[case]
    with pytest.raises(ValueError, match="precision='bf16'"):
        fit_and_score(make(precision="bf16", solver="lbfgs"), rows, target)


@pytest.mark.parametrize(
    ("case", "precision"),
    [("mlp", None), ("lstm", "bf16"), ("module", "bf16"), ("forecaster", None)],
)
def test_estimators_work_under_the_users_autocast(case, precision):
    make, rows, target = FOUR[case]
    rows = to_float32(rows)
    with torch.autocast("cpu", torch.bfloat16):
        score, predicted = fit_and_score(make(precision=precision), rows, target)
        assert torch.is_autocast_enabled("cpu")
    assert score > 0.7
    if target is not labels:
        assert predicted.dtype == rows.dtype
        assert np.isfinite(predicted).all()


@pytest.mark.parametrize("case", FOUR)
def test_predictions_under_autocast_are_near_those_without(case):
    make, rows, target = FOUR[case]
    model, rows = make().set_params(max_iter=3), to_float32(rows)
    fit_and_score(model, rows, target)
    name = "predict_proba" if target is labels else "predict"
    arguments = rows[:250]
    with torch.autocast("cpu", torch.bfloat16):
        half = getattr(model, name)(arguments)
    full = getattr(model, name)(arguments)
    np.testing.assert_allclose(half, full, rtol=0.05, atol=0.05)
    assert half.dtype == full.dtype


@pytest.mark.parametrize(("case", "dtype"), DTYPES)
def test_half_precision_does_not_depend_on_the_dtype_of_the_rows(case, dtype):
    make, rows, target = FOUR[case]
    rows = rows.astype(dtype)
    half = make(precision="bf16").set_params(max_iter=2)
    fit_and_score(half, rows, target)
    full = copy.deepcopy(half).set_params(precision=None)
    name = "predict_proba" if target is labels else "predict"
    one, two = (getattr(model, name)(rows[:250]) for model in (half, full))
    np.testing.assert_allclose(one, two, rtol=0.05, atol=0.05)
    assert not np.allclose(one, two, rtol=1e-5, atol=1e-7)
    assert one.dtype == dtype


def test_training_in_half_precision_is_continued_in_full():
    rows = to_float32(X)
    model = ModuleRegressor(network(), **COMMON, precision="bf16").fit(rows, y)
    model.set_params(precision=None).partial_fit(rows, y)
    assert np.isfinite(model.predict(rows)).all()
