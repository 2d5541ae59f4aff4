"""How the documentation is built: ``make docs``. It needs no network."""

import os
import re
import tempfile
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

project = "skdeep"
author = "the skdeep developers"
copyright = "2026, the skdeep developers"
release = version = tomllib.loads(_PYPROJECT.read_text())["project"]["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# API pages: one a name, made from the docstrings.
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Guide pages are run at each build, notebooks are shown as stored (a test keeps their
# outputs in step). That is why myst-nb was chosen over sphinx-gallery: it does both.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "remove-warn"  # a page that prints a warning fails the build
# The kernels start as on any machine: without the user's own IPython settings. They do
# not speak of their transport either.
_ipython = tempfile.TemporaryDirectory()
_profile = Path(_ipython.name, "profile_default")
_profile.mkdir()
_profile.joinpath("ipython_kernel_config.py").write_text(
    "get_config().IPKernelApp.log_level = 40\n"
)
os.environ["IPYTHONDIR"] = _ipython.name

html_theme = "pydata_sphinx_theme"
html_title = "skdeep"
html_static_path = ["_static"]
html_css_files = ["skdeep.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skdeep"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_exclude = ".linenos, .gp, .go"
html_math_renderer = "mathml"


def _math_visitor(as_block):
    """Write formulas as MathML, which browsers draw themselves: no script to fetch."""

    def visit(translator, node):
        formula = tex2mathml(node.astext(), as_block=as_block)
        translator.body.append(f"<div>{formula}</div>" if as_block else formula)
        raise nodes.SkipNode

    return visit


# References into scikit-learn's own pages, in docstrings that are inherited from it.
_FOREIGN_REFERENCE = re.compile(r":(?:ref|term):`([^`<]+?)(?:\s*<[^`>]+>)?`")
# A shape such as (n_features_in_,) is no link, though its underscore says so.
_SHAPE = re.compile(r"\((\w+)_,\)")


def _without_link(reference):
    """Return what a reference shows; a last underscore would make it a link again."""
    return re.sub("_$", r"\_", reference[1])


def _mend_docstring(app, what, name, obj, options, lines):
    text = _FOREIGN_REFERENCE.sub(_without_link, "\n".join(lines))
    lines[:] = _SHAPE.sub(r"(\1\_,)", text).split("\n")


def setup(app):
    """Register what this file adds to Sphinx."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_math_visitor(False), None),
        block_renderers=(_math_visitor(True), None),
    )
    app.connect("autodoc-process-docstring", _mend_docstring)
