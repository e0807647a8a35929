"""Digests: what people want to hear once a day or once a week, in one message for each person and channel."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import reading, transaction
from booking.domain.notices import Channel
from booking.gateways import mail
from booking.jobs import hooks, letters
from booking.services import notifications
from booking.services.notifications import Notice

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Send every digest that is due, each once.

    :raises mail.Unreachable: if the mail server takes nothing; the digests wait
    :raises mail.BadAddress: if the mail settings make no sense; the digests wait
    """
    while not halted():
        with reading() as session:
            if not notifications.digests_due(session, now=_now()):
                return
        with transaction() as session:
            claimed = notifications.claim_digest(session, now=_now())
        if claimed is None:
            return
        channel, delivery_ids = claimed
        try:
            _send(settings, channel, delivery_ids)
        except (mail.Unreachable, mail.BadAddress) as error:
            with transaction() as session:
                notifications.wait_out(session, delivery_ids=delivery_ids, why=str(error), now=_now())
            raise
        except Exception as error:  # noqa: BLE001 - one digest that cannot be made must not keep the others
            _log.exception("a digest could not be made", extra={"fields": {"first": str(delivery_ids[0])}})
            _put_off(delivery_ids, f"{type(error).__name__}: {error}")


def _send(settings: Settings, channel: Channel, delivery_ids: list[UUID]) -> None:
    now = _now()
    found: dict[UUID, Notice] = {}
    with reading() as session:
        person_id, _channel = notifications.addressed(session, delivery_id=delivery_ids[0])
        for delivery_id in delivery_ids:
            notice = notifications.notice(session, delivery_id=delivery_id, now=now)
            if notice is not None:
                found[delivery_id] = notice
        first = next(iter(found.values()), None)
        until = notifications.quiet_until(session, found=first, now=now) if first else None
    over = [delivery_id for delivery_id in delivery_ids if delivery_id not in found]
    with transaction() as session:
        for delivery_id in over:
            notifications.give_up(session, delivery_id=delivery_id, why="no longer true", now=now)
        if until is not None:
            notifications.hold(session, delivery_ids=list(found), until=until)
    if until is not None or not found:
        return
    if channel is Channel.MAIL:
        _mail(settings, found)
    else:
        hooks.post(settings, list(found), list(found.values()), person_id, channel)


def _mail(settings: Settings, found: dict[UUID, Notice]) -> None:
    letter = letters.digest(list(found.values()), settings)
    built = mail.message(letter, sender=settings.mail_from, host=settings.host_name, at=_now())
    try:
        with mail.outbox(
            settings.smtp_url, folder=settings.instance / "mail", host=settings.host_name
        ) as send:
            send(built)
    except mail.Refused as error:
        _log.warning("a digest was not taken", extra={"fields": {"first": letter.id, "why": str(error)}})
        _put_off(list(found), str(error), lasting=error.lasting)
        return
    with transaction() as session:
        for delivery_id in found:
            notifications.sent(session, delivery_id=delivery_id, now=_now())


def _put_off(delivery_ids: list[UUID], why: str, *, lasting: bool = False) -> None:
    with transaction() as session:
        for delivery_id in delivery_ids:
            (notifications.give_up if lasting else notifications.put_off)(
                session, delivery_id=delivery_id, why=why, now=_now()
            )


def _now() -> datetime:
    return datetime.now(UTC)
