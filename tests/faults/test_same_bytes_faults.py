"""Faults that let outputs differ from run to run, or seem not to."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tiny
from test_verify import Small, verdicts

from retune.core.files import atomic_path

ROOT = Path(__file__).resolve().parent.parent.parent
RANDOM = "import os\nopen('data.txt', 'w').write(os.urandom(8).hex())\n"

MANY = {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "4"}
STAGES = """
from pathlib import Path
from stages.qa import download, tokenize
from retune.core.stage import call
call(download.main, Path("raw"), Path("test"), Path("download.json"))
call(tokenize.main, Path("raw"), Path("features"), Path("windows.json"))
call(tokenize.main, Path("test"), Path("test_features"), Path("test_windows.json"))
"""

Check = Callable[[Path], None]


def nondeterministic_stage(folder: Path) -> None:
    small = Small(folder)
    (folder / "prepare.py").write_text(RANDOM, encoding="utf-8")
    small.run("dvc", "repro", "-q")
    small.commit()
    first = (folder / "data.txt").read_bytes()
    (folder / "data.txt").unlink()
    small.run("dvc", "repro", "-q")
    assert (folder / "data.txt").read_bytes() == first  # DVC restored it: it looks reproducible
    found = verdicts(small.verify(code=1))
    assert (found["data.txt"], found["model.txt"]) == ("differs", "differs")


def forced_stage(folder: Path) -> None:
    small = Small(folder)
    small.run("dvc", "repro", "-q", "--force", "--single-item", "train")
    found = small.verify("--here")
    assert set(verdicts(found).values()) == {"same"}
    small.run("dvc", "repro", "-q", "--force", "--single-item", "train", NOISE="new")
    found = small.verify("--here", code=1)
    assert {path for path, verdict in verdicts(found).items() if verdict == "differs"} >= {
        "model.txt"
    }


def features(folder: Path, **environment: str) -> dict[str, str]:
    """The files of download and tokenize, run in `folder`, by their SHA-256."""
    done = subprocess.run(
        [sys.executable, "-c", STAGES], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs = [
        path
        for top in ("raw", "test", "features", "test_features")
        for path in (folder / top).rglob("*")
    ]
    files = [
        *outputs,
        folder / "windows.json",
        folder / "test_windows.json",
        folder / "download.json",
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def project(folder: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    revision = tiny.write_checkpoint(folder / "encoder")
    tiny.write_data(folder / "own")
    files = {
        name: [{"path": f"{name}.json", "sha256": None}] for name in ("train", "validation", "test")
    }
    params["qa"]["dataset"] = "files"
    params["qa"]["datasets"]["files"] = files | {"folder": "own"}
    params["qa"]["checkpoint"] = {"name": "./encoder", "revision": revision}
    params["qa"]["tokenize"] |= {"max_length": 32, "doc_stride": 8, "max_question_length": 16}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@cache
def plain() -> dict[str, str]:
    """The files of a run in plain surroundings."""
    with TemporaryDirectory() as folder:
        project(Path(folder))
        return features(Path(folder), TZ="UTC", PYTHONHASHSEED="0", HOSTNAME="here", **MANY)


def surroundings(folder: Path) -> None:
    project(folder)
    there = {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "99", "HOSTNAME": "there"}
    assert features(folder, **there) == plain()
    assert len(plain()) >= 9


def parallel_tokenizer(folder: Path) -> None:
    project(folder)
    assert features(folder, TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1") == plain()


def touched_files(folder: Path) -> None:
    project(folder)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    assert features(folder) == plain()
    names = {Path(name).name for name in plain()}
    assert {"train.arrow", "validation.arrow", "test.arrow"} <= names
    assert not names & {"state.json", "dataset_info.json", "dataset_dict.json"}


def private_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    before = os.umask(0o077)
    try:
        with atomic_path(folder / "model") as model:
            model.mkdir()
            save_file({"weight": torch.zeros(2)}, model / "model.safetensors")
            assert (model / "model.safetensors").stat().st_mode & 0o077 == 0
        with atomic_path(folder / "scores.json") as file:
            file.write_text("{}", encoding="utf-8")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert modes == {"model": 0o755, "model.safetensors": 0o644, "scores.json": 0o644}


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(nondeterministic_stage, id="V09 a stage that writes something else each time"),
        pytest.param(forced_stage, id="V10 one stage run again by force"),
        pytest.param(surroundings, id="V15 time zone, host and hash seed"),
        pytest.param(private_weights, id="V16 umask and mode of model.safetensors"),
        pytest.param(parallel_tokenizer, id="K12 several threads in the tokenizer"),
        pytest.param(touched_files, id="K14 other modification times"),
    ],
)
@pytest.mark.slow
def test_same_bytes(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
