"""Parameters of a dense network in one flat buffer, and optimizers of the buffer.

One call updates all layers. Only the dense fast path uses flat buffers: elsewhere
parameters keep their shapes, which many optimizers and modules need.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skdeep.training._optimizers import OPTIMIZERS, SGD, Adam, keep_dtypes

if TYPE_CHECKING:
    from skdeep.training._task import TrainingOptions


class FlatParameters:
    """The parameters of a module as views of one buffer.

    Parameters with two or more axes, the weights, come first, because only they have
    an L2 penalty. The gradients are views of a second buffer.
    """

    def __init__(self, module: nn.Module):
        in_order = list(module.parameters())
        #: Index in ``module.parameters()`` of each parameter in the buffer.
        self.positions = sorted(
            range(len(in_order)), key=lambda i: in_order[i].ndim < 2
        )
        parameters = [in_order[i] for i in self.positions]
        self.shapes = [tuple(parameter.shape) for parameter in parameters]
        self._sizes = [parameter.numel() for parameter in parameters]
        self.values = nn.Parameter(
            torch.cat([p.detach().reshape(-1) for p in parameters])
        )
        self.gradient = torch.zeros_like(self.values)
        self.values.grad = self.gradient
        values, gradients = self.split(self.values.data), self.split(self.gradient)
        for parameter, value, gradient in zip(
            parameters, values, gradients, strict=True
        ):
            parameter.data, parameter.grad = value, gradient
        self.n_weights = sum(p.numel() for p in parameters if p.ndim >= 2)

    def split(self, buffer: Tensor) -> list[Tensor]:
        """Split a buffer into views with the shapes of the parameters."""
        # Tensor.split calls this, but takes three times as long.
        parts = buffer.split_with_sizes(self._sizes)
        return [part.view(s) for part, s in zip(parts, self.shapes, strict=True)]

    @property
    def weights(self) -> Tensor:
        """The part of the buffer with an L2 penalty."""
        return self.values.data[: self.n_weights]

    @property
    def weight_gradient(self) -> Tensor:
        """The gradient of ``weights``."""
        return self.gradient[: self.n_weights]


class FlatOptimizer(ABC):
    """An optimizer of one flat buffer of parameters.

    Unlike ``torch.optim.Optimizer`` it has no checks and hooks, which take longer than
    the arithmetic of a small network, and does not import torch's compiler.

    Parameters
    ----------
    flat : FlatParameters
        The parameters to optimize.
    lr : float
        The learning rate.
    **settings
        Other settings, named as in torch.
    """

    def __init__(self, flat: FlatParameters, lr: float, **settings: Any):
        self.flat = flat
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, **settings}]
        self.state: dict[str, Tensor] = {}

    @abstractmethod
    def step(self) -> None:
        """Take a step."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the format of torch's optimizers, by parameter."""
        return {
            "state": _split_state(self.flat, self.state),
            "param_groups": [dict(group) for group in self.param_groups],
        }

    def put(self, name: str, tensor: Tensor) -> None:
        """Replace one part of the state."""
        # In place: the arguments of the kernel refer to these tensors.
        self.state[name].copy_(tensor)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the ``state_dict`` of this optimizer or of torch's own."""
        state = _join_states(self.flat, state_dict["state"])
        for name, tensor in state.items():
            self.put(name, tensor)
        self.param_groups[0].update(_settings(state_dict))


def _split_state(
    flat: FlatParameters, state: dict[str, Tensor]
) -> dict[int, dict[str, Any]]:
    """Split the state of a flat buffer into the states of its parameters."""
    states: dict[int, dict[str, Any]] = {position: {} for position in flat.positions}
    for name, tensor in state.items():
        is_buffer = isinstance(tensor, Tensor) and tensor.shape == flat.values.shape
        parts = flat.split(tensor) if is_buffer else [tensor] * len(flat.positions)
        for position, part in zip(flat.positions, parts, strict=True):
            states[position][name] = part
    return states


def _join_states(
    flat: FlatParameters, states: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """Join the states of the parameters into the state of the flat buffer.

    A frozen parameter has taken no step and has no state, which counts as zero.
    """
    first = next(
        (position for position in flat.positions if states.get(position)), None
    )
    if first is None:
        return {}
    shapes = dict(zip(flat.positions, flat.shapes, strict=True))
    joined = {}
    for name, value in states[first].items():
        if not isinstance(value, Tensor) or value.shape != shapes[first]:
            joined[name] = value
            continue
        parts = [
            states.get(position, {}).get(name, value.new_zeros(shapes[position]))
            for position in flat.positions
        ]
        joined[name] = torch.cat([part.reshape(-1) for part in parts])
    return joined


def _settings(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in the ``state_dict`` of an optimizer of one group."""
    (group,) = state_dict["param_groups"]
    return {name: value for name, value in group.items() if name != "params"}


class FlatSGD(FlatOptimizer):
    """``SGD`` for a flat buffer."""

    def __init__(
        self, flat: FlatParameters, lr: float, momentum: float, nesterov: bool
    ):
        super().__init__(flat, lr, momentum=momentum, nesterov=nesterov)
        self.state = {"velocity": torch.zeros_like(flat.gradient)}

    def step(self) -> None:
        (group,) = self.param_groups
        rate, momentum = group["lr"], group["momentum"]
        values, gradient = self.flat.values.data, self.flat.gradient
        velocity = self.state["velocity"]
        velocity.mul_(momentum).sub_(gradient, alpha=rate)
        if group["nesterov"]:
            values.add_(velocity, alpha=momentum).sub_(gradient, alpha=rate)
        else:
            values.add_(velocity)


class FlatAdam(FlatOptimizer):
    """``Adam`` for a flat buffer."""

    def __init__(
        self, flat: FlatParameters, lr: float, betas: tuple[float, float], eps: float
    ):
        super().__init__(flat, lr, betas=betas, eps=eps)
        self.state = {
            "step": torch.zeros((), device=flat.gradient.device),
            "exp_avg": torch.zeros_like(flat.gradient),
            "exp_avg_sq": torch.zeros_like(flat.gradient),
        }
        self._n_steps = 0
        # The kernel's bias correction is disabled, by an "infinite" number of steps,
        # and applied to the learning rate: counting in a tensor takes time.
        infinite = torch.full_like(self.state["step"], torch.finfo(torch.float32).max)
        # The arguments of the kernel: making the lists in each step takes time.
        self._tensors: tuple[Any, ...] = (
            [flat.values.data],
            [flat.gradient],
            [self.state["exp_avg"]],
            [self.state["exp_avg_sq"]],
            [],
            [infinite],
        )

    def state_dict(self) -> dict[str, Any]:
        self.state["step"].fill_(self._n_steps)
        return super().state_dict()

    def put(self, name: str, tensor: Tensor) -> None:
        super().put(name, tensor)
        self._n_steps = int(self.state["step"])

    def step(self) -> None:
        group = self.param_groups[0]
        beta_1, beta_2 = group["betas"]
        self._n_steps += 1
        correction = math.sqrt(1 - beta_2**self._n_steps) / (1 - beta_1**self._n_steps)
        torch._fused_adam_(
            *self._tensors,
            lr=group["lr"] * correction,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            # See ``Adam``: epsilon before the bias correction, as in scikit-learn.
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


class FlatTorchOptimizer(FlatOptimizer):
    """One of torch's element-wise optimizers for a flat buffer."""

    def __init__(
        self,
        flat: FlatParameters,
        lr: float,
        kind: Callable[..., torch.optim.Optimizer],
        **settings: Any,
    ):
        super().__init__(flat, lr)
        self._optimizer = kind([flat.values], lr=lr, **settings)
        self.param_groups = self._optimizer.param_groups

    def step(self) -> None:
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        (group,) = self._optimizer.state_dict()["param_groups"]
        state = self._optimizer.state[self.flat.values]
        return {"state": _split_state(self.flat, state), "param_groups": [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = {0: _join_states(self.flat, state_dict["state"])}
        own = self._optimizer.state_dict()["param_groups"]
        own[0].update(_settings(state_dict))
        self._optimizer.load_state_dict({"state": state, "param_groups": own})
        keep_dtypes(self._optimizer, state)
        self.param_groups = self._optimizer.param_groups


_FLAT_OPTIMIZERS: dict[Any, type[FlatOptimizer]] = {Adam: FlatAdam, SGD: FlatSGD}


def make_flat_optimizer(
    options: TrainingOptions, flat: FlatParameters
) -> FlatOptimizer:
    """Create the optimizer called ``options.solver`` for a flat buffer."""
    kind, settings = OPTIMIZERS[options.solver](options)
    if kind in _FLAT_OPTIMIZERS:
        return _FLAT_OPTIMIZERS[kind](flat, options.learning_rate_init, **settings)
    return FlatTorchOptimizer(flat, options.learning_rate_init, kind, **settings)
