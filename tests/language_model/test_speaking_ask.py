"""`retune ask --task generate`."""

import json
from pathlib import Path
from typing import Any

import pytest
import speaking_runs
import yaml
from speaking_runs import END, PAIRS, voice_of

from retune import TextGenerator
from retune.core.errors import RetuneError
from retune.core.manifests import seal
from retune.core.params import Params, Seed
from retune.inference.text_generator import SEARCH, SEED
from retune.tasks.language_model.generate.generation import GenerationParams, best_continuations
from retune.tasks.language_model.plots.coloured import LEVELS
from retune.tools.cli.main import main

GENERATE: dict[str, Any] = {
    "batch_size": 3, "max_new_tokens": 8, "beam_search": None, "sampling": None,
    "processors": {
        "repetition_penalty": None, "ngram_block": None, "word_block": None, "min_length": None,
    },
}  # fmt: skip
VARIANTS: dict[str, Any] = {
    "beams": {"generate": {"beam_search": {"beams": 3, "continuations": 2, "length_penalty": 1.0}}},
    "drawn": {
        "generate": {
            "sampling": {"temperature": 1.0, "top_k": None, "top_p": 0.9, "continuations": 1}
        }
    },
    "long": {"generate": {"max_new_tokens": 60}},
    "wide": {
        "generate": {"beam_search": {"beams": 999, "continuations": 1, "length_penalty": 1.0}}
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both states of a model, and settings."""
    folder = speaking_runs.write_states(tmp_path_factory.mktemp("ask"))
    values = {"language_model": {"generate": GENERATE, "seed": 1}, "variants": VARIANTS}
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def ask(folder: Path, *words: str, model: str = "after") -> int:
    files = ["--model", str(folder / model), "--params", str(folder / "params.yaml")]
    return main(["ask", "--task", "generate", *files, *words])


@pytest.mark.parametrize("variant", [None, "beams", "drawn"])
def test_a_prompt_is_continued_by_the_search_of_the_params(
    trained: Path, variant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = [first for first, _ in PAIRS[:2]]
    chosen = ["--variant", variant] if variant else []
    assert ask(trained, *chosen, "--json", *prompts) == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with Params(trained / "params.yaml", variant) as params:
        search = params.section("language_model.generate", GenerationParams)
    generator = voice_of(trained)
    for prompt, reply in zip(prompts, replies, strict=True):
        (found,) = best_continuations(generator, [generator.read(prompt)], search, seed=1)
        assert reply["prompt"] == prompt
        assert reply["continuation"] == generator.text(found)
        assert [token["text"] for token in reply["tokens"]] == [
            piece.text for piece in generator.pieces([], found)
        ]
        assert all(0 < token["probability"] <= 1 for token in reply["tokens"])
        assert reply["log_probability"] == pytest.approx(found.log_probability)
        assert reply["mean_log_probability"] == pytest.approx(found.mean_log_probability)
        assert reply["ended"] is False


def test_where_it_is_piped_it_is_plain_text(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt, after = PAIRS[2]
    assert ask(trained, "--variant", "long", prompt) == 0
    assert capsys.readouterr().out == f"{prompt} {after} Then the day was over.\n"
    assert ask(trained, "--variant", "long", "--json", prompt) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["ended"] is True
    assert reply["tokens"][-1]["text"] == END
    assert any("🐟" in token["text"] for token in reply["tokens"])


def test_a_terminal_shows_colours_and_what_they_mean_once(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLORTERM": "truecolor"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    first, second = (prompt for prompt, _ in PAIRS[:2])
    assert ask(trained, first, second) == 0
    out = capsys.readouterr().out
    assert out.count(LEVELS[0].label) == 1
    lines = out.splitlines()
    assert [lines[1].startswith(first), lines[2].startswith(second)] == [True, True]
    assert "\x1b[38;2;17;17;17;48;2;147;198;232m" in lines[1]  # of what it is sure
    monkeypatch.setenv("NO_COLOR", "1")
    assert ask(trained, first) == 0
    assert "\x1b[3" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fish " * 50], "are more than the 96 of the model's context; shorten it, or lower max_"),
        (["--variant", "wide", "fish"], "beams: 999 are more than the"),
        (["--variant", "tall", "fish"], "variants: no 'tall'; allowed: beams, drawn, long, wide"),
    ],
)
def test_what_cannot_be_continued_is_told(
    trained: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(trained, *words) == 1
    assert message in capsys.readouterr().err


def test_a_context_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "context.txt").write_text("A text.", encoding="utf-8")
    assert ask(trained, "--context", str(tmp_path / "context.txt"), "Once") == 1
    assert "--context is for questions; a text is continued as it stands" in capsys.readouterr().err


def test_a_text_that_cannot_be_continued_does_not_stop_the_others(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["fish", "fish " * 50, "fish"]
    assert ask(trained, *texts) == 1
    out, err = capsys.readouterr()
    first, second, third = out.splitlines()
    assert first == third != second == ""
    assert err.startswith("'fish fish")
    assert "is not continued: this text: 101 tokens and 8 new ones are more than the 96" in err
    assert ask(trained, "--json", *texts) == 1
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["error" in reply for reply in replies] == [False, True, False]
    assert [reply["continuation"] is None for reply in replies] == [False, True, False]


def test_a_model_of_another_task_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = trained / "features"
    speaking_runs.write_model(features, trained / "other")
    seal(trained / "other", {"inputs": {}, "params": {"qa.model": "bert"}})
    assert ask(trained, "Once", model="other") == 1
    assert "other: trained without language_model.model, so for anot" in capsys.readouterr().err
    assert ask(trained, "Once", model="none") == 1
    assert "none: no such folder; `dvc repro` trains the model" in capsys.readouterr().err


def test_the_text_generator_continues_as_the_command_does(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = [first for first, _ in PAIRS[:2]]
    assert ask(trained, "--json", *prompts) == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (trained / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    generate = TextGenerator(trained / "after")  # by the params.yaml beside it
    for found, reply in zip(generate(prompts), replies, strict=True):
        assert found["continuation"] == reply["continuation"]
        assert found["generated_text"] == reply["prompt"] + reply["continuation"]
        assert found["log_probability"] == pytest.approx(reply["log_probability"])
        assert found["ended"] == reply["ended"]
    short = generate(prompts[0], max_new_tokens=2)
    assert len(short["tokens"]) <= 2
    assert generate([]) == []


def test_what_is_no_text_or_no_language_model_is_refused(trained: Path, tmp_path: Path) -> None:
    generate = TextGenerator(trained / "after")
    with pytest.raises(RetuneError, match="text 0 is 7; give a text"):
        generate([7])  # type: ignore[list-item]
    with pytest.raises(RetuneError, match="max_new_tokens is 0; give 1 or more"):
        generate("a", max_new_tokens=0)
    with pytest.raises(RetuneError, match="not a folder that a stage of the language model wrote"):
        TextGenerator(tmp_path)


def test_the_search_that_retune_ships_is_that_of_the_pipeline() -> None:
    top = Path(__file__).parents[2] / "pipelines/language_model/params.yaml"
    with Params(top) as params:
        search = params.section("language_model.generate", GenerationParams)
        seed = params.section("language_model.seed", Seed)
    assert (search, seed) == (SEARCH, SEED)
