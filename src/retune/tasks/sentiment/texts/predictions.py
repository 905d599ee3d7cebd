"""Read predictions and gold labels, without torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retune.core import manifests
from retune.core.errors import RetuneError, listed
from retune.core.files import read_json_lines
from retune.core.numerics import Doubles, exp
from retune.tasks.sentiment.texts.examples import THRESHOLD, read_examples

#: The file of the predictions, in their folder.
FILE = "predictions.jsonl"


@dataclass(frozen=True)
class Gold:
    """The validation texts: N ids and labels."""

    ids: tuple[str, ...]
    labels: NDArray[np.int64]  # (N,)


def positive_probabilities(logits: Doubles) -> Doubles:
    """The second column (N,) of the softmax of logits (N, 2), with the same bits everywhere."""
    difference = logits[:, 1] - logits[:, 0]
    small = exp(-np.abs(difference))
    positive: Doubles = np.where(difference > 0, 1.0, small) / (1.0 + small)
    return positive


def answers(positive: Doubles) -> NDArray[np.int64]:
    """The labels (N,) for probabilities (N,) of being positive."""
    return (positive > THRESHOLD).astype(np.int64)


def read_gold(raw: Path) -> Gold:
    """Read ids and labels of the validation texts in `raw`."""
    pairs = [(example.id, example.label) for example in read_examples(raw / "validation.jsonl")]
    if not pairs:
        raise RetuneError(f"{raw}: no validation text; check sentiment.download")
    return Gold(tuple(id_ for id_, _ in pairs), np.array([label for _, label in pairs], np.int64))


def read_seeds(folders: Mapping[int, Path], gold: Gold) -> dict[int, Doubles]:
    """Read, by seed, the probabilities (N,) that the texts of `gold` are positive.

    Raises:
        RetuneError: a folder has other texts, or two folders belong to the same model.
    """
    _require_own_models(folders)
    return {seed: _read(folder / FILE, gold) for seed, folder in folders.items()}


def seed_folders(folder: Path, seeds: list[int]) -> dict[int, Path]:
    """The folder of each seed in the folder of a variant.

    Raises:
        RetuneError: there is no seed, or one is named twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise RetuneError(
            f"sentiment.seeds: {seeds} must name one seed or more, and each of them once"
        )
    return {seed: folder / str(seed) for seed in seeds}


def model_folders(runs: Path, seeds: list[int]) -> dict[int, Path]:
    """Return the folder of each seed's model in the runs of a variant."""
    return {seed: run / "model" for seed, run in seed_folders(runs, seeds).items()}


def variant_folders(folder: Path, variants: Iterable[str], seeds: list[int]) -> dict[str, Path]:
    """Return the folder of each variant and seed, by both names."""
    return {
        f"{variant} {seed}": path
        for variant in variants
        for seed, path in seed_folders(folder / variant, seeds).items()
    }


def _read(path: Path, gold: Gold) -> Doubles:
    rows = [(row["id"], row["positive"]) for row in read_json_lines(path)]
    if tuple(id_ for id_, _ in rows) != gold.ids:
        raise RetuneError(
            f"{path}: its texts are not those of the raw data in their order; run the predict stage"
        )
    return np.array([positive for _, positive in rows], np.float64)


def _require_own_models(folders: Mapping[int, Path]) -> None:
    """Refuse a model that counts twice, which would make the spread too small."""
    seeds: dict[str, list[str]] = {}
    for seed, folder in folders.items():
        model = manifests.read(folder)["inputs"]["model"]
        seeds.setdefault(model, []).append(str(seed))
    for same in seeds.values():
        if len(same) > 1:
            parent = next(iter(folders.values())).parent
            raise RetuneError(
                f"{parent}: the seeds {listed(same)} have predictions of the same model, which "
                "must not count twice; run the train and predict stages of each seed"
            )
