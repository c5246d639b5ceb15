"""Imports go one way down the pipeline, and Numba and JAX stay behind their engines."""

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest

import nengo_jit

PACKAGE = Path(nengo_jit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(
    path
    for folder in ("benchmarks", "docs", "examples", "gallery")
    for path in (PACKAGE.parent / folder).rglob("*.py")
)

# From the stage that everything may import to the one that nothing may.
PIPELINE = [
    "exceptions",
    "scalar",
    "parallel",
    "regions",
    "settings",
    "options",
    "collector",
    "stages",
    "labels",
    "markup",
    "progress",
    "neurons",
    "ir",
    "builder",
    "planner",
    "engines",
    "batching",
    "profiling",
    "persistence",
    "data",
    "turn",
    "by_hand",
    "building",
    "internals",
    "inspection",
    "lasting",
    "checkpointing",
    "running",
    "simulator",
    "converters",
    "sweeps",
    "training",
    "plot",
    "__init__",
    "cli",
    "__main__",
]

# The rooms of the CPU engine, from what kernels are written in to the kernels themselves.
ROOMS = ["language", "toolchain", "program", "python", "kernels"]

# What runs models does not know how they are built.
WITHOUT_BUILDER = ("planner", "engines", "persistence", "data")


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names.add(node.module)
    return names


def stage(module: str) -> int:
    parts = module.split(".")
    return PIPELINE.index(parts[1] if len(parts) > 1 else "__init__")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts)


def room(module: str) -> int:
    parts = module.split(".")
    if parts[:3] != ["nengo_jit", "engines", "cpu"] or len(parts) < 4:
        return -1
    return ROOMS.index(parts[3]) if parts[3] in ROOMS else len(ROOMS)


def test_every_module_belongs_to_a_stage():
    for path in MODULES:
        stage(module_name(path))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_down_the_pipeline(path):
    for name in imported_modules(path):
        if name.split(".")[0] == "nengo_jit":
            assert stage(name) <= stage(module_name(path)), f"imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_what_runs_models_does_not_import_what_builds_them(path):
    if module_name(path).split(".")[1] in WITHOUT_BUILDER:
        names = imported_modules(path)
        assert [name for name in names if name.startswith("nengo_jit.builder")] == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way_through_the_rooms_of_the_cpu_engine(path):
    if room(module_name(path)) >= 0:
        for name in imported_modules(path):
            assert room(name) <= room(module_name(path)), f"imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_compilers_are_imported_only_by_their_engines(path):
    roots = {name.split(".")[0] for name in imported_modules(path)}
    if "engines/cpu/toolchain" not in path.as_posix():
        assert "numba" not in roots
    if "engines/jax" not in path.as_posix() and "training" not in path.parts:
        assert not {"jax", "optax"} & roots


def test_stages_do_not_import_in_circles():
    graph = {module_name(path): imported_modules(path) for path in MODULES}

    def reaches(name, goal, seen):
        for other in graph.get(name, ()):
            if other == goal:
                return True
            if other not in seen:
                seen.add(other)
                if reaches(other, goal, seen):
                    return True
        return False

    assert [name for name in graph if reaches(name, name, set())] == []


def test_names_of_test_files_differ():
    """Pytest imports test files by their names alone."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=module_name)
def test_scripts_import_names_that_exist(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "nengo_jit":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
