"""The strategies: where costs enter, in training or in the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.validation import has_fit_parameter

from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._cost_sensitive._decisions import (
    LabelledRows,
    error_costs_by_class,
)

# Classifiers whose odds scale with the class weights.
_WEIGHT_FOLLOWING = (
    ClassifierNetwork,
    BernoulliNB,
    CategoricalNB,
    DecisionTreeClassifier,
    DummyClassifier,
    GaussianNB,
    LogisticRegression,
    MultinomialNB,
)


@dataclass(frozen=True)
class TrainingMode:
    """How a model is trained. Strategies with equal modes share their models.

    Parameters
    ----------
    loss : str, optional
        Loss of the network; None keeps its own.
    weighted : bool
        Whether rows are weighted by the cost of an error on them.
    cost_matrix : bool
        Whether the loss takes the cost matrix, which weights cannot express for more
        than two classes.
    follows_weights : bool
        Whether a class weight multiplies the odds that the model predicts, so that a
        division removes it again.
    """

    loss: str | None = None
    weighted: bool = False
    cost_matrix: bool = False
    follows_weights: bool = True

    @property
    def predicts_probabilities(self) -> bool:
        """Whether the predictions, after removing weights, are probabilities."""
        return (
            self.loss != "pairwise_auc"
            and not self.cost_matrix
            and (self.follows_weights or not self.weighted)
        )


@dataclass(frozen=True)
class Strategy:
    """How costs enter: in training or in the threshold, but never in both."""

    loss: str | None = None
    weighted: bool = False
    tuned: bool = False

    def training_mode(
        self, n_classes: int, follows_weights: bool = True
    ) -> TrainingMode:
        """Return how the model of the strategy is trained."""
        needs_matrix = self.loss == "expected_cost" and n_classes > 2
        weighted = self.weighted and not needs_matrix
        follows = follows_weights or not weighted
        return TrainingMode(self.loss, weighted, needs_matrix, follows)


# In order of simplicity: 'auto' prefers the earlier of two equally good strategies.
STRATEGIES = {
    "threshold": Strategy(),
    "tuned": Strategy(tuned=True),
    "weighted": Strategy(weighted=True),
    "direct": Strategy("expected_cost", weighted=True),
    "auc": Strategy("pairwise_auc", tuned=True),
}


@dataclass(frozen=True)
class TrainingRows:
    """Training rows with their classes, costs, weights and metadata.

    ``weight`` and ``row_costs`` (by name) are the arguments of ``fit``, which may be
    None; ``labeled`` has their defaults filled in. ``fit_params`` are for the model's
    ``fit``. ``follows_weights`` is as in `TrainingMode`, for the wrapped classifier.
    """

    X: Any
    y: np.ndarray
    classes: np.ndarray
    positive: int
    labeled: LabelledRows
    weight: np.ndarray | None
    row_costs: dict
    fit_params: dict
    follows_weights: bool = True

    def training_mode(self, name: str) -> TrainingMode:
        """Return how the model of a strategy is trained on these classes."""
        follows = self.follows_weights or not self.costs_differ_by_class
        return STRATEGIES[name].training_mode(len(self.classes), follows)

    @property
    def costs_differ_by_class(self) -> bool:
        """Whether errors on one class cost more than on another."""
        return np.ptp(error_costs_by_class(self.mean_costs, self.positive)) > 0

    @property
    def costs_differ_by_row(self) -> bool:
        """Whether decisions cost more in some rows than in others."""
        return bool((self.labeled.costs != self.labeled.costs[:1]).any())

    @property
    def mean_costs(self) -> np.ndarray:
        """Mean costs over all rows, (1, n_classes, n_decisions)."""
        if not self.costs_differ_by_row:
            return self.labeled.costs[:1]
        weight = self.labeled.weight
        return np.average(self.labeled.costs, axis=0, weights=weight)[None]

    def training_weight(self, mode: TrainingMode) -> np.ndarray | None:
        """Return the sample weights for training, scaled to the sum of the user's.

        The expected-cost loss takes the cost of each row. Other losses take the mean
        cost of each class, which can be removed from the probabilities again; the rest
        of a row's cost enters its decision.
        """
        if not mode.weighted:
            # With routing the weight is in fit_params, if the estimator requests it.
            return None if _routing_enabled() else self.weight
        costs = self.mean_costs if mode.loss is None else self.labeled.costs
        by_class = error_costs_by_class(costs, self.positive)
        if np.ptp(by_class) == 0:
            return self.weight
        by_class = np.broadcast_to(by_class, (len(self.y), len(self.classes)))
        by_row = by_class[np.arange(len(self.y)), self.labeled.codes]
        weight = by_row * self.labeled.weight
        # With the same sum, penalties such as alpha keep their strength.
        return weight * (self.labeled.weight.sum() / weight.sum())

    def cost_matrix(self, index) -> np.ndarray:
        """Return the costs of the classes in some rows, scaled to a maximum of 1."""
        codes = np.unique(self.labeled.codes[index])
        costs = self.labeled.costs[0][np.ix_(codes, codes)]
        return costs / (costs.max() or 1.0)

    def class_weights(self, mode: TrainingMode) -> np.ndarray:
        """Return the weights to remove from the probabilities, (1, n_classes)."""
        if not mode.weighted:
            return np.ones((1, len(self.classes)))
        return error_costs_by_class(self.mean_costs, self.positive)


def split_last_step(estimator) -> tuple[str, Any]:
    """Return the parameter prefix of the last step of a pipeline, and the step."""
    if not isinstance(estimator, Pipeline):
        return "", estimator
    name, step = estimator.steps[-1]
    prefix, last = split_last_step(step)
    return f"{name}__{prefix}", last


def is_network(estimator) -> bool:
    """Check whether an estimator, or the last step of a pipeline, is from skdeep."""
    return isinstance(split_last_step(estimator)[1], ClassifierNetwork)


def follows_weights(estimator) -> bool:
    """Check whether weight w for a class multiplies its predicted odds by w.

    This holds for classifiers that fit the weighted class frequencies: by log loss, by
    Bayes' rule, or in the leaves of a single tree. It does not hold for forests, whose
    share of votes hardly changes, or for boosting, which stops or is shrunk too early.
    """
    return isinstance(split_last_step(estimator)[1], _WEIGHT_FOLLOWING)


def unusable_reason(estimator, name: str, rows: TrainingRows) -> str | None:
    """Return why a strategy cannot be used with an estimator, None if it can."""
    strategy, (_, last) = STRATEGIES[name], split_last_step(estimator)
    kind = type(last).__name__
    if strategy.loss is not None and not is_network(estimator):
        return (
            f"strategy={name!r} needs a classifier of skdeep, trained with the loss "
            f"{strategy.loss!r}; got {kind}. Use 'threshold', 'tuned' or 'weighted'."
        )
    if strategy.weighted and not has_fit_parameter(last, "sample_weight"):
        return (
            f"strategy={name!r} weights the rows, but fit of {kind} takes no "
            "sample_weight. Use 'threshold' or 'tuned'."
        )
    is_free = (rows.class_weights(rows.training_mode(name)) == 0)[0]
    if is_free.any():
        return (
            f"strategy={name!r} weights classes by the cost of errors, but errors on "
            f"class {rows.classes[is_free].tolist()[0]!r} cost nothing. Use "
            "'threshold' or 'tuned'."
        )
    return None
