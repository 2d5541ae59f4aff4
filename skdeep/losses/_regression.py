"""Losses for regressors; targets are (..., n_samples, n_targets)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import ElementwiseLoss, Loss


class SquaredError(ElementwiseLoss):
    """Half the squared error."""

    target_kind = "values"

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square() / 2

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return raw - target


class AbsoluteError(ElementwiseLoss):
    """The absolute error; its minimum is the median."""

    target_kind = "values"

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).abs()

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return torch.sign(raw - target)


class SquaredLogError(ElementwiseLoss):
    """Half the squared error of log(1 + y).

    The raw score is log(1 + prediction), so that predictions are always above -1.
    """

    target_kind = "values"
    out_activation = "expm1"

    def check_target(self, target: Tensor) -> None:
        if target.min() <= -1:
            raise ValueError(
                f"loss='squared_log_error' needs y > -1, got {target.min():g}."
            )

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target.log1p()).square() / 2

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return raw - target.log1p()

    def predict(self, raw: Tensor) -> Tensor:
        return torch.expm1(raw)


class Huber(ElementwiseLoss):
    """Half the squared error up to ``delta``, linear beyond (Huber, 1964)."""

    target_kind = "values"

    def __init__(self, delta: float):
        self.delta = delta

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(raw, target, reduction="none", delta=self.delta)

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).clamp_(-self.delta, self.delta)


class Poisson(ElementwiseLoss):
    """Half the Poisson deviance; the raw score is the log of the prediction."""

    target_kind = "values"
    out_activation = "exp"

    def check_target(self, target: Tensor) -> None:
        if target.min() < 0:
            raise ValueError(f"loss='poisson' needs y >= 0, got {target.min():g}.")

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        # xlogy is 0 at target 0, where target * log(target) would be NaN.
        return raw.exp() - target * raw + torch.xlogy(target, target) - target

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        return raw.exp() - target

    def predict(self, raw: Tensor) -> Tensor:
        return raw.exp()


class Quantile(ElementwiseLoss):
    """The pinball loss; its minimum is a quantile (Koenker & Bassett, 1978)."""

    target_kind = "values"

    def __init__(self, quantile: float):
        self.quantile = quantile

    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        error = target - raw
        return torch.maximum(self.quantile * error, (self.quantile - 1) * error)

    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        # 0 where raw equals the target: a constant that fits exactly must not move.
        return (raw > target).to(raw.dtype) - self.quantile * (raw != target)


class Gaussian(Loss):
    """Negative log-likelihood of a normal distribution (Nix & Weigend, 1994).

    The raw scores are the means of the targets, then the logs of their variances.
    """

    target_kind = "values"
    gives_std = True
    scores_per_target = 2

    # exp(-30) and exp(30): no variance overflows even in float32.
    _log_variance_range = (-30.0, 30.0)

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = raw.chunk(2, -1)
        return mean, log_variance.clamp(*self._log_variance_range)

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        mean, log_variance = self._split(raw)
        scaled = (target - mean).square() * torch.exp(-log_variance)
        return (scaled + log_variance + math.log(2 * math.pi)).sum(-1) / 2

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self._split(raw)
        error, precision = mean - target, torch.exp(-log_variance)
        # Outside of its range, the clamp has no gradient.
        inside = log_variance == raw.chunk(2, -1)[1]
        by_log_variance = (1 - error.square() * precision) / 2 * inside
        gradient = torch.cat([error * precision, by_log_variance], -1)
        return self.per_sample(raw, target), gradient

    def predict(self, raw: Tensor) -> Tensor:
        return self._split(raw)[0]

    def predict_std(self, raw: Tensor) -> Tensor:
        return torch.exp(self._split(raw)[1] / 2)
