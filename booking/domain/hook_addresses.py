"""Addresses to which notices are posted: which may be, so that nobody reaches into our own network through us."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

LONGEST = 1000

_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_OLD_IPV4 = ipaddress.IPv6Network("::/96")


class BadAddress(ValueError):
    """An address that is not posted to; `code` says what is wrong with it."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


def parsed(url: str) -> SplitResult:
    """Take an address apart, if it is one of the web and could lead to the public internet.

    What its name stands for is asked when something is posted, and judged by `is_public`.

    :raises BadAddress: if it could not
    """
    if len(url) > LONGEST:
        raise BadAddress("too_long_text")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadAddress("malformed")
    try:
        found = urlsplit(url)
        host, _ = found.hostname or "", found.port
    except ValueError:
        raise BadAddress("malformed") from None
    if found.scheme != "https":
        raise BadAddress("not_https")
    if not host or "@" in found.netloc or found.fragment:
        raise BadAddress("malformed")
    if not _could_be_public(host):
        raise BadAddress("not_public")
    return found


def _could_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        # Like 127.1 or 0x7f000001: no address by the book, and yet read as one by most resolvers.
        name = host.removesuffix(".")
        return bool(_HOST.fullmatch(name)) and not _NUMBER.fullmatch(name.rpartition(".")[2])


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, whatever it is wrapped in.

    :raises ValueError: if it is no IP address
    """
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None or found in _OLD_IPV4:
            return False
        if found.sixtofour is not None or found.teredo is not None:
            return False
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast and not found.is_reserved
