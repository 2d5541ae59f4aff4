"""The epochs of a stochastic solver, whoever computes them."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdeep.training._progress import Printer
from skdeep.training._schedules import LearningRate
from skdeep.training._stopping import Stopping
from skdeep.training._task import Task
from skdeep.training._trainer import Trainer

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed. Scale the inputs (StandardScaler) and, for "
    "a regressor, the target; lower learning_rate_init (now {rate:g}); or limit the "
    "gradient with max_grad_norm."
)


class Fit:
    """A training that goes by epochs.

    ``run`` is all of it. A population calls ``begin_epoch`` and ``end_epoch`` itself
    and does in between, for many fits at once, what ``trainer.run_epoch`` does for one;
    ``start`` comes before and ``finish`` after, in the thread that wants the result.

    Parameters
    ----------
    trainer : Trainer
        Takes the steps.
    task : Task
        What is trained.
    printer : Printer
        Shows each epoch.

    Attributes
    ----------
    is_over : bool
        Whether there is no epoch left to train.
    error : BaseException or None
        What a population caught in the fit's name.
    """

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
        self.error: BaseException | None = None
        self.is_over = task.n_epochs == 0
        self._n_run = 0
        self._stopped = False
        self._diverged = False
        self._order = np.arange(len(task.train.rows))

    def run(self) -> None:
        """Train until stopped, by whatever stops it."""
        self.start()
        try:
            self.trainer.begin()
            while not self.is_over:
                self.end_epoch(self.trainer.run_epoch(self.begin_epoch()))
        except KeyboardInterrupt:
            self._stopped = True
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            self.trainer.end()
        self.finish()

    def start(self) -> None:
        """Get ready for the first epoch."""
        self.trainer.start(self.learning_rate)

    def begin_epoch(self, order: np.ndarray | None = None) -> np.ndarray:
        """Begin an epoch; return the order of its rows, if it is not given."""
        if order is not None:
            self._order = order
        elif self.options.shuffle:
            # scikit-learn draws so: equal seeds give equal batches.
            permutation = self.task.rng.permutation(len(self._order))
            self._order = self._order[permutation]
        self._started = time.perf_counter()
        self.task.begin_epoch()
        self.trainer.begin_epoch()
        return self._order

    def end_epoch(self, loss: float) -> None:
        """Keep the record of an epoch of this training loss; see whether to go on.

        Raises
        ------
        ValueError
            If training diverges and there is no earlier epoch to fall back on.
        """
        self.state.n_samples_seen += len(self._order)
        self._n_run += 1
        record = self._record(loss)
        self.state.history.append(record)
        self.printer.epoch(record)
        if self._is_sound(record):
            self._watch(record)
            stop = self.stopping.is_due and self._stop()
            self._save()
        else:
            self._diverge()
            stop = True
        self._stopped = self.trainer.end_epoch(record) | self.task.end_epoch() | stop
        self.is_over = self._stopped or self._n_run == self.task.n_epochs

    def finish(self) -> None:
        """Leave the network with its best or last weights, and say what is amiss."""
        self._warn()
        if self.best is None and self.trainer.average is not None:
            self.best = self.trainer.snapshot()
        if self.best is not None:
            self.trainer.restore(self.best)
        self.state.optimizer = self.trainer.optimizer_state()
        self.state.solver = str(self.options.solver)

    def _record(self, loss: float) -> dict:
        """Return the record of an epoch."""
        record = {
            "epoch": len(self.state.history) + 1,
            "train_loss": loss,
            "learning_rate": self.trainer.rate,
        }
        if self.task.valid is not None:
            valid_loss, valid_score = self.trainer.evaluate(self.task.valid)
            record |= {"valid_loss": valid_loss, "valid_score": valid_score}
        record["duration"] = time.perf_counter() - self._started
        return record

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

    def _diverge(self) -> None:
        """Keep the best epoch; raise if there is none."""
        if self.best is None or self.stopping.best == -math.inf:
            raise ValueError(NON_FINITE.format(rate=self.options.learning_rate_init))
        self._diverged = True

    def _warn(self) -> None:
        """Warn of a training that has diverged, or might go on."""
        if self._diverged:
            warnings.warn(
                f"Training diverged in epoch {len(self.state.history)}; the weights of "
                "the best epoch before it are kept. Lower learning_rate_init or scale "
                "the data.",
                ConvergenceWarning,
                stacklevel=2,
            )
        is_whole = not (self.task.is_partial or self.learning_rate.is_curve)
        if is_whole and not self._stopped:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.options.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
