"""The last search of a ledger, as its entries tell it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from retune.tools.tries.ledger import Entry
from retune.tools.tries.plan import Plan

#: Names of the entries that are no tries.
BASE, TEST = "base", "test"


@dataclass
class State:
    """The last search of a ledger.

    Attributes:
        plan: what is fixed.
        results: of the base and of each finished try, in order.
        tries: the entries that announce tries.
        opened: the last entry that announces runs, if it has no result yet.
        ended: whether the ledger is closed.
        final: the result on test.
    """

    plan: Plan
    results: list[Entry] = field(default_factory=list)
    tries: list[Entry] = field(default_factory=list)
    opened: Entry | None = None
    ended: bool = False
    final: Entry | None = None

    @classmethod
    def read(cls, entries: Sequence[Entry]) -> Self | None:
        """Return the last search of these entries; None if there is none."""
        starts = [number for number, entry in enumerate(entries) if entry["kind"] == "plan"]
        if not starts:
            return None
        state = cls(Plan.read(entries[starts[-1]]))
        for entry in entries[starts[-1] :]:
            state._add(entry)
        return state

    def _add(self, entry: Entry) -> None:
        if entry["kind"] != "result":
            self.opened = entry
        match entry["kind"]:
            case "try":
                self.tries.append(entry)
            case "end":
                self.ended = True
            case "result":
                self.opened = None
                if entry["name"] == TEST:
                    self.final = entry
                else:
                    self.results.append(entry)

    def open_as(self, name: str) -> Entry | None:
        """Return the last entry if it announces runs of this name that have no result yet."""
        return self.opened if self.opened and self.opened["name"] == name else None

    @property
    def best(self) -> Entry:
        """The result that the next try is compared with: the last one kept, or the base."""
        return [each for each in self.results if each["verdict"] in (BASE, "kept")][-1]

    @property
    def sums(self) -> set[str]:
        """The first digits of the MD5 of the scores in the ledger."""
        return {scores for each in self.results for scores in each["scores"]}
