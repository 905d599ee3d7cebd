"""The figures of the stage `perturb` in the report."""

from pathlib import Path
from typing import Any

from report_projects import blocks_of, write

from retune.tools.report.command import gather
from retune.tools.report.svg import bars

GRAPH = """\
# Questions.
stages:
  perturb:
    cmd: perturb
    metrics: [metrics/qa_perturbations.json: {cache: false}]
    plots: [metrics/qa_perturbations.csv: {cache: false, x: unchanged, y: perturbation}]
"""


def figures(kind: str, reader: str, unchanged: float, drop: float | None) -> dict[str, Any]:
    row = {"perturbation": kind, "reader": reader, "questions": 9, "passages": 2}
    for name, value in (("unchanged", unchanged), ("f1_drop", drop)):
        low, high = (None, None) if value is None else (value - 1, value + 1)
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row


def project(root: Path, rows: list[dict[str, Any]]) -> Path:
    write(root / "dvc.yaml", GRAPH)
    write(root / "params.yaml", "qa: {model: bert}\n")
    about = {"questions": 9, "passages": 2, "seed": 1}
    metrics = {"qa": {"perturbations": rows, "perturbed": [about]}}
    write(root / "metrics/qa_perturbations.json", metrics)
    write(root / "metrics/qa_perturbations.csv", "perturbation,unchanged\ntypos,50.0\n")
    return root


def test_the_baseline_is_beside_the_model(tmp_path: Path) -> None:
    rows = [
        figures("typos", "model", 50.0, 8.0),
        figures("typos", "first candidate", 90.0, -2.0),
        figures("negated question", "model", 70.0, None),
    ]
    report = gather(project(tmp_path, rows))
    unchanged, drop = blocks_of(report, "bars")
    assert (unchanged.title, unchanged.most) == ("Answers that stay the same", 100)
    assert [(bar.name, bar.value) for bar in unchanged.bars] == [
        ("typos (9)", 50.0), ("first candidate", 90.0), ("negated question (9)", 70.0),
    ]  # fmt: skip
    assert [(bar.value, bar.low, bar.high) for bar in drop.bars] == [(8, 7, 9), (-2, -3, -1)]
    assert [bar.baseline for bar in drop.bars] == [False, True]
    assert bars(drop).count('class="bar baseline"') == 1
    told = [block.text for block in blocks_of(report, "remark")]
    assert any(text.startswith("9 questions on 2 passages are perturbed.") for text in told)


def test_a_stage_that_is_switched_off_is_named(tmp_path: Path) -> None:
    report = gather(project(tmp_path, []))
    assert not blocks_of(report, "bars")
    told = [block.text for block in blocks_of(report, "remark") if block.tone == "missing"]
    assert any("qa.perturb.questions is 0" in text for text in told)


def test_damaged_figures_are_a_fault(tmp_path: Path) -> None:
    report = gather(project(tmp_path, [{}]))
    told = [block.text for block in blocks_of(report, "remark")]
    assert any("qa_perturbations.json: not of the form that its stage" in text for text in told)
