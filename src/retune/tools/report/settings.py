"""Settings behind a pipeline's figures, and the changes of each variant."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.yaml_files import flatten, load_yaml
from retune.tools.project.graph import Pipeline
from retune.tools.project.locks import PARAMS, Lock
from retune.tools.report.content import Block, Column, Remark, Section, Table, section

_VARIANTS = "variants"


def settings(root: Path, pipeline: Pipeline, lock: Lock) -> list[Section]:
    """Return the settings that the last run read from params.yaml, or the whole file."""
    try:
        blocks = [*_blocks(root / pipeline.folder / PARAMS, lock)]
        return section("Settings", blocks, folded=True)
    except RetuneError as error:
        return section("Settings", [Remark(str(error), "fault")])


def _blocks(file: Path, lock: Lock) -> Iterator[Block]:
    now = load_yaml(file)
    used = lock.params(PARAMS) if lock.there else now
    shared = [pair for pair in flatten(used) if pair[0].partition(".")[0] != _VARIANTS]
    sections: dict[str, list[str]] = {}
    for name, value in sorted(shared):
        section_, _, key = name.rpartition(".")
        sections.setdefault(section_, []).append(f"{key}: {_told(value)}")
    told = "of the last run" if lock.there else "as in params.yaml; nothing has run yet"
    rows = tuple((name, ", ".join(told_)) for name, told_ in sections.items())
    yield Table(f"Settings {told}", (Column("section", "code"), Column("settings")), rows)
    variants = now.get(_VARIANTS)
    if isinstance(variants, dict):
        changes = tuple(
            (name, ", ".join(f"{key}: {_told(value)}" for key, value in flatten(changed)))
            for name, changed in variants.items()
            if isinstance(changed, dict)  # others are refused by the stages
        )
        yield Table(
            "What each variant changes", (Column("variant", "code"), Column("changes")), changes
        )
    if differing := [name for name, value in used.items() if _at(now, name) != value]:
        yield Remark(
            f"params.yaml has changed since that run: {listed(sorted(differing))}. "
            "The figures are of the settings above.",
            "missing",
        )


def _at(tree: Mapping[str, Any], name: str) -> Any:
    value: Any = tree
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
