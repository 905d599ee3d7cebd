"""Windows of real text for the benchmarks, shuffled: public data where there is any."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from retune.checkpoints import CheckpointParams, load_tokenizer, resolve
from retune.params import Params
from retune.qa.checking import Checker, Rules
from retune.qa.examples import Example, write_examples
from retune.qa.features import read_rows
from retune.qa.reading import read_records
from retune.qa.score import ScoreParams
from retune.qa.tokenize import TokenizeParams, tokenize

if TYPE_CHECKING:
    from datasets import Dataset

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = (
    ROOT.parent / "shared" / "data" / "squadshifts" / "new_wiki_v1.0.json",
    ROOT / "src" / "retune" / "corpora" / "encyclopaedia" / "train.json",
)


def checkpoint_folder() -> Path:
    """The folder of the checkpoint in params.yaml."""
    with Params(ROOT / "params.yaml") as params:
        settings = params.section("qa.checkpoint", CheckpointParams)
    return resolve(settings)


def questions() -> list[Example]:
    """The questions of the first source that is there, in the order of its file."""
    source = next(path for path in _SOURCES if path.exists())
    checker = Checker(Rules(squad_v2=False, realign=True, drop_unanswerable=True))
    checker.add(read_records(source, source.name))
    return checker.examples


@contextmanager
def shuffled_features(count: int, seed: int = 1) -> Iterator[Path]:
    """A folder with `raw` and `features` of `count` questions drawn at random, as split train.

    Windows have at most 384 tokens and overlap by 128, as in params.yaml.
    """
    with Params(ROOT / "params.yaml") as params:
        settings = params.section("qa.tokenize", TokenizeParams)
    drawn = questions()
    random.Random(seed).shuffle(drawn)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for split, examples in (("train", drawn[:count]), ("validation", drawn[:1])):
            write_examples(folder / "raw" / f"{split}.jsonl", examples)
        tokenize(
            folder / "raw",
            folder / "features",
            folder / "windows.json",
            tokenizer=load_tokenizer(checkpoint_folder()),
            params=settings,
            scoring=ScoreParams(normalizer="squad"),
            squad_v2=False,
        )
        yield folder


@contextmanager
def shuffled_windows(count: int) -> Iterator["Dataset"]:
    """The windows of `count` questions drawn at random."""
    with shuffled_features(count) as folder:
        yield read_rows(folder / "features" / "train.arrow")
