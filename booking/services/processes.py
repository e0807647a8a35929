"""Processes: changeovers between families of work, shared utilities, lags; read, asked as gates, edited."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.lifecycle import HOLDS
from booking.domain.occupation import Item, Process
from booking.domain.rules import Invalid, Reason
from booking.domain.spans import Load, Span, peak
from booking.domain.waitlist import pieces
from booking.services import events, quotas
from models import Booking, BookingItem, Changeover, Facility, Hold, Instrument, Occupation, Utility

if TYPE_CHECKING:  # the gates name this one
    from booking.services.gates import Wish

LONGEST_FAMILY = 60
LONGEST_CHANGEOVER = 30 * 24 * 60
MOST_FAMILIES = 20
MOST_UTILITIES = 20
MOST_CAPACITY = 1_000_000
_CODE = 40

Matrix = Mapping[tuple[str, str], int]
"""Minutes from one family of work to another."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A use on an instrument that works on a family."""

    span: Span
    family: str


# --- what a row keeps -----------------------------------------------------------------------------


def kept(process: Process | None) -> dict[str, Any] | None:
    """Give what a booking's row keeps of a step."""
    if process is None:
        return None
    return {
        "family": process.family,
        "lag": list(process.lag) if process.lag else None,
        "draws": {str(utility): amount for utility, amount in process.draws},
    }


def of(row: BookingItem) -> Process | None:
    """Give the step that a booking's row keeps."""
    said = row.process
    if not said:
        return None
    lag = said.get("lag")
    draws = tuple(sorted((int(utility), amount) for utility, amount in (said.get("draws") or {}).items()))
    return Process(said.get("family", ""), (lag[0], lag[1]) if lag else None, draws)


def inherited(items: Sequence[Item], rows: Sequence[BookingItem]) -> list[Item]:
    """Give items that say nothing of a process the steps of the booking that they change, place by place."""
    if len(items) != len(rows):
        return list(items)
    return [
        item if item.process else replace(item, process=of(row))
        for item, row in zip(items, rows, strict=True)
    ]


# --- reading --------------------------------------------------------------------------------------


def matrices(session: Session, rows: Iterable[Instrument]) -> dict[int, Matrix]:
    """Give the changeovers of each instrument: its own, or its facility's when it has none; one statement."""
    places = list(rows)
    query = select(Changeover).where(
        or_(
            Changeover.instrument_id.in_({row.id for row in places}),
            Changeover.facility_id.in_({row.facility_id for row in places}),
        )
    )
    own: dict[tuple[str, int], dict[tuple[str, str], int]] = {}
    for one in session.scalars(query):
        key = ("instrument", one.instrument_id) if one.instrument_id else ("facility", one.facility_id or 0)
        own.setdefault(key, {})[one.before, one.after] = one.minutes
    return {
        row.id: own.get(("instrument", row.id)) or own.get(("facility", row.facility_id)) or {}
        for row in places
    }


def changeovers(session: Session, *, facility: Facility, instrument: Instrument | None = None) -> Matrix:
    """Give the changeovers that stand at a facility, or at one of its instruments."""
    place = Changeover.facility_id == facility.id
    if instrument is not None:
        place = Changeover.instrument_id == instrument.id
    return {(one.before, one.after): one.minutes for one in session.scalars(select(Changeover).where(place))}


def families(session: Session, *, facility: Facility) -> list[str]:
    """Give the families of work that changeovers of a facility and its instruments name."""
    own = select(Instrument.id).where(Instrument.facility_id == facility.id)
    query = select(Changeover.before, Changeover.after).where(
        or_(Changeover.facility_id == facility.id, Changeover.instrument_id.in_(own))
    )
    return sorted({family for pair in session.execute(query) for family in pair})


def neighbours(
    session: Session, *, instrument_ids: Iterable[int], within: Span, without: object = None
) -> dict[int, list[Neighbour]]:
    """Give the uses in a span that work on a family, by instrument; one statement."""
    query = (
        select(BookingItem)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(
            BookingItem.instrument_id.in_(set(instrument_ids)),
            BookingItem.process.is_not(None),
            BookingItem.starts_at < within.end,
            BookingItem.ends_at > within.start,
            Booking.state.in_(HOLDS),
        )
    )
    found: dict[int, list[Neighbour]] = {}
    for row in session.scalars(query):
        process = of(row)
        if process and process.family and row.booking_id != without:
            span = Span(row.starts_at, row.ends_at)
            found.setdefault(row.instrument_id, []).append(Neighbour(span, process.family))
    return found


def drawn(
    session: Session,
    *,
    facility_ids: Iterable[int],
    within: Span,
    without: object = None,
    at: datetime | None = None,
    held: Collection[UUID] = (),
    person_id: UUID | None = None,
) -> dict[int, list[Load]]:
    """Give what is drawn of each utility of some facilities in a span.

    With a time, by bookings and by the holds that count `at` it: not by those that are named or the person's own.
    """
    query = (
        select(BookingItem)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Instrument.facility_id.in_(set(facility_ids)),
            BookingItem.process.is_not(None),
            BookingItem.starts_at < within.end,
            BookingItem.ends_at > within.start,
            Booking.state.in_(HOLDS),
        )
    )
    found: dict[int, list[Load]] = {}
    for row in session.scalars(query):
        process = of(row)
        if process and row.booking_id != without:
            for utility, amount in process.draws:
                found.setdefault(utility, []).append(Load(row.starts_at, row.ends_at, amount))
    for utility, load in _held(session, at, held, person_id) if at is not None else ():
        found.setdefault(utility, []).append(load)
    return found


def _held(
    session: Session, at: datetime, held: Collection[UUID], person_id: UUID | None
) -> Iterator[tuple[int, Load]]:
    """Give what holds draw, of whatever facility: few hold anything at once."""
    kept = exists().where(Occupation.hold_id == Hold.id)
    query = select(Hold.id, Hold.draws).where(Hold.draws.is_not(None), Hold.expires_at > at, kept)
    if person_id is not None:
        query = query.where(or_(Hold.person_id != person_id, Hold.offered))
    for hold_id, draws in session.execute(query):
        if hold_id not in held:
            for utility, start, end, amount in draws:
                yield utility, Load(datetime.fromisoformat(start), datetime.fromisoformat(end), amount)


def held_draws(items: Sequence[Item], rows: Sequence[BookingItem] = ()) -> list[list[Any]] | None:
    """Give what a hold keeps of what items draw, beyond what the rows of a booking draw already."""
    own: dict[int, list[tuple[Span, int]]] = {}
    for row in rows:
        process = of(row)
        for utility, amount in process.draws if process else ():
            own.setdefault(utility, []).append((Span(row.starts_at, row.ends_at), amount))
    found = [
        [utility, span.start.isoformat(), span.end.isoformat(), lacking]
        for item in items
        for utility, amount in (item.process.draws if item.process else ())
        for span, lacking in pieces(item.span, own.get(utility, ()), amount)
    ]
    return found or None


def utilities(session: Session, *, facility_ids: Iterable[int]) -> list[Utility]:
    """Give the shared utilities of some facilities, by code."""
    query = select(Utility).where(Utility.facility_id.in_(set(facility_ids)))
    return list(session.scalars(query.order_by(Utility.facility_id, Utility.code)))


# --- gates ----------------------------------------------------------------------------------------


def changeover(session: Session, wish: "Wish") -> list[Reason]:
    """Refuse a use that comes too soon after one for another family, or before one.

    The nearest use before and the nearest after that work on any family count; an instrument of several units has no
    order of its uses, and no changeovers.
    """
    asked = [
        item
        for item in wish.items
        if item.process and item.process.family and wish.instruments[item.instrument_id].units == 1
    ]
    if not asked:
        return []
    places = {item.instrument_id: wish.instruments[item.instrument_id] for item in asked}
    found = matrices(session, places.values())
    most = timedelta(minutes=max((minutes for one in found.values() for minutes in one.values()), default=0))
    if not most:
        return []
    within = Span(min(item.span.start for item in asked), max(item.span.end for item in asked))
    around = neighbours(
        session,
        instrument_ids=places,
        within=within.padded(most, most),
        without=wish.booking_id,
    )
    for item in asked:
        own = Neighbour(item.span, item.process.family if item.process else "")
        around.setdefault(item.instrument_id, []).append(own)
    return [
        reason
        for item in asked
        for reason in _too_soon(places[item.instrument_id], item, around, found[item.instrument_id])
    ]


def _too_soon(
    row: Instrument, item: Item, around: Mapping[int, Sequence[Neighbour]], matrix: Matrix
) -> list[Reason]:
    family = item.process.family if item.process else ""
    others = [one for one in around[row.id] if one.span != item.span]
    before = max((one for one in others if one.span.end <= item.span.start), default=None, key=_end)
    after = min((one for one in others if one.span.start >= item.span.end), default=None, key=_start)
    pairs = []
    if before is not None:
        pairs.append((before.family, family, item.span.start - before.span.end))
    if after is not None:
        pairs.append((family, after.family, after.span.start - item.span.end))
    return [
        Reason(
            "changeover",
            {
                "instrument": row.code,
                "before": one,
                "after": other,
                "needed": matrix.get((one, other), 0),
                "minutes": int(gap.total_seconds() // 60),
            },
            overridable=True,
        )
        for one, other, gap in pairs
        if gap < timedelta(minutes=matrix.get((one, other), 0))
    ]


def _end(one: Neighbour) -> datetime:
    return one.span.end


def _start(one: Neighbour) -> datetime:
    return one.span.start


def lags(_session: Session, wish: "Wish") -> list[Reason]:
    """Refuse steps of a process that follow each other too soon or too late."""
    found = []
    for before, item in zip(wish.items, wish.items[1:], strict=False):
        lag = item.process.lag if item.process else None
        if lag is None:
            continue
        minutes = int((item.span.start - before.span.end).total_seconds() // 60)
        if not lag[0] <= minutes <= lag[1]:
            figures = {
                "instrument": wish.instruments[item.instrument_id].code,
                "minutes": minutes,
                "least": lag[0],
                "most": lag[1],
            }
            found.append(Reason("lag", figures, overridable=True))
    return found


def shared(session: Session, wish: "Wish") -> list[Reason]:
    """Refuse what draws more of a shared utility than is left.

    Commands that write take turns for each utility, so that two at once cannot both have the last of it.
    """
    asked = [item for item in wish.items if item.process and item.process.draws]
    if not asked:
        return []
    places = {wish.instruments[item.instrument_id].facility_id for item in asked}
    known = {one.id: one for one in utilities(session, facility_ids=places)}
    wanted = {utility for item in asked if item.process for utility, _ in item.process.draws}
    quotas.take_turns(session, [f"utility:{utility}" for utility in wanted])
    within = Span(min(item.span.start for item in asked), max(item.span.end for item in asked))
    loads = drawn(
        session,
        facility_ids=places,
        within=within,
        without=wish.booking_id,
        at=wish.now,
        held=wish.held,
        person_id=wish.person_id,
    )
    own: dict[int, list[Load]] = {}
    for item in asked:
        for utility, amount in item.process.draws if item.process else ():
            own.setdefault(utility, []).append(Load(*item.span, amount))
    found = []
    for utility in sorted(wanted):
        one = known.get(utility)
        room = one.capacity if one else 0
        mine = own[utility]
        if all(peak([*loads.get(utility, ()), *mine], Span(load.start, load.end)) <= room for load in mine):
            continue
        used = max(peak(loads.get(utility, ()), Span(load.start, load.end)) for load in mine)
        figures = {
            "utility": one.code if one else str(utility),
            "name_zh": one.name_zh if one else "",
            "name_en": one.name_en if one else "",
            "unit": one.unit if one else "",
            "asked": max(load.quantity for load in mine),
            "free": max(0, room - used),
            "capacity": room,
        }
        found.append(Reason("utility_full", figures, overridable=True))
    return found


# --- editing --------------------------------------------------------------------------------------


def replace_changeovers(
    session: Session,
    *,
    actor: Actor,
    facility: Facility,
    instrument: Instrument | None = None,
    minutes: Matrix,
    now: datetime,
) -> None:
    """Set the whole matrix of a facility, or of one of its instruments; what is not named takes no time.

    :raises Forbidden: if the actor may not change the rules there
    :raises Invalid: naming what makes no sense
    """
    require(actor, "process.edit", Subject(facility_id=facility.id))
    families = {family for pair in minutes for family in pair}
    if any(not family.strip() for family in families):
        raise Invalid({"family": "required"})
    if any(len(family) > LONGEST_FAMILY for family in families):
        raise Invalid({"family": "too_long_text"})
    if len(families) > MOST_FAMILIES:
        raise Invalid({"family": "too_large"})
    if any(not 0 <= one <= LONGEST_CHANGEOVER for one in minutes.values()):
        raise Invalid({"minutes": "out_of_range"})
    owner = {"instrument_id": instrument.id} if instrument else {"facility_id": facility.id}
    column = Changeover.instrument_id if instrument else Changeover.facility_id
    session.execute(delete(Changeover).where(column == next(iter(owner.values()))))
    session.add_all(
        Changeover(**owner, before=before, after=after, minutes=one)
        for (before, after), one in sorted(minutes.items())
        if one
    )
    session.flush()
    subject = f"instrument {instrument.code}" if instrument else f"facility {facility.code}"
    events.record(
        session,
        actor=actor,
        kind="changeovers.set",
        now=now,
        facility_id=facility.id,
        subject=subject,
        minutes=[[before, after, one] for (before, after), one in sorted(minutes.items()) if one],
    )


def keep_utility(
    session: Session,
    *,
    actor: Actor,
    facility: Facility,
    code: str,
    name_zh: str,
    name_en: str = "",
    unit: str = "",
    capacity: int,
    now: datetime,
) -> Utility:
    """Add a utility to a facility, or give the one of this code other words and another capacity.

    :raises Forbidden: if the actor may not change the rules there
    :raises Invalid: naming what makes no sense
    """
    require(actor, "process.edit", Subject(facility_id=facility.id))
    errors = {
        name: "required" if not value.strip() else "too_long_text"
        for name, value, most in (("code", code, _CODE), ("name_zh", name_zh, 200))
        if not value.strip() or len(value) > most
    }
    errors |= {
        name: "too_long_text"
        for name, value, most in (("name_en", name_en, 200), ("unit", unit, 40))
        if len(value) > most
    }
    if not 0 <= capacity <= MOST_CAPACITY:
        errors["capacity"] = "out_of_range"
    known = utilities(session, facility_ids=[facility.id])
    row = next((one for one in known if one.code == code.strip()), None)
    if row is None and len(known) >= MOST_UTILITIES:
        errors["code"] = "too_large"
    if errors:
        raise Invalid(errors)
    if row is None:
        row = Utility(facility_id=facility.id, code=code.strip())
        session.add(row)
    row.name_zh, row.name_en, row.unit, row.capacity = (
        name_zh.strip(),
        name_en.strip(),
        unit.strip(),
        capacity,
    )
    session.flush()
    _record(session, actor, "utility.kept", row, now)
    return row


def drop_utility(session: Session, *, actor: Actor, facility: Facility, code: str, now: datetime) -> None:
    """Give a utility up; what was booked with it stays and draws nothing any more.

    :raises NotFound: if there is none
    :raises Forbidden: if the actor may not change the rules there
    """
    require(actor, "process.edit", Subject(facility_id=facility.id))
    row = next((one for one in utilities(session, facility_ids=[facility.id]) if one.code == code), None)
    if row is None:
        raise NotFound("utility", code)
    _record(session, actor, "utility.dropped", row, now)
    session.delete(row)
    session.flush()


def _record(session: Session, actor: Actor, kind: str, row: Utility, now: datetime) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=f"utility {row.code}",
        capacity=row.capacity,
        unit=row.unit,
    )
