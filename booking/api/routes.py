"""Routes: processes in several steps, found, booked and moved as one; what lies between steps and what they share."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, url_for

from booking.api.base import Blueprint, problems
from booking.api.instruments import filters
from booking.api.schemas.bookings import BookingOut
from booking.api.schemas.routes import (
    ChangeoverPlaceIn,
    ChangeoversIn,
    ChangeoversOut,
    MoveIn,
    RouteBookingIn,
    RouteIn,
    RouteOut,
    UtilitiesOut,
    UtilityIn,
    UtilityOut,
)
from booking.db import Session, reading, transaction
from booking.domain.access import Actor
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.http import etags, idempotency
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.problems import reason_out
from booking.services import facilities, instruments, processes, routes
from booking.services.routes import Route, Step
from models import Booking, Facility, Instrument, Utility

blp = Blueprint("api-routes", __name__, description="Processes in several steps on several instruments.")


@blp.post("/routes")
@needs("booking.place")
@blp.arguments(RouteIn)
@blp.response(200, RouteOut)
@problems(404)
def find(order: dict[str, Any]) -> dict[str, Any]:
    """Find the earliest route

    Of all ways to do the steps one after the other the one that is done first, under the rules of every instrument,
    with lags, changeovers and shared utilities. Nothing is written.
    """
    who, now = actor(), utc_now()
    with reading() as session:
        route = routes.find(
            session,
            actor=who,
            steps=steps(order["steps"]),
            within=within(order, now),
            project_id=order["project_id"],
            now=now,
        )
    return _told(route)


@blp.post("/routes/bookings")
@needs("booking.place")
@blp.arguments(RouteBookingIn)
@blp.response(201, BookingOut)
@problems(404, 409)
def book(order: dict[str, Any]) -> tuple[Booking, dict[str, str]]:
    """Book a route

    As one booking with an item for each step, all or nothing; with an `Idempotency-Key` as for any booking.
    """
    now, key = utc_now(), idempotency.key_sent()
    mark = idempotency.fingerprint(order) if key else ""
    asked, span = steps(order["steps"]), within(order, now)
    try:
        with transaction() as session:
            booking = routes.book(
                session,
                actor=actor(),
                steps=asked,
                within=span,
                places=[(place["instrument_id"], place["start"]) for place in order["places"]],
                purpose=order["purpose"],
                project_id=order["project_id"],
                confidential=order["confidential"],
                key=key,
                fingerprint=mark,
                now=now,
            )
    except Refused as refusal:
        with reading() as session:
            refusal.instead = routes.instead(
                session, actor=actor(), steps=asked, within=span, project_id=order["project_id"], now=now
            )
        raise
    where = url_for("api-bookings.one", booking_id=booking.id)
    return booking, {"ETag": etags.of_version(booking.version), "Location": where}


@blp.post("/bookings/<uuid:booking_id>/move/dry-run")
@needs("booking.see")
@blp.arguments(MoveIn)
@blp.response(200, RouteOut)
@problems(404)
def later(order: dict[str, Any], booking_id: UUID) -> dict[str, Any]:
    """See where a process would move

    The earliest time at which all its steps fit, each on its instrument and with its lags. Nothing is written.
    """
    now = utc_now()
    with reading() as session:
        route = routes.later(
            session, actor=actor(), booking_id=booking_id, within=within(order, now), now=now
        )
    return _told(route)


@blp.post("/bookings/<uuid:booking_id>/move")
@needs("booking.change")
@blp.arguments(MoveIn)
@blp.response(200, BookingOut)
@problems(404, 409, 412)
def move(order: dict[str, Any], booking_id: UUID) -> tuple[Booking, dict[str, str]]:
    """Move a process as one

    All its steps to the earliest time at which they fit, all or nothing.
    """
    now = utc_now()
    with transaction() as session:
        booking = routes.move(
            session,
            actor=actor(),
            booking_id=booking_id,
            within=within(order, now),
            version=etags.version_wanted(),
            now=now,
        )
    return booking, {"ETag": etags.of_version(booking.version)}


# --- changeovers ----------------------------------------------------------------------------------


@blp.get("/changeovers")
@needs("rule.read")
@blp.arguments(ChangeoverPlaceIn, location="query")
@blp.response(200, ChangeoversOut)
@problems(404)
def changeovers(wanted: dict[str, Any]) -> dict[str, Any]:
    """Read the changeovers of a facility or an instrument"""
    with reading() as session:
        facility, instrument = _place(session, actor(), wanted)
        found = processes.changeovers(session, facility=facility, instrument=instrument)
    return _matrix(found)


@blp.put("/changeovers")
@needs("process.edit")
@blp.arguments(ChangeoversIn)
@blp.response(200, ChangeoversOut)
@problems(404)
def set_changeovers(wanted: dict[str, Any]) -> dict[str, Any]:
    """Set the changeovers of a facility or an instrument

    The whole matrix. One of an instrument counts instead of its facility's.
    """
    minutes = {(one["before"].strip(), one["after"].strip()): one["minutes"] for one in wanted["changeovers"]}
    with transaction() as session:
        facility, instrument = _place(session, actor(), wanted)
        processes.replace_changeovers(
            session, actor=actor(), facility=facility, instrument=instrument, minutes=minutes, now=utc_now()
        )
        found = processes.changeovers(session, facility=facility, instrument=instrument)
    return _matrix(found)


# --- utilities ------------------------------------------------------------------------------------


@blp.get("/facilities/<code:facility_id>/utilities")
@needs("rule.read")
@blp.response(200, UtilitiesOut)
@problems(404)
def utilities(facility_id: str) -> dict[str, Any]:
    """List what the instruments of a facility share"""
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        return {"items": processes.utilities(session, facility_ids=[place.id])}


@blp.put("/facilities/<code:facility_id>/utilities/<code:utility>")
@needs("process.edit")
@blp.arguments(UtilityIn)
@blp.response(200, UtilityOut)
@problems(404)
def keep_utility(wanted: dict[str, Any], facility_id: str, utility: str) -> Utility:
    """Add or change a shared utility"""
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        return processes.keep_utility(
            session, actor=actor(), facility=place, code=utility, now=utc_now(), **wanted
        )


@blp.delete("/facilities/<code:facility_id>/utilities/<code:utility>")
@needs("process.edit")
@blp.response(204)
@problems(404)
def drop_utility(facility_id: str, utility: str) -> Response:
    """Give a shared utility up"""
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        processes.drop_utility(session, actor=actor(), facility=place, code=utility, now=utc_now())
    return Response(status=204)


# --- in and out -----------------------------------------------------------------------------------


def steps(given: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Give the steps of a process that was asked for."""
    return [
        Step(
            minutes=one["duration"],
            code=one["instrument_id"],
            filters=filters(one["filters"]),
            lag=(one["lag_least"], one["lag_most"]),
            family=one["family"].strip(),
            draws={draw["utility"]: draw["amount"] for draw in one["draws"]},
            quantity=one["quantity"],
        )
        for one in given
    ]


def within(order: Mapping[str, Any], now: datetime) -> Span:
    """Give between when a process may be."""
    after = order["after"] or now
    return Span(after, order["before"] or after + routes.REACH)


def _told(route: Route) -> dict[str, Any]:
    verdict = route.verdict
    items = [
        {
            "instrument_id": row.code,
            "start": item.span.start,
            "end": item.span.end,
            "quantity": item.quantity,
            "family": item.process.family if item.process else "",
        }
        for item, row in zip(route.items, route.instruments, strict=True)
    ]
    return {
        "items": items,
        "start": route.items[0].span.start if route.items else None,
        "end": route.items[-1].span.end if route.items else None,
        "allowed": route.allowed,
        "reasons": [reason_out(reason) for reason in route.reasons],
        "needs_approval": bool(verdict and verdict.needs_approval),
        "estimate": verdict
        and {"total": verdict.estimate.total, "currency": "CNY", "lines": verdict.estimate.lines},
    }


def _place(session: Session, who: Actor, wanted: Mapping[str, str]) -> tuple[Facility, Instrument | None]:
    if wanted["instrument"]:
        row = instruments.by_code(session, actor=who, code=wanted["instrument"])
        return row.facility, row
    return facilities.by_code(session, code=wanted["facility"]), None


def _matrix(found: processes.Matrix) -> dict[str, Any]:
    return {
        "changeovers": [
            {"before": before, "after": after, "minutes": minutes}
            for (before, after), minutes in sorted(found.items())
        ]
    }
