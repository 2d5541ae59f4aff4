"""Convolutional networks: what holds for every architecture, and "simple"."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skdeep.networks import (
    ACTIVATIONS,
    CONVOLUTIONAL_ARCHITECTURES,
    ConvolutionalNetwork,
    Dropout,
)

every_architecture = pytest.mark.parametrize(
    "architecture", CONVOLUTIONAL_ARCHITECTURES
)

# Small inputs of each number of axes, with sizes that pooling does not divide. AlexNet
# of volumes is too large for a quick test.
SIZES = {
    "simple": [(5,), (5, 9), (3, 4, 5)],
    "lenet5": [(13,), (12, 15), (12, 12, 12)],
    "alexnet": [(17,), (15, 16)],
    "googlenet": [(5,), (5, 9), (3, 2, 5)],
    "resnet": [(5,), (5, 9), (3, 4, 5)],
}
every_case = pytest.mark.parametrize(
    "architecture, sizes",
    [(name, sizes) for name, cases in SIZES.items() for sizes in cases],
)


def make(architecture="simple", sizes=(5, 9), n_outputs=3, seed=0, **params):
    params = {"depth": 8, **params} if architecture == "resnet" else params
    network = ConvolutionalNetwork(
        (2, *sizes), n_outputs, architecture=architecture, **params
    )
    network.initialize(np.random.RandomState(seed))
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)
    return network.eval()


def draw(*shape):
    return torch.as_tensor(np.random.default_rng(0).normal(size=shape)).float()


@every_case
def test_outputs_and_gradients(architecture, sizes):
    """Each row gets scores of its own, and every parameter a gradient."""
    network = make(architecture, sizes)
    x = draw(4, 2, *sizes)
    with torch.no_grad():
        raw = network(x)
        assert raw.shape == (4, 3)
        torch.testing.assert_close(raw[2:3], network(x[2:3]), rtol=1e-3, atol=1e-4)
        assert raw.std(dim=0).min() > 1e-3
        # Weights keep the scale of the signal.
        assert 0.03 < raw.std() < 30
        hidden = network.hidden(x)
        assert hidden.shape == (4, network.head.in_features)
        torch.testing.assert_close(network.head(hidden), raw)
    network.train()
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
        # A penalty distinguishes weights by their number of axes.
        is_weight = name.endswith("weight") and "norm" not in name
        assert (parameter.ndim > 1) == is_weight, name


@every_case
def test_feature_maps(architecture, sizes):
    """They are computed in this order, and no later layer overwrites them."""
    network = make(architecture, sizes)
    found = {}

    for name, module in network.maps().items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: found.update(
                {name: (output, output.clone())}
            )
        )
    x = draw(3, 2, *sizes)
    before = x.clone()
    with torch.no_grad():
        network(x)
    assert torch.equal(x, before)
    assert list(found) == list(network.maps())
    assert len(found) > 1
    for output, copy in found.values():
        assert (output.ndim, len(output)) == (x.ndim, 3)
        assert torch.equal(output, copy)


@every_architecture
def test_initial_weights(architecture):
    """They depend on the given generator alone, and replace everything."""
    sizes = SIZES[architecture][0]
    before = torch.get_rng_state()
    network = make(architecture, sizes)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        for value in network.state_dict().values():
            value.fill_(7)
    network.initialize(np.random.RandomState(0))
    for name, value in network.state_dict().items():
        assert torch.equal(value, first[name]), name
    network.initialize(np.random.RandomState(1))
    assert torch.equal(torch.get_rng_state(), before)
    ones = ("running_var", "norm.weight", "norm2.weight", "coefficient")
    zeros = ("bias", "running_mean", "num_batches_tracked")
    for name, value in network.state_dict().items():
        if name.endswith(ones):
            assert (value == 1).all(), name
        elif name.endswith(zeros):
            assert (value == 0).all(), name
        else:
            assert not torch.equal(value, first[name]), name


@every_case
def test_work_is_the_number_of_multiply_adds(architecture, sizes):
    network = make(architecture, sizes)
    counts = []

    def count(module, inputs, output):
        weight = getattr(module, "full_weight", lambda: module.weight)()
        counts.append(output[0].numel() * weight[0].numel())

    for name, module in network.named_modules():
        if hasattr(module, "weight") and "norm" not in name:
            module.register_forward_hook(count)
    with torch.no_grad():
        network(draw(1, 2, *sizes))
    assert network.work_per_row == sum(counts)


@every_architecture
def test_images_stay_in_the_order_of_memory_that_convolutions_prefer(architecture):
    sizes = SIZES[architecture][1]
    network = make(architecture, sizes)
    x = draw(2, 2, *sizes).to(memory_format=torch.channels_last)
    orders = {}
    for name, module in network.maps().items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: orders.update(
                {name: output.is_contiguous(memory_format=torch.channels_last)}
            )
        )
    with torch.no_grad():
        expected = network(x.contiguous())
        torch.testing.assert_close(network(x), expected, rtol=1e-3, atol=1e-4)
    assert all(orders.values()), orders


@every_architecture
def test_smallest_image(architecture, monkeypatch):
    body = CONVOLUTIONAL_ARCHITECTURES[architecture]
    size = body.min_size
    with torch.no_grad():
        raw = make(architecture, (size, size + 3))(draw(2, 2, size, size + 3))
    assert raw.shape == (2, 3)
    if size == 1:
        return
    with pytest.raises(ValueError, match=f"least {size} × {size}"):
        make(architecture, (size + 3, size - 1))
    # One less is too small in fact: some layer refuses it.
    monkeypatch.setattr(body, "min_size", 1)
    with torch.device("meta"), pytest.raises(RuntimeError):
        network = ConvolutionalNetwork(
            (2, size + 3, size - 1), 3, architecture=architecture
        )
        network(torch.empty(1, 2, size + 3, size - 1))


@pytest.mark.parametrize(
    "sizes, message",
    [
        ((4,), "Signals of 4 steps .*='alexnet', which needs at least 15."),
        (
            (4, 20),
            "Images of 4 × 20 pixels .*='alexnet', which needs at least 15 × 15.",
        ),
        ((20, 4, 20), "Volumes of 20 × 4 × 20 voxels .* at least 15 × 15 × 15."),
    ],
)
def test_too_small_inputs_are_described(sizes, message):
    with pytest.raises(ValueError, match=message):
        make("alexnet", sizes)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"architecture": "vgg"}, "architecture='vgg' .* 'alexnet', 'googlenet'"),
        ({"activation": "maxout"}, "activation='maxout' is not available .* 'elu', "),
        ({"architecture": "resnet", "depth": 50}, "depth=50 .* 8, 14, 18, 20, 32"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size=\(3, 3, 3\) has 3 entries.* 2 axes"),
        ({"pool_size": (2,)}, r"pool_size=\(2,\) has 1 entries.* 2 axes"),
    ],
)
def test_parameters_that_do_not_fit(params, message):
    with pytest.raises(ValueError, match=message):
        make(**params)


def active_dropouts(network, x):
    """Return (p, shape) of every dropout that changes values in training."""
    found = []

    def record(module, inputs, output):
        if not torch.equal(inputs[0], output):
            found.append((module.p, tuple(output.shape[1:])))

    for module in network.modules():
        assert not isinstance(module, torch.nn.modules.dropout._DropoutNd)
        if isinstance(module, Dropout):
            module.register_forward_hook(record)
    with torch.no_grad():
        network(x)
        assert found == []
        network.train()(x)
    return found


@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, [(0.25, (32, 2, 4)), (0.25, (64, 1, 2)), (0.25, (128,))]),
        (
            {"dropout": 0.5, "filters": (4,), "hidden_layer_sizes": (7, 8)},
            [(0.5, (4, 2, 4)), (0.5, (7,)), (0.5, (8,))],
        ),
        # The values of the last block are dropped once.
        ({"filters": (4,), "hidden_layer_sizes": ()}, [(0.25, (4, 2, 4))]),
        ({"dropout": 0.0}, []),
    ],
)
def test_dropout_of_simple(params, expected):
    assert active_dropouts(make(**params), draw(20, 2, 5, 9)) == expected


@pytest.mark.parametrize(
    "architecture, expected",
    [
        ("lenet5", []),
        ("alexnet", [(0.5, (4096,)), (0.5, (4096,))]),
        ("googlenet", [(0.4, (1024,))]),
        ("resnet", []),
    ],
)
def test_dropout_of_papers(architecture, expected):
    network = make(architecture, (15, 15))
    assert active_dropouts(network, draw(2, 2, 15, 15)) == expected


CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def compute_simple(network, x, activation, pools):
    """Return the raw scores of "simple" in the order of its description."""
    state = network.state_dict()

    def normalize(values, prefix):
        if f"{prefix}.norm.weight" not in state:
            return values
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(values, *[state[f"{prefix}.norm.{n}"] for n in names])

    for i, pool in enumerate(pools, start=1):
        prefix = f"body.blocks.conv{i}"
        weight, bias = (state.get(f"{prefix}.conv.{n}") for n in ("weight", "bias"))
        x = CONVOLVE[x.ndim - 2](x, weight, bias, padding="same")
        x = POOL[x.ndim - 2](activation(normalize(x, prefix)), pool)
    x, i = x.flatten(1), 1
    while f"body.dense.dense{i}.linear.weight" in state:
        prefix = f"body.dense.dense{i}"
        weight, bias = (state.get(f"{prefix}.linear.{n}") for n in ("weight", "bias"))
        x = activation(normalize(F.linear(x, weight, bias), prefix))
        i += 1
    return F.linear(x, state["head.weight"], state["head.bias"])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "sizes, params, pools",
    [
        ((7,), {}, [2, 2]),
        ((1,), {}, [1, 1]),
        ((2,), {}, [2, 1]),
        ((7, 9), {"hidden_layer_sizes": (6, 5)}, [2, 2]),
        ((7, 9), {"hidden_layer_sizes": ()}, [2, 2]),
        ((7, 9), {"filters": ()}, []),
        ((7, 9), {"kernel_size": (4, 1), "pool_size": (1, 5)}, [(1, 5), (1, 1)]),
        ((7, 2), {"kernel_size": 2, "pool_size": 3}, [(3, 2), (2, 1)]),
        ((5, 4, 3), {"kernel_size": (2, 3, 4)}, [2, (2, 2, 1)]),
    ],
)
def test_simple_equals_torch_functions(sizes, params, pools, batch_norm):
    network = make(sizes=sizes, batch_norm=batch_norm, **{"filters": (4, 5), **params})
    with torch.no_grad():
        for values in network.state_dict().values():
            if values.ndim == 1:  # biases and the state of batch normalization
                values.copy_(draw(len(values)).abs() / 3 + 0.1)
        x = draw(6, 2, *sizes)
        expected = compute_simple(network, x, torch.relu, pools)
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"maxout"}))
def test_every_activation(name):
    """Whether it precedes or follows pooling makes no difference."""
    network = make(activation=name, filters=(4, 5))
    with torch.no_grad():
        x = 2 * draw(6, 2, 5, 9)
        function = network.body.blocks.conv1.activation
        expected = compute_simple(network, x, function, [2, 2])
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(
    "activation, gain",
    [("relu", np.sqrt(2)), ("gelu", np.sqrt(2)), ("selu", 1), ("tanh", None)],
)
def test_initial_scale_of_simple(activation, gain):
    """He et al. for most, LeCun et al. for SELU, Glorot & Bengio for tanh."""
    network = make(activation=activation, filters=(40, 60), hidden_layer_sizes=(100,))
    conv, linear = network.body.blocks.conv2.conv, network.body.dense.dense1.linear
    for layer, fan_in, fan_out in [(conv, 360, 540), (linear, 120, 100)]:
        scale = np.sqrt(2 / (fan_in + fan_out))
        if gain is not None:
            scale = gain / np.sqrt(fan_in)
        assert layer.weight.std().item() == pytest.approx(scale, rel=0.03)
        largest = layer.weight.abs().max().item() / scale
        # Normal draws go beyond the bound of uniform ones.
        assert (largest > 2) if activation == "selu" else (1.7 < largest < 1.7321)
    bound = np.sqrt(6 / (100 + 3))
    assert 0.9 * bound < network.head.weight.abs().max().item() <= bound


def test_layers_have_torch_types():
    """Tools find layers by their exact type, and pickle by its name."""
    for n_axes, layer_type in enumerate([nn.Conv1d, nn.Conv2d, nn.Conv3d], start=1):
        network = make(sizes=(3,) * n_axes)
        assert type(network.body.blocks.conv1.conv) is layer_type
        x = draw(2, 2, *[3] * n_axes)
        with torch.no_grad():
            raw = network(x)
            assert torch.equal(pickle.loads(pickle.dumps(network))(x), raw)


def test_weights_do_not_depend_on_the_dtype():
    double = ConvolutionalNetwork((2, 5, 9), 3).double()
    double.initialize(np.random.RandomState(0))
    single = make().state_dict()
    for name, value in double.state_dict().items():
        assert torch.equal(value.float(), single[name])
