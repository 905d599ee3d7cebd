"""The frame of every stage script: from the command line to the closing line."""

import inspect
import sys
from pathlib import Path
from typing import Any, NoReturn

from retune.core.artifacts import sealed
from retune.core.command_line import command_line
from retune.core.params import Params
from retune.core.signature import Stage, has_settings, places, read_settings
from retune.core.terminal_text import say
from retune.core.user_errors import guarded


def run_stage(stage: Stage) -> NoReturn:
    """Run `stage` with the arguments of the command line, print its closing line, exit."""
    name, arguments = command_line(stage)
    sys.exit(guarded(lambda: say(call(stage, **arguments)), name))


def call(stage: Stage, /, *paths: Path, **options: Path | int | None) -> str:
    """Run `stage` as its signature asks, and return its closing line.

    Read its sections from the params file that `Params.chosen` names. Check what it reads, lock
    what it writes, and seal the folders that it has written (`retune.core.artifacts`).
    """
    arguments = inspect.signature(stage).bind_partial(*paths, **options).arguments
    read: dict[str, Any] = {}
    if has_settings(stage):
        with Params() as params:
            arguments |= read_settings(stage, params)
        read = params.read
    with sealed(read, **places(stage, arguments)._asdict()):
        return stage(**arguments)
