"""Everything public has a docstring, its own or an inherited one, and a stated type."""

import importlib
import inspect
import pkgutil

import pytest

import nengo_jit
from nengo_jit.ir.base import Operator

MODULES = sorted(
    info.name for info in pkgutil.walk_packages(nengo_jit.__path__, prefix="nengo_jit.")
)


def public(namespace):
    return {name: value for name, value in vars(namespace).items() if not name.startswith("_")}


def documented_objects(module):
    for name, value in public(module).items():
        if getattr(value, "__module__", None) != module.__name__ or not callable(value):
            continue
        yield name, value
        if inspect.isclass(value):
            for member, definition in public(value).items():
                if inspect.isroutine(definition) or isinstance(definition, property):
                    yield f"{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("name", MODULES)
def test_public_objects_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    missing = [label for label, value in documented_objects(module) if not inspect.getdoc(value)]
    assert missing == []


def operators(base=Operator):
    for cls in base.__subclasses__():
        if cls.__module__.startswith("nengo_jit."):
            yield cls
            yield from operators(cls)


@pytest.mark.parametrize("cls", operators(), ids=lambda cls: cls.__name__)
def test_operators_say_what_they_implement_and_touch(cls):
    doc = inspect.getdoc(cls)
    assert "Implements" in doc
    if "`GeneralConvInc`" not in doc:
        notes = doc[doc.index("Notes") :]
        assert all(role in notes for role in ("sets", "incs", "reads", "updates"))
