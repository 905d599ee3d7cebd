"""Stage `teach`: the n-best answers of a trained reader to the training questions.

The questions may have been made by rules, so that their labels are doubtful; the teacher's answers
are often better. An n-best list has characters, so teacher and student may have different
tokenizers. The student learns from the lists in the stage `train`.
"""

import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, read_json, write_json
from retune.core.params import STRICT
from retune.core.plain_files import home_expanded, sha256
from retune.models.pretrained_files import WEIGHTS
from retune.processes.share import Share
from retune.tasks.qa.answer.answer import Answering, answer
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.score.score import evaluate_answers

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


def teach(raw: Path, taught: Path, metrics: Path, answering: Answering) -> str:
    """Answer the train questions of `raw` by a teacher; write its n-best lists to `taught`.

    `metrics` says how far its answers agree with the labels. Several processes compute the logits
    together; the first one does the rest.
    """
    examples = list(read_examples(raw / f"{SPLIT}.jsonl"))
    with answering.share.output(taught) as folder:
        folder.mkdir()
        work = folder / "work"
        predictions = answer(examples, work, answering)
        if not answering.share.is_first:
            return ""
        texts = read_json(predictions / "predictions.json")
        (predictions / N_BEST).rename(folder / N_BEST)
        shutil.rmtree(work)
    golds = [(e.id, [a.text for a in e.answers]) for e in examples]
    normalizer = answering.scoring.normalizer
    scores = evaluate_answers(golds, texts, squad_v2=answering.squad_v2, normalizer=normalizer)
    _write(metrics, len(golds), scores.exact_match, scores.f1)
    return f"{len(golds):,} questions; the answers agree with the labels by F1 {scores.f1:.2f}"


def verify_teacher(teacher: TeacherParams) -> Path:
    """Return the folder of the teacher.

    Raises:
        RetuneError: it has no weights, or not the pinned ones.
    """
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


def write_without_teacher(taught: Path, metrics: Path, share: Share) -> str:
    """Write an empty folder and empty figures."""
    if share.is_first:
        with atomic_path(taught) as folder:
            folder.mkdir()
        _write(metrics, 0, None, None)
    return "no teacher"


def _write(metrics: Path, questions: int, exact_match: float | None, f1: float | None) -> None:
    figures = {"taught": questions, "teacher_exact_match": exact_match, "teacher_f1": f1}
    write_json(metrics, {"pretraining": figures})
