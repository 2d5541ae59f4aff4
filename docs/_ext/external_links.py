"""Links into the documentation of other projects, also without a network.

Writes a small inventory for each project of ``external_links.toml``, which intersphinx
reads when it cannot fetch the project's own, and turns inline code such as
``GridSearchCV`` into a link to that name.
"""

import functools
import tomllib
import zlib
from pathlib import Path

from docutils import nodes

_TABLE = Path(__file__).with_suffix(".toml")
_ROLES = {"classes": "py:class", "functions": "py:function", "data": "py:data"}
_NO_LINKS_INSIDE = (nodes.reference, nodes.title, nodes.literal_block)


def _projects():
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def _objects(project):
    """Yield (name, kind, page) of each listed name of a project."""
    for key, role in _ROLES.items():
        for name in project.get(key, []):
            yield name, role, project["page"].format(name=name)
    for name, page in project.get("pages", {}).items():
        yield name, "py:class", page


def _inventory(label, project):
    """Return the bytes of a Sphinx inventory (version 2)."""
    header = (
        "# Sphinx inventory version 2\n"
        f"# Project: {label}\n"
        "# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = [f"{name} {role} 1 {page} -\n" for name, role, page in _objects(project)]
    return header.encode() + zlib.compress("".join(lines).encode())


def intersphinx_mapping(folder):
    """Write the inventories into ``folder``; return the setting for intersphinx."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for label, project in _projects().items():
        path = folder / f"{label}.inv"
        path.write_bytes(_inventory(label, project))
        # None is the project's own inventory; intersphinx falls back to the next one.
        mapping[label] = (project["url"], (None, str(path)))
    return mapping


@functools.cache
def _urls():
    """Return the address of each name, under the short and the full name."""
    urls = {}
    for project in _projects().values():
        for name, _, page in _objects(project):
            urls[name] = project["url"] + page
            module, _, short = name.rpartition(".")
            if module.startswith(("sklearn", "skorch")):
                urls[short] = urls[name]
            for long, alias in [("pandas.", "pd."), ("torch.nn.", "nn.")]:
                if name.startswith(long):
                    urls[name.replace(long, alias)] = urls[name]
    # Short names that mean something else in these pages: skdeep's own networks, and
    # skorch's progress bar.
    for name in ("MLPClassifier", "MLPRegressor", "ProgressBar"):
        del urls[name]
    return urls


def link_literals(app, doctree, docname):
    """Link the names listed, where each first occurs in a section."""
    urls = _urls()
    seen = set()
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext().removesuffix("()")
        parents = _ancestors(literal)
        section = next((p for p in parents if isinstance(p, nodes.section)), None)
        if (
            name not in urls
            or (id(section), name) in seen
            or any(isinstance(parent, _NO_LINKS_INSIDE) for parent in parents)
        ):
            continue
        seen.add((id(section), name))
        link = nodes.reference("", "", internal=False, refuri=urls[name])
        literal.replace_self(link)
        link += literal


def _ancestors(node):
    ancestors = []
    while node.parent is not None:
        node = node.parent
        ancestors.append(node)
    return ancestors


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", link_literals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
