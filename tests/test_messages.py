"""Warnings at the user's line, parameter errors, file names."""

import os
import pickle
import warnings

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import LSTMRegressor, MLPClassifier, MLPRegressor, SlidingWindow

# Private: not in skdeep.__all__; users filter by its base class in scikit-learn.
from skdeep._versions import SkdeepVersionWarning
from skdeep.callbacks import Checkpoint

X = np.random.RandomState(0).normal(size=(40, 3))
y = np.arange(40) % 2

SMALL = MLPClassifier((2,), max_iter=1, batch_size=50)


def cross_validated():
    return cross_val_score(SMALL, X, y, cv=2)


CALLS = {
    "fit": (lambda: SMALL.fit(X, y), ConvergenceWarning),
    "partial_fit": (lambda: SMALL.partial_fit(X, y, classes=[0, 1]), UserWarning),
    "lbfgs": (
        lambda: MLPRegressor(solver="lbfgs", max_iter=1).fit(X, X @ [1, 2, 3]),
        ConvergenceWarning,
    ),
    "a column as y": (lambda: SMALL.fit(X, y[:, None]), DataConversionWarning),
    "cross-validation": (cross_validated, ConvergenceWarning),
    "pipeline": (
        lambda: make_pipeline(StandardScaler(), SMALL).fit(X, y),
        ConvergenceWarning,
    ),
    "window": (lambda: SlidingWindow(1000).fit(X), UserWarning),
}


@pytest.mark.parametrize("name", CALLS)
def test_warnings_point_at_the_users_line(name):
    function, category = CALLS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    assert category in {warning.category for warning in caught}
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("library", ["pickle", "joblib", "skops"])
def test_loading_a_model_of_another_release_warns_at_the_users_line(
    library, monkeypatch, tmp_path
):
    path = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr("skdeep._versions.__version__", "0.0.1")
        if library == "pickle":
            path.write_bytes(pickle.dumps(SMALL))
        elif library == "joblib":
            joblib.dump(SMALL, path)
        else:
            skops.io.dump(SMALL, path)
    with pytest.warns(SkdeepVersionWarning, match="was saved with skdeep 0.0.1") as log:
        if library == "pickle":
            pickle.loads(path.read_bytes())
        elif library == "joblib":
            joblib.load(path)
        else:
            trusted = skops.io.get_untrusted_types(file=path)
            skops.io.load(path, trusted=trusted)
    assert [warning.filename for warning in log] == [__file__]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "ReLU"}, r"among {'elu', 'gelu', 'identity', .* Did you mean"),
        ({"activation": "ReLU"}, "Did you mean 'relu'"),
        ({"solver": "Adam"}, "or a callable. .*Did you mean 'adam'"),
        ({"weight_init": "He normal"}, "Did you mean 'he_normal'"),
        ({"activation": "sigmoid"}, "Did you mean 'logistic'"),
        ({"loss": "cross_entropy"}, "Did you mean 'log_loss'"),
        ({"learning_rate": 0.01}, "Got 0.01 instead. .* learning_rate_init"),
        ({"alpha": 10**400}, "'alpha' .* an int of more than 64 bits"),
    ],
)
def test_misspelled_parameters_get_a_suggestion(parameters, message):
    with pytest.raises(InvalidParameterError, match=message):
        MLPClassifier(**parameters).fit(X, y)


def test_dissimilar_names_are_not_suggested():
    with pytest.raises(InvalidParameterError, match=r"Got 'ctc' instead\.$"):
        MLPRegressor(loss="ctc").fit(X, y)
    with pytest.raises(InvalidParameterError, match="Did you mean 'squared_error'"):
        MLPRegressor(loss="mse").fit(X, y)


def test_parameters_of_transformers():
    with pytest.raises(InvalidParameterError, match="{'auto', 'pad', 'train'}.*'pad'"):
        SlidingWindow(context="Pad").fit(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_are_checked_in_every_call(method):
    model = LSTMRegressor(hidden_size=2, max_iter=1).partial_fit(X, y)
    with pytest.raises(InvalidParameterError, match="'beta_2' parameter of LSTMR"):
        getattr(model.set_params(beta_2="high"), method)(X, y)


def test_invalid_file_names(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in {
        "a" * 3000: "too long",
        tmp_path: "a folder",
        "/dev/null": "a device or a pipe",
        tmp_path / "pipe": "a device or a pipe",
        "a\0b": "null byte",
        "  ": "must name a file",
    }.items():
        with pytest.raises(
            ValueError, match=f"^path must name a file.*{message}|^path"
        ):
            Checkpoint(path)
    for path in (3, None, b"file"):
        with pytest.raises((TypeError, ValueError), match="^path must"):
            Checkpoint(path)


def test_valid_file_names(tmp_path):
    (tmp_path / "there").touch()
    Checkpoint(tmp_path / "there")
    Checkpoint(str(tmp_path / "not there"))
