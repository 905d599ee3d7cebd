"""Two clones of one commit give the same bytes, whatever surrounds them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_end_to_end import MODELS, Project

ROOT = Path(__file__).resolve().parent.parent
A_YEAR = 366 * 24 * 3600

pytestmark = pytest.mark.slow

Sums = dict[str, dict[str, str]]


@dataclass
class Surroundings:
    """What must not matter: all of it differs between the two clones."""

    folder: str
    umask: int
    ahead: int  # seconds that the clock is ahead
    modified: int | None  # the modification time of every file, if not now
    variables: dict[str, str]


PLAIN = Surroundings(
    "one", 0o022, 0, None,
    {"TZ": "UTC", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PYTHONUTF8": "1",
     "PYTHONHASHSEED": "0", "USER": "ada", "LOGNAME": "ada"},
)  # fmt: skip
ODD = Surroundings(
    "another plaçe, far away", 0o077, A_YEAR, 978_307_200,
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0",
     "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "4321", "USER": "zoë", "LOGNAME": "zoë",
     "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "HOSTNAME": "elsewhere",
     "TMPDIR": "tmp", "HOME": "home"},
)  # fmt: skip


def run(origin: Project, around: Surroundings, top: Path) -> tuple[Path, Sums]:
    """Clone, and run every variant in one process of its own."""
    clone = top / around.folder / "clone"
    clone.parent.mkdir()
    subprocess.run(["git", "clone", "-q", str(origin.folder), str(clone)], check=True)
    variables = dict(around.variables)
    for name in ("HOME", "TMPDIR"):
        folder = top / f"{around.folder} {variables.get(name, name.lower())}"
        folder.mkdir()
        variables[name] = str(folder)
    if around.modified:
        for path in clone.rglob("*"):
            os.utime(path, (around.modified, around.modified))
    # Also those of the tests' own that would decide: the environment is made anew.
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONDONTWRITEBYTECODE") if name in os.environ
    }
    script = ROOT / "tests/all_variants.py"
    done = subprocess.run(
        [sys.executable, str(script), str(around.ahead), *MODELS],
        cwd=clone, env=kept | variables | {"OMP_NUM_THREADS": "1"}, umask=around.umask,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return clone, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Sums]]:
    origin = Project(tmp_path_factory.mktemp("origin"), whole=True)
    top = tmp_path_factory.mktemp("clones")
    return {name: run(origin, around, top) for name, around in
            [("plain", PLAIN), ("odd", ODD)]}  # fmt: skip


def weights(sums: dict[str, str]) -> str:
    """The file of a model's weights, or of its bundle's."""
    (path,) = (path for path in sums if path.startswith("data/qa/model/") and "tensors" in path)
    return path


@pytest.mark.parametrize("model", MODELS)
def test_a_variant_gives_the_same_bytes(model: str, clones: dict[str, tuple[Path, Sums]]) -> None:
    plain, odd = (sums[model] for _, sums in clones.values())
    assert plain == odd
    expected = {
        "data/qa/raw/validation.jsonl", "data/qa/test/test.jsonl", "data/qa/features/train.arrow",
        "data/qa/scores/questions.jsonl", "data/qa/validation_scores/questions.jsonl",
        "data/qa/features/tokenizer/tokenizer.json", weights(plain),
        "data/qa/predictions/predictions.json", "data/qa/predictions/nbest.jsonl",
        "metrics/qa.json", "metrics/qa_confidence.json", "metrics/qa_windows.json",
        "metrics/qa_download.json",
        "metrics/qa_costs.json", "metrics/qa_curves/train.csv",
    }  # fmt: skip
    assert expected <= set(plain)
    assert any(path.startswith("data/qa/logits/") for path in plain)


def test_variants_differ_in_weights_and_share_features(
    clones: dict[str, tuple[Path, Sums]],
) -> None:
    _, sums = clones["plain"]
    found = {sums[model][weights(sums[model])] for model in MODELS}
    assert len(found) == len(MODELS) >= 5
    assert len({sums[model]["data/qa/features/train.arrow"] for model in MODELS}) == 1


def test_no_output_names_its_surroundings(clones: dict[str, tuple[Path, Sums]]) -> None:
    clone, sums = clones["odd"]
    strange = [s.encode() for s in ("far away", "zoë", "elsewhere", "Kiritimati")]
    paths = {path for model in sums.values() for path in model}
    assert len(paths) > 15
    # What only earlier models had is gone; that both clones wrote the same bytes speaks for it.
    for path in sorted(path for path in paths if (clone / path).exists()):
        content = (clone / path).read_bytes()
        assert not [word for word in strange if word in content], path


def test_all_may_read_the_outputs_whatever_the_umask(
    clones: dict[str, tuple[Path, Sums]],
) -> None:
    clone, _ = clones["odd"]
    for top in ("raw", "features", "model", "logits", "predictions"):
        folder = clone / "data/qa" / top
        for path in (folder, *folder.rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


@pytest.fixture(scope="module", autouse=True)
def _tidy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    for folder in tmp_path_factory.getbasetemp().glob("clones*"):
        shutil.rmtree(folder, ignore_errors=True)
