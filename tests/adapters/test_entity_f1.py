import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.ner.train.entity_f1 import Entity, Score, entities, entity_scores

GOLDENS = json.loads(
    (Path(__file__).parents[1] / "reference/entity_goldens.json").read_text(encoding="utf-8")
)
TYPES = ["PER", "LOC", "LOC-A"]


def test_scores_are_those_of_seqeval() -> None:
    assert len(GOLDENS) == 400
    for golden in GOLDENS:
        scores = entity_scores(zip(golden["references"], golden["predictions"], strict=True))
        overall = golden["scores"].pop("micro avg", [0.0, 0.0, 0.0, 0])
        assert list(scores.overall) == pytest.approx(percent(overall), abs=1e-9)
        assert scores.by_type.keys() == golden["scores"].keys()
        for name, expected in golden["scores"].items():
            assert list(scores.by_type[name]) == pytest.approx(percent(expected), abs=1e-9)


def percent(figures: list[Any]) -> list[float]:
    return [100 * figures[0], 100 * figures[1], 100 * figures[2], figures[3]]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O", [("PER", 0, 2)]),
        ("B-PER B-PER", [("PER", 0, 1), ("PER", 1, 2)]),
        ("O I-PER I-PER", [("PER", 1, 3)]),  # what continues nothing begins an entity
        ("B-PER I-LOC", [("PER", 0, 1), ("LOC", 1, 2)]),
        ("I-LOC I-LOC-A", [("LOC", 0, 1), ("LOC-A", 1, 2)]),
    ],
)
def test_entities_of_tags(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert list(entities(tags.split())) == [Entity(*each) for each in expected]


@st.composite
def marked(draw: st.DrawFn) -> tuple[list[str], list[Entity]]:
    """Tags of IOB2 made of entities, and these."""
    tags: list[str] = []
    made: list[Entity] = []
    for kind in draw(st.lists(st.sampled_from([None, *TYPES]), max_size=8)):
        if kind is None:
            tags.append("O")
            continue
        length = draw(st.integers(1, 3))
        made.append(Entity(kind, len(tags), len(tags) + length))
        tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
    return tags, made


@given(st.lists(marked(), min_size=1, max_size=4))
def test_iob2_is_read_back_and_agrees_with_itself(
    sentences: list[tuple[list[str], list[Entity]]],
) -> None:
    for tags, made in sentences:
        assert list(entities(tags)) == made
    scores = entity_scores((tags, tags) for tags, _ in sentences)
    count = sum(len(made) for _, made in sentences)
    perfect = Score(100.0, 100.0, 100.0, count) if count else Score(0.0, 0.0, 0.0, 0)
    assert scores.overall == perfect


any_tags = st.lists(
    st.sampled_from(["O", *(f"{p}-{t}" for p in "BI" for t in TYPES)]), min_size=1, max_size=6
)


@given(any_tags, st.data())
def test_swapping_reference_and_prediction_swaps_precision_and_recall(
    reference: list[str], data: st.DataObject
) -> None:
    prediction = data.draw(st.permutations(reference))
    there = entity_scores([(reference, prediction)]).overall
    back = entity_scores([(prediction, reference)]).overall
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert there.f1 == pytest.approx(back.f1)
