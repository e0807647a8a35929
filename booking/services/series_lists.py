"""Lists of series: one's own and those of a facility, with how many dates are over, ahead and left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session, joinedload

from booking.domain import recurrence
from booking.domain.access import Actor, Subject, require
from booking.domain.lifecycle import State
from booking.domain.recurrence import Rule
from booking.services.series import LIVE
from models import Booking, Instrument, Person, Series

COMING = (State.REQUESTED, State.CONFIRMED, State.CHECKED_IN)
"""A date in one of these states is still to be, or just is, unless its time has passed."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A series in a line: its rule, when its next date is, how many are done, ahead, and left out or given up.

    `shown_at` is its next date, or else its last.
    """

    series: Series
    instrument: Instrument
    person: Person
    rule: Rule
    shown_at: datetime | None
    next_at: datetime | None
    next_ends_at: datetime | None
    waiting: int
    done: int
    ahead: int
    skipped: int


class _Date(NamedTuple):
    person_id: UUID
    day: date
    state: State
    starts_at: datetime
    ends_at: datetime


def own(
    session: Session, *, actor: Actor, over: bool = False, page: int = 1, page_size: int = 20, now: datetime
) -> tuple[list[Summary], int]:
    """Give a page of the actor's own series and of those they booked for others, and how many there are.

    Those that go on come first by their next date; with `over` those of which nothing is ahead, the last first.
    """
    require(actor, "booking.list")
    for_others = exists().where(Booking.series_id == Series.id, Booking.booked_by_id == actor.person_id)
    return _page(session, or_(Series.person_id == actor.person_id, for_others), over, page, page_size, now)


def of_facility(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    over: bool = False,
    page: int = 1,
    page_size: int = 20,
    now: datetime,
) -> tuple[list[Summary], int]:
    """Give a page of the series on the instruments of a facility, for its staff, and how many there are.

    :raises Forbidden: if the actor does not run the facility's day
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    there = select(Instrument.id).where(Instrument.facility_id == facility_id)
    return _page(session, Series.instrument_id.in_(there), over, page, page_size, now)


def any_going_on(session: Session, *, actor: Actor, now: datetime) -> int:
    """Count the series of the actor that go on; one statement."""
    query = select(func.count()).where(Series.person_id == actor.person_id, exists(_coming(now)))
    return session.scalar(query) or 0


def _page(
    session: Session, which: ColumnElement[bool], over: bool, page: int, page_size: int, now: datetime
) -> tuple[list[Summary], int]:
    goes_on = exists(_coming(now))
    chosen = and_(which, not_(goes_on) if over else goes_on)
    total = session.scalar(select(func.count()).select_from(Series).where(chosen)) or 0
    next_at = select(func.min(Booking.starts_at)).where(*_still(now)).correlate(Series).scalar_subquery()
    order = (Series.updated_at.desc(), Series.id) if over else (next_at, Series.id)
    rows = session.scalars(
        select(Series).where(chosen).order_by(*order).limit(page_size).offset((page - 1) * page_size)
    ).all()
    return _summaries(session, rows, now), total


def _coming(now: datetime) -> Select[UUID]:
    return select(Booking.id).where(*_still(now)).correlate(Series)


def _still(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Booking.series_id == Series.id,
        Booking.series_id.is_not(None),  # as the partial index says it
        Booking.state.in_(COMING),
        Booking.ends_at > now,
    )


def _summaries(session: Session, rows: Sequence[Series], now: datetime) -> list[Summary]:
    """Count the dates of these series; the statements do not grow in number with them."""
    if not rows:
        return []
    dates = _dates(session, [row.id for row in rows])
    places = session.scalars(
        select(Instrument)
        .options(joinedload(Instrument.facility))
        .where(Instrument.id.in_({row.instrument_id for row in rows}))
    )
    of_id = {place.id: place for place in places}
    people = session.scalars(select(Person).where(Person.id.in_({row.person_id for row in rows})))
    whose = {person.id: person for person in people}
    return [
        _summary(row, of_id[row.instrument_id], whose[row.person_id], dates.get(row.id, ()), now)
        for row in rows
    ]


def _dates(session: Session, series_ids: Iterable[UUID]) -> dict[UUID, list[_Date]]:
    query = select(
        Booking.series_id,
        Booking.person_id,
        Booking.series_day,
        Booking.state,
        Booking.starts_at,
        Booking.ends_at,
    ).where(Booking.series_id.in_(list(series_ids)), Booking.series_day.is_not(None))
    found: dict[UUID, list[_Date]] = {}
    for series_id, whose, day, state, start, end in session.execute(query):
        if series_id is not None and day is not None:
            found.setdefault(series_id, []).append(_Date(whose, day, state, start, end))
    return found


def _summary(
    row: Series, instrument: Instrument, person: Person, dates: Iterable[_Date], now: datetime
) -> Summary:
    rule = recurrence.parse(row.rule, row.first_day)
    known = list(dates)
    live = [one for one in known if one.state in LIVE]
    own_dates = [one for one in live if one.person_id == row.person_id]
    coming = [one for one in own_dates if one.state in COMING and one.ends_at > now]
    every = {one.day for one in known} | set(recurrence.days(rule, row.first_day))
    first = min(coming, key=lambda one: one.starts_at, default=None)
    return Summary(
        series=row,
        instrument=instrument,
        person=person,
        rule=rule,
        shown_at=first.starts_at if first else max((one.starts_at for one in known), default=None),
        next_at=first.starts_at if first else None,
        next_ends_at=first.ends_at if first else None,
        waiting=sum(one.state is State.REQUESTED for one in coming),
        done=len(own_dates) - len(coming),
        ahead=len(coming),
        skipped=len(every - {one.day for one in live}),
    )
