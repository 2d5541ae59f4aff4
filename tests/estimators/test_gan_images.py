"""GAN on images, signals and volumes."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from skdeep import GAN

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

FEW = {
    "hidden_layer_sizes": (8,),
    "code_size": 4,
    "filters": (4, 3),
    "max_iter": 1,
    "random_state": 0,
}
LAYOUTS = {
    "gray": ((7, 9), {}),
    "colors last": ((7, 4, 3), {}),
    "colors first": ((3, 6, 6), {}),
    "flat": ((63,), {"image_shape": (7, 9)}),
    "flat colors": ((84,), {"image_shape": (7, 4, 3)}),
    "signals": ((11, 2), {"channels": "last"}),
    "volumes": ((5, 6, 5), {"channels": None}),
}


@pytest.fixture(scope="module")
def digits():
    return load_digits(n_class=5, return_X_y=True)


@pytest.fixture(scope="module")
def trained(digits):
    X, y = digits
    names = np.array(list("abcde"))[y]
    model = GAN(
        hidden_layer_sizes=(64,),
        filters=(8, 16),
        image_shape=(8, 8),
        batch_size=32,
        max_iter=12,
        random_state=0,
    )
    return model.fit(X.astype("uint8"), names)


def test_digits_are_recognized_as_asked(trained, digits):
    X, y = digits
    judge = SVC().fit(X, y)
    samples = trained.sample(500, y=np.tile(list("abcde"), 100), random_state=0)
    assert samples.shape == (500, 64)
    assert judge.score(samples, np.tile(np.arange(5), 100)) > 0.7


def test_digits_of_a_label_are_diverse(trained, digits):
    X, y = digits
    for digit, label in enumerate("abcde"):
        samples = trained.sample(100, y=label, random_state=0).astype(float)
        variance = samples.var(0).sum() / X[y == digit].var(0).sum()
        assert 0.3 < variance < 1.5


def test_samples_have_the_range_of_the_images(trained):
    samples = trained.sample(200, random_state=0)
    assert samples.dtype == np.uint8
    assert samples.min() == 0
    assert samples.max() in (15, 16)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_come_back_in_their_layout(layout, dtype):
    shape, params = LAYOUTS[layout]
    images = np.random.default_rng(0).integers(0, 256, (12, *shape)).astype(dtype)
    samples = GAN(**FEW, **params).fit(images).sample(5, random_state=0)
    assert (samples.shape, samples.dtype) == ((5, *shape), images.dtype)
    assert images.min() <= samples.min() and samples.max() <= images.max()


def test_images_of_true_and_false():
    images = load_digits().images[:50] > 8
    samples = GAN(**FEW).fit(images).sample(5, random_state=0)
    assert samples.dtype == bool
    assert samples.any() and not samples.all()


@pytest.mark.parametrize("params", [{"pack_size": 2}, {"loss": "wasserstein"}])
def test_options_of_the_game_with_images_and_labels(params, digits):
    X, y = digits
    model = GAN(**FEW, image_shape=(8, 8), **params).fit(X[:51], y[:51])
    assert model.sample(3, y=3, random_state=0).shape == (3, 64)
    assert np.isfinite(model.history_[-1]["discriminator_loss"])


def test_images_without_convolutions(digits):
    X, y = digits
    model = GAN(**FEW | {"filters": ()}, image_shape=(8, 8)).fit(X[:50], y[:50])
    assert model.sample(3, y=3, random_state=0).shape == (3, 64)


def test_partial_fit_of_images():
    images = load_digits().images
    model = GAN(**FEW).partial_fit(images[:40]).partial_fit(images[40:80])
    assert model.sample(2, random_state=0).shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"\(9, 8\)"):
        model.partial_fit(np.zeros((4, 9, 8)))


def test_packs_show_that_a_mode_is_lost():
    # Red is bright where blue is dark, in images of 16 × 16 pixels.
    rng = np.random.default_rng(0)
    red = rng.integers(0, 2, size=(200, 1, 1)) * 200 + 20
    images = np.full((200, 16, 16, 3), 100, dtype="uint8")
    images[..., 0], images[..., 2] = red, 255 - red
    model = GAN(
        hidden_layer_sizes=(32,), filters=(8, 16), batch_size=32, pack_size=4,
        max_iter=30, random_state=0,
    )  # fmt: skip
    samples = model.fit(images).sample(100, random_state=0).astype(float)
    means = samples.mean((1, 2))
    assert np.corrcoef(means[:, 0], means[:, 2])[0, 1] < -0.9
    assert 0.2 < (means[:, 0] > 120).mean() < 0.8
    assert abs(means[:, 1].mean() - 100) < 15


@pytest.mark.parametrize(
    "images, params, message",
    [
        (np.zeros((1, 8, 8)), {}, "at least 2 rows of X"),
        (np.full((9, 8, 8), 7), {}, "X has one value, 7: nothing varies"),
        (np.full((9, 8, 8), np.nan), {}, "NaN"),
        (np.full((9, 8, 8), np.inf), {}, "infinity"),
        (np.zeros((9, 64)), {"image_shape": (8, 9)}, "image_shape"),
        (np.zeros((9, 3, 3, 3)), {}, "holds the channels cannot be told"),
        (np.zeros((9, 8, 8)), {"filters": (0,)}, "filters"),
    ],
)
def test_images_that_do_not_fit(images, params, message):
    with pytest.raises(ValueError, match=message):
        GAN(**FEW | params).fit(images)


def test_labels_of_images_that_do_not_fit(digits):
    X, y = digits
    with pytest.raises(ValueError, match="inconsistent"):
        GAN(**FEW, image_shape=(8, 8)).fit(X[:20], y[:19])
