"""How a stage's process ends when DVC, the terminal or the launcher stops it."""

import ctypes
import os
import signal
import sys
from types import TracebackType

from retune.core.standard_streams import hold_standard_streams

#: What the user reads after Ctrl-C.
STOPPED = "stopped; nothing half-done is left, run it again"
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def prepare_to_end() -> None:
    """End with the `dvc` that started this stage, and print no traceback on Ctrl-C.

    A stage that outlives a killed `dvc repro` would overwrite the outputs of the next run. Only
    Linux can tie the two together; elsewhere the locks of `retune.core.artifacts` keep them
    apart. Call this before the imports of a stage, which take seconds.
    """
    hold_standard_streams()
    if "DVC_STAGE" in os.environ:
        end_with_parent(signal.SIGTERM)
        sys.excepthook = _quiet_interrupt


def end_with_parent(how: signal.Signals) -> None:
    """Let the kernel send `how` to this process when its parent ends (on Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it ended in the meantime
        sys.exit(128 + how)


def _quiet_interrupt(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(STOPPED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
