"""What the two versions of SQuAD on the Hugging Face hub share."""

from retune.fetch.fetching import Source, hub_source
from retune.fetch.hub import HubParams


def hub_sources(
    repository: str, folder: str, params: HubParams, questions: tuple[int, int]
) -> dict[str, list[Source]]:
    """The Parquet files of both splits, which must hold so many questions."""
    sums = {"train": params.train_sha256, "validation": params.validation_sha256}
    return {
        split: [
            hub_source(
                repository,
                f"{folder}/{split}-00000-of-00001.parquet",
                params.revision,
                sha256,
                count,
            )
        ]
        for (split, sha256), count in zip(sums.items(), questions, strict=True)
    }
