"""Your own files: TSV, CSV, JSON lines or Parquet in one folder, any number per split."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, Positive
from retune.fetch.fetching import Source
from retune.ingest.data_sources import own_sources
from retune.tasks.sentiment.download.labels import label_text
from retune.tasks.sentiment.download.rows import Layout
from retune.tasks.sentiment.texts.examples import LABELS

_SECTION = "sentiment.datasets.files"
_SUFFIXES = (".tsv", ".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.datasets.files`.

    Paths of files start from `folder`, whose path starts from the project's top folder. The
    download stage depends on this folder, so DVC notices every change of a file. `text` and `label`
    are names of columns or, in TSV and CSV, numbers from 1. Tables without a `header` only have
    numbers; JSON lines only have names. `labels` gives the meaning of each label; rows whose label
    means `drop` are left out. Labels may be text, numbers or booleans; 1.0 is 1.
    """

    folder: str
    train: list[str]
    validation: list[str]
    header: bool
    text: Annotated[str, Field(min_length=1)] | Positive
    label: Annotated[str, Field(min_length=1)] | Positive
    labels: dict[str, Literal["negative", "positive", "drop"]]

    @field_validator("labels", mode="before")
    @classmethod
    def _as_text(cls, labels: Any) -> Any:
        """Turn the labels into text; in YAML, `true` and `1` are not."""
        if not isinstance(labels, dict):
            return labels
        named = [(label_text(label), meaning) for label, meaning in labels.items()]
        if len(dict(named)) < len(named):
            raise ValueError("two labels are one as text; keep one of them")
        return dict(named)

    def __post_init__(self) -> None:
        names = [*self.train, *self.validation]
        if other := [name for name in names if not name.lower().endswith(_SUFFIXES)]:
            raise ValueError(f"{other[0]} is not read; allowed: {', '.join(_SUFFIXES)}")
        lines = [name for name in names if name.lower().endswith(".jsonl")]
        tables = [name for name in names if name.lower().endswith((".tsv", ".csv"))]
        if not self.header and tables:
            self._require(int, "tables without a header have columns 1, 2, ... and no names")
        if lines:
            self._require(str, f"{lines[0]} has names and no numbers of columns")
        if self.text == self.label:
            raise ValueError("text and label are the same column")
        if absent := sorted(set(LABELS) - set(self.labels.values())):
            raise ValueError(f"labels names none that means {absent[0]}")

    def _require(self, kind: type, reason: str) -> None:
        for name in ("text", "label"):
            if not isinstance(value := getattr(self, name), kind):
                raise ValueError(f"{name} is {value!r}, but {reason}")


def sources(params: Params) -> dict[str, list[Source]]:
    """The files of both splits."""
    splits = {"train": params.train, "validation": params.validation}
    return own_sources(Path(params.folder), splits, _SECTION)


def layout(params: Params) -> Layout:
    """The layout in the params."""
    return Layout(params.header, params.text, params.label, params.labels)
