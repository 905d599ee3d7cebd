"""`retune verify --from FOLDER`: check a published folder, and answer its test questions again."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    read_record,
)
from retune.inference.settings import TrainedModel, read_settings
from retune.models.precision import resolved_precision
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tools.compare.predictions import read_gold, score_answers
from retune.tools.publish.card import QUESTIONS
from retune.tools.publish.published_run import means_of
from retune.training.arguments import environment

#: The test questions of a run.
DATA = Path("data/qa/test/test.jsonl")
#: Points that EM and F1 may differ by in another environment than the recorded one.
TOLERANCE = 0.5
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
    record = read_record(folder)
    checks = [_files(folder, record), _numbers(folder, record)]
    read_published(folder)
    checks += _answers(folder, record, arguments.data or DATA)
    differs = any(check.verdict == "differs" for check in checks)
    if arguments.json:
        content = {"checks": [asdict(check) for check in checks], "exit_code": int(differs)}
        print(escaped_json(json.dumps(content, indent=2)))
    else:
        rows = [(check.what, check.verdict, check.detail) for check in checks]
        print_table(("what", "verdict", "about"), (), rows)
        end = "differs from what was published" if differs else "is what was published"
        print_wrapped(f"{folder} {end}; its run is at commit {record.run['commit'][:12]}")
    return int(differs)


def _files(folder: Path, record: Published) -> Check:
    changed = changed_files(folder, record)
    if changed:
        return Check("files", "differs", f"changed or missing: {listed(changed)}")
    return Check("files", "same", f"{len(record.files)} files have the recorded SHA-256")


def _numbers(folder: Path, record: Published) -> Check:
    """Compare each number of the card with the file in the folder that it comes from."""
    path = folder / _CARD
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    wrong = [
        claim.name
        for claim in record.claims
        if claim.text not in card or abs(_value(folder, claim) - claim.value) > _TINY
    ]
    if wrong:
        return Check("model card", "differs", f"not as in its source: {listed(wrong)}")
    return Check("model card", "same", f"{len(record.claims)} numbers are those of their sources")


def _value(folder: Path, claim: Claim) -> float:
    """Return the number at the source of a claim.

    Raises:
        RetuneError: there is none.
    """
    file, _, place = claim.source.partition("#")
    try:
        if file == QUESTIONS:
            return _of_questions([*read_question_scores(folder / file)], place)
        value: Any = read_json(folder / file)
        for key in place.split("/"):
            value = value[int(key)] if isinstance(value, list) else value[key]
        return float(value)
    except (LookupError, TypeError, ValueError):
        raise RetuneError(
            f"{folder / NAME}: the claim {excerpt(claim.name)} has no source "
            f"{excerpt(claim.source)}"
        ) from None


def _of_questions(questions: list[QuestionScore], place: str) -> float:
    if place == "questions":
        return float(len(questions))
    if place == "passages":
        return float(len({question.passage for question in questions}))
    name, _, end = place.partition("/")
    return float(getattr(means_of(questions)[name], end))


def _answers(folder: Path, record: Published, data: Path) -> Iterator[Check]:
    """Answer the test questions by the published model and settings, and compare."""
    published = {question.id: question for question in read_question_scores(folder / QUESTIONS)}
    squad_v2 = record.params["qa.squad_v2"] is True
    examples = _questions(published, data, squad_v2=squad_v2)
    params = Params(folder / PARAMS)
    settings = read_settings(params)
    trained = TrainedModel(folder, str(record.params["qa.model"]), squad_v2)
    answers = {
        example.id: answer.text
        for example, answer in zip(
            examples, AnsweringModel(trained, settings).ranked(examples), strict=True
        )
    }
    found = score_answers(
        answers, examples, squad_v2=squad_v2, normalizer=str(params.value("qa.score.normalizer"))
    )
    others = [id_ for id_, answer in answers.items() if answer != published[id_].answer]
    here = environment(resolved_precision(settings.predict.precision), 1)
    rule = "this is the recorded environment"
    if here != record.environment:
        rule = f"another environment than the recorded one, so {TOLERANCE:g} points are allowed"
    equal = len(answers) - len(others)
    yield Check(
        "answers",
        "same" if not others else _verdict(here == record.environment, 0.0),
        f"{equal:,} of {len(answers):,} are equal; {rule}",
    )
    before, after = means_of([*published.values()]), means_of([*found.questions])
    for name, heading in (("exact_match", "EM"), ("f1", "F1")):
        one, other = before[name].value, after[name].value
        verdict = (
            "same"
            if abs(one - other) < _TINY
            else _verdict(here == record.environment, abs(one - other))
        )
        yield Check(heading, verdict, f"{other:.2f}, published {one:.2f}")


def _verdict(is_recorded: bool, difference: float) -> str:
    """Return the verdict on results that are not equal."""
    return "differs" if is_recorded or difference > TOLERANCE else "within tolerance"


def _questions(
    published: Mapping[str, QuestionScore], data: Path, *, squad_v2: bool
) -> list[Example]:
    """Read the published questions with their passages, in their order.

    Raises:
        RetuneError: the data lacks some of them, or has others under their ids.
    """
    if not data.exists():
        raise RetuneError(
            f"{data}: no such file; the test questions are not in the folder. `dvc repro download` "
            "in the project writes them, or name the file with --data"
        )
    here = {example.id: example for example in read_gold(data, squad_v2=squad_v2)}
    absent = [
        id_
        for id_, question in published.items()
        if id_ not in here or here[id_].question != question.question
    ]
    if absent:
        raise RetuneError(
            f"{data}: lacks {len(absent):,} of {len(published):,} published test questions: "
            f"{listed(absent)}; check out the commit of the run, and run `dvc repro download`"
        )
    return [here[id_] for id_ in published]
