"""What MkDocs calls while it builds the site: pages from other folders, pictures, tables, checks.

A line that begins with ``<!-- generated: NAME -->`` is replaced by what a function of `GENERATED`
returns. So tables and pictures are of the code that the site was built from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pictures
import public
import supported
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]

GENERATED: dict[str, Callable[[], str]] = {
    "supported": supported.page,
    "stages": pictures.stages,
    "step": pictures.step,
    "levels": pictures.levels,
}
BEFORE_GALLERY = 4  # entries of the navigation
MARK = re.compile(r"^<!-- generated: (\w+) -->.*$", re.MULTILINE)

# Pages that are elsewhere in the repository, and their names on the site
ELSEWHERE = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
}
FROM_NETWORK = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|url\([\"']?(?:https?:)?//[^)]*\)"
)


def on_config(config: Any) -> Any:
    """Add the gallery to the navigation, if `make gallery` has made it."""
    index = ROOT / "docs" / "gallery" / "index.md"
    if index.exists():
        names = re.findall(r"\]\((\w+\.md)\)", index.read_text("utf-8"))
        pages = [f"gallery/{name}" for name in ("index.md", *dict.fromkeys(names))]
        config["nav"].insert(BEFORE_GALLERY, {"Gallery": pages})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are elsewhere in the repository."""
    for path, name in ELSEWHERE.items():
        text = (ROOT / path).read_text("utf-8").replace("](../docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Link to pages where they are on the site, and fill in what is generated."""
    if page.file.src_uri == "questions.md":
        page.meta["search"] = {"boost": 2}  # answers come first
    for path, name in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{path}", f"]({name}")
    return MARK.sub(lambda found: GENERATED[found[1]](), markdown)


def on_post_build(config: Any) -> None:
    """Check that pages load nothing from the network, and what the reference and the search have.

    Raises
    ------
    PluginError
        If not.
    """
    site = Path(config["site_dir"])
    pages = {path: path.read_text("utf-8") for path in sorted(site.rglob("*.html"))}
    wrong = [f"{path}: {each}" for path, text in pages.items() for each in loaded(text)]
    wrong += [
        f"{path}: {each}" for path in site.rglob("*.css") for each in loaded(path.read_text())
    ]
    reference = "".join(text for path, text in pages.items() if path.parent.name == "reference")
    names = set(re.findall(r'id="(nengo_jit[\w.]*)"', reference))
    wrong += [f"the reference lacks {name}" for name in sorted(set(public.names()) - names)]
    entries = json.loads((site / "search" / "search_index.json").read_text("utf-8"))["docs"]
    titles = {each["title"] for each in entries}
    questions = (ROOT / "docs" / "questions.md").read_text("utf-8")
    asked = set(re.findall(r"^## (.+)$", questions, re.MULTILINE))
    wrong += [f"the search does not find {each!r}" for each in sorted(asked - titles)]
    if wrong:
        raise PluginError("\n".join(wrong))


def loaded(text: str) -> Iterable[str]:
    """Yield what a page or a style sheet loads from the network."""
    for found in FROM_NETWORK.finditer(text):
        if 'rel="canonical"' not in found[0]:
            yield found[0]
