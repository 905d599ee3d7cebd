"""Which tests are quick, and which a change concerns: shown on a small planted project."""

import subprocess
from pathlib import Path

import near
import pytest
from closure import Project

FILES = {
    "pyproject.toml": "",
    "README.md": "",
    "dvc.yaml": "",
    "src/retune/__init__.py": "",
    "src/retune/rows.py": "",
    "src/retune/words.py": "import json, retune.rows\n",
    "src/retune/model.py": "import typing\nif True:\n    import torch.nn\n",
    "src/retune/lazy.py": "def build():\n    import retune.model\n    return 'retune.chosen'\n",
    "src/retune/typed.py": "if TYPE_CHECKING:\n    import retune.model\n",
    "src/retune/chosen/__init__.py": "",
    "src/retune/chosen/one.py": "",
    "src/retune/chosen/table.csv": "",
    "stages/__init__.py": "",
    "stages/train.py": "from retune import model\n",
    "tests/conftest.py": "import pytest\n",
    "tests/helper.py": "import retune.words\ndef made():\n    from transformers import AutoModel\n",
    "tests/starter.py": "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'x'])\n",
    "tests/copier.py": "import subprocess\nsubprocess.run(['git', 'ls-files'])\n",
    "tests/test_words.py": "from retune.words import rows\n",
    "tests/test_model.py": "from retune.model import nn\n",
    "tests/test_lazy.py": "from retune import lazy\n",
    "tests/test_typed.py": "from retune import typed\n",
    "tests/test_helper.py": "import helper\n",
    "tests/test_stage.py": "import starter\nstarter.run(f'stages.{__name__}')\n",
    "tests/test_copy.py": "import copier\n",
    "tests/test_graph.py": "open(ROOT / 'dvc.yaml')\n",
    "tests/test_docs.py": "ROOT.glob('docs/*.md')\n",
    "tests/faults/test_dvc.py": "import subprocess\nsubprocess.run(['dvc', 'repro'])\n",
    "tests/faults/test_rows.py": "import retune.rows\n",
    "tests/deep/conftest.py": "import helper\n",
    "tests/deep/test_deep.py": "",
    "docs/guide.md": "",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A repository whose branch `main` holds the files, and whose branch `work` is at it."""
    for name, text in FILES.items():
        write(tmp_path, name, text)
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)
    git(tmp_path, "checkout", "-q", "-b", "work")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "planted")


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("test_words", {"quick"}),
        ("test_model", {"torch"}),
        ("test_lazy", {"quick"}),  # a function of the library, which a test may never call
        ("test_typed", {"quick"}),
        ("test_helper", {"torch"}),  # a function of the tests, which is there to be called
        ("test_stage", {"pipeline"}),
        ("test_copy", {"quick"}),
        ("faults/test_dvc", {"fault", "pipeline"}),
        ("faults/test_rows", {"fault", "quick"}),
        ("deep/test_deep", {"torch"}),
    ],
)
def test_markers_follow_from_place_and_imports(
    planted: Path, test: str, expected: set[str]
) -> None:
    assert Project(planted).markers(planted / "tests" / f"{test}.py") == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("src/retune/rows.py", "deep faults/rows helper words copy"),
        ("src/retune/model.py", "model lazy stage copy"),
        ("src/retune/chosen/one.py", "lazy copy"),
        ("src/retune/chosen/table.csv", "lazy copy"),
        ("src/retune/chosen/added.py", "lazy copy"),
        ("stages/train.py", "stage copy"),
        ("tests/starter.py", "stage"),
        ("tests/test_words.py", "words"),
        ("tests/deep/conftest.py", "deep"),
        ("dvc.yaml", "graph copy"),
        ("docs/guide.md", "docs"),
        ("docs/added.md", "docs"),
        ("README.md", ""),
    ],
)
@pytest.mark.parametrize("committed", [True, False])
def test_a_change_concerns_the_tests_that_depend_on_it(
    planted: Path, changed: str, expected: str, committed: bool
) -> None:
    write(planted, changed, "# changed\n" + FILES.get(changed, ""))
    if committed:
        commit(planted)
    tests = ("tests/{}test_{}.py".format(*split(name)) for name in expected.split())
    assert near.near(planted) == {test: [changed] for test in sorted(tests)}


def split(name: str) -> tuple[str, str]:
    """Folder and name: "deep" is tests/deep/test_deep.py."""
    folder, _, stem = ("deep/deep" if name == "deep" else name).rpartition("/")
    return f"{folder}/" if folder else "", stem


@pytest.mark.parametrize("changed", ["pyproject.toml", "tests/conftest.py"])
def test_what_all_tests_share_concerns_all(planted: Path, changed: str) -> None:
    write(planted, changed, "# changed\n")
    assert len(near.near(planted)) == sum("/test_" in name for name in FILES)


def test_what_main_has_gained_meanwhile_concerns_none(planted: Path) -> None:
    git(planted, "checkout", "-q", "main")
    write(planted, "src/retune/rows.py", "# changed\n")
    commit(planted)
    git(planted, "checkout", "-q", "work")
    assert near.near(planted) == {}


def test_the_list_says_why(
    planted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(near, "ROOT", planted)
    assert near.main(["--list"]) == 0
    assert capsys.readouterr().out == ""
    assert near.main([]) == 0
    assert capsys.readouterr().out == "no test depends on what differs from main\n"
    write(planted, "tests/starter.py", "# changed\n")
    assert near.main(["--list"]) == 0
    assert capsys.readouterr().out == "tests/test_stage.py: tests/starter.py\n"


def test_other_arguments_go_to_pytest(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "ROOT", planted)
    monkeypatch.setattr(pytest, "main", len)
    write(planted, "docs/guide.md", "changed\n")
    assert near.main(["-x"]) == 2  # and the name of a test module
