"""Fits of the folds of a trial, which train in lockstep, epoch by epoch.

Only a fit that runs in its own thread can be paused after an epoch and resumed. Each
fold that reports its epochs has such a thread. The threads take turns: no two of them
compute at the same time.
"""

from __future__ import annotations

import contextvars
import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics._scorer import (
    _BaseScorer,
    _MultimetricScorer,
    _PassthroughScorer,
)
from sklearn.model_selection._validation import _fit_and_score, _score
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from skdeep.model_selection._epoch_callbacks import EpochCallback, added_callback

Scores = dict[str, float]
# Name of the metric of a scorer that returns a single number.
SINGLE_METRIC = "score"


@dataclass
class CrossValidation:
    """The cross-validation that all trials of a search share.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fold.
    X, y : array-like
        All rows.
    folds : list of (train, test)
        Row positions of each fold.
    scorers : callable
        Scorer, as made by scikit-learn's searches.
    fit_params, score_params : dict
        Passed to ``fit`` and to the scorers.
    error_score : float or 'raise'
        Score of a failed fit.
    return_train_score : bool
        Whether to score the training rows too.
    caller : estimator or None
        The search, if it has scikit-learn callbacks.
    """

    estimator: Any
    X: Any
    y: Any
    folds: list
    scorers: Callable
    fit_params: dict = field(default_factory=dict)
    score_params: dict = field(default_factory=dict)
    error_score: float | str = np.nan
    return_train_score: bool = False
    caller: Any = None


@dataclass
class FoldScores:
    """Scores of a fold after an epoch, or after the fit."""

    test: Scores
    train: Scores | None = None


def scores_to_dict(scores) -> Scores:
    """Return scores as a dict by metric.

    Raises
    ------
    ValueError
        If there are none, or they are not real numbers.
    """
    found = dict(scores) if isinstance(scores, dict) else {SINGLE_METRIC: scores}
    if not found:
        raise ValueError("scoring must return at least one metric, got an empty dict.")
    for name, value in found.items():
        if not isinstance(value, Real):
            raise ValueError(f"scoring must return real numbers, got {name}={value!r}.")
    return {str(name): float(value) for name, value in found.items()}


def metric_names(scores: list[dict]) -> list[str]:
    """Return the names of the metrics; a fold whose scoring failed has only one."""
    return max(map(list, scores), key=len)


def metric_score(scores: Scores, name: str) -> float:
    """Return a score; if scoring failed, it is the same for all metrics."""
    if name not in scores and list(scores) != [SINGLE_METRIC]:
        raise ValueError(
            "scoring must return the same metrics each time: it returned "
            f"{list(scores)}, without {name!r}."
        )
    return scores.get(name, scores.get(SINGLE_METRIC, np.nan))


class FoldFit:
    """The fit of one fold, which trains one epoch per call of ``train_epoch``.

    Parameters
    ----------
    cross_validation : CrossValidation
        The cross-validation of the fold.
    params : dict
        Parameters of the estimator.
    number : int
        Index of the fold.
    scores_epochs : bool
        Whether to score after every epoch, if the estimator reports its epochs.
    restores_best : bool
        Whether the estimator restores the weights of its best epoch, so that it must be
        scored again after the fit.
    context : CallbackContext or None
        Callback context of the fit.
    """

    def __init__(
        self,
        cross_validation: CrossValidation,
        params: dict,
        number: int,
        scores_epochs: bool,
        restores_best: bool,
        context=None,
    ):
        self.cross_validation = cross_validation
        self.params, self.number, self.context = params, number, context
        self.train, self.test = cross_validation.folds[number]
        self.scores_epochs, self.restores_best = scores_epochs, restores_best
        self.estimator = clone(cross_validation.estimator)
        self.estimator.set_params(**clone(params, safe=False))
        self.records: list[FoldScores] = []
        self.final_scores: FoldScores | None = None
        self.error: str | None = None
        self.fit_time = self.score_time = 0.0
        self.is_done = self.stop = False
        self._thread_error: BaseException | None = None
        self._waited = 0.0
        self._rows: _HeldOutRows | None = None
        # Semaphores that pass the turn to the thread and back. They count, so a release
        # before the acquire is not lost.
        self._may_train, self._has_paused = (
            threading.Semaphore(0),
            threading.Semaphore(0),
        )
        # Threads do not inherit context variables, such as joblib's and numpy's.
        variables = contextvars.copy_context()
        self._thread = threading.Thread(target=variables.run, args=(self._run_thread,))
        self._config = _thread_config()

    def train_epoch(self) -> None:
        """Train until the end of the next epoch, or of the fit."""
        if not self.scores_epochs:
            self._fit_and_score()
            self.is_done = True
            return
        # The calling thread waits here, so that only one thread computes at a time.
        self._resume_thread()
        self._has_paused.acquire()
        if self._thread_error is not None:
            raise self._thread_error

    def cancel(self) -> None:
        """Stop training and wait until it has stopped."""
        self.stop_training()
        if self._thread.ident is not None:
            self._thread.join()

    def stop_training(self) -> None:
        """Stop training after the current epoch, without waiting for it."""
        self.stop = True
        self._may_train.release()

    def record(self, epoch: int) -> FoldScores:
        """Return the scores after an epoch; those of the last if the fold has ended."""
        return self.records[min(epoch, len(self.records) - 1)]

    def _resume_thread(self) -> None:
        self._may_train.release()
        # Started with the first turn: a trial pruned or interrupted before has no
        # threads.
        if self._thread.ident is None:
            self._thread.start()

    def _run_thread(self) -> None:
        self._may_train.acquire()
        try:
            with (
                self._config(),
                added_callback(self.estimator, EpochCallback(self._end_epoch)),
            ):
                self._fit_and_score()
        except BaseException as error:
            # BaseException: Ctrl-C may be raised in this thread; train_epoch raises it
            # again.
            self._thread_error = error
        finally:
            self.is_done = True
            self._has_paused.release()

    def _fit_and_score(self) -> None:
        try:
            self._fit_once_and_score()
        except Exception as error:
            kind = type(self.estimator).__name__
            error.add_note(
                f"Raised while fitting and scoring estimator={kind} with the "
                f"parameters {self.params}, in fold {self.number} of X and y."
            )
            raise

    def _fit_once_and_score(self) -> None:
        shared = self.cross_validation
        result = _fit_and_score(
            self.estimator,
            shared.X,
            shared.y,
            scorer=lambda *rows, **params: 0.0,  # real scoring is below
            train=self.train,
            test=self.test,
            verbose=0,
            parameters=None,
            fit_params=shared.fit_params,
            score_params=shared.score_params,
            return_times=True,
            error_score=shared.error_score,
            caller=shared.caller,
            callback_ctx=self.context,
        )
        self.error = result["fit_error"]
        # The time of the fit includes scoring and waiting for the other folds.
        self.fit_time = result["fit_time"] - self._waited - self.score_time
        # Unless it restores its best epoch, the scores after the last epoch are final.
        if self.error is None and not (self.stop or self._has_final_scores()):
            self._score_final()

    def _has_final_scores(self) -> bool:
        return bool(self.records) and not self.restores_best

    def _score_final(self) -> None:
        started = time.time()
        scores_train = self.cross_validation.return_train_score
        train = self._split(self.train) if scores_train else None
        test = self._split(self.test, is_test=True)
        self.final_scores = self._score(self.estimator, test, train)
        self.score_time += time.time() - started

    def _split(self, rows, is_test: bool = False):
        shared = self.cross_validation
        # Estimators with precomputed kernels need the training rows to slice columns.
        against = (self.train,) if is_test else ()
        return _safe_split(self.estimator, shared.X, shared.y, rows, *against)

    def _end_epoch(self, network) -> bool:
        """Score after an epoch, then wait for the next turn."""
        if self.stop:
            return True
        started = time.time()
        if self._rows is None:
            self._rows = _HeldOutRows(self)
        self.records.append(self._rows.score(network))
        self.score_time += time.time() - started
        started = time.time()
        self._has_paused.release()
        self._may_train.acquire()
        self._waited += time.time() - started
        return self.stop

    def _score(self, estimator, test, train) -> FoldScores:
        def scores(rows, indices):
            shared = self.cross_validation
            params = _check_method_params(shared.X, shared.score_params, indices)
            return scores_to_dict(
                _score(estimator, *rows, shared.scorers, params, shared.error_score)
            )

        return FoldScores(
            scores(test, self.test),
            None if train is None else scores(train, self.train),
        )


class _HeldOutRows:
    """Rows for scoring a network during its fit.

    The earlier steps of a Pipeline are fitted by then. The rows are transformed once,
    and the network is scored alone. A user's scorer may inspect any step and gets the
    whole Pipeline.
    """

    def __init__(self, fold: FoldFit):
        self.fold = fold
        self.network_only = _use_predictions_only(fold.cross_validation.scorers)
        self.test = self._transform(*fold._split(fold.test, is_test=True))
        self.train = None
        if fold.cross_validation.return_train_score:
            self.train = self._transform(*fold._split(fold.train))

    def score(self, network) -> FoldScores:
        """Return the scores of a network."""
        estimator = (
            network
            if self.network_only
            else _replace_last_step(self.fold.estimator, network)
        )
        return self.fold._score(estimator, self.test, self.train)

    def _transform(self, X, y):
        estimator = self.fold.estimator
        while self.network_only and hasattr(estimator, "steps"):
            if len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
        return X, y


def _replace_last_step(estimator, network):
    """Return a copy of a Pipeline with another last step."""
    if not hasattr(estimator, "steps"):
        return network
    # A shallow copy: the fitted steps are shared, and the original keeps its last step.
    made = copy.copy(estimator)
    name, last = estimator.steps[-1]
    made.steps = [*estimator.steps[:-1], (name, _replace_last_step(last, network))]
    return made


def _use_predictions_only(scorers) -> bool:
    """Check whether scorers are scikit-learn's, which use only predictions."""
    if isinstance(scorers, _MultimetricScorer):
        return all(map(_use_predictions_only, scorers._scorers.values()))
    return isinstance(scorers, _BaseScorer | _PassthroughScorer)


def _thread_config():
    """Return a context manager with this thread's scikit-learn configuration."""
    from sklearn import config_context, get_config

    config = get_config()
    return lambda: config_context(**config)
