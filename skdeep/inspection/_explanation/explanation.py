"""What an explanation holds: units, their effects, and how good it is."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd

from skdeep._input_checks import check_file_name, check_flag
from skdeep.inspection._explanation.display import LimeDisplay
from skdeep.inspection._explanation.html_page import write_fragment, write_page
from skdeep.inspection._explanation.parts import (
    count_rows,
    describe_output,
    describe_range,
)


class LimeExplanation:
    """Local linear models of an estimator, one for each row explained.

    :func:`~skdeep.inspection.lime_explain` makes it. A local model describes the output
    of the estimator near a row as ``intercept_ + sum of effects``; each effect belongs
    to a unit: a column of a table, a cell or a segment of a sequence, a superpixel of
    an image, a word of a document. Methods take a row by its position, from 0 on.

    Parameters
    ----------
    kind : {"table", "sequence", "image", "document"}
        What the rows are.
    rows, outputs, unit_names, feature_names : list
        As the attributes of these names.
    values, weights, effects : ndarray of shape (n_rows, n_units)
        As the attributes of these names.
    intercept, local_prediction, prediction, r2, stability : ndarray of shape (n_rows,)
        As the attributes of these names.
    num_samples : ndarray of int of shape (n_rows,)
        As the attribute of this name.
    num_features : int
        Number of units that pictures and tables show.
    units, times, images, documents : object, default=None
        As the attributes of these names.

    Attributes
    ----------
    kind : {"table", "sequence", "image", "document"}
        What the rows are.
    rows_ : list of length n_rows
        Labels of the rows: the index of a DataFrame, or positions.
    outputs_ : list of str
        What was explained of each row: "P(malignant)", "margin", "prediction", …
    unit_names_ : list of length n_units
        Names of the units.
    values_ : ndarray of shape (n_rows, n_units), dtype object
        What the row holds in each unit; None where that is more than one number. Of a
        word how often it stands there.
    weights_ : ndarray of shape (n_rows, n_units)
        Coefficients of the local models: for a numeric column the slope for one
        standard deviation of the background, for a unit that is switched the change of
        the output when it is put in place. 0 for units outside of the local model, NaN
        for units that the row doesn't have.
    effects_ : ndarray of shape (n_rows, n_units)
        What each unit adds to the local prediction compared with the background's mean,
        or with the unit switched. For units that are switched this is the weight.
    intercept_ : ndarray of shape (n_rows,)
        The local model's output where no unit has an effect.
    local_prediction_ : ndarray of shape (n_rows,)
        The local model's output at the row: ``intercept_`` plus the effects.
    prediction_ : ndarray of shape (n_rows,)
        The estimator's own output at the row.
    r2_ : ndarray of shape (n_rows,)
        Share of the variance of the estimator's output near the row that the local
        model explains, adjusted for the number of units.
    stability_ : ndarray of shape (n_rows,)
        Agreement of the effects found by separate halves of the draws, between 0
        and 1.
    num_samples_ : ndarray of int of shape (n_rows,)
        Number of draws for each row.
    num_features : int
        Number of units that pictures and tables show.
    units_ : ndarray of int, or None
        The unit of each cell, -1 for none: of shape (n_timesteps, n_features) for
        sequences, (n_rows, height, width) for images.
    feature_names_ : list of str
        Names of the features of the rows.
    times_ : list
        Labels of the timesteps of a sequence.
    images_ : ndarray of shape (n_rows, height, width) or (n_rows, height, width, 3)
        The images as they are drawn, between 0 and 1; None for what are no images.
    documents_ : list of list of (str, int), or None
        The pieces of each document, words and what is between them, each with its
        unit, -1 for none.

    See Also
    --------
    skdeep.inspection.lime_explain : Explains rows.
    skdeep.inspection.LimeDisplay : The explanation of a row as a picture.

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
    >>> len(explanation)
    5
    >>> frame = explanation.to_frame()
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
            Position of the row among those explained.

        Returns
        -------
        units : ndarray of int
            At most ``num_features`` positions in ``unit_names_``. Units without an
            effect are left out.

        Raises
        ------
        IndexError, TypeError
            If there is no such row.
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
            A line for each row and unit: "row", "output", "unit", "value", "weight",
            "effect"; within a row the largest effects first.
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

        Bars of the effects for a table or a document, a map of features and times for
        a sequence, the superpixels with the largest effects over an image. Where R² is
        below 0.5
        the picture says so.

        Parameters
        ----------
        row : int, default=0
            Position of the row among those explained.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : LimeDisplay
            With the row drawn.

        Raises
        ------
        IndexError, TypeError
            If there is no such row, or ``ax`` is no Axes.
        """
        row = self._position(row)
        return LimeDisplay(explanation=self, row=row).plot(ax=ax)

    def plot_summary(self, *, ax=None):
        """Draw the effects over all rows.

        For a table or documents the mean size of each unit's effects as a bar, and
        over it the effect on each row as a point, coloured by the row's value where
        that is a number. For sequences a map of the mean size of the effects.

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
            If ``ax`` is no Axes.
        ValueError
            If images were explained: their superpixels differ from row to row.
        """
        return LimeDisplay(explanation=self, row=None).plot(ax=ax)

    def to_html(self, path=None, *, row=None, n_rows=None, full_page=True):
        """Return the explanation as HTML, or write it to a file.

        The page needs no JavaScript and no other file, is light or dark as its
        reader's screen asks for, and small: at most 30 kB for one row, and 60 kB for
        many unless more rows are asked for.

        Parameters
        ----------
        path : str or path-like, default=None
            The file to write, in UTF-8; None returns the text.
        row : int, default=None
            Position of the row; None shows the summary of all rows and the first rows.
        n_rows : int, default=None
            Number of rows below the summary, 0 for the summary alone; None shows three,
            or fewer if these are more than 60 kB. Not together with ``row``.
        full_page : bool, default=True
            Whether to make a page of its own, or a part to put into another page.

        Returns
        -------
        text : str or None
            The HTML if ``path`` is None.

        Raises
        ------
        IndexError, TypeError
            If there is no such row.
        ValueError
            If ``path`` names no file, or ``n_rows`` is no number of rows.
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
        """Return a row's position as a plain int, if there is such a row."""
        is_whole = isinstance(row, Integral) and type(row) is not bool
        if not is_whole:
            raise TypeError(
                f"row must be a whole number, the position of one of the {len(self)} "
                f"rows explained, got {row!r}."
            )
        if not 0 <= int(row) < len(self):
            raise IndexError(
                f"row must be at least 0 and below {len(self)}, the number of rows "
                f"explained, got {row}."
            )
        return int(row)


def _check_n_rows(n_rows, row) -> None:
    if n_rows is None:
        return
    is_whole = isinstance(n_rows, Integral) and type(n_rows) is not bool
    if not is_whole or n_rows < 0:
        raise ValueError(f"n_rows must be a whole number from 0 on, got {n_rows!r}.")
    if row is not None:
        raise ValueError(f"n_rows={n_rows} was given, but row={row} is one row.")
