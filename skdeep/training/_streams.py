"""Streams of tokens: batches that continue each other, and documents of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skdeep.training._batches import Batch, Source
from skdeep.training._device import threads_for
from skdeep.training._inference import call
from skdeep.training._objectives import Supervised

# Maximum number of values in the largest tensor of a forward pass without gradients.
_MAX_VALUES = 2**22
# Maximum number of steps in such a pass: longer ones would leave fewer rows for it.
_MAX_STEPS = 256


@dataclass
class StreamBatch(Batch):
    """Rows of a stream, which continue those of the batch before.

    The inputs are ``ids``, (n, T), and ``state``, a copy of ``memory``. The target is
    (n, T).

    Parameters
    ----------
    memory : Tensor of shape (n, ...)
        The objective writes the new states here, for the next batch.
    """

    memory: Any = None

    def split(self, size: int) -> Iterator[Batch]:
        """Yield the rows in batches of ``size``; the last may be shorter."""
        start = 0
        for part in super().split(size):
            rows = slice(start, start + len(part))
            start += len(part)
            weight_sum = float(part.target.numel())
            yield StreamBatch(
                part.inputs, part.target, None, weight_sum, self.memory[rows]
            )


class NextToken(Supervised):
    """The cross entropy of the next token at every step.

    ``losses`` returns the loss of every token, (n * T,). The network must return raw
    scores, (n, T, n_tokens), and its state. The other parameters are those of
    ``Supervised``; ``loss`` is used by callbacks only.
    """

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        raw, state = call(networks[self.name], batch.inputs, self.precision)
        if isinstance(batch, StreamBatch):
            # The gradient is cut here: truncated back-propagation through time.
            batch.memory.copy_(state.detach())
        return token_losses(raw, batch.target).flatten()

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the mean loss of each document, and its number of tokens."""
        documents: Any = source
        losses = document_losses(networks[self.name], documents, self.precision)
        n_tokens = torch.from_numpy(documents.lengths).to(losses)
        return losses / n_tokens, n_tokens, None


def token_losses(raw: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy of each token, and 0 where the target is -1.

    ``raw`` is (n, T, n_tokens); ``target`` and the result are (n, T).
    """
    flat = raw.flatten(0, 1)
    losses = functional.cross_entropy(
        flat if flat.dtype == torch.float64 else flat.float(),
        target.flatten(),
        ignore_index=-1,
        reduction="none",
    )
    return losses.view(target.shape)


class Documents(Source):
    """Documents as ids of tokens, each with an end token after it.

    Parameters
    ----------
    ids : Tensor of shape (n_tokens,)
        The ids of all documents, one after another.
    lengths : ndarray of int of shape (n_documents,)
        Number of tokens of each document, the end token included.
    end : int
        Id of the end token, which a network also reads before the first token.
    """

    def __init__(self, ids: Tensor, lengths: np.ndarray, end: int):
        self.ids = ids
        self.lengths = lengths
        self.end = end
        self.starts = np.cumsum(lengths) - lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        rows = np.arange(len(self))
        rows = rows[index if isinstance(index, slice) else index.cpu().numpy()]
        ids, target = self.piece(rows, 0, int(self.lengths[rows].max()))
        return Batch({"ids": ids}, target, None, float(self.lengths[rows].sum()))

    def piece(
        self, rows: np.ndarray, start: int, n_steps: int
    ) -> tuple[Tensor, Tensor]:
        """Return what a network reads in some steps of documents, and the next tokens.

        Both are (n_rows, n_steps). After the end of a document, the next token is -1
        and the network reads end tokens.
        """
        steps = np.arange(start, start + n_steps)
        is_step = steps < self.lengths[rows][:, np.newaxis]
        places = np.where(is_step, self.starts[rows][:, np.newaxis] + steps, 0)
        mask = torch.from_numpy(is_step).to(self.ids.device)
        taken = self.ids[torch.from_numpy(places).to(self.ids.device)]
        before = self.ids[torch.from_numpy(np.maximum(places - 1, 0)).to(taken.device)]
        before.masked_fill_(~mask, self.end)
        if start == 0:
            before[:, 0] = self.end
        return before, taken.masked_fill(~mask, -1)


def iter_pieces(
    network: Any,
    documents: Documents,
    function: Callable[..., Any],
    precision: str | None = None,
) -> Iterator[tuple[np.ndarray, int, Any, Tensor]]:
    """Read documents in pieces; yield the result for each piece.

    Documents of similar length are read together, and the state is carried from piece
    to piece, so that the results are those of reading each document as a whole.

    Parameters
    ----------
    network : LanguageNetwork
        Makes the first states and knows the size of its largest tensor.
    documents : Documents
        The documents.
    function : callable
        ``function(ids, state)`` returns a result, (n, T, ...), and the new state.
    precision : {"bf16"} or None
        Precision of the forward pass.

    Yields
    ------
    rows : ndarray of int of shape (n,)
        Positions of the documents of a piece.
    start : int
        Number of the first step.
    result : Tensor of shape (n, T, ...)
        The result of the function.
    target : Tensor of shape (n, T)
        The next token at each step; -1 after the end of a document.
    """
    most = max(1, _MAX_VALUES // network.values_per_step)
    order = np.argsort(-documents.lengths, kind="stable")
    first = 0
    while first < len(order):
        longest = int(documents.lengths[order[first]])
        n_steps = min(longest, _MAX_STEPS, most)
        rows = order[first : first + max(1, most // n_steps)]
        first += len(rows)
        state = network.new_state(len(rows))
        for start in range(0, longest, n_steps):
            # The longest come first, so those that go on are the first rows.
            rows = rows[documents.lengths[rows] > start]
            n_read = min(n_steps, longest - start)
            ids, target = documents.piece(rows, start, n_read)
            inputs = {"ids": ids, "state": state[: len(rows)]}
            # A forward pass takes a third of a training step.
            with threads_for(network.work_per_row * len(rows) // 3, ids.device):
                result, state = call(function, inputs, precision)
            state = state.to(network.embedding.weight.dtype)
            yield rows, start, result, target


@torch.inference_mode()
def document_losses(
    network: Any, documents: Documents, precision: str | None = None
) -> Tensor:
    """Return the sum of the losses of each document's tokens, (n,), on the CPU."""
    total = torch.zeros(len(documents), dtype=torch.float64)
    for rows, _, raw, target in iter_pieces(network, documents, network, precision):
        losses = token_losses(raw, target).cpu()  # 'mps' has no float64
        total[torch.from_numpy(rows)] += losses.double().sum(1)
    return total


@torch.inference_mode()
def last_outputs(
    network: Any, documents: Documents, precision: str | None = None
) -> Tensor:
    """Return the last layer's output at the end of each document, (n, hidden_size)."""
    found: Tensor = network.new_state(len(documents))[:, 0, 0]
    pieces = iter_pieces(network, documents, network.read, precision)
    for rows, start, outputs, _ in pieces:
        last = documents.lengths[rows] - 1 - start
        ending = np.flatnonzero(last < outputs.shape[1])
        if len(ending):
            here = torch.from_numpy(rows[ending]).to(found.device)
            found[here] = outputs[ending, last[ending]].to(found.dtype)
    return found
