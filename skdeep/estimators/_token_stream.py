"""The documents of a language model as ids, and as a stream of batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from skdeep.encoding import END, TokenEncoder, TokenTable
from skdeep.training import Batch, Documents, Source, StreamBatch

# A language model neither reads nor predicts padding, so its ids start at 0 with the
# unknown token.
UNKNOWN_ID, END_ID = 0, END - 1


class DocumentEncoder(TokenEncoder):
    """Turns tokens into the ids of a language model, which have no padding.

    Parameters
    ----------
    min_frequency : int or None
        Tokens that are less frequent in the training documents are unknown. None means
        2, or 1 if no token occurs twice.
    """

    def __init__(self, min_frequency: int | None):
        super().__init__(1)
        self.asked = min_frequency

    def fit(self, table: TokenTable) -> DocumentEncoder:
        """Learn the vocabulary.

        Raises
        ------
        ValueError
            If no token is as frequent as ``min_frequency``.
        """
        self.min_frequency = 2 if self.asked is None else self.asked
        super().fit(table)
        if self.asked is None and not self.vocabulary_.tokens:
            self.min_frequency = 1
            super().fit(table)
        if not self.vocabulary_.tokens:
            raise ValueError(
                f"No token of X occurs min_frequency={self.min_frequency} times, so "
                "all would be unknown. Decrease min_frequency or pass more text."
            )
        return self

    @property
    def n_tokens(self) -> int:
        """Number of ids."""
        return self.vocabulary_.size - 1

    def encode(self, table: TokenTable, dtype: torch.dtype, device: torch.device):
        """Return the documents, each followed by the end token."""
        lengths = table.lengths + 1
        ids = np.full(lengths.sum(), END_ID)
        is_token = np.ones(len(ids), dtype=bool)
        is_token[np.cumsum(lengths) - 1] = False
        tokens = chain.from_iterable(table.tokens)
        ids[is_token] = self.vocabulary_.encode(tokens) - 1
        return Documents(torch.from_numpy(ids).to(device), lengths, END_ID)


class TokenStream(Source):
    """Documents as one stream of tokens, read in several columns at once.

    In each epoch the documents are joined in another order and the stream starts at
    another token. It is cut into columns of equal length. A batch has the next steps of
    every column, and the state that the network has reached in the batch before. If
    there are more columns than documents, each column begins like a document, with the
    end token.

    A row of the source is a token. The order of the rows determines the order of the
    documents and the start: that of the ids below the number of documents, and the
    first id. Rows in their own order leave the documents in theirs.

    Parameters
    ----------
    documents : Documents
        The training documents.
    memory : Tensor of shape (n_columns, ...)
        Memory for the states; as many columns as there are rows.
    """

    def __init__(self, documents: Documents, memory: Tensor):
        self.documents = documents
        self.memory = memory

    def __len__(self) -> int:
        return len(self.documents.ids)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        """Return some tokens, each after the one before it and without a state."""
        ids = self.documents.ids
        return Batch({"ids": ids.roll(1)[index, None]}, ids[index, None])

    def batches(
        self, order: Tensor, sizes: list[int], *, reuse: bool = False
    ) -> Iterator[Batch]:
        ids = self._joined(order.cpu().numpy())
        n_columns = len(self.memory)
        n_steps = -(-len(ids) // n_columns)
        # The stream is a circle: its first token comes after its last, and the last
        # column goes on at its beginning.
        target, before = (
            part.repeat(2)[: n_columns * n_steps].view(n_columns, n_steps)
            for part in (ids, ids.roll(1))
        )
        if len(self.documents) < n_columns:
            # A prediction starts with the end token and a state of zeros, of which the
            # network would see too little in a few long documents.
            before[:, 0] = END_ID
        self.memory.zero_()
        # Batches of about equal length: a step on very few tokens would be noise.
        ends = np.linspace(0, n_steps, len(sizes) + 1).astype(int).tolist()
        for start, end in pairwise(ends):
            inputs = {"ids": before[:, start:end], "state": self.memory.clone()}
            size = float(n_columns * (end - start))
            yield StreamBatch(inputs, target[:, start:end], None, size, self.memory)

    def _joined(self, order: np.ndarray) -> Tensor:
        """Return the ids of all documents in the order of an epoch, (n_tokens,)."""
        documents = self.documents
        chosen = order[order < len(documents)]
        lengths = documents.lengths[chosen]
        shifts = documents.starts[chosen] - (np.cumsum(lengths) - lengths)
        places = np.arange(len(order)) + np.repeat(shifts, lengths)
        places = np.roll(places, -order[0])
        return documents.ids[torch.from_numpy(places).to(documents.ids.device)]
