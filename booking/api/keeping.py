"""Keeping facilities and instruments: made, changed, withdrawn; their prices; who changed what."""

from decimal import Decimal
from typing import Any

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.facilities import FacilityOut
from booking.api.schemas.instruments import InstrumentDetailOut
from booking.api.schemas.keeping import (
    DeedsOut,
    FacilityChangeIn,
    FacilityNewIn,
    InstrumentChangeIn,
    InstrumentNewIn,
    PriceIn,
    PriceRaiseIn,
    PriceRaiseOut,
    PricesOut,
    WithdrawalIn,
    WithdrawnOut,
)
from booking.db import Session, reading, transaction
from booking.domain import inventory
from booking.domain.access import Subject, require
from booking.domain.rules import Invalid
from booking.domain.sheets import Bad
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import (
    facilities,
    facility_records,
    histories,
    instrument_records,
    instruments,
    policies,
    price_lists,
)
from booking.services.histories import Deed
from booking.services.price_lists import Change
from models import Facility, Instrument

blp = Blueprint("api-keeping", __name__, description="Keeping facilities, instruments and prices.")


@blp.post("/facilities")
@needs("facility.make")
@blp.arguments(FacilityNewIn)
@blp.response(201, FacilityOut)
@problems(404)
def make_facility(wanted: dict[str, Any]) -> Facility:
    """Make a facility

    Administrators anywhere, officers in a network of theirs. It begins with office hours.
    """
    given = {name: wanted.pop(name) for name in ("code", "organisation", "network")}
    with transaction() as session:
        return facility_records.add(session, actor=actor(), values=wanted, now=utc_now(), **given)


@blp.patch("/facilities/<code:facility_id>")
@needs("facility.edit")
@blp.arguments(FacilityChangeIn)
@blp.response(200, FacilityOut)
@problems(404, 409)
def change_facility(wanted: dict[str, Any], facility_id: str) -> Facility:
    """Change what a facility says of itself

    What is left out stays. Its zone stays while bookings lie ahead.
    """
    with transaction() as session:
        facility_records.change(session, actor=actor(), code=facility_id, changes=wanted, now=utc_now())
    with reading() as session:
        return facilities.by_code(session, code=facility_id)


@blp.post("/facilities/<code:facility_id>/withdrawal")
@needs("facility.edit")
@blp.arguments(WithdrawalIn)
@blp.response(200, WithdrawnOut)
@problems(404, 409)
def withdraw(wanted: dict[str, Any], facility_id: str) -> Facility:
    """Withdraw a facility

    It leaves all lists and its instruments are unpublished; refused while bookings lie ahead.
    """
    del wanted
    with transaction() as session:
        return facility_records.withdraw(session, actor=actor(), code=facility_id, now=utc_now())


@blp.delete("/facilities/<code:facility_id>/withdrawal")
@needs("facility.edit")
@blp.response(204)
@problems(404)
def reopen(facility_id: str) -> Response:
    """Open a facility again

    What its withdrawal unpublished is published again.
    """
    with transaction() as session:
        facility_records.reopen(session, actor=actor(), code=facility_id, now=utc_now())
    return Response(status=204)


@blp.get("/facilities/<code:facility_id>/history")
@needs("facility.desk")
@blp.response(200, DeedsOut)
@problems(404)
def facility_history(facility_id: str) -> dict[str, Any]:
    """Read what was changed at a facility"""
    with reading() as session:
        row = facilities.by_code(session, code=facility_id)
        require(actor(), "facility.desk", Subject(facility_id=row.id))
        return _history(histories.of_facility(session, facility_id=row.id))


@blp.post("/instruments")
@needs("instrument.edit")
@blp.arguments(InstrumentNewIn)
@blp.response(201, InstrumentDetailOut)
@problems(404)
def make_instrument(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make an instrument

    From blank or like another, with its hours and prices. It is a draft until it is published.
    """
    given = {name: wanted.pop(name) for name in ("code", "like")}
    home = wanted.pop("facility_id")
    with transaction() as session:
        row = instrument_records.add(
            session, actor=actor(), facility_code=home, values=_sheet(wanted), now=utc_now(), **given
        )
        return _told(session, row)


@blp.patch("/instruments/<code:instrument_id>")
@needs("instrument.edit")
@blp.arguments(InstrumentChangeIn)
@blp.response(200, InstrumentDetailOut)
@problems(404, 409)
def change_instrument(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Change what an instrument says of itself

    What is left out stays. Fewer units than are booked, and hiding what is booked, are refused.
    """
    with transaction() as session:
        instrument_records.change(
            session, actor=actor(), code=instrument_id, changes=_sheet(wanted), now=utc_now()
        )
    with reading() as session:
        return _told(session, instruments.by_code(session, actor=actor(), code=instrument_id))


@blp.get("/instruments/<code:instrument_id>/history")
@needs("facility.desk")
@blp.response(200, DeedsOut)
@problems(404)
def instrument_history(instrument_id: str) -> dict[str, Any]:
    """Read what was changed on an instrument"""
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=instrument_id)
        require(actor(), "facility.desk", Subject(facility_id=row.facility_id))
        found = histories.of_instrument(session, facility_id=row.facility_id, code=row.code)
        return _history(found)


@blp.get("/instruments/<code:instrument_id>/prices")
@needs("instrument.edit")
@blp.response(200, PricesOut)
@problems(404)
def prices(instrument_id: str) -> dict[str, Any]:
    """List all prices of an instrument

    What is over and what comes included.
    """
    with reading() as session:
        return _prices(price_lists.of_instrument(session, actor=actor(), code=instrument_id))


@blp.post("/instruments/<code:instrument_id>/prices")
@needs("instrument.edit")
@blp.arguments(PriceIn)
@blp.response(200, PricesOut)
@problems(404)
def set_price(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Set a price from a day on

    What counts before ends on that day.
    """
    amount = _amount(wanted.pop("amount"))
    with transaction() as session:
        price_lists.put(session, actor=actor(), code=instrument_id, amount=amount, now=utc_now(), **wanted)
    with reading() as session:
        return _prices(price_lists.of_instrument(session, actor=actor(), code=instrument_id))


@blp.delete("/instruments/<code:instrument_id>/prices/<int:price_id>")
@needs("instrument.edit")
@blp.response(204)
@problems(404)
def strike_price(instrument_id: str, price_id: int) -> Response:
    """Take back a price that has not begun"""
    with transaction() as session:
        price_lists.strike(session, actor=actor(), code=instrument_id, price_id=price_id, now=utc_now())
    return Response(status=204)


@blp.post("/facilities/<code:facility_id>/price-changes")
@needs("instrument.edit")
@blp.arguments(PriceRaiseIn)
@blp.response(200, PriceRaiseOut)
@problems(404)
def raise_prices(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Change all prices of a facility by a percentage

    Those in force on the day, from that day on; prices that begin later stay.
    """
    dry_run = wanted.pop("dry_run")
    try:
        wanted["percent"] = inventory.percentage(wanted["percent"])
    except Bad:
        raise Invalid({"percent": "malformed"}) from None
    wanted["step"] = Decimal(wanted["step"])
    if dry_run:
        with reading() as session:
            found = price_lists.proposed(session, actor=actor(), code=facility_id, now=utc_now(), **wanted)
            return _raised(found, dry_run=True)
    with transaction() as session:
        found = price_lists.raise_all(session, actor=actor(), code=facility_id, now=utc_now(), **wanted)
        return _raised(found, dry_run=False)


def _sheet(wanted: dict[str, Any]) -> dict[str, Any]:
    """Give what was sent as a sheet has it: true is yes."""
    return {
        name: ("yes" if value else "no") if isinstance(value, bool) else value
        for name, value in wanted.items()
    }


def _amount(raw: str | None) -> Decimal | None:
    try:
        found: Decimal | None = inventory.check("price_internal", raw)
    except Bad:
        raise Invalid({"amount": "malformed"}) from None
    return found


def _told(session: Session, row: Instrument) -> dict[str, Any]:
    policy = policies.in_force(session, row, person_id=actor().person_id, start=utc_now())
    return {"instrument": row, "policy": policy}


def _prices(row: Instrument) -> dict[str, Any]:
    return {"items": row.prices, "total": len(row.prices)}


def _raised(found: list[Change], *, dry_run: bool) -> dict[str, Any]:
    items = [
        {
            "instrument_id": one.instrument.code,
            "customer_class": one.price.customer_class,
            "unit": one.price.unit,
            "before": one.price.amount,
            "after": one.amount,
        }
        for one in found
    ]
    return {"dry_run": dry_run, "items": items, "total": len(items)}


def _history(deeds: list[Deed]) -> dict[str, Any]:
    items = [
        {
            "at": deed.at,
            "kind": deed.kind,
            "by": deed.who,
            "subject": deed.subject,
            "note": deed.note,
            "changes": [
                {"field": name, "before": before, "after": after} for name, before, after in deed.changes
            ],
        }
        for deed in deeds
    ]
    return {"items": items, "total": len(items)}
