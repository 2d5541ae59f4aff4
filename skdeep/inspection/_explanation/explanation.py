"""The result of ``lime_explain``: units, their effects, and the quality of the fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from skdeep._input_checks import check_file_name, check_flag, is_integer
from skdeep.inspection._explanation.display import LimeDisplay
from skdeep.inspection._explanation.html_page import write_fragment, write_page
from skdeep.inspection._explanation.parts import (
    count_rows,
    describe_output,
    describe_range,
)


class LimeExplanation:
    """Local linear models of an estimator, one for each explained row.

    It is made by :func:`~skdeep.inspection.lime_explain`. A local model describes the
    output of the estimator near a row as ``intercept_`` plus the sum of ``effects_``.
    Each effect belongs to a unit: a column of a table, a cell or a segment of a
    sequence, a superpixel of an image, or a word of a document. Methods take the
    position of a row, counted from 0.

    Parameters
    ----------
    kind : {"table", "sequence", "image", "document"}
        The kind of the rows.
    rows, outputs, unit_names, feature_names : list
        See the attributes with these names.
    values, weights, effects : ndarray of shape (n_rows, n_units)
        See the attributes with these names.
    intercept, local_prediction, prediction, r2, stability : ndarray of shape (n_rows,)
        See the attributes with these names.
    num_samples : ndarray of int of shape (n_rows,)
        See the attribute with this name.
    num_features : int
        Number of units to show in plots and tables.
    units, times, images, documents : object, default=None
        See the attributes with these names.

    Attributes
    ----------
    kind : {"table", "sequence", "image", "document"}
        The kind of the rows.
    rows_ : list of length n_rows
        Labels of the rows: the index of a DataFrame, or positions.
    outputs_ : list of str
        The explained output of each row: "P(malignant)", "margin", "prediction", …
    unit_names_ : list of length n_units
        Names of the units.
    values_ : ndarray of shape (n_rows, n_units), dtype object
        The value of each unit; None for units of several values. The value of a word is
        its count in the document.
    weights_ : ndarray of shape (n_rows, n_units)
        Coefficients of the local models: the slope for one standard deviation of the
        background for numeric columns; the change of the output when the unit is
        switched on for all other units. 0 for units that were not selected, NaN for
        units that the row does not have.
    effects_ : ndarray of shape (n_rows, n_units)
        What each unit adds to the local prediction, compared with the background mean
        for numeric columns, and with the unit switched off for all others, where it
        equals the weight.
    intercept_ : ndarray of shape (n_rows,)
        The local model's output without any effects.
    local_prediction_ : ndarray of shape (n_rows,)
        The local model's output for the row: ``intercept_`` plus the effects.
    prediction_ : ndarray of shape (n_rows,)
        The estimator's output for the row.
    r2_ : ndarray of shape (n_rows,)
        Fidelity: the share of the variance of the estimator's output near the row that
        the local model explains, adjusted for the number of units.
    stability_ : ndarray of shape (n_rows,)
        Agreement between the effects found from separate halves of the draws, between 0
        and 1.
    num_samples_ : ndarray of int of shape (n_rows,)
        Number of draws for each row.
    num_features : int
        Number of units to show in plots and tables.
    units_ : ndarray of int, or None
        The unit of each cell, -1 for none: of shape (n_timesteps, n_features) for
        sequences, (n_rows, height, width) for images.
    feature_names_ : list of str
        Names of the features.
    times_ : list
        Labels of the timesteps of sequences.
    images_ : ndarray of shape (n_rows, height, width) or (n_rows, height, width, 3)
        The images as they are drawn, scaled to 0 to 1; None for other kinds of rows.
    documents_ : list of list of (str, int), or None
        The pieces of each document, words and separators, each with its unit, -1 for
        separators.

    See Also
    --------
    skdeep.inspection.lime_explain : Explain rows.
    skdeep.inspection.LimeDisplay : Plot of an explanation.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier
    >>> from skdeep.inspection import lime_explain
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> network = MLPClassifier(early_stopping=True, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
    >>> explanation = lime_explain(model, X[:5], background=X, random_state=0)
    >>> explanation
    <LimeExplanation of 5 rows: P(1), R² 0...>
    >>> display = explanation.plot(row=1)
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        kind,
        rows,
        outputs,
        unit_names,
        values,
        weights,
        effects,
        intercept,
        local_prediction,
        prediction,
        r2,
        stability,
        num_samples,
        num_features,
        feature_names,
        units=None,
        times=None,
        images=None,
        documents=None,
    ):
        self.kind = kind
        self.num_features = num_features
        self.rows_ = rows
        self.outputs_ = outputs
        self.unit_names_ = unit_names
        self.values_ = values
        self.weights_ = weights
        self.effects_ = effects
        self.intercept_ = intercept
        self.local_prediction_ = local_prediction
        self.prediction_ = prediction
        self.r2_ = r2
        self.stability_ = stability
        self.num_samples_ = num_samples
        self.feature_names_ = feature_names
        self.units_ = units
        self.times_ = times
        self.images_ = images
        self.documents_ = documents

    def __len__(self):
        return len(self.rows_)

    def __repr__(self):
        rows = count_rows(len(self))
        output, r2 = describe_output(self, None), describe_range(self.r2_)
        return f"<LimeExplanation of {rows}: {output}, R² {r2}>"

    def top(self, row=0):
        """Return the units with the largest effects on a row, the largest first.

        Parameters
        ----------
        row : int, default=0
            Position of the row among the explained rows.

        Returns
        -------
        units : ndarray of int
            At most ``num_features`` positions in ``unit_names_``. Units without an
            effect are left out.

        Raises
        ------
        IndexError, TypeError
            If there is no such row.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:1], background=X, random_state=0
        ... )
        >>> explanation.top()
        array([2, 0])
        """
        row = self._position(row)
        sizes = np.nan_to_num(np.abs(np.asarray(self.effects_[row], float)))
        order = np.argsort(-sizes, kind="stable")[: self.num_features]
        return order[sizes[order] > 0]

    def to_frame(self):
        """Return the largest effects of all rows as a table.

        Returns
        -------
        frame : DataFrame
            One line for each row and unit, with the columns "row", "output", "unit",
            "value", "weight" and "effect"; the largest effects of a row come first.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:1], background=X, random_state=0
        ... )
        >>> explanation.to_frame()[["unit", "value", "effect"]]
          unit value    effect
        0   x2   1.4  2.358000
        1   x0   5.1 -0.743333
        """
        lines = [
            (self.rows_[row], self.outputs_[row], self.unit_names_[unit])
            + (self.values_[row, unit], self.weights_[row, unit])
            + (self.effects_[row, unit],)
            for row in range(len(self))
            for unit in self.top(row)
        ]
        columns = ["row", "output", "unit", "value", "weight", "effect"]
        return pd.DataFrame(lines, columns=columns)

    def plot(self, row=0, *, ax=None):
        """Draw the explanation of a row.

        Effects are drawn as bars for tables and documents, as a heat map of features
        and times for sequences, and for images as superpixels over the image. If R² is
        below 0.5, the plot carries a warning.

        Parameters
        ----------
        row : int, default=0
            Position of the row among the explained rows.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : LimeDisplay
            With the row drawn.

        Raises
        ------
        IndexError, TypeError
            If there is no such row, or ``ax`` is not a matplotlib Axes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:1], background=X, random_state=0
        ... )
        >>> len(explanation.plot().bars_)
        2
        """
        row = self._position(row)
        return LimeDisplay(explanation=self, row=row).plot(ax=ax)

    def plot_summary(self, *, ax=None):
        """Draw a summary of the effects on all rows.

        For tables and documents, bars show the mean absolute effect of each unit, and
        points the effects on the rows, colored by the row's value if it is a number.
        For sequences, a heat map shows the mean absolute effects.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : LimeDisplay
            With the summary drawn.

        Raises
        ------
        TypeError
            If ``ax`` is not a matplotlib Axes.
        ValueError
            If images were explained: their superpixels differ.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:5], background=X, random_state=0
        ... )
        >>> len(explanation.plot_summary().points_)
        2
        """
        return LimeDisplay(explanation=self, row=None).plot(ax=ax)

    def to_html(self, path=None, *, row=None, n_rows=None, full_page=True):
        """Return the explanation as HTML, or write it to a file.

        The page needs no JavaScript and no other files, follows the light or dark mode
        of the browser, and is small: at most 30 kB for one row, and 60 kB for many rows
        unless ``n_rows`` is set.

        Parameters
        ----------
        path : str or path-like, default=None
            The file to write, in UTF-8; None returns the text.
        row : int, default=None
            Position of the row; None shows the summary of all rows and the first rows.
        n_rows : int, default=None
            Number of rows to show below the summary; None shows three, or fewer if
            these have more than 60 kB. It cannot be combined with ``row``.
        full_page : bool, default=True
            Whether to return a complete page, or a fragment to insert into another one.

        Returns
        -------
        text : str or None
            The HTML if ``path`` is None.

        Raises
        ------
        IndexError, TypeError
            If there is no such row.
        ValueError
            If ``path`` is not a file name, or ``n_rows`` is negative.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:1], background=X, random_state=0
        ... )
        >>> explanation.to_html()[:15]
        '<!DOCTYPE html>'
        """
        row = None if row is None else self._position(row)
        _check_n_rows(n_rows, row)
        full_page = check_flag(full_page, "full_page")
        write = write_page if full_page else write_fragment
        text = write(self, row, n_rows)
        if path is None:
            return text
        check_file_name(path, "path")
        Path(path).write_text(text, encoding="utf-8")
        return None

    def _repr_html_(self):
        return write_fragment(self, None, None)

    def _position(self, row):
        """Return the position of a row as an int; raise if there is no such row."""
        if not is_integer(row):
            raise TypeError(
                f"row must be an integer, the position of one of the {len(self)} "
                f"explained rows, got {row!r}."
            )
        if not 0 <= int(row) < len(self):
            raise IndexError(
                f"row must be at least 0 and below {len(self)}, the number of "
                f"explained rows, got {row}."
            )
        return int(row)


def _check_n_rows(n_rows, row) -> None:
    if n_rows is None:
        return
    if not is_integer(n_rows) or n_rows < 0:
        raise ValueError(f"n_rows must be a non-negative integer, got {n_rows!r}.")
    if row is not None:
        raise ValueError(f"n_rows={n_rows} cannot be combined with row={row}.")
