"""Dropout: the share of zeros, the scale, and masks in the order of the memory."""

import pytest
import torch

from skdeep.networks import Dropout


def layer(p, seed=0):
    """Make dropout in training mode with its own generator."""
    dropout = Dropout(p).train()
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout


# Small and large layers draw in different ways.
@pytest.mark.parametrize("n_rows", [10, 300])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_zeros_and_scale(p, n_rows):
    x = torch.ones(n_rows, 16, 6, 6, dtype=torch.float64)
    values = layer(p)(x)
    assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    share = float((values == 0).double().mean())
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)


def test_nearly_all_values_dropped():
    assert layer(1 - 1e-9)(torch.ones(300, 300)).count_nonzero() < 20


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_kept(form):
    x = torch.ones(64, 16, 12, 12).to(memory_format=form)
    first, again = layer(0.3, seed=1)(x), layer(0.3, seed=1)(x)
    assert first.is_contiguous(memory_format=form)
    assert torch.equal(first, again)
    # Neither images nor channels share a mask.
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[:, 0], first[:, 1])


def test_global_generator_is_not_touched():
    before = torch.get_rng_state()
    layer(0.5)(torch.ones(300, 300))
    assert torch.equal(torch.get_rng_state(), before)


def test_prediction_is_unchanged():
    x = torch.ones(300, 300)
    assert layer(0.5).eval()(x) is x
