"""What standing by comes to: the odds of a day by what happened before, who stands by, and what was used again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from booking.domain import standby
from booking.domain.access import Actor, Subject, require
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Policy
from booking.domain.spans import Span
from booking.domain.standby import History, Odds
from booking.services import availability, instruments, policies, standing_by, waitlist
from booking.services.waitlist import InLine
from models import (
    Booking,
    BookingItem,
    Instrument,
    Occupation,
    OfferState,
    Person,
    Usage,
    WaitlistEntry,
    WaitlistInstrument,
    WaitlistOffer,
)

LATELY, LONG = 90, 180
"""So many days back one looks; so many where that is too little."""

USUAL = 240
"""Who puts themselves on the list at a tablet uses so many minutes at most."""

MOST = 5000
"""Of so many bookings at most, the latest, the history is made."""

_OVER = (State.ENDED, State.NO_SHOW, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened before, in how many days, at the instrument or in the whole facility."""

    history: History
    days: int
    whole_facility: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What somebody may expect who stands by for a day: how many are before them, and the odds where they are known.

    `free` is that a place can simply be booked.
    """

    instrument: Instrument
    day: date
    offered: bool
    ahead: int
    seen: Seen
    odds: Odds | None
    booked: int
    mine: UUID | None
    free: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Hours that people who did not come left in so many days, and how many of them others used from standby."""

    days: int
    missed: float
    refilled: float
    called: int
    served: int


def outlook(
    session: Session, *, actor: Actor, code: str, day: date | None = None, minutes: int = 60, now: datetime
) -> Outlook:
    """Tell what may be expected of standing by for a day, today unless another is named.

    :raises NotFound: if there is no such instrument for this actor
    """
    row = instruments.by_code(session, actor=actor, code=code)
    tz = zone(row.facility.zone)
    day = day or now.astimezone(tz).date()
    whole = Span(instant(day, 0, tz), instant(day + timedelta(days=1), 0, tz))
    at = max(whole.start, now)
    policy = policies.in_force(session, row, person_id=actor.person_id, start=at)
    certain, doubtful = _taken(session, row, whole, actor, now)
    seen = history(session, instrument=row, minutes=minutes, now=now)
    opened = availability.opening(session, instrument_ids=[row.id], within=whole)[row.id]
    ahead, mine = _before(session, row, whole.end, actor)
    odds = standby.odds(
        certain,
        doubtful,
        history=seen.history,
        units=row.units,
        opened=opened,
        minutes=minutes,
        lead=0,
        grace=policy.grace or 0,
        ahead=ahead,
        now=now,
    )
    free = _free(session, row, Span(at, whole.end), policy, minutes, actor, now) if at < whole.end else False
    offered = bool(policy.standby and opened) and row.bookable and whole.end > now
    return Outlook(row, day, offered, ahead, seen, odds, len(doubtful), mine, free)


def history(session: Session, *, instrument: Instrument, minutes: int, now: datetime) -> Seen:
    """Give what became of bookings before: of the instrument where there were enough, else of its whole facility."""
    own = BookingItem.instrument_id == instrument.id
    every = BookingItem.instrument_id.in_(
        select(Instrument.id).where(Instrument.facility_id == instrument.facility_id)
    )
    looks = ((own, LATELY, False), (every, LATELY, True), (every, LONG, True))
    for which, days, whole in looks:
        seen = Seen(_history(session, which, instrument, minutes, days, now), days, whole)
        if seen.history.enough:
            break
    return seen


def today(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> list[InLine]:
    """Give who stands by at a facility today, in the order of the line.

    :raises Forbidden: if the actor is not of its staff
    """
    places, _ = waitlist.of_facility(
        session, actor=actor, facility_id=facility_id, standby_at=now, page_size=200
    )
    return places


def figures(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> Figures:
    """Give what the standby list of a facility came to of late.

    :raises Forbidden: if the actor is not of its staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    since = now - timedelta(days=LATELY)
    here = (Instrument.facility_id == facility_id, Booking.starts_at > since, Booking.starts_at <= now)
    missed = _items(session, *here, Booking.state == State.NO_SHOW)
    stood_by = select(WaitlistEntry.booking_id).where(
        WaitlistEntry.lead_minutes.is_not(None), WaitlistEntry.booking_id.is_not(None)
    )
    in_use = (State.CONFIRMED, State.CHECKED_IN, State.ENDED)
    used = _items(session, *here, Booking.id.in_(stood_by), Booking.state.in_(in_use))
    again = sum(
        (standby.refilled(spans, used.get(place, ())) for place, spans in missed.items()), timedelta()
    )
    total = sum((span.duration for spans in missed.values() for span in spans), timedelta())
    hour = timedelta(hours=1)
    called, served = _calls(session, facility_id, since)
    return Figures(LATELY, total / hour, again / hour, called, served)


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody who is called from standby: who, for what, and until when they may answer."""

    offer_id: UUID
    person_id: UUID
    name: str
    span: Span
    deadline: datetime


def kept_at(session: Session, *, rows: Sequence[Instrument], now: datetime) -> set[int]:
    """Give those of some instruments at which one may stand by now."""
    timetables = policies.timetables(session, rows, person_id=None)
    return {row.id for row in rows if row.bookable and timetables[row.id].at(now).standby}


def called(session: Session, *, instrument_ids: Sequence[int], now: datetime) -> dict[int, Called]:
    """Give who is called at some instruments at present; one statement."""
    query = (
        select(WaitlistOffer, WaitlistEntry.person_id, Person.name)
        .join(WaitlistEntry, WaitlistEntry.id == WaitlistOffer.entry_id)
        .join(Person, Person.id == WaitlistEntry.person_id)
        .where(
            WaitlistOffer.instrument_id.in_(instrument_ids),
            WaitlistOffer.state == OfferState.OPEN,
            WaitlistOffer.deadline > now,
            WaitlistEntry.lead_minutes.is_not(None),
        )
        .order_by(WaitlistOffer.offered_at.desc())
    )
    return {
        offer.instrument_id: Called(
            offer.id, person_id, name, Span(offer.starts_at, offer.ends_at), offer.deadline
        )
        for offer, person_id, name in session.execute(query)
    }


def be_here(session: Session, *, actor: Actor, instrument: Instrument, now: datetime) -> WaitlistEntry:
    """Say at the instrument that one is there and ready; who does not stand by yet does so from now on.

    :raises Refused: if the facility keeps no standby list there
    """
    tz = zone(instrument.facility.zone)
    day = now.astimezone(tz).date()
    _, own = _before(session, instrument, instant(day + timedelta(days=1), 0, tz), actor)
    if own is None:
        policy = policies.in_force(session, instrument, person_id=actor.person_id, start=now)
        own = standing_by.stand_by(
            session,
            actor=actor,
            instrument_id=instrument.id,
            day=day,
            least=policy.shortest,
            most=max(policy.shortest, min(USUAL, policy.longest or USUAL)),
            lead=0,
            now=now,
        ).id
    return standing_by.say_here(session, actor=actor, entry_id=own, now=now)


# --- how ------------------------------------------------------------------------------------------


def _history(
    session: Session,
    which: ColumnElement[bool],
    instrument: Instrument,
    minutes: int,
    days: int,
    now: datetime,
) -> History:
    query = (
        select(Booking.state, Booking.starts_at, Booking.updated_at, Usage.early_minutes)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .outerjoin(Usage, Usage.booking_id == Booking.id)
        .where(
            which,
            Booking.starts_at > now - timedelta(days=days),
            Booking.ends_at <= now,
            Booking.state.in_(_OVER),
        )
        .order_by(Booking.starts_at.desc())
        .limit(MOST)
    )
    tz = zone(instrument.facility.zone)
    count = missed = cancelled = early = 0
    for state, start, changed, left in session.execute(query):
        if state is State.CANCELLED and changed.astimezone(tz).date() < start.astimezone(tz).date():
            continue  # given up in time for the line
        count += 1
        missed += state is State.NO_SHOW
        cancelled += state is State.CANCELLED
        early += state is State.ENDED and (left or 0) >= minutes
    return History(count, missed, cancelled, early)


def _taken(
    session: Session, row: Instrument, whole: Span, actor: Actor, now: datetime
) -> tuple[list[Span], list[Span]]:
    """Give what stays taken that day, and the bookings whose people may stay away; a span for each unit."""
    query = (
        select(
            Occupation.starts_at,
            Occupation.ends_at,
            Occupation.quantity,
            Occupation.kind,
            Booking.state,
            Booking.person_id,
        )
        .outerjoin(Booking, Booking.id == Occupation.booking_id)
        .where(
            Occupation.instrument_id == row.id,
            Occupation.starts_at < whole.end,
            Occupation.ends_at > whole.start,
        )
    )
    certain: list[Span] = []
    doubtful: list[Span] = []
    for start, end, quantity, kind, state, person_id in session.execute(query):
        open_still = kind is Kind.BOOKING and state is State.CONFIRMED and start > now
        spans = doubtful if open_still and person_id != actor.person_id else certain
        spans += [Span(max(start, whole.start), min(end, whole.end))] * min(quantity, row.units)
    return certain, doubtful


def _before(session: Session, row: Instrument, ends: datetime, actor: Actor) -> tuple[int, UUID | None]:
    """Count who stands by there that day before the actor, and give the actor's own place."""
    query = (
        select(WaitlistEntry.id, WaitlistEntry.person_id)
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            WaitlistInstrument.instrument_id == row.id,
            WaitlistEntry.state.in_(waitlist.OPEN),
            WaitlistEntry.lead_minutes.is_not(None),
            WaitlistEntry.window_ends_at == ends,
        )
        .order_by(WaitlistEntry.priority, WaitlistEntry.joined_at, WaitlistEntry.id)
    )
    for number, (entry_id, person_id) in enumerate(found := session.execute(query).all()):
        if person_id == actor.person_id:
            return number, entry_id
    return len(found), None


def _free(
    session: Session,
    row: Instrument,
    within: Span,
    policy: Policy,
    minutes: int,
    actor: Actor,
    now: datetime,
) -> bool:
    step = timedelta(minutes=policy.step)
    length = -(-timedelta(minutes=max(minutes, policy.shortest)) // step) * step
    return (
        availability.first_use(
            session,
            instrument=row,
            length=length,
            within=within,
            quantity=1,
            person_id=actor.person_id,
            now=now,
        )
        is not None
    )


def _items(session: Session, *which: ColumnElement[bool]) -> dict[int, list[Span]]:
    query = (
        select(BookingItem.instrument_id, BookingItem.starts_at, BookingItem.ends_at)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(*which)
    )
    found: dict[int, list[Span]] = {}
    for place, start, end in session.execute(query):
        found.setdefault(place, []).append(Span(start, end))
    return found


def _calls(session: Session, facility_id: int, since: datetime) -> tuple[int, int]:
    """Count the places on standby that were called, and those that became bookings."""
    query = (
        select(func.count(WaitlistEntry.id.distinct()), func.count(WaitlistEntry.booking_id.distinct()))
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .join(Instrument, Instrument.id == WaitlistInstrument.instrument_id)
        .where(
            Instrument.facility_id == facility_id,
            WaitlistEntry.lead_minutes.is_not(None),
            WaitlistEntry.joined_at > since,
            WaitlistEntry.offers.any(),
        )
    )
    called, served = session.execute(query).one()
    return called, served
