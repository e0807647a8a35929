"""A real web server on a free port of this machine that keeps what is posted to it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PUBLIC = "93.184.215.14"
"""An address of the public internet that a test's resolver gives; the connection leads here all the same."""


class WebSink:
    """What was posted, in the order in which it came. `answer` gives status, headers and body of the answer."""

    def __init__(self) -> None:
        self.posts: list[Any] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.port = 0
        self.answer: Callable[[Any], tuple[int, dict[str, str], bytes]] = lambda _post: (
            200,
            {},
            b'{"errcode":0}',
        )

    @property
    def queries(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(urlsplit(path).query)) for path in self.paths]

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """Lead a connection here, wherever it was meant to go."""
        self.connected.append((address, port))
        return socket.create_connection(("127.0.0.1", self.port), timeout)


@contextmanager
def web_sink() -> Iterator[WebSink]:
    """Run the server while the context lasts."""
    found = WebSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            found.raw.append(raw)
            found.paths.append(self.path)
            found.headers.append(dict(self.headers))
            found.posts.append(json.loads(raw))
            status, headers, body = found.answer(found.posts[-1])
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # whoever asked was killed
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Keep silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
