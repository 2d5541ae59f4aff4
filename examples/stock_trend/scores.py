"""How good the predictions are on the test days."""

import numpy as np
from scipy.stats import binomtest, norm
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    matthews_corrcoef,
    roc_auc_score,
)

from .names import DENSE, LABELS, LSTM


def wilson_interval(share, n, confidence=0.95):
    """Return Wilson's confidence interval for a share of `n` independent trials."""
    z = norm.ppf(0.5 + confidence / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return [float(middle - half), float(middle + half)]


def score(y, p_increase, horizon):
    """Score the predictions of one model.

    The p-value is the chance of at least as many hits if each day were a hit with the
    frequency of the more frequent label. With a horizon of several days the labels of
    neighboring days overlap and are not independent. The p-value then counts every
    `horizon`-th day, and the confidence interval n / `horizon` days.
    """
    predicted = np.where(p_increase > 0.5, "increase", "decrease")
    hits = (predicted == y.to_numpy())[::horizon]
    frequency = y[::horizon].value_counts(normalize=True).max()
    binomial = binomtest(int(hits.sum()), len(hits), frequency, alternative="greater")
    accuracy = accuracy_score(y, predicted)
    return {
        "accuracy": accuracy,
        "accuracy_interval": wilson_interval(accuracy, len(y) / horizon),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "auc": roc_auc_score(y == "increase", p_increase),
        "mcc": matthews_corrcoef(y, predicted),
        "p_value": binomial.pvalue,
        "predicted_increase": float(np.mean(predicted == "increase")),
        "confusion": confusion_matrix(y, predicted, labels=LABELS).tolist(),
    }


def compare(y, p_increase, horizon):
    """Count the days on which only one network is right, and test the difference.

    If both were equally good, each would be the right one on half of these days: an
    exact McNemar test, two-sided, on every `horizon`-th day.
    """
    predicted = np.where(p_increase[[DENSE, LSTM]] > 0.5, "increase", "decrease")
    dense, lstm = (predicted == y.to_numpy()[:, np.newaxis])[::horizon].T
    alone = {DENSE: int((dense & ~lstm).sum()), LSTM: int((lstm & ~dense).sum())}
    n = sum(alone.values())
    chance = binomtest(alone[LSTM], n).pvalue if n else 1.0
    return {"alone_right": alone, "p_value": chance}
