"""`retune report` as its user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from report_projects import Page, project

from retune.tools.cli.main import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project(tmp_path))
    return tmp_path


def test_it_writes_pages_and_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("report/index.html: 2 pipelines, ")
    assert printed.count("\n") == 1
    assert len(printed) <= 81
    assert {path.name for path in (here / "report").iterdir()} == {
        "index.html", "qa.html", "toy.html",
    }  # fmt: skip
    assert Page((here / "report/index.html").read_text(encoding="utf-8")).all("article")


def test_a_long_name_does_not_make_a_long_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "n" * 68
    assert main(["report", "--out", name]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{name}/index.html:"
    assert max(map(len, printed)) <= 80
    assert (here / name / "qa.html").is_file()


def test_a_report_does_not_change_the_next_one(here: Path) -> None:
    for command in (["git", "init", "-q"], ["git", "add", "-A"], COMMIT):
        subprocess.run(command, check=True)
    texts = []
    for _ in range(2):
        assert main(["report"]) == 0
        texts.append((here / "report/index.html").read_bytes())
    assert texts[0] == texts[1]
    seen = Page(texts[0].decode())
    assert "changed since nothing" in seen.text
    (here / "params.yaml").write_text("qa: {model: lstm}\n", encoding="utf-8")
    assert main(["report"]) == 0
    assert "changed since params.yaml" in Page((here / "report/index.html").read_text("utf-8")).text


COMMIT = [*("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start")]


def test_json_is_the_same_content(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert not (here / "report").exists()
    assert [part["name"] for part in data["parts"]] == ["qa", "toy"]
    blocks = [b for s in data["parts"][1]["sections"] for b in s["blocks"]]
    assert {block["kind"] for block in blocks} == {"table", "lines", "bars", "matrix", "remark"}
    (table,) = (b for b in blocks if b.get("caption", "").startswith("Figures by method"))
    assert table["rows"][0][:2] == ["plain", {"mean": 60.0, "half_width": 2.5}]
    assert table["columns"][1] == {"heading": "accuracy", "form": "score"}


def test_pipelines_can_be_chosen(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--json", "--pipeline", "toy"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [part["name"] for part in data["parts"]] == ["toy"]


def test_the_index_is_of_all_pipelines_if_one_page_is_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report"]) == 0
    index = (here / "report/index.html").read_bytes()
    (here / "report/toy.html").unlink()
    (here / "report/qa.html").unlink()
    assert main(["report", "--pipeline", "toy"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("report/index.html: 1 pipeline, ")
    assert (here / "report/index.html").read_bytes() == index
    assert (here / "report/toy.html").is_file()
    assert not (here / "report/qa.html").exists()


def test_an_unknown_pipeline_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--pipeline", "toys"]) == 1
    assert "no pipeline toys; there are: qa, toy (the folders of pipelines/)" in (
        capsys.readouterr().err
    )


def test_a_file_is_never_replaced(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here / "params.yaml").read_bytes()
    assert main(["report", "--out", "params.yaml"]) == 1
    assert "--out params.yaml: name a folder for the pages, such as report" in (
        capsys.readouterr().err
    )
    assert main(["report", "--out", "old.html"]) == 1
    assert not (here / "old.html").exists()
    assert (here / "params.yaml").read_bytes() == before


def test_other_files_of_the_folder_stay(here: Path) -> None:
    assert main(["report", "--out", "metrics"]) == 0
    assert (here / "metrics/qa.json").is_file()
    assert (here / "metrics/qa.html").is_file()


def test_elsewhere_than_in_a_project_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 1
    assert "there is no dvc.yaml here; run this in the project's folder" in capsys.readouterr().err


def test_no_heavy_library_is_imported(here: Path) -> None:
    code = (
        "import sys; from retune.tools.cli.main import main; main(['report']); "
        "print([m for m in ('torch', 'transformers', 'dvc', 'datasets', 'pandas') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_has_an_example_that_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["report", "--help"])
    printed = capsys.readouterr().out
    (example,) = (
        s for s in map(str.strip, printed.splitlines()) if s.startswith("Example: retune ")
    )
    words = example.removeprefix("Example: retune ").replace("sentiment ", "toy ").split()
    assert main(words) == 0
    assert (here / words[-1] / "index.html").is_file()
