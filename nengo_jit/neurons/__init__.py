"""Formulas of neuron types, one file each; every file in this folder is imported here."""

from importlib import import_module
from pkgutil import iter_modules

from nengo_jit.neurons.base import Formula, formula_of, formulas, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Formula", "formula_of", "formulas", "register"]
