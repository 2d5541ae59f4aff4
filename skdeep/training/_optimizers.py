"""Optimizers of parameters in their own shapes."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.training._device import is_memory_error

if TYPE_CHECKING:
    from skdeep.training._task import TrainingOptions


class _Optimizer(torch.optim.Optimizer):
    """Base class of skdeep's optimizers, which do not import torch's compiler.

    torch excludes these methods from compilation. To do so, it imports its compiler at
    their first call in a process, which takes seconds.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class Adam(_Optimizer):
    """Adam with torch's fused kernel and scikit-learn's epsilon.

    As in scikit-learn, and in the note at the end of section 2 of Kingma & Ba (2014),
    ``eps`` is added before the bias of the second moment is corrected.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], eps: float):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        # Counts in Python: reading them from tensors would synchronize the device.
        self._counts: dict[Tensor, int] = {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; ``closure``, if given, computes the loss and the gradient."""
        loss = _evaluate_closure(closure)
        for group in self.param_groups:
            # The kernel takes one epsilon, which depends on the number of steps.
            for count, parameters in self._by_count(group["params"]).items():
                self._update(group, count, parameters)
        return loss

    def _by_count(
        self, parameters: list[nn.Parameter]
    ) -> dict[Any, list[nn.Parameter]]:
        """Group the parameters that have a gradient by the number of their steps."""
        groups: dict[Any, list[nn.Parameter]] = {}
        for parameter in parameters:
            if parameter.grad is None:
                continue
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
            count = self._counts.get(parameter, 0) + 1
            self._counts[parameter] = count
            key = count, parameter.dtype, parameter.device
            groups.setdefault(key, []).append(parameter)
        return groups

    def _update(
        self, group: dict[str, Any], key: tuple[Any, ...], parameters: list[Any]
    ) -> None:
        beta_1, beta_2 = group["betas"]
        states = [self.state[parameter] for parameter in parameters]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=group["eps"] / math.sqrt(1 - beta_2 ** key[0]),
            amsgrad=False,
            maximize=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        super().load_state_dict(state_dict)
        self._counts = {p: int(state["step"]) for p, state in self.state.items()}


class SGD(_Optimizer):
    """Gradient descent with momentum, as in scikit-learn.

    The velocity contains the learning rates of past steps, whereas torch applies a
    changed rate to past gradients too.
    """

    def __init__(self, params: Any, lr: float, momentum: float, nesterov: bool):
        settings = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; ``closure``, if given, computes the loss and the gradient."""
        loss = _evaluate_closure(closure)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {"velocity": torch.zeros_like(parameter)}
        rate, momentum = group["lr"], group["momentum"]
        gradients = [parameter.grad for parameter in parameters]
        velocities = [self.state[parameter]["velocity"] for parameter in parameters]
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients, alpha=-rate)
        if group["nesterov"]:
            torch._foreach_add_(parameters, velocities, alpha=momentum)
            torch._foreach_add_(parameters, gradients, alpha=-rate)
        else:
            torch._foreach_add_(parameters, velocities)


def _evaluate_closure(closure: Callable[[], Any] | None) -> Any:
    """Return the loss that a closure computes, or None without a closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for matrices, combined with AdamW for all other parameters.

    Parameters
    ----------
    muon, adamw : torch.optim.Optimizer
        The two optimizers.
    """

    def __init__(self, muon: torch.optim.Optimizer, adamw: torch.optim.Optimizer):
        self._both = (muon, adamw)
        groups = [group for each in self._both for group in each.param_groups]
        super().__init__(groups, {})
        # The same dicts, so that a changed learning rate reaches both optimizers.
        self.param_groups = groups

    def step(self, closure: Any = None) -> Any:
        """Take a step; ``closure``, if given, computes the loss and the gradient."""
        loss = _evaluate_closure(closure)
        for each in self._both:
            each.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        first, second = (each.state_dict() for each in self._both)
        groups = [*first["param_groups"], *second["param_groups"]]
        return {"state": [first["state"], second["state"]], "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        groups = list(state_dict["param_groups"])
        for each, state in zip(self._both, state_dict["state"], strict=True):
            own = [groups.pop(0) for _ in each.param_groups]
            each.load_state_dict({"state": state, "param_groups": own})
            keep_dtypes(each, state)
        self.param_groups = [g for each in self._both for g in each.param_groups]


def adam_settings(options: TrainingOptions) -> dict[str, Any]:
    """Return the settings of Adam and its variants."""
    return dict(betas=(options.beta_1, options.beta_2), eps=options.epsilon)


def sgd_settings(options: TrainingOptions) -> dict[str, Any]:
    """Return the settings of gradient descent."""
    nesterov = options.nesterovs_momentum and options.momentum > 0
    return dict(momentum=options.momentum, nesterov=nesterov)


# Class and settings of each named solver. For adamw the learner itself decays the
# weights, because biases are not decayed.
OPTIMIZERS: dict[str, Callable[[TrainingOptions], tuple[Any, dict[str, Any]]]] = {
    "sgd": lambda o: (SGD, sgd_settings(o)),
    "adam": lambda o: (Adam, adam_settings(o)),
    "adamw": lambda o: (Adam, adam_settings(o)),
    "nadam": lambda o: (torch.optim.NAdam, adam_settings(o)),
    "rmsprop": lambda o: (
        torch.optim.RMSprop,
        dict(alpha=0.9, momentum=o.momentum, eps=o.epsilon),
    ),
    "adagrad": lambda o: (torch.optim.Adagrad, dict(eps=o.epsilon)),
    "adadelta": lambda o: (torch.optim.Adadelta, dict(eps=o.epsilon)),
}
STOCHASTIC_SOLVERS = list(OPTIMIZERS)


def make_optimizer(
    options: Any, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """Create the optimizer that ``options.solver`` names or, if callable, returns.

    Raises
    ------
    ValueError
        If a callable solver does not return an optimizer that can be used.
    """
    rate = options.learning_rate_init
    if isinstance(options.solver, str):
        factory, settings = OPTIMIZERS[options.solver](options)
        named: torch.optim.Optimizer = factory(parameters, lr=rate, **settings)
        return named
    solver, settings = options.solver, dict(options.solver_params or {})
    if _takes_learning_rate(solver):
        settings.setdefault("lr", rate)
    try:
        optimizer: torch.optim.Optimizer = _call_solver(solver, parameters, settings)
    except Exception as error:  # whatever the user's code may raise
        if is_memory_error(error):
            raise
        raise ValueError(
            f"solver={solver!r} failed to create an optimizer with {settings}: {error}"
        ) from error
    _check_optimizer(solver, optimizer)
    return optimizer


def _call_solver(
    solver: Any, parameters: list[nn.Parameter], settings: dict[str, Any]
) -> Any:
    kind = solver.func if isinstance(solver, functools.partial) else solver
    if kind is getattr(torch.optim, "Muon", None):
        others = [p for p in parameters if p.ndim != 2]
        matrices = [p for p in parameters if p.ndim == 2]
        if others and matrices:
            # Muon accepts matrices only.
            muon = solver(matrices, **settings)
            rate = muon.param_groups[0]["lr"]
            return MuonWithAdamW(muon, torch.optim.AdamW(others, lr=rate))
    return solver(parameters, **settings)


def _takes_learning_rate(solver: Any) -> bool:
    """Return whether a solver takes ``lr`` and does not set it itself."""
    if isinstance(solver, functools.partial) and "lr" in solver.keywords:
        return False
    try:
        return "lr" in inspect.signature(solver).parameters
    except (TypeError, ValueError):
        return isinstance(solver, type)


def _check_optimizer(solver: Any, optimizer: Any) -> None:
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            f"solver={solver!r} must return a torch.optim.Optimizer, got "
            f"{type(optimizer).__name__}."
        )
    if not all("lr" in group for group in optimizer.param_groups):
        raise ValueError(
            f"solver={solver!r} must return an optimizer with a learning rate 'lr', "
            "which schedules change."
        )
    step = inspect.signature(optimizer.step).parameters.values()
    if any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in step):
        raise ValueError(
            f"solver={solver!r} cannot be used, because its step needs a closure. Use "
            "another solver, or solver='lbfgs'."
        )


class MovingAverage:
    """The exponential moving average of parameters over the steps.

    It predicts better than the last parameters, which are noisy because of the last
    batches (Polyak & Juditsky, 1992). In the first steps the average is shorter.

    Parameters
    ----------
    tensors : sequence of Tensor
        The parameters to average.
    decay : float
        Weight of the previous average in each step.
    """

    def __init__(self, tensors: Sequence[Tensor], decay: float):
        self.tensors = [tensor.detach() for tensor in tensors]
        self.decay = decay
        self.values = [tensor.clone() for tensor in self.tensors]
        self.n_steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Update the average after a step."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        torch._foreach_lerp_(self.values, self.tensors, 1 - decay)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Temporarily swap in the averaged parameters."""
        latest = [tensor.clone() for tensor in self.tensors]
        self._set(self.values)
        try:
            yield
        finally:
            self._set(latest)

    def _set(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.tensors, values)

    def state(self) -> dict[str, Any]:
        """Return the state of the average as numpy arrays."""
        return {
            "values": [v.cpu().numpy().copy() for v in self.values],
            "n_steps": self.n_steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.n_steps = state["n_steps"]
        for value, array in zip(self.values, state["values"], strict=True):
            value.copy_(torch.from_numpy(array))


def _map_leaves(tree: Any, leaf_type: type, convert: Callable[[Any], Any]) -> Any:
    """Copy nested dicts and lists; apply ``convert`` to the leaves of a type."""
    if isinstance(tree, leaf_type):
        return convert(tree)
    if isinstance(tree, dict):
        return {key: _map_leaves(v, leaf_type, convert) for key, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_map_leaves(v, leaf_type, convert) for v in tree)
    return tree


def as_arrays(tree: Any) -> Any:
    """Return nested dicts and lists with tensors replaced by numpy arrays."""
    return _map_leaves(tree, Tensor, lambda tensor: tensor.cpu().numpy().copy())


def as_tensors(tree: Any) -> Any:
    """Return nested dicts and lists with numpy arrays replaced by tensors."""
    return _map_leaves(tree, np.ndarray, torch.tensor)


def restore_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Load the ``state_dict`` of an optimizer, whose tensors are numpy arrays.

    Without "param_groups" the optimizer keeps its own groups and learning rates.
    """
    tensors = as_tensors(state)
    if "param_groups" not in tensors:
        tensors["param_groups"] = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(tensors)
    if isinstance(tensors["state"], dict) and hasattr(optimizer, "defaults"):
        keep_dtypes(optimizer, tensors["state"])


# The values of the estimators' parameter `dtype`.
_PRECISIONS = (torch.float32, torch.float64)


def keep_dtypes(optimizer: Any, states: dict[int, dict[str, Any]]) -> None:
    """Undo the conversion of dtypes that torch does in ``load_state_dict``.

    torch converts all floats, such as a running product in float32, to the dtype of the
    parameter. The following steps would then be rounded differently.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for position, parameter in enumerate(parameters):
        own = optimizer.state[parameter]
        for name, value in states.get(position, {}).items():
            if not isinstance(value, Tensor) or own[name].dtype == value.dtype:
                continue
            # Moments follow the parameters if the user changes their precision.
            is_moment = value.shape == parameter.shape and value.dtype in _PRECISIONS
            if not (is_moment and parameter.dtype in _PRECISIONS):
                own[name] = value.to(own[name].device)
