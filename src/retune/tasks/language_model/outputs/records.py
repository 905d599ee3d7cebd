"""Read what the tokenize, perplexity and generate stages wrote, without torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.tasks.language_model.outputs.likelihoods import Likelihood

#: The file of the continuations, in their folder.
CONTINUATIONS = "continuations.jsonl"
#: The files of the likelihoods of whole texts and of second sentences, in their folder.
TEXTS, PAIRS = "texts.jsonl", "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class ReferencePair:
    """The first sentence of a text, and the second one as its author wrote it."""

    id: str
    prompt_tokens: list[int]
    continuation: str
    continuation_tokens: list[int]


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A model's continuation of a first sentence; `tokens` exclude the one that ended it."""

    text: str
    tokens: list[int]
    likelihood: Likelihood  # with the token that ended it
    ended: bool


def read_pairs(features: Path) -> list[ReferencePair]:
    """The pairs of the validation texts.

    Raises:
        RetuneError: there is none.
    """
    path = features / "pairs.jsonl"
    names = ReferencePair.__slots__
    pairs = [ReferencePair(*values) for values in _columns(path, *names)]
    if not pairs:
        raise RetuneError(
            f"{path}: no pair of sentences; give validation texts of two sentences or more"
        )
    return pairs


@contextmanager
def of_pairs(features: Path) -> Iterator[None]:
    """Name the file of the pairs in messages, which number the pairs from 0."""
    try:
        yield
    except RetuneError as error:
        raise RetuneError(f"{features / 'pairs.jsonl'}: {error}") from None


def read_texts(features: Path) -> list[tuple[str, list[int]]]:
    """Id and tokens of each validation text.

    Raises:
        RetuneError: there is none.
    """
    path = features / "validation.jsonl"
    texts = [(id_, tokens) for id_, tokens in _columns(path, "id", "tokens")]
    if not texts:
        raise RetuneError(f"{path}: no text in it; check the validation texts")
    return texts


def read_continuations(folder: Path, pairs: Sequence[ReferencePair]) -> list[GeneratedText]:
    """Read the continuation of each of `pairs`.

    Raises:
        RetuneError: the continuations belong to other pairs.
    """
    path = folder / CONTINUATIONS
    names = ("id", "text", "tokens", "log_probability", "ended")
    rows = list(_columns(path, *names))
    _require_same([row[0] for row in rows], [pair.id for pair in pairs], path, "generate")
    return [
        GeneratedText(text, tokens[:-1] if ended else tokens, Likelihood(log, len(tokens)), ended)
        for _, text, tokens, log, ended in rows
    ]


def likelihood_rows(ids: Iterable[str], found: Iterable[Likelihood]) -> Iterator[dict[str, Any]]:
    """The lines of a file that `read_likelihoods` reads."""
    return ({"id": id_, **each._asdict()} for id_, each in zip(ids, found, strict=True))


def read_likelihoods(path: Path, ids: Sequence[str]) -> list[Likelihood]:
    """Read the likelihood of each of the texts `ids`.

    Raises:
        RetuneError: the file belongs to other texts.
    """
    rows = list(_columns(path, "id", "log_probability", "tokens"))
    _require_same([row[0] for row in rows], ids, path, "perplexity")
    return [Likelihood(log, tokens) for _, log, tokens in rows]


def require_one_model(folders: Mapping[str, Path]) -> None:
    """Refuse folders (by name) that were made with different models.

    Raises:
        RetuneError: two of them have different models.
    """
    models = {name: manifests.read(path)["inputs"].get("model") for name, path in folders.items()}
    first = next(iter(models))
    for name, model in models.items():
        if model != models[first]:
            raise RetuneError(
                f"{folders[name]}: made with another model than {folders[first]}, so that they "
                "cannot be compared; run `dvc repro`, which brings all stages to one state"
            )


def _columns(path: Path, *names: str) -> Iterator[list[Any]]:
    """Yield the values of the fields `names` in each line of a file."""
    for number, row in enumerate(read_json_lines(path), 1):
        fields = row if isinstance(row, dict) else {}
        if absent := [name for name in names if name not in fields]:
            raise RetuneError(
                f"{path}:{number}: no field {absent[0]!r}; run the stage that writes it again"
            )
        yield [row[name] for name in names]


def _require_same(found: Sequence[str], ids: Sequence[str], path: Path, stage: str) -> None:
    if list(found) != list(ids):
        raise RetuneError(
            f"{path}: its ids are not those of the features in their order; run the {stage} stage"
        )
