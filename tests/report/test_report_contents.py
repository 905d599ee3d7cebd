"""What any pipeline's dvc.yaml and metrics come to."""

from pathlib import Path

import pytest
from report_projects import blocks_of, project, whole, write

from retune.core.errors import RetuneError
from retune.tools.project.graph import read_pipeline
from retune.tools.report.command import gather
from retune.tools.report.content import Remark, Spread, shown

FORM = r"dvc.yaml: not of the form that DVC reads \("


def test_figures_of_variants_are_a_table_with_their_spread(tmp_path: Path) -> None:
    tables = blocks_of(gather(project(tmp_path), ["toy"]), "table")
    scores, costs = (
        t
        for t in tables
        if t.caption.endswith("by method; ± is half of the 95 % interval over 3 seeds")
    )
    assert [column.heading for column in scores.columns] == ["method", "accuracy"]
    assert scores.rows == (("plain", Spread(60.0, 2.5)), ("fancy", Spread(61.0, 2.5)))
    assert [column.heading for column in costs.columns] == ["method", "stored", "training"]
    plain, fancy = costs.rows
    assert (plain[:2], fancy[:2]) == (("plain", 2e6), ("fancy", 2e6))
    # 10, 20, 30: the t interval is 4.303 standard errors of 10 / sqrt(3).
    assert isinstance(plain[2], Spread)
    assert plain[2].mean == 20.0
    assert plain[2].half_width == pytest.approx(24.84, abs=0.01)


def test_the_best_and_the_worst_variant_are_said_in_short(tmp_path: Path) -> None:
    (part,) = gather(project(tmp_path), ["toy"]).parts
    (remark,) = part.lead
    assert remark.text == (
        "accuracy of 2 variants, by method: from fancy 61.00 ± 2.50 (best) to plain 60.00 ± 2.50"
    )


def test_figures_of_single_stages_are_rows(tmp_path: Path) -> None:
    (table, *_) = blocks_of(gather(project(tmp_path), ["qa"]), "table")[1:]
    told = [tuple(shown(cell, "number") for cell in row) for row in table.rows]
    assert told == [("train", "F1", "50.25"), ("train", "parameters", "1,234,567")]


def test_lists_of_objects_are_tables(tmp_path: Path) -> None:
    tables = blocks_of(gather(project(tmp_path), ["toy"]), "table")
    (table,) = (t for t in tables if t.caption == "download: download")
    assert [column.heading for column in table.columns] == ["split", "rows"]
    assert table.rows == (("train", 5), ("validation", 3))


def test_of_a_list_only_the_plain_cells_are_shown(tmp_path: Path) -> None:
    rows = [{"split": "train", "rows": 5}, {"split": "validation", "rows": [1, 2]}]
    write(project(tmp_path) / "pipelines/toy/metrics/download.json", {"toy": {"download": rows}})
    report = gather(tmp_path, ["toy"])
    (table,) = (t for t in blocks_of(report, "table") if t.caption == "download: download")
    assert table.rows == (("train", 5), ("validation", None))
    assert "validation" in whole(report)


def test_a_list_that_is_too_long_is_a_remark(tmp_path: Path) -> None:
    rows = [{"row": n} for n in range(201)]
    write(project(tmp_path) / "pipelines/toy/metrics/download.json", {"toy": {"download": rows}})
    remarks = blocks_of(gather(tmp_path, ["toy"]), "remark")
    (long,) = (r.text for r in remarks if "too many" in r.text)
    assert long == (
        "download: download: 201 rows are too many for a page; see "
        "pipelines/toy/metrics/download.json."
    )


def test_declared_figures_have_a_line_for_each_file(tmp_path: Path) -> None:
    (chart,) = blocks_of(gather(project(tmp_path), ["qa"]), "lines")
    assert (chart.title, chart.x_label) == ("Loss of both", "step")
    assert [(one.group, one.points) for one in chart.lines] == [
        ("train", ((1.0, 3.5), (2.0, 2.5))),
        ("validation", ((2.0, 2.75),)),
    ]


def test_plots_of_a_stage_share_a_chart_and_seeds_a_colour(tmp_path: Path) -> None:
    charts = blocks_of(gather(project(tmp_path), ["toy"]), "lines")
    curves = next(c for c in charts if c.title == "train: validation loss")
    assert curves.groups == ["plain", "fancy"]
    assert [one.group for one in curves.lines] == ["plain"] * 3 + ["fancy"] * 3
    assert curves.lines[1].points == ((1.0, 2.5), (2.0, 0.5))
    reliability = next(c for c in charts if c.title == "Reliability")
    assert (reliability.diagonal, reliability.groups) == (True, ["plain", "fancy"])
    beams = next(c for c in charts if c.title == "By beams")
    assert beams.groups[:3] == ["plain 1 beam", "plain 2 beams", "plain reference"]


def test_confusions_are_counted_and_bars_have_intervals(tmp_path: Path) -> None:
    report = gather(project(tmp_path), ["toy"])
    one, other = blocks_of(report, "matrix")
    assert (one.title, other.title) == ("Answers: plain", "Answers: fancy")
    assert (one.names, one.counts) == (("a", "b"), ((1, 1), (0, 1)))
    (bars,) = blocks_of(report, "bars")
    told = [(bar.name, bar.value, bar.low, bar.high) for bar in bars.bars]
    assert told == [("fancy", 70.0, 67.5, 72.5), ("plain", 60.0, None, None)]


def test_points_that_are_nowhere_are_left_out(tmp_path: Path) -> None:
    train = project(tmp_path) / "metrics/qa_curves/train.csv"
    write(train, "step,epoch,loss\n1,0.5,nan\n2,1.0,2.5\n3,1.5,\n4,2.0,inf\n")
    (chart,) = blocks_of(gather(tmp_path, ["qa"]), "lines")
    assert chart.lines[0].points == ((2.0, 2.5),)


def test_settings_are_told_by_section_and_variant(tmp_path: Path) -> None:
    tables = blocks_of(gather(project(tmp_path), ["toy"]), "table")
    settings = next(t for t in tables if t.caption.startswith("Settings"))
    assert "nothing has run yet" in settings.caption
    assert settings.rows == (("toy", "lr: 0.1, seeds: [1, 2, 3]"),)
    changes = next(t for t in tables if t.caption == "What each variant changes")
    assert changes.rows == (("plain", ""), ("fancy", "lr: 0.2"))


def test_settings_are_those_of_the_last_run(tmp_path: Path) -> None:
    read = {"params.yaml": {"qa.model": "lstm", "qa.train.lr": 1e-05}}
    write(project(tmp_path) / "dvc.lock", {"stages": {"train": {"params": read}}})
    text = (tmp_path / "dvc.lock").read_text(encoding="utf-8")
    assert "1e-05" in text  # which YAML 1.1 reads as text
    report = gather(tmp_path, ["qa"])
    table = next(t for t in blocks_of(report, "table") if t.caption == "Settings of the last run")
    assert table.rows == (("qa", "model: lstm"), ("qa.train", "lr: 1e-05"))
    told = [r.text for r in blocks_of(report, "remark") if "has changed since that run" in r.text]
    assert "qa.model, qa.train.lr" in told[0]


def test_code_and_figures_that_differ_from_the_lock_are_named(tmp_path: Path) -> None:
    sums = [
        {"path": "metrics/qa.json", "md5": "0" * 32},
        {"path": "metrics/qa_curves", "md5": "0" * 32 + ".dir"},
        {"path": "data/qa/raw.json", "md5": "0" * 32},
    ]
    write(project(tmp_path) / "dvc.lock", {"stages": {"train": {"outs": sums}}})
    told = [
        r.text for r in blocks_of(gather(tmp_path, ["qa"]), "remark") if "Changed since" in r.text
    ]
    assert told == [
        "Changed since the last run: metrics/qa.json, metrics/qa_curves. `dvc repro` brings the "
        "figures up to date."
    ]


def test_stages_are_named_as_dvc_does(tmp_path: Path) -> None:
    pipeline = read_pipeline(project(tmp_path), "toy", "pipelines/toy")
    assert pipeline.about == "A toy: its methods."
    targets = {output.target for output in pipeline.metrics}
    assert {"download", "train@method0-1", "train@method1-3", "score@method1"} <= targets
    last = pipeline.metrics[-1]
    assert pipeline.makes(last) == "cd pipelines/toy && dvc repro score@method1"
    assert last.path == "pipelines/toy/metrics/fancy/scores.json"


def test_stages_of_a_foreach_are_named_by_their_keys(tmp_path: Path) -> None:
    graph = """\
vars: [{them: {one: {file: a}, two: {file: b}}, words: [x, y]}]
stages:
  each:
    foreach: ${them}
    do: {cmd: do, metrics: ["${key}/${item.file}.json"]}
  word:
    foreach: ${words}
    do: {cmd: do, metrics: ["${item}.json"]}
"""
    write(tmp_path / "dvc.yaml", graph)
    found = [(o.target, o.item, o.path) for o in read_pipeline(tmp_path, "qa", "").metrics]
    assert found == [
        ("each@one", {"method": "one"}, "one/a.json"),
        ("each@two", {"method": "two"}, "two/b.json"),
        ("word@x", {"method": "x"}, "x.json"),
        ("word@y", {"method": "y"}, "y.json"),
    ]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("stages: 3\n", r"dvc.yaml: expected `stages:` with a name for each, got 3"),
        ("stages: {a: 3}\n", r"stages.a: expected a stage with a `cmd`, got 3"),
        (
            "stages: {a: {metrics: ['${no.such}']}}\n",
            r"stages.a: \$\{no.such\} is neither in its params.yaml nor in `vars`",
        ),
        ("a: [\n", r"dvc.yaml: while parsing"),
        (
            "stages: {a: {matrix: [x]}}\n",
            f"{FORM}'list' object has no attribute 'items'\\); `vars`",
        ),
        ("stages: {a: {matrix: {b: cd}}}\n", f"{FORM}expected a list, got 'cd'"),
        ("stages: {a: {foreach: 3}}\n", f"{FORM}expected a list, got 3"),
        ("stages: {}\nvars: {b: 3}\n", f"{FORM}expected a list, got {{'b': 3}}"),
        ("stages: {a: {metrics: 3}}\n", f"{FORM}expected a list, got 3"),
        ("stages: {a: {metrics: [{m.json: abc}]}}\n", f"{FORM}dictionary update sequence"),
        ("stages: {}\nplots: 3\n", f"{FORM}expected a list, got 3"),
        ("stages: {}\nvars: [.]\n", "a folder, but a plain file is needed"),
    ],
)
def test_a_graph_that_cannot_be_read_is_refused(tmp_path: Path, graph: str, message: str) -> None:
    write(tmp_path / "dvc.yaml", graph)
    with pytest.raises(RetuneError, match=message):
        read_pipeline(tmp_path, "qa", "")


def test_a_graph_may_declare_no_figure(tmp_path: Path) -> None:
    write(tmp_path / "dvc.yaml", "stages: {a: {metrics: }}\nplots: {}\n")
    pipeline = read_pipeline(tmp_path, "qa", "")
    assert (pipeline.metrics, pipeline.declared) == ((), ())


@pytest.mark.parametrize("graph", ["stages: 3\n", "stages: {a: {matrix: [x]}}\n"])
def test_of_a_broken_graph_the_report_tells_and_goes_on(tmp_path: Path, graph: str) -> None:
    write(project(tmp_path) / "pipelines/toy/dvc.yaml", graph)
    main, toy = gather(tmp_path).parts
    assert len(main.sections) > 3
    ((fault,),) = (section.blocks for section in toy.sections)
    assert isinstance(fault, Remark)
    assert fault.tone == "fault"


def test_numbers_are_told_by_their_kind() -> None:
    forms = {"count": "1,234", "score": "1234.00", "bytes": "0.0 MB", "seconds": "1,234.0 s"}
    assert {form: shown(1234, form) for form in forms} == forms  # type: ignore[arg-type]
    assert [shown(x, "number") for x in (0.123456, 31.9, 12345.6, 7, 0.0)] == [
        "0.1235", "31.90", "12,346", "7", "0",
    ]  # fmt: skip
    assert shown(Spread(1.0, 0.5), "score") == "1.00 ± 0.50"
    assert [shown(None), shown(True), shown(Spread(1.0, None), "score")] == ["-", "true", "1.00"]


def test_of_scores_of_one_run_each_the_noise_is_unknown(tmp_path: Path) -> None:
    project(tmp_path)
    for method in ("plain", "fancy"):
        scores = tmp_path / f"pipelines/toy/metrics/{method}/scores.json"
        write(scores, {"toy": {"accuracy": 60.0}})
    told = [r.text for r in blocks_of(gather(tmp_path, ["toy"]), "remark")]
    assert not [text for text in told if "seed noise" in text]  # `train` has seeds
    graph = tmp_path / "pipelines/toy/dvc.yaml"
    text = graph.read_text(encoding="utf-8").replace("      seed: ${toy.seeds}\n", "")
    write(graph, text.replace("/${item.seed}", ""))
    told = [r.text for r in blocks_of(gather(tmp_path, ["toy"]), "remark")]
    assert "seed noise is unknown with fewer than 3 seeds in common: plain over fancy" in told


def test_columns_may_be_told_by_file(tmp_path: Path) -> None:
    graph = project(tmp_path) / "dvc.yaml"
    told = "x: {metrics/qa_curves/train.csv: epoch}"
    write(graph, graph.read_text(encoding="utf-8").replace("x: step", told))
    (chart,) = blocks_of(gather(tmp_path, ["qa"]), "lines")
    assert chart.x_label == "epoch"
    assert chart.lines[0].points == ((0.5, 3.5), (1.0, 2.5))
    assert chart.lines[1].points == ((1.0, 2.75),)


@pytest.mark.parametrize("y", ["loss", "{metrics/qa_curves/train.csv: loss}"])
def test_a_figure_of_bars_may_have_its_columns_told_by_file(tmp_path: Path, y: str) -> None:
    x = "{metrics/qa_curves/train.csv: epoch}"
    style = f"{{template: bar_horizontal, x: {x}, y: {y}}}"
    text = (project(tmp_path) / "dvc.yaml").read_text(encoding="utf-8")
    graph = text.partition("\nplots:\n")[0]
    write(tmp_path / "dvc.yaml", f"{graph}\nplots:\n  - metrics/qa_curves/train.csv: {style}\n")
    (bars,) = blocks_of(gather(tmp_path, ["qa"]), "bars")
    assert [(bar.name, bar.value) for bar in bars.bars] == [("3.5", 0.5), ("2.5", 1.0)]
