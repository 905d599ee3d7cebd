"""A server on 127.0.0.1 that does all that a server should not."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = bytes(range(256)) * 2000
SUM = hashlib.sha256(DATA).hexdigest()
PAGE = b"<!DOCTYPE html><p>Please log in"
BOMB = gzip.compress(bytes(50_000_000))


class Hostile(BaseHTTPRequestHandler):
    """Answers by path; `asked` keeps the path and Range of each request."""

    asked: list[tuple[str, str | None]]
    protocol_version = "HTTP/1.1"
    server: "HostileServer"

    def do_GET(self) -> None:
        self.close_connection = True
        type(self).asked.append((self.path, self.headers["Range"]))
        try:
            getattr(self, "answer_" + self.path.strip("/").split("/")[0].split("?")[0])()
        except OSError:
            return  # the other side has had enough

    def send(self, data: bytes, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": len(data)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def forever(self, data: bytes, seconds: float = 0.0) -> None:
        while not self.server.stopping.wait(seconds):
            self.wfile.write(data)

    def redirect(self, location: str) -> None:
        self.send(b"", 302, Location=location)

    def answer_good(self) -> None:
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        if start >= len(DATA):
            self.send(b"", 416)
        elif start:
            self.send(DATA[start:], 206, Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        else:
            self.send(DATA)

    def answer_whole(self) -> None:
        self.send(DATA)

    def answer_unsized(self) -> None:
        self.send(DATA, Content_Length=None)

    def answer_moved(self) -> None:
        self.redirect("/good")

    # Bodies that are too short, too long, or another file.

    def answer_cut(self) -> None:
        self.send(DATA[:100_000], Content_Length=len(DATA))

    def answer_long(self) -> None:
        self.send(DATA + b"more")

    def answer_short(self) -> None:
        self.send(DATA[:-1])

    def answer_page(self) -> None:
        self.send(PAGE, Content_Type="text/html")

    def answer_bomb(self) -> None:
        self.send(BOMB, Content_Encoding="gzip")

    def answer_hidden(self) -> None:
        self.send(BOMB)

    def answer_huge(self) -> None:
        self.send(b"", Content_Length=10**15)

    def answer_digits(self) -> None:
        self.send(b"", Content_Length="9" * 5000)

    def answer_endless(self) -> None:
        self.send(b"", Content_Length=None)
        self.forever(b"x" * 10_000)

    def answer_chunks(self) -> None:
        self.send(b"", Content_Length=None, Transfer_Encoding="chunked")
        self.forever(b"2710\r\n" + b"x" * 10_000 + b"\r\n")

    # Answers without a file.

    def answer_gone(self) -> None:
        self.send(b"", 404)

    def answer_empty(self) -> None:
        self.send(b"", 204)

    def answer_never(self) -> None:
        self.send(b"", 416)

    # Ranges.

    def answer_part(self) -> None:
        """Another part than was asked for: all but the first byte."""
        if self.headers["Range"]:
            self.send(DATA[1:], 206, Content_Range=f"bytes 1-{len(DATA) - 1}/{len(DATA)}")
        else:
            self.send(DATA)

    def answer_lie(self) -> None:
        """The start of the file under the range that was asked for."""
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        status = 206 if start else 200
        self.send(DATA, status, Content_Range=f"bytes {start}-{start + len(DATA)}/*")

    def answer_unasked(self) -> None:
        self.send(DATA, 206, Content_Range=f"bytes 0-{len(DATA) - 1}/{len(DATA)}")

    # Redirects.

    def answer_loop(self) -> None:
        self.redirect(self.path + "/x")

    def answer_elsewhere(self) -> None:
        port = self.server.server_port
        self.redirect(f"http://name:word@localhost:{port}/good?token=hidden")

    def answer_file(self) -> None:
        self.redirect("file:///etc/passwd")

    def answer_ftp(self) -> None:
        self.redirect("ftp://127.0.0.1/x")

    def answer_data(self) -> None:
        self.redirect("data:text/plain,abc")

    def answer_garbled(self) -> None:
        self.redirect("http://[half")

    def answer_body(self) -> None:
        """A redirect with a body that never ends."""
        self.send(b"", 302, Content_Length=None, Location="/good")
        self.forever(b"x" * 10_000)

    # Slowness.

    def answer_silent(self) -> None:
        self.server.stopping.wait(10)

    def answer_slow(self) -> None:
        self.send(b"", Content_Length=1000)
        self.server.stopping.wait(10)

    def answer_stall(self) -> None:
        """The first half of the file, and then nothing."""
        self.send(DATA[: len(DATA) // 2], Content_Length=len(DATA))
        self.server.stopping.wait(10)

    def answer_drip(self) -> None:
        self.send(b"", Content_Length=10**6)
        self.forever(b"x", 0.01)

    def answer_headers(self) -> None:
        """A header that never ends, a byte at a time."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.forever(b"x", 0.01)

    def answer_trailers(self) -> None:
        """A whole body in one chunk, and behind it trailers without end."""
        self.send(b"", Content_Length=None, Transfer_Encoding="chunked")
        self.wfile.write(b"%x\r\n%b\r\n0\r\n" % (len(DATA), DATA))
        self.forever(b"X-More: yes\r\n", 0.01)

    def log_message(self, format: str, *args: object) -> None:
        pass


class HostileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hostile)
        self.stopping = threading.Event()


@contextmanager
def running() -> Iterator[str]:
    """Serve while the block lasts; gives the address."""
    Hostile.asked = []
    with HostileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()
