"""From a task to a trained network."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skdeep.training._dense import DenseTrainer
from skdeep.training._device import GlobalGenerators, own_generators, threads_for
from skdeep.training._lbfgs import minimise
from skdeep.training._net import NetTrainer
from skdeep.training._progress import Printer, make_printer
from skdeep.training._schedules import LearningRate
from skdeep.training._stopping import Stopping
from skdeep.training._task import Task, TrainingState
from skdeep.training._trainer import Trainer

_NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed. Scale the inputs (StandardScaler) and, for "
    "a regressor, the target; lower learning_rate_init (now {rate:g}); or limit the "
    "gradient with max_grad_norm."
)


def train(task: Task) -> TrainingState:
    """Train the task's network in place.

    Returns the task's state as it is after training.

    Raises
    ------
    ValueError
        If training diverges and there is no earlier epoch to fall back on.
    """
    device = task.train.target.device
    with contextlib.ExitStack() as stack:
        stack.enter_context(threads_for(task.work, device))
        if device.type == "cuda":
            # Recurrent layers copy weights that lie in one buffer with the others'.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "RNN module weights are not part")
        if task.draws_globally:
            seed = task.generator.initial_seed()
            generators = stack.enter_context(own_generators(seed, device))
            task = _lending(task, generators)
        stack.enter_context(torch.no_grad())
        trainer = (DenseTrainer if task.closed_form else NetTrainer)(task)
        printer = make_printer(task.options.verbose, task.n_epochs)
        stack.callback(printer.close)
        if task.options.solver == "lbfgs":
            minimise(trainer, task, printer)
        else:
            _Epochs(trainer, task, printer).run()
        if not trainer.is_usable:
            rate = task.options.learning_rate_init
            raise ValueError(_NON_FINITE.format(rate=rate))
    return task.state


def _lending(task: Task, generators: GlobalGenerators) -> Task:
    """Return the task with hooks that are called without the global generators.

    Several fits in threads can then take turns, an epoch each.
    """

    def begin_epoch() -> None:
        with generators.lent():
            task.begin_epoch()

    def end_epoch() -> bool:
        with generators.lent():
            return task.end_epoch()

    return replace(task, begin_epoch=begin_epoch, end_epoch=end_epoch)


class _Epochs:
    """The epochs of a stochastic solver."""

    def __init__(self, trainer: Trainer, task: Task, printer: Printer):
        self.trainer = trainer
        self.task = task
        self.options = task.options
        self.state = task.state
        self.printer = printer
        n_done = len(task.state.history) if task.is_partial else 0
        self.learning_rate = LearningRate(
            task.options, task.state.learning_rate, n_done
        )
        same = task.state.watched == task.options.early_stopping
        earlier = (task.state.best, task.state.stalled) if same else ()
        self.stopping = Stopping(
            task.options.tol, task.options.n_iter_no_change, *earlier
        )
        self.best = trainer.snapshot() if task.options.early_stopping else None

    def run(self) -> None:
        """Train until stopped, by whatever stops it."""
        self.trainer.start(self.learning_rate)
        try:
            self.trainer.begin()
            self._run_epochs()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            self.trainer.end()
        if self.best is None and self.trainer.average is not None:
            self.best = self.trainer.snapshot()
        if self.best is not None:
            self.trainer.restore(self.best)
        self.state.optimizer = self.trainer.optimizer_state()
        self.state.solver = str(self.options.solver)

    def _run_epochs(self) -> None:
        order = np.arange(len(self.task.train.rows))
        for _ in range(self.task.n_epochs):
            if self.options.shuffle:
                # scikit-learn draws so: equal seeds give equal batches.
                order = order[self.task.rng.permutation(len(order))]
            if self._run_epoch(order):
                return
        if not self.task.is_partial and not self.learning_rate.is_curve:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.options.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )

    def _run_epoch(self, order: np.ndarray) -> bool:
        """Train an epoch and keep its record; say whether to stop."""
        started = time.perf_counter()
        self.task.begin_epoch()
        self.trainer.begin_epoch()
        loss = self.trainer.run_epoch(order)
        self.state.n_samples_seen += len(order)
        record = {
            "epoch": len(self.state.history) + 1,
            "train_loss": loss,
            "learning_rate": self.trainer.rate,
        }
        if self.task.valid is not None:
            valid_loss, valid_score = self.trainer.evaluate(self.task.valid)
            record |= {"valid_loss": valid_loss, "valid_score": valid_score}
        record["duration"] = time.perf_counter() - started
        self.state.history.append(record)
        self.printer.epoch(record)
        if self._is_sound(record):
            self._watch(record)
            stop = self.stopping.is_due and self._stop()
            self._save()
        else:
            self._warn_of_divergence()
            stop = True
        return self.trainer.end_epoch(record) | self.task.end_epoch() | stop

    def _is_sound(self, record: dict) -> bool:
        """Say whether the network can be trained and used any further.

        Its parameters are looked at only if something else is odd: that takes time.
        """
        if not math.isfinite(record["train_loss"]):
            return False
        return math.isfinite(record.get("valid_loss", 0.0)) or self.trainer.is_finite

    def _watch(self, record: dict) -> None:
        """Compare the epoch with those before it."""
        value = {
            True: lambda: record["valid_score"],
            "loss": lambda: -record["valid_loss"],
            False: lambda: -record["train_loss"],
        }[self.options.early_stopping]()
        value = -math.inf if math.isnan(value) else value
        if self.stopping.update(value) and self.best is not None:
            self.best = self.trainer.snapshot()
        self.learning_rate.end_epoch(self.state.n_samples_seen, self.stopping.improved)

    def _save(self) -> None:
        """Leave in the state where training stands."""
        self.state.best, self.state.stalled = self.stopping.best, self.stopping.count
        self.state.watched = self.options.early_stopping
        self.state.learning_rate = self.learning_rate.current

    def _stop(self) -> bool:
        """Stop, or lower the learning rate where the schedule does that instead."""
        what = {
            True: "Validation score",
            "loss": "Validation loss",
            False: "Training loss",
        }[self.options.early_stopping]
        text = (
            f"{what} did not improve more than tol={self.options.tol:f} for "
            f"{self.options.n_iter_no_change} consecutive epochs."
        )
        if self.learning_rate.lower_instead_of_stopping():
            self.stopping.count = 0
            rate = self.learning_rate.current
            self.printer.message(f"{text} Setting learning rate to {rate:f}")
            return False
        self.printer.message(f"{text} Stopping.")
        return True

    def _warn_of_divergence(self) -> None:
        """Say that the best epoch is kept; raise if there is none."""
        if self.best is None or self.stopping.best == -math.inf:
            raise ValueError(_NON_FINITE.format(rate=self.options.learning_rate_init))
        warnings.warn(
            f"Training diverged in epoch {len(self.state.history)}; the weights of the "
            "best epoch before it are kept. Lower learning_rate_init or scale the "
            "data.",
            ConvergenceWarning,
            stacklevel=2,
        )
