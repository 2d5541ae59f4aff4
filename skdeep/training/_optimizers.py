"""Optimizers over one flat buffer of parameters."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class FlatOptimizer(ABC):
    """An optimizer of one flat buffer of parameters.

    It has no checks and hooks, which cost torch's own more than the arithmetic of a
    small network does, and needs none of the compiler that those load at first use.
    ``AsTorchOptimizer`` puts torch's interface around it.

    Parameters
    ----------
    flat : FlatParameters
        What is optimized.
    lr : float
        The learning rate.
    **settings
        The other settings, by their names in torch.
    """

    def __init__(self, flat: FlatParameters, lr: float, **settings):
        self.flat = flat
        self.param_groups: list[dict] = [{"lr": lr, **settings}]
        self.state: dict[str, Tensor] = {}

    @abstractmethod
    def step(self) -> None:
        """Take a step."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Put back what ``state`` was."""
        for name, tensor in state.items():
            self.state[name].copy_(tensor)


class FlatSGD(FlatOptimizer):
    """Gradient descent with momentum, as scikit-learn does it.

    The velocity holds the learning rates of past steps, where torch's own would apply
    a changed rate to them too.
    """

    def __init__(self, flat, lr, momentum, nesterov):
        super().__init__(flat, lr, momentum=momentum, nesterov=nesterov)
        self.state = {"velocity": torch.zeros_like(flat.gradient)}

    def step(self):
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
    """Adam by torch's fused kernel.

    As in scikit-learn, and in the note at the end of section 2 of Kingma & Ba (2014),
    ``eps`` is added before the bias of the second moment is corrected.
    """

    def __init__(self, flat, lr, betas, eps):
        super().__init__(flat, lr, betas=betas, eps=eps)
        self.state = {
            "step": torch.zeros((), device=flat.gradient.device),
            "exp_avg": torch.zeros_like(flat.gradient),
            "exp_avg_sq": torch.zeros_like(flat.gradient),
        }
        self._n_steps = 0
        # The kernel's arguments, laid out once.
        self._tensors: tuple[Any, ...] = (
            [flat.values.data],
            [flat.gradient],
            [self.state["exp_avg"]],
            [self.state["exp_avg_sq"]],
            [],
            [self.state["step"]],
        )

    def load_state(self, state):
        super().load_state(state)
        self._n_steps = int(self.state["step"])

    def step(self):
        group = self.param_groups[0]
        beta_1, beta_2 = group["betas"]
        self._n_steps += 1
        self.state["step"].add_(1)
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


class AsTorchOptimizer(torch.optim.Optimizer):
    """A ``FlatOptimizer`` for those who expect one of torch's, such as its schedulers.

    Parameters
    ----------
    flat_optimizer : FlatOptimizer
        Takes the steps; the settings are shared with it.
    """

    def __init__(self, flat_optimizer: FlatOptimizer):
        (settings,) = flat_optimizer.param_groups
        super().__init__([flat_optimizer.flat.values], settings)
        flat_optimizer.param_groups = self.param_groups
        self._flat_optimizer = flat_optimizer

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; ``closure``, if given, computes the loss and the gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._flat_optimizer.step()
        return loss


# Each takes the options and gives the class and its settings.
_OPTIMIZERS: dict[str, Callable[[Any], tuple[Any, dict]]] = {
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
    "adagrad": lambda o: (torch.optim.Adagrad, dict(eps=o.epsilon)),
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


class MovingAverage:
    """The exponential moving average of the parameters over the steps.

    It predicts better than the last parameters, which the last batches have pushed
    about (Polyak & Juditsky, 1992). While there are few steps it looks less far back.

    Parameters
    ----------
    flat : FlatParameters
        What is averaged.
    decay : float
        Weight of the past in each step.
    """

    def __init__(self, flat: FlatParameters, decay: float):
        self.flat = flat
        self.decay = decay
        self.values = flat.values.detach().clone()
        self._n_steps = 0

    def update(self) -> None:
        """Take the parameters after a step in."""
        self._n_steps += 1
        decay = min(self.decay, (1 + self._n_steps) / (10 + self._n_steps))
        self.values.lerp_(self.flat.values.data, 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the parameters meanwhile."""
        latest = self.flat.values.detach().clone()
        self.flat.values.data.copy_(self.values)
        try:
            yield
        finally:
            self.flat.values.data.copy_(latest)


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


def make_optimizer(
    options, flat: FlatParameters
) -> FlatOptimizer | torch.optim.Optimizer:
    """Build the optimizer that ``options.solver`` names, or is."""
    rate = options.learning_rate_init
    if not isinstance(options.solver, str):
        _check_usable(options.solver)
        return options.solver([flat.values], lr=rate)
    factory, settings = _OPTIMIZERS[options.solver](options)
    if issubclass(factory, FlatOptimizer):
        return factory(flat, lr=rate, **settings)
    return factory([flat.values], lr=rate, **settings)


def as_torch(
    optimizer: FlatOptimizer | torch.optim.Optimizer,
) -> torch.optim.Optimizer:
    """Return an optimizer with torch's interface."""
    if isinstance(optimizer, FlatOptimizer):
        return AsTorchOptimizer(optimizer)
    return optimizer


def _converted(tree, leaf_type: type, convert: Callable):
    """Copy nested dicts and lists, with ``convert`` applied to the leaves of a type."""
    if isinstance(tree, leaf_type):
        return convert(tree)
    if isinstance(tree, dict):
        return {key: _converted(v, leaf_type, convert) for key, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_converted(v, leaf_type, convert) for v in tree)
    return tree


def optimizer_state(optimizer: FlatOptimizer | torch.optim.Optimizer) -> dict:
    """Return what the optimizer remembers, as numpy arrays and plain Python."""
    if isinstance(optimizer, FlatOptimizer):
        state: dict = optimizer.state
    else:
        state = optimizer.state_dict()["state"]
    return _converted(state, Tensor, lambda tensor: tensor.cpu().numpy().copy())


def restore_optimizer(
    optimizer: FlatOptimizer | torch.optim.Optimizer, state: dict
) -> None:
    """Put back what ``optimizer_state`` gave."""
    tensors = _converted(state, np.ndarray, torch.tensor)
    if isinstance(optimizer, FlatOptimizer):
        optimizer.load_state(tensors)
        return
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": tensors, "param_groups": groups})
