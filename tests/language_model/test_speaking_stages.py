"""The stage scripts behind the training, run as the pipeline would run them."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import speaking_runs
import yaml
from stage_runs import ROOT, run_stage, said_by_stage

from retune.core.params import Params, load_yaml
from retune.tasks.language_model.generate.generation import GenerationParams
from retune.tasks.language_model.perplexity.perplexity import PerplexityParams
from retune.tasks.language_model.plots.plots import Plots, PlotsParams
from retune.tasks.language_model.score.score import ScoreParams

PARAMS = ROOT / "pipelines" / "language_model" / "params.yaml"


@pytest.mark.parametrize("name", ["score", "compare"])
def test_stages_without_a_model_start_without_its_libraries(name: str) -> None:
    code = f"import sys, stages.language_model.{name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).stdout.split()  # fmt: skip
    assert f"stages.language_model.{name}" in done
    assert not set(done) & {"torch", "transformers", "datasets", "pandas", "dvc"}


def test_every_variant_of_the_pipeline_is_a_search_of_its_own() -> None:
    searches = {}
    for name in load_yaml(PARAMS)["variants"]:
        with Params(PARAMS, name) as params:
            search = params.section("language_model.generate", GenerationParams)
            params.section("language_model.perplexity", PerplexityParams)
            params.section("language_model.score", ScoreParams)
            shown = params.section("language_model.plots", PlotsParams)
        searches[name] = search
    names = ["greedy", "beams3", "beams3_ngram_block", "beams3_word_block", "sampling"]
    assert list(searches) == names
    assert len({repr(search) for search in searches.values()}) == len(names)
    assert [search.copies for search in searches.values()] == [1, 3, 3, 3, 1]
    assert [prompt.beams for prompt in shown.prompts] == [[5], [1, 2, 3, 4, 5]]  # notebook N4's


def write_params(folder: Path, **changes: Any) -> None:
    """The pipeline's own params, smaller, with two of its variants."""
    values = load_yaml(PARAMS)
    own = values["language_model"]
    own["seed"] = 1
    own["generate"] |= {"batch_size": 3, "max_new_tokens": 6}
    own["perplexity"] |= {"window": 16, "stride": 8}
    own["score"]["resamples"] = 200
    own["plots"]["prompts"] = own["plots"]["prompts"][:1]
    own["plots"]["pairs"] |= {"beams": [1, 2], "max_new_tokens": 5}
    own |= changes
    values["variants"] = {n: values["variants"][n] for n in ("beams3_ngram_block", "sampling")}
    (folder / "p.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


stage = partial(run_stage, "language_model")
succeed = partial(said_by_stage, "language_model")


@pytest.mark.slow
def test_two_methods_from_a_model_to_their_comparison(tmp_path: Path) -> None:
    speaking_runs.write_states(tmp_path)
    write_params(tmp_path)
    for state in ("before", "after"):
        told = succeed(
            tmp_path, "perplexity", "features", state, f"l/{state}", f"m/{state}/perplexity.json"
        )
        assert told.startswith("perplexity ")
        for method in ("beams3_ngram_block", "sampling"):
            one, spoken = ("--variant", method), f"g/{state}/{method}"
            told = succeed(tmp_path, "generate", *one, "features", state, spoken)
            assert told.startswith("4 continuations of ")
            told = succeed(
                tmp_path, "score", *one, "features", spoken, f"m/{state}/{method}/scores.json"
            )
            assert " of 4 continuations" in told
    told = succeed(tmp_path, "compare", "features", "l", "g", "m/compare.json", "m/compare.csv")
    assert max(map(len, told.splitlines())) <= 80
    assert told.splitlines()[-1].startswith("perplexity of second sentences ")
    found = json.loads((tmp_path / "m/compare.json").read_text())["language_model"]
    assert len(found["scores"]) == 4
    files = [f"m/plots/{name}" for name in Plots._fields]
    succeed(tmp_path, "plots", "features", "after", *files)
    assert all((tmp_path / file).is_file() for file in files)
    again = (tmp_path / "g/after/sampling/continuations.jsonl").read_bytes()
    succeed(tmp_path, "generate", "--variant", "sampling", "features", "after", "g/again")
    assert (tmp_path / "g/again/continuations.jsonl").read_bytes() == again

    # What does not belong together is refused before any work.
    with (tmp_path / "g/after/sampling/continuations.jsonl").open("a") as file:
        file.write("{}\n")
    done = stage(tmp_path, "score", "--variant", "sampling", "features", "g/after/sampling", "x")
    assert done.returncode == 1
    assert "continuations.jsonl: damaged or changed since it was written" in done.stderr


def test_problems_of_all_sections_are_told_together(tmp_path: Path) -> None:
    processors = load_yaml(PARAMS)["language_model"]["generate"]["processors"]
    wrong = {"batch_size": 3, "max_new_tokens": 6, "beam_search": None, "sampling": None,
             "processors": processors | {"beam_block": {"n": 3}}}  # fmt: skip
    write_params(tmp_path, generate=wrong, seed=-1)
    done = stage(tmp_path, "generate", "a", "b", "c")
    assert done.returncode == 1
    assert "p.yaml: language_model.generate.processors.beam_block: unknown key" in done.stderr
    assert "(allowed: repetition_penalty, ngram_block, word_block, min_length)" in done.stderr
    assert "p.yaml: language_model.seed: input should be greater" in done.stderr


def test_features_that_are_not_there_are_named(tmp_path: Path) -> None:
    write_params(tmp_path)
    done = stage(tmp_path, "generate", "features", "before", "g")
    assert done.returncode == 1
    assert "features: no such folder; run the stage that writes it" in done.stderr
