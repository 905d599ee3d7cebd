"""Answers that do not fit the questions, and scores that must not move: one row a fault."""

import json
import random
import string
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import squad_definition
from hypothesis import given, settings
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.user_errors import guarded
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.metric import SquadMetric
from retune.tasks.qa.score.score import (
    Normalizer,
    ScoreParams,
    best_scores,
    evaluate_answers,
    score,
)

GOLD = {"1": ("Bo", "Bo Li"), "2": ("in Vik",), "3": ("1912",)}
ANSWERS = {"1": "Bo Li!", "2": "Vik", "3": "1913"}


class Run:
    """The score stage on answers to questions."""

    def __init__(
        self, folder: Path, predictions: Any, gold: Any = GOLD, normalizer: Normalizer = "squad"
    ) -> None:
        self.folder, self.metrics = folder, folder / "metrics" / "qa.json"
        self.params = ScoreParams(normalizer)
        examples = [
            Example(name, "", "a context", "What?", tuple(Answer(text, 0) for text in texts))
            for name, texts in (gold.items() if isinstance(gold, dict) else gold)
        ]
        write_examples(folder / "raw" / "test.jsonl", examples)
        text = predictions if isinstance(predictions, str) else json.dumps(predictions)
        (folder / "predictions").mkdir(exist_ok=True)
        (folder / "predictions" / "predictions.json").write_text(text, encoding="utf-8")

    def __call__(self, *, squad_v2: bool = False) -> dict[str, Any]:
        raw, predictions = self.folder / "raw", self.folder / "predictions"
        score(raw, predictions, self.metrics, self.folder / "scores", self.params,
              squad_v2=squad_v2, keep="best")  # fmt: skip
        return dict(json.loads(self.metrics.read_bytes())["qa"])


PROTOCOL = {"normalizer", "scored_split", "kept_epoch"}
MANY = {str(number): ("x",) for number in range(30)}

# predictions, questions, what the message says
REFUSED = [
    pytest.param(
        {"1": "Bo", "2": "Vik", "9": "x"}, GOLD,
        "questions without a prediction: 3; predictions without a question: 9; run the post",
        id="S01 other ids, as many",
    ),
    pytest.param(
        {}, MANY, "without a prediction: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more;",
        id="S02 fewer predictions",
    ),
    pytest.param(
        ANSWERS | {"9": "x"}, GOLD, "predictions without a question: 9;", id="S02 one too many"
    ),
    pytest.param(
        ANSWERS, [*GOLD.items(), ("2", ("other",))], "ids that appear twice in the data: 2;",
        id="S03 one id on two questions",
    ),
    pytest.param(
        '{"1": "Bo", "2": "Vik", "3": "", "2": "Oslo"}', GOLD,
        "predictions.json: ids that appear twice: 2; give each one answer",
        id="S03 two answers to one id",
    ),
    pytest.param(
        ANSWERS | {"3": None}, GOLD, "predictions that are not text: 3 (None);", id="S06 null"
    ),
    pytest.param(
        ANSWERS | {"3": 1912}, GOLD, "predictions that are not text: 3 (1912);", id="S06 number"
    ),
    pytest.param(
        ["Bo", "Vik", "1912"], GOLD, "is not an object of answers by question id", id="S06 list"
    ),
    pytest.param({}, {}, "there is no question to score; check qa.download", id="S07 empty set"),
]  # fmt: skip


@pytest.mark.parametrize(("predictions", "gold", "message"), REFUSED)
def test_answers_that_do_not_fit_are_refused_by_id(
    predictions: Any, gold: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, predictions, gold)
    assert guarded(run, "stage") == 1
    error = capsys.readouterr().err
    assert error.startswith("stage: error: ")
    assert message in error
    assert not run.metrics.exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"id": 1, "prediction_text": "Bo"}, "must be text", id="S06 integer id"),
        pytest.param({"id": "1", "prediction_text": None}, "must be text", id="S06 no text"),
        pytest.param(
            {"id": "1", "prediction_text": "Bo", "no_answer_probability": float("nan")},
            "no_answer_probability must be a finite number",
            id="S09 NaN for a probability",
        ),
    ],
)
def test_the_metric_refuses_values_of_other_types(
    row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    reference = {"id": "1", "answers": {"text": ["Bo"], "answer_start": [0]}}
    with pytest.raises(RetuneError, match=message):
        SquadMetric("squad_v2", cache_dir=str(tmp_path)).compute(
            predictions=[row], references=[reference]
        )


@pytest.mark.parametrize(
    ("gold", "answer", "exact_match", "f1", "counted"),
    [
        pytest.param("the", "a", 1, 0.0, 1, id="S04 article only"),
        pytest.param("—?!", "", 0, 0.0, 0, id="S04 a dash is a token"),
        pytest.param("?!", "", 1, 0.0, 1, id="S04 punctuation only"),
        pytest.param("?!", "Vik", 0, 0.0, 1, id="S04 and a wrong answer"),
    ],
)
def test_references_without_tokens_score_as_in_squad_and_are_counted(
    gold: str, answer: str, exact_match: int, f1: float, counted: int, tmp_path: Path
) -> None:
    (details,) = Run(tmp_path, {"1": answer}, {"1": (gold,)})()["details"]
    assert (details["exact_matches"], details["f1"]) == (exact_match, f1)
    assert details["references_without_tokens"] == counted


@pytest.mark.parametrize(
    ("gold", "answer", "squad", "other", "normalizer"),
    [
        pytest.param("café", "cafe\u0301", (0, 0), (1, 1), "plain", id="S05 NFC and NFD"),
        pytest.param("“Vik”", '"Vik"', (0, 0), (1, 1), "plain", id="S05 curly quotes"),
        pytest.param("Vi\u200bk", "Vik", (0, 0), (1, 1), "plain", id="S05 zero-width space"),
        pytest.param("İda", "i\u0307da", (1, 1), (1, 1), "plain", id="S05 dotted capital I"),
        pytest.param("北京市", "北京", (0, 0), (0, 0.8), "characters", id="S08 part in Chinese"),
        pytest.param("北京市", "北京", (0, 0), (0, 0), "plain", id="S08 words of Chinese"),
    ],
)
def test_other_scripts_need_another_normalizer(
    gold: str,
    answer: str,
    squad: tuple[float, float],
    other: tuple[float, float],
    normalizer: Normalizer,
    tmp_path: Path,
) -> None:
    assert unicodedata.normalize("NFC", gold) == gold
    for name, expected in (("squad", squad), (normalizer, other)):
        assert best_scores(answer, [gold], squad_v2=False, normalizer=name) == pytest.approx(
            expected
        )
    (details,) = Run(tmp_path, {"1": answer}, {"1": (gold,)}, normalizer)()["details"]
    assert details["normalizer"] == normalizer  # so that the figures say which they are


def metric(folder: Path, probabilities: list[float | None]) -> dict[str, float]:
    predictions = [
        {"id": str(number), "prediction_text": "Bo", "no_answer_probability": probability}
        for number, probability in enumerate(probabilities)
    ]
    references = [
        {"id": row["id"], "answers": {"text": ["Bo"], "answer_start": [0]}} for row in predictions
    ]
    figures: dict[str, float] = SquadMetric("squad_v2", cache_dir=str(folder)).compute(
        predictions=predictions, references=references
    )
    return figures


@pytest.mark.parametrize(
    ("probabilities", "best"),
    [
        pytest.param([None, None], None, id="S09 none given: no threshold to be found"),
        pytest.param([0.25, 0.5], 0.5, id="S09 given"),
    ],
)
def test_probabilities_of_no_answer_are_optional(
    probabilities: list[float | None], best: float | None, tmp_path: Path
) -> None:
    figures = metric(tmp_path, probabilities)
    assert figures["exact_match"] == 100.0
    assert figures.get("best_f1_threshold") == best


@pytest.mark.parametrize(
    "probabilities", [pytest.param([0.5, None, None], id="S09 some are missing")]
)
def test_some_probabilities_are_refused(probabilities: list[float | None], tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="without no_answer_probability: 1, 2; give all or none"):
        metric(tmp_path, probabilities)


FIGURES = {"exact_match", "exact_matches", "f1", "questions", "references_without_tokens"}


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("gold", "squad_v2"),
    [
        pytest.param(GOLD, False, id="S10 SQuAD 1.1"),
        pytest.param(GOLD | {"3": ()}, True, id="S10 SQuAD 2.0"),
    ],
)
def test_figures_written_twice_are_the_same_bytes_and_hold_no_time(
    gold: Any, squad_v2: bool, tmp_path: Path
) -> None:
    run = Run(tmp_path, ANSWERS, gold)
    figures = run(squad_v2=squad_v2)
    first = run.metrics.read_bytes()
    run.metrics.unlink()
    run(squad_v2=squad_v2)
    assert run.metrics.read_bytes() == first
    assert keys(figures) == FIGURES | {"details", "group", *PROTOCOL}


@pytest.mark.parametrize(
    "gold", [pytest.param(GOLD, id="S11 sorted keys, shortest floats, a line at the end")]
)
def test_the_metrics_file_is_written_in_one_way_only(gold: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, ANSWERS, gold)
    figures = run()
    text = json.dumps({"qa": figures}, indent=2, sort_keys=True, ensure_ascii=False)
    assert run.metrics.read_text(encoding="utf-8") == f"{text}\n"
    assert "33.333333333333336" in text


@pytest.mark.parametrize("seed", [pytest.param(3, id="S12 any order of the questions")])
def test_the_order_of_the_questions_moves_no_digit(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    words = string.ascii_letters
    gold = [(str(n), (" ".join(chance.choices(words, k=7)),)) for n in range(400)]
    predictions = {name: " ".join(chance.choices(words, k=5)) for name, _ in gold}
    shuffled = chance.sample(gold, len(gold))
    one, other = (evaluate_answers(part, predictions, squad_v2=False) for part in (gold, shuffled))
    assert sum(one.f1s.tolist()) != sum(other.f1s.tolist())  # what a plain sum would do
    assert one.f1 == other.f1
    assert Run(tmp_path, predictions, gold)()["details"][0]["exact_matches"] == int(one.exact.sum())


#: Texts in which every rule of the definition is met.
WORDS = [
    *("the", "The", "a", "an", "Theo", "1,000", "cat.", "Cat", "—", "“cat”", "'", "U.S.", "café"),
    *("the-cat", "the—cat", "İ", "\u200b", "\x1f", "\x00the", "ﬁ", "東京", "", " ", "\u00a0"),
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.text(max_size=12)


@st.composite
def documents(draw: st.DrawFn, fewest: int) -> tuple[dict[str, Any], dict[str, str]]:
    """A document in SQuAD's layout and its predictions in another order."""
    numbers = iter(range(1000))
    question = st.lists(TEXTS, min_size=fewest, max_size=3)
    paragraphs = draw(st.lists(st.lists(question, min_size=1, max_size=4), min_size=1, max_size=3))
    article = [
        {"qas": [{"id": f"q{next(numbers)}", "answers": [
            {"text": text, "answer_start": 0} for text in texts]} for texts in paragraph]}
        for paragraph in paragraphs
    ]  # fmt: skip
    document = {"data": [{"title": "", "paragraphs": article}]}
    gold = dict(squad_definition.questions(document))
    order = draw(st.permutations(sorted(gold)))
    # Often one of the references, that there be something to agree about.
    return document, {name: draw(st.sampled_from([*gold[name], ""]) | TEXTS) for name in order}


@given(documents(fewest=1))
def test_squad_1_equals_its_definition(drawn: tuple[dict[str, Any], dict[str, str]]) -> None:
    document, predictions = drawn
    gold = list(squad_definition.questions(document))
    ours = evaluate_answers(gold, predictions, squad_v2=False)
    theirs = squad_definition.squad(document, predictions)
    assert ours.exact_match == theirs["exact_match"]
    assert ours.f1 == pytest.approx(theirs["f1"], rel=1e-12)


@settings(max_examples=40)
@given(drawn=documents(fewest=0), data=st.data(), threshold=st.sampled_from([1.0, 0.5, 0.0]))
def test_squad_2_equals_its_definition_with_groups_and_best_thresholds(
    drawn: tuple[dict[str, Any], dict[str, str]],
    data: st.DataObject,
    threshold: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    document, predictions = drawn
    probability = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)  # with ties
    no_answer = {name: data.draw(probability) for name in predictions}
    rows = [
        {"id": name, "prediction_text": text, "no_answer_probability": no_answer[name]}
        for name, text in predictions.items()
    ]
    references = [
        {"id": name, "answers": {"text": texts, "answer_start": [0] * len(texts)}}
        for name, texts in squad_definition.questions(document)
    ]
    folder = tmp_path_factory.mktemp("metric")
    ours = SquadMetric("squad_v2", cache_dir=str(folder)).compute(
        predictions=rows, references=references, no_answer_threshold=threshold
    )
    theirs = squad_definition.squad_v2(document, predictions, no_answer, threshold)
    assert ours == pytest.approx(theirs, rel=1e-12)


@given(documents(fewest=1), st.data())
def test_ids_that_the_script_lets_pass_are_refused(
    drawn: tuple[dict[str, Any], dict[str, str]], data: st.DataObject
) -> None:
    document, predictions = drawn
    lost = data.draw(st.sampled_from(sorted(predictions)))
    others = {f"x{name}" if name == lost else name: text for name, text in predictions.items()}
    squad_definition.squad(document, others)  # which counts the question as wrong
    gold = list(squad_definition.questions(document))
    with pytest.raises(RetuneError, match=f"prediction: {lost}; predictions .*: x{lost};"):
        evaluate_answers(gold, others, squad_v2=False)
