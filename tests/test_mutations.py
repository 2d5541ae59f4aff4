"""The mutations of ``tools/mutations.py`` fit the code, and the tool runs them."""

from pathlib import Path

import pytest

from tools.mutations import Mutation, load, parse, try_all

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.nightly  # the list may be adapted some time after a change

CODE = "def double(x):\n    return x + x\n"
TEST = "from code_of_tree import double\n\ndef test():\n    assert double({}) == {}\n"


@pytest.mark.parametrize("mutation", load(), ids=lambda mutation: mutation.id)
def test_mutation_fits_the_code(mutation):
    assert mutation.mismatch(ROOT) is None
    assert mutation.old != mutation.new
    assert mutation.breaks.endswith(".")


@pytest.mark.parametrize("value, outcome", [(2, "survived"), (3, "caught")])
def test_mutation_is_caught_or_survives(tmp_path, value, outcome):
    for name, text in {
        "skdeep/code_of_tree.py": CODE,
        "tests/test_code.py": TEST.format(value, 2 * value),
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['skdeep']\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    mutation = Mutation(
        "power",
        "skdeep/code_of_tree.py",
        "x + x",
        "x**x",
        "It does not double.",
        ["tests/test_code.py"],
    )
    assert mutation.mismatch(tmp_path) is None
    (result,) = try_all([mutation], parse(["--tree", str(tmp_path)]))
    assert result.outcome == outcome
    assert (tmp_path / "skdeep/code_of_tree.py").read_text() == CODE
