"""
Populations
===========

How long a grid search of 100 fits takes: 20 candidates (5 learning rates by 4
penalties) in 5 folds, each a Pipeline of a ``StandardScaler`` and a network that trains
for 50 epochs on batches of 200 rows.

- ``skdeep, population``: scikit-learn's ``GridSearchCV`` under
  ``joblib.parallel_config(backend="skdeep")``, which trains the fits together;
- ``skdeep, processes``: the same with ``n_processes`` equal to ``--jobs``;
- ``skdeep, one by one``: the same without the backend;
- ``scikit-learn``: its ``MLPClassifier`` with ``n_jobs=2``;
- ``skorch``: the same network with ``n_jobs=2``.

The networks have one hidden layer: 32 and 100 units on scikit-learn's digits, 64 on
churn, which is read from the folder that ``SKDEEP_DATA`` names and left out if it
is not set. All compute in float32. The searches alternate, ``--repeats`` times, after a
small one that starts the processes; the table shows medians::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/population.py [CASE ...] \
[--repeats 3] [--jobs 2] [--without skorch]

How the time depends on the number of processes, and how many seconds of it the calling
thread computes, which no number of processes shortens::

    python examples/benchmarks/population.py --processes 1 2 [--repeats 3]

Other kinds of searches on the digits, each with and without the backend, show where a
population helps and where it does not::

    python examples/benchmarks/population.py --kinds [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier as SklearnMLP
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skdeep import LSTMClassifier, MLPClassifier

CASES = {
    "digits 32": ("digits", 32),
    "digits 100": ("digits", 100),
    "churn 64": ("churn", 64),
}
N_EPOCHS, BATCH_SIZE, N_FOLDS = 50, 200, 5
RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
PENALTIES = [1e-5, 1e-4, 1e-3, 1e-2]
NETWORK = dict(
    max_iter=N_EPOCHS,
    n_iter_no_change=N_EPOCHS,  # all epochs are trained
    batch_size=BATCH_SIZE,
    random_state=0,
)


def load(name):
    """Return a data set in float32, or None if it is not available."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return X.astype(np.float32), y
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        return None
    X = pd.read_csv(Path(folder) / "tabular" / f"{name}.tsv.gz", sep="\t")
    y = X.pop("target")
    return X.to_numpy(np.float32), y.to_numpy()


# -- the searches ----------------------------------------------------------------------


def search(network, grid, n_jobs=None):
    """Return a grid search over a scaled network."""
    model = Pipeline([("scale", StandardScaler()), ("network", network)])
    grid = {f"network__{name}": values for name, values in grid.items()}
    folds = StratifiedKFold(N_FOLDS)
    return GridSearchCV(model, grid, cv=folds, refit=False, n_jobs=n_jobs)


def perceptron(kind, width, n_jobs=None):
    """Return the search over skdeep's or scikit-learn's network."""
    grid = {"learning_rate_init": RATES, "alpha": PENALTIES}
    return search(kind((width,), **NETWORK), grid, n_jobs)


def layers(n_inputs, width, n_classes):
    """Return the network that skorch trains."""
    return nn.Sequential(
        nn.Linear(n_inputs, width), nn.ReLU(), nn.Linear(width, n_classes)
    )


def skorch_search(width, X, y, n_jobs):
    """Return the search over skorch's network."""
    net = NeuralNetClassifier(
        layers,
        module__n_inputs=X.shape[1],
        module__width=width,
        module__n_classes=len(np.unique(y)),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=N_EPOCHS,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    grid = {"lr": RATES, "optimizer__weight_decay": PENALTIES}
    return search(net, grid, n_jobs)


def run_population(width, X, y, n_jobs=None, n_processes=None):
    """Search with skdeep, all fits in populations."""
    with joblib.parallel_config(backend="skdeep", n_processes=n_processes):
        return perceptron(MLPClassifier, width).fit(X, y)


POPULATION = "skdeep, population"
SEARCHES = {
    POPULATION: run_population,
    "skdeep, processes": lambda width, X, y, n_jobs: run_population(
        width, X, y, n_processes=n_jobs
    ),
    "skdeep, one by one": lambda width, X, y, n_jobs: perceptron(
        MLPClassifier, width
    ).fit(X, y),
    "scikit-learn": lambda width, X, y, n_jobs: perceptron(
        SklearnMLP, width, n_jobs
    ).fit(X, y),
    "skorch": lambda width, X, y, n_jobs: skorch_search(width, X, y, n_jobs).fit(X, y),
}


# -- the measurement -------------------------------------------------------------------


def measure(names, width, X, y, n_jobs, repeats):
    """Return the seconds and the best score of each search."""
    seconds = {name: [] for name in names}
    scores = {}
    for repeat in range(repeats + 1):
        part = slice(None, None if repeat else 400)  # the first starts the processes
        for name in names:
            started = time.perf_counter()
            found = SEARCHES[name](width, X[part], y[part], n_jobs)
            if repeat:
                seconds[name].append(time.perf_counter() - started)
                scores[name] = found.best_score_
    return {name: statistics.median(taken) for name, taken in seconds.items()}, scores


# -- processes -------------------------------------------------------------------------


def report_processes(cases, counts, repeats):
    """Print the seconds with each number of processes, and those of this thread."""
    print("| data, units | processes | seconds | of the calling thread |")
    print("| --- | --- | --- | --- |", flush=True)
    for case in cases:
        table, width = CASES[case]
        if (data := load(table)) is None:
            continue
        taken = {count: [] for count in counts}
        for repeat in range(repeats + 2):
            for count in counts:
                started = time.perf_counter(), time.thread_time()
                run_population(width, *data, n_processes=count)
                ended = time.perf_counter(), time.thread_time()
                if repeat > 1:  # the first two start the processes
                    taken[count].append(np.subtract(ended, started))
        for count in counts:
            total, own = np.median(taken[count], axis=0)
            print(f"| {case} | {count} | {total:.2f} | {own:.3f} |", flush=True)


# -- other kinds -----------------------------------------------------------------------


def kinds():
    """Return a search for each kind, and how it reads the digits."""

    def mlp(*layers, n_rates=5, n_penalties=4, n_folds=N_FOLDS, **options):
        network = MLPClassifier(layers, **(NETWORK | options))
        grid = {
            "learning_rate_init": RATES[:n_rates],
            "alpha": PENALTIES[:n_penalties],
        }
        return search(network, grid).set_params(cv=n_folds)

    def forest(**options):
        model = RandomForestClassifier(random_state=0, **options)
        return GridSearchCV(model, {"max_depth": [4, 8, 12, None]}, refit=False)

    lstm = LSTMClassifier(32, max_iter=5, random_state=0)
    few = {"n_rates": 4, "n_penalties": 1}
    found = {
        "32 units": mlp(32),
        "32 units, float64": mlp(32),
        "32 units, `dropout`": mlp(32, dropout=0.2),
        '32 units, `early_stopping="loss"`': mlp(32, early_stopping="loss"),
        "100 units": mlp(100),
        "64 and 64 units": mlp(64, 64),
        "512 units, 20 epochs": mlp(512, **few, max_iter=20),
        "32 units, 20 fits": mlp(32, **few),
        "32 units, 5 fits": mlp(32, n_rates=1, n_penalties=1),
        "32 units, 2 fits": mlp(32, n_rates=1, n_penalties=1, n_folds=2),
        "an LSTM of 32 units, 5 epochs, 10 fits": GridSearchCV(
            lstm, {"learning_rate_init": RATES[1:3]}, refit=False
        ),
        "a forest of 100 trees, 20 fits": forest(),
    }
    given = {name: lambda X: X.astype(np.float32) for name in found}
    given["32 units, float64"] = lambda X: X
    given["an LSTM of 32 units, 5 epochs, 10 fits"] = lambda X: X.reshape(-1, 8, 8)
    return {name: (found[name], given[name]) for name in found}


def report_kinds(repeats):
    """Measure each kind and print its line."""
    X, y = load_digits(return_X_y=True)
    print("| what is searched | together | one by one |")
    print("| --- | --- | --- |", flush=True)
    for name, (model, give) in kinds().items():
        seconds = {"skdeep": [], "loky": []}
        for _ in range(repeats):
            for backend, taken in seconds.items():
                started = time.perf_counter()
                n_jobs = -1 if backend == "skdeep" else 1
                with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
                    model.fit(give(X), y)
                taken.append(time.perf_counter() - started)
        together, apart = map(statistics.median, seconds.values())
        ratio = apart / together
        print(f"| {name} | {together:.2f} | {apart:.2f} ({ratio:.1f}) |", flush=True)


def report(case, names, n_jobs, repeats):
    """Measure a case and print its lines."""
    table, width = CASES[case]
    data = load(table)
    if data is None:
        print(f"| {case} | (SKDEEP_DATA is not set) | | | |")
        return
    seconds, scores = measure(names, width, *data, n_jobs, repeats)
    for name in names:
        ratio = seconds[name] / seconds[POPULATION]
        print(
            f"| {case} | {name} | {seconds[name]:.2f} | {ratio:.1f} | "
            f"{scores[name]:.4f} |",
            flush=True,
        )


def main(arguments=None):
    """Run the searches and print their times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--processes", type=int, nargs="+", metavar="COUNT")
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--without", action="append", default=[], choices=SEARCHES)
    options = parser.parse_args(arguments)
    cases = options.cases or list(CASES)
    if unknown := set(cases) - set(CASES):
        parser.error(f"unknown cases {sorted(unknown)}: choose from {list(CASES)}")
    names = [name for name in SEARCHES if name not in options.without]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if options.kinds:
            report_kinds(options.repeats)
            return
        if options.processes:
            report_processes(cases, options.processes, options.repeats)
            return
        print("| data, units | search | seconds | ÷ population | best score |")
        print("| --- | --- | --- | --- | --- |", flush=True)
        # Worker processes inherit these filters.
        before = os.environ.get("PYTHONWARNINGS")
        os.environ["PYTHONWARNINGS"] = "ignore"
        try:
            for case in cases:
                report(case, names, options.jobs, options.repeats)
        finally:
            os.environ.pop("PYTHONWARNINGS")
            if before is not None:
                os.environ["PYTHONWARNINGS"] = before


if __name__ == "__main__":
    main()
