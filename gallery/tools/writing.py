"""The pages of the gallery, in Markdown: an index, and a page for each example."""

from dataclasses import dataclass
from textwrap import indent

from texts import Example

JIT, NENGO = "nengo_jit.Simulator", "nengo.Simulator"


@dataclass
class Result:
    """What running an example gave: seconds by simulator, printed lines, and when and where."""

    seconds: dict[str, dict[str, float]]
    printed: str
    measured: str

    def total(self, simulator: str) -> float:
        """Return the seconds that a simulator took to build and to run."""
        return self.seconds[simulator]["build"] + self.seconds[simulator]["run"]

    @property
    def verdict(self) -> str:
        """How much faster than nengo it is, and where it is not."""
        ratio = self.total(NENGO) / self.total(JIT)
        run = self.seconds[NENGO]["run"] / self.seconds[JIT]["run"]
        if ratio < 1:
            return f"Not faster than nengo: it takes {1 / ratio:.1f} times as long in all"
        slower = self.seconds[JIT]["build"] > self.seconds[NENGO]["build"]
        return (
            f"{ratio:.1f} times faster than nengo in all, {run:.0f} times in running"
            f"{', but slower to build' if slower else ''}"
        )


def picture(example: Example) -> str:
    """Return the picture of an example, on a light and on a dark page."""
    alt = f"What the example draws: {example.title}"
    return "\n".join(
        f"![{alt}]({example.name}.{style}.png#only-{style})" for style in ("light", "dark")
    )


def times(result: Result) -> str:
    """Return a table of times."""
    lines = ["| simulator | build (s) | run (s) |", "| --- | ---: | ---: |"]
    for simulator in (JIT, NENGO):
        seconds = result.seconds[simulator]
        lines.append(f"| `{simulator}` | {seconds['build']:.2f} | {seconds['run']:.2f} |")
    return "\n".join(lines)


def page(example: Example, result: Result | None) -> str:
    """Return the page of an example."""
    parts = [f"# {example.title}", example.introduction]
    if result is not None:
        parts += [picture(example), f"```text\n{result.printed}\n```", times(result)]
        parts += [f"{result.verdict}. Measured on {result.measured}."]
    parts += [
        f"This is `gallery/{example.name}.py`, from top to bottom. "
        f"[Download it as a notebook]({example.name}.ipynb)."
    ]
    for cell in example.cells:
        parts += [cell.text] if cell.text else []
        parts += [f"```python\n{cell.code}\n```"] if cell.code else []
    return "\n\n".join(parts) + "\n"


def card(example: Example, result: Result | None) -> str:
    """Return an example's entry in the index."""
    parts = [f"**[{example.title}]({example.name}.md)**"]
    if result is not None:
        parts += [picture(example)]
    parts += [example.introduction]
    if result is not None:
        parts += [f"*{result.verdict}.*"]
    return "-" + indent("\n\n".join(parts), "    ")[1:]


def index(sections: dict[str, list[Example]], results: dict[str, Result]) -> str:
    """Return the page that leads to all examples."""
    parts = [
        "# Gallery",
        "Each example is a script of less than a hundred lines, to be read from top to bottom, "
        "copied and changed. All of them are in the folder `gallery/` of the repository; "
        "`make gallery` runs them, and makes these pages.",
        "Times are those that simulators take to build and to run, each in a process of its own. "
        "Imports, drawing and training are not in them. A sweep is compared with a loop of nengo's "
        "simulators in one process. Times vary if other programs use the processors.",
    ]
    for title, examples in sections.items():
        cards = "\n\n".join(card(example, results.get(example.name)) for example in examples)
        parts += [f"## {title}", f'<div class="grid cards" markdown>\n\n{cards}\n\n</div>']
    return "\n\n".join(parts) + "\n"
