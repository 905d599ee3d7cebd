"""`retune compare` of predictions files: who is better, what could be shown, and for whom."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from compare.predictions_files import document, ids, right, write

from retune.tools.cli.main import main
from retune.tools.compare.flips import question_word

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Predictions that are right, wrong once, and wrong for whole passages, of 24 questions."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dev.json", document())
    write(tmp_path / "good.json", right())
    write(tmp_path / "close.json", right("p0q0"))
    write(tmp_path / "bad.json", dict.fromkeys(ids(), "x"))
    return tmp_path


def compare(*arguments: str) -> int:
    return main(["compare", *arguments, "--data", "dev.json"])


def as_json(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert compare(*arguments, "--json") == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_terminal_says_who_is_better_and_what_could_be_shown(
    folder: Path, capsys: Capture
) -> None:
    assert compare("close.json", "good.json", "bad.json") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows[1:4]] == ["good", "close", "bad"]
    first = rows.index(["F1", "of", "more", "95", "%", "p", "could", "show", "needed"])
    assert [row[:3] for row in rows[first + 1 : first + 6]] == [
        ["good"], ["than", "close", "+4.17"], ["than", "bad", "+100.00"],
        ["close"], ["than", "bad", "+95.83"],
    ]  # fmt: skip
    assert [row[-1] for row in rows[1:4]] == ["1-3", "1-3", "1-3"]  # six passages show little
    words = " ".join(text.split())
    assert "good and close are not separable (F1 +4.17, p = 1)." in words
    assert "24 questions in 6 passages" in words
    assert "adjusted for 3 pairs (Holm)" in words
    assert "a system here has one run" in words


def test_without_clusters_the_same_difference_is_shown(folder: Path, capsys: Capture) -> None:
    assert compare("good.json", "bad.json", "--cluster", "none") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "good is better than bad (F1 +100.00, p = 0.0001)" in words
    assert "exact answers of won lost McNemar p, unclustered" in words
    assert "good than bad 24 0 1.2e-07" in words


def test_many_systems_have_a_row_for_each_pair_and_few_sentences(
    folder: Path, capsys: Capture
) -> None:
    for number in range(1, 5):
        long = f"transformer_encode{number}.json"
        write(folder / long, right(*(f"p{p}q0" for p in range(number))))
    assert compare("good.json", *(f"transformer_encode{n}.json" for n in range(1, 5))) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("  than transformer_encode4 ") == 3 * 4
    words = " ".join(text.split())
    assert "Not separable by F1: good from transformer_encode1, transformer" in words
    assert "24 questions in 6 passages; one run of each system" in words
    assert " is better than " not in words
    assert "a system here has one run" in words


def test_json_has_every_figure(folder: Path, capsys: Capture) -> None:
    value = as_json(capsys, "good.json", "close.json", "--flips")
    assert (value["cluster"], value["clusters"], value["questions"]) == ("passage", 6, 24)
    assert [system["name"] for system in value["systems"]] == ["good", "close"]
    exact, f1 = value["pairs"]
    assert (exact["score"], f1["score"]) == ("exact_match", "f1")
    assert (f1["won"], f1["lost"], f1["verdict"]) == (1, 0, "not separable")
    assert f1["p_value"] == 1.0  # both flips of one passage reach what was seen
    assert exact["mcnemar_p_value"] == 1.0
    (flip,) = value["flips"]
    assert (flip["won"], flip["id"], flip["kind"]) == (True, "p0q0", "what")
    assert (flip["one"], flip["other"]) == (["the word p0q0"], ["something else"])


def test_identical_files_are_not_separable(folder: Path, capsys: Capture) -> None:
    value = as_json(capsys, "good.json", "again=good.json")
    assert [pair["p_value"] for pair in value["pairs"]] == [1.0, 1.0]
    assert [system["rank"] for system in value["systems"]] == [[1, 2], [1, 2]]
    assert value["pairs"][1]["clusters_needed"] is None


def test_seeds_are_averaged_and_copies_of_a_seed_narrow_nothing(
    folder: Path, capsys: Capture
) -> None:
    once = as_json(capsys, "bad.json", "a=close.json")
    often = as_json(capsys, "bad.json", "a=close.json,close.json,close.json")
    assert often["pairs"] == once["pairs"]
    both = as_json(capsys, "bad.json", "a=close.json,good.json")
    scores = {system["name"]: system["scores"]["f1"]["value"] for system in both["systems"]}
    assert scores["a"] == pytest.approx((100 + 100 * 23 / 24) / 2)


def test_csv_and_markdown_have_the_same_tables(folder: Path, capsys: Capture) -> None:
    assert compare("good.json", "close.json", "--format", "csv") == 0
    rows = [*csv.reader(capsys.readouterr().out.splitlines())]
    assert rows[0][:3] == ["system", "runs", "EM"]
    assert rows[5][:3] == ["good - close", "EM", "+4.17"]
    assert rows[9] == ["good - close", "1", "0", "1"]
    assert compare("good.json", "close.json", "--format", "markdown", "--flips") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| system | runs | EM | 95 % |")
    assert any(line.startswith("| won | What is p0q0? | word p0q0 |") for line in lines)


def test_flips_are_listed_by_kind(folder: Path, capsys: Capture) -> None:
    write(folder / "other.json", right("p1q1", "p2q2"))
    assert compare("close.json", "other.json", "--flips") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["what", "1", "1"] in lines
    assert ["who", "1", "0"] in lines


@pytest.mark.parametrize(
    ("system", "base", "code", "verdict"),
    [
        ("good", "bad", 0, "VERDICT better f1 +100.0 [100.0, 100.0] p=0.0001"),
        ("bad", "good", 1, "VERDICT worse f1 -100.0 [-100.0, -100.0] p=0.0001"),
        ("good", "close", 3, "VERDICT not-separable f1 +4.2 ["),
        ("close", "good", 3, "VERDICT not-separable f1 -4.2 ["),
    ],
)
def test_the_last_line_and_the_exit_code_are_the_verdict(
    system: str, base: str, code: int, verdict: str, folder: Path, capsys: Capture
) -> None:
    against = ("--against", f"{base}.json", "--cluster", "none")
    assert compare(f"{system}.json", *against) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(verdict)
    assert compare(f"{system}.json", *against, "--json") == code
    printed = capsys.readouterr()
    assert json.loads(printed.out)["questions"] == 24
    assert printed.err.startswith(verdict)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.json"], "a comparison needs two systems or more"),
        (["good.json", "good.json"], "two systems have one name: good, good; write NAME=FILE"),
        (["good.json", "bad.json", "--against", "close.json"], "name exactly one"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str], message: str, folder: Path, capsys: Capture
) -> None:
    assert compare(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_question_word_is_the_first_one() -> None:
    assert question_word("In which year, and where?") == "which"
    assert question_word("Name it.") == "other"
    assert question_word("What's that, and who\u2019s he?") == "what"
