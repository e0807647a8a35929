"""A mailbox that is read by IMAP: what is new in it, each message by its number, and noting that it was read."""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from booking.gateways.mail import BadAddress, Unreachable

TIMEOUT = 15.0
"""Seconds that the server may be silent."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"imap": 143, "imaps": 993}
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


class Mailbox(Protocol):
    """What is in the folder."""

    def unread(self, limit: int) -> list[bytes]:
        """Give the numbers of what nobody has read, the oldest first."""

    def size(self, number: bytes) -> int:
        """Give how many octets a message has."""

    def read(self, number: bytes) -> bytes:
        """Give a message; it still counts as unread."""

    def done(self, number: bytes) -> None:
        """Mark a message as read."""


@contextmanager
def mailbox(url: str) -> Iterator[Mailbox]:
    """Open the folder that the address names, INBOX where it names none.

    :raises BadAddress: if the address makes no sense, or the password would travel in the open
    :raises Unreachable: if the server cannot be reached, does not let us in, or breaks off
    """
    parsed = _parsed(url)
    try:
        server = _connect(parsed)
    except (imaplib.IMAP4.error, OSError) as error:
        raise Unreachable(f"{parsed.hostname}: {error}") from error
    try:
        yield _open(server, parsed)
    except (imaplib.IMAP4.error, OSError) as error:
        raise Unreachable(f"{parsed.hostname}: {error}") from error
    finally:
        with suppress(imaplib.IMAP4.error, OSError):
            server.logout()


class _Folder:
    def __init__(self, server: imaplib.IMAP4) -> None:
        self._server = server

    def unread(self, limit: int) -> list[bytes]:
        found = self._asked("SEARCH", "UNSEEN", "UNDELETED")
        numbers = (found[0] or b"").split() if found else []
        return sorted(numbers, key=int)[:limit]

    def size(self, number: bytes) -> int:
        match = _SIZE.search(b" ".join(_octets(self._asked("FETCH", number.decode(), "(RFC822.SIZE)"))))
        return int(match[1]) if match else 0

    def read(self, number: bytes) -> bytes:
        found = self._asked("FETCH", number.decode(), "(BODY.PEEK[])")
        return next((part[1] for part in found if isinstance(part, tuple)), b"")

    def done(self, number: bytes) -> None:
        self._asked("STORE", number.decode(), "+FLAGS.SILENT", r"(\Seen)")

    def _asked(self, *words: str) -> list:  # type: ignore[type-arg] - the library says no more
        said, found = self._server.uid(*words)
        if said != "OK":
            raise Unreachable(f"{words[0]}: {said}")
        return found


def _octets(found: list) -> Iterator[bytes]:  # type: ignore[type-arg]
    for part in found:
        yield from part if isinstance(part, tuple) else [part or b""]


def _parsed(url: str) -> SplitResult:
    parsed = urlsplit(url)
    try:
        _ = parsed.port
    except ValueError as error:
        raise BadAddress(f"the mailbox's port is none: {error}") from None
    if parsed.scheme not in _PORTS or not parsed.hostname or not parsed.username:
        raise BadAddress("the mailbox's address is none: imaps://user:password@host:port/folder")
    return parsed


def _connect(parsed: SplitResult) -> imaplib.IMAP4:
    host, port = parsed.hostname or "", parsed.port or _PORTS[parsed.scheme]
    if parsed.scheme == "imaps":
        return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT)
    server = imaplib.IMAP4(host, port, timeout=TIMEOUT)
    # What stays on this machine needs no cipher, and has no certificate for its name.
    if host not in _LOOPBACK:
        if "STARTTLS" not in server.capabilities:
            server.logout()
            raise BadAddress("the mailbox offers no encryption, and the password will not travel without it")
        server.starttls(ssl_context=ssl.create_default_context())
    return server


def _open(server: imaplib.IMAP4, parsed: SplitResult) -> _Folder:
    server.login(unquote(parsed.username or ""), unquote(parsed.password or ""))
    folder = unquote(parsed.path.strip("/")) or "INBOX"
    said, found = server.select(f'"{folder}"')
    if said != "OK":
        raise Unreachable(f"no folder {folder}: {found}")
    return _Folder(server)
