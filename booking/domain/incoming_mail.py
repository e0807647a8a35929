"""Mail that comes in: who says that they sent it, to whom, and the calendars in it. Nothing of it is trusted."""

import email
import email.policy
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses

MOST_OCTETS = 2_000_000
MOST_PARTS = 60
MOST_NESTED = 20
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\]{1,64}@[^\s@<>\"(),:;\\]{1,190}", re.ASCII)


class BadMail(Exception):
    """A message that is not looked into; `code` says why."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is read of a message. `key` is the same for the same message, `sender` empty where it names not just one."""

    key: bytes
    sender: str
    recipients: tuple[str, ...]
    calendars: tuple[bytes, ...]
    checked: str = ""
    """The topmost Authentication-Results field."""


@dataclass(frozen=True, slots=True)
class Doors:
    """How mail reaches us: the mailbox of answers, the domain of instruments, and whose word on senders counts."""

    mailbox: str
    domain: str
    trusted: str
    host: str
    keys: Sequence[str]


def parse(raw: bytes, *, recipient: str = "") -> Incoming:
    """Read a message; `recipient` is to whom the mail server says that it came, whatever its own fields say.

    :raises BadMail: if it is too large, or put together to be hard to read
    """
    if len(raw) > MOST_OCTETS:
        raise BadMail("too_large")
    # Looked at before it is parsed: the parser goes down as deep as it is led.
    low = raw.lower()
    if low.count(b"multipart/") > MOST_NESTED or low.count(b"message/") > MOST_NESTED:
        raise BadMail("nested")
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        calendars = tuple(_calendars(message))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BadMail("malformed") from None
    senders = _addresses(message, ("From",))
    named = _addresses(message, ("Delivered-To", "X-Original-To", "To", "Cc"))
    wanted = [recipient.strip().lower()] if recipient else list(named)
    checked = message.get_all("Authentication-Results") or [""]
    return Incoming(
        key=_key(message, raw, recipient),
        sender=senders[0] if len(senders) == 1 and len(message.get_all("From") or ()) == 1 else "",
        recipients=tuple(dict.fromkeys(wanted)),
        calendars=calendars,
        checked=" ".join(str(checked[0]).split())[:2000],
    )


def is_plain(address: str) -> bool:
    """Tell whether an address is one without quotes, comments or anything else that needs care."""
    return _ADDRESS.fullmatch(address) is not None


def _key(message: Message, raw: bytes, recipient: str) -> bytes:
    said = str(message.get("Message-ID") or "").strip()
    body = said.encode("utf-8", "replace") if said else raw
    return hashlib.sha256(body + b"\n" + recipient.strip().lower().encode("utf-8", "replace")).digest()


def _addresses(message: Message, names: Iterable[str]) -> list[str]:
    fields = [str(value)[:20_000] for name in names for value in message.get_all(name) or ()]
    found = (address.strip().lower() for _, address in getaddresses(fields))
    return [address for address in found if is_plain(address)][:200]


def _calendars(message: Message) -> Iterator[bytes]:
    """Give the calendars of a message; the same one, as a part and as a file, comes once."""
    seen: set[bytes] = set()
    for number, part in enumerate(message.walk()):
        if number > MOST_PARTS:
            raise BadMail("nested")
        if part.get_content_type() not in {"text/calendar", "application/ics"}:
            continue
        body = part.get_payload(decode=True)
        if not isinstance(body, bytes) or not body.strip():
            continue
        data = _in_utf8(body, part.get_content_charset() or "")
        if data not in seen:
            seen.add(data)
            yield data


def _in_utf8(body: bytes, charset: str) -> bytes:
    if charset in {"", "utf-8", "us-ascii", "utf8"}:
        return body
    try:
        return body.decode(charset, "replace").encode("utf-8", "replace")
    except (LookupError, ValueError, TypeError):
        return body


# --- who it really is from ----------------------------------------------------------------------------------

_RESULT = re.compile(r"(dkim|spf|dmarc)\s*=\s*pass\b([^;]*)", re.IGNORECASE)
_OF_DOMAIN = {
    "dkim": re.compile(r"header\.[di]\s*=\s*\"?@?(?:[^\s@;\"]*@)?([^\s;\"]+)", re.IGNORECASE),
    "spf": re.compile(r"smtp\.mailfrom\s*=\s*\"?(?:[^\s@;\"]*@)?([^\s;\"]+)", re.IGNORECASE),
    "dmarc": re.compile(r"header\.from\s*=\s*\"?(?:[^\s@;\"]*@)?([^\s;\"]+)", re.IGNORECASE),
}
_COMMENT = re.compile(r"\([^()]*\)")


def is_vouched_for(mail: Incoming, trusted: str) -> bool:
    """Tell whether the trusted mail server found that the message comes from the domain that its sender names.

    Only the topmost Authentication-Results field counts (RFC 8601), and only of this server.
    """
    by, _, results = _COMMENT.sub(" ", mail.checked).partition(";")
    name = by.split()[0].lower() if by.split() else ""
    if not trusted or name != trusted.lower():
        return False
    domain = mail.sender.rpartition("@")[2]
    found: Sequence[tuple[str, str]] = _RESULT.findall(results)
    return bool(domain) and any(
        named.lower().rstrip(".") == domain
        for method, said in found
        for named in _OF_DOMAIN[method.lower()].findall(said)
    )
