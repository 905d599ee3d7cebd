"""The bundled opinions are what they are said to be."""

from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path

import corpus_files
import pytest

SPLITS = ("train", "validation")
DOMAINS = ("film", "book", "food", "travel")
ROOT = Path(__file__).resolve().parents[2]


@cache
def rows(split: str) -> list[list[str]]:
    return corpus_files.table(f"opinions/{split}.tsv", ["label", "sentence", "domain"])


def sentences(split: str, label: str = "") -> list[str]:
    return [row[1] for row in rows(split) if label in ("", row[0])]


def everywhere() -> list[str]:
    return [sentence for split in SPLITS for sentence in sentences(split)]


def test_it_is_as_large_as_promised() -> None:
    assert len(sentences("train")) >= 420
    assert len(sentences("validation")) >= 210


@pytest.mark.parametrize("split", SPLITS)
def test_labels_and_domains_are_balanced(split: str) -> None:
    cells = Counter((label, domain) for label, _, domain in rows(split))
    assert set(cells) == {(label, domain) for label in "01" for domain in DOMAINS}
    assert len(set(cells.values())) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_mixed(split: str) -> None:
    """Whoever reads only the first rows gets both labels and all domains."""
    assert len({(label, domain) for label, _, domain in rows(split)[:60]}) == 8


@pytest.mark.parametrize("split", SPLITS)
def test_lengths_are_varied(split: str) -> None:
    lengths = [len(sentence.split()) for sentence in sentences(split)]
    assert min(lengths) == 4
    assert 35 <= max(lengths) <= 45
    assert sum(length <= 7 for length in lengths) >= 0.1 * len(lengths)
    assert sum(length >= 20 for length in lengths) >= 0.1 * len(lengths)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("label", ["0", "1"])
def test_negation_and_contrast_are_common_and_tell_nothing_of_the_label(
    split: str, label: str
) -> None:
    chosen = sentences(split, label)
    assert 0.2 <= corpus_files.share(chosen, corpus_files.NEGATION) <= 0.5
    assert 0.15 <= corpus_files.share(chosen, corpus_files.CONTRAST) <= 0.4


def test_spelling_and_marks_are_ordinary() -> None:
    for sentence in everywhere():
        assert sentence[0].isupper(), sentence
        assert sentence[-1] in ".!?", sentence
        assert '"' not in sentence, sentence  # quoting differs between readers of tables
        shouted = [word for word in sentence.split() if len(word) > 3 and word.isupper()]
        assert shouted == [], sentence


def test_no_sentence_stands_twice_even_across_splits() -> None:
    counts = Counter(map(corpus_files.bare, everywhere()))
    assert [sentence for sentence, count in counts.items() if count > 1] == []


def test_no_two_sentences_are_nearly_the_same() -> None:
    words = [(set(corpus_files.bare(sentence).split()), sentence) for sentence in everywhere()]
    near = [
        (sentence, other)
        for (these, sentence), (those, other) in combinations(words, 2)
        if len(these & those) > 0.4 * len(these | those)
    ]
    assert near == []


def test_no_formula_repeats_itself() -> None:
    openings = Counter(tuple(corpus_files.bare(s).split()[:3]) for s in everywhere())
    assert max(openings.values()) <= 5
    runs: Counter[tuple[str, ...]] = Counter()
    for sentence in everywhere():
        words = corpus_files.bare(sentence).split()
        runs.update({tuple(words[place : place + 5]) for place in range(len(words) - 4)})
    assert max(runs.values()) <= 3


@pytest.mark.parametrize("folder", ["opinions", "lexicon", "probes"])
def test_the_licence_is_cc0(folder: str) -> None:
    assert corpus_files.is_public_domain(folder)
