"""Explanations as HTML without JavaScript or other files, in light and dark."""

from __future__ import annotations

import html

import numpy as np

from skdeep.inspection._explanation import svg
from skdeep.inspection._explanation.parts import (
    Line,
    are_many_poor,
    clean,
    count_rows,
    describe_fidelity,
    describe_output,
    describe_range,
    describe_row,
    format_numbers,
    is_poor,
    largest_units,
    mean_sizes,
    name_units,
    printable,
    row_units,
    shorten,
    shown_lines,
    spread_over_cells,
    value_ranks,
    warn_of_row,
    warn_of_rows,
)
from skdeep.inspection._explanation.svg import escape

_MOST_BYTES = 58_000  # of the summary and the first rows
_MOST_ROWS, _MOST_LINES, _MOST_LETTERS = 3, 20, 2_000

_LIGHT = (
    "--ground:#fff;--ink:#1c2430;--soft:#5a6675;--line:#d9dee5;"
    "--plus:#1f6fd1;--minus:#d2691e;--alarm:#a3261b;--alarm-ground:#fdecea;"
    "--low:#5b3fb5;--middle:#c44b8b;--high:#e8961e"
)
_DARK = (
    "--ground:#161b22;--ink:#dde4ec;--soft:#98a5b4;--line:#39424e;"
    "--plus:#6cb0ff;--minus:#f2a364;--alarm:#ffb4a9;--alarm-ground:#3d1c1a;"
    "--low:#a08cf0;--middle:#e673b0;--high:#ffc65c"
)
# Every rule is limited to the class, so that the page around it does not change. The
# fragment has its own background, and stays readable on any page. Notebooks and
# documentation with a dark mode of their own set one of the attributes below, which
# takes precedence over the system's preference. Printing is always light: the class is
# repeated there to outweigh those selectors.
_STYLE = (
    f"""
.skdeep-lime{{{_LIGHT}}}
@media (prefers-color-scheme:dark){{.skdeep-lime{{{_DARK}}}}}
[data-theme=light] .skdeep-lime,[data-jp-theme-light=true] .skdeep-lime,
.vscode-light .skdeep-lime{{{_LIGHT}}}
[data-theme=dark] .skdeep-lime,[data-jp-theme-light=false] .skdeep-lime,
.vscode-dark .skdeep-lime{{{_DARK}}}
@media print{{.skdeep-lime.skdeep-lime.skdeep-lime{{{_LIGHT};padding:0;
print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}
"""
    + """
.skdeep-lime{background:var(--ground);color:var(--ink);max-width:46rem;
box-sizing:border-box;padding:1rem 1.25rem;border-radius:6px;text-align:left;
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.skdeep-lime p{margin:.5rem 0;color:inherit}
.skdeep-lime .t{font-size:1.15rem;font-weight:650;margin:0}
.skdeep-lime .t span,.skdeep-lime .c{color:var(--soft);font-weight:400}
.skdeep-lime .c{font-size:.85rem}
.skdeep-lime .c i{display:inline-block;width:.75em;height:.75em;border-radius:2px;
margin:0 .35em 0 .9em}
.skdeep-lime .c i:first-child{margin-left:0}
.skdeep-lime dl{display:flex;flex-wrap:wrap;gap:.2rem 1.8rem;margin:.5rem 0 .8rem}
.skdeep-lime dl div{margin:0}
.skdeep-lime dt{color:var(--soft);font-size:.8rem;font-weight:400;margin:0}
.skdeep-lime dd{font-size:1.1rem;font-variant-numeric:tabular-nums;margin:0}
.skdeep-lime .w{background:var(--alarm-ground);color:var(--alarm);font-weight:600;
border-left:4px solid;padding:.45rem .8rem;border-radius:0 4px 4px 0}
.skdeep-lime table{border-collapse:collapse;table-layout:auto;width:100%;
margin:.4rem 0;font-size:14px;font-variant-numeric:tabular-nums;color:inherit;border:0}
.skdeep-lime tr{background:none!important;border:0}
.skdeep-lime th,.skdeep-lime td{padding:.22rem .5rem .22rem 0;text-align:right;
color:inherit;background:none;border:0;border-bottom:1px solid var(--line);
font-weight:400;white-space:nowrap;vertical-align:middle;max-width:none}
.skdeep-lime th:first-child{text-align:left;white-space:normal;
overflow-wrap:anywhere}
.skdeep-lime thead th{color:var(--soft);font-size:.8rem}
.skdeep-lime td.v{color:var(--soft)}
.skdeep-lime td.g{width:38%;padding:0 .5rem}
.skdeep-lime td:last-child,.skdeep-lime thead th:last-child{padding-right:0}
.skdeep-lime tfoot th,.skdeep-lime tfoot td{color:var(--soft)}
.skdeep-lime tfoot tr.m *{color:var(--ink);font-weight:650}
.skdeep-lime details{border-top:1px solid var(--line);padding:.5rem 0 0;
margin:.9rem 0 0}
.skdeep-lime summary{cursor:pointer;font-weight:600;color:inherit}
.skdeep-lime svg{display:block;width:100%;height:auto;overflow:visible}
.skdeep-lime svg.bar{height:14px}.skdeep-lime svg.dots{height:18px}
.skdeep-lime .a{overflow-x:auto}.skdeep-lime svg.map{margin:.6rem 0;min-width:32rem}
.skdeep-lime svg.img{max-width:22rem;margin:.6rem 0;overflow:hidden}
.skdeep-lime svg.px{image-rendering:pixelated}
.skdeep-lime .p{fill:var(--plus)}.skdeep-lime .n{fill:var(--minus)}
.skdeep-lime i.p{background:var(--plus)}.skdeep-lime i.n{background:var(--minus)}
.skdeep-lime .o{fill:none}.skdeep-lime .p.o{stroke:var(--plus)}
.skdeep-lime .n.o{stroke:var(--minus)}
.skdeep-lime .ep,.skdeep-lime .en,.skdeep-lime .z,.skdeep-lime .l,.skdeep-lime .f{
fill:none;stroke:var(--line);vector-effect:non-scaling-stroke}
.skdeep-lime .z{stroke:var(--soft)}.skdeep-lime .l{stroke:var(--ground)}
.skdeep-lime .ep{stroke:var(--plus);stroke-width:1.6}
.skdeep-lime .en{stroke:var(--minus);stroke-width:1.6}
.skdeep-lime .o{vector-effect:non-scaling-stroke}
.skdeep-lime .x,.skdeep-lime .b{fill:var(--soft);fill-opacity:.25}
.skdeep-lime .map .p,.skdeep-lime .map .n,.skdeep-lime .img .p,.skdeep-lime .img .n{
shape-rendering:crispEdges}
.skdeep-lime .dots path[class^=d]{fill:none;stroke-width:4.5;stroke-linecap:round;
stroke-opacity:.85;vector-effect:non-scaling-stroke}
.skdeep-lime .d0{stroke:var(--low)}.skdeep-lime .d1{stroke:var(--middle)}
.skdeep-lime .d2{stroke:var(--high)}.skdeep-lime .d3{stroke:var(--soft)}
.skdeep-lime i.d0{background:var(--low)}.skdeep-lime i.d1{background:var(--middle)}
.skdeep-lime i.d2{background:var(--high)}.skdeep-lime i.d3{background:var(--soft)}
.skdeep-lime svg text{fill:var(--ink);font-size:11.5px}
.skdeep-lime .s{text-anchor:end}.skdeep-lime .m{text-anchor:middle}
.skdeep-lime .img text{font-size:inherit;text-anchor:middle;dominant-baseline:central;
fill:#fff;stroke:#000;stroke-width:.22em;paint-order:stroke;font-weight:700}
.skdeep-lime .d{white-space:pre-wrap;overflow-wrap:anywhere}
.skdeep-lime mark{color:inherit;border-radius:3px;padding:0 .1em;
border-bottom:2px solid;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.skdeep-lime mark.p{border-color:var(--plus);
background:color-mix(in srgb,var(--plus) 12%,transparent)}
.skdeep-lime mark.p.w2{background:color-mix(in srgb,var(--plus) 30%,transparent)}
.skdeep-lime mark.p.w3{background:color-mix(in srgb,var(--plus) 50%,transparent)}
.skdeep-lime mark.n{border-color:var(--minus);
background:color-mix(in srgb,var(--minus) 12%,transparent)}
.skdeep-lime mark.n.w2{background:color-mix(in srgb,var(--minus) 30%,transparent)}
.skdeep-lime mark.n.w3{background:color-mix(in srgb,var(--minus) 50%,transparent)}
.skdeep-lime .poor :is(.p,.n,.ep,.en,.b,.d0,.d1,.d2,.d3){opacity:.4}
.skdeep-lime .poor mark.p,.skdeep-lime .poor mark.n{opacity:1;background:none}
"""
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root{{color-scheme:light dark}}body{{margin:1.5rem auto;max-width:46rem;
background:#fff}}@media (prefers-color-scheme:dark){{body{{background:#161b22}}}}
@media print{{body{{margin:0;background:#fff}}}}</style>
</head>
<body>
{body}</body>
</html>
"""


def write_page(explanation, row: int | None, n_rows: int | None) -> str:
    """Return a complete HTML page about a row, or about all rows."""
    title = describe_output(explanation, row)
    if row is not None:
        title += f" · {describe_row(explanation, row)}"
    body = write_fragment(explanation, row, n_rows)
    return _PAGE.format(title=escape(title), body=body)


def write_fragment(explanation, row: int | None, n_rows: int | None) -> str:
    """Return an HTML fragment about a row, or about all rows and the first ones."""
    # A summary of one row would repeat the row.
    if row is None and n_rows is None and len(explanation) == 1:
        row = 0
    if row is None:
        content = _summary(explanation)
        room = _MOST_BYTES - len((_STYLE + content).encode())
        content += _first_rows(explanation, n_rows, room)
    else:
        content = _headline(explanation, row) + _row(explanation, row)
    return f'<div class="skdeep-lime">\n<style>{_STYLE}</style>\n{content}</div>\n'


# ------------------------------------------------------------------------------- rows


def _headline(explanation, row) -> str:
    output = escape(describe_output(explanation, row))
    label = escape(describe_row(explanation, row))
    return f'<p class="t">{output} <span>· {label}</span></p>\n'


def _first_rows(explanation, n_rows: int | None, room: int) -> str:
    """Return the first rows, as many as fit, with the first one unfolded."""
    parts: list[str] = []
    most = _MOST_ROWS if n_rows is None else n_rows
    for row in range(min(most, len(explanation))):
        part = _folded_row(explanation, row)
        room -= len(part.encode())
        if n_rows is None and room < 0:
            break
        parts.append(part)
    n_left = len(explanation) - len(parts)
    if n_left and n_rows != 0:
        more = "rows are" if n_left > 1 else "row is"
        parts.append(
            f'<p class="c">{n_left} more {more} explained; '
            "<code>to_html(row=…)</code> and <code>plot(row)</code> show them.</p>\n"
        )
    return "".join(parts)


def _folded_row(explanation, row: int) -> str:
    """Return a row that unfolds below its headline."""
    numbers = describe_fidelity(explanation, row)
    output = describe_output(explanation, row)
    title = f"{describe_row(explanation, row)} · {output} {numbers['Model']}"
    title += f" · R² {numbers['R²']}"
    return (
        f"<details{'' if row else ' open'}><summary>{escape(title)}</summary>\n"
        f"{_row(explanation, row)}</details>\n"
    )


def _row(explanation, row) -> str:
    """Return the numbers, the picture and the table of a row."""
    lines = shown_lines(explanation, row, _MOST_LINES)
    output = describe_output(explanation, row)
    poor = ' class="poor"' if is_poor(explanation)[row] else ""
    pictures = {"sequence": _sequence, "image": _image, "document": _document}
    picture = pictures.get(explanation.kind)
    drawn = picture(explanation, row, output) if picture else ""
    return (
        _facts(describe_fidelity(explanation, row))
        + _warning(warn_of_row(explanation, row))
        + f"<div{poor}>{drawn}{_legend(explanation, row, output, bool(drawn))}"
        + f"{_table(explanation, row, lines)}</div>\n"
    )


def _facts(numbers: dict) -> str:
    """Return some numbers next to each other, each below its name."""
    items = "".join(
        f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in numbers.items()
    )
    return f"<dl>{items}</dl>\n"


def _warning(lines: list[str], quiet: bool = False) -> str:
    kind = "c" if quiet else "w"
    text = escape(" ".join(lines))
    return f'<p class="{kind}" role="note">{text}.</p>\n' if lines else ""


def _legend(explanation, row, output, has_shades: bool) -> str:
    """Return the legend of the colors."""
    sizes = np.nan_to_num(np.abs(np.asarray(explanation.effects_[row], float)))
    shades = ""
    if has_shades:
        largest = format_numbers([sizes.max(initial=0.0)])[0]
        shades = f"; full color: an effect of {largest}"
    return (
        f'<p class="c"><i class="p"></i>raises <i class="n"></i>lowers '
        f"{escape(output)}{shades}</p>\n"
    )


def _sequence(explanation, row, output) -> str:
    units = row_units(explanation, row)
    cells = spread_over_cells(units, explanation.effects_[row])
    text = f"Effect of each {name_units(units)} on {output}, features by times"
    return _map(explanation, cells, units, text)


def _map(explanation, cells, units, text) -> str:
    """Return a heat map of features and times, unless units are whole features."""
    if name_units(units) == "feature":
        return ""
    axes = (explanation.feature_names_, explanation.times_)
    return svg.heat_map(cells, units, *axes, text) + "\n"


def _image(explanation, row, output) -> str:
    text = f"The superpixels with the largest effects on {output}"
    shown = explanation.top(row)[:_MOST_LINES]
    effects = np.asarray(explanation.effects_[row], float)
    units = row_units(explanation, row)
    return svg.overlay(explanation.images_[row], units, effects, shown, text) + "\n"


def _document(explanation, row, output) -> str:
    """Return the text, with the words with the largest effects highlighted."""
    effects = np.asarray(explanation.effects_[row], float)
    shown = explanation.top(row)[:_MOST_LINES]
    largest = np.abs(effects[shown]).max(initial=0.0) or 1.0
    shades = {unit: effects[unit] / largest for unit in shown.tolist()}
    drawn, room = "", _MOST_LETTERS
    for piece, unit in explanation.documents_[row]:
        if room < 0:
            drawn += "\u2026"
            break
        room -= len(piece)
        text = escape(printable(piece))
        drawn += _mark(text, shades[unit]) if unit in shades else text
    return f'<p class="d"><bdi>{drawn}</bdi></p>\n'


def _mark(text: str, effect: float) -> str:
    """Highlight a word in the shade of its effect, between -1 and 1."""
    side = "n" if effect < 0 else "p"
    shade = 1 + int(min(2, 3 * abs(effect)))
    return f'<mark class="{side} w{shade}">{text}</mark>'


def _table(explanation, row, lines: list[Line]) -> str:
    """Return the effects as a table that adds up to the local prediction."""
    effects = [line.effect for line in lines]
    ends = min([0.0, *effects]), max([0.0, *effects])
    texts = format_numbers(effects, sign=True)
    numbered, valued = explanation.kind == "image", any(line.value for line in lines)
    body = ""
    for number, (line, text) in enumerate(zip(lines, texts, strict=True), start=1):
        first = f"{number}. " if numbered and line.unit is not None else ""
        value = f'<td class="v"><bdi>{escape(line.value)}</bdi></td>' if valued else ""
        drawn = svg.bar(line.effect, ends, text, hollow=line.unit is None)
        body += (
            f"<tr>{_name(line.name, first)}{value}"
            f'<td class="g">{drawn}</td><td>{text}</td></tr>\n'
        )
    columns = ["unit", *(["value"] if valued else []), "", "effect"]
    foot = _sums(explanation, row, effects, len(columns) - 1)
    return _make_table(columns, body, foot)


def _make_table(columns: list[str], body: str, foot: str = "") -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    if not body:
        span = f'scope="row" colspan="{len(columns)}"'
        body = f"<tr><th {span}>No unit has an effect.</th></tr>\n"
    return (
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
        f"{f'<tfoot>{foot}</tfoot>' if foot else ''}</table>\n"
    )


def _name(name: str, number: str = "") -> str:
    """Return the table cell of a name; hovering over a shortened one shows more."""
    short = shorten(name, 40)
    title = "" if short == name else f' title="{html.escape(shorten(name, 60))}"'
    return f'<th scope="row"{title}>{number}<bdi>{escape(short)}</bdi></th>'


def _sums(explanation, row, effects, width: int) -> str:
    """Return the intercept, the sum of the effects and the estimator's prediction."""
    numbers = {
        "intercept": explanation.intercept_[row],
        "local model: intercept + effects": explanation.local_prediction_[row],
        "model": explanation.prediction_[row],
    }
    texts = format_numbers(list(numbers.values()), like=effects)
    return "".join(
        f"<tr{' class=m' if name.startswith('local') else ''}>"
        f'<th scope="row" colspan="{width}">{name}</th><td>{text}</td></tr>\n'
        for name, text in zip(numbers, texts, strict=True)
    )


# ------------------------------------------------------------------------ all rows


def _summary(explanation) -> str:
    """Return the summary of all rows."""
    output = escape(describe_output(explanation, None))
    poor = ' class="poor"' if is_poor(explanation).all() else ""
    parts = {"table": _table_summary, "document": _table_summary}
    parts |= {"sequence": _sequence_summary}
    content = parts[explanation.kind](explanation) if explanation.kind in parts else ""
    return (
        f'<p class="t">{output} <span>· {count_rows(len(explanation))}</span></p>\n'
        + _facts(
            {
                "Rows": f"{len(explanation):,}",
                "R²": describe_range(explanation.r2_),
                "Stability": describe_range(explanation.stability_),
            }
        )
        + _warning(warn_of_rows(explanation), quiet=not are_many_poor(explanation))
        + f"<div{poor}>{content}</div>\n"
    )


def _table_summary(explanation) -> str:
    """Return the mean absolute effects as bars, and the effects on rows as points."""
    units = largest_units(explanation, _MOST_LINES)
    effects = np.asarray(explanation.effects_, float)[:, units]
    sizes = mean_sizes(explanation)[units]
    ends = np.nanmin(effects, initial=0.0), np.nanmax(effects, initial=0.0)
    poor = is_poor(explanation)
    ranks = [np.where(poor, np.nan, value_ranks(explanation, u)) for u in units]
    texts = format_numbers(sizes)
    drawn = [
        svg.strip(sizes[k], effects[:, k], ranks[k], ends, texts[k])
        for k in range(len(units))
    ]
    legend = "bar: mean absolute effect; point: the effect on a row"
    if any(np.isfinite(rank).any() for rank in ranks):
        names = enumerate(["low", "middle", "high"])
        shades = [f'<i class="d{k}"></i>{name}' for k, name in names]
        legend += f", by its value: {' '.join(shades)}"
    if poor.any():
        legend += ' <i class="d3"></i>rows with R² below 0.5'
    return f'<p class="c">{legend}</p>\n' + _sizes(explanation, units, texts, drawn)


def _sequence_summary(explanation) -> str:
    """Return the mean absolute effects as a heat map, and the largest as a table."""
    units, sizes = row_units(explanation, 0), mean_sizes(explanation)
    text = f"Mean absolute effect of each {name_units(units)}, features by times"
    drawn = _map(explanation, spread_over_cells(units, sizes), units, text)
    shown = largest_units(explanation, _MOST_LINES)
    texts = format_numbers(sizes[shown])
    ends = 0.0, sizes[shown].max(initial=0.0)
    bars = [svg.bar(sizes[u], ends, t) for u, t in zip(shown, texts, strict=True)]
    return drawn + _sizes(explanation, shown, texts, bars)


def _sizes(explanation, units, texts, pictures) -> str:
    """Return a table of mean absolute effects, each with a picture."""
    body = "".join(
        f"<tr>{_name(clean(explanation.unit_names_[unit]))}"
        f'<td class="g">{drawn}</td><td>{text}</td></tr>\n'
        for unit, text, drawn in zip(units, texts, pictures, strict=True)
    )
    return _make_table(["unit", "", "mean absolute effect"], body)
