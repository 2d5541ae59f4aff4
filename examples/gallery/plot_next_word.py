"""
The next word of a speech
=========================

:class:`~skdeep.LanguageModel` reads documents and predicts the next word. Here it reads
one short speech, which it soon knows by heart. The example shows how to ask it, and how
to notice that it has memorized.
"""

# %%
# The text
# --------
# Abraham Lincoln's address at Gettysburg, 1863.

SPEECH = """
Four score and seven years ago our fathers brought forth on this continent, a new nation,
conceived in Liberty, and dedicated to the proposition that all men are created equal.

Now we are engaged in a great civil war, testing whether that nation, or any nation so
conceived and so dedicated, can long endure. We are met on a great battle-field of that
war. We have come to dedicate a portion of that field, as a final resting place for those
who here gave their lives that that nation might live. It is altogether fitting and proper
that we should do this.

But, in a larger sense, we can not dedicate, we can not consecrate, we can not hallow this
ground. The brave men, living and dead, who struggled here, have consecrated it, far above
our poor power to add or detract. The world will little note, nor long remember what we
say here, but it can never forget what they did here. It is for us the living, rather, to
be dedicated here to the unfinished work which they who fought here have thus far so nobly
advanced. It is rather for us to be here dedicated to the great task remaining before us,
that from these honored dead we take increased devotion to that cause for which they gave
the last full measure of devotion, that we here highly resolve that these dead shall not
have died in vain, that this nation, under God, shall have a new birth of freedom, and
that government of the people, by the people, for the people, shall not perish from the
earth.
"""  # noqa: E501
sentences = [s.strip().replace("\n", " ") + "." for s in SPEECH.split(".") if s.strip()]
print(len(sentences), "sentences, the first:", sentences[0])

# %%
# Fit
# ---
# Each sentence is a document. ``min_frequency=1`` keeps words that occur once, which
# would be unknown otherwise. The perplexity is the number of words among which the
# network would have to choose at random to be as unsure as it is.

from skdeep import LanguageModel

model = LanguageModel(64, min_frequency=1, max_iter=100, random_state=0)
model.fit(sentences)
print(f"perplexity: {model.perplexity(sentences):.2f} of {len(model.tokens_)} words")

# %%
# The next word
# -------------
# ``predict_next`` returns the most probable words, ``predict_proba`` the probability of
# each word of ``tokens_``. "We can not" is continued in three ways in the speech.

prompts = ["Four score and", "we can not", "government of the people, by the"]
for prompt, words in zip(prompts, model.predict_next(prompts, k=3), strict=True):
    print(f"{prompt} ... {', '.join(words)}")

# %%
# A prompt that is not the beginning of a sentence of the speech leaves the network in
# doubt. The context decides: the same last words are continued differently.

import matplotlib.pyplot as plt
import numpy as np

fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
prompts = ["we can not", "But, in a larger sense, we can not", "this nation shall"]
for ax, prompt in zip(axes, prompts, strict=True):
    probability = model.predict_proba([prompt])[0]
    top = np.argsort(probability)[-6:]
    ax.barh(np.array(model.tokens_, dtype=str)[top], probability[top])
    ax.set(title=f"{prompt} ...", xlim=(0, 1), xlabel="probability")
plt.show()

# %%
# New sentences
# -------------
# ``sample`` draws word by word. With a low temperature it recites; with a higher one it
# mixes the sentences.

for temperature in (0.3, 1.0, 1.5):
    (text,) = model.sample(
        prompt="We", temperature=temperature, max_length=25, random_state=0
    )
    print(f"temperature {temperature}: {text}")

# %%
# Memorized
# ---------
# A sentence on the same subject that it has not read is far less probable, word for
# word, than those it has: the network has learned this speech, not English.

other = ["The world will not forget that the people of this nation fought for freedom."]
print(f"perplexity of the speech: {model.perplexity(sentences):.1f}")
print(f"perplexity of another sentence: {model.perplexity(other):.1f}")
