"""How the documentation is built: ``make docs``. It needs no network."""

import ast
import hashlib
import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

_DOCS = Path(__file__).parent
_ROOT = _DOCS.parent
_BUILD = _DOCS / "_build"
sys.path.insert(0, str(_DOCS / "_ext"))

from external_links import intersphinx_mapping as _intersphinx_mapping  # noqa: E402

project = "skdeep"
author = "the skdeep developers"
copyright = "2026, the skdeep developers"
_metadata = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
release = version = _metadata["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "alt_texts",
    "external_links",
    "lessons",
    "mathml",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "gallery/*.ipynb"]
templates_path = ["_templates"]

# One page for each public name, made from its docstring.
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

intersphinx_mapping = _intersphinx_mapping(_BUILD / "inventories")
intersphinx_timeout = 5


def _code_without_docstrings(path):
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return ast.dump(tree)


def _hash_of_library():
    """Hash what decides the outputs: skdeep's code and the versions it runs with."""
    digest = hashlib.sha256((_ROOT / "constraints.txt").read_bytes())
    for path in sorted((_ROOT / "skdeep").rglob("*.py")):
        digest.update(_code_without_docstrings(path).encode())
    return digest.hexdigest()[:16]


# Guide pages and gallery scripts are run by the build. Their outputs are kept until
# their own code, or that of the library, changes; an edited docstring reruns nothing.
_outputs = _BUILD / "outputs" / _hash_of_library()
if not _outputs.is_dir():
    shutil.rmtree(_BUILD / "outputs", ignore_errors=True)
    for _md5 in (_DOCS / "gallery").glob("*.md5"):  # sphinx-gallery's own memory
        _md5.unlink()
    _outputs.mkdir(parents=True)

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(_outputs)
# Notebooks are shown as stored; a test compares their outputs with a fresh run.
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
# A warning fails the build, unless its cell shows it on purpose, by
# `mystnb: {output_stderr: show}`.
nb_output_stderr = "remove-warn"

# The kernels ignore the user's IPython settings, and show a warning by its category and
# text: the path to a temporary cell would be different in each build.
_ipython = tempfile.TemporaryDirectory()
_profile = Path(_ipython.name, "profile_default")
_profile.mkdir()
_profile.joinpath("ipython_kernel_config.py").write_text(
    "c = get_config()\n"
    "c.IPKernelApp.log_level = 40\n"
    "c.IPKernelApp.exec_lines = [\n"
    "    'import warnings',\n"
    "    'warnings.formatwarning = (lambda message, category, *_: '\n"
    "    'category.__name__ + \": \" + str(message) + chr(10))',\n"
    "    'del warnings',\n"
    "]\n"
)
os.environ["IPYTHONDIR"] = _ipython.name

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "doc_module": "skdeep",
    "backreferences_dir": "api/generated/examples",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 1000,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "thumbnail_size": (400, 280),
    "within_subsection_order": "gallery_order.GalleryOrder",
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skdeep"
html_static_path = ["_static"]
html_css_files = ["skdeep.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skdeep"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "install": [], "choosing": [], "glossary": []}
html_math_renderer = "mathml"
if "Source" in _metadata.get("urls", {}):
    html_theme_options["github_url"] = _metadata["urls"]["Source"]
copybutton_exclude = ".linenos, .gp, .go"

# References into scikit-learn's own pages, in docstrings that are inherited from it.
_FOREIGN_REFERENCE = re.compile(r":(?:ref|term):`([^`<]+?)(?:\s*<[^`>]+>)?`")
# A shape such as (n_features_in_,) is not a link, although its underscore makes it one.
_SHAPE = re.compile(r"\((\w+)_,\)")


def _without_link(reference):
    """Return the text of a reference; a last underscore would make it a link again."""
    return re.sub("_$", r"\_", reference[1])


def _mend_docstring(app, what, name, obj, options, lines):
    text = _FOREIGN_REFERENCE.sub(_without_link, "\n".join(lines))
    lines[:] = _SHAPE.sub(r"(\1\_,)", text).split("\n")


def setup(app):
    """Register what this file adds to Sphinx."""
    app.connect("autodoc-process-docstring", _mend_docstring)
