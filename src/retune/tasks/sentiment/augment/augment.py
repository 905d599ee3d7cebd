"""Stage `augment`: add new rows, made from training sentences, to the training sentences.

A candidate is taken only if its text is new: it must differ from its own sentence, from all other
rows of train, and from all texts of validation. Nothing else is read from validation.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from retune.core.files import atomic_path, write_json
from retune.ingest.dedup_key import dedup_key
from retune.tasks.sentiment.texts.examples import Example, read_examples, write_examples

#: What can happen to a candidate; `empty` means that its method could not make one.
_FATES = ("taken", "empty", "unchanged", "duplicate", "in_validation")


def augment(
    raw: Path,
    augmented: Path,
    metrics: Path,
    *,
    made: Callable[[Sequence[Example]], Iterable[Example]],
) -> str:
    """Write train.jsonl of `raw` to `augmented`, followed by new rows that `made` makes of it.

    `metrics` gets the counts of candidates, taken and left out.

    Returns:
        The closing line.
    """
    train = list(read_examples(raw / "train.jsonl"))
    validation = {dedup_key(example.text) for example in read_examples(raw / "validation.jsonl")}
    counts: Counter[tuple[str, str]] = Counter()
    with atomic_path(augmented) as folder:
        folder.mkdir()
        new = _taken(train, made(train), validation, counts)
        rows = write_examples(
            folder / "train.jsonl", (row for part in (train, new) for row in part)
        )
    write_json(metrics, {"sentiment": {"augment": _report(len(train), rows, counts)}})
    lost = [f"{_sum(counts, fate):,} {fate}" for fate in _FATES[1:] if _sum(counts, fate)]
    return ", ".join([f"{len(train):,} texts and {rows - len(train):,} made of them", *lost])


def _taken(
    train: Sequence[Example],
    candidates: Iterable[Example],
    validation: set[str],
    counts: Counter[tuple[str, str]],
) -> Iterator[Example]:
    """Yield the candidates that are taken; `counts` counts, by method, what happened to each."""
    known = {dedup_key(example.text) for example in train}
    sources = {example.id: dedup_key(example.text) for example in train}
    for candidate in candidates:
        text, fate = dedup_key(candidate.text), "taken"
        if not text:
            fate = "empty"
        elif text == sources[candidate.source or ""]:
            fate = "unchanged"
        elif text in validation:
            fate = "in_validation"
        elif text in known:
            fate = "duplicate"
        counts[candidate.method or "", fate] += 1
        if fate == "taken":
            known.add(text)
            yield candidate


def _report(originals: int, rows: int, counts: Counter[tuple[str, str]]) -> dict[str, Any]:
    methods = sorted({method for method, _ in counts})
    return {
        "originals": originals,
        "rows": rows,
        "methods": [
            {"method": method, **{fate: counts[method, fate] for fate in _FATES}}
            for method in methods
        ],
    }


def _sum(counts: Counter[tuple[str, str]], fate: str) -> int:
    return sum(number for (_, its), number in counts.items() if its == fate)
