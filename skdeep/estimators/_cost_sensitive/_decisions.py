"""From probabilities to the decisions with the lowest expected cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from skdeep.encoding import bayes_threshold

# Probabilities are clipped to [PROBABILITY_EDGE, 1 - PROBABILITY_EDGE] before their
# log-odds are taken, which would otherwise be infinite.
PROBABILITY_EDGE = 1e-6


@dataclass(frozen=True)
class LabelledRows:
    """True classes of some rows and the cost of each decision on them.

    ``codes`` is (n_samples,), ``costs`` (n_samples, n_classes, n_decisions) and
    ``weight`` (n_samples,).
    """

    codes: np.ndarray
    costs: np.ndarray
    weight: np.ndarray

    def take(self, index) -> LabelledRows:
        """Return a subset of the rows."""
        return LabelledRows(self.codes[index], self.costs[index], self.weight[index])

    def mean_cost(self, decisions) -> float:
        """Return the mean cost of decisions, (n_samples,) or a single one for all."""
        if not self.weight.any():
            return np.nan
        rows = np.arange(len(self.codes))
        costs = self.costs[rows, self.codes, decisions]
        return float(np.average(costs, weights=self.weight))


def binary_error_costs(costs: np.ndarray, positive: int) -> tuple:
    """Return the costs of false positives and false negatives, both (n_samples,).

    ``costs`` is (n_samples, 2, n_decisions). The results are net of the cost of the
    correct decision.
    """
    negative = 1 - positive
    fp = costs[:, negative, positive] - costs[:, negative, negative]
    fn = costs[:, positive, negative] - costs[:, positive, positive]
    return fp, fn


def error_costs_by_class(costs: np.ndarray, positive: int) -> np.ndarray:
    """Return the cost of an error by true class, (n_samples, n_classes).

    With more than two classes it is the mean over the wrong decisions (Ting, 2002).
    """
    n_classes = costs.shape[1]
    if n_classes == 2:
        fp, fn = binary_error_costs(costs, positive)
        return np.stack([fn, fp] if positive == 0 else [fp, fn], axis=1)
    correct = np.einsum("ncc->nc", costs[:, :, :n_classes])
    total = costs[:, :, :n_classes].sum(-1)
    return (total - n_classes * correct) / (n_classes - 1)


@dataclass(frozen=True)
class DecisionRule:
    """Turns the probabilities of a model into decisions.

    Parameters
    ----------
    positive : int
        Index of the positive class of two.
    calibrator : callable, optional
        Maps the model's probabilities to calibrated ones.
    shift : float
        Tuned shift of the threshold, in log-odds; a positive shift makes positive
        decisions rarer.
    constant : int, optional
        The decision for every row, regardless of its probabilities.
    costs : ndarray of shape (1, n_classes, n_decisions), optional
        Costs that replace those of the rows.
    """

    positive: int
    calibrator: Any = None
    shift: float = 0.0
    constant: int | None = None
    costs: np.ndarray | None = None

    def probabilities(self, p: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, (n_samples, n_classes)."""
        return p if self.calibrator is None else self.calibrator(p)

    def decide(self, p: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Return the cheapest decision for each row, from calibrated probabilities."""
        if self.constant is not None:
            return np.full(len(p), self.constant)
        costs = self._effective_costs(costs)
        if p.shape[1] == 2:
            is_positive = self._excess(self._shifted(p), costs) >= 0
            decisions = np.where(is_positive, self.positive, 1 - self.positive)
        else:
            decisions = expected_costs(p, costs)[:, : p.shape[1]].argmin(1)
        # By the unshifted probabilities: the shift corrects which class is cheaper, not
        # how likely it is.
        decisions[abstains(p, costs)] = p.shape[1]
        return decisions

    def margins(self, p: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Return by how much the second of two classes is the cheaper decision.

        With more classes, return minus the expected cost of each, (n_samples,
        n_classes).
        """
        p, costs = self._shifted(p), self._effective_costs(costs)
        if p.shape[1] > 2:
            return -expected_costs(p, costs)[:, : p.shape[1]]
        fp, fn = binary_error_costs(costs, self.positive)
        excess = (fp + fn) * self._excess(p, costs)
        return excess if self.positive == 1 else -excess

    def threshold(self, costs: np.ndarray) -> np.ndarray:
        """Return for each row the smallest probability of a positive decision."""
        constant = self.constant
        if constant is not None or np.isinf(self.shift):
            always = constant == self.positive or self.shift == -np.inf
            return np.full(len(costs), 0.0 if always else np.inf)
        bayes = self._bayes_threshold(self._effective_costs(costs))
        # Without a shift the round trip through the log-odds would cost precision.
        return expit(logit(bayes) + self.shift) if self.shift else bayes

    @property
    def only_decision(self) -> int | None:
        """The decision made for every row, None if decisions vary."""
        if self.constant is not None or not np.isinf(self.shift):
            return self.constant
        return self.positive if self.shift < 0 else 1 - self.positive

    def _effective_costs(self, costs):
        if self.costs is None:
            return costs
        return np.broadcast_to(self.costs, (len(costs), *self.costs.shape[1:]))

    def _excess(self, p, costs):
        """Return by how much the probability exceeds the Bayes threshold."""
        return p[:, self.positive] - self._bayes_threshold(costs)

    def _bayes_threshold(self, costs):
        return bayes_threshold(*binary_error_costs(costs, self.positive))

    def _shifted(self, p):
        """Return probabilities whose Bayes decision is the decision of this rule."""
        if self.constant is not None and self.constant < p.shape[1]:
            return np.broadcast_to(np.eye(p.shape[1])[self.constant], p.shape)
        if self.shift == 0:
            return p
        shift = self.shift if self.positive == 1 else -self.shift
        log_odds = logit(p[:, 1].clip(PROBABILITY_EDGE, 1 - PROBABILITY_EDGE))
        second = expit(log_odds - shift)
        return np.stack([1 - second, second], axis=1)


def expected_costs(p: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return the expected cost of each decision, (n_samples, n_decisions)."""
    return np.einsum("nc,ncd->nd", p, costs)


def abstains(p: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return a mask of the rows where abstaining has the lowest expected cost."""
    expected, n_classes = expected_costs(p, costs), p.shape[1]
    cheapest_class = expected[:, :n_classes].min(1)
    return expected[:, n_classes:].min(1, initial=np.inf) < cheapest_class
