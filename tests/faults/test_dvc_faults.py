"""Killed and doubled runs of DVC, damaged files that it trusts, and stages that do not fit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import forks
import graph
import psutil
import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from projects import has_ended

from retune.core.artifacts import sealed
from retune.core.errors import RetuneError
from retune.core.files import atomic_path, json_lines_writer, read_json, write_json
from retune.core.params import Params
from retune.tasks.qa.train.train import TrainParams

ROOT = Path(__file__).resolve().parents[2]
PARAMS: dict[str, Any] = {"qa.model": "bert", "qa.squad_v2": False}

#: A stage that writes its output late, unless `go` is there from the start.
STAGE = """
import time
from pathlib import Path
from retune.core.process_end import prepare_to_end
from retune.core.user_errors import guarded
from retune.core.files import write_json
prepare_to_end()
def stage():
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    write_json(Path("out.json"), {"value": 1})
raise SystemExit(guarded(stage, "slow"))
"""


class Repository:
    """A DVC repository of one stage, which ends once there is a file `go`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stage.py").write_text(STAGE)
        stage = {
            "cmd": f"exec {sys.executable} stage.py",
            "deps": ["stage.py"],
            "outs": ["out.json"],
        }
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"slow": stage}}))
        self.dvc("init", "--no-scm", "-q")

    def start(self) -> "subprocess.Popen[str]":
        """Start `dvc repro`, and wait until the stage is at work."""
        (self.folder / "begun").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"], cwd=self.folder, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not (self.folder / "begun").exists():
            assert process.poll() is None
            time.sleep(0.01)
        return process

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        """Run `dvc` to its end, in a forked process, and return what it said."""
        done = subprocess.run(
            [forks.commands() / "dvc", *arguments], cwd=self.folder, env=environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def finish(self) -> None:
        """Let the stage go on, and run it to its end."""
        (self.folder / "go").touch()
        self.dvc("repro")
        assert read_json(self.folder / "out.json") == {"value": 1}


def environment() -> Mapping[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    repository = Repository(tmp_path)
    yield repository
    (tmp_path / "go").touch()  # lets go whatever still waits


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGKILL, id="V01 dvc is killed, and the next run goes well"),
        pytest.param(signal.SIGTERM, id="V02 dvc is told to end, and no orphan writes later"),
    ],
)
def test_a_killed_dvc_leaves_nothing_behind(stop: signal.Signals, repository: Repository) -> None:
    dvc = repository.start()
    (stage,) = psutil.Process(dvc.pid).children()
    dvc.send_signal(stop)
    dvc.wait()
    assert has_ended(stage, within=60)
    (repository.folder / "go").touch()  # an orphan would write now
    assert not (repository.folder / "out.json").exists()
    repository.finish()


@pytest.mark.parametrize("stop", [pytest.param(signal.SIGKILL, id="V03 the stage alone is killed")])
def test_a_killed_stage_is_told_and_runs_again(
    stop: signal.Signals, repository: Repository
) -> None:
    dvc = repository.start()
    (stage,) = psutil.Process(dvc.pid).children()
    stage.send_signal(stop)
    output, _ = dvc.communicate()
    assert "failed to reproduce 'slow'" in output
    assert f"exited with -{int(stop)}" in output
    assert not (repository.folder / "dvc.lock").exists()
    repository.finish()


@pytest.mark.parametrize("command", [pytest.param("repro", id="V04 a second dvc repro")])
def test_a_second_run_names_the_first(command: str, repository: Repository) -> None:
    dvc = repository.start()
    output = repository.dvc(command, fails=True)
    assert f"(PID {dvc.pid})" in output
    (repository.folder / "go").touch()
    assert dvc.wait() == 0


def make(folder: Path, inputs: Mapping[str, Path] | None = None, **params: Any) -> Path:
    """A stage's folder, sealed."""
    with sealed(PARAMS | params, reads=inputs or {}, writes={folder.name: folder}):
        folder.mkdir()
        (folder / "rows.jsonl").write_text(f"what is in {folder}\n")
    return folder


def read(params: Mapping[str, Any] = PARAMS, **folders: Path) -> None:
    with sealed(params, reads=folders, writes={}):
        pass


def flip_a_bit(file: Path) -> None:
    """Damage `file` in a way that its size and time do not show."""
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    os.chmod(file, 0o644)
    file.write_bytes(content)
    os.utime(file, ns=times)


@pytest.mark.parametrize("file", [pytest.param("rows.jsonl", id="V07 bit rot in an output")])
def test_a_stage_refuses_a_damaged_input(file: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    read(raw=folder)
    flip_a_bit(folder / file)
    with pytest.raises(RetuneError, match=rf"raw/{file}: damaged or changed since it was written"):
        read(raw=folder)


@pytest.mark.parametrize("file", [pytest.param("rows.jsonl", id="V08 bit rot in DVC's cache")])
def test_a_stage_refuses_what_a_damaged_cache_restores(
    file: str, tmp_path: Path, repository: Repository
) -> None:
    folder = make(tmp_path / "raw")
    repository.dvc("add", "-q", "raw")
    content = (folder / file).read_bytes()
    (cached,) = [path for path in (tmp_path / ".dvc/cache").rglob("*")
                 if path.is_file() and path.read_bytes() == content]  # fmt: skip
    flip_a_bit(cached)
    shutil.rmtree(folder)
    repository.dvc("checkout", "-q", "raw.dvc")
    assert (folder / file).read_bytes() != content  # DVC has not seen it
    with pytest.raises(RetuneError, match=rf"raw/{file}: damaged .*dvc repro --force"):
        read(raw=folder)


@pytest.mark.parametrize(
    "kind", [pytest.param("file", id="V11 file"), pytest.param("folder", id="V11 folder")]
)
def test_an_output_that_is_not_finished_is_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "out") as partial:
        if kind == "folder":
            partial.mkdir()
        (partial / "part" if kind == "folder" else partial).write_text("half")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    (tmp_path / "raw").mkdir()
    with pytest.raises(RetuneError, match=r"raw: has no manifest.json, so it is incomplete"):
        read(raw=tmp_path / "raw")


@pytest.mark.parametrize(
    "module", [pytest.param("retune.tasks.qa.download.leaking", id="V12 code that is no dep")]
)
def test_a_new_import_of_a_stage_is_a_missing_dep(module: str, tmp_path: Path) -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["score"]
    script = (ROOT / "stages/qa/score.py").read_text()
    (tmp_path / "score.py").write_text(f"def later():\n    import {module}\n{script}")
    missing = graph.imported_files(tmp_path / "score.py") - set(stage["deps"])
    assert f"src/{module.replace('.', '/')}.py" in missing


def write_params(folder: Path, *overrides: str) -> Path:
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    apply_overrides(folder / "params.yaml", list(overrides))
    return folder / "params.yaml"


@pytest.mark.parametrize("lr", [pytest.param("3e-5", id="V17 dvc writes it as 3e-05")])
def test_a_number_that_dvc_rewrites_is_still_that_number(lr: str, tmp_path: Path) -> None:
    with Params(write_params(tmp_path, f"qa.train.lr={lr}")) as params:
        training = params.section("qa.train", TrainParams)
    assert training.lr == float(lr)


@pytest.mark.parametrize("key", [pytest.param("qa.train.lrr", id="V18 dvc exp run of a slip")])
def test_a_slip_in_an_override_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(DvcException):
        write_params(tmp_path, f"{key}=1")
    path = write_params(tmp_path, f"+{key}=1")
    said = rf"{key}: unknown key, did you mean `lr`\?"
    with pytest.raises(RetuneError, match=said), Params(path) as params:
        params.section("qa.train", TrainParams)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"qa.squad_v2": True}, "qa.squad_v2 False, .* say True", id="P24 a switch"),
        pytest.param({"qa.model": "lstm"}, "qa.model 'bert', .* say 'lstm'", id="P24 the model"),
    ],
)
def test_params_that_changed_between_two_stages_are_told(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "raw")
    with pytest.raises(RetuneError, match=rf"raw: made with {said}; run `dvc repro`"):
        read(PARAMS | changed, raw=folder)
    read({"qa.tokenize": {}}, raw=folder)  # who does not read it, does not mind


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("raw", id="Q11 of other data"),
        pytest.param("logits", id="Q11 of another model"),
    ],
)
def test_predictions_of_something_else_are_refused(other: str, tmp_path: Path) -> None:
    inputs = {name: make(tmp_path / "one" / name) for name in ("raw", "logits")}
    predictions = make(tmp_path / "one" / "predictions", inputs)
    read(predictions=predictions, **inputs)
    inputs[other] = make(tmp_path / "two" / other)
    with pytest.raises(
        RetuneError, match=rf"predictions: made from other {other} than .*two/{other}"
    ):
        read(predictions=predictions, **inputs)


@pytest.mark.parametrize("rows", [pytest.param(3, id="Q13 killed while writing predictions")])
def test_predictions_are_whole_or_those_before(rows: int, tmp_path: Path) -> None:
    write_json(tmp_path / "predictions.json", {"q": "before"})
    child = os.fork()
    if child == 0:  # pragma: no cover
        with json_lines_writer(tmp_path / "predictions.json") as write:
            for row in range(rows):
                write({"id": row})
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert read_json(tmp_path / "predictions.json") == {"q": "before"}
    write_json(tmp_path / "predictions.json", {"q": "after"})
    assert os.listdir(tmp_path) == ["predictions.json"]


def test_v36_a_stage_that_fails_has_lost_its_outputs_and_checkout_brings_them_back(
    repository: Repository,
) -> None:
    repository.finish()
    (repository.folder / "stage.py").write_text("raise SystemExit('a value is refused')\n")
    assert "failed to reproduce 'slow'" in repository.dvc("repro", fails=True)
    assert not (repository.folder / "out.json").exists()  # hence the stage `check`
    repository.dvc("checkout", "slow")
    assert read_json(repository.folder / "out.json") == {"value": 1}
