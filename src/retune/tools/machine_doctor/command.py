"""The output and exit code of `retune doctor --env`."""

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.terminal_text import say
from retune.tools.machine_doctor import machine, project
from retune.tools.machine_doctor.machine_findings import Report

_WIDTH = 80
_LABEL = 11


def run(as_json: bool, root: Path = Path(".")) -> int:
    """Examine the environment, print the report, and return 1 if there are problems.

    Raises:
        RetuneError: `root` is not the project's folder.
    """
    report = examine(root)
    say(_as_json(report) if as_json else as_text(report))
    return int(bool(report.findings))


def examine(root: Path) -> Report:
    """Return facts about this machine and the project in `root`, and their problems."""
    if not (root / "dvc.yaml").is_file():
        raise RetuneError("there is no dvc.yaml here; run this in the project's folder")
    report = Report()
    project.examine_versions(report, root)
    machine.examine_processor(report)
    machine.examine_threads(report)
    machine.examine_settings(report)
    peak = project.examine_record(report, root)
    machine.examine_memory(report, peak)
    machine.examine_disk(report, root)
    machine.examine_caches(report)
    project.examine_git(report, root)
    project.examine_dvc(report, root)
    return report


def as_text(report: Report) -> str:
    """Return the report as text of at most 80 columns."""
    lines = []
    for topic, facts in report.facts.items():
        text = "; ".join(f"{name} {_shown(value)}" for name, value in facts.items()) or "none"
        lines.append(_filled(f"{topic:<{_LABEL}}", text))
    lines.append("")
    for number, finding in enumerate(report.findings, 1):
        lines.append(_filled(f"{number}. ", f"{finding.topic}: {finding.problem}"))
        lines.append(_filled("   ", f"do: {finding.remedy}"))
    count = len(report.findings)
    lines.append(f"{count or 'no'} finding{'' if count == 1 else 's'}")
    return "\n".join(lines)


def _as_json(report: Report) -> str:
    value = asdict(report) | {"clean": not report.findings}
    return json.dumps(value, indent=2)


def _filled(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
