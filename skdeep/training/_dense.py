"""The fast path: training dense networks by a hand-written gradient.

All tensors have a leading axis for K networks of the same shape, which take their steps
together. A single fit is a population of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from skdeep.training._batches import Batch, LossTally
from skdeep.training._flat import FlatOptimizer, FlatParameters, make_flat_optimizer
from skdeep.training._learner import Learner
from skdeep.training._protocols import (
    ActivationWithDerivative,
    DenseModule,
    DropoutMasks,
    LossWithGradient,
)


@dataclass
class _Workspace:
    """Preallocated memory of a step, for batches of one size.

    ``sums`` and ``deltas`` have one tensor (K, n_samples, width) for each hidden layer;
    ``raw_T`` (K, n_samples, n_scores) is a transposed view of the raw scores.
    ``products`` has, for each part of each layer, the bias, the weights and the output
    of their product with the layer's inputs: ``sums`` or, in the last layer, the raw
    scores.
    """

    sums: list[Tensor]
    deltas: list[Tensor]
    raw_T: Tensor
    products: list[list[tuple[Tensor, Tensor, Tensor]]]


class DenseStep:
    """Forward and backward pass of K dense networks of the same shape.

    Parameters
    ----------
    weights, weight_gradients : list of Tensor of shape (K, n_out, n_in)
        One for each layer; the gradients are overwritten.
    biases, bias_gradients : list of Tensor of shape (K, 1, n_out)
        The same for the biases.
    activation : Activation
        The activation of the hidden layers.
    loss : Loss
        The loss of the raw scores.
    dropout : sequence of Dropout
        One for each network, or empty.
    parts : sequence of int
        Sizes of groups of successive networks that read the same inputs; by default
        one group of all networks.
    """

    def __init__(
        self,
        weights: list[Tensor],
        biases: list[Tensor],
        weight_gradients: list[Tensor],
        bias_gradients: list[Tensor],
        activation: ActivationWithDerivative,
        loss: LossWithGradient,
        dropout: Sequence[DropoutMasks] = (),
        parts: Sequence[int] = (),
    ):
        self.weights = weights
        self.weight_gradients = weight_gradients
        self.bias_gradients = bias_gradients
        self.activation = activation
        self.loss = loss
        self.dropout = dropout
        self._parts = list(parts) or [len(weights[0])]
        # Make the views once: in each step, a view would cost as much as a small
        # product.
        *hidden, last = weights
        self._weights = self._split_by_inputs([*(weight.mT for weight in hidden), last])
        self._biases = self._split_by_inputs([*biases[:-1], biases[-1].mT])
        self._weight_gradients = self._split_by_inputs(weight_gradients)
        # Widths after the activation: maxout reduces them.
        self._activation_widths = [weight.shape[2] for weight in weights[1:]]
        self._workspaces: dict[int, _Workspace] = {}

    def _split_by_inputs(self, layers: list[Tensor]) -> list[Sequence[Tensor]]:
        """Split the tensor of the first layer into parts that read one input each."""
        first, *others = layers
        return [first.split(self._parts), *([layer] for layer in others)]

    def gradient(
        self,
        x: Sequence[Tensor],
        target: Tensor,
        scale: Tensor | float,
        counts: Sequence[int] | None = None,
    ) -> Tensor:
        """Write the gradient of the scaled losses; return the losses.

        ``x`` has the inputs of each of the ``parts``, (part, n_samples, n_inputs);
        ``target`` is (K, n_samples, ...) and ``scale`` a number or (K, n_samples, 1);
        the result is (K, n_samples). ``counts``, if given, has the number of rows of
        each network; the rows after them are padding of scale 0, for which no dropout
        is drawn.
        """
        workspace = self._workspaces.get(x[0].shape[1]) or self._make_workspace(
            x[0].shape[1]
        )
        inputs, outputs, masks = self._forward(x, workspace, counts)
        values, delta = self.loss.scaled_gradient(workspace.raw_T, target, scale)
        for depth in range(len(self.weights) - 1, -1, -1):
            # Only the first layer reads different inputs in each part.
            is_split = depth == 0 and len(self._parts) > 1
            deltas = delta.split(self._parts) if is_split else [delta]
            for part, read, gradient in zip(
                deltas, inputs[depth], self._weight_gradients[depth], strict=True
            ):
                torch.bmm(part.mT, read, out=gradient)
            torch.sum(delta, 1, keepdim=True, out=self.bias_gradients[depth])
            if depth == 0:
                break  # nothing needs the gradient of the inputs
            below = depth - 1
            delta = torch.bmm(delta, self.weights[depth], out=workspace.deltas[below])
            if masks:
                delta.mul_(masks[below])
            delta = self.activation.backward(
                delta, workspace.sums[below], outputs[below]
            )
        return values

    def _forward(
        self, x: Sequence[Tensor], workspace: _Workspace, counts: Sequence[int] | None
    ) -> tuple[list[Sequence[Tensor]], list[Tensor], list[Tensor]]:
        """Fill the workspace; return each layer's inputs, hidden outputs and masks."""
        inputs, outputs, masks = [x], [], []
        for depth, z in enumerate(workspace.sums):
            # (K, B, n_in) x (K, n_in, n_out) -> (K, B, n_out)
            products = zip(inputs[depth], workspace.products[depth], strict=True)
            for read, (bias, weight_T, out) in products:
                torch.baddbmm(bias, read, weight_T, out=out)
            a = self.activation.activate(z)
            outputs.append(a)
            if self.dropout:
                masks.append(self._masks(a, counts))
                a = a * masks[-1]
            inputs.append([a])
        # (K, n_out, n_in) x (K, n_in, B) -> (K, n_out, B): this product and the softmax
        # after it are faster with the few scores on an outer axis.
        products = zip(inputs[-1], workspace.products[-1], strict=True)
        for read, (bias_T, weight, out) in products:
            torch.baddbmm(bias_T, weight, read.mT, out=out)
        return inputs, outputs, masks

    def _make_workspace(self, n_samples: int) -> _Workspace:
        """Allocate a workspace for batches of a size.

        Allocating in each step would cause page faults. Two workspaces are kept: for
        full batches and for a shorter last batch.
        """
        if len(self._workspaces) == 2:
            self._workspaces.clear()
        new, k = self.weights[0].new_empty, len(self.weights[0])
        *hidden, n_scores = [weight.shape[1] for weight in self.weights]
        sums = [new(k, n_samples, width) for width in hidden]
        raw = new(k, n_scores, n_samples)
        layers = zip(
            self._biases,
            self._weights,
            self._split_by_inputs([*sums, raw]),
            strict=True,
        )
        self._workspaces[n_samples] = _Workspace(
            sums=sums,
            deltas=[new(k, n_samples, width) for width in self._activation_widths],
            raw_T=raw.mT,
            products=[list(zip(*layer, strict=True)) for layer in layers],
        )
        return self._workspaces[n_samples]

    def _masks(self, a: Tensor, counts: Sequence[int] | None) -> Tensor:
        """Draw the dropout factors for (K, B, n), network by network."""
        if len(self.dropout) == 1:
            return self.dropout[0].mask(a[0]).unsqueeze(0)
        masks = torch.zeros_like(a)
        counts = counts or [a.shape[1]] * len(a)
        for mask, n_rows, dropout in zip(masks, counts, self.dropout, strict=True):
            mask[:n_rows] = dropout.mask(mask[:n_rows])
        return masks


class DenseLearner(Learner):
    """Trains a plain ``DenseNetwork`` by a hand-written gradient.

    The objective must be ``Supervised``.
    """

    def _new_tally(self) -> LossTally:
        return LossTally()

    def _prepare_parameters(self) -> None:
        self.flat = FlatParameters(self.module)
        self.parameters = [self.flat.values]
        network = cast(DenseModule, self.module)
        objective: Any = self.objective
        layers = network.layers
        self._step = DenseStep(
            [layer.weight.data.unsqueeze(0) for layer in layers],
            [layer.bias.data[None, None] for layer in layers],
            [cast(Tensor, layer.weight.grad).unsqueeze(0) for layer in layers],
            [cast(Tensor, layer.bias.grad)[None, None] for layer in layers],
            network.activation,
            objective.loss,
            [network.dropout] if network.dropout.p else [],
        )
        self._weights = self.flat.weights
        self._weight_gradient = self.flat.weight_gradient

    # A plain network has no batch normalization.
    needs_two_rows = False

    def _make_optimizer(self) -> FlatOptimizer:
        return make_flat_optimizer(self.options, self.flat)

    def _take_step(self) -> None:
        self.optimizer.step()

    def _averaged_tensors(self) -> list[Tensor]:
        return [self.flat.values.data]

    def gradient(self, batch: Batch) -> Tensor:
        scale = batch.scale
        if isinstance(scale, Tensor):
            scale = scale[None, :, None]
        inputs: Any = batch.inputs
        target: Any = batch.target
        return self._step.gradient([inputs[0][None]], target[None], scale)[0]

    def _penalize(self, alpha: float, weight_sum: float) -> None:
        weights = self._weights
        self.tally.add_penalty(torch.dot(weights, weights), alpha / weight_sum)
        if self.options.solver == "adamw":
            weights.mul_(1 - self.rate * alpha)
        else:
            self._weight_gradient.add_(weights, alpha=alpha / weight_sum)

    def _clip(self, largest: float) -> None:
        norm = torch.linalg.vector_norm(self.flat.gradient)
        self.flat.gradient.mul_((largest / (norm + 1e-6)).clamp_max(1.0))

    def snapshot(self) -> Tensor:
        with self.averaged():
            return self.flat.values.detach().clone()

    def restore(self, snapshot: Tensor) -> None:
        self.flat.values.data.copy_(snapshot)

    def vector(self) -> Tensor:
        return self.flat.values.detach()

    def set_vector(self, values: Tensor) -> None:
        self.flat.values.data.copy_(values)

    def gradient_vector(self) -> Tensor:
        return self.flat.gradient

    def add_penalty(self, factor: float) -> float:
        self._weight_gradient.add_(self._weights, alpha=factor)
        return 0.5 * factor * torch.dot(self._weights, self._weights).item()

    def release(self) -> None:
        """Copy each parameter out of the flat buffer, and drop the gradients."""
        for parameter in self.module.parameters():
            parameter.data, parameter.grad = parameter.data.clone(), None
