"""Stage scripts in processes of their own, as a pipeline runs them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import forks

ROOT = Path(__file__).resolve().parent.parent


def run_python(
    *arguments: str, folder: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE` or `python -c CODE` in a `folder`, with `more` environment."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more
    return subprocess.run(
        [forks.commands() / "python", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def run_module(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a module of the project, as `run_python` does."""
    return run_python("-m", *arguments, **more)


def run_stage(
    task: str, folder: Path, name: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a stage of a task in a `folder`, with the params in its p.yaml."""
    return run_module(f"stages.{task}.{name}", "--params", "p.yaml", *arguments, folder=folder)


def said_by_stage(task: str, folder: Path, name: str, *arguments: str) -> str:
    """What a stage says that ends well."""
    done = run_stage(task, folder, name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
