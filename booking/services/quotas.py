"""Limits over several bookings: hours and bookings in a period, bookings ahead, and the gap between two."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from booking.domain import policy, quotas
from booking.domain.access import Actor
from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.policy import Place, PlaceKind, RuleKind
from booking.domain.quotas import Party, Quota, Use
from booking.domain.rules import Reason
from booking.domain.spans import Span
from booking.services import policies
from models import Booking, BookingItem, Instrument, ProjectMember, QuotaLock

if TYPE_CHECKING:  # the gates name this one
    from booking.services.gates import Wish

_GIVEN_UP = (State.REJECTED, State.WITHDRAWN, State.CANCELLED, State.EXPIRED)
_AHEAD = (State.REQUESTED, State.CONFIRMED, State.CHECKED_IN)
_OVER_BOOKINGS = ("gap", "concurrent")


class _Row(NamedTuple):
    """A use that may count, with all that decides where and for whom."""

    booking_id: UUID
    person_id: UUID
    organisation_id: int | None
    project_id: UUID | None
    instrument_id: int
    facility_id: int
    category_code: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class _Asked:
    """An item of the wish with the rules over several bookings that count for it."""

    item: Item
    gap: policy.Rule | None
    concurrent: policy.Rule | None


def gate(session: Session, wish: "Wish") -> list[Reason]:
    """Give every limit over several bookings that the wish breaks; nothing is read where no rule sets any.

    Commands that write take turns for each person, project and organisation whose bookings are counted beyond one
    instrument, so that two at once cannot both have the last of a quota. A command that places several bookings
    must have locked all instruments before it asks for the first.
    """
    places = {item.instrument_id: wish.instruments[item.instrument_id] for item in wish.items}
    rules = policies.rules_for(session, places.values(), kinds=[RuleKind.QUOTA, RuleKind.SETTING])
    if not any(_over_bookings(rule) for found in rules.values() for rule in found):
        return []
    asked, limits = _asked(session, wish, places), _limits(session, wish, places)
    if not limits and all(one.gap is None and one.concurrent is None for one in asked):
        return []
    _take_turns(session, wish, asked, limits)
    rows = _rows(session, wish, asked, limits)
    return [
        *(reason for quota, items in limits for reason in _full(session, wish, places, quota, items, rows)),
        *_too_many(session, wish, asked),
        *_too_close(session, wish, asked, rows),
    ]


@dataclass(frozen=True, slots=True)
class Balance:
    """A limit that counts for somebody now, with what is used of it, and where it stands as refusals tell it."""

    quota: Quota
    window: Span
    used: int
    zone: str
    place: dict[str, str]

    @property
    def left(self) -> int:
        """Give what is left of it."""
        return max(0, self.quota.limit - self.used)


def balances(session: Session, *, actor: Actor, places: Iterable[Instrument], now: datetime) -> list[Balance]:
    """Give the limits of these instruments that count for the actor today, the fullest first.

    Those for organisations and projects are left out where the actor has none, or several.
    """
    rows = list(places)
    rules = policies.rules_for(session, rows, kinds=[RuleKind.QUOTA])
    whose = _own_parties(session, actor)
    found: dict[int, tuple[Quota, Instrument]] = {}
    for row in rows:
        facility = policies.facilities_of(session, [row.facility_id])[row.facility_id]
        customer = policies.customer_class(session, rules[row.id], actor.person_id, facility.organisation_id)
        for quota in quotas.counting(rules[row.id], now.astimezone(zone(facility.zone)).date(), customer):
            if whose[quota.party] is not None:
                found.setdefault(quota.rule.id, (quota, row))
    if not found:
        return []
    windows = {
        key: quotas.current(quota, now, zone(_zone(session, row))) for key, (quota, row) in found.items()
    }
    uses = _uses_of(
        session,
        whose,
        Span(min(one.start for one in windows.values()), max(one.end for one in windows.values())),
    )
    result = []
    for key, (quota, row) in found.items():
        name = _zone(session, row)
        counted = [
            use
            for use in uses
            if _whose(use, quota.party) == whose[quota.party] and _within(session, quota.rule.place, use)
        ]
        part = quotas.used(
            quota,
            _uses(counted),
            windows[key],
            zone(name),
            day_kind=lambda day: policies.working_days_of(session, day).kind(day),
        )
        words = policies.place_in_words(session, quota.rule.place)
        result.append(Balance(quota, windows[key], part, name, words))
    return sorted(result, key=lambda one: -one.used / max(1, one.quota.limit))


def _own_parties(session: Session, actor: Actor) -> dict[Party, Hashable]:
    projects = session.scalars(
        select(ProjectMember.project_id).where(ProjectMember.person_id == actor.person_id).limit(2)
    ).all()
    return {
        Party.PERSON: actor.person_id,
        Party.PROJECT: projects[0] if len(projects) == 1 else None,
        Party.ORGANISATION: next(iter(actor.organisations)) if len(actor.organisations) == 1 else None,
    }


def _whose(row: "_Row", party: Party) -> Hashable:
    return {
        Party.PERSON: row.person_id,
        Party.PROJECT: row.project_id,
        Party.ORGANISATION: row.organisation_id,
    }[party]


def _uses_of(session: Session, whose: dict[Party, Hashable], within: Span) -> list[_Row]:
    columns = {
        Party.PERSON: Booking.person_id,
        Party.PROJECT: Booking.project_id,
        Party.ORGANISATION: Booking.organisation_id,
    }
    mine = [columns[party] == key for party, key in whose.items() if key is not None]
    return _read_rows(
        session,
        or_(*mine),
        BookingItem.ends_at > within.start,
        BookingItem.starts_at < within.end,
    )


def _over_bookings(rule: policy.Rule) -> bool:
    return rule.kind is RuleKind.QUOTA or rule.name in _OVER_BOOKINGS


def _asked(session: Session, wish: "Wish", places: dict[int, Instrument]) -> list[_Asked]:
    timetables = policies.timetables(session, places.values(), person_id=wish.person_id)
    found = []
    for item in wish.items:
        said = timetables[item.instrument_id].sources(item.span.start)
        gap, concurrent = (
            rule if (rule := said.get(name)) is not None and rule.value else None for name in _OVER_BOOKINGS
        )
        found.append(_Asked(item, gap, concurrent))
    return found


def _limits(session: Session, wish: "Wish", places: dict[int, Instrument]) -> list[tuple[Quota, list[Item]]]:
    """Give each limit that counts for any item, with the items that it counts."""
    found: dict[int, tuple[Quota, list[Item]]] = {}
    rules = policies.rules_for(session, places.values(), kinds=[RuleKind.QUOTA])
    for item in wish.items:
        known = rules[item.instrument_id]
        if not known:
            continue
        moment = policies.moment_of(session, places[item.instrument_id], item, known, wish.person_id)
        for quota in quotas.counting(known, moment.day, moment.customer_class):
            if _party(quota, wish) is not None:
                found.setdefault(quota.rule.id, (quota, []))[1].append(item)
    return list(found.values())


def _party(quota: Quota, wish: "Wish") -> object:
    return {
        Party.PERSON: wish.person_id,
        Party.PROJECT: wish.project_id,
        Party.ORGANISATION: wish.organisation_id,
    }[quota.party]


def _take_turns(
    session: Session, wish: "Wish", asked: Iterable[_Asked], limits: Iterable[tuple[Quota, list[Item]]]
) -> None:
    """Wait for others who count the same bookings; on one instrument its own lock is enough."""
    wide = [(quota.party, _party(quota, wish), quota.rule.place) for quota, _ in limits]
    wide += [(Party.PERSON, wish.person_id, one.concurrent.place) for one in asked if one.concurrent]
    here = (PlaceKind.INSTRUMENT, PlaceKind.SHEET)
    take_turns(session, {f"{party.value}:{whose}" for party, whose, place in wide if place.kind not in here})


def take_turns(session: Session, parties: Iterable[str]) -> None:
    """Let commands that write and count the same come one after the other."""
    if not session.connection().get_execution_options().get("write"):
        return
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    for party in sorted(parties):  # in order, so that two commands never wait for each other
        session.execute(
            make(QuotaLock)
            .values(party=party, turns=1)
            .on_conflict_do_update(index_elements=["party"], set_={"turns": QuotaLock.turns + 1})
        )


def _rows(
    session: Session, wish: "Wish", asked: Sequence[_Asked], limits: Sequence[tuple[Quota, list[Item]]]
) -> list[_Row]:
    """Read all that may count, once for all wishes of a look to which the same limits apply."""
    whose = wish.person_id, wish.organisation_id, wish.project_id
    rules = frozenset(quota.rule.id for quota, _ in limits)
    gaps = frozenset((one.item.instrument_id, one.gap.value) for one in asked if one.gap)
    if not rules and not gaps:
        return []
    return wish.once(("quotas", whose, rules, gaps), lambda: _read(session, wish, asked, limits))


def _read(
    session: Session, wish: "Wish", asked: Sequence[_Asked], limits: Sequence[tuple[Quota, list[Item]]]
) -> list[_Row]:
    """Read all that may count, in one statement; the time of the booking that is being changed as well."""
    reaches = [_reach(session, wish, quota, items) for quota, items in limits]
    places = {quota.rule.place for quota, _ in limits}
    for one in asked:
        if one.gap is not None:
            around = timedelta(minutes=one.gap.value or 0)
            spans = wish.look.spans if wish.look else [one.item.span]
            reaches += [span.padded(around, around) for span in spans]
            places.add(Place(PlaceKind.INSTRUMENT, one.item.instrument_id))
    parties = {quota.party for quota, _ in limits} | {Party.PERSON}
    whose = [Booking.person_id == wish.person_id]
    if Party.PROJECT in parties:
        whose.append(Booking.project_id == wish.project_id)
    if Party.ORGANISATION in parties:
        whose.append(Booking.organisation_id == wish.organisation_id)
    return _read_rows(
        session,
        or_(*whose),
        or_(*(policies.instruments_of(place) for place in places)),
        BookingItem.ends_at > min(span.start for span in reaches),
        BookingItem.starts_at < max(span.end for span in reaches),
    )


def _read_rows(session: Session, *which: ColumnElement[bool]) -> list[_Row]:
    query = (
        select(
            Booking.id,
            Booking.person_id,
            Booking.organisation_id,
            Booking.project_id,
            BookingItem.instrument_id,
            Instrument.facility_id,
            Instrument.category_code,
            BookingItem.starts_at,
            BookingItem.ends_at,
        )
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(Booking.state.not_in(_GIVEN_UP), *which)
    )
    return [
        _Row(
            row.id,
            row.person_id,
            row.organisation_id,
            row.project_id,
            row.instrument_id,
            row.facility_id,
            row.category_code,
            Span(row.starts_at, row.ends_at),
        )
        for row in session.execute(query)
    ]


def _reach(session: Session, wish: "Wish", quota: Quota, items: Sequence[Item]) -> Span:
    tz = zone(_zone(session, wish.instruments[items[0].instrument_id]))
    spans = wish.look.spans if wish.look else [item.span for item in items]
    return quotas.reach(quota, spans, tz)


def _zone(session: Session, instrument: Instrument) -> str:
    return policies.sites_of(session, [instrument.facility_id])[instrument.facility_id].zone


def _full(
    session: Session,
    wish: "Wish",
    places: dict[int, Instrument],
    quota: Quota,
    items: Sequence[Item],
    rows: Sequence[_Row],
) -> list[Reason]:
    rule, whose = quota.rule, _party(quota, wish)
    counted = [
        row
        for row in rows
        if whose
        == {
            Party.PERSON: row.person_id,
            Party.PROJECT: row.project_id,
            Party.ORGANISATION: row.organisation_id,
        }[quota.party]
        and _within(session, rule.place, row)
    ]
    beside = [
        Use(n, item.span)
        for n, item in enumerate(wish.beside)
        if _within(session, rule.place, _row_of(wish, item))
    ]
    name = _zone(session, places[items[0].instrument_id])
    found = quotas.full(
        quota,
        uses=[*_uses(row for row in counted if row.booking_id != wish.booking_id), *beside],
        wish=[Use(wish.booking_id, item.span) for item in items],
        had=_uses(row for row in counted if row.booking_id == wish.booking_id),
        tz=zone(name),
        day_kind=lambda day: policies.working_days_of(session, day).kind(day),
    )
    if found is None:
        return []
    figures: dict[str, Any] = {
        "party": quota.party.value,
        "period": quota.period.value,
        "days": quota.days,
        "used": found.used,
        "asked": found.asked,
        "limit": quota.limit,
        "from": found.window.start,
        "until": found.window.end,
        "zone": name,
        "rule": rule.id,
    }
    return [
        Reason(
            f"quota_{quota.measure.value}", {**figures, **policies.place_in_words(session, rule.place)}, True
        )
    ]


def _uses(rows: Iterable[_Row]) -> list[Use]:
    return [Use(row.booking_id, row.span) for row in rows]


def _row_of(wish: "Wish", item: Item) -> _Row:
    """Give a wish of the same command as the row that it will be."""
    instrument = wish.instruments.get(item.instrument_id) or next(iter(wish.instruments.values()))
    whose = wish.person_id, wish.organisation_id, wish.project_id
    where = item.instrument_id, instrument.facility_id, instrument.category_code
    return _Row(UUID(int=0), *whose, *where, item.span)


def _within(session: Session, place: Place, row: _Row) -> bool:
    match place.kind:
        case PlaceKind.INSTRUMENT | PlaceKind.SHEET:
            return place.key == row.instrument_id
        case PlaceKind.FACILITY:
            return place.key == row.facility_id
        case PlaceKind.CATEGORY:
            return (row.category_code or "").startswith(str(place.key))
        case _:
            return row.facility_id in policies.members_of(session, place.key)


def _ahead(session: Session, wish: "Wish", place: Place) -> int:
    """Count the person's bookings that lie ahead at a place."""
    query = (
        select(func.count(Booking.id.distinct()))
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Booking.person_id == wish.person_id,
            Booking.state.in_(_AHEAD),
            Booking.ends_at > wish.now,
            BookingItem.ends_at > wish.now,
            policies.instruments_of(place),
        )
    )
    return session.scalar(query) or 0


def _too_many(session: Session, wish: "Wish", asked: Iterable[_Asked]) -> list[Reason]:
    """Count the bookings that lie ahead; a change makes none more."""
    if wish.booking_id is not None:
        return []
    found = {}
    for one in asked:
        rule = one.concurrent
        if rule is None or rule.value is None:
            continue
        ahead = wish.once(("ahead", wish.person_id, rule.id), partial(_ahead, session, wish, rule.place))
        beside = [item for item in wish.beside if _within(session, rule.place, _row_of(wish, item))]
        used = ahead + len(beside)
        if used >= rule.value:
            words = policies.place_in_words(session, rule.place)
            figures = {"used": used, "limit": rule.value, "rule": rule.id}
            found[rule.id] = Reason("too_many_ahead", {**figures, **words}, overridable=True)
    return list(found.values())


def _too_close(session: Session, wish: "Wish", asked: Iterable[_Asked], rows: Sequence[_Row]) -> list[Reason]:
    found = []
    for one in asked:
        if one.gap is None or one.gap.value is None:
            continue
        gap, place = timedelta(minutes=one.gap.value), one.item.instrument_id
        around = one.item.span.padded(gap, gap)
        others = [
            row.span
            for row in rows
            if row.instrument_id == place
            and row.person_id == wish.person_id
            and row.booking_id != wish.booking_id
        ]
        others += [item.span for item in wish.beside if item.instrument_id == place]
        near = [span for span in others if span.overlaps(around)]
        if near:
            figures = {
                "instrument": wish.instruments[place].code,
                "gap": one.gap.value,
                "start": min(near).start,
                "zone": _zone(session, wish.instruments[place]),
            }
            found.append(Reason("too_close", figures, overridable=True))
    return found
