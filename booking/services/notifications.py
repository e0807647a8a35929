"""Notifications: who hears of an event, what is due to be sent, and what became of it.

An event is dispatched once: in one transaction it is marked and its deliveries are written. A delivery is
claimed by moving its next try on, so that it comes up again should the sender die between sending and
marking; the second message then bears the same Message-ID. Nothing here sends anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, TextClause, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain import access, notices
from booking.domain.access import SYSTEM, Actor, NotFound
from booking.domain.lifecycle import State
from booking.domain.notices import Channel, Pace, Telling, Topic
from booking.services import (
    approval_steps,
    events,
    hearers,
    invitations,
    notice_wishes,
    qualification_needs,
)
from booking.services.hearers import Case, key
from models import (
    Base,
    Booking,
    BookingItem,
    CalendarQuestion,
    CalendarSource,
    Delivery,
    Event,
    Facility,
    Instrument,
    OfferState,
    OneTimeLink,
    Organisation,
    Person,
    PersonState,
    Proposal,
    ProposalState,
    Purpose,
    QuestionState,
    Reminder,
    Transfer,
    TransferState,
    WaitlistOffer,
)

Condition = ColumnElement[bool] | TextClause

DIGEST = "digest"
"""The form of a message that holds several."""

INVITATION, ANSWER = "invitation", "invitation.answer"
"""The forms of letters that bear a meeting, or an answer to one."""

TEMPLATES = notices.FORMS | {DIGEST, INVITATION, ANSWER}
"""Every form of message that there is."""

REMINDED_AFTER = frozenset({"booking.placed", "booking.approved", "booking.changed"})

CLAIM = timedelta(minutes=5)
"""A claim that is neither marked nor given back in this time belonged to somebody who died."""

MOST_TRIES = 10
MOST_OF_DIGEST = 200
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
OUTAGE_PAUSE = timedelta(minutes=1)
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """All that a message is made of. `items` are those that the person may know of; `about` what else it names.

    `over` tells that what it says is no longer so, `foreign` that it no longer concerns the person.
    """

    delivery_id: UUID
    template: str
    person: Person
    event: Event
    actor_name: str | None
    booking: Booking | None = None
    items: Sequence[BookingItem] = ()
    link: OneTimeLink | None = None
    topic: Topic = Topic.ACCOUNT
    about: Mapping[str, Any] = field(default_factory=dict)
    others: int = 0
    over: bool = False
    foreign: bool = False

    @property
    def urgent(self) -> bool:
        """Tell whether it heeds no quiet hours, as far as that does not depend on the moment."""
        return self.event.kind in notices.CANNOT_WAIT

    @property
    def starts_at(self) -> datetime | None:
        """Give when the time that it is about starts."""
        return self.booking.starts_at if self.booking else None


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A message in somebody's web inbox."""

    notice: Notice
    at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent: how many, and since when the oldest has been due."""

    waiting: int
    since: datetime | None


def anything_to_do(session: Session, *, now: datetime) -> bool:
    """Tell whether there is an event to dispatch or a mail that is due."""
    due = exists().where(*_due(now, [Channel.MAIL]))
    return bool(session.scalar(select(exists().where(Event.dispatched_at.is_(None)) | due)))


def anything_due(session: Session, *, now: datetime, channels: Collection[Channel]) -> bool:
    """Tell whether a message is due by one of these channels."""
    return bool(session.scalar(select(exists().where(*_due(now, channels)))))


def addressed(session: Session, *, delivery_id: UUID) -> tuple[UUID, Channel]:
    """Give whom a message is for, and how it goes."""
    delivery = session.get_one(Delivery, delivery_id)
    return delivery.person_id, delivery.channel


def dispatch(session: Session, *, remind: Sequence[int], now: datetime, limit: int = 200) -> int:
    """Write the deliveries and reminders of the oldest events that have none yet; give their number.

    `remind` holds how many minutes before its start a confirmed booking is called to mind.
    """
    fresh = session.scalars(
        select(Event)
        .where(Event.dispatched_at.is_(None))
        .order_by(Event.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for event in fresh:
        event.dispatched_at = now
    bookings = _bookings(session, {event.booking_id for event in fresh if event.booking_id})
    _add_new(session, Delivery, _deliveries(session, fresh, bookings, now))
    _add_new(session, Reminder, _reminders(fresh, bookings, remind))
    return len(fresh)


def claim_due(
    session: Session, *, now: datetime, limit: int = 20, channels: Collection[Channel] = (Channel.MAIL,)
) -> list[UUID]:
    """Claim the deliveries that have been due longest, for as long as `CLAIM`, and give their ids."""
    due = session.scalars(
        select(Delivery)
        .where(*_due(now, channels))
        .order_by(Delivery.next_at, Delivery.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return _claim(due, now)


def claim_digest(session: Session, *, now: datetime) -> tuple[Channel, list[UUID]] | None:
    """Claim all that leaves in one digest, and give its channel; None when no digest is due.

    The person is locked first, so that two who come at once do not each take a half.
    """
    waiting = (
        select(Delivery.person_id, Delivery.channel)
        .where(*_due(now, (), digest=True))
        .distinct()
        .order_by(Delivery.person_id, Delivery.channel)
        .limit(20)
    )
    for person_id, channel in session.execute(waiting).all():
        person = select(Person.id).where(Person.id == person_id)
        if session.scalar(person.with_for_update(key_share=True, skip_locked=True)) is None:
            continue
        due = session.scalars(
            select(Delivery)
            .where(*_due(now, [channel], digest=True), Delivery.person_id == person_id)
            .order_by(Delivery.event_id)
            .limit(MOST_OF_DIGEST)
            .with_for_update(skip_locked=True)
        ).all()
        if due:
            return channel, _claim(due, now)
    return None


def digests_due(session: Session, *, now: datetime) -> bool:
    """Tell whether a digest is due."""
    return bool(session.scalar(select(exists().where(*_due(now, (), digest=True)))))


def _claim(due: Iterable[Delivery], now: datetime) -> list[UUID]:
    claimed = []
    for delivery in due:
        delivery.claimed_at = now
        delivery.next_at = now + CLAIM
        claimed.append(delivery.id)
    return claimed


def give_back(session: Session, *, now: datetime, delivery_ids: Iterable[UUID] | None = None) -> None:
    """Make claims due again at once; without ids all of them: whoever made them is known to be dead."""
    claims = update(Delivery).where(
        Delivery.claimed_at.is_not(None), Delivery.sent_at.is_(None), Delivery.given_up_at.is_(None)
    )
    if delivery_ids is not None:
        claims = claims.where(Delivery.id.in_(list(delivery_ids)))
    session.execute(claims.values(claimed_at=None, next_at=now))


def notice(session: Session, *, delivery_id: UUID, now: datetime) -> Notice | None:
    """Give what the message is made of, or None when it would no longer be true, or no longer concern them."""
    delivery = session.get_one(Delivery, delivery_id)
    person = session.get_one(Person, delivery.person_id)
    if person.state is not PersonState.ACTIVE:
        return None
    (found,) = _notices(session, [delivery], person, now)
    return None if found.over or found.foreign else found


def _notices(session: Session, deliveries: Sequence[Delivery], person: Person, now: datetime) -> list[Notice]:
    """Give what the messages of one person are made of, as things are now."""
    query = select(Event).where(Event.id.in_([delivery.event_id for delivery in deliveries]))
    of_id = {event.id: event for event in session.scalars(query)}
    bookings = _bookings(session, {event.booking_id for event in of_id.values() if event.booking_id})
    managers = hearers.managers_of(session, hearers.facilities(of_id.values(), bookings.values()))
    actors = {event.actor_id for event in of_id.values() if event.actor_id}
    who = select(Person.id, Person.name).where(Person.id.in_(actors))
    names: dict[UUID, str] = {row.id: row.name for row in session.execute(who)} if actors else {}
    found = []
    for delivery in deliveries:
        event = of_id[delivery.event_id]
        booking = bookings.get(event.booking_id) if event.booking_id else None
        case = _standing_in(Case(session, event, booking, managers, now))
        actor_name = names.get(event.actor_id) if event.actor_id else None
        telling = hearers.told(case).get(person.id)
        if telling is None:
            found.append(Notice(delivery.id, event.kind, person, event, None, foreign=True))
        else:
            found.append(_made(delivery.id, telling, case, person, actor_name))
    return found


def _standing_in(case: Case) -> Case:
    """Let another date of a series stand for the one whose letter told of all, once that one waits no more."""
    step = hearers.waits_instead(case)
    if step is None:
        return case
    return replace(case, booking=_bookings(case.session, {step.booking_id})[step.booking_id], step_id=step.id)


def _made(delivery_id: UUID, telling: Telling, case: Case, person: Person, actor_name: str | None) -> Notice:
    session, event, booking = case.session, case.event, case.booking
    form, items = telling.form or event.kind, hearers.seen(telling, case, person.id)
    about, link = _about(session, event, case.now), _link(session, event, person.id, case.now)
    if telling.topic is Topic.REQUESTS and booking is not None:
        about |= _asked(case, booking)
    return Notice(
        delivery_id,
        form,
        person,
        event,
        actor_name,
        booking,
        items,
        link,
        telling.topic,
        about,
        hearers.others_of_series(session, booking) if telling.topic is Topic.REQUESTS and booking else 0,
        over=_over(telling, event, booking, items, link, about, case.now),
    )


def _asked(case: Case, booking: Booking) -> dict[str, Any]:
    """Give why a request waits, and the chemicals that were declared for it."""
    step = hearers.step_of(case, case.event)
    return {
        "conditions": step.conditions if step else (),
        "chemicals": approval_steps.declared(case.session, booking_id=booking.id),
    }


def quiet_until(session: Session, *, found: Notice, now: datetime) -> datetime | None:
    """Give when the reader's quiet hours end, None if they have none now or this cannot wait."""
    if notices.cannot_wait(found.event.kind, found.starts_at, now):
        return None
    manner = notice_wishes.manners(session, person_ids=[found.person.id])[found.person.id]
    return notices.quiet_until(now, manner.quiet, manner.zone) if manner.quiet else None


def hold(session: Session, *, delivery_ids: Iterable[UUID], until: datetime) -> None:
    """Let these wait, which is nobody's fault."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(list(delivery_ids)))
        .values(next_at=until, held_until=until, claimed_at=None)
    )


def sent(session: Session, *, delivery_id: UUID, now: datetime) -> None:
    """Mark that the message left; it is never sent again."""
    _set(session, delivery_id, sent_at=now, claimed_at=None, error="")


def give_up(session: Session, *, delivery_id: UUID, why: str, now: datetime) -> None:
    """Mark that the message will never leave, and why."""
    _set(session, delivery_id, given_up_at=now, claimed_at=None, error=why[:LONGEST_ERROR])


def put_off(session: Session, *, delivery_id: UUID, why: str, now: datetime) -> None:
    """Try this message again after a pause that doubles with every failure, and give up in the end."""
    delivery = session.get_one(Delivery, delivery_id)
    delivery.attempts += 1
    if delivery.attempts >= MOST_TRIES:
        give_up(session, delivery_id=delivery_id, why=why, now=now)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (delivery.attempts - 1))
    delivery.next_at = now + pause
    delivery.claimed_at = None
    delivery.error = why[:LONGEST_ERROR]


def wait_out(session: Session, *, delivery_ids: Iterable[UUID], why: str, now: datetime) -> None:
    """Try these again in a minute: the way out is blocked, which is no fault of theirs and is not counted."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(list(delivery_ids)), Delivery.sent_at.is_(None))
        .values(next_at=now + OUTAGE_PAUSE, claimed_at=None, error=why[:LONGEST_ERROR])
    )


def reminders_due(session: Session, *, now: datetime) -> bool:
    """Tell whether `remind` would find anything."""
    return bool(session.scalar(select(exists().where(Reminder.done_at.is_(None), Reminder.due_at <= now))))


def remind(session: Session, *, now: datetime, limit: int = 200) -> int:
    """Record the reminders that are due as events, each once; give the number of those taken up.

    A booking that was moved, given up or has begun is not called to mind; of several reminders that are due
    at once, after a pause of the jobs, only the last is said.
    """
    due = session.scalars(
        select(Reminder)
        .where(Reminder.done_at.is_(None), Reminder.due_at <= now)
        .order_by(Reminder.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    last: dict[tuple[UUID, datetime], int] = {}
    for reminder in due:
        reminder.done_at = now
        key = reminder.booking_id, reminder.starts_at
        last[key] = min(reminder.minutes, last.get(key, reminder.minutes))
    bookings = _bookings(session, {booking_id for booking_id, _ in last})
    for (booking_id, starts_at), minutes in last.items():
        booking = bookings[booking_id]
        if booking.state is State.CONFIRMED and booking.starts_at == starts_at and starts_at > now:
            events.record(
                session,
                actor=SYSTEM,
                kind="booking.reminded",
                now=now,
                booking=booking,
                facility_id=booking.items[0].instrument.facility_id,
                minutes=minutes,
                start=starts_at.isoformat(),
            )
    return len(due)


def backlog(session: Session, *, now: datetime) -> Backlog:
    """Give what has not left: events not dispatched, and mail that nobody could try to send yet.

    Mail that its receiver's server refuses is not counted, nor is what a webhook does not take: it says nothing of
    our own way out. Nor is what is held for the reader's sake.
    """
    fresh = select(func.count(), func.min(Event.at)).where(Event.dispatched_at.is_(None))
    unsent = (
        select(func.count(), func.min(func.coalesce(Delivery.held_until, Event.at)))
        .select_from(Delivery)
        .join(Event, Event.id == Delivery.event_id)
        .where(
            *_unsent(),
            Delivery.channel == Channel.MAIL,
            Delivery.attempts == 0,
            or_(Delivery.held_until.is_(None), Delivery.held_until <= now),
        )
    )
    (events_waiting, first), (letters_waiting, second) = (
        session.execute(fresh).one(),
        session.execute(unsent).one(),
    )
    since = min((at for at in (first, second) if at is not None), default=None)
    return Backlog(events_waiting + letters_waiting, since)


# --- the web inbox --------------------------------------------------------------------------------


def inbox(
    session: Session, *, actor: Actor, unread: bool = False, page: int = 1, page_size: int = 20, now: datetime
) -> tuple[list[InboxEntry], int]:
    """Give a page of the actor's inbox, the newest first, and how many there are."""
    mine = _inbox_of(actor, "notice.read")
    if unread:
        mine = mine.where(Delivery.read_at.is_(None))
    total = session.scalar(select(func.count()).select_from(mine.subquery())) or 0
    query = mine.order_by(Delivery.event_id.desc()).limit(page_size).offset((page - 1) * page_size)
    rows = session.scalars(query).all()
    if not rows:
        return [], total
    found = _notices(session, rows, session.get_one(Person, actor.person_id), now)
    return [
        InboxEntry(notice, notice.event.at, row.read_at) for notice, row in zip(found, rows, strict=True)
    ], total


def unread(session: Session, *, actor: Actor) -> int:
    """Count what the actor has not read."""
    if actor.person_id is None:
        return 0
    # As the partial index says it.
    unread = text("delivery.channel = 'inbox'"), Delivery.read_at.is_(None)
    query = select(func.count()).where(Delivery.person_id == actor.person_id, *unread)
    return session.scalar(query) or 0


def read(session: Session, *, actor: Actor, delivery_id: UUID, now: datetime) -> InboxEntry:
    """Note that the actor has read a message of their inbox, and give it.

    :raises NotFound: if there is none in theirs
    """
    mine = _inbox_of(actor, "notice.keep").where(Delivery.id == delivery_id)
    row = session.scalars(mine).one_or_none()
    if row is None:
        raise NotFound("notice", delivery_id)
    row.read_at = row.read_at or now
    (found,) = _notices(session, [row], session.get_one(Person, actor.person_id), now)
    return InboxEntry(found, found.event.at, row.read_at)


def read_all(session: Session, *, actor: Actor, until: datetime, now: datetime) -> None:
    """Note that the actor has read all that had come to their inbox by a moment."""
    access.require(actor, "notice.keep")
    session.execute(
        update(Delivery)
        .where(
            Delivery.person_id == actor.person_id,
            Delivery.channel == Channel.INBOX,
            Delivery.read_at.is_(None),
            Delivery.next_at <= until,
        )
        .values(read_at=now)
    )


def _inbox_of(actor: Actor, action: str) -> Select[Delivery]:
    access.require(actor, action)
    return select(Delivery).where(Delivery.person_id == actor.person_id, Delivery.channel == Channel.INBOX)


# --- within ---------------------------------------------------------------------------------------


def _unsent() -> tuple[Condition, ...]:
    # The channel stands in the text, since a partial index is used only where its condition is seen.
    return Delivery.sent_at.is_(None), Delivery.given_up_at.is_(None), text("delivery.channel <> 'inbox'")


def _due(now: datetime, channels: Collection[Channel], *, digest: bool = False) -> tuple[Condition, ...]:
    one_of = (Delivery.channel.in_(list(channels)),) if channels else ()
    return *_unsent(), Delivery.next_at <= now, Delivery.digest.is_(digest), *one_of


def _bookings(session: Session, ids: set[UUID]) -> dict[UUID, Booking]:
    if not ids:
        return {}
    return {booking.id: booking for booking in session.scalars(_loaded().where(Booking.id.in_(ids)))}


def _loaded() -> Select[Booking]:
    places = selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility)
    return select(Booking).options(joinedload(Booking.person), places)


def _deliveries(
    session: Session, fresh: Sequence[Event], bookings: Mapping[UUID, Booking], now: datetime
) -> list[dict[str, Any]]:
    managers = hearers.managers_of(session, hearers.facilities(fresh, bookings.values()))
    heard: list[tuple[Event, Booking | None, UUID, Topic]] = []
    for event in fresh:
        booking = bookings.get(event.booking_id) if event.booking_id else None
        found = hearers.told(_standing_in(Case(session, event, booking, managers, now)))
        heard += [(event, booking, person_id, found[person_id].topic) for person_id in sorted(found)]
    on_calendars = invitations.concerned(session, fresh=fresh, bookings=bookings)
    people = {person_id for _, _, person_id, _ in heard} | {one.person_id for one in on_calendars}
    manners = notice_wishes.manners(session, person_ids=people)
    rows = [
        row
        for event, booking, person_id, topic in heard
        if person_id in manners
        for row in _ways(event, booking, person_id, topic, manners[person_id], now)
    ]
    for one in on_calendars:
        # Whoever was told of a booking hears what becomes of it, even if they want no more invitations.
        manner = manners.get(one.person_id)
        wanted = manner is not None and manner.pace(Topic.BOOKINGS, Channel.INVITATION) is not Pace.NEVER
        if manner is not None and (one.known or wanted):
            rows.append(_row(one.event, one.person_id, Channel.INVITATION, now, now))
    return rows


def _ways(
    event: Event,
    booking: Booking | None,
    person_id: UUID,
    topic: Topic,
    manner: notice_wishes.Manner,
    now: datetime,
) -> Iterable[dict[str, Any]]:
    """Give a row for each way by which the person wants to hear of the event, due when they want it."""
    urgent = notices.cannot_wait(event.kind, booking.starts_at if booking else None, now)
    for channel in manner.channels:
        pace = manner.pace(topic, channel)
        if pace is Pace.NEVER:
            continue
        to_inbox = channel is Channel.INBOX
        leaves = notices.leaves_at(now, pace, manner.zone, manner.quiet, urgent=urgent or to_inbox)
        yield _row(event, person_id, channel, leaves, now) | {
            # What one did oneself is no news, only on record.
            "read_at": now if to_inbox and event.actor_id == person_id else None,
            "digest": pace in {Pace.DAILY, Pace.WEEKLY} and not urgent and not to_inbox,
        }


def _row(event: Event, person_id: UUID, channel: Channel, leaves: datetime, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "event_id": event.id,
        "person_id": person_id,
        "channel": channel,
        "next_at": leaves,
        "held_until": leaves if leaves > now else None,
        "read_at": None,
        "digest": False,
        "attempts": 0,
        "error": "",
    }


def _reminders(
    fresh: Sequence[Event], bookings: Mapping[UUID, Booking], remind: Sequence[int]
) -> list[dict[str, Any]]:
    """Give a row for each time before the start that had not yet come when the event told of the booking."""
    rows = []
    for event in fresh:
        booking = bookings.get(event.booking_id) if event.booking_id else None
        if booking is None or event.kind not in REMINDED_AFTER or booking.state is not State.CONFIRMED:
            continue
        for minutes in remind:
            due_at = booking.starts_at - timedelta(minutes=minutes)
            if due_at > event.at:
                rows.append(
                    {
                        "booking_id": booking.id,
                        "starts_at": booking.starts_at,
                        "minutes": minutes,
                        "due_at": due_at,
                    }
                )
    return rows


def _add_new(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert the rows that are not there yet."""
    if rows:
        make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
        session.execute(make(table).on_conflict_do_nothing(), rows)


def _link(session: Session, event: Event, person_id: UUID, now: datetime) -> OneTimeLink | None:
    """Give the link that goes with the message to this very person, if it still works."""
    link_id = key(event, "link_id")
    working = select(OneTimeLink).where(
        OneTimeLink.person_id == person_id, OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > now
    )
    if link_id is not None:
        return session.scalar(working.where(OneTimeLink.id == link_id))
    for name, purpose in _PURPOSES.items():
        subject = event.data.get(name)
        if subject:
            of = working.where(OneTimeLink.purpose == purpose, OneTimeLink.subject == str(subject))
            return session.scalars(of.order_by(OneTimeLink.created_at.desc())).first()
    return None


_PURPOSES = {
    "step_id": Purpose.DECIDE_STEP,
    "offer_id": Purpose.ANSWER_OFFER,
    "proposal_id": Purpose.ANSWER_PROPOSAL,
    "question_id": Purpose.ANSWER_CALENDAR,
}
"""Links to answer from the mail are found by what they are about."""


def _about(session: Session, event: Event, now: datetime) -> dict[str, Any]:
    """Give what the event's data name, as it is now; what they do not name, or is gone, is not there."""
    found: dict[str, Any] = {}
    for name, table in _NAMED.items():
        thing_id = key(event, f"{name}_id")
        thing = session.get(table, thing_id) if thing_id else None
        if thing is not None:
            found["who" if table is Person else name] = thing
    if code := event.data.get("instrument"):
        place = session.scalar(select(Instrument).where(Instrument.code == str(code)))
        found |= {"instrument": place} if place is not None else {}
    if event.kind in _OF_ORGANISATIONS and (code := event.data.get("place")):
        organisation = session.scalar(select(Organisation).where(Organisation.code == str(code)))
        found |= {"organisation": organisation} if organisation is not None else {}
    if event.kind == "qualification.flagged":
        found["lacking"] = _still_lacking(session, event, now)
    if event.kind in _OF_CALENDARS:
        found["source"] = session.get(CalendarSource, UUID(event.subject))
    if event.facility_id is not None:
        found["facility"] = session.get_one(Facility, event.facility_id)
    return found


def _still_lacking(session: Session, event: Event, now: datetime) -> bool:
    """Tell whether bookings still lack the qualification that was taken away when the event happened."""
    person_id, code = key(event, "person_id"), str(event.data.get("qualification"))
    return person_id is not None and bool(
        qualification_needs.bookings_without(session, person_id=person_id, code=code, now=now)
    )


_OF_CALENDARS = {"calendar_source.clashes", "calendar_source.failing"}
_OF_ORGANISATIONS = {"person.membership_granted", "person.membership_refused"}
_NAMED: Mapping[str, type[Base]] = {
    "person": Person,
    "offer": WaitlistOffer,
    "transfer": Transfer,
    "proposal": Proposal,
    "question": CalendarQuestion,
}


def _over(
    telling: Telling,
    event: Event,
    booking: Booking | None,
    items: Sequence[BookingItem],
    link: OneTimeLink | None,
    about: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Tell whether the message would say what is no longer so."""
    if telling.to is notices.Hearer.LINK:
        return link is None
    if telling.topic is Topic.REQUESTS and event.kind not in _OF_WHAT_IS_OVER:
        return booking is None or booking.state is not State.REQUESTED or not items
    if event.kind == "booking.reminded":
        moved = booking is None or event.data.get("start") != booking.starts_at.isoformat()
        return moved or booking is None or booking.state is not State.CONFIRMED or booking.starts_at <= now
    if event.kind == "waitlist.offered":
        offer = about.get("offer")
        return offer is None or offer.state is not OfferState.OPEN or offer.deadline <= now
    if event.kind == "proposal.made":
        proposal = about.get("proposal")
        return proposal is None or proposal.state is not ProposalState.OPEN
    if event.kind in {"invitation.declined", "invitation.countered", "booking.move_asked"}:
        question = about.get("question")
        return question is None or question.state is not QuestionState.OPEN
    if event.kind == "qualification.flagged":
        return not about["lacking"]
    if event.kind in _OF_CALENDARS:
        source = about["source"]
        left = source and (source.told if event.kind == "calendar_source.clashes" else source.failing_since)
        return not left
    if event.kind == "transfer.lapsed" and telling.to is notices.Hearer.PERSON:
        # Who gave the booking up knows that nobody takes it over.
        return booking is None or booking.state in {State.CANCELLED, State.WITHDRAWN}
    if event.kind == "transfer.asked":
        return "transfer" not in about or about["transfer"].state is not TransferState.OPEN
    return False


_OF_WHAT_IS_OVER = frozenset(
    {"approval.expired", "approval.unanswered", "delegation.made", "delegation.ended"}
)
"""Of requests, these say what is so whether or not one still waits."""


def _set(session: Session, delivery_id: UUID, **values: Any) -> None:
    session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))
