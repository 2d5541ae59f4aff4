"""Every notebook runs, and gives what is stored in it.

Text is compared word for word; numbers within a tolerance, since the last digits of a
training run differ from one processor to another. Of pictures only their number is
compared.
"""

import copy
import re

import nbformat
import pytest

from tools.notebooks import METADATA, executed, notebook_paths

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?!\w)")
RTOL, ATOL = 0.05, 0.02


def _text(cell):
    """What a code cell printed and showed as text, without tables' HTML twin."""
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
    """The text with each number replaced, and runs of blanks and rules made one."""
    return re.sub(r"[\s─━-]+", " ", NUMBER.sub("#", text)).strip()


def _close(old, new):
    """Whether two numbers are near; of 3e-09 the size matters, not the digits."""
    a, b = float(old), float(new)
    if "e" in old:
        return a / 2 <= b <= 2 * a
    return abs(a - b) <= ATOL + RTOL * abs(a)


def _far_apart(old_text, new_text):
    """The pairs of numbers that differ by more than the tolerance."""
    pairs = zip(NUMBER.findall(old_text), NUMBER.findall(new_text), strict=True)
    return [f"{old} -> {new}" for old, new in pairs if not _close(old, new)]


def _differences(stored, fresh):
    """Where a fresh run's outputs depart from the stored ones, in words."""
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
            found.append(f"cell {number}: another number of pictures")
    return found


def _warnings(notebook):
    """What the code cells wrote to stderr."""
    return [
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_gives_what_is_stored(path):
    stored = nbformat.read(path, as_version=4)
    fresh = executed(path)
    assert not _warnings(fresh)
    assert not _differences(stored, fresh)


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_is_stored_tidily(path):
    """Valid, run from top to bottom, with no trace of the machine it ran on."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1))
    assert not _warnings(notebook)
    assert not re.search(r"/(home|Users|root|tmp|work)/", path.read_text("utf-8"))


def _notebook(*outputs):
    """One code cell for each output, which is a text or (a text, its pictures)."""
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


def test_a_rounding_difference_is_let_pass():
    stored = _notebook("accuracy 0.912, stopped\n", "loss  1.20e-01")
    fresh = _notebook("accuracy 0.914, stopped\n", "loss 1.21e-01")
    assert not _differences(stored, fresh)


def test_a_missing_picture_is_found():
    fresh = _notebook("drawn")
    stored = copy.deepcopy(fresh)
    picture = nbformat.v4.new_output("display_data", data={"image/png": "aGk="})
    stored.cells[0].outputs.append(picture)
    assert _differences(stored, fresh)
