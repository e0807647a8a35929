"""Rules at a place: listed, explained, added, changed from a day on, ended, and tried on what was booked."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, joinedload

from booking.domain import policy, quotas
from booking.domain.access import Actor, NotFound, Subject, may, require
from booking.domain.hours import ALWAYS, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, padded
from booking.domain.policy import SETTINGS, Place, PlaceKind, RuleKind, Timetable
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import Measure, Party, Period, Use
from booking.domain.rules import Facts, Invalid, Reason, refusals
from booking.domain.spans import Load, Span, peak
from booking.domain.working_days import DayKind
from booking.services import events, instruments, occupation, policies
from models import (
    Booking,
    BookingItem,
    Category,
    Event,
    Facility,
    Instrument,
    Network,
    NetworkFacility,
    Rule,
)

CLOCK = "Asia/Shanghai"
"""By whose days rules of a network or a class begin and end."""

MONTH = timedelta(days=30)
MOST_TRIED = 5000
LONGEST_NOTE = 500
MOST_QUOTA = 10_000_000
_GIVEN_UP = (State.REJECTED, State.WITHDRAWN, State.CANCELLED, State.EXPIRED)

UNTRIED = frozenset(
    {
        *("grace", "late_allowed", "tolerance", "overtime_limit", "late_cancellation"),
        *("offer_minutes", "standby", "horizon_to_change"),
    }
)
"""Settings that refuse no booking that is made."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place with what it is called, who may change its rules, and by whose clock its days are counted."""

    place: Place
    code: str
    name_zh: str
    name_en: str
    subject: Subject
    zone: str = CLOCK

    @property
    def kind(self) -> PlaceKind:
        """What sort of place it is."""
        return self.place.kind


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as somebody writes it; a limit over time has its party, measure and period."""

    kind: RuleKind
    name: str = ""
    value: int | None = None
    party: Party | None = None
    measure: Measure | None = None
    period: Period | None = None
    days: int | None = None
    customer_class: CustomerClass | None = None
    day_kind: DayKind | None = None
    weekdays: int | None = None
    opens: int | None = None
    closes: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A setting in force, and the rule that it comes from; None is the default of the system."""

    name: str
    value: int | None
    rule: policy.Rule | None
    where: Where | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A booking that a rule on trial would have refused, and why."""

    booking: Booking
    reason: Reason


@dataclass(frozen=True, slots=True)
class Trial:
    """How many bookings of a stretch of time were tried, of how many, and which would have been refused.

    For those that are `outranked` something nearer or more particular counts, whatever the rule says.
    """

    within: Span
    tried: int
    total: int
    refused: Sequence[Refusal]
    outranked: int = 0


def where(session: Session, *, actor: Actor, kind: PlaceKind, code: str) -> Where:
    """Find a place by its sort and code.

    :raises NotFound: if there is none, or none that this actor may see
    """
    found: Where | None = None
    if kind is PlaceKind.INSTRUMENT:
        found = _of_instrument(session, instruments.by_code(session, actor=actor, code=code))
    elif kind is PlaceKind.FACILITY:
        row = session.scalars(select(Facility).where(Facility.code == code)).one_or_none()
        found = _of_facility(row) if row else None
    elif kind is PlaceKind.NETWORK:
        net = session.scalars(select(Network).where(Network.code == code)).one_or_none()
        found = _of_network(net) if net else None
    elif kind is PlaceKind.CATEGORY:
        group = session.get(Category, code)
        found = _of_category(group) if group else None
    if found is None:
        raise NotFound(kind.value, code)
    return found


def where_of(session: Session, place: Place) -> Where:
    """Give a place that a rule names."""
    if place.kind is PlaceKind.INSTRUMENT:
        row = session.get_one(Instrument, place.key, options=[joinedload(Instrument.facility)])
        return _of_instrument(session, row)
    if place.kind is PlaceKind.FACILITY:
        return _of_facility(session.get_one(Facility, place.key))
    if place.kind is PlaceKind.NETWORK:
        return _of_network(session.get_one(Network, place.key))
    return _of_category(session.get_one(Category, place.key))


def _of_instrument(session: Session, row: Instrument) -> Where:
    facility = session.get_one(Facility, row.facility_id)
    place = Place(PlaceKind.INSTRUMENT, row.id)
    return Where(place, row.code, row.name_zh, row.name_en, Subject(facility_id=facility.id), facility.zone)


def _of_facility(row: Facility) -> Where:
    place = Place(PlaceKind.FACILITY, row.id)
    return Where(place, row.code, row.name_zh, row.name_en, Subject(facility_id=row.id), row.zone)


def _of_network(row: Network) -> Where:
    place = Place(PlaceKind.NETWORK, row.id)
    return Where(place, row.code, row.name_zh, row.name_en, Subject(network_ids=frozenset({row.id})))


def _of_category(row: Category) -> Where:
    return Where(Place(PlaceKind.CATEGORY, row.code), row.code, row.name_zh, row.name_en, Subject())


def listing(session: Session, *, place: Place, kinds: Iterable[RuleKind] = tuple(RuleKind)) -> list[Rule]:
    """Give the rules that stand at a place, by name and date, those that have ended too."""
    query = select(Rule).where(_at(place), Rule.kind.in_(list(kinds)))
    return list(session.scalars(query.order_by(Rule.kind, Rule.name, Rule.valid_from, Rule.id)))


def around(session: Session, *, actor: Actor, at: Where) -> list[Rule]:
    """Give all rules that concern a place: of an instrument the nearest first, of a facility with its instruments'."""
    if at.kind is PlaceKind.INSTRUMENT:
        row = instruments.by_code(session, actor=actor, code=at.code)
        order = [rule.id for rule in policies.rules_for(session, [row])[row.id]]
        known = {rule.id: rule for rule in session.scalars(select(Rule).where(Rule.id.in_(order)))}
        return [known[key] for key in order if key in known]
    if at.kind is not PlaceKind.FACILITY:
        return listing(session, place=at.place)
    seen = instruments.of_facility(session, actor=actor, code=at.code)
    networks = select(NetworkFacility.network_id).where(NetworkFacility.facility_id == at.place.key)
    query = select(Rule).where(
        or_(
            Rule.network_id.in_(networks),
            Rule.facility_id == at.place.key,
            Rule.instrument_id.in_(list(seen)),
        )
    )
    levels = Rule.network_id.nulls_last(), Rule.facility_id.nulls_last(), Rule.instrument_id
    return list(session.scalars(query.order_by(*levels, Rule.kind, Rule.name, Rule.valid_from, Rule.id)))


def get(session: Session, *, rule_id: int) -> Rule:
    """Give one rule.

    :raises NotFound: if there is none
    """
    # A number that no database can hold is the number of no rule.
    row = session.get(Rule, rule_id) if rule_id.bit_length() < 64 else None
    if row is None:
        raise NotFound("rule", rule_id)
    return row


def explain(
    session: Session, *, instrument: Instrument, person_id: UUID | None, start: datetime
) -> tuple[list[Line], list[policy.Rule]]:
    """Give every setting in force for a use that starts then, with where it comes from; then all rules."""
    timetable = policies.timetables(session, [instrument], person_id=person_id)[instrument.id]
    sources, values = timetable.sources(start), timetable.at(start)
    wheres: dict[Place, Where] = {}
    lines = []
    for name in SETTINGS:
        rule = sources.get(name) or (sources.get("horizon") if name == "horizon_to_change" else None)
        known = None
        if rule is not None and rule.place.kind is not PlaceKind.SHEET:
            known = wheres.setdefault(rule.place, where_of(session, rule.place))
        lines.append(Line(name, getattr(values, name), rule, known))
    return lines, list(policies.rules_for(session, [instrument])[instrument.id])


LEVELS = (
    PlaceKind.NETWORK,
    PlaceKind.FACILITY,
    PlaceKind.CATEGORY,
    PlaceKind.SHEET,
    PlaceKind.INSTRUMENT,
)
"""Where settings may stand, the farthest first."""


def levels(
    session: Session, *, instrument: Instrument, person_id: UUID | None, start: datetime
) -> dict[PlaceKind, dict[str, policy.Rule]]:
    """Give what each level says of each setting for a use that starts then, whether or not a nearer one counts."""
    return {kind: _timetable(session, instrument, person_id, kinds={kind}).sources(start) for kind in LEVELS}


def without_sheet(session: Session, *, instrument: Instrument, now: datetime) -> list[Line]:
    """Give what would count for somebody from outside if the instrument's own sheet said nothing."""
    table = _timetable(session, instrument, None, kinds=set(LEVELS) - {PlaceKind.SHEET})
    sources, values = table.sources(now), table.at(now)
    return [
        Line(name, getattr(values, name), rule, where_of(session, rule.place) if rule else None)
        for name in policy.SHEET
        for rule in [sources.get(name)]
    ]


def _timetable(
    session: Session, instrument: Instrument, person_id: UUID | None, *, kinds: set[PlaceKind]
) -> policy.Timetable:
    found = policies.rules_for(session, [instrument])[instrument.id]
    place = policies.facilities_of(session, [instrument.facility_id])[instrument.facility_id]
    return policy.Timetable(
        [rule for rule in found if rule.place.kind in kinds],
        policies.sheet_of(instrument) if PlaceKind.SHEET in kinds else {},
        tz=zone(place.zone),
        customer_class=policies.customer_class(session, found, person_id, place.organisation_id),
        day_kind=lambda day: policies.working_days_of(session, day).kind(day),
    )


def add(session: Session, *, actor: Actor, at: Where, draft: Draft, now: datetime) -> Rule:
    """Set a rule at a place, from today on unless it names another day.

    :raises Forbidden: if the actor may not change the rules of this place
    :raises Invalid: if the rule makes no sense
    """
    require(actor, "rule.edit", at.subject)
    checked = check(draft, today=day_at(at, now))
    row = _row(at, checked, actor, now)
    session.add(row)
    session.flush()
    _advance(session, row)
    _record(session, actor, "rule.added", at, row, now)
    return row


def change(
    session: Session, *, actor: Actor, rule_id: int, changes: Mapping[str, Any], now: datetime
) -> Rule:
    """Give a rule another value, end or note. One in force stays as it was until today, and another follows it.

    :raises NotFound: if there is none
    :raises Forbidden: if the actor may not change the rules of its place
    :raises Invalid: if it is over, or the change makes no sense
    """
    row = get(session, rule_id=rule_id)
    at = where_of(session, policies.place_of(row))
    require(actor, "rule.edit", at.subject)
    day = day_at(at, now)
    if row.valid_to is not None and row.valid_to <= day:
        raise Invalid({"valid_to": "out_of_range"})
    allowed = {"value", "valid_to", "note"}
    draft = replace(draft_of(row), **{name: new for name, new in changes.items() if name in allowed})
    checked = check(draft, today=day)
    before = {"value": row.value, "valid_to": row.valid_to and row.valid_to.isoformat(), "note": row.note}
    follows = checked.value != row.value and row.valid_from < day
    if follows:
        row.valid_to = day
        row = _row(at, replace(checked, valid_from=day), actor, now)
        session.add(row)
    else:
        row.value, row.valid_to, row.note = checked.value, checked.valid_to, checked.note
    session.flush()
    policies.forget(session)
    _advance(session, row)
    _record(session, actor, "rule.changed", at, row, now, before=before, instead_of=rule_id)
    return row


def end(session: Session, *, actor: Actor, rule_id: int, now: datetime) -> None:
    """End a rule today; one that has not begun is gone as if it had never been.

    :raises NotFound: if there is none
    :raises Forbidden: if the actor may not change the rules of its place
    """
    row = get(session, rule_id=rule_id)
    at = where_of(session, policies.place_of(row))
    require(actor, "rule.edit", at.subject)
    day = day_at(at, now)
    if row.valid_to is not None and row.valid_to <= day:
        return
    _record(session, actor, "rule.ended", at, row, now)
    if row.valid_from >= day:
        session.delete(row)
    else:
        row.valid_to = day
    session.flush()
    _advance(session, row)


def _advance(session: Session, row: Rule) -> None:
    """Let whoever keeps a copy of free time read it anew; nothing but settings bears on it."""
    if row.kind is RuleKind.SETTING:
        occupation.advance(session, policies.instruments_of(policies.place_of(row)))


def day_at(at: Where, now: datetime) -> date:
    """Give the day that it is at a place."""
    return now.astimezone(zone(at.zone)).date()


def check(draft: Draft, *, today: date) -> Draft:
    """Give a rule that makes sense, with its name and first day.

    :raises Invalid: naming every field that does not
    """
    errors: dict[str, str] = {}
    made = replace(draft, valid_from=draft.valid_from or today, note=draft.note.strip())
    if made.kind is RuleKind.SETTING:
        _check_setting(made, errors)
    elif made.kind is RuleKind.QUOTA:
        made = _check_quota(made, errors)
    else:
        errors["kind"] = "unknown"
    if (made.opens is None) != (made.closes is None):
        errors["closes" if made.closes is None else "opens"] = "required"
    elif made.opens is not None and made.closes is not None and not 0 <= made.opens < made.closes <= 24 * 60:
        errors["closes"] = "inverted"
    if made.weekdays is not None and not 1 <= made.weekdays < 128:
        errors["weekdays"] = "out_of_range"
    if made.valid_to is not None and made.valid_from is not None and made.valid_to <= made.valid_from:
        errors["valid_to"] = "inverted"
    if len(made.note) > LONGEST_NOTE:
        errors["note"] = "too_long_text"
    if errors:
        raise Invalid(errors)
    return made


def _check_setting(draft: Draft, errors: dict[str, str]) -> None:
    setting = SETTINGS.get(draft.name)
    if setting is None:
        errors["name"] = "unknown" if draft.name else "required"
    elif draft.value is None:
        if not setting.limitless:
            errors["value"] = "required"
    elif draft.value < setting.least:
        errors["value"] = "too_small"
    elif draft.value > setting.most:
        errors["value"] = "too_large"


def _check_quota(draft: Draft, errors: dict[str, str]) -> Draft:
    errors |= {name: "required" for name in ("party", "measure", "period") if getattr(draft, name) is None}
    if draft.value is not None and draft.value < 0:
        errors["value"] = "too_small"
    if draft.value is not None and draft.value > MOST_QUOTA:
        errors["value"] = "too_large"
    if draft.period is Period.ROLLING and not 1 <= (draft.days or 0) <= quotas.MOST_DAYS:
        errors["days"] = "required" if draft.days is None else "out_of_range"
    if draft.party is None or draft.measure is None or draft.period is None:
        return draft
    days = draft.days if draft.period is Period.ROLLING else None
    return replace(draft, name=quotas.name_of(draft.party, draft.measure, draft.period), days=days)


def draft_of(row: Rule) -> Draft:
    """Give a rule of the table as somebody would write it."""
    data = row.data if row.kind is RuleKind.QUOTA else {}
    return Draft(
        row.kind,
        row.name,
        row.value,
        Party(data["party"]) if data else None,
        Measure(data["measure"]) if data else None,
        Period(data["period"]) if data else None,
        data.get("days"),
        row.customer_class,
        row.day_kind,
        row.weekdays,
        row.opens,
        row.closes,
        row.valid_from,
        row.valid_to,
        row.note,
    )


def _data(draft: Draft) -> dict[str, Any]:
    if draft.kind is not RuleKind.QUOTA or not (draft.party and draft.measure and draft.period):
        return {}
    words = {"party": draft.party.value, "measure": draft.measure.value, "period": draft.period.value}
    return words if draft.days is None else {**words, "days": draft.days}


_COLUMNS = {
    PlaceKind.INSTRUMENT: "instrument_id",
    PlaceKind.FACILITY: "facility_id",
    PlaceKind.NETWORK: "network_id",
    PlaceKind.CATEGORY: "category_code",
}


def _at(place: Place) -> ColumnElement[bool]:
    column: ColumnElement[Any] = getattr(Rule, _COLUMNS[place.kind])
    return column == place.key


def _row(at: Where, draft: Draft, actor: Actor, now: datetime) -> Rule:
    return Rule(
        **{_COLUMNS[at.kind]: at.place.key},
        kind=draft.kind,
        name=draft.name,
        value=draft.value,
        data=_data(draft),
        customer_class=draft.customer_class,
        day_kind=draft.day_kind,
        weekdays=draft.weekdays,
        opens=draft.opens,
        closes=draft.closes,
        valid_from=draft.valid_from,
        valid_to=draft.valid_to,
        note=draft.note,
        created_by=actor.person_id,
        created_at=now,
    )


def _record(
    session: Session, actor: Actor, kind: str, at: Where, row: Rule, now: datetime, **more: Any
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=at.subject.facility_id,
        subject=f"{at.kind.value} {at.code}",
        rule=row.id,
        name=row.name,
        value=row.value,
        **more,
    )


# --- trying a rule ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Past:
    """What is needed to judge a month again."""

    at: Where
    candidate: policy.Rule
    bookings: list[Booking]
    span: Span
    tz: ZoneInfo
    timetables: Callable[[Booking], Mapping[int, Timetable]]
    day_kind: Callable[[date], DayKind]
    here: set[int] = field(default_factory=set)
    cut: bool = False

    def items(self, booking: Booking) -> list[Item]:
        """Give the items of a booking at the place."""
        return [
            Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity)
            for row in booking.items
            if row.instrument_id in self.here
        ]

    def counts(self, booking: Booking, item: Item) -> bool:
        """Tell whether the rule on trial would have been the one that counts."""
        timetable = self.timetables(booking)[item.instrument_id]
        return timetable.sources(item.span.start).get(self.candidate.name) is self.candidate

    def within(self, booking: Booking) -> bool:
        """Tell whether a booking is of the month on trial."""
        return self.span.start <= booking.starts_at < self.span.end


def trial(
    session: Session, *, actor: Actor, at: Where, draft: Draft, now: datetime, back: timedelta = MONTH
) -> Trial:
    """Judge the bookings of the last month at a place by a rule that is not there yet; nothing is written.

    They are taken in the order in which they were made; for limits, what would have been refused counts no more.

    :raises Forbidden: if the actor may not change the rules of this place
    :raises Invalid: if the rule makes no sense, or refuses no booking by its nature
    """
    require(actor, "rule.edit", at.subject)
    checked = check(draft, today=day_at(at, now))
    if checked.kind is RuleKind.SETTING and checked.name in UNTRIED:
        raise Invalid({"name": "not_tried"})
    past = _past(session, at, checked, Span(now - back, now))
    if checked.kind is RuleKind.QUOTA:
        found = _try_quota(session, past)
    elif checked.name in ("notice_to_change", "notice_to_cancel"):
        found = _try_late(session, past)
    elif checked.name in ("setup", "cleanup"):
        found = _try_buffers(past)
    elif checked.name == "gap":
        found = _try_gap(past)
    elif checked.name == "concurrent":
        found = _try_concurrent(past)
    else:
        found = _try_setting(past)
    refused = sorted(found, key=lambda one: one.booking.starts_at)
    tried = sum(past.within(booking) for booking in past.bookings)
    total = _total(session, checked, past) if past.cut else tried
    return Trial(past.span, tried, total, refused, _outranked(past))


def _outranked(past: _Past) -> int:
    """Count the bookings of the month for which another setting counts; limits over time all count."""
    if past.candidate.kind is not RuleKind.SETTING:
        return 0
    month = filter(past.within, past.bookings)
    return sum(not any(past.counts(booking, item) for item in past.items(booking)) for booking in month)


def _past(session: Session, at: Where, draft: Draft, span: Span) -> _Past:
    candidate = policy.Rule(
        id=2**62,  # of two that say the same the newer counts
        place=at.place,
        kind=draft.kind,
        name=draft.name,
        value=draft.value,
        data=_data(draft),
        customer_class=draft.customer_class,
        day_kind=draft.day_kind,
        weekdays=draft.weekdays,
        opens=draft.opens,
        closes=draft.closes,
        valid_from=date(2000, 1, 1),
    )
    rows = list(session.scalars(select(Instrument).where(policies.instruments_of(at.place))))
    reach = span.start - timedelta(days=max(40, 2 * (draft.days or 0)))
    places = {row.id: row for row in rows}
    query = (
        select(Booking)
        .where(*_judged(places, draft), Booking.ends_at > reach, Booking.starts_at < span.end)
        .options(joinedload(Booking.person), joinedload(Booking.items).joinedload(BookingItem.instrument))
        .order_by(Booking.starts_at.desc(), Booking.id)
        .limit(MOST_TRIED)
    )
    latest = session.scalars(query).unique().all()
    bookings = sorted(latest, key=lambda booking: (booking.created_at, booking.id))
    known: dict[UUID, dict[int, Timetable]] = {}
    rules = policies.rules_for(session, rows)
    facilities = policies.facilities_of(session, {row.facility_id for row in rows})

    def kind_of(day: date) -> DayKind:
        return policies.working_days_of(session, day).kind(day)

    def timetables(booking: Booking) -> Mapping[int, Timetable]:
        if booking.person_id not in known:
            known[booking.person_id] = {
                row.id: Timetable(
                    [*(_before(rule, candidate, span.end) for rule in rules[row.id]), candidate],
                    policies.sheet_of(row),
                    tz=zone(facilities[row.facility_id].zone),
                    customer_class=_class(
                        session, booking, candidate, facilities[row.facility_id], rules[row.id]
                    ),
                    day_kind=kind_of,
                )
                for row in rows
            }
        return known[booking.person_id]

    cut = len(bookings) == MOST_TRIED
    return _Past(at, candidate, bookings, span, zone(at.zone), timetables, kind_of, set(places), cut)


def _judged(places: Iterable[int], draft: Draft) -> list[ColumnElement[bool]]:
    """Say which bookings a rule is tried on."""
    there = select(BookingItem.booking_id).where(BookingItem.instrument_id.in_(places))
    kept = [] if draft.name == "notice_to_cancel" else [Booking.state.not_in(_GIVEN_UP)]
    return [Booking.id.in_(there), *kept]


def _total(session: Session, draft: Draft, past: _Past) -> int:
    """Give how many bookings of the month there are, where not all of them were looked at."""
    month = Booking.starts_at >= past.span.start, Booking.starts_at < past.span.end
    query = select(func.count()).select_from(Booking).where(*_judged(past.here, draft), *month)
    return session.scalar(query) or 0


def _before(rule: policy.Rule, candidate: policy.Rule, end: datetime) -> policy.Rule:
    """Let the rule on trial be the newest of those that say the same at its place."""
    alike = rule.place == candidate.place and rule.name == candidate.name
    begun = rule.valid_from <= end.date()
    return replace(rule, valid_from=date.min) if alike and begun else rule


def _class(
    session: Session,
    booking: Booking,
    candidate: policy.Rule,
    facility: Facility,
    rules: Sequence[policy.Rule],
) -> CustomerClass:
    return policies.customer_class(session, [*rules, candidate], booking.person_id, facility.organisation_id)


def _try_setting(past: _Past) -> list[Refusal]:
    """Ask the rules themselves, as of the moment at which each booking was made."""
    found = []
    for booking in filter(past.within, past.bookings):
        timetables = past.timetables(booking)
        items = [item for item in past.items(booking) if past.counts(booking, item)]
        facts = {
            row.instrument_id: Facts(
                row.instrument.code,
                10**9,
                past.at.zone,
                hours=ALWAYS,
                timetable=timetables[row.instrument_id],
            )
            for row in booking.items
            if row.instrument_id in past.here
        }
        for reason in refusals(items, [], facts, booking.created_at):
            if past.candidate.name in policy.BEHIND.get(reason.code, ()):
                found.append(Refusal(booking, reason))
                break
    return found


def _try_late(session: Session, past: _Past) -> list[Refusal]:
    """Look at what was changed or given up by the people themselves, and how long before the start."""
    name = past.candidate.name
    kind = "booking.changed" if name == "notice_to_change" else "booking.cancelled"
    ids = {booking.id: booking for booking in past.bookings}
    query = select(Event).where(
        Event.kind == kind, Event.at >= past.span.start - MONTH, Event.booking_id.in_(ids)
    )
    found = []
    notice = timedelta(minutes=past.candidate.value or 0)
    for event in session.scalars(query):
        booking = ids[event.booking_id] if event.booking_id else None
        if booking is None or event.actor_id != booking.person_id or not past.within(booking):
            continue
        for item in past.items(booking):
            start = _start_before(event, booking, item)
            if start is not None and past.counts(booking, item) and event.at < start < event.at + notice:
                figures = {
                    "instrument": _code(booking, item),
                    "notice": past.candidate.value,
                    "latest": start - notice,
                    "zone": past.at.zone,
                }
                found.append(Refusal(booking, Reason(name, figures, overridable=True)))
                break
    return found


def _start_before(event: Event, booking: Booking, item: Item) -> datetime | None:
    """Give the start that an item had before a change; None where the change was of something else."""
    if event.kind == "booking.cancelled":
        return item.span.start
    old = event.data.get("changes", {}).get("items")
    if not old:
        return None
    code = _code(booking, item)
    return next((datetime.fromisoformat(row[1]) for row in old[0] if row[0] == code), None)


def _code(booking: Booking, item: Item) -> str:
    return next(row.instrument.code for row in booking.items if row.instrument_id == item.instrument_id)


def _try_buffers(past: _Past) -> list[Refusal]:
    """Take each booking's time with its set-up and clean-up in turn, where it still fits."""
    loads: dict[int, list[Load]] = defaultdict(list)
    found = []
    for booking in past.bookings:
        refused = None
        for row in booking.items:
            if row.instrument_id not in past.here:
                continue
            known = past.timetables(booking)[row.instrument_id].at(row.starts_at)
            span = padded(Span(row.starts_at, row.ends_at), known.setup, known.cleanup)
            near = [
                load for load in loads[row.instrument_id] if load.start < span.end and span.start < load.end
            ]
            free = row.instrument.units - peak(near, span)
            item = Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity)
            if free < row.quantity and past.counts(booking, item):
                figures = {"asked": row.quantity, "free": max(0, free), "units": row.instrument.units}
                refused = Reason("taken", {"instrument": row.instrument.code, **figures})
            else:
                loads[row.instrument_id].append(Load(*span, row.quantity))
        if refused and past.within(booking):
            found.append(Refusal(booking, refused))
    return found


def _try_gap(past: _Past) -> list[Refusal]:
    kept: dict[tuple[UUID, int], list[Span]] = defaultdict(list)
    gap = timedelta(minutes=past.candidate.value or 0)
    found = []
    for booking in past.bookings:
        for item in past.items(booking):
            mine = kept[booking.person_id, item.instrument_id]
            near = [span for span in mine if span.overlaps(item.span.padded(gap, gap))]
            if gap and near and past.counts(booking, item):
                figures = {
                    "instrument": _code(booking, item),
                    "gap": past.candidate.value,
                    "start": min(near).start,
                    "zone": past.at.zone,
                }
                if past.within(booking):
                    found.append(Refusal(booking, Reason("too_close", figures, overridable=True)))
                break
        else:
            for item in past.items(booking):
                kept[booking.person_id, item.instrument_id].append(item.span)
    return found


def _try_concurrent(past: _Past) -> list[Refusal]:
    kept: dict[UUID, list[Booking]] = defaultdict(list)
    most = past.candidate.value
    found = []
    for booking in past.bookings:
        mine = kept[booking.person_id]
        ahead = [other for other in mine if other.ends_at > booking.created_at]
        counts = any(past.counts(booking, item) for item in past.items(booking))
        if counts and most is not None and len(ahead) >= most:
            if past.within(booking):
                figures = {"used": len(ahead), "limit": most}
                found.append(Refusal(booking, Reason("too_many_ahead", figures, overridable=True)))
            continue
        mine.append(booking)
    return found


def _try_quota(session: Session, past: _Past) -> list[Refusal]:
    if past.candidate.value is None:
        return []
    quota = quotas.quota_of(past.candidate, past.candidate.value)
    kept: dict[Hashable, list[Use]] = defaultdict(list)
    found = []
    for booking in past.bookings:
        whose: Hashable = {
            Party.PERSON: booking.person_id,
            Party.PROJECT: booking.project_id,
            Party.ORGANISATION: booking.organisation_id,
        }[quota.party]
        if whose is None or not _concerns(session, past, booking):
            continue
        wish = [Use(booking.id, item.span) for item in past.items(booking)]
        full = None
        if past.within(booking):
            full = quotas.full(quota, uses=kept[whose], wish=wish, tz=past.tz, day_kind=past.day_kind)
        if full is None:
            kept[whose] += wish
            continue
        figures = {
            "party": quota.party.value,
            "period": quota.period.value,
            "days": quota.days,
            "used": full.used,
            "asked": full.asked,
            "limit": quota.limit,
            "from": full.window.start,
            "until": full.window.end,
            "zone": past.at.zone,
        }
        found.append(Refusal(booking, Reason(f"quota_{quota.measure.value}", figures, overridable=True)))
    return found


def _concerns(session: Session, past: _Past, booking: Booking) -> bool:
    """Tell whether the limit is for this class of customers."""
    wanted = past.candidate.customer_class
    if wanted is None:
        return True
    facility = booking.items[0].instrument.facility_id
    place = policies.facilities_of(session, [facility])[facility]
    return (
        policies.customer_class(session, [past.candidate], booking.person_id, place.organisation_id) is wanted
    )


def editable(actor: Actor, at: Where) -> bool:
    """Tell whether the actor may change the rules of a place."""
    return may(actor, "rule.edit", at.subject)
