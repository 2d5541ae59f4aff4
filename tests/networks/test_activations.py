"""Activations: the written-out derivative against autograd."""

import pytest
import torch

from skdeep.networks import ACTIVATIONS
from skdeep.networks._activations import make_activation


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_backward_equals_autograd(name):
    activation = make_activation(name, maxout_pieces=2)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 30, 8, dtype=torch.float64, generator=generator) * 3
    z.requires_grad_()
    a = activation(z)
    upstream = torch.randn(a.shape, dtype=a.dtype, generator=generator)
    (expected,) = torch.autograd.grad(a, z, upstream)

    kept = z.detach().clone()
    out = activation.activate(kept)
    torch.testing.assert_close(out, a.detach())
    torch.testing.assert_close(activation.backward(upstream, kept, out), expected)
