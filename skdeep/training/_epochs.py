"""The epochs of a stochastic solver."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skdeep._failed_fits import is_outermost_fit
from skdeep._messages import warn
from skdeep.training._batches import Batch, Source, batch_sizes
from skdeep.training._checkpoint import described
from skdeep.training._dense import DenseLearner
from skdeep.training._device import GlobalGenerators
from skdeep.training._inference import outputs
from skdeep.training._module_state import ModuleState
from skdeep.training._net import SkorchCallbacks
from skdeep.training._objectives import Supervised
from skdeep.training._optimizers import as_arrays, as_tensors, restore_optimizer
from skdeep.training._progress import Printer
from skdeep.training._schedules import LearningRate
from skdeep.training._stopping import Stopping
from skdeep.training._task import Task

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed. Scale the inputs (StandardScaler) and, for "
    "a regressor, the target; lower learning_rate_init (now {rate:g}); or limit the "
    "gradient with max_grad_norm."
)
# Parameters larger than this may make scores that overflow.
_LARGE = 1e4
# Training rows whose scores are checked then, at least.
_N_CHECKED = 1000


class Fit:
    """A training that goes by epochs.

    ``run`` is all of it. A population calls ``begin_epoch`` and ``end_epoch`` itself
    and does in between, for many fits at once, what ``run`` does for one;
    ``start`` comes before and ``finish`` after, in the thread that wants the result.

    Parameters
    ----------
    task : Task
        What is trained.
    printer : Printer
        Shows each epoch.
    generators : GlobalGenerators, optional
        Torch's global generators, while this fit has them.
    check_cancelled : callable, optional
        Called after each epoch; raises if the result is no longer wanted.

    Attributes
    ----------
    is_over : bool
        Whether there is no epoch left to train.
    error : BaseException or None
        What a population caught in the fit's name.
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
        self._join_learners()
        self.observer = SkorchCallbacks(task) if task.callbacks else None
        n_done = len(task.state.history) if task.is_partial else 0
        self.learning_rate = LearningRate(
            task.options, task.state.learning_rate, n_done
        )
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

    def _join_learners(self) -> None:
        networks: dict[str, Any] = dict(self.task.networks)
        if self.options.compile:
            networks = {name: torch.compile(n) for name, n in networks.items()}
        for learner in self.task.learners:
            learner.may_thaw = bool(self.task.callbacks)
            learner.join(self.options, networks)
        self.needs_two_rows = any(one.needs_two_rows for one in self.task.learners)
        if not self.needs_two_rows:
            return
        for n_rows, found in (
            (len(self.task.train), f"samples to train on, got {len(self.task.train)}"),
            (
                self.options.batch_size,
                f"samples in a batch, got batch_size={self.options.batch_size}",
            ),
        ):
            if n_rows == 1:  # 0 are rows that the source is yet to make
                raise ValueError(f"Batch normalisation needs at least 2 {found}.")

    def run(self) -> None:
        """Train until something stops it."""
        self.start()
        observer, learners = self.observer, self.task.learners
        try:
            if observer is not None:
                observer.begin()
            self._resume()
            while not self.is_over:
                for batch in self._batches():
                    if observer is not None:
                        observer.begin_batch(batch)
                    losses = [learner.step(batch) for learner in learners]
                    if observer is not None:
                        observer.end_batch(batch, losses[0])
                self.end_epoch([learner.end_epoch() for learner in learners])
                if self.task.checkpoint is not None:
                    self.task.checkpoint.after_epoch(self)
                self.check_cancelled()
        except KeyboardInterrupt:
            if not is_outermost_fit():
                raise
            self._stopped = True
            warn("Training interrupted by user.")
        self._restore_best()
        if observer is not None:
            observer.end()
        self.finish()

    def start(self) -> None:
        """Get ready for the first epoch."""
        same = self.state.solver == self._solver_name
        for learner in self.task.learners:
            learner.module.train()
            learner.start(self.state.optimizers.get(learner.name) if same else None)
        self._rate: float | None = None
        self.set_rates(0.0)

    @property
    def _solver_name(self) -> str:
        return described(self.options.solver)

    def _batches(self) -> Iterator[Batch]:
        """Begin an epoch; yield its batches with the learning rate set for each."""
        order = torch.from_numpy(self.begin_epoch()).to(self.task.device)
        size = self.options.batch_size * self.options.accumulate
        sizes = batch_sizes(len(order), size, merge_single=self.needs_two_rows)
        reuse = isinstance(self.learner, DenseLearner)
        batches = self.task.train.batches(order, sizes, reuse=reuse)
        for i, batch in enumerate(batches):
            if i == 0 or self.learning_rate.is_curve:
                self.set_rates(i / len(sizes))
            yield batch

    def begin_epoch(self, order: np.ndarray | None = None) -> np.ndarray:
        """Begin an epoch; return the order of its rows, if it is not given."""
        self.task.train.renew(self.task.networks)
        if len(self._order) != len(self.task.train):
            self._order = np.arange(len(self.task.train))
        if order is not None:
            self._order = order
        elif self.options.shuffle:
            # scikit-learn draws so: equal seeds give equal batches.
            permutation = self.task.rng.permutation(len(self._order))
            self._order = self._order[permutation]
        self._started = time.perf_counter()
        self.notify_begin()
        return self._order

    def set_rates(self, share: float) -> None:
        """Set the learning rates for when this share of the epoch is done.

        Only if the schedule has changed them, so that a callback's are not lost.
        """
        rate = self.learning_rate.within_epoch(share)
        if rate != self._rate:
            self._rate = rate
            for learner in self.task.learners:
                learner.set_rate(rate, self.options.learning_rate_init)

    def end_epoch(self, losses: list[float]) -> None:
        """Keep the record of an epoch of these training losses; see whether to go on.

        Raises
        ------
        ValueError
            If training diverges and there is no earlier epoch to fall back on.
        """
        self.state.n_samples_seen += len(self._order)
        self.state.n_iter += 1
        record = self._record(losses)
        self.state.history.append(record)
        self.printer.epoch(record, self.state.n_iter)
        if self._is_sound(record, losses):
            self._watch(record)
            stop = self.stopping.is_due and self._stop()
            self._save()
        else:
            self._diverge()
            stop = True
        self._stopped = self.notify_end(record) | stop
        self.is_over = self._stopped or self.state.n_iter == self.task.n_epochs

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
        """Give the networks their best weights, or the averaged ones."""
        if self.best is not None and self.stopping.best == -math.inf:
            # No value was a number: the weights before training are not the best.
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
        """Raise a ValueError if the network would predict what is not a number."""
        if not self._is_usable:
            raise ValueError(NON_FINITE.format(rate=self.options.learning_rate_init))

    # -- callbacks ---------------------------------------------------------------------

    def notify_begin(self) -> None:
        """Tell the callbacks that an epoch begins."""
        with self._without_generators():
            self.task.begin_epoch()
        if self.observer is not None:
            self.observer.begin_epoch()

    def notify_end(self, record: dict) -> bool:
        """Tell the callbacks that an epoch has ended; say whether to stop."""
        stop = False
        if self.observer is not None:
            stop = self.observer.end_epoch(record)
        with self._without_generators():
            return stop | self.task.end_epoch()

    def _without_generators(self) -> contextlib.AbstractContextManager:
        """Let others have torch's global generators: fits in threads can take turns."""
        if self.generators is None:
            return contextlib.nullcontext()
        return self.generators.lent()

    # -- what an epoch has come to -----------------------------------------------------

    def _record(self, losses: list[float]) -> dict:
        """Return the record of an epoch."""
        record = {
            "epoch": len(self.state.history) + 1,
            "train_loss": losses[0],
            "learning_rate": self.learner.rate,
        }
        for learner, loss in zip(self.task.learners[1:], losses[1:], strict=True):
            record[f"{learner.name}_loss"] = loss
        if self.task.valid is not None:
            valid_loss, valid_score = self.evaluate(self.task.valid)
            record |= {"valid_loss": valid_loss, "valid_score": valid_score}
        record["duration"] = time.perf_counter() - self._started
        return record

    def evaluate(self, source: Source) -> tuple[float, float]:
        """Return the mean loss and the score on other rows."""
        with self._evaluating():
            found = self.learner.objective.evaluate(self.task.networks, source)
            losses, weight, raw = found
        seen = losses if raw is None else raw
        if not seen.isfinite().all():
            return math.nan, math.nan
        weights = None if weight is None else weight.cpu().numpy()
        loss = float(np.average(losses.cpu().double().numpy(), weights=weights))
        has_score = raw is not None and self.task.score is not None
        return loss, self.task.score(raw) if has_score else -loss  # type: ignore

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

    def _is_sound(self, record: dict, losses: list[float]) -> bool:
        """Say whether the network can be trained and used any further.

        Its parameters are looked at only if something else is odd: that takes time.
        """
        if not all(map(math.isfinite, losses)):
            return False
        is_valid = math.isfinite(record.get("valid_loss", 0.0))
        return is_valid or math.isfinite(self.learner.largest_parameter)

    @property
    def _is_usable(self) -> bool:
        """Whether the parameters are finite, and what they make of training rows."""
        largest = self.learner.largest_parameter
        if largest <= _LARGE or not math.isfinite(largest):
            return math.isfinite(largest)
        objective = self.learner.objective
        if not isinstance(objective, Supervised):
            return True
        n_checked = 0
        with self._evaluating():
            for output, batch in outputs(self.learner.module, self.task.train):
                if not objective.scores(output, len(batch)).isfinite().all():
                    return False
                n_checked += len(batch)
                if n_checked >= _N_CHECKED:
                    break
        return True

    def _watch(self, record: dict) -> None:
        """Compare the epoch with those before it."""
        value = {
            True: lambda: record["valid_score"],
            "loss": lambda: -record["valid_loss"],
            False: lambda: -record["train_loss"],
        }[self.options.early_stopping]()
        value = -math.inf if math.isnan(value) else value
        if self.stopping.update(value) and self.best is not None:
            self.best = self._snapshots()
        self.learning_rate.end_epoch(self.state.n_samples_seen, self.stopping.improved)

    def _snapshots(self) -> list[Any]:
        return [learner.snapshot() for learner in self.task.learners]

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
            warn(
                f"Training diverged in epoch {len(self.state.history)}; the weights of "
                "the best epoch before it are kept. Lower learning_rate_init or scale "
                "the data.",
                ConvergenceWarning,
            )
        is_whole = not (self.task.is_partial or self.learning_rate.is_curve)
        if is_whole and not self._stopped:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.options.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )

    # -- checkpoints -------------------------------------------------------------------

    def checkpoint(self) -> dict:
        """Return all that is needed to go on from here, without any tensor."""
        generators = [self.task.generator.get_state()]
        if self.generators is not None:
            generators += self.generators.states()
        return {
            "learners": [_state_of(learner) for learner in self.task.learners],
            "best": as_arrays(self.best),
            "state": self.state,
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
        """Go on from the checkpoint, if the task has one."""
        saved = None if self.task.checkpoint is None else self.task.checkpoint.load()
        if saved is None:
            return
        for learner, state in zip(self.task.learners, saved["learners"], strict=True):
            _restore(learner, state)
        self.best = as_tensors(saved["best"])
        vars(self.state).update(vars(saved["state"]))
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


def _state_of(learner) -> dict:
    """Return where a learner stands."""
    return {
        "module": ModuleState.of(learner.module),
        "objective": [p.detach().cpu().numpy() for p in learner.objective.parameters()],
        "optimizer": learner.optimizer_state(),
        "average": None if learner.average is None else learner.average.state(),
    }


def _restore(learner, state: dict) -> None:
    """Put a learner where it stood."""
    state["module"].put_into(learner.module)
    own = list(learner.objective.parameters())
    for parameter, array in zip(own, state["objective"], strict=True):
        parameter.data.copy_(torch.from_numpy(array))
    restore_optimizer(learner.optimizer, state["optimizer"])
    if learner.average is not None:
        learner.average.load_state(state["average"])
