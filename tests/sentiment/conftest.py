from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training reads: the sentences of `sentiment_runs`, and their features."""
    from sentiment_runs import write_data, write_features  # not for quick tests: torch

    folder = write_data(tmp_path_factory.mktemp("data"))
    write_features(folder)
    return folder
