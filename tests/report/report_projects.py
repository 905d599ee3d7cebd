"""A project of two small pipelines with figures of every kind, for tests of the report."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from retune.tools.report.content import Report
from retune.tools.report.page import pages

MAIN = """\
# The main graph. It is small.
stages:
  train:
    cmd: train
    metrics:
      - metrics/qa.json: {cache: false}
    plots:
      - metrics/qa_curves: {cache: false}
plots:
  - loss:
      x: step
      y:
        metrics/qa_curves/train.csv: loss
        metrics/qa_curves/validation.csv: loss
      title: Loss of both
"""
TOY = """\
# A toy: its methods. More words.
vars:
  - methods:
      - {name: plain}
      - {name: fancy}
stages:
  download:
    wdir: ../..
    cmd: download
    metrics:
      - pipelines/toy/metrics/download.json
  train:
    matrix:
      method: ${methods}
      seed: ${toy.seeds}
    wdir: ../..
    cmd: train ${item.method.name}
    metrics:
      - pipelines/toy/metrics/runs/${item.method.name}/${item.seed}/times.json
    plots:
      - pipelines/toy/metrics/runs/${item.method.name}/${item.seed}/curves
  score:
    matrix:
      method: ${methods}
    wdir: ../..
    cmd: score
    metrics:
      - pipelines/toy/metrics/${item.method.name}/scores.json: {cache: false}
    plots:
      - pipelines/toy/metrics/${item.method.name}/confusion.csv:
          template: confusion
          x: actual
          y: predicted
          title: Answers
      - pipelines/toy/metrics/${item.method.name}/reliability.csv:
          template: linear
          x: probability
          y: positive
          title: Reliability
      - pipelines/toy/metrics/${item.method.name}/beams.csv:
          template: by_beams
          x: position
          y: share
          title: By beams
  compare:
    wdir: ../..
    cmd: compare
    plots:
      - pipelines/toy/metrics/compare.csv:
          template: bar_horizontal
          x: accuracy_mean
          y: variant
          title: Accuracy
"""
METHODS, SEEDS = ("plain", "fancy"), (1, 2, 3)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


def project(root: Path) -> Path:
    write(root / "dvc.yaml", MAIN)
    write(root / "params.yaml", "qa: {model: bert, train: {lr: 0.1, epochs: 2}}\n")
    write(root / "metrics/qa.json", {"qa": {"f1": 50.25, "parameters": 1234567}})
    write(root / "metrics/qa_curves/train.csv", "step,epoch,loss\n1,0.5,3.5\n2,1.0,2.5\n")
    write(root / "metrics/qa_curves/validation.csv", "step,epoch,loss\n2,1.0,2.75\n")
    toy = root / "pipelines/toy"
    write(toy / "dvc.yaml", TOY)
    params = "toy: {seeds: [1, 2, 3], lr: 0.1}\nvariants: {plain: {}, fancy: {lr: 0.2}}\n"
    write(toy / "params.yaml", params)
    splits = [{"split": "train", "rows": 5}, {"split": "validation", "rows": 3}]
    write(toy / "metrics/download.json", {"toy": {"download": splits}})
    for place, method in enumerate(METHODS):
        write_method(toy / "metrics", method, place)
    table = "variant,accuracy_mean,accuracy_half_width\nfancy,70.0,2.5\nplain,60.0,\n"
    write(toy / "metrics/compare.csv", table)
    return root


def write_method(metrics: Path, method: str, place: int) -> None:
    for seed in SEEDS:
        run = metrics / f"runs/{method}/{seed}"
        write(run / "times.json", {"toy": {"train_seconds": 10.0 * (place + seed)}})
        write(run / "curves/validation.csv", f"step,epoch,loss\n1,1.0,{seed}.5\n2,2.0,0.5\n")
    spread = [{"score": "accuracy", "half_width": 2.5}]
    scores = {"accuracy": 60.0 + place, "spread": spread, "details": [{"model_bytes": 2e6}]}
    write(metrics / method / "scores.json", {"toy": scores})
    write(metrics / method / "confusion.csv", "actual,predicted\na,a\na,b\nb,b\n")
    write(metrics / method / "reliability.csv", "probability,positive\n0.1,0.2\n0.9,0.8\n")
    shares = "1,1,0.5\n1,2,0.25\n2,1,0.75\nreference,1,0.9\n"
    write(metrics / method / "beams.csv", f"beams,position,share\n{shares}")


def whole(report: Report) -> str:
    """All pages of a report, one after the other."""
    return "".join(pages(report).values())


class Page(HTMLParser):
    """What a browser sees: every element, the texts, and whether all that opens is closed."""

    VOID = ("meta", "br", "hr", "img", "input", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def blocks_of(report: Any, kind: str) -> list[Any]:
    return [block for block in report.blocks if block.kind == kind]
