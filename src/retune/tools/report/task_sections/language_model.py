"""The report on language models: comparisons, beams, and token probabilities."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from retune.stats.paired import LEVEL
from retune.tools.project.graph import Output
from retune.tools.report.content import Block, Coloured, Lines, Remark, Section, Token, section
from retune.tools.report.figures import counted, line
from retune.tools.report.results import Metrics, list_table
from retune.tools.report.sources import Reader, Row

#: Lists of compare.json with the captions of their tables.
_COMPARED = {
    "perplexity": "Perplexity before and after training, with the 95 % interval of the change",
    "states": "Change by training, by method",
    "methods": "Decoding methods compared",
}
_TOKENS, _BEAMS = "token_probabilities.csv", "beams.csv"
_TEXTS = "plots/texts.json"  # metrics/texts.json is about the download
CLAIMED = (_TOKENS, _BEAMS, *_COMPARED)


def add(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    """Return comparisons, charts by prompt, and coloured texts."""
    compared: list[Block] = []
    for output, value in found:
        if PurePosixPath(output.path).name == "compare.json":
            made = reader.shaped(output.path, lambda: [*_compared(output, value)])  # noqa: B023
            compared += made or []
    blocks = [*_of_table(reader, _TOKENS, _token_charts), *_of_table(reader, _BEAMS, _beam_chart)]
    if texts := reader.found(_TEXTS):
        value = reader.json(texts)
        blocks += reader.shaped(texts.path, lambda: [*map(_coloured, value or ())]) or []
    else:
        blocks.append(_missing(reader, _TEXTS))
    return [*section("Paired comparisons", compared), *section("Beams and tokens", blocks)]


def _compared(output: Output, value: Mapping[str, Any]) -> Iterator[Block]:
    task = value["language_model"]
    for name, caption in _COMPARED.items():
        by_state: dict[Any, list[tuple[Output, Mapping[str, Any]]]] = {}
        for row in task.get(name, ()):
            by_state.setdefault(row.get("state"), []).append((output, {**row, **_verdict(row)}))
        for state, rows in by_state.items():
            yield list_table(f"{caption}, {state} training" if state else caption, rows)


def _verdict(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict on a row with a p-value: is the difference more than noise?"""
    if "adjusted" not in row:
        return {}
    above = row["adjusted"] < LEVEL
    return {"verdict": "more than noise of texts" if above else "within noise of texts"}


def _of_table(reader: Reader, name: str, draw: Any) -> list[Block]:
    output = reader.found(name)
    if output is None:
        return [_missing(reader, name)]
    rows = reader.rows(output) or []
    return reader.shaped(output.path, lambda: [*draw(output.path, rows)]) or []


def _token_charts(path: str, rows: Sequence[Row]) -> Iterator[Block]:
    """Yield a chart for each prompt with a line for each number of beams."""
    for prompt, its in _by(rows, "prompt").items():
        lines = [
            line(counted(beams, "beams"), path, each, "position", "probability")
            for beams, each in _by(its, "beams").items()
        ]
        title = f"Probability of each token after “{prompt}”"
        yield Lines(title, "position", "probability", tuple(lines))


def _beam_chart(path: str, rows: Sequence[Row]) -> Iterator[Block]:
    """Yield a chart with a line for each prompt over the number of beams."""
    y = "mean_log_probability"
    lines = [line(prompt, path, its, "beams", y) for prompt, its in _by(rows, "prompt").items()]
    if lines:
        title = "Mean log-probability after a prompt"
        yield Lines(title, "beams", y.replace("_", " "), tuple(lines))


def _by(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _coloured(text: Mapping[str, Any]) -> Coloured:
    mean = f", mean log-probability {text['mean_log_probability']:.3f}"
    tokens = tuple(Token(str(t["text"]), float(t["probability"])) for t in text["tokens"])
    return Coloured(f"{counted(text['beams'], 'beams')}{mean}", str(text["prompt"]), tokens)


def _missing(reader: Reader, name: str) -> Remark:
    command = reader.pipeline.command
    text = f"Not run yet: {name}. `{command}` makes it, from the project's top."
    return Remark(text, "missing")
