"""Ensembles of networks with different hyperparameters, for raw tables."""

from __future__ import annotations

from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions

from skdeep._input_checks import check_flag
from skdeep.encoding import TargetScale, ValueTargets, class_targets
from skdeep.estimators._ensemble import DeepEnsemble
from skdeep.estimators._parameters import documented
from skdeep.losses import make_loss

_LOG_LOSS_FLOOR = 1e-15  # keeps the log loss of a wrong, certain prediction finite
_LOG_LOSS = SimpleNamespace(loss="log_loss", label_smoothing=0.0)
_SQUARED_ERROR = SimpleNamespace(loss="squared_error")

_ENSEMBLE_CONSTRAINTS: dict = {
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "n_folds": [Interval(Integral, 2, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "callbacks": [None, list, tuple],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
    "device": [str],
    "n_jobs": [
        None,
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
}

_ENSEMBLE_DOC = """\
n_members : int, default=32
    Maximum number of networks, rounded up to a multiple of ``n_folds``. They form sets
    of ``n_folds`` networks with the same hyperparameters. Fewer are trained if more do
    not help.
n_folds : int, default=4
    Number of folds of the training rows. Each network of a set is trained on all folds
    but one, which is used for early stopping, so that together the networks of a set
    are trained and validated on all rows.
max_iter : int, default=200
    Maximum number of epochs of a network. At first there are 36, over which the
    learning rate rises and falls; more follow only if the loss still falls steeply.
batch_size : int or 'auto', default='auto'
    Number of samples in a batch; 'auto' is 32 to 256, depending on the number of
    samples.
n_iter_no_change : int, default=10
    Number of consecutive epochs without a lower validation loss after which the
    training of a network that is stopped by the loss ends, in its first round. The
    weights of the best epoch are kept."""

_LAST_DOC = """\
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Columns that hold categories: those of a categorical type in a data frame; or a
    mask, positions or names; or none.
time_limit : float, default=None
    Seconds that ``fit`` may take, on any hardware. The speed is measured first, then
    the number of networks and of epochs and the schedule of the learning rate are
    chosen to fit. At the least, one set of networks is trained for one epoch, on a part
    of the rows if there is no time for all. With a limit, results depend on the speed
    of the computer.
callbacks : list of skorch callbacks, default=None
    Called at the beginning and the end of training and of each epoch of the networks
    in training, with a net that has a ``history`` but no module. Callbacks that watch
    the history, such as ``PrintLog``, work; those that score or save a module do not.
    One that raises ``KeyboardInterrupt`` ends the training. Losses are means over the
    networks in training, which change when sets end and when a round begins, so that
    ``EarlyStopping`` may end the training in the middle of a round. Each fit copies
    the callbacks to ``callbacks_``, if they can be copied.
verbose : bool or int, default=False
    Whether to print a line for each epoch, with an estimate of the longest time left.
random_state : int, RandomState instance, default=None
    Determines the hyperparameters, the folds, the initial weights and the order of
    samples. Pass an int for reproducible results.
device : str, default='auto'
    Device to compute on: 'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for an accelerator
    if there is one.
n_jobs : int, default=None
    Number of threads that train networks on the CPU. None and -1 mean all threads that
    torch uses, -2 all but one, and so on. Results are the same up to rounding."""

_FITTED_DOC = """\
members_ : list of EnsembleMember
    The networks. Each has ``hyperparameters`` (a dict), the held-out ``fold``,
    ``n_iter`` and ``validation_loss``.
member_weights_ : ndarray of shape (n_members,)
    Weight of each network in the average; equal for the networks of a set.
validation_loss_ : float
    {loss} of the ensemble on the training rows, each predicted by the networks that
    were not trained on it.
validation_score_ : float
    {score} of the same predictions.
n_iter_ : int
    Largest number of epochs of any network.
history_ : list of dict
    A record of each epoch: its ``round``, the number of networks in training
    (``n_active``) and the means over them of ``train_loss``, ``valid_loss``,
    ``valid_score`` and ``learning_rate``, and the ``duration`` in seconds. The last
    record of each round has the ``average_loss``: the loss of the best average of all
    sets so far on the rows that each network was not trained on.
callbacks_ : list of skorch callbacks
    The callbacks after training. They are not pickled.
n_features_in_ : int
    Number of features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if X has names that are all strings."""

_ENSEMBLE_NOTES = """\
Missing numbers (NaN) are replaced by the mean, and an indicator column is added.
Numbers need no scaling: they are scaled by median and quartiles and squashed smoothly
into (-3, 3), so that outliers do no harm. Categories are one-hot encoded; rare ones
share a column.

Sets follow different templates, which suit different tables. In addition to the
numbers, most read fixed features of each: sines and cosines of random frequencies, or a
piecewise linear encoding. Columns are multiplied by a power of their importance in a
forest of extremely randomized trees, since a network learns large inputs first. The
learning rate, the penalty and the scale of the frequencies are drawn at random. Some
sets are stopped by the loss, others later, by the score: these are overconfident on
their own, but not when averaged.

Sets are then selected greedily, with replacement, so that their average has the lowest
loss on the rows that each network was not trained on.

Networks are trained in rounds. The first has four sets. In each round, sets that are
much worse than the best one end after half of it. If the validation loss of the best
set then still falls steeply, as it does for targets with little noise, the two best
sets are trained longer, with a learning rate that rises and falls again. Otherwise two
more sets are added if averaging helps, that is, if the loss of the average is at least
5 % lower than that of the best set, and two more as long as they lower it by 3 %.

The validation score is slightly optimistic, since networks are stopped and selected by
it, and slightly pessimistic, since one network of each set predicts a held-out row,
while all of them predict new rows."""

_REFERENCES = """\
Caruana, Niculescu-Mizil, Crew & Ksikes (2004). "Ensemble selection from libraries of
models." ICML.

Lakshminarayanan, Pritzel & Blundell (2017). "Simple and scalable predictive uncertainty
estimation using deep ensembles." NeurIPS. arXiv:1612.01474.

Geurts, Ernst & Wehenkel (2006). "Extremely randomized trees." Machine Learning 63.

Gorishniy, Rubachev & Babenko (2022). "On embeddings for numerical features in tabular
deep learning." NeurIPS. arXiv:2203.05556.

Holzmüller, Grinsztajn & Steinwart (2024). "Better by default: Strong pre-tuned MLPs and
boosted trees on tabular data." NeurIPS. arXiv:2407.04491."""


@documented(
    ensemble=_ENSEMBLE_DOC,
    last=_LAST_DOC,
    fitted=_FITTED_DOC.format(loss="The log loss", score="The accuracy"),
    notes=_ENSEMBLE_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleClassifier(ClassifierMixin, DeepEnsemble):
    """Average of many networks with different hyperparameters, for classification.

    It takes raw tables, with numbers of any scale, categories and missing values, and
    works well without tuning.

    Parameters
    ----------
    {ensemble}
    class_weight : dict or 'balanced', default=None
        Weights of the classes, which multiply the sample weights; 'balanced' makes
        them inversely proportional to the class frequencies.
    {last}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {fitted}

    See Also
    --------
    DeepEnsembleRegressor : The same for regression.
    MLPClassifier : A single network.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> from skdeep import DeepEnsembleClassifier
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = DeepEnsembleClassifier(n_members=4, max_iter=10, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **_ENSEMBLE_CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=200,
        batch_size="auto",
        n_iter_no_change=10,
        class_weight=None,
        categorical_features="from_dtype",
        time_limit=None,
        callbacks=None,
        verbose=False,
        random_state=None,
        device="auto",
        n_jobs=None,
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs

    def _set_up_targets(self, y):
        targets = class_targets(y, distributions=False)
        if targets.is_multilabel:
            raise ValueError(
                f"y must have shape (n_samples,), one label per sample, got shape "
                f"{y.shape}."
            )
        self._targets, self.classes_ = targets, targets.classes_
        # One raw score is enough for two classes.
        form = "labels" if len(self.classes_) <= 2 else "classes"
        self._loss = make_loss(_LOG_LOSS, form)
        return targets.encode(y)

    def _class_weight(self, y, codes):
        if self.class_weight is None:
            return None
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        return by_class[codes]

    def _scale_target(self, codes, weight):
        return codes

    def _make_trees(self, parameters):
        return ExtraTreesClassifier(**parameters)

    @property
    def _n_scores(self):
        return 1 if len(self.classes_) <= 2 else len(self.classes_)

    def _scores(self, raw, target):
        truth = target if target.ndim == 1 else target[:, 0]
        return (self._targets.codes_from(raw) == truth).to(raw)

    def _predictions(self, raw):
        return self._targets.probabilities(self._loss.predict(raw.double()).numpy())

    def _loss_parts(self, predictions, target):
        """Return the predicted probability of the true class of each row."""
        return predictions[..., np.arange(len(target)), target]

    def _row_losses(self, parts):
        return -np.log(np.maximum(parts, _LOG_LOSS_FLOOR))

    def _store_held_out_scores(self, held_out, chosen, target, weight):
        codes = np.tensordot(chosen, held_out, 1).argmax(axis=1)
        self.validation_score_ = accuracy_score(target, codes, sample_weight=weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and select the best sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights. Rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or sample_weight are invalid.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import DeepEnsembleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = DeepEnsembleClassifier(n_members=2, n_folds=2, max_iter=1)
        >>> len(model.fit(X, y).members_)
        2
        """
        return self._fit(X, y, sample_weight)

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import DeepEnsembleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = DeepEnsembleClassifier(n_members=2, n_folds=2, max_iter=1)
        >>> model.fit(X, y).predict_proba(X).shape
        (150, 3)
        """
        return self._moments(X)[0].astype(self._dtype, copy=False)

    def predict_log_proba(self, X):
        """Predict the logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import DeepEnsembleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = DeepEnsembleClassifier(n_members=2, n_folds=2, max_iter=1)
        >>> model.fit(X, y).predict_log_proba(X).shape
        (150, 3)
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The most probable classes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import DeepEnsembleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = DeepEnsembleClassifier(n_members=2, n_folds=2, max_iter=1)
        >>> model.fit(X, y).predict(X).shape
        (150,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]


@documented(
    ensemble=_ENSEMBLE_DOC,
    last=_LAST_DOC,
    fitted=_FITTED_DOC.format(
        loss="The mean squared error, in units of the variance of the target,",
        score="R²",
    ),
    notes=_ENSEMBLE_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleRegressor(RegressorMixin, DeepEnsemble):
    """Average of many networks with different hyperparameters, for regression.

    It takes raw tables, with numbers of any scale, categories and missing values, and
    targets of any scale, and works well without tuning.

    Parameters
    ----------
    {ensemble}
    {last}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    DeepEnsembleClassifier : The same for classification.
    MLPRegressor : A single network.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> from skdeep import DeepEnsembleRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = DeepEnsembleRegressor(n_members=4, max_iter=15, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.3
    True
    >>> mean, std = model.predict(X_test, return_std=True)
    >>> mean.shape == std.shape == y_test.shape
    True
    """

    _parameter_constraints: dict = _ENSEMBLE_CONSTRAINTS
    _penalty = 0.1

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=200,
        batch_size="auto",
        n_iter_no_change=10,
        categorical_features="from_dtype",
        time_limit=None,
        callbacks=None,
        verbose=False,
        random_state=None,
        device="auto",
        n_jobs=None,
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs

    def _set_up_targets(self, y):
        flat = y.ndim == 1
        self._targets = ValueTargets(1 if flat else y.shape[1], flat)
        self._loss = make_loss(_SQUARED_ERROR, "values")
        return self._targets.encode(y)

    def _class_weight(self, y, codes):
        return None

    def _scale_target(self, codes, weight):
        self._target_scale = TargetScale.of(codes, weight)
        return self._target_scale.scaled(codes)

    def _make_trees(self, parameters):
        return ExtraTreesRegressor(**parameters)

    @property
    def _n_scores(self):
        return self._targets.n_outputs

    def _scores(self, raw, target):
        return -self._loss.per_sample(raw, target)

    def _predictions(self, raw):
        return raw.double().numpy()

    def _loss_parts(self, predictions, target):
        """Return the errors of the predictions."""
        return predictions - target

    def _row_losses(self, parts):
        return (parts**2).mean(axis=-1)

    def _store_held_out_scores(self, held_out, chosen, target, weight):
        mean = np.tensordot(chosen, held_out, 1)
        self.validation_score_ = r2_score(target, mean, sample_weight=weight)
        # Squared errors are noise plus the error of the mean, which the spread of the
        # members estimates; only the rest is noise.
        spread = np.tensordot(chosen, (held_out - mean) ** 2, 1)
        surplus = np.average((mean - target) ** 2 - spread, axis=0, weights=weight)
        self._noise = np.maximum(surplus, 0)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and select the best sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights. Rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or sample_weight are invalid.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skdeep import DeepEnsembleRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = DeepEnsembleRegressor(n_members=2, n_folds=2, max_iter=1)
        >>> len(model.fit(X, y).members_)
        2
        """
        return self._fit(X, y, sample_weight)

    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        std : ndarray of the shape of ``y``
            Standard deviation of the target, if ``return_std``. Its square is the
            variance of the members' predictions, which is larger far from the training
            rows, plus the variance of the noise: the mean squared error on held-out
            rows that the first does not account for.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skdeep import DeepEnsembleRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = DeepEnsembleRegressor(n_members=2, n_folds=2, max_iter=1)
        >>> mean, std = model.fit(X, y).predict(X, return_std=True)
        >>> mean.shape, std.shape
        ((442,), (442,))
        """
        return_std = check_flag(return_std, "return_std")
        mean, variance = self._moments(X)
        scale, decode = self._target_scale, self._targets.decode
        values = decode(scale.restored(mean, self._dtype))
        if not return_std:
            return values
        std = np.sqrt(variance + self._noise)
        return values, decode(scale.restored_std(std, self._dtype))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
