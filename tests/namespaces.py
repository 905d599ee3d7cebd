"""Commands in Linux namespaces of their own: without network, with a small or read-only disk."""

import functools
import subprocess

import pytest

#: Changes a mounted disk, without giving its options again: a user other than root may not name the
#: owner of the files, who has another number in the new namespace.
REMOUNT = "mount --options-mode ignore -o"


@functools.cache
def permitted(option: str) -> bool:
    """Whether this machine lets `unshare` do so."""
    try:
        done = subprocess.run(["unshare", option, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def unshared(option: str) -> list[str]:
    """The start of a command that runs in new namespaces; skips the test where refused."""
    if not permitted(option):
        pytest.skip(f"`unshare {option}` is not permitted here")
    return ["unshare", option]


def mounted(folder: str, options: str) -> list[str]:
    """The start of a command that finds an empty memory disk at `folder`, mounted so."""
    script = 'mount -t tmpfs -o "$2" none "$1" && shift 2 && exec "$@"'
    command = [*unshared("-rm"), "sh", "-c", script, "sh", folder, options]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    return command
