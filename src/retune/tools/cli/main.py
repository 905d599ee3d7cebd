"""The entry point of `retune`, and its commands `ask`, `doctor`, `verify` and `report`."""

import io
import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from retune.core.standard_streams import hold_standard_streams, require_open
from retune.core.terminal_text import escaped, escaped_json
from retune.core.user_errors import guarded
from retune.tasks.task import askers
from retune.tools.cli import adapters as adapters  # noqa: PLC0414 (adds its command)
from retune.tools.cli import comparisons as comparisons  # noqa: PLC0414 (adds its commands)
from retune.tools.cli import curves as curves  # noqa: PLC0414 (adds its command)
from retune.tools.cli import experiments as experiments  # noqa: PLC0414 (adds its commands)
from retune.tools.cli import exporting as exporting  # noqa: PLC0414 (adds its command)
from retune.tools.cli import few_shot as few_shot  # noqa: PLC0414 (adds its command)
from retune.tools.cli import publishing as publishing  # noqa: PLC0414 (adds its command)
from retune.tools.cli import serving as serving  # noqa: PLC0414 (adds its command)
from retune.tools.cli import trying as trying  # noqa: PLC0414 (adds its command)
from retune.tools.cli.application import AS_JSON, DATA, MODELS, RESULTS, command, read_command
from retune.tools.project.workspace import inside_project, sister_place

#: Exit codes for a failure of commands that use 1 for their findings.
FAILURES = {"compare": 2, "doctor": 2, "verify": 2, "diff": 2}

#: How `retune ask` asks a model, by task.
ASKERS = askers()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return its exit code: 0, or 1 if something failed.

    `compare`, `doctor`, `verify` and `diff` use 1 for what they find, so they return 2 if they
    fail.
    """
    closed = hold_standard_streams()
    read, codes = list[Any](), list[int]()
    if failure := guarded(lambda: read.append(read_command(argv)), "retune"):
        return failure
    (context,) = read
    reads = not context.params.get("texts", True)
    failure = guarded(lambda: require_open(closed, reads=reads), "retune") or guarded(
        lambda: codes.append(context.invoke(context.command.callback, **context.params)), "retune"
    )
    return codes[0] if codes and not failure else max(failure, FAILURES.get(context.info_name, 1))


def _known_task(task: str) -> str:
    if task not in ASKERS:
        raise BadParameter(f"no task {task!r}; allowed: {', '.join(ASKERS)}")
    return task


@command(MODELS, "retune ask --context river.txt 'Where does the river end?'")
def ask(
    texts: Annotated[
        list[str] | None,
        Argument(
            metavar="TEXT",
            help=", ".join(f"{asker.text} ({name})" for name, asker in ASKERS.items()).capitalize()
            + ". Give -- before texts that begin with -.",
        ),
    ] = None,
    task: Annotated[
        str,
        Option(
            metavar="NAME",
            help=f"The task of the model: {', '.join(ASKERS)}.",
            callback=_known_task,
            autocompletion=lambda: [*ASKERS],
        ),
    ] = "qa",
    context: Annotated[
        Path | None,
        Option(metavar="FILE", help="Text with the answers (qa); - for standard input."),
    ] = None,
    data: Annotated[
        Path | None, Option(metavar="FILE", help="Answer all questions of a data file (qa).")
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Folder for the answers to --data (default: FILE's name with -answers).",
        ),
    ] = None,
    model: Annotated[
        Path | None, Option(metavar="FOLDER", help="Model that a train stage wrote.")
    ] = None,
    params: Annotated[
        Path | None, Option(metavar="FILE", help="Settings to ask the model with.")
    ] = None,
    variant: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="One of the file's `variants`. A model trained as another variant is refused, "
            "unless you copied it out of data/ and the variants differ only in training.",
        ),
    ] = None,
    min_confidence: Annotated[
        str | None,
        Option(
            metavar="P",
            help="Withhold answers of less confidence (qa): a number from 0 to 1, or `promised` "
            "for the threshold that the stage calibrate found.",
        ),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print a JSON object per line.")] = False,
) -> int:
    """Ask a trained model about your own texts.

    Without TEXT, each line of the standard input is one text.
    """
    arguments = Namespace(
        texts=texts or [], task=task, context=context, data=data, out=out, model=model,
        params=params, variant=variant, min_confidence=min_confidence, json=as_json,
    )  # fmt: skip
    with inside_project(arguments, ("context", "data", "out", "model", "params"), outermost=True):
        return _print_replies(arguments)


@command(DATA, "retune doctor train.json --validation dev.json --fix mended.json")
def doctor(
    files: Annotated[
        list[str] | None,
        Argument(metavar="FILE", help="Files of JSON, JSON lines, CSV or Parquet."),
    ] = None,
    validation: Annotated[
        list[str] | None,
        Option(metavar="FILE ...", help="Validation files, to find what they share with FILE."),
    ] = None,
    test: Annotated[
        list[str] | None,
        Option(metavar="FILE ...", help="Test files, to find what they share with the others."),
    ] = None,
    squad_v2: Annotated[bool, Option("--squad-v2", help="Accept unanswerable questions.")] = False,
    windows: Annotated[
        bool, Option("--windows", help="Find answers in no window; reads params.yaml.")
    ] = False,
    model: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Rank labels by how probably they are wrong, with the runs of this experiment "
            "(best: in folds) or with those of `workspace`.",
        ),
    ] = None,
    fix: Annotated[
        Path | None, Option(metavar="OUT", help="Write a corrected copy and a log of changes.")
    ] = None,
    drop: Annotated[bool, Option("--drop", help="Leave records with errors out of OUT.")] = False,
    strict: Annotated[bool, Option("--strict", help="Exit with 1 for notes, too.")] = False,
    everything: Annotated[bool, Option("--all", help="List every finding.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
    kinds: Annotated[bool, Option("--kinds", help="Print the table of kinds and exit.")] = False,
    env: Annotated[
        bool, Option("--env", help="Examine this machine and project; needs no FILE.")
    ] = False,
) -> int:
    """Find, explain and correct faults in data files.

    Lists what is wrong with the data files of one split, where, and how to correct it. With --env,
    examines this machine and project.

    Exit code 0: nothing to do; 1: findings that the download stage refuses or --fix corrects (with
    --fix: findings in OUT); 2: an unreadable file.
    """
    from retune.tools.data_doctor.command import run

    arguments = Namespace(
        files=files or [], validation=validation or [], test=test or [], squad_v2=squad_v2,
        windows=windows, model=model, fix=fix, drop=drop, strict=strict, all=everything,
        json=as_json, kinds=kinds,
    )  # fmt: skip
    if env:
        return _doctor_environment(arguments)
    if not (windows or model):
        return run(arguments)
    with inside_project(
        arguments, ("files", "validation", "test", "fix")
    ):  # --windows reads its params, --model its experiments
        return run(arguments)


@command(RESULTS, "retune verify && retune verify --claims --only lstm")
def verify(
    here: Annotated[
        bool, Option("--here", help="Run nothing; compare the last run of the workspace.")
    ] = False,
    claims: Annotated[
        bool,
        Option(
            "--claims",
            help="Score stored predictions and train small models again, for each claim.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, Option(metavar="NAME", help="Check this claim only (repeatable).")
    ] = None,
    from_: Annotated[
        Path | None, Option("--from", metavar="FOLDER", help="Check a published model.")
    ] = None,
    data: Annotated[
        Path | None, Option(metavar="FILE", help="Test questions of --from (data/qa/test).")
    ] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Run the last commit again and compare every output.

    Runs the pipeline of the last commit in a clean temporary clone with an empty DVC cache and
    compares every output with the committed dvc.lock and metrics. In the recorded environment the
    bytes must be equal; in another one, the tolerances of claims.yaml apply. Logs go to logs/.
    With --from it answers the test questions by a model that `retune publish` wrote instead, and
    compares answers, scores and the numbers of the model card.

    Exit code 0: the same; 1: something differs; 2: it could not run.
    """
    from retune.tools.verify.command import run

    arguments = Namespace(
        here=here, claims=claims, only=only or [], from_=from_, data=data, json=as_json
    )
    with inside_project(arguments, ("from_", "data"), outermost=True):
        return run(arguments)


@command(RESULTS, "retune report --pipeline qa sentiment --out pages")
def report(
    out: Annotated[Path, Option(metavar="FOLDER", help="Where to write the pages.")] = Path(
        "report"
    ),
    pipeline: Annotated[
        list[str] | None,
        Option(metavar="NAME ...", help="Pipelines to report: qa, or folders of pipelines/."),
    ] = None,
    against: Annotated[
        str | None,
        Option(
            metavar="SYSTEM",
            help="Also show the answers of this experiment, commit or predictions file.",
        ),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the same content as JSON.")] = False,
) -> int:
    """Write pages with the results of all pipelines.

    Writes an index, and for each pipeline a self-contained HTML page with results, costs, seed
    spread, comparisons, learning curves, errors, settings and provenance. The pages name missing
    results and the commands that make them. No model runs.
    """
    from retune.tools.report.command import run

    place = sister_place()
    names = pipeline or ([place[1].name] if place else [])
    arguments = Namespace(out=out, pipeline=names, against=against, json=as_json)
    with inside_project(arguments, ("out",), outermost=place is not None):
        return run(arguments)


def _print_replies(arguments: Namespace) -> int:
    from retune.tools.ask.asking import replies

    if arguments.data or arguments.out:
        from retune.tools.ask.qa_file import run

        return run(arguments)
    if isinstance(sys.stdin, io.TextIOWrapper):  # whatever the locale says
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    context = _context(arguments.context, arguments.texts)
    texts = arguments.texts or sys.stdin
    settings = {name: getattr(arguments, name) for name in ("model", "params", "variant")}
    settings["min_confidence"] = arguments.min_confidence
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
    """Return the text of `--context`; `-` is the standard input."""
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


def _doctor_environment(arguments: Namespace) -> int:
    from retune.core.errors import RetuneError
    from retune.tools.machine_doctor.command import run

    if arguments.files:
        raise RetuneError("--env examines the machine; examine FILEs in a separate command")
    with inside_project(arguments, outermost=sister_place() is not None):
        return run(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
