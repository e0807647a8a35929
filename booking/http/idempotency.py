"""Requests that may be sent twice: the client's key, and what tells its request from another one."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flask import request

from booking.domain.rules import Invalid

HEADER = "Idempotency-Key"
LONGEST = 200


def key_sent() -> str | None:
    """Give the client's key, None if it sent none.

    :raises Invalid: if it is empty, too long, or not of visible ASCII characters
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not key:
        raise Invalid({HEADER: "required"})
    if len(key) > LONGEST:
        raise Invalid({HEADER: "too_long_text"})
    if not all("!" <= character <= "~" for character in key):
        raise Invalid({HEADER: "malformed"})
    return key


def fingerprint(order: Mapping[str, Any]) -> str:
    """Hash what a request asks, as it was understood and not as it was written."""
    text = json.dumps(order, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
