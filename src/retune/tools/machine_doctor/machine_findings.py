"""The result of examining the environment: facts, and findings with remedies."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A problem and its remedy."""

    topic: str
    problem: str
    remedy: str


@dataclass
class Report:
    """Facts by topic, in the order in which they were added, and findings.

    Attributes:
        facts: names and JSON values by topic.
        findings: the problems.
        equal_bytes: whether this machine can reproduce the committed metrics byte for byte; None
            if they do not record where they were computed.
    """

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    equal_bytes: bool | None = None

    def find(self, topic: str, problem: str, remedy: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(topic, problem, remedy))
