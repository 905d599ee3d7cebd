"""Stage `download` of question answering: source files to checked questions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Chosen, Seed
from retune.fetch.fetching import Source
from retune.ingest.canonical import Checked, Form, ReadSplit, file_sums, write_canonical
from retune.ingest.findings import Finding
from retune.ingest.subsample import LimitParams
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.folding import in_fold, parse_fold
from retune.tasks.qa.download.holding_out import hold_out
from retune.tasks.qa.download.leaking import NamedSplit, find_leaks
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.download.subsets import train_part
from retune.tasks.qa.questions.examples import Example, write_examples
from retune.tasks.qa.questions.splits import SCORED, SPLITS, Keep


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
    questions whose answers are all misaligned. Answers of the validation and test splits need no
    place.

    `unanswerable` is about questions without an answer in a run with `qa.squad_v2: false`.
    `shared_contexts` is about contexts in two splits; ids in two are always an error.
    `repeated_ids` is about an id that one split has several times: `first` and `last` keep the
    first or the last question with this id.

    Where the data set has no validation split of its own, `validation_share` of the training
    questions become one, by whole articles (null: none). It is taken before the limits.

    `train_share` trains on a part of the other articles, for learning curves: a smaller part of
    one `train_draw` lies within a larger one. Each `train_draw` also has its own sample where
    `train_limit` is one, such as "sample 1000". Draw 1 depends on `sample_seed` alone.

    `fold: 1/5` is for small data: a fifth of the articles of all files becomes the test split, the
    others train, out of which `validation_share` is taken.
    """

    test_limit: int | str | None
    validation_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    realign: Annotated[bool | Literal["drop"], BeforeValidator(_of_realign)]
    unanswerable: Literal["error", "drop"]
    shared_contexts: Literal["error", "allow"]
    repeated_ids: Literal["error", "first", "last"] = "error"
    train_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    train_draw: Seed = 1
    fold: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_share is not None and self.train_limit is not None:
            raise ValueError("train_share and train_limit both cut train; set one of them to null")
        if self.fold is not None:
            parse_fold(self.fold)

    @property
    def limits(self) -> dict[str, int | str | None]:
        """The limit of each split."""
        return {**super().limits, SCORED: self.test_limit}

    def sample_number(self, split: str) -> int:
        """Return which sample is drawn: `train_draw` changes train and no other split."""
        return self.train_draw if split == "train" else super().sample_number(split)


def require_validation(keep: Keep, params: DownloadParams, dataset: Chosen) -> None:
    """Refuse to choose the best epoch where there is nothing to choose it by.

    Raises:
        RetuneError: `keep` is "best", but the data set has no validation split and gets none.
    """
    has_own = params.fold is None and dataset.module.has_validation(dataset.params)
    if keep == "last" or params.validation_share or has_own:
        return
    raise RetuneError(
        "qa.train.keep is best, but there is no validation split to choose the epoch by: set "
        "qa.download.validation_share (such as 0.1), name files in qa.datasets.files.validation, "
        "or set qa.train.keep: last"
    )


def download(
    raw: Path,
    test: Path,
    metrics: Path,
    *,
    sources: Mapping[str, Sequence[Source]],
    params: DownloadParams,
    squad_v2: bool,
) -> str:
    """Write the checked questions; see `retune.ingest.canonical.write_canonical`.

    `raw` gets train and, if there is one, validation; `test` gets test. `squad_v2` allows questions
    without an answer.
    """
    form = Form(
        task="qa",
        metric="download",
        unit="questions",
        noun="question",
        read=read_records,
        check=partial(_checked, params, squad_v2, sources),
        write=write_examples,
        counts=_counts,
        finding_fields=("file", "where", "id", "kind"),
    )
    folders = {name: test if name == SCORED else raw for name in SPLITS}
    return write_canonical(folders, metrics, form=form, sources=sources, params=params)


def _checked(
    params: DownloadParams,
    squad_v2: bool,
    sources: Mapping[str, Sequence[Source]],
    read: ReadSplit[Record],
) -> dict[str, Checked[Example]]:
    names = [name for name in SPLITS if name in sources]
    checkers = {}
    for split in names:
        rules = Rules(
            squad_v2,
            bool(params.realign),
            params.unanswerable == "drop",
            only_scored=split != "train" and params.fold is None,
            drop_unplaced=params.realign == "drop",
        )
        checkers[split] = Checker(rules)
        checkers[split].add(_one_of_each_id(read(split), params.repeated_ids))
    allowed = params.shared_contexts == "allow" or params.fold is not None
    for one, other in combinations(names, 2):
        pair = NamedSplit(one, checkers[one]), NamedSplit(other, checkers[other])
        checkers[other].findings += find_leaks(*pair, allow_contexts=allowed)
    splits = {
        split: Checked(checker.examples, checker.findings, len(checker.records))
        for split, checker in checkers.items()
    }
    if any(finding.severity == "error" for each in splits.values() for finding in each.findings):
        return splits  # the caller raises
    return _drawn(splits, params, chain(*sources.values()))


def _drawn(
    splits: dict[str, Checked[Example]], params: DownloadParams, files: Iterable[Source]
) -> dict[str, Checked[Example]]:
    """Draw a fold, a validation split and a part of train, where `params` ask for them."""
    if params.fold is not None:
        splits = in_fold(splits, params.fold, params.sample_seed)
    if "validation" not in splits and params.validation_share is not None:
        splits |= _held_out(splits["train"], params.validation_share, params.sample_seed)
    if params.train_share is not None:
        part = train_part(splits["train"].rows, params.train_share, params.train_draw)
        splits["train"] = splits["train"]._replace(rows=part)
    if params.fold is not None:
        more = {"fold": params.fold, "files": file_sums(files)}
        splits = {name: s._replace(more={**s.more, **more}) for name, s in splits.items()}
    return splits


def _held_out(train: Checked[Example], share: float, seed: int) -> dict[str, Checked[Example]]:
    """Return `train` without, and `validation` with the questions that are held out."""
    held = hold_out(train.rows, share, seed)
    more = {"out_of_train": held.articles}
    return {
        "train": train._replace(rows=held.train),
        "validation": Checked(held.validation, [], len(held.validation), more),
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
