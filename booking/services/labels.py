"""What a label leads to: an instrument as it stands at this moment, and what its reader can do there."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from booking.domain.access import Actor, Subject, require
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Reason
from booking.domain.spans import Span
from booking.services import availability, bookings, faults, policies
from booking.services.availability import Bar
from models import Booking, Facility, Instrument, Occupation

AHEAD = timedelta(hours=24)
"""What comes later than this is not shown at the instrument."""

BEHIND = timedelta(days=3)
"""Somebody who has not left since is still looked for so far back."""

HOUR = timedelta(hours=1)
DAYS = 7
"""So many days ahead the next free hour is looked for."""


class Status(enum.StrEnum):
    """What an instrument is doing."""

    DOWN = "down"
    CLOSED = "closed"
    CLEANING = "cleaning"
    IN_USE = "in_use"
    BOOKED = "booked"
    FREE = "free"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an instrument is doing, until when, and what stands in its calendar of the next hours."""

    instrument: Instrument
    status: Status
    until: datetime | None
    bars: Sequence[Bar]
    following: Bar | None


@dataclass(frozen=True, slots=True)
class Moment:
    """An instrument at this moment; `until` is when that ends, as far as it is known."""

    status: Status
    until: datetime | None
    current: Sequence[Bar]
    following: Bar | None
    mine: Booking | None


def moment(session: Session, *, actor: Actor, instrument: Instrument, now: datetime) -> Moment:
    """Give what an instrument is doing, masked for the reader, and the reader's own booking that can be acted on."""
    [seen] = at_once(session, actor=actor, rows=[instrument], now=now)
    current = [bar for bar in seen.bars if bar.start <= now < bar.use_end]
    return Moment(
        seen.status,
        seen.until,
        current,
        seen.following,
        own(session, actor=actor, instrument=instrument, now=now),
    )


def at_once(session: Session, *, actor: Actor, rows: Sequence[Instrument], now: datetime) -> list[Seen]:
    """Give what instruments are doing, masked for the reader; a fixed number of statements for one who sees all."""
    within = Span(now, now + AHEAD)
    places = [row.id for row in rows]
    bars: dict[int, list[Bar]] = {place: [] for place in places}
    for bar in availability.occupations(session, actor=actor, instrument_ids=places, within=within, now=now):
        if bar.kind is not Kind.HOLD:
            bars[bar.instrument_id].append(bar)
    opened = availability.opening(session, instrument_ids=places, within=within)
    down = faults.down(session, instruments=rows, now=now)
    found = []
    for row in rows:
        around = [
            bar for bar in bars[row.id] if bar.start <= now < bar.end
        ]  # set-up and clean-up take time too
        following = next((bar for bar in bars[row.id] if bar.start > now), None)
        status, until = _status(session, row, around, following, opened[row.id], down.get(row.id), now)
        found.append(Seen(row, status, until, bars[row.id], following))
    return found


def _status(
    session: Session,
    instrument: Instrument,
    current: Sequence[Bar],
    following: Bar | None,
    opened: Sequence[Span],
    down: datetime | None,
    now: datetime,
) -> tuple[Status, datetime | None]:
    if down is not None:
        return Status.DOWN, down
    closed = [bar for bar in current if bar.kind is not Kind.BOOKING]
    if closed:
        return Status.CLOSED, max(bar.end for bar in closed)
    taken = sum(bar.quantity for bar in current)
    if taken >= instrument.units:
        held = [bar for bar in current if now < bar.use_end]
        if not held:
            return Status.CLEANING, min(bar.end for bar in current)
        used = any(_is_used(session, bar) for bar in held)
        return (Status.IN_USE if used else Status.BOOKED), min(bar.use_end for bar in held)
    here = next((span for span in opened if span.start <= now < span.end), None)
    if here is None:
        return Status.SHUT, min((span.start for span in opened if span.start > now), default=None)
    return Status.FREE, min(here.end, following.start) if following and instrument.units == 1 else here.end


def _is_used(session: Session, bar: Bar) -> bool:
    """Tell whether somebody has checked in; that the instrument is in use is seen by whoever stands before it."""
    if bar.state is not None:
        return bar.state is State.CHECKED_IN
    query = (
        select(Occupation.id)
        .join(Booking, Booking.id == Occupation.booking_id)
        .where(
            Occupation.instrument_id == bar.instrument_id,
            Occupation.starts_at == bar.start,
            Booking.state == State.CHECKED_IN,
        )
    )
    return session.scalars(query.limit(1)).first() is not None


def own(session: Session, *, actor: Actor, instrument: Instrument, now: datetime) -> Booking | None:
    """Give the actor's booking that is in use, or else the next that can be checked in to or is near."""
    if actor.person_id is None:
        return None
    rows, _total = bookings.listing(
        session,
        actor=actor,
        mine=True,
        instrument_id=instrument.id,
        within=Span(now - BEHIND, now + AHEAD),
        states=(State.CHECKED_IN, State.CONFIRMED),
    )
    used = [row for row in rows if row.state is State.CHECKED_IN]
    ahead = [row for row in rows if row.state is State.CONFIRMED and row.ends_at > now]
    return next(iter([*used, *ahead]), None)


def next_hour(
    session: Session, *, actor: Actor, instrument: Instrument, now: datetime
) -> tuple[Span | None, Sequence[Reason]]:
    """Give the next hour that the actor could have in the coming days, or why there is none.

    Where no hour can be had, the shortest use that can.
    """
    soonest = availability.next_free(
        session, instrument_ids=[instrument.id], now=now, days=DAYS, person_id=actor.person_id
    )[instrument.id]
    if soonest is None:
        return None, ()
    reasons: Sequence[Reason] = ()
    rules = policies.in_force(session, instrument, person_id=actor.person_id, start=soonest.start)
    step = timedelta(minutes=rules.step)
    hour = -(-HOUR // step) * step  # whole steps
    for length in (max(hour, soonest.duration), soonest.duration):
        span = Span(soonest.start, soonest.start + length)
        verdict = bookings.dry_run(session, actor=actor, items=[Item(instrument.id, span)], now=now)
        if verdict.allowed:
            return span, ()
        reasons = verdict.reasons
    return None, reasons


def of_facility(session: Session, *, actor: Actor, facility: Facility) -> list[Instrument]:
    """Give the instruments of a facility for its sheet of labels, by code.

    :raises Forbidden: if the actor is not of its staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility.id))
    query = select(Instrument).where(Instrument.facility_id == facility.id)
    return list(session.scalars(query.options(joinedload(Instrument.facility)).order_by(Instrument.code)))
