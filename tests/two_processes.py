"""Processes that work together: two real ones (gloo), or threads in their place."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import forks
import pytest

from retune.processes.share import Share

Result = TypeVar("Result")


def together(
    work: Callable[[Path, Path], None], data: Path, folder: Path, meetings: int = 1
) -> list[int]:
    """Call `work(data, folder)` in two processes; a hang fails. Return their exit codes.

    The variable PORTS has a port for each of the `meetings`, in which they find each other anew.
    """
    folder.mkdir(exist_ok=True)
    ports = free_ports(meetings)
    code = f"import sys, pathlib, {work.__module__} as tests; "
    code += f"tests.{work.__name__}(*map(pathlib.Path, sys.argv[1:]))"
    command = [forks.commands() / "python", "-c", code, data, folder]
    processes = []
    for rank in range(2):
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": ports[0], "PORTS": " ".join(ports),
            "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        processes.append(subprocess.Popen(command, env=os.environ | environment))
    try:
        return [process.wait(180) for process in processes]
    except subprocess.TimeoutExpired:
        pytest.fail("a process hangs")
    finally:
        for process in processes:
            process.kill()


def free_ports(count: int) -> list[str]:
    """Ports that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def in_threads(count: int, work: Callable[[Share], Result]) -> list[Result]:
    """Call `work` with each of `count` shares, in threads that exchange values as processes do."""
    values: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def gathered(share: Share, value: Any) -> list[Any]:
        values[share.index] = value
        barrier.wait(60)
        found = [*values]
        barrier.wait(60)  # before another value takes the place of one
        return found

    with patch.object(Share, "gathered", gathered), ThreadPoolExecutor(count) as pool:
        return [*pool.map(work, (Share(index, count) for index in range(count)))]
