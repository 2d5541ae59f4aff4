"""The fast path: dense networks, their gradient written out.

Everything has a leading axis that counts networks of one shape which are stepped
together; a single fit is a population of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep.training._task import Task
from skdeep.training._trainer import Trainer


@dataclass
class _Room:
    """Memory that a step works in.

    ``sums`` and ``deltas`` are (K, n_samples, width), one a hidden layer, ``raw`` is
    (K, n_scores, n_samples).
    """

    sums: list[Tensor]
    deltas: list[Tensor]
    raw: Tensor


@dataclass
class _Passed:
    """What goes into a layer, ``a``, and how it came about in the layer below."""

    a: Tensor
    z: Tensor | None = None
    unmasked: Tensor | None = None
    mask: Tensor | None = None


class DenseStep:
    """Forward and backward through K dense networks of one shape.

    Parameters
    ----------
    weights, weight_gradients : list of Tensor of shape (K, n_out, n_in)
        One of each a layer; the gradients are written.
    biases, bias_gradients : list of Tensor of shape (K, 1, n_out)
        The same for the biases.
    activation : Activation
        Between the layers.
    loss : Loss
        Of the raw scores.
    dropout : sequence of Dropout
        One a network, or none.
    """

    def __init__(
        self,
        weights: list[Tensor],
        biases: list[Tensor],
        weight_gradients: list[Tensor],
        bias_gradients: list[Tensor],
        activation,
        loss,
        dropout: Sequence = (),
    ):
        self.weights = weights
        self.biases = biases
        self.weight_gradients = weight_gradients
        self.bias_gradients = bias_gradients
        self.activation = activation
        self.loss = loss
        self.dropout = dropout
        # What a layer reads; maxout hands on fewer values than the layer below gives.
        self._kept_widths = [weight.shape[2] for weight in weights[1:]]
        self._rooms: dict[int, _Room] = {}

    def gradient(self, x: Tensor, target: Tensor, scale: Tensor | float) -> Tensor:
        """Write the gradient of the scaled losses; return the losses.

        ``x`` is (K, n_samples, n_inputs), ``target`` (K, n_samples, ...) and ``scale``
        a number or (K, n_samples, 1); the result is (K, n_samples).
        """
        room = self._room_for(x.shape[1])
        raw, passed = self._forward(x, room)
        values, delta = self.loss.with_gradient(raw, target)
        delta.mul_(scale)
        for depth in reversed(range(len(self.weights))):
            torch.bmm(delta.mT, passed[depth].a, out=self.weight_gradients[depth])
            torch.sum(delta, 1, keepdim=True, out=self.bias_gradients[depth])
            if depth:
                below = passed[depth]
                torch.bmm(delta, self.weights[depth], out=room.deltas[depth - 1])
                delta = room.deltas[depth - 1]
                if below.mask is not None:
                    delta.mul_(below.mask)
                delta = self.activation.backward(delta, below.z, below.unmasked)
        return values

    def _forward(self, x: Tensor, room: _Room) -> tuple[Tensor, list[_Passed]]:
        """Return raw scores (K, n_samples, n_scores) and what goes into each layer."""
        passed = [_Passed(x)]
        for z, weight, bias in zip(room.sums, self.weights, self.biases, strict=False):
            # (K, B, n_in) x (K, n_in, n_out) -> (K, B, n_out)
            torch.baddbmm(bias, passed[-1].a, weight.mT, out=z)
            a = self.activation.activate(z)
            mask = self._masks(a) if self.dropout else None
            kept = a if mask is None else a * mask
            passed.append(_Passed(kept, z, a, mask))
        # (K, n_out, n_in) x (K, n_in, B) -> (K, n_out, B): with the few scores on an
        # outer axis this product and the softmax after it are faster.
        last = passed[-1].a.mT
        torch.baddbmm(self.biases[-1].mT, self.weights[-1], last, out=room.raw)
        return room.raw.mT, passed

    def _room_for(self, n_samples: int) -> _Room:
        """Return memory for a batch; fresh memory in every step would cost page faults.

        Two sizes are kept, that of the batches and that of a shorter last one.
        """
        if n_samples not in self._rooms:
            if len(self._rooms) == 2:
                self._rooms.clear()
            k, widths = len(self.weights[0]), [w.shape[1] for w in self.weights]
            new = self.weights[0].new_empty
            self._rooms[n_samples] = _Room(
                sums=[new(k, n_samples, width) for width in widths[:-1]],
                deltas=[new(k, n_samples, width) for width in self._kept_widths],
                raw=new(k, widths[-1], n_samples),
            )
        return self._rooms[n_samples]

    def _masks(self, a: Tensor) -> Tensor:
        """Draw the dropout factors for (K, B, n), network by network."""
        drawn = [d.mask(a[k]) for k, d in enumerate(self.dropout)]
        return torch.stack(drawn) if len(drawn) > 1 else drawn[0].unsqueeze(0)


class DenseTrainer(Trainer):
    """Trains one ``DenseNetwork`` of plain layers."""

    def __init__(self, task: Task):
        super().__init__(task)
        network: Any = task.network
        layers = network.layers
        self._step = DenseStep(
            [layer.weight.data.unsqueeze(0) for layer in layers],
            [layer.bias.data[None, None] for layer in layers],
            [layer.weight.grad.unsqueeze(0) for layer in layers],
            [layer.bias.grad[None, None] for layer in layers],
            network.activation,
            task.loss,
            [network.dropout] if network.dropout.p else [],
        )

    def gradient(self, inputs, target, scale):
        if isinstance(scale, Tensor):
            scale = scale[None, :, None]
        return self._step.gradient(inputs[0][None], target[None], scale)[0]
