"""What the examination of the environment comes to: facts, and findings with a remedy."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    topic: str
    problem: str
    remedy: str


@dataclass
class Report:
    """Facts by topic, in the order of their gathering, and what is wrong.

    Attributes:
        facts: name and value by topic; values are those of JSON.
        findings: what is wrong.
        equal_bytes: whether the committed figures can come out here to the byte; None where
            they do not say where they were computed.
    """

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    equal_bytes: bool | None = None

    def find(self, topic: str, problem: str, remedy: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(topic, problem, remedy))
