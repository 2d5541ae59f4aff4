"""Networks that a class or a function of the user builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from skdeep.estimators._trained import copy_module


def build_user_network(
    module: Callable[..., Any],
    arguments: tuple,
    params: Mapping[str, Any],
    *,
    signature: str,
) -> nn.Module:
    """Return the network that a class or a function builds.

    Parameters
    ----------
    module : callable
        A subclass of ``nn.Module``, or a function.
    arguments : tuple
        Its positional arguments.
    params : dict
        Further arguments.
    signature : str
        How it is called, for messages.

    Raises
    ------
    TypeError, ValueError
        If it returns something else, or a module whose parameters have no values.
    """
    try:
        network = module(*arguments, **params)
    except TypeError as error:
        name = signature.partition("(")[0]
        error.add_note(f"Raised by {name}{arguments}: skdeep calls {signature}.")
        raise
    called = signature.replace(", **module_params", "")
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"{called} must return a torch.nn.Module, got {type(network).__name__}."
        )
    check_is_ready(network, called)
    return network if isinstance(module, type) else _copied(network)


def check_is_ready(network: nn.Module, called: str) -> None:
    """Raise if parameters of a module have no values yet; ``called`` names it."""
    parameters = network.named_parameters()
    empty = [n for n, p in parameters if nn.parameter.is_lazy(p) or p.is_meta]
    if empty:
        raise ValueError(
            f"{called} has parameters without values, {empty}: lazy layers and the "
            "device 'meta' are not supported."
        )


def _copied(network: nn.Module) -> nn.Module:
    """Return a copy of a network that a function returned, if it can be copied.

    The function may return the same network each time; fits that share it would train
    each other's weights.
    """
    try:
        return copy_module(network)
    except Exception:  # parts of user code, such as open files, cannot be copied
        return network
