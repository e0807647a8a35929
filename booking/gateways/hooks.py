"""Webhooks: a message posted to an address that somebody gave, which must not lead into our own network.

The name is resolved once, every address that it stands for must be public or one that the server's operator
named, and the connection goes to the very one that was judged. Redirects are not followed, little is read, and
all of it is over in a few seconds.
"""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, quote, urlencode

from booking.domain import hook_addresses
from booking.domain.hook_addresses import NOTHING, BadAddress, Inside
from booking.gateways import way_out
from booking.gateways.way_out import Connect, Failed, Pinned, Resolve

TIMEOUT = 10.0
"""Seconds within which all must be done, from the connection to the last byte of the answer."""

LONGEST_ANSWER = 65_536
LONGEST_CHAT = 1800
"""Bytes of a chat message; the strictest of the robots takes 2,048."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is to be said: a title, some lines, and the page where one sees more; `data` is for programs."""

    id: str
    title: str
    lines: Sequence[str]
    url: str
    data: dict[str, Any] = field(default_factory=dict)


def send(
    kind: str,
    url: str,
    secret: str,
    post: Post,
    *,
    at: datetime,
    also: Inside = NOTHING,
    resolve: Resolve | None = None,
    connect: Connect | None = None,
) -> None:
    """Post a message in the form that a kind of address wants: `generic`, `wecom`, `dingtalk` or `feishu`.

    To the public internet alone, and to what is `also` meant of our own network.

    :raises Failed: if it did not take it
    """
    query, headers, body = _FORMS[kind](secret, post, at)
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    if kind == "generic":
        headers |= _signature(secret, payload, at)
    parsed = _parsed(url, also)
    made = partial(way_out.opened, parsed, also, TIMEOUT, resolve, connect)
    answer = _post(parsed, query, headers, payload, made)
    if kind != "generic":
        _heed(answer)


# --- what each kind wants -------------------------------------------------------------------------

_Form = tuple[dict[str, str], dict[str, str], dict[str, Any]]


def _generic(_secret: str, post: Post, at: datetime) -> _Form:
    body = {"id": post.id, "sent_at": at.isoformat(), "title": post.title, "text": "\n".join(post.lines)}
    # Whoever keeps the ids that it has seen drops what comes twice.
    return (
        {},
        {"Idempotency-Key": f'"{post.id}"', "X-Yiqi-Delivery": post.id},
        {**body, "url": post.url, **post.data},
    )


def _wecom(_secret: str, post: Post, _at: datetime) -> _Form:
    return {}, {}, {"msgtype": "text", "text": {"content": _chat(post)}}


def _dingtalk(secret: str, post: Post, at: datetime) -> _Form:
    stamp = str(int(at.timestamp() * 1000))
    signed = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), "sha256")
    query = {"timestamp": stamp, "sign": base64.b64encode(signed).decode()} if secret else {}
    return query, {}, {"msgtype": "text", "text": {"content": _chat(post)}, "at": {"isAtAll": False}}


def _feishu(secret: str, post: Post, at: datetime) -> _Form:
    stamp = str(int(at.timestamp()))
    # Here the text to be signed is the key, and nothing is what is signed.
    signed = hmac.digest(f"{stamp}\n{secret}".encode(), b"", "sha256")
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": _chat(post)}}
    return {}, {}, body | ({"timestamp": stamp, "sign": base64.b64encode(signed).decode()} if secret else {})


_FORMS: dict[str, Callable[[str, Post, datetime], _Form]] = {
    "generic": _generic,
    "wecom": _wecom,
    "dingtalk": _dingtalk,
    "feishu": _feishu,
}


def _chat(post: Post) -> str:
    """Give the message as plain text in which nobody can be called by name, the address of the page at its end."""
    room = LONGEST_CHAT - len(post.url.encode()) - 1
    # Feishu reads <at …> even in plain text; a full-width sign says the same to people.
    said = "\n".join([post.title, *post.lines]).replace("<", "＜").replace(">", "＞").encode()
    if len(said) > room:
        said = said[: room - 3] + "…".encode()
    return f"{said.decode('utf-8', 'ignore')}\n{post.url}"


def _signature(secret: str, payload: bytes, at: datetime) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + payload, hashlib.sha256).hexdigest()
    return {"X-Yiqi-Timestamp": stamp} | ({"X-Yiqi-Signature": f"sha256={signed}"} if secret else {})


def _heed(answer: bytes) -> None:
    """Read what a robot says of the message: it answers 200 even when it does not take it."""
    try:
        said = json.loads(answer)
    except ValueError:
        raise Failed("no_json") from None
    code = (
        next((said[name] for name in ("errcode", "code", "StatusCode") if name in said), None)
        if isinstance(said, dict)
        else None
    )
    if code != 0:
        raise Failed("robot", code if isinstance(code, int) else "")


# --- the way out ----------------------------------------------------------------------------------


def _parsed(url: str, also: Inside) -> SplitResult:
    try:
        return hook_addresses.parsed(url, also)
    except BadAddress as error:
        raise Failed("not_public" if error.code == "not_public" else "malformed") from None


def _post(
    parsed: SplitResult,
    query: dict[str, str],
    headers: dict[str, str],
    payload: bytes,
    made: Callable[[], socket.socket],
) -> bytes:
    path = quote(parsed.path or "/", safe="/%:@!$&'()*+,;=~-._")
    asked = "&".join(part for part in (parsed.query, urlencode(query)) if part)
    sent = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Yiqi",
        "Connection": "close",
        **headers,
    }
    try:
        connection = Pinned(parsed.hostname or "", parsed.port or 443, made(), TIMEOUT)
        # A server that sends a byte now and then would keep us for ever: no single wait is too long.
        watch = threading.Timer(TIMEOUT, connection.cut)
        watch.daemon = True
        watch.start()
        try:
            connection.begin()
            connection.request("POST", f"{path}?{asked}" if asked else path, body=payload, headers=sent)
            with connection.getresponse() as answer:
                said = answer.read(LONGEST_ANSWER)
            if connection.late:  # what was cut short can look like an answer
                raise Failed("no_answer", "late")
        finally:
            watch.cancel()
            connection.close()
    except ssl.SSLError as error:
        raise Failed("no_encryption", error.reason or type(error).__name__) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Failed("no_answer", type(error).__name__) from None
    # A redirect is a refusal too: whoever gave the address can give the right one.
    if not 200 <= answer.status < 300:
        raise Failed("status", answer.status)
    return said
