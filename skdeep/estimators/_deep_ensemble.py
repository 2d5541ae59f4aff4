"""Ensembles of networks with different hyperparameters, for tables as they come."""

from __future__ import annotations

from numbers import Integral
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

_LEAST_PROBABILITY = 1e-15
_LOG_LOSS = SimpleNamespace(loss="log_loss", label_smoothing=0.0)
_SQUARED_ERROR = SimpleNamespace(loss="squared_error")

_CONSTRAINTS: dict = {
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "n_folds": [Interval(Integral, 2, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "random_state": ["random_state"],
    "device": [str],
}

_ENSEMBLE_DOC = """\
n_members : int, default=32
    Number of networks, rounded up to whole sets of ``n_folds``. The networks of a set
    have the same hyperparameters, each set its own.
n_folds : int, default=4
    Number of parts that the training rows are cut into. Each network of a set is
    stopped by another part, which it is not trained on, so that a set is judged by all
    rows and the ensemble is trained on all rows.
max_iter : int, default=40
    Largest number of epochs. The learning rate rises and falls over as many.
batch_size : int or 'auto', default='auto'
    Number of samples in a batch; 'auto' is 32 to 256, the more the more samples.
n_iter_no_change : int, default=10
    Number of epochs in a row without a lower validation loss after which a network
    that is stopped by it ends. The weights of the best epoch are kept."""

_LAST_DOC = """\
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Columns that hold categories: those of a data frame whose type is categorical; or
    a mask, positions or names; or none.
random_state : int, RandomState instance, default=None
    Determines the hyperparameters, the folds, the initial weights and the order of
    samples. An int gives the same ensemble on every run.
device : str, default='auto'
    Where to compute: 'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for an accelerator
    where there is one."""

_FITTED_DOC = """\
members_ : list of EnsembleMember
    The networks. Each has its ``hyperparameters`` (a dict), the ``fold`` that it was
    stopped by, ``n_iter`` and ``validation_loss``.
member_weights_ : ndarray of shape (n_members,)
    What share each has in a prediction; the members of a set have equal ones.
validation_loss_ : float
    {loss} of the ensemble on the training rows, each predicted by the members that
    were not trained on it.
validation_score_ : float
    {score} on them.
n_iter_ : int
    Number of epochs of the network that was trained longest.
n_features_in_ : int
    Number of features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if X has names that are all strings."""

_NOTES = """\
Missing numbers (NaN) are replaced by the mean, with an indicator beside them. Numbers
are scaled by median and quartiles and squeezed smoothly into (-3, 3), so that outliers
do no harm; they need no scaling before. Categories become columns of 0 and 1; rare ones
share one.

Sets are of different kinds, each of which suits other tables. Most read, beside the
numbers, fixed features of each: sines and cosines of frequencies that are drawn anew
for each set, or how far the number has come through each of some bins. Columns are
multiplied by how relevant trees of random cuts find them, to some power: a network
learns first what is large. The learning rate, the penalty and the scale of frequencies
are drawn. Some kinds are stopped by the loss; some by the score, later: alone they are
too sure of themselves, averaged they are not.

What suits the data is for the data to say: sets are chosen greedily, the same one again
if that is best, such that their average has the lowest loss on the rows that each was
not trained on.

The scores of validation rows are slightly too good, since networks are stopped and
chosen by them, and slightly too bad, since a row is predicted by one network of each
set where new rows are predicted by all."""

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
    notes=_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleClassifier(ClassifierMixin, DeepEnsemble):
    """Many networks with different hyperparameters, averaged, for classification.

    It takes tables as they come, with numbers of any scale, categories and missing
    values, and is meant to be used without tuning.

    Parameters
    ----------
    {ensemble}
    class_weight : dict or 'balanced', default=None
        Weights of the classes, which multiply those of the samples; 'balanced' makes
        them inversely proportional to the classes' frequencies.
    {last}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {fitted}

    See Also
    --------
    DeepEnsembleRegressor : The same for numbers.
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
    >>> model = DeepEnsembleClassifier(n_members=8, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **_CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=40,
        batch_size="auto",
        n_iter_no_change=10,
        class_weight=None,
        categorical_features="from_dtype",
        random_state=None,
        device="auto",
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.device = device

    def _start(self, y):
        targets = class_targets(y, distributions=False)
        if targets.is_multilabel:
            raise ValueError(
                f"y must hold one label for each sample, got shape {y.shape}."
            )
        self._targets, self.classes_ = targets, targets.classes_
        form = "labels" if len(self.classes_) <= 2 else "classes"
        self._loss = make_loss(_LOG_LOSS, form)
        return targets.encode(y)

    def _class_weight(self, y, codes):
        if self.class_weight is None:
            return None
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        return by_class[codes]

    def _scale(self, codes, weight):
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

    def _parts(self, predictions, target):
        """Return the probability of the class that a row is of."""
        return predictions[..., np.arange(len(target)), target]

    def _row_losses(self, parts):
        return -np.log(np.maximum(parts, _LEAST_PROBABILITY))

    def _look_back(self, held_out, chosen, target, weight):
        codes = np.tensordot(chosen, held_out, 1).argmax(axis=1)
        self.validation_score_ = accuracy_score(target, codes, sample_weight=weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and choose among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. A row of weight 0 counts as if it were not there.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are not as they should be.
        """
        return self._fit(X, y, sample_weight)

    def predict_proba(self, X):
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._moments(X)[0].astype(self._dtype, copy=False)

    def predict_log_proba(self, X):
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The likeliest classes.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]


@documented(
    ensemble=_ENSEMBLE_DOC,
    last=_LAST_DOC,
    fitted=_FITTED_DOC.format(
        loss="The mean squared error, in units of the target's variance,",
        score="R²",
    ),
    notes=_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleRegressor(RegressorMixin, DeepEnsemble):
    """Many networks with different hyperparameters, averaged, for regression.

    It takes tables as they come, with numbers of any scale, categories and missing
    values, a target of any scale, and is meant to be used without tuning.

    Parameters
    ----------
    {ensemble}
    {last}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    DeepEnsembleClassifier : The same for classes.
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
    >>> model = DeepEnsembleRegressor(n_members=8, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.3
    True
    >>> mean, std = model.predict(X_test, return_std=True)
    >>> mean.shape == std.shape == y_test.shape
    True
    """

    _parameter_constraints: dict = _CONSTRAINTS
    _penalty = 0.1

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=40,
        batch_size="auto",
        n_iter_no_change=10,
        categorical_features="from_dtype",
        random_state=None,
        device="auto",
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.device = device

    def _start(self, y):
        flat = y.ndim == 1
        self._targets = ValueTargets(1 if flat else y.shape[1], flat)
        self._loss = make_loss(_SQUARED_ERROR, "values")
        return self._targets.encode(y)

    def _class_weight(self, y, codes):
        return None

    def _scale(self, codes, weight):
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

    def _parts(self, predictions, target):
        """Return the errors."""
        return predictions - target

    def _row_losses(self, parts):
        return (parts**2).mean(axis=-1)

    def _look_back(self, held_out, chosen, target, weight):
        mean = np.tensordot(chosen, held_out, 1)
        self.validation_score_ = r2_score(target, mean, sample_weight=weight)
        spread = np.tensordot(chosen, (held_out - mean) ** 2, 1)
        surplus = np.average((mean - target) ** 2 - spread, axis=0, weights=weight)
        self._noise = np.maximum(surplus, 0)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and choose among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. A row of weight 0 counts as if it were not there.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are not as they should be.
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
        std : ndarray shaped as ``y``
            How far the target is likely to be off, if asked for. The variance is that
            of the members' predictions, which grows where they know little, plus that
            of the noise: what the squared errors on validation rows had left over.
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
