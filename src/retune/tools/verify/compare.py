"""Compare two runs of a pipeline, output by output.

If both ran in the same environment, all bytes must be equal, except times. Other processors round
differently, so in another environment only the outputs of stages before the numeric work must be
equal; later figures may differ by a stated tolerance.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retune.core.errors import listed
from retune.core.files import read_json
from retune.tools.project.locks import Lock

#: Figures that differ between runs, and the environment.
_TIMES = re.compile(r"(_seconds|_per_second|_memory_mb|^environment)$")
_LIBRARY = re.compile(r"^[A-Za-z_]+ \d+\.\d")
EQUAL, TOLERANT = "equal bytes", "stated tolerances"
_VERDICTS = ("same", "within tolerance", "not compared", "differs")


@dataclass(frozen=True)
class Run:
    """A run, read from dvc.lock and the metrics files."""

    stages: dict[str, Any]  # of dvc.lock
    figures: dict[str, Any]  # by path: the content of JSON outputs

    @property
    def environment(self) -> list[str] | None:
        """The environment that the run recorded, if any."""
        return next(self._environments(), (None, None))[1]

    @property
    def numeric(self) -> set[str]:
        """The stage that records its environment, and all stages that depend on it."""
        found = {path for path, _ in self._environments()}
        stages: set[str] = set()
        for name, stage in self.stages.items():
            if found & set(_paths(stage, "outs")):
                stages.add(name)
        while more := {
            name
            for name, stage in self.stages.items()
            if name not in stages
            and set(_paths(stage, "deps"))
            & {path for other in stages for path in _paths(self.stages[other], "outs")}
        }:
            stages |= more
        return stages

    def _environments(self) -> Iterator[tuple[str, list[str]]]:
        for path, content in self.figures.items():
            for key, value in _leaves(content, lists=False):
                if key.rpartition(".")[2] == "environment":
                    yield path, value


@dataclass(frozen=True)
class Row:
    """The verdict on one output or dependency of a stage."""

    stage: str
    artefact: str
    verdict: str  # same, within tolerance, not compared, differs
    detail: str = ""


@dataclass(frozen=True)
class Comparison:
    """All verdicts, and the rule behind them."""

    rule: str
    reason: str
    rows: tuple[Row, ...]
    tolerances: Mapping[str, float] = field(default_factory=dict)  # of figures, by their last word

    @property
    def conclusion(self) -> str:
        """A summary of the rows in one line."""
        of = {v: [row.artefact for row in self.rows if row.verdict == v] for v in _VERDICTS}
        if of["differs"]:
            return f"{len(of['differs'])} of {len(self.rows)} differ"
        if self.rule == EQUAL:
            return "nothing differs"
        allowed = [f"{name} {most:g}" for name, most in sorted(self.tolerances.items())]
        parts = [f"{len(of['same'])} of {len(self.rows)} the same"]
        if of["within tolerance"]:
            parts.append(
                f"{listed(of['within tolerance'])} within tolerance (at most "
                f"{', '.join(allowed) or 'nothing'} apart)"
            )
        if of["not compared"]:
            parts.append(f"not compared: {listed(of['not compared'])}")
        return f"{'; '.join(parts)}; nothing differs more than claims.yaml allows"

    @property
    def agrees(self) -> bool:
        """Whether no row differs."""
        return all(row.verdict != "differs" for row in self.rows)


def read_run(folder: Path) -> Run:
    """Read the run in `folder`."""
    stages = Lock(folder, "").stages
    outs = [path for stage in stages.values() for path in _paths(stage, "outs")]
    files = [path for path in outs if path.endswith(".json") and (folder / path).is_file()]
    return Run(stages, {path: read_json(folder / path) for path in files})


def compare(committed: Run, reproduced: Run, tolerances: Mapping[str, float]) -> Comparison:
    """Compare two runs output by output; `tolerances` are by the last word of a figure's name."""
    rule, reason = chosen_rule(committed.environment, reproduced.environment)
    rows = [
        row
        for name in committed.stages
        for row in _stage(name, committed, reproduced, rule, tolerances)
    ]
    strangers = sorted(set(reproduced.stages) - set(committed.stages))
    rows += [Row(name, "dvc.lock", "differs", "a stage that is not recorded") for name in strangers]
    return Comparison(rule, reason, tuple(rows), dict(tolerances))


def chosen_rule(recorded: list[str] | None, here: list[str] | None) -> tuple[str, str]:
    """Return the rule for two environments, and the reason."""
    if recorded == here:
        return EQUAL, f"the environment is the recorded one ({', '.join(here or ['none'])})"
    if recorded is None or here is None:
        return TOLERANT, f"{'the recorded' if recorded is None else 'this'} run records none"
    gone = [entry for entry in recorded if entry not in here]
    new = [entry for entry in here if entry not in recorded]
    return TOLERANT, (
        f"the environment differs: recorded {', '.join(gone) or 'nothing else'}; "
        f"here {', '.join(new) or 'nothing else'}"
    )


def verdict_on(
    old: Mapping[str, Any], new: Mapping[str, Any], rule: str, tolerances: Mapping[str, float]
) -> tuple[str, str]:
    """Return the verdict on figures by name, and its details."""
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    if not changed:
        return "same", ""
    lines, beyond = [], False
    for key in sorted(changed):
        allowed = tolerances.get(key.rpartition(".")[2]) if rule == TOLERANT else None
        gap = _gap(old.get(key), new.get(key))
        beyond |= allowed is None or gap is None or gap > allowed
        lines.append(f"{key}: {_shown(old.get(key))}, here {_shown(new.get(key))}")
        lines[-1] += "" if allowed is None else f" (at most {allowed:g} apart)"
    return ("differs" if beyond else "within tolerance"), "; ".join(lines)


def _stage(
    name: str, committed: Run, reproduced: Run, rule: str, tolerances: Mapping[str, float]
) -> Iterator[Row]:
    old, new = committed.stages[name], reproduced.stages.get(name)
    if new is None:
        yield Row(name, "dvc.lock", "differs", "the stage did not run")
        return
    yield from _inputs(name, committed.stages, old, new)
    # Rounding may differ from the stage on that records the environment; libraries, in any stage.
    numeric = name in committed.numeric | reproduced.numeric or _other_libraries(
        committed, reproduced
    )
    here = rule if numeric else EQUAL
    sums, others = _sums(old, "outs"), _sums(new, "outs")
    for path, md5 in sums.items():
        if others.get(path) == md5:
            yield Row(name, path, "same")
        elif path in committed.figures and path in reproduced.figures:
            was, is_now = (without_times(run.figures[path]) for run in (committed, reproduced))
            verdict, detail = verdict_on(was, is_now, here, tolerances)
            yield Row(name, path, verdict, detail or "except times and environment")
        elif here == TOLERANT:
            yield Row(name, path, "not compared", "its bytes depend on the environment")
        else:
            yield Row(name, path, "differs", f"{md5}, here {others.get(path, 'not written')}")


def _inputs(name: str, recorded: Mapping[str, Any], old: Any, new: Any) -> Iterator[Row]:
    """Yield the code, params and data that differ from those in the committed lock."""
    made = {path for stage in recorded.values() for path in _paths(stage, "outs")}
    sums, others = _sums(old, "deps"), _sums(new, "deps")
    stale = [p for p in {*sums, *others} - made if sums.get(p) != others.get(p)]
    stale += [key for key in ("cmd", "params") if old.get(key) != new.get(key)]
    remedy = "changed since dvc.lock was written; run `dvc repro` and commit"
    for path in sorted(stale):
        yield Row(name, path, "differs", remedy)


def _other_libraries(committed: Run, reproduced: Run) -> bool:
    before, here = (
        {entry for entry in run.environment or () if _LIBRARY.match(entry)}
        for run in (committed, reproduced)
    )
    return before != here


def without_times(content: Any) -> dict[str, Any]:
    """Return the leaves of a metrics file by dotted name, without times and environment."""
    leaves = _leaves(content, lists=True)
    kept = (
        (key, value)
        for key, value in leaves
        if not any(_TIMES.search(part) for part in key.split("."))
    )
    return dict(kept)


def _leaves(value: Any, lists: bool, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield values by dotted name; a list of plain values is one value unless `lists`."""
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list) and (lists or any(isinstance(item, dict) for item in value)):
        items = enumerate(value)
    else:
        yield prefix.rstrip("."), value
        return
    for key, item in items:
        yield from _leaves(item, lists, f"{prefix}{key}.")


def _gap(old: Any, new: Any) -> float | None:
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    return abs(old - new) if numbers else None


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _sums(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry.get("md5", "none") for entry in stage.get(kind, [])}


def _paths(stage: Mapping[str, Any], kind: str) -> list[str]:
    return [entry["path"] for entry in stage.get(kind, [])]
