"""Processes killed at any moment lose no finished trial."""

import os
import signal
import time

import numpy as np
import pytest

from tests.faults.helpers import (
    STORAGES,
    X,
    results,
    run_in_fork,
    search,
    start_fork,
    y,
)


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("n_kills", [1, pytest.param(4, marks=pytest.mark.nightly)])
def test_repeatedly_killed_search_gives_the_same_result(
    kind, n_kills, tmp_path, unbroken
):
    storage, outcome = STORAGES[kind].format(tmp_path), tmp_path / "outcome"
    for delay in np.random.default_rng(0).uniform(0.03, 0.3, n_kills):
        process = start_fork(lambda: search(storage).fit(X, y), outcome)
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert results(search(storage).fit(X, y)) == unbroken


@pytest.mark.parametrize(
    "n_writes", [1, 7, *(pytest.param(n, marks=pytest.mark.nightly) for n in (2, 20))]
)
def test_lock_of_a_killed_process_is_removed(n_writes, tmp_path, monkeypatch, unbroken):
    """Killed during a write; the path is relative, as in most scripts."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("runs")
    storage, writes = "runs/trials.journal", []

    def killed():
        def fsync(file):
            writes.append(file)
            if len(writes) == n_writes:
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = fsync
        search(storage).fit(X, y)

    os.waitpid(start_fork(killed, tmp_path / "outcome"), 0)
    assert os.path.exists(f"{storage}.lock")
    found = run_in_fork(
        lambda: results(search(storage).fit(X, y)), tmp_path / "outcome"
    )
    assert found == unbroken
    assert os.listdir("runs") == ["trials.journal"]


@pytest.mark.parametrize("n_kills", [2, pytest.param(12, marks=pytest.mark.nightly)])
def test_search_killed_at_any_byte_of_a_write_is_resumed(n_kills, tmp_path, unbroken):
    path = tmp_path / "trials.journal"
    search(path, n_trials=5).fit(X, y)
    whole = path.read_bytes()
    facts = whole.index(b"\n", whole.index(b"signature"))
    for end in np.random.default_rng(0).integers(facts + 1, len(whole), n_kills):
        path.write_bytes(whole[:end])
        assert results(search(path).fit(X, y)) == unbroken
