"""Stage `download` of question answering: source files to checked questions."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.core.splits import SPLITS
from retune.fetch.fetching import Source
from retune.ingest.canonical import Checked, Form, ReadSplit, write_canonical
from retune.ingest.findings import Finding
from retune.ingest.subsample import LimitParams
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.leaking import find_leaks
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.questions.examples import Example, write_examples


def _of_realign(value: Any) -> Any:
    """Refuse other values with one message; pydantic would give one for each allowed type."""
    if value != "drop" and not isinstance(value, bool):
        raise ValueError("input should be a valid boolean, or drop")
    return value


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `qa.download`.

    `realign: true` moves misaligned answers whose place is certain. If a question has other good
    answers, it leaves out the misaligned and empty ones. `realign: drop` also leaves out training
    questions whose answers are all misaligned. Answers of the validation split need no place.

    `unanswerable` is about questions without an answer in a run with `qa.squad_v2: false`.
    `shared_contexts` is about contexts in both splits; ids in both are always an error.
    `repeated_ids` is about an id that one split has several times: `first` and `last` keep the
    first or the last question with this id.
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
    """Write the checked questions of both splits; see `retune.ingest.canonical.write_canonical`.

    `squad_v2` allows questions without an answer.
    """
    form = Form(
        task="qa",
        metric="download",
        unit="questions",
        noun="question",
        read=read_records,
        check=partial(_checked, params, squad_v2),
        write=write_examples,
        counts=_counts,
        finding_fields=("file", "where", "id", "kind"),
    )
    return write_canonical(raw, metrics, form=form, sources=sources, params=params)


def _checked(
    params: DownloadParams, squad_v2: bool, read: ReadSplit[Record]
) -> dict[str, Checked[Example]]:
    checkers = {}
    for split in SPLITS:
        rules = Rules(
            squad_v2,
            bool(params.realign),
            params.unanswerable == "drop",
            only_scored=split == "validation",
            drop_unplaced=params.realign == "drop",
        )
        checkers[split] = Checker(rules)
        checkers[split].add(_one_of_each_id(read(split), params.repeated_ids))
    validation = checkers["validation"]
    allowed = params.shared_contexts == "allow"
    validation.findings += find_leaks(checkers["train"], validation, allowed)
    return {
        split: Checked(checker.examples, checker.findings, len(checker.records))
        for split, checker in checkers.items()
    }


def _one_of_each_id(
    items: list[Record | Finding], rule: Literal["error", "first", "last"]
) -> Iterator[Record | Finding]:
    """Yield `items` in their order; a note replaces each record that `rule` leaves out."""
    if rule == "error":  # the checker finds it
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


def _counts(kept: list[Example]) -> dict[str, int]:
    answerable = sum(bool(example.answers) for example in kept)
    return {
        "contexts": len({example.context for example in kept}),
        "articles": len({example.title for example in kept if example.title}),
        "answerable": answerable,
        "unanswerable": len(kept) - answerable,
        "answers": sum(len(example.answers) for example in kept),
    }
