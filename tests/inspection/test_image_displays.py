"""FilterDisplay, ActivationDisplay and MisclassifiedDisplay draw what they should."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep import CNNClassifier, CNNRegressor, MLPClassifier
from skdeep.inspection import (
    ActivationDisplay,
    FilterDisplay,
    MisclassifiedDisplay,
)
from tests.inspection.image_data import (
    BYTES,
    COLOR,
    FLAT,
    GRAY,
    LABELS,
    LAYOUTS,
    SIDE,
    write_files,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]


def quick(**params):
    settings = dict(hidden_layer_sizes=4, max_iter=1, batch_size=8, random_state=0)
    return CNNClassifier((3, 5), **{**settings, **params})


MODEL = quick().fit(BYTES, LABELS)
COLOR_MODEL = quick().fit(COLOR, LABELS)


def weights(model, k):
    layers = [m for m in model.module_.modules() if hasattr(m, "kernel_size")]
    convolutions = [m for m in layers if hasattr(m, "weight")]
    return convolutions[k].weight.detach().numpy()


def pictures(display):
    return [np.asarray(image.get_array()) for image in display.images_]


def heights(display):
    return [line.get_ydata() for line in display.lines_]


def title(display):
    return display.figure_.get_suptitle().replace("\n", " ")


# -- filters ---------------------------------------------------------------------------


def test_filters_of_gray_images():
    display = FilterDisplay.from_estimator(MODEL)
    expected = weights(MODEL, 0)
    assert display.filters.shape == (3, 1, 3, 3)
    np.testing.assert_array_equal(pictures(display), expected[:, 0])
    limit = np.abs(expected).max()
    for image in display.images_:
        np.testing.assert_allclose(image.get_clim(), (-limit, limit))
    assert display.colorbar_.ax.get_ylabel() == "weight"
    assert [ax.get_title() for ax in display.axes_] == ["0", "1", "2"]
    assert display.ax_ is display.axes_[0]
    assert title(display) == "CNNClassifier: filters of body.blocks.conv1.conv"


def test_filters_of_color_images_are_colors():
    display = FilterDisplay.from_estimator(COLOR_MODEL, name="mine")
    expected = weights(COLOR_MODEL, 0)
    scaled = 0.5 + expected / (2 * np.abs(expected).max())
    np.testing.assert_allclose(pictures(display), np.moveaxis(scaled, 1, -1))
    assert display.colorbar_ is None
    assert title(display).startswith("mine: filters of ")


@pytest.mark.parametrize("layer", [1, -1, "conv2", "body.blocks.conv2.conv"])
def test_filters_of_a_deeper_layer_are_means(layer):
    display = FilterDisplay.from_estimator(COLOR_MODEL, layer, n_filters=4)
    expected = weights(COLOR_MODEL, 1)[:4].mean(axis=1)
    np.testing.assert_allclose(pictures(display), expected)
    assert title(display).endswith("(mean over 3 channels)")


@pytest.mark.parametrize("channel", [0, 2, "mean"])
def test_channel(channel):
    display = FilterDisplay.from_estimator(COLOR_MODEL, channel=channel)
    found = weights(COLOR_MODEL, 0)
    expected = found.mean(axis=1) if channel == "mean" else found[:, channel]
    np.testing.assert_allclose(pictures(display), expected)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_filters_of_signals_are_lines(n_channels):
    X = np.random.default_rng(0).normal(size=(20, 12, n_channels))
    model = quick(channels="last").fit(X, LABELS[:20])
    display = FilterDisplay.from_estimator(model)
    expected = weights(model, 0)
    np.testing.assert_array_equal(heights(display), np.concatenate(expected))
    assert len(display.axes_) == 3
    assert not display.images_
    assert len({ax.get_ylim() for ax in display.axes_}) == 1


def test_filters_of_volumes_are_middle_slices():
    X = np.random.default_rng(0).random((12, 5, 5, 5, 1))
    model = quick().fit(X, LABELS[:12])
    display = FilterDisplay.from_estimator(model)
    np.testing.assert_array_equal(pictures(display), weights(model, 0)[:, 0, 1])


def test_filters_inside_meta_estimators():
    search = GridSearchCV(quick(), {"max_iter": [1]}, cv=2)
    search.fit(BYTES, LABELS)
    display = FilterDisplay.from_estimator(search)
    expected = weights(search.best_estimator_, 0)[:, 0]
    np.testing.assert_array_equal(pictures(display), expected)
    assert title(display).startswith("CNNClassifier")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 2}, "^layer must be the name of a layer or a number below 2, .*2"),
        ({"layer": True}, "^layer must be"),
        ({"layer": 0.5}, "^layer must be"),
        ({"layer": "conv9"}, "^layer='conv9' is not the name of a conv"),
        ({"channel": 1}, "^channel must be 'auto', 'mean' or a number below 1, .*1"),
        ({"channel": "min"}, "^channel must be .* got 'min'"),
        ({"cmap": "gry"}, "^cmap must be a matplotlib Colormap .* got 'gry'"),
        ({"cmap": 3}, "^cmap must be a matplotlib Colormap"),
        ({"n_filters": 0}, "^n_filters must be a positive integer, got 0"),
        ({"n_filters": True}, "^n_filters must be a positive integer, got True"),
        ({"ax": plt.Figure().subplots(2)}, "^ax must be one .* of the 3 .* got 2"),
    ],
)
def test_bad_arguments_of_filters(arguments, message):
    with pytest.raises(ValueError, match=message):
        FilterDisplay.from_estimator(MODEL, **arguments)


def test_estimators_without_filters():
    with pytest.raises(NotFittedError):
        FilterDisplay.from_estimator(quick())
    for model in [MLPClassifier((2,), max_iter=1), LogisticRegression()]:
        model.fit(FLAT, LABELS)
        with pytest.raises(TypeError, match="has no convolutional layers"):
            FilterDisplay.from_estimator(model)
    with pytest.raises(TypeError, match="^name must be a str or None, got 3"):
        FilterDisplay.from_estimator(MODEL, name=3)
    with pytest.raises(TypeError, match="^ax must be a matplotlib Axes, got str"):
        FilterDisplay.from_estimator(MODEL, ax="left")


# -- where it is drawn -----------------------------------------------------------------


def test_axes_for_each_filter():
    figure, axes = plt.subplots(1, 3)
    display = FilterDisplay.from_estimator(MODEL, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    assert figure.get_suptitle() == ""


def test_axes_whose_place_is_taken():
    figure, (left, right) = plt.subplots(1, 2)
    displays = [
        FilterDisplay.from_estimator(MODEL, ax=left),
        ActivationDisplay.from_estimator(MODEL, BYTES, ax=right),
    ]
    figure.canvas.draw()
    for display, ax in zip(displays, (left, right), strict=True):
        assert ax.get_title().startswith("CNNClassifier: ")
        assert not ax.axison
        box = ax.get_position()
        for inside in display.axes_:
            place = inside.get_position()
            assert box.x0 - 1e-6 <= place.x0 <= place.x1 <= box.x1 + 1e-6
    loose = figure.add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"^ax must be an axes of plt\.subplots"):
        FilterDisplay.from_estimator(MODEL, ax=loose)


# -- activations -----------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 1, "conv1"])
def test_image_and_its_maps(layer):
    display = ActivationDisplay.from_estimator(MODEL, BYTES, layer, row=7)
    expected = MODEL.feature_maps(BYTES[7:8], layer)[0]
    np.testing.assert_array_equal(pictures(display), expected)
    np.testing.assert_allclose(display.picture_.get_array(), BYTES[7] / 255)
    assert display.ax_ is display.image_ax_
    for image in display.images_:
        assert image.get_clim() == (0, pytest.approx(expected.max()))
    assert title(display) == f"CNNClassifier: feature maps of layer {layer}"
    assert display.colorbar_.ax.get_ylabel() == "activation"


def test_maps_of_both_signs_have_a_symmetric_scale():
    name = "body.blocks.conv1.conv"
    display = ActivationDisplay.from_estimator(MODEL, BYTES, name)
    low, high = display.images_[0].get_clim()
    assert low == -high == -np.abs(MODEL.feature_maps(BYTES[:1], name)).max()


def test_strongest_maps_are_drawn_in_order():
    display = ActivationDisplay.from_estimator(MODEL, BYTES, 1, n_maps=2)
    maps = MODEL.feature_maps(BYTES[:1], 1)[0]
    best = sorted(np.argsort(np.abs(maps).mean(axis=(1, 2)))[-2:])
    assert list(display.numbers) == best
    np.testing.assert_array_equal(pictures(display), maps[best])
    assert [ax.get_title() for ax in display.axes_] == [str(k) for k in best]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_single_image_of_any_layout(layout):
    X, params = LAYOUTS[layout]
    model = quick(**params).fit(X, LABELS)
    if layout == "frame":
        display = ActivationDisplay.from_estimator(model, X, row=3)
        rows = X[3:4]
    else:
        display = ActivationDisplay.from_estimator(model, X[3])
        rows = X[3:4]
    np.testing.assert_array_equal(pictures(display), model.feature_maps(rows)[0])
    assert display.image.shape[:2] == (SIDE, SIDE)
    expected = np.asarray(rows)[0]
    if layout == "color first":
        expected = np.moveaxis(expected, 0, -1)
    np.testing.assert_array_equal(display.image.ravel(), expected.ravel())


def test_signal_and_its_maps():
    X = np.random.default_rng(0).normal(size=(20, 12))
    model = quick().fit(X, LABELS[:20])
    display = ActivationDisplay.from_estimator(model, X[4])
    signal, *maps = heights(display)
    np.testing.assert_array_equal(signal, X[4])
    np.testing.assert_array_equal(maps, model.feature_maps(X[4:5])[0])
    assert display.picture_ is None
    assert display.colorbar_ is None


def test_volume_and_its_maps():
    X = np.random.default_rng(0).random((12, 5, 5, 5, 1))
    model = quick().fit(X, LABELS[:12])
    display = ActivationDisplay.from_estimator(model, X)
    np.testing.assert_array_equal(display.picture_.get_array(), X[0, 2, :, :, 0])
    maps = model.feature_maps(X[:1])[0]
    np.testing.assert_array_equal(pictures(display), maps[:, maps.shape[1] // 2])


def test_maps_of_a_file(tmp_path):
    paths = write_files(tmp_path, BYTES[:12])
    model = quick().fit(paths, LABELS[:12])
    for X in (paths[5], [paths[5]]):
        display = ActivationDisplay.from_estimator(model, X)
        np.testing.assert_allclose(display.picture_.get_array(), BYTES[5] / 255)


def test_maps_in_a_pipeline():
    model = make_pipeline(StandardScaler(), quick(image_shape=(SIDE, SIDE)))
    model.fit(FLAT, LABELS)
    display = ActivationDisplay.from_estimator(model, FLAT, row=2)
    expected = model[-1].feature_maps(model[:-1].transform(FLAT[2:3]))[0]
    np.testing.assert_array_equal(pictures(display), expected)
    np.testing.assert_array_equal(display.image[..., 0], GRAY[2])  # before the scaling


def test_bad_arguments_of_activations():
    draw = ActivationDisplay.from_estimator
    with pytest.raises(TypeError, match="^estimator=LinearRegression has no feature"):
        draw(LinearRegression().fit(FLAT, GRAY[:, 0, 0]), FLAT)
    for row in (96, -97, 0.5, True):
        with pytest.raises(IndexError, match=f"has 96 rows, got {row!r}"):
            draw(MODEL, BYTES, row=row)
    with pytest.raises(ValueError, match="^layer='dense1.linear' is not the name"):
        draw(MODEL, BYTES, "dense1.linear")
    with pytest.raises(ValueError, match="^layer='head' has no maps"):
        draw(MODEL, BYTES, "head")
    with pytest.raises(ValueError, match="^n_maps must be a positive integer, got -1"):
        draw(MODEL, BYTES, n_maps=-1)
    with pytest.raises(ValueError, match="^cmap must be a matplotlib Colormap"):
        draw(MODEL, BYTES, cmap="gry")
    with pytest.raises(TypeError, match="^ax must be a matplotlib Axes, got list"):
        draw(MODEL, BYTES, ax=[])


# -- mistakes --------------------------------------------------------------------------


def worst(model, X, y, n):
    """Return the rows of the n worst mistakes, and all mistakes, by a plain loop."""
    chances = model.predict_proba(X)
    found = []
    for row, label in enumerate(y):
        best = chances[row].argmax()
        if model.classes_[best] != label:
            found.append((-chances[row, best], row))
    return [row for _, row in sorted(found)[:n]], len(found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_worst_mistakes(layout):
    X, params = LAYOUTS[layout]
    model = quick(**params).fit(X, LABELS)
    y = np.random.default_rng(0).permutation(LABELS)
    display = MisclassifiedDisplay.from_estimator(model, X, y, n_images=5)
    rows, n = worst(model, X, y, 5)
    assert list(display.rows) == rows
    assert (display.n_mistakes, display.n_samples) == (n, 96)
    images = np.asarray(X)[rows]
    if layout == "color first":
        images = np.moveaxis(images, 1, -1)
    assert display.images.shape[1:3] == (SIDE, SIDE)
    np.testing.assert_array_equal(display.images.ravel(), images.ravel())
    for k, row in enumerate(rows):
        chance = model.predict_proba(X)[row].max()
        caption = f"{model.predict(X)[row]}  {chance:.2f}\ntrue: {y[row]}"
        assert display.axes_[k].get_title() == caption
    assert title(display) == (f"CNNClassifier: {n} of 96 wrong, the 5 most confident")


def test_bytes_and_fractions_keep_their_brightness():
    y = np.where(LABELS == "checks", "plain", "checks")
    drawn = MisclassifiedDisplay.from_predictions(BYTES[:3], y[:3], LABELS[:3])
    np.testing.assert_allclose(pictures(drawn), BYTES[:3] / 255)
    fractions = COLOR[:3] / 255
    drawn = MisclassifiedDisplay.from_predictions(fractions, y[:3], LABELS[:3])
    np.testing.assert_allclose(pictures(drawn), fractions)
    wide = 40.0 * GRAY[:3] - 7
    drawn = MisclassifiedDisplay.from_predictions(wide, y[:3], LABELS[:3])
    span = wide.max() - wide.min()
    np.testing.assert_allclose(pictures(drawn), (wide - wide.min()) / span, atol=1e-12)


def test_mistakes_in_files(tmp_path):
    paths = write_files(tmp_path, BYTES[:12])
    model = quick().fit(paths, LABELS[:12])
    y = np.where(model.predict(paths) == "plain", "checks", "plain")
    display = MisclassifiedDisplay.from_estimator(model, paths, y, n_images=3)
    np.testing.assert_array_equal(display.images[..., 0], BYTES[display.rows])


def test_mistakes_of_a_pipeline_are_drawn_as_its_input():
    model = make_pipeline(StandardScaler(), quick(image_shape=(SIDE, SIDE)))
    model.fit(FLAT, LABELS)
    y = np.roll(LABELS, 5)
    display = MisclassifiedDisplay.from_estimator(model, FLAT, y)
    np.testing.assert_array_equal(display.images[..., 0], GRAY[display.rows])
    assert list(display.rows) == worst(model, FLAT, y, 16)[0]


def test_mistakes_of_a_pipeline_that_makes_the_images():
    crop = FunctionTransformer(lambda X: X[:, :7, 1:])
    model = make_pipeline(crop, quick()).fit(BYTES, LABELS)
    display = MisclassifiedDisplay.from_estimator(model, BYTES, np.roll(LABELS, 5))
    np.testing.assert_array_equal(display.images[..., 0], BYTES[display.rows, :7, 1:])


def test_images_of_rows_of_features():
    model = LogisticRegression(max_iter=5).fit(FLAT[:, :3], LABELS)
    X, y = FLAT[:, :3], np.roll(LABELS, 5)
    with pytest.raises(ValueError, match=r"^X holds no images, .* \(3,\)\. Pass"):
        MisclassifiedDisplay.from_estimator(model, X, y)
    with pytest.raises(ValueError, match="^images must have one image for each of"):
        MisclassifiedDisplay.from_estimator(model, X, y, images=GRAY[:5])
    display = MisclassifiedDisplay.from_estimator(model, X, y, images=GRAY)
    np.testing.assert_array_equal(display.images[..., 0], GRAY[display.rows])


def test_mistakes_in_signals_are_lines():
    X = np.random.default_rng(0).normal(size=(6, 12))
    display = MisclassifiedDisplay.from_predictions(X, [0] * 6, [0, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(heights(display), X[[1, 3]])


def test_no_mistakes():
    y = MODEL.predict(BYTES)
    display = MisclassifiedDisplay.from_estimator(MODEL, BYTES, y)
    assert display.text_.get_text() == "No mistakes in 96 samples."
    assert display.images_ == []
    assert display.ax_.get_title() == "CNNClassifier"
    assert len(display.images) == 0


def test_order_of_given_probabilities():
    y_true, y_pred = [0, 1, 1, 0, 1], [1, 1, 0, 1, 0]
    chances = [0.7, 0.99, 0.6, 0.9, 0.6]
    images = BYTES[:5]
    draw = MisclassifiedDisplay.from_predictions
    display = draw(images, y_true, y_pred, y_proba=chances, name="mine")
    assert list(display.rows) == [3, 0, 2, 4]  # ties in the order of the rows
    assert title(display) == "mine: 4 of 5 wrong"
    assert display.axes_[0].get_title() == "1  0.90\ntrue: 0"
    table = np.c_[chances, 1 - np.array(chances)]
    assert list(draw(images, y_true, y_pred, y_proba=table).rows) == [3, 0, 2, 4]
    plain = draw(images, y_true, y_pred, n_images=2)
    assert list(plain.rows) == [0, 2]
    assert title(plain) == "4 of 5 wrong, the 2 first"
    flat = draw(FLAT[:5], y_true, y_pred, image_shape=(SIDE, SIDE))
    np.testing.assert_array_equal(flat.images[..., 0], GRAY[[0, 2, 3, 4]])


def test_channels_first_of_given_images():
    first = np.moveaxis(COLOR, -1, 1)
    display = MisclassifiedDisplay.from_predictions(first[:2], [0, 0], [1, 1])
    np.testing.assert_array_equal(display.images, COLOR[:2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_true": [0, 1]}, r"^y_true must have one class .* 3 images, .*\(2,\)"),
        ({"y_pred": [[0, 1]] * 3}, r"^y_pred must have one class .*\(3, 2\)"),
        ({"y_proba": [0.5, 2, 0.5]}, r"^y_proba must hold probabilities, .* got 2"),
        ({"y_proba": [0.5, np.nan, 0.5]}, "^y_proba must hold probabilities"),
        ({"y_proba": [0.5]}, r"^y_proba must have shape \(3,\) or .* got \(1,\)"),
        ({"y_proba": ["a"] * 3}, "y_proba"),
        ({"n_images": 0}, "^n_images must be a positive integer, got 0"),
        ({"images": ["a.png"] * 3}, "^images must hold numbers"),
        ({"images": [1, 2, 3]}, r"^images must hold images, .* got shape \(3,\)"),
        ({"image_shape": 8}, "^image_shape must be a tuple of positive int"),
        ({"image_shape": (8, -8)}, "^image_shape must be a tuple of positive int"),
        ({"image_shape": (3, 3)}, r"^image_shape=\(3, 3\) has 9 values, but images"),
    ],
)
def test_bad_arguments_of_mistakes(changes, message):
    arguments = {"images": BYTES[:3], "y_true": [0, 0, 1], "y_pred": [1, 1, 1]}
    with pytest.raises(ValueError, match=message):
        MisclassifiedDisplay.from_predictions(**arguments | changes)


def test_estimators_that_cannot_err():
    draw = MisclassifiedDisplay.from_estimator
    regressor = CNNRegressor(2, max_iter=1, batch_size=8).fit(BYTES, GRAY[:, 0, 0])
    with pytest.raises(TypeError, match="^estimator must be a classifier .* CNNRegr"):
        draw(regressor, BYTES, LABELS)
    several = quick().fit(BYTES[:8], np.eye(8, 2, dtype=int))
    with pytest.raises(TypeError, match="^estimator must predict a single class"):
        draw(several, BYTES[:8], LABELS[:8])
    with pytest.raises(ValueError, match="^y must have one class for each of the 96"):
        draw(MODEL, BYTES, LABELS[:4])
    with pytest.raises(NotFittedError):
        draw(quick(), BYTES, LABELS)
