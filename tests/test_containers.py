"""The Dockerfile and the development container agree with the project."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
#: Instructions, with continued lines joined.
STEPS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M)).splitlines()
    if line
]
SETTINGS = json.loads(
    re.sub(r"^\s*//.*$", "", (ROOT / ".devcontainer/devcontainer.json").read_text(), flags=re.M)
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def arguments(instruction: str) -> list[str]:
    return [text for name, text in STEPS if name == instruction]


def copied_before(command: str) -> set[str]:
    """What the image has of the project when it runs `command`."""
    found: set[str] = set()
    for name, text in STEPS:
        if name == "COPY":
            found.update(word for word in text.split()[:-1] if not word.startswith("--"))
        if name == "RUN" and text.endswith(command):
            return found
    raise AssertionError(f"the Dockerfile does not run {command}")


def ignored() -> GitIgnoreSpec:
    """What .dockerignore leaves out. Its patterns begin at the top, other than those of git."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [re.sub(r"^(!?)(?!\*\*)", r"\1/", line) for line in lines if line[:1] not in "#"]
    return GitIgnoreSpec.from_lines(patterns)


def test_the_image_has_the_python_of_the_lock() -> None:
    (image,) = arguments("FROM")
    version = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", image)
    assert version
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(version[1])
    workflow = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert f'python-version: "{version[1]}"' in workflow


def test_the_image_has_what_ci_installs() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    wanted, had = (
        {word for word in line.split() if word[0] != "-"}
        for text in (script, arguments("RUN")[0])
        for line in re.findall(r"apt-get install ([^&\n]*)", text)
    )
    assert {word for word in wanted if not word.startswith("python3")} == had


def test_the_image_makes_the_environment_before_it_copies_the_code() -> None:
    before = copied_before("make environment")
    read = re.search(r"^\$\(VENV\)/installed: (.*)$", MAKEFILE, re.MULTILINE)
    assert read
    project = PYPROJECT["project"]
    assert before >= {"Makefile", "tools", *read[1].split()}
    assert before >= {project["readme"], *project["license-files"], "src/retune/__init__.py"}
    assert "." not in before
    assert "." in copied_before("make --touch environment")
    assert all((ROOT / name).exists() for name in before)


def test_commands_run_in_the_project_by_a_user_other_than_root() -> None:
    assert arguments("USER") == ["1000:1000"]
    assert [name for name, _ in STEPS].index("USER") < [name for name, _ in STEPS].index("COPY")
    assert f"{arguments('WORKDIR')[0]}/.venv/bin:" in arguments("ENV")[0]
    assert all(text.startswith("--chown=1000:1000 ") for text in arguments("COPY"))


def test_the_development_container_uses_the_image_and_its_environment() -> None:
    build, (folder,) = SETTINGS["build"], arguments("WORKDIR")
    assert (ROOT / ".devcontainer" / build["dockerfile"]).samefile(ROOT / "Dockerfile")
    assert (ROOT / ".devcontainer" / build["context"]).samefile(ROOT)
    assert re.search(rf"useradd .*\b{SETTINGS['remoteUser']}\b", DOCKERFILE)
    assert SETTINGS["workspaceFolder"] == folder
    assert f"target={folder}," in SETTINGS["workspaceMount"]
    (volume,) = SETTINGS["mounts"]
    assert f"target={folder}/.venv," in volume
    editor = SETTINGS["customizations"]["vscode"]["settings"]
    assert editor["python.defaultInterpreterPath"] == f"{folder}/.venv/bin/python"
    assert (
        editor["python.testing.pytestArgs"]
        == PYPROJECT["tool"]["pytest"]["ini_options"]["testpaths"]
    )


def test_each_target_of_make_exists() -> None:
    text = DOCKERFILE + SETTINGS["postCreateCommand"]
    targets = set(re.findall(r"\bmake (?:--\w+ )?([a-z]+)", text))
    assert targets == {"environment", "repro", "test"}
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)


def test_the_image_has_every_file_that_git_has() -> None:
    listing = ["git", "ls-files", "-z"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = tracked.rstrip("\0").split("\0")
    assert len(names) > 500
    assert [*ignored().match_files([*names, ".git/HEAD", ".git/index"])] == []


@pytest.mark.parametrize("folder", ["", "pipelines/sentiment/"])
@pytest.mark.parametrize(
    "name",
    [".dvc/config.local", ".dvc/cache/files/md5/00/1", ".dvc/tmp/lock", "data/qa/model/config.json",
     "src/a/__pycache__/b.pyc", "logs/train.log"],
)  # fmt: skip
def test_the_image_has_no_passwords_and_no_results(folder: str, name: str) -> None:
    assert ignored().match_file(folder + name)


@pytest.mark.parametrize("name", [".venv/bin/python", ".venv-newest/x", "report/index.html"])
def test_the_image_has_no_environment_and_no_report_of_the_host(name: str) -> None:
    assert ignored().match_file(name)
