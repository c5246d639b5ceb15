"""The how-to pages in docs/, as their readers follow them: files made of the pages' code."""

import re
import tomllib
from pathlib import Path

from nengo_jit.engines import GROUP

DOCS = Path(__file__).parents[1] / "docs"
HOW_TO = ["neurons", "synapses", "learning_rules", "engines", "checkpoints", "sweeps"]


def text_of(page: str) -> str:
    """The text of a page."""
    return (DOCS / f"{page}.md").read_text("utf-8")


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """What a page says before each block of code in a language, and the code."""
    parts = re.split(r"```(\w+)\n(.*?)```", text_of(page), flags=re.DOTALL)
    return [
        (prose, code)
        for prose, found, code in zip(parts[::3], parts[1::3], parts[2::3])
        if found == language
    ]


def files(page: str) -> dict[str, str]:
    """The files that a page has its readers save, by name; all code must belong to one."""
    found: dict[str, str] = {}
    for prose, code in blocks(page, "python"):
        what, name = re.findall(r"(Save this as|Add this to)\s+`([\w.]+)`", prose)[-1]
        assert (what == "Save this as") is (name not in found), f"{page}.md: {what} {name}"
        found[name] = "\n\n".join([found[name], code]) if name in found else code
    return found


def install(page: str, folder: Path) -> None:
    """Save the files of a page, and its entry points as a package has them that is installed."""
    for name, code in files(page).items():
        (folder / name).write_text(code, "utf-8")
    for _, project in blocks(page, "toml"):
        points = tomllib.loads(project)["project"]["entry-points"][GROUP]
        package = folder / f"{page}-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {page}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (package / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
