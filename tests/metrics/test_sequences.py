"""Edit distances, against a recursive definition and published examples."""

import copy
import pickle
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdeep import Seq2Seq
from skdeep.metrics import (
    edit_distance,
    neg_edit_distance,
    neg_token_error_rate,
    token_error_rate,
)

rng = np.random.default_rng(0)
METRICS = [edit_distance, token_error_rate]


@cache
def reference(a, b):
    """Return Levenshtein's distance by its recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    replaced = reference(a[:-1], b[:-1]) + (a[-1] != b[-1])
    return min(replaced, reference(a[:-1], b) + 1, reference(a, b[:-1]) + 1)


def random_strings(n, longest=9, letters="abc"):
    lengths = rng.integers(0, longest + 1, n)
    return ["".join(rng.choice(list(letters), length)) for length in lengths]


A, B, C = (random_strings(300) for _ in range(3))
DISTANCES = np.array([reference(a, b) for a, b in zip(A, B, strict=True)])
LENGTHS = np.array([len(a) for a in A])
WEIGHT = rng.lognormal(size=300)


def each(y_true, y_pred, **settings):
    """Return the distance of each pair, computed alone."""
    pairs = zip(y_true, y_pred, strict=True)
    return np.array([edit_distance([a], [b], **settings) for a, b in pairs])


# -- distances -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("kitten", "sitting", 3),
        ("saturday", "sunday", 3),
        ("intention", "execution", 5),
        ("rosettacode", "raisethysword", 8),
        ("flaw", "lawn", 2),
        ("gumbo", "gambol", 2),
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("same", "same", 0),
        ("naïve", "naive", 1),
    ],
)
def test_published_examples(a, b, expected):
    assert edit_distance([a], [b]) == expected
    assert edit_distance([list(a)], [list(b)]) == expected


def test_distances_match_the_definition():
    np.testing.assert_array_equal(each(A, B), DISTANCES)


def test_mean_over_pairs_of_all_lengths():
    assert edit_distance(A, B) == pytest.approx(DISTANCES.mean())
    assert isinstance(edit_distance(A, B), float)


def test_long_and_short_sequences_are_compared_in_batches():
    """More pairs than fit a batch, with one that is much longer."""
    first = [*A * 40, "x" * 3000]
    second = [*B * 40, "x" * 2000 + "y" * 500]
    expected = (40 * DISTANCES.sum() + 1000) / len(first)
    assert edit_distance(first, second) == pytest.approx(expected)


def test_symmetry():
    np.testing.assert_array_equal(each(A, B), each(B, A))
    np.testing.assert_array_equal(
        each(A, B, normalize=True), each(B, A, normalize=True)
    )


def test_triangle_inequality():
    assert (each(A, C) <= each(A, B) + each(B, C)).all()


def test_zero_only_for_equal_sequences():
    np.testing.assert_array_equal(
        each(A, B) == 0, [a == b for a, b in zip(A, B, strict=True)]
    )
    assert edit_distance(A, A) == 0


def test_bounds():
    lengths = np.array([LENGTHS, [len(b) for b in B]])
    assert (each(A, B) >= np.abs(lengths[0] - lengths[1])).all()
    assert (each(A, B) <= lengths.max(axis=0)).all()


def test_normalize_divides_by_the_longer_sequence():
    longest = np.maximum(LENGTHS, [len(b) for b in B])
    expected = DISTANCES / np.maximum(longest, 1)
    assert edit_distance(A, B, normalize=True) == pytest.approx(expected.mean())
    weighted = edit_distance(A, B, normalize=True, sample_weight=WEIGHT)
    assert weighted == pytest.approx(np.average(expected, weights=WEIGHT))
    assert edit_distance(["", "a"], ["", "b"], normalize=True) == 0.5


# -- rates -----------------------------------------------------------------------------


def test_token_error_rate_is_a_ratio_of_sums():
    assert token_error_rate(A, B) == pytest.approx(DISTANCES.sum() / LENGTHS.sum())
    assert isinstance(token_error_rate(A, B), float)


def test_word_error_rate_of_a_textbook():
    """The example of Jurafsky & Martin: 6 substitutions, 3 insertions, 1 deletion."""
    truth = (
        "i *** ** um the phone is i left the portable **** phone upstairs last night"
    )
    guess = "i got it to the ***** fullest i love to portable form of stores last night"
    pair = [truth.replace("*", "")], [guess.replace("*", "")]
    assert edit_distance(*pair, level="word") == 10
    assert token_error_rate(*pair, level="word") == pytest.approx(10 / 13)


def test_rate_may_exceed_one():
    assert token_error_rate(["a"], ["bcd"]) == 3.0


def test_rate_without_true_tokens():
    assert token_error_rate(["", ""], ["", ""]) == 0.0
    assert token_error_rate([[]], [[]]) == 0.0
    with pytest.raises(ValueError, match="rate is undefined: all sequences in y_true"):
        token_error_rate(["", ""], ["", "a"])
    with pytest.raises(ValueError, match="rate is undefined"):
        token_error_rate(["", "a"], ["a", "a"], sample_weight=[1, 0])


# -- weights ---------------------------------------------------------------------------


def test_sample_weight():
    expected = np.average(DISTANCES, weights=WEIGHT)
    assert edit_distance(A, B, sample_weight=WEIGHT) == pytest.approx(expected)
    rate = (WEIGHT * DISTANCES).sum() / (WEIGHT * LENGTHS).sum()
    assert token_error_rate(A, B, sample_weight=WEIGHT) == pytest.approx(rate)


@pytest.mark.parametrize("metric", METRICS)
def test_integer_weights_repeat_rows(metric):
    counts = rng.integers(0, 3, len(A))
    repeated = [np.repeat(np.array(y), counts) for y in (A, B)]
    assert metric(A, B, sample_weight=counts) == pytest.approx(metric(*repeated))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2, 3], "sample_weight"),
        ([1, -1], "sample_weight must hold a weight >= 0"),
        ([0, 0], "sample_weight must .* at least one non-zero"),
        ([1, np.nan], "sample_weight"),
        (["a", "b"], "sample_weight"),
    ],
)
def test_bad_weights(metric, weight, message):
    with pytest.raises(ValueError, match=message):
        metric(["a", "b"], ["a", "c"], sample_weight=weight)


# -- kinds of input --------------------------------------------------------------------

WORDS = [["a", "b", "c"], ["d"], []]
GUESSES = [["a", "c"], ["e"], ["f"]]


def object_array(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        object_array,
        pd.Series,
        lambda rows: pl.Series(rows),
        lambda rows: pd.Series(rows, index=[7, 7, 2]),
        lambda rows: [tuple(row) for row in rows],
        lambda rows: [np.array(row, dtype="U1") for row in rows],
        lambda rows: [
            pd.Series(row, dtype=object, index=range(len(row))[::-1]) for row in rows
        ],
        lambda rows: ["".join(row) for row in rows],
        lambda rows: np.array(["".join(row) for row in rows]),
        lambda rows: pd.Series(["".join(row) for row in rows]),
        lambda rows: pd.Series(["".join(row) for row in rows], dtype="category"),
        lambda rows: pl.Series(["".join(row) for row in rows]),
    ],
)
def test_containers(container):
    assert edit_distance(container(WORDS), container(GUESSES)) == 1.0
    assert token_error_rate(container(WORDS), container(GUESSES)) == 3 / 4


@pytest.mark.parametrize(
    "container",
    [
        np.array,
        torch.tensor,
        pd.DataFrame,
        lambda rows: pl.DataFrame(rows, orient="row"),
        lambda rows: [np.array(row, dtype=np.int8) for row in rows],
        lambda rows: [torch.tensor(row) for row in rows],
        lambda rows: np.array(rows, dtype=float),
    ],
)
def test_integer_tokens(container):
    truth, guess = [[1, 2, 3], [4, 5, 6]], [[2, 3, 1], [4, 5, 6]]
    assert edit_distance(container(truth), container(guess)) == 1.0
    assert edit_distance(container(truth), guess) == 1.0


def test_tokens_are_compared_as_python_does():
    assert edit_distance([["1", 2, (3, 4)]], [[1, 2.0, (3, 4)]]) == 1.0


def test_mixed_hashable_tokens():
    truth = [[("C", 4), ("E", 4), 0], [frozenset("a")]]
    guess = [[("C", 4), ("E", 5), 0], [frozenset("a"), "b"]]
    assert edit_distance(truth, guess) == 1.0


def test_words_are_separated_by_any_whitespace():
    assert edit_distance(["a  b\tc\n"], ["a b c"], level="word") == 0
    assert edit_distance(["", "  "], ["a", ""], level="word") == 0.5


def test_level_does_not_split_tokens():
    assert edit_distance([["a b", "c"]], [["a", "c"]], level="word") == 1.0


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        (["a"], ["a", "b"], ValueError, "y_pred has 2 rows, but y_true has 1"),
        ([], [], ValueError, "y_true is empty"),
        ("abc", ["abc"], ValueError, r"y_true .* single string 'abc'.*\[y_true\]"),
        (["abc"], "abc", ValueError, "y_pred .* single string 'abc'"),
        (b"abc", ["abc"], TypeError, "y_true must not be bytes.*Decode"),
        ([b"abc"], ["abc"], TypeError, "Row 0 of y_true must not be bytes.*Decode"),
        (["abc"], np.array([b"abc"]), TypeError, "Row 0 of y_pred must not be bytes"),
        ([1, 2], [1, 2], TypeError, "y_true must hold strings or lists.*got 1 at row"),
        (np.ones(2), np.ones(2), TypeError, "y_true must hold strings or lists"),
        (["a", None], ["a", "b"], TypeError, "y_true .* got None at row 1"),
        (["a", "b"], ["a", np.nan], TypeError, "y_pred .* got nan at row 1"),
        (["a", {"b"}], ["a", "b"], TypeError, "y_true .* got {'b'} at row 1"),
        ([["a"], {"b": 1}], ["a", "b"], TypeError, "y_true .* at row 1"),
        (3, ["a"], TypeError, "y_true must be a list or array .* got int"),
        (None, ["a"], TypeError, "y_true must be .* got NoneType"),
        ({"a"}, ["a"], TypeError, "y_true must be .* got set"),
        ({"a": "b"}, ["a"], TypeError, "y_true must be .* got dict"),
        ((c for c in "ab"), ["a"], TypeError, "y_true must be .* got generator"),
        (np.array("ab"), ["a"], TypeError, "y_true must be .* got ndarray"),
        (sparse.eye_array(2).tocsr(), ["a"], TypeError, "y_true must be .* got csr"),
        (["ab"], [["a", "b"]], ValueError, "both hold strings or both hold lists"),
        (["ab", ["a"]], ["ab", "a"], ValueError, "y_true .* row 0 and .* at row 1"),
        ([["a"], [["b"]]], [["a"]] * 2, TypeError, r"y_true .* got \['b'\] in row 1"),
        (np.ones((1, 2, 2)), [[1]], TypeError, "y_true must hold hashable tokens"),
        (
            [["a", None]],
            [["a"]],
            ValueError,
            "y_true must not hold missing values, got the token None",
        ),
        (
            np.array([[1, np.nan]]),
            [[1]],
            ValueError,
            "y_true must not hold missing values, got the token na",
        ),
        (
            [["a"]],
            [["a", pd.NA]],
            ValueError,
            "y_pred must not hold missing values, got the token <NA>",
        ),
    ],
)
def test_bad_sequences(metric, y_true, y_pred, error, message):
    with pytest.raises(error, match=message):
        metric(y_true, y_pred)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("level", ["token", None, 1, ["word"]])
def test_bad_level(metric, level):
    with pytest.raises(ValueError, match="level must be 'char' or 'word', got"):
        metric(["a"], ["a"], level=level)


def test_bad_normalize():
    with pytest.raises(TypeError, match="normalize must be a bool, got 'yes'"):
        edit_distance(["a"], ["a"], normalize="yes")


# -- scorers ---------------------------------------------------------------------------


class Appender(BaseEstimator):
    """Predicts each string with a suffix."""

    def __init__(self, suffix=""):
        self.suffix = suffix

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return [x + self.suffix for x in X]


TEXTS = ["one", "two", "three", "four", "five", "six"]


def test_scorers_are_negative_metrics():
    model = Appender("!?").fit(TEXTS, TEXTS)
    assert neg_edit_distance(model, TEXTS, TEXTS) == -2.0
    expected = -2 * len(TEXTS) / len("".join(TEXTS))
    assert neg_token_error_rate(model, TEXTS, TEXTS) == pytest.approx(expected)
    weighted = neg_edit_distance(
        model, TEXTS, ["one!"] * 6, sample_weight=[1] + [0] * 5
    )
    assert weighted == -1.0


@pytest.mark.parametrize("scorer", [neg_edit_distance, neg_token_error_rate])
def test_scorers_in_searches(scorer):
    scores = cross_val_score(Appender(), TEXTS, TEXTS, cv=3, scoring=scorer)
    np.testing.assert_array_equal(scores, 0)
    search = GridSearchCV(
        Appender(), {"suffix": ["aaa", "", "b"]}, cv=2, scoring=scorer, n_jobs=1
    )
    assert search.fit(TEXTS, TEXTS).best_params_ == {"suffix": ""}


@pytest.mark.parametrize("scorer", [neg_edit_distance, neg_token_error_rate])
def test_scorers_can_be_copied_and_explain_themselves(scorer):
    model = Appender("x").fit(TEXTS, TEXTS)
    expected = scorer(model, TEXTS, TEXTS)
    for copied in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert copied(model, TEXTS, TEXTS) == expected
        assert repr(copied) == repr(scorer)
    assert scorer.__doc__.startswith("Scorer of the negative")


def test_scorer_of_words():
    scorer = make_scorer(edit_distance, level="word", greater_is_better=False)
    model = Appender(" more").fit(TEXTS, TEXTS)
    assert scorer(model, TEXTS, TEXTS) == -1.0


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
@pytest.mark.parametrize("kind", [str, list])
def test_scorers_of_a_network(kind):
    """Strings are predicted as an array, lists of tokens as a list."""
    y = [kind(text) for text in TEXTS]
    model = Seq2Seq(4, max_iter=1, random_state=0)
    scores = cross_val_score(model, TEXTS, y, cv=2, scoring=neg_token_error_rate)
    assert (scores < 0).all()
    model.fit(TEXTS, y)
    expected = -edit_distance(y, model.predict(TEXTS))
    assert neg_edit_distance(model, TEXTS, y) == expected
