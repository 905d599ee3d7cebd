"""A server on 127.0.0.1 that takes uploads as the Hugging Face hub does, but for xet."""

import base64
import hashlib
import json
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import PurePosixPath

from hub_server import LocalServer, running

#: Large files go to another address first, by their SHA-256, as git LFS has it.
LARGE = (".safetensors",)
COMMIT = "89abcdef" * 5


class UploadServer(LocalServer):
    """Keeps what is uploaded.

    Attributes:
        token: that it asks for.
        created: what was asked for each repository, by its name.
        private: whether the repository is, if it was there before.
        files: content by path.
        large: content of large files, by SHA-256.
    """

    def __init__(self, token: str) -> None:
        super().__init__(Uploads)
        self.token = token
        self.created: dict[str, dict[str, object]] = {}
        self.private = True
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}


class Uploads(BaseHTTPRequestHandler):
    """Answers the requests of one upload."""

    server: UploadServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.read()
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            self.send({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.created[name] = asked
            self.send({"url": f"{self.server.address}/{name}", "name": name})
        elif "/preupload/" in self.path:
            self.send({"files": [self.mode(file) for file in json.loads(body)["files"]]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            wanted = json.loads(body)["objects"]
            self.send({"transfer": "basic", "objects": [self.place(each) for each in wanted]})
        elif "/commit/" in self.path:
            self.keep([json.loads(line) for line in body.splitlines()])
            name = self.path.split("/commit/")[0].removeprefix("/api/models/")
            url = f"{self.server.address}/{name}/commit/{COMMIT}"
            self.send({"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            self.send({}, 200 if "validate-yaml" in self.path else 404)

    def do_PUT(self) -> None:
        content = self.read()
        self.server.large[hashlib.sha256(content).hexdigest()] = content
        self.send({})

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            names = sorted(self.server.files)
            self.send([{"type": "file", "path": name, "size": 1, "oid": "0"} for name in names])
            return
        name = self.path.removeprefix("/api/models/").partition("/revision/")[0]
        siblings = [{"rfilename": path} for path in sorted(self.server.files)]
        private = {"private": self.server.private, "siblings": siblings}
        self.send({"id": name, "sha": COMMIT} | private)

    def mode(self, file: dict[str, str]) -> dict[str, object]:
        is_large = PurePosixPath(file["path"]).suffix in LARGE
        mode = "lfs" if is_large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}

    def place(self, wanted: dict[str, object]) -> dict[str, object]:
        href = f"{self.server.address}/large/{wanted['oid']}"
        return wanted | {"actions": {"upload": {"href": href}}}

    def keep(self, lines: list[dict[str, dict[str, str]]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "deletedFile":  # type: ignore[comparison-overlap]
                del self.server.files[value["path"]]
            elif line["key"] == "file":  # type: ignore[comparison-overlap]
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":  # type: ignore[comparison-overlap]
                self.server.files[value["path"]] = self.server.large[value["oid"]]

    def read(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def send(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def taking_uploads(token: str) -> AbstractContextManager[UploadServer]:
    """Take uploads while the block lasts."""
    return running(UploadServer(token))
