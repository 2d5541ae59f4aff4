"""LimeExplanation and its HTML; for plots see test_lime_display.py."""

import datetime
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from skdeep.inspection import lime_explain
from tests.inspection.explanation_data import make_explanation

VOID = {"meta", "br", "hr", "img", "input", "link"}


def table(effects, **changes):
    effects = np.asarray(effects, float)
    values = np.arange(effects.size, dtype=float).reshape(effects.shape).astype(object)
    return make_explanation("table", effects, **{"values": values, **changes})


def sequence(n_timesteps=12, n_features=3, n_rows=2, effects=None, **changes):
    n_units = n_timesteps * n_features
    if effects is None:
        effects = np.random.default_rng(0).normal(size=(n_rows, n_units))
    made_up = {
        "units": np.arange(n_units).reshape(n_timesteps, n_features),
        "times": list(range(1 - n_timesteps, 1)),
        "feature_names": [f"x{k}" for k in range(n_features)],
    }
    return make_explanation("sequence", effects, **{**made_up, **changes})


def image(size=24, n_rows=2, effects=None, **changes):
    generator = np.random.default_rng(0)
    units = np.add.outer(4 * (np.arange(size) * 4 // size), np.arange(size) * 4 // size)
    made_up = {
        "units": np.stack([units] * n_rows),
        "images": generator.random((n_rows, size, size)),
        "feature_names": [],
    }
    if effects is None:
        effects = generator.normal(size=(n_rows, 16))
    return make_explanation("image", effects, **{**made_up, **changes})


KINDS = {"table": table([[0.3, -0.2], [0.1, 0.0]]), "sequence": sequence()}
KINDS["image"] = image()


class Page(HTMLParser):
    """Parses a page, checks that its tags are balanced, and collects its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.numbers = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        self.words.append(data)
        if self.open and self.open[-1] == "td":
            self.numbers.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def svg_elements(text):
    """Return the parsed SVG elements of a page."""
    found = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(found) == text.count("<svg")
    return [ElementTree.fromstring(svg) for svg in found]


def size_of(text):
    return len(text.encode())


# ---------------------------------------------------------------------------- numbers


def test_top_returns_the_largest_effects_without_zeros():
    explanation = table([[0.1, -0.5, 0.0, np.nan, 0.3]])
    np.testing.assert_array_equal(explanation.top(0), [1, 4, 0])
    explanation.num_features = 2
    np.testing.assert_array_equal(explanation.top(), [1, 4])


def test_to_frame():
    explanation = table([[0.1, -0.5], [0.0, 0.3]], rows=["a", "b"])
    frame = explanation.to_frame()
    assert list(frame["row"]) == ["a", "a", "b"]
    assert list(frame["unit"]) == ["unit 1", "unit 0", "unit 1"]
    np.testing.assert_array_equal(frame["effect"], [-0.5, 0.1, 0.3])
    np.testing.assert_array_equal(frame["value"].astype(float), [1.0, 0.0, 3.0])


METHODS = {
    "top": lambda e, row: e.top(row),
    "plot": lambda e, row: e.plot(row),
    "to_html": lambda e, row: e.to_html(row=row),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("row", [2, -1, np.int64(7), 10**30])
def test_row_out_of_range(method, row):
    with pytest.raises(IndexError, match=f"row must be .* below 2, .* got {row}"):
        METHODS[method](KINDS["table"], row)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("row", [True, 1.0, "0", [0], np.bool_(True)])
def test_invalid_row(method, row):
    with pytest.raises(TypeError, match="row must be an integer.* 2 explained rows"):
        METHODS[method](KINDS["table"], row)


@pytest.mark.parametrize("method", METHODS)
def test_row_as_a_numpy_integer(method):
    assert METHODS[method](KINDS["table"], np.uint8(1)) is not None


def test_repr():
    explanation = table([[0.1], [0.2]], r2=np.array([0.5, -0.25]))
    assert repr(explanation) == "<LimeExplanation of 2 rows: P(up), R² −0.25 to 0.50>"
    one = table([[0.1]], r2=np.array([np.nan]))
    assert repr(one) == "<LimeExplanation of 1 row: P(up), R² –>"


# ------------------------------------------------------------------------------ pages


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", [0, 1, None])
@pytest.mark.parametrize("full_page", [True, False])
def test_pages_are_valid_small_and_self_contained(kind, row, full_page):
    text = KINDS[kind].to_html(row=row, full_page=full_page)
    page = Page(text)
    assert size_of(text) <= (60_000 if row is None else 30_000)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert "http" not in text.replace('http-equiv="', "")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        link = attributes.get("href") or attributes.get("src") or "data:image/png"
        assert link.startswith("data:image/png")
    assert "@import" not in text and "url(" not in text
    assert svg_elements(text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_svg_has_a_label(kind):
    for svg in svg_elements(KINDS[kind].to_html()):
        assert svg.get("role") == "img"
        assert svg.get("aria-label")


def test_styles_are_light_and_dark_and_scoped():
    text = KINDS["table"]._repr_html_()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "@media (prefers-color-scheme:dark)" in style
    assert "@media print" in style
    rules = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", style)
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", rules)
    assert len(selectors) > 20
    for selector in ",".join(re.sub(r":is\([^)]*\)", "", s) for s in selectors).split(
        ","
    ):
        assert ".skdeep-lime" in selector
    used = set(re.findall(r"var\((--[a-z-]+)\)", style))
    light, dark = (
        set(re.findall(r"(--[a-z-]+):", style[style.index(start) :].split("}")[0]))
        for start in (".skdeep-lime{", "@media (prefers-color-scheme:dark)")
    )
    assert used == light == dark


@pytest.mark.parametrize("theme", ["data-theme=dark", "data-jp-theme-light=false"])
def test_styles_follow_the_themes_of_notebooks_and_documentation(theme):
    assert f"[{theme}] .skdeep-lime" in KINDS["table"]._repr_html_()


def test_only_complete_pages_have_a_background():
    explanation = KINDS["table"]
    assert explanation.to_html().startswith("<!DOCTYPE html>")
    tags = [tag for tag, _ in Page(explanation.to_html()).tags]
    assert tags.count("body") == tags.count("html") == tags.count("title") == 1
    part = explanation.to_html(full_page=False)
    assert part == explanation._repr_html_()
    assert not {"body", "html", "head"} & {tag for tag, _ in Page(part).tags}
    assert part in explanation.to_html()


def test_page_shows_predictions_and_effects():
    explanation = table([[0.3, -0.2004, 0.05, 0.01]], num_features=2, rows=[17])
    page = Page(explanation.to_html(row=0))
    # The last three are the intercept, the local model and the model.
    effects, sums = ["+0.300", "−0.200", "+0.060"], ["0.400", "0.560", "0.570"]
    assert page.numbers == effects + sums
    for part in ["P(up) · row 17", "unit 0", "2 others", "R² 0.90", "Stability 0.95"]:
        assert part in page.text
    assert "Draws 2,000" in page.text
    bars = [svg.find("rect") for svg in svg_elements(explanation.to_html(row=0))]
    widths = [float(bar.get("width")) for bar in bars]
    np.testing.assert_allclose(
        np.divide(widths, widths[0]), [1, 0.2004 / 0.3, 0.2], rtol=1e-3
    )
    assert [bar.get("class") for bar in bars] == ["p", "n", "p o"]


def test_colors_of_heat_map():
    effects = np.zeros((1, 6))
    effects[0, [0, 3, 5]] = [1.0, -0.5, np.nan]
    explanation = sequence(3, 2, 1, effects=effects)
    svg = next(
        p for p in svg_elements(explanation.to_html(row=0)) if p.get("class") == "map"
    )
    drawn = {
        (path.get("class"), path.get("fill-opacity")): path.get("d")
        for path in svg.find("g")
    }
    # Unit 3 is the second timestep of the second feature, unit 5 the third.
    assert drawn["p", "1"] == "M0 0h1v1H0z"
    assert drawn["n", "0.5"] == "M1 1h1v1H1z"
    assert drawn["x", None] == "M2 1h1v1H2z"
    labels = [text.text for text in svg.findall("text")]
    assert labels == ["x0", "x1", "−2", "−1", "0"]


def test_segments_fill_their_cells():
    units = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 0]])
    explanation = sequence(4, 3, 1, effects=np.array([[0.0, 2.0]]), units=units)
    svg = next(
        p for p in svg_elements(explanation.to_html(row=0)) if p.get("class") == "map"
    )
    full = next(p for p in svg.find("g") if p.get("fill-opacity") == "1")
    assert full.get("d") == "M3 0h1v1H3zM1 1h1v1H1zM3 1h1v1H3zM0 2h3v1H0z"


@pytest.mark.parametrize("row", [0, None])
def test_time_segments_are_drawn_as_one_line(row):
    units = np.repeat([0, 1], 4)[:, np.newaxis].repeat(3, axis=1)
    effects = np.array([[0.0, 2.0], [0.0, -2.0]])
    text = sequence(8, 3, effects=effects, units=units).to_html(row=row)
    for svg in (p for p in svg_elements(text) if p.get("class") == "map"):
        assert "time segment" in svg.get("aria-label")
        full = next(p for p in svg.find("g") if p.get("fill-opacity") == "1")
        assert full.get("d") == "M4 0h4v1H4z"
        assert svg.find("text").text == "all features"


def test_whole_features_have_no_heat_map():
    units = np.arange(3)[np.newaxis].repeat(8, axis=0)
    text = sequence(8, 3, effects=np.ones((2, 3)), units=units).to_html()
    assert not [p for p in svg_elements(text) if p.get("class") == "map"]
    assert [p for p in svg_elements(text) if p.get("class") == "bar"]


def test_image_shows_only_the_largest_superpixels():
    explanation = image(num_features=3)
    text = explanation.to_html(row=1)
    svg = next(p for p in svg_elements(text) if p.get("class").startswith("img"))
    assert [t.text for t in svg.find("g")] == ["1", "2", "3"]
    sides = [p.get("class") for p in svg.findall("path") if p.get("fill-opacity")]
    signs = np.sign(explanation.effects_[1, explanation.top(1)])
    assert sides == ["p" if sign > 0 else "n" for sign in signs]
    largest = f"1. {explanation.unit_names_[explanation.top(1)[0]]}"
    assert largest in Page(text).text


@pytest.mark.parametrize("shape", [(500, 40), (40, 500), (1, 300), (3, 3)])
def test_large_images_are_reduced(shape):
    units = np.zeros((1, *shape), int)
    images = np.full((1, *shape, 3), 0.5)
    explanation = image(n_rows=1, units=units, images=images, effects=np.ones((1, 1)))
    text = explanation.to_html(row=0)
    assert size_of(text) <= 30_000
    svg = next(p for p in svg_elements(text) if p.get("class").startswith("img"))
    width, height = map(int, svg.get("viewBox").split()[2:])
    assert max(width, height) <= 80
    assert width > height if shape[1] > shape[0] else height >= width


def test_poor_fit_has_a_warning():
    explanation = table([[0.3, -0.2], [0.1, 0.0]], r2=np.array([0.31, 0.8]))
    warning = "R² 0.31: the model is not linear here; do not trust these effects"
    assert warning in Page(explanation.to_html(row=0)).text
    assert 'class="poor"' in explanation.to_html(row=0)
    assert "not linear" not in explanation.to_html(row=1)
    assert "R² below 0.5 in 1 of 2 rows (50 %)" in Page(explanation.to_html()).text
    unknown = table([[0.0, 0.0]], r2=np.array([np.nan]))
    assert "output does not change near this row" in Page(unknown.to_html()).text


def test_page_of_many_rows():
    effects = np.random.default_rng(0).normal(size=(200, 30))
    page = Page(table(effects)._repr_html_())
    assert [tag for tag, _ in page.tags].count("details") == 3
    assert "197 more rows are explained" in page.text
    sizes = np.abs(effects).mean(axis=0)
    first, *_ = page.numbers
    assert first == f"{sizes.max():.3f}"
    assert f"unit {sizes.argmax()}" in page.text


def test_n_rows():
    explanation = table(np.random.default_rng(0).normal(size=(20, 5)))

    def shown(**options):
        page = Page(explanation.to_html(**options))
        return [tag for tag, _ in page.tags].count("details"), "more row" in page.text

    assert shown() == (3, True)
    assert shown(n_rows=0) == (0, False)
    assert shown(n_rows=np.int64(7)) == (7, True)
    assert shown(n_rows=50) == (20, False)
    alone = Page(table([[0.3, -0.2]]).to_html(n_rows=0))
    assert "mean absolute effect" in alone.text


@pytest.mark.parametrize("n_rows", [-1, True, 1.0, "all"])
def test_invalid_n_rows(n_rows):
    with pytest.raises(ValueError, match=f"n_rows must be .* got {n_rows!r}"):
        KINDS["table"].to_html(n_rows=n_rows)


def test_n_rows_cannot_be_combined_with_row():
    with pytest.raises(ValueError, match="n_rows=2 cannot be combined with row=0"):
        KINDS["table"].to_html(row=0, n_rows=2)


def test_few_poor_rows_get_a_note():
    r2 = np.full(300, 0.9)
    r2[7] = 0.1
    explanation = table(np.ones((300, 2)), r2=r2)
    text = explanation.to_html(n_rows=0)
    assert "R² below 0.5 in 1 of 300 rows (below 1 %)" in Page(text).text
    assert '<p class="w"' not in text
    r2[:30] = 0.1
    assert '<p class="w"' in explanation.to_html(n_rows=0)


def test_page_of_one_row_has_no_summary():
    explanation = table([[0.3, -0.2]])
    assert explanation._repr_html_() == explanation.to_html(row=0, full_page=False)


def test_rows_name_their_outputs():
    explanation = table(np.eye(4), outputs=["P(a)", "P(b)", "P(a)", "P(c)"])
    text = Page(explanation.to_html()).text
    assert "P(a), P(b), P(c) · 4 rows" in text
    assert "row 1 · P(b)" in text
    many = table(np.eye(4), outputs=list("abcd"))
    assert "4 outputs · 4 rows" in Page(many.to_html()).text


NASTY = [
    "<script>alert('x')</script>",
    "\"'&<b>",
    "a" * 5000,
    "日本語の列の名前",
    "درجة الحرارة",
    "line\nbreak\ttab\x00null\ud800 \u202e",
    "👩‍🔬 $x^2$ {braces} %s",
    "",
]


@pytest.mark.parametrize("name", NASTY)
def test_text_is_escaped(name, tmp_path):
    effects = np.linspace(1, 2, 30)[np.newaxis].repeat(4, axis=0)
    changes = {
        "rows": [name] * 4,
        "outputs": [name] * 4,
        "unit_names": [name] * 30,
        "feature_names": [name] * 30,
        "num_features": 30,
    }
    values = np.full(effects.shape, name, object)
    explanations = [table(effects, values=values, **changes)]
    units = np.arange(30).reshape(10, 3)
    changes |= {"feature_names": [name] * 3, "times": [name] * 10, "units": units}
    explanations.append(make_explanation("sequence", effects, values=values, **changes))
    for explanation in explanations:
        for row in (0, None):
            text = explanation.to_html(row=row)
            assert "script" not in {tag for tag, _ in Page(text).tags}
            svg_elements(text)
            assert size_of(text) <= (60_000 if row is None else 30_000)
            assert explanation.to_html(tmp_path / "page.html", row=row) is None
            written = (tmp_path / "page.html").read_text(encoding="utf-8")
            assert written == text


def test_full_names_are_in_the_page():
    name = "a name of more letters than the forty that fit"
    text = table([[1.0]], unit_names=[name], feature_names=[name]).to_html()
    assert f'title="{name}"' in text
    assert name[:15] in Page(text).text
    assert name[-15:] in Page(text).text
    assert name not in Page(text).text


VALUES = {
    "missing": [None, np.nan, pd.NA, pd.NaT, float("nan")],
    "2024-03-01": [pd.Timestamp("2024-03-01"), np.datetime64("2024-03-01")],
    "2024-03-01 12:30": [datetime.datetime(2024, 3, 1, 12, 30)],
    "7": [7, np.int8(7), 7.0, np.float32(7)],
    "True": [True, np.bool_(True)],
    "0.1235": [0.123456, np.float64(0.123456)],
    "123457": [123456.7],
    "1.235e+08": [123456789.0],
    "1.000e−09": [1e-9],
    "−2.5": [-2.5],
    "∞": [np.inf],
    "green": ["green", np.str_("green")],
    "(1, 2)": [(1, 2)],
}


@pytest.mark.parametrize(
    "text, value",
    [(text, value) for text, values in VALUES.items() for value in values],
)
def test_format_of_values(text, value):
    values = np.empty((1, 1), object)
    values[0, 0] = value
    assert text in Page(table([[0.5]], values=values).to_html()).words


@pytest.mark.parametrize(
    "effects, texts",
    [
        ([0.3, -0.004], ["+0.300", "−0.004"]),
        ([12345.6, -1.0], ["+12,346", "−1"]),
        ([3e-9, 1e-10], ["+3.00e−09", "+1.00e−10"]),
        ([3e12, -5.0], ["+3.00e+12", "−5.00e+00"]),
        ([123.4, 5.0], ["+123", "+5"]),
    ],
)
def test_format_of_effects(effects, texts):
    page = Page(make_explanation("table", [effects], feature_names=[]).to_html())
    assert page.numbers[:2] == texts


def test_rounded_zero_has_no_sign():
    page = table([[1.0]], intercept=np.array([-1e-9])).to_html(row=0)
    assert ">0.00<" in page and "−0.00" not in page


def test_page_without_effects():
    for explanation in [table(np.zeros((3, 2))), sequence(effects=np.zeros((2, 36)))]:
        for row in (0, None):
            assert "No unit has an effect." in Page(explanation.to_html(row=row)).text
    blank = image(effects=np.full((2, 16), np.nan))
    assert "No unit has an effect." in Page(blank.to_html(row=0)).text


def test_page_of_rows_with_different_units():
    explanation = sequence()
    explanation.effects_[0, -9:] = np.nan
    explanation.effects_[:, 0] = np.nan  # and one that no row has
    for row in (0, None):
        text = explanation.to_html(row=row)
        assert "nan" not in Page(text).text.lower()
        assert 'class="x"' in text


def test_page_of_600_units_is_small():
    effects = np.random.default_rng(0).normal(size=(30, 600))
    wide = table(effects, num_features=600)
    assert size_of(wide.to_html(row=0)) <= 30_000
    assert "580 others" in Page(wide.to_html(row=0)).text
    long = sequence(60, 10)
    assert size_of(long.to_html(row=0)) <= 30_000
    assert size_of(long._repr_html_()) <= 60_000


def test_long_sequences_are_reduced():
    explanation = sequence(400, 50, n_rows=1)
    explanation.effects_[0, 7] = 50.0
    text = explanation.to_html()
    assert size_of(text) <= 30_000
    assert "Showing 32 of 50 features. Each column shows the largest effect in" in text
    svg = next(p for p in svg_elements(text) if p.get("class") == "map")
    (full,) = [p.get("d") for p in svg.find("g") if p.get("fill-opacity") == "1"]
    assert full.count("M") == 1  # the largest effect isn't lost
    assert [t.text for t in svg.findall("text")][-1] == "0"


@pytest.mark.parametrize("n_timesteps", [1, 3, 48, 200])
def test_time_labels_do_not_overlap(n_timesteps):
    hours = list(pd.date_range("2024-01-01", periods=n_timesteps, freq="h"))
    text = sequence(n_timesteps, 2, 1, times=hours).to_html()
    svg = next(p for p in svg_elements(text) if p.get("class") == "map")
    labels = [t for t in svg.findall("text") if t.get("class") == "m"]
    assert labels[-1].text == f"{hours[-1]:%Y-%m-%d %H:%M}".replace(" 00:00", "")
    gaps = np.diff([float(label.get("x")) for label in labels])
    assert (gaps > 6 * len(labels[-1].text)).all()


class ReadsThreeCells(RegressorMixin, BaseEstimator):
    """Adds up three cells of sequences, or pixels of images."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[-1]
        return self

    def predict(self, X):
        X = np.asarray(X)
        return X[:, 1, 1] - 2 * X[:, 4, 2] + 0.5 * X[:, 5, 0]


def test_page_of_an_explained_sequence():
    X = np.random.default_rng(0).normal(size=(50, 6, 3))
    explanation = lime_explain(
        ReadsThreeCells().fit(X), X[:2], background=X, num_features=3, random_state=0
    )
    page = Page(explanation.to_html(row=0))
    effects = [X[0, 1, 1], -2 * X[0, 4, 2], 0.5 * X[0, 5, 0]]
    drawn = [float(n.replace("−", "-")) for n in page.numbers[:3]]
    assert sorted(drawn) == pytest.approx(sorted(effects), abs=0.5)
    assert "R² 1.00" in page.text
    assert explanation.plot(1).image_.get_array().shape == (3, 6)


def test_page_of_an_explained_image():
    X = np.random.default_rng(0).random((3, 16, 16))
    model = ReadsThreeCells().fit(X)
    explanation = lime_explain(model, X, groups="superpixel", random_state=0)
    assert svg_elements(explanation.to_html(row=2))
    assert explanation.plot(2).image_.get_array().shape == (16, 16)


def test_predictions_that_are_not_numbers():
    explanation = table([[0.5, 0.1]], prediction=np.array(["good"], object))
    assert "good" in Page(explanation.to_html()).text


def test_pages_are_deterministic():
    assert KINDS["table"].to_html() == KINDS["table"].to_html()


# ------------------------------------------------------------------------------- files


def test_write_to_a_file(tmp_path):
    explanation = KINDS["table"]
    for path in (tmp_path / "a.html", str(tmp_path / "b.html")):
        assert explanation.to_html(path, row=1) is None
        with open(path, encoding="utf-8") as file:
            assert file.read() == explanation.to_html(row=1)


@pytest.mark.parametrize("path", ["", "  "])
def test_write_to_an_empty_path_raises(path):
    with pytest.raises(ValueError, match=f"path must name a file, got '{path}'"):
        KINDS["table"].to_html(path)


def test_write_to_a_folder_raises(tmp_path):
    with pytest.raises(ValueError, match="path must name a file"):
        KINDS["table"].to_html(tmp_path)
    with pytest.raises(TypeError):
        KINDS["table"].to_html(3)
    with pytest.raises(FileNotFoundError):
        KINDS["table"].to_html(tmp_path / "none" / "page.html")
