"""The download stage: verified source files to one checked, canonical form.

Everything is read and checked before limits are applied, so that a run on 1 % of the
data meets the same errors as a run on all of it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic.dataclasses import dataclass

from retune.errors import RetuneError
from retune.fetching import Source
from retune.params import STRICT, Seed
from retune.qa.checking import Checker, Rules
from retune.qa.examples import Example, write_examples
from retune.qa.findings import Finding, count_kinds, raise_errors
from retune.qa.leaking import find_leaks
from retune.qa.reading import Record, read_records
from retune.storage import atomic_path, write_json, write_json_lines

SPLITS = ("train", "validation")

_LIMIT = re.compile(r"(sample )?([0-9]+(?:\.[0-9]+)?)(%?)", re.ASCII)


@dataclass(frozen=True, config=STRICT)
class LimitParams:
    """How much of each split is kept, whatever the task.

    A limit is null for all questions, `1000` or `"1%"` for the first of them in file
    order, `"sample 1000"` or `"sample 1%"` for a sample drawn by `sample_seed`, kept in
    file order. Percentages are rounded to the nearest question.
    """

    train_limit: int | str | None
    validation_limit: int | str | None
    sample_seed: Seed

    def __post_init__(self) -> None:
        for split, limit in self.limits.items():
            check_limit(f"{split}_limit", limit)

    @property
    def limits(self) -> dict[str, int | str | None]:
        """By split."""
        return {"train": self.train_limit, "validation": self.validation_limit}


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `qa.download`.

    `realign` moves misaligned answers whose place is certain; `unanswerable` is for
    questions without an answer in a run with `qa.squad_v2: false`; `shared_contexts` is
    for contexts of train that stand in validation too. Ids in both are always an error.
    """

    realign: bool
    unanswerable: Literal["error", "drop"]
    shared_contexts: Literal["error", "allow"]


def download(
    raw: Path,
    metrics: Path,
    *,
    sources: Mapping[str, Sequence[Source]],
    params: DownloadParams,
    squad_v2: bool,
) -> str:
    """Read, check and limit the source files of both splits, and write them to `raw`.

    The folder `raw` gets train.jsonl, validation.jsonl and findings.jsonl, whole or not
    at all; `metrics` gets the counts.

    Returns:
        The closing line.

    Raises:
        RetuneError: for a file that cannot be read, and once for all errors in the data.
    """
    report = []
    with atomic_path(raw) as folder:
        folder.mkdir()  # before the work, so that a read-only disk is known at once
        checkers = _checked(sources, params, squad_v2)
        for split in SPLITS:
            limit = params.limits[split]
            kept = limited(checkers[split].examples, limit, params.sample_seed)
            if not kept:
                raise RetuneError(f"{split}: no question is left; see limits and `unanswerable`")
            write_examples(folder / f"{split}.jsonl", kept)
            files = [{"name": source.name, "sha256": source.sha256} for source in sources[split]]
            counts = _counts(kept, checkers[split])
            report.append({"split": split, "files": files, "limit": limit, **counts})
        rows = (_row(split, f) for split in SPLITS for f in checkers[split].findings)
        write_json_lines(folder / "findings.jsonl", rows)
    write_json(metrics, {"qa": {"download": report}})
    return closing_line(report, "questions", "questions")


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def limited(examples: list[_Item], limit: int | str | None, seed: int) -> list[_Item]:
    """The part of `examples` that a limit of `LimitParams` names, in their order.

    A sample takes the questions with the lowest SHA-256 of seed and id, so that it
    depends neither on their order nor on any library's random numbers.
    """
    if limit is None:
        return examples
    sample, number, percent = _parts(limit)
    size = round(len(examples) * number / 100) if percent else int(number)
    if not sample:
        return examples[:size]
    drawn = set(sorted((example.id for example in examples), key=lambda i: _draw(seed, i))[:size])
    return [example for example in examples if example.id in drawn]


def _checked(
    sources: Mapping[str, Sequence[Source]], params: DownloadParams, squad_v2: bool
) -> dict[str, Checker]:
    """Both splits, sound: any error in either of them has been raised."""
    rules = Rules(squad_v2, params.realign, drop_unanswerable=params.unanswerable == "drop")
    checkers = {split: Checker(rules) for split in SPLITS}
    for split in SPLITS:
        for source in sources[split]:
            checkers[split].add(_read(source))
    train, validation = checkers["train"], checkers["validation"]
    validation.findings += find_leaks(train, validation, params.shared_contexts == "allow")
    raise_errors(train.findings + validation.findings)
    return checkers


def _read(source: Source) -> list[Record | Finding]:
    items = read_records(source.path, source.name)
    count = sum(isinstance(item, Record) for item in items)
    if source.questions not in (None, count):
        raise RetuneError(
            f"{source.name}: {count:,} questions, but this data set has "
            f"{source.questions:,}; the file is not the one it should be"
        )
    return items


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _parts(limit: int | str) -> tuple[bool, float, bool]:
    match = _LIMIT.fullmatch(str(limit))
    if match is None:
        raise ValueError("not a limit")
    return bool(match[1]), float(match[2]), bool(match[3])


def check_limit(name: str, limit: int | str | None) -> None:
    """Refuse, by a `ValueError`, what is no limit of `LimitParams`."""
    if limit is None:
        return
    try:
        _, number, percent = _parts(limit)
    except ValueError:
        number, percent = 0.0, False
    if not (0 < number <= 100 if percent else number >= 1 and number.is_integer()):
        raise ValueError(
            f"{name} is {limit!r}; allowed: null, 1000, '1%', 'sample 1000', 'sample 1%'"
        )


def _counts(kept: list[Example], checker: Checker) -> dict[str, Any]:
    answerable = sum(bool(example.answers) for example in kept)
    return {
        "questions_read": len(checker.records),
        "questions": len(kept),
        "contexts": len({example.context for example in kept}),
        "articles": len({example.title for example in kept if example.title}),
        "answerable": answerable,
        "unanswerable": len(kept) - answerable,
        "answers": sum(len(example.answers) for example in kept),
        "findings": count_kinds(checker.findings),
    }


def _row(split: str, finding: Finding) -> dict[str, str]:
    return {
        "split": split,
        "file": finding.file,
        "where": finding.where,
        "id": finding.id,
        "kind": finding.kind,
        "detail": finding.message,
    }


def closing_line(report: Sequence[Mapping[str, Any]], key: str, noun: str) -> str:
    """For people: of each split in `report` the count `key` of a `noun`, and its faults."""
    parts = [f"{entry['split']} {entry[key]:,} {noun}" for entry in report]
    for entry in report:
        parts += [f"{n:,} {kind} in {entry['split']}" for kind, n in entry["findings"].items()]
    return ", ".join(parts)
