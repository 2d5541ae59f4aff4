"""The benchmark of explanations, on small models and samples."""

import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        module = importlib.import_module("explanations")
        patch.setattr(module, "SHAPES", [(5, 3)])
        patch.setattr(module, "NETWORK_SHAPES", [])
        patch.setattr(module, "SAMPLES", (620,))
        train = partial(module.train_network, n_sequences=100)
        patch.setattr(module, "train_network", train)
        yield module
        for name in ("explanations", "fit_speed"):
            sys.modules.pop(name, None)


@pytest.fixture
def lines(benchmark, capsys):
    """Return the cells that a part prints, without the header."""

    def run(*arguments):
        benchmark.main([*arguments])
        printed = capsys.readouterr().out.splitlines()
        table = [line for line in printed if line.startswith("|")]
        return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[2:]]

    return run


def test_three_true_cells_are_found(lines):
    found = lines("cells", "--draws", "2", "--lime-draws", "1")
    by = {(cells[0], cells[1]): cells for cells in found}
    for model in ("sum, 5 × 3", "sum of curves, 5 × 3"):
        assert by[model, "skdeep"][2:10] == [
            "2",
            *("1.000", "1.000", "100%"),
            *("1.000", "1.000", "100%"),
            "1.00",
        ]
    assert by["steep logistic, 5 × 3", "skdeep, link='logit'"][8] == "100%"
    assert by["sum, 5 × 3", "lime"][2] == "1"


def test_true_columns_are_found(lines):
    found = lines("columns", "--draws", "2", "--lime-draws", "1")
    assert found[0][:6] == [*found[0][:2], "2", "1.000", "1.000", "100%"]
    assert found[0][8:11] == ["100%", "1.00", "1.00"]


def test_networks_are_measured(lines, benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "NETWORK_SHAPES", [(5, 3)])
    found = lines("networks", "--draws", "1", "--lime-draws", "1")
    assert [cells[2] for cells in found] == 4 * ["1"]


def test_best_r2_is_reached_with_many_samples(benchmark):
    case = benchmark.draw_cells(benchmark.ThreeCellsClassifier, 2, 3, None, (5, 3), 1)
    many = benchmark.lime_explain(
        case.model,
        case.row[np.newaxis],
        background=case.background,
        num_samples=20_000,
        random_state=0,
    )
    assert many.r2_[0] == pytest.approx(benchmark.best_r2(case, "identity"), abs=0.01)
    assert benchmark.best_r2(case, "logit") == pytest.approx(1)


def test_effects_of_linear_models_are_exact_within_one_percent(lines):
    found = lines("linear")
    assert len(found) == 3
    assert all(float(error) < 0.01 for cells in found for error in cells[-2:])


@pytest.mark.parametrize("part", ["tables", "sequences"])
def test_times_are_printed_for_each_model(lines, part):
    few = ["--rows", "2", "--sequences", "2", "--lime-sequences", "1"]
    found = lines(part, *few, "--repeats", "1")
    assert [cells[1] for cells in found] == ["620", "620"]
    assert all(float(cell.split()[0]) >= 0 for line in found for cell in line[2:])


def test_html_is_small(lines):
    for _, own, other in lines("size"):
        assert int(own.replace(",", "")) < 30_000 < int(other.replace(",", ""))


def test_unknown_part_raises(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["nothing"])
    assert "unknown parts ['nothing']" in capsys.readouterr().err


def test_distances_from_the_reference(benchmark):
    two = np.array([[0.0], [1.0], [1.0]])
    np.testing.assert_array_equal(benchmark.distances(two, two), [[-1], [1], [1]])
    many = np.array([[0.0], [1.0], [5.0]])
    np.testing.assert_array_equal(benchmark.distances(many, many), [[-2], [-1], [3]])


def test_a_row_is_far_from_the_means_of_its_cells(benchmark):
    case = benchmark.draw_cells(benchmark.ThreeCells, 0.5, 1.5, None, (5, 3), 0)
    read = case.background.reshape(500, -1)[:, list(case.true)]
    away = np.abs(case.row.ravel()[list(case.true)] - read.mean(axis=0))
    assert (away >= 0.5 * read.std(axis=0)).all()
