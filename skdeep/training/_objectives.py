"""Objectives: what learners minimize."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, Inputs, Source, first_input
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

    #: Whether the network takes the inputs of a batch.
    reads_batches: bool = True

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
        return self._compare(output, raw, batch.target, batch.weight)

    def _compare(
        self, output: Any, raw: Tensor, target: Any, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each row from the network's output and raw scores."""
        if self.loss.takes_outputs:
            values = self.loss.per_sample_of_outputs(output, target)
        else:
            values = self.loss.per_sample_in_batch(raw, target, weight)
        if weight is not None and self.loss.gives_mean:
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


class Mixup(Supervised):
    """A supervised loss on mixtures of two rows (Zhang et al., 2018).

    The first input of each row is mixed with that of another row of the batch, its
    partner: share · row + (1 - share) · partner. The loss is mixed likewise, share ·
    loss of the row's target + (1 - share) · loss of the partner's target, which suits
    targets of any kind. For the cross entropy it is the loss of the mixed targets.
    Validation rows are not mixed.

    Sample weights stay with their rows: the partner's loss counts by the weight of the
    partner. The losses of rows are multiplied by the weights of the rows afterwards,
    so the partner's is returned times its weight / the row's weight.

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
    generator : torch.Generator
        Draws the partners and the share, on the device of the inputs.
    concentration : float, default=0.2
        The share is drawn once for each batch from the beta distribution with both
        parameters equal to this number. The paper's α: 0.1 to 0.4 on ImageNet.

    References
    ----------
    H. Zhang, M. Cisse, Y. N. Dauphin and D. Lopez-Paz, "mixup: Beyond empirical risk
    minimization", ICLR 2018.
    """

    def __init__(
        self,
        loss: SupervisedLoss,
        n_scores: int,
        precision: str | None = None,
        name: str = "network",
        *,
        generator: torch.Generator,
        concentration: float = 0.2,
    ):
        super().__init__(loss, n_scores, precision, name)
        self.generator = generator
        self.concentration = concentration

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        x, weight = first_input(batch.inputs), batch.weight
        share = _draw_beta(self.concentration, x, self.generator)
        partner = torch.randperm(len(x), generator=self.generator, device=x.device)
        inputs = _replace_first(batch.inputs, x[partner].lerp_(x, share))
        output = call(networks[self.name], inputs, self.precision)
        raw = self.scores(output, len(batch))
        own = self._compare(output, raw, batch.target, weight)
        if weight is None:
            other = self._compare(output, raw, batch.target[partner], None)
        else:
            weights = weight[partner]
            other = self._compare(output, raw, batch.target[partner], weights)
            other = other * (weights / weight)
        return share * own + (1 - share) * other


def _draw_beta(
    concentration: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw a number from a symmetric beta distribution, in the dtype of ``like``.

    It is G / (G + H) for two gamma variates. Each is a variate of the concentration
    plus 1 times U ** (1 / concentration), for U uniform in (0, 1]; their logarithms
    do not underflow for small concentrations as the variates would.
    """
    shape = like.new_full((2,), concentration + 1, dtype=torch.float32)
    uniform = 1 - torch.rand(2, generator=generator, device=like.device)
    logs = torch._standard_gamma(shape, generator).log() + uniform.log() / concentration
    return torch.sigmoid(logs[0] - logs[1]).to(like.dtype)


def _replace_first(inputs: Inputs, x: Tensor) -> Inputs:
    """Return inputs with another first tensor."""
    if isinstance(inputs, Mapping):
        return {**inputs, next(iter(inputs)): x}
    return x, *inputs[1:]


def _concatenate(parts: list[Any]) -> Tensor | None:
    return None if parts[0] is None else torch.cat(parts)
