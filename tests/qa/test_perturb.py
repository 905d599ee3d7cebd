"""The stage `perturb`: answers before and after, of a random reader that ignores case."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import BertConfig, BertForQuestionAnswering

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines, write_json
from retune.tasks.qa.answer.answer import Answering
from retune.tasks.qa.perturb import perturb as stage
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize

LENGTHS = TokenizeParams(64, 16, 16, "all", 1.0, 1.0)
PREDICTION, READING = PredictParams(32, "fp32"), PostprocessParams(3, 30, 0.0)
SCORING = ScoreParams("squad")


def reader() -> BertForQuestionAnswering:
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "initializer_range": 1.0,
    }  # fmt: skip
    return BertForQuestionAnswering(BertConfig(vocab_size=len(tiny.wordpiece()), **sizes)).eval()


def questions() -> list[Example]:
    return [
        Example(f"q{row}-{place}", f"Article {row}", text, question,
                (Answer(answer, text.index(answer)),))
        for row, text in enumerate(tiny.TEXTS)
        for place, (question, answer) in enumerate(tiny.QUESTIONS[row])
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The questions, the reader's tokenizer and its answers."""
    folder = tmp_path_factory.mktemp("perturb")
    tokenizer = tiny.wordpiece()
    tokenizer.save_pretrained(folder / "model")
    write_examples(folder / "test.jsonl", questions())
    features, logits = folder / "features", folder / "logits"
    tokenize(folder, features, folder / "w.json", tokenizer=tokenizer, params=LENGTHS,
             scoring=SCORING, squad_v2=False)  # fmt: skip
    predict(features, reader(), logits, PREDICTION)
    postprocess(folder, features, logits, folder / "predictions", READING, squad_v2=False)
    return folder


def run(folder: Path, out: Path, questions: int = 9, *, load: Any = reader, **changes: Any) -> str:
    how = Answering(load, folder / "model", LENGTHS, PREDICTION, READING, SCORING, squad_v2=False)
    return stage.perturb(
        folder, changes.get("predictions", folder / "predictions"),
        out / "m.json", out / "t.csv", out / "questions",
        stage.PerturbParams(questions, seed=1), answering=how,
    )  # fmt: skip


def metrics(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "m.json").read_text())["qa"]
    return values


def test_answers_before_and_after_are_compared_by_kind(folder: Path, tmp_path: Path) -> None:
    said = run(folder, tmp_path)
    rows = [*read_json_lines(tmp_path / "questions" / "questions.jsonl")]
    assert said.startswith(f"{len(rows)} perturbed questions of 10; fewest answers stay the same ")
    assert metrics(tmp_path)["perturbed"] == [{"passages": 5, "questions": 10, "seed": 1}]
    figures = {(f["perturbation"], f["reader"]): f for f in metrics(tmp_path)["perturbations"]}
    assert {reader for _, reader in figures} == {"model", "first candidate"}
    for kind in ("upper case", "lower case", "mixed case", "leading blanks"):
        found = figures[kind, "model"]  # its tokenizer sees no difference
        assert (found["questions"], found["unchanged"], found["f1_drop"]) == (10, 100.0, 0.0)
    for (kind, reader_), found in figures.items():
        mine = [row for row in rows if row["kind"] == kind]
        assert found["questions"] == len(mine)
        assert found["unchanged_low"] is None or found["unchanged_low"] <= found["unchanged"]
        if kind == "negated question":
            assert found["f1_drop"] is found["f1_after"] is None
        else:
            drop = found["f1_before"] - found["f1_after"]
            assert found["f1_drop"] == pytest.approx(drop)
        if reader_ == "model":
            same = sum(row["unchanged"] for row in mine)
            assert found["unchanged"] == pytest.approx(100 * same / len(mine))
    changed = [row["kind"] for row in rows if not row["unchanged"]]
    assert {"distractor", "joined passages", "moved paragraph", "negated question"} & set(changed)
    assert all(("context" in row) == (row["kind"] in OF_PASSAGE) for row in rows)
    upper = next(row for row in rows if row["kind"] == "upper case")
    assert upper["after"] == upper["before"].upper() != upper["before"]
    table = (tmp_path / "t.csv").read_text().splitlines()
    assert table[0].startswith("perturbation,questions,unchanged,unchanged_low,")
    assert [line.split(",")[0] for line in table[1:3]] == [
        "upper case", "upper case (first candidate)",
    ]  # fmt: skip
    assert not (tmp_path / "questions" / "work").exists()


OF_PASSAGE = {
    *("upper case", "lower case", "mixed case", "leading blanks", "passage typos"),
    *("distractor", "moved paragraph", "joined passages"),
}


def test_it_writes_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        run(folder, out, 2)
    for name in ("m.json", "t.csv", "questions/questions.jsonl"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


def test_without_questions_no_model_is_loaded_and_all_is_empty(
    folder: Path, tmp_path: Path
) -> None:
    said = run(folder, tmp_path, 0, load=partial(pytest.fail, "the model is loaded"))
    assert said == "no question is perturbed: qa.perturb.questions is 0, or no kind applies"
    assert metrics(tmp_path) == {
        "perturbations": [],
        "perturbed": [{"passages": 0, "questions": 0, "seed": 1}],
    }
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1
    assert (tmp_path / "questions/questions.jsonl").read_bytes() == b""


def test_whole_passages_are_drawn_in_the_order_of_the_split() -> None:
    asked = questions()
    drawn = {n: stage.drawn_questions(asked, stage.PerturbParams(n, 1)) for n in (0, 1, 3, 99)}
    assert [len(each) for each in drawn.values()] == [0, 2, 4, 12]
    assert drawn[99] == asked
    assert set(drawn[1]) < set(drawn[3])
    assert drawn[3] == [each for each in asked if each in drawn[3]]
    seeds = {tuple(stage.drawn_questions(asked, stage.PerturbParams(1, n))) for n in range(9)}
    assert len(seeds) > 1


def test_a_perturbation_does_not_depend_on_the_other_questions() -> None:
    asked = questions()
    alone = {(p.kind.name, p.after) for p in stage.perturbed(asked[2:3], asked, 1)}
    assert alone < {(p.kind.name, p.after) for p in stage.perturbed(asked, asked, 1)}


def test_answers_to_other_questions_are_refused_before_the_model_is_loaded(
    folder: Path, tmp_path: Path
) -> None:
    write_json(tmp_path / "predictions.json", {"q0-0": "Ada Berg"})
    load = partial(pytest.fail, "the model is loaded")
    with pytest.raises(RetuneError, match=r"questions without a prediction: .*q1-0.*; run the"):
        run(folder, tmp_path / "out", 99, load=load, predictions=tmp_path)
    assert not (tmp_path / "out" / "questions").exists()
