"""Generated sequences, compared with loops over rows and enumerated sequences."""

import itertools

import numpy as np
import pytest
import torch

from skdeep.networks import (
    CELLS,
    _decoding,
    attention_weights,
    beam_search,
    greedy,
    run_freely,
)
from tests.networks.seq2seq import N_OUT, draw_inputs, make

END = 2
every_cell = pytest.mark.parametrize("cell", CELLS)


def lively(source="tokens", seed=3, **params):
    """Return a network that generates sequences of different lengths."""
    network = make(source, seed=seed, scale=8.0, **params)
    with torch.no_grad():
        network.head.bias[END] += 0.5
    return network


def tokens_of(ids):
    """Return the tokens of each row, and check that only -1 follows."""
    found = []
    for row in ids.tolist():
        own = [token for token in row if token >= 0]
        assert row == own + [-1] * (len(row) - len(own))
        assert END not in own[:-1]
        found.append(own)
    return found


@torch.no_grad()
def log_probabilities(network, row, prefix):
    """Return the log-probability of each token after a prefix, 0 and 1 ruled out."""
    previous = torch.tensor([[END, *prefix]])
    x, *lengths = row
    if lengths:
        x, lengths = x[:, : lengths[0]], []
    raw = network(x, None, previous)[0, -1].clone()
    raw[:2] = -torch.inf
    return torch.log_softmax(raw, 0).tolist()


def rows_of(inputs):
    for i in range(len(inputs[0])):
        yield [part[i : i + 1] for part in inputs]


def greedy_by_hand(network, row, max_length):
    prefix, total = [], 0.0
    while len(prefix) < max_length and prefix[-1:] != [END]:
        values = log_probabilities(network, row, prefix)
        prefix.append(int(np.argmax(values)))
        total += max(values)
    return prefix, total


def beam_by_hand(network, row, max_length, width):
    """Search with lists; of equal hypotheses the lower token comes first."""
    beam, finished = [(0.0, [])], []
    for _ in range(max_length):
        found = []
        for total, prefix in beam:
            values = log_probabilities(network, row, prefix)
            found += [(total + v, [*prefix, k]) for k, v in enumerate(values) if k > 1]
        found = sorted(found, key=lambda one: (-one[0], one[1][-1]))[:width]
        finished += [one for one in found if one[1][-1] == END]
        beam = [one for one in found if one[1][-1] != END]
    best = max(finished or beam, key=lambda one: one[0])
    return best[1], best[0]


@every_cell
@pytest.mark.parametrize("source", ["tokens", "rows"])
def test_greedy(cell, source):
    network, inputs = lively(source, cell=cell), draw_inputs(source, 8)
    generated = greedy(network, inputs, 7)
    expected = [greedy_by_hand(network, row, 7) for row in rows_of(inputs)]
    assert tokens_of(generated.ids) == [tokens for tokens, _ in expected]
    np.testing.assert_allclose(generated.log_proba, [total for _, total in expected])
    assert generated.ids.shape[1] == max(len(tokens) for tokens, _ in expected)


def test_rows_end_at_different_steps():
    """The cases above include rows that end early, late and not at all."""
    lengths = set()
    for cell in CELLS:
        ids = greedy(lively(cell=cell), draw_inputs(n_rows=8), 7).ids
        lengths |= {(len(row), row[-1] == END) for row in tokens_of(ids)}
    assert (7, False) in lengths
    assert len(lengths) > 2


@every_cell
@pytest.mark.parametrize("width", [1, 2, 3])
def test_beam_search(cell, width):
    network, inputs = lively(cell=cell, num_layers=2), draw_inputs(n_rows=8)
    generated = beam_search(network, inputs, 5, width)
    expected = [beam_by_hand(network, row, 5, width) for row in rows_of(inputs)]
    assert tokens_of(generated.ids) == [tokens for tokens, _ in expected]
    np.testing.assert_allclose(generated.log_proba, [total for _, total in expected])


@every_cell
@pytest.mark.parametrize("source", ["tokens", "rows"])
def test_beam_of_one_is_greedy(cell, source):
    network, inputs = lively(source, cell=cell), draw_inputs(source, 8)
    beam, one = beam_search(network, inputs, 6, 1), greedy(network, inputs, 6)
    assert torch.equal(beam.ids, one.ids)
    torch.testing.assert_close(beam.log_proba, one.log_proba)


def test_beam_of_one_takes_the_steps_of_greedy(monkeypatch):
    network, inputs, counts = lively(), draw_inputs(n_rows=8), []
    step = network.step
    monkeypatch.setattr(network, "step", lambda *args: counts.append(1) or step(*args))
    greedy(network, inputs, 6)
    n_steps = len(counts)
    beam_search(network, inputs, 6, 1)
    assert len(counts) == 2 * n_steps


def test_max_length_takes_no_memory():
    network = lively()
    with torch.no_grad():
        network.head.bias[END] += 100
    for width in (1, 2):
        assert beam_search(network, draw_inputs(), 10**15, width).ids.shape[1] == 1
    network = make(target="numbers")
    with torch.no_grad():
        network.head.bias[-1] += 100
    assert run_freely(network, draw_inputs(), 10**15).shape[1] == 1


def test_beam_of_all_beginnings_is_exhaustive():
    network, inputs, n_steps = lively(), draw_inputs(), 4
    others = range(END + 1, N_OUT)
    sequences = [
        (*beginning, END)
        for n in range(n_steps)
        for beginning in itertools.product(others, repeat=n)
    ]
    generated = beam_search(network, inputs, n_steps, (N_OUT - 2) ** n_steps)
    for row, own, total in zip(
        rows_of(inputs), tokens_of(generated.ids), generated.log_proba, strict=True
    ):
        totals = {
            found: sum(
                log_probabilities(network, row, found[:t])[token]
                for t, token in enumerate(found)
            )
            for found in sequences
        }
        best = max(totals, key=totals.get)
        assert own == list(best)
        np.testing.assert_allclose(total, totals[best])


def test_ties_are_broken_by_the_lower_id():
    network = make()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias[END] = -3.0
    inputs = draw_inputs()
    share = 1 / (3 + np.exp(-3.0))
    for generated in (greedy(network, inputs, 3), beam_search(network, inputs, 3, 1)):
        assert tokens_of(generated.ids) == [[3, 3, 3]] * 4
        np.testing.assert_allclose(generated.log_proba, 3 * np.log(share))
    for width in (2, 3, 5):
        found = tokens_of(beam_search(network, inputs, 3, width).ids)
        expected = [beam_by_hand(network, row, 3, width)[0] for row in rows_of(inputs)]
        assert found == expected
    with torch.no_grad():
        network.head.bias[END] = 0.0  # all tokens are equally probable
    generated = beam_search(network, inputs, 3, 3)
    assert tokens_of(generated.ids) == [[END]] * 4
    np.testing.assert_allclose(generated.log_proba, np.log(1 / 4))


@pytest.mark.parametrize("width", [None, 3])
def test_each_row_has_its_own_maximum(width):
    network, inputs = lively(), draw_inputs()
    with torch.no_grad():
        network.head.bias[END] = -1e3

    def generate(rows, limit):
        if width is None:
            return greedy(network, rows, limit)
        return beam_search(network, rows, limit, width)

    limits = torch.tensor([3, 1, 5, 2])
    generated = generate(inputs, limits)
    rows = tokens_of(generated.ids)
    assert [len(row) for row in rows] == limits.tolist()
    for i, row in enumerate(rows_of(inputs)):
        alone = generate(row, int(limits[i]))
        assert tokens_of(alone.ids) == [rows[i]]
        torch.testing.assert_close(alone.log_proba[0], generated.log_proba[i])


def test_padding_and_unknown_tokens_are_never_generated():
    network, inputs = make(), draw_inputs()
    with torch.no_grad():
        network.head.bias[:2] = 100.0
    ids = greedy(network, inputs, 5).ids
    assert ids[(ids == 0) | (ids == 1)].numel() == 0
    assert (greedy(network, inputs, 5).log_proba > -20).all()


def test_chunks_of_rows(monkeypatch):
    network, inputs = lively(), draw_inputs(n_rows=12)
    numbers = make(target="numbers")
    limits = torch.arange(12) % 5 + 1

    def results():
        found = [*greedy(network, inputs, limits)]
        found += beam_search(network, inputs, limits, 3)
        return [*found, run_freely(numbers, inputs, limits)], attention_weights(
            network, inputs, found[0]
        )

    whole = results()
    calls = []
    encode = type(network).encode
    monkeypatch.setattr(_decoding, "_CHUNK_BYTES", {"cpu": 3000})
    monkeypatch.setattr(
        type(network), "encode", lambda *args: calls.append(args) or encode(*args)
    )
    parts = results()
    assert len(calls) > 8
    for one, other in zip(whole[0], parts[0], strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)
    for one, other in zip(whole[1], parts[1], strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("source", ["tokens", "numbers"])
def test_equal_lengths_may_be_left_out(source):
    network, (x, lengths) = lively(source), draw_inputs(source)
    with_lengths = [x, torch.full_like(lengths, x.shape[1])]
    for one, other in zip(
        beam_search(network, [x], 5, 2),
        beam_search(network, with_lengths, 5, 2),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    ids = greedy(network, [x], 5).ids
    for one, other in zip(
        attention_weights(network, [x], ids),
        attention_weights(network, with_lengths, ids),
        strict=True,
    ):
        assert one.shape[1] == x.shape[1]
        np.testing.assert_allclose(one, other)


def test_single_precision_and_deterministic():
    network, inputs = lively().float(), draw_inputs(n_rows=8)
    first, second = (beam_search(network, inputs, 6, 4) for _ in range(2))
    assert first.log_proba.dtype == torch.float32
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.log_proba, second.log_proba)


@every_cell
@pytest.mark.parametrize("source", ["tokens", "numbers", "rows"])
def test_numbers(cell, source):
    network, inputs = make(source, "numbers", cell=cell), draw_inputs(source)
    values = run_freely(network, inputs, 4, stops=False)
    assert values.shape == (4, 4, 2)
    previous = network.start(4)
    with torch.no_grad():
        for t in range(4):
            raw = network(*inputs, previous=previous)
            torch.testing.assert_close(values[:, t], raw[:, t, :2])
            previous = torch.cat([previous, raw[:, t : t + 1, :2]], 1)


def test_numbers_stop_after_the_step_that_is_the_last():
    network, inputs = make(target="numbers", seed=2, scale=10.0), draw_inputs(n_rows=8)
    free = run_freely(network, inputs, 6, stops=False)
    previous = torch.cat([network.start(8), free[:, :-1]], 1)
    is_last = network(*inputs, previous)[:, :, 2] > 0
    lengths = [row.index(True) + 1 if True in row else 6 for row in is_last.tolist()]
    assert len(set(lengths)) > 1
    values = run_freely(network, inputs, 6)
    for own, other, length in zip(values, free, lengths, strict=True):
        torch.testing.assert_close(own[:length], other[:length])
        assert own[length:].isnan().all()


@pytest.mark.parametrize("target", ["tokens", "numbers"])
@torch.no_grad()
def test_attention_weights_are_those_of_the_steps(target):
    network, inputs = make(target=target, scale=4.0), draw_inputs()
    if target == "tokens":
        outputs = greedy(network, inputs, 5).ids
        lengths = [len(row) for row in tokens_of(outputs)]
    else:
        outputs = run_freely(network, inputs, torch.tensor([1, 5, 2, 3]))
        lengths = (~outputs[:, :, 0].isnan()).sum(1).tolist()
    weights = attention_weights(network, inputs, outputs)
    for i, row in enumerate(rows_of(inputs)):
        x = row[0][:, : row[1][0]]
        assert weights[i].shape == (lengths[i], x.shape[1])
        memory = network.encode(x)
        state, previous = memory.state, network.start(1)
        for t in range(lengths[i]):
            _, state, expected = network.step(previous, state, memory)
            np.testing.assert_allclose(weights[i][t], expected[0])
            previous = outputs[i : i + 1, t : t + 1]


def test_a_network_without_attention_has_no_weights():
    network, inputs = make(attention=False), draw_inputs()
    with pytest.raises(ValueError, match="no attention"):
        attention_weights(network, inputs, greedy(network, inputs, 3).ids)
