"""What is free, what is taken, and when something could be had."""

from decimal import Decimal
from typing import Any

from flask import Response

from booking.api.base import Blueprint, as_json, problems, written
from booking.api.instruments import filters
from booking.api.schemas.availability import (
    FindIn,
    FreeOut,
    OccupationsOut,
    OffersOut,
    WindowIn,
    bar_line,
)
from booking.api.schemas.fields import stamp
from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import availability, finder, taken
from booking.services.catalogue import several
from booking.services.finder import Question
from booking.services.taken import Taken

blp = Blueprint("api-availability", __name__, description="When it can be booked.")


@blp.get("/instruments/<code:instrument_id>/free")
@needs("availability.read")
@blp.arguments(WindowIn, location="query")
@blp.response(200, FreeOut)
@problems(404)
def free(wanted: dict[str, Any], instrument_id: str) -> Response:
    """List the free time of an instrument

    Open, future time in which at least one unit is free, with the room that set-up and clean-up take kept
    out.
    """
    with reading(begun=False) as session:
        found = availability.free(
            session, actor=actor(), code=instrument_id, within=wanted["within"], now=utc_now()
        )
    spans = [{"start": stamp(one.start), "end": stamp(one.end), "free": one.free} for one in found]
    return written({"spans": spans})


@blp.get("/instruments/<code:instrument_id>/occupations")
@needs("availability.read")
@blp.arguments(WindowIn, location="query")
@blp.response(200, OccupationsOut)
@problems(404)
def of_instrument(wanted: dict[str, Any], instrument_id: str) -> Response:
    """List what takes the time of an instrument

    A timeline's bars. Who and why is told only to those who may see the booking.
    """
    with reading(begun=False) as session:
        found = taken.of_instrument(
            session, actor=actor(), code=instrument_id, within=wanted["within"], now=utc_now()
        )
    return _bars(found)


@blp.get("/facilities/<code:facility_id>/occupations")
@needs("availability.read")
@blp.arguments(WindowIn, location="query")
@blp.response(200, OccupationsOut)
@problems(404)
def of_facility(wanted: dict[str, Any], facility_id: str) -> Response:
    """List what takes the time of all instruments of a facility

    The timeline of a day or a week. Who and why is told only to those who may see the booking.
    """
    with reading(begun=False) as session:
        found = taken.of_facility(
            session, actor=actor(), code=facility_id, within=wanted["within"], now=utc_now()
        )
    return _bars(found)


@blp.get("/free")
@needs("availability.read")
@blp.arguments(FindIn, location="query")
@blp.response(200, OffersOut)
def find(wanted: dict[str, Any]) -> Response:
    """Find a time

    The earliest time at each matching instrument in which a use of this length can be had; the earliest first, or the
    cheapest, or the nearest.
    """
    near = bool(wanted["near"])
    limit = wanted.pop("limit")
    asked = {
        name: wanted.pop(name)
        for name in ("duration", "within", "quantity", "part", "days", "ceiling", "sort")
    }
    terms = frozenset(several(wanted.pop("terms")))
    question = Question(**asked, terms=terms, filters=filters(wanted))
    with reading(begun=False) as session:
        found = finder.find(session, actor=actor(), question=question, limit=limit, now=utc_now())
    return written(
        {
            "offers": [
                {
                    "instrument_id": offer.code,
                    "start": stamp(offer.start),
                    "end": stamp(offer.end),
                    "estimate": _price(offer.estimate),
                    **({"km": offer.km} if near else {}),
                }
                for offer in found.offers
            ]
        }
    )


def _price(total: Decimal | None) -> dict[str, str] | None:
    return None if total is None else {"total": f"{total:.2f}", "currency": "CNY"}


def _bars(found: list[Taken]) -> Response:
    return as_json(f'{{"occupations":[{",".join(map(bar_line, found))}]}}')
