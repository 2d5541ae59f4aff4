"""Checks of training parameters that depend on each other."""

from __future__ import annotations

from typing import Any

import torch


def check_training_options(estimator, incremental: bool) -> None:
    """Raise if training parameters of an estimator contradict each other.

    Parameters
    ----------
    estimator : BaseNetwork
        Has the parameters.
    incremental : bool
        Whether ``partial_fit`` was called.

    Raises
    ------
    TypeError, ValueError
        Naming the parameters.
    """
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    _check_solver(estimator.solver, estimator.solver_params)
    if isinstance(estimator.loss, type):
        name = estimator.loss.__name__
        raise TypeError(
            f"loss must be a name, a function or an instance of a loss, got the class "
            f"{name}; pass loss={name}()."
        )
    if estimator.solver == "lbfgs":
        _check_lbfgs(estimator)
    if estimator.precision is not None and estimator.dtype == "float64":
        raise ValueError(
            f"precision={estimator.precision!r} mixes with float32 only; got "
            "dtype='float64'. Use dtype=None or precision=None."
        )
    check_skorch_callbacks(estimator.callbacks or ())


def _check_lbfgs(estimator) -> None:
    # The line search of L-BFGS compares losses between calls; noise misleads it.
    dropout = getattr(estimator, "dropout", 0)
    if dropout > 0:
        raise ValueError(
            f"solver='lbfgs' needs a deterministic loss; dropout={dropout!r} makes it "
            "random. Use another solver or dropout=0."
        )
    if estimator.precision is not None:
        raise ValueError(
            f"solver='lbfgs' computes in float64; precision={estimator.precision!r} "
            "needs another solver."
        )


def check_skorch_callbacks(callbacks: Any) -> None:
    """Raise a TypeError if one is not an instance of a skorch callback."""
    for item in callbacks:
        callback = item[-1] if isinstance(item, tuple) and item else item
        if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
            raise TypeError(
                f"callbacks must be instances of skorch callbacks, got {item!r}."
            )


def _check_solver(solver, solver_params) -> None:
    """Raise if a solver cannot make an optimizer."""
    if isinstance(solver, type) and not issubclass(solver, torch.optim.Optimizer):
        raise ValueError(
            "solver must be a name, a subclass of torch.optim.Optimizer or a callable "
            f"that makes one from the parameters, got {solver!r}."
        )
    if solver_params and isinstance(solver, str):
        raise ValueError(
            f"solver_params={solver_params!r} is for a solver that is a class or a "
            f"function; solver={solver!r} has its own parameters, such as momentum or "
            "beta_1."
        )
