"""The input and the state of a training."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.training._batches import Source
from skdeep.training._learner import Learner


@dataclass(frozen=True)
class TrainingOptions:
    """The training parameters of an estimator, with the same names and meanings."""

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
    """The state of a training, in plain Python and numpy.

    A later training can continue from it.

    Parameters
    ----------
    optimizers : dict of str to dict
        State of the optimizer of each learner, by name of the learner.
    solver : str or None
        Description of the solver that these states belong to.
    learning_rate : float or None
        The current learning rate.
    n_samples_seen : int
        Number of rows in all steps so far.
    best : float
        Best value of the monitored quantity (higher is better).
    stalled : int
        Number of epochs since it improved.
    watched : bool or str
        The monitored quantity, as ``early_stopping`` names it.
    history : list of dict
        The records of all epochs.
    n_iter : int
        Number of epochs of the last training.
    """

    optimizers: dict[str, dict[str, Any]] = field(default_factory=dict)
    solver: str | None = None
    learning_rate: float | None = None
    n_samples_seen: int = 0
    best: float = -np.inf
    stalled: int = 0
    watched: bool | str = False
    history: list[dict[str, Any]] = field(default_factory=list)
    n_iter: int = 0


@dataclass(frozen=True)
class StackedScore:
    """A score of validation rows, computed for one network or for several at once.

    Parameters
    ----------
    function : callable
        Computes the score from raw scores (n_samples, n_scores), or K scores from
        those of K networks, (K, n_samples, n_scores).
    make_key : callable
        Returns a key. If two tasks have equal keys, equal losses and the same
        validation rows, the function of one computes the scores of both.
    """

    function: Callable[[Tensor], Any]
    make_key: Callable[[], Hashable]

    def __call__(self, raw: Tensor) -> Any:
        """Compute the score."""
        return self.function(raw)


@dataclass
class Task:
    """What to train, on which data and how.

    Parameters
    ----------
    learners : sequence of Learner
        The networks and their objectives. They take a step in turn on each batch, the
        first one last.
    train : Source
        Training rows.
    options : TrainingOptions
        Training parameters.
    valid : Source, optional
        Validation rows. The objective of the first learner computes their loss.
    score : callable, optional
        Computes the score from the raw scores of the validation rows.
    decode : callable, optional
        Computes codes of the predicted classes, or predicted values, from raw scores.
    probabilities : callable, optional
        Computes the result of the skorch net's ``predict_proba`` from raw scores.
    n_classes : int or None
        Number of classes of a classifier.
    is_partial : bool
        Whether to train for one epoch only (``partial_fit``).
    expects_convergence : bool
        Whether to warn if training does not converge before its last epoch.
    rng : numpy.random.RandomState
        Shuffles the rows.
    generator : torch.Generator
        Draws dropout masks.
    state : TrainingState
        A new state, or the state of the training to continue.
    draws_globally : bool
        Whether modules or callbacks may draw from torch's global generators.
    work : int or None
        Number of multiply-adds of a batch, if known.
    callbacks : sequence of skorch.callbacks.Callback
        Called during training.
    begin_epoch, end_epoch : callable
        Called before and after each epoch; the latter returns whether to stop.
    is_observed : bool
        Whether ``begin_epoch`` and ``end_epoch`` are set.
    checkpoint : object, optional
        The file to save the training to, and to resume it from.
    device : torch.device
        Device of the networks.
    """

    learners: Sequence[Learner]
    train: Source
    options: TrainingOptions = field(default_factory=TrainingOptions)
    valid: Source | None = None
    score: Callable[[Tensor], Any] | None = None
    decode: Callable[[Tensor], Tensor] | None = None
    probabilities: Callable[[Tensor], Tensor] | None = None
    n_classes: int | None = None
    is_partial: bool = False
    expects_convergence: bool = True
    rng: np.random.RandomState = field(default_factory=lambda: np.random.RandomState(0))
    generator: torch.Generator = field(
        default_factory=lambda: torch.Generator().manual_seed(0)
    )
    state: TrainingState = field(default_factory=TrainingState)
    draws_globally: bool = True
    work: int | None = None
    callbacks: Sequence[Any] = ()
    begin_epoch: Callable[[], None] = lambda: None
    end_epoch: Callable[[], bool] = lambda: False
    is_observed: bool = False
    checkpoint: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def n_epochs(self) -> int:
        """Maximum number of epochs."""
        return 1 if self.is_partial else self.options.max_iter

    @property
    def learner(self) -> Any:
        """The first learner, whose validation loss and score are monitored."""
        return self.learners[0]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The modules by name of the learner."""
        return {learner.name: learner.module for learner in self.learners}
