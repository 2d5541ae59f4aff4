"""Search spaces: from `param_distributions` to the parameters of a trial."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from scipy.stats import rv_continuous, rv_discrete

# Quantiles are sampled from [_TAIL, 1 - _TAIL], as those of 0 and 1 may be infinite.
_TAIL = 1e-6
# Labels of choices are cut at this length.
_LONGEST_LABEL = 40
# Maximum number of names to suggest.
_N_SUGGESTIONS = 3
# Parameters that hold the estimator in meta-estimators.
_INNER = ("estimator", "regressor")


@dataclass
class Suggestion:
    """The parameters of a trial.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    values : dict
        The values that Optuna stores for them.
    distributions : dict
        The distributions of the values.
    system_attrs : dict
        Attributes stored by the sampler.
    outside : list of str
        Parameters whose values are not in the search space.
    """

    params: dict
    values: dict = field(default_factory=dict)
    distributions: dict = field(default_factory=dict)
    system_attrs: dict = field(default_factory=dict)
    outside: list = field(default_factory=list)


def suggest(trial, name: str, distribution: Any):
    """Ask a trial for a value."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    ask = (
        trial.suggest_float
        if isinstance(distribution, FloatDistribution)
        else trial.suggest_int
    )
    low, high = distribution.low, distribution.high
    return ask(name, low, high, step=distribution.step, log=distribution.log)


# -- one parameter ---------------------------------------------------------------------


class _NumberEntry:
    """A range of numbers."""

    def __init__(self, name: str, distribution):
        self.key, self.distribution = name, distribution

    def decode(self, value):
        """Return the parameter for a value of Optuna's."""
        return value

    def encode(self, value):
        """Return Optuna's value for a parameter; raise ValueError if it has none."""
        kind = Integral if isinstance(self.distribution, IntDistribution) else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError
        low, high, step = (getattr(self.distribution, n) for n in _BOUNDS)
        if not low <= value <= high:
            raise ValueError
        # Rounding may leave a remainder of almost 0 or almost a step.
        if step is not None and not np.isclose((value - low) % step, [0, step]).any():
            raise ValueError
        return float(value) if kind is Real else int(value)  # type: ignore

    def describe(self) -> str:
        """Return a text that identifies the range."""
        return distribution_to_json(self.distribution)


_BOUNDS = ("low", "high", "step")


class _ChoiceEntry(_NumberEntry):
    """One of several values of any type; Optuna stores labels for those it cannot."""

    def __init__(self, name: str, choices: Iterable):
        self.choices = list(choices)
        if not self.choices:
            raise ValueError(
                f"param_distributions[{name!r}] has no values to choose from."
            )
        self.labels = _choice_labels(self.choices)
        super().__init__(name, CategoricalDistribution(self.labels))

    def decode(self, value):
        return self.choices[self._position(value, self.labels)]

    def encode(self, value):
        return self.labels[self._position(value, self.choices)]

    @staticmethod
    def _position(value, among) -> int:
        for position, other in enumerate(among):
            if other is value or (type(other) is type(value) and _equal(other, value)):
                return position
        raise ValueError


class _QuantileEntry(_NumberEntry):
    """A distribution that Optuna lacks; Optuna samples its quantile."""

    def __init__(self, name: str, frozen):
        self.frozen = frozen
        self.is_discrete = not hasattr(frozen, "pdf") and not hasattr(frozen, "icdf")
        # scipy's older distributions have ppf, its newer ones icdf.
        self.inverse = frozen.ppf if hasattr(frozen, "ppf") else frozen.icdf
        _finite_range(name, lambda: self.inverse(np.array([_TAIL, 1 - _TAIL])))
        super().__init__(f"{name} (quantile)", FloatDistribution(_TAIL, 1 - _TAIL))

    def decode(self, value):
        drawn = float(self.inverse(value))
        return int(drawn) if self.is_discrete and drawn.is_integer() else drawn

    def encode(self, value):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError
        return super().encode(float(self.frozen.cdf(value)))

    def describe(self) -> str:
        frozen = self.frozen
        if not hasattr(frozen, "args"):
            return _short_repr(frozen)
        return repr((frozen.dist.name, frozen.args, sorted(frozen.kwds.items())))


def _equal(one, other) -> bool:
    """Check whether two objects are equal; they may be arrays."""
    try:
        return bool(np.all(one == other))
    except (TypeError, ValueError):
        return False


def _choice_labels(choices: list) -> list:
    """Return the values that Optuna stores for choices: plain ones, or labels."""
    plain = (type(None), bool, int, float, str)
    different = len({repr(choice) for choice in choices}) == len(choices)
    if all(type(choice) in plain for choice in choices) and different:
        return choices
    texts = [_short_repr(choice) for choice in choices]
    if len(set(texts)) == len(texts) and max(map(len, texts)) <= _LONGEST_LABEL:
        return texts
    return [f"{i}: {text}"[:_LONGEST_LABEL] for i, text in enumerate(texts)]


def _short_repr(value) -> str:
    """Return a short text for a value, the same in every process."""
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    text = " ".join(repr(value).split())
    return type(value).__name__ if " at 0x" in text else text


def _scipy_entry(name: str, frozen):
    """Return the entry for a scipy distribution."""
    kind = getattr(getattr(frozen, "dist", None), "name", None)
    if kind == "uniform":
        low, high = _finite_range(name, frozen.support)
        return _NumberEntry(name, FloatDistribution(low, high))
    if kind in ("loguniform", "reciprocal") and not _scipy_loc(frozen):
        low, high = _finite_range(name, frozen.support)
        return _NumberEntry(name, FloatDistribution(low, high, log=True))
    if kind == "randint":
        first, last = map(int, _finite_range(name, frozen.support))
        return _NumberEntry(name, IntDistribution(first, last))
    return _QuantileEntry(name, frozen)


def _finite_range(name: str, find: Callable[[], Any]) -> tuple[float, float]:
    """Return the limits of a distribution; raise if they are not finite."""
    with np.errstate(invalid="ignore"):
        low, high = map(float, find())
    if not (np.isfinite([low, high]).all() and low <= high):
        raise ValueError(
            f"param_distributions[{name!r}] has no finite range of values: it reaches "
            f"from {low} to {high}. Check its parameters."
        )
    return low, high


def _freeze(name: str, family):
    """Return a scipy distribution with its default parameters; raise if it has none."""
    try:
        return family()
    except TypeError as error:
        raise TypeError(
            f"param_distributions[{name!r}] is a distribution without parameters: "
            f"scipy.stats.{family.name} needs {family.shapes}."
        ) from error


def _scipy_loc(frozen) -> float:
    """Return the shift of a loguniform distribution."""
    return frozen.args[2] if len(frozen.args) > 2 else frozen.kwds.get("loc", 0)


def _make_entry(name: str, given):
    """Return the entry for the distribution or the values of a parameter."""
    if isinstance(given, CategoricalDistribution):
        return _ChoiceEntry(name, given.choices)
    if isinstance(given, BaseDistribution):
        return _NumberEntry(name, given)
    if isinstance(given, rv_continuous | rv_discrete):
        # `scipy.stats.uniform` without a call; it has ppf, but no parameters.
        given = _freeze(name, given)
    if hasattr(given, "ppf") or hasattr(given, "icdf"):
        return _scipy_entry(name, given)
    is_text = isinstance(given, str | bytes)
    if isinstance(given, Mapping | set) or is_text or not np.iterable(given):
        raise TypeError(
            f"param_distributions[{name!r}] must be a list of values, an Optuna "
            f"distribution or a scipy distribution with `ppf`, got {given!r}."
        )
    return _ChoiceEntry(
        name, given.tolist() if isinstance(given, np.ndarray) else given
    )


# -- all parameters --------------------------------------------------------------------


class DictSpace:
    """A space of parameters that do not depend on each other.

    Parameters
    ----------
    given : dict
        For each parameter its distribution or values.
    estimator : estimator
        The estimator that has the parameters.
    """

    def __init__(self, given: Mapping, estimator):
        if not given:
            raise ValueError("param_distributions is empty.")
        _check_parameter_names(given, estimator)
        self.entries = {
            name: _make_entry(name, values) for name, values in given.items()
        }

    def __call__(self, trial) -> dict:
        """Return the parameters for a trial."""
        return {
            name: entry.decode(suggest(trial, entry.key, entry.distribution))
            for name, entry in self.entries.items()
        }

    def initial(self, estimator) -> Suggestion:
        """Return the estimator's current parameters."""
        current = estimator.get_params()
        suggestion = Suggestion(
            {name: current[name] for name in self.entries if name in current}
        )
        for name, entry in self.entries.items():
            try:
                suggestion.values[entry.key] = entry.encode(suggestion.params[name])
                suggestion.distributions[entry.key] = entry.distribution
            except (KeyError, ValueError):
                suggestion.outside.append(name)
        return suggestion

    def describe(self) -> str:
        """Return a text that identifies the space."""
        return json.dumps({n: e.describe() for n, e in sorted(self.entries.items())})


@dataclass
class CallableSpace:
    """A space defined by a function of the trial."""

    function: Callable[[Any], Mapping]

    def __call__(self, trial) -> dict:
        """Return the parameters for a trial."""
        params = self.function(trial)
        if not isinstance(params, Mapping):
            raise TypeError(
                "A callable param_distributions must return a dict of parameters, got "
                f"{params!r}."
            )
        for name in params:
            if not isinstance(name, str):
                raise TypeError(
                    "A callable param_distributions must return a dict with parameter "
                    f"names as keys, got {name!r}."
                )
        return dict(params)

    def initial(self, estimator) -> Suggestion:
        """Return the estimator's current parameters: no changes."""
        return Suggestion({}, outside=["*"])

    def describe(self) -> str:
        """Return a text that identifies the function."""
        return repr(_describe_function(self.function))


def _describe_function(function) -> tuple:
    """Return the name and code of a function, as far as they are known."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if not hasattr(function, "__code__"):
        function = type(function).__dict__.get("__call__", function)
    code = getattr(function, "__code__", None)
    return (name, *_code_parts(code)) if code is not None else (name,)


def _code_parts(code: types.CodeType) -> tuple:
    """Return the instructions and constants of a code object, with inner functions."""
    consts = [
        _code_parts(c) if isinstance(c, types.CodeType) else repr(c)
        for c in code.co_consts
    ]
    return code.co_code.hex(), tuple(consts), code.co_names


def _check_parameter_names(given: Mapping, estimator) -> None:
    """Raise if the estimator lacks a parameter."""
    known = estimator.get_params()
    for name in given:
        # If a step is searched too, its alternatives may have other parameters.
        if name in known or (
            isinstance(name, str) and any(name.startswith(f"{n}__") for n in given)
        ):
            continue
        raise ValueError(
            f"param_distributions has {name!r}, which is not a parameter of "
            f"{type(estimator).__name__}. {_suggest_names(str(name), list(known))}"
        )


def _suggest_names(name: str, known: list[str]) -> str:
    """Return a sentence with similar parameter names, or else with all names."""
    # By last part: the most frequent mistake is a missing or wrong step of a Pipeline.
    of_steps: dict[str, list[str]] = {}
    for other in known:
        of_steps.setdefault(other.rpartition("__")[2], []).append(other)
    last = name.rpartition("__")[2]
    similar = of_steps.get(last, [])
    if not similar:
        similar = difflib.get_close_matches(name, known, n=1)
        for other in difflib.get_close_matches(last, of_steps, n=1):
            similar = [*similar, *(m for m in of_steps[other] if m not in similar)]
    if similar:
        return f"Did you mean {' or '.join(map(repr, similar[:_N_SUGGESTIONS]))}?"
    own = sorted(other for other in known if "__" not in other)
    inner = ", and nested ones after '__'" if len(own) < len(known) else ""
    return f"Its parameters are {own}{inner}."


def default_space(estimator, prefix: str = "") -> dict:
    """Return the default space of the network inside an estimator; {} if none."""
    if hasattr(estimator, "default_search_space"):
        space = estimator.default_search_space()
        return {prefix + name: values for name, values in space.items()}
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        return default_space(last, f"{prefix}{name}__")
    for name in _INNER:
        inner = getattr(estimator, name, None)
        if inner is not None:
            return default_space(inner, f"{prefix}{name}__")
    return {}


def make_space(given, estimator) -> DictSpace | CallableSpace:
    """Return the search space that `param_distributions` defines."""
    if isinstance(given, type):
        # A class is callable too, but `dict` for `{}` is a likely slip.
        raise TypeError(
            "param_distributions must be 'auto', a dict or a function, got the class "
            f"{given.__name__}."
        )
    if callable(given):
        return CallableSpace(given)
    if isinstance(given, str):
        given = default_space(estimator)
        if not given:
            raise ValueError(
                "param_distributions='auto' needs a default search space, which "
                f"{type(estimator).__name__} does not have. Estimators of skdeep have "
                "one, also at the end of a Pipeline or inside CostSensitiveClassifier "
                "or TransformedTargetRegressor. Otherwise pass a dict of distributions."
            )
    return DictSpace(given, estimator)
