"""Optimizers over one flat buffer of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class _FlatOptimizer(torch.optim.Optimizer):
    """An optimizer of one flat parameter, stepped without torch's checks and hooks.

    They cost more than the arithmetic of a small network. ``step`` is there for
    whoever expects it, such as torch's schedulers.
    """

    def flat_step(self) -> None:
        """Take a step."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; ``closure``, if given, computes the loss and the gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.flat_step()
        return loss


class FlatSGD(_FlatOptimizer):
    """Gradient descent with momentum, as scikit-learn does it.

    The velocity holds the learning rates of past steps, where torch's own would apply
    a changed rate to them too.
    """

    def __init__(self, params, lr, momentum, nesterov):
        super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov))
        (parameter,) = self.param_groups[0]["params"]
        self.state[parameter] = {"velocity": torch.zeros_like(parameter.data)}

    def flat_step(self):
        group = self.param_groups[0]
        rate, momentum = group["lr"], group["momentum"]
        (parameter,) = group["params"]
        velocity, gradient = self.state[parameter]["velocity"], parameter.grad
        velocity.mul_(momentum).sub_(gradient, alpha=rate)
        if group["nesterov"]:
            parameter.data.add_(velocity, alpha=momentum).sub_(gradient, alpha=rate)
        else:
            parameter.data.add_(velocity)


class FlatAdam(_FlatOptimizer):
    """Adam by torch's fused kernel.

    As in scikit-learn, and in the note at the end of section 2 of Kingma & Ba (2014),
    ``eps`` is added before the bias of the second moment is corrected.
    """

    def __init__(self, params, lr, betas, eps):
        # "fused" tells torch to put a loaded count of steps on the parameter's device.
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, fused=True))
        (parameter,) = self.param_groups[0]["params"]
        self.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter.data),
            "exp_avg_sq": torch.zeros_like(parameter.data),
        }
        self._prepare()

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self._prepare()

    def _prepare(self) -> None:
        """Lay out the kernel's arguments once."""
        ((parameter, state),) = self.state.items()
        self._n_steps = int(state["step"])
        self._tensors: tuple[Any, ...] = (
            [parameter.data],
            [parameter.grad],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
        )

    def flat_step(self):
        group = self.param_groups[0]
        beta_1, beta_2 = group["betas"]
        self._n_steps += 1
        self._tensors[-1][0].add_(1)
        torch._fused_adam_(
            *self._tensors,
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=group["eps"] / math.sqrt(1 - beta_2**self._n_steps),
            amsgrad=False,
            maximize=False,
        )


# Each takes the options and gives the class and its settings.
_OPTIMIZERS: dict[str, Callable[[Any], tuple[type, dict]]] = {
    "sgd": lambda o: (
        FlatSGD,
        dict(momentum=o.momentum, nesterov=o.nesterovs_momentum and o.momentum > 0),
    ),
    "adam": lambda o: (FlatAdam, _adam_settings(o)),
    # The trainer decays the weights itself, since biases are spared.
    "adamw": lambda o: (FlatAdam, _adam_settings(o)),
    "nadam": lambda o: (torch.optim.NAdam, _adam_settings(o)),
    "rmsprop": lambda o: (
        torch.optim.RMSprop,
        dict(alpha=0.9, momentum=o.momentum, eps=o.epsilon),
    ),
    "adagrad": lambda o: (torch.optim.Adagrad, dict(eps=o.epsilon, fused=True)),
    "adadelta": lambda o: (torch.optim.Adadelta, dict(eps=o.epsilon)),
}
STOCHASTIC_SOLVERS = list(_OPTIMIZERS)


def _adam_settings(options) -> dict:
    return dict(betas=(options.beta_1, options.beta_2), eps=options.epsilon)


class FlatParameters:
    """The trainable parameters of a module as views of one buffer.

    Parameters with two axes or more, the weights, come first: the L2 penalty is
    theirs. Their gradients are views of a second buffer.

    Raises
    ------
    ValueError
        If the module has nothing to train.
    """

    def __init__(self, module: nn.Module):
        parameters = [p for p in module.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError(
                f"The module {type(module).__name__} has no parameters to train."
            )
        parameters.sort(key=lambda p: p.ndim < 2)
        self.values = nn.Parameter(
            torch.cat([p.detach().reshape(-1) for p in parameters])
        )
        self.gradient = torch.zeros_like(self.values)
        self.values.grad = self.gradient
        start = 0
        for parameter in parameters:
            stop = start + parameter.numel()
            parameter.data = self.values.data[start:stop].view_as(parameter)
            parameter.grad = self.gradient[start:stop].view_as(parameter)
            start = stop
        self.n_weights = sum(p.numel() for p in parameters if p.ndim >= 2)

    @property
    def weights(self) -> Tensor:
        """The part of the buffer that the L2 penalty is for."""
        return self.values.data[: self.n_weights]

    @property
    def weight_gradient(self) -> Tensor:
        """The gradient of that part."""
        return self.gradient[: self.n_weights]


def _check_usable(kind: Callable) -> None:
    """Take a step with an optimizer of a user's choice, to see whether it can."""
    probe = nn.Parameter(torch.zeros(1))
    probe.grad = torch.zeros(1)
    try:
        kind([probe], lr=0.0).step()
    except Exception as error:
        raise ValueError(
            f"solver={kind!r} cannot be used: it must take the parameters, as one flat "
            f"tensor, and `lr`, and step without a closure. It says: {error}"
        ) from error


def make_optimizer(options, flat: FlatParameters) -> torch.optim.Optimizer:
    """Build the optimizer that ``options.solver`` names, or is."""
    if isinstance(options.solver, str):
        factory, settings = _OPTIMIZERS[options.solver](options)
    else:
        factory, settings = options.solver, {}
        _check_usable(factory)
    return factory([flat.values], lr=options.learning_rate_init, **settings)


def _converted(tree, leaf_type: type, convert: Callable):
    """Copy nested dicts and lists, with ``convert`` applied to the leaves of a type."""
    if isinstance(tree, leaf_type):
        return convert(tree)
    if isinstance(tree, dict):
        return {key: _converted(v, leaf_type, convert) for key, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_converted(v, leaf_type, convert) for v in tree)
    return tree


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict:
    """Return what the optimizer remembers, as numpy arrays and plain Python."""
    state = optimizer.state_dict()["state"]
    return _converted(state, Tensor, lambda tensor: tensor.cpu().numpy().copy())


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Put back what ``optimizer_state`` gave."""
    tensors = _converted(state, np.ndarray, lambda array: torch.tensor(array))
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": tensors, "param_groups": groups})
