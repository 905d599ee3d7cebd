"""Start Python modules in processes that already hold torch and DVC: for tests of whole graphs.

A server imports the libraries once. `python -m MODULE`, `dvc` and `retune` in the folder
`commands()` have it fork a process, which takes over their arguments, folder, environment and
streams, and imports the project's own code anew. With another locale, hash seed or Python option
they start a real process. So do tests of kills and namespaces, which do not use this folder.
"""

import functools
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

#: What stages and `dvc repro` import; nothing of the project, whose copies differ.
LIBRARIES = (
    *("torch", "torch.distributed.tensor", "transformers.trainer", "transformers.integrations"),
    *("transformers.models.bert.modeling_bert", "accelerate", "peft", "datasets", "pandas"),
    *("pyarrow.json", "pydantic", "ruamel.yaml", "dvclive", "dvc.cli", "dvc.repo", "dvc.stage"),
    *("dvc.repo.reproduce", "dvc.commands.repro", "dvc.output", "dvc.render.convert"),
)
#: Of the environment, what a library reads while it is imported.
READ_EARLY = ("PYTHON", "LD_", "OMP_", "MKL_", "HF_", "TRANSFORMERS_", "ATEN_", "LC_", "LANG")
COMMAND = """\
#!{python} -IS
import json, os, socket, sys
words = {{"python": [], "dvc": ["-m", "dvc"], "retune": ["-m", "retune.tools.cli.main"]}}
words = [*words[os.path.basename(sys.argv[0])], *sys.argv[1:]]
early = {{k: v for k, v in os.environ.items() if k.startswith({early}) and k != "PYTHONPATH"}}
if words[:1] != ["-m"] or early != {expected}:
    os.execv({python!r}, [{python!r}, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([words[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    code = int(server.recv(16) or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@functools.cache
def commands() -> Path:
    """Start the server of this process, and return a folder with its `python` and `dvc`."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    early = {k: v for k, v in environment.items() if k.startswith(READ_EARLY) and k != "PYTHONPATH"}
    address = str(folder / "server")
    for name in ("python", "dvc", "retune"):
        text = COMMAND.format(
            python=sys.executable, early=READ_EARLY, expected=early, address=address
        )
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return folder


def serve(address: str) -> None:
    """Fork a process for each request until the process that started this one has ended."""
    parent = os.getppid()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        server.settimeout(1.0)
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while os.getppid() == parent:
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            if not os.fork():
                server.close()
                answer(client)
                return
            client.close()
    shutil.rmtree(Path(address).parent)


def answer(client: socket.socket) -> None:
    """Run a request in a child, and send its exit code; the child returns from here, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.setblocking(True)
    head, streams, _, _ = socket.recv_fds(client, 8, 3)
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += client.recv(size - len(body))
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    client.close()
    run(json.loads(body), streams)


def run(request: Any, streams: list[int]) -> None:
    """Become the process of a request, and run its module as `python -m` does."""
    (module, *arguments), folder, environment = request
    before, now = (
        list(filter(None, each.get("PYTHONPATH", "").split(os.pathsep)))
        for each in (os.environ, environment)
    )
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = [module, *arguments]
    sys.path[:] = [folder, *now, *(place for place in sys.path[1:] if place not in before)]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1])
