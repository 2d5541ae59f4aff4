"""What is searched: from `param_distributions` to the parameters of a trial."""

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

# The ends of (0, 1), where a quantile may be infinite, are left out.
_TAIL = 1e-6
# Longer texts say less than a position does.
_LONGEST_LABEL = 40
# Names to suggest in place of a wrong one.
_N_MEANT = 3
# Where estimators that wrap another one keep it.
_INNER = ("estimator", "regressor")


@dataclass
class Draw:
    """What is tried in a trial.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    values : dict
        The same as Optuna keeps it.
    distributions : dict
        What the values are drawn from.
    system_attrs : dict
        Notes of the sampler.
    outside : list of str
        Parameters with values that the space does not hold.
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


class _Numbers:
    """A range of numbers."""

    def __init__(self, name: str, distribution):
        self.key, self.distribution = name, distribution

    def decode(self, value):
        """Return the parameter that a value of Optuna's stands for."""
        return value

    def encode(self, value):
        """Return Optuna's value for a parameter; ``ValueError`` if it has none."""
        kind = Integral if isinstance(self.distribution, IntDistribution) else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError
        low, high, step = (getattr(self.distribution, n) for n in _BOUNDS)
        if not low <= value <= high:
            raise ValueError
        if step is not None and not np.isclose((value - low) % step, [0, step]).any():
            raise ValueError
        return float(value) if kind is Real else int(value)  # type: ignore

    def describe(self) -> str:
        """Return a text that another range does not have."""
        return distribution_to_json(self.distribution)


_BOUNDS = ("low", "high", "step")


class _Choice(_Numbers):
    """One of several values, any objects; Optuna keeps labels where it must."""

    def __init__(self, name: str, choices: Iterable):
        self.choices = list(choices)
        if not self.choices:
            raise ValueError(f"param_distributions[{name!r}] has no values to choose.")
        self.labels = _labels(self.choices)
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


class _Quantile(_Numbers):
    """A distribution that Optuna has none of its own for: it draws the quantile."""

    def __init__(self, name: str, frozen):
        self.frozen = frozen
        self.is_discrete = not hasattr(frozen, "pdf") and not hasattr(frozen, "icdf")
        # scipy's older distributions have ppf, its newer ones icdf.
        self.inverse = frozen.ppf if hasattr(frozen, "ppf") else frozen.icdf
        _finite_ends(name, lambda: self.inverse(np.array([_TAIL, 1 - _TAIL])))
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
            return _text(frozen)
        return repr((frozen.dist.name, frozen.args, sorted(frozen.kwds.items())))


def _equal(one, other) -> bool:
    """Say whether two objects are equal, even if they are arrays."""
    try:
        return bool(np.all(one == other))
    except (TypeError, ValueError):
        return False


def _labels(choices: list) -> list:
    """Return what stands for the choices where Optuna can keep plain values only."""
    plain = (type(None), bool, int, float, str)
    different = len({repr(choice) for choice in choices}) == len(choices)
    if all(type(choice) in plain for choice in choices) and different:
        return choices
    texts = [_text(choice) for choice in choices]
    if len(set(texts)) == len(texts) and max(map(len, texts)) <= _LONGEST_LABEL:
        return texts
    return [f"{i}: {text}"[:_LONGEST_LABEL] for i, text in enumerate(texts)]


def _text(value) -> str:
    """Return a short text for a value that is the same in every process."""
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    text = " ".join(repr(value).split())
    return type(value).__name__ if " at 0x" in text else text


def _from_scipy(name: str, frozen):
    """Return the entry for a scipy distribution."""
    kind = getattr(getattr(frozen, "dist", None), "name", None)
    if kind == "uniform":
        low, high = _finite_ends(name, frozen.support)
        return _Numbers(name, FloatDistribution(low, high))
    if kind in ("loguniform", "reciprocal") and not _shift(frozen):
        low, high = _finite_ends(name, frozen.support)
        return _Numbers(name, FloatDistribution(low, high, log=True))
    if kind == "randint":
        first, last = map(int, _finite_ends(name, frozen.support))
        return _Numbers(name, IntDistribution(first, last))
    return _Quantile(name, frozen)


def _finite_ends(name: str, find: Callable[[], Any]) -> tuple[float, float]:
    """Return the ends of a range; refuse a distribution that has no such range."""
    with np.errstate(invalid="ignore"):
        low, high = map(float, find())
    if not (np.isfinite([low, high]).all() and low <= high):
        raise ValueError(
            f"param_distributions[{name!r}] has no finite range of values to draw "
            f"from: it reaches from {low} to {high}. Look at its parameters."
        )
    return low, high


def _freeze(name: str, family):
    """Return a family of scipy's with its defaults, if it has some."""
    try:
        return family()
    except TypeError as error:
        raise TypeError(
            f"param_distributions[{name!r}] is a family of distributions: "
            f"scipy.stats.{family.name} needs its parameters, {family.shapes}."
        ) from error


def _shift(frozen) -> float:
    """Return by how much a loguniform distribution is shifted."""
    return frozen.args[2] if len(frozen.args) > 2 else frozen.kwds.get("loc", 0)


def _entry(name: str, given):
    """Return the entry of a parameter, whatever way its values are given."""
    if isinstance(given, CategoricalDistribution):
        return _Choice(name, given.choices)
    if isinstance(given, BaseDistribution):
        return _Numbers(name, given)
    if isinstance(given, rv_continuous | rv_discrete):
        given = _freeze(name, given)
    if hasattr(given, "ppf") or hasattr(given, "icdf"):
        return _from_scipy(name, given)
    is_text = isinstance(given, str | bytes)
    if isinstance(given, Mapping | set) or is_text or not np.iterable(given):
        raise TypeError(
            f"param_distributions[{name!r}] must be a list of values, a distribution "
            f"of Optuna or one of scipy with `ppf`, got {given!r}."
        )
    return _Choice(name, given.tolist() if isinstance(given, np.ndarray) else given)


# -- all parameters --------------------------------------------------------------------


class TableSpace:
    """A space of parameters that do not depend on each other.

    Parameters
    ----------
    given : dict
        For each parameter its distribution or values.
    estimator : estimator
        Whose parameters these are.
    """

    def __init__(self, given: Mapping, estimator):
        if not given:
            raise ValueError(
                "param_distributions is empty: there is nothing to search."
            )
        _check_names(given, estimator)
        self.entries = {name: _entry(name, values) for name, values in given.items()}

    def __call__(self, trial) -> dict:
        """Return the parameters of a trial."""
        return {
            name: entry.decode(suggest(trial, entry.key, entry.distribution))
            for name, entry in self.entries.items()
        }

    def own(self, estimator) -> Draw:
        """Return the estimator's own parameters."""
        current = estimator.get_params()
        draw = Draw({name: current[name] for name in self.entries if name in current})
        for name, entry in self.entries.items():
            try:
                draw.values[entry.key] = entry.encode(draw.params[name])
                draw.distributions[entry.key] = entry.distribution
            except (KeyError, ValueError):
                draw.outside.append(name)
        return draw

    def describe(self) -> str:
        """Return a text that another space does not have."""
        return json.dumps({n: e.describe() for n, e in sorted(self.entries.items())})


@dataclass
class CallableSpace:
    """A space that a function of the trial lays out, step by step."""

    function: Callable[[Any], Mapping]

    def __call__(self, trial) -> dict:
        """Return the parameters of a trial."""
        params = self.function(trial)
        if not isinstance(params, Mapping):
            raise TypeError(
                "param_distributions, being a callable, must return a dict of "
                f"parameters for a trial, got {params!r}."
            )
        for name in params:
            if not isinstance(name, str):
                raise TypeError(
                    "param_distributions, being a callable, must return names of "
                    f"parameters, got {name!r}."
                )
        return dict(params)

    def own(self, estimator) -> Draw:
        """Return the estimator's own parameters: nothing is changed."""
        return Draw({}, outside=["*"])

    def describe(self) -> str:
        """Return a text that another function does not have."""
        return repr(_code_of(self.function))


def _code_of(function) -> tuple:
    """Return what a function does, so far as it can be told."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if not hasattr(function, "__code__"):
        function = type(function).__dict__.get("__call__", function)
    code = getattr(function, "__code__", None)
    return (name, *_parts(code)) if code is not None else (name,)


def _parts(code: types.CodeType) -> tuple:
    """Return a code's instructions and constants, those of inner functions too."""
    consts = [
        _parts(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts
    ]
    return code.co_code.hex(), tuple(consts), code.co_names


def _check_names(given: Mapping, estimator) -> None:
    """Refuse parameters that the estimator does not have."""
    known = estimator.get_params()
    for name in given:
        # A step that is searched too may have other parameters than the one there now.
        if name in known or (
            isinstance(name, str) and any(name.startswith(f"{n}__") for n in given)
        ):
            continue
        raise ValueError(
            f"param_distributions has {name!r}, which is no parameter of "
            f"{type(estimator).__name__}. {_what_was_meant(str(name), list(known))}"
        )


def _what_was_meant(name: str, known: list[str]) -> str:
    """Return a sentence on the parameters that a wrong name may stand for."""
    of_steps: dict[str, list[str]] = {}
    for other in known:
        of_steps.setdefault(other.rpartition("__")[2], []).append(other)
    last = name.rpartition("__")[2]
    meant = of_steps.get(last, [])
    if not meant:
        meant = difflib.get_close_matches(name, known, n=1)
        for other in difflib.get_close_matches(last, of_steps, n=1):
            meant = [*meant, *(m for m in of_steps[other] if m not in meant)]
    if meant:
        return f"Did you mean {' or '.join(map(repr, meant[:_N_MEANT]))}?"
    own = sorted(other for other in known if "__" not in other)
    inner = ", and those of each after '__'" if len(own) < len(known) else ""
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


def make_space(given, estimator) -> TableSpace | CallableSpace:
    """Return the space that `param_distributions` means for an estimator."""
    if callable(given):
        return CallableSpace(given)
    if isinstance(given, str):
        given = default_space(estimator)
        if not given:
            raise ValueError(
                "param_distributions='auto' finds no default space in "
                f"{type(estimator).__name__}: estimators of skdeep have one, also at "
                "the end of a Pipeline or inside of CostSensitiveClassifier or "
                "TransformedTargetRegressor. Pass a dict of distributions."
            )
    return TableSpace(given, estimator)
