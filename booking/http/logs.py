"""Structured logs: one JSON object a line, with the request's id and without its secrets."""

import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from typing import TextIO

from flask import Flask, Response, g, request

from booking.gateways.logs import JsonLines

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_SECRETS = frozenset({"secret", "token"})
"""Parts of addresses, by their names in routes, that open something to whoever knows them."""

_requests = logging.getLogger("booking.http.request")
_security = logging.getLogger("booking.security")


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever standard error is at the time: servers and tests put another in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def request_id() -> str:
    """Give the id of the request at hand, empty outside of one."""
    return _request_id.get()


def security(event: str, **fields: object) -> None:
    """Note what those who watch over the server want to see: sign-ins, refusals, administrators' acts."""
    _security.info(event, extra={"fields": fields})


def init(app: Flask, level: str) -> None:
    """Write the application's logs as JSON lines, and one line for each request."""
    logger = logging.getLogger("booking")
    logger.setLevel(level.upper())
    ours = [
        handler
        for handler in (*logger.handlers, *logging.getLogger().handlers)
        if isinstance(handler.formatter, JsonLines)
    ]
    if not ours:
        ours = [_Stderr()]
        ours[0].setFormatter(JsonLines())
        logger.addHandler(ours[0])
    for handler in ours:
        handler.addFilter(_with_request_id)  # the same function twice counts once
    app.before_request(_begin)
    app.after_request(_end)


def _with_request_id(record: logging.LogRecord) -> bool:
    if request_id():
        record.fields = {**getattr(record, "fields", {}), "request_id": request_id()}
    return True


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    _request_id.set(given if _WELL_FORMED.match(given) else secrets.token_hex(16))
    g.started = time.perf_counter()


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    if _requests.isEnabledFor(logging.INFO):
        identity = g.get("identity")
        fields = {
            "method": request.method,
            "path": _masked(request.path),
            "endpoint": request.endpoint,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 1) if "started" in g else None,
            "address": request.remote_addr,
            "person": str(identity.actor.person_id) if identity and identity.actor.signed_in else None,
        }
        _requests.info("request", extra={"fields": fields})
    return response


def _masked(path: str) -> str:
    """Leave out of an address what opens it to whoever reads the log."""
    for name, value in (request.view_args or {}).items():
        if name in _SECRETS and value:
            path = path.replace(str(value), "***")
    return path
