"""The output of an estimator that is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdeep.inspection._lime.user_input import equals_string
from skdeep.inspection._nested import innermost

MARGIN = "margin"
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Output:
    """The outputs of an estimator, and which of them is explained.

    Parameters
    ----------
    evaluate : callable
        Takes rows in the estimator's format and their metadata as keywords; returns
        an array of shape (n_rows, n_outputs).
    names : list of str
        A name for each output.
    chosen : int or None
        Position of the output to explain; None means the largest output of each row.
    """

    evaluate: Callable[..., np.ndarray]
    names: list[str]
    chosen: int | None

    def with_conversion(self, convert) -> Output:
        """Return an output that converts rows before it evaluates them."""
        return replace(
            self, evaluate=lambda X, **params: self.evaluate(convert(X), **params)
        )

    def with_names(self, n_outputs: int) -> Output:
        """Return the output with its names, once the number of outputs is known."""
        return self

    def chosen_for(self, outputs: np.ndarray) -> np.ndarray:
        """Return the position of the explained output of each row."""
        if self.chosen is None:
            return outputs.argmax(axis=1)
        return np.full(len(outputs), self.chosen)


@dataclass(frozen=True)
class FunctionOutput(Output):
    """The outputs of a function, whose number is known after the first call."""

    target: Any
    is_log_odds: bool

    def with_names(self, n_outputs: int) -> Output:
        """Return the output with a name for each value that the function returns."""
        names = self.names or [f"output {k}" for k in range(n_outputs)]
        if len(names) != n_outputs:
            raise ValueError(
                f"class_names must name the {n_outputs} outputs of the function, got "
                f"{len(names)}: {names}."
            )
        if not self.names and n_outputs == 1:
            names = ["prediction"]
        # The second of two outputs, as for classifiers.
        chosen = n_outputs - 1 if n_outputs <= 2 else None
        if self.target is not None:
            chosen = self._place(names)
        if self.is_log_odds:
            names = [f"log-odds of {name}" for name in names]
        return Output(self.evaluate, names, chosen)

    def _place(self, names: list) -> int:
        target = self.target
        if pd.api.types.is_scalar(target) and self.names and target in names:
            return names.index(target)
        is_place = isinstance(target, (int, np.integer)) and type(target) is not bool
        if not is_place or not 0 <= target < len(names):
            raise ValueError(
                f"target={target!r} must be one of the outputs {names} of the "
                "function, or the position of one."
            )
        return int(target)


def find_output(estimator, target, link: str, *, step=None, class_names=None) -> Output:
    """Return the output that ``target``, ``step`` and ``link`` select.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError, ValueError
        If the estimator does not have this output.
    """
    if is_function(estimator):
        _check_no_step(estimator, step)
        return _function_output(estimator, target, link, class_names)
    _check_estimator(estimator, class_names)
    if is_forecaster(estimator):
        _check_no_logit(link)
        return _forecast(estimator, target if step is None else (target, step))
    step = _check_step(estimator, step)
    if is_classifier(estimator):
        classes = _classes(estimator)
        if not (equals_string(target, MARGIN) and MARGIN not in classes):
            output = _probability(estimator, classes, target, step)
            return _log_odds(output) if link == "logit" else output
        _check_no_logit(link)
        return _margin(estimator, classes, step)
    _check_no_logit(link)
    return _prediction(estimator, target, step)


def is_function(estimator) -> bool:
    """Return whether this is a function of rows, not an estimator."""
    if isinstance(estimator, type) or hasattr(estimator, "predict"):
        return False
    if hasattr(estimator, "state_dict"):
        kind = type(estimator).__name__
        raise TypeError(
            f"estimator is a {kind}, a torch module, which takes tensors. Wrap it in "
            "ModuleClassifier or ModuleRegressor, or in a function that takes and "
            "returns arrays."
        )
    return callable(estimator)


def _check_estimator(estimator, class_names) -> None:
    """Raise if this is not a fitted estimator that can be explained."""
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(
            "estimator must be a fitted classifier or regressor, or a function of X, "
            f"got {estimator!r}."
        )
    check_is_fitted(estimator)
    if is_clusterer(estimator) or is_outlier_detector(estimator):
        raise TypeError(
            "estimator must be a classifier, regressor or forecaster, got "
            f"{type(estimator).__name__}, whose output is not additive."
        )
    if class_names is not None:
        raise ValueError(
            f"class_names={class_names!r} is for functions only; an estimator has "
            "classes_."
        )


def _check_no_logit(link: str) -> None:
    if link == "logit":
        raise ValueError("link='logit' needs the probabilities of a classifier.")


# -- steps of sequences ----------------------------------------------------------------


def _predicts_steps(estimator) -> bool:
    """Return whether an estimator predicts every step of a sequence."""
    return bool(getattr(innermost(estimator), "return_sequences", False))


def _check_no_step(estimator, step) -> None:
    if step is not None:
        name = getattr(estimator, "__name__", type(estimator).__name__)
        raise ValueError(
            f"step={step!r} is for forecasters and for networks that predict every "
            f"step (return_sequences=True); {name} makes one prediction per row."
        )


def _check_step(estimator, step) -> int | None:
    """Return the step to explain, or None if each row has a single prediction."""
    if not _predicts_steps(estimator):
        _check_no_step(estimator, step)
        return None
    if step is None:
        return -1
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
        raise ValueError(
            "step must be the position of a step, counted from 0, or backwards from "
            f"-1, got {step!r}."
        )
    return int(step)


def _select_step(predictions: np.ndarray, step: int | None) -> np.ndarray:
    """Return the predictions for one step of each sequence: (n, T, ...) -> (n, ...).

    Predictions for padding are NaN; the last step is the one before the padding.
    """
    if step is None:
        return predictions
    # Networks return NaN for padding, whose length differs from sequence to sequence.
    there = ~np.isnan(predictions.reshape(*predictions.shape[:2], -1)).any(axis=2)
    lengths = there.sum(axis=1)
    places = lengths + step if step < 0 else np.full(len(predictions), step)
    wrong = (places < 0) | (places >= lengths)
    if wrong.any():
        raise ValueError(
            f"step={step} is out of range: a sequence in X has only "
            f"{lengths[np.argmax(wrong)]} steps."
        )
    return predictions[np.arange(len(predictions)), places]


def _add_step_to_name(name: str, step: int | None) -> str:
    if step is None:
        return name
    return f"{name}, last step" if step == -1 else f"{name}, step {step}"


# -- functions -------------------------------------------------------------------------


def _function_output(function, target, link: str, class_names) -> FunctionOutput:
    """Return the output of a function: (n_rows,) or (n_rows, n_outputs)."""
    if class_names is not None and np.ndim(class_names) != 1:
        raise ValueError(f"class_names must be a list of names, got {class_names!r}.")

    def evaluate(X, **params):
        outputs = _to_floats(function(X, **params), X, "the function")
        outputs = outputs[:, np.newaxis] if outputs.ndim == 1 else outputs
        return (
            _to_log_odds(_check_unit_interval(outputs)) if link == "logit" else outputs
        )

    names = [] if class_names is None else list(class_names)
    return FunctionOutput(evaluate, names, None, target, link == "logit")


def _to_floats(outputs, X, what: str) -> np.ndarray:
    """Return what ``what`` has returned as floats, one row of them for each row."""
    try:
        numbers = np.asarray(outputs, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"estimator must return numbers, got {short(outputs)} from {what}: {error}"
        ) from error
    n_rows = _num_samples(X)
    if numbers.ndim not in (1, 2) or len(numbers) != n_rows or 0 in numbers.shape:
        raise ValueError(
            f"estimator must return an array of shape ({n_rows},) or ({n_rows}, "
            f"n_outputs) for {n_rows} rows, got {numbers.shape} from {what}."
        )
    return numbers


def _check_unit_interval(outputs: np.ndarray) -> np.ndarray:
    """Return probabilities; raise if they are not between 0 and 1."""
    wrong = (outputs < 0) | (outputs > 1)
    if wrong.any():
        raise ValueError(
            "link='logit' needs probabilities, but the function returns "
            f"{outputs[wrong][0]:g}."
        )
    return outputs


def is_forecaster(estimator) -> bool:
    """Return whether an estimator forecasts several steps from windows of rows."""
    return hasattr(estimator, "backtest") and hasattr(estimator, "horizon")


def _classes(classifier) -> list:
    """Return the classes of a classifier with a single output."""
    if not hasattr(classifier, "classes_"):
        raise TypeError(
            f"estimator must have classes_, but {type(classifier).__name__} has none. "
            "Pass a function, such as its predict_proba."
        )
    if isinstance(classifier.classes_, list):
        raise TypeError(
            f"estimator must predict a single output; {type(classifier).__name__} "
            f"predicts {len(classifier.classes_)}."
        )
    return list(classifier.classes_)


def _margin(estimator, classes: list, step: int | None) -> Output:
    """Return the output of ``decision_function``."""
    if not hasattr(estimator, "decision_function"):
        raise TypeError(
            "target='margin' explains decision_function, which "
            f"{type(estimator).__name__} does not have."
        )

    is_binary = len(classes) <= 2
    names = [MARGIN] if is_binary else [f"margin of {label}" for label in classes]
    names = [_add_step_to_name(name, step) for name in names]

    def evaluate(X, **params):
        margins = np.asarray(estimator.decision_function(X, **params), np.float64)
        margins = _select_step(margins, step)
        margins = margins.reshape(len(margins), -1)
        # Three classes have three pairs: the number of columns alone does not tell.
        is_by_pairs = getattr(estimator, "decision_function_shape", "") == "ovo"
        if margins.shape[1] != len(names) or (is_by_pairs and not is_binary):
            raise ValueError(
                "target='margin' needs one margin per class; decision_function of "
                f"{type(estimator).__name__} returns {margins.shape[1]} for "
                f"{len(classes)} classes."
            )
        return margins

    return Output(evaluate, names, 0 if is_binary else None)


def _probability(estimator, classes: list, target, step: int | None) -> Output:
    """Return the probabilities of the classes."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba to explain. Use "
            "target='margin' to explain its decision_function, if it has one."
        )

    def evaluate(X, **params):
        chances = np.asarray(estimator.predict_proba(X, **params), dtype=np.float64)
        chances = _select_step(chances, step)
        if chances.ndim != 2 or chances.shape[1] != len(classes):
            raise ValueError(
                f"estimator must return a probability for each of the {len(classes)} "
                f"classes, got shape {chances.shape} from predict_proba of "
                f"{type(estimator).__name__}."
            )
        return chances

    names = [_add_step_to_name(f"P({label})", step) for label in classes]
    if target is None:
        # Always the second of two classes, so that rows can be compared.
        return Output(evaluate, names, None if len(classes) > 2 else len(classes) - 1)
    is_label = pd.api.types.is_scalar(target) and not pd.isna(target)
    if not is_label or target not in classes:
        raise ValueError(
            f"target={target!r} is not one of the classes "
            f"{estimator.classes_.tolist()}."
        )
    return Output(evaluate, names, classes.index(target))


def _log_odds(probability: Output) -> Output:
    """Return the log-odds of the classes, in which many classifiers are additive."""

    def evaluate(X, **params):
        return _to_log_odds(probability.evaluate(X, **params))

    # "P(up), last step" -> "log-odds of up, last step"
    parts = [name[2:].rpartition(")") for name in probability.names]
    names = [f"log-odds of {label}{rest}" for label, _, rest in parts]
    return Output(evaluate, names, probability.chosen)


def _to_log_odds(chances: np.ndarray) -> np.ndarray:
    # float32 hardly distinguishes values beyond these from 0 and 1, whose log-odds are
    # infinite.
    chances = chances.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(chances) - np.log1p(-chances)


def _prediction(estimator, target, step: int | None) -> Output:
    """Return the output of a regressor."""

    def evaluate(X, **params):
        predictions = _as_numbers(estimator.predict(X, **params), estimator)
        predictions = _select_step(predictions, step)
        outputs = predictions.reshape(len(predictions), -1)
        if target is None and outputs.shape[1] > 1:
            raise ValueError(
                f"{type(estimator).__name__} predicts {outputs.shape[1]} targets: set "
                "target to the position of one."
            )
        if target is not None and target >= outputs.shape[1]:
            raise ValueError(
                f"target={target} is out of range: {type(estimator).__name__} "
                f"predicts {outputs.shape[1]} targets."
            )
        return outputs[:, [target or 0]]

    if target is not None:
        _check_position("target", target)
    name = "prediction" if target is None else f"prediction of target {target}"
    return Output(evaluate, [_add_step_to_name(name, step)], 0)


def _as_numbers(predictions, estimator) -> np.ndarray:
    """Return the predictions of a regressor as numbers."""
    try:
        return np.asarray(predictions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"estimator={type(estimator).__name__} predicts {short(predictions[0])}, "
            "which is not a number. Pass a function of X that returns the number to "
            "explain, such as the log-probability of a prediction."
        ) from error


def _check_position(name: str, value) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(
            f"{name} must be the position of a target of the regressor, got {value!r}."
        )


def _forecast(forecaster, target) -> Output:
    """Return one step of the forecast that follows each window."""
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
    place = _target_position(column, names)

    def evaluate(windows, **params):
        if params:
            raise ValueError(f"params={list(params)} cannot be used with a forecaster.")
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


def _target_position(target, names: list) -> int:
    """Return the position of a target given by name, or of the only target."""
    if target is None and len(names) == 1:
        return 0
    is_name = pd.api.types.is_scalar(target) and not pd.isna(target)
    if is_name and target in names:
        return names.index(target)
    raise ValueError(f"target={target!r} is not one of the targets {names}.")


def _paths_after(forecaster, windows: np.ndarray) -> np.ndarray:
    """Return the forecasts after windows, (n_windows, horizon, n_targets), in one call.

    The windows are joined to one series, each followed by ``horizon`` rows. Only
    forecasters with ``known_columns`` read these rows, and their windows include them.
    """
    length = forecaster.window + forecaster.horizon
    # With known_columns the windows include the future rows already.
    missing = length - windows.shape[1]
    windows = np.pad(windows, [(0, 0), (0, missing), (0, 0)], mode="edge")
    series = windows.reshape(-1, windows.shape[2])
    if hasattr(forecaster, "feature_names_in_"):
        series = pd.DataFrame(series, columns=forecaster.feature_names_in_)
    return forecaster.backtest(series, stride=length)
