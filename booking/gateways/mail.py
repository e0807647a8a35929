"""Mail: a message built safely, and the way out: a mail server, or files where there is none."""

import email.policy
import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from booking.gateways.files import write_whole

TIMEOUT = 15.0
"""Seconds that a mail server may be silent."""

Send = Callable[[EmailMessage], None]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"smtp": 25, "smtps": 465}
_log = logging.getLogger(__name__)


class BadAddress(Exception):
    """The address of the mail server, or our own, cannot be used; the message says what is wrong with it."""


class Unreachable(Exception):
    """The mail server takes nothing at the moment, whatever the message."""


class Refused(Exception):
    """The mail server does not take this very message; `lasting` if it never will."""

    def __init__(self, why: str, *, lasting: bool) -> None:
        """Keep what the server said."""
        super().__init__(why)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be said to one person."""

    id: str
    to_name: str
    to_address: str
    subject: str
    text: str
    html: str
    language: str = ""
    calendar: bytes = b""
    """A calendar that goes with it, as a part that mail programs act on and as a file."""
    method: str = ""
    reply_to: str = ""
    sender: str = ""
    """From whom it is, if not from whom all mail is."""


def message(letter: Letter, *, sender: str, host: str, at: datetime) -> EmailMessage:
    """Build the message; its Message-ID is made of the letter's id, so that a second sending can be told.

    No text of a letter can add a header or a receiver: names and subject lose their line ends and control
    characters, and the address is parsed, not pasted.

    :raises Refused: if there can be no mail to this address
    """
    built = EmailMessage(policy=email.policy.SMTP)
    built["Message-ID"] = f"<{letter.id}@{host}>"
    built["Date"] = format_datetime(at.astimezone(UTC))
    built["From"] = _of_letter(letter.sender) if letter.sender else _sender(sender)
    if letter.reply_to:
        built["Reply-To"] = _of_letter(letter.reply_to)
    try:
        built["To"] = Address(_line(letter.to_name)[:100], addr_spec=letter.to_address)
    except (ValueError, IndexError, MessageError) as error:
        raise Refused(f"no mail address: {error}", lasting=True) from error
    built["Subject"] = _line(letter.subject)
    if letter.language:
        built["Content-Language"] = letter.language
    # Nobody's holiday notice shall answer us (RFC 3834).
    built["Auto-Submitted"] = "auto-generated"
    built["X-Auto-Response-Suppress"] = "All"
    if not letter.calendar:
        built.set_content(letter.text)
        built.add_alternative(letter.html, subtype="html")
        return built
    built.set_content(letter.text, cte="base64")
    built.add_alternative(letter.html, subtype="html", cte="base64")
    # RFC 6047 2.4: the method of the part is that of the calendar, or Outlook takes neither.
    kind = {"method": letter.method, "charset": "UTF-8"}
    built.add_alternative(letter.calendar, "text", "calendar", params=kind, cte="base64")
    built.add_attachment(letter.calendar, "application", "ics", filename="invite.ics", cte="base64")
    return built


@contextmanager
def outbox(smtp_url: str, *, folder: Path, host: str) -> Iterator[Send]:
    """Open the way out for any number of messages: the mail server, or `.eml` files where there is none.

    :raises BadAddress: if the server's address makes no sense
    :raises Unreachable: if the server cannot be reached, or breaks off
    """
    if not smtp_url:
        yield lambda built: _file(built, folder)
        return
    server = _connect(_parsed(smtp_url), host)
    try:
        yield lambda built: _send(server, built)
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()


def check(smtp_url: str, *, sender: str, host: str) -> None:
    """Try the mail server without sending anything.

    :raises BadAddress: if the server's address or the sender's makes no sense
    :raises Unreachable: if the server does not take us in
    """
    _sender(sender)
    if smtp_url:
        with outbox(smtp_url, folder=Path(), host=host):
            pass


def _line(text: str) -> str:
    """Make one line of a text, without anything that a mail reader would obey instead of show.

    An encoded word (RFC 2047) is broken: Python's headers decode it, line ends and all.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line.replace("=?", "= ?")


def _sender(sender: str) -> Address:
    name, address = parseaddr(sender)
    try:
        return Address(_line(name), addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise BadAddress(f"the sender's address, {sender!r}, is none: {error}") from error


def _of_letter(address: str) -> Address:
    """Give an address that one letter names; where it is none, that is the fault of this letter alone."""
    try:
        return _sender(address)
    except BadAddress as error:
        raise Refused(str(error), lasting=True) from error


def _parsed(smtp_url: str) -> SplitResult:
    parsed = urlsplit(smtp_url)
    try:
        _ = parsed.port
    except ValueError as error:
        raise BadAddress(f"the mail server's port is none: {error}") from None
    if parsed.scheme not in _PORTS or not parsed.hostname:
        raise BadAddress("the mail server's address is smtp://user:password@host:port or smtps://…")
    return parsed


def _connect(url: SplitResult, local_name: str) -> smtplib.SMTP:
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    try:
        if url.scheme == "smtps":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, local_name, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, port, local_name, timeout=TIMEOUT)
    except (smtplib.SMTPException, OSError) as error:
        raise Unreachable(f"{host}:{port}: {error}") from error
    try:
        _greet(server, url)
    except BadAddress:
        server.close()
        raise
    except (smtplib.SMTPException, OSError) as error:
        server.close()
        raise Unreachable(f"{host}:{port}: {error}") from error
    return server


def _greet(server: smtplib.SMTP, url: SplitResult) -> None:
    server.ehlo()
    # What stays on this machine needs no cipher, and has no certificate for its name.
    if url.scheme == "smtp" and url.hostname not in _LOOPBACK:
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        elif url.password:
            raise BadAddress(
                "the mail server offers no encryption, and the password will not travel without it"
            )
    if url.username:
        server.login(unquote(url.username), unquote(url.password or ""))


def _send(server: smtplib.SMTP, built: EmailMessage) -> None:
    try:
        server.send_message(built)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(*next(iter(error.recipients.values()))) from error
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Refused(str(error), lasting=True) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unreachable(str(error)) from error


def _refusal(code: int, why: bytes | str) -> Exception:
    said = f"{code} {why.decode('utf-8', 'replace') if isinstance(why, bytes) else why}"
    # By 421 the server says that it closes the connection, whatever the message.
    return Unreachable(said) if code == 421 else Refused(said, lasting=code >= 500)


def _file(built: EmailMessage, folder: Path) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    path = folder / f"{stamp}-{built['Message-ID'].strip('<>').partition('@')[0]}.eml"
    write_whole(path, built.as_bytes())
    # The text is not logged: it may hold a link that signs somebody in.
    fields = {"to": str(built["To"]), "subject": str(built["Subject"]), "file": str(path)}
    _log.info("mail written", extra={"fields": fields})
