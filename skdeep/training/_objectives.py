"""What learners minimise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, Source
from skdeep.training._inference import call, measured_rows, outputs, scores_of


class Objective(ABC):
    """What a learner minimises: a loss for each row of a batch."""

    #: Whether a row's loss depends on the other rows of its batch.
    couples_rows = False

    @abstractmethod
    def losses(self, networks: Mapping[str, Callable], batch: Batch) -> Tensor:
        """Return the loss of each row, (n_samples,), fit for autograd.

        Parameters
        ----------
        networks : dict of str to nn.Module
            The networks of all learners of the task, by the learners' names.
        batch : Batch
            The rows.
        """

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return parameters of the objective's own, which are trained as well."""
        return ()

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the losses and weights of all rows, and the raw scores, if any.

        The networks are in evaluation mode, and no gradient is wanted.
        """
        size = measured_rows(lambda batch: self.losses(networks, batch), source)
        batches = [
            source.batch(slice(start, start + size))
            for start in range(0, len(source), size)
        ]
        losses = torch.cat([self.losses(networks, batch) for batch in batches])
        return losses, _joined([batch.weight for batch in batches]), None


class Supervised(Objective):
    """A loss between the outputs of a network and the batch's targets.

    Parameters
    ----------
    loss : Loss
        Gives the loss of each row from raw scores and targets.
    n_scores : int
        Number of raw scores of a row (or of each of its steps).
    precision : {"bf16"} or None, default=None
        Precision of the network's forward pass, if not that of its parameters.
    name : str, default="network"
        Name of the learner whose network it is.
    """

    def __init__(
        self,
        loss,
        n_scores: int,
        precision: str | None = None,
        name: str = "network",
    ):
        self.loss = loss
        self.n_scores = n_scores
        self.precision = precision
        self.name = name
        self.couples_rows = loss.couples_rows

    def losses(self, networks, batch):
        output = call(networks[self.name], batch.inputs, self.precision)
        raw = self.scores(output, len(batch))
        if self.loss.takes_outputs:
            values = self.loss.of_outputs(output, batch.target)
        else:
            values = self.loss.per_sample_among(raw, batch.target, batch.weight)
        if batch.weight is not None and self.loss.gives_mean:
            raise ValueError(
                "sample_weight and class_weight need a loss of each sample, but the "
                "callable `loss` returns the mean of a batch."
            )
        return values

    def scores(self, output, n_samples: int) -> Tensor:
        """Return the raw scores in what the network returned."""
        return scores_of(output, n_samples, self.n_scores, self.loss)

    def parameters(self):
        return self.loss.parameters()

    def evaluate(self, networks, source):
        raws, losses, batches = [], [], []
        for output, batch in outputs(networks[self.name], source, self.precision):
            raws.append(self.scores(output, len(batch)))
            batches.append(batch)
            if self.loss.takes_outputs:
                losses.append(self.loss.of_outputs(output, batch.target))
        raw, weight = torch.cat(raws), _joined([batch.weight for batch in batches])
        if losses:
            return torch.cat(losses), weight, raw
        target = torch.cat([batch.target for batch in batches])
        return self.loss.per_sample_among(raw, target, weight), weight, raw


def _joined(parts: list) -> Tensor | None:
    return None if parts[0] is None else torch.cat(parts)
