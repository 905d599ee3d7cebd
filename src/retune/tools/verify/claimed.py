"""Verify single claims: run the stages that only score again, and train small models again."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.tasks.task import main_task
from retune.tools.claims.ledger import Bench, Claim, MeasuredOnce, Reproduced
from retune.tools.claims.tables import last_word
from retune.tools.project.graph import entries, joined, read_stages
from retune.tools.project.yaml_editor import set_values
from retune.tools.verify.clones import checkout, clean_clone, repro, run_again
from retune.tools.verify.compare import Comparison, Run, chosen_rule, compare, read_run, verdict_on

NOT_RUN = "not run"
#: Stages by their name in dvc.lock.
Stages = Mapping[str, Mapping[str, Any]]


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
            bar.set_postfix_str(f"{name}: score")
            yield from _scored_again(root, name, claim)
        trained = {name: claim for name, claim in reproduced.items() if claim.retrain}
        if trained:
            yield from _trained_again(root, trained, logs, bar)
        for name, other in claims.items():
            if name not in trained:
                yield Outcome(name, other.kind, "not run again", NOT_RUN, _how(other))
                bar.update()


def scored_files(stages: Stages, claim: Reproduced) -> dict[str, list[str]]:
    """Return the files of a claim that come from stages which only score, by stage.

    Such a stage is at the end of the graph: git keeps its outputs, or no stage reads them.
    """
    read = {dep for stage in stages.values() for dep, _ in entries(stage.get("deps"))}
    folder = PurePosixPath(claim.pipeline or "")
    found = {}
    for name, stage in stages.items():
        outputs = dict(_outputs(stage))
        files = [joined(folder, path) for path in outputs]
        if all(o.get("cache") is False or not _below(path, read) for path, o in outputs.items()):
            found[name] = [file for file in files if file in claim.sources]
    return {name: files for name, files in found.items() if files}


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def _outputs(stage: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [entry for kind in ("outs", "metrics", "plots") for entry in entries(stage.get(kind))]


def _scored_again(root: Path, name: str, claim: Reproduced) -> Iterator[Outcome]:
    """Run stages that only score on stored outputs of others; compare the files byte for byte."""
    folder = claim.pipeline or ""
    stages = {} if claim.changes else read_stages(root / folder)
    if not (scored := scored_files(stages, claim)):
        return
    began, verdict = time.monotonic(), NOT_RUN
    detail = "the predictions are not in DVC's cache; `dvc repro` makes them"
    with clean_clone(root, sharing=folder) as clone:
        if checkout(clone / folder, _stored_inputs(stages, scored)):
            files = [clone / file for files in scored.values() for file in files]
            committed = [file.read_bytes() for file in files]
            detail = run_again(clone / folder, scored).partition("\n")[0]
            detail += f"; {len(scored)} stages" if len(scored) > 1 else ""
            verdict = "same" if committed == [file.read_bytes() for file in files] else "differs"
    seconds = round(time.monotonic() - began, 1)
    yield Outcome(name, claim.kind, "scored again", verdict, detail, seconds)


def _stored_inputs(stages: Stages, names: Iterable[str]) -> list[str]:
    """Return the outputs in DVC's cache that these stages read, alone or with their folder."""
    cached = [p for s in stages.values() for p, style in _outputs(s) if style.get("cache", True)]
    deps = [dep for name in names for dep, _ in entries(stages[name].get("deps"))]
    return [path for path in cached if _below(path, deps)]


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
        verdict, detail = verdict if whole.agrees else "differs", detail or _differing(whole)
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
