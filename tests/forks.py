"""Start Python modules in processes that already hold torch and DVC: for tests of whole graphs.

A server, one for all workers of pytest, imports the libraries once. `python -m MODULE`,
`python -c CODE`, `dvc` and `retune` in the folder `commands()` have it fork a process, which takes
over their arguments, folder, environment, streams, mounts and network, and imports the project's
own code anew. With another locale, hash seed or Python option they start a real process. What one
of them has compiled, or DVC has parsed, is there for the next one: by the SHA-256 of its text.

The command waits for the forked process, passes Ctrl-C on to it, and ends with its exit code.
Killing the command kills that process. When the command's parent ends, that process loses its own
parent, too: the kernel then tells a stage what it would tell a real one.

Forked processes share a hash seed and imported libraries, and end without taking their modules
down. test_same_bytes and test_air_gap run every stage in real processes.
"""

import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import io
import json
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import forked_libraries
import numpy
import psutil

#: Of the environment, what a library reads while it is imported.
READ_EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "HF_", "TRANSFORMERS_", "ATEN_", "LC_", "LANG", "TZ")
#: A fork copies the page tables of the server: there are few for memory in huge pages.
HUGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
#: The programs of this Python's environment.
REAL = Path(sys.executable).parent
#: Of this process, once it is known.
EXIT_CODE: list[int] = []
COMMAND = """\
#!{python} -IS
import json, os, signal, socket, sys
words = {{"python": [], "dvc": ["-m", "dvc"], "retune": ["-m", "retune.tools.cli.main"]}}
words = [*words[os.path.basename(sys.argv[0])], *sys.argv[1:]]
named = words[1:] if words[:1] == ["-u"] else words  # as torch starts its processes
early = {{k: v for k, v in os.environ.items() if k.startswith({early}) and k != "PYTHONPATH"}}
if named[:1] not in (["-m"], ["-c"]) or early != {expected}:
    os.execv({python!r}, [{python!r}, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    signal.signal(signal.SIGINT, lambda *_: server.sendall(b"i"))
    code = int(server.recv(16) or 1)
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@functools.cache
def commands() -> Path:
    """Return a folder with `python`, `dvc` and `retune`; start the server that they ask.

    The first worker of a run of pytest starts it, for all workers.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if not run:
        return started(Path(tempfile.mkdtemp(prefix="forks-")), os.getpid())
    folder = Path(tempfile.gettempdir(), f"forks-{run}")
    folder.mkdir(exist_ok=True)
    with (folder / "starting").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return folder if (folder / "server").exists() else started(folder, os.getppid())


def started(folder: Path, owner: int) -> Path:
    """Start a server, which ends with the process `owner`, and write its commands to `folder`."""
    # torch reads the last one when it is loaded; a launch sets it for its processes.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    environment.pop("PYTHONPATH", None)  # each request brings its own
    early = {name: value for name, value in environment.items() if name.startswith(READ_EARLY)}
    address = str(folder / "server")
    for name in ("python", "dvc", "retune"):
        text = COMMAND.format(
            python=sys.executable, early=READ_EARLY, expected=early, address=address
        )
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(owner)],
        env=environment | HUGE_PAGES, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return folder


def environment(programs: Path = REAL) -> dict[str, str]:
    """Return the variables with which a process finds `programs` first, and this Python's next.

    The number of threads is the server's: with another one, a command starts a real process.
    """
    folders = [str(programs), str(REAL), os.environ["PATH"]]
    return {"PATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}


def leave() -> None:
    """End a forked process at once: to take down all modules lasts longer than most stages."""
    if EXIT_CODE:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_CODE[0])


def serve(address: str, owner: int) -> None:
    """Fork a process for each request until the process `owner` has ended."""
    owner_ends = os.pidfd_open(owner)
    atexit.register(leave)  # the first to be registered is the last to be called
    forked_libraries.load(Path(address).with_name("known"))
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest's Ctrl-C ends what it started
        while owner_ends not in select.select([server, owner_ends], [], [])[0]:
            client, _ = server.accept()
            if not os.fork():
                server.close()
                answer(client, Path(address).with_name("python"))
                return
            client.close()
    shutil.rmtree(Path(address).parent)


def answer(client: socket.socket, python: Path) -> None:
    """Run a request in a child, and send its exit code; the child returns from here, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(client, 8, 3)
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        if not (part := client.recv(size - len(body))):
            break
        body += part
    if not body or len(body) < size:
        os._exit(1)  # the command was killed before it had asked
    if child := os.fork():
        try:
            stand_between(client, child)
        finally:
            os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        enter_namespaces(peer(client))
    except FileNotFoundError:
        os._exit(1)  # the command was killed
    # The child keeps the socket, so that the command lasts as long as the child.
    run(json.loads(body), streams, python)


def peer(client: socket.socket) -> int:
    """The process of the command."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def enter_namespaces(command: int) -> None:
    """Go where `unshare` may have brought a command: to its users, mounts and network."""
    for kind in ("user", "mnt", "net"):
        theirs = f"/proc/{command}/ns/{kind}"
        if os.readlink(theirs) != os.readlink(f"/proc/self/ns/{kind}"):
            with open(theirs, "rb") as file:
                error = ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0)
            assert not error, os.strerror(ctypes.get_errno())


def stand_between(client: socket.socket, child: int) -> None:
    """Be the parent of a child until it ends, or its command is killed or loses its parent."""
    try:
        parent_ends = os.pidfd_open(psutil.Process(peer(client)).ppid())
    except (psutil.NoSuchProcess, ProcessLookupError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return
    child_ends = os.pidfd_open(child)
    while parent_ends not in (ready := select.select([client, child_ends, parent_ends], [], [])[0]):
        if child_ends in ready:
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(BrokenPipeError):  # the command was killed
                client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            return
        if client.recv(1) != b"i":
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)  # DVC takes a zombie for a process that runs
            return
        with contextlib.suppress(ProcessLookupError):  # not a group yet
            os.killpg(child, signal.SIGINT)  # as a terminal does, to all that it has started, too


def run(request: Any, streams: list[int], python: Path) -> None:
    """Become the process of a request, and run its module or code as Python does."""
    words, folder, environment = request
    unbuffered = words[0] == "-u"
    option, program, *arguments = words[unbuffered:]
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    assert isinstance(sys.__stdout__, io.TextIOWrapper)
    sys.__stdout__.reconfigure(line_buffering=unbuffered)
    numpy.random.seed()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = [program if option == "-m" else option, *arguments]
    sys.executable = str(python)  # so that what this process starts is forked, too
    first = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [folder, *first, *sys.path[1:]]
    try:
        if option == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        EXIT_CODE.append(0)
    except SystemExit as error:
        if isinstance(error.code, int | None):
            EXIT_CODE.append(error.code or 0)
        raise


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
