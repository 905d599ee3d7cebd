"""Sort findings by place, without duplicates."""

import re
from collections.abc import Iterable

from retune.ingest.findings import Finding

_NUMBER = re.compile(r"(\d+)")


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, with numbers by value, and drop duplicates.

    Many questions share the context of their paragraph, and so its faults.
    """
    found = {(f.where, f.kind, f.message): f for f in findings}
    return sorted(found.values(), key=lambda finding: _order(finding.where))


def _order(where: str) -> list[tuple[bool, int, str]]:
    parts = _NUMBER.split(where)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
