"""Heat maps of the attention of networks that write sequences."""

from __future__ import annotations

from reprlib import repr as short

import numpy as np
from sklearn.utils import check_array

from skdeep._axes import get_axes
from skdeep._input_checks import check_fitted, check_name, naming, tensor_to_numpy
from skdeep.encoding import levels_of, split
from skdeep.inspection._nested import innermost, innermost_input
from skdeep.inspection._pictures import check_cmap

_END = "[end]"
_CELL = 0.24  # width and height of a cell in a new figure, in inches
_MARGIN = 1.0  # of a new figure around the cells and the tick labels
_LETTER = 0.08  # of a tick label
_COLORBAR, _COLORBAR_MARGIN = 0.15, 0.8  # of the color bar, and with its labels
_MOST_LETTERS = 14  # of a tick label
_MOST_LEVEL_LETTERS = 2  # of a tick label that is not rotated
_LARGEST_FONT, _SMALLEST_FONT = 10.0, 5.0  # of the tick labels, in points
_POINTS = 72  # per inch
_ROUNDING = 1e-2  # by which a weight in low precision may exceed 1


class AttentionDisplay:
    """The attention of a decoder to the steps of its input, as a heat map.

    Use :meth:`from_estimator` to make one. There is a row for each step of the output,
    from top to bottom, and a column for each step of the input. A bright cell means
    that the network looked at this step of the input when it wrote this step of the
    output [1]_.

    Parameters
    ----------
    weights : array-like of shape (n_steps_out, n_steps_in)
        The attention weights. Each row sums to 1.
    source : list of length n_steps_in, default=None
        The tokens of the input; None numbers the steps from 0.
    target : list of length n_steps_out, default=None
        The tokens of the output; None numbers the steps from 0.
    estimator_name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the heat map.
    figure_ : matplotlib Figure
        The figure.
    im_ : matplotlib AxesImage
        The heat map.
    colorbar_ : matplotlib Colorbar
        The legend of the colors.

    See Also
    --------
    skdeep.Seq2Seq.attention_weights : The weights.

    Notes
    -----
    The weights show where the network reads, which is not always why it decides as it
    does: each encoder step has also read the steps around it.

    References
    ----------
    .. [1] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly
       learning to align and translate", ICLR 2015. (Figure 3.)

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeep.inspection import AttentionDisplay
    >>> display = AttentionDisplay(
    ...     [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]],
    ...     source=["guten", "Tag", "[end]"],
    ...     target=["hello", "[end]"],
    ... ).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['guten', 'Tag', '[end]']
    >>> plt.show()
    """

    def __init__(self, weights, source=None, target=None, *, estimator_name=None):
        self.weights = weights
        self.source = source
        self.target = target
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, x, *, cmap="viridis", ax=None, name=None):
        """Draw the attention of a fitted network while it writes the output for x.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`~skdeep.Seq2Seq` with attention, or a Pipeline, a search or
            another meta-estimator around one.
        x : str, list of tokens or array-like of shape (n_timesteps[, n_features])
            A single input sequence, a row of what the estimator takes.
        cmap : str or matplotlib Colormap, default="viridis"
            The colormap.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            The title; the name of the network's class if None.

        Returns
        -------
        display : AttentionDisplay
            With the heat map drawn.

        Raises
        ------
        TypeError
            If the estimator is not one that has attention, or x is not a sequence.
        ValueError
            If the estimator was fitted without attention, or x is not a valid input.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> from skdeep.inspection import AttentionDisplay
        >>> X, y = ["abc", "b", "ca"], ["ABC", "B", "CA"]
        >>> model = Seq2Seq(8, max_iter=2, random_state=0).fit(X, y)
        >>> display = AttentionDisplay.from_estimator(model, "cab")
        >>> display.source
        ['c', 'a', 'b', '[end]']
        """
        check_name(name)
        check_fitted(estimator)
        network = innermost(estimator)
        if not hasattr(network, "attention_weights"):
            raise TypeError(
                f"estimator={type(network).__name__} has no attention. Pass a fitted "
                "Seq2Seq, or a Pipeline that ends in one."
            )
        row = _one_row(x)
        # Before attention_weights, whose other errors are about the estimator.
        with naming("x"):
            row = innermost_input(estimator, row)
            written = network.predict(row)[0]
        weights = network.attention_weights(row)[0]
        source_level, target_level = levels_of(network.level)
        source = _tokens(row[0], source_level, network.vocabulary_)
        target = _tokens(written, target_level, network.target_vocabulary_)
        display = cls(
            weights,
            source=_with_end(source, weights.shape[1]),
            target=_with_end(target, weights.shape[0]),
            estimator_name=name or type(network).__name__,
        )
        return display.plot(cmap=cmap, ax=ax)

    def plot(self, *, cmap="viridis", ax=None):
        """Draw the heat map.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="viridis"
            The colormap.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : AttentionDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``ax`` is not a matplotlib Axes, or the tokens are not lists.
        ValueError
            If the weights are not a matrix of numbers from 0 to 1, or do not have a row
            for each token of the output and a column for each token of the input.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.inspection import AttentionDisplay
        >>> display = AttentionDisplay(np.eye(3), source="abc", target="ABC").plot()
        >>> display.colorbar_.ax.get_ylabel()
        'attention'
        """
        weights, source, target = self._checked()
        check_cmap(self, cmap)
        self.ax_ = get_axes(self, ax, _figure_size(weights.shape, source, target))
        self.figure_ = self.ax_.figure
        # From 0: otherwise a network that looks everywhere alike would seem to choose.
        limits = {"vmin": 0, "vmax": float(weights.max()) or 1.0}
        self.im_ = self.ax_.imshow(weights, cmap=cmap, **limits)
        self.ax_.grid(False)
        self.ax_.set_title(self.estimator_name or "", parse_math=False)
        cell = self._cell_size(weights.shape)
        _label_steps(self.ax_, source, target, cell)
        self._draw_colorbar(cell * weights.shape[1])
        return self

    def _checked(self) -> tuple[np.ndarray, list | None, list | None]:
        """Return the weights and the tokens of the input and of the output."""
        check_name(self.estimator_name, "estimator_name")
        weights = tensor_to_numpy(self.weights, "weights")
        with naming("weights"):
            weights = check_array(weights, dtype=np.float64, input_name="weights")
        for extreme in (weights.min(), weights.max()):
            if not 0 <= extreme <= 1 + _ROUNDING:
                raise ValueError(f"weights must be from 0 to 1, got {extreme}.")
        n_rows, n_columns = weights.shape
        source = _check_tokens(self.source, "source", n_columns, "columns")
        target = _check_tokens(self.target, "target", n_rows, "rows")
        return weights, source, target

    def _cell_size(self, shape: tuple[int, int]) -> float:
        """Return the approximate width of a cell, which is a square, in inches."""
        to_inches = self.figure_.dpi_scale_trans.inverted()
        room = self.ax_.get_window_extent().transformed(to_inches)
        return min(room.height / shape[0], room.width / shape[1])

    def _draw_colorbar(self, width: float) -> None:
        """Draw the color bar beside a heat map of some width in inches."""
        # Inside the axes: it is as high as the heat map, however this is resized.
        share = _COLORBAR / width
        place = self.ax_.inset_axes((1 + share, 0, share, 1))
        self.colorbar_ = self.figure_.colorbar(self.im_, cax=place)
        self.colorbar_.set_label("attention")
        self.colorbar_.outline.set_visible(False)


def _check_tokens(tokens, name: str, n: int, what: str) -> list | None:
    """Return the tokens of n steps as a list; None if there are none."""
    if tokens is None:
        return None
    tokens = tensor_to_numpy(tokens, name)
    try:
        tokens = list(tokens)
    except TypeError as error:
        raise TypeError(
            f"{name} must be a list of tokens, got {short(tokens)}."
        ) from error
    if len(tokens) != n:
        raise ValueError(
            f"{name} must hold a token for each of the {n} {what} of weights, got "
            f"{len(tokens)}."
        )
    return tokens


def _figure_size(shape, source, target) -> tuple[float, float]:
    """Return the width and height of a new figure in inches."""
    n_rows, n_columns = shape
    left, top = (
        _LETTER * max((len(_label(token)) for token in tokens or ()), default=2)
        for tokens in (target, source)
    )
    width = _CELL * n_columns + left + _MARGIN + _COLORBAR_MARGIN
    return max(width, 3.5), max(_CELL * n_rows + top + _MARGIN, 2.5)


def _label_steps(ax, source, target, cell: float) -> None:
    """Write the tokens, the input above and the output on the left."""
    ax.set(xlabel="input", ylabel="output")
    ax.xaxis.set_label_position("top")
    ax.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False)
    _label_axis(ax.yaxis, target, cell)
    _label_axis(ax.xaxis, source, cell)
    if source is not None:
        for label in ax.get_xticklabels():
            if len(label.get_text()) > _MOST_LEVEL_LETTERS:
                label.set_rotation(90)


def _label_axis(axis, tokens: list | None, cell: float) -> None:
    """Write tokens, or numbers of steps, at the cells of an axis.

    ``cell`` is the size of a cell in inches. Of tokens that do not fit, only each
    second, third, ... is written.
    """
    if tokens is None:
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(integer=True))
        return
    points = _POINTS * cell
    every = int(np.ceil(_SMALLEST_FONT / points))
    size = float(np.clip(0.8 * points * every, _SMALLEST_FONT, _LARGEST_FONT))
    labels = [_label(token) for token in tokens[::every]]
    places = range(0, len(tokens), every)
    axis.set_ticks(places, labels=labels, fontsize=size, parse_math=False)


def _label(token) -> str:
    """Return a token as a tick label: short, without invisible characters."""
    text = str(token).replace(" ", "␣")
    if not text.isprintable() or not text:
        text = repr(text)[1:-1] or "''"
    if len(text) > _MOST_LETTERS:
        text = text[: _MOST_LETTERS - 1] + "…"
    return text


# -- the tokens of an estimator --------------------------------------------------------


def _one_row(x) -> list:
    """Return a single sequence as a row."""
    x = tensor_to_numpy(x, "x")
    if not hasattr(x, "__len__") or getattr(x, "shape", None) == ():
        raise TypeError(
            "x must be a single sequence: a str, a list of tokens or an array, got "
            f"{short(x)}."
        )
    return [x]


def _tokens(sequence, level: str, vocabulary) -> list | None:
    """Return the tokens of a sequence; None for numbers."""
    if vocabulary is None:
        return None
    if isinstance(sequence, str):
        return split(sequence, "word" if level == "word" else "char")
    return list(sequence)


def _with_end(tokens: list | None, n: int) -> list | None:
    """Return the tokens of n steps, of which the last may be the end token."""
    if tokens is not None and len(tokens) == n - 1:
        tokens = [*tokens, _END]
    # A text of words may be split otherwise than it was put together; the steps are
    # numbered then.
    return tokens if tokens is not None and len(tokens) == n else None
