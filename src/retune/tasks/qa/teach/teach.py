"""Stage `teach`: the n-best answers of a trained reader to the training questions.

The questions may have been made by rules, so that their labels are doubtful; the teacher's answers
are often better. An n-best list has characters, so teacher and student may have different
tokenizers. The student learns from the lists in the stage `train`.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, read_json, write_json
from retune.core.params import STRICT
from retune.core.plain_files import home_expanded, sha256
from retune.models.pretrained_files import WEIGHTS
from retune.processes.share import ALONE, Share
from retune.tasks.qa.answer.answer import Answering, answer
from retune.tasks.qa.postprocess.postprocess import N_BEST, PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.score.score import ScoreParams, evaluate_answers
from retune.tasks.qa.tokenize.tokenize import TokenizeParams

SPLIT = "train"
_SECTION = "pretraining.teacher"


@dataclass(frozen=True, config=STRICT)
class TeacherParams:
    """Section `pretraining.teacher`.

    Attributes:
        path: folder of a trained model, with its tokenizer.
        sha256: of its model.safetensors.
    """

    path: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def teach(
    raw: Path,
    taught: Path,
    metrics: Path,
    teacher: TeacherParams | None,
    *,
    variant: str,
    lengths: TokenizeParams,
    prediction: PredictParams,
    reading: PostprocessParams,
    scoring: ScoreParams,
    squad_v2: bool,
    share: Share = ALONE,
) -> str:
    """Answer the train questions of `raw` by a teacher; write its n-best lists to `taught`.

    `variant` is the module of `retune.tasks.qa.models` that reads its folder. `metrics` says how
    far its answers agree with the labels. Without a teacher the folder is empty.
    Several processes compute the logits together; the first one does the rest.

    Raises:
        RetuneError: the teacher has no weights, or not the pinned ones.
    """
    if teacher is None:
        return _write_without_teacher(taught, metrics, share)
    model = _verified_folder(teacher)
    answering = Answering(
        load=partial(load, variant, model), model=model, lengths=lengths, prediction=prediction,
        reading=reading, scoring=scoring, squad_v2=squad_v2, share=share,
    )  # fmt: skip
    examples = list(read_examples(raw / f"{SPLIT}.jsonl"))
    with share.output(taught) as folder:
        folder.mkdir()
        work = folder / "work"
        predictions = answer(examples, work, answering)
        if not share.is_first:
            return ""
        texts = read_json(predictions / "predictions.json")
        (predictions / N_BEST).rename(folder / N_BEST)
        shutil.rmtree(work)
    golds = [(e.id, [a.text for a in e.answers]) for e in examples]
    scores = evaluate_answers(golds, texts, squad_v2=squad_v2, normalizer=scoring.normalizer)
    _write(metrics, len(golds), scores.exact_match, scores.f1)
    return f"{len(golds):,} questions; the answers agree with the labels by F1 {scores.f1:.2f}"


def _verified_folder(teacher: TeacherParams) -> Path:
    """Return the folder of the teacher, whose weights are the pinned ones."""
    folder = home_expanded(Path(teacher.path))
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise RetuneError(
            f"{_SECTION}.path: {folder} has no {WEIGHTS}; name the folder of a trained model, "
            "such as data/qa/model of the main pipeline"
        )
    if (found := sha256(weights)) != teacher.sha256:
        raise RetuneError(
            f"{_SECTION}.sha256 is {teacher.sha256}, but {weights} has {found}; set it to this, if "
            "this is the teacher"
        )
    return folder


def _write_without_teacher(taught: Path, metrics: Path, share: Share) -> str:
    if share.is_first:
        with atomic_path(taught) as folder:
            folder.mkdir()
        _write(metrics, 0, None, None)
    return "no teacher"


def _write(metrics: Path, questions: int, exact_match: float | None, f1: float | None) -> None:
    figures = {"taught": questions, "teacher_exact_match": exact_match, "teacher_f1": f1}
    write_json(metrics, {"pretraining": figures})
