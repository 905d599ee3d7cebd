"""Read files of figures; a damaged file becomes a remark and does not end the report."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import orjson

from retune.core.errors import RetuneError, listed
from retune.tools.compare.systems import System
from retune.tools.project.graph import Output, Pipeline
from retune.tools.report.content import Remark

T = TypeVar("T")
Row = dict[str, str]
#: The test questions, and the folder of the answers to them.
TEST, PREDICTIONS = "data/qa/test/test.jsonl", "data/qa/predictions"
#: A carriage return within a line, and a character that UTF-8 text cannot contain.
_RETURN, _STAND_IN = re.compile("\r(?!\n)"), "\udc0d"


@dataclass
class Reader:
    """A reader of one pipeline's files that collects missing and damaged ones.

    Attributes:
        root: the project's top.
        pipeline: whose files they are.
        against: another system, whose answers are shown beside those of the last run.
        outdated: paths of outputs that are not of the last run, which ended with an earlier stage.
        missing: outputs that are not there.
        faults: a sentence for each file that cannot be read.
    """

    root: Path
    pipeline: Pipeline
    against: System | None = None
    outdated: frozenset[str] = frozenset()
    missing: list[Output] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def json(self, output: Output) -> Any:
        """Return the content of a JSON file, or None if it cannot be read."""
        return self._read(output, read_json)

    def rows(self, output: Output) -> list[Row] | None:
        """Return the rows of a table in CSV, TSV or JSON, or None if it cannot be read."""
        return self._read(output, read_rows)

    def guarded(self, action: Callable[[], T]) -> T | None:
        """Return the result of `action`; if it raises an error, keep it and return None."""
        try:
            return action()
        except RetuneError as error:
            if str(error) not in self.faults:
                self.faults.append(str(error))
            return None

    def shaped(self, path: str, action: Callable[[], T]) -> T | None:
        """Do the same for an `action` that may find a file of another form."""
        try:
            return self.guarded(action)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            fault = (
                f"{path}: not of the form that its stage writes ({what}); remove it, and run the "
                "stage"
            )
            if fault not in self.faults:
                self.faults.append(fault)
            return None

    def found(self, name: str) -> Output | None:
        """Return the output whose path ends in `name`, or that file within an output."""
        for output in (*self.pipeline.plots, *self.pipeline.metrics, *self.pipeline.outs):
            if f"/{output.path}".endswith(f"/{name}"):
                return output
            if (self.root / output.path / name).is_file():
                return replace(output, path=f"{output.path}/{name}")
        return None

    def there(self, path: str) -> bool:
        """Return whether a file or folder exists, and is of the last run."""
        parents = (path, *map(str, PurePosixPath(path).parents))
        return (self.root / path).exists() and self.outdated.isdisjoint(parents)

    def _read(self, output: Output, read: Callable[[Path, str], T]) -> T | None:
        if not self.there(output.path):
            if output not in self.missing:
                self.missing.append(output)
            return None
        return self.guarded(lambda: read(self.root, output.path))

    def remarks(self) -> list[Remark]:
        """Return remarks on damaged files, and on missing ones with the command that makes them."""
        found = [Remark(fault, "fault") for fault in self.faults]
        if not self.missing:
            return found
        files = listed([output.path for output in self.missing], 4)
        targets = list(dict.fromkeys(map(self.pipeline.makes, self.missing)))
        command = targets[0] if len(targets) == 1 else self.pipeline.command
        state = "Not run yet, or not of the last run" if self.outdated else "Not run yet"
        text = f"{state}: {files}. `{command}` makes it, from the project's top."
        return [*found, Remark(text, "missing")]


def read_json(root: Path, path: str) -> Any:
    """Read the JSON file at `path` below `root`.

    Raises:
        RetuneError: it cannot be read.
    """
    try:
        return orjson.loads(_bytes(root, path))
    except orjson.JSONDecodeError as error:
        raise RetuneError(
            f"{path}: not valid JSON ({error}); remove it, and run the stage that writes it"
        ) from None


def read_rows(root: Path, path: str) -> list[Row]:
    """Read the rows of a table as text by column.

    Raises:
        RetuneError: it cannot be read, or is not a table.
    """
    if path.endswith(".json"):
        value = read_json(root, path)
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise RetuneError(f"{path}: expected a list of objects, one for each row")
        return [{str(key): str(cell) for key, cell in row.items()} for row in value]
    try:
        text = _bytes(root, path).decode("utf-8")
        return [*_csv_rows(path, text, "\t" if path.endswith(".tsv") else ",")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RetuneError(
            f"{path}: not a table in UTF-8 ({error}); remove it, and run the stage that writes it"
        ) from None


def _csv_rows(path: str, text: str, delimiter: str) -> Iterator[Row]:
    # Python 3.11's `csv` writes such a return without quotes, but ends a row at it in reading.
    lines = io.StringIO(_RETURN.sub(_STAND_IN, text), newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    heading = next(reader, [])
    for row in reader:
        if len(row) != len(heading):
            what = f"{len(row)} cells under a heading of {len(heading)}"
            raise RetuneError(f"{path}:{reader.line_num}: {what}; run the stage that writes it")
        cells = (cell.replace(_STAND_IN, "\r") for cell in row)
        yield dict(zip(heading, cells, strict=True))


def numbers(path: str, rows: Sequence[Row], column: str) -> list[float]:
    """Return a column as numbers, with NaN for empty cells.

    Raises:
        RetuneError: there is no such column, or a cell is not a number.
    """
    found = []
    for number, row in enumerate(rows, 2):
        if column not in row:
            raise RetuneError(f"{path}: no column `{column}`; there are: {', '.join(row)}")
        try:
            found.append(float(row[column] or math.nan))
        except ValueError:
            raise RetuneError(
                f"{path}:{number}: {column} is {row[column]!r}, not a number; correct the row, or "
                "run the stage that writes it"
            ) from None
    return found


def _bytes(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise RetuneError(f"{path}: cannot be read: {error.strerror}") from None
