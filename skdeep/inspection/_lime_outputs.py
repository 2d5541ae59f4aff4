"""Which output of an estimator is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.utils.validation import check_is_fitted

MARGIN = "margin"
_LEAST_CHANCE = 1e-6


@dataclass(frozen=True)
class Output:
    """What is explained of an estimator.

    Parameters
    ----------
    evaluate : callable
        Takes rows as the estimator does; returns (n_rows, n_outputs).
    names : list of str
        A name for each output.
    chosen : int or None
        The output to explain; None means the largest one of each row.
    """

    evaluate: Callable[[Any], np.ndarray]
    names: list[str]
    chosen: int | None

    def of(self, convert) -> Output:
        """Return this output of rows that are converted first."""
        return replace(self, evaluate=lambda X: self.evaluate(convert(X)))

    def of_rows(self, outputs: np.ndarray) -> np.ndarray:
        """Return which output is explained of each row, given their outputs."""
        if self.chosen is None:
            return outputs.argmax(axis=1)
        return np.full(len(outputs), self.chosen)


def find_output(estimator, target, link: str) -> Output:
    """Return what ``target`` and ``link`` mean for an estimator.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError, ValueError
        If it has no such output.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(
            f"estimator must be a fitted classifier or regressor, got {estimator!r}."
        )
    check_is_fitted(estimator)
    if is_clusterer(estimator) or is_outlier_detector(estimator):
        raise TypeError(
            f"estimator must be a classifier, regressor or forecaster, got "
            f"{type(estimator).__name__}, whose answers are not to be added up."
        )
    if is_classifier(estimator):
        classes = _classes(estimator)
        if not (_is_label(target, MARGIN) and MARGIN not in classes):
            output = _probability(estimator, classes, target)
            return _log_odds(output) if link == "logit" else output
    if link == "logit":
        raise ValueError("link='logit' is for the probabilities of a classifier.")
    if is_classifier(estimator):
        return _margin(estimator, classes)
    if is_forecaster(estimator):
        return _forecast(estimator, target)
    return _prediction(estimator, target)


def is_forecaster(estimator) -> bool:
    """Return whether an estimator forecasts whole paths from windows of rows."""
    return hasattr(estimator, "backtest") and hasattr(estimator, "horizon")


def _classes(classifier) -> list:
    """Return the classes that a classifier chooses between."""
    if isinstance(classifier.classes_, list):
        raise TypeError(
            f"estimator must answer a single question; {type(classifier).__name__} "
            f"answers {len(classifier.classes_)} at once."
        )
    return list(classifier.classes_)


def _is_label(value, label) -> bool:
    """Return whether a value, of whatever type, is a label."""
    return isinstance(value, str) and value == label


def _margin(estimator, classes: list) -> Output:
    """Explain how far the decision is from turning."""
    if not hasattr(estimator, "decision_function"):
        raise TypeError(
            f"target='margin' explains decision_function, which "
            f"{type(estimator).__name__} does not have."
        )

    is_binary = len(classes) <= 2
    names = [MARGIN] if is_binary else [f"margin of {label}" for label in classes]

    def evaluate(X):
        margins = np.asarray(estimator.decision_function(X), dtype=np.float64)
        margins = margins.reshape(len(margins), -1)
        is_by_pairs = getattr(estimator, "decision_function_shape", "") == "ovo"
        if margins.shape[1] != len(names) or (is_by_pairs and not is_binary):
            raise ValueError(
                f"target='margin' needs one margin a class; decision_function of "
                f"{type(estimator).__name__} gives {margins.shape[1]} for the "
                f"{len(classes)} classes."
            )
        return margins

    return Output(evaluate, names, 0 if is_binary else None)


def _probability(estimator, classes: list, target) -> Output:
    """Explain the probability of a class."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba to explain. "
            "target='margin' explains its decision_function, if it has one."
        )

    def evaluate(X):
        return np.asarray(estimator.predict_proba(X), dtype=np.float64)

    names = [f"P({label})" for label in classes]
    if target is None:
        # Of two classes always the same, so that rows can be compared.
        return Output(evaluate, names, None if len(classes) > 2 else len(classes) - 1)
    is_label = pd.api.types.is_scalar(target) and not pd.isna(target)
    if not is_label or target not in classes:
        raise ValueError(
            f"target={target!r} is none of the classes {estimator.classes_.tolist()}."
        )
    return Output(evaluate, names, classes.index(target))


def _log_odds(probability: Output) -> Output:
    """Explain log-odds, in which many classifiers are sums."""

    def evaluate(X):
        # Beyond these a float32 knows no difference from 0 and 1.
        chances = probability.evaluate(X).clip(_LEAST_CHANCE, 1 - _LEAST_CHANCE)
        return np.log(chances) - np.log1p(-chances)

    names = [f"log-odds of {name[2:-1]}" for name in probability.names]
    return Output(evaluate, names, probability.chosen)


def _prediction(estimator, target) -> Output:
    """Explain what a regressor predicts."""

    def evaluate(X):
        predictions = np.asarray(estimator.predict(X), dtype=np.float64)
        outputs = predictions.reshape(len(predictions), -1)
        if target is None and outputs.shape[1] > 1:
            raise ValueError(
                f"{type(estimator).__name__} predicts {outputs.shape[1]} targets: "
                "target must be the position of one."
            )
        if target is not None and target >= outputs.shape[1]:
            raise ValueError(
                f"target={target} is beyond the {outputs.shape[1]} targets that "
                f"{type(estimator).__name__} predicts."
            )
        return outputs[:, [target or 0]]

    if target is not None:
        _check_position("target", target)
    name = "prediction" if target is None else f"prediction of target {target}"
    return Output(evaluate, [name], 0)


def _check_position(name: str, value) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(
            f"{name} of a regressor must be the position of a target, got {value!r}."
        )


def _forecast(forecaster, target) -> Output:
    """Explain one step of the path that follows a window."""
    if not isinstance(target, tuple):
        target = (target, forecaster.horizon)
    column, step = target if len(target) == 2 else (None, 0)
    is_count = isinstance(step, (int, np.integer)) and not isinstance(step, bool)
    if not is_count or not 1 <= step <= forecaster.horizon:
        raise ValueError(
            f"target={target!r} must be a target, or (target, step) with a step from 1 "
            f"to horizon={forecaster.horizon}."
        )
    names = _forecast_names(forecaster)
    place = _find(column, names)

    def evaluate(windows):
        return _paths_after(forecaster, windows)[:, step - 1, [place]]

    steps = "1 step" if step == 1 else f"{step} steps"
    return Output(evaluate, [f"{names[place]}, {steps} ahead"], 0)


def _forecast_names(forecaster) -> list:
    """Return the names of the targets, or their positions."""
    columns = forecaster.target_columns_
    if not columns:
        return list(range(forecaster.n_outputs_))
    if hasattr(forecaster, "feature_names_in_"):
        return [forecaster.feature_names_in_[column] for column in columns]
    return list(columns)


def _find(target, names: list) -> int:
    """Return the position of a target that is given by name, or of the only one."""
    if target is None and len(names) == 1:
        return 0
    is_name = pd.api.types.is_scalar(target) and not pd.isna(target)
    if is_name and target in names:
        return names.index(target)
    raise ValueError(f"target={target!r} is none of the targets {names}.")


def _paths_after(forecaster, windows: np.ndarray) -> np.ndarray:
    """Return the paths after windows, (n_windows, horizon, n_targets), in one call.

    The windows become one series, each followed by ``horizon`` rows. Nothing reads
    these but a forecaster with ``known_columns``, whose windows come with them.
    """
    length = forecaster.window + forecaster.horizon
    missing = length - windows.shape[1]
    windows = np.pad(windows, [(0, 0), (0, missing), (0, 0)], mode="edge")
    series = windows.reshape(-1, windows.shape[2])
    if hasattr(forecaster, "feature_names_in_"):
        series = pd.DataFrame(series, columns=forecaster.feature_names_in_)
    return forecaster.backtest(series, stride=length)
