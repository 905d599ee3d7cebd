"""`retune export` writes a model that answers as before, with its score, or says why not."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from in_process import run_graph
from projects import Project

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines, write_json
from retune.core.manifests import digest, seal
from retune.core.manifests import read as read_manifest
from retune.inference.exported import FILE, GRAPHS
from retune.inference.reader import Reader
from retune.tools.cli.main import main
from retune.tools.export import command, conversion

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
FORMATS = ("onnx", "openvino")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of `bert`."""
    made = Project(tmp_path_factory.mktemp("export"), whole=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        run_graph()
    return made.folder


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(project)
    yield project
    shutil.rmtree(project / "data/qa/exports", ignore_errors=True)


def exported(format_: str, *words: str) -> Path:
    if format_ == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    assert main(["export", format_, *words]) == 0
    return Path("data/qa/exports") / (f"{format_}-int8" if "--int8" in words else format_)


def questions(folder: Path) -> list[list[str]]:
    rows = [*read_json_lines(folder / "data/qa/test/test.jsonl")]
    return [[row[name] for row in rows] for name in ("question", "context")]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_gives_the_answers_of_the_model_and_has_its_score(
    format_: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = exported(format_)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out / 'model'}: 0.")
    assert [line.split(":")[0] for line in lines[1:]] == ["F1 on validation", "F1 on test"]
    assert all(line.endswith("+0.00 [+0.00, +0.00] (95 %)") for line in lines[1:])
    for name in ("predictions/predictions.json", "scores/questions.jsonl"):
        assert (out / name).read_bytes() == Path("data/qa", name).read_bytes()
    texts = questions(here)
    before, after = (Reader(model)(*texts) for model in ("data/qa/model", out))
    assert [found["answer"] for found in after] == [found["answer"] for found in before]
    for one, other in zip(before, after, strict=True):
        assert other["confidence"] == pytest.approx(one["confidence"], abs=1e-4)
    assert read_manifest(out / "model")["params"] == read_manifest(Path("data/qa/model"))["params"]


def test_an_export_can_be_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = exported("onnx")
    (question, *_), (context, *_) = questions(here)
    Path("context.txt").write_text(context, encoding="utf-8")
    capsys.readouterr()
    answers = []
    for model in ("data/qa/model", str(out / "model")):
        words = ["--model", model, "--context", "context.txt", "--json", question]
        assert main(["ask", *words]) == 0
        answers.append(json.loads(capsys.readouterr().out)["answer"])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_of_small_integers_is_smaller_and_says_so(format_: str, here: Path) -> None:
    plain, small = exported(format_), exported(format_, "--int8", "--max-loss", "100")
    weights = "model.onnx" if format_ == "onnx" else "model.bin"
    sizes = [(out / "model" / weights).stat().st_size for out in (plain, small)]
    assert sizes[1] < sizes[0]
    assert [read_json(out / "model" / FILE)["int8"] for out in (plain, small)] == [False, True]
    assert {*read_json(small / "comparison.json")["splits"]} == {"validation", "test"}
    assert Reader(small)("Who?", "Ada did it.")["answer"] in "Ada did it."


def test_an_export_that_loses_too_much_is_refused_and_not_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = command.difference

    def worse(*arguments: Any) -> Any:
        found = real(*arguments)
        return replace(found, value=-0.75, low=-1.25, high=0.5)

    monkeypatch.setattr(command, "difference", worse)
    assert main(["export", "onnx"]) == 1
    assert (
        "bert: the export loses more than 0.5 points of F1 on validation: "
        "-0.75 [-1.25, +0.50] (95 %). Nothing is kept; allow more with --max-loss"
    ) in capsys.readouterr().err
    assert not [*Path("data/qa/exports").iterdir()]
    assert main(["export", "onnx", "--max-loss", "1.25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["test"]["difference"]["low"] == -1.25


def test_a_model_that_cannot_be_converted_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no such operator\nand more")

    monkeypatch.setattr(conversion, "_trace", fails)
    assert main(["export", "onnx"]) == 1
    expected = "data/qa/model: bert cannot be exported to onnx: no such operator\n"
    assert capsys.readouterr().err.endswith(expected)


def test_a_graph_with_other_logits_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as one that depends on the shape that it was traced on."""
    real = conversion.compute_by

    def other(*arguments: Any) -> Any:
        compute = real(*arguments)
        return lambda arrays: [
            logits + (arrays["input_ids"].shape[1] == 31) for logits in compute(arrays)
        ]

    monkeypatch.setattr(conversion, "compute_by", other)
    assert main(["export", "onnx"]) == 1
    assert "differ from the model's by up to 1 for 5 windows of 31" in capsys.readouterr().err


def test_what_is_no_run_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("data/qa/model", "alone/model")
    assert main(["export", "onnx", "--model", "alone/model"]) == 1
    assert "alone/test: no such folder; `dvc repro download` writes" in capsys.readouterr().err
    out = exported("onnx")
    capsys.readouterr()
    assert main(["export", "onnx", "--model", str(out / "model")]) == 1
    assert "an export already; export the model that it was made from" in capsys.readouterr().err
    Path("mine").mkdir()
    assert main(["export", "onnx", "--out", "mine"]) == 1
    assert "mine: not an export, so it is not replaced" in capsys.readouterr().err
    for folder in ("alone", "mine"):
        shutil.rmtree(folder)


def test_a_damaged_export_is_refused(here: Path, tmp_path: Path) -> None:
    out = exported("onnx")

    def damaged(name: str, change: Any) -> str:
        folder = tmp_path / name / "model"
        shutil.copytree(out / "model", folder)
        change(folder)
        seal(folder, {"inputs": {}, "params": read_manifest(out / "model")["params"]})
        with pytest.raises(RetuneError) as error:
            Reader(folder)
        return str(error.value)

    changed = {**read_json(out / "model" / FILE), "format": "tensorflow"}
    assert "export.json: format" in damaged("a", lambda f: write_json(f / FILE, changed))
    assert "not a graph of onnx" in damaged(
        "b", lambda f: (f / GRAPHS["onnx"]).write_bytes(b"nothing")
    )
    assert digest(out / "model") != digest(Path("data/qa/model"))


def test_without_its_extra_the_command_says_how_to_install_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert main(["export", "onnx"]) == 1
    assert "needs onnxruntime, which is not installed: in a checkout of retune, `make" in (
        capsys.readouterr().err
    )
