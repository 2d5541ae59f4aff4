"""SequenceVectorizer: turns documents into sequences of token ids."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import naming, tensor_to_numpy
from skdeep.preprocessing._base import ArrayOutput, ObservedFit

PADDING, UNKNOWN, FIRST_TERM = 0, 1, 2
_UNKNOWN_TERM = "[unknown]"

# CountVectorizer's parameters: those that split a document into tokens, and those that
# select the vocabulary.
_TOKENIZING = (
    "input",
    "encoding",
    "decode_error",
    "strip_accents",
    "lowercase",
    "preprocessor",
    "tokenizer",
    "stop_words",
    "token_pattern",
    "ngram_range",
    "analyzer",
)
_SELECTING = ("max_df", "min_df", "max_features", "vocabulary")


def _identity(tokens: list[str]) -> list[str]:
    """Return a document that is already a list of tokens."""
    return tokens


def _check_documents(X) -> None:
    if isinstance(X, (str, bytes)):
        raise ValueError(
            "X must be an iterable of documents, got a single string: pass [document]."
        )
    if len(getattr(X, "shape", (0,))) != 1:
        raise ValueError(
            "X must be one-dimensional, such as a list of documents or one column of a "
            f"data frame, got shape {X.shape}."
        )
    if not hasattr(X, "__iter__"):
        raise TypeError(f"X must be an iterable of documents, got {X!r}.")


def _checked_texts(X: Iterable) -> Iterator[str | bytes]:
    """Yield the documents, checking that they are text."""
    for row, document in enumerate(X):
        if not isinstance(document, (str, bytes)):
            raise ValueError(
                f"Document {row} of X must be text (str or bytes), got {document!r}."
            )
        yield document


def _checked_files(X: Iterable, kind: str) -> Iterator:
    """Yield the documents, checking that they are files or names of files.

    ``open`` accepts numbers too, and would close a file descriptor such as standard
    output.
    """
    for row, document in enumerate(X):
        is_name = isinstance(document, (str, bytes, os.PathLike))
        if not (is_name if kind == "filename" else hasattr(document, "read")):
            raise ValueError(
                f"Document {row} of X must be a {kind}, since input={kind!r}; got "
                f"{document!r}."
            )
        yield document


def _tokens_of(document, analyze) -> Iterable:
    tokens = analyze(document)
    if not isinstance(tokens, Iterable):
        raise TypeError(
            f"analyzer (or tokenizer) must return the tokens of a document, got "
            f"{tokens!r}."
        )
    return tokens


@contextlib.contextmanager
def _noting_user_functions() -> Iterator[None]:
    """Add a note to errors raised by functions that the user has passed."""
    try:
        yield
    except Exception as error:
        error.add_note(
            "It was raised while the functions passed as analyzer, tokenizer or "
            "preprocessor split the documents of X into tokens."
        )
        raise


def _user_terms(vocabulary) -> list[str] | None:
    """Return the terms of the user's vocabulary in the order of their ids."""
    if vocabulary is None:
        return None
    if isinstance(vocabulary, str):
        raise ValueError(
            f"vocabulary must be a list of terms, got a single string: {vocabulary!r}."
        )
    if not isinstance(vocabulary, Mapping):
        # The order of a set of strings changes from one Python process to the next.
        is_set = isinstance(vocabulary, (set, frozenset))
        terms = sorted(vocabulary) if is_set else list(vocabulary)
        vocabulary = {term: i for i, term in enumerate(terms, FIRST_TERM)}
        if len(vocabulary) < len(terms):
            repeated = next(t for t in terms if terms.count(t) > 1)
            raise ValueError(f"vocabulary holds the term {repeated!r} more than once.")
    if not vocabulary:
        raise ValueError("vocabulary must hold at least one term, got none.")
    ids = sorted(vocabulary.values())
    if ids != list(range(FIRST_TERM, FIRST_TERM + len(ids))):
        raise ValueError(
            f"vocabulary must map its {len(ids)} terms to the ids {FIRST_TERM} to "
            f"{FIRST_TERM + len(ids) - 1}, each once (0 is padding, 1 an unknown "
            f"token); got ids from {ids[0]} to {ids[-1]}. Pass a list of terms to "
            "number them automatically."
        )
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _has_capitals(term: str) -> bool:
    return any(map(str.isupper, term))


def _pad(sequences: list[list[int]], width: int | None) -> np.ndarray:
    """Return the padded sequences, (n_sequences, width or the longest length)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    width = int(lengths.max() if width is None else width)  # scikit-learn takes True
    padded = np.full((len(sequences), width), PADDING)
    is_token = np.arange(width) < lengths[:, np.newaxis]
    # The mask is read row by row, in the order of the chained tokens.
    padded[is_token] = np.fromiter(chain.from_iterable(sequences), padded.dtype)
    return padded


class SequenceVectorizer(
    ObservedFit, ArrayOutput, ExplainedParameters, VersionedPickle, BaseEstimator
):
    r"""Turn documents into sequences of token ids, for networks that read sequences.

    Documents are split into tokens as by
    :class:`sklearn.feature_extraction.text.CountVectorizer`, with the same parameters.
    While that counts the tokens, this keeps their order: each token becomes its id in
    the vocabulary. Id 0 is padding at the end of short documents, id 1 is a token that
    is not in the vocabulary, and the terms of the vocabulary have the ids from 2 on.

    Parameters
    ----------
    input : {"content", "filename", "file"}, default="content"
        Whether X holds documents, names of files, or open files.

    encoding : str, default="utf-8"
        Encoding of bytes and files.

    decode_error : {"strict", "ignore", "replace"}, default="strict"
        What to do with bytes that cannot be decoded.

    strip_accents : {"ascii", "unicode"}, callable or None, default=None
        Method to remove accents; None keeps them.

    lowercase : bool, default=True
        Whether to convert all characters to lowercase.

    preprocessor : callable or None, default=None
        Applied to each document instead of `strip_accents` and `lowercase`.

    tokenizer : callable or None, default=None
        Applied to each preprocessed document instead of `token_pattern`; returns a list
        of tokens.

    stop_words : {"english"}, list of str or None, default=None
        Words to remove.

    token_pattern : str or None, default="(?u)\\b\\w\\w+\\b"
        Regular expression of a token: by default two or more letters or digits.
        ``r"\w+|[^\w\s]"`` also keeps short words and punctuation.

    ngram_range : tuple of int, default=(1, 1)
        Smallest and largest number of words, or of characters, in a token.

    analyzer : {"word", "char", "char_wb"} or callable, default="word"
        Whether tokens are n-grams of words or of characters; or a function that maps a
        document to a list of tokens, instead of all of the above.

    max_df : float or int, default=1.0
        Ignore terms that occur in more documents than this share (float) or number
        (int).

    min_df : float or int, default=1
        Ignore terms that occur in fewer documents than this share (float) or number
        (int).

    max_features : int or None, default=None
        Keep only this many terms, the most frequent ones.

    vocabulary : mapping, iterable of str or None, default=None
        The vocabulary; None learns it from the training documents. A mapping assigns
        each term its id, from 2 on without gaps, like `vocabulary_`.

    max_length : int or None, default=None
        Number of columns. Longer documents are truncated, also when the vocabulary is
        learned. With None there are as many columns as the longest document passed to
        `transform` has tokens.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The id of each term, from 2 on; in alphabetical order if learned.

    fixed_vocabulary_ : bool
        Whether the vocabulary was passed as a parameter.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens.
    skdeep.LSTMClassifier : Classifies such sequences, given an ``embedding_dim``.
    SlidingWindow : Turns rows of numbers into sequences.

    Notes
    -----
    A document without tokens becomes a single unknown token, since networks cannot read
    sequences of length 0.

    By default, every token of the training documents is in the vocabulary, so a network
    never sees id 1 in training and does not learn to handle it. With ``min_df=2``,
    words that occur in one document only are unknown tokens.

    The number of ids, including padding and unknown, is ``len(vocabulary_) + 2``. The
    largest id occurs in the training documents unless `vocabulary` is given. In that
    case pass the number to the next estimator, as in
    ``LSTMClassifier(embedding_dim=64, vocabulary_size=...)``.

    The columns of the output are time steps without names, and their number varies if
    `max_length` is None, so `set_output` leaves it an array.

    Examples
    --------
    >>> from skdeep.preprocessing import SequenceVectorizer
    >>> vectorizer = SequenceVectorizer()
    >>> vectorizer.fit_transform(["a good film", "not a good film", "good"])
    array([[3, 2, 0],
           [4, 3, 2],
           [3, 0, 0]])
    >>> vectorizer.vocabulary_
    {'film': 2, 'good': 3, 'not': 4}
    >>> vectorizer.transform(["not a bad film"])
    array([[4, 1, 2]])
    >>> vectorizer.inverse_transform([[4, 1, 2, 0]])
    [['not', '[unknown]', 'film']]
    """

    _parameter_constraints: dict = {
        **{
            name: CountVectorizer._parameter_constraints[name]
            for name in _TOKENIZING + _SELECTING
        },
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        input="content",
        encoding="utf-8",
        decode_error="strict",
        strip_accents=None,
        lowercase=True,
        preprocessor=None,
        tokenizer=None,
        stop_words=None,
        token_pattern=r"(?u)\b\w\w+\b",
        ngram_range=(1, 1),
        analyzer="word",
        max_df=1.0,
        min_df=1,
        max_features=None,
        vocabulary=None,
        max_length=None,
    ):
        self.input = input
        self.encoding = encoding
        self.decode_error = decode_error
        self.strip_accents = strip_accents
        self.lowercase = lowercase
        self.preprocessor = preprocessor
        self.tokenizer = tokenizer
        self.stop_words = stop_words
        self.token_pattern = token_pattern
        self.ngram_range = ngram_range
        self.analyzer = analyzer
        self.max_df = max_df
        self.min_df = min_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.max_length = max_length

    def fit(self, X, y=None):
        """Learn the vocabulary.

        Parameters
        ----------
        X : iterable of str, bytes or files, of length n_documents
            The documents.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : SequenceVectorizer
            The fitted transformer.

        Examples
        --------
        >>> from skdeep.preprocessing import SequenceVectorizer
        >>> SequenceVectorizer().fit(["good film", "bad film"]).vocabulary_
        {'bad': 2, 'film': 3, 'good': 4}
        """
        self.fit_transform(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Learn the vocabulary and return the ids of the documents' tokens.

        Equivalent to `fit` followed by `transform`, but the documents are read once.

        Parameters
        ----------
        X : iterable of str, bytes or files, of length n_documents
            The documents.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        ids : ndarray of int64 of shape (n_documents, n_timesteps)
            The ids of the tokens; see `transform`.

        Examples
        --------
        >>> from skdeep.preprocessing import SequenceVectorizer
        >>> SequenceVectorizer().fit_transform(["good film", "film"])
        array([[3, 2],
               [2, 0]])
        """
        with self._observed(X, y):
            documents = self._learn(X)
        return self._encode(documents)

    def _learn(self, X) -> list:
        """Learn the vocabulary; return the tokens of the documents."""
        counter = self._make_counter(_TOKENIZING)
        with naming("ngram_range"):
            counter._validate_ngram_range()
        counter._warn_for_unused_params()
        with naming("vocabulary"):
            terms = _user_terms(self.vocabulary)
        # Once: X may be an iterator, and the user's functions may be slow.
        documents = self._tokenize(X)
        self.fixed_vocabulary_ = terms is not None
        if terms is None:
            terms = self._select_terms(documents)
        elif self.lowercase:
            with naming("vocabulary"):
                has_capitals = any(map(_has_capitals, terms))
            if has_capitals:
                warn(
                    "vocabulary has terms with capital letters, which never occur in "
                    "documents with lowercase=True."
                )
        self.vocabulary_ = {term: i for i, term in enumerate(terms, FIRST_TERM)}
        return documents

    def transform(self, X):
        """Return the ids of the tokens of each document, in order.

        Parameters
        ----------
        X : iterable of str, bytes or files, of length n_documents
            The documents.

        Returns
        -------
        ids : ndarray of int64 of shape (n_documents, n_timesteps)
            0 after the end of a document, 1 for a token that is not in the vocabulary,
            otherwise the id in `vocabulary_`. `n_timesteps` is `max_length`, or the
            number of tokens of the longest document if that is None.

        Examples
        --------
        >>> from skdeep.preprocessing import SequenceVectorizer
        >>> vectorizer = SequenceVectorizer().fit(["good film", "film"])
        >>> vectorizer.transform(["film", "a very good film"])
        array([[2, 0, 0],
               [1, 3, 2]])
        """
        check_is_fitted(self)
        return self._encode(self._tokenize(X))

    def inverse_transform(self, X):
        """Return the tokens of sequences of ids.

        Parameters
        ----------
        X : array-like of int of shape (n_documents, n_timesteps)
            Ids, as returned by `transform`.

        Returns
        -------
        tokens : list of list of str
            The terms of each document, "[unknown]" for id 1, without padding.

        Examples
        --------
        >>> from skdeep.preprocessing import SequenceVectorizer
        >>> vectorizer = SequenceVectorizer().fit(["good film", "film"])
        >>> vectorizer.inverse_transform([[1, 3, 2], [2, 0, 0]])
        [['[unknown]', 'good', 'film'], ['film']]
        """
        check_is_fitted(self)
        X = tensor_to_numpy(X, "X")
        with naming("X"):
            ids = check_array(X, input_name="X")
        n_ids = FIRST_TERM + len(self.vocabulary_)
        # Before the conversion to int, which would turn 1.5 into a valid id.
        wrong = ids[(ids < 0) | (ids >= n_ids) | (ids % 1 != 0)]
        if wrong.size:
            raise ValueError(
                f"The ids in X must be integers from 0 to {n_ids - 1}, got {wrong[0]}."
            )
        ids = ids.astype(np.int64)
        terms = ["", _UNKNOWN_TERM, *self.vocabulary_]
        return [[terms[i] for i in row if i != PADDING] for row in ids]

    def _tokenize(self, X) -> list[list[str]]:
        """Split documents into tokens, at most `max_length` of each."""
        with naming("X"):
            _check_documents(X)
        analyze = self._make_counter(_TOKENIZING).build_analyzer()
        takes_anything = callable(self.analyzer) or self.preprocessor is not None
        if self.input == "content" and not takes_anything:
            X = _checked_texts(X)
        elif self.input != "content":
            X = _checked_files(X, self.input)
        # An error raised by the user's function must not be reported as one of X.
        has_user_function = takes_anything or self.tokenizer is not None
        with _noting_user_functions() if has_user_function else naming("X"):
            documents = [
                # Truncated while reading: an analyzer may yield tokens without end.
                list(islice(_tokens_of(each, analyze), self.max_length))
                for each in X
            ]
        if not documents:
            raise ValueError("X must hold at least one document, got none.")
        return documents

    def _select_terms(self, documents: list[list[str]]) -> list[str]:
        """Return the terms of the vocabulary, in alphabetical order."""
        counter = self._make_counter(("max_df", "min_df", "max_features"))
        counter.set_params(analyzer=_identity).fit(documents)
        return sorted(counter.vocabulary_)

    def _make_counter(self, names) -> CountVectorizer:
        """Return scikit-learn's vectorizer with the named parameters."""
        return CountVectorizer(**{name: getattr(self, name) for name in names})

    def _encode(self, documents: list[list[str]]) -> np.ndarray:
        find = self.vocabulary_.get
        sequences = [
            # A network cannot read a sequence of length 0.
            [find(token, UNKNOWN) for token in tokens] or [UNKNOWN]
            for tokens in documents
        ]
        return _pad(sequences, self.max_length)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags
