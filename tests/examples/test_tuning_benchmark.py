"""The benchmark of searches, on small tables."""

import importlib
import sys
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's module, with small tables and few epochs."""

    def load(table):
        rows = load_diabetes if table == "wine_quality_white" else load_iris
        return rows(return_X_y=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        module = importlib.import_module("tuning")
        module.load_table = module.load
        patch.setattr(module, "load", load)
        patch.setattr(module, "N_EPOCHS", 4)
        patch.setattr(module, "N_CANDIDATES", 3)
        patch.setattr(module, "N_DRAWN", 10)
        yield module
        sys.modules.pop("tuning", None)


def test_the_tables_show_each_search(benchmark, monkeypatch, capsys):
    found = {
        name: lambda case, n=n: benchmark.Found(n, 0.5 + n / 100, 0.7)
        for n, name in enumerate(benchmark.SEARCHES, start=1)
    }
    monkeypatch.setattr(benchmark, "SEARCHES", found)
    benchmark.main(["churn", "--seeds", "2", "--jobs", "1"])
    printed = capsys.readouterr().out
    searches = benchmark.installed()
    for n, name in enumerate(searches, start=1):
        for seed in (0, 1):
            assert f"| churn | {seed} | {name} | {n} | 0.5{n}00 | 0.7000 |" in printed
        assert f"| churn | {name} | {n} | 0.5{n}00 | 0.0000 | 0.7000 |" in printed
    assert printed.endswith("| churn | 0.5, 0.5 | 0.5 |\n")


@pytest.mark.nightly
@pytest.mark.parametrize("table", ["churn", "wine_quality_white"])
def test_each_search_finds_something_in_its_time(benchmark, table, capsys):
    # Enough time for a trial on a busy machine.
    benchmark.main([table, "--seconds", "10", "--seeds", "1", "--jobs", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "|" in line]
    found = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    searches = benchmark.installed()
    assert [cells[2] for cells in found[2 : 2 + len(searches)]] == searches
    for _, _, _, trials, best, test in found[2 : 2 + len(searches)]:
        assert int(trials) > 0
        assert -5 < float(best) <= 1
        assert -5 < float(test) <= 1
    assert float(found[-1][-1]) > 0


def test_trials_that_finish_late_do_not_count(benchmark):
    recorder = benchmark.Recorder(benchmark.make_case("churn", 0, 1e-9))
    assert recorder.run(lambda number: ScoredOnce(recorder)).n_trials == 0


class ScoredOnce:
    """A search that scores once."""

    def __init__(self, scorer):
        self.scorer = scorer

    def fit(self, X, y):
        self.scorer(DummyClassifier().fit(X, y), X[:9], y[:9])


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["RandomizedSearchCV", "HalvingRandomSearchCV"])
def test_scores_equal_cross_validation(benchmark, monkeypatch, name):
    kept = []
    monkeypatch.setattr(benchmark.Recorder, "found", lambda self: kept.append(self))
    benchmark.measure("churn", 0, name, 5)
    recorder = kept[0]
    case = recorder.case
    for score, params in recorder.trials[:4]:
        model = clone(case.model).set_params(**params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            scores = cross_val_score(model, *case.train, cv=case.folds)
        assert score == scores.mean()


def absent(name):
    raise PackageNotFoundError


def test_optuna_integration_is_optional(benchmark, monkeypatch):
    monkeypatch.setitem(vars(benchmark), "version", absent)
    assert "optuna-integration" not in benchmark.installed()
    assert len(benchmark.installed()) == 4


def test_unknown_table_raises(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["nothing"])
    assert "unknown tables ['nothing']" in capsys.readouterr().err


def test_data_folder_is_required(monkeypatch, benchmark):
    monkeypatch.delenv("SKDEEP_DATA", raising=False)
    with pytest.raises(SystemExit, match="SKDEEP_DATA"):
        benchmark.load_table("churn")
