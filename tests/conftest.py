"""Hooks and fixtures of all tests."""

import os

import pytest
import torch

# Seconds of CPU that a test may take without the mark ``slow``; not checked unless the
# environment sets it, since the first test to import a library pays for that.
MAX_CPU = float(os.environ.get("SKDEEP_MAX_CPU", "inf"))


def pytest_collection_modifyitems(items):
    """Skip tests marked ``gpu`` on a machine without a CUDA device."""
    if torch.cuda.is_available():
        return
    no_gpu = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(no_gpu)


def cpu_seconds():
    """Return the CPU seconds of this process and of the child processes it awaited."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail a test that takes long and is not marked, if ``SKDEEP_MAX_CPU`` is set."""
    started = cpu_seconds()
    result = yield
    seconds = cpu_seconds() - started
    marked = item.get_closest_marker("slow") or item.get_closest_marker("nightly")
    if seconds > MAX_CPU and not marked:
        pytest.fail(
            f"It took {seconds:.1f} s of CPU, more than SKDEEP_MAX_CPU={MAX_CPU:g}. "
            "Make it smaller, or mark it slow (nightly, if it takes very long).",
            pytrace=False,
        )
    return result
