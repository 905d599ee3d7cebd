from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Real public data beside the checkout, where there is any."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"no real data: {name} is not beside the checkout")
        return path

    return find


@pytest.fixture
def root() -> Path:
    """The project's top folder."""
    return ROOT
