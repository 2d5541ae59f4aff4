"""Losses, and how to turn raw scores into predictions."""

from skdeep.losses._base import CallableLoss, Loss, StepLoss
from skdeep.losses._sequences import NumberLoss, TokenLoss
from skdeep.losses._table import (
    BINARY_LOSSES,
    MULTICLASS_LOSSES,
    REGRESSION_LOSSES,
    make_loss,
)

__all__ = [
    "BINARY_LOSSES",
    "MULTICLASS_LOSSES",
    "REGRESSION_LOSSES",
    "CallableLoss",
    "Loss",
    "NumberLoss",
    "StepLoss",
    "TokenLoss",
    "make_loss",
]
