"""The example of populations, on few networks, its numbers computed by other means."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier

EXAMPLES = Path(__file__).parents[2] / "examples"
RATES, ALPHAS = [0.001, 0.01, 0.1], [0.0001, 1.0]


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        module = importlib.import_module("populations")
        for name, value in {"N_ROWS": 150, "N_EPOCHS": 5, "N_REPEATS": 2}.items():
            patch.setattr(module, name, value)
        names = list(module.GRID)
        patch.setattr(module, "GRID", dict(zip(names, [RATES, ALPHAS], strict=True)))
        yield module
        sys.modules.pop("populations")


@pytest.fixture(scope="module")
def made(example, tmp_path_factory):
    """The folder that a user finds after running the script."""
    folder = tmp_path_factory.mktemp("populations") / "a" / "b"
    example.main(["--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def found(made):
    return json.loads((made / "populations.json").read_text())


def test_a_picture_and_the_numbers_land_in_the_folder(made, found):
    assert (made / "populations.png").read_bytes().startswith(b"\x89PNG")
    assert found["fits"] == 2 * 5 * len(RATES) * len(ALPHAS)
    assert len(found["winners"]) == 2
    assert set(found["winners"]) | set(found["rivals"]) <= set(found["means"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_means_are_those_of_a_cross_validation(found):
    X, y = load_digits(return_X_y=True)
    network = MLPClassifier(
        (32,), max_iter=5, learning_rate_init=0.01, alpha=1.0, random_state=0
    )
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    model = make_pipeline(StandardScaler(), network)
    scores = cross_val_score(model, X[:150], y[:150], cv=folds)
    assert found["means"]["rate 0.01, α 1"] == pytest.approx(scores.mean(), abs=0.01)


def test_one_by_one_they_come_to_the_same(example, found, tmp_path):
    example.main(["--alone", "--out", str(tmp_path)])
    alone = json.loads((tmp_path / "populations.json").read_text())
    assert alone["means"] == pytest.approx(found["means"], abs=0.01)


def test_a_setting_far_behind_is_told_from_the_best(example):
    rng = np.random.default_rng(0)
    fold = rng.normal(0.9, 0.02, 10)  # what all settings have in common
    columns = pd.MultiIndex.from_product([range(2), range(5)])
    columns.names = ["repeat", "fold"]
    rows = {
        "best": fold + 0.001,
        "as good": fold + rng.normal(0, 0.01, 10) - 0.001,
        "worse": fold + rng.normal(0, 0.005, 10) - 0.1,
    }
    p_values = example.compare_to_best(pd.DataFrame(rows, columns).T)
    assert p_values["best"] == 1
    assert p_values["as good"] > 0.05
    assert p_values["worse"] < 0.001
