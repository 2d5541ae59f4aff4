"""Pictures of the filters of a convolutional layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep._input_checks import (
    check_count,
    check_fitted,
    check_name,
    is_integer,
    tensor_to_numpy,
)
from skdeep._messages import did_you_mean
from skdeep.inspection._nested import innermost
from skdeep.inspection._pictures import (
    COLORBAR,
    add_colorbar,
    check_cmap,
    draw_lines,
    draw_picture,
    grid_axes,
    write_title,
)

# A line for each of so many channels can still be told apart.
_MOST_LINES = 4


class FilterDisplay:
    """The weights of a convolutional layer as small pictures, one for each filter.

    Use :meth:`from_estimator` to make one. The filters of a first layer on color images
    are drawn in color: a gray of medium brightness is a weight of 0. Others are drawn
    in a colormap whose middle is 0. Filters of signals are lines, and of those of
    volumes the middle slices are drawn. All filters have the same scale.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, ...)
        The weights: of one channel; of three, drawn as a color; or, for signals, of any
        number, a line each.
    layer_name : str, default=None
        Name of the layer, for the title.
    description : str, default=None
        Which channel is drawn, for the title.
    estimator_name : str, default=None
        Name of the estimator, for the title.
    numbers : array-like of int of shape (n_filters,), default=None
        Numbers above the filters; None counts them from 0.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_filters,)
        The axes of the filters.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    images_ : list of matplotlib AxesImage
        The filters of images and volumes.
    lines_ : list of matplotlib Line2D
        The filters of signals, and the lines of their channels.
    colorbar_ : matplotlib Colorbar or None
        The legend of the colors.

    See Also
    --------
    ActivationDisplay : What the filters respond to.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012). "ImageNet classification with deep
    convolutional neural networks." NeurIPS. (Figure 3 shows filters of color images.)

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import CNNClassifier
    >>> from skdeep.inspection import FilterDisplay
    >>> digits = load_digits()
    >>> model = CNNClassifier((8, 16), max_iter=2, random_state=0)
    >>> model = model.fit(digits.images, digits.target)
    >>> display = FilterDisplay.from_estimator(model)
    >>> display.filters.shape
    (8, 1, 3, 3)
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        filters,
        layer_name=None,
        description=None,
        estimator_name=None,
        numbers=None,
    ):
        self.filters = filters
        self.layer_name = layer_name
        self.description = description
        self.estimator_name = estimator_name
        self.numbers = numbers

    @classmethod
    def from_estimator(
        cls,
        estimator,
        layer=0,
        *,
        n_filters=64,
        channel="auto",
        cmap="RdBu_r",
        ax=None,
        name=None,
    ):
        """Draw the filters of a layer of a fitted network.

        Parameters
        ----------
        estimator : estimator
            A fitted network with convolutional layers, or a Pipeline, a search or
            another meta-estimator around one.
        layer : int or str, default=0
            Position of the layer among the convolutional layers, or its name in
            ``module_``, or that of a block, whose first convolution is drawn.
        n_filters : int, default=64
            Number of filters to draw: the first ones.
        channel : {"auto", "mean"} or int, default="auto"
            The input channel whose weights are drawn, or their mean over the channels.
            "auto" draws three channels of the images as a color, up to four channels
            of signals as lines, and else the mean.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colormap of filters that are not drawn in color.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each filter; a new
            figure if None.
        name : str, default=None
            The name in the title; the name of the network's class if None.

        Returns
        -------
        display : FilterDisplay
            With the filters drawn.

        Raises
        ------
        TypeError
            If the estimator has no convolutional layers.
        ValueError
            If there is no such layer or channel.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import CNNClassifier
        >>> from skdeep.inspection import FilterDisplay
        >>> digits = load_digits()
        >>> model = CNNClassifier((4, 8), max_iter=1, random_state=0)
        >>> model = model.fit(digits.images, digits.target)
        >>> display = FilterDisplay.from_estimator(model, layer=1, n_filters=6)
        >>> len(display.images_)
        6
        """
        check_name(name)
        check_fitted(estimator)
        check_count(n_filters, "n_filters")
        network = innermost(estimator)
        layer_name, weight, is_first = _find_weight(network, layer)
        filters, description = _select_channel(weight, channel, is_first)
        display = cls(
            filters=filters[:n_filters],
            layer_name=layer_name,
            description=description,
            estimator_name=name or type(network).__name__,
        )
        return display.plot(cmap=cmap, ax=ax)

    def plot(self, *, cmap="RdBu_r", ax=None):
        """Draw the filters.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colormap of filters that are not drawn in color.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each filter; a new
            figure if None.

        Returns
        -------
        display : FilterDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If ``ax`` does not hold matplotlib Axes, or not one for each filter.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.inspection import FilterDisplay
        >>> edges = np.array([[[[-1.0, 0, 1]] * 3]])  # a single filter, 3 x 3
        >>> display = FilterDisplay(filters=edges).plot(cmap="gray")
        >>> display.images_[0].get_clim()
        (-1.0, 1.0)
        """
        check_cmap(self, cmap)
        filters = np.asarray(self.filters)
        is_signal = filters.ndim == 3
        size = (1.5, 1.1) if is_signal else (0.95, 1.05)
        is_colored = filters.ndim > 3 and filters.shape[1] == 3
        extra = 0.0 if is_signal or is_colored else COLORBAR
        self.axes_, owner = grid_axes(self, ax, len(filters), size, extra)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.images_: list = []
        self.lines_: list = []
        self.colorbar_ = None
        limit = float(np.abs(filters).max()) or 1.0
        numbers = range(len(filters)) if self.numbers is None else self.numbers
        for axes, weights, number in zip(self.axes_, filters, numbers, strict=True):
            if is_signal:
                self._draw_lines(axes, weights, limit)
            else:
                self._draw_image(axes, weights, limit, cmap)
            axes.set_title(str(number), fontsize="x-small", pad=2)
        write_title(owner, self._title())
        if extra:
            self.colorbar_ = add_colorbar(
                self.figure_, self.images_[0], self.axes_, "weight"
            )
        return self

    def _draw_lines(self, ax, weights, limit):
        """Draw a line for each channel, (n_channels, length)."""
        # Points too: a filter has few weights.
        self.lines_ += draw_lines(ax, weights.T, marker=".", markersize=4)
        ax.axhline(0, color="0.5", linewidth=0.8, zorder=1)
        ax.set_ylim(-1.1 * limit, 1.1 * limit)
        ax.margins(x=0.05)

    def _draw_image(self, ax, weights, limit, cmap):
        """Draw the weights (n_channels, [depth,] height, width)."""
        if weights.ndim == 4:
            weights = weights[:, weights.shape[1] // 2]
        if len(weights) == 3:
            picture = 0.5 + weights.transpose(1, 2, 0) / (2 * limit)
            self.images_ += draw_picture(ax, picture, False)
            return
        style = {"cmap": cmap, "vmin": -limit, "vmax": limit}
        self.images_ += draw_picture(ax, weights[0], False, **style)

    def _title(self) -> str:
        title = f"filters of {self.layer_name}" if self.layer_name else "filters"
        if self.estimator_name:
            title = f"{self.estimator_name}: {title}"
        return f"{title} ({self.description})" if self.description else title


def _find_weight(network, layer) -> tuple[str, np.ndarray, bool]:
    """Return name and weights of a layer, and whether it is the first one."""
    weights = _convolutions(network)
    names = list(weights)
    if isinstance(layer, str):
        # A block's name stands for its first convolution: "conv1" for "conv1.conv".
        found = [name for name in names if f".{layer}." in f".{name}."]
        if not found:
            raise ValueError(
                f"layer={layer!r} is not the name of a convolutional layer. "
                f"{did_you_mean(layer, names)}".rstrip()
            )
        name = layer if layer in names else found[0]
    else:
        if not is_integer(layer) or not -len(names) <= layer < len(names):
            raise ValueError(
                f"layer must be the name of a layer or a number below {len(names)}, "
                f"the number of convolutional layers, got {layer!r}."
            )
        name = names[layer]
    return name, weights[name], name == names[0]


def _convolutions(network) -> dict[str, np.ndarray]:
    """Return the weights of the convolutional layers, by name."""
    module: Any = getattr(network, "module_", None)
    layers = [] if module is None else module.named_modules()
    found = {
        name: layer.weight
        for name, layer in layers
        if getattr(getattr(layer, "weight", None), "ndim", 0) >= 3
    }
    if not found:
        raise TypeError(
            f"estimator={type(network).__name__} has no convolutional layers. Pass a "
            "fitted CNNClassifier or CNNRegressor, or a Pipeline that ends in one."
        )
    return {name: tensor_to_numpy(w, "weight") for name, w in found.items()}


def _select_channel(weight: np.ndarray, channel, is_first: bool):
    """Return the weights to draw, (n_filters, n, *kernel), and a description."""
    n_channels = weight.shape[1]
    if isinstance(channel, str) and channel == "auto":
        is_signal = weight.ndim == 3
        is_drawn_whole = n_channels <= _MOST_LINES if is_signal else n_channels == 3
        if n_channels == 1 or (is_first and is_drawn_whole):
            return weight, None
        channel = "mean"
    if isinstance(channel, str) and channel == "mean":
        description = f"mean over {n_channels} channels" if n_channels > 1 else None
        return weight.mean(axis=1, keepdims=True), description
    if not is_integer(channel) or not 0 <= channel < n_channels:
        raise ValueError(
            f"channel must be 'auto', 'mean' or a number below {n_channels}, the "
            f"number of input channels of the layer, got {channel!r}."
        )
    return weight[:, [channel]], f"channel {channel}"
