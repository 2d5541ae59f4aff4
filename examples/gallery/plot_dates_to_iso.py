"""
Write dates in one format
=========================

People write dates in many ways. Instead of rules for each of them,
:class:`~skdeep.Seq2Seq` learns from pairs of texts: it reads a date letter by letter,
and writes it as a computer does.
"""

# %%
# The data
# --------
# Random days in fifteen formats, some in capitals. Between slashes the month comes
# first.

from datetime import date

import numpy as np

FORMATS = [
    "{d.day} {d:%B} {d.year}", "{d:%d %B} {d.year}", "{d:%B} {d.day}, {d.year}",
    "the {d.day}th of {d:%B} {d.year}", "{d:%A}, {d:%B} {d.day}, {d.year}",
    "{d:%a} {d.day} {d:%b} {d.year}", "{d:%b} {d.day}, {d.year}",
    "{d.day}-{d:%b}-{d.year}", "{d.year} {d:%B} {d.day}", "{d.year}, {d:%b %d}",
    "{d.day}.{d.month}.{d.year}", "{d:%d.%m}.{d.year}", "{d.month}/{d.day}/{d.year}",
    "{d:%m/%d}/{d.year}", "{d.year}/{d.month}/{d.day}",
]  # fmt: skip
rng = np.random.default_rng(0)
first, last = date(1900, 1, 1).toordinal(), date(2099, 12, 31).toordinal()
days = [date.fromordinal(day) for day in rng.integers(first, last + 1, size=3000)]
texts = np.array([rng.choice(FORMATS).format(d=day) for day in days], dtype=object)
texts[::10] = [text.upper() for text in texts[::10]]
iso = np.array([day.isoformat() for day in days], dtype=object)
for text, day in zip(texts[:4], iso[:4], strict=True):
    print(f"{text:30} {day}")

# %%
# Fit and score
# -------------
# X and y are texts, so the network reads and writes characters. ``score`` is the share
# of dates that are right in every character.

from skdeep import Seq2Seq

X_train, X_test, y_train, y_test = texts[:2500], texts[2500:], iso[:2500], iso[2500:]
model = Seq2Seq(64, max_iter=8, random_state=0)
model.fit(X_train, y_train)
print(f"exactly right: {model.score(X_test, y_test):.1%} of {len(X_test)} others")

# %%
# How sure is it?
# ---------------
# ``return_log_proba=True`` returns the log-probability of each answer. It is low for
# the wrong ones, and for a text that is no date. But a day that does not exist may pass
# unnoticed.

predicted, log_proba = model.predict(X_test, return_log_proba=True)
for i in np.argsort(log_proba)[:4]:
    answer = f"{predicted[i]} ({np.exp(log_proba[i]):.0%})"
    print(f"{X_test[i]:32} {answer:18} right: {y_test[i]}")

for text in ["July 20, 1969", "the 99th of May 2000", "yesterday"]:
    (answer,), log_proba = model.predict([text], return_log_proba=True)
    print(f"{text:32} {answer} ({np.exp(log_proba[0]):.0%})")

# %%
# Where it reads
# --------------
# For each character that it writes, the network chooses which characters to read: first
# the year, then the month, and then the day, wherever they are.

import matplotlib.pyplot as plt

from skdeep.inspection import AttentionDisplay

fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, text in zip(axes, ["Sunday, July 20, 1969", "20.7.1969"], strict=True):
    AttentionDisplay.from_estimator(model, text, ax=ax, name=text)
plt.show()
