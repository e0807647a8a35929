"""Series: many dates by one rule; looked at before they are saved, placed, changed and cancelled all or nothing."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from booking.domain import chemicals as substances
from booking.domain import recurrence
from booking.domain.access import Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.chemicals import Substance
from booking.domain.hours import zone
from booking.domain.identity import time_ordered_id
from booking.domain.lifecycle import Action, State, possible
from booking.domain.occupation import Item
from booking.domain.recurrence import Clock, Occurrence, Pattern, Rule
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    acting,
    approval_steps,
    availability,
    bookings,
    events,
    occupation,
    papers,
    series_dates,
    waitlist,
)
from booking.services.bookings import KEY_LIFE, Estimate, KeyReused, Stale
from booking.services.occupation import Locked
from booking.services.series_dates import BOOKED, Choice, Judged, Wanted, Way
from models import Booking, Facility, Instrument, Person, RequestKey, Series

LIVE = frozenset({State.REQUESTED, State.CONFIRMED, State.CHECKED_IN, State.ENDED, State.NO_SHOW})
"""The states of a booking with which its date is not given up."""


HANDED_OVER = "handed_over"
"""Why a date has no booking to show: it is somebody else's now."""


class Scope(enum.StrEnum):
    """How many dates of a series a command is about."""

    THIS = "this"
    FOLLOWING = "following"
    ALL = "all"


class Otherwise(enum.StrEnum):
    """What becomes of dates that cannot be had and for which nobody chose anything."""

    REFUSE = "refuse"
    SKIP = "skip"
    WAITLIST = "waitlist"


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody wants again and again."""

    instrument_id: int
    pattern: Pattern
    quantity: int = 1
    project_id: UUID | None = None
    booked_for: UUID | None = None
    chemicals: Sequence[Substance] = ()
    choices: Mapping[date, Choice] = field(default_factory=dict)
    otherwise: Otherwise = Otherwise.REFUSE
    override: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be another of a series; None stays as it is. `excluded` are all of its dates that are left out."""

    start_minute: int | None = None
    minutes: int | None = None
    quantity: int | None = None
    instrument_id: int | None = None
    rule: Rule | None = None
    excluded: frozenset[date] | None = None
    purpose: str | None = None
    confidential: bool | None = None
    chemicals: Sequence[Substance] | None = None
    choices: Mapping[date, Choice] = field(default_factory=dict)
    otherwise: Otherwise = Otherwise.REFUSE
    override: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Every date of a wish with its verdict, and what those that would be booked cost; nothing is written."""

    dates: tuple[Judged, ...]
    estimate: Estimate
    zone: str

    @property
    def allowed(self) -> bool:
        """Tell whether every date that is wanted can be had, and there is one."""
        return not any(one.stands_in_the_way for one in self.dates) and any(one.booked for one in self.dates)


@dataclass(frozen=True, slots=True)
class Standing:
    """A date of a series as it stands: its booking, or why it has none, and where the rule would put it."""

    day: date
    span: Span
    clock: Clock
    booking: Booking | None
    why: str
    open: bool
    """Whether it may be put back."""

    @property
    def moved(self) -> bool:
        """Tell whether the booking stands elsewhere than the rule says."""
        return self.booking is not None and Span(self.booking.starts_at, self.booking.ends_at) != self.span


@dataclass(frozen=True, slots=True)
class Whole:
    """A series with all its dates."""

    series: Series
    instrument: Instrument
    person: Person
    dates: tuple[Standing, ...]

    @property
    def zone(self) -> str:
        """The zone on whose clock it runs."""
        return self.series.zone


# --- looking and placing --------------------------------------------------------------------------


def preview(session: Session, *, actor: Actor, plan: Plan, now: datetime) -> Preview:
    """Say of every date whether it can be had, and what could be had instead; a constant number of statements.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Invalid: if the rule makes no sense
    """
    require(actor, "booking.place")
    tz_name = _zone_of(session, plan.instrument_id)
    wanted = _wanted(plan, tz_name)
    places = occupation.unlocked(session, _places(wanted))
    whom = _whom(session, actor, plan, places)
    judged = _judge(session, actor, whom, wanted, places, plan, now)
    return _previewed(session, whom, judged, tz_name)


def place(
    session: Session,
    *,
    actor: Actor,
    plan: Plan,
    purpose: str = "",
    confidential: bool | None = None,
    key: str | None = None,
    fingerprint: str = "",
    now: datetime,
) -> Series:
    """Book every date that is wanted, or none of them.

    A date that cannot be had refuses them all, unless the plan says what becomes of it. A repeated `key` gives
    the series that it made before.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: with every reason of every date
    :raises Invalid: if the rule makes no sense, or no date is left
    :raises KeyReused: if the key came before with another fingerprint
    """
    require(actor, "booking.place")
    if actor.person_id is None:
        raise Forbidden("booking.place", sign_in=True)
    tz_name = _zone_of(session, plan.instrument_id)
    wanted = _wanted(plan, tz_name)
    places = occupation.lock(session, _places(wanted))
    known = _made_by(session, actor.person_id, key, fingerprint, now) if key else None
    if known is not None:
        return known
    whom = _whom(session, actor, plan, places)
    judged = _settled(_judge(session, actor, whom, wanted, places, plan, now), plan.otherwise, plan.override)
    pattern = plan.pattern
    row = Series(
        id=time_ordered_id(now),
        person_id=whom.person_id,
        instrument_id=plan.instrument_id,
        rule=recurrence.written(pattern.rule),
        zone=tz_name,
        first_day=pattern.first_day,
        start_minute=pattern.start_minute,
        minutes=pattern.minutes,
        quantity=plan.quantity,
        purpose=purpose,
        skipped=_skipped(judged),
        split_from=None,
        version=1,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    for one in judged:
        if one.booked:
            like = _Like(plan.project_id, confidential, plan.chemicals)
            _book(
                session, actor, one, row, like, now, override=plan.override, key=key, fingerprint=fingerprint
            )
            key = None  # the first booking stands for the series
    _wait(session, whom, judged, row, plan.project_id, now)
    _tell(session, actor, "series.placed", row, judged, now)
    session.flush()
    return row


def _zone_of(session: Session, instrument_id: int) -> str:
    query = (
        select(Facility.zone)
        .join(Instrument, Instrument.facility_id == Facility.id)
        .where(Instrument.id == instrument_id)
    )
    name = session.scalar(query)
    if name is None:
        raise NotFound("instrument", instrument_id)
    return name


def _wanted(plan: Plan, tz_name: str) -> list[Wanted]:
    """Give every date of the plan with what was chosen for it.

    :raises Invalid: if something was chosen for a day that is none of the rule's, or what is declared makes no sense
    """
    if plan.quantity < 1:
        raise Invalid({"quantity": "too_small"})
    substances.check(plan.chemicals)
    found = recurrence.occurrences(plan.pattern, zone(tz_name))
    choices = dict(plan.choices)
    if choices.keys() - {one.day for one in found}:
        raise Invalid({"choices": "unknown"})
    return [
        _chosen(
            Wanted(
                one.day,
                Item(plan.instrument_id, one.span, plan.quantity),
                clock=one.clock,
                chemicals=plan.chemicals,
            ),
            Choice(Way.EXCLUDED) if one.day in plan.pattern.excluded else choices.get(one.day),
        )
        for one in found
    ]


def _chosen(one: Wanted, choice: Choice | None) -> Wanted:
    if choice is None:
        return one
    if choice.way is not Way.OTHER:
        return replace(one, way=choice.way)
    place = choice.instrument_id if choice.instrument_id is not None else one.item.instrument_id
    item = Item(place, choice.span or one.item.span, one.item.quantity)
    return replace(one, item=item, way=choice.way, clock=Clock.PLAIN if choice.span else one.clock)


def _places(wanted: Iterable[Wanted]) -> set[int]:
    return {one.item.instrument_id for one in wanted}


def _whom(session: Session, actor: Actor, plan: Plan, places: Locked) -> Actor:
    bookings.require_visible(actor, places.instruments.values())
    facilities = {row.facility_id for row in places.instruments.values()}
    return acting.in_place_of(
        session,
        actor=actor,
        booked_for=plan.booked_for,
        facility_ids=facilities,
        project_id=plan.project_id,
    )


def _judge(
    session: Session,
    actor: Actor,
    whom: Actor,
    wanted: Sequence[Wanted],
    places: Locked,
    plan: Plan,
    now: datetime,
) -> list[Judged]:
    return series_dates.judge(
        session, actor=actor, whom=whom, wanted=wanted, places=places, project_id=plan.project_id, now=now
    )


def _previewed(session: Session, whom: Actor, judged: Sequence[Judged], tz_name: str) -> Preview:
    items = [one.item for one in judged if one.booked and not one.reasons]
    lines = availability.estimates(session, actor=whom, items=items) if items else []
    return Preview(tuple(judged), Estimate(tuple(lines)), tz_name)


def _settled(judged: Sequence[Judged], otherwise: Otherwise, override: str = "") -> list[Judged]:
    """Give the dates with what becomes of those that cannot be had; exceptions are for the bookings to judge.

    :raises Refused: with every reason of every such date, if nothing was said about them
    :raises Invalid: if no date is left
    """
    against = [one for one in judged if one.stands_in_the_way and not (override and one.exceptional)]
    if against and otherwise is Otherwise.REFUSE:
        raise Refused([_dated(reason, one.day) for one in against for reason in one.reasons])
    way = Way.WAITLIST if otherwise is Otherwise.WAITLIST else Way.SKIP
    settled = [replace(one, way=way) if one in against else one for one in judged]
    if not any(one.way in BOOKED for one in settled):
        if against:
            raise Refused([_dated(reason, one.day) for one in against for reason in one.reasons])
        raise Invalid({"rule": "no_dates"})
    return settled


def _dated(reason: Reason, day: date) -> Reason:
    return replace(reason, params={**reason.params, "series_day": day.isoformat()})


def _skipped(judged: Iterable[Judged]) -> list[dict[str, Any]]:
    return [{"day": one.day.isoformat(), "why": one.way.value} for one in judged if not one.booked]


def _book(
    session: Session,
    actor: Actor,
    one: Judged | Wanted,
    row: Series,
    like: "_Like",
    now: datetime,
    *,
    together: bool = True,
    override: str = "",
    key: str | None = None,
    fingerprint: str = "",
) -> Booking:
    """Book one date with all that holds for the whole series."""
    try:
        made = bookings.place(
            session,
            actor=actor,
            items=[one.item],
            purpose=row.purpose,
            project_id=like.project_id,
            confidential=like.confidential,
            booked_for=row.person_id,
            chemicals=like.chemicals,
            override=override if not isinstance(one, Judged) or one.exceptional else "",
            key=key,
            fingerprint=fingerprint,
            series=(row.id, one.day),
            series_id=row.id if together else None,
            now=now,
        )
    except Refused as refusal:
        dated = [_dated(reason, one.day) for reason in refusal.reasons]
        raise Refused(dated, () if together else [one.item]) from refusal
    if like.booking_id is not None:
        papers.carry(session, from_id=like.booking_id, to_id=made.id)
    return made


def _wait(
    session: Session,
    whom: Actor,
    judged: Iterable[Judged],
    row: Series,
    project_id: UUID | None,
    now: datetime,
) -> None:
    """Join the waitlist for the dates of which that was chosen."""
    for one in judged:
        if one.way is not Way.WAITLIST:
            continue
        try:
            waitlist.join(
                session,
                actor=whom,
                instrument_ids=[one.item.instrument_id],
                window=one.item.span,
                minutes=int(one.item.span.minutes),
                quantity=one.item.quantity,
                project_id=project_id,
                purpose=row.purpose,
                now=now,
            )
        except Refused as refusal:
            raise Refused([_dated(reason, one.day) for reason in refusal.reasons]) from refusal


def _made_by(session: Session, person_id: UUID, key: str, fingerprint: str, now: datetime) -> Series | None:
    known = session.get(RequestKey, (person_id, key))
    if known is None or known.created_at <= now - KEY_LIFE:
        return None
    made = session.get_one(Booking, known.booking_id)
    if known.fingerprint != fingerprint or made.series_id is None:
        raise KeyReused
    return session.get_one(Series, made.series_id)


def _tell(
    session: Session,
    actor: Actor,
    kind: str,
    row: Series,
    judged: Iterable[Judged],
    now: datetime,
    **data: Any,
) -> None:
    """Record what happened to the series; its people hear of it in one message."""
    dates = [one for one in judged if one.booked]
    starts = sorted(one.item.span.start for one in dates)
    place = session.get_one(Instrument, row.instrument_id)
    figures = {
        "dates": len(dates),
        "first": starts[0].isoformat() if starts else None,
        "last": starts[-1].isoformat() if starts else None,
    }
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=place.facility_id,
        subject=f"series:{row.id}",
        person_id=str(row.person_id),
        series=str(row.id),
        instrument=place.code,
        **figures | data,
    )


# --- one series -----------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, series_id: UUID, now: datetime) -> Whole:
    """Give a series with every date as it stands.

    :raises NotFound: if there is none, or none that this actor may see
    """
    row, made = _read(session, actor, series_id)
    facility = joinedload(Instrument.facility)
    instrument = session.get_one(Instrument, row.instrument_id, options=[facility])
    person = session.get_one(Person, row.person_id)
    return Whole(row, instrument, person, tuple(_standing(actor, row, made, now)))


def declared(session: Session, *, whole: Whole) -> Sequence[Substance]:
    """Give the chemicals that are declared for the dates of a series, as its last one has them."""
    return _like(session, whole.series, [one.booking for one in whole.dates if one.booking]).chemicals


def may_on(actor: Actor, action: str, whole: Whole) -> bool:
    """Tell whether the actor may take the action on dates of a series that they may see."""
    made = [one.booking for one in whole.dates if one.booking]
    return _may(actor, action, whole.series, made)


def _read(session: Session, actor: Actor, series_id: UUID) -> tuple[Series, list[Booking]]:
    row = session.get(Series, series_id, populate_existing=True)
    made = bookings.of_series(session, series_id=series_id) if row is not None else []
    if row is None or not (
        row.person_id == actor.person_id or any(bookings.may_on(actor, "booking.see", one) for one in made)
    ):
        raise NotFound("series", series_id)
    return row, made


def _standing(actor: Actor, row: Series, made: Iterable[Booking], now: datetime) -> list[Standing]:
    latest: dict[date, Booking] = {}
    for booking in made:
        if booking.series_day is not None:
            known = latest.get(booking.series_day)
            if known is None or known.state not in LIVE:
                latest[booking.series_day] = booking
    why = {entry["day"]: entry["why"] for entry in row.skipped}
    dates = {one.day: one for one in _occurrences(row)}
    tz = zone(row.zone)
    for day in latest.keys() - dates.keys():  # of an earlier rule
        dates[day] = recurrence.occurrence(day, row.start_minute, row.minutes, tz)
    found = []
    for day, one in sorted(dates.items()):
        made_last = latest.get(day)
        live = made_last is not None and made_last.state in LIVE
        reason = "" if made_last is not None else why.get(day.isoformat(), Way.SKIP.value)
        if made_last is not None and not bookings.may_on(actor, "booking.see", made_last):
            made_last, reason = None, HANDED_OVER
        found.append(Standing(day, one.span, one.clock, made_last, reason, not live and one.span.start > now))
    return found


def _occurrences(row: Series) -> list[Occurrence]:
    rule = recurrence.parse(row.rule, row.first_day)
    return recurrence.occurrences(Pattern(rule, row.first_day, row.start_minute, row.minutes), zone(row.zone))


# --- changing it ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Replan:
    """What a change makes of a series: its new rule, what is wanted of it, what goes and what stays where it is."""

    split_at: date | None
    before: Rule | None
    instrument_id: int
    quantity: int
    pattern: Pattern
    wanted: tuple[Wanted, ...]
    dropped: tuple[Booking, ...]
    left: tuple[Booking, ...]

    @property
    def places(self) -> set[int]:
        """The instruments that must be locked for it."""
        there = {
            row.instrument_id
            for booking in (*self.dropped, *self.left, *(one.booking for one in self.wanted if one.booking))
            for row in booking.items
        }
        return there | _places(self.wanted) | {self.instrument_id}

    @property
    def giving_up(self) -> set[UUID]:
        """The bookings whose time counts as free."""
        return {one.booking.id for one in self.wanted if one.booking} | {one.id for one in self.dropped}


@dataclass(frozen=True, slots=True)
class _Like:
    """What the bookings of a series know and it does not keep itself; `booking_id` is the one whose papers it has."""

    project_id: UUID | None = None
    confidential: bool | None = None
    chemicals: Sequence[Substance] = ()
    booking_id: UUID | None = None


def preview_change(
    session: Session,
    *,
    actor: Actor,
    series_id: UUID,
    scope: Scope,
    day: date | None = None,
    edit: Edit,
    now: datetime,
) -> Preview:
    """Say of every date that a change would touch whether it can be had; nothing is written.

    :raises NotFound: if there is no such series for this actor
    :raises Invalid: if the change makes no sense
    """
    row, made = _read(session, actor, series_id)
    _require(actor, "booking.change", row, made)
    like = _like(session, row, made, edit)
    to = _replan(row, made, scope, day, edit, like, now)
    places = occupation.unlocked(session, to.places)
    whom = _owner(session, actor, row)
    judged = series_dates.judge(
        session,
        actor=actor,
        whom=whom,
        wanted=to.wanted,
        places=places,
        project_id=like.project_id,
        without=to.giving_up,
        now=now,
    )
    gone = [
        Judged(one.series_day, _item_of(one), Way.EXCLUDED, Clock.PLAIN, booking=one)
        for one in to.dropped
        if one.series_day is not None
    ]
    return _previewed(session, whom, sorted([*judged, *gone], key=lambda one: one.day), row.zone)


def change(
    session: Session,
    *,
    actor: Actor,
    series_id: UUID,
    version: int | None,
    scope: Scope,
    day: date | None = None,
    edit: Edit,
    now: datetime,
) -> Series:
    """Change one date, one and those that follow, or all that are still ahead; all or nothing.

    Those that follow become a series of their own, which remembers this one; it is given back. A date that was
    moved alone stays where it is.

    :raises NotFound: if there is no such series for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Stale: if the version is not that of the series
    :raises Refused: with every reason of every date
    :raises Invalid: if the change makes no sense
    """
    row, made = _read(session, actor, series_id)
    _require(actor, "booking.change", row, made)
    if version is not None and version != row.version:
        raise Stale
    if scope is Scope.THIS:
        return _change_one(session, actor, row, made, version, day, edit, now)
    like = _like(session, row, made, edit)
    places = occupation.lock(session, _replan(row, made, scope, day, edit, like, now).places)
    row, made = _read(session, actor, series_id)
    _raise_version(session, row, version, now)
    like = _like(session, row, made, edit)
    to = _replan(row, made, scope, day, edit, like, now)
    _require_locked(to.places, places)
    bookings.require_visible(actor, [places.instruments[place] for place in to.places])
    target = _split(session, row, made, to, now) if to.split_at else row
    for booking in to.dropped:
        _give_up(session, actor, booking, target, "", now)
    settled = _settle_change(session, actor, row, to, like, places, edit, now)
    target.rule = recurrence.written(to.pattern.rule)
    target.start_minute, target.minutes = to.pattern.start_minute, to.pattern.minutes
    target.instrument_id, target.quantity = to.instrument_id, to.quantity
    target.purpose = target.purpose if edit.purpose is None else edit.purpose
    target.skipped = _still_skipped(target, settled, to)
    session.flush()
    _carry_out(session, actor, target, settled, to, like, edit, now)
    _tell(
        session,
        actor,
        "series.changed",
        target,
        settled,
        now,
        scope=scope.value,
        cancelled=len(to.dropped),
    )
    session.flush()
    return target


def _replan(
    row: Series,
    made: Sequence[Booking],
    scope: Scope,
    day: date | None,
    edit: Edit,
    like: _Like,
    now: datetime,
) -> _Replan:
    substances.check(edit.chemicals or ())
    old_rule = recurrence.parse(row.rule, row.first_day)
    old_days = recurrence.days(old_rule, row.first_day)
    split_at: date | None = None
    before, rest = None, old_rule
    if scope is Scope.FOLLOWING:
        if day not in old_days:
            raise Invalid({"day": "required" if day is None else "unknown"})
        if day != old_days[0]:
            split_at = day
            before, rest = recurrence.split(old_rule, row.first_day, day)
    first_day = split_at or row.first_day
    pattern = Pattern(
        rule=rest if edit.rule is None else edit.rule,
        first_day=first_day,
        start_minute=row.start_minute if edit.start_minute is None else edit.start_minute,
        minutes=row.minutes if edit.minutes is None else edit.minutes,
    )
    pattern = replace(pattern, excluded=_left_out_of(pattern, row, edit))
    tz = zone(row.zone)
    place = row.instrument_id if edit.instrument_id is None else edit.instrument_id
    quantity = row.quantity if edit.quantity is None else edit.quantity
    dates = {one.day: one for one in recurrence.occurrences(pattern, tz)}
    ahead, live = _ahead(row, made, now, first_day), _live_days(made)
    choices = {on: choice for on, choice in edit.choices.items() if on not in pattern.excluded}
    wanted: list[Wanted] = []
    left, dropped = [], []
    for booking in ahead:
        on = booking.series_day or first_day
        if on not in dates or on in pattern.excluded:
            dropped.append(booking)
        elif len(booking.items) > 1 or (on not in choices and _item_of(booking) != _planned(row, on)):
            choices.pop(on, None)
            left.append(booking)
        else:
            item = Item(place, dates[on].span, quantity)
            before_it = {one.instrument_id: Span(one.starts_at, one.ends_at) for one in booking.items}
            one = Wanted(
                on,
                item,
                clock=dates[on].clock,
                booking=booking,
                before=before_it,
                chemicals=edit.chemicals,
            )
            wanted.append(_chosen(one, choices.pop(on, None)))
    for on in dates.keys() - (set(old_days) - _let_in(row, edit)) - live:
        if dates[on].span.start > now:
            item = Item(place, dates[on].span, quantity)
            one = Wanted(on, item, clock=dates[on].clock, chemicals=like.chemicals)
            left_out = Choice(Way.EXCLUDED) if on in pattern.excluded else None
            wanted.append(_chosen(one, left_out or choices.pop(on, None)))
    if choices:
        raise Invalid({"choices": "unknown"})
    in_order = tuple(sorted(wanted, key=lambda one: one.day))
    return _Replan(split_at, before, place, quantity, pattern, in_order, tuple(dropped), tuple(left))


def _left_out_of(pattern: Pattern, row: Series, edit: Edit) -> frozenset[date]:
    """Give what a change leaves out; days that were left out before and that it does not reach mean nothing to it."""
    asked = frozenset(on for on in edit.excluded or () if on >= pattern.first_day)
    return asked - (left_out(row) - set(recurrence.days(pattern.rule, pattern.first_day)))


def _let_in(row: Series, edit: Edit) -> set[date]:
    """Give the dates that were left out from the beginning and that a change leaves out no more."""
    if edit.excluded is None:
        return set()
    return left_out(row) - edit.excluded


def left_out(row: Series) -> set[date]:
    """Give the dates that the rule itself leaves out."""
    return {date.fromisoformat(entry["day"]) for entry in row.skipped if entry["why"] == Way.EXCLUDED.value}


def _ahead(row: Series, made: Iterable[Booking], now: datetime, first_day: date) -> list[Booking]:
    """Give what has not begun and is still the person's own; what they handed over goes its own way."""
    return [
        one
        for one in made
        if one.starts_at > now
        and one.person_id == row.person_id
        and Action.CHANGE in possible(one.state)
        and one.series_day is not None
        and one.series_day >= first_day
    ]


def _live_days(made: Iterable[Booking]) -> set[date]:
    return {one.series_day for one in made if one.state in LIVE and one.series_day is not None}


def _planned(row: Series, day: date) -> Item:
    span = recurrence.occurrence(day, row.start_minute, row.minutes, zone(row.zone)).span
    return Item(row.instrument_id, span, row.quantity)


def _item_of(booking: Booking) -> Item:
    first = booking.items[0]
    return Item(first.instrument_id, Span(first.starts_at, first.ends_at), first.quantity)


def _like(session: Session, row: Series, made: Iterable[Booking], edit: Edit | None = None) -> _Like:
    own = [one for one in made if one.person_id == row.person_id]
    if not own:
        return _Like()
    last = max(own, key=lambda one: (one.created_at, one.series_day or date.min))
    confidential, chemicals = (edit.confidential, edit.chemicals) if edit else (None, None)
    return _Like(
        last.project_id,
        last.confidential if confidential is None else confidential,
        approval_steps.declared(session, booking_id=last.id) if chemicals is None else chemicals,
        last.id,
    )


def _require(actor: Actor, action: str, row: Series, made: Sequence[Booking]) -> None:
    """Let the actor pass who may do it to a booking of the series, and its owner where there is none.

    :raises Forbidden: if the actor may see the series but not do this
    """
    if not _may(actor, action, row, made):
        raise Forbidden(action)


def _may(actor: Actor, action: str, row: Series, made: Sequence[Booking]) -> bool:
    if made:
        return any(bookings.may_on(actor, action, one) for one in made)
    return may(actor, action, Subject(row.person_id))


def _owner(session: Session, actor: Actor, row: Series) -> Actor:
    if row.person_id == actor.person_id:
        return actor
    return acting.actor_of(session, row.person_id) or Actor(person_id=row.person_id)


def _raise_version(session: Session, row: Series, version: int | None, now: datetime) -> None:
    """Advance the series, whose instruments are locked.

    :raises Stale: if it is no longer what the caller saw, or somebody else is just changing it
    """
    seen = row.version if version is None else version
    done = session.execute(
        update(Series)
        .where(Series.id == row.id, Series.version == seen)
        .values(version=Series.version + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if getattr(done, "rowcount", 0) != 1:
        raise Stale
    session.refresh(row)


def _require_locked(places: set[int], locked: Locked) -> None:
    if places - locked.instruments.keys():
        raise Stale  # somebody moved one of them to another instrument while this command waited


def _split(session: Session, row: Series, made: Iterable[Booking], to: _Replan, now: datetime) -> Series:
    """Let the dates from one on be a series of their own."""
    at = to.pattern.first_day
    rest = [entry for entry in row.skipped if entry["day"] >= at.isoformat()]
    target = Series(
        id=time_ordered_id(now),
        person_id=row.person_id,
        instrument_id=row.instrument_id,
        rule=row.rule,
        zone=row.zone,
        first_day=at,
        start_minute=row.start_minute,
        minutes=row.minutes,
        quantity=row.quantity,
        purpose=row.purpose,
        skipped=rest,
        split_from=row.id,
        version=1,
        created_at=now,
        updated_at=now,
    )
    session.add(target)
    if to.before is not None:
        row.rule = recurrence.written(to.before)
    row.skipped = [entry for entry in row.skipped if entry not in rest]
    session.flush()
    for booking in made:
        if booking.series_day is not None and booking.series_day >= at:
            booking.series_id = target.id
            booking.version += 1
            booking.updated_at = now
    session.flush()
    return target


def _settle_change(
    session: Session,
    actor: Actor,
    row: Series,
    to: _Replan,
    like: _Like,
    places: Locked,
    edit: Edit,
    now: datetime,
) -> list[Judged]:
    if not to.wanted:
        return []
    judged = series_dates.judge(
        session,
        actor=actor,
        whom=_owner(session, actor, row),
        wanted=to.wanted,
        places=places,
        project_id=like.project_id,
        without=to.giving_up,
        alternatives=False,
        now=now,
    )
    return _settled(judged, edit.otherwise, edit.override)


def _still_skipped(target: Series, settled: Sequence[Judged], to: _Replan) -> list[dict[str, Any]]:
    days = {day.isoformat() for day in recurrence.days(to.pattern.rule, to.pattern.first_day)}
    anew = {one.day.isoformat() for one in settled}
    kept = [entry for entry in target.skipped if entry["day"] in days - anew]
    return sorted([*kept, *_skipped(settled)], key=lambda entry: str(entry["day"]))


def _carry_out(
    session: Session,
    actor: Actor,
    row: Series,
    settled: Sequence[Judged],
    to: _Replan,
    like: _Like,
    edit: Edit,
    now: datetime,
) -> None:
    for one in settled:
        if one.booking is not None and not one.booked:
            _give_up(session, actor, one.booking, row, "", now)
    # Neighbours of one series may change places: all of them leave before the first comes back.
    for one in settled:
        if one.booking is not None and one.booked and _item_of(one.booking) != one.item:
            occupation.release(session, booking_id=one.booking.id, now=now)
    for one in settled:
        if one.booking is not None and one.booked:
            _amend(session, actor, one.booking, one, edit, row, now)
        elif one.booked:
            _book(session, actor, one, row, like, now, override=edit.override)
    for booking in to.left:
        _amend(session, actor, booking, None, edit, row, now)
    _wait(session, _owner(session, actor, row), settled, row, like.project_id, now)


def _amend(
    session: Session,
    actor: Actor,
    booking: Booking,
    to: Judged | None,
    edit: Edit,
    row: Series,
    now: datetime,
) -> None:
    try:
        bookings.change(
            session,
            actor=actor,
            booking_id=booking.id,
            version=None,
            items=None if to is None else [to.item],
            purpose=edit.purpose,
            confidential=edit.confidential,
            chemicals=edit.chemicals,
            override=edit.override if to is not None and to.exceptional else "",
            series_id=row.id,
            now=now,
        )
    except Refused as refusal:
        raise Refused([_dated(reason, _day_of(booking, row)) for reason in refusal.reasons]) from refusal


def _day_of(booking: Booking, row: Series) -> date:
    return booking.series_day or row.first_day


def _give_up(
    session: Session, actor: Actor, booking: Booking, row: Series, reason: str, now: datetime
) -> None:
    try:
        bookings.cancel(session, actor=actor, booking_id=booking.id, reason=reason, series_id=row.id, now=now)
    except Refused as refusal:
        raise Refused([_dated(one, _day_of(booking, row)) for one in refusal.reasons]) from refusal


def _change_one(
    session: Session,
    actor: Actor,
    row: Series,
    made: Sequence[Booking],
    version: int | None,
    day: date | None,
    edit: Edit,
    now: datetime,
) -> Series:
    """Change the booking of one date; it keeps its day in the series wherever it goes."""
    if edit.rule is not None or edit.excluded is not None or edit.choices:
        raise Invalid({"scope": "unknown"})
    booking = _on(made, day)
    old, tz = _item_of(booking), zone(row.zone)
    local = old.span.start.astimezone(tz)
    minute = local.hour * 60 + local.minute if edit.start_minute is None else edit.start_minute
    length = int(old.span.minutes) if edit.minutes is None else edit.minutes
    span = old.span
    if edit.start_minute is not None or edit.minutes is not None:
        span = recurrence.occurrence(local.date(), minute, length, tz).span
    item = Item(
        old.instrument_id if edit.instrument_id is None else edit.instrument_id,
        span,
        old.quantity if edit.quantity is None else edit.quantity,
    )
    if item != old and len(booking.items) > 1:
        raise Invalid({"scope": "unknown"})  # it says too little of what becomes of each
    held = {one.instrument_id for one in booking.items}
    occupation.lock(session, held | {item.instrument_id, row.instrument_id})
    _raise_version(session, row, version, now)
    bookings.change(
        session,
        actor=actor,
        booking_id=booking.id,
        version=booking.version,
        items=[item] if item != old else None,
        purpose=edit.purpose,
        confidential=edit.confidential,
        chemicals=edit.chemicals,
        override=edit.override,
        now=now,
    )
    return row


def _on(made: Iterable[Booking], day: date | None) -> Booking:
    """Give the booking of a date.

    :raises Invalid: if the date has none
    """
    if day is None:
        raise Invalid({"day": "required"})
    for booking in made:
        if booking.series_day == day and booking.state in LIVE:
            return booking
    raise Invalid({"day": "unknown"})


# --- giving dates up, and putting them back -------------------------------------------------------


def cancel(
    session: Session,
    *,
    actor: Actor,
    series_id: UUID,
    version: int | None = None,
    scope: Scope,
    day: date | None = None,
    reason: str = "",
    now: datetime,
) -> Series:
    """Give up one date, one and those that follow, or all that are still ahead; all or nothing.

    :raises NotFound: if there is no such series for this actor
    :raises Forbidden: if the actor may see but not cancel it
    :raises Stale: if the version is not that of the series
    :raises Refused: with every reason of every date, or if none is ahead
    """
    row, made = _read(session, actor, series_id)
    _require(actor, "booking.cancel", row, made)
    there = {item.instrument_id for booking in made for item in booking.items} | {row.instrument_id}
    places = occupation.lock(session, there)
    row, made = _read(session, actor, series_id)
    _require_locked({item.instrument_id for booking in made for item in booking.items}, places)
    _raise_version(session, row, version, now)
    chosen = [_on(made, day)] if scope is Scope.THIS else _ahead(row, made, now, _from(scope, day))
    if not chosen:
        raise Refused([Reason("nothing_ahead")])
    against: list[Reason] = []
    for booking in chosen:
        try:
            bookings.cancel(
                session,
                actor=actor,
                booking_id=booking.id,
                reason=reason,
                series_id=None if scope is Scope.THIS else row.id,
                now=now,
            )
        except Refused as refusal:
            against += [_dated(one, _day_of(booking, row)) for one in refusal.reasons]
    if against:
        raise Refused(against)
    if scope is not Scope.THIS:
        gone = [Judged(_day_of(one, row), _item_of(one), Way.ASKED, Clock.PLAIN) for one in chosen]
        _tell(session, actor, "series.cancelled", row, gone, now, scope=scope.value, reason=reason)
    session.flush()
    return row


def lock_ahead(
    session: Session, *, actor: Actor, series_id: UUID, action: str, now: datetime
) -> list[Booking]:
    """Lock the dates of a series that are still ahead, and give their bookings.

    :raises NotFound: if there is no such series for this actor
    :raises Forbidden: if the actor may not take the action
    :raises Stale: if one of them was moved to another instrument meanwhile
    """
    row, made = _read(session, actor, series_id)
    _require(actor, action, row, made)
    there = {item.instrument_id for booking in made for item in booking.items} | {row.instrument_id}
    places = occupation.lock(session, there)
    row, made = _read(session, actor, series_id)
    _require_locked({item.instrument_id for booking in made for item in booking.items}, places)
    return [one for one in _ahead(row, made, now, date.min) if bookings.may_on(actor, action, one)]


def _from(scope: Scope, day: date | None) -> date:
    if scope is Scope.ALL:
        return date.min
    if day is None:
        raise Invalid({"day": "required"})
    return day


def put_back(
    session: Session,
    *,
    actor: Actor,
    series_id: UUID,
    version: int | None = None,
    day: date,
    choice: Choice | None = None,
    override: str = "",
    now: datetime,
) -> Series:
    """Book a date that was left out or given up, under the rules as they are now.

    :raises NotFound: if there is no such series for this actor
    :raises Stale: if the version is not that of the series
    :raises Refused: with every reason, or if the date is not open
    """
    row, made = _read(session, actor, series_id)
    _require(actor, "booking.change", row, made)
    one = _chosen(_vacant(row, made, day, now), choice)
    places = occupation.lock(session, {one.item.instrument_id})
    row, made = _read(session, actor, series_id)
    _vacant(row, made, day, now)
    _raise_version(session, row, version, now)
    bookings.require_visible(actor, places.instruments.values())
    like = _like(session, row, made)
    _book(session, actor, one, row, like, now, together=False, override=override)
    row.skipped = [entry for entry in row.skipped if entry["day"] != day.isoformat()]
    session.flush()
    return row


def _vacant(row: Series, made: Sequence[Booking], day: date, now: datetime) -> Wanted:
    """Give what the rule wants on a date that has no booking.

    :raises Invalid: if it is none of the rule's dates
    :raises Refused: if it has a booking, or has passed
    """
    for one in _occurrences(row):
        if one.day == day:
            if day in _live_days(made):
                raise Refused([Reason("date_stands", {"series_day": day.isoformat()})])
            if one.span.start <= now:
                raise Refused([Reason("past", {"now": now, "series_day": day.isoformat()})])
            return Wanted(day, Item(row.instrument_id, one.span, row.quantity), clock=one.clock)
    raise Invalid({"day": "unknown"})
