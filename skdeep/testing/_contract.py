"""The public functions that run the checks of the contract."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from skdeep.testing._checks import CHECKS


def estimator_contract_checks(estimator) -> Iterator[tuple[Any, Callable]]:
    """Yield the checks of the contract that apply to an estimator.

    Parameters
    ----------
    estimator : estimator
        An instance, which is cloned for every check. Make it small: each check fits it
        a few times to 40 rows.

    Yields
    ------
    estimator : estimator
        The estimator.
    check : partial
        A check: ``check(estimator)`` raises an error if the estimator breaks the
        contract. ``check.func.__name__`` is its name.

    See Also
    --------
    check_estimator_contract : Runs all of them.

    Examples
    --------
    >>> from skdeep import MLPClassifier
    >>> from skdeep.testing import estimator_contract_checks
    >>> checks = [check for _, check in estimator_contract_checks(MLPClassifier())]
    >>> checks[0].func.__name__
    'check_random_state_decides'
    """
    for applies, check in CHECKS:
        if applies(estimator):
            # A partial, as scikit-learn's checks are: a plain function, given to
            # pytest as a parameter, would be shown by its address.
            yield estimator, partial(check)


def check_estimator_contract(
    estimator, *, expected_failed_checks: Mapping[str, str] | None = None
) -> None:
    """Check that an estimator meets the contract of skdeep's own estimators.

    scikit-learn's :func:`~sklearn.utils.estimator_checks.check_estimator` checks its
    API, and is called separately. These checks ask for more: ``random_state`` decides
    the result, a second fit forgets the first one, copies and pickles predict the same
    and hold no tensors, errors name the argument, a failed fit changes nothing, no
    global state is changed, NaN is never predicted, and so on. The docstring
    of each check states its requirement.

    Parameters
    ----------
    estimator : estimator
        An instance, which is cloned for every check. Make it small: each check fits it
        a few times to 40 rows.
    expected_failed_checks : dict, default=None
        Names of checks that cannot hold for this estimator, with the reasons. They are
        not run.

    Raises
    ------
    AssertionError
        If a check fails. The message begins with the name of the check; the error of
        the check is its cause.

    See Also
    --------
    parametrize_with_contract : A test for each check, with pytest.

    Examples
    --------
    >>> from skdeep import SlidingWindow
    >>> from skdeep.testing import check_estimator_contract
    >>> check_estimator_contract(
    ...     SlidingWindow(3),
    ...     expected_failed_checks={
    ...         "check_one_row_answers_as_in_a_batch": "rows are ordered in time",
    ...     },
    ... )
    """
    expected = expected_failed_checks or {}
    _check_expected_names(expected)
    for each, check in estimator_contract_checks(estimator):
        name = check.func.__name__  # type: ignore[attr-defined]
        if name in expected:
            continue
        try:
            # Few rows and epochs cause warnings that say nothing about the contract.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(each)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


def parametrize_with_contract(
    estimators,
    *,
    expected_failed_checks: Callable[[Any], Mapping[str, str]] | None = None,
):
    """Decorate a test with one parameter for each estimator and check.

    Needs pytest. It works as scikit-learn's
    :func:`~sklearn.utils.estimator_checks.parametrize_with_checks` does.

    Parameters
    ----------
    estimators : list of estimators
        Instances.
    expected_failed_checks : callable, default=None
        Takes an estimator and returns a dict of the checks that cannot hold, with the
        reasons. Their tests are marked as expected to fail.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a function of ``estimator`` and ``check`` that calls ``check(estimator)``.

    See Also
    --------
    check_estimator_contract : Runs all checks at once, without pytest.

    Examples
    --------
    >>> from skdeep import MLPClassifier
    >>> from skdeep.testing import parametrize_with_contract
    >>> @parametrize_with_contract([MLPClassifier((8,), max_iter=5)])
    ... def test_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest

    parameters = []
    for estimator in estimators:
        expected = {}
        if expected_failed_checks is not None:
            expected = dict(expected_failed_checks(estimator))
        _check_expected_names(expected)
        shown = " ".join(repr(estimator).split())
        for each, check in estimator_contract_checks(estimator):
            name = check.func.__name__  # type: ignore[attr-defined]
            marks: list = [pytest.mark.filterwarnings("ignore")]
            if name in expected:
                marks.append(pytest.mark.xfail(reason=expected[name]))
            identity = f"{shown}-{name}"
            parameters.append(pytest.param(each, check, marks=marks, id=identity))
    return pytest.mark.parametrize("estimator, check", parameters)


def _check_expected_names(expected: Mapping[str, str]) -> None:
    """Raise if a check that is expected to fail does not exist."""
    known = {check.__name__ for _, check in CHECKS}
    unknown = sorted(set(expected) - known)
    if unknown:
        raise ValueError(
            f"expected_failed_checks names {unknown}, but the checks are "
            f"{sorted(known)}."
        )
