"""The scorer of expected cost, which routes row costs to ``predict``."""

from __future__ import annotations

from inspect import signature
from reprlib import repr as short

import numpy as np
from sklearn.metrics._scorer import _Scorer
from sklearn.utils.metadata_routing import UNCHANGED, UNUSED

from skdeep.encoding import cost_table, matrix_labels
from skdeep.metrics._expected_cost import expected_cost
from skdeep.metrics._labels import (
    check_classes,
    check_label,
    check_labels,
    matrix_size,
    sorted_labels,
)
from skdeep.metrics._wrapped_estimators import accepted_costs


def make_cost_scorer(
    alpha=1.0,
    *,
    pos_label=None,
    cost_matrix=None,
    labels=None,
    abstain_cost=None,
    abstain_label=-1,
):
    """Make a scorer from the negative expected cost.

    As for all scikit-learn scorers, greater is better. With
    ``sklearn.set_config(enable_metadata_routing=True)`` the scorer requests the row
    costs ``fp_cost`` and ``fn_cost`` without a call of ``set_score_request``. It uses
    them to compute the cost, and passes them to ``predict`` if the estimator requests
    them, as a :class:`~skdeep.CostSensitiveClassifier` does, or a pipeline that ends in
    one.

    Parameters
    ----------
    alpha : float, default=1.0
        Cost of a false positive; a false negative costs 1.
    pos_label : object, default=None
        The positive class of two; None is the greater one.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), replaces
        ``alpha``. A data frame is matched by its labels, which are the classes; an
        array by position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or else the estimator's ``classes_``.
    abstain_cost : float, default=None
        Cost of abstaining. None does not allow it.
    abstain_label : object, default=-1
        What the estimator predicts where it abstains; ignored without
        ``abstain_cost``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None, fp_cost=None, fn_cost=None)``.

    Raises
    ------
    ValueError
        If costs are invalid.

    See Also
    --------
    expected_cost : The metric.
    sklearn.metrics.make_scorer : Scorer from any metric; it passes no metadata to
        ``predict``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skdeep.metrics import make_cost_scorer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    >>> scores = cross_val_score(tree, X, y, scoring=make_cost_scorer(alpha=5))
    >>> round(float(scores.mean()), 3)
    -0.258
    """
    check_label(pos_label, "pos_label")
    check_label(abstain_label, "abstain_label")
    costs = dict(alpha=alpha, cost_matrix=cost_matrix, abstain_cost=abstain_cost)
    # Raises for invalid costs now, instead of in the first fold of a search.
    cost_table(_known_classes(labels, cost_matrix), **costs)
    labeling = dict(pos_label=pos_label, labels=labels, abstain_label=abstain_label)
    return _CostScorer(expected_cost, -1, {**costs, **labeling})


def _known_classes(labels, cost_matrix) -> list:
    """Return the classes named in the settings, or placeholders for them."""
    if labels is not None:
        return check_classes(labels, cost_matrix)
    named = matrix_labels(cost_matrix)
    if named is not None:
        return named[0]
    return list(range(2 if cost_matrix is None else matrix_size(cost_matrix)))


class _CostScorer(_Scorer):
    """The negative expected cost; passes row costs to ``predict``.

    It derives from scikit-learn's private class so that several scorers share cached
    predictions and ``TunedThresholdClassifierCV`` accepts it.
    """

    __metadata_request__score = {
        "fp_cost": True,
        "fn_cost": True,
        # Settings of the scorer, not metadata.
        **dict.fromkeys(("alpha", "cost_matrix", "labels", "pos_label"), UNUSED),
        **dict.fromkeys(("abstain_cost", "abstain_label"), UNUSED),
    }

    def __call__(
        self, estimator, X, y_true, *, sample_weight=None, fp_cost=None, fn_cost=None
    ):
        """Return the negative mean cost of an estimator's decisions.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier.
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y_true : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            Cost of a false positive and of a false negative in each row.

        Returns
        -------
        score : float
            The negative mean cost.
        """
        metadata = dict(sample_weight=sample_weight, fp_cost=fp_cost, fn_cost=fn_cost)
        return self._score(_call_method, estimator, X, y_true, **metadata)

    def _score(self, method_caller, estimator, X, y_true, **metadata):
        if isinstance(estimator, type) or not hasattr(estimator, "predict"):
            raise TypeError(
                f"estimator must be a fitted classifier, got {short(estimator)}."
            )
        costs = {name: metadata.get(name) for name in ("fp_cost", "fn_cost")}
        accepted = accepted_costs(estimator, "predict", costs)
        if accepted:
            # Not `method_caller`: its cached predictions are made without the costs.
            y_pred = estimator.predict(X, **accepted)
        else:
            y_pred = method_caller(estimator, self._response_method, X)
        settings = dict(self._kwargs)
        is_named = matrix_labels(settings["cost_matrix"]) is not None
        # A fold may lack a class that the cost matrix has.
        has_classes = not is_named and hasattr(estimator, "classes_")
        if settings["labels"] is None and has_classes:
            settings["labels"] = _all_labels(estimator, y_true)
        return self._sign * self._score_func(y_true, y_pred, **settings, **metadata)

    def set_score_request(
        self, *, sample_weight=UNCHANGED, fp_cost=UNCHANGED, fn_cost=UNCHANGED
    ):
        """Set which metadata the scorer requests; other requests are unchanged.

        Parameters
        ----------
        sample_weight, fp_cost, fn_cost : bool, None or str, default=UNCHANGED
            True requests it, False ignores it, None makes passing it an error, and a
            str requests the metadata of that name.

        Returns
        -------
        self : scorer
            The scorer.
        """
        asked = dict(sample_weight=sample_weight, fp_cost=fp_cost, fn_cost=fn_cost)
        asked = {name: value for name, value in asked.items() if value != UNCHANGED}
        # scikit-learn's method replaces all requests, also those not passed.
        before = self.get_metadata_routing().score.requests
        return super().set_score_request(**{**before, **asked})

    def __repr__(self):
        defaults = signature(make_cost_scorer).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self._kwargs.items()
            if name == "alpha" or repr(value) != repr(defaults[name].default)
        ]
        return f"make_cost_scorer({', '.join(shown)})"


def _call_method(estimator, method: str, X):
    return getattr(estimator, method)(X)


def _all_labels(estimator, y_true) -> list | None:
    """Return the estimator's classes and any further classes in ``y_true``."""
    found = [np.asarray(estimator.classes_), check_labels(y_true, "y_true")]
    labels = sorted_labels(*found, name="y_true and classes_")
    return labels if len(labels) > 1 else None
