"""Many dense networks of the same shape read the same rows in one pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep.training._batches import InputRows
from skdeep.training._dense import DenseStep
from skdeep.training._device import worthwhile_threads
from skdeep.training._epochs import Evaluation
from skdeep.training._grouping import Member, TensorPool, ValidationRows, is_one_tensor
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


# The weight and the bias of each layer of a network.
Layers = Sequence[tuple[Tensor, Tensor]]


@torch.inference_mode()
def stacked_raw_scores(
    networks: Sequence[Layers],
    activation: ActivationWithDerivative,
    loss: LossWithGradient,
    inputs: Tensor,
) -> Tensor:
    """Return the raw scores of plain dense networks, (K, n_samples, n_scores).

    Parameters
    ----------
    networks : sequence of sequence of pair of Tensor
        The weight and the bias of each layer of each network; all networks have the
        same shapes.
    activation : Activation
        The activation of the hidden layers.
    loss : Loss
        The loss of the raw scores.
    inputs : Tensor of shape (n_samples, n_inputs)
        The rows, on the device and in the float type to compute with.
    """
    # A forward pass takes a third of a training step, for which the limit is set.
    n_values = sum(weight.numel() for layers in networks for weight, _ in layers)
    work = len(inputs) * n_values // 3
    n_threads = worthwhile_threads(work, torch.get_num_threads())
    with step_threads(n_threads, inputs.device):
        return _stack(networks, activation, loss, inputs).raw_scores(inputs)


def _stack(
    networks: Sequence[Layers],
    activation: ActivationWithDerivative,
    loss: LossWithGradient,
    inputs: Tensor,
) -> StackedNetworks:
    """Copy the parameters of networks to the device and the float type of inputs."""
    weights, biases = [], []
    for layers in zip(*networks, strict=True):
        weights.append(torch.stack([weight.to(inputs) for weight, _ in layers]))
        stacked = torch.stack([bias.to(inputs) for _, bias in layers])
        biases.append(stacked.unsqueeze(2))
    return StackedNetworks(weights, biases, activation, loss)


@dataclass(eq=False)
class Prediction:
    """Rows of which a plain dense network computes the raw scores.

    Parameters
    ----------
    network : DenseNetwork
        The network, in evaluation mode.
    layers : sequence of pair of Tensor
        The weight and the bias of each of its layers.
    loss : Loss
        The loss of the raw scores.
    inputs : Tensor of shape (n_samples, n_inputs)
        The rows.
    raw : Tensor of shape (n_samples, n_scores), or None
        The raw scores; None if they have not been computed.
    """

    network: Any
    layers: Layers
    loss: LossWithGradient
    inputs: Tensor
    raw: Tensor | None = None

    @classmethod
    def of(cls, network: Any, rows: InputRows, loss: Any) -> Prediction | None:
        """Return a prediction that others can join; None for other networks or rows."""
        layers = None
        if hasattr(network, "plain_parameters") and is_one_tensor(rows):
            layers = network.plain_parameters()
        if layers is None or torch.is_autocast_enabled("cpu"):
            return None
        (inputs,) = rows.take(slice(None))
        # A user may have converted a layer.
        kinds = {(p.dtype, p.device) for layer in layers for p in layer}
        prediction = cls(network, layers, loss, inputs)
        is_small = prediction.n_raw_bytes <= _RAW_BYTES // 2
        fits = kinds == {(inputs.dtype, torch.device("cpu"))} and is_small
        return prediction if fits else None

    @property
    def n_raw_bytes(self) -> int:
        """Size of the raw scores in bytes."""
        _, last_bias = self.layers[-1]
        return len(self.inputs) * last_bias.nbytes

    @property
    def work(self) -> int:
        """Number of multiply-adds."""
        return len(self.inputs) * sum(weight.numel() for weight, _ in self.layers)


def predict_together(predictions: Sequence[Prediction], n_threads: int) -> None:
    """Compute the raw scores of networks of the same shape and rows in one pass.

    Those of other networks are left out.

    Parameters
    ----------
    predictions : sequence of Prediction
        The networks and their rows.
    n_threads : int
        Number of threads; each computes one pass at a time.
    """
    groups = _groups(predictions)
    # A forward pass takes a third of a training step, for which the limit is set.
    work = sum(each.work for group in groups for each in group) // 3
    n_threads = min(worthwhile_threads(work, n_threads), len(groups))
    if n_threads < 2:
        for group in groups:
            _predict(group)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(_predict, groups))


def _groups(predictions: Sequence[Prediction]) -> list[list[Prediction]]:
    """Return groups of two or more predictions that one pass can compute."""
    pool = TensorPool()
    found: dict[Any, list[Prediction]] = {}
    for each in predictions:
        shapes = tuple((weight.shape, weight.dtype) for weight, _ in each.layers)
        key = id(pool(each.inputs)), each.network.activation_name, shapes
        found.setdefault(key, []).append(each)
    groups = []
    for group in found.values():
        size = _RAW_BYTES // max(1, group[0].n_raw_bytes)
        groups += [group[i : i + size] for i in range(0, len(group), size)]
    return [group for group in groups if len(group) > 1]


def _predict(group: Sequence[Prediction]) -> None:
    first = group[0]
    networks = [each.layers for each in group]
    with torch.inference_mode(), step_threads(1, first.inputs.device):
        stacked = _stack(networks, first.network.activation, first.loss, first.inputs)
        for each, raw in zip(group, stacked.raw_scores(first.inputs), strict=True):
            # In the layout of a single network's scores, and without the others.
            each.raw = raw.clone(memory_format=torch.contiguous_format)


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
