from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# No test measures time: a slow machine must not fail one.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

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
