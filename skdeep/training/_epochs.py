"""The epochs of a stochastic solver."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skdeep._failed_fits import is_outermost_fit
from skdeep._messages import warn
from skdeep.training._batches import Batch, Source, batch_sizes
from skdeep.training._checkpoint import stable_repr
from skdeep.training._dense import DenseLearner
from skdeep.training._device import GlobalGenerators
from skdeep.training._inference import iter_outputs
from skdeep.training._module_state import ModuleState
from skdeep.training._objectives import Supervised
from skdeep.training._optimizers import as_arrays, as_tensors, restore_optimizer
from skdeep.training._progress import Printer
from skdeep.training._schedules import LearningRate
from skdeep.training._skorch_callbacks import SkorchCallbacks
from skdeep.training._stopping import Stopping
from skdeep.training._task import Task

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed. Scale the inputs (StandardScaler) and, for "
    "a regressor, the target; lower learning_rate_init (now {rate:g}); or limit the "
    "gradient with max_grad_norm."
)
# With larger parameters the scores may overflow.
_LARGE = 1e4
# Minimum number of training rows whose scores are checked in that case.
_N_CHECKED = 1000


class Evaluation(NamedTuple):
    """The result of a network on its validation rows.

    Parameters
    ----------
    loss : float
        The mean loss; NaN if a raw score is not finite.
    raw : Tensor of shape (n_samples, n_scores), or None
        The raw scores; None if the objective has none or one is not finite.
    score : float or None
        The score, if it is known already.
    """

    loss: float
    raw: Tensor | None
    score: float | None = None


class Fit:
    """Training by epochs.

    ``run`` runs the whole training. A population calls ``begin_epoch`` and
    ``end_epoch`` instead, and takes the steps in between for many fits at once. Before,
    it calls ``start``, and afterwards ``finish``, in the thread that needs the result.

    Parameters
    ----------
    task : Task
        The learners, data and options.
    printer : Printer
        Displays the epochs.
    generators : GlobalGenerators, optional
        Torch's global generators, if this fit has acquired them.
    check_cancelled : callable, optional
        Called after each epoch; raises if the fit was cancelled.

    Attributes
    ----------
    is_over : bool
        Whether training has ended.
    error : BaseException or None
        Exception that a population raised while training this fit.
    """

    def __init__(
        self,
        task: Task,
        printer: Printer,
        generators: GlobalGenerators | None = None,
        check_cancelled: Callable[[], None] = lambda: None,
    ):
        self.task = task
        self.check_cancelled = check_cancelled
        self.options = task.options
        self.state = task.state
        self.printer = printer
        self.generators = generators
        self.state.n_iter = 0
        self.learner: Any = task.learner
        self._set_up_learners()
        self.observer = SkorchCallbacks(task) if task.callbacks else None
        n_done = len(task.state.history) if task.is_partial else 0
        self.learning_rate = LearningRate(
            task.options, task.state.learning_rate, n_done
        )
        # The best values of different quantities cannot be compared.
        same = task.state.watched == task.options.early_stopping
        earlier = (task.state.best, task.state.stalled) if same else ()
        self.stopping = Stopping(
            task.options.tol, task.options.n_iter_no_change, *earlier
        )
        self.best = self._snapshots() if task.options.early_stopping else None
        self.error: BaseException | None = None
        self.is_over = task.n_epochs == 0
        self._stopped = False
        self._diverged = False
        self._order = np.arange(len(task.train))
        # A population begins and ends thousands of epochs one by one: each call counts.
        self._renews = type(task.train).renew is not Source.renew

    def _set_up_learners(self) -> None:
        networks: dict[str, Any] = dict(self.task.networks)
        if self.options.compile:
            networks = {name: torch.compile(n) for name, n in networks.items()}
        for learner in self.task.learners:
            learner.may_unfreeze = bool(self.task.callbacks)
            learner.set_up(self.options, networks)
        self.needs_two_rows = any(one.needs_two_rows for one in self.task.learners)
        if not self.needs_two_rows:
            return
        for n_rows, found in (
            (
                len(self.task.train),
                f"rows of X to train on, got {len(self.task.train)}",
            ),
            (
                self.options.batch_size,
                f"rows in a batch, got batch_size={self.options.batch_size}",
            ),
        ):
            if n_rows == 1:  # 0 if the source makes its rows in ``renew``
                raise ValueError(f"Batch normalization needs at least 2 {found}.")

    def run(self) -> None:
        """Train until the last epoch, or until training stops early."""
        self.start()
        observer = self.observer
        try:
            if observer is not None:
                observer.begin()
            # After ``begin``, which initializes the callbacks whose state is restored.
            self._resume()
            while not self.is_over:
                self.run_epoch()
        except KeyboardInterrupt:
            if not is_outermost_fit():
                raise
            self._stopped = True
            warn("Training interrupted by user.")
        # Before the callbacks, which may save the network at the end of training.
        self._restore_best()
        if observer is not None:
            observer.end()
        self.finish()

    def run_epoch(self) -> None:
        """Train for an epoch."""
        observer, learners = self.observer, self.task.learners
        for batch in self._batches():
            if observer is not None:
                observer.begin_batch(batch)
            # The first network answers to the others as they are now.
            losses = [learner.step(batch) for learner in learners[::-1]][::-1]
            if observer is not None:
                observer.end_batch(batch, losses[0])
        self.end_epoch([learner.end_epoch() for learner in learners])
        # After the callbacks: a resumed training does not call them again.
        if self.task.checkpoint is not None:
            self.task.checkpoint.after_epoch(self)
        self.check_cancelled()

    def start(self) -> None:
        """Prepare for the first epoch."""
        # Another optimizer cannot use the state.
        same = self.state.solver == self._solver_name
        for learner in self.task.learners:
            # A dense network is new, and its steps do not ask for its mode.
            if not isinstance(learner, DenseLearner):
                learner.module.train()
            learner.start(self.state.optimizers.get(learner.name) if same else None)
        self._rate: float | None = None
        self.set_rates(0.0)

    @property
    def _solver_name(self) -> str:
        return stable_repr(self.options.solver)

    def _batches(self) -> Iterator[Batch]:
        """Begin an epoch; set the learning rate and yield a batch, one by one."""
        order = torch.from_numpy(self.begin_epoch()).to(self.task.device)
        size = self.options.batch_size * self.options.accumulate
        sizes = batch_sizes(len(order), size, merge_single=self.needs_two_rows)
        reuse = isinstance(self.learner, DenseLearner)
        batches = self.task.train.batches(order, sizes, reuse=reuse)
        for i, batch in enumerate(batches):
            if i == 0 or self.learning_rate.is_curve:
                self.set_rates(i / len(sizes))
            yield batch

    def begin_epoch(self, order: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Begin an epoch; return the order of its rows.

        ``order`` replaces the order that would be drawn: members of a population that
        read the same rows in the same order draw it once.
        """
        if self._renews:
            self.task.train.renew(self.task.networks)
            if len(self._order) != len(self.task.train):
                self._order = np.arange(len(self.task.train))
        if order is not None:
            self._order = order
        elif self.options.shuffle:
            # As scikit-learn does, so that equal seeds give equal batches.
            permutation = self.task.rng.permutation(len(self._order))
            self._order = self._order[permutation]
        self._started = time.perf_counter()
        self.notify_epoch_begin()
        return self._order

    def set_rates(self, share: float) -> None:
        """Set the learning rates at a point of the epoch.

        ``share`` is the completed share of the epoch. The rates are set only if the
        schedule has changed them, so that rates set by a callback are kept.
        """
        rate = self.learning_rate.within_epoch(share)
        if rate != self._rate:
            self._rate = rate
            for learner in self.task.learners:
                learner.set_rate(rate, self.options.learning_rate_init)

    def set_length(self, n_epochs: int) -> None:
        """Train for ``n_epochs`` epochs; a curve of the learning rate ends there."""
        options = dataclasses.replace(self.options, max_iter=n_epochs)
        self.options = self.task.options = self.learning_rate.options = options

    def end_epoch(
        self, losses: list[float], evaluation: Evaluation | None = None
    ) -> None:
        """Record an epoch with these training losses; decide whether to stop.

        ``evaluation`` is the result on the validation rows, if it is known already.

        Raises
        ------
        ValueError
            If training diverges and no earlier epoch can be restored.
        """
        state = self.state
        state.n_samples_seen += len(self._order)
        state.n_iter += 1
        record = self._record(losses, evaluation)
        state.history.append(record)
        self.printer.epoch(record, state.n_iter)
        if self._is_finite(record, losses):
            self._update_stopping(record)
            stop = self.stopping.is_due and self._stop_or_lower_rate()
            self._update_state()
        else:
            self._stop_diverged()
            stop = True
        # Not ``or``: the callbacks must be called in any case.
        self._stopped = self.notify_epoch_end(record) | stop
        self.is_over = self._stopped or state.n_iter == self.task.n_epochs

    def fail(self, error: BaseException) -> None:
        """Store the first error of a fit that is not over."""
        if not self.is_over:
            self.error = self.error or error

    def finish(self) -> None:
        """Restore the best weights (or keep the last ones) and warn."""
        self._warn()
        self._restore_best()
        self.state.optimizers = {
            learner.name: {"state": learner.optimizer_state()["state"]}
            for learner in self.task.learners
        }
        self.state.solver = self._solver_name
        self.check_usable()

    def _restore_best(self) -> None:
        """Restore the best weights, or set the averaged weights."""
        if self.best is not None and self.stopping.best == -math.inf:
            # All values were NaN: the weights before training are not the best.
            self.best = None
        if self.best is None and any(one.average for one in self.task.learners):
            self.best = self._snapshots()
        if self.best is None:
            return
        for learner, best in zip(self.task.learners, self.best, strict=True):
            learner.restore(best)
            learner.average = None
        self.best = None

    def check_usable(self) -> None:
        """Raise a ValueError if the network would predict NaN or infinity."""
        if not self._is_usable:
            raise ValueError(NON_FINITE.format(rate=self.options.learning_rate_init))

    # -- callbacks ---------------------------------------------------------------------

    def notify_epoch_begin(self) -> None:
        """Call the callbacks at the beginning of an epoch."""
        if self.generators is None:
            self.task.begin_epoch()
        else:
            with self.generators.released():
                self.task.begin_epoch()
        if self.observer is not None:
            self.observer.begin_epoch()

    def notify_epoch_end(self, record: dict[str, Any]) -> bool:
        """Call the callbacks at the end of an epoch; return whether to stop."""
        stop = False
        if self.observer is not None:
            stop = self.observer.end_epoch(record)
        if self.generators is None:
            return stop | self.task.end_epoch()
        # Released, so that fits in threads can take turns.
        with self.generators.released():
            return stop | self.task.end_epoch()

    # -- the end of an epoch -----------------------------------------------------------

    def _record(
        self, losses: list[float], evaluation: Evaluation | None
    ) -> dict[str, Any]:
        """Return the record of an epoch."""
        record = {
            "epoch": len(self.state.history) + 1,
            "train_loss": losses[0],
            "learning_rate": self.learner.rate,
        }
        if len(losses) > 1:
            others = zip(self.task.learners[1:], losses[1:], strict=True)
            record |= {f"{learner.name}_loss": loss for learner, loss in others}
        if self.task.valid is not None:
            evaluation = evaluation or self._evaluate(self.task.valid)
            valid_loss, valid_score = evaluation.loss, self._score(evaluation)
            record |= {"valid_loss": valid_loss, "valid_score": valid_score}
        record["duration"] = time.perf_counter() - self._started
        return record

    def evaluate(self, source: Source) -> tuple[float, float]:
        """Return the mean loss and the score on validation rows."""
        evaluation = self._evaluate(source)
        return evaluation.loss, self._score(evaluation)

    def _evaluate(self, source: Source) -> Evaluation:
        with self._evaluating():
            losses, weight, raw = self.learner.objective.evaluate(
                self.task.networks, source
            )
        if not (losses if raw is None else raw).isfinite().all():
            return Evaluation(math.nan, None)
        weights = None if weight is None else weight.cpu().numpy()
        loss = float(np.average(losses.cpu().double().numpy(), weights=weights))
        return Evaluation(loss, raw)

    def _score(self, evaluation: Evaluation) -> float:
        """Return the score of an evaluation; without one, minus its loss."""
        if evaluation.score is not None:
            return evaluation.score
        if evaluation.raw is None or self.task.score is None:
            return -evaluation.loss
        return float(self.task.score(evaluation.raw))

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for learner in self.task.learners:
                learner.module.eval()
                stack.enter_context(learner.averaged())
            stack.enter_context(torch.inference_mode())
            yield
        for learner in self.task.learners:
            learner.module.train()

    def _is_finite(self, record: dict[str, Any], losses: list[float]) -> bool:
        """Return whether losses and parameters are finite, so that training continues.

        The parameters are checked only if the validation loss is not finite, because
        the check takes time.
        """
        if not all(map(math.isfinite, losses)):
            return False
        if "valid_loss" not in record or math.isfinite(record["valid_loss"]):
            return True
        return math.isfinite(self.learner.largest_parameter)

    @property
    def _is_usable(self) -> bool:
        """Whether the parameters and the scores of some training rows are finite."""
        largest = self.learner.largest_parameter
        if largest <= _LARGE or not math.isfinite(largest):
            return math.isfinite(largest)
        objective = self.learner.objective
        if not (isinstance(objective, Supervised) and objective.reads_batches):
            return True
        n_checked = 0
        with self._evaluating():
            for output, batch in iter_outputs(self.learner.module, self.task.train):
                if not objective.scores(output, len(batch)).isfinite().all():
                    return False
                n_checked += len(batch)
                if n_checked >= _N_CHECKED:
                    break
        return True

    def _update_stopping(self, record: dict[str, Any]) -> None:
        """Compare the epoch with the best one before it."""
        watched = self.options.early_stopping
        if not watched:
            value = -record["train_loss"]
        else:
            is_loss = watched == "loss"
            value = -record["valid_loss"] if is_loss else record["valid_score"]
        value = -math.inf if math.isnan(value) else value
        if self.stopping.update(value) and self.best is not None:
            self.best = self._snapshots()
        self.learning_rate.end_epoch(self.state.n_samples_seen, self.stopping.improved)

    def _snapshots(self) -> list[Any]:
        return [learner.snapshot() for learner in self.task.learners]

    def _update_state(self) -> None:
        """Update the part of the task's state from which training can continue."""
        state, stopping = self.state, self.stopping
        state.best, state.stalled = stopping.best, stopping.count
        state.watched = self.options.early_stopping
        state.learning_rate = self.learning_rate.current

    def _stop_or_lower_rate(self) -> bool:
        """Return whether to stop; an adaptive schedule lowers the rate instead."""
        what = {
            True: "Validation score",
            "loss": "Validation loss",
            False: "Training loss",
        }[self.options.early_stopping]
        text = (
            f"{what} did not improve more than tol={self.options.tol:f} for "
            f"{self.options.n_iter_no_change:.0f} consecutive epochs."
        )
        if self.learning_rate.lower_instead_of_stopping():
            self.stopping.count = 0
            rate = self.learning_rate.current
            self.printer.message(f"{text} Setting learning rate to {rate:f}")
            return False
        self.printer.message(f"{text} Stopping.")
        return True

    def _stop_diverged(self) -> None:
        """Keep the weights of the best epoch; raise if there is none."""
        if self.best is None or self.stopping.best == -math.inf:
            raise ValueError(NON_FINITE.format(rate=self.options.learning_rate_init))
        self._diverged = True

    def _warn(self) -> None:
        """Warn if training has diverged or not converged."""
        if self._diverged:
            warn(
                f"Training diverged in epoch {len(self.state.history)}; the weights of "
                "the best epoch before it were kept. Lower learning_rate_init or scale "
                "the data.",
                ConvergenceWarning,
            )
        is_whole = not (self.task.is_partial or self.learning_rate.is_curve)
        if is_whole and self.task.expects_convergence and not self._stopped:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.options.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )

    # -- checkpoints -------------------------------------------------------------------

    @property
    def _sources(self) -> list[Source]:
        valid = self.task.valid
        return [self.task.train] if valid is None else [self.task.train, valid]

    def checkpoint(self) -> dict[str, Any]:
        """Return all that is needed to resume training, without tensors."""
        generators = [self.task.generator.get_state()]
        if self.generators is not None:
            generators += self.generators.states()
        return {
            "learners": [_learner_state(learner) for learner in self.task.learners],
            "best": as_arrays(self.best),
            "state": self.state,
            "sources": [source.state() for source in self._sources],
            "rng": self.task.rng.get_state(legacy=False),
            "generators": as_arrays(generators),
            "order": self._order,
            "learning_rate": self.learning_rate.state(),
            "rate": self._rate,
            "stopping": (self.stopping.best, self.stopping.count),
            "flags": (self.is_over, self._stopped, self._diverged),
            "observer": None if self.observer is None else self.observer.state(),
        }

    def _resume(self) -> None:
        """Resume from the checkpoint, if the task has one."""
        saved = None if self.task.checkpoint is None else self.task.checkpoint.load()
        if saved is None:
            return
        for learner, state in zip(self.task.learners, saved["learners"], strict=True):
            _restore_learner(learner, state)
        self.best = as_tensors(saved["best"])
        vars(self.state).update(vars(saved["state"]))
        for source, state in zip(self._sources, saved["sources"], strict=True):
            source.load_state(state)
        self.task.rng.set_state(saved["rng"])
        own, *others = [torch.from_numpy(a) for a in saved["generators"]]
        self.task.generator.set_state(own)
        if self.generators is not None:
            self.generators.set_states(others)
        self._order = saved["order"]
        self.learning_rate.load_state(saved["learning_rate"])
        self._rate = saved["rate"]
        self.stopping.best, self.stopping.count = saved["stopping"]
        self.is_over, self._stopped, self._diverged = saved["flags"]
        if self.observer is not None:
            self.observer.load_state(saved["observer"])


def _learner_state(learner: Any) -> dict[str, Any]:
    """Return the state of a learner for a checkpoint."""
    return {
        "module": ModuleState.of(learner.module),
        "objective": [p.detach().cpu().numpy() for p in learner.objective.parameters()],
        "optimizer": learner.optimizer_state(),
        "average": None if learner.average is None else learner.average.state(),
    }


def _restore_learner(learner: Any, state: dict[str, Any]) -> None:
    """Restore the state of a learner from a checkpoint."""
    state["module"].load_into(learner.module)
    own = list(learner.objective.parameters())
    for parameter, array in zip(own, state["objective"], strict=True):
        parameter.data.copy_(torch.from_numpy(array))
    restore_optimizer(learner.optimizer, state["optimizer"])
    if learner.average is not None:
        learner.average.load_state(state["average"])
