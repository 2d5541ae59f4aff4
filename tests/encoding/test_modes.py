"""Tables are encoded as modes and choices, and restored."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from skdeep.encoding import (
    ModeEncoder,
    Table,
    TableFormat,
    find_categorical,
    split_columns,
)

CPU = torch.device("cpu")


def as_table(X):
    """Return the checked columns of a table, and its format."""
    categorical = find_categorical("from_dtype", X, X.shape[1])
    if not categorical:
        numeric, categories = np.asarray(X, dtype=np.float64), None
    else:
        numeric, categories = split_columns(X, categorical)
        numeric = np.asarray(numeric, dtype=np.float64)
    return Table(numeric, categories), TableFormat.of(X, X.shape[1], categorical)


def fitted(X, seed=0):
    """Return a fitted encoder, and encoded values and codes."""
    table, layout = as_table(X)
    encoder = ModeEncoder(layout, seed).fit(table)
    values, codes = encoder.encode(table, torch.float64, CPU).tensors
    return encoder, values.numpy(), codes.numpy()


def restored(X):
    encoder, values, _ = fitted(X)
    return encoder.restore(values, np.float64)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 1000
    amount = np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(5, 1, n).round(2))
    age = rng.integers(17, 90, n)
    job = pd.Categorical(rng.choice(["a", "b", "c"], n, p=[0.7, 0.29, 0.01]))
    pay = np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 9, n))
    return pd.DataFrame(
        {
            "age": age.astype(np.int16),
            "job": job,
            "amount": amount,
            "rooms": rng.integers(1, 6, n),
            "owner": rng.random(n) < 0.3,
            "pay": pay,
            "kind": pd.Categorical(rng.choice(["x", "y", None], n)),
        }
    )


def test_encoded_rows(frame):
    encoder, values, codes = fitted(frame)
    assert values.shape == (1000, encoder.n_values_)
    assert codes.shape == (1000, len(encoder.counts_))
    assert values.shape[1] == encoder.n_inputs_ == sum(k for _, k in encoder.blocks_)
    start = 0
    for kind, size in encoder.blocks_:
        block = values[:, start : start + size]
        if kind == "number":
            assert np.abs(block).max() <= 1 and block.std() > 0.05
        else:
            np.testing.assert_array_equal(block.sum(1), 1)
            assert np.isin(block, (0, 1)).all()
        start += size
    for (start, size), column, counts in zip(
        encoder.choices_, codes.T, encoder.counts_, strict=True
    ):
        np.testing.assert_array_equal(values[:, start : start + size].argmax(1), column)
        np.testing.assert_array_equal(np.bincount(column, minlength=size), counts)


def test_restored_rows_equal_the_encoded_ones(frame):
    found = restored(frame)
    pd.testing.assert_frame_equal(found, frame, atol=1e-4)
    for name in ("age", "amount", "job", "kind"):
        assert (found[name].isna() | (found[name] == frame[name])).all()


def test_restored_arrays_and_other_frames(frame):
    numbers = frame[["age", "amount", "rooms"]]
    np.testing.assert_allclose(restored(numbers.to_numpy()), numbers, atol=1e-6)
    whole = numbers[["age", "rooms"]].to_numpy()
    assert restored(whole).dtype == whole.dtype
    np.testing.assert_array_equal(restored(whole), whole)
    pl = pytest.importorskip("polars")
    polars = pl.DataFrame(
        {"age": frame["age"].to_numpy(), "job": list(frame["job"])},
        schema_overrides={"job": pl.Enum(["a", "b", "c"])},
    )
    assert restored(polars).equals(polars)


def test_codes_are_drawn_by_the_seed_alone():
    X = np.random.default_rng(0).exponential(size=(500, 1)) ** 2
    (_, values, codes), again, other = fitted(X), fitted(X), fitted(X, seed=1)
    np.testing.assert_array_equal(values, again[1])
    assert (codes != other[2]).any()


def test_modes_of_a_mixture():
    rng = np.random.default_rng(0)
    side = rng.random(20_000) < 0.3
    x = np.where(side, rng.normal(-5, 0.5, side.size), rng.normal(3, 1.0, side.size))
    encoder, values, codes = fitted(x[:, None])
    assert encoder.blocks_ == [("choice", 2), ("number", 1)]
    np.testing.assert_array_equal(codes[:, 0], ~side)
    # Four standard deviations are 1.
    for code, spread in ((0, 0.5), (1, 1.0)):
        number = values[codes[:, 0] == code, 2]
        assert abs(number.mean()) < 0.01
        assert number.std() == pytest.approx(0.25, rel=0.03), spread


def test_one_gaussian_needs_no_choice():
    x = norm.ppf(np.linspace(0.001, 0.999, 5000))
    encoder, values, codes = fitted(x[:, None] * 1e6 + 1e8)
    assert encoder.blocks_ == [("number", 1)]
    assert encoder.network_sizes() == {"blocks": [["number", 1]], "scaled": [None]}
    assert codes.shape == (5000, 0)
    np.testing.assert_allclose(values[:, 0] * 4, x, atol=0.04)


def test_repeated_numbers_and_gaps_are_modes_without_a_number(frame):
    encoder, values, codes = fitted(frame[["amount"]])
    sizes = encoder.network_sizes()
    (choice, shares) = sizes["scaled"][0]
    assert choice == 0 and len(shares) == len(encoder.counts_[0])
    assert shares[-1] == 0  # zero amounts
    zero = frame["amount"].to_numpy() == 0
    np.testing.assert_array_equal(codes[:, 0] == len(shares) - 1, zero)
    assert not values[zero, -1].any()
    encoder, values, codes = fitted(frame[["pay"]])
    np.testing.assert_array_equal(
        codes[:, 0] == len(encoder.counts_[0]) - 1, frame["pay"].isna()
    )


def test_any_generated_row_is_restored_within_the_training_range(frame):
    encoder, values, _ = fitted(frame)
    rng = np.random.default_rng(0)
    found = encoder.restore(rng.uniform(-1, 1, values.shape), np.float64)
    assert (found.dtypes == frame.dtypes).all()
    for name in ("age", "amount", "rooms", "pay"):
        assert found[name].min() >= frame[name].min()
        assert found[name].max() <= frame[name].max()
    assert set(found["age"]) <= set(frame["age"])
    assert (found["amount"].round(2) == found["amount"]).all()
    assert found["pay"].isna().any() and found["kind"].isna().any()
    assert not found["amount"].isna().any()
    pd.testing.assert_index_equal(
        encoder.restore(values[:2], np.float64, pd.Index([5, 7])).index,
        pd.Index([5, 7]),
    )


CONSTANT = pd.DataFrame(
    {
        "one": [3, 3, 3],
        "none": [np.nan] * 3,
        "flag": [True] * 3,
        "word": pd.Categorical(["a"] * 3, categories=["a", "b"]),
        "empty": pd.Categorical([None] * 3, categories=["a"]),
    }
)


@pytest.mark.parametrize("n", [1, 3])
def test_constant_and_empty_columns(n):
    encoder, values, codes = fitted(CONSTANT[:n])
    assert values.shape == (n, 0) and codes.shape == (n, 0)
    assert encoder.blocks_ == [] and encoder.choices_ == []
    pd.testing.assert_frame_equal(encoder.restore(values, np.float64), CONSTANT[:n])


def test_constants_with_gaps():
    X = pd.DataFrame(
        {"n": [1.5, np.nan, 1.5], "c": pd.Categorical(["a", None, "a"])},
    )
    encoder, _, codes = fitted(X)
    assert encoder.blocks_ == [("choice", 2)] * 2
    np.testing.assert_array_equal(codes, [[0, 0], [1, 1], [0, 0]])
    pd.testing.assert_frame_equal(restored(X), X)


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e15, 1e300])
def test_extreme_units(scale):
    X = np.random.default_rng(0).normal(size=(60, 2)) * scale
    X[:5, 1] = 0
    with np.errstate(all="raise", under="ignore"):
        found = restored(X)
    # Values far out are at the edge of their mode.
    np.testing.assert_allclose(found, X, atol=1e-5 * scale)


def test_few_rows_of_distinct_numbers_are_not_choices():
    encoder, values, _ = fitted(np.random.default_rng(0).normal(size=(15, 1)))
    assert ("number", 1) in encoder.blocks_
    found = encoder.restore(values * 0.9, np.float64)
    assert len(np.unique(found)) == 15


def test_many_categories_share_a_code():
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(600)], dtype=object)
    column = np.append(words, rng.choice(words[:50], 5000))
    X = pd.DataFrame({"word": pd.Categorical(column)})
    encoder, values, codes = fitted(X)
    assert len(encoder.counts_[0]) == 251
    found = encoder.restore(values, np.float64)["word"]
    shared = codes[:, 0] == 250
    assert (found[~shared] == column[~shared]).all()
    assert shared.sum() == 350
    assert not set(found[shared]) & set(words[:50])
    assert found[shared].nunique() > 150
    other = encoder.restore(values, np.float64, rng=rng)["word"]
    assert (other[shared] != found[shared]).any()


def test_later_rows_with_unseen_values(frame):
    table, layout = as_table(frame)
    encoder = ModeEncoder(layout, 0).fit(table)
    later = frame[:400].assign(
        job=pd.Categorical(["new"] * 400), rooms=9, age=20_000, amount=np.nan
    )
    rows = encoder.encode(as_table(later)[0], torch.float32, CPU)
    values, codes = rows.tensors
    assert values.dtype == torch.float32 and codes.dtype == torch.int64
    found = encoder.restore(values.numpy(), np.float32)
    assert (found["rooms"] == 5).all()  # the nearest
    assert (found["age"] > 80).all()
    shares = found["job"].value_counts(normalize=True)
    assert shares["a"] == pytest.approx(0.7, abs=0.1)
    assert 0.5 < (found["amount"] == 0).mean() < 0.9
    assert not found["amount"].isna().any()
