"""
Synthetic data
==============

How well ``GAN`` imitates data, in parts:

- ``adult``, ``churn``: a table with its target as one more category. Boosted trees
  learn from sampled rows and are scored on real ones, as are trees that learn from the
  training rows; compared, if the package ``ctgan`` is installed, with its ``CTGAN`` and
  ``TVAE`` at their defaults;
- ``gaussians``: a mixture of 25 normal distributions on a grid: how many are found, and
  the share of samples near one of them;
- ``mnist``: digits by label: the share of samples that a classifier trained on real
  digits recognizes as the label that was asked for.

The tables and digits are read from the folder that ``SKDEEP_DATA`` names::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/synthetic.py [PART ...] \
[--seeds 1] [--epochs N] [--models GAN CTGAN TVAE]
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from tabular import data_folder, print_head, print_line, read_table

from skdeep import GAN, CNNClassifier

TARGET, TEST_PART = "target", 0.2
N_BINS = 8  # of numbers, for pairs of columns
HEAD = ["table", "seed", "rows from", "area", "below real", "numbers", "categories"]
HEAD += ["pairs", "copies", "CPU seconds of fit", "of sample"]

# -- tables ----------------------------------------------------------------------------


def read_frame(name):
    """Return a table whose last column is the target, a category."""
    frame, y, _ = read_table(name)
    for column in frame.select_dtypes("float"):
        if (frame[column] % 1 == 0).all():
            frame[column] = frame[column].astype("int64")
    frame[TARGET] = pd.Categorical(y.astype(str))
    return frame


def split(frame, seed):
    """Return training and test rows, stratified by the target."""
    parts = train_test_split(
        frame, test_size=TEST_PART, stratify=frame[TARGET], random_state=seed
    )
    return [part.reset_index(drop=True) for part in parts]


def make_gan(seed, epochs):
    """Return functions that fit a GAN to a frame and sample rows."""
    model = GAN(random_state=seed, **({} if epochs is None else {"max_iter": epochs}))
    return model.fit, lambda n: model.sample(n, random_state=seed)


def make_other(name, seed, epochs):
    """Return functions that fit a model of the package ``ctgan`` and sample rows."""
    import ctgan

    model = getattr(ctgan, name)(**({} if epochs is None else {"epochs": epochs}))
    model.set_random_state(seed)

    def fit(frame):
        names = list(frame.select_dtypes("category"))
        return model.fit(frame.astype(dict.fromkeys(names, object)), names)

    return fit, model.sample


MODELS = {
    "GAN": make_gan,
    "CTGAN": lambda seed, epochs: make_other("CTGAN", seed, epochs),
    "TVAE": lambda seed, epochs: make_other("TVAE", seed, epochs),
}


def installed():
    """Return the names of the models whose packages are installed."""
    return [name for name in MODELS if name == "GAN" or find_spec("ctgan")]


def synthesize(name, frame, seed, epochs):
    """Return as many rows as a frame has, and the CPU seconds of fit and sample."""
    fit, sample = MODELS[name](seed, epochs)
    times = [time.process_time()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(frame)
        times.append(time.process_time())
        rows = sample(len(frame))
    times.append(time.process_time())
    return as_types_of(frame, rows), np.diff(times)


def as_types_of(frame, rows):
    """Return rows with the categories of a frame."""
    for column in frame.select_dtypes("category"):
        rows[column] = pd.Categorical(rows[column], frame[column].cat.categories)
    return rows


# -- figures ---------------------------------------------------------------------------


def area_of_trees(rows, test):
    """Return the ROC AUC on test rows of boosted trees that learn from rows."""
    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(rows.drop(columns=TARGET), rows[TARGET].astype(str))
    p = model.predict_proba(test.drop(columns=TARGET))[:, -1]
    return roc_auc_score(test[TARGET] == model.classes_[-1], p)


def distances(rows, frame):
    """Return how far the distributions of columns and of pairs are apart.

    The mean Kolmogorov-Smirnov distance of numbers, and the mean total variation of
    categories and of pairs of columns (numbers in bins): 0 is equal, 1 disjoint.
    """
    numbers = [
        ks_2samp(frame[c], rows[c], method="asymp").statistic
        for c in frame.select_dtypes("number")
    ]
    categories = [
        total_variation(frame[c].cat.codes, rows[c].cat.codes)
        for c in frame.select_dtypes("category")
    ]
    binned = [binned_columns(frame[c], rows[c]) for c in frame]
    pairs = [
        total_variation(
            *(
                a * (max(map(np.max, first)) + 1) + b
                for a, b in zip(first, second, strict=True)
            )
        )
        for second, first in itertools.combinations(binned, 2)
    ]
    return [np.mean(values) for values in (numbers, categories, pairs)]


def total_variation(first, second):
    """Return half the summed difference of the frequencies of codes."""
    codes, inverse = np.unique(np.append(first, second), return_inverse=True)
    a, b = (
        np.bincount(part, minlength=len(codes)) / len(part)
        for part in np.split(inverse, [len(first)])
    )
    return np.abs(a - b).sum() / 2


def binned_columns(first, second):
    """Return two columns as codes: categories, or bins of equal frequency."""
    if isinstance(first.dtype, pd.CategoricalDtype):
        return first.cat.codes.to_numpy(int), second.cat.codes.to_numpy(int)
    edges = np.unique(np.quantile(first, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    return np.searchsorted(edges, first), np.searchsorted(edges, second)


def share_of_copies(rows, frame):
    """Return the share of rows that equal a row of a frame."""
    known = set(frame.astype(object).itertuples(index=False, name=None))
    rows = rows.astype(object).itertuples(index=False, name=None)
    return np.mean([row in known for row in rows])


def table(name, options):
    """Print the figures of a table, a line for each seed and model."""
    print_head(*HEAD)
    for seed in range(options.seeds):
        train, test = split(read_frame(name), seed)
        real = area_of_trees(train, test)
        print_figures(name, seed, "training", real, real, test, train, [np.nan] * 2)
        for model in options.models:
            rows, seconds = synthesize(model, train, seed, options.epochs)
            area = area_of_trees(rows, test)
            print_figures(name, seed, model, area, real, rows, train, seconds)


def print_figures(name, seed, model, area, real, rows, train, seconds):
    """Print a line; for real data, the other figures are those of the test rows."""
    figures = [area, real - area, *distances(rows, train), share_of_copies(rows, train)]
    taken = ["" if np.isnan(value) else f"{value:.1f}" for value in seconds]
    print_line(name, seed, model, *(f"{value:.4f}" for value in figures), *taken)


# -- a mixture, and digits -------------------------------------------------------------

N_SIDE, SPACING, SPREAD = 5, 2.0, 0.05  # of the grid of normal distributions
N_ROWS = 10_000  # of the mixture, real and sampled
N_DIGITS = 3_000  # sampled


def draw_mixture(n_rows, seed):
    """Return rows from the mixture of normal distributions on a grid."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(N_SIDE, size=(n_rows, 2)) * SPACING
    return centers + SPREAD * rng.normal(size=(n_rows, 2))


def mixture_figures(rows):
    """Return figures of rows.

    The number of distributions found (at least a tenth of their rows are there), the
    share of rows within 3 standard deviations of a center, how far the frequencies of
    the distributions are from equal ones (total variation), and the standard deviation
    of these rows, in that of the distributions.
    """
    nearest = np.round(rows / SPACING).clip(0, N_SIDE - 1)
    offsets = (rows - nearest * SPACING) / SPREAD
    near = np.linalg.norm(offsets, axis=1) < 3
    codes = (nearest[near] @ [N_SIDE, 1]).astype(int)
    counts = np.bincount(codes, minlength=N_SIDE**2)
    shares = counts / max(counts.sum(), 1)
    found = int((counts > 0.1 * len(rows) / N_SIDE**2).sum())
    balance = np.abs(shares - 1 / N_SIDE**2).sum() / 2
    return found, near.mean(), balance, offsets[near].std() if near.any() else np.nan


def gaussians(options):
    """Print how many of the 25 normal distributions are found."""
    figures = ["found", "near", "balance", "spread"]
    print_head("rows from", "seed", *figures, "CPU seconds of fit")
    for seed in range(options.seeds):
        X = draw_mixture(N_ROWS, seed)
        start = time.process_time()
        model = GAN(random_state=seed, **epochs_of(options)).fit(X)
        taken = time.process_time() - start
        samples = model.sample(N_ROWS, random_state=seed)
        print_mixture("training", seed, X)
        print_mixture("GAN", seed, samples, f"{taken:.1f}")


def print_mixture(name, seed, rows, taken=""):
    """Print a line."""
    found, *figures = mixture_figures(rows)
    print_line(name, seed, found, *(f"{figure:.3f}" for figure in figures), taken)


def epochs_of(options):
    """Return the parameter of the number of epochs if it is given."""
    return {} if options.epochs is None else {"max_iter": options.epochs}


def mnist(options):
    """Print the share of sampled digits that are recognized.

    Sampled digits are as diverse as real ones if their variance is theirs, and if the
    nearest of the other samples is as far as the nearest of the other digits.
    """
    X, y, X_test, y_test = read_digits()
    judge = CNNClassifier(max_iter=3, random_state=0).fit(X, y)
    print_head(
        "digits from", "seed", "recognized", "variance", "nearest", "CPU seconds"
    )
    print_digits("test", "", judge, X_test, y_test, X, y)
    for seed in range(options.seeds):
        start = time.process_time()
        model = GAN(random_state=seed, **epochs_of(options)).fit(X, y)
        taken = time.process_time() - start
        asked = np.arange(N_DIGITS) % 10
        samples = model.sample(N_DIGITS, y=asked, random_state=seed)
        print_digits("GAN", seed, judge, samples, asked, X, y, f"{taken:.1f}")


def read_digits():
    """Return training and test digits, (n, 28, 28), and their labels."""
    with np.load(data_folder().parent / "mnist" / "mnist.npz") as file:
        parts = {name: file[name] for name in file}
    X, X_test = (parts[name].reshape(-1, 28, 28) for name in ("X_train", "X_test"))
    return X, parts["y_train"], X_test, parts["y_test"]


def print_digits(name, seed, judge, digits, labels, X, y, taken=""):
    """Print a line; variances and distances are divided by those of training digits."""
    accuracy = judge.score(digits, labels)
    X, y = X[: len(digits)], y[: len(digits)]
    ratios = [
        np.mean([measure(digits[labels == k]) / measure(X[y == k]) for k in range(10)])
        for measure in (total_variance, nearest_distance)
    ]
    figures = [f"{figure:.3f}" for figure in (accuracy, *ratios)]
    print_line(name, seed, *figures, taken)


def total_variance(images):
    """Return the sum of the variances of the pixels."""
    return images.reshape(len(images), -1).var(axis=0, dtype=float).sum()


def nearest_distance(images):
    """Return the mean distance of an image to the nearest other one."""
    rows = images.reshape(len(images), -1).astype(float)
    return NearestNeighbors(n_neighbors=1).fit(rows).kneighbors()[0].mean()


# -- the run ---------------------------------------------------------------------------

PARTS = {
    "adult": lambda options: table("adult", options),
    "churn": lambda options: table("churn", options),
    "gaussians": gaussians,
    "mnist": mnist,
}


def parse(arguments):
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seeds", type=int, default=1, help="number of splits")
    parser.add_argument("--epochs", type=int, help="of all models of tables")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=installed())
    options = parser.parse_args(arguments)
    if wrong := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(wrong))}")
    options.parts = options.parts or list(PARTS)
    return options


def main(arguments=None):
    """Run the parts that are asked for."""
    options = parse(arguments)
    for part in options.parts:
        print(f"== {part}", flush=True)
        PARTS[part](options)


if __name__ == "__main__":
    main()
