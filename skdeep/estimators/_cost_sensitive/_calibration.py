"""Calibrated probabilities, and probabilities free of class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from skdeep.estimators._cost_sensitive._decisions import PROBABILITY_EDGE


def average_probabilities(predictions: list[np.ndarray]) -> np.ndarray:
    """Average the probabilities of several models in log space."""
    if len(predictions) == 1:
        return predictions[0]
    logs = np.mean([np.log(p.clip(PROBABILITY_EDGE, 1.0)) for p in predictions], axis=0)
    return softmax(logs, axis=1)


def remove_class_weights(p: np.ndarray, class_weights: np.ndarray) -> np.ndarray:
    """Undo the effect of class weights in training on the probabilities.

    Training with weight w for a class multiplies its odds by w (Elkan, 2001).
    """
    if np.ptp(class_weights) == 0:
        return p
    p = p / class_weights
    return p / p.sum(1, keepdims=True)


class SigmoidCalibrator:
    """Logistic regression on the log-odds of a model's probabilities (Platt, 1999)."""

    def fit(self, p, codes, weight):
        """Fit to probabilities, (n_samples, n_classes), and true classes."""
        self.n_classes = p.shape[1]
        # The weak penalty keeps the coefficients finite if the classes are separable.
        self.model = LogisticRegression(C=100.0, max_iter=1000)
        self.model.fit(self._scores(p), codes, weight)
        return self

    def __call__(self, p):
        """Return calibrated probabilities, (n_samples, n_classes)."""
        calibrated = np.zeros_like(p)
        calibrated[:, self.model.classes_] = self.model.predict_proba(self._scores(p))
        return calibrated

    def _scores(self, p):
        p = p.clip(PROBABILITY_EDGE, 1 - PROBABILITY_EDGE)
        return logit(p[:, 1:]) if self.n_classes == 2 else np.log(p)


class IsotonicCalibrator:
    """Isotonic regression for each class (Zadrozny & Elkan, 2002)."""

    def fit(self, p, codes, weight):
        """Fit to probabilities, (n_samples, n_classes), and true classes."""
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
        # All steps may be 0 in a row; keep its uncalibrated probabilities.
        return np.divide(steps, total, out=p.copy(), where=total > 0)


CALIBRATORS: dict[str, Any] = {
    "sigmoid": SigmoidCalibrator,
    "isotonic": IsotonicCalibrator,
}
