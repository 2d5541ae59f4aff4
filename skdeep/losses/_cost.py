"""The expected cost of decisions as a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skdeep.losses._base import ElementwiseLoss, Loss


class _ExpectedCost(Loss):
    """Average cost of a decision drawn from the predicted probabilities.

    Bahnsen, Aouada & Ottersten (2014), "Example-dependent cost-sensitive logistic
    regression for credit scoring", ICMLA, for two classes.

    Parameters
    ----------
    costs : ndarray of shape (n_classes, n_classes), optional
        Cost of each decision (columns) for each true class (rows). By default 1 for
        errors and 0 otherwise.
    """

    gives_probabilities = True

    def __init__(self, costs: Any = None):
        # An array, not a tensor: it is pickled with the fitted estimator.
        self.costs: Any = costs
        self.copies_to_device = costs is not None

    def _costs_like(self, raw: Tensor, n_classes: int) -> Tensor:
        """Return the costs with the device and dtype of the raw scores."""
        if self.costs is None:
            return 1 - torch.eye(n_classes, dtype=raw.dtype, device=raw.device)
        # With a single class, the matrix is (1, 1), and its cost applies to all.
        costs = torch.as_tensor(self.costs, dtype=raw.dtype, device=raw.device)
        return costs.expand(n_classes, n_classes)


class BinaryExpectedCost(_ExpectedCost, ElementwiseLoss):
    """Expected cost, with the logistic function of the scores."""

    target_kind = "indicators"
    out_activation = "logistic"

    def _by_decision(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cost of deciding 0 for each row, and the extra cost of 1."""
        costs = self._costs_like(raw, 2)
        zero = torch.lerp(costs[0, 0], costs[1, 0], target)
        return zero, torch.lerp(costs[0, 1], costs[1, 1], target) - zero

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        zero, more = self._by_decision(raw, target)
        return zero + more * torch.sigmoid(raw)

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        p = torch.sigmoid(raw)
        return self._by_decision(raw, target)[1] * p * (1 - p)

    def predict(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw)


class MulticlassExpectedCost(_ExpectedCost):
    """Expected cost, with the softmax of the scores."""

    target_kind = "codes"
    out_activation = "softmax"

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        costs = self._costs_like(raw, raw.shape[-1])[target]
        return (self.predict(raw) * costs).sum(-1)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p = self.predict(raw)
        costs = self._costs_like(raw, raw.shape[-1])[target]
        loss = (p * costs).sum(-1)
        # d p_j / d z_k = p_j (1[j = k] - p_k)
        return loss, p * (costs - loss.unsqueeze(-1))

    def predict(self, raw: Tensor) -> Tensor:
        # torch is ten times faster with the few classes on an outer axis.
        return torch.softmax(raw.mT, -2).mT
