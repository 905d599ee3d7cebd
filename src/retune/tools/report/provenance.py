"""Provenance of figures: commit, lock, versions and machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retune import __version__
from retune.core.errors import RetuneError, listed
from retune.tools.project.commands import git, uncommitted
from retune.tools.project.locks import VERSIONS, Lock
from retune.tools.report.content import Block, Column, Remark, Section, Table, section
from retune.tools.report.results import Metrics

_COLUMNS = (Column("what"), Column("value"))


def of_project(root: Path) -> Section:
    """Return the commit, its date, and tracked files that differ from it."""
    facts: list[tuple[str, str]] = []
    remarks: list[Block] = []
    try:
        commit, date = git(root, "log", "-1", "--format=%H%n%cI").split("\n")
        facts += [("commit", commit), ("date of the commit", date)]
        # Untracked files, such as this report, change no figure.
        facts.append(("changed since", listed(uncommitted(root)) or "nothing"))
    except (RetuneError, FileNotFoundError, ValueError):
        remarks.append(
            Remark("There is no git commit here, so the report cannot name one.", "missing")
        )
    table = Table("The project", _COLUMNS, (*facts, ("retune", __version__)))
    return Section("Provenance", (table, *remarks))


def of_pipeline(lock: Lock, found: Sequence[Metrics], command: str) -> list[Section]:
    """Return the provenance in dvc.lock and in the metrics."""
    blocks: list[Block] = []
    if not lock.there:
        blocks.append(Remark(f"{lock.name} is not there: `{command}` writes it.", "missing"))
    else:
        try:
            blocks += _of_lock(lock, command)
        except RetuneError as error:
            blocks.append(Remark(str(error), "fault"))
    machines = sorted({_words(environment) for environment in _environments(found)})
    rows = tuple(("machine and libraries", machine) for machine in machines)
    blocks += [Table("Environment that the runs recorded", _COLUMNS, rows)] if rows else []
    return section("Provenance", blocks)


def _of_lock(lock: Lock, command: str) -> Iterator[Block]:
    versions = lock.params(VERSIONS)
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    facts = [(f"SHA-256 of {lock.name}", lock.sha256), ("stages", str(len(lock.stages)))]
    facts += [("versions that stages depend on", told)] if told else []
    yield Table("The last run", _COLUMNS, tuple(facts))
    if changed := lock.changed():
        yield Remark(
            f"Changed since the last run: {listed(changed)}. `{command}` brings the "
            "figures up to date.",
            "missing",
        )
    else:
        yield Remark("Code and figures have not changed since the last run.")


def _environments(found: Sequence[Metrics]) -> Iterator[Sequence[Any]]:
    for metrics in found:
        yield from _under(metrics.value, "environment")


def _under(value: Any, name: str) -> Iterator[Sequence[Any]]:
    """Yield the lists under a key at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get(name), list):
            yield value[name]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _under(item, name)


def _words(environment: Sequence[Any]) -> str:
    return ", ".join(map(str, environment))
