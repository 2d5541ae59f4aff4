"""From probabilities to the cheapest decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from skdeep.encoding import bayes_threshold

# Probabilities nearer to 0 or 1 are not told apart where their odds are taken.
_EDGE = 1e-6
# Standard deviation, in log-odds, of the smoothing of costs where a threshold is tuned.
_SMOOTHING = 0.3


@dataclass(frozen=True)
class Known:
    """Rows whose true class is known, with what each decision costs on them.

    ``codes`` is (n_samples,), ``costs`` (n_samples, n_classes, n_decisions) and
    ``weight`` (n_samples,).
    """

    codes: np.ndarray
    costs: np.ndarray
    weight: np.ndarray

    def rows(self, index) -> Known:
        """Return some of the rows."""
        return Known(self.codes[index], self.costs[index], self.weight[index])

    def cost_of(self, decisions) -> float:
        """Return the mean cost of decisions, (n_samples,) or one for all rows."""
        if not self.weight.any():
            return np.nan
        rows = np.arange(len(self.codes))
        paid = self.costs[rows, self.codes, decisions]
        return float(np.average(paid, weights=self.weight))


def stakes(costs: np.ndarray, positive: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what false positives and false negatives cost, net of right decisions.

    ``costs`` is (n_samples, 2, n_decisions); both results are (n_samples,).
    """
    negative = 1 - positive
    fp = costs[:, negative, positive] - costs[:, negative, negative]
    fn = costs[:, positive, negative] - costs[:, positive, positive]
    return fp, fn


def importances(costs: np.ndarray, positive: int) -> np.ndarray:
    """Return what a mistake costs by true class, (n_samples, n_classes).

    Of several classes it is the mean over the wrong decisions (Ting, 2002).
    """
    n_classes = costs.shape[1]
    if n_classes == 2:
        fp, fn = stakes(costs, positive)
        return np.stack([fn, fp] if positive == 0 else [fp, fn], axis=1)
    right = np.einsum("ncc->nc", costs[:, :, :n_classes])
    total = costs[:, :, :n_classes].sum(-1)
    return (total - n_classes * right) / (n_classes - 1)


def averaged(answers: list[np.ndarray]) -> np.ndarray:
    """Return the mean of several models' probabilities, taken of their log-odds."""
    if len(answers) == 1:
        return answers[0]
    logs = np.mean([np.log(p.clip(_EDGE, 1.0)) for p in answers], axis=0)
    return softmax(logs, axis=1)


def unweighted(p: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Take out of probabilities the weights of the classes that were trained with.

    A class trained with a weight w has its odds multiplied by w (Elkan, 2001).
    """
    if np.ptp(importance) == 0:
        return p
    p = p / importance
    return p / p.sum(1, keepdims=True)


class SigmoidCalibrator:
    """Logistic regression on the log-odds of a model's probabilities (Platt, 1999)."""

    def fit(self, p, codes, weight):
        """Learn the map from (n_samples, n_classes) probabilities to the truth."""
        self.n_classes = p.shape[1]
        # A penalty too small to matter, but for classes that are told apart perfectly.
        self.model = LogisticRegression(C=100.0, max_iter=1000)
        self.model.fit(self._scores(p), codes, weight)
        return self

    def __call__(self, p):
        """Return calibrated probabilities, (n_samples, n_classes)."""
        calibrated = np.zeros_like(p)
        calibrated[:, self.model.classes_] = self.model.predict_proba(self._scores(p))
        return calibrated

    def _scores(self, p):
        p = p.clip(_EDGE, 1 - _EDGE)
        return logit(p[:, 1:]) if self.n_classes == 2 else np.log(p)


class IsotonicCalibrator:
    """A rising step function of each class's probability (Zadrozny & Elkan, 2002)."""

    def fit(self, p, codes, weight):
        """Learn the map from (n_samples, n_classes) probabilities to the truth."""
        self.models = [
            IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
                p[:, code], codes == code, weight
            )
            for code in range(p.shape[1])
        ]
        return self

    def __call__(self, p):
        """Return calibrated probabilities, (n_samples, n_classes)."""
        steps = np.stack([m.predict(p[:, i]) for i, m in enumerate(self.models)], 1)
        total = steps.sum(1, keepdims=True)
        return np.divide(steps, total, out=p.copy(), where=total > 0)


CALIBRATORS: dict[str, Any] = {
    "sigmoid": SigmoidCalibrator,
    "isotonic": IsotonicCalibrator,
}


@dataclass(frozen=True)
class Rule:
    """Turns the probabilities of a model into decisions.

    Parameters
    ----------
    positive : int
        Which of two classes is the positive one.
    calibrator : callable, optional
        Maps the model's probabilities to calibrated ones.
    shift : float
        The log-odds by which a positive decision must be dearer than its cost alone
        says, as tuned on rows with known classes.
    constant : int, optional
        The decision that is made on every row, whatever the model says.
    costs : ndarray of shape (1, n_classes, n_decisions), optional
        What to decide for, whatever the costs of the rows.
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
        """Return the cheapest decision of each row, by calibrated probabilities."""
        if self.constant is not None:
            return np.full(len(p), self.constant)
        costs = self._own(costs)
        if p.shape[1] == 2:
            is_positive = self._excess(self._shifted(p), costs) >= 0
            decisions = np.where(is_positive, self.positive, 1 - self.positive)
        else:
            decisions = expected_costs(p, costs)[:, : p.shape[1]].argmin(1)
        decisions[abstains(p, costs)] = p.shape[1]
        return decisions

    def margins(self, p: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Return by how much the second of two classes is the cheaper decision.

        Of several classes, (n_samples, n_classes): minus the expected cost of each.
        """
        p, costs = self._shifted(p), self._own(costs)
        if p.shape[1] > 2:
            return -expected_costs(p, costs)[:, : p.shape[1]]
        fp, fn = stakes(costs, self.positive)
        excess = (fp + fn) * self._excess(p, costs)
        return excess if self.positive == 1 else -excess

    def threshold(self, costs: np.ndarray) -> np.ndarray:
        """Return the least calibrated probability of a positive decision, by row."""
        constant = self.constant
        if constant is not None or np.isinf(self.shift):
            always = constant == self.positive or self.shift == -np.inf
            return np.full(len(costs), 0.0 if always else np.inf)
        bayes = self._bayes(self._own(costs))
        return expit(logit(bayes) + self.shift) if self.shift else bayes

    @property
    def only_decision(self) -> int | None:
        """The decision that is made on every row whatever it holds, if there is one."""
        if self.constant is not None or not np.isinf(self.shift):
            return self.constant
        return self.positive if self.shift < 0 else 1 - self.positive

    def _own(self, costs):
        """Return the costs to decide for."""
        if self.costs is None:
            return costs
        return np.broadcast_to(self.costs, (len(costs), *self.costs.shape[1:]))

    def _excess(self, p, costs):
        """Return how far the shifted probability is above the Bayes threshold."""
        return p[:, self.positive] - self._bayes(costs)

    def _bayes(self, costs):
        """Return the Bayes threshold of each row."""
        return bayes_threshold(*stakes(costs, self.positive))

    def _shifted(self, p):
        """Return the probabilities that the cheapest decision is the tuned one for."""
        if self.constant is not None and self.constant < p.shape[1]:
            return np.broadcast_to(np.eye(p.shape[1])[self.constant], p.shape)
        if self.shift == 0:
            return p
        shift = self.shift if self.positive == 1 else -self.shift
        second = expit(logit(p[:, 1].clip(_EDGE, 1 - _EDGE)) - shift)
        return np.stack([1 - second, second], axis=1)


def expected_costs(p: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return what each decision costs on average, (n_samples, n_decisions)."""
    return np.einsum("nc,ncd->nd", p, costs)


def abstains(p: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Tell on which rows it is expected to cost least to abstain, if one may."""
    expected, n_classes = expected_costs(p, costs), p.shape[1]
    return expected[:, n_classes:].min(1, initial=np.inf) < expected[:, :n_classes].min(
        1
    )


def fit_rule(
    p: np.ndarray,
    known: Known,
    positive: int,
    calibration: str | None = None,
    tune: bool = False,
) -> Rule:
    """Learn a rule from probabilities of rows that the model has not been trained on.

    ``calibration`` names the calibrator, if there is to be one; ``tune`` asks for the
    threshold with the least cost.
    """
    calibrator = None
    if calibration is not None and len(np.unique(known.codes)) > 1:
        calibrator = CALIBRATORS[calibration]().fit(p, known.codes, known.weight)
        p = calibrator(p)
    shift = _cheapest_shift(p, known, positive) if tune else 0.0
    return Rule(positive, calibrator, shift)


def _cheapest_shift(p, known: Known, positive: int) -> float:
    """Return the shift of the threshold's log-odds that costs least on known rows.

    The least of the bare costs is where chance has put it, so they are smoothed over
    neighbouring shifts. Of equals it is an infinite one, which decides all rows alike,
    or else the one nearest to 0; 0 itself before all.
    """
    odds, paid = _odds_and_costs(p, known, positive)
    shifts, costs = _smoothed_costs(odds, paid)
    least = np.flatnonzero(costs <= costs.min() + 1e-9 * np.ptp(costs))
    low, high = shifts[least[0]], shifts[least[-1]]
    if low <= 0 <= high:
        return 0.0
    if least[0] == 0:
        return -np.inf
    if least[-1] == len(shifts) - 1:
        return np.inf
    return float(low if low > 0 else high)


def _odds_and_costs(p, known: Known, positive: int) -> tuple[np.ndarray, np.ndarray]:
    """Return up to which shift each row is called positive, and what that costs.

    Costs are those beyond a negative decision. Rows that no shift turns are left out.
    """
    fp, fn = stakes(known.costs, positive)
    turns = (fp > 0) & (fn > 0) & ~abstains(p, known.costs)
    fp, fn, p = fp[turns], fn[turns], p[turns, positive]
    odds = logit(p.clip(_EDGE, 1 - _EDGE)) - np.log(fp) + np.log(fn)
    is_positive = known.codes[turns] == positive
    return odds, np.where(is_positive, -fn, fp) * known.weight[turns]


def _smoothed_costs(odds, paid) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts from "all positive" to "all negative", and what each costs."""
    if len(odds) == 0:
        return np.zeros(3), np.array([1.0, 0.0, 1.0])
    reach = 4 * _SMOOTHING
    edges = np.linspace(odds.min() - reach, odds.max() + reach, 2001)
    paid, _ = np.histogram(odds, edges, weights=paid)
    # With a shift at an edge, what lies above it is called positive.
    costs = np.append(np.cumsum(paid[::-1])[::-1], 0.0)
    step = edges[1] - edges[0]
    offsets = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    kernel = np.exp(-0.5 * (offsets / _SMOOTHING) ** 2)
    wide = np.pad(costs, len(offsets) // 2, mode="edge")
    return edges, np.convolve(wide, kernel / kernel.sum(), "valid")
