"""The checks of the contract, which go beyond those of scikit-learn."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import pickle
import pickletools
import random
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skdeep.testing._data import (
    COLUMN_NAMES,
    Data,
    assert_close,
    assert_equal,
    differ,
    fitted,
    make_data,
    named,
    predictions,
    seeded,
    takes_documents,
)

# Messages of scikit-learn about X and y that do not name them.
_UNNAMED_BY_SCIKIT_LEARN = (
    "inconsistent numbers of samples|requires y to be passed|could not convert string"
    "|Found array with 0 sample|Input contains NaN"
)


@contextlib.contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators, and restore them afterwards."""
    states = (
        np.random.get_state(),  # noqa: NPY002
        random.getstate(),
        torch.random.get_rng_state(),
    )
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        torch.random.set_rng_state(states[2])


def check_random_state_decides(estimator) -> None:
    """Equal seeds give bit-identical models, in any state of the global generators.

    With ``random_state=None`` numpy's global generator decides, and no other.
    """
    data = make_data(estimator)
    found = []
    for seed in (1, 2):
        with _global_generators(seed):
            found.append(predictions(fitted(estimator, data), data.X))
    assert_equal(found[0], found[1], "depends on a global generator")
    if "random_state" not in estimator.get_params():
        return
    found = []
    for seed in (1, 2):
        with _global_generators(seed):
            np.random.seed(0)  # noqa: NPY002
            model = seeded(estimator, None).fit(*data.arguments)
            found.append(predictions(model, data.X))
    what = "depends on a global generator that is not numpy's"
    assert_equal(found[0], found[1], what)


def check_refit_forgets(estimator) -> None:
    """A fit to other data leaves nothing behind: the next fit gives the same model."""
    data, other = make_data(estimator), make_data(estimator, seed=1)
    fresh = fitted(estimator, data)
    if not takes_documents(estimator):
        # With column names, which the next fit must forget.
        other = Data(named(other.X), other.y)
    again = fitted(estimator, other).fit(*data.arguments)
    assert_equal(
        predictions(again, data.X), predictions(fresh, data.X), "differs in a refit"
    )
    left = set(vars(again)) ^ set(vars(fresh))
    assert not left, f"a refit differs in the attributes {sorted(left)}"


def check_copies_answer_equally(estimator) -> None:
    """Pickles, joblib dumps and deep copies give bit-identical predictions."""
    data = make_data(estimator)
    model = fitted(estimator, data)
    expected = predictions(model, data.X)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    copies = {
        "pickled": pickle.loads(pickle.dumps(model)),
        "dumped by joblib": joblib.load(file),
        "copied": copy.deepcopy(model),
    }
    for how, each in copies.items():
        assert_equal(predictions(each, data.X), expected, f"differs after being {how}")
    # Unfitted, too: searches send estimators to other processes.
    pickle.loads(pickle.dumps(clone(estimator)))


def check_pickle_holds_no_tensor(estimator) -> None:
    """A pickle names no class of torch: it loads on a machine without a GPU."""
    data = make_data(estimator)
    model = fitted(estimator, data)
    predictions(model, data.X)  # may cache a network
    strings = {
        str(argument)
        for _, argument, _ in pickletools.genops(pickle.dumps(model))
        if isinstance(argument, str)
    }
    found = sorted(s for s in strings if s == "torch" or s.startswith("torch."))
    assert not found, f"the pickle names {found}"


def check_errors_name_the_argument(estimator) -> None:
    """Bad arguments raise a ValueError or TypeError that names the argument."""
    data = make_data(estimator)
    for argument, call in _bad_calls(estimator, data):
        try:
            call()
        except (TypeError, ValueError) as error:
            pattern = rf"\b{argument}\b|{_UNNAMED_BY_SCIKIT_LEARN}"
            assert re.search(pattern, str(error)), (
                f"the error does not name {argument}: {error}"
            )
        else:
            raise AssertionError(f"a bad {argument} was accepted")


def _bad_calls(estimator, data: Data) -> Iterator[tuple[str, Callable]]:
    """Yield names of arguments, each with a call in which it is wrong."""

    def fit(X=data.X, y=data.y, **options):
        return lambda: fitted(estimator, Data(X, y), **options)

    if takes_documents(estimator):
        yield "X", fit(X=[1.0, 2.0])
        yield "X", fit(X=b"bytes")
        return
    infinite, text = (
        _with_value(data.X, np.inf),
        _with_value(data.X.astype(object), "text"),
    )
    yield "X", fit(X=infinite)
    yield "X", fit(X=text)
    model = fitted(estimator, data)
    method = getattr(model, "predict", getattr(model, "transform", None))
    if method is not None:
        yield "X", lambda: method(infinite)
        yield "X", lambda: method(data.X[:, :-1])
        yield "X", lambda: method(data.X[:0])
    if data.y is None:
        return
    yield "y", fit(y=data.y[:-1])
    if get_tags(estimator).target_tags.required:
        yield "y", lambda: seeded(estimator).fit(data.X, None)
        yield "y", fit(y=_with_value(data.y, np.nan))
    if has_fit_parameter(estimator, "sample_weight"):
        weight = np.ones(len(data.X))
        yield "sample_weight", fit(sample_weight=_with_value(weight, -1.0))
        yield "sample_weight", fit(sample_weight=_with_value(weight, np.nan))
        yield "sample_weight", fit(sample_weight=weight[:-1])


def _with_value(values: np.ndarray, value) -> np.ndarray:
    """Return a copy in which one value is replaced."""
    changed = values.copy()
    # Not in the first row, the only one that some shortcuts look at.
    changed[(3,) * changed.ndim] = value
    return changed


def check_failed_fit_changes_nothing(estimator) -> None:
    """A fit that raises an error leaves the estimator unchanged, fitted or not."""
    data = make_data(estimator)
    bad: Any = [1.0, 2.0]
    if not takes_documents(estimator):
        bad = _with_value(data.X, np.inf)
    for model in (seeded(estimator), fitted(estimator, data)):
        before = dict(vars(model))
        is_fitted = _is_fitted(model)
        expected = predictions(model, data.X) if is_fitted else {}
        try:
            model.fit(*Data(bad, data.y).arguments)
        except (TypeError, ValueError):
            pass
        else:
            raise AssertionError("a bad X was accepted")
        changed = sorted(set(vars(model)) ^ set(before))
        assert not changed, f"a fit that failed has set or removed {changed}"
        if not is_fitted:
            assert not _is_fitted(model), "a fit that failed has left a fitted model"
        elif expected:
            now = predictions(model, data.X)
            assert_equal(now, expected, "differs after a fit that failed")


def _is_fitted(model) -> bool:
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def check_global_state_is_kept(estimator) -> None:
    """Fits and predictions change no generator, thread count, filter or argument."""
    data = make_data(estimator)
    given = copy.deepcopy(data)
    model = seeded(estimator)
    parameters = repr(model)
    # After cloning and printing, which are not what is checked.
    before = _global_state()
    model.fit(*data.arguments)
    predictions(model, data.X)
    after = _global_state()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"a fit or a prediction has changed {changed}"
    assert repr(model) == parameters, "a fit has changed the parameters"
    for name in ("X", "y"):
        np.testing.assert_array_equal(
            getattr(data, name), getattr(given, name), f"{name} was changed"
        )


def _global_state() -> dict[str, Any]:
    """Return the state of the process that a fit must not change."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "numpy's global generator": (name, tuple(keys), *rest),
        "Python's global generator": random.getstate(),
        "torch's global generator": torch.random.get_rng_state().tolist(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "numpy's handling of errors": np.geterr(),
        "scikit-learn's configuration": sklearn.get_config(),
        "the warning filters": list(warnings.filters),
        "the environment": dict(os.environ),
        "the current folder": os.getcwd(),
    }


def check_never_predicts_nan(estimator) -> None:
    """A fit that diverges raises an error, or keeps finite weights."""
    data = make_data(estimator)
    # So high that the first step overflows.
    options: dict[str, Any] = {"learning_rate_init": 1e20}
    parameters = estimator.get_params()
    if "solver" in parameters:
        options["solver"] = "sgd"
    for early_stopping in (False, True):
        if "early_stopping" in parameters:
            options["early_stopping"] = early_stopping
        model = clone(estimator).set_params(**options)
        try:
            model = fitted(model, data)
        except ValueError as error:
            message = "non-finite|diverge|finite numbers|too large"
            assert re.search(message, str(error)), (
                f"the error does not mention divergence: {error}"
            )
            continue
        for name, values in predictions(model, data.X).items():
            if values.dtype.kind == "f":
                assert np.isfinite(values).all(), f"{name} returns NaN or infinity"


def check_one_row_answers_as_in_a_batch(estimator) -> None:
    """The prediction for a row does not depend on the rows passed with it."""
    data = make_data(estimator)
    model = fitted(estimator, data)
    together = predictions(model, data.X)
    together.pop("sample", None)  # samples are no answers to rows
    for row in (0, len(data.X) - 1):
        alone = predictions(model, data.X[row : row + 1])
        expected = {name: values[row : row + 1] for name, values in together.items()}
        assert_close(alone, expected, f"differs for row {row} alone")


def check_data_frames(estimator) -> None:
    """Data frames give the same predictions as arrays; columns are matched by name."""
    data = make_data(estimator)
    frame = named(data.X)
    model = fitted(estimator, Data(frame, data.y))
    assert list(model.feature_names_in_) == COLUMN_NAMES
    expected = predictions(fitted(estimator, data), data.X)
    # To rounding: a data frame's columns, not its rows, lie together in memory.
    assert_close(predictions(model, frame), expected, "differs for a data frame")
    try:
        found = predictions(model, frame[COLUMN_NAMES[::-1]])
    except ValueError as error:
        assert "feature names" in str(error).lower(), f"unclear error: {error}"
    else:
        assert_close(found, expected, "depends on the order of named columns")


def check_sample_weight(estimator) -> None:
    """Weights of 1 change nothing; other weights do."""
    data = make_data(estimator)
    n_rows = len(data.X)
    plain = predictions(fitted(estimator, data), data.X)
    ones = predictions(fitted(estimator, data, sample_weight=np.ones(n_rows)), data.X)
    assert_close(ones, plain, "differs for weights of 1", rtol=1e-5)
    order = np.argsort(data.X[:, 0] if data.y is None else data.y)
    weight = np.where(np.argsort(order) < n_rows // 2, 5.0, 0.5)
    weighted = predictions(fitted(estimator, data, sample_weight=weight), data.X)
    assert differ(weighted, plain), "sample_weight has no effect"


def check_partial_fit_goes_on(estimator) -> None:
    """``partial_fit`` continues training, also after pickling."""
    data = make_data(estimator)
    options = {"classes": np.unique(data.y)} if is_classifier(estimator) else {}
    model = _without_early_stopping(estimator)
    model.partial_fit(*data.arguments, **options)
    first = predictions(model, data.X)
    loaded = pickle.loads(pickle.dumps(model))
    for each in (model, loaded):
        each.partial_fit(*data.arguments)
    second = predictions(model, data.X)
    assert differ(second, first), "a second partial_fit has no effect"
    assert_equal(
        predictions(loaded, data.X),
        second,
        "differs when a pickled model is trained further",
    )


def _without_early_stopping(estimator):
    """Return a seeded clone that does not restore earlier weights."""
    model = seeded(estimator)
    if "early_stopping" in model.get_params():
        model.set_params(early_stopping=False)
    return model


def check_warm_start_goes_on(estimator) -> None:
    """``warm_start`` continues the last fit; other numbers of columns are rejected."""
    data = make_data(estimator)
    model = _without_early_stopping(estimator).set_params(warm_start=True)
    model.fit(*data.arguments)
    first = predictions(model, data.X)
    model.fit(*data.arguments)
    assert differ(predictions(model, data.X), first), "warm_start has no effect"
    if takes_documents(estimator):
        return
    try:
        model.fit(*Data(data.X[:, :-1], data.y).arguments)
    except ValueError:
        return
    raise AssertionError("warm_start accepts another number of columns")


def check_set_output(estimator) -> None:
    """``set_output`` gives data frames with the index of X and named columns."""
    data = make_data(estimator)
    index = np.arange(100, 100 + len(data.X))
    X = data.X if takes_documents(estimator) else named(data.X).set_index(index)
    model = fitted(estimator, Data(X, data.y))
    expected = np.asarray(model.transform(X))
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame), f"transform returns {type(frame)}"
    assert list(frame.columns) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(frame.to_numpy(), expected)
    if not takes_documents(estimator):
        np.testing.assert_array_equal(frame.index, index)


def check_parallel_fits_are_equal(estimator) -> None:
    """Fits in threads give the same bits; in a population, the same to rounding."""
    data = make_data(estimator)
    has_probabilities = hasattr(fitted(estimator, data), "predict_proba")
    method = "predict_proba" if has_probabilities else "predict"

    def predicted(n_jobs: int) -> dict[str, np.ndarray]:
        model = seeded(estimator)
        found = cross_val_predict(
            model, *data.arguments, cv=2, n_jobs=n_jobs, method=method
        )
        return {method: found}

    expected = predicted(1)
    with joblib.parallel_config(backend="threading"):
        assert_equal(predicted(2), expected, "differs in threads")
    # A population adds up in another order.
    with joblib.parallel_config(backend="skdeep"):
        assert_close(predicted(2), expected, "differs in a population", rtol=1e-4)


def check_history(estimator) -> None:
    """``history_`` has a record for each epoch and agrees with the other attributes."""
    model = fitted(estimator)
    history = model.history_
    assert history, "history_ is empty"
    assert [record["epoch"] for record in history] == [*range(1, len(history) + 1)]
    losses = [record["train_loss"] for record in history]
    assert np.isfinite(losses).all(), f"the losses are {losses}"
    assert model.n_iter_ == len(history)
    assert list(model.loss_curve_) == losses


def check_float32_stays_float32(estimator) -> None:
    """Predictions for float32 X are float32, and float64 for float64 X."""
    data = make_data(estimator)
    for dtype in (np.float32, np.float64):
        X = data.X.astype(dtype)
        model = fitted(estimator, Data(X, data.y))
        for name, values in predictions(model, X).items():
            if values.dtype.kind == "f":
                assert values.dtype == dtype, f"{name} returns {values.dtype}"


# -- which checks apply ----------------------------------------------------------------


def _always(estimator) -> bool:
    return True


def _takes_rows(estimator) -> bool:
    return not takes_documents(estimator)


def _takes_weights(estimator) -> bool:
    return has_fit_parameter(estimator, "sample_weight")


def _has_learning_rate(estimator) -> bool:
    return "learning_rate_init" in estimator.get_params()


def _has_partial_fit(estimator) -> bool:
    return hasattr(estimator, "partial_fit")


def _has_warm_start(estimator) -> bool:
    return "warm_start" in estimator.get_params()


def _has_set_output(estimator) -> bool:
    # Transformers whose output is not a table opt out, with auto_wrap_output_keys=None.
    return "transform" in getattr(estimator, "_sklearn_auto_wrap_output_keys", ())


def _predicts(estimator) -> bool:
    return hasattr(estimator, "fit") and make_data(estimator).y is not None


def _is_network(estimator) -> bool:
    return hasattr(type(estimator), "module_")


def _is_network_of_rows(estimator) -> bool:
    return _is_network(estimator) and _takes_rows(estimator)


#: Each check, after a function that returns whether it applies to an estimator.
CHECKS: list[tuple[Callable[[Any], bool], Callable[[Any], None]]] = [
    (_always, check_random_state_decides),
    (_always, check_refit_forgets),
    (_always, check_copies_answer_equally),
    (_always, check_pickle_holds_no_tensor),
    (_always, check_errors_name_the_argument),
    (_always, check_failed_fit_changes_nothing),
    (_always, check_global_state_is_kept),
    (_has_learning_rate, check_never_predicts_nan),
    (_takes_rows, check_one_row_answers_as_in_a_batch),
    (_takes_rows, check_data_frames),
    (_takes_weights, check_sample_weight),
    (_has_partial_fit, check_partial_fit_goes_on),
    (_has_warm_start, check_warm_start_goes_on),
    (_has_set_output, check_set_output),
    (_predicts, check_parallel_fits_are_equal),
    (_is_network, check_history),
    (_is_network_of_rows, check_float32_stays_float32),
]
