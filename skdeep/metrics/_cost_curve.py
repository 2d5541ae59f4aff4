"""What decisions cost, as a picture: by threshold, or by the price of an error."""

from __future__ import annotations

from numbers import Real

import numpy as np

from skdeep._input_checks import check_fitted, check_flag, check_name, naming
from skdeep.encoding import (
    bayes_threshold,
    check_alpha,
    check_numbers,
    cost_table,
    refuse_large,
)
from skdeep.metrics._estimators import last_step, pos_label_of
from skdeep.metrics._labels import (
    check_axes,
    check_column,
    check_labels,
    check_same_length,
    check_weight,
    codes_of,
    positive_label,
    sorted_labels,
)

# From ten cheap false positives for a false negative to the opposite.
_ALPHAS = np.geomspace(0.1, 10, 101)


class CostCurveDisplay:
    """What decisions cost, against the threshold or against ``alpha``.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one.

    Against the threshold: the mean cost of deciding "positive" where the probability
    reaches it. The same picture shows what it costs never and always to decide
    "positive"; a threshold that lies above both lines is worse than no model.

    Against ``alpha``, the price of a false positive: the mean cost of the Bayes
    decision at each price [1]_, divided by ``1 + alpha``, as otherwise all lines would
    rise with the price alone [2]_. A model is worth something at the prices where its
    curve is below both lines. Where it is above, its probabilities are not calibrated.

    Parameters
    ----------
    costs : ndarray of shape (n_points,)
        Mean costs of a row.
    never, always : float or ndarray of shape (n_points,)
        Mean cost of deciding "positive" never, and always; arrays against ``alpha``.
    thresholds : ndarray of shape (n_points,), default=None
        The thresholds that the costs are of, rising. Each different probability is one,
        and infinity the last.
    alphas : ndarray of shape (n_points,), default=None
        The prices that the costs are of, rising; in place of ``thresholds``.
    bayes_threshold : float, default=None
        The best threshold of true probabilities, ``alpha / (1 + alpha)``.
    bayes_cost : float, default=None
        In place of it, where each row has a threshold of its own by its costs: the mean
        cost of deciding by these.
    decision_threshold : float, default=None
        The threshold that the estimator decides by.
    estimator_name : str, default=None
        The name of the curve.
    pos_label : object, default=None
        The positive class, for the name of the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The curve. Against the threshold it has steps, from 0 to 1.
    constant_lines_ : list of matplotlib Line2D
        What "never" and "always" cost, as far as they were not drawn before.
    bayes_line_ : matplotlib Line2D or None
        The mark at the best threshold of true probabilities, or at what it costs to
        decide each row by a threshold of its own.
    threshold_mark_ : matplotlib Line2D or None
        The mark on the curve where the estimator decides.

    See Also
    --------
    skdeep.metrics.expected_cost : The cost of one set of decisions.
    skdeep.CostSensitiveClassifier : Makes the decisions that cost least.

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
            A fitted classifier of two classes that has ``predict_proba``. A
            ``threshold_``, as that of :class:`~skdeep.CostSensitiveClassifier`, is
            marked on the curve.
        X : array-like of shape (n_samples, n_features)
            Rows that the classifier has not been trained on.
        y : array-like of shape (n_samples,)
            Their classes.
        against : {'threshold', 'alpha'}, default='threshold'
            What the axis shows.
        alpha : float or array-like of shape (n_points,), default=None
            What a false positive costs, where a false negative costs 1. Against the
            threshold a number, None being 1; against ``alpha`` the numbers to draw,
            None being 101 from 0.1 to 10.
        pos_label : object, default=None
            The positive class; None is the ``pos_label`` that the estimator was given,
            or else the greater class, ``classes_[1]``.
        fp_cost : array-like of shape (n_samples,), default=None
            What a false positive costs in each row, times ``alpha``. None is 1.
        fn_cost : array-like of shape (n_samples,), default=None
            What a false negative costs in each row. None is 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the means.
        name : str, default=None
            The name of the curve; that of the class if None.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        plot_constants : bool, default=True
            Whether to draw what "never" and "always" cost, if this is not yet there.
        curve_kwargs : dict, default=None
            Keywords for the curve, of matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            With the curve drawn.

        Raises
        ------
        TypeError
            If the estimator gives no probabilities.
        ValueError
            If there are not two classes, or costs are not as they should be.
        """
        rows = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        check_name(name)
        classes = _check_classifier(estimator)
        if pos_label is None:
            pos_label = pos_label_of(estimator)
        pos_label = positive_label(classes, pos_label, "estimator.classes_")
        codes = {label: code for code, label in enumerate(classes)}
        codes_of(check_labels(y, "y"), codes, "y")
        y_score = estimator.predict_proba(X)[:, codes[pos_label]]
        display = cls._of(
            y, y_score, against, alpha, pos_label, sample_weight, rows, "y"
        )
        display.estimator_name = name or type(estimator).__name__
        if against == "threshold":
            display.decision_threshold = _threshold_of(estimator, classes, pos_label)
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
        """Draw the cost curve of probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True classes, one or two different ones.
        y_score : array-like of shape (n_samples,)
            Probabilities of the positive class.
        against : {'threshold', 'alpha'}, default='threshold'
            What the axis shows.
        alpha : float or array-like of shape (n_points,), default=None
            What a false positive costs, where a false negative costs 1. Against the
            threshold a number, None being 1; against ``alpha`` the numbers to draw,
            None being 101 from 0.1 to 10.
        pos_label : object, default=None
            The positive class; None is the greater one.
        fp_cost : array-like of shape (n_samples,), default=None
            What a false positive costs in each row, times ``alpha``. None is 1.
        fn_cost : array-like of shape (n_samples,), default=None
            What a false negative costs in each row. None is 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the means.
        name : str, default=None
            The name of the curve.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        plot_constants : bool, default=True
            Whether to draw what "never" and "always" cost, if this is not yet there.
        curve_kwargs : dict, default=None
            Keywords for the curve, of matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            With the curve drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, what is given are no probabilities, or
            costs are not as they should be.
        """
        check_name(name)
        rows = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        display = cls._of(
            y_true, y_score, against, alpha, pos_label, sample_weight, rows, "y_true"
        )
        display.estimator_name = name
        return display.plot(
            ax=ax, plot_constants=plot_constants, curve_kwargs=curve_kwargs
        )

    @classmethod
    def _of(cls, y, y_score, against, alpha, pos_label, weight, row_costs, y_name):
        """Compute a curve; ``y_name`` is what the user calls the true classes."""
        if not isinstance(against, str) or against not in ("threshold", "alpha"):
            raise ValueError(
                f"against must be 'threshold' or 'alpha', got {against!r}."
            )
        y, y_score = check_labels(y, y_name), _check_probabilities(y_score)
        check_same_length(**{y_name: y, "y_score": y_score})
        labels = sorted_labels(y, name=y_name)
        pos_label = positive_label(labels, pos_label, y_name)
        codes = {label: label == pos_label for label in labels}
        is_positive = codes_of(y, codes, y_name)
        weight = check_weight(weight, y)
        share = np.ones(len(y)) if weight is None else weight
        share = share / share.sum()
        if against == "alpha":
            alphas = _check_alphas(alpha)
            fp, fn = _errors(1.0, row_costs, len(y))
            curve = _over_alphas(is_positive, y_score, fp, fn, share, alphas)
            return cls(**curve, alphas=alphas, pos_label=pos_label)
        alpha = _check_alpha(alpha)
        fp, fn = _errors(alpha, row_costs, len(y))
        curve = _over_thresholds(is_positive, y_score, fp * share, fn * share)
        bayes: dict = {"bayes_threshold": alpha / (1 + alpha)}
        if any(costs is not None for costs in row_costs.values()):
            decided = y_score >= bayes_threshold(fp, fn)
            bayes = {"bayes_cost": _cost(decided, is_positive, fp * share, fn * share)}
        return cls(**curve, **bayes, pos_label=pos_label)

    def plot(self, *, ax=None, name=None, plot_constants=True, curve_kwargs=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            The name of the curve; ``estimator_name`` if None.
        plot_constants : bool, default=True
            Whether to draw what "never" and "always" cost, if this is not yet there.
        curve_kwargs : dict, default=None
            Keywords for the curve, of matplotlib's ``plot``.

        Returns
        -------
        display : CostCurveDisplay
            Itself.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        check_axes(ax)
        check_name(name)
        plot_constants = check_flag(plot_constants, "plot_constants")
        if not isinstance(curve_kwargs, (dict, type(None))):
            raise TypeError(f"curve_kwargs must be a dict, got {curve_kwargs!r}.")
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
        """Draw the steps: a threshold's cost holds down to the probability below it."""
        x = np.concatenate([[0.0], self.thresholds[:-1], [1.0]])
        y = np.concatenate([self.costs[:1], self.costs])
        style = {"drawstyle": "steps-pre", **style}
        (self.line_,) = self.ax_.plot(x, y, **style)
        mark = self.decision_threshold
        if mark is not None and 0 <= mark <= 1:
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
        """Mark the threshold that true probabilities call for, or its cost."""
        if self.bayes_cost is not None:
            color, label = self.line_.get_color(), "each row's own threshold"
            style = dict(color=color, linestyle=":", label=label)
            return self.ax_.plot([0, 1], [self.bayes_cost] * 2, **style)[0]
        if self.bayes_threshold is None:
            return None
        label = rf"$\alpha/(1+\alpha)$ = {self.bayes_threshold:.3g}"
        if label in self.ax_.get_legend_handles_labels()[1]:
            return None
        style = dict(color="grey", linestyle=":", zorder=1, label=label)
        return self.ax_.axvline(self.bayes_threshold, **style)

    def _plot_alphas(self, style):
        (self.line_,) = self.ax_.plot(self.alphas, self.costs / self._scale, **style)
        self.ax_.set_xscale("log")
        # Numbers beside the powers of ten would overlap, and are no powers here.
        self.ax_.xaxis.set_major_formatter("{x:g}")
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
        """Draw what constant decisions cost, once on an axes for the same rows."""
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
    """Tell if a line of these heights, but for rounding, is there under this name."""
    drawn = [line.get_ydata() for line in ax.lines if line.get_label() == label]
    return any(len(y) == len(heights) and np.allclose(y, heights) for y in drawn)


def _check_classifier(estimator) -> list:
    """Return the two classes of a fitted classifier."""
    check_fitted(estimator)
    name = type(estimator).__name__
    if not hasattr(estimator, "classes_") or not hasattr(estimator, "predict_proba"):
        raise TypeError(f"estimator must give probabilities of classes, got {name}.")
    classes = np.asarray(estimator.classes_).tolist()
    if len(classes) != 2:
        raise ValueError(
            f"estimator must be a classifier of two classes, got {name} of "
            f"{len(classes)}."
        )
    return classes


def _threshold_of(estimator, classes: list, pos_label) -> float | None:
    """Return the threshold that an estimator decides by, if it tells."""
    step = last_step(estimator)
    threshold = getattr(step, "threshold_", None)
    about = pos_label_of(estimator)
    about = classes[1] if about is None else about
    if not isinstance(threshold, Real) or about != pos_label:
        return None  # of the other class's probability
    return float(threshold)


def _check_probabilities(y_score) -> np.ndarray:
    y_score = check_column(y_score, "y_score", "one probability a row")
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
    """Return the one price that a curve against thresholds is drawn at."""
    if alpha is None:
        return 1.0
    if not isinstance(alpha, Real):
        raise ValueError(
            f"alpha must be a number where against='threshold', got {alpha!r}."
        )
    return check_alpha(alpha)


def _check_alphas(alpha) -> np.ndarray:
    """Return the prices that a curve is drawn over, rising."""
    if alpha is None:
        return _ALPHAS.copy()
    try:
        alphas = check_numbers(alpha, "alpha")
    except ValueError:
        alphas = np.empty(0)
    good = alphas.ndim == 1 and len(alphas) > 1
    if not good or not ((alphas > 0) & (alphas < np.inf)).all():
        raise ValueError(
            "alpha must hold two or more finite numbers above 0 where against='alpha', "
            f"got {alpha!r}."
        )
    refuse_large(alphas, "alpha")
    return np.sort(alphas)


def _errors(alpha, row_costs: dict, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a false positive and a false negative cost in each row, (n,)."""
    table = cost_table([False, True], alpha=alpha, n_samples=n, **row_costs)
    return np.broadcast_to(table[:, 0, 1], n), np.broadcast_to(table[:, 1, 0], n)


def _over_thresholds(is_positive, y_score, fp, fn) -> dict:
    """Return the cost of deciding "positive" from each probability on.

    ``fp`` and ``fn``, (n_samples,), are a row's part in the mean.
    """
    thresholds, where = np.unique(y_score, return_inverse=True)
    n = len(thresholds)
    refused = np.bincount(where, np.where(is_positive, fn, 0.0), minlength=n)
    accepted = np.bincount(where, np.where(is_positive, 0.0, fp), minlength=n)
    # At the k-th threshold those of the first k probabilities are decided negative.
    missed = np.append(0.0, np.cumsum(refused))
    false_alarms = np.append(np.cumsum(accepted[::-1])[::-1], 0.0)
    costs = missed + false_alarms
    return dict(
        thresholds=np.append(thresholds, np.inf),
        costs=costs,
        always=float(costs[0]),
        never=float(costs[-1]),
    )


def _over_alphas(is_positive, y_score, fp, fn, share, alphas) -> dict:
    """Return the cost of the Bayes decisions at each price of a false positive."""
    fp_part, fn_part = fp * share, fn * share
    costs = [
        _cost(
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


def _cost(decided, is_positive, fp, fn) -> float:
    """Return what decisions cost, where fp and fn are a row's part in the mean."""
    return float(fp[decided & ~is_positive].sum() + fn[~decided & is_positive].sum())
