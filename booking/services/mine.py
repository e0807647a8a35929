"""What a researcher's own desk tells: what is open, hours and money of the month, and of a leader's group."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Integer, cast, func, or_, select
from sqlalchemy.orm import Session

from booking.domain import attendance
from booking.domain.access import Actor
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import availability, bookings, desks, waitlist
from models import (
    Booking,
    BookingItem,
    CalendarQuestion,
    Person,
    Project,
    QuestionState,
    Usage,
    WaitlistEntry,
)

COUNTED = (State.CONFIRMED, State.CHECKED_IN, State.ENDED, State.NO_SHOW)
"""Bookings that cost hours and money; a request that waits does not yet."""

MOST_LINES = 500
MOST_GROUP = 50


@dataclass(frozen=True, slots=True)
class Spent:
    """What the bookings of a project are estimated to cost, so far and still to come; `open` are by agreement."""

    project: Project | None
    past: Decimal
    ahead: Decimal
    open: int

    @property
    def total(self) -> Decimal:
        """Give both together."""
        return self.past + self.ahead


@dataclass(frozen=True, slots=True)
class Share:
    """What one member booked for one project (None: for none)."""

    person_id: UUID
    person: str
    project: Project | None
    bookings: int
    seconds: int


def to_comment(session: Session, *, actor: Actor, now: datetime) -> list[Booking]:
    """Give the actor's last uses of which they may still say in time how they went."""
    since = now - attendance.FEEDBACK_WITHIN
    ids = session.scalars(
        select(Usage.booking_id)
        .join(Booking, Booking.id == Usage.booking_id)
        .where(
            Booking.person_id == actor.person_id,
            Booking.state == State.ENDED,
            Usage.feedback_at.is_(None),
            Usage.checked_out_at > since,
        )
        .limit(10)
    ).all()
    return bookings.by_ids(session, ids=ids) if ids else []


def questions(session: Session, *, actor: Actor, now: datetime) -> list[tuple[UUID, Booking, bool]]:
    """Give what is asked about the actor's bookings and not over: each with its booking, and whether staff ask."""
    found = session.execute(
        select(CalendarQuestion.id, CalendarQuestion.booking_id, CalendarQuestion.asked_by)
        .join(Booking, Booking.id == CalendarQuestion.booking_id)
        .where(
            CalendarQuestion.person_id == actor.person_id,
            CalendarQuestion.state == QuestionState.OPEN,
            Booking.ends_at > now,
            or_(CalendarQuestion.answer_by.is_(None), CalendarQuestion.answer_by > now),
        )
    ).all()
    if not found:
        return []
    rows = {row.id: row for row in bookings.by_ids(session, ids=[booking_id for _, booking_id, _ in found])}
    return [(key, rows[place], by is not None) for key, place, by in found if place in rows]


def wishes(session: Session, *, actor: Actor) -> int:
    """Count the actor's open places in lines, flexible wishes among them."""
    query = select(func.count()).select_from(WaitlistEntry)
    query = query.where(WaitlistEntry.person_id == actor.person_id, WaitlistEntry.state.in_(waitlist.OPEN))
    return session.scalar(query) or 0


def hours_booked(session: Session, *, actor: Actor, within: Span) -> int:
    """Give how many seconds the actor's bookings take of a span."""
    seconds = desks.seconds_between(session, BookingItem.starts_at, BookingItem.ends_at, within)
    query = (
        select(cast(func.sum(seconds), Integer))
        .select_from(BookingItem)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(
            Booking.person_id == actor.person_id,
            Booking.state.in_(COUNTED),
            BookingItem.starts_at < within.end,
            BookingItem.ends_at > within.start,
        )
    )
    return session.scalar(query) or 0


def spending(session: Session, *, actor: Actor, within: Span, now: datetime) -> list[Spent]:
    """Estimate what the actor's bookings that begin in a span cost, by project, the dearest first."""
    rows = session.execute(
        select(
            Booking.project_id,
            BookingItem.instrument_id,
            BookingItem.starts_at,
            BookingItem.ends_at,
            BookingItem.quantity,
        )
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(
            Booking.person_id == actor.person_id,
            Booking.state.in_(COUNTED),
            BookingItem.starts_at >= within.start,
            BookingItem.starts_at < within.end,
        )
        .order_by(BookingItem.starts_at)
        .limit(MOST_LINES)
    ).all()
    if not rows:
        return []
    items = [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in rows]
    charges = availability.estimates(session, actor=actor, items=items)
    sums: dict[UUID | None, tuple[Decimal, Decimal, int]] = {}
    for row, charge in zip(rows, charges, strict=True):
        past, ahead, unpriced = sums.get(row.project_id, (Decimal(), Decimal(), 0))
        if charge is None:
            unpriced += 1
        elif row.ends_at <= now:
            past += charge.amount
        else:
            ahead += charge.amount
        sums[row.project_id] = past, ahead, unpriced
    known = _projects(session, [key for key in sums if key is not None])
    found = [Spent(known.get(key) if key else None, *figures) for key, figures in sums.items()]
    return sorted(found, key=lambda one: (-one.total, one.project.code if one.project else ""))


def group(session: Session, *, actor: Actor, within: Span) -> list[Share]:
    """Give what members of the organisations and projects that the actor leads booked in a span, the most first."""
    if actor.person_id is None:
        return []
    led = select(Project.id).where(Project.leader_id == actor.person_id)
    seconds = func.sum(desks.seconds_between(session, BookingItem.starts_at, BookingItem.ends_at, within))
    rows = session.execute(
        select(
            Person.id,
            Person.name,
            Booking.project_id,
            func.count(Booking.id.distinct()),
            cast(seconds, Integer),
        )
        .select_from(BookingItem)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Person, Person.id == Booking.person_id)
        .where(
            or_(Booking.organisation_id.in_(actor.leads), Booking.project_id.in_(led)),
            Booking.state.in_(COUNTED),
            BookingItem.starts_at < within.end,
            BookingItem.ends_at > within.start,
        )
        .group_by(Person.id, Person.name, Booking.project_id)
        .order_by(seconds.desc(), Person.name)
        .limit(MOST_GROUP)
    ).all()
    known = _projects(session, [row[2] for row in rows if row[2] is not None])
    return [Share(row[0], row[1], known.get(row[2]) if row[2] else None, row[3], row[4]) for row in rows]


def leads(session: Session, *, actor: Actor) -> bool:
    """Tell whether the actor leads an organisation or a project."""
    if actor.leads or actor.person_id is None:
        return bool(actor.leads)
    return session.scalar(select(Project.id).where(Project.leader_id == actor.person_id).limit(1)) is not None


def _projects(session: Session, ids: Sequence[UUID]) -> dict[UUID, Project]:
    if not ids:
        return {}
    return {row.id: row for row in session.scalars(select(Project).where(Project.id.in_(set(ids))))}
