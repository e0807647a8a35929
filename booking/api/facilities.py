"""Facilities and networks, and closures of facilities."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.availability import WindowIn
from booking.api.schemas.facilities import (
    ClosureIn,
    ClosureMadeOut,
    ClosuresOut,
    DisplacedOut,
    FacilitiesOut,
    FacilityOut,
    HoursIn,
    NetworksOut,
    QuietClosureIn,
    QuietClosureOut,
    QuietTimesIn,
    QuietTimesOut,
)
from booking.db import reading, transaction
from booking.domain.access import NotFound
from booking.domain.pricing import CustomerClass
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import (
    closures,
    displacements,
    facilities,
    facility_records,
    instruments,
    networks,
    quiet_times,
)
from booking.services.quiet_times import QuietTime
from models import Booking, Closure, Facility, Replan

blp = Blueprint("api-facilities", __name__, description="Where instruments stand.")


@blp.get("/facilities")
@needs("catalogue.read")
@blp.response(200, FacilitiesOut)
def listing() -> dict[str, Any]:
    """List facilities"""
    with reading() as session:
        found = facility_records.open_ones(facilities.listing(session))
    return {"items": found, "total": len(found)}


@blp.get("/facilities/<code:facility_id>")
@needs("catalogue.read")
@blp.response(200, FacilityOut)
@problems(404)
def one(facility_id: str) -> Facility:
    """Read a facility"""
    with reading() as session:
        return facilities.by_code(session, code=facility_id)


@blp.put("/facilities/<code:facility_id>/hours")
@needs("instrument.edit")
@blp.arguments(HoursIn)
@blp.response(200, DisplacedOut)
@problems(404)
def set_hours(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Set opening hours

    Of a facility, and of its instruments that have none of their own. What is booked outside the new hours stays until
    it is moved; other places are looked for at once.
    """
    hours = displacements.hours_from(wanted["hours"])
    given: dict[str, Any] = {
        "actor": actor(),
        "code": facility_id,
        "hours": hours,
        "since": wanted["since"],
        "now": utc_now(),
    }
    if wanted["dry_run"]:
        with reading() as session:
            return displaced(displacements.by_facility_hours(session, **given), None, dry_run=True)
    with transaction() as session:
        return displaced(*displacements.set_facility_hours(session, **given), dry_run=False)


@blp.get("/networks")
@needs("catalogue.read")
@blp.response(200, NetworksOut)
def all_networks() -> dict[str, Any]:
    """List networks"""
    with reading() as session:
        found = networks.listing(session)
    return {"items": found, "total": len(found)}


@blp.get("/facilities/<code:facility_id>/closures")
@needs("facility.desk")
@blp.arguments(WindowIn, location="query")
@blp.response(200, ClosuresOut)
@problems(404)
def closed(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """List closures

    Those that meet the window and were not lifted; for the facility's staff.
    """
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        found = closures.listing(session, actor=actor(), facility_id=place.id, within=wanted["within"])
        ids = {closure.instrument_id for closure in found if closure.instrument_id is not None}
        codes = instruments.codes_of(session, instrument_ids=ids) if ids else {}
    return {"items": [_told(closure, facility_id, codes) for closure in found], "total": len(found)}


@blp.post("/facilities/<code:facility_id>/closures")
@needs("closure.make")
@blp.arguments(ClosureIn)
@blp.response(201, ClosureMadeOut)
@problems(404, 409)
def close(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Close a facility or an instrument

    A planned closure is refused if it meets bookings. An imposed one stands in any case; the bookings
    that it meets stay until they are moved, and their people are told.
    """
    who, code = actor(), wanted["instrument_id"]
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        ids = instruments.by_codes(session, actor=who, codes=[code]) if code is not None else {}
        closure, met = closures.make(
            session,
            actor=who,
            facility_id=place.id,
            instrument_id=ids[code] if code is not None else None,
            span=wanted["span"],
            kind=wanted["kind"],
            reason=wanted["reason"],
            imposed=wanted["imposed"],
            now=utc_now(),
        )
    told = _told(closure, facility_id, {number: name for name, number in ids.items()})
    return {**told, "displaced": [booking.id for booking in met]}


@blp.get("/facilities/<code:facility_id>/closures/quiet-times")
@needs("closure.make")
@blp.arguments(QuietTimesIn, location="query")
@blp.response(200, QuietTimesOut)
@problems(404)
def quiet(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Find quiet times

    The times at which closing disturbs the least, with whom each displaces; nothing is closed. One that displaces
    nobody comes first; of those that displace the same bookings the earliest is told.
    """
    who, codes = actor(), wanted["instruments"]
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        ids = instruments.by_codes(session, actor=who, codes=codes) if codes else {}
        found = quiet_times.find(
            session,
            actor=who,
            facility_id=place.id,
            instrument_ids=[ids[code] for code in codes],
            length=wanted["length"],
            within=wanted["within"],
            in_hours=wanted["in_hours"],
            now=utc_now(),
        )
    return {"items": [_quiet(one) for one in found], "total": len(found)}


@blp.post("/facilities/<code:facility_id>/closures/quiet-times")
@needs("closure.make")
@blp.arguments(QuietClosureIn)
@blp.response(201, QuietClosureOut)
@problems(404, 409)
def close_quietly(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Close at a quiet time

    Several instruments at once, each with a closure of its own. Other places are looked for together for all that
    are displaced. If more bookings are met by now than the time was told to displace, nothing is closed.
    """
    who, codes = actor(), list(dict.fromkeys(wanted["instrument_ids"]))
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        ids = instruments.by_codes(session, actor=who, codes=codes) if codes else {}
        made, replan = quiet_times.close(
            session,
            actor=who,
            facility_id=place.id,
            instrument_ids=[ids[code] for code in codes],
            span=wanted["span"],
            displaces=wanted["displaces"],
            kind=wanted["kind"],
            reason=wanted["reason"],
            now=utc_now(),
        )
        names = {number: code for code, number in ids.items()}
        return {
            "items": [_told(closure, facility_id, names) for closure in made],
            "total": len(made),
            "replan_id": replan.id if replan is not None else None,
        }


@blp.route("/facilities/<code:facility_id>/closures/<uuid:closure_id>", methods=["DELETE"])
@needs("closure.make")
@blp.response(204)
@problems(404)
def lift(facility_id: str, closure_id: UUID) -> Response:
    """Lift a closure

    Open again at once. Lifting one twice changes nothing.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        closure = closures.lift(session, actor=actor(), closure_id=closure_id, now=utc_now())
        if closure.facility_id != place.id:
            raise NotFound("closure", closure_id)
    return Response(status=204)


def displaced(met: Sequence[Booking], replan: Replan | None, *, dry_run: bool) -> dict[str, Any]:
    """Tell whom a change displaces."""
    return {
        "dry_run": dry_run,
        "displaced": [booking.id for booking in met],
        "replan_id": None if replan is None else replan.id,
    }


def _quiet(one: QuietTime) -> dict[str, Any]:
    return {
        "start": one.span.start,
        "end": one.span.end,
        "cost": one.cost,
        "moved": one.moved,
        "without_place": one.without_place,
        "by_class": {name.value: one.classes[name] for name in CustomerClass},
        "displaced": [booking.id for booking in one.met],
    }


def _told(closure: Closure, facility: str, codes: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": closure.id,
        "facility_id": facility,
        "instrument_id": None if closure.instrument_id is None else codes[closure.instrument_id],
        "kind": closure.kind,
        "start": closure.starts_at,
        "end": closure.ends_at,
        "reason": closure.reason,
        "imposed": closure.imposed,
        "created_at": closure.created_at,
    }
