"""skorch's tasks for a few epochs: both libraries reach about the same scores."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def examples():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.delenv("SKDEEP_DATA", raising=False)
        yield importlib.import_module("skorch_tasks")
        sys.modules.pop("skorch_tasks", None)


def mean_scores(solve, n_seeds, **few):
    """Return the mean over seeds of each score."""
    found = [solve(seed, **few) for seed in range(n_seeds)]
    return {who: np.mean([scores[who] for scores in found]) for who in found[0]}


@pytest.mark.parametrize(
    "name, n_seeds, few, least",
    [
        ("classify_table", 4, {"epochs": 10}, 0.75),
        ("classify_images", 3, {"epochs": 5}, 0.9),
        pytest.param("fine_tune", 3, {}, 0.8, marks=pytest.mark.nightly),
        pytest.param(
            "predict_numbers", 3, {"epochs": 10}, 0.8, marks=pytest.mark.nightly
        ),
    ],
)
def test_both_libraries_reach_the_same_scores(examples, name, n_seeds, few, least):
    scores = mean_scores(getattr(examples, name), n_seeds, **few)
    assert scores["skdeep"] > least
    assert scores["skdeep"] == pytest.approx(scores["skorch"], abs=0.05)


@pytest.mark.nightly
def test_searches_reach_the_same_scores(examples):
    few = {"epochs": (6,), "units": (10, 30), "rates": (0.01,)}
    scores = mean_scores(examples.search_table, 3, **few)
    assert scores["skdeep"] > 0.7
    assert scores["skdeep"] == pytest.approx(scores["skorch"], abs=0.05)


def test_seeds_reproduce_and_leave_the_global_generator(examples):
    before = torch.random.get_rng_state()
    first, second = (examples.classify_table(3, epochs=2) for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_are_read_from_a_folder(examples, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    pixels, labels = np.full((9, 784), 255, np.uint8), np.arange(9, dtype=np.uint8)
    np.savez(
        tmp_path / "mnist" / "mnist.npz",
        **{"X_train": pixels, "y_train": labels, "X_test": pixels, "y_test": labels},
    )
    X_train, X_test, y_train, y_test = examples.load_images(n_train=5)
    assert (X_train.shape, X_test.shape, len(y_test)) == ((5, 784), (9, 784), 9)
    assert (X_train.dtype, y_train.dtype) == (np.float32, np.int64)
    assert X_train.max() == X_test.max() == 1


def test_the_script_prints_each_score(examples, capsys, monkeypatch):
    tasks = {"regression": (lambda seed: {"skdeep": seed, "skorch": 0.5}, "R²")}
    monkeypatch.setattr(examples, "TASKS", tasks)
    examples.main(["--seeds", "2"])
    assert capsys.readouterr().out.splitlines() == [
        "regression   skdeep            R² 0.500 (0.000 1.000)",
        "regression   skorch            R² 0.500 (0.500 0.500)",
    ]
