"""The page: its structure, what it needs, hostile texts, equal bytes."""

import re
import tomllib
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from report_projects import Page, blocks_of, project, whole, write

from retune.tools.report import svg
from retune.tools.report.command import gather
from retune.tools.report.content import Coloured, Line, Lines, Part, Report, Section, Token
from retune.tools.report.page import pages

HOSTILE = "</td></svg></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
VALUES = [
    *((), (3.0,), (2.0, 2.0), (1e300, 1e300), (-1e-9, 1e-9), (0.0, 5e-13), (1.0, 1.0 + 1e-13)),
    *((1.0, 1.0 + 1e-11), (1.0, 1.0 + 2e-9), (-1e6, -1e6 + 1e-3), (1e300, 1e300 * (1 + 1e-15))),
]
UNSHOWABLE = "a\x00b\x1b[31mc\u202ed"


def page(root: Path) -> Page:
    return Page(whole(gather(root)))


def test_the_page_has_a_part_for_each_pipeline_with_what_it_earned(tmp_path: Path) -> None:
    seen = page(project(tmp_path))
    ids = [attributes.get("id") for attributes in seen.all("article")]
    assert ids == ["qa", "toy"]  # of the index
    assert [*pages(gather(tmp_path))] == ["index.html", "qa.html", "toy.html"]
    assert "50.25" in seen.text
    assert "60.00 ± 2.50" in seen.text
    # Two of learning curves, reliability and beams; two confusions; bars.
    charts = [a for a in seen.all("svg") if a.get("role") == "img"]
    assert len(charts) == 4 + 2 + 1


def test_every_link_leads_to_a_page_or_to_a_place_of_its_page(tmp_path: Path) -> None:
    texts = pages(gather(project(tmp_path)))
    for text in texts.values():
        seen = Page(text)
        ids = [a["id"] for _, a in seen.elements if "id" in a]
        assert len(ids) == len(set(ids))
        links = [str(a["href"]) for a in seen.all("a")]
        assert {"index.html", "qa.html", "toy.html"} <= set(links)
        assert {link.removeprefix("#") for link in links} <= {*ids, *texts}


def test_the_pages_need_no_network_and_run_their_own_script_alone(tmp_path: Path) -> None:
    for text in pages(gather(project(tmp_path))).values():
        seen = Page(text)
        assert not {tag for tag, _ in seen.elements} & {"link", "img", "iframe", "object"}
        assert seen.all("script") == [{}]
        assert not [a for _, a in seen.elements if any(name.startswith("on") for name in a)]
        assert not re.search(r"url\(|@import|https?:|fetch\(|innerHTML", text)
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        script_sum = b64encode(sha256(script.encode()).digest()).decode()
        policy = next(a["content"] for a in seen.all("meta") if "http-equiv" in a)
        assert policy == (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_sum}'"
        )


def test_tables_and_charts_can_be_read_without_sight(tmp_path: Path) -> None:
    seen = page(project(tmp_path))
    assert len(seen.all("caption")) == len(seen.all("table")) > 10
    assert {a.get("scope") for a in seen.all("th")} == {"col", "row"}
    charts = [a for a in seen.all("svg") if a.get("role") == "img"]
    assert all(a["aria-label"] for a in charts)
    told = next(str(a["aria-label"]) for a in charts if "Loss of both" in str(a["aria-label"]))
    assert "train: 2 points from 3.500 to 2.500" in told
    assert next(a["lang"] for a in seen.all("html")) == "en"


def test_dark_and_paper_have_styles(tmp_path: Path) -> None:
    text = whole(gather(project(tmp_path)))
    assert "@media screen and (prefers-color-scheme: dark)" in text
    assert "@media print" in text


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    toy = project(tmp_path) / "pipelines/toy"
    names = f'plain,60.0,\n"{HOSTILE.replace(chr(34), chr(34) * 2)}",70.0,1.0\n'
    write(toy / "metrics/compare.csv", f"variant,accuracy_mean,accuracy_half_width\n{names}")
    write(toy / "metrics/download.json", {"toy": {"download": [{"split": HOSTILE, "rows": 1}]}})
    write(tmp_path / "params.yaml", f"qa: {{model: {HOSTILE!r}}}\n".replace("\\'", "''"))
    seen = page(tmp_path)
    assert "img" not in {tag for tag, _ in seen.elements}
    assert seen.all("script") == [{}] * 3  # one for each page
    assert seen.text.count(HOSTILE) >= 2  # as a cell, and as the name of a bar


def test_what_cannot_be_shown_is_replaced(tmp_path: Path) -> None:
    rows = [{"split": UNSHOWABLE, "rows": 1}]
    write(project(tmp_path) / "pipelines/toy/metrics/download.json", {"toy": {"download": rows}})
    text = whole(gather(tmp_path))
    assert "a\ufffdb\ufffd[31mc\ufffdd" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    report = gather(project(tmp_path))
    assert pages(report) == pages(gather(tmp_path))
    assert all(text.endswith("</html>\n") for text in pages(report).values())


def test_what_the_page_is_made_of_is_part_of_the_package(root: Path) -> None:
    told = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packed = told["tool"]["setuptools"]["package-data"]["retune.tools.report"]
    files = (root / "src/retune/tools/report").glob("page.*")
    assert sorted(packed) == sorted(f.name for f in files if f.suffix != ".py")
    assert "jinja2" in told["project"]["dependencies"]


def test_another_figure_gives_another_page(tmp_path: Path) -> None:
    before = pages(gather(project(tmp_path)))
    write(tmp_path / "metrics/qa.json", {"qa": {"f1": 50.75, "parameters": 1234567}})
    assert pages(gather(tmp_path)) != before


def test_tokens_are_coloured_and_their_probability_is_written_above_them() -> None:
    tokens = (Token(" upon<b>", 0.99), Token("\n", 0.05), Token("x", 1.0))
    block = Coloured("3 beams", "Once", tokens)
    part = Part("toy", "", "dvc repro", (Section("Texts", (block,)),))
    seen = Page(whole(Report(Section("Provenance", ()), (part,))))
    assert [a["class"] for a in seen.all("ruby")] == ["p9", "p0", "p9"]
    assert "Once" in seen.text
    assert "upon<b> 99 ↵ 5 x 100" in seen.text


def test_a_chart_has_a_line_for_each_group_in_its_legend(tmp_path: Path) -> None:
    report = gather(project(tmp_path), ["toy"])
    text = whole(report)
    legends = [chart for chart in blocks_of(report, "lines") if len(chart.groups) > 1]
    assert text.count('class="legend"') == len(legends) > 0


def test_a_lines_points_stand_where_the_axes_say() -> None:
    chart = Lines("t", "x", "y", (Line("a", ((0.0, 0.0), (10.0, 5.0))),))
    drawn = Page(svg.lines(chart))
    (line,) = (a for a in drawn.all("polyline"))
    assert line["points"] == "60,260 626,10"
    assert [text for text in drawn.texts if text.isdecimal()] == [
        *("0", "1", "2", "3", "4", "5"),  # upwards
        *("0", "2", "4", "6", "8", "10"),
    ]


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    points = tuple((float(n), float(n % 7)) for n in range(5000))
    (line,) = Page(svg.lines(Lines("t", "x", "y", (Line("a", points),)))).all("polyline")
    drawn = str(line["points"]).split()
    assert len(drawn) <= 401
    assert drawn[-1].startswith("625.")


@pytest.mark.parametrize("values", VALUES)
def test_lines_of_any_values_are_drawn(values: tuple[float, ...]) -> None:
    points = tuple((float(n), value) for n, value in enumerate(values))
    drawn = svg.lines(Lines("t", "x", "y", (Line("a", points),)))
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert len(Page(drawn).all("polyline")) == 1
