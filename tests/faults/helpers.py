"""A small search, and forked processes for faults that would end the test run."""

import ctypes
import json
import os
import pickle
import warnings

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skdeep import OptunaSearchCV

X, y = make_classification(60, 5, random_state=0)
STORAGES = {"journal": "{}/trials.journal", "sqlite": "sqlite:///{}/trials.db"}


def search(storage=None, n_trials=6, **options):
    space = {"C": loguniform(1e-3, 1e2), "fit_intercept": [True, False]}
    options = {"cv": 2, "random_state": 0, **options}
    return OptunaSearchCV(
        LogisticRegression(), space, n_trials=n_trials, storage=storage, **options
    )


def results(fitted):
    """Return the results of a search as a str, for comparisons."""
    found = {
        name: np.ma.filled(column, 0).tolist()
        for name, column in fitted.cv_results_.items()
        if not name.endswith("_time")
    }
    return json.dumps(found, default=str)


def start_fork(function, outcome):
    """Run a function in a forked process that pickles its result to a file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        process = os.fork()
    if process:
        return process
    try:
        try:
            found = function()
        except BaseException as error:
            found = error
        outcome.write_bytes(pickle.dumps(found))
    finally:
        os._exit(0)


def run_in_fork(function, outcome):
    """Run a function in a forked process; return its result or raise its error."""
    os.waitpid(start_fork(function, outcome), 0)
    found = pickle.loads(outcome.read_bytes())
    if isinstance(found, BaseException):
        raise found
    return found


# From <sched.h> and <sys/mount.h>.
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x20000
_READ_ONLY, _REMOUNT = 1, 32


def mount_small_disk(folder):
    """Mount a disk of 1 MB that only this process sees; skip if that is forbidden.

    User namespaces make this possible without root.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    try:
        if libc.unshare(_NEW_USER | _NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        with open("/proc/self/setgroups", "w") as file:
            file.write("deny")
        for name, number in (("uid_map", user), ("gid_map", group)):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(f"0 {number} 1")
        _mount(libc, folder, 0)
    except (OSError, AttributeError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")


def make_read_only(folder):
    _mount(ctypes.CDLL(None, use_errno=True), folder, _REMOUNT | _READ_ONLY)


def _mount(libc, folder, flags):
    name = os.fsencode(folder)
    if libc.mount(b"tmpfs", name, b"tmpfs", flags, b"size=1M"):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def fill(folder):
    """Fill the disk of a folder."""
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
