"""The how-to pages take effect as written: their tests are run as a reader runs them."""

import re
import subprocess
import sys

import pytest
from pages import DOCS, HOW_TO, files, install, text_of

SETTINGS = "[decoder_cache]\nenabled: False\n[progress]\nprogress_bar: False\n"


@pytest.mark.parametrize("page", HOW_TO)
def test_what_a_page_shows_passes_the_tests_that_it_shows(page, tmp_path):
    install(page, tmp_path)
    (tmp_path / "nengorc").write_text(SETTINGS)
    (command,) = re.findall(r"[Rr]un\s+`pytest ([^`]+)`", text_of(page))
    arguments = [sys.executable, "-m", "pytest", *command.split()]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout) and "skipped" not in done.stdout


@pytest.mark.parametrize("page", HOW_TO)
def test_code_on_pages_is_formatted_and_checked(page, tmp_path):
    install(page, tmp_path)
    for command in (["format", "--check"], ["check", "--select", "E,F,UP,B", "--ignore", "B905"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--line-length", "100", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


OTHERS = {
    "architecture.md",
    "command_line.md",
    "cpu_engine.md",
    "gui.md",
    "jax_engine.md",
    "large_models.md",
    "training.md",
}


def test_every_page_is_found_from_the_readme():
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    pages = {path.name for path in DOCS.glob("*.md")}
    assert pages == {f"{page}.md" for page in HOW_TO} | OTHERS
    assert pages <= set(re.findall(r"docs/(\w+\.md)", readme))


def test_files_that_pages_name_are_there():
    root = DOCS.parent
    folders = ("nengo_jit", "tests", "benchmarks", "examples", "docs")
    known = [
        f"/{path.relative_to(root).as_posix()}" for f in folders for path in (root / f).rglob("*.*")
    ]
    own = {name for page in HOW_TO for name in files(page)}
    for page in sorted(DOCS.glob("*.md")):
        named = re.findall(r"[`(#]((?:[\w<>]+/)*[\w<>]+\.(?:py|md|sh))\b", page.read_text("utf-8"))
        missing = [
            name
            for name in named
            if "<" not in name
            and name not in own
            and not any(path.endswith(f"/{name}") for path in known)
        ]
        assert not missing, page.name
