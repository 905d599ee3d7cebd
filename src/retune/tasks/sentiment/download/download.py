"""Stage `download` of sentiment: source files to checked, labelled texts."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.core.splits import SPLITS
from retune.fetch.fetching import Source
from retune.ingest.canonical import Checked, Form, ReadSplit, write_canonical
from retune.ingest.subsample import LimitParams
from retune.ingest.text_splits import Policy, Split, settled
from retune.tasks.sentiment.download.checking import add, contradictions, duplicates
from retune.tasks.sentiment.download.rows import Layout, Record, read_records
from retune.tasks.sentiment.download.treebank import TreebankTokens
from retune.tasks.sentiment.texts.examples import LABELS, Example, write_examples


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `sentiment.download`.

    The first three say what to do about texts that differ at most in case and white space: give
    an `error`, `drop` or `keep` them. `contradictions` have both labels in one split; `drop`
    removes all of them. `duplicates` have the same label in one split; `drop` keeps the first.
    `overlap` is about texts in both splits; `drop` removes them from train.

    `treebank_tokens: join` first turns tokens of the Penn Treebank into plain text.
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
    """Write the checked texts of both splits; see `retune.ingest.canonical.write_canonical`.

    `layout` says which columns hold text and label, and what the labels mean.
    """
    form = Form(
        task="sentiment",
        metric="download",
        unit="rows",
        noun="text",
        read=partial(read_records, layout=layout),
        check=partial(_checked, layout.labels, params),
        write=write_examples,
        counts=_counts,
    )
    folders = dict.fromkeys(SPLITS, raw)
    return write_canonical(folders, metrics, form=form, sources=sources, params=params)


def _checked(
    labels: Mapping[str, str], params: DownloadParams, read: ReadSplit[Record]
) -> dict[str, Checked[Example]]:
    train, validation = (Split[Example](name) for name in SPLITS)
    for split in (train, validation):
        add(split, read(split.name), labels, params.treebank_tokens)
    return settled(
        train,
        validation,
        rules=[
            ("contradiction", contradictions, params.contradictions),
            ("duplicate", duplicates, params.duplicates),
        ],
        overlaps=params.overlap,
        remedy="delete or change one, or set `sentiment.download.{}: drop`",
    )


def _counts(kept: list[Example]) -> dict[str, int]:
    labels = [example.label for example in kept]
    return {name: labels.count(number) for number, name in enumerate(LABELS)}
