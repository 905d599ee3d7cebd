"""Findings in the order of their places, each once."""

import re
from collections.abc import Iterable

from retune.ingest.findings import Finding

_NUMBER = re.compile(r"(\d+)")


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, numbers by value; what is said twice about a place is said once.

    Many questions share the context, and so the faults, of their paragraph.
    """
    found = {(f.where, f.kind, f.message): f for f in findings}
    return sorted(found.values(), key=lambda finding: _order(finding.where))


def _order(where: str) -> list[tuple[bool, int, str]]:
    parts = _NUMBER.split(where)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
