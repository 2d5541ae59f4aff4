"""SamplesDisplay draws samples of generators beside real rows."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_random_state

from skdeep import GAN, SamplesDisplay, VariationalAutoEncoder

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

RNG = np.random.RandomState(0)
N = 200
TABLE = pd.DataFrame(
    {
        "age": RNG.randint(20, 70, N),
        "height": RNG.normal(170, 10, N),
        "job": RNG.choice(["clerk", "nurse", "smith"], N, p=[0.6, 0.3, 0.1]),
        "size": pd.Categorical(
            RNG.choice(["small", "medium", "large"], N),
            categories=["small", "medium", "large"],
            ordered=True,
        ),
        "owner": RNG.rand(N) < 0.25,
    }
)
TABLE["weight"] = 0.7 * TABLE["height"] + RNG.normal(0, 3, N)
TABLE.loc[::4, "height"] = np.nan
IMAGES = RNG.randint(0, 256, (30, 6, 4)).astype(np.uint8)
LABELS = np.array(["a", "b", "c"])[np.arange(30) % 3]
PLANE = RNG.normal(size=(80, 2))


class Repeater(BaseEstimator):
    """Samples rows of the training data, of the labels asked for."""

    def fit(self, X, y=None):
        self.X_, self.y_ = X, y
        return self

    def sample(self, n_samples=1, y=None, random_state=None):
        rng = check_random_state(random_state)
        self.asked_ = y
        if y is None:
            rows = rng.randint(len(self.X_), size=n_samples)
        else:
            rows = [rng.choice(np.flatnonzero(self.y_ == label)) for label in y]
        return self.X_.iloc[rows] if hasattr(self.X_, "iloc") else self.X_[rows]


def titles(display):
    return [ax.get_title() or ax.get_xlabel() for ax in display.axes_]


def stairs(ax):
    """Return values and edges of the two histograms of an axes."""
    return [patch.get_data()[:2] for patch in ax.patches]


def bars(ax):
    """Return the widths of the bars of both kinds, by category."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    real, samples = ([bar.get_width() for bar in group] for group in ax.containers)
    return {name: pair for name, *pair in zip(names, real, samples, strict=True)}


def assert_bars(ax, expected):
    """Check the bars and their order."""
    found = bars(ax)
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()))


def points(ax):
    """Return the points of both kinds in a scatter plot."""
    (found,) = ax.collections
    is_real = np.isclose(
        found.get_facecolors()[:, :3], plt.matplotlib.colors.to_rgb("C0")
    ).all(1)
    places = np.asarray(found.get_offsets())
    return places[is_real], places[~is_real]


# -- tables ----------------------------------------------------------------------------


def test_panels_of_a_table():
    display = SamplesDisplay(TABLE, TABLE[::2], estimator_name="copy").plot()
    assert titles(display) == [*TABLE, "missing entries", "height", "age", "age"]
    assert display.ax_ is display.axes_[0]
    assert display.figure_.get_suptitle() == "copy"
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == ["real", "samples"]
    display.figure_.canvas.draw()


def test_histograms_have_common_bins_and_shares():
    samples = TABLE.assign(height=TABLE["height"] + 100)
    display = SamplesDisplay(TABLE, samples, columns=["height"]).plot()
    (real, edges), (sampled, others) = stairs(display.ax_)
    assert len(edges) == 31
    np.testing.assert_array_equal(edges, others)
    known = TABLE["height"].dropna()
    low, high = np.quantile(known, [0.005, 0.995])
    margin = (high - low) / 10
    np.testing.assert_allclose(edges[[0, -1]], [low - margin, high + margin])
    inside = known.clip(edges[0], edges[-1])
    np.testing.assert_allclose(real, np.histogram(inside, edges)[0] / len(known))
    assert real.sum() == pytest.approx(1)
    np.testing.assert_allclose(sampled, np.arange(30) == 29)  # beyond the range


def test_whole_numbers_have_a_bin_each():
    real, samples = np.array([[0, 1, 1, 3]]).T, np.array([[1, 2]]).T
    display = SamplesDisplay(real, samples).plot()
    (shares, edges), (sampled, _) = stairs(display.ax_)
    np.testing.assert_array_equal(edges, [-0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(shares, [0.25, 0.5, 0, 0.25])
    np.testing.assert_array_equal(sampled, [0, 0.5, 0.5, 0])
    assert display.ax_.get_title() == "column 0"


def test_bars_of_categories():
    real = pd.DataFrame({"job": ["a", "b", "b", None], "owner": [True] * 3 + [False]})
    samples = pd.DataFrame({"job": ["c", "b", None, None], "owner": [True, False] * 2})
    display = SamplesDisplay(real, samples).plot()
    job, owner, missing = display.axes_
    assert_bars(job, {"b": [2 / 3, 0.5], "a": [1 / 3, 0], "c": [0, 0.5]})
    assert_bars(owner, {"True": [0.75, 0.5], "False": [0.25, 0.5]})
    assert_bars(missing, {"job": [0.25, 0.5]})
    assert missing.get_title() == "missing entries"


def test_ordered_categories_keep_their_order():
    display = SamplesDisplay(TABLE, TABLE, columns=["size"]).plot()
    assert list(bars(display.ax_)) == ["small", "medium", "large"]


def test_many_categories():
    names = [f"category {k:02}" for k in range(14)]
    real = pd.DataFrame({"name": np.repeat(names, range(14, 0, -1))})
    samples = pd.DataFrame({"name": [*names, "a name longer than its place"]})
    display = SamplesDisplay(real, samples).plot()
    found = bars(display.ax_)
    assert list(found) == [*names[:9], "6 others"]
    assert found["6 others"] == pytest.approx([15 / 105, 6 / 15])
    assert found["category 00"] == pytest.approx([14 / 105, 1 / 15])


def test_categories_are_the_same_as_floats_and_integers():
    real = pd.DataFrame({"code": pd.Categorical([1, 2, 1])})
    samples = pd.DataFrame({"code": pd.Categorical([1.0, 2.0])})
    display = SamplesDisplay(real, samples).plot()
    assert_bars(display.ax_, {"1": [2 / 3, 0.5], "2": [1 / 3, 0.5]})


def test_pairs_are_the_most_correlated():
    display = SamplesDisplay(TABLE, TABLE.iloc[:50]).plot(n_pairs=1)
    ax = display.axes_[-1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "weight")
    real, samples = points(ax)
    whole = TABLE[["height", "weight"]].dropna()
    n = len(whole.iloc[:38])
    assert len(real) == len(samples) <= n
    for found, rows in ((real, whole), (samples, TABLE.iloc[:50])):
        x, y = rows["height"], rows["weight"]
        known = {(round(a, 6), round(b, 6)) for a, b in zip(x, y, strict=True)}
        inside = [tuple(row) for row in found.round(6) if tuple(row) in known]
        assert len(inside) > 0.9 * len(found)  # others lie at the edges


@pytest.mark.parametrize("n_pairs", [0, 2, np.int64(3)])
def test_number_of_pairs(n_pairs):
    display = SamplesDisplay(TABLE, TABLE).plot(n_pairs=n_pairs)
    assert len(display.axes_) == 7 + n_pairs


def test_vectors_in_a_plane():
    display = SamplesDisplay(PLANE, PLANE[:30] / 2).plot()
    (ax,) = display.axes_
    real, samples = points(ax)
    assert len(real) == len(samples) == 30
    assert {tuple(row) for row in samples} == {tuple(row) for row in PLANE[:30] / 2}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 0", "column 1")


def test_points_beyond_the_range_lie_at_the_edges():
    display = SamplesDisplay(PLANE, PLANE * 1000).plot()
    samples = points(display.ax_)[1]
    for values, limits in zip(
        samples.T, (display.ax_.get_xlim(), display.ax_.get_ylim()), strict=True
    ):
        assert (values.min(), values.max()) == pytest.approx(limits)


@pytest.mark.parametrize(
    "columns",
    [["weight", "job"], [5, 2], np.array([5, 2]), pd.Index(["weight", "job"])],
)
def test_chosen_columns(columns):
    display = SamplesDisplay(TABLE, TABLE, columns=columns).plot()
    assert titles(display) == ["weight", "job"]


def test_a_wide_table():
    X = RNG.normal(size=(20, 40))
    display = SamplesDisplay(X, X, estimator_name="wide").plot()
    assert len(display.axes_) == 16 + 3
    assert display.figure_.get_suptitle() == "wide (16 of 40 columns)"


@pytest.mark.parametrize(
    "kind",
    [
        lambda X: pl.DataFrame(X.to_dict("list")).with_columns(
            pl.col("height").fill_nan(None)
        ),
        lambda X: X.to_numpy(),
        lambda X: X.to_numpy().tolist(),
    ],
    ids=["polars", "array", "list"],
)
def test_kinds_of_tables(kind):
    X = TABLE.drop(columns="size")
    display = SamplesDisplay(kind(X), X).plot()
    expected = SamplesDisplay(X, X).plot()
    for found, own in zip(display.axes_, expected.axes_, strict=True):
        if found.containers:
            assert list(bars(found).values()) == list(bars(own).values())
        elif found.patches:
            np.testing.assert_array_equal(stairs(found)[0][0], stairs(own)[0][0])
        else:
            np.testing.assert_array_equal(points(found)[0], points(own)[0])


def test_tensors():
    display = SamplesDisplay(torch.tensor(PLANE, requires_grad=True), PLANE).plot()
    real, samples = ({tuple(row) for row in part} for part in points(display.ax_))
    assert real == samples


def test_columns_that_are_constant_or_empty():
    real = pd.DataFrame({"one": [1.5] * 3, "none": [None] * 3, "nan": [np.nan] * 3})
    real["large"] = [2**64 - 1] * 3
    display = SamplesDisplay(real, real).plot()
    assert titles(display) == ["one", "none", "nan", "large", "missing entries"]
    assert stairs(display.ax_)[0][0].sum() == 1
    display.figure_.canvas.draw()


# -- images ----------------------------------------------------------------------------


def tiles(ax, n_rows, n_columns, shape=(6, 4), gap=1):
    """Return the images of a grid, (n_rows, n_columns, height, width, ...)."""
    (image,) = ax.images
    canvas = np.ma.filled(image.get_array(), np.nan)
    height, width = shape
    return np.array(
        [
            [
                canvas[
                    row * (height + gap) : row * (height + gap) + height,
                    column * (width + gap) : column * (width + gap) + width,
                ]
                for column in range(n_columns)
            ]
            for row in range(n_rows)
        ]
    )


def test_grids_of_images():
    display = SamplesDisplay(IMAGES, IMAGES[20:28], estimator_name="copy").plot()
    assert titles(display) == ["real", "samples"]
    assert display.figure_.get_suptitle() == "copy"
    assert display.legend_ is None
    real, samples = (tiles(ax, 3, 3).reshape(9, 6, 4) for ax in display.axes_)
    np.testing.assert_allclose(real, IMAGES[:9] / 255)
    np.testing.assert_allclose(samples[:8], IMAGES[20:28] / 255)
    assert np.isnan(samples[8]).all()
    display.figure_.canvas.draw()


@pytest.mark.parametrize("layout", ["last", "first", "flat"])
def test_color_images(layout):
    images = RNG.rand(4, 6, 5, 3)
    given, shape = images, None
    if layout == "first":
        given = np.moveaxis(images, -1, 1)
    elif layout == "flat":
        given, shape = images.reshape(4, -1), (6, 5, 3)
    display = SamplesDisplay(given, given, image_shape=shape).plot()
    found = tiles(display.ax_, 2, 2, (6, 5)).reshape(4, 6, 5, 4)
    np.testing.assert_allclose(found[..., :3], images)
    assert (found[..., 3] == 1).all()


def test_rows_of_classes():
    display = SamplesDisplay(
        IMAGES, IMAGES[:7], y_real=LABELS, y_samples=LABELS[:7]
    ).plot()
    for ax in display.axes_:
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert labels == ["a", "b", "c"]
        found = tiles(ax, 3, 3)
        np.testing.assert_allclose(found[0], IMAGES[[0, 3, 6]] / 255)
        np.testing.assert_allclose(found[2, :2], IMAGES[[2, 5]] / 255)
    assert np.isnan(found[2, 2]).all()  # there are two samples of this class


def test_signals_and_volumes():
    signals = RNG.normal(size=(9, 12))
    display = SamplesDisplay(signals, signals[:5], image_shape=(12,)).plot()
    assert [len(ax.lines) for ax in display.axes_] == [6, 5]
    low, high = signals[:6].min(), signals[:6].max()
    line = display.axes_[1].lines[0].get_ydata()
    expected = 0.92 - 0.84 * (signals[0] - low) / (high - low)
    np.testing.assert_allclose(line, expected)
    volumes = RNG.rand(4, 5, 6, 4, 1)
    display = SamplesDisplay(volumes, volumes).plot()
    found = tiles(display.ax_, 2, 2).reshape(4, 6, 4)
    np.testing.assert_allclose(found, volumes[:, 2, :, :, 0])


def test_samples_are_drawn_in_the_scale_of_real_images():
    real, samples = np.linspace(-1, 3, 24).reshape(1, 6, 4), np.full((1, 6, 4), 9.0)
    display = SamplesDisplay(real, samples).plot()
    np.testing.assert_allclose(tiles(display.ax_, 1, 1)[0, 0], (real[0] + 1) / 4)
    assert (tiles(display.axes_[1], 1, 1) == 1).all()


# -- estimators ------------------------------------------------------------------------


def test_variational_autoencoder_of_a_table():
    X = TABLE.astype({"job": "category"})
    model = VariationalAutoEncoder(2, max_iter=1, random_state=0).fit(X)
    display = SamplesDisplay.from_estimator(model, X, random_state=0)
    pd.testing.assert_frame_equal(display.samples, model.sample(N, random_state=0))
    assert display.real is X
    assert display.figure_.get_suptitle() == "VariationalAutoEncoder"
    assert len(display.axes_) == 6 + 1 + 3


@pytest.mark.parametrize("is_flat", [False, True])
def test_variational_autoencoder_of_images(is_flat):
    X = IMAGES.reshape(30, -1) if is_flat else IMAGES
    shape = (6, 4) if is_flat else None
    model = VariationalAutoEncoder(2, max_iter=1, image_shape=shape, random_state=0)
    display = SamplesDisplay.from_estimator(
        model.fit(X), X, n_samples=4, random_state=0
    )
    expected = model.sample(4, random_state=0)
    found = tiles(display.axes_[1], 2, 2).reshape(4, 6, 4)
    np.testing.assert_allclose(found, expected.reshape(4, 6, 4) / 255)
    found = (255 * tiles(display.ax_, 2, 2)).round().reshape(4, 6, 4)
    assert all((image == IMAGES).all((1, 2)).any() for image in found)


def test_samples_beside_images_of_files(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(30)]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path)
    model = Repeater().fit(IMAGES)
    display = SamplesDisplay.from_estimator(model, paths, random_state=0)
    expected = SamplesDisplay.from_estimator(model, IMAGES, random_state=0)
    np.testing.assert_array_equal(display.real, expected.real)
    assert display.samples.shape == (36, 6, 4)


def test_gan_by_label():
    model = GAN(4, (8,), filters=(2,), max_iter=1, random_state=0).fit(IMAGES, LABELS)
    display = SamplesDisplay.from_estimator(
        model, IMAGES, y=LABELS, n_samples=6, random_state=0
    )
    expected = model.sample(6, y=["a", "a", "b", "b", "c", "c"], random_state=0)
    found = tiles(display.axes_[1], 3, 2).reshape(6, 6, 4)
    np.testing.assert_allclose(found, expected / 255)
    unlabeled = GAN(4, (8,), filters=(2,), max_iter=1, random_state=0).fit(IMAGES)
    with pytest.raises(ValueError, match="^y needs a GAN that was fitted with labels"):
        SamplesDisplay.from_estimator(unlabeled, IMAGES, y=LABELS)


@pytest.mark.parametrize(
    "model",
    [KernelDensity(), GaussianMixture(2, random_state=0)],
    ids=["KernelDensity", "GaussianMixture"],
)
def test_generators_of_sklearn(model):
    model = model.fit(PLANE)
    display = SamplesDisplay.from_estimator(model, PLANE, n_samples=20, random_state=0)
    expected = model.sample(20)[0] if isinstance(model, GaussianMixture) else None
    if expected is None:
        expected = model.sample(20, random_state=0)
    assert display.samples.shape == (20, 2)
    assert len(expected) == 20
    if isinstance(model, KernelDensity):
        np.testing.assert_array_equal(display.samples, expected)
    assert display.figure_.get_suptitle() == type(model).__name__


def test_a_pipeline_samples_in_the_units_of_its_input():
    X = PLANE * [1, 100] + [5, 0]
    model = make_pipeline(StandardScaler(), PCA(), KernelDensity(bandwidth=0.1))
    search = GridSearchCV(model, {"kerneldensity__bandwidth": [0.2]}, cv=2).fit(X)
    display = SamplesDisplay.from_estimator(search, X, random_state=0)
    fitted = search.best_estimator_
    expected = fitted[:-1].inverse_transform(fitted[-1].sample(80, random_state=0))
    np.testing.assert_allclose(display.samples, expected)
    assert display.real is X
    assert display.figure_.get_suptitle() == "KernelDensity"


def test_a_pipeline_whose_steps_have_no_inverse():
    model = make_pipeline(FunctionTransformer(np.exp), PCA(1), KernelDensity())
    model.steps.insert(0, ("two", _NoInverse()))
    display = SamplesDisplay.from_estimator(model.fit(PLANE), PLANE)
    np.testing.assert_allclose(display.real, model[:-1].transform(PLANE))
    assert np.shape(display.samples) == (80, 1)


class _NoInverse(BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True


def test_images_by_class():
    model = Repeater().fit(IMAGES, LABELS)
    display = SamplesDisplay.from_estimator(
        model, IMAGES, y=LABELS, n_samples=7, random_state=0
    )
    assert list(display.y_samples) == ["a", "a", "b", "b", "c", "c"]
    assert sorted(display.y_real) == list(display.y_samples)
    for ax in display.axes_:
        for label, row in zip("abc", tiles(ax, 3, 2), strict=True):
            of_class = IMAGES[LABELS == label] / 255
            for image in row:
                assert np.isclose(of_class, image).all((1, 2)).any()


def test_default_number_of_images():
    model = Repeater().fit(IMAGES, LABELS)
    assert len(SamplesDisplay.from_estimator(model, IMAGES).samples) == 36
    display = SamplesDisplay.from_estimator(model, IMAGES, y=LABELS)
    assert len(display.samples) == 24


def test_rows_of_a_table_are_asked_for_with_the_frequencies_of_y():
    y = np.repeat(["rare", "usual"], [20, N - 20])
    model = Repeater().fit(TABLE, y)
    display = SamplesDisplay.from_estimator(
        model, TABLE, y=pd.Series(y), n_samples=1000, random_state=0
    )
    assert (model.asked_ == "rare").mean() == pytest.approx(0.1, abs=0.03)
    assert len(display.samples) == 1000


def test_the_same_seed_draws_the_same():
    model = Repeater().fit(IMAGES)
    displays = [
        SamplesDisplay.from_estimator(model, IMAGES, n_samples=9, random_state=seed)
        for seed in (0, 0, 1)
    ]
    for name in ("real", "samples"):
        first, same, other = (getattr(display, name) for display in displays)
        np.testing.assert_array_equal(first, same)
        assert (first != other).any()


# -- where it is drawn -----------------------------------------------------------------


def test_where_it_is_drawn():
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    table = SamplesDisplay(TABLE, TABLE, estimator_name="t").plot(ax=left)
    images = SamplesDisplay(IMAGES, IMAGES, estimator_name="i").plot(ax=right)
    assert (left.get_title(), right.get_title()) == ("t", "i")
    assert table.figure_ is images.figure_ is figure
    assert table.legend_.axes is table.ax_
    _, axes = plt.subplots(1, 2)
    display = SamplesDisplay(IMAGES, IMAGES).plot(ax=axes)
    assert list(display.axes_) == list(axes)
    display = SamplesDisplay(PLANE, PLANE).plot(ax=axes[0])
    assert display.figure_ is axes[0].figure


def test_names_are_not_formulas():
    real = pd.DataFrame({"$x": [1.0, 2.0, 3.0], "$y$": ["$a$", "$b", "c"]})
    display = SamplesDisplay(real, real, estimator_name="$model").plot()
    display.figure_.canvas.draw()


# -- errors ----------------------------------------------------------------------------


def draw(model=None, X=PLANE, **arguments):
    return SamplesDisplay.from_estimator(model or Repeater().fit(X), X, **arguments)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: draw(LogisticRegression().fit(PLANE, PLANE[:, 0] > 0)),
            TypeError,
            "^estimator=LogisticRegression cannot sample: it has no method sample",
        ),
        (
            lambda: draw(KernelDensity().fit(PLANE), y=np.zeros(80)),
            TypeError,
            "^estimator=KernelDensity cannot sample by label: .* Leave out y",
        ),
        (lambda: draw(KernelDensity()), NotFittedError, "KernelDensity"),
        (lambda: draw(n_samples=0), ValueError, "^n_samples must be a positive int"),
        (lambda: draw(n_samples=10**30), ValueError, "^n_samples=10.* is too large"),
        (lambda: draw(random_state="a"), ValueError, "^Invalid random_state: 'a'"),
        (lambda: draw(X=PLANE.astype(complex)), ValueError, "^X must hold real num"),
        (
            lambda: draw(KernelDensity().fit(PLANE), X=sparse.eye(3, 2).tocsr()),
            TypeError,
            "^X must be dense",
        ),
        (lambda: draw(columns=np.array(1)), TypeError, "^columns must be a list"),
        (lambda: draw(n_samples="all"), ValueError, "^n_samples must be .* 'all'"),
        (lambda: draw(n_pairs=-1), ValueError, "^n_pairs must be .* from 0, got -1"),
        (lambda: draw(n_pairs=1.5), ValueError, "^n_pairs must be .* got 1.5"),
        (lambda: draw(y=[1, 2]), ValueError, "^y must have one class .* 80 rows"),
        (lambda: draw(name=3), TypeError, "^name must be a str or None, got 3"),
        (lambda: draw(ax="left"), TypeError, "^ax must be a matplotlib Axes, got str"),
        (
            lambda: draw(X=TABLE, columns=["agee"]),
            ValueError,
            "^columns holds 'agee', which is not among the 6 columns .* mean 'age'",
        ),
        (lambda: draw(columns=[2]), ValueError, "^columns holds 2, .* the 2 columns"),
        (lambda: draw(columns=[True]), ValueError, "^columns holds True"),
        (lambda: draw(columns="age"), TypeError, "^columns must be a list of names"),
        (lambda: draw(columns=3), TypeError, "^columns must be a list of names .* 3"),
        (lambda: draw(columns=[]), ValueError, "^columns must name at least one"),
        (
            lambda: SamplesDisplay(TABLE, TABLE[["age"]].assign(height2=1)).plot(),
            ValueError,
            "^real and samples must have the same columns, .* lacks .*'height'.* and "
            r"real lacks \['height2'\]",
        ),
        (
            lambda: SamplesDisplay(PLANE, PLANE[:, :1]).plot(),
            ValueError,
            "^real and samples must have the same columns, got 2 and 1 of them",
        ),
        (
            lambda: SamplesDisplay(TABLE, TABLE.assign(age="old")).plot(),
            ValueError,
            "^Column 'age' of samples must hold real numbers, .* got 'old'",
        ),
        (
            lambda: SamplesDisplay(PLANE[:, 0], PLANE[:, 0]).plot(),
            ValueError,
            r"^real must be a table .* got shape \(80,\)",
        ),
        (
            lambda: SamplesDisplay(PLANE[:0], PLANE).plot(),
            ValueError,
            "^real must have at least one row",
        ),
        (
            lambda: SamplesDisplay(pd.concat([TABLE, TABLE], axis=1), TABLE).plot(),
            ValueError,
            "^real must have different names",
        ),
        (
            lambda: SamplesDisplay([[1e308], [-1e308]], [[1.0]]).plot(),
            ValueError,
            r"^Column 0 of real has values too large to draw, such as 1e\+308",
        ),
        (
            lambda: SamplesDisplay(IMAGES, IMAGES[:, :5]).plot(),
            ValueError,
            r"^real and samples must hold images of the same shape, got \(6, 4, 1\)",
        ),
        (
            lambda: SamplesDisplay(IMAGES, IMAGES[:0]).plot(),
            ValueError,
            "^samples must have at least one image",
        ),
        (
            lambda: SamplesDisplay(IMAGES, IMAGES, y_real=LABELS).plot(),
            ValueError,
            "^y_real and y_samples must both be given",
        ),
        (
            lambda: SamplesDisplay(
                IMAGES, IMAGES, y_real=LABELS, y_samples=LABELS[:3]
            ).plot(),
            ValueError,
            "^y_samples must have one class for each of the 30 images",
        ),
        (
            lambda: SamplesDisplay(IMAGES, IMAGES).plot(ax=plt.subplots(1, 3)[1]),
            ValueError,
            "^ax must be one matplotlib Axes, or hold one for each of the 2",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_arguments_of_the_constructor_are_attributes():
    display = SamplesDisplay(1, 2)
    for name in inspect.signature(SamplesDisplay).parameters:
        assert hasattr(display, name)
