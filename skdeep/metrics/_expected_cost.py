"""The expected cost of decisions, and the savings over a constant decision."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from skdeep.encoding import check_alpha, cost_table, join_labels, matrix_labels
from skdeep.metrics._labels import (
    OTHER_CLASS,
    check_classes,
    check_label,
    check_labels,
    check_same_length,
    check_true_labels,
    check_weight,
    encode_labels,
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
    """Mean cost per row of a set of decisions.

    With two classes, a false positive costs ``alpha``, a false negative 1 and a correct
    decision 0. With more classes, every error costs 1 unless ``cost_matrix`` is given.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True classes.
    y_pred : array-like of shape (n_samples,)
        Decisions: classes, or ``abstain_label``.
    alpha : float, default=1.0
        Cost of a false positive; a false negative costs 1.
    fp_cost : array-like of shape (n_samples,), default=None
        Cost of a false positive in each row, multiplied by ``alpha``. None is 1.
    fn_cost : array-like of shape (n_samples,), default=None
        Cost of a false negative in each row. None is 1.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), replaces
        ``alpha`` and the row costs. A data frame is matched by its labels, which are
        the classes; an array by position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or else the sorted labels in ``y_true`` and
        ``y_pred``.
    pos_label : object, default=None
        The positive class of two; None is the greater one.
    abstain_cost : float, default=None
        Cost of abstaining. None does not allow it.
    abstain_label : object, default=-1
        Label in ``y_pred`` that means to abstain; ignored without ``abstain_cost``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    cost : float
        Mean cost per row. Smaller is better; 0 is the minimum if correct decisions are
        free.

    Raises
    ------
    ValueError
        If costs or labels are invalid.

    See Also
    --------
    savings_score : The cost relative to that of the cheapest constant decision.
    make_cost_scorer : Scorer of the expected cost, for cross-validation and searches.
    skdeep.CostSensitiveClassifier : Classifier that minimizes the expected cost.

    References
    ----------
    C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    Two false positives, which cost 3 each, and a false negative in five rows:

    >>> from skdeep.metrics import expected_cost
    >>> y_true = [0, 0, 0, 1, 1]
    >>> y_pred = [1, 1, 0, 0, 1]
    >>> expected_cost(y_true, y_pred, alpha=3)
    1.4

    The false negative is an expensive one:

    >>> expected_cost(y_true, y_pred, alpha=3, fn_cost=[1, 1, 1, 10, 1])
    3.2
    """
    rows = _decision_costs(
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
    """Fraction of the cost saved relative to the cheapest constant decision.

    It is 1 minus the ratio of the cost of ``y_pred`` to the cost of the cheapest
    constant decision: the same class in every row or, if abstaining is allowed,
    abstaining in every row [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True classes.
    y_pred : array-like of shape (n_samples,)
        Decisions: classes, or ``abstain_label``.
    alpha : float, default=1.0
        Cost of a false positive; a false negative costs 1.
    fp_cost : array-like of shape (n_samples,), default=None
        Cost of a false positive in each row, multiplied by ``alpha``. None is 1.
    fn_cost : array-like of shape (n_samples,), default=None
        Cost of a false negative in each row. None is 1.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), replaces
        ``alpha`` and the row costs. A data frame is matched by its labels, which are
        the classes; an array by position.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of a ``cost_matrix`` without labels. None takes the
        labels of the matrix, if it has any, or else the sorted labels in ``y_true`` and
        ``y_pred``.
    pos_label : object, default=None
        The positive class of two; None is the greater one.
    abstain_cost : float, default=None
        Cost of abstaining. None does not allow it.
    abstain_label : object, default=-1
        Label in ``y_pred`` that means to abstain; ignored without ``abstain_cost``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    savings : float
        1 if the decisions cost nothing, 0 if they cost as much as the cheapest constant
        decision, negative if they cost more. If a constant decision costs nothing, the
        score is 1.0 if the decisions cost nothing either and 0.0 otherwise, as for
        scikit-learn's D² scores.

    Raises
    ------
    ValueError
        If costs or labels are invalid.

    See Also
    --------
    expected_cost : The cost itself.

    References
    ----------
    .. [1] A. C. Bahnsen, D. Aouada, B. Ottersten, "Example-dependent cost-sensitive
       decision trees", Expert Systems with Applications, 2015.

    Examples
    --------
    Always deciding "negative" costs 2, always deciding "positive" costs 9, and the
    decisions themselves cost 1:

    >>> from skdeep.metrics import savings_score
    >>> savings_score([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], alpha=3)
    0.5
    """
    rows = _decision_costs(
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
    cost, cheapest = rows.cost(), float(rows.constant_costs().min())
    if cheapest == 0:
        return 1.0 if cost == 0 else 0.0
    # The ratio overflows if the constant decision costs next to nothing.
    return max(1 - cost / cheapest, -sys.float_info.max)


@dataclass(frozen=True)
class _DecisionCosts:
    """Encoded true classes and decisions of n rows, with their costs.

    ``truth`` and ``decisions`` are (n,), ``costs`` is (n or 1, n_classes, n_decisions)
    and ``weight`` is (n,), or None if all weights are 1.
    """

    truth: np.ndarray
    decisions: np.ndarray
    costs: np.ndarray
    weight: np.ndarray | None

    def cost(self) -> float:
        """Return the mean cost of the decisions."""
        # Two index arrays pair each row with its own decision.
        return float(self._mean(self._cost_by_decision()[self._rows, self.decisions]))

    def constant_costs(self) -> np.ndarray:
        """Return the mean cost of each decision if it is made in every row."""
        return self._mean(self._cost_by_decision())

    def _cost_by_decision(self):
        """Return the cost of each decision in each row, (n, n_decisions)."""
        # A view: one matrix for all rows is not copied for each of them.
        shape = (len(self.truth), *self.costs.shape[1:])
        return np.broadcast_to(self.costs, shape)[self._rows, self.truth]

    def _mean(self, costs):
        return np.average(costs, axis=0, weights=self.weight)

    @property
    def _rows(self):
        return np.arange(len(self.truth))


def _decision_costs(
    y_true, y_pred, *, labels, abstain_label, sample_weight, **cost_options
) -> _DecisionCosts:
    """Check and encode the arguments of a metric."""
    y_true, y_pred = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
    check_same_length(y_true=y_true, y_pred=y_pred)
    check_alpha(cost_options["alpha"])
    check_label(cost_options["pos_label"], "pos_label")
    check_label(abstain_label, "abstain_label")
    abstains = cost_options["abstain_cost"] is not None
    if abstains:
        # Otherwise a true class would be taken for the decision to abstain.
        check_true_labels(y_true, abstain_label)
    if labels is not None:
        classes = check_classes(labels, cost_options["cost_matrix"])
    else:
        classes = _infer_classes(
            y_true, y_pred, [abstain_label] * abstains, cost_options
        )
    if len(classes) == 1:
        # A cost table needs two classes. There are no errors, so any second class will
        # do.
        classes = [*classes, _other_class(classes[0], cost_options["pos_label"])]
    truth, decisions = _encode(y_true, y_pred, classes, abstain_label, abstains)
    costs = cost_table(classes, n_samples=len(y_true), **cost_options)
    return _DecisionCosts(truth, decisions, costs, check_weight(sample_weight, y_true))


def _infer_classes(y_true, y_pred, ignored, cost_options: dict) -> list:
    """Return the sorted classes found in the rows and in the labels of the matrix."""
    classes = sorted_labels(y_true, name="y_true")
    one_sided = ("fp_cost", "fn_cost", "pos_label")
    is_binary = cost_options["alpha"] != 1 or any(
        cost_options[x] is not None for x in one_sided
    )
    if len(classes) == 2 and is_binary:
        # Another label in y_pred is an error, which `encode_labels` reports, not a
        # third class.
        return classes
    found = sorted_labels(y_true, y_pred, name="y_true and y_pred", ignored=ignored)
    matrix = cost_options["cost_matrix"]
    named = matrix_labels(matrix)
    if named is not None:
        # y may lack some of the labels. Labels that the matrix lacks are reported by
        # `cost_table`.
        known = named[0] if set(found) <= set(named[0]) else found
        return sorted_labels(np.array(known, dtype=object), name="cost_matrix")
    if matrix is not None and matrix_size(matrix) != len(found):
        raise ValueError(
            f"cost_matrix has {matrix_size(matrix)} classes, but y_true and y_pred "
            f"hold {len(found)}: {join_labels(found)}. Pass all classes as labels=."
        )
    return found


def _other_class(label, pos_label):
    return OTHER_CLASS if pos_label is None or pos_label == label else pos_label


def _encode(y_true, y_pred, classes, abstain_label, abstains: bool):
    """Return the codes of true classes and of decisions, both (n_samples,)."""
    codes = {label: code for code, label in enumerate(classes)}
    advice = {}
    if abstain_label not in codes:
        advice[abstain_label] = " If it means to abstain, set abstain_cost."
    elif abstains:
        raise ValueError(
            f"abstain_label={abstain_label!r} must not be a class; the classes are "
            f"{join_labels(classes)}."
        )
    truth = encode_labels(y_true, codes, "y_true")
    if abstains:
        codes[abstain_label] = len(classes)
    return truth, encode_labels(y_pred, codes, "y_pred", advice)
