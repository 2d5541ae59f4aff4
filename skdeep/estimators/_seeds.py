"""The seeds of a fit."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state

_LARGEST = np.iinfo(np.int32).max


class _NoEntropy(ISeedSequence):
    """The seed of a bit generator that is seeded again at once.

    ``RandomState(seed)`` first reads and mixes entropy of the system, which takes
    longer than to draw the weights of a small network.
    """

    def generate_state(self, n_words, dtype=np.uint32):
        # numpy reads the words one by one, which takes ten times as long in an array.
        return [0] * n_words


# numpy's annotations know no other seeds than its own.
_NO_ENTROPY: Any = _NoEntropy()


def make_rng(seed, checkpoint=None) -> np.random.RandomState:
    """Return the generator of a fit.

    Without a seed, one is drawn from numpy's global generator, which is advanced by
    this single draw. It is stored with a checkpoint, because the fit that resumes it
    needs the same seed.
    """
    if seed is None:
        seed = None if checkpoint is None else checkpoint.seed
        if seed is None:
            seed = int(check_random_state(None).randint(_LARGEST))
        if checkpoint is not None:
            checkpoint.seed = seed
    if isinstance(seed, Integral):
        rng = np.random.RandomState(np.random.MT19937(_NO_ENTROPY))
        rng.seed(int(seed))
        return rng
    return check_random_state(seed)


def peek_seed(rng: np.random.RandomState) -> int:
    """Return a seed without advancing ``rng``.

    The draws from ``rng`` itself must be scikit-learn's, in the same order: only then
    does the same random_state give the same initial weights.
    """
    state = rng.get_state(legacy=False)
    words = state["state"].get("key")
    if isinstance(words, np.ndarray):
        # numpy reads the words one by one, which takes ten times as long in an array.
        state["state"]["key"] = words.tolist()
    try:
        return int(rng.randint(_LARGEST))
    finally:
        rng.set_state(state)
