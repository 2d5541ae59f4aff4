"""Local linear explanations of single answers."""

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
from skdeep.inspection._lime.cells import REPLACEMENTS
from skdeep.inspection._lime.local_model import (
    LocalFit,
    default_kernel_width,
)
from skdeep.inspection._lime.outputs import Output, find_output
from skdeep.inspection._lime.perturbations import N_TOGETHER, Drawn
from skdeep.inspection._lime.rows import make_rows
from skdeep.inspection._lime.user_input import labels_of, make_converter

# Draws of a row to begin with, at least, and for each unit; so many times as many are
# made until the effects are as stable as this.
_N_DRAWS, _N_DRAWS_OF_UNIT, _MOST_TIMES = 512, 4, 8
_STABLE = 0.9
# More of a row would be drawn for days.
_MOST_DRAWS = 10**7

# Numbers that are held at a time.
_N_NUMBERS = 2**24

# As far predictions may differ because of rounding.
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
    """Explain answers of an estimator by local linear models (LIME).

    Many rows are drawn near the row to explain, the estimator answers all of them, and
    a linear model is fitted to the answers, the nearest counting most. Its coefficients
    tell what each unit (a column, a cell, a superpixel, a word) does to the answer
    there.

    Parameters
    ----------
    estimator : estimator or callable
        A fitted classifier with ``predict_proba``, regressor or forecaster, of
        scikit-learn's manner; a pipeline is explained by its own input columns, or by
        the words of documents. Or a function that takes X and returns numbers,
        (n_rows,) or (n_rows, n_outputs).
    X : DataFrame, array-like or sparse matrix of shape (n_rows, n_features), \
            (n_rows, n_timesteps, n_features) or (n_rows, height, width[, n_colors]); \
            or list, array or Series of str
        The rows to explain: of a table, sequences, images (their colors may also
        come first), or documents. Sequences of different lengths end in NaN, token ids
        in 0, or come as a list of arrays. For a forecaster rows in order of time, after
        the last of which it forecasts, or windows of rows, (n_rows, window,
        n_features).
    background : DataFrame or array-like, default=None
        Rows like those of X, the training rows say, that tell how features are
        distributed; None means X. Images, documents and sparse rows do not need it.
    target : object, default=None
        What to explain. Of a classifier a class, whose probability is meant: None means
        the second of two classes, and of several the one that each row most probably
        has; or "margin", the ``decision_function``: how far the decision is from
        turning. Of a regressor with several targets the position of one. Of a
        forecaster a target or (target, step), a step from 1 to ``horizon``. Of a
        function with several outputs the position of one, or a name of ``class_names``;
        None means of two the second, and of several the largest at each row.
    step : int, default=None
        Where there is an answer for each step of a sequence (``return_sequences``):
        the step whose answer is explained, counted from 0, or backwards from -1. None
        is the last one that is not padding. For a forecaster the step of ``target``.
    link : {"identity", "logit"}, default="identity"
        "logit" explains the log-odds of a class, of which linear and many other
        classifiers are sums where probabilities are close to 0 or 1.
    num_samples : int or "auto", default="auto"
        Number of draws for each row, the row itself among them. "auto" begins with 512,
        or four a unit if that is more, and makes as many again until ``stability_``
        reaches 0.9, at most eight times as many. Ten million at most.
    num_features : int, default=10
        Number of units to show, those with the largest effects.
    spread : float, default=0.5
        How far numeric columns are moved: the standard deviation of the draws in
        standard deviations of the background.
    kernel_width : float, default=None
        Width of lime's kernel: a draw counts by exp(-distance² / (2 kernel_width²)).
        What is moved by ``spread``, or switched, is at distance 1. None means 0.75
        times the root of the number of units, as in lime.
    discretize : {"quartile", "decile"}, default=None
        Explains by which of four or ten bins numeric columns are in, instead of moving
        them.
    groups : str, dict or array-like of int, default=None
        What is switched together. Sequences: "cell" (default), "feature" or "time".
        Images: "superpixel" (default; of 3-D X it tells that these are images).
        Documents: "word" (default), left out wherever it stands, or "position". Tables
        and features of sequences: a dict of lists of columns, by name or position. Any:
        an array of numbers of groups with the shape of a row.
    replacement : {"mean", "interpolation", "noise"}, default="mean"
        What stands in for cells of sequences that are switched off: their mean over the
        background, a line between the nearest cells kept, or the cells of a sequence of
        the background. For a forecaster without background the mean is the window's.
        Superpixels always become their mean color.
    n_segments : int, default=None
        Number of segments of time, 10 if None; or of superpixels, 50 if None, or fewer
        in small images.
    categorical_features : list of str or int, default=None
        Columns that are switched although they hold numbers. Columns that hold no
        numbers, or no more than two different ones, always are, and token ids.
    feature_names : list of str, default=None
        Names of the features, if X has none.
    row_names : list, default=None
        Names of the rows, if X has no index.
    class_names : list, default=None
        Names of the outputs of a function.
    feature_selection : {"highest_weights", "forward_selection", "lasso_path"}, \
            default=None
        How lime chooses ``num_features`` units for the local model. None: the local
        model has all of them.
    params : dict, default=None
        Metadata of the rows, by name, a value a row, which the estimator's method is
        given with each draw of the row: the ``fp_cost`` and ``fn_cost`` that
        ``target="margin"`` of a :class:`~skdeep.CostSensitiveClassifier` may need.
    random_state : int, RandomState instance or None, default=None
        Decides the draws, together with what a row holds: a row has the same draws
        whatever else is explained.

    Returns
    -------
    explanation : LimeExplanation
        The effects, and how well they describe the estimator near each row.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError, ValueError
        If it has no such output, or answers to a row depend on other rows; if X and the
        background do not fit each other, or groups leave features out.

    Warns
    -----
    UserWarning
        If R² of a local model is below 0.5.

    See Also
    --------
    LimeDisplay : An explanation, drawn.
    sklearn.inspection.permutation_importance : What matters over a whole data set.

    Notes
    -----
    A numeric column is moved around the row's value, within the range of the
    background; ``weights_`` are slopes for a standard deviation, ``effects_`` these
    times how far the row is from the mean. Everything else is switched, in half of the
    draws, to another value that the background holds; effect and weight are what the
    row's own value changes. A word, or an entry of a sparse row, is left out, or set to
    0, instead. Draws come in pairs on opposite sides of the row, so that curvature does
    not blur the effects.

    Each answer must depend on its row alone. Of a pipeline that makes windows of rows,
    explain the last step by windows.

    Like every LIME this explains the estimator, not the world, and one unit at a time:
    draws ignore that columns go together. A superpixel of a single color is replaced by
    itself, and has no effect whatever the estimator makes of it.

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
    if isinstance(num_features, bool):
        raise TypeError(f"num_features must be an integer, got {num_features}.")
    X, background = tensor_to_numpy(X, "X"), tensor_to_numpy(background, "background")
    rows = make_rows(estimator, X, background, options)
    output = output.of(make_converter(X))
    n_rows = _num_samples(rows.X)
    metadata = _Metadata(params, n_rows)
    answers = _answers(output, rows.X, metadata, np.arange(n_rows))
    output = output.named(answers.shape[1])
    _check_rows_stand_alone(output, rows, answers, metadata)
    sampling = {
        "num_samples": num_samples,
        "num_features": num_features,
        "kernel_width": kernel_width,
        "feature_selection": feature_selection,
    }
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    around = [
        _Around(rows, row, chosen, answers[row], sampling, seed)
        for row, chosen in enumerate(output.of_rows(answers))
    ]
    # A multiple of what draws come in.
    limit = N_TOGETHER * max(1, _N_NUMBERS // rows.draw_size() // N_TOGETHER)
    _draw_until_stable(rows, output, around, limit, metadata)
    names = labels_of(rows.X, row_names)
    explanation = _describe(rows, names, output, answers, around, num_features)
    _warn_of_poor_fits(explanation)
    return explanation


class _Metadata:
    """The metadata of rows, for the rows and for what is drawn around them.

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
                    f"params[{name!r}] must hold a value for each of the {n_rows} rows "
                    f"of X, got shape {column.shape}."
                )

    def of(self, rows: np.ndarray) -> dict:
        """Return the metadata of rows by their positions, which may repeat."""
        return {name: column[rows] for name, column in self._columns.items()}


class _Around:
    """Draws around a row, and the local model that they give.

    Parameters
    ----------
    rows : TableRows, CellRows or PartRows
        All rows.
    row : int
        The row, by its position.
    chosen : int
        Which output is explained.
    answer : ndarray of shape (n_outputs,)
        The outputs at the row.
    options : dict
        ``num_samples``, ``kernel_width``, ``feature_selection``, ``num_features``.
    seed : int
        Decides the draws together with what the row holds.
    """

    def __init__(self, rows, row, chosen, answer, options, seed):
        self._rows, self.row, self.chosen = rows, row, chosen
        self._num_features = options["num_features"]
        self._has = rows.has_units(row)
        n_units = max(1, self._has.sum())
        self.n_missing, self.most = _numbers_of_draws(options["num_samples"], n_units)
        width = options["kernel_width"] or default_kernel_width(n_units)
        selection = options["feature_selection"]
        in_units = rows.in_units(row)[self._has]
        self.fit = LocalFit(in_units, answer[chosen], width, selection)
        digest = hashlib.blake2b(rows.content(row), digest_size=16).digest()
        self._rng = np.random.default_rng([seed, *digest])

    def draw(self, limit: int) -> Drawn:
        """Draw what is missing, but no more than the limit."""
        return self._rows.draw(self.row, self._rng, min(self.n_missing, limit))

    def learn(self, drawn: Drawn, answers: np.ndarray) -> None:
        """Take the answers to what was drawn, (n_draws, n_outputs).

        If the effects are not stable yet then, as many draws as there are are missing.
        """
        self.fit.add(drawn, answers[:, self.chosen])
        self.n_missing -= len(answers)
        if self.n_missing:
            return
        self.fit.check_kernel()
        self.stability = self.fit.stability(self._num_features)
        if self.stability < _STABLE and 2 * self.fit.n_draws <= self.most:
            self.n_missing = self.fit.n_draws

    def conclude(self) -> None:
        """Solve for the local model; what it was made of is no longer held."""
        self.model = self.fit.solve(self._num_features)
        weights = np.full(len(self._has), np.nan)
        weights[self._has] = self.model.weights
        self.model.weights = weights
        self.n_draws = self.fit.n_draws
        del self.fit


def _answers(output: Output, X, metadata: _Metadata, of_rows) -> np.ndarray:
    """Return all outputs for rows, or refuse what no local model can describe.

    ``of_rows`` tells which row explained each of them belongs to.
    """
    answers = output.evaluate(X, **metadata.of(of_rows))
    if not np.isfinite(answers).all():
        raise ValueError(
            f"estimator answers {answers[~np.isfinite(answers)][0]} to rows of X or to "
            "rows near them, which cannot be explained."
        )
    return answers


def _check_rows_stand_alone(output: Output, rows, answers, metadata) -> None:
    """Refuse an estimator whose answer to a row depends on the rows around it."""
    backwards = np.arange(len(answers))[::-1]
    beside = rows.others()
    joined = rows.join([beside, rows.contents(backwards), beside])
    n_beside = (_num_samples(joined) - len(answers)) // 2
    strangers = np.zeros(n_beside, dtype=int)
    of_rows = np.concatenate([strangers, backwards, strangers])
    among = _answers(output, joined, metadata, of_rows)
    others = among[n_beside:][: len(answers)][::-1]
    tolerance = _ROUNDING * np.abs(answers).max()
    if np.abs(others - answers).max() > tolerance:
        raise ValueError(
            "estimator answers differently to a row of X when other rows stand beside "
            "it, so single rows cannot be explained. If it reads windows of rows, make "
            "them first and explain the network alone: lime_explain(pipeline[-1], "
            "pipeline[:-1].transform(X))."
        )


def _numbers_of_draws(num_samples, n_units: int) -> tuple[int, int]:
    """Return how many draws to make of a row at first, and at most."""
    if num_samples == "auto":
        fewest = max(_N_DRAWS, _N_DRAWS_OF_UNIT * n_units)
        return fewest, _MOST_TIMES * fewest
    # Draws come in pairs, and a pair tells what one draw does of the linear part.
    needed = 2 * n_units + 3
    if num_samples < needed:
        raise ValueError(
            f"num_samples={num_samples} are too few to tell {n_units} units apart; at "
            f"least {needed} are needed."
        )
    return num_samples - 1, num_samples - 1  # the row itself is a sample too


def _draw_until_stable(rows, output, around: list, limit: int, metadata) -> None:
    """Draw around rows, of as many at a time as have no more draws than the limit."""
    waiting = around[::-1]
    while waiting:
        some: list[_Around] = []
        n_draws = 0
        while waiting and (not some or n_draws + waiting[-1].n_missing <= limit):
            some.append(waiting.pop())
            n_draws += some[-1].n_missing
        drawn = [a.draw(limit) for a in some]
        n_draws_of = [len(d.units) for d in drawn]
        of_rows = np.repeat([a.row for a in some], n_draws_of)
        joined = rows.join([d.content for d in drawn])
        answers = _answers(output, joined, metadata, of_rows)
        ends = np.cumsum(n_draws_of)
        for a, d, part in zip(some, drawn, np.split(answers, ends[:-1]), strict=True):
            a.learn(d, part)
        for a in some[::-1]:
            if a.n_missing:
                waiting.append(a)
            else:
                a.conclude()


def _describe(rows, names, output, answers, around, num_features):
    """Return what was found."""
    every = range(len(around))
    models = [a.model for a in around]
    weights = np.array([model.weights for model in models])
    effects = weights * [rows.in_units(row) for row in every]
    local_prediction = np.array([model.prediction for model in models])
    chosen = [a.chosen for a in around]
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
        prediction=answers[every, chosen],
        r2=np.array([model.r2 for model in models]),
        stability=np.array([a.stability for a in around]),
        num_samples=np.array([a.n_draws + 1 for a in around]),
        num_features=num_features,
        feature_names=rows.feature_names,
        **rows.drawing,
    )


def _as_objects(rows: list[list]) -> np.ndarray:
    """Return values of whatever type as an array, (n_rows, n_units)."""
    values = np.empty((len(rows), len(rows[0])), dtype=object)
    for place, row in zip(values, rows, strict=True):
        place[:] = row
    return values


def _advice(explanation: LimeExplanation) -> str:
    """Return what may help against a poor fit."""
    advice = ""
    if explanation.outputs_[0].startswith("P("):
        advice += " link='logit' explains log-odds, which may be."
    if explanation.kind == "table":
        advice += " A smaller spread looks nearer at numeric columns."
    return advice


def _warn_of_poor_fits(explanation: LimeExplanation) -> None:
    """Warn of rows near which the estimator is not linear."""
    poor = np.flatnonzero(explanation.r2_ < R2_TO_TRUST)
    if len(poor):
        worst = poor[explanation.r2_[poor].argmin()]
        warn(
            f"The local models of {len(poor)} of {len(explanation)} rows explain less "
            f"than half of how the estimator varies near them (R² is "
            f"{explanation.r2_[worst]:.2f} for row {explanation.rows_[worst]}): there "
            f"its answers are not a sum of effects.{_advice(explanation)}",
        )
