"""GAN: samples like the rows of X."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from skorch.callbacks import Callback

from skdeep import GAN
from skdeep.callbacks import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

FEW = {"hidden_layer_sizes": (8,), "code_size": 4, "max_iter": 2, "random_state": 0}
FAST = {
    "hidden_layer_sizes": (64, 64),
    "discriminator_layer_sizes": (64, 64),
    "learning_rate_init": 0.005,
    "random_state": 0,
}
rng = np.random.default_rng(0)


def mixed_table(n=600):
    """Return a table of several kinds of columns, that depend on the first."""
    kind = rng.choice(["often", "rarely", "seldom"], p=[0.7, 0.2, 0.1], size=n)
    level = np.select([kind == "often", kind == "rarely"], [0.0, 10.0], -10.0)
    amount = level + rng.normal(size=n)
    table = pd.DataFrame(
        {
            "kind": pd.Categorical(kind, categories=["seldom", "rarely", "often"]),
            "count": (level + rng.integers(0, 5, n)).astype("int32"),
            "amount": np.where(rng.random(n) < 0.2, np.nan, amount),
            "yes": level > 5,
            "same": "x",
        }
    )
    return table.astype({"same": "category"})


@pytest.fixture(scope="module")
def trained():
    table = mixed_table()
    model = GAN(max_iter=60, **FAST).fit(table)
    return table, model.sample(1000, random_state=0)


def test_samples_have_the_form_of_the_table(trained):
    table, samples = trained
    pd.testing.assert_series_equal(samples.dtypes, table.dtypes)
    assert list(samples["kind"].cat.categories) == ["seldom", "rarely", "often"]
    for name in ("count", "amount"):
        assert table[name].min() <= samples[name].min()
        assert samples[name].max() <= table[name].max()
    assert (samples["same"] == "x").all()


def test_marginal_distributions_are_those_of_the_table(trained):
    table, samples = trained
    for name in ("kind", "yes"):
        shares = [each[name].value_counts(normalize=True) for each in trained]
        assert_allclose(shares[1].reindex(shares[0].index), shares[0], atol=0.08)
    assert abs(samples["amount"].isna().mean() - table["amount"].isna().mean()) < 0.08


def test_columns_depend_on_each_other_as_in_the_table(trained):
    _, samples = trained
    assert (samples["yes"] == (samples["kind"] == "rarely")).mean() > 0.95
    means = samples.groupby("kind", observed=True)["amount"].mean()
    assert_allclose(means[["seldom", "often", "rarely"]], [-10, 0, 10], atol=1.5)


@pytest.mark.parametrize("training_by_sampling", [False, True])
def test_rare_categories_appear(training_by_sampling):
    kind = np.repeat(["often", "rarely"], [480, 20])
    table = pd.DataFrame({"kind": pd.Categorical(kind), "value": rng.normal(size=500)})
    model = GAN(training_by_sampling=training_by_sampling, max_iter=30, **FAST)
    samples = model.fit(table).sample(2000, random_state=0)
    assert 0.01 < (samples["kind"] == "rarely").mean() < 0.1


def test_training_rows_are_not_returned():
    X = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    model = GAN(max_iter=40, **FAST).fit(X)
    others = NearestNeighbors(n_neighbors=1).fit(X)
    near = others.kneighbors(model.sample(300, random_state=0))[0]
    between = NearestNeighbors(n_neighbors=2).fit(X).kneighbors(X)[0][:, 1]
    # Samples are no closer to the rows than these are to each other.
    assert np.median(near) > 0.7 * np.median(between)
    assert (near < 1e-3).mean() == 0


def test_all_modes_of_a_grid_are_found():
    centers = np.array([(i, j) for i in range(3) for j in range(3)]) * 2.0
    which = rng.integers(9, size=1500)
    X = centers[which] + 0.05 * rng.normal(size=(1500, 2))
    samples = GAN(max_iter=20, **FAST).fit(X).sample(500, random_state=0)
    distance = np.linalg.norm(samples[:, None] - centers, axis=2)
    near = distance.min(1) < 0.15
    assert near.mean() > 0.9
    assert len(np.unique(distance[near].argmin(1))) == 9


def test_labels_are_obeyed():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = GAN(max_iter=150, **FAST).fit(X, names)
    assert_array_equal(model.classes_, ["setosa", "versicolor", "virginica"])
    for label in model.classes_:
        mean = X[names == label].mean(0)
        found = model.sample(200, y=label, random_state=0).mean(0)
        others = [X[names == other].mean(0) for other in set(names) - {label}]
        distance = np.linalg.norm(found - mean)
        assert all(distance < np.linalg.norm(found - other) / 2 for other in others)


def test_labels_are_drawn_with_their_frequencies():
    X = np.r_[rng.normal(size=(240, 1)), 100 + rng.normal(size=(60, 1))]
    y = np.repeat([0, 1], [240, 60])
    samples = GAN(max_iter=60, **FAST).fit(X, y).sample(1000, random_state=0)
    assert 0.14 < (samples > 50).mean() < 0.26


def test_a_label_for_each_row():
    X, y = load_iris(return_X_y=True)
    model = GAN(**FEW).fit(X, y)
    mixed = model.sample(4, y=[0, 2, 0, 1], random_state=0)
    assert mixed.shape == (4, 4)
    assert_array_equal(
        model.sample(3, y=1, random_state=0),
        model.sample(3, y=[1, 1, 1], random_state=0),
    )


@pytest.mark.parametrize(
    "y, message",
    [
        (7, "classes not in"),
        ([0, 1], r"y must be one label or n_samples=3 labels, got shape \(2,\)"),
        (["a", "b", "c"], "classes not in"),
    ],
)
def test_labels_that_do_not_fit(y, message):
    X, labels = load_iris(return_X_y=True)
    model = GAN(**FEW).fit(X, labels)
    with pytest.raises(ValueError, match=message):
        model.sample(3, y=y)


def test_labels_without_labels_in_fit():
    model = GAN(**FEW).fit(rng.normal(size=(30, 2)))
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match=r"y needs a GAN that was fitted with labels"):
        model.sample(3, y=1)


@pytest.mark.parametrize("y", [np.linspace(0, 1, 30), np.eye(30)[:, :2]])
def test_targets_that_are_no_labels(y):
    with pytest.raises(ValueError, match="y must hold one label for each row"):
        GAN(**FEW).fit(rng.normal(size=(30, 2)), y)


def test_scores_are_not_defined():
    model = GAN(**FEW)
    assert not hasattr(model, "score_samples")
    with pytest.raises(AttributeError, match="a generator has no likelihood"):
        model.score_samples  # noqa: B018


def test_many_samples_and_none():
    model = GAN(**FEW).fit(rng.normal(size=(30, 2)))
    assert model.sample().shape == (1, 2)
    assert model.sample(20_001, random_state=0).shape == (20_001, 2)
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(0)


def test_random_state_of_samples():
    model = GAN(**FEW).fit(rng.normal(size=(30, 2)))
    first, same, other = (model.sample(5, random_state=i) for i in (0, 0, 1))
    assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("scaling", ["modes", "standard"])
def test_gaps_have_their_frequency(scaling):
    X = rng.normal(size=(400, 2))
    X[rng.random(400) < 0.3, 0] = np.nan
    model = GAN(scaling=scaling, max_iter=30, **FAST)
    samples = model.fit(X).sample(1000, random_state=0)
    assert 0.2 < np.isnan(samples[:, 0]).mean() < 0.4
    assert not np.isnan(samples[:, 1]).any()


def test_columns_without_information():
    table = pd.DataFrame(
        {"constant": 3, "missing": np.nan, "value": rng.normal(size=50)}
    )
    samples = GAN(**FEW).fit(table).sample(20, random_state=0)
    assert (samples["constant"] == 3).all()
    assert samples["missing"].isna().all()
    assert samples["constant"].dtype == table["constant"].dtype


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones((10, 2)), "Each column of X has one value"),
        (np.full((10, 2), np.nan), "Each column of X has one value"),
        (np.ones((1, 2)), "at least 2 rows of X, got n_samples=1"),
        (np.full((10, 2), np.inf), "infinity"),
        (np.array([["a", "b"]] * 5), "could not convert string"),
    ],
)
def test_rows_that_do_not_fit(X, message):
    with pytest.raises(ValueError, match=message):
        GAN(**FEW).fit(X)


def test_huge_and_tiny_values():
    X = np.column_stack([rng.normal(size=60) * 1e300, rng.normal(size=60) * 1e-300])
    samples = GAN(**FEW).fit(X).sample(50, random_state=0)
    assert np.isfinite(samples).all()
    assert (samples.min(0) >= X.min(0)).all() and (samples.max(0) <= X.max(0)).all()


def of_the_discriminator(parameters, lr):
    """Return an optimizer that hardly trains a generator of codes of four values."""
    is_generator = parameters[0].shape[1] == 4
    return torch.optim.Adam(parameters, 1e-9 if is_generator else lr)


def test_a_discriminator_that_wins_is_reported():
    X = rng.integers(2, size=(100, 10)) * 6.0
    params = dict(code_size=4, hidden_layer_sizes=(16,), scaling="standard")
    training = dict(learning_rate_init=0.01, max_iter=100, random_state=0)
    model = GAN(**params, discriminator_layer_sizes=(16,), r1_penalty=0.0, **training)
    model.fit(X)  # without a warning
    model.set_params(solver=of_the_discriminator, max_iter=300)
    message = r"The discriminator has won: its loss is .* r1_penalty \(now 0\)"
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X)


def test_losses_of_both_networks_are_recorded():
    model = GAN(**FEW).fit(rng.normal(size=(60, 2)))
    last = model.history_[-1]
    assert {"train_loss", "discriminator_loss"} <= set(last)
    assert all(np.isfinite(last[name]) for name in ("train_loss", "discriminator_loss"))
    assert model.loss_curve_ == [record["train_loss"] for record in model.history_]


def test_networks_are_modules():
    model = GAN(**FEW).fit(rng.normal(size=(60, 2)))
    assert isinstance(model.module_, torch.nn.Module)
    assert isinstance(model.discriminator_, torch.nn.Module)
    assert "GeneratorNetwork" in repr(model.summary())
    with pytest.raises(AttributeError, match="before fit"):
        GAN().discriminator_  # noqa: B018


class Killed(BaseException):
    """Ends a fit as a killed process would."""


class KillsAfter:
    """A callback that ends a fit in its third epoch."""

    def __init__(self):
        self.n_left = 2

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_end = setup

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            self.n_left -= 1
            if self.n_left < 0:
                raise Killed


def test_a_killed_fit_is_resumed_to_the_bit(tmp_path):
    table, params = mixed_table(80), FEW | {"max_iter": 4}
    expected = GAN(**params).fit(table)
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Killed):
        GAN(**params).set_callbacks(Checkpoint(path), KillsAfter()).fit(table)
    resumed = GAN(**params).set_callbacks(Checkpoint(path)).fit(table)
    pd.testing.assert_frame_equal(
        resumed.sample(20, random_state=0), expected.sample(20, random_state=0)
    )
    assert resumed.loss_curve_ == expected.loss_curve_


def test_skorch_callbacks_see_both_losses():
    seen = []

    class Watcher(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, ("train_loss", "discriminator_loss")])

    model = GAN(**FEW, callbacks=[Watcher()]).fit(rng.normal(size=(60, 2)))
    expected = [(r["train_loss"], r["discriminator_loss"]) for r in model.history_]
    assert seen == expected


def test_copies_keep_both_networks():
    model = GAN(**FEW).fit(mixed_table(60))
    loaded = pickle.loads(pickle.dumps(model))
    for name, parameter in model.discriminator_.named_parameters():
        assert torch.equal(loaded.discriminator_.get_parameter(name), parameter)
    clone(model)


def test_partial_fit_takes_all_classes_at_first():
    X, y = load_iris(return_X_y=True)
    model = GAN(**FEW).partial_fit(X[:50], y[:50], classes=[0, 1, 2])
    model.partial_fit(X[50:], y[50:])
    assert model.sample(2, y=2, random_state=0).shape == (2, 4)
    with pytest.raises(ValueError, match="y must be given"):
        model.partial_fit(X)


def test_later_calls_go_on_with_both_networks():
    X = rng.normal(size=(60, 2))
    model = GAN(**FEW).partial_fit(X)
    before = [
        [p.detach().clone() for p in network.parameters()]
        for network in (model.module_, model.discriminator_)
    ]
    model.partial_fit(X)
    for network, expected in zip(
        (model.module_, model.discriminator_), before, strict=True
    ):
        for p, q in zip(network.parameters(), expected, strict=True):
            # Adam's steps are about as long as the learning rate.
            assert 0 < (p - q).abs().max() < 0.02


def test_labels_may_not_come_later():
    X, y = load_iris(return_X_y=True)
    model = GAN(**FEW).partial_fit(X)
    with pytest.raises(ValueError, match="y must not be given"):
        model.partial_fit(X, y)


def test_compiled_parameters_are_rejected():
    with pytest.raises(ValueError, match="r1_penalty"):
        GAN(r1_penalty=-1).fit(rng.normal(size=(30, 2)))
    with pytest.raises(ValueError, match="pack_size"):
        GAN(pack_size=0).fit(rng.normal(size=(30, 2)))
    with pytest.raises(ValueError, match="loss"):
        GAN(loss="hinge").fit(rng.normal(size=(30, 2)))
