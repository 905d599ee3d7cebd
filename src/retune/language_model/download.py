"""The download stage: verified source files to texts in one checked, canonical form.

Everything is read and checked before limits are applied, so that a run on 1 % of the
data meets the same errors as a run on all of it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from retune.errors import RetuneError
from retune.fetching import Source
from retune.language_model.checking import add, duplicates
from retune.language_model.reading import Record, read_records
from retune.language_model.texts import Text, write_texts
from retune.params import STRICT
from retune.qa.download import LimitParams, closing_line, limited
from retune.qa.findings import Finding, count_kinds, raise_errors
from retune.splits import Policy, Split, finding_row, overlap
from retune.storage import atomic_path, write_json, write_json_lines
from retune.text_rows import require_count

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
    report = []
    with atomic_path(raw) as folder:
        folder.mkdir()  # before the work, so that a read-only disk is known at once
        splits = _checked(sources, field, params)
        for name, split in splits.items():
            kept = limited(split.rows, params.limits[name], params.sample_seed)
            if not kept:
                raise RetuneError(
                    f"{name}: no text is left; see language_model.download in the params"
                )
            write_texts(folder / f"{name}.jsonl", kept)
            files = [{"name": source.name, "sha256": source.sha256} for source in sources[name]]
            counts = _counts(kept, split)
            report.append({"split": name, "files": files, "limit": params.limits[name], **counts})
        rows = (finding_row(name, f) for name, split in splits.items() for f in split.findings)
        write_json_lines(folder / "findings.jsonl", rows)
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
    items = read_records(source.path, source.name, field)
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
