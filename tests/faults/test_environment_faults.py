"""Faults of seeds, of DVC's state and of the environment: what must happen."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from planted_experiments import plant

from retune.tools.cli.main import main
from retune.tools.machine_doctor import project
from retune.tools.machine_doctor.machine_findings import Finding, Report

ROOT = Path(__file__).resolve().parents[2]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["qa.model=bert", "--seeds", "1,2,1"], "1 is given twice", id="P17 list"),
        pytest.param(["qa.model=bert", "--seeds", "7,07"], "7 is given twice", id="P17 zero"),
        pytest.param(["qa.seed=3,3"], "3 is given twice", id="P17 grid"),
        pytest.param(
            ["qa.seed=1", "--seeds", "2"], "both set the seeds; give only one", id="P17 both"
        ),
    ],
)
def test_a_seed_counts_once(
    words: list[str], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)  # no project: nothing may have been started before the check
    assert main(["sweep", *words]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "logs").exists()


def test_one_run_under_two_names_does_not_count_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P17 in the fold of what is there already."""
    rows = [
        {"name": name, "qa.model": "bert", "qa.seed": 1.0, "qa.f1": 1.0}
        for name in ("bert", "bert-seed=1")
    ]
    plant(monkeypatch, rows)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("qa: {model: bert, seed: 1}\n")
    assert main(["table", "--seeds"]) == 1
    assert "bert and bert-seed=1 are the same, with seed 1" in capsys.readouterr().err


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()


def dead(children: list[subprocess.Popen[bytes]]) -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def zombie(children: list[subprocess.Popen[bytes]]) -> int:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    children.append(child)
    assert child.stdout
    child.stdout.read()  # at its end the child ends too, and nobody has waited for it yet
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child.pid


def running(*words: str) -> Callable[[list[subprocess.Popen[bytes]]], int]:
    def start(children: list[subprocess.Popen[bytes]]) -> int:
        program = "import sys; print(flush=True); sys.stdin.read()"
        child = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        children.append(child)
        assert child.stdout
        child.stdout.readline()
        return child.pid

    return start


def write_rwlock(folder: Path, pid: int) -> Path:
    path = folder / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    info = {"pid": pid, "cmd": "dvc repro"}
    path.write_text(json.dumps({"write": {"data/a": info}, "read": {"data/b": [info]}}))
    return path


@pytest.mark.parametrize(
    ("holder", "problem", "remedy"),
    [
        pytest.param(dead, "was killed and left its locks", "nothing: the next", id="V05 dead"),
        pytest.param(zombie, "its parent has not noticed", "end its parent", id="V05 zombie"),
        pytest.param(running("dvc"), "is running and holds locks", "kill -INT", id="V05 running"),
        pytest.param(
            running("other"), "waits for another program that now", "rm .dvc", id="V05 recycled"
        ),
    ],
)
def test_who_holds_dvcs_locks_is_explained(
    holder: Callable[[list[subprocess.Popen[bytes]]], int], problem: str, remedy: str,
    tmp_path: Path, children: list[subprocess.Popen[bytes]],
) -> None:  # fmt: skip
    pid = holder(children)
    path = write_rwlock(tmp_path, pid)
    report = Report()
    project.examine_dvc(report, tmp_path)
    (finding,) = report.findings
    assert f"process {pid} (`dvc repro`)" in finding.problem
    assert problem in finding.problem
    assert remedy in finding.remedy
    assert path.is_file(), "explained, never removed"


@pytest.mark.parametrize(
    "text", [pytest.param("{", id="V05 cut"), pytest.param("[]", id="V05 list")]
)
def test_a_damaged_table_of_locks_is_explained(text: str, tmp_path: Path) -> None:
    path = write_rwlock(tmp_path, 1)
    path.write_text(text)
    report = Report()
    project.examine_dvc(report, tmp_path)
    assert "is damaged" in report.findings[0].problem


LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "is empty", id="V06 empty"),
        pytest.param(LOCK[:40] + "  bad: [", "cannot be read", id="V06 cut"),
        pytest.param("schema: '2.0'\n", "has no stages", id="V06 cut before the stages"),
        pytest.param(
            f"<<<<<<< HEAD\n{LOCK}=======\n{LOCK}>>>>>>> other\n",
            "has git's conflict markers",
            id="V06 conflict",
        ),
    ],
)
def test_a_broken_dvc_lock_is_explained_and_its_recipe_works(
    text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(LOCK)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        git(tmp_path, *words)
    path.write_text(text)
    finding = examined(tmp_path)[0]
    assert f"dvc.lock {problem}" in finding.problem
    assert path.read_text() == text, "explained, never removed"
    recipe = finding.remedy.split("`")[1]
    assert recipe == "git checkout HEAD -- dvc.lock"
    git(tmp_path, *recipe.split()[1:])
    assert path.read_text() == LOCK
    assert examined(tmp_path) == []


def examined(folder: Path) -> list[Finding]:
    report = Report()
    project.examine_dvc(report, folder)
    return report.findings


VERSIONS = {"torch": "2.13.0", "numpy": "2.4.6"}
PIPELINE = """
stages:
  train:
    cmd: touch model
    params:
      - versions.yaml: [numpy, torch]
    outs: [{model: {cache: false}}]
  score:
    cmd: touch score
    params:
      - versions.yaml: [numpy]
    outs: [{score: {cache: false}}]
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc.*")
@pytest.mark.parametrize(
    ("library", "stages"),
    [
        pytest.param("torch", ["train"], id="V13 torch"),
        pytest.param("numpy", ["train", "score"], id="V13 numpy"),
        pytest.param("ruff", [], id="V13 a tool"),
    ],
)
def test_a_stage_runs_again_when_a_library_that_it_uses_has_another_version(
    library: str, stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    real = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in stages:
        declared = [p["versions.yaml"] for p in real[name]["params"] if isinstance(p, dict)]
        assert library in declared[0], "as in the real graph"
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    write_versions(tmp_path, VERSIONS)
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
        assert repo.status() == {}
    write_versions(tmp_path, VERSIONS | {library: "9.9"})
    with Repo() as repo:
        assert list(repo.status()) == stages


def write_versions(folder: Path, versions: dict[str, str]) -> None:
    (folder / "versions.yaml").write_text(yaml.safe_dump(versions))
