"""Tables are restored in the format in which they came."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skdeep.encoding import TableFormat

JOBS = pd.Categorical(["b", "a", "b"], categories=["b", "a", "c"], ordered=True)
PANDAS = pd.DataFrame(
    {
        "float": [0.5, 1.5, 2.5],
        "job": JOBS,
        "int8": np.array([1, 2, 127], dtype=np.int8),
        "bool": [True, False, True],
        "Int64": pd.array([1, None, 3], dtype="Int64"),
        "boolean": pd.array([True, None, False], dtype="boolean"),
        "Float32": pd.array([1.5, 2.5, None], dtype="Float32"),
        "year": pd.Categorical([2020, 2021, 2020]),
    }
)
POLARS = pl.DataFrame(
    {
        "float": pl.Series([0.5, 1.5, 2.5], dtype=pl.Float32),
        "job": pl.Series(["b", "a", "b"], dtype=pl.Enum(["b", "a", "c"])),
        "int8": pl.Series([1, 2, 127], dtype=pl.Int8),
        "bool": [True, False, True],
        "plain": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
    }
)


def objects(*columns):
    return [np.array(column, dtype=object) for column in columns]


def test_frames_of_pandas():
    numbers = np.array(
        [
            [0.5, 1.2, 0.7, 1.4, 0.9, 1.5],
            [1.5, 1.9, 0.1, 2.0, 0.4, 2.5],
            [2.5, 300.0, 0.6, 2.6, 0.0, 3.5],
        ]
    )
    categories = objects(["b", "a", "b"], [2020, 2021, 2020])
    layout = TableFormat.of(PANDAS, 8, [1, 7])
    index = pd.Index([7, 8, 9])
    found = layout.restore(numbers, categories, index)
    expected = PANDAS.set_axis(index, axis=0).assign(
        Int64=pd.array([1, 2, 3], dtype="Int64"),
        boolean=pd.array([True, False, False], dtype="boolean"),
        Float32=pd.array([1.5, 2.5, 3.5], dtype="Float32"),
    )
    pd.testing.assert_frame_equal(found, expected)
    assert layout.restore(numbers, categories).index.tolist() == [0, 1, 2]


def test_frames_of_polars():
    numbers = np.array([[0.5, 1.2, 0.7], [1.5, 1.9, 0.1], [2.5, 300.0, 0.6]])
    layout = TableFormat.of(POLARS, 5, [1, 4])
    found = layout.restore(numbers, objects(["b", "a", "b"], ["x", "y", "x"]))
    assert found.equals(POLARS)
    assert found.schema == POLARS.schema


@pytest.mark.parametrize("dtype", ["u1", "i8", "u8", "?", "f4", "f8", "O"])
def test_arrays_of_numbers(dtype):
    given = np.array([[0, 1], [1, 0]]).astype(dtype)
    layout = TableFormat.of(given, 2, [])
    found = layout.restore(np.array([[-0.3, 1e30], [0.6, 0.2]]), [])
    if dtype in ("f4", "f8", "O"):
        np.testing.assert_array_equal(found, [[-0.3, 1e30], [0.6, 0.2]])
        return
    assert found.dtype == given.dtype
    np.testing.assert_array_equal(found[:, 0], [0, 1])
    largest = 1 if dtype == "?" else np.iinfo(dtype).max
    assert found[0, 1] >= 0.99 * largest


def test_arrays_with_categories():
    given = np.array([[1.0, "a"], [2.0, "b"]], dtype=object)
    found = TableFormat.of(given, 2, [1]).restore(np.eye(2, 1), objects(["b", None]))
    assert found.tolist() == [[1.0, "b"], [0.0, None]]
    codes = np.array([[1, 5], [2, 6]])
    found = TableFormat.of(codes, 2, [1]).restore(np.eye(2, 1), objects([6.0, 5.0]))
    assert found.tolist() == [[1, 6], [0, 5]]
    assert found.dtype == codes.dtype


def test_columns_without_values_stay_missing():
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([None, None], dtype="Int64")})
    found = TableFormat.of(frame, 2, []).restore(np.array([[1.0, np.nan]] * 2), [])
    assert found["b"].isna().all()
    assert found["b"].dtype == "Int64"
