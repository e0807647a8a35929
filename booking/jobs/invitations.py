"""Invitations: meetings mailed to those who want them, and what instruments answer to meetings of others.

Each message is marked by itself when it has left. Whoever dies in between sends it again under the same Message-ID;
a message that has nothing new to say does not leave.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import reading, transaction
from booking.domain.notices import Channel
from booking.gateways import mail
from booking.jobs import calendar_letters
from booking.services import invitations, notifications

BATCH = 20
WAYS = (Channel.INVITATION,)

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Send all that is due, in the order in which it came up.

    :raises mail.Unreachable: if the mail server takes nothing; the messages wait
    :raises mail.BadAddress: if the mail settings make no sense; the messages wait
    """
    while not halted():
        with reading() as session:
            if not notifications.anything_due(session, now=_now(), channels=WAYS):
                return
        with transaction() as session:
            claimed = notifications.claim_due(session, now=_now(), limit=BATCH, channels=WAYS)
        if not claimed:
            return
        _send_all(settings, claimed, halted)


def _send_all(settings: Settings, claimed: list[UUID], halted: Callable[[], bool]) -> None:
    left = list(claimed)
    try:
        with mail.outbox(
            settings.smtp_url, folder=settings.instance / "mail", host=settings.host_name
        ) as send:
            while left and not halted():
                _send_one(settings, left[0], send)
                left.pop(0)
    except (mail.Unreachable, mail.BadAddress) as error:
        with transaction() as session:
            notifications.wait_out(session, delivery_ids=left, why=str(error), now=_now())
        raise
    if left:
        with transaction() as session:
            notifications.give_back(session, delivery_ids=left, now=_now())


def _send_one(settings: Settings, delivery_id: UUID, send: mail.Send) -> None:
    try:
        sent = _send_parcels(settings, delivery_id, send)
    except (mail.Unreachable, mail.BadAddress):
        raise
    except mail.Refused as error:
        _not_sent(delivery_id, str(error), lasting=error.lasting)
    except Exception as error:  # noqa: BLE001 - one message that cannot be made must not keep the others
        _log.exception("an invitation could not be made", extra={"fields": {"delivery": str(delivery_id)}})
        _not_sent(delivery_id, f"{type(error).__name__}: {error}", lasting=False)
    else:
        with transaction() as session:
            if sent:
                notifications.sent(session, delivery_id=delivery_id, now=_now())
            else:
                notifications.give_up(session, delivery_id=delivery_id, why="nothing new", now=_now())


def _send_parcels(settings: Settings, delivery_id: UUID, send: mail.Send) -> int:
    """Send what is to be said, each part marked when it has left; give how many parts there were."""
    with reading() as session:
        parcels = invitations.parcels(session, delivery_id=delivery_id, host=settings.host_name)
        if not settings.reply_mailbox:
            # Without a mailbox nobody could answer; what an instrument answers needs none.
            parcels = [one for one in parcels if isinstance(one, invitations.Answered)]
        letters = [calendar_letters.write(one, delivery_id, settings, now=_now()) for one in parcels]
    for parcel, letter in zip(parcels, letters, strict=True):
        send(mail.message(letter, sender=settings.mail_from, host=settings.host_name, at=_now()))
        with transaction() as session:
            invitations.sent(session, parcel=parcel, now=_now())
    return len(parcels)


def _not_sent(delivery_id: UUID, why: str, *, lasting: bool) -> None:
    _log.warning("an invitation was not taken", extra={"fields": {"delivery": str(delivery_id), "why": why}})
    with transaction() as session:
        (notifications.give_up if lasting else notifications.put_off)(
            session, delivery_id=delivery_id, why=why, now=_now()
        )


def _now() -> datetime:
    return datetime.now(UTC)
