"""Distillation: a teacher answers questions, and a student learns its answers instead of labels."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from training_runs import outputs, run, write_features

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines, sha256, write_json_lines
from retune.core.manifests import seal
from retune.models.pretrained_files import WEIGHTS, load_tokenizer
from retune.tasks.qa.models import bert
from retune.tasks.qa.postprocess.postprocess import N_BEST, PostprocessParams
from retune.tasks.qa.predict.batches import Collator, span_logits
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.questions.examples import Answer, read_examples, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.teach.teach import TeacherParams, teach
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.qa.train.distillation import (
    DistillationParams,
    Spans,
    TaughtRows,
    distillation_loss,
    probabilities,
    read_spans,
)
from retune.tasks.qa.train.evaluation import answer_counts, batch_loss
from retune.tasks.qa.train.train import collated
from retune.tasks.qa.windows.features import read_rows

LENGTHS = TokenizeParams(
    max_length=128, doc_stride=8, max_question_length=16, windows="all", max_lost_answers=0.0,
    max_unknown_tokens=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherParams:
    """A reader that knows all questions; its encoder has another tokenizer than the student's."""
    folder = tmp_path_factory.mktemp("teacher")
    features = write_features(folder / "data", family="roberta")
    tiny.write_checkpoint(features / "encoder", "roberta", initializer_range=0.2)
    run(features, folder, dropout=0.0, epochs=30, lr=1e-2, log_every=10)
    return TeacherParams(str(folder / "model"), sha256(folder / "model" / WEIGHTS))


def taught_by(teacher: TeacherParams | None, data: Path, folder: Path, **changes: Any) -> str:
    said = teach(
        data / "raw", folder / "taught", folder / "teacher.json", teacher,
        variant="bert", lengths=LENGTHS, prediction=PredictParams(4, "fp32"),
        reading=PostprocessParams(n_best=5, max_answer_length=10, null_threshold=0.0),
        scoring=ScoreParams("squad"), squad_v2=False, **changes,
    )  # fmt: skip
    seal(folder / "taught", {})
    return said


@pytest.fixture(scope="module")
def taught(data: Path, teacher: TeacherParams, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    taught_by(teacher, data, folder)
    return folder


def test_the_teacher_s_answers_and_their_agreement_with_the_labels(
    taught: Path, data: Path
) -> None:
    assert [path.name for path in sorted((taught / "taught").iterdir())] == [
        "manifest.json", N_BEST,
    ]  # fmt: skip
    figures = read_json(taught / "teacher.json")["pretraining"]
    assert figures == {"taught": 8, "teacher_exact_match": 100.0, "teacher_f1": 100.0}
    ids = [line["id"] for line in read_json_lines(taught / "taught" / N_BEST)]
    assert ids == [example.id for example in read_examples(data / "raw/train.jsonl")]


WINDOW = {
    "length": 7, "cls": 0, "context_start": 2, "context_end": 6,
    "char_start": np.array([0, 0, 10, 14, 18, 25, 0]),
    "char_end": np.array([0, 0, 13, 17, 24, 30, 0]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "start", "end"),
    [
        ([(10, 13, 1.0)], {2: 1.0}, {2: 1.0}),
        ([(14, 24, 0.75), (14, 17, 0.25)], {3: 1.0}, {4: 0.75, 3: 0.25}),
        ([(15, 20, 1.0)], {3: 1.0}, {4: 1.0}),  # inside of tokens: another tokenizer's
        ([(13, 17, 1.0)], {3: 1.0}, {3: 1.0}),  # the blank in front of a token
        ([(0, 13, 0.5), (18, 24, 0.25)], {4: 0.25, 0: 0.75}, {4: 0.25, 0: 0.75}),  # outside
        ([(25, 31, 1.0)], {0: 1.0}, {0: 1.0}),
        ([], {0: 1.0}, {0: 1.0}),
    ],
)
def test_spans_of_characters_become_tokens_of_a_window(
    spans: list[tuple[int, int, float]], start: dict[int, float], end: dict[int, float]
) -> None:
    columns = [np.array(column) for column in zip(*spans, strict=True)] or [np.zeros(0, int)] * 3
    found = probabilities(WINDOW, Spans(*columns))
    assert {n: p for n, p in enumerate(found[:, 0]) if p} == pytest.approx(start)
    assert {n: p for n, p in enumerate(found[:, 1]) if p} == pytest.approx(end)


def test_a_temperature_softens_the_list(data: Path, tmp_path: Path) -> None:
    candidates = [
        {"start": 0, "end": 3, "start_logit": 3.0, "end_logit": 1.0, "text": "", "probability": 1},
        {"start": 4, "end": 7, "start_logit": 1.0, "end_logit": 1.0, "text": "", "probability": 0},
        {"start": None, "end": None, "start_logit": None, "end_logit": None, "text": ""},
    ]
    ids = [example.id for example in read_examples(data / "raw/train.jsonl")]
    lines = [{"id": id_, "candidates": candidates, "null_score": 2.0} for id_ in ids]
    write_json_lines(tmp_path / N_BEST, lines)
    for temperature in (1.0, 2.0):
        spans = read_spans(tmp_path, data / "raw", temperature)
        assert spans is not None
        weights = np.exp(np.array([4.0, 2.0, 2.0]) / temperature)
        expected = (weights / weights.sum())[:2]
        assert spans[3].probability == pytest.approx(expected)
        assert spans[3].start.tolist() == [0, 4]


def certain(data: Path) -> list[Spans]:
    """Lists whose only span is the label."""
    labels = [example.answers[0] for example in read_examples(data / "raw/train.jsonl")]
    return [Spans(np.array([a.start]), np.array([a.end]), np.array([1.0])) for a in labels]


@pytest.mark.parametrize("family", ["bert", "distilbert"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_certain_teacher_who_agrees_gives_the_loss_of_the_labels(
    data: Path, family: str, packed: bool, tmp_path: Path
) -> None:
    tiny.write_checkpoint(tmp_path / "encoder", family)
    model = bert.build(bert.Params(0.0), tmp_path / "encoder", 0, 0).eval()
    collator = Collator.for_model(model, load_tokenizer(tmp_path / "encoder"), "fp32")
    if not packed:
        collator = Collator(0, pad_left=True, token_types=collator.token_types)
        model.set_attn_implementation("sdpa")
    rows = TaughtRows(read_rows(data / "features/train.arrow"), certain(data))
    windows = [rows[place] for place in range(5)]
    whole = collated(collator, None, windows, 0)
    with torch.inference_mode():
        start, end = span_logits(model, whole)
        loss = distillation_loss(start, end, whole, 1.0)
        assert loss.item() == pytest.approx(batch_loss(start, end, whole).item(), rel=1e-5)
        joint = answer_counts(whole)
        cuts = ((0, 2), (2, 5), (0, 0))
        parts = [collated(collator, None, windows[low:high], 0) for low, high in cuts]
        losses = [distillation_loss(*span_logits(model, p), p, 2.0, joint) for p in parts]
        joined_loss = distillation_loss(start, end, whole, 2.0)
    assert sum(losses).item() == pytest.approx(joined_loss.item(), rel=1e-5)


DISTILLATION = DistillationParams(weight=1.0, temperature=2.0)


def relabelled(data: Path, folder: Path) -> Path:
    """The same questions, with the first word of each text as the label of train."""
    features = write_features(folder)
    examples = [
        replace(e, answers=(Answer(e.context.split()[0], 0),))
        for e in read_examples(data / "raw/train.jsonl")
    ]
    write_examples(folder / "only/train.jsonl", examples)
    tokenize(
        folder / "only", folder / "wrong", folder / "windows.json",
        tokenizer=load_tokenizer(data / "encoder"), params=LENGTHS,
        scoring=ScoreParams("squad"), squad_v2=False,
    )  # fmt: skip
    shutil.copy(folder / "wrong/train.arrow", features / "features")
    seal(features / "features", {"inputs": {}, "params": {}})
    return features


def test_a_student_learns_what_the_teacher_knows_whatever_the_labels(
    data: Path, taught: Path, tmp_path: Path
) -> None:
    """With weight 1 other labels change no byte, and the student learns the right answers."""
    learned = {}
    for name, features in (("right", data), ("wrong", relabelled(data, tmp_path / "wrong"))):
        tiny.write_checkpoint(features / "encoder", initializer_range=0.2)
        out = run(
            features, tmp_path / f"{name}-out", dropout=0.0, epochs=30, lr=1e-2, log_every=10,
            keep="last", distillation=DISTILLATION, taught=taught / "taught",
        )  # fmt: skip
        learned[name] = sha256(out / "model" / WEIGHTS)
        assert pd.read_csv(out / "curves/validation.csv")["f1"].iloc[-1] == 100
    assert learned["right"] == learned["wrong"]
    labels = run(
        tmp_path / "wrong", tmp_path / "labels", dropout=0.0, epochs=3, lr=1e-2, keep="last"
    )
    assert pd.read_csv(labels / "curves/validation.csv")["f1"].iloc[-1] < 50


def test_without_a_teacher_the_labels_teach(data: Path, tmp_path: Path) -> None:
    assert taught_by(None, data, tmp_path) == "no teacher"
    assert read_json(tmp_path / "teacher.json")["pretraining"]["teacher_f1"] is None
    empty = run(
        data, tmp_path / "empty", epochs=1, distillation=DISTILLATION, taught=tmp_path / "taught"
    )
    assert outputs(empty) == outputs(run(data, tmp_path / "none", epochs=1))


def test_a_teacher_that_is_not_there_or_another_one(
    data: Path, teacher: TeacherParams, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=r"pretraining\.teacher\.path: .*raw has no model\.safet"):
        taught_by(replace(teacher, path=str(data / "raw")), data, tmp_path)
    with pytest.raises(RetuneError, match=r"pretraining\.teacher\.sha256 is 0{64}, but .* has"):
        taught_by(replace(teacher, sha256="0" * 64), data, tmp_path)


def test_lists_of_other_questions(data: Path, taught: Path, tmp_path: Path) -> None:
    lines = [*read_json_lines(taught / "taught" / N_BEST)][1:]
    write_json_lines(tmp_path / N_BEST, lines)
    with pytest.raises(
        RetuneError, match=r"no answers to question 0-0 and 0 more of .*run the teach"
    ):
        read_spans(tmp_path, data / "raw", 1.0)


@pytest.mark.parametrize(
    ("distillation", "is_taught", "message"),
    [
        (DISTILLATION, False, r"qa\.train\.distillation is set, but no teacher's answers"),
        (None, True, r"may have a teacher's answers, but qa\.train\.distillation is null"),
    ],
)
def test_settings_and_answers_go_together(
    data: Path, taught: Path, tmp_path: Path, distillation: Any, is_taught: bool, message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        run(data, tmp_path, distillation=distillation, taught=taught if is_taught else None)
