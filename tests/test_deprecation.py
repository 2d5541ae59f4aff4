"""Deprecated functions, classes and parameters."""

import inspect
import pickle
import warnings

import pytest
from sklearn.base import BaseEstimator, clone

# Private: nothing public is deprecated at present.
from skdeep._deprecation import deprecated, renamed_parameters


@deprecated("new_function", removed_in="9.0")
def old_function(x, y=2):
    """Add."""
    return x + y


@deprecated(removed_in="9.0")
class OldEstimator(BaseEstimator):
    def __init__(self, a=1):
        self.a = a


class Renamed(BaseEstimator):
    @renamed_parameters(removed_in="9.0", width="hidden_size")
    def __init__(self, hidden_size=3):
        self.hidden_size = hidden_size

    @renamed_parameters(removed_in="9.0", width="hidden_size")
    def set_params(self, **params):
        return super().set_params(**params)


def only_warning(function):
    """Return the result of a function and the message of its one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    (warning,) = caught
    assert warning.category is FutureWarning
    assert warning.filename == __file__
    return result, str(warning.message)


def test_deprecated_function():
    result, message = only_warning(lambda: old_function(1, y=3))
    assert result == 4
    assert message == (
        "old_function is deprecated and will be removed in skdeep 9.0. "
        "Use new_function instead."
    )
    assert old_function.__doc__ == "Add."
    assert list(inspect.signature(old_function).parameters) == ["x", "y"]


def test_deprecated_class():
    model, message = only_warning(lambda: OldEstimator(a=2))
    assert message == "OldEstimator is deprecated and will be removed in skdeep 9.0."
    assert isinstance(model, OldEstimator)
    assert model.get_params() == {"a": 2}
    assert only_warning(lambda: clone(model))[0].a == 2
    assert pickle.loads(pickle.dumps(model)).a == 2  # loading does not warn


def test_renamed_parameter():
    model, message = only_warning(lambda: Renamed(width=5))
    assert model.get_params() == {"hidden_size": 5}
    assert message == (
        "The parameter 'width' of Renamed.__init__ was renamed to 'hidden_size'; the "
        "old name will be removed in skdeep 9.0."
    )
    model, _ = only_warning(lambda: Renamed().set_params(width=7))
    assert model.hidden_size == 7


def test_new_name_does_not_warn():
    assert Renamed(hidden_size=4).hidden_size == 4
    assert Renamed(4).set_params(hidden_size=5).hidden_size == 5


def test_both_names_raise():
    with pytest.raises(TypeError, match="'hidden_size' and also 'width'"):
        Renamed(hidden_size=4, width=5)
