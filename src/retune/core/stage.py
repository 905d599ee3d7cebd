"""What every stage script shares: arguments, errors as sentences, one closing line."""

import argparse
import ctypes
import errno
import inspect
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from retune.core.errors import RetuneError, is_panic
from retune.core.out_of_memory import explanation, is_out_of_memory
from retune.core.standard_streams import hold_standard_streams
from retune.core.terminal_text import Parser, cut, escaped, say

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_STOPPED = "stopped; nothing half-done is left, run it again"


def run_stage(stage: Callable[..., str]) -> NoReturn:
    """Call `stage` with the paths of the command line, print the line that it returns, exit."""
    name, paths = command_line(stage)
    sys.exit(guarded(lambda: say(stage(**paths)), name))


def command_line(stage: Callable[..., str]) -> tuple[str, dict[str, Any]]:
    """How the running script is called, and the arguments that it was given, by name.

    The command's arguments are the parameters of `stage`, which are paths; those with a default
    are options, and those by name alone are whole numbers, which have to be given. Its docstring
    is the help text. `--params` and `--variant` choose what `Params()` reads.
    """
    from retune.core.params import Params

    parameters = inspect.signature(stage).parameters
    parser = Parser(
        prog=f"python -m {sys.modules['__main__'].__spec__.name}",  # type: ignore[union-attr]
        description=inspect.getdoc(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, parameter in parameters.items():
        flag, option = f"--{name.replace('_', '-')}", parameter.default is not parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY:
            parser.add_argument(flag, type=int, metavar="NUMBER", required=True)
        else:
            parser.add_argument(flag if option else name, type=Path, metavar=name.upper())
    file, _ = Params.chosen
    parser.add_argument(
        "--params", type=Path, default=file, metavar="FILE", help=f"of settings (default: {file})"
    )
    parser.add_argument(
        "--variant", metavar="NAME", help="of the file's `variants`, which changes its settings"
    )
    given = vars(parser.parse_args())
    Params.chosen = (given.pop("params"), given.pop("variant"))
    return parser.prog, given


def guarded(action: Callable[[], object], name: str) -> int:
    """Run `action` and return the exit code, with an error or an interrupt as a sentence."""
    try:
        action()
        if sys.stdout:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{name}: {_STOPPED}", file=sys.stderr)
        return 128 + signal.SIGINT
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and _has_no_reader():
            return 128 + signal.SIGPIPE
        said = sentence(error)
        if said is None:
            raise
        print(f"{name}: error: {cut(escaped(said))}", file=sys.stderr)
        return 1
    return 0


def _has_no_reader() -> bool:
    """Whether nobody reads the standard output any more, as after `| head`; it is quiet then."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # none, closed, or no file
        return False
    poll = select.poll()
    poll.register(output, 0)  # which reports errors alone
    if not poll.poll(0):
        return False
    # Python flushes once more at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def sentence(error: BaseException) -> str | None:
    """What is wrong, of errors that the user can mend; None of a bug."""
    if isinstance(error, RetuneError):
        return str(error)
    if is_out_of_memory(error):
        return explanation(error)
    if is_panic(error):
        return f"a library failed ({error}); a file that it read, such as tokenizer.json, is broken"
    # Libraries that write files tell of a full disk in exceptions of their own.
    full = os.strerror(errno.ENOSPC)
    if getattr(error, "errno", None) == errno.ENOSPC or full in str(error):
        return f"{_place(error)}{full}; make room and run again: what was finished is kept"
    return f"{_place(error)}{error.strerror or error}" if isinstance(error, OSError) else None


def prepare_to_end() -> None:
    """Before a stage's imports: have it end with the `dvc` that started it, and on Ctrl-C quietly.

    Else a stage whose `dvc repro` was killed would live on, and write over the outputs of the
    next one. Only Linux can do this; elsewhere the locks of `retune.core.artifacts` keep the two
    apart.
    """
    hold_standard_streams()
    if "DVC_STAGE" in os.environ:
        end_with_parent(signal.SIGTERM)
        sys.excepthook = _quiet_interrupt


def end_with_parent(how: signal.Signals) -> None:
    """Let the kernel send `how` to this process when its parent ends (on Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it ended in the meantime
        sys.exit(128 + how)


def _quiet_interrupt(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(_STOPPED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _place(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{name}: " if name else ""
