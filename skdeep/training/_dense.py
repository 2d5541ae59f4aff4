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
    """Memory that a step works in, for batches of one size.

    ``sums`` and ``deltas`` are (K, n_samples, width), one a hidden layer, ``raw`` is
    (K, n_scores, n_samples) and ``raw_T`` a view of it the other way round.
    """

    sums: list[Tensor]
    deltas: list[Tensor]
    raw: Tensor
    raw_T: Tensor


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
        # Views made once: each costs a step as much as a small product does.
        self._weights_T = [weight.mT for weight in weights]
        self._last_bias_T = biases[-1].mT
        # What a layer reads; maxout hands on fewer values than the layer below gives.
        self._kept_widths = [weight.shape[2] for weight in weights[1:]]
        self._rooms: dict[int, _Room] = {}

    def gradient(
        self,
        x: Tensor,
        target: Tensor,
        scale: Tensor | float,
        counts: Sequence[int] | None = None,
    ) -> Tensor:
        """Write the gradient of the scaled losses; return the losses.

        ``x`` is (K, n_samples, n_inputs), ``target`` (K, n_samples, ...) and ``scale``
        a number or (K, n_samples, 1); the result is (K, n_samples). Where ``counts``
        are given, the rows of each network after so many are padding, of scale 0, for
        which no dropout is drawn.
        """
        room = self._rooms.get(x.shape[1]) or self._make_room(x.shape[1])
        inputs, outputs, masks = self._forward(x, room, counts)
        values, delta = self.loss.scaled_gradient(room.raw_T, target, scale)
        for depth in range(len(self.weights) - 1, -1, -1):
            torch.bmm(delta.mT, inputs[depth], out=self.weight_gradients[depth])
            torch.sum(delta, 1, keepdim=True, out=self.bias_gradients[depth])
            if depth == 0:
                break
            below = depth - 1
            delta = torch.bmm(delta, self.weights[depth], out=room.deltas[below])
            if masks:
                delta.mul_(masks[below])
            delta = self.activation.backward(delta, room.sums[below], outputs[below])
        return values

    def _forward(self, x: Tensor, room: _Room, counts: Sequence[int] | None):
        """Fill ``room.raw``; return each layer's input, hidden outputs and masks."""
        inputs, outputs, masks = [x], [], []
        for z, weight_T, bias in zip(
            room.sums, self._weights_T, self.biases, strict=False
        ):
            # (K, B, n_in) x (K, n_in, n_out) -> (K, B, n_out)
            torch.baddbmm(bias, x, weight_T, out=z)
            x = self.activation.activate(z)
            outputs.append(x)
            if self.dropout:
                masks.append(self._masks(x, counts))
                x = x * masks[-1]
            inputs.append(x)
        # (K, n_out, n_in) x (K, n_in, B) -> (K, n_out, B): with the few scores on an
        # outer axis this product and the softmax after it are faster.
        torch.baddbmm(self._last_bias_T, self.weights[-1], x.mT, out=room.raw)
        return inputs, outputs, masks

    def _make_room(self, n_samples: int) -> _Room:
        """Make room for batches of a size; new room in each step costs page faults.

        Two sizes are kept, that of the batches and that of a shorter last one.
        """
        if len(self._rooms) == 2:
            self._rooms.clear()
        new, k = self.weights[0].new_empty, len(self.weights[0])
        *hidden, n_scores = [weight.shape[1] for weight in self.weights]
        raw = new(k, n_scores, n_samples)
        self._rooms[n_samples] = _Room(
            sums=[new(k, n_samples, width) for width in hidden],
            deltas=[new(k, n_samples, width) for width in self._kept_widths],
            raw=raw,
            raw_T=raw.mT,
        )
        return self._rooms[n_samples]

    def _masks(self, a: Tensor, counts: Sequence[int] | None) -> Tensor:
        """Draw the dropout factors for (K, B, n), network by network."""
        if len(self.dropout) == 1:
            return self.dropout[0].mask(a[0]).unsqueeze(0)
        masks = torch.zeros_like(a)
        counts = counts or [a.shape[1]] * len(a)
        for mask, n_rows, dropout in zip(masks, counts, self.dropout, strict=True):
            mask[:n_rows] = dropout.mask(mask[:n_rows])
        return masks


class DenseTrainer(Trainer):
    """Trains one ``DenseNetwork`` of plain layers."""

    def __init__(self, task: Task):
        super().__init__(task)
        self._inputs: tuple[Tensor, ...] | None = None
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

    def take(self, rows):
        # The first batch is the largest: its memory serves for all.
        if self._inputs is None:
            self._inputs = super().take(rows)
            return self._inputs
        return self.task.train.rows.take(rows, room=self._inputs)

    def gradient(self, inputs, target, scale):
        if isinstance(scale, Tensor):
            scale = scale[None, :, None]
        return self._step.gradient(inputs[0][None], target[None], scale)[0]
