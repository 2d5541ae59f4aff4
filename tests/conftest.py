"""What all tests share: no window opens, and GPU tests run where there is a GPU."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch


def pytest_collection_modifyitems(items):
    """Skip tests marked ``gpu`` on a machine without a CUDA device."""
    if torch.cuda.is_available():
        return
    no_gpu = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(no_gpu)


@pytest.fixture(autouse=True)
def _close_figures():
    """Close the figures a test has drawn, so that none is left for the next test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
