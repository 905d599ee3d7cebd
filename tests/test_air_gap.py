"""The whole default pipeline without a network, and no stage that asks for one."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from namespaces import permitted, unshared
from test_end_to_end import ALL, Project

#: Python runs this first in every process; what asks for the network is noted and refused.
GUARD = """
import os, sys

def guard(event, arguments):
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        where = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        where = arguments[1]
    else:
        return
    if isinstance(where, tuple):
        where = where[0]
    is_local = where is None or os.path.isabs(where) or str(where).startswith(("127.", "localhost"))
    if not is_local:
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {where} by {sys.argv}\\n")
        raise ConnectionError(f"no network here: {where}")

sys.addaudithook(guard)
"""
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the guard of all processes that start now notes what was asked."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "guard"))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)  # nothing may depend on them
    return tmp_path / "asked"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "a project"
    folder.mkdir()
    return Project(folder)


def hostile_names(project: Project) -> None:
    """Give articles and questions of the tiny corpus names that look like paths."""
    path = project.folder / "own/train.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('"q0-0"', '"../../q0"').replace('"Article 1"', '"/tmp/../up"'),
        encoding="utf-8",
    )


def test_the_guard_refuses_and_notes_a_connection(asked: Path) -> None:
    command = [sys.executable, "-c", CONNECT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "no network here: 192.0.2.1" in done.stderr
    assert asked.read_text().startswith("socket.getaddrinfo 192.0.2.1")


def test_the_whole_pipeline_asks_for_no_network_and_runs_with_it_cut(
    project: Project, asked: Path
) -> None:
    hostile_names(project)
    cut = unshared("-rn") if permitted("-rn") else []
    if not cut:
        warnings.warn("`unshare -rn` is not permitted: the guard alone watches", stacklevel=1)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PYTHONPATH")  # without the guard
            project.run(*cut, "python", "-c", CONNECT, fails=True)
    output = project.run(*cut, "dvc", "repro")
    assert re.findall(r"^Running stage '(\w+)'", output, re.MULTILINE) == ["check", *ALL]
    assert not asked.exists()
    assert len(project.predictions()) == 4
    assert not list(project.folder.parent.glob("q0*"))


def test_dvc_reports_nothing_home(root: Path) -> None:
    def setting(name: str) -> str:
        command = ["dvc", "config", "--project", name]
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert setting("core.analytics") == "false"
    assert setting("core.check_update") == "false"
