"""The questions of a data set that a protocol draws from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.files import read_json
from retune.core.params import Params
from retune.core.plain_files import sha256
from retune.core.unspaced_scripts import UNSPACED
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.questions.splits import SCORED, SPLITS

#: Characters of a token in scripts with spaces, about; in other scripts a character is a token.
_CHARACTERS = 4.5
_SPECIAL = 3  # tokens of a window that belong to no text


@dataclass(frozen=True)
class Split:
    """All questions of a split, before anything is drawn.

    Attributes:
        questions: how many there are.
        titles: of the articles that they are about.
        windows: of a question, about.
        tokens: of all windows of a question, about.
        sha256: of the questions in their canonical form.
    """

    questions: int
    titles: frozenset[str]
    windows: float
    tokens: float
    sha256: str


#: The splits by name, in their order.
Pool = Mapping[str, Split]


def read_pool(path: Path) -> Pool:
    """Read and check all questions of a data set as the stage `download` does, without limits.

    Args:
        path: a params file, whose values are valid.

    Raises:
        RetuneError: the data cannot be read, have errors, or have no validation split.
    """
    with Params(path) as params:
        settings = params.section("qa.download", DownloadParams)
        squad_v2 = params.section("qa.squad_v2", bool)
        dataset = params.variant("qa.dataset", "retune.tasks.qa.datasets", "qa.datasets")
    unlimited = replace(settings, train_limit=None, validation_limit=None, test_limit=None)
    sources = dataset.module.sources(dataset.params)
    with TemporaryDirectory(prefix="retune-few-shot-") as top:
        raw, test, metrics = (Path(top) / name for name in ("raw", "test", "metrics.json"))
        download(raw, test, metrics, sources=sources, params=unlimited, squad_v2=squad_v2)
        entries = [entry["split"] for entry in read_json(metrics)["qa"]["download"]]
        folders = {name: test if name == SCORED else raw for name in SPLITS}
        pool = {
            name: _split(folders[name] / f"{name}.jsonl", params.values["qa"]["tokenize"])
            for name in entries
        }
    if "validation" not in pool:
        raise RetuneError(
            "the protocol needs validation questions, but there is no validation split: set "
            "qa.download.validation_share (such as 0.1), or name validation files"
        )
    return pool


def _split(path: Path, tokenize: Mapping[str, Any]) -> Split:
    titles, sizes = set[str](), []
    for example in read_examples(path):
        titles.add(example.title)
        sizes.append(_size(_tokens(example.context), _tokens(example.question), tokenize))
    titles.discard("")
    windows, tokens = (sum(each) / len(sizes) for each in zip(*sizes, strict=True))
    return Split(len(sizes), frozenset(titles), windows, tokens, sha256(path))


def _tokens(text: str) -> float:
    """Return about how many tokens a text has."""
    unspaced = len(UNSPACED.findall(text))
    return unspaced + (len(text) - unspaced) / _CHARACTERS


def _size(context: float, question: float, tokenize: Mapping[str, Any]) -> tuple[int, float]:
    """Return about how many windows a context is cut into, and how many tokens these have."""
    question_tokens = min(question, tokenize["max_question_length"]) + _SPECIAL
    room: float = tokenize["max_length"] - question_tokens
    overlap: float = tokenize["doc_stride"]
    if tokenize["windows"] == "first":
        return 1, min(context, room) + question_tokens
    more = max(0, math.ceil((context - room) / max(1.0, room - overlap)))
    return 1 + more, context + more * overlap + (1 + more) * question_tokens


def listed_splits(pool: Pool, wanted: Mapping[str, int]) -> Sequence[str]:
    """Return a sentence for each split: what there is, and how many questions are drawn."""
    return [f"{name}: {_drawn(split, name, wanted[name])}" for name, split in pool.items()]


def shared_articles(pool: Pool) -> Sequence[str]:
    """Return a warning for each pair of splits that have articles of one title.

    A split that is taken out of train has its own articles, so these are files of the user.
    """
    return [
        f"warning: {len(common):,} articles are in {one} and in {other}, such as "
        f"{excerpt(min(common))}; questions about one article share its facts, so the score may be "
        "too high"
        for one, other in combinations(pool, 2)
        if (common := pool[one].titles & pool[other].titles)
    ]


def _drawn(split: Split, name: str, wanted: int) -> str:
    articles = f" about {len(split.titles):,} articles" if split.titles else ""
    has = f"{split.questions:,} questions{articles}"
    if name == "train":
        return f"{has}; each draw trains on {wanted:,} of them"
    if split.questions < wanted:
        return f"{has}, fewer than the {wanted:,} of the protocol; all are used in every draw"
    return f"{has}; the same {wanted:,} are used in every draw"
