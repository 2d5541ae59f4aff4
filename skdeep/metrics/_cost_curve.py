"""Plot of the expected cost against the threshold or against alpha."""

from __future__ import annotations

from numbers import Real

import numpy as np

from skdeep._axes import get_axes
from skdeep._input_checks import check_fitted, check_flag, check_name, naming
from skdeep.encoding import (
    bayes_threshold,
    check_alpha,
    check_magnitude,
    check_numbers,
    cost_table,
)
from skdeep.metrics._labels import (
    check_column,
    check_labels,
    check_same_length,
    check_weight,
    encode_labels,
    positive_label,
    sorted_labels,
)
from skdeep.metrics._wrapped_estimators import final_predictor, find_pos_label

# The default range is symmetric: errors of either kind cost up to ten times the other.
_DEFAULT_ALPHAS = np.geomspace(0.1, 10, 101)


class CostCurveDisplay:
    """Expected cost against the decision threshold or against ``alpha``.

    Create a display with :meth:`from_estimator` or :meth:`from_predictions`.

    Against the threshold, the curve is the mean cost of deciding "positive" where the
    probability is at least the threshold. Two lines show the cost of never and of
    always deciding "positive"; at a threshold where the curve lies above either line,
    the model is worse than that constant decision.

    Against ``alpha``, the cost of a false positive, the curve is the mean cost of the
    Bayes decision [1]_ divided by ``1 + alpha``, since otherwise all lines would rise
    with ``alpha`` [2]_. The model is useful for values of ``alpha`` where its curve
    lies below both lines. Where it lies above one, the probabilities are not
    calibrated.

    Parameters
    ----------
    costs : ndarray of shape (n_points,)
        Mean costs per row.
    never, always : float or ndarray of shape (n_points,)
        Mean cost of never and of always deciding "positive"; arrays against ``alpha``.
    thresholds : ndarray of shape (n_points,), default=None
        Thresholds of the costs, ascending: the distinct probabilities, and infinity.
    alphas : ndarray of shape (n_points,), default=None
        Values of ``alpha`` of the costs, ascending; instead of ``thresholds``.
    bayes_threshold : float, default=None
        The best threshold for true probabilities, ``alpha / (1 + alpha)``.
    bayes_cost : float, default=None
        If each row has its own costs, and so its own threshold: the mean cost of
        deciding by these thresholds. Replaces ``bayes_threshold``.
    decision_threshold : float, default=None
        The threshold that the estimator uses.
    estimator_name : str, default=None
        Name of the curve.
    pos_label : object, default=None
        The positive class, shown in the axis label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The curve. Against the threshold it has steps, from 0 to 1.
    constant_lines_ : list of matplotlib Line2D
        The costs of "never" and "always", unless the axes show them already.
    bayes_line_ : matplotlib Line2D or None
        The line at ``bayes_threshold`` or ``bayes_cost``.
    threshold_mark_ : matplotlib Line2D or None
        The mark on the curve at ``decision_threshold``.

    See Also
    --------
    skdeep.metrics.expected_cost : The cost of one set of decisions.
    skdeep.CostSensitiveClassifier : Classifier that minimizes the expected cost.

    References
    ----------
    .. [1] C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    .. [2] C. Drummond, R. C. Holte, "Cost curves: an improved method for visualizing
       classifier performance", Machine Learning, 2006.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.metrics import CostCurveDisplay
    >>> X, y = make_classification(n_samples=600, random_state=0)
    >>> model = LogisticRegression().fit(X[:300], y[:300])
    >>> display = CostCurveDisplay.from_estimator(model, X[300:], y[300:], alpha=3)
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        costs,
        never,
        always,
        thresholds=None,
        alphas=None,
        bayes_threshold=None,
        bayes_cost=None,
        decision_threshold=None,
        estimator_name=None,
        pos_label=None,
    ):
        self.costs = costs
        self.never = never
        self.always = always
        self.thresholds = thresholds
        self.alphas = alphas
        self.bayes_threshold = bayes_threshold
        self.bayes_cost = bayes_cost
        self.decision_threshold = decision_threshold
        self.estimator_name = estimator_name
        self.pos_label = pos_label

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        against="threshold",
        alpha=None,
        pos_label=None,
        fp_cost=None,
        fn_cost=None,
        sample_weight=None,
        name=None,
        ax=None,
        plot_constants=True,
        curve_kwargs=None,
    ):
        """Draw the cost curve of a fitted classifier.

        Parameters
        ----------
        estimator : classifier
            A fitted binary classifier with ``predict_proba``. If it has a
            ``threshold_``, as :class:`~skdeep.CostSensitiveClassifier` has, the curve
            shows it.
        X : array-like of shape (n_samples, n_features)
            Held-out rows.
        y : array-like of shape (n_samples,)
            Their classes.
        against : {'threshold', 'alpha'}, default='threshold'
            Quantity on the horizontal axis.
        alpha : float or array-like of shape (n_points,), default=None
            Cost of a false positive; a false negative costs 1. Against the threshold, a
            number (default 1); against ``alpha``, the values to draw (default: 101
            values from 0.1 to 10).
        pos_label : object, default=None
            The positive class. None is the estimator's ``pos_label`` if it has one, or
            else the greater class, ``classes_[1]``.
        fp_cost : array-like of shape (n_samples,), default=None
            Cost of a false positive in each row, multiplied by ``alpha``. None is 1.
        fn_cost : array-like of shape (n_samples,), default=None
            Cost of a false negative in each row. None is 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the means.
        name : str, default=None
            Name of the curve; by default the class name of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure.
        plot_constants : bool, default=True
            Whether to draw the costs of "never" and "always", unless the axes show them
            already.
        curve_kwargs : dict, default=None
            Keyword arguments for the curve, passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display, with the curve drawn.

        Raises
        ------
        TypeError
            If the estimator does not predict probabilities.
        ValueError
            If there are not two classes, or costs are invalid.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep.metrics import CostCurveDisplay
        >>> X, y = [[0], [1], [2], [3]], [0, 1, 0, 1]
        >>> model = LogisticRegression().fit(X, y)
        >>> display = CostCurveDisplay.from_estimator(model, X, y, against="alpha")
        >>> float(display.alphas.min()), float(display.alphas.max())
        (0.1, 10.0)
        >>> plt.close(display.figure_)
        """
        rows = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        check_name(name)
        classes = _check_classifier(estimator)
        if pos_label is None:
            pos_label = find_pos_label(estimator)
        pos_label = positive_label(classes, pos_label, "estimator.classes_")
        codes = {label: code for code, label in enumerate(classes)}
        # Raises for classes that the estimator does not know, before it predicts.
        encode_labels(check_labels(y, "y"), codes, "y")
        y_score = estimator.predict_proba(X)[:, codes[pos_label]]
        display = cls._from_scores(
            y, y_score, against, alpha, pos_label, sample_weight, rows, ("y", "X")
        )
        display.estimator_name = name or type(estimator).__name__
        if against == "threshold":
            display.decision_threshold = _read_threshold(estimator, classes, pos_label)
        return display.plot(
            ax=ax, plot_constants=plot_constants, curve_kwargs=curve_kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_score,
        *,
        against="threshold",
        alpha=None,
        pos_label=None,
        fp_cost=None,
        fn_cost=None,
        sample_weight=None,
        name=None,
        ax=None,
        plot_constants=True,
        curve_kwargs=None,
    ):
        """Draw the cost curve of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True classes, at most two distinct ones.
        y_score : array-like of shape (n_samples,)
            Probabilities of the positive class.
        against : {'threshold', 'alpha'}, default='threshold'
            Quantity on the horizontal axis.
        alpha : float or array-like of shape (n_points,), default=None
            Cost of a false positive; a false negative costs 1. Against the threshold, a
            number (default 1); against ``alpha``, the values to draw (default: 101
            values from 0.1 to 10).
        pos_label : object, default=None
            The positive class; None is the greater one.
        fp_cost : array-like of shape (n_samples,), default=None
            Cost of a false positive in each row, multiplied by ``alpha``. None is 1.
        fn_cost : array-like of shape (n_samples,), default=None
            Cost of a false negative in each row. None is 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the means.
        name : str, default=None
            Name of the curve.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure.
        plot_constants : bool, default=True
            Whether to draw the costs of "never" and "always", unless the axes show them
            already.
        curve_kwargs : dict, default=None
            Keyword arguments for the curve, passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display, with the curve drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, ``y_score`` does not hold probabilities,
            or costs are invalid.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdeep.metrics import CostCurveDisplay
        >>> y_true, y_score = [0, 1, 0, 1], [0.2, 0.4, 0.6, 0.8]
        >>> display = CostCurveDisplay.from_predictions(y_true, y_score, alpha=3)
        >>> display.costs
        array([1.5 , 0.75, 1.  , 0.25, 0.5 ])
        >>> plt.close(display.figure_)
        """
        check_name(name)
        rows = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        display = cls._from_scores(
            y_true,
            y_score,
            against,
            alpha,
            pos_label,
            sample_weight,
            rows,
            ("y_true", "y_score"),
        )
        display.estimator_name = name
        return display.plot(
            ax=ax, plot_constants=plot_constants, curve_kwargs=curve_kwargs
        )

    @classmethod
    def _from_scores(
        cls, y, y_score, against, alpha, pos_label, weight, row_costs, names
    ):
        """Compute a curve.

        ``names`` are the user's arguments that have the true classes and the rows, for
        messages.
        """
        y_name, rows_name = names
        if not isinstance(against, str) or against not in ("threshold", "alpha"):
            raise ValueError(
                f"against must be 'threshold' or 'alpha', got {against!r}."
            )
        y, y_score = check_labels(y, y_name), _check_probabilities(y_score)
        check_same_length(**{y_name: y, rows_name: y_score})
        labels = sorted_labels(y, name=y_name)
        pos_label = positive_label(labels, pos_label, y_name)
        codes = {label: label == pos_label for label in labels}
        is_positive = encode_labels(y, codes, y_name)
        weight = check_weight(weight, y)
        # Each row's share in the mean: sums of cost times share are then means.
        share = np.ones(len(y)) if weight is None else weight
        share = share / share.sum()
        if against == "alpha":
            alphas = _check_alphas(alpha)
            fp, fn = _error_costs(1.0, row_costs, len(y))
            curve = _costs_by_alpha(is_positive, y_score, fp, fn, share, alphas)
            return cls(**curve, alphas=alphas, pos_label=pos_label)
        alpha = _check_alpha(alpha)
        fp, fn = _error_costs(alpha, row_costs, len(y))
        curve = _costs_by_threshold(is_positive, y_score, fp * share, fn * share)
        bayes: dict = {"bayes_threshold": alpha / (1 + alpha)}
        # With costs per row there is no single best threshold to mark.
        if any(costs is not None for costs in row_costs.values()):
            decided = y_score >= bayes_threshold(fp, fn)
            bayes = {
                "bayes_cost": _mean_cost(decided, is_positive, fp * share, fn * share)
            }
        return cls(**curve, **bayes, pos_label=pos_label)

    def plot(self, *, ax=None, name=None, plot_constants=True, curve_kwargs=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure.
        name : str, default=None
            Name of the curve; by default ``estimator_name``.
        plot_constants : bool, default=True
            Whether to draw the costs of "never" and "always", unless the axes show them
            already.
        curve_kwargs : dict, default=None
            Keyword arguments for the curve, passed to matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``ax`` is not a matplotlib Axes, or ``curve_kwargs`` is not a dict.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdeep.metrics import CostCurveDisplay
        >>> y_true, y_score = [0, 1, 0, 1], [0.2, 0.4, 0.6, 0.8]
        >>> display = CostCurveDisplay.from_predictions(y_true, y_score)
        >>> _, ax = plt.subplots()
        >>> display.plot(ax=ax, name="model").line_.get_label()
        'model'
        >>> plt.close("all")
        """
        check_name(name)
        plot_constants = check_flag(plot_constants, "plot_constants")
        if not isinstance(curve_kwargs, (dict, type(None))):
            raise TypeError(f"curve_kwargs must be a dict, got {curve_kwargs!r}.")
        # After the checks: an error must not leave an empty figure in a notebook.
        ax = get_axes(self, ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.bayes_line_ = self.threshold_mark_ = None
        style = {"label": name or self.estimator_name, **(curve_kwargs or {})}
        with naming("curve_kwargs"):
            if self.alphas is None:
                self._plot_thresholds(style)
            else:
                self._plot_alphas(style)
        self.constant_lines_ = self._plot_constants() if plot_constants else []
        ax.set_ylim(bottom=0)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="best")
        return self

    def _plot_thresholds(self, style):
        """Draw the steps: a cost holds between a threshold and the one below it."""
        # The last threshold is infinite: its cost holds up to probability 1.
        x = np.concatenate([[0.0], self.thresholds[:-1], [1.0]])
        y = np.concatenate([self.costs[:1], self.costs])
        # The user's style last, so that it takes precedence.
        style = {"drawstyle": "steps-pre", **style}
        (self.line_,) = self.ax_.plot(x, y, **style)
        mark = self.decision_threshold
        if mark is not None and 0 <= mark <= 1:
            # The cost at a threshold is that of the next probability above or equal to
            # it.
            at = np.searchsorted(self.thresholds, mark)
            (self.threshold_mark_,) = self.ax_.plot(
                [mark],
                [self.costs[at]],
                "o",
                color=self.line_.get_color(),
                label=f"threshold_ = {mark:.3g}",
            )
        self.bayes_line_ = self._plot_bayes()
        what = "" if self.pos_label is None else f" of class {self.pos_label!r}"
        self.ax_.set(xlabel=f"threshold on the probability{what}", ylabel="mean cost")

    def _plot_bayes(self):
        """Draw a line at the Bayes threshold, or at the cost of per-row thresholds."""
        if self.bayes_cost is not None:
            color, label = self.line_.get_color(), "each row's own threshold"
            style = dict(color=color, linestyle=":", label=label)
            return self.ax_.plot([0, 1], [self.bayes_cost] * 2, **style)[0]
        if self.bayes_threshold is None:
            return None
        label = rf"$\alpha/(1+\alpha)$ = {self.bayes_threshold:.3g}"
        # Several models on one axes share the line.
        if label in self.ax_.get_legend_handles_labels()[1]:
            return None
        style = dict(color="grey", linestyle=":", zorder=1, label=label)
        return self.ax_.axvline(self.bayes_threshold, **style)

    def _plot_alphas(self, style):
        (self.line_,) = self.ax_.plot(self.alphas, self.costs / self._scale, **style)
        self.ax_.set_xscale("log")
        # Matplotlib's labels of minor ticks overlap, and it formats them as powers.
        self.ax_.xaxis.set_major_formatter("{x:g}")
        # Within one power of ten, matplotlib would label one tick at most.
        if self.alphas[-1] < 10 * self.alphas[0]:
            self.ax_.set_xticks(np.geomspace(self.alphas[0], self.alphas[-1], 5))
            self.ax_.xaxis.set_major_formatter("{x:.2g}")
        self.ax_.xaxis.set_minor_formatter("")
        self.ax_.set(
            xlabel=r"$\alpha$: cost of a false positive, in false negatives",
            ylabel=r"mean cost / (1 + $\alpha$)",
        )

    @property
    def _scale(self):
        return 1.0 if self.alphas is None else 1.0 + self.alphas

    def _plot_constants(self):
        """Draw the costs of constant decisions, once per axes for the same rows."""
        x = (0.0, 1.0) if self.alphas is None else self.alphas
        lines = []
        styles = {"never": "--", "always": "-."}
        for name, style in styles.items():
            costs = np.broadcast_to(getattr(self, name) / self._scale, np.shape(x))
            label = f'"{name} positive"'
            if _is_drawn(self.ax_, label, costs):
                continue
            lines += self.ax_.plot(x, costs, style, color="grey", label=label)
        return lines


def _is_drawn(ax, label: str, heights) -> bool:
    """Check whether the axes have an (almost) identical line with this label."""
    drawn = [line.get_ydata() for line in ax.lines if line.get_label() == label]
    return any(len(y) == len(heights) and np.allclose(y, heights) for y in drawn)


def _check_classifier(estimator) -> list:
    """Return the classes of a fitted binary classifier."""
    check_fitted(estimator)
    name = type(estimator).__name__
    if not hasattr(estimator, "classes_") or not hasattr(estimator, "predict_proba"):
        raise TypeError(f"estimator must predict class probabilities, got {name}.")
    classes = np.asarray(estimator.classes_).tolist()
    if len(classes) != 2:
        raise ValueError(
            f"estimator must be a binary classifier, got {name} with {len(classes)} "
            "classes."
        )
    return classes


def _read_threshold(estimator, classes: list, pos_label) -> float | None:
    """Return the ``threshold_`` of an estimator, None if it has none."""
    step = final_predictor(estimator)
    threshold = getattr(step, "threshold_", None)
    positive = find_pos_label(estimator)
    positive = classes[1] if positive is None else positive
    if not isinstance(threshold, Real) or positive != pos_label:
        return None  # it is a threshold on the probability of the other class
    return float(threshold)


def _check_probabilities(y_score) -> np.ndarray:
    y_score = check_column(y_score, "y_score", "one probability per row")
    y_score = check_numbers(y_score, "y_score")
    bad = ~((y_score >= 0) & (y_score <= 1))  # NaN is neither
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            "y_score must hold probabilities of the positive class, got "
            f"{y_score[at]} at position {at}."
        )
    return y_score


def _check_alpha(alpha) -> float:
    """Return the cost of a false positive for a curve against the threshold."""
    if alpha is None:
        return 1.0
    if not isinstance(alpha, Real):
        raise ValueError(
            f"alpha must be a number if against='threshold', got {alpha!r}."
        )
    return check_alpha(alpha)


def _check_alphas(alpha) -> np.ndarray:
    """Return the ascending values of alpha that a curve is drawn over."""
    if alpha is None:
        # A copy, because users may change the attribute of a display.
        return _DEFAULT_ALPHAS.copy()
    try:
        alphas = check_numbers(alpha, "alpha")
    except ValueError:
        alphas = np.empty(0)
    good = alphas.ndim == 1 and len(alphas) > 1
    if not good or not ((alphas > 0) & (alphas < np.inf)).all():
        raise ValueError(
            "alpha must hold at least two finite numbers above 0 if against='alpha', "
            f"got {alpha!r}."
        )
    check_magnitude(alphas, "alpha")
    return np.sort(alphas)


def _error_costs(alpha, row_costs: dict, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs of false positives and of false negatives, both (n,)."""
    table = cost_table([False, True], alpha=alpha, n_samples=n, **row_costs)
    return np.broadcast_to(table[:, 0, 1], n), np.broadcast_to(table[:, 1, 0], n)


def _costs_by_threshold(is_positive, y_score, fp, fn) -> dict:
    """Return the mean cost at each threshold.

    ``fp`` and ``fn``, (n_samples,), are costs multiplied by the rows' shares in the
    mean.
    """
    # Cumulative sums over the sorted probabilities: a loop over the thresholds would
    # take quadratic time.
    thresholds, where = np.unique(y_score, return_inverse=True)
    n = len(thresholds)
    refused = np.bincount(where, np.where(is_positive, fn, 0.0), minlength=n)
    accepted = np.bincount(where, np.where(is_positive, 0.0, fp), minlength=n)
    # At the k-th threshold, rows with the k smallest probabilities are negative.
    missed = np.append(0.0, np.cumsum(refused))
    false_alarms = np.append(np.cumsum(accepted[::-1])[::-1], 0.0)
    costs = missed + false_alarms
    return dict(
        thresholds=np.append(thresholds, np.inf),
        costs=costs,
        always=float(costs[0]),
        never=float(costs[-1]),
    )


def _costs_by_alpha(is_positive, y_score, fp, fn, share, alphas) -> dict:
    """Return the mean cost of the Bayes decisions for each alpha."""
    fp_part, fn_part = fp * share, fn * share
    costs = [
        _mean_cost(
            y_score >= bayes_threshold(alpha * fp, fn),
            is_positive,
            alpha * fp_part,
            fn_part,
        )
        for alpha in alphas
    ]
    return dict(
        costs=np.array(costs),
        never=np.full(len(alphas), fn_part[is_positive].sum()),
        always=alphas * fp_part[~is_positive].sum(),
    )


def _mean_cost(decided, is_positive, fp, fn) -> float:
    """Return the mean cost; fp and fn are multiplied by the rows' shares in it."""
    return float(fp[decided & ~is_positive].sum() + fn[~decided & is_positive].sum())
