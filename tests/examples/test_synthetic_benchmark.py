"""The benchmark of synthetic data, on a small table."""

import importlib
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"

DESCRIPTION = """\
dataset: fruit
task: classification
features:
  - name: sort
    type: categorical
  - name: weight
    type: continuous
  - name: size
    type: continuous
"""


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("synthetic")
        for name in ("synthetic", "tabular"):
            sys.modules.pop(name, None)


@pytest.fixture
def fruit(tmp_path, monkeypatch):
    """Write a table and return it as it is read."""
    rng = np.random.default_rng(0)
    n = 240
    sort, weight = rng.integers(0, 4, n), rng.normal(size=n).round(2)
    size = rng.integers(0, 50, n)
    y = (weight + (sort % 2) > 0.5).astype(int)
    frame = pd.DataFrame({"sort": sort, "weight": weight, "size": size, "target": y})
    folder = tmp_path / "tabular"
    folder.mkdir()
    frame.to_csv(folder / "adult.tsv.gz", sep="\t", index=False)
    (folder / "adult.yaml").write_text(DESCRIPTION, encoding="utf-8")
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path))
    return frame


def test_frames_have_categories_and_whole_numbers(benchmark, fruit):
    frame = benchmark.read_frame("adult")
    kinds = [str(dtype) for dtype in frame.dtypes]
    assert kinds == ["category", "float64", "int64", "category"]
    np.testing.assert_array_equal(frame["size"], fruit["size"])
    train, test = benchmark.split(frame, 0)
    assert (len(train), len(test)) == (192, 48)
    assert train.index.tolist() == list(range(192))


def test_area_of_trees_is_that_of_a_rule(benchmark, fruit):
    train, test = benchmark.split(benchmark.read_frame("adult"), 0)
    area = benchmark.area_of_trees(train, test)
    known = test["weight"] + test["sort"].astype(int) % 2
    assert roc_auc_score(test["target"] == "1", known) == 1
    assert 0.9 < area <= 1
    other = train.assign(target=train["target"].sample(frac=1, random_state=0).values)
    assert benchmark.area_of_trees(other, test) < 0.8


def test_total_variation(benchmark):
    first, second = np.array([0, 0, 1, 1]), np.array([1, 1, 1, 2])
    assert benchmark.total_variation(first, second) == pytest.approx(0.5)
    assert benchmark.total_variation(first, first) == 0
    assert benchmark.total_variation(first, second + 5) == 1


def test_distances(benchmark, fruit):
    frame = benchmark.read_frame("adult")
    assert benchmark.distances(frame, frame) == [0, 0, 0]
    # The same columns, but each in an order of its own.
    rng = np.random.default_rng(0)
    mixed = frame.apply(lambda column: column.sample(frac=1, random_state=rng).values)
    mixed = benchmark.as_types_of(frame, mixed.astype(dict(frame.dtypes)))
    numbers, categories, pairs = benchmark.distances(mixed, frame)
    assert numbers == categories == 0
    assert 0.1 < pairs < 0.5
    far = frame.assign(weight=frame["weight"] + 100)
    assert benchmark.distances(far, frame)[0] == pytest.approx(0.5)


def test_share_of_copies(benchmark, fruit):
    frame = benchmark.read_frame("adult")
    new = frame[:60].assign(size=-1)
    assert benchmark.share_of_copies(new, frame) == 0
    assert benchmark.share_of_copies(pd.concat([frame[:20], new]), frame) == 0.25


def test_lines_of_a_table(benchmark, fruit, capsys, monkeypatch):
    class Copier:
        """Stands for the models of the package ctgan."""

        def __init__(self, epochs):
            assert epochs == 1

        def set_random_state(self, seed):
            self.seed = seed

        def fit(self, frame, discrete):
            assert discrete == ["sort", "target"]
            assert frame[discrete].dtypes.map(str).eq("object").all()
            self.frame = frame

        def sample(self, n):
            return self.frame.sample(n, random_state=self.seed)

    other = types.ModuleType("ctgan")
    other.CTGAN, other.__spec__ = Copier, ModuleSpec("ctgan", None)
    monkeypatch.setitem(sys.modules, "ctgan", other)
    benchmark.main(["adult", "--epochs", "1", "--models", "GAN", "CTGAN"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "== adult"
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines[1:]]
    head, _, real, ours, theirs = cells
    assert head[:6] == ["table", "seed", "rows from", "area", "below real", "numbers"]
    assert [row[2] for row in cells[2:]] == ["training", "GAN", "CTGAN"]
    assert len({len(row) for row in cells}) == 1
    assert real[4] == "0.0000" and real[-2:] == ["", ""]
    # Rows in another order make nearly the same trees.
    assert float(theirs[4]) == pytest.approx(0, abs=0.03)
    assert theirs[5:9] == ["0.0000", "0.0000", "0.0000", "1.0000"]
    assert float(ours[8]) < 0.1
    assert float(ours[9]) >= 0  # seconds; 0.0 on a fast machine


def test_figures_of_a_mixture(benchmark):
    rows = benchmark.draw_mixture(5000, 0)
    found, near, balance, spread = benchmark.mixture_figures(rows)
    assert found == 25
    # The squared distance from the center has a chi-squared distribution.
    assert near == pytest.approx(1 - np.exp(-4.5), abs=0.005)
    assert balance < 0.05
    assert spread == pytest.approx(0.97, abs=0.03)
    half = benchmark.mixture_figures(rows[rows[:, 0] < 3])
    assert half[0] == 10 and half[2] == pytest.approx(0.6, abs=0.02)
    assert benchmark.mixture_figures(rows + 0.5)[:2] == (0, 0.0)


def test_unknown_parts(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["fruit"])
    assert "unknown parts: fruit" in capsys.readouterr().err
