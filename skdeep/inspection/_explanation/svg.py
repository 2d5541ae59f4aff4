"""SVG pictures in HTML pages of explanations; their colors come from the CSS."""

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
    evenly_spaced,
    n_labels,
    name_units,
    outlines,
    runs,
    shorten,
)

# Larger sequences and images are drawn at a lower resolution: pages must stay small.
_MOST_CELLS, _MOST_FEATURES, _MOST_PIXELS = 720, 32, (80, 56, 40, 28, 20)
_MOST_BYTES = 16_000  # of an image
_MOST_POINTS = 100
_N_SHADES = 10
_WIDTH, _LETTER = 652, 7.0  # widths of a heat map and of a letter in it


def escape(text: str) -> str:
    """Return a text escaped for HTML."""
    return html.escape(text, quote=False)


def bar(value: float, ends: tuple[float, float], text: str, hollow=False) -> str:
    """Draw a bar from 0 to a value; ``ends`` is the range of all bars."""
    zero, end = _place(0.0, ends), _place(value, ends)
    kind = ("n" if value < 0 else "p") + (" o" if hollow else "")
    content = (
        f'<path class="z" d="M{zero:.4g} 0v14"/>'
        f'<rect class="{kind}" x="{min(zero, end):.4g}" y="2" '
        f'width="{abs(end - zero):.4g}" height="10"/>'
    )
    return _picture("bar", "200 14", text, content, ' preserveAspectRatio="none"')


def strip(size, effects, ranks, ends: tuple[float, float], text: str) -> str:
    """Draw the mean absolute effect as a bar, and the effect on each row as a point."""
    chosen = evenly_spaced(len(effects), _MOST_POINTS)
    effects, ranks = np.asarray(effects)[chosen], np.asarray(ranks)[chosen]
    zero, end = _place(0.0, ends), _place(size, ends)
    # Jitter by the golden ratio, not at random: pictures must be reproducible.
    heights = 4 + 8 * (0.618034 * np.arange(len(effects)) % 1)
    # One path for each of four colors is far smaller than one element for each point.
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
    """Draw features × times as a heat map with axes.

    Large ones are drawn at a lower resolution; a line below the picture says so.
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
    """Draw the superpixels with the largest effects over the image in gray."""
    for most in _MOST_PIXELS:  # lower the resolution until the picture is small
        gray, pixels = _smaller(picture, units, most)
        drawn = _overlay(gray, pixels, effects, shown, text)
        if len(drawn) <= _MOST_BYTES:
            break
    return drawn


def _overlay(picture, units, effects, shown, text: str) -> str:
    height, width = units.shape
    largest = np.abs(effects[shown]).max(initial=0.0) or 1.0
    shapes = numbers = ""
    for number, unit in enumerate(shown, start=1):
        mask = units == unit
        if mask.any():  # small superpixels may vanish at a lower resolution
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
    """Draw a superpixel, as opaque as its effect, between -1 and 1, is large."""
    side = "n" if effect < 0 else "p"
    # Padded, so that edges along the border of the image are drawn too.
    edges = _lines(outlines(np.pad(mask, 1)), shift=-1)
    opacity = abs(effect)
    return (
        f'<path class="{side}" fill-opacity="{0.1 + 0.6 * opacity:.2f}" '
        f'd="{_fill(mask)}"/><path class="e{side}" '
        f'stroke-opacity="{0.25 + 0.75 * opacity:.2f}" d="{edges}"/>'
    )


# ---------------------------------------------------------------------------- shapes


def _picture(kind: str, size: str, text: str, content: str, more: str = "") -> str:
    """Return an SVG element; ``text`` describes it to screen readers."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {size}"{more} role="img" '
        f'aria-label="{html.escape(text)}">{content}</svg>'
    )


def _place(value, ends: tuple[float, float]):
    """Return the x coordinate of a value, with a margin on both sides."""
    low, high = ends
    return 4 + 192 * (np.nan_to_num(value) - low) / ((high - low) or 1.0)


def _fill(mask: np.ndarray) -> str:
    """Return a path that fills the cells of a mask, one rectangle per run."""
    return "".join(
        f"M{start} {y}h{stop - start}v1H{start}z"
        for y, line in enumerate(mask)
        for start, stop in runs(line)
    )


def _lines(ends, shift: int = 0) -> str:
    """Return a path of horizontal and vertical lines."""
    return "".join(
        f"M{x0 + shift} {y0 + shift}" + (f"h{x1 - x0}" if y0 == y1 else f"v{y1 - y0}")
        for x0, y0, x1, y1 in ends
    )


def _dots(places, heights, mask) -> str:
    """Return a path of points: lines of zero length, which CSS gives round ends."""
    both = zip(places[mask], heights[mask], strict=True)
    return "".join(f"M{x:.1f} {y:.0f}h0" for x, y in both)


def _shades(cells: np.ndarray) -> str:
    """Return one path per shade and sign, and one for cells without a unit."""
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
    """Return a point inside a mask: the middle of the longest run in the middle row.

    The center of gravity may lie outside of a superpixel that is not convex.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    y = rows[len(rows) // 2]
    start, stop = max(runs(mask[y]), key=lambda run: run[1] - run[0])
    return (start + stop) / 2, y + 0.5


# ------------------------------------------------------------------------ fewer cells


def _coarser(cells, units, names, labels):
    """Drop the features with the smallest effects, and join times, if there are many.

    A joined cell has the largest effect of its cells, and the label of the last one.
    """
    note = ""
    if len(cells) > _MOST_FEATURES:
        note = f"Showing {_MOST_FEATURES} of {len(cells)} features. "
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
    note += f"Each column shows the largest effect in {step} time steps."
    cells = np.stack(largest, axis=1)
    return cells, units[:, ::step], names, [labels[k] for k in last], note


def _smaller(picture, units, most: int):
    """Return an image in gray and its superpixels, at most ``most`` pixels wide."""
    picture = np.asarray(picture, float)
    gray = picture.mean(axis=-1) if picture.ndim == 3 else picture
    factor = min(1.0, most / max(gray.shape))
    starts = [_starts(size, max(1, int(size * factor))) for size in gray.shape]
    for axis, start in enumerate(starts):
        counts = np.diff([*start, gray.shape[axis]])
        sums = np.add.reduceat(gray, start, axis=axis)
        gray = sums / (counts if axis else counts[:, np.newaxis])
    return gray, np.asarray(units)[np.ix_(*starts)]


def _starts(size: int, n: int) -> np.ndarray:
    """Return the starts of n parts of a length."""
    return np.arange(n) * size // n


def _png(gray: np.ndarray) -> str:
    """Return an image in gray, between 0 and 1, as PNG in base 64."""
    # 64 shades are enough for the eye, and finer noise would not compress.
    values = np.rint(np.nan_to_num(gray).clip(0, 1) * 63).astype(np.uint8) * 4
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
    """Return the width of a text in letters; wide East Asian letters count as two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _feature_labels(names, left, height) -> str:
    heights = 8 + height * (np.arange(len(names)) + 0.5) / len(names)
    return "".join(
        f'<text class="s" x="{left - 6:.0f}" y="{y:.0f}">{escape(name)}</text>'
        for name, y in zip(names, heights, strict=True)
    )


def _time_labels(labels, left, width, y) -> str:
    """Label the last time, and as many earlier ones as fit without overlap."""
    for most in range(n_labels(labels, int(width / _LETTER)), 0, -1):
        places = evenly_spaced(len(labels), most)
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
