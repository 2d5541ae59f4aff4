"""Errors for wrong arguments, which name the public class and a remedy."""

from __future__ import annotations

import functools
import inspect

from skdeep._messages import did_you_mean

# Names of arguments in other libraries, and the remedy here.
_OTHER_LIBRARIES = {
    "epochs": "The number of epochs is the parameter max_iter of {cls}.",
    "n_epochs": "The number of epochs is the parameter max_iter of {cls}.",
    "validation_data": "Pass validation rows as X_val and y_val to fit.",
    "eval_set": "Pass validation rows as X_val and y_val to fit.",
    "lr": "The learning rate is the parameter learning_rate_init of {cls}.",
    "optimizer": "The optimizer is the parameter solver of {cls}.",
    "weight_decay": "The L2 penalty is the parameter alpha of {cls}.",
    "weights": "Pass the weights of rows as sample_weight to fit.",
    "weight": "Pass the weights of rows as sample_weight to fit.",
}


def explaining_arguments(method):
    """Decorate a method: errors for wrong arguments name the public class and a remedy.

    Python's own errors name the class that defines the method, which may be private.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        # Checked only after a TypeError: predicting one row must not pay for it.
        try:
            return method(self, *args, **kwargs)
        except TypeError:
            _check_arguments(self, method.__name__, signature, args, kwargs)
            raise

    return call


def _check_arguments(estimator, method: str, signature, args, kwargs) -> None:
    """Raise a TypeError that explains how arguments differ from a signature."""
    cls = type(estimator).__name__
    called = cls if method == "__init__" else f"{cls}.{method}"
    unknown = [name for name in kwargs if name not in signature.parameters]
    if unknown:
        hint = _hint(estimator, method, unknown[0], signature)
        text = f"{called}() has no argument {unknown[0]!r}. {hint}".rstrip()
        raise TypeError(text) from None
    try:
        signature.bind(estimator, *args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{called}(): {error}.") from None


def _hint(estimator, method: str, argument: str, signature) -> str:
    cls = type(estimator).__name__
    parameters = estimator._get_param_names()
    if method != "__init__" and argument in parameters:
        return f"It is a parameter of {cls}: pass {cls}({argument}=...)."
    if argument in _OTHER_LIBRARIES:
        return _OTHER_LIBRARIES[argument].format(cls=cls)
    names = [name for name in signature.parameters if name != "self"]
    return did_you_mean(argument, names)
