"""What an explanation holds: the units of each row, their effects, and how good it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Below this share of explained variance the local model is no explanation.
R2_TO_TRUST = 0.5


class LimeExplanation:
    """Local linear models of an estimator, one for each row explained.

    :func:`lime_explain` makes it. A local model describes the output of the estimator
    near a row as ``intercept_ + sum of effects``; each effect belongs to a unit: a
    column of a table, a cell or a segment of a sequence, a superpixel of an image.

    Attributes
    ----------
    kind : {"table", "sequence", "image"}
        What the rows are.
    rows_ : list of length n_rows
        Labels of the rows: the index of a DataFrame, or positions.
    outputs_ : list of str
        What was explained of each row: "P(malignant)", "margin", "prediction", …
    unit_names_ : list of length n_units
        Names of the units.
    values_ : ndarray of shape (n_rows, n_units), dtype object
        What the row holds in each unit; None where that is more than one number.
    weights_ : ndarray of shape (n_rows, n_units)
        Coefficients of the local models: for a numeric column the slope for one
        standard deviation of the background, for a unit that is switched the change of
        the output when it is put in place. 0 for units outside of the local model, NaN
        for units that the row doesn't have.
    effects_ : ndarray of shape (n_rows, n_units)
        What each unit adds to the local prediction beside the background's mean, or
        beside the unit replaced. For units that are switched this is the weight.
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
        The images as they are drawn, between 0 and 1; None for tables and sequences.
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

    def __len__(self):
        return len(self.rows_)

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
        """
        sizes = np.nan_to_num(np.abs(self.effects_[row]))
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
