"""Standing by: putting oneself on the list for a day, saying that one is there, and being called."""

from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from booking.domain import standby
from booking.domain import waitlist as line
from booking.domain.access import Actor, Forbidden, NotFound, require
from booking.domain.hours import instant, zone
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, offers, policies, waitlist
from models import EntryState, OfferState, WaitlistEntry, WaitlistInstrument


def stand_by(
    session: Session,
    *,
    actor: Actor,
    instrument_id: int,
    day: date,
    least: int,
    most: int,
    lead: int,
    project_id: UUID | None = None,
    purpose: str = "",
    now: datetime,
) -> WaitlistEntry:
    """Stand by for a day at an instrument: for what others leave, `least` to `most` minutes of it.

    `lead` is how many minutes one needs to be there; with none one is called only when one has said that one is
    there. Until the day begins one waits in line like everybody. Asked again it is the same place with other figures.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: if the facility keeps no standby list there, or it could never be booked so
    :raises Invalid: if the wish makes no sense
    """
    require(actor, "waitlist.join")
    if actor.person_id is None:
        raise Forbidden("waitlist.join", sign_in=True)
    (row,) = waitlist.lock_shared(session, [instrument_id])
    bookings.require_visible(actor, [row])
    tz = zone(availability.zones(session, [row])[row.facility_id])
    begins, ends = instant(day, 0, tz), instant(day + timedelta(days=1), 0, tz)
    last = now.astimezone(tz).date() + timedelta(days=standby.DAYS_AHEAD)
    _check_standby(least, most, lead, purpose, over=ends <= now or day > last)
    window = Span(max(begins, now), ends)
    policy = policies.in_force(session, row, person_id=actor.person_id, start=window.start)
    if not policy.standby:
        raise Refused([Reason("no_standby", {"instrument": row.code})])
    organisation_id = bookings.wish_for(session, actor, None, (), {}, project_id, now).organisation_id
    waitlist.usable(session, actor, [row], window, max(least, policy.shortest), 1, now, at_once=True)
    entry = _stood_by(session, actor.person_id, row.id, ends)
    if entry is None:
        waitlist.check_number(session, actor.person_id)
        reach = line.reach(window, timedelta(minutes=policy.setup + policy.cleanup))
        entry = WaitlistEntry(
            id=uuid4(),
            person_id=actor.person_id,
            organisation_id=organisation_id,
            window_starts_at=window.start,
            window_ends_at=window.end,
            reach_starts_at=reach.start,
            reach_ends_at=reach.end,
            quantity=1,
            priority=line.USUAL,
            wish="",
            state=EntryState.WAITING,
            joined_at=now,
            places=[WaitlistInstrument(instrument_id=row.id)],
            offers=[],
        )
        session.add(entry)
    entry.minutes, entry.most_minutes, entry.lead_minutes = least, most, lead
    entry.project_id, entry.purpose = project_id, purpose
    session.flush()
    waitlist.look_again(session, entry, [row.id], now)
    waitlist.record(session, actor, "standby.joined", entry, now, facility_ids={row.facility_id})
    session.flush()
    return entry


def say_here(
    session: Session, *, actor: Actor, entry_id: UUID, here: bool = True, now: datetime
) -> WaitlistEntry:
    """Note that somebody on standby is there and ready, or no longer; they are called as soon as there is something.

    :raises NotFound: if there is no such place in the line for this actor
    :raises Forbidden: if it is neither theirs nor at a facility of which they are staff
    :raises Refused: if nobody stands by there any more, or the day has not begun
    """
    entry = waitlist.lock_entry(session, actor, entry_id, "standby.ready")
    if not waitlist.on_standby(entry) or entry.state not in waitlist.OPEN:
        raise Refused([Reason("not_in_line")])
    if entry.window_starts_at > now:
        raise Refused([Reason("standby_not_yet")])
    if (entry.here_at is not None) == here:
        return entry
    entry.here_at = now if here else None
    session.flush()
    if here:
        waitlist.look_again(session, entry, [place.instrument_id for place in entry.places], now)
    waitlist.record(session, actor, "standby.here" if here else "standby.gone", entry, now)
    session.flush()
    return entry


def call_next(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> WaitlistEntry:
    """Call the next on standby before who was called has let the time pass.

    :raises NotFound: if there is no such offer for this actor
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Refused: if it was answered, or is not one of the standby list
    """
    entry, found = waitlist.lock_offer(session, offer_id)
    if not waitlist.permitted(session, actor, "waitlist.see", entry):
        raise NotFound("offer", offer_id)
    if not waitlist.permitted(session, actor, "standby.call", entry):
        raise Forbidden("standby.call")
    if found.state is not OfferState.OPEN or not waitlist.on_standby(entry):
        raise Refused([Reason("offer_over", {"state": found.state.value})])
    offers.let_pass(session, actor, entry, found, OfferState.SILENT, now)
    return entry


def look_for_standby(session: Session, *, now: datetime) -> None:
    """Note the instruments at which somebody on standby can be called: what is free later is at hand by and by."""
    query = select(WaitlistEntry).where(WaitlistEntry.state == EntryState.WAITING, *waitlist.stands_by(now))
    for entry in session.scalars(query.options(selectinload(WaitlistEntry.places))):
        if waitlist.ready(entry, now):
            waitlist.look_again(session, entry, [place.instrument_id for place in entry.places], now)


def _check_standby(least: int, most: int, lead: int, purpose: str, *, over: bool) -> None:
    errors = {}
    if over:
        errors["day"] = "out_of_range"
    if not 1 <= least <= standby.LONGEST:
        errors["least"] = "out_of_range"
    if not least <= most <= standby.LONGEST:
        errors["most"] = "out_of_range"
    if not 0 <= lead <= standby.FARTHEST:
        errors["lead"] = "out_of_range"
    if len(purpose) > waitlist.LONGEST_PURPOSE:
        errors["purpose"] = "too_long_text"
    if errors:
        raise Invalid(errors)


def _stood_by(session: Session, person_id: UUID, instrument_id: int, ends: datetime) -> WaitlistEntry | None:
    query = (
        waitlist.loaded()
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            WaitlistEntry.person_id == person_id,
            WaitlistEntry.state.in_(waitlist.OPEN),
            WaitlistEntry.lead_minutes.is_not(None),
            WaitlistEntry.window_ends_at == ends,
            WaitlistInstrument.instrument_id == instrument_id,
        )
    )
    return session.scalars(query.limit(1)).first()
