"""Convolutional estimators on image files, good and bad."""

from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from skdeep import CNNClassifier
from skdeep.callbacks import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N = 10
rng = np.random.default_rng(0)
COLOR = rng.integers(0, 256, size=(N, 9, 8, 3)).astype("u1")
GRAY = COLOR[..., 0].copy()
y = np.arange(N) % 2


def classifier(**params):
    small = {"filters": 2, "hidden_layer_sizes": 3, "max_iter": 2, "batch_size": 4}
    return CNNClassifier(**{**small, "random_state": 0, **params})


def saved(images, folder, suffix="png"):
    """Write images to files; return their paths."""
    folder.mkdir(exist_ok=True)
    paths = [str(folder / f"{i}.{suffix}") for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def paths(tmp_path):
    return saved(COLOR, tmp_path / "color")


@pytest.fixture
def gray_paths(tmp_path):
    return saved(GRAY, tmp_path / "gray")


def assert_same(model, X, other, other_X):
    assert model.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(other_X))


# -- files as arrays -------------------------------------------------------------------

COLUMNS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda paths: np.array(paths, dtype=object),
    "column": lambda paths: np.array(paths)[:, np.newaxis],
    "series": lambda paths: pd.Series(paths, index=range(N, 0, -1)),
    "frame": lambda paths: pd.DataFrame({"file": paths}),
    "polars": lambda paths: pl.DataFrame({"file": paths}),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_files_equal_the_array_of_their_pixels(paths, column):
    X = COLUMNS[column](paths)
    assert_same(classifier().fit(X, y), X, classifier().fit(COLOR, y), COLOR)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"augment": ["flip", "mixup"]},
        {"scaling": "dtype", "memory_budget": np.inf},
        {"tta": "flip"},
    ],
    ids=str,
)
def test_files_read_for_each_batch(paths, params):
    """Files that do not fit the memory budget give the same model."""
    kept = classifier(**params).fit(paths, y)
    read = classifier(**params | {"memory_budget": 100}).fit(paths, y)
    assert_same(read, paths, kept, paths)
    np.testing.assert_array_equal(read.transform(paths), kept.transform(paths))


def test_gray_files(gray_paths):
    model = classifier().fit(gray_paths, y)
    assert model.image_shape_ == (1, 9, 8)
    assert_same(model, gray_paths, classifier().fit(GRAY, y), GRAY)


def test_files_then_arrays(paths, gray_paths):
    """A model of files predicts arrays of their pixels."""
    for files, pixels in ((paths, COLOR), (gray_paths, GRAY)):
        model = classifier().fit(files, y)
        expected = model.predict_proba(files)
        np.testing.assert_array_equal(model.predict_proba(pixels), expected)
        with pytest.raises(
            ValueError, match=r"X holds images of shape \(9, 7.* \(9, 8"
        ):
            model.predict(pixels[:, :, :7])
    with pytest.raises(ValueError, match="trained on arrays of images, but X holds pa"):
        classifier().fit(COLOR, y).predict(paths)


def test_resized_files(paths):
    model = classifier(image_size=(6, 5)).fit(paths, y)
    assert model.image_shape_ == (3, 6, 5)
    same = classifier(image_size=np.array([6, 5])).fit(paths, y)
    np.testing.assert_array_equal(same.predict_proba(paths), model.predict_proba(paths))
    assert classifier(image_size=6).fit(paths, y).image_shape_ == (3, 6, 6)
    resized = [np.asarray(Image.open(p).resize((5, 6), 2)) for p in paths]
    expected = classifier().fit(np.stack(resized), y)
    assert_same(model, paths, expected, np.stack(resized))


def test_sixteen_bits(tmp_path):
    deep = GRAY.astype("u2") * 250
    files = saved(deep, tmp_path / "deep")
    model = classifier().fit(files, y)
    assert_same(model, files, classifier().fit(deep, y), deep)


def test_transparent_files_are_laid_over_white(tmp_path):
    alpha = np.full((N, 9, 8, 1), 255, "u1")
    alpha[:, :4] = 0
    files = saved(np.concatenate([COLOR, alpha], axis=-1), tmp_path / "alpha")
    over_white = np.where(alpha == 0, 255, COLOR).astype("u1")
    model = classifier().fit(files, y)
    assert model.image_shape_ == (3, 9, 8)
    assert_same(model, files, classifier().fit(over_white, y), over_white)


def test_gray_beside_color(paths, gray_paths):
    mixed = paths[:5] + gray_paths[5:]
    as_color = COLOR.copy()
    as_color[5:] = GRAY[5:, :, :, np.newaxis]
    model = classifier().fit(mixed, y)
    assert_same(model, mixed, classifier().fit(as_color, y), as_color)


def test_other_channels_in_predict_are_converted(paths, gray_paths):
    """Each model reads files as in training: gray as color, color as gray."""
    repeated = np.repeat(GRAY[..., np.newaxis], 3, axis=-1)
    model = classifier().fit(paths, y)
    expected = model.predict_proba(repeated)
    np.testing.assert_array_equal(model.predict_proba(gray_paths), expected)
    model = classifier().fit(gray_paths, y)
    as_gray = np.stack([np.asarray(Image.open(p).convert("L")) for p in paths])
    expected = model.predict_proba(as_gray)
    np.testing.assert_array_equal(model.predict_proba(paths), expected)


# -- bad files -------------------------------------------------------------------------


def spoil(path, kind):
    """Replace a file by something that cannot be read; return the reason."""
    path = Path(path)
    if kind == "corrupt":
        path.write_bytes(path.read_bytes()[:100])
        return "cannot be decoded|is not an image"
    if kind == "no image":
        path.write_bytes(b"abc" * 50)
        return "is not an image that Pillow can read"
    path.unlink()
    if kind == "empty":
        path.touch()
        return "is empty"
    if kind == "folder":
        path.mkdir()
        return "is a folder"
    return "does not exist"


BAD = ["corrupt", "no image", "empty", "folder", "missing"]


@pytest.mark.parametrize("memory_budget", [2**30, 100])
@pytest.mark.parametrize("kind", BAD)
def test_bad_files(paths, kind, memory_budget):
    """All bad files are named at once, before any training, and in predict."""
    model = classifier(memory_budget=memory_budget).fit(paths, y)
    expected = model.predict(paths[:3])
    reasons = [spoil(path, kind) for path in (paths[4], paths[7])]
    epochs = []

    def record(net, **kwargs):
        epochs.append(net)

    again = classifier(memory_budget=memory_budget, augment=record)
    calls = {
        "fit": lambda: again.fit(paths, y),
        "predict": lambda: model.predict(paths),
        "transform": lambda: model.transform(paths),
        "partial_fit": lambda: model.partial_fit(paths, y),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=reasons[0]) as caught:
            call()
        text = str(caught.value)
        assert "X" in text and "4.png" in text, text
        # Later batches are not read any more.
        assert "7.png" in text or (name in ("predict", "transform")), text
    assert not epochs
    assert not hasattr(again, "module_")
    np.testing.assert_array_equal(model.predict(paths[:3]), expected)


def test_files_deleted_after_the_check(paths):
    """A file that vanishes during training is named by an error of fit."""

    def delete(x):
        for path in paths:
            Path(path).unlink(missing_ok=True)
        return x

    model = classifier(memory_budget=100, augment=delete)
    with pytest.raises(ValueError, match=r"X: .*cannot be read(.|\n)*png' does not"):
        model.fit(paths, y)
    assert not hasattr(model, "module_")


def test_kept_files_may_be_deleted(paths):
    def delete(x):
        for path in paths:
            Path(path).unlink(missing_ok=True)
        return x

    kept = classifier(augment=delete).fit(paths, y)
    assert len(kept.loss_curve_) == 2


def test_sizes_that_differ(paths, tmp_path):
    (larger,) = saved([np.zeros((9, 12, 3), "u1")], tmp_path / "larger")
    mixed = [*paths[:-1], larger]
    message = r"different sizes .*\(9, 8\).*\(9, 12\)\. Set image_size"
    with pytest.raises(ValueError, match=message):
        classifier().fit(mixed, y)
    assert classifier(image_size=8).fit(mixed, y).predict(mixed).shape == (N,)
    # After fit, files are resized to the size of the training images.
    assert classifier().fit(paths, y).predict([larger]).shape == (1,)


def test_files_smaller_than_the_stem(paths):
    message = "Images of 9 × 8 pixels are too small for architecture='lenet5'"
    with pytest.raises(ValueError, match=message):
        classifier(architecture="lenet5").fit(paths, y)
    resized = classifier(architecture="lenet5", image_size=12).fit(paths, y)
    assert resized.image_shape_ == (3, 12, 12)


@pytest.mark.parametrize("size", [0, -1, 2.5, "8", (8,), (8, 8, 3), (8, 0), True, {}])
def test_invalid_image_size(paths, size):
    with pytest.raises(ValueError, match=r"image_size"):
        classifier(image_size=size).fit(paths, y)


def test_paths_that_are_no_paths(paths):
    for other in (None, 3, np.nan, COLOR[0]):
        with pytest.raises(TypeError, match="X must hold paths of image files alone"):
            classifier().fit([*paths[:-1], other], y)
    with pytest.raises(ValueError, match="X"):
        classifier().fit(pd.DataFrame({"a": paths, "b": paths}), y)


def test_wrong_number_of_targets(paths):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier().fit(paths, y[:-1])
    with pytest.raises(ValueError, match="sample_weight"):
        classifier().fit(paths, y, sample_weight=np.ones(3))


# -- whole features on files -----------------------------------------------------------


def test_weights_partial_fit_and_validation_files(paths):
    weight = np.arange(N) % 3
    model = classifier().fit(paths, y, sample_weight=weight)
    assert_same(model, paths, classifier().fit(COLOR, y, sample_weight=weight), COLOR)
    model.partial_fit(paths[:6], y[:6])
    rest = dict(early_stopping=True)
    by_files = classifier(**rest).fit(paths[:6], y[:6], X_val=paths[6:], y_val=y[6:])
    by_array = classifier(**rest).fit(COLOR[:6], y[:6], X_val=COLOR[6:], y_val=y[6:])
    assert by_files.validation_scores_ == by_array.validation_scores_


def test_stored_models_read_files(paths, tmp_path):
    model = classifier(memory_budget=100).fit(paths, y)
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model")
    assert_same(model, paths, loaded, paths)


def test_checkpoint_knows_the_files(paths, tmp_path):
    model = classifier().set_callbacks(Checkpoint(tmp_path / "fit")).fit(paths, y)
    again = classifier().set_callbacks(Checkpoint(tmp_path / "fit")).fit(paths, y)
    assert_same(model, paths, again, paths)
    Image.fromarray(COLOR[1]).save(paths[0], compress_level=0)
    with pytest.raises(ValueError, match="X"):
        classifier().set_callbacks(Checkpoint(tmp_path / "fit")).fit(paths, y)
