"""The catalogue: instruments by words and filters, and each with its rules and prices."""

from typing import Any

from booking.api.base import Blueprint, problems
from booking.api.schemas.instruments import InstrumentDetailOut, InstrumentsOut, SearchIn
from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.i18n import current_locale
from booking.services import catalogue, instruments, policies
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
    return {
        "items": found.items,
        "total": found.total,
        "next": next_url(found.total, page, page_size),
        "facets": found.facets,
    }


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


def filters(wanted: dict[str, Any]) -> Filters:
    """Give the filters of a query as the catalogue knows them."""
    kind = wanted.get("kind")
    return Filters(**{**wanted, "kind": kind.value if kind else ""})
