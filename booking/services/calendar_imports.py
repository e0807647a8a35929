"""Files of calendars taken over once: what becomes whose booking, what a closure, what neither; all or nothing."""

import enum
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Subject, require
from booking.domain.calendar_sources import Entry, Reading, window
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import bookings, closures, events, occupation
from models import ClosureKind, ImportedEvent, Instrument, Person, PersonState

MOST = 500
"""So many events of a file are taken over at once."""


class Became(enum.StrEnum):
    """What an event of a file turns into."""

    BOOKING = "booking"
    CLOSURE = "closure"
    NOTHING = "nothing"


class Whose(NamedTuple):
    """Somebody whom we know by an address in the file."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a file: what it becomes, whose booking; if nothing, why: a code, or what refuses it."""

    entry: Entry
    became: Became
    person: Whose | None = None
    why: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would bring, or brought; `unread` are its events that cannot be understood."""

    lines: tuple[Line, ...]
    unread: tuple[tuple[str, str], ...]
    cut: bool

    def count(self, became: Became) -> int:
        """Tell how many events turn into that."""
        return sum(line.became is became for line in self.lines)

    @property
    def fingerprint(self) -> str:
        """Give by what one plan is told from another."""
        told = [
            f"{known_by(line.entry)} {line.became} {line.person.id if line.person else ''}"
            for line in self.lines
        ]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


class Changed(Exception):
    """What a file would bring is no longer what was seen; `plan` is what it would bring now."""

    def __init__(self, plan: Plan) -> None:
        """Keep what it would bring now."""
        super().__init__()
        self.plan = plan


class _Tried(Exception):
    """Undoes what was only tried, and brings out what it was."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


def known_by(entry: Entry) -> str:
    """Give by what an event of a file is known again, though it has been moved meanwhile."""
    return hashlib.sha256(f"{entry.uid}\n{entry.recurrence}".encode()).hexdigest()[:40]


def check(
    session: Session,
    *,
    actor: Actor,
    instrument: Instrument,
    reading: Reading,
    closing: bool,
    words: str,
    most: int = MOST,
    now: datetime,
) -> Plan:
    """Tell what a file would bring to an instrument, and write nothing.

    What belongs to somebody whom we know by a confirmed address becomes their booking; the rest, if it is `closing`,
    a closure. `words` is why the rules that a manager may set aside are.

    :raises Forbidden: if the actor does not manage the instrument's facility
    :raises Invalid: if the file holds too much
    """
    try:
        with session.begin_nested():
            _undo(_write(session, actor, instrument, reading, closing, words, most, now))
    except _Tried as tried:
        return tried.plan


def apply(
    session: Session,
    *,
    actor: Actor,
    instrument: Instrument,
    reading: Reading,
    closing: bool,
    words: str,
    seen: str | None = None,
    most: int = MOST,
    now: datetime,
) -> Plan:
    """Take over what `check` told, all of it or nothing; a second time the same file brings nothing.

    :raises Forbidden: if the actor does not manage the instrument's facility
    :raises Invalid: if the file holds too much
    :raises Changed: if it would bring something else than the plan of the fingerprint that was `seen`
    """
    plan = _write(session, actor, instrument, reading, closing, words, most, now)
    if seen is not None and seen != plan.fingerprint:
        raise Changed(plan)
    _tell(session, actor, instrument, plan, now)
    session.flush()
    return plan


def _undo(plan: Plan) -> NoReturn:
    raise _Tried(plan)


def _write(
    session: Session,
    actor: Actor,
    instrument: Instrument,
    reading: Reading,
    closing: bool,
    words: str,
    most: int,
    now: datetime,
) -> Plan:
    require(actor, "calendar_source.keep", Subject(facility_id=instrument.facility_id))
    within = Span(now, window(now).end)
    found: dict[str, Entry] = {}
    for entry in sorted(reading.entries, key=lambda one: (one.span, one.uid, one.recurrence)):
        found.setdefault(known_by(entry), entry)
    if len(found) > most:
        raise Invalid({"file": "too_many"})
    occupation.lock(session, [instrument.id])
    taken_over = _taken_over(session, instrument, found)
    people = _people(session, found.values())
    together = uuid4()
    lines = []
    for key, entry in found.items():
        why = "known" if key in taken_over else _why_not(entry, within)
        person = next((people[one] for one in (entry.organizer, *entry.people) if one in people), None)
        if why:
            lines.append(Line(entry, Became.NOTHING, person, why))
        elif person is None and not closing:
            lines.append(Line(entry, Became.NOTHING, None, "nobody"))
        else:
            lines.append(_one(session, actor, instrument, key, entry, person, words, together, now))
    return Plan(tuple(lines), reading.problems, reading.cut)


def _taken_over(session: Session, instrument: Instrument, keys: Collection[str]) -> set[str]:
    query = select(ImportedEvent.key).where(ImportedEvent.instrument_id == instrument.id)
    return set(session.scalars(query)) & set(keys)


def _people(session: Session, entries: Collection[Entry]) -> dict[str, Whose]:
    """Give those who may sign in and have confirmed their address, by address."""
    addresses = sorted({one for entry in entries for one in (entry.organizer, *entry.people) if one})
    found: dict[str, Whose] = {}
    for first in range(0, len(addresses), 500):
        query = select(Person.email, Person.id, Person.name).where(
            Person.email.in_(addresses[first : first + 500]),
            Person.state == PersonState.ACTIVE,
            Person.email_confirmed_at.is_not(None),
        )
        found |= {email: Whose(person_id, name) for email, person_id, name in session.execute(query)}
    return found


def _why_not(entry: Entry, within: Span) -> str:
    if entry.status == "CANCELLED":
        return "cancelled"
    if entry.transparent:
        return "free"
    if entry.span.start >= entry.span.end:
        return "no_time"
    if entry.span.start <= within.start:
        return "past"
    return "far" if entry.span.start >= within.end else ""


def _one(
    session: Session,
    actor: Actor,
    instrument: Instrument,
    key: str,
    entry: Entry,
    person: Whose | None,
    words: str,
    together: UUID,
    now: datetime,
) -> Line:
    """Take over one event; what does not fit leaves nothing behind."""
    made = ImportedEvent(instrument_id=instrument.id, key=key, imported_at=now)
    try:
        with session.begin_nested():
            if person is None:
                made.closure_id = _close(session, actor, instrument, entry, now)
            else:
                made.booking_id = bookings.place(
                    session,
                    actor=actor,
                    items=[Item(instrument.id, entry.span)],
                    purpose=entry.title,
                    booked_for=person.id,
                    series_id=together,
                    override=words,
                    at_once=True,
                    now=now,
                ).id
            session.add(made)
            session.flush()
    except Refused as refusal:
        return Line(entry, Became.NOTHING, person, "refused", refusal.reasons)
    except Invalid:
        return Line(entry, Became.NOTHING, person, "not_ours")
    return Line(entry, Became.BOOKING if person else Became.CLOSURE, person)


def _close(session: Session, actor: Actor, instrument: Instrument, entry: Entry, now: datetime) -> UUID:
    closure, _met = closures.make(
        session,
        actor=actor,
        facility_id=instrument.facility_id,
        instrument_id=instrument.id,
        span=entry.span,
        kind=ClosureKind.CLOSURE,
        # What it is called may be nobody's business.
        reason="",
        imposed=False,
        now=now,
    )
    return closure.id


def _tell(session: Session, actor: Actor, instrument: Instrument, plan: Plan, now: datetime) -> None:
    """Tell each person once how many bookings they have by it."""
    counts: dict[UUID, int] = {}
    for line in plan.lines:
        if line.became is Became.BOOKING and line.person is not None:
            counts[line.person.id] = counts.get(line.person.id, 0) + 1
    for person_id, count in counts.items():
        events.record(
            session,
            actor=actor,
            kind="bookings.taken_over",
            now=now,
            facility_id=instrument.facility_id,
            subject=f"person:{person_id}",
            person_id=str(person_id),
            instrument=instrument.code,
            bookings=count,
        )
    taken_over: Sequence[Line] = [line for line in plan.lines if line.became is not Became.NOTHING]
    if taken_over:
        events.record(
            session,
            actor=actor,
            kind="calendar.imported",
            now=now,
            facility_id=instrument.facility_id,
            subject=f"instrument:{instrument.code}",
            bookings=plan.count(Became.BOOKING),
            closures=plan.count(Became.CLOSURE),
        )
