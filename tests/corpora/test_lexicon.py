"""The bundled lexicon is consistent: what replaces a word keeps its polarity and its form."""

from functools import cache

import corpus_files
import pytest

PARTS = ("noun", "verb", "adj", "adv")
Entry = tuple[str, list[str]]


@cache
def entries() -> dict[tuple[str, str], Entry]:
    header = ["word", "part-of-speech", "polarity", "synonyms"]
    rows = corpus_files.table("lexicon/synonyms.tsv", header)
    found = {(word, part): (polarity, names.split("|")) for word, part, polarity, names in rows}
    assert len(found) == len(rows)
    return found


@cache
def paraphrases() -> list[tuple[str, str]]:
    rows = corpus_files.table("lexicon/paraphrases.tsv", ["from", "to"])
    return [(source, target) for source, target in rows]


def negations() -> list[str]:
    return corpus_files.text("lexicon/negations.txt").removesuffix("\n").split("\n")


def test_it_is_as_large_as_promised() -> None:
    assert len(entries()) >= 350
    assert len(paraphrases()) >= 60
    assert len(negations()) >= 30


def test_every_part_of_speech_and_polarity_has_many_words() -> None:
    for part in PARTS:
        assert sum(key[1] == part for key in entries()) >= 50
    for polarity in "+-0":
        assert sum(entry[0] == polarity for entry in entries().values()) >= 100
    assert {part for _, part in entries()} == set(PARTS)
    assert {polarity for polarity, _ in entries().values()} == set("+-0")


def test_a_word_has_one_part_of_speech() -> None:
    """A program without a tagger cannot tell a noun from a verb of the same letters."""
    words = [word for word, _ in entries()]
    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_headwords_are_single_and_in_order() -> None:
    assert list(entries()) == sorted(entries())
    assert all(word == word.lower() and " " not in word for word, _ in entries())


def test_no_synonym_is_its_headword_or_stands_twice() -> None:
    for (word, _), (_, synonyms) in entries().items():
        assert all(synonyms), word
        assert word not in synonyms
        assert len(set(synonyms)) == len(synonyms), word


def test_a_synonym_that_is_a_headword_has_the_same_polarity() -> None:
    for (word, _), (polarity, synonyms) in entries().items():
        for synonym in synonyms:
            for part in PARTS:
                found = entries().get((synonym, part))
                assert found is None or found[0] == polarity, (word, synonym)


def test_no_synonym_serves_praise_and_blame() -> None:
    sides: dict[str, set[str]] = {}
    for polarity, synonyms in entries().values():
        for synonym in synonyms:
            sides.setdefault(synonym, set()).add(polarity)
    assert {synonym: side for synonym, side in sides.items() if side >= {"+", "-"}} == {}


def test_forms_of_verbs_are_kept() -> None:
    for (word, part), (_, synonyms) in entries().items():
        if part != "verb":
            continue
        for synonym in synonyms:
            first = synonym.split()[0]
            assert word.endswith("ing") == first.endswith("ing"), (word, synonym)
            assert word.endswith("s") == first.endswith("s") or first == "is", (word, synonym)


def test_plurals_are_replaced_by_plurals() -> None:
    without_s = {"people", "children"}
    allowed = without_s | {"works of fiction"}
    for (word, part), (_, synonyms) in entries().items():
        if part != "noun" or word in without_s or word.endswith("ss"):
            continue
        if word.endswith("s"):
            assert all(s.endswith("s") or s in allowed for s in synonyms), word


@pytest.mark.parametrize("part", ["synonyms", "paraphrases", "negations"])
def test_text_is_lower_case_ascii(part: str) -> None:
    content = corpus_files.text(f"lexicon/{part}.{'txt' if part == 'negations' else 'tsv'}")
    assert content.isascii()
    assert content.replace("I ", "i ") == content.replace("I ", "i ").lower()


def test_paraphrases_are_phrases_that_change_and_stand_once() -> None:
    sources = [source for source, _ in paraphrases()]
    assert len(set(sources)) == len(sources)
    for source, target in paraphrases():
        assert source != target
        assert target
        assert len(source.split()) >= 2, source


def test_no_paraphrase_adds_or_drops_a_plain_not() -> None:
    allowed = {"fell short of"}  # says `not` in other words
    for source, target in paraphrases():
        if source not in allowed:
            assert ("not" in source.split()) == ("not" in target.split()), source


def test_negations_stand_once_and_hold_the_usual_ones() -> None:
    assert len(set(negations())) == len(negations())
    assert {"not", "n't", "never", "no", "hardly", "without", "far from"} <= set(negations())


def test_no_synonym_is_a_negation() -> None:
    for word, _ in entries():
        assert word in {"lacks"} or word not in negations()
    for (word, _), (_, synonyms) in entries().items():
        assert not set(synonyms) & set(negations()), word


def test_most_opinions_hold_words_of_the_lexicon() -> None:
    header = ["label", "sentence", "domain"]
    known = {word for word, _ in entries()}
    rows = corpus_files.table("opinions/train.tsv", header)
    hits = [bool(known & set(corpus_files.bare(sentence).split())) for _, sentence, _ in rows]
    assert sum(hits) > 0.6 * len(hits)
