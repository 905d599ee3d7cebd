"""Which models were scored on the validation questions, as far as DVC's cache remembers.

A try that runs outside the ledger is a look, too. It raises the bar for the tries that follow.
"""

import contextlib
import json
from pathlib import Path

from retune.tools.claims.looks import DIGITS, cache_of, cached_runs, sums_of

RAW, MODEL, SCORES = "data/qa/raw", "data/qa/model", "data/qa/validation_scores"
_QUESTIONS = "validation.jsonl"


def scored_models(root: Path) -> dict[str, str]:
    """Return the MD5 of the validation questions by each model that was scored on them.

    Models are named by the first digits of their MD5. The sum of the questions is "" where the
    cache no longer knows it.
    """
    found, cache = {}, cache_of(root)
    for run in cached_runs(cache):
        sums, outs = sums_of(run), [out.get("path") for out in run.get("outs", ())]
        if SCORES in outs and MODEL in sums:
            found[sums[MODEL][:DIGITS]] = _questions_of(cache, sums.get(RAW, ""))
    return found


def outside(scored: dict[str, str], known: set[str], ours: set[str]) -> list[str]:
    """Return the models that were scored on the questions of the ledger, but are not in it.

    Args:
        scored: what `scored_models` returns.
        known: models that had been scored before the search began.
        ours: models in the ledger.
    """
    questions = {scored[model] for model in ours if model in scored} | {""}
    return sorted(
        model
        for model, theirs in scored.items()
        if model not in known | ours and theirs in questions
    )


def _questions_of(cache: Path | None, folder: str) -> str:
    """Return the MD5 of the validation questions in the folder with this MD5."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        path = (cache or Path()) / "files" / "md5" / folder[:2] / folder[2:]
        listing = json.loads(path.read_text(encoding="utf-8"))
        return next((str(e["md5"]) for e in listing if e["relpath"] == _QUESTIONS), "none")
    return ""
