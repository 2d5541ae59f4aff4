"""Odd values: common mistakes, and valid values that are rarely used.

Each table maps a name, which a report shows, to a function of a valid value. Values are
tiny, or too large for any machine: nothing in between, which could fill the memory.
"""

import datetime
import functools
import io
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

HUGE = 2**40  # 8 TB of floats: more than any memory


class ArrayLike:
    """An object that numpy converts by ``__array__``."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(dtype or self.array.dtype)


class TooLarge:
    """An array too large for the memory."""

    shape = (12, 3)
    ndim = 2

    def __len__(self):
        return 12

    def __array__(self, dtype=None, copy=None):
        raise MemoryError("no memory")


def frame(x, **options):
    """Return a data frame of 2-D values with columns named by text."""
    x = np.asarray(x)
    names = [f"c{i}" for i in range(x.shape[1])]
    return pd.DataFrame(x, **{"columns": names, **options})


def with_values(x, *values, everywhere=False):
    """Return a copy of an array of floats with some cells replaced."""
    changed = np.array(x, dtype=float)
    if changed.size:
        changed.flat[: changed.size if everywhere else len(values)] = (
            values[0] if everywhere else values
        )
    return changed


def objects(x, *values):
    """Return an array of objects with some cells replaced."""
    changed = np.asarray(x).astype(object)
    changed.flat[: min(len(values), changed.size)] = values[: changed.size]
    return changed


def structured(x):
    x = np.asarray(x, dtype=float)
    flat = x.reshape(len(x), -1)
    kind = [(f"f{i}", float) for i in range(flat.shape[1])]
    return np.array([tuple(row) for row in flat], dtype=kind)


def spaced(x):
    x = np.asarray(x)
    wide = np.repeat(x, 2, axis=-1)
    return wide[..., ::2]


def read_only(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


def dates(x):
    return np.asarray(x).astype(np.int64).astype("M8[D]")


def tensor(x, dtype):
    return torch.from_numpy(np.array(x, dtype=float)).to(dtype)


def ragged(x):
    rows = np.asarray(x).tolist()
    return [rows[0][:1] if isinstance(rows[0], list) else [rows[0]], *rows[1:]]


# Arrays with any number of axes.
ARRAYS = {
    "list": lambda x: np.asarray(x).tolist(),
    "tuple": lambda x: tuple(np.asarray(x).tolist()),
    "list of arrays": lambda x: list(np.asarray(x)),
    "array-like": lambda x: ArrayLike(np.asarray(x)),
    "no memory": lambda x: TooLarge(),
    "float16": lambda x: np.asarray(x).astype(np.float16),
    "float32": lambda x: np.asarray(x).astype(np.float32),
    "longdouble": lambda x: np.asarray(x).astype(np.longdouble),
    "int8": lambda x: np.asarray(x).astype(np.int8),
    "large uint64": lambda x: np.full(np.shape(x), 2**64 - 1, dtype=np.uint64),
    "bool": lambda x: np.asarray(x) > 0,
    "complex": lambda x: np.asarray(x) + 1j,
    "complex64": lambda x: np.asarray(x).astype(np.complex64),
    "complex object": lambda x: objects(x, 1j),
    "text": lambda x: np.full(np.shape(x), "a"),
    "text of numbers": lambda x: np.asarray(x).astype(str),
    "bytes": lambda x: np.full(np.shape(x), b"a"),
    "object": objects,
    "object with None": lambda x: objects(x, None),
    "object with text": lambda x: objects(x, "a"),
    "object with NA": lambda x: objects(x, pd.NA),
    "object with a dict": lambda x: objects(x, {}),
    "object with huge int": lambda x: objects(x, 10**400),
    "decimal": lambda x: objects(x, Decimal("0.1"), Fraction(1, 3)),
    "dates": dates,
    "NaT": lambda x: np.full(np.shape(x), "NaT", dtype="M8[s]"),
    "timedelta": lambda x: dates(x) - np.datetime64("2020-01-01"),
    "datetime objects": lambda x: objects(x, datetime.date(2020, 1, 1)),
    "masked": lambda x: np.ma.masked_greater(np.asarray(x), 0),
    "structured": structured,
    "big-endian": lambda x: np.asarray(x).astype(">f8"),
    "read-only": read_only,
    "Fortran order": lambda x: np.asfortranarray(x),
    "negative strides": lambda x: np.asarray(x)[::-1],
    "reversed columns": lambda x: np.asarray(x)[..., ::-1],
    "spaced": spaced,
    "float64 tensor": lambda x: tensor(x, torch.float64),
    "float32 tensor": lambda x: tensor(x, torch.float32),
    "bfloat16 tensor": lambda x: tensor(x, torch.bfloat16),
    "float16 tensor": lambda x: tensor(x, torch.float16),
    "int64 tensor": lambda x: tensor(x, torch.int64),
    "bool tensor": lambda x: tensor(x, torch.bool),
    "complex tensor": lambda x: tensor(x, torch.complex64),
    "tensor with grad": lambda x: tensor(x, torch.float32).requires_grad_(),
    "sparse tensor": lambda x: tensor(x, torch.float32).to_sparse(),
    "meta tensor": lambda x: tensor(x, torch.float32).to("meta"),
    "conjugated tensor": lambda x: tensor(x, torch.complex64).conj(),
    "no rows": lambda x: np.asarray(x)[:0],
    "no columns": lambda x: np.asarray(x)[..., :0],
    "one row": lambda x: np.asarray(x)[:1],
    "two rows": lambda x: np.asarray(x)[:2],
    "one row fewer": lambda x: np.asarray(x)[:-1],
    "one column": lambda x: np.asarray(x)[..., :1],
    "flat": lambda x: np.asarray(x).ravel(),
    "an axis more": lambda x: np.asarray(x)[..., np.newaxis],
    "two axes more": lambda x: np.asarray(x)[..., np.newaxis, np.newaxis],
    "scalar": lambda x: 1.0,
    "0-D array": lambda x: np.array(1.0),
    "None": lambda x: None,
    "a string": lambda x: "abc",
    "dict": lambda x: {"a": 1},
    "empty dict": lambda x: {},
    "empty list": lambda x: [],
    "empty rows": lambda x: [[] for _ in range(12)],
    "set": lambda x: {1.0, 2.0},
    "generator": lambda x: (row for row in np.asarray(x)),
    "object()": lambda x: object(),
    "class": lambda x: np.ndarray,
    "ragged": ragged,
    "NaN": lambda x: with_values(x, np.nan),
    "all NaN": lambda x: with_values(x, np.nan, everywhere=True),
    "inf": lambda x: with_values(x, np.inf),
    "-inf": lambda x: with_values(x, -np.inf),
    "1e38": lambda x: with_values(x, 1e38, -3e38),
    "1e154": lambda x: with_values(x, 1e154),
    "1e308": lambda x: with_values(x, 1e308, -1.7e308),
    "all 1e308": lambda x: with_values(x, 1e308, everywhere=True),
    "float32 of 3e38": lambda x: np.full(np.shape(x), 3e38, dtype=np.float32),
    "denormal": lambda x: np.asarray(x) * 1e-320,
    "constant": lambda x: with_values(x, 1.0, everywhere=True),
    "zeros": lambda x: with_values(x, 0.0, everywhere=True),
    "negative": lambda x: -np.abs(np.asarray(x)) - 1,
    "halves": lambda x: np.asarray(x) + 0.5,
    "shuffled": lambda x: np.random.default_rng(0).permutation(np.asarray(x)),
}


def sparse_of(format):
    """Return a function that makes sparse arrays (or matrices) in a format."""
    kind, format = format.rsplit("_", 1)
    make = getattr(sparse, f"{kind}_{format}")
    return lambda x: make(np.asarray(x))


SPARSE = {
    name: sparse_of(name)
    for name in (
        *(f"{k}_array" for k in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")),
        *(f"{k}_matrix" for k in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")),
    )
}
SPARSE |= {
    "sparse with NaN": lambda x: sparse.csr_array(with_values(x, np.nan)),
    "sparse with inf": lambda x: sparse.csr_array(with_values(x, np.inf)),
    "sparse complex": lambda x: sparse.csr_array(np.asarray(x) + 1j),
    "sparse float16": lambda x: sparse.coo_array(np.asarray(x).astype(np.float32)),
    "sparse int": lambda x: sparse.csr_array(np.asarray(x).astype(np.int64)),
    "sparse bool": lambda x: sparse.csr_array(np.asarray(x) > 0),
    "sparse of no rows": lambda x: sparse.csr_array(np.asarray(x)[:0]),
}


def changed(x, column, values):
    """Return a frame with other values in one column."""
    table = frame(x)
    table[table.columns[column]] = values(len(table))
    return table


def several_levels(x):
    names = pd.MultiIndex.from_product(
        [["a"], [f"c{i}" for i in range(np.shape(x)[1])]]
    )
    return pd.DataFrame(np.asarray(x), columns=names)


def several_row_levels(x):
    rows = pd.MultiIndex.from_product([["s"], range(len(np.asarray(x)))])
    return frame(x, index=rows)


def named(*names):
    """Return a function that makes a frame with some columns renamed."""

    def make(x):
        n_columns = np.shape(x)[1]
        kept = [f"c{i}" for i in range(n_columns)]
        return frame(x, columns=[*names, *kept][:n_columns])

    return make


def polars_with(values):
    return lambda x: pl.DataFrame(
        {"a": np.asarray(x)[:, 0], "b": values(len(np.asarray(x)))}
    )


FRAMES = {
    "frame": frame,
    "frame of numbered columns": lambda x: pd.DataFrame(np.asarray(x)),
    "frame of float32": lambda x: frame(x).astype(np.float32),
    "repeated names": named("a", "a"),
    "mixed names": named("a", 0),
    "unnamed column": named(None, "a"),
    "tuples as names": named(("a", 0), ("b", 1)),
    "columns of two levels": several_levels,
    "rows of two levels": several_row_levels,
    "repeated rows": lambda x: frame(x, index=[0] * len(np.asarray(x))),
    "indexed by dates": lambda x: frame(
        x, index=pd.date_range("2024-01-01", periods=len(np.asarray(x)))
    ),
    "indexed by text": lambda x: frame(x, index=list(map(str, np.asarray(x)[:, 0]))),
    "column of dates": lambda x: changed(
        x, 0, lambda n: pd.date_range("2024", periods=n)
    ),
    "column of zoned dates": lambda x: changed(
        x, 0, lambda n: pd.date_range("2024", periods=n, tz="Asia/Tokyo")
    ),
    "column of timedeltas": lambda x: changed(
        x, 0, lambda n: pd.to_timedelta(range(n), unit="s")
    ),
    "column of periods": lambda x: changed(
        x, 0, lambda n: pd.period_range("2024", periods=n, freq="D")
    ),
    "column of intervals": lambda x: changed(
        x, 0, lambda n: pd.interval_range(0, periods=n)
    ),
    "column of text": lambda x: changed(x, 0, lambda n: ["a"] * n),
    "column of strings": lambda x: changed(
        x, 0, lambda n: pd.array(["a"] * n, dtype="string")
    ),
    "column of objects": lambda x: changed(x, 0, lambda n: [object()] * n),
    "column of lists": lambda x: changed(x, 0, lambda n: [[1]] * n),
    "column of categories": lambda x: changed(
        x, 0, lambda n: pd.Categorical(["a", "b"] * (n // 2) + ["a"] * (n % 2))
    ),
    "categories missing": lambda x: changed(
        x, 0, lambda n: pd.Categorical(["a", None] * (n // 2) + ["a"] * (n % 2))
    ),
    "categories of numbers": lambda x: changed(
        x, 0, lambda n: pd.Categorical([1, 2] * (n // 2) + [1] * (n % 2))
    ),
    "column of Int64": lambda x: changed(
        x, 0, lambda n: pd.array([1] * n, dtype="Int64")
    ),
    "column of Int64 with NA": lambda x: changed(
        x, 0, lambda n: pd.array([None] + [1] * (n - 1), dtype="Int64")
    ),
    "column of boolean with NA": lambda x: changed(
        x, 0, lambda n: pd.array([None] + [True] * (n - 1), dtype="boolean")
    ),
    "column of complex": lambda x: changed(x, 0, lambda n: [1j] * n),
    "sparse column": lambda x: changed(
        x, 0, lambda n: pd.arrays.SparseArray([0.0] * (n - 1) + [1.0])
    ),
    "frame without rows": lambda x: frame(x)[:0],
    "frame without columns": lambda x: frame(x)[[]],
    "series": lambda x: pd.Series(np.asarray(x)[:, 0], name="a"),
    "polars": lambda x: pl.DataFrame(np.asarray(x)),
    "polars lazy": lambda x: pl.DataFrame(np.asarray(x)).lazy(),
    "polars with nulls": polars_with(lambda n: [None] + [1.0] * (n - 1)),
    "polars of dates": polars_with(lambda n: [datetime.date(2024, 1, 1)] * n),
    "polars of text": polars_with(lambda n: ["a"] * n),
    "polars of categories": polars_with(
        lambda n: pl.Series(["a"] * n, dtype=pl.Categorical)
    ),
    "polars of lists": polars_with(lambda n: [[1]] * n),
    "dict of columns": lambda x: {"a": np.asarray(x)[:, 0]},
    "matrix": lambda x: np.asmatrix(x),
    "record array": lambda x: structured(x).view(np.recarray),
}

TABLES = ARRAYS | SPARSE | FRAMES


def series_of(make):
    return lambda x: pd.Series(make(np.asarray(x)))


# One value a row: targets, weights, costs, groups.
COLUMNS = ARRAYS | {
    "series": series_of(lambda x: x),
    "series of another index": lambda x: pd.Series(
        np.asarray(x), index=range(100, 100 + len(np.asarray(x)))
    ),
    "repeated index": lambda x: pd.Series(
        np.asarray(x), index=[0] * len(np.asarray(x))
    ),
    "series of categories": lambda x: pd.Series(pd.Categorical(np.asarray(x))),
    "series of Int64 with NA": lambda x: pd.Series(
        pd.array([None] + [1] * (len(np.asarray(x)) - 1), dtype="Int64")
    ),
    "series of text": lambda x: pd.Series(np.asarray(x).astype(str)),
    "series of dates": series_of(dates),
    "index": lambda x: pd.Index(np.asarray(x)),
    "polars series": lambda x: pl.Series(np.asarray(x).tolist()),
    "column": lambda x: np.asarray(x).reshape(-1, 1),
    "frame": lambda x: pd.DataFrame({"a": np.asarray(x)}),
    "two columns": lambda x: np.column_stack([np.asarray(x)] * 2),
    "two columns of 0 and 1": lambda x: np.eye(2)[np.arange(len(np.asarray(x))) % 2],
    "sparse column": lambda x: sparse.csr_array(np.eye(len(np.asarray(x)))),
    "one row more": lambda x: np.append(np.asarray(x), np.asarray(x)[:1]),
    "all distinct": lambda x: np.arange(len(np.asarray(x))),
    "all distinct text": lambda x: np.arange(len(np.asarray(x))).astype(str),
    "one value": lambda x: np.repeat(np.asarray(x)[:1], len(np.asarray(x))),
    "one rare value": lambda x: np.r_[[7], np.zeros(len(np.asarray(x)) - 1, int)],
    "huge labels": lambda x: np.asarray(x).astype(np.int64) * 2**60,
    "huge object labels": lambda x: objects(x, 10**30, 10**31),
    "mixed text and numbers": lambda x: objects(x, "a", 1, "b"),
    "bool objects": lambda x: objects(x, True, False, None),
    "strings with NUL": lambda x: np.where(
        np.asarray(x) == np.asarray(x)[0], "a\0b", "c"
    ),
    "range": lambda x: range(len(np.asarray(x))),
    "a number": lambda x: 2.0,
}

# Parameters of any type.
PARAMETERS = {
    repr(value)[:40]: (lambda x, value=value: value)
    for value in (
        True,
        False,
        None,
        -1,
        0,
        1,
        2,
        10**30,
        -(10**30),
        10**400,
        2**63,
        HUGE,
        0.5,
        -0.5,
        1e-320,
        1e300,
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float32(0.5),
        np.float16(0.5),
        np.longdouble(0.5),
        np.int64(3),
        np.uint8(2),
        np.float64("nan"),
        np.bool_(True),
        np.array(3),
        np.array([1, 2]),
        np.array([[0.5]]),
        np.array([]),
        np.str_("auto"),
        "",
        "abc",
        "auto",
        "a\0b",
        "é" * 3000,
        b"abc",
        (),
        (1,),
        (2, 0.5),
        (None,),
        [],
        [2],
        ["a"],
        {},
        {"a": 1},
        {1: 2},
        set(),
        range(3),
        1j,
        Decimal("0.5"),
        Fraction(1, 2),
        pd.NA,
        pd.NaT,
        Ellipsis,
        NotImplemented,
        datetime.date(2024, 1, 1),
        torch.float32,
        int,
        dict,
    )
}
PARAMETERS |= {
    "object()": lambda x: object(),
    "lambda": lambda x: lambda *args, **kwargs: None,
    "failing lambda": lambda x: lambda *args, **kwargs: 1 / 0,
    "tensor": lambda x: torch.tensor(2),
    "tensor with grad": lambda x: torch.tensor([0.5], requires_grad=True),
    "series": lambda x: pd.Series([1, 2]),
    "frame": lambda x: pd.DataFrame({"a": [1.0, 2.0]}),
    "polars": lambda x: pl.Series([1, 2]),
    "sparse": lambda x: sparse.csr_array(np.eye(2)),
    "file": lambda x: io.StringIO("abc"),
    "estimator": lambda x: LinearRegression(),
    "module": lambda x: nn.Linear(3, 1),
    "generator": lambda x: (i for i in range(2)),
    "numpy generator": lambda x: np.random.default_rng(0),
    "random state": lambda x: np.random.RandomState(0),
    "itself twice": lambda x: [x, x],
    "itself as text": str,
    "itself in capitals": lambda x: x.upper() if isinstance(x, str) else x,
    "itself misspelled": lambda x: x[:-1] + "x" if isinstance(x, str) and x else x,
    "negated": lambda x: -x if isinstance(x, (int, float)) else x,
}


class Returning(nn.Module):
    """A network whose output is replaced by another value."""

    def __init__(self, n_features, n_outputs, change=None):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)
        self.change = change

    def forward(self, x):
        return self.change(self.layer(x))


class Softmaxed(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        super().__init__(nn.Linear(n_features, n_outputs), nn.Softmax(1))


def _raise(error):
    raise error


def returning(change):
    """Return a function that makes an odd module."""
    return lambda x: functools.partial(Returning, change=change)


MODULES = {
    "complex scores": returning(lambda s: s + 1j),
    "complex parts": returning(lambda s: (s + 1j).real),
    "whole scores": returning(lambda s: s.long()),
    "bool scores": returning(lambda s: s > 0),
    "detached scores": returning(lambda s: s.detach()),
    "scores of a list": returning(lambda s: s.tolist()),
    "array of scores": returning(lambda s: s.detach().numpy()),
    "no scores": returning(lambda s: None),
    "empty tuple": returning(lambda s: ()),
    "dict of scores": returning(lambda s: {"scores": s}),
    "tuple of scores": returning(lambda s: (s, s)),
    "NaN scores": returning(lambda s: s * torch.nan),
    "infinite scores": returning(lambda s: s / 0),
    "half scores": returning(lambda s: s.half()),
    "sum of scores": returning(lambda s: s.sum()),
    "scores of one row": returning(lambda s: s[:1]),
    "scores of more columns": returning(lambda s: torch.cat([s, s, s], 1)),
    "sparse scores": returning(lambda s: s.to_sparse()),
    "no memory": returning(lambda s: _raise(MemoryError("no memory"))),
    "no memory in torch": returning(lambda s: torch.empty(HUGE, HUGE)),
    "ValueError": returning(lambda s: _raise(ValueError("of the module's own"))),
    "no module": lambda x: lambda n_features, n_outputs: 3,
    "no parameters": lambda x: lambda n_features, n_outputs: nn.Flatten(),
    "instance": lambda x: nn.Linear(3, 2),
    "instance of other sizes": lambda x: nn.Linear(5, 1),
    "lazy": lambda x: lambda n_features, n_outputs: nn.LazyLinear(n_outputs),
    "meta": lambda x: lambda n, m: nn.Linear(n, m, device="meta"),
    "complex weights": lambda x: lambda n, m: nn.Linear(n, m, dtype=torch.complex64),
    "softmax": lambda x: Softmaxed,
    "huge": lambda x: (
        lambda n, m: nn.Sequential(nn.Linear(n, HUGE), nn.Linear(HUGE, m))
    ),
    "without arguments": lambda x: nn.Identity,
    "needs more arguments": lambda x: nn.Bilinear,
}

LOSSES = {
    "complex loss": lambda x: lambda s, t: s.sum(1) + 1j,
    "loss None": lambda x: lambda s, t: None,
    "loss a number": lambda x: lambda s, t: 1.0,
    "loss of integers": lambda x: lambda s, t: torch.ones(len(s), dtype=torch.int64),
    "NaN loss": lambda x: lambda s, t: s.sum(1) * torch.nan,
    "infinite loss": lambda x: lambda s, t: s.sum(1) / 0,
    "loss of other rows": lambda x: lambda s, t: s.sum(1)[:1],
    "detached loss": lambda x: lambda s, t: s.detach().sum(1),
    "failing loss": lambda x: lambda s, t: 1 / 0,
    "no memory in loss": lambda x: lambda s, t: torch.empty(HUGE, HUGE),
    "mean loss": lambda x: lambda s, t: s.mean(),
    "loss of one argument": lambda x: lambda s: s.mean(),
    "loss class": lambda x: nn.MSELoss,
    "loss instance": lambda x: nn.MSELoss(),
}

SOLVERS = {
    "SGD": lambda x: torch.optim.SGD,
    "LBFGS class": lambda x: torch.optim.LBFGS,
    "SparseAdam": lambda x: torch.optim.SparseAdam,
    "solver of None": lambda x: lambda parameters: None,
    "optimizer instance": lambda x: torch.optim.SGD(nn.Linear(1, 1).parameters()),
    "solver of other parameters": lambda x: (
        lambda parameters: torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    ),
}

DEVICES = {
    name: (lambda x, name=name: name)
    for name in ("cuda:99", "gpu", "cpu:0", "CPU", "meta", "xla", "mps", "cuda:-1", " ")
}

OWN_VALUES = {
    "module": MODULES,
    "loss": LOSSES,
    "solver": SOLVERS,
    "device": DEVICES,
    "activation": {"ReLU": lambda x: "ReLU", "class": lambda x: nn.ReLU},
    "learning_rate": {"0.01": lambda x: 0.01, "Adam": lambda x: "adam"},
    "hidden_layer_sizes": {
        "(2, -1)": lambda x: (2, -1),
        "(2, 10**30)": lambda x: (2, 10**30),
        "(2, 2**40)": lambda x: (2, HUGE),
        "(2.5,)": lambda x: (2.5,),
        "nested": lambda x: ((2,), (2,)),
        "text": lambda x: ("2",),
        "array": lambda x: np.array([2, 2]),
        "a set": lambda x: {2, 3},
    },
    "class_weight": {
        "negative": lambda x: {0: -1, 1: 1},
        "text": lambda x: {0: "a"},
        "NaN": lambda x: {0: np.nan, 1: 1},
        "huge": lambda x: {0: 1e308, 1: 1e308},
        "of other classes": lambda x: {"x": 1},
        "zeros": lambda x: {0: 0, 1: 0},
        "list": lambda x: [{0: 1}, {1: 2}],
    },
    "cost_matrix": {
        "eye": lambda x: np.eye(2),
        "negative": lambda x: [[0, -1], [1, 0]],
        "text": lambda x: [["a", "b"], ["c", "d"]],
        "complex": lambda x: [[0, 1j], [1, 0]],
        "huge": lambda x: [[0, 1e308], [1e308, 0]],
        "frame": lambda x: pd.DataFrame([[0, 1.0], [1.0, 0]]),
    },
    "categorical_features": {
        "mask": lambda x: [True, False, False],
        "positions": lambda x: [0, -1],
        "names": lambda x: ["c0"],
        "other names": lambda x: ["x"],
        "huge position": lambda x: [10**30],
        "numbers": lambda x: [0.5],
        "twice": lambda x: [0, 0],
    },
    "estimator": {
        "a regressor": lambda x: LinearRegression(),
        "class": lambda x: LogisticRegression,
        "module": lambda x: nn.Linear(3, 1),
    },
    "scoring": {"of other kind": lambda x: "roc_auc", "dict": lambda x: {"a": "r2"}},
    "cv": {
        "empty": lambda x: [],
        "no rows": lambda x: [([], [])],
        "rows that are not there": lambda x: [([0, 1], [99])],
        "huge": lambda x: 10**30,
    },
}

PATHS = {
    "a long name": lambda x: Path(x).parent / ("a" * 3000),
    "a long path": lambda x: Path(x).parent.joinpath(*["a" * 200] * 40),
    "a folder": lambda x: Path(x).parent,
    "a device": lambda x: _link(Path(x).parent / "device", "/dev/zero"),
    "nothing": lambda x: _link(Path(x).parent / "null", "/dev/null"),
    "below a file": lambda x: _file(x) / "a",
    "a file of text": lambda x: _file(x),
    "NUL byte": lambda x: "a\0b",
    "lone surrogate": lambda x: "a\ud800",
    "empty": lambda x: "",
    "blank": lambda x: "   ",
    "bytes": lambda x: str(x).encode(),
    "dot": lambda x: ".",
    "root": lambda x: "/",
    "no permission": lambda x: "/proc/self/nothing",
    "home of nobody": lambda x: "~nobody-there/file",
}


def _file(path):
    path = Path(path).with_name("some text.csv")
    path.write_text("some text")
    return path


def _link(path, target):
    if not path.is_symlink():
        path.symlink_to(target)
    return path


DOCUMENTS = ARRAYS | {
    "one string": lambda x: "a text",
    "numbers": lambda x: [1, 2],
    "None among them": lambda x: ["a text", None],
    "NaN among them": lambda x: ["a text", np.nan],
    "bytes": lambda x: [b"a text", b"b"],
    "undecodable bytes": lambda x: [b"\xff\xfe"],
    "empty text": lambda x: ["", ""],
    "lone surrogate": lambda x: ["a\ud800 text"],
    "nested": lambda x: [["a", "b"], ["c"]],
    "series": lambda x: pd.Series(list(x)),
    "frame": lambda x: pd.DataFrame({"a": list(x)}),
    "files": lambda x: [io.StringIO("a text")],
}

LABELS = {
    name: (lambda x, value=value: value)
    for name, value in {
        "another label": 99,
        "text": "abc",
        "list": [1],
        "NaN": np.nan,
        "dict": {},
        "huge": 10**30,
        "np.int64": np.int64(1),
        "complex": 1j,
    }.items()
}

# joblib checks the types of its own arguments.
COUNTS = {
    repr(n)[:40]: (lambda x, n=n: n)
    for n in (None, -1, 0, 1, 3, 10**6, 10**30, -(10**9))
}

KINDS = {
    "count": COUNTS,
    "table": TABLES,
    "sequences": ARRAYS | FRAMES,
    "column": COLUMNS,
    "documents": DOCUMENTS,
    "path": PARAMETERS | PATHS,
    "label": PARAMETERS | LABELS,
    "parameter": PARAMETERS,
}


def odd_values(kind, name):
    """Return the odd values to try for an argument, by name."""
    return KINDS[kind] | OWN_VALUES.get(name, {})
