"""Fetches what stands at an address that somebody gave, within limits of time and size, never from our own network.

Each of a few redirects is judged like the first address. What is sent compressed is unpacked no farther than the
limit, and only what has changed since the last time is sent at all, if the server can tell.
"""

import ssl
import threading
import zlib
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from time import monotonic
from urllib.parse import SplitResult, quote, urljoin

from booking.domain import hook_addresses
from booking.domain.hook_addresses import NOTHING, BadAddress, Inside
from booking.gateways import way_out
from booking.gateways.way_out import Connect, Failed, Pinned, Plain, Resolve, port_of

SECONDS = 20.0
"""Within so many all must be done, redirects and the last byte included."""

MOST_BYTES = 1_000_000
"""No more is read, and no more comes of unpacking it."""

MOST_REDIRECTS = 5
_CHUNK = 65_536
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """What stands there, nothing if it has not changed; and by what the server will know it again."""

    data: bytes | None
    etag: str = ""
    modified: str = ""


def fetch(
    url: str,
    *,
    etag: str = "",
    modified: str = "",
    accept: str = "text/calendar, */*;q=0.1",
    also: Inside = NOTHING,
    seconds: float = SECONDS,
    most: int = MOST_BYTES,
    resolve: Resolve | None = None,
    connect: Connect | None = None,
) -> Fetched:
    """Fetch what has changed since it bore this tag, or this time of its last change.

    From the public internet alone, and from what is `also` meant of our own network.

    :raises Failed: if there is nothing to be had
    """
    ends = monotonic() + seconds
    asked = {"Accept": accept, "Accept-Encoding": "gzip, deflate"}
    asked |= {"If-None-Match": etag} if etag else {}
    asked |= {"If-Modified-Since": modified} if modified and not etag else {}
    for _ in range(MOST_REDIRECTS + 1):
        parsed = _parsed(url, also)
        found = _get(parsed, asked, ends, also, most, resolve, connect)
        if isinstance(found, Fetched):
            return found
        url = _next(parsed, found)
    raise Failed("redirects", MOST_REDIRECTS)


def _parsed(url: str, also: Inside) -> SplitResult:
    try:
        return hook_addresses.parsed_calendar(url, also)
    except BadAddress as error:
        raise Failed("not_public" if error.code == "not_public" else "malformed") from None


def _next(parsed: SplitResult, where: str) -> str:
    """Give where a redirect leads; never from an encrypted way to an open one, which the address was not given for."""
    found = urljoin(parsed.geturl(), where)
    if parsed.scheme == "https" and not found.lower().startswith("https:"):
        raise Failed("not_https")
    return found


def _get(
    parsed: SplitResult,
    asked: dict[str, str],
    ends: float,
    also: Inside,
    most: int,
    resolve: Resolve | None,
    connect: Connect | None,
) -> Fetched | str:
    """Ask once; give what was found, or where it is said to be."""
    left = ends - monotonic()
    if left <= 0:
        raise Failed("no_answer", "late")
    sort = Plain if parsed.scheme == "http" else Pinned
    path = quote(parsed.path or "/", safe="/%:@!$&'()*+,;=~-._")
    try:
        made = way_out.opened(parsed, also, left, resolve, connect)
        connection = sort(parsed.hostname or "", port_of(parsed), made, left)
        # A server that sends a byte now and then would keep us for ever: no single wait is too long.
        watch = threading.Timer(max(0.0, ends - monotonic()), connection.cut)
        watch.daemon = True
        watch.start()
        try:
            connection.begin()
            target = f"{path}?{parsed.query}" if parsed.query else path
            connection.request("GET", target, headers={"User-Agent": "Yiqi", "Connection": "close", **asked})
            with connection.getresponse() as answer:
                found = _answered(answer, most)
            if connection.late:  # what was cut short can look like an answer
                raise Failed("no_answer", "late")
        finally:
            watch.cancel()
            connection.close()
    except ssl.SSLError as error:
        raise Failed("no_encryption", error.reason or type(error).__name__) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Failed("no_answer", type(error).__name__) from None
    return found


def _answered(answer: HTTPResponse, most: int) -> Fetched | str:
    if answer.status == 304:
        return Fetched(None)
    if answer.status in _MOVED:
        return _header(answer, "Location", 2000) or _fail(answer.status)
    if answer.status != 200:
        return _fail(answer.status)
    return Fetched(_body(answer, most), _header(answer, "ETag", 300), _header(answer, "Last-Modified", 100))


def _fail(status: int) -> str:
    raise Failed("status", status)


def _header(answer: HTTPResponse, name: str, longest: int) -> str:
    """Give a header, nothing if we could not send it back as it is."""
    found = answer.getheader(name, "").strip()
    return found if len(found) <= longest and found.isascii() and found.isprintable() else ""


def _body(answer: HTTPResponse, most: int) -> bytes:
    """Read all of it, unpacked, or nothing."""
    sort = answer.getheader("Content-Encoding", "identity").strip().lower()
    if sort not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise Failed("encoding")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if sort not in {"", "identity"} else None
    taken = 0
    found = bytearray()
    while chunk := answer.read1(_CHUNK):
        taken += len(chunk)
        try:
            found += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(found))
        except zlib.error:
            raise Failed("encoding") from None
        if taken > most or len(found) > most:
            raise Failed("too_large", most)
    promised = answer.getheader("Content-Length", "")
    if (unpack is not None and not unpack.eof) or (promised.isdecimal() and taken < int(promised)):
        raise Failed("no_answer", "cut_short")
    return bytes(found)
