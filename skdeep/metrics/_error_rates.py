"""Whom the errors fall on: error rates of groups, as a picture."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from scipy.stats import norm

from skdeep._input_checks import check_fitted, check_name, tensor_to_numpy
from skdeep.encoding import listed
from skdeep.metrics._estimators import costs_for, last_step, pos_label_of
from skdeep.metrics._labels import (
    check_axes,
    check_column,
    check_label,
    check_labels,
    check_same_length,
    check_truth,
    codes_of,
    positive_label,
    sorted_labels,
)

# Each rate, by the name of its column: its errors, and the rows that it is a share of.
_RATES = {
    "false_positive_rate": ("false_positives", "n_negatives"),
    "false_negative_rate": ("false_negatives", "n_positives"),
}
_COVERAGE = 0.95
# A picture of more groups cannot be read, and would be of a hundred feet.
_MOST_GROUPS = 500
_INCHES_PER_GROUP = 0.3


class ErrorRatesDisplay:
    """False-positive and false-negative rates of groups: whom do the errors fall on.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one.

    The false-positive rate of a group is the share of its negatives that were decided
    "positive"; the false-negative rate the share of its positives that were decided
    "negative". Each is drawn with its Wilson 95 % interval [1]_, as rates of few rows
    say little. An abstention is neither error, but its row is counted.

    Parameters
    ----------
    counts : DataFrame
        A row for each group, named in the index, with the columns "n_negatives",
        "n_positives", "false_positives", "false_negatives", "abstained_negatives" and
        "abstained_positives".
    group_name : str, default=None
        What the groups are of, for the name of the axis.
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
        The ends of the Wilson intervals: its columns are pairs of a rate and "lower" or
        "upper".
    differences_ : Series
        The largest rate of a group minus the smallest, for each of the two rates; NaN
        where fewer than two groups have it.
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
    CostCurveDisplay : What the errors cost.

    Notes
    -----
    Where groups differ in how common the positive class is, a classifier cannot have
    equal error rates and be calibrated in every group [2]_: which difference is the
    lesser evil is for people to decide.

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
            A fitted classifier of two classes. What it answers where it abstains is
            read from its ``abstain_label``.
        X : array-like of shape (n_samples, n_features)
            Rows to decide on.
        y : array-like of shape (n_samples,)
            Their classes.
        groups : str or array-like of shape (n_samples,)
            The group of each row, or the column of X that tells it.
        pos_label : object, default=None
            The positive class; None is the ``pos_label`` that the estimator was given,
            or else the greater class, ``classes_[1]``.
        fp_cost : array-like of shape (n_samples,), default=None
            What a false positive costs in each row, for an estimator that asks for it.
        fn_cost : array-like of shape (n_samples,), default=None
            What a false negative costs in each row, for an estimator that asks for it.
        name : str, default=None
            The title; the name of the class if None.
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : ErrorRatesDisplay
            With the rates drawn.

        Raises
        ------
        TypeError
            If the estimator is no classifier.
        ValueError
            If there are not two classes, or the groups are not told for each row.
        """
        check_name(name)
        check_fitted(estimator)
        if not hasattr(estimator, "classes_"):
            found = type(estimator).__name__
            raise TypeError(f"estimator must be a classifier, got {found}.")
        labels = np.asarray(estimator.classes_).tolist()
        if pos_label is None:
            pos_label = pos_label_of(estimator)
        pos_label = positive_label(labels, pos_label, "estimator.classes_")
        costs = dict(fp_cost=fp_cost, fn_cost=fn_cost)
        y = check_labels(y, "y")
        codes_of(y, dict.fromkeys(labels, 0), "y")
        y_pred = estimator.predict(X, **costs_for(estimator, "predict", costs))
        step = last_step(estimator)
        abstains = getattr(step, "abstain_cost", None) is not None
        groups, group_name = _groups_of(X, groups)
        check_same_length(y=y, y_pred=y_pred, groups=groups)
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
            The group of each row. Its name, if it is a Series, names the axis.
        pos_label : object, default=None
            The positive class; None is the greater one.
        abstain_label : object, default=None
            What stands in ``y_pred`` where the decision is to abstain. None: nobody
            abstains.
        name : str, default=None
            The title.
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : ErrorRatesDisplay
            With the rates drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, or the arrays do not fit together.
        """
        check_name(name)
        check_label(abstain_label, "abstain_label")
        y_true, y_pred = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
        if abstain_label is not None:
            check_truth(y_true, abstain_label)
        found = "y_true and y_pred"
        ignored = () if abstain_label is None else (abstain_label,)
        labels = sorted_labels(y_true, y_pred, name=found, ignored=ignored)
        pos_label = positive_label(labels, pos_label, found)
        codes = _check_groups(groups)
        check_same_length(y_true=y_true, y_pred=y_pred, groups=codes)
        display = cls(
            counts=_counts(y_true, y_pred, codes, labels, pos_label, abstain_label),
            group_name=_name_of(groups),
            estimator_name=name,
            pos_label=pos_label,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the rates.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure, as high as the groups need, if None.

        Returns
        -------
        display : ErrorRatesDisplay
            Itself.
        """
        self._compute()
        self.axes_ = _two_axes(ax, len(self.counts))
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
            made, of = self.counts[errors], self.counts[n]
            self.rates_[rate] = made / of  # NaN of no rows
            ends[rate, "lower"], ends[rate, "upper"] = _wilson(made, of)
        self.intervals_ = pd.DataFrame(ends, index=self.counts.index)
        rates = self.rates_[list(_RATES)]
        differences = (rates.max() - rates.min()).where(rates.count() > 1)
        self.differences_ = differences.rename("difference")

    def _draw(self, ax, rate):
        """Draw one rate of all groups, the first of them on top."""
        errors, n = (self.counts[column] for column in _RATES[rate])
        values, ends = self.rates_[rate], self.intervals_[rate]
        sides = np.array([values - ends["lower"], ends["upper"] - values])
        style = dict(fmt="o", capsize=2, color="C0" if ax is self.ax_ else "C1")
        # Rounding may put an end on the wrong side of its rate.
        drawn = ax.errorbar(values, np.arange(len(n)), xerr=sides.clip(0), **style)
        overall = errors.sum() / n.sum() if n.sum() else np.nan
        ax.axvline(overall, color="grey", linestyle=":", zorder=0)
        ax.set(xlim=(-0.02, 1.02), xlabel=self._explained(rate, overall))
        _write_counts(ax, n)
        return drawn

    def _explained(self, rate, overall) -> str:
        """Return what is written below the axes of a rate."""
        what = rate.removesuffix("_rate").replace("_", "-")
        kind = _RATES[rate][1].removeprefix("n_")
        lines = [f"{what} rate, of n {kind}", f"all rows: {overall:.3f}"]
        difference = self.differences_[rate]
        if not np.isnan(difference):
            lines[1] += f", largest difference: {difference:.3f}"
        abstained = int(self.counts[f"abstained_{kind}"].sum())
        if abstained:
            lines.append(f"abstained on {abstained} of the {kind}: no errors")
        return "\n".join(lines)


def _groups_of(X, groups) -> tuple[np.ndarray, str | None]:
    """Return the group of each row, and what the groups are of."""
    if not isinstance(groups, Hashable) or not np.isscalar(groups):
        return _check_groups(groups), _name_of(groups)
    columns = list(getattr(X, "columns", ()))
    if groups not in columns:
        known = f"has the columns {listed(columns)}" if columns else "has no names"
        raise ValueError(f"groups={groups!r} is not a column of X, which {known}.")
    return _check_groups(X[groups]), str(groups)


def _name_of(groups) -> str | None:
    name = getattr(groups, "name", None)
    return None if name is None else str(name)


def _check_groups(groups) -> pd.Categorical:
    """Return the group of each row, the groups in order; missing ones are last."""
    if isinstance(getattr(groups, "dtype", None), pd.CategoricalDtype):
        return pd.Categorical(groups)
    return pd.Categorical(check_column(groups, "groups", "one group a row"))


def _counts(y_true, y_pred, groups, labels, pos_label, abstain_label) -> pd.DataFrame:
    """Count rows and errors of each group."""
    codes = {label: int(label == pos_label) for label in labels}
    truth = codes_of(y_true, codes, "y_true").astype(bool)
    if abstain_label is not None:
        codes[abstain_label] = 2
    decided = codes_of(y_pred, codes, "y_pred")
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
    counts = rows.groupby(groups, observed=True, dropna=False).sum()
    return counts.rename_axis("group").astype(np.int64)


def _wilson(errors, n) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's interval for errors among n rows; NaN of none."""
    n = np.where(n > 0, n, np.nan)
    z, share = norm.ppf((1 + _COVERAGE) / 2), errors / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) * z / (1 + z**2 / n)
    # Exact at the ends, where rounding would leave the range.
    lower, upper = centre - spread, centre + spread
    return np.where(share == 0, 0.0, lower), np.where(share == 1, 1.0, upper)


def _two_axes(ax, n_groups: int) -> np.ndarray:
    """Return the axes of the two rates, in a figure as high as the groups need."""
    import matplotlib.pyplot as plt

    if n_groups > _MOST_GROUPS:
        raise ValueError(
            f"groups holds {n_groups} different groups, too many to draw: at most "
            f"{_MOST_GROUPS}. Numbers become groups by pandas.cut or pandas.qcut."
        )
    if ax is None:
        size = (8, 1.8 + _INCHES_PER_GROUP * max(n_groups, 3))
        _, ax = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    axes = np.atleast_1d(np.asarray(tensor_to_numpy(ax, "ax"), dtype=object)).ravel()
    if len(axes) != 2:
        raise ValueError(f"ax must hold two axes, one for each rate, got {len(axes)}.")
    for each in axes:
        check_axes(each)
    return axes


def _name_groups(axes, names, title) -> None:
    """Write the names of the groups on the left, and order them downwards."""
    for ax in axes:
        ax.set(ylim=(len(names) - 0.5, -0.5))
    shown = ["missing" if pd.isna(name) else str(name) for name in names]
    axes[0].set_yticks(np.arange(len(names)), shown)
    axes[0].set_ylabel(title or "group")
    axes[1].set_yticks(np.arange(len(names)))
    axes[1].tick_params(labelleft=False)


def _write_counts(ax, n) -> None:
    """Write on the right of how many rows each rate is a share; say where of none."""
    kind = n.name.removeprefix("n_")
    style = dict(color="grey", va="center")
    for at, count in enumerate(n):
        place = ax.get_yaxis_transform()
        ax.text(1.02, at, f"{count:,}", transform=place, fontsize="small", **style)
        if count == 0:
            ax.text(0.5, at, f"no {kind}", ha="center", **style)
    ax.text(1.02, 1, "n", transform=ax.transAxes, va="bottom", color="grey")
