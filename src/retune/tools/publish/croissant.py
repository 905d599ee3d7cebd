"""Croissant metadata of one's own data files (MLCommons; NeurIPS asks for it).

The files themselves are not published: the metadata names them, with their sizes and sums, so that
it can go beside them wherever they are published.
"""

import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import sha256
from retune.core.plain_files import read_bytes
from retune.inference.exported import needs_extra
from retune.tools.publish.card import Labels
from retune.tools.publish.published_run import PublishedRun

#: Places in a file of SQuAD's layout.
_QUESTION = "$.data[*].paragraphs[*].qas[*]"
_KINDS = {".jsonl": "application/jsonlines", ".json": "application/json", ".csv": "text/csv"}


def own_files(run: PublishedRun) -> dict[str, Path]:
    """Return the data files that lie in the project, by their path from the folder of the data."""
    name = run.setting("qa.dataset")
    section = run.setting(f"qa.datasets.{name}") or {}
    if "folder" not in section:
        return {}
    splits = ("train", "validation", "test")
    names = [str(entry["path"]) for split in splits for entry in section[split]]
    paths = {name: Path(run.folder, section["folder"], name) for name in names}
    return {name: path for name, path in paths.items() if path.is_file()}


def write_croissant(path: Path, labels: Labels, files: Mapping[str, Path]) -> None:
    """Write the metadata of data files, by their names.

    Raises:
        RetuneError: mlcroissant is not installed, or does not accept what it was given.
    """
    try:
        import mlcroissant as mlc
    except ImportError as error:
        raise needs_extra(error, "publish", "Croissant metadata") from None

    objects = [
        mlc.FileObject(
            id=_id(name),
            name=_id(name),
            content_url=name,
            content_size=f"{file.stat().st_size} B",
            encoding_formats=[_kind(file)],
            sha256=sha256(file),
        )
        for name, file in files.items()
    ]
    try:
        metadata = mlc.Metadata(
            name=(labels.dataset or "questions").rpartition("/")[2],
            description="Questions about passages, with answers that are spans of the passages.",
            license=[labels.data_license] if labels.data_license else None,
            in_language=[*labels.language] or None,
            url=f"https://huggingface.co/datasets/{labels.dataset}" if labels.dataset else None,
            distribution=objects,
            record_sets=[*_record_sets(mlc, files)],
        )
    except mlc.ValidationError as error:
        raise RetuneError(
            f"Croissant metadata of {listed([*files])}: {excerpt(str(error), 200)}; rename them"
        ) from None
    text = json.dumps(metadata.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _record_sets(mlc: Any, files: Mapping[str, Path]) -> Iterator[Any]:
    """Yield the record set of each file that has SQuAD's layout."""
    for path, file in files.items():
        if not _is_squad(file):
            continue
        name = f"{_id(path).removesuffix('.json')}-questions"
        yield mlc.RecordSet(
            id=name,
            name=name,
            fields=[
                mlc.Field(
                    id=f"{name}/{key}",
                    name=key,
                    data_types=[mlc.DataType.TEXT],
                    source=mlc.Source(
                        file_object=_id(path), extract=mlc.Extract(json_path=f"{_QUESTION}.{key}")
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
    articles = value.get("data") if isinstance(value, dict) else None
    return isinstance(articles, list) and all("paragraphs" in each for each in articles)


def _id(name: str) -> str:
    """Return a name that may be an id in JSON-LD."""
    return re.sub(r"\s+", "-", name)


def _kind(file: Path) -> str:
    return (
        _KINDS.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    )
