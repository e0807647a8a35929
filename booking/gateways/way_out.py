"""The way out: connections to addresses that somebody gave, which must not lead into our own network.

A name is resolved once, every address that it stands for must be public or one that the server's operator named,
and the connection goes to the very one that was judged.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult

from booking.domain.hook_addresses import Inside, may_reach

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


class Failed(Exception):
    """The address did not do what was asked; `code` and `figure` say why, and name neither it nor its secret."""

    def __init__(self, code: str, figure: object = "") -> None:
        """Keep why."""
        super().__init__(f"{code} {figure}".strip())
        self.code, self.figure = code, figure


class Plain(HTTPConnection):
    """Speaks without encryption over a socket that leads to an address of our choice."""

    def __init__(self, host: str, port: int, made: socket.socket, timeout: float) -> None:
        """Take the socket over."""
        super().__init__(host, port, timeout=timeout)
        self.sock = self.way = made
        self.late = False

    def begin(self) -> None:
        """Greet the server, which needs nothing here."""

    def cut(self) -> None:
        """End it from outside."""
        self.late = True
        _shut(self.way)


class Pinned(HTTPSConnection):
    """Speaks with the name's certificate over a socket that leads to an address of our choice."""

    def __init__(self, host: str, port: int, made: socket.socket, timeout: float) -> None:
        """Take the socket over."""
        self.tls = ssl.create_default_context()
        super().__init__(host, port, timeout=timeout, context=self.tls)
        self.sock = self.way = made
        self.late = False

    def begin(self) -> None:
        """Greet the server and make sure that it is the one that was named."""
        # The handshake comes afterwards, so that whoever cuts the connection short knows the socket by then.
        made = self.tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = self.way = made
        made.do_handshake()

    def cut(self) -> None:
        """End it from outside."""
        self.late = True
        _shut(self.way)


def _shut(way: socket.socket) -> None:
    # Not the connection's own: it forgets its socket once the answer has begun, which is still being read.
    with suppress(OSError):
        way.shutdown(socket.SHUT_RDWR)


def opened(
    parsed: SplitResult,
    also: Inside,
    timeout: float,
    resolve: Resolve | None = None,
    connect: Connect | None = None,
) -> socket.socket:
    """Connect to one address of the name, if every one of them may be reached.

    :raises Failed: if one may not, or the name stands for none
    """
    host, port = parsed.hostname or "", port_of(parsed)
    found = (resolve or _resolve)(host, port)
    if not found:
        raise Failed("unknown_name")
    if not all(may_reach(host, address, also) for address in found):
        raise Failed("not_public")
    return (connect or _connect)(found[0], port, timeout)


def port_of(parsed: SplitResult) -> int:
    """Give the port of an address."""
    return parsed.port or (80 if parsed.scheme == "http" else 443)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError:
        return ()
    return [str(address[0]) for *_, address in found]


def _connect(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)
