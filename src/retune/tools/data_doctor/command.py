"""`retune doctor`: its output and its exit code."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.errors import RetuneError
from retune.core.terminal_text import say
from retune.tools.data_doctor.causes import unfolded
from retune.tools.data_doctor.doctor import Examined, Options, diagnose, fix, log_path
from retune.tools.data_doctor.output import as_json, as_text, counted, kinds_table
from retune.tools.data_doctor.sorting import in_order

if TYPE_CHECKING:
    from retune.tools.data_doctor.label_review import LabelReview

_UNREADABLE = 2


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return 0 for nothing to do, 1 for findings, 2 for unreadable files.

    With `--fix`, the corrected copy is examined again and decides the code.

    Raises:
        RetuneError: the command line is wrong, or, after the report, the copy was not written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # the encoding of a terminal may lack characters
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments.kinds:
        print(kinds_table())
        return 0
    files = list(map(Path, arguments.files))
    others = {name: list(map(Path, getattr(arguments, name))) for name in ("validation", "test")}
    out = arguments.fix
    _check([*files, *others["validation"], *others["test"]], len(files), out, arguments.drop)
    options = Options(arguments.squad_v2, arguments.drop, arguments.windows)
    labels = _label_review(arguments.model)
    examined = diagnose(files, others["validation"], options, others["test"], labels)
    code, fixed = exit_code(examined, arguments.strict), None
    problem = labels.problem if labels else None
    if out:
        try:
            code, fixed = _fix(examined, out, others, options, arguments.strict)
        except RetuneError as error:
            problem = problem or error
    code = _UNREADABLE if problem else code
    _print(arguments, examined, code, labels, fixed)
    if problem:
        raise problem
    return code


def _print(
    arguments: argparse.Namespace,
    examined: list[Examined],
    code: int,
    labels: "LabelReview | None",
    fixed: dict[str, Any] | None,
) -> None:
    """Print what was found, as text or as JSON."""
    compared = bool(arguments.validation or arguments.test)
    if arguments.all:
        for one in examined:
            one.findings = in_order(unfolded(one.findings))
    if arguments.json:
        checks = {
            "labels": labels is not None,
            "leaks": compared,
            "windows": arguments.windows,
        }
        print(as_json(examined, code, checks, fixed, labels and labels.rows()))
        return
    ranked = labels.findings if labels else []
    say(as_text(examined, everything=arguments.all, ranked=ranked))
    for line in _closing(compared, arguments.windows, labels, fixed):
        say(line)


def exit_code(examined: Sequence[Examined], strict: bool) -> int:
    """2 if a file is not readable, 1 if there is something to do (or, if `strict`, a note)."""
    if not all(one.readable for one in examined):
        return _UNREADABLE
    return int(any(one.needs_care or (strict and one.findings) for one in examined))


def _check(paths: list[Path], files: int, out: Path | None, drop: bool) -> None:
    """Refuse a wrong command line; the first `files` of all `paths` are of the examined split."""
    if not files:
        raise RetuneError("no FILE to examine; name one or more, or ask for --kinds")
    if out is None:
        if drop:
            raise RetuneError(
                "--drop needs --fix OUT, whose copy it changes; give both, or neither"
            )
        return
    if files > 1:
        raise RetuneError(f"--fix corrects one file at a time, but there are {files}")
    if out.suffix.lower() != ".json":
        raise RetuneError(f"--fix writes nested JSON, so {out} must end in .json")
    if out.is_dir():
        raise RetuneError(f"--fix writes a file, but {out} is a folder; name a file in it")
    if any(out.exists() and path.exists() and out.samefile(path) for path in paths):
        raise RetuneError(f"--fix does not write over its source; choose another OUT than {out}")


def _fix(
    examined: list[Examined],
    out: Path,
    others: dict[str, list[Path]],
    options: Options,
    strict: bool,
) -> tuple[int, dict[str, Any]]:
    changes = fix(examined[0], out)
    again = diagnose([out], others["validation"], options, others["test"])
    left = sum(len(one.findings) for one in again)
    fixed = {"changes": changes, "left": left, "log": str(log_path(out)), "out": str(out)}
    return exit_code(again, strict), fixed


def _label_review(model: str | None) -> "LabelReview | None":
    if model is None:
        return None
    from retune.tools.data_doctor.label_review import LabelReview  # takes as long as torch

    return LabelReview(model)


def _closing(
    compared: bool, windows: bool, labels: "LabelReview | None", fixed: dict[str, Any] | None
) -> list[str]:
    lines = []
    if not compared:
        lines.append("not checked: what splits share (--validation FILE..., --test FILE...)")
    if not windows:
        lines.append("not checked: answers that no window holds (--windows)")
    lines += labels.sentences() if labels else ["not checked: labels (--model NAME)"]
    if fixed:
        lines.append(
            f"wrote {fixed['out']} and {fixed['log']}: {counted(fixed['changes'], 'change')}, "
            f"{counted(fixed['left'], 'finding')} left"
        )
    return lines
