"""Calls with arguments that a method has not: say what they are called here."""

from __future__ import annotations

import functools
import inspect

# What other libraries name, and what it is here.
_ELSEWHERE = {
    "epochs": "The number of epochs is the parameter max_iter of {cls}.",
    "n_epochs": "The number of epochs is the parameter max_iter of {cls}.",
    "validation_data": "Pass validation rows as X_val and y_val.",
    "eval_set": "Pass validation rows as X_val and y_val.",
    "lr": "The learning rate is the parameter learning_rate_init of {cls}.",
    "weights": "Pass the weights of rows as sample_weight.",
    "weight": "Pass the weights of rows as sample_weight.",
}


def explaining_arguments(method):
    """Decorate a method: errors of its arguments name the public class, and a remedy.

    Python's own names the class that the method is written in, which no user knows.
    """
    signature = inspect.signature(method)
    known = frozenset(signature.parameters)

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        if not known.issuperset(kwargs):
            unknown = next(name for name in kwargs if name not in known)
            raise TypeError(_unknown(self, method.__name__, unknown))
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            name = type(self).__name__
            raise TypeError(f"{name}.{method.__name__}(): {error}.") from None
        return method(self, *args, **kwargs)

    return call


def _unknown(estimator, method: str, argument: str) -> str:
    cls = type(estimator).__name__
    text = f"{cls}.{method}() has no argument {argument!r}."
    if argument in estimator._get_param_names():
        return f"{text} It is a parameter of {cls}: pass {cls}({argument}=...)."
    if argument in _ELSEWHERE:
        return f"{text} {_ELSEWHERE[argument].format(cls=cls)}"
    return text
