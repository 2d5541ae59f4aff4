"""Is the best of a grid the best?
==================================

A grid search names a winner: the setting with the highest mean score over the folds.
Cut the same rows into folds in another way, and the winner may be another one. Which of
the settings are worse than it, and which only had bad luck with their folds?

To see that, twenty settings of a small network are cross-validated six times each, on
folds that are drawn anew each time. That is 600 fits, more than one likes to wait for.
Under the joblib backend "skdeep" they are trained as one population.

Run it with ``python examples/populations.py``. The picture and the numbers land in
``out/populations/``; with ``--alone`` the same networks are trained one by one.
"""

# %%
import argparse
import contextlib
import json
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier

N_ROWS, N_EPOCHS = 600, 40
N_FOLDS, N_REPEATS = 5, 6
GRID = {
    "mlpclassifier__learning_rate_init": [0.001, 0.003, 0.01, 0.03, 0.1],
    "mlpclassifier__alpha": [0.0001, 0.01, 0.1, 1.0],
}

# %%
# The search
# ----------
# It is scikit-learn's own, around a Pipeline. The repeats are part of its folds.


def search_grid(X, y):
    """Return a grid search that has tried every setting on every fold."""
    network = MLPClassifier((32,), max_iter=N_EPOCHS, random_state=0)
    model = make_pipeline(StandardScaler(), network)
    folds = RepeatedStratifiedKFold(
        n_splits=N_FOLDS, n_repeats=N_REPEATS, random_state=0
    )
    with warnings.catch_warnings():
        # How long to train is our own decision.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GridSearchCV(model, GRID, cv=folds, refit=False).fit(X, y)


# %%
# All that makes a population of it is the backend around the call.


def run(X, y, together=True):
    """Return the search and the seconds that it took."""
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if together:
            stack.enter_context(joblib.parallel_config(backend="skdeep"))
        search = search_grid(X, y)
    return search, time.perf_counter() - started


# %%
# Who wins
# --------
# The scores as a table: a row for each setting, a column for each fold of each repeat.


def tabulate(search):
    """Return the score of each setting (a row) on each fold."""
    results = search.cv_results_
    settings = pd.MultiIndex.from_tuples(
        [tuple(params[name] for name in GRID) for params in results["params"]],
        names=["learning_rate_init", "alpha"],
    )
    n_splits = N_REPEATS * N_FOLDS
    scores = np.stack([results[f"split{i}_test_score"] for i in range(n_splits)], 1)
    columns = pd.MultiIndex.from_product(
        [range(N_REPEATS), range(N_FOLDS)], names=["repeat", "fold"]
    )
    return pd.DataFrame(scores, settings, columns)


def by_repeat(scores):
    """Return the mean score of each setting in each repeat."""
    return scores.T.groupby("repeat").mean().T


# %%
# Two settings are compared fold by fold, since a fold that is hard is hard for both.
# The folds have most of their training rows in common, so their scores say less than as
# many independent ones would. The test of Nadeau and Bengio (2003) takes account of
# that: to the share of one fold in the variance it adds the ratio of test to training
# rows.


def compare_to_best(scores):
    """Return the p-value of each setting's difference to the one that is best."""
    best = scores.loc[scores.mean(axis=1).idxmax()]
    behind = best - scores
    n = behind.shape[1]
    deviation = np.sqrt(behind.var(axis=1) * (1 / n + 1 / (N_FOLDS - 1)))
    # The best one is not behind itself.
    t = (behind.mean(axis=1) / deviation).fillna(0)
    return pd.Series(2 * stats.t.sf(t, n - 1), scores.index).clip(upper=1)


# %%
# The picture
# -----------


def name_of(setting):
    """Return how a setting is called in the picture."""
    rate, alpha = setting
    return f"rate {rate:g}, α {alpha:g}"


def draw(scores):
    """Draw a line for each setting: its mean scores in all repeats, winners ringed."""
    means = by_repeat(scores)
    means = means.loc[means.mean(axis=1).sort_values().index]
    is_rival = compare_to_best(scores).loc[means.index] > 0.05
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    ax = figure.add_subplot()
    for y, (setting, row) in enumerate(means.iterrows()):
        colour = "#2f6fb2" if is_rival[setting] else "#a8b3be"
        ax.plot(row, np.full(len(row), y), "o", color=colour, alpha=0.7)
        won = row[row == means.max()]
        ax.plot(won, np.full(len(won), y), "o", ms=12, mfc="none", color="#e07b39")
    ax.set_yticks(range(len(means)), [name_of(setting) for setting in means.index])
    ax.set_xlabel("right in cross-validation; a dot for each repeat")
    ax.set_title("ringed: the winner of a repeat; blue: not told from the best one")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


# %%


def summarise(scores, seconds):
    """Return what is found, as plain numbers."""
    winners = by_repeat(scores).idxmax()
    p_values = compare_to_best(scores)
    return {
        "fits": scores.size,
        "seconds": seconds,
        "winners": [name_of(setting) for setting in winners],
        "rivals": [name_of(s) for s in p_values.index[p_values > 0.05]],
        "means": {name_of(s): mean for s, mean in scores.mean(axis=1).items()},
    }


def main(arguments=None):
    """Train all networks, print who wins, and keep the picture and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/populations"))
    parser.add_argument("--alone", action="store_true", help="train one by one")
    options = parser.parse_args(arguments)

    X, y = load_digits(return_X_y=True)
    X, y = X[:N_ROWS].astype("float32"), y[:N_ROWS]
    search, seconds = run(X, y, together=not options.alone)
    scores = tabulate(search)
    found = summarise(scores, seconds)
    print(f"{found['fits']} networks in {seconds:.1f} seconds")
    for repeat, winner in enumerate(found["winners"], start=1):
        print(f"repeat {repeat} is won by {winner}")
    print(
        f"{len(found['rivals'])} of {len(scores)} settings are as good, for all we know"
    )

    options.out.mkdir(parents=True, exist_ok=True)
    draw(scores).savefig(options.out / "populations.png", dpi=120)
    (options.out / "populations.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
