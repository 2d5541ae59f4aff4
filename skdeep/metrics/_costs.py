"""What decisions cost, as a metric and as a scorer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from inspect import signature
from reprlib import repr as short

import numpy as np
from sklearn.metrics._scorer import _Scorer
from sklearn.utils.metadata_routing import UNCHANGED, UNUSED

from skdeep.encoding import check_alpha, cost_table, listed, matrix_labels
from skdeep.metrics._estimators import costs_for
from skdeep.metrics._labels import (
    OTHER_CLASS,
    check_classes,
    check_label,
    check_labels,
    check_same_length,
    check_truth,
    check_weight,
    codes_of,
    matrix_size,
    sorted_labels,
)


def expected_cost(
    y_true,
    y_pred,
    *,
    alpha=1.0,
    fp_cost=None,
    fn_cost=None,
    cost_matrix=None,
    labels=None,
    pos_label=None,
    abstain_cost=None,
    abstain_label=-1,
    sample_weight=None,
):
    """Mean cost of decisions, for each row.

    Of two classes, a false positive costs ``alpha``, a false negative 1 and a right
    decision nothing. Of several, every error costs 1 unless a matrix says otherwise.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True classes.
    y_pred : array-like of shape (n_samples,)
        Decisions: classes, or ``abstain_label``.
    alpha : float, default=1.0
        What a false positive costs, where a false negative costs 1.
    fp_cost : array-like of shape (n_samples,), default=None
        What a false positive costs in each row, times ``alpha``. None is 1.
    fn_cost : array-like of shape (n_samples,), default=None
        What a false negative costs in each row. None is 1.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), in place of
        ``alpha`` and the costs of rows. A data frame goes by its labels, which are the
        classes, an array by position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or those that ``y_true`` and ``y_pred``
        hold, sorted.
    pos_label : object, default=None
        The positive one of two classes; None is the greater one.
    abstain_cost : float, default=None
        What it costs to abstain. None: nobody abstains.
    abstain_label : object, default=-1
        What stands in ``y_pred`` where the decision is to abstain; read only with an
        ``abstain_cost``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    cost : float
        Mean cost of a row. Smaller is better; 0 is the least where right decisions are
        free.

    Raises
    ------
    ValueError
        If costs or labels are not as they should be.

    See Also
    --------
    savings_score : The same, against the cheapest constant decision.
    make_cost_scorer : The same, for cross-validation and searches.
    skdeep.CostSensitiveClassifier : Makes the decisions that cost least.

    References
    ----------
    C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    Two false positives at 3 each and a false negative, in five rows:

    >>> from skdeep.metrics import expected_cost
    >>> y_true = [0, 0, 0, 1, 1]
    >>> y_pred = [1, 1, 0, 0, 1]
    >>> expected_cost(y_true, y_pred, alpha=3)
    1.4

    The false negative was a large one:

    >>> expected_cost(y_true, y_pred, alpha=3, fn_cost=[1, 1, 1, 10, 1])
    3.2
    """
    rows = _priced(
        y_true,
        y_pred,
        labels=labels,
        abstain_label=abstain_label,
        sample_weight=sample_weight,
        alpha=alpha,
        fp_cost=fp_cost,
        fn_cost=fn_cost,
        cost_matrix=cost_matrix,
        abstain_cost=abstain_cost,
        pos_label=pos_label,
    )
    return rows.cost()


def savings_score(
    y_true,
    y_pred,
    *,
    alpha=1.0,
    fp_cost=None,
    fn_cost=None,
    cost_matrix=None,
    labels=None,
    pos_label=None,
    abstain_cost=None,
    abstain_label=-1,
    sample_weight=None,
):
    """Share of the cost that decisions save, against the cheapest constant decision.

    It is 1 minus the cost of ``y_pred``, over the cost of deciding alike on every row:
    always one of the classes, or always to abstain if that is possible, whichever costs
    least [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True classes.
    y_pred : array-like of shape (n_samples,)
        Decisions: classes, or ``abstain_label``.
    alpha : float, default=1.0
        What a false positive costs, where a false negative costs 1.
    fp_cost : array-like of shape (n_samples,), default=None
        What a false positive costs in each row, times ``alpha``. None is 1.
    fn_cost : array-like of shape (n_samples,), default=None
        What a false negative costs in each row. None is 1.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), in place of
        ``alpha`` and the costs of rows. A data frame goes by its labels, which are the
        classes, an array by position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or those that ``y_true`` and ``y_pred``
        hold, sorted.
    pos_label : object, default=None
        The positive one of two classes; None is the greater one.
    abstain_cost : float, default=None
        What it costs to abstain. None: nobody abstains.
    abstain_label : object, default=-1
        What stands in ``y_pred`` where the decision is to abstain; read only with an
        ``abstain_cost``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    savings : float
        1 where the decisions cost nothing, 0 where they cost what the cheapest constant
        one does, negative where they cost more. If a constant decision costs nothing
        there is nothing to save: then 1.0 where the decisions cost nothing either, else
        0.0, as with scikit-learn's D² scores.

    Raises
    ------
    ValueError
        If costs or labels are not as they should be.

    See Also
    --------
    expected_cost : The cost itself.

    References
    ----------
    .. [1] A. C. Bahnsen, D. Aouada, B. Ottersten, "Example-dependent cost-sensitive
       decision trees", Expert Systems with Applications, 2015.

    Examples
    --------
    Never to say "positive" would cost 2 false negatives, always to say it 9; the
    decisions cost 1:

    >>> from skdeep.metrics import savings_score
    >>> savings_score([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], alpha=3)
    0.5
    """
    rows = _priced(
        y_true,
        y_pred,
        labels=labels,
        abstain_label=abstain_label,
        sample_weight=sample_weight,
        alpha=alpha,
        fp_cost=fp_cost,
        fn_cost=fn_cost,
        cost_matrix=cost_matrix,
        abstain_cost=abstain_cost,
        pos_label=pos_label,
    )
    cost, cheapest = rows.cost(), float(rows.costs_of_constants().min())
    if cheapest == 0:
        return 1.0 if cost == 0 else 0.0
    # Beside a cost that is next to nothing the share may be beyond all floats.
    return max(1 - cost / cheapest, -sys.float_info.max)


def make_cost_scorer(
    alpha=1.0,
    *,
    pos_label=None,
    cost_matrix=None,
    labels=None,
    abstain_cost=None,
    abstain_label=-1,
):
    """Make a scorer of minus the expected cost, for cross-validation and searches.

    Greater is better, as scikit-learn has it. With
    ``sklearn.set_config(enable_metadata_routing=True)`` the scorer asks for the costs
    of rows, ``fp_cost`` and ``fn_cost``, without a ``set_score_request``. They weigh
    the decisions, and are handed on to the ``predict`` of an estimator that asks for
    them: a :class:`~skdeep.CostSensitiveClassifier`, or a pipeline that ends in one.

    Parameters
    ----------
    alpha : float, default=1.0
        What a false positive costs, where a false negative costs 1.
    pos_label : object, default=None
        The positive one of two classes; None is the greater one.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), in place of
        ``alpha``. A data frame goes by its labels, which are the classes, an array by
        position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or the estimator's ``classes_``, sorted.
    abstain_cost : float, default=None
        What it costs to abstain. None: nobody abstains.
    abstain_label : object, default=-1
        What the estimator answers where it abstains; read only with an
        ``abstain_cost``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None, fp_cost=None, fn_cost=None)``.

    Raises
    ------
    ValueError
        If costs are not as they should be.

    See Also
    --------
    expected_cost : The metric.
    sklearn.metrics.make_scorer : A scorer of any metric, whose ``predict`` is given no
        metadata.

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
    prices = dict(alpha=alpha, cost_matrix=cost_matrix, abstain_cost=abstain_cost)
    cost_table(_classes_told(labels, cost_matrix), **prices)
    told = dict(pos_label=pos_label, labels=labels, abstain_label=abstain_label)
    return _CostScorer(expected_cost, -1, {**prices, **told})


def _classes_told(labels, cost_matrix) -> list:
    """Return the classes that a scorer is told of, or as many numbers."""
    if labels is not None:
        return check_classes(labels, cost_matrix)
    named = matrix_labels(cost_matrix)
    if named is not None:
        return named[0]
    return list(range(2 if cost_matrix is None else matrix_size(cost_matrix)))


class _CostScorer(_Scorer):
    """Minus the expected cost, with the costs of rows handed on to ``predict``.

    It is one of scikit-learn's scorers: so several of them share predictions, and
    ``TunedThresholdClassifierCV`` makes its curve of it.
    """

    __metadata_request__score = {
        "fp_cost": True,
        "fn_cost": True,
        # Settings of the scorer, hence no metadata.
        **dict.fromkeys(("alpha", "cost_matrix", "labels", "pos_label"), UNUSED),
        **dict.fromkeys(("abstain_cost", "abstain_label"), UNUSED),
    }

    def __call__(
        self, estimator, X, y_true, *, sample_weight=None, fp_cost=None, fn_cost=None
    ):
        """Return minus the mean cost of what an estimator decides on rows.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier.
        X : array-like of shape (n_samples, n_features)
            Rows to decide on.
        y_true : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            What errors cost in each row.

        Returns
        -------
        score : float
            Minus the mean cost.
        """
        metadata = dict(sample_weight=sample_weight, fp_cost=fp_cost, fn_cost=fn_cost)
        return self._score(_respond, estimator, X, y_true, **metadata)

    def _score(self, method_caller, estimator, X, y_true, **metadata):
        if isinstance(estimator, type) or not hasattr(estimator, "predict"):
            raise TypeError(
                f"estimator must be a fitted classifier, got {short(estimator)}."
            )
        costs = {name: metadata.get(name) for name in ("fp_cost", "fn_cost")}
        accepted = costs_for(estimator, "predict", costs)
        if accepted:
            # The predictions that other scorers share are made without the costs.
            y_pred = estimator.predict(X, **accepted)
        else:
            y_pred = method_caller(estimator, self._response_method, X)
        settings = dict(self._kwargs)
        is_named = matrix_labels(settings["cost_matrix"]) is not None
        knows = not is_named and hasattr(estimator, "classes_")
        if settings["labels"] is None and knows:
            settings["labels"] = _labels_of(estimator, y_true)
        return self._sign * self._score_func(y_true, y_pred, **settings, **metadata)

    def set_score_request(
        self, *, sample_weight=UNCHANGED, fp_cost=UNCHANGED, fn_cost=UNCHANGED
    ):
        """Set which metadata the scorer asks for; the rest stays as it is.

        Parameters
        ----------
        sample_weight, fp_cost, fn_cost : bool, None or str, default=UNCHANGED
            True asks for it, False does not, None makes it an error to pass it, and
            a name asks for the metadata of that name.

        Returns
        -------
        self : scorer
            Itself.
        """
        asked = dict(sample_weight=sample_weight, fp_cost=fp_cost, fn_cost=fn_cost)
        asked = {name: value for name, value in asked.items() if value != UNCHANGED}
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


def _respond(estimator, method: str, X):
    return getattr(estimator, method)(X)


def _labels_of(estimator, y_true) -> list | None:
    """Return the classes that an estimator knows, and those it has not met."""
    found = [np.asarray(estimator.classes_), check_labels(y_true, "y_true")]
    labels = sorted_labels(*found, name="y_true and classes_")
    return labels if len(labels) > 1 else None


@dataclass(frozen=True)
class _PricedRows:
    """True classes (n,), decisions (n,) as numbers, what each would cost, weights (n,).

    ``costs`` is (n or 1, n_classes, n_decisions), ``weight`` None where all are 1.
    """

    truth: np.ndarray
    decisions: np.ndarray
    costs: np.ndarray
    weight: np.ndarray | None

    def cost(self) -> float:
        """Return the mean cost of the decisions."""
        return float(self._mean(self._by_decision()[self._rows, self.decisions]))

    def costs_of_constants(self) -> np.ndarray:
        """Return the mean cost of each decision if it is made on every row."""
        return self._mean(self._by_decision())

    def _by_decision(self):
        """Return what each decision costs in each row, (n, n_decisions)."""
        shape = (len(self.truth), *self.costs.shape[1:])
        return np.broadcast_to(self.costs, shape)[self._rows, self.truth]

    def _mean(self, costs):
        return np.average(costs, axis=0, weights=self.weight)

    @property
    def _rows(self):
        return np.arange(len(self.truth))


def _priced(
    y_true, y_pred, *, labels, abstain_label, sample_weight, **prices
) -> _PricedRows:
    """Check what the user gave, and put a price on every decision."""
    y_true, y_pred = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
    check_same_length(y_true=y_true, y_pred=y_pred)
    check_alpha(prices["alpha"])
    check_label(prices["pos_label"], "pos_label")
    check_label(abstain_label, "abstain_label")
    abstains = prices["abstain_cost"] is not None
    if abstains:
        check_truth(y_true, abstain_label)
    if labels is not None:
        classes = check_classes(labels, prices["cost_matrix"])
    else:
        classes = _found_classes(y_true, y_pred, [abstain_label] * abstains, prices)
    if len(classes) == 1:
        # No error can have been made: any other class will do.
        classes = [*classes, _second_class(classes[0], prices["pos_label"])]
    truth, decisions = _codes(y_true, y_pred, classes, abstain_label, abstains)
    costs = cost_table(classes, n_samples=len(y_true), **prices)
    return _PricedRows(truth, decisions, costs, check_weight(sample_weight, y_true))


def _found_classes(y_true, y_pred, ignored, prices: dict) -> list:
    """Return the classes that there are in rows, sorted."""
    classes = sorted_labels(y_true, name="y_true")
    one_sided = ("fp_cost", "fn_cost", "pos_label")
    speaks_of_two = prices["alpha"] != 1 or any(
        prices[x] is not None for x in one_sided
    )
    if len(classes) == 2 and speaks_of_two:
        return classes  # what else y_pred holds is no third class
    found = sorted_labels(y_true, y_pred, name="y_true and y_pred", ignored=ignored)
    matrix = prices["cost_matrix"]
    named = matrix_labels(matrix)
    if named is not None:
        # y may lack some of them. If it holds others, cost_table says which.
        known = named[0] if set(found) <= set(named[0]) else found
        return sorted_labels(np.array(known, dtype=object), name="cost_matrix")
    if matrix is not None and matrix_size(matrix) != len(found):
        raise ValueError(
            f"cost_matrix is of {matrix_size(matrix)} classes, but y_true and y_pred "
            f"hold {len(found)}: {listed(found)}. labels= tells all of them."
        )
    return found


def _second_class(label, pos_label):
    return OTHER_CLASS if pos_label is None or pos_label == label else pos_label


def _codes(y_true, y_pred, classes, abstain_label, abstains: bool):
    """Return the numbers of true classes and of decisions, both (n_samples,)."""
    codes = {label: code for code, label in enumerate(classes)}
    advice = {}
    if abstain_label not in codes:
        advice[abstain_label] = " Where that is to abstain, give an abstain_cost."
    elif abstains:
        raise ValueError(
            f"abstain_label={abstain_label!r} must not be a class; the classes are "
            f"{listed(classes)}."
        )
    truth = codes_of(y_true, codes, "y_true")
    if abstains:
        codes[abstain_label] = len(classes)
    return truth, codes_of(y_pred, codes, "y_pred", advice)
