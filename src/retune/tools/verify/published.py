"""`retune verify --from FOLDER`: check a published folder, and answer its test questions again."""

import json
import math
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import read_json
from retune.core.params import Params
from retune.core.terminal_text import escaped_json
from retune.inference.answering import AnsweringModel
from retune.inference.published import (
    NAME,
    PARAMS,
    Claim,
    Published,
    changed_files,
    is_published,
    read_published,
)
from retune.inference.settings import TrainedModel, read_settings
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tasks.qa.score.score import ScoreParams
from retune.tools.compare.predictions import read_gold, score_answers
from retune.tools.publish.card import QUESTIONS
from retune.tools.publish.published_run import means_of, percent_of
from retune.training.arguments import environment

_TEST = "test.jsonl"
_PRECISIONS = {"fp32", "bf16", "fp16"}
_TINY = 1e-9  # of sums in another order
_CARD = "README.md"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        what: that was checked.
        verdict: `same`, `within tolerance` or `differs`.
        detail: what was found.
    """

    what: str
    verdict: str
    detail: str


def run(arguments: Namespace) -> int:
    """Print the checks; return 0 if nothing differs, otherwise 1.

    Raises:
        RetuneError: the folder is damaged, or the test questions are not here.
    """
    folder: Path = arguments.from_
    if not is_published(folder):
        raise RetuneError(f"{folder}: has no {NAME}, so `retune publish` did not write it")
    record = read_published(folder)
    data = arguments.data or Path(record.run.pipeline, record.run.test, _TEST)
    published = [*read_question_scores(folder / QUESTIONS)]
    checks = [_files(folder, record), _card(folder, record, published)]
    checks += _answers(folder, record, published, data)
    differs = any(check.verdict == "differs" for check in checks)
    if arguments.json:
        content = {"checks": [asdict(check) for check in checks], "exit_code": int(differs)}
        print(escaped_json(json.dumps(content, indent=2)))
    else:
        rows = [(check.what, check.verdict, check.detail) for check in checks]
        print_table(("what", "verdict", "about"), (), rows)
        end = "differs from what was published" if differs else "is what was published"
        print_wrapped(f"{folder} {end}; its run is at commit {record.run.commit[:12]}")
    return int(differs)


def _files(folder: Path, record: Published) -> Check:
    changed = changed_files(folder, record)
    if changed:
        return Check("files", "differs", f"changed or missing: {listed(changed)}")
    return Check("files", "same", f"{len(record.files)} files have the recorded SHA-256")


def _card(folder: Path, record: Published, questions: list[QuestionScore]) -> Check:
    """Compare each number of the card, and the metadata, with the scores and metrics files."""
    path = folder / _CARD
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    numbers = _of_questions(questions)
    wrong = [
        claim.name
        for claim in record.claims
        if not _is_stated(claim, card, _value(folder, claim, numbers))
    ]
    wrong += [
        f"{name} in the metadata"
        for name, value in _metadata(path).items()
        if abs(value - numbers.get(f"{name}/value", math.inf)) > _TINY
    ]
    if wrong:
        return Check("model card", "differs", f"not as in its source: {listed(wrong)}")
    return Check("model card", "same", f"{len(record.claims)} numbers are those of their sources")


def _is_stated(claim: Claim, card: str, value: float) -> bool:
    """Whether the card states a claim, and its source has the number."""
    shown = int(value) if claim.form == ",d" else value
    is_right = format(shown, claim.form) == claim.text and abs(value - claim.value) < _TINY
    return is_right and re.search(rf"(?<![\d.,]){re.escape(claim.text)}(?![\d])", card) is not None


def _metadata(card: Path) -> dict[str, float]:
    """Return the scores in the YAML at the top of a card, by name."""
    from huggingface_hub import ModelCard

    try:
        results = ModelCard.load(card).data.eval_results or []
    except (OSError, ValueError, yaml.YAMLError):
        return dict.fromkeys(("exact_match", "f1"), math.nan)
    return {result.metric_type: float(result.metric_value) for result in results}


def _value(folder: Path, claim: Claim, numbers: Mapping[str, float]) -> float:
    """Return the number at the source of a claim.

    Raises:
        RetuneError: there is none.
    """
    file, _, place = claim.source.partition("#")
    try:
        if file == QUESTIONS:
            return numbers[place]
        value: Any = read_json(folder / file)
        for key in place.split("/"):
            value = value[int(key)] if isinstance(value, list) else value[key]
        return float(value)
    except (LookupError, TypeError, ValueError):
        raise RetuneError(
            f"{folder / NAME}: the claim {excerpt(claim.name)} has no source "
            f"{excerpt(claim.source)}; get the folder again"
        ) from None


def _of_questions(questions: list[QuestionScore]) -> dict[str, float]:
    """Return the numbers that the questions' scores give, by their place in claims."""
    passages = {question.passage for question in questions}
    found = {"questions": float(len(questions)), "passages": float(len(passages))}
    for name, mean in means_of(questions).items():
        ends = {"value": mean.value, "low": mean.low, "high": mean.high}
        found |= {f"{name}/{end}": value for end, value in ends.items() if value is not None}
    return found


def _answers(
    folder: Path, record: Published, questions: list[QuestionScore], data: Path
) -> Iterator[Check]:
    """Answer the test questions by the published model and settings, and compare."""
    examples = _questions(questions, data)
    params = Params(folder / PARAMS)
    settings = read_settings(params)
    with params:
        scoring = params.section("qa.score", ScoreParams)
    trained = TrainedModel(folder, record.variant, record.squad_v2)
    ranked = AnsweringModel(trained, settings).ranked(examples)
    answers = {example.id: answer.text for example, answer in zip(examples, ranked, strict=True)}
    found = score_answers(
        answers, examples, squad_v2=record.squad_v2, normalizer=scoring.normalizer
    )
    here = environment("fp32", 1)
    is_recorded = _machine(here) == _machine(record.environment)
    others = sum(answers[question.id] != question.answer for question in questions)
    few, points = allowed(len(questions))
    rule = "the processor and libraries are the recorded ones"
    if not is_recorded:
        rule = f"another environment than the recorded one, so {few} may differ"
    yield Check(
        "answers",
        _verdict(others, 0 if is_recorded else few),
        f"{len(questions) - others:,} of {len(questions):,} are equal; {rule}",
    )
    before, after = percent_of(questions), percent_of(found.questions)
    for name, heading in (("exact_match", "EM"), ("f1", "F1")):
        one, other = before[name].mean(), after[name].mean()
        verdict = _verdict(abs(one - other), _TINY if is_recorded else points)
        yield Check(heading, verdict, f"{other:.2f}, published {one:.2f}")


def allowed(questions: int) -> tuple[int, float]:
    """Return how many answers, and how many points of EM and F1, may differ elsewhere.

    Another processor rounds differently, which changes the answers to a few close calls.
    """
    return max(1, questions // 50), max(0.5, 100 / questions)


def _machine(words: Sequence[str]) -> list[str]:
    """Return processor, threads and libraries of an environment, in which bytes are equal."""
    return [word for word in words if word not in _PRECISIONS and "process" not in word]


def _verdict(difference: float, most: float) -> str:
    if difference <= _TINY:
        return "same"
    return "within tolerance" if difference <= most else "differs"


def _questions(published: list[QuestionScore], data: Path) -> list[Example]:
    """Read the published questions with their passages, in their order.

    Raises:
        RetuneError: the data lacks some of them, or has others under their ids.
    """
    if not data.exists():
        raise RetuneError(
            f"{data}: no such file; the passages of the test questions are not in {NAME}'s folder. "
            "`dvc repro download` in the project writes them, or name the file with --data"
        )
    here = {example.id: example for example in read_gold(data, squad_v2=True)}
    absent = [
        question.id
        for question in published
        if question.id not in here or here[question.id].question != question.question
    ]
    if absent:
        raise RetuneError(
            f"{data}: lacks {len(absent):,} of {len(published):,} published test questions: "
            f"{listed(absent)}; check out the commit of the run, and run `dvc repro download`"
        )
    return [here[question.id] for question in published]
