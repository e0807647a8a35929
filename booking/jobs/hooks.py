"""Posts what is due to the addresses that people gave; a dead one keeps neither mail nor the others."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from booking import i18n, messages
from booking.config import Settings
from booking.db import reading, transaction
from booking.domain.notices import HOOKS, Channel
from booking.gateways import hooks
from booking.services import notice_wishes, notifications
from booking.services.notifications import Notice

BATCH = 10

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Post all messages that are due, each once."""
    with reading() as session:
        if not notifications.anything_due(session, now=_now(), channels=HOOKS):
            return
    while not halted():
        with transaction() as session:
            claimed = notifications.claim_due(session, now=_now(), limit=BATCH, channels=HOOKS)
        if not claimed:
            return
        _post_all(settings, claimed, halted)


def _post_all(settings: Settings, claimed: list[UUID], halted: Callable[[], bool]) -> None:
    left, silent = list(claimed), set[tuple[UUID, Channel]]()
    while left and not halted():
        delivery_id = left.pop(0)
        try:
            _post_one(settings, delivery_id, silent)
        except Exception as error:  # noqa: BLE001 - one message that cannot be made must not keep the others
            _log.exception("a message could not be made", extra={"fields": {"delivery": str(delivery_id)}})
            with transaction() as session:
                why = type(error).__name__
                notifications.put_off(session, delivery_id=delivery_id, why=why, now=_now())
    if left:
        with transaction() as session:
            notifications.give_back(session, delivery_ids=left, now=_now())


def _post_one(settings: Settings, delivery_id: UUID, silent: set[tuple[UUID, Channel]]) -> None:
    now = _now()
    with reading() as session:
        person_id, channel = notifications.addressed(session, delivery_id=delivery_id)
        found = notifications.notice(session, delivery_id=delivery_id, now=now)
        until = notifications.quiet_until(session, found=found, now=now) if found else None
    if until is not None:
        with transaction() as session:
            notifications.hold(session, delivery_ids=[delivery_id], until=until)
    elif (person_id, channel) in silent:
        with transaction() as session:
            why = "the address did not answer a moment ago"
            notifications.wait_out(session, delivery_ids=[delivery_id], why=why, now=now)
    elif not post(settings, [delivery_id], [found] if found else [], person_id, channel):
        silent.add((person_id, channel))


def post(
    settings: Settings,
    delivery_ids: Sequence[UUID],
    found: Sequence[Notice],
    person_id: UUID,
    channel: Channel,
) -> bool:
    """Post one message of what was found, and mark the deliveries; tell whether the address answered."""
    with reading() as session:
        hook = notice_wishes.hook_of(session, person_id=person_id, channel=channel)
    if hook is None or not found:
        why = "no longer true" if hook else "there is no such address any more"
        with transaction() as session:
            for delivery_id in delivery_ids:
                notifications.give_up(session, delivery_id=delivery_id, why=why, now=_now())
        return True
    said = _said(found, settings)
    try:
        hooks.send(hook.kind.value, hook.url, hook.secret, said, at=_now(), also=settings.hooks_inside)
    except hooks.Failed as error:
        _not_taken(delivery_ids, hook.id, str(error))
        return False
    with transaction() as session:
        notice_wishes.hook_worked(session, hook_id=hook.id)
        for delivery_id in delivery_ids:
            notifications.sent(session, delivery_id=delivery_id, now=_now())
    return True


def _said(found: Sequence[Notice], settings: Settings) -> hooks.Post:
    first = found[0]
    public_url = settings.public_url.rstrip("/")
    with i18n.use_locale(first.person.locale or settings.default_locale):
        if len(found) == 1:
            brief = messages.brief(first, public_url=public_url)
            title, lines, url = brief.subject, [brief.lead], public_url + brief.path
        else:
            whole, briefs = messages.digest(found, public_url=public_url)
            title, lines, url = whole.subject, [brief.subject for brief in briefs], f"{public_url}/notices"
    data = {
        "notices": [
            {
                "kind": notice.event.kind,
                "topic": notice.topic.value,
                "at": notice.event.at.isoformat(),
                "booking_id": str(notice.booking.id) if notice.booking else None,
            }
            for notice in found
        ]
    }
    return hooks.Post(str(first.delivery_id), title, lines, url, data)


def _not_taken(delivery_ids: Sequence[UUID], hook_id: UUID, why: str) -> None:
    # Neither the address nor its secret: whoever reads the log could post to it.
    _log.warning("a webhook took nothing", extra={"fields": {"webhook": str(hook_id), "why": why}})
    with transaction() as session:
        off = notice_wishes.hook_failed(session, hook_id=hook_id, now=_now())
        for delivery_id in delivery_ids:
            (notifications.give_up if off else notifications.put_off)(
                session, delivery_id=delivery_id, why=why, now=_now()
            )


def _now() -> datetime:
    return datetime.now(UTC)
