"""The fast path: training dense networks by a hand-written gradient.

Tensors may have a leading axis for K networks of the same shape, which take their steps
together. In a step, samples are on the last axis: (K, width, n_samples). So one product
serves all networks that read the same rows, no operand is copied, and the values that
the softmax and the biases add up are adjacent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from skdeep.training._batches import Batch, LossTally
from skdeep.training._flat import FlatOptimizer, FlatParameters, make_flat_optimizer
from skdeep.training._learner import Learner
from skdeep.training._products import TORCH, Library, choose_library, is_torch_slow
from skdeep.training._protocols import (
    ActivationWithDerivative,
    DenseModule,
    DropoutMasks,
    LossWithGradient,
)

_Value = TypeVar("_Value")


class _lazy(Generic[_Value]):
    """A property that is computed once, as by ``functools.cached_property``.

    The lock of the latter, in Python 3.11, takes as long as a view of a tensor.
    """

    def __init__(self, compute: Callable[[Any], _Value]):
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, owner: Any, kind: Any = None) -> _Value:
        # Called only until the owner has an attribute of this name.
        value = self._compute(owner)
        vars(owner)[self._name] = value
        return value


class _Operand:
    """A tensor (K, m, n) and the views of it that a step needs.

    They are made once, because a view takes as long as a small product.

    Parameters
    ----------
    tensor : Tensor of shape (K, m, n) or (m, n)
        The tensor.
    view : callable
        Returns the operand of a product that shares its memory with a tensor.
    sizes : sequence of int
        Numbers of successive networks that read the same inputs.
    """

    def __init__(
        self, tensor: Tensor, view: Callable[[Tensor], Any], sizes: Sequence[int]
    ):
        self.tensor = tensor
        self._view, self._sizes = view, sizes

    @_lazy
    def transposed(self) -> Tensor:
        """The tensor with its last two axes swapped."""
        return self.tensor.mT

    @_lazy
    def array(self) -> Any:
        """The operand of a product."""
        return self._view(self.tensor)

    @_lazy
    def array_T(self) -> Any:
        """The operand of a product, with its last two axes swapped."""
        return self.array.mT

    @_lazy
    def parts(self) -> list[Any]:
        """One operand for the networks of each part, (part m, n)."""
        if self.tensor.ndim == 2:
            return [self.array]
        tensors = self.tensor.split(self._sizes)
        return [self._view(part.reshape(-1, part.shape[-1])) for part in tensors]


@dataclass
class _Workspace:
    """Preallocated memory of a step, for batches of one size.

    ``sums`` and ``deltas`` have (K, width, n_samples) for each hidden layer, ``raw``
    (K, n_scores, n_samples).
    """

    sums: list[_Operand]
    deltas: list[_Operand]
    raw: _Operand


class DenseStep:
    """Forward and backward pass of K dense networks of the same shape.

    For a single network, the axis of length K may be missing everywhere.

    Parameters
    ----------
    weights, weight_gradients : list of Tensor of shape (K, n_out, n_in)
        One for each layer; the gradients are overwritten. They may be missing if only
        ``scores`` is called.
    biases, bias_gradients : list of Tensor of shape (K, n_out, 1)
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
    library : Library, default=None
        Computes the products; by default the faster one.
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
        library: Library | None = None,
    ):
        self._library = library or choose_library(weights[0].device)
        self._multiply = self._library.multiply
        # numpy's library is slow for the first layers of networks that each have their
        # own rows, because it must transpose the rows.
        is_free = library is None and weights[0].device.type == "cpu"
        self._own_rows = TORCH if is_free and not is_torch_slow() else self._library
        self._sizes = list(parts) or [len(weights[0])]
        self._weights = [self._operand(weight) for weight in weights]
        self.weights = weights
        self._biases = biases
        self._gradients = [self._operand(gradient) for gradient in weight_gradients]
        self.weight_gradients = weight_gradients
        self.bias_gradients = bias_gradients
        self.activation = activation
        self.loss = loss
        self.dropout = dropout
        self._workspaces: dict[int, _Workspace] = {}

    def _operand(self, tensor: Tensor) -> _Operand:
        return _Operand(tensor, self._library.view, self._sizes)

    def gradient(
        self,
        x: Sequence[Tensor],
        target: Tensor,
        scale: Tensor | float,
        counts: Sequence[int] | None = None,
    ) -> Tensor:
        """Write the gradient of the scaled losses; return the losses.

        ``x`` has the inputs of each of the ``parts``, (n_samples, n_inputs), which all
        of its networks read, or one tensor (K, n_samples, n_inputs). ``target`` is
        (K, n_samples, ...) and ``scale`` a number or (K, n_samples, 1); the result is
        (K, n_samples). ``counts``, if given, has the number of rows of each network;
        the rows after them are padding of scale 0, for which no dropout is drawn.
        """
        # Unlike torch, numpy warns if training diverges.
        with np.errstate(all="ignore"):
            workspace = self._workspace(x[0].shape[-2])
            outputs, inputs, masks = self._forward(x, workspace, counts)
            raw = workspace.raw.transposed
            values, gradient = self.loss.scaled_gradient(raw, target, scale)
            delta = self._operand(gradient.mT)
            for depth in range(len(self._weights) - 1, 0, -1):
                below = depth - 1
                self._multiply(
                    delta.array, inputs[below].array_T, out=self._gradients[depth].array
                )
                self._sum_rows(depth, delta)
                delta = self._propagate(depth, delta, workspace.deltas[below])
                if masks:
                    delta.tensor.mul_(masks[below])
                delta = self._through_activation(
                    delta, workspace.sums[below], outputs[below]
                )
            self._first_gradient(x, delta)
            self._sum_rows(0, delta)
        return values

    def scores(self, x: Sequence[Tensor]) -> Tensor:
        """Return the raw scores without dropout, (K, n_samples, n_scores).

        The next call overwrites them.
        """
        with np.errstate(all="ignore"):
            workspace = self._workspace(x[0].shape[-2])
            self._forward(x, workspace, None, drops=False)
        return workspace.raw.transposed

    # -- forward -----------------------------------------------------------------------

    def _forward(
        self,
        x: Sequence[Tensor],
        workspace: _Workspace,
        counts: Sequence[int] | None,
        drops: bool = True,
    ) -> tuple[list[_Operand], list[_Operand], list[Tensor]]:
        """Fill the workspace; return the hidden outputs before and after dropout."""
        outputs: list[_Operand] = []
        inputs: list[_Operand] = []
        masks: list[Tensor] = []
        sums = [*workspace.sums, workspace.raw]
        layers = zip(self._weights, self._biases, sums, strict=True)
        for depth, (weight, bias, z) in enumerate(layers):
            # (K, n_out, n_in) x (K, n_in, B) -> (K, n_out, B)
            if depth == 0:
                self._multiply_inputs(x, z)
            else:
                self._multiply(weight.array, inputs[-1].array, out=z.array)
            z.tensor.add_(bias)
            if z is workspace.raw:
                break
            # Activations take and return (K, B, n_out).
            a = self.activation.activate(z.transposed)
            outputs.append(z if a is z.transposed else self._operand(a.mT))
            inputs.append(outputs[-1])
            if self.dropout and drops:
                masks.append(self._masks(a, counts))
                inputs[-1] = self._operand(outputs[-1].tensor * masks[-1])
        return outputs, inputs, masks

    def _multiply_inputs(self, x: Sequence[Tensor], z: _Operand) -> None:
        """Write the products of the first layer."""
        weight = self._weights[0]
        if x[0].ndim == 3:
            library = self._own_rows
            a, b, out = map(library.view, (weight.tensor, x[0].mT, z.tensor))
            library.multiply(a, b, out=out)
            return
        for read, part, out in zip(x, weight.parts, z.parts, strict=True):
            self._multiply(part, self._library.view(read.mT), out=out)

    def _masks(self, a: Tensor, counts: Sequence[int] | None) -> Tensor:
        """Draw the dropout factors (K, n, B) for (K, B, n), network by network."""
        # As a module would: the order of the draws is that of contiguous rows.
        if a.ndim == 2:
            return self.dropout[0].mask(a.new_empty(a.shape)).mT.contiguous()
        masks = torch.zeros_like(a.mT, memory_format=torch.contiguous_format)
        counts = counts or [a.shape[1]] * len(a)
        for mask, n_rows, dropout in zip(masks, counts, self.dropout, strict=True):
            rows = dropout.mask(a.new_empty(n_rows, a.shape[2]))
            mask[:, :n_rows] = rows.mT
        return masks

    # -- backward ----------------------------------------------------------------------

    def _sum_rows(self, depth: int, delta: _Operand) -> None:
        torch.sum(delta.tensor, -1, keepdim=True, out=self.bias_gradients[depth])

    def _propagate(self, depth: int, delta: _Operand, below: _Operand) -> _Operand:
        """Write the gradient with respect to the inputs of a layer."""
        weight = self._weights[depth]
        if weight.tensor.shape[-2] == 1:
            # numpy does not pass a product of a column and a row to its library.
            torch.mul(weight.transposed, delta.tensor, out=below.tensor)
        else:
            self._multiply(weight.array_T, delta.array, out=below.array)
        return below

    def _through_activation(
        self, delta: _Operand, z: _Operand, a: _Operand
    ) -> _Operand:
        """Turn the gradient with respect to outputs into that of their sums."""
        gradient = self.activation.backward(
            delta.transposed, z.transposed, a.transposed
        )
        return delta if gradient is delta.transposed else self._operand(gradient.mT)

    def _first_gradient(self, x: Sequence[Tensor], delta: _Operand) -> None:
        """Write the gradient of the weights of the first layer."""
        view, gradient = self._library.view, self._gradients[0]
        if x[0].ndim == 3:
            self._multiply(delta.array, view(x[0]), out=gradient.array)
            return
        for read, part, out in zip(x, delta.parts, gradient.parts, strict=True):
            self._multiply(part, view(read), out=out)

    # -- memory ------------------------------------------------------------------------

    def _workspace(self, n_samples: int) -> _Workspace:
        """Return the workspace for batches of a size.

        Allocating in each step would cause page faults. Two workspaces are kept: for
        full batches and for a shorter last batch.
        """
        found = self._workspaces.get(n_samples)
        if found is not None:
            return found
        if len(self._workspaces) == 2:
            self._workspaces.clear()
        new = self._weights[0].tensor.new_empty
        *k, _, _ = self._weights[0].tensor.shape
        *hidden, n_scores = [weight.tensor.shape[-2] for weight in self._weights]
        # Widths after the activation: maxout reduces them.
        widths = [weight.tensor.shape[-1] for weight in self._weights[1:]]

        def operands(widths: list[int]) -> list[_Operand]:
            return [self._operand(new(*k, width, n_samples)) for width in widths]

        made = _Workspace(operands(hidden), operands(widths), operands([n_scores])[0])
        self._workspaces[n_samples] = made
        return made


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
            [layer.weight.data for layer in layers],
            [layer.bias.data.unsqueeze(1) for layer in layers],
            [cast(Tensor, layer.weight.grad) for layer in layers],
            [cast(Tensor, layer.bias.grad).unsqueeze(1) for layer in layers],
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
            scale = scale.unsqueeze(1)
        inputs: Any = batch.inputs
        return self._step.gradient(inputs, batch.target, scale)

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
