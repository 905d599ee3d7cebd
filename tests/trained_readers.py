"""A small trained reader for tests that use a model, and its calibration."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import training_runs
import yaml

from retune.core.manifests import digest, seal
from retune.core.params import load_yaml
from retune.tasks.qa.confidence.calibration import Calibration, write_calibration


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter's bundle, settings and a context."""
    folder = training_runs.write_features(tmp_path_factory.mktemp("ask"))
    adapter: dict[str, Any] = training_runs.FROZEN["adapter"]
    training_runs.run(folder, folder, epochs=1, **adapter)
    params = {"qa.model": "bert_adapter", "qa.squad_v2": False}
    seal(folder / "model", {"inputs": {}, "params": params})
    (folder / "context.txt").write_text(f"﻿{tiny.TEXTS[0]}", encoding="utf-8")
    qa = {
        "tokenize": {
            "max_length": 128, "doc_stride": 8, "max_question_length": 16, "windows": "all",
            "max_lost_answers": 0.0,
            "max_unknown_tokens": 1.0,
        },
        "predict": {"batch_size": 4, "precision": "fp32"},
        "postprocess": {"n_best": 5, "max_answer_length": 10, "null_threshold": 0.0},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump({"qa": qa}), encoding="utf-8")
    return folder


def calibrated(trained: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the trained model, and a calibration beside it."""
    shutil.copytree(trained / "model", folder / "model")
    (folder / "calibration").mkdir()
    values: dict[str, Any] = {
        "model": digest(folder / "model"), "questions": 50, "passages": 10,
        "reading": load_yaml(trained / "params.yaml")["qa"]["postprocess"],
        "slope": 0.5, "intercept": 0.1, "precision": 0.9, "certainty": 0.95, "threshold": None,
        "needed": 60, "null_threshold": None,
    }  # fmt: skip
    write_calibration(folder / "calibration", Calibration(**(values | changes)))
    seal(folder / "calibration", {"inputs": {}, "params": {}})
    return folder / "model"
