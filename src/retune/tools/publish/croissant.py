"""Croissant metadata of one's own data files (MLCommons; NeurIPS asks for it).

The files themselves are not published: the metadata names them, with their sizes and sums, so that
it can go beside them wherever they are published.
"""

import json
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.plain_files import read_bytes
from retune.inference.exported import needs_extra
from retune.tools.publish.card import Labels
from retune.tools.publish.published_run import PublishedRun

#: Places in a file of SQuAD's layout.
_QUESTION = "$.data[*].paragraphs[*].qas[*]"
_KINDS = {".jsonl": "application/jsonlines", ".json": "application/json", ".csv": "text/csv"}


def own_files(run: PublishedRun) -> list[Path]:
    """Return the data files of a run that lie in the project; none if its data is elsewhere."""
    name = run.setting("qa.dataset")
    section = run.setting(f"qa.datasets.{name}") or {}
    if "folder" not in section:
        return []
    entries = [entry for split in ("train", "validation", "test") for entry in section[split]]
    paths = [Path(run.folder, section["folder"], entry["path"]) for entry in entries]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def write_croissant(path: Path, run: PublishedRun, labels: Labels, files: list[Path]) -> None:
    """Write the metadata of data files.

    Raises:
        RetuneError: mlcroissant is not installed, or does not accept what it was given.
    """
    try:
        import mlcroissant as mlc
    except ImportError as error:
        raise needs_extra(error, "publish", "Croissant metadata") from None

    objects = [
        mlc.FileObject(
            id=file.name,
            name=file.name,
            content_url=file.name,
            content_size=f"{file.stat().st_size} B",
            encoding_formats=[_kind(file)],
            sha256=sha256(file),
        )
        for file in files
    ]
    metadata = mlc.Metadata(
        name=(labels.dataset or "questions").rpartition("/")[2],
        description="Questions about passages, with answers that are spans of the passages.",
        license=[labels.license] if labels.license else None,
        in_language=[*labels.language] or None,
        url=f"https://huggingface.co/datasets/{labels.dataset}" if labels.dataset else None,
        distribution=objects,
        record_sets=[*_record_sets(mlc, files)],
    )
    if metadata.issues.errors:
        raise RetuneError(f"Croissant metadata: {metadata.issues.report()}")
    text = json.dumps(metadata.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _record_sets(mlc: Any, files: list[Path]) -> Iterator[Any]:
    """Yield the record set of each file that has SQuAD's layout."""
    for file in filter(_is_squad, files):
        name = f"{file.stem}-questions"
        yield mlc.RecordSet(
            id=name,
            name=name,
            fields=[
                mlc.Field(
                    id=f"{name}/{key}",
                    name=key,
                    data_types=[mlc.DataType.TEXT],
                    source=mlc.Source(
                        file_object=file.name, extract=mlc.Extract(json_path=f"{_QUESTION}.{key}")
                    ),
                )
                for key in ("id", "question")
            ],
        )


def _is_squad(file: Path) -> bool:
    if file.suffix != ".json":
        return False
    try:
        value = json.loads(read_bytes(file))
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("data"), list)


def _kind(file: Path) -> str:
    return (
        _KINDS.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    )
