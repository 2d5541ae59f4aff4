"""Sequences of tokens and of numbers as targets."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from skdeep.encoding import (
    NumberTargets,
    SequenceTarget,
    TokenTargets,
    rows_of,
    sequence_targets,
)

NAN = np.nan


def text(*texts, level="char"):
    tokens = [t.split() if level == "word" else list(t) for t in texts]
    return SequenceTarget(rows_of(tokens), "text", level)


def lists(*tokens):
    return SequenceTarget(rows_of(list(tokens)), "lists")


def numbers(values, kind="3-D"):
    return SequenceTarget(np.array(values, dtype=float), kind)


def learned(y, weight=None):
    targets = sequence_targets(y)
    codes = targets.encode(y)
    targets.learn(codes, weight)
    return targets, codes


@pytest.mark.parametrize("index", [[1], np.array([1]), slice(1, 2), [False, True]])
def test_rows_of_equal_length_are_objects(index):
    y = lists([1, 2], [3, 4])
    assert len(y) == 2
    assert y.values.shape == (2,)
    assert y[index].values.tolist() == [[3, 4]]
    assert y[index].kind == "lists"


# -- tokens ----------------------------------------------------------------------------


def test_tokens_as_a_tensor():
    targets, codes = learned(text("ab", "b"))
    ids = targets.as_tensor(codes, "codes", torch.float32)
    assert ids.tolist() == [[4, 3, 2], [3, 2, -1]]
    assert ids.dtype == torch.int64
    assert (targets.longest_, targets.mean_length_) == (2, 2.5)


def test_a_weight_counts_as_repetition():
    y = text("ab", "b")
    targets = sequence_targets(y)
    targets.learn(targets.encode(y), np.array([1.0, 3.0]))
    repeated, _ = learned(text("ab", "b", "b", "b"))
    assert targets.mean_length_ == repeated.mean_length_


def test_validation_rows_may_hold_unknown_tokens():
    targets, _ = learned(text("a"))
    codes = targets.encode(text("xa", ""))
    assert targets.as_tensor(codes, "codes", None).tolist() == [[1, 3, 2], [2, -1, -1]]


@pytest.mark.parametrize("given", [torch.tensor, np.array])
def test_predictions_are_of_the_kind_of_the_target(given):
    ids = given([[3, 2, 3], [2, 0, 0]])
    targets, _ = learned(text("a b", "a", level="word"))
    found = targets.decode(ids)
    assert found.dtype == object
    assert found.tolist() == ["a", ""]
    targets, _ = learned(lists([7, 7], [8]))
    found = targets.decode(ids)
    assert found.dtype == object
    assert found.tolist() == [[7], []]
    assert type(found[0][0]) is int


def test_words_are_joined_by_spaces():
    targets, codes = learned(text("b a", level="word"))
    ids = targets.as_tensor(codes, "codes", None)
    assert targets.decode(ids).tolist() == ["b a"]


def test_score_is_the_share_of_right_sequences():
    targets, codes = learned(text("ab", "b", "c", ""))
    ids = targets.as_tensor(codes, "codes", None)
    assert targets.score(ids, codes, None) == 1
    ids[0, 0] = ids[1, 0]
    assert targets.score(ids, codes, None) == 0.75
    assert targets.score(ids, codes, np.array([3.0, 1, 1, 1])) == 0.5
    assert targets.score([["a", "b"], [], ["c"], []], codes, None) == 0.75
    assert targets.targets_vary(codes)


def test_unknown_tokens_are_never_right():
    targets, _ = learned(text("a"))
    codes = targets.encode(text("xa"))
    assert targets.score(targets.as_tensor(codes, "codes", None), codes, None) == 0


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (lists(["a"]), "y must hold strings, as in fit, got lists of tokens"),
        (numbers([[[1]]], "1-D"), r"y must hold strings, as in fit, got numbers \(1-D"),
    ],
)
def test_tokens_of_another_kind(later, message):
    targets, _ = learned(text("a"))
    with pytest.raises(ValueError, match=message):
        targets.encode(later)


# -- numbers ---------------------------------------------------------------------------


def test_numbers_are_standardized_by_feature():
    values = np.random.RandomState(0).normal([1e6, 3], [2, 5], (30, 4, 2))
    targets, codes = learned(numbers(values))
    scaled = targets.as_tensor(codes, "values", torch.float64).numpy()
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-7)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, rtol=1e-7)
    np.testing.assert_allclose(targets.decode(scaled), values)
    assert (targets.n_steps, targets.longest_, targets.mean_length_) == (4, 4, 4)
    assert not targets.lengths_differ


def test_padding_does_not_count():
    values = [[[1.0], [3.0], [NAN]], [[5.0], [NAN], [NAN]]]
    targets, codes = learned(numbers(values, "list of 1-D"))
    assert (targets.longest_, targets.mean_length_) == (2, 1.5)
    assert targets.lengths_differ
    tensor = targets.as_tensor(codes, "values", torch.float32)
    sd = np.std([1, 3, 5])
    expected = [[[-2 / sd], [0]], [[2 / sd], [NAN]]]
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6)


def test_weights_of_numbers():
    weighted = sequence_targets(numbers([[[1.0], [2.0]], [[4.0], [NAN]]]))
    weighted.learn(np.array([[[1.0], [2.0]], [[4.0], [NAN]]]), np.array([1.0, 2.0]))
    repeated, _ = learned(numbers([[[1.0], [2.0]], [[4.0], [NAN]], [[4.0], [NAN]]]))
    np.testing.assert_allclose(weighted.scale.mean, repeated.scale.mean)
    np.testing.assert_allclose(weighted.scale.spread, repeated.scale.spread)
    assert weighted.mean_length_ == repeated.mean_length_


@pytest.mark.parametrize(
    ("kind", "n_features", "shape"),
    [("1-D", 1, (5,)), ("2-D", 1, (5, 3)), ("3-D", 2, (5, 3, 2))],
)
def test_numbers_have_the_axes_of_the_target(kind, n_features, shape):
    targets = NumberTargets(kind, n_features, 1 if kind == "1-D" else 3)
    n_steps = 1 if kind == "1-D" else 3
    values = torch.zeros(5, n_steps, n_features)
    assert targets.decode(values).shape == shape
    assert targets.decode(values, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "n_features", "shapes"),
    [("list of 1-D", 1, [(2,), (0,)]), ("list of 2-D", 2, [(2, 2), (0, 2)])],
)
def test_lists_are_cut_to_their_lengths(kind, n_features, shapes):
    targets = NumberTargets(kind, n_features, None)
    values = np.zeros((2, 3, n_features))
    for lengths in ([2, 0], torch.tensor([2, 0])):
        found = targets.decode(values, lengths)
        assert [a.shape for a in found] == shapes
    assert [len(a) for a in targets.decode(values)] == [3, 3]


def test_score_is_r2_over_the_steps():
    rng = np.random.RandomState(0)
    values = rng.normal(size=(6, 3, 2))
    values[1, 2], values[4, 1:] = NAN, NAN
    targets, codes = learned(numbers(values, "list of 2-D"))
    predicted = rng.normal(size=(6, 4, 2))  # one step more than any target
    weight = rng.uniform(1, 2, 6)
    is_step = ~np.isnan(values[..., 0])
    by_step = np.broadcast_to(weight[:, None], is_step.shape)[is_step]
    restored = targets.restored(predicted)[:, :3][is_step]
    expected = r2_score(values[is_step], restored, sample_weight=by_step)
    found = targets.score(torch.from_numpy(predicted), codes, weight)
    assert found == pytest.approx(expected)
    expected = r2_score(values[is_step], restored)
    assert targets.score(predicted, codes, None) == pytest.approx(expected)


@pytest.mark.parametrize(("last", "varies"), [(1.0, False), (2.0, True)])
def test_whether_targets_vary(last, varies):
    codes = np.array([[[1.0], [1.0]], [[last], [NAN]]])
    assert NumberTargets("list of 1-D", 1, None).targets_vary(codes) is varies


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (text("a"), "y must hold numbers, as in fit, got strings"),
        (numbers([[[1, 2]]]), "y must have 1 values for each step, as in fit, got 2"),
        (
            numbers([[[1], [2]], [[1], [NAN]]], "list of 1-D"),
            "y must have 2 steps in every sequence, as in fit; sequence 1 has 1",
        ),
    ],
)
def test_numbers_of_another_shape(later, message):
    targets, _ = learned(numbers([[[1], [2]]], "2-D"))
    with pytest.raises(ValueError, match=message):
        targets.encode(later)


def test_lists_of_equal_length_may_follow():
    """A fold of sequences of different lengths may hold only equal ones."""
    targets, _ = learned(numbers([[[1], [2]], [[1], [NAN]]], "list of 1-D"))
    assert targets.encode(numbers([[[1], [2], [3]]], "2-D")).shape == (1, 3, 1)


@pytest.mark.parametrize("y", [text("ab", "c"), numbers([[[1]], [[2]]], "1-D")])
def test_targets_can_be_pickled(y):
    targets, codes = learned(y)
    restored = pickle.loads(pickle.dumps(targets))
    a, b = (t.as_tensor(codes, "", torch.float32) for t in (targets, restored))
    assert torch.equal(a, b)
    assert isinstance(restored, (TokenTargets, NumberTargets))
