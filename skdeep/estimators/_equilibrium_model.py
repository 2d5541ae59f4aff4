"""Economic models: their protocol, its checks, expectations and simulated paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Protocol

import joblib
import numpy as np
import torch
from torch import Tensor

from skdeep._messages import first_line
from skdeep.estimators._shocks import Shocks
from skdeep.networks import PolicyNetwork
from skdeep.training import stable_repr

Function = Callable[[Tensor, Tensor, Tensor], Tensor]
Expect = Callable[[Function], Tensor]
Bounds = Sequence[tuple[float | None, float | None]]

_MEMBERS = (
    "states",
    "policies",
    "policy_bounds",
    "shocks",
    "initial_states",
    "step",
    "residuals",
)


class EquilibriumModel(Protocol):
    """What a model must have; :func:`check_equilibrium_model` documents it."""

    states: Sequence[str]
    policies: Sequence[str]
    policy_bounds: Bounds
    shocks: Shocks

    def initial_states(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return states at which simulations begin, (n, n_states)."""

    def step(self, states: Tensor, policies: Tensor, shocks: Tensor) -> Tensor:
        """Return the states of the next period, (n, n_states)."""

    def residuals(self, states: Tensor, policies: Tensor, expect: Expect) -> Tensor:
        """Return the errors of the equilibrium conditions, (n, n_equations)."""


# -- the public check ------------------------------------------------------------------


def check_equilibrium_model(model) -> None:
    """Check that an economic model can be solved by :class:`EquilibriumNet`.

    Parameters
    ----------
    model : object
        The model. It has these attributes and methods:

        ``states``, ``policies``
            Lists of the names of the state variables and of the policies.
        ``policy_bounds``
            A list with the lower and the upper bound of each policy, None for no bound.
            The network's outputs are mapped into them.
        ``shocks``
            :class:`DiscreteShocks`, :class:`GaussHermite` or :class:`MonteCarlo`.
        ``initial_states(n, rng)``
            Returns an array of shape (n, n_states): states at which simulations begin.
            ``rng`` is a :class:`numpy.random.Generator`. Training is faster if they are
            like the states of the solution, for example those after some periods in
            which simple policies are followed.
        ``step(states, policies, shocks)``
            Returns the states of the next period as a tensor of shape (n, n_states).
            The arguments are tensors of shapes (n, n_states), (n, n_policies) and
            (n, n_shocks).
        ``residuals(states, policies, expect)``
            Returns a tensor of shape (n, n_equations), or (n,) for one equation: the
            errors of the equilibrium conditions, best without a unit, such as relative
            Euler errors. ``expect(function)`` is the expectation over the next period's
            shocks of ``function(next_states, next_policies, shocks)``. The function
            gets tensors of shapes (n_nodes, n, n_states), (n_nodes, n, n_policies) and
            (n_nodes, 1, n_shocks) and returns (n_nodes, n) or (n_nodes, n, m); the
            expectation is (n,) or (n, m). ``states.unbind(-1)`` gives the columns of
            tensors of both kinds. The next policies are those of the network.

    Raises
    ------
    TypeError, ValueError
        If something is missing or has the wrong type or shape, if the states or
        residuals are not finite, or if the residuals have no gradient with respect to
        the policies. The message names the attribute.

    See Also
    --------
    EquilibriumNet : Solves the model; ``fit`` makes the same checks.

    Examples
    --------
    The growth model of Brock and Mirman. The policy is the share of output that is
    saved, and the residual is the relative error of the Euler equation:

    >>> import numpy as np
    >>> import torch
    >>> from skdeep import DiscreteShocks, check_equilibrium_model
    >>> class Growth:
    ...     states, policies, policy_bounds = ["k", "z"], ["share"], [(0, 1)]
    ...     shocks = DiscreteShocks([0.9, 1.1])
    ...
    ...     def initial_states(self, n, rng):
    ...         return np.column_stack([rng.uniform(0.1, 0.3, n), np.ones(n)])
    ...
    ...     def output(self, states):
    ...         k, z = states.unbind(-1)
    ...         return z * k**0.36
    ...
    ...     def step(self, states, policies, shocks):
    ...         return torch.stack(
    ...             [policies[:, 0] * self.output(states), shocks[:, 0]], 1
    ...         )
    ...
    ...     def residuals(self, states, policies, expect):
    ...         consumption = (1 - policies[:, 0]) * self.output(states)
    ...
    ...         def discounted_return(next_states, next_policies, shocks):
    ...             rate = 0.36 * self.output(next_states) / next_states[..., 0]
    ...             share = next_policies[..., 0]
    ...             return 0.96 * rate / ((1 - share) * self.output(next_states))
    ...
    ...         return 1 - 1 / (consumption * expect(discounted_return))
    >>> check_equilibrium_model(Growth())
    """
    check_structure(model)
    network = PolicyNetwork(len(model.states), [8], model.policy_bounds).double()
    network.initialize(np.random.RandomState(0))
    # Not as many rows as there are columns, so that a transposed result is noticed.
    n = 3 + max(len(model.states), len(model.policies))
    states = torch.from_numpy(first_states(model, n, np.random.default_rng(0)))
    network.standardize(states)
    check_dynamics(model, network, states)


def check_structure(model: Any) -> None:
    """Check all of a model but its equations."""
    if isinstance(model, type):
        raise TypeError(
            f"model must be an instance, got the class {model.__name__}: pass "
            f"model={model.__name__}(...)."
        )
    missing = [name for name in _MEMBERS if not hasattr(model, name)]
    if missing:
        raise TypeError(
            f"model must have {', '.join(_MEMBERS)}; {type(model).__name__} has no "
            f"{', '.join(missing)}. See check_equilibrium_model."
        )
    for name in ("initial_states", "step", "residuals"):
        if not callable(getattr(model, name)):
            raise TypeError(
                f"model.{name} must be a method, got {getattr(model, name)!r}."
            )
    _check_names(model.states, "states")
    _check_names(model.policies, "policies")
    _check_bounds(model.policy_bounds, model.policies)
    if not isinstance(model.shocks, Shocks):
        raise TypeError(
            "model.shocks must be DiscreteShocks, GaussHermite or MonteCarlo, got "
            f"{model.shocks!r}."
        )


def _check_names(names: Any, attribute: str) -> None:
    is_list = isinstance(names, (list, tuple)) and len(names) > 0
    if not is_list or not all(isinstance(name, str) for name in names):
        raise TypeError(f"model.{attribute} must be a list of names, got {names!r}.")
    if len(set(names)) < len(names):
        raise ValueError(f"model.{attribute} must have distinct names, got {names!r}.")


def _check_bounds(bounds: Any, policies: Sequence[str]) -> None:
    text = (
        "model.policy_bounds must be a list with a pair (low, high) of numbers or None "
        "for each policy, "
    )
    if not isinstance(bounds, (list, tuple)):
        raise TypeError(f"{text}got {bounds!r}.")
    if len(bounds) != len(policies):
        raise ValueError(
            f"{text}got {len(bounds)} pairs for {len(policies)} policies {policies!r}."
        )
    for pair, policy in zip(bounds, policies, strict=True):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError(f"{text}got {pair!r} for {policy!r}.")
        given = [value for value in pair if value is not None]
        if not all(isinstance(value, Real) for value in given):
            raise TypeError(f"{text}got {pair!r} for {policy!r}.")
        # Not numpy, which cannot compare large ints.
        if not all(abs(value) < np.inf for value in given) or (
            len(given) == 2 and pair[0] >= pair[1]
        ):
            raise ValueError(
                f"{text}finite and with low < high, got {pair!r} for {policy!r}."
            )


def first_states(model: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return initial states of a model as a float array, checked."""
    found = _call(model, "initial_states", n, rng)
    if isinstance(found, Tensor):
        found = found.detach().cpu().numpy()
    expected = (n, len(model.states))
    try:
        states = np.asarray(found)
    except ValueError as error:  # lists of different lengths
        raise ValueError(
            "model.initial_states(n, rng) must return an array of shape (n, n_states), "
            f"for n={n} {expected}: {first_line(error)}"
        ) from error
    if states.shape != expected:
        raise ValueError(
            "model.initial_states(n, rng) must return an array of shape (n, n_states), "
            f"for n={n} {expected}, got {states.shape}."
        )
    if states.dtype.kind not in "biuf":
        raise TypeError(
            f"model.initial_states must return numbers, got {states.dtype}."
        )
    if not np.isfinite(states).all():
        raise ValueError(
            "model.initial_states must return finite numbers, got "
            f"{_shown(model.states, states, ~np.isfinite(states).all(1))}."
        )
    is_float = states.dtype in (np.float32, np.float64)
    return states if is_float else states.astype(np.float64)


def check_dynamics(model: Any, network: PolicyNetwork, states: Tensor) -> None:
    """Check the equations of a model at some states, with a network's policies."""
    rng = np.random.default_rng(0)
    policies = network(states).detach()
    versions = states._version, policies._version
    check_probabilities(model, states)
    shocks = model.shocks.draw(states, rng)
    following = next_states(model, states, policies, shocks)
    bad = ~following.isfinite().all(1)
    if bad.any():
        raise ValueError(
            "model.step must return finite states, got "
            f"{_shown(model.states, following, bad)} after "
            f"{_shown(model.states, states, bad)}, "
            f"{_shown(model.policies, policies, bad)} and shocks "
            f"{shocks[bad][0].tolist()}, with the policies of an untrained network."
        )
    with torch.enable_grad():
        policies.requires_grad_()
        expectation = Expectation(model, network, states, policies, rng)
        values = residuals_of(model, states, policies, expectation)
        gradient = None
        if values.requires_grad:
            (gradient,) = torch.autograd.grad(
                values.square().mean(), policies, allow_unused=True
            )
    if (states._version, policies._version) != versions:
        raise ValueError(
            "model.step and model.residuals must not change states or policies in "
            "place. Use operations that return new tensors."
        )
    check_finite_residuals(model, states, policies, values)
    if gradient is None:
        raise ValueError(
            "model.residuals must depend on policies by operations of torch: the "
            "result has no gradient. Remove detach(), no_grad() and numpy."
        )


def check_probabilities(model: Any, states: Tensor) -> None:
    """Raise if the probabilities of shocks are not probabilities in some states."""
    weights = model.shocks.weights(states)  # (n_nodes, n or 1)
    # NaN compares as False.
    good = (weights >= 0).all(0) & ((weights.sum(0) - 1).abs() < 1e-4)
    if not good.all():
        found = weights.T[~good][0].tolist()
        raise ValueError(
            "model.shocks: probabilities must return non-negative numbers that sum to "
            f"1, got {found}, whose sum is {sum(found):g}, at "
            f"{_shown(model.states, states, ~good.expand(len(states)))}."
        )


def check_finite_residuals(
    model: Any, states: Tensor, policies: Tensor, values: Tensor
) -> None:
    """Raise if residuals are not finite for an untrained network."""
    bad = ~values.isfinite().all(1)
    if bad.any():
        raise ValueError(
            f"model.residuals must return finite numbers, got {values[bad][0].tolist()}"
            f" at {_shown(model.states, states, bad)} and "
            f"{_shown(model.policies, policies, bad)}, the policies of an untrained "
            f"network ({int(bad.sum())} of {len(bad)} rows). Check policy_bounds and "
            "initial_states, or clamp what may become negative or 0."
        )


def _shown(names: Sequence[str], rows: Any, is_shown: Any) -> str:
    """Return the first of some rows as text."""
    (row, *_) = rows[is_shown].tolist()
    return ", ".join(f"{n}={v:.6g}" for n, v in zip(names, row, strict=True))


def model_identity(model: Any) -> str:
    """Return a text that is the same for equal models, in any process."""
    members = {name: getattr(model, name) for name in _MEMBERS}
    return str(joblib.hash(_described([members, model], [])))


def _described(value: Any, outer: list[int]) -> Any:
    """Describe a value by its attributes and items, for a hash.

    ``outer`` holds the ids of the objects that the value belongs to.
    """
    if isinstance(value, Tensor):  # its pickle differs from process to process
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return joblib.hash(value)
    if isinstance(value, (list, tuple)):
        return [_described(item, outer) for item in value]
    if isinstance(value, dict):
        return {str(key): _described(item, outer) for key, item in value.items()}
    is_plain = hasattr(value, "__dict__") and not hasattr(value, "__qualname__")
    if not is_plain or isinstance(value, torch.nn.Module):
        return stable_repr(value)
    name = type(value).__qualname__
    if id(value) in outer:
        return name
    return [name, _described(vars(value), [*outer, id(value)])]


# -- calls of the model ----------------------------------------------------------------


def _call(model: Any, method: str, *arguments: Any) -> Any:
    """Call a method of a model; errors say which one."""
    try:
        return getattr(model, method)(*arguments)
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError) as error:
        error.add_note(f"Raised by model.{method} of {type(model).__name__}.")
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError) as error:
        raise ValueError(f"model.{method} failed: {first_line(error)}") from error


def next_states(model: Any, states: Tensor, policies: Tensor, shocks: Tensor) -> Tensor:
    """Return the states of the next period, (n, n_states), in the type of ``states``.

    Raises
    ------
    TypeError, ValueError
        If ``step`` does not return a tensor of this shape.
    """
    following = _call(model, "step", states, policies, shocks)
    if not isinstance(following, Tensor):
        raise TypeError(
            "model.step must return a tensor of shape (n, n_states), got "
            f"{type(following).__name__}."
        )
    if following.shape != states.shape:
        raise ValueError(
            "model.step must return a tensor of shape (n, n_states), here "
            f"{tuple(states.shape)}, got {tuple(following.shape)}."
        )
    return following.to(states)


def residuals_of(
    model: Any, states: Tensor, policies: Tensor, expect: Expectation
) -> Tensor:
    """Return the residuals, (n, n_equations).

    Raises
    ------
    TypeError, ValueError
        If ``residuals`` does not return a tensor of this shape.
    """
    values = _call(model, "residuals", states, policies, expect)
    text = "model.residuals must return a tensor of shape (n, n_equations) or (n,)"
    if not isinstance(values, Tensor):
        raise TypeError(f"{text}, got {type(values).__name__}.")
    if not values.is_floating_point():
        raise TypeError(f"{text} of floats, got {values.dtype}.")
    if values.ndim not in (1, 2) or len(values) != len(states) or not values.numel():
        raise ValueError(f"{text}, for n={len(states)}, got {tuple(values.shape)}.")
    return values.unsqueeze(1) if values.ndim == 1 else values


class Expectation:
    """The expectation over the shocks of the next period, for some states.

    The next states and the network's policies there are computed in the first call.

    Parameters
    ----------
    model : EquilibriumModel
        Has the shocks and the next states.
    network : callable
        Returns the policies of states.
    states : Tensor of shape (n, n_states)
        The current states.
    policies : Tensor of shape (n, n_policies)
        The current policies.
    rng : numpy.random.Generator
        Draws the nodes, if they are random.
    """

    def __init__(
        self,
        model: Any,
        network: Callable[[Tensor], Tensor],
        states: Tensor,
        policies: Tensor,
        rng: np.random.Generator,
    ):
        self.model = model
        self.network = network
        self.states = states
        self.policies = policies
        self.rng = rng
        self._next: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, function: Function) -> Tensor:
        """Return the expectation of a function of the next period.

        Parameters
        ----------
        function : callable
            ``function(next_states, next_policies, shocks)`` takes tensors of shapes
            (n_nodes, n, n_states), (n_nodes, n, n_policies) and (n_nodes, 1, n_shocks)
            and returns (n_nodes, n) or (n_nodes, n, m).

        Returns
        -------
        expectation : Tensor of shape (n,) or (n, m)
            The weighted sum over the nodes.
        """
        if not callable(function):
            raise TypeError(
                f"expect in model.residuals takes a function, got {function!r}."
            )
        if self._next is None:
            self._next = self._next_period()
        values = function(*self._next)
        shape = (len(self._next[0]), len(self.states))
        if not isinstance(values, Tensor) or values.shape[:2] != shape:
            found = getattr(values, "shape", type(values).__name__)
            found = tuple(found) if isinstance(values, Tensor) else found
            raise ValueError(
                "The function passed to expect in model.residuals must return a tensor "
                f"of shape (n_nodes, n) or (n_nodes, n, m), here {shape}, got {found}."
            )
        weights = self.model.shocks.weights(self.states)  # (n_nodes, n or 1)
        while weights.ndim < values.ndim:
            weights = weights.unsqueeze(-1)
        return (weights * values).sum(0)

    def _next_period(self) -> tuple[Tensor, Tensor, Tensor]:
        states, policies = self.states, self.policies
        nodes = torch.from_numpy(self.model.shocks.nodes(self.rng)).to(states)
        m, n = len(nodes), len(states)
        # (n, k) -> (m * n, k): all states at the first node, then at the second, ...
        before, chosen = (
            x.expand(m, *x.shape).flatten(0, 1) for x in (states, policies)
        )
        shocks = nodes.repeat_interleave(n, 0)
        following = next_states(self.model, before, chosen, shocks)
        chosen = self.network(following)
        return (
            following.view(m, n, -1),
            chosen.view(m, n, -1),
            nodes.unsqueeze(1),
        )


def simulate_paths(
    model: Any,
    network: Callable[[Tensor], Tensor],
    states: Tensor,
    n_periods: int,
    rng: np.random.Generator,
    *,
    restarts: bool = True,
) -> Tensor:
    """Simulate paths with a network's policies, (n_periods, n, n_states).

    Parameters
    ----------
    model : EquilibriumModel
        The model.
    network : callable
        Returns the policies of states.
    states : Tensor of shape (n, n_states)
        The states of the first period.
    n_periods : int
        Number of periods, the first one included.
    rng : numpy.random.Generator
        Draws the shocks.
    restarts : bool, default=True
        Whether a path whose states are no longer finite begins again.
    """
    # At once: too many periods must raise before the first step.
    path = states.new_empty(n_periods, *states.shape)
    path[0] = states
    for i in range(1, n_periods):
        shocks = model.shocks.draw(states, rng)
        states = next_states(model, states, network(states), shocks)
        if restarts:
            # Policies of an untrained network may lead anywhere.
            bad = ~states.isfinite().all(1)
            if bad.any():
                first = first_states(model, len(bad), rng)
                states = torch.where(bad[:, None], as_states(first, states), states)
        path[i] = states
    return path


def as_states(values: np.ndarray, like: Tensor) -> Tensor:
    """Return states as a tensor of the type and on the device of another."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)
