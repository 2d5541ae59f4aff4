"""Cost curves, against brute force over thresholds and scikit-learn's roc_curve."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skdeep import CostSensitiveClassifier
from skdeep.metrics import CostCurveDisplay, expected_cost

rng = np.random.default_rng(0)
N = 150
X, y = make_classification(N, weights=[0.7], flip_y=0.1, random_state=0)
MODEL = LogisticRegression().fit(X, y)
# Rounded, so that rows share probabilities, 0 and 1 among them.
P = MODEL.predict_proba(X)[:, 1].round(2)
FP, FN, WEIGHT = rng.lognormal(size=(3, N))
from_estimator = CostCurveDisplay.from_estimator
from_predictions = CostCurveDisplay.from_predictions


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def brute_force(thresholds, alpha, **rows):
    """Return the cost at each threshold from its decisions."""
    return [
        expected_cost(y, (P >= t).astype(int), alpha=alpha, labels=[0, 1], **rows)
        for t in thresholds
    ]


# -- against the threshold -------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.3, 1, 4])
@pytest.mark.parametrize(
    "rows",
    [{}, {"fp_cost": FP}, {"fp_cost": FP, "fn_cost": FN, "sample_weight": WEIGHT}],
    ids=["plain", "fp_cost", "all"],
)
def test_every_threshold(alpha, rows):
    display = from_predictions(y, P, alpha=alpha, **rows)
    np.testing.assert_array_equal(display.thresholds, [*np.unique(P), np.inf])
    expected = brute_force(display.thresholds, alpha, **rows)
    np.testing.assert_allclose(display.costs, expected)
    assert display.never == pytest.approx(brute_force([np.inf], alpha, **rows)[0])
    assert display.always == pytest.approx(brute_force([-np.inf], alpha, **rows)[0])


def test_costs_agree_with_roc_curve():
    display = from_predictions(y, P, alpha=3)
    fpr, tpr, thresholds = roc_curve(y, P, drop_intermediate=False)
    costs = 3 * fpr * (y == 0).mean() + (1 - tpr) * (y == 1).mean()
    np.testing.assert_allclose(display.thresholds, thresholds[::-1])
    np.testing.assert_allclose(display.costs, costs[::-1], atol=1e-12)


def test_drawn_steps_hold_between_probabilities():
    """The drawn steps are checked at thresholds between the probabilities."""
    display = from_predictions(y, P, alpha=3)
    x, heights = display.line_.get_data()
    assert display.line_.get_drawstyle() == "steps-pre"
    assert (x[0], x[-1]) == (0, 1)
    asked = np.linspace(0.005, 0.995, 100)
    # With steps-pre, a height applies from the previous point to its own.
    drawn = heights[np.searchsorted(x, asked)]
    np.testing.assert_allclose(drawn, brute_force(asked, 3), atol=1e-12)


def test_constants_and_bayes_threshold_are_drawn():
    display = from_predictions(y, P, alpha=3, name="mine")
    never, always = display.constant_lines_
    assert set(never.get_ydata()) == {display.never}
    assert set(always.get_ydata()) == {display.always}
    assert display.always == pytest.approx(3 * (y == 0).mean())
    assert set(display.bayes_line_.get_xdata()) == {0.75}
    assert legend(display) == [
        "mine",
        r"$\alpha/(1+\alpha)$ = 0.75",
        '"never positive"',
        '"always positive"',
    ]
    assert display.ax_.get_xlabel() == "threshold on the probability of class 1"
    assert display.ax_.get_ylabel() == "mean cost"
    assert display.ax_.get_ylim()[0] == 0
    assert display.figure_ is display.ax_.figure


def test_row_costs_give_row_thresholds():
    display = from_predictions(y, P, alpha=3, fp_cost=FP, fn_cost=FN)
    decided = np.where(P >= 3 * FP / (3 * FP + FN), 1, 0)
    expected = expected_cost(y, decided, alpha=3, fp_cost=FP, fn_cost=FN)
    assert display.bayes_cost == pytest.approx(expected)
    assert display.bayes_threshold is None
    assert set(display.bayes_line_.get_ydata()) == {display.bayes_cost}
    assert "each row's own threshold" in legend(display)


def test_row_with_free_errors():
    display = from_predictions([0, 1], [0.2, 0.7], fp_cost=[0, 1], fn_cost=[0, 1])
    assert display.bayes_cost == 0
    np.testing.assert_array_equal(display.costs, [0, 0, 0.5])


def test_positive_class_by_name():
    names = np.where(y == 1, "good", "bad")
    display = from_predictions(names, 1 - P, alpha=3, pos_label="bad")
    expected = [
        expected_cost(y, np.where(1 - P >= t, 0, 1), alpha=3, pos_label=0)
        for t in display.thresholds[1:-1]
    ]
    np.testing.assert_allclose(display.costs[1:-1], expected)
    assert display.ax_.get_xlabel().endswith("of class 'bad'")
    other = from_estimator(LogisticRegression().fit(X, names), X, names)
    assert other.pos_label == "good"


@pytest.mark.parametrize(("label", "positive"), [(0, 1), (1, 1), (-1, 1)])
def test_single_class(label, positive):
    display = from_predictions([label, label], [0.2, 0.6], alpha=3)
    expected = [0, 0.5, 1] if label == positive else [3, 1.5, 0]
    np.testing.assert_allclose(display.costs, expected)


# -- against alpha ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [{}, {"fp_cost": FP, "fn_cost": FN, "sample_weight": WEIGHT}],
    ids=["plain", "all"],
)
def test_bayes_costs_at_every_alpha(rows):
    display = from_predictions(y, P, against="alpha", **rows)
    assert display.alphas[[0, -1]] == pytest.approx([0.1, 10])
    fp, fn = rows.get("fp_cost", np.ones(N)), rows.get("fn_cost", np.ones(N))
    for i, alpha in enumerate(display.alphas):
        decisions = {
            "costs": np.where(P >= alpha * fp / (alpha * fp + fn), 1, 0),
            "never": np.zeros(N, int),
            "always": np.ones(N, int),
        }
        for name, decided in decisions.items():
            cost = expected_cost(y, decided, alpha=alpha, **rows)
            assert getattr(display, name)[i] == pytest.approx(cost), name


def test_alpha_curve_is_normalized():
    display = from_predictions(y, P, against="alpha", alpha=[5, 0.5, 2])
    np.testing.assert_array_equal(display.alphas, [0.5, 2, 5])
    scale = [1.5, 3, 6]
    np.testing.assert_allclose(display.line_.get_ydata(), display.costs / scale)
    never, always = display.constant_lines_
    share = (y == 1).mean()
    np.testing.assert_allclose(never.get_ydata(), share / np.array(scale))
    np.testing.assert_allclose(
        always.get_ydata(), (1 - share) * display.alphas / np.array(scale)
    )
    assert display.ax_.get_xscale() == "log"
    assert display.bayes_line_ is None
    assert display.threshold_mark_ is None


# -- estimators ------------------------------------------------------------------------


@pytest.mark.parametrize("against", ["threshold", "alpha"])
@pytest.mark.parametrize("pos_label", [None, 0])
def test_from_estimator_uses_predict_proba(against, pos_label):
    column = 1 if pos_label is None else pos_label
    p = MODEL.predict_proba(X)[:, column]
    settings = dict(against=against, pos_label=pos_label, fp_cost=FP)
    one = from_estimator(MODEL, X, y, **settings)
    other = from_predictions(y, p, **settings)
    np.testing.assert_array_equal(one.costs, other.costs)
    assert one.estimator_name == "LogisticRegression"
    assert one.pos_label == column


@pytest.mark.parametrize("how", ["alone", "pipeline", "search"])
def test_estimator_threshold_is_marked(how):
    """The mark is at the cost of the estimator's decisions."""
    model = CostSensitiveClassifier(
        LogisticRegression(), 3, strategy="tuned", random_state=0
    )
    model = {
        "alone": model,
        "pipeline": make_pipeline(StandardScaler(), model),
        "search": GridSearchCV(model, {"alpha": [3]}, cv=2),
    }[how].fit(X, y)
    inner = {"alone": model, "pipeline": model}.get(how)
    inner = model.best_estimator_ if inner is None else inner
    inner = inner[-1] if how == "pipeline" else inner
    display = from_estimator(model, X, y, alpha=3)
    (x,), (height,) = display.threshold_mark_.get_data()
    assert x == inner.threshold_
    assert height == pytest.approx(expected_cost(y, model.predict(X), alpha=3))
    assert f"threshold_ = {x:.3g}" in legend(display)
    # The threshold applies to the probability of the other class.
    assert from_estimator(model, X, y, pos_label=0).threshold_mark_ is None


def test_probability_at_the_threshold_is_positive():
    """For row thresholds and for the marked threshold."""
    rows = dict(fp_cost=[1, 1], fn_cost=[3, 3])
    display = from_predictions([0, 1], [0.25, 0.25], **rows)
    assert display.bayes_cost == 0.5
    display.decision_threshold = 0.25
    assert display.plot().threshold_mark_.get_ydata() == [0.5]


def test_threshold_that_no_probability_reaches():
    curve = dict(thresholds=np.array([0.2, np.inf]), costs=np.array([0.5, 0.1]))
    display = CostCurveDisplay(
        **curve, never=0.1, always=0.5, decision_threshold=np.inf
    ).plot()
    assert display.threshold_mark_ is None


def test_estimators_without_probabilities():
    with pytest.raises(NotFittedError):
        from_estimator(LogisticRegression(), X, y)
    for model in (LinearSVC().fit(X, y), LinearRegression().fit(X, y)):
        name = type(model).__name__
        with pytest.raises(
            TypeError, match=f"estimator must predict .* probabilities, got {name}"
        ):
            from_estimator(model, X, y)
    iris = load_iris(return_X_y=True)
    with pytest.raises(
        ValueError, match="binary classifier, got LogisticRegression with 3"
    ):
        from_estimator(LogisticRegression(max_iter=1000).fit(*iris), *iris)


# -- drawing ---------------------------------------------------------------------------


@pytest.mark.parametrize("against", ["threshold", "alpha"])
def test_curves_share_axes(against):
    """Constants and the Bayes threshold are drawn once per set of rows."""
    one = from_predictions(y, P, against=against, name="one")
    two = from_predictions(y, np.sqrt(P), against=against, name="two", ax=one.ax_)
    assert two.ax_ is one.ax_
    assert len(one.constant_lines_) == 2
    assert two.constant_lines_ == []
    assert two.bayes_line_ is None
    assert {"one", "two"} < set(legend(two))
    assert len(legend(two)) == len(set(legend(two)))
    half = from_predictions(y[:75], P[:75], against=against, ax=one.ax_)
    assert len(half.constant_lines_) == 2
    assert len(plt.get_fignums()) == 1


def test_curve_equal_to_a_constant():
    display = from_predictions([0, 1], [0, 0], against="alpha")
    assert len(display.constant_lines_) == 2


def test_without_constants():
    display = from_predictions(y, P, plot_constants=False)
    assert display.constant_lines_ == []


def test_style_and_name():
    display = from_predictions(y, P, curve_kwargs={"color": "red", "linewidth": 3})
    assert display.line_.get_color() == "red"
    assert display.line_.get_linewidth() == 3
    first = display.ax_
    assert display.plot(name="again") is display
    assert display.ax_ is not first
    assert legend(display)[0] == "again"


def test_data_frames():
    frame = pd.DataFrame(X).rename(columns=str)
    model = LogisticRegression().fit(frame, y)
    one = from_estimator(model, frame, pd.Series(y, index=np.arange(N)[::-1]))
    np.testing.assert_allclose(one.costs, from_estimator(MODEL, X, y).costs)


def test_matplotlib_settings_are_unchanged():
    before = dict(plt.rcParams)
    from_predictions(y, P)
    assert dict(plt.rcParams) == before


BAD = {
    "against": (dict(against="x"), "against must be .* got 'x'"),
    "alpha": (dict(alpha=-1), "alpha must be .* got -1"),
    "many alphas": (dict(alpha=[1, 2]), r"alpha must be a number .* got \[1, 2\]"),
    "one alpha": (
        dict(against="alpha", alpha=3),
        "alpha must hold at least two .* got 3",
    ),
    "bad alphas": (dict(against="alpha", alpha=[1, 0]), r"alpha .* got \[1, 0\]"),
    "text": (dict(against="alpha", alpha="ab"), "alpha .* got 'ab'"),
    "pos_label": (dict(pos_label=5), "pos_label=5 is not a class: .* 0, 1"),
    "fp_cost": (dict(fp_cost=[1]), "fp_cost .* each of the 150 rows, got 1"),
    "fn_cost": (dict(fn_cost=-np.ones(N)), "fn_cost .* got -1.0 at position 0"),
    "weights": (dict(sample_weight=[1]), r"sample_weight .* \(1,\)"),
    "no weights": (dict(sample_weight=np.zeros(N)), "sample_weight must hold"),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_input(case):
    given, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        from_predictions(y, P, **given)
    with pytest.raises(ValueError, match=message):
        from_estimator(MODEL, X, y, **given)


@pytest.mark.parametrize(
    ("truth", "score", "message"),
    [
        ([0, 1], [0.5], "y_score has 1 row, but y_true has 2"),
        (
            [0, 1],
            [0.5, 1.5],
            "y_score must hold probabilities .* got 1.5 at position 1",
        ),
        ([0, 1], [np.nan, 1], "y_score must hold probabilities .* got nan"),
        ([0, 1], ["a", "b"], "y_score must hold numbers"),
        ([0, 1], np.eye(2), "y_score must be one probability per row"),
        ([0, 1, 2], [0, 0, 1], "y_true must hold two classes, got 3: 0, 1, 2"),
        (["a", "a"], [0, 1], "Set pos_label to .* y_true holds only one class, 'a'"),
    ],
    ids=["short", "range", "nan", "text", "columns", "three", "one"],
)
def test_invalid_predictions(truth, score, message):
    with pytest.raises(ValueError, match=message):
        from_predictions(truth, score)


def test_invalid_drawing_arguments():
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got int"):
        from_predictions(y, P, ax=3)
    with pytest.raises(TypeError, match="curve_kwargs must be a dict, got 3"):
        from_predictions(y, P, curve_kwargs=3)
    with pytest.raises(ValueError, match="y holds 6, 5, but the classes are 0, 1"):
        from_estimator(MODEL, X, y[np.argsort(-y)] + 5)
    with pytest.raises(ValueError, match="X has 150 rows, but y has 5"):
        from_estimator(MODEL, X, y[:5])


def test_invalid_arguments_leave_no_empty_figure():
    before = plt.get_fignums()
    with pytest.raises(TypeError, match="curve_kwargs must be a dict"):
        from_predictions(y, P, curve_kwargs=3)
    assert plt.get_fignums() == before


def test_pos_label_of_the_estimator_is_used():
    X, y = load_breast_cancer(return_X_y=True)
    y = np.where(y == 0, "malignant", "benign")
    model = CostSensitiveClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()),
        3,
        strategy="threshold",
        pos_label="benign",
    ).fit(X, y)
    display = CostCurveDisplay.from_estimator(model, X, y, alpha=3)
    assert display.pos_label == "benign"
    assert display.decision_threshold == 0.75
    assert display.never == pytest.approx(np.mean(y == "benign"))


ODD = {
    "name": (dict(name=[1, 2]), TypeError, r"name must be a str .* got \[1, 2\]"),
    "flag": (dict(plot_constants=np.ones(2)), TypeError, "plot_constants must be True"),
    "keyword": (dict(curve_kwargs={"color": 1}), ValueError, "curve_kwargs: .*color"),
    "no keyword": (dict(curve_kwargs={1: 2}), TypeError, "curve_kwargs: keywords"),
    "against": (dict(against=np.ones(2)), ValueError, "against must be 'threshold'"),
}


@pytest.mark.parametrize("case", ODD)
def test_invalid_keyword_arguments(case):
    given, error, message = ODD[case]
    with pytest.raises(error, match=message):
        from_predictions(y, P, **given)
    with pytest.raises(error, match=message):
        from_estimator(MODEL, X, y, **given)


def test_class_instead_of_estimator():
    with pytest.raises(TypeError, match="Invalid estimator: .* is a class"):
        from_estimator(LogisticRegression, X, y)
