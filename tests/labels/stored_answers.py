"""Questions with labels and the stored logits of a reader that is often, but not always, right."""

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from random import Random

import numpy as np

from retune.core.files import write_json, write_json_lines
from retune.tasks.qa.labels.evidence import Labelled
from retune.tasks.qa.labels.likelihoods import Reading, Readings
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.windows.features import window_writer
from retune.tasks.qa.windows.windows import Features, Windows

FILLERS = ("the", "of", "in", "was", "a", "great", "and", "by", "from", "old", "small", "near")
SYLLABLES = ("ba", "ko", "li", "mu", "ne", "ra", "so", "ti", "va", "ze")
QUESTIONS = 4  # of each passage


def questions(passages: int, seed: int = 0) -> list[Example]:
    """Questions about names of one or two words, four on each passage; two passages an article."""
    generator = Random(seed)
    found = []
    for passage in range(passages):
        words, labels = [], []
        for number in range(QUESTIONS):
            words += generator.choices(FILLERS, k=6)
            name = [_name(generator) for _ in range(1 + number % 2)]
            labels.append((len(words), len(words) + len(name)))
            words += name
        words += generator.choices(FILLERS, k=6)
        context = " ".join(words)
        for number, (first, behind) in enumerate(labels):
            text = " ".join(words[first:behind])
            start = len(" ".join(words[:first])) + 1
            title = f"article {passage // 2}"
            found.append(
                Example(
                    f"p{passage}q{number}",
                    title,
                    context,
                    f"Who is {number}?",
                    (Answer(text, start),),
                )
            )
    return found


def _name(generator: Random) -> str:
    return "".join(generator.choices(SYLLABLES, k=3)).capitalize()


def windows_of(examples: Sequence[Example]) -> Windows:
    """One window for each question: CLS, and the words of its context."""
    words = [[match.span() for match in re.finditer(r"\S+", each.context)] for each in examples]
    lengths = np.array([len(each) + 1 for each in words], np.int32)
    chars = np.array([pair for each in words for pair in ((0, 0), *each)], np.int32)
    return Windows(
        example=np.arange(len(examples)),
        lengths=lengths,
        context_start=np.ones_like(lengths),
        context_end=lengths,
        cls=np.zeros_like(lengths),
        char_start=chars[:, 0],
        char_end=chars[:, 1],
    )


def logits_of(examples: Sequence[Example], windows: Windows, seed: int = 0) -> np.ndarray:
    """Logits of a reader that prefers names, and the right one among them in most questions."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (windows.tokens, 2)).astype(np.float32)
    for row, first in enumerate(windows.window_tokens()[:-1].tolist()):
        example = examples[row]
        for token in range(1, int(windows.lengths[row])):
            place = first + token
            start, end = int(windows.char_start[place]), int(windows.char_end[place])
            values[place] += 4 * example.context[start].isupper()
            values[place, 0] += 1.6 * (start == example.answers[0].start)
            values[place, 1] += 1.6 * (end == example.answers[0].end)
    return values


def labelled(examples: Sequence[Example], seed: int = 0) -> list[Labelled]:
    """The questions as a reader that has not seen them reads them."""
    windows = windows_of(examples)
    values, tokens = logits_of(examples, windows, seed), windows.window_tokens()
    found = []
    for row, example in enumerate(examples):
        own = slice(int(tokens[row]), int(tokens[row + 1]))
        chars = [*zip(windows.char_start[own][1:], windows.char_end[own][1:], strict=True)]
        readings = Readings([Reading(windows_of([example]), values[own])])
        spans = [(int(one[0]), int(two[1])) for one in chars for two in chars if one <= two]
        expected = max(spans, key=lambda span: readings.likelihood(span).total)
        place = example.spans[0]
        found.append(
            Labelled(
                row, example.id, example.title, example.context, example.question, place,
                expected, readings,
            )
        )  # fmt: skip
    return found


def write_run(data: Path, examples: Sequence[Example], seed: int = 0) -> None:
    """Write what the stages leave of these test questions into the data folder of a run."""
    windows = windows_of(examples)
    values = logits_of(examples, windows, seed)
    write_examples(_new(data / "test") / "test.jsonl", examples)
    ids, labels = np.zeros(windows.tokens, np.int32), np.zeros(len(windows), np.int32)
    columns = {field.name: getattr(windows, field.name) for field in fields(windows)}
    with window_writer(_new(data / "test_features") / "test.arrow") as writer:
        writer.write(
            Features(**columns, input_ids=ids, token_type_ids=ids, start_position=labels,
                     end_position=labels)
        )  # fmt: skip
    np.save(_new(data / "logits") / "logits.npy", values)
    write_json(data / "logits/windows.json", {"windows": len(windows), "tokens": windows.tokens})
    lines = [
        {
            "id": each.id,
            "null_score": 0.0,
            "candidates": [
                {"start": each.expected[0], "end": each.expected[1]},
                {"start": None, "end": None},  # the null answer
            ],
        }
        for each in labelled(examples, seed)
    ]
    write_json_lines(_new(data / "predictions") / "nbest.jsonl", lines)


def squad(examples: Sequence[Example]) -> str:
    """The questions as nested JSON."""
    articles: dict[str, dict[str, list[dict]]] = {}
    for each in examples:
        answers = [{"text": a.text, "answer_start": a.start} for a in each.answers]
        qa = {"id": each.id, "question": each.question, "answers": answers}
        articles.setdefault(each.title, {}).setdefault(each.context, []).append(qa)
    data = [
        {"title": title, "paragraphs": [{"context": c, "qas": qas} for c, qas in contexts.items()]}
        for title, contexts in articles.items()
    ]
    return json.dumps({"version": "1.1", "data": data})


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
