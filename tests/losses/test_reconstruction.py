"""Losses of reconstructions, compared with scipy, scikit-learn and torch."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from skdeep.losses import ImageLoss, TableLoss, gaussian_divergence

rng = np.random.default_rng(0)
N_KNOWN = [2, 0, 3]
NUMBERS = rng.normal(size=(6, 2))
# 0 is a missing category and 1 an unknown one.
CODES = np.array([[2, 0, 2], [3, 0, 4], [0, 1, 3], [1, 0, 2], [2, 0, 0], [3, 1, 1]])
RAW = rng.normal(size=(6, 7))


def tensors(*arrays):
    return [torch.tensor(array) for array in arrays]


def entropies(raw, codes):
    """Return the cross entropies one by one, 0 where there is no known category."""
    expected, starts = np.zeros(codes.shape), np.cumsum([2, *N_KNOWN])
    for i, j in np.ndindex(codes.shape):
        if codes[i, j] >= 2:
            scores = raw[i, starts[j] : starts[j + 1]]
            expected[i, j] = -log_softmax(scores)[codes[i, j] - 2]
    return expected


def test_error_of_a_row_is_the_mean_over_its_columns():
    x = NUMBERS.copy()
    x[0, 1] = x[4] = np.nan
    loss = TableLoss(2, N_KNOWN)
    assert loss.n_scores == 7
    found = loss.of_rows(*tensors(RAW, x, CODES)).numpy()
    errors = np.column_stack([(RAW[:, :2] - x) ** 2, entropies(RAW, CODES)])
    observed = np.column_stack([~np.isnan(x), CODES >= 2])
    for i in range(len(x)):
        np.testing.assert_allclose(found[i], errors[i][observed[i]].mean())


def test_row_without_values_has_no_error_and_no_gradient():
    raw = torch.tensor(RAW[:1, :2], requires_grad=True)
    loss = TableLoss(2).of_rows(raw, torch.full((1, 2), torch.nan))
    loss.sum().backward()
    assert loss.item() == 0
    assert raw.grad.abs().max() == 0


def test_gradients_agree_with_differences():
    x = NUMBERS.copy()
    x[0, 1] = np.nan
    raw = torch.tensor(RAW, requires_grad=True)
    scale = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    inputs, loss = tensors(x, CODES), TableLoss(2, N_KNOWN)
    assert torch.autograd.gradcheck(lambda raw: loss.of_rows(raw, *inputs), raw)
    assert torch.autograd.gradcheck(
        lambda raw, scale: loss.surprisals(raw, scale, *inputs), (raw, scale)
    )


def test_surprisals_are_log_densities():
    x, scale = NUMBERS.copy(), np.array([0.3, -0.2])
    x[0, 1] = np.nan
    found = TableLoss(2, N_KNOWN).surprisals(*tensors(RAW, scale, x, CODES)).numpy()
    densities = norm(RAW[:, :2], np.exp(scale)).logpdf(x)
    expected = entropies(RAW, CODES).sum(1) - np.nansum(densities, axis=1)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("sizes", [(5,), (3, 4), (2, 3, 2)])
def test_images(sizes):
    raw, x = rng.normal(size=(2, 6, 3, *sizes))
    scale = np.array([0.1, -0.3, 0.2])
    loss = ImageLoss(3)
    np.testing.assert_allclose(
        loss.of_rows(*tensors(raw, x)), ((raw - x) ** 2).reshape(6, -1).mean(1)
    )
    spread = np.exp(scale).reshape(3, *[1] * len(sizes))
    expected = -norm(raw, spread).logpdf(x).reshape(6, -1).sum(1)
    np.testing.assert_allclose(loss.surprisals(*tensors(raw, scale, x)), expected)


def test_divergence_is_that_of_torch():
    mean, log_variance = tensors(*rng.normal(size=(2, 5, 3)))
    given = Normal(mean, (log_variance / 2).exp())
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(
        gaussian_divergence(mean, log_variance), kl_divergence(given, prior).sum(1)
    )
