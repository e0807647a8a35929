"""The secret addresses of calendar feeds, and the copies of what stands there."""

import logging
from dataclasses import dataclass
from pathlib import Path

from booking.gateways import feed_copies
from booking.http.context import public_url_for, settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """A feed's address; `webcal` opens the calendar program of the machine instead of the browser."""

    url: str
    webcal: str

    def ending(self, ending: str) -> str:
        """Give the address of another form of the same feed."""
        return f"{self.url.removesuffix('.ics')}.{ending}"


def address(secret: str) -> Address:
    """Give the address of a feed, which nobody can make up without its secret."""
    url = public_url_for("feeds.feed", token=secret)
    return Address(url, f"webcal://{url.split('://', 1)[1]}")


def copies() -> Path:
    """Give the folder in which the last good answers of feeds lie."""
    return settings().instance / "feeds"


def forget(secret_hash: bytes) -> None:
    """Drop the last good answers of an address that was revoked."""
    try:
        feed_copies.remove(copies(), secret_hash)
    except OSError:
        # It is served only while the database, which knows of the revocation, is away.
        _log.warning("the copies of a revoked feed could not be removed", exc_info=True)
