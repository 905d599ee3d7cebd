"""Experiments for the tools to list, without a repository and without DVC."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from retune.tools.experiments import listing
from retune.tools.experiments.listing import Ref
from retune.tools.experiments.table import keys

SCORED = {"score": {"outs": [{"path": "metrics/qa.json", "md5": "1"}]}}


def plant(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let there be the experiments of `rows`: name, state unless done, params and figures.

    `lock` may have the stages of dvc.lock; without it, the run has been scored.
    """
    by_name = {row["name"]: row for row in rows}
    refs = [Ref(name, name, "head", row.get("state")) for name, row in by_name.items()]

    def file(ref: Ref, path: str) -> str:
        row = by_name[ref.name]
        if path == "dvc.lock":
            return json.dumps({"stages": row.get("lock", SCORED)})
        figures = {key for key in keys() if key in row}
        shown = {
            "metrics/qa.json": figures,
            "params.yaml": {key for key in row if "." in key} - figures,
        }
        values = {key.removeprefix("qa."): row[key] for key in shown.get(path, ())}
        return json.dumps({"qa": values})

    monkeypatch.setattr(listing, "_head", lambda: "head")
    monkeypatch.setattr(listing, "_refs", lambda: [ref for ref in refs if not ref.state])
    monkeypatch.setattr(listing, "_is_own", lambda ref: True)
    monkeypatch.setattr(listing, "_known_to_dvc", lambda: [ref for ref in refs if ref.state])
    monkeypatch.setattr(listing, "file_of", file)
