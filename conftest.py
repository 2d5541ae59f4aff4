"""Fixtures of the tests and of the examples in docstrings."""

import os
import sys

import pytest

# Before matplotlib is imported: no test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    """Close the figures that a test or an example has drawn, so that none is left."""
    yield
    # Importing it for tests that draw nothing would take longer than most of them.
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
