"""What goes into a training run and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TrainingOptions:
    """The training parameters of an estimator, by the same names and meanings."""

    solver: Any
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: Any
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool | str
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    max_grad_norm: float | None
    compile: bool
    weight_averaging: float = 0.0


class Rows(Protocol):
    """The inputs of a network, row by row."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(
        self, index: Tensor | slice, room: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Return the network's arguments for these rows.

        ``room`` may hold tensors of an earlier batch, no shorter, to be overwritten.
        """


@dataclass
class Data:
    """Rows with their targets.

    ``target`` is (n_samples, ...) as the loss wants it, ``weight`` (n_samples,).
    """

    rows: Rows
    target: Tensor
    weight: Tensor | None = None


@dataclass
class TrainingState:
    """Where a training stands: all that is needed to go on, in plain Python and numpy.

    ``optimizer`` is the state of the optimizer that ``solver`` names; ``watched`` says
    what early stopping looks at, ``best`` is the best value of it (the higher the
    better) and ``stalled`` the epochs since it improved.
    """

    optimizer: dict | None = None
    solver: str | None = None
    learning_rate: float | None = None
    n_samples_seen: int = 0
    best: float = -np.inf
    stalled: int = 0
    watched: bool | str = False
    history: list[dict] = field(default_factory=list)


@dataclass
class Task:
    """A training run.

    Parameters
    ----------
    network : nn.Module
        Trained in place; on the device and in the precision of the data.
    loss : Loss
        What is minimised.
    train, valid : Data
        Rows to train on; rows to watch, if any.
    options : TrainingOptions
        The user's training parameters.
    is_partial : bool
        Whether to train for one epoch only, of a training given part by part.
    n_scores : int
        Raw scores that the network gives for a sample.
    rng : numpy.random.RandomState
        Orders the rows.
    generator : torch.Generator
        Draws dropout masks.
    score : callable
        Raw scores of the validation rows -> their score.
    decode : callable
        Raw scores -> codes of the predicted classes, or predicted values.
    state : TrainingState
        A new one, or that of the training to continue.
    closed_form : bool
        Whether the network is dense, with nothing that needs autograd.
    draws_globally : bool
        Whether a user's code may draw from torch's global generators.
    work : int or None
        Multiply-adds of a batch, if known.
    callbacks : sequence of skorch.callbacks.Callback
        Called in the course of training.
    begin_epoch, end_epoch : callable
        Called before and after each epoch; the latter says whether to stop.
    is_observed : bool
        Whether these do anything.
    """

    network: nn.Module
    loss: Any
    train: Data
    valid: Data | None
    options: TrainingOptions
    is_partial: bool
    n_scores: int
    rng: np.random.RandomState
    generator: torch.Generator
    score: Callable[[Tensor], float]
    decode: Callable[[Tensor], Tensor]
    state: TrainingState
    closed_form: bool = False
    draws_globally: bool = True
    work: int | None = None
    callbacks: Sequence = ()
    begin_epoch: Callable[[], None] = lambda: None
    end_epoch: Callable[[], bool] = lambda: False
    is_observed: bool = False

    @property
    def n_epochs(self) -> int:
        """Passes over the data at most."""
        return 1 if self.is_partial else self.options.max_iter
