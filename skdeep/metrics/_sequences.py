"""Edit distances between sequences of tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.metrics import make_scorer

from skdeep._input_checks import naming, tensor_to_numpy
from skdeep.metrics._labels import check_same_length, check_weight

_LEVELS = ("char", "word")
# Distances of a batch of pairs are computed together: about so many cells of a table,
# which fit the cache of a core.
_CELLS = 1 << 16


def edit_distance(
    y_true, y_pred, *, level="char", normalize=False, sample_weight=None
) -> float:
    """Mean edit distance between predicted and true sequences.

    The edit distance of two sequences is the smallest number of tokens to insert,
    delete or replace that turns one into the other [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True sequences: strings, or lists of tokens (or tuples, arrays, Series). Tokens
        are strings, integers or other hashable values. The rows of a 2-D array are
        sequences of equal length.
    y_pred : array-like of shape (n_samples,)
        Predicted sequences, of the same kind.
    level : {"char", "word"}, default="char"
        The tokens of strings: characters, or words separated by whitespace. It has no
        effect on lists of tokens.
    normalize : bool, default=False
        Whether to divide each distance by the length of the longer sequence of the
        pair. It is then between 0 (equal) and 1 (nothing in common).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    distance : float
        The mean; 0 if all predictions are right.

    Raises
    ------
    TypeError
        If a row is not a sequence, is bytes, or holds tokens that are not hashable.
    ValueError
        If ``y_true`` and ``y_pred`` differ in their number of rows, are empty, or are a
        single string; if some rows are strings and others are lists of tokens; if a
        token is a missing value.

    See Also
    --------
    token_error_rate : Sum of the distances divided by the number of true tokens.
    neg_edit_distance : Scorer, for cross-validation and searches.

    References
    ----------
    .. [1] V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions,
       and reversals", Soviet Physics Doklady, 1966.

    Examples
    --------
    "kitten" becomes "sitting" with two replacements and an insertion:

    >>> from skdeep.metrics import edit_distance
    >>> edit_distance(["kitten"], ["sitting"])
    3.0
    >>> edit_distance(["the cat sat"], ["the cat sat down"], level="word")
    1.0
    >>> edit_distance([["K", "AE", "T"], ["T", "UW"]], [["K", "AH", "T"], ["T", "UW"]])
    0.5

    The scorer is the negative distance, for searches and cross-validation:

    >>> from sklearn.dummy import DummyClassifier
    >>> from skdeep.metrics import neg_edit_distance
    >>> model = DummyClassifier().fit([[0], [1], [2]], ["abc", "abc", "xyz"])
    >>> neg_edit_distance(model, [[0], [1]], ["abc", "acd"])
    -1.0
    """
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize must be a bool, got {short(normalize)}.")
    distances, lengths, weight = _compare(y_true, y_pred, level, sample_weight)
    if normalize:
        # Two empty sequences are equal: 0 / 1.
        distances = distances / np.maximum(lengths.max(axis=0), 1)
    return float(np.average(distances, weights=weight))


def token_error_rate(y_true, y_pred, *, level="char", sample_weight=None) -> float:
    """Edit distance as a fraction of the number of true tokens.

    It is the sum of the edit distances of all rows, divided by the sum of the lengths
    of the true sequences. This is the word error rate of speech recognition if the
    tokens are words, the character error rate if they are characters, and the phoneme
    error rate if they are phonemes [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True sequences: strings, or lists of tokens (or tuples, arrays, Series). Tokens
        are strings, integers or other hashable values. The rows of a 2-D array are
        sequences of equal length.
    y_pred : array-like of shape (n_samples,)
        Predicted sequences, of the same kind.
    level : {"char", "word"}, default="char"
        The tokens of strings: characters, or words separated by whitespace. It has no
        effect on lists of tokens.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in both sums.

    Returns
    -------
    rate : float
        0 if all predictions are right. It is more than 1 if the predictions have more
        wrong tokens than the true sequences have tokens. If there are no true tokens,
        the rate is 0.0 if there are no predicted ones either.

    Raises
    ------
    TypeError
        If a row is not a sequence, is bytes, or holds tokens that are not hashable.
    ValueError
        If ``y_true`` and ``y_pred`` differ in their number of rows, are empty, or are a
        single string; if some rows are strings and others are lists of tokens; if a
        token is a missing value; if all true sequences are empty, but not the
        predicted ones.

    See Also
    --------
    edit_distance : Mean of the distances.
    neg_token_error_rate : Scorer, for cross-validation and searches.

    References
    ----------
    .. [1] D. Jurafsky, J. H. Martin, "Speech and Language Processing", chapter on
       automatic speech recognition, section on word error rate.

    Examples
    --------
    One of six words is missing and another one is replaced:

    >>> from skdeep.metrics import token_error_rate
    >>> y_true = ["the cat sat on the mat"]
    >>> y_pred = ["the cat sit on mat"]
    >>> round(token_error_rate(y_true, y_pred, level="word"), 3)
    0.333
    """
    distances, lengths, weight = _compare(y_true, y_pred, level, sample_weight)
    if weight is None:
        weight = np.ones(len(distances))
    errors, n_tokens = float(weight @ distances), float(weight @ lengths[0])
    if n_tokens == 0 and errors > 0:
        raise ValueError(
            "The token error rate is undefined: all sequences in y_true that have a "
            "weight are empty, but not those in y_pred. Use edit_distance."
        )
    return errors / n_tokens if n_tokens else 0.0


_SCORER_DOC = """Scorer of the negative {metric}, for ``scoring=``.

    ``{scorer}(estimator, X, y, sample_weight=None)`` is
    ``-{function}(y, estimator.predict(X))``. Strings are compared by character; for
    other settings and for metadata routing make a scorer of your own, as in
    ``make_scorer({function}, level="word", greater_is_better=False)`` with
    :func:`sklearn.metrics.make_scorer`.

    See Also
    --------
    {function} : The metric.
    """

neg_edit_distance = make_scorer(edit_distance, greater_is_better=False)
neg_edit_distance.__doc__ = _SCORER_DOC.format(
    metric="mean edit distance", scorer="neg_edit_distance", function="edit_distance"
)

neg_token_error_rate = make_scorer(token_error_rate, greater_is_better=False)
neg_token_error_rate.__doc__ = _SCORER_DOC.format(
    metric="token error rate",
    scorer="neg_token_error_rate",
    function="token_error_rate",
)


# -- reading the sequences -------------------------------------------------------------


def _compare(y_true, y_pred, level, sample_weight):
    """Return the distances, (n,), the lengths, (2, n), and the weights or None."""
    if not (isinstance(level, str) and level in _LEVELS):
        raise ValueError(f"level must be 'char' or 'word', got {short(level)}.")
    truth, guess = _read(y_true, "y_true"), _read(y_pred, "y_pred")
    check_same_length(y_true=truth, y_pred=guess)
    _check_same_kind(truth, guess)
    weight = check_weight(sample_weight, truth)
    if level == "word" and isinstance(truth[0], str):
        truth, guess = [row.split() for row in truth], [row.split() for row in guess]
    codes: defaultdict[Any, int] = defaultdict()
    codes.default_factory = codes.__len__
    true_codes = _encode(truth, codes, "y_true")
    guess_codes = _encode(guess, codes, "y_pred")
    lengths = np.array([[len(row) for row in rows] for rows in (truth, guess)])
    return _distances(true_codes, guess_codes, lengths), lengths, weight


def _read(y, name: str) -> list:
    """Return sequences as a list of strings or of sequences of tokens."""
    if isinstance(y, str):
        raise ValueError(
            f"{name} must hold one sequence per row, got the single string {short(y)}. "
            f"Pass a list of strings, [{name}]."
        )
    _check_not_bytes(y, name)
    y = tensor_to_numpy(y, name)
    # The iterator of a data frame gives its columns.
    is_frame = hasattr(y, "columns") and hasattr(y, "to_numpy")
    if is_frame or (hasattr(y, "__array__") and not hasattr(y, "__len__")):
        with naming(name):
            y = y.to_numpy() if is_frame else np.asarray(y)
    if not _is_sequence(y) or issparse(y):
        raise TypeError(
            f"{name} must be a list or array of sequences, got {type(y).__name__}."
        )
    rows = [_read_row(row, at, name) for at, row in enumerate(y)]
    if not rows:
        raise ValueError(f"{name} is empty.")
    _check_one_kind(rows, name)
    return rows


def _read_row(row, at: int, name: str):
    """Return a string, or a list of the tokens of another sequence."""
    if isinstance(row, (str, list)):
        return row
    _check_not_bytes(row, f"Row {at} of {name}")
    row = tensor_to_numpy(row, name)
    if not _is_sequence(row):
        raise TypeError(
            f"{name} must hold strings or lists of tokens, got {short(row)} at row "
            f"{at}. A list of single tokens is a sequence of its own: [{name}]."
        )
    return row.tolist() if isinstance(row, np.ndarray) else list(row)


def _is_sequence(values) -> bool:
    """Return whether values have a length and an order, unlike numbers and sets."""
    if isinstance(values, (Mapping, Set, type)) or getattr(values, "shape", 1) == ():
        return False
    has_length = isinstance(values, Sequence) or hasattr(values, "__len__")
    return has_length and isinstance(values, Iterable)


def _check_not_bytes(values, what: str) -> None:
    if isinstance(values, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"{what} must not be bytes, got {short(values)}. Decode them first: "
            'values.decode("utf-8").'
        )


def _check_one_kind(rows: list, name: str) -> None:
    """Raise if some rows are strings and others are lists of tokens."""
    is_text = [isinstance(row, str) for row in rows]
    if not all(is_text) and any(is_text):
        at = is_text.index(not is_text[0])
        raise ValueError(
            f"{name} must hold only strings or only lists of tokens, got "
            f"{short(rows[0])} at row 0 and {short(rows[at])} at row {at}."
        )


def _check_same_kind(truth: list, guess: list) -> None:
    if isinstance(truth[0], str) != isinstance(guess[0], str):
        raise ValueError(
            "y_true and y_pred must both hold strings or both hold lists of tokens, "
            f"got {short(truth[0])} and {short(guess[0])} at row 0."
        )


def _encode(rows: list, codes: defaultdict, name: str) -> list[np.ndarray]:
    """Return the code of each token, one array per row."""
    sizes = np.array([len(row) for row in rows])
    try:
        flat = np.fromiter(
            map(codes.__getitem__, chain.from_iterable(rows)), np.int64, sizes.sum()
        )
    except TypeError as error:
        raise TypeError(_unhashable(rows, name)) from error
    _check_tokens(codes, name)
    return np.split(flat, np.cumsum(sizes)[:-1])


def _unhashable(rows: list, name: str) -> str:
    """Return the message that names the first token that is not hashable."""
    for at, row in enumerate(rows):
        for token in row:
            try:
                hash(token)
            except TypeError:
                return (
                    f"{name} must hold hashable tokens, got {short(token)} in row {at}."
                    " Turn vectors into tuples to compare them as tokens."
                )
    return f"{name} must hold hashable tokens."


def _check_tokens(tokens: Iterable, name: str) -> None:
    """Raise for missing values, which are not equal to themselves."""
    values = np.fromiter(tokens, dtype=object)
    is_missing = pd.isna(values)
    if is_missing.any():
        raise ValueError(
            f"{name} must not hold missing values, got the token "
            f"{values[is_missing][0]!r}. Cut the padding off."
        )


# -- distances -------------------------------------------------------------------------


def _distances(truth: list, guess: list, lengths: np.ndarray) -> np.ndarray:
    """Return the edit distance of each pair of encoded sequences, (n,)."""
    # The distance is symmetric: the loop runs over the shorter one of each pair.
    swap = lengths[0] > lengths[1]
    short_ones = [b if s else a for a, b, s in zip(truth, guess, swap, strict=True)]
    long_ones = [a if s else b for a, b, s in zip(truth, guess, swap, strict=True)]
    order = np.lexsort((lengths.min(axis=0), lengths.max(axis=0)))
    distances = np.empty(len(truth))
    for batch in _batches(order, lengths.max(axis=0)):
        a, b = [short_ones[i] for i in batch], [long_ones[i] for i in batch]
        distances[batch] = _batch_distances(a, b)
    return distances


def _batches(order: np.ndarray, longest: np.ndarray) -> Iterable[np.ndarray]:
    """Cut pairs in ascending order of length into batches of bounded size."""
    start = 0
    while start < len(order):
        widths = longest[order[start : start + _CELLS]] + 1
        cells = widths * np.arange(1, len(widths) + 1)
        stop = start + max(1, int(np.searchsorted(cells, _CELLS, side="right")))
        yield order[start:stop]
        start = stop


def _batch_distances(shorter: list, longer: list) -> np.ndarray:
    """Return the edit distances of some pairs, (n,), by dynamic programming.

    Row i of the table of a pair holds the distances between the first i tokens of the
    shorter sequence and the first 0, 1, ... tokens of the longer one. Only two rows are
    kept, of all pairs at once: (n, 1 + longest).
    """
    a, a_lengths = _padded(shorter, -1)
    b, b_lengths = _padded(longer, -2)
    pairs, steps = np.arange(len(a)), np.arange(b.shape[1] + 1)
    row = np.tile(steps, (len(a), 1))
    found = row[pairs, b_lengths]  # right where the shorter sequence is empty
    for i in range(a.shape[1]):
        replaced = row[:, :-1] + (a[:, i, np.newaxis] != b)
        row += 1  # deletions
        np.minimum(row[:, 1:], replaced, out=row[:, 1:])
        # Insertions add 1 per column from the best cell to the left: a running minimum
        # of the cells less their columns.
        row -= steps
        np.minimum.accumulate(row, axis=1, out=row)
        row += steps
        is_done = a_lengths == i + 1
        found[is_done] = row[is_done, b_lengths[is_done]]
    return found


def _padded(sequences: list, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences as an array, (n, longest), and their lengths, (n,)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.full((len(sequences), lengths.max()), padding)
    padded[np.arange(padded.shape[1]) < lengths[:, np.newaxis]] = np.concatenate(
        sequences
    )
    return padded, lengths
