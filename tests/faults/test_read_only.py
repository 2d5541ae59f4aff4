"""Read-only folders: finished studies can be read, but not continued."""

import pytest

from skdeep import MLPClassifier
from skdeep.callbacks import Checkpoint
from tests.faults.helpers import (
    STORAGES,
    X,
    make_read_only,
    mount_small_disk,
    results,
    run_in_fork,
    search,
    y,
)


def error_of(function):
    """Return the message of an error."""
    with pytest.raises((ValueError, OSError)) as caught:
        function()
    return str(caught.value)


@pytest.mark.parametrize("kind", STORAGES)
def test_read_only_storage(kind, tmp_path, unbroken):
    storage = STORAGES[kind].format(tmp_path)
    other = STORAGES[kind].replace("trials", "other").format(tmp_path)

    outcome = tmp_path.with_name("outcome")

    def read_only():
        mount_small_disk(tmp_path)
        # In a separate process, so that no file stays open for writing.
        run_in_fork(lambda: bool(search(storage).fit(X, y)), outcome)
        make_read_only(tmp_path)
        return (
            results(search(storage).fit(X, y)),
            error_of(lambda: search(storage, n_trials=7).fit(X, y)),
            error_of(lambda: search(other).fit(X, y)),
        )

    again, more, new = run_in_fork(read_only, outcome)
    assert again == unbroken
    assert more.startswith(f"storage={storage!r} cannot be")
    assert "ead-only file system" in more or "readonly database" in more
    assert new.startswith(f"storage={other!r} cannot be opened")


def test_read_only_checkpoint(tmp_path):
    def read_only():
        mount_small_disk(tmp_path)
        model = MLPClassifier((4,), max_iter=1, random_state=0)
        make_read_only(tmp_path)
        checkpoint = Checkpoint(tmp_path / "fit.ckpt")
        return error_of(lambda: model.set_callbacks(checkpoint).fit(X, y))

    message = run_in_fork(read_only, tmp_path.with_name("outcome"))
    assert "fit.ckpt' cannot be written: Read-only file system" in message
