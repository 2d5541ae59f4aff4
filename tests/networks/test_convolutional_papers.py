"""Convolutional networks against the figures and formulas of their papers."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skdeep.networks import ConvolutionalNetwork
from skdeep.networks._convolutional._googlenet import Inception, Widths
from skdeep.networks._convolutional._layers import LayerBuilder, LocalResponseNorm
from skdeep.networks._convolutional._lenet import C3_INPUTS, Squash, Subsampling
from skdeep.networks._convolutional._resnet import PaddedShortcut, ResidualBlock
from skdeep.networks._convolutional._weights import initialize_layers


def make_meta(shape, n_outputs, architecture, **params):
    """Return a network without memory for its weights."""
    with torch.device("meta"):
        return ConvolutionalNetwork(
            shape, n_outputs, architecture=architecture, **params
        )


def count(module):
    return sum(p.numel() for p in module.parameters())


def draw(*shape):
    return torch.as_tensor(np.random.default_rng(0).normal(size=shape)).float()


def map_shapes(network, shape):
    """Return the shape of every feature map, by name."""
    shapes = {}
    for name, module in network.maps().items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: shapes.update(
                {name: tuple(output.shape[1:])}
            )
        )
    network.eval()(torch.empty(1, *shape, device="meta"))
    return shapes


# -- LeNet-5 -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [28, 32])
def test_lenet5_counts(size):
    network = make_meta((1, size, size), 10, "lenet5")
    layers = dict(network.body.named_children())
    counts = {name: count(layer) for name, layer in layers.items() if count(layer)}
    assert counts == {
        "c1": 156,
        "s2": 12,
        "c3": 1516,
        "s4": 32,
        "c5": 48120,
        "f6": 10164,
    }
    assert sum(counts.values()) == 60_000
    assert map_shapes(network, (1, size, size)) == {
        "C1": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "S4": (16, 5, 5),
    }


@pytest.mark.parametrize(
    "size, c1", [(12, 12), (28, 28), (30, 28), (31, 28), (32, 28), (40, 36)]
)
def test_lenet5_pads_up_to_32(size, c1):
    network = make_meta((1, size, size), 10, "lenet5")
    assert map_shapes(network, (1, size, size))["C1"] == (6, c1, c1)


def test_lenet5_padding_is_on_both_sides():
    body = ConvolutionalNetwork((1, 12, 31), 10, architecture="lenet5").body
    x = draw(1, 1, 12, 31)
    assert torch.equal(body.pad(x), F.pad(x, (0, 1, 2, 2)))


def test_lenet5_connections():
    """The columns of Table I of the paper."""
    expected = """
        012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345
    """.split()
    assert ["".join(map(str, inputs)) for inputs in C3_INPUTS] == expected


def make_lenet5():
    network = ConvolutionalNetwork((1, 28, 28), 10, architecture="lenet5")
    network.initialize(np.random.RandomState(0))
    return network


def test_lenet5_maps_read_their_inputs_only():
    conv = make_lenet5().body.c3.conv
    x = draw(1, 6, 7, 8)
    with torch.no_grad():
        conv.bias.copy_(torch.arange(16.0))
        out = conv(x)[0]
        kernels = iter(conv.weight)
        for i, inputs in enumerate(C3_INPUTS):
            parts = [
                F.conv2d(x[:, j : j + 1], next(kernels)[None, None])[0, 0]
                for j in inputs
            ]
            torch.testing.assert_close(out[i], sum(parts) + i)


def test_lenet5_initial_scale():
    """Variance 1 / fan_in, where the fan-in of C3 depends on the map."""
    network = make_lenet5()
    assert network.body.c5.conv.weight.std().item() == pytest.approx(1 / 20, rel=0.03)
    kernels = iter(network.body.c3.conv.weight.detach())
    scaled = [np.sqrt(25 * len(i)) * next(kernels) for i in C3_INPUTS for _ in i]
    assert torch.stack(scaled).std().item() == pytest.approx(1, rel=0.1)
    assert torch.stack(scaled[:18]).std().item() == pytest.approx(1, rel=0.15)


def test_lenet5_subsampling_and_activation():
    x = draw(2, 3, 4, 5)
    layer = Subsampling(LayerBuilder((3, 4, 5)))
    factor, bias = np.array([1.0, 2, 3]), np.array([4.0, 5, 6])
    with torch.no_grad():
        layer.coefficient.copy_(torch.as_tensor(factor))
        layer.bias.copy_(torch.as_tensor(bias))
        found = Squash()(layer(x)).numpy()
    means = x.numpy()[..., :4].reshape(2, 3, 2, 2, 2, 2).mean(axis=(3, 5))
    z = means * factor[:, None, None] + bias[:, None, None]
    np.testing.assert_allclose(found, 1.7159 * np.tanh(2 * z / 3), rtol=1e-5)


# -- AlexNet -------------------------------------------------------------------------


def test_alexnet_counts():
    """60 million parameters (section 1 of the paper)."""
    network = make_meta((3, 224, 224), 1000, "alexnet")
    assert count(network) == 60_965_224
    maps = network.maps()
    counts = {name: count(module) for name, module in maps.items()}
    assert counts == {
        "conv1": 11 * 11 * 3 * 96 + 96,
        "conv2": 5 * 5 * 48 * 256 + 256,
        "conv3": 3 * 3 * 256 * 384 + 384,
        "conv4": 3 * 3 * 192 * 384 + 384,
        "conv5": 3 * 3 * 192 * 256 + 256,
    }
    first = maps["conv1"].conv(torch.empty(1, 3, 224, 224, device="meta"))
    assert first.shape[1:] == (96, 55, 55)
    assert map_shapes(network, (3, 224, 224)) == {
        "conv1": (96, 27, 27),
        "conv2": (256, 13, 13),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 6, 6),
    }


@pytest.mark.parametrize(
    "size, kernel, stride, last",
    [
        (15, 5, 1, 1),
        (32, 5, 1, 3),
        (33, 5, 2, 1),
        (64, 5, 2, 3),
        (65, 11, 4, 1),
        (224, 11, 4, 6),
    ],
)
def test_alexnet_stem(size, kernel, stride, last):
    """Each axis has a stem for its size."""
    network = make_meta((1, size, 224), 2, "alexnet")
    conv = network.body.conv1.conv
    assert conv.kernel_size == (kernel, 11)
    assert conv.stride == (stride, 4)
    assert map_shapes(network, (1, size, 224))["conv5"] == (256, last, 6)


@pytest.mark.parametrize("n_channels", [1, 3, 9])
def test_local_response_norm(n_channels):
    """The formula of section 3.3 of the paper."""
    x = 60 * np.random.default_rng(0).normal(size=(2, n_channels, 3, 4))
    expected = np.empty_like(x)
    for i in range(n_channels):
        near = x[:, max(0, i - 2) : min(n_channels - 1, i + 2) + 1]
        expected[:, i] = x[:, i] / (2 + 1e-4 * (near**2).sum(axis=1)) ** 0.75
    np.testing.assert_allclose(LocalResponseNorm()(torch.as_tensor(x)), expected)


def test_alexnet_equals_its_layers():
    network = ConvolutionalNetwork((1, 15, 17), 4, architecture="alexnet").eval()
    network.initialize(np.random.RandomState(0))
    body, x = network.body, draw(2, 1, 15, 17)

    def pool(values):
        return F.max_pool2d(values, 3, 2)

    with torch.no_grad():
        z = body.conv1.conv(x).relu()
        z = pool(F.local_response_norm(z, 5, alpha=5e-4, beta=0.75, k=2))
        z = body.conv2.conv(z).relu()
        z = pool(F.local_response_norm(z, 5, alpha=5e-4, beta=0.75, k=2))
        z = body.conv4.conv(body.conv3.conv(z).relu()).relu()
        z = pool(body.conv5.conv(z).relu()).flatten(1)
        z = body.dense.linear2(body.dense.linear1(z).relu()).relu()
        torch.testing.assert_close(network(x), network.head(z))


# -- GoogLeNet -----------------------------------------------------------------------

# Table 1 of the paper: maps, sizes, parameters in thousands (of 1024) and multiply-adds
# in millions.
INCEPTION = {
    "inception_3a": (256, 28, 159, 128),
    "inception_3b": (480, 28, 380, 304),
    "inception_4a": (512, 14, 364, 73),
    "inception_4b": (512, 14, 437, 88),
    "inception_4c": (512, 14, 463, 100),
    "inception_4d": (528, 14, 580, 119),
    "inception_4e": (832, 14, 840, 170),
    "inception_5a": (832, 7, 1072, 54),
    "inception_5b": (1024, 7, 1388, 71),
}


def count_kernels(module):
    """Return the number of weights of convolutions."""
    return sum(p.numel() for p in module.parameters() if p.ndim == 4)


def test_googlenet_counts():
    network = make_meta((3, 224, 224), 1000, "googlenet")
    maps = network.maps()
    # The table's 2.7K for the first convolution is an error.
    assert count_kernels(maps.pop("conv1")) == 7 * 7 * 3 * 64
    second = count_kernels(maps.pop("conv2")) + count_kernels(network.body.reduce)
    assert second / 1024 == pytest.approx(112, abs=1)
    for name, module in maps.items():
        _, size, thousands, millions = INCEPTION[name]
        found = count_kernels(module)
        # The table's widths, parameters and multiply-adds do not agree exactly: the
        # parameters of 4c contradict the two other columns, and only its widths give
        # 51 M for 5a.
        assert found / 1024 == pytest.approx(thousands, rel=0.075), name
        rounding = 3 if name == "inception_5a" else 1
        assert found * size**2 / 1e6 == pytest.approx(millions, abs=rounding), name
    assert network.head.weight.numel() / 1024 == 1000
    shapes = map_shapes(network, (3, 224, 224))
    assert shapes.pop("conv1") == (64, 56, 56)
    assert shapes.pop("conv2") == (192, 28, 28)
    assert shapes == {n: (c, s, s) for n, (c, s, *_) in INCEPTION.items()}


def test_googlenet_work():
    """Table 1 adds up to 1,502 M; its 34 M for the first layer should be 118 M."""
    network = make_meta((3, 224, 224), 1000, "googlenet")
    assert network.work_per_row == pytest.approx(1.586e9, rel=0.01)


def test_googlenet_stem_of_small_images():
    network = make_meta((3, 64, 65), 10, "googlenet")
    conv = network.body.conv1.conv
    assert (conv.kernel_size, conv.stride) == ((3, 7), (1, 2))
    shapes = map_shapes(network, (3, 64, 65))
    assert shapes["conv1"] == (64, 64, 17)
    assert shapes["inception_5b"] == (1024, 8, 3)
    assert "pool" not in dict(
        make_meta((3, 64), 10, "googlenet").body.conv1.named_children()
    )


def test_inception_module():
    """Four branches, each convolution with normalization and ReLU, in this order."""
    module = Inception(LayerBuilder((3, 5, 6)), Widths(2, 3, 4, 5, 6, 7)).eval()
    initialize_layers(module, "he", torch.Generator().manual_seed(0))
    x = draw(2, 3, 5, 6)

    def apply(layer, values):
        return layer.norm(layer.conv(values)).relu()

    with torch.no_grad():
        three = apply(module.branch3.conv, apply(module.branch3.reduce, x))
        five = apply(module.branch5.conv, apply(module.branch5.reduce, x))
        pooled = apply(module.branch_pool.project, F.max_pool2d(x, 3, 1, 1))
        expected = [apply(module.branch1, x), three, five, pooled]
        torch.testing.assert_close(module(x), torch.cat(expected, dim=1))
    assert [part.shape[1] for part in expected] == [2, 4, 6, 7]
    assert module.branch3.conv.conv.kernel_size == (3, 3)
    assert module.branch5.conv.conv.kernel_size == (5, 5)


# -- ResNet --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "depth, millions", [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_resnet_counts_for_cifar(depth, millions):
    """Table 6 of the paper."""
    network = make_meta((3, 32, 32), 10, "resnet", depth=depth)
    digits = 1 if depth == 110 else 2
    assert round(count(network) / 1e6, digits) == millions
    assert len(network.maps()) == 1 + (depth - 2) // 2


@pytest.mark.parametrize("depth, work", [(18, 1.8e9), (34, 3.6e9)])
def test_resnet_work_for_imagenet(depth, work):
    """Table 1 of the paper."""
    network = make_meta((3, 224, 224), 1000, "resnet", depth=depth)
    assert network.work_per_row == pytest.approx(work, rel=0.02)
    shapes = map_shapes(network, (3, 224, 224))
    assert len(shapes) == 1 + (depth - 2) // 2
    assert shapes["conv1"] == (64, 56, 56)
    assert list(shapes.values())[-1] == (512, 7, 7)
    assert list(dict.fromkeys(shapes.values())) == [
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]


@pytest.mark.parametrize(
    "depth, n_filters",
    [(8, [16, 32, 64]), (14, [16, 32, 64]), (18, [64, 128, 256, 512])],
)
def test_resnet_stages_of_small_images(depth, n_filters):
    network = make_meta((3, 32, 64), 10, "resnet", depth=depth)
    shapes = list(map_shapes(network, (3, 32, 64)).values())
    assert list(dict.fromkeys(shapes)) == [
        (f, 32 >> i, 64 >> i) for i, f in enumerate(n_filters)
    ]
    assert network.body.stem.conv.kernel_size == (3, 3)


def test_resnet_stem_shrinks_long_axes():
    network = make_meta((3, 64, 65), 10, "resnet")
    conv = network.body.stem.conv
    assert (conv.kernel_size, conv.stride) == ((3, 7), (1, 2))
    assert map_shapes(network, (3, 64, 65))["conv1"] == (16, 64, 17)


@pytest.mark.parametrize("sizes", [(5,), (4, 5), (3, 4, 5)])
def test_padded_shortcut(sizes):
    x = draw(2, 3, *sizes)
    out = PaddedShortcut(2)(x)
    kept = x[:, :, ::2]
    for axis in range(3, x.ndim):
        kept = kept.index_select(axis, torch.arange(0, x.shape[axis], 2))
    assert torch.equal(out[:, :3], kept)
    assert out.shape[1] == 5
    assert (out[:, 3:] == 0).all()


@pytest.mark.parametrize(
    "n_filters, stride, projects", [(3, 1, True), (6, 2, True), (6, 2, False)]
)
def test_residual_block(n_filters, stride, projects):
    block = ResidualBlock(LayerBuilder((3, 5, 6)), n_filters, stride, projects).eval()
    initialize_layers(block, "he_fan_out", torch.Generator().manual_seed(0))
    x = draw(2, 3, 5, 6)
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(2)
                module.bias.fill_(0.1)
        z = block.conv1.norm(block.conv1.conv(x)).relu()
        z = block.norm2(block.conv2(z))
        if block.shortcut is None:
            shortcut = x
        elif projects:
            shortcut = block.shortcut.norm(
                F.conv2d(x, block.shortcut.conv.weight, stride=2)
            )
        else:
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 3))
        torch.testing.assert_close(block(x), (z + shortcut).relu())


def test_resnet_initial_scale():
    """Normal with variance 2 / fan_out (He et al., 2015)."""
    network = ConvolutionalNetwork((3, 8, 8), 10, architecture="resnet", depth=8)
    network.initialize(np.random.RandomState(0))
    weight = network.body.blocks.block3.conv1.conv.weight.detach()
    assert weight.shape == (64, 32, 3, 3)
    scale = np.sqrt(2 / (64 * 9))
    assert weight.std().item() == pytest.approx(scale, rel=0.03)
    assert weight.abs().max() > 3 * scale


def test_resnet_scores_are_linear_in_averages():
    network = ConvolutionalNetwork((3, 8, 8), 10, architecture="resnet", depth=8)
    network.initialize(np.random.RandomState(0))
    body, x = network.eval().body, draw(2, 3, 8, 8)
    with torch.no_grad():
        means = body.blocks(body.stem(x)).flatten(2).mean(dim=2)
        torch.testing.assert_close(network(x), network.head(means))
