"""Expected cost, against manual sums and scikit-learn's confusion matrices."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.metrics import confusion_matrix

from skdeep.metrics import expected_cost, make_cost_scorer, savings_score

rng = np.random.default_rng(0)
N = 200
TRUTH, GUESS = rng.integers(0, 2, N), rng.integers(0, 2, N)
OF_THREE = rng.integers(0, 3, (2, N))
FP, FN, WEIGHT = rng.lognormal(size=(3, N))


def added_up(truth, guess, fp, fn, weight):
    """Return the weighted mean cost, row by row."""
    paid = 0.0
    for t, g, p, n, w in zip(truth, guess, fp, fn, weight, strict=True):
        if g == 1 and t == 0:
            paid += w * p
        elif g == 0 and t == 1:
            paid += w * n
    return paid / sum(weight)


# -- expected_cost ---------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.2, 1, 7.5])
def test_cost_matches_the_confusion_matrix(alpha):
    counts = confusion_matrix(TRUTH, GUESS)
    expected = (alpha * counts[0, 1] + counts[1, 0]) / N
    assert expected_cost(TRUTH, GUESS, alpha=alpha) == pytest.approx(expected)


@pytest.mark.parametrize(
    "given", [(), ("fp",), ("fn",), ("fp", "fn"), ("weight",), ("fp", "fn", "weight")]
)
def test_row_costs_and_sample_weights(given):
    one = np.ones(N)
    fp, fn = FP if "fp" in given else one, FN if "fn" in given else one
    weight = WEIGHT if "weight" in given else one
    cost = expected_cost(
        TRUTH,
        GUESS,
        alpha=3,
        fp_cost=FP if "fp" in given else None,
        fn_cost=FN if "fn" in given else None,
        sample_weight=WEIGHT if "weight" in given else None,
    )
    assert cost == pytest.approx(added_up(TRUTH, GUESS, 3 * fp, fn, weight))


def test_business_metric_of_scikit_learns_example():
    """Credit losses, as in its example on cost-sensitive learning."""
    amount = 1000 * FP
    truth = np.where(TRUTH == 1, "bad", "good")
    guess = np.where(GUESS == 1, "bad", "good")
    lost_interest = np.where((truth == "good") & (guess == "bad"), 0.05 * amount, 0)
    lost_credit = np.where((truth == "bad") & (guess == "good"), amount, 0)
    cost = expected_cost(
        truth, guess, pos_label="bad", fp_cost=0.05 * amount, fn_cost=amount
    )
    assert cost == pytest.approx((lost_interest + lost_credit).mean())


@pytest.mark.parametrize("pos_label", [None, "b", "a"])
def test_positive_class(pos_label):
    truth, guess = np.array(["a", "b"])[TRUTH], np.array(["a", "b"])[GUESS]
    counts = confusion_matrix(truth, guess)
    if pos_label == "a":
        counts = counts.T
    expected = (4 * counts[0, 1] + counts[1, 0]) / N
    cost = expected_cost(truth, guess, alpha=4, pos_label=pos_label)
    assert cost == pytest.approx(expected)


def test_cost_matrix_of_several_classes():
    truth, guess = OF_THREE
    matrix = np.array([[0, 1, 5], [2, 0.5, 3], [1, 9, 0]])
    counts = confusion_matrix(truth, guess)
    expected = (counts * matrix).sum() / N
    assert expected_cost(truth, guess, cost_matrix=matrix) == pytest.approx(expected)


def test_cost_matrix_rows_follow_labels():
    names = np.array(["high", "low", "middle"])
    truth, guess = names[OF_THREE]
    matrix = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
    order = ["low", "middle", "high"]
    counts = confusion_matrix(truth, guess, labels=order)
    cost = expected_cost(truth, guess, cost_matrix=matrix, labels=order)
    assert cost == pytest.approx((counts * matrix).sum() / N)


def test_cost_matrix_with_an_absent_class():
    matrix = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
    cost = expected_cost([0, 2], [2, 0], cost_matrix=matrix, labels=[0, 1, 2])
    assert cost == (5 + 1) / 2
    with pytest.raises(ValueError, match="has 3 classes, .* hold 2: 0, 2"):
        expected_cost([0, 2], [2, 0], cost_matrix=matrix)


NAMES = np.array(["high", "low", "middle"])
MATRIX = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
FRAME = pd.DataFrame(MATRIX, index=NAMES, columns=NAMES)
ORDERS = [["high", "low", "middle"], ["low", "middle", "high"], NAMES[::-1]]


@pytest.mark.parametrize("metric", [expected_cost, savings_score])
@pytest.mark.parametrize("columns", ORDERS)
@pytest.mark.parametrize("rows", ORDERS)
def test_cost_matrix_frame_is_matched_by_label(rows, columns, metric):
    truth, guess = NAMES[OF_THREE]
    expected = metric(truth, guess, cost_matrix=MATRIX)
    frame = FRAME.loc[rows, columns]
    assert metric(truth, guess, cost_matrix=frame) == expected
    # The order of `labels` has no effect.
    cost = metric(truth, guess, cost_matrix=frame, labels=["low", "high", "middle"])
    assert cost == expected
    assert make_cost_scorer(cost_matrix=frame)._kwargs["cost_matrix"] is frame


def test_numeric_labels_of_a_frame():
    frame = pd.DataFrame([[0, 3], [1, 0]], index=[1, 0], columns=[1, 0])
    # A true 1 predicted as 0 costs 3, a true 0 predicted as 1 costs 1.
    assert expected_cost([0, 1], [1, 1], cost_matrix=frame) == 0.5
    assert expected_cost([0, 1], [0, 0], cost_matrix=frame) == 1.5
    truth, guess = np.array([False, True]), np.array([True, True])
    named = frame.set_axis([True, False], axis=0).set_axis([True, False], axis=1)
    assert expected_cost(truth, guess, cost_matrix=named) == 0.5
    backwards = pd.DataFrame([[0, 3], [1, 0]]).iloc[::-1]  # its index is 1, 0
    assert expected_cost([0, 1], [1, 0], cost_matrix=backwards) == (3 + 1) / 2


def test_default_frame_labels_are_ignored():
    truth, guess = NAMES[OF_THREE]
    expected = expected_cost(truth, guess, cost_matrix=MATRIX)
    for frame in (pd.DataFrame(MATRIX), pl.DataFrame(MATRIX)):
        assert expected_cost(truth, guess, cost_matrix=frame) == expected


def test_polars_frame_rows_follow_its_columns():
    truth, guess = NAMES[OF_THREE]
    frame = pl.DataFrame(MATRIX[::-1, ::-1], schema=NAMES[::-1].tolist())
    cost = expected_cost(truth, guess, cost_matrix=frame)
    assert cost == expected_cost(truth, guess, cost_matrix=MATRIX)
    for odd in (frame[:2], pl.concat([frame, frame])):
        with pytest.raises(ValueError, match=r"cost_matrix must .* got"):
            expected_cost(truth, guess, cost_matrix=odd)
        with pytest.raises(ValueError, match=r"cost_matrix must .* got"):
            make_cost_scorer(cost_matrix=odd)
    numbers = pl.DataFrame([[0, 1], [5, 0]], schema=["1", "0"], orient="row")
    assert expected_cost([0, 1], [1, 1], cost_matrix=numbers) == 2.5


def test_cost_matrix_frame_defines_the_classes():
    assert expected_cost(["low"], ["high"], cost_matrix=FRAME) == 2
    # Always predicting "high" costs 2, always predicting "low" costs 0.
    assert savings_score(["low"], ["high"], cost_matrix=FRAME) == 0.0
    with pytest.raises(ValueError, match="cost_matrix must name .* missing: 'lowest'"):
        expected_cost(["lowest"], ["high"], cost_matrix=FRAME)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.rename(index={"low": "lo"}), "index .* missing: 'low', unknown: 'lo'"),
        (FRAME.rename(columns={"low": "lo"}), "columns .* missing: 'low', unknown"),
        (FRAME.iloc[:2, :2], "missing: 'middle'"),
        (FRAME.reset_index(drop=True), "missing: 'high', .* unknown: 0, 1, 2"),
        (FRAME.rename(index={"low": "high"}), "repeated: 'high'"),
        (FRAME.set_axis(pd.Index(["high", pd.NA, "middle"], dtype=object)), "<NA>"),
        (
            FRAME.set_axis(pd.MultiIndex.from_product([["a"], NAMES])),
            r"missing: .* unknown: \('a', 'high'\)",
        ),
        (FRAME.to_dict(), "must be an array or a DataFrame, got the dict"),
        (FRAME.astype(str), "must hold numbers"),
    ],
    ids="index columns few unnamed twice NA multi dict text".split(),
)
def test_invalid_frame_labels(frame, message):
    truth, guess = NAMES[OF_THREE]
    with pytest.raises(ValueError, match=f"^cost_matrix .*{message}"):
        expected_cost(truth, guess, cost_matrix=frame)


def test_multiclass_errors_cost_1():
    assert expected_cost([0, 1, 2, 2], [0, 2, 2, 1]) == 0.5


def test_order_of_labels_does_not_set_the_positive_class():
    settings = dict(alpha=3)
    for labels in ([0, 1], [1, 0]):
        assert expected_cost([0, 1], [1, 1], labels=labels, **settings) == 1.5


@pytest.mark.parametrize("kind", [int, str, object])
def test_abstaining(kind):
    truth = np.array([0, 0, 1, 1]).astype(kind)
    guess = np.array([1, -1, -1, 0]).astype(kind)
    cost = expected_cost(
        truth, guess, alpha=3, abstain_cost=0.5, abstain_label=guess[1]
    )
    assert cost == (3 + 0.5 + 0.5 + 1) / 4


def test_abstaining_with_a_label_of_another_type():
    guess = np.array([-1, "b", "b"], dtype=object)
    cost = expected_cost(["a", "a", "b"], guess, alpha=2, abstain_cost=0.25)
    assert cost == pytest.approx((0.25 + 2) / 3)


def test_abstaining_with_a_matrix():
    matrix = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
    settings = dict(cost_matrix=matrix, abstain_cost=0.75, abstain_label=9)
    assert expected_cost([0, 1, 2], [2, 9, 1], **settings) == (5 + 0.75 + 9) / 3


@pytest.mark.parametrize("alpha", [1, 5])
@pytest.mark.parametrize("label", [0, 1, -1, "good"])
def test_single_class(label, alpha):
    assert expected_cost([label] * 3, [label] * 3, alpha=alpha) == 0
    assert expected_cost([label], [label], alpha=alpha, pos_label=label) == 0
    assert expected_cost([label], [label], alpha=alpha, pos_label="other") == 0


@pytest.mark.parametrize(
    "container",
    [list, tuple, np.array, pd.Series, pl.Series],
    ids=["list", "tuple", "ndarray", "pandas", "polars"],
)
def test_containers(container):
    cost = expected_cost(
        container([0, 1, 1, 0]),
        container([1, 1, 0, 0]),
        fp_cost=container([2.0, 1.0, 1.0, 1.0]),
        sample_weight=np.array([1.0, 1.0, 2.0, 0.0]),
    )
    assert cost == (2 + 2) / 4


@pytest.mark.parametrize(
    ("truth", "guess"),
    [
        ([False, True], [1, 1]),
        ([0.0, 1.0], [True, True]),
        (pd.Series(["a", "b"], dtype="category"), np.array(["b", "b"])),
        (pd.Series([0, 1], dtype="Int64"), pd.Series([True, True], dtype="boolean")),
    ],
    ids=["bool", "float", "category", "nullable"],
)
def test_label_types(truth, guess):
    assert expected_cost(truth, guess, alpha=3) == 1.5


def test_series_index_is_ignored():
    truth = pd.Series([0, 1, 1], index=[2, 0, 1])
    costs = pd.Series([5.0, 1.0, 1.0], index=[1, 2, 0])
    assert expected_cost(truth, [1, 1, 0], fp_cost=costs) == 2


BAD = {
    "short y_pred": (dict(y_pred=[0]), "y_pred has 1 row, but y_true has 2"),
    "no rows": (dict(y_true=[], y_pred=[]), "y_true is empty"),
    "two columns": (dict(y_true=[[0, 1], [1, 0]]), r"y_true .* got \[\[0, 1\]"),
    "probabilities": (dict(y_pred=[0.2, 0.7]), "y_pred must hold classes, got 0.2"),
    "missing": (
        dict(y_true=[0, np.nan]),
        "y_true must not hold missing values, got nan",
    ),
    "kinds": (dict(y_pred=["a", "b"]), "labels of one type, got 0, 1, 'a', 'b'"),
    "alpha 0": (dict(alpha=0), "alpha must be .* got 0"),
    "alpha infinite": (dict(alpha=np.inf), "alpha must be .* got inf"),
    "short fp_cost": (dict(fp_cost=[1.0]), "fp_cost .* each of the 2 rows, got 1"),
    "negative fn_cost": (dict(fn_cost=[1, -1]), "fn_cost .* got -1.0 at position 1"),
    "NaN fp_cost": (dict(fp_cost=[np.nan, 1]), "fp_cost .* got nan at position 0"),
    "2-D fp_cost": (
        dict(fp_cost=[[1], [2]]),
        r"fp_cost .* \(1-D\), got shape \(2, 1\)",
    ),
    "text fn_cost": (dict(fn_cost=["1", "2"]), r"fn_cost must hold a number .*'1'"),
    "objects": (dict(fp_cost=np.array([1, "2"], object)), "fp_cost must hold a number"),
    "complex": (dict(fp_cost=np.array([1j, 1])), "fp_cost must hold a number"),
    "sparse": (dict(fp_cost=sparse.eye_array(2)), r"fp_cost must be dense.*toarray"),
    "large fp_cost": (dict(fp_cost=[1, 1.7e308]), "fp_cost .* got 1.7e.308 at pos"),
    "huge fp_cost": (dict(fp_cost=[1, 10**400]), "fp_cost must hold a number"),
    "large product": (
        dict(alpha=1e100, fp_cost=[1e100, 1]),
        r"alpha=1e\+100 times fp_cost .* got 1e\+200 at position 0",
    ),
    "alpha large": (dict(alpha=1.7e308), r"alpha .* at most 1e\+150, got 1.7e\+308"),
    "alpha huge": (dict(alpha=10**400), "alpha .* at most .*, got 1000"),
    "alpha complex": (dict(alpha=1j), "alpha .* got 1j"),
    "matrix large": (
        dict(cost_matrix=[[0, 1e200], [1, 0]]),
        r"cost_matrix .* got 1e\+200 at position 1",
    ),
    "matrix complex": (dict(cost_matrix=[[0, 1j], [1, 0]]), "cost_matrix must hold"),
    "matrix sparse": (
        dict(cost_matrix=sparse.eye_array(2)),
        "cost_matrix must be dense",
    ),
    "abstain_cost huge": (dict(abstain_cost=10**400), "abstain_cost .* got 1000"),
    "large weights": (
        dict(sample_weight=[1, 1.7e308]),
        r"sample_weight .* got 1.7e\+308 at position 1",
    ),
    "matrix not square": (dict(cost_matrix=[[0, 1]]), r"cost_matrix .* \[\[0, 1\]\]"),
    "matrix of one": (dict(cost_matrix=3), "cost_matrix .* got 3"),
    "matrix too large": (
        dict(cost_matrix=1 - np.eye(3)),
        "cost_matrix has 3 classes, .* hold 2: 0, 1",
    ),
    "matrix and alpha": (
        dict(cost_matrix=1 - np.eye(2), alpha=2),
        "alpha=2 cannot be given too",
    ),
    "labels repeat": (dict(labels=[0, 1, 1]), "labels must be distinct, got 0, 1, 1"),
    "one of labels": (dict(labels=[0]), r"labels .* at least two classes, got \[0\]"),
    "labels lack one": (
        dict(labels=[0, 2]),
        "y_true holds 1, but the classes are 0, 2",
    ),
    "labels and matrix": (
        dict(labels=[0, 1], cost_matrix=1 - np.eye(3)),
        "labels must name the 3 rows of cost_matrix, got 2: 0, 1",
    ),
    "many labels": (dict(labels=[0, 1, 2], alpha=2), "alpha=2 .* holds 3: 0, 1, 2"),
    "pos_label": (dict(pos_label=7), "pos_label=7 is not a class: y holds 0, 1"),
    "abstain_cost": (dict(abstain_cost=-1), "abstain_cost .* got -1"),
    "abstain_label": (
        dict(abstain_cost=1, abstain_label=1),
        "abstain_label=1 must not be a class",
    ),
    "abstain_label in labels": (
        dict(abstain_cost=1, abstain_label=2, labels=[0, 1, 2]),
        "abstain_label=2 must not be a class; the classes are 0, 1, 2",
    ),
    "abstains unasked": (
        dict(y_pred=[0, -1], alpha=3),
        "y_pred holds -1, but the classes are 0, 1. .* set abstain_cost",
    ),
    "unknown": (dict(y_pred=[0, 5], labels=[0, 1]), "y_pred holds 5, but the classes"),
    "weights": (dict(sample_weight=[1, 1, 1]), r"sample_weight .* \(3,\)"),
    "no weights": (dict(sample_weight=[0, 0]), "sample_weight must hold"),
    "negative weights": (dict(sample_weight=[1, -1]), "sample_weight must hold"),
    "alpha missing": (dict(alpha=pd.NA), "alpha must be .* got <NA>"),
    "alphas": (dict(alpha=np.ones(2)), "alpha must be .* got array"),
    "pos_label missing": (dict(pos_label=pd.NA), "pos_label must be a label"),
    "complex tensor": (
        dict(y_pred=torch.ones(2, dtype=torch.complex64).conj()),
        "y_pred must be one label per row",
    ),
    "fields": (
        dict(y_true=np.zeros(2, dtype=[("a", int), ("b", int)])),
        "y_true must be one label per row, got the fields",
    ),
}


@pytest.mark.parametrize("metric", [expected_cost, savings_score])
@pytest.mark.parametrize("case", BAD)
def test_invalid_input(metric, case):
    given, message = BAD[case]
    given = {"y_true": [0, 1], "y_pred": [0, 1], **given}
    with pytest.raises(ValueError, match=message):
        metric(given.pop("y_true"), given.pop("y_pred"), **given)


@pytest.mark.parametrize("name", ["pos_label", "abstain_label"])
def test_invalid_label(name):
    with pytest.raises(TypeError, match=rf"{name} must be a label, got \[1\]"):
        expected_cost([0, 1], [0, 1], **{name: [1]})
    with pytest.raises(TypeError, match=rf"{name} must be a label, got \[1\]"):
        make_cost_scorer(**{name: [1]})


# -- savings_score ---------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, 1, 10])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_savings_against_constant_decisions(alpha, weight):
    w = np.ones(N) if weight is None else weight
    costs = [
        added_up(TRUTH, decided, alpha * FP, FN, w)
        for decided in (GUESS, np.zeros(N), np.ones(N))
    ]
    savings = savings_score(
        TRUTH, GUESS, alpha=alpha, fp_cost=FP, fn_cost=FN, sample_weight=weight
    )
    assert savings == pytest.approx(1 - costs[0] / min(costs[1:]))


def test_savings_with_a_cost_matrix():
    truth, guess = OF_THREE
    matrix = np.array([[0, 1, 5], [2, 0, 3], [1, 9, 0]])
    constants = [matrix[truth, k].mean() for k in range(3)]
    expected = 1 - matrix[truth, guess].mean() / min(constants)
    assert savings_score(truth, guess, cost_matrix=matrix) == pytest.approx(expected)


def test_savings_against_always_abstaining():
    cost = (3 + 0.1) / 2
    settings = dict(alpha=3, abstain_cost=0.1)
    assert savings_score([0, 1], [1, -1], **settings) == pytest.approx(1 - cost / 0.1)


def test_savings_of_constant_and_perfect_decisions():
    assert savings_score(TRUTH, TRUTH, alpha=4) == 1
    cheap, expensive = (0, 1) if TRUTH.mean() < 4 * (1 - TRUTH.mean()) else (1, 0)
    assert savings_score(TRUTH, np.full(N, cheap), alpha=4) == 0
    assert savings_score(TRUTH, np.full(N, expensive), alpha=4) < 0


@pytest.mark.parametrize("alpha", [1, 4])
def test_savings_without_any_cost(alpha):
    """As for scikit-learn's D² scores."""
    assert savings_score([0, 0], [0, 0], alpha=alpha) == 1.0
    assert savings_score([0, 0], [0, 1], alpha=alpha) == 0.0
    assert savings_score(["a", "a"], ["a", "a"], alpha=alpha) == 1.0
