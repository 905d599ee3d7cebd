"""Stages generate and perplexity, against the search and the likelihoods that they are made of."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import speaking_runs
from pydantic import ValidationError
from speaking_runs import CONTEXT, PAIRS, lines, pair_row, tokenizer, voice_of
from tiny_decoders import settings

from retune.core.errors import RetuneError
from retune.core.files import read_json, write_json_lines
from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import SamplingParams
from retune.tasks.language_model.generate.generate import write_continuations
from retune.tasks.language_model.generate.generation import best_continuations
from retune.tasks.language_model.generate.processors import NGramBlock, ProcessorParams, WordBlock
from retune.tasks.language_model.generate.text_generator import load_text_generator
from retune.tasks.language_model.models import load
from retune.tasks.language_model.outputs.records import read_continuations, read_pairs, read_texts
from retune.tasks.language_model.perplexity.perplexity import PerplexityParams, write_perplexities
from retune.tasks.language_model.perplexity.scores import continuation_likelihoods, text_likelihoods

SAMPLING = SamplingParams(temperature=1.0, top_k=20, top_p=0.9, continuations=1)
WINDOWS = PerplexityParams(window=16, stride=8, batch_size=2)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_runs.write_states(tmp_path_factory.mktemp("states"))


def generated(
    states: Path, folder: Path, state: str = "after", seed: int = 1, **search: Any
) -> str:
    params = settings(**({"max_new_tokens": 8} | search))
    return write_continuations(states / "features", load(states / state), folder, params, seed)


@pytest.mark.parametrize("search", [{}, {"beam_search": BeamParams(3, 2, 1.0)}])
def test_continuations_are_those_of_the_search(
    states: Path, tmp_path: Path, search: dict[str, Any]
) -> None:
    said = generated(states, tmp_path / "g", **search)
    generator = voice_of(states)
    prompts = [pair.prompt_tokens for pair in read_pairs(states / "features")]
    params = settings(**({"max_new_tokens": 8} | search))
    expected = best_continuations(generator, prompts, params, seed=1)
    rows = lines(tmp_path / "g" / "continuations.jsonl")
    assert [row["id"] for row in rows] == [f"story-{number}" for number in range(4)]
    for row, found in zip(rows, expected, strict=True):
        assert row["tokens"] == found.tokens
        assert row["log_probabilities"] == found.log_probabilities
        assert row["log_probability"] == pytest.approx(sum(found.log_probabilities))
        assert row["mean_log_probability"] == pytest.approx(found.mean_log_probability)
        assert row["text"] == generator.decode(found.tokens).removesuffix(speaking_runs.END)
    assert said.startswith(f"4 continuations of {sum(len(r['tokens']) for r in rows) / 4:.1f} tok")


def test_a_model_says_what_it_was_taught_and_ends(states: Path, tmp_path: Path) -> None:
    generated(states, tmp_path / "g", max_new_tokens=50)
    rows = lines(tmp_path / "g" / "continuations.jsonl")
    assert [row["text"] for row in rows] == [
        f" {second} Then the day was over." for _, second in PAIRS
    ]
    assert all(row["ended"] and row["tokens"][-1] == 0 for row in rows)
    said = read_continuations(tmp_path / "g", read_pairs(states / "features"))
    assert [len(each.tokens) + 1 for each in said] == [len(row["tokens"]) for row in rows]
    assert [each.likelihood.tokens for each in said] == [len(row["tokens"]) for row in rows]


def test_what_is_drawn_hangs_on_the_seed_alone(states: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generated(states, tmp_path / name, "before", seed=seed, sampling=SAMPLING)
    a, b, c = ((tmp_path / name / "continuations.jsonl").read_bytes() for name in "abc")
    assert a == b != c


def test_perplexities_are_those_of_the_likelihoods(states: Path, tmp_path: Path) -> None:
    features = states / "features"
    said = write_perplexities(
        features, load(states / "after"), tmp_path / "l", tmp_path / "m.json", WINDOWS
    )
    model = load(states / "after")
    pairs = [(p.prompt_tokens, p.continuation_tokens) for p in read_pairs(features)]
    texts = [tokens for _, tokens in read_texts(features)]
    values = read_json(tmp_path / "m.json")["language_model"]
    for name, file, expected in [
        ("continuation_perplexity", "pairs", continuation_likelihoods(model, pairs, 2)),
        ("text_perplexity", "texts", text_likelihoods(model, texts, 16, 8, 2)),
    ]:
        rows = lines(tmp_path / "l" / f"{file}.jsonl")
        assert [row["id"] for row in rows] == [f"story-{number}" for number in range(4)]
        assert [row["log_probability"] for row in rows] == [e.log_probability for e in expected]
        mean = sum(e.log_probability for e in expected) / sum(e.tokens for e in expected)
        assert values[name] == pytest.approx(math.exp(-mean))
        assert f"{values[name]:.3f}" in said
    assert values["details"][0]["continuation_tokens"] == sum(len(after) for _, after in pairs)
    assert values["details"][0]["text_tokens"] == sum(map(len, texts)) - 4


def test_training_makes_texts_likelier(states: Path, tmp_path: Path) -> None:
    found = {}
    for state in ("before", "after"):
        metrics = tmp_path / f"{state}.json"
        model = load(states / state)
        write_perplexities(states / "features", model, tmp_path / state, metrics, WINDOWS)
        found[state] = read_json(metrics)["language_model"]
    for name in ("continuation_perplexity", "text_perplexity"):
        assert found["after"][name] < found["before"][name] / 10


def with_pair(folder: Path, **changes: Any) -> Path:
    """Features with one good pair and one that is changed."""
    generator = tokenizer()
    row = pair_row(generator, "good", *PAIRS[0])
    write_json_lines(folder / "features" / "pairs.jsonl", [row, {**row, "id": "bad", **changes}])
    write_json_lines(
        folder / "features" / "validation.jsonl", [{"id": "a", "tokens": row["prompt_tokens"]}]
    )
    generator.save_pretrained(folder / "features" / "tokenizer")
    return folder / "features"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt_tokens": []}, r"pairs\.jsonl: prompt 1 is empty"),
        ({"prompt_tokens": [5] * 89}, r"pairs\.jsonl: prompt 1: 89 tokens and 8 new ones are more"),
        ({"prompt_tokens": [5, 4000]}, r"pairs\.jsonl: prompt 1: token 4000 is not in the model's"),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_told(
    states: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    features = with_pair(tmp_path, **changes)
    with pytest.raises(RetuneError, match=message):
        write_continuations(
            features, load(states / "after"), tmp_path / "g", settings(max_new_tokens=8), 1
        )
    assert not (tmp_path / "g").exists()


def test_pairs_longer_than_the_context_have_no_perplexity(states: Path, tmp_path: Path) -> None:
    features = with_pair(tmp_path, continuation_tokens=[5] * CONTEXT)
    metrics = tmp_path / "m.json"
    with pytest.raises(RetuneError, match=r"pairs\.jsonl: prompt and continuation 1: \d+ tokens"):
        write_perplexities(features, load(states / "after"), tmp_path / "l", metrics, WINDOWS)
    features = with_pair(tmp_path)
    long = PerplexityParams(window=CONTEXT + 1, stride=8, batch_size=2)
    with pytest.raises(RetuneError, match=rf"\.perplexity\.window: {CONTEXT + 1} tokens are"):
        write_perplexities(features, load(states / "after"), tmp_path / "l", metrics, long)
    assert not metrics.exists()


def test_a_search_that_cannot_be_done_is_told(states: Path, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"^beams: 1000 are more than the"):
        generated(states, tmp_path / "g", beam_search=BeamParams(1000, 1, 1.0))
    repeated = ProcessorParams(None, NGramBlock(1), WordBlock(None), None)
    every = list(range(len(tokenizer()) - 2))
    folder = speaking_runs.write_model(states / "features", tmp_path / "m", n_positions=512)
    features = with_pair(tmp_path, prompt_tokens=every)
    params = replace(settings(max_new_tokens=8), processors=repeated)
    with pytest.raises(RetuneError, match="forbid every token that could follow prompt 1;"):
        write_continuations(features, load(folder), tmp_path / "g", params, 1)


def test_the_tokenizer_must_be_the_models(states: Path, tmp_path: Path) -> None:
    folder = speaking_runs.write_model(states / "features", tmp_path / "m", vocab_size=100)
    count = len(tokenizer())
    message = f"the model knows 100 tokens, but the tokenizer in .* has {count}; use the tokenizer"
    with pytest.raises(RetuneError, match=message):
        load_text_generator(load(folder), states / "features" / "tokenizer")


@pytest.mark.parametrize(
    ("read", "file", "message"),
    [
        (read_pairs, "pairs.jsonl", r"pairs\.jsonl: no pair of sentences; give validation texts"),
        (read_texts, "validation.jsonl", r"validation\.jsonl: no text in it; check the"),
    ],
)
def test_features_must_have_something_to_read(
    tmp_path: Path, read: Callable[[Path], Any], file: str, message: str
) -> None:
    with pytest.raises(RetuneError, match=rf"{file}: no such file; run the stage that writes it"):
        read(tmp_path)
    write_json_lines(tmp_path / file, [])
    with pytest.raises(RetuneError, match=message):
        read(tmp_path)
    write_json_lines(tmp_path / file, [{"id": "a"}])
    with pytest.raises(RetuneError, match=rf"{file}:1: no field '\w+'; run the stage that writes"):
        read(tmp_path)


def test_windows_overlap() -> None:
    with pytest.raises(ValidationError, match="a stride of 8 leaves windows of 8 tokens nothing"):
        PerplexityParams(window=8, stride=8, batch_size=1)
