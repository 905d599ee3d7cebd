import pytest

from retune.core.errors import RetuneError
from retune.tasks.qa.score.metric import SquadMetric

PREDICTIONS = [
    {"id": "1", "prediction_text": "in 1912"},
    {"id": "2", "prediction_text": "Vik"},
]
REFERENCES = [
    {"id": "2", "answers": {"text": ["Vik", "at Vik"], "answer_start": [3, 0]}},
    {"id": "1", "answers": {"text": ["1912"], "answer_start": [7]}},
]
NONE = {"id": "3", "answers": {"text": [], "answer_start": []}}


@pytest.fixture
def metric(tmp_path):
    return lambda name: SquadMetric(name, cache_dir=str(tmp_path))


def test_squad(metric):
    found = metric("squad").compute(predictions=PREDICTIONS, references=REFERENCES)
    assert found == {"exact_match": 50.0, "f1": pytest.approx(250 / 3), "total": 2}


def test_squad_v2_has_two_groups(metric):
    predictions = [*PREDICTIONS, {"id": "3", "prediction_text": "x"}]
    found = metric("squad_v2").compute(predictions=predictions, references=[*REFERENCES, NONE])
    assert found["exact_match"] == pytest.approx(100 / 3)
    assert (found["HasAns_exact_match"], found["HasAns_total"]) == (50.0, 2)
    assert (found["NoAns_exact_match"], found["NoAns_f1"], found["NoAns_total"]) == (0.0, 0.0, 1)


def test_answers_can_be_added_in_pieces(metric):
    whole = metric("squad").compute(predictions=PREDICTIONS, references=REFERENCES)
    pieces = metric("squad")
    pieces.add(prediction=PREDICTIONS[0], reference=REFERENCES[1])
    pieces.add_batch(predictions=PREDICTIONS[1:], references=REFERENCES[:1])
    assert pieces.compute() == whole


def test_keys_that_it_does_not_need_are_left_out(metric):
    predictions = [row | {"no_answer_probability": 0.0} for row in PREDICTIONS]
    references = [row | {"context": "in Vik in 1912"} for row in REFERENCES]
    found = metric("squad_v2").compute(predictions=predictions, references=references)
    assert found["exact_match"] == 50.0


def test_the_normalizer_can_be_chosen(metric):
    predictions = [{"id": "1", "prediction_text": "北京"}]
    references = [{"id": "1", "answers": {"text": ["北京市"], "answer_start": [0]}}]
    found = metric("squad").compute(
        predictions=predictions, references=references, normalizer="characters"
    )
    assert found["f1"] == pytest.approx(80.0)


def test_an_unknown_task_is_refused():
    with pytest.raises(RetuneError, match="no metric 'squad_v3'; allowed: squad, squad_v2"):
        SquadMetric("squad_v3")


@pytest.mark.parametrize(
    "row", [{"id": 1, "prediction_text": "a"}, {"id": "1", "prediction_text": None}]
)
def test_ids_and_answers_must_be_text(metric, row):
    with pytest.raises(RetuneError, match="id and prediction_text must be text"):
        metric("squad").compute(predictions=[row], references=REFERENCES[1:])


def test_two_answers_to_one_question_are_refused(metric):
    with pytest.raises(RetuneError, match="an id appears in two predictions"):
        metric("squad").compute(predictions=PREDICTIONS[:1] * 2, references=REFERENCES)
