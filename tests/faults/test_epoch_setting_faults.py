"""Epochs that are chosen by other settings than the answers are scored by: row P51."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from retune.core.errors import RetuneError
from retune.core.params import Params, load_yaml
from retune.core.signature import read_settings
from retune.tasks.qa.score.epoch_settings import epoch_warning

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def with_values(**changes: Any) -> dict[str, Any]:
    """The project's params with other values, by names such as `score__normalizer`."""
    values = load_yaml(PARAMS)
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = values["qa"]
        for section in sections:
            place = place[section]
        place[key] = value
    return values


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        pytest.param({"score__normalizer": "plain"},
                     ["evaluation.normalizer is squad, but qa.score.normalizer is plain"],
                     id="P51 normalizer"),
        pytest.param({"postprocess__max_answer_length": 50, "score__normalizer": "plain"},
                     ["evaluation.normalizer", "evaluation.max_answer_length is 30, but qa.postpro"
                      "cess.max_answer_length is 50"], id="P51 two at once"),
        pytest.param({"postprocess__null_threshold": 1.0, "squad_v2": True},
                     ["evaluation.null_threshold is 0.0, but"], id="P51 null threshold"),
    ],
)  # fmt: skip
def test_other_settings_for_epochs_are_warned_of(changes: dict[str, Any], names: list[str]) -> None:
    warning = epoch_warning(with_values(**changes))
    assert warning is not None
    assert warning.startswith("warning: qa.train.evaluation.")
    assert warning.count(" is ") == 2 * len(names) + 1  # and "that is best"
    assert all(name in warning for name in names)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(with_values(), id="P51 the same"),
        pytest.param(with_values(postprocess__null_threshold=1.0), id="P51 a threshold of no use"),
        pytest.param({}, id="P51 no params"),
        pytest.param({"qa": {"train": [1], "score": None}}, id="P51 no sections"),
    ],
)
def test_equal_and_missing_settings_are_not(values: dict[str, Any]) -> None:
    assert epoch_warning(values) is None


def test_p51_the_score_stage_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(with_values(score__normalizer="plain")), encoding="utf-8")
    main = importlib.import_module("stages.qa.score").main
    with Params(path) as params:
        settings = read_settings(main, params)
    with pytest.raises(RetuneError, match="raw"):
        paths = (tmp_path / name for name in ("raw", "predictions", "m.json", "scores"))
        main(*paths, **settings)
    assert "but qa.score.normalizer is plain" in capsys.readouterr().err
