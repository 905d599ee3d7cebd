"""Folds of small data, by whole articles: each article is in the test split of one fold."""

import re
from collections.abc import Mapping, Sequence

from retune.core.errors import RetuneError
from retune.ingest.canonical import Checked
from retune.ingest.findings import Finding
from retune.ingest.subsample import draw
from retune.tasks.qa.download.holding_out import articles
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.questions.splits import SCORED

_FOLD = re.compile(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})", re.ASCII)


def parse_fold(text: str) -> tuple[int, int]:
    """Return the number of a fold, from 1, and how many folds there are.

    Raises:
        ValueError: the text is not such as `1/5`.
    """
    match = _FOLD.fullmatch(text)
    fold, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if fold > count or count < 2:
        raise ValueError(f"fold is {text!r}; allowed: null, or '1/5' to '5/5' for five folds")
    return fold, count


def in_fold(
    splits: Mapping[str, Checked[Example]], fold: str, seed: int
) -> dict[str, Checked[Example]]:
    """Return the questions of all splits as test, if their article is in the fold, or train.

    Raises:
        RetuneError: there are fewer articles than folds.
    """
    rows = [row for split in splits.values() for row in split.rows]
    number, count = parse_fold(fold)
    scored = [place == number for place in _deal(rows, count, seed)]
    ids = {row.id for row, chosen in zip(rows, scored, strict=True) if chosen}
    parts: dict[bool, list[Example]] = {False: [], True: []}
    found: dict[bool, list[Finding]] = {False: [], True: []}
    for row in rows:
        parts[row.id in ids].append(row)
    for finding in (finding for split in splits.values() for finding in split.findings):
        if finding.kind != "shared_context":  # a context is in one fold, with its articles
            found[finding.id in ids].append(finding)
    return {
        name: Checked(parts[chosen], found[chosen], len(parts[chosen]))
        for name, chosen in (("train", False), (SCORED, True))
    }


def _deal(examples: Sequence[Example], count: int, seed: int) -> list[int]:
    """Return the fold of each question, from 1 to `count`.

    The largest articles are dealt first, each to the fold with the fewest questions. Articles of
    one size are in the order of the SHA-256 of `seed` and title.
    """
    found = articles(examples)
    if len(found) < count:
        raise RetuneError(
            f"{len(found)} articles cannot make {count} folds; set qa.download.fold to fewer "
            "folds, or to null"
        )
    held = [0] * count
    place: dict[int, int] = {}
    for name in sorted(found, key=lambda name: (-len(found[name].rows), draw(seed, name))):
        least = held.index(min(held))
        held[least] += len(found[name].rows)
        place |= dict.fromkeys(found[name].rows, least + 1)
    return [place[row] for row in range(len(examples))]
