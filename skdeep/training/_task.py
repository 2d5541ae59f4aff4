"""What goes into a training and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.training._batches import Source
from skdeep.training._learner import Learner


@dataclass(frozen=True)
class TrainingOptions:
    """The training parameters of an estimator, by the same names and meanings."""

    solver: Any = "adam"
    solver_params: Mapping[str, Any] | None = None
    alpha: float = 0.0
    batch_size: int = 200
    accumulate: int = 1
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    tol: float = 1e-4
    verbose: Any = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool | str = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    max_grad_norm: float | None = None
    weight_averaging: float = 0.0
    compile: bool = False


@dataclass
class TrainingState:
    """Where a training stands: all that is needed to go on, in plain Python and numpy.

    ``optimizers`` are the states of the optimizers that ``solver`` names, by the names
    of their learners; ``watched`` says what early stopping looks at, ``best`` is the
    best value of it (the higher the better) and ``stalled`` the epochs since it
    improved; ``n_iter`` are the epochs of the last training.
    """

    optimizers: dict[str, dict] = field(default_factory=dict)
    solver: str | None = None
    learning_rate: float | None = None
    n_samples_seen: int = 0
    best: float = -np.inf
    stalled: int = 0
    watched: bool | str = False
    history: list[dict] = field(default_factory=list)
    n_iter: int = 0


@dataclass
class Task:
    """A training.

    Parameters
    ----------
    learners : sequence of Learner
        The networks with their objectives. In each batch they take their steps in turn.
    train : Source
        Rows to train on.
    options : TrainingOptions
        The user's training parameters.
    valid : Source, optional
        Rows to watch. The first learner's objective gives their loss.
    score : callable, optional
        Raw scores of the validation rows -> their score.
    decode : callable, optional
        Raw scores -> codes of the predicted classes, or predicted values.
    probabilities : callable, optional
        Raw scores -> what ``predict_proba`` of the skorch net gives.
    n_classes : int or None
        Number of classes, if the network tells classes apart.
    is_partial : bool
        Whether to train for one epoch only, of a training given part by part.
    rng : numpy.random.RandomState
        Orders the rows.
    generator : torch.Generator
        Draws dropout masks.
    state : TrainingState
        A new one, or that of the training to continue.
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
    checkpoint : object, optional
        Keeps the state of the training after epochs: see ``skdeep.callbacks``.
    device : torch.device
        Where the networks are.
    """

    learners: Sequence[Learner]
    train: Source
    options: TrainingOptions = field(default_factory=TrainingOptions)
    valid: Source | None = None
    score: Callable[[Tensor], float] | None = None
    decode: Callable[[Tensor], Tensor] | None = None
    probabilities: Callable[[Tensor], Tensor] | None = None
    n_classes: int | None = None
    is_partial: bool = False
    rng: np.random.RandomState = field(default_factory=lambda: np.random.RandomState(0))
    generator: torch.Generator = field(
        default_factory=lambda: torch.Generator().manual_seed(0)
    )
    state: TrainingState = field(default_factory=TrainingState)
    draws_globally: bool = True
    work: int | None = None
    callbacks: Sequence = ()
    begin_epoch: Callable[[], None] = lambda: None
    end_epoch: Callable[[], bool] = lambda: False
    is_observed: bool = False
    checkpoint: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def n_epochs(self) -> int:
        """Passes over the data at most."""
        return 1 if self.is_partial else self.options.max_iter

    @property
    def learner(self) -> Any:
        """The first learner, whose loss and score are watched."""
        return self.learners[0]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The modules by the names of their learners."""
        return {learner.name: learner.module for learner in self.learners}
