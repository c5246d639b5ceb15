"""The pages of the site, as their readers follow them: files and scripts made of the pages' code.

All blocks of Python on a page run. On the pages in `HOW_TO`, each block belongs to a file that the
page has its readers save. On all others, the blocks are one script, from top to bottom. A comment
``<!-- not run: REASON -->`` before a block excepts it.
"""

import re
import tomllib
from pathlib import Path

from nengo_jit.engines import GROUP

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HOW_TO = ["neurons", "synapses", "learning_rules", "engines", "checkpoints", "batches", "sweeps"]


NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*$")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def pages() -> list[str]:
    """All pages, by the path without its ending, relative to docs/; not those of the gallery."""
    found = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")]
    written = sorted(page for page in found if not page.startswith("gallery/"))
    return ["../README", "../benchmarks/README", *written]


def text_of(page: str) -> str:
    """The text of a page."""
    return (DOCS / f"{page}.md").read_text("utf-8")


def all_blocks(page: str) -> list[tuple[str, str, str]]:
    """What a page says before each block of code, the language, and the code."""
    parts = FENCED.split(text_of(page))
    return list(zip(parts[::3], parts[1::3], parts[2::3]))


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """What a page says before each block of a language that is run, and the code."""
    return [
        (prose, code)
        for prose, found, code in all_blocks(page)
        if found == language and not NOT_RUN.search(prose)
    ]


def commands(page: str) -> list[str]:
    """The lines of a page for a shell: in blocks, or indented."""
    fenced = [code for _, language, code in all_blocks(page) if language == "bash"]
    indented = re.findall(r"(?:^|\n)\n((?:    \S.*\n)+)", FENCED.sub("", text_of(page)))
    return [line.strip() for code in [*fenced, *indented] for line in code.splitlines()]


def links(page: str) -> list[str]:
    """What a page links to, apart from other sites."""
    found = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text_of(page)))
    return [each for each in found if not each.startswith(("http:", "https:"))]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), flags=re.MULTILINE)
    plain = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", each) for each in headings]
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in plain}


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
