"""Every snippet of params in the README and the guides is valid for the stages that read it."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import PAGES, blocks, names, pipeline

from retune.core.params import load_yaml
from retune.preflight.validation import problems_of, read_params, unknown_sections


def snippets() -> list[Any]:
    return [
        pytest.param(page, block, id=f"{page}: {number}")
        for page in PAGES
        for number, block in enumerate(blocks(page, "yaml"))
    ]


@pytest.mark.parametrize(("page", "block"), snippets())
def test_a_snippet_of_params_is_valid(page: str, block: str, tmp_path: Path) -> None:
    snippet, folder = yaml.safe_load(block.replace("<commit>", "a" * 40)), pipeline(page)
    known = names(folder)
    if not snippet.keys() <= known or "toy" in block:
        assert snippet.keys() <= {"vars", "stages", "metrics", "toy"}
        return
    changed = tmp_path / "params.yaml"
    merged = merge(load_yaml(folder / "params.yaml"), snippet)
    changed.write_text(yaml.safe_dump(merged), encoding="utf-8")
    readings = read_params(folder, changed)
    assert readings
    assert [*problems_of(readings), *unknown_sections(readings, folder, changed)] == []


def test_the_code_in_the_guides_imports_what_there_is() -> None:
    found = [node for page in PAGES for block in blocks(page, "python") for node in imports(block)]
    assert len(found) > 5
    for node in found:
        module = importlib.import_module(str(node.module))
        assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def imports(block: str) -> list[ast.ImportFrom]:
    """The imports of the project's own modules, without those of the guide's toy task."""
    nodes = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    return [
        n for n in nodes if (n.module or "").startswith("retune") and ".toy" not in str(n.module)
    ]


def test_the_task_of_the_guide_is_a_task() -> None:
    (block,) = (b for b in blocks("docs/own-task.md", "python") if "TASK = " in b)
    names: dict[str, Any] = {}
    exec(block, names)
    assert [figure.name for figure in names["TASK"].compared] == ["accuracy", "error"]


def merge(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {name: merge(base.get(name), value) for name, value in changes.items()}
