"""Random windows of real text, to train on and to predict."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.inputs import ROOT, questions, write_features, write_raw
from retune.core.params import Params
from retune.models.pretrained_files import PretrainedParams, resolve
from retune.tasks.qa.windows.features import read_rows

if TYPE_CHECKING:
    from datasets import Dataset

_DRAWN_FROM = 7_938  # the first so many questions: those of SQuADShifts, where it is there


def pretrained_folder() -> Path:
    """The folder of the pretrained encoder in params.yaml."""
    return resolve(pretrained_params())


def pretrained_params() -> PretrainedParams:
    with Params(ROOT / "params.yaml") as params:
        settings = params.section("qa.checkpoint", PretrainedParams)
    return settings  # noqa: RET504  # problems are raised as the block ends


@contextmanager
def shuffled_features(count: int, seed: int = 1, *, bundled: bool = False) -> Iterator[Path]:
    """A folder with `raw` and `features` of `count` questions, as split train.

    Windows have at most 384 tokens and overlap by 128, as in params.yaml.
    """
    drawn = list(questions(_DRAWN_FROM, bundled=bundled))
    random.Random(seed).shuffle(drawn)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_raw(folder / "raw", test=drawn[:1], train=drawn[:count])
        write_features(folder / "raw", folder / "features")
        yield folder


@contextmanager
def shuffled_windows(count: int, *, bundled: bool = False) -> Iterator["Dataset"]:
    """The windows of `count` questions."""
    with shuffled_features(count, bundled=bundled) as folder:
        yield read_rows(folder / "features" / "train.arrow")
