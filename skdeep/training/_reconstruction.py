"""Objectives of autoencoders, which compare the rows with their reconstructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, Inputs, RowSource, Source
from skdeep.training._inference import call, iter_outputs
from skdeep.training._objectives import Supervised, _concatenate


def _values(inputs: Inputs) -> tuple[Tensor, ...]:
    return tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs


class Reconstruction(Supervised):
    """The error of reconstructed rows, and a penalty on codes that are not sparse.

    The penalty of a row is the mean over the units of the code of the absolute value
    divided by the root mean square of the unit over the batch. It does not depend on
    the scale of the code, and is small for units that only few rows activate.

    Parameters
    ----------
    loss : Loss
        ``of_rows(raw, *inputs)`` returns the error of each row.
    n_scores : int
        Number of raw scores of a row.
    precision : {"bf16"} or None, default=None
        Precision of the forward pass.
    name : str, default="network"
        Name of the learner that trains the network.
    sparsity : float, default=0.0
        Weight of the penalty.
    """

    def __init__(
        self,
        loss: Any,
        n_scores: int,
        precision: str | None = None,
        name: str = "network",
        *,
        sparsity: float = 0.0,
    ):
        super().__init__(loss, n_scores, precision, name)
        self.sparsity = sparsity
        self.couples_rows = sparsity > 0

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        output = call(networks[self.name], batch.inputs, self.precision)
        losses = self.of_output(networks[self.name], output, batch)
        return losses + self._penalty(output, batch) if self.sparsity else losses

    def of_output(self, network: Any, output: Any, batch: Batch) -> Tensor:
        """Return the loss of each row without the penalty, from the outputs."""
        raw = self.scores(output, len(batch))
        errors: Tensor = self.loss.of_rows(raw, *_values(batch.inputs))  # type: ignore
        return errors

    def _penalty(self, output: Any, batch: Batch) -> Tensor:
        code = output[1]
        squares = code.square()
        if batch.weight is None:
            size = squares.mean(0)
        else:
            size = batch.weight @ squares / batch.weight_sum
        size = size.clamp_min(1e-12).sqrt()
        return self.sparsity * (code / size).abs().mean(1)

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        # No scores: the score of an epoch is minus the loss.
        return _evaluate(self, networks[self.name], source)


class EvidenceBound(Supervised):
    """Minus the evidence lower bound of rows (Kingma & Welling, 2014).

    In training, the expectation over the codes of a row is estimated with one draw, in
    validation with fixed ones.

    Parameters
    ----------
    loss : Loss
        ``surprisals(raw, log_scale, *inputs)`` returns minus the log-likelihood of each
        row.
    divergence : callable
        Returns the Kullback-Leibler divergence of codes from their prior, from means
        and log-variances.
    n_scores : int
        Number of raw scores of a row.
    draws : Tensor of shape (n_draws, code_size)
        The fixed draws of a standard normal code.
    beta : float, default=1.0
        Factor of the divergence (Higgins et al., 2017).
    precision : {"bf16"} or None, default=None
        Precision of the forward pass.
    """

    def __init__(
        self,
        loss: Any,
        divergence: Callable[[Tensor, Tensor], Tensor],
        n_scores: int,
        draws: Tensor,
        beta: float = 1.0,
        precision: str | None = None,
    ):
        super().__init__(loss, n_scores, precision)
        self.divergence = divergence
        self.draws = draws
        self.beta = beta

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        network: Any = networks[self.name]
        output = call(network, batch.inputs, self.precision)
        raw, mean, log_variance = output
        scales = getattr(network, "_orig_mod", network).scales()
        loss: Any = self.loss
        surprisals = loss.surprisals(raw, scales, *_values(batch.inputs))
        return surprisals + self.beta * self.divergence(mean, log_variance)

    def of_output(self, network: Any, output: Any, batch: Batch) -> Tensor:
        """Return the loss of each row, the mean over the fixed draws."""
        _, mean, log_variance = output
        spread = (log_variance / 2).exp()
        inputs, scales = _values(batch.inputs), network.scales()
        loss: Any = self.loss
        total = self.beta * self.divergence(mean, log_variance)
        for draw in self.draws.to(mean):
            given = (mean + spread * draw, *inputs)
            raw = call(network.decode, given, self.precision)
            total = total + loss.surprisals(raw, scales, *inputs) / len(self.draws)
        return total

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return _evaluate(self, networks[self.name], source)


def _evaluate(
    objective: Any, network: nn.Module, source: Source
) -> tuple[Tensor, Tensor | None, None]:
    """Return the loss and the weight of each row."""
    losses, weights = [], []
    for output, batch in iter_outputs(network, source, objective.precision):
        losses.append(objective.of_output(network, output, batch))
        weights.append(batch.weight)
    return torch.cat(losses), _concatenate(weights), None


@torch.inference_mode()
def row_losses(network: nn.Module, rows: Any, objective: Any) -> Tensor:
    """Return the loss of each of some rows, (n_samples,), on the CPU.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    rows : InputRows
        Encoded rows.
    objective : Reconstruction or EvidenceBound
        Computes the losses, without penalties.
    """
    networks = {objective.name: network}
    losses: Tensor = objective.evaluate(networks, RowSource(rows, None))[0]
    return losses.cpu()


@torch.inference_mode()
def losses_and_codes(
    network: nn.Module, rows: Any, objective: Reconstruction
) -> tuple[Tensor, Tensor]:
    """Return the loss (n_samples,) and the code of each row, on the CPU.

    Parameters
    ----------
    network : nn.Module
        Returns raw scores and codes. In evaluation mode.
    rows : InputRows
        Encoded rows.
    objective : Reconstruction
        Computes the losses, without penalties.
    """
    losses, codes = [], []
    source = RowSource(rows, None)
    for output, batch in iter_outputs(network, source, objective.precision):
        losses.append(objective.of_output(network, output, batch))
        codes.append(output[1])
    # Codes in half precision have no type in numpy.
    return torch.cat(losses).cpu(), torch.cat(codes).to(losses[0].dtype).cpu()
