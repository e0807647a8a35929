"""Permits without which an instrument may not run: listed for all who see it, kept by its managers."""

from typing import Any
from uuid import UUID

from booking.api.base import Blueprint, problems
from booking.api.facilities import displaced
from booking.api.schemas.facilities import DisplacedOut
from booking.api.schemas.permits import (
    PermitChangedOut,
    PermitEndedOut,
    PermitEndIn,
    PermitIn,
    PermitsOut,
    PermitStrikeIn,
)
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import permits
from booking.services.permits import Standing

blp = Blueprint("api-permits", __name__, description="Permits of instruments.")


@blp.get("/instruments/<code:instrument_id>/permits")
@needs("catalogue.read")
@blp.response(200, PermitsOut)
@problems(404)
def listing(instrument_id: str) -> dict[str, Any]:
    """List the permits of an instrument

    It needs each of their names for the whole of every use.
    """
    with reading() as session:
        found = permits.listing(session, actor=actor(), code=instrument_id, now=utc_now())
    return {"items": [_told(one) for one in found], "total": len(found)}


@blp.post("/instruments/<code:instrument_id>/permits")
@needs("instrument.edit")
@blp.arguments(PermitIn)
@blp.response(200, PermitChangedOut)
@problems(404)
def add(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Enter a permit or its renewal

    Whom it leaves without keeps the booking until it is moved; other places are looked for at once.
    """
    given: dict[str, Any] = {
        "actor": actor(),
        "code": instrument_id,
        "draft": wanted["draft"],
        "now": utc_now(),
    }
    if wanted["dry_run"]:
        with reading() as session:
            return displaced(permits.by_adding(session, **given), None, dry_run=True) | {"permit": None}
    with transaction() as session:
        permit, met, replan = permits.add(session, **given)
        return displaced(met, replan, dry_run=False) | {"permit": permit}


@blp.post("/instruments/<code:instrument_id>/permits/<uuid:permit_id>/end")
@needs("instrument.edit")
@blp.arguments(PermitEndIn)
@blp.response(200, PermitEndedOut)
@problems(404)
def end(wanted: dict[str, Any], instrument_id: str, permit_id: UUID) -> dict[str, Any]:
    """Change the last day of a permit

    Whom an earlier one leaves without is displaced; whom a later one covers needs no other place any more.
    """
    given: dict[str, Any] = {
        "actor": actor(),
        "code": instrument_id,
        "permit_id": permit_id,
        "last_day": wanted["last_day"],
        "now": utc_now(),
    }
    with reading() as session:
        met, covered = permits.by_ending(session, **given), permits.covered(session, **given)
    more = {"permit": None, "covered": [booking.id for booking in covered]}
    if wanted["dry_run"]:
        return displaced(met, None, dry_run=True) | more
    with transaction() as session:
        permit, met, replan = permits.end(session, reason=wanted["reason"], **given)
        return displaced(met, replan, dry_run=False) | more | {"permit": permit}


@blp.route("/instruments/<code:instrument_id>/permits/<uuid:permit_id>", methods=["DELETE"])
@needs("instrument.edit")
@blp.arguments(PermitStrikeIn, location="query")
@blp.response(200, DisplacedOut)
@problems(404)
def strike(wanted: dict[str, Any], instrument_id: str, permit_id: UUID) -> dict[str, Any]:
    """Strike a permit out that was entered by mistake

    With the last of its name the instrument needs no such permit any more.
    """
    given: dict[str, Any] = {
        "actor": actor(),
        "code": instrument_id,
        "permit_id": permit_id,
        "now": utc_now(),
    }
    if wanted["dry_run"]:
        with reading() as session:
            return displaced(permits.by_striking(session, **given), None, dry_run=True)
    with transaction() as session:
        return displaced(*permits.strike(session, **given), dry_run=False)


def _told(one: Standing) -> dict[str, Any]:
    row = one.permit
    return {
        "id": row.id,
        "name": row.name,
        "number": row.number,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "note": row.note,
        "days_left": one.days,
        "renewed": one.renewed,
    }
