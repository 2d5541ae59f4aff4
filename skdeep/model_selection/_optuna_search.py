"""Hyperparameter search with Optuna and scikit-learn's search API."""

from __future__ import annotations

import copy
import os
import time
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params, _num_samples

from skdeep._failed_fits import all_or_nothing
from skdeep._input_checks import indexable_rows, naming
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.model_selection._callback_contexts import SearchContexts
from skdeep.model_selection._epoch_callbacks import StopAfterEpochs, added_callback
from skdeep.model_selection._fold_checks import (
    check_cv_iterable,
    check_folds,
    warn_if_folds_vary,
)
from skdeep.model_selection._lockstep import SINGLE_METRIC, CrossValidation
from skdeep.model_selection._optuna_import import (
    PRUNERS,
    SAMPLERS,
    OptunaInstance,
    import_optuna,
)
from skdeep.model_selection._private_url import (
    storage_without_passwords,
    to_private_url,
)
from skdeep.model_selection._search_goal import SearchGoal
from skdeep.model_selection._search_plots import SearchPlots


class OptunaSearchCV(ExplainedParameters, SearchPlots, VersionedPickle, BaseSearchCV):
    """Hyperparameter search with Optuna, scored by cross-validation.

    Like :class:`sklearn.model_selection.RandomizedSearchCV`, but each trial learns from
    earlier ones, unpromising trials are pruned (stopped early), and a search can be
    interrupted at any time and resumed. Requires Optuna:
    ``pip install 'scikit-deep[tune]'``.

    The first trial uses the estimator's current parameters. If the estimator is a
    network of skdeep, or a Pipeline that ends in one, the folds train in lockstep and
    are scored on their test rows after every epoch. The pruner sees the mean over the
    folds. The number of epochs is tuned too: the score of a trial is that of its best
    epoch, and the refit trains for this number of epochs. With ``early_stopping``, the
    network itself chooses the epoch. Other estimators are scored, and may be pruned,
    after each fold.

    Parameters
    ----------
    estimator : estimator
        The estimator to tune. It is cloned, not modified.

    param_distributions : 'auto', dict or callable, default='auto'
        The search space. A dict maps each parameter, or ``step__parameter``, to an
        Optuna distribution, a scipy distribution or a list of values. A callable takes
        an Optuna trial and returns a dict of parameters, for spaces where one parameter
        depends on another. 'auto' is the estimator's ``default_search_space()``, also
        if the estimator is inside a Pipeline, a CostSensitiveClassifier or a
        TransformedTargetRegressor.

    n_trials : int, default=50
        Number of trials, including those found when a study is resumed. Unfinished
        trials of a killed process do not count.

    timeout : float, default=None
        Seconds after which no new trial starts. At least one trial runs.

    scoring : str, callable, list, tuple or dict, default=None
        Scoring, as in scikit-learn's searches; None is the estimator's ``score``.

    directions : list of {'maximize', 'minimize'}, default=None
        The direction of each metric. With several metrics all become objectives, and
        the best trials form a Pareto front, ``study_.best_trials``; trials are not
        pruned and train for all epochs. None maximizes one objective: the metric named
        by `refit`, or the first.

    cv : int, splitter or iterable, default=None
        Cross-validation, as in scikit-learn's searches. All trials use the same folds.

    refit : bool, str or callable, default=True
        Whether to refit with the best parameters on all rows. With several metrics, the
        name of the metric to choose by, or a callable that takes ``cv_results_`` and
        returns an index.

    sampler : {'tpe', 'random', 'cmaes', 'gp', 'nsgaii'}, callable or Optuna sampler, \
default=None
        Samples the parameters; None is 'tpe'. A callable takes a seed and returns a
        sampler. A sampler instance keeps its state between searches, so a search that
        uses one may not be reproducible, in particular after resuming.

    pruner : {'median', 'hyperband', 'successive_halving', 'none'}, Optuna pruner or \
None, default='median'
        Decides which trials to stop early. Its steps are epochs, counted from 0, or
        folds. 'median' starts with the second batch of trials and the fifth epoch.

    storage : str, path or Optuna storage, default=None
        Where trials are stored: None in memory, a file name in an Optuna journal file,
        a URL in a database. Processes on several machines can share a storage. It can
        hold any number of searches, each as a study. An existing file that is not a
        journal is never written to. The password of a URL is neither shown nor
        pickled; it is safer in the environment (``PGPASSWORD``).

    study_name : str, default=None
        Name of the study in the storage. None is "OptunaSearchCV", followed by a hash
        of the data, folds, search space and scoring if another search has that name. A
        given name that belongs to another search raises an error, except inside another
        estimator or a cross-validation, which fit the search to several sets of rows:
        then the hash is appended.

    n_jobs : int, default=None
        Number of trials that run in parallel, as joblib processes. It does not affect
        the results.

    random_state : int, RandomState instance or None, default=None
        Seed of the sampler. A resumed study keeps its seed. For reproducible results,
        set ``random_state`` of the estimator too.

    error_score : 'raise' or float, default=np.nan
        Score of a trial in which a fit fails. If all trials fail, an error is raised.

    return_train_score : bool, default=False
        Whether to score the training rows too.

    verbose : int, default=0
        If above 0, the number of finished trials and the best score are displayed: in
        a notebook and on a terminal as a live bar with the time left, otherwise as
        lines.

    callbacks : list of callable, default=None
        Functions called with the study and the trial after each trial of this process,
        like callbacks of Optuna. ``study.stop()`` ends the search.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in :class:`sklearn.model_selection.RandomizedSearchCV`, in the order of the
        trials, with "state" ('complete', 'pruned' or 'failed') and "n_epochs" (of the
        best epoch, of a pruned trial of the last; NaN if epochs are not tuned). Trials
        that are not complete have NaN scores, or `error_score`, and the last rank.

    study_ : optuna.Study
        The study, for analysis with Optuna.

    best_estimator_ : estimator
        Estimator fitted with the best parameters on all rows, if `refit` is set.

    best_score_ : float
        Mean cross-validated score of the best trial. It is optimistic, as the best of
        many trials and epochs: to estimate performance, score held-out rows or nest the
        search in a cross-validation.

    best_params_ : dict
        Parameters of the best trial.

    best_index_ : int
        Position of the best trial in ``cv_results_``.

    best_n_epochs_ : int or None
        Number of epochs of the refit; None if it is not fixed.

    scorer_ : callable or dict
        The scorers.

    n_splits_ : int
        Number of folds.

    refit_time_ : float
        Duration of the refit in seconds.

    multimetric_ : bool
        Whether there are several metrics.

    classes_ : ndarray of shape (n_classes,)
        Class labels, if `refit` is set and the estimator is a classifier.

    n_features_in_ : int
        Number of features, if `refit` is set.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Feature names, if X has them.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Exhaustive search over lists of values.
    sklearn.model_selection.RandomizedSearchCV : Search over random parameters.

    Notes
    -----
    Differences from scikit-learn's searches: `n_jobs` counts trials, not fits, because
    the folds of a trial train in lockstep; the number of epochs is tuned; a trial fails
    if one of its folds does; if no trial succeeds, an error is raised.

    Parameters are sampled in batches of four trials, from the results of earlier
    batches. Therefore the trials, and which of them are pruned, do not depend on
    `n_jobs`, the number of processes or interruptions.

    A study is resumed if the data, folds, search space, scoring and estimator are the
    same; `n_trials`, `sampler`, `pruner` and `random_state` may differ. The trial of a
    dead process runs again: at once if the process was on this machine, otherwise after
    two minutes without a heartbeat.

    If a search or its refit raises an error, the attributes of an earlier fit are
    kept; trials in a `storage` are kept too and do not run again.

    Ctrl-C ends the search. If a trial is complete by then, a warning is issued, the
    results so far are kept and the best parameters are refitted; a second Ctrl-C ends
    the refit and leaves the results without a fitted estimator. Otherwise, and inside
    another estimator or a cross-validation, `KeyboardInterrupt` is raised.

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
    >>> network = MLPClassifier((8,), max_iter=20, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network)
    >>> space = {
    ...     "mlpclassifier__learning_rate_init": loguniform(1e-3, 1e-1),
    ...     "mlpclassifier__activation": ["relu", "tanh"],
    ... }
    >>> search = OptunaSearchCV(model, space, n_trials=3, cv=2, random_state=0)
    >>> search = search.fit(X, y)
    >>> search.cv_results_["state"][0]
    'complete'
    >>> search.best_estimator_[-1].n_iter_ == search.best_n_epochs_
    True
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
        "sampler": [
            None,
            StrOptions(set(SAMPLERS)),
            callable,
            OptunaInstance("samplers", "BaseSampler"),
        ],
        "pruner": [
            None,
            StrOptions(set(PRUNERS)),
            OptunaInstance("pruners", "BasePruner"),
        ],
        "storage": [None, str, os.PathLike, OptunaInstance("storages", "BaseStorage")],
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
        # BaseSearchCV copies only some input tags; `allow_nan` is not among them.
        tags.input_tags = copy.deepcopy(get_tags(self.estimator).input_tags)
        return tags

    # -- fit ---------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Run the search and refit the best parameters on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, of any shape that the estimator takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict
            Metadata passed to the estimator's ``fit``, the scorers and the splitter, as
            in scikit-learn's searches: ``groups``, ``sample_weight`` and others.

        Returns
        -------
        self : OptunaSearchCV
            The fitted search.

        Raises
        ------
        ImportError
            If Optuna is not installed.
        ValueError
            If the search space is empty or has unknown parameters, a fold is empty, the
            storage cannot be used or is damaged, `study_name` belongs to another
            search, or every trial fails.
        KeyboardInterrupt
            On Ctrl-C, unless the results of complete trials can be kept.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import OptunaSearchCV
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        >>> space = {"C": [0.1, 1.0]}
        >>> search = OptunaSearchCV(LogisticRegression(), space, n_trials=2, cv=2)
        >>> search.fit(X, y).cv_results_["params"][0]
        {'C': 1.0}
        """
        import_optuna()
        from skdeep.model_selection._search_run import run_search

        with naming("scoring"):
            scorers, refit_metric = self._get_scorers()
        _check_callbacks(self.callbacks)
        if self.n_jobs is not None and not self.n_jobs:
            raise ValueError("n_jobs must not be 0.")
        X, y = indexable_rows(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        # The outer context restores all attributes after an error in the refit, the
        # inner one also after Ctrl-C in the search; Ctrl-C in the refit keeps results.
        with (
            all_or_nothing(self, Exception),
            SearchContexts(self, X, y, params) as contexts,
        ):
            with all_or_nothing(self):
                # Folds are made once: a splitter with random_state=None would differ by
                # trial.
                cross_validation = self._make_cross_validation(X, y, scorers, routed)
                with contexts.trials(self.n_trials, self.n_splits_) as make_contexts:
                    found = run_search(self, cross_validation, routed, make_contexts)
                self._set_results(found.cv_results, found.goal)
                self._set_best(refit_metric, cross_validation.estimator)
                self.study_ = found.study
                is_several = isinstance(scorers, _MultimetricScorer)
                self.scorer_ = scorers._scorers if is_several else scorers
            if self.refit:
                with contexts.refit(self.best_estimator_):
                    self._refit(X, y, routed.estimator.fit)
        return self

    def _make_cross_validation(self, X, y, scorers, routed) -> CrossValidation:
        """Return the cross-validation of all trials, with its folds."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        check_cv_iterable(self.cv, cv)
        folds = list(cv.split(X, y, **routed.splitter.split))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        check_folds(folds, self.n_splits_, _num_samples(X))
        if self.storage is not None:
            warn_if_folds_vary(cv)
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

    def _set_results(self, results: dict, goal: SearchGoal) -> None:
        self.cv_results_ = results
        prefix = "mean_test_"
        names = [n.removeprefix(prefix) for n in results if n.startswith(prefix)]
        self.multimetric_ = goal.names is not None or names != [SINGLE_METRIC]
        self._objectives = goal.metrics(names)

    def _set_best(self, refit_metric: str, estimator) -> None:
        """Choose the best trial, unless there are several metrics and no `refit`."""
        results = self.cv_results_
        if callable(self.scoring) and self.multimetric_:
            refit_metric = self.refit
        if not (self.refit or not self.multimetric_):
            return
        if callable(self.refit):
            self.best_index_ = _check_index(self.refit(results), len(results["params"]))
        else:
            self.best_index_ = self._select_best_index(
                self.refit, refit_metric, results
            )
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]
        # NaN if epochs were not tuned.
        n_epochs = results["n_epochs"][self.best_index_]
        self.best_n_epochs_ = None if np.isnan(n_epochs) else int(n_epochs)
        if self.refit:
            self.best_estimator_ = clone(estimator).set_params(
                **clone(self.best_params_, safe=False)
            )

    def _refit(self, X, y, fit_params: dict) -> None:
        """Fit the best parameters on all rows, for the best number of epochs."""
        model: Any = self.best_estimator_
        # Some unsupervised estimators take no y at all.
        target = () if y is None else (y,)
        started = time.time()
        if self.best_n_epochs_ is None:
            model.fit(X, *target, **fit_params)
        else:
            with warnings.catch_warnings():
                # Training is stopped on purpose, at the best number of epochs.
                warnings.simplefilter("ignore", ConvergenceWarning)
                with added_callback(model, StopAfterEpochs(self.best_n_epochs_)):
                    model.fit(X, *target, **fit_params)
        self.refit_time_ = time.time() - started
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_

    # -- parameters and pickling -------------------------------------------------------

    def get_params(self, deep=True):
        """Get the parameters of this search.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of the wrapped estimator.

        Returns
        -------
        params : dict
            Parameter names and values. A `storage` that is a URL with a password is
            returned as a str subclass that hides the password when printed.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import OptunaSearchCV
        >>> url = "postgresql://me:secret@localhost/trials"
        >>> search = OptunaSearchCV(LogisticRegression(), storage=url)
        >>> print(search.get_params()["storage"])
        postgresql://me:***@localhost/trials
        """
        params = super().get_params(deep)
        return params | {"storage": to_private_url(params["storage"])}

    def __getstate__(self):
        state = super().__getstate__()
        state["storage"] = storage_without_passwords(self.storage)
        if "study_" in state:
            from skdeep.model_selection._sampling import memory_study, quiet_optuna

            # A copy in memory: the storage may not exist where the search is loaded.
            study = state["study_"]
            with quiet_optuna():
                state["study_"] = memory_study(
                    study.directions, study.sampler, study.pruner, study.trials
                )
        return state


def _check_index(index: Any, n_trials: int) -> int:
    """Check the index of the best trial that a callable `refit` returned."""
    if not isinstance(index, int | np.integer):
        raise TypeError(
            "best_index_ returned is not an integer: a callable refit must return a "
            f"position in cv_results_, got {index!r}."
        )
    if not 0 <= index < n_trials:
        raise IndexError(
            f"best_index_ index out of range: refit returned {index}, but cv_results_ "
            f"has {n_trials} trials, 0 to {n_trials - 1}."
        )
    return int(index)


def _check_callbacks(callbacks) -> None:
    """Raise if a callback is not callable, before any trial runs."""
    for callback in callbacks or ():
        if not callable(callback) or isinstance(callback, type):
            raise TypeError(
                "callbacks must be functions that take the study and the trial, got "
                f"{callback!r}."
            )
