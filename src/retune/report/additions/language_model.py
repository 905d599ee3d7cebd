"""Of language models: how probable each generated token was, by beams, and as coloured text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retune.report.content import Block, Coloured, Line, Lines, Remark, Section, Token, section
from retune.report.reading import Reader, Row, numbers
from retune.report.results import Metrics

CLAIMED = ("token_probabilities.csv", "beams.csv", "texts.json")
#: Of each table: x, y, and what its chart is called.
_CHARTS = {
    "token_probabilities.csv": ("position", "probability", "Probability of each token"),
    "beams.csv": ("length", "mean_log_probability", "Mean log-probability of the best beam"),
}


def add(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    """Charts by prompt, and the texts."""
    blocks: list[Block] = []
    for name, (x, y, title) in _CHARTS.items():
        if output := reader.found(name):
            rows, path = reader.rows(output) or [], output.path
            blocks += reader.guarded(lambda: [*_charts(path, rows, x, y, title)]) or []  # noqa: B023
        else:
            blocks.append(_missing(reader, name))
    if texts := reader.found("texts.json"):
        value = reader.json(texts)
        blocks += reader.shaped(texts.path, lambda: [*map(_coloured, value or ())]) or []
    else:
        blocks.append(_missing(reader, "texts.json"))
    return section("Beams and tokens", blocks)


def _charts(path: str, rows: Sequence[Row], x: str, y: str, title: str) -> Iterator[Block]:
    """A chart for each prompt, a line for each number of beams."""
    by_prompt: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        beams = row.get("beams", "?")
        by_prompt.setdefault(row.get("prompt", ""), {}).setdefault(beams, []).append(row)
    for prompt, by_beams in by_prompt.items():
        lines = [
            Line(
                f"{beams} beam{'s' if beams != '1' else ''}",
                tuple(zip(numbers(path, its, x), numbers(path, its, y), strict=True)),
            )
            for beams, its in by_beams.items()
        ]
        yield Lines(f"{title}: “{prompt}”", x, y.replace("_", " "), tuple(lines))


def _coloured(text: Mapping[str, Any]) -> Coloured:
    mean = f", mean log-probability {text['mean_log_probability']:.3f}"
    tokens = tuple(Token(str(t["text"]), float(t["probability"])) for t in text["tokens"])
    beams = "1 beam" if text["beams"] == 1 else f"{text['beams']} beams"
    return Coloured(f"{beams}{mean}", str(text["prompt"]), tokens)


def _missing(reader: Reader, name: str) -> Remark:
    command = reader.pipeline.command
    text = f"Not earned yet: {name}. `{command}` does it, from the project's top."
    return Remark(text, "missing")
