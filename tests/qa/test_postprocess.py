import json
import math
import unicodedata
import weakref
from dataclasses import fields

import numpy as np
import pytest
import tiny

from bench.nested_loops import nested_loops
from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.tasks.qa.postprocess.logits import read_logits, read_parts
from retune.tasks.qa.postprocess.postprocess import (
    PostprocessParams,
    answers,
    postprocess,
    ranked_answers,
    ranked_in_parts,
)
from retune.tasks.qa.questions.examples import Answer, Example, read_passages, write_examples
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tasks.qa.windows.features import window_writer
from retune.tasks.qa.windows.token_offsets import whole_characters
from retune.tasks.qa.windows.windows import Features, Windows

CONTEXT = "Ada met Bo in Vik"
WORDS = [(0, 3), (4, 7), (8, 10), (11, 13), (14, 17)]
PARAMS = PostprocessParams(n_best=3, max_answer_length=3, null_threshold=0.0)


BYTES = tiny.byte_level()


def example(id_: str, context: str = CONTEXT) -> Example:
    return Example(id_, "", context, "Who?", (Answer("Bo", 8),))


def windows_of(*rows, tokens=WORDS) -> Windows:
    """A window of CLS and all `tokens` for each question in `rows`."""
    length = len(tokens) + 1
    chars = np.array([(0, 0), *tokens] * len(rows), np.int32)
    return Windows(
        example=np.array(rows, np.int64),
        lengths=np.full(len(rows), length, np.int32),
        context_start=np.ones(len(rows), np.int32),
        context_end=np.full(len(rows), length, np.int32),
        cls=np.zeros(len(rows), np.int32),
        char_start=chars[:, 0],
        char_end=chars[:, 1],
    )


def logits_of(*windows):
    """Start and end logits of windows given as {token: (start, end)}; 0 elsewhere."""
    values = np.zeros((len(windows), len(WORDS) + 1, 2), np.float32)
    for row, tokens in enumerate(windows):
        for token, pair in tokens.items():
            values[row, token] = pair
    return values.reshape(-1, 2)


def ranked(logits, *, rows=(0,), squad_v2=False, params=PARAMS, context=CONTEXT):
    examples = [example(f"q{row}", context) for row in sorted(set(rows))]
    return list(ranked_answers(examples, windows_of(*rows), logits, params, squad_v2))


def test_the_answer_is_the_best_span_of_the_context():
    [answer] = ranked(logits_of({3: (5, 1), 5: (0, 3)}))
    assert (answer.id, answer.text, answer.null_score) == ("q0", "Bo in Vik", 0.0)
    first, second, third = answer.candidates
    assert first == {
        "text": "Bo in Vik",
        "start": 8,
        "end": 17,
        "start_logit": 5.0,
        "end_logit": 3.0,
        "probability": pytest.approx(1 / (1 + math.exp(-2) + math.exp(-7))),
    }
    assert (second["text"], third["text"]) == ("Bo", "Ada met Bo")


def test_every_question_has_an_answer_in_the_order_of_the_data():
    values = logits_of({1: (3, 3)}, {2: (3, 3)}, {3: (3, 3)})
    examples = [example("z"), example("a"), example("m")]
    found = answers(examples, windows_of(0, 1, 2), values, PARAMS, False)
    assert list(found.texts.items()) == [("z", "Ada"), ("a", "met"), ("m", "Bo")]
    assert found.counts.sentence() == "3 answers, 0 of them empty"


def test_windows_of_a_question_are_merged_before_they_are_cut():
    first = {1: (9, 9), 2: (8, 8), 3: (6, 6)}
    [answer] = ranked(logits_of(first, first), rows=(0, 0))
    assert [c["text"] for c in answer.candidates] == ["Ada", "Ada met", "met"]
    assert sum(c["probability"] for c in answer.candidates) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("null", "threshold", "text"),
    [(5.0, 0.0, "Bo"), (6.0, 0.0, "Bo"), (6.5, 0.0, ""), (6.5, 0.5, "Bo"), (5.0, -1.5, "")],
)
def test_no_answer_where_the_null_score_is_above_the_threshold(null, threshold, text):
    values = logits_of({0: (null, 0), 3: (3, 3)})
    params = PostprocessParams(n_best=3, max_answer_length=3, null_threshold=threshold)
    [answer] = ranked(values, squad_v2=True, params=params)
    assert answer.text == text
    assert ranked(values, params=params)[0].text == "Bo"


def test_the_null_answer_stands_among_the_candidates_by_its_score():
    [answer] = ranked(logits_of({0: (2, 2), 3: (3, 3)}), squad_v2=True)
    assert [c["text"] for c in answer.candidates] == ["Bo", "", "Ada met Bo", "met Bo"]
    null = answer.candidates[1]
    assert (null["start"], null["end"], null["start_logit"]) == (None, None, None)
    assert sum(c["probability"] for c in answer.candidates) == pytest.approx(1.0)


def test_the_null_score_is_the_lowest_of_all_windows():
    """The kept maximum of some scripts answers "" here: the second window has no answer."""
    values = logits_of({0: (-4, -4), 3: (3, 3)}, {0: (9, 9)})
    [answer] = ranked(values, rows=(0, 0), squad_v2=True)
    assert (answer.text, answer.null_score) == ("Bo", -8.0)


@pytest.mark.parametrize("squad_v2", [False, True])
def test_a_question_without_context_tokens_is_answered_by_nothing(squad_v2):
    windows = windows_of(0, tokens=[(0, 0)])
    found = answers([example("q", " ")], windows, np.zeros((2, 2), np.float32), PARAMS, squad_v2)
    assert found.texts == {"q": ""}
    assert found.counts.sentence().endswith("1 of them empty; no token of the context for q")


def test_an_answer_never_ends_inside_a_character():
    context = unicodedata.normalize("NFD", "le café noir")
    tokens = [(0, 2), (3, 7), (7, 8), (9, 13)]  # the accent is a token of its own
    assert (context[3:7], context[3:8]) == ("cafe", "cafe\u0301")
    values = np.zeros((5, 2), np.float32)
    values[2] = 5, 5
    found = list(ranked_answers([example("q", context)], windows_of(0, tokens=tokens), values,
                                PARAMS, False))  # fmt: skip
    assert found[0].text == context[3:8]
    spans = [(c["start"], c["end"]) for c in found[0].candidates]
    assert len(spans) == len(set(spans)) == 3


def test_tokens_without_characters_do_not_get_any():
    windows = windows_of(0, 1, tokens=[(1, 1), (0, 1), (0, 3)])
    moved = whole_characters(windows, ["a\u0301\u0302b", "abc"])
    assert moved.char_end.tolist() == [0, 1, 3, 3, 0, 1, 1, 3]


def test_logits_that_are_no_numbers_stop_with_question_and_window():
    values = logits_of({}, {}, {4: (0, np.nan)})
    with pytest.raises(RetuneError, match="question q1, window 2: the end logit of a token is nan"):
        ranked(values, rows=(0, 1, 1))
    with pytest.raises(RetuneError, match="window 1: the start logit of a token is inf"):
        ranked(logits_of({0: (np.inf, 0)}))


def test_logits_of_another_size_are_refused():
    with pytest.raises(RetuneError, match=r"shape \(6, 2\), but the windows have 12 tokens"):
        ranked(logits_of({}), rows=(0, 1))


def test_questions_without_windows_are_listed():
    examples = [example(f"q{i}") for i in range(5)]
    with pytest.raises(RetuneError, match="3 questions have no window: q0, q2, q4"):
        list(ranked_answers(examples, windows_of(1, 3), logits_of({}, {}), PARAMS, False))


def test_windows_without_a_question_are_refused():
    with pytest.raises(RetuneError, match="a window belongs to question 7"):
        list(ranked_answers([example("q")], windows_of(0, 7), logits_of({}, {}), PARAMS, False))


def test_windows_of_another_context_are_refused():
    with pytest.raises(RetuneError, match="question q0: a token ends at character 17 of a context"):
        ranked(logits_of({}), context="short")


def test_a_threshold_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("qa: {n_best: 0, max_answer_length: 30, null_threshold: .nan}\n")
    with pytest.raises(RetuneError, match=r"(?s)qa\.n_best.*qa\.null_threshold"), Params(path) as p:
        p.section("qa", PostprocessParams)


def write_logits(folder, windows, values):
    folder.mkdir()
    np.save(folder / "logits.npy", values)
    counts = {"windows": len(windows), "tokens": windows.tokens}
    (folder / "windows.json").write_text(json.dumps(counts))


def test_logits_of_other_windows_are_refused(tmp_path):
    write_logits(tmp_path / "logits", windows_of(0), logits_of({}))
    with pytest.raises(RetuneError, match=r"'windows': 1, 'tokens': 6.*'windows': 2, 'tokens': 12"):
        read_logits(tmp_path / "logits", {"windows": 2, "tokens": 12})


@pytest.mark.parametrize("values", [np.zeros((6, 2)), np.zeros((5, 2), np.float32)])
def test_logits_of_another_form_are_refused(tmp_path, values):
    write_logits(tmp_path / "logits", windows_of(0), values)
    with pytest.raises(RetuneError, match=r"logits.npy: damaged \(float.*dvc repro predict"):
        read_logits(tmp_path / "logits", {"windows": 1, "tokens": 6})


def write_features(path, *parts):
    """Write windows as the tokenize stage does, with ids that nothing here reads."""
    with window_writer(path) as writer:
        for part in parts:
            columns = {field.name: getattr(part, field.name) for field in fields(part)}
            ids = np.zeros(part.tokens, np.int32)
            labels = np.zeros(len(part), np.int32)
            writer.write(Features(**columns, input_ids=ids, token_type_ids=ids,
                                  start_position=labels, end_position=labels))  # fmt: skip


@pytest.fixture
def stage(tmp_path):
    """Run the stage on two questions and return its folder and its closing line."""

    def run(values, name="predictions", squad_v2=True):
        windows = windows_of(0, 1)
        write_features(tmp_path / "test.arrow", windows)
        raw, logits = tmp_path / "raw", tmp_path / f"logits of {name}"
        raw.mkdir(exist_ok=True)
        write_examples(raw / "test.jsonl", [example("q2"), example("q1")])
        write_logits(logits, windows, values)
        predictions = tmp_path / name
        return predictions, postprocess(
            raw, tmp_path, logits, predictions, PARAMS, squad_v2=squad_v2
        )

    return run


def test_the_stage_writes_answers_and_candidates(stage):
    folder, sentence = stage(logits_of({3: (3, 3)}, {0: (9, 9)}))
    assert sentence == "2 answers, 1 of them empty"
    assert (folder / "predictions.json").read_bytes() == b'{\n  "q1": "",\n  "q2": "Bo"\n}\n'
    lines = [json.loads(line) for line in (folder / "nbest.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q2", "q1"]
    assert [line["null_score"] for line in lines] == [0.0, 18.0]
    assert [len(line["candidates"]) for line in lines] == [4, 4]
    for line in lines:
        for candidate in line["candidates"]:
            assert candidate["text"] == (CONTEXT[candidate["start"] : candidate["end"]]
                                         if candidate["text"] else "")  # fmt: skip


def test_the_stage_writes_the_same_bytes_again(stage):
    values = logits_of({3: (3, 3)}, {0: (9, 9)})
    first, second = stage(values)[0], stage(values, "again")[0]
    for name in ("predictions.json", "nbest.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_passages_are_the_ids_and_contexts_of_the_examples(tmp_path):
    examples = [example("q2"), example("q1", "An emoji: \U0001f600")]
    write_examples(tmp_path / "raw.jsonl", examples)
    found = [(passage.id, passage.context) for passage in read_passages(tmp_path / "raw.jsonl")]
    assert found == [(example.id, example.context) for example in examples]


def test_a_stage_that_fails_leaves_the_old_answers(stage):
    folder, _ = stage(logits_of({}, {}))
    before = (folder / "predictions.json").read_bytes()
    folder.parent.joinpath("logits of predictions").rename(folder.parent / "old")
    with pytest.raises(RetuneError, match="logit of a token is nan"):
        stage(logits_of({}, {1: (np.nan, 0)}))
    assert (folder / "predictions.json").read_bytes() == before
    assert not list(folder.parent.glob(".*"))


def test_answers_read_part_by_part_are_those_of_the_whole(tmp_path):
    rows = [0, 0, 1, 2, 2, 3]
    rng = np.random.default_rng(0)
    values = rng.standard_normal((6 * len(rows), 2)).astype(np.float32)
    whole = windows_of(*rows)
    write_features(tmp_path / "test.arrow", windows_of(0, 0, 1), windows_of(2, 2, 3))
    write_logits(tmp_path / "logits", whole, values)
    examples = [example(f"q{row}") for row in range(4)]
    parts = list(read_parts(tmp_path / "test.arrow", tmp_path / "logits"))
    assert [len(part) for part, _ in parts] == [3, 3]
    assert not any(isinstance(part, np.memmap) for _, part in parts)
    found = list(ranked_in_parts(examples, parts, PARAMS, True))
    assert found == list(ranked_answers(examples, whole, values, PARAMS, True))


@pytest.mark.parametrize(
    "name", ["squadshifts/new_wiki_v1.0.json", "xquad/xquad.zh.json", "squad2/dev-v2.0.json"]
)
@pytest.mark.parametrize("levels", [8, 10**6])
def test_real_contexts_have_the_answers_of_the_nested_loops(name, levels, shared_data):
    """With few different logits ties abound; a byte is a token, so that spans stand twice."""
    paragraphs = [
        paragraph
        for article in json.loads(shared_data(name).read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
    ][:8]
    examples = [
        Example(f"{row}-{qa['id']}", "", paragraph["context"], qa["question"], ())
        for row, paragraph in enumerate(paragraphs)
        for qa in paragraph["qas"][:3]
    ]
    lengths = TokenizeParams(
        max_length=384,
        doc_stride=128,
        max_question_length=64,
        windows="all",
        max_lost_answers=0.0,
        max_unknown_tokens=1.0,
    )
    windows = Windower(BYTES, lengths).cut(examples, first_row=0).windows
    rng = np.random.default_rng(0)
    values = (rng.integers(-levels, levels, (windows.tokens, 2)) / levels * 9).astype(np.float32)
    params = PostprocessParams(n_best=20, max_answer_length=30, null_threshold=0.0)
    found = list(ranked_answers(examples, windows, values, params, False))

    contexts = [example.context for example in examples]
    moved, bounds = whole_characters(windows, contexts), windows.window_tokens()
    rows = [
        {
            "cls": windows.cls[row],
            "context_start": windows.context_start[row],
            "context_end": windows.context_end[row],
            "offset_mapping": np.stack([moved.char_start, moved.char_end], axis=1)[
                bounds[row] : bounds[row + 1]
            ].tolist(),
        }
        for row in range(len(windows))
    ]
    logits = [values[bounds[row] : bounds[row + 1]] for row in range(len(windows))]
    windows_of = [np.flatnonzero(windows.example == row) for row in range(len(examples))]
    texts = [(example.id, example.context) for example in examples]
    expected = list(nested_loops(texts, windows_of, rows, logits, 20, 30))
    assert len(windows) > len(examples) > 15
    for answer, other in zip(found, expected, strict=True):
        assert (answer.id, answer.text, answer.null_score) == (
            other["id"], other["text"], other["null_score"]
        )  # fmt: skip
        shares = [span.pop("probability") for span in other["candidates"]]
        assert answer.probability == pytest.approx(shares, abs=1e-9)
        spans = [
            {name: value for name, value in candidate.items() if name != "probability"}
            for candidate in answer.candidates
        ]
        assert spans == other["candidates"]


def test_answers_are_read_without_holding_all_parts(tmp_path, monkeypatch):
    kept, alive = [], []
    real = np.fromfile

    def counted(*arguments, **options):
        values = real(*arguments, **options)
        kept.append(weakref.ref(values))
        alive.append(sum(reference() is not None for reference in kept))
        return values

    monkeypatch.setattr(np, "fromfile", counted)
    rows = range(6)
    write_features(tmp_path / "test.arrow", *(windows_of(row) for row in rows))
    write_logits(tmp_path / "logits", windows_of(*rows), logits_of(*[{}] * 6))
    examples = (example(f"q{row}") for row in rows)
    parts = read_parts(tmp_path / "test.arrow", tmp_path / "logits")
    assert len(list(ranked_in_parts(examples, parts, PARAMS, False))) == 6
    assert len(alive) == 6
    assert max(alive) <= 2  # the part at work, and the next
