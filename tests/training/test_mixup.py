"""Mixup, against inputs and targets that are mixed by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from skdeep.losses._base import CallableLoss
from skdeep.losses._classification import (
    BinaryLogLoss,
    KLDivergence,
    MulticlassLogLoss,
)
from skdeep.losses._pairwise import MulticlassPairwiseAUC
from skdeep.losses._regression import SquaredError
from skdeep.training import (
    Batch,
    Learner,
    Mixup,
    RowSource,
    Supervised,
    Task,
    TrainingOptions,
    train,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N, N_CLASSES = 8, 3
CODES = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
ONE_HOT = F.one_hot(CODES, N_CLASSES).double()


def make_network(n_outputs=N_CLASSES, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(N, 5), nn.Tanh(), nn.Linear(5, n_outputs))


class Recorder(nn.Module):
    """Keeps the inputs of its calls."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.inputs = []

    def forward(self, x, **others):
        self.inputs.append((x, others))
        return self.network(x)


def mixup(loss, n_scores=N_CLASSES, seed=0, concentration=1.0, **params):
    generator = torch.Generator().manual_seed(seed)
    return Mixup(
        loss, n_scores, generator=generator, concentration=concentration, **params
    )


def losses_and_mixture(objective, network, target, weight=None):
    """Return the losses for the rows of the unit matrix, and the mixed rows.

    A mixed row has the share at its own place and the rest at that of its partner.
    """
    recorder = Recorder(network)
    batch = Batch((torch.eye(N, dtype=torch.float64),), target, weight)
    losses = objective.losses({"network": recorder}, batch)
    ((mixed, _),) = recorder.inputs
    return losses, mixed


def gradient_of(value, network):
    return torch.autograd.grad(value, list(network.parameters()))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(
    "loss, target",
    [
        (MulticlassLogLoss(), CODES),
        (BinaryLogLoss(), ONE_HOT),
        (CallableLoss(partial(F.cross_entropy, reduction="none"), "codes"), CODES),
    ],
    ids=["codes", "indicators", "callable"],
)
def test_gradient_is_that_of_mixed_inputs_and_targets(loss, target, is_weighted, seed):
    network = make_network().double()
    weight = torch.linspace(0.2, 3, N).double() if is_weighted else None
    losses, mixed = losses_and_mixture(mixup(loss, seed=seed), network, target, weight)
    assert losses.shape == (N,)
    assert not torch.equal(mixed, torch.eye(N))
    weights = torch.ones(N).double() if weight is None else weight
    raw = network(mixed)
    # Each part of a mixture has the weight of its row.
    positive = mixed @ (weights[:, None] * ONE_HOT)
    if isinstance(loss, BinaryLogLoss):
        negative = mixed @ (weights[:, None] * (1 - ONE_HOT))
        expected = F.softplus(-raw) * positive + F.softplus(raw) * negative
    else:
        expected = -torch.log_softmax(raw, 1) * positive
    found = gradient_of((losses * weights).sum(), network)
    for a, b in zip(found, gradient_of(expected.sum(), network), strict=True):
        torch.testing.assert_close(a, b)


def test_equals_cross_entropy_with_probabilities():
    network = make_network().double()
    losses, mixed = losses_and_mixture(mixup(MulticlassLogLoss()), network, CODES)
    expected = F.cross_entropy(network(mixed), mixed @ ONE_HOT, reduction="none")
    torch.testing.assert_close(losses, expected)


def test_probabilities_as_targets():
    network = make_network().double()
    target = torch.softmax(torch.arange(24.0).double().sin().view(N, 3), 1)
    losses, mixed = losses_and_mixture(mixup(KLDivergence()), network, target)
    entropy = (target * target.log()).sum(1)
    expected = mixed @ entropy + F.cross_entropy(
        network(mixed), mixed @ target, reduction="none"
    )
    torch.testing.assert_close(losses, expected)


def test_gradient_for_values_is_that_of_mixed_values():
    network = make_network(1).double()
    target = torch.linspace(-2, 5, N).double().view(N, 1)
    losses, mixed = losses_and_mixture(mixup(SquaredError(), 1), network, target)
    expected = (network(mixed) - mixed @ target).square().sum(1)
    # The losses differ by a constant; SquaredError may have a factor of 1/2.
    factor = float(SquaredError().per_sample(torch.ones(1, 1), torch.zeros(1, 1)))
    found = gradient_of(losses.sum(), network)
    wanted = gradient_of(factor * expected.sum(), network)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_weights_go_with_their_rows_in_losses_that_couple_rows():
    class Recording(MulticlassPairwiseAUC):
        def per_sample_in_batch(self, raw, target, weight):
            pairs.append((target, weight))
            return super().per_sample_in_batch(raw, target, weight)

    pairs = []
    objective = mixup(Recording())
    assert objective.couples_rows
    weight = torch.arange(1.0, N + 1).double()
    losses_and_mixture(objective, make_network().double(), CODES, weight)
    (target, own), (other_target, other) = pairs
    torch.testing.assert_close(own, weight)
    torch.testing.assert_close(target, CODES)
    torch.testing.assert_close(other_target, CODES[other.long() - 1])
    assert sorted(other.tolist()) == weight.tolist()
    assert other.tolist() != weight.tolist()


@pytest.mark.parametrize("concentration", [0.02, 0.2, 1.0, 5.0])
def test_shares_are_drawn_from_the_beta_distribution(concentration):
    objective = mixup(SquaredError(), N, concentration=concentration)
    recorder = Recorder(nn.Identity())
    batch = Batch((torch.eye(N, dtype=torch.float64),), torch.zeros(N, N))
    for _ in range(400):
        objective.losses({"network": recorder}, batch)
    # A row that is its own partner has 1 on the diagonal, the others have the share.
    shares = [mixed.diagonal().min().item() for mixed, _ in recorder.inputs]
    # Bins, because shares very close to 1 are rounded to 1.
    edges = [0, 0.01, 0.3, 0.5, 0.7, 0.99, 1]
    expected = np.diff(stats.beta(concentration, concentration).cdf(edges))
    counts = np.histogram(shares, edges)[0]
    is_likely = 400 * expected > 2
    assert is_likely.sum() >= 2
    assert counts[~is_likely].sum() <= 5
    p = expected[is_likely] / expected[is_likely].sum()
    wanted = p * counts[is_likely].sum()
    assert stats.chisquare(counts[is_likely], wanted).pvalue > 0.01


def test_draws_depend_on_the_generator_alone():
    network, state = make_network().double(), torch.get_rng_state()
    objective = mixup(MulticlassLogLoss())
    first, mixed = losses_and_mixture(objective, network, CODES)
    second, again = losses_and_mixture(objective, network, CODES)
    assert not torch.equal(mixed, again)
    same, _ = losses_and_mixture(mixup(MulticlassLogLoss()), network, CODES)
    assert torch.equal(first, same)
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_are_unchanged_and_others_are_not_mixed():
    recorder = Recorder(make_network())
    x, lengths = torch.eye(N), torch.arange(N)
    batch = Batch({"x": x, "lengths": lengths}, CODES)
    mixup(MulticlassLogLoss()).losses({"network": recorder}, batch)
    ((mixed, others),) = recorder.inputs
    assert torch.equal(x, torch.eye(N))
    assert torch.equal(batch.inputs["x"], torch.eye(N))
    assert not torch.equal(mixed, x)
    assert torch.equal(others["lengths"], lengths)


def test_channels_last_is_kept():
    recorder = Recorder(nn.Flatten())
    x = torch.randn(N, 3, 4, 5, generator=torch.Generator()).contiguous(
        memory_format=torch.channels_last
    )
    batch = Batch((x,), torch.zeros(N, 60))
    mixup(SquaredError(), 60).losses({"network": recorder}, batch)
    assert recorder.inputs[0][0].stride() == x.stride()


def test_bf16_precision():
    network = make_network()
    batch = Batch((torch.eye(N),), CODES)
    full = mixup(MulticlassLogLoss()).losses({"network": network}, batch)
    half = mixup(MulticlassLogLoss(), precision="bf16").losses(
        {"network": network}, batch
    )
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    torch.testing.assert_close(half, full, rtol=0.02, atol=0.02)


def test_mean_of_a_callable():
    network = make_network().double()
    loss = CallableLoss(F.cross_entropy, "codes")
    losses, mixed = losses_and_mixture(mixup(loss), network, CODES)
    expected = F.cross_entropy(network(mixed), mixed @ ONE_HOT)
    torch.testing.assert_close(losses, expected.expand(N))
    with pytest.raises(ValueError, match="need a loss for each sample"):
        losses_and_mixture(mixup(loss), network, CODES, torch.ones(N).double())


class Rows:
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def take(self, index, out=None):
        return (self.x[index],)


def test_evaluation_does_not_mix():
    network = make_network().eval()
    source = RowSource(Rows(torch.eye(N)[:4]), CODES[:4], torch.linspace(1, 2, 4))
    with torch.inference_mode():
        found = mixup(MulticlassLogLoss()).evaluate({"network": network}, source)
        plain = Supervised(MulticlassLogLoss(), N_CLASSES)
        expected = plain.evaluate({"network": network}, source)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
def test_mixup_on_a_gpu():
    generator = torch.Generator("cuda").manual_seed(0)
    objective = Mixup(MulticlassLogLoss(), N_CLASSES, generator=generator)
    recorder = Recorder(make_network().cuda())
    batch = Batch((torch.eye(N, device="cuda"),), CODES.cuda())
    losses = objective.losses({"network": recorder}, batch)
    mixed = recorder.inputs[0][0].cpu()
    expected = F.cross_entropy(
        recorder.network(mixed.cuda()).cpu(), mixed @ ONE_HOT.float(), reduction="none"
    )
    torch.testing.assert_close(losses.cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_training(accumulate):
    def fit():
        generator = torch.Generator().manual_seed(3)
        network = make_network()
        objective = Mixup(MulticlassLogLoss(), N_CLASSES, generator=generator)
        options = TrainingOptions(
            solver="adam",
            max_iter=80,
            batch_size=4,
            accumulate=accumulate,
            learning_rate_init=0.05,
            tol=0.0,
        )
        source = RowSource(Rows(torch.eye(N)), CODES, torch.linspace(0.5, 2, N))
        train(Task([Learner(network, objective)], source, options))
        return network(torch.eye(N))

    scores = fit()
    assert torch.equal(scores, fit())
    assert torch.equal(scores.argmax(1), CODES)
