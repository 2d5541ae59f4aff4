"""The scripts of the example gallery: their form, and that they run."""

import runpy
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("plot_*.py"))
CHEAPEST = "plot_error_rates"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_has_a_title_and_a_picture_and_compiles(path):
    text = path.read_text(encoding="utf-8")
    compile(text, path, "exec")
    lines = text.splitlines()
    assert lines[0] == '"""' and set(lines[2]) == {"="}
    assert len(lines[1]) <= len(lines[2]) <= 88
    assert "plt.show()" in lines
    assert 40 <= len(lines) <= 120


def test_the_gallery_has_a_header_and_enough_scripts():
    assert (GALLERY / "GALLERY_HEADER.rst").read_text().startswith("Examples\n====")
    assert len(SCRIPTS) >= 10


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[] if path.stem == CHEAPEST else pytest.mark.nightly,
        )
        for path in SCRIPTS
    ],
)
def test_script_runs_and_draws(path, monkeypatch, capsys):
    # pytest turns warnings into errors. bokeh_sampledata uses what pandas deprecates,
    # and some scripts silence warnings on purpose, which must not last.
    monkeypatch.setattr(plt, "show", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        runpy.run_path(str(path), run_name="__main__")
    assert plt.get_fignums()
    assert capsys.readouterr().out
