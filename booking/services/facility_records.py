"""Records of facilities: a new one, what it says of itself, withdrawn and opened again."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from booking.domain import inventory
from booking.domain.access import Actor, Subject, require
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.sheets import Bad
from booking.services import events, facilities, instrument_records, instruments, networks
from models import Event, Facility, Instrument, Network, NetworkFacility, Organisation

FIELDS = tuple(name for name in inventory.FACILITY if name != "opening")
"""What a facility says of itself; its hours are kept on a page of their own."""

_FOUND_BY = frozenset(FIELDS) - {"contact", "about_zh", "about_en", "latitude", "longitude"}


def add(
    session: Session,
    *,
    actor: Actor,
    code: str,
    values: Mapping[str, Any],
    organisation: str,
    network: str = "",
    now: datetime,
) -> Facility:
    """Make a facility with office hours: an administrator anywhere, an officer in a network of theirs.

    :raises Forbidden: unless the actor administers, or is an officer of the network
    :raises NotFound: if there is no such network
    :raises Invalid: with a code for each value that it may not have
    """
    joins = networks.by_code(session, code=network) if network else None
    require(actor, "facility.make", Subject(network_ids=frozenset({joins.id} if joins else ())))
    stated, errors = _read({**dict.fromkeys(_NEEDED, ""), **values})
    operator = _organisation(session, organisation, errors)
    errors |= _code_errors(session, code)
    if errors or operator is None:
        raise Invalid(errors)
    row = Facility(code=code, organisation_id=operator.id, **_defaults() | stated)
    session.add(row)
    session.flush()
    session.add_all(facilities.rows_of(inventory.OFFICE_HOURS, facility_id=row.id))
    if joins is not None:
        session.add(NetworkFacility(network_id=joins.id, facility_id=row.id))
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="facility.added",
        now=now,
        facility_id=row.id,
        subject=code,
        network=network,
        values={**_plain(stated), "organisation": organisation},
    )
    session.expire(row)
    return facilities.by_code(session, code=code)


_NEEDED = ("name_zh",)


def change(
    session: Session,
    *,
    actor: Actor,
    code: str,
    changes: Mapping[str, Any],
    seen: str = "",
    now: datetime,
) -> Facility:
    """Change what a facility says of itself, or who operates it; `seen` is the mark of what the actor found there.

    Another zone moves what is on the facility's clock; it is refused while bookings lie ahead.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: with a code for each value that it may not have
    :raises Refused: if it was changed meanwhile, or its zone while bookings lie ahead
    """
    row = _locked(session, code)
    require(actor, "facility.edit", _subject(row))
    wanted = dict(changes)
    operator_code = wanted.pop("organisation", row.organisation.code)
    stated, errors = _read(wanted)
    operator = _organisation(session, operator_code, errors)
    if errors or operator is None:
        raise Invalid(errors)
    before = values_of(row)
    if seen and seen != mark_of(row):
        raise Refused([Reason("changed_meanwhile")])
    after = {**before, **stated, "organisation": operator.code}
    differing = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if not differing:
        return row
    ids = list(session.scalars(select(Instrument.id).where(Instrument.facility_id == row.id)))
    if "zone" in differing:
        instrument_records.refuse_while_booked(session, ids, now=now)
    for name in differing:
        if name != "organisation":
            setattr(row, name, after[name])
    row.organisation = operator
    session.flush()
    if (_FOUND_BY | {"organisation"}) & differing.keys():
        instruments.reindex(session, facility_ids=[row.id])
        # Calendars print the facility's name and address beside each instrument.
        session.execute(update(Instrument).where(Instrument.facility_id == row.id).values(updated_at=now))
    events.record(
        session,
        actor=actor,
        kind="facility.changed",
        now=now,
        facility_id=row.id,
        subject=row.code,
        changes={name: [_shown(old), _shown(new)] for name, (old, new) in differing.items()},
    )
    session.flush()
    return row


def withdraw(session: Session, *, actor: Actor, code: str, now: datetime) -> Facility:
    """Take a facility out of the lists and unpublish its instruments; what they were is remembered.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Refused: if bookings lie ahead
    """
    row = _locked(session, code)
    require(actor, "facility.edit", _subject(row))
    if row.withdrawn_at is not None:
        return row
    places = session.execute(
        select(Instrument.id, Instrument.code, Instrument.published)
        .where(Instrument.facility_id == row.id)
        .order_by(Instrument.id)
        .with_for_update()
    ).all()
    instrument_records.refuse_while_booked(session, [place.id for place in places], now=now)
    shown = [place.code for place in places if place.published]
    _publish(session, row, shown, published=False, now=now)
    row.withdrawn_at = now
    _record(session, actor, "facility.withdrawn", row, now, instruments=shown)
    return row


def reopen(session: Session, *, actor: Actor, code: str, now: datetime) -> Facility:
    """Take a withdrawn facility into the lists again, and publish what its withdrawal had unpublished.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    """
    row = _locked(session, code)
    require(actor, "facility.edit", _subject(row))
    if row.withdrawn_at is None:
        return row
    last = session.scalars(
        select(Event)
        .where(Event.facility_id == row.id, Event.booking_id.is_(None), Event.kind == "facility.withdrawn")
        .order_by(Event.id.desc())
        .limit(1)
    ).one_or_none()
    shown = list(last.data.get("instruments", ())) if last else []
    _publish(session, row, shown, published=True, now=now)
    row.withdrawn_at = None
    _record(session, actor, "facility.reopened", row, now, instruments=shown)
    return row


def open_ones(rows: list[Facility]) -> list[Facility]:
    """Leave out of a list what is withdrawn."""
    return [row for row in rows if row.withdrawn_at is None]


def values_of(row: Facility) -> dict[str, Any]:
    """Give what a facility says of itself, and the code of who operates it."""
    return {name: getattr(row, name) for name in FIELDS} | {"organisation": row.organisation.code}


def mark_of(row: Facility) -> str:
    """Give a mark that differs whenever what a facility says of itself does."""
    return hashlib.sha256(repr(values_of(row)).encode()).hexdigest()[:16]


def may_make_in(session: Session, *, actor: Actor) -> list[Network]:
    """Give the networks in which the actor may make facilities; an administrator may make them outside too."""
    return [row for row in networks.listing(session) if actor.administrator or row.id in actor.officer_of]


def _subject(row: Facility) -> Subject:
    return Subject(facility_id=row.id)


def _locked(session: Session, code: str) -> Facility:
    session.execute(select(Facility.id).where(Facility.code == code).with_for_update())
    session.expire_all()
    return facilities.by_code(session, code=code)


def _read(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    stated: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in values.items():
        if name not in FIELDS:
            errors[name] = "unknown"
            continue
        try:
            stated[name] = inventory.check_facility(name, value)
        except Bad as bad:
            errors[name] = bad.code
    alone = stated.get("latitude", ...) is None, stated.get("longitude", ...) is None
    if "latitude" in stated and "longitude" in stated and alone[0] != alone[1]:
        errors["latitude" if alone[0] else "longitude"] = "required"
    return stated, errors


def _organisation(session: Session, code: str, errors: dict[str, str]) -> Organisation | None:
    if not code:
        errors["organisation"] = "required"
        return None
    row = session.scalars(select(Organisation).where(Organisation.code == code)).one_or_none()
    if row is None:
        errors["organisation"] = "unknown"
    return row


def _code_errors(session: Session, code: str) -> dict[str, str]:
    try:
        checked = inventory.check("code", code)
    except Bad as bad:
        return {"code": bad.code}
    taken = session.scalar(select(Facility.id).where(func.lower(Facility.code) == checked.lower()))
    return {"code": "taken"} if taken is not None else {}


def _defaults() -> dict[str, Any]:
    return {name: inventory.check_facility(name, "") for name in FIELDS if name not in _NEEDED}


def _publish(session: Session, row: Facility, codes: list[str], *, published: bool, now: datetime) -> None:
    if codes:
        session.execute(
            update(Instrument)
            .where(Instrument.facility_id == row.id, Instrument.code.in_(codes))
            .values(published=published, updated_at=now)
        )


def _record(session: Session, actor: Actor, kind: str, row: Facility, now: datetime, **data: Any) -> None:
    events.record(session, actor=actor, kind=kind, now=now, facility_id=row.id, subject=row.code, **data)
    session.flush()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _shown(value) for name, value in values.items()}


def _shown(value: Any) -> Any:
    return value if isinstance(value, float) else instruments.shown(value)
