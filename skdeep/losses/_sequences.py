"""Losses of generated sequences: tokens or numbers, step by step.

The loss of a sequence is the sum over its steps, divided by the mean length of the
training sequences. So each step counts the same, in short and in long sequences, and
the loss does not depend on how rows are put into batches.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import Loss

# Id of the end token. Lower ids are never generated.
_END = 2


class SequenceLoss(Loss):
    """The base of losses of sequences.

    Parameters
    ----------
    mean_length : float, default=1.0
        Number by which the sum over the steps is divided.
    """

    raw_axes = 3
    has_gradient = False

    def __init__(self, mean_length: float = 1.0):
        self.mean_length = mean_length

    @abstractmethod
    def per_step(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each step, (n_samples, n_steps), zero for padding."""

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.per_step(raw, target).sum(-1) / self.mean_length

    @abstractmethod
    def outputs(self, raw: Tensor) -> Tensor:
        """Return the output of each step in the form that a decoder reads."""

    def predict(self, raw: Tensor) -> Tensor:
        return self.outputs(raw)


class TokenLoss(SequenceLoss):
    """The cross entropy of tokens.

    Raw scores are (n_samples, n_steps, n_tokens). Targets are ids, (n_samples,
    n_steps), and -1 after the end of a sequence.

    Parameters
    ----------
    mean_length : float, default=1.0
        Number by which the sum over the steps is divided.
    label_smoothing : float, default=0.0
        Share of the target's probability that is spread evenly over all scores.
    """

    target_kind = "codes"
    out_activation = "softmax"

    def __init__(self, mean_length: float = 1.0, label_smoothing: float = 0.0):
        super().__init__(mean_length)
        self.label_smoothing = label_smoothing

    def per_step(self, raw: Tensor, target: Tensor) -> Tensor:
        # Padding is ignored inside: to select steps would copy all scores.
        losses = F.cross_entropy(
            raw.flatten(0, 1),
            target.flatten(),
            ignore_index=-1,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return losses.view(target.shape)

    def outputs(self, raw: Tensor) -> Tensor:
        """Return the ids with the largest scores among those that are generated."""
        return raw[..., _END:].argmax(-1) + _END


class NumberLoss(SequenceLoss):
    """Half the squared error of numbers, and the log loss of where they end.

    Raw scores are (n_samples, n_steps, n_features), and one more if ``has_end``: the
    logit that the step is the last one. Targets are (n_samples, n_steps, n_features),
    and NaN after the end of a sequence.

    Parameters
    ----------
    mean_length : float, default=1.0
        Number by which the sum over the steps is divided.
    has_end : bool, default=False
        Whether the last raw score says where the sequence ends.
    """

    target_kind = "values"

    def __init__(self, mean_length: float = 1.0, has_end: bool = False):
        super().__init__(mean_length)
        self.has_end = has_end

    def per_step(self, raw: Tensor, target: Tensor) -> Tensor:
        is_step = ~target.isnan().any(-1)
        # Padding is removed before the square: NaN times 0 is NaN in the gradient.
        errors = (self.outputs(raw) - target).where(is_step.unsqueeze(-1), 0.0)
        losses = errors.square().sum(-1) / 2
        if not self.has_end:
            return losses
        last = is_step.sum(-1, keepdim=True) - 1
        is_end = torch.arange(is_step.shape[1], device=raw.device) == last
        logit = raw[..., -1]
        log_loss = F.binary_cross_entropy_with_logits(
            logit, is_end.to(raw.dtype), reduction="none"
        )
        return losses + log_loss.where(is_step, 0.0)

    def outputs(self, raw: Tensor) -> Tensor:
        """Return the values of the steps, (n_samples, n_steps, n_features)."""
        return raw[..., :-1] if self.has_end else raw
