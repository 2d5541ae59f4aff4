"""The code of the page "Write your own family" runs and keeps the contract."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from skdeep.testing import check_estimator_contract

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "own_family.md"
# Cells with options are hidden on the page.
CELL = re.compile(r"^```\{code-cell\}\n(?!:)(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def cells():
    return CELL.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def namespace(cells, monkeypatch):
    """The names that the first cell of the page defines."""
    names = {"__name__": __name__}
    exec(compile(cells[0], PAGE.name, "exec"), names)
    # Pickle finds classes by the names of their modules.
    module = sys.modules[__name__]
    for name, value in names.items():
        if getattr(value, "__module__", None) == __name__:
            monkeypatch.setattr(module, name, value, raising=False)
    return names


def test_family_has_about_sixty_lines_of_code(cells):
    assert sum(bool(line.strip()) for line in cells[0].splitlines()) <= 60


@pytest.mark.parametrize("name", ["RadialBasisClassifier", "RadialBasisRegressor"])
def test_family_passes_the_contract(namespace, name):
    kind = namespace[name]
    check_estimator_contract(kind(8, learning_rate_init=0.1, max_iter=5))


@pytest.mark.filterwarnings("ignore")
def test_classifier_learns(namespace, cells):
    names = dict(namespace)
    lines = cells[1].strip().splitlines()
    exec(
        compile("\n".join([*lines[:-1], f"score = {lines[-1]}"]), "page", "exec"), names
    )
    assert names["score"] > 0.9


@pytest.mark.filterwarnings("ignore")
def test_regressor_learns(namespace):
    X = np.linspace(-2, 2, 100)[:, np.newaxis]
    y = np.sin(2 * X[:, 0])
    model = namespace["RadialBasisRegressor"](
        10, learning_rate_init=0.1, random_state=0
    )
    assert model.fit(X, y).score(X, y) > 0.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_checks_shown_on_the_page_pass(namespace, cells):
    exec(compile(cells[2], "page", "exec"), dict(namespace))
