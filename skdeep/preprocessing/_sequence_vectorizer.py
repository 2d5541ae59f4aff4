"""Documents into sequences of token ids, as a scikit-learn transformer."""

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

# CountVectorizer's parameters: those that cut a document into tokens, and those that
# choose the tokens to know.
_CUTTING = (
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
_CHOOSING = ("max_df", "min_df", "max_features", "vocabulary")


def _as_is(tokens: list[str]) -> list[str]:
    """Analyze a document that has been analyzed before."""
    return tokens


def _check_documents(X) -> None:
    if isinstance(X, (str, bytes)):
        raise ValueError(
            "X must be an iterable of documents, got a single string: pass [document]."
        )
    if len(getattr(X, "shape", (0,))) != 1:
        raise ValueError(
            "X must hold one document an entry, such as a list or one column of a data "
            f"frame, got shape {X.shape}."
        )
    if not hasattr(X, "__iter__"):
        raise TypeError(f"X must be an iterable of documents, got {X!r}.")


def _texts(X: Iterable) -> Iterator[str | bytes]:
    """Go through documents that must be text."""
    for row, document in enumerate(X):
        if not isinstance(document, (str, bytes)):
            raise ValueError(
                f"Document {row} of X must be text (str or bytes), got {document!r}."
            )
        yield document


def _files(X: Iterable, kind: str) -> Iterator:
    """Go through documents that must be files, or names of files.

    ``open`` takes numbers, too, and closes what they stand for: standard output, say.
    """
    for row, document in enumerate(X):
        is_name = isinstance(document, (str, bytes, os.PathLike))
        if not (is_name if kind == "filename" else hasattr(document, "read")):
            raise ValueError(
                f"Document {row} of X must be a {kind}, as input={kind!r} says, got "
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
def _telling_whose_function() -> Iterator[None]:
    """Tell in errors that a function of the user's own has been called."""
    try:
        yield
    except Exception as error:
        error.add_note(
            "It was raised where the functions that were given as analyzer, tokenizer "
            "or preprocessor cut the documents of X into tokens."
        )
        raise


def _given_terms(vocabulary) -> list[str] | None:
    """Return the terms of the user's own vocabulary in the order of their ids."""
    if vocabulary is None:
        return None
    if isinstance(vocabulary, str):
        raise ValueError(
            f"vocabulary must be several terms, got a single string: {vocabulary!r}."
        )
    if not isinstance(vocabulary, Mapping):
        # Sets have no order of their own.
        is_set = isinstance(vocabulary, (set, frozenset))
        terms = sorted(vocabulary) if is_set else list(vocabulary)
        vocabulary = {term: i for i, term in enumerate(terms, FIRST_TERM)}
        if len(vocabulary) < len(terms):
            twice = next(t for t in terms if terms.count(t) > 1)
            raise ValueError(f"vocabulary holds the term {twice!r} more than once.")
    if not vocabulary:
        raise ValueError("vocabulary is empty: it must hold one term or more.")
    ids = sorted(vocabulary.values())
    if ids != list(range(FIRST_TERM, FIRST_TERM + len(ids))):
        raise ValueError(
            f"vocabulary must map its {len(ids)} terms to the ids {FIRST_TERM} to "
            f"{FIRST_TERM + len(ids) - 1}, each once, as 0 is padding and 1 an unknown "
            f"token; got ids from {ids[0]} to {ids[-1]}. Pass a list of terms to have "
            "them numbered."
        )
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _has_capitals(term: str) -> bool:
    return any(map(str.isupper, term))


def _pad(sequences: list[list[int]], width: int | None) -> np.ndarray:
    """Lay sequences out one below another: (n_sequences, width or the longest)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    width = int(lengths.max() if width is None else width)  # True is 1
    padded = np.full((len(sequences), width), PADDING)
    is_token = np.arange(width) < lengths[:, np.newaxis]
    padded[is_token] = np.fromiter(chain.from_iterable(sequences), padded.dtype)
    return padded


class SequenceVectorizer(
    ObservedFit, ArrayOutput, ExplainedParameters, VersionedPickle, BaseEstimator
):
    r"""Turn documents into sequences of token ids, for networks that read in order.

    Documents are cut into tokens as by
    :class:`sklearn.feature_extraction.text.CountVectorizer`, whose parameters these
    are. Where that counts the tokens, this keeps their order: each becomes its id in
    the vocabulary. Id 0 is padding at the end of a short document, id 1 a token that is
    not in the vocabulary, and the vocabulary has the ids from 2 on.

    Parameters
    ----------
    input : {"content", "filename", "file"}, default="content"
        What X holds: documents, names of files, or open files.

    encoding : str, default="utf-8"
        How to decode bytes and files.

    decode_error : {"strict", "ignore", "replace"}, default="strict"
        What to do about bytes that cannot be decoded.

    strip_accents : {"ascii", "unicode"}, callable or None, default=None
        Whether and how to take accents off letters.

    lowercase : bool, default=True
        Whether to turn capital letters into small ones.

    preprocessor : callable or None, default=None
        Called with a document in place of `strip_accents` and `lowercase`.

    tokenizer : callable or None, default=None
        Called with a preprocessed document in place of `token_pattern`; returns a list
        of tokens.

    stop_words : {"english"}, list of str or None, default=None
        Words to leave out.

    token_pattern : str or None, default="(?u)\\b\\w\\w+\\b"
        Regular expression of a token: by default two or more letters or digits.
        ``r"\w+|[^\w\s]"`` also keeps short words and punctuation marks.

    ngram_range : tuple of int, default=(1, 1)
        Least and greatest number of words, or of characters, in a token.

    analyzer : {"word", "char", "char_wb"} or callable, default="word"
        What tokens are made of; or a function from a document to a list of tokens, in
        place of all of the above.

    max_df : float or int, default=1.0
        Leave out terms that are in more documents than this share, or number.

    min_df : float or int, default=1
        Leave out terms that are in fewer documents than this share, or number.

    max_features : int or None, default=None
        Keep the most frequent terms only, so many.

    vocabulary : mapping, iterable of str or None, default=None
        The terms to know, in place of those of the training documents. A mapping goes
        from a term to its id, from 2 on without gaps, as `vocabulary_` does.

    max_length : int or None, default=None
        Number of columns. Longer documents lose what comes after, for the vocabulary
        too. None is no limit: there are as many columns as the longest document given
        to `transform` has tokens.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The id of each term, from 2 on; in alphabetical order if learned.

    fixed_vocabulary_ : bool
        Whether the vocabulary is the user's own.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens.
    skdeep.LSTMClassifier : Classifies such sequences, given an ``embedding_dim``.
    SlidingWindow : Sequences from rows of numbers.

    Notes
    -----
    A document without a token becomes one unknown token, as no network reads a sequence
    of length 0.

    By default every token of the training documents is in the vocabulary, and so a
    network never sees id 1 in training and does not learn what to make of it. With
    ``min_df=2`` the words that occur in one document alone teach it that.

    The number of ids, padding and unknown included, is ``len(vocabulary_) + 2``. The
    largest occurs in the training documents unless the vocabulary is the user's own: an
    estimator behind has to be told their number then, as by
    ``LSTMClassifier(embedding_dim=64, vocabulary_size=...)``.

    The output has one axis of samples and one of time, and with `max_length` of None a
    width that varies; its columns have no names, and `set_output` leaves it an array.

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
            for name in _CUTTING + _CHOOSING
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
            Here so that the transformer can stand in a pipeline.

        Returns
        -------
        self : SequenceVectorizer
            The fitted transformer.
        """
        self.fit_transform(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Learn the vocabulary and return the documents' ids: `fit`, then `transform`.

        The documents are read once.

        Parameters
        ----------
        X : iterable of str, bytes or files, of length n_documents
            The documents.

        y : Ignored
            Here so that the transformer can stand in a pipeline.

        Returns
        -------
        ids : ndarray of int64 of shape (n_documents, n_timesteps)
            The ids of the tokens; see `transform`.
        """
        with self._observed(X, y):
            documents = self._learn(X)
        return self._encode(documents)

    def _learn(self, X) -> list:
        """Learn the vocabulary; return the documents cut in tokens."""
        counter = self._counter(_CUTTING)
        with naming("ngram_range"):
            counter._validate_ngram_range()
        counter._warn_for_unused_params()
        with naming("vocabulary"):
            terms = _given_terms(self.vocabulary)
        documents = self._cut(X)
        self.fixed_vocabulary_ = terms is not None
        if terms is None:
            terms = self._choose(documents)
        elif self.lowercase:
            with naming("vocabulary"):
                has_capitals = any(map(_has_capitals, terms))
            if has_capitals:
                warn(
                    "vocabulary has terms with capital letters, which no document has "
                    "where lowercase=True."
                )
        self.vocabulary_ = {term: i for i, term in enumerate(terms, FIRST_TERM)}
        return documents

    def transform(self, X):
        """Return the ids of the tokens of each document, in their order.

        Parameters
        ----------
        X : iterable of str, bytes or files, of length n_documents
            The documents.

        Returns
        -------
        ids : ndarray of int64 of shape (n_documents, n_timesteps)
            0 after the end of a document; 1 for a token that is not in the vocabulary;
            from 2 on as in `vocabulary_`. `n_timesteps` is `max_length`, or without one
            the number of tokens of the longest of these documents.
        """
        check_is_fitted(self)
        return self._encode(self._cut(X))

    def inverse_transform(self, X):
        """Return the tokens of sequences of ids.

        Parameters
        ----------
        X : array-like of int of shape (n_documents, n_timesteps)
            Ids, as `transform` gives them.

        Returns
        -------
        tokens : list of list of str
            The terms of each document, "[unknown]" for id 1, none for padding.
        """
        check_is_fitted(self)
        X = tensor_to_numpy(X, "X")
        with naming("X"):
            ids = check_array(X, dtype=np.int64)
        n_ids = FIRST_TERM + len(self.vocabulary_)
        wrong = ids[(ids < 0) | (ids >= n_ids)]
        if wrong.size:
            raise ValueError(
                f"X holds the id {wrong[0]}, but the ids are 0 to {n_ids - 1}."
            )
        terms = ["", _UNKNOWN_TERM, *self.vocabulary_]
        return [[terms[i] for i in row if i != PADDING] for row in ids]

    def _cut(self, X) -> list[list[str]]:
        """Cut documents into tokens, no more than `max_length` of each."""
        with naming("X"):
            _check_documents(X)
        analyze = self._counter(_CUTTING).build_analyzer()
        takes_anything = callable(self.analyzer) or self.preprocessor is not None
        if self.input == "content" and not takes_anything:
            X = _texts(X)
        elif self.input != "content":
            X = _files(X, self.input)
        # What a user's own function raises, is not the fault of X.
        is_own = takes_anything or self.tokenizer is not None
        with _telling_whose_function() if is_own else naming("X"):
            documents = [
                list(islice(_tokens_of(each, analyze), self.max_length)) for each in X
            ]
        if not documents:
            raise ValueError("X must hold one document or more, got none.")
        return documents

    def _choose(self, documents: list[list[str]]) -> list[str]:
        """Choose the terms to know, in alphabetical order."""
        counter = self._counter(("max_df", "min_df", "max_features"))
        counter.set_params(analyzer=_as_is).fit(documents)
        return sorted(counter.vocabulary_)

    def _counter(self, names) -> CountVectorizer:
        """Return scikit-learn's vectorizer with the parameters so named."""
        return CountVectorizer(**{name: getattr(self, name) for name in names})

    def _encode(self, documents: list[list[str]]) -> np.ndarray:
        find = self.vocabulary_.get
        sequences = [
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
