"""Optuna is imported by the first fit, and is optional."""

import ast
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

import skdeep
from skdeep import OptunaSearchCV

ROOT = Path(skdeep.__file__).parent


def imported_with(module, seen):
    """Collect the modules that an import of a module of skdeep imports."""
    path = ROOT.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            if name not in seen:
                seen.add(name)
                if name.startswith("skdeep."):
                    imported_with(name, seen)
    return {name.split(".")[0] for name in seen}


def test_importing_skdeep_does_not_import_optuna():
    found = imported_with("skdeep.model_selection", set())
    assert "sklearn" in found
    assert not {"optuna", "sqlalchemy", "alembic"} & found


def test_missing_optuna_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    search = OptunaSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    assert "OptunaSearchCV(" in repr(search)
    with pytest.raises(ImportError, match=r"pip install 'scikit-deep\[tune\]'"):
        search.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
