"""Addresses of our own style sheets, modules and pictures; each names its content, so caches may keep it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, abort, current_app, request, url_for

from booking.http.guard import open_to_all

YEAR = 365 * 24 * 3600
_NAMES = re.compile(r"[a-z][a-z-]{0,30}(\+[a-z][a-z-]{0,30}){0,11}", re.ASCII)


def init(app: Flask) -> None:
    """Give templates `static_url`, `styles_url`, `scripts_url`, and let what they name stay in caches for good."""
    app.jinja_env.globals.update(static_url=static_url, styles_url=styles_url, scripts_url=scripts_url)
    app.add_url_rule("/styles/<names>.css", "styles", open_to_all(styles))
    app.add_url_rule("/scripts/<names>.js", "scripts", open_to_all(scripts))
    app.after_request(_keep)


def static_url(path: str) -> str:
    """Give the address of a file under `static/`, with the fingerprint of its content.

    :raises FileNotFoundError: if there is no such file
    """
    return url_for("static", filename=path, v=_fingerprint([_folder() / path]))


def styles_url(*names: str) -> str:
    """Give the address of several style sheets of `static/css/` as one, in this order.

    :raises FileNotFoundError: if there is none of a name
    """
    return url_for("styles", names="+".join(names), v=_fingerprint(_sheets(names)))


def scripts_url(*names: str) -> str:
    """Give the address of several modules of `static/js/` as one; such as import and export nothing.

    :raises FileNotFoundError: if there is none of a name
    """
    return url_for("scripts", names="+".join(names), v=_fingerprint(_modules(names)))


def styles(names: str) -> Response:
    """Send style sheets as one, so that a page asks once and the sheets stay small."""
    return _joined(names, _sheets, "{}", "text/css")


def scripts(names: str) -> Response:
    """Send modules as one, each in a block of its own, so that none knows another's names."""
    return _joined(names, _modules, "{{\n{}}}", "text/javascript")


def _joined(names: str, files: Callable[[Sequence[str]], list[Path]], one: str, mimetype: str) -> Response:
    if not _NAMES.fullmatch(names):
        abort(404)
    try:
        text = "\n".join(one.format(file.read_text()) for file in files(names.split("+")))
    except FileNotFoundError:
        abort(404)
    response = Response(text, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _folder() -> Path:
    return Path(current_app.static_folder or "")


def _sheets(names: Sequence[str]) -> list[Path]:
    return [_folder() / "css" / f"{name}.css" for name in names]


def _modules(names: Sequence[str]) -> list[Path]:
    return [_folder() / "js" / f"{name}.js" for name in names]


def _fingerprint(paths: Sequence[Path]) -> str:
    """Give a short word that changes with the content of the files."""
    return _digest(tuple((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=512)
def _digest(paths: tuple[tuple[Path, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _changed in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _keep(response: Response) -> Response:
    if request.args.get("v") and response.status_code in {200, 304}:
        # Only if it names what is sent: while versions change, an old worker is asked for the new.
        if request.endpoint == "static":
            sent = [_folder() / request.view_args["filename"]]  # type: ignore[index]
        elif request.endpoint == "styles":
            sent = _sheets(request.view_args["names"].split("+"))  # type: ignore[index]
        elif request.endpoint == "scripts":
            sent = _modules(request.view_args["names"].split("+"))  # type: ignore[index]
        else:
            return response
        if request.args["v"] == _fingerprint(sent):
            response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response
