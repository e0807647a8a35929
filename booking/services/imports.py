"""Imports: what a file would change, and changing it, all or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import Actor, Forbidden, Subject, could, may, require
from booking.domain.hours import WeeklyHours, zone
from booking.domain.inventory import (
    COLUMNS,
    FacilityRecord,
    Inventory,
    NetworkRecord,
    Note,
    Record,
    contradictions,
    hours_text,
)
from booking.domain.sheets import MOST_ERRORS, CellError
from booking.services import catalogue, events, facilities, instruments, networks, occupation
from booking.services.instruments import Draft, State, Station
from models import (
    Category,
    Facility,
    Instrument,
    Network,
    NetworkFacility,
    OpeningRule,
    Organisation,
    OrganisationKind,
    Part,
)

IMPORT_LOCK = 727_002
"""The advisory lock that lets one import at a time through on PostgreSQL."""

CHUNK = 500
"""So many codes go into one statement."""


class Broken(Exception):
    """A file of which nothing was written, with everything that is wrong with it."""

    def __init__(self, errors: Sequence[CellError]) -> None:
        """Keep the errors for the report."""
        super().__init__(f"{len(errors)} errors")
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one record: field, value before, value after; all are plain."""

    sort: str
    code: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did, or would do: codes by sort (facility, network, instrument)."""

    created: tuple[tuple[str, str], ...] = ()
    changed: tuple[Change, ...] = ()
    unchanged: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def quiet(self) -> bool:
        """Tell whether there is nothing to write."""
        return not (self.created or self.changed)


@dataclass(slots=True)
class _Plan:
    """Everything that is known before the first write."""

    facilities: dict[str, Facility] = field(default_factory=dict)
    new_facilities: list[FacilityRecord] = field(default_factory=list)
    edited_facilities: list[tuple[Facility, dict[str, tuple[Any, Any]]]] = field(default_factory=list)
    new: list[tuple[Record, Draft]] = field(default_factory=list)
    edited: list[tuple[State, Draft]] = field(default_factory=list)
    stations: dict[str, Station] = field(default_factory=dict)
    created: list[tuple[str, str]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: int = 0
    notes: list[Note] = field(default_factory=list)
    errors: list[CellError] = field(default_factory=list)

    def outcome(self) -> Outcome:
        return Outcome(tuple(self.created), tuple(self.changed), self.unchanged, tuple(self.notes))


def check(session: Session, *, actor: Actor, inventory: Inventory, now: datetime) -> Outcome:
    """Tell what the file would change and write nothing.

    :raises Forbidden: if the actor may import nowhere
    :raises Broken: with every error
    """
    return _plan(session, actor, inventory, now, lock=False).outcome()


def apply(session: Session, *, actor: Actor, inventory: Inventory, now: datetime) -> Outcome:
    """Write all that the file says, or nothing. A second time it changes nothing.

    The instruments that it names are locked before anything is compared, in the order of every other command.

    :raises Forbidden: if the actor may import nowhere
    :raises Broken: with every error; the caller's transaction must be rolled back
    """
    plan = _plan(session, actor, inventory, now, lock=True)
    catalogue.ensure_categories(session)
    _write_facilities(session, plan, now)
    _write_networks(session, plan, inventory.networks)
    _write_instruments(session, plan, now)
    outcome = plan.outcome()
    if not outcome.quiet:
        _record(session, plan, outcome, actor=actor, file=inventory.name, now=now)
    return outcome


def apply_to_known(session: Session, *, actor: Actor, inventory: Inventory, now: datetime) -> Outcome:
    """Write all that the file says of instruments that there are, or nothing.

    :raises Forbidden: if the actor may import nowhere
    :raises Broken: with every error, an instrument that nobody knows among them
    """
    codes = {record.code for record in inventory.instruments}
    known: set[str] = set()
    for some in _chunks(codes):
        known |= set(session.scalars(select(Instrument.code).where(Instrument.code.in_(some))))
    errors = [
        CellError(record.row, record.code, "code", "part_unknown", {"value": record.code})
        for record in inventory.instruments
        if record.code not in known
    ]
    if errors and not inventory.errors:
        raise Broken(errors[:MOST_ERRORS])
    return apply(session, actor=actor, inventory=inventory, now=now)


def sheet(
    session: Session, *, actor: Actor, facility: str, now: datetime
) -> tuple[list[str], list[list[object]]]:
    """Give the instruments of a facility as a sheet that `apply` takes in again: its columns and its rows.

    Prices are those of today.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    """
    place = facilities.by_code(session, code=facility)
    require(actor, "instrument.edit", Subject(facility_id=place.id))
    ids = session.scalars(select(Instrument.id).where(Instrument.facility_id == place.id)).all()
    states = _states(session, sorted(ids))
    today = now.astimezone(zone(place.zone)).date()
    rows = [
        [_cell(name, value) for name, value in _line(states[code], place.code, today).items()]
        for code in sorted(states)
    ]
    return list(COLUMNS), rows


def _line(state: State, facility: str, today: date) -> dict[str, Any]:
    known = {
        "code": state.row.code,
        "facility": facility,
        **instruments.values_of(state),
        **instruments.prices_on(state.row, today),
    }
    return {name: known.get(name) for name in COLUMNS}


def _cell(name: str, value: Any) -> object:
    """Write a value as the column of this name reads it; a text that is cut would come back cut."""
    if name == "opening":
        return hours_text(value)
    if isinstance(value, tuple):
        return "; ".join(str(instruments.shown(part)).strip() for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _plan(session: Session, actor: Actor, inventory: Inventory, now: datetime, *, lock: bool) -> _Plan:
    if not could(actor, "instrument.edit"):
        raise Forbidden("instrument.edit", sign_in=not actor.signed_in)
    if inventory.errors:
        raise Broken(inventory.errors)
    if lock and session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_LOCK)))
    plan = _Plan(notes=list(inventory.notes))
    _plan_facilities(session, plan, actor, inventory)
    _plan_networks(session, plan, actor, inventory)
    _plan_instruments(session, plan, actor, inventory, now, lock=lock)
    if plan.errors:
        raise Broken(plan.errors[:MOST_ERRORS])
    return plan


def _chunks(codes: Iterable[str]) -> Iterable[list[str]]:
    wanted = sorted(set(codes))
    return (wanted[i : i + CHUNK] for i in range(0, len(wanted), CHUNK))


# Facilities and networks


def _plan_facilities(session: Session, plan: _Plan, actor: Actor, inventory: Inventory) -> None:
    wanted = {record.code for record in inventory.facilities}
    wanted |= {record.stated["facility"] for record in inventory.instruments if "facility" in record.stated}
    for codes in _chunks(wanted):
        query = select(Facility).where(Facility.code.in_(codes)).options(joinedload(Facility.organisation))
        plan.facilities |= {row.code: row for row in session.scalars(query)}
    hours = _hours(session, [row.id for row in plan.facilities.values()], OpeningRule.facility_id)
    for record in inventory.facilities:
        row = plan.facilities.get(record.code)
        if row is None:
            plan.new_facilities.append(record)
            plan.created.append(("facility", record.code))
        else:
            changes = _facility_changes(row, record, hours.get(row.id, ()))
            if not changes:
                plan.unchanged += 1
                continue
            plan.edited_facilities.append((row, changes))
            plan.changed.append(Change("facility", record.code, _plain(changes)))
        if not actor.administrator:
            plan.errors.append(CellError(None, record.code, "id", "administrators_only"))
    _plan_operators(session, plan, inventory)


def _plan_operators(session: Session, plan: _Plan, inventory: Inventory) -> None:
    """Refuse a credit code that another organisation has."""
    given = {record.organisation.get("uscc"): record for record in inventory.facilities}
    given.pop(None, None)
    query = select(Organisation.uscc, Organisation.code).where(Organisation.uscc.in_(given))
    for uscc, code in session.execute(query):
        record = given[uscc]
        row = plan.facilities.get(record.code)
        if code not in {record.organisation["code"], row.organisation.code if row else None}:
            plan.errors.append(CellError(None, record.code, "uscc", "duplicate"))


def _facility_changes(
    row: Facility, record: FacilityRecord, hours: tuple[WeeklyHours, ...]
) -> dict[str, tuple[Any, Any]]:
    now = {name: getattr(row, name) for name in record.stated if name != "opening"}
    now |= {name: None if now.get(name) is None else float(now[name]) for name in ("latitude", "longitude")}
    wanted = {**record.stated}
    for name in ("latitude", "longitude"):
        if wanted.get(name) is not None:
            wanted[name] = float(wanted[name])
    now["opening"] = hours
    changes = {name: (now[name], value) for name, value in wanted.items() if now[name] != value}
    operator = row.organisation
    for name, value in record.organisation.items():
        before = operator.kind.value if name == "kind" else getattr(operator, name)
        if name != "code" and before != value:
            changes[f"operator.{name}"] = (before, value)
    return changes


def _plain(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (instruments.shown(before), instruments.shown(after))
        for name, (before, after) in changes.items()
    }


def _write_facilities(session: Session, plan: _Plan, now: datetime) -> None:
    organisations = {
        row.code: row
        for row in session.scalars(
            select(Organisation).where(
                Organisation.code.in_({record.organisation["code"] for record in plan.new_facilities})
            )
        )
    }
    for record in plan.new_facilities:
        code = record.organisation["code"]
        if code not in organisations:
            values = {**record.organisation, "kind": OrganisationKind(record.organisation["kind"])}
            organisations[code] = Organisation(**values)
            session.add(organisations[code])
        values = {**record.filled, **record.stated}
        hours = values.pop("opening")
        facility = Facility(**values, code=record.code, organisation=organisations[code])
        session.add(facility)
        session.flush()
        session.add_all(facilities.rows_of(hours, facility_id=facility.id))
        plan.facilities[record.code] = facility
    for facility, changes in plan.edited_facilities:
        _edit_facility(session, facility, changes)
    session.flush()
    renamed = [row.id for row, changes in plan.edited_facilities if set(changes) - {"opening", "contact"}]
    instruments.reindex(session, facility_ids=renamed)
    # Calendars print the facility's name and address beside each instrument.
    session.execute(update(Instrument).where(Instrument.facility_id.in_(renamed)).values(updated_at=now))


def _edit_facility(session: Session, facility: Facility, changes: Mapping[str, tuple[Any, Any]]) -> None:
    for name, (_, after) in changes.items():
        if name == "opening":
            occupation.advance(session, Instrument.facility_id == facility.id)
            session.execute(delete(OpeningRule).where(OpeningRule.facility_id == facility.id))
            session.add_all(facilities.rows_of(after, facility_id=facility.id))
        elif name == "operator.kind":
            facility.organisation.kind = OrganisationKind(after)
        elif name.startswith("operator."):
            setattr(facility.organisation, name.removeprefix("operator."), after)
        else:
            setattr(facility, name, after)


def _plan_networks(session: Session, plan: _Plan, actor: Actor, inventory: Inventory) -> None:
    coming = {record.code for record in plan.new_facilities}
    known = {row.code: row for row in networks.listing(session)}
    for record in inventory.networks:
        there = coming | set(
            session.scalars(select(Facility.code).where(Facility.code.in_(record.facilities)))
        )
        plan.errors += [
            CellError(None, record.code, "facilities", "unknown_facility", {"value": code})
            for code in record.facilities
            if code not in there
        ]
        row = known.get(record.code)
        if row is None:
            plan.created.append(("network", record.code))
        else:
            changes = _network_changes(session, row, record)
            if not changes:
                plan.unchanged += 1
                continue
            plan.changed.append(Change("network", record.code, _plain(changes)))
        if not actor.administrator:
            plan.errors.append(CellError(None, record.code, "id", "administrators_only"))


def _members(session: Session, network: Network) -> tuple[str, ...]:
    query = (
        select(Facility.code)
        .join(NetworkFacility, NetworkFacility.facility_id == Facility.id)
        .where(NetworkFacility.network_id == network.id)
    )
    return tuple(sorted(session.scalars(query)))


def _network_changes(session: Session, row: Network, record: NetworkRecord) -> dict[str, tuple[Any, Any]]:
    before = {name: getattr(row, name) for name in record.stated}
    changes = {name: (before[name], value) for name, value in record.stated.items() if before[name] != value}
    members = _members(session, row)
    if members != tuple(sorted(record.facilities)):
        changes["facilities"] = (members, tuple(sorted(record.facilities)))
    return changes


def _write_networks(session: Session, plan: _Plan, records: Iterable[NetworkRecord]) -> None:
    touched = {code for sort, code in plan.created if sort == "network"}
    touched |= {change.code for change in plan.changed if change.sort == "network"}
    for record in records:
        if record.code not in touched:
            continue
        row = session.scalars(select(Network).where(Network.code == record.code)).one_or_none()
        if row is None:
            row = Network(code=record.code, name_en="")
            session.add(row)
        for name, value in record.stated.items():
            setattr(row, name, value)
        session.flush()
        before = select(NetworkFacility.facility_id).where(NetworkFacility.network_id == row.id)
        left = set(session.scalars(before))
        session.execute(delete(NetworkFacility).where(NetworkFacility.network_id == row.id))
        ids = set(session.scalars(select(Facility.id).where(Facility.code.in_(record.facilities))))
        session.add_all(NetworkFacility(network_id=row.id, facility_id=place) for place in ids)
        session.flush()
        # The network's rules are no longer for the same instruments.
        if left ^ ids:
            occupation.advance(session, Instrument.facility_id.in_(left ^ ids))


# Instruments


def _plan_instruments(
    session: Session, plan: _Plan, actor: Actor, inventory: Inventory, now: datetime, *, lock: bool
) -> None:
    ids = _ids(session, (record.code for record in inventory.instruments))
    if lock:
        _lock(session, plan, ids)
    states = _states(session, ids)
    categories = set(session.scalars(select(Category.code))) | set(catalogue.scheme_codes())
    drafts: list[tuple[Record, State | None, Draft]] = []
    for record in inventory.instruments:
        state = states.get(record.code)
        facility = _facility_of(plan, actor, record, state)
        if facility is None and not _is_coming(plan, record):
            continue
        day = now.astimezone(zone(facility.zone if facility else _zone_of(plan, record))).date()
        stated = dict(record.stated) if state else {**record.filled, **record.stated}
        stated.pop("facility", None)
        found = instruments.draft(state, stated, today=day)
        drafts.append((record, state, found))
        if found.values.get("category") and found.values["category"] not in categories:
            _wrong(plan, record, "category", "unknown_category", value=found.values["category"])
        for column, code, params in contradictions(found.values):
            _wrong(plan, record, column, code, **params)
    plan.stations = _stations(session, plan, drafts)
    for record, state, found in drafts:
        _settle(session, plan, record, state, found, now=now)


def _wrong(plan: _Plan, record: Record, column: str, code: str, **params: Any) -> None:
    plan.errors.append(CellError(record.row, record.code, column, code, params))


def _is_coming(plan: _Plan, record: Record) -> bool:
    wanted = record.stated.get("facility")
    return any(one.code == wanted for one in plan.new_facilities)


def _zone_of(plan: _Plan, record: Record) -> str:
    found = next(one for one in plan.new_facilities if one.code == record.stated["facility"])
    return str({**found.filled, **found.stated}["zone"])


def _facility_of(plan: _Plan, actor: Actor, record: Record, state: State | None) -> Facility | None:
    """Give the facility of a record, and note what is wrong with it or with the actor's right."""
    code = record.stated.get("facility")
    if state is None:
        missing = [name for name in ("facility", "name_zh", "kind") if name not in record.stated]
        for name in missing:
            _wrong(plan, record, name, "required")
        if missing:
            return None
        facility = plan.facilities.get(str(code))
        if facility is None:
            if not _is_coming(plan, record):
                _wrong(plan, record, "facility", "unknown_facility", value=code)
            return None
    else:
        facility = state.row.facility
        if code is not None and code != facility.code:
            _wrong(plan, record, "facility", "other_facility", value=facility.code)
            return None
    if not may(actor, "instrument.edit", Subject(facility_id=facility.id)):
        _wrong(plan, record, "facility", "not_yours", value=facility.code)
        return None
    return facility


def _ids(session: Session, codes: Iterable[str]) -> list[int]:
    ids: list[int] = []
    for some in _chunks(codes):
        ids += session.scalars(select(Instrument.id).where(Instrument.code.in_(some)))
    return sorted(ids)


def _lock(session: Session, plan: _Plan, ids: Iterable[int]) -> None:
    """Lock all that may change, in the order in which bookings lock: by id, one after the other.

    Their revisions stay, as most of a file that comes again has not changed.
    """
    wanted = set(ids)
    opening = [facility.id for facility, changes in plan.edited_facilities if "opening" in changes]
    if opening:
        wanted |= set(session.scalars(select(Instrument.id).where(Instrument.facility_id.in_(opening))))
    places = sorted(wanted)
    for i in range(0, len(places), CHUNK):
        some = select(Instrument.id).where(Instrument.id.in_(places[i : i + CHUNK]))
        session.execute(some.order_by(Instrument.id).with_for_update(key_share=True))


def _states(session: Session, ids: Sequence[int]) -> dict[str, State]:
    rows: list[Instrument] = []
    for i in range(0, len(ids), CHUNK):
        query = (
            select(Instrument)
            .where(Instrument.id.in_(ids[i : i + CHUNK]))
            .order_by(Instrument.id)
            .options(
                joinedload(Instrument.facility).joinedload(Facility.organisation),
                selectinload(Instrument.text),
                selectinload(Instrument.capabilities),
                selectinload(Instrument.prices),
            )
        )
        rows += session.scalars(query.execution_options(populate_existing=True))
    hours = _hours(session, ids, OpeningRule.instrument_id)
    parts = _parts(session, ids)
    return {row.code: State(row, hours.get(row.id, ()), parts.get(row.id, ())) for row in rows}


def _hours(session: Session, ids: Sequence[int], column: Any) -> dict[int, tuple[WeeklyHours, ...]]:
    found: dict[int, list[WeeklyHours]] = {}
    for i in range(0, len(ids), CHUNK):
        query = select(OpeningRule).where(column.in_(ids[i : i + CHUNK]))
        for row in session.scalars(
            query.order_by(OpeningRule.weekday, OpeningRule.opens, OpeningRule.closes)
        ):
            hours = WeeklyHours(row.weekday, row.opens, row.closes, row.valid_from, row.valid_to)
            found.setdefault(getattr(row, column.key), []).append(hours)
    return {place: tuple(hours) for place, hours in found.items()}


def _parts(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for i in range(0, len(ids), CHUNK):
        query = (
            select(Part.line_id, Instrument.code)
            .join(Instrument, Instrument.id == Part.station_id)
            .where(Part.line_id.in_(ids[i : i + CHUNK]))
            .order_by(Part.line_id, Part.position)
        )
        for line, code in session.execute(query):
            found.setdefault(line, []).append(code)
    return {line: tuple(codes) for line, codes in found.items()}


def _stations(
    session: Session, plan: _Plan, drafts: Iterable[tuple[Record, State | None, Draft]]
) -> dict[str, Station]:
    """Give every instrument that may be part of a line, as it will be; one that is new has the id 0."""
    known: dict[str, Station] = {}
    rows = list(drafts)
    for codes in _chunks(code for _, _, found in rows for code in found.values["parts"]):
        known |= instruments.stations_by_code(session, codes)
    for record, state, found in rows:
        facility = state.row.facility if state else plan.facilities.get(str(record.stated["facility"]))
        place = state.row.id if state else 0
        # A facility that is coming has no id yet; its code tells it from others as well.
        home = facility.id if facility else -1 - _position(plan, str(record.stated["facility"]))
        known[record.code] = Station(place, record.code, home, found.values["kind"], found.values["units"])
    return known


def _position(plan: _Plan, code: str) -> int:
    return [record.code for record in plan.new_facilities].index(code)


def _settle(
    session: Session, plan: _Plan, record: Record, state: State | None, found: Draft, *, now: datetime
) -> None:
    """Decide about one record: new, changed, the same, or wrong."""
    found = _with_its_stations(plan, record, state, found)
    if state is None:
        plan.new.append((record, found))
        plan.created.append(("instrument", record.code))
        return
    if not found.changed:
        plan.unchanged += 1
        return
    units = found.values["units"]
    if units < state.row.units and not occupation.fits(
        session, instrument_id=state.row.id, units=units, now=now
    ):
        _wrong(plan, record, "units", "booked", units=units)
    if "parts" in found.changed and instruments.has_claims(session, instrument_id=state.row.id, now=now):
        _wrong(plan, record, "parts", "booked_line")
    plan.edited.append((state, found))
    plan.changed.append(Change("instrument", record.code, _plain(found.changed)))


def _with_its_stations(plan: _Plan, record: Record, state: State | None, found: Draft) -> Draft:
    """Check the parts of a line, and let it have no more units than its scarcest station."""
    codes = found.values["parts"]
    if not codes:
        return found
    home = plan.stations[record.code].facility_id
    wrong = instruments.wrong_part(record.code, home, codes, plan.stations)
    if wrong is not None:
        _wrong(plan, record, "parts", f"part_{wrong[1]}", value=wrong[0])
        return found
    scarcest = min((plan.stations[code] for code in codes), key=lambda station: station.units)
    asked = found.values["units"]
    if asked <= scarcest.units:
        return found
    params = {"asked": asked, "units": scarcest.units, "station": scarcest.code}
    plan.notes.append(Note(record.code, "fewer_units", params))
    changed = {name: pair for name, pair in found.changed.items() if name != "units"}
    if state is None or state.row.units != scarcest.units:
        changed["units"] = (state.row.units if state else None, scarcest.units)
    return Draft({**found.values, "units": scarcest.units}, changed, found.prices)


def _write_instruments(session: Session, plan: _Plan, now: datetime) -> None:
    made: list[tuple[Instrument, Draft]] = []
    for record, found in plan.new:
        facility = plan.facilities[record.stated["facility"]]
        row = instruments.create(facility, record.code, found, now=now)
        session.add(row)
        made.append((row, found))
    session.flush()
    ids = {row.code: row.id for row, _ in made}
    ids |= {code: station.id for code, station in plan.stations.items() if station.id}
    for row, found in made:
        session.add_all(facilities.rows_of(found.values["opening"], instrument_id=row.id))
        if found.values["parts"]:
            station_ids = [ids[code] for code in found.values["parts"]]
            instruments.write_parts(session, line_id=row.id, station_ids=station_ids)
    for state, found in plan.edited:
        state.row.revision += 1
        instruments.write_changes(session, state, found, now=now)
        if "parts" in found.changed:
            station_ids = [ids[code] for code in found.values["parts"]]
            instruments.write_parts(session, line_id=state.row.id, station_ids=station_ids)
    session.flush()


def _record(
    session: Session, plan: _Plan, outcome: Outcome, *, actor: Actor, file: str, now: datetime
) -> None:
    """Write one event for each facility concerned, with what was created and what changed there."""
    places: dict[str | None, dict[str, Any]] = {}

    def of(code: str | None) -> dict[str, Any]:
        return places.setdefault(code, {"created": [], "changed": {}})

    homes = {record.code: record.stated["facility"] for record, _ in plan.new}
    homes |= {state.row.code: state.row.facility.code for state, _ in plan.edited}
    for sort, code in outcome.created:
        home = {"instrument": homes.get(code), "facility": code}.get(sort)
        of(home)["created"].append(f"{sort} {code}")
    for change in outcome.changed:
        home = {"instrument": homes.get(change.code), "facility": change.code}.get(change.sort)
        of(home)["changed"][f"{change.sort} {change.code}"] = {
            name: list(pair) for name, pair in change.fields.items()
        }
    here = plan.facilities | {state.row.facility.code: state.row.facility for state, _ in plan.edited}
    for home, data in places.items():
        events.record(
            session,
            actor=actor,
            kind="instruments.imported",
            now=now,
            facility_id=here[home].id if home else None,
            subject=home or "",
            file=file,
            **data,
        )
