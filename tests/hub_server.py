"""A server on 127.0.0.1 with the hub's layout: API, `resolve`, redirects to a CDN, sums, a token.

Large files are under git LFS there: `resolve` redirects to the CDN and tells their SHA-256 in
`X-Linked-ETag`. Small ones come at once, with git's own sum of them as ETag.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".parquet")
Server = TypeVar("Server", bound="LocalServer")


class LocalServer(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HubServer(LocalServer):
    """Serves one commit of each repository: files by name of repository (`datasets/...` too).

    Attributes:
        asked: (method, path) of each request.
        token: what private repositories ask for; None where all are public.
        leaked: paths of the CDN that were asked for with a token.
    """

    def __init__(
        self, folders: dict[str, Path], commits: dict[str, str], token: str | None
    ) -> None:
        super().__init__(Hub)
        self.folders, self.commits, self.token = folders, commits, token
        self.asked: list[tuple[str, str]] = []
        self.leaked: list[str] = []

    @property
    def cdn(self) -> str:
        """Another host, as the hub's is: its client follows redirects within one by itself."""
        return f"http://localhost:{self.server_port}"


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append((self.command, path))
        if path.startswith("/cdn/"):
            self.server.leaked += [path] if self.headers["Authorization"] else []
            self.send(self.of_cdn(path))
            return
        found = next((name for name in self.server.folders if f"/{name}/" in path), None)
        token = self.server.token
        if found is None or (token and self.headers["Authorization"] != f"Bearer {token}"):
            self.send(b"", 404 if found is None else 401, X_Error_Code="RepoNotFound")
        elif f"/{self.server.commits.get(found, COMMIT)}" not in path:
            self.send(b"", 404, X_Error_Code="RevisionNotFound")
        elif path.startswith("/api/"):
            self.send(json.dumps(self.of_api(found, path)).encode())
        else:
            self.resolve(found, path)

    def of_cdn(self, path: str) -> bytes:
        files = (file for folder in self.server.folders.values() for file in folder.rglob("*"))
        wanted = path.removeprefix("/cdn/")
        return next(f.read_bytes() for f in files if f.is_file() and sha256(f) == wanted)

    def of_api(self, name: str, path: str) -> object:
        folder = self.server.folders[name]
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if "/tree/" in path:
            return [entry(folder, file) for file in files]
        siblings = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
        commit = self.server.commits.get(name, COMMIT)
        return {"id": name, "sha": commit, "siblings": siblings, "private": bool(self.server.token)}

    def resolve(self, name: str, path: str) -> None:
        commit = self.server.commits.get(name, COMMIT)
        file = self.server.folders[name] / path.partition(f"/resolve/{commit}/")[2]
        if not file.is_file():
            self.send(b"", 404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        elif file.suffix in LARGE:
            self.send(
                b"", 302, Location=f"{self.server.cdn}/cdn/{sha256(file)}",
                X_Linked_ETag=f'"{sha256(file)}"', X_Linked_Size=str(file.stat().st_size),
                X_Repo_Commit=commit,
            )  # fmt: skip
        else:
            self.send(file.read_bytes(), ETag=f'"{git_sum(file)}"', X_Repo_Commit=commit)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def entry(folder: Path, file: Path) -> dict[str, object]:
    """How the hub's list of a commit's files tells of one."""
    size = file.stat().st_size
    told = {"type": "file", "path": file.relative_to(folder).as_posix(), "size": size}
    if file.suffix in LARGE:
        told["lfs"] = {"oid": sha256(file), "size": size, "pointerSize": 134}
    return told | {"oid": git_sum(file)}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def git_sum(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def serving(
    folders: dict[str, Path], commits: dict[str, str] | None = None, token: str | None = None
) -> AbstractContextManager[HubServer]:
    """Serve the files in `folders`, by the name of their repository, while the block lasts."""
    return running(HubServer(folders, commits or {}, token))


def use_hub(patch: pytest.MonkeyPatch, address: str) -> None:
    """Point huggingface_hub, which has read its environment already, to `address`."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr("huggingface_hub.constants.ENDPOINT", address)
    patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def running(made: Server) -> Iterator[Server]:
    """Let a server answer while the block lasts."""
    with made as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
