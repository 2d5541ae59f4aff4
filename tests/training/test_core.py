"""Models without targets, built from the classes of ``skdeep.training``.

Each is written as its author would write it, from ``skdeep.training`` alone; a test
counts the lines.
"""

import ast
import inspect
import itertools
import math
import textwrap
import threading

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from skorch.callbacks import EpochTimer
from torch import nn
from torch.nn import functional as F

from skdeep.training import (
    Batch,
    Learner,
    Objective,
    RowSource,
    Source,
    Supervised,
    Task,
    TrainingOptions,
    train,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

FOREVER = math.inf


def matrix(n_rows=60, n_columns=6, seed=0):
    """Return rows whose principal components have clearly different variances."""
    rng = np.random.RandomState(seed)
    basis = np.linalg.qr(rng.randn(n_columns, n_columns))[0]
    lengths = np.array([3.0, 2.0, 0.7, 0.5, 0.3, 0.2])[:n_columns]
    return torch.from_numpy(rng.randn(n_rows, n_columns) * lengths @ basis + 1.0)


def layers(*sizes, seed=0, activation=nn.Tanh):
    """Return a dense network in float64, with the same initial weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = []
        for n_in, n_out in itertools.pairwise(sizes):
            found += [nn.Linear(n_in, n_out), activation()]
        return nn.Sequential(*found[:-1]).double()


# -- (a) an autoencoder ----------------------------------------------------------------


class Rows(Source):
    """The rows of a matrix, without targets."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def batch(self, index, *, training=False):
        return Batch((self.x[index],))


class Reconstruction(Objective):
    """The squared distance between the outputs and the inputs of a network."""

    def losses(self, networks, batch):
        (x,) = batch.inputs
        return (networks["network"](x) - x).square().sum(1)


def fit_autoencoder(x, n_codes, **options):
    network = nn.Sequential(layers(x.shape[1], n_codes), layers(n_codes, x.shape[1]))
    learner = Learner(network, Reconstruction())
    task = Task([learner], Rows(x), TrainingOptions(**options))
    return network, train(task)


@pytest.mark.parametrize(
    "options",
    [
        dict(learning_rate_init=0.1, learning_rate="cosine", max_iter=300),
        dict(solver="lbfgs", tol=1e-8, max_iter=1000),
    ],
    ids=["adam", "lbfgs"],
)
def test_a_linear_autoencoder_finds_the_principal_components(options):
    x = matrix()
    network, state = fit_autoencoder(x, 2, n_iter_no_change=FOREVER, **options)
    pca = PCA(2).fit(x.numpy())
    best = np.square(x.numpy() - pca.inverse_transform(pca.transform(x.numpy())))
    with torch.no_grad():
        error = (network(x) - x).square().sum(1).mean().item()
    assert error == pytest.approx(best.sum(1).mean(), rel=0.01)
    assert error >= best.sum(1).mean() * (1 - 1e-9)  # the optimum of all linear models
    assert state.history[-1]["train_loss"] == pytest.approx(error, rel=0.01)


# -- (b) a generator and a discriminator -----------------------------------------------


class NoiseAndRows(Source):
    """Noise as input, and real rows."""

    def __init__(self, real):
        self.real = real
        self.generator = torch.Generator().manual_seed(1)

    def __len__(self):
        return len(self.real)

    def batch(self, index, *, training=False):
        real = self.real[index]
        noise = torch.randn(real.shape, generator=self.generator, dtype=real.dtype)
        return Batch((noise,), real)


class GeneratorObjective(Objective):
    """The generator's loss: low if generated rows are classified as real."""

    def losses(self, networks, batch):
        fake = networks["generator"](*batch.inputs)
        return F.softplus(-networks["discriminator"](fake))[:, 0]


class DiscriminatorObjective(Objective):
    """The discriminator's loss: low if real rows score high and generated rows low."""

    def losses(self, networks, batch):
        fake, judge = networks["generator"](*batch.inputs), networks["discriminator"]
        return (F.softplus(judge(fake)) + F.softplus(-judge(batch.target)))[:, 0]


def fit_adversaries(real, **options):
    generator = Learner(layers(1, 1), GeneratorObjective(), "generator")
    discriminator = Learner(layers(1, 16, 1), DiscriminatorObjective(), "discriminator")
    task = Task(
        [generator, discriminator], NoiseAndRows(real), TrainingOptions(**options)
    )
    return generator.module, train(task)


@pytest.mark.nightly
def test_a_generator_learns_a_gaussian_from_its_discriminator():
    rng = np.random.RandomState(0)
    real = torch.from_numpy(rng.normal(3.0, 0.5, (512, 1)))
    generator, state = fit_adversaries(
        real,
        batch_size=64,
        learning_rate_init=0.01,
        beta_1=0.5,
        weight_averaging=0.99,
        max_iter=120,
        n_iter_no_change=FOREVER,
    )
    noise = torch.from_numpy(rng.normal(size=(4000, 1)))
    with torch.no_grad():
        samples = generator(noise)
    # Nine of ten seeds are as close; with one, all samples become the mean.
    assert samples.mean().item() == pytest.approx(3.0, abs=0.15)
    assert samples.std().item() == pytest.approx(0.5, abs=0.2)
    for key in ("train_loss", "discriminator_loss"):
        assert np.isfinite([record[key] for record in state.history]).all()
    # A discriminator that cannot distinguish them predicts 1/2.
    assert state.history[-1]["train_loss"] == pytest.approx(math.log(2), abs=0.1)
    assert state.history[-1]["discriminator_loss"] == pytest.approx(
        2 * math.log(2), abs=0.1
    )


# -- (c) rows simulated in each epoch with the current network -------------------------

CAPITAL_SHARE, PATIENCE = 0.36, 0.9


class SimulatedEconomy(Source):
    """Capital and productivity, simulated with the current policy.

    Each epoch has more of them than the last.
    """

    def __init__(self):
        self.states, self.lengths = torch.zeros(0, 2), []
        self.generator = torch.Generator().manual_seed(0)

    def renew(self, networks):
        state, path = torch.tensor([[-1.0, 0.0]]).double(), []
        for _ in range(20 + len(self.lengths) % 50):
            path.append(state)
            log_k, log_z = state.T
            saved = networks["network"](state)[:, 0].sigmoid().log()
            shock = 0.1 * torch.randn(1, generator=self.generator)
            log_k = saved + log_z + CAPITAL_SHARE * log_k
            state = torch.stack([log_k, 0.8 * log_z + shock], 1)
        self.states = torch.cat(path)
        self.lengths.append(len(path))

    def __len__(self):
        return len(self.states)

    def batch(self, index, *, training=False):
        return Batch((self.states[index],))


class EulerEquation(Objective):
    """The squared gain of consuming a little more today, which is 0 at the optimum."""

    def losses(self, networks, batch):
        (state,) = batch.inputs
        saved = networks["network"](state).sigmoid()
        log_k, log_z = state[:, :1], state[:, 1:]
        after = saved.log() + log_z + CAPITAL_SHARE * log_k
        saved_after = networks["network"](torch.cat([after, 0.8 * log_z], 1)).sigmoid()
        growth = (1 - saved) / (saved * (1 - saved_after))
        return (1 - CAPITAL_SHARE * PATIENCE * growth).square()[:, 0]


def fit_economy(**options):
    source, network = SimulatedEconomy(), layers(2, 8, 1)
    learner = Learner(network, EulerEquation())
    return network, source, train(Task([learner], source, TrainingOptions(**options)))


def test_policy_is_solved_on_its_own_simulated_states():
    """With logarithmic utility, a fixed share is saved (Brock & Mirman, 1972)."""
    network, source, state = fit_economy(
        learning_rate_init=0.05,
        learning_rate="cosine",
        batch_size=40,
        max_iter=200,
        n_iter_no_change=FOREVER,
    )
    with torch.no_grad():
        saved = network(source.states).sigmoid()
    torch.testing.assert_close(
        saved, torch.full_like(saved, CAPITAL_SHARE * PATIENCE), rtol=0.02, atol=0
    )
    assert source.lengths == [20 + epoch % 50 for epoch in range(200)]
    assert state.n_samples_seen == sum(source.lengths)


def test_skorch_callbacks_need_a_loss_between_outputs_and_targets():
    learner = Learner(layers(2, 8, 1), EulerEquation())
    task = Task(
        [learner], SimulatedEconomy(), TrainingOptions(), callbacks=[EpochTimer()]
    )
    with pytest.raises(TypeError, match="loss between outputs.*EulerEquation"):
        train(task)


# -- (d) augmentation in training only -------------------------------------------------


class Mirrored(Source):
    """Rows of which a random half are mirrored in training."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.generator = torch.Generator().manual_seed(0)

    def __len__(self):
        return len(self.x)

    def batch(self, index, *, training=False):
        x, y = self.x[index], self.y[index]
        if training:
            flips = torch.randint(2, (len(x), 1), generator=self.generator)
            x = x * (1 - 2 * flips)
        return Batch((x,), y)


class SquaredError(Objective):
    """The squared distance of outputs and targets."""

    def losses(self, networks, batch):
        return (networks["network"](*batch.inputs) - batch.target).square().mean(1)


def fit_mirrored(x, y, x_valid, y_valid, **options):
    network = layers(x.shape[1], 16, 1)
    task = Task(
        [Learner(network, SquaredError())],
        Mirrored(x, y),
        TrainingOptions(**options),
        valid=Mirrored(x_valid, y_valid),
    )
    return network, train(task)


def test_rows_are_augmented_in_training_only():
    x = torch.from_numpy(np.random.RandomState(0).uniform(0, 1, (200, 1)))
    y = 2 * x - 1
    network, state = fit_mirrored(
        x[:150],
        y[:150],
        x[150:],
        y[150:],
        batch_size=50,
        learning_rate_init=0.02,
        learning_rate="cosine",
        max_iter=150,
        n_iter_no_change=FOREVER,
    )
    with torch.no_grad():
        # The network has learned the mirrored side, which has no original rows.
        assert (network(-x) - y).abs().mean() < 0.1
        valid = (network(x[150:]) - y[150:]).square().mean().item()
    assert state.history[-1]["valid_loss"] == pytest.approx(valid, rel=1e-9)


# -- (e) an objective with trainable parameters ----------------------------------------


class GaussianWithLearnedDeviation(Objective):
    """The negative log-likelihood of a normal distribution with learned deviation."""

    def __init__(self):
        self.log_sd = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def parameters(self):
        return [self.log_sd]

    def losses(self, networks, batch):
        error = networks["network"](*batch.inputs) - batch.target
        return (0.5 * (error / self.log_sd.exp()).square() + self.log_sd).sum(1)


class Pairs(Source):
    """Rows with their targets."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def batch(self, index, *, training=False):
        return Batch((self.x[index],), self.y[index])


def fit_gaussian(x, y, valid=None, **options):
    network, objective = layers(x.shape[1], 1), GaussianWithLearnedDeviation()
    task = Task(
        [Learner(network, objective)],
        Pairs(x, y),
        TrainingOptions(**options),
        valid=valid,
    )
    return network, objective, train(task)


def noisy_line(n_rows=80, sd=0.3):
    rng = np.random.RandomState(0)
    x = rng.randn(n_rows, 2)
    y = x @ [[1.0], [-2.0]] + 0.5 + sd * rng.randn(n_rows, 1)
    return torch.from_numpy(x), torch.from_numpy(y)


@pytest.mark.parametrize(
    "options",
    [
        dict(learning_rate_init=0.1, learning_rate="cosine", max_iter=300),
        dict(solver="lbfgs", tol=1e-8, max_iter=500),
    ],
    ids=["adam", "lbfgs"],
)
def test_parameters_of_an_objective_are_trained(options):
    x, y = noisy_line()
    network, objective, _ = fit_gaussian(x, y, n_iter_no_change=FOREVER, **options)
    design = np.c_[x, np.ones(len(x))]
    coefs, squares, *_ = np.linalg.lstsq(design, y.numpy(), rcond=None)
    found = [*network[0].weight[0].tolist(), network[0].bias.item()]
    np.testing.assert_allclose(found, coefs[:, 0], rtol=1e-3)
    assert objective.log_sd.exp().item() ** 2 == pytest.approx(
        squares[0] / len(x), rel=1e-3
    )


def test_early_stopping_restores_the_parameters_of_the_objective():
    """They are those of the best epoch, like the weights."""
    x, y = noisy_line()
    # With a different target, the validation loss soon stops falling.
    valid = Pairs(x, y - 3 * x[:, :1])
    seen = []

    network, objective = layers(2, 1), GaussianWithLearnedDeviation()
    task = Task(
        [Learner(network, objective)],
        Pairs(x, y),
        TrainingOptions(
            learning_rate_init=0.05,
            max_iter=100,
            n_iter_no_change=FOREVER,
            early_stopping="loss",
        ),
        valid=valid,
        end_epoch=lambda: seen.append(objective.log_sd.item()) is not None,
    )
    state = train(task)
    losses = [record["valid_loss"] for record in state.history]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert objective.log_sd.item() == seen[best]
    with torch.no_grad():
        loss = objective.losses({"network": network}, valid.batch(slice(None)))
    assert loss.mean().item() == pytest.approx(min(losses), rel=1e-9)


def test_parameters_of_an_objective_are_averaged():
    x, y = noisy_line()
    network, objective, _ = fit_gaussian(
        x, y, solver="sgd", momentum=0.0, max_iter=3, weight_averaging=0.5
    )
    reference, own = layers(2, 1), GaussianWithLearnedDeviation()
    tensors = [*reference.parameters(), own.log_sd]
    average = [tensor.detach().clone() for tensor in tensors]
    optimizer = torch.optim.SGD(tensors, 1e-3)
    for n in range(1, 4):
        optimizer.zero_grad()
        own.losses({"network": reference}, Batch((x,), y)).mean().backward()
        optimizer.step()
        decay = min(0.5, (1 + n) / (10 + n))
        for mean, tensor in zip(average, tensors, strict=True):
            mean.mul_(decay).add_(tensor.detach(), alpha=1 - decay)
    found = [*network.parameters(), objective.log_sd]
    for one, two in zip(found, average, strict=True):
        torch.testing.assert_close(one.detach(), two, rtol=1e-9, atol=1e-12)


# -- (f) two learners with different options -------------------------------------------


class SquaredErrorOf(Objective):
    """The squared error of one of the networks."""

    def __init__(self, name):
        self.name = name

    def losses(self, networks, batch):
        return (networks[self.name](*batch.inputs) - batch.target).square().sum(1)


def fit_two_learners(x, y, options, others, valid=None, **arguments):
    one = Learner(layers(2, 1), SquaredErrorOf("one"), "one")
    two = Learner(layers(2, 1), SquaredErrorOf("two"), "two", others)
    task = Task([one, two], Pairs(x, y), options, valid=valid, **arguments)
    return one.module, two.module, train(task)


@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
def test_learners_have_separate_solvers_and_rates(learning_rate):
    x, y = noisy_line()
    common = dict(batch_size=20, max_iter=5, shuffle=False)
    one, two, state = fit_two_learners(
        x,
        y,
        TrainingOptions(
            solver="sgd",
            learning_rate_init=0.02,
            learning_rate=learning_rate,
            momentum=0.0,
            **common,
        ),
        TrainingOptions(
            solver=torch.optim.Adamax,
            learning_rate_init=0.1,
            alpha=0.5,
            max_grad_norm=0.3,
            **common,
        ),
    )
    references = layers(2, 1), layers(2, 1)
    solvers = (
        torch.optim.SGD(references[0].parameters(), 0.02),
        torch.optim.Adamax(references[1].parameters(), 0.1),
    )
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            solver,
            lambda step: (
                (1 + math.cos(math.pi * step / 20)) / 2
                if learning_rate == "cosine"
                else 1.0
            ),
        )
        for solver in solvers
    ]
    for _ in range(5):
        for a, b in zip(x.split(20), y.split(20), strict=True):
            for network, solver, schedule in zip(
                references, solvers, schedules, strict=True
            ):
                solver.zero_grad()
                loss = (network(a) - b).square().sum(1).mean()
                if network is references[1]:
                    loss = loss + 0.5 * 0.5 / 20 * network[0].weight.square().sum()
                loss.backward()
                if network is references[1]:
                    nn.utils.clip_grad_norm_(network.parameters(), 0.3)
                solver.step()
                schedule.step()
    for found, network in zip((one, two), references, strict=True):
        for p, q in zip(found.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
    assert {"train_loss", "two_loss"} <= state.history[-1].keys()


def test_the_first_learner_answers_to_the_others():
    x, y = noisy_line()

    class SquaredDifference(Objective):
        def losses(self, networks, batch):
            one, two = (networks[name](*batch.inputs) for name in ("one", "two"))
            return (one - two.detach()).square().sum(1)

    first, second = layers(2, 1), layers(2, 1)
    options = TrainingOptions(
        solver="sgd", learning_rate_init=0.1, momentum=0.0, batch_size=80, max_iter=1
    )
    learners = [
        Learner(first, SquaredDifference(), "one"),
        Learner(second, SquaredErrorOf("two"), "two"),
    ]
    train(Task(learners, Pairs(x, y), options))
    one, two = layers(2, 1), layers(2, 1)
    for network, target in ((two, lambda: y), (one, lambda: two(x).detach())):
        loss = (network(x) - target()).square().sum(1).mean()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for p, g in zip(network.parameters(), gradients, strict=True):
                p.sub_(0.1 * g)
    for found, expected in ((first, one), (second, two)):
        for p, q in zip(found.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_early_stopping_restores_all_learners(early_stopping):
    x, y = noisy_line()
    seen = []

    def end_epoch():
        seen.append([p.detach().clone() for p in parameters])
        return False

    options = TrainingOptions(
        learning_rate_init=0.05,
        max_iter=60,
        n_iter_no_change=5,
        early_stopping=early_stopping,
    )
    one = Learner(layers(2, 1), SquaredErrorOf("one"), "one")
    two = Learner(layers(2, 1), SquaredErrorOf("two"), "two")
    parameters = [*one.module.parameters(), *two.module.parameters()]
    task = Task(
        [one, two],
        Pairs(x, y),
        options,
        valid=Pairs(x, y - 3 * x[:, :1]),
        end_epoch=end_epoch,
    )
    state = train(task)
    losses = [record["valid_loss"] for record in state.history]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 < 59
    for tensor, kept in zip(parameters, seen[best], strict=True):
        torch.testing.assert_close(tensor.detach(), kept, rtol=0, atol=0)


def test_validation_of_networks_with_different_inputs():
    """The noise of a generator has another width than the rows."""

    class Wide(NoiseAndRows):
        def batch(self, index, *, training=False):
            real = self.real[index]
            noise = torch.randn(len(real), 3, generator=self.generator).double()
            return Batch((noise,), real)

    x = torch.from_numpy(np.random.RandomState(0).normal(3.0, 0.5, (3000, 1)))
    task = Task(
        [
            Learner(layers(3, 1), GeneratorObjective(), "generator"),
            Learner(layers(1, 4, 1), DiscriminatorObjective(), "discriminator"),
        ],
        Wide(x),
        TrainingOptions(max_iter=2, early_stopping="loss"),
        valid=Wide(x),
    )
    assert np.isfinite([record["valid_loss"] for record in train(task).history]).all()


def test_averaged_weights_of_the_second_learner_only_are_kept():
    x, y = noisy_line()
    common = dict(solver="sgd", momentum=0.0, max_iter=4, learning_rate_init=0.05)
    _, averaged, _ = fit_two_learners(
        x,
        y,
        TrainingOptions(**common),
        TrainingOptions(weight_averaging=0.9, **common),
    )
    latest, same, _ = fit_two_learners(
        x,
        y,
        TrainingOptions(weight_averaging=0.9, **common),
        TrainingOptions(weight_averaging=0.9, **common),
    )
    torch.testing.assert_close(latest[0].weight, same[0].weight)
    torch.testing.assert_close(averaged[0].weight, same[0].weight)


# -- (g) a hook between gradient and step ----------------------------------------------


def train_shards(shards, y_shards, **options):
    """Train a copy on each shard, in threads that average their gradients."""
    learners = [Learner(layers(2, 4, 1), SquaredError()) for _ in shards]
    meet = threading.Barrier(len(shards), timeout=120)

    def average(learner):
        meet.wait()
        mean = [
            torch.stack([p.grad for p in ps]).mean(0)
            for ps in zip(*(one.module.parameters() for one in learners), strict=True)
        ]
        meet.wait()
        for parameter, gradient in zip(learner.module.parameters(), mean, strict=True):
            parameter.grad.copy_(gradient)

    def run(learner, x, y):
        learner.on_gradient = average
        task = Task(
            [learner], Pairs(x, y), TrainingOptions(**options), draws_globally=False
        )
        train(task)

    threads = [
        threading.Thread(target=run, args=arguments)
        for arguments in zip(learners, shards, y_shards, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [learner.module for learner in learners]


@pytest.mark.parametrize("max_grad_norm", [None, 0.1])
def test_gradients_averaged_over_shards_are_those_of_all_rows(max_grad_norm):
    x, y = noisy_line()
    common = dict(shuffle=False, max_iter=5, max_grad_norm=max_grad_norm)
    # Row i of a batch of 20 goes to shard i mod 2.
    shards = train_shards([x[::2], x[1::2]], [y[::2], y[1::2]], batch_size=10, **common)
    whole = layers(2, 4, 1)
    train(
        Task(
            [Learner(whole, SquaredError())],
            Pairs(x, y),
            TrainingOptions(batch_size=20, **common),
        )
    )
    for network in shards:
        for p, q in zip(network.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_hook_runs_after_the_gradient_and_before_penalty_and_step():
    x, y = noisy_line()
    seen = []
    network = layers(2, 1)
    learner = Learner(network, SquaredError())

    def look(learner):
        seen.append(
            [(p.detach().clone(), p.grad.clone()) for p in learner.module.parameters()]
        )
        for parameter in learner.module.parameters():
            parameter.grad.zero_()

    learner.on_gradient = look
    options = TrainingOptions(
        solver="sgd", momentum=0.0, alpha=8.0, learning_rate_init=0.1, max_iter=1
    )
    train(Task([learner], Pairs(x, y), options))
    reference = layers(2, 1)
    (reference(x) - y).square().mean().backward()
    ((weight, gradient), (bias, bias_gradient)) = seen[0]
    torch.testing.assert_close(weight, reference[0].weight.detach())
    torch.testing.assert_close(gradient, reference[0].weight.grad)
    torch.testing.assert_close(bias_gradient, reference[0].bias.grad)
    # The hook has set the gradient to zero, so only the penalty changes the weights.
    torch.testing.assert_close(network[0].bias.detach(), bias)
    torch.testing.assert_close(
        network[0].weight.detach(), weight * (1 - 0.1 * 8.0 / len(x))
    )


# -- the contract ----------------------------------------------------------------------

FAMILIES = {
    "autoencoder": (Rows, Reconstruction, fit_autoencoder),
    "adversaries": (
        NoiseAndRows,
        GeneratorObjective,
        DiscriminatorObjective,
        fit_adversaries,
    ),
    "economy": (SimulatedEconomy, EulerEquation, fit_economy),
    "augmentation": (Mirrored, SquaredError, fit_mirrored),
    "own parameters": (GaussianWithLearnedDeviation, Pairs, fit_gaussian),
    "two learners": (SquaredErrorOf, Pairs, fit_two_learners),
}


def count_lines(thing):
    """Return the number of lines of code, without docstrings and empty lines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = body[1:] or [ast.Pass()]
    lines = {node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")}
    return len(lines)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_takes_less_than_forty_lines(family):
    assert sum(map(count_lines, FAMILIES[family])) < 40


def test_supervised_learning_with_the_public_classes():
    """The estimators use ``RowSource`` and ``Supervised``."""

    class Tensors:
        def __init__(self, x):
            self.x = x

        def __len__(self):
            return len(self.x)

        def take(self, index, out=None):
            return (self.x[index],)

    class Squares:
        """Half the squared error, with the members that training expects."""

        couples_rows = takes_outputs = gives_mean = False
        raw_axes, target_kind = 2, "numbers"

        def per_sample_in_batch(self, raw, target, weight):
            return (raw - target).square().mean(1) / 2

        def parameters(self):
            return ()

    x, y = noisy_line()
    weight = torch.linspace(0.5, 2, len(x)).double()
    network = layers(2, 1)
    task = Task(
        [Learner(network, Supervised(Squares(), 1))],
        RowSource(Tensors(x), y, weight),
        TrainingOptions(solver="lbfgs", tol=1e-9, max_iter=300),
    )
    train(task)
    root = weight.sqrt()[:, None].numpy()
    design = np.c_[x, np.ones(len(x))] * root
    coefs = np.linalg.lstsq(design, y.numpy() * root, rcond=None)[0][:, 0]
    found = [*network[0].weight[0].tolist(), network[0].bias.item()]
    np.testing.assert_allclose(found, coefs, rtol=1e-5)
