"""Optuna behind the interface of scikit-learn's searches."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params, _num_samples

from skdeep._failed_fits import all_or_nothing, is_outermost_fit
from skdeep._input_checks import indexable_rows, naming
from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.model_selection._callback_contexts import SearchContexts
from skdeep.model_selection._epoch_callbacks import StopAfter, watched
from skdeep.model_selection._lockstep import SINGLE, CrossValidation
from skdeep.model_selection._plots import SearchPlots
from skdeep.model_selection._private_url import private
from skdeep.model_selection._results import make_results, params_of
from skdeep.model_selection._sampling import (
    PRUNERS,
    SAMPLERS,
    Drawing,
    make_pruner,
    make_sampler,
    memory_study,
    quiet,
)
from skdeep.model_selection._search_progress import make_progress
from skdeep.model_selection._search_space import make_space
from skdeep.model_selection._signature import digest, signature
from skdeep.model_selection._storage import (
    DEFAULT_NAME,
    facts_of,
    open_storage,
    open_study,
    pickled,
    plain_errors,
)
from skdeep.model_selection._study import Ledger
from skdeep.model_selection._trial import Goal
from skdeep.model_selection._trial_loop import TrialLoop, has_scores

# Seconds; a larger integer may not have a float.
_LONGEST = 1e12
_DIRECTIONS = ("maximize", "minimize")


class OptunaSearchCV(ExplainedParameters, SearchPlots, VersionedPickle, BaseSearchCV):
    """Search of parameters by Optuna, scored by cross-validation.

    Like :class:`sklearn.model_selection.RandomizedSearchCV`, but each trial learns from
    those before it, a trial that does worse than most is given up early, and a search
    can be stopped at any moment and gone on with.

    The first trial is the estimator's own parameters. A network of skdeep, also at the
    end of a Pipeline, is scored after every epoch on the test rows of all folds, which
    advance together. The mean over folds is what the pruner sees. It also chooses the
    number of epochs: a trial is worth what it was after its best epoch, and the refit
    trains for as many. With ``early_stopping`` the network chooses for itself. Other
    estimators are scored, and pruned, after each fold.

    Parameters
    ----------
    estimator : estimator
        What is tuned. It is not changed.

    param_distributions : 'auto', dict or callable, default='auto'
        For each parameter, or ``step__parameter``, a distribution of Optuna, one of
        scipy, or a list of values. A callable takes a trial of Optuna and returns a
        dict of parameters: for spaces where one parameter depends on another. 'auto'
        is the estimator's own ``default_search_space()``, found inside of a
        Pipeline, a CostSensitiveClassifier or a TransformedTargetRegressor too.

    n_trials : int, default=50
        Number of trials. Those that a resumed search finds count, those that a killed
        one has left unfinished do not.

    timeout : float, default=None
        Seconds after which no trial is begun. One is always run.

    scoring : str, callable, list, tuple or dict, default=None
        How to score, as in scikit-learn's searches; None is the estimator's ``score``.

    directions : list of {'maximize', 'minimize'}, default=None
        With several metrics, the direction of each: all are objectives then, and the
        best trials form a Pareto front, ``study_.best_trials``. None has one objective,
        to be maximised: the metric that `refit` names, or the first. With several
        objectives trials are not pruned, and train for all their epochs.

    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn's searches. They are made once, for all trials.

    refit : bool, str or callable, default=True
        Whether to fit the best parameters on all rows; with several metrics, the name
        of the one to choose by, or a callable that takes ``cv_results_`` and returns
        an index.

    sampler : {'tpe', 'random', 'cmaes', 'gp', 'nsgaii'}, callable or sampler of \
Optuna, default=None
        What draws parameters; None is 'tpe'. A callable takes a seed and returns a
        sampler. A sampler itself is used as it is, with a state of its own: a search
        with it need not repeat, least of all when it is resumed.

    pruner : {'median', 'hyperband', 'successive_halving', 'none'}, pruner of Optuna \
or None, default='median'
        What gives trials up. Steps are epochs, from 0 on, or folds. 'median' begins
        with the second batch of trials, and with the fifth epoch.

    storage : str, path or storage of Optuna, default=None
        Where trials are kept: None in memory, a file name in a journal file of
        Optuna's, a URL in a database. Several processes, on several machines, may
        share one. It holds any number of searches, each in a study of its own. A file
        that is not a journal is never written to. The password of a URL is neither
        shown nor pickled; better give it by the environment (``PGPASSWORD``).

    study_name : str, default=None
        Name of the study in the storage. None is "OptunaSearchCV"; if another search
        has that name, a hash of the data, folds, parameters and scores follows it. A
        name that is given is refused if another search has it. Inside of another
        estimator or a cross-validation, which fit the search to several sets of rows,
        the hash follows it instead.

    n_jobs : int, default=None
        Number of trials at a time, in processes of joblib's. It changes nothing else.

    random_state : int, RandomState instance or None, default=None
        Decides what is drawn. A resumed search goes on with the seed it began with.
        Repeated results need an estimator with a ``random_state`` too.

    error_score : 'raise' or float, default=np.nan
        Score of a trial in which a fit fails. If all fail an error is raised.

    return_train_score : bool, default=False
        Whether to score the training rows too.

    verbose : int, default=0
        Above 0, a bar shows the best score and the time left.

    callbacks : list of callable, default=None
        Called with the study and the trial, as Optuna's are, when a trial of this
        process is done. ``study.stop()`` ends the search.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As of :class:`sklearn.model_selection.RandomizedSearchCV`, in the order in which
        trials are drawn, with "state" ('complete', 'pruned' or 'failed') and "n_epochs"
        (the best, or the last of a pruned trial; NaN where epochs are not chosen).
        Trials that are not complete have NaN for scores, or `error_score`, and the last
        rank.

    study_ : optuna.Study
        The study, for Optuna's own analysis.

    best_estimator_ : estimator
        Fitted with the best parameters on all rows, if `refit` is.

    best_score_ : float
        Mean cross-validated score of the best trial. As the best of many, and of many
        epochs, it is too good a forecast: score other rows, or nest the search.

    best_params_ : dict
        Parameters of the best trial.

    best_index_ : int
        Row of the best trial in ``cv_results_``.

    best_n_epochs_ : int or None
        Epochs that the refit trains for; None if it is not bound to a number.

    scorer_ : callable or dict
        The scorers.

    n_splits_ : int
        Number of folds.

    refit_time_ : float
        Seconds the refit took.

    multimetric_ : bool
        Whether there are several metrics.

    classes_ : ndarray of shape (n_classes,)
        Labels of the classes, if `refit` is and it is a classifier.

    n_features_in_ : int
        Number of columns, if `refit` is.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if they have names.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Every combination of listed values.
    sklearn.model_selection.RandomizedSearchCV : Combinations drawn at random.

    Notes
    -----
    Differences from scikit-learn's searches: `n_jobs` counts trials, not fits, since
    the folds of a trial advance together; the number of epochs is chosen; a trial in
    which one fold fails is a failed trial; when no trial succeeds an error is raised
    instead of the first parameters being used.

    Trials are drawn in batches of four that know the batches before. So the same
    trials are drawn for any `n_jobs`, in any number of processes, and after any number
    of interruptions, and the same are pruned.

    A search is resumed if the data, folds, parameters, scores and the estimator are the
    same; `n_trials`, `sampler`, `pruner` and `random_state` do not count. A trial whose
    process is dead is run again: at once if it was on this machine, after two minutes
    without a sign of life if it was on another.

    A search that ends in an error, in the refit too, leaves its attributes as they were
    before; trials in a `storage` are kept there and not run again.

    Ctrl-C ends the search. If a trial is complete by then, a warning says how many are
    done, their results are kept and the best parameters are refitted; a second Ctrl-C
    ends the refit, and leaves the results without a fitted estimator. Otherwise, and
    inside of another estimator or a cross-validation, `KeyboardInterrupt` is raised.

    References
    ----------
    .. [1] T. Akiba, S. Sano, T. Yanase, T. Ohta and M. Koyama, "Optuna: A
       Next-generation Hyperparameter Optimization Framework", KDD 2019.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier, OptunaSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier((8,), random_state=0))
    >>> space = {
    ...     "mlpclassifier__learning_rate_init": loguniform(1e-3, 1e-1),
    ...     "mlpclassifier__activation": ["relu", "tanh"],
    ... }
    >>> search = OptunaSearchCV(model, space, n_trials=4, cv=3, random_state=0)
    >>> search = search.fit(X, y)
    >>> round(float(search.best_score_), 1)
    1.0
    >>> search.cv_results_["state"][0]
    'complete'
    """

    _parameter_constraints: dict = {
        **BaseSearchCV._parameter_constraints,
        "param_distributions": [StrOptions({"auto"}), dict, callable],
        "n_trials": [Interval(Integral, 1, None, closed="left")],
        "timeout": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, None, closed="neither"),
        ],
        "directions": [None, list, tuple],
        "sampler": [None, StrOptions(set(SAMPLERS)), callable, BaseSampler],
        "pruner": [None, StrOptions(set(PRUNERS)), BasePruner],
        "storage": [None, str, os.PathLike, BaseStorage],
        "study_name": [None, str],
        "random_state": ["random_state"],
        "callbacks": [None, list, tuple],
    }
    _parameter_constraints.pop("pre_dispatch")

    def __init__(
        self,
        estimator,
        param_distributions="auto",
        *,
        n_trials=50,
        timeout=None,
        scoring=None,
        directions=None,
        cv=None,
        refit=True,
        sampler=None,
        pruner="median",
        storage=None,
        study_name=None,
        n_jobs=None,
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        verbose=0,
        callbacks=None,
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_trials = n_trials
        self.timeout = timeout
        self.scoring = scoring
        self.directions = directions
        self.cv = cv
        self.refit = refit
        self.sampler = sampler
        self.pruner = pruner
        self.storage = storage
        self.study_name = study_name
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.verbose = verbose
        self.callbacks = callbacks

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Whatever the estimator takes, missing values too.
        tags.input_tags = copy.deepcopy(get_tags(self.estimator).input_tags)
        return tags

    # -- fit ---------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Search, and fit the best parameters on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, of whatever shape the estimator takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets.
        **params : dict
            Passed to the estimator's ``fit``, the scorers and the splitter, as by
            scikit-learn's searches: ``groups``, ``sample_weight`` and others.

        Returns
        -------
        self : OptunaSearchCV
            The fitted search.

        Raises
        ------
        ValueError
            If the space is empty or names unknown parameters, if a fold is empty, if
            the storage cannot be opened, written or read, is damaged, if `study_name`
            is that of another search, or if every trial fails.
        KeyboardInterrupt
            On Ctrl-C, unless the results of complete trials can be kept.
        """
        with naming("scoring"):
            scorers, refit_metric = self._get_scorers()
        _check_callbacks(self.callbacks)
        if self.n_jobs is not None and not self.n_jobs:
            raise ValueError(f"n_jobs must not be 0, got {self.n_jobs!r}.")
        X, y = indexable_rows(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        # An interrupt of the refit leaves what the search has found, an error nothing.
        with (
            all_or_nothing(self, Exception),
            SearchContexts(self, X, y, params) as contexts,
        ):
            with all_or_nothing(self):
                cross_validation = self._make_cross_validation(X, y, scorers, routed)
                with contexts.trials(self.n_trials, self.n_splits_) as make_contexts:
                    self._search(cross_validation, routed, refit_metric, make_contexts)
                is_several = isinstance(scorers, _MultimetricScorer)
                self.scorer_ = scorers._scorers if is_several else scorers
            if self.refit:
                with contexts.refit(self.best_estimator_):
                    self._refit(X, y, routed.estimator.fit)
        return self

    def _make_cross_validation(self, X, y, scorers, routed) -> CrossValidation:
        """Make the folds and return the cross-validation of all trials."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        _check_pairs(self.cv, cv)
        folds = list(cv.split(X, y, **routed.splitter.split))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        _check_folds(folds, self.n_splits_, _num_samples(X))
        if self.storage is not None:
            _check_folds_repeat(cv)
        return CrossValidation(
            clone(self.estimator),
            X,
            y,
            folds,
            scorers,
            routed.estimator.fit,
            routed.scorer.score,
            self.error_score,
            self.return_train_score,
            self if hasattr(self, "_skl_callbacks") else None,
        )

    def _search(
        self,
        cross_validation: CrossValidation,
        routed,
        refit_metric: str,
        make_contexts,
    ) -> None:
        """Run the trials and choose the best."""
        estimator = cross_validation.estimator
        space = make_space(self.param_distributions, estimator)
        goal = self._make_goal(cross_validation.scorers)
        own = space.own(estimator)
        with quiet(), plain_errors():
            study, seed = self._open(cross_validation, routed, space, goal)
            drawing = Drawing(
                space, own, self.sampler, self.pruner, goal.directions, seed
            )
            trials = self._run(study, drawing, cross_validation, goal, make_contexts)
        found = [params_of(trial, space, own) for trial in trials.values()]
        self._keep_results(trials, found, goal)
        self._keep_best(refit_metric, estimator)
        study.sampler = make_sampler(self.sampler, seed)
        study.pruner = make_pruner(self.pruner)
        self.study_ = study

    def _make_goal(self, scorers) -> Goal:
        """Return the objectives."""
        names = None
        if isinstance(scorers, _MultimetricScorer):
            names = list(scorers._scorers)
        refit = self.refit
        if not isinstance(refit, str):
            refit = bool(refit) and not callable(refit)
        if self.directions is None:
            if names is not None:
                names = [refit] if isinstance(refit, str) else names[:1]
            return Goal(names, ["maximize"], refit)
        directions = list(self.directions)
        if not directions or any(given not in _DIRECTIONS for given in directions):
            raise ValueError(
                f"directions must hold 'maximize' or 'minimize', got {directions!r}: "
                "one for each metric of scoring, in their order."
            )
        goal = Goal(names, directions, refit)
        if names is not None or not callable(self.scoring):
            goal.metrics(names or [SINGLE])
        return goal

    def _open(self, cross_validation: CrossValidation, routed, space, goal: Goal):
        """Return the study, new or resumed, and the seed of its draws."""
        rng = check_random_state(self.random_state)
        marks: dict[str, str] = {}
        if self.storage is not None:
            given = {**routed.estimator.fit, **routed.splitter.split}
            names = goal.names
            if names is None and callable(self.scoring) and self.directions is None:
                names = [self.refit] if isinstance(self.refit, str) else None
            scoring = [self.scoring, names, goal.directions]
            marks = signature(
                cross_validation.estimator,
                cross_validation.X,
                cross_validation.y,
                given,
                cross_validation.folds,
                space,
                scoring,
            )
        facts = {"seed": int(rng.randint(2**31 - 1)), "signature": marks}
        storage = open_storage(self.storage)
        study = open_study(
            storage, self.study_name, goal.directions, facts, self._other_name(marks)
        )
        return study, facts_of(study)["seed"]

    def _other_name(self, marks: dict[str, str]) -> str | None:
        """Return the name to use if that of the study is taken by another search.

        A name that the user has given is kept, unless the search is fitted to rows that
        another estimator, or a cross-validation, has chosen.
        """
        if self.storage is None or (self.study_name and is_outermost_fit()):
            return None
        return f"{self.study_name or DEFAULT_NAME}-{digest(marks)}"

    def _run(
        self,
        study,
        drawing: Drawing,
        cross_validation: CrossValidation,
        goal: Goal,
        make_contexts,
    ):
        """Run the trials; return the finished ones, by place."""
        until = math.inf
        if self.timeout is not None:
            until = time.monotonic() + min(self.timeout, _LONGEST)
        progress = make_progress(self.verbose, self.n_trials)
        try:
            with Ledger(study) as ledger:
                loop = TrialLoop(
                    ledger,
                    drawing,
                    cross_validation,
                    goal,
                    self.n_trials,
                    until,
                    self.n_jobs,
                    list(self.callbacks or ()),
                    progress,
                    make_contexts,
                )
                try:
                    return loop.run()
                except KeyboardInterrupt:
                    done = ledger.finished()
                    if not (has_scores(done) and is_outermost_fit()):
                        raise
                    self._tell_of_interrupt(len(done))
                    return done
        finally:
            progress.close()

    def _tell_of_interrupt(self, n_done: int) -> None:
        next_step = " Now the best parameters are refitted." if self.refit else ""
        warn(
            f"Search interrupted by user: the results are those of {n_done} of "
            f"{self.n_trials} trials.{next_step}",
        )

    def _keep_results(self, trials: dict[int, FrozenTrial], params, goal: Goal) -> None:
        self.cv_results_ = make_results(
            trials,
            params,
            self.n_splits_,
            self.error_score,
            goal,
            self._format_results,
        )
        prefix = "mean_test_"
        results = self.cv_results_
        names = [n.removeprefix(prefix) for n in results if n.startswith(prefix)]
        self.multimetric_ = goal.names is not None or names != [SINGLE]
        self._objectives = goal.metrics(names)

    def _keep_best(self, refit_metric: str, estimator) -> None:
        """Choose the best trial, if there is a way to."""
        results = self.cv_results_
        if callable(self.scoring) and self.multimetric_:
            refit_metric = self.refit
        if not (self.refit or not self.multimetric_):
            return
        if callable(self.refit):
            self.best_index_ = _checked_index(
                self.refit(results), len(results["params"])
            )
        else:
            self.best_index_ = self._select_best_index(
                self.refit, refit_metric, results
            )
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]
        n_epochs = results["n_epochs"][self.best_index_]
        self.best_n_epochs_ = None if np.isnan(n_epochs) else int(n_epochs)
        if self.refit:
            self.best_estimator_ = clone(estimator).set_params(
                **clone(self.best_params_, safe=False)
            )

    def _refit(self, X, y, fit_params: dict) -> None:
        """Fit the best parameters on all rows, for as many epochs as were best."""
        model: Any = self.best_estimator_
        target = () if y is None else (y,)
        started = time.time()
        if self.best_n_epochs_ is None:
            model.fit(X, *target, **fit_params)
        else:
            with warnings.catch_warnings():
                # It is we who stop the training.
                warnings.simplefilter("ignore", ConvergenceWarning)
                with watched(model, StopAfter(self.best_n_epochs_)):
                    model.fit(X, *target, **fit_params)
        self.refit_time_ = time.time() - started
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_

    # -- parameters and pickling -------------------------------------------------------

    def get_params(self, deep=True):
        """Get parameters for this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of the estimator inside, too.

        Returns
        -------
        params : dict
            Names and values. A `storage` that is a URL with a password is a str that
            works as the URL and is shown without the password.
        """
        params = super().get_params(deep)
        return params | {"storage": private(params["storage"])}

    def __getstate__(self):
        state = super().__getstate__()
        state["storage"] = pickled(self.storage)
        if "study_" in state:
            # A copy in memory: files and databases may not be where it is loaded.
            study = state["study_"]
            with quiet():
                state["study_"] = memory_study(
                    study.directions, study.sampler, study.pruner, study.trials
                )
        return state


def _checked_index(index: Any, n_trials: int) -> int:
    """Return what `refit`, a callable, gives as the index of the best trial."""
    if not isinstance(index, int | np.integer):
        raise TypeError(
            "best_index_ returned is not an integer: refit must return a position in "
            f"cv_results_, got {index!r}."
        )
    if not 0 <= index < n_trials:
        raise IndexError(
            f"best_index_ index out of range: refit returned {index}, but cv_results_ "
            f"has {n_trials} trials, 0 to {n_trials - 1}."
        )
    return int(index)


def _check_callbacks(callbacks) -> None:
    """Refuse, before any trial is run, what cannot be called after one."""
    for callback in callbacks or ():
        if not callable(callback) or isinstance(callback, type):
            raise TypeError(
                "callbacks must be functions of the study and the trial, got "
                f"{callback!r}."
            )


def _check_pairs(given, cv) -> None:
    """Refuse what gives no folds, and an iterable of folds that are no pairs."""
    if not hasattr(cv, "get_n_splits"):  # a tensor has a split too
        raise ValueError(f"cv must be a splitter or an iterable of folds, got {cv!r}.")
    folds = [] if hasattr(given, "split") else getattr(cv, "cv", [])
    for number, fold in enumerate(folds):
        if not hasattr(fold, "__len__") or len(fold) != 2:
            raise ValueError(
                "cv must be an iterable of pairs, the rows for training and those for "
                f"testing, but fold {number} is {fold!r}."
            )


def _check_folds(folds: list, n_splits: int, n_samples: int) -> None:
    """Refuse folds that cannot be scored or that would tell nothing."""
    if not folds:
        raise ValueError(
            "cv gives no folds. No fits were performed: the CV iterator is empty."
        )
    if len(folds) != n_splits:
        raise ValueError(
            "cv.split and cv.get_n_splits return inconsistent results. Expected "
            f"{n_splits} splits, got {len(folds)}"
        )
    for number, fold in enumerate(folds):
        train, test = (_rows(part, n_samples, number) for part in fold)
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                raise ValueError(f"Fold {number} of cv has no {name} rows.")
        shared = np.intersect1d(train, test)
        if len(shared):
            raise ValueError(
                f"Fold {number} of cv has {len(shared)} rows both for training and for "
                f"testing, such as row {shared[0]}: scores would be too good."
            )


def _check_folds_repeat(cv) -> None:
    """Warn of a splitter that draws other folds whenever the search is run."""
    is_drawn = getattr(cv, "shuffle", True) and hasattr(cv, "random_state")
    if is_drawn and cv.random_state is None:
        warn(
            f"The random_state of cv={cv} is None: its folds are drawn anew each time, "
            "so the study in the storage cannot be resumed. Give it a number.",
        )


def _rows(part, n_samples: int, number: int) -> np.ndarray:
    """Return the rows of one part of a fold, given by their numbers or as a mask."""
    part = np.asarray(part)
    if part.size and part.dtype.kind not in "iub":
        raise ValueError(
            f"Fold {number} of cv must hold numbers of rows, or a mask, got "
            f"{part.dtype} values."
        )
    try:
        return np.arange(n_samples)[part if part.size else part.astype(int)]
    except IndexError as error:
        raise ValueError(
            f"Fold {number} of cv has rows that are not among the {n_samples} of X: "
            f"{error}."
        ) from error
