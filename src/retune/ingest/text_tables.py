"""CSV and TSV as rows of cells, for every task: delimiters and quotes by one rule.

Where tabs separate the cells, a quote is a character like any other, as in the files of SST-2. The
exceptions are cells that begin and end with one, as pandas writes them. Elsewhere quotes hold a
cell together.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError

#: The delimiter that a suffix stands for.
DELIMITERS = {".csv": ",", ".tsv": "\t"}

_KNOWN = ",;\t|"
_LONGEST_CELL = 2**27
_EXCEL = re.compile(rf"sep=([{_KNOWN}])(?:\r\n?|\n)")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')


class Table:
    """The rows of a text, as `(line, cells)`; blank lines are skipped.

    Attributes:
        notes: how the file was read, if it is unusual; complete after the last row.
    """

    def __init__(
        self, text: str, file: str, suffix: str, is_first_row: Callable[[Sequence[str]], bool]
    ) -> None:
        """Choose the delimiter of `suffix`, or the first one for which `is_first_row` holds."""
        csv.field_size_limit(_LONGEST_CELL)
        excel = _EXCEL.match(text)
        self._text, self._skipped = (text[excel.end() :], 1) if excel else (text, 0)
        self._file, self._form = file, suffix[1:].upper()
        usual = DELIMITERS[suffix]
        self._delimiter = excel[1] if excel else _delimiter(text, usual, is_first_row)
        self.notes: list[Finding] = []
        if self._delimiter != usual:
            message = f"{excerpt(self._delimiter)} separates the cells, not {excerpt(usual)}"
            self._note("line 1", message)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with the line that it begins in, from 1.

        Raises:
            UnreadableError: broken quotes.
        """
        if self._delimiter != "\t":
            yield from self._rows(plain=False)
        elif '"' not in self._text:
            yield from self._rows(plain=True)
        elif self._lines_are_rows():
            yield from self._unquoted()
        else:
            yield from self._rows(plain=False)
            self._note("line 1", "quotes join cells over several lines, and are not part of them")

    def _rows(self, *, plain: bool) -> Iterator[tuple[int, list[str]]]:
        rows, begun = self._reader(plain=plain), 1
        try:
            for cells in rows:
                line, begun = begun, rows.line_num + 1
                if cells:
                    yield line + self._skipped, cells
        except csv.Error as error:
            why = f"not valid {self._form} ({error})"
            where = str(rows.line_num + self._skipped)
            raise UnreadableError("invalid_csv", self._file, why, where) from None

    def _unquoted(self) -> Iterator[tuple[int, list[str]]]:
        first = 0
        for line, cells in self._rows(plain=True):
            if any(map(_QUOTED.fullmatch, cells)):
                first = first or line
                yield line, list(map(_without_quotes, cells))
            else:
                yield line, cells
        if first:
            self._note(f"line {first}", "quotes around cells, here or below, are not part of them")

    def _lines_are_rows(self) -> bool:
        """Whether each line is a row, or quotes make no better rows; quotes must not hide lines."""
        return len(self._widths(plain=True)) == 1 or len(self._widths(plain=False)) != 1

    def _widths(self, *, plain: bool) -> set[int]:
        try:
            return {len(cells) for cells in self._reader(plain=plain) if cells}
        except csv.Error:
            return set()

    def _reader(self, *, plain: bool) -> Any:
        lines = io.StringIO(self._text, newline="")
        if plain:
            return csv.reader(lines, delimiter=self._delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _note(self, where: str, message: str) -> None:
        self.notes.append(Finding("converted", "note", self._file, where, "", message))


def _without_quotes(cell: str) -> str:
    quoted = _QUOTED.fullmatch(cell)
    return str(quoted[1]).replace('""', '"') if quoted else cell


def _delimiter(text: str, usual: str, is_first_row: Callable[[Sequence[str]], bool]) -> str:
    lines = iter(io.StringIO(text, newline="").readline, "")
    first = next((line for line in lines if line.strip()), "")
    for delimiter in (usual, *_KNOWN):
        try:
            cells = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            continue
        if is_first_row(cells):
            return str(delimiter)
    return usual
