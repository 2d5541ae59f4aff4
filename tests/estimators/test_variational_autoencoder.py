"""VariationalAutoEncoder: against factor analysis and Monte Carlo estimates."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm
from sklearn.decomposition import FactorAnalysis

from skdeep import VariationalAutoEncoder

rng = np.random.default_rng(0)
# A factor model in different units.
FACTORS = rng.normal(size=(400, 2))
NOISE = np.array([1, 0.5, 1, 0.3, 1, 0.7, 0.5, 1])
X = FACTORS @ rng.normal(size=(2, 8)) + rng.normal(size=(400, 8)) * NOISE
UNITS = np.array([1, 10, 0.1, 1, 100, 1, 1, 2])
X = X * UNITS + [0, 5, 0, -3, 1000, 0, 0, 0]
LINEAR = {
    "hidden_layer_sizes": (),
    "learning_rate_init": 0.02,
    "max_iter": 30,
    "random_state": 0,
}
FEW = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def frame():
    kind = rng.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=300)
    level = np.select([kind == "a", kind == "b"], [0, 5], 10)
    return pd.DataFrame(
        {
            "kind": pd.Categorical(kind),
            "count": level + rng.integers(0, 3, 300),
            "value": level + rng.normal(size=300),
        }
    )


def test_linear_model_reaches_the_likelihood_of_factor_analysis():
    model = VariationalAutoEncoder(2, **LINEAR).fit(X)
    scaled = (X - X.mean(0)) / X.std(0)
    factors = FactorAnalysis(2, tol=1e-4, max_iter=5000).fit(scaled)
    likelihood = factors.score(scaled) - np.log(X.std(0)).sum()
    assert likelihood - 0.05 < model.score(X) < likelihood
    found = model.module_.scales().detach().exp().numpy()
    assert_allclose(found, np.sqrt(factors.noise_variance_), rtol=0.2)


def log_likelihoods(model, table, codes):
    """Return the log-likelihoods of the rows given codes, (n_codes, n_rows)."""
    numbers = table[["count", "value"]].to_numpy(dtype=float)
    mean, spread = numbers.mean(0), numbers.std(0)
    is_kind = np.column_stack([table["kind"] == each for each in "abc"])
    network = model.module_
    with torch.no_grad():
        raw = network.decode(torch.tensor(codes)).numpy()
        noise = network.scales().exp().numpy() * spread
    values = norm(raw[..., :2] * spread + mean, noise).logpdf(numbers).sum(-1)
    return values + (log_softmax(raw[..., 2:], axis=-1) * is_kind).sum(-1)


def test_scores_are_lower_bounds_of_the_likelihood():
    table = frame()
    model = VariationalAutoEncoder(2, max_iter=10, random_state=0).fit(table)
    scores = model.score_samples(table)
    network, n_draws = model.module_, 500
    rows = model._inputs.encode(
        model._checked_rows(table), torch.float64, torch.device("cpu")
    )
    with torch.no_grad():
        mean, log_variance = (t.numpy() for t in network.distribution(*rows.tensors))
    spread = np.exp(log_variance / 2)
    codes = mean + spread * rng.normal(size=(n_draws, *mean.shape))
    given = log_likelihoods(model, table, codes)
    prior, posterior = norm.logpdf(codes), norm(mean, spread).logpdf(codes)
    weights = given + (prior - posterior).sum(-1)
    # The bound is the mean of these, the likelihood that of their exponentials.
    assert_allclose(scores.mean(), weights.mean(), atol=0.05)
    likelihood = logsumexp(weights, axis=0) - np.log(n_draws)
    assert scores.mean() < likelihood.mean()
    assert np.corrcoef(scores, weights.mean(0))[0, 1] > 0.98


def test_samples_have_the_distribution_of_the_rows():
    table = frame()
    model = VariationalAutoEncoder(
        2, learning_rate_init=0.01, max_iter=50, random_state=0
    ).fit(table)
    drawn = model.sample(3000, random_state=0)
    assert (drawn.dtypes == table.dtypes).all()
    shares = [t["kind"].value_counts(normalize=True) for t in (table, drawn)]
    assert (shares[0] - shares[1]).abs().max() < 0.06
    means = [t.groupby("kind", observed=True)["value"].mean() for t in (table, drawn)]
    assert_allclose(means[0], means[1], atol=1)
    assert_allclose(drawn["value"].std(), table["value"].std(), rtol=0.15)
    assert_allclose(drawn.corr(numeric_only=True), table.corr(numeric_only=True), 0.1)


def test_random_state_determines_samples():
    model = VariationalAutoEncoder(2, **FEW).fit(X)
    first, same, other = (model.sample(5, random_state=seed) for seed in (0, 0, 1))
    assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert_array_equal(model.score_samples(X), model.score_samples(X))


def test_interpolation_goes_from_row_to_row():
    table = frame()
    model = VariationalAutoEncoder(2, max_iter=10, random_state=0).fit(table)
    way = model.interpolate(table[:1], table[7:8], n_steps=5)
    ends = model.reconstruct(table.iloc[[0, 7]]).reset_index(drop=True)
    pd.testing.assert_frame_equal(way.iloc[[0, 4]].reset_index(drop=True), ends)
    codes = model.transform(table.iloc[[0, 7]])
    middle = model.inverse_transform(codes.mean(0, keepdims=True))
    pd.testing.assert_frame_equal(way.iloc[[2]].reset_index(drop=True), middle)
    with pytest.raises(ValueError, match="end must be a single row, got 2 rows"):
        model.interpolate(table[:1], table[:2])
    with pytest.raises(ValueError, match="start does not fit: X has 2 features"):
        VariationalAutoEncoder(2, **FEW).fit(X).interpolate(X[:1, :2], X[:1])


def test_large_beta_makes_the_codes_of_all_rows_alike():
    spreads = []
    for beta in (0.0, 1.0, 1000.0):
        model = VariationalAutoEncoder(2, beta=beta, **LINEAR).fit(X)
        spreads.append(model.transform(X).std())
    assert spreads[0] > spreads[1] > 0.5
    assert spreads[2] < 0.05


def test_loss_is_minus_the_bound_of_scaled_rows():
    model = VariationalAutoEncoder(2, **FEW).fit(X[:250], X_val=X[250:])
    bound = model.score(X[250:]) + np.log(X[:250].std(0)).sum()
    assert_allclose(model.history_[-1]["valid_loss"], -bound, rtol=1e-6)


def test_gaps_do_not_count():
    given = X.copy()
    given[::2, 7] = np.nan
    model = VariationalAutoEncoder(2, **LINEAR).fit(given)
    whole = VariationalAutoEncoder(2, **LINEAR).fit(X[:, :7])
    assert_allclose(model.score(given[::2]), whole.score(X[::2, :7]), atol=0.15)


def test_bad_parameters():
    for params in ({"solver": "lbfgs"}, {"beta": -1.0}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
            VariationalAutoEncoder(**params).fit(X)
    model = VariationalAutoEncoder(2, **FEW).fit(X)
    with pytest.raises(ValueError, match="'n_samples' parameter"):
        model.sample(0)
    with pytest.raises(ValueError, match="'n_steps' parameter"):
        model.interpolate(X[:1], X[1:2], n_steps=1)


def test_samples_vary_as_much_as_the_rows():
    # A single code explains little of eight independent columns.
    X = np.random.default_rng(0).normal(size=(300, 8))
    model = VariationalAutoEncoder(
        1, hidden_layer_sizes=(4,), max_iter=5, random_state=0
    ).fit(X)
    drawn = model.sample(2000, random_state=0)
    np.testing.assert_allclose(drawn.std(0), X.std(0), rtol=0.2)


@pytest.mark.parametrize("n_samples", [2**61, 2**70])
def test_more_samples_than_an_array_holds(n_samples):
    model = VariationalAutoEncoder(2, **FEW).fit(X)
    with pytest.raises(MemoryError, match=f"n_samples={n_samples}"):
        model.sample(n_samples)
