"""Recurrent networks: initial weights and outputs."""

import numpy as np
import pytest
import torch

from skdeep.networks import CELLS, RecurrentNetwork, _recurrent

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
every_cell = pytest.mark.parametrize("cell", CELLS)


def make(seed=0, **params):
    network = RecurrentNetwork(3, 5, 2, **params)
    network.initialize(np.random.RandomState(seed))
    return network.eval()


def draw(*shape):
    return torch.as_tensor(np.random.default_rng(0).normal(size=shape)).float()


@every_cell
def test_initial_weights(cell):
    """Recurrent weights are orthogonal, and only the forget gate has a bias."""
    network = make(cell=cell, num_layers=2, bidirectional=True)
    layers = [*network.forwards, *network.backwards]
    assert len(layers) == 4
    for layer in layers:
        gates = layer.weight_hh_l0.detach().split(5)
        assert len(gates) == GATES[cell]
        for gate in gates:
            torch.testing.assert_close(gate @ gate.T, torch.eye(5))
        n_in = layer.weight_ih_l0.shape[1]
        largest = layer.weight_ih_l0.detach().abs().max()
        bound = np.sqrt(6 / (n_in + 5))
        assert 0.8 * bound < largest <= bound
        bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().reshape(-1, 5)
        expected = torch.zeros_like(bias)
        if cell == "lstm":  # torch's order of gates: input, forget, cell, output
            expected[1] = 1
        torch.testing.assert_close(bias, expected)


def test_weights_are_drawn_from_the_given_generator_only():
    before = torch.get_rng_state()
    first, second, other = make(0), make(0), make(1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_has_zero_scores_and_no_effect(cell, bidirectional):
    network = make(cell=cell, bidirectional=bidirectional, return_sequences=True)
    x, lengths = draw(3, 8, 3), torch.tensor([2, 6, 1])
    raw = network(x, lengths)
    assert raw.shape == (3, 8, 2)
    other = x.clone()
    for row, length in zip(other, lengths, strict=True):
        row[length:] = 1e3
    for i, length in enumerate(lengths):
        assert (raw[i, length:] == 0).all()
        alone = network(x[i : i + 1, :length])[0]
        torch.testing.assert_close(raw[i, :length], alone)
    torch.testing.assert_close(network(other, lengths), raw)
    torch.testing.assert_close(
        network.states(other, lengths), network.states(x, lengths)
    )


def test_two_dimensional_input():
    network = RecurrentNetwork(1, 5, 2)
    network.initialize(np.random.RandomState(0))
    x = draw(4, 6)
    torch.testing.assert_close(network(x), network(x[:, :, None]))


def test_long_sequences_have_small_chunks():
    network = make()
    short, long = torch.zeros(1, 10, 3), torch.zeros(1, 100_000, 3)
    assert network.rows_per_chunk(short) > 1000
    assert 1 <= network.rows_per_chunk(long) < 100
    assert network.rows_per_chunk(torch.zeros(1, 1, 3).expand(1, 10**9, 3)) == 1


def test_dropout_between_layers_before_the_head_and_after_the_embedding():
    """In training half of the values are dropped and the others doubled."""
    network = make(dropout=0.5, num_layers=3, embedding=(7, 4)).train()
    dropped = []
    network.dropout.register_forward_hook(
        lambda module, inputs, output: dropped.append((inputs[0], output))
    )
    tokens = torch.as_tensor(np.random.default_rng(0).integers(2, 7, (200, 6, 1)))
    network(tokens)
    shapes = [tuple(before.shape) for before, _ in dropped]
    assert shapes == [(200, 6, 4), (200, 6, 5), (200, 6, 5), (200, 5)]
    for before, after in dropped:
        kept = after != 0
        torch.testing.assert_close(after[kept], 2 * before[kept])
        assert 0.4 < kept.double().mean() < 0.6
    network.eval()
    torch.testing.assert_close(network(tokens), network(tokens))


# -- half precision --------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["as_it_is", "without_half_precision"])
def cpu(request, monkeypatch):
    """This CPU, and one on which torch has no LSTM in half precision."""
    if not request.param:
        monkeypatch.setattr(_recurrent, "_can_autocast_lstm", lambda dtype: False)
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("truncation", [None, 2])
def test_every_cell_works_under_autocast(cpu, dtype, truncation):
    for cell in CELLS:
        network = make(cell=cell, truncation=truncation).to(dtype)
        x = draw(4, 6, 3).to(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(x)
        assert found.isfinite().all()
        torch.testing.assert_close(found.to(dtype), network(x), rtol=0.05, atol=0.05)
        found.sum().backward()
