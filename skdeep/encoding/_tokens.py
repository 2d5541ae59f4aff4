"""Sequences of tokens, such as characters and words, as numbers of a vocabulary."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch

from skdeep.encoding._rows import DenseRows

# Ids that are not in a vocabulary. The end token is also the first input of a decoder.
PADDING, UNKNOWN, END = 0, 1, 2
N_SPECIAL = 3

# -- text ------------------------------------------------------------------------------

# Stands for combining marks and joiners, which ``\w`` does not match.
_MARK = "\ue000"
_WORD = re.compile(
    rf"\w[\w{_MARK}]*"
    rf"(?:['’-]\w[\w{_MARK}]*|(?<=\d)[.,:]\d[\w{_MARK}]*)*"
    rf"|[^\w\s]{_MARK}*"
)
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}’”»…%")
_NO_SPACE_AFTER = frozenset("([{“‘«¿¡")


def levels_of(level) -> tuple[str, str]:
    """Return the levels of X and of y; ``level`` is one for both, or a pair."""
    return (level, level) if isinstance(level, str) else tuple(level)


def split(text: str, level: str) -> list[str]:
    """Split a text into tokens.

    Parameters
    ----------
    text : str
        The text.
    level : {"char", "word"}
        Whether the tokens are characters, that is unicode code points, or words and
        punctuation marks. An apostrophe or hyphen inside a word and a point, comma or
        colon inside a number belong to it: "don't", "well-known", "1,000.5", "10:30".

    Returns
    -------
    tokens : list of str
        The tokens. White space is a token of level "char" only.

    Examples
    --------
    >>> from skdeep.encoding import split
    >>> split("Don't go, Ann!", "word")
    ["Don't", 'go', ',', 'Ann', '!']
    >>> split("one", "char")
    ['o', 'n', 'e']
    """
    if level == "char":
        return list(text)
    if text.isascii():
        return _WORD.findall(text)
    # A letter and its combining marks are one word, so the pattern is matched on a
    # text of the same length with a placeholder for each mark.
    marked = "".join(_MARK if _is_mark(c) else c for c in text)
    return [text[m.start() : m.end()] for m in _WORD.finditer(marked)]


def _is_mark(character: str) -> bool:
    """Return whether a code point belongs to the one before it."""
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf"


def join(tokens: Iterable[str], level: str) -> str:
    """Join tokens into a text.

    At level "char" this is the inverse of `split`. At level "word" it is not: words are
    joined by single spaces, with no space before a closing mark such as a comma nor
    after an opening bracket.

    Parameters
    ----------
    tokens : iterable of str
        The tokens.
    level : {"char", "word"}
        What they are.

    Returns
    -------
    text : str
        The text.

    Examples
    --------
    >>> from skdeep.encoding import join
    >>> join(["Yes", "(", "he", "said", ")", ",", "go", "!"], "word")
    'Yes (he said), go!'
    """
    if level == "char":
        return "".join(tokens)
    parts: list[str] = []
    last = None
    for token in tokens:
        is_apart = last is not None and last not in _NO_SPACE_AFTER
        if is_apart and token not in _NO_SPACE_BEFORE:
            parts.append(" ")
        parts.append(token)
        last = token
    return "".join(parts)


# -- a vocabulary ----------------------------------------------------------------------


def _by_type_and_value(token) -> tuple[str, Any]:
    """Return a key that sorts tokens of several types."""
    return type(token).__name__, token


class Vocabulary:
    """Numbers tokens: 0 is padding, 1 an unknown token, 2 the end, 3 the first token.

    Parameters
    ----------
    tokens : sequence of str or int
        The tokens, each once, in the order of their ids.

    Attributes
    ----------
    size : int
        Number of ids, those of padding, unknown tokens and the end included.

    Examples
    --------
    >>> from skdeep.encoding import Vocabulary
    >>> vocabulary = Vocabulary.learn(["banana"])
    >>> vocabulary.tokens
    ['a', 'n', 'b']
    >>> vocabulary.encode("nab!")
    array([4, 3, 5, 1])
    >>> vocabulary.decode([4, 3, 5, 2])
    ['n', 'a', 'b']
    """

    def __init__(self, tokens: Sequence):
        self.tokens = list(tokens)
        self._ids = {token: i for i, token in enumerate(self.tokens, N_SPECIAL)}

    def __getstate__(self) -> dict:
        # Not the dict: skops writes its keys as strings, so 1 and "1" would be one key.
        return {"tokens": self.tokens}

    def __setstate__(self, state: dict) -> None:
        Vocabulary.__init__(self, state["tokens"])

    @classmethod
    def learn(cls, sequences: Iterable[Iterable], min_frequency: int = 1) -> Vocabulary:
        """Return the vocabulary of sequences, the most frequent token first.

        Tokens of the same frequency are sorted by type and value, so that the order of
        the sequences does not matter.

        Parameters
        ----------
        sequences : iterable of iterable of str or int
            The training sequences.
        min_frequency : int, default=1
            Tokens that are less frequent are left out; `encode` makes them unknown.

        Returns
        -------
        vocabulary : Vocabulary
            The vocabulary.

        Examples
        --------
        >>> from skdeep.encoding import Vocabulary
        >>> Vocabulary.learn([[7, 9], [7, 9, 8]], min_frequency=2).tokens
        [7, 9]
        """
        counts = Counter(chain.from_iterable(sequences))
        kept = [token for token, n in counts.items() if n >= min_frequency]
        kept.sort(key=_by_type_and_value)
        return cls(sorted(kept, key=counts.__getitem__, reverse=True))

    @property
    def size(self) -> int:
        """Number of ids."""
        return N_SPECIAL + len(self.tokens)

    def encode(self, tokens: Iterable) -> np.ndarray:
        """Return the id of each token, 1 for an unknown one.

        Parameters
        ----------
        tokens : iterable of str or int
            A sequence of tokens.

        Returns
        -------
        ids : ndarray of int64 of shape (n_tokens,)
            The ids, without an end token.

        Examples
        --------
        >>> from skdeep.encoding import Vocabulary
        >>> Vocabulary(["yes", "no"]).encode(["no", "maybe"])
        array([4, 1])
        """
        known = self._ids
        return np.fromiter((known.get(token, UNKNOWN) for token in tokens), np.int64)

    def encode_rows(
        self, sequences: Sequence[Sequence] | np.ndarray, filler: int = PADDING
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return sequences as rows of ids, each followed by the end token.

        Parameters
        ----------
        sequences : sequence of sequences of str or int
            The sequences, which may be empty.
        filler : int, default=0
            What follows the end token of shorter sequences.

        Returns
        -------
        ids : ndarray of int64 of shape (n_sequences, n_steps)
            The ids, and the end token, and the filler.
        lengths : ndarray of int64 of shape (n_sequences,)
            Lengths with the end token.

        Examples
        --------
        >>> from skdeep.encoding import Vocabulary
        >>> ids, lengths = Vocabulary(["a", "b"]).encode_rows(["ab", ""])
        >>> ids
        array([[3, 4, 2],
               [2, 0, 0]])
        >>> lengths
        array([3, 1])
        """
        n_tokens = np.array([len(tokens) for tokens in sequences], np.int64)
        n_steps = 1 + n_tokens.max(initial=0)
        ids = np.full((len(n_tokens), n_steps), filler, np.int64)
        ids[np.arange(n_steps) < n_tokens[:, np.newaxis]] = self.encode(
            chain.from_iterable(sequences)
        )
        ids[np.arange(len(ids)), n_tokens] = END
        return ids, n_tokens + 1

    def decode(self, ids: Iterable[int]) -> list:
        """Return the tokens of ids up to the end token, without unknown ones.

        Parameters
        ----------
        ids : iterable of int of shape (n_steps,)
            The ids. What follows the end token or a padding (0 or -1) is not read.

        Returns
        -------
        tokens : list of str or int
            The tokens.

        Examples
        --------
        >>> from skdeep.encoding import Vocabulary
        >>> Vocabulary(["yes", "no"]).decode([4, 3, 1, 4, 2, 3])
        ['no', 'yes', 'no']
        """
        tokens = []
        for i in np.asarray(ids).tolist():
            if i in (END, PADDING) or i < 0:
                break
            if i != UNKNOWN:
                tokens.append(self.tokens[i - N_SPECIAL])
        return tokens


# -- inputs of a network ---------------------------------------------------------------


@dataclass
class TokenTable:
    """Checked sequences of tokens.

    ``token_dtype`` is the float type to compute in: tokens do not imply one.
    """

    tokens: list[list]
    token_dtype: Any = np.float32

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return np.dtype(self.token_dtype)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each sequence, (n_samples,)."""
        return np.array([len(tokens) for tokens in self.tokens], np.int64)

    @property
    def numeric(self) -> np.ndarray:
        """An array with a row for each sequence, by which weights are checked."""
        return self.lengths

    def rows(self, index) -> TokenTable:
        """Return some of the sequences: a slice, positions, or a mask."""
        return replace(self, tokens=pick(self.tokens, index))


def pick(rows: list, index) -> list:
    """Return some items of a list: a slice, an array of positions, or a mask."""
    if isinstance(index, slice):
        return rows[index]
    index = np.asarray(index)
    if index.dtype == bool:
        index = np.flatnonzero(index)
    return [rows[i] for i in index.tolist()]


class TokenEncoder:
    """Turns checked sequences of tokens into ids.

    Parameters
    ----------
    min_frequency : int, default=1
        Tokens that are less frequent in the training rows are unknown.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens of the training rows.
    longest_ : int
        Number of tokens of the longest training row.
    n_inputs_ : int
        Number of features of a step, 1.
    """

    def __init__(self, min_frequency: int = 1):
        self.min_frequency = min_frequency

    def fit(self, table: TokenTable) -> TokenEncoder:
        """Learn the vocabulary and the length of the longest sequence."""
        self.vocabulary_ = Vocabulary.learn(table.tokens, self.min_frequency)
        self.longest_ = int(table.lengths.max(initial=0))
        self.n_inputs_ = 1
        return self

    def encode(self, table: TokenTable, dtype: torch.dtype, device: torch.device):
        """Return ids (n_samples, n_steps) padded with 0, and lengths (n_samples,).

        Each sequence is followed by the end token, which its length includes.
        """
        ids, lengths = self.vocabulary_.encode_rows(table.tokens)
        return DenseRows(
            torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)
        )
