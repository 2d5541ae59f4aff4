"""Explanations of sequences with known effects."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit, logit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeep import (
    LSTMClassifier,
    LSTMRegressor,
    Seq2Seq,
)
from skdeep.inspection import lime_explain
from skdeep.preprocessing import SlidingWindow

# Warnings are tested in test_lime_fidelity.py. The networks here are hardly trained.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The local models of:UserWarning"),
    pytest.mark.filterwarnings(
        f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
    ),
]

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

T, F = 8, 3
X = rng.normal(2, 1, size=(80, T, F))
W = rng.normal(size=(T, F))
MEAN = X.mean(axis=0)


def linear_model(X):
    return (np.nan_to_num(X) * W).sum(axis=(1, 2)) + 1


def cells(explanation, row=0):
    """Return effects as (timesteps, features)."""
    return explanation.effects_[row].reshape(T, F)


# -- sequences -------------------------------------------------------------------------


def test_cells_compared_with_their_means(regressor):
    explanation = explain(regressor(linear_model), X[:3], background=X)
    for row in range(3):
        np.testing.assert_allclose(
            cells(explanation, row), W * (X[row] - MEAN), rtol=0.01
        )
    np.testing.assert_allclose(explanation.intercept_, (W * MEAN).sum() + 1)
    np.testing.assert_allclose(explanation.prediction_, linear_model(X[:3]))
    np.testing.assert_allclose(explanation.local_prediction_, linear_model(X[:3]))
    np.testing.assert_array_equal(explanation.effects_, explanation.weights_)
    np.testing.assert_allclose(explanation.r2_, 1)
    np.testing.assert_array_equal(explanation.units_, np.arange(T * F).reshape(T, F))
    assert explanation.times_ == list(range(1 - T, 1))
    assert explanation.unit_names_[:4] == ["x0 t-7", "x1 t-7", "x2 t-7", "x0 t-6"]
    assert explanation.unit_names_[-1] == "x2 t"
    values = explanation.values_[0].astype(float).reshape(T, F)
    np.testing.assert_array_equal(values, X[0])
    assert explanation.kind == "sequence"


SEGMENTS = [0, 0, 0, 1, 1, 1, 2, 2]
BLOCKS = (np.arange(T)[:, np.newaxis] // 4) * 2 + (np.arange(F) > 0)


@pytest.mark.parametrize(
    ("options", "units", "names"),
    [
        ({"groups": "feature"}, np.tile(range(F), (T, 1)), ["x0", "x1", "x2"]),
        (
            {"groups": "time", "n_segments": 3},
            np.tile(np.c_[SEGMENTS], F),
            ["t-7 … t-5", "t-4 … t-2", "t-1 … t"],
        ),
        (
            {"groups": "time", "n_segments": 50},
            np.tile(np.c_[range(T)], F),
            ["t-7", "t-6", "t-5", "t-4", "t-3", "t-2", "t-1", "t"],
        ),
        (
            {
                "groups": {"both": ["a", "c"], "one": ["b"]},
                "feature_names": list("abc"),
            },
            np.tile([0, 1, 0], (T, 1)),
            ["both", "one"],
        ),
        (
            {"groups": {"both": [2, 0], "one": [1]}},
            np.tile([0, 1, 0], (T, 1)),
            ["both", "one"],
        ),
        ({"groups": BLOCKS}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": BLOCKS * 10}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": BLOCKS.tolist()}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": "cell"}, np.arange(T * F).reshape(T, F), None),
    ],
    ids=[
        "feature",
        "time",
        "timesteps",
        "names",
        "places",
        "blocks",
        "gaps",
        "list",
        "cell",
    ],
)
def test_groups_of_cells(regressor, options, units, names):
    explanation = explain(regressor(linear_model), X[:2], background=X, **options)
    np.testing.assert_array_equal(explanation.units_, units)
    if names is not None:
        assert explanation.unit_names_ == names
    alone = W * (X[1] - MEAN)
    expected = [alone[units == k].sum() for k in range(units.max() + 1)]
    np.testing.assert_allclose(explanation.effects_[1], expected, rtol=0.01)


def test_ten_segments_by_default(regressor):
    rng = np.random.default_rng(1)
    long = rng.normal(size=(20, 25, 1))
    model = regressor(lambda X: X.sum(axis=(1, 2)))
    explanation = explain(model, long[:1], background=long, groups="time")
    assert explanation.effects_.shape == (1, 10)


@pytest.mark.parametrize("groups", ["cell", "feature", "time"])
def test_interpolation_of_a_constant_changes_nothing(regressor, groups):
    level = np.full((4, T, F), 3.0)
    explanation = explain(
        regressor(linear_model),
        level[:1],
        background=level,
        groups=groups,
        replacement="interpolation",
    )
    np.testing.assert_allclose(explanation.effects_, 0, atol=1e-9)


def test_interpolated_values(regressor):
    rng = np.random.default_rng(1)
    row = rng.normal(size=(1, 6, 2))
    model = regressor(lambda X: X.sum(axis=(1, 2)))
    explain(model, row, background=X[:, :6, :2], replacement="interpolation")
    time = np.arange(6)
    mean = X[:, :6, :2].mean(axis=0)
    for drawn in model.calls_[-1][:100]:
        for j in range(2):
            kept = drawn[:, j] == row[0, :, j]
            if kept.any():
                expected = np.interp(time, time[kept], row[0, kept, j])
            else:
                expected = mean[:, j]
            np.testing.assert_allclose(drawn[:, j], expected)


def test_noise_comes_from_background_sequences(regressor):
    model = regressor(linear_model)
    explanation = explain(
        model, X[:1], background=X, replacement="noise", num_samples=20_001
    )
    expected = W * (X[0] - MEAN)
    np.testing.assert_allclose(cells(explanation), expected, atol=0.25)
    others = X.reshape(len(X), -1)
    for drawn in model.calls_[-1][:50].reshape(50, -1):
        switched = drawn != X[0].ravel()
        assert (others[:, switched] == drawn[switched]).all(axis=1).any()


@pytest.mark.parametrize("shape", [(10, 4), (30, 10)])
@pytest.mark.parametrize("seed", range(3))
def test_top_cells_are_those_that_the_model_reads(classifier, shape, seed):
    generator = np.random.default_rng(seed)
    read = generator.choice(shape[0] * shape[1], 3, replace=False)
    background = generator.normal(size=(100, *shape))
    row = background[:1].copy()
    row.reshape(-1)[read] = [1, -0.8, 0.8]

    def probability(X):
        return expit(X.reshape(len(X), -1)[:, read] @ [1, -1, 1])

    explanation = explain(
        classifier(probability), row, background=background, random_state=seed
    )
    assert set(explanation.top(0)[:3]) == set(read)
    assert explanation.r2_[0] >= 0.9
    others = np.delete(explanation.effects_[0], read)
    assert np.abs(others).max() < 0.1 * np.abs(explanation.effects_[0, read]).min()


@pytest.mark.parametrize("replacement", ["mean", "interpolation", "noise"])
@pytest.mark.parametrize("groups", ["cell", "feature", "time"])
def test_padding(regressor, replacement, groups):
    padded = X.copy()
    padded[:, 5:] = np.where(np.arange(80)[:, None, None] % 2, padded[:, 5:], np.nan)
    padded[0, 2, 1] = np.nan
    model = regressor(linear_model)
    options = {"groups": groups, "n_segments": T, "replacement": replacement}
    explanation = explain(model, padded[:2], background=padded, **options)
    is_missing = np.isnan(padded[0])
    # Missing values stay missing, and no others appear.
    of_first = model.calls_[-1][np.isnan(model.calls_[-1]).any(axis=(1, 2))]
    assert (np.isnan(of_first) == is_missing).all()
    of_units = {
        "cell": is_missing.ravel(),
        "time": is_missing.all(axis=1),
        "feature": is_missing.all(axis=0),
    }[groups]
    np.testing.assert_array_equal(np.isnan(explanation.effects_[0]), of_units)
    np.testing.assert_array_equal(np.isnan(explanation.weights_[0]), of_units)
    assert not np.isnan(explanation.effects_[1]).any()
    np.testing.assert_allclose(
        explanation.intercept_ + np.nansum(explanation.effects_, axis=1),
        explanation.local_prediction_,
    )
    if replacement == "mean" and groups == "cell":
        np.testing.assert_allclose(
            cells(explanation)[~is_missing],
            (W * (padded[0] - np.nanmean(padded, axis=0)))[~is_missing],
            rtol=0.01,
        )


@pytest.mark.parametrize(
    "selection", ["highest_weights", "forward_selection", "lasso_path"]
)
def test_selection_of_cells_with_padding(regressor, selection):
    padded = X.copy()
    padded[:, 5:] = np.nan
    model = regressor(lambda X: 3 * X[:, 1, 0] - 2 * X[:, 4, 2])
    row = padded[:1].copy()
    row[0, 1, 0] = row[0, 4, 2] = 5
    explanation = explain(
        model, row, background=padded, feature_selection=selection, num_features=2
    )
    expected = np.where(np.isnan(row[0]), np.nan, 0)
    expected[1, 0], expected[4, 2] = 3 * (5 - MEAN[1, 0]), -2 * (5 - MEAN[4, 2])
    np.testing.assert_allclose(cells(explanation), expected, rtol=0.01)


def test_entirely_missing_sequence(regressor):
    empty = X[:2].copy()
    empty[0] = np.nan
    explanation = explain(regressor(linear_model), empty, background=X)
    assert np.isnan(explanation.effects_[0]).all()
    np.testing.assert_allclose(explanation.local_prediction_, linear_model(empty))


def test_cells_missing_in_the_whole_background(regressor):
    short = X.copy()
    short[:, 6:] = np.nan
    explanation = explain(regressor(linear_model), X[:1], background=short)
    # The mean of the feature replaces the mean of the timestep.
    means = np.nanmean(short, axis=(0, 1))
    np.testing.assert_allclose(
        cells(explanation)[6:], (W * (X[0] - means))[6:], rtol=0.01
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sequences_keep_their_dtype(regressor, dtype):
    typed = X.astype(dtype)
    model = regressor(linear_model)
    for replacement in ["mean", "interpolation", "noise"]:
        explain(model, typed[:2], background=X, replacement=replacement)
    assert {rows.dtype for rows in model.calls_} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.tolist(),
        lambda X: X.transpose(2, 1, 0).copy().transpose(2, 1, 0),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.astype(object),
    ],
    ids=["list", "transposed", "strided", "object"],
)
def test_memory_layouts_of_sequences(regressor, change):
    model = regressor(linear_model)
    np.testing.assert_allclose(
        explain(model, change(X[:2]), background=change(X)).effects_,
        explain(model, X[:2], background=X).effects_,
    )


def test_integer_sequences(regressor):
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 9, size=(40, T, F))
    explanation = explain(regressor(linear_model), whole[:1], background=whole)
    np.testing.assert_allclose(
        cells(explanation), W * (whole[0] - whole.mean(axis=0)), rtol=0.01, atol=1e-8
    )


def saturating(X):
    return np.tanh(linear_model(X)) + X[:, 0, 0] * X[:, 1, 1]


@pytest.mark.parametrize("groups", ["cell", "feature"])
@pytest.mark.parametrize("replacement", ["mean", "interpolation", "noise"])
def test_sequence_is_explained_independently_of_others(regressor, groups, replacement):
    model = regressor(saturating)
    options = {"background": X, "groups": groups, "replacement": replacement}
    together = explain(model, X[:4], **options)
    backwards = explain(model, X[3::-1], **options)
    for row in range(4):
        alone = explain(model, X[row : row + 1], **options)
        for other, place in [(together, row), (backwards, 3 - row)]:
            np.testing.assert_allclose(alone.effects_[0], other.effects_[place])
            assert alone.num_samples_[0] == other.num_samples_[place]


def test_input_is_not_modified(regressor):
    rows, background = X[:3].copy(), X.copy()
    rows.flags.writeable = background.flags.writeable = False
    for replacement in ["mean", "interpolation", "noise"]:
        explain(
            regressor(saturating), rows, background=background, replacement=replacement
        )
    np.testing.assert_array_equal(rows, X[:3])
    np.testing.assert_array_equal(background, X)


@pytest.mark.parametrize("make", [LSTMClassifier, LSTMRegressor])
def test_recurrent_networks(make):
    centered = X - MEAN
    is_up = np.arange(len(X)) % 2 == 0
    centered[:, :, 1] += np.where(is_up, 1, -1)[:, np.newaxis]
    y = np.where(is_up, "up", "down") if make is LSTMClassifier else 1.0 * is_up
    network = make(
        hidden_size=4,
        max_iter=15,
        batch_size=10,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(centered, y)
    explanation = explain(network, centered[:3], background=centered, groups="feature")
    if make is LSTMClassifier:
        assert explanation.outputs_ == ["P(up)"] * 3
        expected = network.predict_proba(centered[:3])[:, 1]
    else:
        expected = network.predict(centered[:3])
    np.testing.assert_allclose(explanation.prediction_, expected, rtol=1e-5)
    sizes = np.abs(explanation.effects_).mean(axis=0)
    assert sizes.argmax() == 1


def test_outputs_name_the_class(classifier):
    def probabilities(X):
        scores = np.exp(X[:, 0])
        return scores / scores.sum(axis=1, keepdims=True)

    model = classifier(probabilities, classes=("a", "b", "c"))
    explanation = explain(model, X[:6], background=X)
    assert explanation.outputs_ == [f"P({label})" for label in model.predict(X[:6])]


def test_network_after_sliding_windows_is_explained_by_windows():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 2))
    pipeline = make_pipeline(
        SlidingWindow(window=4, context="pad"),
        LSTMRegressor(hidden_size=3, max_iter=2, random_state=0),
    ).fit(rows, rows[:, 0])
    with pytest.raises(ValueError, match="make the windows first"):
        explain(pipeline, rows[9:10], background=rows)
    with pytest.raises(ValueError, match="make the windows first"):
        explain(pipeline, rows[:5], background=rows)
    windows = pipeline[:-1].transform(rows)
    explanation = explain(pipeline[-1], windows[9:11], background=windows)
    np.testing.assert_allclose(
        explanation.prediction_, pipeline.predict(rows)[9:11], rtol=1e-5
    )


def test_pipeline_of_sequences(regressor):
    model = make_pipeline(FunctionTransformer(lambda X: X * 2), regressor(linear_model))
    explanation = explain(model, X[:1], background=X)
    np.testing.assert_allclose(cells(explanation), 2 * W * (X[0] - MEAN), rtol=0.01)


def test_feature_and_row_names(regressor):
    explanation = explain(
        regressor(linear_model),
        X[:2],
        background=X,
        feature_names=["a", "b", "c"],
        row_names=["Monday", "Tuesday"],
    )
    assert explanation.unit_names_[:4] == ["a t-7", "b t-7", "c t-7", "a t-6"]
    assert explanation.feature_names_ == ["a", "b", "c"]
    assert list(explanation.rows_) == ["Monday", "Tuesday"]


# -- sequences of different lengths ----------------------------------------------------


IDS = np.random.default_rng(0).integers(1, 9, size=(200, 6))
IDS[np.arange(6) >= np.random.default_rng(1).integers(2, 7, size=(200, 1))] = 0


class TokenPosition(BaseEstimator):
    """Takes token ids like skdeep's networks; predicts the position of token 5."""

    embedding_dim = 4

    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        there = X > 0
        assert (np.sort(~there, axis=1) == ~there).all(), "padding inside"
        assert there.any(axis=1).all(), "nothing but padding"
        places = np.arange(X.shape[1])
        return (np.where(X == 5, 1 + places, 0)).sum(axis=1) * 1.0


@pytest.mark.parametrize("width", [6, 3])
def test_padding_tokens_are_not_changed(width):
    row = np.array([[5, 2, 5, 0, 0, 0]])[:, :width]
    background = np.vstack([np.where(IDS == 5, 4, IDS), np.zeros((3, 6), dtype=int)])
    explanation = explain(TokenPosition().fit(), row, background=background)
    expected = [[1, 0, 3, np.nan, np.nan, np.nan]]
    np.testing.assert_allclose(explanation.effects_, expected, atol=1e-8)
    assert explanation.plot().ax_ is not None


def test_token_ids_without_alternative_become_the_unknown_token():
    row = np.array([[2, 5, 5, 5, 5, 5, 5, 5]])
    background = np.where(IDS == 5, 4, IDS)  # of six columns
    explanation = explain(TokenPosition().fit(), row, background=background)
    np.testing.assert_allclose(explanation.effects_[0], [0, *range(2, 9)], atol=1e-8)


def test_groups_of_token_ids():
    row = np.array([[5, 2, 5, 5, 0, 0]])
    groups = {"begin": [0, 1], "end": [2, 3, 4], "gone": [5]}
    explanation = explain(TokenPosition().fit(), row, background=IDS, groups=groups)
    begin, end, gone = explanation.effects_[0]
    assert 0.5 < begin <= 1 and 5 < end <= 7 and np.isnan(gone)


def test_lists_of_token_ids():
    lists = [ids[ids > 0] for ids in IDS]
    found = explain(TokenPosition().fit(), lists[:3], background=lists)
    expected = explain(TokenPosition().fit(), IDS[:3], background=IDS)
    np.testing.assert_array_equal(found.effects_, expected.effects_)


def test_token_ids_of_a_recurrent_network():
    words = IDS > 0
    y = np.where(IDS[:, 0] >= 5, "five", "none")
    network = LSTMClassifier(
        8, embedding_dim=8, max_iter=15, learning_rate_init=0.05, random_state=0
    ).fit(IDS, y)
    row = np.flatnonzero((IDS[:, 0] == 5) & (words.sum(axis=1) < 6))[:1]
    explanation = explain(network, IDS[row], background=IDS, target="five")
    assert explanation.top(0)[0] == 0 and explanation.effects_[0, 0] > 0.1
    np.testing.assert_array_equal(np.isnan(explanation.effects_), ~words[row])


def test_lists_of_sequences():
    lists = [row[: 3 + k % 4] for k, row in enumerate(X)]
    network = LSTMRegressor(hidden_size=2, max_iter=1, random_state=0)
    network.fit(lists, np.arange(80.0))
    explanation = explain(network, lists[:2], background=lists)
    has = ~np.isnan(explanation.effects_).reshape(2, 6, F)
    np.testing.assert_array_equal(has.all(axis=2).sum(axis=1), [3, 4])
    np.testing.assert_allclose(explanation.prediction_, network.predict(lists[:2]))


# -- predictions for each step ---------------------------------------------------------


class Steps(BaseEstimator):
    """Predicts the cumulative sum at every step, and NaN for padding."""

    return_sequences = True

    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.cumsum(X @ [1.0, -1.0, 2.0], axis=1)


class StepClasses(ClassifierMixin, Steps):
    """Classifies every step into two or three classes by its cumulative sum."""

    def __init__(self, n_classes=2):
        self.n_classes = n_classes

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["a", "b", "c"][: self.n_classes])
        return self

    def decision_function(self, X):
        scores = 0.2 * super().predict(X)
        return (
            scores
            if self.n_classes == 2
            else np.stack([0 * scores, scores, -scores], 2)
        )

    def predict_proba(self, X):
        scores = self.decision_function(X)
        if self.n_classes == 2:
            return np.stack([1 - expit(scores), expit(scores)], axis=2)
        return softmax(scores, axis=2)


PADDED = np.where(np.arange(T)[:, np.newaxis] < 5, X[:2], np.nan)


@pytest.mark.parametrize(
    ("step", "last", "name"),
    [
        (None, 4, "last step"),
        (-1, 4, "last step"),
        (-2, 3, "step -2"),
        (2, 2, "step 2"),
        (0, 0, "step 0"),
    ],
)
def test_step_of_a_sequence(step, last, name):
    explanation = explain(Steps().fit(), PADDED, background=X, step=step)
    expected = (PADDED[0] - MEAN) * [1, -1, 2]
    expected[last + 1 : 5] = 0
    np.testing.assert_allclose(cells(explanation), expected, rtol=0.01, atol=1e-8)
    assert explanation.outputs_ == [f"prediction, {name}"] * 2


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_at_a_step(n_classes):
    model = StepClasses(n_classes).fit()
    explanation = explain(model, PADDED, background=X, step=1)
    probabilities = model.predict_proba(PADDED)[:, 1]
    chosen = probabilities.argmax(axis=1) if n_classes == 3 else np.array([1, 1])
    names = [f"P({model.classes_[k]}), step 1" for k in chosen]
    assert explanation.outputs_ == names
    np.testing.assert_allclose(explanation.prediction_, probabilities[[0, 1], chosen])
    odds = explain(model, PADDED, background=X, step=1, target="b", link="logit")
    assert odds.outputs_ == ["log-odds of b, step 1"] * 2
    np.testing.assert_allclose(odds.prediction_, logit(probabilities[:, 1]))
    margin = explain(model, PADDED, background=X, step=1, target="margin")
    assert margin.outputs_[0].endswith("step 1")


def test_steps_of_a_recurrent_network():
    y = np.where(np.arange(T)[:, np.newaxis] < 9, X[:, :, :1] > 2, -1)[:, :, 0]
    network = LSTMClassifier(
        8, return_sequences=True, max_iter=15, learning_rate_init=0.05, random_state=0
    ).fit(X, y.astype(int))
    explanation = explain(network, X[:2], background=X)
    np.testing.assert_allclose(
        explanation.prediction_, network.predict_proba(X[:2])[:, -1, 1], rtol=1e-5
    )
    # The output depends mostly on the step itself, in the first feature.
    assert np.abs(explanation.effects_).mean(axis=0).argmax() == (T - 1) * F


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (5, "^step=5 is out of range: a sequence in X has only 5 steps"),
        (-6, "^step=-6 is out of range: a sequence in X has only 5 steps"),
        (1.0, "^step must be the position .* got 1.0"),
        ("last", "^step must be the position .* got 'last'"),
        (True, "^step must be the position .* got True"),
    ],
)
def test_invalid_steps(step, words):
    with pytest.raises(ValueError, match=words):
        explain(Steps().fit(), PADDED, background=X, step=step)


def test_step_of_an_estimator_with_one_prediction_per_row(regressor):
    with pytest.raises(ValueError, match="^step=1 is for forecasters and for networks"):
        explain(regressor(linear_model), X[:1], background=X, step=1)


def test_written_sequences_are_no_numbers():
    X = rng.normal(size=(8, 2))
    model = Seq2Seq(4, max_iter=1, random_state=0).fit(X, ["ab", "b"] * 4)
    with pytest.raises(TypeError, match="Seq2Seq predicts '.*', which is not"):
        explain(model, X)
