"""Probes on disk: a folder with a file for each capability, and templates with their slots.

All files are tab-separated and begin with a line of column names. `<capability>.tsv` has `COLUMNS`,
one probe per line. `templates.tsv` has a column for the capability before them, and its texts have
slots such as `{thing}`. `slots.tsv` has a slot and its values, separated by `|`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import NamedTuple, cast

from retune.core.errors import RetuneError, excerpt
from retune.core.user_files import read_lines
from retune.ingest.findings import Finding, raise_errors
from retune.tasks.sentiment.probe.probes import NOTEBOOK_N3, Kind, Probe

#: The probes of the package.
BUNDLED = Path(str(resources.files("retune") / "corpora" / "probes"))
COLUMNS = ("kind-of-test", "sentence", "changed", "expected")

_TEMPLATES, _SLOTS = "templates.tsv", "slots.tsv"
_EXPECTED = {"MFT": ("0", "1"), "INV": ("same",), "DIR": ("up", "down", "flip")}
_SLOT = re.compile(r"\{(\w+)\}")


def read_probes(folder: Path) -> list[Probe]:
    """Read the probes in a folder, by capability; notebook N3's follow the bundled ones.

    Raises:
        RetuneError: there is no such folder or no probe in it, or a file has faults.
    """
    if not folder.is_dir():
        raise RetuneError(
            f"sentiment.probe.folder: {folder} is not a folder; the bundled probes are in "
            "src/retune/corpora/probes"
        )
    reader = _Reader(folder)
    probes = reader.probes()
    raise_errors(reader.findings)
    if not probes:
        raise RetuneError(
            f"sentiment.probe.folder: no probe in {folder}; add a file such as negation.tsv with "
            f"the columns {', '.join(COLUMNS)}"
        )
    return [*probes, *NOTEBOOK_N3] if folder.samefile(BUNDLED) else probes


def filled(template: Sequence[str], slots: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Fill a template: row n has the n-th value of each slot. All slots have as many values.

    `{word}` is replaced by the value of the slot `word`, `{Word}` by the capitalized value, and
    `{WORD}` by the value in capitals.
    """
    for number in range(len(next(iter(slots.values())))):
        chosen = {slot: values[number] for slot, values in slots.items()}
        forms = {
            **chosen,
            **{slot.capitalize(): value[:1].upper() + value[1:] for slot, value in chosen.items()},
            **{slot.upper(): value.upper() for slot, value in chosen.items()},
        }
        yield [_SLOT.sub(partial(_value, forms), text) for text in template]


def _value(forms: Mapping[str, str], slot: re.Match[str]) -> str:
    return forms[slot[1]]


class _Row(NamedTuple):
    file: str
    line: int
    cells: list[str]


class _Reader:
    """Reads the files of a folder; what is wrong with their rows is collected in `findings`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []

    def probes(self) -> list[Probe]:
        """Return those whose rows are sound."""
        files = sorted(path.name for path in self.folder.glob("*.tsv"))
        capabilities = {n.removesuffix(".tsv") for n in files if n not in {_SLOTS, _TEMPLATES}}
        templates = self._filled_templates() if _TEMPLATES in files else {}
        probes = []
        for name in sorted(capabilities | set(templates)):
            rows = self._rows(f"{name}.tsv", COLUMNS) if name in capabilities else []
            for row in [*rows, *templates.get(name, [])]:
                kind, sentence, changed, expected = row.cells
                if fault := _fault(*row.cells):
                    self._error(row, fault)
                else:
                    probes.append(Probe(name, cast(Kind, kind), sentence, changed, expected))
        return probes

    def _filled_templates(self) -> dict[str, list[_Row]]:
        """Return the rows that the templates of each capability make."""
        slots = self._slots()
        known = {form for slot in slots for form in (slot, slot.capitalize(), slot.upper())}
        found: dict[str, list[_Row]] = {}
        for row in self._rows(_TEMPLATES, ("capability", *COLUMNS)):
            capability, *template = row.cells
            unknown = [slot for slot in _SLOT.findall(" ".join(template)) if slot not in known]
            if unknown or not slots:
                name = f"slot {unknown[0]}" if unknown else "slots"
                self._error(row, f"no {name} in {_SLOTS}; allowed: {', '.join(slots) or 'none'}")
                continue
            rows = [_Row(_TEMPLATES, row.line, cells) for cells in filled(template, slots)]
            found.setdefault(capability, []).extend(rows)
        return found

    def _slots(self) -> dict[str, list[str]]:
        slots: dict[str, list[str]] = {}
        for row in self._rows(_SLOTS, ("slot", "values")):
            values = row.cells[1].split("|")
            most = len(next(iter(slots.values()), values))
            if len(values) != most:
                self._error(row, f"{len(values)} values, but the slots before have {most}")
                continue
            slots[row.cells[0]] = values
        return slots

    def _rows(self, name: str, columns: Sequence[str]) -> list[_Row]:
        """Return the rows of a file below its header; blank lines are skipped."""
        path = self.folder / name
        lines = read_lines(path, f"it fills the templates of {_TEMPLATES}")
        header, *cells = [line.removesuffix("\r").split("\t") for line in lines]
        if header != [*columns]:
            raise RetuneError(
                f"{path}:1: the columns are {', '.join(map(excerpt, header))}; they must be "
                f"{', '.join(columns)}, with tabs between them"
            )
        rows = [_Row(name, number, row) for number, row in enumerate(cells, 2) if row != [""]]
        for row in rows:
            if len(row.cells) != len(columns):
                self._error(row, f"{len(row.cells)} cells; a line has {len(columns)}")
        return [row for row in rows if len(row.cells) == len(columns)]

    def _error(self, row: _Row, message: str) -> None:
        file, where = str(self.folder / row.file), f"line {row.line}"
        self.findings.append(Finding("malformed", "error", file, where, "", message))


def _fault(kind: str, sentence: str, changed: str, expected: str) -> str:
    """Return what is wrong with a probe, "" if nothing."""
    if kind not in _EXPECTED:
        return f"{excerpt(kind)} is not a kind of test; allowed: {', '.join(_EXPECTED)}"
    if expected not in _EXPECTED[kind]:
        allowed = ", ".join(_EXPECTED[kind])
        return f"{excerpt(expected)} cannot be expected of {kind}; allowed: {allowed}"
    if not sentence.strip():
        return "the sentence is empty; fill it, or delete the line"
    if kind == "MFT" and changed:
        return "an MFT has no changed sentence; leave the cell empty, or write INV or DIR"
    if kind != "MFT" and not changed.strip():
        return f"{kind} needs the changed sentence; fill the cell, or write MFT"
    return ""
