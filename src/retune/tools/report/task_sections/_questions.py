"""The browser of test questions: read from the folders of the stages, without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.tasks.qa.analyse.analyse import passage_spans
from retune.tasks.qa.analyse.errors import ERRORS, predicted
from retune.tasks.qa.analyse.groups import groupings
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tools.compare.flips import answers_of
from retune.tools.compare.systems import System
from retune.tools.report.questions import Browser, Candidate, Rival, Shown, pieces, within
from retune.tools.report.sources import PREDICTIONS
from retune.tools.report.task_sections._answers import Answered

ANALYSIS = "data/qa/analysis/questions.jsonl"
FEATURES = "data/qa/test_features/test.arrow"
#: Bytes of questions in a page, which is then below two megabytes.
BUDGET = 1_500_000
_BEST = 5  # answers of the n-best list that are shown


def there(root: Path) -> bool:
    """Return whether the files exist."""
    return (root / ANALYSIS).is_file() and (root / FEATURES).is_file()


def browser(
    root: Path, answered: Sequence[Answered], normalizer: str, against: System | None = None
) -> Browser:
    """Return the questions of the last run, the worst first.

    Args:
        root: the project's top.
        answered: the questions with their answers.
        normalizer: of the score.
        against: another system, whose answers stand beside.

    Raises:
        RetuneError: a file cannot be read, or the analysis is of other answers.
        KeyError: the folders are of different questions.
    """
    analysed = {row["id"]: row for row in read_json_lines(root / ANALYSIS)}
    if any((analysed[a.example.id]["error"] is None) != (a.exact == 1.0) for a in answered):
        raise RetuneError(
            f"{ANALYSIS}: of another run than {PREDICTIONS}; `dvc repro analyse` makes it again"
        )
    spans = passage_spans(root / FEATURES, len(answered))
    ways = groupings(NORMALIZERS[normalizer])
    names = [way.name for way in ways]
    found = [
        _shown(
            each,
            analysed[each.example.id],
            [end for span in windows for end in span] if len(windows) > 1 else [],
            names,
        )
        for each, windows in zip(answered, spans, strict=True)
    ]
    if against is not None:
        found = _beside(found, against)
    used = [{shown.groups[place] for shown in found} for place in range(len(ways))]
    kept = [place for place, groups in enumerate(used) if len(groups) > 1]
    return Browser(
        title="Test questions",
        groupings=tuple(
            (names[place], tuple(name for name in ways[place].names if name in used[place]))
            for place in kept
        ),
        errors=tuple(error for error in ERRORS if any(s.error == error for s in found)),
        questions=within([_with_groups(shown, kept) for shown in found], BUDGET),
        total=len(found),
        rival=against.name if against else None,
    )


def _beside(found: Sequence[Shown], against: System) -> list[Shown]:
    """Add the answers of another system to questions."""
    given = answers_of(against)
    return [
        replace(shown, rival=Rival(given[shown.id].answers, 100.0 * given[shown.id].f1))
        for shown in found
    ]


def _shown(
    answered: Answered,
    analysed: Mapping[str, Any],
    bounds: Sequence[int],
    names: Sequence[str],
) -> Shown:
    example = answered.example
    span = predicted(answered.answer, answered.candidates).span
    return Shown(
        id=example.id,
        question=example.question,
        passage=tuple(pieces(example.context, span, example.spans, bounds)),
        answer=answered.answer,
        gold=tuple(dict.fromkeys(answer.text for answer in example.answers)),
        error=analysed["error"],
        f1=100.0 * answered.f1,
        probability=answered.probability,
        candidates=tuple(
            Candidate(c["text"], c["probability"]) for c in answered.candidates[:_BEST]
        ),
        groups=tuple(analysed["groups"][name] for name in names),
    )


def _with_groups(shown: Shown, kept: Sequence[int]) -> Shown:
    return replace(shown, groups=tuple(shown.groups[place] for place in kept))
