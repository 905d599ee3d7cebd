"""Faults of places: paths, locales, and what git makes of files. What must happen."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import yaml

from retune.core.stage import call
from retune.tasks.qa.questions.examples import read_examples

ROOT = Path(__file__).resolve().parents[2]
#: A locale of plain ASCII, in which Python must not fall back to UTF-8 by itself.
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def make_project(folder: Path) -> None:
    """A tiny corpus and encoder in `folder`, and the project's params set to them."""
    tiny.write_data(folder / "own")
    revision = tiny.write_checkpoint(folder / "encoder")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    qa = params["qa"]
    files = {s: [{"path": f"{s}.json", "sha256": None}] for s in ("train", "validation", "test")}
    qa["dataset"] = "files"
    qa["datasets"]["files"] = files | {"folder": "own"}
    qa["checkpoint"] = {"name": "./encoder", "revision": revision}
    qa["tokenize"] |= {"max_length": 64, "doc_stride": 16, "max_question_length": 16}
    qa["train"] |= {"epochs": 1, "batch_size": 4, "precision": "fp32"}
    qa["predict"]["precision"] = "fp32"
    text = yaml.safe_dump(params, sort_keys=False, allow_unicode=True)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("q q é 日本 'a' [1]", id="R22 spaces, accents, quotes, brackets"),
    ],
)
def test_a_pipeline_runs_in_any_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages.qa import download, postprocess, predict, score, tokenize, train, validate

    folder = tmp_path / name
    make_project(folder)
    monkeypatch.chdir(folder)
    data = folder / "data é"
    raw, features, model = data / "raw", data / "features", data / "model"
    logits, predictions = data / "logits", data / "predictions"
    test, test_features = data / "test", data / "test_features"
    call(download.main, raw, test, data / "download.json")
    call(tokenize.main, raw, features, data / "windows.json")
    call(tokenize.main, test, test_features, data / "test_windows.json")
    reports = data / "curves", data / "costs.json", data / "times.json"
    call(train.main, raw, features, model, *reports)
    call(predict.main, test_features, model, logits)
    call(postprocess.main, test, test_features, logits, predictions)
    call(score.main, test, predictions, data / "qa.json", data / "scores")
    call(validate.main, raw, features, model, data / "validation.json", data / "validation_scores")
    answers = json.loads((predictions / "predictions.json").read_text(encoding="utf-8"))
    assert set(answers) == {"q4-0", "q4-1", "q5-0", "q5-1"}
    assert json.loads((data / "qa.json").read_text())["qa"]["details"][0]["questions"] == 4
    (validated,) = json.loads((data / "validation.json").read_text())["qa"]["details"]
    assert (validated["split"], validated["questions"]) == ("validation", 4)
    assert not list(data.glob(".*"))
    assert not list(data.glob("tmp*"))


def write_foreign(folder: Path) -> Path:
    """Data with letters beyond ASCII in texts, ids and the file's name."""
    context = "Der Fluß Łaba fließt an 東京 vorbei. 😀"
    answer = {"text": "東京", "answer_start": context.index("東京")}
    question = {"id": "é-1", "question": "Wo fließt er?", "answers": [answer]}
    article = {"title": "Łaba", "paragraphs": [{"context": context, "qas": [question]}]}
    path = folder / "flüsse.json"
    path.write_text(json.dumps({"data": [article]}, ensure_ascii=False), encoding="utf-8")
    return path


def in_ascii(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | ASCII | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, check=False
    )


def download_in_ascii(folder: Path) -> None:
    make_project(folder)
    foreign = write_foreign(folder / "own")
    for split in ("train", "validation", "test"):
        text = foreign.read_text(encoding="utf-8").replace("é-1", f"é-{split}")
        (folder / f"own/{split}.json").write_text(text, encoding="utf-8")
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("shared_contexts: error", "shared_contexts: allow # größer")
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    done = in_ascii(
        folder, "-m", "stages.qa.download", "data/raw", "data/test", "data/download.json"
    )
    assert done.returncode == 0, done.stderr
    for split in ("train", "validation", "test"):
        place = "test" if split == "test" else "raw"
        (example,) = read_examples(folder / f"data/{place}/{split}.jsonl")
        assert example.context.endswith("東京 vorbei. 😀")
        assert example.id == f"é-{split}"


def doctor_in_ascii(folder: Path) -> None:
    folder.mkdir()
    path = write_foreign(folder)
    path.write_bytes(path.read_bytes().replace(b'"answer_start": 24', b'"answer_start": 3'))
    done = in_ascii(
        folder, "-m", "retune.tools.cli.main", "doctor", str(path), "--fix", "gemäß.json"
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    fixed = (folder / "gemäß.json").read_text(encoding="utf-8")
    assert "東京 vorbei. 😀" in fixed
    assert b"\\u6771\\u4eac" in done.stdout  # shown as the terminal can


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(download_in_ascii, id="R18 download"),
        pytest.param(doctor_in_ascii, id="R18 doctor"),
    ],
)
def test_files_are_utf8_whatever_the_locale(row: Callable[[Path], None], tmp_path: Path) -> None:
    row(tmp_path / "project")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("metrics/qa.json", id="V14 metrics"),
        pytest.param("data/mine.json", id="V14 data"),
        pytest.param("data/mine.csv", id="V14 csv"),
        pytest.param("findings.jsonl", id="V14 json lines"),
        pytest.param("dvc.lock", id="V14 dvc.lock"),
    ],
)
@pytest.mark.parametrize("content", [b'{"a": 1}\n', b'{"a":\r\n 1}\r\n', b'"\r",\n2\r\n'])
def test_git_never_changes_the_bytes_of_data(name: str, content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "windows"
    (folder / name).parent.mkdir(parents=True)
    git(folder, "init", "-q")
    git(folder, "config", "core.autocrlf", "true")
    shutil.copy(ROOT / ".gitattributes", folder)
    (folder / name).write_bytes(content)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "start")
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", "windows", "clone")
    assert (tmp_path / "clone" / name).read_bytes() == content
