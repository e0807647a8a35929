"""The catalogue: instruments by words and filters, and each with its rules and prices."""

from typing import Any

from booking.api.base import Blueprint, problems
from booking.api.facilities import displaced
from booking.api.schemas.facilities import DisplacedOut, ServiceIn
from booking.api.schemas.instruments import InstrumentDetailOut, InstrumentsOut, SearchIn
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.i18n import current_locale
from booking.services import catalogue, displacements, instruments, policies
from booking.services.catalogue import Filters

blp = Blueprint("api-instruments", __name__, description="What can be booked.")


@blp.get("/instruments")
@needs("catalogue.read")
@blp.arguments(SearchIn, location="query")
@blp.response(200, InstrumentsOut)
def search(wanted: dict[str, Any]) -> dict[str, Any]:
    """Search the catalogue"""
    page, page_size = wanted.pop("page"), wanted.pop("page_size")
    with reading() as session:
        found = catalogue.search(
            session,
            actor=actor(),
            filters=filters(wanted),
            page=page,
            page_size=page_size,
            locale=current_locale(),
        )
    told = {
        "items": found.items,
        "total": found.total,
        "next": next_url(found.total, page, page_size),
        "facets": found.facets,
    }
    return told | ({"km": _km(found)} if wanted["near"] else {})


@blp.get("/instruments/<code:instrument_id>")
@needs("catalogue.read")
@blp.response(200, InstrumentDetailOut)
@problems(404)
def one(instrument_id: str) -> dict[str, Any]:
    """Read an instrument with its rules and prices"""
    who = actor()
    with reading() as session:
        row = instruments.by_code(session, actor=who, code=instrument_id)
        policy = policies.in_force(session, row, person_id=who.person_id, start=utc_now())
    return {"instrument": row, "policy": policy}


@blp.put("/instruments/<code:instrument_id>/service")
@needs("instrument.edit")
@blp.arguments(ServiceIn)
@blp.response(200, DisplacedOut)
@problems(404)
def set_service(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Withdraw an instrument, offer it again, or set its hours

    What is booked ahead and can no longer be had stays until it is moved; other places are looked for at once.
    """
    given: dict[str, Any] = {
        "actor": actor(),
        "code": instrument_id,
        "bookable": wanted["bookable"],
        "opening": wanted["hours"],
        "since": wanted["since"],
        "now": utc_now(),
    }
    if wanted["dry_run"]:
        with reading() as session:
            return displaced(displacements.by_instrument(session, **given), None, dry_run=True)
    with transaction() as session:
        return displaced(*displacements.set_instrument(session, **given), dry_run=False)


def _km(found: catalogue.Page) -> dict[str, float]:
    """Give how far each facility of the page is, where that is known."""
    return {
        row.facility.code: found.km[row.facility_id] for row in found.items if row.facility_id in found.km
    }


def filters(wanted: dict[str, Any]) -> Filters:
    """Give the filters of a query as the catalogue knows them."""
    kind = wanted.get("kind")
    return Filters(**{**wanted, "kind": kind.value if kind else ""})
