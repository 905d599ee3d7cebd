"""Offsets in other units, answers in other spellings, moves into words: A31 to A43, A70, A72."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import lines, row, run_download

from retune.core.errors import RetuneError
from retune.ingest.findings import Finding
from retune.tools.data_doctor.causes import unfolded
from retune.tools.data_doctor.doctor import Examined, Options, diagnose, fix

#: Each unit: a text with places that only the unit tells, answers of it, and how it counts the
#: characters before an answer.
TEXT = "Ida \U0001f680 saw an owl in May, \u00e9t\u00e9; Bo \U0001f680 saw an owl in June."
LINES = "Ida saw an owl.\r\nBo saw an elk.\r\n\r\nIda saw an elk."
BLANK = "  Ida saw  an owl.\n\n Bo saw\tan  elk; Ida left."
MARKED = "Ida &amp; Bo saw &lt;owls&gt; &amp; elks; Ida &amp; Bo left."
PLAIN = "Ida & Bo saw <owls> & elks; Ida & Bo left."


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def utf_16(before: str) -> int:
    return len(before.encode("utf-16-le")) // 2


def utf_8(before: str) -> int:
    return len(before.encode())


def one_for_two(before: str) -> int:
    return len(before.replace("\r\n", "\n"))


def two_for_one(before: str) -> int:
    return len(before.replace("\n", "\r\n"))


def collapsed(before: str) -> int:
    return len(" ".join(f"{before}x".split())) - 1


def escaped(before: str) -> int:
    return len(before.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def unescaped(before: str) -> int:
    return len(before.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def from_one(before: str) -> int:
    return len(before) + 1


UNITS = [
    case("A31 UTF-16", TEXT, ["owl", "May", "Bo", "June"], utf_16, "UTF-16 code units"),
    case("A32 UTF-8", TEXT, ["owl", "May", "Bo", "June"], utf_8, "UTF-8 bytes"),
    case("A33 CR LF as one", LINES, ["Bo", "saw an elk"], one_for_two, "CR LF counted as one"),
    case(
        "A33 line feed as two", LINES.replace("\r", ""), ["Bo", "saw an elk"], two_for_one,
        "line feeds counted as two",
    ),
    case("A34 blanks", BLANK, ["Ida", "Bo", "left"], collapsed, "leading blanks left out and blan"),
    case("A35 unescaped", MARKED, ["owls", "elks", "left"], unescaped, "HTML entities unescaped"),
    case("A35 escaped", PLAIN, ["owls", "elks", "left"], escaped, "& < > escaped as HTML entities"),
    case("A36 from 1", PLAIN, ["Ida", "owls", "left"], from_one, "code points counted from 1"),
]  # fmt: skip


def questions(context: str, texts: list[str], count: Callable[[str], int]) -> list[dict[str, Any]]:
    """A question for each text, whose last place `count` tells from what stands before it."""
    return [
        row(f"q{number}", context, (text, count(context[: context.rindex(text)])),
            question=f"{number}?")
        for number, text in enumerate(texts)
    ]  # fmt: skip


def examine(folder: Path, rows: list[dict[str, Any]], **options: bool) -> Examined:
    path = folder / "f.json"
    path.write_text(json.dumps(rows))
    (examined,) = diagnose([path], [], Options(**options))
    return examined


def kinds(examined: Examined) -> list[str]:
    return [finding.kind for finding in examined.findings]


def only(examined: Examined, kind: str) -> Finding:
    (finding,) = (finding for finding in examined.findings if finding.kind == kind)
    return finding


@pytest.mark.parametrize(("context", "texts", "count", "unit"), UNITS)
def test_a_unit_that_explains_all_answers_is_named_and_converted(
    tmp_path: Path, context: str, texts: list[str], count: Callable[[str], int], unit: str
) -> None:
    rows = questions(context, texts, count)
    right = questions(context, texts, len)
    assert rows != right
    examined = examine(tmp_path, rows)
    finding = only(examined, "offset_units")
    assert (finding.severity, finding.where) == ("error", "")
    assert unit in finding.message
    assert f": {len(texts)} of {len(texts)} answers fit, " in finding.message
    fix(examined, tmp_path / "out.json")
    assert [record.values["answers"] for record in examined.records] == [
        [{"text": text, "answer_start": start}]
        for each in right
        for text, start in zip(
            each["answers"]["text"], each["answers"]["answer_start"], strict=True
        )
    ]
    (again,) = diagnose([tmp_path / "out.json"], [], Options())
    assert not kinds(again)
    moved = len([one for one in unfolded(examined.findings) if one.change])
    assert len(lines(tmp_path / "out.json.log.jsonl")) == moved

    with pytest.raises(RetuneError, match=r"1 error in the data \(1 offset_units\)") as error:
        run_download(tmp_path, rows)
    assert unit in str(error.value)
    report = run_download(tmp_path, rows, realign=True)
    assert report[0]["findings"] == {"realigned": moved}
    found = [question["answers"] for question in lines(tmp_path / "raw/train.jsonl")]
    assert found == [each["answers"] for each in right]


def test_a72_an_answer_without_a_place_does_not_hide_a_unit(tmp_path: Path) -> None:
    validation = questions(TEXT, ["owl", "May", "Bo", "June"], utf_16)
    validation += [row(f"n{n}", TEXT, ("July", -1), question=f"n{n}?") for n in range(3)]
    train = [row("t", "sound words", "sound")]
    message = "offsets are UTF-16 code units: 4 of 4 answers fit"
    with pytest.raises(RetuneError, match=message):
        run_download(tmp_path, train, validation)
    report = run_download(tmp_path, train, validation, realign=True)
    assert report[1]["findings"] == {"realigned": 4, "unplaced_answer": 3}


def test_a37_an_answer_that_stands_by_chance_where_the_wrong_offset_points_is_converted(
    tmp_path: Path,
) -> None:
    context = "\U0001f680\U0001f680 a a Ida saw Bo"
    chance = row("chance", context, ("a", utf_16(context[:3])), question="Which?")
    assert context[utf_16(context[:3])] == "a"
    examined = examine(tmp_path, [*questions(context, ["Ida", "saw", "Bo"], utf_16), chance])
    assert [one.values["answers"][0]["answer_start"] for one in examined.records] == [7, 11, 15, 3]


@pytest.mark.parametrize(
    ("shifts", "moved"),
    [
        case("A38 all right", [0, 0, 0, 0], 0),
        case("A38 one fits by chance", [0, 0, 0, 1], 0),  # one answer never decides
        case("A38 one is right", [1, 1, 1, 0], 0),  # which UTF-16 does not explain
        case("A38 one fits no unit", [1, 1, 1, 9], 3),  # of four that the unit would move
    ],
)
def test_right_offsets_are_never_converted(tmp_path: Path, shifts: list[int], moved: int) -> None:
    context = "Ida \U0001f680 saw an owl in May; Bo saw an elk."
    rows = questions(context, ["saw", "owl", "May", "elk"], len)
    for each, shift in zip(rows, shifts, strict=True):
        each["answers"]["answer_start"][0] += shift
    examined = examine(tmp_path, rows)
    assert "offset_units" not in kinds(examined)
    assert [f.change is not None for f in examined.findings] == [True] * len(
        list(filter(None, shifts))
    )
    assert [one.values["answers"][0]["answer_start"] for one in examined.records] == [
        context.rindex(text) for text in ("saw", "owl", "May", "elk")
    ]


def test_a38_a_few_faults_of_another_kind_do_not_hide_the_unit(tmp_path: Path) -> None:
    words = [f"w{number:02}" for number in range(20)]
    context = f"\U0001f680 {' '.join(words)}"
    rows = questions(context, words, utf_16)
    rows[7]["answers"] = {"text": ["nowhere"], "answer_start": [30]}
    examined = examine(tmp_path, rows)
    assert kinds(examined) == ["offset_units", "misaligned"]
    assert "19 of 20 answers fit, 0 as code points" in examined.findings[0].message


def test_a39_passages_that_count_otherwise_than_their_file_are_found(tmp_path: Path) -> None:
    right = questions(TEXT, ["owl", "May", "June"], len)
    contexts = [f"{TEXT} {number}" for number in range(3)]
    other = [one for text in contexts for one in questions(text, ["owl", "May", "June"], utf_16)]
    rows = [each | {"id": f"q{number}"} for number, each in enumerate([*right, *other])]
    examined = examine(tmp_path, rows)
    finding = only(examined, "offset_units")
    assert "offsets in 3 passages are UTF-16 code units: 9 of 9 answers fit" in finding.message
    assert [one.values["answers"][0]["answer_start"] for one in examined.records] == [
        TEXT.rindex(text) for text in ("owl", "May", "June")
    ] * 4


@pytest.mark.parametrize(
    ("context", "text", "start", "place"),
    [
        case("A40 Ana", "Anatomia foi ensinada por Anita Reis.", "Ana", 26, None),
        case("A40 19", "nasceu em 1905 e morreu em 1988", "19", 9, None),
        case("A40 3 in 13", "there are 13 of them", "3", 10, None),
        case("A40 near a word, whole elsewhere", "the party; an art", "art", 4, 14),
        case("A40 nearness does not beat words", "13 or 3", "3", 2, 6),
        case("A40 a letter of an accent", "a cafe\u0301", "cafe", 3, None),
        case("A70 3.5 is one number", "ran 3.5 km in May", "5", 5, None),
        case("A70 1,200 is one number", "paid 1,200, then 200", "200", 8, 17),
        case("A70 a number at a full stop", "in 1905.", "1905", 2, 3),
        case(
            "A70 a joiner without width",
            "\u0645\u06cc\u200c\u062e\u0648\u0631\u0645",
            "\u0645\u06cc",
            1,
            None,
        ),
        case("A70 a joiner at an edge", "\u0645\u06cc\u200c \u062e\u0648", "\u0645\u06cc", 1, 0),
        case("A40 Chinese", "\u6211\u4eec\u5728\u5317\u4eac\u5403\u996d", "\u5317\u4eac", 4, 3),
        case("A40 Thai", "\u0e19\u0e01\u0e2e\u0e39\u0e01", "\u0e19\u0e01", 1, 0),
        case("A40 Korean particle", "\uc11c\uc6b8\uc5d0\uc11c", "\uc11c\uc6b8", 1, 0),
        case("A40 inside a Korean word", "\ub098\ub77c \ud558\ub098", "\ub098", 6, 0),
        case("A40 a phrase cut by a letter", "saw the first half of it", "saw the first ha", 1, 0),
        case("A40 a cut phrase far away", "saw the first half of it", "saw the first ha", 9, None),
    ],
)
def test_an_answer_moves_to_whole_words_only(
    tmp_path: Path, context: str, text: str, start: int, place: int | None
) -> None:
    rows = [row("q1", context, (text, start)), row("q2", "sound words", "sound")]
    examined = examine(tmp_path, rows)
    assert kinds(examined) == ["misaligned"]
    assert examined.records[0].values["answers"][0]["answer_start"] == (
        start if place is None else place
    )
    if place is None:
        assert not examined.needs_care or examined.findings[0].change is None
        with pytest.raises(RetuneError, match="it is inside words only, at offsets"):
            run_download(tmp_path, rows, realign=True)
    else:
        assert run_download(tmp_path, rows, realign=True)[0]["findings"] == {"realigned": 1}


@pytest.mark.parametrize(
    ("written", "names"),
    [
        case("A41 case", "the old mill", "case"),
        case("A41 quotes", 'Bo\'s "mill"', "single quotes, double quotes"),
        case("A41 dash", "1905-1988", "dashes"),
        case("A41 no-break blank", "90 km", "blanks"),
        case("A41 collapsed blanks", "by the river", "blanks"),
        case("A41 entity", "Ida & Bo", "HTML entities"),
        case("A41 soft hyphen", "waterway", "invisible characters"),
        case("A41 accents", "\u00e9t\u00e9", "Unicode form"),
    ],
)
@pytest.mark.parametrize("shift", [0, 1, -9])
def test_an_answer_in_another_spelling_takes_the_contexts_characters(
    tmp_path: Path, written: str, names: str, shift: int
) -> None:
    spelt = {
        "the old mill": "The Old Mill",
        'Bo\'s "mill"': "Bo\u2019s \u201cmill\u201d",
        "1905-1988": "1905\u20131988",
        "90 km": "90\u00a0km",
        "by the river": "by the\n  river",
        "Ida & Bo": "Ida &amp; Bo",
        "waterway": "water\u00adway",
        "\u00e9t\u00e9": "e\u0301te\u0301",
    }
    context = f"once upon a time: {'; '.join(spelt.values())}; the end"
    right = {"text": spelt[written], "answer_start": context.index(spelt[written])}
    rows = [row("q1", context, (written, right["answer_start"] + shift))]
    examined = examine(tmp_path, rows)
    finding = only(examined, "not_verbatim")
    assert "misaligned" not in kinds(examined)
    assert f"except for {names}, as " in finding.message
    assert [one.values["answers"] for one in examined.records] == [[right]]
    with pytest.raises(RetuneError, match="would take the context's own characters"):
        run_download(tmp_path, rows)
    assert run_download(tmp_path, rows, realign=True)[0]["findings"] == {"realigned": 1}
    (question,) = lines(tmp_path / "raw/train.jsonl")
    assert question["answers"] == {key: [value] for key, value in right.items()}


def test_a41_two_places_of_another_spelling_are_not_certain(tmp_path: Path) -> None:
    examined = examine(tmp_path, [row("q1", "The mill; the mill.", ("THE MILL", 4))])
    assert [(f.kind, f.change) for f in examined.findings] == [("misaligned", None)]
    assert "it is at offsets 0, 10" in examined.findings[0].message


def test_a42_copies_with_blanks_at_the_edges_are_seen_and_that_one_has_no_answer(
    tmp_path: Path,
) -> None:
    rows = [
        row("q1", "Ida saw an owl.", "Ida", question="Who?"),
        row("q2", "Ida saw an owl.", "Ida", question=" Who?\n"),
        row("q3", "Ida saw an owl.", question="Who? "),
    ]
    report = run_download(tmp_path, rows, squad_v2=True)
    assert report[0]["findings"] == {"differing_copies": 1, "repeated_question": 1}
    notes = lines(tmp_path / "raw/findings.jsonl")
    assert [(note["id"], note["kind"]) for note in notes] == [
        ("q2", "repeated_question"),
        ("q3", "differing_copies"),
    ]
    assert notes[1]["detail"].endswith("as question 'q1', which has one; here is none")


@pytest.mark.parametrize("flag", [{"is_impossible": True}, {}])
def test_a43_squad_2_data_is_told_once_and_is_no_error(tmp_path: Path, flag: Any) -> None:
    some = [row("q0", "Ida saw an owl.", "Ida", question="Who?")]
    some += [row(f"q{n}", "Ida saw an owl.", question=f"{n}?", **flag) for n in range(1, 9)]
    examined = examine(tmp_path, some)
    assert "8 of 9 questions have no answer" in examined.findings[0].message
    assert {f.kind for f in examined.findings} <= {"squad_v2", "mixed_versions"}
    assert {f.severity for f in examined.findings} == {"note"}
    assert kinds(examined).count("squad_v2") == 1
    assert "squad_v2" not in kinds(examine(tmp_path, some, squad_v2=True))


def test_a43_one_question_without_an_answer_is_still_an_error(tmp_path: Path) -> None:
    rows = [row("q1", "Ida saw an owl.", "Ida"), row("q2", "Ida saw an owl.", question="What?")]
    assert kinds(examine(tmp_path, rows)) == ["unanswerable"]
