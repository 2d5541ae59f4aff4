"""Autoencoders of sequences: against sines, padding and computations in numpy."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score

from skdeep import AutoEncoder, MLPClassifier, VariationalAutoEncoder
from tests.round_trips import WAYS

rng = np.random.default_rng(0)
FEW = {"hidden_size": 6, "hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}
MAKERS = pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])


def sines(n, n_steps=20):
    """Return sines of different frequencies and phases, (n, n_steps)."""
    frequency = rng.uniform(0.03, 0.1, (n, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    return np.sin(2 * np.pi * frequency * np.arange(n_steps) + phase)


WAVES = sines(150)
PAIRS = np.stack([WAVES, 100 + 10 * np.roll(WAVES, 3, axis=1)], axis=2)
LENGTHS = rng.integers(5, 21, 150)
RAGGED = [pair[:n] for pair, n in zip(PAIRS, LENGTHS, strict=True)]
PADDED = np.where(np.arange(20)[:, np.newaxis] < LENGTHS[:, None, None], PAIRS, np.nan)


@pytest.fixture(scope="module")
def trained():
    """An autoencoder of sines."""
    params = {"hidden_size": 24, "max_iter": 20, "random_state": 0}
    return AutoEncoder(4, sequences=True, **params).fit(WAVES.astype(np.float32))


@pytest.fixture(scope="module")
def ragged():
    """An autoencoder of sequences of different lengths."""
    params = {"hidden_size": 12, "max_iter": 5, "random_state": 0}
    model = AutoEncoder(4, **params)
    return model.fit(RAGGED)


def test_sines_are_reconstructed_far_better_than_by_their_mean(trained):
    new = sines(100)
    error = np.mean((trained.reconstruct(new) - new) ** 2)
    assert error < 0.1 * new.var()
    assert_allclose(-trained.score(new), error / WAVES.var(), rtol=0.05)


def test_unusual_sequences_are_outliers(trained):
    odd = np.concatenate([sines(40), np.sign(sines(5)), rng.normal(size=(5, 20))])
    is_odd = np.arange(50) >= 40
    assert roc_auc_score(is_odd, -trained.score_samples(odd)) > 0.95
    assert (trained.predict(odd)[is_odd] == -1).mean() > 0.8


def test_codes_are_decoded_to_the_length_of_training(trained):
    assert_allclose(
        trained.inverse_transform(trained.transform(WAVES)), trained.reconstruct(WAVES)
    )


def test_error_is_the_mean_over_the_steps_of_each_feature(ragged):
    steps = np.concatenate(RAGGED)
    found = ragged.reconstruct(RAGGED[:9])
    means = [
        np.mean(((f - x) / steps.std(0)) ** 2, axis=0)
        for f, x in zip(found, RAGGED[:9], strict=True)
    ]
    with torch.no_grad():
        vector = ragged.module_.decoder(torch.tensor(ragged.transform(RAGGED[:9])))
        length = ragged.module_.writer.length(vector).numpy()
    error = (length[:, 0] - (LENGTHS[:9] - LENGTHS.mean()) / LENGTHS.std()) ** 2
    expected = np.column_stack([means, error]).mean(1)
    assert_allclose(-ragged.score_samples(RAGGED[:9]), expected, rtol=1e-4)


def test_padding_changes_nothing(ragged):
    codes = ragged.transform(RAGGED)
    assert_array_equal(ragged.transform(PADDED), codes)
    for x, code in zip(RAGGED[:5], codes, strict=False):
        assert_allclose(ragged.transform([x])[0], code, rtol=1e-4, atol=1e-5)
        more = np.concatenate([x, np.full((7, 2), np.nan)])
        assert_allclose(ragged.transform([more])[0], code, rtol=1e-4, atol=1e-5)


def test_lengths_are_learned():
    # The longer, the higher.
    rows = [np.full(n, n / 10.0) for n in np.tile(np.arange(3, 13), 10)]
    model = AutoEncoder(1, hidden_size=8, max_iter=15, random_state=0).fit(rows)
    found = model.inverse_transform(model.transform(rows))
    differences = [abs(len(a) - len(b)) for a, b in zip(found, rows, strict=True)]
    assert np.mean(differences) < 1
    far = model.inverse_transform([[-1e3], [1e3]])
    assert sorted(map(len, far)) == [1, 12]
    assert [len(x) for x in model.reconstruct(rows)] == [len(x) for x in rows]


@pytest.mark.parametrize(
    "X",
    [
        WAVES.astype(np.float32),
        PAIRS.astype(np.float32),
        np.rint(10 * PAIRS).astype(np.int16),
        PADDED,
        list(WAVES),
        list(PAIRS),
        WAVES[:, :3].tolist(),
    ],
    ids=["2-D", "3-D", "integers", "padded", "list", "list of 2-D", "nested lists"],
)
@MAKERS
def test_sequences_come_back_in_their_format(make, X):
    model = make(2, sequences=True, **FEW).fit(X)
    found = model.reconstruct(X)
    if isinstance(X[0], list):
        assert found.shape == np.shape(X)
    elif isinstance(X, list):
        assert [x.shape for x in found] == [x.shape for x in X]
    else:
        assert (found.shape, found.dtype) == (X.shape, X.dtype)
        assert_array_equal(np.isnan(found), np.isnan(X))
    assert model.transform(X).shape == (150, 2)
    assert len(model.inverse_transform([[0.0, 1.0]])) == 1
    assert set(model.predict(X)) <= {-1, 1}


@MAKERS
def test_longer_sequences_than_in_training(make):
    model = make(2, sequences=True, **FEW).fit(PAIRS)
    longer = np.concatenate([PAIRS, PAIRS], axis=1)
    assert model.reconstruct(longer).shape == (150, 40, 2)
    assert np.isfinite(model.score_samples(longer)).all()
    shorter = [pair[:7] for pair in PAIRS[:3]]
    assert model.reconstruct(shorter).shape == (3, 7, 2)
    assert_allclose(
        model.transform(shorter), model.transform(PAIRS[:3, :7]), rtol=1e-5, atol=1e-6
    )


def test_samples_of_sequences():
    model = VariationalAutoEncoder(2, **FEW).fit(RAGGED)
    drawn = model.sample(4, random_state=0)
    assert all(x.ndim == 2 and x.shape[1] == 2 for x in drawn)
    assert [len(x) for x in model.sample(4, random_state=0)] == [len(x) for x in drawn]
    assert len(model.interpolate(RAGGED[:1], RAGGED[1:2], 5)) == 5


def test_bound_of_sequences_is_that_of_numpy():
    model = VariationalAutoEncoder(2, **FEW).fit(RAGGED)
    # The code of a network that has been told nothing: without divergence.
    network = model.module_
    with torch.no_grad():
        network.encoder.layers[-1].weight.zero_()
        network.encoder.layers[-1].bias.zero_()
        network.decoder.layers[0].weight.zero_()
        vector = network.decoder(torch.zeros(1, 2, dtype=torch.float64))
        length = float(network.writer.length(vector))
        spread = network.scales().exp().numpy()
    rows = RAGGED[:5]
    steps = np.concatenate(RAGGED)
    expected = []
    for x, found in zip(rows, model.reconstruct(rows), strict=True):
        values = norm(found, spread[:2] * steps.std(0)).logpdf(x).sum()
        center = length * LENGTHS.std() + LENGTHS.mean()
        values += norm(center, spread[2] * LENGTHS.std()).logpdf(len(x))
        expected.append(values)
    assert_allclose(model.score_samples(rows), expected, rtol=1e-6)


def test_weights_are_repeated_sequences():
    weight = rng.integers(0, 3, 40)
    params = {**FEW, "solver": "lbfgs", "max_iter": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = AutoEncoder(2, **params).fit(RAGGED[:40], sample_weight=weight)
        rows = [RAGGED[i] for i in np.repeat(np.arange(40), weight)]
        repeated = AutoEncoder(2, **params).fit(rows)
    for method in ("transform", "decision_function"):
        found, expected = (getattr(m, method)(RAGGED) for m in (weighted, repeated))
        assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


@MAKERS
@pytest.mark.parametrize("trip", WAYS.values(), ids=WAYS)
def test_round_trips(trip, make):
    few = RAGGED[:40]
    fitted = make(2, **FEW).fit(few)
    again = trip(fitted)
    assert_array_equal(again.score_samples(few), fitted.score_samples(few))
    for a, b in zip(again.reconstruct(few), fitted.reconstruct(few), strict=True):
        assert_array_equal(a, b)
    again.partial_fit(few)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_and_corruptions_are_trained(cell):
    model = AutoEncoder(2, cell=cell, noise=0.1, mask=0.1, dropout=0.1, **FEW)
    losses = model.set_params(max_iter=5, early_stopping=True).fit(RAGGED).loss_curve_
    assert losses[-1] < losses[0]


def test_images_are_still_images():
    images = rng.normal(size=(20, 8, 8))
    assert "convolutions" in str(AutoEncoder(2, **FEW).fit(images).module_)
    model = AutoEncoder(2, sequences=True, **FEW).fit(images)
    assert "convolutions" not in str(model.module_)


def test_bad_sequences():
    model = AutoEncoder(2, sequences=True, **FEW)
    broken = PAIRS.copy()
    broken[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN inside a sequence: sample 3, step 4"):
        model.fit(broken)
    with pytest.raises(ValueError, match="Sequence 1 of X has 1 features"):
        model.fit([np.ones((4, 2)), np.ones((5, 1))])
    with pytest.raises(ValueError, match="Sequence 0 of X has length 0"):
        model.fit([np.ones(0), np.ones(5)])
    with pytest.raises(ValueError, match="sequences=True and image_shape"):
        AutoEncoder(2, sequences=True, image_shape=(4, 5)).fit(WAVES)
    with pytest.raises(ValueError, match="tied=True is for dense layers"):
        AutoEncoder(2, tied=True, **FEW).fit(RAGGED)
    with pytest.raises(ValueError, match="same shape"):
        AutoEncoder(2, **FEW).fit([np.ones((4, 3)), np.ones((5, 4))])
    with pytest.raises(ValueError, match="'cell' parameter"):
        AutoEncoder(2, cell="lst").fit(RAGGED)
    fitted = model.fit(PAIRS)
    with pytest.raises(ValueError, match="X has 1 features"):
        fitted.transform(PAIRS[:, :, :1])
    with pytest.raises(ValueError, match="this one reads sequences"):
        fitted.fine_tune(MLPClassifier())
    with pytest.raises(ValueError, match="2-D X of 20 columns"):
        model.fit(WAVES).transform(PAIRS)
