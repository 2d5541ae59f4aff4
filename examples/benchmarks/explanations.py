"""
Explanations
============

How good and how fast explanations are, compared with those of the package lime.

- ``cells``: sequences of 10 × 4, 30 × 10 or 60 × 10, of which only three cells
  matter;
- ``networks``: LSTMs trained to read three cells;
- ``columns``: linear models of tables. In these three parts each draw has another model
  (for networks, every sixth draw), another row and another ``random_state``; all
  settings are defaults.
- ``linear``: how far effects are from the exact ones of linear models.
- ``tables``, ``sequences``: time for a row of breast cancer (200 at once) and for a
  sequence of 30 × 10 (100), with the same number of samples. Runs alternate within one
  process; the tables show medians.
- ``size``: bytes of the HTML of one explanation.

Run it on an idle machine::

    python examples/benchmarks/explanations.py [PART ...] [--draws 30] [--repeats 3]

lime is slow on sequences: it explains ten draws, and ten sequences of the hundred
(``--lime-draws``, ``--lime-sequences``).

What counts as true: a cell that is switched off becomes the mean, so a cell at its mean
has no effect, although the model reads it. In the rows explained, the three cells are
therefore at least half a standard deviation from their means. For a linear model, the
three true columns are those with the largest coefficient times distance from the mean
(for two values: from the other value). A trained network may also read cells that it
was not trained to read.

For three cells the best possible R² is known, too: that of the linear model of all
eight ways to switch them. The agreement of two explanations of a row is the weighted
Jaccard index of their ten largest effects: the sum of the minima over the sum of the
maxima.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
from fit_speed import alternate
from lime.lime_tabular import LimeTabularExplainer, RecurrentTabularExplainer
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep import LSTMClassifier, MLPClassifier
from skdeep.inspection import lime_explain

SHAPES = [(10, 4), (30, 10), (60, 10)]
NETWORK_SHAPES = SHAPES[:2]
N_BACKGROUND, N_TOP, N_SHOWN = 500, 3, 10
ROWS_OF_A_NETWORK = 6
FAR = 0.5  # standard deviations from the mean
SAMPLES = (1000, 5000)

# -- models of which the truth is known ------------------------------------------------


def flatten(X):
    """Return each sequence as one row of a table."""
    return X.reshape(len(X), -1)


class ThreeCells(RegressorMixin, BaseEstimator):
    """A sum of functions of three cells.

    Parameters
    ----------
    cells : array-like of int of shape (3,)
        The positions of the cells in the flattened sequence.
    weights : array-like of float of shape (3,)
        The weight of each cell.
    curve : callable, default=None
        Applied to each cell before it is added; None is the identity.
    """

    def __init__(self, cells, weights, curve=None):
        self.cells = cells
        self.weights = weights
        self.curve = curve

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[-1]
        return self

    def predict(self, X):
        read = flatten(X)[:, self.cells]
        return (read if self.curve is None else self.curve(read)) @ self.weights


class ThreeCellsClassifier(ClassifierMixin, ThreeCells):
    """A classifier whose log-odds are a sum of three cells."""

    def fit(self, X, y=None):
        self.classes_ = np.array([0, 1])
        return super().fit(X)

    def predict_proba(self, X):
        positive = 1 / (1 + np.exp(-super().predict(X)))
        return np.column_stack([1 - positive, positive])

    def predict(self, X):
        return (super().predict(X) > 0).astype(int)


@dataclass
class Case:
    """A model, a row to explain, and the three units with the largest true effects."""

    model: Any
    background: np.ndarray
    row: np.ndarray
    true: set


def curve(x):
    """Rise steeply, then level out."""
    return np.tanh(2 * x)


def draw_cells(kind, lowest, highest, curve, shape, draw):
    """Draw a model of three cells with weights of either sign, and a row."""
    rng = np.random.default_rng([draw, *shape])
    background = rng.normal(size=(N_BACKGROUND, *shape))
    cells = rng.choice(shape[0] * shape[1], N_TOP, replace=False)
    weights = rng.uniform(lowest, highest, N_TOP) * rng.choice([-1, 1], N_TOP)
    arguments = {} if curve is None else {"curve": curve}
    model = kind(cells, weights, **arguments).fit(background)
    return Case(model, background, draw_row(background, cells, rng), set(cells))


def draw_row(background, cells, rng):
    """Draw a sequence whose cells are far enough from their means."""
    read = flatten(background)[:, cells]
    away = np.abs(read - read.mean(axis=0)) / read.std(axis=0)
    return background[rng.choice(np.flatnonzero((away >= FAR).all(axis=1)))]


def draw_network(shape, draw):
    """Draw a sequence for a trained network."""
    model, background, cells = train_network(shape, draw // ROWS_OF_A_NETWORK)
    row = draw_row(background, cells, np.random.default_rng([draw, *shape]))
    return Case(model, background, row, set(cells))


@cache
def train_network(shape, seed, n_sequences=10_000):
    """Train an LSTM to tell whether three numbers of a feature have a positive sum.

    The first feature marks them with 1. It is the same in all sequences, so it has no
    effect.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_sequences, *shape)).astype(np.float32)
    steps = rng.choice(shape[0], N_TOP, replace=False)
    feature = rng.integers(1, shape[1])
    X[:, :, 0] = np.isin(np.arange(shape[0]), steps)
    model = LSTMClassifier(
        32,
        learning_rate_init=0.01,
        max_grad_norm=1.0,
        batch_size=256,
        max_iter=40,
        early_stopping="loss",
        random_state=seed,
    ).fit(X, X[:, steps, feature].sum(axis=1) > 0)
    return model, X[:N_BACKGROUND], steps * shape[1] + feature


def draw_linear(load, kind, draw):
    """Fit a linear model to rows drawn with replacement; take one of them."""
    rng = np.random.default_rng(draw)
    X, y = load(return_X_y=True)
    rows = rng.integers(len(X), size=len(X))
    X, y = StandardScaler().fit_transform(X[rows]), y[rows]
    model, row = clone(kind).fit(X, y), rng.choice(X)
    effects = model.coef_.ravel() * distances(row, X)
    return Case(model, X, row, set(largest(effects)))


def distances(rows, background):
    """Return how far values are from their reference.

    That is the mean of the column, or the other value of a binary column.
    """
    compared = np.broadcast_to(background.mean(axis=0), rows.shape).copy()
    for j, column in enumerate(background.T):
        values = np.unique(column)
        if len(values) == 2:
            compared[..., j] = np.where(rows[..., j] == values[0], *values[::-1])
    return rows - compared


def largest(effects, n=N_TOP):
    """Return the units with the largest effects."""
    return np.argsort(-np.abs(np.nan_to_num(effects)))[:n]


def best_r2(case, link):
    """Return the R² of the best linear model of three switches."""
    cells, means = list(case.true), flatten(case.background).mean(axis=0)
    on = np.array(list(product([0, 1], repeat=N_TOP)))
    rows = np.repeat(means[np.newaxis], len(on), axis=0)
    rows[:, cells] = np.where(on, case.row.ravel()[cells], means[cells])
    answers = answers_of(case.model)(rows.reshape(-1, *case.row.shape))
    if answers.ndim == 2:
        answers = answers[:, 1].clip(1e-6, 1 - 1e-6)
        answers = np.log(answers / (1 - answers)) if link == "logit" else answers
    near = np.exp(-(on == 0).sum(axis=1) / (2 * 0.75**2 * case.row.size))
    return LinearRegression().fit(on, answers, near).score(on, answers, near)


# -- explanations ----------------------------------------------------------------------


@dataclass
class Found:
    """The result of an explanation: how well it fits, and its largest effects."""

    r2: float
    effects: np.ndarray
    stability: float = np.nan
    num_samples: float = np.nan


def explain_by_skdeep(case, seed, link="identity"):
    """Explain with skdeep's defaults."""
    explanation = lime_explain(
        case.model,
        case.row[np.newaxis],
        background=case.background,
        link=link,
        random_state=seed,
    )
    return Found(
        explanation.r2_[0],
        np.nan_to_num(explanation.effects_[0]),
        explanation.stability_[0],
        explanation.num_samples_[0],
    )


def explain_by_lime(case, seed, discretize=True):
    """Explain with lime's defaults."""
    explainer = make_lime(case.model, case.background, seed, discretize)
    explanation = explainer.explain_instance(case.row, answers_of(case.model))
    units, weights = zip(*explanation.local_exp[1], strict=True)
    effects = np.zeros(case.row.T.shape)
    effects.ravel()[list(units)] = weights
    # lime numbers the cells of a feature one after another.
    return Found(explanation.score, effects.T.ravel())


def make_lime(model, background, seed=0, discretize=True):
    """Return lime's explainer for tables or sequences."""
    kind = LimeTabularExplainer if background.ndim == 2 else RecurrentTabularExplainer
    return kind(
        background,
        mode="classification" if is_classifier(model) else "regression",
        feature_names=[f"x{j}" for j in range(background.shape[-1])],
        discretize_continuous=discretize,
        random_state=seed,
    )


def answers_of(model):
    """Return the predict function that lime expects."""
    return model.predict_proba if is_classifier(model) else model.predict


BY_SKDEEP = {"skdeep": explain_by_skdeep}
BY_LOG_ODDS = {"skdeep, link='logit'": partial(explain_by_skdeep, link="logit")}
BY_LIME = {
    "lime": explain_by_lime,
    "lime, not discretized": partial(explain_by_lime, discretize=False),
}
# lime's weights of columns that are not discretized are slopes, no effects.
OF_REGRESSORS = BY_SKDEEP | BY_LIME
OF_CLASSIFIERS = BY_SKDEEP | BY_LOG_ODDS | BY_LIME
OF_TABLES = BY_SKDEEP | {"lime": explain_by_lime}


def models_of_cells():
    """Yield the name of a kind of model, how to draw one, and its explainers."""
    kinds = {
        "sum": (ThreeCells, 0.5, 1.5, None),
        "sum of curves": (ThreeCells, 0.5, 1.5, curve),
        "logistic": (ThreeCellsClassifier, 0.5, 1.5, None),
        "steep logistic": (ThreeCellsClassifier, 4, 8, None),
    }
    for name, kind in kinds.items():
        explainers = OF_REGRESSORS if kind[0] is ThreeCells else OF_CLASSIFIERS
        for shape in SHAPES:
            draw = partial(draw_cells, *kind, shape)
            yield f"{name}, {named(shape)}", draw, explainers


def networks():
    """Yield the same for trained networks."""
    for shape in NETWORK_SHAPES:
        yield f"LSTM, {named(shape)}", partial(draw_network, shape), OF_CLASSIFIERS


def models_of_columns():
    """Yield the same for tables."""
    regression = partial(draw_linear, load_diabetes, LinearRegression())
    yield "linear regression, diabetes", regression, OF_TABLES
    logistic = partial(draw_linear, load_breast_cancer, LogisticRegression(C=0.01))
    yield "logistic, breast cancer", logistic, OF_TABLES | BY_LOG_ODDS


def named(shape):
    return " × ".join(map(str, shape))


def measure_truth(models, arguments):
    """Print how good explanations are for each model."""
    print(
        "| model | explained by | draws | R²: median | lowest | at least 0.9 | best "
        "possible: median | lowest | the true three | of the three | two draws agree "
        "| `stability_` | samples |"
    )
    print("| --- " * 13 + "|", flush=True)
    for name, draw_case, explainers in models():
        for by, explain in explainers.items():
            is_lime = explain in BY_LIME.values()
            n_draws = min(arguments.draws, arguments.lime_draws if is_lime else np.inf)
            cases = [draw_case(draw) for draw in range(n_draws)]
            cells = judge(cases, explain)
            cells[4:4] = best(cases, by) if models is models_of_cells else ["", ""]
            print(f"| {name} | {by} | {' | '.join(cells)} |", flush=True)


def judge(cases, explain):
    """Return how good the explanations of some draws are, two per draw."""
    first = [explain(case, 2 * draw) for draw, case in enumerate(cases)]
    second = [explain(case, 2 * draw + 1) for draw, case in enumerate(cases)]
    right = [
        len(case.true & set(largest(found.effects))) / N_TOP
        for case, found in zip(cases, first, strict=True)
    ]
    r2 = np.array([found.r2 for found in first])
    return [
        str(len(cases)),
        f"{np.median(r2):.3f}",
        f"{r2.min():.3f}",
        f"{np.mean(r2 >= 0.9):.0%}",
        f"{np.mean(np.array(right) == 1):.0%}",
        f"{np.mean(right):.2f}",
        f"{np.mean([agreement(*two) for two in zip(first, second, strict=True)]):.2f}",
        middle([found.stability for found in first], ".2f"),
        middle([found.num_samples for found in first], ".0f"),
    ]


def best(cases, by):
    """Return the median and minimum of the best R²; lime has other draws."""
    if not by.startswith("skdeep"):
        return ["", ""]
    r2 = [best_r2(case, "logit" if "logit" in by else "identity") for case in cases]
    return [f"{np.median(r2):.3f}", f"{min(r2):.3f}"]


def agreement(first, second):
    """Return the weighted Jaccard index of the largest effects."""
    a, b = (only_largest(found.effects) for found in (first, second))
    # Effects of opposite signs do not agree at all.
    a, b = (np.concatenate([c.clip(0), (-c).clip(0)]) for c in (a, b))
    return np.minimum(a, b).sum() / np.maximum(a, b).sum()


def only_largest(effects):
    kept = np.zeros(len(effects))
    shown = largest(effects, N_SHOWN)
    kept[shown] = effects[shown]
    return kept


def middle(values, form):
    """Return a median, or an empty text if lime has no such value."""
    return "" if np.isnan(values).any() else f"{np.median(values):{form}}"


# -- linear models ---------------------------------------------------------------------


def linear_models():
    """Yield a linear model, its rows, background, link and true effects."""
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    yield "`LinearRegression`, diabetes", model, X[:200], X, "identity", model.coef_
    S = np.random.default_rng(0).normal(size=(N_BACKGROUND, 30, 10))
    ridge = Ridge().fit(flatten(S), np.random.default_rng(1).normal(size=len(S)))
    model = make_pipeline(FunctionTransformer(flatten), ridge).fit(S, S[:, 0, 0])
    coefficients = model[-1].coef_
    yield "`Ridge`, sequences of 30 × 10", model, S[:20], S, "identity", coefficients
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = LogisticRegression(C=0.01).fit(X, y)
    yield "`LogisticRegression`", model, X[:200], X, "logit", model.coef_[0]


def measure_linear(arguments):
    """Print how far effects are from the exact ones of linear models."""
    print("| model | rows | units | largest relative error | relative to the largest |")
    print("| --- " * 5 + "|", flush=True)
    for name, model, rows, background, link, coefficients in linear_models():
        found = lime_explain(
            model, rows, background=background, link=link, random_state=0
        )
        true = coefficients * distances(flatten(rows), flatten(background))
        error = np.abs(found.effects_ - true)
        size = np.abs(true)
        of_row = error.max(axis=1) / size.max(axis=1)
        print(
            f"| {name} | {len(rows)} | {true.shape[1]} | {(error / size).max():.1e} | "
            f"{of_row.max():.1e} |",
            flush=True,
        )


# -- speed -----------------------------------------------------------------------------


def explain_rows(model, rows, background, num_samples):
    """Explain rows with skdeep, all at once."""
    lime_explain(
        model, rows, background=background, num_samples=num_samples, random_state=0
    )


def explain_each(explainer, model, rows, num_samples):
    """Explain rows with lime, one by one."""
    for row in rows:
        explainer.explain_instance(row, answers_of(model), num_samples=num_samples)


def answer_only(model, rows, num_samples):
    """Time the model's predictions for as many rows as an explanation samples."""
    for row in rows:
        answers_of(model)(np.repeat(row[np.newaxis], num_samples, axis=0))


def compare(name, model, rows, background, n_for_lime, repeats):
    """Print the time per row for each number of samples."""
    some = rows[:n_for_lime]
    by_default = make_lime(model, background)
    plainly = make_lime(model, background, discretize=False)
    for n in SAMPLES:
        calls = {
            "skdeep": partial(explain_rows, model, rows, background, n),
            "lime": partial(explain_each, by_default, model, some, n),
            "plainly": partial(explain_each, plainly, model, some, n),
            "model": partial(answer_only, model, some, n),
        }
        taken = alternate(calls, repeats)
        n_rows = {"skdeep": len(rows)}
        each = {by: 1e3 * t / n_rows.get(by, len(some)) for by, t in taken.items()}
        times = [f"{t:.2f} ({t / each['skdeep']:.1f})" for t in each.values()]
        times[0] = f"{each['skdeep']:.2f}"
        print(f"| {name} | {n} | {' | '.join(times)} |", flush=True)


def print_head():
    print("Milliseconds per row, and in brackets how many times as long as skdeep.\n")
    print("| model | samples | skdeep | lime | lime, not discretized | model alone |")
    print("| --- " * 6 + "|", flush=True)


def measure_tables(arguments):
    """Print the time for rows of breast cancer."""
    print_head()
    X, y = load_breast_cancer(return_X_y=True)
    for name, last in {
        "skdeep's `MLPClassifier`": MLPClassifier(early_stopping=True, random_state=0),
        "`LogisticRegression`": LogisticRegression(),
    }.items():
        model = make_pipeline(StandardScaler(), last).fit(X, y)
        rows = X[: arguments.rows]
        compare(name, model, rows, X, len(rows), arguments.repeats)


def measure_sequences(arguments):
    """Print the time for sequences of 30 × 10."""
    print_head()
    network, X, cells = train_network((30, 10), 0)
    cheap = ThreeCellsClassifier(cells, np.ones(N_TOP)).fit(X)
    for name, model in {"skdeep's LSTM": network, "three cells": cheap}.items():
        rows = X[: arguments.sequences]
        n_for_lime = arguments.lime_sequences
        compare(name, model, rows, X, n_for_lime, arguments.repeats)


# -- size ------------------------------------------------------------------------------


def measure_size(arguments):
    """Print the bytes of the HTML of one explanation."""
    print("| explained | skdeep | lime |\n| --- | --- | --- |", flush=True)
    X, y = load_breast_cancer(return_X_y=True)
    table = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    network, S, _ = train_network((30, 10), 0)
    cases = {"a row of breast cancer": (table, X), "30 × 10": (network, S)}
    for name, (model, rows) in cases.items():
        own = lime_explain(model, rows[:1], background=rows, random_state=0)
        explainer = make_lime(model, rows)
        other = explainer.explain_instance(rows[0], answers_of(model))
        sizes = [len(html.encode()) for html in (own.to_html(row=0), other.as_html())]
        print(f"| {name} | {sizes[0]:,} | {sizes[1]:,} |", flush=True)


PARTS = {
    "cells": partial(measure_truth, models_of_cells),
    "networks": partial(measure_truth, networks),
    "columns": partial(measure_truth, models_of_columns),
    "linear": measure_linear,
    "tables": measure_tables,
    "sequences": measure_sequences,
    "size": measure_size,
}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--lime-draws", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--lime-sequences", type=int, default=10)
    arguments = parser.parse_args(argv)
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts {sorted(unknown)}; there are {list(PARTS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # poor fits are in the tables
        for part in arguments.parts or PARTS:
            print(f"\n### {part}\n", flush=True)
            PARTS[part](arguments)


if __name__ == "__main__":
    main()
