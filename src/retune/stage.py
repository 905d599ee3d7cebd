"""What every stage script shares: arguments, errors as sentences, one closing line."""

import argparse
import inspect
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from retune.errors import RetuneError


def run_stage(stage: Callable[..., str]) -> NoReturn:
    """Call `stage` with the paths of the command line, print the line that it returns, exit."""
    name, paths = command_line(stage)
    sys.exit(guarded(lambda: print(stage(*paths)), name))


def command_line(stage: Callable[..., str]) -> tuple[str, list[Path]]:
    """How the running script is called, and the paths that it was given.

    The command's arguments are the parameters of `stage`, all of them paths; its
    docstring is the help text.
    """
    names = list(inspect.signature(stage).parameters)
    parser = argparse.ArgumentParser(
        prog=f"python -m {sys.modules['__main__'].__spec__.name}",  # type: ignore[union-attr]
        description=inspect.getdoc(stage),
        epilog="Settings come from params.yaml in the current folder.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in names:
        parser.add_argument(name.replace("_", "-"), type=Path, metavar=name.upper())
    arguments = parser.parse_args()
    return parser.prog, [getattr(arguments, name.replace("_", "-")) for name in names]


def guarded(action: Callable[[], object], name: str) -> int:
    """Run `action` and return the exit code, with an error or an interrupt as a sentence."""
    try:
        action()
    except (RetuneError, OSError) as error:
        print(f"{name}: error: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; nothing half-done is left, run it again", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def sentence(error: BaseException) -> str | None:
    """What is wrong, of errors that the user can mend; None of a bug."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error) if isinstance(error, RetuneError) else None
