"""Wishes about notices: of what somebody wants to hear, how and when, and the addresses that they gave."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from booking.domain import access, hook_addresses, hours, notices
from booking.domain.access import SYSTEM, Actor, NotFound
from booking.domain.hook_addresses import NOTHING, Inside
from booking.domain.notices import Channel, Pace, Quiet, Topic
from booking.domain.rules import Invalid
from booking.domain.text import clean_line
from booking.services import events
from models import HookKind, NoticeWish, Person, PersonState, QuietHours, Webhook

ZONE = "Asia/Shanghai"
"""The clock of one who never said which is theirs."""

OFF_AFTER = timedelta(days=3)
"""An address that has failed for so long is switched off."""

LONGEST_SECRET = 200

CHANNELS = {
    HookKind.GENERIC: Channel.WEBHOOK,
    HookKind.WECOM: Channel.WECOM,
    HookKind.DINGTALK: Channel.DINGTALK,
    HookKind.FEISHU: Channel.FEISHU,
}
"""By which channel an address of each kind is reached."""

KINDS = {channel: kind for kind, channel in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody wants to hear: their clock, quiet hours, what they chose, and where they can be reached."""

    zone: ZoneInfo
    quiet: Quiet | None = None
    chosen: Mapping[tuple[str, Channel], Pace] = field(default_factory=dict)
    hooks: frozenset[Channel] = frozenset()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Give the ways by which the person can be reached."""
        return (Channel.MAIL, Channel.INBOX, *(channel for channel in notices.HOOKS if channel in self.hooks))

    def pace(self, topic: Topic, channel: Channel) -> Pace:
        """Give how soon they want to hear of a topic by a channel."""
        return notices.pace(topic, channel, self.chosen)


def manners(session: Session, *, person_ids: Collection[UUID]) -> dict[UUID, Manner]:
    """Give how each of these people wants to hear, in four statements; who may not sign in hears nothing."""
    if not person_ids:
        return {}
    chosen: dict[UUID, dict[tuple[str, Channel], Pace]] = {}
    for wish in session.scalars(select(NoticeWish).where(NoticeWish.person_id.in_(person_ids))):
        chosen.setdefault(wish.person_id, {})[wish.topic, wish.channel] = wish.pace
    quiet = {
        row.person_id: Quiet(row.begins, row.ends)
        for row in session.scalars(select(QuietHours).where(QuietHours.person_id.in_(person_ids)))
    }
    hooks: dict[UUID, set[Channel]] = {}
    living = select(Webhook.person_id, Webhook.kind).where(
        Webhook.person_id.in_(person_ids), Webhook.off_at.is_(None)
    )
    for person_id, kind in session.execute(living):
        hooks.setdefault(person_id, set()).add(CHANNELS[kind])
    active = Person.id.in_(person_ids), Person.state == PersonState.ACTIVE
    zones = session.execute(select(Person.id, Person.zone).where(*active))
    return {
        person_id: Manner(
            hours.zone(zone or ZONE),
            quiet.get(person_id),
            chosen.get(person_id, {}),
            frozenset(hooks.get(person_id, ())),
        )
        for person_id, zone in zones
    }


def own(session: Session, *, actor: Actor) -> Manner:
    """Give how the actor wants to hear."""
    person_id = _own_id(actor, "notice.read")
    return manners(session, person_ids=[person_id])[person_id]


def choose(
    session: Session,
    *,
    actor: Actor,
    wishes: Mapping[tuple[Topic, Channel], Pace],
    quiet: Quiet | None,
    now: datetime,
) -> None:
    """Keep what the actor chose; what is as it would be without a choice is not kept.

    :raises Invalid: if a pace is not offered for its topic or channel, or quiet hours have no length
    """
    person_id = _own_id(actor, "notice.keep")
    errors = {
        f"{topic}-{channel}": "unknown"
        for (topic, channel), pace in wishes.items()
        if not notices.is_offered(topic, channel) or pace not in notices.paces(channel)
    }
    if quiet is not None and quiet.begins == quiet.ends:
        errors["quiet_ends"] = "inverted"
    if quiet is not None and not all(
        0 <= minute < hours.DAY_MINUTES for minute in (quiet.begins, quiet.ends)
    ):
        errors["quiet_ends"] = "out_of_range"
    if errors:
        raise Invalid(errors)
    _lock(session, person_id)
    kept = {
        (wish.topic, wish.channel): wish
        for wish in session.scalars(select(NoticeWish).where(NoticeWish.person_id == person_id))
    }
    for (topic, channel), pace in wishes.items():
        wish = kept.get((topic.value, channel))
        if pace is notices.default(topic, channel):
            if wish is not None:
                session.delete(wish)
        elif wish is None:
            session.add(NoticeWish(person_id=person_id, topic=topic.value, channel=channel, pace=pace))
        else:
            wish.pace = pace
    session.execute(delete(QuietHours).where(QuietHours.person_id == person_id))
    if quiet is not None:
        session.add(QuietHours(person_id=person_id, begins=quiet.begins, ends=quiet.ends))
    events.record(session, actor=actor, kind="notices.chosen", now=now, subject=f"person:{person_id}")
    session.flush()


# --- addresses ------------------------------------------------------------------------------------


def hooks(session: Session, *, actor: Actor) -> Sequence[Webhook]:
    """Give the actor's addresses."""
    query = select(Webhook).where(Webhook.person_id == _own_id(actor, "webhook.keep"))
    return session.scalars(query.order_by(Webhook.created_at)).all()


def hook(session: Session, *, actor: Actor, hook_id: UUID) -> Webhook:
    """Give one of the actor's addresses.

    :raises NotFound: if there is none of theirs
    """
    person_id = _own_id(actor, "webhook.keep")
    found = session.get(Webhook, hook_id)
    if found is None or found.person_id != person_id:
        raise NotFound("webhook", hook_id)
    return found


def add_hook(
    session: Session,
    *,
    actor: Actor,
    kind: HookKind,
    name: str,
    url: str,
    secret: str,
    inside: Inside = NOTHING,
    now: datetime,
) -> Webhook:
    """Keep an address of a kind of which the actor has none yet; `inside` may be reached though it is not public.

    :raises Invalid: for a field that makes no sense
    """
    person_id = _own_id(actor, "webhook.keep")
    errors = {}
    try:
        hook_addresses.parsed(url.strip(), inside)
    except hook_addresses.BadAddress as error:
        errors["url"] = error.code if url.strip() else "required"
    if not secret.isascii() or not secret.isprintable():
        errors |= {"secret": "malformed"}
    elif len(secret) > LONGEST_SECRET:
        errors |= {"secret": "too_long_text"}
    if errors:
        raise Invalid(errors)
    called = clean_line("name", name, longest=100)
    _lock(session, person_id)
    if session.scalar(select(Webhook.id).where(Webhook.person_id == person_id, Webhook.kind == kind)):
        raise Invalid({"kind": "taken"})
    made = Webhook(
        person_id=person_id, kind=kind, name=called, url=url.strip(), secret=secret.strip(), created_at=now
    )
    session.add(made)
    session.flush()
    # The address itself is as good as a password, and stands in no event.
    events.record(
        session, actor=actor, kind="webhook.added", now=now, subject=f"webhook:{made.id}", what=kind.value
    )
    return made


def remove_hook(session: Session, *, actor: Actor, hook_id: UUID, now: datetime) -> None:
    """Forget an address.

    :raises NotFound: if there is none of the actor's
    """
    found = hook(session, actor=actor, hook_id=hook_id)
    session.delete(found)
    events.record(
        session,
        actor=actor,
        kind="webhook.removed",
        now=now,
        subject=f"webhook:{hook_id}",
        what=found.kind.value,
    )
    session.flush()


def hook_of(session: Session, *, person_id: UUID, channel: Channel) -> Webhook | None:
    """Give where a channel leads for somebody, None if nowhere any more."""
    return session.scalar(
        select(Webhook).where(
            Webhook.person_id == person_id, Webhook.kind == KINDS[channel], Webhook.off_at.is_(None)
        )
    )


def hook_worked(session: Session, *, hook_id: UUID) -> None:
    """Note that an address took what was posted; one that was switched off is on again."""
    found = session.get(Webhook, hook_id)
    if found is not None:
        found.failed_at = found.off_at = None


def hook_failed(session: Session, *, hook_id: UUID, now: datetime) -> bool:
    """Note that an address took nothing; switch it off, and say so, when that has lasted. Tell whether it is off."""
    found = session.scalar(select(Webhook).where(Webhook.id == hook_id).with_for_update())
    if found is None or found.off_at is not None:
        return True
    if found.failed_at is None:
        found.failed_at = now
    if now - found.failed_at < OFF_AFTER:
        return False
    found.off_at = now
    events.record(
        session,
        actor=SYSTEM,
        kind="webhook.switched_off",
        now=now,
        subject=f"webhook:{found.id}",
        person_id=str(found.person_id),
        channel=CHANNELS[found.kind].value,
        name=found.name,
        since=found.failed_at.isoformat(),
    )
    return True


def _own_id(actor: Actor, action: str) -> UUID:
    access.require(actor, action)
    if actor.person_id is None:
        raise NotFound("person")
    return actor.person_id


def _lock(session: Session, person_id: UUID) -> None:
    """Let one change after the other; bookings that name the person do not wait for it."""
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update(key_share=True))
