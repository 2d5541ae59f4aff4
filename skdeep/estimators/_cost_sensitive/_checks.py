"""Checks of the data, the folds and the wrapped classifier."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.validation import _check_y

from skdeep._input_checks import naming, tensor_to_numpy
from skdeep._messages import warn
from skdeep.encoding import (
    check_magnitude,
    check_no_missing_labels,
    check_row_weight,
    kind_of_labels,
)
from skdeep.estimators._cost_sensitive._strategies import (
    STRATEGIES,
    TrainingRows,
    is_network,
    split_last_step,
)


def check_class_labels(estimator, y) -> np.ndarray:
    """Return classes as an array, (n_samples,)."""
    y = tensor_to_numpy(y, "y")
    with naming("y"):
        if getattr(getattr(y, "dtype", None), "kind", "O") != "f":
            check_no_missing_labels(y)  # `_check_y` finds NaN in floats only
        y = _check_y(y, estimator=estimator)
        kind = kind_of_labels(y)
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"Unknown label type: {kind}. y must hold one class label per row."
        )
    return y


def check_cost_weight(sample_weight, X) -> np.ndarray | None:
    """Return the sample weights, (n_samples,), None if there are none."""
    if sample_weight is None:
        return None
    weight = check_row_weight(sample_weight, X)
    check_magnitude(weight, "sample_weight")
    return weight


def check_number_of_classes(classes: np.ndarray, owner: str, strategy: str) -> None:
    """Raise if a strategy does not support this number of classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{owner} needs at least two classes, but y holds only one class or none: "
            f"{classes.tolist()}."
        )
    if len(classes) > 2 and strategy in ("tuned", "auc"):
        raise ValueError(
            f"Only binary classification is supported by strategy={strategy!r}, but y "
            f"holds {len(classes)} classes. Use 'threshold', 'weighted' or 'direct'."
        )


def check_abstain_label(label, classes: np.ndarray) -> None:
    """Raise if a label for abstaining does not fit the classes."""
    known = classes.tolist()
    if not isinstance(label, (Real, str, bool, np.bool_)):
        raise TypeError(f"abstain_label must be a number or a str, got {label!r}.")
    if label in known:
        raise ValueError(f"abstain_label={label!r} is one of the classes.")
    is_text, classes_are_text = isinstance(label, str), isinstance(known[0], str)
    if isinstance(known[0], bool) or is_text != classes_are_text:
        raise ValueError(
            f"abstain_label={label!r} and the classes {known} must be all str or all "
            "numbers (not bool)."
        )


def check_predicts_probabilities(
    estimator, strategy: str, calibration: str | None, owner: str
) -> None:
    """Raise if a classifier has no probabilities; warn if they are distorted."""
    prefix, last = split_last_step(estimator)
    kind = type(last).__name__
    keeps_loss = strategy not in STRATEGIES or not STRATEGIES[strategy].loss
    if keeps_loss and not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"estimator={kind} has no predict_proba, which strategy={strategy!r} "
            "needs. Wrap it in scikit-learn's CalibratedClassifierCV."
        )
    if calibration is not None:
        return
    distorting = {"class_weight": getattr(last, "class_weight", None)}
    if keeps_loss and getattr(last, "loss", None) == "expected_cost":
        distorting["loss"] = last.loss
    for name, value in distorting.items():
        if value is not None:
            warn(
                f"{prefix}{name}={value!r} of {kind} distorts its probabilities, "
                f"which the decisions need. Set the costs in {owner} only, or set "
                "calibration.",
            )


def make_folds(
    cv, rows: TrainingRows, estimator, strategy: str, rng, split_params: dict
) -> list:
    """Return the training and the held-out rows of each fold, as positions."""
    splitter = cv
    if cv is None:
        n_folds = 5 if is_network(estimator) else 10
        rarest = int(np.bincount(rows.labeled.codes).min())
        if rarest < 2:
            raise ValueError(
                f"strategy={strategy!r} needs cross-validation, but y holds a class "
                "with one row only. Use 'threshold' without calibration."
            )
        # An int seed: folds must be the same if the splitter is called again.
        seed = rng.randint(np.iinfo(np.int32).max)
        splitter = StratifiedKFold(
            min(rarest, n_folds), shuffle=True, random_state=seed
        )
    splitter = check_cv(splitter, rows.y, classifier=True)
    positions = np.arange(len(rows.y))
    with naming("cv"):
        folds = [
            (positions[train], positions[test])
            for train, test in splitter.split(rows.X, rows.y, **split_params)
        ]
    if not folds or any(len(test) == 0 for _, test in folds):
        raise ValueError(f"cv={cv!r} yields no folds, or a fold without test rows.")
    for number, (train, _) in enumerate(folds):
        found = np.unique(rows.y[train]).tolist()
        # Classifiers fit a single class without complaint, and then have one
        # probability.
        if len(found) < 2:
            raise ValueError(
                f"The training rows of fold {number} of cv must hold at least two "
                f"classes, got {found}."
            )
    return folds
