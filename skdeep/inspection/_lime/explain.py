"""Local linear explanations of single predictions."""

from __future__ import annotations

import hashlib
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples

from skdeep._input_checks import tensor_to_numpy
from skdeep._messages import warn
from skdeep._param_validation import validate_arguments
from skdeep.inspection._explanation.explanation import LimeExplanation
from skdeep.inspection._explanation.parts import R2_TO_TRUST
from skdeep.inspection._images import image_network
from skdeep.inspection._lime.cells import REPLACEMENTS
from skdeep.inspection._lime.local_model import (
    LocalFit,
    default_kernel_width,
)
from skdeep.inspection._lime.network_input import network_rows
from skdeep.inspection._lime.outputs import Output, find_output
from skdeep.inspection._lime.perturbations import N_TOGETHER, Perturbations
from skdeep.inspection._lime.rows import make_rows
from skdeep.inspection._lime.user_input import make_converter, row_labels

# num_samples="auto" starts with this many draws, or this many per unit if that is more,
# and doubles them up to this factor until the effects reach this stability.
_N_DRAWS, _N_DRAWS_OF_UNIT, _MOST_TIMES = 512, 4, 8
_STABLE = 0.9
# More would take days per row.
_MOST_DRAWS = 10**7

# Bounds the memory: how many numbers the perturbations of one batch may have.
_N_NUMBERS = 2**24

# Relative difference between predictions that rounding explains: a network in float32
# sums in another order when other rows are in its batch.
_ROUNDING = 1e-4


@validate_arguments(
    {
        "link": [StrOptions({"identity", "logit"})],
        "num_samples": [
            Interval(Integral, 2, _MOST_DRAWS, closed="both"),
            StrOptions({"auto"}),
        ],
        "num_features": [Interval(Integral, 1, None, closed="left")],
        "spread": [Interval(Real, 0, None, closed="neither")],
        "kernel_width": [Interval(Real, 0, None, closed="neither"), None],
        "discretize": [StrOptions({"quartile", "decile"}), None],
        "replacement": [StrOptions(set(REPLACEMENTS))],
        "n_segments": [Interval(Integral, 1, None, closed="left"), None],
        "feature_selection": [
            StrOptions({"highest_weights", "forward_selection", "lasso_path"}),
            None,
        ],
        "params": [dict, None],
        "random_state": ["random_state"],
    }
)
def lime_explain(
    estimator,
    X,
    *,
    background=None,
    target=None,
    step=None,
    link="identity",
    num_samples="auto",
    num_features=10,
    spread=0.5,
    kernel_width=None,
    discretize=None,
    groups=None,
    replacement="mean",
    n_segments=None,
    categorical_features=None,
    feature_names=None,
    row_names=None,
    class_names=None,
    feature_selection=None,
    params=None,
    random_state=None,
):
    """Explain predictions of an estimator by local linear models (LIME).

    Perturbations of the row are drawn, the estimator predicts all of them, and a linear
    model is fitted to its predictions, weighted by how near the perturbations are. The
    coefficients show how each unit (a column, a cell, a superpixel, a word) changes the
    prediction near the row.

    Parameters
    ----------
    estimator : estimator or callable
        A fitted classifier with ``predict_proba``, regressor or forecaster that follows
        the scikit-learn API; a pipeline is explained in terms of its input columns, or
        of the words of documents. Or a function that takes X and returns numbers of
        shape (n_rows,) or (n_rows, n_outputs).
    X : DataFrame, array-like or sparse matrix of shape (n_rows, n_features), \
            (n_rows, n_timesteps, n_features) or (n_rows, height, width[, n_colors]); \
            or list, array or Series of str
        The rows to explain: rows of a table, sequences, images (the colors may also
        come first), or documents. Shorter sequences are padded with NaN at the end,
        token ids with 0; or pass a list of arrays. For a forecaster, rows in order of
        time, the last of which is the origin, or windows of shape (n_rows, window,
        n_features). For a network for images, such as :class:`~skdeep.CNNClassifier`,
        images or signals in any layout that it takes, or paths of files.
    background : DataFrame or array-like, default=None
        Rows like those of X, such as the training rows, that show how the features are
        distributed; None means X. Images, documents and sparse rows do not need it.
    target : object, default=None
        The output to explain.

        - Classifiers: a class, whose probability is explained; None means the second of
          two classes, and the most probable class of each row if there are more. Or
          "margin", the ``decision_function``: the distance from the decision boundary.
        - Regressors with several targets: the position of one.
        - Forecasters: a target or (target, step), with a step from 1 to ``horizon``.
        - Functions with several outputs: the position of one or a name in
          ``class_names``; None means the second of two outputs, and the largest output
          of each row if there are more.
    step : int, default=None
        If the estimator predicts every step of a sequence (``return_sequences``), the
        step to explain, counted from 0, or backwards from -1; None means the last step
        that is not padding. For a forecaster, the step of ``target``.
    link : {"identity", "logit"}, default="identity"
        "logit" explains the log-odds of a class. Linear classifiers, and many others,
        are closer to additive in log-odds if probabilities are close to 0 or 1.
    num_samples : int or "auto", default="auto"
        Number of draws for each row, the row itself included, at most ten million.
        "auto" starts with 512, or four per unit if that is more, and doubles them until
        ``stability_`` reaches 0.9, up to eight times as many.
    num_features : int, default=10
        Number of units to show: those with the largest effects.
    spread : float, default=0.5
        Standard deviation of the perturbations of numeric columns, in standard
        deviations of the background.
    kernel_width : float, default=None
        Width of lime's kernel: a draw has the weight exp(-distance² / (2
        kernel_width²)). Moving a column by ``spread`` and switching a unit off are both
        at distance 1. None means 0.75 times the square root of the number of units, as
        in lime.
    discretize : {"quartile", "decile"}, default=None
        Explains which of four or ten bins numeric columns are in, instead of moving
        them.
    groups : str, dict or array-like of int, default=None
        What is switched together.

        - Sequences: "cell" (default), "feature" or "time". Signals of a convolutional
          network: the same, but "time" by default.
        - Images: "superpixel" (default). Pass it if X is 3-D and the estimator is not a
          network for images: images without an axis for colors look like sequences.
        - Documents: "word" (default), which leaves a word out wherever it occurs, or
          "position".
        - Tables, and features of sequences: a dict of lists of columns, by name or
          position.
        - All but documents: an array with the shape of a row that holds the number of
          each group.
    replacement : {"mean", "interpolation", "noise"}, default="mean"
        What replaces the cells of sequences that are switched off: their mean over the
        background, a line between the nearest cells kept, or the cells of a sequence
        from the background. For a forecaster without background the mean is taken over
        the window. Superpixels are always replaced by their mean color.
    n_segments : int, default=None
        Number of time segments, 10 if None; or of superpixels, 50 if None, or fewer in
        small images.
    categorical_features : list of str or int, default=None
        Columns that are switched although they are numeric. Other columns, columns with
        at most two distinct values, and token ids are always switched.
    feature_names : list of str, default=None
        Names of the features, if X has none.
    row_names : list, default=None
        Names of the rows, if X has no index.
    class_names : list, default=None
        Names of the outputs of a function.
    feature_selection : {"highest_weights", "forward_selection", "lasso_path"}, \
            default=None
        How the ``num_features`` units of the local model are selected, with lime's
        methods. None fits all units.
    params : dict, default=None
        Metadata by name, with one value per row. The estimator's method gets the value
        of a row with each of its perturbations: for example the ``fp_cost`` and
        ``fn_cost`` that ``target="margin"`` of a
        :class:`~skdeep.CostSensitiveClassifier` may need.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. It is combined with the values of each row, so that the draws
        for a row do not depend on the other rows.

    Returns
    -------
    explanation : LimeExplanation
        The effects, and how well they describe the estimator near each row.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError, ValueError
        If the estimator does not have this output, or if its predictions for a row
        depend on other rows; if X and the background do not match, or if groups leave
        features out.
    ImportError
        If X holds images and scikit-image is not installed.

    Warns
    -----
    UserWarning
        If R² of a local model is below 0.5.

    See Also
    --------
    LimeDisplay : Draws an explanation.
    sklearn.inspection.permutation_importance : Importance over a whole data set.

    Notes
    -----
    A numeric column is moved around the row's value, within the range of the
    background. Its entry in ``weights_`` is the slope for one standard deviation, and
    its effect is this slope times the row's distance from the mean in standard
    deviations. All other units are switched to another value from the background in
    half of the draws; weight and effect are the change that the row's own value makes.
    Words are left out, and entries of sparse rows are set to 0. Draws come in pairs on
    opposite sides of the row, so that curvature does not bias the effects.

    Each prediction must depend on its row alone. If a pipeline makes windows of rows,
    explain its last step and pass windows.

    Like all LIME methods this explains the estimator, not the data, and treats units as
    independent: the draws ignore correlations between columns. A superpixel of a single
    color is replaced by itself, so its effect is always 0.

    References
    ----------
    Ribeiro, Singh and Guestrin (2016). "Why should I trust you? Explaining the
    predictions of any classifier." KDD.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier
    >>> from skdeep.inspection import lime_explain
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), MLPClassifier(early_stopping=True, random_state=0)
    ... ).fit(X, y)
    >>> explanation = lime_explain(
    ...     model, X[:3], background=X, num_features=3, random_state=0
    ... )
    >>> explanation.r2_.round(1)
    array([0.9, 0.9, 0.9])
    """
    output = find_output(estimator, target, link, step=step, class_names=class_names)
    options = {
        "groups": groups,
        "replacement": replacement,
        "n_segments": n_segments,
        "discretize": discretize,
        "spread": spread,
        "categorical_features": categorical_features,
        "feature_names": feature_names,
    }
    # Interval(Integral) accepts bool, which is an Integral.
    if isinstance(num_features, bool):
        raise TypeError(f"num_features must be an integer, got {num_features}.")
    X, background = tensor_to_numpy(X, "X"), tensor_to_numpy(background, "background")
    if image_network(estimator) is None:
        rows = make_rows(estimator, X, background, options)
        # make_rows has read X as pandas or NumPy, but the estimator gets the user's
        # type.
        labeled, convert = rows.X, make_converter(X)
    else:
        rows, convert = network_rows(estimator, X, background, options)
        labeled = X
    output = output.with_conversion(convert)
    n_rows = _num_samples(rows.X)
    metadata = _Metadata(params, n_rows)
    predictions = _predict(output, rows.X, metadata, np.arange(n_rows))
    output = output.with_names(predictions.shape[1])
    _check_rows_are_independent(output, rows, predictions, metadata)
    sampling = {
        "num_samples": num_samples,
        "num_features": num_features,
        "kernel_width": kernel_width,
        "feature_selection": feature_selection,
    }
    # One draw from the user's generator: each row then has a generator of its own.
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    explainers = [
        _RowExplainer(rows, row, chosen, predictions[row], sampling, seed)
        for row, chosen in enumerate(output.chosen_for(predictions))
    ]
    # Whole groups of pairs, so that the parts of the draws are of equal size.
    limit = N_TOGETHER * max(1, _N_NUMBERS // rows.draw_size() // N_TOGETHER)
    _draw_until_stable(rows, output, explainers, limit, metadata)
    names = row_labels(labeled, row_names)
    explanation = _make_explanation(
        rows, names, output, predictions, explainers, num_features
    )
    _warn_of_poor_fits(explanation)
    return explanation


class _Metadata:
    """Metadata of the rows, repeated for their perturbations.

    Parameters
    ----------
    params : dict or None
        A value for each row, by name.
    n_rows : int
        Number of rows.
    """

    def __init__(self, params: dict | None, n_rows: int):
        self._columns = {name: np.asarray(x) for name, x in (params or {}).items()}
        for name, column in self._columns.items():
            if column.shape[:1] != (n_rows,):
                raise ValueError(
                    f"params[{name!r}] must have one value for each of the {n_rows} "
                    f"rows of X, got shape {column.shape}."
                )

    def take(self, rows: np.ndarray) -> dict:
        """Return the metadata of the rows at some positions, which may repeat."""
        return {name: column[rows] for name, column in self._columns.items()}


class _RowExplainer:
    """Draws perturbations of one row, and fits the local model to them.

    Parameters
    ----------
    rows : TableRows, CellRows or PartRows
        All rows.
    row : int
        The position of the row.
    chosen : int
        Position of the explained output.
    prediction : ndarray of shape (n_outputs,)
        The outputs at the row.
    options : dict
        ``num_samples``, ``kernel_width``, ``feature_selection``, ``num_features``.
    seed : int
        Seed of the draws, combined with the values of the row.
    """

    def __init__(self, rows, row, chosen, prediction, options, seed):
        self._rows, self.row, self.chosen = rows, row, chosen
        self._num_features = options["num_features"]
        self._has = rows.has_units(row)
        n_units = max(1, self._has.sum())
        self.n_missing, self.most = _numbers_of_draws(options["num_samples"], n_units)
        width = options["kernel_width"] or default_kernel_width(n_units)
        selection = options["feature_selection"]
        in_units = rows.in_units(row)[self._has]
        self.fit = LocalFit(in_units, prediction[chosen], width, selection)
        # Seeded by the row's values, not by its position: a row must get the same draws
        # alone as among others. hash() differs between processes.
        digest = hashlib.blake2b(rows.content(row), digest_size=16).digest()
        self._rng = np.random.default_rng([seed, *digest])

    def draw(self, limit: int) -> Perturbations:
        """Make the missing draws, but no more than the limit."""
        return self._rows.draw(self.row, self._rng, min(self.n_missing, limit))

    def learn(self, drawn: Perturbations, predictions: np.ndarray) -> None:
        """Add the outputs for some perturbations, of shape (n_draws, n_outputs).

        If the effects are not stable once all draws are made, request as many again.
        """
        self.fit.add(drawn, predictions[:, self.chosen])
        self.n_missing -= len(predictions)
        if self.n_missing:
            return
        self.fit.check_kernel()
        self.stability = self.fit.stability(self._num_features)
        if self.stability < _STABLE and 2 * self.fit.n_draws <= self.most:
            self.n_missing = self.fit.n_draws

    def conclude(self) -> None:
        """Solve for the local model, and free the sums that it was made from."""
        self.model = self.fit.solve(self._num_features)
        # NaN, not 0: a unit that the row does not have is not one without an effect.
        weights = np.full(len(self._has), np.nan)
        weights[self._has] = self.model.weights
        self.model.weights = weights
        self.n_draws = self.fit.n_draws
        del self.fit


def _predict(output: Output, X, metadata: _Metadata, of_rows) -> np.ndarray:
    """Return all outputs for rows; raise if they are not finite.

    ``of_rows`` holds the position of the explained row that each row of X belongs to.
    """
    predictions = output.evaluate(X, **metadata.take(of_rows))
    is_wrong = ~np.isfinite(predictions)
    if is_wrong.any():
        raise ValueError(
            f"estimator predicts {predictions[is_wrong][0]} for rows of X or rows near "
            "them, which cannot be explained."
        )
    return predictions


def _check_rows_are_independent(output: Output, rows, predictions, metadata) -> None:
    """Raise if the prediction for a row depends on the rows around it.

    The rows are predicted again in reverse order, between other rows.
    """
    backwards = np.arange(len(predictions))[::-1]
    # At both ends, so that windows and cumulative sums change for every row.
    neighbors = rows.others()
    joined = rows.join([neighbors, rows.contents(backwards), neighbors])
    n_others = (_num_samples(joined) - len(predictions)) // 2
    strangers = np.zeros(n_others, dtype=int)
    of_rows = np.concatenate([strangers, backwards, strangers])
    among = _predict(output, joined, metadata, of_rows)
    others = among[n_others:][: len(predictions)][::-1]
    tolerance = _ROUNDING * np.abs(predictions).max()
    if np.abs(others - predictions).max() > tolerance:
        raise ValueError(
            "estimator predicts differently for a row of X if other rows are next to "
            "it, so single rows cannot be explained. If it reads windows of rows, make "
            "the windows first and explain the network alone: "
            "lime_explain(pipeline[-1], pipeline[:-1].transform(X))."
        )


def _numbers_of_draws(num_samples, n_units: int) -> tuple[int, int]:
    """Return the number of draws to start with, and the maximum."""
    if num_samples == "auto":
        fewest = max(_N_DRAWS, _N_DRAWS_OF_UNIT * n_units)
        return fewest, _MOST_TIMES * fewest
    # The two draws of a pair are mirror images: they determine one coefficient only.
    needed = 2 * n_units + 3
    if num_samples < needed:
        raise ValueError(
            f"num_samples={num_samples} is too small to separate {n_units} units; use "
            f"at least {needed}."
        )
    return num_samples - 1, num_samples - 1  # the row itself is a sample too


def _draw_until_stable(rows, output, explainers: list, limit: int, metadata) -> None:
    """Draw around all rows, in batches of rows with at most ``limit`` draws together.

    The estimator is called once per batch, which is much faster than once per row.
    """
    # A stack: rows that need more draws go next, so that few rows hold moments, which
    # grow with the square of the number of units.
    waiting = explainers[::-1]
    while waiting:
        some: list[_RowExplainer] = []
        n_draws = 0
        while waiting and (not some or n_draws + waiting[-1].n_missing <= limit):
            some.append(waiting.pop())
            n_draws += some[-1].n_missing
        drawn = [a.draw(limit) for a in some]
        n_draws_of = [len(d.units) for d in drawn]
        of_rows = np.repeat([a.row for a in some], n_draws_of)
        joined = rows.join([d.content for d in drawn])
        predictions = _predict(output, joined, metadata, of_rows)
        ends = np.cumsum(n_draws_of)
        parts = np.split(predictions, ends[:-1])
        for explainer, draws, part in zip(some, drawn, parts, strict=True):
            explainer.learn(draws, part)
        for explainer in some[::-1]:
            if explainer.n_missing:
                waiting.append(explainer)
            else:
                explainer.conclude()


def _make_explanation(rows, names, output, predictions, explainers, num_features):
    """Return the explanation of all rows."""
    every = range(len(explainers))
    models = [a.model for a in explainers]
    weights = np.array([model.weights for model in models])
    effects = weights * [rows.in_units(row) for row in every]
    local_prediction = np.array([model.prediction for model in models])
    chosen = [a.chosen for a in explainers]
    return LimeExplanation(
        kind=rows.kind,
        rows=names,
        outputs=[output.names[k] for k in chosen],
        unit_names=rows.unit_names,
        values=_as_objects([rows.values(row) for row in every]),
        weights=weights,
        effects=effects,
        intercept=local_prediction - np.nansum(effects, axis=1),
        local_prediction=local_prediction,
        prediction=predictions[every, chosen],
        r2=np.array([model.r2 for model in models]),
        stability=np.array([a.stability for a in explainers]),
        num_samples=np.array([a.n_draws + 1 for a in explainers]),
        num_features=num_features,
        feature_names=rows.feature_names,
        **rows.drawing,
    )


def _as_objects(rows: list[list]) -> np.ndarray:
    """Return values of any type as an array of shape (n_rows, n_units)."""
    values = np.empty((len(rows), len(rows[0])), dtype=object)
    for place, row in zip(values, rows, strict=True):
        place[:] = row
    return values


def _suggest_remedies(explanation: LimeExplanation) -> str:
    """Return what may improve a poor fit."""
    advice = ""
    if explanation.outputs_[0].startswith("P("):
        advice += " Log-odds may fit better: link='logit'."
    if explanation.kind == "table":
        advice += " A smaller spread keeps numeric columns closer to the row."
    return advice


def _warn_of_poor_fits(explanation: LimeExplanation) -> None:
    """Warn if the estimator is not linear near some rows."""
    poor = np.flatnonzero(explanation.r2_ < R2_TO_TRUST)
    if len(poor):
        worst = poor[explanation.r2_[poor].argmin()]
        warn(
            f"The local models of {len(poor)} of {len(explanation)} rows explain less "
            f"than half of the variance of the predictions near them (R² is "
            f"{explanation.r2_[worst]:.2f} for row {explanation.rows_[worst]}): do not "
            f"trust their effects.{_suggest_remedies(explanation)}",
        )
