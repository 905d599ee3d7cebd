"""Faults of a fresh machine: another Python, no Python, a processor without bfloat16."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from transformers import TrainerControl, TrainerState

from retune.models.precision import Precision, chosen_precision
from retune.training.arguments import KERNEL_VARIABLES
from retune.training.progress import MEASURED, Progress, readable_duration
from tools import install

ROOT = Path(__file__).resolve().parents[2]
CREATE = ROOT / "tools/create_venv.sh"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

#: Stand-ins for programs, which write into the file `calls` how they are called.
PROGRAMS = {
    "supported": '[ "$1" = -m ] && echo "${0##*/} $*" >>"$CALLS"; exit 0',
    "unsupported": "exit 1",
    "uv": 'echo "uv $*" >>"$CALLS"',
}


def create(folder: Path, programs: dict[str, str], **environment: str) -> tuple[int, str, str]:
    """Run the script where only `programs` are: exit code, what was called, what was printed."""
    bin_folder, calls = folder / "bin", folder / "calls"
    bin_folder.mkdir()
    calls.touch()
    for name, kind in programs.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{PROGRAMS[kind]}\n", encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(CREATE), "new"], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": str(bin_folder), "CALLS": str(calls)} | environment,
    )  # fmt: skip
    return done.returncode, calls.read_text(encoding="utf-8").strip(), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        pytest.param({"python3.12": "supported"}, "python3.12 -m venv new", id="V51 only 3.12"),
        pytest.param({"python3": "supported"}, "python3 -m venv new", id="V51 only python3"),
        pytest.param(
            {"python3.11": "supported", "python3.13": "supported", "uv": "uv"},
            "python3.11 -m venv new", id="V51 the tested version first",
        ),
        pytest.param(
            {"python3.11": "unsupported", "python3.13": "supported"},
            "python3.13 -m venv new", id="V51 a shim without its Python",
        ),
        pytest.param(
            {"python3": "unsupported", "uv": "uv"},
            "uv venv --seed --python >=3.11,<3.14 new", id="V51 uv",
        ),
    ],
)  # fmt: skip
def test_any_supported_python_is_taken(
    programs: dict[str, str], expected: str, tmp_path: Path
) -> None:
    code, calls, printed = create(tmp_path, programs)
    assert (code, calls) == (0, expected)
    assert printed.startswith("Creating new with ")


def test_v51_the_python_that_is_named_is_taken(tmp_path: Path) -> None:
    programs = {"python3.11": "supported", "mine": "supported"}
    assert create(tmp_path, programs, PYTHON="mine")[:2] == (0, "mine -m venv new")


@pytest.mark.parametrize(
    ("programs", "named", "message"),
    [
        pytest.param({}, "", "No Python 3.11, 3.12 or 3.13 with", id="V52 none"),
        pytest.param({"python3": "unsupported"}, "", "No Python 3.11, 3", id="V52 an old one"),
        pytest.param(
            {"python3.11": "supported", "old": "unsupported", "uv": "uv"}, "old",
            "PYTHON=old is no Python 3.11, 3.12 or 3.13", id="V52 the named one is old",
        ),
    ],
)  # fmt: skip
def test_without_a_supported_python_the_message_says_how_to_get_one(
    programs: dict[str, str], named: str, message: str, tmp_path: Path
) -> None:
    code, calls, printed = create(tmp_path, programs, PYTHON=named)
    assert (code, calls) == (1, "")
    assert printed.startswith(message)
    for remedy in ("apt-get install python3 python3-venv", "brew install", "uv", "make PYTHON="):
        assert remedy in printed


def test_v51_the_interpreter_of_these_tests_is_supported() -> None:
    done = subprocess.run(
        ["/bin/sh", str(CREATE), "--find"], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHON": sys.executable},
    )  # fmt: skip
    assert done.stdout.strip() == sys.executable


#: What `pip config list` prints where a mirror with a certificate of its own is set up.
PIP_CONFIG = """\
:env:.index-url='https://mirror.example/simple'
global.cert='/etc/ssl/mirror.pem'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.find-links='/wheels /more wheels'
global.index-url='https://overruled.example/simple'
global.timeout='60'
list.format='columns'
"""
#: The same for uv.
UV_SETTINGS = {
    "UV_DEFAULT_INDEX": "https://mirror.example/simple",
    "SSL_CERT_FILE": "/etc/ssl/mirror.pem",
    "UV_INDEX": "https://one.example/simple https://two.example/simple",
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_FIND_LINKS": "/wheels,/more,wheels",
    "UV_HTTP_TIMEOUT": "60",
}


def test_v51_uv_gets_the_settings_of_pip() -> None:
    assert install.settings_for_uv(PIP_CONFIG, {}) == UV_SETTINGS
    assert install.settings_for_uv("", {}) == {}


def test_v51_a_setting_that_uv_has_already_stays() -> None:
    given = {"UV_DEFAULT_INDEX": "https://mine.example/simple", "PATH": "/bin"}
    assert "UV_DEFAULT_INDEX" not in install.settings_for_uv(PIP_CONFIG, given)


@pytest.mark.parametrize(
    ("failing", "status", "installers"),
    [
        pytest.param((), 0, ["pip", "uv", "uv"], id="V51 uv installs"),
        pytest.param(("install --quiet",), 0, ["pip", "pip", "pip"], id="V51 no uv"),
        pytest.param(("uv pip",), 0, ["pip", "uv", "pip", "uv", "pip"], id="V51 uv fails"),
        pytest.param(("uv pip", "--editable"), 1, ["pip", "uv", "pip"], id="V51 both fail"),
    ],
)
def test_where_uv_does_not_install_pip_does(
    failing: tuple[str, ...], status: int, installers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def call(arguments: tuple[str, ...], env: dict[str, str] | None = None) -> int:
        called.append(arguments[2])
        line = " ".join(arguments[2:])
        return int(any(what in line for what in failing))

    monkeypatch.setattr(install.subprocess, "call", call)
    assert install.main() == status
    assert called == installers


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_v53_make_alone_lists_all_targets_and_runs_none() -> None:
    alone = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    done = subprocess.run(
        ["make"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True
    )  # without what a `make test` around this one sets
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    listed = re.findall(r"^  ([\w-]+)  +\S", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())
    assert len(done.stdout.splitlines()) == 1 + len(listed)


@pytest.mark.parametrize(
    ("precision", "native", "expected"),
    [
        pytest.param(
            "auto", False, r"fp32 \(qa.train.precision is auto, and this processor does not "
            r"multiply bfloat16; one that does trains several times as fast\)",
            id="V54 auto without bfloat16",
        ),
        pytest.param(
            "auto", True, r"bf16 \(qa.train.precision is auto, and this processor multiplies "
            r"bfloat16\)", id="V54 auto with bfloat16",
        ),
        pytest.param("fp32", True, r"fp32 \(qa.train.precision is fp32\)", id="V54 chosen"),
        pytest.param(
            "bf16", False, r"bf16 \(qa.train.precision is bf16; this processor only emulates it, "
            r"which is slow\)", id="V54 emulated",
        ),
    ],
)  # fmt: skip
def test_the_number_format_is_explained(
    precision: Precision, native: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    assert re.fullmatch(expected, chosen_precision(precision, "qa.train.precision"))


def lines_of_a_training(steps: int, begun: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of a training that goes on from step `begun`, the first step 30 s, others 2 s."""
    seconds = iter([30.0, 30.0 + 2 * MEASURED])
    progress, state = Progress("fp32 (why)", lambda: next(seconds)), TrainerState()
    state.max_steps, state.global_step = steps, begun
    given: Any = SimpleNamespace(num_train_epochs=2), state, TrainerControl()
    progress.on_train_begin(*given)
    for step in range(begun + 1, steps + 1):
        state.global_step = step
        progress.on_step_end(*given)
    progress.on_train_end(*given)
    printed = re.split(r"(?:[\r\n]|\x1b\[A)+", capsys.readouterr().err)
    return [line for line in printed if re.match(r"train: [^ ]", line) and "steps/s" not in line]


@pytest.mark.parametrize(
    ("steps", "begun", "expected"),
    [
        pytest.param(
            272, 0, ["train: 272 steps in fp32 (why)",
                     "train: an estimate of the time follows after 6 steps",
                     "train: about 9 min left (2 s a step), and an evaluation after each epoch"],
            id="V54 estimate",
        ),
        pytest.param(
            272, 236, ["train: 36 steps in fp32 (why)",
                       "train: an estimate of the time follows after 6 steps",
                       "train: about 60 s left (2 s a step), and an evaluation after each epoch"],
            id="V54 estimate of a resumed training",
        ),
        pytest.param(6, 0, ["train: 6 steps in fp32 (why)"], id="V54 too short to estimate"),
    ],
)  # fmt: skip
def test_a_training_says_how_long_it_will_take(
    steps: int, begun: int, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines_of_a_training(steps, begun, capsys) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (3569, "59 min"), (3590, "1 h 0 min"),
     (12_000, "3 h 20 min")],
)  # fmt: skip
def test_durations_are_rounded_for_people(seconds: float, expected: str) -> None:
    assert readable_duration(seconds) == expected


def test_v55_the_unit_tests_run_weekly_with_the_instructions_of_old_processors() -> None:
    variables = dict(re.findall(r"^portable: export (\w+) := (.*)$", MAKEFILE, re.MULTILINE))
    assert set(variables) <= set(KERNEL_VARIABLES)
    assert len(variables) == 4
    workflow = yaml.safe_load((ROOT / ".github/workflows/newest.yml").read_bytes())
    steps = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "make portable" in steps
    if os.uname().machine != "x86_64":
        return
    script = (
        "import numpy, torch\n"
        "print(torch.backends.cpu.get_cpu_capability(),"
        " numpy.show_config(mode='dicts')['SIMD Extensions'].get('found', []))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", script],
        env=os.environ | variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "DEFAULT []"
