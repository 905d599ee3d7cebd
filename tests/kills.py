"""Killing what runs in this process, at a place of choice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """The end of a process, which nothing catches."""


@contextmanager
def killed_at(call: int, owner: Any, method: str) -> Iterator[None]:
    """The `call`-th call of `method`, from 1, kills what runs in the block; it has to."""
    original, calls = getattr(owner, method), 0

    def killing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, method, killing)
        yield
