"""The tables of token probabilities, and the curves by position and by beams."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import speaking_runs
from pydantic import ValidationError
from speaking_runs import END, PAIRS, TEXTS, voice_of

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.generate.generation import best_continuations
from retune.tasks.language_model.models import load
from retune.tasks.language_model.outputs.records import read_pairs
from retune.tasks.language_model.perplexity.scores import continuation_log_probabilities
from retune.tasks.language_model.plots.curves import BeamsRow, by_beams, by_position, tokens_seen
from retune.tasks.language_model.plots.plots import (
    PairsParams,
    Plots,
    PlotsParams,
    PromptParams,
    plots,
)

PROMPT = "Zoë kept a café & <b>猫"
PARAMS = PlotsParams(
    batch_size=3,
    length_penalty=1.0,
    prompts=[PromptParams("Once", [2], 4), PromptParams(PROMPT, [1, 3], 12)],
    pairs=PairsParams([1, 2, 4], 6, 2),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both states of a model, and the plots of that `before` training."""
    folder = speaking_runs.write_states(tmp_path_factory.mktemp("plots"))
    run(folder, folder / "plots")
    return folder


def run(folder: Path, target: Path, params: PlotsParams = PARAMS) -> str:
    names = Plots._fields
    files = Plots(*(target / f"{name}.{suffix(name)}" for name in names))
    return plots(folder / "features", load(folder / "before"), files, params)


def suffix(name: str) -> str:
    return {"texts": "json", "coloured": "html"}.get(name, "csv")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected(folder: Path, prompt: str, beams: int, most: int) -> tuple[list[int], Continuation]:
    generator = voice_of(folder, "before")
    tokens = generator.read(prompt)
    (found,) = best_continuations(generator, [tokens], PARAMS.search(beams, most), seed=0)
    return tokens, found


def test_prompts_are_told_token_by_token(made: Path) -> None:
    rows = table(made / "plots/token_probabilities.csv")
    sums = table(made / "plots/beams.csv")
    texts: list[dict[str, Any]] = read_json(made / "plots/texts.json")
    asked = [("Once", 2, 4), (PROMPT, 1, 12), (PROMPT, 3, 12)]
    assert [(row["prompt"], int(row["beams"])) for row in sums] == [each[:2] for each in asked]
    for (prompt, beams, most), total, text in zip(asked, sums, texts, strict=True):
        _, found = expected(made, prompt, beams, most)
        own = [r for r in rows if (r["prompt"], r["beams"]) == (prompt, str(beams))]
        assert [int(row["position"]) for row in own] == [*range(1, len(found.tokens) + 1)]
        assert [float(row["probability"]) for row in own] == found.probabilities
        assert float(total["log_probability"]) == found.log_probability
        assert int(total["length"]) == len(found.tokens)
        assert (text["prompt"], text["beams"]) == (prompt, beams)
        assert text["mean_log_probability"] == float(total["mean_log_probability"])
        whole = voice_of(made, "before").decode(found.tokens)
        assert "".join(token["text"] for token in text["tokens"]) == whole
        product = math.prod(token["probability"] for token in text["tokens"])
        assert product == pytest.approx(math.exp(found.log_probability))


def test_coloured_text_is_a_page_with_all_of_it(made: Path) -> None:
    page = (made / "plots/coloured.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 3
    assert page.count("Zoë kept a café &amp; &lt;b&gt;猫<span") == 2
    assert "<h2>1 beam, mean log-probability -" in page
    assert "<h2>3 beams, mean log-probability -" in page


def test_curves_are_over_all_pairs(made: Path) -> None:
    generator, pairs = voice_of(made, "before"), read_pairs(made / "features")
    rows = table(made / "plots/by_position.csv")
    assert list(dict.fromkeys(row["beams"] for row in rows)) == ["reference", "1", "2", "4"]
    sequences = [(pair.prompt_tokens, pair.continuation_tokens) for pair in pairs]
    logs = continuation_log_probabilities(generator.model, sequences, 3)
    own = [row for row in rows if row["beams"] == "reference"]
    assert [int(row["position"]) for row in own] == [1, 2, 3, 4, 5, 6]
    for place, row in enumerate(own):
        assert int(row["tokens"]) == len(PAIRS)
        mean = sum(math.exp(each[place]) for each in logs) / len(PAIRS)
        assert float(row["probability"]) == pytest.approx(mean)
    sizes = table(made / "plots/pair_beams.csv")
    assert [int(row["beams"]) for row in sizes] == [1, 2, 4]
    assert (sizes[0]["above"], sizes[0]["below"]) == ("", "")
    prompts = [pair.prompt_tokens for pair in pairs]
    found = best_continuations(generator, prompts, PARAMS.search(4, 6), seed=0)
    mean = sum(each.mean_log_probability for each in found) / len(found)
    assert float(sizes[2]["mean_log_probability"]) == pytest.approx(mean)


def test_the_same_bytes_twice(made: Path, tmp_path: Path) -> None:
    said = run(made, tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / name).read_bytes() == (made / "plots" / name).read_bytes()
    assert said.startswith("3 continuations of 2 prompts; over 4 pairs ")


def test_repeated_tokens_end_an_ngram_that_is_known() -> None:
    seen = tokens_seen([1, 2, 3], [1, 2, 9, 2, 9], [0.1, 0.2, 0.3, 0.4, 0.5], 2)
    assert [each.repeated for each in seen] == [False, True, False, False, True]
    assert [each.probability for each in seen] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [each.repeated for each in tokens_seen([1], [1, 1, 1], [1.0] * 3, 3)] == [
        False, False, True,
    ]  # fmt: skip


def test_places_are_counted_as_far_as_texts_go() -> None:
    texts = [
        tokens_seen([1], [1, 1], [0.5, 0.9], 1),
        tokens_seen([1], [2], [0.3], 1),
    ]
    first, second = by_position("2", texts, 9)
    assert first == ("2", 1, 2, pytest.approx(0.4), pytest.approx(0.3), 0.5)
    assert second == ("2", 2, 1, 0.9, None, 1.0)
    assert by_position("2", texts, 1) == [first]


def test_a_larger_beam_wins_only_where_it_says_something_else() -> None:
    def said(token: int, log: float) -> Continuation:
        return Continuation([token], [log], log)

    found = {
        1: [said(1, -2.0), said(1, -1.0), said(1, -1.0), said(1, -1.0)],
        3: [said(2, -1.0), said(2, -1.5), said(1, -0.9999999), said(2, -3.0)],
    }
    one, three = by_beams(found)
    assert one == BeamsRow(1, 4, 1.0, -1.25, -1.25, None, None)
    assert (three.above, three.below) == (0.25, 0.5)


def test_what_the_text_ends_with_is_shown(made: Path, tmp_path: Path) -> None:
    names = Plots._fields
    files = Plots(*(tmp_path / f"{name}.{suffix(name)}" for name in names))
    params = PlotsParams(3, 1.0, [PromptParams(TEXTS[0], [1], 4)], PARAMS.pairs)
    plots(made / "features", load(made / "after"), files, params)
    (text,) = read_json(files.texts)
    assert [token["text"] for token in text["tokens"]] == [END]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"prompts": [PromptParams("Once " * 50, [1], 4)]},
            "plots.prompts: .* 250 tokens and 4 new",
        ),
        ({"prompts": [PromptParams("Once", [1000], 4)]}, "beams: 1000 are more than the"),
        ({"pairs": PairsParams([1], 90, 3)}, r"pairs\.jsonl: prompt 0: \d+ tokens and 90 new ones"),
    ],
)
def test_what_cannot_be_continued_is_told(
    made: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    values = {name: getattr(PARAMS, name) for name in PARAMS.__dataclass_fields__}
    with pytest.raises(RetuneError, match=message):
        run(made, tmp_path, PlotsParams(**values | changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "beams"), [(" ", [1]), ("a", []), ("a", [0])])
def test_a_prompt_has_a_text_and_beams(text: str, beams: list[int]) -> None:
    with pytest.raises(ValidationError):
        PromptParams(text, beams, 4)
