"""The download stage: verified source files to one checked, canonical form.

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
from retune.tasks.sentiment.download.checking import add, contradictions, duplicates
from retune.tasks.sentiment.download.rows import Layout, Record, read_records
from retune.tasks.sentiment.download.treebank import TreebankTokens
from retune.tasks.sentiment.texts.examples import LABELS, Example, write_examples

SPLITS = ("train", "validation")


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `sentiment.download`.

    These three say what to do about texts that are the same but for case and white space:
    `error`, `drop` or `keep` them. `contradictions` are those with both labels in one split
    (dropped are all of them), `duplicates` those with one label (dropped are all but the
    first), `overlap` those in train and validation (dropped from train).

    `treebank_tokens`: `join` makes plain text of tokens of the Penn Treebank before that.
    """

    contradictions: Policy
    duplicates: Policy
    overlap: Policy
    treebank_tokens: TreebankTokens


def download(
    raw: Path,
    metrics: Path,
    *,
    sources: Mapping[str, Sequence[Source]],
    layout: Layout,
    params: DownloadParams,
) -> str:
    """Read, check and limit the source files of both splits, and write them to `raw`.

    The folder `raw` gets train.jsonl, validation.jsonl and findings.jsonl, whole or not
    at all; `metrics` gets the counts.

    Returns:
        The closing line.

    Raises:
        RetuneError: for a file that cannot be read, and once for all errors in the data.
    """
    report = write_splits(
        raw,
        partial(_checked, sources, layout, params),
        sources=sources,
        params=params,
        section="sentiment.download",
        write=write_examples,
        counts=_counts,
    )
    write_json(metrics, {"sentiment": {"download": report}})
    return closing_line(report, "rows", "texts")


def _checked(
    sources: Mapping[str, Sequence[Source]], layout: Layout, params: DownloadParams
) -> dict[str, Split[Example]]:
    """Both splits, sound: any error in either of them has been raised."""
    splits = {name: Split[Example](name) for name in SPLITS}
    for name, split in splits.items():
        for source in sources[name]:
            add(split, _read(source, layout), layout.labels, params.treebank_tokens)
        for kind, found, policy in (
            ("contradiction", contradictions, params.contradictions),
            ("duplicate", duplicates, params.duplicates),
        ):
            split.settle(kind, found(split), policy, _remedy(f"{kind}s"))
    train, validation = splits["train"], splits["validation"]
    train.settle("overlap", overlap(train, validation), params.overlap, _remedy("overlap"))
    raise_errors(train.findings + validation.findings)
    return splits


def _remedy(setting: str) -> str:
    return f"delete or change one, or set `sentiment.download.{setting}: drop`"


def _read(source: Source, layout: Layout) -> list[Record | Finding]:
    items = read_records(source.path, source.name, layout, source.sha256)
    require_count(source, items)
    return items


def _counts(kept: list[Example], split: Split[Example]) -> dict[str, Any]:
    labels = [example.label for example in kept]
    return {
        "rows_read": split.read,
        "rows": len(kept),
        **{name: labels.count(number) for number, name in enumerate(LABELS)},
        "findings": count_kinds(split.findings),
    }
