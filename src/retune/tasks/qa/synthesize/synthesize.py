"""Stage `synthesize`: make questions by rules from passages that have none.

The passages are the contexts of the train split, whether or not its questions are used, and plain
texts. A passage that shares text with a test or validation context is left out. What is random
depends only on the seed and the passage, so that more passages change no question.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_csv, write_json
from retune.core.params import STRICT, Fraction, Positive, Seed
from retune.core.user_files import file_inside, read_lines
from retune.ingest.subsample import draw
from retune.tasks.qa.analyse.answer_types import Form
from retune.tasks.qa.questions.examples import Answer, Example, read_examples, write_examples
from retune.tasks.qa.synthesize.clozes import KINDS, Made, clozes
from retune.tasks.qa.synthesize.passages import Passage, Withheld, cut

_SECTION = "pretraining.questions"
_FORMS: tuple[Form, ...] = ("date", "number", "name", "words")
_SHOWN = 40  # questions in the table that people read


@dataclass(frozen=True, config=STRICT)
class SynthesizeParams:
    """Section `pretraining.questions`.

    Attributes:
        folder: which DVC watches.
        files: plain texts in the folder, besides the contexts of the train split.
        passage_words: into passages of about so many words plain texts are cut.
        per_passage: most questions about a passage.
        most: questions in all, a sample; null: all.
        recurring: chance that a phrase that occurs in two sentences becomes a question whose
            sentence leaves the passage.
        left_out: chance that a function word of a sentence is not in its question.
        validation_share: of the passages, whose questions become the validation split.
        seed: of all that is random.
    """

    folder: str
    files: list[str]
    passage_words: Positive
    per_passage: Positive
    most: Positive | None
    recurring: Fraction
    left_out: Fraction
    validation_share: Fraction
    seed: Seed


def synthesize(
    raw: Path, test: Path, made: Path, metrics: Path, table: Path, params: SynthesizeParams
) -> str:
    """Write questions about passages to `made`, counts to `metrics`, and a sample to `table`.

    Args:
        raw: questions whose contexts are passages, and validation questions.
        test: test questions.
        made: gets `train.jsonl`, and `validation.jsonl` if there is a share for it.
        metrics: JSON.
        table: CSV.
        params: see there.

    Raises:
        RetuneError: a text cannot be read, or the rules find no question.
    """
    passages, left_out = _passages(raw, test, params)
    splits: dict[str, list[tuple[Example, Made]]] = {"train": [], "validation": []}
    for passage in passages:
        order = int.from_bytes(draw(params.seed, passage.text)[:8], "big")
        split = "validation" if order < params.validation_share * 2**64 else "train"
        splits[split] += _questions(passage, params)
    train = _sampled(splits["train"], params)
    if not train:
        raise RetuneError(
            f"{_SECTION}: the rules make no question from {len(passages):,} passages; add texts in "
            f"{_SECTION}.files, or set qa.download.train_limit: null"
        )
    with atomic_path(made) as folder:
        folder.mkdir()
        write_examples(folder / "train.jsonl", (example for example, _ in train))
        if splits["validation"]:
            path = folder / "validation.jsonl"
            write_examples(path, (example for example, _ in splits["validation"]))
    counts = _counts([question for _, question in train])
    figures = {
        "passages": len(passages), "left_out_passages": left_out, "questions": len(train),
        "validation_questions": len(splits["validation"]), "made": counts,
    }  # fmt: skip
    write_json(metrics, {"pretraining": figures})
    rows = [[m.kind, m.form, m.question, m.answer] for _, m in train[:_SHOWN]]
    write_csv(table, ["kind", "form", "question", "answer"], rows)
    lost = f", {left_out:,} left out for scored contexts" if left_out else ""
    return f"{len(train):,} questions from {len(passages):,} passages{lost}"


def _passages(raw: Path, test: Path, params: SynthesizeParams) -> tuple[list[Passage], int]:
    """Return the passages, each once, and how many were left out."""
    withheld = Withheld(
        example.context
        for path in (test / "test.jsonl", raw / "validation.jsonl")
        if path.is_file()
        for example in read_examples(path)
    )
    contexts = ((e.context, e.title) for e in read_examples(raw / "train.jsonl"))
    texts = dict(contexts) | dict(_from_files(params))
    kept = [Passage(*pair) for pair in texts.items() if not withheld.shares(pair[0])]
    return kept, len(texts) - len(kept)


def _from_files(params: SynthesizeParams) -> Iterator[tuple[str, str]]:
    for name in params.files:
        path = file_inside(Path(params.folder), name, _SECTION)
        text = "\n".join(read_lines(path, f"{_SECTION}.files names it"))
        if not text.strip():
            raise RetuneError(f"{path}: has no text; remove it from {_SECTION}.files")
        for passage in cut(text, params.passage_words):
            yield passage, name


def _questions(passage: Passage, params: SynthesizeParams) -> Iterator[tuple[Example, Made]]:
    number = draw(params.seed, passage.text).hex()
    chance = random.Random(number)
    made = clozes(passage.text, params.per_passage, params.recurring, params.left_out, chance)
    for place, question in enumerate(made):
        answer = Answer(question.answer, question.start)
        id_ = f"{number[:16]}-{place}"
        yield Example(id_, passage.title, question.context, question.question, (answer,)), question


def _sampled(
    questions: Sequence[tuple[Example, Made]], params: SynthesizeParams
) -> list[tuple[Example, Made]]:
    """Return the questions in a random order, at most as many as asked for."""
    return sorted(questions, key=lambda pair: draw(params.seed, pair[0].id))[: params.most]


def _counts(questions: Iterable[Made]) -> list[dict[str, Any]]:
    made = Counter((question.kind, question.form) for question in questions)
    return [
        {"kind": kind, "form": form, "questions": made[kind, form]}
        for kind in KINDS
        for form in _FORMS
    ]
