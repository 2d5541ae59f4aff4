"""A fitted search, for the tests of OptunaSearchCV."""

import pytest

from tests.model_selection.optuna_data import X, Y, search


@pytest.fixture(scope="session")
def fitted():
    """A fitted search, which tests must not change."""
    return search().fit(X, Y)
