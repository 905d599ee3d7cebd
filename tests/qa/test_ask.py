"""`retune ask`; that it answers as the stages do is in tests/test_end_to_end.py."""

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from trained_readers import calibrated, trained

from retune.core.files import read_json, read_json_lines, write_json_lines
from retune.core.manifests import seal
from retune.core.params import load_yaml
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tools.ask.qa_file import FILES
from retune.tools.cli.main import main

__all__ = ["trained"]  # a fixture

LENGTHS = TokenizeParams(128, 8, 16, "all", 0.0, 0.5)


def asked(question: str) -> Example:
    return Example("", "", tiny.TEXTS[0], question, ())


def ask(folder: Path, *words: str, model: Path | None = None) -> int:
    files = ["--model", str(model or folder / "model"), "--params", str(folder / "params.yaml")]
    return main(["ask", *files, *words])


def test_a_bundle_is_loaded_again_and_asked(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question, _ = tiny.QUESTIONS[0][0]
    context = ["--context", str(trained / "context.txt")]
    assert ask(trained, *context, "--json", question) == 0
    reply = json.loads(capsys.readouterr().out)
    assert set(reply) == {
        "question", "answer", "confidence", "score", "start", "end", "abstained", "question_cut_at",
    }  # fmt: skip
    assert (reply["confidence"], reply["abstained"]) == (None, False)
    assert reply["question_cut_at"] is None
    assert reply["question"] == question
    assert tiny.TEXTS[0][reply["start"] : reply["end"]] == reply["answer"] != ""
    assert 0 < reply["score"] <= 1
    assert ask(trained, *context, question) == 0
    place = f"{reply['score']:.1%} (not calibrated), characters {reply['start']} to {reply['end']}"
    assert capsys.readouterr().out == f"{reply['answer']}  {place}\n"


def test_each_line_of_the_input_is_a_question(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = [question for question, _ in tiny.QUESTIONS[0]]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n".join(questions) + "\n"))
    assert ask(trained, "--context", str(trained / "context.txt"), "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    asked = [json.loads(line) for line in lines]
    assert [reply["question"] for reply in asked[::2]] == questions
    assert asked[1::2] == [{"blank": True}] * (len(questions) - 1)  # blank lines keep their place


def test_a_question_without_a_text_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(trained, "who?") == 1
    assert "give --context FILE" in capsys.readouterr().err
    assert ask(trained, "--context", str(trained / "none.txt"), "who?") == 1
    assert "none.txt: no such file; --context names a file of text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (None, "no such folder; `dvc repro` trains the model, --model names another"),
        ({}, "trained without qa.squad_v2, so for another task; see --task"),
    ],
)
def test_a_folder_that_has_no_reader_is_refused(
    params: dict[str, Any] | None,
    message: str,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if params is not None:
        shutil.copytree(trained / "model", tmp_path / "model")
        seal(tmp_path / "model", {"inputs": {}, "params": params})
    context = str(trained / "context.txt")
    assert ask(trained, "--context", context, "who?", model=tmp_path / "model") == 1
    assert message in capsys.readouterr().err


def test_a_question_that_is_cut_is_told_with_the_place(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tiny.TEXTS[0].split()
    question = " ".join((words * 20)[:200])
    context = ["--context", str(trained / "context.txt")]
    assert ask(trained, *context, "--json", question) == 0
    place = json.loads(capsys.readouterr().out)["question_cut_at"]
    windower = Windower(load_tokenizer(trained / "model"), LENGTHS)
    assert len(windower.cut([asked(question[:place])], 0).windows.input_ids) == len(
        windower.cut([asked(question)], 0).windows.input_ids
    )
    assert windower.cut([asked(question[:place])], 0).question_cut.tolist() == [0]
    assert ask(trained, *context, question) == 0
    said = f"(the question was cut after {question[place - 40 : place]!r})"
    assert said[-20:] in capsys.readouterr().out


def test_a_file_is_answered_as_the_stages_answer_it(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_yaml(trained / "params.yaml")["qa"]
    predicting, reading = settings["predict"], settings["postprocess"]
    model = load("bert_adapter", trained / "model")
    predict(trained / "features", model, tmp_path / "logits", PredictParams(**predicting),
            "validation")  # fmt: skip
    postprocess(
        trained / "raw", trained / "features", tmp_path / "logits", tmp_path / "stages",
        PostprocessParams(**reading), squad_v2=False, split="validation",
    )  # fmt: skip
    rows = list(read_json_lines(trained / "raw/validation.jsonl"))
    lines = {
        "answers": [{**row, "id": number} for number, row in enumerate(rows)],
        "none": [{k: v for k, v in row.items() if k != "answers"} for row in rows],
        "misaligned": [{**row, "answers": {"text": ["x"], "answer_start": [-1]}} for row in rows],
    }
    expected = (tmp_path / "stages/nbest.jsonl").read_bytes()
    for name, given in lines.items():
        write_json_lines(tmp_path / f"{name}.jsonl", given)
        out = tmp_path / name
        assert ask(trained, "--data", str(tmp_path / f"{name}.jsonl"), "--out", str(out)) == 0
        said = f"{out}/predictions.json: {len(rows)} answers, 0 of them empty\n"
        assert capsys.readouterr().out == said
        if name == "answers":
            assert set(read_json(out / "predictions.json")) == {str(n) for n in range(len(rows))}
            continue
        assert (out / "nbest.jsonl").read_bytes() == expected
        stages = (tmp_path / "stages/predictions.json").read_bytes()
        assert (out / "predictions.json").read_bytes() == stages


def test_a_file_is_answered_a_part_at_a_time_and_again(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    long = {"id": "long", "context": tiny.TEXTS[0], "question": f"{tiny.TEXTS[1]} " * 9}
    rows = [*read_json_lines(trained / "raw/validation.jsonl"), long]
    write_json_lines(tmp_path / "mine.jsonl", rows)
    assert ask(trained, "--data", "mine.jsonl", "--json") == 0
    whole = capsys.readouterr().out
    texts = (tmp_path / "mine-answers/predictions.json").read_bytes()
    monkeypatch.setattr("retune.tasks.qa.tokenize.tokenize._BATCH", 3)
    assert ask(trained, "--data", "mine.jsonl", "--json") == 0
    assert capsys.readouterr().out == whole
    assert (tmp_path / "mine-answers/predictions.json").read_bytes() == texts
    counts = json.loads(whole)
    assert counts["answers"] == len(rows)
    assert counts["question_cut"] == ["long"]
    assert counts["sentence"].endswith("1 questions cut to max_question_length: long")
    written = {path.name for path in (tmp_path / "mine-answers").iterdir()}
    assert written == {*FILES} - {"confidences.json"}


def test_a_calibrated_model_states_its_confidence_and_withholds_what_is_unsure(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = calibrated(trained, tmp_path)
    question, _ = tiny.QUESTIONS[0][0]
    context = ["--context", str(trained / "context.txt")]
    assert ask(trained, *context, "--json", question, model=model) == 0
    reply = json.loads(capsys.readouterr().out)
    confidence = reply["confidence"]
    odds = math.log(reply["score"] / (1 - reply["score"]))  # no two candidates have one text
    assert confidence == pytest.approx(1 / (1 + math.exp(-(0.5 * odds + 0.1))), abs=1e-6)
    assert ask(trained, *context, question, model=model) == 0
    assert f"  {confidence:.1%}, characters " in capsys.readouterr().out
    least = f"{confidence + 0.01}"
    assert ask(trained, *context, "--min-confidence", least, question, model=model) == 0
    printed = f"(abstained)  confidence {confidence:.4g} is below {float(least):.4g}\n"
    assert capsys.readouterr().out == printed
    assert ask(trained, *context, "--min-confidence", "0", question, model=model) == 0
    assert reply["answer"] in capsys.readouterr().out


def test_a_file_is_answered_with_confidence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = calibrated(trained, tmp_path, threshold=0.0)
    rows = list(read_json_lines(trained / "raw/validation.jsonl"))
    write_json_lines(tmp_path / "mine.jsonl", rows)
    files = ["--data", str(tmp_path / "mine.jsonl"), "--out", str(tmp_path / "out")]
    assert ask(trained, *files, "--min-confidence", "promised", model=model) == 0
    confidences = read_json(tmp_path / "out/confidences.json")
    texts = read_json(tmp_path / "out/predictions.json")
    least = 1 / (1 + math.exp(-0.1))
    low = {id_ for id_, confidence in confidences.items() if confidence < least}
    assert low == {id_ for id_, text in texts.items() if not text}
    assert set(read_json(tmp_path / "out/report.json")["withheld"]) == low
    assert (f"{len(low)} more withheld" in capsys.readouterr().out) == bool(low)


@pytest.mark.parametrize(
    ("least", "changes", "message"),
    [
        ("2", {}, "min_confidence: '2' is not a number from 0 to 1, nor 'promised'"),
        ("many", {}, "min_confidence: 'many' is not a number from 0 to 1"),
        ("promised", {}, "10 validation passages are too few to show that 90 % of the answers are "
                         "right; about 60 are needed. Give a number"),
        ("promised", {"needed": None}, "no confidence of this model shows that 90 % of the"),
        ("0.5", {"model": "other"}, "calibration.json: of another model; run `dvc repro cal"),
        ("0.5", {"reading": {}}, "of other settings in qa.postprocess; run `dvc repro calibrate`"),
        ("0.5", {"slope": None, "intercept": None}, "the data has no validation split"),
    ],
)  # fmt: skip
def test_a_confidence_that_cannot_be_asked_for_is_refused(
    least: str,
    changes: dict[str, Any],
    message: str,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = calibrated(trained, tmp_path, **changes)
    context = ["--context", str(trained / "context.txt")]
    assert ask(trained, *context, "--min-confidence", least, "who?", model=model) == 1
    assert message in capsys.readouterr().err
    shutil.rmtree(model.parent / "calibration")
    assert ask(trained, *context, "--min-confidence", least, "who?", model=model) == 1
    assert "calibration: no such folder; the stage `calibrate` of" in capsys.readouterr().err
    assert main(["ask", "--task", "sentiment", "--min-confidence", "0.5", "good"]) == 1
    assert "answers of --task sentiment have no confidence" in capsys.readouterr().err


def test_a_damaged_model_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "model", tmp_path / "model")
    with (tmp_path / "model/config.json").open("a") as file:
        file.write(" ")
    context = str(trained / "context.txt")
    assert ask(trained, "--context", context, "who?", model=tmp_path / "model") == 1
    assert "config.json: damaged or changed since it was written" in capsys.readouterr().err


def test_a_context_may_come_from_the_input(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = tiny.QUESTIONS[0][0][0]
    text = (trained / "context.txt").read_text(encoding="utf-8")
    assert ask(trained, "--context", str(trained / "context.txt"), question) == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert ask(trained, "--context", "-", question) == 0
    assert capsys.readouterr().out == expected
    assert ask(trained, "--context", "-") == 1
    assert "--context - reads the context from standard input; give the" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("\udcff"))
    assert ask(trained, "--context", "-", question) == 1
    assert "--context -: not UTF-8; convert it to UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "command"),
    [
        ("qa", "`dvc repro` trains"),
        ("sentiment", "`dvc repro pipelines/sentiment/dvc.yaml` trains"),
        ("sentiment", "`cd pipelines/sentiment && dvc repro` trains"),
    ],
)
def test_without_a_model_the_command_that_trains_it_is_named(
    task: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines/sentiment").mkdir(parents=True)
    if "cd " in command:
        (tmp_path / "pipelines/sentiment/.dvc").mkdir()
    for folder in (tmp_path, tmp_path / "pipelines/sentiment"):
        (folder / "params.yaml").write_text("variants: {}\n", encoding="utf-8")
    assert main(["ask", "--task", task, "who?"]) == 1
    assert command in capsys.readouterr().err


def test_a_variant_that_the_model_was_not_trained_as_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    seal(tmp_path / "model", {"inputs": {}, "params": {"qa.model": "bert"}})
    params = "qa: {model: bert}\nvariants: {lora: {model: bert_lora}}\n"
    (tmp_path / "params.yaml").write_text(params, encoding="utf-8")
    assert ask(tmp_path, "--variant", "lora", "who?", model=tmp_path / "model") == 1
    error = capsys.readouterr().err
    assert "--variant lora: its qa.model is 'bert_lora', but the model in" in error
    assert "was trained with 'bert'; name that variant's model with --model" in error
