"""Fixtures of the fault tests."""

import os

import pytest

# Private: the waits are shortened.
from skdeep.model_selection import _storage, _trial_ledger
from tests.faults.helpers import X as rows
from tests.faults.helpers import results, search
from tests.faults.helpers import y as targets


def pytest_collection_modifyitems(items):
    """Skip where processes cannot be forked."""
    if hasattr(os, "fork"):
        return
    for item in items:
        if "/faults/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason="needs os.fork"))


@pytest.fixture(autouse=True)
def _impatience(monkeypatch):
    """Shorten the waits for dead processes; forked processes inherit the patch."""
    monkeypatch.setattr(_storage, "_INFO_TIMEOUT", 0.3)
    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 1)
    monkeypatch.setattr(_trial_ledger, "_NO_OWNER_TIMEOUT", 0.3)
    # Optuna retries a failed write five times, after pauses of random length.
    monkeypatch.setattr("random.random", lambda: 0.01)


@pytest.fixture(scope="session")
def unbroken():
    """Results of an uninterrupted search."""
    return results(search().fit(rows, targets))
