"""Bookings: place, change, cancel, check in and out; each is one command in one transaction."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, not_, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import (
    Session,
    class_mapper,
    joinedload,
    make_transient_to_detached,
    selectinload,
    undefer,
)
from sqlalchemy.orm.attributes import set_committed_value

from booking.domain import attendance
from booking.domain import chemicals as substances
from booking.domain.access import SYSTEM, VISITOR, Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.chemicals import Substance
from booking.domain.credit import Deed
from booking.domain.identity import time_ordered_id
from booking.domain.lifecycle import Action, State, WrongMove, after
from booking.domain.occupation import Claim, Item
from booking.domain.policy import Timetable
from booking.domain.pricing import Charge
from booking.domain.replanning import IfSilent
from booking.domain.rules import LONGEST, Facts, Invalid, Reason, Refused, refusals, too_late_to_cancel
from booking.domain.spans import Span
from booking.services import (
    acting,
    approval_steps,
    availability,
    credit,
    events,
    faults,
    gates,
    kept,
    manners,
    occupation,
    policies,
    processes,
    qualification_needs,
)
from booking.services.approval_steps import Planned
from booking.services.gates import Wish
from models import (
    Booking,
    BookingItem,
    Event,
    Facility,
    Instrument,
    Occupation,
    Organisation,
    OrganisationKind,
    Person,
    Project,
    ProjectMember,
    RequestKey,
    Usage,
    stamp,
)

MOST_ITEMS = 50
LEAST_WORDS, MOST_WORDS = 3, 500
"""So many letters a reason for setting rules aside has."""
KEY_LIFE = timedelta(hours=24)
AS_IT_WAS = frozenset({"notice", "horizon", "notice_to_change", "off_step", "too_short", "too_long"})
"""What does not stand against a change that is taken back: it was so minutes ago."""
AT_ONCE = frozenset({"notice", "off_step"})
"""What does not stand against who is called from standby: they begin when the time comes free."""


_SORT = select(Organisation.kind).where(Organisation.id == bindparam("organisation_id"))
_BOOKER = (
    select(Person, Organisation.kind)
    .outerjoin(Organisation, Organisation.id == bindparam("organisation_id", type_=Integer))
    .where(Person.id == bindparam("person_id"))
)


_SIGHT = occupation.telling(stamp.current().label("stamp"), credit.BARRED)
_BOOKING, _ITEM = Booking.metadata.tables["booking"], Booking.metadata.tables["booking_item"]


class Stale(Exception):
    """The booking has changed since the version that the caller saw."""


class KeyReused(Exception):
    """An idempotency key that came before with another request."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a booking will cost: a line per item (None: negotiated), and their sum where all are known."""

    lines: tuple[Charge | None, ...]

    @property
    def total(self) -> Decimal | None:
        """Give the sum in yuan, None when a line is negotiated."""
        if any(line is None for line in self.lines):
            return None
        return sum((line.amount for line in self.lines if line is not None), Decimal(0))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would happen to a wish, without anything being written."""

    allowed: bool
    reasons: tuple[Reason, ...]
    estimate: Estimate
    needs_approval: bool
    conditions: tuple[Reason, ...] = ()
    steps: tuple[Planned, ...] = ()
    unannounced: tuple[int, ...] = ()
    wish: Wish | None = None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One deed in the life of a booking."""

    at: datetime
    kind: str
    actor_name: str | None
    data: Mapping[str, Any]


class Part(enum.StrEnum):
    """The heaps of one's own bookings: three of those for oneself, and what one has booked for others."""

    AHEAD = "ahead"
    WAITING = "waiting"
    OVER = "over"
    FOR_OTHERS = "for_others"


@dataclass(frozen=True, slots=True)
class _Case:
    """A wish with all that decides about it."""

    instruments: dict[int, Instrument]
    claims: list[Claim]
    facts: dict[int, Facts]
    expired: bool
    timetables: dict[int, Timetable]
    held: frozenset[UUID] = frozenset()
    barred: bool | None = None


@kept.during
def place(
    session: Session,
    *,
    actor: Actor,
    items: Sequence[Item],
    purpose: str = "",
    project_id: UUID | None = None,
    confidential: bool | None = None,
    booked_for: UUID | None = None,
    chemicals: Sequence[Substance] = (),
    key: str | None = None,
    why: str = "",
    fingerprint: str = "",
    series: tuple[UUID, date] | None = None,
    series_id: UUID | None = None,
    hold_id: UUID | None = None,
    override: str = "",
    at_once: bool = False,
    needed_by: date | None = None,
    undo: UUID | None = None,
    bare: bool = False,
    now: datetime,
) -> Booking:
    """Hold each instrument for its span, pending approval where one needs it.

    With `override`, a reason in words, a manager of every facility concerned sets aside the rules that may be.

    What is held for the actor while they fill the form is free for them, and so is the hold that is named.
    Who is called from standby has it `at_once`, whatever notice and step are usual.

    With `booked_for` it is another person's booking, by whose rules it is judged; both may change it. A repeated
    `key` gives the booking that it made before. `series` is the series of which the booking is a
    date, and which; `series_id` names the one that is placed as a whole, of which people hear once. `why` is the
    code of what their letter tells beside it. `undo` is the booking whose cancellation it takes back. `bare` gives a
    booking that is only to be told of: nobody read the facilities, and of its person it knows the name.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: with every reason, if any rule stands against it
    :raises Invalid: if the items make no sense
    :raises KeyReused: if the key came before with another fingerprint
    """
    require(actor, "booking.place")
    if actor.person_id is None:
        raise Forbidden("booking.place", sign_in=True)
    _check_items(items)
    substances.check(chemicals)
    booking_id = time_ordered_id(now)
    if key is not None:
        known = _claim_key(session, actor.person_id, key, fingerprint, booking_id, now)
        if known is not None:
            return get(session, actor=actor, booking_id=known)
    locked = occupation.lock(session, (item.instrument_id for item in items))
    require_visible(actor, [locked.instruments[item.instrument_id] for item in items])
    whom = _whom(session, actor, booked_for, locked.instruments, items, project_id)
    case = _case(
        session,
        locked,
        items,
        now,
        whom.person_id,
        person_id=actor.person_id,
        hold_id=hold_id,
        again=occupation.lock,
    )
    wish = wish_for(session, whom, None, items, case.instruments, project_id, now, chemicals)
    wish = replace(wish, held=case.held, barred=case.barred)
    stand = [*standing(refusals(items, case.claims, case.facts, now), at_once), *gates.reasons(session, wish)]
    overrode = _settle(session, actor, items, stand, case, override, wish)
    steps = approval_steps.planned(session, actor=actor, wish=wish)
    bare = bare and not steps and not chemicals and wish.person_id == actor.person_id
    if bare:
        person, sort = Person(id=actor.person_id, name=actor.name), _sort(session, wish.organisation_id)
    else:
        person, sort = _booker(session, wish)
    places = [case.instruments[item.instrument_id] for item in items]
    values = {
        "id": booking_id,
        "person_id": wish.person_id,
        "organisation_id": wish.organisation_id,
        "project_id": project_id,
        "booked_by_id": None if wish.person_id == actor.person_id else actor.person_id,
        "series_id": series[0] if series else None,
        "series_day": series[1] if series else None,
        "state": State.REQUESTED if steps else State.CONFIRMED,
        "purpose": purpose,
        "needed_by": needed_by,
        "confidential": _confidential(confidential, sort, places),
        "may_move": False,
        "makes_room": False,
        "if_silent": IfSilent.STAY,
        "starts_at": min(item.span.start for item in items),
        "ends_at": max(item.span.end for item in items),
        "version": 1,
        "sequence": 0,
        "created_at": now,
        "updated_at": now,
    }
    booking = _object(Booking, values)
    event = events.row(
        # Nobody did it themselves that came of a wish: its owner reads of it as of news.
        actor=SYSTEM if why else actor,
        kind="booking.requested" if steps else "booking.placed",
        now=now,
        booking=booking,
        facility_id=places[0].facility_id,
        version=1,
        **_told_together(series_id, why, undo),
        **overrode,
    )
    rows = _item_rows(booking_id, items)
    session.flush()
    written = [(_ITEM, _said(row)) for row in rows]
    _take(session, case, booking_id, now, along=[(_BOOKING, _said(values)), *written, event])
    around = [{"booking": booking, "instrument": place} for place in places]
    made = [_object(BookingItem, {**row, **known}) for row, known in zip(rows, around, strict=True)]
    vars(booking).update(person=person, booked_by=None, usage=None)
    if bare:
        vars(booking).update(items=made)
        return booking
    for row in (booking, *made):
        make_transient_to_detached(row)
    set_committed_value(booking, "items", made)
    session.add(booking)
    if booking.booked_by_id:
        set_committed_value(booking, "booked_by", session.get(Person, booking.booked_by_id))
    _load_facilities(session, case.instruments)
    if chemicals:
        approval_steps.declare(session, booking_id=booking.id, chemicals=chemicals)
    if steps:
        approval_steps.begin(session, actor=actor, booking=booking, steps=steps, now=now)
    return booking


@kept.during
def dry_run(
    session: Session,
    *,
    actor: Actor,
    items: Sequence[Item],
    project_id: UUID | None = None,
    booking_id: UUID | None = None,
    booked_for: UUID | None = None,
    chemicals: Sequence[Substance] | None = None,
    now: datetime,
) -> Verdict:
    """Tell what `place` (or, with a booking's id, `change`) would answer, with every reason and the price.

    :raises NotFound: if there is no such instrument, project or booking for this actor
    :raises Invalid: if the items make no sense
    """
    require(actor, "booking.place")
    _check_items(items)
    substances.check(chemicals or ())
    known = get(session, actor=actor, booking_id=booking_id) if booking_id is not None else None
    before = _spans(known) if known is not None else {}
    seen = occupation.unlocked(session, {*before, *(item.instrument_id for item in items)})
    require_visible(actor, [seen.instruments[item.instrument_id] for item in items])
    whom = _whom(session, actor, booked_for, seen.instruments, items, project_id)
    whose = known.person_id if known is not None else whom.person_id
    case = _case(
        session,
        seen,
        items,
        now,
        whose,
        without=booking_id,
        person_id=actor.person_id,
        again=occupation.unlocked,
    )
    wish = wish_for(session, whom, known, items, case.instruments, project_id, now, chemicals)
    wish = replace(wish, held=case.held, barred=case.barred)
    stand = [*refusals(items, case.claims, case.facts, now, before=before), *gates.reasons(session, wish)]
    reasons = tuple(policies.told(session, stand, items, case.instruments, case.timetables))
    estimate = Estimate(tuple(availability.estimates(session, actor=whom, items=items)))
    steps = tuple(_steps_ahead(session, actor, known, wish))
    conditions = tuple(gates.conditions(session, wish))
    unannounced = policies.unannounced(session, items, case.instruments)
    return Verdict(not reasons, reasons, estimate, bool(steps), conditions, steps, unannounced, wish)


def _steps_ahead(session: Session, actor: Actor, known: Booking | None, wish: Wish) -> list[Planned]:
    """Give the steps that a wish would have to pass; a change that takes no more than before asks for none."""
    if known is None:
        return approval_steps.planned(session, actor=actor, wish=wish)
    declared = approval_steps.declared(session, booking_id=known.id) if wish.chemicals is not None else []
    brought = wish.chemicals is not None and substances.grows(declared, wish.chemicals)
    if not brought and all(_within(item, known.items) for item in wish.items):
        return []
    by = VISITOR if known.state is State.REQUESTED else actor
    return approval_steps.planned(session, actor=by, wish=wish)


def cleared(
    session: Session,
    *,
    actor: Actor,
    items: Sequence[Item],
    locked: occupation.Locked,
    project_id: UUID | None = None,
    booking: Booking | None = None,
    booked_for: UUID | None = None,
    at_once: bool = False,
    now: datetime,
) -> list[Claim]:
    """Judge a wish as `place` does (or `change`, of a booking), and give what it would take; nothing is taken.

    The instruments are locked, and rid of holds that have run out.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: with every reason, if any rule stands against it
    :raises Invalid: if the items make no sense
    """
    require(actor, "booking.place")
    _check_items(items)
    require_visible(actor, [locked.instruments[item.instrument_id] for item in items])
    before = _spans(booking) if booking is not None else {}
    whom = _whom(session, actor, booked_for, locked.instruments, items, project_id)
    whose = booking.person_id if booking is not None else whom.person_id
    without = booking.id if booking is not None else None
    case = _case(session, locked, items, now, whose, without=without)
    wish = wish_for(session, whom, booking, items, case.instruments, project_id, now)
    rules = standing(refusals(items, case.claims, case.facts, now, before=before), at_once)
    _settle(session, actor, items, [*rules, *gates.reasons(session, wish)], case, "", wish)
    if case.expired:
        occupation.drop_expired(session, case.instruments, now=now)
    return case.claims


def change(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    version: int | None,
    items: Sequence[Item] | None = None,
    purpose: str | None = None,
    confidential: bool | None = None,
    chemicals: Sequence[Substance] | None = None,
    series_id: UUID | None = None,
    why: str = "",
    override: str = "",
    undo: State | None = None,
    now: datetime,
) -> Booking:
    """Move, lengthen, shorten or amend a booking, under the same rules as a new one; `override` as in `place`.

    Where an instrument needs approval, a change that takes more than before asks for it anew. `series_id` names
    the series that is changed as a whole; `why` as in `place`. With `undo`, the state that it had before, a change is
    taken back: how soon or how far ahead one books is not asked again, nor for what was approved.

    :raises NotFound: if there is no such booking or instrument for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Stale: if the version is not the booking's
    :raises WrongMove: if its state allows no change
    :raises Refused: with every reason, if any rule stands against it
    """
    booking, locked = _lock_booking(session, actor, booking_id, "booking.change", version, items or ())
    before = _values(booking) | _declared(session, booking, chemicals)
    after(booking.state, Action.CHANGE)
    more, overrode = False, dict[str, Any]()
    items = None if items is None else processes.inherited(items, booking.items)
    if items is not None and list(items) != _items(booking):
        _check_items(items)
        more, overrode = _retime(session, actor, booking, items, locked, now, chemicals, override, undo)
    if chemicals is not None:
        more |= _redeclare(session, actor, booking, chemicals, now)
    if purpose is not None:
        booking.purpose = purpose
    if confidential is not None:
        booking.confidential = confidential
    told = _values(booking) | _declared(session, booking, chemicals)
    if told == before:
        return booking
    booking.apply(Action.CHANGE)
    asks = more and undo is not State.CONFIRMED
    steps = _steps_anew(session, actor, booking, locked.instruments, now) if asks else []
    again = bool(steps) and booking.state is State.CONFIRMED
    if again:
        booking.apply(Action.RESUBMIT)
    booking.version += 1
    booking.sequence += 1
    booking.updated_at = now
    changes = {name: [old, new] for name, old in before.items() if (new := told[name]) != old}
    together = _told_together(series_id, why, booking_id if undo else None) | overrode
    together |= {"asks_again": True} if again else {}
    _record(session, actor, "booking.changed", booking, now, changes=changes, **together)
    if more and booking.state is State.REQUESTED:
        _ask_anew(session, actor, booking, steps, now)
    session.flush()
    return booking


def cancel(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    reason: str = "",
    version: int | None = None,
    series_id: UUID | None = None,
    override: str = "",
    now: datetime,
) -> Booking:
    """Give a booking up and its time back; a request that nobody approved yet is withdrawn.

    A manager who gives a reason may do so later than the rules allow.

    `series_id` names the series of which several are cancelled at once.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not cancel it
    :raises Stale: if the version is not the booking's
    :raises WrongMove: if its state does not allow it
    :raises Refused: if it has begun, unless the facility's manager cancels, or begins too soon
    """
    booking, locked = _lock_booking(session, actor, booking_id, "booking.cancel", version)
    after(booking.state, Action.CANCEL)
    if booking.starts_at <= now and not _manages(actor, booking):
        raise Refused([Reason("already_started", {"start": booking.starts_at}, overridable=True)])
    late = _cancels_late(session, actor, booking, now)
    given = override or (reason if _manages(actor, booking) else "")
    together = _told_together(series_id) | _cancel_in_time(session, actor, booking, locked, given, now)
    finish(session, actor=actor, booking=booking, action=Action.CANCEL, now=now, reason=reason, **together)
    if late:
        _credit(session, actor, booking, Deed.LATE_CANCELLATION, now, now)
    return booking


def _cancel_in_time(
    session: Session, actor: Actor, booking: Booking, locked: occupation.Locked, override: str, now: datetime
) -> dict[str, Any]:
    if booking.state is not State.CONFIRMED:
        return {}
    timetables = policies.timetables(session, locked.instruments.values(), person_id=booking.person_id)
    known = {
        row.instrument_id: Facts(
            row.instrument.code,
            row.instrument.units,
            row.instrument.facility.zone,
            timetable=timetables[row.instrument_id],
        )
        for row in booking.items
    }
    late = too_late_to_cancel(_spans(booking), known, now)
    case = _Case(locked.instruments, [], known, False, timetables)
    return _settle(session, actor, _items(booking), late, case, override)


def _cancels_late(session: Session, actor: Actor, booking: Booking, now: datetime) -> bool:
    """Tell whether others can hardly use the time any more, and it was the person's own choice."""
    if booking.state is not State.CONFIRMED or _manages(actor, booking):
        return False
    span, known = manners.span_of(booking), manners.of(session, booking)
    late = attendance.cancels_late(span, now, placed=booking.created_at, known=known)
    return late and not manners.closed_over(session, booking)


def check_in(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> Booking:
    """Note that the person has come; from the start of set-up to the end of the use.

    :raises WrongMove: if the booking's state does not allow it
    :raises Refused: if it is too early or too late
    """
    booking, _ = _lock_booking(session, actor, booking_id, "booking.check_in", None)
    after(booking.state, Action.CHECK_IN)
    opens = booking.opens_at or booking.starts_at
    if now < opens:
        zone = booking.items[0].instrument.facility.zone
        raise Refused([Reason("not_open_yet", {"opens": opens, "zone": zone})])
    if now >= booking.ends_at:
        raise Refused([Reason("past", {"now": now})])
    span, known = manners.span_of(booking), manners.of(session, booking)
    closes = attendance.check_in_closes(span, known)
    if now >= closes:
        zone = booking.items[0].instrument.facility.zone
        raise Refused([Reason("too_late", {"closed": closes, "start": span.start, "zone": zone})])
    held = {item.instrument_id: item.instrument for item in booking.items}
    wish = wish_for(session, actor, booking, _items(booking), held, booking.project_id, now)
    _refuse((), gates.at_check_in(session, wish))
    late = attendance.late(span, now, known)
    booking.usage = Usage(checked_in_at=now, late_minutes=late)
    _step(session, actor, booking, Action.CHECK_IN, "booking.checked_in", now)
    if late:
        _credit(session, actor, booking, Deed.LATE, now, now)
    return booking


def check_out(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> Booking:
    """Note that the person has gone, and give back the time that is left.

    Whoever forgot it counts as gone when the next one came, or the facility's patience ended.

    :raises WrongMove: if the booking's state does not allow it
    """
    booking, _ = _lock_booking(session, actor, booking_id, "booking.check_in", None)
    after(booking.state, Action.CHECK_OUT)
    span, known = manners.span_of(booking), manners.of(session, booking)
    follows = manners.follows_at(session, booking) if now > span.end else None
    went = min(now, attendance.gone_at(span, follows, known))
    usage = booking.usage = booking.usage or Usage()
    flagged = bool(usage.overtime_minutes)
    usage.checked_out_at = went
    usage.early_minutes = attendance.early(span, went, known)
    usage.overtime_minutes = attendance.overtime(span, went, known)
    occupation.end_early(session, booking_id=booking.id, at=now)
    left = {} if went == now else {"went": went.isoformat()}
    _step(session, actor, booking, Action.CHECK_OUT, "booking.ended", now, **left)
    if usage.overtime_minutes and not flagged:
        note_overtime(session, actor=actor, booking=booking, now=now)
    deeds = {
        Deed.OVERTIME: usage.overtime_minutes,
        Deed.EARLY: usage.early_minutes,
        Deed.NORMAL_USE: not (usage.late_minutes or usage.early_minutes or usage.overtime_minutes),
    }
    for deed in (deed for deed, done in deeds.items() if done):
        _credit(session, actor, booking, deed, went, now)
    return booking


def note_overtime(session: Session, *, actor: Actor, booking: Booking, now: datetime) -> None:
    """Record that somebody is still there after the end of their time."""
    _record(session, actor, "booking.overtime", booking, now, person_id=str(booking.person_id))


def extend(
    session: Session, *, actor: Actor, booking_id: UUID, minutes: int | None = None, now: datetime
) -> Booking:
    """Lengthen a booking at its end, by a step of its instruments unless told otherwise, under the rules of a change.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises WrongMove: if its state allows no change
    :raises Refused: with every reason, if any rule stands against it
    """
    booking = get(session, actor=actor, booking_id=booking_id)
    if minutes is None:
        last = [item.instrument for item in booking.items if item.ends_at == booking.ends_at]
        timetables = policies.timetables(session, last, person_id=booking.person_id)
        minutes = max(timetable.at(booking.starts_at).step for timetable in timetables.values())
    if minutes < 1:
        raise Invalid({"minutes": "too_small"})
    items = [
        Item(
            item.instrument_id,
            Span(item.span.start, item.span.end + timedelta(minutes=minutes)),
            item.quantity,
        )
        if item.span.end == booking.ends_at
        else item
        for item in _items(booking)
    ]
    return change(session, actor=actor, booking_id=booking_id, version=booking.version, items=items, now=now)


def feedback(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    rating: int | None,
    condition: str = "",
    comment: str = "",
    samples: int | None = None,
    faulty: str = "",
    now: datetime,
) -> Booking:
    """Keep what the person says of the use: 1 to 5, normal or faulty, how many samples, and a remark.

    A faulty instrument is reported to its facility; of several, `faulty` is the code of the one.

    :raises WrongMove: if the booking was not used yet
    :raises Invalid: for `instrument_id`, if something is faulty and it names none of them
    """
    booking, _ = _lock_booking(session, actor, booking_id, "booking.feedback", None)
    used = booking.state is State.ENDED or (booking.state is State.CONFIRMED and booking.ends_at <= now)
    if not used:
        raise WrongMove(booking.state, Action.CHECK_OUT)
    if booking.usage is None:
        booking.usage = Usage()
    booking.usage.rating = rating
    booking.usage.condition = condition
    booking.usage.comment = comment
    if samples is not None:
        booking.usage.samples = samples
    booking.usage.feedback_at = now
    booking.version += 1
    booking.updated_at = now
    _record(session, actor, "booking.feedback", booking, now, rating=rating, condition=condition)
    session.flush()
    if condition == "faulty":
        faults.of_use(
            session,
            actor=actor,
            person_id=booking.person_id,
            booking_id=booking.id,
            used=list({row.instrument_id: row.instrument for row in booking.items}.values()),
            code=faulty,
            text=comment,
            now=now,
        )
    return booking


def finish(
    session: Session,
    *,
    actor: Actor,
    booking: Booking,
    action: Action,
    now: datetime,
    reason: str = "",
    **data: Any,
) -> Booking:
    """Take a locked booking to a state that holds no time, and give its time back; `data` goes into the event.

    :raises WrongMove: if its state does not allow the action
    """
    if booking.state is State.REQUESTED:
        approval_steps.drop(session, booking_id=booking.id, now=now)
    booking.apply(action)
    occupation.release(session, booking_id=booking.id, now=now)
    booking.version += 1
    booking.sequence += 1
    booking.updated_at = now
    _record(session, actor, f"booking.{booking.state.value}", booking, now, reason=reason, **data)
    session.flush()
    return booking


def get(session: Session, *, actor: Actor, booking_id: UUID, now: datetime | None = None) -> Booking:
    """Give a booking with its items, instruments, facilities and person.

    Who is asked to approve it sees it too, and with `now` who decides in their place.

    :raises NotFound: if there is none, or none that this actor may see
    """
    booking = session.scalars(_loaded().where(Booking.id == booking_id)).one_or_none()
    if booking is None or not (
        may_on(actor, "booking.see", booking)
        or approval_steps.concerns(session, actor=actor, booking_id=booking_id, now=now)
    ):
        raise NotFound("booking", booking_id)
    return booking


def by_ids(session: Session, *, ids: Iterable[UUID]) -> list[Booking]:
    """Give these bookings by start, with all that `get` gives; for callers that know that they may be seen."""
    query = _loaded().where(Booking.id.in_(list(ids))).order_by(Booking.starts_at, Booking.id)
    return list(session.scalars(query))


def listing(
    session: Session,
    *,
    actor: Actor,
    mine: bool = False,
    instrument_id: int | None = None,
    facility_id: int | None = None,
    within: Span | None = None,
    states: Iterable[State] = (),
    page: int = 1,
    page_size: int = 50,
) -> tuple[list[Booking], int]:
    """Give the bookings that the actor may see, by start, and how many there are in all."""
    require(actor, "booking.list")
    query = select(Booking.id)
    query = query.where(Booking.person_id == actor.person_id) if mine else _seen_by(query, actor)
    places = select(BookingItem.booking_id)
    if instrument_id is not None:
        query = query.where(Booking.id.in_(places.where(BookingItem.instrument_id == instrument_id)))
    if facility_id is not None:
        there = select(Instrument.id).where(Instrument.facility_id == facility_id)
        query = query.where(Booking.id.in_(places.where(BookingItem.instrument_id.in_(there))))
    if within is not None:
        query = query.where(Booking.starts_at < within.end, Booking.ends_at > within.start)
    wanted = list(states)
    if wanted:
        query = query.where(Booking.state.in_(wanted))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    chosen = query.order_by(Booking.starts_at, Booking.id).limit(page_size).offset((page - 1) * page_size)
    ids = session.scalars(chosen).all()
    rows = session.scalars(_loaded().where(Booking.id.in_(ids)).order_by(Booking.starts_at, Booking.id))
    return list(rows), total


def own(
    session: Session, *, actor: Actor, part: Part, page: int = 1, page_size: int = 20, now: datetime
) -> tuple[list[Booking], dict[Part, int]]:
    """Give a page of one heap of the actor's own bookings, and how many there are in each.

    Those ahead, running ones too, and those that wait for approval come soonest first; what is over or was
    given up comes latest first, and so does what was booked for others.
    """
    require(actor, "booking.list")
    mine, for_others = Booking.person_id == actor.person_id, Booking.booked_by_id == actor.person_id
    heaps = {name: and_(mine, heap) for name, heap in _heaps(now).items()} | {Part.FOR_OTHERS: for_others}
    counts = session.execute(
        select(*(func.count().filter(heap) for heap in heaps.values())).where(or_(mine, for_others))
    ).one()
    start = Booking.starts_at.desc() if part in {Part.OVER, Part.FOR_OTHERS} else Booking.starts_at
    chosen = select(Booking.id).where(heaps[part]).order_by(start, Booking.id)
    ids = session.scalars(chosen.limit(page_size).offset((page - 1) * page_size)).all()
    rows = session.scalars(_loaded().where(Booking.id.in_(ids)).order_by(start, Booking.id))
    return list(rows), dict(zip(heaps, counts, strict=True))


def _heaps(now: datetime) -> dict[Part, ColumnElement[bool]]:
    # Who has not checked out is still there, whatever the clock says.
    ahead = or_(
        Booking.state == State.CHECKED_IN, and_(Booking.state == State.CONFIRMED, Booking.ends_at > now)
    )
    waiting = Booking.state == State.REQUESTED
    return {Part.AHEAD: ahead, Part.WAITING: waiting, Part.OVER: not_(or_(ahead, waiting))}


def of_series(session: Session, *, series_id: UUID) -> list[Booking]:
    """Give all bookings that a series ever had, by date; of those of one date the last made comes last."""
    query = _loaded().where(Booking.series_id == series_id)
    return list(session.scalars(query.order_by(Booking.series_day, Booking.created_at, Booking.id)))


def history(
    session: Session, *, actor: Actor, booking_id: UUID, now: datetime | None = None
) -> list[HistoryLine]:
    """Give all that happened to a booking, oldest first.

    :raises NotFound: if there is none, or none that this actor may see
    """
    get(session, actor=actor, booking_id=booking_id, now=now)
    query = (
        select(Event, Person.name)
        .outerjoin(Person, Person.id == Event.actor_id)
        .where(Event.booking_id == booking_id)
        .order_by(Event.id)
    )
    return [HistoryLine(event.at, event.kind, name, event.data) for event, name in session.execute(query)]


def conditions(session: Session, *, booking: Booking, now: datetime) -> list[Reason]:
    """Give what must still come true, or be mended, before a booking ahead begins."""
    return qualification_needs.wanting(session, found=[booking], now=now).get(booking.id, [])


def confidential_by_default(
    session: Session, *, actor: Actor, instrument: Instrument, project_id: UUID | None = None
) -> bool:
    """Tell whether `place` would hide a booking from others if it is not told.

    :raises NotFound: if the actor does not work for the project
    """
    where = {"organisation_id": _organisation(session, actor, project_id)}
    return _confidential(None, session.scalar(_SORT, where), [instrument])


def subject_of(booking: Booking) -> list[Subject]:
    """Give what decides about a booking: its owner and organisation, at each facility it is for."""
    places = sorted({item.instrument.facility_id for item in booking.items})
    whose = booking.person_id, booking.organisation_id
    return [Subject(*whose, place, agent_id=booking.booked_by_id) for place in places]


def may_on(actor: Actor, action: str, booking: Booking) -> bool:
    """Tell whether the actor may take the action on the booking; staff of every facility of it, or its people."""
    return all(may(actor, action, subject) for subject in subject_of(booking)) or (
        action == "booking.see" and any(may(actor, action, subject) for subject in subject_of(booking))
    )


def lock_for(
    session: Session, *, actor: Actor, booking_id: UUID, action: str, version: int | None = None
) -> Booking:
    """Lock a booking's instruments, then read it, for a command that ends or confirms it.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if the actor may see it but not take the action
    :raises Stale: if the version is not the booking's
    """
    return _lock_booking(session, actor, booking_id, action, version)[0]


def items_of(booking: Booking) -> list[Item]:
    """Give the items of a booking as rules see them."""
    return _items(booking)


def stand_against(
    session: Session, *, actor: Actor, booking: Booking, items: Sequence[Item], now: datetime
) -> list[Reason]:
    """Give what the rules would say against other items for a booking, were their time free."""
    locked = occupation.unlocked(session, {item.instrument_id for item in [*items, *_items(booking)]})
    case = _case(session, locked, items, now, booking.person_id)
    return _against(session, actor, booking, items, replace(case, claims=[]), now, before=_spans(booking))


def trade(
    session: Session,
    *,
    actor: Actor,
    moves: Sequence[tuple[Booking, Sequence[Item]]],
    now: datetime,
    swap: UUID,
) -> None:
    """Move locked bookings into each other's place, all or none; of another's lacks the actor hears no more than that.

    :raises WrongMove: if the state of one allows no change
    :raises Refused: with every reason
    """
    places = {item.instrument_id for booking, items in moves for item in [*items, *_items(booking)]}
    locked = occupation.unlocked(session, places)
    before = {booking.id: (_values(booking), _spans(booking)) for booking, _ in moves}
    for booking, items in moves:
        booking.apply(Action.CHANGE)
        _check_items(items)
        occupation.release(session, booking_id=booking.id, now=now)
        _replace_items(session, booking, items, locked.instruments)
    reasons: list[Reason] = []
    for booking, items in moves:
        case = _case(session, locked, items, now, booking.person_id)
        stand = _against(session, actor, booking, items, case, now, before=before[booking.id][1])
        mine = booking.person_id == actor.person_id
        if not stand and _steps_anew(session, actor if mine else VISITOR, booking, locked.instruments, now):
            stand = [Reason("swap_needs_approval")]
        reasons += stand if mine or not stand else [Reason("other_person_refused", {"blind": True})]
        if not reasons:
            _take(session, case, booking.id, now)
    if reasons:
        raise Refused(reasons)
    for booking, _items_now in moves:
        booking.version += 1
        booking.sequence += 1
        booking.updated_at = now
        old, new = before[booking.id][0], _values(booking)
        who = actor if booking.person_id == actor.person_id else SYSTEM
        changes = {name: [old[name], new[name]] for name in new if new[name] != old[name]}
        _record(session, who, "booking.changed", booking, now, changes=changes, swap=str(swap))
    session.flush()


def _against(
    session: Session,
    actor: Actor,
    booking: Booking,
    items: Sequence[Item],
    case: _Case,
    now: datetime,
    *,
    before: Mapping[int, Span],
) -> list[Reason]:
    wish = wish_for(session, actor, booking, items, case.instruments, booking.project_id, now)
    stand = [*refusals(items, case.claims, case.facts, now, before=before), *gates.reasons(session, wish)]
    return policies.told(session, stand, items, case.instruments, case.timetables)


def displaced(session: Session, *, instrument_ids: Iterable[int], span: Span) -> list[Booking]:
    """Give the bookings whose time meets the span on any of the instruments."""
    met = select(Occupation.booking_id).where(
        Occupation.instrument_id.in_(set(instrument_ids)),
        Occupation.booking_id.is_not(None),
        Occupation.starts_at < span.end,
        Occupation.ends_at > span.start,
    )
    query = _loaded().where(Booking.id.in_(met), Booking.state != State.ENDED)
    return list(session.scalars(query.order_by(Booking.starts_at, Booking.id)))


def _check_items(items: Sequence[Item]) -> None:
    """Refuse items that make no sense under any rule.

    :raises Invalid: if they do not
    """
    if not items:
        raise Invalid({"items": "required"})
    if len(items) > MOST_ITEMS:
        raise Invalid({"items": "too_large"})
    if len(set(items)) < len(items):
        raise Invalid({"items": "duplicate"})
    for item in items:
        if item.quantity < 1:
            raise Invalid({"quantity": "too_small"})
        if item.span.start >= item.span.end:
            raise Invalid({"end": "inverted"})
        if not (2000 <= item.span.start.year < 2100 and 2000 <= item.span.end.year < 2100):
            raise Invalid({"start": "out_of_range"})


def _claim_key(
    session: Session, person_id: UUID, key: str, fingerprint: str, booking_id: UUID, now: datetime
) -> UUID | None:
    """Claim the key for a new booking, or give the booking that it made; a rival waits here for the first."""
    values = {
        "person_id": person_id,
        "key": key,
        "fingerprint": fingerprint,
        "booking_id": booking_id,
        "created_at": now,
    }
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    fresh = {name: values[name] for name in ("fingerprint", "booking_id", "created_at")}
    row = session.execute(
        make(RequestKey)
        .values(values)
        .on_conflict_do_update(
            index_elements=["person_id", "key"], set_=fresh, where=RequestKey.created_at <= now - KEY_LIFE
        )
        .returning(RequestKey.booking_id)
    ).scalar_one_or_none()
    if row is not None:
        return None
    known = session.get_one(RequestKey, (person_id, key))
    if known.fingerprint != fingerprint:
        raise KeyReused
    return known.booking_id


def require_change(actor: Actor, booking: Booking) -> None:
    """Let the actor change a booking that they see.

    :raises Forbidden: if they may not
    """
    if not may_on(actor, "booking.change", booking):
        raise Forbidden("booking.change")


def by_key(session: Session, *, actor: Actor, key: str, fingerprint: str, now: datetime) -> Booking | None:
    """Give the booking that a key made before; for commands that would look for a time first.

    :raises KeyReused: if the key came before with another fingerprint
    """
    known = session.get(RequestKey, (actor.person_id, key)) if actor.person_id else None
    if known is None or known.created_at <= now - KEY_LIFE:
        return None
    if known.fingerprint != fingerprint:
        raise KeyReused
    return get(session, actor=actor, booking_id=known.booking_id)


def standing(reasons: Iterable[Reason], at_once: bool) -> list[Reason]:
    """Give what of the rules stands against a use, one that begins at once too."""
    return [one for one in reasons if not (at_once and one.code in AT_ONCE)]


def require_visible(actor: Actor, instruments: Iterable[Instrument]) -> None:
    """Let the actor ask for these instruments.

    :raises NotFound: if there is one that they may not know of
    """
    for instrument in instruments:
        subject = Subject(facility_id=instrument.facility_id)
        if not instrument.published and not may(actor, "instrument.see_unpublished", subject):
            raise NotFound("instrument", instrument.code)


def _case(
    session: Session,
    locked: occupation.Locked,
    items: Sequence[Item],
    now: datetime,
    whose: UUID | None,
    *,
    without: UUID | None = None,
    person_id: UUID | None = None,
    hold_id: UUID | None = None,
    again: Callable[[Session, Iterable[int]], occupation.Locked] | None = None,
) -> _Case:
    """Gather what decides; `again` locks or reads the instruments anew if they were not as they were kept."""
    judged = [item for item in items if item.span.duration <= LONGEST]
    while True:
        timetables = policies.timetables(session, locked.instruments.values(), person_id=whose)
        claims = occupation.claims(judged, locked.instruments, locked.parts, timetables)
        view, barred = occupation.View({}, expired=False), None
        if claims:
            around = Span(min(claim.span.start for claim in claims), max(claim.span.end for claim in claims))
            view, told = occupation.look_and_ask(
                session,
                _SIGHT,
                locked.instruments,
                around,
                asked={"whose": whose, "now": now},
                now=now,
                without=without,
                person_id=person_id,
                hold_id=hold_id,
            )
            barred = told.barred
        if kept.holds(session, told.stamp if claims else kept.stamp_of(session)) or again is None:
            break
        locked = again(session, {item.instrument_id for item in items})
    kept.note_codes(session, {row.code: row.id for row in locked.instruments.values()})
    known = availability.facts(session, locked.instruments.values(), view.loads, timetables=timetables)
    return _Case(locked.instruments, claims, known, view.expired, timetables, view.own, barred)


def wish_for(
    session: Session,
    actor: Actor,
    booking: Booking | None,
    items: Sequence[Item],
    instruments: Mapping[int, Instrument],
    project_id: UUID | None,
    now: datetime,
    chemicals: Sequence[Substance] | None = None,
) -> Wish:
    """Give what the gates are asked: of a new booking, or of one that there is with other items.

    :raises NotFound: if the actor does not work for the project
    """
    if booking is not None:
        whose = booking.person_id, booking.organisation_id, booking.project_id
        return Wish(*whose, items, instruments, now, booking.id, chemicals=chemicals)
    if actor.person_id is None:
        raise Forbidden("booking.place", sign_in=True)
    organisation_id = _organisation(session, actor, project_id)
    return Wish(actor.person_id, organisation_id, project_id, items, instruments, now, chemicals=chemicals)


def _whom(
    session: Session,
    actor: Actor,
    booked_for: UUID | None,
    instruments: Mapping[int, Instrument],
    items: Sequence[Item],
    project_id: UUID | None,
) -> Actor:
    """Give whose booking it becomes: the actor's own, or that of the person for whom they act.

    :raises Invalid: if they may not act for them
    """
    places = {instruments[item.instrument_id].facility_id for item in items}
    return acting.in_place_of(
        session, actor=actor, booked_for=booked_for, facility_ids=places, project_id=project_id
    )


def _settle(
    session: Session,
    actor: Actor,
    items: Sequence[Item],
    reasons: Sequence[Reason],
    case: _Case,
    override: str,
    wish: Wish | None = None,
) -> dict[str, Any]:
    """Refuse, or give what the event keeps of the rules that a manager sets aside.

    :raises Refused: with every reason, if any stands that is not overridden
    :raises Invalid: if the words given for it say nothing
    :raises Forbidden: if the actor does not manage every facility concerned
    """
    if not reasons:
        return {}
    words = override.strip()
    if not words or not all(reason.overridable for reason in reasons):
        told = policies.told(session, reasons, items, case.instruments, case.timetables)
        raise Refused(told, items, wish)
    for place in sorted({case.instruments[item.instrument_id].facility_id for item in items}):
        require(actor, "rule.override", Subject(facility_id=place))
    if not LEAST_WORDS <= len(words) <= MOST_WORDS:
        raise Invalid({"override_reason": "too_short_text" if len(words) < LEAST_WORDS else "too_long_text"})
    return {"overrode": sorted({reason.code for reason in reasons}), "override_reason": words}


def _refuse(items: Sequence[Item], reasons: Sequence[Reason]) -> None:
    if reasons:
        raise Refused(reasons, items)


def _organisation(session: Session, actor: Actor, project_id: UUID | None) -> int | None:
    """Give the organisation that books: the project's, or the actor's first.

    :raises NotFound: if the actor does not work for the project
    """
    if project_id is None:
        return min(actor.organisations, default=None)
    member = session.get(ProjectMember, (project_id, actor.person_id))
    if member is None:
        raise NotFound("project", project_id)
    return session.scalar(select(Project.organisation_id).where(Project.id == project_id))


def _booker(session: Session, wish: Wish) -> tuple[Person, OrganisationKind | None]:
    """Give whose booking it becomes, and of what sort the organisation is that books; one statement."""
    where = {"person_id": wish.person_id, "organisation_id": wish.organisation_id}
    person, sort = session.execute(_BOOKER, where).one()
    return person, sort


def _sort(session: Session, organisation_id: int | None) -> OrganisationKind | None:
    """Tell of what sort an organisation is."""
    if organisation_id is None:
        return None
    known = kept.table(session, "sorts")
    found: OrganisationKind | None = None if known is None else known.get(organisation_id)
    if found is None:
        found = session.scalar(_SORT, {"organisation_id": organisation_id})
        if known is not None:
            known[organisation_id] = found
    return found


def _confidential(
    asked: bool | None,
    sort: OrganisationKind | None,
    instruments: Iterable[Instrument],
) -> bool:
    """Give what was asked; else companies and confidential instruments are masked by default."""
    if asked is not None:
        return asked
    return sort is OrganisationKind.ENTERPRISE or any(instrument.confidential for instrument in instruments)


def _item_rows(booking_id: UUID, items: Sequence[Item]) -> list[dict[str, Any]]:
    return [
        {
            "booking_id": booking_id,
            "position": position,
            "instrument_id": item.instrument_id,
            "starts_at": item.span.start,
            "ends_at": item.span.end,
            "quantity": item.quantity,
            "process": processes.kept(item.process),
        }
        for position, item in enumerate(items)
    ]


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is nothing: that need not be written."""
    return {name: value for name, value in values.items() if value is not None}


_Row = TypeVar("_Row", Booking, BookingItem)


def _object(model: type[_Row], values: Mapping[str, Any]) -> _Row:
    """Give the object of a row that is written by hand, as if it had been read: nothing listens to its values."""
    made: _Row = class_mapper(model).class_manager.new_instance()
    vars(made).update(values)
    return made


def _rows(items: Sequence[Item], instruments: Mapping[int, Instrument]) -> list[BookingItem]:
    return [
        BookingItem(
            position=position,
            instrument=instruments[item.instrument_id],
            instrument_id=item.instrument_id,
            starts_at=item.span.start,
            ends_at=item.span.end,
            quantity=item.quantity,
            process=processes.kept(item.process),
        )
        for position, item in enumerate(items)
    ]


def _take(
    session: Session,
    case: _Case,
    booking_id: UUID,
    now: datetime,
    along: Sequence[occupation.Written] = (),
) -> None:
    if case.expired:
        occupation.drop_expired(session, case.instruments, now=now)
    occupation.drop(session, hold_ids=case.held, instrument_ids=case.instruments, now=now)
    occupation.take(
        session, claims=case.claims, instruments=case.instruments, booking_id=booking_id, along=along
    )


def _lock_booking(
    session: Session,
    actor: Actor,
    booking_id: UUID,
    action: str,
    version: int | None,
    more: Sequence[Item] = (),
) -> tuple[Booking, occupation.Locked]:
    places = session.scalars(
        select(BookingItem.instrument_id).where(BookingItem.booking_id == booking_id)
    ).all()
    if not places:
        raise NotFound("booking", booking_id)
    locked = occupation.lock(session, {*places, *(item.instrument_id for item in more)})
    booking = get(session, actor=actor, booking_id=booking_id)
    if any(item.instrument_id not in locked.instruments for item in booking.items):
        raise Stale  # somebody moved it to another instrument while this command waited
    if not may_on(actor, action, booking):
        raise Forbidden(action)
    if version is not None and version != booking.version:
        raise Stale
    return booking, locked


def _retime(
    session: Session,
    actor: Actor,
    booking: Booking,
    items: Sequence[Item],
    locked: occupation.Locked,
    now: datetime,
    chemicals: Sequence[Substance] | None,
    override: str,
    undo: State | None = None,
) -> tuple[bool, dict[str, Any]]:
    """Give the booking other items; tell whether it takes more than before, and which rules were set aside."""
    before = _spans(booking)
    kept = {item.instrument_id for item in booking.items}
    require_visible(
        actor, [locked.instruments[i.instrument_id] for i in items if i.instrument_id not in kept]
    )
    case = _case(
        session, locked, items, now, booking.person_id, without=booking.id, person_id=actor.person_id
    )
    wish = wish_for(session, actor, booking, items, case.instruments, booking.project_id, now, chemicals)
    wish = replace(wish, held=case.held)
    rules = refusals(items, case.claims, case.facts, now, before=before)
    stand = [*(one for one in rules if not (undo and one.code in AS_IT_WAS)), *gates.reasons(session, wish)]
    overrode = _settle(session, actor, items, stand, case, override, wish)
    grows = any(not _within(item, booking.items) for item in items)
    occupation.release(session, booking_id=booking.id, now=now)
    _replace_items(session, booking, items, case.instruments)
    _take(session, case, booking.id, now)
    return grows, overrode


def _redeclare(
    session: Session, actor: Actor, booking: Booking, chemicals: Sequence[Substance], now: datetime
) -> bool:
    """Declare other chemicals, and tell whether more is brought than before.

    :raises Refused: if one of them lacks a permit
    """
    substances.check(chemicals)
    old = approval_steps.declared(session, booking_id=booking.id)
    if list(chemicals) == old:
        return False
    held = {row.instrument_id: row.instrument for row in booking.items}
    items = _items(booking)
    wish = wish_for(session, actor, booking, items, held, booking.project_id, now, chemicals)
    _refuse(items, approval_steps.permits_missing(session, wish))
    approval_steps.declare(session, booking_id=booking.id, chemicals=chemicals)
    return substances.grows(old, chemicals)


def _steps_anew(
    session: Session, actor: Actor, booking: Booking, instruments: Mapping[int, Instrument], now: datetime
) -> list[Planned]:
    """Give the steps that a changed booking needs; a request waits for others, whoever changed it."""
    if booking.state not in {State.REQUESTED, State.CONFIRMED}:
        return []
    wish = wish_for(session, actor, booking, _items(booking), instruments, booking.project_id, now)
    by = VISITOR if booking.state is State.REQUESTED else actor
    return approval_steps.planned(session, actor=by, wish=wish)


def _ask_anew(
    session: Session, actor: Actor, booking: Booking, steps: Sequence[Planned], now: datetime
) -> None:
    """Begin another round of approval; where the change left nothing to approve, the request is granted."""
    if steps:
        approval_steps.begin(session, actor=actor, booking=booking, steps=steps, now=now)
        return
    approval_steps.drop(session, booking_id=booking.id, now=now)
    booking.apply(Action.APPROVE)
    _record(session, SYSTEM, "booking.approved", booking, now)


def _declared(session: Session, booking: Booking, asked: object) -> dict[str, Any]:
    """Give the chemicals in a form that an event can keep, where the change is about them."""
    if asked is None:
        return {}
    found = approval_steps.declared(session, booking_id=booking.id)
    return {"chemicals": [substances.told(one) for one in found]}


def _within(item: Item, old: Iterable[BookingItem]) -> bool:
    return any(
        row.instrument_id == item.instrument_id
        and row.starts_at <= item.span.start
        and item.span.end <= row.ends_at
        and item.quantity <= row.quantity
        for row in old
    )


def _replace_items(
    session: Session, booking: Booking, items: Sequence[Item], instruments: Mapping[int, Instrument]
) -> None:
    booking.items.clear()
    session.flush()
    booking.items.extend(_rows(items, instruments))
    booking.starts_at = min(item.span.start for item in items)
    booking.ends_at = max(item.span.end for item in items)
    session.flush()
    _load_facilities(session, instruments)


def _load_facilities(session: Session, instruments: Mapping[int, Instrument]) -> None:
    """Hang the facilities, which the rules have read already, on their instruments."""
    for row in instruments.values():
        set_committed_value(row, "facility", session.get_one(Facility, row.facility_id))


def _step(
    session: Session, actor: Actor, booking: Booking, action: Action, kind: str, now: datetime, **data: Any
) -> Booking:
    booking.apply(action)
    booking.version += 1
    booking.updated_at = now
    _record(session, actor, kind, booking, now, **data)
    session.flush()
    return booking


def _credit(
    session: Session, actor: Actor, booking: Booking, deed: Deed, at: datetime, now: datetime
) -> None:
    credit.note(
        session,
        actor=actor,
        person_id=booking.person_id,
        facility_id=booking.items[0].instrument.facility_id,
        deed=deed,
        booking_id=booking.id,
        at=at,
        now=now,
    )


def _record(session: Session, actor: Actor, kind: str, booking: Booking, now: datetime, **data: Any) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        version=booking.version,
        **data,
    )


def _told_together(series_id: UUID | None, why: str = "", undo: UUID | None = None) -> dict[str, str]:
    """Mark an event as one of a whole series, of which its people hear in one message, and keep why it came about."""
    told = {} if series_id is None else {"series": str(series_id)}
    return told | ({"why": why} if why else {}) | ({"undo": str(undo)} if undo else {})


def _manages(actor: Actor, booking: Booking) -> bool:
    return may_on(actor, "booking.approve", booking)


def _items(booking: Booking) -> list[Item]:
    return [
        Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity, processes.of(row))
        for row in booking.items
    ]


def _spans(booking: Booking) -> dict[int, Span]:
    return {row.instrument_id: Span(row.starts_at, row.ends_at) for row in booking.items}


def _values(booking: Booking) -> dict[str, Any]:
    """Give what a change can change, in a form that an event can keep."""
    return {
        "items": [
            [row.instrument.code, row.starts_at.isoformat(), row.ends_at.isoformat(), row.quantity]
            for row in booking.items
        ],
        "purpose": booking.purpose,
        "confidential": booking.confidential,
    }


def _loaded() -> Select[Booking]:
    return (
        select(Booking)
        .options(
            joinedload(Booking.person),
            joinedload(Booking.booked_by),
            joinedload(Booking.usage),
            undefer(Booking.opens_at),
            selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility),
        )
        .execution_options(populate_existing=True)
    )


def _seen_by(query: Select[UUID], actor: Actor) -> Select[UUID]:
    if actor.administrator:
        return query
    staffed = (
        select(BookingItem.booking_id).join(Instrument).where(Instrument.facility_id.in_(actor.operates))
    )
    return query.where(
        or_(
            Booking.person_id == actor.person_id,
            Booking.booked_by_id == actor.person_id,
            Booking.organisation_id.in_(actor.leads),
            Booking.id.in_(staffed),
        )
    )
