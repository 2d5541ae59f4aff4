"""How models are trained and compared where mistakes have a price."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, has_fit_parameter

from skdeep._messages import warn
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._decisions import (
    Known,
    Rule,
    fit_rule,
    importances,
    unweighted,
)

# Classifiers whose odds follow the weights of classes.
_FOLLOWING = (
    ClassifierNetwork,
    BernoulliNB,
    CategoricalNB,
    DecisionTreeClassifier,
    DummyClassifier,
    GaussianNB,
    LogisticRegression,
    MultinomialNB,
)

# How many networks are trained on all rows after cross-validation.
_N_NETWORKS = 3


@dataclass(frozen=True)
class Training:
    """How a model is trained: what strategies may have in common.

    Parameters
    ----------
    loss : str, optional
        The loss of a network, if it is not to be its own.
    weighted : bool
        Whether rows are weighted by what a mistake on them costs.
    cost_matrix : bool
        Whether the loss is told the costs, which weights cannot say of several classes.
    follows_weights : bool
        Whether a weight multiplies the odds that the model answers, so that a division
        takes it out again.
    """

    loss: str | None = None
    weighted: bool = False
    cost_matrix: bool = False
    follows_weights: bool = True

    @property
    def gives_probabilities(self) -> bool:
        """Whether the model's answers are probabilities, but for the weights."""
        return (
            self.loss != "pairwise_auc"
            and not self.cost_matrix
            and (self.follows_weights or not self.weighted)
        )


@dataclass(frozen=True)
class Strategy:
    """How costs enter a classifier: in training, or in the threshold, never in both."""

    loss: str | None = None
    weighted: bool = False
    tuned: bool = False

    def training(self, n_classes: int, follows_weights: bool = True) -> Training:
        """Return how its model is trained."""
        told = self.loss == "expected_cost" and n_classes > 2
        weighted = self.weighted and not told
        return Training(self.loss, weighted, told, follows_weights or not weighted)


STRATEGIES = {
    "threshold": Strategy(),
    "tuned": Strategy(tuned=True),
    "weighted": Strategy(weighted=True),
    "direct": Strategy("expected_cost", weighted=True),
    "auc": Strategy("pairwise_auc", tuned=True),
}


@dataclass(frozen=True)
class Rows:
    """Training rows with all that is known of them.

    ``weight`` and ``row_costs`` (by name) are the user's, None where there are none;
    ``fit_params`` are for the model's ``fit``. ``follows_weights`` says whether the
    odds that the model answers do so.
    """

    X: Any
    y: np.ndarray
    classes: np.ndarray
    positive: int
    known: Known
    weight: np.ndarray | None
    row_costs: dict
    fit_params: dict
    follows_weights: bool = True

    def training(self, name: str) -> Training:
        """Return how the model of a strategy is trained on these classes."""
        follows = self.follows_weights or not self.costs_differ_by_class
        return STRATEGIES[name].training(len(self.classes), follows)

    @property
    def costs_differ_by_class(self) -> bool:
        """Whether mistakes on one class cost more than on another."""
        return np.ptp(importances(self.mean_costs, self.positive)) > 0

    @property
    def differ_in_cost(self) -> bool:
        """Whether a decision costs more in some rows than in others."""
        return bool((self.known.costs != self.known.costs[:1]).any())

    @property
    def mean_costs(self) -> np.ndarray:
        """The costs of decisions over all rows, (1, n_classes, n_decisions)."""
        if not self.differ_in_cost:
            return self.known.costs[:1]
        return np.average(self.known.costs, axis=0, weights=self.known.weight)[None]

    def weight_for(self, training: Training) -> np.ndarray | None:
        """Return the weights to train with: of mean 1, where the costs make them.

        A loss that is the cost itself takes that of each row. Else it is the mean cost
        by class, which can be taken out of the answers again; what a row costs more or
        less is left to its decision.
        """
        if not training.weighted:
            # With routing it is among fit_params, if the estimator asks for it.
            return None if _routing_enabled() else self.weight
        costs = self.mean_costs if training.loss is None else self.known.costs
        by_class = importances(costs, self.positive)
        if np.ptp(by_class) == 0:
            return self.weight
        by_class = np.broadcast_to(by_class, (len(self.y), len(self.classes)))
        weight = by_class[np.arange(len(self.y)), self.known.codes] * self.known.weight
        return weight * (self.known.weight.sum() / weight.sum())

    def cost_matrix(self, index) -> np.ndarray:
        """Return the costs of the classes that are among some rows, 1 at most."""
        codes = np.unique(self.known.codes[index])
        costs = self.known.costs[0][np.ix_(codes, codes)]
        return costs / (costs.max() or 1.0)

    def class_weights(self, training: Training) -> np.ndarray:
        """Return by what the answers are to be freed, (1, n_classes)."""
        if not training.weighted:
            return np.ones((1, len(self.classes)))
        return importances(self.mean_costs, self.positive)


# -- one model -------------------------------------------------------------------------


def last_step(estimator) -> tuple[str, Any]:
    """Return the prefix of the last step's parameters, and the classifier there."""
    if not isinstance(estimator, Pipeline):
        return "", estimator
    name, step = estimator.steps[-1]
    prefix, last = last_step(step)
    return f"{name}__{prefix}", last


def is_network(estimator) -> bool:
    """Say whether this is a network of skdeep, or a pipeline that ends in one."""
    return isinstance(last_step(estimator)[1], ClassifierNetwork)


def follows_weights(estimator) -> bool:
    """Say whether a class weighted by w has its odds multiplied by w.

    This holds for classifiers that fit the weighted frequencies of the classes: by the
    log loss, by Bayes' rule, or in the leaves of one tree. The share of trees of a
    forest that vote for a class hardly changes, and boosting is stopped, or shrunk,
    before its odds follow.
    """
    return isinstance(last_step(estimator)[1], _FOLLOWING)


def why_not(estimator, name: str, rows: Rows) -> str | None:
    """Say why a strategy cannot be used around this classifier, if it cannot."""
    strategy, (_, last) = STRATEGIES[name], last_step(estimator)
    kind = type(last).__name__
    if strategy.loss is not None and not is_network(estimator):
        return (
            f"strategy={name!r} trains a network of skdeep on the loss "
            f"{strategy.loss!r}, which {kind} does not have. Use 'threshold', 'tuned' "
            "or 'weighted'."
        )
    if strategy.weighted and not has_fit_parameter(last, "sample_weight"):
        return (
            f"strategy={name!r} weights the rows, but fit of {kind} takes no "
            "sample_weight. Use 'threshold' or 'tuned'."
        )
    free = (rows.class_weights(rows.training(name)) == 0)[0]
    if free.any():
        return (
            f"strategy={name!r} weights the classes by what mistakes cost, but on the "
            f"class {rows.classes[free].tolist()[0]!r} they cost nothing. Use "
            "'threshold' or 'tuned'."
        )
    return None


def prepare(estimator, training: Training, rng):
    """Return an unfitted copy with the loss it needs, and a seed where it has none."""
    model = clone(estimator)
    for name, seed in sorted(model.get_params().items()):
        if name.split("__")[-1] == "random_state" and not isinstance(seed, Integral):
            drawn = (rng if seed is None else check_random_state(seed)).randint(
                np.iinfo(np.int32).max
            )
            model.set_params(**{name: int(drawn)})
    prefix, _ = last_step(model)
    if training.loss is not None:
        model.set_params(**{f"{prefix}loss": training.loss})
    if training.loss == "expected_cost":
        # The costs are in the weights, or are told when it is trained.
        model.set_params(**{f"{prefix}cost_matrix": None})
    return model


def _reseeded(model, number: int):
    """Return a copy whose seeds are others, derived from those it has."""
    model = clone(model)
    for name, seed in model.get_params().items():
        if name.split("__")[-1] == "random_state":
            rng = np.random.RandomState([int(seed), number])
            model.set_params(**{name: int(rng.randint(np.iinfo(np.int32).max))})
    return model


def train(model, training: Training, rows: Rows, index=slice(None)):
    """Fit a model to the rows, or to some of them."""
    if training.loss != "expected_cost":
        return _fit(model, training, rows, index)
    # The expected cost is flat where a network is sure, and from a random start may end
    # in one decision for all rows. Weighted log loss leads near, and is the better end
    # where nearly all rows are to be decided alike.
    prefix, last = last_step(model)
    asked = {f"{prefix}{name}": getattr(last, name) for name in ("loss", "warm_start")}
    model.set_params(**{f"{prefix}loss": "log_loss", f"{prefix}warm_start": True})
    first = copy.deepcopy(_fit(model, Training(weighted=True), rows, index))
    model.set_params(**{f"{prefix}loss": training.loss})
    if training.cost_matrix:
        model.set_params(**{f"{prefix}cost_matrix": rows.cost_matrix(index)})
    second = _fit(model, training, rows, index)

    def cost(model) -> float:
        X = _safe_indexing(rows.X, index)
        p = probabilities(model, training, X, rows.classes)
        return rows.known.rows(index).cost_of(p.argmax(1))

    best = second if cost(second) <= cost(first) else first
    return best.set_params(**asked)


def _fit(model, training: Training, rows: Rows, index):
    """Fit a model, its last step with the weights of the rows, if there are any."""
    X, y, weight = rows.X, rows.y, rows.weight_for(training)
    given = _check_method_params(X, rows.fit_params, indices=index)
    X, y = _safe_indexing(X, index), y[index]
    weight = None if weight is None else weight[index]
    if weight is None:
        return model.fit(X, y, **given)
    prefix, last = last_step(model)
    if not has_fit_parameter(last, "sample_weight"):
        warn(
            f"fit of {type(last).__name__} takes no sample_weight: the weights count "
            "in the costs only.",
        )
        return model.fit(X, y, **given)
    if not _routing_enabled():
        return model.fit(X, y, **{f"{prefix}sample_weight": weight})
    _ask_for_weight(model, prefix)
    return model.fit(X, y, **{**given, "sample_weight": weight})


def _ask_for_weight(model, prefix: str) -> None:
    """Let the last step ask for weights, where nothing is said of them elsewhere.

    Weights that the costs have made are no metadata of the user's to be routed.
    """
    steps = {**model.get_params(), prefix.removesuffix("__"): last_step(model)[1]}
    for name, step in steps.items():
        takes_weight = hasattr(step, "set_fit_request") and has_fit_parameter(
            step, "sample_weight"
        )
        if not takes_weight:
            continue
        is_last = f"{name}__".startswith(prefix)
        requests = step._get_metadata_request().fit.requests
        if is_last or requests["sample_weight"] is None:
            step.set_fit_request(sample_weight=is_last)


def probabilities(model, training: Training, X, classes) -> np.ndarray:
    """Return what the model answers, as (n_samples, n_classes) that sum to 1.

    Scores of ranking, which have no scale, go through the logistic function.
    """
    if training.loss == "pairwise_auc":
        second = expit(np.asarray(model.decision_function(X), dtype=np.float64))
        answers = np.stack([1 - second, second], axis=1)
    else:
        answers = np.asarray(model.predict_proba(X), dtype=np.float64)
    _check_answers(answers, model)
    if len(model.classes_) == len(classes):
        return answers
    p = np.zeros((len(answers), len(classes)))
    p[:, np.searchsorted(classes, model.classes_)] = answers
    return p


def _check_answers(answers: np.ndarray, model) -> None:
    """Refuse what no decision can be made from."""
    kind, n_classes = type(last_step(model)[1]).__name__, len(model.classes_)
    if answers.ndim != 2 or answers.shape[1] != n_classes:
        raise ValueError(
            f"estimator={kind} must give a probability of each of its {n_classes} "
            f"classes, got the shape {answers.shape}."
        )
    bad = ~(np.isfinite(answers) & (answers >= 0)).all(1) | ~answers.any(1)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"estimator={kind} must give probabilities, but answers "
            f"{answers[at].tolist()} in row {at}."
        )


# -- many models -----------------------------------------------------------------------


@dataclass(frozen=True)
class OutOfFold:
    """Answers to rows by models that have not been trained on them.

    ``index`` tells the rows and ``fold`` which part each was in, both (n,); a row may
    be in several. For each way of training there are ``models``, one a fold, and their
    ``answers``, (n, n_classes). ``in_time`` says that every fold comes after the rows
    that its model was trained on, ``is_partition`` that each row is in one fold.
    """

    index: np.ndarray
    fold: np.ndarray
    in_time: bool
    is_partition: bool
    models: dict[Training, list]
    answers: dict[Training, np.ndarray]

    def others(self, fold: int) -> np.ndarray:
        """Tell which answers a rule for this fold may be learnt from."""
        there = self.fold == fold
        return self.index < self.index[there].min() if self.in_time else ~there


def are_in_time(folds: list) -> bool:
    """Say whether every fold comes after the rows that its models are trained on."""
    return all(learnt.max() < test.min() for learnt, test in folds)


def cross_validate(models: dict[Training, Any], rows: Rows, folds: list) -> OutOfFold:
    """Train every model on every fold, and keep its answers to the rest."""
    found = Parallel()(
        delayed(_train_and_answer)(clone(model), training, rows, *fold)
        for training, model in models.items()
        for fold in folds
    )
    by_training = {
        training: found[i * len(folds) : (i + 1) * len(folds)]
        for i, training in enumerate(models)
    }
    index = np.concatenate([test for _, test in folds])
    answers = {
        training: unweighted(
            np.concatenate([p for _, p in pairs]), rows.class_weights(training)
        )
        for training, pairs in by_training.items()
    }
    return OutOfFold(
        index=index,
        fold=np.repeat(np.arange(len(folds)), [len(test) for _, test in folds]),
        in_time=are_in_time(folds),
        is_partition=np.array_equal(np.sort(index), np.arange(len(rows.y))),
        models={t: [model for model, _ in pairs] for t, pairs in by_training.items()},
        answers=answers,
    )


def final(model, training: Training, rows: Rows, out: OutOfFold) -> list:
    """Return the models to keep after cross-validation; they are averaged.

    What a network answers depends on its seed, and one stopped early is hurt by the
    rows that a fold leaves out. Other classifiers differ by their rows alone.
    """
    if is_network(model):
        return Parallel()(
            delayed(train)(_reseeded(model, number), training, rows)
            for number in range(_N_NETWORKS)
        )
    if out.is_partition and not out.in_time:
        return out.models[training]
    return [train(model, training, rows)]


def _train_and_answer(model, training: Training, rows: Rows, learnt, test):
    model = train(model, training, rows, learnt)
    X = _safe_indexing(rows.X, test)
    return model, probabilities(model, training, X, rows.classes)


def calibration_for(training: Training, asked: str | None) -> str | None:
    """Return how a model is calibrated; answers that are no probabilities must be."""
    return asked or (None if training.gives_probabilities else "sigmoid")


def rule_for(
    name: str, out: OutOfFold, rows: Rows, calibration: str | None, among=slice(None)
) -> Rule:
    """Learn a strategy's rule from answers to some of the rows."""
    training = rows.training(name)
    rule = fit_rule(
        out.answers[training][among],
        rows.known.rows(out.index[among]),
        rows.positive,
        calibration_for(training, calibration),
        STRATEGIES[name].tuned,
    )
    return replace(rule, costs=trained_costs(name, rows))


def trained_costs(name: str, rows: Rows) -> np.ndarray | None:
    """Return the costs that a strategy decides for, where those of rows are no use.

    A network trained on the costs themselves has made the decision already.
    """
    return rows.mean_costs if name == "direct" else None


def costs_by_fold(
    name: str, out: OutOfFold, rows: Rows, calibration: str | None
) -> np.ndarray:
    """Return what a strategy costs in each fold, by rules learnt from other folds."""
    p = out.answers[rows.training(name)]
    costs = []
    for fold in np.unique(out.fold):
        rule = rule_for(name, out, rows, calibration, out.others(fold))
        there = out.fold == fold
        known = rows.known.rows(out.index[there])
        decisions = rule.decide(rule.probabilities(p[there]), known.costs)
        costs.append(known.cost_of(decisions))
    return np.array(costs)


def constant_costs(out: OutOfFold, rows: Rows) -> dict[str, np.ndarray]:
    """Return what it costs in each fold to decide alike on all rows, by decision."""
    folds = [rows.known.rows(out.index[out.fold == k]) for k in np.unique(out.fold)]
    return {
        name: np.array([known.cost_of(code) for known in folds])
        for code, name in enumerate(_constants(rows))
    }


def _constants(rows: Rows) -> list[str]:
    """Name the constant decisions, in the order of the decisions."""
    if len(rows.classes) == 2:
        names = ["never", "always"] if rows.positive == 1 else ["always", "never"]
    else:
        names = [f"always {label}" for label in rows.classes]
    can_abstain = rows.known.costs.shape[2] > len(rows.classes)
    return [*names, "abstain"] if can_abstain else names


def cheapest(by_fold: dict[str, np.ndarray], usual: str) -> str:
    """Return the strategy that costs least; ``usual``, if that is as good as it.

    As good is what costs no more than two standard errors of the difference over the
    folds: the least of several noisy costs is mostly so by chance. But a cost half as
    high again is too much, even if a single fold has made it.
    """
    costs = {name: np.nanmean(found) for name, found in by_fold.items()}
    best = min(costs, key=costs.__getitem__)
    if costs[usual] == costs[best]:
        return usual
    differences = (by_fold[usual] - by_fold[best]) / costs[usual]  # of any unit
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2 or costs[usual] > 1.5 * costs[best]:
        return best
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return usual if differences.mean() <= 2 * error else best
