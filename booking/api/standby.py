"""Standing by for a day: the odds, putting oneself on the list, being there, and the facility's list."""

from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.standby import OddsIn, OutlookOut, PresenceIn, StandbyIn, StandbyOut
from booking.api.schemas.waitlist import WaitOut
from booking.api.waitlist import told
from booking.db import reading, transaction
from booking.domain.rules import Invalid
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import facilities, instruments, standby, standing_by, waitlist

blp = Blueprint("api-standby", __name__, description="Being there when others leave their time.")


@blp.get("/instruments/<code:instrument_id>/standby")
@needs("availability.read")
@blp.arguments(OddsIn, location="query")
@blp.response(200, OutlookOut)
@problems(404)
def outlook(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Read the odds of standing by

    How likely a place comes free that day, from what became of earlier bookings; with the number of them.
    """
    with reading() as session:
        found = standby.outlook(session, actor=actor(), code=instrument_id, now=utc_now(), **wanted)
    seen, history = found.seen, found.seen.history
    return {
        "instrument_id": found.instrument.code,
        "day": found.day,
        "offered": found.offered,
        "free": found.free,
        "ahead": found.ahead,
        "booked": found.booked,
        "odds": found.odds,
        "history": {
            "days": seen.days,
            "whole_facility": seen.whole_facility,
            "bookings": history.bookings,
            "missed": history.missed,
            "cancelled": history.cancelled,
            "early": history.early,
        },
    }


@blp.post("/instruments/<code:instrument_id>/standby")
@needs("waitlist.join")
@blp.arguments(StandbyIn)
@blp.response(201, WaitOut)
@problems(404, 409)
def stand_by(wanted: dict[str, Any], instrument_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Stand by for a day

    It is a place in line: before the day begins one is offered what comes free like everybody; on the day one is
    called for what is left at short notice, if one is there or near. Sent again it is the same place.
    """
    who = actor()
    try:
        with transaction() as session:
            place = instruments.by_code(session, actor=who, code=instrument_id)
            entry = standing_by.stand_by(session, actor=who, instrument_id=place.id, now=utc_now(), **wanted)
            found = told(waitlist.get(session, actor=who, entry_id=entry.id))
    except Invalid as error:
        raise Invalid({_FIELDS.get(name, name): code for name, code in error.errors.items()}) from error
    return found, {"Location": url_for("api-waitlist.one", entry_id=entry.id)}


_FIELDS = {"least": "at_least", "most": "at_most", "lead": "lead_minutes"}


@blp.route("/waitlist/<uuid:entry_id>/presence", methods=["PUT"])
@needs("standby.ready")
@blp.arguments(PresenceIn)
@blp.response(200, WaitOut)
@problems(404, 409)
def presence(wanted: dict[str, Any], entry_id: UUID) -> dict[str, Any]:
    """Say whether one is there and ready

    One's own word, or that of the facility's staff.
    """
    with transaction() as session:
        standing_by.say_here(session, actor=actor(), entry_id=entry_id, now=utc_now(), **wanted)
        return told(waitlist.get(session, actor=actor(), entry_id=entry_id))


@blp.post("/offers/<uuid:offer_id>/next")
@needs("standby.call")
@blp.arguments(NothingIn, required=False)
@blp.response(200, WaitOut)
@problems(404, 409)
def call_next(_nothing: dict[str, Any], offer_id: UUID) -> dict[str, Any]:
    """Call the next on standby

    In place of somebody who does not answer.
    """
    with transaction() as session:
        entry = standing_by.call_next(session, actor=actor(), offer_id=offer_id, now=utc_now())
        return told(waitlist.get(session, actor=actor(), entry_id=entry.id))


@blp.get("/facilities/<code:facility_id>/standby")
@needs("facility.desk")
@blp.response(200, StandbyOut)
@problems(404)
def of_facility(facility_id: str) -> dict[str, Any]:
    """List who stands by today

    With what came of it in the last 90 days.
    """
    now = utc_now()
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        found = standby.today(session, actor=actor(), facility_id=place.id, now=now)
        figures = standby.figures(session, actor=actor(), facility_id=place.id, now=now)
    return {
        "items": [told(one) for one in found],
        "figures": {
            "days": figures.days,
            "missed_hours": round(figures.missed, 2),
            "refilled_hours": round(figures.refilled, 2),
            "called": figures.called,
            "served": figures.served,
        },
    }
