"""Every public name is in a public subpackage and documented, with an example."""

import importlib
import inspect
import operator
import pkgutil
import re

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import skdeep

# What a user imports from; losses, networks, encoding and training are internal.
PUBLIC_SUBPACKAGES = [
    "datasets",
    "estimators",
    "inspection",
    "metrics",
    "model_selection",
    "preprocessing",
]
NAMES = [
    name
    for name in skdeep.__all__
    if name != "__version__" and not inspect.ismodule(getattr(skdeep, name))
]
# For people who write an estimator: names that are not at the top level.
DEVELOPER_SUBPACKAGES = ["testing"]
BASE_CLASSES = {"BaseNetwork", "ClassifierNetwork", "RegressorNetwork"}
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(skdeep, name))]
CLASSES = [name for name in NAMES if inspect.isclass(getattr(skdeep, name))]
DEVELOPER_FUNCTIONS = [
    f"{subpackage}.{name}"
    for subpackage in DEVELOPER_SUBPACKAGES
    for name in importlib.import_module(f"skdeep.{subpackage}").__all__
]


def packages():
    """Return the names of skdeep and all its subpackages."""
    found = pkgutil.walk_packages(skdeep.__path__, "skdeep.")
    return ["skdeep", *(module.name for module in found if module.ispkg)]


def sort_key(name):
    """Order names as the linter does: CONSTANTS, Classes, the rest."""
    return (not name.isupper(), not name[0].isupper(), name)


def public_methods(cls):
    """Return the public methods of a class that are defined in skdeep."""
    return [
        (name, member)
        for name, member in inspect.getmembers(cls, callable)
        if not name.startswith("_")
        and inspect.unwrap(getattr(member, "fn", member)).__module__.startswith(
            "skdeep"
        )
    ]


@pytest.mark.parametrize("package", packages())
def test_all_is_sorted_and_complete(package):
    module = importlib.import_module(package)
    # The lazy imports sort plainly, ruff puts acronyms first.
    key = None if package == "skdeep" else sort_key
    assert list(module.__all__) == sorted(module.__all__, key=key)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("name", NAMES)
def test_name_is_in_a_public_subpackage(name):
    homes = [importlib.import_module(f"skdeep.{sub}") for sub in PUBLIC_SUBPACKAGES]
    assert [
        home for home in homes if getattr(home, name, None) is getattr(skdeep, name)
    ]


@pytest.mark.parametrize("subpackage", PUBLIC_SUBPACKAGES)
def test_subpackage_names_are_at_the_top_level(subpackage):
    module = importlib.import_module(f"skdeep.{subpackage}")
    assert set(module.__all__) - BASE_CLASSES <= set(skdeep.__all__)


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", skdeep.__version__)


def assert_documented(doc, signature, has_result):
    assert doc["Summary"]
    named = [name for p in doc["Parameters"] for name in p.name.split(", ")]
    expected = [name for name in signature.parameters if name not in ("self", "cls")]
    # Grouped by subject, so not always in the order of the signature.
    assert sorted(name.lstrip("*") for name in named) == sorted(expected)
    for parameter in doc["Parameters"]:
        assert parameter.type, parameter.name
        assert parameter.desc, parameter.name
    if has_result:
        assert doc["Returns"] or doc["Yields"]


@pytest.mark.parametrize("name", CLASSES)
def test_class_is_documented(name):
    cls = getattr(skdeep, name)
    doc = ClassDoc(cls)
    assert_documented(doc, inspect.signature(cls.__init__), has_result=False)
    assert any(line.startswith(">>>") for line in doc["Examples"])
    assert doc["Attributes"]


@pytest.mark.parametrize("name", [*FUNCTIONS, *DEVELOPER_FUNCTIONS])
def test_function_is_documented(name):
    function = operator.attrgetter(name)(skdeep)
    doc = FunctionDoc(function)
    has_result = inspect.signature(function).return_annotation != "None"
    assert_documented(doc, inspect.signature(function), has_result=has_result)
    assert any(line.startswith(">>>") for line in doc["Examples"])


@pytest.mark.parametrize("name", CLASSES)
def test_methods_are_documented(name):
    methods = public_methods(getattr(skdeep, name))
    assert methods
    for method_name, method in methods:
        function = getattr(method, "fn", method)
        doc = FunctionDoc(function)
        assert_documented(doc, inspect.signature(function), has_result=True)
        assert doc["Returns"], method_name


@pytest.mark.parametrize("name", CLASSES)
def test_default_values_are_as_documented(name):
    cls = getattr(skdeep, name)
    defaults = inspect.signature(cls.__init__).parameters
    for parameter in ClassDoc(cls)["Parameters"]:
        for each in parameter.name.split(", "):
            found = re.search(r"default=(.+)$", parameter.type, re.DOTALL)
            default = defaults[each.lstrip("*")].default
            if default is inspect.Parameter.empty:
                assert not found, each
            else:
                assert found, f"{each} has no default in its documentation"
                documented = eval(found[1], {"np": np})
                both_nan = documented != documented and default != default
                assert documented == default or both_nan, each
