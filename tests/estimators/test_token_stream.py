"""The stream of batches that language models are trained on."""

import numpy as np
import pytest
import torch

from skdeep.estimators._token_stream import END_ID, TokenStream
from skdeep.training import Documents

LENGTHS = np.array([3, 1, 7, 2, 5])
N_TOKENS = 18


def make_stream(n_columns):
    """Return a stream of different ids, with an end after each document."""
    ids = torch.arange(100, 100 + N_TOKENS)
    ids[np.cumsum(LENGTHS) - 1] = END_ID
    memory = torch.full((n_columns, 2, 3), torch.nan)
    return TokenStream(Documents(ids, LENGTHS, END_ID), memory)


def documents_of(ids):
    """Return a circle of ids as a set of documents."""
    last = max(i for i, value in enumerate(ids) if value == END_ID)
    found, current = set(), []
    for value in ids[last + 1 :] + ids[: last + 1]:
        current.append(value)
        if value == END_ID:
            found.add(tuple(current))
            current = []
    return found


@pytest.mark.parametrize("n_columns", [1, 2, 4, 5, 18])
@pytest.mark.parametrize("bptt", [1, 2, 3, 100])
def test_an_epoch_reads_every_document_once(n_columns, bptt):
    stream = make_stream(n_columns)
    expected = documents_of(stream.documents.ids.tolist())
    rng = np.random.RandomState(0)
    epochs = []
    for _ in range(4):
        order = torch.from_numpy(rng.permutation(len(stream)))
        n_batches = -(-N_TOKENS // (n_columns * bptt))
        batches = list(stream.batches(order, [0] * n_batches))
        assert len(batches) == n_batches
        target = torch.cat([batch.target for batch in batches], 1)
        read = torch.cat([batch.inputs["ids"] for batch in batches], 1)
        flat = target.flatten().tolist()
        # The last column goes on at the beginning of the stream.
        assert flat[N_TOKENS:] == flat[: len(flat) - N_TOKENS]
        circle = flat[:N_TOKENS]
        assert documents_of(circle) == expected
        before = torch.tensor([circle[-1], *circle])
        before = before[np.arange(len(flat)) % N_TOKENS].view(read.shape)
        if n_columns > len(LENGTHS):  # a column begins like a document
            before[:, 0] = END_ID
        assert torch.equal(read, before)
        sizes = [batch.target.shape[1] for batch in batches]
        assert max(sizes) <= bptt
        assert max(sizes) - min(sizes) <= 1
        epochs.append(circle)
    assert len(set(map(tuple, epochs))) == 4


def test_rows_in_their_order_leave_the_documents_in_theirs():
    stream = make_stream(1)
    (batch,) = stream.batches(torch.arange(N_TOKENS), [N_TOKENS])
    assert torch.equal(batch.target[0], stream.documents.ids)
    assert batch.weight_sum == N_TOKENS


def test_states_are_carried_within_an_epoch_only():
    stream = make_stream(2)
    states = []
    for _ in range(2):
        for batch in stream.batches(torch.arange(N_TOKENS), [6] * 3):
            states.append(batch.inputs["state"].unique().tolist())
            batch.memory += 1
    assert states == [[0], [1], [2]] * 2


def test_parts_of_a_batch_write_to_their_columns():
    stream = make_stream(4)
    batch = next(stream.batches(torch.arange(N_TOKENS), [N_TOKENS]))
    parts = list(batch.split(2))
    assert [part.weight_sum for part in parts] == [10, 10]
    for i, part in enumerate(parts):
        part.memory.fill_(i)
    assert stream.memory[:, 0, 0].tolist() == [0, 0, 1, 1]
