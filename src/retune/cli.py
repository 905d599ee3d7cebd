"""The `retune` command."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retune.stage import guarded
from retune.standard_streams import hold_standard_streams, require_open
from retune.terminal_text import Parser, escaped, escaped_json

if TYPE_CHECKING:
    from retune.sweep import Outcome

#: Who answers `retune ask`, by task.
ASKERS = {
    "qa": "retune.qa.ask",
    "sentiment": "retune.sentiment.ask",
    "generate": "retune.language_model.ask",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return its exit code: 0, or 1 where something failed.

    `doctor` and `verify` keep 1 for what they found, and fail with 2.
    """
    closed = hold_standard_streams()
    arguments = _parser().parse_args(argv)
    codes: list[int] = []
    reads = getattr(arguments, "texts", None) == []
    failure = guarded(lambda: require_open(closed, reads=reads), "retune") or guarded(
        lambda: codes.append(arguments.run(arguments)), "retune"
    )
    return codes[0] if codes else max(failure, arguments.failure)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="retune",
        description="Run and compare fine-tuning experiments.",
        epilog="Example: retune sweep qa.model=bert,lstm && retune table --experiments",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_sweep(commands)
    _add_table(commands)
    _add_ask(commands)
    _add_doctor(commands)
    _add_verify(commands)
    _add_report(commands)
    return parser


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "sweep",
        help="run experiments one after the other",
        description=(
            "Run named experiments (experiments/NAME.yaml), and every combination of "
            "KEY=VALUE,VALUE, one after the other. Each runs in a clean copy of the project, "
            "goes on after a failure of another, and logs to logs/NAME.log."
        ),
        epilog="Example: retune sweep qa.model=bert,lstm --seeds 1,2,3",
    )
    parser.add_argument("what", nargs="+", metavar="NAME|KEY=VALUE,...")
    parser.add_argument(
        "--seeds", metavar="N,N,...", help="run each with each seed, and print the spread"
    )
    parser.add_argument(
        "--pipeline", metavar="NAME", help="run pipelines/NAME, with the experiments in there"
    )
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="NAME",
        help="run only this one, and what it needs (repeatable)",
    )
    parser.add_argument("--replace", action="store_true", help="run again what is there already")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.set_defaults(run=_sweep, failure=1)


def _add_table(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "table",
        help="print the headline figures",
        description="Print EM, F1 and costs of the workspace or of experiments.",
        epilog="Example: retune table --experiments --json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments (default: all)")
    parser.add_argument("--experiments", action="store_true", help="not the workspace's figures")
    parser.add_argument("--seeds", action="store_true", help="fold those that differ by seed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_table, failure=1)


def _add_ask(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "ask",
        help="ask a trained model about texts of one's own",
        description=(
            "Give a trained model texts of one's own; without any, each line of the input is one."
        ),
        epilog="Example: retune ask --context river.txt 'Where does the river end?'",
    )
    parser.add_argument(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="a question, a sentence (sentiment), the beginning of a text (generate)",
    )
    parser.add_argument("--task", choices=ASKERS, default="qa", help="(default: qa)")
    parser.add_argument(
        "--context", type=Path, metavar="FILE", help="the text that the answers stand in (qa)"
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="that a train stage wrote")
    parser.add_argument("--params", type=Path, metavar="FILE", help="of settings to ask it with")
    parser.add_argument("--variant", metavar="NAME", help="of the file's `variants`")
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    parser.set_defaults(run=_ask, failure=1)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "doctor",
        help="find, explain and mend faults in data files; --env: of this machine",
        description=(
            "List what is wrong with the data files of one split, where, and what mends it. "
            "Exit code 0: nothing to do; 1: findings that download refuses or --fix changes "
            "(with --fix: in OUT); 2: a file that cannot be read."
        ),
        epilog="Example: retune doctor train.json --validation dev.json --fix mended.json",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="JSON, JSON lines, CSV, Parquet")
    parser.add_argument(
        "--validation", nargs="+", default=[], metavar="FILE", help="look for leaks into these"
    )
    parser.add_argument("--squad-v2", action="store_true", help="questions may be unanswerable")
    parser.add_argument(
        "--windows", action="store_true", help="find answers in no window; reads params.yaml"
    )
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a mended copy, and a log")
    parser.add_argument("--drop", action="store_true", help="leave out of OUT what has errors")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for mere notes, too")
    parser.add_argument("--all", action="store_true", help="list every finding")
    parser.add_argument("--json", action="store_true", help="print all findings as JSON")
    parser.add_argument("--kinds", action="store_true", help="print the table of kinds")
    parser.add_argument(
        "--env", action="store_true", help="examine this machine and project; no FILE is needed"
    )
    parser.set_defaults(run=_doctor, failure=2)


def _add_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "verify",
        help="run the last commit again and compare every output",
        description=(
            "Run the pipeline of the last commit in a clean temporary clone with an empty DVC "
            "cache, and compare every output with the committed dvc.lock and metrics: equal "
            "bytes in the environment that is recorded, the tolerances of claims.yaml in "
            "another. Logs to logs/. Exit code 0: the same; 1: something differs; 2: it could "
            "not be run."
        ),
        epilog="Example: retune verify && retune verify --claims --only lstm",
    )
    parser.add_argument(
        "--here", action="store_true", help="run nothing; compare the workspace's last run"
    )
    parser.add_argument(
        "--claims",
        action="store_true",
        help="score stored predictions and train small models again, claim by claim",
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this claim")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.set_defaults(run=_verify, failure=2)


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="write one page on what all pipelines have earned",
        description=(
            "Write a self-contained HTML page: results with their cost and spread, comparisons, "
            "learning curves, settings and provenance of each pipeline, as its metrics have them. "
            "What is missing is named there, with the command that earns it. No model is run."
        ),
        epilog="Example: retune report --pipeline qa sentiment --out sentiment.html",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE",
        help="(default: report.html)",
    )  # fmt: skip
    parser.add_argument(
        "--pipeline", nargs="+", default=[], metavar="NAME", help="qa, or a folder of pipelines/"
    )
    parser.add_argument("--json", action="store_true", help="print the same content as JSON")
    parser.set_defaults(run=_report, failure=1)


def _sweep(arguments: argparse.Namespace) -> int:
    from retune.errors import RetuneError
    from retune.experiments import FOLDER, planned
    from retune.sweep import sister, sweep

    if arguments.pipeline and arguments.seeds:
        raise RetuneError("--seeds folds figures of the main pipeline only: give qa.seed=1,2,3")
    pipeline = sister(arguments.pipeline) if arguments.pipeline else None
    experiments = planned(arguments.what, arguments.seeds, (pipeline or Path()) / FOLDER)
    outcomes = sweep(
        experiments, replace=arguments.replace, pipeline=pipeline, stages=arguments.stage
    )
    _print_sweep(outcomes, arguments.seeds, arguments.json)
    failed = [outcome for outcome in outcomes if outcome.failed]
    done = len(outcomes) - len(failed)
    print(f"{done} of {len(outcomes)} experiments done", file=sys.stderr)
    if failed:
        logs = "\n".join(f"  {outcome.name}: see {outcome.log}" for outcome in failed)
        raise RetuneError(f"{len(failed)} of {len(outcomes)} experiments failed:\n{logs}")
    return 0


def _print_sweep(outcomes: "Sequence[Outcome]", seeds: str | None, as_json: bool) -> None:
    """With seeds, fold the runs that ended well."""
    from retune import folding
    from retune.sweep import outcomes_as_json

    done = [outcome.name for outcome in outcomes if not outcome.failed]
    variants = folding.folded(done) if seeds and done else []
    if as_json:
        ended = outcomes_as_json(outcomes)
        _print_json({"outcomes": ended} | folding.as_json(variants) if seeds else ended)
    elif variants and seeds:
        folding.report(variants, asked=len(seeds.split(",")))


def _table(arguments: argparse.Namespace) -> int:
    from retune import folding
    from retune.table import experiment_rows, render, workspace_row

    if arguments.seeds:
        variants = folding.folded(arguments.names)
        if arguments.json:
            _print_json(folding.as_json(variants))
        else:
            folding.report(variants)
    elif arguments.experiments or arguments.names:
        render(experiment_rows(arguments.names), arguments.json)
    else:
        render([workspace_row()], arguments.json)
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from retune.ask import replies
    from retune.own_files import read_lines

    context = None
    if arguments.context:
        context = "\n".join(read_lines(arguments.context, "--context names a file of text"))
    if isinstance(sys.stdin, io.TextIOWrapper):  # whatever the locale says
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    texts = arguments.texts or sys.stdin
    settings = {name: getattr(arguments, name) for name in ("model", "params", "variant")}
    for reply in replies(ASKERS[arguments.task], texts, context=context, **settings):
        if arguments.json:
            print(escaped_json(json.dumps(reply.fields, ensure_ascii=False)))
        else:
            print(reply.sentence if reply.coloured else escaped(reply.sentence))
    return 0


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _doctor(arguments: argparse.Namespace) -> int:
    from retune.qa.doctor.command import run

    return _doctor_environment(arguments) if arguments.env else run(arguments)


def _doctor_environment(arguments: argparse.Namespace) -> int:
    from retune.environment.command import run
    from retune.errors import RetuneError

    if arguments.files:
        raise RetuneError("--env examines the machine; examine FILEs by a command of their own")
    return run(arguments.json)


def _verify(arguments: argparse.Namespace) -> int:
    from retune.verify.command import run

    return run(arguments)


def _report(arguments: argparse.Namespace) -> int:
    from retune.report.command import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
