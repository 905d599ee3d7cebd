"""Class weights and probes of one's own that cannot be, and joiners inside words: rows L."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from sentiment_runs import OPTIMIZATION

from retune.core.errors import RetuneError
from retune.ingest.text_splits import faults_of_text
from retune.models.losses import NO_LABEL, label_count, mean_loss
from retune.tasks.sentiment.probe.probe_files import COLUMNS, read_probes
from retune.tasks.sentiment.probe.probes import Probe
from retune.tasks.sentiment.train.train import ClassWeights, TrainParams
from retune.tools.data_doctor.layout import _oddities

HEADER = "\t".join(COLUMNS)


def test_l41_balanced_classes_count_alike() -> None:
    weights = ClassWeights.balanced(np.array([0] * 57 + [1] * 3, np.int8))
    assert (57 * weights.negative, 3 * weights.positive) == pytest.approx((30, 30))
    with pytest.raises(RetuneError, match="class_weights is balanced, but no training text is pos"):
        ClassWeights.balanced(np.zeros(4, np.int8))


def test_l41_the_loss_is_the_weighted_mean() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 2), torch.tensor([0, 0, 1, NO_LABEL, 0])
    weights = torch.tensor([0.25, 0.5])
    expected = torch.nn.functional.cross_entropy(logits, labels, weights)
    count = label_count(labels, weights)
    torch.testing.assert_close(mean_loss(logits, labels, count, weights), expected)
    nothing = torch.full((5,), NO_LABEL)
    assert mean_loss(logits, nothing, label_count(nothing, weights), weights) == 0


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param({"negative": 1.0}, id="L41 a class without a weight"),
        pytest.param({"negative": 1.0, "positive": 0.0}, id="L41 a weight of 0"),
        pytest.param({"negative": 1.0, "positiv": 2.0}, id="L41 an unknown class"),
        pytest.param("even", id="L41 an unknown word"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: Any) -> None:
    message = "expected null, balanced, or a weight above 0 for each of negative and positive"
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(TrainParams).validate_json(
            json.dumps(OPTIMIZATION | {"class_weights": weights})
        )


def write_probes(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8", newline="")
    return folder


def test_l42_probes_of_ones_own_are_read_alone(tmp_path: Path) -> None:
    write_probes(
        tmp_path,
        verneinung=f"{HEADER}\r\nMFT\tDas Essen war nicht gut.\t\t0\r\n\r\n",
        templates=f"capability\t{HEADER}\ncase\tINV\tDer {{ding}} gut.\t{{DING}} {{x}}!\tsame\n",
        slots="slot\tvalues\nding\tFilm ist|Wein war\nx\tja|nein\n",
    )
    assert read_probes(tmp_path) == [
        Probe("case", "INV", "Der Film ist gut.", "FILM IST ja!", "same"),
        Probe("case", "INV", "Der Wein war gut.", "WEIN WAR nein!", "same"),
        Probe("verneinung", "MFT", "Das Essen war nicht gut.", "", "0"),
    ]


def test_l42_a_folder_without_probes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"sentiment\.probe\.folder: .*absent is not a folder"):
        read_probes(tmp_path / "absent")
    with pytest.raises(RetuneError, match=r"no probe in .*; add a file such as negation\.tsv"):
        read_probes(tmp_path)
    with pytest.raises(RetuneError, match=r"no probe in "):
        read_probes(write_probes(tmp_path, case=f"{HEADER}\n"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"case": "text\tlabel\nA\t1\n"},
                     r"case\.tsv:1: the columns are 'text', 'label'; they must be kind-of-test, ",
                     id="L43 other columns"),
        pytest.param({"case": f"{HEADER}\nMFT\tGood.\t1\n"},
                     r"case\.tsv: line 2: 3 cells; a line has 4", id="L43 a cell too few"),
        pytest.param({"case": f"{HEADER}\nmft\tGood.\t\t1\n"},
                     "'mft' is not a kind of test; allowed: MFT, INV, DIR", id="L43 unknown kind"),
        pytest.param({"case": f"{HEADER}\nMFT\tGood.\t\tpositive\n"},
                     "'positive' cannot be expected of MFT; allowed: 0, 1", id="L43 not expected"),
        pytest.param({"case": f"{HEADER}\nMFT\t \t\t1\n"}, "line 2: the sentence is empty",
                     id="L43 no sentence"),
        pytest.param({"case": f"{HEADER}\nMFT\tGood.\tBad.\t1\n"},
                     "an MFT has no changed sentence", id="L43 changed in an MFT"),
        pytest.param({"case": f"{HEADER}\n\nDIR\tGood.\t\tup\n"},
                     "line 3: DIR needs the changed sentence", id="L43 nothing changed"),
        pytest.param({"templates": f"capability\t{HEADER}\n"}, r"slots\.tsv: no such file; it fill",
                     id="L44 no slots"),
        pytest.param({"templates": f"capability\t{HEADER}\na\tMFT\t{{it}}\t\t1\n",
                      "slots": "slot\tvalues\nthing\tcake\n"},
                     r"templates\.tsv: line 2: no slot it in slots\.tsv; allowed: thing",
                     id="L44 unknown slot"),
        pytest.param({"templates": f"capability\t{HEADER}\na\tMFT\tGood.\t\t1\n",
                      "slots": "slot\tvalues\n"},
                     r"no slots in slots\.tsv; allowed: none", id="L44 empty slots"),
        pytest.param({"templates": f"capability\t{HEADER}\n",
                      "slots": "slot\tvalues\na\tx|y\nb\tz\n"},
                     r"slots\.tsv: line 3: 1 values, but the slots before have 2",
                     id="L44 slots of other numbers"),
    ],
)  # fmt: skip
def test_probes_that_cannot_be_asked_are_refused(
    files: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        read_probes(write_probes(tmp_path, **files))


def test_l44_a_slot_runs_no_format_code(tmp_path: Path) -> None:
    template = "{thing.__class__} {thing:>99999999}"
    write_probes(
        tmp_path,
        templates=f"capability\t{HEADER}\na\tMFT\t{template}\t\t1\n",
        slots="slot\tvalues\nthing\tcake\n",
    )
    assert [probe.sentence for probe in read_probes(tmp_path)] == [template]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("کتاب‌های او را نمی‌خوانیم", id="L45 Persian"),
        pytest.param("क्‍ष और क्‌ष", id="L45 Hindi"),
        pytest.param("ശ്രീ ന്‍", id="L45 Malayalam"),
        pytest.param("a family 👩‍👧", id="L45 emoji"),
    ],
)
def test_joiners_inside_words_are_no_finding(text: str) -> None:
    assert {"\u200c", "\u200d"} & {*text}
    assert list(faults_of_text(text, "f.tsv", "line 1", "the line")) == []
    assert list(_oddities(text, "question", composed=False)) == []
