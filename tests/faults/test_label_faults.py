"""Answers and labels that are wrong, odd or out of reach: rows A01 to A20."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from runs import (
    OTHER,
    TOKENIZERS,
    answers,
    labels,
    lines,
    row,
    run_download,
    run_postprocess,
    run_score,
    run_tokenize,
    write_best_logits,
)

from retune.core.errors import RetuneError
from retune.tasks.qa.windows.features import feature_batches, read_rows, window_writer

CONTEXT = "abc def ghi def"
LONG = " ".join(tiny.TEXTS)
FAMILY = "\U0001f469\u200d\U0001f467"
NFD, NFC = "cafe\u0301", "caf\u00e9"


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def claim(text: str, start: int, context: str = CONTEXT, **more: Any) -> dict[str, Any]:
    return row("q7", context, (text, start), **more)


@pytest.mark.parametrize(
    ("faulty", "options", "field", "reason"),
    [
        *[
            case(f"A01 off by {n:+}", claim("ghi", 8 + n), {}, "answer_start/0", "to offset 8")
            for n in (-2, -1, 1, 2)
        ],
        case(
            "A01 two places near by",
            claim("aa", 1, "aaXaa"),
            {"realign": True},
            "answer_start/0",
            "offsets 0, 3",
        ),
        case(
            "A01 far away and twice",
            claim("def", 11),
            {},
            "answer_start/0",
            "offset 12",
        ),
        case("A02 nowhere", claim("zzz", 4), {}, "answer_start/0", "it is nowhere"),
        case("A02 nowhere, realign", claim("zzz", 4), {"realign": True}, "start/0", "nowhere"),
        case("A03 negative", claim("abc", -1), {}, "answer_start/0", "a negative offset"),
        case("A03 behind the end", claim("def", 99), {}, "start/0", "behind the context's end"),
        case("A04 empty, SQuAD 1.1", claim("", 0), {}, "text/0", "write `answers: []`"),
        case("A04 empty, SQuAD 2.0", claim("", 3), {"squad_v2": True}, "text/0", "answers: []"),
        case("A05 blank", claim(" \u3000\t", 3), {}, "text/0", "is empty"),
        case("A10 not asked for", claim(NFC, 4, f"the {NFD}"), {}, "start/0", "realign: true"),
        case("A15 no answer", row("q7", CONTEXT), {}, "answers", "set `qa.squad_v2: true`"),
        case(
            "A16 impossible with answers",
            claim("abc", 0, is_impossible=True),
            {"squad_v2": True},
            "is_impossible",
            "is true but there are answers",
        ),
    ],
)
def test_a_wrong_answer_stops_the_download(
    tmp_path: Path, faulty: dict[str, Any], options: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(RetuneError) as error:
        run_download(tmp_path, [row("q1", "sound words", "sound"), faulty], **options)
    message = str(error.value)
    assert message.startswith("1 error in the data")
    assert "train.jsonl: line 2:/" in message
    assert "(question 'q7')" in message
    assert field in message
    assert reason in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.jsonl", "train.jsonl"]


REALIGN = {"realign": True}


@pytest.mark.parametrize(
    ("faulty", "options", "kinds", "kept"),
    [
        *[
            case(f"A01 off by {n:+}", claim("ghi", 8 + n), REALIGN, ["realigned"], [("ghi", 8)])
            for n in (-2, -1, 1, 2)
        ],
        case("A01 far but only", claim("ghi", 0), REALIGN, ["realigned"], [("ghi", 8)]),
        case(
            "A02 another answer is right",
            row("q7", CONTEXT, ("zzz", 4), ("abc", 0)),
            REALIGN,
            ["dropped_answer"],
            [("abc", 0)],
        ),
        case("A06 space before", claim(" def", 3), {}, ["trimmed"], [("def", 4)]),
        case("A06 space behind", claim("def ", 4), {}, ["trimmed"], [("def", 4)]),
        case("A06 both", claim(" ghi ", 7), {}, ["trimmed"], [("ghi", 8)]),
        case("A10 NFC in NFD", claim(NFC, 4, f"the {NFD}"), REALIGN, ["realigned"], [(NFD, 4)]),
        case("A10 NFD in NFC", claim(NFD, 4, f"the {NFC}"), REALIGN, ["realigned"], [(NFC, 4)]),
        case(
            "A15 left out", row("q7", CONTEXT), {"unanswerable": "drop"},
            ["dropped_unanswerable"], None,
        ),
        case("A16 impossible", row("q7", CONTEXT, is_impossible=True), {"squad_v2": True}, [], []),
        case("A20 asked twice", claim("ghi", 8), {}, ["repeated_question"], [("ghi", 8)]),
    ],
)  # fmt: skip
def test_what_is_mended_or_left_out_is_counted_with_its_id(
    tmp_path: Path, faulty: dict[str, Any], options: dict[str, Any], kinds: list[str], kept: Any
) -> None:
    twice = "repeated_question" in kinds
    first = row("q1", CONTEXT if twice else "sound words", "abc" if twice else "sound")
    report = run_download(tmp_path, [first, faulty], **options)
    assert report[0]["findings"] == dict.fromkeys(kinds, 1)
    assert report[0]["questions_read"] == 2
    notes = lines(tmp_path / "raw" / "findings.jsonl")
    assert [(note["id"], note["kind"]) for note in notes] == [("q7", kind) for kind in kinds]
    found = {
        question["id"]: question["answers"] for question in lines(tmp_path / "raw/train.jsonl")
    }
    assert list(found) == (["q1"] if kept is None else ["q1", "q7"])
    if kept is not None:
        pairs = zip(found["q7"]["text"], found["q7"]["answer_start"], strict=True)
        assert list(pairs) == kept


def audited(folder: Path, question: dict[str, Any], kind: Any, **changes: Any) -> dict[str, Any]:
    """Ask `question` in train and validation; give the audit of train."""
    rows = [question], [question | {"id": f"{question['id']}-v"}]
    run_download(folder, *rows, shared_contexts="allow")
    train, validation = run_tokenize(folder, kind, **changes)
    same = train.keys() & validation.keys() - {"split"}
    assert {name: train[name] for name in same} == {name: validation[name] for name in same}
    return train


def best_answer(folder: Path) -> str:
    """What a reader that gives every window its label answers."""
    write_best_logits(folder)
    run_postprocess(folder)
    (text,) = answers(folder).values()
    return text


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(
    ("context", "answer"),
    [
        case("A07 emoji", "we saw \U0001f600 there", "\U0001f600"),
        case("A07 composed", f"the {NFC} there", NFC),
        case("A07 Chinese", "我们在北京吃饭", "北京"),
        case("A08 two emoji", "we saw \U0001f4a9\U0001f4a9 there", "\U0001f4a9\U0001f4a9"),
        case("A09 decomposed", f"the {NFD} de Flore", NFD),
        case("A09 decomposed, two marks", "the e\u0323\u0302 de", "e\u0323\u0302"),
        case("A09 vowel signs", "यह कु भाषा है", "कु"),
        case("A09 variation selector", "heart \u2764\ufe0f here", "\u2764\ufe0f"),
        case("A11 Arabic", "مرحبا بالعالم الكبير", "بالعالم"),
        case("A11 Hebrew", "שלום עולם טוב", "עולם"),
        case("A11 Devanagari", "यह हिन्दी भाषा है", "हिन्दी"),
        case("A11 Korean", "한국어 문장이 있다", "문장이"),
        case("A11 Japanese", "これは東京です", "東京"),
        case("A11 soft hyphen", "a soft\u00adhyphen word", "soft\u00adhyphen"),
        case("A11 zero-width space", "x zero\u200bwidth y", "zero\u200bwidth"),
        case("A11 emoji family", f"the {FAMILY} here", FAMILY),
        case("A11 sharp s", "die Straße hier", "Straße"),
        case("A11 dotted I", "in İzmir now", "İzmir"),
        case("A11 ligature", "the \ufb01ne one", "\ufb01ne"),
        case("A18 in mid-word", "in the 1990s rock", "1990"),
    ],
)  # fmt: skip
def test_a_label_is_the_answer_in_every_script(
    tmp_path: Path, kind: str, context: str, answer: str
) -> None:
    audit = audited(tmp_path, row("q", context, answer), kind)
    assert (audit["label_widened"], audit["answer_in_no_window"]) == (0, 0)
    assert best_answer(tmp_path) == answer
    assert run_score(tmp_path)["exact_match"] == 100.0


def white_space_tokens() -> Any:
    """A tokenizer for which `steel!` is one unknown token."""
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = tiny.wordpiece()
    tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    return tokenizer


@pytest.mark.parametrize(
    ("context", "answer", "kind", "label", "as_scored"),
    [
        case("A08 first of two emoji", "we saw \U0001f600\U0001f600 x", "\U0001f600", "wordpiece",
             "\U0001f600\U0001f600", 1),
        case("A11 behind a zero-width space", "x zero\u200bwidth y", "width", "wordpiece",
             "zero\u200bwidth", 1),
        case("A18 in mid-token", "the lighthouse of Sula", "light", "wordpiece", "lighthouse", 1),
        case("A18 for nothing", "a bridge of steel!", "steel", white_space_tokens(), "steel!", 0),
    ],
)  # fmt: skip
def test_a_label_that_says_more_than_the_answer_is_counted(
    tmp_path: Path, context: str, answer: str, kind: Any, label: str, as_scored: int
) -> None:
    audit = audited(tmp_path, row("q", context, answer), kind)
    assert (audit["label_widened"], audit["label_widened_as_scored"]) == (1, as_scored)
    for split, name in (("train", "q"), ("test", "q-v")):
        assert lines(tmp_path / "features" / f"{split}_notes.jsonl") == [
            {"id": name, "kind": "label_widened", "detail": f"{answer!r} became {label!r}"}
        ]
    assert best_answer(tmp_path) == label


def cut_by_a_seam(context: str = LONG) -> tuple[str, int]:
    answer = "Moe opened a shop near the harbour. He sold rye bread"
    return answer, context.index(answer)


def too_long(context: str = LONG) -> tuple[str, int]:
    return context[10:200], 10


@pytest.mark.parametrize(
    ("answer", "changes", "longer"),
    [
        case("A12 cut by a seam", cut_by_a_seam(), {"max_length": 40}, 0),
        case("A12 behind the first window", ("Olav Dahl", LONG.index("Olav")),
             {"windows": "first"}, 0),
        case("A13 longer than a window", too_long(), {"max_length": 40}, 1),
    ],
)  # fmt: skip
def test_an_answer_in_no_window_is_counted_with_its_id(
    tmp_path: Path, answer: tuple[str, int], changes: dict[str, Any], longer: int
) -> None:
    audit = audited(tmp_path, row("q", LONG, answer), "wordpiece", **changes)
    assert (audit["answers"], audit["answer_in_no_window"]) == (1, 1)
    assert audit["answer_longer_than_window"] == longer
    (note,) = lines(tmp_path / "features" / "train_notes.jsonl")
    assert (note["id"], note["kind"]) == ("q", "answer_in_no_window")
    assert note["detail"].endswith(f"fit into a window: {answer[0]}")
    assert labels(tmp_path) == {0: []}


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        case("A12 a seam", {}, "with max_length to match, keeps even the longest of"),
        case("A12 one window", {"windows": "first"}, "`windows: all` keeps what follows"),
    ],
)
def test_too_many_answers_in_no_window_stop_the_stage(
    tmp_path: Path, changes: dict[str, Any], advice: str
) -> None:
    sound = [row(f"s{n}", f"word {n} here", "word") for n in range(98)]
    lost = [row(f"q{n}", f"{n} {LONG}", cut_by_a_seam(f"{n} {LONG}")) for n in range(2)]
    run_download(tmp_path, sound + lost)
    options = {"max_length": 40} | changes
    with pytest.raises(RetuneError) as error:
        run_tokenize(tmp_path, max_lost_answers=0.01, **options)
    message = str(error.value)
    assert message.startswith("train: 2 of 100 answers (2.0%) are whole in no window")
    assert "of questions q0, q1; params.yaml: qa.tokenize: " in message
    assert advice in message
    assert "max_lost_answers, now 0.01" in message
    assert not (tmp_path / "features").exists()
    assert not (tmp_path / "windows.json").exists()
    run_tokenize(tmp_path, max_lost_answers=0.02, **options)


def test_the_advice_for_answers_in_no_window_holds(tmp_path: Path) -> None:
    run_download(tmp_path, [row("q", LONG, cut_by_a_seam())])
    with pytest.raises(RetuneError) as error:
        run_tokenize(tmp_path, max_length=40, max_lost_answers=0.0)
    stride = int(str(error.value).split("doc_stride ")[1].split(",")[0])
    length = stride + 1 + 3 + 12  # room for more than the overlap, three specials, the question
    train, _ = run_tokenize(tmp_path, max_length=length, doc_stride=stride, max_lost_answers=0.0)
    assert train["answer_in_no_window"] == 0


@pytest.mark.parametrize(
    ("longest", "lost"),
    [case("A13 just long enough", 6, []), case("A13 too long to be given", 5, ["long"])],
)
def test_answers_longer_than_answers_may_be_are_counted(
    tmp_path: Path, longest: int, lost: list[str]
) -> None:
    context = "a b c d e f g h i"
    rows = [
        row("long", context, "b c d e f g", "a b c d e f g h"),
        row("short", context, "a b c d e f g", "c d", question="Which?"),
    ]
    run_download(tmp_path, [OTHER], rows)
    run_tokenize(tmp_path)
    write_best_logits(tmp_path)
    line = run_postprocess(tmp_path, max_answer_length=longest)
    report = json.loads((tmp_path / "predictions" / "report.json").read_bytes())
    assert report == {"answers": 2, "empty": 0, "too_long": lost, "without_tokens": []}
    assert ("max_answer_length is less than the reference of long" in line) is bool(lost)


def test_a14_of_several_answers_the_first_is_learned_and_that_is_counted(tmp_path: Path) -> None:
    run_download(tmp_path, [row("q", CONTEXT, ("def", 12), ("abc", 0))])
    train, validation = run_tokenize(tmp_path)
    assert (train["several_answers"], validation["several_answers"]) == (1, 0)
    assert labels(tmp_path) == {0: [(12, 15)]}
    assert lines(tmp_path / "features" / "train_notes.jsonl") == [
        {"id": "q", "kind": "several_answers", "detail": "the first of 2 is learned"}
    ]


@pytest.mark.parametrize(
    "moved",
    [
        case("A17 behind the window", lambda f: (f.start_position, f.lengths)),
        case("A17 negative", lambda f: (np.full_like(f.cls, -1), f.end_position)),
        case("A17 end before start", lambda f: (f.end_position, f.end_position - 1)),
        case("A17 in the question", lambda f: (f.context_start - 2, f.end_position)),
        case("A17 half of it CLS", lambda f: (f.cls, f.end_position)),
    ],
)
def test_a_label_that_is_no_place_in_its_window_is_refused(
    tmp_path: Path, moved: Callable[[Any], tuple[Any, Any]]
) -> None:
    run_download(tmp_path, [row("q", CONTEXT, ("def", 12))])
    run_tokenize(tmp_path)
    path = tmp_path / "features" / "train.arrow"
    (part,) = feature_batches(path)
    start, end = moved(part)
    damaged = dataclasses.replace(part, start_position=start, end_position=end)
    with window_writer(path) as writer:
        writer.write(damaged)
    with pytest.raises(RetuneError, match=r"window 0: its label .*dvc repro .*tokenize"):
        read_rows(path)


@pytest.mark.parametrize(
    ("answer", "changes", "expected"),
    [
        case("A19 at white space", ("\u3000ghi\u3000", 7), {}, [(8, 11)]),
        case("A19 truncated", ("harbour", LONG.index("harbour")), {"windows": "first"}, []),
    ],
)
def test_a_label_is_never_missing(
    tmp_path: Path, answer: tuple[str, int], changes: dict[str, Any], expected: list[Any]
) -> None:
    context = LONG if changes else "abc def\u3000ghi\u3000def"
    run_download(tmp_path, [row("q", context, answer)])
    run_tokenize(tmp_path, max_length=32, **changes)
    assert labels(tmp_path) == {0: expected}
    for name in ("start_position", "end_position"):
        assert read_rows(tmp_path / "features" / "train.arrow").data[name].null_count == 0
