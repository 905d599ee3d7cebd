"""`retune verify`: its output and its exit code."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tools.claims import ledger, project
from retune.tools.claims.ledger import Reproduced
from retune.tools.verify.claimed import Outcome, picked, verify_claims
from retune.tools.verify.clones import (
    clean_clone,
    commit_of,
    project_root,
    repro,
    require_committed,
)
from retune.tools.verify.compare import Comparison, compare, read_run

_LOGS = Path("logs")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return 0 if everything is the same, 1 if something differs.

    Raises:
        RetuneError: it could not run.
    """
    if arguments.from_:
        if arguments.here or arguments.claims or arguments.only:
            raise RetuneError(
                "--from checks a published folder; give no --here, --claims or --only"
            )
        from retune.tools.verify import published

        return published.run(arguments)
    if arguments.data:
        raise RetuneError("--data names the test questions of --from; give --from, too")
    if arguments.only and not arguments.claims:
        raise RetuneError("--only selects claims; give --claims, too")
    if arguments.claims and arguments.here:
        raise RetuneError(
            "--here compares the last run, --claims uses clean clones; give only one of them"
        )
    root = project_root()
    if not arguments.here:
        require_committed(root)
    if arguments.claims:
        return _claims(root, arguments.only, arguments.json)
    comparison, seconds = _pipeline(root, here=arguments.here)
    if arguments.json:
        _print_json(root, comparison.agrees, **asdict(comparison), seconds=seconds)
    else:
        _print_comparison(root, comparison)
    return int(not comparison.agrees)


def _pipeline(root: Path, *, here: bool) -> tuple[Comparison, float]:
    """Compare the committed outputs with a run in a clone, or with the workspace."""
    seconds = 0.0
    with clean_clone(root) as clone:
        committed = read_run(clone)
        if here:
            reproduced = read_run(root)
        else:
            bar: tqdm[Any]
            with tqdm(desc="verify", bar_format="{desc} {elapsed} {postfix}") as bar:
                seconds = repro(clone, root / _LOGS / "verify.log", bar)
            reproduced = read_run(clone)
    return compare(committed, reproduced, tolerances_of(root)), round(seconds, 1)


def _claims(root: Path, names: Sequence[str], as_json: bool) -> int:
    claims = picked(ledger.load(root), names)
    outcomes = list(verify_claims(root, claims, root / _LOGS))
    agrees = all(outcome.verdict != "differs" for outcome in outcomes)
    if as_json:
        _print_json(root, agrees, claims=[asdict(outcome) for outcome in outcomes])
    else:
        _print_outcomes(outcomes)
    return int(not agrees)


def tolerances_of(root: Path) -> dict[str, float]:
    """Return the tolerances of the default run's claims."""
    if not (root / project.NAME).is_file():
        return {}
    defaults = (
        claim.tolerance
        for claim in ledger.load(root).values()
        if isinstance(claim, Reproduced) and not claim.changes and not claim.pipeline
    )
    return {key: value for tolerance in defaults for key, value in tolerance.items()}


def _print_json(root: Path, agrees: bool, **content: Any) -> None:
    content |= {"commit": commit_of(root), "exit_code": int(not agrees)}
    print(json.dumps(content, indent=2, sort_keys=True))


def _print_comparison(root: Path, comparison: Comparison) -> None:
    rows = [(row.stage, row.artefact, row.verdict, row.detail) for row in comparison.rows]
    print_table(("stage", "artefact", "verdict", "about"), (), rows)
    print(f"\nrule: {comparison.rule}, because {comparison.reason}")
    print_wrapped(f"{comparison.conclusion} from commit {commit_of(root)[:12]}")


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    rows = [
        (o.claim, o.action, o.verdict, f"{o.seconds:,.0f}" if o.seconds else "-", o.detail)
        for o in outcomes
    ]
    print_table(("claim", "what was done", "verdict", "s", "about"), (), rows)
    counts = {v: sum(o.verdict == v for o in outcomes) for v in (o.verdict for o in outcomes)}
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
