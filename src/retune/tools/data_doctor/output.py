"""Print findings as text in 80 columns or as JSON."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from retune.core.errors import excerpt
from retune.core.terminal_text import cut
from retune.ingest.findings import Finding
from retune.tasks.qa.download.kinds import KINDS
from retune.tools.data_doctor.doctor import Examined

WIDTH = 80
#: How many findings of a kind are listed for each file, unless all are requested.
SHOWN = 3
#: Findings of this kind are listed last, by rank and not by file.
_RANKED = "implausible_label"


def as_text(
    examined: Sequence[Examined], *, everything: bool, ranked: Sequence[Finding] = ()
) -> str:
    """List findings by file and place, then those in the order `ranked`, then a summary by kind."""
    lines: list[str] = []
    for one in examined:
        lines += [*_file(one, everything), ""]
    if ranked:
        lines += [*_by_rank(ranked), ""]
    lines += _summary([finding for one in examined for finding in one.findings])
    return "\n".join(lines)


def as_json(
    examined: Sequence[Examined],
    code: int,
    checks: dict[str, bool],
    fixed: Any,
    labels: Any = None,
) -> str:
    """One JSON object with sorted keys, always in ASCII."""
    findings = [finding for one in examined for finding in one.findings]
    report = {
        "checks": checks,
        "exit_code": code,
        "files": [
            {"file": one.file, "readable": one.readable, "questions": len(one.records)}
            for one in examined
        ],
        "findings": [_row(finding) for finding in findings],
        "fix": fixed,
        "labels": labels,
        "kinds": {
            kind: {"found": found, "mended": mended}
            for kind, (found, mended) in sorted(_counts(findings).items())
        },
    }
    return json.dumps(report, indent=2, sort_keys=True, default=str)


def kinds_table() -> str:
    """All kinds, as a table in Markdown."""
    lines = ["| kind | | what it means | `--fix` | else |", "|---|---|---|---|---|"]
    for name, kind in KINDS.items():
        cells = [f"`{name}`", kind.severity, kind.meaning, kind.mend, kind.remedy]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def _file(one: Examined, everything: bool) -> Iterator[str]:
    state = f"{len(one.records):,} questions" if one.readable else "not readable"
    yield f"{one.file}: {state}, {counted(len(one.findings), 'finding')}"
    shown: Counter[str] = Counter()
    listed_here = (finding for finding in one.findings if finding.kind != _RANKED)
    for (where, name), members in groupby(listed_here, key=lambda f: (f.where, f.id)):
        listed = []
        for finding in members:
            shown[finding.kind] += 1
            if everything or shown[finding.kind] <= SHOWN:
                listed.append(finding)
        if listed:
            question = f" (question {excerpt(name, 40)})" if name else ""
            yield f"  {where or 'the whole file'}{question}"
        for finding in listed:
            yield from _finding(finding)
    rest = sum(max(count - SHOWN, 0) for count in shown.values())
    if rest and not everything:
        yield f"  and {rest:,} more like these; --all lists them"


def _by_rank(ranked: Sequence[Finding]) -> Iterator[str]:
    yield "Labels that are probably wrong, the most probable first"
    for finding in ranked:
        yield f"  {finding.file}: {finding.where} (question {excerpt(finding.id, 40)})"
        yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    yield from _wrapped(f"{finding.severity} {finding.kind}: {finding.message}", "    ")
    kind = KINDS[finding.kind]
    if finding.change:
        yield from _wrapped(f"--fix {kind.mend}", "      ")
    elif kind.remedy != "nothing" and kind.remedy not in finding.message:
        yield from _wrapped(f"to do: {kind.remedy}", "      ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        cut(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )


def _summary(findings: list[Finding]) -> Iterator[str]:
    counts = _counts(findings)
    if not findings:
        yield "nothing found"
        return
    width = max(map(len, counts))
    yield f"{'kind':{width}} {'found':>7} {'--fix':>7}  meaning"
    for kind, (found, mended) in sorted(counts.items()):
        line = f"{kind:{width}} {found:>7,} {mended:>7,}  {KINDS[kind].meaning}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
    errors = sum(finding.severity == "error" for finding in findings)
    mended = sum(finding.change is not None for finding in findings)
    yield (
        f"{counted(len(findings), 'finding')}: {counted(errors, 'error')}, "
        f"{counted(len(findings) - errors, 'note')}; --fix corrects {mended:,}"
    )


def _counts(findings: list[Finding]) -> dict[str, tuple[int, int]]:
    found = Counter(finding.kind for finding in findings)
    mended = Counter(finding.kind for finding in findings if finding.change)
    return {kind: (found[kind], mended[kind]) for kind in found}


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "1 error" or "2,000 errors"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(finding: Finding) -> dict[str, Any]:
    change, kind = finding.change, KINDS[finding.kind]
    return {
        "file": finding.file,
        "where": finding.where,
        "id": finding.id,
        "kind": finding.kind,
        "severity": finding.severity,
        "message": finding.message,
        "remedy": f"--fix {kind.mend}" if change else kind.remedy,
        "change": change and {"before": change.before, "after": change.after},
    }
