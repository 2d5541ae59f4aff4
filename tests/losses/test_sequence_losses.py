"""The losses of generated sequences, compared with loops over rows and steps."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skdeep.losses import NumberLoss, StepLoss, TokenLoss, make_loss

N, T, V = 4, 5, 6
LENGTHS = [5, 1, 3, 2]
rng = np.random.default_rng(0)


def token_rows():
    target = torch.from_numpy(rng.integers(2, V, (N, T)))
    for row, length in zip(target, LENGTHS, strict=True):
        row[length:] = -1
    return torch.from_numpy(rng.normal(scale=2, size=(N, T, V))), target


def number_rows(n_scores):
    target = torch.from_numpy(rng.normal(size=(N, T, 2)))
    for row, length in zip(target, LENGTHS, strict=True):
        row[length:] = torch.nan
    return torch.from_numpy(rng.normal(size=(N, T, n_scores))), target


def check(loss, raw, target, expected):
    """Check losses and gradient against a function of the real steps of a row."""
    raw.requires_grad_()
    got = loss.per_sample_in_batch(raw, target, None)
    by_hand = torch.stack(
        [
            expected(raw[i, :length], target[i, :length]) / loss.mean_length
            for i, length in enumerate(LENGTHS)
        ]
    )
    torch.testing.assert_close(got, by_hand)
    factors = torch.arange(1.0, N + 1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((got * factors).sum(), raw)
    torch.testing.assert_close(
        gradient, torch.autograd.grad((by_hand * factors).sum(), raw)[0]
    )
    for row, length in zip(gradient, LENGTHS, strict=True):
        assert (row[length:] == 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_tokens(smoothing):
    loss = TokenLoss(mean_length=2.5, label_smoothing=smoothing)
    raw, target = token_rows()

    def expected(raw, target):
        share = torch.full_like(raw, smoothing / V)
        share += (1 - smoothing) * F.one_hot(target, V)
        return -(share * torch.log_softmax(raw, -1)).sum()

    check(loss, raw, target, expected)


@pytest.mark.parametrize("has_end", [False, True])
def test_numbers(has_end):
    loss = NumberLoss(mean_length=2.5, has_end=has_end)
    raw, target = number_rows(3 if has_end else 2)

    def expected(raw, target):
        total = (raw[:, :2] - target).square().sum() / 2
        if has_end:
            goes_on, ends = raw[:-1, 2], raw[-1, 2]
            total = total + F.softplus(goes_on).sum() + F.softplus(-ends)
        return total

    check(loss, raw, target, expected)


def test_one_length_is_the_loss_of_steps():
    """With equal lengths, the loss is the mean over the steps."""

    class Params:
        label_smoothing = 0.2
        loss = "log_loss"

    raw, _ = token_rows()
    target = torch.from_numpy(rng.integers(0, V, (N, T)))
    steps = StepLoss(make_loss(Params(), "classes"))
    torch.testing.assert_close(
        TokenLoss(T, 0.2).per_sample(raw, target), steps.per_sample(raw, target)
    )


def test_outputs():
    raw, _ = token_rows()
    raw[..., :2] = 100.0  # padding and unknown tokens are not generated
    outputs = TokenLoss().outputs(raw)
    assert (outputs == raw[..., 2:].argmax(-1) + 2).all()
    raw, _ = number_rows(3)
    assert torch.equal(NumberLoss(has_end=True).outputs(raw), raw[..., :2])
    assert torch.equal(NumberLoss().outputs(raw), raw)
