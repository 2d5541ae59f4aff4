"""AutoEncoder: against principal components and computations in numpy."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import log_softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import AutoEncoder, MLPClassifier, MLPRegressor, VariationalAutoEncoder
from skdeep.callbacks import Checkpoint
from tests.round_trips import WAYS

rng = np.random.default_rng(0)
# Six columns that depend on two numbers, in different units.
FACTORS = rng.normal(size=(200, 2))
X = FACTORS @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
X = X * [1, 10, 0.1, 1, 100, 1] + [0, 5, 0, -3, 1000, 0]
WITH_GAPS = np.where(rng.random(X.shape) < 0.1, np.nan, X)
IRIS = load_iris().data
LINEAR = {
    "hidden_layer_sizes": (),
    "solver": "lbfgs",
    "max_iter": 1000,
    "tol": 1e-9,
    "random_state": 0,
}
FEW = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def frame():
    """Return columns of several types that depend on each other."""
    age = np.tile([20, 40, 60, 80], 30)
    return pd.DataFrame(
        {
            "job": pd.Categorical(
                np.where(age < 50, "yes", "no"), categories=["yes", "no", "never"]
            ),
            "age": age.astype(np.int16),
            "height": 1.5 + age / 100,
            "old": age > 50,
        },
        index=np.arange(1000, 1120),
    )


# -- linear autoencoders are principal components --------------------------------------


@pytest.mark.parametrize("params", [{}, {"tied": True}])
@pytest.mark.parametrize("scaling", [None, "standard"])
def test_linear_code_reconstructs_as_principal_components(scaling, params):
    given = X[:, [0, 3, 5]] if scaling is None else X
    model = AutoEncoder(1, scaling=scaling, **LINEAR, **params).fit(given)
    steps = [] if scaling is None else [StandardScaler()]
    best = make_pipeline(*steps, PCA(1)).fit(given)
    expected = best.inverse_transform(best.transform(given))
    spread = given.std(0)
    error, least = (
        np.mean(((given - rows) / (1 if scaling is None else spread)) ** 2)
        for rows in (model.reconstruct(given), expected)
    )
    assert least <= error * (1 + 1e-9) <= 1.01 * least
    assert_allclose(-model.score(given), error)
    assert_allclose(model.loss_, error, rtol=1e-6)


def test_tied_weights_are_those_of_the_encoder():
    model = AutoEncoder(2, tied=True, activation="tanh", **FEW).fit(X)
    weights = {k: v.numpy() for k, v in model.module_.state_dict().items()}
    hidden = (model.transform(X) @ weights["encoder.layers.1.weight"]) + weights[
        "decoder.biases.0"
    ]
    raw = np.tanh(hidden) @ weights["encoder.layers.0.weight"]
    raw = raw + weights["decoder.biases.1"]
    assert_allclose(model.reconstruct(X), raw * X.std(0) + X.mean(0))
    assert "decoder.layers.0.weight" not in weights


# -- an independent network ------------------------------------------------------------


def test_codes_and_scores_are_those_of_numpy():
    table = frame().assign(height=lambda f: f["height"].where(f["age"] != 40))
    model = AutoEncoder(2, activation="relu", **FEW).fit(table)
    w = {k: v.numpy() for k, v in model.module_.state_dict().items()}
    numbers = table[["age", "height", "old"]].to_numpy(dtype=float)
    scaled = (numbers - np.nanmean(numbers, 0)) / np.nanstd(numbers, 0)
    missing = np.isnan(scaled)
    # Categories in sorted order; "never" does not occur.
    is_job = np.column_stack([table["job"] == each for each in ("no", "yes")])
    x = np.column_stack([np.nan_to_num(scaled), is_job, missing[:, [1]]])
    for i, last in ((0, False), (1, True)):
        x = x @ w[f"encoder.layers.{i}.weight"].T + w[f"encoder.layers.{i}.bias"]
        x = x if last else x.clip(0)
    assert_allclose(model.transform(table), x, rtol=1e-6, atol=1e-12)
    for i, last in ((0, False), (1, True)):
        x = x @ w[f"decoder.layers.{i}.weight"].T + w[f"decoder.layers.{i}.bias"]
        x = x if last else x.clip(0)
    errors = np.column_stack(
        [(x[:, :3] - scaled) ** 2, -log_softmax(x[:, 3:], axis=1)[is_job]]
    )
    assert_allclose(model.score_samples(table), -np.nanmean(errors, axis=1))
    found = model.reconstruct(table)
    assert_allclose(
        found["height"], x[:, 1] * np.nanstd(numbers[:, 1]) + np.nanmean(numbers[:, 1])
    )
    assert (found["job"] == np.where(x[:, 3] > x[:, 4], "no", "yes")).all()


# -- gaps and categories ---------------------------------------------------------------


def test_gaps_are_filled_from_other_columns():
    model = AutoEncoder(2, mask=0.2, max_iter=30, random_state=0).fit(WITH_GAPS)
    missing = np.isnan(WITH_GAPS)
    spread = X.std(0)
    errors = ((model.reconstruct(WITH_GAPS) - X) / spread)[missing]
    of_means = ((np.nanmean(WITH_GAPS, 0) - X) / spread)[missing]
    assert np.mean(errors**2) < 0.3 * np.mean(of_means**2)


def test_missing_and_unknown_categories_do_not_count():
    table = frame()
    model = AutoEncoder(2, max_iter=20, random_state=0)
    model.fit(table)
    new = table.iloc[:4].assign(job=["boss", None, "yes", "no"])
    new["job"] = new["job"].astype("category")
    scores = model.score_samples(new)
    assert_allclose(scores[0], model.score_samples(new.assign(job=None).iloc[:1])[0])
    # The age tells the job, which is therefore reconstructed.
    assert model.reconstruct(new)["job"].tolist()[:2] == ["yes", "yes"]


def test_row_without_values():
    model = AutoEncoder(2, **FEW).fit(WITH_GAPS)
    empty = np.full((1, 6), np.nan)
    assert model.score_samples(empty) == 0
    assert np.isfinite(model.reconstruct(empty)).all()


def test_column_without_values_is_reconstructed_as_missing():
    given = X.copy()
    given[:, 2] = np.nan
    model = AutoEncoder(2, **FEW).fit(given)
    assert_array_equal(model.transform(X), model.transform(given))
    found = model.reconstruct(X)
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(np.delete(found, 2, axis=1)).all()


def test_constant_and_huge_columns():
    given = np.column_stack([X[:, 0], np.full(200, 7.0), X[:, 1] * 1e300])
    model = AutoEncoder(2, hidden_layer_sizes=(16,), random_state=0).fit(given)
    found = model.reconstruct(given)
    assert_allclose(found[:, 1], 7, atol=0.2)
    assert np.corrcoef(found[:, 2] / 1e300, X[:, 1])[0, 1] > 0.9


# -- formats ---------------------------------------------------------------------------


def test_frames_come_back_with_their_types():
    table = frame()
    model = AutoEncoder(2, max_iter=30, random_state=0).fit(table)
    found = model.reconstruct(table)
    pd.testing.assert_frame_equal(
        found.drop(columns="height"),
        table.drop(columns="height").assign(age=found["age"]),
    )
    assert np.abs(found["age"] - table["age"]).max() <= 5
    codes = model.transform(table)
    pd.testing.assert_frame_equal(
        model.inverse_transform(codes), found.reset_index(drop=True)
    )
    model.set_output(transform="pandas")
    assert_array_equal(model.inverse_transform(model.transform(table)), found)
    assert model.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]


def test_frames_of_polars():
    table = frame().astype({"job": str})
    table = pl.DataFrame(table.to_dict("list")).with_columns(
        pl.col("job").cast(pl.Categorical), pl.col("age").cast(pl.Int16)
    )
    model = AutoEncoder(2, max_iter=30, random_state=0).fit(table)
    found = model.reconstruct(table)
    assert found.schema == table.schema
    assert (found["job"].cast(pl.String) == table["job"].cast(pl.String)).all()


@pytest.mark.parametrize("dtype", ["int32", "bool", "float32", "float64"])
def test_arrays_come_back_with_their_type(dtype):
    given = (X > 0) if dtype == "bool" else X.astype(dtype)
    model = AutoEncoder(2, **FEW).fit(given)
    found = model.inverse_transform(model.transform(given))
    assert found.dtype == dtype
    assert_array_equal(found, model.reconstruct(given))


# -- noise, mask and sparsity ----------------------------------------------------------


def corrupted(model, given):
    """Return what the encoder reads in training mode, for scaled rows."""
    reader = model.module_.reader.train()
    reader.corruption.generator = torch.Generator().manual_seed(0)
    return reader(torch.tensor(given)).numpy()


def test_noise_and_mask_change_the_inputs_of_training_alone():
    given = rng.normal(size=(20000, 3))
    params = {**FEW, "max_iter": 1}
    noisy = AutoEncoder(2, noise=0.5, **params).fit(given)
    scaled = (given - given.mean(0)) / given.std(0)
    difference = corrupted(noisy, scaled) - scaled
    assert abs(difference.mean()) < 0.01
    assert_allclose(difference.std(), 0.5, rtol=0.02)
    masked = AutoEncoder(2, mask=0.3, **params).fit(given)
    read = corrupted(masked, scaled)
    assert_allclose((read == 0).mean(), 0.3, atol=0.01)
    assert_array_equal(read[read != 0], scaled[read != 0])
    for model in (noisy, masked):
        model.module_.eval()
        assert_array_equal(model.transform(given), model.transform(given))


def test_denoising_learns_to_remove_noise():
    clean = FACTORS[:, :1] * [1.0, -1.0, 1.0, -1.0]
    noise = rng.normal(size=clean.shape)
    errors = [
        np.mean(
            (
                AutoEncoder(4, noise=each, scaling=None, random_state=0)
                .fit(clean)
                .reconstruct(clean + noise)
                - clean
            )
            ** 2
        )
        for each in (0.0, 1.0)
    ]
    assert errors[1] < 0.8 * errors[0]


def test_sparsity_makes_each_value_active_for_few_rows():
    X = load_digits().data[:400]

    def activity(**params):
        model = AutoEncoder(16, scaling=None, max_iter=10, random_state=0, **params)
        codes = model.fit(X / 16).transform(X / 16)
        return (np.abs(codes) / np.sqrt(np.mean(codes**2, axis=0))).mean()

    assert activity(sparsity=0.1) < activity() - 0.1


def test_sparsity_is_added_to_the_training_loss_alone():
    params = {
        "batch_size": 200,
        "learning_rate_init": 1e-12,
        "learning_rate": "constant",
        "max_iter": 1,
        "tol": 0.0,
        **{**FEW, "max_iter": 1},
    }
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model = AutoEncoder(2, sparsity=0.5, **params).fit(X, X_val=X[:50])
    codes = model.transform(X)
    penalty = np.mean(np.abs(codes) / np.sqrt(np.mean(codes**2, axis=0)))
    assert_allclose(model.loss_, -model.score(X) + 0.5 * penalty)
    assert_allclose(model.history_[0]["valid_loss"], -model.score(X[:50]))


# -- outliers --------------------------------------------------------------------------


@pytest.mark.parametrize("outlier_score", ["error", "distance"])
def test_outliers_are_found(outlier_score):
    odd = np.concatenate([X[:190], rng.permuted(X[:10], axis=0)])
    params = {"contamination": 0.05, "outlier_score": outlier_score}
    model = AutoEncoder(2, max_iter=30, random_state=0, **params)
    found = model.fit_predict(odd)
    assert (found == -1).sum() == 10
    is_odd = np.arange(200) >= 190
    assert roc_auc_score(is_odd, -model.score_samples(odd)) > 0.95
    assert_allclose(
        model.decision_function(odd), model.score_samples(odd) - model.offset_
    )


def test_automatic_threshold_is_the_lower_fence_of_a_boxplot():
    model = AutoEncoder(2, **FEW).fit(X)
    scores = model.score_samples(X)
    low, high = np.percentile(scores, [25, 75], method="averaged_inverted_cdf")
    assert_allclose(model.offset_, low - 1.5 * (high - low))


def test_distance_is_that_of_numpy():
    weight = rng.integers(0, 3, 200)
    model = AutoEncoder(3, outlier_score="distance", **FEW)
    model.fit(X, sample_weight=weight)
    scaled = (X - model._inputs.mean_) / model._inputs.scale_
    raw = (model.reconstruct(X) - model._inputs.mean_) / model._inputs.scale_
    codes, errors = model.transform(X), np.mean((raw - scaled) ** 2, axis=1)
    kept = np.repeat(np.arange(200), weight)
    for _ in range(2):
        center = codes[kept].mean(0)
        covariance = np.cov(codes[kept].T, ddof=0)
        covariance += 1e-3 * np.trace(covariance) / 3 * np.eye(3)
        distances = [d @ np.linalg.solve(covariance, d) for d in codes - center]
        expected = distances + errors / errors[kept].mean()
        limit = np.percentile(expected[kept], 90, method="averaged_inverted_cdf")
        kept = kept[expected[kept] <= limit]
    assert_allclose(-model.score_samples(X), expected, rtol=1e-6)


def test_an_unusual_code_is_an_outlier_even_if_it_is_reconstructed():
    line = rng.normal(size=(200, 1)) @ [[1.0, 2.0, -1.0]]
    far = np.array([[9.0, 18.0, -9.0]])
    model = AutoEncoder(1, outlier_score="distance", **LINEAR).fit(line)
    assert model.predict(far) == -1
    assert_allclose(model.reconstruct(far), far, rtol=1e-2)
    by_error = AutoEncoder(1, **LINEAR).fit(line + 0.01 * X[:, :3] / X[:, :3].std(0))
    assert by_error.score_samples(far) > -0.1


# -- weights and sparse tables ---------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [{"outlier_score": "distance"}, {"sparsity": 0.1, "contamination": 0.1}],
    ids=str,
)
def test_weights_are_repeated_rows(params):
    weight = rng.integers(0, 3, 200)
    table = frame().iloc[np.arange(200) % 120].reset_index(drop=True)
    table = table.assign(height=table["height"] + rng.normal(size=200))
    table.loc[::7, "height"] = np.nan
    params = {**LINEAR, "max_iter": 30, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = AutoEncoder(2, **params).fit(table, sample_weight=weight)
        rows = table.iloc[np.repeat(np.arange(200), weight)]
        repeated = AutoEncoder(2, **params).fit(rows)
    assert_allclose(weighted.transform(table), repeated.transform(table), rtol=1e-5)
    assert_allclose(
        weighted.decision_function(table), repeated.decision_function(table), rtol=1e-5
    )


@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
def test_weights_of_partial_fit_and_of_validation_rows(make):
    weight = np.where(np.arange(200) < 100, 4.0, 0.0)
    params = {**FEW, "early_stopping": True}
    first = make(2, **params).fit(X, sample_weight=weight)
    second = make(2, **params).fit(X[:100], sample_weight=np.full(100, 2.0))
    assert_allclose(first.transform(X), second.transform(X))
    assert_allclose(first.validation_scores_, second.validation_scores_)
    first = make(2, **FEW).partial_fit(X, sample_weight=weight)
    second = make(2, **FEW).partial_fit(X[:100])
    assert_allclose(first.transform(X), second.transform(X))


@pytest.mark.parametrize("scaling", ["standard", None])
@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
def test_sparse_tables_are_read_as_dense_ones(make, scaling):
    dense = np.where(rng.random((100, 6)) < 0.6, 0.0, X[:100])
    dense[:, 3] = 0.0
    weight = rng.random(100)
    model, other = (make(2, scaling=scaling, **FEW) for _ in range(2))
    model.fit(dense, sample_weight=weight)
    other.fit(sparse.csr_matrix(dense), sample_weight=weight)
    for kind in (sparse.csr_array, sparse.csc_matrix):
        assert_allclose(other.transform(kind(dense)), model.transform(dense))
        assert_allclose(other.score_samples(kind(dense)), model.score_samples(dense))
    assert_allclose(other.reconstruct(dense), model.reconstruct(dense))
    with pytest.raises(ValueError, match="NaN"):
        other.fit(sparse.csr_array(np.full((3, 2), np.nan)))


# -- training --------------------------------------------------------------------------


def test_early_stopping_watches_the_validation_loss():
    model = AutoEncoder(
        2, early_stopping=True, n_iter_no_change=3, max_iter=200, random_state=0
    ).fit(X[:150], X_val=X[150:])
    losses = [record["valid_loss"] for record in model.history_]
    assert_allclose(model.validation_scores_, [-loss for loss in losses])
    assert_allclose(-model.score(X[150:]), min(losses), rtol=0.01, atol=1e-3)


def test_partial_fit_keeps_scales_and_categories():
    table = frame()
    model = AutoEncoder(1, **FEW).partial_fit(table[:60])
    scale = model._inputs.scale_.copy()
    model.partial_fit(table[60:].assign(age=1))
    assert_array_equal(model._inputs.scale_, scale)
    assert model.n_iter_ == 1
    assert model.t_ == 120


def test_more_capacity_reconstructs_better():
    curve = np.column_stack([FACTORS[:, 0], FACTORS[:, 0] ** 2])
    linear = AutoEncoder(1, **LINEAR).fit(curve)
    deep = AutoEncoder(1, hidden_layer_sizes=(16, 8), random_state=0).fit(curve)
    assert deep.score(curve) > 0.5 * linear.score(curve)


def test_codes_are_features_for_a_classifier():
    X, y = load_digits(return_X_y=True)
    encoder = AutoEncoder(16, scaling=None, max_iter=5, random_state=0)
    model = make_pipeline(StandardScaler(), encoder, LogisticRegression(max_iter=500))
    assert cross_val_score(model, X[:400], y[:400], cv=2).min() > 0.7


def test_searches_need_no_y():
    search = GridSearchCV(AutoEncoder(**FEW), {"code_size": [1, 3]}, cv=2).fit(X)
    assert search.best_params_ == {"code_size": 3}


@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
@pytest.mark.parametrize("trip", WAYS.values(), ids=WAYS)
def test_round_trips(trip, make):
    fitted = make(2, **FEW).fit(frame())
    again = trip(fitted)
    assert_array_equal(
        again.decision_function(frame()), fitted.decision_function(frame())
    )
    pd.testing.assert_frame_equal(
        again.reconstruct(frame()), fitted.reconstruct(frame())
    )
    again.partial_fit(frame())


class Killed(BaseException):
    pass


class KillsAfter:
    """A callback that ends a fit in its fourth epoch."""

    def __init__(self):
        self.n_left = 3

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_end = setup

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            self.n_left -= 1
            if self.n_left < 0:
                raise Killed


@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
def test_a_killed_fit_is_resumed_to_the_bit(tmp_path, make):
    params = {**FEW, "max_iter": 6, "noise": 0.3, "mask": 0.1, "early_stopping": True}
    expected = make(2, **params).fit(WITH_GAPS)
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Killed):
        make(2, **params).set_callbacks(Checkpoint(path), KillsAfter()).fit(WITH_GAPS)
    resumed = make(2, **params).set_callbacks(Checkpoint(path)).fit(WITH_GAPS)
    assert_array_equal(resumed.transform(X), expected.transform(X))
    assert resumed.loss_curve_ == expected.loss_curve_
    assert resumed.offset_ == expected.offset_


# -- fine-tuning -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("given", [X, WITH_GAPS], ids=["whole", "with gaps"])
def test_fine_tuning_starts_from_the_hidden_layers(make, given):
    model = AutoEncoder(2, **{**FEW, "hidden_layer_sizes": (8, 5)}).fit(given)
    head = make(max_iter=1, learning_rate="cosine", learning_rate_init=1e-12)
    network = model.fine_tune(head)
    assert head.initial_weights is None
    network.fit(given, np.arange(200) % 2)
    funnel, dense = model.module_.encoder, network.module_
    scaled = torch.tensor((given - model._inputs.mean_) / model._inputs.scale_)
    expected = model.module_.reader(scaled)
    (found,) = network._inputs.encode(
        network._checked_rows(given), torch.float64, torch.device("cpu")
    ).tensors
    for i in range(2):
        expected = funnel.activations[i](funnel.layers[i](expected))
        found = dense.activations[i](dense.layers[i](found))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_fine_tuning_refuses_what_cannot_start():
    model = AutoEncoder(2, **FEW).fit(X)
    with pytest.raises(TypeError, match="MLPClassifier or an MLPRegressor"):
        model.fine_tune(LogisticRegression())
    with pytest.raises(ValueError, match="batch_norm=True"):
        model.fine_tune(MLPClassifier(batch_norm=True))
    with pytest.raises(ValueError, match="numeric columns"):
        AutoEncoder(2, **FEW).fit(frame()).fine_tune(MLPClassifier())
    with pytest.raises(ValueError, match="hidden layers"):
        AutoEncoder(2, **LINEAR).fit(X).fine_tune(MLPClassifier())


# -- images ----------------------------------------------------------------------------

LAYOUTS = {
    "gray": ((8, 9), {}),
    "channels last": ((8, 7, 3), {}),
    "channels first": ((3, 8, 7), {}),
    "flat": ((63,), {"image_shape": (7, 9)}),
    "flat colors": ((84,), {"image_shape": (7, 4, 3)}),
    "signals": ((11, 2), {"channels": "last"}),
    "volumes": ((5, 6, 5), {"channels": None}),
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("make", [AutoEncoder, VariationalAutoEncoder])
def test_images_come_back_in_their_layout(make, layout, dtype):
    shape, params = layout
    images = rng.integers(0, 256, (20, *shape)).astype(dtype)
    model = make(2, filters=(4, 3), max_iter=1, random_state=0, **params).fit(images)
    found = model.reconstruct(images)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert model.transform(images).shape == (20, 2)
    assert_array_equal(model.inverse_transform(model.transform(images)), found)
    assert set(model.predict(images)) <= {-1, 1}
    if make is VariationalAutoEncoder:
        assert model.sample(2, random_state=0).shape == (2, *shape)
        assert model.interpolate(images[:1], images[1:2], 4).shape == (4, *shape)


def test_convolutions_learn_images():
    images = load_digits().images[:600]
    model = AutoEncoder(16, filters=(8, 16), max_iter=10, random_state=0).fit(images)
    # The mean of all pixels has the error 1.
    assert -model.score(images) < 0.3
    error = np.mean((model.reconstruct(images) - images) ** 2)
    assert_allclose(error / images.var(), -model.score(images))


def test_image_files(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = rng.integers(0, 256, (20, 7, 6, 3)).astype(np.uint8)
    paths = [str(tmp_path / f"{i}.png") for i in range(20)]
    for path, each in zip(paths, pixels, strict=True):
        image.fromarray(each).save(path)
    params = {**FEW, "filters": 4}
    model = AutoEncoder(2, **params).fit(paths)
    same = AutoEncoder(2, **params).fit(pixels)
    assert_array_equal(model.reconstruct(paths), same.reconstruct(pixels))
    assert_array_equal(model.score_samples(paths), same.score_samples(pixels))


def test_images_without_convolutions_are_rows():
    X, _ = load_digits(return_X_y=True)
    X = X[:100]
    model = AutoEncoder(2, image_shape=(8, 8), filters=(), **LINEAR).fit(X)
    best = PCA(2).fit(X)
    least = np.mean((best.inverse_transform(best.transform(X)) - X) ** 2)
    assert np.mean((model.reconstruct(X) - X) ** 2) <= 1.01 * least


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes must be > 0"),
        ({"solver": "lbfgs", "noise": 0.1}, "noise=0.1 makes it random"),
        ({"solver": "lbfgs", "mask": 0.1}, "mask=0.1 makes it random"),
        ({"solver": "lbfgs", "dropout": 0.1}, "dropout=0.1 makes it random"),
        ({"categorical_features": [9]}, "columns of X are 0 to 5"),
        ({"activation": "maxout"}, "'activation' parameter"),
        ({"contamination": 0.6}, "'contamination' parameter"),
        ({"code_size": 0}, "'code_size' parameter"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        AutoEncoder(**{**FEW, **params}).fit(X)


def test_bad_data():
    model = AutoEncoder(2, **FEW)
    with pytest.raises(ValueError, match="X holds no values"):
        model.fit(np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="infinity"):
        model.fit([[np.inf, 1.0]] * 5)
    with pytest.raises(ValueError, match="X_val does not fit: X has 5 features"):
        model.fit(X, X_val=X[:50, :5])
    with pytest.raises(ValueError, match="tied=True is for dense layers"):
        model.set_params(tied=True).fit(load_digits().images[:20])
    model = AutoEncoder(2, **FEW).fit(X)
    with pytest.raises(ValueError, match="code_size=2 values, got 3 columns"):
        model.inverse_transform(X[:, :3])
    with pytest.raises(ValueError, match="dim 3"):
        model.transform(X[np.newaxis])
    with pytest.raises(ValueError, match="largest value of X is 1e\\+200"):
        AutoEncoder(2, **FEW).fit(X.astype("float32")).transform(np.full((1, 6), 1e200))


def test_one_row_is_reconstructed():
    model = AutoEncoder(1, **FEW).fit(IRIS[:1])
    assert_allclose(model.reconstruct(IRIS[:1]), IRIS[:1], atol=1)
