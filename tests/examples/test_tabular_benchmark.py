"""The benchmark of tables, on two small ones."""

import importlib
import itertools
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_friedman1
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
N_ROWS, N_DRAWN = 260, 200

DESCRIPTION = """\
dataset: fruit
task: classification
target:
  type: continuous
features:
  - name: sort of fruit
    type: categorical
    description: none, or
      more lines
  - name: weight
    type: continuous
"""


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("tabular")
        sys.modules.pop("tabular", None)


def make_fruit():
    """Return a table of three classes, a category of 20 values and a number."""
    rng = np.random.default_rng(0)
    sort, weight = rng.integers(0, 20, N_ROWS), rng.normal(size=N_ROWS).round(1)
    target = (sort % 2) + (weight + 0.3 * rng.normal(size=N_ROWS) > 0)
    return pd.DataFrame({"sort of fruit": sort, "weight": weight, "target": target})


def make_slope():
    """Return a table with a numeric target and no description of its columns."""
    rng = np.random.default_rng(1)
    side, height = rng.integers(0, 3, N_DRAWN), rng.normal(size=N_DRAWN).round(2)
    target = 100 * side + 50 * height + rng.normal(size=N_DRAWN).round(2)
    return pd.DataFrame({"side": side, "height": height, "target": target})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    tables = tmp_path / "tabular"
    tables.mkdir()
    for name, table in {"fruit": make_fruit(), "slope": make_slope()}.items():
        table.to_csv(tables / f"{name}.tsv.gz", sep="\t", index=False)
    (tables / "fruit.yaml").write_text(DESCRIPTION, encoding="utf-8")
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def lines(benchmark, capsys):
    """Return the cells that a run prints, by line."""

    def run(*arguments):
        benchmark.main([*arguments, "--rows", str(N_DRAWN)])
        printed = capsys.readouterr().out.splitlines()
        return [
            [cell.strip() for cell in line.strip("|").split("|")] for line in printed
        ]

    return run


def calibration_error(y, p):
    """Return the expected calibration error, bin by bin."""
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    edges, error = np.linspace(0, 1, 16), 0
    for low, high in itertools.pairwise(edges):
        inside = (sure >= low) & ((sure < high) | ((high == 1) & (sure == 1)))
        if inside.any():
            gap = abs(right[inside].mean() - sure[inside].mean())
            error += inside.mean() * gap
    return error


def encode(X, X_test, category, number):
    """Return one-hot codes and standardized numbers."""
    values = sorted(set(X[category]))
    scaler = StandardScaler().fit(X[[number]])
    return (
        np.hstack(
            [rows[[category]].to_numpy() == values, scaler.transform(rows[[number]])]
        )
        for rows in (X, X_test)
    )


def test_classification_figures_equal_scikit_learn(lines):
    printed = lines("fruit", "--models", "HistGB", "linear", "--seeds", "2")
    for seed, cells in enumerate([printed[2:4], printed[4:6]]):
        X = make_fruit()
        y = X.pop("target")
        X, _, y, _ = train_test_split(
            X, y, train_size=N_DRAWN, stratify=y, random_state=seed
        )
        X, X_test, y, y_test = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=seed
        )
        boosting = HistGradientBoostingClassifier(
            categorical_features=["sort of fruit"], random_state=seed
        )
        probabilities = [boosting.fit(X, y).predict_proba(X_test)]
        X, X_test = encode(X, X_test, "sort of fruit", "weight")
        logistic = LogisticRegression(max_iter=1000).fit(X, y)
        probabilities.append(logistic.predict_proba(X_test))
        for line, name, p in zip(
            cells, ["HistGB", "linear"], probabilities, strict=True
        ):
            assert line[:3] == ["fruit", str(seed), name]
            expected = [
                accuracy_score(y_test, p.argmax(axis=1)),
                log_loss(y_test, p),
                calibration_error(y_test, p),
            ]
            assert [float(cell) for cell in line[3:6]] == pytest.approx(
                expected, abs=1e-4
            )
            assert float(line[6]) > 0


def test_regression_errors_equal_scikit_learn(lines):
    printed = lines("slope", "--models", "HistGB", "linear", "--seeds", "1")
    X = make_slope()
    y = X.pop("target")
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    boosting = HistGradientBoostingRegressor(
        categorical_features=["side"], random_state=0
    )
    predicted = [boosting.fit(X, y).predict(X_test)]
    X, X_test = encode(X, X_test, "side", "height")
    predicted.append(Ridge().fit(X, y).predict(X_test))
    for line, prediction in zip(printed[2:4], predicted, strict=True):
        # The error in standard deviations is what R² lacks, but for its square.
        expected = np.sqrt(1 - r2_score(y_test, prediction))
        assert float(line[3]) == pytest.approx(expected, abs=1e-4)
        assert line[4:6] == ["", ""]


def test_the_ensemble_and_the_network_are_measured(lines):
    printed = lines(
        "fruit", "slope", "--models", "DeepEnsemble", "MLP", "--seeds", "1",
        "--members", "2", "--time-limit", "20",
    )  # fmt: skip
    assert [cells[:3] for cells in printed[2:6]] == [
        ["fruit", "0", "DeepEnsemble"],
        ["fruit", "0", "MLP"],
        ["slope", "0", "DeepEnsemble"],
        ["slope", "0", "MLP"],
    ]
    assert all(float(cells[3]) > 0.5 for cells in printed[2:4])
    assert all(0 < float(cells[3]) < 0.5 for cells in printed[4:6])


EARLIER = """\
| table | seed | model | accuracy or error | log loss | calibration error | seconds |
| --- | --- | --- | --- | --- | --- | --- |
| fruit | 0 | DeepEnsemble | 0.8000 | 0.4000 | 0.0100 | 2.00 |
| fruit | 0 | CatBoost | 0.9000 | 0.4000 | 0.0300 | 1.00 |
| fruit | 0 | RealMLP-TD | 0.7000 | 0.5000 | 0.0500 | 10.00 |
| fruit | 1 | DeepEnsemble | 0.8000 | 0.3000 | 0.0300 | 2.00 |
| fruit | 1 | CatBoost | 0.9000 | 0.4000 | 0.0500 | 1.00 |
| fruit | 1 | RealMLP-TD | 0.7000 | 0.5000 | 0.0700 | 10.00 |
| slope | 0 | DeepEnsemble | 0.1000 |  |  | 2.00 |
| slope | 0 | CatBoost | 0.2000 |  |  | 1.00 |
| slope | 0 | RealMLP-TD | 0.3000 |  |  | 20.00 |
| slope | 1 | DeepEnsemble | 0.1000 |  |  | 4.00 |
| slope | 1 | CatBoost | 0.2000 |  |  | 1.00 |
| slope | 1 | RealMLP-TD | 0.3000 |  |  | 20.00 |
"""


def test_lines_of_an_earlier_run_are_reused(lines, tmp_path):
    earlier = tmp_path / "earlier.txt"
    earlier.write_text(EARLIER, encoding="utf-8")
    models = ["DeepEnsemble", "CatBoost", "RealMLP-TD"]
    printed = lines(
        "fruit", "slope", "--earlier", str(earlier), "--models", *models
    )  # fmt: skip
    ends = [i for i, cells in enumerate(printed) if cells == [""]]
    assert [" | ".join(c) for c in printed[: ends[0]]] == [
        line.strip("| ") for line in EARLIER.splitlines()
    ]
    assert printed[ends[0] + 1 : ends[1]] == [
        ["table", *models],
        ["---"] * 4,
        ["fruit"]
        + ["0.800 / 0.350 (2.0 s)", "0.900 / 0.400 (1.0 s)", "0.700 / 0.500 (10.0 s)"],
        ["slope", "0.100 (3.0 s)", "0.200 (1.0 s)", "0.300 (20.0 s)"],
    ]
    assert printed[ends[1] + 3 :] == [
        ["DeepEnsemble", "1.50", "1.00", "0.0200", "5.0", "0.167"],
        ["CatBoost", "1.50", "2.00", "0.0400", "2.0", "0.067"],
        ["RealMLP-TD", "3.00", "3.00", "0.0600", "30.0", "1.000"],
    ]


def test_without_realmlp_no_relative_time_is_printed(lines):
    printed = lines("slope", "--models", "linear", "--seeds", "1")
    assert printed[-1][:4] == ["linear", "1.00", "", ""]
    assert printed[-1][5] == ""


class Noisy:
    """A model that prints and warns before it fails."""

    def fit(self, X, y):
        print("A line", file=sys.stdout)
        print("A line", file=sys.stderr)
        warnings.warn("A warning", UserWarning, stacklevel=2)
        raise FloatingPointError("fails")


def test_output_of_others_is_suppressed_and_errors_are_not(
    benchmark, monkeypatch, capsys
):
    monkeypatch.setitem(benchmark.MODELS, "linear", lambda *task: Noisy())
    with pytest.raises(FloatingPointError, match="fails"):
        benchmark.main(["slope", "--models", "linear"])
    printed = capsys.readouterr()
    assert "A line" not in printed.out + printed.err


def test_missing_packages_are_left_out(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    assert benchmark.installed() == ["DeepEnsemble", "MLP", "HistGB", "linear"]


class Drawn:
    """A generator whose uniform numbers are known."""

    def __init__(self, *values):
        self.values = list(values)

    def uniform(self, *bounds, size=None):
        size = bounds[2] if size is None else size
        return np.broadcast_to(self.values.pop(0), size).copy()


def test_formulas_equal_their_definitions(benchmark):
    X, y = make_friedman1(50, random_state=0)
    np.testing.assert_allclose(benchmark.friedman(Drawn(X), 50)[1], y)
    # A stretched arm reaches as far as it is long; folded once, it comes back.
    lengths = [0.1, 0.2, 0.3, 0.4]
    _, reach = benchmark.robot_arm(Drawn(0.0, lengths), 3)
    np.testing.assert_allclose(reach, 1.0)
    _, reach = benchmark.robot_arm(Drawn([0, np.pi, 0, 0], lengths), 3)
    np.testing.assert_allclose(reach, 0.8)
    row = [0.1, 25000, 90000, 1050, 90, 760, 1400, 11000]
    _, flow = benchmark.borehole(Drawn(row), 2)
    log = math.log(25000 / 0.1)
    below = log * (1 + 2 * 1400 * 90000 / (log * 0.1**2 * 11000) + 90000 / 90)
    np.testing.assert_allclose(flow, 2 * math.pi * 90000 * (1050 - 760) / below)


def test_only_training_rows_of_a_formula_have_noise(benchmark):
    X, X_test, y, y_test = benchmark.draw("friedman", 0, 5000)
    assert (len(X), len(X_test)) == (4000, 1000)
    exact = [benchmark.friedman(Drawn(x.to_numpy()), len(x))[1] for x in (X, X_test)]
    np.testing.assert_allclose(y_test, exact[1])
    assert np.std(y - exact[0]) == pytest.approx(0.01 * exact[0].std(), rel=0.05)


def test_formulas_are_measured(lines):
    printed = lines("borehole", "--models", "linear", "--seeds", "1")
    assert printed[2][:3] == ["borehole", "0", "linear"]
    assert 0.05 < float(printed[2][3]) < 0.5


def test_unknown_table_raises(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["nothing"])
    message = (
        "unknown tables ['nothing']: choose from ['borehole', 'friedman', 'fruit', "
        "'robot_arm', 'slope']"
    )
    assert message in capsys.readouterr().err


def test_data_folder_is_required(monkeypatch, benchmark):
    monkeypatch.delenv("SKDEEP_DATA")
    with pytest.raises(SystemExit, match="SKDEEP_DATA"):
        benchmark.main([])
