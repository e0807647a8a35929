"""Logs: one JSON object a line on standard error, without secrets, the same from every process."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

_SECRETS = (
    # The secret part of a feed's address, of a one-time link, and API tokens wherever they stand.
    (re.compile(r"(/calendars/)[^\s/?\"'.]+"), r"\1***"),
    (re.compile(r"(/kiosk/)[^\s/?\"'.]+"), r"\1***"),
    (re.compile(r"(/(?:password-resets|confirmations|decisions)/[0-9a-fA-F-]{36}/)[^\s/?\"']+"), r"\1***"),
    (re.compile(r"yiqi_[A-Za-z0-9_-]{8,}"), "yiqi_***"),
    (re.compile(r"(\w+://[^\s:/@]*:)[^\s@]+@"), r"\1***@"),
    # PostgreSQL quotes the row that it refused.
    (re.compile(r"(DETAIL:  ).*?(?=\n\n|\n\[SQL|\nCONTEXT|\nHINT|\Z)", re.DOTALL), r"\1***"),
)


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON; what callers give as `fields` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, whatever the message holds: line ends and all beyond ASCII are escaped."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
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


def begin(level: str) -> None:
    """Write the logs of this process as JSON lines, from this level on; of libraries only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("booking").setLevel(level.upper())
