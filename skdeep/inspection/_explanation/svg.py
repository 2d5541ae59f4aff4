"""The pictures in pages of explanations: SVG that takes its colours from the page."""

from __future__ import annotations

import base64
import html
import struct
import unicodedata
import zlib

import numpy as np

from skdeep.inspection._explanation.parts import (
    clean,
    describe_value,
    n_labels,
    name_units,
    outlines,
    runs,
    shorten,
    spaced,
)

# A page is to stay small: sequences and images beyond this are drawn coarser.
_MOST_CELLS, _MOST_FEATURES, _MOST_PIXELS = 720, 32, (80, 56, 40, 28, 20)
_ROOM = 16_000  # in bytes: what an image may take
_MOST_POINTS = 100
_N_SHADES = 10
_WIDTH, _LETTER = 652, 7.0  # of a heat map, and of a letter in it


def escape(text: str) -> str:
    """Return a text as it stands between tags."""
    return html.escape(text, quote=False)


def bar(value: float, ends: tuple[float, float], text: str, hollow=False) -> str:
    """Draw a bar from 0 to a value; the ends are the least and largest value."""
    zero, end = _place(0.0, ends), _place(value, ends)
    kind = ("n" if value < 0 else "p") + (" o" if hollow else "")
    content = (
        f'<path class="z" d="M{zero:.4g} 0v14"/>'
        f'<rect class="{kind}" x="{min(zero, end):.4g}" y="2" '
        f'width="{abs(end - zero):.4g}" height="10"/>'
    )
    return _picture("bar", "200 14", text, content, ' preserveAspectRatio="none"')


def strip(size, effects, ranks, ends: tuple[float, float], text: str) -> str:
    """Draw the mean size of effects as a bar, and each effect as a point over it."""
    chosen = spaced(len(effects), _MOST_POINTS)
    effects, ranks = np.asarray(effects)[chosen], np.asarray(ranks)[chosen]
    zero, end = _place(0.0, ends), _place(size, ends)
    # Spread by a fixed rule, so that the picture is the same each time.
    heights = 4 + 8 * (0.618034 * np.arange(len(effects)) % 1)
    shades = np.where(np.isnan(ranks), 3, np.minimum(2, np.nan_to_num(ranks) * 3))
    paths = [
        f'<path class="d{shade}" d="{_dots(_place(effects, ends), heights, mask)}"/>'
        for shade in range(4)
        if (mask := (shades.astype(int) == shade) & np.isfinite(effects)).any()
    ]
    content = (
        f'<rect class="b" x="{zero:.4g}" y="2" width="{end - zero:.4g}" height="12"/>'
        f'<path class="z" d="M{zero:.4g} 0v16"/>{"".join(paths)}'
    )
    return _picture("dots", "200 16", text, content, ' preserveAspectRatio="none"')


def heat_map(cells, units, features, times, text: str) -> str:
    """Draw the numbers of features × times in shades, as one picture with its axes.

    Where there are too many it is drawn coarser; a line below the picture says so.
    """
    names = [shorten(clean(name), 24) for name in features]
    if name_units(units) == "time segment":  # the same for all features
        cells, units, names = cells[:1], units[:1], ["all features"]
    labels = [describe_value(time) for time in times]
    drawn, units, names, labels, note = _coarser(cells, units, names, labels)
    n_features, n_times = drawn.shape
    left = 10 + _LETTER * max(map(_n_letters, names), default=0)
    width, height = _WIDTH - 2 - left, float(np.clip(24 * n_features, 48, 480))
    place = f"translate({left:.0f} 4) "
    place += f"scale({width / n_times:.4f} {height / n_features:.4f})"
    grid = "l" if name_units(units) == "cell" and len(names) > 1 else "f"
    axes = _feature_labels(names, left, height)
    axes += _time_labels(labels, left, width, height + 20)
    content = (
        f'<g transform="{place}">{_shades(drawn)}'
        f'<path class="{grid}" d="{_lines(outlines(units))}"/>'
        f'<rect class="f" width="{n_times}" height="{n_features}"/></g>{axes}'
    )
    picture = _picture("map", f"{_WIDTH} {height + 28:.0f}", text, content)
    note = f'<p class="c">{note}</p>' if note else ""
    return f'<div class="a">{picture}</div>{note}'


def overlay(picture, units, effects, shown, text: str) -> str:
    """Draw the superpixels with the largest effects over an image in grey."""
    for most in _MOST_PIXELS:  # finer shapes take more room: coarser until it is small
        grey, pixels = _smaller(picture, units, most)
        drawn = _overlay(grey, pixels, effects, shown, text)
        if len(drawn) <= _ROOM:
            break
    return drawn


def _overlay(picture, units, effects, shown, text: str) -> str:
    height, width = units.shape
    largest = np.abs(effects[shown]).max(initial=0.0) or 1.0
    shapes = numbers = ""
    for number, unit in enumerate(shown, start=1):
        mask = units == unit
        if mask.any():  # not if it is too small for the picture
            shapes += _superpixel(mask, effects[unit] / largest)
            x, y = _inside(mask)
            numbers += f'<text x="{x:.3g}" y="{y:.3g}">{number}</text>'
    kind = "img px" if max(height, width) <= 40 else "img"
    content = (
        f'<image href="data:image/png;base64,{_png(picture)}" width="{width}" '
        f'height="{height}"/>{shapes}'
        f'<g font-size="{max(width, height) / 22:.3g}">{numbers}</g>'
    )
    return _picture(kind, f"{width} {height}", text, content)


def _superpixel(mask, effect: float) -> str:
    """Draw a superpixel in the shade of its effect, between -1 and 1."""
    side = "n" if effect < 0 else "p"
    edges = _lines(outlines(np.pad(mask, 1)), shift=-1)
    opacity = abs(effect)
    return (
        f'<path class="{side}" fill-opacity="{0.1 + 0.6 * opacity:.2f}" '
        f'd="{_fill(mask)}"/><path class="e{side}" '
        f'stroke-opacity="{0.25 + 0.75 * opacity:.2f}" d="{edges}"/>'
    )


# ---------------------------------------------------------------------------- shapes


def _picture(kind: str, size: str, text: str, content: str, more: str = "") -> str:
    """Return a picture of a size, which a text describes to those who don't see it."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {size}"{more} role="img" '
        f'aria-label="{html.escape(text)}">{content}</svg>'
    )


def _place(value, ends: tuple[float, float]):
    """Return where a value is between the ends, with room for a line on both sides."""
    low, high = ends
    return 4 + 192 * (np.nan_to_num(value) - low) / ((high - low) or 1.0)


def _fill(mask: np.ndarray) -> str:
    """Return the path of all cells of a mask, a rectangle for each run in a row."""
    return "".join(
        f"M{start} {y}h{stop - start}v1H{start}z"
        for y, line in enumerate(mask)
        for start, stop in runs(line)
    )


def _lines(ends, shift: int = 0) -> str:
    """Return the path of straight lines across and down."""
    return "".join(
        f"M{x0 + shift} {y0 + shift}" + (f"h{x1 - x0}" if y0 == y1 else f"v{y1 - y0}")
        for x0, y0, x1, y1 in ends
    )


def _dots(places, heights, mask) -> str:
    """Return the path of points: lines of no length with round ends."""
    both = zip(places[mask], heights[mask], strict=True)
    return "".join(f"M{x:.1f} {y:.0f}h0" for x, y in both)


def _shades(cells: np.ndarray) -> str:
    """Return a path for each shade of each sign, and one for cells without a unit."""
    missing = np.isnan(cells)
    largest = np.abs(cells[~missing]).max(initial=0.0) or 1.0
    levels = np.rint(_N_SHADES * np.nan_to_num(cells) / largest).astype(int)
    paths = [
        f'<path class="{"n" if level < 0 else "p"}" '
        f'fill-opacity="{abs(level) / _N_SHADES:g}" d="{_fill(levels == level)}"/>'
        for level in np.unique(levels)
        if level
    ]
    if missing.any():
        paths.append(f'<path class="x" d="{_fill(missing)}"/>')
    return "".join(paths)


def _inside(mask: np.ndarray) -> tuple[float, float]:
    """Return a point of a mask: the middle of its longest run in its middle row."""
    rows = np.flatnonzero(mask.any(axis=1))
    y = rows[len(rows) // 2]
    start, stop = max(runs(mask[y]), key=lambda run: run[1] - run[0])
    return (start + stop) / 2, y + 0.5


# ------------------------------------------------------------------------ fewer cells


def _coarser(cells, units, names, labels):
    """Keep the features with the largest effects, and join times, until it is small.

    A joined cell has the largest effect of those that it is made of, and the label of
    the last of them.
    """
    note = ""
    if len(cells) > _MOST_FEATURES:
        note = f"Drawn: {_MOST_FEATURES} of {len(cells)} features. "
        sizes = np.nan_to_num(np.abs(cells)).max(axis=1)
        kept = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_FEATURES])
        cells, units, names = cells[kept], units[kept], [names[k] for k in kept]
    step = -(-cells.size // _MOST_CELLS)
    if step == 1:
        return cells, units, names, labels, note
    starts = range(0, cells.shape[1], step)
    parts = [cells[:, start : start + step] for start in starts]
    rows = np.arange(len(cells))
    largest = [p[rows, np.nan_to_num(np.abs(p), nan=-1).argmax(axis=1)] for p in parts]
    last = [min(start + step, len(labels)) - 1 for start in starts]
    note += f"Each column shows the largest effects of {step} steps of time."
    cells = np.stack(largest, axis=1)
    return cells, units[:, ::step], names, [labels[k] for k in last], note


def _smaller(picture, units, most: int):
    """Return an image in grey, and its superpixels, at no more than so many pixels."""
    picture = np.asarray(picture, float)
    grey = picture.mean(axis=-1) if picture.ndim == 3 else picture
    factor = min(1.0, most / max(grey.shape))
    starts = [_starts(size, max(1, int(size * factor))) for size in grey.shape]
    for axis, start in enumerate(starts):
        counts = np.diff([*start, grey.shape[axis]])
        sums = np.add.reduceat(grey, start, axis=axis)
        grey = sums / (counts if axis else counts[:, np.newaxis])
    return grey, np.asarray(units)[np.ix_(*starts)]


def _starts(size: int, n: int) -> np.ndarray:
    """Return where n parts of a length start."""
    return np.arange(n) * size // n


def _png(grey: np.ndarray) -> str:
    """Return an image in grey, between 0 and 1, as PNG in base 64."""
    # A quarter of the shades: what is finer is noise that takes room.
    values = np.rint(np.nan_to_num(grey).clip(0, 1) * 63).astype(np.uint8) * 4
    height, width = values.shape
    # Each line as its difference from the one above: PNG's filter number 2.
    steps = np.diff(values, axis=0, prepend=np.zeros((1, width), np.uint8))
    lines = np.c_[np.full((height, 1), 2, np.uint8), steps].tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)
    return base64.b64encode(data).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


# ---------------------------------------------------------------------------- labels


def _n_letters(text: str) -> float:
    """Return the width of a text in letters; those of East Asia take two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _feature_labels(names, left, height) -> str:
    heights = 8 + height * (np.arange(len(names)) + 0.5) / len(names)
    return "".join(
        f'<text class="s" x="{left - 6:.0f}" y="{y:.0f}">{escape(name)}</text>'
        for name, y in zip(names, heights, strict=True)
    )


def _time_labels(labels, left, width, y) -> str:
    """Name the last time, and as many before it as do not overlap."""
    for most in range(n_labels(labels, int(width / _LETTER)), 0, -1):
        places = spaced(len(labels), most)
        halves = [_LETTER * _n_letters(labels[place]) / 2 for place in places]
        middles = [left + width * (place + 0.5) / len(labels) for place in places]
        middles[-1] = min(middles[-1], _WIDTH - halves[-1])
        gaps = np.diff(middles) - np.add(halves[1:], halves[:-1])
        if (gaps > _LETTER).all():
            break
    return "".join(
        f'<text class="m" x="{x:.0f}" y="{y:.0f}">{escape(labels[place])}</text>'
        for place, x in zip(places, middles, strict=True)
    )
