"""Which models were scored on the validation questions, as far as DVC's cache remembers.

A run outside the ledger is a look, too. Each raises the bar for the tries that follow.
"""

from pathlib import Path

from retune.tools.claims.looks import DIGITS
from retune.tools.project.cache import Cache
from retune.tools.project.locks import sums_of

RAW, MODEL, SCORES = "data/qa/raw", "data/qa/model", "data/qa/validation_scores"
_QUESTIONS = "validation.jsonl"
#: Models with the questions that they were scored on, both by their MD5.
Scored = set[tuple[str, str]]


def scored_models(root: Path) -> Scored:
    """Return which models were scored on which validation questions.

    Models are named by the first digits of their MD5. The sum of the questions is "" where the
    cache no longer knows it.
    """
    found: Scored = set()
    cache = Cache(root)
    for run in cache.runs():
        sums, outs = sums_of(run), [out.get("path") for out in run.get("outs", ())]
        if SCORES in outs and MODEL in sums:
            files = cache.listed(sums.get(RAW, ""))
            questions = "" if files is None else files.get(_QUESTIONS, "none")
            found.add((sums[MODEL][:DIGITS], questions))
    return found


def outside(scored: Scored, known: set[str], ours: set[str]) -> list[str]:
    """Return the models that were scored on the questions of the ledger, but are not in it.

    Args:
        scored: what `scored_models` returns.
        known: models that had been scored before the search began.
        ours: models in the ledger.
    """
    same = {questions for model, questions in scored if model in ours} | {""}
    return sorted({model for model, questions in scored if questions in same} - known - ours)
