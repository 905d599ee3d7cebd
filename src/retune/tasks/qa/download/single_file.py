"""Read one file of questions by itself, outside of the download stage."""

from dataclasses import replace
from pathlib import Path

from retune.core.errors import RetuneError
from retune.ingest.findings import raise_errors
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.questions.examples import Example

_READ = ("id", "title", "context", "question")


def read_checked(data: Path, rules: Rules, *, answers: bool = True) -> list[Example]:
    """Read the questions of a file of any supported form.

    Args:
        data: the file.
        rules: what to do with data that can be read in more than one way.
        answers: whether to read the reference answers; without, the questions have none.

    Raises:
        RetuneError: for a file that cannot be read, and once for all errors in its questions.
    """
    checker = Checker(rules)
    try:
        items = read_records(data, str(data), answers=answers)
    except OSError as error:
        raise RetuneError(f"{data}: cannot be read ({error.strerror})") from None
    if not answers:
        items = [_without_answers(item) if isinstance(item, Record) else item for item in items]
    checker.add(items)
    raise_errors(checker.findings)
    return checker.examples


def _without_answers(record: Record) -> Record:
    values = {name: record.values[name] for name in _READ if name in record.values}
    return replace(record, values=values | {"answers": []})
