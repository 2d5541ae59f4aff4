"""Plot of false-positive and false-negative rates by group."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from scipy.stats import norm

from skdeep._axes import import_pyplot, to_axes_array
from skdeep._input_checks import check_fitted, check_name
from skdeep.encoding import join_labels
from skdeep.metrics._labels import (
    check_column,
    check_label,
    check_labels,
    check_same_length,
    check_true_labels,
    encode_labels,
    positive_label,
    sorted_labels,
)
from skdeep.metrics._wrapped_estimators import (
    accepted_costs,
    final_predictor,
    find_pos_label,
)

# For each rate the columns of its numerator and its denominator.
_RATES = {
    "false_positive_rate": ("false_positives", "n_negatives"),
    "false_negative_rate": ("false_negatives", "n_positives"),
}
_COVERAGE = 0.95
# More groups make an unreadable figure.
_MAX_GROUPS = 500
_INCHES_PER_GROUP = 0.3


class ErrorRatesDisplay:
    """False-positive and false-negative rates by group.

    Create a display with :meth:`from_estimator` or :meth:`from_predictions`.

    The false-positive rate of a group is the fraction of its negative rows that were
    predicted "positive"; the false-negative rate is the fraction of its positive rows
    that were predicted "negative". Each rate is drawn with its 95 % Wilson interval
    [1]_, because rates of small groups are uncertain. Rows on which the classifier
    abstained count in the denominator but are not errors.

    Parameters
    ----------
    counts : DataFrame
        A row for each group, named in the index, with the columns "n_negatives",
        "n_positives", "false_positives", "false_negatives", "abstained_negatives" and
        "abstained_positives".
    group_name : str, default=None
        Name of the grouping, shown as the axis label.
    estimator_name : str, default=None
        Shown as the title.
    pos_label : object, default=None
        The positive class, shown in the title.

    Attributes
    ----------
    rates_ : DataFrame
        A row for each group, named in the index, with the columns "n_negatives",
        "n_positives", "false_positive_rate" and "false_negative_rate". A rate is NaN in
        a group without negatives, or without positives.
    intervals_ : DataFrame
        Limits of the Wilson intervals; the columns are pairs of a rate and "lower" or
        "upper".
    differences_ : Series
        For each of the two rates, the largest value of a group minus the smallest; NaN
        if fewer than two groups have the rate.
    axes_ : ndarray of matplotlib Axes, (2,)
        The axes of the false-positive and of the false-negative rates.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib ErrorbarContainer
        The rates of the groups, on each of the axes.

    See Also
    --------
    CostCurveDisplay : Expected cost of the decisions.

    Notes
    -----
    If the frequency of the positive class differs between groups, no classifier can
    both have equal error rates and be calibrated in every group [2]_. Which difference
    is acceptable depends on the application.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical
       inference", Journal of the American Statistical Association, 1927.
    .. [2] A. Chouldechova, "Fair prediction with disparate impact", Big Data, 2017.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeep.metrics import ErrorRatesDisplay
    >>> y_true = [0, 0, 0, 1, 1, 0, 0, 1, 1, 1]
    >>> y_pred = [0, 0, 1, 1, 1, 0, 0, 0, 0, 1]
    >>> region = ["north"] * 5 + ["south"] * 5
    >>> display = ErrorRatesDisplay.from_predictions(y_true, y_pred, region)
    >>> display.rates_["false_negative_rate"].round(2).to_dict()
    {'north': 0.0, 'south': 0.67}
    >>> plt.show()
    """

    def __init__(self, *, counts, group_name=None, estimator_name=None, pos_label=None):
        self.counts = counts
        self.group_name = group_name
        self.estimator_name = estimator_name
        self.pos_label = pos_label

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        groups,
        *,
        pos_label=None,
        fp_cost=None,
        fn_cost=None,
        name=None,
        ax=None,
    ):
        """Draw the error rates of a fitted classifier.

        Parameters
        ----------
        estimator : classifier
            A fitted binary classifier. If it has an ``abstain_label``, predictions of
            this label are abstentions.
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,)
            Their classes.
        groups : str or array-like of shape (n_samples,)
            The group of each row, or the name of a column of X that holds it.
        pos_label : object, default=None
            The positive class. None is the estimator's ``pos_label`` if it has one, or
            else the greater class, ``classes_[1]``.
        fp_cost : array-like of shape (n_samples,), default=None
            Cost of a false positive in each row, passed to ``predict`` of an estimator
            that requests it.
        fn_cost : array-like of shape (n_samples,), default=None
            Cost of a false negative in each row, passed likewise.
        name : str, default=None
            Title; by default the class name of the estimator.
        ax : array-like of two matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        display : ErrorRatesDisplay
            The display, with the rates drawn.

        Raises
        ------
        TypeError
            If the estimator is not a classifier.
        ValueError
            If there are not two classes, or ``groups`` does not hold one group per row.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> from sklearn.dummy import DummyClassifier
        >>> from skdeep.metrics import ErrorRatesDisplay
        >>> X = pd.DataFrame({"age": [25, 40, 31, 58], "region": ["n", "n", "s", "s"]})
        >>> y = [0, 1, 1, 1]
        >>> model = DummyClassifier(strategy="constant", constant=1).fit(X, y)
        >>> display = ErrorRatesDisplay.from_estimator(model, X, y, "region")
        >>> display.rates_["false_positive_rate"].to_dict()
        {'n': 1.0, 's': nan}
        >>> plt.close(display.figure_)
        """
        check_name(name)
        check_fitted(estimator)
        if not hasattr(estimator, "classes_"):
            found = type(estimator).__name__
            raise TypeError(f"estimator must be a classifier, got {found}.")
        labels = np.asarray(estimator.classes_).tolist()
        if pos_label is None:
            pos_label = find_pos_label(estimator)
        pos_label = positive_label(labels, pos_label, "estimator.classes_")
        costs = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        y = check_labels(y, "y")
        # Raises for classes that the estimator does not know, before it predicts.
        encode_labels(y, dict.fromkeys(labels, 0), "y")
        y_pred = estimator.predict(X, **accepted_costs(estimator, "predict", costs))
        step = final_predictor(estimator)
        # Without a cost of abstaining, a classifier ignores its ``abstain_label``.
        abstains = getattr(step, "abstain_cost", None) is not None
        groups, group_name = _find_groups(X, groups)
        check_same_length(y=y, X=y_pred, groups=groups)
        display = cls(
            counts=_counts(
                y,
                check_labels(y_pred, "y_pred"),
                groups,
                labels,
                pos_label,
                step.abstain_label if abstains else None,
            ),
            group_name=group_name,
            estimator_name=name or type(estimator).__name__,
            pos_label=pos_label,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_pred,
        groups,
        *,
        pos_label=None,
        abstain_label=None,
        name=None,
        ax=None,
    ):
        """Draw the error rates of decisions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True classes.
        y_pred : array-like of shape (n_samples,)
            Decisions: classes, or ``abstain_label``.
        groups : array-like of shape (n_samples,)
            The group of each row. The name of a Series becomes the axis label.
        pos_label : object, default=None
            The positive class; None is the greater one.
        abstain_label : object, default=None
            Label in ``y_pred`` that means to abstain. None does not allow it.
        name : str, default=None
            Title.
        ax : array-like of two matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        display : ErrorRatesDisplay
            The display, with the rates drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, or the arrays differ in length.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdeep.metrics import ErrorRatesDisplay
        >>> y_true, y_pred = ["a", "a", "b", "b"], ["a", "?", "a", "b"]
        >>> display = ErrorRatesDisplay.from_predictions(
        ...     y_true, y_pred, groups=[1, 1, 2, 2], pos_label="b", abstain_label="?"
        ... )
        >>> display.rates_["false_negative_rate"].to_dict()
        {1: nan, 2: 0.5}
        >>> plt.close(display.figure_)
        """
        check_name(name)
        check_label(abstain_label, "abstain_label")
        y_true, y_pred = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
        if abstain_label is not None:
            check_true_labels(y_true, abstain_label)
        found = "y_true and y_pred"
        ignored = () if abstain_label is None else (abstain_label,)
        labels = sorted_labels(y_true, y_pred, name=found, ignored=ignored)
        pos_label = positive_label(labels, pos_label, found)
        codes = _check_groups(groups)
        check_same_length(y_true=y_true, y_pred=y_pred, groups=codes)
        display = cls(
            counts=_counts(y_true, y_pred, codes, labels, pos_label, abstain_label),
            group_name=_series_name(groups),
            estimator_name=name,
            pos_label=pos_label,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the rates.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Axes to draw on; by default those of a new figure, whose height grows with
            the number of groups.

        Returns
        -------
        display : ErrorRatesDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If ``ax`` does not hold two matplotlib Axes.
        ValueError
            If there are more than 500 groups.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdeep.metrics import ErrorRatesDisplay
        >>> y_true, y_pred, groups = [0, 1, 0, 1], [0, 1, 1, 1], ["a", "a", "b", "b"]
        >>> display = ErrorRatesDisplay.from_predictions(y_true, y_pred, groups)
        >>> _, axes = plt.subplots(1, 2)
        >>> display.plot(ax=axes).ax_ is axes[0]
        True
        >>> plt.close("all")
        """
        self._compute()
        self.axes_ = _two_axes(self, ax, len(self.counts))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        both = zip(self.axes_, _RATES, strict=True)
        self.lines_ = [self._draw(axes, rate) for axes, rate in both]
        _name_groups(self.axes_, self.counts.index, self.group_name)
        about = [] if self.estimator_name is None else [str(self.estimator_name)]
        if self.pos_label is not None:
            about.append(f"positive: {self.pos_label!r}")
        self.ax_.set_title("\n".join(about), loc="left")
        return self

    def _compute(self):
        """Compute the rates from the counts."""
        self.rates_ = self.counts[["n_negatives", "n_positives"]].copy()
        ends = {}
        for rate, (errors, n) in _RATES.items():
            n_errors, n_rows = self.counts[errors], self.counts[n]
            self.rates_[rate] = n_errors / n_rows  # NaN if there are no rows
            ends[rate, "lower"], ends[rate, "upper"] = _wilson(n_errors, n_rows)
        self.intervals_ = pd.DataFrame(ends, index=self.counts.index)
        rates = self.rates_[list(_RATES)]
        differences = (rates.max() - rates.min()).where(rates.count() > 1)
        self.differences_ = differences.rename("difference")

    def _draw(self, ax, rate):
        """Draw one rate for all groups, the first group on top."""
        errors, n = (self.counts[column] for column in _RATES[rate])
        values, ends = self.rates_[rate], self.intervals_[rate]
        sides = np.array([values - ends["lower"], ends["upper"] - values])
        style = dict(fmt="o", capsize=2, color="C0" if ax is self.ax_ else "C1")
        # Rounding may put a limit on the wrong side of the rate; errorbar would raise.
        drawn = ax.errorbar(values, np.arange(len(n)), xerr=sides.clip(0), **style)
        overall = errors.sum() / n.sum() if n.sum() else np.nan
        ax.axvline(overall, color="grey", linestyle=":", zorder=0)
        ax.set(xlim=(-0.02, 1.02), xlabel=self._axis_label(rate, overall))
        _write_counts(ax, n)
        return drawn

    def _axis_label(self, rate, overall) -> str:
        """Return the text below the axes of a rate."""
        what = rate.removesuffix("_rate").replace("_", "-")
        kind = _RATES[rate][1].removeprefix("n_")
        lines = [f"{what} rate, of n {kind}", f"all rows: {overall:.3f}"]
        difference = self.differences_[rate]
        if not np.isnan(difference):
            lines[1] += f", largest difference: {difference:.3f}"
        abstained = int(self.counts[f"abstained_{kind}"].sum())
        if abstained:
            lines.append(f"abstained on {abstained} {kind} (not errors)")
        return "\n".join(lines)


def _find_groups(X, groups) -> tuple[np.ndarray, str | None]:
    """Return the group of each row and the name of the grouping."""
    # A tuple is hashable too, but holds a group for each row.
    if not isinstance(groups, Hashable) or not np.isscalar(groups):
        return _check_groups(groups), _series_name(groups)
    columns = list(getattr(X, "columns", ()))
    if groups not in columns:
        known = (
            f"has the columns {join_labels(columns)}"
            if columns
            else "has no column names"
        )
        raise ValueError(f"groups={groups!r} is not a column of X, which {known}.")
    return _check_groups(X[groups]), str(groups)


def _series_name(groups) -> str | None:
    name = getattr(groups, "name", None)
    return None if name is None else str(name)


def _check_groups(groups) -> pd.Categorical:
    """Return the group of each row; groups are ordered, the missing group is last."""
    # Categories keep the user's order; other groups are sorted.
    if isinstance(getattr(groups, "dtype", None), pd.CategoricalDtype):
        return pd.Categorical(groups)
    return pd.Categorical(check_column(groups, "groups", "one group per row"))


def _counts(y_true, y_pred, groups, labels, pos_label, abstain_label) -> pd.DataFrame:
    """Count the rows and errors of each group."""
    codes = {label: int(label == pos_label) for label in labels}
    truth = encode_labels(y_true, codes, "y_true").astype(bool)
    if abstain_label is not None:
        codes[abstain_label] = 2  # neither class, so never an error
    decided = encode_labels(y_pred, codes, "y_pred")
    rows = pd.DataFrame(
        {
            "n_negatives": ~truth,
            "n_positives": truth,
            "false_positives": ~truth & (decided == 1),
            "false_negatives": truth & (decided == 0),
            "abstained_negatives": ~truth & (decided == 2),
            "abstained_positives": truth & (decided == 2),
        }
    )
    # Rows with a missing group form their own group; empty categories are dropped.
    counts = rows.groupby(groups, observed=True, dropna=False).sum()
    return counts.rename_axis("group").astype(np.int64)


def _wilson(errors, n) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of Wilson's interval for errors in n rows; NaN if n is 0."""
    n = np.where(n > 0, n, np.nan)
    z, share = norm.ppf((1 + _COVERAGE) / 2), errors / n
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) * z / (1 + z**2 / n)
    # Rounding would give limits slightly outside [0, 1].
    lower, upper = center - spread, center + spread
    return np.where(share == 0, 0.0, lower), np.where(share == 1, 1.0, upper)


def _two_axes(display, ax, n_groups: int) -> np.ndarray:
    """Return the axes of the two rates; a new figure grows with the groups."""
    plt = import_pyplot(display)
    if n_groups > _MAX_GROUPS:
        raise ValueError(
            f"groups has {n_groups} distinct values, more than the {_MAX_GROUPS} that "
            "can be drawn. Use pandas.cut or pandas.qcut to bin numbers."
        )
    if ax is None:
        size = (8, 1.8 + _INCHES_PER_GROUP * max(n_groups, 3))
        _, ax = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    axes = to_axes_array(ax)
    if len(axes) != 2:
        raise ValueError(f"ax must hold two axes, one for each rate, got {len(axes)}.")
    return axes


def _name_groups(axes, names, title) -> None:
    """Label the groups on the left, with the first group on top."""
    # The axes may not be shared: a user can pass any two.
    for ax in axes:
        ax.set(ylim=(len(names) - 0.5, -0.5))
    shown = ["missing" if pd.isna(name) else str(name) for name in names]
    axes[0].set_yticks(np.arange(len(names)), shown)
    axes[0].set_ylabel(title or "group")
    axes[1].set_yticks(np.arange(len(names)))
    axes[1].tick_params(labelleft=False)


def _write_counts(ax, n) -> None:
    """Write the number of rows of each group on the right."""
    kind = n.name.removeprefix("n_")
    style = dict(color="grey", va="center")
    for at, count in enumerate(n):
        # x in fractions of the axes, y in data units: to the right of each group.
        place = ax.get_yaxis_transform()
        ax.text(1.02, at, f"{count:,}", transform=place, fontsize="small", **style)
        if count == 0:
            ax.text(0.5, at, f"no {kind}", ha="center", **style)
    ax.text(1.02, 1, "n", transform=ax.transAxes, va="bottom", color="grey")
