"""`retune verify` on a small pipeline of plain scripts: what it runs, finds and says."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import forks
import pytest

from retune.core.errors import RetuneError
from retune.tools.verify import command
from retune.tools.verify.claimed import picked
from retune.tools.verify.clones import project_root
from retune.tools.verify.compare import EQUAL, TOLERANT

ROOT = Path(__file__).resolve().parent.parent

PIPELINE = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py]
    outs: [data.txt]
  train:
    cmd: python train.py
    deps: [train.py, data.txt]
    params: [qa.seed]
    outs: [model.txt]
    metrics:
      - metrics/costs.json: {cache: false}
  score:
    cmd: python score.py
    deps: [score.py, model.txt]
    metrics:
      - metrics/scores.json: {cache: false}
"""
SCRIPTS = {
    "prepare.py": "open('data.txt', 'w').write('data')\n",
    "train.py": """
import json, os, time, yaml
noise = os.environ.get('NOISE', '')
cpu = os.environ.get('CPU', 'one cpu')
seed = yaml.safe_load(open('params.yaml'))['qa']['seed']
open('model.txt', 'w').write(open('data.txt').read() + noise + str(seed))
details = [{'environment': [cpu, 'fp32', 'lib 1.0'], 'windows': 3}]
figures = {'train_seconds': time.time(), 'details': details}
json.dump({'qa': figures}, open('metrics/costs.json', 'w'))
""",
    "score.py": """
import json
text = open('model.txt').read()
json.dump({'qa': {'f1': 40.0 + len(text)}}, open('metrics/scores.json', 'w'))
""",
}
CLAIMS = """
claims:
  default:
    kind: reproduced
    what: a default run
    params: x
    data: x
    sources: {}
    values: {metrics/scores.json#qa/f1: 46.0}
    tolerance: {f1: 4.0}
    retrain: true
  longer:
    kind: reproduced
    what: another seed, of more digits
    changes: {qa.seed: 1234}
    params: x
    data: x
    sources: {}
    values: {metrics/variants.json#longer/qa.f1: 48.0}
    tolerance: {f1: 4.0}
    retrain: true
  notebook:
    kind: published elsewhere, not re-run here
    what: a notebook
    source: notebook N0
    data: data
    values: {F1: 1.0}
"""


class Small:
    """A repository with the pipeline, run and committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("git", "init", "-q")
        self.run("dvc", "init", "-q")
        (folder / "metrics").mkdir()
        files = SCRIPTS | {"dvc.yaml": PIPELINE, "claims.yaml": CLAIMS}
        files |= {"params.yaml": "qa:\n  seed: 42\n", ".gitignore": "/logs/\n"}
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        self.run("dvc", "repro", "-q")
        self.commit()

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "results")

    def run(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run a command and return its output; all else goes into the message of a failure."""
        names = {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)}
        mails = {f"GIT_{who}_EMAIL": "t@example.org" for who in ("AUTHOR", "COMMITTER")}
        programs = forks.environment(forks.commands())
        done = subprocess.run(
            words, cwd=self.folder, env=os.environ | programs | names | mails | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code != 2 else done.stderr

    def verify(self, *words: str, code: int = 0, **environment: str) -> dict[str, Any]:
        output = self.run("retune", "verify", "--json", *words, code=code, **environment)
        found: dict[str, Any] = json.loads(output)
        assert found["exit_code"] == code
        return found

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("small é"))


@pytest.fixture
def small(made: Small, tmp_path: Path) -> Small:
    copy = object.__new__(Small)
    copy.folder = tmp_path / "a copy"
    shutil.copytree(made.folder, copy.folder)
    return copy


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row["artefact"]: row["verdict"] for row in found["rows"]}


@pytest.mark.slow
def test_a_run_that_comes_out_the_same_is_the_same_but_for_times(small: Small) -> None:
    before = (small.folder / "metrics/costs.json").read_bytes()
    found = small.verify()
    assert found["rule"] == EQUAL
    assert "one cpu, fp32, lib 1.0" in found["reason"]
    names = ["data.txt", "model.txt", "metrics/costs.json", "metrics/scores.json"]
    assert verdicts(found) == dict.fromkeys(names, "same")
    (costs,) = (row for row in found["rows"] if row["artefact"] == "metrics/costs.json")
    assert costs["detail"] == "except times and environment"
    assert (small.folder / "metrics/costs.json").read_bytes() == before
    assert small.run("git", "status", "--porcelain") == ""
    assert "Running stage 'score'" in (small.folder / "logs/verify.log").read_text()
    output = small.run("retune", "verify")
    assert "rule: equal bytes, because the environment is the recorded one" in output
    assert "nothing differs from commit" in output
    assert max(map(len, output.splitlines()[:-2])) <= 80


@pytest.mark.slow
def test_other_bytes_are_found_in_the_recorded_environment_only(small: Small) -> None:
    found = small.verify(code=1, NOISE="z")
    assert verdicts(found) == {
        "data.txt": "same", "model.txt": "differs", "metrics/costs.json": "same",
        "metrics/scores.json": "differs",
    }  # fmt: skip
    assert "qa.f1: 46, here 47" in found["rows"][-1]["detail"]
    found = small.verify(NOISE="z", CPU="another cpu")
    assert found["rule"] == TOLERANT
    assert found["reason"] == (
        "the environment differs: recorded one cpu; here another cpu"
    )  # fmt: skip
    assert verdicts(found) == {
        "data.txt": "same", "model.txt": "not compared", "metrics/costs.json": "same",
        "metrics/scores.json": "within tolerance",
    }  # fmt: skip
    found = small.verify(code=1, NOISE="zzzzz", CPU="another cpu")
    assert verdicts(found)["metrics/scores.json"] == "differs"


@pytest.mark.slow
def test_a_lock_of_other_code_is_found(small: Small) -> None:
    small.edit("score.py", "40.0", "40.0 + 0.0")
    small.commit()
    found = small.verify(code=1)
    (row,) = (row for row in found["rows"] if row["verdict"] == "differs")
    assert (row["stage"], row["artefact"]) == ("score", "score.py")
    assert "run `dvc repro` and commit" in row["detail"]


@pytest.mark.slow
def test_here_compares_the_last_run_with_the_commit(small: Small) -> None:
    assert set(verdicts(small.verify("--here")).values()) == {"same"}
    small.run("dvc", "repro", "-q", "-f", NOISE="z")
    found = small.verify("--here", code=1)
    assert verdicts(found)["model.txt"] == "differs"
    assert "changed since the last commit, which this command verifies: " in small.run(
        "retune", "verify", code=2
    )


@pytest.mark.slow
def test_data_that_dvc_keeps_are_brought_along(small: Small) -> None:
    (small.folder / "mine.txt").write_text("mine", encoding="utf-8")
    small.run("dvc", "add", "-q", "mine.txt")
    small.edit("prepare.py", "'data'", "open('mine.txt').read()")
    small.edit("dvc.yaml", "[prepare.py]", "[prepare.py, mine.txt]")
    small.run("dvc", "repro", "-q")
    small.commit()
    assert set(verdicts(small.verify()).values()) == {"same"}


@pytest.mark.slow
def test_a_stage_that_fails_is_a_sentence_with_its_log(small: Small) -> None:
    small.edit("score.py", "text =", "raise SystemExit('no score today')\ntext =")
    small.commit()
    error = small.run("retune", "verify", code=2)
    assert "`dvc repro` failed in a clean clone; see " in error
    assert "verify.log" in error
    assert "no score today" in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_claims_are_trained_again_and_the_others_are_listed(small: Small) -> None:
    found = small.verify("--claims")["claims"]
    rows = {row["claim"]: (row["action"], row["verdict"]) for row in found}
    assert rows == {
        "default": ("trained again", "same"),
        "longer": ("trained again", "same"),
        "notebook": ("not run again", "not run"),
    }
    assert all(row["seconds"] > 0 for row in found if row["claim"] != "notebook")
    small.edit("claims.yaml", "qa.f1: 48.0", "qa.f1: 47.0")
    small.commit()
    (row,) = small.verify("--claims", "--only", "longer", code=1)["claims"]
    assert row["verdict"] == "differs"
    assert "f1: 47, here 48; equal bytes: the environment is the recorded one" in row["detail"]
    output = small.run("retune", "verify", "--claims", "--only", "notebook")
    assert "1 not run" in output
    error = small.run("retune", "verify", "--claims", "--only", "lstn", code=2)
    assert "claims.yaml has no lstn; it has default, longer, notebook" in error


def test_the_projects_own_tolerances_are_those_of_the_default_run() -> None:
    assert command.tolerances_of(ROOT) == {"exact_match": 4.0, "f1": 4.0, "exact_matches": 15}
    assert command.tolerances_of(ROOT / "docs") == {}


def test_wrong_options_are_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"claims\.yaml has no b; it has a"):
        picked({"a": None}, ["b"])  # type: ignore[dict-item]
    from retune.tools.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["verify", "--only", "lstm"]) == 2
    assert main(["verify", "--claims", "--here"]) == 2
    assert main(["verify"]) == 2  # no repository
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(RetuneError, match=r"there is no dvc\.lock to verify; run `dvc repro`"):
        project_root()
