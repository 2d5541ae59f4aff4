"""Fixtures for tests of the joblib backend."""

import threading
import warnings

import pytest
import torch

from tests.training.populations import (
    record_chunks,
    record_populations,
)


@pytest.fixture
def populations(monkeypatch):
    """The sizes of the populations that were trained so far."""
    return record_populations(monkeypatch)


@pytest.fixture(
    params=[
        pytest.param(1, id="one core", marks=pytest.mark.nightly),
        pytest.param(2, id="two cores"),
    ]
)
def cores(request):
    """The number of cores of the backend; tests without this fixture use one."""
    return request.param


def _filters():
    """Return the warning filters as text, since Python may compile their patterns."""
    return [
        [getattr(part, "pattern", part) for part in entry] for entry in warnings.filters
    ]


@pytest.fixture
def no_side_effects():
    """Check that threads, warning filters and torch's settings are as before."""
    threads, filters = set(threading.enumerate()), str(_filters())
    n_threads, generator = torch.get_num_threads(), torch.random.get_rng_state()
    yield
    left = set(threading.enumerate()) - threads
    assert not [thread for thread in left if thread.name == "skdeep"]
    # The worker processes of joblib remain, with threads that serve them.
    kept = ("ExecutorManagerThread", "QueueFeederThread")
    for thread in left:
        if thread.name.startswith(kept):
            continue
        thread.join(5)  # joblib does not wait for the threads of its own pool
        assert not thread.is_alive()
    assert str(_filters()) == filters
    assert torch.get_num_threads() == n_threads
    assert torch.equal(torch.random.get_rng_state(), generator)


@pytest.fixture
def chunks(monkeypatch):
    """The number of fits in each chunk."""
    return record_chunks(monkeypatch)
