"""The base class of classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import (
    DistributionTargets,
    are_plain_labels,
    check_cost_matrix,
    check_row_weight,
    class_targets,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._base import BaseNetwork, is_stochastic
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._validation import times_class_weight
from skdeep.losses import MULTICLASS_LOSSES, make_loss


def _gives_probabilities(estimator) -> bool:
    """Return True if the loss gives probabilities; raise otherwise."""
    # An unknown name is left for fit to reject.
    is_named = isinstance(estimator.loss, str) and estimator.loss in MULTICLASS_LOSSES
    if is_named and not make_loss(estimator, "classes").gives_probabilities:
        raise AttributeError(
            f"loss={estimator.loss!r} gives no probabilities; use decision_function."
        )
    return True


def _are_comparable(y, predicted: np.ndarray) -> bool:
    """Return whether two arrays hold as many labels of the same kind.

    ``accuracy_score`` would find no fault with them, but its checks take several times
    as long as a prediction of the rows.
    """
    return (
        are_plain_labels(y)
        and are_plain_labels(predicted)
        and y.shape == predicted.shape
        and (y.dtype.kind == "U") == (predicted.dtype.kind == "U")
    )


class ClassifierNetwork(ClassifierMixin, BaseNetwork):
    """Base class of classifiers: encodes classes, decodes raw scores.

    Labels are any that scikit-learn takes; y of shape (n_samples, n_labels) holds
    several labels. The network gives one raw score for two classes (positive for the
    second), otherwise one for each class or label.

    See Also
    --------
    BaseNetwork : The methods that a subclass implements, with an example.
    """

    # The parameters of a subclass that does not take them in __init__.
    loss: Any = "log_loss"
    focal_gamma = 2.0
    label_smoothing = 0.0
    cost_matrix: Any = None
    class_weight: Any = None

    def _check_classes(self, incremental, classes):
        if not incremental:
            return
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is None:
            return
        # scikit-learn casts float labels to int, which warns for huge ones.
        with naming("classes"), np.errstate(invalid="ignore"):
            found = unique_labels(tensor_to_numpy(classes, "classes"))
        if known is not None and not np.array_equal(known, found):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to "
                f"partial_fit, was: {known!r}"
            )

    def _make_targets(self, y, classes):
        distributions = self.loss == "kl_divergence"
        with naming("y"), np.errstate(invalid="ignore"):
            return class_targets(y, classes, distributions=distributions)

    def _fitted_attributes(self, task, plan, *, is_final):
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        return attributes | {"classes_": plan.targets.classes_}

    def _known_targets(self, y):
        if self.warm_start and not self._targets.is_multilabel and y.ndim == 1:
            labels = unique_labels(y)
            if set(labels) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in "
                    f"the previous call to fit. Previously got {self.classes_}, `y` "
                    f"has {labels}"
                )
        return self._targets

    def _make_loss(self, targets):
        form = "labels" if self._scores_labels(targets) else "classes"
        loss: Any = make_loss(self, form)
        # Checked for every loss, so that a search over losses fails early.
        costs = self._checked_costs(targets)
        if self.loss == "expected_cost":
            loss.costs = costs
        return loss

    def _scores_labels(self, targets) -> bool:
        """Return whether each raw score is the logit of one label."""
        # Two classes need only one score, as in scikit-learn.
        named = self.loss not in ("kl_divergence",) and not callable(self.loss)
        return targets.is_multilabel or (named and len(targets.classes_) <= 2)

    def _checked_costs(self, targets) -> np.ndarray | None:
        """Return the cost matrix as an array, (n_classes, n_classes)."""
        if self.cost_matrix is None:
            return None
        if targets.is_multilabel:
            raise ValueError(
                "cost_matrix needs mutually exclusive classes, but y is multilabel "
                f"({len(targets.classes_)} labels), where every error costs 1; got "
                f"{self.cost_matrix!r}."
            )
        # A copy: torch warns about read-only arrays.
        return np.array(check_cost_matrix(self.cost_matrix, targets.classes_))

    def _n_scores(self, targets, loss):
        if loss.target_kind == "indicators" and not targets.is_multilabel:
            return 1
        return len(targets.classes_)

    def _decode(self, targets, loss, raw):
        return targets.codes_from(raw)

    def _probabilities(self, targets, loss, raw):
        values = loss.predict(raw)
        if not loss.gives_probabilities or values.ndim > 2:
            return values
        return torch.from_numpy(targets.probabilities(values.cpu().numpy()))

    def _n_classes(self, targets):
        return None if targets.is_multilabel else len(targets.classes_)

    def _strata(self, sample, targets):
        return targets.decode(sample.codes) if sample.codes.ndim == 1 else None

    def _add_class_weight(self, weight, y, targets, incremental):
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which sees "
                "only part of the data. Pass the weights as a dict."
            )
        if self.loss == "kl_divergence" and y.ndim == 2:
            raise ValueError(
                f"class_weight={self.class_weight!r} needs labels, but y holds class "
                "probabilities. Use sample_weight."
            )
        if isinstance(self.class_weight, list) and y.ndim == 1:
            raise ValueError(
                f"class_weight={self.class_weight!r} must be a dict that maps each "
                "class to its weight; a list of dicts is for several outputs."
            )
        try:
            by_class = self._weight_by_class(y, targets)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"class_weight={self.class_weight!r} does not fit y: {error}"
            ) from error
        return times_class_weight(weight, by_class, self.class_weight)

    def _weight_by_class(self, y, targets) -> np.ndarray:
        """Return the class weight of each row."""
        if isinstance(self.class_weight, dict) and y.ndim == 1:
            # compute_sample_weight raises for a class that is not in y.
            labels = targets.classes_
            table = compute_class_weight(self.class_weight, classes=labels, y=labels)
            return table[targets.encode(y)]
        return compute_sample_weight(self.class_weight, y)

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, or sequences as described for the class.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes; 0 and 1 for multilabel targets; class probabilities for
            ``loss="kl_divergence"``.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. A row of weight 0 is ignored.
        X_val : {array-like, sparse matrix}, default=None
            Validation rows, scored after every epoch. With ``early_stopping`` they
            replace the training rows that would be set aside.
        y_val : array-like, default=None
            Their classes.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If training diverges or the data are invalid.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.n_features_in_
        1
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_if(is_stochastic)
    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None, classes=None):
        """Train for one epoch on these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, or sequences as described for the class.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        classes : array-like of shape (n_classes,), default=None
            All classes; required in the first call.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), random_state=0)
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y, classes=["high", "low"])
        >>> model.t_
        12
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    @explaining_arguments
    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The predicted classes; 0 and 1 for multilabel targets.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict([[0.5], [2.5]])
        array(['low', 'high'], dtype='<U4')
        """
        raw = self._raw_scores(X)
        # By raw scores: probabilities near 1 are rounded, and may tie.
        return self._targets.decode(self._targets.codes_from(raw).numpy())

    @explaining_arguments
    def score(self, X, y, sample_weight=None):
        """Return the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their classes; 0 and 1 for multilabel targets, where a row counts as correct
            if all its labels are; or class probabilities for
            ``loss="kl_divergence"``, where the most probable class counts as the true
            one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The accuracy of ``predict(X)``.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.score(X, y)
        1.0
        """
        check_is_fitted(self)
        takes_distributions = self._loss.target_kind == "distributions"
        if takes_distributions and np.ndim(y) == 2 and np.shape(y)[1] > 1:
            rows = DistributionTargets(len(self.classes_)).encode(np.asarray(y))
            y = self.classes_[rows.argmax(axis=1)]
        predicted = self.predict(X)
        y = tensor_to_numpy(y, "y")
        if sample_weight is not None:
            sample_weight = check_row_weight(sample_weight, predicted)
        if _are_comparable(y, predicted):
            return float(np.average(y == predicted, weights=sample_weight))
        # scikit-learn asks whether infinite labels are whole numbers.
        with naming("y"), np.errstate(invalid="ignore"):
            return accuracy_score(y, predicted, sample_weight=sample_weight)

    @explaining_arguments
    def decision_function(self, X):
        """Return raw scores; a higher score means a more probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes a single score, positive for the second class; otherwise
            one for each class.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.classes_
        array(['high', 'low'], dtype='<U4')
        >>> model.decision_function([[0.0], [3.0]]) > 0
        array([ True, False])
        """
        raw = self._as_array(self._raw_scores(X))
        return self._targets.margins(raw)

    @available_if(_gives_probabilities)
    @explaining_arguments
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. For multilabel targets the rows do not sum
            to 1.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict_proba([[0.0], [3.0]]).round(1)
        array([[0., 1.],
               [1., 0.]])
        """
        raw = self._raw_scores(X)
        return self._targets.probabilities(self._as_array(self._loss.predict(raw)))

    @available_if(_gives_probabilities)
    @explaining_arguments
    def predict_log_proba(self, X):
        """Predict log-probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict_log_proba([[0.0], [3.0]]).shape
        (2, 2)
        """
        p = self.predict_proba(X)
        # A probability of 0 has the logarithm -inf, as in scikit-learn.
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # 2-D y holds probabilities of mutually exclusive classes then.
        tags.classifier_tags.multi_label = self.loss != "kl_divergence"
        return tags
