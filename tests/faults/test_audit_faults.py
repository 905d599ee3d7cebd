"""What a split holds that a reader cannot give or read: rows A51 to A54, K41 to K44 and S31."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import squad_definition
import tiny
from runs import lines, row, run_download, run_postprocess, run_score, run_tokenize, write_logits

from retune.core.errors import RetuneError
from retune.core.files import write_json
from retune.tasks.qa.questions.examples import Answer, Example
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.tokenize import ceiling
from retune.tasks.qa.tokenize.audit import Audit
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tools.data_doctor.doctor import Options, diagnose

CONTEXT = tiny.TEXTS[0]
TRAIN = [row("t", tiny.TEXTS[1], "Jon Moe")]
REALIGN = {"realign": True}


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def question(*answers: Any, name: str = "q7", **more: Any) -> dict[str, Any]:
    return row(name, CONTEXT, *answers, **more)


def objects(*answers: dict[str, Any]) -> dict[str, Any]:
    return question() | {"answers": list(answers)}


@pytest.mark.parametrize(
    ("faulty", "options", "kept"),
    [
        case("A51 offset -1", question(("Ada Borg", -1)), {}, [("Ada Borg", -1)]),
        case("A51 offset -1, realign", question(("Ada Borg", -1)), REALIGN, [("Ada Borg", -1)]),
        case("A51 nowhere", question(("Ada Borg", 27)), {}, [("Ada Borg", -1)]),
        case("A51 no offset", objects({"text": "Ada Borg"}), {}, [("Ada Borg", -1)]),
        case(
            "A51 another stands there",
            question(("Ada Borg", 27), "Ada Berg"),
            REALIGN,
            [("Ada Borg", -1), ("Ada Berg", CONTEXT.index("Ada Berg"))],
        ),
        case("A51 in doubt", question(("i", 99)), REALIGN, [("i", -1)]),
    ],
)
def test_a_reference_needs_no_place(
    tmp_path: Path, faulty: dict[str, Any], options: dict[str, Any], kept: list[tuple[str, int]]
) -> None:
    report = run_download(tmp_path, TRAIN, [faulty], **options)
    (found,) = lines(tmp_path / "raw" / "test.jsonl")
    answers = found["answers"]
    assert list(zip(answers["text"], answers["answer_start"], strict=True)) == kept
    assert report[1]["findings"] == {"unplaced_answer": 1}
    (finding,) = lines(tmp_path / "raw" / "findings.jsonl")
    assert (finding["split"], finding["id"]) == ("test", "q7")
    assert finding["detail"].endswith("has no certain place; only EM and F1 count it")


@pytest.mark.parametrize(
    ("faulty", "options"),
    [
        case("A52 train, offset -1", question(("Ada Borg", -1)), {}),
        case("A52 train, realign", question(("Ada Borg", -1)), REALIGN),
    ],
)
def test_a_training_answer_needs_one(
    tmp_path: Path, faulty: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(RetuneError, match="1 misaligned"):
        run_download(tmp_path, [faulty], **options)


def test_a51_a_validation_answer_that_stands_elsewhere_is_still_an_error(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="realign: true` would move it to offset 28"):
        run_download(tmp_path, TRAIN, [question(("Ada Berg", 40))])


def test_a71_a_validation_answer_in_doubt_is_told_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"by hand; .*realign: true` would let it count for EM"):
        run_download(tmp_path, TRAIN, [question(("r", 99))])


def test_a51_the_doctor_notes_it_in_validation_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps([question(("Ada Borg", -1))]), encoding="utf-8")
    train, validation = diagnose([path], [path], Options())
    kinds = {one.file: [(f.kind, f.severity) for f in one.findings] for one in (train, validation)}
    assert ("misaligned", "error") in [(f.kind, f.severity) for f in train.findings]
    assert ("unplaced_answer", "note") in kinds[validation.file]


EMPTY = question("Ada Berg", ("", 0))


@pytest.mark.parametrize("split", [case("A53 train", 0), case("A53 validation", 1)])
def test_an_empty_answer_beside_good_ones_is_left_out(tmp_path: Path, split: int) -> None:
    rows = [TRAIN, [row("other", tiny.TEXTS[2], "90 miles")]]
    rows[split] = [EMPTY]
    with pytest.raises(RetuneError, match=r"is empty; delete it, or set `qa.download.realign: tr"):
        run_download(tmp_path, *rows)
    report = run_download(tmp_path, *rows, **REALIGN)
    assert report[split]["findings"] == {"dropped_empty_answer": 1}
    assert report[split]["answers"] == 1


def test_a54_an_empty_answer_alone_is_an_error_with_realign_too(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"is empty; for a question without an answer write"):
        run_download(tmp_path, [question(("", 0))], **REALIGN)


def test_s31_a_perfect_reader_of_unplaced_references_has_100(tmp_path: Path) -> None:
    rows = [question(("Ada Borg", -1)), question("1871", ("in 1870", -1), name="q8")]
    run_download(tmp_path, TRAIN, rows)
    _, audit = run_tokenize(tmp_path, longest=30)
    assert (audit["questions"], audit["answers"], audit["unplaced_answer"]) == (2, 1, 1)
    assert (audit["answer_in_no_window"], audit["ceiling_exact_match"]) == (0, 50.0)
    assert audit["ceiling_f1"] == pytest.approx(100 * 5 / 6)  # "Ada" for "Ada Borg"
    assert [note["kind"] for note in lines(tmp_path / "features" / "test_notes.jsonl")] == [
        "unplaced_answer"
    ]
    write_logits(tmp_path)
    run_postprocess(tmp_path)
    perfect = {"q7": "Ada Borg", "q8": "in 1870"}
    write_json(tmp_path / "predictions" / "predictions.json", perfect)
    figures = run_score(tmp_path)
    assert (figures["exact_match"], figures["f1"], figures["questions"]) == (100.0, 100.0, 2)
    document = {
        "data": [{"paragraphs": [{"context": CONTEXT, "qas": [
            {"id": one["id"], "answers": [{"text": text} for text in one["answers"]["text"]]}
            for one in rows
        ]}]}]
    }  # fmt: skip
    assert squad_definition.squad(document, perfect) == {"exact_match": 100.0, "f1": 100.0}


def test_s31_windows_are_labelled_with_the_first_placed_answer() -> None:
    year = CONTEXT.index("1871")
    answers = [(28, 36)], [], [(year, year + 4)]
    placed = Answer("Ada Berg", 28), Answer("Ada Borg", -1), Answer("1871", year)
    examples = [
        Example("a", "", CONTEXT, "Who?", placed[:2]),
        Example("b", "", CONTEXT, "Who?", placed[1:2]),
        Example("c", "", CONTEXT, "When?", (placed[1], placed[2])),
    ]
    assert [example.spans for example in examples] == list(answers)
    assert [example.label for example in examples] == [placed[0], None, placed[2]]


CHINESE = "灯塔由船长在一八七一年建成。"


@pytest.mark.parametrize(
    ("validation", "limit", "share"),
    [
        case("K41 a few", f"{CONTEXT} 由由", 0.5, 2 / 26),
        case("K42 most of them", CHINESE, 0.9, 1.0),
        case("K42 a limit of one's own", f"{CONTEXT} 由由", 0.02, 2 / 26),
    ],
)
def test_tokens_that_the_tokenizer_does_not_know(
    tmp_path: Path, validation: str, limit: float, share: float
) -> None:
    rows = [row("q7", validation, validation[:3], question=validation[:20])]
    run_download(tmp_path, TRAIN, rows)
    if share > limit:
        message = (
            r"^test: .*% of the tokens are unknown to the tokenizer, such as '.'.*; set "
            rf"qa.checkpoint to an encoder .*or raise qa.tokenize.max_unknown_tokens, now {limit}$"
        )
        with pytest.raises(RetuneError, match=message):
            run_tokenize(tmp_path, max_unknown_tokens=limit)
        assert not (tmp_path / "features").exists()
    train, audit = run_tokenize(tmp_path, max_unknown_tokens=1.0)
    assert (train["unknown_tokens"], train["unknown_token_share"]) == (0, 0.0)
    assert audit["unknown_tokens"] > 0
    assert audit["unknown_token_share"] == pytest.approx(share)


def test_k41_the_summary_warns_and_names_some(tmp_path: Path) -> None:
    params = TokenizeParams(64, 8, 12, "all", 1.0, 1.0)
    audit = Audit("test", lambda note: None, "squad", squad_v2=False)
    windower = Windower(tiny.wordpiece(), params)
    for text in (CONTEXT, CONTEXT + " 由由 船"):
        example = Example(text, "", text, "Who?", (Answer("Ada Berg", 28),))
        audit.add([example], *windower.cut([example], first_row=0))
    assert audit.sentence().startswith("test: 2 questions, 2 windows, warning: ")
    assert audit.sentence().endswith("are unknown to the tokenizer, such as '由', '船'")
    assert audit.counts["unknown_tokens"] == 3


LONG = "rye bread and cakes"  # of four tokens; the other has one


@pytest.mark.parametrize(
    ("answers", "longest", "lost", "f1"),
    [
        case("K43 long enough", [LONG], 4, 0, 100.0),
        case("K43 three of four", [LONG], 3, 1, 100 * 6 / 7),
        case("K43 one of four", [LONG], 1, 1, 100 * 2 / 5),
        case("K43 another reference is short", [LONG, "cakes"], 1, 0, 100.0),
    ],
)
def test_answers_longer_than_are_read_are_counted_before_training(
    tmp_path: Path, answers: list[str], longest: int, lost: int, f1: float
) -> None:
    train, rows = [row("t", tiny.TEXTS[1], LONG)], [row("q", f"{tiny.TEXTS[1]} Ok.", *answers)]
    run_download(tmp_path, train, rows)
    learned, audit = run_tokenize(tmp_path, longest=longest)
    assert (learned["answer_too_long"], audit["answer_too_long"]) == (int(longest < 4), lost)
    assert "ceiling_f1_as_read" not in learned
    assert (audit["ceiling_exact_match"], audit["ceiling_f1"]) == (100.0, 100.0)
    assert audit["ceiling_f1_as_read"] == pytest.approx(f1)
    assert audit["ceiling_exact_match_as_read"] == (0.0 if f1 < 100 else 100.0)


def test_k44_the_search_of_a_lost_answer_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []

    def normalize(text: str) -> list[str]:
        scored.append(text)
        return text.split()

    monkeypatch.setitem(NORMALIZERS, "squad", normalize)
    words = " ".join(f"{word}{n}" for n in range(60) for word in tiny.TEXTS[0].split())
    example = Example("q", "", words, "Who?", (Answer(words, 0),))
    audit = Audit("test", lambda note: None, "squad", squad_v2=False)
    params = TokenizeParams(384, 128, 64, "all", 1.0, 1.0)
    audit.add([example], *Windower(tiny.wordpiece(), params).cut([example], first_row=0))
    tokens = audit.counts["tokens"]
    assert audit.summary()["ceiling_f1"] > 2 * 380 / 3 / len(words.split())
    assert len(scored) < 10 * tokens  # all spans would be 100 times as many


def test_k44_what_is_skipped_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def best(gold: str) -> tuple[float, float]:
        example = Example("q", "", CONTEXT, "Who?", (Answer(gold, -1),))
        search = ceiling._Search(example, "squad", squad_v2=False)
        starts = [n for n, letter in enumerate(CONTEXT) if n == 0 or CONTEXT[n - 1] == " "]
        ends = [*(start - 1 for start in starts[1:]), len(CONTEXT)]
        return search.run([(np.array(starts), np.array(ends))], None)

    golds = [
        "built Ada Berg",
        "1871 in",
        CONTEXT.replace("was", "were"),
        "the island, of Sula",
        "x",
    ]
    found = [best(gold) for gold in golds]
    monkeypatch.setattr(ceiling._Search, "_needed", lambda self: 0.0)
    assert found == [best(gold) for gold in golds]
    assert found[1] == (0.0, 1.0)


def test_k70_characters_that_byte_pairs_leave_out_are_unknown() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[CLS]", "[SEP]", *"abcde"]
    backend = Tokenizer(models.BPE({name: n for n, name in enumerate(names)}, []))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="[CLS]", sep_token="[SEP]", model_max_length=64
    )
    params = TokenizeParams(
        max_length=32, doc_stride=4, max_question_length=8, windows="all", max_lost_answers=1.0,
        max_unknown_tokens=0.5,
    )  # fmt: skip
    examples = [
        Example("q1", "", "abc \u6211\u4eec de \u7531", "a", (Answer("de", 7),)),
        Example("q2", "", "ab cd", "a", (Answer("cd", 3),)),
    ]
    cut = Windower(tokenizer, params).cut(examples, first_row=0)
    assert cut.unknown_tokens.tolist() == [3, 0]
    assert cut.text_tokens.tolist() == [1 + 5 + 3, 1 + 4]
