"""Encoder-decoder networks: from a sequence, or a row, to a sequence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._dense import Dropout
from skdeep.networks._initialization import (
    initialize_embeddings,
    initialize_linear,
    initialize_recurrent,
    make_embedding,
    make_linear,
)
from skdeep.networks._recurrent import make_layer, read_layers, run_layer

# Ids of tokens. The end token is also the first input of a decoder.
PADDING, UNKNOWN, END = 0, 1, 2

# Maximum number of values, over all steps, in a chunk of rows.
_MAX_VALUES = 2**23


class Memory(NamedTuple):
    """What a decoder knows of the encoded rows.

    Parameters
    ----------
    state : tuple of Tensor, each of shape (num_layers, n_samples, hidden_size)
        First state of the decoder: (h, c) of an LSTM, (h,) of other cells.
    outputs : Tensor of shape (n_samples, n_steps_in, width), or None without attention
        Outputs of the encoder at each step.
    keys : Tensor of shape (n_samples, n_steps_in, hidden_size), or None
        The outputs times the weights of the attention.
    is_padding : Tensor of shape (n_samples, 1, n_steps_in), or None without padding
        Steps that the decoder must not attend to.
    """

    state: tuple[Tensor, ...]
    outputs: Tensor | None = None
    keys: Tensor | None = None
    is_padding: Tensor | None = None

    def rows(self, index: Tensor) -> Memory:
        """Return some of the rows."""
        others = [None if part is None else part[index] for part in self[1:]]
        return Memory(select_states(self.state, index), *others)


def select_states(state: tuple[Tensor, ...], index: Tensor) -> tuple[Tensor, ...]:
    """Return the states of some rows."""
    return tuple(part.index_select(1, index) for part in state)


class Seq2SeqNetwork(nn.Module):
    """A recurrent encoder and a recurrent decoder, with attention.

    The decoder attends to the outputs of the encoder with the "general" score of Luong
    et al. (2015), h · W s, over all steps of the source. Unlike in the paper, the
    attentional state tanh(W [h; context]) is not fed to the next step, so that in
    training the decoder's layers read all steps in one call.

    Parameters
    ----------
    source : dict
        The inputs. ``{"kind": "tokens", "n_tokens": int}`` for ids,
        ``{"kind": "numbers", "n_features": int}`` for sequences of numbers, or
        ``{"kind": "rows", "n_features": int}`` for rows, which a dense layer encodes.
    target : dict
        The outputs: ``{"kind": "tokens", "n_tokens": int}``, or ``{"kind": "numbers",
        "n_features": int, "has_end": bool}``. With ``has_end``, the last raw score is
        the logit that a step is the last one.
    hidden_size : int
        Width of each layer of the encoder, in each direction, and of the decoder.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Kind of the recurrent layers.
    num_layers : int, default=1
        Number of layers of the encoder and of the decoder.
    bidirectional : bool, default=True
        Whether layers of the encoder also read from the end to the beginning.
    attention : bool, default=True
        Whether the decoder attends to the steps of the source. Rows have no steps, so
        it is ignored for them.
    embedding_dims : tuple of (int or None, int or None), default=(None, None)
        Width of the embeddings of the source's and the target's tokens; ``hidden_size``
        by default.
    dropout : float, default=0.0
        Share of values set to zero in training: of embedded tokens, between layers and
        before the last linear layer.

    References
    ----------
    I. Sutskever, O. Vinyals and Q. V. Le, "Sequence to sequence learning with neural
    networks", NeurIPS 2014.

    M.-T. Luong, H. Pham and C. D. Manning, "Effective approaches to attention-based
    neural machine translation", EMNLP 2015.
    """

    def __init__(
        self,
        source: dict,
        target: dict,
        hidden_size: int,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: bool = True,
        embedding_dims: tuple[int | None, int | None] = (None, None),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.source, self.target = source, target
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.attends = attention and source["kind"] != "rows"
        self.dropout = Dropout(dropout)
        dims = [dim or hidden_size for dim in embedding_dims]
        width = self._make_encoder(dims[0], cell, bidirectional)
        self._make_decoder(dims[1], cell, width)

    def _make_encoder(self, dim: int, cell: str, bidirectional: bool) -> int:
        """Make the layers of the encoder; return the width of its outputs."""
        source, hidden_size = self.source, self.hidden_size
        self.source_embedding = self.dense = None
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        if source["kind"] == "rows":
            self.dense = make_linear(source["n_features"], hidden_size)
            return hidden_size
        if source["kind"] == "tokens":
            self.source_embedding = make_embedding(source["n_tokens"], dim)
        n_inputs = dim if source["kind"] == "tokens" else source["n_features"]
        width = hidden_size * (2 if bidirectional else 1)
        for n in [n_inputs, *[width] * (self.num_layers - 1)]:
            self.forwards.append(make_layer(cell, n, hidden_size))
            if bidirectional:
                self.backwards.append(make_layer(cell, n, hidden_size))
        return width

    def _make_decoder(self, dim: int, cell: str, width: int) -> None:
        """Make the layers of the decoder for an encoder of this width."""
        target, hidden_size = self.target, self.hidden_size
        self.n_states = 2 if cell == "lstm" else 1
        self.bridge = make_linear(width, self.n_states * self.num_layers * hidden_size)
        self.target_embedding = self.key = self.combine = None
        if target["kind"] == "tokens":
            self.target_embedding = make_embedding(target["n_tokens"], dim)
            self.n_scores = target["n_tokens"]
        else:
            dim = target["n_features"]
            self.n_scores = dim + bool(target.get("has_end"))
        self.decoder = nn.ModuleList(
            make_layer(cell, n, hidden_size)
            for n in [dim, *[hidden_size] * (self.num_layers - 1)]
        )
        if self.attends:
            # A bias would add the same number to the scores of all steps.
            self.key = make_linear(width, hidden_size, bias=False)
            self.combine = make_linear(hidden_size + width, hidden_size)
        self.head = make_linear(hidden_size, self.n_scores)

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw all weights from ``rng``."""
        layers = [*self.forwards, *self.backwards, *self.decoder]
        initialize_recurrent(layers, rng)
        linear = [self.dense, self.bridge, self.key, self.combine, self.head]
        found = [layer for layer in linear if layer is not None]
        initialize_linear(found, "glorot_uniform", "tanh", rng)
        tables = [self.source_embedding, self.target_embedding]
        initialize_embeddings([t for t in tables if t is not None], rng)

    @property
    def work_per_row(self) -> int:
        """Number of multiply-adds of a step: threads synchronize after each step."""
        layers = [*self.forwards, *self.backwards, *self.decoder]
        return max(sum(w.numel() for w in layer.parameters()) for layer in layers)

    def rows_per_chunk(
        self, x: Tensor, lengths: Tensor | None = None, previous: Tensor | None = None
    ) -> int:
        """Return how many rows of this length to pass to the network together."""
        n_steps = 1 if self.dense is not None else x.shape[1]
        kept = n_steps * self.bridge.in_features
        if previous is not None:
            width = max(n_steps, self.hidden_size, self.n_scores)
            kept = max(kept, previous.shape[1] * width)
        return max(1, _MAX_VALUES // kept)

    # -- encoder -----------------------------------------------------------------------

    def _read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Return the encoder's outputs at every step (None for rows) and at the end."""
        if self.dense is not None:
            return None, torch.tanh(self.dense(x))
        if self.source_embedding is not None:
            x = self.dropout(self.source_embedding(x))
        elif x.ndim == 2:
            x = x.unsqueeze(-1)
        return read_layers(self.forwards, self.backwards, self.dropout, x, lengths)

    def states(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the encoder's output at the end of each sequence, (n, width)."""
        return self._read(trim(x, lengths), lengths)[1]

    def encode(self, x: Tensor, lengths: Tensor | None = None) -> Memory:
        """Encode rows for the decoder.

        ``x`` is (n, T) for tokens, (n, T, n_features) for numbers, (n, n_features) for
        rows. ``lengths`` is (n,), or None if all lengths are T.
        """
        outputs, ends = self._read(x, lengths)
        # (n, n_states * num_layers * hidden) -> n_states times (num_layers, n, hidden)
        parts = torch.tanh(self.bridge(ends))
        parts = parts.view(len(x), self.n_states, self.num_layers, self.hidden_size)
        state = tuple(parts.permute(1, 2, 0, 3).contiguous().unbind(0))
        if self.key is None or outputs is None:
            return Memory(state)
        is_padding = None
        if lengths is not None:
            steps = torch.arange(outputs.shape[1], device=x.device)
            is_padding = (steps >= lengths[:, None]).unsqueeze(1)
        return Memory(state, outputs, self.key(outputs), is_padding)

    # -- decoder -----------------------------------------------------------------------

    def start(self, n_rows: int) -> Tensor:
        """Return the first inputs of the decoder: the end token, or zeros."""
        device, dtype = self.head.weight.device, self.head.weight.dtype
        if self.target_embedding is not None:
            return torch.full((n_rows, 1), END, device=device)
        shape = (n_rows, 1, self.target["n_features"])
        return torch.zeros(shape, device=device, dtype=dtype)

    def _decode(
        self, previous: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs of the decoder's layers, (n, T, hidden), and the state."""
        x = previous
        if self.target_embedding is not None:
            x = self.dropout(self.target_embedding(previous))
        states = []
        for i, layer in enumerate(self.decoder):
            x = x if i == 0 else self.dropout(x)
            own = tuple(part[i : i + 1] for part in state)
            x, own = run_layer(layer, x, own if len(own) == 2 else own[0])
            states.append(own if isinstance(own, tuple) else (own,))
        return x, tuple(torch.cat(parts) for parts in zip(*states, strict=True))

    def _attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Return the attentional states, (n, T, hidden), and weights (n, T, T_in)."""
        if memory.outputs is None or memory.keys is None or self.combine is None:
            return h, None
        scores = h @ memory.keys.mT
        if memory.is_padding is not None:
            scores = scores.masked_fill(memory.is_padding, -torch.inf)
        weights = torch.softmax(scores, -1)
        context = weights @ memory.outputs
        return torch.tanh(self.combine(torch.cat([h, context], -1))), weights

    def step(
        self, previous: Tensor, state: tuple[Tensor, ...], memory: Memory
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
        """Decode one step.

        Parameters
        ----------
        previous : Tensor of shape (n, 1), or (n, 1, n_features) for numbers
            The outputs of the previous step, or ``start``.
        state : tuple of Tensor
            State of the decoder after the previous step.
        memory : Memory
            The encoded rows. If ``n`` is a multiple of their number, each has as many
            hypotheses, one after the other.

        Returns
        -------
        raw : Tensor of shape (n, n_scores)
            Raw scores.
        state : tuple of Tensor
            The new state.
        weights : Tensor of shape (n, n_steps_in), or None without attention
            Attention weights.
        """
        h, state = self._decode(previous, state)
        n, n_rows = len(h), memory.state[0].shape[1]
        # The hypotheses of a row share its memory: they attend like steps.
        h, weights = self._attend(h.reshape(n_rows, n // n_rows, -1), memory)
        raw = self.head(self.dropout(h.reshape(n, -1)))
        return raw, state, None if weights is None else weights.reshape(n, -1)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, previous: Tensor | None = None
    ) -> Tensor:
        """Return raw scores (n, T_out, n_scores) for given previous outputs.

        ``previous`` holds the decoder's inputs of all steps: (n, T_out) ids, or
        (n, T_out, n_features) values; by default only the first.
        """
        memory = self.encode(x, lengths)
        previous = self.start(len(x)) if previous is None else previous
        h, _ = self._decode(previous, memory.state)
        return self.head(self.dropout(self._attend(h, memory)[0]))

    def attention(
        self, x: Tensor, lengths: Tensor | None = None, previous: Tensor | None = None
    ) -> Tensor:
        """Return the attention weights (n, T_out, T_in) for given previous outputs."""
        memory = self.encode(x, lengths)
        previous = self.start(len(x)) if previous is None else previous
        weights = self._attend(self._decode(previous, memory.state)[0], memory)[1]
        if weights is None:
            raise ValueError("The network has no attention.")
        return weights


def trim(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Cut off steps that are padding in all sequences."""
    return x if lengths is None else x[:, : int(lengths.max())]
