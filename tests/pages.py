"""The README, the guides and the other documents, as tests read them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from retune.core.params import load_yaml

ROOT = Path(__file__).resolve().parent.parent
README = "README.md"
PAGES = [
    *(README, "CONTRIBUTING.md", "AGENTS.md"),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md"))),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("pipelines/*/README.md"))),
]
#: Files and params that a guide tells the reader to add.
ADDED = re.compile(r"data/|metrics/|.*\b(mine|toy)\b")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text_of(page), re.DOTALL | re.MULTILINE)


def pipeline(page: str, words: tuple[str, ...] = ()) -> Path:
    """The folder of the pipeline that a page, or a command of it, is about."""
    for option, value in pairwise(words):
        if option == "--pipeline" and value != "qa":
            return ROOT / "pipelines" / value
    sister = ROOT / page.rpartition("/")[0]
    return sister if (sister / "dvc.yaml").exists() else ROOT


@cache
def names(folder: Path) -> set[str]:
    """The dotted names of all params of the pipeline in `folder`."""

    def dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
        for name, value in tree.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from dotted(value, f"{prefix}{name}.")

    return set(dotted(load_yaml(folder / "params.yaml")))


@cache
def stages(folder: Path) -> set[str]:
    """The names of the stages of the pipeline in `folder`."""
    return set(load_yaml(folder / "dvc.yaml")["stages"])
