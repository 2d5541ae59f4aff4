"""Distributions of the shocks of an economic model, with nodes for expectations."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep._input_checks import check_count, check_not_text, naming

# A rule with more nodes would evaluate the network on that many rows for each state.
_MAX_NODES = 2**16
# numpy's rules for more nodes overflow, and its grids have at most 32 axes.
_MAX_NODES_OF_RULE, _MAX_SHOCKS = 100, 32
# Probabilities are rarely exact: three thirds sum to 1 only to rounding.
_TOLERANCE = 1e-6


class Shocks(ABC):
    """A distribution of shocks: nodes and weights of expectations, and random draws.

    Attributes
    ----------
    n_shocks : int
        Number of shocks of a period.
    draws_nodes : bool
        Whether the nodes are random.
    """

    n_shocks: int
    draws_nodes = False

    @abstractmethod
    def nodes(self, rng: np.random.Generator) -> np.ndarray:
        """Return the nodes, (n_nodes, n_shocks); ``rng`` draws them if random."""

    @abstractmethod
    def weights(self, states: Tensor) -> Tensor:
        """Return the weights of the nodes in each state, (n_nodes, n or 1)."""

    @abstractmethod
    def draw(self, states: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw the shocks that follow the states, (n, n_shocks)."""


class DiscreteShocks(Shocks):
    """Shocks with finitely many values, for :class:`EquilibriumNet`.

    Expectations are exact.

    Parameters
    ----------
    values : array-like of shape (n_values,) or (n_values, n_shocks)
        The values of the shocks of a period.
    probabilities : array-like of shape (n_values,) or callable, default=None
        Their probabilities; None means that all are equally probable. If they depend on
        the state, as those of a Markov chain, a callable takes the states, a tensor of
        shape (n, n_states), and returns a tensor of shape (n, n_values).

    Attributes
    ----------
    n_shocks : int
        Number of shocks of a period.
    draws_nodes : bool
        False.

    See Also
    --------
    GaussHermite : Normal shocks.

    Examples
    --------
    Productivity of 0.95 or 1.05:

    >>> from skdeep import DiscreteShocks
    >>> shocks = DiscreteShocks([0.95, 1.05])
    >>> shocks.n_shocks
    1

    A Markov chain whose current value is the state in column 1:

    >>> import torch
    >>> matrix = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> def probabilities(states):
    ...     return matrix[(states[:, 1] > 1).long()]
    >>> chain = DiscreteShocks([0.95, 1.05], probabilities)
    """

    def __init__(self, values: Any, probabilities: Any = None):
        self.values = _as_nodes(values)
        self.n_shocks = self.values.shape[1]
        self.probabilities: np.ndarray | Callable[[Tensor], Tensor]
        if callable(probabilities):
            self.probabilities = probabilities
        else:
            self.probabilities = _as_probabilities(probabilities, len(self.values))

    def __repr__(self) -> str:
        return f"DiscreteShocks of {len(self.values)} values"

    def nodes(self, rng: np.random.Generator) -> np.ndarray:
        """Return the values.

        Parameters
        ----------
        rng : numpy.random.Generator
            Not used.

        Returns
        -------
        nodes : ndarray of shape (n_values, n_shocks)
            The values.
        """
        return self.values

    def weights(self, states: Tensor) -> Tensor:
        """Return the probabilities of the values.

        Parameters
        ----------
        states : Tensor of shape (n, n_states)
            The current states.

        Returns
        -------
        weights : Tensor of shape (n_values, n) or (n_values, 1)
            The probabilities in each state.
        """
        if not callable(self.probabilities):
            return torch.from_numpy(self.probabilities).to(states)[:, None]
        weights = self._called(states)
        expected = (len(states), len(self.values))
        text = f"probabilities must return a tensor of shape (n, n_values), {expected}"
        if not isinstance(weights, Tensor):
            raise TypeError(f"{text}, got {type(weights).__name__}.")
        if weights.shape != expected:
            raise ValueError(f"{text}, got the shape {tuple(weights.shape)}.")
        return weights.to(states).T

    def _called(self, states: Tensor) -> Any:
        """Return what the user's function returns; its errors name the argument."""
        try:
            return self.probabilities(states)  # type: ignore[operator]
        except Exception as error:
            error.add_note("Raised by the probabilities of DiscreteShocks.")
            raise

    def draw(self, states: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw values.

        Parameters
        ----------
        states : Tensor of shape (n, n_states)
            The current states.
        rng : numpy.random.Generator
            Draws them.

        Returns
        -------
        shocks : Tensor of shape (n, n_shocks)
            The shocks that follow each state.
        """
        uniform = torch.from_numpy(rng.random(len(states))).to(states)
        bounds = self.weights(states).cumsum(0)[:-1]
        index = (uniform >= bounds).sum(0)
        return torch.from_numpy(self.values).to(states)[index]


class _NormalShocks(Shocks):
    """Independent standard normal shocks."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_shocks}, n_nodes={self.n_nodes})"

    def __init__(self, n_shocks: int = 1, n_nodes: int = 5):
        check_count(n_shocks, "n_shocks")
        check_count(n_nodes, "n_nodes")
        self.n_shocks = int(n_shocks)
        self.n_nodes = int(n_nodes)

    def draw(self, states: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw standard normal numbers.

        Parameters
        ----------
        states : Tensor of shape (n, n_states)
            The current states.
        rng : numpy.random.Generator
            Draws them.

        Returns
        -------
        shocks : Tensor of shape (n, n_shocks)
            The shocks that follow each state.
        """
        drawn = rng.standard_normal((len(states), self.n_shocks))
        return torch.from_numpy(drawn).to(states)


class GaussHermite(_NormalShocks):
    """Independent standard normal shocks, for :class:`EquilibriumNet`.

    Expectations use the product of Gauss-Hermite rules, which is exact for polynomials
    of up to degree ``2 * n_nodes - 1`` in each shock.

    Parameters
    ----------
    n_shocks : int, default=1
        Number of shocks of a period. The model scales and correlates them in ``step``.
    n_nodes : int, default=5
        Number of nodes for each shock; an expectation has ``n_nodes ** n_shocks``.

    Attributes
    ----------
    n_shocks : int
        Number of shocks of a period.
    draws_nodes : bool
        False.

    See Also
    --------
    MonteCarlo : For many shocks.

    Examples
    --------
    >>> from skdeep import GaussHermite
    >>> GaussHermite(2, n_nodes=3)
    GaussHermite(2, n_nodes=3)
    """

    def __init__(self, n_shocks: int = 1, n_nodes: int = 5):
        super().__init__(n_shocks, n_nodes)
        if self.n_nodes > _MAX_NODES_OF_RULE:
            raise ValueError(
                f"n_nodes must be at most {_MAX_NODES_OF_RULE}, got {n_nodes}: more "
                "nodes than 20 hardly change an expectation."
            )
        # Not the power itself, which may have a million digits.
        if self.n_nodes > 1 and self.n_shocks > math.log(_MAX_NODES, self.n_nodes):
            raise ValueError(
                f"n_nodes={n_nodes} for each of n_shocks={n_shocks} makes more than "
                f"{_MAX_NODES:,} nodes. Use fewer nodes or MonteCarlo."
            )
        if self.n_shocks > _MAX_SHOCKS:
            raise ValueError(
                f"n_shocks must be at most {_MAX_SHOCKS}, got {n_shocks}. Use "
                "MonteCarlo."
            )
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.n_nodes)
        grids = np.meshgrid(*[nodes] * self.n_shocks, indexing="ij")
        factors = np.meshgrid(*[weights] * self.n_shocks, indexing="ij")
        self._nodes = np.stack([grid.ravel() for grid in grids], axis=1)
        products = np.prod([factor.ravel() for factor in factors], axis=0)
        self._weights = products / products.sum()

    def nodes(self, rng: np.random.Generator) -> np.ndarray:
        """Return the nodes.

        Parameters
        ----------
        rng : numpy.random.Generator
            Not used.

        Returns
        -------
        nodes : ndarray of shape (n_nodes ** n_shocks, n_shocks)
            The nodes.
        """
        return self._nodes

    def weights(self, states: Tensor) -> Tensor:
        """Return the weights of the nodes.

        Parameters
        ----------
        states : Tensor of shape (n, n_states)
            The current states.

        Returns
        -------
        weights : Tensor of shape (n_nodes ** n_shocks, 1)
            The weights, whose sum is 1.
        """
        return torch.from_numpy(self._weights).to(states)[:, None]


class MonteCarlo(_NormalShocks):
    """Independent standard normal shocks, many of them, for :class:`EquilibriumNet`.

    Expectations are means over random draws, new ones for each batch in training. The
    variance of the mean adds to the squared residuals, so accuracy is limited to about
    the standard error of the mean.

    Parameters
    ----------
    n_shocks : int, default=1
        Number of shocks of a period. The model scales and correlates them in ``step``.
    n_nodes : int, default=100
        Number of draws. They are drawn in pairs of opposite sign, so that odd functions
        have mean 0.

    Attributes
    ----------
    n_shocks : int
        Number of shocks of a period.
    draws_nodes : bool
        True.

    See Also
    --------
    GaussHermite : More accurate for up to about three shocks.

    Examples
    --------
    >>> from skdeep import MonteCarlo
    >>> MonteCarlo(8)
    MonteCarlo(8, n_nodes=100)
    """

    draws_nodes = True

    def __init__(self, n_shocks: int = 1, n_nodes: int = 100):
        super().__init__(n_shocks, n_nodes)

    def nodes(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the nodes.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws them.

        Returns
        -------
        nodes : ndarray of shape (n_nodes, n_shocks)
            The nodes.
        """
        half = rng.standard_normal((-(-self.n_nodes // 2), self.n_shocks))
        return np.concatenate([half, -half])[: self.n_nodes]

    def weights(self, states: Tensor) -> Tensor:
        """Return the weights of the nodes.

        Parameters
        ----------
        states : Tensor of shape (n, n_states)
            The current states.

        Returns
        -------
        weights : Tensor of shape (n_nodes, 1)
            Equal weights, whose sum is 1.
        """
        return states.new_full((self.n_nodes, 1), 1 / self.n_nodes)


def _as_numbers(values: Any, argument: str) -> np.ndarray:
    """Return an argument as a float array; raise if it does not hold finite numbers."""
    with naming(argument):
        array = np.asarray(values)
        check_not_text(array, argument)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"{argument} must hold numbers, got {array.dtype}.")
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} must hold finite numbers, got {values!r}.")
    return array


def _as_nodes(values: Any) -> np.ndarray:
    """Return the values of shocks as an array of shape (n_values, n_shocks)."""
    nodes = _as_numbers(values, "values")
    if nodes.ndim == 1:
        nodes = nodes[:, np.newaxis]
    if nodes.ndim != 2 or not nodes.size:
        raise ValueError(
            "values must have the shape (n_values,) or (n_values, n_shocks), got "
            f"{np.shape(values)}."
        )
    return nodes


def _as_probabilities(probabilities: Any, n_values: int) -> np.ndarray:
    """Return checked probabilities; their sum becomes exactly 1."""
    if probabilities is None:
        return np.full(n_values, 1 / n_values)
    found = _as_numbers(probabilities, "probabilities")
    if found.shape != (n_values,):
        raise ValueError(
            f"probabilities must be one number for each of the {n_values} values, got "
            f"the shape {found.shape}."
        )
    if found.min() < 0 or abs(found.sum() - 1) > _TOLERANCE:
        raise ValueError(
            "probabilities must be non-negative and sum to 1, got "
            f"{probabilities!r}, whose sum is {found.sum():g}."
        )
    return np.asarray(found / found.sum())
