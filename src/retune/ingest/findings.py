"""Findings of a check: one for each fault or corrected place in a file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from retune.core.errors import RetuneError, excerpt

Severity = Literal["error", "note"]

#: How many errors a message spells out; the rest are counted.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Change:
    """A certain correction at the place of a finding: the value before and after."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`) or worth knowing (`note`) about a place in a file.

    `where` is a JSON pointer (RFC 6901), with `line 3:` or `row 7:` before it in files of lines or
    rows. `id` is the id of the question, "" if there is none. Findings are counted by `kind`;
    `retune.tasks.qa.download.kinds` has a table of those about questions. `change` is set if a
    certain correction is known. If one cause has many places, `places` has a finding for each.
    """

    kind: str
    severity: Severity
    file: str
    where: str
    id: str
    message: str
    change: Change | None = None
    places: tuple["Finding", ...] = ()

    def __str__(self) -> str:
        question = f" (question {excerpt(self.id)})" if self.id else ""
        return f"{self.file}: {self.where}{question}: {self.message}"


def typed(value: Any) -> str:
    """Quote a value, with its type, for a message."""
    return f"{excerpt(value)} ({type(value).__name__})"


def count_kinds(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the findings of each kind."""
    return dict(sorted(Counter(finding.kind for finding in findings).items()))


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise one `RetuneError` for all errors among `findings`, if there are any."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in count_kinds(errors).items())
    noun = "error" if len(errors) == 1 else "errors"
    lines = [f"{len(errors):,} {noun} in the data ({kinds}); nothing was written"]
    lines += [f"  {error}" for error in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"  and {len(errors) - SHOWN:,} more")
    raise RetuneError("\n".join(lines))
