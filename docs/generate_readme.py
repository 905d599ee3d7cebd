"""Write the generated parts of README.md, or check that they are up to date.

    python docs/generate_readme.py           # write
    python docs/generate_readme.py --check   # exit 1 where README.md is out of date

A part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


def stages() -> str:
    """The stages of dvc.yaml with what they do."""
    rows = [f"| `{name}` | {stage['desc']} |" for name, stage in _pipeline()["stages"].items()]
    return "\n".join(["| stage | what it does |", "|---|---|", *rows])


def graph() -> str:
    """The stages of dvc.yaml and the data that flows between them, for Mermaid."""
    made_by, lines = {}, ["```mermaid", "flowchart LR"]
    for name, stage in _pipeline()["stages"].items():
        for path in map(_path, stage.get("deps", [])):
            if path in made_by:
                lines.append(f"    {made_by[path]} -- {Path(path).name} --> {name}")
        made_by |= {_path(out): name for out in stage.get("outs", [])}
    return "\n".join([*lines, "```"])


def results() -> str:
    """The variants on the bundled corpus, best F1 first."""
    rows = json.loads((ROOT / "metrics/qa_variants.json").read_text(encoding="utf-8"))
    lines = [
        "| model | EM | F1 | parameters | training | windows/s |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in sorted(rows, key=lambda row: -row["qa.f1"]):
        lines.append(
            f"| `{row['qa.model']}` | {row['qa.exact_match']:.2f} | {row['qa.f1']:.2f} "
            f"| {row['qa.parameters']:,.0f} | {row['qa.train_seconds']:.0f} s "
            f"| {row['qa.train_windows_per_second']:.1f} |"
        )
    return "\n".join(lines)


def curve() -> str:
    """The training loss of the default run, for Mermaid, and its score after each epoch."""
    steps, epochs = (_csv(f"metrics/qa_curves/{name}.csv") for name in ("train", "validation"))
    losses = ", ".join(f"{float(row['loss']):.2f}" for row in steps)
    scores = "; ".join(
        f"epoch {float(row['epoch']):.0f}: EM {float(row['exact_match']):.1f}, "
        f"F1 {float(row['f1']):.1f}"
        for row in epochs
    )
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            '    title "Training loss of the default run"',
            f'    x-axis "step" 1 --> {steps[-1]["step"]}',
            '    y-axis "loss" 0 --> 7',
            f"    line [{losses}]",
            "```",
            "",
            f"On the validation questions: {scores}.",
        ]
    )


def presets() -> str:
    """The experiments folder with each file's first comment."""
    lines = ["| experiment | what it is |", "|---|---|"]
    for path in sorted((ROOT / "experiments").glob("*.yaml")):
        comment = path.read_text(encoding="utf-8").split("\nqa:")[0]
        text = " ".join(line.removeprefix("#").strip() for line in comment.splitlines())
        lines.append(f"| `{path.stem}` | {text} |")
    return "\n".join(lines)


PARTS = {f.__name__: f for f in (stages, graph, results, curve, presets)}


def generate(text: str) -> str:
    """`text` with every part made anew."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"README.md has no part {name}")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


def main() -> int:
    """Write or check README.md."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    made = generate(text)
    if "--check" in sys.argv[1:]:
        if made != text:
            print("README.md is out of date: run `python docs/generate_readme.py`")
        return int(made != text)
    path.write_text(made, encoding="utf-8", newline="\n")
    return 0


def _pipeline() -> dict[str, Any]:
    pipeline: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return pipeline


def _csv(path: str) -> list[dict[str, str]]:
    with (ROOT / path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _path(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


if __name__ == "__main__":
    sys.exit(main())
