"""Augmentation by rules: what it may change, what it must not, and that it repeats itself."""

import random
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from retune.tasks.sentiment.augmenting import rules
from retune.tasks.sentiment.augmenting._lexicon import Lexicon, bundled
from retune.tasks.sentiment.augmenting._sentences import LONGEST, Sentence
from retune.tasks.sentiment.augmenting.rules import RULES, Params, augmented
from retune.tasks.sentiment.texts.examples import Example

PARAMS: dict[str, Any] = {
    "seed": 1, "share": 0.5, "synonyms": 1, "paraphrases": 1, "dropout": 1, "swaps": 1,
}  # fmt: skip
SMALL = Lexicon(
    synonyms={"film": ("movie",), "good": ("fine", "excellent"), "slow": ("sluggish",)},
    polar=frozenset({"good", "fine", "excellent", "slow", "sluggish"}),
    dispensable=frozenset({"new"}),
    paraphrases={("at", "first"): "to begin with", ("at", "first", "sight"): "outwardly"},
    negations=frozenset({("not",), ("n't",), ("anything", "but"), ("nobody",)}),
)


def free(text: str, lexicon: Lexicon = SMALL) -> list[str]:
    sentence = Sentence(text, lexicon.negations)
    return [sentence.keys[n] for n in sentence.free]


def changed(
    rule: str, text: str, share: float = 1.0, seed: int = 1, lexicon: Lexicon = SMALL
) -> str:
    sentence = Sentence(text, lexicon.negations)
    return RULES[rule](sentence, lexicon, random.Random(seed), share)


def example(text: str, name: str = "train-1", label: int = 1) -> Example:
    return Example(name, text, label, None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The film is good.", "the film is good"),
        # From the word before a negation to the end of its clause nothing may change.
        ("The film is not good, or new.", "the film"),
        ("This is not good; the film is.", "this the film is"),
        ("The film isn't good: slow.", "the film slow"),
        ("The film isn\u2019t good.", "the film"),
        ("the film does n't work -lrb- at all -rrb- ok", "the film at all ok"),
        ("Good it is (not for me) today", "good it is today"),
        ("It is anything but good, and new.", "it"),
        ("Not good but new", "new"),
        ("Nobody liked it. Good!", "good"),
        # Contrasts and modifiers stay, and what is about them does not.
        ("It is slow, but good.", "it is slow good"),
        ("It could be good, yet it is too slow", "it be good it is slow"),
        # What is no word of its own stays as well.
        ("the film 's good -- very", "the film good very"),
    ],
)
def test_words_are_free_where_no_negation_contrast_or_modifier_reaches(
    text: str, words: str
) -> None:
    assert free(text) == words.split()


@pytest.mark.parametrize(
    ("rule", "text", "choices"),
    [
        ("synonyms", "Film of the  year: FILM, film", {"Movie of the  year: FILM, movie"}),
        ("synonyms", "a good film", {"a fine movie"}),  # not `a excellent`
        ("synonyms", "the good, the slow", {
            "the fine, the sluggish", "the excellent, the sluggish",
        }),
        ("synonyms", "at the Film Museum", {"at the Film Museum"}),
        ("synonyms", "the film is not good", {"the movie is not good"}),
        ("paraphrases", "At first it was slow.", {"To begin with it was slow."}),
        ("paraphrases", "Good at first sight, and at first", {"Good outwardly, and to begin with"}),
        ("paraphrases", "It is not good at first", {"It is not good at first"}),
        ("paraphrases", "Look at, first", {"Look at, first"}),
        ("dropout", "So the good new film  is  not good", {"So good film  is  not good"}),
        ("dropout", "Quite dreary, and it lasted", {"Quite dreary, lasted"}),  # unknown words stay
        ("dropout", "The film is.", {"The film is."}),  # fewer than three would be left
        ("swaps", "One two three, four five but six", {"One three two, five four but six"}),
        ("swaps", "So good film one", {"So good one film"}),
        ("swaps", "So slow", {"So slow"}),
    ],
)  # fmt: skip
def test_rules_change_what_is_free_and_keep_the_rest(
    rule: str, text: str, choices: set[str]
) -> None:
    assert {changed(rule, text, seed=seed) for seed in range(20)} == choices


def test_the_share_says_how_many_words_are_changed_and_one_at_least() -> None:
    text = "So " + "the " * 10
    left = [len(changed("dropout", text, share).split()) for share in (0.01, 0.3, 0.5)]
    assert left == [10, 8, 6]


WORDS = ["the", "film", "good", "slow", "not", "is", "but", ",", ".", "isn't", "at first", "too"]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=15), st.integers(0, 9))
def test_nothing_that_the_label_hangs_on_ever_changes(words: list[str], seed: int) -> None:
    text = " ".join(words)
    before = Sentence(text, SMALL.negations)
    kept = [k for n, k in enumerate(before.keys) if n not in before.free]
    polar = [k for k in before.keys if k in SMALL.polar]
    for rule in ("dropout", "swaps"):
        after = Sentence(changed(rule, text, 0.5, seed), SMALL.negations)
        assert [k for k in after.keys if k in SMALL.polar] == polar
    for rule in RULES:
        after = Sentence(changed(rule, text, 0.5, seed), SMALL.negations)
        still = [k for n, k in enumerate(after.keys) if n not in after.free]
        assert still == kept


def require_meaning_kept(texts: list[str]) -> None:
    """What is fixed and what praises or blames goes on standing there, in its order."""
    examples = [example(text, f"train-{n}") for n, text in enumerate(texts)]
    sources = {e.id: Sentence(e.text, bundled().negations) for e in examples}
    for candidate in augmented(examples, Params(**PARAMS)):
        before = sources[candidate.source or ""]
        after = iter(Sentence(candidate.text, bundled().negations).keys)
        judging = bundled().polar if candidate.method in {"dropout", "swaps"} else frozenset()
        kept = [k for n, k in enumerate(before.keys) if n not in before.free or k in judging]
        assert all(key in after for key in kept), (before.text, candidate.text)


def test_opinions_keep_what_their_labels_hang_on() -> None:
    table = resources.files("retune") / "corpora" / "opinions" / "train.tsv"
    rows = table.read_text(encoding="utf-8").splitlines()[1:]
    require_meaning_kept([row.split("\t")[1] for row in rows])


def test_real_sentences_keep_what_their_labels_hang_on(
    shared_data: Callable[[str], Path],
) -> None:
    rows = shared_data("sst2/dev.tsv").read_text(encoding="utf-8").split("\n")
    require_meaning_kept([row.split("\t")[1] for row in rows if row])


def test_a_sentence_is_changed_alike_wherever_it_stands() -> None:
    texts = ["The film was good at first.", "A boring plot and lovely music.", "It took a while."]
    examples = [example(text, f"train-{n}") for n, text in enumerate(texts)]
    params = Params(**PARAMS | {"dropout": 3})
    forwards, backwards = (list(augmented(e, params)) for e in (examples, examples[::-1]))
    assert sorted(forwards, key=lambda e: e.id) == sorted(backwards, key=lambda e: e.id)
    assert list(augmented(examples[1:2], params)) == forwards[6:12]
    assert forwards != list(augmented(examples, Params(**PARAMS | {"dropout": 3, "seed": 2})))


def test_a_candidate_names_its_source_and_rule_and_keeps_the_label() -> None:
    params = Params(**PARAMS | {"dropout": 2, "paraphrases": 0})
    found = list(augmented([example("The film was good at last.", label=0)], params))
    assert [(e.id, e.source, e.method, e.label) for e in found] == [
        ("train-1-synonyms-1", "train-1", "synonyms", 0),
        ("train-1-dropout-1", "train-1", "dropout", 0),
        ("train-1-dropout-2", "train-1", "dropout", 0),
        ("train-1-swaps-1", "train-1", "swaps", 0),
    ]


def test_the_bundled_lexicon_is_read() -> None:
    lexicon = bundled()
    assert "movie" in lexicon.synonyms["film"]
    assert {"boring", "wonderful"} <= lexicon.polar
    assert not {"film", "movie", "waiter"} & lexicon.polar
    assert lexicon.paraphrases["i", "think"] == "in my view"
    assert {("not",), ("far", "from")} <= lexicon.negations


def test_no_phrase_is_longer_than_what_is_looked_for() -> None:
    lexicon = bundled()
    assert max(map(len, [*lexicon.paraphrases, *lexicon.negations])) <= LONGEST


def test_a_synonym_of_another_polarity_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "synonyms.tsv": ["", "cheap\tadj\t-\tshoddy|affordable", "affordable\tadj\t+\tcheap|fair"],
        "paraphrases.tsv": [""],
        "negations.txt": [],
    }
    monkeypatch.setattr("retune.tasks.sentiment.augmenting._lexicon._lines", files.__getitem__)
    lexicon = bundled.__wrapped__()
    assert lexicon.synonyms == {"cheap": ("shoddy",), "affordable": ("fair",)}
    assert lexicon.polar == {"cheap", "affordable", "shoddy", "fair"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict.fromkeys(RULES, 0), "all rules are 0; for no augmentation choose the method `none`"),
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"swaps": -1}, "swaps"),
        ({"seed": "1"}, "seed"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Params(**PARAMS | changes)


def test_every_rule_has_its_setting() -> None:
    assert set(RULES) <= set(rules.Params.__dataclass_fields__)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("synonyms", list(bundled().synonyms)),
        ("paraphrases", list(map(" ".join, bundled().paraphrases))),
    ],
)
def test_every_row_of_the_bundled_lexicon_can_apply(rule: str, words: list[str]) -> None:
    """A row with a negation, a contrast or a modifier in it would never do."""
    for word in words:
        found = changed(rule, f"they saw {word} here", lexicon=bundled())
        assert f" {word} " not in found, word


@pytest.mark.parametrize("word", ["laughed", "smiling", "cried", "shouting", "odd"])
def test_what_tells_a_feeling_is_not_dropped(word: str) -> None:
    text = f"we all {word} at the film and the book"
    drawn = [changed("dropout", text, seed=n, lexicon=bundled()) for n in range(3)]
    assert all(word in found and "the" not in found for found in drawn)


def test_the_bundled_sentences_that_showed_it_keep_their_feeling() -> None:
    text = "We laughed the whole way home."
    for seed in range(20):
        for share in (0.2, 1.0):
            assert "laughed" in changed("dropout", text, share, seed, bundled())
