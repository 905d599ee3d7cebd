"""What only one task shows: sentiment's noise and probes, answers, a language model's tokens."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare.scored_runs import comparison
from report_projects import Page, blocks_of, whole, write

from retune.core.files import write_json_lines
from retune.core.params import load_yaml
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tools.report.command import gather
from retune.tools.report.content import Report, Spread

ROOT = Path(__file__).resolve().parent.parent.parent
SCORE = "stages:\n  score:\n    cmd: score\n    metrics:\n      - metrics/qa.json\n"
TOKENS = """\
stages:
  download:
    cmd: download
    metrics: [metrics/texts.json]
  compare:
    cmd: compare
    metrics: [metrics/compare.json]
  plots:
    cmd: plots
    outs: [metrics/plots/texts.json, metrics/plots/coloured.html]
    plots:
      - metrics/plots/token_probabilities.csv: {template: by_beams, x: position, y: probability}
      - metrics/plots/beams.csv: {template: scatter, x: beams, y: mean_log_probability}
"""


@pytest.fixture(scope="module")
def project() -> Report:
    """The report of the project, which takes seconds."""
    return gather(ROOT)


def of_one(project: Report, name: str) -> Report:
    """The part of one pipeline."""
    return replace(project, parts=tuple(part for part in project.parts if part.name == name))


def captions(report: Report) -> dict[str, Any]:
    return {table.caption: table for table in blocks_of(report, "table")}


def titles(report: Report) -> list[str]:
    return [section.title for section in report.parts[0].sections]


def remarks(report: Report) -> str:
    return "\n".join(remark.text for remark in blocks_of(report, "remark"))


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("qa", ("metrics/qa.json", ("qa", "f1"))),
        ("adapters", ("pipelines/adapters/metrics/stack/scores.json", ("qa", "f1"))),
        (
            "sentiment",
            ("pipelines/sentiment/metrics/bert/scores.json", ("sentiment", "accuracy")),
        ),
    ],
)
def test_of_each_pipeline_of_the_project_all_figures_are_shown(
    name: str, figure: tuple[str, tuple[str, str]], project: Report
) -> None:
    report = of_one(project, name)
    assert [r.text for r in blocks_of(report, "remark") if r.tone == "fault"] == []
    assert "Not run yet" not in remarks(report)
    path, (task, key) = figure
    value = json.loads((ROOT / path).read_text(encoding="utf-8"))[task][key]
    assert f"{value:.2f}" in Page(whole(report)).text
    assert {"Results", "Figures", "Settings", "Provenance"} <= {*titles(report)}


def test_every_pipeline_of_the_project_is_in_the_report(project: Report) -> None:
    folders = sorted(path.parent.name for path in ROOT.glob("pipelines/*/dvc.yaml"))
    assert [part.name for part in project.parts] == ["qa", *folders]
    assert len(folders) >= 2


def test_sentiment_tells_which_gaps_are_noise(project: Report) -> None:
    report = of_one(project, "sentiment")
    path = ROOT / "pipelines/sentiment/metrics/compare.json"
    told = json.loads(path.read_text(encoding="utf-8"))["sentiment"]["seed_noise"]
    table = next(t for c, t in captions(report).items() if c.startswith("Noise of seeds"))
    verdicts = [row[-1] for row in table.rows]
    expected = {"below": "below seed noise", "above": "more than seed noise"}
    assert verdicts == [expected[row["verdict"]] for row in told]
    below = [row for row in told if row["verdict"] == "below" and row["key"] == "accuracy"]
    sentences = re.findall(r"accuracy of (\w+) over (\w+) is below seed noise", remarks(report))
    assert sentences == [(row["better"], row["worse"]) for row in below]


def test_sentiment_shows_probes_by_kind_and_the_notebooks_sentences(project: Report) -> None:
    report = of_one(project, "sentiment")
    tables = captions(report)
    path = ROOT / "pipelines/sentiment/metrics/bert/probes.json"
    kinds = json.loads(path.read_text(encoding="utf-8"))["sentiment"]["kinds"]
    table = tables["Probes passed, in percent, by kind"]
    column = [c.heading for c in table.columns].index("bert")
    shown = {row[0]: row[column] for row in table.rows}
    assert shown == {row["kind"]: Spread(row["mean"], row["half_width"]) for row in kinds}
    assert table.columns[-1].heading == "baseline"
    assert {row[0]: row[-1] for row in table.rows} == {k["kind"]: k["one_answer"] for k in kinds}
    sentences = tables["Notebook N3's sentences: seeds that pass"].rows
    assert sentences[0][0] == "not a bad movie"
    assert sentences[-1][:2] == ("Today, the weather is good.", "The weather is good today")
    variants = load_yaml(ROOT / "pipelines/sentiment/params.yaml")["variants"]
    assert len(blocks_of(report, "matrix")) == len(variants)


def test_probes_in_another_form_are_a_fault_of_their_file(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines/sentiment"
    write(tmp_path / "dvc.yaml", SCORE)
    write(folder / "params.yaml", "sentiment: {seeds: [1]}\n")
    write(folder / "dvc.yaml", "stages: {probe: {cmd: probe, metrics: [metrics/probes.json]}}\n")
    write(folder / "metrics/probes.json", {"sentiment": {"runs": [], "kinds": [{"kind": "INV"}]}})
    assert (
        "pipelines/sentiment/metrics/probes.json: not of the form that its stage writes (KeyError: "
    ) in remarks(gather(tmp_path, ["sentiment"]))


def answers(root: Path, f1: float) -> Path:
    """Two questions: one is answered rightly, one half."""
    context = "Ada built it in 1871 on Sula."
    examples = [
        Example("a", "t", context, "Who built <it>?", (Answer("Ada", 0),)),
        Example("b", "t", context, "On which island is it?", (Answer("on Sula", 21),)),
    ]
    write(root / "dvc.yaml", SCORE)
    write(root / "params.yaml", "qa: {model: bert}\n")
    details = [{"normalizer": "plain"}]
    write(root / "metrics/qa.json", {"qa": {"f1": f1, "details": details}})
    (root / "data/qa/test").mkdir(parents=True)
    write_examples(root / "data/qa/test/test.jsonl", examples)
    folder = root / "data/qa/predictions"
    write(folder / "manifest.json", {"params": {"qa.squad_v2": False}})
    write(folder / "predictions.json", {"a": "Ada", "b": "Sula"})
    rows = [
        {"id": "a", "candidates": [{"text": "Ada", "probability": 0.95}]},
        {"id": "b", "candidates": [{"text": "Sula", "probability": 0.45}]},
    ]
    write_json_lines(folder / "nbest.jsonl", rows)
    return root


F1 = 100 * (1 + 2 / 3) / 2


def test_without_an_analysis_answers_are_told_by_examples(tmp_path: Path) -> None:
    report = gather(answers(tmp_path, F1))
    tables = captions(report)
    right = tables["Most confident right answers"].rows
    assert right == (("Who built <it>?", "Ada", "Ada", 0.95, 100.0),)
    assert "Who built <it>?" in Page(whole(report)).text
    assert [row[1] for row in tables["Near misses"].rows] == ["Sula"]
    assert "Most confident wrong answers" not in tables


def test_answers_of_another_run_are_not_told(tmp_path: Path) -> None:
    report = gather(answers(tmp_path, 12.5))
    assert "data/qa/predictions: of another run than the scores in the metrics" in remarks(report)
    assert "Questions" not in titles(report)


def test_absent_answers_are_told(tmp_path: Path) -> None:
    folder = answers(tmp_path, F1) / "data/qa/predictions"
    (folder / "nbest.jsonl").unlink()
    told = remarks(gather(tmp_path))
    assert "need data/qa/predictions and data/qa/test/test.jsonl" in told
    assert "`dvc repro` creates them" in told


def question(name: str, f1: float) -> QuestionScore:
    return QuestionScore(name, name[0], "T", "Who?", ("Ada",), f1 == 1, f1, "Ada")


def with_scores(root: Path, validation: Sequence[QuestionScore], test_f1: float = 0.5) -> str:
    """The remarks on a run with 8 test questions on 4 passages and some of validation."""
    test = [question(f"{passage}{n}", test_f1) for passage in "abcd" for n in range(2)]
    for place, scores in (("scores", test), ("validation_scores", validation)):
        (root / "data/qa" / place).mkdir()
        write_question_scores(root / "data/qa" / place / "questions.jsonl", scores)
    return remarks(gather(root))


def test_the_optimism_of_validation_is_stated_with_its_interval(tmp_path: Path) -> None:
    validation = [question(f"{passage}{n}", n % 2) for passage in "xyz" for n in range(4)]
    told = with_scores(answers(tmp_path, 50.0), [*validation, question("x9", 1.0)])
    found = re.search(
        r"the validation F1 is \+3\.85 points from the test F1 \(95 % interval (\S+) to (\S+), b",
        told,
    )
    assert found
    assert float(found[1]) < 3.85 < float(found[2])
    rows = captions(gather(tmp_path))["Scores by split"].rows
    assert rows[0] == ("test", "the score", 8, 0.0, 50.0)
    assert rows[1][:3] == ("validation", "choosing the epoch", 13)


def test_without_a_validation_split_there_is_no_optimism(tmp_path: Path) -> None:
    told = with_scores(answers(tmp_path, 50.0), [])
    assert "There is no validation split: the last epoch was kept" in told
    assert "Optimism" not in told


def test_one_validation_passage_has_no_interval(tmp_path: Path) -> None:
    told = with_scores(answers(tmp_path, 50.0), [question("x1", 1.0)])
    assert "+50.00 points from the test F1. There is no interval" in told


def test_scores_of_another_run_or_none_are_said(tmp_path: Path) -> None:
    assert "validation and test scores needs" in remarks(gather(answers(tmp_path, 50.0)))
    assert "questions.jsonl: of another run" in with_scores(tmp_path, [], test_f1=0.25)


def test_all_models_are_shown_with_what_is_not_separable(tmp_path: Path) -> None:
    write(answers(tmp_path, F1) / "metrics/qa_variants.json", comparison(lstm=[1, 1], bert=[4, 4]))
    report = gather(tmp_path)
    table = captions(report)["Every model, all else as in params.yaml"]
    headings = [column.heading for column in table.columns]
    assert headings[:6] == ["model", "EM", "95 %", "F1", "95 %", "rank"]
    assert {"parameters", "training", "windows/s"} <= set(headings)
    ranked = ("100.00 to 100.00", "1"), ("25.00 to 25.00", "2")
    expected = [("bert", 100.0, *ranked[0]), ("lstm", 25.0, *ranked[1])]
    assert [(row[0], row[3], row[4], row[5]) for row in table.rows] == expected
    (pair,) = captions(report)["Differences in F1, paired by question"].rows
    assert pair == ("bert", "lstm", 75.0, "75.00 to 75.00", 2 / 2**8, 0.0, "better")
    assert "Not separable by F1: none." in remarks(report)


@pytest.mark.parametrize("f1", [75.0, 75.1])
def test_the_table_of_models_says_where_it_is_not_of_the_last_run(
    tmp_path: Path, f1: float
) -> None:
    write(tmp_path / "dvc.yaml", SCORE)
    write(tmp_path / "metrics/qa_variants.json", comparison(lstm=[1, 1], bert=[4, 3]))
    write(tmp_path / "metrics/qa.json", {"qa": {"exact_match": 75.0, "f1": f1}})
    told = "This table is not of the last run, which has EM 75.00 and F1 75.10" in remarks(
        gather(tmp_path)
    )
    assert told == (f1 == 75.1)


def language_model(root: Path) -> Path:
    write(root / "dvc.yaml", SCORE)
    folder = root / "pipelines/language_model"
    write(folder / "dvc.yaml", TOKENS)
    write(folder / "params.yaml", "language_model: {seed: 1}\n")
    changes = [
        {"of": "texts", "before": 9.0, "after": 5.0, "difference": -4.0, "adjusted": 0.04},
        {"of": "pairs", "before": 9.0, "after": 8.0, "difference": -1.0, "adjusted": 0.05},
    ]
    write(folder / "metrics/compare.json", {"language_model": {"perplexity": changes}})
    write(folder / "metrics/texts.json", {"language_model": {"download": [{"texts": 3}]}})
    plots = folder / "metrics/plots"
    heading = "prompt,beams,position,token,probability\n"
    rows = 'Once,1,1," a",0.5\nOnce,1,2,b,0.25\nOnce,3,1,\r,0.75\nThe fox,1,1,d,1\n'
    write(plots / "token_probabilities.csv", heading + rows)
    heading = "prompt,beams,length,log_probability,mean_log_probability\n"
    write(plots / "beams.csv", f"{heading}Once,1,2,-2.0,-1.0\nOnce,3,1,-0.5,-0.5\n")
    tokens = [{"text": " <a>", "probability": 0.5}]
    text = {"prompt": "Once", "beams": 1, "mean_log_probability": -1.0, "tokens": tokens}
    write(plots / "texts.json", [text])
    write(plots / "coloured.html", "<script>alert(1)</script>")
    return root


def test_a_language_model_has_comparisons_beams_and_coloured_texts(tmp_path: Path) -> None:
    report = gather(language_model(tmp_path), ["language_model"])
    assert [r.text for r in blocks_of(report, "remark") if r.tone == "fault"] == []
    table = next(t for c, t in captions(report).items() if c.startswith("Perplexity before"))
    column = [c.heading for c in table.columns].index("verdict")
    told = [row[column] for row in table.rows]
    assert told == ["more than noise of texts", "within noise of texts"]
    once, fox, beams = blocks_of(report, "lines")
    assert once.title == "Probability of each token after “Once”"
    assert [(one.group, one.points) for one in once.lines] == [
        ("1 beam", ((1.0, 0.5), (2.0, 0.25))),
        ("3 beams", ((1.0, 0.75),)),
    ]
    assert fox.groups == ["1 beam"]
    assert [one.points for one in beams.lines] == [((1.0, -1.0), (3.0, -0.5))]
    (text,) = blocks_of(report, "coloured")
    assert text.title == "1 beam, mean log-probability -1.000"
    seen = Page(whole(report))
    assert "<a> 50" in seen.text
    assert "alert" not in "".join(re.findall(r"<script>.*?</script>", whole(report), re.DOTALL))
    assert seen.all("script") == [{}] * 2


def test_methods_of_each_state_have_a_table_of_their_own(tmp_path: Path) -> None:
    of = [(s, f"method {n}") for s in ("before", "after") for n in range(110)]
    rows = [{"state": s, "one": one, "other": "x", "adjusted": 0.01} for s, one in of]
    path = language_model(tmp_path) / "pipelines/language_model/metrics/compare.json"
    write(path, {"language_model": {"methods": rows}})
    report = gather(tmp_path, ["language_model"])
    told = {c: t for c, t in captions(report).items() if c.startswith("Decoding methods")}
    assert [c.partition(", ")[2] for c in told] == ["before training", "after training"]
    assert [{row[0] for row in t.rows} for t in told.values()] == [{"before"}, {"after"}]
    assert [len(t.rows) for t in told.values()] == [110, 110]
    assert "too many for a page" not in remarks(report)


def test_what_a_language_model_has_not_earned_is_named(tmp_path: Path) -> None:
    metrics = language_model(tmp_path) / "pipelines/language_model/metrics"
    for file in (metrics / "compare.json", *(metrics / "plots").iterdir()):
        file.unlink()
    told = remarks(gather(tmp_path, ["language_model"]))
    assert "pipelines/language_model/metrics/plots/texts.json" in told
    assert "`cd pipelines/language_model && dvc repro` makes it" in told
    write(tmp_path / "pipelines/language_model/dvc.yaml", "stages: {}\n")
    told = remarks(gather(tmp_path, ["language_model"]))
    assert "Not run yet: plots/texts.json. `cd pipelines/language_model && dvc repro`" in told
    assert "Not run yet: beams.csv." in told


def test_texts_in_another_form_are_a_fault(tmp_path: Path) -> None:
    plots = language_model(tmp_path) / "pipelines/language_model/metrics/plots"
    write(plots / "texts.json", [{"prompt": "Once"}])
    assert "texts.json: not of the form that its stage writes (KeyError: " in (
        remarks(gather(tmp_path, ["language_model"]))
    )
