"""The waitlist: who waits for time, to whom time that came free is offered, and what becomes of the offer.

What the ledger gives back is noted as `Freed` where somebody waits for it. For each note the first in line whose
wish fits gets an offer: a hold with a deadline. Nobody else hears of it until it is declined or its deadline passes.
Commands lock in this order: instruments, then the place in the line, then its offer.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from booking.domain import one_time, standby
from booking.domain import waitlist as line
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.availability import on_step
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import LONGEST, Invalid, Reason, Refused, refusals
from booking.domain.spans import Span, busy, intersect, merge, subtract
from booking.domain.waitlist import Waiting
from booking.services import (
    acting,
    availability,
    bookings,
    catalogue,
    events,
    holds,
    mailed_links,
    occupation,
    policies,
    prospects,
    wish_reasons,
)
from booking.services.catalogue import Filters
from models import (
    Booking,
    BookingItem,
    EntryState,
    Freed,
    Instrument,
    OfferState,
    OneTimeLink,
    Part,
    Purpose,
    WaitlistEntry,
    WaitlistInstrument,
    WaitlistOffer,
)

MOST_PLACES = 50
"""Nobody waits in more lines at once."""

MOST_WINDOWS = 12
MOST_INSTRUMENTS = 200
"""A wish is for any of so many instruments at most."""

LONGEST_WINDOW = timedelta(days=92)
LONGEST_PURPOSE, LONGEST_WISH, LONGEST_REASON = 2000, 500, 500
MOST_TRIES = 6
"""At so many times of a window somebody's wish is tried, before the next in line has their turn."""

OPEN = (EntryState.WAITING, EntryState.OFFERED)
PASSED = (OfferState.DECLINED, OfferState.SILENT)
_USED = (State.CONFIRMED, State.CHECKED_IN, State.ENDED, State.NO_SHOW)
_LASTING = {"not_bookable", "too_many_units", "too_short", "too_long", "off_step"}
"""What stands against a use at any time of a window."""


@dataclass(frozen=True, slots=True)
class InLine:
    """A place in the line with what its reader wants to know; `ahead` is how many have their turn before."""

    entry: WaitlistEntry
    instruments: Sequence[Instrument]
    ahead: int
    offer: WaitlistOffer | None

    @property
    def windows(self) -> tuple[Span, ...]:
        """Give the parts of the window in which the use may lie, none for anywhere in it."""
        return line.read(self.entry.windows)


@dataclass(frozen=True, slots=True)
class Work:
    """Time that came free on an instrument, as noted so far."""

    instrument_id: int
    notes: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Turn:
    """Who waits for some time in their order, on which instruments, and what they have let pass."""

    ranked: list[Waiting]
    wanted: dict[UUID, list[int]]
    passed: dict[tuple[UUID, int], list[Span]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to be offered what, and whom the rules made pass over on the way to them."""

    entry_id: UUID
    instrument_id: int
    span: Span
    passed_over: frozenset[UUID] = frozenset()


# --- joining and leaving --------------------------------------------------------------------------


def join(
    session: Session,
    *,
    actor: Actor,
    instrument_ids: Iterable[int],
    window: Span,
    minutes: int,
    quantity: int = 1,
    project_id: UUID | None = None,
    purpose: str = "",
    wish: str = "",
    windows: Sequence[Span] = (),
    at_once: bool = False,
    may_move: bool = False,
    now: datetime,
) -> WaitlistEntry:
    """Wait for time on any of the instruments within the window; the same wish twice is one place in the line.

    With `windows`, parts of the window, the use may lie in these only. With `at_once` what is found is booked, else it
    is offered. With `may_move` the booking that comes of it may be moved by up to a day, so that others find room.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: if none of them could ever be booked so, or the actor waits in too many lines
    :raises Invalid: if the wish makes no sense
    """
    require(actor, "waitlist.join")
    if actor.person_id is None:
        raise Forbidden("waitlist.join", sign_in=True)
    wanted = sorted(set(instrument_ids))
    windows = merge(windows)
    _check(wanted, window, minutes, quantity, purpose, wish, now)
    _check_windows(window, windows, minutes)
    rows = _share(session, wanted)
    bookings.require_visible(actor, rows)
    organisation_id = bookings.wish_for(session, actor, None, (), {}, project_id, now).organisation_id
    places = usable(session, actor, rows, window, minutes, quantity, now)
    known = _same(session, actor.person_id, places, window, minutes, quantity)
    if known is not None:
        known.windows, known.at_once, known.may_move = line.kept(windows), at_once, may_move
        _look_again(session, known, places, now)
        return known
    _check_number(session, actor.person_id)
    around = max(row.setup_minutes or 0 for row in rows) + max(row.cleanup_minutes or 0 for row in rows)
    reach = line.reach(window, timedelta(minutes=around))
    entry = WaitlistEntry(
        id=uuid4(),
        person_id=actor.person_id,
        organisation_id=organisation_id,
        project_id=project_id,
        window_starts_at=window.start,
        window_ends_at=window.end,
        reach_starts_at=reach.start,
        reach_ends_at=reach.end,
        minutes=minutes,
        quantity=quantity,
        priority=line.USUAL,
        purpose=purpose,
        wish=wish,
        windows=line.kept(windows),
        at_once=at_once,
        may_move=may_move,
        reasons=[],
        state=EntryState.WAITING,
        joined_at=now,
        places=[WaitlistInstrument(instrument_id=place) for place in places],
        offers=[],
    )
    session.add(entry)
    session.flush()
    _look_again(session, entry, places, now)
    _record(session, actor, "waitlist.joined", entry, now, facility_ids={row.facility_id for row in rows})
    session.flush()
    return entry


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
    (row,) = _share(session, [instrument_id])
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
    usable(session, actor, [row], window, max(least, policy.shortest), 1, now, at_once=True)
    entry = _stood_by(session, actor.person_id, row.id, ends)
    if entry is None:
        _check_number(session, actor.person_id)
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
    _look_again(session, entry, [row.id], now)
    _record(session, actor, "standby.joined", entry, now, facility_ids={row.facility_id})
    session.flush()
    return entry


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
    if len(purpose) > LONGEST_PURPOSE:
        errors["purpose"] = "too_long_text"
    if errors:
        raise Invalid(errors)


def _stood_by(session: Session, person_id: UUID, instrument_id: int, ends: datetime) -> WaitlistEntry | None:
    query = (
        _loaded()
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            WaitlistEntry.person_id == person_id,
            WaitlistEntry.state.in_(OPEN),
            WaitlistEntry.lead_minutes.is_not(None),
            WaitlistEntry.window_ends_at == ends,
            WaitlistInstrument.instrument_id == instrument_id,
        )
    )
    return session.scalars(query.limit(1)).first()


def say_here(
    session: Session, *, actor: Actor, entry_id: UUID, here: bool = True, now: datetime
) -> WaitlistEntry:
    """Note that somebody on standby is there and ready, or no longer; they are called as soon as there is something.

    :raises NotFound: if there is no such place in the line for this actor
    :raises Forbidden: if it is neither theirs nor at a facility of which they are staff
    :raises Refused: if nobody stands by there any more, or the day has not begun
    """
    entry = _lock_entry(session, actor, entry_id, "standby.ready")
    if not on_standby(entry) or entry.state not in OPEN:
        raise Refused([Reason("not_in_line")])
    if entry.window_starts_at > now:
        raise Refused([Reason("standby_not_yet")])
    if (entry.here_at is not None) == here:
        return entry
    entry.here_at = now if here else None
    session.flush()
    if here:
        _look_again(session, entry, [place.instrument_id for place in entry.places], now)
    _record(session, actor, "standby.here" if here else "standby.gone", entry, now)
    session.flush()
    return entry


def call_next(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> WaitlistEntry:
    """Call the next on standby before who was called has let the time pass.

    :raises NotFound: if there is no such offer for this actor
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Refused: if it was answered, or is not one of the standby list
    """
    entry, found = _lock_offer(session, offer_id)
    if not _may(session, actor, "waitlist.see", entry):
        raise NotFound("offer", offer_id)
    if not _may(session, actor, "standby.call", entry):
        raise Forbidden("standby.call")
    if found.state is not OfferState.OPEN or not on_standby(entry):
        raise Refused([Reason("offer_over", {"state": found.state.value})])
    _pass_on(session, actor, entry, found, OfferState.SILENT, now)
    return entry


def instruments_for(session: Session, *, actor: Actor, filters: Filters) -> list[int]:
    """Give the bookable instruments that words, classes and abilities name.

    :raises Invalid: if they name none, or too many to wait for
    """
    query = select(Instrument.id).where(
        Instrument.id.in_(catalogue.matching(filters, actor)), Instrument.bookable
    )
    found = list(session.scalars(query.order_by(Instrument.id).limit(MOST_INSTRUMENTS + 1)))
    if not found:
        raise Invalid({"instruments": "unknown"})
    if len(found) > MOST_INSTRUMENTS:
        raise Invalid({"instruments": "too_large"})
    return found


def helps(reasons: Iterable[Reason], items: Sequence[Item]) -> bool:
    """Tell whether waiting in line is a way out of a refusal: of one instrument, of which only the time is taken."""
    codes = {reason.code for reason in reasons}
    return len(items) == 1 and codes == {"taken"} and items[0].span.duration <= LONGEST_WINDOW


def way_out(
    session: Session, *, reasons: Iterable[Reason], items: Sequence[Item]
) -> list[availability.Alternative]:
    """Give the refused time itself, to be waited for, where that helps."""
    if not helps(reasons, items):
        return []
    item = items[0]
    code = session.scalar(select(Instrument.code).where(Instrument.id == item.instrument_id)) or ""
    return [availability.Alternative(item.instrument_id, code, *item.span, "waitlist")]


def leave(session: Session, *, actor: Actor, entry_id: UUID, now: datetime) -> WaitlistEntry:
    """Wait no longer; what was offered goes to the next in line.

    :raises NotFound: if there is no such place in the line for this actor
    :raises Forbidden: if the actor may see but not give it up
    :raises Stale: if something was offered at this very moment
    """
    offer_id = session.scalar(_open_offer(entry_id))
    offer = _lock_offer(session, offer_id)[1] if offer_id is not None else None
    entry = _lock_entry(session, actor, entry_id, "waitlist.answer")
    if entry.state not in OPEN:
        return entry
    if session.scalar(_open_offer(entry_id)) not in {None, offer_id}:
        raise bookings.Stale
    if offer is not None and offer.state is OfferState.OPEN:
        _close(session, offer, OfferState.WITHDRAWN, now)
    _end(entry, EntryState.LEFT, now)
    _record(session, actor, "waitlist.left", entry, now)
    session.flush()
    return entry


def rank(
    session: Session, *, actor: Actor, entry_id: UUID, priority: int, reason: str, now: datetime
) -> WaitlistEntry:
    """Put a place into another class of priority; why stands in the history.

    :raises NotFound: if there is no such place in the line for this actor
    :raises Forbidden: if the actor does not manage every facility of it
    :raises Invalid: without a reason, or if there is no such class
    :raises Refused: if nobody waits there any more
    """
    if not line.FIRST <= priority <= line.LAST:
        raise Invalid({"priority": "out_of_range"})
    if not 3 <= len(reason.strip()) <= LONGEST_REASON:
        raise Invalid({"reason": "required" if len(reason.strip()) < 3 else "too_long_text"})
    entry = _lock_entry(session, actor, entry_id, "waitlist.rank")
    if entry.state not in OPEN:
        raise Refused([Reason("not_in_line")])
    before, entry.priority = entry.priority, priority
    if before != priority:
        _record(session, actor, "waitlist.ranked", entry, now, before=before, after=priority, reason=reason)
    session.flush()
    return entry


# --- reading --------------------------------------------------------------------------------------


def mine(session: Session, *, actor: Actor, over: int = 20) -> list[InLine]:
    """Give the lines in which the actor waits, those with an offer first, and a few that are over."""
    require(actor, "waitlist.list")
    own = _loaded().where(WaitlistEntry.person_id == actor.person_id)
    waiting = session.scalars(
        own.where(WaitlistEntry.state.in_(OPEN)).order_by(
            WaitlistEntry.state, WaitlistEntry.window_starts_at, WaitlistEntry.id
        )
    ).all()
    past = session.scalars(
        own.where(WaitlistEntry.state.not_in(OPEN)).order_by(WaitlistEntry.ended_at.desc()).limit(over)
    ).all()
    return _in_line(session, [*waiting, *past])


def offered(session: Session, *, actor: Actor, now: datetime) -> int:
    """Count the times that are kept for the actor until they answer; one statement."""
    query = (
        select(func.count())
        .select_from(WaitlistOffer)
        .join(WaitlistEntry, WaitlistEntry.id == WaitlistOffer.entry_id)
        .where(
            WaitlistEntry.person_id == actor.person_id,
            WaitlistOffer.state == OfferState.OPEN,
            WaitlistOffer.deadline > now,
        )
    )
    return session.scalar(query) or 0


def of_facility(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    standby_at: datetime | None = None,
    page: int = 1,
    page_size: int = 50,
) -> tuple[list[InLine], int]:
    """Give who waits for any instrument of a facility, in the order of the line, and how many there are.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    there = (
        select(WaitlistInstrument.entry_id)
        .join(Instrument, Instrument.id == WaitlistInstrument.instrument_id)
        .where(Instrument.facility_id == facility_id)
    )
    chosen: tuple[ColumnElement[bool], ...] = (WaitlistEntry.state.in_(OPEN), WaitlistEntry.id.in_(there))
    if standby_at is not None:
        chosen = (*chosen, *_standing_by(standby_at))
    total = session.scalar(select(func.count()).select_from(WaitlistEntry).where(*chosen)) or 0
    query = _loaded().where(*chosen).order_by(*_ORDER).limit(page_size).offset((page - 1) * page_size)
    return _in_line(session, session.scalars(query).all()), total


def get(session: Session, *, actor: Actor, entry_id: UUID) -> InLine:
    """Give one place in the line.

    :raises NotFound: if there is none, or none that this actor may see
    """
    entry = session.scalars(_loaded().where(WaitlistEntry.id == entry_id)).one_or_none()
    if entry is None or not _may(session, actor, "waitlist.see", entry):
        raise NotFound("waitlist entry", entry_id)
    return _in_line(session, [entry])[0]


def entry_of(session: Session, *, offer_id: UUID) -> InLine:
    """Give the place in the line to which an offer was made; for who holds its link.

    :raises NotFound: if there is no such offer
    """
    found = select(WaitlistOffer.entry_id).where(WaitlistOffer.id == offer_id).scalar_subquery()
    entry = session.scalars(_loaded().where(WaitlistEntry.id == found)).one_or_none()
    if entry is None:
        raise NotFound("offer", offer_id)
    return _in_line(session, [entry])[0]


# --- answering an offer ---------------------------------------------------------------------------


def accept(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> Booking:
    """Book what was offered. Accepted again it gives the booking that it made.

    :raises NotFound: if nothing of the kind was offered to this actor
    :raises Refused: if the time to answer is over, or a rule stands against it by now
    """
    require(actor, "booking.place")
    entry, offer = _answered(session, actor, offer_id)
    if offer.state is OfferState.TAKEN and entry.booking_id is not None:
        return bookings.get(session, actor=actor, booking_id=entry.booking_id)
    if offer.state is not OfferState.OPEN or offer.deadline <= now:
        raise Refused([Reason("offer_over", {"state": offer.state.value})])
    booking = bookings.place(
        session,
        actor=actor,
        items=[Item(offer.instrument_id, Span(offer.starts_at, offer.ends_at), entry.quantity)],
        purpose=entry.purpose,
        project_id=entry.project_id,
        hold_id=offer.hold_id,
        at_once=on_standby(entry) and entry.window_starts_at <= now,
        now=now,
    )
    _use_link(session, offer.id, now)
    offer.state, offer.answered_at, offer.hold_id = OfferState.TAKEN, now, None
    _end(entry, EntryState.SERVED, now)
    entry.booking_id = booking.id
    booking.may_move = booking.makes_room = entry.may_move
    _record(session, actor, "waitlist.taken", entry, now, offer=offer, booking_id=str(booking.id))
    session.flush()
    return booking


def decline(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> WaitlistEntry:
    """Let an offer pass to the next in line; one goes on waiting for other times, where the wish leaves any.

    :raises NotFound: if nothing of the kind was offered to this actor
    :raises Refused: if it was answered otherwise, or the time to answer is over
    """
    entry, offer = _answered(session, actor, offer_id)
    if offer.state is OfferState.DECLINED:
        return entry
    if offer.state is not OfferState.OPEN:
        raise Refused([Reason("offer_over", {"state": offer.state.value})])
    _pass_on(session, actor, entry, offer, OfferState.DECLINED, now)
    return entry


def linked(session: Session, *, link_id: UUID, secret: str, now: datetime) -> tuple[Actor, UUID]:
    """Give whom a mailed link stands for and the offer that it answers; nothing is answered by that.

    An offer that is over is still told of for a while, so that nobody wonders.

    :raises NotFound: if there is no such link, or its person may not sign in
    """
    return mailed_links.follow(session, purpose=Purpose.ANSWER_OFFER, link_id=link_id, secret=secret, now=now)


def _answered(session: Session, actor: Actor, offer_id: UUID) -> tuple[WaitlistEntry, WaitlistOffer]:
    entry_id = session.scalar(select(WaitlistOffer.entry_id).where(WaitlistOffer.id == offer_id))
    owner = session.scalar(select(WaitlistEntry.person_id).where(WaitlistEntry.id == entry_id))
    if owner is None or owner != actor.person_id:
        raise NotFound("offer", offer_id)
    require(actor, "waitlist.answer", Subject(owner_id=owner))
    return _lock_offer(session, offer_id)


# --- what the jobs do -----------------------------------------------------------------------------


def work(session: Session, *, limit: int = 5000) -> list[Work]:
    """Give what came free and was not looked at yet, by instrument, what came free first coming first."""
    rows = session.execute(
        select(
            Freed.instrument_id,
            Freed.id,
            Freed.starts_at,
            Freed.ends_at,
        )
        .order_by(Freed.id)
        .limit(limit)
    ).all()
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.instrument_id, []).append(row)
    return [
        Work(
            place,
            tuple(row.id for row in notes),
            Span(min(row.starts_at for row in notes), max(row.ends_at for row in notes)),
        )
        for place, notes in found.items()
    ]


def in_turn(session: Session, *, freed: Work, skip: Collection[UUID] = (), now: datetime) -> Turn:
    """Give who waits for some of the time, in the order of the line."""
    candidates, wanted = _candidates(session, freed, skip, now)
    ranked = line.ranked(candidates, _minutes_used(session, line.level(candidates), now))
    return Turn(ranked, wanted, _passed(session, [one.entry_id for one in candidates]))


def choose(session: Session, *, freed: Work, skip: Collection[UUID] = (), now: datetime) -> Choice | None:
    """Give the first in line who could have some of the time, None if nobody could. Nothing is written."""
    turn = in_turn(session, freed=freed, skip=skip, now=now)
    candidates, wanted = turn.ranked, turn.wanted
    if not candidates:
        return None
    rows = {
        row.id: row
        for row in session.scalars(
            select(Instrument).where(
                Instrument.id.in_({place for found in wanted.values() for place in found})
            )
        )
    }
    whole = Span(now, max(one.window.end for one in candidates))
    free = _unclaimed(session, rows, whole, {one.quantity for one in candidates}, now)
    refused: set[UUID] = set()
    people = prospects.People(session, (one.person_id for one in candidates))
    known = _Known(session, whole, frozenset(one.person_id for one in candidates), now)
    for one in candidates:
        for place in wanted[one.entry_id]:
            stretches = line.rooms(
                one, free[place, one.quantity], turn.passed.get((one.entry_id, place), ()), now
            )
            if not stretches:
                continue
            person = people.get(one.person_id)
            if person is None:
                break
            span = _first_that_fits(session, known, person, one, rows[place], stretches, now)
            if span is not None:
                return Choice(one.entry_id, place, span, frozenset(refused))
            refused.add(one.entry_id)
    return None


def offer(session: Session, *, choice: Choice, key: str, now: datetime) -> WaitlistOffer | None:
    """Offer the time to who was chosen: hold it, set a deadline, write the link of the mail that tells of it.

    None says that it can no longer be had, or that they no longer wait.
    """
    locked = occupation.lock(session, [choice.instrument_id])
    entry = session.scalars(_locking(choice.entry_id)).one_or_none()
    if entry is None or entry.state is not EntryState.WAITING:
        return None
    person = acting.actor_of(session, entry.person_id)
    instrument = locked.instruments[choice.instrument_id]
    if person is None:
        return None
    called = ready(entry, now)
    deadline = _deadline(session, instrument, entry.person_id, choice.span.start, now, at_once=called)
    if deadline is None:
        return None
    item = Item(instrument.id, choice.span, entry.quantity)
    try:
        hold = holds.keep_offered(
            session,
            actor=person,
            item=item,
            locked=locked,
            project_id=entry.project_id,
            until=deadline,
            at_once=called,
            now=now,
        )
    except (Refused, NotFound, Forbidden, Invalid):
        return None
    found = WaitlistOffer(
        id=uuid4(),
        entry_id=entry.id,
        instrument_id=instrument.id,
        hold_id=hold.id,
        starts_at=choice.span.start,
        ends_at=choice.span.end,
        state=OfferState.OPEN,
        offered_at=now,
        deadline=deadline,
    )
    entry.state = EntryState.OFFERED
    link_id = uuid4()
    session.add_all(
        [
            found,
            OneTimeLink(
                id=link_id,
                person_id=entry.person_id,
                purpose=Purpose.ANSWER_OFFER,
                subject=str(found.id),
                secret_hash=one_time.hashed(one_time.secret(key, link_id)),
                created_at=now,
                expires_at=deadline,
            ),
        ]
    )
    session.flush()
    _record(session, SYSTEM, "waitlist.offered", entry, now, offer=found, link_id=str(link_id))
    session.flush()
    return found


def locked(session: Session, *, entry_id: UUID) -> WaitlistEntry | None:
    """Read a place in the line so that nobody else changes it meanwhile; its instrument is locked already."""
    return session.scalars(_locking(entry_id)).one_or_none()


def serve(session: Session, *, entry: WaitlistEntry, booking: Booking, now: datetime) -> None:
    """End a place in the line with the booking that was made for it without being offered."""
    booking.may_move = booking.makes_room = entry.may_move
    _end(entry, EntryState.SERVED, now)
    entry.booking_id = booking.id
    _record(session, SYSTEM, "waitlist.booked", entry, now, booking_id=str(booking.id))
    session.flush()


def done(session: Session, *, freed: Work) -> None:
    """Note that everybody had their turn."""
    session.execute(delete(Freed).where(Freed.id.in_(freed.notes)))


def unanswered(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the offers whose deadline has passed, the oldest first."""
    query = select(WaitlistOffer.id).where(
        WaitlistOffer.state == OfferState.OPEN, WaitlistOffer.deadline <= now
    )
    return list(session.scalars(query.order_by(WaitlistOffer.deadline).limit(limit)))


def pass_on(session: Session, *, offer_id: UUID, now: datetime) -> bool:
    """Let an offer that nobody answered go to the next in line; False says that it was answered meanwhile."""
    entry, found = _lock_offer(session, offer_id)
    if found.state is not OfferState.OPEN or found.deadline > now:
        return False
    _pass_on(session, SYSTEM, entry, found, OfferState.SILENT, now)
    return True


def too_late(session: Session, *, now: datetime) -> list[UUID]:
    """Give the places in the line whose use can no longer begin in its window."""
    query = select(WaitlistEntry.id, WaitlistEntry.window_ends_at, WaitlistEntry.minutes).where(
        WaitlistEntry.state == EntryState.WAITING, WaitlistEntry.window_starts_at <= now
    )
    return [
        row.id for row in session.execute(query) if row.window_ends_at - timedelta(minutes=row.minutes) <= now
    ]


def lapse(session: Session, *, entry_id: UUID, now: datetime) -> bool:
    """End a place in the line whose window is over; False says that it changed meanwhile."""
    entry = session.scalars(_locking(entry_id)).one_or_none()
    if entry is None or entry.state is not EntryState.WAITING:
        return False
    if not line.over(_window(entry), entry.minutes, now):
        return False
    _end(entry, EntryState.LAPSED, now)
    entry.reasons = wish_reasons.why(session, entry=entry, now=now)
    _record(session, SYSTEM, "waitlist.lapsed", entry, now, reasons=entry.reasons)
    session.flush()
    return True


def look_at_all(session: Session, *, now: datetime) -> None:
    """Note every instrument for which somebody waits as if it had come free.

    Time can also be had because rules, hours, limits or units changed, or a day came near enough to be booked.
    """
    starts, ends = func.min(WaitlistEntry.window_starts_at), func.max(WaitlistEntry.window_ends_at)
    query = (
        select(WaitlistInstrument.instrument_id, starts, ends)
        .join(WaitlistEntry, WaitlistEntry.id == WaitlistInstrument.entry_id)
        .where(WaitlistEntry.state == EntryState.WAITING, WaitlistEntry.window_ends_at > now)
        .group_by(WaitlistInstrument.instrument_id)
    )
    rows = [
        {"instrument_id": place, "starts_at": start, "ends_at": end, "freed_at": now}
        for place, start, end in session.execute(query)
    ]
    if rows:
        session.execute(insert(Freed), rows)


def look_for_standby(session: Session, *, now: datetime) -> None:
    """Note the instruments at which somebody on standby can be called: what is free later is at hand by and by."""
    query = select(WaitlistEntry).where(WaitlistEntry.state == EntryState.WAITING, *_standing_by(now))
    for entry in session.scalars(query.options(selectinload(WaitlistEntry.places))):
        if ready(entry, now):
            _look_again(session, entry, [place.instrument_id for place in entry.places], now)


def _standing_by(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Say that somebody stands by on this very day."""
    return (
        WaitlistEntry.lead_minutes.is_not(None),
        WaitlistEntry.window_starts_at <= now,
        WaitlistEntry.window_ends_at > now,
    )


# --- how ------------------------------------------------------------------------------------------


def _check(
    wanted: Sequence[int], window: Span, minutes: int, quantity: int, purpose: str, wish: str, now: datetime
) -> None:
    errors = {}
    if not wanted:
        errors["instruments"] = "required"
    elif len(wanted) > MOST_INSTRUMENTS:
        errors["instruments"] = "too_large"
    if window.start >= window.end:
        errors["end"] = "inverted"
    elif window.duration > LONGEST_WINDOW or window.end <= now:
        errors["end"] = "out_of_range"
    elif minutes < 1 or timedelta(minutes=minutes) > min(window.duration, LONGEST):
        errors["duration"] = "out_of_range"
    if quantity < 1:
        errors["quantity"] = "too_small"
    if len(purpose) > LONGEST_PURPOSE:
        errors["purpose"] = "too_long_text"
    if len(wish) > LONGEST_WISH:
        errors["wish"] = "too_long_text"
    if errors:
        raise Invalid(errors)


def _check_windows(window: Span, windows: Sequence[Span], minutes: int) -> None:
    if not windows:
        return
    if not all(window.contains(one) for one in windows):
        raise Invalid({"windows": "outside_window"})
    if len(windows) > MOST_WINDOWS:
        raise Invalid({"windows": "too_large"})
    if all(one.duration < timedelta(minutes=minutes) for one in windows):
        raise Invalid({"windows": "too_small"})


def _share(session: Session, wanted: Sequence[int]) -> list[Instrument]:
    """Read the instruments and keep whoever would free their time waiting until this command is done.

    Else time could come free between the look at who waits and the joining, and nobody would be told.
    """
    parts = occupation.parts_of(session, wanted)
    stations = {part.station_id for found in parts.values() for part in found}
    query = (
        select(Instrument)
        .where(Instrument.id.in_({*wanted, *stations}))
        .order_by(Instrument.id)
        .with_for_update(read=True)
    )
    rows = {row.id: row for row in session.scalars(query)}
    for place in wanted:
        if place not in rows:
            raise NotFound("instrument", place)
    return [rows[place] for place in wanted]


def usable(
    session: Session,
    actor: Actor,
    rows: Sequence[Instrument],
    window: Span,
    minutes: int,
    quantity: int,
    now: datetime,
    *,
    at_once: bool = False,
) -> list[int]:
    """Give the instruments on which such a use is possible but for the time being taken.

    :raises Refused: with what stands against each, if there is none
    """
    timetables = policies.timetables(session, rows, person_id=actor.person_id)
    facts = availability.facts(session, rows, {}, timetables=timetables)
    length = timedelta(minutes=minutes)
    fixed = window.duration == length
    good: list[int] = []
    stands: list[Reason] = []
    items: list[Item] = []
    for row in rows:
        start = window.start
        if not fixed:
            step = timetables[row.id].at(start).step
            start = on_step(max(start, now), step, facts[row.id].zone)
        item = Item(row.id, Span(start, start + length), quantity)
        against = bookings.standing(refusals([item], (), facts, now), at_once)
        found = [one for one in against if fixed or one.code in _LASTING]
        stands += found
        items.append(item)
        good += [] if found else [row.id]
    if not good:
        raise Refused(stands, items if len(items) == 1 else ())
    return good


def _same(
    session: Session, person_id: UUID, usable: Sequence[int], window: Span, minutes: int, quantity: int
) -> WaitlistEntry | None:
    query = _loaded().where(
        WaitlistEntry.person_id == person_id,
        WaitlistEntry.state.in_(OPEN),
        WaitlistEntry.window_starts_at == window.start,
        WaitlistEntry.window_ends_at == window.end,
        WaitlistEntry.minutes == minutes,
        WaitlistEntry.quantity == quantity,
        WaitlistEntry.lead_minutes.is_(None),
    )
    for entry in session.scalars(query):
        if {place.instrument_id for place in entry.places} == set(usable):
            return entry
    return None


def _check_number(session: Session, person_id: UUID) -> None:
    held = (WaitlistEntry.person_id == person_id, WaitlistEntry.state.in_(OPEN))
    if (session.scalar(select(func.count()).select_from(WaitlistEntry).where(*held)) or 0) >= MOST_PLACES:
        raise Refused([Reason("in_line_too_often", {"most": MOST_PLACES})])


def _look_again(session: Session, entry: WaitlistEntry, places: Iterable[int], now: datetime) -> None:
    """Have the line's next turn look at all that the entry asks for: something may be free already."""
    session.execute(
        insert(Freed),
        [
            {
                "instrument_id": place,
                "starts_at": entry.window_starts_at,
                "ends_at": entry.window_ends_at,
                "freed_at": now,
            }
            for place in places
        ],
    )


def _lock_entry(session: Session, actor: Actor, entry_id: UUID, action: str) -> WaitlistEntry:
    entry = session.scalars(_locking(entry_id)).one_or_none()
    if entry is None or not _may(session, actor, "waitlist.see", entry):
        raise NotFound("waitlist entry", entry_id)
    if not _may(session, actor, action, entry):
        raise Forbidden(action)
    return entry


def _lock_offer(session: Session, offer_id: UUID) -> tuple[WaitlistEntry, WaitlistOffer]:
    """Lock an offer's instrument, its place in the line and the offer, in this order."""
    seen = session.get(WaitlistOffer, offer_id)
    if seen is None:
        raise NotFound("offer", offer_id)
    occupation.lock(session, [seen.instrument_id])
    entry = session.scalars(_locking(seen.entry_id)).one()
    query = select(WaitlistOffer).where(WaitlistOffer.id == offer_id).with_for_update()
    return entry, session.scalars(query.execution_options(populate_existing=True)).one()


def _locking(entry_id: UUID) -> Select[WaitlistEntry]:
    query = select(WaitlistEntry).where(WaitlistEntry.id == entry_id).with_for_update()
    return query.options(selectinload(WaitlistEntry.places)).execution_options(populate_existing=True)


def _open_offer(entry_id: UUID) -> Select[UUID]:
    return select(WaitlistOffer.id).where(
        WaitlistOffer.entry_id == entry_id, WaitlistOffer.state == OfferState.OPEN
    )


def _use_link(session: Session, offer_id: UUID, now: datetime) -> None:
    session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.purpose == Purpose.ANSWER_OFFER, OneTimeLink.subject == str(offer_id))
        .values(used_at=now)
    )


def _close(session: Session, found: WaitlistOffer, state: OfferState, now: datetime) -> None:
    """End an offer and give its time back; its instrument is locked."""
    _use_link(session, found.id, now)
    if found.hold_id is not None:
        occupation.drop(session, hold_ids=[found.hold_id], now=now)
    found.state, found.answered_at, found.hold_id = state, now, None


def _pass_on(
    session: Session,
    actor: Actor,
    entry: WaitlistEntry,
    found: WaitlistOffer,
    state: OfferState,
    now: datetime,
) -> None:
    # Who lets it pass waits again only after the time was given back, so that it is not noted for them.
    _close(session, found, state, now)
    if state is OfferState.SILENT:
        entry.here_at = None
    session.flush()
    left = _places_left(session, entry)
    ended = not left or line.over(_window(entry), entry.minutes, now)
    if ended:
        _end(entry, EntryState.LEFT if state is OfferState.DECLINED else EntryState.LAPSED, now)
    else:
        entry.state = EntryState.WAITING
        _look_again(session, entry, left, now)
    kind = "waitlist.declined" if state is OfferState.DECLINED else "waitlist.silent"
    _record(session, actor, kind, entry, now, offer=found, ended=ended)
    session.flush()


def _places_left(session: Session, entry: WaitlistEntry) -> list[int]:
    """Give the instruments on which something is left of the wish that was not offered before."""
    passed = _passed(session, [entry.id])
    length = timedelta(minutes=entry.minutes)
    return [
        place.instrument_id
        for place in entry.places
        if any(
            span.duration >= length
            for span in subtract(
                line.read(entry.windows) or [_window(entry)], passed.get((entry.id, place.instrument_id), ())
            )
        )
    ]


def on_standby(entry: WaitlistEntry) -> bool:
    """Tell whether somebody stands by for a day, and does not only wait in line."""
    return entry.lead_minutes is not None


def ready(entry: Any, now: datetime) -> bool:
    """Tell whether somebody on standby can be called: their day has begun, and they are there or near."""
    near = entry.here_at is not None or bool(entry.lead_minutes)
    return entry.lead_minutes is not None and entry.window_starts_at <= now and near


def _end(entry: WaitlistEntry, state: EntryState, now: datetime) -> None:
    entry.state, entry.ended_at = state, now


def _window(entry: WaitlistEntry) -> Span:
    return Span(entry.window_starts_at, entry.window_ends_at)


def _may(session: Session, actor: Actor, action: str, entry: WaitlistEntry) -> bool:
    """Tell whether the actor may: its owner, or staff of any (to rank it: of every) facility that it is for."""
    facilities = session.scalars(
        select(Instrument.facility_id)
        .where(Instrument.id.in_([place.instrument_id for place in entry.places]))
        .distinct()
    ).all()
    found = [
        may(actor, action, Subject(entry.person_id, entry.organisation_id, place)) for place in facilities
    ]
    return all(found) if action == "waitlist.rank" else any(found)


def _candidates(
    session: Session, freed: Work, skip: Collection[UUID], now: datetime
) -> tuple[list[Waiting], dict[UUID, list[int]]]:
    """Give who waits for the instrument, or for a line of which it is a station, and what they would take of these."""
    lines = select(Part.line_id).where(Part.station_id == freed.instrument_id)
    query = (
        select(
            WaitlistEntry.id,
            WaitlistEntry.person_id,
            WaitlistEntry.project_id,
            WaitlistEntry.priority,
            WaitlistEntry.joined_at,
            WaitlistEntry.window_starts_at,
            WaitlistEntry.window_ends_at,
            WaitlistEntry.minutes,
            WaitlistEntry.quantity,
            WaitlistEntry.windows,
            WaitlistEntry.at_once.label("books"),
            WaitlistEntry.lead_minutes,
            WaitlistEntry.most_minutes,
            WaitlistEntry.here_at,
            WaitlistInstrument.instrument_id,
        )
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            WaitlistEntry.state == EntryState.WAITING,
            WaitlistEntry.window_ends_at > now,
            WaitlistEntry.reach_starts_at < freed.span.end,
            WaitlistEntry.reach_ends_at > freed.span.start,
            or_(
                WaitlistInstrument.instrument_id == freed.instrument_id,
                WaitlistInstrument.instrument_id.in_(lines),
            ),
        )
    )
    found: dict[UUID, Waiting] = {}
    wanted: dict[UUID, list[int]] = {}
    for row in session.execute(query):
        begun = row.lead_minutes is not None and row.window_starts_at <= now
        if row.id in skip or (begun and not ready(row, now)):
            continue
        found[row.id] = Waiting(
            row.id,
            row.person_id,
            row.project_id,
            row.priority,
            row.joined_at,
            Span(row.window_starts_at, row.window_ends_at),
            row.minutes,
            row.quantity,
            windows=line.read(row.windows),
            outright=row.books,
            at_once=begun,
            lead=0 if row.here_at is not None else row.lead_minutes or 0,
            most=row.most_minutes or row.minutes,
        )
        wanted.setdefault(row.id, []).append(row.instrument_id)
    return list(found.values()), wanted


def _unclaimed(
    session: Session, rows: Mapping[int, Instrument], within: Span, quantities: set[int], now: datetime
) -> dict[tuple[int, int], list[Span]]:
    """Give where the ledger leaves so many units free, for each instrument and number; buffers are not asked here."""
    parts = occupation.parts_of(session, rows)
    stations = {part.station_id for found in parts.values() for part in found}
    sizes = {
        row.id: row.units
        for row in session.execute(select(Instrument.id, Instrument.units).where(Instrument.id.in_(stations)))
    }
    view = occupation.look(session, {*rows, *stations}, within, now=now)
    free = {}
    for place, row in rows.items():
        blocked = [
            span
            for part in parts.get(place, ())
            for span in busy(
                view.loads[part.station_id], sizes[part.station_id] - (part.units or sizes[part.station_id])
            )
        ]
        for quantity in quantities:
            taken = [*blocked, *busy(view.loads[place], row.units - quantity)]
            free[place, quantity] = subtract([within], taken) if quantity <= row.units else []
    return free


def _passed(session: Session, entry_ids: Sequence[UUID]) -> dict[tuple[UUID, int], list[Span]]:
    """Give what each place in the line was offered before and let pass; nobody is offered the same again."""
    query = select(
        WaitlistOffer.entry_id, WaitlistOffer.instrument_id, WaitlistOffer.starts_at, WaitlistOffer.ends_at
    ).where(WaitlistOffer.entry_id.in_(entry_ids), WaitlistOffer.state.in_(PASSED))
    found: dict[tuple[UUID, int], list[Span]] = {}
    for entry_id, place, start, end in session.execute(query):
        found.setdefault((entry_id, place), []).append(Span(start, end))
    return found


def _minutes_used(session: Session, people: set[UUID], now: datetime) -> dict[UUID, float]:
    """Give how long each person had instruments of late."""
    if not people:
        return {}
    query = (
        select(Booking.person_id, BookingItem.starts_at, BookingItem.ends_at, BookingItem.quantity)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .where(
            Booking.person_id.in_(people),
            Booking.starts_at > now - line.LATELY,
            Booking.starts_at <= now,
            Booking.state.in_(_USED),
        )
    )
    found: dict[UUID, float] = {}
    for person, start, end, quantity in session.execute(query):
        found[person] = found.get(person, 0) + Span(start, end).minutes * quantity
    return found


class _Known:
    """What was read of each instrument for all who wait."""

    def __init__(self, session: Session, whole: Span, people: frozenset[UUID], now: datetime) -> None:
        self._make = partial(prospects.Prospects, session, within=whole, people=people, now=now)
        self._of: dict[int, prospects.Prospects] = {}

    def of(self, instrument_id: int) -> prospects.Prospects:
        if instrument_id not in self._of:
            self._of[instrument_id] = self._make(instrument_id=instrument_id)
        return self._of[instrument_id]


def _first_that_fits(
    session: Session,
    known: _Known,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Span | None:
    """Give the first use in the stretches that every rule and gate lets this person book, and can still be answered."""
    for span in _uses(session, person, one, instrument, stretches, now):
        deadline = _deadline(session, instrument, one.person_id, span.start, now, at_once=one.at_once)
        if deadline is None and not one.outright:
            continue
        item = Item(instrument.id, span, one.quantity)
        if known.of(instrument.id).could_book(person, item, one.project_id, at_once=one.at_once):
            return span
    return None


def _at_hand(
    session: Session,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Span | None:
    """Give what somebody on standby can have at once of the free stretches, where the facility calls them at all."""
    policy = policies.in_force(session, instrument, person_id=person.person_id, start=now)
    if not policy.standby:
        return None
    within = Span(now, one.window.end)
    rooms = availability.rooms_of(session, [instrument], within, now, person_id=person.person_id)
    free = merge(
        span for room in rooms[instrument.id] for span, level in room.levels if level >= one.quantity
    )
    return standby.use(
        intersect(free, stretches),
        least=max(one.minutes, policy.shortest),
        most=min(one.most, policy.longest or one.most),
        lead=one.lead,
        now=now,
    )


def _uses(
    session: Session,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Iterator[Span]:
    if one.at_once:
        at_hand = _at_hand(session, person, one, instrument, stretches, now)
        yield from [at_hand] if at_hand else ()
        return
    if one.fixed:
        yield one.window
        return
    tries = 0
    for stretch in stretches:
        rest = stretch
        while rest.start < rest.end and tries < MOST_TRIES:
            tries += 1
            found = availability.first_use(
                session,
                instrument=instrument,
                length=one.length,
                within=rest,
                quantity=one.quantity,
                person_id=person.person_id,
                now=now,
            )
            if found is None:
                break
            yield found
            rest = Span(found.end, stretch.end)


def _deadline(
    session: Session,
    instrument: Instrument,
    person_id: UUID,
    start: datetime,
    now: datetime,
    *,
    at_once: bool = False,
) -> datetime | None:
    if at_once:
        return standby.deadline(now, start)
    policy = policies.in_force(session, instrument, person_id=person_id, start=start)
    return line.deadline(now, start, notice=policy.notice, minutes=policy.offer_minutes)


def _loaded() -> Select[WaitlistEntry]:
    return (
        select(WaitlistEntry)
        .options(
            joinedload(WaitlistEntry.person),
            selectinload(WaitlistEntry.places),
            selectinload(WaitlistEntry.offers),
        )
        .execution_options(populate_existing=True)
    )


def _in_line(session: Session, entries: Sequence[WaitlistEntry]) -> list[InLine]:
    places = {place.instrument_id for entry in entries for place in entry.places}
    rows = {
        row.id: row
        for row in session.scalars(
            select(Instrument)
            .where(Instrument.id.in_(places))
            .options(joinedload(Instrument.facility))
            .order_by(Instrument.code)
        )
    }
    ahead = _ahead(session, [entry.id for entry in entries if entry.state in OPEN])
    return [
        InLine(
            entry,
            [rows[place] for place in rows if place in {one.instrument_id for one in entry.places}],
            ahead.get(entry.id, 0),
            next((one for one in entry.offers if one.state is OfferState.OPEN), None),
        )
        for entry in entries
    ]


def _ahead(session: Session, entry_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Count who comes before each place: before it in the order, with a window and an instrument in common."""
    if not entry_ids:
        return {}
    other, ours, theirs = aliased(WaitlistEntry), aliased(WaitlistInstrument), aliased(WaitlistInstrument)
    query = (
        select(WaitlistEntry.id, func.count(other.id.distinct()))
        .join(ours, ours.entry_id == WaitlistEntry.id)
        .join(theirs, theirs.instrument_id == ours.instrument_id)
        .join(other, other.id == theirs.entry_id)
        .where(
            WaitlistEntry.id.in_(entry_ids),
            other.state.in_(OPEN),
            other.id != WaitlistEntry.id,
            other.window_starts_at < WaitlistEntry.window_ends_at,
            other.window_ends_at > WaitlistEntry.window_starts_at,
            _before(other),
        )
        .group_by(WaitlistEntry.id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _before(other: Any) -> ColumnElement[bool]:
    return or_(
        other.priority < WaitlistEntry.priority,
        and_(
            other.priority == WaitlistEntry.priority,
            or_(
                other.joined_at < WaitlistEntry.joined_at,
                and_(other.joined_at == WaitlistEntry.joined_at, other.id < WaitlistEntry.id),
            ),
        ),
    )


_ORDER = (WaitlistEntry.priority, WaitlistEntry.joined_at, WaitlistEntry.id)


def _record(
    session: Session,
    actor: Actor,
    kind: str,
    entry: WaitlistEntry,
    now: datetime,
    *,
    offer: WaitlistOffer | None = None,
    facility_ids: Collection[int] = (),
    **data: Any,
) -> None:
    facility_id = next(iter(facility_ids)) if len(facility_ids) == 1 else None
    if offer is not None:
        place = session.execute(
            select(Instrument.code, Instrument.facility_id).where(Instrument.id == offer.instrument_id)
        ).one()
        facility_id = place.facility_id
        data |= {
            "offer_id": str(offer.id),
            "instrument": place.code,
            "start": offer.starts_at.isoformat(),
            "end": offer.ends_at.isoformat(),
            "deadline": offer.deadline.isoformat(),
        }
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=facility_id,
        subject=str(entry.id),
        person_id=str(entry.person_id),
        **data,
    )
