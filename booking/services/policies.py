"""Dated rules: read for a wish in one statement, set in words, edited, and tried on what was booked."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, bindparam, event, select, union_all
from sqlalchemy.orm import Session, object_session

from booking.domain import policy
from booking.domain.access import Role
from booking.domain.hours import zone
from booking.domain.occupation import Item
from booking.domain.policy import Moment, Place, PlaceKind, RuleKind, Timetable
from booking.domain.pricing import CustomerClass
from booking.domain.rules import Policy, Reason
from booking.domain.working_days import DayKind, WorkingDays
from booking.services import kept, working_days
from models import Facility, Instrument, Membership, Network, NetworkFacility, Rule

_CACHE = "yiqi.rules"

# Asked with every booking: made once, see services.sign_in.
_rule, _joined = Rule.__table__.c, NetworkFacility.__table__.c
_OF_FACILITIES: BindParameter[Any] = bindparam("facilities", expanding=True)
# A branch for each place: every one of them is a look into an index.
_RULES = union_all(
    *(
        select(*_rule).where(place)
        for place in (
            _rule.instrument_id.in_(bindparam("instruments", expanding=True)),
            _rule.facility_id.in_(_OF_FACILITIES),
            _rule.category_code.in_(bindparam("codes", expanding=True)),
            _rule.network_id.in_(select(_joined.network_id).where(_joined.facility_id.in_(_OF_FACILITIES))),
        )
    )
)
_FACILITIES = select(Facility).where(Facility.id.in_(bindparam("ids", expanding=True)))
_ORGANISATIONS = select(Membership.organisation_id).where(
    Membership.person_id == bindparam("person_id"),
    Membership.role.in_((Role.MEMBER, Role.LEADER)),
    Membership.organisation_id.is_not(None),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What rules ask of a facility: by whose clock, and who operates it."""

    zone: str
    organisation_id: int


def rules_for(
    session: Session,
    instruments: Iterable[Instrument],
    *,
    day: date | None = None,
    kinds: Iterable[RuleKind] = tuple(RuleKind),
) -> dict[int, tuple[policy.Rule, ...]]:
    """Give every rule that concerns each instrument, the one that counts first; of a day those in force.

    One statement for all instruments and kinds, once in a transaction: what a command read for one gate is
    there for the next.
    """
    rows = {row.id: row for row in instruments}
    known = _cached(session, "rules")
    missing = [row for place, row in rows.items() if place not in known]
    if missing:
        known.update(_load(session, missing))
    wanted = set(kinds)
    return {
        place: tuple(
            rule for rule in known[place] if rule.kind in wanted and (day is None or rule.in_force(day))
        )
        for place in rows
    }


def winning(
    session: Session,
    *,
    kind: RuleKind,
    items: Sequence[Item],
    instruments: Mapping[int, Instrument],
    person_id: UUID | None,
) -> list[dict[str, policy.Rule]]:
    """Give for each item the rules of a kind that count at its start for this person, by name: the nearest ones."""
    rows = [instruments[place] for place in dict.fromkeys(item.instrument_id for item in items)]
    found = rules_for(session, rows, kinds=[kind])
    if not any(found.values()):
        return [{} for _ in items]
    return [
        policy.nearest(
            found[item.instrument_id],
            kind,
            moment_of(session, instruments[item.instrument_id], item, found[item.instrument_id], person_id),
        )
        for item in items
    ]


def moment_of(
    session: Session,
    instrument: Instrument,
    item: Item,
    rules: Iterable[policy.Rule],
    person_id: UUID | None,
) -> Moment:
    """Give for whom and when an item starts, as far as any of the rules asks for it."""
    known = tuple(rules)
    facility = sites_of(session, [instrument.facility_id])[instrument.facility_id]
    tz = zone(facility.zone)
    by_kind = any(rule.day_kind is not None for rule in known)
    days = working_days_of(session, item.span.start.astimezone(tz).date()) if by_kind else None
    return policy.moment(
        item.span.start,
        tz=tz,
        customer_class=customer_class(session, known, person_id, facility.organisation_id),
        day_kind=days.kind if days else None,
    )


def customer_class(
    session: Session, rules: Iterable[policy.Rule], person_id: UUID | None, organisation_id: int
) -> CustomerClass:
    """Tell the operator's own people from everybody else; nothing is read where no rule asks."""
    if person_id is None or all(rule.customer_class is None for rule in rules):
        return CustomerClass.EXTERNAL
    mine = organisations_of(session, person_id)
    return CustomerClass.INTERNAL if organisation_id in mine else CustomerClass.EXTERNAL


def organisations_of(session: Session, person_id: UUID) -> frozenset[int]:
    """Give the organisations of a person, once in a transaction."""
    known = _cached(session, "organisations")
    if person_id not in known:
        known[person_id] = frozenset(session.scalars(_ORGANISATIONS, {"person_id": person_id}))
    return frozenset(known[person_id])


def working_days_of(session: Session, day: date) -> WorkingDays:
    """Give what sort the days around one are, once in a transaction for each year."""
    known = _cached(session, "working_days")
    if day.year not in known:
        known[day.year] = working_days.around(session, day)
    found: WorkingDays = known[day.year]
    return found


def timetables(
    session: Session, instruments: Iterable[Instrument], *, person_id: UUID | None
) -> dict[int, Timetable]:
    """Give the settings of each instrument for this person, over time; two statements for all of them.

    None is a visitor, who is judged like anybody from outside.
    """
    rows = list(instruments)
    found = rules_for(session, rows)
    places = sites_of(session, {row.facility_id for row in rows})
    known = _cached(session, "timetables")
    result = {}
    for row in rows:
        rules, sheet, facility = found[row.id], sheet_of(row), places[row.facility_id]
        customer = customer_class(session, rules, person_id, facility.organisation_id)
        key = (tuple(rule.id for rule in rules), tuple(sheet.values()), facility.zone, customer)
        if key not in known:
            tz = zone(facility.zone)
            made = Timetable(
                rules, sheet, tz=tz, customer_class=customer, day_kind=lambda day: _day_kind(session, day)
            )
            if made.used_kinds:  # it asks this transaction for the sorts of days
                result[row.id] = _of_transaction(session, "timetables").setdefault(key, made)
                continue
            known[key] = made
        result[row.id] = known[key]
    return result


def in_force(session: Session, instrument: Instrument, *, person_id: UUID | None, start: datetime) -> Policy:
    """Give the settings of an instrument for a use of this person that starts then."""
    return timetables(session, [instrument], person_id=person_id)[instrument.id].at(start)


def told(
    session: Session,
    reasons: Iterable[Reason],
    items: Sequence[Item],
    instruments: Mapping[int, Instrument],
    timetables: Mapping[int, Timetable],
) -> list[Reason]:
    """Say with each reason which rule it is, where that stands, and who may override it."""
    by_code = {instruments[item.instrument_id].code: item for item in reversed(items)}
    of = facilities_of(session, {instruments[item.instrument_id].facility_id for item in items})
    everywhere = sorted(of.values(), key=lambda facility: facility.code)
    over = {
        "role": Role.MANAGER.value,
        "facilities": [facility.code for facility in everywhere],
        "names": [_names(facility) for facility in everywhere],
    }
    found = []
    for reason in reasons:
        params = dict(reason.params)
        item = by_code.get(str(params.get("instrument", "")))
        if item is not None and reason.code in policy.BEHIND:
            sources = timetables[item.instrument_id].sources(item.span.start)
            rule = next((sources[name] for name in policy.BEHIND[reason.code] if name in sources), None)
            if rule is not None and rule.place.kind is not PlaceKind.SHEET:
                params |= {"rule": rule.id, **place_in_words(session, rule.place)}
        if reason.overridable:
            params["override"] = over
        found.append(Reason(reason.code, params, reason.overridable))
    return found


def unannounced(
    session: Session, items: Iterable[Item], instruments: Mapping[int, Instrument]
) -> tuple[int, ...]:
    """Give the years by whose weekdays alone the items were judged, though a rule asks for sorts of day."""
    years: set[int] = set()
    for item in items:
        row = instruments[item.instrument_id]
        if any(rule.day_kind is not None for rule in rules_for(session, [row])[row.id]):
            tz = zone(facilities_of(session, [row.facility_id])[row.facility_id].zone)
            days = [at.astimezone(tz).date() for at in item.span]
            years.update(working_days_of(session, days[0]).unannounced(days))
    return tuple(sorted(years))


def sheet_of(instrument: Instrument) -> dict[str, int | None]:
    """Give what the instrument's own sheet says; None says nothing."""
    return {name: getattr(instrument, f"{name}_minutes") for name in policy.SHEET}


def sites_of(session: Session, ids: Iterable[int]) -> dict[int, Site]:
    """Give what rules ask of facilities."""
    wanted = set(ids)
    known = _cached(session, "sites")
    missing = wanted - known.keys()
    if missing:
        found = facilities_of(session, missing)
        known.update({place: Site(row.zone, row.organisation_id) for place, row in found.items()})
    return {place: known[place] for place in wanted}


def facilities_of(session: Session, ids: Iterable[int]) -> dict[int, Facility]:
    """Give facilities by their ids, once in a transaction."""
    wanted = set(ids)
    known = _cached(session, "facilities")
    missing = wanted - known.keys()
    if missing:
        known.update({row.id: row for row in session.scalars(_FACILITIES, {"ids": list(missing)})})
    return {place: known[place] for place in wanted}


def _day_kind(session: Session, day: date) -> DayKind:
    return working_days_of(session, day).kind(day)


def forget(session: Session) -> None:
    """Read the rules anew, after they were changed within the transaction."""
    session.info.pop(_CACHE, None)


_KEPT = frozenset({"rules", "sites", "timetables", "members"})


def _cached(session: Session, what: str) -> MutableMapping[Any, Any]:
    """Give what is kept of a sort, or was read in this transaction."""
    known = kept.table(session, what) if what in _KEPT else None
    return _of_transaction(session, what) if known is None else known


def _of_transaction(session: Session, what: str) -> dict[Any, Any]:
    """Give what was read in this transaction; what an earlier one read may have changed since."""
    now = session.get_transaction() or session.begin()
    of, known = session.info.get(_CACHE, (None, {}))
    if of is not now:
        known = {}
        session.info[_CACHE] = (now, known)
    found: dict[Any, Any] = known.setdefault(what, {})
    return found


def _load(session: Session, rows: Sequence[Instrument]) -> dict[int, tuple[policy.Rule, ...]]:
    facilities = {row.facility_id for row in rows}
    codes = {code for row in rows for code in _categories(row.category_code)}
    places = {"instruments": [row.id for row in rows], "facilities": list(facilities), "codes": list(codes)}
    found = sorted((as_rule(row) for row in session.execute(_RULES, places)), key=lambda rule: rule.order)
    if not found:
        return {row.id: () for row in rows}
    of_networks = [rule for rule in found if rule.place.kind is PlaceKind.NETWORK]
    joined = _networks(session, facilities) if of_networks else {}
    return {
        row.id: tuple(
            rule for rule in found if _concerns(rule.place, row, joined.get(row.facility_id, set()))
        )
        for row in rows
    }


def _concerns(place: Place, row: Instrument, networks: set[int]) -> bool:
    match place.kind:
        case PlaceKind.INSTRUMENT:
            return place.key == row.id
        case PlaceKind.FACILITY:
            return place.key == row.facility_id
        case PlaceKind.CATEGORY:
            return place.key in _categories(row.category_code)
        case _:
            return place.key in networks


def _categories(code: str | None) -> list[str]:
    """Give a category and all above it: a parent's code is what two characters fewer are."""
    return [code[:length] for length in range(len(code), 1, -2)] if code else []


def _networks(session: Session, facilities: Iterable[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    query = select(NetworkFacility).where(NetworkFacility.facility_id.in_(set(facilities)))
    for row in session.scalars(query):
        found.setdefault(row.facility_id, set()).add(row.network_id)
    return found


def members_of(session: Session, network_id: object) -> set[int]:
    """Give the facilities of a network, once in a transaction."""
    known = _cached(session, "members")
    if network_id not in known:
        query = select(NetworkFacility.facility_id).where(NetworkFacility.network_id == network_id)
        known[network_id] = set(session.scalars(query))
    found: set[int] = known[network_id]
    return found


def place_in_words(session: Session, place: Place) -> dict[str, str]:
    """Give the sort of a place and its code, of a facility or network its names too, as refusals tell it."""
    if place.kind is PlaceKind.INSTRUMENT:
        return {"place": place.kind.value, "at": session.get_one(Instrument, place.key).code}
    row: Facility | Network
    if place.kind is PlaceKind.FACILITY:
        row = session.get_one(Facility, place.key)
    elif place.kind is PlaceKind.NETWORK:
        row = session.get_one(Network, place.key)
    else:
        return {"place": place.kind.value, "at": str(place.key or "")}
    names = {f"at_{language}": name for language, name in _names(row).items()}
    return {"place": place.kind.value, "at": row.code, **names}


def _names(row: Facility | Network) -> dict[str, str]:
    return {"zh": row.name_zh, "en": row.name_en}


def instruments_of(place: Place) -> ColumnElement[bool]:
    """Say which instruments the rules of a place are for."""
    if place.kind is PlaceKind.INSTRUMENT:
        return Instrument.id == place.key
    if place.kind is PlaceKind.FACILITY:
        return Instrument.facility_id == place.key
    if place.kind is PlaceKind.CATEGORY:
        return Instrument.category_code.startswith(str(place.key), autoescape=True)
    members = select(NetworkFacility.facility_id).where(NetworkFacility.network_id == place.key)
    return Instrument.facility_id.in_(members)


def place_of(row: Any) -> Place:
    """Give the place of a row of the table."""
    if row.instrument_id is not None:
        return Place(PlaceKind.INSTRUMENT, row.instrument_id)
    if row.category_code is not None:
        return Place(PlaceKind.CATEGORY, row.category_code)
    if row.facility_id is not None:
        return Place(PlaceKind.FACILITY, row.facility_id)
    return Place(PlaceKind.NETWORK, row.network_id)


def as_rule(row: Any) -> policy.Rule:
    """Give a row of the table as the rules of the domain have it."""
    return policy.Rule(
        id=row.id,
        place=place_of(row),
        kind=row.kind,
        name=row.name,
        value=row.value,
        data=row.data,
        customer_class=row.customer_class,
        day_kind=row.day_kind,
        weekdays=row.weekdays,
        opens=row.opens,
        closes=row.closes,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def _changed(_mapper: object, _connection: object, target: Rule) -> None:
    session = object_session(target)
    if session is not None:
        forget(session)


for _what in ("after_insert", "after_update", "after_delete"):
    event.listen(Rule, _what, _changed)
