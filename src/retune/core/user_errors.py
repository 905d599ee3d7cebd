"""Errors that the user can fix become a message and an exit code; bugs keep their traceback."""

import errno
import os
import select
import signal
import sys
from collections.abc import Callable

from retune.core.errors import RetuneError, is_panic
from retune.core.out_of_memory import explanation, is_out_of_memory
from retune.core.process_end import STOPPED
from retune.core.terminal_text import cut, escaped


def guarded(action: Callable[[], object], name: str) -> int:
    """Run `action` and return the exit code; print an error that the user can fix."""
    try:
        action()
        if sys.stdout:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{name}: {STOPPED}", file=sys.stderr)
        return 128 + signal.SIGINT
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and _has_no_reader():
            return 128 + signal.SIGPIPE
        message = user_message(error)
        if message is None:
            raise
        print(f"{name}: error: {cut(escaped(message))}", file=sys.stderr)
        return 1
    return 0


def user_message(error: BaseException) -> str | None:
    """Return the message for an error that the user can fix; None for a bug."""
    if isinstance(error, RetuneError):
        return str(error)
    if is_out_of_memory(error):
        return explanation(error)
    if is_panic(error):
        return f"a library failed ({error}); a file that it read, such as tokenizer.json, is broken"
    # Libraries that write files report a full disk by exceptions of their own.
    full = os.strerror(errno.ENOSPC)
    if getattr(error, "errno", None) == errno.ENOSPC or full in str(error):
        return f"{_place(error)}{full}; make room and run again: what was finished is kept"
    return f"{_place(error)}{error.strerror or error}" if isinstance(error, OSError) else None


def _has_no_reader() -> bool:
    """Return whether nobody reads standard output any more, as after `| head`; then close it."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # none, closed, or no file
        return False
    poll = select.poll()
    poll.register(output, 0)  # which reports errors alone
    if not poll.poll(0):
        return False
    # Python flushes once more at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _place(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{name}: " if name else ""
