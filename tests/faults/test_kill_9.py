"""Processes that are killed at any moment: nothing that was done is lost."""

import os
import signal
import time

import numpy as np
import pytest

from tests.faults.helpers import STORAGES, X, in_a_process, results, search, start, y


@pytest.mark.parametrize("kind", STORAGES)
def test_repeatedly_killed_search_gives_the_same_result(kind, tmp_path, unbroken):
    storage, outcome = STORAGES[kind].format(tmp_path), tmp_path / "outcome"
    for delay in np.random.default_rng(0).uniform(0.03, 0.3, 4):
        process = start(lambda: search(storage).fit(X, y), outcome)
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert results(search(storage).fit(X, y)) == unbroken


@pytest.mark.parametrize("n_writes", [1, 2, 7, 20])
def test_lock_of_a_killed_process_is_removed(
    n_writes, tmp_path, monkeypatch, unbroken
):
    """Killed while it writes, by a relative path, as most scripts name their files."""
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

    os.waitpid(start(killed, tmp_path / "outcome"), 0)
    assert os.path.exists(f"{storage}.lock")
    found = in_a_process(
        lambda: results(search(storage).fit(X, y)), tmp_path / "outcome"
    )
    assert found == unbroken
    assert os.listdir("runs") == ["trials.journal"]


def test_killed_at_any_byte_of_a_write(tmp_path, unbroken):
    path = tmp_path / "trials.journal"
    search(path, n_trials=5).fit(X, y)
    whole = path.read_bytes()
    facts = whole.index(b"\n", whole.index(b"signature"))
    for end in np.random.default_rng(0).integers(facts + 1, len(whole), 12):
        path.write_bytes(whole[:end])
        assert results(search(path).fit(X, y)) == unbroken
