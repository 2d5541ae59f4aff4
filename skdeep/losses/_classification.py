"""Losses for classifiers.

Binary losses have one raw score for each label, which is positive if the label is
predicted. Multiclass losses have one raw score for each class.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import ElementwiseLoss, Loss


class BinaryLogLoss(ElementwiseLoss):
    """Negative log-likelihood of labels, with the logistic function of the scores."""

    target_kind = "indicators"
    out_activation = "logistic"
    gives_probabilities = True

    def __init__(self, label_smoothing: float = 0.0):
        self.label_smoothing = label_smoothing

    def _smooth(self, target: Tensor) -> Tensor:
        if self.label_smoothing == 0:
            return target
        return target * (1 - self.label_smoothing) + self.label_smoothing / 2

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return F.softplus(raw) - self._smooth(target) * raw

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return torch.sigmoid(raw).sub_(self._smooth(target))

    def predict(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw)


class BinaryFocalLoss(ElementwiseLoss):
    """Log loss times (1 - p)**gamma, with p the probability of the true label.

    It down-weights samples that are already classified well (Lin et al., 2017).
    """

    target_kind = "indicators"
    out_activation = "logistic"
    gives_probabilities = True

    def __init__(self, gamma: float):
        self.gamma = gamma

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        score = (2 * target - 1) * raw
        return -torch.sigmoid(-score).pow(self.gamma) * F.logsigmoid(score)

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        sign = 2 * target - 1
        score = sign * raw
        p, q = torch.sigmoid(score), torch.sigmoid(-score)
        return sign * q.pow(self.gamma) * (self.gamma * p * F.logsigmoid(score) - q)

    def predict(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw)


class BinaryHinge(ElementwiseLoss):
    """max(0, 1 - s z)**power, with s = -1 or 1 (Cortes & Vapnik, 1995)."""

    target_kind = "indicators"

    def __init__(self, power: int):
        self.power = power

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return torch.relu(1 - (2 * target - 1) * raw).pow(self.power)

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        sign = 2 * target - 1
        slack = torch.relu(1 - sign * raw)
        # At the kink (slack 0) the derivative is 0, as in autograd of relu.
        return -sign * (slack > 0 if self.power == 1 else 2 * slack)


class _Multiclass(Loss):
    target_kind = "codes"
    out_activation = "softmax"
    gives_probabilities = True

    def predict(self, raw: Tensor) -> Tensor:
        return torch.softmax(raw.mT, -2).mT


def _log_softmax(raw: Tensor) -> Tensor:
    """Return the log-softmax over the last axis.

    torch is ten times faster with the few classes on an outer axis than on the last.
    """
    return torch.log_softmax(raw.mT, -2).mT


def _pick_class(values: Tensor, codes: Tensor) -> Tensor:
    """Return the value of each sample's class: (..., n, c), (..., n) -> (..., n)."""
    return values.gather(-1, codes.unsqueeze(-1)).squeeze(-1)


class MulticlassLogLoss(_Multiclass):
    """Negative log-likelihood of the class, with the softmax of the scores."""

    def __init__(self, label_smoothing: float = 0.0):
        self.label_smoothing = label_smoothing

    def _loss(self, log_p: Tensor, truth: Tensor) -> Tensor:
        """Return the losses, (..., n_samples).

        ``log_p`` is (..., n_classes, n_samples), ``truth`` (..., 1, n_samples).
        """
        loss = -truth.squeeze(-2)
        if self.label_smoothing == 0:
            return loss
        smoothing = self.label_smoothing
        return (1 - smoothing) * loss - smoothing * log_p.mean(-2)

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        log_p = _log_softmax(raw).mT
        return self._loss(log_p, log_p.gather(-2, target.unsqueeze(-2)))

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.scaled_gradient(raw, target, 1.0)

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        log_p, index = torch.log_softmax(raw.mT, -2), target.unsqueeze(-2)
        truth = log_p.gather(-2, index)
        loss = self._loss(log_p, truth)
        # softmax - onehot; at the true class, p - 1 = expm1(log p).
        gradient = log_p.exp_().scatter_(-2, index, truth.expm1_())
        if self.label_smoothing:
            gradient.sub_(self.label_smoothing / raw.shape[-1])
            rest = gradient.new_full((1,), self.label_smoothing)
            gradient.scatter_add_(-2, index, rest.expand_as(index))
        # Multiplied in the order of its memory.
        gradient.mul_(scale.mT if isinstance(scale, Tensor) else scale)
        return loss, gradient.mT


class MulticlassFocalLoss(_Multiclass):
    """Log loss times (1 - p)**gamma, with p the probability of the true class."""

    def __init__(self, gamma: float):
        self.gamma = gamma

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        log_p = _pick_class(_log_softmax(raw), target)
        # Rounding may make 1 - p negative, and its power NaN.
        return -(1 - log_p.exp()).clamp_min(0).pow(self.gamma) * log_p

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        log_softmax = _log_softmax(raw)
        log_p = _pick_class(log_softmax, target)
        p = log_p.exp()
        # At q = 0, weight / q below would be NaN.
        q = (1 - p).clamp_min(torch.finfo(p.dtype).tiny)
        weight = q.pow(self.gamma)
        # Derivative w.r.t. log_p, then the scores: d log_p / dz = onehot - softmax.
        outer = (self.gamma * p * log_p * weight / q - weight).unsqueeze(-1)
        gradient = log_softmax.exp_().mul_(-outer)
        gradient.scatter_add_(-1, target.unsqueeze(-1), outer)
        return -weight * log_p, gradient


class MulticlassHinge(_Multiclass):
    """Hinge loss of the margin over the best other class (Crammer & Singer, 2001)."""

    out_activation = "identity"
    gives_probabilities = False

    def __init__(self, power: int):
        self.power = power

    def _slack(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the missing margin of the true class, and the best other class."""
        index = target.unsqueeze(-1)
        rivals = raw.scatter(-1, index, -torch.inf)
        best, rival = rivals.max(-1)
        return torch.relu(1 + best - _pick_class(raw, target)), rival.unsqueeze(-1)

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self._slack(raw, target)[0].pow(self.power)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        slack, rival = self._slack(raw, target)
        slope = slack.sign() if self.power == 1 else 2 * slack
        slope = slope.unsqueeze(-1)
        gradient = torch.zeros_like(raw).scatter_(-1, rival, slope)
        gradient.scatter_(-1, target.unsqueeze(-1), -slope)
        return slack.pow(self.power), gradient

    def predict(self, raw: Tensor) -> Tensor:
        return raw


class KLDivergence(_Multiclass):
    """Kullback-Leibler divergence of the softmax from a target distribution."""

    target_kind = "distributions"

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        log_p = _log_softmax(raw)
        return (torch.xlogy(target, target) - target * log_p).sum(-1)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        # Users' probabilities sum to 1 only up to rounding.
        total = target.sum(-1, keepdim=True)
        gradient = torch.softmax(raw, -1).mul_(total).sub_(target)
        return self.per_sample(raw, target), gradient
