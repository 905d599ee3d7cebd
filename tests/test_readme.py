"""The README says only what the project is."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import yaml

from retune.core.params import load_yaml
from retune.tools.project.contents import Workspace, combined

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_NAMES = ("adapters", "language_model", "pretraining", "sentiment")
PIPELINES = [f"pipelines/{name}" for name in _NAMES]
DOCUMENTS = [
    "README.md",
    *(f"docs/{name}.md" for name in ("pipeline", "sweeps", "trying", "performance", "claims")),
    *(f"{pipeline}/README.md" for pipeline in PIPELINES),
]


def systems() -> list[dict[str, Any]]:
    compared = json.loads((ROOT / "metrics/qa_variants.json").read_text(encoding="utf-8"))
    return list(compared["systems"])


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return script("generate")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_generated_parts_are_up_to_date(name: str, generator: ModuleType) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert generator.generate(text, name) == text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_is_up_to_date(theme: str, generator: ModuleType) -> None:
    picture = generator.picture(theme)
    assert (ROOT / f"docs/overview-{theme}.svg").read_text(encoding="utf-8") == picture
    drawn = ["".join(text.itertext()) for text in fromstring(picture).iter(f"{SVG}text")]
    figures = [
        text for row in systems() for text in (row["name"], f"{row['scores']['f1']['value']:.1f}")
    ]
    # Left out: what neighbours do, for the other split, and what explains.
    left_out = {"check", "tokenize_test", "validate"}
    left_out |= {"analyse", "perturb", "calibrate", "confidence"}
    stages = load_yaml(ROOT / "dvc.yaml")["stages"].keys() - left_out
    assert {*stages, *figures} <= set(drawn)


def test_every_generated_document_is_tested(generator: ModuleType) -> None:
    assert set(DOCUMENTS) == set(generator.DOCUMENTS)


def test_a_changed_figure_is_noticed(generator: ModuleType) -> None:
    row = re.search(r"\| `bert` \| \d", README)
    assert row
    wrong = README.replace(row[0], row[0][:-1] + "x")
    assert generator.generate(wrong) == README


def test_a_missing_part_is_named(generator: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"README.md has no part results"):
        generator.generate(README.replace("<!-- begin results -->", ""))


def test_the_table_has_the_figures_of_the_default_run() -> None:
    figures = json.loads((ROOT / "metrics/qa.json").read_text(encoding="utf-8"))["qa"]
    params = load_yaml(ROOT / "params.yaml")["qa"]
    (system,) = (system for system in systems() if system["name"] == params["model"])
    (run,) = (run for run in system["runs"] if run["seed"] == params["seed"])
    assert (run["exact_match"], run["f1"]) == (figures["exact_match"], figures["f1"])


def test_the_table_has_three_runs_of_every_model_of_make_variants() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named, seeds = (
        re.search(rf"^{name} := (.*)$", makefile, re.M) for name in ("VARIANTS", "SEEDS")
    )
    assert named
    assert seeds
    expected = {name: [*map(int, seeds[1].split(","))] for name in named[1].split()}
    found = {system["name"]: [run["seed"] for run in system["runs"]] for system in systems()}
    assert found == expected


@pytest.mark.parametrize("pipeline", [".", *PIPELINES])
def test_the_committed_figures_were_made_by_the_committed_code(pipeline: str) -> None:
    stages = load_yaml(ROOT / pipeline / "dvc.lock")["stages"]
    project, checked = Workspace(ROOT / pipeline), set[str]()
    for stage in stages.values():
        for entry in [*stage["deps"], *stage["outs"]]:
            path = entry["path"]
            if path.startswith("data/") or not (ROOT / pipeline / path).exists():
                continue
            sums = project.sums(path)
            assert combined(sums) == entry["md5"], f"{path} has changed: `dvc repro`, then commit"
            checked |= {f"{path}/{name}" for name in sums}
    assert len(checked) > 60


def test_ci_calls_the_test_command() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    commands = [step.get("run", "") for step in workflow["jobs"]["test"]["steps"]]
    assert "make test" in commands
    assert "make repro" in commands
    assert ".venv/bin/retune verify --here" in commands
    (table,) = (command for command in commands if "retune diff" in command)
    assert "retune diff ../base" in table
    assert any("git worktree add --detach ../base" in command for command in commands)


def test_sizes_of_the_bundled_corpus_are_the_files_own() -> None:
    counts = []
    for split in ("train", "validation", "test"):
        path = ROOT / f"src/retune/corpora/encyclopaedia/{split}.json"
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        questions = [q for a in data for p in a["paragraphs"] for q in p["qas"]]
        counts.append(sum(not q["is_impossible"] for q in questions))
    stated = "{} training, {} validation and {} test questions".format(*counts)
    assert stated in " ".join(README.split())
