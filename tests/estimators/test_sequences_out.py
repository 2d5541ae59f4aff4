"""What estimators that write sequences read: tokens, numbers and tables."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skdeep.encoding import Sequences, Table, TokenTable
from skdeep.estimators._sequences_out import check_documents, check_seq2seq

DTYPES = (np.float64, np.float32)
ROWS = np.random.RandomState(0).normal(size=(2, 3))
STEPS = np.random.RandomState(0).normal(size=(2, 4, 3))
NAN = np.nan


class Writer(BaseEstimator):
    def __init__(self, level="auto", dtype=None):
        self.level = level
        self.dtype = dtype


def check(X, y="no_validation", level="auto", schema=None):
    return check_seq2seq(Writer(level), X, y, dtype=DTYPES, schema=schema)


def fitted(X, level="auto"):
    return check(X, ["a"] * len(X), level).schema


# -- tokens ----------------------------------------------------------------------------

TEXTS = ["ab", "c"]
TOKENS = [["x", "yz"], ["x"]]


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
        lambda texts: pd.Series(texts, index=[7, 3]),
        lambda texts: pd.Series(texts, dtype=object),
        lambda texts: pd.Series(texts, dtype="string"),
        lambda texts: pd.Series(texts, dtype="category"),
        pd.Index,
        pd.Categorical,
        pl.Series,
        lambda texts: pl.Series(texts).cast(pl.Categorical),
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: pl.DataFrame({"text": texts}),
    ],
)
def test_containers_of_text(make):
    texts = make(TEXTS)
    table, y, schema = check(texts, texts)
    assert isinstance(table, TokenTable)
    assert table.tokens == [["a", "b"], ["c"]]
    assert y.values.tolist() == table.tokens
    assert {type(t) for tokens in table.tokens for t in tokens} == {str}
    assert (y.kind, schema.layout, schema.attributes()) == ("text", "text", {})
    assert check_documents(texts, "char") == ("text", table.tokens)


def holding_objects(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        holding_objects,
        pd.Series,
        pl.Series,
        lambda rows: [tuple(row) for row in rows],
        lambda rows: [np.array(row) for row in rows],
        lambda rows: [np.array(row, dtype=object) for row in rows],
        lambda rows: [pd.Series(row) for row in rows],
        lambda rows: [pl.Series(row) for row in rows],
    ],
)
@pytest.mark.parametrize("level", ["auto", "char", "word", "token"])
def test_containers_of_lists(make, level):
    rows = make(TOKENS)
    table, y, schema = check(rows, rows, level)
    assert table.tokens == y.values.tolist() == TOKENS
    assert {type(t) for tokens in table.tokens for t in tokens} == {str}
    assert (y.kind, schema.layout) == ("lists", "lists")
    assert check_documents(rows, level).kind == "lists"


@pytest.mark.parametrize(
    "rows",
    [
        [[5, 3], [4, 0]],
        np.array([[5, 3], [4, 0]], dtype=np.uint8),
        [np.array([5, 3]), np.array([4, 0])],
        torch.tensor([[5, 3], [4, 0]]),
        [torch.tensor([5, 3]), [4, np.int16(0)]],
        pl.Series([[5, 3], [4, 0]]),
    ],
)
def test_integers_are_tokens_if_asked(rows):
    table, y, _ = check(rows, rows, "token")
    assert table.tokens == y.values.tolist() == [[5, 3], [4, 0]]
    assert {type(t) for tokens in table.tokens for t in tokens} == {int}
    assert isinstance(check(rows, [1, 2]).table, Table)
    assert check_documents(rows, "word").rows == table.tokens


def test_strings_and_integers_may_both_be_tokens():
    assert check([["a", 1], [2]], level="token").table.tokens == [["a", 1], [2]]


@pytest.mark.parametrize("X", [ROWS, STEPS, [[0.5, 1.0], [2.0]]])
def test_floats_are_numbers_at_any_level(X):
    assert not isinstance(check(X, level="token").table, TokenTable)


def test_a_level_for_x_and_one_for_y():
    table, y, _ = check(["a b", "c"], ["d e", "f"], ("char", "word"))
    assert table.tokens == [["a", " ", "b"], ["c"]]
    assert y.values.tolist() == [["d", "e"], ["f"]]
    assert y.level == "word"


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_float_type_of_tokens(dtype):
    found = check_seq2seq(Writer(dtype=dtype), TEXTS, dtype=DTYPES)
    assert found.table.dtype == np.dtype(dtype or "float32")


@pytest.mark.parametrize("X", [["", "a"], [[], ["a"]], [[], []]])
def test_empty_sequences_in_predict(X):
    fit = TEXTS if isinstance(X[0], str) else TOKENS
    assert len(check(X, schema=fitted(fit)).table.tokens[0]) == 0
    assert check(X, X, schema=fitted(fit)).y.values[0] == []


# -- numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "layout", "n_features", "lengths"),
    [
        (STEPS, "3-D", 3, None),
        (STEPS.tolist(), "3-D", 3, None),
        (torch.from_numpy(STEPS), "3-D", 3, None),
        ([STEPS[0], STEPS[1, :2]], "3-D", 3, [4, 2]),
        ([[1.0], [2.0, 3.0]], "3-D", 1, [1, 2]),
        (np.array([[[1.0], [2.0]], [[3.0], [NAN]]]), "3-D", 1, [2, 1]),
    ],
)
def test_sequences_of_numbers(X, layout, n_features, lengths):
    table, _, schema = check(X, [1.0, 2.0])
    assert isinstance(table, Sequences)
    assert (schema.layout, schema.n_features) == (layout, n_features)
    assert lengths == (None if table.lengths is None else table.lengths.tolist())


@pytest.mark.parametrize(
    "make", [np.array, np.ndarray.tolist, torch.tensor, lambda X: X.astype(object)]
)
def test_rows_of_a_table(make):
    table, _, schema = check(make(ROWS), [1, 2])
    assert isinstance(table, Table) and not isinstance(table, Sequences)
    np.testing.assert_allclose(table.numeric, ROWS, rtol=1e-6)
    assert schema.layout == "rows"
    assert schema.attributes() == {"n_features_in_": 3}


def test_names_of_columns():
    frame = pd.DataFrame(ROWS, columns=list("abc"))
    schema = fitted(frame)
    assert schema.attributes()["feature_names_in_"].tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        check(frame[["b", "a", "c"]], schema=schema)


def test_lists_of_equal_length_after_others():
    """A fold of sequences of different lengths may hold only equal ones."""
    schema = fitted([[1.0], [2.0, 3.0]])
    assert check([[1.0, 2.0]], schema=schema).table.numeric.shape == (1, 2, 1)


@pytest.mark.parametrize(
    ("y", "kind", "shape"),
    [
        ([1, 2], "1-D", (2, 1, 1)),
        (pd.Series([1.5, 2]), "1-D", (2, 1, 1)),
        (np.array([True, False]), "1-D", (2, 1, 1)),
        ([[1.0, 2.0, 3.0]] * 2, "2-D", (2, 3, 1)),
        (pd.DataFrame({"a": [1.0, 2.0]}), "2-D", (2, 1, 1)),
        (torch.ones(2, 3), "2-D", (2, 3, 1)),
        (STEPS, "3-D", (2, 4, 3)),
        ([STEPS[0], STEPS[1]], "3-D", (2, 4, 3)),
        ([STEPS[0], STEPS[1, :1]], "list of 2-D", (2, 4, 3)),
        ([[1, 2], [3]], "list of 1-D", (2, 2, 1)),
        (holding_objects([np.ones(2), np.ones(1)]), "list of 1-D", (2, 2, 1)),
        ([torch.ones(2), torch.ones(1)], "list of 1-D", (2, 2, 1)),
    ],
)
def test_numbers_of_y(y, kind, shape):
    found = check(ROWS, y).y
    assert found.kind == kind
    assert found.values.shape == shape
    assert found.values.dtype == np.float64
    assert np.isnan(found.values).any() == kind.startswith("list")


def test_missing_y():
    with pytest.raises(ValueError, match="requires y to be passed"):
        check(ROWS, None)


# -- bad input -------------------------------------------------------------------------

DECODE = r"Decode them, for example with \.decode\('utf-8'\)"
BAD = [
    # A single text, bytes
    ("abc", ValueError, r"{} must hold several sequences, got a single str.*\[text\]"),
    (np.array("abc"), ValueError, "{} must hold several sequences"),
    (b"abc", TypeError, "{} must hold strings, got bytes. " + DECODE),
    ([b"a", b"b"], TypeError, "Row 0 of {} holds bytes. " + DECODE),
    (["a", b"b"], TypeError, "Row 1 of {} holds bytes. " + DECODE),
    (np.array([b"a", b"b"]), TypeError, "{} must hold strings, got bytes"),
    ([["a"], [b"b"]], TypeError, r"Row 1 of {} holds b'b' .*position 0. " + DECODE),
    ([np.array([b"a"]), ["b"]], TypeError, r"Row 0 of {} holds b'a'"),
    # Mixed kinds
    (["a", 5], TypeError, r"{} mixes kinds: row 1 is 5 \(int\) among strings"),
    (["a", ["b"]], TypeError, r"{} mixes kinds: row 1 is \['b'\] \(list\) among str"),
    ([["a"], "b"], TypeError, r"{} mixes kinds: row 1 is 'b' \(str\) among lists"),
    ([[1.0], "b"], TypeError, r"{} mixes kinds: row 1 is 'b' \(str\) among lists"),
    ([1, "b"], TypeError, r"{} mixes kinds: row 1 is 'b' \(str\) among numbers"),
    ([[1.0, 2.0], 3], TypeError, r"{} mixes kinds: row 1 is 3 \(int\) among lists"),
    ([["a", 1], ["b"]], TypeError, r"Row 0 of {} holds 1 \(int\).*position 1.*'token'"),
    ([["a"], [2.5]], TypeError, r"Row 1 of {} holds 2.5 \(float\) among tokens"),
    ([["a"], [True]], TypeError, r"Row 1 of {} holds True \(bool\) among tokens"),
    # Missing values
    (["a", None], ValueError, "Row 1 of {} is missing: None among strings"),
    ([NAN, "b"], ValueError, "Row 0 of {} is missing: nan among strings"),
    (["a", pd.NaT], ValueError, "Row 1 of {} is missing: NaT among strings"),
    (
        pd.Series(["a", None], dtype="string"),
        ValueError,
        "Row 1 of {} is missing: <NA>",
    ),
    (pl.Series(["a", None]), ValueError, "Row 1 of {} is missing: None among strings"),
    ([["a"], None], ValueError, "Row 1 of {} is missing: None among lists"),
    ([["a"], ["b", None]], ValueError, "Row 1 of {} holds None .*missing.*position 1"),
    # Empty sequences
    (["a", ""], ValueError, "Row 1 of {} is empty"),
    ([[], ["a"]], ValueError, "Row 0 of {} is empty"),
    ([[], []], ValueError, "Row 0 of {} is empty"),
    ([[1.0], []], ValueError, "Sequence 1 of {} has length 0"),
    # Nested too deep, arrays of strings
    ([[["a"]], [["b"]]], ValueError, r"Row 0 of {} holds \['a'\] where a token"),
    ([["a"], ["b", ["c"]]], ValueError, r"Row 1 of {} holds \['c'\] where a token"),
    (np.array([["a", "b"]] * 2), ValueError, r"{} is an array of strings of shape \(2"),
    (np.array([[1, "b"]] * 2, object), ValueError, r"{} is an array of strings"),
    # Numbers
    ([[1.0, NAN, 2.0], [1.0]], ValueError, "Input {} contains NaN"),
    ([[1.0, np.inf], [1.0]], ValueError, "Input {} contains infinity"),
    (np.array([[1.0, np.inf]] * 2), ValueError, "Input {} contains infinity"),
    (np.array([[1.0, NAN]] * 2), ValueError, "Input {} contains NaN"),
    (np.array([[1.0, None]] * 2), ValueError, "Input {} contains NaN"),
    ([[1.0, 2.0], [[1.0]]], ValueError, "sequences in a list {} must all be"),
    ([[[1.0, 2.0]], [[1.0], [2.0]]], ValueError, "Sequence 1 of {} has 1 "),
    ([[[1.0, 2.0], [3.0]], [[1.0]]], ValueError, "{} holds a sequence whose steps"),
    (np.ones((2, 2, 2, 2)), ValueError, r"{} must be .* got shape \(2, 2, 2, 2\)"),
    (np.ones((2, 0, 3)), ValueError, r"\b{}\b.* shape.* \(2, 0, 3\)"),
    (np.ones((2, 2)) * 1j, ValueError, "{} must be numeric, got complex values"),
    ([[1j], [1j, 2]], ValueError, "{} must be numeric, got complex values"),
    (pd.to_datetime(["2020-01-01"] * 2), ValueError, "{} must be numeric, got dates"),
    (sparse.csr_array(np.eye(2)), TypeError, "{} must be dense, got a sparse array"),
    (sparse.dok_array(np.eye(2)), TypeError, "{} must be dense, got a sparse array"),
    # Other objects
    ([], ValueError, r"Found array with 0 sample\(s\): {} is empty"),
    ({"a", "b"}, TypeError, "{} must be a list or an array, got set"),
    ({"a": 1}, TypeError, "{} must be a list or an array, got dict"),
    (iter(["a", "b"]), TypeError, "{} must be a list or an array, got list_iterator"),
    (pl.DataFrame({"a": ["b"]}).lazy(), TypeError, "{} is lazy"),
    ([{"a": 1}, {"b": 2}], TypeError, r"\b{}\b"),
    (5, (TypeError, ValueError), r"\b{}\b.* scalar"),
]


@pytest.mark.parametrize("argument", ["X", "y"])
@pytest.mark.parametrize(("values", "kind", "message"), BAD)
def test_bad_sequences(argument, values, kind, message):
    X, y = (values, ["a", "b"]) if argument == "X" else (["a", "b"], values)
    message = message.replace("{}", argument)
    with pytest.raises(kind, match=re.compile(message, re.DOTALL)):
        check(X, y)


@pytest.mark.parametrize("y", [[1, NAN], [1, None], pd.Series([1, None])])
def test_missing_numbers_in_y(y):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        check(ROWS, y)


@pytest.mark.parametrize("X", [TEXTS, ROWS, STEPS])
@pytest.mark.parametrize("y", [["a"], ["a"] * 3, [1.0], [[1.0], [2, 3.0], [4.0]]])
def test_length_of_y(X, y):
    match = rf"inconsistent numbers of samples: \[2, {len(y)}\]"
    with pytest.raises(ValueError, match=match):
        check(X, y)


def test_columns_of_text_in_a_table():
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    with pytest.raises(ValueError, match=r"Columns \['a'\] of X must be numeric"):
        check(frame, [1, 2])


def test_missing_numbers_in_a_table():
    X = np.array([[1, NAN], [1, 2]])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        check(X, [1, 2])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (TEXTS, "With level='token', X must hold lists of tokens, got the string 'ab'"),
        ([1, 2], "Each row of X must be a list of tokens, got 1. Set the level of X"),
        (np.array([1, 2]), "Each row of X must be a list of tokens, got 1"),
    ],
)
def test_no_lists_where_they_are_asked_for(X, message):
    with pytest.raises(ValueError, match=message):
        check(X, level="token")


NAMES = {"strings": TEXTS, "lists of tokens": TOKENS, "numbers": ROWS}
IN_WORDS = {"numbers": r"an array of shape \(2, 3\) \(float64\)"}


@pytest.mark.parametrize("before", NAMES)
@pytest.mark.parametrize("now", NAMES)
def test_another_kind_of_x_than_in_fit(before, now):
    schema = fitted(NAMES[before])
    if before == now:
        assert check(NAMES[now], schema=schema).schema is schema
        return
    found = IN_WORDS.get(now, now)
    match = f"X must hold {before}, as in the fit of Writer, got {found}"
    with pytest.raises(ValueError, match=match):
        check(NAMES[now], schema=schema)


@pytest.mark.parametrize(
    ("X", "later", "message"),
    [
        (ROWS, ROWS[:, :2], "X has 2 features, but Writer is expecting 3 features"),
        (ROWS, STEPS, "Found array with dim 3"),
        (STEPS, STEPS[..., :2], "X has 2 features, but Writer is expecting 3 features"),
        (STEPS, ROWS, "X has 1 features, but Writer is expecting 3 features"),
    ],
)
def test_another_shape_of_x_than_in_fit(X, later, message):
    with pytest.raises(ValueError, match=message):
        check(later, schema=fitted(X))


# -- probable mistakes -----------------------------------------------------------------

IDS = [list(range(i + 1, i + 9)) for i in range(20)] + [[1, 2]]


@pytest.mark.parametrize("argument", ["X", "y"])
@pytest.mark.parametrize("ids", [IDS, np.array(IDS[:20])])
def test_warning_of_token_ids(argument, ids):
    other = np.random.RandomState(0).normal(size=(len(ids), 2))
    X, y = (ids, other) if argument == "X" else (other, ids)
    with pytest.warns(UserWarning, match=f"{argument} looks like token ids"):
        schema = check(X, y).schema
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(X, y, schema=schema)
        check(X, y, "token")
        floats = [np.array(row, dtype=float) for row in ids]
        check(*((floats, y) if argument == "X" else (X, floats)))


@pytest.mark.parametrize("y", [np.arange(30), np.arange(30) % 3])
def test_no_warning_of_one_number_a_row(y):
    check(np.random.RandomState(0).normal(size=(30, 2)), y)


# -- documents -------------------------------------------------------------------------


def test_documents():
    assert check_documents("ab", "char").rows == [["a", "b"]]
    assert check_documents("a b.", "word").rows == [["a", "b", "."]]
    assert check_documents(["a", ""], "char").rows == [["a"], []]
    assert check_documents(TOKENS, "token").rows == TOKENS
    assert check_documents([[60, 62], [60]], "token").rows == [[60, 62], [60]]
    assert check_documents("ab", "char").kind == "text"


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        (["a", ""], ValueError, "Row 1 of prompt is empty"),
        ("", ValueError, "Row 0 of prompt is empty"),
        (b"a", TypeError, "prompt must hold strings, got bytes"),
        (["a", None], ValueError, "Row 1 of prompt is missing"),
        ([[1.5]], TypeError, "prompt must hold documents.* got list"),
        ([[[1]]], TypeError, "prompt must hold documents"),
        (ROWS, TypeError, r"prompt must hold documents.*shape \(2, 3\) \(float64\)"),
        (5, TypeError, "prompt must hold documents.* got int"),
        ([1, 2], ValueError, r"Each row of prompt must be a list.* Pass \[tokens\]"),
        ([], ValueError, "prompt is empty"),
    ],
)
def test_bad_documents(X, kind, message):
    with pytest.raises(kind, match=message):
        check_documents(X, "char", "prompt", allow_empty=False)


def test_text_where_tokens_are_asked_for():
    with pytest.raises(ValueError, match="With level='token', X must hold lists"):
        check_documents("abc", "token")
