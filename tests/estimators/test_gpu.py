"""On a CUDA device: the same results, and models that load without one."""

import pickle
import pickletools

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import is_classifier
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skdeep import (
    GAN,
    AutoEncoder,
    CNNClassifier,
    CNNRegressor,
    DiscreteShocks,
    EquilibriumNet,
    LanguageModel,
    LSTMClassifier,
    LSTMRegressor,
    MLPClassifier,
    MonteCarlo,
    Seq2Seq,
    VariationalAutoEncoder,
)
from skdeep.training import STOCHASTIC_SOLVERS
from tests.estimators.equilibrium_data import Linear

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]


def output(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


def without_dropout(make):
    """Leave out modules with dropout, whose masks differ from device to device."""
    if "Module" in type(make()).__name__:
        pytest.skip("its masks are drawn on the device")


@pytest.mark.parametrize("solver", [*STOCHASTIC_SOLVERS, "lbfgs", torch.optim.Adamax])
def test_solvers_match_the_cpu(make, data, solver):
    without_dropout(make)
    X, y = data[0].astype("float32"), data[1]
    on_cpu = make(device="cpu", solver=solver).fit(X, y)
    on_cuda = make(device="cuda", solver=solver).fit(X, y)
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"early_stopping": "loss", "validation_split": "last"},
        {"learning_rate": "cosine", "max_grad_norm": 0.5},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_parameters_match_the_cpu(make, data, params):
    without_dropout(make)
    X, y = data[0].astype("float32"), data[1]
    weight = np.linspace(0.5, 2, len(X))
    on_cpu = make(device="cpu", **params).fit(X, y, sample_weight=weight)
    on_cuda = make(device="cuda", **params).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-3)


def test_dropout_is_bit_identical_for_equal_seeds(make, data):
    first, second = (make(device="cuda").fit(*data) for _ in range(2))
    np.testing.assert_array_equal(output(first, data[0]), output(second, data[0]))


def test_auto_uses_the_gpu_in_float32(make, data):
    model = make(device="auto").fit(*data)
    parameter = next(model.module_.parameters())
    assert parameter.is_cuda
    assert parameter.dtype == torch.float32
    # Predictions still have the float type of X.
    assert output(model, data[0]).dtype == data[0].dtype


def test_device_and_generators_are_restored(make, data):
    torch.cuda.init()
    before = torch.cuda.current_device(), torch.cuda.get_rng_state()
    make(device="cuda").fit(*data).predict(data[0])
    assert torch.cuda.current_device() == before[0]
    assert torch.equal(torch.cuda.get_rng_state(), before[1])


def test_partial_fit_and_warm_start_continue(make, data):
    X, y = data
    known = {"classes": np.unique(y)} if is_classifier(make()) else {}
    model = make(device="cuda").partial_fit(X, y, **known)
    model = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    model.set_params(warm_start=True).fit(X, y)
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_pickle_loads_on_a_machine_without_gpu(make, data):
    X, y = data
    model = make(device="cuda").fit(X, y)
    expected = output(model, X)
    pickled = pickle.dumps(model)
    strings = {a for _, a, _ in pickletools.genops(pickled) if isinstance(a, str)}
    assert not {s for s in strings if "torch" in s and "network" not in s}
    loaded = pickle.loads(pickled).set_params(device="cpu")
    assert not next(loaded.module_.parameters()).is_cuda
    np.testing.assert_allclose(output(loaded, X), expected, atol=1e-4)


def test_batch_norm_and_categories():
    X = np.random.default_rng(0).integers(0, 4, (80, 3)).astype("float32")
    y = X[:, 0] > 1
    params = dict(batch_norm=True, categorical_features=[0], max_iter=5, random_state=0)
    on_cpu = MLPClassifier(device="cpu", **params).fit(X, y)
    on_cuda = MLPClassifier(device="cuda", **params).fit(X, y)
    np.testing.assert_allclose(
        on_cuda.predict_proba(X), on_cpu.predict_proba(X), atol=1e-3
    )


def test_unknown_device_index_raises(make, data):
    count = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"torch finds only {count} CUDA device"):
        make(device=f"cuda:{count}").fit(*data)


# -- sequences -------------------------------------------------------------------------

LENGTHS = np.random.default_rng(1).integers(1, 13, 90)
IS_THERE = np.arange(12) < LENGTHS[:, np.newaxis]
PADDED = np.where(
    IS_THERE[:, :, np.newaxis],
    np.random.default_rng(2).normal(size=(90, 12, 3)),
    np.nan,
).astype("float32")
STEPS = np.where(IS_THERE, np.nan_to_num(PADDED[:, :, 0]) > 0, -1)
NUMBERS = PADDED[:, :, 0] + PADDED[:, :, 1]
TOKENS = np.where(IS_THERE, np.random.default_rng(3).integers(1, 9, (90, 12)), 0)
SEQUENCES = {
    "one label each": (LSTMClassifier, {}, PADDED, LENGTHS % 3),
    "labels of steps": (LSTMClassifier, {"return_sequences": True}, PADDED, STEPS),
    "weights of steps": (
        LSTMClassifier,
        {"return_sequences": True, "class_weight": "balanced"},
        PADDED,
        STEPS,
    ),
    "numbers of steps": (LSTMRegressor, {"return_sequences": True}, PADDED, NUMBERS),
    "tokens": (LSTMClassifier, {"embedding_dim": 5}, TOKENS, LENGTHS % 2),
    "labels of tokens": (
        LSTMClassifier,
        {"embedding_dim": 5, "return_sequences": True},
        TOKENS,
        np.where(IS_THERE, TOKENS % 3, -1),
    ),
}
NETWORKS = [
    {"cell": "lstm"},
    {"cell": "gru", "bidirectional": True},
    {"cell": "rnn", "num_layers": 2, "truncation": 5},
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("kind", SEQUENCES)
def test_sequences_of_different_lengths(kind, network):
    estimator, params, X, y = SEQUENCES[kind]
    params = dict(
        hidden_size=8, max_iter=5, batch_size=32, random_state=0, **params, **network
    )
    on_cpu = estimator(device="cpu", **params).fit(X, y)
    on_cuda = estimator(device="cuda", **params).fit(X, y)
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-3)
    np.testing.assert_allclose(on_cuda.transform(X), on_cpu.transform(X), atol=1e-3)
    assert on_cuda.score(X, y) == pytest.approx(on_cpu.score(X, y), abs=0.02)
    listed = [row[:length] for row, length in zip(X, LENGTHS, strict=True)]
    np.testing.assert_allclose(output(on_cuda, listed), output(on_cuda, X), atol=1e-5)


@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
@pytest.mark.parametrize("kind", ["table", "gaps", "images"])
def test_autoencoders(make, kind):
    X = np.random.default_rng(0).normal(size=(60, 6, 5)).astype("float32")
    if kind != "images":
        X = X[:, 0]
    if kind == "gaps":
        X[::3, 1] = np.nan
    # Draws of training differ from device to device.
    params = dict(max_iter=3, learning_rate_init=1e-6, random_state=0)
    on_cpu = make(2, device="cpu", **params).fit(X)
    on_cuda = make(2, device="cuda", **params).fit(X, X_val=X[:20])
    for method in ("transform", "reconstruct", "score_samples"):
        found, expected = (getattr(m, method)(X) for m in (on_cuda, on_cpu))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    noisy = make(2, device="cuda", noise=0.5, mask=0.2, dropout=0.1, **params).fit(X)
    assert np.isfinite(noisy.decision_function(X)).all()
    if make is VariationalAutoEncoder:
        assert on_cuda.sample(3, random_state=0).shape == (3, *X.shape[1:])


@pytest.mark.parametrize("loss", ["logistic", "wasserstein"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_gan(loss, kind):
    X = np.random.default_rng(0).normal(size=(60, 6, 5)).astype("float32")
    X, y = X[:, 0] if kind == "table" else X, np.arange(60) % 3
    # Draws of training differ from device to device.
    params = dict(loss=loss, learning_rate_init=1e-6, max_iter=2, random_state=0)
    on_cpu = GAN(4, 8, device="cpu", **params).fit(X, y)
    on_cuda = GAN(4, 8, device="cuda", **params).fit(X, y)
    samples = on_cuda.sample(5, y=1, random_state=0)
    assert samples.shape == (5, *X.shape[1:])
    loaded = pickle.loads(pickle.dumps(on_cuda)).set_params(device="cpu")
    np.testing.assert_allclose(
        loaded.sample(5, y=1, random_state=0), samples, rtol=1e-3, atol=1e-3
    )
    assert np.isfinite([record["train_loss"] for record in on_cpu.history_]).all()


TEXTS = ["".join(np.random.default_rng(i).choice([*"abc"], 20 + i)) for i in range(9)]


@pytest.mark.parametrize("network", [{}, {"cell": "gru", "embedding_dim": 3}], ids=str)
def test_language_models(network):
    params = dict(level="char", max_iter=3, bptt=8, random_state=0, **network)
    on_cpu = LanguageModel(8, device="cpu", **params).fit(TEXTS)
    on_cuda = LanguageModel(8, device="cuda", **params).fit(TEXTS, X_val=TEXTS[:2])
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    found = on_cuda.score_samples(["", *TEXTS])
    np.testing.assert_allclose(found, on_cpu.score_samples(["", *TEXTS]), rtol=1e-3)
    found = on_cuda.predict_proba(TEXTS)
    np.testing.assert_allclose(found, on_cpu.predict_proba(TEXTS), atol=1e-3)
    np.testing.assert_allclose(
        on_cuda.transform(TEXTS), on_cpu.transform(TEXTS), atol=1e-3
    )
    assert on_cuda.sample(3, "ab", temperature=0, max_length=5).shape == (3,)
    sampled = on_cuda.sample(3, ["a", "", "ab"], 0.8, top_k=2, top_p=0.9)
    assert sampled.shape == (3,)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["tokens", "numbers", "rows"])
def test_sequences_out(kind, bidirectional):
    words = [
        "".join("abc"[i] for i in row[:n] % 3)
        for row, n in zip(TOKENS, LENGTHS, strict=True)
    ]
    X = PADDED[:, 0] if kind == "rows" else words
    y = (
        [row[:n] for row, n in zip(PADDED, LENGTHS, strict=True)]
        if kind == "numbers"
        else words
    )
    params = dict(bidirectional=bidirectional, batch_size=32, random_state=0)
    on_cpu, on_cuda = (
        Seq2Seq(8, device=device, max_iter=5, scheduled_sampling=0, **params).fit(X, y)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(on_cuda.transform(X), on_cpu.transform(X), atol=1e-3)
    assert on_cuda.score(X, y) == pytest.approx(on_cpu.score(X, y), abs=0.02)
    assert len(on_cuda.predict(X)) == len(X)
    if kind != "rows":
        for weights in on_cuda.attention_weights(X):
            np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-4)
    if kind != "numbers":
        _, log_proba = on_cuda.set_params(beam_width=2).predict(X, True)
        assert np.isfinite(log_proba).all()
    # What is sampled is drawn on the device.
    params |= {"scheduled_sampling": 0.5, "early_stopping": True, "max_iter": 3}
    sampled = [Seq2Seq(8, device="cuda", **params).fit(X, y) for _ in range(2)]
    np.testing.assert_allclose(*(m.loss_curve_ for m in sampled), rtol=1e-4)


IMAGES = np.random.default_rng(4).normal(size=(60, 16, 14)).astype("float32")
SHADES = np.random.default_rng(5).integers(0, 256, (60, 16, 14, 3)).astype("u1")
NETWORKS_OF_IMAGES = {
    "simple": ({}, SHADES),
    "signals": ({}, IMAGES[:, 0]),
    "volumes": ({}, IMAGES.reshape(60, 4, 7, 8, 1)),
    "lenet5": ({"architecture": "lenet5"}, IMAGES),
    "resnet": ({"architecture": "resnet", "depth": 8}, SHADES),
}


@pytest.mark.parametrize("name", NETWORKS_OF_IMAGES)
def test_images(name):
    params, X = NETWORKS_OF_IMAGES[name]
    params = dict(
        filters=4,
        hidden_layer_sizes=8,
        dropout=0.0,
        max_iter=3,
        batch_size=20,
        random_state=0,
        **{"channels": "auto", **params},
    )
    y = np.arange(60) % 3
    on_cpu = CNNClassifier(device="cpu", **params).fit(X, y)
    on_cuda = CNNClassifier(device="cuda", **params).fit(X, y)
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-2)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-2)
    # The same weights give the same values.
    loaded = pickle.loads(pickle.dumps(on_cuda)).set_params(device="cpu")
    np.testing.assert_allclose(output(on_cuda, X), output(loaded, X), atol=1e-3)
    np.testing.assert_allclose(on_cuda.transform(X), loaded.transform(X), atol=1e-3)
    maps = on_cuda.feature_maps(X[:5])
    np.testing.assert_allclose(maps, loaded.feature_maps(X[:5]), atol=1e-3)


@pytest.mark.parametrize("augment", ["auto", ["mixup", "flip"], torch.neg])
def test_augmented_images(augment):
    params = dict(
        filters=4,
        hidden_layer_sizes=8,
        augment=augment,
        tta="flip",
        early_stopping=True,
        max_iter=3,
        batch_size=20,
        random_state=0,
        device="cuda",
    )
    y = np.arange(60) % 2
    first, second = (CNNClassifier(**params).fit(SHADES, y) for _ in range(2))
    np.testing.assert_allclose(output(second, SHADES), output(first, SHADES), atol=1e-4)
    assert np.isfinite(first.loss_curve_).all()


def test_images_of_several_outputs_and_a_frozen_backbone():
    backbone = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    y = np.column_stack([IMAGES.mean((1, 2)), IMAGES.std((1, 2))])
    model = CNNRegressor(
        architecture=backbone,
        freeze="backbone",
        max_iter=2,
        batch_size=20,
        device="cuda",
    ).fit(IMAGES, y)
    for name, value in model.module_.backbone.state_dict().items():
        assert torch.equal(value.cpu(), before[name])
    assert not next(backbone.parameters()).is_cuda
    assert model.predict(IMAGES).shape == (60, 2)


def test_sequences_with_dropout_and_early_stopping():
    params = dict(num_layers=2, bidirectional=True, dropout=0.4, early_stopping=True)
    first, second = (
        LSTMClassifier(8, max_iter=5, random_state=0, device="cuda", **params)
        for _ in range(2)
    )
    first.fit(PADDED, LENGTHS % 2)
    second.fit(PADDED, LENGTHS % 2)
    # torch promises the same bits of recurrent layers only for some settings of CUDA.
    np.testing.assert_allclose(
        first.predict_proba(PADDED), second.predict_proba(PADDED), atol=1e-4
    )
    loaded = pickle.loads(pickle.dumps(first)).set_params(device="cpu")
    np.testing.assert_allclose(
        loaded.predict_proba(PADDED), first.predict_proba(PADDED), atol=1e-4
    )


def test_single_sequences_and_long_ones():
    """Lengths on the device determine which steps are read."""
    model = LSTMRegressor(
        hidden_size=8, return_sequences=True, max_iter=2, device="cuda"
    ).fit(PADDED, NUMBERS)
    expected = model.predict(PADDED)
    for i in (0, 7, 89):
        alone = model.predict(PADDED[i : i + 1])
        np.testing.assert_allclose(alone[0], expected[i], atol=1e-5)
    many = np.tile(PADDED, (40, 1, 1))
    np.testing.assert_allclose(
        model.predict(many), np.tile(expected, (40, 1)), atol=1e-5
    )


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd"},
        {"solver": "adam"},
        {"solver": "adamw"},
        {"learning_rate": "cosine", "max_grad_norm": 0.5},
        {"early_stopping": True, "n_iter_no_change": 2},
        {"dropout": 0.3},
        {"loss": "expected_cost", "cost_matrix": 1 - np.eye(3)},
        {"device": "cuda:1"},
    ],
    ids=str,
)
def test_population_equals_single_fits(params):
    """Many steps, most of them captured, with a short last batch; two kinds."""
    if params.get("device") == "cuda:1" and torch.cuda.device_count() < 2:
        pytest.skip("needs a second CUDA device")
    X, y = load_iris(return_X_y=True)
    fixed = {"max_iter": 20, "batch_size": 25, "random_state": 0, "dtype": "float64"}
    model = MLPClassifier(**{**fixed, "device": "cuda", **params})
    grid = {"learning_rate_init": [1e-3, 1e-2], "hidden_layer_sizes": [(8,), (4, 4)]}
    search = GridSearchCV(model, grid, cv=4, scoring="neg_log_loss", refit=False)
    stream = torch.cuda.current_stream()
    apart = search.fit(X[:147], y[:147]).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="skdeep"):
        together = search.fit(X[:147], y[:147]).cv_results_["mean_test_score"]
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    assert torch.cuda.current_stream() == stream


@pytest.mark.parametrize("shocks", [None, DiscreteShocks([0, 1]), MonteCarlo(2)])
def test_economic_models(shocks):
    model = Linear(shocks)
    params = dict(n_paths=20, n_periods=4, max_iter=3, dtype="float32", random_state=0)
    on_cpu = EquilibriumNet(model, (8,), device="cpu", **params).fit()
    on_cuda = EquilibriumNet(model, (8,), device="cuda", **params).fit()
    X = np.random.default_rng(0).normal(size=(9, 4))
    assert on_cuda.simulate(5, 2, random_state=0)[0].shape == (2, 5, 4)
    assert np.isfinite([on_cuda.score(), on_cuda.score(X)]).all()
    if isinstance(shocks, MonteCarlo):
        return  # its nodes in training are drawn on the device
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(on_cuda.predict(X), on_cpu.predict(X), atol=1e-3)
    found = on_cuda.residuals(X)
    np.testing.assert_allclose(found, on_cpu.residuals(X), atol=1e-3)
