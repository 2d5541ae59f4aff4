"""Losses, and how to turn raw scores into predictions."""

from skdeep.losses._adversarial import ADVERSARIAL_LOSSES
from skdeep.losses._base import CallableLoss, Loss, StepLoss
from skdeep.losses._reconstruction import (
    ImageLoss,
    SequenceReconstructionLoss,
    TableLoss,
    gaussian_divergence,
)
from skdeep.losses._sequences import NumberLoss, TokenLoss
from skdeep.losses._table import (
    BINARY_LOSSES,
    MULTICLASS_LOSSES,
    REGRESSION_LOSSES,
    make_loss,
)

__all__ = [
    "ADVERSARIAL_LOSSES",
    "BINARY_LOSSES",
    "MULTICLASS_LOSSES",
    "REGRESSION_LOSSES",
    "CallableLoss",
    "ImageLoss",
    "Loss",
    "NumberLoss",
    "SequenceReconstructionLoss",
    "StepLoss",
    "TableLoss",
    "TokenLoss",
    "gaussian_divergence",
    "make_loss",
]
