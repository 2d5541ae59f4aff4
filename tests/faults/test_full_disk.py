"""Full disks: one error that names the file, and no trial is lost."""

import resource
import signal

import numpy as np
import pytest

from skdeep import MLPClassifier
from skdeep.callbacks import Checkpoint
from tests.faults.helpers import (
    STORAGES,
    X,
    fill,
    mount_small_disk,
    results,
    run_in_fork,
    search,
    y,
)


def run_out_of_room(storage, fill, free):
    """Search until a callback fills the disk, then free it and resume."""

    def after(study, trial):
        if trial.number == 2:
            fill()

    try:
        with pytest.raises(ValueError) as caught:
            search(storage, callbacks=[after]).fit(X, y)
    finally:
        free()
    n_kept = len(search(storage, n_trials=3).fit(X, y).study_.trials)
    return str(caught.value), n_kept, results(search(storage).fit(X, y))


def check(found, unbroken, storage, reason):
    message, n_kept, resumed = found
    assert message.startswith(f"storage={storage!r} cannot be ")
    assert any(text in message for text in reason), message
    assert "run the same search again to resume it" in message
    assert n_kept >= 3
    assert resumed == unbroken


@pytest.mark.parametrize("kind", STORAGES)
def test_full_disk(kind, tmp_path, unbroken):
    disk = tmp_path / "disk"
    disk.mkdir()
    storage = STORAGES[kind].format(disk)

    def full():
        mount_small_disk(disk)
        return run_out_of_room(
            storage, lambda: fill(disk), lambda: (disk / "filler").unlink()
        )

    found = run_in_fork(full, tmp_path / "outcome")
    check(found, unbroken, storage, ["No space left", "disk is full"])


@pytest.mark.nightly
@pytest.mark.parametrize("kind", STORAGES)
def test_file_size_limit(kind, tmp_path, unbroken):
    storage = STORAGES[kind].format(tmp_path)

    def limit(size):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return run_out_of_room(
            storage,
            lambda: limit(4096),
            lambda: limit(resource.RLIM_INFINITY),
        )

    found = run_in_fork(full, tmp_path / "outcome")
    check(found, unbroken, storage, ["File too large", "disk is full", "disk I/O"])


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
def test_full_disk_keeps_the_last_checkpoint(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()

    class Fills:
        """A scikit-learn callback that fills the disk after two epochs."""

        n_epochs = 0

        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            self.n_epochs += context.task_name == "epoch"
            if self.n_epochs == 2:
                fill(disk)

    def fit(*callbacks):
        model = MLPClassifier((8,), max_iter=4, random_state=0)
        return model.set_callbacks(*callbacks).fit(X, y)

    def full():
        mount_small_disk(disk)
        checkpoint = Checkpoint(disk / "fit.ckpt")
        with pytest.raises(OSError) as caught:
            fit(checkpoint, Fills())
        kept = sorted(path.name for path in disk.iterdir())
        (disk / "filler").unlink()
        return str(caught.value), kept, fit(checkpoint).coefs_

    message, kept, resumed = run_in_fork(full, tmp_path / "outcome")
    assert "fit.ckpt' cannot be written: No space left on device" in message
    assert kept == ["filler", "fit.ckpt"]
    whole = fit(Checkpoint(tmp_path / "whole.ckpt")).coefs_
    for one, other in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(one, other)
