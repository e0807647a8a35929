"""Instruments: one by its code, its values column by column, and changing them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, or_, select, true
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption

from booking.domain import inventory, search, vocabulary
from booking.domain.access import Actor, NotFound, Subject, in_scope, require
from booking.domain.hours import WeeklyHours, zone
from booking.domain.pricing import CustomerClass, Price, Unit
from booking.domain.rules import Invalid
from booking.domain.sheets import Bad
from booking.domain.vocabulary import Ability
from booking.services import events, facilities, kept, occupation
from models import (
    Capability,
    Category,
    Facility,
    Instrument,
    InstrumentKind,
    InstrumentPrice,
    InstrumentText,
    NetworkFacility,
    OperatorNeed,
    Part,
)

IN_A_LIST: tuple[ExecutableOption, ...] = (
    joinedload(Instrument.facility).joinedload(Facility.organisation),
    joinedload(Instrument.category),
    selectinload(Instrument.capabilities),
    selectinload(Instrument.prices),
)
"""What a row of the catalogue shows."""

WHOLE: tuple[ExecutableOption, ...] = (
    *IN_A_LIST,
    joinedload(Instrument.facility).selectinload(Facility.networks),
    joinedload(Instrument.text),
    selectinload(Instrument.documents),
)
"""What the page of an instrument shows."""

_TEXTS = (
    "about_zh",
    "about_en",
    "specifications_zh",
    "specifications_en",
    "rules_zh",
    "rules_en",
    "stations",
)
_ENUMS = {"kind": InstrumentKind, "operator_need": OperatorNeed}
_OWN_TABLES = {"capabilities", "opening", "parts", *_TEXTS, *inventory.PRICED, "price_unit", "price_from"}
_PLAIN = tuple(
    name for name in inventory.COLUMNS if name not in _OWN_TABLES | {"facility", "category", "code"}
)
"""Columns that are attributes of the instrument under the same name."""

_FOUND_BY = {"name_zh", "name_en", "model", "manufacturer", "location", "category", "capabilities"}
_PRICE_COLUMNS: dict[str, tuple[CustomerClass, bool]] = {
    "price_internal": (CustomerClass.INTERNAL, True),
    "price_external": (CustomerClass.EXTERNAL, True),
    "sample_price_internal": (CustomerClass.INTERNAL, False),
    "sample_price_external": (CustomerClass.EXTERNAL, False),
}
EDITABLE = frozenset(inventory.COLUMNS) - {"code", "facility"}
"""What a manager may change; a code is in other people's links, and a facility in bookings."""

_SHOWN = 200

_instrument = Instrument.__table__.c
_BY_CODES = select(_instrument.code, _instrument.id, _instrument.published).where(
    _instrument.code.in_(bindparam("codes", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Station:
    """An instrument as lines ask about it."""

    id: int
    code: str
    facility_id: int
    kind: str
    units: int


def visible(actor: Actor) -> ColumnElement[bool]:
    """Give the condition by which the actor sees an instrument: published, or at the actor's own places."""
    if not in_scope(actor, "instrument.see_unpublished"):
        return Instrument.published.is_(True)
    if actor.administrator:
        return true()
    clauses: list[ColumnElement[bool]] = [Instrument.published.is_(True)]
    if actor.operates or actor.manages:
        clauses.append(Instrument.facility_id.in_(actor.operates | actor.manages))
    if actor.officer_of:
        members = select(NetworkFacility.facility_id).where(NetworkFacility.network_id.in_(actor.officer_of))
        clauses.append(Instrument.facility_id.in_(members))
    return or_(*clauses)


def by_code(session: Session, *, actor: Actor, code: str) -> Instrument:
    """Give an instrument with all that its page shows.

    :raises NotFound: if there is none of this code, or none that this actor may see
    """
    instrument = session.scalars(
        select(Instrument).where(Instrument.code == code, visible(actor)).options(*WHOLE)
    ).one_or_none()
    if instrument is None:
        raise NotFound("instrument", code)
    return instrument


def by_codes(
    session: Session, *, actor: Actor, codes: Sequence[str], trusting: bool = False
) -> dict[str, int]:
    """Give the id of each code.

    A `trusting` command takes what is kept, whoever may see it: it asks for both itself once it has the rows.

    :raises NotFound: naming the first code of which there is none that this actor may see
    """
    known = kept.ids_of(session, codes) if trusting else None
    if known is not None:
        return known
    rows = session.execute(_BY_CODES, {"codes": list(set(codes))}).all()
    found = {row.code: row.id for row in rows if row.published}
    if len(found) < len(rows):
        query = select(Instrument.code, Instrument.id).where(Instrument.code.in_(set(codes)), visible(actor))
        found = {row.code: row.id for row in session.execute(query)}
    for code in codes:
        if code not in found:
            raise NotFound("instrument", code)
    return found


def by_ids(session: Session, *, instrument_ids: Iterable[int]) -> dict[int, Instrument]:
    """Give instruments with their facilities by their ids."""
    query = select(Instrument).where(Instrument.id.in_(set(instrument_ids)))
    return {row.id: row for row in session.scalars(query.options(joinedload(Instrument.facility)))}


def codes_of(session: Session, *, instrument_ids: Iterable[int]) -> dict[int, str]:
    """Give the code of each id."""
    query = select(Instrument.id, Instrument.code).where(Instrument.id.in_(set(instrument_ids)))
    return {row.id: row.code for row in session.execute(query)}


def of_facility(session: Session, *, actor: Actor, code: str) -> dict[int, str]:
    """Give the code of each instrument of a facility that the actor may see, by its id, in the order of codes.

    :raises NotFound: if there is no such facility
    """
    query = select(Instrument.id, Instrument.code).join(Facility, Facility.id == Instrument.facility_id)
    rows = session.execute(query.where(Facility.code == code, visible(actor)).order_by(Instrument.code)).all()
    if not rows:
        facilities.by_code(session, code=code)
    return {row.id: row.code for row in rows}


def listed(session: Session, *, actor: Actor, instrument_ids: Iterable[int]) -> dict[int, Instrument]:
    """Give those of these instruments that the actor may see, with what a list shows."""
    wanted = set(instrument_ids)
    query = select(Instrument).where(Instrument.id.in_(wanted), visible(actor)).options(*IN_A_LIST)
    return {row.id: row for row in session.scalars(query)}


def stations(session: Session, *, instrument_id: int) -> list[Instrument]:
    """Give the instruments that a line takes, in its order."""
    query = (
        select(Instrument)
        .join(Part, Part.station_id == Instrument.id)
        .where(Part.line_id == instrument_id)
        .order_by(Part.position)
    )
    return list(session.scalars(query))


# Values by column


@dataclass(frozen=True, slots=True)
class State:
    """An instrument with the rows of other tables that its columns come from."""

    row: Instrument
    hours: tuple[WeeklyHours, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written: every column's value, what differs, and the price list if it does."""

    values: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]
    prices: tuple[Price, ...] | None


def values_of(state: State) -> dict[str, Any]:
    """Give the value of every column but those of prices."""
    row = state.row
    values = {name: getattr(row, name) for name in _PLAIN}
    values |= {name: getattr(row.text, name) for name in _TEXTS}
    values |= {name: tuple(values[name] or ()) for name in ("modes", "hazards", "stations")}
    values |= {name: values[name].value for name in _ENUMS}
    return values | {
        "category": row.category_code,
        "capabilities": tuple(Ability(one.tag, one.value, one.unit) for one in row.capabilities),
        "opening": state.hours,
        "parts": state.parts,
    }


def price_list(row: Instrument) -> tuple[Price, ...]:
    """Give an instrument's dated prices."""
    return tuple(
        Price(one.customer_class, one.unit, one.amount, one.valid_from, one.valid_to) for one in row.prices
    )


def prices_on(row: Instrument, day: date) -> dict[str, Any]:
    """Give the value of every column of prices on a day."""
    known = price_list(row)
    found = {
        column: _in_force(known, customer_class, timed=timed, day=day)
        for column, (customer_class, timed) in _PRICE_COLUMNS.items()
    }
    units = [price.unit.value for price in found.values() if price and price.unit is not Unit.SAMPLE]
    amounts = {column: price.amount if price else None for column, price in found.items()}
    return {**amounts, "price_unit": next(iter(units), Unit.HOUR.value), "price_from": None}


def draft(state: State | None, stated: Mapping[str, Any], *, today: date) -> Draft:
    """Compare what is stated with what is; None is an instrument that does not exist yet."""
    before = values_of(state) if state else {}
    wanted = {name: value for name, value in stated.items() if name not in inventory.PRICED}
    wanted = {name: value for name, value in wanted.items() if name not in {"price_unit", "price_from"}}
    values = {**inventory.defaults(), **before, **wanted}
    changed = {
        name: (before.get(name), value)
        for name, value in wanted.items()
        if state is None or before.get(name) != value
    }
    old = price_list(state.row) if state else ()
    new, changes = _priced(old, stated, today)
    return Draft(values, {**changed, **changes}, tuple(new) if changes else None)


def _priced(
    old: Sequence[Price], stated: Mapping[str, Any], today: date
) -> tuple[list[Price], dict[str, tuple[Any, Any]]]:
    since = stated.get("price_from") or today
    prices = list(old)
    changes: dict[str, tuple[Any, Any]] = {}
    for column, (customer_class, timed) in _PRICE_COLUMNS.items():
        if column not in stated:
            continue
        current = _in_force(prices, customer_class, timed=timed, day=since)
        unit = Unit.SAMPLE
        if timed:
            unit = Unit(stated["price_unit"]) if "price_unit" in stated else Unit.HOUR
            if current is not None and "price_unit" not in stated:
                unit = current.unit
        later = inventory.reprice(prices, customer_class, unit, stated[column], since)
        if later != prices:
            changes[column] = (current.amount if current else None, stated[column])
            prices = later
    return prices, changes


def _in_force(
    prices: Iterable[Price], customer_class: CustomerClass, *, timed: bool, day: date
) -> Price | None:
    return next(
        (
            price
            for price in prices
            if (price.unit is not Unit.SAMPLE) is timed and price.applies(customer_class, day)
        ),
        None,
    )


def shown(value: Any) -> Any:
    """Give a value as an event keeps it and a report prints it: plain, and not longer than a line or two."""
    if isinstance(value, tuple) and value and isinstance(value[0], WeeklyHours):
        return inventory.hours_text(value)
    if isinstance(value, tuple):
        return [shown(part) for part in value]
    if isinstance(value, Ability):
        return value.tag if value.value is None else f"{value.tag}={value.value.normalize():f} {value.unit}"
    if isinstance(value, Decimal | date):
        return str(value)
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[: _SHOWN - 1]}…"
    return value


# Writing


def create(facility: Facility, code: str, found: Draft, *, now: datetime) -> Instrument:
    """Make an instrument of a facility; its hours and parts are written when it has an id."""
    values = found.values
    row = Instrument(
        code=code,
        facility=facility,
        facility_id=facility.id,
        category_code=values["category"],
        updated_at=now,
        text=InstrumentText(**_texts(values)),
        capabilities=[_capability(one) for one in values["capabilities"]],
        prices=[_price(one) for one in found.prices or ()],
        documents=[],
        **{name: _stored(name, values[name]) for name in _PLAIN},
    )
    row.text.search_text = search_text(row, facility)
    return row


def write_changes(session: Session, state: State, found: Draft, *, now: datetime) -> None:
    """Write what differs to a locked instrument, its hours and its parts included.

    :raises Refused: if it would have fewer units than are booked
    """
    row, values = state.row, found.values
    if values["units"] != row.units:
        occupation.resize(session, instrument=row, units=values["units"], now=now)
    for name in found.changed:
        if name in _PLAIN and name != "units":
            setattr(row, name, _stored(name, values[name]))
        elif name in _TEXTS:
            setattr(row.text, name, _texts(values)[name])
    row.category_code = values["category"]
    if "capabilities" in found.changed:
        _replace_capabilities(row, values["capabilities"])
    if found.prices is not None:
        replace_prices(row, found.prices)
    if "opening" in found.changed:
        facilities.replace_own_hours(session, instrument_id=row.id, hours=values["opening"])
    if _FOUND_BY & found.changed.keys():
        row.text.search_text = search_text(row, row.facility)
    row.updated_at = now


def write_parts(session: Session, *, line_id: int, station_ids: Sequence[int]) -> None:
    """Write which instruments a line takes whole, in its order."""
    session.execute(delete(Part).where(Part.line_id == line_id))
    session.add_all(
        Part(line_id=line_id, station_id=station, position=i) for i, station in enumerate(station_ids)
    )


def _stored(name: str, value: Any) -> Any:
    if name in _ENUMS:
        return _ENUMS[name](value)
    return list(value) if isinstance(value, tuple) else value


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _stored(name, values[name]) for name in _TEXTS}


def _capability(ability: Ability) -> Capability:
    return Capability(tag=ability.tag, value=ability.value, unit=ability.unit)


def _replace_capabilities(row: Instrument, abilities: Iterable[Ability]) -> None:
    wanted = {ability.tag: ability for ability in abilities}
    row.capabilities[:] = [one for one in row.capabilities if one.tag in wanted]
    for one in row.capabilities:
        ability = wanted.pop(one.tag)
        one.value, one.unit = ability.value, ability.unit
    row.capabilities.extend(_capability(ability) for ability in wanted.values())


def _price(price: Price) -> InstrumentPrice:
    return InstrumentPrice(
        customer_class=price.customer_class,
        unit=price.unit,
        amount=price.amount,
        valid_from=price.valid_from,
        valid_to=price.valid_to,
    )


def replace_prices(row: Instrument, prices: Iterable[Price]) -> None:
    """Write the price list of an instrument; rows that stay keep their ids."""
    wanted = {(price.customer_class, price.unit, price.valid_from): price for price in prices}
    kept = []
    for one in row.prices:
        price = wanted.pop((one.customer_class, one.unit, one.valid_from), None)
        if price is not None:
            one.amount, one.valid_to = price.amount, price.valid_to
            kept.append(one)
    row.prices[:] = [*kept, *(_price(price) for price in wanted.values())]


def search_text(row: Instrument, facility: Facility) -> str:
    """Give the words by which an instrument is found; its facility's organisation must be loaded."""
    terms = vocabulary.class_names(row.category_code or "")
    terms += [vocabulary.ability_name(one.tag) for one in row.capabilities]
    terms += vocabulary.region_names(facility.region_code)
    terms.append(vocabulary.KINDS[InstrumentKind(row.kind).value])
    others = [row.code, row.model, row.manufacturer, row.location]
    others += [facility.name_zh, facility.name_en, facility.town]
    others += [facility.organisation.name_zh, facility.organisation.name_en]
    others += [name for term in terms for name in term]
    others += search.sounds(facility.name_zh)[:3]
    others += [one.tag for one in row.capabilities]
    return search.text([row.name_zh, row.name_en], others)


def reindex(session: Session, *, facility_ids: Iterable[int]) -> int:
    """Write the search text of every instrument of these facilities anew, and give their number."""
    rows = session.scalars(
        select(Instrument)
        .where(Instrument.facility_id.in_(set(facility_ids)))
        .options(
            joinedload(Instrument.facility).joinedload(Facility.organisation),
            joinedload(Instrument.text),
            selectinload(Instrument.capabilities),
        )
    ).all()
    for row in rows:
        row.text.search_text = search_text(row, row.facility)
    return len(rows)


def edit(
    session: Session, *, actor: Actor, code: str, changes: Mapping[str, Any], now: datetime
) -> Instrument:
    """Change an instrument: names, place, policy, units, prices, hours, texts, by the columns of a sheet.

    Nothing is written, and its revision stays, when nothing differs.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: with a code for each value that it may not have
    :raises Refused: if it would have fewer units than are booked
    """
    found = by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=found.facility_id))
    stated = read_changes(session, changes)
    today = now.astimezone(zone(found.facility.zone)).date()
    if not draft(state_of(session, found), stated, today=today).changed:
        return found
    occupation.lock(session, [found.id])
    row = session.scalars(
        select(Instrument)
        .where(Instrument.id == found.id)
        .options(*WHOLE)
        .execution_options(populate_existing=True)
    ).one()
    state = state_of(session, row)
    new = draft(state, stated, today=today)
    station_ids = _check(session, state, new, now)
    write_changes(session, state, new, now=now)
    if "parts" in new.changed:
        write_parts(session, line_id=row.id, station_ids=station_ids)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="instrument.changed",
        now=now,
        facility_id=row.facility_id,
        subject=row.code,
        changes={name: [shown(before), shown(after)] for name, (before, after) in new.changed.items()},
    )
    return row


def state_of(session: Session, row: Instrument) -> State:
    """Read the hours and parts of a loaded instrument."""
    query = (
        select(Instrument.code)
        .join(Part, Part.station_id == Instrument.id)
        .where(Part.line_id == row.id)
        .order_by(Part.position)
    )
    hours = facilities.own_hours(session, instrument_id=row.id)
    return State(row, tuple(hours), tuple(session.scalars(query)))


def read_changes(session: Session, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what an instrument is to have, by the columns of a sheet.

    :raises Invalid: with a code for each value that it may not have
    """
    stated: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in changes.items():
        if name not in EDITABLE:
            errors[name] = "unknown"
            continue
        try:
            stated[name] = inventory.check(name, value)
        except Bad as bad:
            errors[name] = bad.code
    if stated.get("category") and session.get(Category, stated["category"]) is None:
        errors["category"] = "unknown"
    if errors:
        raise Invalid(errors)
    return stated


def _check(session: Session, state: State, found: Draft, now: datetime) -> list[int]:
    """Give the ids of the stations of a line.

    :raises Invalid: if the values do not go together
    """
    codes = found.values["parts"]
    known = stations_by_code(session, codes) if codes else {}
    errors = {column: code for column, code, _ in inventory.contradictions(found.values)}
    if wrong := wrong_part(state.row.code, state.row.facility_id, codes, known):
        errors["parts"] = wrong[1]
    elif codes and found.values["units"] > min(known[code].units for code in codes):
        errors["units"] = "too_large"
    booked = has_claims(session, instrument_id=state.row.id, now=now)
    if "parts" in found.changed and booked:
        errors["parts"] = "booked"
    if "kind" in found.changed and "line" in found.changed["kind"]:
        if booked:
            errors["kind"] = "booked"
        elif session.scalar(select(Part.line_id).where(Part.station_id == state.row.id).limit(1)):
            errors["kind"] = "line_in_line"
    if errors:
        raise Invalid(errors)
    return [known[code].id for code in codes]


def has_claims(session: Session, *, instrument_id: int, now: datetime) -> bool:
    """Tell whether anything stands in an instrument's calendar that is not over."""
    return not occupation.fits(session, instrument_id=instrument_id, units=0, now=now)


def stations_by_code(session: Session, codes: Iterable[str]) -> dict[str, Station]:
    """Give the instruments of these codes as lines ask about them."""
    query = select(
        Instrument.id, Instrument.code, Instrument.facility_id, Instrument.kind, Instrument.units
    ).where(Instrument.code.in_(set(codes)))
    return {
        code: Station(place, code, facility, kind.value, units)
        for place, code, facility, kind, units in session.execute(query)
    }


def wrong_part(
    line: str, facility_id: int | None, codes: Iterable[str], known: Mapping[str, Station]
) -> tuple[str, str] | None:
    """Give the first code that cannot be a part of a line, and why; None if all can."""
    for code in codes:
        station = known.get(code)
        if station is None:
            return code, "unknown"
        if code == line or station.kind == "line":
            return code, "line_in_line"
        if station.facility_id != facility_id:
            return code, "other_facility"
    return None
