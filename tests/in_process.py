"""Stages of a pipeline, run in this process."""

import gc
import importlib
import shlex
import sys
from pathlib import Path

import yaml
from stage_commands import paths_of

from retune.core.stage import call


def run_graph(names: list[str] | None = None) -> None:
    """Run the stages of dvc.yaml in the current folder, or some of them, in their order."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in stages if names is None else names:
        run_command(stages[name]["cmd"])


def run_command(command: str) -> None:
    """Run the stage with the paths of its command."""
    gc.freeze()  # each training asks for full garbage collections: what is loaded stays
    _, _, module, *words = shlex.split(command.removeprefix("exec "))
    arguments, options = paths_of(words)
    named = {name: Path(path) for name, path in options.items()}
    stage = importlib.import_module(module).main
    print(call(stage, *map(Path, arguments), **named), file=sys.stderr)
