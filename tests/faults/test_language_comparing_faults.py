"""Continuations that do not belong together, and questions that no language model has: rows M."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from refusals import case, refused, stage, write_params, write_whole

from retune.core.files import read_json_lines, write_json_lines
from retune.core.manifests import digest, seal
from retune.tools.cli.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("whole"))


def ids(data: Path, file: str) -> list[str]:
    return [row["id"] for row in read_json_lines(data / "features" / file)]


def write_rows(data: Path, path: Path, names: Sequence[str], **inputs: str) -> None:
    """Write the same of each of the texts `names`, sealed as made of the features in `data`."""
    one = {"text": "a", "tokens": 1, "log_probability": -1.0, "ended": False}
    tokens: Any = [1] if path.name == "continuations.jsonl" else 1
    write_json_lines(path, [{"id": name, **one, "tokens": tokens} for name in names])
    made_of = {"features": digest(data / "features")} | inputs
    seal(path.parent, {"inputs": made_of, "params": {}})


@pytest.mark.parametrize(
    ("names", "inputs", "message"),
    [
        case("M39 other pairs", ["a", "b", "c"], {},
             r"continuations\.jsonl: its ids are not those of the features in their order; run"),
        case("M39 fewer pairs", ["validation-1"], {}, "its ids are not those of the features"),
        case("M39 of other features", [], {"features": "0" * 64},
             "said: made from other features than .*features; run `dvc repro`"),
    ],
)  # fmt: skip
def test_continuations_of_other_pairs_are_not_scored(
    names: list[str], inputs: dict[str, str], message: str, data: Path, tmp_path: Path
) -> None:
    write_rows(data, tmp_path / "said" / "continuations.jsonl", names, **inputs)
    places = [data / "features", tmp_path / "said", tmp_path / "m.json"]
    with refused(message, places[-1]):
        stage("score", *places, params=write_params(data))


METHODS = ["greedy", "beams"]


def write_all(data: Path, folder: Path) -> None:
    """Likelihoods, and continuations of all methods, of both states, each of one model."""
    pairs, texts = ids(data, "pairs.jsonl"), ids(data, "validation.jsonl")
    for state in ("before", "after"):
        for method in METHODS:
            path = folder / "generated" / state / method / "continuations.jsonl"
            write_rows(data, path, pairs, model=state)
        likelihoods = folder / "likelihoods" / state
        write_rows(data, likelihoods / "texts.jsonl", texts, model=state)
        write_rows(data, likelihoods / "pairs.jsonl", pairs, model=state)


def compare(data: Path, folder: Path, *outputs: Path) -> str:
    inputs = [data / "features", folder / "likelihoods", folder / "generated"]
    return stage("compare", *inputs, *outputs, params=write_params(data))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        case("M40 one method of another model", "generated/after/beams/continuations.jsonl",
             "after/beams: made with another model than .*likelihoods/after, so that they cannot"),
        case("M40 likelihoods of another model", "likelihoods/before/pairs.jsonl",
             "before/beams: made with another model than .*likelihoods/before"),
        case("M40 no method of that name", "", "after/beams: no such folder; run the stage that"),
    ],
)  # fmt: skip
def test_states_of_several_models_are_not_compared(
    file: str, message: str, data: Path, tmp_path: Path
) -> None:
    write_all(data, tmp_path)
    outputs = [tmp_path / "c.json", tmp_path / "c.csv"]
    assert "perplexity of second sentences" in compare(data, tmp_path, *outputs)
    path = tmp_path / (file or "generated/after/beams")
    if file:
        write_rows(data, path, ids(data, "pairs.jsonl"), model="another")
    else:
        path.rename(tmp_path / "elsewhere")
    with refused(message, *outputs):
        compare(data, tmp_path, *outputs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        case("M41 a context", ["--context", "{}/p.yaml", "Once"],
             "--context is for questions; a text is continued as it stands"),
        case("M41 no model", ["--model", "{}/none", "Once"],
             "none: no such folder; `dvc repro` trains the model, --model names another"),
        case("M41 a model of another task", ["--model", "{}/raw", "Once"],
             "raw: trained without language_model.model, so for another task; see --task"),
        case("M30 a prompt of one's own", ["fish " * 400],
             "new ones are more than the 400 of the model's context; shorten it, or lower max_new"),
        case("M33 a variant of one's own", ["--variant", "tall", "Once"],
             "variants: no 'tall'; allowed: beams, greedy"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told(
    words: list[str], message: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--model", f"{data}/before", "--params", str(write_params(data))]
    asked = ["ask", "--task", "generate", *own, *(word.format(data) for word in words)]
    assert main(asked) == 1
    told = capsys.readouterr()
    assert message in told.err
    # A text that cannot be continued keeps its place; wrong settings end it all.
    assert told.out == ("\n" if words[0].startswith("fish") else "")


def test_m31_a_blank_text_keeps_its_place(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--model", f"{data}/before", "--params", str(write_params(data))]
    assert main(["ask", "--task", "generate", *own, "--json", " ", "Once"]) == 0
    blank, reply = map(json.loads, capsys.readouterr().out.splitlines())
    assert blank == {"blank": True}
    assert reply["prompt"] == "Once"
