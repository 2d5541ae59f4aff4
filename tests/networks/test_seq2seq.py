"""The encoder-decoder network, compared with a network of plain torch modules."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skdeep.networks import CELLS
from tests.networks.seq2seq import (
    SOURCES,
    TARGETS,
    draw_inputs,
    draw_previous,
    make,
)

every_cell = pytest.mark.parametrize("cell", CELLS)
every_source = pytest.mark.parametrize("source", SOURCES)
every_target = pytest.mark.parametrize("target", TARGETS)


class Plain(nn.Module):
    """The network written out with ``nn.LSTM`` and ``nn.Linear``."""

    def __init__(self, n_layers):
        super().__init__()
        self.source_embedding = nn.Embedding(8, 5)
        self.target_embedding = nn.Embedding(6, 5)
        self.encoder = nn.LSTM(5, 5, n_layers, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(5, 5, n_layers, batch_first=True)
        self.bridge = nn.Linear(10, 2 * n_layers * 5)
        self.key = nn.Linear(10, 5, bias=False)
        self.combine = nn.Linear(15, 5)
        self.head = nn.Linear(5, 6)
        self.n_layers = n_layers

    def copy(self, network):
        """Copy the weights of a network."""
        found = network.state_dict()
        own = {k: v for k, v in found.items() if "ards." not in k and k[:3] != "dec"}
        for i in range(self.n_layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                kinds = {"forwards": "", "backwards": "_reverse"}
                for kind, suffix in kinds.items():
                    own[f"encoder.{name}_l{i}{suffix}"] = found[f"{kind}.{i}.{name}_l0"]
                own[f"decoder.{name}_l{i}"] = found[f"decoder.{i}.{name}_l0"]
        self.load_state_dict(own)
        return self

    def forward(self, x, lengths, previous):
        packed = pack_padded_sequence(
            self.source_embedding(x), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, (h, _) = self.encoder(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        ends = torch.cat([h[-2], h[-1]], 1)  # both directions of the last layer
        parts = torch.tanh(self.bridge(ends)).split(5, 1)
        n = self.n_layers
        first = torch.stack(parts[:n]), torch.stack(parts[n:])
        decoded, _ = self.decoder(self.target_embedding(previous), first)
        raw = []
        for row, memory, length in zip(decoded, outputs, lengths, strict=True):
            memory = memory[:length]
            weights = torch.softmax(row @ self.key(memory).T, 1)
            both = torch.cat([row, weights @ memory], 1)
            raw.append(self.head(torch.tanh(self.combine(both))))
        return torch.stack(raw)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_scores_and_gradients_of_plain_torch(n_layers):
    network = make(num_layers=n_layers).train()
    plain = Plain(n_layers).double().copy(network)
    inputs, previous = draw_inputs(), draw_previous(network)
    raw, expected = network(*inputs, previous), plain(*inputs, previous)
    torch.testing.assert_close(raw, expected)
    factors = torch.from_numpy(np.random.default_rng(2).normal(size=raw.shape))
    (raw * factors).sum().backward()
    (expected * factors).sum().backward()
    own = dict(network.named_parameters())
    for name in ("key.weight", "combine.weight", "bridge.bias", "head.weight"):
        torch.testing.assert_close(own[name].grad, plain.get_parameter(name).grad)
    for i in range(n_layers):
        pairs = {
            f"forwards.{i}.": (f"_l{i}", plain.encoder),
            f"backwards.{i}.": (f"_l{i}_reverse", plain.encoder),
            f"decoder.{i}.": (f"_l{i}", plain.decoder),
        }
        for prefix, (suffix, layer) in pairs.items():
            for name in ("weight_ih", "weight_hh", "bias_hh"):
                torch.testing.assert_close(
                    own[f"{prefix}{name}_l0"].grad, getattr(layer, name + suffix).grad
                )
    for name in ("source_embedding.weight", "target_embedding.weight"):
        torch.testing.assert_close(own[name].grad, plain.get_parameter(name).grad)


@every_source
@every_target
@pytest.mark.parametrize("attention", [False, True])
def test_single_steps_are_those_of_all_steps(source, target, attention):
    network = make(source, target, num_layers=2, attention=attention)
    inputs, previous = draw_inputs(source), draw_previous(network)
    raw = network(*inputs, previous=previous)
    assert raw.shape == (4, 5, network.n_scores)
    memory = network.encode(*inputs)
    state = memory.state
    for t in range(5):
        step, state, weights = network.step(previous[:, t : t + 1], state, memory)
        torch.testing.assert_close(step, raw[:, t])
        attends = attention and source != "rows"
        assert (weights is not None) == attends
        if attends:
            all_weights = network.attention(*inputs, previous=previous)
            torch.testing.assert_close(weights, all_weights[:, t])


@every_cell
@pytest.mark.parametrize("source", ["tokens", "numbers"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_has_no_effect(cell, source, bidirectional):
    network = make(source, cell=cell, bidirectional=bidirectional, num_layers=2)
    (x, lengths), previous = draw_inputs(source), draw_previous(network)
    raw = network(x, lengths, previous)
    weights = network.attention(x, lengths, previous)
    other = x.clone()
    for row, length in zip(other, lengths, strict=True):
        row[length:] = 7
    torch.testing.assert_close(network(other, lengths, previous), raw)
    states = network.states(other, lengths)
    for i, length in enumerate(lengths):
        alone = x[i : i + 1, :length]
        own = previous[i : i + 1]
        torch.testing.assert_close(network(alone, None, own)[0], raw[i])
        torch.testing.assert_close(network.states(alone)[0], states[i])
        assert (weights[i, :, length:] == 0).all()
        torch.testing.assert_close(
            weights[i].sum(1), torch.ones(5, dtype=torch.float64)
        )


@every_cell
def test_initial_weights(cell):
    network = make(cell=cell, num_layers=2)
    layers = [*network.forwards, *network.backwards, *network.decoder]
    assert len(layers) == 6
    for layer in layers:
        for gate in layer.weight_hh_l0.detach().split(5):
            eye = torch.eye(5, dtype=torch.float64)
            torch.testing.assert_close(gate @ gate.T, eye, atol=1e-6, rtol=0)
        if cell == "lstm":
            bias = layer.bias_ih_l0 + layer.bias_hh_l0
            assert (bias[5:10] == 1).all()
    for table in (network.source_embedding, network.target_embedding):
        assert (table.weight[:2] == 0).all()
        assert (table.weight[2:] != 0).all()


def test_weights_are_drawn_from_the_given_generator_only():
    before = torch.get_rng_state()
    first, second, other = make(seed=0), make(seed=0), make(seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.key.weight, other.key.weight)


def test_hypotheses_of_a_row_share_its_memory():
    network = make()
    inputs = draw_inputs()
    memory = network.encode(*inputs)
    index = torch.arange(4).repeat_interleave(3)
    repeated = memory.rows(index)
    previous = torch.from_numpy(np.random.default_rng(0).integers(2, 6, (12, 1)))
    shared = network.step(previous, repeated.state, memory)
    copied = network.step(previous, repeated.state, repeated)
    torch.testing.assert_close(shared[0], copied[0])
    torch.testing.assert_close(shared[2], copied[2])


def test_one_number_per_step_may_have_no_axis():
    network = make("numbers")
    network.forwards[0] = nn.LSTM(1, 5, batch_first=True).double()
    network.backwards[0] = nn.LSTM(1, 5, batch_first=True).double()
    x, lengths = draw_inputs("numbers")
    torch.testing.assert_close(
        network.states(x[:, :, 0], lengths), network.states(x[:, :, :1], lengths)
    )


@pytest.mark.parametrize("n_layers", [1, 2])
def test_dropout_in_training_only(n_layers):
    network = make(dropout=0.5, num_layers=n_layers)
    network.dropout.generator = torch.Generator().manual_seed(0)
    inputs, previous = draw_inputs(), draw_previous(network)
    still = network(*inputs, previous)
    assert torch.equal(network(*inputs, previous), still)
    network.train()
    assert not torch.equal(network(*inputs, previous), network(*inputs, previous))


@every_source
def test_rows_of_a_chunk_are_fewer_if_they_are_long(source):
    network = make(source)
    x, *lengths = draw_inputs(source)
    few = network.rows_per_chunk(x, *lengths, previous=draw_previous(network))
    long = torch.zeros(1, 2**20, dtype=torch.int64)
    assert few > 1000
    assert 1 <= network.rows_per_chunk(x, *lengths, previous=long) < few / 1000
