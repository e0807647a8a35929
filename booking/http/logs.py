"""Structured logs: one JSON object a line, with the request's id and without its secrets."""

import json
import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import Flask, Response, g, request

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_SECRETS = (
    # The secret part of a feed's address, of a one-time link, and API tokens wherever they stand.
    (re.compile(r"(/calendars/)[^\s/?\"'.]+"), r"\1***"),
    (re.compile(r"(/(?:password-resets|confirmations)/[0-9a-fA-F-]{36}/)[^\s/?\"']+"), r"\1***"),
    (re.compile(r"yiqi_[A-Za-z0-9_-]{8,}"), "yiqi_***"),
)
_requests = logging.getLogger("booking.http.request")
_security = logging.getLogger("booking.security")


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON; what callers give as `fields` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, whatever the message holds: line ends and all beyond ASCII are escaped."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        if request_id():
            line["request_id"] = request_id()
        for name, value in getattr(record, "fields", {}).items():
            line[name] = masked(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def masked(text: str) -> str:
    """Blank out the secrets that may stand in a text."""
    for pattern, blank in _SECRETS:
        text = pattern.sub(blank, text)
    return text


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
    if not any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
    app.before_request(_begin)
    app.after_request(_end)


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
            "path": request.path,
            "endpoint": request.endpoint,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 1) if "started" in g else None,
            "address": request.remote_addr,
            "person": str(identity.actor.person_id) if identity and identity.actor.signed_in else None,
        }
        _requests.info("request", extra={"fields": fields})
    return response
