"""Verify single claims: score stored predictions and train small models again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.tasks.task import main_task
from retune.tools.claims.ledger import Bench, Claim, MeasuredOnce, Reproduced
from retune.tools.claims.tables import last_word
from retune.tools.project.yaml_editor import set_values
from retune.tools.verify.clones import checkout, clean_clone, repro
from retune.tools.verify.compare import Comparison, Run, chosen_rule, compare, read_run, verdict_on

_RAW, _PREDICTIONS, _SCORES = "data/qa/raw", "data/qa/predictions", "metrics/qa.json"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check of a claim."""

    claim: str
    kind: str
    action: str  # scored again, trained again, or not run again
    verdict: str  # same, within tolerance, differs, not run
    detail: str
    seconds: float = 0.0


def picked(claims: Mapping[str, Claim], names: Sequence[str]) -> dict[str, Claim]:
    """Return the claims with these names, or all claims without names."""
    if unknown := [name for name in names if name not in claims]:
        raise RetuneError(f"claims.yaml has no {', '.join(unknown)}; it has {', '.join(claims)}")
    return {name: claim for name, claim in claims.items() if not names or name in names}


def verify_claims(root: Path, claims: Mapping[str, Claim], logs: Path) -> Iterator[Outcome]:
    """Check the claims one after the other."""
    reproduced = {name: claim for name, claim in claims.items() if isinstance(claim, Reproduced)}
    bar = tqdm(total=len(claims), desc="verify", unit=" claims")
    with bar:
        for name, claim in reproduced.items():
            if _SCORES in claim.sources and not claim.changes:
                bar.set_postfix_str(f"{name}: score")
                yield _scored_again(root, name, claim)
        trained = {name: claim for name, claim in reproduced.items() if claim.retrain}
        if trained:
            yield from _trained_again(root, trained, logs, bar)
        for name, other in claims.items():
            if name not in trained:
                yield Outcome(name, other.kind, "not run again", NOT_RUN, _how(other))
                bar.update()


def _scored_again(root: Path, name: str, claim: Reproduced) -> Outcome:
    """Score the stored predictions and compare the metrics file byte for byte."""
    from retune.core.params import Params
    from retune.tasks.qa.score.score import ScoreParams, score

    began = time.monotonic()
    with clean_clone(root, own_cache=False) as clone:
        if not checkout(clone, [_RAW, _PREDICTIONS]):
            detail = "the predictions are not in DVC's cache; `dvc repro` makes them"
            return Outcome(name, claim.kind, "scored again", NOT_RUN, detail)
        with Params(clone / "params.yaml") as params:
            settings = params.section("qa.score", ScoreParams)
            squad_v2 = params.section("qa.squad_v2", bool)
        made = clone.parent / "scores.json"
        detail = score(clone / _RAW, clone / _PREDICTIONS, made, settings, squad_v2=squad_v2)
        same = made.read_bytes() == (clone / _SCORES).read_bytes()
    verdict = "same" if same else "differs"
    return Outcome(
        name, claim.kind, "scored again", verdict, detail, round(time.monotonic() - began, 1)
    )


def _trained_again(
    root: Path, claims: Mapping[str, Reproduced], logs: Path, bar: "tqdm[Any]"
) -> Iterator[Outcome]:
    """Run the pipeline for each claim in one clone, so that unchanged stages run once."""
    with clean_clone(root) as clone:
        path = clone / "params.yaml"
        params, committed = path.read_bytes(), read_run(clone)
        for number, (name, claim) in enumerate(claims.items()):
            bar.set_description(f"verify {name}")
            path.write_bytes(params)
            if claim.changes:
                set_values(path, claim.changes)
            log = logs / f"verify-{name}.log"
            seconds = repro(clone, log, bar, force=number == 0)
            yield _judged(name, claim, committed, read_run(clone), seconds)
            bar.update()
    bar.set_description("verify")


def _judged(
    name: str, claim: Reproduced, committed: Run, reproduced: Run, seconds: float
) -> Outcome:
    """Compare a claim's values with a run; for the default run, compare all outputs."""
    rule, reason = chosen_rule(committed.environment, reproduced.environment)
    found = _headline(reproduced)
    values = {last_word(key): value for key, value in claim.values.items()}
    verdict, detail = verdict_on(
        values, {key: found.get(key) for key in values}, rule, claim.tolerance
    )
    if not claim.changes:
        whole = compare(committed, reproduced, claim.tolerance)
        verdict, detail = _worse(verdict, whole), detail or _differing(whole)
    figures = ", ".join(f"{key} {found.get(key):,.6g}" for key in values if key in found)
    text = f"{detail or figures}; {rule}: {reason}"
    return Outcome(name, claim.kind, "trained again", verdict, text, round(seconds, 1))


def _headline(run: Run) -> dict[str, Any]:
    """Return the plain figures of all metrics files, by name."""
    return {
        key: value
        for content in run.figures.values()
        for key, value in content.get(main_task().section, {}).items()
        if isinstance(value, int | float)
    }


def _worse(verdict: str, whole: Comparison) -> str:
    return verdict if whole.agrees else "differs"


def _differing(whole: Comparison) -> str:
    return "; ".join(
        f"{row.stage}: {row.artefact} {row.detail}"
        for row in whole.rows
        if row.verdict == "differs"
    )


def _how(claim: Claim) -> str:
    """Describe the origin of a claim that is not run again."""
    match claim:
        case Bench():
            return f"depends on the machine: {claim.command}"
        case MeasuredOnce():
            return f"{claim.date}, {claim.machine}: {claim.command}"
        case Reproduced():
            return "checked by `make test` and `retune verify`"
    return getattr(claim, "source", "checked by `make test`")
