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
    n_rows = max(1, _PAIRS // len(negative))
    for start in range(0, len(positive), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, negative - positive[rows, None]


def _pair_losses(score: Tensor, is_positive: Tensor) -> Tensor:
    """Return each row's mean loss over the rows of the other side, (n_samples,)."""
    losses = torch.zeros_like(score)
    positive, negative = score[is_positive], score[~is_positive]
    if not len(positive) or not len(negative):
        return losses
    of_positive, of_negative = torch.empty_like(positive), torch.zeros_like(negative)
    for rows, above in _chunks(positive, negative):
        loss = F.softplus(above)
        of_positive[rows] = loss.mean(1)
        of_negative += loss.sum(0)
    losses[is_positive] = of_positive
    losses[~is_positive] = of_negative / len(positive)
    return losses


def _pair_gradient(score: Tensor, is_positive: Tensor, weight: Tensor) -> Tensor:
    """Return the derivative of the weighted sum of ``_pair_losses`` by the scores."""
    gradient = torch.zeros_like(score)
    positive, negative = score[is_positive], score[~is_positive]
    if not len(positive) or not len(negative):
        return gradient
    # A pair counts in the losses of both its rows, each of which is a mean.
    share = weight[is_positive] / len(negative)
    other_share = weight[~is_positive] / len(positive)
    down, up = torch.empty_like(positive), torch.zeros_like(negative)
    for rows, above in _chunks(positive, negative):
        pull = torch.sigmoid(above)
        down[rows] = pull.sum(1) * share[rows] + pull @ other_share
        up += share[rows] @ pull + pull.sum(0) * other_share
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
    def forward(ctx, raw, is_positive):
        ctx.save_for_backward(raw, is_positive)
        return _by_label(_pair_losses, raw, is_positive)

    @staticmethod
    def backward(ctx, *weight):
        return _by_label(_pair_gradient, *ctx.saved_tensors, *weight), None


def _anchor(raw: Tensor, target: Tensor) -> Tensor:
    """Return the log loss of each label, had every row the batch's mean score."""
    mean = raw.mean(-2, keepdim=True)
    return F.softplus(mean) - target * mean


def _anchor_gradient(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the derivative of the weighted sum of ``_anchor``, one for all rows."""
    surplus = torch.sigmoid(raw.mean(-2, keepdim=True)) - target
    return (weight * surplus).mean(-2, keepdim=True)


class _PairwiseAUC(Loss):
    """A loss whose gradient the weights of all rows enter."""

    couples_rows = True

    def with_gradient(self, raw, target):
        return self.scaled_gradient(raw, target, 1.0)

    @abstractmethod
    def scaled_gradient(self, raw, target, scale):
        """Return the losses, and the derivative of the sum of the scaled losses."""


class BinaryPairwiseAUC(_PairwiseAUC):
    """Logistic loss of how pairs of a positive and a negative are ordered.

    A row's loss is the mean of log(1 + exp(z_n - z_p)) over the pairs that it is in,
    p being the positive one. The mean over the rows is then the mean over the pairs;
    divided by log 2 it is not less than 1 - AUC of the batch (Yan et al., 2003, and
    Cortes & Mohri, 2003, on the AUC as a mean over pairs). Minimised, it orders rows by
    their probability (Gao & Zhou, 2015: the logistic loss is consistent with AUC).

    Pairs leave a shift of all scores free. The log loss of the batch's mean score is
    added, which makes the mean what the share of positives asks for.

    A weight multiplies the loss of a row, not of its partners in theirs. Time is that
    of n_positive * n_negative pairs, memory that of the rows.

    References
    ----------
    Cortes & Mohri (2003). "AUC optimization vs. error rate minimization." NIPS.

    Gao & Zhou (2015). "On the consistency of AUC pairwise optimization." IJCAI.

    Yan, Dodier, Mozer & Wolniewicz (2003). "Optimizing classifier performance via an
    approximation to the Wilcoxon-Mann-Whitney statistic." ICML.
    """

    target_kind = "indicators"

    def per_sample(self, raw, target):
        pairs = _Pairs.apply(raw, target > 0)
        return (pairs + _anchor(raw, target)).sum(-1)

    def scaled_gradient(self, raw, target, scale):
        weight = torch.ones_like(raw) * scale
        gradient = _by_label(_pair_gradient, raw, target > 0, weight)
        gradient += _anchor_gradient(raw, target, weight)
        return self.per_sample(raw, target), gradient


class MulticlassPairwiseAUC(_PairwiseAUC):
    """The loss of pairs for each class against the rest, by the class's own score.

    It is the mean over the classes that a batch has, so that divided by log 2 it is not
    less than 1 - the macro average of the one-vs-rest AUC.
    """

    target_kind = "codes"

    def _split(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is the class of each row, and which share each class has.

        Shapes are those of ``raw`` and (..., 1, n_classes).
        """
        truth = F.one_hot(target, raw.shape[-1])
        count = truth.sum(-2, keepdim=True)
        has_pairs = (count > 0) & (count < raw.shape[-2])
        n_classes = has_pairs.sum(-1, keepdim=True).clamp_min(1)
        return truth.to(raw), has_pairs.to(raw) / n_classes

    def per_sample(self, raw, target):
        truth, share = self._split(raw, target)
        pairs = (_Pairs.apply(raw, truth > 0) * share).sum(-1)
        return pairs + _anchor(raw, truth).mean(-1)

    def scaled_gradient(self, raw, target, scale):
        truth, share = self._split(raw, target)
        weight = torch.ones_like(raw) * scale
        gradient = _by_label(_pair_gradient, raw, truth > 0, share * weight)
        gradient += _anchor_gradient(raw, truth, weight) / raw.shape[-1]
        return self.per_sample(raw, target), gradient
