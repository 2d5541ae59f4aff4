"""Pairwise losses for the area under the ROC curve."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import Loss

# Pairs that are processed together; few enough to fit the cache.
_PAIRS_PER_CHUNK = 2**16


def _chunks(positive: Tensor, negative: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the positives, and the scores of the negatives minus theirs."""
    n_rows = max(1, _PAIRS_PER_CHUNK // max(1, len(negative)))
    for start in range(0, len(positive), n_rows):
        rows = slice(start, start + n_rows)
        # (n_rows, 1) and (n_negative,) -> (n_rows, n_negative)
        yield rows, negative - positive[rows, None]


def _shares(weight: Tensor, axis: int = 0) -> Tensor:
    """Divide weights by their sum; if all are 0, return 0."""
    total = weight.sum(axis, keepdim=True)
    return weight / total.clamp_min(torch.finfo(weight.dtype).tiny)


def _pair_losses(score: Tensor, is_positive: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean loss of each row over the opposite rows, (n_samples,).

    It is 0 if there are no rows of the opposite label, or all have weight 0.
    """
    losses = torch.empty_like(score)
    positive, negative = score[is_positive], score[~is_positive]
    share, other_share = _shares(weight[is_positive]), _shares(weight[~is_positive])
    of_positive, of_negative = torch.empty_like(positive), torch.zeros_like(negative)
    for rows, above in _chunks(positive, negative):
        loss = F.softplus(above)
        of_positive[rows] = loss @ other_share
        of_negative += share[rows] @ loss
    losses[is_positive] = of_positive
    losses[~is_positive] = of_negative
    return losses


def _pair_gradient(
    score: Tensor, is_positive: Tensor, weight: Tensor, scale: Tensor
) -> Tensor:
    """Return the gradient of the scaled sum of ``_pair_losses``."""
    gradient = torch.empty_like(score)
    positive, negative = score[is_positive], score[~is_positive]
    share, other_share = _shares(weight[is_positive]), _shares(weight[~is_positive])
    own, other = scale[is_positive], scale[~is_positive]
    down, up = torch.empty_like(positive), torch.zeros_like(negative)
    for rows, above in _chunks(positive, negative):
        pull = torch.sigmoid(above)
        # A pair counts in the losses of both rows, and each loss is a mean.
        down[rows] = own[rows] * (pull @ other_share) + share[rows] * (pull @ other)
        up += (own[rows] @ pull) * other_share + (share[rows] @ pull) * other
    gradient[is_positive] = -down
    gradient[~is_positive] = up
    return gradient


def _apply_by_label(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply a function of (n_samples,) to each label: (..., n_samples, n_labels)."""
    # One label at a time: each has its own number of positives.
    columns = [tensor.mT.reshape(-1, tensor.shape[-2]) for tensor in tensors]
    results = [function(*parts) for parts in zip(*columns, strict=True)]
    return torch.stack(results).reshape(tensors[0].mT.shape).mT


class _PairLosses(torch.autograd.Function):
    """``_pair_losses`` of each label; the backward pass recomputes the pairs.

    Autograd would keep n_positive * n_negative numbers.
    """

    @staticmethod
    def forward(ctx: Any, raw: Tensor, is_positive: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(raw, is_positive, weight)
        return _apply_by_label(_pair_losses, raw, is_positive, weight)

    @staticmethod
    def backward(ctx: Any, *scale: Tensor) -> tuple[Tensor, None, None]:
        return _apply_by_label(_pair_gradient, *ctx.saved_tensors, *scale), None, None


def _mean_score_loss(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the log loss of each label if all rows had the mean score of the batch."""
    mean = (_shares(weight, -2) * raw).sum(-2, keepdim=True)
    return F.softplus(mean) - target * mean


def _mean_score_gradient(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weighted sum of ``_mean_score_loss``."""
    share = _shares(weight, -2)
    mean = (share * raw).sum(-2, keepdim=True)
    surplus = weight * (torch.sigmoid(mean) - target)
    return share * surplus.sum(-2, keepdim=True)


def _expand_weight(weight: Tensor | None, raw: Tensor) -> Tensor:
    """Return the weights of the rows in the shape of ``raw``."""
    if weight is None:
        return torch.ones_like(raw)
    return weight.to(raw).unsqueeze(-1).expand_as(raw)


class _PairwiseAUC(Loss):
    """A loss whose gradient depends on the weights of all rows."""

    couples_rows = True

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.per_sample_in_batch(raw, target, None)

    @abstractmethod
    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each sample in a batch with sample weights."""

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.scaled_gradient(raw, target, 1.0)

    @abstractmethod
    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, and the gradient of the sum of the scaled losses."""


class BinaryPairwiseAUC(_PairwiseAUC):
    """Logistic loss of pairs of a positive and a negative row.

    The loss of a row is the mean of log(1 + exp(z_n - z_p)) over its pairs, where z_p
    is the score of the positive row. Pairs are weighted by the other row. The weighted
    mean over the rows is then the mean over the pairs, weighted by the product of both
    weights: a row of weight 2 equals two rows. Divided by log 2 it is an upper bound
    of 1 - AUC of the batch (Yan et al., 2003, and Cortes & Mohri, 2003, on the AUC as a
    mean over pairs). Its minimum orders rows by their probability (Gao & Zhou, 2015:
    the logistic loss is consistent with AUC).

    Adding a constant to all scores does not change the pairs. Therefore the log loss of
    the mean score of the batch is added, which fits the mean to the share of positives.

    Time is proportional to n_positive * n_negative, memory to the number of rows.

    References
    ----------
    Cortes & Mohri (2003). "AUC optimization vs. error rate minimization." NIPS.

    Gao & Zhou (2015). "On the consistency of AUC pairwise optimization." IJCAI.

    Yan, Dodier, Mozer & Wolniewicz (2003). "Optimizing classifier performance via an
    approximation to the Wilcoxon-Mann-Whitney statistic." ICML.
    """

    target_kind = "indicators"

    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        weight = _expand_weight(weight, raw)
        pairs: Tensor = _PairLosses.apply(raw, target > 0, weight)
        return (pairs + _mean_score_loss(raw, target, weight)).sum(-1)

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        weight = torch.ones_like(raw) * scale
        gradient = _apply_by_label(_pair_gradient, raw, target > 0, weight, weight)
        gradient += _mean_score_gradient(raw, target, weight)
        return self.per_sample_in_batch(raw, target, weight[..., 0]), gradient


class MulticlassPairwiseAUC(_PairwiseAUC):
    """The pairwise loss of each class against the rest, with the score of the class.

    It is the mean over the classes in the batch with positive weight. Divided by log 2,
    it is an upper bound of 1 - the macro average of the one-vs-rest AUC.
    """

    target_kind = "codes"

    def _split(
        self, raw: Tensor, target: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the one-hot classes of the rows, and the share of each class.

        The shapes are that of ``raw`` and (..., 1, n_classes).
        """
        truth = F.one_hot(target, raw.shape[-1]).to(raw)
        inside = (truth * weight).sum(-2, keepdim=True)
        outside = ((1 - truth) * weight).sum(-2, keepdim=True)
        return truth, _shares(((inside > 0) & (outside > 0)).to(raw), -1)

    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        weight = _expand_weight(weight, raw)
        truth, share = self._split(raw, target, weight)
        pairs: Tensor = (_PairLosses.apply(raw, truth > 0, weight) * share).sum(-1)
        return pairs + _mean_score_loss(raw, truth, weight).mean(-1)

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        weight = torch.ones_like(raw) * scale
        truth, share = self._split(raw, target, weight)
        gradient = _apply_by_label(
            _pair_gradient, raw, truth > 0, weight, share * weight
        )
        gradient += _mean_score_gradient(raw, truth, weight) / raw.shape[-1]
        return self.per_sample_in_batch(raw, target, weight[..., 0]), gradient
