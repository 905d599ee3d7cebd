"""Planted wrong labels are ranked first, and right ones are not taken for wrong."""

import itertools
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from labels.stored_answers import labelled, questions

from retune.core.errors import RetuneError
from retune.tasks.qa.labels import classifier, ranking
from retune.tasks.qa.labels.classifier import Table, fit_classifier
from retune.tasks.qa.labels.corruption import KINDS, corrupted, words_of
from retune.tasks.qa.labels.evidence import Evidence, Labelled, Passage
from retune.tasks.qa.labels.ranking import FLAGGED, ranked_labels, wrong_probabilities

RIGHT = labelled(questions(100))


def planted(share: float, seed: int) -> tuple[list[Labelled], set[str]]:
    """Labels of which a share is wrong, and the ids of these."""
    generator = Random(seed)
    rows = generator.sample(range(len(RIGHT)), round(share * len(RIGHT)))
    labels = [*RIGHT]
    for row in rows:
        one = RIGHT[row]
        others = [each.label for each in RIGHT if each.context == one.context and each is not one]
        wrong = corrupted(
            generator.choice(KINDS), words_of(one.context), one.label, others, generator
        )
        assert wrong is not None
        labels[row] = replace(one, label=wrong)
    return labels, {RIGHT[row].id for row in rows}


def test_planted_labels_are_ranked_first_and_what_is_flagged_is_wrong() -> None:
    """The reader is right in 56 % of the questions; the order by loss finds 47 of 60."""
    by_loss = ranked_first = planted_labels = flagged = flagged_wrong = 0
    for seed in range(3):
        labels, wrong = planted(0.05, seed)
        count = len(wrong)
        lowest = sorted(labels, key=lambda each: each.readings.likelihood(each.label).total)
        ranked = ranked_labels(labels)
        planted_labels += count
        by_loss += len({each.id for each in lowest[:count]} & wrong)
        ranked_first += len({one.labelled.id for one in ranked[:count]} & wrong)
        chosen = {one.labelled.id for one in ranked if one.probability >= FLAGGED}
        flagged, flagged_wrong = flagged + len(chosen), flagged_wrong + len(chosen & wrong)
    assert ranked_first >= 0.8 * planted_labels
    assert ranked_first > by_loss
    assert flagged_wrong >= 0.9 * flagged
    assert flagged_wrong >= 0.4 * planted_labels


def test_right_labels_are_not_flagged() -> None:
    assert not any(one.is_flagged for one in ranked_labels(RIGHT))


def test_all_labels_are_ranked_once_by_falling_probability_and_always_alike() -> None:
    labels, _ = planted(0.1, 2)
    found = ranked_labels(labels)
    assert sorted(one.labelled.id for one in found) == sorted(one.id for one in labels)
    values = [one.probability for one in found]
    assert values == sorted(values, reverse=True)
    again = ranked_labels([*reversed(labels)])
    assert [one.labelled.id for one in again] == [one.labelled.id for one in found]


def test_a_part_is_ranked_by_what_was_learnt_from_other_articles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[set[float]] = []
    fit = classifier.fit_classifier

    def spied(right: Table, counted: Any, wrong: Table) -> Any:
        fitted.append({float(value) for value in right.numbers[:, 0]})
        return fit(right, counted, wrong)

    monkeypatch.setattr(ranking, "fit_classifier", spied)
    ranked_labels(RIGHT)
    found = {one.id: one.readings.likelihood(one.label).start for one in RIGHT}
    absent = [{one.title for one in RIGHT if found[one.id] not in each} for each in fitted[:5]]
    assert sum(map(len, absent)) == 50  # each article is left out once
    assert {*itertools.chain.from_iterable(absent)} == {one.title for one in RIGHT}
    for titles, each in zip(absent, fitted, strict=False):
        assert not [one for one in RIGHT if one.title in titles and found[one.id] in each]


def test_a_passage_of_two_articles_is_in_one_part() -> None:
    every = [*RIGHT[2:], *(replace(one, title="other") for one in RIGHT[:2])]
    parts = [*ranking._parts(every, 0)]
    assert sorted(itertools.chain.from_iterable(parts)) == [*range(len(every))]
    inside = [any(every[row].context == RIGHT[0].context for row in part) for part in parts]
    assert sum(inside) == 1


def test_parts_of_one_article_are_of_passages() -> None:
    found = ranked_labels([replace(one, title="FAQ") for one in RIGHT[:40]])
    assert len(found) == 40
    with pytest.raises(RetuneError, match="all questions are on one passage; ranking needs two"):
        ranked_labels(RIGHT[:4])


def test_passages_without_another_span_cannot_be_ranked() -> None:
    short = [
        replace(RIGHT[0], id=name, title=name, context=name, label=(0, 3), expected=(0, 3))
        for name in ("Ada", "Bob")
    ]
    with pytest.raises(RetuneError, match="passages are too short to make a wrong label"):
        ranked_labels(short)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3])
def test_the_share_of_wrong_labels_is_estimated(share: float) -> None:
    """Of values from two normal distributions whose ratio is known."""
    generator = np.random.default_rng(0)
    wrong = generator.random(20_000) < share
    values = generator.normal(np.where(wrong, 2.0, -2.0), 1.0)
    log_ratios = 4.0 * values  # of normal(2, 1) and normal(-2, 1)
    found = wrong_probabilities(log_ratios)
    assert found.mean() == pytest.approx(wrong.mean(), abs=0.002)
    assert found[wrong].mean() > 0.8


def test_more_wrong_labels_are_flagged_where_there_are_more() -> None:
    """The data that the classifier takes for right has the wrong labels in it."""
    labels, wrong = planted(0.2, 3)
    ranked = ranked_labels(labels)
    flagged = {one.labelled.id for one in ranked if one.is_flagged}
    assert len(flagged & wrong) >= 0.5 * len(wrong)
    assert len(flagged & wrong) >= 0.9 * len(flagged)
    assert 0.1 <= np.mean([one.probability for one in ranked]) <= 0.21


def test_no_wrong_label_gives_a_share_of_nothing() -> None:
    assert wrong_probabilities(np.full(100, -3.0)).max() < 1e-5


def drawn(count: int, seed: int) -> list[Evidence]:
    generator = np.random.default_rng(seed)
    return [
        Evidence(tuple(row), ("often" if row[0] > 0 else "else", "ever"))
        for row in generator.normal(seed, 1, (count, 2)).tolist()
    ]


def test_the_classifier_has_the_most_likely_weights_less_the_penalty() -> None:
    """The same as scipy finds, and both sides count the same."""
    known: dict[str, int] = {}
    own, wrong = drawn(40, 0), drawn(90, 1)
    tables = Table.of(own, known), Table.of(wrong, known)
    counts = np.linspace(0.1, 1.0, 40)
    found = fit_classifier(tables[0], counts, tables[1])
    every = np.array([each.numbers for each in [*own, *wrong]])
    scaled = (every - every.mean(axis=0)) / every.std(axis=0)
    names = np.array([[name in e.names for name in known] for e in [*own, *wrong]], float)
    columns = np.column_stack([scaled, names, np.ones(len(every))])
    sign = np.repeat([-1.0, 1.0], [40, 90])
    counted = np.concatenate([65 * counts / counts.sum(), np.full(90, 65 / 90)])

    def loss(weights: np.ndarray) -> float:
        fits = counted * np.logaddexp(0.0, -sign * (columns @ weights))
        return float(fits.sum() + 5.0 * (weights[:-1] ** 2).sum())

    expected = scipy.optimize.minimize(loss, np.zeros(6), tol=1e-10).x
    ours = [*found.weights, *found.of_names, found.intercept]
    assert ours == pytest.approx([*expected], abs=1e-4)
    assert found.log_ratio(tables[1]) == pytest.approx(columns[40:] @ expected, abs=1e-3)


def test_a_rare_or_unknown_name_has_no_weight() -> None:
    known: dict[str, int] = {}
    own = [Evidence((0.0,), ("common",))] * 9 + [Evidence((0.0,), ("rare",))]
    wrong = [Evidence((0.0,), ("common",)), Evidence((0.0,), ("other",))] * 9
    tables = Table.of(own, known), Table.of(wrong, known)
    found = fit_classifier(tables[0], np.ones(10), tables[1])
    assert found.of_names[known["common"]] != 0.0
    assert found.of_names[known["rare"]] == 0.0
    unknown = Table.of([Evidence((0.0,), ("rare",)), Evidence((0.0,), ("new",))], known)
    assert found.log_ratio(unknown) == pytest.approx([found.intercept] * 2)


FREQUENT = frozenset({"a", "in", "met"})


def test_evidence_compares_a_span_with_the_labels_of_the_other_questions() -> None:
    passage = Passage(RIGHT[:4], FREQUENT)
    one, *others = RIGHT[:4]
    own = passage.evidence(one, one.label, others)
    swapped = passage.evidence(one, others[0].label, others)
    lift, same, touched = own.numbers[7:10]
    assert (same, touched) == (0.0, 0.0)
    likelihood = one.readings.likelihood(one.label).total
    elsewhere = np.mean([other.readings.likelihood(one.label).total for other in others])
    assert lift == pytest.approx(likelihood - elsewhere)
    assert swapped.numbers[8:10] == (1.0, 1.0)
    assert swapped.numbers[7] < lift
    assert passage.evidence(one, one.label, []).numbers[7:10] == (0.0, 0.0, 0.0)


def test_copies_of_a_question_do_not_speak_against_each_other() -> None:
    copy = replace(RIGHT[0], row=999, id="copy")
    passage = Passage([*RIGHT[:4], copy], FREQUENT)
    assert [each.id for each in passage.others(copy)] == [each.id for each in RIGHT[1:4]]
    assert passage.labels_of(copy) == [copy.label, copy.label]


def test_a_question_is_compared_with_some_of_very_many() -> None:
    many = [replace(RIGHT[0], row=row, id=str(row), question=f"{row}?") for row in range(50)]
    found = Passage(many, FREQUENT).others(many[40])
    assert [each.row for each in found] == [*range(41, 50), *range(11)]


def test_evidence_names_the_words_at_the_bounds_and_their_shapes() -> None:
    text = "In 1815 Ada, a poet, met Bo"
    one = replace(RIGHT[0], context=text, question="Who met Bo?")
    passage = Passage([one], FREQUENT)
    found = passage.evidence(one, (text.index("Ada"), text.index(", met")), [])
    assert found.names == (
        *("before 1815", "first ada", "last poet", "behind ,"),
        *("starts digits capital", "ends letters mark"),
    )
    whole = passage.evidence(one, (0, len(text)), [])
    assert whole.names[-2:] == ("starts  in", "ends capital ")
    assert whole.numbers[-1] == pytest.approx(2 / 9)  # "met" and "Bo" of its nine pieces
    empty = passage.evidence(one, (3, 3), [])
    assert empty.names[-2:] == ("starts in ", "ends  digits")
