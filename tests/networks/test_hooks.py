"""Hooks, pruning, quantization and captum treat ``module_`` as ``nn.Sequential``."""

import contextlib
import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from skdeep import LSTMClassifier, MLPClassifier, MLPRegressor
from skdeep.networks import ACTIVATIONS, DenseNetwork

MODULES = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
VALUES = X[:, 0] - X[:, 1] * X[:, 2]
# More rows than one chunk holds.
MANY = RNG.normal(size=(40000, 4)).astype("float32")
SOME, BASELINE = torch.from_numpy(X[:5]), torch.from_numpy(X[100:150])


def fit_classifier(**params):
    params = {"hidden_layer_sizes": (8, 6), "learning_rate_init": 0.01, **params}
    return MLPClassifier(max_iter=5, random_state=0, **params).fit(X, LABELS)


def fit_regressor(**params):
    params = {"hidden_layer_sizes": (8, 6), **params}
    return MLPRegressor(max_iter=5, random_state=0, **params).fit(X, VALUES)


@pytest.fixture(params=[fit_classifier, fit_regressor])
def fit(request):
    return request.param


@pytest.fixture(autouse=True)
def _without_convergence_warning():
    """Ignore the warnings of fits that have not converged."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        yield


def sequential(module, make_activation):
    """Return torch's own modules with the weights of a dense network."""
    parts = []
    for i, layer in enumerate(module.layers):
        if i:
            parts.append(make_activation())
        if len(module.norms) and i:
            norm = nn.BatchNorm1d(module.layers[i - 1].out_features)
            norm.load_state_dict(module.norms[i - 1].state_dict())
            parts.insert(-1, norm)
        parts.append(nn.Linear(layer.in_features, layer.out_features))
        parts[-1].load_state_dict(layer.state_dict())
    return nn.Sequential(*parts).eval()


def modules_in_order(module):
    """Return the modules in the order of the forward pass."""
    parts = []
    for i, layer in enumerate(module.layers):
        parts.append(layer)
        if i < len(module.activations):
            parts += [*module.norms[i : i + 1], module.activations[i]]
    return parts


@contextlib.contextmanager
def record_hooks(modules, method="register_forward_hook"):
    """Record the arguments of the hooks of modules."""
    records = []

    def record(module, before, after):
        records.append((module, before, after))

    handles = [getattr(module, method)(record) for module in modules]
    try:
        yield records
    finally:
        for handle in handles:
            handle.remove()


def assert_forward_hooks_equal(module, expected, x):
    mine, theirs = modules_in_order(module), list(expected)
    with record_hooks(mine) as records, record_hooks(theirs) as expected_records:
        out = module(x)
        torch.testing.assert_close(out, expected(x))
    assert [m for m, _, _ in records] == mine
    for (_, inputs, out), (_, expected_inputs, expected_out) in zip(
        records, expected_records, strict=True
    ):
        torch.testing.assert_close(inputs, expected_inputs)
        torch.testing.assert_close(out, expected_out)


@pytest.mark.parametrize("name", MODULES)
def test_forward_hooks(fit, name):
    module = fit(activation=name).module_
    assert_forward_hooks_equal(module, sequential(module, MODULES[name]), SOME)


def test_forward_hooks_with_batch_norm(fit):
    module = fit(batch_norm=True).module_
    assert_forward_hooks_equal(module, sequential(module, nn.ReLU), SOME)


def test_forward_hooks_with_maxout():
    module = fit_classifier(activation="maxout", maxout_pieces=3).module_
    with record_hooks(modules_in_order(module)) as records:
        module(SOME)
    assert [m for m, _, _ in records] == modules_in_order(module)
    for part, inputs, out in records:
        if part in list(module.activations):
            expected = inputs[0].reshape(len(SOME), -1, 3).amax(-1)
            torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("name", MODULES)
def test_full_backward_hooks(fit, name):
    module = fit(activation=name).module_
    expected = sequential(module, MODULES[name])
    method = "register_full_backward_hook"
    with (
        record_hooks(modules_in_order(module), method) as records,
        record_hooks(expected, method) as expected_records,
    ):
        module(SOME.clone().requires_grad_()).square().sum().backward()
        expected(SOME.clone().requires_grad_()).square().sum().backward()
    assert [m for m, _, _ in records] == modules_in_order(module)[::-1]
    for (_, grad_in, grad_out), (_, expected_in, expected_out) in zip(
        records, expected_records, strict=True
    ):
        torch.testing.assert_close(grad_in, expected_in)
        torch.testing.assert_close(grad_out, expected_out)


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
@pytest.mark.parametrize("part", ["layers", "activations", "dropout", "network"])
def test_hooks_are_called_in_predict(rows, part):
    model = fit_classifier(dropout=0.2)
    module = model.module_
    expected = model.predict_proba(rows)
    hooked = {
        "layers": module.layers[0],
        "activations": module.activations[1],
        "dropout": module.dropout,
        "network": module,
    }[part]
    with record_hooks([hooked]) as records:
        np.testing.assert_allclose(model.predict_proba(rows), expected, rtol=1e-5)
    n_calls = 2 if part == "dropout" else 1
    # A call on one row may come first, to measure its memory.
    extra = sum(len(out) for *_, out in records) - n_calls * len(rows)
    assert extra in (0, n_calls)
    np.testing.assert_array_equal(model.predict_proba(rows), expected)


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
def test_global_hooks_are_called_in_predict(rows):
    model = fit_classifier()
    seen = []
    handle = register_module_forward_hook(lambda m, before, after: seen.append(m))
    try:
        model.predict_proba(rows)
    finally:
        handle.remove()
    assert set(modules_in_order(model.module_)) < set(seen)


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_output_of_a_hook_is_used_in_predict(rows, depth):
    model = fit_classifier()
    layer = model.module_.layers[depth]
    expected = sequential(model.module_, nn.ReLU)
    for hooked in (layer, expected[2 * depth]):
        hooked.register_forward_hook(lambda m, before, after: after * 2)
    probabilities = expected(torch.from_numpy(rows)).softmax(-1).detach()
    np.testing.assert_allclose(model.predict_proba(rows), probabilities, rtol=1e-4)


def other_linear(layer):
    torch.manual_seed(0)
    return nn.Linear(layer.in_features, layer.out_features)


REPLACEMENTS = {
    "linear": other_linear,
    "linear without bias": lambda layer: nn.Linear(
        layer.in_features, layer.out_features, bias=False
    ),
    "sequential": lambda layer: nn.Sequential(layer, nn.Tanh()),
    "weight norm": lambda layer: nn.utils.parametrizations.weight_norm(
        other_linear(layer)
    ),
}


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("replace", REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_replacing_a_layer_changes_predictions(rows, depth, replace):
    model = fit_classifier()
    before = model.predict_proba(rows)
    expected = sequential(model.module_, nn.ReLU)
    layer = replace(model.module_.layers[depth])
    model.module_.layers[depth] = expected[2 * depth] = layer
    probabilities = expected(torch.from_numpy(rows)).softmax(-1).detach()
    after = model.predict_proba(rows)
    np.testing.assert_allclose(after, probabilities, rtol=1e-4)
    assert not np.allclose(after, before, rtol=1e-4)


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
@pytest.mark.parametrize("other", [nn.Tanh(), nn.LeakyReLU(0.5)])
@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_replacing_an_activation_changes_predictions(rows, other, name):
    model = fit_classifier(activation=name)
    expected = sequential(model.module_, MODULES[name])
    model.module_.activations[1] = expected[3] = other
    probabilities = expected(torch.from_numpy(rows)).softmax(-1).detach()
    np.testing.assert_allclose(model.predict_proba(rows), probabilities, rtol=1e-4)


def test_changing_an_activation_changes_predictions():
    model = fit_classifier(activation="leaky_relu")
    expected = sequential(model.module_, nn.LeakyReLU)
    for part in (model.module_.activations[0], expected[1]):
        part.negative_slope = 0.7
    probabilities = expected(torch.from_numpy(MANY)).softmax(-1).detach()
    np.testing.assert_allclose(model.predict_proba(MANY), probabilities, rtol=1e-4)


@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
def test_replacing_the_dropout_changes_nothing(rows):
    model = fit_classifier(dropout=0.3)
    expected = model.predict_proba(rows)
    model.module_.dropout = nn.Identity()
    np.testing.assert_allclose(model.predict_proba(rows), expected, rtol=1e-5)


@pytest.mark.parametrize("rows", [X[:3], MANY], ids=["few rows", "many rows"])
def test_dropout_set_to_training_draws_in_predict(rows):
    model = fit_classifier(dropout=0.3)
    model.module_.dropout.train()
    assert (model.predict_proba(rows) != model.predict_proba(rows)).any()


def test_pruning_changes_predictions():
    from torch.nn.utils import prune

    model = fit_classifier()
    for layer in model.module_.layers:
        prune.l1_unstructured(layer, "weight", amount=0.5)
        assert (layer.weight == 0).any()
    expected = sequential(fit_classifier().module_, nn.ReLU)
    for layer in expected[::2]:
        prune.l1_unstructured(layer, "weight", amount=0.5)
    probabilities = expected(torch.from_numpy(MANY)).softmax(-1).detach()
    np.testing.assert_allclose(model.predict_proba(MANY), probabilities, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*deprecated")
def test_dynamic_quantization(fit):
    module = fit().module_
    quantize = torch.ao.quantization.quantize_dynamic
    mine = quantize(module, {nn.Linear})
    expected = quantize(sequential(module, nn.ReLU), {nn.Linear})
    kind = torch.ao.nn.quantized.dynamic.Linear
    assert [type(layer) for layer in mine.layers] == [kind] * 3
    torch.testing.assert_close(mine(SOME), expected(SOME))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*deprecated")
@pytest.mark.parametrize("rows", [X[:1], MANY], ids=["one row", "many rows"])
def test_quantized_layers_are_used_in_predict(rows):
    model = fit_classifier()
    before = model.predict_proba(rows)
    quantize = torch.ao.quantization.quantize_dynamic
    expected = quantize(sequential(model.module_, nn.ReLU), {nn.Linear})
    quantize(model.module_, {nn.Linear}, inplace=True)
    after = model.predict_proba(rows)
    assert not np.allclose(after, before, rtol=1e-5)
    # Inputs are quantized by the range of the rows in a chunk.
    probabilities = expected(torch.from_numpy(rows)).softmax(-1)
    np.testing.assert_allclose(after, probabilities, atol=0.05)


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_torch_classes(name):
    module = fit_classifier(activation=name, batch_norm=True).module_
    assert [type(part) for part in module.layers] == [nn.Linear] * 3
    assert [type(part) for part in module.activations] == [MODULES[name]] * 2
    assert [type(part) for part in module.norms] == [nn.BatchNorm1d] * 2
    for part in module.activations:
        assert repr(part) == repr(MODULES[name]())


def test_every_activation_is_tested_here():
    assert set(MODULES) == set(ACTIVATIONS) - {"maxout"}


def test_embeddings_and_recurrent_layers_are_torch_classes():
    network = DenseNetwork(2, [3], 1, n_codes=[5, 4])
    assert [type(part) for part in network.embeddings] == [nn.Embedding] * 2
    tokens = np.random.default_rng(0).integers(1, 9, (20, 6))
    labels = np.arange(20) % 2
    module = (
        LSTMClassifier(embedding_dim=3, hidden_size=4, max_iter=1)
        .fit(tokens, labels)
        .module_
    )
    assert type(module.embedding) is nn.Embedding
    assert type(module.head) is nn.Linear
    assert [type(part) for part in module.forwards] == [nn.LSTM]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_hidden_layers_do_not_share_their_activation(name):
    module = fit_classifier(hidden_layer_sizes=(8, 8, 8), activation=name).module_
    assert len({id(part) for part in module.activations}) == 3
    assert len({id(part) for part in module.layers}) == 4


def test_creating_a_network_draws_no_random_numbers():
    state = torch.random.get_rng_state()
    DenseNetwork(3, [4, 5], 2, n_codes=[6, 7], batch_norm=True, dropout=0.5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_state_dict_keys():
    network = DenseNetwork(3, [4, 5], 2, n_codes=[6], batch_norm=True, dropout=0.5)
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(network.state_dict()) == [
        "embeddings.0.weight",
        *(f"layers.{i}.{name}" for i in range(3) for name in ("weight", "bias")),
        *(f"norms.{i}.{name}" for i in range(2) for name in norm),
    ]
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies(name, duplicate):
    model = fit_classifier(activation=name, dropout=0.2)
    model.predict(MANY)
    module = model.module_
    twin = duplicate(module)
    torch.testing.assert_close(twin(SOME), module(SOME))
    assert not set(twin.modules()) & set(module.modules())
    twin.layers[0].weight.data.zero_()
    assert module.layers[0].weight.any()


def test_predictions_of_many_rows_equal_the_module():
    for name in ACTIVATIONS:
        model = fit_classifier(activation=name)
        expected = model.module_(torch.from_numpy(MANY)).softmax(-1).detach()
        np.testing.assert_allclose(model.predict_proba(MANY), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["relu", "tanh", "logistic", "elu", "softplus"])
def test_captum_deep_lift(fit, name):
    attr = pytest.importorskip("captum.attr")
    module = fit(activation=name).module_
    expected = sequential(module, MODULES[name])
    target = 1 if module.layers[-1].out_features > 1 else None
    results = []
    for net in (module, expected):
        with warnings.catch_warnings():
            # Captum warns that it sets hooks.
            warnings.filterwarnings("ignore", category=UserWarning)
            results.append(
                attr.DeepLift(net).attribute(
                    SOME,
                    torch.zeros_like(SOME),
                    target=target,
                    return_convergence_delta=True,
                )
            )
    (mine, delta), (theirs, _) = results
    torch.testing.assert_close(mine, theirs)
    assert delta.abs().max() < 1e-4


@pytest.mark.parametrize("depth", [0, 1])
def test_captum_layer_conductance(fit, depth):
    attr = pytest.importorskip("captum.attr")
    module = fit().module_
    expected = sequential(module, nn.ReLU)
    target = 1 if module.layers[-1].out_features > 1 else None
    for mine, theirs in (
        (module.layers[depth], expected[2 * depth]),
        (module.activations[depth], expected[2 * depth + 1]),
    ):
        torch.testing.assert_close(
            attr.LayerConductance(module, mine).attribute(SOME, target=target),
            attr.LayerConductance(expected, theirs).attribute(SOME, target=target),
        )


@pytest.mark.parametrize("name", ["relu", "tanh", "logistic", "elu", "selu", "gelu"])
def test_shap_deep_explainer(fit, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap = pytest.importorskip("shap")
    module = fit(activation=name).module_
    expected = sequential(module, MODULES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = (
            shap.DeepExplainer(net, BASELINE).shap_values(SOME)
            for net in (module, expected)
        )
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_torchinfo_counts_the_same(fit):
    torchinfo = pytest.importorskip("torchinfo")
    module = fit().module_
    expected = sequential(module, nn.ReLU)
    mine, theirs = (
        torchinfo.summary(net, input_data=SOME, verbose=0) for net in (module, expected)
    )
    assert mine.total_params == theirs.total_params
    assert mine.total_mult_adds == theirs.total_mult_adds


class Doubled(DenseNetwork):
    """A dense network that doubles its raw scores."""

    def forward(self, x, codes=None):
        return 2 * super().forward(x, codes)


class DoubledClassifier(MLPClassifier):
    """A classifier with a network of its own."""

    def _build(self, config, seed=0):
        return Doubled(**config)

    def _has_dense_gradient(self, plan):
        return False


def test_forward_of_a_subclass_is_used_in_predict():
    model = DoubledClassifier((8, 6), max_iter=2, random_state=0).fit(X, LABELS)
    expected = [model.predict_proba(part) for part in np.split(MANY, 4)]
    np.testing.assert_allclose(
        model.predict_proba(MANY), np.concatenate(expected), rtol=1e-4
    )
