"""Training of networks that generate sequences: batches, losses and resumed fits."""

import functools

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skdeep.encoding import DenseRows
from skdeep.losses import NumberLoss, TokenLoss
from skdeep.networks import Seq2SeqNetwork, decoder_inputs, greedy, run_freely
from skdeep.training import (
    Batch,
    Learner,
    RowSource,
    SequenceObjective,
    SequenceSource,
    Task,
    TrainingOptions,
    train,
)

END = 2
N_TOKENS = 7

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


def padded(rows, value):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def reversals(n_rows, seed=0, longest=5):
    """Return ids of random sequences, their lengths, and the reversed sequences."""
    rng = np.random.RandomState(seed)
    rows = [
        rng.randint(3, N_TOKENS, rng.randint(1, longest + 1)).tolist()
        for _ in range(n_rows)
    ]
    x = padded([[*row, END] for row in rows], 0)
    target = padded([[*row[::-1], END] for row in rows], -1)
    return x, torch.tensor([len(row) + 1 for row in rows]), target


def numbers(n_rows, seed=0):
    """Return sequences of numbers, lengths, and their cumulative sums."""
    rng = np.random.RandomState(seed)
    x = torch.from_numpy(rng.normal(size=(n_rows, 5, 1)))
    lengths = torch.from_numpy(rng.randint(1, 6, n_rows))
    is_step = (torch.arange(5) < lengths[:, None])[..., None]
    return x * is_step, lengths, x.cumsum(1).where(is_step, torch.nan)


def make_source(x, lengths, target, weight=None):
    network = make_network("tokens" if target.ndim == 2 else "numbers")
    previous = functools.partial(decoder_inputs, network)
    return SequenceSource(RowSource(DenseRows(x, lengths), target, weight), previous)


def make_network(kind="tokens", seed=0, **params):
    config = {"kind": "tokens", "n_tokens": N_TOKENS}
    if kind == "numbers":
        config = {"kind": "numbers", "n_features": 1, "has_end": True}
    network = Seq2SeqNetwork(config, config, 8, **params).double()
    network.initialize(np.random.RandomState(seed))
    return network


def make_objective(network, **params):
    if network.target["kind"] == "tokens":
        loss = TokenLoss(mean_length=3.0)
    else:
        loss = NumberLoss(mean_length=3.0, has_end=True)
    generator = torch.Generator().manual_seed(0)
    network.dropout.generator = generator
    return SequenceObjective(loss, network.n_scores, generator=generator, **params)


def ids_of(network, inputs, n_steps):
    return greedy(network, inputs, n_steps).ids


def make_task(network, source, valid=None, score=None, **options):
    objective = make_objective(
        network,
        scheduled_sampling=options.pop("scheduled_sampling", 0.0),
        generate=None if score is None else ids_of,
    )
    options = {"batch_size": 8, "max_iter": 3, "learning_rate_init": 0.01} | options
    task = Task(
        [Learner(network, objective)],
        source,
        TrainingOptions(**options),
        valid=valid,
        score=score,
        generator=objective.generator,
    )
    objective.follow(task)
    return task


# -- batches ---------------------------------------------------------------------------


@pytest.mark.parametrize("make_rows", [reversals, numbers])
def test_inputs_of_the_decoder(make_rows):
    x, lengths, target = make_rows(12)
    batch = make_source(x, lengths, target).batch(torch.tensor([3, 7, 1]))
    assert list(batch.inputs) == ["x", "lengths", "previous"]
    previous = batch.inputs["previous"]
    assert previous.dtype == target.dtype
    start = END if make_rows is reversals else 0.0
    for own, row, length in zip(
        previous, batch.target, lengths[[3, 7, 1]], strict=True
    ):
        assert (own[0] == start).all()
        torch.testing.assert_close(own[1:length], row[: length - 1])
        assert own.isfinite().all()
        assert (own >= 0).all() or make_rows is numbers


def epoch(source, order, size=4):
    sizes = [len(part) for part in order.split(size)]
    return list(source.batches(order, sizes))


def test_batches_have_rows_of_similar_lengths():
    x, lengths, target = reversals(103, longest=9)
    # The number of a row, as its weight, tells where it went.
    source = make_source(x, lengths, target, torch.arange(1.0, 104))
    order = torch.from_numpy(np.random.RandomState(1).permutation(103))
    batches = epoch(source, order)
    rows = torch.cat([batch.weight for batch in batches]).long() - 1
    assert rows.sort().values.tolist() == list(range(103))
    n_padding = n_values = 0
    for batch in batches:
        own = batch.weight.long() - 1
        n_steps = int(lengths[own].max())
        assert torch.equal(batch.inputs["x"], x[own, :n_steps])
        assert torch.equal(batch.inputs["lengths"], lengths[own])
        assert torch.equal(batch.target, target[own, :n_steps])
        assert batch.inputs["previous"].shape == batch.target.shape
        assert batch.weight_sum == batch.weight.sum()
        n_padding += int((batch.target < 0).sum())
        n_values += batch.target.numel()
    assert n_padding < 0.1 * n_values
    assert (target < 0).sum() > 0.3 * target.numel()
    # Short and long batches alternate.
    longest = [batch.target.shape[1] for batch in batches]
    assert longest != sorted(longest)


def test_batches_follow_from_the_order_alone():
    rows = reversals(50)
    order = torch.from_numpy(np.random.RandomState(1).permutation(50))
    first, second = epoch(make_source(*rows), order), epoch(make_source(*rows), order)
    epoch(make_source(*rows), order.flip(0))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.inputs["x"], other.inputs["x"])
    other = epoch(make_source(*rows), order.flip(0))
    assert any(
        a.target.shape != b.target.shape or (a.target != b.target).any()
        for a, b in zip(first, other, strict=True)
    )


def test_rows_of_equal_lengths_keep_their_order():
    x = torch.from_numpy(np.random.RandomState(0).normal(size=(130, 3, 1)))
    source = SequenceSource(RowSource(DenseRows(x), x), torch.zeros_like)
    order = torch.from_numpy(np.random.RandomState(1).permutation(130))
    batches = epoch(source, order)
    assert "lengths" not in batches[0].inputs
    assert torch.equal(torch.cat([b.inputs["x"] for b in batches]), x[order])


# -- losses ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tokens", "numbers"])
def test_accumulated_gradient_is_that_of_the_batch(kind):
    rows = (reversals if kind == "tokens" else numbers)(12)
    weight = torch.arange(1.0, 13, dtype=torch.float64)
    batch = make_source(*rows, weight).batch(slice(None), training=True)
    gradients = []
    for n_parts in (1, 3):
        network = make_network(kind)
        task = make_task(network, None, accumulate=n_parts)
        task.learner.set_up(task.options, task.networks)
        losses = task.learner.gradient(batch)
        gradients.append([losses, *[p.grad for p in network.parameters()]])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_weights_are_repetitions():
    x, lengths, target = reversals(6)
    weight = torch.tensor([1, 3, 2, 1, 2, 1])
    index = torch.arange(6).repeat_interleave(weight)
    found = []
    for source in (
        make_source(x, lengths, target, weight.double()),
        make_source(x[index], lengths[index], target[index]),
    ):
        network = make_network()
        task = make_task(network, source, batch_size=12, alpha=0.0, shuffle=False)
        train(task)
        found.append([*network.parameters()])
        losses = [record["train_loss"] for record in task.state.history]
        found[-1].append(torch.tensor(losses))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_each_step_counts_the_same_in_any_batch():
    """The loss of a row does not depend on the lengths of the others."""
    rows = reversals(10)
    network, source = make_network(), make_source(*rows)
    objective = make_objective(network)
    networks = {"network": network}
    together = objective.losses(networks, source.batch(slice(None)))
    for batch in epoch(source, torch.arange(10), 3):
        for x, target, loss in zip(
            batch.inputs["x"],
            batch.target,
            objective.losses(networks, batch),
            strict=True,
        ):
            (i,) = [
                i
                for i in range(10)
                if torch.equal(rows[0][i, : len(x)], x)
                and torch.equal(rows[2][i, : len(target)], target)
                and (rows[0][i, len(x) :] == 0).all()
            ][:1]
            torch.testing.assert_close(loss, together[i])


# -- scheduled sampling ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tokens", "numbers"])
def test_scheduled_sampling_reads_the_outputs_of_a_first_pass(kind):
    rows = (reversals if kind == "tokens" else numbers)(8)
    network, source = make_network(kind), make_source(*rows)
    batch = source.batch(slice(None))
    task = make_task(network, source, scheduled_sampling=1.0)
    objective = task.learner.objective
    networks = {"network": network}
    true = objective.losses(networks, batch)
    task.state.n_iter = 2  # the last of three epochs
    got = objective.losses(networks, batch)
    with torch.no_grad():
        raw = network(**batch.inputs)
    own = raw[..., 2:].argmax(-1) + 2 if kind == "tokens" else raw[..., :1]
    previous = batch.inputs["previous"]
    previous = torch.cat([previous[:, :1], own[:, :-1]], 1)
    raw = network(**{**batch.inputs, "previous": previous})
    torch.testing.assert_close(got, objective.loss.per_sample(raw, batch.target))
    assert (got != true).any()
    # Callbacks of batches evaluate validation rows with it.
    torch.testing.assert_close(
        objective.losses({"network": network.eval()}, batch), true
    )


def test_share_of_own_outputs_grows_over_the_epochs():
    network, rates = make_network(), []
    source = make_source(*reversals(16))
    task = make_task(network, source, scheduled_sampling=0.4, max_iter=5)
    task.begin_epoch = lambda: rates.append(task.learner.objective.sampling_rate)
    train(task)
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3, 0.4])


def test_share_of_own_outputs_over_calls_of_partial_fit():
    network, rates, state = make_network(), [], None
    source = make_source(*reversals(16))
    for _ in range(4):
        task = make_task(network, source, scheduled_sampling=0.4, max_iter=3)
        task.is_partial = True
        task.state = state or task.state
        task.learner.objective.follow(task)
        rates.append(task.learner.objective.sampling_rate)
        state = train(task)
    np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.4])


# -- validation ------------------------------------------------------------------------


def test_validation_loss_and_score():
    network, rows = make_network(), reversals(20, seed=1)
    source = make_source(*rows, torch.arange(1.0, 21, dtype=torch.float64))
    seen = []
    task = make_task(network, source, source, lambda ids: seen.append(ids) or 0.5)
    train(task)
    record = task.state.history[-1]
    network.eval()
    with torch.no_grad():
        raw = network(**source.batch(slice(None)).inputs)
    losses = task.learner.objective.loss.per_sample(raw, rows[2])
    expected = np.average(losses, weights=np.arange(1, 21))
    np.testing.assert_allclose(record["valid_loss"], expected)
    assert record["valid_score"] == 0.5
    assert len(seen) == 3
    assert torch.equal(seen[-1], greedy(network, rows[:2], rows[2].shape[1]).ids)


def test_score_without_generated_sequences_is_minus_the_loss():
    network, source = make_network(), make_source(*reversals(20))
    task = make_task(network, source, source)
    train(task)
    record = task.state.history[-1]
    assert record["valid_score"] == -record["valid_loss"]


def test_validation_sequences_of_numbers_have_all_steps():
    network, rows = make_network("numbers"), numbers(20)
    objective = make_objective(
        network, generate=lambda *args: run_freely(*args, stops=False)
    )
    with torch.no_grad():
        network.eval()
        values = objective.evaluate({"network": network}, make_source(*rows))[2]
    assert values.shape == rows[2].shape
    assert values.isfinite().all()


def test_sequences_are_not_generated_from_losses_that_are_not_finite():
    network, source = make_network(), make_source(*reversals(8))
    with torch.no_grad():
        network.head.weight.fill_(torch.nan)
        objective = make_objective(network, generate=ids_of)
        losses, weight, ids = objective.evaluate({"network": network}, source)
    assert losses.isnan().all()
    assert weight is None
    assert ids is None


# -- fits ------------------------------------------------------------------------------


def test_reversal_is_learned():
    network = make_network()
    valid = reversals(40, seed=1, longest=3)

    def score(ids):
        expected = valid[2]
        ids = torch.nn.functional.pad(ids, (0, expected.shape[1]), value=-1)
        return float((ids[:, : expected.shape[1]] == expected).all(1).double().mean())

    task = make_task(
        network,
        make_source(*reversals(200, longest=3)),
        make_source(*valid),
        score,
        learning_rate="one_cycle",
        learning_rate_init=0.05,
        max_iter=15,
    )
    train(task)
    scores = [record["valid_score"] for record in task.state.history]
    assert scores[0] < 0.3
    assert scores[-1] > 0.9


class Killed(Exception):
    pass


class Saved:
    """A checkpoint in memory, of the last epoch before the training is killed."""

    def __init__(self, n_epochs):
        self.n_epochs, self.state = n_epochs, None

    def load(self):
        return self.state

    def after_epoch(self, fit):
        if fit.state.n_iter == self.n_epochs:
            self.state = fit.checkpoint()
            raise Killed


def test_resumed_fit_equals_an_uninterrupted_one():
    def make(checkpoint=None):
        network = make_network(dropout=0.2)
        source = make_source(*reversals(40))
        task = make_task(network, source, scheduled_sampling=0.5, max_iter=4)
        task.checkpoint = checkpoint
        return network, task

    expected, task = make()
    train(task)
    saved = Saved(2)
    with pytest.raises(Killed):
        train(make(saved)[1])
    found, resumed = make(saved)
    saved.n_epochs = None
    train(resumed)
    for one, other in zip(expected.parameters(), found.parameters(), strict=True):
        assert torch.equal(one, other)
    losses = [[r["train_loss"] for r in t.state.history] for t in (task, resumed)]
    assert losses[0] == losses[1]


class SeesBatches(Callback):
    """Counts the batches of training and of validation, and keeps the last scores."""

    def __init__(self):
        self.n_batches = {True: 0, False: 0}

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.n_batches[training] += 1
        self.last = batch


def test_callbacks_see_the_batches():
    source = make_source(*reversals(20))
    task = make_task(make_network(), source, source)
    callback = SeesBatches()
    task.callbacks = [callback]
    train(task)
    assert callback.n_batches == {True: 9, False: 9}
    inputs, target = callback.last
    assert list(inputs) == ["x", "lengths", "previous"]
    assert len(target) == 4


def test_batches_of_dicts_are_split():
    batch = make_source(*reversals(7)).batch(slice(None))
    parts = list(batch.split(3))
    assert [len(part) for part in parts] == [3, 4]
    assert all(isinstance(part, Batch) for part in parts)
    for name, values in batch.inputs.items():
        assert torch.equal(torch.cat([part.inputs[name] for part in parts]), values)
