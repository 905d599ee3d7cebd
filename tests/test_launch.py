"""The launcher, with a small stage in the place of a training."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import forks
import pytest

from retune.core.errors import RetuneError
from retune.processes.launch import SETTING, _words, launch

ROOT = Path(__file__).resolve().parent.parent
TWO = "--multi_gpu --num_processes 2 --main_process_port 0"
JOB = '''
import os, signal, sys, time
from pathlib import Path
from retune.core.errors import RetuneError
from retune.processes.launch import run_launched

RANK = os.environ.get("RANK", "alone")

def main(out: Path) -> str:
    """Work."""
    print("noise of", RANK, file=sys.stderr)
    {action}
    return f"done by {{RANK}} with {{os.environ.get('OMP_NUM_THREADS')}} threads: {{out}}"

if __name__ == "__main__":
    run_launched(main)
'''


@pytest.fixture(autouse=True)
def _logging_on() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def work(
    folder: Path, action: str = "pass", options: str | None = TWO, *, forked: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the stage by `options`, in real processes with little environment or in forked ones."""
    (folder / "job.py").write_text(JOB.format(action=action), encoding="utf-8")
    around = os.environ | {"OMP_NUM_THREADS": "1"} if forked else {}
    environment = around | {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "HOME": str(folder)}
    python = forks.commands() / "python" if forked else sys.executable
    if options is not None:
        environment[SETTING] = options
    return subprocess.run(
        [python, "-m", "job", "a path"], cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def test_without_the_setting_the_stage_runs_as_it_is(tmp_path: Path) -> None:
    done = work(tmp_path, options=None)
    assert (done.returncode, done.stdout) == (0, "done by alone with None threads: a path\n")


def test_only_the_first_process_speaks(tmp_path: Path) -> None:
    config = ROOT / "configs/launch/cpu.yaml"
    done = work(tmp_path, options=f"--config_file {config} --num_cpu_threads_per_process 1")
    assert (done.returncode, done.stdout) == (0, "done by 0 with 1 threads: a path\n")
    assert done.stderr == "noise of 0\n"


def test_an_error_of_one_process_is_one_sentence_and_ends_all(tmp_path: Path) -> None:
    # The first process is given the time to speak before all are ended.
    fails = 'if RANK == "1": time.sleep(3); raise RetuneError("what is wrong")\n    time.sleep(90)'
    done = work(tmp_path, fails, forked=True)
    assert done.returncode == 1
    assert done.stderr == "noise of 0\npython -m job: error: what is wrong\n"


def test_a_bug_of_one_process_keeps_its_traceback(tmp_path: Path) -> None:
    done = work(tmp_path, 'if RANK == "1": 1 // 0\n    time.sleep(90)', forked=True)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "ChildFailedError" not in done.stderr


def test_a_killed_process_is_a_sentence(tmp_path: Path) -> None:
    kills = 'if RANK == "1": os.kill(os.getpid(), signal.SIGKILL)\n    time.sleep(90)'
    done = work(tmp_path, kills, forked=True)
    assert done.returncode == 1
    told = "error: a process ended without an error message (process 1, exit code -9); if it was"
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["2"], r"RETUNE_LAUNCH: '2' is not an option of accelerate launch"),
        (["--cpu", "--num_processes", "2"], r"starts one process, not 2; use --config_file"),
        (["--multi_gpu", "--num_processes", "1"], r"RETUNE_LAUNCH: You need to use at least 2"),
    ],
)
def test_options_that_are_no_good_are_a_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(RetuneError, match=sentence):
        launch(options, "python -m job", ["a path"])


def test_an_open_quotation_in_the_options_is_a_sentence() -> None:
    with pytest.raises(RetuneError, match="RETUNE_LAUNCH: No closing quotation in --config"):
        _words("--config 'a")


def test_an_interrupt_is_one_sentence(tmp_path: Path) -> None:
    interrupts = "time.sleep(1); os.kill(os.getppid(), signal.SIGINT)\n    time.sleep(90)"
    done = work(tmp_path, interrupts)
    assert done.returncode == 130
    assert done.stderr == (
        "noise of 0\npython -m job: stopped; nothing half-done is left, run it again\n"
    )


def test_a_missing_file_of_options_is_a_sentence(tmp_path: Path) -> None:
    done = work(tmp_path, options="--config_file none.yaml", forked=True)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m job: error: ")
    assert "none.yaml" in done.stderr
    assert "Traceback" not in done.stderr
