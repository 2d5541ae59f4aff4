"""Objectives: what learners minimize."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, Source
from skdeep.training._inference import (
    call,
    extract_scores,
    iter_outputs,
    measure_rows_per_chunk,
)
from skdeep.training._protocols import SupervisedLoss


class Objective(ABC):
    """Computes a loss for each row of a batch, which a learner minimizes."""

    #: Whether the loss of a row depends on the other rows of the batch.
    couples_rows: bool = False

    @abstractmethod
    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        """Return the differentiable loss of each row, (n_samples,).

        Parameters
        ----------
        networks : dict of str to nn.Module
            The networks of all learners of the task, by name of the learner.
        batch : Batch
            The rows.
        """

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return parameters of the objective, which are trained with the network."""
        return ()

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the losses, weights and raw scores (None without) of all rows.

        The networks must be in evaluation mode, and gradients must be off.
        """
        size = measure_rows_per_chunk(
            lambda batch: self.losses(networks, batch), source
        )
        batches = [
            source.batch(slice(start, start + size))
            for start in range(0, len(source), size)
        ]
        losses = torch.cat([self.losses(networks, batch) for batch in batches])
        return losses, _concatenate([batch.weight for batch in batches]), None


class Supervised(Objective):
    """A loss between the outputs of a network and the targets of a batch.

    Parameters
    ----------
    loss : Loss
        Computes the loss of each row from raw scores and targets.
    n_scores : int
        Number of raw scores of a row (or of each of its steps).
    precision : {"bf16"} or None, default=None
        Precision of the forward pass; by default that of the parameters.
    name : str, default="network"
        Name of the learner that trains the network.
    """

    def __init__(
        self,
        loss: SupervisedLoss,
        n_scores: int,
        precision: str | None = None,
        name: str = "network",
    ):
        self.loss = loss
        self.n_scores = n_scores
        self.precision = precision
        self.name = name
        self.couples_rows = loss.couples_rows

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        output = call(networks[self.name], batch.inputs, self.precision)
        raw = self.scores(output, len(batch))
        if self.loss.takes_outputs:
            values = self.loss.per_sample_of_outputs(output, batch.target)
        else:
            values = self.loss.per_sample_in_batch(raw, batch.target, batch.weight)
        if batch.weight is not None and self.loss.gives_mean:
            raise ValueError(
                "sample_weight and class_weight need a loss for each sample, but the "
                "callable `loss` returns the mean of the batch. Use reduction='none'."
            )
        return values

    def scores(self, output: Any, n_samples: int) -> Tensor:
        """Return the raw scores from the output of the network."""
        return extract_scores(output, n_samples, self.n_scores, self.loss)

    def parameters(self) -> Iterable[nn.Parameter]:
        return self.loss.parameters()

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        raws, losses, batches = [], [], []
        for output, batch in iter_outputs(networks[self.name], source, self.precision):
            raws.append(self.scores(output, len(batch)))
            batches.append(batch)
            if self.loss.takes_outputs:
                losses.append(self.loss.per_sample_of_outputs(output, batch.target))
        raw, weight = torch.cat(raws), _concatenate([batch.weight for batch in batches])
        if losses:
            return torch.cat(losses), weight, raw
        # All rows at once, because pairwise losses depend on all of them.
        target = torch.cat([batch.target for batch in batches])
        return self.loss.per_sample_in_batch(raw, target, weight), weight, raw


def _concatenate(parts: list[Any]) -> Tensor | None:
    return None if parts[0] is None else torch.cat(parts)
