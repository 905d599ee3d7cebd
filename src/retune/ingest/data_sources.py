"""The source files of a data set: bundled with the package, on the hub, or the user's own."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.splits import SPLITS
from retune.core.user_files import file_inside
from retune.fetch.fetching import Source, hub_source, local_source
from retune.fetch.hub import HubParams

#: The bundled corpora, a folder each.
CORPORA = Path(str(resources.files("retune"))) / "corpora"


def bundled_sources(
    corpus: str, suffix: str, splits: Sequence[str] = SPLITS
) -> dict[str, list[Source]]:
    """The files of a bundled corpus. A `RetuneError` means that the installation is broken."""
    folder = CORPORA / corpus
    return {split: [local_source(folder / f"{split}{suffix}", sha256=None)] for split in splits}


def hub_sources(
    repository: str,
    pattern: str,
    params: HubParams,
    counts: Mapping[str, int],
    *,
    task: str,
) -> dict[str, list[Source]]:
    """The files of both splits in a repository of the hub, from its cache or from the network.

    Args:
        repository: such as `rajpurkar/squad`.
        pattern: path of a file, with `{split}` for the name of its split.
        params: the commit, and the SHA-256 of each file.
        counts: how many rows each file must have.
        task: which the data set is for, for messages.
    """
    sums = {"train": params.train_sha256, "validation": params.validation_sha256}
    return {
        split: [
            hub_source(
                repository,
                pattern.format(split=split),
                params.revision,
                sums[split],
                counts[split],
                task=task,
            )
        ]
        for split in SPLITS
    }


def own_sources(
    folder: Path, splits: Mapping[str, Sequence[str]], section: str
) -> dict[str, list[Source]]:
    """The user's files in `folder`, by split.

    Raises:
        RetuneError: `section` of the params names no file for a split, or one that is not in the
            folder.
    """
    require_files(splits, section)
    return {
        split: [local_source(file_inside(folder, name, section), None) for name in names]
        for split, names in splits.items()
    }


def require_files(splits: Mapping[str, Sequence[object]], section: str) -> None:
    """Raise a `RetuneError` if `section` of the params names no file for a split."""
    for split, files in splits.items():
        if not files:
            raise RetuneError(f"{section}.{split} in the params names no file; add some")
