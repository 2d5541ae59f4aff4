"""The losses of a game, against closed forms for a linear discriminator."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from skdeep.losses import ADVERSARIAL_LOSSES
from skdeep.training import (
    AdversarialRows,
    Batch,
    DiscriminatorObjective,
    GeneratorObjective,
)

REAL = torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-1.0, 1.0]])
ROW = torch.tensor([2.0, 1.0])
WEIGHT = torch.tensor([0.6, -0.8])  # of length 1


class Constant(nn.Module):
    """A generator of the same row for every code."""

    code_size = 3

    def __init__(self):
        super().__init__()
        self.row = nn.Parameter(ROW.clone())

    def forward(self, code):
        return self.row.expand(len(code), 2)

    def rows(self, raw, generator):
        return raw


class Linear(nn.Module):
    """A linear discriminator of packs."""

    def __init__(self, pack_size=1, factor=1.0):
        super().__init__()
        self.pack_size = pack_size
        self.weight = nn.Parameter(WEIGHT.repeat(pack_size) * factor)

    def forward(self, x):
        return x.reshape(-1, 2 * self.pack_size) @ self.weight


def losses(objective, discriminator, batch=None):
    networks = {"network": Constant(), "discriminator": discriminator}
    return objective.losses(networks, batch or Batch((REAL,))).detach()


def generator_objective(loss, pack_size=1):
    generator = torch.Generator().manual_seed(0)
    return GeneratorObjective(ADVERSARIAL_LOSSES[loss](2), generator, pack_size)


def discriminator_objective(loss, pack_size=1, **penalties):
    return DiscriminatorObjective(generator_objective(loss, pack_size), **penalties)


def test_logistic_losses_are_log_losses():
    generated = WEIGHT @ ROW
    expected = -logsigmoid(REAL @ WEIGHT) - logsigmoid(-generated)
    found = losses(discriminator_objective("logistic"), Linear())
    torch.testing.assert_close(found, expected)
    found = losses(generator_objective("logistic"), Linear())
    torch.testing.assert_close(found, -logsigmoid(generated).expand(4))


def test_wasserstein_losses_are_differences_of_scores():
    generated = WEIGHT @ ROW
    found = losses(discriminator_objective("wasserstein"), Linear())
    torch.testing.assert_close(found, generated - REAL @ WEIGHT)
    found = losses(generator_objective("wasserstein"), Linear())
    torch.testing.assert_close(found, -generated.expand(4))


@pytest.mark.parametrize("penalty", ["r1_penalty", "gradient_penalty"])
@pytest.mark.parametrize("pack_size", [1, 2, 4])
def test_penalties_of_a_linear_score(penalty, pack_size):
    discriminator = Linear(pack_size, factor=3.0)
    length = 3 * np.sqrt(pack_size)  # of the gradient of a pack
    expected = 5 / 2 * length**2 if penalty == "r1_penalty" else 5 * (length - 1) ** 2
    options = {"pack_size": pack_size}
    plain = losses(discriminator_objective("logistic", **options), discriminator)
    options[penalty] = 5.0
    found = losses(discriminator_objective("logistic", **options), discriminator)
    torch.testing.assert_close(found - plain, torch.full((4,), expected).float())


def test_gradient_of_a_penalty_is_that_of_its_closed_form():
    discriminator = Linear(factor=2.0)
    penalized = discriminator_objective("wasserstein", r1_penalty=3.0)
    networks = {"network": Constant(), "discriminator": discriminator}
    total = penalized.losses(networks, Batch((REAL,))).mean()
    (found,) = torch.autograd.grad(total, discriminator.weight)
    expected = ROW - REAL.mean(0) + 3.0 * discriminator.weight.detach()
    torch.testing.assert_close(found, expected)


def test_rows_of_packs_share_a_loss_and_a_short_pack_is_filled():
    batch = Batch((REAL[:3],))
    for make in (discriminator_objective, generator_objective):
        packed = make("logistic", pack_size=2)
        first, second, third = losses(packed, Linear(2), batch)
        assert first == second
        if make is discriminator_objective:
            score = (REAL[2] + REAL[0]) @ WEIGHT
            expected = -logsigmoid(score) - logsigmoid(-2 * WEIGHT @ ROW)
            torch.testing.assert_close(third, expected)


def test_a_step_of_the_generator_leaves_the_discriminator_without_gradient():
    discriminator, generator = Linear(), Constant()
    networks = {"network": generator, "discriminator": discriminator}
    generator_objective("logistic").losses(networks, Batch((REAL,))).sum().backward()
    assert discriminator.weight.grad is None
    assert discriminator.weight.requires_grad
    assert generator.row.grad is not None


class Rows:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def take(self, index):
        return (self.values[index],)


def test_conditions_fit_their_rows_and_favor_rare_values():
    codes = np.array([[0, 0]] * 900 + [[0, 1]] * 90 + [[1, 2]] * 10)
    values = torch.arange(1000.0)[:, None]
    source = AdversarialRows(Rows(values), None, codes, [2, 3], seed=[0])
    source.renew({})
    batch = source.batch(slice(None))
    rows, asked = batch.inputs
    assert torch.equal(batch.target, asked)
    np.testing.assert_array_equal(asked.sum(1), 1)
    column = asked.argmax(1).numpy()
    is_second = column >= 2
    assert 400 < is_second.sum() < 600
    own = codes[rows[:, 0].long().numpy()]
    np.testing.assert_array_equal(own[~is_second, 0], column[~is_second])
    np.testing.assert_array_equal(own[is_second, 1], column[is_second] - 2)
    shares = np.bincount(column[is_second] - 2) / is_second.sum()
    logs = np.log([901, 91, 11])
    np.testing.assert_allclose(shares, logs / logs.sum(), atol=0.07)


def test_a_source_goes_on_where_another_one_was():
    codes = np.arange(20)[:, None] % 4
    values = torch.arange(20.0)[:, None]
    first, second = (
        AdversarialRows(Rows(values), None, codes, [4], seed=[3]) for _ in range(2)
    )
    first.renew({})
    second.load_state(first.state())
    for source in (first, second):
        source.renew({})
    expected, found = first.batch(slice(None)).inputs, second.batch(slice(None)).inputs
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b)
