"""Questions made by rules: what they keep of their passages, and that no scored text is in them."""

import csv
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from training_runs import run

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.core.manifests import seal
from retune.ingest.dedup_key import dedup_key
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.models import bert
from retune.tasks.qa.questions.examples import Answer, Example, read_examples, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.synthesize.clozes import clozes
from retune.tasks.qa.synthesize.passages import SHARED_WORDS, cut
from retune.tasks.qa.synthesize.phrases import WORD, answer_phrases, phrases
from retune.tasks.qa.synthesize.synthesize import SynthesizeParams, synthesize
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize

HARBOUR = (
    "The harbour of Varna was founded by Greek sailors in 575 BC, who came from Miletus to trade. "
    "In the middle ages the sailors of Genoa bought grain there, and 3 warehouses were built. "
    "Today Varna has the largest harbour of the coast, with nearly 40 cranes for grain."
)
RIVER = (
    "The Ebro is the longest river that flows entirely in Spain, from the north to Catalonia. "
    "Its delta is a wetland where farmers of Catalonia grow rice, and birds rest in March 2020."
)
VALLEY = (
    "A railway crosses the valley on 12 bridges that engineers from Zurich planned before 1890. "
    "The engineers lived in the village of Bergun while the bridges were under construction."
)


ASKING = {"what", "which", "who", "when", "where", "why", "how"}


def test_phrases_have_the_forms_of_answers() -> None:
    found = {text[low:high]: form for text in (HARBOUR, RIVER) for low, high, form in phrases(text)}
    assert found.items() >= {
        ("Varna", "name"), ("Greek", "name"), ("Genoa", "name"), ("Catalonia", "name"),
        ("March 2020", "date"), ("40", "number"), ("3", "number"), ("575", "number"),
        ("grain", "words"), ("middle ages", "words"), ("largest harbour", "words"),
    }  # fmt: skip
    assert not {"The", "of", "In", "Its", "by"} & found.keys()


def test_answers_may_be_longer_and_are_no_single_verbs() -> None:
    text = (
        "In the 19th century the engine was built in Vienna and Philadelphia because of its power. "
        "It cost $400 after 3 long years, and ran smoothly by burning coal."
    )
    found = {text[low:high]: form for low, high, form in answer_phrases(text)}
    assert found.items() >= {
        ("19th century", "date"), ("Vienna and Philadelphia", "name"), ("its power", "words"),
        ("$400", "number"), ("3 long years", "number"), ("burning coal", "words"),
    }  # fmt: skip
    assert not {"built", "smoothly", "400", "19th", "3 long"} & found.keys()


@pytest.mark.parametrize(
    ("text", "expected", "never"),
    [
        ("They met in May 1921 and the US Army left Italy.",
         {("May 1921", "date"), ("US Army", "name"), ("Italy", "name")}, set()),
        ("A family of a hundred people saw the building, but not quickly, or driven.",
         {("family", "words"), ("building", "words")}, {"quickly", "driven"}),
        ("It sank because of the 4,000 florins, due to 3.5 tons of lead.", set(),
         {"of the 4", "the 4", "3", "of the 4,000 florins"}),
        ("Men left because the brilliant Dr. Smith came.", set(), {"the brilliant Dr"}),
        ("It was built by King Alfred of Wessex.", {("King Alfred of Wessex", "name")}, set()),
        ("It grew in the twenty-first century, and in the 5th century BC.",
         {("twenty-first century", "date"), ("5th century BC", "date")}, {"first century"}),
        ("In the 1870s and by 1880 the men paid $1500 in total, or $ 20 each.",
         {("1870s", "date"), ("1880", "date"), ("$1500", "number"), ("$ 20", "number")}, set()),
    ],
)  # fmt: skip
def test_phrases_of_difficult_texts(
    text: str, expected: set[tuple[str, str]], never: set[str]
) -> None:
    found = {text[low:high]: form for low, high, form in answer_phrases(text)}
    assert found.items() >= expected
    assert not never & found.keys()


def test_no_accent_is_cut_off() -> None:
    text = "\u0648\u0633\u0651\u0639 \u0645\u0631\u0628\u0639\u064b\u0627 \u0627\u0644"
    assert WORD.findall(text) == text.split()
    for low, high, _ in answer_phrases(text):
        assert text[low:high] == " ".join(text[low:high].split())
        assert not text[high : high + 1].strip()
        assert not text[max(0, low - 1) : low].strip()


def test_an_answer_elsewhere_is_a_whole_word_or_number() -> None:
    text = (
        "There are 8 doors of the European houses there today. Its door-post has 85.8% of iron, "
        "and 1,8 more are European-built of wood."
    )
    made = [m for s in range(80) for m in clozes(text, 6, 1.0, 0.0, random.Random(s))]
    assert {m.kind for m in made if m.answer in {"8", "European"}} == {"cloze"}


@given(seed=st.integers(0, 10_000), recurring=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_question_has_its_answer_at_its_place_and_not_in_its_text(
    seed: int, recurring: float
) -> None:
    made = [*clozes(HARBOUR, 6, recurring, 0.25, random.Random(seed))]
    assert made
    assert len({question.answer for question in made}) == len(made) <= 6
    for question in made:
        end = question.start + len(question.answer)
        assert question.context[question.start : end] == question.answer
        assert question.answer.lower() not in question.question.lower()
        assert question.question.endswith("?")
        assert {*question.question[:-1].split()} & ASKING
        if question.kind == "cloze":
            assert question.context == HARBOUR
        else:
            assert recurring > 0
            assert len(question.context) < len(HARBOUR)
            assert question.answer in HARBOUR.replace(question.context, "")


def test_the_sentence_of_a_recurring_question_has_left_the_passage() -> None:
    seeds = range(40)
    made = [m for s in seeds for m in clozes(HARBOUR, 6, 1.0, 0.0, random.Random(s))]
    varna = [m for m in made if m.answer == "Varna"]
    assert varna
    assert {m.kind for m in varna} == {"recurring"}
    for question in varna:
        assert ("575 BC" in question.question) == ("575 BC" not in question.context) or (
            "cranes" in question.question
        ) == ("cranes" not in question.context)


def test_words_are_left_out_at_the_rate_that_was_asked_for() -> None:
    def length(left_out: float) -> float:
        made = [
            len(m.question.split())
            for seed in range(200)
            for m in clozes(HARBOUR, 6, 0.0, left_out, random.Random(seed))
        ]
        return sum(made) / len(made)

    assert 0.55 < length(0.5) / length(0.0) < 0.85


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("One two three. Four five. Six.", 4, ["One two three. Four five.", "Six."]),
        ("One two.\n\nThree four.\n\nFive.", 4, ["One two.", "Three four.", "Five."]),
        ("One two.\nThree four.\nFive.", 4, ["One two.\nThree four.", "Five."]),
        ("  \n\n ", 4, []),
    ],
)
def test_plain_texts_are_cut_at_sentences_and_paragraphs(
    text: str, words: int, expected: list[str]
) -> None:
    assert [*cut(text, words)] == expected


def example(id_: str, context: str, title: str = "") -> Example:
    word = context.split()[1]
    return Example(id_, title, context, f"{id_}?", (Answer(word, context.index(word)),))


PARAMS = SynthesizeParams(
    folder="", files=[], passage_words=30, per_passage=5, most=None, recurring=0.5, left_out=0.25,
    validation_share=0.0, seed=1,
)  # fmt: skip


class Project:
    """Folders of the download stage, texts, and the stage on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("raw", "test", "texts"):
            (folder / name).mkdir()
        self.split("raw/train", [example("a", HARBOUR, "Varna"), example("b", RIVER, "Ebro")])
        self.split("test/test", [])

    def split(self, name: str, examples: list[Example]) -> None:
        write_examples(self.folder / f"{name}.jsonl", examples)

    def run(self, **changes: Any) -> str:
        params = replace(PARAMS, folder=str(self.folder / "texts"), **changes)
        raw, test, made = (self.folder / name for name in ("raw", "test", "made"))
        return synthesize(raw, test, made, self.folder / "m.json", self.folder / "t.csv", params)

    def made(self, split: str = "train") -> list[Example]:
        return [*read_examples(self.folder / f"made/{split}.jsonl")]

    @property
    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = read_json(self.folder / "m.json")["pretraining"]
        return figures


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_questions_are_counted_and_shown(project: Project) -> None:
    said = project.run()
    made, figures = project.made(), project.figures
    assert said == f"{len(made):,} questions from 2 passages"
    assert figures["questions"] == len(made) == sum(k["questions"] for k in figures["made"])
    assert {e.title for e in made} == {"Varna", "Ebro"}
    assert len({e.id for e in made}) == len(made)
    with (project.folder / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["question"], row["answer"]) for row in rows] == [
        (e.question, e.answers[0].text) for e in made
    ]


def test_the_same_passage_has_the_same_questions_beside_others(project: Project) -> None:
    project.run()
    before = {e for e in project.made() if e.title == "Varna"}
    project.split("raw/train", [example("c", VALLEY, "Rail"), example("a", HARBOUR, "Varna")])
    project.run()
    assert {e for e in project.made() if e.title == "Varna"} == before
    project.run(seed=2)
    assert {e for e in project.made() if e.title == "Varna"} != before


def runs_of(text: str) -> set[tuple[str, ...]]:
    words = dedup_key(text).split()
    return {tuple(words[n : n + SHARED_WORDS]) for n in range(len(words) - SHARED_WORDS + 1)}


def test_no_text_of_test_or_validation_questions_is_in_a_question(project: Project) -> None:
    """Not as a context, and not in a plain text that has it between others, in capitals."""
    (project.folder / "texts/all.txt").write_text(
        f"{VALLEY}\n\n{RIVER.upper()}\n\nSome more words. {HARBOUR}\n", encoding="utf-8"
    )
    short = "Only six words are in here."
    project.split("raw/train", [example(str(n), t) for n, t in enumerate([RIVER, VALLEY, short])])
    project.split("test/test", [example("t", HARBOUR), example("s", short)])
    project.split("raw/validation", [example("v", RIVER)])
    said = project.run(files=["all.txt"])
    assert "left out for scored contexts" in said
    made = project.made()
    assert made
    assert project.figures["left_out_passages"] >= 3
    scored = runs_of(HARBOUR) | runs_of(RIVER)
    for question in made:
        assert not scored & runs_of(question.context)
        assert question.context != short
        assert question.context in VALLEY or "bridges" in question.context


def test_a_sample_and_a_validation_split(project: Project) -> None:
    project.split("raw/train", [example(str(n), f"{VALLEY} Train {n}.") for n in range(40)])
    project.run(validation_share=0.3, most=20)
    train, validation = project.made(), project.made("validation")
    assert len(train) == 20 == project.figures["questions"]
    assert project.figures["validation_questions"] == len(validation) > 0
    where = Counter(e.context.rpartition(" ")[2] for e in (*train, *validation))
    assert len(where) > 10
    ends = [{e.context[-4:] for e in part} for part in (train, validation)]
    assert not ends[0] & ends[1]


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (None, {"files": ["no.txt"]}, r"no\.txt: no such file; pretraining\.questions\.files"),
        (None, {"files": ["../raw/train.jsonl"]}, r"pretraining\.questions: \.\./raw.*not in the"),
        (b" \n", {"files": ["a.txt"]}, r"a\.txt: has no text; remove it from pretraining\.questi"),
        (b"\xff\xfea", {"files": ["a.txt"]}, r"a\.txt:1: not UTF-8"),
    ],
)
def test_texts_that_cannot_be_read(
    project: Project, content: bytes | None, changes: dict[str, Any], message: str
) -> None:
    if content is not None:
        (project.folder / "texts/a.txt").write_bytes(content)
    with pytest.raises(RetuneError, match=message):
        project.run(**changes)


def test_passages_without_a_question(project: Project) -> None:
    project.split("raw/train", [example("a", "Too short.")])
    with pytest.raises(RetuneError, match=r"the rules make no question from 1 passages; add texts"):
        project.run()


def test_the_main_pipeline_begins_from_the_encoder_that_learned_the_questions(
    project: Project,
) -> None:
    """The stages synthesize, tokenize and train, then a training from their folder."""
    folder = project.folder
    tiny.write_checkpoint(folder / "encoder", initializer_range=0.2)
    project.split("raw/train", [example(str(n), text) for n, text in enumerate(tiny.TEXTS)])
    project.run()
    tokenize(
        folder / "made", folder / "features", folder / "windows.json",
        tokenizer=load_tokenizer(folder / "encoder"), scoring=ScoreParams("squad"), squad_v2=False,
        params=TokenizeParams(128, 8, 32, "all", max_lost_answers=0.0, max_unknown_tokens=1.0),
    )  # fmt: skip
    (folder / "made").rename(folder / "raw-made")
    made = folder / "of-made"
    made.mkdir()
    for name, source in (("raw", "raw-made"), ("features", "features"), ("encoder", "encoder")):
        (folder / source).rename(made / name)
    for name in ("raw", "features"):
        seal(made / name, {"inputs": {}, "params": {}})
    run(made, folder / "out", dropout=0.0, epochs=1, keep="last")
    learned = load_file(folder / "out/model/model.safetensors")
    begun = bert.build(bert.Params(0.0), folder / "out/model", 0, 0).state_dict()
    assert learned.keys() <= begun.keys()
    assert all(torch.equal(begun[name], weight) for name, weight in learned.items())
    assert "qa_outputs.weight" in learned
