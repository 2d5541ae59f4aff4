"""AttentionDisplay draws the weights, with the tokens beside them."""

import copy
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeep import MLPClassifier, Seq2Seq
from skdeep.inspection import AttentionDisplay

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

WEIGHTS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
SOURCE, TARGET = ["guten", "Tag", "[end]"], ["hello", "[end]"]


def some_weights(n_rows, n_columns):
    weights = np.random.default_rng(0).random((n_rows, n_columns))
    return weights / weights.sum(axis=1, keepdims=True)


def texts(labels):
    return [label.get_text() for label in labels]


def input_labels(display):
    return texts(display.ax_.get_xticklabels())


def output_labels(display):
    return texts(display.ax_.get_yticklabels())


def drawn(display):
    display.figure_.canvas.draw()
    return display.figure_.canvas.get_renderer()


def assert_no_overlap(labels, renderer):
    boxes = [label.get_window_extent(renderer) for label in labels]
    for one, following in pairwise(boxes):
        assert not one.overlaps(following)


# -- what is drawn ---------------------------------------------------------------------


def test_weights_and_tokens():
    display = AttentionDisplay(WEIGHTS, SOURCE, TARGET, estimator_name="mine").plot()
    np.testing.assert_array_equal(display.im_.get_array(), WEIGHTS)
    assert input_labels(display) == SOURCE
    assert output_labels(display) == TARGET
    assert display.ax_.get_xticks().tolist() == [0, 1, 2]
    assert display.ax_.get_title() == "mine"
    assert display.ax_.get_xlabel() == "input"
    assert display.ax_.get_ylabel() == "output"
    assert display.colorbar_.ax.get_ylabel() == "attention"
    assert display.figure_ is display.ax_.figure


def test_first_output_is_at_the_top_and_the_input_above():
    display = AttentionDisplay(WEIGHTS, SOURCE, TARGET).plot()
    renderer = drawn(display)
    first, last = display.ax_.get_yticklabels()
    assert first.get_window_extent(renderer).y0 > last.get_window_extent(renderer).y1
    top = display.ax_.get_window_extent(renderer).y1
    labels = display.ax_.get_xticklabels()
    assert all(label.get_window_extent(renderer).y0 >= top for label in labels)


@pytest.mark.parametrize("container", [pd.DataFrame, torch.tensor, np.ndarray.tolist])
def test_containers_of_weights(container):
    display = AttentionDisplay(container(WEIGHTS)).plot()
    np.testing.assert_array_equal(display.im_.get_array(), WEIGHTS)


@pytest.mark.parametrize("container", [tuple, np.array, pd.Series, pd.Index, "".join])
def test_containers_of_tokens(container):
    display = AttentionDisplay(
        WEIGHTS, source=container(list("abc")), target=container(list("AB"))
    )
    assert input_labels(display.plot()) == ["a", "b", "c"]
    assert output_labels(display) == ["A", "B"]


def test_tokens_of_other_types():
    source = [60, ("C", 4), None]
    display = AttentionDisplay(WEIGHTS, source).plot()
    assert input_labels(display) == ["60", "('C',␣4)", "None"]


def test_steps_without_tokens_are_numbered():
    display = AttentionDisplay(some_weights(12, 30)).plot()
    drawn(display)
    low, high = sorted(display.ax_.get_ylim())
    shown = [n for n in display.ax_.get_yticks() if low < n < high]
    assert shown == [int(n) for n in shown]
    assert shown[0] == 0


def test_scale_starts_at_zero():
    assert AttentionDisplay(WEIGHTS).plot().im_.get_clim() == (0, 0.7)
    assert AttentionDisplay(np.full((2, 4), 0.25)).plot().im_.get_clim() == (0, 0.25)
    assert AttentionDisplay(np.zeros((2, 2))).plot().im_.get_clim() == (0, 1)


def test_colormap():
    display = AttentionDisplay(WEIGHTS).plot(cmap="gray")
    assert display.im_.get_cmap().name == "gray"
    assert display.colorbar_.cmap.name == "gray"


def test_axes():
    figure, (left, right) = plt.subplots(1, 2)
    display = AttentionDisplay(WEIGHTS, SOURCE, TARGET).plot(ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert not left.images


def test_title_and_tokens_are_not_formulas():
    tokens = ["$x$", "$_", "\\frac"]
    display = AttentionDisplay(np.eye(3), tokens, tokens, estimator_name="$").plot()
    drawn(display)
    assert input_labels(display) == tokens


def test_invisible_characters_are_shown():
    source = [" ", "\n", "\t", "", "\u200b", "a b", "é"]
    display = AttentionDisplay(np.eye(7), source).plot()
    assert input_labels(display) == ["␣", "\\n", "\\t", "''", "\\u200b", "a␣b", "é"]


def test_long_tokens_are_cut():
    display = AttentionDisplay(WEIGHTS, ["a", "b", "internationalization"]).plot()
    assert input_labels(display)[2] == "international…"


# -- readable --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "token"),
    [
        ((1, 1), "a"),
        ((1, 1), "internationalization"),
        ((3, 30), "a"),
        ((3, 30), "internationalization"),
        ((30, 3), "internationalization"),
        ((40, 40), "word"),
    ],
)
def test_labels_fit(shape, token):
    target, source = ([token] * n for n in shape)
    display = AttentionDisplay(some_weights(*shape), source, target).plot()
    renderer = drawn(display)
    assert len(input_labels(display)) == shape[1]
    assert len(output_labels(display)) == shape[0]
    assert_no_overlap(display.ax_.get_xticklabels(), renderer)
    assert_no_overlap(display.ax_.get_yticklabels(), renderer)
    room = display.figure_.bbox.padded(2)  # pixels
    for part in (display.ax_, display.colorbar_.ax):
        box = part.get_tightbbox(renderer)
        assert room.x0 <= box.x0 <= box.x1 <= room.x1
        assert room.y0 <= box.y0 <= box.y1 <= room.y1


def test_many_tokens_in_a_small_axes_are_thinned_out():
    _, ax = plt.subplots(figsize=(4, 4))
    display = AttentionDisplay(some_weights(150, 150), ["a"] * 150).plot(ax=ax)
    labels = display.ax_.get_xticklabels()
    assert 10 < len(labels) < 75
    assert display.ax_.get_xticks()[1] * (len(labels) - 1) <= 150
    assert_no_overlap(labels, drawn(display))


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_text_stands_out_from_the_background(style):
    with plt.style.context(style):
        display = AttentionDisplay(WEIGHTS, SOURCE, TARGET, estimator_name="a").plot()
    background = np.mean(to_rgb(display.figure_.get_facecolor()))
    ax = display.ax_
    shown = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.title, ax.xaxis.label]
    shown += [display.colorbar_.ax.yaxis.label]
    for text in shown:
        assert abs(np.mean(to_rgb(text.get_color())) - background) > 0.4
    assert not any(line.get_visible() for line in ax.get_xgridlines())


def test_drawing_raises_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(AttentionDisplay(some_weights(11, 23), "x" * 23, "y" * 11).plot())


# -- networks --------------------------------------------------------------------------


def quick(**params):
    settings = dict(max_iter=2, random_state=0)
    return Seq2Seq(4, **{**settings, **params})


STRINGS = ["abc", "b a", "ca", "abab"]
UPPER = [text.upper() for text in STRINGS]
TOKENS = [["a", "bb"], ["bb", "bb", "a"], ["c"], ["a", "c"]]
NUMBERS = np.random.default_rng(0).normal(size=(4, 5, 2))


@pytest.fixture(scope="module")
def model():
    return quick(max_length=6).fit(STRINGS, UPPER)


def expected_labels(tokens, n):
    """Return tokens, with the end token if there is one more step."""
    assert n - len(tokens) in (0, 1)
    return [*tokens, "[end]"][:n]


def test_strings(model):
    display = AttentionDisplay.from_estimator(model, "b ac")
    (weights,) = model.attention_weights(["b ac"])
    np.testing.assert_allclose(display.weights, weights)
    np.testing.assert_allclose(display.im_.get_array(), weights)
    assert input_labels(display) == ["b", "␣", "a", "c", "[end]"]
    written = model.predict(["b ac"])[0]
    assert display.target == expected_labels(list(written), len(weights))
    assert display.ax_.get_title() == "Seq2Seq"


def test_options(model):
    _, ax = plt.subplots()
    options = {"ax": ax, "cmap": "gray", "name": "mine"}
    display = AttentionDisplay.from_estimator(model, "ab", **options)
    assert display.ax_ is ax
    assert ax.get_title() == "mine"
    assert display.im_.get_cmap().name == "gray"


def test_unknown_tokens_and_an_empty_string(model):
    display = AttentionDisplay.from_estimator(model, "z?")
    assert display.source == ["z", "?", "[end]"]
    assert AttentionDisplay.from_estimator(model, "").source == ["[end]"]


def test_output_with_and_without_end(model):
    """A sequence that was cut at max_length has no end token."""
    cut = copy.copy(model).set_params(max_length=1)
    display = AttentionDisplay.from_estimator(cut, "abc")
    written = cut.predict(["abc"])[0]
    assert display.target == (list(written) or ["[end]"])


def test_words():
    X = ["Good day, Ann!", "good night", "day", "night"]
    y = ["guten Tag, Ann!", "gute Nacht", "Tag", "Nacht"]
    model = quick(level="word").fit(X, y)
    display = AttentionDisplay.from_estimator(model, "Good night, Ann")
    assert display.source == ["Good", "night", ",", "Ann", "[end]"]
    assert set(display.target) <= {*model.target_vocabulary_, "[end]"}


class Joiner(BaseEstimator):
    """Writes two words that a reader of its text takes for one."""

    level = "word"
    vocabulary_ = target_vocabulary_ = ("one", "-", "two")

    def fit(self, X=None, y=None):
        return self

    def predict(self, X):
        return ["one-two"] * len(X)

    def attention_weights(self, X):
        return [some_weights(4, 2)] * len(X)

    def __sklearn_is_fitted__(self):
        return True


def test_words_that_cannot_be_told_apart_are_numbered():
    display = AttentionDisplay.from_estimator(Joiner(), "one")
    assert display.source == ["one", "[end]"]
    assert display.target is None


def test_a_level_for_each_side():
    model = quick(level=("char", "word")).fit(["ab", "b"], ["one two", "two"])
    display = AttentionDisplay.from_estimator(model, "ba")
    assert display.source == ["b", "a", "[end]"]
    assert set(display.target) <= {"one", "two", "[end]"}


@pytest.mark.parametrize("container", [list, tuple, np.array])
def test_lists_of_tokens(container):
    model = quick().fit(TOKENS, TOKENS)
    display = AttentionDisplay.from_estimator(model, container(["bb", "a", "c"]))
    assert display.source == ["bb", "a", "c", "[end]"]
    written = model.predict([["bb", "a", "c"]])[0]
    assert display.target == expected_labels(written, len(display.weights))


def test_integer_tokens():
    melodies = [[60, 62, 64], [64, 60], [62]]
    model = quick(level="token").fit(melodies, melodies)
    display = AttentionDisplay.from_estimator(model, [64, 62])
    assert input_labels(display) == ["64", "62", "[end]"]


def test_numbers_are_numbered():
    model = quick().fit(NUMBERS, NUMBERS[:, :3])
    display = AttentionDisplay.from_estimator(model, NUMBERS[0])
    assert (display.source, display.target) == (None, None)
    assert display.weights.shape == (3, 5)
    model = quick().fit(NUMBERS, UPPER)
    display = AttentionDisplay.from_estimator(model, NUMBERS[0, :4])
    assert display.source is None
    assert display.weights.shape[1] == 4
    written = model.predict([NUMBERS[0, :4]])[0]
    assert display.target == expected_labels(list(written), len(display.weights))


def lower(texts):
    return [text.lower() for text in texts]


def test_inside_a_pipeline_and_a_search():
    pipeline = make_pipeline(FunctionTransformer(lower), quick())
    search = GridSearchCV(pipeline, {"seq2seq__cell": ["gru"]}, cv=2)
    display = AttentionDisplay.from_estimator(search.fit(UPPER, UPPER), "CAB")
    assert display.source == ["c", "a", "b", "[end]"]


def test_estimators_without_attention():
    with pytest.raises(NotFittedError):
        AttentionDisplay.from_estimator(quick(), "ab")
    table = NUMBERS[:, 0]
    network = MLPClassifier((2,), max_iter=1, solver="sgd").fit(table, [0, 1, 0, 1])
    message = "estimator=MLPClassifier has no attention. Pass a fitted Seq2Seq"
    with pytest.raises(TypeError, match=message):
        AttentionDisplay.from_estimator(network, "ab")
    without = quick(attention=False).fit(STRINGS, UPPER)
    with pytest.raises(ValueError, match=r"^attention_weights needs .*attention=True"):
        AttentionDisplay.from_estimator(without, "ab")
    of_rows = quick().fit(table, UPPER)
    with pytest.raises(ValueError, match=r"^attention_weights needs .*plain rows"):
        AttentionDisplay.from_estimator(of_rows, table[0])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "x must be a single sequence: .* got None"),
        (3.5, TypeError, "x must be a single sequence: .* got 3.5"),
        (np.array("a"), TypeError, "x must be a single sequence"),
        (b"ab", TypeError, "^Invalid x: .*bytes"),
        (["ab"], ValueError, "^Invalid x: X must hold strings, as in the fit"),
        (NUMBERS[0], ValueError, "^Invalid x: X must hold strings, as in the fit"),
    ],
)
def test_bad_x(model, x, error, message):
    with pytest.raises(error, match=message):
        AttentionDisplay.from_estimator(model, x)


def test_bad_name(model):
    with pytest.raises(TypeError, match="name must be a str or None, got 3"):
        AttentionDisplay.from_estimator(model, "ab", name=3)


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": [0.5, 0.5]}, ValueError, "weights"),
        ({"weights": np.ones((2, 2, 2))}, ValueError, "weights"),
        ({"weights": [[0.5, np.nan]]}, ValueError, "weights contains NaN"),
        ({"weights": [["a", "b"]]}, ValueError, "weights"),
        ({"weights": np.empty((0, 3))}, ValueError, "weights"),
        (
            {"weights": [[1.0, -0.5]]},
            ValueError,
            "weights must be from 0 to 1, got -0.5",
        ),
        ({"weights": [[3.0, 0.5]]}, ValueError, "weights must be from 0 to 1, got 3"),
        (
            {"source": ["a", "b"]},
            ValueError,
            "source must hold a token for each of the 3 columns of weights, got 2",
        ),
        (
            {"target": "abc"},
            ValueError,
            "target must hold a token for each of the 2 rows of weights, got 3",
        ),
        ({"source": 3}, TypeError, "source must be a list of tokens, got 3"),
        ({"estimator_name": 3}, TypeError, "estimator_name must be a str or None"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        AttentionDisplay(**{"weights": WEIGHTS, **arguments}).plot()


def test_bad_axes_and_colormap():
    display = AttentionDisplay(WEIGHTS)
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got str"):
        display.plot(ax="here")
    with pytest.raises(ValueError, match="cmap must be a matplotlib Colormap"):
        display.plot(cmap="no such map")
