"""What is free, what is taken, and when something could be had."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import Response

from booking.api.base import Blueprint, problems, written
from booking.api.instruments import filters
from booking.api.schemas.availability import FindIn, FreeOut, OccupationsOut, OffersOut, WindowIn
from booking.api.schemas.fields import stamp
from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import availability, finder, instruments
from booking.services.availability import Bar
from booking.services.catalogue import several
from booking.services.finder import Question

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
    who = actor()
    with reading(begun=False) as session:
        ids = instruments.by_codes(session, actor=who, codes=[instrument_id])
        bars = availability.occupations(
            session, actor=who, instrument_ids=list(ids.values()), within=wanted["within"], now=utc_now()
        )
    return _bars(bars, {place: code for code, place in ids.items()})


@blp.get("/facilities/<code:facility_id>/occupations")
@needs("availability.read")
@blp.arguments(WindowIn, location="query")
@blp.response(200, OccupationsOut)
@problems(404)
def of_facility(wanted: dict[str, Any], facility_id: str) -> Response:
    """List what takes the time of all instruments of a facility

    The timeline of a day or a week. Who and why is told only to those who may see the booking.
    """
    who = actor()
    with reading(begun=False) as session:
        codes = instruments.of_facility(session, actor=who, code=facility_id)
        bars = availability.occupations(
            session, actor=who, instrument_ids=list(codes), within=wanted["within"], now=utc_now()
        )
    return _bars(bars, codes)


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


def _bars(bars: list[Bar], codes: Mapping[int, str]) -> Response:
    return written(
        {
            "occupations": [
                {
                    "instrument_id": codes[bar.instrument_id],
                    "start": stamp(bar.start),
                    "end": stamp(bar.end),
                    "use_start": stamp(bar.use_start),
                    "use_end": stamp(bar.use_end),
                    "quantity": bar.quantity,
                    "kind": bar.kind.value,
                    "booking_id": str(bar.booking_id) if bar.booking_id else None,
                    "title": bar.title,
                    "state": bar.state.value if bar.state else None,
                    "mine": bar.mine,
                }
                for bar in bars
            ]
        }
    )
