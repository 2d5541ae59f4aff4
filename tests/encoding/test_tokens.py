"""Splitting and joining of text, vocabularies, and tables of tokens."""

import pickle
import unicodedata

import numpy as np
import pytest
import skops.io
import torch

from skdeep.encoding import (
    END,
    N_SPECIAL,
    PADDING,
    UNKNOWN,
    TokenEncoder,
    TokenTable,
    Vocabulary,
    join,
    split,
)

# A letter with a combining accent, an emoji with a variation selector, a family of
# emojis, a line break and a tab.
UNICODE = "cafe\u0301 \u2764\ufe0f \U0001f468\u200d\U0001f469\n\tend"


# A word whose vowels are combining marks.
HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"


def test_ids_of_special_tokens():
    assert (PADDING, UNKNOWN, END, N_SPECIAL) == (0, 1, 2, 3)


# -- text ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "one two", UNICODE, "\n", "a\x00b"])
def test_characters_are_code_points_and_can_be_joined_again(text):
    tokens = split(text, "char")
    assert [ord(t) for t in tokens] == [ord(c) for c in text]
    assert join(tokens, "char") == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t", []),
        ("Yes, no.", ["Yes", ",", "no", "."]),
        ("don't stop—now!", ["don't", "stop", "—", "now", "!"]),
        ("it’s well-known", ["it’s", "well-known"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("a - b", ["a", "-", "b"]),
        ("1,000.5 at 10:30.", ["1,000.5", "at", "10:30", "."]),
        ("one,two", ["one", ",", "two"]),
        ("x_1 = 5%", ["x_1", "=", "5", "%"]),
        ("...", [".", ".", "."]),
        ("über straße 漢字", ["über", "straße", "漢字"]),
        ("cafe\u0301s\u0301 oui", ["cafe\u0301s\u0301", "oui"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940",
            ["\u0939\u093f\u0928\u094d\u0926\u0940"],
        ),
        ("\u2764\ufe0f!", ["\u2764\ufe0f", "!"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_words_and_punctuation(text, words):
    assert split(text, "word") == words


@pytest.mark.parametrize("text", [UNICODE, "f(x): 'a' [b] {c} “d” 1.5;", "a\u200bb"])
def test_words_hold_all_but_white_space(text):
    assert "".join(split(text, "word")) == "".join(text.split())


def test_decomposed_text_has_the_words_of_composed_text():
    text = "Crème brûlée, naïve façade"
    decomposed = split(unicodedata.normalize("NFD", text), "word")
    assert [unicodedata.normalize("NFC", w) for w in decomposed] == split(text, "word")


@pytest.mark.parametrize(
    "text",
    [
        "Yes (he said), go!",
        "Really? [sic] {x}; 5% of it: 10:30, don't.",
        "“So it goes…” ¿Qué?",
        "one",
        "",
    ],
)
def test_usual_spacing_survives_splitting_and_joining(text):
    assert join(split(text, "word"), "word") == text


def test_joining_is_not_always_the_inverse():
    assert join(split("a  b\nc ,d", "word"), "word") == "a b c, d"


# -- vocabularies ----------------------------------------------------------------------


def test_vocabulary_is_sorted_by_frequency_and_value():
    sequences = [["b", "a"], ["c", "b"], ["d", "a", "b"]]
    vocabulary = Vocabulary.learn(sequences)
    assert vocabulary.tokens == ["b", "a", "c", "d"]
    assert vocabulary.size == 7
    assert Vocabulary.learn(sequences[::-1]).tokens == vocabulary.tokens


def test_tokens_of_several_types_have_an_order():
    assert Vocabulary.learn([["x", 3, "1", 1, 3]]).tokens == [3, 1, "1", "x"]


@pytest.mark.parametrize(("n", "tokens"), [(1, ["a", "b", "c"]), (2, ["a", "b"])])
def test_rare_tokens_are_unknown(n, tokens):
    vocabulary = Vocabulary.learn(["aab", "abc"], min_frequency=n)
    assert vocabulary.tokens == tokens
    expected = [3, UNKNOWN if n == 2 else 5]
    np.testing.assert_array_equal(vocabulary.encode("ac"), expected)


def test_ids_and_tokens():
    vocabulary = Vocabulary(["a", 7])
    ids = vocabulary.encode([7, "a", "7", "b"])
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, [4, 3, UNKNOWN, UNKNOWN])
    assert vocabulary.decode(ids) == [7, "a"]
    assert vocabulary.encode([]).shape == (0,)


@pytest.mark.parametrize("stop", [END, PADDING, -1])
def test_nothing_is_read_after_the_end(stop):
    assert Vocabulary(["a", "b"]).decode(np.array([3, 4, stop, 3])) == ["a", "b"]


@pytest.mark.parametrize("filler", [0, -1])
def test_rows_are_padded(filler):
    ids, lengths = Vocabulary(list("ab")).encode_rows(["ab", "", "bx"], filler)
    np.testing.assert_array_equal(
        ids, [[3, 4, END], [END, filler, filler], [4, UNKNOWN, END]]
    )
    np.testing.assert_array_equal(lengths, [3, 1, 3])


def by_pickle(value):
    return pickle.loads(pickle.dumps(value))


def by_skops(value):
    data = skops.io.dumps(value)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


@pytest.mark.parametrize("copy", [by_pickle, by_skops])
def test_a_stored_vocabulary_tells_numbers_from_text(copy):
    vocabulary = copy(Vocabulary(["a", 1, "1"]))
    assert vocabulary.tokens == ["a", 1, "1"]
    np.testing.assert_array_equal(vocabulary.encode(["1", 1, "b"]), [5, 4, 1])


# -- tables ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(1, None), [1, 2]),
        (np.array([2, 0]), [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        (np.array([], dtype=int), []),
        ([1], [1]),
    ],
)
def test_rows_of_a_table(index, rows):
    tokens = [["a"], ["b", "c"], []]
    table = TokenTable(tokens, np.float64).rows(index)
    assert table.tokens == [tokens[i] for i in rows]
    assert len(table) == len(table.numeric) == len(rows)
    assert table.dtype == np.float64


def test_encoder_of_tables():
    encoder = TokenEncoder().fit(TokenTable([["b"], ["a", "b", "b"]]))
    assert encoder.vocabulary_.tokens == ["b", "a"]
    assert (encoder.longest_, encoder.n_inputs_) == (3, 1)
    # An unknown token, and an empty sequence.
    rows = encoder.encode(
        TokenTable([["a", "z"], []]), torch.float32, torch.device("cpu")
    )
    ids, lengths = rows.tensors
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[4, UNKNOWN, END], [END, PADDING, PADDING]]
    assert lengths.tolist() == [3, 1]


def test_tables_compute_in_float32_by_default():
    assert TokenTable([["a"]]).dtype == np.float32
