"""Perturbed questions and passages: gold answers keep their places, and rules read as English."""

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.perturb import both_texts, distractors, passages, questions
from retune.tasks.qa.perturb.first_candidate import first_candidate
from retune.tasks.qa.perturb.kinds import kinds
from retune.tasks.qa.perturb.letters import lower, mistyped, mixed, typed_words, upper
from retune.tasks.qa.perturb.passages import in_original
from retune.tasks.qa.perturb.replacements import changed, renumbered
from retune.tasks.qa.perturb.statements import statement
from retune.tasks.qa.questions.examples import UNPLACED, Answer, Example

CONTEXT = (
    "Ada Lovelace was born on 10 December 1815 in London. She wrote 7 notes about the engine. "
    "Charles Babbage had built it in the Royal Institution in 1833."
)
OTHER = Example("o", "other", "The Thames runs through the town of Reading.", "What?", ())


def draw(seed: object = 0) -> random.Random:
    return random.Random(str(seed))


def example(question: str, answer: str = "Ada Lovelace", context: str = CONTEXT) -> Example:
    return Example("q", "title", context, question, (Answer(answer, context.index(answer)),))


#: Letters without another case of one letter, combining marks, pairs of code units, blanks.
letters = st.text(st.sampled_from("abAB.? \n,'ßİıſςΣΟǅﬁé\u0301\u00a0中😀\x00"), max_size=40)


@st.composite
def examples(choose: Any) -> Example:
    """Questions about texts of words, sentences and odd letters, with answers anywhere in them."""
    words = st.sampled_from(["London ", "river ", "wrote. ", "In 1815 ", "two ", "\n", "Ada's "])
    context = "".join(choose(st.lists(st.one_of(words, letters), min_size=1, max_size=12)))
    answers = []
    for _ in range(choose(st.integers(0, 3))):
        low = choose(st.integers(0, len(context)))
        high = choose(st.integers(low, min(len(context), low + 20)))
        answers.append(Answer(context[low:high], low))
    if choose(st.booleans()):
        answers.append(Answer(choose(letters), UNPLACED))
    asked = st.sampled_from(
        ["Who wrote in London?", "In which year did she see two rivers?", "Where was Ada born?"]
    )
    return Example("q", "t", context, choose(st.one_of(asked, letters)), tuple(answers))


@given(examples(), st.integers(0, 9))
def test_gold_answers_keep_their_places(asked: Example, seed: int) -> None:
    for kind in kinds([OTHER]):
        after = kind.perturb(asked, draw(seed))
        assert after == kind.perturb(asked, draw(seed))
        if after is None:
            continue
        assert (after.id, after.title, len(after.answers)) == ("q", "t", len(asked.answers))
        assert (after.question, after.context) != (asked.question, asked.context)
        for before, answer in zip(asked.answers, after.answers, strict=True):
            assert (answer.start == UNPLACED) == (before.start == UNPLACED)
            if answer.start != UNPLACED:
                assert after.context[answer.start : answer.end] == answer.text
            assert answer.text == before.text or "case" in kind.name
            assert len(answer.text) == len(before.text)


def test_kinds_have_names_and_meanings_of_their_own() -> None:
    found = kinds([OTHER])
    assert len({kind.name for kind in found}) == len({kind.meaning for kind in found}) == 12
    assert [kind.name for kind in found if not kind.keeps_gold] == ["negated question"]


@given(letters, st.integers(0, 9))
def test_other_cases_keep_each_letter(text: str, seed: int) -> None:
    for other in (upper(text), lower(text), mixed(text, draw(seed))):
        assert [letter.lower() for letter in other] == [letter.lower() for letter in text]


def test_letters_without_another_case_of_one_letter_stay() -> None:
    assert upper("straße ﬁ ǅ é") == "STRAßE ﬁ Ǆ É"
    assert lower("İSTANBUL Ω") == "İstanbul ω"


def test_a_text_without_letters_has_no_other_case() -> None:
    assert both_texts.in_upper_case(example("1?", "1", "1 2"), draw()) is None


@given(st.sampled_from(["Lovelace", "aaaa", "NOTES", "write"]), st.integers(0, 99))
def test_a_typing_error_is_behind_the_first_letter(word: str, seed: int) -> None:
    wrong = mistyped(word, draw(seed))
    assert wrong != word
    assert wrong[0] == word[0]
    assert abs(len(wrong) - len(word)) <= 1


def test_words_with_typing_errors_have_four_letters_or_more() -> None:
    text = "The été of 1815, Babbage's x-rays or Müller"
    assert [text[low:high] for low, high in typed_words(text)] == ["Babbage", "rays"]


def test_typing_errors_are_in_the_question_or_beside_the_answer() -> None:
    asked = example("Which woman wrote about engines?")
    question = questions.with_typos(asked, draw())
    assert question is not None
    assert question.question.startswith("Which ")
    assert question.context == CONTEXT
    passage = passages.with_typos(asked, draw())
    assert passage is not None
    pairs = zip(CONTEXT.split(), passage.context.split(), strict=True)
    assert [one for one, other in pairs if one != other] == ["about"]
    assert questions.with_typos(example("Why?"), draw()) is None
    assert passages.with_typos(example("Why?", "born", "born on 1"), draw()) is None


@pytest.mark.parametrize(
    ("perturbed", "answer", "text"),
    [
        ("Ada wriote (a notte). End", "wriote (a notte", "wrote (a note"),
        ("Ada wriote (a notte). End", "Ada", "Ada"),
        ("Ada wriote (a notte). End", "", ""),
    ],
)
def test_an_answer_is_read_in_the_spelling_of_the_passage(
    perturbed: str, answer: str, text: str
) -> None:
    low = perturbed.index(answer) if answer else 3
    span = (low, low + len(answer))
    assert in_original("Ada wrote (a note). End", perturbed, span) == text


def test_the_halves_of_a_passage_change_places_between_sentences_or_paragraphs() -> None:
    moved = passages.with_moved_paragraph(example("Who?"), draw())
    assert moved is not None
    cut = CONTEXT.index("Charles")
    assert moved.context == f"{CONTEXT[cut:]} {CONTEXT[:cut]}"
    lines = passages.with_moved_paragraph(example("Who?", "B", "A. B. C.\n\nD."), draw())
    assert lines is not None
    assert lines.context == "D.\n\nA. B. C.\n\n"
    assert passages.with_moved_paragraph(example("Who?", "a. B", "a. B"), draw()) is None


def test_passages_are_joined_with_one_of_another_article_without_the_answer() -> None:
    near = Example("n", "title", "No name at all.", "Who?", ())
    gold = Example("g", "gold", "It was ada lovelace.", "Who?", ())
    asked = example("Who?")
    found = {passages.joined([near, gold, OTHER, asked], asked, draw(n)) for n in range(9)}
    both = {f"{CONTEXT}\n{OTHER.context}", f"{OTHER.context}\n{CONTEXT}"}
    assert {each.context for each in found if each} == both
    assert passages.joined([gold, asked], asked, draw()) is None
    same = passages.joined([near, asked], asked, draw())
    assert same is not None
    assert near.context in same.context


def test_other_punctuation_leaves_the_words() -> None:
    asked = example("Besides India, where was she?")
    found = {each.question for n in range(20) if (each := _punctuated(asked, n))}
    text = "Besides India where was she"
    assert found == {text, f"{text}??", f"{text} ?", f"{text}?!"}
    assert _punctuated(example("?"), 0) is None


def _punctuated(asked: Example, seed: int) -> Example | None:
    return questions.with_other_punctuation(asked, draw(seed))


@pytest.mark.parametrize(
    ("question", "negated"),
    [
        ("Where was she born?", "Where wasn't she born?"),
        ("In which year did she write?", "In which year didn't she write?"),
        ("Who can recognise it?", "Who can't recognise it?"),
        ("What will they build?", "What won't they build?"),
        ("Who invented the name?", "Who never invented the name?"),
        ("How many notes are known?", "How many notes aren't known?"),
        ("What had Cooke been before?", "What hadn't Cooke been before?"),
        ("Besides Rome, where had he served?", "Besides Rome, where hadn't he served?"),
        ("How old was she?", None),
        ("How much shorter did it become?", None),
        ("Which islands had potatoes?", None),
        ("Who had the link repaired?", "Who never had the link repaired?"),
        ("Which town lies where the repairs were made?", None),
        ("Why could she not sail?", None),
        ("Which body had no woman?", None),
        ("Who wasn't there?", None),
        ("Who fights?", None),
        ("Who?", None),
        ("Name it.", None),
        ("", None),
    ],
)
def test_negated_questions(question: str, negated: str | None) -> None:
    found = questions.negated(example(question), draw())
    assert (found and found.question) == negated


@pytest.mark.parametrize(
    ("question", "moved"),
    [
        ("Which countries were linked in 1851?", "In 1851, which countries were linked?"),
        ("What did he do when he was eight?", "When he was eight, what did he do?"),
        ("On which river did he live?", "Which river did he live on?"),
        ("Besides air, what did she blame?", "What did she blame besides air?"),
        ("Who fell in the Battle of Ghent?", "In the Battle of Ghent, who fell?"),
        ("In which year did he die?", None),  # nobody says: Which year did he die in?
        ("Which clergyman was in charge of it?", None),
        ("What covers part of the area lost in the flood?", None),
        ("For whom was a house in New York meant?", "Whom was a house in New York meant for?"),
        ("In which country stood the dish?", None),
        ("By what name is the plan known that helps the water?", None),
        ("Who knew the food at first hand?", None),
        ("Which day is it when?", None),
        ("Who, then, was born in 1815?", None),
        ("Where in London?", None),
        ("Where was she born in 1815", None),
        ("?", None),
    ],
)  # fmt: skip
def test_moved_clauses(question: str, moved: str | None) -> None:
    found = questions.with_moved_clause(example(question), draw())
    assert (found and found.question) == moved


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("Who built it?", "Ruth Calder", "Ruth Calder built it."),
        ("Who was the king of Ghent?", "Ruth Calder", "Ruth Calder was the king of Ghent."),
        ("Which bird can survive there?", "dried mint", "Dried mint can survive there."),
        ("Which town was destroyed in 1985?", "Ghent", "The town Ghent was destroyed in 1985."),
        ("Which part of it is eaten?", "a pipe", "A pipe is eaten."),
        ("Where was she laid to rest?", "Ghent", "It was in Ghent that she was laid to rest."),
        ("When did Ruth die?", "7 May 1700", "It was on 7 May 1700 that Ruth died."),
        ("When did Ruth die?", "May 1700", "It was in May 1700 that Ruth died."),
        ("When did it stop?", "in 1700", "It was in 1700 that it stopped."),
        ("What does the reef border?", "Ghent", "It is Ghent that the reef borders."),
        ("What do they carry?", "a pipe", "It is a pipe that they carry."),
        ("What does he study?", "oil", "It is oil that he studies."),
        ("What does she have?", "oil", "It is oil that she has."),
        ("How many notes did she write?", "four", "It was four notes that she wrote."),
        ("How many men took part?", "four", "Four men took part."),
        ("Which things had been found?", "oil", "Oil had been found."),
        ("On what can the boast be read?", "oil", "It is on oil that the boast can be read."),
        ("Where was it first given?", "Ghent", "It was in Ghent that it was first given."),
        ("Who had the link repaired?", "Ghent", None),
        ("Which spring now covers the area lost in it?", "Ghent", None),
        ("Which town's fall was heard of?", "Ghent", None),
        ("Which city lies where it was built?", "Ghent", None),
        ("What did it cost when it was built?", "oil", None),
        ("Besides air, what did she blame?", "oil", None),
        ("What are the guests in it named?", "oil", "It is oil that the guests in it are named."),
        ("How did she write?", "oil", None),
        ("Why did she write?", "oil", None),
        ("Who?", "oil", None),
        ("", "oil", None),
    ],
)  # fmt: skip
def test_statements(question: str, answer: str, sentence: str | None) -> None:
    assert statement(question, answer) == sentence


def test_names_and_numbers_become_others_of_their_kind() -> None:
    question = changed("Which French writer did she meet in Paris in May 1815?", draw(), "")
    assert question is not None
    match = re.fullmatch(
        r"which (\w+) writer did (\w+ \w+) meet in (\w+) in ([A-Z]\w+) (1[78]\d\d)\?", question
    )
    assert match
    assert {"French", "she", "Paris", "May", "1815"}.isdisjoint(match.groups())
    assert changed("Who saw the first king of the East?", draw(), "") == (
        "who saw the first king of the West?"
    )
    assert changed("Who was the first king?", draw(), "") == "who was the last queen?"
    assert changed("Who sang The Song of Roland?", draw(), "") is None
    assert changed("Who sang?", draw(), "") is None
    assert re.fullmatch(
        r"\w+ty-\w+ of \d\d men, 2\d\d\d", renumbered("Sixty-two of 12 men, 2050", draw())
    )


def test_a_distractor_resembles_the_question_and_has_no_gold_answer() -> None:
    asked = example("When was Ada Lovelace born?", "10 December 1815")
    found = distractors.with_distractor(asked, draw())
    assert found is not None
    added = found.context.removeprefix(CONTEXT)
    assert re.fullmatch(r" It was on \d+ [A-Z]\w+ 1[78]\d\d that \w+ \w+ was born\.", added)
    assert "10 December" not in added
    assert "Ada" not in added


@pytest.mark.parametrize(
    ("question", "answer", "added"),
    [
        ("Who met Ada?", "London", r"[A-Z]\w+ \w+ met \w+\."),
        ("Where was Ada born?", "London", r"It was in \w+ that \w+ was born\."),
        ("Which writer met Ada?", "London", r"The writer \w+ \w+ met \w+\."),
        (
            "Which woman met Ada?",
            "London",
            r"The woman (Clara|Ingrid|Leonor|Ruth|Amina) \w+ met \w+\.",
        ),
        (
            "Which king met Ada?",
            "London",
            r"The king (Tobias|Marcus|Edgar|Pavel|Simon) \w+ met \w+\.",
        ),
        ("Which works did Ada write?", "Royal Institution", r"It was the \w+ \w+ that \w+ wrote\."),
        ("What did Ada write?", "notes", r"It was [a-z ]+ that \w+ wrote\."),
        ("What were the first two?", "notes", r"[A-Z]\w+ \w+ were the first \w+\."),
        (
            "Which islands were seen by Ada?",
            "London",
            r"The islands \w+ and \w+ were seen by \w+\.",
        ),
        ("How many notes did Ada write?", "7", r"It was \d notes that \w+ wrote\."),
        ("How many notes did Ada write?", "notes", None),
        ("Why did Ada write?", "born on 10 December 1815 in London. She wrote", None),
        ("What did Ada write?", "on 10 December 1815 in London. She wrote 7 notes about", None),
        ("Which writer met her?", "Ada", None),
        ("Which ship was seen by her?", "engine", None),  # the other ship would be left out
        ("What did Ada write?", "w", None),
    ],
)
def test_answers_of_distractors_have_the_type_of_the_gold_answer(
    question: str, answer: str, added: str | None
) -> None:
    found = distractors.with_distractor(example(question, answer), draw())
    assert (found is None) == (added is None)
    if found and added:
        assert re.fullmatch(f" {added}", found.context.removeprefix(CONTEXT))


def test_an_unanswerable_question_has_no_distractor() -> None:
    assert distractors.with_distractor(OTHER, draw()) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was it?", "10 December 1815"),
        ("In which year was it?", "10 December 1815"),
        ("How many notes?", "7"),
        ("Who was it?", "Ada Lovelace"),
        ("Why?", "Ada Lovelace was"),
    ],
)
def test_the_baseline_gives_the_first_candidate(question: str, answer: str) -> None:
    low, high = first_candidate(question, CONTEXT)
    assert CONTEXT[low:high] == answer


def test_without_a_candidate_the_baseline_gives_a_name_or_the_first_words() -> None:
    assert first_candidate("When?", "He saw Ada.") == (7, 10)
    assert first_candidate("When?", " a b c d") == (1, 6)
    assert first_candidate("When?", " ") == (0, 0)
