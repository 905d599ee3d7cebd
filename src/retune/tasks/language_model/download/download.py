"""The download stage: verified source files to texts in one checked, canonical form.

Everything is read and checked before limits are applied, so that a run on 1 % of the
data meets the same errors as a run on all of it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from retune.core.files import write_json
from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.findings import Finding, count_kinds, raise_errors
from retune.ingest.splits import Policy, Split, overlap, write_splits
from retune.ingest.subsample import LimitParams, closing_line
from retune.ingest.text_rows import require_count
from retune.tasks.language_model.download.checking import add, duplicates
from retune.tasks.language_model.download.record_files import Record, read_records
from retune.tasks.language_model.texts.texts import Text, write_texts

SPLITS = ("train", "validation")


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `language_model.download`.

    `duplicates` and `overlap` say what to do about texts that are the same but for case and white
    space: `error`, `drop` or `keep` them. The first are those in one split (dropped are all but
    the first), the second those in train and validation (dropped from train).
    """

    duplicates: Policy
    overlap: Policy


def download(
    raw: Path,
    metrics: Path,
    *,
    sources: Mapping[str, Sequence[Source]],
    field: str,
    params: DownloadParams,
) -> str:
    """Read, check and limit the source files of both splits, and write them to `raw`.

    The folder `raw` gets train.jsonl, validation.jsonl and findings.jsonl, whole or not
    at all; `metrics` gets the counts. `field` is the name of the text in rows.

    Returns:
        The closing line.

    Raises:
        RetuneError: for a file that cannot be read, and once for all errors in the data.
    """
    report = write_splits(
        raw,
        partial(_checked, sources, field, params),
        sources=sources,
        params=params,
        section="language_model.download",
        write=write_texts,
        counts=_counts,
    )
    write_json(metrics, {"language_model": {"texts": report}})
    return closing_line(report, "texts", "texts")


def _checked(
    sources: Mapping[str, Sequence[Source]], field: str, params: DownloadParams
) -> dict[str, Split[Text]]:
    """Both splits, sound: any error in either of them has been raised."""
    splits = {name: Split[Text](name) for name in SPLITS}
    for name, split in splits.items():
        for source in sources[name]:
            add(split, _read(source, field))
        split.settle("duplicate", duplicates(split), params.duplicates, _remedy("duplicates"))
    train, validation = splits["train"], splits["validation"]
    train.settle("overlap", overlap(train, validation), params.overlap, _remedy("overlap"))
    raise_errors(train.findings + validation.findings)
    return splits


def _remedy(setting: str) -> str:
    return f"delete one, or set `language_model.download.{setting}: drop`"


def _read(source: Source, field: str) -> list[Record | Finding]:
    items = read_records(source.path, source.name, field, source.sha256)
    require_count(source, items)
    return items


def _counts(kept: list[Text], split: Split[Text]) -> dict[str, Any]:
    return {
        "texts_read": split.read,
        "texts": len(kept),
        "characters": sum(len(text.text) for text in kept),
        "words": sum(len(text.text.split()) for text in kept),
        "findings": count_kinds(split.findings),
    }
