"""Losses by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skdeep.losses._base import CallableLoss, Loss
from skdeep.losses._classification import (
    BinaryFocalLoss,
    BinaryHinge,
    BinaryLogLoss,
    KLDivergence,
    MulticlassFocalLoss,
    MulticlassHinge,
    MulticlassLogLoss,
)
from skdeep.losses._cost import BinaryExpectedCost, MulticlassExpectedCost
from skdeep.losses._pairwise import BinaryPairwiseAUC, MulticlassPairwiseAUC
from skdeep.losses._regression import (
    AbsoluteError,
    Gaussian,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
    SquaredLogError,
)

# Each entry builds a loss from the parameters of an estimator. Classifiers have binary
# losses, for labels that are present or not, and multiclass losses.
BINARY_LOSSES: dict[str, Callable[..., Loss]] = {
    "log_loss": lambda p: BinaryLogLoss(p.label_smoothing),
    "hinge": lambda p: BinaryHinge(1),
    "squared_hinge": lambda p: BinaryHinge(2),
    "focal": lambda p: BinaryFocalLoss(p.focal_gamma),
    "expected_cost": lambda p: BinaryExpectedCost(),
    "pairwise_auc": lambda p: BinaryPairwiseAUC(),
}
MULTICLASS_LOSSES: dict[str, Callable[..., Loss]] = {
    "log_loss": lambda p: MulticlassLogLoss(p.label_smoothing),
    "hinge": lambda p: MulticlassHinge(1),
    "squared_hinge": lambda p: MulticlassHinge(2),
    "focal": lambda p: MulticlassFocalLoss(p.focal_gamma),
    "kl_divergence": lambda p: KLDivergence(),
    "expected_cost": lambda p: MulticlassExpectedCost(),
    "pairwise_auc": lambda p: MulticlassPairwiseAUC(),
}
REGRESSION_LOSSES: dict[str, Callable[..., Loss]] = {
    "squared_error": lambda p: SquaredError(),
    "absolute_error": lambda p: AbsoluteError(),
    "squared_log_error": lambda p: SquaredLogError(),
    "huber": lambda p: Huber(p.huber_delta),
    "poisson": lambda p: Poisson(),
    "quantile": lambda p: Quantile(p.quantile),
    "gaussian": lambda p: Gaussian(),
}


def make_loss(params: Any, target: str) -> Loss:
    """Build the loss called ``params.loss``.

    Parameters
    ----------
    params : object
        Has ``loss``, a name or a callable, and the parameters of that loss.
    target : {"values", "labels", "classes"}
        Numbers, labels that are present or not, or one of several classes.
    """
    if callable(params.loss):
        kinds = {"values": "values", "labels": "indicators", "classes": "codes"}
        return CallableLoss(params.loss, kinds[target])
    tables = {
        "values": REGRESSION_LOSSES,
        "labels": BINARY_LOSSES,
        "classes": MULTICLASS_LOSSES,
    }
    return tables[target][params.loss](params)
