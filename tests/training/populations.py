"""Helpers for tests of populations: fit models alone and together, and compare."""

import contextlib
import sys
import threading
import traceback
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone

# Private: patched to record which fits are trained together.
import skdeep.training._population as population
import skdeep.training._scheduler as scheduler
from skdeep.training import train

# Rounding errors, magnified by some epochs of training.
TOLERANCES = {
    "float64": {"rtol": 1e-9, "atol": 1e-11},
    "float32": {"rtol": 1e-4, "atol": 1e-5},
}


def mark_others_nightly(values, *kept):
    """Mark all values but some as nightly.

    The dense step of many networks with each loss and activation is compared with
    autograd in ``test_dense_step``.
    """
    return [
        pytest.param(v, marks=[pytest.mark.nightly] * (v not in kept)) for v in values
    ]


@dataclass
class Job:
    """A model to fit, and its data."""

    model: Any
    X: Any
    y: Any
    params: dict = field(default_factory=dict)


def fit_once(job):
    """Fit a clone of the job's model."""
    return clone(job.model).fit(job.X, job.y, **job.params)


@contextlib.contextmanager
def n_cores(count):
    """Set torch's number of threads, which is the backend's number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_in_backend(function, *, seconds=300, cores=1, **options):
    """Call a function with the backend; fail, and show all stacks, if it hangs."""
    with n_cores(cores):
        return _watched(function, seconds, options)


def train_together(tasks):
    """Train tasks in one population; return the error of each, or None."""

    def attempt(task):
        try:
            train(task)
        except Exception as error:
            return error

    return run_in_backend(lambda: Parallel()(delayed(attempt)(t) for t in tasks))


def _watched(function, seconds, options):
    outcome = {}

    def run():
        try:
            with parallel_config(backend="skdeep", **options):
                outcome["result"] = function()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, name="test", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        pytest.fail(f"No result in {seconds} s.\n{_stacks()}", pytrace=False)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _stacks():
    """Return the stacks of all threads except the calling one."""
    frames = sys._current_frames()
    del frames[threading.get_ident()]
    return "\n".join(
        f"{thread}\n" + "".join(traceback.format_stack(frames[thread.ident]))
        for thread in threading.enumerate()
        if thread.ident in frames
    )


def fit_in_backend(jobs, run=fit_once, **options):
    """Run the jobs in parallel calls of the backend."""
    return run_in_backend(
        lambda: Parallel()(delayed(run)(job) for job in jobs), **options
    )


def record_chunks(monkeypatch):
    """Return a list to which the size of each chunk will be appended."""
    sizes = []

    class Recorded(population._Chunk):
        def __init__(self, members):
            sizes.append(len(members))
            super().__init__(members)

    monkeypatch.setattr(population, "_Chunk", Recorded)
    return sizes


def record_populations(monkeypatch):
    """Return a list to which the size of each population will be appended."""
    sizes, real = [], scheduler.run_population

    def recorded(fits, *options):
        sizes.append(len(fits))
        return real(fits, *options)

    monkeypatch.setattr(scheduler, "run_population", recorded)
    return sizes


def assert_same_fit(found, expected, X):
    """Compare the attributes of two fitted networks and their predictions."""
    assert type(found) is type(expected)
    close = TOLERANCES[np.dtype(expected._dtype).name]
    for name in ("coefs_", "intercepts_"):
        for one, two in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(one, two, **close)
    for name in ("n_iter_", "t_", "n_outputs_"):
        assert getattr(found, name) == getattr(expected, name), name
    _assert_same_history(found.history_, expected.history_, close)
    for name in ("loss_curve_", "validation_scores_", "best_loss_"):
        _assert_close(getattr(found, name), getattr(expected, name), close)
    _assert_close(found.best_validation_score_, expected.best_validation_score_, close)
    for name in ("predict_proba", "predict"):
        if hasattr(expected, name):
            one, two = getattr(found, name)(X), getattr(expected, name)(X)
            assert one.dtype == two.dtype
            _assert_close(one, two, close)


def _assert_same_history(found, expected, close):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        assert one.keys() == two.keys()
        for key in one.keys() - {"duration"}:
            _assert_close(one[key], two[key], close)


def _assert_close(one, two, close):
    if one is None or two is None or np.asarray(two).dtype.kind in "OUSi":
        np.testing.assert_array_equal(one, two)
    else:
        np.testing.assert_allclose(one, two, **close)


def assert_same_as_separate_fits(jobs, run=fit_once, **options):
    """Compare fits in the backend with the same fits one after another."""
    expected = [run(job) for job in jobs]
    found = fit_in_backend(jobs, run, **options)
    for one, two, job in zip(found, expected, jobs, strict=True):
        assert_same_fit(one, two, job.X)
    return found
