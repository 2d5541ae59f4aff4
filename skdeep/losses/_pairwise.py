"""A loss of pairs of rows, for the area under the ROC curve."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import Loss

# Pairs that are looked at together: few enough for the cache, and for any memory.
_PAIRS = 2**16


def _chunks(positive: Tensor, negative: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield some positives and how far each negative lies above each of them."""
    n_rows = max(1, _PAIRS // max(1, len(negative)))
    for start in range(0, len(positive), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, negative - positive[rows, None]


def _shares(weight: Tensor, axis: int = 0) -> Tensor:
    """Divide weights by their sum; where all are 0 they stay so."""
    total = weight.sum(axis, keepdim=True)
    return weight / total.clamp_min(torch.finfo(weight.dtype).tiny)


def _pair_losses(score: Tensor, is_positive: Tensor, weight: Tensor) -> Tensor:
    """Return each row's weighted mean loss over the other side's rows, (n_samples,).

    It is 0 where the other side has no row, or none of any weight.
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
    """Return the derivative of the scaled sum of ``_pair_losses`` by the scores."""
    gradient = torch.empty_like(score)
    positive, negative = score[is_positive], score[~is_positive]
    share, other_share = _shares(weight[is_positive]), _shares(weight[~is_positive])
    own, other = scale[is_positive], scale[~is_positive]
    down, up = torch.empty_like(positive), torch.zeros_like(negative)
    for rows, above in _chunks(positive, negative):
        pull = torch.sigmoid(above)
        # A pair counts in the losses of both its rows, each of which is a mean.
        down[rows] = own[rows] * (pull @ other_share) + share[rows] * (pull @ other)
        up += (own[rows] @ pull) * other_share + (share[rows] @ pull) * other
    gradient[is_positive] = -down
    gradient[~is_positive] = up
    return gradient


def _by_label(function, *tensors: Tensor) -> Tensor:
    """Apply a function of (n_samples,) to each label: (..., n_samples, n_labels)."""
    # One label at a time: each has its own number of positives.
    columns = [tensor.mT.reshape(-1, tensor.shape[-2]) for tensor in tensors]
    results = [function(*parts) for parts in zip(*columns, strict=True)]
    return torch.stack(results).reshape(tensors[0].mT.shape).mT


class _Pairs(torch.autograd.Function):
    """``_pair_losses`` of each label; going back, pairs are computed anew, not kept."""

    @staticmethod
    def forward(ctx, raw, is_positive, weight):
        ctx.save_for_backward(raw, is_positive, weight)
        return _by_label(_pair_losses, raw, is_positive, weight)

    @staticmethod
    def backward(ctx, *scale):
        return _by_label(_pair_gradient, *ctx.saved_tensors, *scale), None, None


def _anchor(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the log loss of each label, had every row the batch's mean score."""
    mean = (_shares(weight, -2) * raw).sum(-2, keepdim=True)
    return F.softplus(mean) - target * mean


def _anchor_gradient(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the derivative of the weighted sum of ``_anchor`` by the scores."""
    share = _shares(weight, -2)
    mean = (share * raw).sum(-2, keepdim=True)
    surplus = weight * (torch.sigmoid(mean) - target)
    return share * surplus.sum(-2, keepdim=True)


def _for_labels(weight: Tensor | None, raw: Tensor) -> Tensor:
    """Return the rows' weights, the same for each label, in the shape of ``raw``."""
    if weight is None:
        return torch.ones_like(raw)
    return weight.to(raw).unsqueeze(-1).expand_as(raw)


class _PairwiseAUC(Loss):
    """A loss whose gradient the weights of all rows enter."""

    couples_rows = True

    def per_sample(self, raw, target):
        return self.per_sample_among(raw, target, None)

    @abstractmethod
    def per_sample_among(self, raw, target, weight):
        """Return the loss of each sample among rows of these weights."""

    def with_gradient(self, raw, target):
        return self.scaled_gradient(raw, target, 1.0)

    @abstractmethod
    def scaled_gradient(self, raw, target, scale):
        """Return the losses, and the derivative of the sum of the scaled losses."""


class BinaryPairwiseAUC(_PairwiseAUC):
    """Logistic loss of how pairs of a positive and a negative are ordered.

    A row's loss is the mean of log(1 + exp(z_n - z_p)) over the pairs that it is in,
    p being the positive one, each by the weight of its partner. The weighted mean over
    the rows is then the mean over the pairs, each by the product of its two weights:
    a row of weight 2 is two rows. Divided by log 2 it is not less than 1 - AUC of the
    batch (Yan et al., 2003, and Cortes & Mohri, 2003, on the AUC as a mean over pairs).
    Minimised, it orders rows by their probability (Gao & Zhou, 2015: the logistic loss
    is consistent with AUC).

    Pairs leave a shift of all scores free. The log loss of the batch's mean score is
    added, which makes the mean what the share of positives asks for.

    Time is that of n_positive * n_negative pairs, memory that of the rows.

    References
    ----------
    Cortes & Mohri (2003). "AUC optimization vs. error rate minimization." NIPS.

    Gao & Zhou (2015). "On the consistency of AUC pairwise optimization." IJCAI.

    Yan, Dodier, Mozer & Wolniewicz (2003). "Optimizing classifier performance via an
    approximation to the Wilcoxon-Mann-Whitney statistic." ICML.
    """

    target_kind = "indicators"

    def per_sample_among(self, raw, target, weight):
        weight = _for_labels(weight, raw)
        pairs = _Pairs.apply(raw, target > 0, weight)
        return (pairs + _anchor(raw, target, weight)).sum(-1)

    def scaled_gradient(self, raw, target, scale):
        weight = torch.ones_like(raw) * scale
        gradient = _by_label(_pair_gradient, raw, target > 0, weight, weight)
        gradient += _anchor_gradient(raw, target, weight)
        return self.per_sample_among(raw, target, weight[..., 0]), gradient


class MulticlassPairwiseAUC(_PairwiseAUC):
    """The loss of pairs for each class against the rest, by the class's own score.

    It is the mean over the classes that a batch has rows of, of some weight, so that
    divided by log 2 it is not less than 1 - the macro average of the one-vs-rest AUC.
    """

    target_kind = "codes"

    def _split(self, raw: Tensor, target: Tensor, weight: Tensor):
        """Return what is the class of each row, and which share each class has.

        Shapes are those of ``raw`` and (..., 1, n_classes).
        """
        truth = F.one_hot(target, raw.shape[-1]).to(raw)
        inside = (truth * weight).sum(-2, keepdim=True)
        outside = ((1 - truth) * weight).sum(-2, keepdim=True)
        return truth, _shares(((inside > 0) & (outside > 0)).to(raw), -1)

    def per_sample_among(self, raw, target, weight):
        weight = _for_labels(weight, raw)
        truth, share = self._split(raw, target, weight)
        pairs = (_Pairs.apply(raw, truth > 0, weight) * share).sum(-1)
        return pairs + _anchor(raw, truth, weight).mean(-1)

    def scaled_gradient(self, raw, target, scale):
        weight = torch.ones_like(raw) * scale
        truth, share = self._split(raw, target, weight)
        gradient = _by_label(_pair_gradient, raw, truth > 0, weight, share * weight)
        gradient += _anchor_gradient(raw, truth, weight) / raw.shape[-1]
        return self.per_sample_among(raw, target, weight[..., 0]), gradient
