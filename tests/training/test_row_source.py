"""Training rows that are augmented and prefetched."""

import numpy as np
import pytest
import torch
from torch import nn

from skdeep.encoding import DenseRows
from skdeep.losses._regression import SquaredError
from skdeep.networks import DenseNetwork
from skdeep.training import (
    DenseLearner,
    Learner,
    RowSource,
    Supervised,
    Task,
    TrainingOptions,
    train,
)
from tests.training.populations import train_together

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

SIZES = [4, 4, 2]
ORDER = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])


def table():
    return torch.arange(20.0).view(10, 2)


def add_hundred(inputs):
    return tuple(x + 100 for x in inputs)


def add_hundred_in_place(inputs):
    return tuple(x.add_(100) for x in inputs)


def make_source(augment=None, rows=None):
    rows = DenseRows(table(), -table()) if rows is None else rows
    return RowSource(rows, torch.arange(10), torch.arange(1.0, 11), augment)


@pytest.mark.parametrize("augment", [add_hundred, add_hundred_in_place])
@pytest.mark.parametrize("reuse", [False, True])
def test_batches_of_an_epoch_are_augmented(augment, reuse):
    source = make_source(augment)
    for _ in range(2):
        batches = source.batches(ORDER, SIZES, reuse=reuse)
        for rows, batch in zip(ORDER.split(SIZES), batches, strict=True):
            x, other = batch.inputs
            assert torch.equal(x, table()[rows] + 100)
            assert torch.equal(other, 100 - table()[rows])
            assert torch.equal(batch.target, rows)
            assert torch.equal(batch.weight, rows + 1.0)
    assert torch.equal(source.rows.tensors[0], table())


def test_batches_are_kept_unless_memory_is_reused():
    batches = list(make_source(add_hundred_in_place).batches(ORDER, SIZES))
    rows = torch.cat([batch.inputs[0] for batch in batches])
    assert torch.equal(rows, table()[ORDER] + 100)


@pytest.mark.parametrize("index", [slice(0, 3), slice(None), ORDER[:3]], ids=str)
@pytest.mark.parametrize("augment", [add_hundred, add_hundred_in_place])
def test_rows_are_augmented_for_training_only(index, augment):
    source = make_source(augment)
    x, _ = source.batch(index, training=True).inputs
    assert torch.equal(x, table()[index] + 100)
    x, _ = source.batch(index).inputs
    assert torch.equal(x, table()[index])
    assert torch.equal(source.rows.tensors[0], table())


def test_without_augmentation_rows_are_not_copied():
    source = make_source()
    x, _ = source.batch(slice(None), training=True).inputs
    assert x.data_ptr() == source.rows.tensors[0].data_ptr()


class Files(DenseRows):
    """Rows that record the calls of their methods."""

    def __init__(self, *tensors):
        super().__init__(*tensors)
        self.calls = []

    def take(self, index, out=None):
        self.calls.append(("take", index.tolist()))
        return super().take(index, out)

    def prefetch(self, index):
        self.calls.append(("prefetch", index.tolist()))


@pytest.mark.parametrize("reuse", [False, True])
def test_next_batch_is_prefetched(reuse):
    files = Files(table())
    for batch in make_source(None, files).batches(ORDER, SIZES, reuse=reuse):
        files.calls.append(("train", batch.target.tolist()))
    first, second, third = (rows.tolist() for rows in ORDER.split(SIZES))
    assert files.calls == [
        ("take", first),
        ("prefetch", second),
        ("train", first),
        ("take", second),
        ("prefetch", third),
        ("train", second),
        ("take", third),
        ("train", third),
    ]


def test_only_training_rows_are_augmented_in_a_fit():
    """A line that is learned from shifted rows predicts shifted rows."""
    x = torch.linspace(-1, 1, 40).view(-1, 1)

    def shift(inputs):
        return (inputs[0] + 0.5,)

    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    train_source = RowSource(DenseRows(x), 2 * x, augment=shift)
    task = Task(
        [Learner(network, Supervised(SquaredError(), 1))],
        train_source,
        TrainingOptions(
            solver="sgd", learning_rate_init=0.1, max_iter=60, batch_size=8, tol=0.0
        ),
        valid=RowSource(DenseRows(x + 0.5), 2 * x),
    )
    train(task)
    assert network.weight.item() == pytest.approx(2, abs=0.01)
    assert network.bias.item() == pytest.approx(-1, abs=0.01)
    assert task.state.history[-1]["valid_loss"] < 1e-3


def test_dense_networks_that_are_fitted_together_are_augmented():
    x = torch.linspace(-1, 1, 40).view(-1, 1)

    def make_task():
        network = DenseNetwork(1, (3,), 1)
        network.initialize("he_normal", np.random.RandomState(0))
        return Task(
            [DenseLearner(network, Supervised(SquaredError(), 1))],
            RowSource(DenseRows(x), 2 * x, augment=lambda inputs: (inputs[0] + 0.5,)),
            TrainingOptions(solver="adam", max_iter=3, batch_size=8),
            rng=np.random.RandomState(0),
            draws_globally=False,
            work=24,
        )

    alone, *together = (make_task() for _ in range(3))
    train(alone)
    assert train_together(together) == [None, None]
    expected = alone.learner.module(x)
    for task in together:
        torch.testing.assert_close(task.learner.module(x), expected)
