"""The splits of question answering, and which epoch of a training is kept."""

from pathlib import Path
from typing import Literal

from retune.core.errors import RetuneError

#: In this order they are read, checked and reported. `validation` chooses (the epoch, thresholds);
#: `test` is scored, and nothing is chosen by it.
SPLITS = ("train", "validation", "test")
#: The split of the headline scores.
SCORED = "test"

#: `best` on the validation split, or the `last`.
Keep = Literal["best", "last"]


def splits_in(raw: Path) -> list[str]:
    """Return the splits whose questions are in a folder of the download stage.

    Raises:
        RetuneError: there are none.
    """
    found = [split for split in SPLITS if (raw / f"{split}.jsonl").is_file()]
    if not found:
        names = ", ".join(f"{split}.jsonl" for split in SPLITS)
        raise RetuneError(f"{raw}: none of {names} is there; run the download stage")
    return found
