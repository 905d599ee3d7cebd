"""Stages that are killed, interrupted or run twice at once, and then run again."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import forks
import psutil
import pytest
from projects import Project, has_ended

from retune.core.files import sha256

pytestmark = pytest.mark.slow

# tokenize_test runs what tokenize runs, and perturb what validate runs; calibrate and confidence
# write as analyse does.
STAGES = [
    *("download", "tokenize", "train", "predict", "postprocess", "score", "analyse", "validate"),
]
KILLS = int(os.environ.get("RETUNE_KILLS", "3"))  # of each stage
VICTIMS = ("dvc", "stage", "both")  # in turn
TRIES = 10  # to kill or interrupt a stage before it is over
PATIENCE = 60.0  # seconds, after which a test fails instead of waiting on


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project in which every step of training is a checkpoint; it is run once."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    project = Project(tmp_path_factory.mktemp("killed"), forked=True)
    with project.params() as qa:
        qa["train"] |= {"epochs": 3, "log_every": 1}
        qa["models"]["bert"]["dropout"] = 0.1
    project.repro()
    project.commit("run")
    yield project
    patch.undo()


def sums(project: Project) -> dict[str, str]:
    """The SHA-256 of all that the pipeline makes but the times and the logs."""
    files = [file for top in ("data/qa", "metrics") for file in (project.folder / top).rglob("*")]
    names = {file.relative_to(project.folder).as_posix(): file for file in files if file.is_file()}
    aside = ("data/qa/logs/", "metrics/qa_times.json", "metrics/.gitignore")
    # A lock is free once its holder has ended; the file itself may outlive that.
    kept = (name for name in names if not name.startswith(aside) and not name.endswith(".lock"))
    return {name: sha256(names[name]) for name in kept}


def repro_alone(project: Project, stage: str, *, forked: bool = False) -> "subprocess.Popen[str]":
    """Start `dvc repro` of a stage in a session of its own, in real processes or forked ones."""
    programs = project.programs if forked else forks.REAL
    alone = ["repro", "--single-item", "--force", "--no-run-cache", stage]
    return subprocess.Popen(
        [programs / "python", "-m", "dvc", *alone],
        cwd=project.folder, env=os.environ | forks.environment(programs), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def stage_process(project: Project, dvc: "subprocess.Popen[str]") -> psutil.Process | None:
    """The process of the stage that `dvc` runs; None when that ends before one is there."""
    end = time.monotonic() + PATIENCE
    elsewhere = {pid for pid in psutil.pids() if not is_at(pid, project.folder)}
    while dvc.poll() is None and time.monotonic() < end:
        for pid in set(psutil.pids()) - elsewhere:
            if is_at(pid, project.folder, "stages.qa."):
                return psutil.Process(pid)
        time.sleep(0.01)
    return None


def is_at(pid: int, folder: Path, module: str = "") -> bool:
    """Whether a process is in a folder, and has a word in its command that begins so."""
    try:
        process = psutil.Process(pid)
        is_there = Path(process.cwd()) == folder
        return is_there and any(part.startswith(module) for part in process.cmdline())
    except psutil.Error:
        return False


def test_killed_at_any_moment_the_next_run_makes_the_same(project: Project) -> None:
    seed = random.randrange(10**6) if "RETUNE_KILLS" in os.environ else 0
    print(f"moments are drawn with the seed {seed}")
    expected, chance = sums(project), random.Random(seed)
    assert len(expected) > 20
    for stage in STAGES:
        life = lifetime(project, stage)
        for number in range(KILLS):
            # A stage spends most of its life on imports, so many moments are moments of its work.
            victim = VICTIMS[number % 3]
            span = "work" if victim == "stage" else chance.choice(list(life))
            kill(project, stage, victim, (span, chance.random()), life)
        # Forced: DVC may bring back what was cached, and a `.partial` waits for the next run.
        project.run("dvc", "repro", "--single-item", "--force", "--no-run-cache", stage)
    # Neither cache may stand in for a run.
    shutil.rmtree(project.folder / ".dvc/cache")
    project.run("dvc", "repro", "--no-run-cache")
    assert sums(project) == expected
    assert not list((project.folder / "data/qa").rglob("*.partial"))
    assert "??" not in project.run("git", "status", "--porcelain")


def lifetime(project: Project, stage: str) -> dict[str, float]:
    """The seconds from the start of a stage to its end, and from its locks to its end."""
    dvc = repro_alone(project, stage, forked=True)
    process, begun = stage_process(project, dvc), time.monotonic()
    assert process is not None
    wait_for_locks(project, dvc)
    locked = time.monotonic()
    assert has_ended(process, within=PATIENCE)
    ended = time.monotonic()
    dvc.communicate(timeout=PATIENCE)
    assert dvc.returncode == 0
    return {"whole": ended - begun, "work": ended - locked}


def kill(
    project: Project, stage: str, victim: str, moment: tuple[str, float], life: dict[str, float]
) -> None:
    """Kill a run of `stage` at a part of its whole life or of its work."""
    span, part = moment
    for _ in range(TRIES):
        dvc = repro_alone(project, stage, forked=True)
        process = stage_process(project, dvc)
        if span == "work":
            wait_for_locks(project, dvc)
        time.sleep(life[span] * part)
        if process is None or has_ended(process, within=0):
            dvc.communicate(timeout=PATIENCE)
            part *= 0.7  # the stage was faster this time
            continue
        if victim != "dvc":
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if victim != "stage":
            dvc.kill()
        # Not even where its `dvc` alone was killed does it end in its own time. The command of a
        # forked stage lasts as long as the stage.
        assert has_ended(process, within=2)
        dvc.communicate(timeout=PATIENCE)
        remove_cut_table(project)
        return
    pytest.fail(f"{stage} was over {TRIES} times before it could be killed")


def remove_cut_table(project: Project) -> None:
    """Do what `retune doctor` advises: DVC cuts its table of locks when it is killed writing it."""
    table = project.folder / ".dvc/tmp/rwlock"
    try:
        json.loads(table.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        table.unlink()


def wait_for_locks(project: Project, dvc: "subprocess.Popen[str]") -> None:
    """Wait until a stage has taken its locks, which it does just before its work."""
    end = time.monotonic() + PATIENCE
    while dvc.poll() is None and time.monotonic() < end:
        if any(list((project.folder / top).glob(".*.lock")) for top in ("data/qa", "metrics")):
            return
        time.sleep(0.0005)


def test_an_interrupt_is_one_sentence_and_leaves_a_clean_state(project: Project) -> None:
    expected = sums(project)
    for moment in ("checkpoints/*/checkpoint-1", ".model.lock", ""):
        output = interrupt(project, moment)
        assert output.count("stopped; nothing half-done is left, run it again") == 1
        assert "Traceback" not in output
        assert not list((project.folder / "data/qa").glob(".*"))
    shutil.rmtree(project.folder / ".dvc/cache")
    assert "resuming from step" in project.run("dvc", "repro", "--no-run-cache")
    assert sums(project) == expected


def interrupt(project: Project, moment: str) -> str:
    """Press Ctrl-C once there is a file `moment`, or in the imports; what was said."""
    for _ in range(TRIES):
        dvc = repro_alone(project, "train", forked=bool(moment))
        process, end = stage_process(project, dvc), time.monotonic() + PATIENCE
        while time.monotonic() < end and not has_come(project, moment, process):
            time.sleep(0.01)
        os.killpg(dvc.pid, signal.SIGINT)
        output, _ = dvc.communicate(timeout=PATIENCE)
        if dvc.returncode:
            return output
    pytest.fail(f"the training was over {TRIES} times before it could be interrupted")


def has_come(project: Project, moment: str, process: psutil.Process | None) -> bool:
    """Whether there is a file `moment`; without one, whether the stage is importing torch."""
    if moment:
        return bool(list((project.folder / "data/qa").glob(moment)))
    try:
        return process is None or any("torch" in file.path for file in process.memory_maps())
    except psutil.Error:
        return True


def test_a_second_repro_says_who_is_at_work(project: Project) -> None:
    dvc = repro_alone(project, "train", forked=True)
    stage = stage_process(project, dvc)
    assert stage is not None
    stage.suspend()  # so that it is at work for as long as it takes
    try:
        output = project.run("dvc", "repro", "--single-item", "--force", "train", fails=True)
    finally:
        stage.resume()
    (pid,) = set(re.findall(r"PID (\d+)", output))
    assert int(pid) in {process.pid for process in stage.parents()}
    assert "busy" in output
    dvc.communicate(timeout=PATIENCE)
    assert dvc.returncode == 0


def test_two_stages_never_write_one_folder(project: Project) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=project.folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    arguments = ["data/qa/raw", "data/qa/features", "metrics/qa_windows.json"]
    output = project.run("python", "-m", "stages.qa.tokenize", *arguments, fails=True)
    assert f"data/qa/.features.lock: process {process.pid} on " in output
    process.kill()
    process.wait()
    project.run("python", "-m", "stages.qa.tokenize", *arguments)


HOLD = """
import stages, time
from pathlib import Path
from retune.core.files import locked
with locked(Path("data/qa/.features.lock")):
    print(flush=True)
    time.sleep(600)
"""
