"""The bundled probes are well-formed tests in the terms of CheckList."""

import re
from collections import Counter
from functools import cache

import corpus_files
import pytest

from retune.tasks.sentiment.probe.probe_files import BUNDLED, filled, read_probes
from retune.tasks.sentiment.probe.probes import NOTEBOOK_N3, Probe

HEADER = ["kind-of-test", "sentence", "changed", "expected"]
KINDS = {"MFT": {"0", "1"}, "INV": {"same"}, "DIR": {"up", "down", "flip"}}
INVARIANT = ("case", "clause_order", "neutral_insertions", "typos")
MEASURING = ("contrast", "intensifiers", "negation")
NAMES = INVARIANT + MEASURING


@cache
def rows(name: str) -> list[list[str]]:
    """The tests of a capability: those of its file, and those of its templates."""
    made = (row for template in templates(name) for row in filled(template, slots()))
    return [*written(name), *made]


@cache
def written(name: str) -> list[list[str]]:
    return corpus_files.table(f"probes/{name}.tsv", HEADER)


@cache
def slots() -> dict[str, list[str]]:
    found = corpus_files.table("probes/slots.tsv", ["slot", "values"])
    return {slot: values.split("|") for slot, values in found}


def templates(name: str) -> list[list[str]]:
    found = corpus_files.table("probes/templates.tsv", ["capability", *HEADER])
    return [template for capability, *template in found if capability == name]


def pairs(name: str) -> list[tuple[str, str]]:
    return [(sentence, changed) for _, sentence, changed, _ in rows(name) if changed]


def words(sentence: str) -> list[str]:
    return corpus_files.bare(sentence).split()


@pytest.mark.parametrize("name", NAMES)
def test_each_capability_has_30_to_70_tests_of_allowed_values(name: str) -> None:
    assert 24 <= len(written(name)) <= 40
    assert 30 <= len(rows(name)) <= 70
    assert len(templates(name)) >= 2
    for kind, sentence, changed, expected in rows(name):
        assert expected in KINDS[kind], sentence
        assert (changed == "") == (kind == "MFT"), sentence
        assert sentence != changed
        assert sentence[0].isupper()
        assert sentence[-1] in ".!?"


@pytest.mark.parametrize("name", NAMES)
def test_no_test_stands_twice(name: str) -> None:
    assert corpus_files.repeated(sentence for _, sentence, _, _ in written(name)) == []
    assert (
        corpus_files.repeated((sentence, changed) for _, sentence, changed, _ in rows(name)) == []
    )


def test_the_package_reads_them_all_and_those_of_the_notebook() -> None:
    read = read_probes(BUNDLED)
    expected = [Probe(name, *row) for name in sorted(NAMES) for row in rows(name)]  # type: ignore[arg-type]
    assert read == [*expected, *NOTEBOOK_N3]


def test_slots_have_equally_many_values_and_all_are_used() -> None:
    assert {len(values) for values in slots().values()} == {4}
    used = {
        slot.lower()
        for name in NAMES
        for template in templates(name)
        for text in template
        for slot in re.findall(r"\{(\w+)\}", text)
    }
    assert used == set(slots())


def test_a_template_has_a_row_for_each_value_as_it_is_written() -> None:
    values = {"saw": ["saw", "met"], "who": ["my aunt", "he"]}
    assert [*filled(["I {saw} it.", "{Who} {SAW}", "0"], values)] == [
        ["I saw it.", "My aunt SAW", "0"],
        ["I met it.", "He MET", "0"],
    ]


@pytest.mark.parametrize("name", INVARIANT)
def test_changes_without_meaning_are_invariances(name: str) -> None:
    assert {row[0] for row in rows(name)} == {"INV"}


@pytest.mark.parametrize("name", MEASURING)
def test_expectations_of_a_kind_are_balanced(name: str) -> None:
    """Praise and blame, up and down: no answer is expected more often than the other."""
    counts = Counter((kind, expected) for kind, _, _, expected in rows(name))
    for kind, low, high in (("MFT", "0", "1"), ("DIR", "down", "up")):
        assert abs(counts[kind, low] - counts[kind, high]) <= 2


def test_case_changes_nothing_but_case() -> None:
    for sentence, changed in pairs("case"):
        assert sentence.casefold() == changed.casefold()


def test_case_has_lower_upper_title_and_mixed() -> None:
    counts: Counter[str] = Counter()
    for _, changed in pairs("case"):
        letters = changed.replace("'", "")
        lower, upper, title = letters.islower(), letters.isupper(), letters.istitle()
        counts["lower" if lower else "upper" if upper else "title" if title else "mixed"] += 1
    assert all(counts[kind] >= 3 for kind in ("lower", "upper", "title", "mixed")), counts


def test_clause_order_keeps_the_words() -> None:
    for sentence, changed in pairs("clause_order"):
        assert Counter(words(sentence)) == Counter(words(changed)), sentence


def test_intensifiers_and_neutral_insertions_only_add_words() -> None:
    articles = {"a", "an"}
    for name in ("intensifiers", "neutral_insertions"):
        for sentence, changed in pairs(name):
            before, after = Counter(words(sentence)), Counter(words(changed))
            missing = set(before - after) - articles - {"we"}
            assert missing == set(), sentence
            assert sum(after.values()) > sum(before.values())


def test_typos_change_one_word_or_two_by_a_letter_or_two() -> None:
    for sentence, changed in pairs("typos"):
        before, after = sentence.split(), changed.split()
        assert len(before) == len(after), sentence
        different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert 1 <= len(different) <= 2, sentence
        assert all(abs(len(a) - len(b)) <= 1 for a, b in different), sentence


def test_negations_and_contrasts_hold_what_they_are_about() -> None:
    for name, pattern in (
        ("negation", corpus_files.NEGATION),
        ("contrast", corpus_files.CONTRAST),
    ):
        for _, sentence, changed, _ in rows(name):
            found = pattern.search(changed or sentence)
            assert found or "no means" in changed or "anything but" in changed, sentence


def test_tests_are_not_in_the_opinions() -> None:
    header = ["label", "sentence", "domain"]
    seen = {
        corpus_files.bare(sentence)
        for split in ("train", "validation")
        for _, sentence, _ in corpus_files.table(f"opinions/{split}.tsv", header)
    }
    asked = {corpus_files.bare(row[1]) for name in NAMES for row in rows(name)}
    assert seen & asked == set()
