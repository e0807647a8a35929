"""Reads the mailbox of answers, where the settings name one; each message in its own small transaction."""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import Unavailable, transaction
from booking.domain import incoming_mail
from booking.domain.incoming_mail import MOST_OCTETS, BadMail
from booking.gateways import imap
from booking.services import mail_intake

BATCH = 50
TRIES = 2

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Take in what nobody has read yet, the oldest first.

    :raises mail.Unreachable: if the mailbox cannot be read
    :raises mail.BadAddress: if its address makes no sense
    """
    if not settings.imap_url:
        return
    with imap.mailbox(settings.imap_url) as folder:
        for number in folder.unread(BATCH):
            if halted():
                return
            outcome = _take(settings, folder, number)
            # Marked when its work is committed; one that comes again is known by its Message-ID.
            folder.done(number)
            _log.info("mail came in", extra={"fields": {"outcome": outcome}})


def _take(settings: Settings, folder: imap.Mailbox, number: bytes) -> str:
    size = folder.size(number)
    if size > MOST_OCTETS:
        return _refused(b"%s %d" % (number, size), "too_large")
    raw = folder.read(number)
    try:
        mail = incoming_mail.parse(raw)
    except BadMail as bad:
        return _refused(raw, bad.code)
    for _ in range(TRIES):
        try:
            with transaction() as session:
                return mail_intake.receive(session, mail=mail, doors=settings.doors, now=_now())
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one message that we cannot take must not keep the others
            _log.exception("a message could not be taken in")
    return _refused(raw, "failed")


def _refused(raw: bytes, outcome: str) -> str:
    with transaction() as session:
        mail_intake.refused(session, key=hashlib.sha256(raw).digest(), outcome=outcome, now=_now())
    return outcome


def _now() -> datetime:
    return datetime.now(UTC)
