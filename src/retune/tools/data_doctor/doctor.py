"""Examine files, compare splits, and write a corrected copy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from retune.core.errors import RetuneError
from retune.ingest.findings import Change, Finding
from retune.ingest.text_files import UnreadableError
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.leaking import NamedSplit, find_leaks
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.download.reading_json import too_deep
from retune.tools.data_doctor.causes import folded, unfolded
from retune.tools.data_doctor.layout import (
    character_findings,
    layout_findings,
    squad_v2_findings,
    version_findings,
)
from retune.tools.data_doctor.mending import Mender, question
from retune.tools.data_doctor.near_duplicates import near_findings, similar_findings
from retune.tools.data_doctor.sorting import in_order
from retune.tools.data_doctor.tolerant_reader import tolerant_records
from retune.tools.data_doctor.writing import write_log, write_mended

#: Finds more in the questions of all splits.
Check = Callable[[Sequence[Checker]], list[Finding]]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the doctor.

    `drop` leaves out of a corrected copy what cannot be corrected. `windows` looks for answers that
    no window holds, with the tokenizer and the lengths in params.yaml.
    """

    squad_v2: bool = False
    drop: bool = False
    windows: bool = False


@dataclass(slots=True)
class Examined:
    """An examined file: its findings in order, and its corrected records."""

    file: str
    findings: list[Finding] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    readable: bool = True

    @property
    def needs_care(self) -> bool:
        """Whether the download stage would refuse, or `--fix` would change something."""
        return any(f.severity == "error" or f.change for f in self.findings)


def diagnose(
    files: Sequence[Path],
    validation: Sequence[Path],
    options: Options,
    test: Sequence[Path] = (),
    also: Check | None = None,
) -> list[Examined]:
    """Examine the files of one split, and those of its validation and test splits.

    Args:
        files: of the split.
        validation: files of its validation split.
        options: see `Options`.
        test: files of its test split.
        also: one more check, of the sound questions of all splits.

    Raises:
        RetuneError: `windows` is set, but params.yaml allows no windows.
    """
    named = {"train": files, "validation": validation, "test": test}
    named = {name: paths for name, paths in named.items() if paths}
    splits = {name: _Split(options, only_scored=name != "train") for name in named}
    examined = [splits[name].examine(path) for name, paths in named.items() for path in paths]
    found: list[Finding] = []
    for split in splits.values():
        found += similar_findings(split.checker)
    for one, other in combinations(splits, 2):
        pair = NamedSplit(one, splits[one].checker), NamedSplit(other, splits[other].checker)
        found += find_leaks(*pair, allow_contexts=False)
        found += near_findings(*pair)
    if options.windows:
        from retune.tools.data_doctor.window_loss import window_findings

        for split in splits.values():
            found += window_findings(split.checker, split.squad_v2)
    if also:
        found += also([split.checker for split in splits.values()])
    for each in examined:
        extra = [finding for finding in found if finding.file == each.file]
        each.findings = in_order(folded(in_order([*each.findings, *extra])))
    return examined


def fix(one: Examined, out: Path) -> int:
    """Write the corrected copy of a file and its log; return how many changes there were.

    Raises:
        RetuneError: the file cannot be corrected, or its copy would lose something.
    """
    if not one.readable:
        raise RetuneError(f"{one.file}: not readable, so there is nothing to correct; see above")
    findings = list(unfolded(one.findings))
    lost = [f for f in findings if f.kind == "malformed" and not f.change]
    if lost:
        raise RetuneError(
            f"{out}: not written: {one.file} has {len(lost):,} items that are no questions, the "
            f"first at {lost[0].where}; correct them, or leave them out with --drop"
        )
    if not one.records:
        raise RetuneError(f"{out}: not written: no question of {one.file} is without errors")
    write_mended(out, one.records)
    return write_log(log_path(out), findings)


def log_path(out: Path) -> Path:
    """The path of the log of a mended copy."""
    return out.with_name(f"{out.name}.log.jsonl")


class _Split:
    """The files of one split, which share no ids.

    Attributes:
        squad_v2: whether questions of any file may be unanswerable.
    """

    def __init__(self, options: Options, *, only_scored: bool = False) -> None:
        rules = Rules(options.squad_v2, False, drop_unanswerable=False, only_scored=only_scored)
        self.checker = Checker(rules)
        self._mender = Mender(drop=options.drop)
        self._drop = options.drop
        self._asked = self.squad_v2 = options.squad_v2

    def examine(self, path: Path) -> Examined:
        """Examine one file; an unreadable file has a finding, too."""
        one = Examined(str(path))
        try:
            one.findings, one.records = self._examined(path, one.file)
        except UnreadableError as error:
            one.findings = [_unreadable(error.kind, one.file, error.where, error.why)]
            one.readable = False
        except RecursionError:
            why = too_deep(one.file, "").why
            one.findings, one.readable = [_unreadable("invalid_json", one.file, "", why)], False
        except RetuneError as error:
            why = str(error).removeprefix(f"{path}: ")
            one.findings, one.readable = [_unreadable("unreadable", one.file, "", why)], False
        except OSError as error:
            why = f"cannot be opened ({error.strerror or error})"
            one.findings, one.readable = [_unreadable("unreadable", one.file, "", why)], False
        return one

    def _examined(self, path: Path, file: str) -> tuple[list[Finding], list[Record]]:
        self._mender.findings, self.checker.findings = [], []
        records, findings = tolerant_records(path, file)
        if self._drop:
            findings = [_dropped_item(finding) for finding in findings]
        mended = self._mender.mend(records)
        is_v2 = [] if self._asked else list(squad_v2_findings(records))
        self.checker.rules = replace(self.checker.rules, squad_v2=self._asked or bool(is_v2))
        self.squad_v2 |= bool(is_v2)
        kept = [record for record in mended if self._is_kept(record)]
        self.checker.close_file()
        findings += [*layout_findings(records), *version_findings(mended)]
        findings += [*is_v2, *character_findings(records)]
        findings += self._mender.findings
        findings += self.checker.findings
        return in_order(findings), kept

    def _is_kept(self, record: Record) -> bool:
        if self.checker.check(record) is not None or not self._drop:
            return True
        message = "errors are left, so the question is left out"
        self._mender.note(record, "dropped_question", "", message, Change(question(record), None))
        return False


def _unreadable(kind: str, file: str, where: str, why: str) -> Finding:
    return Finding(kind, "error", file, where, "", why)


def _dropped_item(finding: Finding) -> Finding:
    if finding.kind != "malformed":
        return finding
    change = Change(finding.message, None)
    return Finding(
        "malformed", "error", finding.file, finding.where, finding.id, finding.message, change
    )
