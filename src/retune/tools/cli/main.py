"""The `retune` command."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from retune.core.standard_streams import hold_standard_streams, require_open
from retune.core.terminal_text import Parser, escaped, escaped_json
from retune.core.user_errors import guarded
from retune.tools.cli import experiments
from retune.tools.project.workspace import inside_project, sister_place

#: Who answers `retune ask`, by task.
ASKERS = {
    "qa": "retune.tools.ask.qa",
    "sentiment": "retune.tools.ask.sentiment",
    "generate": "retune.tools.ask.language_model",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return its exit code: 0, or 1 where something failed.

    `doctor` and `verify` keep 1 for what they found, and fail with 2.
    """
    closed = hold_standard_streams()
    parsed: list[argparse.Namespace] = []
    if failure := guarded(lambda: parsed.append(_parsed(argv)), "retune"):
        return failure
    arguments, codes = parsed[0], list[int]()
    reads = getattr(arguments, "texts", None) == []
    failure = guarded(lambda: require_open(closed, reads=reads), "retune") or guarded(
        lambda: codes.append(arguments.run(arguments)), "retune"
    )
    return codes[0] if codes and not failure else max(failure, arguments.failure)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(argv)
    finally:  # `--help` ends here, too
        if sys.stdout:
            sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="retune",
        description="Run and compare fine-tuning experiments.",
        epilog="Example: retune sweep qa.model=bert,lstm && retune table --experiments",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    experiments.add_commands(commands)
    _add_ask(commands)
    _add_doctor(commands)
    _add_verify(commands)
    _add_report(commands)
    return parser


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
        "--context", type=Path, metavar="FILE", help="text with the answers (qa); - is the input"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="answer all questions of a data file (qa)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="for the answers to --data (default: FILE's name with -answers)",
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="that a train stage wrote")
    parser.add_argument("--params", type=Path, metavar="FILE", help="of settings to ask it with")
    parser.add_argument(
        "--variant",
        metavar="NAME",
        help=(
            "of the file's `variants`; a model that was trained as another one is refused, unless "
            "it was copied out of data/ and differs by its training alone"
        ),
    )
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
        help="write one page with the results of all pipelines",
        description=(
            "Write a self-contained HTML page: results with their cost and spread, comparisons, "
            "learning curves, settings and provenance of each pipeline, as its metrics have them. "
            "What is missing is named there, with the command that makes it. No model is run."
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


def _ask(arguments: argparse.Namespace) -> int:
    with inside_project(arguments, ("context", "data", "out", "model", "params"), outermost=True):
        return _print_replies(arguments)


def _print_replies(arguments: argparse.Namespace) -> int:
    from retune.tools.ask.asking import replies

    if arguments.data or arguments.out:
        from retune.tools.ask.qa_file import run

        return run(arguments)
    if isinstance(sys.stdin, io.TextIOWrapper):  # whatever the locale says
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    context = _context(arguments.context, arguments.texts)
    texts = arguments.texts or sys.stdin
    settings = {name: getattr(arguments, name) for name in ("model", "params", "variant")}
    failed = False
    for reply in replies(ASKERS[arguments.task], texts, context=context, **settings):
        wrong = "error" in reply.fields
        failed |= wrong
        sentence = reply.sentence if reply.coloured else escaped(reply.sentence)
        if arguments.json:
            print(escaped_json(json.dumps(reply.fields, ensure_ascii=False)))
        elif wrong:
            print(sentence, file=sys.stderr)
            print()  # in its place
        else:
            print(sentence)
    return int(failed)


def _context(file: Path | None, texts: Sequence[str]) -> str | None:
    """The text of `--context`; `-` is the standard input."""
    from retune.core.errors import RetuneError
    from retune.core.user_files import read_lines

    if file is None:
        return None
    if str(file) != "-":
        return "\n".join(read_lines(file, "--context names a file of text"))
    if not texts:
        raise RetuneError("--context - reads the context from standard input; give the TEXT, too")
    text = sys.stdin.read()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RetuneError("--context -: not UTF-8; convert it to UTF-8") from None
    return text.removeprefix("\ufeff")


def _doctor(arguments: argparse.Namespace) -> int:
    from retune.tools.data_doctor.command import run

    if arguments.env:
        with inside_project(arguments, outermost=sister_place() is not None):
            return _doctor_environment(arguments)
    if not arguments.windows:
        return run(arguments)
    with inside_project(arguments, ("files", "validation", "fix")):  # --windows reads its params
        return run(arguments)


def _doctor_environment(arguments: argparse.Namespace) -> int:
    from retune.core.errors import RetuneError
    from retune.tools.machine_doctor.command import run

    if arguments.files:
        raise RetuneError("--env examines the machine; examine FILEs by a command of their own")
    return run(arguments.json)


def _verify(arguments: argparse.Namespace) -> int:
    from retune.tools.verify.command import run

    return run(arguments)


def _report(arguments: argparse.Namespace) -> int:
    from retune.tools.report.command import run

    place = sister_place()
    if place and not arguments.pipeline:
        arguments.pipeline = [place[1].name]
    with inside_project(arguments, ("out",), outermost=place is not None):
        return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
