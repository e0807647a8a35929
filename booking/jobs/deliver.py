"""Delivers: turns events into messages, and sends those that are due by mail.

The message leaves after its claim is committed and is marked afterwards, so that whoever dies in between
loses none; the next one sends it again under the same Message-ID.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import reading, transaction
from booking.gateways import mail
from booking.jobs import letters
from booking.services import decision_links, notifications

BATCH = 20

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Dispatch all events and send all mail that is due.

    :raises mail.Unreachable: if the mail server takes nothing; the messages wait
    :raises mail.BadAddress: if the mail settings make no sense; the messages wait
    """
    with reading() as session:
        if not notifications.anything_to_do(session, now=_now()):
            return
    _dispatch(settings, halted)
    while not halted():
        with transaction() as session:
            claimed = notifications.claim_due(session, now=_now(), limit=BATCH)
        if not claimed:
            return
        _send_all(settings, claimed, halted)


def _dispatch(settings: Settings, halted: Callable[[], bool]) -> None:
    while not halted():
        with transaction() as session:
            decision_links.write(session, key=settings.key(), now=_now())
            if not notifications.dispatch(session, remind=settings.remind, now=_now()):
                return


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
        with reading() as session:
            found = notifications.notice(session, delivery_id=delivery_id, now=_now())
            until = notifications.quiet_until(session, found=found, now=_now()) if found else None
            letter = letters.write(found, settings) if found and until is None else None
        if until is not None:
            with transaction() as session:
                notifications.hold(session, delivery_ids=[delivery_id], until=until)
            return
        if letter is None:
            with transaction() as session:
                notifications.give_up(session, delivery_id=delivery_id, why="no longer true", now=_now())
            return
        send(mail.message(letter, sender=settings.mail_from, host=settings.host_name, at=_now()))
    except (mail.Unreachable, mail.BadAddress):
        raise
    except mail.Refused as error:
        _not_sent(delivery_id, str(error), lasting=error.lasting)
    except Exception as error:  # noqa: BLE001 - one message that cannot be made must not keep the others
        _log.exception("a message could not be made", extra={"fields": {"delivery": str(delivery_id)}})
        _not_sent(delivery_id, f"{type(error).__name__}: {error}", lasting=False)
    else:
        with transaction() as session:
            notifications.sent(session, delivery_id=delivery_id, now=_now())


def _not_sent(delivery_id: UUID, why: str, *, lasting: bool) -> None:
    _log.warning("a message was not taken", extra={"fields": {"delivery": str(delivery_id), "why": why}})
    with transaction() as session:
        (notifications.give_up if lasting else notifications.put_off)(
            session, delivery_id=delivery_id, why=why, now=_now()
        )


def _now() -> datetime:
    return datetime.now(UTC)
