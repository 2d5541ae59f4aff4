"""Any container and layout of the same images gives the same predictions."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_array
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CNNClassifier, CNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N = 10
rng = np.random.default_rng(0)
GRAY = rng.integers(0, 256, size=(N, 7, 6)).astype("u1")
COLOR = rng.integers(0, 256, size=(N, 7, 6, 3)).astype("u1")
SIGNALS = rng.normal(size=(N, 30)).astype("f4")
SEVERAL = rng.normal(size=(N, 30, 3)).astype("f4")
VOLUMES = rng.normal(size=(N, 5, 6, 7)).astype("f4")
y = np.arange(N) % 2


def classifier(**params):
    small = {"filters": 2, "hidden_layer_sizes": 3, "max_iter": 2, "batch_size": 5}
    return CNNClassifier(**{**small, "random_state": 0, **params})


def outputs(model, X):
    return model.predict_proba(X)


def assert_same_model(first, other, atol=1e-6):
    """Check fits and predictions of two pairs (parameters, X)."""
    (params, X), (other_params, other_X) = first, other
    model = classifier(**params).fit(X, y)
    again = classifier(**other_params).fit(other_X, y)
    assert again.image_shape_ == model.image_shape_
    np.testing.assert_allclose(again.loss_curve_, model.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(outputs(again, other_X), outputs(model, X), atol=atol)


# -- layouts ---------------------------------------------------------------------------

FLAT = {"image_shape": (7, 6)}
LAST, FIRST, NONE = ({"channels": each} for each in ("last", "first", None))
EQUAL = {
    "gray, channels last": ({}, GRAY, {}, GRAY[..., np.newaxis]),
    "gray, channels first": ({}, GRAY, {}, GRAY[:, np.newaxis]),
    "gray, flat": ({}, GRAY, FLAT, GRAY.reshape(N, -1)),
    "gray, flat with a channel": (
        {},
        GRAY,
        {"image_shape": [7, 6, 1]},
        GRAY.reshape(N, -1),
    ),
    "gray, image_shape without need": ({}, GRAY, FLAT, GRAY),
    "gray, channels=None": ({}, GRAY, NONE, GRAY),
    "color, channels first": ({}, COLOR, {}, COLOR.transpose(0, 3, 1, 2)),
    "color, told": ({}, COLOR, FIRST, COLOR.transpose(0, 3, 1, 2)),
    "color, flat": ({}, COLOR, {"image_shape": (7, 6, 3)}, COLOR.reshape(N, -1)),
    "color, flat, first": (
        {},
        COLOR,
        {"image_shape": np.array([3, 7, 6])},
        COLOR.transpose(0, 3, 1, 2).reshape(N, -1),
    ),
    "signals, channels last": ({}, SIGNALS, {}, SIGNALS[..., np.newaxis]),
    "signals, channels first": ({}, SIGNALS, {}, SIGNALS[:, np.newaxis]),
    "signals of 3 channels": ({}, SEVERAL, {}, SEVERAL.transpose(0, 2, 1)),
    "signals, told": (LAST, SEVERAL, FIRST, SEVERAL.transpose(0, 2, 1)),
    "volumes": ({}, VOLUMES[..., np.newaxis], NONE, VOLUMES),
    "volumes, channels first": (NONE, VOLUMES, FIRST, VOLUMES[:, np.newaxis]),
}


@pytest.mark.parametrize("name", EQUAL)
def test_layouts(name):
    params, X, other_params, other_X = EQUAL[name]
    assert_same_model((params, X), (other_params, other_X))


SHAPES = {
    (N, 20): (1, 20),
    (N, 30, 3): (3, 30),
    (N, 3, 30): (3, 30),
    (N, 7, 6): (1, 7, 6),
    (N, 7, 6, 3): (3, 7, 6),
    (N, 4, 7, 6): (4, 7, 6),
    (N, 7, 6, 5, 2): (2, 7, 6, 5),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape_of_images(shape):
    model = classifier(max_iter=1).fit(np.ones(shape), y)
    assert model.image_shape_ == SHAPES[shape]
    n_axes = len(SHAPES[shape]) - 1
    convolution = next(m for m in model.module_.modules() if hasattr(m, "kernel_size"))
    assert len(convolution.kernel_size) == n_axes


@pytest.mark.parametrize("shape", [(3, 9, 3), (9, 8, 7), (5, 100), (3, 4, 2)])
def test_channels_that_cannot_be_told(shape):
    with pytest.raises(ValueError, match=r"holds the channels cannot be told. Set"):
        classifier().fit(np.ones((N, *shape)), y)


def test_either_form_of_flat_images():
    flat = classifier(**FLAT).fit(GRAY.reshape(N, -1), y)
    whole = classifier(**FLAT).fit(GRAY, y)
    for model in (flat, whole):
        np.testing.assert_array_equal(outputs(model, GRAY), outputs(flat, GRAY))
        rows = GRAY.reshape(N, -1)
        np.testing.assert_array_equal(outputs(model, rows), outputs(flat, GRAY))
    assert flat.n_features_in_ == whole.n_features_in_ == 42


# -- wrong shapes ----------------------------------------------------------------------

WRONG = {
    "larger": (GRAY, np.ones((2, 8, 6)), r"shape \(8, 6\), .* shape \(7, 6\)"),
    "transposed": (GRAY, GRAY.transpose(0, 2, 1), r"\(6, 7\), .* \(7, 6\)"),
    "colored": (GRAY, COLOR, r"\(7, 6, 3\), .* \(7, 6\)"),
    "gray": (COLOR, GRAY, r"\(7, 6\), .* \(7, 6, 3\)"),
    "other channels": (COLOR, COLOR[..., :2], r"\(7, 6, 2\), .* \(7, 6, 3\)"),
    "channels first": (COLOR, COLOR.transpose(0, 3, 1, 2), r"\(3, 7, 6\), .* 6, 3\)"),
    "flat": (GRAY, GRAY.reshape(N, -1), r"\(42,\), .* \(7, 6\)"),
    "signals": (SIGNALS, SIGNALS[:, :20], "20 features, .* expecting 30"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes_name_both(name):
    X, other, message = WRONG[name]
    model = classifier(max_iter=1).fit(X, y)
    for method in (model.predict, model.transform, model.feature_maps):
        with pytest.raises(ValueError, match=message):
            method(other)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(other, y[: len(other)])
    with pytest.raises(ValueError, match=f"X_val and y_val do not fit.*{message}"):
        classifier(max_iter=1).fit(X, y, X_val=other[:2], y_val=y[:2])


@pytest.mark.parametrize("X", [GRAY, COLOR], ids=["gray", "color"])
def test_a_single_image(X):
    model = classifier(max_iter=1).fit(X, y)
    for method in (model.predict, model.transform, model.read_images):
        with pytest.raises(ValueError, match=r"X is a single image .*np\.newaxis"):
            method(X[0])
    assert model.predict(X[:1]).shape == (1,)


IMPOSSIBLE = {
    "no pixels": (np.ones((N, 0, 6)), {}, "without pixels|0 feature"),
    "5 axes": (np.ones((N, 2, 5, 5, 5, 3)), {}, r"1 to 3 axes"),
    "no channels": (SIGNALS, {"channels": "last"}, "channels='last' needs X with an"),
    "image_shape": (SIGNALS, FLAT, r"image_shape=\(7, 6\) has 42 values, .*\(10, 30\)"),
    "image_shape of images": (
        GRAY,
        {"image_shape": (7, 6, 1)},
        r"image_shape=\(7, 6, 1\) differs .* in X, \(7, 6\).*image_shape=None",
    ),
    "mixed sizes in a frame": (
        pd.DataFrame({"image": [GRAY[0], GRAY[1][:5]] * 5}),
        {},
        r"image 1 has \(5, 6\)",
    ),
    "mixed Pillow images": (
        [Image.fromarray(GRAY[0]), Image.fromarray(COLOR[1])] * 5,
        {},
        r"image 1 has \(7, 6, 3\)",
    ),
    "None among images": ([GRAY[0], None] * 5, {}, "Item 1 of X is not an image: None"),
    "number first": ([3, GRAY[0]] * 5, {}, "Item 0 of X is not an image: 3"),
    "empty list": ([], {}, r"X: Found array with 0 sample"),
    "a folder": (Path("photos"), {}, r"single path .*'photos'.*load_images"),
    "a path": ("photos/a.png", {}, r"single path 'photos/a.png'.* list of paths"),
    "sparse": (csr_array(GRAY[0]), {}, "^Sparse data was passed for X"),
    "wide integers": (
        GRAY.astype(int),
        {"scaling": "dtype"},
        "scaling='dtype' would divide X by .* int64, 9223.* to uint8",
    ),
    "mixed sizes": ([GRAY[0], GRAY[1][:5]] * 5, {}, r"image 1 has \(5, 6\)"),
    "ragged": ([GRAY[0].tolist(), [[1]]] * 5, {}, "X: setting an array element"),
    "path among images": ([GRAY[0], "a.png"] * 5, {}, "X must hold paths .* alone"),
    "complex": (GRAY + 1j, {}, "X must be numeric, got complex"),
    "text": (np.full((N, 7, 6), "a"), {}, "X must be numeric: could not convert"),
    "NaN": (np.where(VOLUMES > 2, np.nan, VOLUMES), NONE, "X contains NaN"),
    "too large": (np.full((N, 7, 6), 1e300), {}, r"X contains .* dtype\('float32'\)"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_images(name):
    X, params, message = IMPOSSIBLE[name]
    with pytest.raises((ValueError, TypeError), match=message):
        classifier(**params).fit(X, y)


# -- containers ------------------------------------------------------------------------


def in_memory_map(X, folder):
    mapped = np.memmap(folder / "X.bin", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    return np.memmap(folder / "X.bin", dtype=X.dtype, mode="r", shape=X.shape)


def read_only(X, folder):
    X = X.copy()
    X.flags.writeable = False
    return X


CONTAINERS = {
    "list of arrays": lambda X, p: list(X),
    "nested lists": lambda X, p: X.tolist(),
    "array of objects": lambda X, p: np.array([*X, None], dtype=object)[:-1],
    "series of arrays": lambda X, p: pd.Series(list(X), index=range(N, 0, -1)),
    "frame of arrays": lambda X, p: pd.DataFrame({"image": list(X)}),
    "polars frame of lists": lambda X, p: pl.DataFrame({"image": X.tolist()}),
    "Pillow images": lambda X, p: [Image.fromarray(x) for x in X],
    "memory map": in_memory_map,
    "read-only": read_only,
    "Fortran order": lambda X, p: np.asfortranarray(X),
    "strided": lambda X, p: np.repeat(X, 2, axis=1)[:, ::2],
    "negative strides": lambda X, p: X[:, ::-1].copy()[:, ::-1],
    "tensor": lambda X, p: torch.tensor(X),
    "list of tensors": lambda X, p: [torch.tensor(x) for x in X],
    "tensor with gradient": lambda X, p: torch.tensor(X).float().requires_grad_(),
    "int64": lambda X, p: X.astype(int),
    "uint16": lambda X, p: X.astype("u2"),
    "uint32": lambda X, p: X.astype("u4"),
    "uint64": lambda X, p: X.astype("u8"),
    "big-endian": lambda X, p: X.astype(">u2"),
    "big-endian floats": lambda X, p: X.astype(">f8"),
    "float16": lambda X, p: X.astype("f2"),
    "float32": lambda X, p: X.astype("f4"),
    "float64": lambda X, p: X.astype(float),
    "longdouble": lambda X, p: X.astype(np.longdouble),
    "objects": lambda X, p: X.astype(object),
    "text of numbers": lambda X, p: X.astype(str),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(container, tmp_path):
    X = CONTAINERS[container](GRAY, tmp_path)
    assert_same_model(({}, GRAY), ({}, X))


FRAMES = {
    "pandas": pd.DataFrame,
    "pandas of uint8 and int": lambda X: pd.DataFrame(X).astype({0: int}),
    "pandas nullable": lambda X: pd.DataFrame(X).convert_dtypes(),
    "polars": lambda X: pl.DataFrame(X),
}


@pytest.mark.parametrize("container", FRAMES)
def test_frames_of_flat_rows(container):
    rows = FRAMES[container](GRAY.reshape(N, -1))
    assert_same_model(({}, GRAY), (FLAT, rows))
    assert classifier(**FLAT).fit(rows, y).n_features_in_ == 42


def test_bool():
    X = GRAY > 100
    assert_same_model(({}, X), ({}, X.astype("u1")))


def test_column_names():
    names = [f"p{i}" for i in range(42)]
    rows = pd.DataFrame(GRAY.reshape(N, -1), columns=names)
    model = classifier(**FLAT).fit(rows, y)
    np.testing.assert_array_equal(model.feature_names_in_, names)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(rows.rename(columns={"p0": "other"}))


def test_user_arrays_do_not_change():
    X = GRAY.copy()
    model = classifier(augment=["flip", "cutout"], tta="flip").fit(X, y)
    model.predict(X)
    np.testing.assert_array_equal(X, GRAY)


# -- types and scaling -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_predictions_have_the_type_of_x(dtype):
    model = CNNRegressor(2, hidden_layer_sizes=3, max_iter=1, batch_size=5)
    predicted = model.fit(GRAY.astype(dtype), y).predict(GRAY.astype(dtype))
    assert predicted.dtype == ("f8" if dtype == "f8" else "f4")


SCALED = {
    "channel": lambda X: (X - X.mean((0, 1, 2))) / X.std((0, 1, 2)),
    "dtype": lambda X: X / 255,
    None: lambda X: X,
}


@pytest.mark.parametrize("scaling", SCALED)
def test_scaling(scaling):
    """The network gets scaled values; a model fitted to them without scaling agrees."""
    by_hand = SCALED[scaling](COLOR.astype(float))
    assert_same_model(
        ({"scaling": scaling, "dtype": "float64"}, COLOR),
        ({"scaling": None, "dtype": "float64"}, by_hand),
        atol=1e-9,
    )


def test_scaling_is_that_of_training_rows_with_their_weights():
    weight = np.arange(N) % 3
    model = classifier(dtype="float64").fit(COLOR, y, sample_weight=weight)
    rows = np.repeat(COLOR, weight, axis=0).astype(float)
    center, spread = rows.mean((0, 1, 2)), rows.std((0, 1, 2))
    other = COLOR[:3] // 2
    with torch.no_grad():
        scaled = torch.tensor((other - center) / spread).movedim(-1, 1)
        expected = model.net_.predict_proba(scaled)
    np.testing.assert_allclose(model.predict_proba(other), expected, atol=1e-9)


def test_values_far_from_zero():
    """The distance of the values from zero does not matter, also in float32."""
    assert_same_model(({}, GRAY), ({}, GRAY.astype(float) + 1e9))
    assert_same_model(({}, GRAY), ({}, GRAY.astype(np.int64) + 2**40))


def test_constant_channels_and_single_pixels():
    X = COLOR.copy()
    X[..., 1] = 77
    assert np.isfinite(classifier().fit(X, y).predict_proba(X)).all()
    tiny = rng.normal(size=(N, 7, 6)) * 1e-44  # less than a float32 holds
    assert np.isfinite(classifier().fit(tiny, y).predict_proba(tiny)).all()
    one = np.arange(N).reshape(N, 1, 1)
    assert classifier().fit(one, y).image_shape_ == (1, 1, 1)


def test_hidden_values_that_overflow():
    model = classifier().fit(SIGNALS * 1e-6, y)
    for method in (model.predict, model.transform, model.feature_maps):
        with pytest.raises(ValueError, match=r"non-finite .* largest value of X is"):
            method(SIGNALS * 1e36)


# -- memory ----------------------------------------------------------------------------


def peak_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pixels_are_not_copied(early_stopping):
    """numpy's memory stays far below that of the images, also with validation rows."""
    X = np.zeros((5_000, 20, 20), "u1")
    X[::2] = 3
    target = np.arange(len(X)) % 2
    model = classifier(
        filters=1, pool_size=20, hidden_layer_sizes=(), max_iter=1, batch_size=500
    )
    model.set_params(early_stopping=early_stopping)
    model.fit(X[:2000], target[:2000])  # what is imported and cached at first use
    assert peak_of(lambda: model.fit(X, target)) < X.nbytes
    assert peak_of(lambda: model.predict(X)) < X.nbytes


def test_memory_map_is_not_loaded(tmp_path):
    # A sparse file of 3 GB: pages that are not read take neither disk nor memory.
    shape = (3_000_000, 32, 32)
    X = np.memmap(tmp_path / "X.bin", dtype="u1", mode="w+", shape=shape)
    rows = X[:40]
    rows[::2] = 1
    model = classifier(filters=1, max_iter=1).fit(rows, np.arange(40) % 2)
    assert peak_of(lambda: model.predict(X[-50:])) < 2**22


# -- scikit-learn ----------------------------------------------------------------------


def test_pipeline_with_scaler_on_flat_rows():
    rows = GRAY.reshape(N, -1)
    steps = make_pipeline(StandardScaler(), classifier(**FLAT)).fit(rows, y)
    scaled = StandardScaler().fit_transform(rows)
    alone = classifier(**FLAT).fit(scaled.reshape(N, 7, 6), y)
    np.testing.assert_allclose(steps.predict_proba(rows), outputs(alone, scaled))


def test_cross_val_score_on_paths(tmp_path):
    paths = []
    for i, pixels in enumerate(COLOR):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(pixels).save(paths[-1])
    model = classifier(batch_size="auto")
    from_paths = cross_val_score(model, paths, y, cv=2, error_score="raise")
    from_array = cross_val_score(model, COLOR, y, cv=2, error_score="raise")
    np.testing.assert_array_equal(from_paths, from_array)
