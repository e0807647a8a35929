"""What every part of the HTTP floor asks about the request at hand."""

from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request, url_for

from booking.config import Settings


def settings() -> Settings:
    """Give the server's settings."""
    found = current_app.extensions["yiqi"]
    assert isinstance(found, Settings)  # noqa: S101 - tells the type checker, guards nothing
    return found


def for_programs() -> bool:
    """Tell whether the answer goes to a program, which reads JSON, and not to a person, who reads a page."""
    if request.path.startswith("/api/"):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json", "application/problem+json"])
    return best in {"application/json", "application/problem+json"}


def public_url_for(endpoint: str, **values: Any) -> str:
    """Give the full address of a page under the configured public URL, whatever host the request named."""
    return settings().public_url.rstrip("/") + url_for(endpoint, **values)


def local_path(target: str | None, default: str = "/") -> str:
    """Give the target if it is a plain path of this server, else the default: no redirect leads elsewhere.

    Browsers take `//host`, that with a backslash, and a path with tabs or line ends inside as another host.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return default
    if "\\" in target or any(ord(character) <= 32 or ord(character) == 127 for character in target):
        return default
    try:
        parts = urlsplit(target)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else target
