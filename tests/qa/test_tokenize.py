import json
from dataclasses import astuple, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.feature_files import explained
from retune.core.files import sha256
from retune.core.params import load_yaml
from retune.core.user_errors import user_message
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import Cut, TokenizeParams, Windower, tokenize
from retune.tasks.qa.windows.features import count_windows, feature_batches, read_rows, read_windows

TOKENIZERS = {"wordpiece": tiny.wordpiece(), "byte_level": tiny.byte_level()}
SCRIPTS = [
    "plain words, 1990s-style (really)",
    "café crème, naïve",  # composed
    "cafe\u0301 cre\u0300me",  # combining accents
    "emoji 😀😀 and 👩‍👩‍👧 family",
    "中文 没有 空格 的 句子",
    "مرحبا بالعالم",
    "zero\u200bwidth soft\u00adhyphen \u0000 control",
    "tab\tline\r\nbreak   spaces",
    "ß İ ﬁ Ω [SEP] </s>",
]


def params(**changes: Any) -> TokenizeParams:
    values = {
        "max_length": 40,
        "doc_stride": 8,
        "max_question_length": 12,
        "windows": "all",
        "max_lost_answers": 1.0,
        "max_unknown_tokens": 1.0,
    }
    return TokenizeParams(**(values | changes))


def example(context: str, answer: str | None = None, question: str = "Who?") -> Example:
    answers = () if answer is None else (Answer(answer, context.index(answer)),)
    return Example("q1", "title", context, question, answers)


class Question(NamedTuple):
    """The windows of one question, each with the columns of `Features` as attributes."""

    windows: list[Any]
    question_cut: int


def split(cut: Cut) -> list[Question]:
    """The questions of a cut, one by one."""
    features, bounds = cut.windows, cut.windows.window_tokens()
    per_token = {"char_start", "char_end", "input_ids", "token_type_ids"}
    questions = [Question([], int(number)) for number in cut.question_cut]
    for row, question in enumerate((features.example - features.example[0]).tolist()):
        tokens = slice(bounds[row], bounds[row + 1])
        values = {
            field.name: getattr(features, field.name)[tokens if field.name in per_token else row]
            for field in fields(features)
        }
        questions[question].windows.append(SimpleNamespace(**values))
    return questions


def cut(kind: str, of: Example, **changes: Any) -> Question:
    return split(Windower(TOKENIZERS[kind], params(**changes)).cut([of], first_row=0))[0]


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=40)
@given(
    context=st.lists(st.sampled_from(SCRIPTS), min_size=1, max_size=8).map(" ".join),
    question=st.sampled_from(["Who?", "What is it then, really?", "谁 😀?"]),
    size=st.tuples(st.integers(24, 60), st.integers(0, 10)),
)
def test_windows_are_those_of_the_tokenizer(
    kind: str, context: str, question: str, size: tuple[int, int]
) -> None:
    tokenizer, (max_length, stride) = TOKENIZERS[kind], size
    windower = Windower(
        tokenizer, params(max_length=max_length, doc_stride=stride, max_question_length=9)
    )
    ours = split(windower.cut([example(context, question=question)], first_row=0))[0]
    if ours.question_cut:
        return
    theirs = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        split_special_tokens=True,
    )
    assert [w.input_ids.tolist() for w in ours.windows] == theirs["input_ids"]
    if kind == "wordpiece":
        assert [w.token_type_ids.tolist() for w in ours.windows] == theirs["token_type_ids"]
    for row, window in enumerate(ours.windows):
        inside = slice(window.context_start, window.context_end)
        assert [i for i, s in enumerate(theirs.sequence_ids(row)) if s == 1] == list(
            range(window.context_start, window.context_end)
        )
        ends = [end for _, end in theirs["offset_mapping"][row][inside]]
        assert window.char_end[inside].tolist() == ends


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=40)
@given(data=st.data())
def test_questions_cut_together_have_the_windows_that_each_has_alone(
    kind: str, data: st.DataObject
) -> None:
    texts = st.lists(st.sampled_from(SCRIPTS), max_size=6).map(" ".join)
    contexts = data.draw(st.lists(texts, min_size=1, max_size=3))
    examples = []
    for number in range(data.draw(st.integers(1, 5))):
        context = data.draw(st.sampled_from(contexts))
        answer = data.draw(st.sampled_from([None, *context.split(" ")])) or None
        question = data.draw(st.sampled_from(["Who?", "What is it then, really?"]))
        examples.append(example(context, answer, f"{question} {number}"))
    windower = Windower(TOKENIZERS[kind], params(max_length=30, max_question_length=9))
    together = split(windower.cut(examples, first_row=7))
    for row, (question, of) in enumerate(zip(together, examples, strict=True)):
        alone = split(windower.cut([of], first_row=7 + row))[0]
        assert repr(question) == repr(alone)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=60)
@given(
    words=st.lists(st.sampled_from(" ".join(SCRIPTS).split(" ")), min_size=1, max_size=40),
    data=st.data(),
)
def test_a_label_holds_its_answer_in_every_script(
    kind: str, words: list[str], data: st.DataObject
) -> None:
    context = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    start = len(" ".join([*words[:first], ""]))
    answer = " ".join(words[first : last + 1])
    if not answer.strip():
        return
    of = Example("q", "t", context, "Who?", (Answer(answer, start),))
    for window in cut(kind, of, max_length=60, doc_stride=20).windows:
        low, high = window.start_position, window.end_position
        if low == window.cls:
            assert high == window.cls
            continue
        assert window.context_start <= low <= high < window.context_end
        text = context[window.char_start[low] : window.char_end[high]]
        # Characters that the tokenizer drops belong to no token; nothing else is missing.
        lost = answer.replace(text, "") if text in answer else ""
        assert answer in text or all(not c.isalnum() for c in lost)


def test_segments_are_told_apart_where_the_tokenizer_knows_no_token_types() -> None:
    window = cut("byte_level", example("a context")).windows[0]
    assert set(
        TOKENIZERS["byte_level"]("a", "b", return_token_type_ids=True)["token_type_ids"]
    ) == {0}
    context = window.token_type_ids[window.context_start : window.context_end]
    assert set(context.tolist()) == {1}
    assert set(window.token_type_ids[: window.context_start].tolist()) == {0}


def test_an_answer_that_every_window_cuts_is_labelled_cls() -> None:
    context = " ".join(tiny.TEXTS)
    answer = context[10:200]
    windows = cut("wordpiece", example(context, answer)).windows
    assert len(windows) > 1
    assert {(w.start_position, w.end_position) for w in windows} == {(0, 0)}


def test_an_answer_at_a_seam_is_whole_in_the_next_window() -> None:
    context = " ".join(tiny.TEXTS)
    tokens = cut("wordpiece", example(context), max_length=200).windows[0]
    inside = slice(tokens.context_start, tokens.context_end)
    starts, ends = tokens.char_start[inside], tokens.char_end[inside]
    first = cut("wordpiece", example(context)).windows[0]
    seam = first.context_end - first.context_start
    answer = context[starts[seam - 2] : ends[seam + 1]]
    of = Example("q", "t", context, "Who?", (Answer(answer, int(starts[seam - 2])),))
    windows = cut("wordpiece", of).windows
    assert [w.start_position == w.cls for w in windows[:2]] == [True, False]
    label = windows[1]
    low, high = label.char_start[label.start_position], label.char_end[label.end_position]
    assert context[low:high] == answer


def test_a_long_question_is_cut_and_counted_and_the_context_kept() -> None:
    question = "Who built the lighthouse on the island? " * 5
    short = cut("wordpiece", example(tiny.TEXTS[0], question=question), max_question_length=6)
    tokens = len(TOKENIZERS["wordpiece"](question, add_special_tokens=False)["input_ids"])
    assert short.question_cut == tokens - 6
    assert short.windows[0].context_start == 1 + 6 + 1
    assert short.windows[-1].char_end[short.windows[-1].context_end - 1] == len(tiny.TEXTS[0])


def test_leading_spaces_of_a_question_take_no_room_and_the_context_keeps_its_own() -> None:
    plain = cut("byte_level", example("  a context", question="Who?")).windows
    spaced = cut("byte_level", example("  a context", question="   Who?")).windows
    assert plain[0].input_ids.tolist() == spaced[0].input_ids.tolist()
    assert plain[0].context_end - plain[0].context_start == len("  a context")


def test_first_window_only_truncates() -> None:
    of = example(" ".join(tiny.TEXTS), "Olav Dahl")
    every, first = cut("wordpiece", of), cut("wordpiece", of, windows="first")
    assert len(every.windows) > len(first.windows) == 1
    assert first.windows[0].start_position == first.windows[0].cls


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doc_stride": 25}, r"40 - 3 special tokens - max_question_length 12 leaves 25 tokens"),
        ({"max_length": 3}, r"max_length 3 - 3 .* leaves -12 tokens .* more than doc_stride 8"),
        ({"max_length": 513}, r"max_length: 513 is more than the 512 tokens"),
    ],
)
def test_lengths_that_cannot_work_are_refused_before_the_tokenizer_panics(
    changes: dict[str, int], message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        Windower(TOKENIZERS["wordpiece"], params(**changes))


def test_a_tokenizer_that_puts_no_cls_into_a_pair_is_refused() -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.cls_token = "[MASK]"
    with pytest.raises(RetuneError, match="puts no CLS token into a pair"):
        Windower(tokenizer, params())


def stage(folder: Path, examples: dict[str, list[Example]], **changes: Any) -> dict[str, Any]:
    for split, rows in examples.items():
        write_examples(folder / "raw" / f"{split}.jsonl", rows)
    tokenize(
        folder / "raw",
        folder / "features",
        folder / "windows.json",
        tokenizer=TOKENIZERS["wordpiece"],
        params=params(**changes),
        scoring=ScoreParams(normalizer="squad"),
        squad_v2=False,
    )
    metrics: dict[str, Any] = json.loads((folder / "windows.json").read_text())["qa"]
    return metrics


def corpus(rows: range) -> list[Example]:
    return [
        Example(f"{row}-{number}", "t", text, question, (Answer(answer, text.index(answer)),))
        for row, text in ((row, tiny.TEXTS[row]) for row in rows)
        for number, (question, answer) in enumerate(tiny.QUESTIONS[row])
    ]


def test_features_hold_every_question_and_the_audit_counts_them(tmp_path: Path) -> None:
    examples = {"train": corpus(range(4)), "test": corpus(range(4, 6))}
    metrics = stage(tmp_path, examples)
    train, test = metrics["windows"]
    assert (train["split"], train["questions"]) == ("train", 8)
    assert (test["split"], test["questions"]) == ("test", 4)
    assert test["ceiling_exact_match"] == test["ceiling_f1"] == 100.0
    rows = read_rows(tmp_path / "features" / "test.arrow")
    assert len(rows) == test["windows"]
    windows = read_windows(tmp_path / "features" / "test.arrow")
    assert set(windows.example.tolist()) == {0, 1, 2, 3}
    assert windows.lengths.sum() == len(windows.char_start) == test["tokens"]
    text = examples["test"][0].context
    first = rows[0]
    assert text[first["char_start"][first["start_position"]] :].startswith("A storm")


def test_unreachable_answers_are_counted_listed_and_lower_the_ceiling(tmp_path: Path) -> None:
    context = " ".join(tiny.TEXTS)
    hopeless = Example("lost", "t", context, "Which?", (Answer(context[10:200], 10),))
    widened = Example("wide", "t", "ab xyz", "Which?", (Answer("y", 4),))
    inside = Example("inside", "t", tiny.TEXTS[0], "Which?", (Answer("light", 4),))
    rows = [hopeless, widened, inside, *corpus(range(1))]
    metrics = stage(tmp_path, {"train": rows, "test": rows})
    summary = metrics["windows"][1]
    assert summary["answer_in_no_window"] == 1
    assert summary["label_widened"] == 2  # inside "lighthouse", and inside an unknown word
    assert summary["ceiling_exact_match"] == pytest.approx(100 * 2 / 5)
    assert 40.0 < summary["ceiling_f1"] < 60.0
    notes = (tmp_path / "features" / "test_notes.jsonl").read_text().splitlines()
    assert [(json.loads(n)["id"], json.loads(n)["kind"]) for n in notes] == [
        ("lost", "answer_in_no_window"),
        ("wide", "label_widened"),
        ("inside", "label_widened"),
    ]


def test_the_ceiling_counts_other_spellings_that_score_as_well(tmp_path: Path) -> None:
    far = " ".join([*tiny.TEXTS, "Nothing but rye"])
    example_ = Example("far", "t", far, "Which?", (Answer("rye", far.rindex("rye")),))
    spelt = Example(
        "spelt", "t", "RIVER x " + far, "Which?", (Answer("river", far.index("river") + 8),)
    )
    rows = [example_, spelt]
    metrics = stage(tmp_path, {"train": rows, "test": rows}, windows="first")
    assert metrics["windows"][1]["answer_in_no_window"] == 2
    assert metrics["windows"][1]["ceiling_exact_match"] == 50.0  # by "RIVER"


def test_damaged_features_are_named(tmp_path: Path) -> None:
    stage(tmp_path, {"train": corpus(range(4)), "validation": corpus(range(4, 6))})
    path = tmp_path / "features" / "validation.arrow"
    path.write_bytes(path.read_bytes()[:300])
    for read in (read_rows, read_windows, count_windows):
        with pytest.raises(
            RetuneError, match=r"validation.arrow: damaged .*run the tokenize stage"
        ):
            read(path)
        with pytest.raises(RetuneError, match="no such file; run the tokenize stage first"):
            read(tmp_path / "absent.arrow")


def test_features_that_may_not_be_read_are_not_called_damaged() -> None:
    with pytest.raises(PermissionError) as caught, explained(Path("train.arrow")):
        raise PermissionError(13, "Failed to open local file '/x'. Detail: [errno 13]")  # pyarrow's
    assert user_message(caught.value) == "train.arrow: Permission denied"


def test_windows_read_part_by_part_are_those_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retune.tasks.qa.tokenize.tokenize._BATCH", 3)
    stage(tmp_path, {"train": corpus(range(4)), "validation": corpus(range(6))})
    path = tmp_path / "features" / "validation.arrow"
    parts, whole, rows = list(feature_batches(path)), read_windows(path), read_rows(path)
    assert [len(set(part.example.tolist())) for part in parts] == [3, 3, 3, 3]
    assert count_windows(path) == {"windows": len(whole), "tokens": whole.tokens}
    joined = dict(
        zip(
            [field.name for field in fields(parts[0])],
            map(np.concatenate, zip(*map(astuple, parts), strict=True)),
            strict=True,
        )
    )
    for field in fields(whole):
        assert np.array_equal(joined[field.name], getattr(whole, field.name))
    for name in ("input_ids", "token_type_ids"):
        assert joined[name].tolist() == [value for row in rows for value in row[name].tolist()]
    for name in ("start_position", "end_position"):
        assert joined[name].tolist() == [int(row[name]) for row in rows]


def test_batches_do_not_change_windows_nor_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = {"train": corpus(range(4)), "validation": corpus(range(6))}
    once = stage(tmp_path / "once", examples)
    monkeypatch.setattr("retune.tasks.qa.tokenize.tokenize._BATCH", 5)
    parts = stage(tmp_path / "parts", examples)
    assert once == parts
    name = "features/validation.arrow"
    one, two = (read_windows(tmp_path / run / name) for run in ("once", "parts"))
    assert repr(one) == repr(two)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    examples = {"train": corpus(range(4)), "validation": corpus(range(4, 6))}
    sums = []
    for name in ("a", "b"):
        stage(tmp_path / name, examples)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        sums.append([(p.relative_to(tmp_path / name), sha256(p)) for p in files])
    assert sums[0] == sums[1]
    assert len(sums[0]) >= 7


def test_an_empty_split_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"validation.jsonl: no questions"):
        stage(tmp_path, {"train": corpus(range(4)), "validation": []})
    assert not (tmp_path / "features").exists()


def test_a_question_whose_context_has_no_tokens_keeps_one_window(tmp_path: Path) -> None:
    blank = Example("blank", "t", "\u200b\u0000\u0007", "Who?", ())
    metrics = stage(tmp_path, {"train": corpus(range(1)), "validation": [blank]})
    assert metrics["windows"][1]["context_without_tokens"] == 1
    windows = read_windows(tmp_path / "features" / "validation.arrow")
    assert windows.context_start.tolist() == windows.context_end.tolist()


def test_the_projects_own_params_leave_room_for_the_context(root: Path) -> None:
    section = load_yaml(root / "params.yaml")["qa"]["tokenize"]
    values = TokenizeParams(**section)
    assert values.max_length - 3 - values.max_question_length > values.doc_stride


@pytest.mark.parametrize("name", ["xquad/xquad.zh.json", "xquad/xquad.ar.json"])
def test_real_text_without_spaces_and_from_right_to_left_keeps_its_answers(
    name: str, shared_data: Any
) -> None:
    paragraphs = [
        paragraph
        for article in json.loads(shared_data(name).read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
    ]
    windower = Windower(TOKENIZERS["byte_level"], params(max_length=500, doc_stride=200))
    checked = 0
    for paragraph in paragraphs[:40]:
        for qa in paragraph["qas"]:
            answer = Answer(qa["answers"][0]["text"], qa["answers"][0]["answer_start"])
            of = Example(qa["id"], "", paragraph["context"], qa["question"], (answer,))
            labels = [
                w for w in split(windower.cut([of], 0))[0].windows if w.start_position != w.cls
            ]
            for window in labels:
                low = window.char_start[window.start_position]
                high = window.char_end[window.end_position]
                assert paragraph["context"][low:high].strip() == answer.text.strip()
                checked += 1
    assert checked > 150
