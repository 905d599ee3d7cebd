"""The command line of a stage script, made from the signature of its `main`."""

import argparse
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

from retune.core.params import Choice, Params
from retune.core.signature import Inputs, Parameter, Role, Stage, parameters
from retune.core.terminal_text import Parser

_WIDTH = 80


def command_line(stage: Stage) -> tuple[str, dict[str, Any]]:
    """Return how the running script is called, and its arguments by name.

    A path is an argument, or an option if it has a default; a whole number is an option that is
    required. The docstring of `stage` is the help text. `--params` and `--variant` choose what
    `Params()` reads.
    """
    parser = Parser(
        prog=f"python -m {sys.modules['__main__'].__spec__.name}",  # type: ignore[union-attr]
        description=inspect.getdoc(stage),
        epilog=_sections(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for parameter in parameters(stage):
        _add(parser, parameter)
    file, _ = Params.chosen
    parser.add_argument(
        "--params", type=Path, default=file, metavar="FILE", help=f"of settings (default: {file})"
    )
    parser.add_argument(
        "--variant", metavar="NAME", help="of the file's `variants`, which changes its settings"
    )
    arguments = vars(parser.parse_args())
    Params.chosen = (arguments.pop("params"), arguments.pop("variant"))
    return parser.prog, arguments


def _add(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    name, flag = parameter.name, f"--{parameter.name.replace('_', '-')}"
    if parameter.kind is Path:
        place = flag if parameter.optional else name
        parser.add_argument(place, type=Path, metavar=name.upper(), help=_help(parameter))
    elif parameter.kind is int and not parameter.section:
        parser.add_argument(flag, type=int, metavar="NUMBER", required=True)


def _help(parameter: Parameter) -> str | None:
    if parameter.mark(Inputs):
        return "folder with several folders of earlier stages to read"
    role = parameter.mark(Role)
    return role.value if role else None


def _sections(stage: Stage) -> str:
    names = [parameter.section for parameter in parameters(stage)]
    choices = filter(None, (parameter.mark(Choice) for parameter in parameters(stage)))
    names += [name for choice in choices for name in (choice.param, f"{choice.sections}.*")]
    if not any(names):
        return ""
    return textwrap.fill(f"settings that it reads: {', '.join(filter(None, names))}", _WIDTH)
