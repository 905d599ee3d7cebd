"""The download stage: verified source files to one checked, canonical form.

Everything is read and checked before limits are applied, so that a run on 1 % of the
data meets the same errors as a run on all of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_json, write_json_lines
from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.findings import Finding, count_kinds, raise_errors
from retune.ingest.subsample import LimitParams, closing_line, limited
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.leaking import find_leaks
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.questions.examples import Example, write_examples

SPLITS = ("train", "validation")


def _of_realign(value: Any) -> Any:
    """Refuse other values in one sentence, which pydantic would do in one for each type."""
    if value != "drop" and not isinstance(value, bool):
        raise ValueError("input should be a valid boolean, or drop")
    return value


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `qa.download`.

    `realign` moves misaligned answers whose place is certain, and leaves out misaligned and empty
    ones beside good answers. With `drop` it also leaves out training questions that have only
    misaligned answers. Answers of the validation split need no place. `unanswerable` is for
    questions without an answer in a run with `qa.squad_v2: false`; `shared_contexts` is for
    contexts of train that stand in validation too. Ids in both are always an error.
    `repeated_ids` is for an id that one split has several times: the first or the last question
    that has it is kept.
    """

    realign: Annotated[bool | Literal["drop"], BeforeValidator(_of_realign)]
    unanswerable: Literal["error", "drop"]
    shared_contexts: Literal["error", "allow"]
    repeated_ids: Literal["error", "first", "last"] = "error"


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


def _checked(
    sources: Mapping[str, Sequence[Source]], params: DownloadParams, squad_v2: bool
) -> dict[str, Checker]:
    """Both splits, sound: any error in either of them has been raised."""
    drop = params.unanswerable == "drop"
    checkers = {
        split: Checker(
            Rules(
                squad_v2,
                bool(params.realign),
                drop,
                only_scored=split == "validation",
                drop_unplaced=params.realign == "drop",
            )
        )
        for split in SPLITS
    }
    for split in SPLITS:
        items = [item for source in sources[split] for item in _read(source)]
        checkers[split].add(_one_of_each_id(items, params.repeated_ids))
    train, validation = checkers["train"], checkers["validation"]
    validation.findings += find_leaks(train, validation, params.shared_contexts == "allow")
    raise_errors(train.findings + validation.findings)
    return checkers


def _read(source: Source) -> list[Record | Finding]:
    items = read_records(source.path, source.name, source.sha256)
    count = sum(isinstance(item, Record) for item in items)
    if source.questions not in (None, count):
        raise RetuneError(
            f"{source.name}: {count:,} questions, but this data set has "
            f"{source.questions:,}; the file is not the one it should be"
        )
    return items


def _one_of_each_id(
    items: list[Record | Finding], rule: Literal["error", "first", "last"]
) -> Iterator[Record | Finding]:
    """Yield `items` in their order, with a note in place of each record that `rule` leaves out."""
    if rule == "error":  # the checker's to find
        yield from items
        return
    kept: dict[str, Record] = {}
    for item in items:
        if isinstance(item, Record) and (rule == "last" or item.id not in kept):
            kept[item.id] = item
    for item in items:
        if isinstance(item, Finding) or item is kept[item.id] or not item.id:
            yield item
        else:
            other = kept[item.id]
            message = f"left out, since the {rule} question of this id, {other.where}, is kept"
            yield Finding("repeated_id", "note", item.file, item.place("id"), item.id, message)


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
