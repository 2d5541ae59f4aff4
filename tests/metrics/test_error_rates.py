"""Error rates by group, against confusion matrices and scipy's Wilson intervals."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import binomtest
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CostSensitiveClassifier
from skdeep.metrics import ErrorRatesDisplay

rng = np.random.default_rng(0)
N = 240
X, y = make_classification(N, flip_y=0.2, random_state=0)
MODEL = LogisticRegression().fit(X, y)
GUESS = MODEL.predict(X)
GROUPS = np.array(["east", "north", "south"])[rng.integers(0, 3, N)]
FRAME = pd.DataFrame(X).rename(columns=str).assign(region=GROUPS)
RATES = ["false_positive_rate", "false_negative_rate"]
from_estimator = ErrorRatesDisplay.from_estimator
from_predictions = ErrorRatesDisplay.from_predictions


def texts(ax):
    return [text.get_text() for text in ax.texts]


def names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


# -- rates -----------------------------------------------------------------------------


@pytest.mark.parametrize("pos_label", [None, 0])
def test_rates_match_confusion_matrices(pos_label):
    display = from_predictions(y, GUESS, GROUPS, pos_label=pos_label)
    assert list(display.rates_.index) == ["east", "north", "south"]
    assert display.rates_.index.name == "group"
    assert list(display.rates_) == ["n_negatives", "n_positives", *RATES]
    order = [0, 1] if pos_label is None else [1, 0]
    for group, row in display.rates_.iterrows():
        rows = GROUPS == group
        (tn, fp), (fn, tp) = confusion_matrix(y[rows], GUESS[rows], labels=order)
        assert row["n_negatives"] == tn + fp
        assert row["n_positives"] == fn + tp
        assert row["false_positive_rate"] == fp / (tn + fp)
        assert row["false_negative_rate"] == fn / (fn + tp)


def test_differences_are_max_minus_min():
    display = from_predictions(y, GUESS, GROUPS)
    for rate in RATES:
        values = sorted(display.rates_[rate])
        assert display.differences_[rate] == values[-1] - values[0]


def test_intervals_are_wilson_intervals():
    truth = [0] * 10 + [1] * 7 + [0] * 3 + [1]
    guess = [0] * 10 + [0] * 3 + [1] * 4 + [1] * 3 + [1]
    display = from_predictions(truth, guess, [1] * 17 + [2] * 4)
    counts = {
        (1, RATES[0]): (0, 10),
        (1, RATES[1]): (3, 7),
        (2, RATES[0]): (3, 3),
        (2, RATES[1]): (0, 1),
    }
    for (group, rate), (errors, n) in counts.items():
        assert display.rates_.loc[group, rate] == errors / n
        expected = binomtest(errors, n).proportion_ci(method="wilson")
        found = display.intervals_.loc[group, rate]
        np.testing.assert_allclose(found, [expected.low, expected.high], atol=1e-12)
        assert found["lower"] >= 0
        assert found["upper"] <= 1


def test_group_without_positives():
    truth, guess = [0, 0, 0, 1, 1], [0, 1, 0, 0, 1]
    groups = ["a", "a", "b", "b", "b"]
    display = from_predictions(truth, guess, groups)
    assert np.isnan(display.rates_.loc["a", "false_negative_rate"])
    assert display.intervals_.loc["a", "false_negative_rate"].isna().all()
    assert display.rates_.loc["b", "false_negative_rate"] == 0.5
    assert np.isnan(display.differences_["false_negative_rate"])
    assert display.differences_["false_positive_rate"] == 0.5
    assert "no positives" in texts(display.axes_[1])
    assert "no negatives" not in texts(display.axes_[0])
    assert "difference" not in display.axes_[1].get_xlabel()


def test_no_negatives():
    display = from_predictions([1, 1], [1, 0], ["a", "b"])
    assert display.rates_["false_positive_rate"].isna().all()
    assert texts(display.axes_[0]).count("no negatives") == 2
    assert display.rates_["false_negative_rate"].tolist() == [0, 1]


def test_abstentions_are_not_errors():
    truth, guess = [0, 0, 0, 1, 1, 1], [0, 1, 9, 9, 9, 0]
    display = from_predictions(truth, guess, ["a"] * 6, abstain_label=9)
    assert display.rates_.loc["a"].tolist() == [3, 3, 1 / 3, 1 / 3]
    for ax, text in zip(
        display.axes_, ["on 1 negatives", "on 2 positives"], strict=True
    ):
        assert f"abstained {text} (not errors)" in ax.get_xlabel()
    without = from_predictions(truth, truth, ["a"] * 6, abstain_label=9)
    assert "abstained" not in without.ax_.get_xlabel()


# -- groups ----------------------------------------------------------------------------


def test_missing_values_form_a_group():
    groups = ["a", None, "b", None]
    display = from_predictions([0, 0, 1, 1], [0, 1, 1, 1], groups)
    assert display.rates_["n_negatives"].tolist() == [1, 0, 1]
    assert names(display) == ["a", "b", "missing"]


def test_categories_keep_their_order():
    groups = pd.cut(np.arange(6), [-1, 1, 3, 5], labels=["low", "middle", "high"])
    display = from_predictions([0, 1] * 3, [0, 1] * 3, groups)
    assert names(display) == ["low", "middle", "high"]
    one = from_predictions([0, 1], [0, 1], pd.Series(groups[:2], name="size"))
    assert names(one) == ["low"]
    assert one.ax_.get_ylabel() == "size"


@pytest.mark.parametrize(
    "groups",
    [GROUPS, list(GROUPS), GROUPS[:, None], pl.Series(GROUPS)],
    ids=["array", "list", "column", "polars"],
)
def test_any_container_of_groups(groups):
    display = from_predictions(y, GUESS, groups)
    expected = from_predictions(y, GUESS, pd.Series(GROUPS)).rates_
    pd.testing.assert_frame_equal(display.rates_, expected)


def test_groups_of_mixed_types():
    display = from_predictions([0, 0, 1], [0, 1, 1], np.array([2, "a", 1], object))
    assert sorted(names(display)) == ["1", "2", "a"]


# -- of estimators ---------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_groups_from_a_column(library):
    drop = make_column_transformer(("drop", ["region"]), remainder="passthrough")
    model = make_pipeline(drop, LogisticRegression())
    frame = FRAME
    if library == "polars":
        frame = pl.DataFrame(FRAME.to_dict("list"))
    model.fit(frame, y)
    display = from_estimator(model, frame, y, "region")
    expected = from_predictions(y, model.predict(frame), GROUPS)
    pd.testing.assert_frame_equal(display.rates_, expected.rates_)
    assert display.ax_.get_ylabel() == "region"
    assert display.ax_.get_title(loc="left") == "Pipeline\npositive: 1"


def test_groups_from_an_array():
    display = from_estimator(MODEL, X, y, GROUPS, name="mine")
    expected = from_predictions(y, GUESS, GROUPS)
    pd.testing.assert_frame_equal(display.rates_, expected.rates_)
    assert display.ax_.get_ylabel() == "group"
    assert display.ax_.get_title(loc="left") == "mine\npositive: 1"


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_estimator_with_abstentions_and_row_costs(in_pipeline):
    rng = np.random.default_rng(1)
    costs = dict(zip(["fp_cost", "fn_cost"], rng.lognormal(size=(2, N)), strict=True))
    model = CostSensitiveClassifier(
        LogisticRegression(),
        2,
        strategy="threshold",
        abstain_cost=0.2,
        abstain_label=7,
    )
    model.fit(X, y, **costs)
    decided = model.predict(X, **costs)
    assert 0 < (decided == 7).mean() < 1
    expected = from_predictions(y, decided, GROUPS, abstain_label=7)
    if in_pipeline:
        scaler = StandardScaler(with_mean=False, with_std=False).fit(X)
        model = make_pipeline(scaler, model)
    display = from_estimator(model, X, y, GROUPS, **costs)
    pd.testing.assert_frame_equal(display.counts, expected.counts)
    with pytest.raises(ValueError, match="fp_cost"):
        from_estimator(model, X, y, GROUPS)


# -- drawing ---------------------------------------------------------------------------


def test_drawn_bars_and_intervals():
    display = from_predictions(y, GUESS, GROUPS)
    assert display.ax_ is display.axes_[0]
    assert display.figure_ is display.ax_.figure
    for ax, rate, drawn, n in zip(
        display.axes_,
        RATES,
        display.lines_,
        ["n_negatives", "n_positives"],
        strict=True,
    ):
        points, _, (bars,) = drawn
        np.testing.assert_array_equal(points.get_xdata(), display.rates_[rate])
        np.testing.assert_array_equal(points.get_ydata(), [0, 1, 2])
        ends = [segment[:, 0] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, display.intervals_[rate], atol=1e-12)
        counts = [f"{count:,}" for count in display.rates_[n]]
        assert texts(ax) == [*counts, "n"]
        wrong = {"false_positive_rate": (0, 1), "false_negative_rate": (1, 0)}[rate]
        overall = (GUESS[y == wrong[0]] == wrong[1]).mean()
        kind = n.removeprefix("n_")
        first, second = ax.get_xlabel().split("\n")
        assert first == f"{rate[:14].replace('_', '-')} rate, of n {kind}"
        difference = f"largest difference: {display.differences_[rate]:.3f}"
        assert second == f"all rows: {overall:.3f}, {difference}"
        # The first group is on top.
        assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize(
    "n_groups", [2, 40, pytest.param(150, marks=pytest.mark.nightly)]
)
def test_names_do_not_overlap(n_groups):
    groups = np.arange(600) % n_groups
    truth = np.arange(600) // 150 % 2
    display = from_predictions(truth, 1 - truth, groups)
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
    assert len(boxes) == n_groups
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] < above[0] for below, above in itertools.pairwise(tops))


def test_texts_do_not_overlap():
    """The numbers of rows are between the two axes, and inside the figure."""
    display = from_predictions(y, GUESS, GROUPS, name="a name of some length")
    display.figure_.canvas.draw()
    left, right = display.axes_
    for text in left.texts:
        assert text.get_window_extent().x1 < right.get_window_extent().x0
    for text in right.texts:
        assert text.get_window_extent().x1 <= display.figure_.bbox.x1


def test_on_given_axes():
    _, axes = plt.subplots(1, 2)
    display = from_predictions(y, GUESS, GROUPS, ax=axes)
    assert list(display.axes_) == list(axes)
    assert len(plt.get_fignums()) == 1
    assert display.plot() is display
    assert display.axes_[0] is not axes[0]


def test_matplotlib_settings_are_unchanged():
    before = dict(plt.rcParams)
    from_predictions(y, GUESS, GROUPS)
    assert dict(plt.rcParams) == before


# -- bad input -------------------------------------------------------------------------

BAD = {
    "three classes": (dict(y_pred=[0, 1, 2]), "must hold two classes, got 3: 0, 1, 2"),
    "one class": (
        dict(y_true=["a"] * 3, y_pred=["a"] * 3),
        "Set pos_label to .* y_true and y_pred holds only one class, 'a'",
    ),
    "probabilities": (dict(y_pred=[0.1, 0.5, 1]), "y_pred must hold classes, got 0.1"),
    "short y_pred": (dict(y_pred=[0, 1]), "y_pred has 2 rows, but y_true has 3"),
    "short groups": (dict(groups=[1]), "groups has 1 row, but y_true has 3"),
    "no groups": (dict(groups=None), "groups must be one group per row, got None"),
    "columns": (dict(groups=np.eye(3)), "groups must be one group per row"),
    "pos_label": (dict(pos_label=5), "pos_label=5 is not a class"),
    "abstain_label": (dict(abstain_label=1), "abstain_label=1 must not be a class"),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_predictions(case):
    given, message = BAD[case]
    given = {"y_true": [0, 1, 1], "y_pred": [0, 1, 0], "groups": [1, 2, 2], **given}
    with pytest.raises(ValueError, match=message):
        from_predictions(**given)


def test_invalid_labels():
    for name in ("pos_label", "abstain_label"):
        with pytest.raises(TypeError, match=rf"{name} must be a label, got \[1\]"):
            from_predictions([0, 1], [0, 1], [1, 1], **{name: [1]})


def test_invalid_axes():
    with pytest.raises(ValueError, match="ax must hold two axes, .* got 1"):
        from_predictions(y, GUESS, GROUPS, ax=plt.subplots()[1])
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got int"):
        from_predictions(y, GUESS, GROUPS, ax=[1, 2])


def test_too_many_groups():
    groups = np.linspace(0, 1, 501)
    with pytest.raises(
        ValueError, match="groups has 501 distinct values, more than the 500"
    ):
        from_predictions(np.arange(501) % 2, np.zeros(501, int), groups)


def test_unknown_group_column():
    with pytest.raises(
        ValueError, match="groups='age' is not a column of X, which has"
    ):
        from_estimator(MODEL, FRAME.drop(columns="region").to_numpy(), y, "age")
    renamed = FRAME.drop(columns="region")
    model = LogisticRegression().fit(renamed, y)
    with pytest.raises(ValueError, match="groups='age' .* the columns '0', '1'"):
        from_estimator(model, renamed, y, "age")


def test_invalid_estimators():
    with pytest.raises(NotFittedError):
        from_estimator(LogisticRegression(), X, y, GROUPS)
    with pytest.raises(TypeError, match="must be a classifier, got LinearRegression"):
        from_estimator(LinearRegression().fit(X, y), X, y, GROUPS)
    with pytest.raises(ValueError, match="groups has 2 rows, but y has 240"):
        from_estimator(MODEL, X, y, [1, 2])
    with pytest.raises(ValueError, match="y holds 5, but the classes are 0, 1"):
        from_estimator(MODEL, X, np.where(y == 0, 5, 1), GROUPS)
    with pytest.raises(ValueError, match="pos_label=7 is not a class"):
        from_estimator(MODEL, X, y, GROUPS, pos_label=7)
