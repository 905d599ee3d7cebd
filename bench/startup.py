"""Overhead: start-up, a pipeline on ten questions, and a run with nothing to do.

Start-up: `--help` of the stages that need no model, and of the command. Pipeline: `dvc repro` of
all six stages on ten questions with the LSTM, in a copy of the project. No-op: `dvc repro` again
without changes, compared with DVC's time on six empty stages. All in seconds.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.inputs import ROOT
from bench.measure import Spread, parser, report

STAGES = ("download", "postprocess", "score", "tokenize")


def main() -> None:
    arguments = parser("startup", "Start-up of stages, and the overhead of a whole pipeline.")
    options = arguments.parse_args()
    rows = [
        measured(f"{stage} --help", [sys.executable, "-m", f"stages.qa.{stage}", "--help"], ROOT,
                 options.rounds, 1.0 if stage != "tokenize" else None)
        for stage in STAGES
    ]  # fmt: skip
    command = [sys.executable, "-m", "retune.tools.cli.main", "--help"]
    rows.append(measured("retune --help", command, ROOT, options.rounds, 1.0))
    with tempfile.TemporaryDirectory() as name:
        project, empty = Path(name) / "project", Path(name) / "empty"
        copy_project(project)
        begin = time.perf_counter()
        run(["dvc", "repro"], project)
        seconds = time.perf_counter() - begin
        rows.append({"what": "six stages, ten questions", "goal": 25.0,
                     "seconds": vars(Spread.of([seconds]))})  # fmt: skip
        write_empty(empty)
        run(["dvc", "repro"], empty)
        ours, dvc = [], []
        for _ in range(options.rounds):
            ours.append(seconds_of(["dvc", "repro"], project))
            dvc.append(seconds_of(["dvc", "repro"], empty))
    ratios = [one / other for one, other in zip(ours, dvc, strict=True)]
    rows.append({"what": "no-op repro", "seconds": vars(Spread.of(ours))})
    rows.append({"what": "no-op repro of empty stages", "seconds": vars(Spread.of(dvc))})
    rows.append({"what": "ratio of the two", "goal": 1.5, "ratio": vars(Spread.of(ratios))})
    for row in rows:
        spread = Spread(**(row.get("seconds") or row["ratio"]))
        goal = f" (goal: <= {row['goal']:g})" if row.get("goal") else ""
        print(f"{row['what']}: {spread.text()}{goal}")
    report("startup", [], options, rows=rows)


def measured(
    what: str, command: Sequence[str], folder: Path, rounds: int, goal: float | None
) -> dict[str, Any]:
    """Seconds of a command, after one run to warm up."""
    seconds_of(command, folder)
    spread = Spread.of([seconds_of(command, folder) for _ in range(rounds)])
    return {"what": what, "goal": goal, "seconds": vars(spread)}


def seconds_of(command: Sequence[str], folder: Path) -> float:
    begin = time.perf_counter()
    run(command, folder)
    return time.perf_counter() - begin


def run(command: Sequence[str], folder: Path) -> None:
    """Run a command; print its output only if it fails."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    environment = os.environ | {"PATH": os.pathsep.join(places), "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in a copy:\n{done.stdout}{done.stderr}")


def copy_project(target: Path) -> None:
    """The project's files in a new folder, set to ten questions a split and the LSTM."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("dvc.lock"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    path = target / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["qa"]["model"] = "lstm"
    params["qa"]["download"] |= {"train_limit": 10, "validation_limit": 10, "test_limit": 10}
    params["qa"]["train"] |= {"epochs": 1, "lr": 1e-4}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    commit(target)


def commit(folder: Path) -> None:
    """Make a folder a git repository with one commit, because DVCLive needs one."""
    run(["git", "init", "-q"], folder)
    run(["git", "add", "-A"], folder)
    author = "-c", "user.name=bench", "-c", "user.email=bench@example.org"
    run(["git", *author, "commit", "-qm", "start"], folder)


def write_empty(folder: Path) -> None:
    """Write six stages in a row that do nothing, each with a file to read and one to write."""
    (folder / "src").mkdir(parents=True)
    (folder / "out0").write_text("begin\n")
    stages = {
        f"stage{number}": {
            "cmd": f"cp out{number} out{number + 1}",
            "deps": [f"out{number}"],
            "outs": [f"out{number + 1}"],
        }
        for number in range(6)
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    commit(folder)
    run(["dvc", "init", "-q"], folder)


if __name__ == "__main__":
    main()
