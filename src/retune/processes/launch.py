"""Run a stage in several processes with `accelerate launch`.

The environment variable `RETUNE_LAUNCH` holds the options of `accelerate launch`. They change how a
stage runs, not its result, so they are not in params.yaml. Each process runs the stage's command;
only the first one prints. If one process fails, its error is printed once and the others stop.
"""

import argparse
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from retune.core.command_line import command_line
from retune.core.errors import RetuneError
from retune.core.process_end import end_with_parent
from retune.core.signature import Stage
from retune.core.stage import call
from retune.core.terminal_text import say
from retune.core.user_errors import guarded, user_message

SETTING = "RETUNE_LAUNCH"
_ERRORS = "RETUNE_LAUNCH_ERRORS"  # a folder into which processes of a launch write their errors


def run_launched(stage: Stage) -> NoReturn:
    """Like `run_stage`, in the processes that `RETUNE_LAUNCH` asks for."""
    name, given = command_line(stage)
    errors, options = os.environ.get(_ERRORS), os.environ.get(SETTING)
    if errors:
        _run_process(lambda: say(call(stage, **given)), Path(errors))
    if options:
        sys.exit(guarded(lambda: launch(_words(options), name, sys.argv[1:]), name))
    sys.exit(guarded(lambda: say(call(stage, **given)), name))


def launch(options: list[str], name: str, arguments: list[str]) -> None:
    """Run `name` (`python -m ...`) with `arguments` in processes of `accelerate launch`.

    Raises:
        RetuneError: an option is wrong, or a process failed.
    """
    # torch reads this when it is loaded. It silences warnings about unused parameters that do not
    # exist and, without a network, about a host name that cannot be looked up.
    os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"
    from accelerate.commands.launch import launch_command, launch_command_parser
    from accelerate.utils import patch_environment
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    module = name.rsplit(maxsplit=1)[-1]
    parsed = launch_command_parser().parse_args([*options, "--module", module, *arguments])
    _check(parsed, module)
    # The launchers would print tables and tracebacks around the one-line error of a process.
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with patch_environment(**{_ERRORS: folder}):
                launch_command(parsed)
        except (ChildFailedError, subprocess.CalledProcessError) as error:
            raise RetuneError(_first_error(Path(folder), error)) from None
        except (ValueError, ImportError) as error:
            raise RetuneError(f"{SETTING}: {error}") from None
        except SignalException:
            raise KeyboardInterrupt from None


def _words(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise RetuneError(f"{SETTING}: {error} in {options}") from None


def _check(parsed: argparse.Namespace, module: str) -> None:
    if parsed.training_script != module:
        raise RetuneError(
            f"{SETTING}: {parsed.training_script!r} is not an option of accelerate launch; "
            "`accelerate launch --help` lists all options"
        )
    if parsed.cpu and (parsed.num_processes or 1) > 1 and not parsed.mpirun_hostfile:
        raise RetuneError(
            f"{SETTING}: with --cpu accelerate starts one process, not {parsed.num_processes}; "
            f"use --config_file configs/launch/cpu.yaml --num_processes {parsed.num_processes}"
        )


def _run_process(action: Callable[[], object], errors: Path) -> NoReturn:
    """Run `action` as one process of a launch; hide the output of all but the first process."""
    end_with_parent(signal.SIGKILL)
    if os.environ.get("RANK", "0") != "0":
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    try:
        action()
    except (Exception, KeyboardInterrupt) as error:
        try:
            _leave_error(error, errors)
        finally:
            # At once, because closing the process group may wait for the other processes.
            os._exit(1)
    sys.exit(0)


def _leave_error(error: BaseException, folder: Path) -> None:
    message = user_message(error)
    # Messages sort before tracebacks, because a lost connection follows the error of another.
    kind = "message" if message else "traceback"
    text = message or "".join(traceback.format_exception(error))
    (folder / f"{kind}-{time.time_ns()}").write_text(text, encoding="utf-8")


def _first_error(folder: Path, end: Exception) -> str:
    """Return the error of the first process that failed, or else how a process ended."""
    written = sorted(path for path in folder.iterdir() if path.stat().st_size)
    if written:
        return written[0].read_text(encoding="utf-8")
    return (
        f"a process ended without an error message ({_ending(end)}); if it was killed, memory may "
        "have run out: lower the batch_size or the number of processes"
    )


def _ending(end: Exception) -> str:
    """Return how the first process that failed ended."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if not isinstance(end, ChildFailedError):
        return str(end)
    number, failure = end.get_first_failure()
    return f"process {number}, exit code {failure.exitcode}"
