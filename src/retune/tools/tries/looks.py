"""Which answers were scored on the validation questions, as far as DVC's cache remembers.

A run outside the ledger is a look, too. Each raises the bar for the tries that follow.
"""

from pathlib import Path

from retune.tools.claims.looks import DIGITS
from retune.tools.compare.sources import VALIDATION_SCORES
from retune.tools.project.cache import Cache
from retune.tools.project.locks import outs_of, sums_of

RAW, SCORES = "data/qa/raw", VALIDATION_SCORES.parent.as_posix()
_QUESTIONS = "validation.jsonl"
#: Scores with the questions that were answered, both by their MD5.
Scored = set[tuple[str, str]]


def scored(root: Path) -> Scored:
    """Return what was scored on which validation questions.

    Scores are named by the first digits of their MD5. The sum of the questions is "" where the
    cache no longer knows it.
    """
    found: Scored = set()
    cache = Cache(root)
    for run in cache.runs():
        outs = outs_of(run)
        if SCORES in outs:
            files = cache.listed(sums_of(run).get(RAW, ""))
            questions = "" if files is None else files.get(_QUESTIONS, "none")
            found.add((outs[SCORES][:DIGITS], questions))
    return found


def outside(seen: Scored, known: set[str], ours: set[str]) -> list[str]:
    """Return the scores on the questions of the ledger that are not in it.

    Args:
        seen: what `scored` returns.
        known: scores that were there before the search began.
        ours: scores in the ledger.
    """
    same = {questions for scores, questions in seen if scores in ours} | {""}
    return sorted({scores for scores, questions in seen if questions in same} - known - ours)
