"""Hand-written activations, compared with modules and autograd."""

import pytest
import torch
from torch import nn

from skdeep.networks import ACTIVATIONS

# Private: the closed forms are compared with autograd, activation by activation.
from skdeep.networks._activations import make_activation


@pytest.mark.parametrize("pieces", [2, 3])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_closed_form_equals_module(name, pieces):
    activation = make_activation(name, maxout_pieces=pieces)
    module = activation.make_module()
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 30, 12, dtype=torch.float64, generator=generator) * 3
    z.requires_grad_()
    a = module(z)
    upstream = torch.randn(a.shape, dtype=a.dtype, generator=generator)
    (expected,) = torch.autograd.grad(a, z, upstream)

    kept = z.detach().clone()
    out = activation.activate(kept)
    torch.testing.assert_close(out, a.detach())
    torch.testing.assert_close(activation.backward(upstream, kept, out), expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_modules_are_torch_classes(name):
    activation = make_activation(name)
    assert not isinstance(activation, nn.Module)
    is_of_torch = type(activation.make_module()).__module__.startswith("torch.nn.")
    assert is_of_torch == (name != "maxout")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_requires_eval_mode_and_no_hooks(name):
    activation = make_activation(name, maxout_pieces=3)
    module = activation.make_module()
    assert not activation.equals(module)  # it is in training mode
    assert activation.equals(module.eval())
    handle = module.register_forward_hook(lambda *args: None)
    assert not activation.equals(module)
    handle.remove()
    assert activation.equals(module)
    assert not activation.equals(nn.Hardtanh().eval())


@pytest.mark.parametrize(
    "name, setting",
    [("leaky_relu", "negative_slope"), ("elu", "alpha"), ("maxout", "pieces")],
)
def test_equals_compares_settings(name, setting):
    activation = make_activation(name, maxout_pieces=3)
    module = activation.make_module().eval()
    setattr(module, setting, 2)
    assert not activation.equals(module)
