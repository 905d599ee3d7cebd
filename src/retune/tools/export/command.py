"""`retune export`: convert, score, compare, and keep the export if it is good enough."""

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import atomic_path, write_json
from retune.core.terminal_text import escaped_json
from retune.inference.answering import load_model
from retune.inference.exported import FILE, Arrays, Export, Format, is_export
from retune.inference.projects import params_for
from retune.inference.settings import TrainedModel, find_model
from retune.models.positions import max_positions
from retune.models.pretrained_files import load_tokenizer
from retune.stats.paired import Difference
from retune.tasks.qa.predict.predict import window_rows
from retune.tasks.qa.windows.features import feature_batches
from retune.tools.export.conversion import convert, quantize
from retune.tools.export.scoring import (
    Results,
    difference,
    mean_f1,
    read_settings,
    score_test,
    score_validation,
)

#: In the folder of an export.
COMPARISON = "comparison.json"
#: Points of F1 that nobody minds.
_SMALL = 0.05
#: Folders of the run that an export is scored by, and the stages that write them.
_NEEDED = {
    "test": "download", "test_features": "tokenize_test", "raw": "download",
    "features": "tokenize", "scores": "score", "validation_scores": "validate",
}  # fmt: skip
#: Windows by which the ranges of activations are found.
_WINDOWS = 128


def run(arguments: Namespace) -> int:
    """Export a model and return 0.

    Raises:
        RetuneError: the model cannot be exported or loses too much, or its run is incomplete.
    """
    trained = find_model(arguments.model, None)
    results = Results(trained.folder.parent)
    format_: Format = arguments.format
    out = arguments.out or results / "exports" / _name(format_, int8=arguments.int8)
    _require_run(trained, results)
    _require_replaceable(out)
    params = params_for(trained.folder, arguments.params, "qa")
    if params is None:
        raise RetuneError(f"{trained.folder}: no params.yaml of its pipeline; give --params FILE")
    settings = read_settings(params)
    with atomic_path(out) as folder:
        export = Results(folder)
        (export / "model").mkdir(parents=True)
        windows = _windows(results)
        _write_model(trained, format_, export / "model", windows, int8=arguments.int8)
        score_test(results, export, settings)
        score_validation(results, export, settings)
        found = _figures(trained, results, export)
        _require_good(found, arguments.max_loss)
        write_json(folder / COMPARISON, found)
    if arguments.json:
        print(escaped_json(json.dumps(found | {"out": str(out)}, indent=2)))
    else:
        print("\n".join(_sentences(found, out)))
    return 0


def _name(format_: Format, *, int8: bool) -> str:
    return f"{format_}-int8" if int8 else format_


def _require_run(trained: TrainedModel, results: Results) -> None:
    """Refuse a model that was not trained and scored by the pipeline around it."""
    folder = trained.folder
    if is_export(folder):
        raise RetuneError(f"{folder}: an export already; export the model that it was made from")
    if trained.variant is None:
        raise RetuneError(
            f"{folder}: not trained by retune; an export is scored on the test questions of its run"
        )
    for name, stage in _NEEDED.items():
        if not (results / name).is_dir():
            raise RetuneError(
                f"{results / name}: no such folder; `dvc repro {stage}` writes it. An export is "
                "scored on the questions of its run"
            )


def _require_replaceable(out: Path) -> None:
    if out.exists() and not (out / COMPARISON).is_file():
        raise RetuneError(f"{out}: not an export, so it is not replaced; give --out another folder")


def _write_model(
    trained: TrainedModel, format_: Format, out: Path, windows: Iterator[Arrays], *, int8: bool
) -> None:
    """Write a folder that `retune.Reader` loads: graph, configuration and tokenizer."""
    folder = trained.folder
    model = load_model(trained)
    positions = max_positions(model)
    model.config.save_pretrained(out)
    load_tokenizer(folder).save_pretrained(out)
    try:
        convert(model, format_, out)
        if int8:
            quantize(format_, out, windows)
    except RetuneError as error:
        raise RetuneError(f"{folder}: {trained.variant} {error}") from error
    about = Export(format_, int8, manifests.digest(folder), positions)
    write_json(out / FILE, asdict(about))
    made = manifests.read(folder)
    manifests.seal(out, {"inputs": made["inputs"], "params": made["params"]})


def _windows(results: Results) -> Iterator[Arrays]:
    """Yield windows from all of the validation split, or without one of the training split."""
    files = [results / "features" / f"{split}.arrow" for split in ("validation", "train")]
    parts = [*feature_batches(next(filter(Path.is_file, files)))]
    rows = [(part, row) for part in parts for row in range(len(part))]
    for place in np.unique(np.linspace(0, len(rows) - 1, _WINDOWS).round().astype(int)):
        part, row = rows[place]
        (window,) = window_rows(part, [row])
        ids = np.asarray(window["input_ids"], np.int64)[None]
        types = np.asarray(window["token_type_ids"], np.int64)[None]
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}


def _figures(trained: TrainedModel, results: Results, export: Results) -> dict[str, Any]:
    """Return sizes, and for each split the scores of both models with their difference."""
    found: dict[str, Any] = {
        "variant": trained.variant,
        "bytes": {"original": _size(trained.folder), "export": _size(export / "model")},
        "splits": {},
    }
    for split in ("validation", "test"):
        if pair := difference(results, export, split):
            scores = {"original": mean_f1(results, split), "export": mean_f1(export, split)}
            found["splits"][split] = {"f1": scores, "difference": _as_json(pair)}
    return found


def _as_json(pair: Difference) -> dict[str, Any]:
    names = ("value", "low", "high", "p_value", "won", "lost")
    rounded = {name: getattr(pair, name) for name in names}
    # Sums of equal scores may differ in their last bit.
    return {name: round(x, 9) + 0.0 if isinstance(x, float) else x for name, x in rounded.items()}


def _size(folder: Path) -> int:
    """Return the bytes of weights: what is neither tokenizer nor settings."""
    small = (".json", ".txt")
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix not in small)


def _require_good(found: dict[str, Any], most: float) -> None:
    """Refuse an export that loses more than `most` points of F1.

    The validation questions decide, as in all choices, so that the test score stays fair.
    """
    split = next(iter(found["splits"]))
    pair = found["splits"][split]["difference"]
    if -pair["value"] > most:
        raise RetuneError(
            f"{found['variant']}: the export loses more than {most:g} points of F1 on {split}: "
            f"{_interval(pair)}. Nothing is kept; allow more with --max-loss, or leave out --int8"
        )


def _interval(pair: dict[str, Any]) -> str:
    ends = "" if pair["low"] is None else f" [{pair['low']:+.2f}, {pair['high']:+.2f}]"
    return f"{pair['value']:+.2f}{ends} (95 %)"


def _sentences(found: dict[str, Any], out: Path) -> Iterator[str]:
    before, after = (found["bytes"][name] / 1e6 for name in ("original", "export"))
    yield f"{out / 'model'}: {after:.1f} MB, {before:.1f} MB before"
    for split, row in found["splits"].items():
        one, other = row["f1"]["original"], row["f1"]["export"]
        yield f"F1 on {split}: {one:.2f}, exported {other:.2f}: {_interval(row['difference'])}"
    lowest = min(row["difference"]["low"] or 0.0 for row in found["splits"].values())
    if lowest < -_SMALL:
        yield f"These questions do not exclude that the export loses up to {-lowest:.1f} points."
