"""
Accuracy
========

How accurate networks are, compared with scikit-learn's models on the same folds:

- the full MNIST, 60,000 digits for training and 3,000 for testing, with and
  without copies of the training digits shifted by a pixel;
- scikit-learn's small digits, in five shuffled folds;
- house votes, whose columns are categories: embedded in skdeep, one-hot encoded for
  scikit-learn; the mean of ten repeats of stratified 10-fold cross-validation, both
  with default parameters;
- the sentiment of 10,662 sentences of film reviews, read word by word by an LSTM, in
  ten shuffled stratified folds, compared with logistic regression on TF-IDF of words
  and word pairs.

All data but the small digits are read from the folder that ``SKDEEP_DATA`` names. The
parts are ``mnist``, ``digits``, ``votes`` and ``sentiment``::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/accuracy.py [PART ...]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier as ScikitLearnMLP
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skdeep import LSTMClassifier, MLPClassifier, SequenceVectorizer


def data_folder():
    """Return the data folder, or exit with a hint on SKDEEP_DATA."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    return Path(folder)


def shifted(X):
    """Return the images (n, 784) and copies moved by one pixel each way."""
    images = X.reshape(-1, 28, 28)
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return np.concatenate([framed[:, i : i + 28, j : j + 28] for i, j in corners])


def mnist():
    """Train on MNIST with and without shifted copies, for the same number of steps."""
    data = np.load(data_folder() / "mnist" / "mnist.npz")
    X, X_test = (
        (data[name] / 255).astype(np.float32) for name in ("X_train", "X_test")
    )
    y, y_test = data["y_train"], data["y_test"]
    X_more, y_more = shifted(X).reshape(-1, X.shape[1]), np.tile(y, 5)
    for name, rows, labels, epochs in (
        ("MNIST", X, y, 60),
        ("MNIST and copies shifted by a pixel", X_more, y_more, 12),
    ):
        model = MLPClassifier(
            (512, 512),
            dropout=0.3,
            alpha=0,
            batch_size=256,
            learning_rate="one_cycle",
            learning_rate_init=2e-3,
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=0,
        )
        started = time.perf_counter()
        model.fit(rows, labels)
        taken = time.perf_counter() - started
        print(f"{name}: {model.score(X_test, y_test):.4f} in {taken:.0f} s")


def digits():
    """Cross-validate on the small digits."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    ours = MLPClassifier(
        (256, 256),
        dropout=0.3,
        batch_size=64,
        learning_rate="one_cycle",
        learning_rate_init=3e-3,
        max_iter=60,
        n_iter_no_change=60,
        random_state=0,
    )
    folds = KFold(5, shuffle=True, random_state=0)
    for name, model in {
        "skdeep": ours,
        "scikit-learn": ScikitLearnMLP(random_state=0),
    }.items():
        scores = cross_val_score(model, X, y, cv=folds)
        print(f"digits, {name}: {scores.mean():.4f}")


def votes():
    """Cross-validate on the house votes, ten times ten folds."""
    path = data_folder() / "tabular" / "house_votes_84.tsv.gz"
    X = pd.read_csv(path, sep="\t")
    y = X.pop("target")
    X = X.astype("category")
    models = {
        "skdeep, embedded": MLPClassifier(random_state=0),
        "scikit-learn, one-hot": make_pipeline(
            OneHotEncoder(handle_unknown="ignore"), ScikitLearnMLP(random_state=0)
        ),
    }
    for name, model in models.items():
        means = [
            cross_val_score(
                model, X, y, cv=StratifiedKFold(10, shuffle=True, random_state=seed)
            ).mean()
            for seed in range(10)
        ]
        print(f"house votes, {name}: {np.mean(means):.4f} (spread {np.std(means):.4f})")


def sentiment():
    """Cross-validate on the sentences, in ten folds."""
    kinds = [
        (data_folder() / "text" / f"rt-polarity.{kind}").read_text(encoding="utf-8")
        for kind in ("neg", "pos")
    ]
    sentences = [text.rstrip("\n").split("\n") for text in kinds]
    X = [sentence for part in sentences for sentence in part]
    y = np.repeat([0, 1], [len(part) for part in sentences])
    lstm = LSTMClassifier(
        64,
        embedding_dim=64,
        dropout=0.5,
        alpha=0,
        batch_size=64,
        learning_rate="one_cycle",
        learning_rate_init=2e-3,
        max_iter=5,
        random_state=0,
    )
    # Words that occur once become the unknown token, so that it is trained.
    words = SequenceVectorizer(token_pattern=r"(?u)\b\w+\b", min_df=2)
    pairs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    models = {
        "skdeep, LSTM": make_pipeline(words, lstm),
        "scikit-learn, TF-IDF": make_pipeline(
            pairs, LogisticRegression(C=10, max_iter=1000)
        ),
    }
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    for name, model in models.items():
        started = time.perf_counter()
        scores = cross_val_score(model, X, y, cv=folds)
        taken = time.perf_counter() - started
        print(
            f"sentiment, {name}: {scores.mean():.4f} (spread {scores.std():.4f}) "
            f"in {taken:.0f} s"
        )


PARTS = {"mnist": mnist, "digits": digits, "votes": votes, "sentiment": sentiment}


def main():
    """Run the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}: choose from {list(PARTS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for part in parts:
            PARTS[part]()


if __name__ == "__main__":
    main()
