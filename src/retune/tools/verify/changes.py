"""`retune diff`: the figures that changed between two commits, as a Markdown table."""

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retune.core.errors import RetuneError
from retune.tasks.task import main_task
from retune.tools.project.commands import git
from retune.tools.verify.clones import project_root
from retune.tools.verify.command import tolerances_of
from retune.tools.verify.compare import EQUAL, Run, chosen_rule, read_run, verdict_on, without_times

_MOST_ROWS = 25


def run(arguments: argparse.Namespace) -> int:
    """Print the table and return 0."""
    root = project_root()
    with _checkout(root, arguments.base) as base:
        for line in table(read_run(base), read_run(root), tolerances_of(root)):
            print(line)
    return 0


def table(base: Run, head: Run, tolerances: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of the table: headline, environments, changed figures."""
    old, new, headline = _figures(base), _figures(head), _headline()
    rule, reason = chosen_rule(base.environment, head.environment)
    yield ", ".join(
        f"{heading} **{_shown(new.get(key))}** (base {_shown(old.get(key))})"
        for key, heading in headline.items()
        if key in old or key in new
    )
    yield ""
    yield _about(rule, reason)
    changed = [key for key in _ordered(old, new) if old.get(key) != new.get(key)]
    yield ""
    if not changed:
        yield "No figure changed."
        return
    yield from ("| figure | base | head | change | verdict |", "|---|--:|--:|--:|---|")
    for key in changed[:_MOST_ROWS]:
        verdict, _ = verdict_on({key: old.get(key)}, {key: new.get(key)}, rule, tolerances)
        cells = [_shown(old.get(key)), _shown(new.get(key)), _change(old.get(key), new.get(key))]
        name = headline.get(key, f"`{key}`")
        yield f"| {name} | {' | '.join(cells)} | {'changed' if rule == EQUAL else verdict} |"
    if len(changed) > _MOST_ROWS:
        more = len(changed) - _MOST_ROWS
        yield f"\n{more} more figures changed; `dvc metrics diff` shows them."


def _about(rule: str, reason: str) -> str:
    if rule == EQUAL:
        return "Base and head ran in the same environment, so the code made every change."
    return (
        f"Base and head ran in different environments ({reason}), so the verdicts use the "
        "tolerances in `claims.yaml`, as `retune verify` does."
    )


def _figures(run: Run) -> dict[str, Any]:
    """Return the figures of all metrics files by dotted name, without times."""
    return {key: value for content in run.figures.values() for key, value in _named(content)}


def _named(content: Any) -> Iterator[tuple[str, Any]]:
    for key, value in without_times(content).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield key, value


def _headline() -> dict[str, str]:
    """Return the headings of the main pipeline's scores, by dotted name."""
    task = main_task()
    return {task.key(figure.name): figure.heading for figure in task.compared}


def _ordered(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Sort the names: headline figures, then plain figures, then figures in lists."""
    headline = _headline()
    return sorted(
        {*old, *new},
        key=lambda key: (key not in headline, any(p.isdigit() for p in key.split(".")), key),
    )


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _change(old: Any, new: Any) -> str:
    return "" if old is None or new is None else f"{new - old:+,.2f}"


@contextlib.contextmanager
def _checkout(root: Path, base: str) -> Iterator[Path]:
    """Yield a folder with the files of `base`: the folder itself, or a clone of that commit."""
    if (Path(base) / "dvc.lock").is_file():
        yield Path(base)
        return
    try:
        commit = git(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    except RetuneError:
        raise RetuneError(
            f"{base}: neither a folder with a dvc.lock nor a commit; name one of them"
        ) from None
    with TemporaryDirectory(prefix="retune-diff-") as top:
        git(root, "clone", "--quiet", "--no-checkout", str(root), f"{top}/base")
        git(Path(top) / "base", "checkout", "--quiet", "--detach", commit)
        yield Path(top) / "base"
