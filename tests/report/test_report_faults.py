"""What is missing or broken becomes a sentence, and ends nothing."""

import re
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml as dvc_load_yaml
from graph import ROOT
from report_projects import METHODS, blocks_of, project, write

from retune.core.errors import RetuneError
from retune.tools.project.locks import Lock
from retune.tools.report.command import gather
from retune.tools.report.sources import numbers, read_json, read_rows

DOWNLOAD = "pipelines/toy/metrics/download.json"


#: Of a lock, in forms that DVC does not write.
STAGES = [
    *("3", "{params: 3}", "{params: {a: 1}}", "{params: {a: {1: b}}}", "{deps: [{md5: a}]}"),
    *("{deps: null}", "{deps: ['path']}", "{outs: 3}", "{outs: {path: a}}"),
]


def told(root: Path, tone: str, name: str = "toy") -> list[str]:
    remarks = blocks_of(gather(root, [name]), "remark")
    return [remark.text for remark in remarks if remark.tone == tone]


def test_a_whole_project_has_no_gap_but_its_lock(tmp_path: Path) -> None:
    assert told(project(tmp_path), "fault") == []
    assert [text.split(":")[0] for text in told(tmp_path, "missing")] == [
        "There is no git commit here, so the report cannot name one.",
        "pipelines/toy/dvc.lock is not there",
    ]


def test_a_missing_file_is_named_with_the_command_that_earns_it(tmp_path: Path) -> None:
    (project(tmp_path) / DOWNLOAD).unlink()
    assert (
        f"Not run yet: {DOWNLOAD}. `cd pipelines/toy && dvc repro download` makes it, "
        "from the project's top."
    ) in told(tmp_path, "missing")


def test_of_many_missing_files_some_are_named_with_the_command_for_all(tmp_path: Path) -> None:
    for path in (project(tmp_path) / "pipelines/toy/metrics/plain").iterdir():
        path.unlink()
    (tmp_path / DOWNLOAD).unlink()
    (text,) = (text for text in told(tmp_path, "missing") if text.startswith("Not run"))
    assert "and 1 more" in text
    assert "`cd pipelines/toy && dvc repro` makes it" in text


def test_missing_curves_are_named(tmp_path: Path) -> None:
    for file in (project(tmp_path) / "metrics/qa_curves").iterdir():
        file.unlink()
    (tmp_path / "metrics/qa_curves").rmdir()
    found = told(tmp_path, "missing", "qa")
    (text,) = (t for t in found if t.startswith("Not run yet: metrics/qa_curves/train.csv"))
    assert "`dvc repro train` makes it" in text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (DOWNLOAD, "{", r"download.json: not valid JSON \("),
        (
            "pipelines/toy/metrics/compare.csv",
            "variant,accuracy_mean\nplain,high\n",
            r"compare.csv:2: accuracy_mean is 'high', not a number; correct the row",
        ),
        (
            "pipelines/toy/metrics/compare.csv",
            "variant,accuracy_mean\nplain\n",
            r"compare.csv:2: 1 cells under a heading of 2",
        ),
        (
            "pipelines/toy/metrics/compare.csv",
            "name,accuracy_mean\nplain,1\n",
            r"compare.csv: no column `variant`, which dvc.yaml draws; there are: name, accur",
        ),
        (
            "pipelines/toy/metrics/plain/reliability.csv",
            "probability\n0.5\n",
            r"reliability.csv: no column `positive`; there are: probability",
        ),
        ("pipelines/toy/params.yaml", "toy: [", r"params.yaml: while parsing"),
        ("pipelines/toy/dvc.lock", "stages: [", r"dvc.lock: while parsing .*git checkout HEAD"),
        ("pipelines/toy/dvc.lock", "stages: !!int x", r"dvc.lock: .*git checkout HEAD"),
        ("pipelines/toy/dvc.lock", "stages: !!bool x", r"dvc.lock: .*git checkout HEAD"),
        ("pipelines/toy/dvc.lock", "stages: !!float ''", r"dvc.lock: .*git checkout HEAD"),
        ("pipelines/toy/dvc.lock", "!!timestamp x", r"dvc.lock: .*git checkout HEAD"),
        (
            "pipelines/toy/dvc.lock",
            "a: 1",
            r"dvc.lock: expected `stages:` .*, got None",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: str, message: str) -> None:
    write(project(tmp_path) / file, content)
    faults = told(tmp_path, "fault")
    assert [text for text in faults if re.search(message, text)], faults
    main, _ = gather(tmp_path).parts
    assert len(main.sections) > 3


def test_a_figure_of_a_file_that_no_stage_writes_is_a_fault(tmp_path: Path) -> None:
    graph = project(tmp_path) / "dvc.yaml"
    text = graph.read_text(encoding="utf-8").replace("metrics/qa_curves/train.csv", "other.csv")
    write(graph, text)
    (fault,) = told(tmp_path, "fault", "qa")
    assert fault.startswith("other.csv: dvc.yaml draws it, but no stage has it under `plots`")


@pytest.mark.parametrize("style", ["{y: {}}", "{y: {}, x: {}}"])
def test_a_figure_of_no_file_is_a_fault(tmp_path: Path, style: str) -> None:
    graph = (project(tmp_path) / "dvc.yaml").read_text(encoding="utf-8")
    write(tmp_path / "dvc.yaml", f"{graph}  - empty: {style}\n")
    assert told(tmp_path, "fault", "qa") == [
        "dvc.yaml: plots: empty: `y` names no file; expected `y: {file: column}`"
    ]
    assert len(blocks_of(gather(tmp_path, ["qa"]), "lines")) == 1


def test_a_figure_whose_x_names_no_file_counts_the_rows(tmp_path: Path) -> None:
    graph = (project(tmp_path) / "dvc.yaml").read_text(encoding="utf-8")
    write(tmp_path / "dvc.yaml", graph.replace("x: step", "x: {}"))
    (chart,) = blocks_of(gather(tmp_path, ["qa"]), "lines")
    assert (chart.x_label, chart.lines[0].points) == ("row", ((0.0, 3.5), (1.0, 2.5)))


def test_a_bar_named_by_several_columns_is_a_fault(tmp_path: Path) -> None:
    graph = (project(tmp_path) / "pipelines/toy/dvc.yaml").read_text(encoding="utf-8")
    write(tmp_path / "pipelines/toy/dvc.yaml", graph.replace("y: variant", "y: [variant]"))
    assert [text for text in told(tmp_path, "fault") if "no column `['variant']`" in text]


def test_of_a_file_in_another_form_the_form_is_told(tmp_path: Path) -> None:
    write(project(tmp_path) / "metrics/qa_variants.json", [{"name": "bert"}])
    (fault,) = told(tmp_path, "fault", "qa")
    assert fault == (
        "metrics/qa_variants.json: not of the form that its stage writes (TypeError: list "
        "indices must be integers or slices, not str); remove it, and run the stage"
    )


def test_a_table_in_json_whose_rows_lack_a_column_is_a_fault(tmp_path: Path) -> None:
    graph = (project(tmp_path) / "pipelines/toy/dvc.yaml").read_text(encoding="utf-8")
    write(tmp_path / "pipelines/toy/dvc.yaml", graph.replace("confusion.csv", "c.json"))
    for name in METHODS:
        rows = [{"actual": "a", "predicted": "a"}, {"actual": "b"}]
        write(tmp_path / f"pipelines/toy/metrics/{name}/c.json", rows)
    (fault,) = told(tmp_path, "fault")
    assert fault.startswith("pipelines/toy/metrics/plain/c.json: not of the form")


def test_a_variant_that_changes_nothing_by_name_is_left_to_the_stages(tmp_path: Path) -> None:
    params = "toy: {seeds: [1, 2, 3], lr: 0.1}\nvariants: {plain: {}, fancy: 3}\n"
    write(project(tmp_path) / "pipelines/toy/params.yaml", params)
    assert told(tmp_path, "fault") == []


def test_a_table_in_json_is_a_list_of_objects(tmp_path: Path) -> None:
    write(tmp_path / "rows.json", [{"a": 1}, {"a": 2}])
    assert read_rows(tmp_path, "rows.json") == [{"a": "1"}, {"a": "2"}]
    write(tmp_path / "rows.json", {"a": 1})
    with pytest.raises(RetuneError, match=r"^rows.json: expected a list of objects"):
        read_rows(tmp_path, "rows.json")


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(RetuneError, match=r"^rows.csv: not a table in UTF-8 \("):
        read_rows(tmp_path, "rows.csv")


RETURNS = ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("token", RETURNS)
def test_a_cell_may_hold_what_other_readers_end_lines_at(tmp_path: Path, token: str) -> None:
    """As `csv` writes it, which in Python 3.11 leaves a return without quotes."""
    (tmp_path / "a.csv").write_bytes(f'token,n\n{token},1\n"{token}",2\n'.encode())
    rows = [{"token": token, "n": "1"}, {"token": token, "n": "2"}]
    assert read_rows(tmp_path, "a.csv") == rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_newlines_of_quoted_cells_are_kept(tmp_path: Path, end: str) -> None:
    lines = ["token,n", '"a\nb",1', '"\r\n",2', "c", ""]
    (tmp_path / "a.csv").write_bytes(end.join(lines[:3]).encode())
    assert [row["token"] for row in read_rows(tmp_path, "a.csv")] == ["a\nb", "\r\n"]
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode())
    with pytest.raises(RetuneError, match=r"^a.csv:6: 1 cells under a heading of 2; run the"):
        read_rows(tmp_path, "a.csv")


def test_a_table_without_a_line_has_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "")
    assert read_rows(tmp_path, "a.csv") == []


def test_a_quote_without_an_end_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 'a\n"b\n')
    with pytest.raises(RetuneError, match=r"^a.csv: not a table in UTF-8 \(unexpected end of data"):
        read_rows(tmp_path, "a.csv")


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(RetuneError, match=r"^a.json: cannot be read: Is a directory"):
        read_json(tmp_path, "a.json")


def test_a_column_without_rows_has_no_numbers() -> None:
    assert numbers("a.csv", [], "loss") == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_lock_in_another_form_is_a_fault(tmp_path: Path, stage: str) -> None:
    write(project(tmp_path) / "dvc.lock", f"stages: {{train: {stage}}}\n")
    faults = told(tmp_path, "fault", "qa")
    assert faults
    assert all("dvc.lock: expected `stages:` as DVC writes them" in fault for fault in faults)


def require_equal_lock(root: Path, folder: str) -> None:
    """Fail where a lock has a value or a type of value that DVC does not see."""
    lock = Lock(root, folder)
    assert repr(lock.stages) == repr(dvc_load_yaml(str(root / lock.name))["stages"])


@pytest.mark.parametrize(
    "folder", ["", "pipelines/adapters", "pipelines/language_model", "pipelines/sentiment"]
)
def test_a_lock_is_read_as_dvc_reads_it(folder: str) -> None:
    require_equal_lock(ROOT, folder)


def test_numbers_of_a_lock_are_those_that_dvc_sees(tmp_path: Path) -> None:
    numbers_ = "010 1_000 0x1F 0o17 -0b11 +1 _1 3e-5 1_0.5 .5 -.inf .nan yes Off true ~ 1:30 '1'"
    write(tmp_path / "dvc.lock", f"stages: {{a: {{cmd: [{', '.join(numbers_.split())}]}}}}")
    require_equal_lock(tmp_path, "")
