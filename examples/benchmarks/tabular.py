"""
Tables
======

How well models predict tables with default parameters: skdeep's ensemble of networks,
scikit-learn's MLP, ``HistGradientBoosting``, logistic regression or ridge and, where
they are installed, CatBoost and pytabkit's RealMLP-TD and TabM-D.

At most 10,000 rows of a table are drawn and a fifth of them held out, with seeds 0 and
1, stratified by class. The ensemble, ``HistGradientBoosting``, CatBoost, RealMLP-TD and
TabM-D get categorical columns; for the others numbers are standardized and categories
one-hot encoded, and the MLP gets a standardized target. Each line has, for the held-out
rows,

- for classes, the accuracy, the log loss and the expected calibration error (in 15 bins
  of equal width of the probability of the predicted class);
- for numbers, the root mean squared error over the standard deviation of the target;
- the seconds that the fit took.

The means over seeds follow, and for each model its mean rank over tables in accuracy or
error and in log loss, and its time relative to RealMLP-TD.

The tables are read from the folder that ``SKDEEP_DATA`` names; besides the nine of
``TABLES``, others in it can be named, and those of ``FORMULAS``, which are computed: a
known function of random columns, plus noise of 1 % of its standard deviation in the
training rows. Their error is the distance from the function without noise::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/tabular.py [TABLE ...] \
[--models MODEL ...] [--seeds 2] [--rows 10000] [--members 32] \
[--time-limit SECONDS] [--earlier FILE]

``--earlier`` reuses the lines of an earlier run from a file.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import re
import time
import warnings
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeep import DeepEnsembleClassifier, DeepEnsembleRegressor

TABLES = (
    "adult",
    "churn",
    "credit_g",
    "phoneme",
    "satimage",
    "wine_quality_white",
    "503_wind",
    "537_houses",
    "573_cpu_act",
)
TEST_PART, N_BINS = 0.2, 15
FEW = 12  # most distinct values of a category, if the types are not described
NOISE = 0.01  # of the training rows of a formula, in standard deviations
KEYS = ["table", "seed", "model"]
FIGURES = ["accuracy or error", "log loss", "calibration error", "seconds"]
FORMATS = ["{:.4f}", "{:.4f}", "{:.4f}", "{:.2f}"]

# -- tables ----------------------------------------------------------------------------


def data_folder():
    """Return the folder of the tables, or exit with a hint on SKDEEP_DATA."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    return Path(folder) / "tabular"


def read_table(name):
    """Return X with categorical columns, y, and whether y holds classes."""
    X = pd.read_csv(data_folder() / f"{name}.tsv.gz", sep="\t")
    y = X.pop("target")
    task, types = read_description(data_folder() / f"{name}.yaml")
    for column in X:
        kind = types.get(column) or guess(X[column], "categorical", "continuous")
        X[column] = X[column].astype(float if kind == "continuous" else "category")
        if kind != "continuous":  # text: CatBoost takes no other
            X[column] = X[column].cat.rename_categories(str)
    task = task or guess(y, "classification", "regression")
    return X, y.to_numpy(), task == "classification"


def read_description(path):
    """Return the task and the types of columns, as far as they are described."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    task = re.search(r"^task: (\w+)", text, re.MULTILINE)
    types = re.findall(r"- name: (.+)\n +type: (\w+)", text)
    return task and task[1], dict(types)


def guess(column, discrete, continuous):
    """Return the type of a column, guessed from its number of values."""
    return discrete if column.nunique() <= FEW else continuous


def split(X, y, is_classes, seed, rows):
    """Draw at most `rows` rows; return X_train, X_test, y_train, y_test."""
    if len(y) > rows:
        X, _, y, _ = train_test_split(
            X, y, train_size=rows, stratify=y if is_classes else None, random_state=seed
        )
    return train_test_split(
        X,
        y,
        test_size=TEST_PART,
        stratify=y if is_classes else None,
        random_state=seed,
    )


# -- formulas --------------------------------------------------------------------------


def friedman(rng, n):
    """Return columns and the first function of Friedman (1991); five columns count."""
    x = rng.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return x, y + 10 * x[:, 3] + 5 * x[:, 4]


def borehole(rng, n):
    """Return columns and the flow of water through a borehole, a physical formula."""
    low = np.array([0.05, 100, 63070, 990, 63.1, 700, 1120, 9855])
    high = np.array([0.15, 50000, 115600, 1110, 116, 820, 1680, 12045])
    x = rng.uniform(low, high, size=(n, 8))
    radius, influence, upper, head, lower, low_head, length, conductivity = x.T
    log = np.log(influence / radius)
    lost = 2 * length * upper / (log * radius**2 * conductivity)
    return x, 2 * np.pi * upper * (head - low_head) / (log * (1 + lost + upper / lower))


def robot_arm(rng, n):
    """Return angles and lengths of four links, and how far the arm reaches."""
    x = np.hstack([rng.uniform(0, 2 * np.pi, (n, 4)), rng.uniform(size=(n, 4))])
    angles = x[:, :4].cumsum(axis=1)
    return x, np.abs((x[:, 4:] * np.exp(1j * angles)).sum(axis=1))


FORMULAS = {f.__name__: f for f in (friedman, borehole, robot_arm)}


def draw(formula, seed, rows):
    """Return X_train, X_test, noisy y_train, and y_test without noise."""
    rng = np.random.default_rng(seed)
    X, y = FORMULAS[formula](rng, rows)
    X = pd.DataFrame(X).add_prefix("x")
    X, X_test, y, y_test = split(X, y, False, seed, rows)
    return X, X_test, y + NOISE * y.std() * rng.normal(size=len(y)), y_test


def read_split(name, seed, rows):
    """Return the four parts of a table, and whether y holds classes."""
    if name in FORMULAS:
        return draw(name, seed, rows), False
    X, y, is_classes = read_table(name)
    return split(X, y, is_classes, seed, rows), is_classes


# -- models ----------------------------------------------------------------------------


def make_encoder():
    """Return a transformer: numbers standardized, categories one-hot encoded."""
    return make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_include="category"),
        ),
        (StandardScaler(), make_column_selector(dtype_exclude="category")),
    )


def make_ensemble(X, is_classes, seed, **parameters):
    """Return skdeep's ensemble."""
    kind = DeepEnsembleClassifier if is_classes else DeepEnsembleRegressor
    return kind(random_state=seed, **parameters)


def make_mlp(X, is_classes, seed):
    """Return scikit-learn's MLP."""
    if is_classes:
        return make_pipeline(make_encoder(), MLPClassifier(random_state=seed))
    model = make_pipeline(make_encoder(), MLPRegressor(random_state=seed))
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def make_boosting(X, is_classes, seed):
    """Return scikit-learn's boosted trees, which find the categories themselves."""
    kind = (
        HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    )
    return kind(random_state=seed)


def make_linear(X, is_classes, seed):
    """Return logistic regression or ridge."""
    model = LogisticRegression(max_iter=1000) if is_classes else Ridge()
    return make_pipeline(make_encoder(), model)


def make_catboost(X, is_classes, seed):
    """Return CatBoost with its categorical columns and torch's number of threads."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if is_classes else CatBoostRegressor
    return kind(
        random_seed=seed,
        cat_features=list(X.select_dtypes("category")),
        thread_count=torch.get_num_threads(),
        verbose=False,
        allow_writing_files=False,
    )


def make_realmlp(X, is_classes, seed):
    """Return RealMLP-TD with torch's number of threads."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if is_classes else RealMLP_TD_Regressor
    return kind(random_state=seed, device="cpu", n_threads=torch.get_num_threads())


def make_tabm(X, is_classes, seed):
    """Return TabM-D with torch's number of threads."""
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    kind = TabM_D_Classifier if is_classes else TabM_D_Regressor
    return kind(random_state=seed, device="cpu", n_threads=torch.get_num_threads())


OURS, REFERENCE = "DeepEnsemble", "RealMLP-TD"
MODELS = {
    OURS: make_ensemble,
    "MLP": make_mlp,
    "HistGB": make_boosting,
    "linear": make_linear,
    "CatBoost": make_catboost,
    REFERENCE: make_realmlp,
    "TabM-D": make_tabm,
}
PACKAGES = {"CatBoost": "catboost", REFERENCE: "pytabkit", "TabM-D": "pytabkit"}


def installed():
    """Return the models whose packages are installed."""
    return [n for n in MODELS if n not in PACKAGES or find_spec(PACKAGES[n])]


# -- figures ---------------------------------------------------------------------------


def measure(name, data, is_classes, seed, parameters):
    """Fit a model and score it on held-out rows; return the four figures."""
    X, X_test, y, y_test = data
    with nullcontext() if name == OURS else quiet():
        model = MODELS[name](X, is_classes, seed, **parameters)
        started = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - started
        judge = judge_classes if is_classes else judge_numbers
        return *judge(model, X_test, y_test), seconds


@contextmanager
def quiet():
    """Suppress output and warnings of other packages; errors pass."""
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def judge_numbers(model, X, y):
    """Return the error in standard deviations of the target; no other figures."""
    return root_mean_squared_error(y, model.predict(X)) / y.std(), np.nan, np.nan


def judge_classes(model, X, y):
    """Return accuracy, log loss and expected calibration error."""
    p = np.asarray(model.predict_proba(X), float)
    p /= p.sum(axis=1, keepdims=True)  # some models return sums of 1 only in float32
    right = model.classes_[p.argmax(axis=1)] == y
    return (
        right.mean(),
        log_loss(y, p, labels=model.classes_),
        calibration_error(right, p.max(axis=1)),
    )


def calibration_error(right, confidence):
    """Return the mean over rows of the calibration gap in their bin."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return np.abs(np.bincount(bins, right - confidence)).sum() / len(right)


# -- what is printed -------------------------------------------------------------------


def print_head(*names):
    """Print the head of a table."""
    print_line(*names)
    print_line(*("---" for _ in names))


def print_line(*cells):
    """Print a line of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def as_cells(figures):
    """Return figures as text; missing ones are empty."""
    return [
        "" if np.isnan(figure) else form.format(figure)
        for form, figure in zip(FORMATS, figures, strict=True)
    ]


def read_lines(path):
    """Return the figures of an earlier run by table, seed and model."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path else ():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == len(KEYS + FIGURES) and cells[1].isdigit():
            found[cells[0], int(cells[1]), cells[2]] = cells[3:]
    return found


def print_means(means):
    """Print the means over seeds, a line a table and a column a model."""
    models = list(dict.fromkeys(means.index.get_level_values("model")))
    print_head("table", *models)
    for table, rows in means.groupby("table", sort=False):
        rows = rows.droplevel("table").loc[models]
        cells = []
        for score, loss, _, seconds in rows.to_numpy():
            losses = "" if np.isnan(loss) else f" / {loss:.3f}"
            cells.append(f"{score:.3f}{losses} ({seconds:.1f} s)")
        print_line(table, *cells)


def print_ranks(means):
    """Print the mean ranks of the models over all tables."""
    wrong = 1 - means[FIGURES[0]]
    wrong = wrong.where(means["log loss"].notna(), means[FIGURES[0]])
    seconds = means["seconds"].groupby("model", sort=False).sum()
    found = pd.DataFrame(
        {
            "rank in accuracy or error": mean_rank(wrong),
            "rank in log loss": mean_rank(means["log loss"]),
            "calibration error": means["calibration error"].groupby("model").mean(),
            "seconds": seconds,
            f"of {REFERENCE}": seconds / seconds.get(REFERENCE, np.nan),
        }
    ).loc[seconds.index]
    print_head("model", *found)
    for model, values in zip(found.index, found.to_numpy(), strict=True):
        forms = ("{:.2f}", "{:.2f}", "{:.4f}", "{:.1f}", "{:.3f}")
        cells = (form.format(v) for form, v in zip(forms, values, strict=True))
        print_line(model, *("" if cell == "nan" else cell for cell in cells))


def mean_rank(figures):
    """Return the mean over tables of the rank of each model; the least is first."""
    return figures.unstack("model").rank(axis=1).mean()


# -- the run ---------------------------------------------------------------------------


def parse(arguments):
    """Return the options, tables and models checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument(
        "--models", nargs="+", metavar="MODEL", choices=MODELS, help=", ".join(MODELS)
    )
    parser.add_argument("--seeds", type=int, default=2, help="number of splits")
    parser.add_argument("--rows", type=int, default=10_000, help="of a table, at most")
    parser.add_argument("--members", type=int, help="of the ensemble")
    parser.add_argument("--time-limit", type=float, help="of the ensemble, in seconds")
    parser.add_argument("--earlier", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    options.tables = options.tables or list(TABLES)
    options.models = options.models or installed()
    there = {path.name.removesuffix(".tsv.gz") for path in data_folder().glob("*.gz")}
    there |= set(FORMULAS)
    if unknown := set(options.tables) - there:
        parser.error(f"unknown tables {sorted(unknown)}: choose from {sorted(there)}")
    return options


def run(options):
    """Yield table, seed and model with their figures as text."""
    earlier = read_lines(options.earlier)
    limits = {"n_members": options.members, "time_limit": options.time_limit}
    limits = {name: value for name, value in limits.items() if value is not None}
    for table, seed in itertools.product(options.tables, range(options.seeds)):
        data, is_classes = read_split(table, seed, options.rows)
        for name in options.models:
            cells = earlier.get((table, seed, name))
            if cells is None:
                parameters = limits if name == OURS else {}
                cells = as_cells(measure(name, data, is_classes, seed, parameters))
            yield (table, seed, name), cells


def main(arguments=None):
    """Measure and print the figures, line by line; then means and ranks."""
    options = parse(arguments)
    found = []
    print_head(*KEYS, *FIGURES)
    for keys, cells in run(options):
        print_line(*keys, *cells)
        found.append((*keys, *(float(cell or "nan") for cell in cells)))
    results = pd.DataFrame(found, columns=KEYS + FIGURES)
    means = results.groupby(["table", "model"], sort=False)[FIGURES].mean()
    print()
    print_means(means)
    print()
    print_ranks(means)


if __name__ == "__main__":
    main()
