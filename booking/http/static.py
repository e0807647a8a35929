"""Addresses of our own style sheets, modules and pictures; each names its content, so browsers may keep it."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

YEAR = 365 * 24 * 3600


def init(app: Flask) -> None:
    """Give templates `static_url`, and let what it names stay in caches for good."""
    app.jinja_env.globals["static_url"] = static_url
    app.after_request(_keep)


def static_url(path: str) -> str:
    """Give the address of a file under `static/`, with the fingerprint of its content."""
    root = Path(current_app.static_folder or "")
    return url_for("static", filename=path, v=fingerprint(root / path))


def fingerprint(path: Path) -> str:
    """Give a short word that changes with the file's content.

    :raises FileNotFoundError: if there is no such file
    """
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=512)
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code in {200, 304} and request.args.get("v"):
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response
