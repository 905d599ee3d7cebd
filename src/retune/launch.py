"""A stage in several processes, through `accelerate launch`.

`RETUNE_LAUNCH` holds the options of `accelerate launch`. They say how a stage runs, not what
comes out, so they stand in the environment and not in params.yaml. Each process runs the stage's
own command; the first speaks, and where one fails, its sentence is said once and all end.
"""

import argparse
import logging
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from retune.errors import RetuneError
from retune.stage import command_line, guarded, sentence

SETTING = "RETUNE_LAUNCH"
_ERRORS = "RETUNE_LAUNCH_ERRORS"  # a folder, where the processes of a launch leave their errors


def run_launched(stage: Callable[..., str]) -> NoReturn:
    """Like `run_stage`, in the processes that `RETUNE_LAUNCH` asks for."""
    name, paths = command_line(stage)
    errors, options = os.environ.get(_ERRORS), os.environ.get(SETTING)
    if errors:
        _run_process(lambda: print(stage(*paths)), name, Path(errors))
    if options:
        sys.exit(guarded(lambda: launch(shlex.split(options), name, sys.argv[1:]), name))
    sys.exit(guarded(lambda: print(stage(*paths)), name))


def launch(options: list[str], name: str, arguments: list[str]) -> None:
    """Run `name` (`python -m ...`) with `arguments` in processes of `accelerate launch`.

    Raises:
        RetuneError: the options are no good, or a process failed.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    module = name.rsplit(maxsplit=1)[-1]
    parsed = launch_command_parser().parse_args([*options, "--module", module, *arguments])
    _check(parsed, options, module)
    logging.disable()  # the launchers report in tables and stacks what a process says in a sentence
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_ERRORS] = folder
        try:
            launch_command(parsed)
        except ChildFailedError as error:
            exit_code = error.get_first_failure()[1].exitcode
            raise RetuneError(_first_error(Path(folder), exit_code)) from None
        except (ValueError, ImportError, TypeError) as error:
            raise RetuneError(f"{SETTING}: {error}") from None
        except SignalException:
            raise KeyboardInterrupt from None


def _check(parsed: argparse.Namespace, options: list[str], module: str) -> None:
    if parsed.training_script != module:
        raise RetuneError(
            f"{SETTING}: {parsed.training_script!r} is no option of accelerate launch; "
            f"`accelerate launch --help` lists them"
        )
    if parsed.cpu and (parsed.num_processes or 1) > 1 and not parsed.mpirun_hostfile:
        raise RetuneError(
            f"{SETTING}: with --cpu accelerate starts one process and not {parsed.num_processes}; "
            f"use --config_file configs/launch/cpu.yaml --num_processes {parsed.num_processes}"
        )


def _run_process(action: Callable[[], object], name: str, errors: Path) -> NoReturn:
    """Run `action` as one process of a launch; only the first one's output is shown."""
    if os.environ.get("RANK", "0") != "0":
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    try:
        action()
    except (Exception, KeyboardInterrupt) as error:
        _leave_error(error, errors)
        # At once: to take down what joins the processes might wait for the others.
        os._exit(1)
    sys.exit(0)


def _leave_error(error: BaseException, folder: Path) -> None:
    said = sentence(error)
    # Sentences sort before stacks: that a process lost the others is what follows an error.
    kind = "stack" if said is None else "sentence"
    text = said or "".join(traceback.format_exception(error))
    (folder / f"{kind}-{time.time_ns()}").write_text(text, encoding="utf-8")


def _first_error(folder: Path, exit_code: int) -> str:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        return path.read_text(encoding="utf-8")
    cause = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    return (
        f"a process of the launch ended with {cause} and no word; where that is signal 9, the "
        "machine may have run out of memory: lower batch_size or the number of processes"
    )
