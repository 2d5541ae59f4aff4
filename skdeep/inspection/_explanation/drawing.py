"""Elements of plots of explanations: labels, outlines and colors."""

from __future__ import annotations

import textwrap

import numpy as np

from skdeep.inspection._explanation.parts import evenly_spaced, outlines

NO_UNIT = (0.5, 0.5, 0.5, 0.25)  # the color of cells that the row does not have
_LINE_HEIGHT = 13  # of the small text above the axes, in points
_TITLE_WIDTH = 44  # in letters
_MOST_OUTLINES = 4000  # more lines would hide the cells between them


def two_lines(numbers: dict) -> list[str]:
    """Return the numbers about a local model on two lines."""
    parts = [f"{name} {text}" for name, text in numbers.items()]
    return [" · ".join(parts[:2]), " · ".join(parts[2:])]


def write_above(ax, title, notes, warning):
    """Write a title, small notes below it, and a warning on a colored background."""
    n_lines = len(notes) + len(warning)
    pad = 8 + _LINE_HEIGHT * n_lines + (6 if warning else 0)
    style = {"loc": "left", "fontsize": "medium", "fontweight": "bold"}
    title = "\n".join(textwrap.wrap(title, _TITLE_WIDTH))
    ax.set_title(title, pad=pad, parse_math=False, **style)
    # The padding of the title reserves the space for the notes. If the layout counted
    # the notes too, it would reserve it twice.
    place: dict = {"xycoords": "axes fraction", "textcoords": "offset points"}
    place |= {"va": "bottom", "fontsize": "small", "parse_math": False}
    if warning:
        box = {"boxstyle": "round,pad=0.3", "facecolor": "C3", "alpha": 0.2, "lw": 0}
        text = ax.annotate("\n".join(warning), (0, 1), (4, 8), bbox=box, **place)
        text.set_in_layout(False)
        text.set_fontweight("bold")
    if notes:
        height = pad - _LINE_HEIGHT * len(notes) - 4
        text = ax.annotate("\n".join(notes), (0, 1), (0, height), **place, alpha=0.75)
        text.set_in_layout(False)


def name_bars(ax, names):
    """Label the bars, the first one at the top."""
    ax.set_yticks(range(len(names)), labels=names, parse_math=False)
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.spines[["top", "right", "left"]].set_visible(False)


def make_room_for_numbers(ax):
    """Leave room for the numbers at the ends of bars, more in a narrow plot."""
    ax.margins(x=float(np.clip(1.1 / width_in_inches(ax), 0.18, 0.45)))


def width_in_inches(ax) -> float:
    """Return the width of an axes, before the layout makes room for its labels."""
    return ax.get_window_extent().width / ax.figure.dpi


def name_places(axis, names, most):
    """Label at most ``most`` places along an axis."""
    places = evenly_spaced(len(names), most)
    axis.set_ticks(places, labels=[names[k] for k in places], parse_math=False)


def draw_outlines(ax, units, **style):
    """Draw lines between the cells of different units."""
    from matplotlib.collections import LineCollection

    # imshow centers cells on integers: their edges are half a cell away.
    lines = list(np.reshape(outlines(units), (-1, 2, 2)) - 0.5)
    if 0 < len(lines) <= _MOST_OUTLINES:
        ax.add_collection(LineCollection(lines, **style), autolim=False)


def color_limit(cells) -> float:
    """Return the largest absolute value of a cell: the end of the color scale."""
    largest = float(np.abs(cells).max()) if cells.count() else 0.0
    return largest or 1.0


def background_color():
    import matplotlib as mpl

    return mpl.rcParams["axes.facecolor"]


def two_sided_colors():
    """Return a colormap from C1 over the background color to C0."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list(
        "effect", ["C1", background_color(), "C0"]
    )
    return colors.with_extremes(bad=NO_UNIT)


def one_sided_colors():
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("size", [background_color(), "C0"])
    return colors.with_extremes(bad=NO_UNIT)


def translucent_colors(opacity):
    """Return a colormap from C1 to C0 that is transparent in the middle."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    # Two stops at 0.5: between transparent C1 and C0 there must be no mixture of both.
    ends = [to_rgba("C1", opacity), to_rgba("C1", 0), to_rgba("C0", 0)]
    stops = list(zip([0, 0.5, 0.5, 1], [*ends, to_rgba("C0", opacity)], strict=True))
    colors = LinearSegmentedColormap.from_list("overlay", stops)
    return colors.with_extremes(bad=(0, 0, 0, 0))


def value_colors():
    """Return a colormap for low to high values that is visible on the background."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap, to_rgb

    # The dark end of plasma vanishes on dark backgrounds, and the light end on others.
    is_dark = np.mean(to_rgb(background_color())) < 0.5
    ends = (0.35, 0.98) if is_dark else (0.05, 0.85)
    shades = mpl.colormaps["plasma"](np.linspace(*ends, 64))
    return ListedColormap(shades, "value").with_extremes(bad="0.5")
