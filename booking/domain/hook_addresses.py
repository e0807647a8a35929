"""Addresses to which notices are posted: which may be, so that nobody reaches into our own network through us."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LONGEST = 1000

_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_OLD_IPV4 = ipaddress.IPv6Network("::/96")


class BadAddress(ValueError):
    """An address that is not posted to; `code` says what is wrong with it."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Inside:
    """What of our own network may be posted to all the same: IP networks, and hosts by their very names."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def names(self, host: str) -> bool:
        """Tell whether a host is meant, wherever its name leads."""
        return _plain(host) in self.hosts

    def holds(self, address: str) -> bool:
        """Tell whether an IP address lies in one of the networks; one in a wrapping never does.

        :raises ValueError: if it is no IP address
        """
        found = ipaddress.ip_address(address)
        return any(found in network for network in self.networks)


NOTHING = Inside()


def inside(listed: str) -> Inside:
    """Read a list of networks and host names, separated by commas.

    :raises ValueError: if a part of it is neither
    """
    networks, hosts = [], set()
    for part in filter(None, (part.strip() for part in listed.split(","))):
        name = _plain(part)
        named = _HOST.fullmatch(name) or _LABEL.fullmatch(name)
        if named and not _NUMBER.fullmatch(name.rpartition(".")[2]):
            hosts.add(name)
        else:
            networks.append(ipaddress.ip_network(part))
    return Inside(tuple(networks), frozenset(hosts))


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


HTTPS = frozenset({"https"})


def parsed(url: str, also: Inside = NOTHING, schemes: frozenset[str] = HTTPS) -> SplitResult:
    """Take an address apart, if it is one of the web and could lead to the public internet, or to what is `also` meant.

    What its name stands for is asked when something is posted, and judged by `may_reach`.

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
    if found.scheme not in schemes:
        raise BadAddress("not_https")
    if not host or "@" in found.netloc or found.fragment:
        raise BadAddress("malformed")
    if not also.names(host) and not _could_be_public(host, also):
        raise BadAddress("not_public")
    return found


def parsed_calendar(url: str, also: Inside = NOTHING) -> SplitResult:
    """Take the address of a calendar apart, which may go without encryption; `webcal` is only its other name.

    :raises BadAddress: if it could not lead to the public internet, or to what is `also` meant
    """
    for name, means in (("webcal://", "https://"), ("webcals://", "https://")):
        if url.lower().startswith(name):
            url = means + url[len(name) :]
    return parsed(url, also, frozenset({"http", "https"}))


def may_reach(host: str, address: str, also: Inside = NOTHING) -> bool:
    """Tell whether what a host's name stands for may be connected to.

    :raises ValueError: if it is no IP address
    """
    return also.names(host) or also.holds(address) or is_public(address)


def _could_be_public(host: str, also: Inside) -> bool:
    try:
        return also.holds(host) or is_public(host)
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
