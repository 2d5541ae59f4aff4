"""Plots of explanations."""

import inspect

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from sklearn.linear_model import LinearRegression

from skdeep.inspection import LimeDisplay
from tests.inspection.explanation_data import make_explanation


def table(effects, **changes):
    values = np.arange(np.size(effects)).reshape(np.shape(effects)).astype(object)
    return make_explanation("table", effects, **{"values": values, **changes})


def sequence(units, effects, **changes):
    n_timesteps, n_features = np.shape(units)
    made_up = {
        "units": np.asarray(units),
        "times": list(range(1 - n_timesteps, 1)),
        "feature_names": [f"x{k}" for k in range(n_features)],
    }
    return make_explanation("sequence", effects, **{**made_up, **changes})


def image(effects, **changes):
    """Return an explanation of images of 8 × 8 pixels with four superpixels."""
    n_rows = len(effects)
    units = np.kron([[0, 1], [2, 3]], np.ones((4, 4), int))
    pictures = np.random.default_rng(0).random((n_rows, 8, 8))
    made_up = {"units": np.stack([units] * n_rows), "images": pictures}
    return make_explanation(
        "image", effects, **{**made_up, "feature_names": [], **changes}
    )


def texts(display):
    """Return all text in a plot."""
    texts = display.figure_.findobj(mpl.text.Text)
    return "\n".join(text.get_text() for text in texts)


def names(display):
    """Return the labels of the bars, from the top."""
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def rendered(display):
    display.figure_.canvas.draw()
    return display


# ----------------------------------------------------------------------------- tables


def test_bars_show_the_largest_effects_first():
    effects = [[0.1, -0.5, 0.0, np.nan, 0.3]]
    display = table(effects, values=np.array([[1, 2.5, 3, None, "b"]], object)).plot()
    assert isinstance(display, LimeDisplay)
    assert [bar.get_width() for bar in display.bars_] == [-0.5, 0.3, 0.1]
    assert names(display) == ["unit 1 = 2.5", "unit 4 = b", "unit 0 = 1"]
    heights = [bar.get_y() for bar in display.bars_]
    low, high = display.ax_.get_ylim()
    assert heights == sorted(heights) and low > high  # the first is on top
    for text in ["−0.500", "+0.300", "+0.100"]:
        assert text in texts(display)


def test_signs_have_colors_of_the_style():
    display = table([[0.1, -0.5]]).plot()
    colors = [bar.get_facecolor() for bar in display.bars_]
    assert same_color(colors[0], "C1") and same_color(colors[1], "C0")


def test_other_effects_are_summed():
    effects = np.array([[5.0, 4.0, -0.5, 0.25, 0.0, np.nan]])
    display = table(effects, num_features=2).plot()
    assert [bar.get_width() for bar in display.bars_] == [5.0, 4.0, -0.25]
    assert names(display)[2] == "2 others"
    assert display.bars_[2].get_facecolor()[3] == 0  # not filled
    one = table(effects, num_features=3).plot()
    assert names(one)[3] == "1 other"
    assert len(table(effects, num_features=4).plot().bars_) == 4


def test_title_and_notes():
    display = table([[0.1, -0.5], [0.2, 0.3]], rows=["a", "b"]).plot(1)
    assert display.ax_.get_title(loc="left") == "P(up) · row b"
    assert display.ax_.get_xlabel() == "effect on P(up)"
    for text in ["Model 0.910 · Local model 0.900", "R² 0.90 · Stability 0.95"]:
        assert text in texts(display)
    assert "not linear" not in texts(display)


def test_long_names_keep_both_ends():
    name = "the beginning of" + 50 * "_" + "and the end"
    display = table([[1.0]], unit_names=[name], feature_names=[name]).plot()
    (label,) = names(display)
    assert label.startswith("the beginning of") and label.endswith("and the end = 0")
    assert len(label) <= 46


@pytest.mark.parametrize("name", ["$x_{", r"a $\nothing$ b", "100\n%"])
def test_names_are_not_parsed_as_math(name):
    changes = {"unit_names": [name], "feature_names": [name], "outputs": [name]}
    display = rendered(table([[1.0]], rows=[name], **changes).plot())
    assert names(display) == [f"{' '.join(name.split())} = 0"]
    units, rest = np.zeros((4, 1), int), {**changes, "times": [name] * 4}
    sequence(units, [[1.0]], rows=[name], **rest).plot()
    rendered(sequence(units, [[1.0]], rows=[name], **rest).plot_summary())


def test_no_effects():
    for display in [table(np.zeros((2, 3))).plot(), table([[0.0], [0]]).plot_summary()]:
        assert "No unit has an effect." in texts(display)
        assert len(display.bars_) == 0
    zeros = sequence(np.zeros((3, 2), int), [[0.0]]).plot()
    np.testing.assert_array_equal(zeros.image_.get_array(), np.zeros((2, 3)))
    rendered(image([[0.0, 0.0, 0.0, 0.0]]).plot())


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_effects_of_any_size(scale):
    display = rendered(table(scale * np.array([[1.0, -2.0]])).plot())
    np.testing.assert_allclose(
        [b.get_width() for b in display.bars_], [-2 * scale, scale]
    )


def test_labels_of_many_units_do_not_overlap():
    effects = np.random.default_rng(0).normal(size=(3, 60))
    assert len(rendered(table(effects).plot()).bars_) == 11
    assert len(table(effects, num_features=60).plot().bars_) == 60


def test_predictions_that_are_not_numbers():
    display = table([[0.5]], prediction=np.array(["good"], object)).plot()
    assert "Model good" in texts(display)


# ------------------------------------------------------------------------- poor fits


def plots_of_all_kinds(r2):
    """Yield a plot of each kind of explanation, with this R²."""
    r2 = np.array([r2])
    yield table([[0.3, -0.2]], r2=r2).plot()
    yield sequence(np.arange(6).reshape(3, 2), np.ones((1, 6)), r2=r2).plot()
    yield image([[0.1, 0.2, -0.3, 0.0]], r2=r2).plot()


def test_poor_fits_have_a_warning_and_pale_colors():
    for display in plots_of_all_kinds(0.31):
        assert "R² 0.31: the model is not linear here" in texts(display)
        assert "do not trust these effects" in texts(display)
    for display in plots_of_all_kinds(0.5):
        assert "not linear" not in texts(display)
    poor, good = (table([[1.0]], r2=np.array([r2])).plot() for r2 in (0.49, 0.5))
    assert poor.bars_[0].get_alpha() < 0.5 and good.bars_[0].get_alpha() == 1


def test_negative_and_unknown_r2():
    for display in plots_of_all_kinds(-0.2):
        assert "R² −0.20: the model is not linear here" in texts(display)
    for display in plots_of_all_kinds(np.nan):
        assert "the output does not change near this row" in texts(display)
        assert "R² –" in texts(display)


# ------------------------------------------------------------------ summary of a table


def test_summary_of_a_table():
    effects = np.array([[1.0, -4.0, 0.0], [-2.0, 2.0, 0.0]])
    values = np.array([[10, "a", 1], [20, "b", 2]], object)
    display = table(effects, values=values).plot_summary()
    assert [bar.get_width() for bar in display.bars_] == [3.0, 1.5]
    assert names(display) == ["unit 1", "unit 0"]
    points = [p.get_offsets()[:, 0].tolist() for p in display.points_]
    assert points == [[-4.0, 2.0], [1.0, -2.0]]
    assert display.points_[0].get_array() is None  # words have no order
    np.testing.assert_array_equal(display.points_[1].get_array(), [0, 1])
    assert [t.get_text() for t in display.colorbar_.ax.get_yticklabels()] == [
        "low",
        "high",
    ]
    assert display.ax_.get_title(loc="left") == "P(up) · 2 rows"


def test_summary_without_numbers_has_no_colors():
    values = np.full((3, 2), "a", object)
    display = table(np.ones((3, 2)), values=values).plot_summary()
    assert display.colorbar_ is None


def test_summary_with_missing_values_and_units():
    rendered(table([[1.0, 2.0]]).plot_summary())
    effects = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    values = np.array([[1, None], [np.nan, None], [3, None]], object)
    display = rendered(table(effects, values=values).plot_summary())
    assert [bar.get_width() for bar in display.bars_] == [
        2.0
    ]  # of the rows that have it


def test_summary_warns_of_many_poor_fits():
    effects = np.ones((4, 2))
    display = table(effects, r2=np.array([0.9, 0.1, 0.2, np.nan])).plot_summary()
    assert "R² below 0.5 in 3 of 4 rows (75 %)" in texts(display)
    assert len(set(display.points_[0].get_alpha())) == 2
    assert "not linear" not in texts(table(effects).plot_summary())


def test_summary_notes_few_poor_fits():
    r2 = np.full(300, 0.9)
    r2[0] = 0.1
    display = table(np.ones((300, 2)), r2=r2).plot_summary()
    (note,) = [t for t in display.ax_.texts if "R²" in t.get_text()]
    assert "1 of 300 rows (below 1 %)" in note.get_text()
    assert note.get_bbox_patch() is None


def test_summary_of_several_outputs():
    display = table(np.ones((3, 1)), outputs=["P(a)", "P(b)", "P(a)"]).plot_summary()
    assert display.ax_.get_title(loc="left") == "P(a), P(b) · 3 rows"
    many = table(np.ones((5, 1)), outputs=list("abcde")).plot_summary()
    assert many.ax_.get_title(loc="left") == "5 outputs · 5 rows"


# --------------------------------------------------------------------------- sequences


def test_cells_show_the_effects():
    units = np.arange(6).reshape(3, 2)
    effects = np.array([[1.0, -2.0, 3.0, 4.0, np.nan, 0.0]])
    display = sequence(units, effects).plot()
    cells = display.image_.get_array()
    # Features from the top, times from the left.
    np.testing.assert_array_equal(cells.filled(99), [[1, 3, 99], [-2, 4, 0]])
    assert display.image_.get_clim() == (-4, 4)
    assert names(display) == ["x0", "x1"]
    times = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert times == ["−2", "−1", "0"]
    assert display.colorbar_.ax.get_ylabel() == "effect of a cell on\nP(up)"


@pytest.mark.parametrize(
    "units, kind, cells",
    [
        ([[0, 0], [0, 0], [1, 1]], "time segment", [[5, 5, 7], [5, 5, 7]]),
        ([[0, 1], [0, 1], [0, 1]], "feature", [[5, 5, 5], [7, 7, 7]]),
        ([[0, 1], [1, 1], [0, 0]], "group of cells", [[5, 7, 5], [7, 7, 5]]),
        ([[0, -1], [-1, 1], [-1, -1]], "cell", [[5, 99, 99], [99, 7, 99]]),
    ],
)
def test_segments_fill_their_cells(units, kind, cells):
    display = sequence(units, [[5.0, 7.0]]).plot()
    np.testing.assert_array_equal(display.image_.get_array().filled(99), cells)
    assert display.colorbar_.ax.get_ylabel().startswith(f"effect of a {kind} on")


@pytest.mark.parametrize("n_timesteps", [1, 7, 365])
def test_last_time_and_few_others_are_labeled(n_timesteps):
    dates = list(pd.date_range("2024-01-01", periods=n_timesteps))
    units = np.arange(n_timesteps)[:, np.newaxis]
    effects = np.ones((1, n_timesteps))
    display = rendered(sequence(units, effects, times=dates).plot())
    times = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert times[-1] == f"{dates[-1]:%Y-%m-%d}"
    assert len(times) <= 8
    assert len(sequence(units, effects).plot().ax_.get_xticks()) <= 8


def test_summary_of_sequences():
    units = np.arange(4).reshape(2, 2)
    effects = np.array([[1.0, -2.0, 0.0, np.nan], [-3.0, 2.0, 0.0, np.nan]])
    display = rendered(sequence(units, effects).plot_summary())
    cells = display.image_.get_array().filled(99)
    np.testing.assert_array_equal(cells, [[2, 0], [2, 99]])
    assert display.image_.get_clim() == (0, 2)
    assert "mean absolute effect of a\ncell" in display.colorbar_.ax.get_ylabel()


# ----------------------------------------------------------------------------- images


def test_superpixels_with_the_largest_effects():
    display = image([[0.1, -0.5, 0.3, 0.01]], num_features=2).plot()
    cells = rendered(display).image_.get_array()
    assert cells.mask[:4, :4].all() and cells.mask[4:, 4:].all()
    assert (cells[:4, 4:] == -0.5).all() and (cells[4:, :4] == 0.3).all()
    assert display.image_.get_clim() == (-0.5, 0.5)
    # Small effects are more transparent.
    opacity = display.image_.cmap([0.0, 0.4, 0.6, 1.0])[:, 3]
    assert opacity[0] > opacity[1] and opacity[3] > opacity[2]


def test_images_are_drawn_in_gray():
    pictures = np.random.default_rng(0).random((1, 8, 8, 3))
    display = image([[0.1, 0.2, 0.3, 0.4]], images=pictures).plot()
    below = display.ax_.get_images()[0]
    np.testing.assert_allclose(below.get_array(), pictures[0].mean(axis=-1))


def test_images_have_no_summary():
    with pytest.raises(ValueError, match="superpixels differ"):
        image([[0.1, 0.2, 0.3, 0.4]]).plot_summary()
    assert plt.get_fignums() == []


# -------------------------------------------------------------------------- the display


def test_on_given_axes():
    _, axes = plt.subplots(1, 3)
    explanation = table([[0.3, -0.2], [0.1, 0.2]])
    display = explanation.plot(ax=axes[0])
    assert display.ax_ is axes[0] and display.figure_ is axes[0].figure
    assert explanation.plot_summary(ax=axes[1]).ax_ is axes[1]
    assert not axes[2].patches and len(plt.get_fignums()) == 1
    rendered(display)


@pytest.mark.parametrize("ax", ["here", 3, np.array([None])])
def test_invalid_axes(ax):
    explanation = table([[0.3, -0.2]])
    for draw in (explanation.plot, explanation.plot_summary):
        with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got"):
            draw(ax=ax)


def test_figure_instead_of_axes():
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got Figure"):
        table([[0.3]]).plot(ax=plt.figure())


def test_rows_out_of_range():
    display = LimeDisplay(explanation=table([[0.3, -0.2]]), row=5)
    with pytest.raises(IndexError, match="row must be .* got 5"):
        display.plot()
    with pytest.raises(TypeError, match="row must be an integer"):
        table([[0.3]]).plot(None)
    assert plt.get_fignums() == []


def test_plot_twice():
    display = table([[0.3, -0.2]]).plot()
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


def test_name_in_the_title():
    explanation = table([[0.3, -0.2]])
    display = LimeDisplay(explanation=explanation, estimator_name="$mine$").plot()
    assert display.ax_.get_title(loc="left") == "$mine$: P(up) · row 0"


def test_matplotlib_settings_are_unchanged():
    before = dict(mpl.rcParams)
    assert len(list(plots_of_all_kinds(0.2))) == 3
    table(np.ones((3, 2))).plot_summary()
    assert dict(mpl.rcParams) == before


def test_dark_style():
    with plt.style.context("dark_background"):
        cells = sequence(np.arange(4).reshape(2, 2), [[0.0, 1.0, 2.0, -1.0]]).plot()
        np.testing.assert_allclose(cells.image_.cmap(0.5), (0, 0, 0, 1), atol=0.01)
        rendered(cells)
        assert len(list(plots_of_all_kinds(0.9))) == 3


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_point_colors_contrast_with_the_background(style):
    with plt.style.context(style):
        display = table(np.arange(6.0).reshape(3, 2)).plot_summary()
        background = mpl.rcParams["axes.facecolor"]
    luminance = np.array([0.2126, 0.7152, 0.0722])
    points = display.colorbar_.cmap(np.linspace(0, 1, 9))[:, :3] @ luminance
    ground = mpl.colors.to_rgb(background) @ luminance
    assert np.abs(points - ground).min() > 0.2


# ---------------------------------------------------------------------- from_estimator


def test_parameters_match_lime_explain():
    from skdeep.inspection import lime_explain

    theirs = inspect.signature(lime_explain).parameters
    ours = dict(inspect.signature(LimeDisplay.from_estimator).parameters)
    for name in ("row", "ax", "name"):
        ours.pop(name)
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name


def test_from_estimator():
    generator = np.random.default_rng(0)
    X = pd.DataFrame(generator.normal(size=(200, 3)), columns=["a", "b", "c"])
    model = LinearRegression().fit(X, X @ [1.0, -2.0, 0.5])
    display = LimeDisplay.from_estimator(
        model, X[:3], row=2, background=X, random_state=0
    )
    assert len(display.explanation) == 3
    truth = (X.iloc[2] - X.mean()) * [1.0, -2.0, 0.5]
    order = truth.abs().sort_values(ascending=False).index
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, truth[order], rtol=1e-2)
    assert [name.split(" = ")[0] for name in names(display)] == list(order)
    assert display.ax_.get_title(loc="left").startswith("LinearRegression: ")
    summary = LimeDisplay.from_estimator(
        model, X[:3], row=None, background=X, random_state=0, name="mine"
    )
    assert summary.ax_.get_title(loc="left").startswith("mine: ")
    assert len(summary.points_) == 3
