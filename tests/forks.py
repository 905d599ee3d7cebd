"""Start Python modules in processes that already hold torch and DVC: for tests of whole graphs.

A server imports the libraries once. `python -m MODULE`, `python -c CODE`, `dvc` and `retune` in
the folder `commands()` have it fork a process, which takes over their arguments, folder,
environment and streams, and imports the project's own code anew. With another locale, hash seed or
Python option they start a real process. What one of them has compiled, or DVC has parsed, is there
for the next one: by the SHA-256 of its text.

The command waits for the forked process, passes Ctrl-C on to it, and ends with its exit code.
Killing the command kills that process. When the command's parent ends, that process loses its own
parent, too: the kernel then tells a stage what it would tell a real one.

Forked processes share a hash seed and imported libraries, and end without taking their modules
down. test_same_bytes and test_air_gap run every stage in real processes.
"""

import _imp
import atexit
import contextlib
import functools
import gc
import hashlib
import importlib
import io
import json
import marshal
import os
import pickle
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, TextIO

import numpy
import psutil
import yaml
from ruamel.yaml.resolver import Resolver

#: What stages and `dvc repro` import; nothing of the project, whose copies differ.
LIBRARIES = (
    *("torch", "torch.distributed.tensor", "transformers.trainer", "transformers.integrations"),
    *("transformers.models.bert.modeling_bert", "accelerate", "peft", "datasets", "pandas"),
    *("pyarrow.json", "pydantic.main", "pydantic.dataclasses", "ruamel.yaml", "typer"),
    *("torch.utils.tensorboard", "dvclive.live", "dvc.cli", "dvc.repo", "dvc.stage", "dvc.output"),
    *("dvc.repo.reproduce", "dvc.commands.repro", "dvc.commands.experiments.run", "dvc.scm"),
    *("dvc.repo.experiments.queue.celery", "dvc.utils.hydra", "dvc.render.convert"),
    *("dvc.cli.parser", "dvc.repo.index", "dvc.repo.graph", "dvc.repo.datasets", "dvc.repo.plots"),
    *("dvc.repo.artifacts", "dvc.repo.experiments.queue.tempdir", "dvc.repo.experiments.show"),
    *("dvc.repo.experiments.queue.workspace", "dvc.api", "dvc_data.hashfile.db.local"),
    *("dvc_data.index.checkout", "networkx", "hydra", "pygit2", "dulwich.porcelain", "rich.text"),
    *("scmrepo.git.backend.pygit2.filter", "pydantic.type_adapter", "pandas.io.formats.csvs"),
    *("transformers.models.bert.tokenization_bert",),
)
#: Of the environment, what a library reads while it is imported.
READ_EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "HF_", "TRANSFORMERS_", "ATEN_", "LC_", "LANG", "TZ")
#: The programs of this Python's environment.
REAL = Path(sys.executable).parent
#: Of this process, once it is known.
EXIT_CODE: list[int] = []
COMMAND = """\
#!{python} -IS
import json, os, signal, socket, sys
words = {{"python": [], "dvc": ["-m", "dvc"], "retune": ["-m", "retune.tools.cli.main"]}}
words = [*words[os.path.basename(sys.argv[0])], *sys.argv[1:]]
early = {{k: v for k, v in os.environ.items() if k.startswith({early}) and k != "PYTHONPATH"}}
if words[:1] not in (["-m"], ["-c"]) or early != {expected}:
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
def commands(*before: str) -> Path:
    """Start the server of this process, and return a folder with its `python` and `dvc`.

    Args:
        before: a command that starts the server, such as `unshare`. The server and all processes
            that it forks run in the namespaces that it creates.
    """
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
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
        [*before, sys.executable, __file__, address],
        env=environment, stdout=subprocess.PIPE, text=True,
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


def serve(address: str) -> None:
    """Fork a process for each request until the process that started this one has ended."""
    parent = os.getppid()
    atexit.register(leave)  # the first to be registered is the last to be called
    for name in LIBRARIES:
        importlib.import_module(name)
    warm_up(Path(address).with_name("known"))
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        server.settimeout(1.0)
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest's Ctrl-C ends what it started
        while os.getppid() == parent:
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            if not os.fork():
                server.close()
                answer(client, Path(address).with_name("python"))
                return
            client.close()
    shutil.rmtree(Path(address).parent)


class Loader(yaml.CSafeLoader):
    """PyYAML's C parser with ruamel's rules for scalars, which DVC uses."""

    yaml_implicit_resolvers = Resolver.yaml_implicit_resolvers


def warm_up(known: Path) -> None:
    """Let all forked processes remember in a folder what one of them has parsed or compiled."""
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("bert")
    parse, dump = _yaml.parse_yaml, _yaml._dump
    to_code = SourceFileLoader.source_to_code
    known.mkdir()

    def file_of(kind: str, text: bytes) -> Path:
        return known / f"{kind}-{hashlib.sha256(text).hexdigest()}"

    def remember(file: Path, value: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(dir=known, delete=False) as whole:
            whole.write(value)
        os.replace(whole.name, file)
        return value

    def parsed(text: str, path: str, typ: str = "safe") -> Any:
        file = file_of(typ, text.encode())
        if file.exists():
            return pickle.loads(file.read_bytes())
        return pickle.loads(remember(file, pickle.dumps(parse(text, path, typ))))

    def dumped(value: Any, stream: TextIO) -> None:
        """Remember what DVC will find in the `dvc.lock` that it now writes."""
        dump(value, whole := io.StringIO())
        stream.write(text := whole.getvalue())
        remember(file_of("rt", text.encode()), pickle.dumps(value))
        remember(file_of("safe", text.encode()), pickle.dumps(yaml.load(text, Loader)))

    def compiled(self: SourceFileLoader, data: bytes, path: str, **options: int) -> CodeType:
        """Compile as Python does; bytecode would be of the wrong source for up to a second."""
        file = file_of("code", data)
        if not file.exists():
            remember(file, marshal.dumps(to_code(self, data, path, **options)))
        code = marshal.loads(file.read_bytes())
        _imp._fix_co_filename(code, path)  # the same module of another copy
        return code

    _yaml.parse_yaml = strictyaml.parse_yaml = parsed
    _yaml._dump = dumped
    SourceFileLoader.source_to_code = compiled


def answer(client: socket.socket, python: Path) -> None:
    """Run a request in a child, and send its exit code; the child returns from here, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.setblocking(True)
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
    # The child keeps the socket, so that the command lasts as long as the child.
    run(json.loads(body), streams, python)


def stand_between(client: socket.socket, child: int) -> None:
    """Be the parent of a child until it ends, or its command is killed or loses its parent."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    command, _, _ = struct.unpack("3i", credentials)
    try:
        parent_ends = os.pidfd_open(psutil.Process(command).ppid())
    except (psutil.NoSuchProcess, ProcessLookupError):
        os.kill(child, signal.SIGKILL)
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
            return
        with contextlib.suppress(ProcessLookupError):  # not a group yet
            os.killpg(child, signal.SIGINT)  # as a terminal does, to all that it has started, too


def run(request: Any, streams: list[int], python: Path) -> None:
    """Become the process of a request, and run its module or code as Python does."""
    (option, program, *arguments), folder, environment = request
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
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
    serve(sys.argv[1])
