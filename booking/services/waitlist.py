"""The waitlist: who waits for time, in which order, and the places in the line that offers are made to.

What the ledger gives back is noted as `Freed` where somebody waits for it; whose turn it is then, and what becomes of
the offer, is told elsewhere. Commands lock in this order: instruments, then the place in the line, then its offer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from booking.domain import waitlist as line
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.availability import on_step
from booking.domain.occupation import Item
from booking.domain.rules import LONGEST, Invalid, Reason, Refused, refusals
from booking.domain.spans import Span, merge
from booking.services import (
    availability,
    bookings,
    catalogue,
    events,
    line_routes,
    occupation,
    policies,
    wish_reasons,
)
from booking.services.catalogue import Filters
from models import (
    EntryState,
    Freed,
    Instrument,
    OfferState,
    OneTimeLink,
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
HOME_ZONE = "Asia/Shanghai"
OPEN = (EntryState.WAITING, EntryState.OFFERED)
_ORDER = (WaitlistEntry.priority, WaitlistEntry.joined_at, WaitlistEntry.id)
_LASTING = {"not_bookable", "too_many_units", "too_short", "too_long", "off_step"}
"""What stands against a use at any time of a window."""


@dataclass(frozen=True, slots=True)
class InLine:
    """A place in the line with what its reader wants to know; `ahead` is how many have their turn before.

    `instruments` would do by now; `named` are these and those of its offers, by their ids.
    """

    entry: WaitlistEntry
    instruments: Sequence[Instrument]
    ahead: int
    offer: WaitlistOffer | None
    named: Mapping[int, Instrument]

    @property
    def windows(self) -> tuple[Span, ...]:
        """Give the parts of the window in which the use may lie, none for anywhere in it."""
        return line.read(self.entry.windows)

    def places(self, offer: WaitlistOffer) -> list[tuple[Instrument, Span]]:
        """Give where an offer goes, each step of a process."""
        return [(self.named[place], span) for place, span in line_routes.places_of(offer)]

    @property
    def zone(self) -> str:
        """Give the clock of its first instrument."""
        return self.instruments[0].facility.zone if self.instruments else HOME_ZONE


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
    filters: Filters | None = None,
    windows: Sequence[Span] = (),
    at_once: bool = False,
    may_move: bool = False,
    now: datetime,
) -> WaitlistEntry:
    """Wait for time on any of the instruments within the window; the same wish twice is one place in the line.

    With `filters`, by which these were found, they are found anew as long as it waits.

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
    check(wanted, window, minutes, quantity, purpose, wish, now)
    _check_windows(window, windows, minutes)
    rows = lock_shared(session, wanted)
    bookings.require_visible(actor, rows)
    organisation_id = bookings.wish_for(session, actor, None, (), {}, project_id, now).organisation_id
    places = usable(session, actor, rows, window, minutes, quantity, now)
    known = _same(session, actor.person_id, places, window, minutes, quantity)
    if known is not None:
        known.windows, known.at_once, known.may_move = line.kept(windows), at_once, may_move
        known.filters = filters.kept if filters is not None else {}
        look_again(session, known, places, now)
        return known
    check_number(session, actor.person_id)
    return enter(
        session,
        actor,
        rows,
        places,
        window,
        now,
        organisation_id=organisation_id,
        project_id=project_id,
        minutes=minutes,
        quantity=quantity,
        purpose=purpose,
        wish=wish,
        filters=filters.kept if filters is not None else {},
        windows=line.kept(windows),
        at_once=at_once,
        may_move=may_move,
    )


def enter(
    session: Session,
    actor: Actor,
    rows: Sequence[Instrument],
    places: Collection[int],
    window: Span,
    now: datetime,
    **wish: Any,
) -> WaitlistEntry:
    """Put a wish whose instruments are locked at the end of its class, and have the line's next turn look at it."""
    around = max(row.setup_minutes or 0 for row in rows) + max(row.cleanup_minutes or 0 for row in rows)
    reach = line.reach(window, timedelta(minutes=around))
    entry = WaitlistEntry(
        id=uuid4(),
        person_id=actor.person_id,
        window_starts_at=window.start,
        window_ends_at=window.end,
        reach_starts_at=reach.start,
        reach_ends_at=reach.end,
        priority=line.USUAL,
        reasons=[],
        state=EntryState.WAITING,
        joined_at=now,
        places=[WaitlistInstrument(instrument_id=place) for place in places],
        offers=[],
        **wish,
    )
    session.add(entry)
    session.flush()
    look_again(session, entry, places, now)
    record(session, actor, "waitlist.joined", entry, now, facility_ids={row.facility_id for row in rows})
    session.flush()
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
    offer = lock_offer(session, offer_id)[1] if offer_id is not None else None
    entry = lock_entry(session, actor, entry_id, "waitlist.answer")
    if entry.state not in OPEN:
        return entry
    if session.scalar(_open_offer(entry_id)) not in {None, offer_id}:
        raise bookings.Stale
    if offer is not None and offer.state is OfferState.OPEN:
        close_offer(session, offer, OfferState.WITHDRAWN, now)
    end(entry, EntryState.LEFT, now)
    record(session, actor, "waitlist.left", entry, now)
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
    entry = lock_entry(session, actor, entry_id, "waitlist.rank")
    if entry.state not in OPEN:
        raise Refused([Reason("not_in_line")])
    before, entry.priority = entry.priority, priority
    if before != priority:
        record(session, actor, "waitlist.ranked", entry, now, before=before, after=priority, reason=reason)
    session.flush()
    return entry


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
    entry = locked(session, entry_id=entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return False
    if not line.over(window_of(entry), entry.minutes, now):
        return False
    end(entry, EntryState.LAPSED, now)
    entry.reasons = wish_reasons.why(session, entry=entry, now=now)
    record(session, SYSTEM, "waitlist.lapsed", entry, now, reasons=entry.reasons)
    session.flush()
    return True


# --- reading --------------------------------------------------------------------------------------


def mine(session: Session, *, actor: Actor, over: int = 20) -> list[InLine]:
    """Give the lines in which the actor waits, those with an offer first, and a few that are over."""
    require(actor, "waitlist.list")
    own = loaded().where(WaitlistEntry.person_id == actor.person_id)
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
        chosen = (*chosen, *stands_by(standby_at))
    total = session.scalar(select(func.count()).select_from(WaitlistEntry).where(*chosen)) or 0
    query = loaded().where(*chosen).order_by(*_ORDER).limit(page_size).offset((page - 1) * page_size)
    return _in_line(session, session.scalars(query).all()), total


def get(session: Session, *, actor: Actor, entry_id: UUID) -> InLine:
    """Give one place in the line.

    :raises NotFound: if there is none, or none that this actor may see
    """
    entry = session.scalars(loaded().where(WaitlistEntry.id == entry_id)).one_or_none()
    if entry is None or not permitted(session, actor, "waitlist.see", entry):
        raise NotFound("waitlist entry", entry_id)
    return _in_line(session, [entry])[0]


def entry_of(session: Session, *, offer_id: UUID) -> InLine:
    """Give the place in the line to which an offer was made; for who holds its link.

    :raises NotFound: if there is no such offer
    """
    found = select(WaitlistOffer.entry_id).where(WaitlistOffer.id == offer_id).scalar_subquery()
    entry = session.scalars(loaded().where(WaitlistEntry.id == found)).one_or_none()
    if entry is None:
        raise NotFound("offer", offer_id)
    return _in_line(session, [entry])[0]


# --- a place in the line, for all that deals with it ----------------------------------------------


def on_standby(entry: WaitlistEntry) -> bool:
    """Tell whether somebody stands by for a day, and does not only wait in line."""
    return entry.lead_minutes is not None


def ready(entry: Any, now: datetime) -> bool:
    """Tell whether somebody on standby can be called: their day has begun, and they are there or near."""
    near = entry.here_at is not None or bool(entry.lead_minutes)
    return entry.lead_minutes is not None and entry.window_starts_at <= now and near


def stands_by(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Say of a place in the line that somebody stands by there on this very day."""
    return (
        WaitlistEntry.lead_minutes.is_not(None),
        WaitlistEntry.window_starts_at <= now,
        WaitlistEntry.window_ends_at > now,
    )


def window_of(entry: WaitlistEntry) -> Span:
    """Give the window in which the use may lie."""
    return Span(entry.window_starts_at, entry.window_ends_at)


def permitted(session: Session, actor: Actor, action: str, entry: WaitlistEntry) -> bool:
    """Tell whether the actor may: its owner, or staff of any (to rank it: of every) facility that it is for."""
    facilities = session.scalars(
        select(Instrument.facility_id)
        .where(Instrument.id.in_([place.instrument_id for place in entry.places]))
        .distinct()
    ).all()
    # A wish by ability may match nothing for a while: then it is its owner's alone.
    found = [
        may(actor, action, Subject(entry.person_id, entry.organisation_id, place))
        for place in facilities or (None,)
    ]
    return all(found) if action == "waitlist.rank" else any(found)


def loaded() -> Select[WaitlistEntry]:
    """Say how places in the line are read: with whose they are, their instruments and their offers."""
    return (
        select(WaitlistEntry)
        .options(
            joinedload(WaitlistEntry.person),
            selectinload(WaitlistEntry.places),
            selectinload(WaitlistEntry.offers),
        )
        .execution_options(populate_existing=True)
    )


def locked(session: Session, *, entry_id: UUID) -> WaitlistEntry | None:
    """Read a place in the line so that nobody else changes it meanwhile; its instrument is locked already."""
    return session.scalars(_locking(entry_id)).one_or_none()


def lock_entry(session: Session, actor: Actor, entry_id: UUID, action: str) -> WaitlistEntry:
    """Lock a place in the line for who may do this with it.

    :raises NotFound: if there is no such place in the line for this actor
    :raises Forbidden: if the actor may see it but not do this
    """
    entry = locked(session, entry_id=entry_id)
    if entry is None or not permitted(session, actor, "waitlist.see", entry):
        raise NotFound("waitlist entry", entry_id)
    if not permitted(session, actor, action, entry):
        raise Forbidden(action)
    return entry


def lock_offer(session: Session, offer_id: UUID) -> tuple[WaitlistEntry, WaitlistOffer]:
    """Lock an offer's instrument, its place in the line and the offer, in this order."""
    seen = session.get(WaitlistOffer, offer_id)
    if seen is None:
        raise NotFound("offer", offer_id)
    occupation.lock(session, {place for place, _span in line_routes.places_of(seen)})
    entry = session.scalars(_locking(seen.entry_id)).one()
    query = select(WaitlistOffer).where(WaitlistOffer.id == offer_id).with_for_update()
    return entry, session.scalars(query.execution_options(populate_existing=True)).one()


def close_offer(session: Session, found: WaitlistOffer, state: OfferState, now: datetime) -> None:
    """End an offer and give its time back; its instrument is locked."""
    use_link(session, found.id, now)
    if found.hold_id is not None:
        occupation.drop(session, hold_ids=[found.hold_id], now=now)
    found.state, found.answered_at, found.hold_id = state, now, None


def use_link(session: Session, offer_id: UUID, now: datetime) -> None:
    """Let the link of an offer's mail be used up."""
    session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.purpose == Purpose.ANSWER_OFFER, OneTimeLink.subject == str(offer_id))
        .values(used_at=now)
    )


def look_again(session: Session, entry: WaitlistEntry, places: Iterable[int], now: datetime) -> None:
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


def end(entry: WaitlistEntry, state: EntryState, now: datetime) -> None:
    """End a place in the line."""
    entry.state, entry.ended_at = state, now


def record(
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
    """Note what happened to a place in the line, and to which of its offers."""
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
        if offer.following:
            data["following"] = _following(session, offer)
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


def _following(session: Session, offer: WaitlistOffer) -> list[list[str]]:
    """Name where the further steps of an offer go."""
    places = [int(one[0]) for one in offer.following]
    query = select(Instrument.id, Instrument.code).where(Instrument.id.in_(places))
    codes = {row.id: row.code for row in session.execute(query)}
    return [[codes[int(place)], start, end] for place, start, end in offer.following]


# --- who may join ---------------------------------------------------------------------------------


def lock_shared(session: Session, wanted: Sequence[int]) -> list[Instrument]:
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


def check_number(session: Session, person_id: UUID) -> None:
    """Refuse that somebody waits in more lines than anybody may."""
    held = (WaitlistEntry.person_id == person_id, WaitlistEntry.state.in_(OPEN))
    if (session.scalar(select(func.count()).select_from(WaitlistEntry).where(*held)) or 0) >= MOST_PLACES:
        raise Refused([Reason("in_line_too_often", {"most": MOST_PLACES})])


def check(
    wanted: Sequence[int], window: Span, minutes: int, quantity: int, purpose: str, wish: str, now: datetime
) -> None:
    """Tell whether a wish makes sense.

    :raises Invalid: naming what does not
    """
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


def _same(
    session: Session, person_id: UUID, usable: Sequence[int], window: Span, minutes: int, quantity: int
) -> WaitlistEntry | None:
    query = loaded().where(
        WaitlistEntry.person_id == person_id,
        WaitlistEntry.state.in_(OPEN),
        WaitlistEntry.window_starts_at == window.start,
        WaitlistEntry.window_ends_at == window.end,
        WaitlistEntry.minutes == minutes,
        WaitlistEntry.quantity == quantity,
        WaitlistEntry.lead_minutes.is_(None),
    )
    for entry in session.scalars(query):
        if not entry.steps and {place.instrument_id for place in entry.places} == set(usable):
            return entry
    return None


# --- how ------------------------------------------------------------------------------------------


def _locking(entry_id: UUID) -> Select[WaitlistEntry]:
    query = select(WaitlistEntry).where(WaitlistEntry.id == entry_id).with_for_update()
    return query.options(selectinload(WaitlistEntry.places)).execution_options(populate_existing=True)


def _open_offer(entry_id: UUID) -> Select[UUID]:
    return select(WaitlistOffer.id).where(
        WaitlistOffer.entry_id == entry_id, WaitlistOffer.state == OfferState.OPEN
    )


def _in_line(session: Session, entries: Sequence[WaitlistEntry]) -> list[InLine]:
    places = {place.instrument_id for entry in entries for place in entry.places}
    offered = {
        place for entry in entries for offer in entry.offers for place, _span in line_routes.places_of(offer)
    }
    rows = {
        row.id: row
        for row in session.scalars(
            select(Instrument)
            .where(Instrument.id.in_(places | offered))
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
            rows,
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
