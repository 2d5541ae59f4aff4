"""Explanations of arrays and frames of every kind."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import (
    LinearRegression,
)

from tests.inspection.table_data import (
    COEFFICIENTS,
    FRAME,
    LINEAR,
    SD,
    N,
    X,
    assert_same,
    explain,
)

# Warnings are tested in test_lime_fidelity.py.
pytestmark = pytest.mark.filterwarnings("ignore:The local models of:UserWarning")


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change",
    [
        read_only,
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1][::-1],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: X.astype(">f8"),
    ],
    ids=[
        "read-only",
        "Fortran",
        "strided",
        "negative strides",
        "list",
        "object",
        ">f8",
    ],
)
def test_memory_layouts_of_arrays(change):
    expected = explain(LINEAR, X[:2], background=X)
    assert_same(explain(LINEAR, change(X[:2]), background=change(X)), expected)


def test_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same(
        explain(LINEAR, mapped[:2], background=mapped),
        explain(LINEAR, X[:2], background=X),
    )


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame])
def test_frames_match_arrays(made):
    names = {"columns" if made is pd.DataFrame else "schema": list("abcd")}
    frame = made(X, **names)
    model = LinearRegression().fit(frame, X @ COEFFICIENTS + 7)
    explanation = explain(model, frame[:2], background=frame)
    assert explanation.unit_names_ == list("abcd")
    expected = explain(LINEAR, X[:2], background=X, feature_names=list("abcd"))
    assert_same(explanation, expected)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_input_is_not_modified(regressor, kind):
    given = FRAME if kind == "frame" else X
    before = given.copy()
    model = regressor(lambda X: np.asarray(X)[:, 0].astype(float))
    explain(model, given[:3], background=given)
    explain(model, given[:20])
    if kind == "frame":
        pd.testing.assert_frame_equal(given, before)
    else:
        np.testing.assert_array_equal(given, before)


DTYPES = ["int8", "uint8", "int64", "float16", "float32", "float64", "bool", "U3", "S3"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_keep_their_dtype(regressor, dtype):
    table = np.random.default_rng(0).integers(0, 9, size=(50, 3)).astype(dtype)
    model = regressor(lambda X: X[:, 0].astype(float))
    explain(model, table[:2], background=table)
    assert {rows.dtype for rows in model.calls_} == {np.dtype(dtype)}


def mixed_columns(n=60):
    """Return columns of all dtypes of pandas."""
    number = np.random.default_rng(0).integers(0, 50, n)
    return {
        "int64": number,
        "uint8": number.astype("uint8"),
        "float32": number.astype("float32"),
        "bool": number > 25,
        "Int64": pd.array([1, 2, None] * (n // 3), dtype="Int64"),
        "Float64": pd.array([1.5, 2, None] * (n // 3), dtype="Float64"),
        "boolean": pd.array([True, False, None] * (n // 3), dtype="boolean"),
        "string": pd.array(["a", "b", None] * (n // 3), dtype="string"),
        "str": ["a", "b", None] * (n // 3),
        "category": pd.Categorical(["a", None, "b"] * (n // 3)),
        "ordered": pd.Categorical([1, 2, 3] * (n // 3), ordered=True),
        "date": pd.date_range("2020", periods=n),
        "zone": pd.date_range("2020", periods=n, tz="Europe/Berlin"),
        "length": pd.to_timedelta(range(n), "h"),
        "period": pd.period_range("2020", periods=n, freq="D"),
        "missing": np.full(n, np.nan),
        "no date": [pd.NaT] * n,
        "constant": [3] * n,
    }


@pytest.mark.parametrize("name", mixed_columns())
def test_frames_keep_their_dtypes(regressor, name):
    frame = pd.DataFrame({name: mixed_columns()[name], "x": X[:60, 0]})
    model = regressor(lambda X: X["x"])
    for row in range(3):
        explanation = explain(model, frame[row : row + 1], background=frame)
        np.testing.assert_allclose(explanation.effects_[0, 0], 0, atol=1e-6)
        value = pd.Series([explanation.values_[0, 0]], dtype=object)
        pd.testing.assert_series_equal(
            value,
            frame[name][row : row + 1].astype(object).reset_index(drop=True),
            check_names=False,
        )
    for rows in model.calls_:
        pd.testing.assert_series_equal(rows.dtypes, frame.dtypes)


@pytest.mark.parametrize("name", mixed_columns())
def test_tables_of_one_column(regressor, name):
    frame = pd.DataFrame({name: mixed_columns()[name]})
    model = regressor(lambda X: X[name].isna().to_numpy() * 2.0)
    explanation = explain(model, frame[:3], background=frame)
    assert explanation.effects_.shape == (3, 1)
    is_missing = frame[name][:3].isna()
    if 0 < frame[name].isna().sum() < len(frame):
        np.testing.assert_allclose(explanation.effects_[is_missing, 0], 2, rtol=1e-6)


def test_columns_of_the_background_in_another_order(regressor):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = regressor(lambda X: X[list("abcd")].to_numpy() @ COEFFICIENTS)
    shuffled = frame[list("dbca")].assign(more=1)
    assert_same(
        explain(model, frame[:2], background=shuffled),
        explain(model, frame[:2], background=frame),
    )


@pytest.mark.parametrize(
    "names",
    [
        [3, 1, 0, 2],
        pd.MultiIndex.from_product([["a", "b"], ["x", "y"]]),
        pd.date_range("2020", periods=4),
    ],
    ids=["integers", "levels", "dates"],
)
def test_column_names_of_any_type(regressor, names):
    frame = pd.DataFrame(X, columns=names)
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    explanation = explain(model, frame[:2], background=frame)
    assert explanation.unit_names_ == [str(name) for name in names]
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, rtol=0.01)


@pytest.mark.parametrize("has_background", [False, True])
def test_duplicate_names(regressor, has_background):
    frame = pd.DataFrame(X, columns=list("aabc"))
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    explanation = explain(model, frame, background=frame if has_background else None)
    assert len(set(explanation.unit_names_)) == 4
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, rtol=0.01)


def test_constant_column(regressor):
    table = X.copy()
    table[:, 1] = 0.1
    model = regressor(lambda X: X @ COEFFICIENTS)
    other = table[:2].copy()
    other[1, 1] = 7
    explanation = explain(model, other, background=table)
    np.testing.assert_allclose(
        explanation.effects_[:, 1], [0, -2 * (7 - 0.1)], atol=1e-6
    )


def test_missing_values_in_the_background(regressor):
    holes = X.copy()
    holes[::4, 0] = np.nan
    model = regressor(lambda X: X @ COEFFICIENTS)
    explanation = explain(model, X[1:3], background=holes)
    np.testing.assert_allclose(
        explanation.weights_[0], COEFFICIENTS * np.nanstd(holes, axis=0), rtol=0.01
    )


def test_row_of_missing_values(regressor):
    model = regressor(lambda X: np.isnan(X) @ [1.0, 2, 3, 4])
    explanation = explain(model, np.full((1, 4), np.nan), background=X)
    np.testing.assert_allclose(explanation.effects_[0], [1, 2, 3, 4], rtol=1e-6)


@pytest.mark.parametrize(
    "names", [["Mon", "Tue"], pd.Index([5, 7]), np.array(["a", "b"])]
)
@pytest.mark.parametrize("made", [np.asarray, pd.DataFrame])
def test_row_names(regressor, made, names):
    model = regressor(lambda X: np.asarray(X) @ COEFFICIENTS)
    rows, background = made(X[:2]), made(X)
    explanation = explain(model, rows, background=background, row_names=names)
    assert list(explanation.rows_) == list(names)
    assert set(explanation.to_frame()["row"]) == set(names)


def test_rows_are_named_by_their_index(regressor):
    frame = pd.DataFrame(X, pd.date_range("2024", periods=N))
    model = regressor(lambda X: X.to_numpy() @ COEFFICIENTS)
    assert list(explain(model, frame[3:5], background=frame).rows_) == list(
        frame.index[3:5]
    )
    assert list(explain(LINEAR, X[3:5], background=X).rows_) == [0, 1]


def test_background_defaults_to_X():
    assert_same(explain(LINEAR, X[:20]), explain(LINEAR, X[:20], background=X[:20]))


def test_background_of_two_rows():
    explanation = explain(LINEAR, X[:1], background=X[1:3])
    assert np.isfinite(explanation.effects_).all()
