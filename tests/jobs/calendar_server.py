"""A server of calendars on a free port of this machine, which answers byte by byte what a test wants."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

PUBLIC = "93.184.215.14"
"""An address of the public internet that a test's resolver gives; the connection leads here all the same."""

Answer = Callable[[str, dict[str, str]], Iterable[bytes]]


class CalendarServer:
    """What was asked, in order, and by which addresses; `answer` gives the octets of an answer in pieces."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.connected: list[tuple[str, int]] = []
        self.port = 0
        self.answer: Answer = lambda _path, _headers: [ok(b"")]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """Lead a connection here, wherever it was meant to go."""
        self.connected.append((address, port))
        return socket.create_connection(("127.0.0.1", self.port), timeout)


def ok(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Give a whole answer."""
    said = len(body) if length is None else length
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {said}", *headers, "", "")).encode() + body


@contextmanager
def calendar_server() -> Iterator[CalendarServer]:
    """Run the server while the context lasts."""
    found = CalendarServer()
    ended = threading.Event()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.05)
        found.port = listening.getsockname()[1]

        def serve() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    made, _ = listening.accept()
                    with made, suppress(OSError):
                        made.settimeout(5)
                        _answer(made, found, ended)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()


def _answer(made: socket.socket, found: CalendarServer, ended: threading.Event) -> None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += made.recv(4096) or b"\r\n\r\n"
    first, *lines = raw.decode("latin-1").split("\r\n")
    path = first.split(" ")[1]
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines) if value}
    found.asked.append((path, headers))
    for piece in found.answer(path, headers):
        if ended.is_set():
            return
        made.sendall(piece)
