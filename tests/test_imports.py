"""Which subpackages and libraries each part of skdeep imports, read from the source."""

import ast
import functools
from pathlib import Path

import pytest

import skdeep

ROOT = Path(skdeep.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# What a part may import: other parts of skdeep, and libraries (None: any). A part may
# always import itself.
PARTS = {
    "networks": {"skdeep": set(), "libraries": {"torch", "numpy"}},
    "losses": {"skdeep": set(), "libraries": {"torch"}},
    "encoding": {"skdeep": set(), "libraries": None},
    "training": {"skdeep": set(), "libraries": None},
    "estimators": {
        "skdeep": {"networks", "losses", "encoding", "training", "preprocessing"},
        "libraries": None,
    },
    "callbacks": {"skdeep": {"training"}, "libraries": None},
    "datasets": {"skdeep": {"preprocessing"}, "libraries": None},
    "inspection": {"skdeep": {"encoding"}, "libraries": None},
    "metrics": {"skdeep": {"encoding"}, "libraries": None},
    "model_selection": {"skdeep": set(), "libraries": None},
    "preprocessing": {"skdeep": {"encoding"}, "libraries": None},
    "testing": {"skdeep": set(), "libraries": None},
}
# Modules in the root that any part may import.
SHARED = {
    "_axes",
    "_distribution",
    "_deprecation",
    "_failed_fits",
    "_live_bar",
    "_input_checks",
    "_messages",
    "_optional_dependencies",
    "_param_validation",
    "_versions",
}
# Libraries that one part alone imports.
HOMES = {"skorch": "training", "optuna": "model_selection"}
STANDARD = set(__import__("sys").stdlib_module_names)


def imports(tree):
    """Return the full names of all modules imported in a piece of syntax."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def part_of(path):
    return path.relative_to(ROOT).parts[0]


@functools.cache
def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


INSIDE = [path for path in SOURCES if path.parent != ROOT]


@pytest.mark.parametrize("path", INSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_parts_import_in_one_direction(path):
    part = part_of(path)
    rule = PARTS[part]
    for name in imports(parse(path)):
        top, *rest = name.split(".")
        if name.startswith("."):
            assert name.count(".") == 1, f"{name} leaves its part"
        elif top == "skdeep":
            assert rest, f"{part} imports all of skdeep"
            assert rest[0] in {part, *SHARED, *rule["skdeep"]}, name
        elif rule["libraries"] is not None and top not in STANDARD:
            assert top in rule["libraries"], name


@pytest.mark.parametrize("library", HOMES)
def test_library_is_imported_by_one_part_only(library):
    users = {
        part_of(p)
        for p in SOURCES
        for n in imports(parse(p))
        if n.split(".")[0] == library
    }
    assert users <= {HOMES[library]}


@pytest.mark.parametrize("library", ["matplotlib", "pytest"])
def test_library_is_imported_where_it_is_used(library):
    """Drawing libraries are slow to load; pytest may not be installed."""
    users = [str(p.relative_to(ROOT)) for p in SOURCES if library in outside_imports(p)]
    assert users == []


def outside_imports(path):
    """Return the libraries that importing a module imports, outside of functions."""
    tree = parse(path)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    outside = ast.Module(body=[], type_ignores=[])
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            outside.body += [n for n in node.body if not isinstance(n, functions)]
        elif not isinstance(node, functions):
            outside.body.append(node)
    return {name.split(".")[0] for name in imports(outside)}


@pytest.mark.parametrize("library", ["PIL", "lime", "skimage"])
def test_library_is_not_imported_by_a_statement(library):
    """lime is for tests only, and import_optional names the extra of others."""
    names = {name for path in SOURCES for name in imports(parse(path))}
    assert not {name for name in names if name.split(".")[0] == library}


def test_every_part_has_an_import_rule():
    folders = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert folders <= set(PARTS)


def test_only_shared_modules_are_in_the_root():
    names = {path.stem for path in SOURCES if path.parent == ROOT}
    assert names <= {"__init__", *SHARED}
