"""
Costs
=====

What decisions cost on test rows, with the same models.

- ``logistic``, ``boosting``, ``mlp``, ``stopped``: logistic regression,
  ``HistGradientBoostingClassifier`` and scikit-learn's MLP (with its
  defaults and with ``early_stopping=True``), each with scikit-learn's two threshold
  classifiers
  (``FixedThresholdClassifier`` at alpha / (1 + alpha), ``TunedThresholdClassifierCV``
  on the same cost) and in ``CostSensitiveClassifier``;
- ``network``: the default network of ``CostSensitiveClassifier``, compared with
  scikit-learn's MLP and the two threshold classifiers;
- ``rows``: the four data sets of the package empulse, which must be installed, with
  costs that differ from row to row; compared with its ``CSLogitClassifier``.

All but ``rows`` measure the mean cost at alpha 1, 2, 5 and 10 on ``credit_g``
(positive: a good credit), ``churn``, 10,000 rows of ``adult`` (positive: an income of
at most 50,000), 40 % of the rows held out, stratified; and on Apple's stock, of which
the days from 2011 on are held out (positive: an increase). The first three are read
from the folder that ``SKDEEP_DATA`` names::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/costs.py [PART ...]

Numbers are standardized and categories one-hot encoded, except for boosting, which
takes categories as they are. For Apple's stock ``CostSensitiveClassifier`` gets folds
in time order. Each model is fitted to the same rows only once; ``--cache FOLDER`` keeps
the fits for the next run.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier as ScikitLearnMLP
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeep import CostSensitiveClassifier, MLPClassifier
from skdeep.datasets import load_stock_trend
from skdeep.metrics import expected_cost

ALPHAS = (1, 2, 5, 10)
TEST_YEAR = 2011  # the first test day of Apple's trend
DATA = ("credit_g", "churn", "adult", "apple")
ROW_DATA = {
    "TV churn": "load_churn_tv_subscriptions",
    "PAKDD": "load_credit_scoring_pakdd",
    "bank upsell": "load_upsell_bank_telemarketing",
    "VUB credit": "load_vub_credit_scoring",
}
FIXED, TUNED = "Fixed", "TunedCV"
ALWAYS_THERE = ("never", "always", FIXED, TUNED)

# -- models ----------------------------------------------------------------------------

memory = joblib.Memory(None, verbose=0)


def fit_once(kind):
    """Return a classifier class whose fits to the same rows are cached."""

    class Remembering(kind):
        def fit(self, X, y, sample_weight=None):
            if hasattr(self, "classes_") and self.warm_start:
                return super().fit(X, y, sample_weight=sample_weight)
            # Compare parameters only: a pipeline sets further attributes on its steps.
            fitted = memory.cache(fit_plainly)(
                kind, self.get_params(), X, y, sample_weight
            )
            vars(self).update(vars(fitted))
            return self

    return Remembering


def fit_plainly(kind, parameters, X, y, sample_weight):
    """Fit a classifier; ``memory`` caches the result."""
    return kind(**parameters).fit(X, y, sample_weight=sample_weight)


def make_network(seed, in_time):
    """Return the default network of ``CostSensitiveClassifier``, seeded."""
    network = fit_once(MLPClassifier)(
        early_stopping="loss",
        dropout=0.5,
        validation_split="last" if in_time else "random",
        random_state=seed,
    )
    return make_pipeline(make_encoder(), network)


def make_peer(kind, seed, in_time, encode=True, **parameters):
    """Return a seeded scikit-learn model."""
    del in_time
    model = fit_once(kind)(random_state=seed, **parameters)
    return make_pipeline(make_encoder(), model) if encode else model


def make_encoder():
    """Return a transformer: numbers standardized, categories one-hot encoded."""
    is_category = make_column_selector(dtype_include="category")
    is_number = make_column_selector(dtype_exclude="category")
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), is_category),
        (StandardScaler(), is_number),
    )


MODELS = {
    "logistic": partial(make_peer, LogisticRegression, max_iter=1000),
    "boosting": partial(
        make_peer,
        HistGradientBoostingClassifier,
        encode=False,
        categorical_features="from_dtype",
    ),
    "mlp": partial(make_peer, ScikitLearnMLP),
    "stopped": partial(make_peer, ScikitLearnMLP, early_stopping=True),
    "network": make_network,
}
# Weights depend on alpha, so scikit-learn's MLP would be fitted three times as
# often, which takes long.
STRATEGIES = {
    "logistic": ("threshold", "tuned", "weighted", "auto"),
    "boosting": ("threshold", "tuned", "weighted", "auto"),
    "mlp": ("threshold", "tuned"),
    "stopped": ("threshold", "tuned"),
    "network": ("threshold", "tuned", "weighted", "direct", "auc", "auto"),
    "rows": ("auto",),
}


# -- data ------------------------------------------------------------------------------


def data_folder():
    """Return the data folder, or exit with a hint on SKDEEP_DATA."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    return Path(folder) / "tabular"


def read_table(name):
    """Return X with categorical columns, and y."""
    X = pd.read_csv(data_folder() / f"{name}.tsv.gz", sep="\t")
    y = X.pop("target").to_numpy()
    described = data_folder() / f"{name}.yaml"
    if described.exists():
        text = described.read_text(encoding="utf-8")
        numbers = re.findall(r"- name: (.+)\n +type: continuous", text)
    else:
        numbers = [column for column in X if X[column].nunique() > 12]
    for column in X:
        X[column] = X[column].astype(float if column in numbers else "category")
    return X, y


def split(name, seed):
    """Return X_train, X_test, y_train, y_test."""
    if name == "apple":
        trend = load_stock_trend("AAPL")
        y = (trend.target == "increase").to_numpy().astype(int)
        first = int((trend.data.index.year < TEST_YEAR).sum())
        # The label of the day before the first test day depends on that day's price.
        return trend.data[: first - 1], trend.data[first:], y[: first - 1], y[first:]
    X, y = read_table(name)
    if name == "adult":
        X, _, y, _ = train_test_split(
            X, y, train_size=10_000, stratify=y, random_state=seed
        )
    return train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)


# -- one cost for each kind of mistake -------------------------------------------------


def scikit_learn(model, alpha):
    """Return scikit-learn's two threshold classifiers."""
    cost = make_scorer(expected_cost, greater_is_better=False, alpha=alpha)
    return {
        FIXED: FixedThresholdClassifier(
            model, threshold=alpha / (1 + alpha), response_method="predict_proba"
        ),
        TUNED: TunedThresholdClassifierCV(model, scoring=cost),
    }


def decide(part, name, seed, strategies):
    """Yield alpha, the name of a decision rule, its test cost and its choice."""
    X, X_test, y, y_test = split(name, seed)
    in_time = name == "apple"
    model = MODELS[part](seed, in_time)
    peer = MODELS["mlp"](seed, in_time) if part == "network" else model
    cv = TimeSeriesSplit(5, gap=1) if in_time else None
    for alpha in ALPHAS:
        ways = scikit_learn(peer, alpha)
        for strategy in strategies:
            ways[strategy] = CostSensitiveClassifier(
                model, alpha, strategy=strategy, cv=cv, random_state=seed
            )
        for label, constant in {"never": 0, "always": 1}.items():
            decisions = np.full(len(y_test), constant)
            yield alpha, label, expected_cost(y_test, decisions, alpha=alpha), label
        for label, way in ways.items():
            decisions = way.fit(X, y).predict(X_test)
            cost = expected_cost(y_test, decisions, alpha=alpha)
            yield alpha, label, cost, getattr(way, "strategy_", label)


def measure(part, seeds, strategies):
    """Return test costs, one row per data set, alpha, seed and decision rule."""
    columns = ["data", "seed", "alpha", "way", "cost", "chosen"]
    rows = []
    for name in DATA:
        for seed in range(seeds):
            found = decide(part, name, seed, strategies)
            rows += [(name, seed, *each) for each in found]
    return pd.DataFrame(rows, columns=columns)


def report(costs, strategies):
    """Print the mean costs and how often the lowest cost of the others is reached."""
    means = costs.pivot_table(
        index=["data", "alpha"], columns="way", values="cost", sort=False
    )
    means = means[[*ALWAYS_THERE, *strategies]]
    print(markdown(means))
    best, constant = means[[FIXED, TUNED]].min(axis=1), means.iloc[:, :2].min(axis=1)
    for way in strategies:
        # Equal decisions must count as equal, though sums may differ in a last digit.
        reached = (means[way] <= best + 1e-12).sum()
        ratio, worst = (means[way] / best).mean(), (means[way] / constant).max()
        print(
            f"- {way}: in {reached} of {len(means)} cells no more expensive than the "
            f"better of {FIXED} and {TUNED}, {ratio:.3f} times its cost on average; at "
            f"most {worst:.3f} times the better of never and always"
        )
    chosen = costs.loc[costs["way"] == "auto", "chosen"].value_counts()
    if len(chosen):
        print("- auto chose", ", ".join(f"{k} {n} times" for k, n in chosen.items()))


def markdown(means):
    """Return a table of costs in Markdown."""
    lines = ["| " + " | ".join(["data", "alpha", *means.columns]) + " |"]
    lines.append("| --- " * (2 + means.shape[1]) + "|")
    for (name, alpha), row in means.iterrows():
        cells = [name, str(alpha), *(f"{cost:.4f}" for cost in row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare(part, seeds, asked):
    """Measure and report one kind of model."""
    strategies = asked or STRATEGIES[part]
    print(f"### {part}\n", flush=True)
    report(measure(part, seeds, strategies), strategies)


# -- costs of rows ---------------------------------------------------------------------


def read_rows(loader):
    """Return X, y and the costs of each row of a data set of empulse, by outcome."""
    try:
        from empulse import datasets
    except ImportError as error:
        raise SystemExit("rows needs empulse: pip install empulse") from error
    data = getattr(datasets, loader)(backend=pd)
    X = data.data.copy()
    for column in X:
        if pd.api.types.is_numeric_dtype(X[column]):
            X[column] = X[column].astype(float)
        else:
            X[column] = X[column].astype(object).astype("category")
    outcomes = ("tp", "fp", "tn", "fn")
    formulas = {name: getattr(data.cost_matrix, f"{name}_cost") for name in outcomes}
    costs = {name: evaluate(data, formula) for name, formula in formulas.items()}
    return X, np.asarray(data.target).astype(int), pd.DataFrame(costs)


def evaluate(data, formula):
    """Return a formula's value on each row, (n_samples,)."""
    import sympy

    formula = sympy.sympify(formula)
    given = {**data.cost_matrix._defaults, **data.instance_costs}
    names = sorted(map(str, formula.free_symbols))
    value = sympy.lambdify(names, formula, "numpy")(*(given[name] for name in names))
    return np.broadcast_to(np.asarray(value, float), len(data.target))


def savings(y, decisions, costs):
    """Return the savings compared with the cheaper of never and always.

    Right decisions have costs here too, as in the publication of the data.
    """
    right = np.where(y == 1, costs["tp"], costs["tn"]).mean()

    def paid(decided):
        return right + expected_cost(y, decided, **net(costs))

    constant = [paid(np.full(len(y), decided)) for decided in (0, 1)]
    return 1 - paid(decisions) / min(constant)


def net(costs):
    """Return the costs of mistakes less those of right decisions."""
    return {
        "fp_cost": (costs["fp"] - costs["tn"]).to_numpy(),
        "fn_cost": (costs["fn"] - costs["tp"]).to_numpy(),
    }


def decide_rows(X, y, costs, seed, strategies):
    """Yield decision rules and their savings on test rows."""
    train, test = train_test_split(
        np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed
    )
    # Boosting takes up to 255 categories.
    wide = [c for c in X if X[c].dtype == "category" and X[c].nunique() > 255]
    narrow = X.assign(**{c: X[c].cat.codes.astype(float) for c in wide})
    known, told = net(costs.iloc[train]), net(costs.iloc[test])
    saved = partial(savings, y[test], costs=costs.iloc[test])

    for part, data in {"boosting": narrow, "network": X}.items():
        rows, rows_test = data.iloc[train], data.iloc[test]
        model = MODELS[part](seed, in_time=False)
        p = model.fit(rows, y[train]).predict_proba(rows_test)[:, 1]
        bayes = p * told["fn_cost"] >= (1 - p) * told["fp_cost"]
        yield f"{part}, Bayes", saved(decisions=bayes.astype(int))
        for strategy in strategies:
            way = CostSensitiveClassifier(model, strategy=strategy, random_state=seed)
            decisions = way.fit(rows, y[train], **known).predict(rows_test, **told)
            yield f"{part}, {strategy}", saved(decisions=decisions)
    from empulse.models import CSLogitClassifier

    encoder = make_encoder().fit(X.iloc[train])
    rival = CSLogitClassifier().fit(
        encoder.transform(X.iloc[train]),
        y[train],
        **costs.iloc[train].add_suffix("_cost"),
    )
    yield "CSLogit", saved(decisions=rival.predict(encoder.transform(X.iloc[test])))


def compare_rows(seeds, asked):
    """Print the savings on the data sets whose costs differ from row to row."""
    strategies = asked or STRATEGIES["rows"]
    found = {}
    for name, loader in ROW_DATA.items():
        data = read_rows(loader)
        found[name] = pd.DataFrame(
            dict(decide_rows(*data, s, strategies)) for s in range(seeds)
        )
    means = pd.DataFrame({name: savings.mean() for name, savings in found.items()})
    spread = pd.DataFrame({name: savings.std() for name, savings in found.items()})
    print("### rows: savings (spread over the splits)\n")
    print("| " + " | ".join(["", *means]) + " |")
    print("| --- " * (1 + means.shape[1]) + "|")
    for way in means.index:
        cells = [f"{means.at[way, n]:.3f} ({spread.at[way, n]:.3f})" for n in means]
        print("| " + " | ".join([way, *cells]) + " |")


PARTS = {
    **{part: partial(compare, part) for part in MODELS},
    "rows": compare_rows,
}


def main():
    """Run the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seeds", type=int, default=5, help="number of splits")
    parser.add_argument(
        "--strategies",
        nargs="+",
        metavar="STRATEGY",
        help="these in place of the part's own",
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps fitted models")
    options = parser.parse_args()
    parts = options.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}: choose from {list(PARTS)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    with tempfile.TemporaryDirectory() as folder:
        memory.store_backend = joblib.Memory(
            options.cache or folder, verbose=0
        ).store_backend
        for part in parts:
            started = time.perf_counter()
            PARTS[part](options.seeds, options.strategies)
            print(f"\n{time.perf_counter() - started:.0f} seconds\n", flush=True)


if __name__ == "__main__":
    main()
