import fcntl
import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import closure
import pytest
from huggingface_hub import constants
from hypothesis import settings

# No test measures time: a slow machine must not fail one. The check draws the same examples each
# time, so that a commit passes or fails for good; `make fuzz` draws new ones.
settings.register_profile("check", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.register_profile("fuzz", deadline=None, max_examples=2000)
settings.load_profile("check")

# A check that a shell runs in its background is deaf to Ctrl-C, and so would be all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# This process keeps its compiled modules for the next run. What it starts writes none: a copy of
# the project may be edited twice within a second, the unit of the times that bytecode records.
sys.dont_write_bytecode = False
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
# Two workers share two cores, and their models are too small for more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: The files that take longest, the longest first.
LONGEST = (
    *("test_end_to_end", "test_kill_proof", "test_resuming_faults", "test_air_gap"),
    *("test_same_bytes", "test_full_disk", "test_same_bytes_faults", "test_verify"),
    *("test_adapter_trainings", "test_dvc_faults", "test_sentiment_back_translation"),
    *("test_decoding", "test_train_together", "test_stages_together", "test_launch"),
    *("test_language_stages", "test_presets", "test_sentiment_training", "test_train"),
    "test_sentiment_graph",
)

ROOT = Path(__file__).resolve().parent.parent
PROJECT = closure.Project(ROOT)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without garbage collection: what is imported here stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module that `-m quick` leaves out: torch alone takes seconds."""
    if config.option.markexpr != "quick" or not collection_path.match("test_*.py"):
        return None
    return True if "quick" not in PROJECT.markers(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Mark the tests, and begin with the longest: short ones fill the end of all workers."""
    if config.option.markexpr:
        for item in items:
            for name in PROJECT.markers(item.path):
                item.add_marker(name)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


def pytest_sessionfinish() -> None:
    """Leave nothing for pytest's last five garbage collections, which take seconds."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _only_new_garbage() -> None:
    """Keep the libraries out of garbage collection: each training here asks for a full one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _no_torch(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no quick test load torch, not even by an import inside a function."""
    yield
    if request.config.option.markexpr == "quick":
        assert "torch" not in sys.modules, (
            "torch is loaded: the first such module belongs in NOT_QUICK"
        )


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Flush no file to the disk: no test cuts the power. Real processes of stages still do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _loopback() -> None:
    """Raise `lo`, which is down in a new network namespace: servers of tests are there."""
    if sys.platform != "linux":
        return
    read_flags, write_flags, is_up, request = 0x8913, 0x8914, 1, "16sh14x"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        answer = fcntl.ioctl(any_socket, read_flags, struct.pack(request, b"lo", 0))
        flags = struct.unpack(request, answer)[1]
        if not flags & is_up:
            fcntl.ioctl(any_socket, write_flags, struct.pack(request, b"lo", flags | is_up))


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


@pytest.fixture
def empty_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, and no network beyond it."""

    def refuse(*args: Any) -> NoReturn:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    return tmp_path / "hub"
