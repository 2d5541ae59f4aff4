"""Losses of rows that are compared with their reconstructions."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import Loss

_LOG_2_PI = math.log(2 * math.pi)


class ReconstructionLoss(Loss):
    """Compares rows with raw scores, column by column.

    A row consists of columns: those of a table, or the values of an image. Missing
    entries have no loss.
    """

    target_kind = "values"
    has_gradient = False
    n_scores: int

    @abstractmethod
    def errors(self, raw: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the error of each column, and which entries are not missing.

        Both are (n_samples, n_columns). Missing entries have the error 0. The second is
        None if nothing is missing.
        """

    @abstractmethod
    def surprisals(self, raw: Tensor, log_scale: Tensor, *inputs: Tensor) -> Tensor:
        """Return minus the log-likelihood of each row in nats, (n_samples,).

        Numbers are normal around their reconstructions; ``log_scale`` (n_numbers,) are
        the logarithms of the standard deviations.
        """

    def of_rows(self, raw: Tensor, *inputs: Tensor) -> Tensor:
        """Return the mean error of the columns of each row, (n_samples,).

        A row without any value has the error 0.
        """
        errors, observed = self.errors(raw, *inputs)
        if observed is None:
            return errors.mean(1)
        return errors.sum(1) / observed.sum(1).clamp_min(1)

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.of_rows(raw, target)


class TableLoss(ReconstructionLoss):
    """Squared errors of numbers and cross entropies of categories.

    Rows are ``numbers`` (n_samples, n_numbers), NaN where missing, and ``codes``
    (n_samples, n_categorical): 0 for a missing category, 1 for an unknown one, then the
    known ones. Raw scores are the reconstructed numbers, then scores of the known
    categories of each column.

    Parameters
    ----------
    n_numbers : int
        Number of numeric columns.
    n_known : sequence of int
        Number of known categories of each categorical column.
    """

    def __init__(self, n_numbers: int, n_known: Sequence[int] = ()):
        self.n_numbers = n_numbers
        self.n_known = list(n_known)
        self.n_scores = n_numbers + sum(n_known)

    def errors(self, raw: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        squares, observed = self._squares(raw, inputs[0])
        if len(inputs) == 1:
            return squares, observed
        entropies, known = self._entropies(raw, inputs[1])
        if observed is None:
            observed = torch.ones_like(squares, dtype=torch.bool)
        return torch.cat([squares, entropies], 1), torch.cat([observed, known], 1)

    def _squares(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        given = raw[:, : self.n_numbers]
        missing = x.isnan()
        # Elsewhere the answer would have to be waited for in each step.
        if x.device.type == "cpu" and not missing.any():
            return (given - x).square(), None
        # The difference, not its square: NaN times 0 is NaN, in the gradient too.
        differences = (given - x.nan_to_num(0.0)).masked_fill(missing, 0.0)
        return differences.square(), ~missing

    def _entropies(self, raw: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        columns = []
        known = codes >= 2
        start = self.n_numbers
        for j, n in enumerate(self.n_known):
            if n == 0:  # a column without any category
                columns.append(raw.new_zeros(len(raw)))
                continue
            target = (codes[:, j] - 2).masked_fill(~known[:, j], -1)
            scores = raw[:, start : start + n]
            start += n
            columns.append(
                F.cross_entropy(scores, target, ignore_index=-1, reduction="none")
            )
        return torch.stack(columns, 1), known

    def surprisals(self, raw: Tensor, log_scale: Tensor, *inputs: Tensor) -> Tensor:
        squares, observed = self._squares(raw, inputs[0])
        values = squares * (-2 * log_scale).exp() + (2 * log_scale + _LOG_2_PI)
        if observed is not None:
            values = values.masked_fill(~observed, 0.0)
        total = values.sum(1) / 2
        if len(inputs) == 2:
            total = total + self._entropies(raw, inputs[1])[0].sum(1)
        return total


class ImageLoss(ReconstructionLoss):
    """Squared errors of the values of images, (n_samples, channels, *sizes).

    Parameters
    ----------
    n_channels : int
        Number of channels, each of which has a standard deviation.
    """

    raw_axes = None

    def __init__(self, n_channels: int):
        self.n_scores = n_channels

    def errors(self, raw: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        return (raw - inputs[0]).square().flatten(1), None

    def surprisals(self, raw: Tensor, log_scale: Tensor, *inputs: Tensor) -> Tensor:
        squares = (raw - inputs[0]).square().flatten(2)  # (n, channels, positions)
        scale = log_scale.unsqueeze(1)
        values = squares * (-2 * scale).exp() + (2 * scale + _LOG_2_PI)
        return values.flatten(1).sum(1) / 2


class SequenceReconstructionLoss(ReconstructionLoss):
    """Squared errors of the steps of sequences.

    Rows are ``x`` (n_samples, n_steps, n_features) and, if they have padding, their
    lengths (n_samples,). A column is a feature, whose error is the mean over the steps.
    If the lengths differ in training, the length is a further column. Raw scores are
    (n_samples, n_steps, n_features), and then one more, the standardized length.

    Parameters
    ----------
    n_features : int
        Number of features.
    length_moments : tuple of float, optional
        Mean and standard deviation of the lengths, if they differ.
    """

    raw_axes = 3

    def __init__(
        self, n_features: int, length_moments: tuple[float, float] | None = None
    ):
        self.n_features = n_features
        self.length_moments = length_moments
        self.n_scores = n_features + (length_moments is not None)

    def _squares(self, raw: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the squared errors of all steps, 0 for padding."""
        squares = (raw[..., : self.n_features] - x).square()
        if lengths is None:
            return squares
        steps = torch.arange(x.shape[1], device=x.device)
        return squares * (steps < lengths[:, None])[:, :, None]

    def _lengths(self, inputs: tuple[Tensor, ...]) -> Tensor:
        x, *lengths = inputs
        if lengths:
            return lengths[0].to(x)
        return torch.full((len(x),), x.shape[1], device=x.device, dtype=x.dtype)

    def _length_errors(self, raw: Tensor, lengths: Tensor) -> Tensor:
        """Return the squared errors of the lengths, (n_samples, 1)."""
        if self.length_moments is None:
            return raw.new_zeros(len(raw), 0)
        mean, spread = self.length_moments
        return (raw[:, 0, -1:] - (lengths[:, None] - mean) / spread).square()

    def errors(self, raw: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        lengths = self._lengths(inputs)
        squares = self._squares(raw, inputs[0], lengths if len(inputs) > 1 else None)
        means = squares.sum(1) / lengths[:, None]
        return torch.cat([means, self._length_errors(raw, lengths)], 1), None

    def surprisals(self, raw: Tensor, log_scale: Tensor, *inputs: Tensor) -> Tensor:
        lengths = self._lengths(inputs)
        squares = self._squares(raw, inputs[0], lengths if len(inputs) > 1 else None)
        sums = torch.cat([squares.sum(1), self._length_errors(raw, lengths)], 1)
        counts = lengths[:, None].expand(-1, self.n_features)
        counts = torch.cat([counts, torch.ones_like(sums[:, self.n_features :])], 1)
        values = sums * (-2 * log_scale).exp() + counts * (2 * log_scale + _LOG_2_PI)
        return values.sum(1) / 2


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the standard normal, (n_samples,).

    ``mean`` and ``log_variance`` (n_samples, n) are those of independent normal
    variables.
    """
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return terms.sum(1) / 2
