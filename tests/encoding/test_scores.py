"""Scores of predictions, compared with scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

# Private: the score of the validation rows in each epoch.
from skdeep.encoding._targets import ValueTargets, r2

rng = np.random.RandomState(0)
NUMBERS = rng.normal(3, 2, (40, 3))
CONSTANT = NUMBERS.copy()
CONSTANT[:, 1] = 0.1
WEIGHT = rng.uniform(0, 2, 40)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
@pytest.mark.parametrize("expected", [NUMBERS, NUMBERS[:, 0], CONSTANT], ids=len)
def test_r2(expected, weight):
    for noise in (0.0, 0.5, 5.0):
        predicted = expected + noise * rng.normal(size=expected.shape)
        known = r2_score(expected, predicted, sample_weight=weight)
        assert r2(expected, predicted, weight) == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
@pytest.mark.parametrize("expected", [NUMBERS, NUMBERS[:, :1], CONSTANT], ids=len)
def test_scores_of_several_networks(expected, weight):
    predicted = expected + rng.normal(size=(4, *expected.shape))
    predicted[2] = expected
    known = [r2_score(expected, each, sample_weight=weight) for each in predicted]
    targets = ValueTargets(expected.shape[1], flat=False)
    found = targets.score(torch.from_numpy(predicted), expected, weight)
    np.testing.assert_allclose(found, known, rtol=1e-12)


def test_r2_of_integers():
    expected = np.arange(10)
    predicted = expected + 0.25
    assert r2(expected, predicted, None) == pytest.approx(r2_score(expected, predicted))


def test_r2_of_a_single_row():
    assert math.isnan(r2(NUMBERS[:1], NUMBERS[:1], None))
    several = torch.from_numpy(NUMBERS[np.newaxis, :1].repeat(3, 0))
    found = ValueTargets(3, flat=False).score(several, NUMBERS[:1], None)
    assert np.isnan(found).tolist() == [True] * 3


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("expected", [NUMBERS, CONSTANT], ids=["varying", "constant"])
def test_r2_of_predictions_that_are_not_finite(expected, value, weight):
    bad = expected.copy()
    bad[3, 1] = value
    assert r2(expected, bad, weight) == -np.inf
    assert r2(expected, bad, weight, "variance_weighted") == -np.inf
    several = torch.from_numpy(np.stack([expected, bad]))
    found = ValueTargets(3, flat=False).score(several, expected, weight)
    assert found.tolist() == [1, -np.inf]


def test_r2_is_a_float():
    for kind in ("uniform_average", "variance_weighted"):
        assert type(r2(NUMBERS, NUMBERS + 1, None, kind)) is float
