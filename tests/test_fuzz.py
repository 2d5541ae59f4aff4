"""Call every public name with odd arguments: it works, or names the wrong argument.

``tools/fuzz.py`` runs any number of cases, or a single one again.
"""

import contextlib
import io
import re

import numpy as np
import pandas as pd
import pytest

from tests.fuzz.rule import Case, bounds, judge, make_case, run
from tests.fuzz.subjects import (
    SUBJECTS,
    Arg,
    Subject,
    arguments_of,
    public_methods,
    public_names,
)

N_CASES = 150
N_NIGHTLY = 2000
SEED = 0


def outcomes_of(numbers):
    """Run the cases of these numbers."""
    with bounds(), contextlib.redirect_stdout(io.StringIO()):
        return {number: run(number, SEED) for number in numbers}


def faults_of(outcomes):
    """Return, for each case that breaks the rule, how to repeat it and the reason."""
    return [
        f"python tools/fuzz.py --seed {SEED} --case {number}  # {outcome.case}: "
        + "; ".join(outcome.faults)
        for number, outcome in outcomes.items()
        if outcome.faults
    ]


def test_rule_holds():
    outcomes = outcomes_of(range(N_CASES))
    assert not faults_of(outcomes), "\n".join(faults_of(outcomes))
    # If all cases worked, or all failed, they would test little.
    worked = sum(outcome.error is None for outcome in outcomes.values())
    assert N_CASES / 8 < worked < N_CASES * 7 / 8


@pytest.mark.nightly
@pytest.mark.parametrize("start", range(N_CASES, N_NIGHTLY, 185))
def test_rule_holds_in_more_cases(start):
    outcomes = outcomes_of(range(start, start + 185))
    assert not faults_of(outcomes), "\n".join(faults_of(outcomes))


def test_every_public_name_is_fuzzed():
    assert public_names() <= {subject.name for subject in SUBJECTS}


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_method_and_argument_is_called(subject):
    if subject.is_estimator:
        methods = set(public_methods(subject.target))
        assert methods == set(subject.methods) | (methods & set(subject.skipped))
    named = set(arguments_of(subject.target))
    for function in subject.covers:
        assert set(arguments_of(function)) - {"self", "y"} <= named


def test_cases_can_be_repeated():
    for number in range(50):
        assert str(make_case(number, 1)) == str(make_case(number, 1))


def raises_named_error(X):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def raises_unnamed_error(X):
    raise ValueError("setting an array element with a sequence")


def raises_inside_numpy(X):
    pd.Series(X[:, 0]).loc["X"]


def changes_input(X):
    X[0] = 7


def warns_about_division(X):
    return X / np.zeros(1)


FAULTS = {
    raises_named_error: "RuntimeError is not of scikit-learn's kinds",
    raises_unnamed_error: "ValueError names no argument",
    raises_inside_numpy: "KeyError is not of scikit-learn's kinds",
    changes_input: "X was changed",
    warns_about_division: "RuntimeWarning .*divide by zero|NaN or infinity",
}


@pytest.mark.parametrize("function", FAULTS, ids=lambda function: function.__name__)
def test_faults_are_found(function):
    subject = Subject("broken", function, {"X": Arg("table", np.ones((3, 2)))})
    case = Case(subject, None, {}, {"X": np.ones((3, 2))}, {"X": "ones"}, False)
    (*_, last) = judge(case).faults
    assert re.search(FAULTS[function], last)


def test_successful_call_has_no_faults():
    subject = Subject("right", np.sum, {})
    case = Case(subject, None, {}, {"a": np.ones(3)}, {"a": "ones"}, False)
    assert judge(case).faults == []
