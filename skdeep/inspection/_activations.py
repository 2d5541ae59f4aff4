"""An image beside the feature maps that a network computes from it."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import _num_samples

from skdeep._axes import check_axes, import_pyplot
from skdeep._input_checks import (
    check_count,
    check_fitted,
    check_name,
    is_integer,
    naming,
)
from skdeep.inspection._images import as_rows, image_network, read_images
from skdeep.inspection._nested import innermost, innermost_input
from skdeep.inspection._pictures import (
    COLORBAR,
    add_colorbar,
    as_pictures,
    check_cmap,
    draw_picture,
    fill,
    n_columns,
    split,
    write_title,
)


class ActivationDisplay:
    """An image or signal beside the feature maps of a convolutional layer.

    A feature map is the output of one filter: it is large where the image has what the
    filter responds to. Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    image : ndarray of shape (..., n_channels)
        The image, signal or volume.
    maps : ndarray of shape (n_maps, ...)
        Its feature maps.
    numbers : array-like of int of shape (n_maps,), default=None
        Numbers of their filters; None counts from 0.
    layer_name : str, default=None
        Name of the layer, for the title.
    estimator_name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    image_ax_ : matplotlib Axes
        The axes of the image.
    axes_ : ndarray of matplotlib Axes of shape (n_maps,)
        The axes of the maps.
    ax_ : matplotlib Axes
        The axes of the image.
    figure_ : matplotlib Figure
        The figure.
    picture_ : matplotlib AxesImage or None
        The image; None for a signal.
    images_ : list of matplotlib AxesImage
        The maps of an image.
    lines_ : list of matplotlib Line2D
        A signal, then its maps.
    colorbar_ : matplotlib Colorbar or None
        The legend of the colors of the maps.

    See Also
    --------
    FilterDisplay : The filters themselves.

    References
    ----------
    Zeiler & Fergus (2014). "Visualizing and understanding convolutional networks."
    ECCV.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import CNNClassifier
    >>> from skdeep.inspection import ActivationDisplay
    >>> digits = load_digits()
    >>> model = CNNClassifier((8, 16), max_iter=2, random_state=0)
    >>> model = model.fit(digits.images, digits.target)
    >>> display = ActivationDisplay.from_estimator(model, digits.images[0])
    >>> display.maps.shape
    (8, 4, 4)
    >>> plt.show()
    """

    def __init__(
        self, *, image, maps, numbers=None, layer_name=None, estimator_name=None
    ):
        self.image = image
        self.maps = maps
        self.numbers = numbers
        self.layer_name = layer_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        layer=0,
        *,
        row=0,
        n_maps=16,
        cmap=None,
        ax=None,
        name=None,
    ):
        """Draw one image and its feature maps.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`~skdeep.CNNClassifier` or :class:`~skdeep.CNNRegressor`, or
            a Pipeline, a search or another meta-estimator around one.
        X : array-like of shape (n_samples, ...), or a single image
            Images as the estimator takes them, or paths of files.
        layer : int or str, default=0
            The layer, as for ``estimator.feature_maps``.
        row : int, default=0
            Position of the image in X.
        n_maps : int, default=16
            Number of maps to draw. If the layer has more, those with the largest mean
            absolute values are drawn, in the order of their filters.
        cmap : str or matplotlib Colormap, default=None
            Colormap of the maps; None chooses one that suits their signs.
        ax : matplotlib Axes, default=None
            An axes that the pictures replace; a new figure if None.
        name : str, default=None
            The name in the title; the name of the network's class if None.

        Returns
        -------
        display : ActivationDisplay
            With the pictures drawn.

        Raises
        ------
        TypeError
            If the estimator has no feature maps.
        IndexError
            If there is no such row.
        ValueError
            If there is no such layer, or it has no maps.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import CNNClassifier
        >>> from skdeep.inspection import ActivationDisplay
        >>> digits = load_digits()
        >>> model = CNNClassifier((4, 8), max_iter=1, random_state=0)
        >>> model = model.fit(digits.images, digits.target)
        >>> display = ActivationDisplay.from_estimator(
        ...     model, digits.images, layer=1, row=5, n_maps=6
        ... )
        >>> len(display.images_)
        6
        """
        check_name(name)
        check_fitted(estimator)
        check_count(n_maps, "n_maps")
        network = image_network(estimator)
        if network is None:
            raise TypeError(
                f"estimator={type(innermost(estimator)).__name__} has no feature maps. "
                "Pass a fitted CNNClassifier or CNNRegressor, or a Pipeline that ends "
                "in one."
            )
        X = one_row(as_rows(network, X), row)
        maps = network.feature_maps(innermost_input(estimator, X), layer)[0]
        if maps.ndim < 2:
            raise ValueError(
                f"layer={layer!r} has no maps: its output has shape {maps.shape} for "
                "an image. Name a convolutional layer."
            )
        numbers = _strongest(maps, n_maps)
        display = cls(
            image=read_images(estimator, X)[0],
            maps=maps[numbers],
            numbers=numbers,
            layer_name=str(layer),
            estimator_name=name or type(network).__name__,
        )
        return display.plot(cmap=cmap, ax=ax)

    def plot(self, *, cmap=None, ax=None):
        """Draw the image and its maps.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default=None
            Colormap of the maps; None chooses one that suits their signs.
        ax : matplotlib Axes, default=None
            An axes that the pictures replace; a new figure if None.

        Returns
        -------
        display : ActivationDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``ax`` is not a matplotlib Axes.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.inspection import ActivationDisplay
        >>> image = np.eye(4)[:, :, np.newaxis]
        >>> display = ActivationDisplay(image=image, maps=np.ones((2, 4, 4))).plot()
        >>> len(display.images_)
        2
        """
        if cmap is not None:
            check_cmap(self, cmap)
        image, maps = np.asarray(self.image), np.asarray(self.maps)
        is_signal = image.ndim == 2
        owner = self._make_axes(ax, len(maps), is_signal)
        (picture,) = as_pictures(image[np.newaxis])
        drawn = draw_picture(self.ax_, picture, is_signal)
        self.picture_ = None if is_signal else drawn[0]
        self.lines_, self.images_ = drawn if is_signal else [], []
        self.ax_.set_title("signal" if is_signal else "image", fontsize="medium")
        self._draw_maps(maps, is_signal, cmap)
        write_title(owner, self._title())
        return self

    def _make_axes(self, ax, n: int, is_signal: bool):
        """Make the axes; return what has the title."""
        plt = import_pyplot(self)
        columns = n_columns(n)
        rows = -(-n // columns)
        share = max(2.0, 0.75 * rows)  # width of the image, in maps
        if ax is None:
            width, height = (1.5, 1.1) if is_signal else (1.15, 1.3)
            extra = 0.0 if is_signal else COLORBAR
            outer_width = width * (share + columns) + extra
            size = outer_width, max(height * rows, 2.4) + 0.35
            self.figure_ = owner = plt.figure(figsize=size, layout="constrained")
            ratios = [share, columns + extra / width]
            outer = owner.add_gridspec(1, 2, width_ratios=ratios)
        else:
            check_axes(ax)
            owner, self.figure_ = ax, ax.figure
            outer = split(ax, 1, 2, width_ratios=[share, columns])
        self.ax_ = self.image_ax_ = self.figure_.add_subplot(outer[0])
        self.axes_ = fill(self.figure_, outer[1].subgridspec(rows, columns), n)
        return owner

    def _draw_maps(self, maps, is_signal: bool, cmap):
        limits = _limits(maps)
        numbers = range(len(maps)) if self.numbers is None else self.numbers
        if cmap is None:
            cmap = "RdBu_r" if limits[0] < 0 else "viridis"
        for axes, values, number in zip(self.axes_, maps, numbers, strict=True):
            if is_signal:
                self.lines_ += draw_picture(axes, values, True, color="C1")
                axes.set_ylim(*_with_margin(limits))
            else:
                if values.ndim == 3:
                    values = values[len(values) // 2]
                style = {"cmap": cmap, "vmin": limits[0], "vmax": limits[1]}
                self.images_ += draw_picture(axes, values, False, **style)
            axes.set_title(str(number), fontsize="x-small", pad=2)
        self.colorbar_ = None
        if self.images_:
            self.colorbar_ = add_colorbar(
                self.figure_, self.images_[0], self.axes_, "activation"
            )

    def _title(self) -> str:
        title = "feature maps"
        if self.layer_name is not None:
            title += f" of layer {self.layer_name}"
        return f"{self.estimator_name}: {title}" if self.estimator_name else title


def one_row(X, row):
    """Return one of the rows of X, as rows."""
    with naming("X"):
        n_rows = _num_samples(X)
    if not is_integer(row) or not -n_rows <= row < n_rows:
        raise IndexError(
            f"row must be a position in X, which has {n_rows} rows, got {row!r}."
        )
    row = int(row) % n_rows
    with naming("X"):
        return X.iloc[row : row + 1] if hasattr(X, "iloc") else X[row : row + 1]


def _strongest(maps: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the maps with the largest values, ascending."""
    sizes = np.abs(maps.reshape(len(maps), -1)).mean(axis=1)
    return np.sort(np.argsort(-sizes, kind="stable")[:n])


def _limits(maps: np.ndarray) -> tuple[float, float]:
    """Return the ends of the scale: from 0, or symmetric if values are negative."""
    largest = float(np.abs(maps).max()) or 1.0
    return (-largest, largest) if maps.min() < 0 else (0.0, largest)


def _with_margin(limits: tuple[float, float]) -> tuple[float, float]:
    margin = 0.05 * (limits[1] - limits[0])
    return limits[0] - margin, limits[1] + margin
