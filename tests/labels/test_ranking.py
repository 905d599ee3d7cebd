"""Planted wrong labels are ranked first, and right ones are not taken for wrong."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import scipy.optimize
from labels.stored_answers import labelled, questions

from retune.core.errors import RetuneError
from retune.tasks.qa.labels import classifier
from retune.tasks.qa.labels.classifier import fit_classifier
from retune.tasks.qa.labels.corruption import KINDS, corrupted
from retune.tasks.qa.labels.evidence import Evidence, Labelled, evidence, frequent_words
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
        wrong = corrupted(generator.choice(KINDS), one.words, one.label, others, generator)
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
    assert flagged_wrong >= 0.8 * flagged > 0


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


def test_an_article_is_ranked_by_what_was_learnt_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong labels of one article change the ranking of the others, but not its own model."""
    seen: list[int] = []
    fit = classifier.fit_classifier
    monkeypatch.setattr(
        "retune.tasks.qa.labels.ranking.fit_classifier",
        lambda own, wrong: seen.append(len(own)) or fit(own, wrong),
    )
    ranked_labels(RIGHT)
    assert len(seen) == 5
    assert sum(len(RIGHT) - count for count in seen) == len(RIGHT)


def test_labels_of_one_article_cannot_be_ranked() -> None:
    with pytest.raises(RetuneError, match="all questions are of one article; ranking needs two"):
        ranked_labels([replace(one, title="same") for one in RIGHT[:8]])


def test_passages_without_another_span_cannot_be_ranked() -> None:
    short = [
        replace(RIGHT[0], id=name, title=name, context="Ada", label=(0, 3), expected=(0, 3))
        for name in "ab"
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


def test_no_wrong_label_gives_a_share_of_nothing() -> None:
    assert wrong_probabilities(np.full(100, -3.0)).max() < 1e-5


def drawn(count: int, seed: int) -> list[Evidence]:
    generator = np.random.default_rng(seed)
    return [
        Evidence(tuple(row), ("often",) * (row[0] > 0) + ("ever",))
        for row in generator.normal(seed, 1, (count, 2)).tolist()
    ]


def test_the_classifier_has_the_most_likely_weights_less_the_penalty() -> None:
    """The same as scipy finds, and both kinds of labels count the same."""
    own, wrong = drawn(40, 0), drawn(90, 1)
    found = fit_classifier(own, wrong)
    every = np.array([each.numbers for each in [*own, *wrong]])
    scaled = (every - every.mean(axis=0)) / every.std(axis=0)
    names = np.array([["ever" in e.names, "often" in e.names] for e in [*own, *wrong]], float)
    columns = np.column_stack([scaled, names, np.ones(len(every))])
    sign = np.repeat([-1.0, 1.0], [40, 90])
    counted = np.repeat([130 / 80, 130 / 180], [40, 90])

    def loss(weights: np.ndarray) -> float:
        fits = counted * np.logaddexp(0.0, -sign * (columns @ weights))
        return float(fits.sum() + 5.0 * (weights[:-1] ** 2).sum())

    expected = scipy.optimize.minimize(loss, np.zeros(5), tol=1e-10).x
    assert [*found.weights, found.intercept] == pytest.approx([*expected], abs=1e-4)
    assert found.log_ratio(wrong) == pytest.approx(columns[40:] @ expected, abs=1e-3)


def test_a_rare_name_has_no_weight() -> None:
    rare = [Evidence((0.0,), ("rare",))]
    found = fit_classifier([Evidence((0.0,), ("common",))] * 9 + rare, drawn_names(9))
    assert [*found.names] == ["common"]
    assert found.log_ratio(rare) == pytest.approx([found.intercept])


def drawn_names(count: int) -> list[Evidence]:
    return [Evidence((0.0,), ("common",) if row % 3 else ()) for row in range(count)]


def test_evidence_compares_a_span_with_the_labels_of_the_other_questions() -> None:
    one, *others = RIGHT[:4]
    frequent = frequent_words(each.context for each in RIGHT)
    own = evidence(one, one.label, others, frequent)
    swapped = evidence(one, others[0].label, others, frequent)
    lift, same, touched = own.numbers[7:10]
    assert (same, touched) == (0.0, 0.0)
    likelihood = one.readings.likelihood(one.label).total
    elsewhere = np.mean([other.readings.likelihood(one.label).total for other in others])
    assert lift == pytest.approx(likelihood - elsewhere)
    assert swapped.numbers[8:10] == (1.0, 1.0)
    assert swapped.numbers[7] < lift
    assert evidence(one, one.label, [], frequent).numbers[7:10] == (0.0, 0.0, 0.0)


def test_evidence_names_the_words_at_the_bounds_and_their_shapes() -> None:
    text = "In 1815 Ada, a poet, met Bo"
    one = replace(RIGHT[0], context=text, question="Who met Bo?")
    span = text.index("Ada"), text.index(", met")
    found = evidence(one, span, [], frozenset({"a", "in", "met"}))
    assert found.names == (
        *("before 1815", "first ada", "last poet", "behind ,"),
        *("starts digits capital", "ends letters mark"),
    )
    whole = evidence(one, (0, len(text)), [], frozenset({"a", "in", "met"}))
    assert whole.names[-2:] == ("starts  in", "ends capital ")
    assert whole.numbers[-1] == pytest.approx(2 / 9)  # "met" and "Bo" of its nine pieces
