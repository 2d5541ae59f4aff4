"""
Tuning
======

How good the networks are that four searches find in the same time, with the same search
space and folds:
``OptunaSearchCV`` of skdeep, scikit-learn's ``RandomizedSearchCV`` and
``HalvingRandomSearchCV``, and the ``OptunaSearchCV`` of optuna-integration (if it is
installed; skdeep does not need it).

The searches tune a network after a ``StandardScaler``, with ``default_search_space()``
and at most 60 epochs, on three tables: churn and phoneme (accuracy), and the
quality of white wine as a number (R²). Each seed has its own test rows, three folds of
the rest, initial weights and draws. For each search the tables show

- how many trials finished in time: for halving, scores of any number of epochs;
- the best cross-validated score among them;
- the score of that trial's parameters, fitted to all training rows, on the test rows.
  The cross-validated score is the best of many and flatters searches with more trials;
  this one does not.

The resource of halving is the number of epochs, since scores of different numbers of
rows cannot be compared; it starts again with new draws until the time is over.
Optuna-integration cannot prune here: it needs ``partial_fit``, which a Pipeline lacks.
The means over seeds follow, and how many more trials a search has thanks to pruning.

The tables are read from the folder that ``SKDEEP_DATA`` names. By default two searches
run at a time, of one thread each, for 60 seconds, which takes 40 minutes in all::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/tuning.py [TABLE ...] \
[--seconds 60] [--seeds 5] [--jobs 2]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor, OptunaSearchCV

TABLES = {
    "churn": MLPClassifier,
    "phoneme": MLPClassifier,
    "wine_quality_white": MLPRegressor,
}
N_EPOCHS, N_FOLDS, TEST_PART = 60, 3, 0.3
N_CANDIDATES, FACTOR = 27, 3  # of halving: 27 with 2 epochs, 9 with 6, 3, 1 with 54
MANY = 100_000  # more trials than there is time for
N_DRAWN = 100  # candidates of random search, which are all drawn before the first fit

# -- the case --------------------------------------------------------------------------


def load(table):
    """Read a table; the last of its columns is the target."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    X = pd.read_csv(Path(folder) / "tabular" / f"{table}.tsv.gz", sep="\t")
    y = X.pop("target")
    return X.to_numpy(np.float32), y.to_numpy()


@dataclass
class Case:
    """A table with a seed, the input of all searches."""

    model: Any
    space: dict
    folds: Any
    train: tuple
    test: tuple
    seed: int
    seconds: float

    @property
    def epochs_name(self):
        """The name of the number of epochs."""
        return f"{self.model.steps[-1][0]}__max_iter"


def make_case(table, seed, seconds):
    """Split a table and make the network and its space."""
    X, y = load(table)
    network = TABLES[table](max_iter=N_EPOCHS, random_state=seed)
    model = make_pipeline(StandardScaler(), network)
    classes = y if is_classifier(network) else None
    parts = train_test_split(
        X, y, test_size=TEST_PART, stratify=classes, random_state=seed
    )
    kind = KFold if classes is None else StratifiedKFold
    name = model.steps[-1][0]
    space = network.default_search_space()
    return Case(
        model,
        {f"{name}__{key}": values for key, values in space.items()},
        kind(N_FOLDS, shuffle=True, random_state=seed),
        tuple(parts[::2]),
        tuple(parts[1::2]),
        seed,
        seconds,
    )


@dataclass
class Found:
    """The result of a search within its time."""

    n_trials: int
    cv_score: float
    test_score: float


# -- skdeep ----------------------------------------------------------------------------


def run_skdeep(case, pruner="median"):
    """Search with skdeep, which also refits; trials that finish late do not count."""
    started, ends = time.perf_counter(), []

    def n_in_time():
        return sum(end <= case.seconds for end in ends)

    def best_in_time(results):
        return int(np.nanargmax(results["mean_test_score"][: max(n_in_time(), 1)]))

    search = OptunaSearchCV(
        case.model,
        case.space,
        n_trials=MANY,
        timeout=case.seconds,
        cv=case.folds,
        pruner=pruner,
        refit=best_in_time,
        random_state=case.seed,
        callbacks=[lambda study, trial: ends.append(time.perf_counter() - started)],
    ).fit(*case.train)
    if not n_in_time():
        return Found(0, np.nan, np.nan)
    return Found(
        n_in_time(),
        search.cv_results_["mean_test_score"][search.best_index_],
        search.score(*case.test),
    )


def run_without_pruning(case):
    """Search with skdeep without pruning."""
    return run_skdeep(case, pruner=None)


# -- the others ------------------------------------------------------------------------


class TimeIsOver(Exception):
    """Raised to end a search."""


class Recorder:
    """A scorer that records its scores and ends the search when its time is over.

    The searches here score the folds of a candidate one after another.
    """

    def __init__(self, case):
        self.case = case
        self.until = time.perf_counter() + case.seconds
        self.folds, self.trials = [], []

    def __call__(self, estimator, X, y):
        """Return the estimator's own score."""
        assert len(X) < len(self.case.train[0]) / 2  # a test fold
        score = estimator.score(X, y)
        if time.perf_counter() > self.until:
            raise TimeIsOver
        self.folds.append(score)
        if len(self.folds) == N_FOLDS:
            self.trials.append((np.mean(self.folds), self.params_of(estimator)))
            self.folds = []
        return score

    def params_of(self, estimator):
        """Return the parameters that differ between candidates."""
        params = estimator.get_params()
        return {n: params[n] for n in (*self.case.space, self.case.epochs_name)}

    def found(self):
        """Fit the best candidate and score it on the test rows."""
        if not self.trials:
            return Found(0, np.nan, np.nan)
        score, params = max(self.trials, key=lambda trial: trial[0])
        model = clone(self.case.model).set_params(**params).fit(*self.case.train)
        return Found(len(self.trials), score, model.score(*self.case.test))

    def run(self, make_search: Callable):
        """Run searches, one after another, until the time is over."""
        try:
            for number in range(MANY):
                make_search(number).fit(*self.case.train)
        except TimeIsOver:
            return self.found()


def run_random(case):
    """Search with scikit-learn's random search."""
    recorder = Recorder(case)
    return recorder.run(
        lambda number: RandomizedSearchCV(
            case.model,
            case.space,
            n_iter=N_DRAWN,
            scoring=recorder,
            cv=case.folds,
            refit=False,
            random_state=1000 * case.seed + number,
            error_score="raise",
        )
    )


def run_halving(case):
    """Search with scikit-learn's successive halving over epochs."""
    recorder = Recorder(case)
    return recorder.run(
        lambda number: HalvingRandomSearchCV(
            case.model,
            case.space,
            n_candidates=N_CANDIDATES,
            factor=FACTOR,
            resource=case.epochs_name,
            max_resources=N_EPOCHS,
            min_resources="exhaust",
            scoring=recorder,
            cv=case.folds,
            refit=False,
            return_train_score=False,  # not the default here
            random_state=1000 * case.seed + number,
            error_score="raise",
        )
    )


def as_optuna(values):
    """Return Optuna's distribution for a list or for loguniform of scipy."""
    if isinstance(values, list):
        return optuna.distributions.CategoricalDistribution(values)
    return optuna.distributions.FloatDistribution(*values.support(), log=True)


def run_integration(case):
    """Search with optuna-integration."""
    from optuna_integration import OptunaSearchCV as Search

    recorder = Recorder(case)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {name: as_optuna(values) for name, values in case.space.items()}
    return recorder.run(
        lambda number: Search(
            case.model,
            space,
            n_trials=None,
            scoring=recorder,
            cv=case.folds,
            refit=False,
            random_state=case.seed,
            error_score="raise",
        )
    )


OURS, UNPRUNED = "skdeep", "skdeep, no pruning"
SEARCHES = {
    OURS: run_skdeep,
    UNPRUNED: run_without_pruning,
    "RandomizedSearchCV": run_random,
    "HalvingRandomSearchCV": run_halving,
    "optuna-integration": run_integration,
}


# -- tables ----------------------------------------------------------------------------


def installed():
    """Return the searches that can be run."""
    try:
        version("optuna-integration")
    except PackageNotFoundError:
        return list(SEARCHES)[:-1]
    return list(SEARCHES)


def measure(table, seed, name, seconds):
    """Run a search; return its table, seed and name, and its result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Optuna-integration is experimental and calls deprecated functions; some
        # choices are tuples.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "`optuna.terminator`", FutureWarning)
        warnings.filterwarnings("ignore", "Choices for a categorical distribution")
        return table, seed, name, SEARCHES[name](make_case(table, seed, seconds))


def print_head(*names):
    """Print the head of a table."""
    print("|", " | ".join(names), "|")
    print("|", " | ".join("---" for _ in names), "|", flush=True)


def print_line(*cells):
    """Print a line of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def print_means(found):
    """Print means and spreads over seeds."""
    print_head("table", "search", "trials", "best cross-validated", "spread", "test")
    for table, name in dict.fromkeys((table, name) for table, _, name in found):
        runs = [v for (t, _, n), v in found.items() if (t, n) == (table, name)]
        scores = [run.cv_score for run in runs]
        print_line(
            table,
            name,
            f"{np.mean([run.n_trials for run in runs]):.0f}",
            f"{np.mean(scores):.4f}",
            f"{np.std(scores):.4f}",
            f"{np.mean([run.test_score for run in runs]):.4f}",
        )


def print_gain(found):
    """Print the ratio of trials with pruning to trials without."""
    print_head("table", "trials with pruning ÷ without, by seed", "mean")
    for table in dict.fromkeys(table for table, _, _ in found):
        seeds = sorted({seed for t, seed, _ in found if t == table})
        gains = [
            found[table, seed, OURS].n_trials
            / max(found[table, seed, UNPRUNED].n_trials, 1)
            for seed in seeds
        ]
        each = ", ".join(f"{gain:.1f}" for gain in gains)
        print_line(table, each, f"{np.mean(gains):.1f}")


def main(arguments=None):
    """Run the searches and print their results, line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    tables = options.tables or list(TABLES)
    if unknown := set(tables) - set(TABLES):
        parser.error(f"unknown tables {sorted(unknown)}: choose from {list(TABLES)}")
    jobs = (
        delayed(measure)(table, seed, name, options.seconds)
        for table in tables
        for seed in range(options.seeds)
        for name in installed()
    )
    found = {}
    print_head("table", "seed", "search", "trials", "best cross-validated", "test")
    for *run, value in Parallel(options.jobs, return_as="generator")(jobs):
        found[tuple(run)] = value
        scores = (f"{s:.4f}" for s in (value.cv_score, value.test_score))
        print_line(*run, value.n_trials, *scores)
    print()
    print_means(found)
    print()
    print_gain(found)


if __name__ == "__main__":
    main()
