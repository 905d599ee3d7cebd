import json
import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.normalizers import NORMALIZERS, characters, plain, squad
from retune.tasks.qa.score.question_scores import read_question_scores
from retune.tasks.qa.score.score import (
    ScoreParams,
    best_scores,
    evaluate_answers,
    groups,
    score,
)

#: Texts in which every rule of the definition is met.
WORDS = [
    *("the", "The", "a", "an", "Theo", "1,000", "cat.", "Cat", "—", "“cat”", "'", "U.S.", "café"),
    *("the-cat", "the—cat", "İ", "\u200b", "\x1f", "\x00the", "ﬁ", "東京", "", " ", "\u00a0"),
]
texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.text(max_size=12)


def reference_tokens(text):
    """The four steps of the SQuAD definition, one after the other."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def reference_f1(prediction, reference):
    """SQuAD 2.0's F1 of two texts."""
    one, two = reference_tokens(prediction), reference_tokens(reference)
    if one == [] or two == []:
        return 1.0 if one == two else 0.0
    rest, common = list(two), 0
    for token in one:
        if token in rest:
            rest.remove(token)
            common += 1
    if common == 0:
        return 0.0
    precision, recall = common / len(one), common / len(two)
    return 2 * precision * recall / (precision + recall)


def reference_v2(prediction, references):
    golds = [reference for reference in references if " ".join(reference_tokens(reference))]
    golds = golds or [""]
    exact = max(int(reference_tokens(prediction) == reference_tokens(gold)) for gold in golds)
    return exact, max(reference_f1(prediction, gold) for gold in golds)


@given(texts)
def test_normalizing_follows_the_definition(text):
    assert squad(text) == reference_tokens(text)


@given(texts, st.lists(texts, max_size=3))
def test_squad_v2_equals_a_derivation_of_its_own(prediction, references):
    found = best_scores(prediction, references, squad_v2=True)
    assert found == reference_v2(prediction, references)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=8))
def test_squad_equals_torchmetrics(questions):
    from torchmetrics.functional.text import squad as torchmetrics_squad

    gold = [(str(i), references) for i, (_, references) in enumerate(questions)]
    predictions = {str(i): prediction for i, (prediction, _) in enumerate(questions)}
    theirs = torchmetrics_squad(
        [{"id": i, "prediction_text": text} for i, text in predictions.items()],
        [
            {"id": i, "answers": {"text": references, "answer_start": [0] * len(references)}}
            for i, references in gold
        ],
    )
    ours = evaluate_answers(gold, predictions, squad_v2=False)
    assert ours.exact_match == pytest.approx(float(theirs["exact_match"]), rel=1e-6)
    # Where neither text has tokens torchmetrics gives F1 1, as SQuAD 2.0 does; 1.1 gives 0.
    empty = [not reference_tokens(p) and [] in map(reference_tokens, rs) for p, rs in questions]
    if not any(empty):
        assert ours.f1 == pytest.approx(float(theirs["f1"]), rel=1e-5)  # theirs in float32


@pytest.mark.parametrize(
    ("prediction", "references", "v1", "v2"),
    [
        ("The Cat!", ["cat"], (1, 1), (1, 1)),
        ("black cat", ["cat", "dog"], (0, 2 / 3), (0, 2 / 3)),
        ("the", ["a"], (1, 0), (1, 1)),  # no tokens on either side: where the two differ
        ("cat", ["the"], (0, 0), (0, 0)),
        ("the", ["cat"], (0, 0), (0, 0)),
        ("", ["the", "cat"], (1, 0), (0, 0)),  # 2.0 drops "the" beside another reference
        ("cat", ["the", "cat"], (1, 1), (1, 1)),
        ("cat cat", ["cat"], (0, 2 / 3), (0, 2 / 3)),
        ("1,000", ["1000"], (1, 1), (1, 1)),
    ],
)
def test_known_scores(prediction, references, v1, v2):
    assert best_scores(prediction, references, squad_v2=False) == pytest.approx(v1)
    assert best_scores(prediction, references, squad_v2=True) == pytest.approx(v2)


def test_unanswerable_questions_want_the_empty_answer():
    assert best_scores("", [], squad_v2=True) == (1, 1)
    assert best_scores("cat", [], squad_v2=True) == (0, 0)


GOLD = [("1", ["Bo", "Bo Li"]), ("2", ["in Vik"]), ("3", [])]
PREDICTIONS = {"3": "", "1": "Bo Li!", "2": "Vik"}


def test_scores_follow_the_order_of_the_gold_ids():
    scores = evaluate_answers(GOLD, PREDICTIONS, squad_v2=True)
    assert scores.ids == ("1", "2", "3")
    assert scores.exact.tolist() == [True, False, True]
    np.testing.assert_allclose(scores.f1s, [1, 2 / 3, 1])
    assert scores.exact_match == pytest.approx(200 / 3)
    assert scores.f1 == pytest.approx(800 / 9)


def test_questions_with_and_without_answer_are_groups():
    scores = evaluate_answers(GOLD, PREDICTIONS, squad_v2=True)
    parts = groups(scores, squad_v2=True)
    assert {name: part.ids for name, part in parts.items()} == {
        "all": ("1", "2", "3"),
        "HasAns": ("1", "2"),
        "NoAns": ("3",),
    }
    assert parts["HasAns"].exact_match == 50.0
    assert list(groups(scores, squad_v2=False)) == ["all"]


def test_a_group_without_questions_is_left_out():
    scores = evaluate_answers(GOLD[:2], {"1": "", "2": ""}, squad_v2=True)
    assert list(groups(scores, squad_v2=True)) == ["all", "HasAns"]


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"1": "", "2": ""}, "questions without a prediction: 3;"),
        ({}, "questions without a prediction: 1, 2, 3;"),
        (PREDICTIONS | {"9": ""}, "predictions without a question: 9;"),
        (PREDICTIONS | {"2": None}, r"predictions that are not text: 2 \(None\);"),
        (
            {str(i): "" for i in range(20)},
            "predictions without a question: 0, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 7 more;",
        ),
    ],
)
def test_ids_that_do_not_fit_are_listed(predictions, message):
    with pytest.raises(RetuneError, match=message):
        evaluate_answers(GOLD, predictions, squad_v2=True)


def test_duplicate_ids_are_refused():
    with pytest.raises(RetuneError, match="ids that appear twice in the data: 1;"):
        evaluate_answers([("1", ["a"]), ("1", ["b"])], {"1": "a"}, squad_v2=False)


def test_an_empty_set_is_refused():
    with pytest.raises(RetuneError, match="no question to score"):
        evaluate_answers([], {}, squad_v2=False)


def test_questions_without_answers_are_refused_in_squad_1():
    with pytest.raises(RetuneError, match=r"no reference answer for 3; set qa\.squad_v2: true"):
        evaluate_answers(GOLD, PREDICTIONS, squad_v2=False)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Der Hund, „Bello“ — a the", ["der", "hund", "bello", "a", "the"]),
        ("ﬁn\u200bal\u00ad Straße \uff12\uff10\uff11\uff16 $5", ["final", "strasse", "2016", "5"]),
        ("\u0633\u0624\u0627\u0644\u061f", ["\u0633\u0624\u0627\u0644"]),  # Arabic question mark
        ("東京、2016年。", ["東京2016年"]),
    ],
)
def test_plain_keeps_articles_and_drops_the_punctuation_of_any_script(text, tokens):
    assert plain(text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("東京、2016年。", ["東", "京", "2016", "年"]),
        ("在 Berlin 出生", ["在", "berlin", "出", "生"]),
        ("カメラ", ["カ", "メ", "ラ"]),
        ("\uff21《水浒传》", ["a", "水", "浒", "传"]),
    ],
)
def test_characters_of_scripts_without_spaces_are_tokens(text, tokens):
    assert characters(text) == tokens


def test_part_of_a_chinese_answer_scores_by_characters_only():
    assert best_scores("北京大", ["北京大学"], squad_v2=False) == (0, 0)
    exact, f1 = best_scores("北京大", ["北京大学"], squad_v2=False, normalizer="characters")
    assert (exact, f1) == (0, pytest.approx(6 / 7))


@given(texts)
def test_tokens_are_whole_words_without_space(text):
    for normalize in NORMALIZERS.values():
        tokens = normalize(text)
        assert " ".join(tokens).split() == tokens
        assert Counter(tokens) == Counter(normalize(" ".join(tokens)))


def test_params_name_every_normalizer(tmp_path):
    path = tmp_path / "params.yaml"
    for name in NORMALIZERS:
        path.write_text(f"score: {{normalizer: {name}}}\n")
        with Params(path) as params:
            assert params.section("score", ScoreParams).normalizer == name
    path.write_text("score: {normalizer: french}\n")
    with pytest.raises(RetuneError, match=r"score\.normalizer"), Params(path) as params:
        params.section("score", ScoreParams)


def write_run(folder, predictions):
    answers = {"1": ("Bo", "the"), "2": ("a",), "3": ()}
    examples = [
        Example(id_, "", "Bo the a", "?", tuple(Answer(t, 0) for t in texts))
        for id_, texts in answers.items()
    ]
    write_examples(folder / "raw" / "test.jsonl", examples)
    (folder / "predictions").mkdir()
    (folder / "predictions" / "predictions.json").write_text(json.dumps(predictions))


def test_the_stage_writes_two_figures_and_the_groups(tmp_path):
    write_run(tmp_path, {"1": "Bo", "2": "Vik", "3": "x"})
    metrics = tmp_path / "metrics" / "qa.json"
    params = ScoreParams(normalizer="squad")
    line = score(tmp_path / "raw", tmp_path / "predictions", metrics, tmp_path / "scores", params,
                 squad_v2=True, keep="last")  # fmt: skip
    assert line == "EM 33.33, F1 33.33 over 3 questions"
    found = json.loads(metrics.read_text())["qa"]
    details = found.pop("details")
    assert found == {"exact_match": pytest.approx(100 / 3), "f1": pytest.approx(100 / 3)}
    assert [row["group"] for row in details] == ["all", "HasAns", "NoAns"]
    assert details[1] == {
        "group": "HasAns",
        "questions": 2,
        "exact_match": 50.0,
        "exact_matches": 1,
        "f1": 50.0,
        "normalizer": "squad",
        "references_without_tokens": 1,
        "scored_split": "test",
        "kept_epoch": "last",
    }


def test_the_stage_writes_the_score_of_each_question(tmp_path):
    write_run(tmp_path, {"1": "Bo a", "2": "Vik", "3": ""})
    score(tmp_path / "raw", tmp_path / "predictions", tmp_path / "qa.json", tmp_path / "scores",
          ScoreParams(normalizer="squad"), squad_v2=True, keep="best")  # fmt: skip
    (details, *_) = json.loads((tmp_path / "qa.json").read_text())["qa"]["details"]
    assert details["kept_epoch"] == "best on validation"
    first, second, third = read_question_scores(tmp_path / "scores" / "questions.jsonl")
    assert (first.id, first.references, first.answer, first.f1) == ("1", ("Bo", "the"), "Bo a", 1)
    assert (second.exact_match, second.f1, second.answer) == (False, 0, "Vik")
    assert (third.references, third.exact_match, third.f1) == ((), True, 1)
    assert len({first.passage, second.passage, third.passage}) == 1
    assert details["f1"] == pytest.approx(100 * (first.f1 + second.f1 + third.f1) / 3)


def test_the_stage_refuses_the_predictions_of_other_data(tmp_path):
    write_run(tmp_path, {"1": "Bo", "2": "Vik", "4": "x"})
    metrics, params = tmp_path / "qa.json", ScoreParams(normalizer="squad")
    with pytest.raises(RetuneError, match=r"without a prediction: 3; predictions without .*: 4"):
        score(tmp_path / "raw", tmp_path / "predictions", metrics, tmp_path / "scores", params,
              squad_v2=True, keep="best")  # fmt: skip
    assert not (tmp_path / "scores").exists()
    assert not metrics.exists()
