"""Valid rows, and a check of errors, for the tests of invalid input."""

import traceback

import pytest
from sklearn.datasets import make_classification

X, y = make_classification(n_samples=40, n_features=6, random_state=0)


def assert_raises(function, message, error=ValueError):
    """Check the error, and that it was not raised inside torch."""
    with pytest.raises(error, match=message) as caught:
        function()
    last = traceback.extract_tb(caught.tb)[-1].filename
    assert "/torch/" not in last, f"raised in {last}"
