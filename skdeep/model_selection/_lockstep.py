"""Fits of several folds that advance together, epoch by epoch.

Only a fit in a thread of its own can be paused after an epoch and resumed. Each fold
that reports its epochs has such a thread. The threads take turns: no two of them
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

from skdeep.model_selection._epoch_callbacks import EndOfEpoch, watched

Scores = dict[str, float]
# Name of the metric of a scorer that returns a number.
SINGLE = "score"


@dataclass
class CrossValidation:
    """The cross-validation that all trials of a search have in common.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fold.
    X, y : array-like
        All rows.
    folds : list of (train, test)
        Row indices of each fold.
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
class Record:
    """Scores of a fold after an epoch, or after the fit."""

    test: Scores
    train: Scores | None = None


def as_dict(scores) -> Scores:
    """Return scores as a dict by metric.

    Raises
    ------
    ValueError
        If there are none, or if they are no real numbers.
    """
    found = dict(scores) if isinstance(scores, dict) else {SINGLE: scores}
    if not found:
        raise ValueError("scoring must return at least one metric, got an empty dict.")
    for name, value in found.items():
        if not isinstance(value, Real):
            raise ValueError(f"scoring must return real numbers, got {name}={value!r}.")
    return {str(name): float(value) for name, value in found.items()}


def names_of(scores: list[dict]) -> list[str]:
    """Return the names of the metrics; a fold whose scoring failed has only one."""
    return max(map(list, scores), key=len)


def metric(scores: Scores, name: str) -> float:
    """Return a score; where scoring failed, that is the same for all metrics."""
    if name not in scores and list(scores) != [SINGLE]:
        raise ValueError(
            "scoring must return the same metrics each time: it has returned "
            f"{list(scores)}, without {name!r}."
        )
    return scores.get(name, scores.get(SINGLE, np.nan))


class Fold:
    """The fit of one fold, which trains one epoch for each call of ``advance``.

    Parameters
    ----------
    cross_validation : CrossValidation
        The cross-validation to which the fold belongs.
    params : dict
        Parameters of the estimator.
    number : int
        Index of the fold.
    reports : bool
        Whether to score after every epoch, if the estimator reports its epochs.
    keeps_best : bool
        Whether the estimator itself restores the weights of its best epoch, so that it
        must be scored again after the fit.
    context : CallbackContext or None
        Callback context of the fit.
    """

    def __init__(
        self,
        cross_validation: CrossValidation,
        params: dict,
        number: int,
        reports: bool,
        keeps_best: bool,
        context=None,
    ):
        self.cross_validation = cross_validation
        self.params, self.number, self.context = params, number, context
        self.train, self.test = cross_validation.folds[number]
        self.reports, self.keeps_best = reports, keeps_best
        self.estimator = clone(cross_validation.estimator)
        self.estimator.set_params(**clone(params, safe=False))
        self.records: list[Record] = []
        self.final: Record | None = None
        self.error: str | None = None
        self.fit_time = self.score_time = 0.0
        self.is_done = self.stop = False
        self._broken: BaseException | None = None
        self._waited = 0.0
        self._rows: _TestRows | None = None
        self._turn, self._pause = threading.Semaphore(0), threading.Semaphore(0)
        # The settings of the calling thread hold in this one too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,))
        self._config = _thread_config()

    def advance(self) -> None:
        """Train until the end of the next epoch, or of the fit."""
        if not self.reports:
            self._fit_and_score()
            self.is_done = True
            return
        self._go()
        self._pause.acquire()
        if self._broken is not None:
            raise self._broken

    def abandon(self) -> None:
        """End training, if it has not ended."""
        self.stop_training()
        if self._thread.ident is not None:
            self._thread.join()

    def stop_training(self) -> None:
        """Let training end after the current epoch, without waiting for it."""
        self.stop = True
        self._turn.release()

    def record(self, epoch: int) -> Record:
        """Return the scores after an epoch; a fold that has stopped keeps its last."""
        return self.records[min(epoch, len(self.records) - 1)]

    def _go(self) -> None:
        self._turn.release()
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            with self._config(), watched(self.estimator, EndOfEpoch(self._end_epoch)):
                self._fit_and_score()
        except BaseException as error:
            self._broken = error
        finally:
            self.is_done = True
            self._pause.release()

    def _fit_and_score(self) -> None:
        try:
            self._fit_once_and_score()
        except Exception as error:
            kind = type(self.estimator).__name__
            error.add_note(
                f"It was raised where estimator={kind} was fitted and scored with the "
                f"parameters {self.params}, in fold {self.number} of X and y."
            )
            raise

    def _fit_once_and_score(self) -> None:
        shared = self.cross_validation
        result = _fit_and_score(
            self.estimator,
            shared.X,
            shared.y,
            scorer=lambda *rows, **params: 0.0,  # scored below
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
        self.fit_time = result["fit_time"] - self._waited - self.score_time
        # The scores after the last epoch are those after the fit, but for the latter.
        if self.error is None and not (self.stop or self._is_scored()):
            self._score_at_last()

    def _is_scored(self) -> bool:
        return bool(self.records) and not self.keeps_best

    def _score_at_last(self) -> None:
        started = time.time()
        scores_train = self.cross_validation.return_train_score
        train = self._split(self.train) if scores_train else None
        test = self._split(self.test, is_test=True)
        self.final = self._score(self.estimator, test, train)
        self.score_time += time.time() - started

    def _split(self, rows, is_test: bool = False):
        shared = self.cross_validation
        against = (self.train,) if is_test else ()
        return _safe_split(self.estimator, shared.X, shared.y, rows, *against)

    def _end_epoch(self, network) -> bool:
        """Score after an epoch, then wait for the next turn."""
        if self.stop:
            return True
        started = time.time()
        if self._rows is None:
            self._rows = _TestRows(self)
        self.records.append(self._rows.score(network))
        self.score_time += time.time() - started
        started = time.time()
        self._pause.release()
        self._turn.acquire()
        self._waited += time.time() - started
        return self.stop

    def _score(self, estimator, test, train) -> Record:
        def scores(rows, indices):
            shared = self.cross_validation
            params = _check_method_params(shared.X, shared.score_params, indices)
            return as_dict(
                _score(estimator, *rows, shared.scorers, params, shared.error_score)
            )

        return Record(
            scores(test, self.test),
            None if train is None else scores(train, self.train),
        )


class _TestRows:
    """Rows that a network in the midst of its fit is scored on.

    The steps before it in a Pipeline are fitted by then. What they make of the rows is
    kept, and the network is scored alone; a user's own scorer, which may look at any
    step, is given all of them.
    """

    def __init__(self, fold: Fold):
        self.fold = fold
        self.alone = _looks_at_predictions_only(fold.cross_validation.scorers)
        self.test = self._transformed(*fold._split(fold.test, is_test=True))
        self.train = None
        if fold.cross_validation.return_train_score:
            self.train = self._transformed(*fold._split(fold.train))

    def score(self, network) -> Record:
        """Return the scores of a network."""
        estimator = network if self.alone else _with_last(self.fold.estimator, network)
        return self.fold._score(estimator, self.test, self.train)

    def _transformed(self, X, y):
        estimator = self.fold.estimator
        while self.alone and hasattr(estimator, "steps"):
            if len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
        return X, y


def _with_last(estimator, network):
    """Return a Pipeline like another one, with another last step."""
    if not hasattr(estimator, "steps"):
        return network
    made = copy.copy(estimator)
    name, last = estimator.steps[-1]
    made.steps = [*estimator.steps[:-1], (name, _with_last(last, network))]
    return made


def _looks_at_predictions_only(scorers) -> bool:
    """Say whether scorers are scikit-learn's, to which any predictor is good."""
    if isinstance(scorers, _MultimetricScorer):
        return all(map(_looks_at_predictions_only, scorers._scorers.values()))
    return isinstance(scorers, _BaseScorer | _PassthroughScorer)


def _thread_config():
    """Return what gives another thread scikit-learn's settings of this one."""
    from sklearn import config_context, get_config

    config = get_config()
    return lambda: config_context(**config)
