"""Samples of a generator beside real rows: grids of images, or columns of tables."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples

from skdeep._input_checks import (
    check_count,
    check_fitted,
    check_name,
    is_integer,
    naming,
    tensor_to_numpy,
)
from skdeep.encoding import ImageFiles, find_format, is_paths
from skdeep.inspection._images import check_labels, guess_images
from skdeep.inspection._nested import innermost, innermost_input, outermost_output
from skdeep.inspection._pictures import grid_axes, write_title
from skdeep.inspection._sample_columns import compared_columns
from skdeep.inspection._sample_grids import (
    draw_mosaic,
    draw_signals,
    fill_classes,
    fill_grid,
    grid_size,
    joint_pictures,
    limits_of_pictures,
)
from skdeep.inspection._sample_panels import NAMES, draw_legend, panels_of, shorten

_N_IMAGES, _N_IMAGES_OF_CLASS, _MOST_CLASSES = 36, 8, 20
_MOST_ROWS = 5000  # that are sampled of a table


class SamplesDisplay:
    """Samples of a generator beside real rows.

    Use :meth:`from_estimator` to make one. Images are drawn as two grids, the real ones
    on the left. Of a table each column is drawn, a histogram of numbers or the shares
    of categories, and after them the shares of missing entries, and scatter plots of
    the pairs of numeric columns that are correlated the most. Of arrays of two numeric
    columns only the scatter plot is drawn.

    Parameters
    ----------
    real : array-like or data frame of shape (n_real, n_features), or images
        Real rows. Images have three or more axes, or ``image_shape`` is given.
    samples : array-like or data frame of shape (n_samples, n_features), or images
        Sampled rows, with the same columns. All images of these are drawn, and as many
        real ones.
    y_real, y_samples : array-like of shape (n_real,) and (n_samples,), default=None
        Labels of images. With labels there is a row of images for each, at most 20.
    columns : list of str or int, default=None
        Names or positions of the columns to draw; None draws the first 16.
    image_shape : tuple of int, default=None
        Shape of one image, if the rows are flat.
    estimator_name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes of the two grids of images; or those of the columns, of the missing
        entries if there are any, and of the pairs.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    legend_ : matplotlib Legend or None
        The legend of the colors.

    See Also
    --------
    skdeep.GAN, skdeep.VariationalAutoEncoder : Networks that sample rows.
    sklearn.neighbors.KernelDensity : Samples of few numeric columns.

    Notes
    -----
    A histogram ranges from the 0.5 % to the 99.5 % quantile of the real values, with a
    margin of a tenth of this on both sides. Values beyond it are counted in the
    outermost bins, and drawn at the edges of scatter plots. Bars are shares of the
    known entries. Scatter plots have at most 1000 points of each kind.

    Pictures of columns and pairs do not tell whether samples are copies of real rows,
    or how useful they are. Train an estimator on the samples and score it on real
    rows for that.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skdeep.inspection import SamplesDisplay
    >>> X, _ = load_iris(return_X_y=True, as_frame=True)
    >>> model = GaussianMixture(3, random_state=0).fit(X)
    >>> display = SamplesDisplay.from_estimator(model, X)
    >>> len(display.axes_)  # four columns and three pairs
    7
    >>> plt.show()
    """

    def __init__(
        self,
        real,
        samples,
        *,
        y_real=None,
        y_samples=None,
        columns=None,
        image_shape=None,
        estimator_name=None,
    ):
        self.real = real
        self.samples = samples
        self.y_real = y_real
        self.y_samples = y_samples
        self.columns = columns
        self.image_shape = image_shape
        self.estimator_name = estimator_name
        self._real_name = "real"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_samples="auto",
        y=None,
        columns=None,
        n_pairs=3,
        image_shape=None,
        random_state=None,
        ax=None,
        name=None,
    ):
        """Sample from a fitted generator, and draw the samples beside real rows.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method ``sample``, such as :class:`~skdeep.GAN`
            or :class:`~skdeep.VariationalAutoEncoder`, or a mixture or density of
            scikit-learn. Of a Pipeline or a search, the estimator inside samples, and
            ``inverse_transform`` of the steps before it is applied if they have it.
        X : array-like or data frame of shape (n_real, n_features), or images
            Real rows, as those that the estimator was fitted on; also paths of images.
        n_samples : int or "auto", default="auto"
            Number of samples to draw. "auto": as many as there are real rows, at most
            5000; 36 images, or 8 of each class.
        y : array-like of shape (n_real,), default=None
            The labels of X, for an estimator that was fitted with labels, and whose
            ``sample`` takes them: images are drawn by class; rows of tables are asked
            for with labels as frequent as these.
        columns : list of str or int, default=None
            Names or positions of the columns to draw; None draws the first 16.
        n_pairs : int, default=3
            Number of pairs of numeric columns to draw, at most.
        image_shape : tuple of int, default=None
            Shape of one image, if the rows of X are flat; None takes ``image_shape`` of
            the estimator if it has one.
        random_state : int, RandomState instance, default=None
            Determines the samples, and which images of X are drawn. An estimator whose
            ``sample`` takes no seed, such as ``GaussianMixture``, uses its own.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each picture; a
            new figure if None.
        name : str, default=None
            The name in the title; the name of the estimator's class if None.

        Returns
        -------
        display : SamplesDisplay
            With the samples drawn.

        Raises
        ------
        TypeError
            If the estimator cannot sample, or cannot sample by label.
        ValueError
            If X and the samples have different columns or shapes, or a column is
            unknown.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import VariationalAutoEncoder
        >>> from skdeep.inspection import SamplesDisplay
        >>> X = load_digits().images[:300]
        >>> model = VariationalAutoEncoder(8, max_iter=2, random_state=0).fit(X)
        >>> display = SamplesDisplay.from_estimator(model, X, n_samples=16)
        >>> display.samples.shape
        (16, 8, 8)
        """
        check_name(name)
        check_fitted(estimator)
        generator = _generator(estimator, y)
        if image_shape is None:
            image_shape = getattr(generator, "image_shape", None)
        X = tensor_to_numpy(X, "X")
        with naming("X"):
            n_real = _num_samples(X)
        labels = None if y is None else check_labels(y, "y", n_real, "rows")
        is_image = image_shape is not None or _n_axes(X) > 2 or is_paths(X) is not None
        with naming("random_state"):
            rng = check_random_state(random_state)
        n, asked = _n_asked(n_samples, n_real, labels, is_image, rng)
        samples = _sampled(generator, n, asked, random_state)
        restored = outermost_output(estimator, samples)
        if restored is None:
            X = innermost_input(estimator, X)
        samples = samples if restored is None else restored
        if is_image:
            rows = _rows_like(n, asked, n_real, labels, rng)
            X = _read_files(_safe_indexing(X, rows), samples)
            labels = None if labels is None else labels[rows]
        display = cls(
            X,
            samples,
            y_real=labels if is_image else None,
            y_samples=asked if is_image else None,
            columns=columns,
            image_shape=image_shape,
            estimator_name=name or type(generator).__name__,
        )
        display._real_name = "X"  # for messages
        return display.plot(n_pairs=n_pairs, ax=ax)

    def plot(self, *, n_pairs=3, ax=None):
        """Draw the samples beside the real rows.

        Parameters
        ----------
        n_pairs : int, default=3
            Number of pairs of numeric columns to draw, at most.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each picture; a
            new figure if None.

        Returns
        -------
        display : SamplesDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If the rows or labels do not fit each other, or ``ax`` does not hold
            matplotlib Axes, or not one for each picture.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdeep.inspection import SamplesDisplay
        >>> real = pd.DataFrame({"age": [20, 70, 31], "job": ["a", "b", "a"]})
        >>> samples = pd.DataFrame({"age": [25, 64], "job": ["a", "a"]})
        >>> display = SamplesDisplay(real, samples).plot()
        >>> [ax.get_title() for ax in display.axes_]
        ['age', 'job']
        """
        check_name(self.estimator_name, "estimator_name")
        if not is_integer(n_pairs) or n_pairs < 0:
            raise ValueError(f"n_pairs must be an integer from 0, got {n_pairs!r}.")
        self.legend_ = None
        if self.image_shape is not None or _n_axes(self.samples) > 2:
            return self._plot_images(ax)
        return self._plot_table(n_pairs, ax)

    # -- images ------------------------------------------------------------------------

    def _plot_images(self, ax):
        real, samples, grids, classes = self._image_grids()
        is_signal = samples.ndim == 3
        shown = [real[grids[0][grids[0] >= 0]], samples[grids[1][grids[1] >= 0]]]
        pictures = joint_pictures(*shown)
        size = grid_size(grids[1].shape, pictures[1].shape[1:3], is_signal)
        self.axes_, owner = grid_axes(self, ax, 2, size)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        draw = draw_signals if is_signal else draw_mosaic
        limits = limits_of_pictures(np.concatenate(pictures))
        for axes, images, grid, title in zip(
            self.axes_, pictures, grids, NAMES, strict=True
        ):
            centers = draw(axes, images, grid, limits)
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.set(xticks=[], title=title)
            axes.set_yticks(centers if classes else [], labels=classes)
            axes.tick_params(length=0)
        write_title(owner, self.estimator_name or "")
        return self

    def _image_grids(self):
        """Return real images, samples, their places in both grids, and the classes."""
        name = self._real_name
        real = guess_images(self.real, self.image_shape, name)
        samples = guess_images(self.samples, self.image_shape, "samples")
        if real.shape[1:] != samples.shape[1:]:
            raise ValueError(
                f"{name} and samples must hold images of the same shape, got "
                f"{real.shape[1:]} and {samples.shape[1:]} (channels last)."
            )
        if (self.y_real is None) != (self.y_samples is None):
            raise ValueError("y_real and y_samples must both be given, or neither.")
        for images, argument in ((real, name), (samples, "samples")):
            if not len(images):
                raise ValueError(f"{argument} must have at least one image.")
        if self.y_samples is None:
            width = math.ceil(math.sqrt(len(samples)))
            n_rows = math.ceil(len(samples) / width)
            grids = [
                fill_grid(n_rows, width, len(images)) for images in (real, samples)
            ]
            return real, samples, grids, []
        labels = (
            check_labels(self.y_real, "y_real", len(real)),
            check_labels(self.y_samples, "y_samples", len(samples)),
        )
        classes = _classes(labels[1])
        width = max(int((labels[1] == label).sum()) for label in classes)
        grids = [fill_classes(own, classes, width) for own in labels]
        return real, samples, grids, [shorten(label) for label in classes]

    # -- tables ------------------------------------------------------------------------

    def _plot_table(self, n_pairs, ax):
        columns, n_columns = compared_columns(
            self.real, self.samples, self.columns, self._real_name
        )
        panels = panels_of(columns, int(n_pairs))
        size = (4.2, 3.6) if len(panels) == 1 else (2.5, 1.9)
        self.axes_, owner = grid_axes(self, ax, len(panels), size)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        for axes, (draw, *arguments) in zip(self.axes_, panels, strict=True):
            draw(axes, *arguments)
        title = self.estimator_name or ""
        if self.columns is None and len(columns) < n_columns:
            title = f"{title} ({len(columns)} of {n_columns} columns)".strip()
        write_title(owner, title)
        self.legend_ = draw_legend(owner, self.axes_[0])
        return self


def _n_axes(rows) -> int:
    """Return the number of axes: images have more than tables."""
    try:
        return len(rows.shape) if hasattr(rows, "shape") else np.ndim(rows)
    except ValueError:  # lists of different lengths
        return 1


def _classes(labels: np.ndarray) -> list:
    """Return the classes that are drawn, in their order: the most frequent ones."""
    classes, counts = np.unique(labels, return_counts=True)
    best = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    return list(classes[np.sort(best)])


# -- samples of an estimator -----------------------------------------------------------


def _generator(estimator, y) -> Any:
    """Return the estimator inside that samples."""
    generator = innermost(estimator)
    name = type(generator).__name__
    if not callable(getattr(generator, "sample", None)):
        raise TypeError(
            f"estimator={name} cannot sample: it has no method sample. Pass a "
            "generator, such as GAN, VariationalAutoEncoder or KernelDensity."
        )
    if y is not None and "y" not in inspect.signature(generator.sample).parameters:
        raise TypeError(
            f"estimator={name} cannot sample by label: its method sample has no "
            "argument y. Leave out y."
        )
    return generator


def _n_asked(n_samples, n_real: int, labels, is_image: bool, rng):
    """Return the number of samples, and their labels or None."""
    is_auto = isinstance(n_samples, str) and n_samples == "auto"
    if not is_auto:
        check_count(n_samples, "n_samples")
        if n_samples > sys.maxsize:
            raise ValueError(f"n_samples={n_samples} is too large.")
    if labels is not None and is_image:
        classes = _classes(labels)
        of_class = _N_IMAGES_OF_CLASS if is_auto else max(n_samples // len(classes), 1)
        asked = np.repeat(np.asarray(classes), of_class)
        return len(asked), asked
    if is_auto:
        n_samples = _N_IMAGES if is_image else min(n_real, _MOST_ROWS)
    return n_samples, None if labels is None else rng.choice(labels, n_samples)


def _sampled(generator, n: int, labels, random_state):
    """Return samples, whatever the signature of the method that samples."""
    known = inspect.signature(generator.sample).parameters
    options = {} if labels is None else {"y": labels}
    if "random_state" in known:
        options["random_state"] = random_state
    samples = generator.sample(n, **options)
    # Mixtures of scikit-learn also return the component of each row.
    samples = samples[0] if isinstance(samples, tuple) else samples
    return tensor_to_numpy(samples, "samples")


def _rows_like(n: int, asked, n_real: int, labels, rng) -> np.ndarray:
    """Return random real rows, as many as there are samples, of the same classes."""
    order = rng.permutation(n_real)
    if labels is None:
        return order[:n]
    classes, counts = np.unique(asked, return_counts=True)
    return np.concatenate(
        [
            order[labels[order] == label][:count]
            for label, count in zip(classes, counts, strict=True)
        ]
    )


def _read_files(images, samples):
    """Return images, read from files in the size of the samples if these are paths."""
    paths = is_paths(images)
    if paths is None:
        return images
    format = find_format(list(paths), np.shape(samples)[1:3])
    return ImageFiles(list(paths), format, 0).take(slice(None))
