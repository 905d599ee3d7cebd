"""`retune score`: the official figures of a predictions file, with intervals."""

import json
from pathlib import Path
from typing import Any

import pytest
import squad_definition
from compare.predictions_files import document, ids, right, write

from retune.tools.cli.main import main
from retune.tools.compare.score import scored


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "dev.json", document())


@pytest.fixture
def data_v2(tmp_path: Path) -> Path:
    return write(tmp_path / "dev2.json", document(unanswerable=5))


def test_figures_are_those_of_the_script_for_squad_1(tmp_path: Path, data: Path) -> None:
    answers = right("p0q0", "p3q1") | {"p1q1": "word", "p2q2": ""}
    report = scored(write(tmp_path / "p.json", answers), data)
    expected = squad_definition.squad(document(), answers)
    assert {name: report.figures[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert report.figures["total"] == len(ids())
    mean = report.intervals["all"]["f1"]
    assert mean.value == pytest.approx(expected["f1"])
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low <= mean.value <= mean.high


@pytest.mark.parametrize("threshold", [1.0, 0.4])
def test_figures_are_those_of_the_script_for_squad_2(
    tmp_path: Path, data_v2: Path, threshold: float
) -> None:
    answers = right("p0q0") | {"p1q1": "", "p5q3": ""}
    chances = {id_: place / 24 for place, id_ in enumerate(ids())}
    report = scored(
        write(tmp_path / "p.json", answers), data_v2,
        na_prob=write(tmp_path / "n.json", chances), na_threshold=threshold,
    )  # fmt: skip
    expected = squad_definition.squad_v2(document(unanswerable=5), answers, chances, threshold)
    assert report.figures == pytest.approx(expected, abs=1e-12)
    for group, prefix in (("all", ""), ("HasAns", "HasAns_"), ("NoAns", "NoAns_")):
        assert report.intervals[group]["f1"].value == pytest.approx(expected[f"{prefix}f1"])


def test_the_terminal_has_figures_groups_thresholds_and_what_was_drawn(
    tmp_path: Path, data_v2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "p.json", right("p0q0"))
    write(tmp_path / "n.json", {id_: place / 24 for place, id_ in enumerate(ids())})
    paths = [str(tmp_path / "p.json"), str(data_v2)]
    assert main(["score", *paths, "--na-prob", str(tmp_path / "n.json")]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    rows = [line.split()[:3] for line in text.splitlines()]
    assert ["all", "24", "75.00"] in rows
    assert ["HasAns", "19", "94.74"] in rows
    assert ["NoAns", "5", "0.00"] in rows
    assert "best F1 95.83, at a threshold of 0.75" in text
    words = " ".join(text.split())
    assert "bootstrap over 6 passages (10,000 draws)" in words
    assert "The F1 of questions of one passage correlates by " in words


def test_missing_and_surplus_predictions_are_counted(
    tmp_path: Path, data_v2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = right() | {"nobody": "x"}
    del answers["p0q0"], answers["p5q3"]  # one of them has no reference answer
    arguments = ["score", str(write(tmp_path / "p.json", answers)), str(data_v2), "--squad-v2"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "questions without a prediction, which score 0: 2 of 24 (p0q0, p5q3)" in text
    assert "predictions without a question, which count for nothing: 1 (nobody)" in text
    assert main([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["missing"], value["surplus"]) == (["p0q0", "p5q3"], ["nobody"])
    assert value["figures"]["f1"] == pytest.approx(100 * 18 / 24)
    assert main([*arguments, "--missing", "error"]) == 1
    assert "2 of 24 questions have no prediction: p0q0, p5q3; add" in capsys.readouterr().err


@pytest.mark.parametrize(("by", "clusters"), [("passage", 6), ("article", 3), ("none", 24)])
def test_intervals_group_questions_as_asked(
    by: str, clusters: int, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path / "p.json", right("p0q0", "p0q1", "p0q2", "p0q3")))
    assert main(["score", path, str(data), "--cluster", by, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["cluster"], value["clusters"]) == (by, clusters)
    alike = {"passage": 1.0, "article": 3 / 7, "none": 0.0}  # all of one passage are wrong
    assert value["correlation"] == pytest.approx(alike[by])


def test_one_passage_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = document()
    one["data"] = [{**one["data"][0], "paragraphs": one["data"][0]["paragraphs"][:1]}]
    answers = {id_: text for id_, text in right().items() if id_.startswith("p0")}
    arguments = [write(tmp_path / "p.json", answers), write(tmp_path / "one.json", one)]
    assert main(["score", *map(str, arguments)]) == 0
    text = capsys.readouterr().out
    assert "100.00     -" in text
    assert "correlates" not in text


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        pytest.param([1], "p.json: [1] is not an object of answers by question", id="list"),
        pytest.param("{", "p.json: not valid JSON (", id="JSON"),
        pytest.param({"p0q0": 7}, "p.json: answers that are not a text: p0q0 (7)", id="number"),
        pytest.param('{"p0q0": "a", "p0q0": "b"}', "ids that stand twice: p0q0", id="twice"),
        pytest.param({"x": "a"}, "none of the 1 predictions has the id of a", id="other data"),
    ],
)  # fmt: skip
def test_a_wrong_predictions_file_is_refused(
    predictions: Any, message: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(write(tmp_path / "p.json", predictions)), str(data)]) == 1
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "p.json", right())
    for names in (["no.json", str(data)], [str(tmp_path / "p.json"), "no.json"]):
        assert main(["score", *names]) == 1
        assert "no.json: " in capsys.readouterr().err


def test_unanswerable_questions_need_squad_v2(
    tmp_path: Path, data_v2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(write(tmp_path / "p.json", right())), str(data_v2)]) == 1
    assert "5 questions have no reference answer: p4q3, p5q0" in capsys.readouterr().err


def test_a_data_file_without_questions_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = document()
    for article in empty["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = []
    paths = write(tmp_path / "p.json", right()), write(tmp_path / "empty.json", empty)
    assert main(["score", *map(str, paths)]) == 1
    assert "empty.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ({"p0q0": "x"}, "probabilities that are not a finite number: p0q0 ('x')"),
        ({"p0q0": True}, "probabilities that are not a finite number: p0q0 (True)"),
        ('{"p0q0": NaN}', "probabilities that are not a finite number: p0q0 (nan)"),
        ({"p0q0": 0.5}, "no probability for 23 predictions: p0q1"),
        (dict.fromkeys(ids(), 0.25), "each probability is 0.25, so the best threshold would only"),
    ],
)
def test_wrong_probabilities_are_refused(
    chances: Any, message: str, tmp_path: Path, data_v2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path / "p.json", right()), data_v2
    chances_file = str(write(tmp_path / "n.json", chances))
    assert main(["score", *map(str, paths), "--na-prob", chances_file]) == 1
    assert message in capsys.readouterr().err


def test_a_wrong_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for line, message in (
        ("--cluster page", "'page'; allowed: passage, article, none"),
        ("--na-threshold much", "'much' is not a number"),
    ):
        with pytest.raises(SystemExit):
            main(["score", "a", "b", *line.split()])
        assert message in capsys.readouterr().err
