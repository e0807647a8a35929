"""Faults: reported by people, settled by the facility."""

from typing import Any
from uuid import UUID

from booking.api.base import Blueprint, problems
from booking.api.schemas.faults import (
    AnswerIn,
    ConfirmationIn,
    FaultConfirmedOut,
    FaultIn,
    FaultOut,
    FaultsIn,
    FaultsOut,
)
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import facilities, faults, instruments, repairs
from models import Fault

blp = Blueprint("api-faults", __name__, description="What is wrong with instruments.")


@blp.get("/faults")
@needs("fault.report")
@blp.arguments(FaultsIn, location="query")
@blp.response(200, FaultsOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List fault reports

    One's own; with `facility` all of it, for its staff. The newest 200.
    """
    who = actor()
    states = faults.WAITING if wanted["waiting"] else ()
    with reading() as session:
        if wanted["facility"]:
            place = facilities.by_code(session, code=wanted["facility"])
            only = wanted["instrument"]
            number = instruments.by_codes(session, actor=who, codes=[only])[only] if only else None
            found = faults.listing(
                session, actor=who, facility_id=place.id, instrument_id=number, states=states
            )
        else:
            found = [
                fault
                for fault in faults.own(session, actor=who)
                if wanted["instrument"] in {"", fault.instrument.code}
                and (not states or fault.state in states)
            ]
    return {"items": found, "total": len(found)}


@blp.post("/faults")
@needs("fault.report")
@blp.arguments(FaultIn)
@blp.response(201, FaultOut)
@problems(404)
def report(wanted: dict[str, Any]) -> Fault:
    """Report a fault

    The facility's managers are told.
    """
    with transaction() as session:
        fault = faults.report(
            session,
            actor=actor(),
            code=wanted["instrument_id"],
            text=wanted["text"],
            stops_work=wanted["stops_work"],
            now=utc_now(),
        )
        return next(one for one in faults.own(session, actor=actor()) if one.id == fault.id)


@blp.post("/faults/<uuid:fault_id>/confirmation")
@needs("fault.settle")
@blp.arguments(ConfirmationIn, required=False)
@blp.response(200, FaultConfirmedOut)
@problems(404, 409)
def confirm(wanted: dict[str, Any], fault_id: UUID) -> dict[str, Any]:
    """Confirm a fault

    With `down_until` the instrument is closed at once; the bookings that this meets stay until they are
    moved, and their people are told.
    """
    with transaction() as session:
        fault, met = repairs.confirm(
            session,
            actor=actor(),
            fault_id=fault_id,
            down_until=wanted["down_until"],
            answer=wanted["answer"],
            now=utc_now(),
        )
        return {**_told(fault), "displaced": [booking.id for booking in met]}


@blp.post("/faults/<uuid:fault_id>/mending")
@needs("fault.settle")
@blp.arguments(AnswerIn, required=False)
@blp.response(200, FaultOut)
@problems(404, 409)
def mend(wanted: dict[str, Any], fault_id: UUID) -> Fault:
    """Note that a fault is mended

    An instrument that was put down for it opens at once.
    """
    with transaction() as session:
        return repairs.mend(session, actor=actor(), fault_id=fault_id, answer=wanted["answer"], now=utc_now())


@blp.post("/faults/<uuid:fault_id>/dismissal")
@needs("fault.settle")
@blp.arguments(AnswerIn)
@blp.response(200, FaultOut)
@problems(404, 409)
def dismiss(wanted: dict[str, Any], fault_id: UUID) -> Fault:
    """Dismiss a fault report

    With a word why.
    """
    with transaction() as session:
        return repairs.dismiss(
            session, actor=actor(), fault_id=fault_id, answer=wanted["answer"], now=utc_now()
        )


def _told(fault: Fault) -> dict[str, Any]:
    names = (
        "id",
        "booking_id",
        "closure_id",
        "person",
        "text",
        "stops_work",
        "state",
        "answer",
        "reported_at",
        "settled_at",
        "instrument",
    )
    return {name: getattr(fault, name) for name in names}
