"""Mail that comes in: read once, from people we know, for an instrument or as the answer of a calendar.

Strangers get no answer whatever they send, since the sender of a mail is soon forged and an answer would go to
whoever was named. What came of each message is kept, and counted, for as long as it could come again.
"""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, joinedload

from booking.domain import foreign_calendars, hours
from booking.domain import invitations as itip
from booking.domain.foreign_calendars import BadCalendar
from booking.domain.incoming_mail import Doors, Incoming, is_vouched_for
from booking.domain.invitations import Method
from booking.services import acting, calendar_replies, meetings
from models import InboundMail, Instrument, Person, PersonState

ANSWERS = frozenset({Method.REPLY, Method.COUNTER})


def receive(session: Session, *, mail: Incoming, doors: Doors, now: datetime) -> str:
    """Take a message in, and tell in a word what came of it; one that came before changes nothing."""
    if not _is_new(session, mail.key, now):
        return "seen"
    outcome = _outcome(session, mail, doors, now)
    session.get_one(InboundMail, mail.key).outcome = outcome
    session.flush()
    return outcome


def refused(session: Session, *, key: bytes, outcome: str, now: datetime) -> None:
    """Note a message that was not looked into."""
    if _is_new(session, key, now):
        session.get_one(InboundMail, key).outcome = outcome[:20]


def counts(session: Session) -> dict[str, int]:
    """Count the messages of the last weeks by what came of them."""
    query = select(InboundMail.outcome, func.count().label("number")).group_by(InboundMail.outcome)
    return {str(row.outcome): int(row.number) for row in session.execute(query)}


def _is_new(session: Session, key: bytes, now: datetime) -> bool:
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    values = {"key": key, "received_at": now, "outcome": ""}
    added = session.execute(
        make(InboundMail).values(values).on_conflict_do_nothing().returning(InboundMail.key)
    )
    return added.first() is not None


def _outcome(session: Session, mail: Incoming, doors: Doors, now: datetime) -> str:
    person = session.scalar(
        select(Person).where(
            Person.email == mail.sender,
            Person.state == PersonState.ACTIVE,
            Person.email_confirmed_at.is_not(None),
        )
    )
    if not mail.sender or person is None:
        return "stranger"
    if not mail.calendars:
        return "no_calendar"
    outcomes = [_one(session, person, data, mail, doors, now) for data in mail.calendars[:2]]
    return next((one for one in outcomes if one not in {"ignored", "unreadable"}), outcomes[0])


def _one(session: Session, person: Person, data: bytes, mail: Incoming, doors: Doors, now: datetime) -> str:
    actor = acting.actor_of(session, person.id)
    if actor is None:
        return "stranger"
    vouched = is_vouched_for(mail, doors.trusted)
    places = _instruments(session, mail, doors)
    span = meetings.window(now)
    try:
        plain = foreign_calendars.read(data, zone=UTC, within=span, limits=meetings.LIMITS)
        if plain.method in ANSWERS:
            return calendar_replies.take(
                session,
                person=person,
                actor=actor,
                read=plain,
                tags=_tags(mail, doors.mailbox),
                keys=doors.keys,
                vouched=vouched,
                host=doors.host,
                now=now,
            )
        if plain.method not in {Method.REQUEST, Method.CANCEL} or not places:
            return "ignored"
        told = []
        for place, address, tags in places:
            if not vouched and not meetings.is_theirs(
                session, keys=doors.keys, person_id=person.id, tags=tags
            ):
                told.append("unproven")
                continue
            zone = hours.zone(place.facility.zone)
            read = foreign_calendars.read(data, zone=zone, within=span, limits=meetings.LIMITS)
            told.append(
                meetings.take(
                    session,
                    person=person,
                    actor=actor,
                    instrument=place,
                    address=address,
                    read=read,
                    host=doors.host,
                    now=now,
                )
            )
    except BadCalendar:
        return "unreadable"
    return next((one for one in told if one == "answered"), told[0])


def _instruments(
    session: Session, mail: Incoming, doors: Doors
) -> list[tuple[Instrument, str, tuple[str, ...]]]:
    """Give the instruments to which the message was sent, with the address and its secrets."""
    found: dict[str, tuple[str, list[str]]] = {}
    for recipient in mail.recipients:
        plain, tag = itip.without_plus(recipient)
        code, _, domain = plain.rpartition("@")
        if doors.domain and domain == doors.domain.lower():
            _, tags = found.setdefault(code, (recipient, []))
            tags.append(tag)
    if not found:
        return []
    query = (
        select(Instrument)
        .where(func.lower(Instrument.code).in_(list(found)[:20]))
        .options(joinedload(Instrument.facility))
        .order_by(Instrument.id)
    )
    return [
        (place, found[place.code.lower()][0], tuple(found[place.code.lower()][1]))
        for place in session.scalars(query)
    ]


def _tags(mail: Incoming, mailbox: str) -> list[str]:
    """Give what stood after the plus sign of our own mailbox."""
    ours = mailbox.lower()
    split = [itip.without_plus(recipient) for recipient in mail.recipients]
    return [tag for plain, tag in split if plain == ours and tag]
