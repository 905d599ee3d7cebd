"""Every command and every link of the README and the guides is understood."""

import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pages import ADDED, PAGES, README, ROOT, blocks, names, pipeline, stages, text_of

from retune.tools.cli.main import main

GUIDES = (
    "own-data", "own-model", "own-task", "sweeps", "comparing", "trying", "learning-curve",
    "several-machines", "killed-runs", "reproducing",
)  # fmt: skip
COMMAND = re.compile(r"(?:retune|dvc|make|python -m) ")


def commands(page: str) -> Iterator[list[str]]:
    """The words of each command of a page, in console blocks and between backticks."""
    prose = re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", prose)
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    lines = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
    for line in [*lines, *(" ".join(span.split()) for span in spans)]:
        for command in re.sub(r"(^|\s)#.*", "", line).split("&&"):
            found = COMMAND.search(command)
            if found and re.fullmatch(r"(\w+=(\".*?\"|\S+) )*", command[: found.start()].lstrip()):
                yield shlex.split(command[found.start() :])


def found(program: str) -> list[Any]:
    """A case for each different command of `program` on each page."""
    return [
        pytest.param(page, words, id=f"{page}: {' '.join(words)}")
        for page in PAGES
        for words in dict.fromkeys(map(tuple, commands(page)))
        if words[0] == program
    ]


def options(words: tuple[str, ...]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@cache
def usage(command: str) -> str:
    """What `retune COMMAND --help` prints."""
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        main([command, "--help"])
    return output.getvalue()


@pytest.mark.parametrize(("page", "words"), found("retune"))
def test_a_command_of_retune_is_known_with_its_options(page: str, words: tuple[str, ...]) -> None:
    _, command, *rest = words
    if command in {"--help", "--version"}:
        return
    shown = usage(command)
    assert f"retune {command}" in shown
    missing = {name for name in options(words) if not re.search(rf"{name}\b", shown)}
    assert not missing
    if command == "sweep":
        folder = pipeline(page, words)
        presets = {path.stem for path in folder.glob("experiments/*.yaml")}
        given = [before for before, word in pairwise([*rest, ""]) if not before.startswith("-")]
        taken = {value for option, value in pairwise(rest) if option.startswith("--")}
        for name in given:
            key, setting, _ = name.partition("=")
            assert name in taken or key in (names(folder) if setting else presets), name
    if command == "try":
        assert {word.partition("=")[0] for word in rest if "=" in word} <= names(ROOT)


def test_the_guide_for_agents_is_short_and_its_commands_are_tested() -> None:
    assert len(text_of("AGENTS.md").splitlines()) <= 100
    known = [case.values[0] for name in ("retune", "dvc", "make") for case in found(name)]
    assert known.count("AGENTS.md") >= 15
    tried = [words for words in commands("AGENTS.md") if words[:2] == ["retune", "try"]]
    assert len(tried) == 5
    with pytest.raises(AssertionError):
        test_a_command_of_retune_is_known_with_its_options(
            "AGENTS.md", ("retune", "try", "slow", "qa.train.lrr=1")
        )


def test_the_rule_sees_the_commands_and_their_slips() -> None:
    assert len(found("retune")) > 50
    assert len(found("dvc")) > 25
    assert "usage" in usage("sweep").lower()
    with pytest.raises(AssertionError):
        test_a_command_of_retune_is_known_with_its_options(README, ("retune", "table", "--sedes"))
    with pytest.raises(AssertionError):
        test_a_command_of_retune_is_known_with_its_options(README, ("retune", "sweep", "qa.sed=1"))


@pytest.mark.parametrize(("page", "words"), found("dvc"))
def test_a_command_of_dvc_names_params_and_stages_that_exist(
    page: str, words: tuple[str, ...]
) -> None:
    folder = pipeline(page, words)
    folders = [folder, *ROOT.glob("pipelines/*")] if "cd pipelines/" in text_of(page) else [folder]
    for option, setting in pairwise(words):
        if option == "-S":
            name = setting.partition("=")[0]
            assert name in names(folder) or ADDED.match(setting), setting
    if words[1] in {"repro", "checkout"}:
        known = {stage for each in folders for stage in stages(each)}
        given = {word.partition("@")[0] for word in words[2:] if re.match(r"[a-z]+(@|$)", word)}
        assert given <= known


@pytest.mark.parametrize(("page", "words"), found("make"))
def test_a_target_of_make_exists(page: str, words: tuple[str, ...]) -> None:
    targets = [word for word in words[1:] if "=" not in word and word != "TARGET"]
    makefile = text_of("Makefile")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize(("page", "words"), found("python"))
def test_a_module_that_is_run_exists_with_its_options(page: str, words: tuple[str, ...]) -> None:
    name = words[2].rstrip(",;")
    if re.match(r"bench\.\*|(bench|stages)\.[A-Z]", name) or not name.startswith(("bench", "stag")):
        return
    source = ROOT / f"{name.replace('.', '/')}.py"
    shared = ROOT / ("bench/measure.py" if name.startswith("bench") else "src/retune/core/stage.py")
    text = source.read_text(encoding="utf-8") + shared.read_text(encoding="utf-8")
    assert all(option in text for option in options(words))


def test_snippets_of_json_and_python_are_well_formed() -> None:
    for page in PAGES:
        for block in blocks(page, "json"):
            json.loads(block)
        for number, block in enumerate(blocks(page, "python")):
            compile(block, f"{page}: {number}", "exec")


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_path_of_a_page_exists(page: str) -> None:
    folder, text = (ROOT / page).parent, text_of(page)
    for target, _, anchor in (
        link.partition("#") for link in re.findall(r"\]\((?!http)([^)]+)\)", text)
    ):
        file = folder / target if target else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), anchor
    for path in re.findall(
        r"`((?:src|stages|docs|experiments|configs|tests|bench)/[\w./-]*)`", text
    ):
        assert (ROOT / path).exists() or ADDED.match(path), path
    for path in re.findall(r'(?:src|srcset)="([^"]+)"', text):
        assert (folder / path).exists(), path


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = text_of(README)
    assert len(text.splitlines()) <= 200
    headings = [
        "Two commands",
        "Results",
        "Your own data",
        "Compare",
        "Ask a trained model",
        "More",
    ]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == headings
    linked = set(re.findall(r"\]\(docs/([\w-]+)\.md\)", text))
    assert linked == {path.stem for path in ROOT.glob("docs/*.md")}
    assert set(GUIDES) <= linked


def test_the_output_in_the_readme_is_that_of_the_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times are those of the committed run: after `make repro`, the workspace has others."""
    monkeypatch.chdir(ROOT)
    (block,) = (block for block in blocks(README, "console") if "make repro" in block)
    assert main(["table"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    *result, _, _ = row.split()
    show = ["git", "show", "HEAD:metrics/qa_times.json"]
    committed = json.loads(subprocess.run(show, capture_output=True, check=True).stdout)
    (times,) = committed["qa"]["details"]
    result += [f"{times['train_seconds']:,.0f}", f"{times['train_windows_per_second']:.1f}"]
    assert heading in block
    assert result in [line.split() for line in block.splitlines()]
    scores = json.loads(text_of("metrics/qa.json"))["qa"]
    told = "EM {exact_match:.2f}, F1 {f1:.2f} over {questions:,} questions"
    assert told.format(**scores["details"][0]) in block
