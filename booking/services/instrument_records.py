"""Records of instruments: a new one from blank or like another, published or not, what was changed and by whom."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain import inventory
from booking.domain.access import Actor, Subject, require
from booking.domain.hours import zone
from booking.domain.pricing import Price
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.sheets import Bad
from booking.services import catalogue, events, facilities, instruments
from booking.services.instruments import Draft
from models import Facility, Instrument, Occupation

ITS_OWN = frozenset({"published", "bookable", "original_value_wan"})
"""What a copy does not take over."""


def add(
    session: Session,
    *,
    actor: Actor,
    facility_code: str,
    code: str,
    values: Mapping[str, Any],
    like: str = "",
    now: datetime,
) -> Instrument:
    """Make an instrument of a facility, from blank or like another; nobody else sees it until it is published.

    Like another it has all that is not said, its hours and prices too; its stations only at the same facility.

    :raises NotFound: if there is no such facility, or no such other instrument for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: with a code for each value that it may not have
    """
    facility = facilities.by_code(session, code=facility_code)
    require(actor, "instrument.edit", Subject(facility_id=facility.id))
    catalogue.ensure_categories(session)
    errors = _code_errors(session, code)
    try:
        stated = instruments.read_changes(session, values)
    except Invalid as error:
        raise Invalid({**errors, **error.errors}) from None
    if missing := {name: "required" for name in ("name_zh", "kind") if name not in stated and not like}:
        errors |= missing
    if errors:
        raise Invalid(errors)
    today = now.astimezone(zone(facility.zone)).date()
    found = _draft(session, actor, facility, {**stated, "published": False}, like, today)
    parts = found.values["parts"]
    station_ids = _stations(session, facility, code, found)
    row = instruments.create(facility, code, found, now=now)
    session.add(row)
    session.flush()
    facilities.replace_own_hours(session, instrument_id=row.id, hours=found.values["opening"])
    if parts:
        instruments.write_parts(session, line_id=row.id, station_ids=station_ids)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="instrument.added",
        now=now,
        facility_id=facility.id,
        subject=code,
        like=like,
        values={name: instruments.shown(value) for name, value in stated.items()},
    )
    session.expire(row)
    return instruments.by_code(session, actor=actor, code=code)


def _code_errors(session: Session, code: str) -> dict[str, str]:
    try:
        checked = inventory.check("code", code)
    except Bad as bad:
        return {"code": bad.code}
    taken = session.scalar(select(Instrument.id).where(func.lower(Instrument.code) == checked.lower()))
    return {"code": "taken"} if taken is not None else {}


def _draft(
    session: Session, actor: Actor, facility: Facility, stated: Mapping[str, Any], like: str, today: date
) -> Draft:
    """Give all values of a new instrument: what is said, then what the other one has, then what is usual."""
    if not like:
        return instruments.draft(None, stated, today=today)
    other = instruments.by_code(session, actor=actor, code=like)
    require(actor, "instrument.see_unpublished", Subject(facility_id=other.facility_id))
    taken = instruments.values_of(instruments.state_of(session, other))
    if other.facility_id != facility.id:
        taken["parts"] = ()
    taken = {name: value for name, value in taken.items() if name not in ITS_OWN}
    found = instruments.draft(None, {**taken, **stated}, today=today)
    return replace(found, prices=_from_today(instruments.price_list(other), today))


def _from_today(prices: tuple[Price, ...], today: date) -> tuple[Price, ...]:
    """Give the prices of now and of later; what was once paid for another instrument was never paid for this one."""
    coming = [price for price in prices if price.valid_to is None or price.valid_to > today]
    return tuple(replace(price, valid_from=max(price.valid_from, today)) for price in coming)


def _stations(session: Session, facility: Facility, code: str, found: Draft) -> list[int]:
    """Give the ids of the stations of a new line.

    :raises Invalid: if the values do not go together
    """
    codes = found.values["parts"]
    known = instruments.stations_by_code(session, codes) if codes else {}
    errors = {column: code for column, code, _ in inventory.contradictions(found.values)}
    if wrong := instruments.wrong_part(code, facility.id, codes, known):
        errors["parts"] = wrong[1]
    elif codes and found.values["units"] > min(known[one].units for one in codes):
        errors["units"] = "too_large"
    if errors:
        raise Invalid(errors)
    return [known[one].id for one in codes]


def change(
    session: Session,
    *,
    actor: Actor,
    code: str,
    changes: Mapping[str, Any],
    seen: datetime | None = None,
    now: datetime,
) -> Instrument:
    """Change an instrument by the columns of a sheet; `seen` is the time of its last change that the actor knows of.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: with a code for each value that it may not have
    :raises Refused: if it was changed meanwhile, would have fewer units than are booked, or not stay published
    """
    catalogue.ensure_categories(session)
    found = instruments.by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=found.facility_id))
    at = session.scalar(select(Instrument.updated_at).where(Instrument.id == found.id).with_for_update())
    if seen is not None and at != seen:
        raise Refused([Reason("changed_meanwhile")])
    if "published" in changes:
        _check_publication(session, found, str(changes["published"]), now)
    return instruments.edit(session, actor=actor, code=code, changes=changes, now=now)


def _check_publication(session: Session, row: Instrument, wanted: str, now: datetime) -> None:
    """Refuse to hide what people have booked, or to show what stands at a withdrawn facility.

    :raises Invalid: if it makes no sense
    :raises Refused: if bookings lie ahead, or the facility is withdrawn
    """
    try:
        published = inventory.check("published", wanted)
    except Bad as bad:
        raise Invalid({"published": bad.code}) from None
    if published and not row.published and row.facility.withdrawn_at is not None:
        raise Refused([Reason("facility_withdrawn", {"facility": row.facility.code})])
    if not published and row.published:
        refuse_while_booked(session, [row.id], now=now)


def refuse_while_booked(session: Session, instrument_ids: list[int], *, now: datetime) -> None:
    """Let pass what would hide instruments while nothing is booked on them any more.

    :raises Refused: if bookings lie ahead
    """
    count = session.scalar(
        select(func.count(Occupation.booking_id.distinct())).where(
            Occupation.instrument_id.in_(instrument_ids), Occupation.ends_at > now
        )
    )
    if count:
        raise Refused([Reason("bookings_ahead", {"count": count})])
