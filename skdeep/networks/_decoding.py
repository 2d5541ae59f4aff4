"""Generating sequences with an encoder-decoder network, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._seq2seq import END, Memory, Seq2SeqNetwork, select_states, trim

# Bytes of the encoded rows and of one step's scores in a chunk of rows.
_CHUNK_BYTES = {"cpu": 2**24}
_CHUNK_BYTES_ON_ACCELERATOR = 2**28
# Finished rows are dropped once they are this share of the rows: dropping copies the
# memory of the others.
_FINISHED_SHARE = 0.25


class Generated(NamedTuple):
    """Generated sequences.

    Parameters
    ----------
    ids : Tensor of shape (n_samples, n_steps)
        The tokens, the end token if it was generated, and then -1.
    log_proba : Tensor of shape (n_samples,)
        Log-probability of these tokens (of the end token too, if it is there).
    """

    ids: Tensor
    log_proba: Tensor


def greedy(
    network: Seq2SeqNetwork, inputs: Sequence[Tensor], max_length: int | Tensor
) -> Generated:
    """Generate the most probable token at each step.

    Parameters
    ----------
    network : Seq2SeqNetwork
        A network that generates tokens, in evaluation mode.
    inputs : sequence of Tensor
        The encoded rows: x, and the lengths if they differ.
    max_length : int or Tensor of shape (n_samples,)
        Maximum number of generated tokens. A sequence without an end token after that
        many is cut.

    Returns
    -------
    generated : Generated
        The sequences. Probabilities are those of the tokens that can be generated:
        padding and the unknown token cannot.
    """
    return _generate(network, inputs, max_length, 1, _greedy_chunk)


def beam_search(
    network: Seq2SeqNetwork,
    inputs: Sequence[Tensor],
    max_length: int | Tensor,
    beam_width: int,
) -> Generated:
    """Search for the most probable sequence.

    At each step the search keeps the ``beam_width`` most probable beginnings; of
    equally probable ones, those with the lower token id. It returns the most probable
    finished sequence that it has met, by the log-probability of the whole sequence.
    Where no beginning has met its end, it returns the most probable, cut. Where the
    greedy sequence is finished and more probable, it returns that one: the search may
    drop its beginning.

    Parameters
    ----------
    network : Seq2SeqNetwork
        A network that generates tokens, in evaluation mode.
    inputs : sequence of Tensor
        The encoded rows: x, and the lengths if they differ.
    max_length : int or Tensor of shape (n_samples,)
        Maximum number of generated tokens.
    beam_width : int
        Number of beginnings. With 1, the result is that of ``greedy``.

    Returns
    -------
    generated : Generated
        The sequences.
    """
    if beam_width == 1:
        return greedy(network, inputs, max_length)

    def search(network: Seq2SeqNetwork, memory: Memory, limits: Tensor) -> Generated:
        return _Beams(network, memory, limits, beam_width).run()

    found = _generate(network, inputs, max_length, beam_width, search)
    return _more_probable(found, greedy(network, inputs, max_length))


def _more_probable(found: Generated, other: Generated) -> Generated:
    """Return for each row the other sequence if it is finished and more probable."""
    is_finished = (other.ids == END).any(1)
    is_better = is_finished & (other.log_proba > found.log_proba)
    if not is_better.any():
        return found
    n_steps = max(found.ids.shape[1], other.ids.shape[1])
    ids, others = _lengthened(found.ids, n_steps), _lengthened(other.ids, n_steps)
    ids = others.where(is_better[:, None], ids)
    log_proba = other.log_proba.where(is_better, found.log_proba)
    return Generated(ids[:, : _longest(ids)], log_proba)


def _longest(ids: Tensor) -> int:
    return int((ids >= 0).sum(1).max())


def _lengthened(ids: Tensor, n_steps: int) -> Tensor:
    """Return ids with so many steps, -1 in the new ones."""
    return nn.functional.pad(ids, (0, n_steps - ids.shape[1]), value=-1)


@torch.inference_mode()
def run_freely(
    network: Seq2SeqNetwork,
    inputs: Sequence[Tensor],
    max_length: int | Tensor,
    *,
    stops: bool | None = None,
) -> Tensor:
    """Generate numbers, each step from the values of the previous one.

    Parameters
    ----------
    network : Seq2SeqNetwork
        A network that generates numbers, in evaluation mode.
    inputs : sequence of Tensor
        The encoded rows: x, and the lengths if they differ.
    max_length : int or Tensor of shape (n_samples,)
        Number of steps; the maximum if the network says when to stop.
    stops : bool or None, default=None
        Whether a row ends with the first step that the network takes for the last. By
        default it does if the network has learned that.

    Returns
    -------
    values : Tensor of shape (n_samples, n_steps, n_features)
        The values, and NaN after the end of a row.
    """
    has_end = bool(network.target.get("has_end"))
    stops = has_end if stops is None else stops and has_end
    limits = _limits(inputs[0], max_length)
    parts = [
        (rows, _run_chunk(network, network.encode(*chunk), limits[rows], stops))
        for rows, chunk in _chunks(network, inputs, 1)
    ]
    return _gathered(parts, torch.nan)


def decoder_inputs(network: Seq2SeqNetwork, outputs: Tensor) -> Tensor:
    """Return the decoder's inputs for given outputs: its start, and all but the last.

    ``outputs`` are ids with -1 after the end, (n, T), or values with NaN, (n, T, f).
    """
    is_ids = network.target_embedding is not None
    known = outputs.clamp_min(0) if is_ids else outputs.nan_to_num()
    return torch.cat([network.start(len(outputs)), known[:, :-1]], dim=1)


@torch.inference_mode()
def attention_weights(
    network: Seq2SeqNetwork, inputs: Sequence[Tensor], outputs: Tensor
) -> list[np.ndarray]:
    """Return the attention weights with which sequences are generated.

    Parameters
    ----------
    network : Seq2SeqNetwork
        A network with attention, in evaluation mode.
    inputs : sequence of Tensor
        The encoded rows: x, and the lengths if they differ.
    outputs : Tensor of shape (n_samples, n_steps) or (n_samples, n_steps, n_features)
        Generated ids with -1 after the end, or values with NaN after the end.

    Returns
    -------
    weights : list of ndarray, each of shape (n_steps_out, n_steps_in)
        The weights of each row, which sum to 1 for each step of the output.
    """
    is_step = outputs >= 0 if outputs.ndim == 2 else ~outputs.isnan().any(-1)
    n_out = is_step.sum(1).tolist()
    n_rows, n_steps_in = inputs[0].shape[:2]
    n_in = inputs[1].tolist() if len(inputs) > 1 else [n_steps_in] * n_rows
    found: list[Any] = [None] * n_rows
    for rows, chunk in _chunks(network, inputs, outputs.shape[1]):
        previous = decoder_inputs(network, outputs[rows])
        x, lengths = chunk[0], chunk[1] if len(chunk) > 1 else None
        weights = network.attention(x, lengths, previous).cpu().numpy()
        for i, own in zip(rows.tolist(), weights, strict=True):
            found[i] = own[: n_out[i], : n_in[i]].copy()
    return found


# -- chunks of rows --------------------------------------------------------------------


def _limits(x: Tensor, max_length: int | Tensor) -> Tensor:
    """Return the maximum length of each row's output, (n_samples,)."""
    return torch.as_tensor(max_length, device=x.device).expand(len(x))


def _chunk_size(network: Seq2SeqNetwork, n_steps: int, n_hypotheses: int) -> int:
    """Return how many rows to decode together."""
    width = network.bridge.in_features + network.hidden_size
    own = n_steps * width if network.attends else network.hidden_size
    step = n_steps + 2 * network.n_scores + 4 * network.hidden_size
    weight = network.head.weight
    n_bytes = weight.element_size() * (own + n_hypotheses * step)
    limit = _CHUNK_BYTES.get(weight.device.type, _CHUNK_BYTES_ON_ACCELERATOR)
    return max(1, limit // n_bytes)


def _chunks(
    network: Seq2SeqNetwork, inputs: Sequence[Tensor], n_hypotheses: int
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Yield the numbers of some rows, and their inputs without common padding."""
    x, *lengths = inputs
    size = _chunk_size(network, x.shape[1], n_hypotheses)
    order = torch.arange(len(x), device=x.device)
    if lengths and size < len(x):
        # Rows of similar length have little padding.
        order = lengths[0].argsort(stable=True)
    for rows in order.split(size):
        own = [part[rows] for part in lengths]
        yield rows, [trim(x[rows], *own) if own else x[rows], *own]


@torch.inference_mode()
def _generate(
    network: Seq2SeqNetwork,
    inputs: Sequence[Tensor],
    max_length: int | Tensor,
    n_hypotheses: int,
    decode: Callable[[Seq2SeqNetwork, Memory, Tensor], Generated],
) -> Generated:
    """Generate sequences of tokens, chunk by chunk."""
    limits = _limits(inputs[0], max_length)
    parts = [
        (rows, decode(network, network.encode(*chunk), limits[rows]))
        for rows, chunk in _chunks(network, inputs, n_hypotheses)
    ]
    ids = _gathered([(rows, part.ids) for rows, part in parts], -1)
    log_proba = network.head.weight.new_empty(len(limits))
    for rows, part in parts:
        log_proba[rows] = part.log_proba
    return Generated(ids[:, : _longest(ids)], log_proba)


def _gathered(parts: list[tuple[Tensor, Tensor]], filler: float) -> Tensor:
    """Return the outputs of all chunks, (n_samples, n_steps, ...), in order.

    ``parts`` are the numbers of the rows of each chunk, and their outputs. They are put
    together at the end: ``max_length`` may be far more than any output has.
    """
    n_rows = sum(len(rows) for rows, _ in parts)
    n_steps = max(part.shape[1] for _, part in parts)
    first = parts[0][1]
    found = first.new_full((n_rows, n_steps, *first.shape[2:]), filler)
    for rows, part in parts:
        found[rows, : part.shape[1]] = part
    return found


def _log_proba(raw: Tensor) -> Tensor:
    """Return log-probabilities of the tokens from ``END`` on."""
    raw = raw if raw.dtype == torch.float64 else raw.float()
    return torch.log_softmax(raw[..., END:], -1)


# -- one hypothesis for each row -------------------------------------------------------


class _Active:
    """The rows of a chunk that are not finished, with their state and memory."""

    def __init__(self, network: Seq2SeqNetwork, memory: Memory, limits: Tensor):
        self.network = network
        self.memory, self.state = memory, memory.state
        self.limits = limits
        self.n_rows = len(limits)
        self.rows = torch.arange(self.n_rows, device=limits.device)
        self.is_going = torch.ones_like(self.rows, dtype=torch.bool)

    def step(self, previous: Tensor) -> Tensor:
        """Take a step; return the raw scores."""
        raw, self.state, _ = self.network.step(previous, self.state, self.memory)
        return raw

    def spread(self, values: Tensor, filler: float) -> Tensor:
        """Return values of these rows as values of all rows of the chunk."""
        found = values.new_full((self.n_rows, *values.shape[1:]), filler)
        found[self.rows] = values
        return found

    def drop_finished(self, *others: Tensor) -> tuple[Tensor, ...]:
        """Drop finished rows, if they are many; return these rows of others."""
        n_rows, n_going = len(self.rows), int(self.is_going.sum())
        if n_going > (1 - _FINISHED_SHARE) * n_rows:
            return others
        kept = self.is_going.nonzero()[:, 0]
        self.rows, self.limits = self.rows[kept], self.limits[kept]
        self.is_going = self.is_going[kept]
        if n_going:
            self.memory = self.memory.rows(kept)
            self.state = select_states(self.state, kept)
        return tuple(part[kept] for part in others)


def _greedy_chunk(network: Seq2SeqNetwork, memory: Memory, limits: Tensor) -> Generated:
    n_rows, ids = len(limits), []
    log_proba = network.head.weight.new_zeros(n_rows)
    active, previous = _Active(network, memory, limits), network.start(n_rows)
    for t in range(int(limits.max())):
        values, tokens = _log_proba(active.step(previous)).max(-1)
        tokens = tokens + END
        going = active.is_going
        ids.append(active.spread(tokens.where(going, -1), -1))
        log_proba[active.rows] += values.where(going, 0).to(log_proba.dtype)
        active.is_going = going & (tokens != END) & (t + 1 < active.limits)
        (tokens,) = active.drop_finished(tokens)
        if not len(tokens):
            break
        previous = tokens[:, None]
    return Generated(torch.stack(ids, 1), log_proba)


def _run_chunk(
    network: Seq2SeqNetwork, memory: Memory, limits: Tensor, stops: bool
) -> Tensor:
    n_features, found = network.target["n_features"], []
    active, previous = _Active(network, memory, limits), network.start(len(limits))
    for t in range(int(limits.max())):
        raw = active.step(previous)
        values = raw[:, :n_features]
        going = active.is_going
        # Under autocast the outputs are less precise than the weights.
        values = values.to(previous.dtype)
        found.append(active.spread(values.where(going[:, None], torch.nan), torch.nan))
        active.is_going = going & (t + 1 < active.limits)
        if stops:
            active.is_going &= raw[:, -1] <= 0
        (values,) = active.drop_finished(values)
        if not len(values):
            break
        previous = values[:, None]
    return torch.stack(found, 1)


# -- beam search -----------------------------------------------------------------------


class _Beams:
    """A beam of hypotheses for each row of a chunk, from the best to the worst.

    A hypothesis that has met its end leaves the beam; the best one of each row is
    remembered. Since log-probabilities only fall, a row is done as soon as no other
    hypothesis is more probable.
    """

    def __init__(
        self, network: Seq2SeqNetwork, memory: Memory, limits: Tensor, width: int
    ):
        self.network, self.memory, self.limits = network, memory, limits
        self.width = width
        n_rows, device = len(limits), limits.device
        self.rows = torch.arange(n_rows, device=device)
        self.state = select_states(memory.state, self.rows.repeat_interleave(width))
        self.previous = network.start(n_rows * width)
        self.tokens = self.previous.new_empty((n_rows, width, 0))
        # All hypotheses are equal at first, and only one of them counts.
        self.totals = network.head.weight.new_full((n_rows, width), -torch.inf)
        self.totals[:, 0] = 0
        self.best_ids = self.previous.new_empty((n_rows, 0))
        self.best = self.totals.new_full((n_rows,), -torch.inf)

    def run(self) -> Generated:
        for t in range(int(self.limits.max())):
            self._extend()
            self._remember_finished()
            self._drop_done_rows(t + 1)
            if not len(self.rows):
                break
        return Generated(self.best_ids, self.best)

    def _extend(self) -> None:
        """Extend the hypotheses by a token, and keep the best of them."""
        raw, state, _ = self.network.step(self.previous, self.state, self.memory)
        n_rows = len(self.rows)
        steps = _log_proba(raw).view(n_rows, self.width, -1).to(self.totals.dtype)
        # Tokens come first, so that of equal totals the lower token id is kept.
        totals = (self.totals[:, :, None] + steps).mT.reshape(n_rows, -1)
        self.totals, index = _largest(totals, self.width)
        parents, tokens = index % self.width, index // self.width + END
        first = torch.arange(n_rows, device=index.device)[:, None]
        self.state = select_states(state, (first * self.width + parents).flatten())
        self.tokens = torch.cat([self.tokens[first, parents], tokens[..., None]], 2)
        self.best_ids = _lengthened(self.best_ids, self.tokens.shape[2])
        self.previous = tokens.reshape(-1, 1)

    def _remember_finished(self) -> None:
        """Take finished hypotheses out of the beam, and remember the best."""
        is_end = self.previous.view(self.totals.shape) == END
        found, which = self.totals.masked_fill(~is_end, -torch.inf).max(1)
        self._keep_if_better(found, which)
        self.totals = self.totals.masked_fill(is_end, -torch.inf)

    def _keep_if_better(self, found: Tensor, which: Tensor) -> None:
        is_better = found > self.best[self.rows]
        rows, own = self.rows[is_better], is_better.nonzero()[:, 0]
        self.best[rows] = found[is_better]
        self.best_ids[rows] = self.tokens[own, which[is_better]]

    def _drop_done_rows(self, n_steps: int) -> None:
        """Drop rows that are cut or whose best hypothesis is finished."""
        largest, which = self.totals.max(1)
        is_cut = n_steps >= self.limits
        # Only rows without a finished hypothesis are cut.
        unfinished = is_cut & (self.best[self.rows] == -torch.inf)
        self._keep_if_better(largest.where(unfinished, -torch.inf), which)
        # Hypotheses that are equally probable but not finished cannot be better.
        is_done = is_cut | (self.best[self.rows] >= largest)
        if not is_done.any():
            return
        kept = (~is_done).nonzero()[:, 0]
        self.rows, self.limits = self.rows[kept], self.limits[kept]
        self.tokens, self.totals = self.tokens[kept], self.totals[kept]
        if not len(kept):
            return
        beams = torch.arange(self.width, device=kept.device)
        hypotheses = (kept[:, None] * self.width + beams).flatten()
        self.previous = self.previous[hypotheses]
        self.state = select_states(self.state, hypotheses)
        self.memory = self.memory.rows(kept)


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row and their columns.

    Of equal values, the first columns are taken, which ``topk`` does not promise. With
    fewer than k columns, the result is filled with -inf.
    """
    n_columns = values.shape[1]
    if n_columns < k:
        values = nn.functional.pad(values, (0, k - n_columns), value=-torch.inf)
    found, index = values.topk(min(k + 1, values.shape[1]))
    is_tie = (found[:, 1:] == found[:, :-1]) & (found[:, 1:] > -torch.inf)
    if is_tie.any():
        found, index = values.sort(descending=True, stable=True)
    return found[:, :k], index[:, :k].clamp_max(n_columns - 1)
