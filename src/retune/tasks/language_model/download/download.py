"""Stage `download` of the language model: source files to checked texts."""

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
from retune.tasks.language_model.download.checking import add, duplicates
from retune.tasks.language_model.download.record_files import Record, read_records
from retune.tasks.language_model.texts.texts import Text, write_texts


@dataclass(frozen=True, config=STRICT)
class DownloadParams(LimitParams):
    """Section `language_model.download`.

    Both say what to do about texts that differ at most in case and white space: give an `error`,
    `drop` or `keep` them. `duplicates` are in one split; `drop` keeps the first. `overlap` is
    about texts in both splits; `drop` removes them from train.
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
    """Write the checked texts of both splits; see `retune.ingest.canonical.write_canonical`.

    `field` is the name of the text in rows.
    """
    form = Form(
        task="language_model",
        metric="texts",
        unit="texts",
        noun="text",
        read=partial(read_records, field=field),
        check=partial(_checked, params),
        write=write_texts,
        counts=_counts,
    )
    folders = dict.fromkeys(SPLITS, raw)
    return write_canonical(folders, metrics, form=form, sources=sources, params=params)


def _checked(params: DownloadParams, read: ReadSplit[Record]) -> dict[str, Checked[Text]]:
    train, validation = (Split[Text](name) for name in SPLITS)
    for split in (train, validation):
        add(split, read(split.name))
    return settled(
        train,
        validation,
        rules=[("duplicate", duplicates, params.duplicates)],
        overlaps=params.overlap,
        remedy="delete one, or set `language_model.download.{}: drop`",
    )


def _counts(kept: list[Text]) -> dict[str, int]:
    return {
        "characters": sum(len(text.text) for text in kept),
        "words": sum(len(text.text.split()) for text in kept),
    }
