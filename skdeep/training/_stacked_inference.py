"""Many dense networks of the same shape read the same rows in one pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from skdeep.training._dense import DenseStep
from skdeep.training._device import worthwhile_threads
from skdeep.training._epochs import Evaluation
from skdeep.training._grouping import Member, ValidationRows
from skdeep.training._products import step_threads
from skdeep.training._protocols import ActivationWithDerivative, LossWithGradient

# Bytes of the widest layer in a pass, which should fit the cache, and of the raw scores
# of all rows of the networks that are evaluated together.
_PASS_BYTES = 2**19
_RAW_BYTES = 2**23


class StackedNetworks:
    """Dense networks of the same shape that read the same rows.

    Parameters
    ----------
    weights : list of Tensor of shape (K, n_out, n_in)
        The weights of all networks for each layer.
    biases : list of Tensor of shape (K, n_out, 1)
        The biases of all networks for each layer.
    activation : Activation
        The activation of the hidden layers.
    loss : Loss
        The loss of the raw scores.
    """

    def __init__(
        self,
        weights: list[Tensor],
        biases: list[Tensor],
        activation: ActivationWithDerivative,
        loss: LossWithGradient,
    ):
        self.loss = loss
        self._step = DenseStep(weights, biases, [], [], activation, loss)
        self._n_networks, self._n_scores, _ = weights[-1].shape
        widest = max(weight.shape[1] for weight in weights)
        self._bytes_per_row = weights[0].element_size() * self._n_networks * widest

    def raw_scores(self, inputs: Tensor) -> Tensor:
        """Return the raw scores, (K, n_samples, n_scores)."""
        size = max(1, _PASS_BYTES // self._bytes_per_row)
        raw_T = inputs.new_empty((self._n_networks, self._n_scores, len(inputs)))
        for x, out in zip(inputs.split(size), raw_T.split(size, 2), strict=True):
            out.copy_(self._step.scores([x]).mT)
        return raw_T.mT


@torch.inference_mode()
def stacked_raw_scores(
    states: Sequence[Mapping[str, Tensor]],
    activation: ActivationWithDerivative,
    loss: LossWithGradient,
    inputs: Tensor,
) -> Tensor:
    """Return the raw scores of plain dense networks, (K, n_samples, n_scores).

    Parameters
    ----------
    states : sequence of mapping of str to Tensor
        The ``state_dict`` of each network; all have the same shapes.
    activation : Activation
        The activation of the hidden layers.
    loss : Loss
        The loss of the raw scores.
    inputs : Tensor of shape (n_samples, n_inputs)
        The rows, on the device and in the float type to compute with.
    """

    def stack(name: str) -> Tensor:
        return torch.stack([state[name].to(inputs) for state in states])

    n_layers = len(states[0]) // 2
    weights = [stack(f"layers.{i}.weight") for i in range(n_layers)]
    biases = [stack(f"layers.{i}.bias").unsqueeze(2) for i in range(n_layers)]
    # A forward pass takes a third of a training step, for which the limit is set.
    work = len(inputs) * sum(weight.numel() for weight in weights) // 3
    n_threads = worthwhile_threads(work, torch.get_num_threads())
    with step_threads(n_threads, inputs.device):
        networks = StackedNetworks(weights, biases, activation, loss)
        return networks.raw_scores(inputs)


class StackedValidation:
    """Evaluates the networks of a chunk on their validation rows.

    Successive networks with the same rows are evaluated together.

    Parameters
    ----------
    members : sequence of Member
        Fits of the networks.
    weights : list of Tensor of shape (K, n_out, n_in)
        The weights of all networks for each layer.
    biases : list of Tensor of shape (K, n_out, 1)
        The biases of all networks for each layer.
    """

    def __init__(
        self, members: Sequence[Member], weights: list[Tensor], biases: list[Tensor]
    ):
        network: Any = members[0].fit.learner.module
        loss = members[0].fit.learner.objective.loss
        self._n_members = len(members)
        self._groups: list[tuple[int, ValidationRows, StackedNetworks]] = []
        for start, stop in _runs(members, weights[-1]):
            rows: Any = members[start].validation
            networks = StackedNetworks(
                [weight[start:stop] for weight in weights],
                [bias[start:stop] for bias in biases],
                network.activation,
                loss,
            )
            self._groups.append((start, rows, networks))

    def evaluate(self) -> list[Evaluation | None]:
        """Return the result of each network; None if it cannot be evaluated here."""
        found: list[Evaluation | None] = [None] * self._n_members
        for start, rows, networks in self._groups:
            for i, result in enumerate(_evaluate(rows, networks)):
                found[start + i] = result
        return found


def _runs(members: Sequence[Member], last: Tensor) -> list[tuple[int, int]]:
    """Return the bounds of runs of members with the same validation rows."""
    runs = []
    positions = range(len(members))
    for _, group in itertools.groupby(positions, lambda k: id(members[k].validation)):
        run = list(group)
        rows = members[run[0]].validation
        if rows is None:
            continue
        raw_bytes = len(rows.inputs) * last.shape[1] * last.element_size()
        size = max(1, _RAW_BYTES // raw_bytes)
        for i in range(0, len(run), size):
            part = run[i : i + size]
            runs.append((part[0], part[-1] + 1))
    return runs


def _evaluate(rows: ValidationRows, networks: StackedNetworks) -> list[Evaluation]:
    """Return the loss, the raw scores and the score of each network."""
    raw = networks.raw_scores(rows.inputs)
    target = rows.target.expand(len(raw), *rows.target.shape)
    losses = networks.loss.per_sample_in_batch(raw, target, rows.weight).double()
    if rows.weight is None:
        means = losses.mean(1)
    else:
        weight = rows.weight.double()
        means = (losses * weight).sum(1) / weight.sum()
    is_finite = raw.isfinite().flatten(1).all(1).tolist()
    scores = [None] * len(raw)
    if rows.score is not None and all(is_finite):
        scores = rows.score(raw).tolist()
    return [
        Evaluation(loss, each, score) if finite else Evaluation(math.nan, None)
        for finite, loss, each, score in zip(
            is_finite, means.tolist(), raw, scores, strict=True
        )
    ]
