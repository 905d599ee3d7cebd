"""Stages of the language model that refuse what they are given, and leave their outputs alone."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from language_runs import TOKENIZE, write_data

from retune.core.errors import RetuneError
from retune.core.manifests import digest, seal
from retune.core.params import Params, load_yaml
from retune.core.stage import call
from retune.tasks.language_model.models import gpt2_small
from retune.tasks.language_model.plots.plots import Plots

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "pipelines" / "language_model" / "params.yaml"
#: It reads more tokens than it knows, which are 300.
MODEL = gpt2_small.Params(layers=1, heads=2, hidden_size=16, positions=400, dropout=0.1)
NO_PROCESSOR = dict.fromkeys(["repetition_penalty", "ngram_block", "word_block", "min_length"])
BEAMS = {"beams": 2, "continuations": 1, "length_penalty": 1.0}
#: What the stages behind `start` write, by stage.
OUTPUTS = {
    "train": ["after", "curves", "costs.json", "times.json"],
    "generate": ["generated"],
    "perplexity": ["likelihoods", "perplexity.json"],
    "plots": list(Plots._fields),
}


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@contextmanager
def refused(message: str, *outputs: Path) -> Iterator[None]:
    """What is in the block fails with `message`, and leaves its outputs as they were."""
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old", encoding="utf-8")
    with pytest.raises(RetuneError, match=message):
        yield
    assert [path.read_text(encoding="utf-8") for path in outputs] == ["old"] * len(outputs)


def write_whole(folder: Path) -> Path:
    """Write texts, features and a model as their stages do; returns `folder`."""
    write_data(folder, model=MODEL)
    seal_again(folder)
    return folder


def seal_again(data: Path) -> None:
    """As if the stages had written what is now in the folders."""
    seal(data / "features", {"inputs": {}, "params": {}})
    inputs = {"features": digest(data / "features")}
    seal(data / "before", {"inputs": inputs, "params": {"language_model.model": "gpt2_small"}})


def write_params(
    data: Path, *, generate: dict[str, Any] | None = None, sizes: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:  # fmt: skip
    """The pipeline's own params with a small model, greedy search, two variants and changes."""
    values = load_yaml(PARAMS)
    own = values["language_model"] | {"tokenize": TOKENIZE} | changes
    greedy = {"batch_size": 8, "max_new_tokens": 6, "beam_search": None, "sampling": None}
    own["generate"] = greedy | {"processors": NO_PROCESSOR} | (generate or {})
    own["models"]["gpt2_small"] |= {"hidden_size": 16, "layers": 1, "heads": 2} | (sizes or {})
    values["variants"] = {"greedy": {}, "beams": {"generate": {"beam_search": BEAMS}}}
    values["language_model"] = own
    (data / "p.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return data / "p.yaml"


def stage(name: str, *places: Path, params: Path, variant: str | None = None) -> str:
    """Run a stage script's `main` with a file of params; returns its closing line."""
    module = importlib.import_module(f"stages.language_model.{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Params, "chosen", (params, variant))
        return call(module.main, *places)


def refuse(
    data: Path, name: str, message: str, *, variant: str | None = None, **changes: Any
) -> None:
    """A stage behind `start` refuses what is in `data`, and writes nothing."""
    outputs = [data / "out" / place for place in OUTPUTS[name]]
    places, params = [data / "features", data / "before", *outputs], write_params(data, **changes)
    with refused(message, *outputs):
        stage(name, *places, params=params, variant=variant)
